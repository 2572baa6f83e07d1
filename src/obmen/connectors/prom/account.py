"""One account at Prom as a marketplace: orders and what is said of them, cards and what they are told (facts on marketplaces §2)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar

from obmen.connectors.prom import convert
from obmen.connectors.prom.api import NO_API, Api, Json, NotFound, Odd, Refused, listed, mapping, number, stamp, words
from obmen.connectors.prom.convert import CANCELLED, DELIVERED, PRESENCE
from obmen.connectors.prom.settings import PromSettings
from obmen.core.contract import BadRecord, Bookmark, Hub, NeedsOwner
from obmen.core.records import Counterparty, Order, Reference, Subject, plain
from obmen.core.words import gettext_noop as _
from obmen.market.api import Card, CardsPage, Draft, Market, Offering, OrdersPage, StatusChange, Told
from obmen.net.client import NotJson

OVERLAP = timedelta(hours=3)  # §2.1: in which zone they read dates of queries is not certain
TRUST = timedelta(days=1)  # by how much our clock may be wrong without an order being missed
WINDOW = timedelta(days=7)  # of a long period, so that it can be gone on with where it broke off
GROUP_MOST = 500  # §2.4: the most cards of a group that are ever listed

# §2.2: what set_status takes; pending and draft come about by themselves, accepted and declined are refused
SETTABLE = ("received", "delivered", "canceled", "paid", "waiting_loan_approval", "loan_rejected", "loan_approved")
OWN = re.compile(r"custom-(\d+)")  # a status of the shop's own
ANOTHER = "another"
WORDY = (ANOTHER, "price_changed", "not_enough_fields")  # reasons that want words
CARRIERS = ("nova_poshta", "ukrposhta", "meest", "justin")  # §2.3: whose tracking numbers are taken

STATUSES = (
    ("pending", "Новий"),
    ("received", "Прийнято"),
    ("paid", "Оплачено"),
    ("delivered", "Виконано"),
    ("canceled", "Скасовано"),
)
REASONS = (  # old ones and new ones: which of them an account takes, it says itself
    ("not_available", "Немає в наявності"),
    ("buyers_request", "На прохання покупця"),
    ("duplicate", "Дублікат замовлення"),
    ("invalid_phone_number", "Неправильний номер телефону"),
    ("payment_not_received", "Оплата не надійшла"),
    ("no_product_variants", "Немає потрібного різновиду"),
    ("price_changed", "Змінилася ціна"),
    ("not_enough_fields", "Недостатньо даних"),
    ("less_than_minimal_price", "Менше мінімальної суми"),
    (ANOTHER, "Інша причина"),
)

NO_RIGHTS = _("The token may read neither orders nor goods: give it rights in the cabinet, Settings → Management of API tokens")
NO_ORDER = _("Order {number} is not at Prom any more: nothing was sent")
CANNOT = _("Prom does not put order {number} into the status “{status}”: {reason}. It takes: {possible}")
LEFT = _(
    "Prom left order {number} in the status “{now}” and not in “{status}”, without saying why: look at the order in the cabinet"
)
NO_CARRIER = _(
    "Order {number}: Prom takes tracking numbers of {carriers} only, and “{carrier}” is none of them. Map the way of delivery to one "
    "of theirs, or enter the number in the cabinet"
)
NOT_DECLARED = _("Prom does not take the tracking number {tracking} of order {number}: {reason}")
WARNED = _("Order {number}: Prom warns: {reason}")
GONE_CARD = _(
    "The card {id} “{name}” is deleted at Prom: link the product to another card, or make a new one with the price list"
)
NOT_EDITED = _("Prom does not change the card {id} “{name}”: {reason}")
SILENT = _(
    "Prom left the card {id} “{name}” as it is, without saying why ({fields}): look at the card in the cabinet, {link}, then try again"
)
GROUP_FULL = _(
    "Prom lists {most} cards of the group “{group}” and no more: some of it may be missing. Divide the group in the cabinet into smaller ones"
)


class PromMarket(Market):
    title: ClassVar[str] = "Prom"
    statuses: ClassVar[Sequence[Reference]] = tuple(Reference(Subject.ORDER_STATE, key, name) for key, name in STATUSES)
    describes: ClassVar[bool] = True
    attributes: ClassVar[Sequence[tuple[str, str]]] = (
        ("name", _("name, at most 110 characters")),
        ("description", _("description, HTML")),
        ("keywords", _("keywords, with commas between")),
        ("presence", _("presence: available, not_available, order, waiting")),
        ("status", _("on display: on_display, not_on_display, draft, deleted")),
        ("in_stock", _("ready to be sent: true, false")),
    )
    s: PromSettings

    def __init__(self, settings: Any, hub: Hub) -> None:
        super().__init__(settings, hub)
        self.api = Api(settings, hub)

    def close(self) -> None:
        self.api.close()

    # --- the account ---

    def check(self) -> str:
        """Host, and which of orders and goods the token opens: a token may have rights to one of them only."""
        opened = []
        for path, name in (("/orders/list", "orders"), ("/products/list", "products")):
            try:
                if isinstance(self.api.get(path, limit=1).get(name), list):
                    opened.append(name)
                    continue
                raise NeedsOwner(NO_API, host=self.api.host, reason=path)
            except (NotFound, NotJson) as error:
                raise NeedsOwner(NO_API, host=self.api.host, reason=str(error)) from error
            except Refused as error:
                raise NeedsOwner(error.text, **error.facts) from error
            except NeedsOwner as error:
                if error.facts.get("path") != path:  # anything but a missing right
                    raise
        if not opened:
            raise NeedsOwner(NO_RIGHTS)
        return f"{self.api.host} · {', '.join(opened)}"

    def references(self, subject: Subject) -> Sequence[Reference]:
        match subject:
            case Subject.ORDER_STATE:
                rows = self.api.list("/order_status_options/list", "order_status_options")
                return [Reference(subject, status_key(row), words(row.get("title")) or status_key(row)) for row in rows]
            case Subject.DELIVERY:
                return [Reference(subject, str(row["id"]), words(row.get("name")) or str(row["id"])) for row in self.deliveries]
            case Subject.PAYMENT_KIND:
                rows = self.api.list("/payment_options/list", "payment_options")
                found = ((number(row), words(row.get("name"))) for row in rows)
                return [Reference(subject, str(ident), name or str(ident)) for ident, name in found if ident is not None]
            case Subject.CANCEL_REASON:
                return [Reference(subject, key, name) for key, name in REASONS]
        return super().references(subject)

    @cached_property
    def deliveries(self) -> Sequence[Json]:
        """Also those that are switched off: an old order may go by one of them."""
        return [row for row in self.api.list("/delivery_options/list", "delivery_options") if number(row) is not None]

    # --- orders ---

    def orders(self, since: Bookmark | None, moment: datetime) -> Iterator[OrdersPage]:
        """By the time of the change and in any status: what is paid online leaves "pending" within two minutes (§2.2).

        The bookmark is the latest change they told, so that our clock hardly matters; a long time is read in parts of a week.
        """
        start = datetime.fromisoformat(since["from"]) if since else moment.astimezone(UTC)
        now = self.hub.now()
        ends = list(_ends(start, now))
        begin, latest = start - OVERLAP, None
        for done, end in enumerate(ends):
            query = {"sort_dir": "desc", "last_modified_from": stamp(begin)} | ({"last_modified_to": stamp(end)} if end else {})
            for rows in self.api.rows("/orders/list", "orders", **query):
                told = [convert.moment(row.get("date_modified")) or now for row in rows]
                latest = max([*told, *([latest] if latest else [])])
                yield OrdersPage(rows, done=done, total=len(ends))
            reached = end or max(start, min(latest or start, now), now - TRUST)
            yield OrdersPage((), {"from": reached.isoformat()}, done=done + 1, total=len(ends))
            begin = reached

    def order(self, number: str) -> Json | None:
        """Raises BadRecord for an answer that has no order in it."""
        if not (number.isascii() and number.isdigit()):
            return None
        try:
            return plain(self.api.one(f"/orders/{number}", "order"))  # type: ignore[no-any-return]
        except Odd:
            raise
        except (NotFound, Refused):  # §2.9: that there is none is 404, or 200 with an error
            return None

    def order_id(self, raw: Json) -> str:
        return convert.order_id(raw)

    def used(self, raw: Json) -> Json:
        return convert.used(raw)

    def draft(self, raw: Json) -> Draft:
        return convert.draft(raw, self.s)

    def buyer(self, raw: Json) -> Counterparty | None:
        return convert.buyer(raw)

    def change_status(self, change: StatusChange, theirs: Order | None) -> Json | None:
        """Looks first: what is so already is not sent. Tracking number and status do not wait for each other: where one of them is
        refused, the other one has been told all the same."""
        before = self.order(change.order)
        if before is None:
            raise BadRecord(NO_ORDER, number=change.number)
        refused: BadRecord | None = None
        acted = False
        for tell in (self._declare, self._set_status):
            try:
                acted = tell(change, before) or acted
            except BadRecord as error:
                refused = refused or error
        if refused is not None:
            raise refused
        if not acted:
            return before
        try:
            return self.order(change.order)
        except Odd:  # it was done, and cannot be read
            return None

    def _declare(self, change: StatusChange, before: Json) -> bool:
        """The tracking number (§2.3); True when it was sent. Raises BadRecord."""
        tracking = "".join(change.tracking.split())
        if not tracking or _declared(before) == tracking:
            return False
        carrier = self._carrier(change.carrier) or convert.carrier(before)
        if carrier not in CARRIERS:
            shown = carrier or change.carrier or convert.text(mapping(before.get("delivery_option")).get("name"))
            raise BadRecord(NO_CARRIER, number=change.number, carriers=", ".join(CARRIERS), carrier=shown)
        body = {"order_id": int(change.order), "declaration_id": tracking, "delivery_type": carrier}
        try:
            self.api.post("/delivery/save_declaration_id", body)
        except Refused as error:
            # "Already added" (§2.3) may mean to this order or to another one: what the order shows decides
            if _declared(self.order(change.order) or {}) != tracking:
                raise BadRecord(NOT_DECLARED, tracking=tracking, number=change.number, reason=error.reason) from error
        return True

    def _carrier(self, delivery: str) -> str:
        """Of a way of delivery by their id of it: its type, or what its name says; a carrier's own key says itself."""
        if not delivery or delivery in CARRIERS:
            return delivery
        row = next((row for row in self.deliveries if str(number(row)) == delivery), {})
        kind = convert.text(row.get("type"))
        return kind if kind in CARRIERS else convert.carrier_of(convert.text(row.get("name"))) or kind

    def _set_status(self, change: StatusChange, before: Json) -> bool:
        """True when it was sent. Raises BadRecord."""
        wanted = change.status or (CANCELLED if change.cancels else "")
        if not wanted or wanted == before.get("status"):
            return False
        own = OWN.fullmatch(wanted)
        if not own and wanted not in SETTABLE:
            raise self._cannot(change, wanted, _("it is none that can be set"))
        body: Json = {"ids": [int(change.order)]}
        body |= {"custom_status_id": int(own[1])} if own else {"status": wanted}
        if wanted == CANCELLED:
            reason = change.reason or ANOTHER
            body["cancellation_reason"] = reason
            if change.comment or reason in WORDY:
                body["cancellation_text"] = change.comment or self.s.cancel_text
        try:
            answer = self.api.post("/orders/set_status", body)
        except Refused as error:
            raise self._cannot(change, wanted, error.errors.get(change.order) or error.reason) from error
        if said := mapping(answer.get("errors")).get(change.order):
            raise self._cannot(change, wanted, words(said))
        if warning := words(answer.get("warning_message")):
            self.hub.report("warning", WARNED, number=change.number, reason=warning)
        if change.order not in map(str, listed(answer.get("processed_ids"))):  # §2.2: no word is no consent
            now = convert.text((self.order(change.order) or {}).get("status"))
            later = now == DELIVERED and wanted != CANCELLED
            if now != wanted and not later:
                raise BadRecord(LEFT, number=change.number, now=now, status=wanted)
        return True

    def _cannot(self, change: StatusChange, wanted: str, reason: str) -> BadRecord:
        return BadRecord(CANNOT, number=change.number, status=wanted, reason=reason, possible=", ".join((*SETTABLE, "custom-…")))

    # --- goods ---

    def cards(self, since: Bookmark | None) -> Iterator[CardsPage]:
        """§2.4: some shops list only their root without a group, and no group shows more than 500: everything is asked for without
        a group first, then group by group; each card comes once."""
        started = self.hub.now()
        query = {"last_modified_from": stamp(datetime.fromisoformat(since["from"]) - OVERLAP)} if since else {}
        groups: list[Json | None] = [None]
        groups += [group for rows in self.api.rows("/groups/list", "groups") for group in rows if number(group) is not None]
        seen: set[int] = set()
        inside = Counter[int | None]()
        for done, group in enumerate(groups, 1):
            listed_here = 0
            for rows in self.api.rows("/products/list", "products", group_id=number(group), **query):
                listed_here += len(rows)
                fresh = [row for row in rows if number(row) not in seen]
                seen.update(filter(None, map(number, fresh)))
                inside.update(number(row.get("group")) for row in fresh)
                yield CardsPage([self._card(row) for row in fresh], done=done, total=len(groups))
            if group is not None and listed_here >= GROUP_MOST >= inside[number(group)]:
                self.hub.report("warning", GROUP_FULL, most=GROUP_MOST, group=words(group.get("name")))
        yield CardsPage((), {"from": started.isoformat()}, done=len(groups), total=len(groups))

    def _card(self, row: Json) -> Card:
        """A row that is no card has no id and only its name: such a one is parked."""
        return Card("", name=words(row.get("name"))) if number(row) is None else convert.card(row, self.s)

    def card(self, ident: str) -> Card | None:
        found = self._product(ident)
        return None if found is None else convert.card(found, self.s)

    def _product(self, ident: str) -> Json | None:
        """None for one that is deleted, too: both are 404 (§2.4). Raises Refused, also for an answer that has no product in it."""
        if not (ident.isascii() and ident.isdigit()):
            return None
        try:
            return self.api.one(f"/products/{ident}", "product")
        except NotFound:
            return None

    def put(self, offerings: Sequence[Offering]) -> Iterator[Told]:
        """By ``products/edit`` (§2.5). Cards about which the answer says nothing are looked at; what is not so is sent once more."""
        left: dict[str, _Edit] = {}
        for offering in offerings:
            try:
                if not offering.id.isdigit():
                    raise BadRecord(GONE_CARD, id=offering.id, name=offering.name)
                left[offering.id] = _Edit(offering, convert.edit(offering, self.s))
            except BadRecord as error:
                yield Told(offering.key, error)
        for last in (False, True):
            again: dict[str, _Edit] = {}
            for edit, wrong in self._edit(left):
                if wrong is not None and not last and edit.retry(wrong):
                    again[edit.offering.id] = edit
                else:
                    yield Told(edit.offering.key, wrong)
            left = again

    def _edit(self, edits: Mapping[str, _Edit]) -> Iterator[tuple[_Edit, BadRecord | None]]:
        """One call, and a look at each card that it says nothing of. A call that is refused as a whole is made for each card alone."""
        if not edits:
            return
        body = [{"id": int(ident), **edit.row} for ident, edit in edits.items() if edit.row]
        try:
            answer = self.api.post("/products/edit", body) if body else {}
        except Refused as error:
            if set(error.errors) & set(edits):
                answer = {"errors": error.errors}
            elif len(edits) == 1:
                answer = {"errors": dict.fromkeys(edits, error.reason)}
            else:
                for ident, edit in edits.items():
                    yield from self._edit({ident: edit})
                return
        errors = mapping(answer.get("errors"))
        done = {str(ident) for ident in listed(answer.get("processed_ids"))}
        for ident, edit in edits.items():
            if not edit.row:  # nothing of it is said by a call
                yield edit, None
            elif ident in errors:
                yield edit, edit.refused(words(errors[ident]))
            elif ident in done:
                yield edit, None
            else:
                yield edit, self._looked(edit)

    def _looked(self, edit: _Edit) -> BadRecord | None:
        """The card is in neither list: it had all of this already, or was really refused (§2.5)."""
        offering = edit.offering
        try:
            there = self._product(offering.id)
        except BadRecord as error:  # of this card alone
            return error
        if there is None:
            # a card that is deleted sells nothing: what was wanted is so
            return None if offering.quantity == 0 else BadRecord(GONE_CARD, id=offering.id, name=offering.name)
        if not (fields := convert.differs(edit.row, plain(there))):
            return None
        link = f"{self.s.base.removesuffix('/api/v1')}/cms/product/edit/{offering.id}"
        return _Silent(SILENT, id=offering.id, name=offering.name, fields=", ".join(fields), link=link)


class _Silent(BadRecord):
    """Nothing was said and nothing was done."""


class _Edit:
    def __init__(self, offering: Offering, row: Json) -> None:
        self.offering, self.row = offering, row

    def refused(self, reason: str) -> BadRecord:
        return BadRecord(NOT_EDITED, id=self.offering.id, name=self.offering.name, reason=reason)

    def retry(self, error: BadRecord) -> bool:
        """Whether it may go better a second time: as it is, or without the presence, which a variation has from its card (§2.5)."""
        if isinstance(error, _Silent):
            return True
        if len(self.row) > 1 and PRESENCE in self.row and convert.presence_alone(str(error.facts.get("reason", ""))):
            del self.row[PRESENCE]
            return True
        return False


def status_key(row: Json) -> str:
    """Of a row of order_status_options: how orders name it. Those of the shop's own are called by their number."""
    name = convert.text(row.get("name"))
    return name if name in dict(STATUSES) or name in SETTABLE or OWN.fullmatch(name) else f"custom-{row.get('id')}"


def _declared(order: Json) -> str:
    return convert.text(mapping(order.get("delivery_provider_data")).get("declaration_number"))


def _ends(start: datetime, now: datetime) -> Iterator[datetime | None]:
    """Ends of the parts of a long time; None: the last one is open."""
    while now - start > 2 * WINDOW:
        start += WINDOW
        yield start
    yield None
