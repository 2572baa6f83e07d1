"""Writes a YML feed as a stream: memory for the categories and one offer (and 8 bytes for each id), at any number of offers.

The dialect says which elements there are, in which order, and what the marketplace takes; what it has no element for is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

from obmen.core.contract import BadRecord, Met
from obmen.core.records import decimal_text
from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml.writer import attribute, encode, save, text
from obmen.formats.findings import ERROR, Ids
from obmen.formats.yml.dialect import Dialect
from obmen.formats.yml.model import Category, Currency, Header, OfferEntry, Param, PriceFrom
from obmen.formats.yml.pieces import (
    BAD_NUMBER,
    NO_CATEGORY_ID,
    NO_ID,
    TAIL,
    Written,
    clean,
    filled,
    given,
    parents_first,
    refuse,
    usable,
)
from obmen.formats.yml.reader import TEXTS
from obmen.formats.yml.rules import Fault, Names, faults, good_picture

HRYVNIA = Currency("UAH", "1")
CDATA = frozenset(("description", "description_ua", "docket", "docket_ua"))
NUMBERS = ("price", "old_price", "promo_price")
ZERO = Decimal(0)
PLAIN = Param("", "")[2:]  # of a param, behind its name and value
PARAMS = 10_000  # kept in memory of those that stood in a feed already: goods share most of what they say of themselves

ID, NAME, CATEGORY, URL, PICTURES, QUANTITY, PRESENCE, PARAM = map(
    OfferEntry._fields.index, ("id", "name", "category", "url", "pictures", "quantity", "presence", "params")
)  # places in the tuple

ID_TWICE = _("The offer {id} “{name}”: another one before has the same id: give each of the goods its own")
NO_CATEGORY = _("The offer {id} “{name}” is in none of the groups of the feed: put it into one, or add its group")

Refused = Callable[[Category | OfferEntry, BadRecord], None]


def write(
    stream: BinaryIO,
    dialect: Dialect,
    header: Header,
    categories: Iterable[Category],
    offers: Iterable[OfferEntry],
    refused: Refused | None = None,
    currencies: Iterable[Currency] = (HRYVNIA,),
    met: Met | None = None,
) -> Written:
    """One whole file. What breaks a rule of the dialect is told to ``refused`` and left out; without it the BadRecord is raised.

    Categories are put behind their parents; one whose parent is not among them becomes a root, so does one of a ring, and of one
    said twice the last counts. A quantity below zero is written as 0: there is none to sell. Of pictures and params that are more
    than the dialect's number the first ones are written, and only those that are taken there. ``met``: the ids and names that stood
    in another part of the file; those of this one are added.
    """
    if header.date is None:
        raise ValueError("a file needs its date")
    known: dict[str, Category] = {}
    for category in categories:
        key = clean(category.id)
        if key:
            known[key] = replace(category, id=key, name=clean(category.name) or key, parent=clean(category.parent))
        else:
            refuse(refused, category, BadRecord(NO_CATEGORY_ID, name=category.name))
    feed = _Feed(dialect, known, Ids() if met is None else met)
    count = 0

    def pieces() -> Iterator[str]:
        nonlocal count
        yield '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE yml_catalog SYSTEM "shops.dtd">\n'
        yield f'<yml_catalog date="{header.date:%Y-%m-%d %H:%M}"><shop>'
        yield f"<name>{text(clean(header.name))}</name><company>{text(clean(header.company))}</company>{filled('url', header.url)}\n"
        yield "<currencies>"
        for currency in currencies:
            yield f"<currency{given('id', currency.id)}{given('rate', currency.rate)}/>"
        yield "</currencies>\n<categories>\n"
        for category in parents_first(known):
            yield feed.category(category)
        yield "</categories>\n<offers>\n"
        for offer in offers:
            try:
                piece = feed.offer(offer)
            except BadRecord as error:
                refuse(refused, offer, error)
                continue
            count += 1
            yield piece
        yield TAIL

    save(stream, encode(pieces(), "utf-8"))
    return Written(len(known), count)


class _Feed:
    def __init__(self, dialect: Dialect, known: dict[str, Category], met: Met) -> None:
        self.dialect, self.known = dialect, known
        self.ids, self.names = met, Names(met)
        place = OfferEntry._fields.index
        self.texts = tuple((place(field), dialect.has(field), field in CDATA) for field in OfferEntry._fields if field in TEXTS)
        self.numbers = tuple((place(field), field) for field in NUMBERS if dialect.has(field))
        self.quantity, self.prices, self.dimensions = map(dialect.has, ("quantity", "prices", "dimensions"))
        self.attributes = tuple((place(field), name) for field, name in dialect.attributes.items())
        elements = ((field, spelt[0]) for field, spelt in dialect.names.items() if field not in dialect.attributes)
        self.elements = tuple((place(field), f"<{tag}>", f"</{tag}>", _written(field)) for field, tag in elements)
        self.tag = dialect.names.get("params", ("",))[0]
        self.end = f"</{self.tag}>"
        self.start = lru_cache(PARAMS)(lambda name: f'<{self.tag} name="{attribute(name)}">')
        self.param = lru_cache(PARAMS)(self._param)

    def category(self, category: Category) -> str:
        parent = given("parentId", category.parent)
        portal = given(self.dialect.portal[0], category.portal) if self.dialect.portal else ""
        return f'<category id="{attribute(category.id)}"{parent}{portal}>{text(category.name)}</category>\n'

    def offer(self, offer: OfferEntry) -> str:
        """Raises BadRecord."""
        said, params = self.tidy(offer)
        for fault in faults(said, self.dialect, tidied=True):
            if fault.level == ERROR:
                raise self.bad(said, fault)
        if self.dialect.rules.declared_category and said.category not in self.known:
            raise BadRecord(NO_CATEGORY, id=said.id, name=said.name)
        key = f"id\0{said.id}"
        if key in self.ids:
            raise BadRecord(ID_TWICE, id=said.id, name=said.name)
        if self.dialect.rules.unique_names:
            for fault in self.names.faults(said):
                if fault.level == ERROR:
                    raise self.bad(said, fault)
        self.ids.add(key)
        return self.piece(said, params)

    def bad(self, offer: OfferEntry, fault: Fault) -> BadRecord:
        return BadRecord(fault.text, **fault.facts, offer=f"{offer.id} “{offer.name}”")

    def tidy(self, offer: OfferEntry) -> tuple[OfferEntry, Sequence[str]]:
        """As it will be read again: without what the dialect has no place for, and without white space around; and the elements of
        its params."""
        dialect, rules = self.dialect, self.dialect.rules
        said: list[Any] = list(offer)
        for at, written, section in self.texts:
            value = said[at]
            if value:
                tidied = clean(value) if written else ""
                if section and "\r" in tidied:
                    tidied = tidied.replace("\r\n", "\n").replace("\r", "\n")
                said[at] = tidied
        key, name = clean(offer.id), said[NAME]
        if not key:
            raise BadRecord(NO_ID, name=name)
        said[ID] = key

        for at, field in self.numbers:
            value = said[at]
            if value is not None and not usable(value):
                raise self.unusable(offer, field, value)
        quantity = offer.quantity
        if quantity is not None and self.quantity and not usable(quantity):
            if not quantity.is_finite():
                raise self.unusable(offer, "quantity", quantity)
            said[QUANTITY] = ZERO
        if self.dimensions:
            for side in offer.dimensions or ():
                if not usable(side):
                    raise self.unusable(offer, "dimensions", side)
        if self.prices:
            for price in offer.prices:
                for value in (price.value, price.quantity):
                    if not usable(value):
                        raise self.unusable(offer, "prices", value)
        if offer.url:
            said[URL] = encoded(said[URL])
        if offer.category and not rules.declared_category and said[CATEGORY] not in self.known:
            said[CATEGORY] = ""
        if offer.pictures:
            pictures = dict.fromkeys([encoded(clean(url)) for url in offer.pictures])
            said[PICTURES] = tuple([url for url in pictures if good_picture(url, dialect)][: rules.pictures or None])
        params = [found for found in map(self.param, offer.params) if found is not None]
        if rules.params:
            del params[rules.params :]
        said[PARAM] = tuple([param for param, _element in params])
        return OfferEntry._make(said), [element for _param, element in params]

    def unusable(self, offer: OfferEntry, field: str, value: Decimal) -> BadRecord:
        element = self.dialect.names[field][0]
        return BadRecord(BAD_NUMBER, id=clean(offer.id), name=clean(offer.name), element=element, found=str(value))

    def _param(self, param: Param) -> tuple[Param, str] | None:
        """(what the dialect takes of it, its element); None when it tells nothing."""
        if param[2:] == PLAIN:  # nearly all of them
            name, value = clean(param.name), clean(param.value)
            if not name or not value:
                return None
            return Param(name, value), f"{self.start(name)}{text(value)}{self.end}"
        name, value, unit, value_ua, key, value_id = map(clean, param)
        dialect = self.dialect
        if not dialect.languages:
            value, value_ua = value or value_ua, ""
        if not dialect.ids:
            key = value_id = ""
        if not name or not (value or value_ua):
            return None
        tidied = Param(name, value, unit if dialect.unit else "", value_ua, key, value_id)
        return tidied, _param(self.tag, tidied)

    def piece(self, offer: OfferEntry, params: Sequence[str]) -> str:
        parts = [f'<offer id="{attribute(offer.id)}"']
        for at, name in self.attributes:
            value: Any = offer[at]
            if value:
                parts.append(f' {name}="{attribute(self.dialect.available[value] if at == PRESENCE else value)}"')
        parts.append(">")
        for at, start, end, written in self.elements:
            value = offer[at]
            if not value and value != 0:  # a number is said when it is 0; the others are not said when they are empty
                continue
            if at == PARAM:
                parts += params
            elif written is None:
                parts += [f"{start}{text(url)}{end}" for url in value]
            else:
                parts += (start, written(value), end)
        parts.append("</offer>\n")
        return "".join(parts)


def _written(field: str) -> Callable[[Any], str] | None:
    """How the value of a field stands in its element; None for pictures, which have an element each. Params are written by ``_Feed``."""
    if field in CDATA:
        return cdata
    if field in TEXTS:
        return text
    if field == "pictures":
        return None
    if field == "prices":
        return lambda value: "".join(map(_price, value))
    if field == "dimensions":
        return lambda value: "/".join(map(decimal_text, value))
    return decimal_text


def cdata(value: str) -> str:
    """A section that nothing can end early: ``]]>`` stands half in one and half in the next."""
    return f"<![CDATA[{value.replace(']]>', ']]]]><![CDATA[>')}]]>"


def encoded(url: str) -> str:
    """The address with spaces and letters that are not ASCII as %XX; one with such a host stays as it is."""
    if url.isascii() and " " not in url:
        return url
    try:
        host = urlsplit(url).netloc
    except ValueError:
        return url
    return quote(url, safe="%/:?#[]@!$&'()*+,;=~") if host.isascii() and " " not in host else url


def _param(tag: str, param: Param) -> str:
    unit, key, value_id = given("unit", param.unit), given("paramid", param.id), given("valueid", param.value_id)
    start = f'<{tag} name="{attribute(param.name)}"{unit}{key}{value_id}>'
    if not param.value_ua:
        return f"{start}{text(param.value)}</{tag}>"
    russian = f'<value lang="ru">{text(param.value)}</value>' if param.value else ""
    return f'{start}<value lang="uk">{text(param.value_ua)}</value>{russian}</{tag}>'


def _price(price: PriceFrom) -> str:
    return f"<price><value>{decimal_text(price.value)}</value><quantity>{decimal_text(price.quantity)}</quantity></price>"
