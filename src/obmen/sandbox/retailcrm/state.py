"""What an account consists of, and how its values are written and read: times in its zone, amounts as Decimal.

Times are kept as moments (aware datetimes) and shown in the account's zone, ``Y-m-d H:i:s`` without a zone; dates are kept as
text. Amounts are Decimal inside and JSON numbers outside, whole ones without a fraction (``"summ": 1``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from obmen.sandbox.retailcrm import reference
from obmen.sandbox.retailcrm.history import Journal

Json = dict[str, Any]

INVALID = "This value is not valid."


class Refused(Exception):
    """A call that the service answers with an error. ``errors`` is a list of sentences or ``{path: sentence}``."""

    def __init__(self, status: int, message: str, errors: Mapping[str, str] | Collection[str] | None = None, **more: Any) -> None:
        super().__init__(message)
        self.status, self.message, self.errors, self.more = status, message, errors, more

    @property
    def answer(self) -> Json:
        errors = {"errors": self.errors if isinstance(self.errors, Mapping) else list(self.errors)} if self.errors else {}
        return {"success": False, **self.more, "errorMsg": self.message, **errors}


def not_found(message: str = "Not found") -> Refused:
    return Refused(404, message)


@dataclass(slots=True)
class Key:
    """An API key. ``sites`` and ``scopes``: None means all of them."""

    value: str
    sites: Collection[str] | None = None
    scopes: Collection[str] | None = None
    active: bool = True


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something: ``api`` with a key, ``user`` with an id, ``code`` when the service does it by itself."""

    source: str
    user: int | None = None
    key: str | None = None


CODE = Actor("code")


@dataclass(slots=True)
class Settings:
    """Switches of the account that change its behaviour."""

    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Europe/Moscow"))
    currency: str = "RUB"
    language: str = "RU"
    split_lines: bool = True  # the same offer may stand in several lines of an order
    free_lines: bool = True  # a line may have a name and no offer
    payments_as_list: bool = False  # as some recorded answers have it, instead of an object by id
    custom_fields_as_list: bool = False  # customFields is always []


class Account:
    """All data of one account; the modules beside this one work on it. Not thread-safe: the server holds one lock around it."""

    def __init__(self, sites: Collection[str] = ("shop",), clock: Callable[[], datetime] | None = None) -> None:
        self.clock = clock or (lambda: datetime.now(UTC))
        self.started = self.now()
        self.settings = Settings()
        self.keys: dict[str, Key] = {}
        self.references = reference.defaults(sites)
        self.users = reference.managers()
        self.groups = reference.user_groups(sites)
        self.custom_fields: dict[tuple[str, str], Json] = {}
        self.dictionaries: dict[str, Json] = {}
        self.modules: dict[str, Json] = {}
        self.files: dict[int, Json] = {}
        self.journals = {name: Journal(start) for name, start in _JOURNALS.items()}
        self.next_ids = dict(_FIRST_IDS)

    def new_id(self, kind: str) -> int:
        self.next_ids[kind] += 1
        return self.next_ids[kind]

    def now(self) -> datetime:
        return self.clock().astimezone(UTC).replace(microsecond=0)

    def today(self) -> str:
        return self.now().astimezone(self.settings.zone).date().isoformat()

    def shown(self, moment: datetime) -> str:
        return moment.astimezone(self.settings.zone).strftime("%Y-%m-%d %H:%M:%S")

    def moment(self, text: object) -> datetime:
        """The moment that a text in the account's zone means. Raises ValueError."""
        return datetime.fromisoformat(str(text).strip()).replace(tzinfo=self.settings.zone).astimezone(UTC)

    def dumps(self, value: Any) -> bytes:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=self._plain).encode()

    def _plain(self, value: Any) -> Any:
        if isinstance(value, Decimal):
            return int(value) if value == value.to_integral_value() else float(value)
        if isinstance(value, datetime):
            return self.shown(value)
        raise TypeError(type(value).__name__)

    def code(self, kind: str, code: object) -> Json | None:
        return self.references[kind].get(str(code))


_JOURNALS = {"orders": 7037, "customers": 2691, "customers-corporate": 4241, "packs": 228}
_FIRST_IDS = {
    "order": 2030,
    "item": 3600,
    "payment": 1400,
    "customer": 970,
    "address": 900,
    "company": 500,
    "contact": 700,
    "contact_company": 150,
    "pack": 120,
    "note": 40,
    "file": 20,
    "product": 828000,
    "offer": 20000,
    "group": 3600,
    "courier": 2,
    "currency": 1,
    "price-type": 1,
    "site": 1,
}


class Reader:
    """Reads fields of an incoming entity and collects what is wrong with them, by path."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.errors: dict[str, str] = {}

    def wrong(self, path: str, message: str = INVALID) -> None:
        self.errors.setdefault(path, message)

    def check(self) -> None:
        if self.errors:
            raise Refused(400, "Errors in the entity format", self.errors)

    def fields(self, schema: Mapping[str, str], data: Mapping[str, Any], into: Json, path: str = "") -> None:
        """Takes over what ``schema`` knows of ``data``: null and "" clear, absent ones stay."""
        for name, kind in schema.items():
            if name not in data:
                continue
            value = data[name]
            if value is None or value == "":
                into.pop(name, None)
                continue
            read = self.value(kind, value, path + name)
            if read is not None:
                into[name] = read

    def value(self, kind: str, value: Any, path: str) -> Any:
        """The value as kept, None after noting that it is wrong."""
        kind, _colon, what = kind.partition(":")
        if kind != "json" and isinstance(value, dict | list):
            if kind == "code" and isinstance(value, dict) and "code" in value:
                value = value["code"]
            else:
                return self.wrong(path)
        match kind:
            case "text":
                return str(value)
            case "number":
                return number(value) if number(value) is not None else self.wrong(path)
            case "int":
                return int(value) if re.fullmatch(r"-?\d+(\.0+)?", str(value)) else self.wrong(path)
            case "flag":
                return value not in (False, 0, "0", "false")
            case "date":
                try:
                    return date.fromisoformat(str(value)[:10]).isoformat()
                except ValueError:
                    return self.wrong(path)
            case "moment":
                try:
                    return self.account.moment(value)
                except ValueError:
                    return self.wrong(path)
            case "code":
                row = self.account.code(what, value)
                return str(value) if row is not None and row.get("active", True) else self.wrong(path)
            case "user":
                return int(value) if str(value).isdigit() and int(value) in self.account.users else self.wrong(path)
            case "json":
                return value
        raise LookupError(kind)


_NUMBERS: dict[str, Decimal] = {}


def number(value: object) -> Decimal | None:
    """A JSON number or a text with a dot; None when it is neither. Equal ones are one object: stocks repeat a lot."""
    if isinstance(value, bool):
        return None
    text = str(value).strip()
    known = _NUMBERS.get(text)
    if known is not None:
        return known
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    if not found.is_finite():
        return None
    if len(_NUMBERS) < 50_000:
        _NUMBERS[text] = found
    return found


def cents(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"))


def loads(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def php_map(value: Json) -> Json | list[Any]:
    """PHP writes a map without entries as an empty list."""
    return value or []


def without_nulls(value: Json) -> Json:
    return {k: v for k, v in value.items() if v is not None}
