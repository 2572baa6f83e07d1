"""A hub with a connection to a stand-in shop on a real socket: what the system tests of shops share."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db.models import F

from obmen.connectors.commerceml_client import api
from obmen.core.records import Order, Subject
from obmen.net import client
from obmen.sandbox.shop import Buyer, Shop, make, serve
from obmen.store import connections, mappings, models, notes
from obmen.store.hub import DjangoHub
from obmen.store.mappings import MappingRow
from obmen.store.orders import order_record, orders_records, save_order
from obmen.work import jobs
from obmen.work import run as runs

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # in Moscow it is 12:00
CUP, MUG, DISH = (f"{n * 11111111}-1111-4111-8111-111111111111" for n in (1, 2, 3))
RED, BLUE = (f"{MUG}#{letter * 8}-1111-4111-8111-111111111111" for letter in "ab")
PICTURE = "import_files/aa/cup.jpg"
NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
GOODS, IN, OUT = ("products-out", "offers-out"), ("orders-in",), ("orders-out",)
LATER = timedelta(days=1)
QUIET = frozenset({"unchanged", "left_out"})


@dataclass(frozen=True)
class Way:
    """How a profile exchanges. ``state``: what is sent of a state: its name, its id, or nothing."""

    orders: bool = True
    variants: bool = True
    state: str = "name"
    lines: bool = False  # changed lines are taken back
    news: bool = True  # changes of an order are told
    settings: tuple[tuple[str, Any], ...] = ()  # of the connection
    owner: tuple[tuple[str, Any], ...] = ()  # of the shop


WAYS: Mapping[str, Way] = {
    "generic": Way(lines=True),
    "cs-cart-exim-1c": Way(owner=(("product_options", True), ("shipping_line", True))),
    "cs-cart-commerceml": Way(lines=True),
    "bitrix": Way(state="id", lines=True),
    "opencart-exchange1c": Way(),
    "woocommerce-1c": Way(state="", news=False),
    "getmeback": Way(orders=False, variants=False, state="", owner=(("interval", 0),)),
}


class Clock:
    """The shop's own: a second for every look, so that nothing happens at the moment of something else."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def hurry(monkeypatch: Any) -> None:
    """No pauses: neither for progress nor between two tries; and no authorities are read for a shop without TLS."""
    monkeypatch.setattr(DjangoHub, "sleep", lambda _self, _seconds: None)
    monkeypatch.setattr(client, "_tls", lambda _trust: NO_AUTHORITIES)
    monkeypatch.setattr(api, "CALLS_A_SECOND", 10_000)


def goods_in_books() -> None:
    """A cup with a picture, a mug in two variants, a dish of whose stock nothing is known; one price kind, two warehouses."""
    top = models.Group.objects.create(key="g1", name="Посуда")
    inner = models.Group.objects.create(key="g2", name="Чашки", parent=top)
    base = models.Reference.objects.create(subject=Subject.PRICE_KIND, key="base", name="Розничная")
    main, far = (models.Reference.objects.create(subject=Subject.WAREHOUSE, key=k, name=k) for k in ("main", "far"))
    source = connections.create("commerceml_door", "1C", profile="ut11")[0]
    body = b"\xff\xd8 a picture"
    name = default_storage.save("pictures/cup.jpg", ContentFile(body))
    about = {"file": name, "sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}
    models.Picture.objects.create(source=source, path=PICTURE, **about)

    def card(key: str, article: str, name: str, group: models.Group, **more: Any) -> models.Product:
        about = {"article": article, "name": name, "unit": "шт", "group": group, "groups": [group.key], "vat_rate": "20"}
        return models.Product.objects.create(key=key, **(about | more))

    def offer(key: str, product: models.Product, price: int, stock: int | None, *options: tuple[str, str]) -> None:
        row = models.Offer.objects.create(key=key, product=product, name=product.name, characteristics=[list(o) for o in options])
        models.Price.objects.create(offer=row, kind=base, value=price)
        if stock is not None:
            models.StockLevel.objects.create(offer=row, warehouse=main, quantity=stock)
            models.StockLevel.objects.create(offer=row, warehouse=far, quantity=1)

    offer(CUP, card(CUP, "A-1", "Чашка", inner, pictures=[PICTURE], description="Белая & тонкая"), 100, 5)
    mug = card(MUG, "A-2", "Кружка", top)
    offer(RED, mug, 250, 3, ("Цвет", "красный"))
    offer(BLUE, mug, 250, 0, ("Цвет", "синий"))
    offer(DISH, card(DISH, "A-3", "Блюдо", top), 33, None)


class World:
    """A shop and a connection of the hub to it."""

    def __init__(self, shop: Shop, url: str, name: str, settings: Mapping[str, Any], time_zone: str) -> None:
        self.shop, self.at, self.way = shop, url, WAYS[shop.key]
        about = {
            "address": url,
            "login": shop.login,
            "password": shop.password,
            "price_kinds": ["base"],
            "pause": 0,
            "repeats": 3,
        }
        own = {**about, **dict(self.way.settings), **settings}
        self.connection, _none = connections.create(
            "commerceml_client", name, profile=shop.key, settings=own, time_zone=time_zone
        )
        self.map_states()

    def map_states(self) -> None:
        """“our-O” for “Открыт”, as an owner would fill the tables."""
        there = {code: code if self.way.state == "id" else title for code, title in self.shop.states.items()}
        rows = [MappingRow(theirs, ours=f"our-{code}") for code, theirs in there.items()]
        mappings.save(self.connection, Subject.ORDER_STATE, "in", rows)
        mappings.save(self.connection, Subject.ORDER_STATE, "out", rows)

    @property
    def streams(self) -> tuple[str, ...]:
        return (*GOODS, *IN, *OUT) if self.way.orders else GOODS

    # --- runs ---

    def go(self, *streams: str) -> models.Run:
        """One run, to its end; one that is to be tried later is given up."""
        return runs.execute_here(jobs.ask(self.connection, streams or self.streams, trigger="person"))

    def settle(self, *streams: str, most: int = 8) -> models.Run:
        """Run again and again, a day later each time, until nothing is new any more. The last run; it is done."""
        for _time in range(most):
            self.later()
            run = self.go(*streams)
            if run.state == "done" and not counts(run):
                return run
        raise AssertionError(f"no end: {self.said(run)}")

    def later(self) -> None:
        """Nothing has to wait any more before it is tried again, and lost workers have been noticed."""
        jobs.rescue()
        models.Run.objects.filter(state="waiting").update(due=F("due") - LATER)
        models.Parked.objects.update(last_at=F("last_at") - LATER)
        load = notes.recall(self.connection, "load")
        if load:
            ago = {name: (datetime.fromisoformat(load[name]) - LATER).isoformat() for name in ("began", "last")}
            notes.remember(self.connection, "load", load | ago)

    def said(self, run: models.Run) -> str:
        lines = [text.format(**facts) for text, facts in run.lines.order_by("pk").values_list("text", "facts")]
        return f"{run.state} {counts(run)} {run.text} {run.facts} {lines}"

    def set(self, **settings: Any) -> None:
        connections.update(self.connection, settings)

    # --- our books ---

    def ours(self, number: int) -> Order:
        return order_record(models.Order.objects.get(key=str(number)))

    def change(self, number: int, **fields: Any) -> None:
        """A change made here, by 1C or a person."""
        save_order(replace(self.ours(number), **fields))

    def price(self, offer: str, value: object) -> None:
        models.Price.objects.filter(offer__key=offer).update(value=value)

    def stock(self, offer: str, quantity: object) -> None:
        models.StockLevel.objects.filter(offer__key=offer, warehouse__key="main").update(quantity=quantity)

    # --- over there ---

    def buy(self, *items: tuple[Any, ...], **more: Any) -> int:
        buyer = more.pop("buyer", None) or Buyer("Анна", "Сидорова", "+79161112233", "anna@example.com", city="Москва", user=7)
        return self.shop.buy(items or ((CUP, 2), (self.other, 1)), buyer=buyer, **more).id

    @property
    def other(self) -> str:
        return RED if self.way.variants else DISH

    # --- both ---

    def unlike_goods(self) -> list[str]:
        """Where the shop's goods are not what our books say."""
        found = []
        for offer in models.Offer.objects.select_related("product"):
            key = offer.key if self.way.variants else offer.product.key
            there = self.shop.goods.find(key)
            if there is None:
                found.append(f"{offer.name} {key} is not there")
                continue
            prices = {p.value for p in offer.prices.all()}
            if set(there[1].prices.values()) != prices:
                found.append(f"{offer.name}: {there[1].prices} instead of {prices}")
            levels = (
                models.StockLevel.objects.filter(offer__product=offer.product) if not self.way.variants else offer.stock.all()
            )
            stock = sum((level.quantity for level in levels), Decimal(0))
            if there[1].quantity != stock:
                found.append(f"{offer.name}: {there[1].quantity} pieces instead of {stock}")
            if there[0].name != offer.product.name or there[0].article != offer.product.article or not there[0].active:
                found.append(f"{offer.name}: {there[0]}")
        return found

    def unlike_orders(self, *numbers: int) -> list[str]:
        """Where the orders of our books are not those of the shop: each of them once, its lines and its sum to the kopeck."""
        keys = sorted(models.Order.objects.values_list("key", flat=True))
        wanted = numbers or tuple(self.shop.orders)
        if keys != sorted(map(str, wanted)):
            return [f"orders {keys} instead of {sorted(wanted)}"]
        found, books = [], {order.key: order for order in orders_records(models.Order.objects.order_by("key"))}
        for number in wanted:
            here, there = books[str(number)], self.shop.orders[number]
            lines = [(x.offer, x.quantity, x.total) for x in here.lines if x.kind == "product"]
            if lines != [(x.offer, x.quantity, x.total) for x in there.lines] or here.total != there.total:
                found.append(f"{number}: {here.lines} {here.total} instead of {there.lines} {there.total}")
            if self.way.news and (here.state or "") != f"our-{there.status}" and not here.cancelled:
                found.append(f"{number}: {here.state} instead of {there.status}")
        return found


def counts(run: models.Run) -> dict[str, int]:
    return {name: count for name, count in run.counts.items() if count and name not in QUIET}


@contextmanager
def world(
    profile: str, *, name: str = "Shop", settings: Mapping[str, Any] | None = None, time_zone: str = "Europe/Moscow", **owner: Any
) -> Iterator[World]:
    """An empty shop of this profile and a connection of the hub to it."""
    shop = make(profile, clock=Clock(), **{**dict(WAYS[profile].owner), **owner})
    with serve(shop) as server:
        yield World(shop, server.url, name, settings or {}, time_zone)
