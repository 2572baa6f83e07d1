"""What Rozetka has to say for itself as a marketplace: orders by time, statuses along their graph, goods and their prices.

Facts: marketplaces §3.3 to §3.7.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from obmen.connectors.rozetka import convert, statuses
from obmen.connectors.rozetka.api import ByItem, Json, ListMoves, NotFound, Refused, Seller, listed, mapping, whole
from obmen.connectors.rozetka.convert import text
from obmen.connectors.rozetka.settings import RozetkaSettings
from obmen.core.contract import BadRecord, Bookmark, Hub, NeedsOwner, TryLater
from obmen.core.records import Counterparty, Order, Reference, Subject, digest
from obmen.core.words import gettext_noop as _
from obmen.market.api import Card, CardsPage, Draft, Market, Offering, OrdersPage, StatusChange, Told
from obmen.net.client import AnswerLost

# §3.3: without payment_type_name everything looks prepaid; what is not named is absent
EXPAND = (
    "user,delivery,delivery_service,purchases,status_available,status_data,payment,payment_type,payment_type_name,payment_type_title,"
    "payment_method_id,status_payment"
)
OVERLAP = timedelta(minutes=15)  # §3.3
PAGE = 20  # orders, §3.1
MOST = 200  # orders that one window of time may hold; more are read in two halves
SECOND = timedelta(seconds=1)
BEGINNING = datetime(2005, 1, 1)  # noqa: DTZ001 - Kyiv's clock; no order of theirs is older
CLEARED = -1  # §3.7

BAD_BOOKMARK = _("The bookmark of orders cannot be read: set a date to load orders from")
SEARCH_REFUSED = _("Rozetka refuses to search for orders: {reason}. Report this with the call from the journal")
TOO_MANY = _(
    "Rozetka shows only {found} of {total} orders that changed at {moment}: they are asked for again later. Load the missing ones by number"
)
GONE = _("Rozetka has no order {number} any more: look for it in the cabinet")
NOT_NUMBERS = _("“{status}” is no status of Rozetka: choose one in the table of statuses")
NO_REASON = _(
    "Rozetka cancels with a reason, and none is mapped for order {number}. Map the reasons of cancellation, or enter one for all"
    " that have none: {reasons}"
)
NO_WAY = _("Order {number} cannot go from “{now}” to “{wanted}” at Rozetka. From there it can go to: {reachable}")
STOPPED = _("Rozetka does not let order {number} go to “{wanted}” ({reason}). It is in “{now}” now and can go to: {reachable}")
NEEDS_TTN = _("Order {number}: Rozetka takes “{wanted}” only with a tracking number. Enter it in the order, then it is sent")
TRACKED = _(
    "Order {number}: Rozetka follows the parcel {ttn} itself, the seller must not move the order from “{now}” to “{wanted}”."
    " It moves by itself; do not send this state, or wait"
)
NEEDS_OTHER = _(
    "Order {number}: “{wanted}” needs the number of the order that it repeats. Write it into the comment of the order"
)
NOT_DONE = _(
    "Rozetka took the change of order {number} without a word, but it is in “{now}” instead of “{wanted}”: look at it in the cabinet"
)
NO_TTN = _("Rozetka took the tracking number of order {number} without a word, but does not show it: enter {ttn} in the cabinet")
NOTHING = _("nothing")
NONE_OF_ITS_OWN = _("Rozetka does not say that it has this list: type the values by hand")

WHOLE_PRICE = _("{name}: Rozetka takes whole hryvnias, the price is {price}. Set the rounding of prices on the tab “Products”")
NOT_TAKEN = _("{name}: Rozetka refuses stock or price: {reason}")
BY_PRICE_LIST = _("{name}: Rozetka refuses stock or price: {reason}. Its source takes them from the price list: switch it to API in the"
                  " cabinet, or use the stream of the price list")  # fmt: skip
PRICE_WAITS = _(
    "{name}: the price {price} waits for confirmation at Rozetka, because it is more than 1.5 times or less than a half of the old one."
    " Confirm it in the cabinet, Products → Updated prices, then try again"
)
OVERRIDDEN = _(
    "Some goods belong to a source whose stock and prices come from the price list: the next price list overrides what is sent by calls."
    " Switch the source to API in the cabinet, or send the price list only"
)
NO_CARD = _("{name}: Rozetka has no card {id} any more. Load the products again")
FIXED_CONTENT = _("{name}: Rozetka takes name and description of this card from the price list only")
NOT_CHANGED = _(
    "{name}: Rozetka took the new description without a word and kept the old one. Change it in the price list or the cabinet"
)
IN_MODERATION = _(
    "{count} cards are still with the moderators and have no number on the site yet: they are linked once they have one"
)

ATTRIBUTES = (
    ("name", _("Name, Russian")),
    ("name_ua", _("Name, Ukrainian")),
    ("description", _("Description, Russian")),
    ("description_ua", _("Description, Ukrainian")),
    ("article", _("Article")),
)


@dataclass(frozen=True, slots=True)
class Window:
    """Orders changed, and made, between two moments of Kyiv's clock, both counted in. ``until`` None: up to now."""

    since: datetime
    until: datetime | None
    made: tuple[datetime, datetime] | None = None

    def halves(self, horizon: datetime) -> tuple[Window, Window] | None:
        """By when they changed; within one second by when they were made. None when that is one second, too."""
        end = self.until or horizon
        if end > self.since:
            middle = _middle(self.since, end)
            return Window(self.since, middle), Window(middle + SECOND, self.until)
        first, last = self.made or (BEGINNING, horizon)
        if last <= first:
            return None
        middle = _middle(first, last)
        return Window(self.since, self.until, (first, middle)), Window(self.since, self.until, (middle + SECOND, last))

    @property
    def query(self) -> dict[str, str | None]:
        made = self.made or (None, None)
        names = ("changed_from", "changed_to", "created_from", "created_to")
        return {
            name: None if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
            for name, at in zip(names, (self.since, self.until, *made), strict=True)
        }


def _middle(first: datetime, last: datetime) -> datetime:
    return first + timedelta(seconds=int((last - first).total_seconds()) // 2)


class RozetkaMarket(Market):
    title = "Rozetka"
    statuses = statuses.KNOWN
    whole_pieces = True
    cards_batch = 100
    describes = True
    attributes = ATTRIBUTES

    def __init__(self, settings: RozetkaSettings, hub: Hub) -> None:
        super().__init__(settings, hub)
        self.seller = Seller(settings, hub)
        self._names: dict[str, str] = {}
        self._in_moderation = 0
        self._moved: ListMoves | NeedsOwner | None = None  # the list of waiting prices
        self._short: tuple[int, int, str] | None = None
        self._page_works = True  # of /orders/search: §3.1

    def close(self) -> None:
        for sentence in sorted(self.seller.said):
            self.hub.report("warning", sentence)
        if self._short:
            found, total, moment = self._short
            self.hub.report("warning", TOO_MANY, found=found, total=total, moment=moment)
        if self._moved:
            self.hub.report("warning", self._moved.text, **self._moved.facts)
        if self._in_moderation:
            self.hub.report("info", IN_MODERATION, count=self._in_moderation)
        self.seller.close()

    # --- the account ---

    def check(self) -> str:
        """Host, shop, what the token opens: orders, goods; and sources of goods whose stock and prices the price list says, as
        "Прайс-лист: availability 3". Raises NeedsOwner when nothing is open."""
        opened, denied = [], None
        listed_only: list[str] = []
        for name, path in (("orders", "/orders/counts"), ("goods", "/markets/sources-list")):
            try:
                content = self.seller.get(path)
            except NeedsOwner as error:
                if "path" not in error.facts:  # wrong keys, wrong address; with a path it lacks just these rights
                    raise
                denied = error
            except (Refused, NotFound) as error:
                denied = NeedsOwner(error.text, **error.facts)
            else:
                opened.append(name)
                if name == "goods":
                    listed_only = _by_price_list(mapping(content))
        if not opened and denied is not None:
            raise denied
        return " · ".join(filter(None, (self.seller.client.host, self.seller.shop, ", ".join(opened), *listed_only)))

    def references(self, subject: Subject) -> Sequence[Reference]:
        match subject:
            case Subject.ORDER_STATE:
                return convert.references(subject, self._statuses, self.s.language)
            case Subject.CANCEL_REASON:
                reachable = {step for steps in self._ways.graph.values() for step in steps} or set(statuses.CANCELS)
                known = convert.references(subject, self._statuses, self.s.language)
                return [row for row in known if ("cancel", "yes") in row.attributes and row.key in reachable]
            case Subject.DELIVERY:
                rows = self._list("/delivery-services/search", "deliveryServices", pageSize=0)
                return [Reference(subject, text(row.get("id")), text(row.get("name")) or text(row.get("id"))) for row in rows]
        raise NeedsOwner(NONE_OF_ITS_OWN)

    def _list(self, path: str, name: str, *ident: str, **query: Any) -> list[Json]:
        def key(row: Json) -> tuple[str, ...]:
            return tuple(text(row.get(part)) for part in ident or ("id",))

        return [row for rows, _seen, _total in self.seller.pages(path, name, key, **query) for row in rows]

    @cached_property
    def _statuses(self) -> list[Json]:
        return self._list("/order-statuses/search", "orderStatus")

    @cached_property
    def _ways(self) -> convert.Ways:
        """Which status may follow which, whatever delivers: what an order itself allows is looked at before each step."""
        rows = self._list("/status-availables/search", "statusAvailables", "parent_id", "child_id", "delivery_type")
        graph: dict[str, set[str]] = {}
        for row in rows:
            graph.setdefault(text(row.get("parent_id")), set()).add(text(row.get("child_id")))
        return convert.Ways(graph)

    # --- orders ---

    def orders(self, since: Bookmark | None, moment: datetime) -> Iterator[OrdersPage]:
        """``{"changed": ISO moment}`` of the newest that was seen: their clock, but not later than ours, else one order with a
        moment to come would end the loading until then."""
        now = self.hub.now()
        newest = min(moment if since is None else _bookmark(since), now)
        start = convert.since(newest if since is None else newest - OVERLAP)
        done = total = 0
        for rows, count in self._read(Window(start, None)):
            done, total = done + len(rows), max(total, count)
            changed = [at for row in rows if (at := convert.moment(row.get("changed")))]
            newest = max([newest, *(at for at in changed if at <= now)])
            yield OrdersPage(rows, {"changed": newest.isoformat()}, done, max(total, done))
        if since is None and not done:  # so that the next reading begins here, and not when it begins itself
            yield OrdersPage((), {"changed": newest.isoformat()})

    def _read(self, window: Window) -> Iterator[tuple[list[Json], int]]:
        """Whole windows, the earlier ones first, with the number of all orders. §3.1: ``page`` may be ignored, so that a window is
        only done when it gave as many as it holds; else it is halved. One that holds more than it shows, to its end and twice, is
        counted wrongly over there: that is told, and holds nothing up."""
        horizon = convert.local(self.hub.now()) + timedelta(days=1)
        todo, everything = [window], 0
        while todo:
            window = todo.pop()
            found, total, ended = self._window(window)
            if ended and len(found) < total:  # an order that changed meanwhile may have passed us by
                again, total, ended = self._window(window)
                found |= again
            everything = everything or total
            if ended and len(found) < total:
                self._short = (len(found), total, str(window.since))
            if ended or len(found) >= total:
                if found:
                    yield sorted(found.values(), key=lambda row: (text(row.get("changed")), whole(row.get("id")))), everything
                continue
            halves = window.halves(horizon)
            if halves is None:
                raise TryLater(TOO_MANY, found=len(found), total=total, moment=str(window.since))
            todo += halves[::-1]

    def _window(self, window: Window) -> tuple[dict[str, Json], int, bool]:
        """What a window gives, how many it holds, and whether it was read to its end, however many that were. Newest first: what
        changes meanwhile moves to the front and pushes the rest on, so nothing slips between two pages. Where ``page`` is ignored,
        the next ones are those not newer than the oldest so far. Where it is not said how many there are, all ways are gone to
        their end."""
        found: dict[str, Json] = {}
        total = page = first = 0
        turned = False  # a further page has given something
        part = window
        while True:
            page += 1
            rows, count, size = self._search(part, page)
            total = max(total, count or 0, len(rows))
            before = len(found)
            for row in rows:
                found.setdefault(convert.order_id(row) or digest(row).hex(), row)
            fresh = len(found) > before
            turned = turned or (fresh and page > 1)
            first = len(rows) if page == 1 else first
            if count is not None and len(found) >= total:
                return found, total, True
            if count is not None and part is window and page == 1 and total > MOST:
                return found, total, False
            if count is None and len(found) > MOST:
                return found, len(found) + 1, False
            if not fresh or not self._page_works:
                if count is not None:
                    self._page_works = self._page_works and page == 1
                oldest = min((at for row in found.values() if (at := convert.shown(row.get("changed")))), default=None)
                if oldest is None or oldest == part.until:
                    # A first page that is not full holds all that is not newer than its end
                    ended = first < size or (count is None and turned)
                    return found, len(found) + (not ended) if count is None else total, ended
                part, page = replace(part, until=oldest), 0

    def _search(self, window: Window, page: int) -> tuple[list[Json], int | None, int]:
        """Orders, how many there are (None: not said), how many make a page. types=1: without it what is done or cancelled is not
        shown (§3.3). An order without an id is one, too, so that it is parked and not missed."""
        try:
            content = self.seller.content(
                "/orders/search", "orders", types=1, sort="-changed", expand=EXPAND, page=page, **window.query
            )
        except (Refused, NotFound) as error:
            raise NeedsOwner(SEARCH_REFUSED, reason=error.facts.get("reason", str(error))) from error
        rows = [row if isinstance(row, dict) else {"order": row} for row in listed(content["orders"])]
        meta = mapping(content.get("_meta"))
        count = whole(meta.get("totalCount"))
        said = count > 0 or not rows
        return rows, count if said else None, whole(meta.get("perPage")) or PAGE

    def order(self, number: str) -> Json | None:
        if not number.isdecimal():
            return None
        try:
            return self.seller.content(f"/orders/{number}", "id", expand=EXPAND)
        except NotFound:
            return None

    def order_id(self, raw: Json) -> str:
        return convert.order_id(raw)

    def used(self, raw: Json) -> Json:
        return convert.used(raw)

    def draft(self, raw: Json) -> Draft:
        return convert.draft(raw)

    def buyer(self, raw: Json) -> Counterparty | None:
        return convert.buyer(raw)

    # --- statuses ---

    def change_status(self, change: StatusChange, theirs: Order | None) -> Json | None:
        """One step after the other along ``status_available`` (§3.5); what is so already is not sent. The order is looked at first,
        so that nothing is done twice after a lost answer."""
        raw = self.order(change.order)
        if raw is None:
            raise BadRecord(GONE, number=change.number)
        wanted = self._wanted(change)
        ttn = "" if change.cancels else change.tracking.strip()
        there = text(raw.get("ttn"))
        if there and wanted and wanted != text(raw.get("status")):
            if not change.cancels and statuses.as_far(text(raw.get("status")), wanted):
                wanted = ""
            elif not change.cancels or wanted not in convert.available(raw):
                raise BadRecord(TRACKED, number=change.number, ttn=there, **self._where(raw, wanted))
        ttn = "" if ttn == there else ttn
        return self._go(change, raw, wanted, ttn)

    def _wanted(self, change: StatusChange) -> str:
        """A cancellation's reason is a status itself (§3.5)."""
        wanted = (change.reason.strip() or change.status.strip()) if change.cancels else change.status.strip()
        if change.cancels and not wanted:
            raise BadRecord(NO_REASON, number=change.number, reasons=convert.named(statuses.CANCELS, self._names))
        if wanted and not wanted.isdecimal():
            raise BadRecord(NOT_NUMBERS, status=wanted)
        return wanted

    def _go(self, change: StatusChange, raw: Json, wanted: str, ttn: str) -> Json:
        for _step in range(statuses.LONGEST_PATH + 1):
            now = text(raw.get("status"))
            if wanted in ("", now):
                if ttn:
                    raw = self._put(change, raw, now, now, ttn)
                return raw
            if wanted in statuses.NEEDS_TTN and not (ttn or text(raw.get("ttn"))):
                raise BadRecord(NEEDS_TTN, number=change.number, wanted=self._name(wanted))
            # Only a way of more than one step needs the dictionary
            path = [wanted] if wanted in convert.available(raw) else self._ways.path(raw, wanted)
            if not path:
                reachable = convert.named(convert.available(raw), self._names) or NOTHING
                raise BadRecord(NO_WAY, number=change.number, reachable=reachable, **self._where(raw, wanted))
            last = path[0] == wanted
            raw = self._put(change, raw, path[0], wanted, ttn if last else "")
            if last:
                return raw
        return raw

    def _where(self, raw: Json, wanted: str) -> dict[str, str]:
        return {"now": self._name(text(raw.get("status"))), "wanted": self._name(wanted)}

    def _name(self, status: str) -> str:
        return self._names.get(status) or statuses.NAMES.get(status, status)

    def _put(self, change: StatusChange, raw: Json, step: str, wanted: str, ttn: str) -> Json:
        """One PUT, and the order as it is afterwards."""
        body: Json = {"status": int(step)}
        if ttn:
            body["ttn"] = ttn
        if change.cancels and step == wanted and change.comment.strip():
            body["seller_comment"] = change.comment.strip()
        if step == statuses.DUPLICATE:
            body["duplicate_order_id"] = self._other(change, raw, wanted)
        number = text(raw.get("id"))
        try:
            after = mapping(self.seller.put(f"/orders/{number}", body, safe=False, expand=EXPAND))
        except AnswerLost:
            after = self.order(number) or {}
            if not _is_done(after, step, ttn):
                raise
        except Refused as error:
            now = self.order(number) or raw
            reachable = convert.named(convert.available(now), self._names) or NOTHING
            facts = {**self._where(now, wanted), "reason": error.reason, "reachable": reachable}
            raise BadRecord(STOPPED, number=change.number, **facts) from error
        except NotFound as error:
            raise BadRecord(GONE, number=change.number) from error
        if not _is_done(after, step, ttn) or "status_available" not in after:
            after = self.order(number) or {}
        if ttn and text(after.get("ttn")) != ttn:
            raise BadRecord(NO_TTN, number=change.number, ttn=ttn)
        if not _is_done(after, step, ttn):
            raise BadRecord(NOT_DONE, number=change.number, **self._where(after, step))
        return after

    def _other(self, change: StatusChange, raw: Json, wanted: str) -> int:
        """§3.5: 49 needs the order that this one repeats: the longest number of the comment, or what Rozetka knows itself."""
        own = text(raw.get("id"))
        said = [found for found in convert.NUMBERS.findall(change.comment) if found != own]
        found = max(said, key=len, default="") or text(raw.get("duplicate_order_id"))
        if not whole(found):
            raise BadRecord(NEEDS_OTHER, number=change.number, wanted=self._name(wanted))
        return whole(found)

    # --- goods ---

    def cards(self, since: Bookmark | None) -> Iterator[CardsPage]:
        """All of them: Rozetka does not tell which have changed. Those that wait for moderation have no number on the site."""
        waiting = 0
        for rows, done, total in self.seller.pages("/goods/all", "items", _item_key, pageSize=100):
            found = [convert.card(row) for row in rows]
            waiting += sum(not card.id for card in found)
            yield CardsPage([card for card in found if card.id], None, done, total)
        self._in_moderation = waiting

    def card(self, ident: str) -> Card | None:
        """Looked for among the archived ones, too: those are gone."""
        if not ident.isdecimal():
            return None
        for tab in ("all", "archive"):
            for row in self._tab(tab, rz_item_id=ident):
                found = convert.card(row)
                if found.id == ident:
                    return found if tab == "all" else replace(found, gone=True)
        return None

    def _tab(self, tab: str, **query: Any) -> list[Json]:
        content = self.seller.content(f"/goods/{tab}", "items", pageSize=100, **query)
        return [row for row in listed(content["items"]) if isinstance(row, dict)]

    def put(self, offerings: Sequence[Offering]) -> Iterator[Told]:
        bad: dict[str, BadRecord] = {}
        good = [(one, row) for one in offerings if (row := self._row(one, bad)) is not None]
        self._put_content([one for one, _row in good if one.fields], bad)
        self._put_numbers([(one, row) for one, row in good if "price" in row or "stock_quantity" in row], bad)
        for one in offerings:
            yield Told(one.key, bad.get(one.key))

    def _row(self, one: Offering, bad: dict[str, BadRecord]) -> Json | None:
        """The row of mass-update: whole hryvnias, whole pieces. None when something of it cannot be."""
        row: Json = {"item_rz_id": whole(one.id)}
        try:
            if one.price is not None:
                row["price"] = _hryvnias(one, one.price)
            if one.old_price is not None and "price" in row:
                row["price_old"] = _hryvnias(one, one.old_price) or CLEARED
            if one.quantity is not None:
                row["stock_quantity"] = max(0, int(one.quantity))
            item = text(one.facts.get("item_id")) or self._item_id(one)
        except BadRecord as error:
            bad[one.key] = error
            return None
        row["item_id"] = whole(item)
        return row

    def _item_id(self, one: Offering) -> str:
        """A link made by hand knows the site ID only; they want both."""
        found = self.card(one.id)
        if found is None or found.gone:
            raise BadRecord(NO_CARD, name=one.name, id=one.id)
        return dict(found.facts).get("item_id", "")

    def _put_numbers(self, good: list[tuple[Offering, Json]], bad: dict[str, BadRecord]) -> None:
        """§3.7. Whether the good rows of a list with bad ones are taken is not documented: they are sent again by themselves. What is
        said twice does no harm."""
        rest = good
        while rest:
            try:
                self.seller.put("/items/mass-update", {"isIgnoreCheck": 0, "items": [row for _one, row in rest]}, safe=True)
            except ByItem as refused:
                named = [(one, row, why) for one, row in rest if (why := _reason(refused.reasons, row))]
                for one, _row, why in named:
                    sold = text(one.facts.get("availability"))
                    sentence = NOT_TAKEN if sold in ("", convert.BY_API) else BY_PRICE_LIST
                    bad[one.key] = BadRecord(sentence, name=one.name, reason=why)
                if not named:  # of none that we have sent: all are in doubt
                    why = "; ".join(f"{key}: {why}" for key, why in refused.reasons.items())
                    bad.update({one.key: BadRecord(NOT_TAKEN, name=one.name, reason=why) for one, _row in rest})
                rest = [(one, row) for one, row in rest if one.key not in bad]
            except Refused as refused:
                if len(rest) == 1:
                    bad[rest[0][0].key] = BadRecord(NOT_TAKEN, name=rest[0][0].name, reason=refused.reason)
                    return
                for pair in rest:  # the whole list was refused: which of them is it?
                    self._put_numbers([pair], bad)
                return
            else:
                if any(text(one.facts.get("availability")) not in ("", convert.BY_API) for one, _row in rest):
                    self.seller.said.add(OVERRIDDEN)
                self._look_for_waiting(rest, bad)
                return

    def _look_for_waiting(self, told: list[tuple[Offering, Json]], bad: dict[str, BadRecord]) -> None:
        """§3.7: a price above 1.5 times or below a half of the old one waits for a person without a word; only this list tells."""
        priced = {text(row["item_id"]): (one, row) for one, row in told if "price" in row}
        if not priced:
            return
        for row in self._waiting():
            one, sent = priced.get(text(row.get("item_id")), (None, {}))
            waits = convert.waiting_price(row)
            if one is not None and waits is not None and waits == sent["price"] and text(row.get("price")) != text(sent["price"]):
                bad[one.key] = BadRecord(PRICE_WAITS, name=one.name, price=text(sent["price"]))

    def _waiting(self) -> Iterator[Json]:
        """Prices were taken by then: that this list is not whole must not have them sent again and again."""
        try:
            for rows, _seen, _total in self.seller.pages("/goods/prices", "items", _item_key, pageSize=100):
                yield from rows
        except (ListMoves, NeedsOwner) as error:
            self._moved = error

    def _put_content(self, offerings: list[Offering], bad: dict[str, BadRecord]) -> None:
        """Names and descriptions. The answer is only a number of cards: where it is too small, each is looked at."""
        rows = []
        for one in offerings:
            if one.facts.get("content") == "no":
                bad[one.key] = BadRecord(FIXED_CONTENT, name=one.name)
            else:
                rows.append((one, {"rz_item_id": whole(one.id)} | {name: text(value) for name, value in one.fields.items()}))
        if not rows:
            return
        try:
            said = self.seller.put("/items-create/mass-update-basic-data", {"items": [row for _one, row in rows]}, safe=True)
        except Refused as refused:
            if len(rows) == 1:
                bad[rows[0][0].key] = BadRecord(NOT_TAKEN, name=rows[0][0].name, reason=refused.reason)
            else:
                for one, _row in rows:
                    self._put_content([one], bad)
            return
        except ByItem as refused:
            for one, row in rows:
                if why := _reason(refused.reasons, {"item_rz_id": row["rz_item_id"], "item_id": one.facts.get("item_id")}):
                    bad[one.key] = BadRecord(NOT_TAKEN, name=one.name, reason=why)
            return
        if whole(mapping(said).get("items_updated")) >= len(rows):
            return
        for one, row in rows:
            now = next((found for found in self._tab("all", rz_item_id=one.id) if text(found.get("rz_item_id")) == one.id), None)
            if now is None:
                bad[one.key] = BadRecord(NO_CARD, name=one.name, id=one.id)
            elif any(name in now and text(now[name]) != value for name, value in row.items() if name != "rz_item_id"):
                bad[one.key] = BadRecord(NOT_CHANGED, name=one.name)


def _is_done(after: Mapping[str, Any], step: str, ttn: str) -> bool:
    """A tracking number moves 2 to 61 by itself (§3.5)."""
    now = text(after.get("status"))
    return (now == step or (bool(ttn) and now == statuses.WITH_TTN)) and (not ttn or text(after.get("ttn")) == ttn)


def _bookmark(since: Bookmark) -> datetime:
    try:
        found = datetime.fromisoformat(str(since["changed"]))
    except (KeyError, ValueError):
        raise NeedsOwner(BAD_BOOKMARK) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _by_price_list(content: Json) -> list[str]:
    """§3.7: stock and prices by calls hold only where a source's availability is 4."""
    rows = [mapping(row) for row in listed(content.get("sources"))]
    real = [row for row in rows if text(row.get("is_virtual_source")) != "3" and whole(row.get("total_items_count"))]
    said = [(text(row.get("title")) or text(row.get("id")), text(row.get("availability"))) for row in real]
    return [f"{title}: availability {how}" for title, how in said if how not in ("", convert.BY_API)]


def _item_key(row: Json) -> str:
    return text(row.get("item_id")) or text(row.get("rz_item_id"))


def _hryvnias(one: Offering, value: Decimal) -> int:
    if value != value.to_integral_value():
        raise BadRecord(WHOLE_PRICE, name=one.name, price=str(value))
    return int(value)


def _reason(reasons: Mapping[str, str], row: Json) -> str:
    """§3.7 names an item by either id."""
    for name in ("item_id", "item_rz_id"):
        if (key := text(row.get(name))) in reasons:
            return reasons[key] or "?"
    return ""
