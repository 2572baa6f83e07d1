"""Reads a YML feed as a stream: memory for the categories' level and one offer, in any encoding, with or without a DOCTYPE.

A DOCTYPE that names ``shops.dtd`` is usual in YML (§4's samples have it); it is passed over before libxml2 sees anything, and
nothing is ever loaded. One that declares something itself is refused, as it is everywhere in ``formats``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

from obmen.core.contract import BadRecord
from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml.reader import line_of, name_of, opened
from obmen.formats.commerceml.records import local
from obmen.formats.yml.checks import NUMBER, PRICE, SIDES
from obmen.formats.yml.dialect import ANY, Dialect, built_in
from obmen.formats.yml.model import Category, Currency, Header, OfferEntry, Param, PriceFrom
from obmen.formats.yml.stream import category_name, check_root, elements, number, sides, source, text_of

DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?", re.ASCII)

NO_ID = _("{file}:{line}: an offer without an id; expected <offer id=…>")
NOT_A_VALUE = _("{file}:{line}: {element} of the offer {id} is “{found}”; expected {expected}")
PRESENCE = _("true or false")
CDATA = _("text inside <![CDATA[ ]]>")

TEXTS = frozenset(field for field in OfferEntry._fields if OfferEntry._field_defaults.get(field, "") == "") - {"id", "presence"}
PRICES = frozenset(("price", "old_price", "promo_price"))

# (field, element, text, expected)
Wrong = Callable[[str, Any, str, str], None]
Unknown = Callable[[str, Any], None]


def read(
    file: Path | BinaryIO, dialect: Dialect | None = None, name: str = ""
) -> Iterator[Header | Currency | Category | OfferEntry | BadRecord]:
    """The header as the first of them begins, then currencies, categories and offers in the order of the file.

    Without a dialect every known spelling is taken. An offer without an id, or with something else where a number belongs, is a
    BadRecord (facts: file, line, element) in its place. Raises BadDocument, after everything before the fault.
    """
    dialect = dialect or built_in()[ANY]
    name = name or name_of(file)
    with opened(file) as opened_file:
        document = source(opened_file, name)
        check_root(document)
        given: set[Currency] | None = None
        for place, el in elements(document):
            if place in ("categories", "offers"):
                before = list(el.itersiblings(preceding=True))[::-1]  # what stands behind may be there already, or not yet
                if given is None:
                    given = set()
                    yield header(el.getparent(), before)
                for currency in currencies(before):
                    if currency not in given:
                        given.add(currency)
                        yield currency
            elif place == "category":
                yield category(el, dialect)
            elif place == "offer":
                try:
                    yield _offer(el, dialect, name)
                except BadRecord as error:
                    yield error


def header(shop: Any, before: list[Any]) -> Header:
    said = {local(child.tag): text_of(child) for child in before}
    date = (shop.getparent().get("date") or "").strip()
    return Header(said.get("name", ""), said.get("company", ""), moment(date), said.get("url", ""))


def currencies(before: list[Any]) -> Iterator[Currency]:
    for child in before:
        if local(child.tag) == "currencies":
            for el in child:
                yield Currency((el.get("id") or "").strip(), (el.get("rate") or "").strip())


def moment(text: str) -> datetime | None:
    """``YYYY-MM-DD HH:MM``, with seconds or without, as local time; None for anything else, the 30th of February too."""
    if DATE.fullmatch(text):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    return None


def category(el: Any, dialect: Dialect) -> Category:
    portal = next(filter(None, ((el.get(name) or "").strip() for name in dialect.portal)), "")
    return Category((el.get("id") or "").strip(), category_name(el), (el.get("parentId") or "").strip(), portal)


def _offer(el: Any, dialect: Dialect, file: str) -> OfferEntry:
    if not (el.get("id") or "").strip():
        raise BadRecord(NO_ID, file=file, line=line_of(el), element="offer")

    def wrong(_field: str, child: Any, found: str, expected: str) -> None:
        key = (el.get("id") or "").strip()
        raise BadRecord(
            NOT_A_VALUE, file=file, line=line_of(child), element=local(child.tag), id=key, found=found[:80], expected=expected
        )

    return offer(el, dialect, wrong)


def offer(el: Any, dialect: Dialect, wrong: Wrong, unknown: Unknown | None = None) -> OfferEntry:
    """What the offer says in its dialect. ``wrong`` is told each value that cannot be understood, which is then not said;
    ``unknown`` each element and @attribute that the dialect does not have."""
    said: dict[str, tuple[int, Any, str]] = {}  # field → (rank, element, text)
    many: dict[str, list[Any]] = {"pictures": [], "params": [], "prices": []}
    for field, attribute in dialect.attributes.items():
        text = el.get(attribute)
        if text is not None and (text.strip() or field == "presence"):
            said[field] = (-1, el, text.strip())
    for child in el:
        tag = local(child.tag)
        place = dialect.places.get(tag)
        if place is None:
            if unknown is not None:
                unknown(tag, child)
            continue
        field, rank = place
        if field in many:
            many[field].append(child)
            continue
        text = text_of(child)
        if len(child) and field in TEXTS:
            wrong(field, child, f"<{local(child[0].tag)}>", CDATA)
            text = "".join(child.itertext()).strip()
        if text and (field not in said or said[field][0] > rank):
            said[field] = (rank, child, text)
    if unknown is not None:
        for name in el.attrib:
            if name != "id" and name not in dialect.attributes.values():
                unknown(f"@{name}", el)
    entry: dict[str, Any] = {}
    for field, (_rank, child, text) in said.items():
        if field in TEXTS:
            entry[field] = text
        elif field == "presence":
            entry[field] = dialect.presences.get(text.lower(), "")
            if not entry[field]:
                wrong(field, child, text, PRESENCE)
        else:
            value = _sides(text) if field == "dimensions" else _number(text)
            if value is None:
                wrong(field, child, text, SIDES if field == "dimensions" else PRICE if field in PRICES else NUMBER)
            else:
                entry[field] = value
    entry.setdefault("name", "")
    pictures = tuple(filter(None, map(text_of, many["pictures"])))
    params = tuple(_param(child, dialect) for child in many["params"])
    prices = tuple(_prices(many["prices"], wrong))
    return OfferEntry((el.get("id") or "").strip(), pictures=pictures, params=params, prices=prices, **entry)


def _number(text: str) -> Decimal | None:
    """None for what is no number of 0 or more."""
    try:
        value = number(text)
    except ValueError:
        return None
    return value if value >= 0 else None


def _sides(text: str) -> tuple[Decimal, Decimal, Decimal] | None:
    try:
        found = sides(text)
    except ValueError:
        return None
    return found if min(found) >= 0 else None


def _prices(elements: list[Any], wrong: Wrong) -> Iterator[PriceFrom]:
    for prices in elements:
        for price in prices:
            parts = {local(part.tag): (part, text_of(part)) for part in price}
            found = []
            for name in ("value", "quantity"):
                part, text = parts.get(name, (price, ""))
                value = _number(text)
                if value is None:
                    wrong("prices", part, text, NUMBER)
                else:
                    found.append(value)
            if len(found) == 2:
                yield PriceFrom(*found)


def _param(el: Any, dialect: Dialect) -> Param:
    def attribute(name: str, taken: bool = True) -> str:
        return (el.get(name) or "").strip() if taken else ""

    value, value_ua = text_of(el), ""
    if dialect.languages:
        for child in el:
            if local(child.tag) == "value":
                text = text_of(child)
                if (child.get("lang") or "").strip().lower() in ("uk", "ua"):
                    value_ua = value_ua or text
                else:
                    value = value or text
    return Param(
        attribute("name"),
        value,
        attribute("unit", dialect.unit),
        value_ua,
        attribute("paramid", dialect.ids),
        attribute("valueid", dialect.ids),
    )
