"""What the tests of this connector share: an account on a real socket, a hub and a store in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from connectors.memory_hub import MemoryBooks, MemoryHub
from core.memory import MemoryStore
from obmen.connectors.retailcrm import RetailCRM
from obmen.core.contract import Sink, Source
from obmen.core.engine import Settlement, missing, pull, push
from obmen.core.records import Good, Group, Kind, Offer, Order, OrderNews, Price, Product, Reference, Stock, Subject
from obmen.core.settings import load
from obmen.sandbox.retailcrm import RetailCRM as Account
from obmen.sandbox.retailcrm import serve

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CUP, MUG, DISH = (
    "11111111-1111-4111-8111-111111111111",
    "22222222-2222-4222-8222-222222222222",
    "33333333-3333-4333-8333-333333333333",
)
STATUSES = ("new", "client-confirmed", "send-to-assembling", "complete", "cancel-other")


class Books(MemoryBooks):
    def __init__(self) -> None:
        goods = [
            good(1, CUP, "УТ-1", "A-1", "Чашка", {"base": 100, "buy": 60}, {"main": 5}),
            good(2, MUG, "УТ-2", "A-2", "Кружка", {"base": 250, "buy": 140}, {"main": 0, "far": 3}),
            good(3, DISH, "УТ-3", "A-3", "Блюдо", {"base": 33}, {"main": 7}),
        ]
        known = {
            Subject.ORGANISATION: [Reference(Subject.ORGANISATION, "org-1", "Ассоль ООО")],
            Subject.WAREHOUSE: [Reference(Subject.WAREHOUSE, "main", "Основной склад"), Reference(Subject.WAREHOUSE, "far", "Офис")],
            Subject.DELIVERY: [Reference(Subject.DELIVERY, "carrier", "Силами перевозчика")],
            Subject.CARRIER: [Reference(Subject.CARRIER, "c-7", "Деловые линии")],
            Subject.TAXATION: [Reference(Subject.TAXATION, "vat", "Продажа облагается НДС"),
                               Reference(Subject.TAXATION, "novat", "ПродажаНеОблагаетсяНДС")],
        }  # fmt: skip
        super().__init__(goods, [Group("g1", "Посуда"), Group("g2", "Чашки", "g1"), Group("g3", "Прочее")], known)


def good(
    number: int, key: str, code: str, article: str, name: str, prices: dict[str, Any], stock: dict[str, Any], **more: Any
) -> Good:
    product = key.partition("#")[0]
    return Good(
        number,
        Product(product, name=name, full_name=name, code=code, article=article, groups=("g2",), **more.pop("product", {})),
        Offer(
            key,
            product,
            name=name,
            prices=tuple(Price(kind, Decimal(str(value))) for kind, value in prices.items()),
            stock=tuple(Stock(house, Decimal(str(count))) for house, count in stock.items()),
            **more,
        ),
        version=1,
    )


class Store(MemoryStore):
    """The engine's store, with what the real one does for connectors that call out: it keeps their copies of orders."""

    def __init__(self) -> None:
        super().__init__()
        self.copies: dict[int, Any] = {}
        self.gone: dict[str, OrderNews] = {}

    def their_copy(self, kind: Kind, record_id: int) -> Any:
        return self.copies.get(record_id) if kind is Kind.ORDER else None

    def external_id(self, kind: Kind, record: int | str) -> str:
        if isinstance(record, str):
            found = next((i for i, r in self.books.items() if isinstance(r, Order) and r.key == record), None)
            if found is None:
                raise missing(kind, record)
            record = found
        return super().external_id(kind, record)

    def settle(self, settlement: Settlement) -> Counter[str]:
        news = [s for s in settlement.said if isinstance(s.record, OrderNews)]
        settlement.said = [s for s in settlement.said if not isinstance(s.record, OrderNews)]
        counts = super().settle(settlement)
        for s in news:
            self.gone[s.record.key] = s.record
        for s in settlement.said:
            if isinstance(s.record, Order):
                self.copies[self.link_rows[Kind.ORDER, s.item.external_id].record_id] = s.record
        self.copies.update(settlement.copies)
        return counts

    def orders(self) -> dict[str, Order]:
        return {r.key: r for r in self.books.values() if isinstance(r, Order)}

    def order(self, number: int | str) -> Order:
        return self.orders()[str(number)]


class Kit:
    """An account, a connection to it, and the books of one hub. ``settings`` are those that most tests want."""

    def __init__(self, folder: Path, url: str, account: Account) -> None:
        self.account, self.url = account, url
        self.ui = account.ui
        self.hub = MemoryHub(folder, books=Books())
        self.store = Store()
        self.settings: dict[str, Any] = {"server": url, "api_key": "sandbox-key", "site": "shop"}
        for code in STATUSES:
            self.hub.map("both", Subject.ORDER_STATE, code, f"our-{code}")
        self._open: list[RetailCRM] = []

    def connector(self, **settings: Any) -> RetailCRM:
        self._open.append(RetailCRM(load(RetailCRM.settings, self.settings | settings), self.hub))
        return self._open[-1]

    def source(self, stream: str = "orders-in", **settings: Any) -> Source:
        return next(s for s in self.connector(**settings).sources() if s.stream == stream)

    def sink(self, stream: str, **settings: Any) -> Sink:
        return next(s for s in self.connector(**settings).sinks() if s.stream == stream)

    def load(self, stream: str = "orders-in", since: datetime | None = None, **settings: Any) -> Counter[str]:
        """One run of a source; the first one reads from the beginning of the test."""
        source = self.source(stream, **settings)
        if self.store.bookmark(stream) is None or since:
            self.store.bookmarks[stream] = {"from": (since or START - timedelta(days=1)).isoformat()}
        return pull(source, self.store)

    def send(self, stream: str, *records: tuple[int, int, Any], **settings: Any) -> Counter[str]:
        return push(self.sink(stream, **settings), records, self.store, connection="crm")

    def change(self, number: int | str, **fields: Any) -> tuple[int, int, Order]:
        """An order of the books after a change of ours: what the outbox has of it."""
        from dataclasses import replace

        ident = next(i for i, r in self.store.books.items() if isinstance(r, Order) and r.key == str(number))
        self.store.books[ident] = replace(self.store.books[ident], **fields)
        return ident, 2, self.store.books[ident]

    def asked(self, path: str = "", method: str = "") -> Sequence[Any]:
        return self.account.calls(path, method)

    def close(self) -> None:
        for connector in self._open:
            connector.close()


@contextmanager
def running(folder: Path, **account: Any) -> Iterator[Kit]:
    with serve(Account(**account)) as server:
        crm = server.crm
        for key, code, article, name, price in (
            (CUP, "УТ-1", "A-1", "Чашка", 100), (MUG, "УТ-2", "A-2", "Кружка", 250), (DISH, "УТ-3", "A-3", "Блюдо", 33),
        ):  # fmt: skip
            crm.add_offer(key, name, price, xml_id=code, article=article)
        kit = Kit(folder, server.url, crm)
        try:
            yield kit
        finally:
            kit.close()
