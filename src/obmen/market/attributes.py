"""The mapping of attributes of goods (seed 000, F17): what a card there says, made of what the books say. Pure.

One table for everything that is told of goods: the cards that calls change (goods.py), the price list (feed.py), and the page that
shows one product as it will go out (``converted``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from obmen.core.contract import NeedsOwner
from obmen.core.records import Good, Property, decimal_text
from obmen.core.settings import Shape
from obmen.core.words import gettext_noop as _

AS_IT_IS, CONSTANT, TEMPLATE, MAP = "as is", "constant", "template", "map"
WORDS = {  # what a person may type into the column
    AS_IT_IS: AS_IT_IS, "as it is": AS_IT_IS, "як є": AS_IT_IS, "как есть": AS_IT_IS,
    CONSTANT: CONSTANT, "константа": CONSTANT, "стала": CONSTANT,
    TEMPLATE: TEMPLATE, "шаблон": TEMPLATE,
    MAP: MAP, "value map": MAP, "таблиця": MAP, "таблиця значень": MAP, "таблица": MAP, "таблица значений": MAP,
}  # fmt: skip

SHAPE = Shape(
    "rows",
    (
        ("theirs", _("Their attribute"), ""),
        ("ours", _("Attribute of ours"), ""),
        ("conversion", _("Conversion"), ""),
        ("value", _("Value"), ""),
        ("default", _("When it is empty"), ""),
    ),
)
COLUMNS = frozenset(key for key, _label, _subject in SHAPE.columns)

NO_JSON = _("Attributes of goods: the JSON cannot be read ({reason}); correct it, or fill in the table")
NO_ROWS = _(
    "Attributes of goods: expected a list “rows” of objects with “theirs” and “ours”; correct the JSON, or fill in the table"
)
BAD_COLUMN = _("Attributes of goods, row {row}: “{name}” is no column; there are {columns}")
NO_THEIRS = _("Attributes of goods, row {row}: their attribute is missing; write the name under which the marketplace knows it")
TWICE = _("Attributes of goods, row {row}: “{theirs}” stands in row {first} already; leave one of the two")
NO_SOURCE = _(
    "Attributes of goods, row {row} (“{theirs}”): name an attribute of ours, or a constant or template in the column “value”"
)
NO_WORD = _("Attributes of goods, row {row} (“{theirs}”): “{conversion}” is no conversion; there are {known}")
NO_VALUE = _("Attributes of goods, row {row} (“{theirs}”): the conversion “{conversion}” needs a value")
BAD_TEMPLATE = _(
    "Attributes of goods, row {row} (“{theirs}”): a brace in “{value}” has no counterpart; write a template like {{name}} {{article}}"
)
BAD_MAP = _(
    "Attributes of goods, row {row} (“{theirs}”): “{value}” is no table of values; write it like red = Червоний; blue = Синій"
)
NEEDLESS = _(
    "Attributes of goods, row {row} (“{theirs}”): a value stands there, but it is neither a template nor a table; name the conversion"
)

FROM_FIELD = _("the field “{name}” of the card")
FROM_PROPERTY = _("the property “{name}”")
FROM_REQUISITE = _("the requisite “{name}”")
FROM_CHARACTERISTIC = _("the characteristic “{name}”")
FROM_NOTHING = _("“{name}” says nothing")
FROM_CONSTANT = _("a constant")
FROM_TEMPLATE = _("the template “{template}”")
FROM_MAP = _("the table of values, for “{value}” of “{name}”")
NOT_IN_MAP = _("“{value}” of “{name}” is not in the table of values")
FROM_DEFAULT = _("the default, since “{name}” gives nothing")

FIELDS: Mapping[str, Callable[[Good], str | None]] = {
    "name": lambda g: g.offer.name or g.product.name,
    "product_name": lambda g: g.product.name,
    "full_name": lambda g: g.product.full_name,
    "article": lambda g: g.offer.article or g.product.article,
    "code": lambda g: g.product.code,
    "barcode": lambda g: g.offer.barcode or g.product.barcode,
    "key": lambda g: g.offer.key,
    "description": lambda g: g.product.description,
    "manufacturer": lambda g: g.product.manufacturer,
    "country": lambda g: g.product.country,
    "category": lambda g: g.product.category,
    "kind": lambda g: g.product.kind,
    "unit": lambda g: g.offer.unit or g.product.unit,
    "vat_rate": lambda g: g.product.vat_rate,
    "weight": lambda g: None if g.product.weight is None else decimal_text(g.product.weight),
}
FIELD_LABELS = (
    ("name", _("name")),
    ("product_name", _("name of the product, without the characteristic")),
    ("full_name", _("full name")),
    ("article", _("article")),
    ("code", _("code")),
    ("barcode", _("barcode")),
    ("key", _("id")),
    ("description", _("description")),
    ("manufacturer", _("manufacturer")),
    ("country", _("country")),
    ("category", _("category")),
    ("group", _("group")),
    ("kind", _("kind")),
    ("unit", _("unit")),
    ("vat_rate", _("VAT rate")),
    ("weight", _("weight")),
)
KINDS = ("property", "requisite", "characteristic")  # "property:Color" says which one is meant where several have the name
_HOLE = re.compile(r"\{([^{}]+)\}")
_SPACES = re.compile(r"[ \t\xa0]{2,}")


@dataclass(frozen=True, slots=True)
class Row:
    """One attribute of theirs. ``ours`` "": a constant or a template."""

    theirs: str
    ours: str = ""
    conversion: str = AS_IT_IS
    value: str = ""
    default: str = ""
    words: Mapping[str, str] = field(default_factory=dict)  # of a table of values, by ``_folded`` words of ours


@dataclass(frozen=True, slots=True)
class Line:
    """What one attribute of theirs becomes for one good: ``value`` "" is not told. ``whence`` is a gettext_noop sentence, to be
    formatted with ``facts``, that says where the value comes from."""

    theirs: str
    value: str
    whence: str
    facts: Mapping[str, str]


# --- the table ---------------------------------------------------------------------------------------------------------------


def rows_of(text: str) -> tuple[Row, ...]:
    """The table of a setting; () for an empty one. Raises NeedsOwner that names the row."""
    return _rows(text) if text.strip() else ()


@lru_cache(64)
def _rows(text: str) -> tuple[Row, ...]:
    try:
        said = json.loads(text)
    except ValueError as error:
        raise NeedsOwner(NO_JSON, reason=str(error)) from None
    listed = said.get("rows", []) if isinstance(said, dict) else said
    if not isinstance(listed, list) or (isinstance(said, dict) and set(said) - {"rows"}):
        raise NeedsOwner(NO_ROWS)
    rows: list[Row] = []
    places: dict[str, int] = {}
    for number, entry in enumerate(listed, 1):
        row = _row(number, entry)
        if row.theirs in places:
            raise NeedsOwner(TWICE, row=number, theirs=row.theirs, first=places[row.theirs])
        places[row.theirs] = number
        rows.append(row)
    return tuple(rows)


def _row(number: int, entry: Any) -> Row:
    if not isinstance(entry, dict):
        raise NeedsOwner(NO_ROWS)
    for name in entry:
        if name not in COLUMNS:
            raise NeedsOwner(BAD_COLUMN, row=number, name=name, columns=", ".join(sorted(COLUMNS)))
    theirs, ours, word, default = (str(entry.get(n) or "").strip() for n in ("theirs", "ours", "conversion", "default"))
    if not theirs:
        raise NeedsOwner(NO_THEIRS, row=number)
    raw = entry.get("value") or ""
    value = raw if isinstance(raw, dict) else str(raw).strip()
    conversion = WORDS.get(word.casefold()) if word else _meant(ours, value)
    about = {"row": number, "theirs": theirs}
    if word and conversion is None:
        raise NeedsOwner(NO_WORD, **about, conversion=word, known=", ".join((AS_IT_IS, CONSTANT, TEMPLATE, MAP)))
    if conversion is None:
        raise NeedsOwner(NEEDLESS, **about)
    if conversion in (AS_IT_IS, MAP) and not ours:
        raise NeedsOwner(NO_SOURCE, **about)
    if conversion != AS_IT_IS and not value:
        raise NeedsOwner(NO_VALUE, **about, conversion=word or conversion)
    words: dict[str, str] = {}
    if conversion == MAP:
        words = _words(value, about)
    elif isinstance(value, dict):
        raise NeedsOwner(NEEDLESS, **about)
    elif conversion == TEMPLATE and set(_HOLE.sub("", value)) & set("{}"):
        raise NeedsOwner(BAD_TEMPLATE, **about, value=value)
    return Row(theirs, ours, conversion, "" if conversion == MAP else str(value), default, words)


def _meant(ours: str, value: Any) -> str | None:
    """The conversion that nobody has named; None where it is not clear."""
    if not value:
        return AS_IT_IS
    if isinstance(value, dict) or (ours and "=" in value):
        return MAP
    if _HOLE.search(value):
        return TEMPLATE
    return None if ours else CONSTANT


def _words(value: Any, about: Mapping[str, Any]) -> dict[str, str]:
    if isinstance(value, dict):
        return {_folded(str(k)): str(v).strip() for k, v in value.items()}
    words = {}
    for pair in re.split(r"[;\n]", value):
        if not pair.strip():
            continue
        ours, sign, theirs = pair.partition("=")
        if not sign or not ours.strip():
            raise NeedsOwner(BAD_MAP, **about, value=pair.strip())
        words[_folded(ours)] = theirs.strip()
    return words


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


@lru_cache(1000)
def _meant_by(ours: str) -> tuple[str, str]:
    """(one of KINDS, or "" for any of them; name)."""
    kind, _sign, name = ours.partition(":")
    kind = kind.strip().lower()
    return (kind, name.strip()) if kind in KINDS and name.strip() else ("", ours)


# --- goods -------------------------------------------------------------------------------------------------------------------


class Words:
    """What the values of goods are called: properties by id, values of their dictionaries, groups. One for a whole run."""

    def __init__(self, properties: Sequence[Property] = (), groups: Mapping[str, str] | None = None) -> None:
        self._names = {p.key: p.name or p.key for p in properties}
        self._values = {p.key: dict(p.values) for p in properties if p.values}
        self._groups = groups or {}
        self._told = lru_cache(1000)(self._texts)  # the variants of a product share its properties
        self._text = lru_cache(10_000)(self.property)  # and products share most of them

    def group(self, good: Good) -> str:
        key = (good.product.groups or ("",))[0]
        return self._groups.get(key, "")

    def properties(self, good: Good) -> Sequence[tuple[str, str, str]]:
        """(id, name, text) of each that says something, the variant's own before its product's."""
        own, shared = self._told(good.offer.properties or ()), self._told(good.product.properties or ())
        if not own:
            return shared
        met = {key for key, _name, _text in own}
        return [*own, *(said for said in shared if said[0] not in met)]

    def _texts(self, properties: tuple[tuple[str, tuple[str, ...]], ...]) -> Sequence[tuple[str, str, str]]:
        found: dict[str, tuple[str, str, str]] = {}
        for said in properties:
            told = self._text(said)
            if told[2]:
                found.setdefault(told[0], told)
        return list(found.values())

    def property(self, said: tuple[str, tuple[str, ...]]) -> tuple[str, str, str]:
        """(id, name, text) of one; it says nothing when the text is empty."""
        key, values = said
        told = self._values.get(key, {})
        return key, self._names.get(key, key), ", ".join(filter(None, (told.get(v, v).strip() for v in values)))

    def find(self, good: Good, ours: str) -> tuple[str, str]:
        """(text, whence) of an attribute of ours; ("", FROM_NOTHING) when it says nothing."""
        if ours in FIELDS:
            text = (FIELDS[ours](good) or "").strip()
            return text, FROM_FIELD if text else FROM_NOTHING
        if ours == "group":
            text = self.group(good)
            return text, FROM_FIELD if text else FROM_NOTHING
        only, name = _meant_by(ours)
        for looked_for, look, whence in (
            ("characteristic", self._characteristic, FROM_CHARACTERISTIC),
            ("property", self._property, FROM_PROPERTY),
            ("requisite", self._requisite, FROM_REQUISITE),
        ):
            if only in ("", looked_for) and (text := look(good, name)):
                return text, whence
        return "", FROM_NOTHING

    def _characteristic(self, good: Good, name: str) -> str:
        found = ((n, v) for n, v in good.offer.characteristics or () if n.strip() == name and v.strip())
        return next((v.strip() for _n, v in found), "")

    def _property(self, good: Good, name: str) -> str:
        return next((text for key, title, text in self.properties(good) if name in (key, title)), "")

    def _requisite(self, good: Good, name: str) -> str:
        pairs = (pair for owner in (good.offer, good.product) for pair in owner.requisites or ())
        return next((v.strip() for n, v in pairs if n == name and v.strip()), "")


def converted(rows: Sequence[Row], good: Good, words: Words) -> list[Line]:
    """Every row of the table for one good, in its order, with where each value comes from; also those that tell nothing."""
    return [_line(row, good, words) for row in rows]


def told(rows: Sequence[Row], good: Good, words: Words) -> dict[str, str]:
    """{their attribute: value} of one good, without what is empty."""
    return {row.theirs: line.value for row in rows if (line := _line(row, good, words)).value}


def _line(row: Row, good: Good, words: Words) -> Line:
    value, whence, facts = _value(row, good, words)
    if not value and row.default:
        return Line(row.theirs, row.default, FROM_DEFAULT, {"name": row.ours or row.value})
    return Line(row.theirs, value, whence, facts)


def _value(row: Row, good: Good, words: Words) -> tuple[str, str, Mapping[str, str]]:
    if row.conversion == CONSTANT:
        return row.value, FROM_CONSTANT, {}
    if row.conversion == TEMPLATE:
        return filled(row.value, good, words), FROM_TEMPLATE, {"template": row.value}
    text, whence = words.find(good, row.ours)
    if row.conversion == MAP and text:
        there = row.words.get(_folded(text))
        return there or "", NOT_IN_MAP if there is None else FROM_MAP, {"name": row.ours, "value": text}
    return text, whence, {"name": _meant_by(row.ours)[1]}


def filled(template: str, good: Good, words: Words) -> str:
    """The template with its holes filled; "" when it has holes and none of them says anything."""
    holes: list[str] = []

    def fill(hole: re.Match[str]) -> str:
        holes.append(words.find(good, hole[1].strip())[0])
        return holes[-1]

    text = _SPACES.sub(" ", _HOLE.sub(fill, template)).strip()
    return "" if holes and not any(holes) else text
