"""Statuses, cancellations and tracking numbers of orders that came from a marketplace: the sink of the stream ``statuses-out``.

Only what differs from their last word is told. Their answer is read back, so that a change of ours does not come back as news; what
else has changed over there meanwhile does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from obmen.core.contract import BadRecord, Change, Links, Mapped, Outcome, Payload
from obmen.core.records import Delivery, Kind, Order, Subject, plain
from obmen.core.words import gettext_noop as _
from obmen.market.api import Draft, Json, Market, StatusChange
from obmen.market.drafts import DELIVERY_ON_SITE, NUMBER_ON_SITE, Drafts
from obmen.market.orders import REMEMBERED, OrdersIn
from obmen.market.orders_settings import CANCEL, STATE, TRACKING, OrdersSettings
from obmen.market.streams import STATUSES_OUT

ASKED = "statuses-asked"  # a note: orders whose change is under way; what stands in it before a call has lost its answer

NOT_SENT = _("Orders in the state “{state}” change no status: switch on “send” beside it on the tab “Orders” to have it sent")
GONE = _("Order {number} is no longer there: the change is not sent")
CANCELLED_THERE = _(
    "Order {number} is cancelled there: its status cannot be changed any more. Cancel it here, or make a new order"
)
NOT_DONE = _(
    "{title} took the change of order {number}, but it is still in the status “{now}” and not in “{status}”: it is tried again. Look at the "
    "order there if that does not help"
)
NOT_CANCELLED = _(
    "{title} took the cancellation of order {number}, but it is in the status “{now}”: it is tried again. Look at the order there if that "
    "does not help"
)
NOT_TRACKED = _(
    "{title} took the tracking number {tracking} of order {number}, but shows “{now}”: it is tried again. Enter it there if that does not help"
)


class StatusesOut:
    stream = STATUSES_OUT
    kind = Kind.ORDER
    batch = 20
    creates = False
    compares = True

    def __init__(self, market: Market) -> None:
        self.market, self.hub = market, market.hub
        self.s: OrdersSettings = market.s
        self.source = OrdersIn(market)
        self.drafts = Drafts(market)
        self.undone: list[str] = []  # of a batch: told, and not so there or not to be read: looked at before it is told again

    def external_id(self, record: Any) -> str | None:
        return None

    # --- what is told ---

    def render(self, record_id: int, record: Order, links: Links) -> Payload | None:
        """A ``StatusChange`` as a mapping, with their last word (``theirs``); None for orders that they have never said."""
        theirs: Order | None = links.their_copy(Kind.ORDER, record_id)
        if theirs is None:
            return None
        change = self._cancellation(record, theirs) if record.cancelled else self._state(record, theirs)
        if not record.cancelled:
            change |= self._tracking(record, theirs)
        if not change:
            return None
        number = dict(theirs.requisites).get(NUMBER_ON_SITE, record.number)
        return {"number": number, **change, "theirs": plain(theirs)}

    def _cancellation(self, order: Order, theirs: Order) -> Json:
        """An order that is cancelled here gets a status that cancels there; without one the marketplace's own way."""
        if theirs.cancelled or CANCEL not in self.s.send:
            return {}
        rows = [*self.hub.outgoing(Subject.ORDER_STATE, order.state), *self.hub.rows(Subject.ORDER_STATE, "out")]
        status = next((row.theirs for row in rows if cancels(row)), "")
        return {"status": status, "cancels": True, "look": True, **self._reason(order)}

    def _reason(self, order: Order) -> Json:
        said = order.cancel_reason
        names = {r.name: r.key for r in self.hub.books.references(Subject.CANCEL_REASON)}
        rows = self.hub.outgoing(Subject.CANCEL_REASON, names.get(said, said)) if said else ()
        text = next((name for name, key in names.items() if key == said), said)
        return {"reason": rows[0].theirs if rows else self.s.default_reason, "comment": text or self.s.cancel_text}

    def _state(self, order: Order, theirs: Order) -> Json:
        if STATE not in self.s.send or not order.state or order.state == theirs.state:
            return {}
        rows = self.hub.outgoing(Subject.ORDER_STATE, order.state)
        if not rows:
            self.hub.report("info", NOT_SENT, state=self.drafts.names(Subject.ORDER_STATE, order.state))
            return {}
        change: Json = {"status": rows[0].theirs}
        # Several states of ours may be one status: whether the order has it already is not to be seen in our words.
        back = self.hub.incoming(Subject.ORDER_STATE, rows[0].theirs)
        if (back.ours if back else "") == theirs.state:
            change["look"] = True
        if cancels(rows[0]):
            change |= {"cancels": True, "look": True, **self._reason(order)}
        return change

    def _tracking(self, order: Order, theirs: Order) -> Json:
        tracking = tracking_of(order)
        if TRACKING not in self.s.send or not tracking or _same(tracking, tracking_of(theirs)):
            return {}
        return {"tracking": tracking, "carrier": self._carrier(order, theirs)}

    def _carrier(self, order: Order, theirs: Order) -> str:
        """Their delivery service for ours; the one that the order was made with where several of theirs are one of ours."""
        ours = order.delivery.method_key if order.delivery else ""
        known = [row.theirs for row in self.hub.outgoing(Subject.DELIVERY, ours)] if ours else []
        first = dict(theirs.requisites).get(DELIVERY_ON_SITE, "")
        return first if first in known else next(iter(known), "")

    # --- telling ---

    def write(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        lost: Collection[str] = self.hub.recall(ASKED) or ()
        ids = [str(change.external_id) for change in changes]
        self.hub.remember(ASKED, list(dict.fromkeys([*lost, *ids])))
        self.undone.clear()
        for change in changes:
            try:
                outcome = self._tell(change, change.unsure or str(change.external_id) in lost)
            except BadRecord as error:
                outcome = Outcome(change.key, error=error)
            yield outcome
        self.hub.remember(ASKED, [*(ident for ident in lost if ident not in ids), *self.undone][-REMEMBERED:] or None)

    def _tell(self, change: Change, unsure: bool) -> Outcome:
        said: Json = change.payload
        theirs = msgspec.convert(said["theirs"], Order, strict=False)
        wanted = StatusChange(
            order=str(change.external_id),
            unsure=unsure,
            **{name: value for name, value in said.items() if name not in ("theirs", "look")},
        )
        before: Draft | None = None
        if unsure or said.get("look"):
            raw = self.market.order(wanted.order)
            if raw is None:
                raise BadRecord(GONE, number=wanted.number)
            before = now = self._draft(raw)
            if self._is_done(now, wanted):
                return self._done(change, raw, now, wanted, theirs)
            if self.drafts.is_cancelled(now) and not wanted.cancels:
                raise BadRecord(CANCELLED_THERE, number=wanted.number)
            wanted = self._rest(now, wanted)
        answer = self.market.change_status(wanted, theirs)
        if answer is None:
            return Outcome(change.key, wanted.order)
        try:
            return self._done(change, answer, self._draft(answer), wanted, theirs, before)
        except BadRecord:
            self.undone.append(wanted.order)
            raise

    def _draft(self, raw: Json) -> Draft:
        """Raises BadRecord."""
        draft = self.drafts.draft(raw)
        if isinstance(draft, BadRecord):
            raise draft
        return draft

    def _is_done(self, now: Draft, wanted: StatusChange) -> bool:
        return (
            (not wanted.cancels or self.drafts.is_cancelled(now))
            and (wanted.cancels or not wanted.status or now.order.state == wanted.status)
            and (not wanted.tracking or _same(tracking_of(now.order), wanted.tracking))
        )

    def _rest(self, now: Draft, wanted: StatusChange) -> StatusChange:
        """What of a change has not been done yet."""
        if not wanted.cancels and wanted.status == now.order.state:
            wanted = replace(wanted, status="")
        if wanted.tracking and _same(wanted.tracking, tracking_of(now.order)):
            wanted = replace(wanted, tracking="", carrier="")
        return wanted

    def _done(
        self, change: Change, raw: Json, now: Draft, wanted: StatusChange, theirs: Order, before: Draft | None = None
    ) -> Outcome:
        """With their word only if nothing has changed there but what we have told: all else has to come as news.

        Raises BadRecord when it is still as it was. An order that they have moved on by themselves is none of that.
        """
        number = str(change.external_id)
        goods = self.drafts.look_up([now])
        order = self.drafts.order(raw, now, goods, park=False, before=theirs)
        if not self._is_done(now, wanted):
            moved = order.state != theirs.state or (before is not None and before.order.state != now.order.state)
            self._raise_undone(now, wanted, moved)
            return Outcome(change.key, number)
        if _apart(order) != _apart(theirs) or not (wanted.status or wanted.cancels or order.state == theirs.state):
            return Outcome(change.key, number)
        return Outcome(change.key, number, seen=self.source.item(raw).digest, copy=order)

    def _raise_undone(self, now: Draft, wanted: StatusChange, moved: bool) -> None:
        facts = {"title": self.market.title, "number": wanted.number}
        state = self._named(now, now.order.state)
        if wanted.cancels:
            if not self.drafts.is_cancelled(now):
                raise BadRecord(NOT_CANCELLED, **facts, now=state)
        elif wanted.status and wanted.status != now.order.state and not moved:
            raise BadRecord(NOT_DONE, **facts, now=state, status=self._named(now, wanted.status))
        if wanted.tracking and not _same(tracking_of(now.order), wanted.tracking):
            raise BadRecord(NOT_TRACKED, **facts, tracking=wanted.tracking, now=tracking_of(now.order) or "–")

    def _named(self, now: Draft, status: str) -> str:
        known = {reference.key: reference.name for reference in self.market.statuses}
        return now.names.get((Subject.ORDER_STATE, status)) or known.get(status, status)


def cancels(row: Mapped) -> bool:
    return row.attributes.get("cancel") == "yes"


def tracking_of(order: Order) -> str:
    """Of the delivery, else of the newest shipment that has one."""
    own = order.delivery.tracking if order.delivery else ""
    return own or next((s.tracking for s in reversed(order.shipments) if s.tracking), "")


def _same(one: str, other: str) -> bool:
    """Tracking numbers, which some write with spaces."""
    return "".join(one.split()).casefold() == "".join(other.split()).casefold()


def _apart(order: Order) -> Order:
    """An order without all that a change of its status changes, and without keys that the books have given it."""
    delivery = replace(order.delivery or Delivery(), tracking="")
    payments = tuple(replace(p, key="", order="", known_as="") for p in order.payments)
    kept = replace(order, key="", known_as="", delivery=delivery, payments=payments, shipments=())
    return replace(kept, state="", cancelled=False, cancel_reason="", shipped=None)
