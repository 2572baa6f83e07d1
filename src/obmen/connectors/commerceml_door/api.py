"""Received files as a source for the engine: records in the order in which they need each other, in pages of one kind."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any

import xxhash

from obmen.connectors.commerceml_door import ahead, convert
from obmen.connectors.commerceml_door.ahead import Ahead
from obmen.connectors.commerceml_door.received import NOTES
from obmen.connectors.commerceml_door.settings import ORDERS_IN, PRICES_IN, PRODUCTS_IN, STOCK_IN, STREAMS, DoorSettings
from obmen.core.contract import BadRecord, Bookmark, Item, Known, Page, Receiving, StartAgain, SweepKey
from obmen.core.records import Group, Kind, Offer, Product, Record
from obmen.formats.commerceml import cut, records
from obmen.formats.commerceml.batches import Batch, FileBatches, guess
from obmen.formats.commerceml.model import Document, Section, Unknown

# Files whose records others point at come first. The names are those of 1C:UT 11, 1C:UNF 3 and Bitrix's modules 5–7.
ORDER = ("groups", "units", "priceLists", "storages", "properties", "goods", "import", "offers", "prices", "rests", "contragents")

LARGE = 16 << 20  # bytes of a file for which starting a second process pays
FULL = 250  # new records in a batch
AHEAD = 3  # batches that are with the second process

# Which stream has to be on for records of a kind to be taken.
STREAM_OF = {
    Kind.GROUP: {PRODUCTS_IN},
    Kind.PROPERTY: {PRODUCTS_IN},
    Kind.REFERENCE: {PRODUCTS_IN, PRICES_IN, STOCK_IN},
    Kind.PRODUCT: {PRODUCTS_IN},
    Kind.VARIANT: {PRODUCTS_IN},
    Kind.OFFER: {PRODUCTS_IN, PRICES_IN, STOCK_IN},
    Kind.PRICES: {PRICES_IN},
    Kind.STOCK: {STOCK_IN},
    Kind.COUNTERPARTY: {ORDERS_IN, PRODUCTS_IN},
    Kind.ORDER: {ORDERS_IN},
}
GOODS = frozenset({Kind.PRODUCT, Kind.VARIANT, Kind.OFFER})


def in_order(files: Sequence[Path]) -> list[Path]:
    """XML files, those that others point at first; equal ones by the numbers in their names (import2 before import10)."""

    def rank(path: Path) -> tuple[int, list[tuple[int, str]]]:
        place = next((i for i, start in enumerate(ORDER) if path.name.lower().startswith(start.lower())), len(ORDER))
        parts = [(int(p), "") if p.isdigit() else (-1, p) for p in re.split(r"(\d+)", path.name)]
        return place, parts

    return sorted((f for f in files if f.suffix.lower() == ".xml" and NOTES not in f.parts), key=rank)


def receiving(s: DoorSettings) -> Receiving:
    """The part of the settings that the engine carries out."""
    fields = dict(s.field_policy)
    parts = (
        ("state", s.take_states),
        ("cancel", s.take_cancels),
        ("payment", s.take_payments),
        ("shipment", s.take_shipments),
        ("lines", s.take_lines),
    )
    return Receiving(
        mode=s.import_mode,
        fields=fields,
        pictures=s.pictures,
        deletion=s.deletion,
        sweep=s.sweep,
        sweep_limit=s.sweep_limit,
        partial=convert.filters_groups(s) or not s.variants or s.import_mode in ("existing", "none"),
        orders=tuple(name for name, on in parts if on),
        marks=dict(s.mark_states) if s.take_states else {},
        fingerprint=fingerprint(s),
    )


# parts of an order's news (core/orders.py) and the fields of the card that they change
PARTS_OF = {
    "state": ("state",), "cancel": ("cancelled", "cancel_reason"), "payment": ("payments", "paid"),
    "shipment": ("shipments", "shipped", "delivery"), "lines": ("lines", "total"),
}  # fmt: skip


def owners(s: DoorSettings, kind: Kind, streams: Collection[str]) -> Mapping[str, str]:
    """Contract of Connector.owners: goods and groups by who owns which field, orders by which news of them are taken."""
    rules = receiving(s)
    if kind is Kind.ORDER:
        taken = {field: "take" for part in rules.orders for field in PARTS_OF[part]}
        return {"": "keep", **taken} if ORDERS_IN in streams else {}
    if kind not in (Kind.PRODUCT, Kind.OFFER, Kind.GROUP) or rules.mode == "none":
        return {}
    others = "if_new" if rules.mode == "new" and kind is not Kind.GROUP else "take"
    said = dict.fromkeys(("", *rules.owners(kind)), others) if PRODUCTS_IN in streams else {}
    if others == "take" and said:
        said |= rules.owners(kind)
    if kind is Kind.OFFER and {PRODUCTS_IN, PRICES_IN, STOCK_IN} & set(streams):
        said |= {field: others if stream in streams else "keep" for field, stream in (("prices", PRICES_IN), ("stock", STOCK_IN))}
    return said


def fingerprint(s: DoorSettings) -> bytes:
    """16 bytes over every setting that changes what a received record becomes."""
    marked = {name: getattr(s, name) for name, f in sorted(type(s).__dataclass_fields__.items()) if f.metadata["about"].reparse}
    return xxhash.xxh3_128_digest(repr(sorted(marked.items())).encode())


@dataclass
class CommerceMLFiles:
    """The engine's Source over received files."""

    files: Sequence[Path]
    s: DoorSettings
    streams: Collection[str] = STREAMS
    zone: tzinfo = UTC
    stream: str = PRODUCTS_IN
    kinds: Collection[Kind] = tuple(Kind)

    def __post_init__(self) -> None:
        self.rules = receiving(self.s)
        self.tree = convert.Tree()
        self._seed = int.from_bytes(self.rules.fingerprint[:8], "big")
        self._slow: set[Path] = set()  # files that turned out to be of an odd shape in mid-way
        self._now: FileBatches | None = None
        self._ahead: Ahead | None = None
        self._made: Sequence[Any] | None = None  # what the second process has made of the batch that is being given out
        self._parsed: dict[bytes, Any] = {}  # its records by digest: equal bytes, equal record

    def pages(self, since: Bookmark | None, known: Known) -> Iterator[Page]:
        """Pages of at most 500 records of one kind. The bookmark keeps the groups that a filter has to know later, when only
        goods come; it is kept up only while a filter is set."""
        self.tree.parents.update((since or {}).get("groups", {}))
        files = in_order(self.files)
        total = sum(f.stat().st_size for f in files)
        before = 0
        try:
            for file in files:
                try:
                    for page in self._file(file, known):
                        yield replace(page, done=before + page.done, total=total)
                except cut.OddShape:
                    self._slow.add(file)
                    raise StartAgain from None
                before += file.stat().st_size
        finally:
            if self._ahead is not None:
                self._ahead.close()
                self._ahead = None

    def _file(self, file: Path, known: Known) -> Iterator[Page]:
        sweeps = self.rules.sweep != "off"
        self._now = FileBatches(file, known.seen, self._seed, file not in self._slow, keep_positions=sweeps)
        groups: list[Item] = []
        for batch in self._with_parser(self._now):
            if isinstance(batch, Unknown):
                continue
            if batch.kind is Kind.GROUP:  # held together: a filter must know the whole tree before the first of them
                items = self._items(batch)
                self.tree.parents.update(
                    (item.external_id, piece.parent) for item, piece in zip(items, batch.pieces, strict=True)
                )
                groups += items
                continue
            if groups:
                yield self._groups_page(groups)
                groups = []
            if self._is_on(batch.kind):
                yield from self._pages_of(batch, sweeps)
        if groups:
            yield self._groups_page(groups)

    def _with_parser(self, batches: FileBatches) -> Iterator[Batch | Unknown]:
        """The same batches, a few of them later, while a second process parses those that are full of new records."""
        waiting: deque[tuple[Batch | Unknown, bool]] = deque()
        large = batches.path.stat().st_size >= LARGE and ahead.worth_it()
        for batch in batches:
            submitted = large and batches.fast and self._submit(batches, batch)
            waiting.append((batch, submitted))
            if len(waiting) > AHEAD or not submitted:
                while waiting and (len(waiting) > AHEAD or not submitted):
                    yield self._with_parsed(*waiting.popleft())
        while waiting:
            yield self._with_parsed(*waiting.popleft())

    def _submit(self, batches: FileBatches, batch: Batch | Unknown) -> bool:
        if isinstance(batch, Unknown) or batch.kind not in ahead.KINDS or batch.unchanged or len(batch.pieces) < FULL:
            return False
        if not self._is_on(batch.kind):
            return False
        if self._ahead is None:
            self._ahead = Ahead(self.s, self.streams)
        ranges = [(piece.place, len(piece.xml)) for piece in batch.pieces]
        return self._ahead.submit(batches.path, batches.encoding, batch.kind, ranges, new=self._is_new(batch))

    def _is_new(self, batch: Batch) -> bool:
        """Whether the batch most likely makes new cards, so that rows of them are of more use than records."""
        if not batch.first or batch.kind not in (Kind.PRODUCT, Kind.OFFER) or self.rules.match.get(batch.kind):
            return False
        return self.s.variants and not convert.filters_groups(self.s)

    def _with_parsed(self, batch: Batch | Unknown, submitted: bool) -> Batch | Unknown:
        self._parsed, self._made = {}, None
        if submitted and self._ahead is not None and isinstance(batch, Batch):
            made = self._ahead.take()  # None when the child is gone: then this process parses by itself
            if made is not None:
                found = list(zip(batch.pieces, made, strict=True))
                self._parsed = {piece.digest: one for piece, one in found if one is not None and not isinstance(one, tuple)}
                self._made = [one if isinstance(one, tuple) else None for one in made]
        return batch

    def _groups_page(self, items: Sequence[Item]) -> Page:
        bookmark = {"groups": self.tree.parents} if convert.filters_groups(self.s) else None
        return Page(Kind.GROUP, list(items) if self._is_on(Kind.GROUP) else [], bookmark)

    def _pages_of(self, batch: Batch, sweeps: bool) -> Iterator[Page]:
        section = batch.section
        key = None
        if sweeps and batch.kind is Kind.PRODUCT and section.created:
            key = SweepKey(section.id or section.catalogue_id, section.created, section.only_changes is False)
        whole = is_whole(section, batch.kind)
        items = self._items(batch)
        if batch.kind is Kind.PRODUCT and self.s.variants:
            variants = [item for item in items if convert.is_variant(item.external_id)]
            if variants:
                yield Page(Kind.VARIANT, variants, done=batch.done, whole=whole, sweep=key)
                items = [item for item in items if not convert.is_variant(item.external_id)]
        yield Page(batch.kind, items, None, batch.unchanged, batch.done, 0, whole, key, batch.positions)

    def _items(self, batch: Batch) -> list[Item]:
        """A payload is the record's XML as UTF-8, with the id of its parent on a line before it where it has one."""
        assert self._now is not None
        encoding, file = self._now.encoding, self._now.path.name
        out = []
        for (place, raw, digest, parent), row in zip(batch.pieces, self._made or [None] * len(batch.pieces), strict=True):
            xml = raw if encoding == "utf-8" else raw.decode(encoding, "replace").encode()
            payload = f"{parent}\n".encode() + xml if parent else xml
            key = row.key if row is not None else guess(raw, encoding) or digest.hex()
            out.append(Item(key, payload, digest, f"{file}:{place}", row))
        return out

    def _is_on(self, kind: Kind) -> bool:
        if self.s.import_mode == "none" and kind in GOODS:
            return False
        return not STREAM_OF[kind].isdisjoint(self.streams)

    def locate(self, item: Item) -> str:
        """File and line. The fast way knows only offsets: the line is counted when somebody has to be told."""
        name, _colon, place = str(item.where).rpartition(":")
        if self._now is not None and self._now.path.name == name and place.isdigit():
            return f"{name}:{self._now.line_of(int(place))}"
        return str(item.where)

    def parse(self, kind: Kind, items: Sequence[Item]) -> list[Record | BadRecord | None]:
        parsed: list[Any] = [self._parsed.get(item.digest) for item in items]
        left = [i for i, record in enumerate(parsed) if record is None]
        if left:
            split = [_split(items[i].payload) for i in left]
            found = records.parse(kind, [xml for _parent, xml in split], parents=[parent for parent, _xml in split])
            for i, record in zip(left, found, strict=True):
                parsed[i] = record
        if self._now is not None and self._now.fast and any(isinstance(record, records.NotWhole) for record in parsed):
            self._slow.add(self._now.path)
            raise StartAgain
        return [self._converted(record) for record in parsed]

    def _converted(self, record: Any) -> Record | BadRecord | None:
        try:
            if isinstance(record, Product):
                return convert.product(record, self.s, self.tree)
            if isinstance(record, Offer):
                return convert.offer(record, self.s, self.streams)
            if isinstance(record, Group):
                return convert.group(record, self.s, self.tree)
            if isinstance(record, Document):
                return convert.order_news(record, self.s, self.zone)
        except BadRecord as error:
            return error
        return record  # type: ignore[no-any-return]


def is_whole(section: Section, kind: Kind) -> bool:
    """Whether prices and stock that an offer does not list are gone: only in a package that says it is a full one."""
    return kind is Kind.OFFER and section.name == "offers" and section.only_changes is False


def _split(payload: bytes) -> tuple[str, bytes]:
    """A payload is the record's XML, with the id of its parent on a line before it where it has one."""
    if payload.startswith(b"<"):
        return "", payload
    parent, _line, xml = payload.partition(b"\n")
    return parent.decode(), xml
