"""A hub with a connection to the stand-in CRM on a real socket: what the system tests of RetailCRM share."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import F

from obmen.connectors.retailcrm import api
from obmen.core.records import Counterparty, Kind, Order, OrderLine, Payment, Subject, plain
from obmen.net import client
from obmen.sandbox.retailcrm import RetailCRM, serve
from obmen.store import connections, mappings, models
from obmen.store.hub import DjangoHub
from obmen.store.mappings import MappingRow
from obmen.store.orders import order_record, orders_records, save_order
from obmen.work import jobs
from obmen.work import run as runs

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # in Moscow it is 12:00
CUP, MUG, DISH = (f"{n * 11111111}-1111-4111-8111-111111111111" for n in (1, 2, 3))
GOODS = ((CUP, "УТ-1", "A-1", "Чашка", 100, 5), (MUG, "УТ-2", "A-2", "Кружка", 250, 0), (DISH, "УТ-3", "A-3", "Блюдо", 33, 7))
STATUSES = ("new", "client-confirmed", "send-to-assembling", "complete", "cancel-other")
NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
ALL = ("orders-in", "customers-in", "orders-out", "payments-out", "stock-out", "prices-out")
ORDERS = ("orders-in", "orders-out", "payments-out")
LATER = timedelta(days=1)


class Clock:
    """The account's own. It stands still, so that two accounts to which the same happened are the same."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def hurry(monkeypatch: Any) -> None:
    """No pauses: neither for the CRM's pace nor between two tries; and no authorities are read for an account without TLS."""
    monkeypatch.setattr(DjangoHub, "sleep", lambda _self, _seconds: None)
    monkeypatch.setattr(client, "_tls", lambda _trust: NO_AUTHORITIES)
    monkeypatch.setattr(api, "CALLS_A_SECOND", 1000)


def goods_in_books() -> None:
    """Three goods with the price kinds “base” and “buy”, and stock in two warehouses."""
    group = models.Group.objects.create(key="g1", name="Посуда")
    base, buy = (models.Reference.objects.create(subject=Subject.PRICE_KIND, key=k, name=k) for k in ("base", "buy"))
    main, far = (models.Reference.objects.create(subject=Subject.WAREHOUSE, key=k, name=k) for k in ("main", "far"))
    for key, code, article, name, price, stock in GOODS:
        product = models.Product.objects.create(
            key=key, code=code, article=article, name=name, full_name=name, group=group, groups=["g1"], vat_rate="20"
        )
        offer = models.Offer.objects.create(key=key, product=product, name=name)
        models.Price.objects.create(offer=offer, kind=base, value=price)
        models.Price.objects.create(offer=offer, kind=buy, value=Decimal(price) / 2)
        models.StockLevel.objects.create(offer=offer, warehouse=main, quantity=stock)
        models.StockLevel.objects.create(offer=offer, warehouse=far, quantity=1)


def map_everything(connection: models.Connection) -> None:
    """Tables as an owner would fill them: states “our-new” …, two stores, a price type, cash and cards both ways, couriers."""
    states = [MappingRow(code, ours=f"our-{code}") for code in STATUSES]
    mappings.save(connection, Subject.ORDER_STATE, "in", states)
    mappings.save(connection, Subject.ORDER_STATE, "out", states)
    mappings.save(connection, Subject.MANAGER, "both", [MappingRow("19", ours="anna"), MappingRow("20", ours="boris")])
    mappings.save(connection, Subject.WAREHOUSE, "both", [MappingRow("main", ours="main"), MappingRow("second", ours="far")])
    mappings.save(connection, Subject.PRICE_KIND, "both", [MappingRow("base", ours="base")])
    mappings.save(connection, Subject.DELIVERY, "both", [MappingRow("courier", ours="courier"), MappingRow("self-delivery")])
    pays = [
        MappingRow("cash", attributes={"document": "cash", "cash_desk": "desk"}),
        MappingRow("bank-card", attributes={"document": "card", "terminal": "t-1"}),
        MappingRow("bank-transfer", attributes={"document": "bank"}),
    ]
    mappings.save(connection, Subject.PAYMENT_KIND, "in", pays)
    mappings.save(connection, Subject.PAYMENT_KIND, "out", pays)


def buyer(key: str = "b-1", phone: str = "84957770011", **more: Any) -> Counterparty:
    said = {"name": f"Сидоров {key}", "last_name": "Сидоров", "first_name": key, "phone": phone, "email": f"{key}@example.com"}
    return Counterparty(key, **(said | more))


FIRM = Counterparty("f-1", "ООО Рога", kind="company", full_name="ООО «Рога и копыта»", inn="7701234567", kpp="770101001")


def own(key: str = "own-1", **more: Any) -> Order:
    """An order that was made in the books: two cups and a mug."""
    lines = (
        OrderLine(CUP, "Чашка", Decimal(2), Decimal(100), Decimal(200)),
        OrderLine(MUG, "Кружка", Decimal(1), Decimal(250), Decimal(250)),
    )
    said = {"number": f"N-{key}", "date": START, "state": "our-new", "currency": "RUB", "total": Decimal(450), "lines": lines}
    return Order(key, **(said | {"counterparty": buyer()} | more))


def cash(key: str = "p-1", amount: int = 450, paid: bool = True, document: str = "cash") -> Payment:
    return Payment(key, Decimal(amount), date=START, paid=paid, requisites=(("Документ", document),))


def dish(w: World, order: int | str, total: int) -> OrderLine:
    """Two dishes, as a further line of that order."""
    price = Decimal(33)
    new = {"offer": DISH, "name": "Блюдо", "article": "A-3", "key": "", "quantity": Decimal(2), "price": price}
    return replace(w.ours(order).lines[0], **new, total=Decimal(total), discount=2 * price - total)


class World:
    """An account and a connection of the hub to it. ``crm`` is the account, ``at`` the address, ``connection`` the row."""

    def __init__(self, crm: RetailCRM, url: str, name: str, settings: Mapping[str, Any], time_zone: str) -> None:
        self.crm, self.ui, self.at, self.clock = crm, crm.ui, url, crm.account.clock
        about = {"server": url, "api_key": "sandbox-key", "site": "shop", **settings}
        self.connection, _password = connections.create("retailcrm", name, settings=about, time_zone=time_zone)
        map_everything(self.connection)
        self.start_at(START - timedelta(days=1))

    # --- runs ---

    def start_at(self, moment: datetime) -> None:
        """The first load begins there."""
        for stream in ("orders-in", "customers-in"):
            self.connection.bookmarks.update_or_create(stream=stream, defaults={"value": {"from": moment.isoformat()}})

    def go(self, *streams: str, **args: Any) -> models.Run:
        """One run, to its end; one that is to be tried later is given up."""
        return runs.execute_here(jobs.ask(self.connection, streams or ORDERS, trigger="person", args=args))

    def settle(self, *streams: str, most: int = 8) -> models.Run:
        """Run again and again, a day later each time, until nothing is new any more. The last run; it is done."""
        for _time in range(most):
            self.later()
            run = self.go(*streams)
            if run.state == "done" and not {name for name, count in run.counts.items() if count} - {"unchanged", "left_out"}:
                return run
        raise AssertionError(
            f"no end: {run.state} {run.counts} {run.text} {run.facts} {list(run.lines.values_list('text', 'facts'))}"
        )

    def later(self) -> None:
        """Nothing has to wait any more before it is tried again, and lost workers have been noticed."""
        jobs.rescue()
        models.Run.objects.filter(state="waiting").update(due=F("due") - LATER)
        models.Parked.objects.update(last_at=F("last_at") - LATER)

    def set(self, **settings: Any) -> None:
        connections.update(self.connection, settings)

    # --- our books ---

    def ours(self, key: str | int) -> Order:
        return order_record(models.Order.objects.get(key=str(key)))

    def change(self, key: str | int, **fields: Any) -> Order:
        """A change made here, by 1C or a person."""
        row, _changed = save_order(replace(self.ours(key), **fields))
        return order_record(row)

    def pay(self, order: str | int, *payments: Payment) -> None:
        """The order has these payments besides those it has, each by its key."""
        fresh = {p.key for p in payments}
        self.change(order, payments=(*(p for p in self.ours(order).payments if p.key not in fresh), *payments))

    def lines(self, run: models.Run) -> list[str]:
        """What a run has said, as a person reads it in English."""
        return [text.format(**facts) for text, facts in run.lines.order_by("pk").values_list("text", "facts")]

    def books(self) -> dict[str, Any]:
        """Everything that exchange has left here, without what only counts tries and versions."""
        keys = {
            str(kind): dict(model.objects.values_list("pk", "key"))
            for kind, model in (
                (Kind.ORDER, models.Order), (Kind.PAYMENT, models.Payment), (Kind.COUNTERPARTY, models.Counterparty),
                (Kind.STOCK, models.Offer), (Kind.PRICES, models.Offer),
            )
        }  # fmt: skip
        links = models.Link.objects.filter(connection=self.connection).values_list("kind", "external_id", "record_id")
        return {
            "orders": [plain(order) for order in orders_records(models.Order.objects.order_by("key"))],
            "cards": sorted((card_of(row) for row in models.Counterparty.objects.all()), key=repr),
            "links": sorted((kind, theirs, keys[kind].get(pk, "nothing")) for kind, theirs, pk in links),
            "outbox": sorted(models.Outbox.objects.filter(connection=self.connection).values_list("kind", "record_id")),
            "parked": sorted(self.connection.parked.values_list("direction", "kind", "text")),
        }

    # --- over there ---

    def there(self) -> dict[str, Any]:
        with self.crm.lock:
            customers = [
                self.crm.json(card.data | {"id": card.id, "phones": card.phones}) for card in self.crm.customers.rows.values()
            ]
        return {
            "orders": self.crm.all_orders(),
            "customers": customers,
            "stock": {key: self.crm.stock(key) for key, *_more in GOODS},
            "prices": {key: self.crm.prices(key) for key, *_more in GOODS},
        }

    def posts(self, path: str = "") -> list[Any]:
        return self.crm.calls(path, "POST")

    def order(self, **fields: Any) -> int:
        """An order that somebody makes over there; its id."""
        said = {"firstName": "Иван", "lastName": "Петров", "phone": "+79161112233", **fields}
        return int(self.ui.create_order(said.pop("items", [(CUP, 2), (MUG, 1)]), **said)["id"])


CARD = ("key", "name", "kind", "full_name", "last_name", "first_name", "middle_name", "inn", "kpp", "okpo", "phone", "email")


def alike(side: dict[str, Any]) -> dict[str, Any]:
    """Without ids of lines: one that is sent again without an id gets another."""
    orders = [
        {
            **{name: value for name, value in order.items() if name not in ("items", "lines")},
            "lines": [{k: v for k, v in line.items() if k not in ("id", "key")} for line in order.get("items") or order["lines"]],
        }
        for order in side["orders"]
    ]
    return side | {"orders": orders}


def card_of(row: models.Counterparty) -> dict[str, Any]:
    return {name: getattr(row, name) for name in CARD if getattr(row, name)}


@contextmanager
def world(
    *, name: str = "CRM", settings: Mapping[str, Any] | None = None, time_zone: str = "Europe/Kyiv", **account: Any
) -> Iterator[World]:
    """An account with the goods of the books, and a connection of the hub to it."""
    with serve(RetailCRM(clock=Clock(), **account)) as server:
        crm = server.crm
        for key, code, article, title, price, _stock in GOODS:
            crm.add_offer(key, title, price, xml_id=code, article=article)
        yield World(crm, server.url, name, settings or {}, time_zone)
