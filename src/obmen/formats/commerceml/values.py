"""Texts of CommerceML into values: numbers, truth, dates, currencies, VAT rates, units.

Every function takes the text as the sender wrote it and strips padding itself (1C pads fixed-length strings with spaces, some
write NBSP). An empty text gives None: *not said*. A text that is no such value raises ValueError with an English sentence.
Spellings were collected from files of 1C:UT 11, 1C:UNF 3.0, Bitrix, CS-Cart, WooCommerce, MoySklad and Class365.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache

LONGEST_NUMBER = 60  # digits; the XSD allows 18, a longer text is an attack or rubbish

_SPACES = dict.fromkeys(map(ord, " \t\n\r\xa0\u2007\u2009\u202f'’"))
_PLAIN_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?", re.ASCII)

TRUE = frozenset(("true", "1", "да", "так", "истина", "yes", "y"))
FALSE = frozenset(("false", "0", "нет", "ні", "ложь", "no", "n"))


def decimal(text: str | None) -> Decimal | None:
    """``8186.8400``, ``1 234,50``, ``-999 999 999,9``, ``1.0E7`` (MoySklad writes Java's numbers) as an exact Decimal.

    A lone comma is a decimal comma. With both signs the last one is the decimal sign and the other groups thousands.
    """
    if text is None:
        return None
    text = text.strip()
    if not text:
        return None
    if len(text) < LONGEST_NUMBER:
        if text.isascii() and text.replace(".", "", 1).isdigit():
            return Decimal(text)
        plain = text.translate(_SPACES).replace("\u2212", "-")
        comma, dot = plain.count(","), plain.count(".")
        if comma or dot > 1:
            plain = _with_dot(plain, comma, dot)
        if _PLAIN_NUMBER.fullmatch(plain):
            try:
                return Decimal(plain)
            except InvalidOperation:
                pass
    raise ValueError(f"{text[:80]!r} is not a number")


def _with_dot(text: str, commas: int, dots: int) -> str:
    """The same number with a decimal dot and no groups; "" when the signs make no sense."""
    if commas and dots:
        group, sign = (",", ".") if text.rindex(".") > text.rindex(",") else (".", ",")
    elif commas == 1:
        group, sign = ".", ","
    else:
        group, sign = ("," if commas else "."), ""
    whole, _sign, rest = text.partition(sign) if sign else (text, "", "")
    first, *groups = whole.lstrip("+-").split(group)
    if groups and not (1 <= len(first) <= 3 and all(len(part) == 3 for part in groups)):
        return ""
    return whole.replace(group, "") + (f".{rest}" if sign else "")


def boolean(text: str | None) -> bool | None:
    word = (text or "").strip().casefold()
    if not word:
        return None
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise ValueError(f"{word[:80]!r} is neither true nor false")


_DATE = r"(?:(?P<y>\d{4})[-./](?P<m>\d{1,2})[-./](?P<d>\d{1,2})|(?P<d2>\d{1,2})[-./](?P<m2>\d{1,2})[-./](?P<y2>\d{4}))"
_TIME = r"(?P<H>\d{1,2})[:.](?P<M>\d{1,2})(?:[:.](?P<S>\d{1,2})(?:[.,](?P<f>\d{1,9}))?)?"
_ZONE = r"(?P<z>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)"
# WooCommerce's module lets PHP print the zone's short name where the "T" belongs: 2015-01-01UTC12:00:00
_MOMENT = re.compile(rf"{_DATE}(?:(?:T|,?\s+|\s*(?P<name>[A-Z]{{2,5}})\s*){_TIME})?\s*{_ZONE}?", re.ASCII)
_CLOCK = re.compile(rf"(?P<name>[A-Z]{{1,5}})?{_TIME}\s*{_ZONE}?", re.ASCII)
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T?(\d\d)(\d\d)(\d\d))?", re.ASCII)
_GREENWICH = ("Z", "UTC", "GMT")


def moment(text: str | None) -> dt.datetime | None:
    """A date with or without time: aware when the sender gave an offset, else naive (local time of the sender).

    1C's empty date 0001-01-01 gives None.
    """
    if text is None:
        return None
    text = text.strip()
    if not text:
        return None
    found = _MOMENT.fullmatch(text)
    if found is None:
        compact = _COMPACT.fullmatch(text)
        if compact is None:
            raise ValueError(f"{text[:80]!r} is not a date")
        numbers = [int(part or 0) for part in compact.groups()]
        value = dt.datetime(*numbers)  # type: ignore[arg-type]  # noqa: DTZ001  the sender's zone is not known here
        return value if value.year > 1 else None
    part = found.groupdict()
    year, month, day = (int(part[k] or part[f"{k}2"]) for k in "ymd")
    value = dt.datetime.combine(dt.date(year, month, day), _time_of(part))
    return value if year > 1 else None


def date(text: str | None) -> dt.date | None:
    value = moment(text)
    return value.date() if value else None


def time(text: str | None) -> dt.time | None:
    """``18:45:21``, ``9:05:07``; a full date with time (some senders write one into Время) gives its time."""
    if text is None:
        return None
    text = text.strip()
    if not text:
        return None
    found = _CLOCK.fullmatch(text)
    if found:
        return _time_of(found.groupdict())
    if len(text) > 8:
        try:
            value = moment(text)
        except ValueError:
            value = None
        if value:
            return value.timetz()
    raise ValueError(f"{text[:80]!r} is not a time")


def _time_of(part: dict[str, str | None]) -> dt.time:
    zone = part["z"] or (part["name"] if part["name"] in _GREENWICH else None)
    offset: dt.tzinfo | None = None
    if zone in _GREENWICH:
        offset = dt.UTC
    elif zone:
        digits = zone[1:].replace(":", "").ljust(4, "0")
        away = dt.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        offset = dt.timezone(-away if zone[0] == "-" else away)
    if part["H"] is None:
        return dt.time(tzinfo=offset)
    micro = int((part["f"] or "0").ljust(6, "0")[:6])
    return dt.time(int(part["H"]), int(part["M"] or 0), int(part["S"] or 0), micro, tzinfo=offset)


def utc(value: dt.datetime | None, zone: dt.tzinfo) -> dt.datetime | None:
    """Aware UTC; a naive value is the local time of ``zone`` (1C writes local times without an offset). None as well for what lies
    outside of the calendar then: the last evening of the year 9999 west of Greenwich."""
    if value is None:
        return None
    try:
        return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(dt.UTC)
    except OverflowError:
        return None


_CURRENCIES = {
    "RUB": "rub rur руб руб. р р. рубль рублей рос.руб. 643 810 ₽",
    "UAH": "uah грн грн. гривна гривня гривень ₴ 980",
    "USD": "usd $ долл долл. доллар us$ 840",
    "EUR": "eur € евро євро 978",
    "BYN": "byn byr бел.руб. br 933 974",
    "KZT": "kzt тг тг. тенге ₸ 398",
    "PLN": "pln zł zl 985",
    "GBP": "gbp £ 826",
    "CNY": "cny ¥ юань 156",
    "UZS": "uzs сум 860",
    "KGS": "kgs сом 417",
    "AMD": "amd драм ֏ 051",
    "AZN": "azn манат ₼ 944",
    "GEL": "gel лари ₾ 981",
    "MDL": "mdl лей 498",
    "TRY": "try ₺ 949",
}
CURRENCIES = {alias: code for code, aliases in _CURRENCIES.items() for alias in aliases.split()}


def currency(text: str | None) -> str:
    """The ISO code of a currency by any name that 1C users give it; a name we do not know is returned as said."""
    said = (text or "").strip()
    return CURRENCIES.get(said.casefold(), said)


_RATE = re.compile(r"(\d{1,2}(?:[.,]\d+)?)", re.ASCII)
_NO_VAT = ("без", "не облаг", "необлаг", "неоподатк", "не оподатк")


@lru_cache(1024)
def vat(text: str | None) -> str | None:
    """``20``, ``20%``, ``20/120``, ``20.00``, ``НДС 20%`` → "20"; ``Без НДС`` → "none", which is not "0"; unknown → None."""
    said = (text or "").strip().casefold()
    if not said:
        return None
    if said in ("-", "—", "none", "no") or said.startswith(_NO_VAT):
        return "none"
    found = _RATE.search(said)
    if not found:
        return None
    rate = found.group(1).replace(",", ".")
    return rate.rstrip("0").rstrip(".") if "." in rate else rate


def unit(text: str | None) -> str:
    """A unit's name, code or id without padding: ``"796 "`` → "796"."""
    return (text or "").strip()
