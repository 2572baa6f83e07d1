"""A hub without a database for tests of connectors that call out: the promises of core.contract.Hub and Books in dictionaries."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any

from obmen.core.contract import Choice, Found, Mapped
from obmen.core.records import Good, Group, Kind, Property, Reference, Subject

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass
class MemoryBooks:
    """``goods`` are all there is; offers are found among them as the contract says."""

    all_goods: list[Good] = field(default_factory=list)
    all_groups: list[Group] = field(default_factory=list)
    known: dict[Subject, list[Reference]] = field(default_factory=dict)
    all_properties: list[Property] = field(default_factory=list)
    pictures: dict[str, Path] = field(default_factory=dict)
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)  # (attribute, values) of each look-up

    def offers_by(self, attribute: str, values: Sequence[str]) -> Mapping[str, Sequence[Found]]:
        self.asked.append((attribute, tuple(values)))
        found: dict[str, list[Found]] = {}
        for good in self.all_goods:
            p, o = good.product, good.offer
            said = {"key": (o.key,), "code": (p.code,), "article": (o.article, p.article), "barcode": (o.barcode, p.barcode)}
            one = Found(o.key, p.key, o.name or p.name or "", o.article or p.article or "", good.record_id, p.code or "")
            for value in dict.fromkeys(v for v in said[attribute] if v and v in values):
                found.setdefault(value, []).append(one)
        if attribute in ("code", "article"):
            return {v: [o for o in offers if "#" not in o.offer] or offers for v, offers in found.items()}
        return found

    def references(self, subject: Subject) -> Sequence[Reference]:
        return self.known.get(subject, [])

    def groups(self, chosen: Sequence[str] = ()) -> Sequence[Group]:
        inside = {g.key for g in self.all_groups if not chosen or g.key in chosen}
        while more := {g.key for g in self.all_groups if g.parent in inside} - inside:
            inside |= more
        return [g for g in self.all_groups if g.key in inside]

    def goods(self, choice: Choice) -> Iterator[Good]:
        inside = {g.key for g in self.groups(choice.groups)}
        for one in self.all_goods:
            good = one if choice.reserved else replace(one, reserved=Decimal(0), reserved_of=())
            if choice.groups and not inside & set(good.product.groups or ()):
                continue
            if choice.products:
                yield good
                continue
            prices = tuple(p for p in good.offer.prices or () if p.kind in choice.price_kinds)
            stock = tuple(s for s in good.offer.stock or () if choice.warehouses is None or s.warehouse in choice.warehouses)
            yield replace(good, offer=replace(good.offer, prices=prices, stock=stock))

    def properties(self) -> Sequence[Property]:
        return self.all_properties

    def picture(self, path: str, folder: Path) -> Path | None:
        return self.pictures.get(path)


@dataclass
class MemoryHub:
    folder: Path
    name: str = "CRM"
    zone: tzinfo = UTC
    books: MemoryBooks = field(default_factory=MemoryBooks)
    trust: Path | None = None
    allow_private: bool = True
    preview: bool = False
    picked: bool = False
    clock: datetime = START
    mappings: dict[tuple[str, Subject], list[Mapped]] = field(default_factory=dict)  # ("in" | "out", subject)
    reported: Counter[tuple[str, str]] = field(default_factory=Counter)  # (level, finished sentence)
    missing: Counter[tuple[Subject, str]] = field(default_factory=Counter)
    calls: list[Any] = field(default_factory=list)
    noted: dict[str, Any] = field(default_factory=dict)
    links: dict[tuple[Kind, str], str] = field(default_factory=dict)
    slept: float = 0.0
    fast: bool = True  # a pause takes a tenth of its time

    def map(self, direction: str, subject: Subject, theirs: str, ours: str = "", taken: bool = True, **attributes: str) -> None:
        for way in ("in", "out") if direction == "both" else (direction,):
            self.mappings.setdefault((way, subject), []).append(Mapped(theirs, ours, attributes, taken))

    def now(self) -> datetime:
        return self.clock

    def later(self, **parts: float) -> None:
        self.clock += timedelta(**parts)

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        time.sleep(seconds / 10 if self.fast else seconds)

    def incoming(self, subject: Subject, theirs: str) -> Mapped | None:
        return next((m for m in self.rows(subject, "in") if m.theirs == theirs), None)

    def outgoing(self, subject: Subject, ours: str) -> Sequence[Mapped]:
        return [m for m in self.rows(subject, "out") if m.ours and m.ours == ours]

    def rows(self, subject: Subject, direction: str) -> Sequence[Mapped]:
        return self.mappings.get((direction, subject), [])

    def linked_keys(self, kind: Kind, theirs: Sequence[str]) -> Mapping[str, str]:
        return {ident: self.links[kind, ident] for ident in theirs if (kind, ident) in self.links}

    def unmapped(self, subject: Subject, theirs: str, name: str = "") -> None:
        self.missing[subject, theirs] += 1

    def report(self, level: str, text: str, **facts: object) -> None:
        self.reported[level, text.format(**facts) if facts else text] += 1

    def exchanged(self, exchange: Any) -> None:
        self.calls.append(exchange)

    def recall(self, name: str) -> Any:
        return self.noted.get(name)

    def remember(self, name: str, value: Any) -> None:
        self.noted[name] = value
