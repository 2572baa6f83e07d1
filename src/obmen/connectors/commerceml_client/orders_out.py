"""What the shop is told of its orders: only what it reads, only what differs from its last word, only orders that came from it.

What each shop reads was found in its code: CS-Cart exim_1c 4.3–4.12, CS-Cart commerceml 4.12–4.16, Bitrix sale 22.8, WooCommerce-1C
0.9.20. Orders that were made here are never made there: no shop of these makes orders out of documents unasked.
"""

from __future__ import annotations

import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_UP, Decimal
from pathlib import Path
from typing import Any

import msgspec

from obmen.connectors.commerceml_client import api
from obmen.connectors.commerceml_client.api import SALE, Node, Upload
from obmen.connectors.commerceml_client.convert import CENT, KIND, SITE_GOODS, SITE_ID, TYPE, status_of
from obmen.connectors.commerceml_client.orders import SENT, OrdersIn, order_of
from obmen.connectors.commerceml_client.orders_settings import CANCEL, LINES, ORDERS_OUT, PARTS, PAYMENT, SHIPMENT, STATE
from obmen.connectors.commerceml_client.tables import Words, folded
from obmen.core.contract import BadRecord, Change, Links, MissingLink, NeedsOwner, Outcome
from obmen.core.orders import DATE_THERE, NUMBER_THERE, is_delivery
from obmen.core.records import Counterparty, Kind, Order, OrderLine, Payment, Shipment, Subject, digest
from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml import writer
from obmen.formats.commerceml.dialects import Dialect, dialect
from obmen.formats.commerceml.model import Discount, Document, Line, Tax
from obmen.formats.commerceml.orders import (
    CARD,
    CASHLESS,
    DELIVERY_KEY,
    DELIVERY_NAME,
    DOCUMENT,
    MONEY,
    ORDER,
    SHIPPING,
    unit_of,
    when,
)

BATCH = 100  # orders in one file
GIVE_UP = 3  # orders refused one by one before it is clear that the shop refuses all
REMEMBERED = 20_000  # orders that were told something and have not been seen in the shop since

EVERYTHING = frozenset({STATE, CANCEL, PAYMENT, SHIPMENT, LINES})
OPERATIONS = {"cash": MONEY[0], "bank": CASHLESS, "card": CARD}

NO_STATE = _("Orders with the state “{state}” get no status in the shop: map it on the tab “States of orders” to send it")
NO_CANCEL = _("{shop} knows no cancelling but by a status: set “Status of a cancelled order on the site” to send it")
ROUND_TRIP = _(
    "The state “{state}” is sent as “{theirs}”, and that comes back as “{back}”: let both tables of states say the same"
)
NOT_READ = _("{shop} does not read {kind} of orders: they are not sent")
UNKNOWN_GOODS = _(
    "Order {number}: its changed lines are not sent, the shop does not know “{name}” and would drop the whole change"
)
CHARGES = _("Order {number}: its changed lines are not sent, the shop would drop the whole change because of “{name}”")
SUMS = _("Order {number}: its changed lines are not sent, the shop would make {found} of them instead of {total}")
NO_LINES = _("Order {number}: it has no goods any more, and the shop cannot be told so: cancel it there")
REFUSED = _("Order {number}: the shop refuses the change: {reason}")
NOT_TAKEN = _(
    "Order {number}: the shop said success, but its status is still “{found}” instead of “{sent}”. Look whether it has that status"
)


@dataclass(frozen=True, slots=True)
class Reads:
    """What a shop makes of an order that comes back to it."""

    parts: frozenset[str] = EVERYTHING
    state: str = "name"  # Статус заказа by name | id: Статуса заказа ИД
    marks: bool = True  # Проведен, Номер по 1С, Дата по 1С are of use to it
    whole: bool = True  # what a document does not say of cancelling, payment and shipment is taken for undone; 1C always says all
    documents: bool = False  # payments and shipments as documents of their own inside the order's
    known_goods: bool = False  # one line that it does not know, or a charge, makes it drop the whole change
    joins: bool = False  # of two lines with the same goods the last one stays
    line_discounts: bool = False  # it reads discounts of lines only
    written: bool = False  # Дата becomes the moment of its last change, by which it picks what it exports


READS: Mapping[str, Reads] = {
    "cs-cart-exim-1c": Reads(frozenset({STATE}), marks=False, whole=False),
    "cs-cart-commerceml": Reads(
        frozenset({STATE, PAYMENT, SHIPMENT, LINES}),
        marks=False,
        whole=False,
        known_goods=True,
        joins=True,
        line_discounts=True,
        written=True,
    ),
    "bitrix": Reads(state="id", documents=True),
    "woocommerce-1c": Reads(frozenset({CANCEL, PAYMENT, SHIPMENT, LINES})),
}


def reads_of(node: Node) -> Reads:
    """By the shop's kind; documents inside an order's are read by Bitrix's exchange from 2.10 on, which has to be asked for."""
    can = node.kind.limits
    if node.kind.key in READS:
        found = READS[node.kind.key]
        newer = [int(part) for part in node.s.version.split(".") if part.isdigit()] >= [2, 10]
        return replace(found, documents=found.documents and newer)
    lacking = {STATE: can.statuses, PAYMENT: can.payments, LINES: can.lines}
    return Reads(frozenset(part for part in EVERYTHING if lacking.get(part, True)))


class OrdersOut:
    """The sink of the stream ``orders-out``."""

    stream = ORDERS_OUT
    kind = Kind.ORDER
    batch = BATCH
    creates = False
    compares = True

    def __init__(self, node: Node, source: OrdersIn) -> None:
        self.node, self.s, self.hub, self.source = node, node.s, node.hub, source
        self.reads = reads_of(node)
        self.states = Words(node.hub, Subject.ORDER_STATE)
        self.off = not self.s.exchange_orders
        self._told: dict[str, Any] | None = None

    @property
    def told(self) -> Mapping[str, Any]:
        """By order: what it was told since the shop's last word of it. Many shops never repeat what came from 1C."""
        if self._told is None:
            self._told = dict(self.hub.recall(SENT) or {})
        return self._told

    def external_id(self, record: Any) -> str | None:
        return None

    # --- what is told ---

    def render(self, record_id: int, record: Any, links: Links) -> dict[str, Any] | None:
        """A document as JSON has it, with the status that is told; None when they have all of it, or it is no order of theirs."""
        theirs = None if self.off else links.their_copy(Kind.ORDER, record_id)
        if not isinstance(theirs, Order):
            return None
        told = Told(self, record, theirs, links)
        doc = told.document()
        if doc is None:
            return None
        said = {"document": msgspec.to_builtins(doc), "status": told.status, "number": theirs.number, "parts": sorted(told.parts)}
        known = told.before.get("digest") == digest(said["document"]).hex()
        return None if known and not links.asked_again(Kind.ORDER, record_id) else said

    def part(self, name: str) -> bool:
        """Whether this part of an order is told; one that the shop does not read is named in the run."""
        if name not in self.s.send:
            return False
        if name not in self.reads.parts:
            self.hub.report("info", NOT_READ, shop=self.node.kind.title, kind=dict(PARTS)[name])
            return False
        return True

    # --- telling ---

    def write(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        refused: list[NeedsOwner] = []
        done: list[Change] = []
        for change, error in self._send(list(changes), refused, done):
            if error is not None:
                yield Outcome(change.key, error=error)
        yield from self._outcomes(done)

    def _send(
        self, changes: list[Change], refused: list[NeedsOwner], done: list[Change]
    ) -> Iterator[tuple[Change, BadRecord | None]]:
        """In one file; when the shop refuses it, in halves, until the order that it means stands alone. Raises what concerns all."""
        try:
            self._file(changes)
        except NeedsOwner as error:
            if error.text != api.MAY_NOT:
                raise
            if len(changes) > 1:
                middle = len(changes) // 2
                yield from self._send(changes[:middle], refused, done)
                yield from self._send(changes[middle:], refused, done)
                return
            refused.append(error)
            if len(refused) >= GIVE_UP and not done:
                raise
            reason = str(error.facts.get("answer") or error)
            yield changes[0], BadRecord(REFUSED, number=changes[0].payload["number"], reason=reason)
            return
        done += changes
        for change in changes:
            yield change, None

    def _file(self, changes: Sequence[Change]) -> None:
        now = self.hub.now().astimezone(self.hub.zone).replace(tzinfo=None, microsecond=0)
        docs = [self._dated(msgspec.convert(c.payload["document"], Document, strict=False), now) for c in changes]
        # Each time another name: some shops join what comes to what a broken upload has left under the same one.
        name = f"orders-{uuid.uuid5(uuid.NAMESPACE_OID, ' '.join([self.hub.now().isoformat(), *(c.key for c in changes)]))}_1.xml"
        with tempfile.TemporaryDirectory(prefix="obmen-orders-") as folder:
            path = Path(folder) / "orders.xml"
            with path.open("wb") as out:
                writer.save(out, writer.results(docs, self.dialect, created=now))
            self.node.send(SALE, [Upload(name, path, self.node.kind.limits.sale_import)])

    def _dated(self, doc: Document, now: datetime) -> Document:
        return replace(doc, date=now.date(), time=now.time()) if self.reads.written else doc

    @property
    def dialect(self) -> Dialect:
        """As the files of goods, with what orders need of it."""
        return dialect(
            self.s.dialect,
            xsd="",
            marks="all",
            short_hour=False,
            currency_length=0,
            container=False,
            line_price="ЦенаЗаЕдиницу",
            line_unit=False,
            subordinate=self.reads.documents,
        )

    def _outcomes(self, done: Sequence[Change]) -> Iterator[Outcome]:
        if not done:
            return
        if self.s.check_sent:
            yield from self._checked(done)
            return
        self._remember(done)
        for change in done:
            yield Outcome(change.key, change.external_id)

    def _remember(self, done: Sequence[Change]) -> None:
        """Until the shop shows these states itself, nobody knows that it has taken them: the next load of orders looks."""
        sent: dict[str, Any] = dict(self.hub.recall(SENT) or {})
        for change in done:
            said, key = change.payload, str(change.external_id)
            before = sent.pop(key, {})
            sent[key] = {
                "status": said["status"] or before.get("status", ""),
                "number": said["number"],
                "parts": sorted({*said["parts"], *before.get("parts", ())}),
                "digest": digest(said["document"]).hex(),
            }
        self._told = dict(list(sent.items())[-REMEMBERED:])
        self.hub.remember(SENT, self._told)

    def _checked(self, done: Sequence[Change]) -> Iterator[Outcome]:
        """Asks for the orders once more: a shop that says success first and works later is believed only then."""
        shown = self.source.look({str(change.external_id) for change in done})
        for change in done:
            item, doc = shown.get(str(change.external_id), (None, None))
            sent = change.payload["status"]
            if item is None or doc is None:
                yield Outcome(change.key, change.external_id)  # it no longer exports that order
                continue
            ident, name = status_of(doc)
            if sent and folded(sent) not in (folded(ident), folded(name)):
                number, found = change.payload["number"], name or ident or "—"
                yield Outcome(change.key, error=BadRecord(NOT_TAKEN, number=number, sent=sent, found=found))
                continue
            yield Outcome(change.key, change.external_id, seen=item.digest, copy=order_of(self.source, item.payload))


class Told:
    """One order: what of it differs from the shop's last word, in the shop's words."""

    def __init__(self, sink: OrdersOut, ours: Order, theirs: Order, links: Links) -> None:
        self.sink, self.ours, self.theirs, self.links = sink, ours, theirs, links
        self.reads, self.hub, self.s = sink.reads, sink.hub, sink.s
        self.before: Mapping[str, Any] = sink.told.get(theirs.key, {})
        self.parts: set[str] = set()  # what is told now
        self.status = ""
        self.pairs: list[tuple[str, str]] = []

    def again(self, part: str) -> bool:
        """It was told since the shop's last word, which says nothing of what the shop has now."""
        return part in self.before.get("parts", ())

    def tell(self, part: str, *pairs: tuple[str, str]) -> None:
        self.parts.add(part)
        self.pairs += pairs

    def document(self) -> Document | None:
        """None: nothing that the shop reads has changed."""
        lines, parts = self._lines(), self._documents()
        self._state()
        self._payment()
        self._shipment()
        self._posted()
        if lines is None and not parts and not self.pairs:
            return None
        if self.reads.whole:
            self._all_marks()
        ours, theirs = self.ours, self.theirs
        local = theirs.date.astimezone(self.hub.zone)
        return Document(
            id=dict(theirs.requisites).get(SITE_ID) or theirs.number,
            number=theirs.number,
            date=local.date(),
            time=local.time().replace(microsecond=0),
            operation=ORDER,
            role="Продавец",
            currency=theirs.currency or ours.currency,
            rate=Decimal(1),
            total=ours.total if lines is not None else theirs.total,
            counterparties=(_party(theirs.counterparty),) if theirs.counterparty and lines is not None else (),
            lines=lines,
            discounts=self._discounts() if lines is not None else (),
            subordinate=parts,
            requisites=tuple(self.pairs),
            deleted=True if ours.deleted else None,
        )

    # --- state ---

    def _state(self) -> None:
        ours, theirs = self.ours, self.theirs
        gone, was = ours.cancelled or ours.deleted, theirs.cancelled or theirs.deleted
        by_mark = CANCEL in self.reads.parts
        name = ""
        if (gone != was or self.again(CANCEL)) and by_mark and self.sink.part(CANCEL):
            self.tell(CANCEL, ("Отменен", "true" if gone else "false"))
            if gone and ours.cancel_reason:
                self.tell(CANCEL, ("Причина отмены", ours.cancel_reason))
        if gone and (not was or self.again(STATE)) and not by_mark and CANCEL in self.s.send:
            name = self.s.cancel_status.strip() or self._mapped(ours.state, quiet=True)
            if not name:
                self.hub.report("warning", NO_CANCEL, shop=self.sink.node.kind.title)
        elif ours.state and (ours.state != theirs.state or was or self.again(STATE)) and not gone and self.sink.part(STATE):
            name = self._mapped(ours.state)
        if not name or STATE not in self.reads.parts:
            return
        self.status = name
        self.tell(STATE, ("Статуса заказа ИД" if self.reads.state == "id" else "Статус заказа", name))

    def _mapped(self, state: str, quiet: bool = False) -> str:
        rows = self.hub.outgoing(Subject.ORDER_STATE, state) if state else ()
        if not rows:
            if state and not quiet:
                self.hub.report("warning", NO_STATE, state=state)
            return ""
        theirs = rows[0].theirs
        back = self.sink.states.find(theirs)
        if back is not None and back.taken and back.ours and back.ours != state:
            self.hub.report("warning", ROUND_TRIP, state=state, theirs=theirs, back=back.ours)
        return theirs

    # --- marks ---

    def _payment(self) -> None:
        ours, theirs = self.ours.paid, self.theirs.paid
        news = ours != theirs and (ours or theirs is not None)
        if ours is None or not (news or self.again(PAYMENT)) or not self.sink.part(PAYMENT):
            return
        self.tell(PAYMENT, *(self._paid() if ours else [("Оплачен", "false")]))

    def _paid(self) -> list[tuple[str, str]]:
        done = next((p for p in self.ours.payments if p.paid and not p.refund), None)
        pairs = [
            ("Номер оплаты по 1С", done.number if done else ""),
            ("Дата оплаты по 1С", self._when(done.date if done else None)),
        ]
        return [pair for pair in (*pairs, ("Оплачен", "true" if self.reads.marks else "")) if pair[1]]

    def _shipment(self) -> None:
        ours, theirs = self.ours, self.theirs
        tracking = ours.delivery.tracking if ours.delivery else ""
        new_tracking = bool(tracking) and tracking != (theirs.delivery.tracking if theirs.delivery else "")
        news = ours.shipped != theirs.shipped and (ours.shipped or theirs.shipped is not None)
        changed = ours.shipped is not None and (news or self.again(SHIPMENT))
        if not (changed or (new_tracking and self.reads.marks)) or not self.sink.part(SHIPMENT):
            return
        if changed:
            self.tell(SHIPMENT, *(self._shipped() if ours.shipped else [("Отгружен", "false")]))
        if new_tracking:
            self.pairs.append(("Идентификатор отправления", tracking))

    def _shipped(self) -> list[tuple[str, str]]:
        done = next((one for one in self.ours.shipments if one.shipped), None)
        pairs = [
            ("Номер отгрузки по 1С", done.number if done else ""),
            ("Дата отгрузки по 1С", self._when(done.date if done else None)),
        ]
        return [pair for pair in (*pairs, ("Отгружен", "true" if self.reads.marks else "")) if pair[1]]

    def _posted(self) -> None:
        number = dict(self.ours.requisites).get(NUMBER_THERE, "")
        if self.reads.marks and number and number != dict(self.theirs.requisites).get(NUMBER_THERE, ""):
            self.pairs += self._number_there(number)

    def _number_there(self, number: str) -> list[tuple[str, str]]:
        moment = when(dict(self.ours.requisites).get(DATE_THERE, ""), self.hub.zone)
        return [(NUMBER_THERE, number), *([(DATE_THERE, self._when(moment))] if moment else []), ("Проведен", "true")]

    def _all_marks(self) -> None:
        """What has not changed is said again: WooCommerce-1C makes the status anew out of each document."""
        ours, number = self.ours, dict(self.ours.requisites).get(NUMBER_THERE, "")
        said = {name for name, _value in self.pairs}
        whole = [
            *(self._number_there(number) if number and self.reads.marks else []),
            *(self._paid() if ours.paid and self._may(PAYMENT) else []),
            *(self._shipped() if ours.shipped and self._may(SHIPMENT) else []),
            *([("Отменен", "true")] if (ours.cancelled or ours.deleted) and self._may(CANCEL) else []),
        ]
        self.pairs += [pair for pair in whole if pair[0] not in said]

    def _may(self, part: str) -> bool:
        return part in self.reads.parts and part in self.s.send

    def _when(self, moment: datetime | None) -> str:
        """A moment that is not known is now: it is the date by which shops see that something is paid or shipped."""
        return f"{(moment or self.hub.now()).astimezone(self.hub.zone):%Y-%m-%dT%H:%M:%S}"

    # --- lines ---

    def _lines(self) -> tuple[Line, ...] | None:
        """None: they are not told."""
        ours, theirs = self.ours, self.theirs
        same = _goods(ours) == _goods(theirs) and _delivery(ours) == _delivery(theirs) and not self.again(LINES)
        if ours.cancelled or ours.deleted or same:
            return None
        if not self.sink.part(LINES):
            return None
        goods = [line for line in ours.lines if not is_delivery(line)]
        if not goods:
            self.hub.report("warning", NO_LINES, number=ours.number)
            return None
        if self.reads.known_goods and not self._all_known(goods):
            return None
        made = [_line(line) for line in goods]
        if self.reads.line_discounts and ours.discount:
            made = _spread(made, ours.discount)
        if self.reads.joins:
            made = _joined(made)
        cost = _delivery(ours)
        if cost:
            made.append(_delivery_line(theirs, cost))
        if self.reads.known_goods:
            found = sum((_net(line) for line in made), Decimal(0))
            if abs(found - ours.total) > CENT:
                self.hub.report("warning", SUMS, number=ours.number, found=found, total=ours.total)
                return None
        self.tell(LINES)
        return tuple(made)

    def _all_known(self, goods: Sequence[OrderLine]) -> bool:
        charge = next((line for line in goods if line.kind != "product"), None)
        if charge is not None:
            self.hub.report("warning", CHARGES, number=self.ours.number, name=charge.name)
            return False
        said = {_site_goods(line) for line in self.theirs.lines}
        left = [line for line in goods if _site_goods(line) not in said]
        cards = self.hub.books.offers_by("key", list(dict.fromkeys(line.offer for line in left if line.offer))) if left else {}
        for line in left:
            found = cards.get(line.offer, ()) if line.offer else ()
            if not (found and found[0].record_id and self._told_of(found[0].record_id)):
                self.hub.report("warning", UNKNOWN_GOODS, number=self.ours.number, name=line.name)
                return False
        return True

    def _told_of(self, offer: int) -> bool:
        """Whether the shop was sent that offer."""
        try:
            return bool(self.links.external_id(Kind.OFFER, offer))
        except MissingLink:
            return False

    def _discounts(self) -> tuple[Discount, ...]:
        if self.ours.discount <= 0 or self.reads.line_discounts:
            return ()
        return (Discount("Скидка на заказ", self.ours.discount, included=False),)

    # --- payments and shipments as documents ---

    def _documents(self) -> tuple[Document, ...]:
        if not self.reads.documents:
            return ()
        made: list[Document] = []
        before = {p.key: p for p in self.theirs.payments}
        told = self.again(PAYMENT)
        changed = [p for p in self.ours.payments if told or before.get(p.key) is None or _paid(before[p.key]) != _paid(p)]
        if changed and self.sink.part(PAYMENT):
            self.tell(PAYMENT)
            made += [self._payment_document(p) for p in changed if p.paid or p.key in before]
        sent = {one.key: one for one in self.theirs.shipments}
        told = self.again(SHIPMENT)
        moved = [x for x in self.ours.shipments if told or sent.get(x.key) is None or _shipped(sent[x.key]) != _shipped(x)]
        if moved and self.sink.part(SHIPMENT):
            self.tell(SHIPMENT)
            made += [self._shipment_document(one) for one in moved]
        return tuple(made)

    def _payment_document(self, p: Payment) -> Document:
        rows = self.hub.outgoing(Subject.PAYMENT_KIND, p.method_key) if p.method_key else ()
        said = dict(p.requisites).get(DOCUMENT, "")
        operation = OPERATIONS.get(said) or (said if said in MONEY else CARD if p.gateway else CASHLESS)
        pairs = [
            ("Номер оплаты по 1С", p.number),
            ("Дата оплаты по 1С", self._when(p.date) if p.paid else ""),
            ("Дата оплаты", self._when(p.date) if p.paid else ""),
            ("Оплачен", "true" if p.paid else "false"),
            ("Метод оплаты ИД", rows[0].theirs if rows else p.method_key),
            ("Метод оплаты", p.method),
            ("Признак возврата", "true" if p.refund else ""),
        ]
        return self._part(p.key, p.number, p.date, operation, p.amount, pairs)

    def _shipment_document(self, one: Shipment) -> Document:
        pairs = [
            ("Номер документа отгрузки", one.number),
            ("Дата документа отгрузки", self._when(one.date) if one.shipped else ""),
            ("Отгружен", "true" if one.shipped else "false"),
            ("Идентификатор отправления", one.tracking),
        ]
        return self._part(one.key, one.number, one.date, SHIPPING, one.amount, pairs)

    def _part(
        self,
        key: str,
        number: str,
        moment: datetime | None,
        operation: str,
        amount: Decimal | None,
        pairs: Sequence[tuple[str, str]],
    ) -> Document:
        local = (moment or self.hub.now()).astimezone(self.hub.zone)
        return Document(
            id=key,
            number=number,
            date=local.date(),
            time=local.time().replace(microsecond=0),
            operation=operation,
            role="Продавец",
            currency=self.theirs.currency or self.ours.currency,
            rate=Decimal(1),
            total=amount,
            requisites=tuple(pair for pair in pairs if pair[1]),
        )


def _party(party: Counterparty) -> Counterparty:
    return replace(party, role="Покупатель", extra="")


def _paid(p: Payment) -> tuple[Any, ...]:
    return (p.paid, p.refund, p.amount.normalize())


def _shipped(one: Shipment) -> tuple[Any, ...]:
    return (one.shipped, one.tracking)


def _goods(order: Order) -> Counter[tuple[Any, ...]]:
    return Counter((_site_goods(ln), ln.quantity.normalize(), ln.total.normalize()) for ln in order.lines if not is_delivery(ln))


def _delivery(order: Order) -> Decimal:
    own = [line.total for line in order.lines if is_delivery(line)]
    return sum(own, Decimal(0)) if own else (order.delivery.price if order.delivery else None) or Decimal(0)


def _site_goods(line: OrderLine) -> str:
    """The id of the goods over there."""
    return dict(line.requisites).get(SITE_GOODS) or line.offer or line.name


def _line(line: OrderLine) -> Line:
    """Price and discount so that price × quantity − discount is the total to the cent, whichever of them the shop counts with."""
    price, discount = line.price, line.price * line.quantity - line.total
    if discount < 0 or discount != discount.quantize(CENT):
        price = (line.total / line.quantity).quantize(CENT, ROUND_UP) if line.quantity else line.price
        discount = price * line.quantity - line.total
    rate = line.vat_rate or None
    own = tuple((n, v) for n, v in line.requisites if n not in (KIND, SITE_GOODS))
    kind = "Товар" if line.kind == "product" else "Услуга"
    return Line(
        key=_site_goods(line) if line.offer else "",
        name=line.name,
        article=line.article,
        unit=unit_of(line.unit),
        ratio=line.ratio,
        price=price,
        quantity=line.quantity,
        total=line.total,
        rate=rate,
        taxes=(Tax("НДС", True, line.vat_amount, rate),) if rate and line.vat_amount is not None else (),
        discounts=(Discount("Скидка на товар", discount, included=True),) if discount > 0 else (),
        requisites=((KIND, dict(line.requisites).get(KIND, kind)), (TYPE, kind), *own),
    )


def _delivery_line(order: Order, cost: Decimal) -> Line:
    """By the name that the shop gave it (WooCommerce-1C: that of the way of delivery), else by that which CS-Cart and Bitrix know."""
    own = next((line for line in order.lines if is_delivery(line)), None)
    return Line(
        key=DELIVERY_KEY,
        name=own.name if own else DELIVERY_NAME,
        unit=unit_of("796"),
        ratio=Decimal(1),
        price=cost,
        quantity=Decimal(1),
        total=cost,
        rate=(own.vat_rate if own else "") or None,
        requisites=((KIND, "Услуга"), (TYPE, "Услуга")),
    )


def _off(line: Line) -> Decimal:
    return sum((d.amount for d in line.discounts if d.amount is not None), Decimal(0))


def _net(line: Line) -> Decimal:
    return (line.price or Decimal(0)) * (line.quantity or Decimal(0)) - _off(line)


def _spread(lines: Sequence[Line], discount: Decimal) -> list[Line]:
    """The order's discount over its lines by their sums, the last one takes what rounding leaves."""
    whole = sum((line.total or Decimal(0) for line in lines), Decimal(0))
    left, made = discount, []
    for number, line in enumerate(lines, 1):
        own = (line.total or Decimal(0)) or Decimal(0)
        share = left if number == len(lines) else (discount * own / whole).quantize(CENT) if whole else Decimal(0)
        left -= share
        made.append(replace(line, total=own - share, discounts=_discount(_off(line) + share)))
    return made


def _discount(amount: Decimal) -> tuple[Discount, ...]:
    return (Discount("Скидка на товар", amount, included=True),) if amount > 0 else ()


def _joined(lines: Sequence[Line]) -> list[Line]:
    """Lines of the same goods as one, for shops that keep only the last of them. The sums stay the same."""
    made: dict[str, Line] = {}
    for line in lines:
        first = made.get(line.key)
        if first is None:
            made[line.key] = line
            continue
        quantity = (first.quantity or Decimal(0)) + (line.quantity or Decimal(0))
        total = (first.total or Decimal(0)) + (line.total or Decimal(0))
        price = max(first.price or Decimal(0), line.price or Decimal(0))
        made[line.key] = replace(
            first, quantity=quantity, total=total, price=price, discounts=_discount(price * quantity - total), taxes=()
        )
    return list(made.values())
