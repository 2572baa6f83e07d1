"""A Store in memory, and a make-believe system to exchange with: for tests of the engine alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from obmen.core import matching
from obmen.core.contract import BadRecord, Bookmark, Change, Item, Known, Outcome, Page, Receiving
from obmen.core.engine import CREATED, MATCHED, UNCHANGED, UPDATED, WRITTEN, Link, Settlement, missing
from obmen.core.matching import Match
from obmen.core.records import Kind, Offer, Product, digest


class Crash(Exception):
    """The process died here."""


class MemoryStore:
    """Keeps what is settled; a crash in the middle of ``settle`` leaves nothing of it."""

    def __init__(self) -> None:
        self.books: dict[int, Any] = {}
        self.link_rows: dict[tuple[Kind, str], Link] = {}
        self.wanted_again: set[int] = set()  # records that a person asked to tell once more
        self.bookmarks: dict[str, Bookmark] = {}
        self.parked: dict[tuple[Kind, str], tuple[str, BadRecord]] = {}
        self.intents: set[str] = set()
        self.crash_at: int | None = None
        self.settled = 0
        self.written = self.again = 0  # records settled as news; of those, how many are still to come again
        self.links = self
        self.told: list[Settlement] = []  # of a preview of a push

    def seen(self, kind: Kind) -> bytes:
        return b"".join(link.seen for (k, _id), link in self.link_rows.items() if k is kind)

    def linked(self, kind: Kind) -> Iterator[str]:
        return (ident for k, ident in list(self.link_rows) if k is kind)

    def confirmed(self, kind: Kind, record_id: int) -> str:
        return ""

    def asked_again(self, kind: Kind, record_id: int) -> bool:
        return record_id in self.wanted_again

    def record_id(self, kind: Kind, external_id: str) -> int:
        if (kind, external_id) not in self.link_rows:
            raise missing(kind, external_id)
        return self.link_rows[kind, external_id].record_id

    def external_id(self, kind: Kind, record_id: int) -> str:
        found = self.links_by_record(kind, [record_id])
        if record_id not in found:
            raise missing(kind, f"#{record_id}")
        return found[record_id].external_id

    def bookmark(self, stream: str) -> Bookmark | None:
        return self.bookmarks.get(stream)

    def links_by_external(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Link]:
        return {i: self.link_rows[kind, i] for i in ids if (kind, i) in self.link_rows}

    def links_by_record(self, kind: Kind, ids: Sequence[int]) -> Mapping[int, Link]:
        return {link.record_id: link for (k, _id), link in self.link_rows.items() if k is kind and link.record_id in ids}

    def resolve(self, kind: Kind, records: Sequence[Any]) -> Sequence[BadRecord | None]:
        if kind is not Kind.OFFER:
            return [None] * len(records)
        return [None if (Kind.PRODUCT, r.product) in self.link_rows else missing(Kind.PRODUCT, r.product) for r in records]

    def match(self, kind: Kind, records: Sequence[Any], rules: Receiving) -> Sequence[Match]:
        attributes = rules.match.get(kind, ())
        cards: dict[tuple[str, str], list[int]] = {}
        for ident, record in self.books.items():
            for pair in matching.wanted(record, attributes):
                cards.setdefault(pair, []).append(ident)
        return [matching.choose(matching.wanted(r, attributes), cards) for r in records]

    def sending(self, keys: Sequence[str]) -> set[str]:
        before = self.intents & set(keys)
        self.intents |= set(keys)
        return before

    def preview(self, settlement: Settlement) -> Counter[str]:
        return self._apply(settlement, {}, {})

    def compare(self, settlement: Settlement) -> Counter[str]:
        return self._apply(settlement, {}, {})

    def tell(self, settlement: Settlement) -> None:
        self.told.append(settlement)

    def left(self, kind: Kind, changes: Sequence[tuple[int, Any]]) -> Mapping[int, BadRecord]:
        return {}

    def held(self, kind: Kind, record_ids: Sequence[int]) -> set[int]:
        return set()

    def start_again(self) -> None:
        self.again = self.written

    def settle(self, settlement: Settlement) -> Counter[str]:
        if self.crash_at is not None and self.settled == self.crash_at:
            raise Crash
        counts = self._apply(settlement, self.books, self.link_rows)
        if settlement.bookmark is not None:
            self.bookmarks[settlement.stream] = settlement.bookmark
        for ident in settlement.settled_ids:
            self.parked.pop((settlement.kind, ident), None)
        for p in settlement.parked:
            self.parked[settlement.kind, p.external_id] = p.where, p.error
        for link in settlement.links:
            self.link_rows[settlement.kind, link.external_id] = link
        self.settled += 1
        back = min(self.again, counts[UNCHANGED])
        counts[UNCHANGED] -= back
        self.again -= back
        self.written += sum(counts[name] for name in WRITTEN)
        return +counts

    def _apply(self, s: Settlement, books: dict[int, Any], links: dict[tuple[Kind, str], Link]) -> Counter[str]:
        counts = Counter(s.counts)
        for said in s.said:
            ident = said.record_id or len(self.books) + 1
            if said.record_id is None:
                counts[CREATED] += 1
            elif said.link is None:
                counts[MATCHED] += 1
            else:
                counts[UNCHANGED if self.books.get(ident) == said.record else UPDATED] += 1
            books[ident] = said.record
            links[s.kind, said.item.external_id] = Link(ident, said.item.external_id, said.item.digest)
            self.parked.pop((s.kind, said.item.external_id), None)
        return counts


def item(key: str, where: int = 1, **fields: Any) -> Item:
    return Item(key, {"id": key, **fields}, digest({"id": key, **fields}), where)


class Shop:
    """A system with goods: a list of pages to read and a list of things that were written."""

    stream, kind, batch = "products", Kind.PRODUCT, 2

    def __init__(self, *pages: Sequence[Item], rules: Receiving | None = None) -> None:
        self.given, self.rules = pages, rules or Receiving()
        self.parsed: list[str] = []
        self.things: dict[str, Mapping[str, Any]] = {}
        self.calls: list[Change] = []
        self.batches: list[int] = []
        self.lose_answer = False

    def pages(self, since: Bookmark | None, known: Known) -> Iterator[Page]:
        first = int(since["page"]) if since else 0
        for number, items in list(enumerate(self.given, 1))[first:]:
            yield Page(self.kind, items, {"page": number}, done=number, total=len(self.given))

    def parse(self, kind: Kind, items: Sequence[Item]) -> Sequence[Any]:
        self.parsed += [i.external_id for i in items]
        return [self._one(kind, i) for i in items]

    def _one(self, kind: Kind, i: Item) -> Any:
        if i.payload.get("bad"):
            return BadRecord("{id} has no name", id=i.external_id)
        if i.payload.get("out"):
            return None
        if kind is Kind.OFFER:
            return Offer(i.external_id, i.payload["product"])
        key = i.payload.get("real_id", i.external_id)
        return Product(key, name=i.payload.get("name"), article=i.payload.get("article"))

    def locate(self, i: Item) -> str:
        return f"goods.xml:{i.where}"

    creates, compares = True, False

    def external_id(self, record: Product) -> str | None:
        return None

    def render(self, record_id: int, record: Product, links: Any) -> Mapping[str, Any] | None:
        if not record.name:
            raise BadRecord("{id} has no name", id=record.key)
        return {"id": record.key, "name": record.name}

    def write(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        self.batches.append(len(changes))
        for change in changes:
            self.calls.append(change)
            same = (i for i, thing in self.things.items() if thing["id"] == change.payload["id"])
            ident = change.external_id or (next(same, None) if change.unsure else None) or f"t{len(self.things) + 1}"
            self.things[ident] = change.payload
            if self.lose_answer:
                self.lose_answer = False
                raise Crash
            yield Outcome(change.key, ident, seen=digest({"id": ident, "name": change.payload["name"]}))


__all__ = ["Crash", "MemoryStore", "Shop", "item"]
