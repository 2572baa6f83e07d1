"""Orders of the CRM, in and out, and the customers that come with them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from obmen.connectors.retailcrm import convert
from obmen.connectors.retailcrm.ahead import Ahead
from obmen.connectors.retailcrm.api import CHUNK, NO_ONE, PAGE, Crm, Json, NotFound, listed, mapping
from obmen.connectors.retailcrm.settings import ORDERS_IN
from obmen.core.contract import BadDocument, BadRecord, Bookmark, Item, Known, NeedsOwner, Page, Receiving
from obmen.core.names import Names
from obmen.core.records import Kind, OrderNews, Record, Subject, digest
from obmen.core.settings import describe
from obmen.core.words import gettext_noop as _

WINDOW = (
    4 * CHUNK
)  # orders that are fetched before the bookmark moves: few calls for part of a chunk, little to do again after a crash
LATE = 50  # entries looked at again each time: one whose transaction took long appears behind others that were read already
FETCHERS = 4  # calls for orders under way at a time
DEPTH = 3  # windows' chunks fetched ahead

COMBINED = "Объединен с заказом {number}"  # data of the books, in the language of 1C's own documents

BAD_BOOKMARK = _("“{words}” is no id of the history: enter a whole number, or a date to load from")
NO_SUCH_ORDER = _(
    "There is no order with the id {id} in the CRM: it is the number in the address of the order, …/orders/138/edit"
)


def receiving(crm: Crm) -> Receiving:
    s = crm.s
    fields = ("name", "full_name", "last_name", "first_name", "middle_name", "phone", "email", "address", "legal_address", "contacts",
              "inn", "kpp", "okpo", "kind", "requisites")  # fmt: skip
    return Receiving(
        fields={f"counterparty.{name}": s.customer_policy for name in fields},
        conflict=s.conflicts,
        finished=s.finished_states,
        fingerprint=fingerprint(crm),
    )


def fingerprint(crm: Crm) -> bytes:
    """Over the settings and mappings that decide what a received order becomes: with others it is looked at again."""
    about = describe(type(crm.s))
    values = {name: str(getattr(crm.s, name)) for name in about if about[name].reparse}
    subjects = (
        Subject.ORDER_STATE,
        Subject.MANAGER,
        Subject.WAREHOUSE,
        Subject.PRICE_KIND,
        Subject.PAYMENT_KIND,
        Subject.DELIVERY,
    )
    tables = [
        [str(subject), [[r.theirs, r.ours, dict(r.attributes), r.taken] for r in crm.hub.rows(subject, "in")]]
        for subject in subjects
    ]
    return digest([values, tables])


@dataclass(slots=True)
class Window:
    """Entries of the history that are read together. ``ids`` are to be fetched, ``gone`` maps those that are deleted to why."""

    since: int = 0
    recent: list[int] = field(default_factory=list)
    ids: dict[int, None] = field(default_factory=dict)
    gone: dict[int, str] = field(default_factory=dict)
    entries: int = 0
    left: int = 0  # entries behind this window


class Journal:
    """The history of orders or customers, in windows. Shared rules (facts §3.5): by moving sinceId, what only we changed is left out."""

    def __init__(self, crm: Crm, path: str, subject: str) -> None:
        self.crm, self.path, self.subject = crm, path, subject

    def now(self) -> datetime:
        """The account's own time: ours may be wrong."""
        said = self.crm.get(self.path, filter={"sinceId": NO_ONE}, limit=20).get("generatedAt")
        return convert.moment(said, self.crm.zone) or self.crm.hub.now()

    def windows(self, since: Bookmark, zone: tzinfo) -> Iterator[Window]:
        """``since``: {"since_id", "recent"} or {"from"}. Nothing when nothing has happened."""
        recent = [int(i) for i in since.get("recent", ())]
        known = set(recent)
        last = int(since.get("since_id") or 0)
        start = min(recent) - 1 if recent else last
        query: Json = {"sinceId": start} if "since_id" in since else {"startDate": local(str(since["from"]), zone)}
        window = Window(last, recent)
        foreign: dict[int, bool] = {}
        while True:
            data = self.crm.get(self.path, filter=query, limit=PAGE)
            entries = [e for e in listed(data.get("history")) if isinstance(e, dict) and e.get("id")]
            fresh = [e for e in entries if int(e["id"]) not in known]
            for entry in fresh:
                self._take(entry, window, foreign)
            if entries:
                window.since = max(window.since, *(int(e["id"]) for e in entries))
                window.recent = sorted({*window.recent, *(int(e["id"]) for e in entries)})[-LATE:]
                query = {"sinceId": int(entries[-1]["id"])}
            pages = mapping(data.get("pagination"))
            window.left = max(0, int(pages.get("totalCount") or 0) - len(entries))
            ended = len(entries) < PAGE or int(pages.get("totalPageCount") or 0) <= 1
            window.ids = {i: None for i, someone_else in foreign.items() if someone_else and i not in window.gone}
            if ended or len(window.ids) + len(window.gone) >= WINDOW:
                if window.entries or (window.since and "since_id" not in since):
                    yield window
                if ended:
                    return
                window, foreign = Window(window.since, window.recent), {}

    def _take(self, entry: Json, window: Window, foreign: dict[int, bool]) -> None:
        subject = mapping(entry.get(self.subject))
        if not subject.get("id") or (self.crm.site and subject.get("site") not in (None, self.crm.site)):
            return
        number = int(subject["id"])
        window.entries += 1
        if entry.get("deleted"):
            result = mapping(entry.get("combinedTo"))
            window.gone[number] = COMBINED.format(number=result.get("number") or result["id"]) if result.get("id") else ""
        ours = entry.get("source") == "api" and bool(mapping(entry.get("apiKey")).get("current"))
        foreign[number] = foreign.get(number, False) or not ours
        if mapping(entry.get("combinedTo")).get("id"):
            foreign[int(entry["combinedTo"]["id"])] = True  # it got lines or payments of the other


def local(moment: str, zone: tzinfo) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(zone):%Y-%m-%d %H:%M:%S}"


def bookmark_words(bookmark: Bookmark | None) -> str:
    return str(bookmark["since_id"]) if bookmark and bookmark.get("since_id") else ""


def bookmark_from(journal: Callable[[], Journal], words: str, moment: datetime | None) -> Bookmark:
    """By an id of the history; else from a moment; else from now by the account's own clock."""
    text = words.strip()
    if text:
        if not text.isascii() or not text.isdigit() or int(text) == 0:
            raise NeedsOwner(BAD_BOOKMARK, words=text)
        return {"since_id": int(text)}
    return {"from": (moment or journal().now()).astimezone(UTC).isoformat()}


def by_id(bookmark: Window) -> Bookmark:
    return {"since_id": bookmark.since, "recent": bookmark.recent}


class OrdersIn:
    """The source of the stream ``orders-in``: pages of customers, each before the page of their orders."""

    stream = ORDERS_IN
    kinds: Collection[Kind] = (Kind.COUNTERPARTY, Kind.ORDER)

    def __init__(self, crm: Crm) -> None:
        self.crm, self.s, self.hub = crm, crm.s, crm.hub
        self.rules = receiving(crm)
        self.journal = Journal(crm, "/api/v5/orders/history", "order")
        self.names = Names(crm.hub)

    # --- reading ---

    def pages(self, since: Bookmark | None, known: Known) -> Iterator[Page]:
        if not self.hub.rows(Subject.ORDER_STATE, "in"):
            raise NeedsOwner(convert.NO_STATUSES)
        zone = self.crm.zone
        if since is None or not (since.get("since_id") or since.get("from")):
            since = {"from": self.journal.now().isoformat()}
            yield Page(Kind.ORDER, (), since)
        with Ahead(self._fetched(since, zone), DEPTH) as ahead:
            any_came = False
            for orders, gone, bookmark, done, total in ahead:
                any_came = True
                yield from self._pages(orders, gone, bookmark, done, total)
        if not any_came:
            self.hub.report("info", _("Nothing has changed in the CRM since the last time"))

    def _fetched(
        self, since: Bookmark, zone: tzinfo
    ) -> Iterator[tuple[list[Json], Mapping[int, str], Bookmark | None, int, int]]:
        """In the thread, which must not touch the hub: orders of each chunk; the window's bookmark goes with its last one.

        Several chunks are asked for at a time: an answer takes longer than a tenth of a second, and ten calls a second are allowed.
        """
        done = 0
        with ThreadPoolExecutor(FETCHERS, "orders") as pool:
            asked: deque[tuple[Future[tuple[list[Json], list[int]]], Mapping[int, str], Bookmark | None, int, int]] = deque()
            try:
                for window in self.journal.windows(since, zone):
                    done += window.entries
                    ids = list(window.ids)
                    chunks = [ids[at : at + CHUNK] for at in range(0, len(ids), CHUNK)] or [[]]
                    for n, chunk in enumerate(chunks, 1):
                        last = n == len(chunks)
                        future = pool.submit(self._orders, chunk)
                        asked.append(
                            (future, window.gone if last else {}, by_id(window) if last else None, done, done + window.left)
                        )
                        if len(asked) > FETCHERS:
                            yield _answered(*asked.popleft())
                while asked:
                    yield _answered(*asked.popleft())
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _orders(self, ids: Sequence[int]) -> tuple[list[Json], list[int]]:
        """Those orders as they are now, and those that are no more. An empty list is never asked: it would mean all orders."""
        if not ids:
            return [], []
        data = self.crm.get("/api/v5/orders", filter={"ids": list(ids)}, limit=PAGE)
        orders = [o for o in listed(data.get("orders")) if isinstance(o, dict) and o.get("id") in ids]
        came = {o["id"] for o in orders}
        lacking = []
        for number in ids:
            if number in came:
                continue
            try:
                orders.append(self.one(number))
            except NotFound:
                lacking.append(number)
        return orders, lacking

    def one(self, number: int | str) -> Json:
        """Raises NotFound."""
        return mapping(self.crm.get(f"/api/v5/orders/{number}", by="id").get("order"))

    def _pages(
        self,
        orders: Sequence[Json],
        gone: Mapping[int, str],
        bookmark: Bookmark | None,
        done: int = 0,
        total: int = 0,
        anyway: bool = False,
    ) -> Iterator[Page]:
        mine = [o for o in orders if not self.s.site or str(o.get("site") or "") in ("", self.s.site)]
        used = [convert.used(o, self.s) for o in sorted(mine, key=lambda o: int(o["id"]))]
        buyers: dict[str, Item] = {}
        for raw in used:
            party = convert.party(raw)
            key = convert.party_key(party, self.s)
            if key and self._wanted(raw):
                buyers[key] = Item(key, party, self._digest(party), str(raw["id"]))
        if buyers:
            yield Page(Kind.COUNTERPARTY, list(buyers.values()), done=done, total=total, anyway=anyway)
        items = [item_of(raw, self.rules) for raw in used]
        items += [self._tombstone(number, why) for number, why in gone.items()]
        yield Page(Kind.ORDER, items, bookmark, done=done, total=total, anyway=anyway)

    def _wanted(self, raw: Json) -> bool:
        """Whether the order is loaded at all: the buyers of others are no business of ours."""
        row = self.hub.incoming(Subject.ORDER_STATE, str(raw.get("status") or ""))
        offline = raw.get("orderMethod") in self.s.skip_methods or raw.get("orderType") in self.s.skip_types
        return row is not None and row.taken and not offline and bool(raw.get("items"))

    def _digest(self, value: object) -> bytes:
        return digest([self.rules.fingerprint.hex(), value])

    def _tombstone(self, number: int, why: str) -> Item:
        payload = {"id": number, "deleted": True, "why": why}
        return Item(str(number), payload, self._digest(payload))

    # --- picking ---

    def pages_of(self, ids: Sequence[str], known: Known) -> Iterator[Page]:
        if not self.hub.rows(Subject.ORDER_STATE, "in"):
            raise NeedsOwner(convert.NO_STATUSES)
        for at in range(0, len(ids), CHUNK):
            orders = []
            for said in ids[at : at + CHUNK]:
                try:
                    orders.append(self.one(int(said)))
                except (NotFound, ValueError):
                    raise BadDocument(NO_SUCH_ORDER, id=said) from None
            yield from self._pages(orders, {}, None, anyway=True)

    def bookmark_words(self, bookmark: Bookmark | None) -> str:
        return bookmark_words(bookmark)

    def bookmark_from(self, words: str, moment: datetime | None) -> Bookmark:
        return bookmark_from(lambda: self.journal, words, moment)

    # --- parsing ---

    def parse(self, kind: Kind, items: Sequence[Item]) -> Sequence[Record | BadRecord | None]:
        said = [convert.payload(item.payload) for item in items]
        if kind is Kind.COUNTERPARTY:
            return [convert.counterparty(payload, self.s) or BadRecord(convert.NOT_A_CUSTOMER) for payload in said]
        goods = convert.look_up([payload for payload in said if not payload.get("deleted")], self.s, self.hub)
        return [self._order(payload, goods) for payload in said]

    def _order(self, payload: Json, goods: convert.Goods) -> Record | BadRecord | None:
        if payload.get("deleted"):
            return OrderNews(str(payload["id"]), deleted=True, cancel_reason=str(payload.get("why") or ""))
        return convert.order(payload, self.s, self.hub, self.crm.zone, goods, self.names)

    def locate(self, item: Item) -> str:
        return f"{self.s.address}/orders/{item.where or item.external_id}/edit"


def _answered(
    future: Future[tuple[list[Json], list[int]]], gone: Mapping[int, str], bookmark: Bookmark | None, done: int, total: int
) -> tuple[list[Json], Mapping[int, str], Bookmark | None, int, int]:
    orders, lacking = future.result()
    return orders, {**dict.fromkeys(lacking, ""), **gone}, bookmark, done, total


def item_of(raw: Json, rules: Receiving) -> Item:
    return Item(str(raw["id"]), raw, digest([rules.fingerprint.hex(), raw]))
