"""A connector for tests that calls a system made of lists: orders and customers in, orders, payments and stock out, a feed.

``World`` is the other system. Everything goes through the real engine, store and queue.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pytest

from obmen import registry
from obmen.core.contract import (
    BadRecord,
    Change,
    Choice,
    Connector,
    Item,
    NeedsOwner,
    Outcome,
    Page,
    Receiving,
    Table,
    TryLater,
    Unmapped,
)
from obmen.core.records import Counterparty, Good, Kind, Order, OrderLine, OrderNews, Payment, Reference, Subject, digest, plain
from obmen.core.settings import setting


class Crash(BaseException):
    """The process died here."""


@dataclass
class World:
    orders: dict[str, Order] = field(default_factory=dict)
    news: list[str] = field(default_factory=list)  # ids of orders in the order of their changes
    payments: dict[str, tuple[str, Payment]] = field(default_factory=dict)  # id → (order id, payment)
    stock: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    says_how_much: bool = False  # how many news there are, with each page of them
    lose: int = 0  # so many answers to writes are lost, after the other system has acted
    busy: bool = False
    refuse: str = ""  # a number of an order that is not taken
    from_moment: int | None = None  # where in the news a moment is; None: at their end
    asked_from: str = ""  # the moment that was asked from last

    def change(self, order: Order) -> Order:
        self.orders[order.key] = order
        self.news.append(order.key)
        return order


def order(key: str, **values: Any) -> Order:
    line = OrderLine("p1", "Cup", Decimal(2), Decimal(10), Decimal(20), key=f"{key}-1")
    base = {
        "number": f"{key}C",
        "date": datetime(2026, 11, 2, 8, tzinfo=UTC),
        "state": "new",
        "currency": "UAH",
        "total": Decimal(20),
        "lines": (line,),
        "counterparty": Counterparty("customer:1", "Anna Test", phone="+380501112233", email="anna@example.com"),
    }
    return Order(key, **{**base, **values})


@dataclass(frozen=True)
class Settings:
    address: str = setting("", "Address", "Where it is.", identifies=True, place=True)
    api_key: str = setting("", "Key", "Its key.", kind="secret")
    own_orders: bool = setting(False, "Send own orders", "Also those that were not made there.")
    path: str = setting("", "Path", "Where the feed is put.")


WORLD: list[World] = []


def world() -> World:
    return WORLD[-1]


class Orders:
    stream, kinds = "orders-in", (Kind.COUNTERPARTY, Kind.ORDER)
    rules = Receiving()

    def __init__(self, hub: Any) -> None:
        self.hub = hub

    def pages(self, since: Any, known: Any) -> Iterator[Page]:
        at = since["at"] if since else 0
        for start in range(at, len(world().news), 2):
            world().calls.append(f"read {start}")
            if world().busy:
                raise TryLater("It is busy")
            ids = list(dict.fromkeys(world().news[start : start + 2]))
            done = min(start + 2, len(world().news))
            yield from self._pages(ids, {"at": done}, *((done - at, len(world().news) - at) if world().says_how_much else ()))

    def _pages(self, ids: Sequence[str], bookmark: Any, done: int = 0, total: int = 0) -> Iterator[Page]:
        found = [world().orders[i] for i in ids]
        buyers = {o.counterparty.key: o.counterparty for o in found if o.counterparty}
        yield Page(Kind.COUNTERPARTY, [Item(k, plain(b), digest(b)) for k, b in buyers.items()], done=done, total=total)
        yield Page(Kind.ORDER, [Item(o.key, plain(o), digest(o)) for o in found], bookmark, done=done, total=total)

    def pages_of(self, ids: Sequence[str], known: Any) -> Iterator[Page]:
        yield from self._pages(ids, None)

    def bookmark_words(self, bookmark: Any) -> str:
        return str(bookmark["at"]) if bookmark else ""

    def bookmark_from(self, words: str, moment: datetime | None) -> Any:
        if words and not words.isdigit():
            raise NeedsOwner("{words} is no number", words=words)
        if moment is not None:
            world().asked_from = moment.isoformat()
        if moment is not None and world().from_moment is not None:
            return {"at": world().from_moment}
        return {"at": int(words or len(world().news))}

    def parse(self, kind: Kind, items: Sequence[Item]) -> Sequence[Any]:
        return [self._one(kind, item) for item in items]

    def _one(self, kind: Kind, item: Item) -> Any:
        payload = msgspec.json.decode(item.payload) if isinstance(item.payload, bytes) else item.payload
        if kind is Kind.COUNTERPARTY:
            return msgspec.convert(payload, Counterparty, strict=False)
        said = msgspec.convert(payload, Order, strict=False)
        if said.deleted:
            return OrderNews(said.key, deleted=True)
        row = self.hub.incoming(Subject.ORDER_STATE, said.state)
        if row is None:
            self.hub.unmapped(Subject.ORDER_STATE, said.state, said.state.title())
            return Unmapped("State {value} is not mapped", subject=Subject.ORDER_STATE, value=said.state)
        if not row.taken:
            return None
        self.hub.report("info", "Read {number}", number=said.number)
        return replace(said, state=row.ours)

    def locate(self, item: Item) -> str:
        return item.external_id


class OrdersOut:
    stream, kind, batch, creates, compares = "orders-out", Kind.ORDER, 2, True, True

    def __init__(self, hub: Any, own: bool) -> None:
        self.hub, self.own = hub, own

    def external_id(self, record: Order) -> str | None:
        return None

    def render(self, record_id: int, record: Order, links: Any) -> Any:
        copy = links.their_copy(Kind.ORDER, record_id)
        if copy is None:
            return {"key": record.key, "number": record.number, "state": record.state} if self.own else None
        return {"state": record.state, "number": record.number} if record.state != copy.state else None

    def write(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        for change in changes:
            world().calls.append(f"write {change.external_id} unsure={change.unsure}")
            if change.payload["number"] == world().refuse:
                yield Outcome(change.key, error=BadRecord("Order {number} is refused", number=world().refuse))
                continue
            found = next((o.key for o in world().orders.values() if o.known_as == change.payload.get("key")), None)
            ident = change.external_id or (found if change.unsure else None)
            theirs = [m.theirs for m in self.hub.outgoing(Subject.ORDER_STATE, change.payload["state"])]
            state = theirs[0] if theirs else change.payload["state"]
            if ident is None:
                ident = str(500 + len(world().orders))
                made = order(ident, known_as=change.payload["key"], number=change.payload["number"], state=state)
            else:
                made = replace(world().orders[ident], state=state)
            world().change(made)
            if world().lose:
                world().lose -= 1
                raise Crash
            yield Outcome(change.key, ident, seen=digest(made), copy=replace(made, state=change.payload["state"]))


class PaymentsOut:
    stream, kind, batch, creates, compares = "payments-out", Kind.PAYMENT, 10, True, False

    def external_id(self, record: Payment) -> str | None:
        return None

    def render(self, record_id: int, record: Payment, links: Any) -> Any:
        order_id = links.external_id(Kind.ORDER, world_order(record.order))
        return {"order": order_id, "key": record.key, "amount": str(record.amount), "paid": record.paid}

    def write(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        for change in changes:
            world().calls.append(f"pay {change.external_id}")
            ident = change.external_id or f"pay{len(world().payments) + 1}"
            said = Payment(ident, Decimal(change.payload["amount"]), paid=change.payload["paid"])
            world().payments[ident] = (change.payload["order"], said)
            yield Outcome(change.key, ident)


def world_order(key: str) -> int:
    from obmen.store import models

    return models.Order.objects.get(key=key).pk


class StockOut:
    stream, kind, batch, creates, compares = "stock-out", Kind.STOCK, 250, False, False
    choice = Choice(warehouses=None)
    overlaps = True

    def external_id(self, record: Good) -> str | None:
        return record.key

    def render(self, record_id: int, record: Good, links: Any) -> Any:
        return {"offer": record.key, "quantity": str(sum(s.quantity for s in record.offer.stock or ()))}

    def write(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        world().calls.append(f"stock {len(changes)}")
        for change in changes:
            world().stock[change.payload["offer"]] = change.payload["quantity"]
            yield Outcome(change.key, change.external_id)


class Cards:
    stream, name = "catalogue-out", "cards.xml"

    def __init__(self, path: str) -> None:
        self.path = path

    def write(self, file: BinaryIO, books: Any, now: datetime) -> Mapping[str, int]:
        goods = list(books.goods(Choice()))
        file.write(f'<cards date="{now:%Y-%m-%d %H:%M:%S}">'.encode())
        file.writelines(f"<card>{g.product.name}</card>".encode() for g in goods)
        file.write(b"</cards>")
        return {"offers": len(goods)}

    def allow(self, previous: Path, current: Path) -> None:
        before, after = (p.read_bytes().count(b"<card>") for p in (previous, current))
        if after * 2 < before:
            raise NeedsOwner("{gone} of {before} would vanish", gone=before - after, before=before)


class Caller(Connector):
    key, title, settings = "caller", "A system that we call", Settings
    streams = ("orders-in", "orders-out", "payments-out", "stock-out", "catalogue-out")
    tables = (
        Table(Subject.ORDER_STATE, "states", "Their states", "in"),
        Table(Subject.ORDER_STATE, "states", "Our states", "out"),
    )
    wakes, calls_out = ("orders-in",), True

    def check(self) -> str:
        if not self.s.api_key:
            raise NeedsOwner("Enter the key")
        return f"connected to {self.s.address}"

    def references(self, subject: Subject) -> Sequence[Reference]:
        return [Reference(subject, "new", "New"), Reference(subject, "done", "Done")]

    def sources(self) -> Sequence[Any]:
        return [Orders(self.hub)]

    def sinks(self) -> Sequence[Any]:
        return [OrdersOut(self.hub, self.s.own_orders), PaymentsOut(), StockOut()]

    def feeds(self) -> Sequence[Any]:
        return [Cards(self.s.path)]


def install(monkeypatch: pytest.MonkeyPatch) -> World:
    """The registry knows this connector besides the real ones; returns the other system, empty."""
    monkeypatch.setitem(registry.connectors(), "caller", Caller)  # type: ignore[arg-type]
    WORLD.append(World())
    return world()
