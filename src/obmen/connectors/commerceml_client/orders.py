"""Orders of the shop as a stream: what it gives is kept until it stands in the books, and only then confirmed.

Some shops confirm nothing: CS-Cart's exim_1c gives all orders each time, its commerceml moves its own mark when it is asked. So nothing
here trusts a mark: an order is known by its key, its news by the digest of its untouched document, and an answer that has arrived lies
in a folder of the hub until its last page is settled.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Collection, Container, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from obmen.connectors.commerceml_client import convert
from obmen.connectors.commerceml_client.api import Node
from obmen.connectors.commerceml_client.convert import Reader, Said
from obmen.connectors.commerceml_client.orders_settings import ORDERS_IN
from obmen.connectors.commerceml_client.settings import ClientSettings
from obmen.connectors.commerceml_client.tables import folded
from obmen.core.contract import BadDocument, BadRecord, Bookmark, Hub, Item, Known, Page, Receiving
from obmen.core.records import Kind, Offer, Order, Product, Record, Reference, Subject, digest
from obmen.core.settings import describe
from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml import reader, records
from obmen.formats.commerceml.batches import guess
from obmen.formats.commerceml.model import Document, Raw
from obmen.formats.commerceml.orders import MONEY, REFUNDS, SHIPPING

PAGE = 200  # orders settled together
ROUNDS = 1000  # answers of one load
BROKEN_KEPT = 5  # answers that could not be read, kept for a person
ASKED, SENT = "orders-asked", "orders-sent"  # notes: an answer is under way; what the shop was told since its last word
TABLES = (Subject.ORDER_STATE, Subject.PAYMENT_KIND, Subject.DELIVERY, Subject.WAREHOUSE)

OFF = _("The exchange of orders is switched off in the settings")
LOST = _(
    "The last answer with orders got lost on the way. A shop that counts orders as given when it is asked does not give them again: "
    "let it export all orders once"
)
AGAIN = _("Orders that had arrived before the last run broke off were taken first")
NOT_THERE = _(
    "Order {number}: the status “{sent}” was sent, but the shop says “{found}”. Look whether it has a status by that name"
)
NOTHING_NEW = _("The shop gave no orders")
BROKEN = _("{reason} What the shop sent is kept in {path}")


def fingerprint(s: ClientSettings, hub: Hub) -> bytes:
    """Over the settings and mappings that decide what a received order becomes: with others it is looked at again."""
    about = describe(type(s))
    chosen = {name: str(getattr(s, name)) for name in about if about[name].reparse}
    tables = [[str(t), [[r.theirs, r.ours, dict(r.attributes), r.taken] for r in hub.rows(t, "in")]] for t in TABLES]
    return digest([chosen, tables])


def receiving(s: ClientSettings, hub: Hub) -> Receiving:
    return Receiving(
        match={Kind.COUNTERPARTY: convert.match_attributes(s)},
        conflict=s.conflicts,
        shared_buyers=True,
        order_attributes=(s.number_attribute.strip(), s.date_attribute.strip()),
        fingerprint=fingerprint(s, hub),
    )


class Kept:
    """Answers of the shop that do not stand in the books yet, each a folder of files. A crash leaves them whole or not at all."""

    def __init__(self, hub: Hub, s: ClientSettings) -> None:
        name = hashlib.blake2b(f"{hub.name} {s.url} {s.login}".encode(), digest_size=12).hexdigest()
        self.folder = hub.folder / "orders" / name

    def put(self, files: Sequence[Path], name: str) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        new, place = self.folder / f".{name}", self.folder / name
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        for number, file in enumerate(files):
            with open(shutil.copyfile(file, new / f"{number:04}.xml"), "rb") as written:
                os.fsync(written.fileno())
        new.replace(place)
        return place

    def waiting(self) -> list[Path]:
        """Oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(p for p in self.folder.iterdir() if p.is_dir() and not p.name.startswith((".", "broken-")))

    def done(self, place: Path) -> None:
        shutil.rmtree(place, ignore_errors=True)

    def set_aside(self, place: Path) -> Path:
        """For a person to look at; the newest few stay."""
        broken = place.with_name(f"broken-{place.name}")
        shutil.rmtree(broken, ignore_errors=True)
        place.replace(broken)
        for old in sorted(self.folder.glob("broken-*"))[:-BROKEN_KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        return broken


@dataclass(slots=True)
class Batch:
    """Documents that become one page."""

    items: list[Item] = field(default_factory=list)
    docs: list[Document] = field(default_factory=list)
    unchanged: int = 0


class OrdersIn:
    """The source of the stream ``orders-in``: goods that are to be created, each page before the page of their orders."""

    stream = ORDERS_IN
    kinds: Collection[Kind] = (Kind.PRODUCT, Kind.OFFER, Kind.ORDER)

    def __init__(self, node: Node) -> None:
        self.node, self.s, self.hub = node, node.s, node.hub
        self.rules = receiving(self.s, self.hub)
        self.reader = Reader(self.s, self.hub)
        self.kept = Kept(self.hub, self.s)
        self._sent: dict[str, Any] = {}

    # --- reading ---

    def pages(self, since: Bookmark | None, known: Known) -> Iterator[Page]:
        if not self.s.exchange_orders:
            self.hub.report("info", OFF)
            return
        self._sent = dict(self.hub.recall(SENT) or {})
        told = dict(self._sent)
        seen = Seen(known)
        for place in self.kept.waiting():
            self.hub.report("info", AGAIN)
            yield from self._answer(place, seen, None)
        if self.hub.recall(ASKED) and self.node.kind.limits.counts_asking:
            self.hub.report("warning", LOST)
        for _round in range(ROUNDS):
            with self.node.query(lambda: self._note(ASKED, self.hub.now().isoformat())) as received:
                place = self.kept.put(received.files, f"{received.when:%Y%m%dT%H%M%S%f}")
                self._note(ASKED, "")
                fresh = yield from self._answer(place, seen, {"asked": received.when.isoformat()})
                if not self.hub.preview:  # the generator goes on once the last page is settled
                    self.node.confirm()
            if not fresh or self.hub.preview or not self.node.kind.limits.confirms:
                break  # else there may be more: WooCommerce-1C gives five at a time, the others once these are confirmed
        if self._sent != told:
            self._note(SENT, self._sent)

    def _note(self, name: str, value: str | dict[str, Any]) -> None:
        if not self.hub.preview:
            self.hub.remember(name, value)

    def _answer(self, place: Path, seen: Seen, bookmark: Bookmark | None) -> Generator[Page, None, int]:
        """The pages of one answer, which is thrown away when the last of them is settled; returns how many orders were news."""
        files = sorted(place.glob("*.xml"))
        total = sum(file.stat().st_size for file in files)
        done, fresh, came = 0, 0, False
        try:
            for file in files:
                for page in self._file(file, seen, done, total):
                    came = came or bool(page.items or page.unchanged)
                    fresh += len(page.items) if page.kind is Kind.ORDER else 0
                    yield page
                done += file.stat().st_size
        except BadDocument as error:
            if self.hub.preview:
                raise
            kept = self.kept.set_aside(place)
            raise BadDocument(BROKEN, reason=str(error), path=str(kept)) from error
        if not came and not seen.grew:
            self.hub.report("info", NOTHING_NEW)
        yield Page(Kind.ORDER, (), bookmark, done=total, total=total)
        if not self.hub.preview:
            self.kept.done(place)
        seen.settle()
        return fresh

    def _file(self, file: Path, seen: Seen, done: int, total: int) -> Iterator[Page]:
        loose = _loose_parts(file)
        batch = Batch()
        fault: BadDocument | None = None
        with file.open("rb") as opened:
            together = _together(opened, file.name)
            while True:
                try:
                    raws = next(together, None)
                except BadDocument as error:
                    fault = error  # what stands before the fault is taken
                    break
                if raws is None:
                    break
                self._take(raws, loose, seen, batch)
                if len(batch.items) >= PAGE or batch.unchanged >= PAGE * 20:
                    yield from self._pages(batch, done + opened.tell(), total)
                    batch = Batch()
        if batch.items or batch.unchanged:
            yield from self._pages(batch, done + file.stat().st_size, total)
        if fault is not None:
            raise fault

    def _take(self, raws: Sequence[Raw], loose: Mapping[str, list[bytes]], seen: Container[bytes], batch: Batch) -> None:
        """Documents that belong together, as one item for each order among them."""
        if len(raws) == 1 and not loose and not self._sent and self.digest(raws[0].xml) in seen:
            batch.unchanged += 1  # what nearly all documents of a shop are that gives all of them each time
            return
        docs = [records.parse(Kind.ORDER, [raw.xml], parents=[raw.parent])[0] for raw in raws]
        parts = [raw.xml for raw, doc in zip(raws, docs, strict=True) if isinstance(doc, Document) and is_part(doc)]
        for raw, doc in zip(raws, docs, strict=True):
            if isinstance(doc, Document) and is_part(doc):
                continue
            own = list(parts) if len(raws) > 1 else []
            ident = guess(raw.xml, "utf-8")
            if isinstance(doc, Document):
                ident = convert.key_of(doc, self.s)
                own += [
                    xml for base in dict.fromkeys((doc.id.strip(), doc.number.strip())) if base for xml in loose.get(base, ())
                ]
                self._look(ident, doc)
            payload = joined([raw.xml, *own])
            mark = self.digest(payload)
            if mark in seen:
                batch.unchanged += 1
                continue
            if isinstance(seen, Seen):
                seen.add(mark)
            batch.items.append(Item(ident or str(raw.line), payload, mark, str(raw.line)))
            if isinstance(doc, Document):
                batch.docs.append(doc)

    def _look(self, key: str, doc: Document) -> None:
        """Whether a state that was sent has arrived: some shops say success before they look at it."""
        told = self._sent.pop(key, None)
        if told is None or not told["status"]:
            return
        said = [folded(word) for word in convert.status_of(doc) if word]
        if folded(told["status"]) not in said:
            found = convert.status_of(doc)[1] or convert.status_of(doc)[0] or "—"
            self.hub.report("warning", NOT_THERE, number=told["number"], sent=told["status"], found=found)

    def digest(self, payload: bytes) -> bytes:
        return hashlib.blake2b(payload, digest_size=16, key=self.rules.fingerprint).digest()

    def _pages(self, batch: Batch, done: int, total: int) -> Iterator[Page]:
        if self.s.create_goods and batch.docs:
            goods = convert.look_up(batch.docs, self.s, self.hub)
            products, offers = convert.strangers(batch.docs, self.s, goods)
            if products:
                yield Page(Kind.PRODUCT, [self._card(card) for card in products], done=done, total=total)
            if offers:
                yield Page(Kind.OFFER, [self._card(card) for card in offers], done=done, total=total)
        yield Page(Kind.ORDER, batch.items, unchanged=batch.unchanged, done=min(done, total), total=total)

    def _card(self, card: Product | Offer) -> Item:
        payload = msgspec.json.encode(card)
        return Item(card.key, payload, self.digest(payload))

    def look(self, keys: Collection[str]) -> dict[str, tuple[Item, Document]]:
        """These orders as the shop shows them now; nothing is taken or confirmed."""
        found: dict[str, tuple[Item, Document]] = {}
        with self.node.query() as received:
            for file in received.files:
                loose = _loose_parts(file)
                with file.open("rb") as opened:
                    for raws in _together(opened, file.name):
                        batch = Batch()
                        self._take(raws, loose, frozenset(), batch)
                        for item, doc in zip(batch.items, batch.docs, strict=False):
                            if item.external_id in keys:
                                found[item.external_id] = item, doc
        return found

    # --- parsing ---

    def parse(self, kind: Kind, items: Sequence[Item]) -> Sequence[Record | BadRecord | None]:
        if kind is Kind.PRODUCT:
            return [_card_of(item.payload, Product) for item in items]
        if kind is Kind.OFFER:
            return [_card_of(item.payload, Offer) for item in items]
        said = all_said(items)
        goods = convert.look_up([one.order for one in said if isinstance(one, Said)], self.s, self.hub)
        return [one if isinstance(one, BadRecord) else self.reader.order(one, goods) for one in said]

    def locate(self, item: Item) -> str:
        return f"orders.xml:{item.where}" if item.where else "orders.xml"


class Seen:
    """Digests of all that the connection has told before, and of what this run has met."""

    def __init__(self, known: Known) -> None:
        marks = known.seen(Kind.ORDER)
        self._marks = {marks[at : at + 16] for at in range(0, len(marks), 16)}
        self._new: list[bytes] = []
        self.grew = False

    def add(self, mark: bytes) -> None:
        self._new.append(mark)

    def settle(self) -> None:
        """An answer has been taken: only now, for within one the later word about an order counts, be it an old one."""
        self.grew = self.grew or bool(self._new)
        self._marks.update(self._new)
        self._new.clear()

    def __contains__(self, mark: object) -> bool:
        return mark in self._marks


# --- documents -------------------------------------------------------------------------------------------------------------

PARTS = frozenset(map(folded, (*MONEY, *REFUNDS, SHIPPING)))
_BASE = tuple("<Основание".encode(codec) for codec in ("utf-8", "cp1251"))
_HEAD, _TAIL = "<Контейнер>".encode(), "</Контейнер>".encode()
_ROOT = tuple(f"<{slash}КоммерческаяИнформация>".encode() for slash in ("", "/"))


def is_part(doc: Document) -> bool:
    """A payment or a shipment that stands beside its order."""
    return bool(doc.base) and folded(doc.operation) in PARTS


def joined(xml: Sequence[bytes]) -> bytes:
    return xml[0] if len(xml) == 1 else _HEAD + b"".join(xml) + _TAIL


def all_said(items: Sequence[Item]) -> list[Said | BadRecord]:
    """What items hold; the documents that stand alone are parsed together."""
    alone = [item.payload for item in items if isinstance(item.payload, bytes) and not item.payload.startswith(_HEAD)]
    docs = iter(records.parse(Kind.ORDER, alone))
    return [
        _said(next(docs)) if isinstance(item.payload, bytes) and not item.payload.startswith(_HEAD) else said_in(item.payload)
        for item in items
    ]


def _said(doc: Any) -> Said | BadRecord:
    if isinstance(doc, BadRecord):
        return doc
    return Said(doc) if isinstance(doc, Document) else BadRecord(convert.NO_ORDER)


def said_in(payload: Any) -> Said | BadRecord:
    """Of an item: one Документ, or a Контейнер of an order with its payments and shipments."""
    if not isinstance(payload, bytes):
        return BadRecord(convert.NO_ORDER)
    if not payload.startswith(_HEAD):
        return _said(records.parse(Kind.ORDER, [payload])[0])
    order: Document | None = None
    parts: list[Document] = []
    try:
        events = list(reader.read(io.BytesIO(_ROOT[0] + payload + _ROOT[1])))
    except BadDocument as error:
        return BadRecord(error.text, **error.facts)
    for raw in events:
        if isinstance(raw, Raw) and raw.kind is Kind.ORDER:
            (doc,) = records.parse(Kind.ORDER, [raw.xml])
            if isinstance(doc, BadRecord):
                return doc
            if isinstance(doc, Document):
                if is_part(doc):
                    parts.append(doc)
                else:
                    order = order or doc
    return Said(order, tuple(parts)) if order else BadRecord(convert.NO_ORDER)


def _together(file: Any, name: str) -> Iterator[list[Raw]]:
    """Documents of one Контейнер together, others alone. Raises BadDocument after the last whole ones."""
    waiting: list[Raw] = []
    fault: BadDocument | None = None
    events = reader.read(file, name)
    while True:
        try:
            event = next(events, None)
        except BadDocument as error:
            fault = error
            break
        if event is None:
            break
        if isinstance(event, Raw) and event.kind is Kind.ORDER:
            if waiting and not (event.parent and event.parent == waiting[0].parent):
                yield waiting
                waiting = []
            waiting.append(event)
    if waiting:
        yield waiting
    if fault is not None:
        raise fault


def _loose_parts(file: Path) -> dict[str, list[bytes]]:
    """Payments and shipments that stand outside of a container, by the order they name; {} for nearly every file."""
    if not _mentions(file, _BASE):
        return {}
    found: dict[str, list[bytes]] = {}
    with file.open("rb") as opened:
        try:
            for raws in _together(opened, file.name):
                for raw in raws if len(raws) == 1 else ():
                    (doc,) = records.parse(Kind.ORDER, [raw.xml])
                    if isinstance(doc, Document) and is_part(doc):
                        found.setdefault(doc.base.strip(), []).append(raw.xml)
        except BadDocument:
            return found  # told when the file is read
    return found


def _mentions(file: Path, words: Sequence[bytes]) -> bool:
    longest = max(map(len, words))
    with file.open("rb") as opened:
        before = b""
        while block := opened.read(1 << 20):
            if any(word in before + block for word in words):
                return True
            before = block[-longest:]
    return False


def _card_of(payload: Any, cls: type[Any]) -> Any:
    try:
        return msgspec.json.decode(payload, type=cls, strict=False)
    except (msgspec.DecodeError, TypeError) as error:
        return BadRecord(_("These goods cannot be read: {reason}"), reason=str(error))


# --- their lists -----------------------------------------------------------------------------------------------------------


def references(node: Node, subject: Subject) -> Sequence[Reference]:
    """The shop's states, payments or deliveries from mode=info. Raises NeedsOwner, TryLater, BadDocument."""
    found = records.read_info(node.info())
    return {
        Subject.ORDER_STATE: found.statuses,
        Subject.PAYMENT_KIND: found.payments,
        Subject.DELIVERY: found.deliveries,
    }.get(subject, ())


def order_of(source: OrdersIn, payload: bytes) -> Order | None:
    """What an order's document means now, without reporting anything: for a look after sending."""
    said = said_in(payload)
    if isinstance(said, BadRecord):
        return None
    found = Reader(source.s, source.hub, quiet=True).order(said, convert.look_up([said.order], source.s, source.hub))
    return found if isinstance(found, Order) else None
