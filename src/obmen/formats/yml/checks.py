"""What the validators of YML and ICML share: the frame, ids, the tree of categories, addresses, and what a new file loses."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from obmen.core.contract import BadDocument
from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml.reader import Input, line_of, name_of, opened
from obmen.formats.commerceml.records import local
from obmen.formats.findings import ERROR, Finding, Ids
from obmen.formats.yml import stream

MAY_VANISH = 10  # per cent of the offers that were on sale
EXAMPLES = 10
MOST_REFERENCES = 100_000  # different unknown ids that are told

NOT_UTF8 = _("the file is in {found}; expected UTF-8")
NOT_HERE = _("{found} is missing; expected {expected}")
NO_ID = _("the id is missing or empty; expected a different id for each {element}")
TWICE = _("the id “{found}” was there before; expected a different id for each {element}")
UNKNOWN_CATEGORY = _("“{found}” is in no <category> of this file ({count} times); expected the id of one")
NO_CATEGORY = _("categoryId is missing; expected the id of a category in every <offer>")
UNKNOWN_PARENT = _("the parent “{found}” is in no <category> of this file; expected the id of one, or no parentId for a root")
RING = _("the category “{found}” is inside itself: {ring}; expected a tree")
NO_VALUE = _("{child} is missing or empty; expected {expected}")
NOT_A_VALUE = _("“{found}” is not {expected}")
NOT_ABSOLUTE = _("“{found}” is not an absolute address; expected one such as https://shop.example/1.jpg")
LONG_URL = _("the address is {length} characters long; expected no more than {limit}")
UNREADABLE_BEFORE = _("the previous file {previous} cannot be read: {found}; expected the file that was published before")

NUMBER = _("a number with a dot such as 1.5, 0 or more")
PRICE = _("a price with a dot such as 1990.50, 0 or more")
SIDES = _("length/width/height in centimetres such as 30/20.5/12")

URL = re.compile(r"https?://[^\s/?#]+[^\s]*", re.IGNORECASE)
OFFER, CATEGORY = "shop/offers/offer", "shop/categories/category"

IsOff = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Vanished:
    """``total`` offers were on sale in the previous file; ``count`` of them are absent or switched off in the current one."""

    count: int
    total: int
    examples: tuple[str, ...]  # "name (id)" of the first ones, in the order of the previous file

    @property
    def share(self) -> float:
        """Per cent; 0 when nothing was on sale."""
        return self.count * 100 / self.total if self.total else 0.0


def never(_el: Any) -> bool:
    return False


def vanished(previous: Path, current: Path, is_off: IsOff = never) -> Vanished:
    """What publishing ``current`` instead of ``previous`` would take off sale. Reads each file once. Raises BadDocument when one
    of them cannot be read, OSError when it is not there."""
    active = Ids()
    for key, off, _el in _offers(current, is_off):
        if not off:
            active.add(key)
    return gone(previous, active, is_off)


def _offers(file: Path, is_off: IsOff) -> Iterator[tuple[str, bool, Any]]:
    """(id, whether it is switched off, element) of each offer."""
    with opened(file) as opened_file:
        document = stream.source(opened_file, name_of(file))
        stream.check_root(document)
        for place, el in stream.elements(document):
            key = (el.get("id") or "").strip() if place == "offer" else ""
            if key:
                yield key, is_off(el), el


def gone(previous: Path, active: Ids, is_off: IsOff) -> Vanished:
    """The offers of ``previous`` that are not among the ``active`` ids."""
    before = Ids()
    count = 0
    examples: list[str] = []
    for key, off, el in _offers(previous, is_off):
        if off or not before.add(key) or key in active:
            continue
        count += 1
        if len(examples) < EXAMPLES:
            name = next((stream.text_of(child) for child in el if local(child.tag) == "name"), "")
            examples.append(f"{name} ({key})" if name else key)
    return Vanished(count, before.count, tuple(examples))


class Codes(NamedTuple):
    """The numbers that a format gives to the rules it shares."""

    document: str
    frame: str
    no_id: str
    twice: str
    category: str
    tree: str
    name: str
    address: str
    date: str
    gone: str


@dataclass(slots=True)
class _Category:
    line: int
    parent: str


class Checker(ABC):
    """Memory for the categories and for the ids alone, 8 bytes each."""

    def __init__(self, file: str, codes: Codes) -> None:
        self.file, self.codes = file, codes
        self.shop = self.offers = 0  # lines
        self.categories: dict[str, _Category] = {}
        self.used: dict[str, list[int]] = {}  # categoryId → [line, count]
        self.ids, self.active = Ids(), Ids()

    def finding(self, code: str, el: Any, path: str, text: str, level: str = ERROR, **facts: object) -> Finding:
        return Finding(self.file, el if isinstance(el, int) else line_of(el), path, text, facts, level, code)

    # --- for each format to say ----------------------------------------------------------------------------------------------

    @abstractmethod
    def root(self, el: Any) -> Iterator[Finding]: ...
    @abstractmethod
    def offer(self, el: Any) -> Iterator[Finding]: ...
    @abstractmethod
    def is_off(self, el: Any) -> bool:
        """Whether the offer is said to be not for sale."""

    # --- the document --------------------------------------------------------------------------------------------------------

    def run(self, document: Input) -> Iterator[Finding]:
        code = self.codes.frame
        if document.root != stream.ROOT:
            yield self.finding(code, document.line, document.root, NOT_HERE, found="<yml_catalog>", expected=_("it as the root"))
            return
        if document.encoding not in ("utf-8", "ascii"):
            yield self.finding(self.codes.document, 1, stream.ROOT, NOT_UTF8, found=document.encoding)
        for place, el in stream.elements(document):
            if place == "offer":
                yield from self.offer(el)
            elif place == "category":
                yield from self.category(el)
            elif place == "shop":
                self.shop = self.shop or line_of(el)
            elif place == "offers":
                self.offers = self.offers or line_of(el)
            elif place == stream.ROOT:
                yield from self.root(el)
        if not self.shop:
            yield self.finding(code, 1, stream.ROOT, NOT_HERE, found="<shop>", expected=_("one in <yml_catalog>"))
        elif not self.offers:
            yield self.finding(code, self.shop, "shop", NOT_HERE, found="<offers>", expected=_("one in <shop>"))

    def date(self, el: Any, right: bool, expected: str) -> Iterator[Finding]:
        said = (el.get("date") or "").strip()
        if not said:
            yield self.finding(self.codes.date, el, f"{stream.ROOT}/@date", NO_VALUE, child="date", expected=expected)
        elif not right:
            yield self.finding(self.codes.date, el, f"{stream.ROOT}/@date", NOT_A_VALUE, found=said[:80], expected=expected)

    # --- categories ----------------------------------------------------------------------------------------------------------

    def category(self, el: Any) -> Iterator[Finding]:
        key = (el.get("id") or "").strip()
        if not key:
            yield self.finding(self.codes.tree, el, f"{CATEGORY}/@id", NO_ID, element="category")
        elif key in self.categories:
            yield self.finding(self.codes.tree, el, f"{CATEGORY}/@id", TWICE, found=key, element="category")
        else:
            self.categories[key] = _Category(line_of(el), (el.get("parentId") or "").strip())
        if not stream.category_name(el):
            yield self.finding(self.codes.name, el, CATEGORY, NO_VALUE, child="name", expected=_("the name of the category"))

    def uses(self, el: Any, category: str) -> None:
        """An offer's categoryId; whether a category has it is known at the end."""
        if category in self.categories:
            return
        entry = self.used.get(category)
        if entry:
            entry[1] += 1
        elif len(self.used) < MOST_REFERENCES:
            self.used[category] = [line_of(el), 1]

    def nowhere(self, level: str = ERROR) -> Iterator[Finding]:
        """Ids of categories that are none, and categories inside themselves: known when everything was read."""
        for key, (line, count) in self.used.items():
            if key not in self.categories:
                yield self.finding(
                    self.codes.category, line, f"{OFFER}/categoryId", UNKNOWN_CATEGORY, level, found=key, count=count
                )
        path = f"{CATEGORY}/@parentId"
        done: set[str] = set()
        for start, category in self.categories.items():
            if category.parent and category.parent not in self.categories:
                yield self.finding(self.codes.tree, category.line, path, UNKNOWN_PARENT, found=category.parent)
            way: dict[str, None] = {}
            key = start
            while key in self.categories and key not in done and key not in way:
                way[key] = None
                key = self.categories[key].parent
            if key in way:
                around = list(way)[list(way).index(key) :]
                ring = " → ".join([*around[:EXAMPLES], *(["…"] if len(around) > EXAMPLES else []), key])
                yield self.finding(self.codes.tree, self.categories[key].line, path, RING, found=key, ring=ring)
            done.update(way)

    # --- offers --------------------------------------------------------------------------------------------------------------

    def key(self, el: Any) -> Iterator[Finding]:
        key = (el.get("id") or "").strip()
        if not key:
            yield self.finding(self.codes.no_id, el, f"{OFFER}/@id", NO_ID, element="offer")
        elif not self.ids.add(key):
            yield self.finding(self.codes.twice, el, f"{OFFER}/@id", TWICE, found=key, element="offer")
        if key and not self.is_off(el):
            self.active.add(key)

    def url(self, el: Any, path: str, limit: int) -> Iterator[Finding]:
        text = stream.text_of(el)
        if text and not URL.fullmatch(text):
            yield self.finding(self.codes.address, el, path, NOT_ABSOLUTE, found=text[:80])
        elif limit and len(text) > limit:
            yield self.finding(self.codes.address, el, path, LONG_URL, length=len(text), limit=limit)

    # --- against the file before ---------------------------------------------------------------------------------------------

    def gone(self, previous: Path, may_vanish: float, text: str) -> Iterator[Finding]:
        where, path = self.offers or 1, "shop/offers"
        try:
            found = gone(previous, self.active, self.is_off)
        except (BadDocument, OSError) as error:
            yield self.finding(self.codes.gone, where, path, UNREADABLE_BEFORE, previous=previous.name, found=str(error))
            return
        if found.count * 100 > may_vanish * found.total:
            yield self.finding(
                self.codes.gone,
                where,
                path,
                text,
                count=found.count,
                total=found.total,
                previous=previous.name,
                share=f"{found.share:.1f}",
                limit=f"{may_vanish:g}",
                examples=", ".join(found.examples),
            )


def positive(text: str) -> bool:
    """Whether it is a number of 0 or more."""
    try:
        return stream.number(text) >= 0
    except ValueError:
        return False
