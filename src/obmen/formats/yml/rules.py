"""What a marketplace does not take of an offer: asked by the writer before it writes, and by the validator of what it has read.

Pure. Each sentence wants the fact ``offer``, by which its reader finds the goods.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from obmen.core.contract import Met
from obmen.core.words import gettext_noop as _
from obmen.formats.findings import ERROR, WARNING, Ids
from obmen.formats.yml.checks import URL
from obmen.formats.yml.dialect import Dialect
from obmen.formats.yml.model import NOT_AVAILABLE, SELLING_TYPES, OfferEntry

DOCUMENT, FRAME, NO_ID, ID_TWICE, CATEGORY, TREE, PRICE, NAME, LENGTH = (f"Y{n:02}" for n in range(1, 10))
NAME_TWICE, CURRENCY, VENDOR, PICTURES, ADDRESS, DATE, DESCRIPTION = (f"Y{n}" for n in range(10, 17))
STOCK, PARAMS, KEYWORDS, NOT_TAKEN, LANGUAGES, VALUE, ID_LETTERS, GONE = (f"Y{n}" for n in range(17, 25))

MISSING = _("{offer}: {child} is missing or empty; expected {expected}")
TOO_LONG = _("{offer}: {child} is {length} characters long; expected no more than {limit}")
TOO_MANY = _("{offer}: {count} times {child}; expected no more than {limit}")
NOT_A_VALUE = _("{offer}: {child} is “{found}”; expected {expected}")
NOT_A_BRAND = _("{offer}: “{found}” is no brand; expected the real one")
BAD_PICTURE = _("{offer}: the picture {found} is not taken; expected {expected}")
LINK = _("{offer}: {child} holds “{found}”; expected no links and no contacts")
HALF = _("{offer}: {child} is said without {other}, and would be passed over; expected both")
SOLD_OUT = _("{offer}: available is false with {found} in stock, and the stock decides; expected 0, or true")
LONG_KEYWORD = _("{offer}: the keyword “{found}” is {length} characters long; expected no more than {limit}")
BARE_PARAM = _("{offer}: a param without {child}, which is passed over; expected a name and a value")
SAME_NAME = _("{offer}: another offer before has the name “{found}” too; expected a different name for each")
NEARLY_SAME_NAME = _(
    "{offer}: another offer before has the name “{found}” too, but for what stands in brackets, and that may not count; "
    "expected names that differ outside of them"
)

# field → its rule, and what is expected where it is required
REQUIRED = {
    "id": (NO_ID, _("a different id for each offer")),
    "name": (NAME, _("the name of the goods")),
    "price": (PRICE, _("a price with a dot such as 1990.50, 0 or more")),
    "category": (CATEGORY, _("the id of a category of this file")),
    "vendor": (VENDOR, _("the brand")),
    "pictures": (PICTURES, _("one picture at least")),
    "quantity": (STOCK, _("how many pieces are in stock")),
    "params": (PARAMS, _("one characteristic at least")),
}
CURRENCY_CODE = _("a code such as UAH")
WHOLE = _("a whole number of pieces")
DISCOUNT = _("an amount such as 50, or per cent such as 10%")
SELLING_TYPE = _("r, w, u or s")
LETTERS = _("latin letters and digits")
PICTURE = _("an address such as https://shop.example/1.jpg")
STRICT_PICTURE = _("an address with https, of latin letters and without spaces, and no WebP")

_DISCOUNT = re.compile(r"\d{1,15}(?:\.\d{1,10})?%?", re.ASCII)
_CODE = re.compile(r"[A-Z]{3}")
_STRICT = re.compile(r"https://[!-~]+", re.IGNORECASE)
_WEBP = re.compile(r"\.webp(?:[?#]|$)", re.IGNORECASE)
_LINK = re.compile(
    r"<a[\s>]|\bhttps?://\S{1,60}|\bwww\.\w[\w.-]{1,60}|\b[\w.+-]{1,60}@[\w-]{1,60}\.\w[\w.]{1,20}|(?<![\d.])\+?380[\s(-]{0,2}\d{2}[\s)-]{0,2}\d{3}[\s-]?\d{2}[\s-]?\d{2}(?!\d)",
    re.IGNORECASE,
)
_BRACKETS = re.compile(r"\s*\([^()]*\)")


class Fault(NamedTuple):
    code: str
    level: str
    field: str
    text: str
    facts: Mapping[str, object]  # without ``offer``
    at: int = 0  # which one of a field that has several


def tag_of(dialect: Dialect, field: str) -> str:
    """How the dialect writes the field."""
    return dialect.attributes.get(field) or dialect.names.get(field, (field,))[0]


def good_picture(url: str, dialect: Dialect) -> bool:
    if dialect.rules.strict_pictures and (not _STRICT.fullmatch(url) or _WEBP.search(url)):
        return False
    return URL.fullmatch(url) is not None


def faults(offer: OfferEntry, dialect: Dialect, tidied: bool = False) -> Iterator[Fault]:
    """Everything that is wrong with one offer by itself. Its id, its name's uniqueness and its category's existence are not: they
    are the file's. Numbers are taken to be 0 or more. ``tidied``: of its pictures and params only those are left that are taken."""
    rules = dialect.rules
    for field in rules.required:
        value = getattr(offer, field)
        if value is None or value == "" or value == ():
            code, expected = REQUIRED[field]
            yield Fault(code, ERROR, field, MISSING, {"child": tag_of(dialect, field), "expected": expected})
    for field, limit in dialect.lengths.items():
        length = len(getattr(offer, field))
        if length > limit:
            facts = {"child": tag_of(dialect, field), "length": length, "limit": limit}
            yield Fault(LENGTH, ERROR, field, TOO_LONG, facts)
    if rules.id and offer.id and not re.fullmatch(rules.id, offer.id):
        yield _value(ID_LETTERS, "id", dialect, offer.id, LETTERS)
    if offer.currency and not (offer.currency in rules.currencies if rules.currencies else _CODE.fullmatch(offer.currency)):
        yield _value(CURRENCY, "currency", dialect, offer.currency, ", ".join(rules.currencies) or CURRENCY_CODE)
    if offer.vendor and offer.vendor.lower() in rules.not_brands:
        yield Fault(VENDOR, ERROR, "vendor", NOT_A_BRAND, {"found": offer.vendor})
    if offer.url and not URL.fullmatch(offer.url):
        yield _value(ADDRESS, "url", dialect, offer.url, PICTURE)
    for at, url in enumerate(() if tidied else offer.pictures):
        if not good_picture(url, dialect):
            facts = {"found": url[:80], "expected": STRICT_PICTURE if rules.strict_pictures else PICTURE}
            yield Fault(ADDRESS, ERROR, "pictures", BAD_PICTURE, facts, at)
    if not tidied:
        yield from _counts(offer, dialect)
    yield from _texts(offer, dialect)
    if offer.quantity is not None:
        if rules.whole_quantity and offer.quantity != int(offer.quantity):
            yield _value(STOCK, "quantity", dialect, str(offer.quantity), WHOLE)
        if rules.stock_decides and offer.presence == NOT_AVAILABLE and offer.quantity > 0:
            yield Fault(STOCK, WARNING, "presence", SOLD_OUT, {"found": str(offer.quantity)})
    if offer.selling_type and offer.selling_type not in SELLING_TYPES:
        yield _value(VALUE, "selling_type", dialect, offer.selling_type, SELLING_TYPE)
    if offer.discount and not _DISCOUNT.fullmatch(offer.discount):
        yield _value(VALUE, "discount", dialect, offer.discount, DISCOUNT)


def _value(code: str, field: str, dialect: Dialect, found: str, expected: str) -> Fault:
    return Fault(code, ERROR, field, NOT_A_VALUE, {"child": tag_of(dialect, field), "found": found[:80], "expected": expected})


def _counts(offer: OfferEntry, dialect: Dialect) -> Iterator[Fault]:
    for code, field, limit in ((PICTURES, "pictures", dialect.rules.pictures), (PARAMS, "params", dialect.rules.params)):
        count = len(getattr(offer, field))
        if limit and count > limit:
            yield Fault(code, ERROR, field, TOO_MANY, {"child": tag_of(dialect, field), "count": count, "limit": limit}, limit)
    for at, param in enumerate(offer.params):
        if not param.name or not (param.value or param.value_ua):
            yield Fault(PARAMS, WARNING, "params", BARE_PARAM, {"child": "value" if param.name else "name"}, at)


def _texts(offer: OfferEntry, dialect: Dialect) -> Iterator[Fault]:
    rules = dialect.rules
    if rules.no_links:
        for field, said in (("description", offer.description), ("description_ua", offer.description_ua)):
            found = _LINK.search(said) if said else None
            if found:
                facts = {"child": tag_of(dialect, field), "found": found.group().strip()[:80]}
                yield Fault(DESCRIPTION, ERROR, field, LINK, facts)
    if rules.keyword:
        for field, said in (("keywords", offer.keywords), ("keywords_ua", offer.keywords_ua)):
            for word in said.split(",") if said else ():
                length = len(word.strip())
                if length > rules.keyword:
                    cause = {"found": word.strip()[:80], "length": length, "limit": rules.keyword}
                    yield Fault(KEYWORDS, ERROR, field, LONG_KEYWORD, cause)
    if rules.both_ukrainian and bool(offer.name_ua) != bool(offer.description_ua):
        said, other = ("name_ua", "description_ua") if offer.name_ua else ("description_ua", "name_ua")
        yield Fault(LANGUAGES, WARNING, said, HALF, {"child": tag_of(dialect, said), "other": tag_of(dialect, other)})


class Names:
    """Names that were there before, 16 bytes each; ``met`` holds them with what else may stand in a document once."""

    def __init__(self, met: Met | None = None) -> None:
        self.whole: Met = Ids() if met is None else met
        self.bare = Ids()

    def faults(self, offer: OfferEntry) -> Iterator[Fault]:
        """An error for a name that was there; a warning for one that differs in brackets alone, unless they hold the article."""
        for field, name in (("name", offer.name), ("name_ua", offer.name_ua)):
            if not name:
                continue
            key = f"{field}\0{name.casefold()}"
            bare = key
            for said in _BRACKETS.findall(key) if "(" in key else ():
                if not offer.article or offer.article.casefold() not in said:
                    bare = bare.replace(said, "")
            new, newly = self.whole.add(key), self.bare.add(bare)
            if not new:
                yield Fault(NAME_TWICE, ERROR, field, SAME_NAME, {"found": name[:80]})
            elif not newly:
                yield Fault(NAME_TWICE, WARNING, field, NEARLY_SAME_NAME, {"found": name[:80]})
