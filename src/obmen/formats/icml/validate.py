"""What is wrong in an ICML file, with file, line and element, as a stream: memory for the ids alone, 8 bytes each.

The CRM itself says little about a file that it does not like, and nothing at all about one that switches half the shop off.
An empty optional element is not said, as 1C's module and the CRM have it. What leads nowhere comes at the end, once per id.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from obmen.core.contract import BadDocument
from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml.reader import name_of, opened
from obmen.formats.commerceml.records import local
from obmen.formats.findings import WARNING, Finding, Ids, unreadable
from obmen.formats.icml import reader
from obmen.formats.icml.model import SERVICE, VAT_RATES
from obmen.formats.yml import checks
from obmen.formats.yml.checks import (
    CATEGORY,
    MAY_VANISH,
    NO_CATEGORY,
    NO_VALUE,
    NOT_A_VALUE,
    NUMBER,
    OFFER,
    PRICE,
    SIDES,
    Checker,
    Codes,
    Vanished,
    positive,
)
from obmen.formats.yml.stream import ROOT, number, source, text_of

LONGEST_URL = 255

XML_ID_TWICE = _("the xmlId “{found}” was there before; expected a different one for each offer: 1C finds the goods by it")
UNEVEN = _("{child} “{found}” is not that of an earlier offer of the product “{product}”; expected the same in all its offers")
SERVICE_STOCK = _("a service with the quantity {found}; expected no quantity, or 0")
BARE_PARAM = _("the param has no {child}; expected code, name and a value: others are left out")
NOT_LATIN = _("the code “{found}” is not of latin letters, digits, “-” and “_”; expected one such as color")
GONE = _(
    "{count} of {total} offers of {previous} are missing or switched off here ({share} %), and the CRM would switch them off; "
    "expected no more than {limit} %. Among them: {examples}"
)

DATE = _("a date such as 2024-05-14 10:09:18")
RATE = _("a rate of 22, 20, 18, 10, 7, 5, 0 or none")

_CODE = re.compile(r"[A-Za-z0-9_-]+")

CODES = Codes(
    document="E01",
    frame="E02",
    no_id="E03",
    twice="E04",
    category="E05",
    tree="E06",
    name="E08",
    address="E14",
    date="E15",
    gone="E18",
)


def vanished(previous: Path, current: Path) -> Vanished:
    """What publishing ``current`` instead of ``previous`` would switch off in the CRM, which does so with every offer that a new
    file does not hold. Reads each file once. Raises BadDocument when one of them cannot be read, OSError when it is not there."""
    return checks.vanished(previous, current, reader.is_off)


def validate(
    file: Path | BinaryIO, name: str = "", previous: Path | None = None, may_vanish: float = MAY_VANISH
) -> Iterator[Finding]:
    """Every finding, each with the code of its rule, E01 … E18. A document that cannot be read (further) gives one last E01.

    With ``previous``, the file that the CRM has taken before, E18 says when more than ``may_vanish`` per cent of its offers on
    sale would be switched off.
    """
    checker = _Checker(name or name_of(file))
    with opened(file) as stream:
        try:
            yield from checker.run(source(stream, checker.file))
        except BadDocument as error:
            yield unreadable(error, checker.file, ROOT, "E01")
            return
    yield from checker.nowhere()
    if previous is not None:
        yield from checker.gone(previous, may_vanish, GONE)


class _Checker(Checker):
    def __init__(self, file: str) -> None:
        super().__init__(file, CODES)
        self.xml_ids = Ids()
        self.products, self.spelt = Ids(), {"productName": Ids(), "vendor": Ids()}

    def is_off(self, el: Any) -> bool:
        return reader.is_off(el)

    def root(self, el: Any) -> Iterator[Finding]:
        yield from self.date(el, reader.moment((el.get("date") or "").strip()) is not None, DATE)

    def category(self, el: Any) -> Iterator[Finding]:
        yield from super().category(el)
        for child in el:
            if local(child.tag) == "picture":
                yield from self.url(child, f"{CATEGORY}/picture", LONGEST_URL)

    def offer(self, el: Any) -> Iterator[Finding]:
        yield from self.key(el)
        key = (el.get("id") or "").strip()
        quantity = (el.get("quantity") or "").strip()
        if quantity and not positive(quantity):
            yield self.finding("E12", el, f"{OFFER}/@quantity", NOT_A_VALUE, found=quantity[:80], expected=NUMBER)
        elif quantity and (el.get("type") or "").strip() == SERVICE and number(quantity):
            yield self.finding("E16", el, f"{OFFER}/@quantity", SERVICE_STOCK, WARNING, found=quantity)
        said: dict[str, str] = {}  # the first of each name
        for child in el:
            tag, text = local(child.tag), text_of(child)
            if not said.get(tag):
                said[tag] = text
            if tag == "param":
                yield from self.param(child, text)
            elif text:
                yield from self.value(child, tag, text)
        for tag, code, expected in (("price", "E07", PRICE), ("name", "E08", _("the name of the offer"))):
            if not said.get(tag):
                yield self.finding(code, el, OFFER, NO_VALUE, child=tag, expected=expected)
        if not said.get("categoryId"):
            yield self.finding("E05", el, OFFER, NO_CATEGORY)
        yield from self.same_product(el, (el.get("productId") or "").strip() or key, said)

    def value(self, el: Any, tag: str, text: str) -> Iterator[Finding]:
        path = f"{OFFER}/{tag}"
        if tag in ("price", "purchasePrice"):
            if not positive(text):
                yield self.finding("E07", el, path, NOT_A_VALUE, found=text[:80], expected=PRICE)
        elif tag == "weight":
            if not positive(text):
                yield self.finding("E12", el, path, NOT_A_VALUE, found=text[:80], expected=NUMBER)
        elif tag == "dimensions":
            if text.count("/") != 2 or not all(map(positive, text.split("/"))):
                yield self.finding("E11", el, path, NOT_A_VALUE, found=text[:80], expected=SIDES)
        elif tag == "vatRate":
            if text not in VAT_RATES:
                yield self.finding("E13", el, path, NOT_A_VALUE, found=text[:80], expected=RATE)
        elif tag in ("url", "picture"):
            yield from self.url(el, path, LONGEST_URL)
        elif tag == "xmlId":
            if not self.xml_ids.add(text):
                yield self.finding("E09", el, path, XML_ID_TWICE, found=text)
        elif tag == "categoryId":
            self.uses(el, text)

    def param(self, el: Any, text: str) -> Iterator[Finding]:
        code = (el.get("code") or "").strip()
        for child, value in (("code", code), ("name", (el.get("name") or "").strip()), ("value", text)):
            if not value:
                yield self.finding("E17", el, f"{OFFER}/param", BARE_PARAM, WARNING, child=child)
        if code and not _CODE.fullmatch(code):
            yield self.finding("E17", el, f"{OFFER}/param/@code", NOT_LATIN, WARNING, found=code[:80])

    def same_product(self, el: Any, product: str, said: dict[str, str]) -> Iterator[Finding]:
        """Whether a spelling is new is known without keeping the spellings: two sets of hashes."""
        if not product:
            return
        first = self.products.add(product)
        for child, text in (("productName", said.get("productName") or said.get("name", "")), ("vendor", said.get("vendor", ""))):
            if self.spelt[child].add(f"{product}\0{text}") and not first:
                yield self.finding("E10", el, f"{OFFER}/{child}", UNEVEN, WARNING, child=child, found=text, product=product)
