"""What is wrong in a YML feed for a marketplace, with file, line and element, as a stream: memory for the ids alone, 8 bytes each.

What leads nowhere, and what the marketplace passes over, comes at the end, once per id and name.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO

from obmen.core.contract import BadDocument
from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml.reader import line_of, name_of, opened
from obmen.formats.commerceml.records import local
from obmen.formats.findings import ERROR, WARNING, Finding, unreadable
from obmen.formats.yml import checks, reader, rules
from obmen.formats.yml.checks import MAY_VANISH, NOT_A_VALUE, OFFER, Checker, Codes, Vanished
from obmen.formats.yml.dialect import ANY, Dialect, built_in
from obmen.formats.yml.stream import ROOT, source, text_of

CODES = Codes(
    document=rules.DOCUMENT,
    frame=rules.FRAME,
    no_id=rules.NO_ID,
    twice=rules.ID_TWICE,
    category=rules.CATEGORY,
    tree=rules.TREE,
    name=rules.NAME,
    address=rules.ADDRESS,
    date=rules.DATE,
    gone=rules.GONE,
)
WRONG = {
    "price": rules.PRICE,
    "old_price": rules.PRICE,
    "promo_price": rules.PRICE,
    "prices": rules.PRICE,
    "quantity": rules.STOCK,
    "description": rules.DESCRIPTION,
    "description_ua": rules.DESCRIPTION,
}
MOST_NAMES = 1000  # of unknown elements

DATE = _("a date such as 2024-05-14 10:09")
PASSED_OVER = _("{dialect} does not know it ({count} times), and passes it over; expected one of its own elements")
GONE = _(
    "{count} of {total} offers of {previous} are missing here ({share} %), and would be taken off sale; expected no more than "
    "{limit} %. Among them: {examples}"
)


def vanished(previous: Path, current: Path) -> Vanished:
    """Which offers of ``previous`` are missing in ``current``, in stock or not. Reads each file once. Raises BadDocument when one
    of them cannot be read, OSError when it is not there."""
    return checks.vanished(previous, current)


def validate(
    file: Path | BinaryIO,
    dialect: Dialect | None = None,
    name: str = "",
    previous: Path | None = None,
    may_vanish: float = MAY_VANISH,
) -> Iterator[Finding]:
    """Every finding, each with the code of its rule, Y01 … Y24. A document that cannot be read (further) gives one last Y01.

    Without a dialect only what holds for all of them is asked. With ``previous``, the file that was published before, Y24 says when
    more than ``may_vanish`` per cent of its offers are missing.
    """
    checker = _Checker(name or name_of(file), dialect or built_in()[ANY])
    with opened(file) as stream:
        try:
            yield from checker.run(source(stream, checker.file))
        except BadDocument as error:
            yield unreadable(error, checker.file, ROOT, rules.DOCUMENT)
            return
    yield from checker.nowhere(ERROR if checker.dialect.rules.declared_category else WARNING)
    yield from checker.passed_over()
    if previous is not None:
        yield from checker.gone(previous, may_vanish, GONE)


class _Checker(Checker):
    def __init__(self, file: str, dialect: Dialect) -> None:
        super().__init__(file, CODES)
        self.dialect = dialect
        self.names = rules.Names()
        self.unknown: dict[str, list[int]] = {}  # element or @attribute → [line, count]

    def is_off(self, el: Any) -> bool:
        return False

    def root(self, el: Any) -> Iterator[Finding]:
        yield from self.date(el, reader.moment((el.get("date") or "").strip()) is not None, DATE)

    def offer(self, el: Any) -> Iterator[Finding]:
        yield from self.key(el)
        found: list[Finding] = []
        wrong_fields: set[str] = set()

        def wrong(field: str, child: Any, text: str, expected: str) -> None:
            wrong_fields.add(field)
            path = self.path(field, child, el)
            code = WRONG.get(field, rules.VALUE)
            found.append(self.finding(code, child, path, NOT_A_VALUE, found=text[:80], expected=expected))

        said = reader.offer(el, self.dialect, wrong, None if self.dialect.open else self.pass_over)
        yield from found
        if said.category:
            self.uses(self.first(el, "category"), said.category)
        for fault in rules.faults(said, self.dialect):
            if fault.field not in wrong_fields:
                yield self.fault(el, fault, said.id)
        if self.dialect.rules.unique_names:
            for fault in self.names.faults(said):
                yield self.fault(el, fault, said.id)

    def fault(self, el: Any, fault: rules.Fault, key: str) -> Finding:
        child = self.first(el, fault.field, fault.at)
        path = self.path(fault.field, child, el)
        return self.finding(fault.code, child, path, fault.text, fault.level, offer=key, **fault.facts)

    def first(self, el: Any, field: str, at: int = 0) -> Any:
        """The element that says the field, the one that comes first by rank; the offer where none does."""
        attribute = self.dialect.attributes.get(field, "id" if field == "id" else None)
        if attribute is not None and el.get(attribute) is not None:
            return el
        places = [(self.dialect.places.get(local(child.tag)), child) for child in el]
        said = [(place[1], child) for place, child in places if place is not None and place[0] == field]
        if field == "params":
            return said[at][1] if at < len(said) else el
        said = [(rank, child) for rank, child in said if len(child) or text_of(child)]
        if field == "pictures":
            return said[at][1] if at < len(said) else el
        return min(said, key=itemgetter(0))[1] if said else el

    def path(self, field: str, child: Any, el: Any) -> str:
        if child is not el:
            return f"{OFFER}/{local(child.tag)}" if child.getparent() is el else f"{OFFER}/prices/price"
        attribute = self.dialect.attributes.get(field, "id" if field == "id" else None)
        return f"{OFFER}/@{attribute}" if attribute is not None and el.get(attribute) is not None else OFFER

    def pass_over(self, name: str, el: Any) -> None:
        entry = self.unknown.get(name)
        if entry:
            entry[1] += 1
        elif len(self.unknown) < MOST_NAMES:
            self.unknown[name] = [line_of(el), 1]

    def passed_over(self) -> Iterator[Finding]:
        for name, (line, count) in self.unknown.items():
            facts = {"dialect": self.dialect.title, "count": count}
            yield self.finding(rules.NOT_TAKEN, line, f"{OFFER}/{name}", PASSED_OVER, WARNING, **facts)
