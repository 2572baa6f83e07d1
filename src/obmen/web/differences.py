"""What a preview found, in words: fields by their labels, money and dates in the reader's way, references by their names, and whose
word the old value is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db.models import Q
from django.utils import formats, timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _

from obmen.core.records import Kind, Subject
from obmen.store import models
from obmen.web import labels
from obmen.web.templatetags.obmen import amount, money

LONG = 160  # characters of a value that are shown at once; the rest behind a toggle
VERSIONS = 2_000  # of the records of one page that are looked through
REFERRED = {  # fields whose values are keys of references
    "state": Subject.ORDER_STATE,
    "warehouse": Subject.WAREHOUSE,
    "organisation": Subject.ORGANISATION,
    "manager": Subject.MANAGER,
    "cancel_reason": Subject.CANCEL_REASON,
}
MONEY = frozenset({"total", "discount", "amount", "price"})
KEPT_AS = {Kind.VARIANT: "offer", Kind.PRICES: "offer", Kind.STOCK: "offer"}  # the kind whose history a record has
PART = re.compile(r"(price|stock) ?(.*)", re.S)


@dataclass(slots=True)
class Field:
    """One field of a difference. ``before`` says whose word the old value was; "" where that is not known."""

    label: str
    old: str
    new: str
    before: str = ""

    @property
    def is_long(self) -> bool:
        return max(len(self.old), len(self.new)) > LONG

    @property
    def old_short(self) -> str:
        return _cut(self.old)

    @property
    def new_short(self) -> str:
        return _cut(self.new)


def _cut(text: str) -> str:
    return text if len(text) <= LONG else text[: LONG - 1] + "…"


def dress(rows: Sequence[models.RunResult], connection: models.Connection, fields: Iterable[str] = ()) -> Names:
    """Give each row ``fields``, in a few queries for all of them. Returns the names, which know ``fields`` as well."""
    names = Names(connection, [*rows, models.RunResult(changes=dict.fromkeys(fields, (None, None)))])
    before = _words_before(rows)
    for row in rows:
        told = (
            before.get((KEPT_AS.get(Kind(row.kind), row.kind), row.record_id), {}) if row.compared == "books" and row.kind else {}
        )
        row.fields = [
            Field(
                names.label(name),
                names.value(name, old),
                names.value(name, new),
                "" if old in (None, "", [], {}) else told.get(name, told.get("", "")),
            )
            for name, (old, new) in (row.changes or {}).items()
        ]
    return names


class Names:
    """The words for what stands in the changes of these rows."""

    def __init__(self, connection: models.Connection, rows: Iterable[models.RunResult]) -> None:
        wanted: set[tuple[str, str]] = set()
        ids: set[int] = set()
        groups: set[str] = set()
        for row in rows:
            for name, pair in (row.changes or {}).items():
                for subject, key in _referred(name, pair):
                    if key.startswith("#"):
                        ids.add(int(key[1:]))
                    elif key:
                        wanted.add((subject, key))
                if name in ("groups", "product.groups"):
                    groups |= {key for value in pair if isinstance(value, list) for key in value if isinstance(key, str)}
        self._names = _references(connection, wanted, ids)
        self._groups = dict(models.Group.objects.filter(key__in=groups).values_list("key", "name")) if groups else {}

    def label(self, name: str) -> str:
        if name.startswith("product."):
            return _("product: %(field)s") % {"field": self.label(name.removeprefix("product."))}
        part = PART.fullmatch(name)
        if part:
            subject, word = (Subject.PRICE_KIND, _("price")) if part[1] == "price" else (Subject.WAREHOUSE, _("stock"))
            return f"{word}, {self._names.get((subject, part[2]), part[2])}" if part[2] else word
        return labels.field(name)

    def value(self, name: str, value: Any) -> str:
        name = name.removeprefix("product.")
        if value in (None, "", [], {}):
            return "–"
        if isinstance(value, bool):
            return _("yes") if value else _("no")
        if name in REFERRED:
            return self._names.get((REFERRED[name], str(value)), str(value))
        if name == "groups" and isinstance(value, list):
            return ", ".join(self._groups.get(str(key), str(key)) for key in value)
        if name in MONEY or name.startswith("price"):
            return _number(value, money)
        if name.startswith("stock") or name == "weight":
            return _number(value, amount)
        if name in ("lines", "payments", "shipments") and isinstance(value, list):
            return "; ".join(_part(name, part) for part in value)
        return _plain(value)


def _referred(name: str, pair: Sequence[Any]) -> list[tuple[str, str]]:
    name = name.removeprefix("product.")
    part = PART.fullmatch(name)
    if part:
        return [(Subject.PRICE_KIND if part[1] == "price" else Subject.WAREHOUSE, part[2])]
    return [(REFERRED[name], str(value)) for value in pair if value] if name in REFERRED else []


def _references(connection: models.Connection, wanted: set[tuple[str, str]], ids: set[int]) -> dict[tuple[str, str], str]:
    """{(subject, key or #id): name}; a key is one of theirs where they have a link to it, else one of ours."""
    if not wanted and not ids:
        return {}
    external = [f"{subject}:{key}" for subject, key in wanted]
    linked = dict(
        models.Link.objects.filter(connection=connection, kind=Kind.REFERENCE, external_id__in=external).values_list(
            "external_id", "record_id"
        )
    )
    rows = models.Reference.objects.filter(
        Q(pk__in={*linked.values(), *ids}) | Q(subject__in={s for s, _key in wanted}, key__in={key for _s, key in wanted})
    )
    found = {(row.subject, row.key): row.name or row.key for row in rows}
    by_id = {row.pk: row for row in rows}
    for word, pk in linked.items():
        subject, _colon, key = word.partition(":")
        if pk in by_id:
            found[subject, key] = by_id[pk].name or key
    return found | {(by_id[pk].subject, f"#{pk}"): by_id[pk].name for pk in ids if pk in by_id}


def _number(value: Any, shown: Any) -> str:
    try:
        return str(shown(Decimal(str(value))))
    except InvalidOperation:
        return str(value)


def _part(name: str, part: Any) -> str:
    if not isinstance(part, Mapping):
        return _plain(part)
    if name == "lines":
        text = f"{part.get('name') or part.get('article') or part.get('offer')} × {amount(part.get('quantity'))}"
        return f"{text} = {money(part.get('total'))}"
    if name == "payments":
        paid = _("paid") if part.get("paid") else _("not paid")
        return " ".join(filter(None, (money(part.get("amount")), str(part.get("method") or ""), f"({paid})")))
    return " ".join(str(part.get(key)) for key in ("method", "tracking", "number") if part.get(key)) or _plain(part)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        shown = (
            (labels.field(str(key)), _plain(inner)) for key, inner in value.items() if inner not in (None, "", [], {}, False)
        )
        return "; ".join(f"{key}: {text}" for key, text in shown)
    if isinstance(value, list):
        if all(isinstance(v, list) and len(v) == 2 for v in value):  # named values
            return "; ".join(f"{key}: {_plain(inner)}" for key, inner in value)
        return ", ".join(_plain(v) for v in value)
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d", value):
        return _moment(value)
    return "–" if value is None else str(value)


def _moment(text: str) -> str:
    try:
        at = parse_datetime(text)
        if at is not None:
            local = timezone.localtime(at) if timezone.is_aware(at) else at
            return formats.date_format(local, "j.m.Y H:i") if isinstance(local, datetime) else text
        day = parse_date(text)
    except ValueError:
        return text
    return formats.date_format(day, "j.m.Y") if day else text


def _words_before(rows: Sequence[models.RunResult]) -> dict[tuple[str, int], dict[str, str]]:
    """Whose word the fields of these records are: {(kind, record id): {field: system or "edited here"}}, "" for those that are as
    they were when the record came."""
    kinds = {KEPT_AS.get(Kind(row.kind), row.kind) for row in rows if row.compared == "books" and row.record_id}
    ids = {row.record_id for row in rows if row.compared == "books" and row.record_id}
    if not ids:
        return {}
    history = models.RecordChange.objects.filter(record_kind__in=kinds, record_id__in=ids).order_by("-id")
    versions = history.values_list("record_kind", "record_id", "run_id", "run__connection__name", "changes")[:VERSIONS]
    found: dict[tuple[str, int], dict[str, str]] = {}
    for kind, pk, run, system, changes in versions:
        word = (system or "") if run else _("edited here")
        told = found.setdefault((kind, pk), {})
        for name in changes if changes else ("",):
            told.setdefault(name, word)
    return found
