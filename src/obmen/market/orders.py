"""Orders of a marketplace and their buyers: the source of the stream ``orders-in``.

Which orders are loaded is said by the table of statuses (seed 000, F21). What it leaves open is decided so:

- an order in a status without “load” is not made; its id is noted, so that it comes by itself once the status is switched on;
- an order that is here already stays as it is while it is in such a status, but a cancellation is taken whatever the table says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from obmen.core.contract import BadDocument, BadRecord, Bookmark, Item, Known, NeedsOwner, Page, Receiving
from obmen.core.records import Kind, Order, OrderNews, Record, Subject, digest, plain
from obmen.core.words import gettext_noop as _
from obmen.market.api import Draft, Json, Market, OrdersPage
from obmen.market.drafts import NOT_AN_ORDER, ODD, TOO_OLD, Drafts, Goods, raw_of, receiving
from obmen.market.streams import ORDERS_IN

SKIPPED = "orders-skipped"  # a note: orders by their status without “load”, to be fetched when it is switched on
MISSED = "orders-missed"  # a note: those of them that were not found, with the moment of the first time
BELIEVED = timedelta(days=3)
REMEMBERED = 500  # of those, the newest
CHUNK = 50  # orders that are fetched one by one for one page
FORM = "%Y-%m-%d %H:%M"

NO_STATUSES = _(
    "The table of statuses is empty, no orders are loaded. Read the defaults of the format, or add statuses on the tab “Orders”"
)
NOT_LOADED = _(
    "Orders in the status “{status}” are not loaded: switch on “load” beside it on the tab “Orders” to have them loaded"
)
KEPT = _(
    "Orders that are here already stay as they are in the status “{status}”, which is not loaded. A cancellation would be taken"
)
NO_SUCH_ORDER = _("{title} has no order with the id {id}")
BAD_BOOKMARK = _("“{words}” is no date and time: write it like 2026-01-31 18:00")


class OrdersIn:
    """Pages of buyers, each before the page of their orders. A ``Picking``: single orders, and a bookmark that is a date and time."""

    stream = ORDERS_IN
    kinds: Collection[Kind] = (Kind.COUNTERPARTY, Kind.ORDER)

    def __init__(self, market: Market) -> None:
        self.market, self.hub = market, market.hub
        self.rules: Receiving = receiving(market)
        self.drafts = Drafts(market)

    # --- reading ---

    def pages(self, since: Bookmark | None, known: Known) -> Iterator[Page]:
        """The bookmark is {"there": the marketplace's own, "read": when that was begun} or {"from": a moment to begin with}."""
        self._need_table()
        begun = self.hub.now()
        if since is None:
            since = {"from": begun.isoformat()}
            yield Page(Kind.ORDER, (), since)
        yield from self._switched_on()
        there = since.get("there")
        moment = datetime.fromisoformat(since.get("read") or since.get("from") or begun.isoformat())
        with ThreadPoolExecutor(1, "read-ahead") as pool:  # the next page comes while the database works on this one
            coming = iter(self.market.orders(there, moment))
            asked = pool.submit(next, coming, None)
            while (page := asked.result()) is not None:
                asked = pool.submit(next, coming, None)
                bookmark = None if page.bookmark is None else {"there": page.bookmark, "read": begun.isoformat()}
                yield from self._pages(page, bookmark)

    def pages_of(self, ids: Sequence[str], known: Known) -> Iterator[Page]:
        self._need_table()
        for at in range(0, len(ids), CHUNK):
            orders = []
            for ident in ids[at : at + CHUNK]:
                try:
                    raw = self.market.order(ident)
                except BadRecord as error:
                    raise BadDocument(error.text, **error.facts) from error
                if raw is None:
                    raise BadDocument(NO_SUCH_ORDER, title=self.market.title, id=ident)
                orders.append(raw)
            yield from self._pages(OrdersPage(orders), None, anyway=True)

    def _need_table(self) -> None:
        if not self.hub.rows(Subject.ORDER_STATE, "in"):
            raise NeedsOwner(NO_STATUSES)

    def _switched_on(self) -> Iterator[Page]:
        """Orders that were left out by their status, now that the status is loaded: as they are now."""
        ids = [ident for ident, status in self._skipped().items() if self._is_loaded(status)]
        for at in range(0, len(ids), CHUNK):
            chunk = ids[at : at + CHUNK]
            orders, gone = self._fetched(chunk)
            yield from self._pages(OrdersPage(orders), None)
            self._forget(gone)

    def _fetched(self, ids: Sequence[str]) -> tuple[list[Json], set[str]]:
        """Orders by their ids, and the ids of those that are no longer there. That there is none is said by answers to a trouble of
        theirs, too, so that it is believed once it has been said for ``BELIEVED``."""
        now, orders, gone = self.hub.now(), list[Json](), set[str]()
        missed: dict[str, str] = self.hub.recall(MISSED) or {}
        for ident in ids:
            try:
                raw = self.market.order(ident)
            except BadRecord as error:
                self.hub.report("warning", error.text, **error.facts)
                continue
            if raw is not None:
                orders.append(raw)
                missed.pop(ident, None)
            elif now - datetime.fromisoformat(missed.setdefault(ident, now.isoformat())) >= BELIEVED:
                self.hub.report("warning", NO_SUCH_ORDER, title=self.market.title, id=ident)
                gone.add(ident)
                missed.pop(ident)
        if not self.hub.preview:
            noted = self._skipped()
            self.hub.remember(MISSED, {ident: since for ident, since in missed.items() if ident in noted} or None)
        return orders, gone

    def _is_loaded(self, status: str) -> bool:
        row = self.hub.incoming(Subject.ORDER_STATE, status)
        return row is not None and row.taken

    def _is_wanted(self, draft: Draft) -> bool:
        return self._is_loaded(draft.order.state) and not self.drafts.too_old(draft)

    def _pages(self, page: OrdersPage, bookmark: Bookmark | None, anyway: bool = False) -> Iterator[Page]:
        buyers: dict[str, Item] = {}
        noted, skipped = self._skipped(), dict[str, str]()
        items, unchanged = [], 0
        for raw in page.orders:
            item, draft = self.item(raw), self.drafts.draft(raw)
            if isinstance(draft, Draft) and not self._is_loaded(draft.order.state):
                skipped[item.external_id] = draft.order.state
                if noted.get(item.external_id) == draft.order.state and not anyway and not self.drafts.is_cancelled(draft):
                    unchanged += 1  # it has been left out and told before
                    continue
            elif isinstance(draft, Draft) and self._is_wanted(draft):
                self._note_buyer(raw, buyers)
            items.append(item)
        self._note(skipped)
        if buyers:
            yield Page(Kind.COUNTERPARTY, list(buyers.values()), done=page.done, total=page.total, anyway=anyway)
        yield Page(Kind.ORDER, items, bookmark, unchanged, done=page.done, total=page.total, anyway=anyway)
        self._forget({item.external_id for item in items} - skipped.keys())

    def _note_buyer(self, raw: Json, buyers: dict[str, Item]) -> None:
        try:
            card = self.drafts.buyer(raw)
        except BadRecord:
            return  # said with the order
        if card is not None and card.key:
            buyers[card.key] = Item(card.key, plain(raw), self._digest(card), self._id(raw))

    def _id(self, raw: Json) -> str:
        """Their id of an order; of something that has none, so that it can be parked, its content."""
        try:
            return self.market.order_id(raw) or digest(raw).hex()
        except (BadRecord, *ODD):
            return digest(raw).hex()

    def item(self, raw: Json) -> Item:
        try:
            used: object = self.market.used(raw)
        except (BadRecord, *ODD):  # it will be parked
            used = raw
        return Item(self._id(raw), plain(raw), self._digest(used))

    def _digest(self, value: object) -> bytes:
        return digest([self.rules.fingerprint.hex(), value])

    # --- orders that are left out by their status ---

    def _skipped(self) -> dict[str, str]:
        """Status by order, the newest last."""
        left: list[tuple[str, str]] = self.hub.recall(SKIPPED) or []
        return dict(left)

    def _note(self, skipped: Mapping[str, str]) -> None:
        """Before the page is settled: an id too many does no harm, one too few would be an order lost."""
        before = self._skipped()
        fresh = {ident: status for ident, status in skipped.items() if before.get(ident) != status}
        if fresh:
            self._remember({i: s for i, s in before.items() if i not in fresh} | fresh)

    def _forget(self, ids: Collection[str]) -> None:
        """Once they are settled."""
        before = self._skipped()
        if before.keys() & ids:
            self._remember({i: s for i, s in before.items() if i not in ids})

    def _remember(self, skipped: Mapping[str, str]) -> None:
        if not self.hub.preview:
            self.hub.remember(SKIPPED, [list(pair) for pair in skipped.items()][-REMEMBERED:] or None)

    # --- bookmark ---

    def bookmark_words(self, bookmark: Bookmark | None) -> str:
        said = bookmark.get("read") or bookmark.get("from") if bookmark else None
        return f"{datetime.fromisoformat(said).astimezone(self.hub.zone):{FORM}}" if said else ""

    def bookmark_from(self, words: str, moment: datetime | None) -> Bookmark:
        """Orders that are new or changed since then are loaded (F32)."""
        if words.strip():
            try:
                said = datetime.fromisoformat(words.strip())
            except ValueError:
                raise NeedsOwner(BAD_BOOKMARK, words=words.strip()) from None
            moment = said if said.tzinfo else said.replace(tzinfo=self.hub.zone)
        return {"from": (moment or self.hub.now()).astimezone(UTC).isoformat()}

    # --- parsing ---

    def parse(self, kind: Kind, items: Sequence[Item]) -> Sequence[Record | BadRecord | None]:
        raws = [raw_of(item.payload) for item in items]
        if kind is Kind.COUNTERPARTY:
            return [self._buyer(raw) for raw in raws]
        drafts = [self.drafts.draft(raw) for raw in raws]
        good = [d for d in drafts if isinstance(d, Draft)]
        doubtful = [d.order.key for d in good if not self._is_wanted(d) or self.drafts.is_cancelled(d)]
        here = self.hub.linked_keys(Kind.ORDER, doubtful) if doubtful else {}
        goods = self.drafts.look_up([d for d in good if self._is_loaded(d.order.state)], self.rules)
        return [
            self._order(raw or {}, draft, goods, draft.order.key in here) if isinstance(draft, Draft) else draft
            for raw, draft in zip(raws, drafts, strict=True)
        ]

    def _buyer(self, raw: Json | None) -> Record | BadRecord | None:
        if raw is None:
            return BadRecord(NOT_AN_ORDER, title=self.market.title)
        try:
            return self.drafts.buyer(raw)
        except BadRecord as error:
            return error

    def _order(self, raw: Json, draft: Draft, goods: Goods, here: bool) -> Order | OrderNews | BadRecord | None:
        """``here``: the books have it; only known of orders that are cancelled or not to be loaded."""
        if not self._is_loaded(draft.order.state):
            return self._not_loaded(draft, here)
        if self.drafts.too_old(draft) and not here:
            self.hub.report("info", TOO_OLD, date=self.market.s.orders_from.strip())
            return None
        cancelled = self.drafts.is_cancelled(draft)
        try:
            return self.drafts.order(raw, draft, goods, rules=self.rules, park=here or not cancelled)
        except BadRecord as error:
            return cancellation(draft) if cancelled and here else error

    def _not_loaded(self, draft: Draft, here: bool) -> OrderNews | None:
        status = draft.order.state
        name = draft.names.get((Subject.ORDER_STATE, status), status)
        if self.hub.incoming(Subject.ORDER_STATE, status) is None:
            self.hub.unmapped(Subject.ORDER_STATE, status, name)
        if here and self.drafts.is_cancelled(draft):
            return cancellation(draft)
        self.hub.report("info", KEPT if here else NOT_LOADED, status=name)
        return None

    def locate(self, item: Item) -> str:
        return f"{self.market.title}: {item.where or item.external_id}"


def cancellation(draft: Draft) -> OrderNews:
    return OrderNews(draft.order.key, cancelled=True, cancel_reason=draft.order.cancel_reason)
