"""Whole exchanges with a shop at Prom: the hub's own database, the real queue and HTTP, faults of the network in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from obmen.connectors.prom import api as prom_api
from obmen.core.records import Delivery, Kind, Subject
from obmen.net.client import Retry
from obmen.sandbox.prom import Prom, serve
from obmen.store import connections, mappings, models
from obmen.store.mappings import MappingRow
from obmen.store.orders import order_record, save_order
from obmen.work import jobs
from obmen.work import run as runs

pytestmark = pytest.mark.django_db(transaction=True)

CUBE, BALL = "c0be-1", "ba11-2"
TTN = "20450174011062"
EVERYTHING = ("orders-in", "products-in", "statuses-out", "offers-out")


@pytest.fixture
def shop(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    settings.OBMEN_ALLOW_PRIVATE, settings.OBMEN_HOME, settings.MEDIA_ROOT = True, tmp_path, tmp_path
    monkeypatch.setattr(prom_api, "RETRY", Retry(attempts=3, first=0.02))
    prom = Prom()
    prom.add_product("Кубик дерев'яний", 571, 10, external_id=CUBE, sku="K-1")
    prom.add_product("М'яч", 120, 40, external_id=BALL, sku="B-2")
    with serve(prom) as server:
        prom.url = server.url
        yield prom


def yesterday() -> dict[str, str]:
    return {"from": (timezone.now() - timedelta(days=1)).isoformat()}


def books() -> None:
    """Two goods of the accounting with stock and a price, and its words for states and deliveries."""
    house = models.Reference.objects.create(subject=Subject.WAREHOUSE, key="main", name="Основний склад")
    retail = models.Reference.objects.create(subject=Subject.PRICE_KIND, key="retail", name="Роздрібна")
    models.Reference.objects.create(subject=Subject.DELIVERY, key="np", name="НП")
    models.Reference.objects.create(subject=Subject.CANCEL_REASON, key="none-left", name="Немає на складі")
    for key in ("new", "accepted", "shipped", "done"):
        models.Reference.objects.create(subject=Subject.ORDER_STATE, key=key, name=key.title())
    for key, name, article, count, price in ((CUBE, "Кубик", "K-1", 10, 571), (BALL, "М'яч", "B-2", 40, 120)):
        product = models.Product.objects.create(key=key, name=name, article=article, code=article)
        offer = models.Offer.objects.create(key=key, product=product, name=name)
        models.StockLevel.objects.create(offer=offer, warehouse=house, quantity=count)
        models.Price.objects.create(offer=offer, kind=retail, value=Decimal(price), currency="UAH")


@pytest.fixture
def prom(shop: Any) -> models.Connection:
    books()
    values = {"address": shop.url, "token": "sandbox-token", "pace": 1000, "price_kind": "retail"}
    connection, _password = connections.create("prom", "Prom", settings=values)
    states = [
        MappingRow("pending", ours="new", sent=False),
        MappingRow("received", ours="accepted"),
        MappingRow("received", ours="shipped", taken=False),
        MappingRow("paid", ours="new", sent=False),
        MappingRow("delivered", ours="done"),
        MappingRow("canceled", taken=False, attributes={"cancel": "yes"}),
    ]
    mappings.save(connection, Subject.ORDER_STATE, "each", states)
    mappings.save(connection, Subject.DELIVERY, "both", [MappingRow("11111", ours="np")])
    mappings.save(connection, Subject.CANCEL_REASON, "out", [MappingRow("not_available", ours="none-left")])
    models.Bookmark.objects.update_or_create(connection=connection, stream="orders-in", defaults={"value": yesterday()})
    return connection


def go(connection: models.Connection, *streams: str, state: str = "done", **args: Any) -> Any:
    done = runs.execute_here(jobs.ask(connection, streams, trigger="person", args=args))
    assert done.state == state, (done.state, done.text, done.facts, list(done.lines.values_list("text", "facts")))
    return SimpleNamespace(run=done, said=list(done.lines.values_list("level", "text")), counts=done.counts)


def the_order(number: int) -> Any:
    return order_record(models.Order.objects.get(key=str(number)))


def change(number: int, **fields: Any) -> None:
    save_order(replace(the_order(number), **fields))


def writes(shop: Any) -> int:
    return sum(shop.writes.values())


def posts(shop: Any) -> int:
    return len(shop.calls(method="POST"))


def parked() -> list[str]:
    return [row.text.format(**row.facts) for row in models.Parked.objects.order_by("pk")]


# --- there and back ---------------------------------------------------------------------------------------------------------


def test_cards_are_linked_an_order_goes_there_and_back_and_the_second_run_is_idle(shop: Any, prom: models.Connection) -> None:
    go(prom, "products-in")
    links = models.Link.objects.filter(connection=prom, kind=Kind.OFFER)
    keys = models.Offer.objects.in_bulk(links.values_list("record_id", flat=True))
    assert {link.external_id: keys[link.record_id].key for link in links} == {"1500000001": CUBE, "1500000002": BALL}

    bought = shop.buy([(CUBE, 2), (BALL, 1)], payment=22222, notes="Подзвоніть", delivery_cost=70).id
    shop.pay(bought)
    go(prom, "orders-in")
    order = the_order(bought)
    assert [(line.offer, line.quantity, line.price, line.total) for line in order.lines if line.kind == "product"] == [
        (CUBE, Decimal(2), Decimal(571), Decimal(1142)),
        (BALL, Decimal(1), Decimal(120), Decimal(120)),
    ]
    assert [(line.name, line.total) for line in order.lines if line.kind == "delivery"] == [("Доставка", Decimal(70))]
    assert (order.state, order.total, order.currency, order.comment, order.paid) == (
        "new",
        Decimal(1332),
        "UAH",
        "Подзвоніть",
        True,
    )
    assert [(p.paid, p.amount, p.method) for p in order.payments] == [(True, Decimal(1332), "Пром-оплата")]
    assert (order.delivery.method, order.delivery.address, order.delivery.recipient) == (
        "НП",
        "Київ, Відділення №253",
        "Петренко Іван",
    )
    buyer = models.Counterparty.objects.get()
    assert (buyer.name, buyer.phone, buyer.email) == ("Петренко Іван", "+380501112233", "ivan@example.com")

    change(bought, state="accepted", delivery=replace(order.delivery, tracking=TTN))
    go(prom, "statuses-out")
    there = shop.orders[bought]
    assert (there.status, there.declaration, there.declared_by) == ("received", TTN, "nova_poshta")

    models.StockLevel.objects.filter(offer__key=BALL).update(quantity=7)
    models.Price.objects.filter(offer__key=CUBE).update(value=600)
    go(prom, "offers-out")
    cube, ball = shop.product(CUBE), shop.product(BALL)
    assert (cube.price, cube.quantity, ball.price, ball.quantity) == (Decimal(600), 8, Decimal(120), 6)

    go(prom, *EVERYTHING)
    before, asked = writes(shop), posts(shop)
    again = go(prom, *EVERYTHING)
    assert (writes(shop), posts(shop), parked()) == (before, asked, [])
    assert {name: count for name, count in again.counts.items() if name not in ("unchanged", "seen", "looked") and count} == {}


def test_a_new_connection_begins_with_the_defaults_of_the_format(shop: Any) -> None:
    books()
    values = {"address": shop.url, "token": "sandbox-token", "pace": 1000}
    connection, _password = connections.create("prom", "Prom", settings=values)
    rows = {row.theirs: row for row in mappings.rows(connection, Subject.ORDER_STATE, "each")}
    flags = {theirs: (row.theirs_name, row.taken, row.outbound, row.attributes) for theirs, row in rows.items()}
    assert flags == {
        "pending": ("Новий", True, False, {}),
        "received": ("Прийнято", True, True, {}),
        "paid": ("Оплачено", True, True, {}),
        "delivered": ("Виконано", True, True, {}),
        "canceled": ("Скасовано", False, True, {"cancel": "yes"}),
    }
    on = set(connection.streams.filter(enabled=True).values_list("stream", flat=True))
    assert on == {"orders-in", "products-in", "statuses-out", "offers-out"}
    shop.buy([(CUBE, 1)])
    models.Bookmark.objects.create(connection=connection, stream="orders-in", value=yesterday())
    go(connection, "products-in", "orders-in")
    assert models.Order.objects.count() == 1


@pytest.mark.parametrize(
    ("profile", "address", "currency"), [("satu", "https://my.satu.kz", "KZT"), ("prom_md", "https://my.prom.md", "MDL")]
)
def test_the_sisters_of_prom_are_profiles(profile: str, address: str, currency: str) -> None:
    connection, _password = connections.create("prom", profile, profile=profile, settings={"token": "t"})
    s = connections.settings_of(connection)
    assert (s.address, s.currency, s.currency_there) == (address, currency, currency)


def test_an_order_whose_card_is_not_linked_waits_and_comes_when_it_is(shop: Any, prom: models.Connection) -> None:
    stranger = shop.add_product("Невідомий", 50, 5, external_id="x-9", sku="X-9").id
    bought = shop.buy([(stranger, 1)]).id
    go(prom, "orders-in")
    assert models.Order.objects.count() == 0
    (said,) = parked()
    assert f"Order {bought}: no card is linked to “Невідомий”" in said
    product = models.Product.objects.create(key="x-9", name="Невідомий", article="X-9")
    models.Offer.objects.create(key="x-9", product=product, name="Невідомий")
    go(prom, "products-in", "orders-in")
    assert [line.offer for line in the_order(bought).lines] == ["x-9"]


def test_a_buyers_cancellation_comes_and_ours_goes_with_its_reason(shop: Any, prom: models.Connection) -> None:
    theirs, ours = (shop.buy([(CUBE, 1)]).id for _n in range(2))
    go(prom, "products-in", "orders-in")
    shop.cancel(theirs, "Змінились плани")
    go(prom, "orders-in")
    assert (the_order(theirs).cancelled, the_order(theirs).cancel_reason) == (True, "Змінились плани")

    change(ours, cancelled=True, cancel_reason="none-left")
    go(prom, "statuses-out")
    (body,) = [call.json for call in shop.calls("set_status")]
    assert body == {
        "ids": [ours],
        "status": "canceled",
        "cancellation_reason": "not_available",
        "cancellation_text": "Немає на складі",
    }
    assert shop.product(CUBE).quantity == 10
    before = posts(shop)
    go(prom, "orders-in", "statuses-out")
    assert (posts(shop), the_order(ours).cancelled) == (before, True)


def test_orders_from_a_date_are_new_ones_and_those_that_were_changed(shop: Any, prom: models.Connection) -> None:
    """F32"""
    quiet, changed, fresh = (shop.buy([(CUBE, 1)]).id for _n in range(3))
    go(prom, "products-in")
    for number, made, touched in ((quiet, 40, 30), (changed, 40, 1), (fresh, 1, 1)):
        order, now = shop.orders[number], timezone.now()
        order.created, order.modified = now - timedelta(days=made), now - timedelta(days=touched)
    go(prom, "orders-in", since=(timezone.now() - timedelta(days=20)).isoformat())
    assert {int(key) for key in models.Order.objects.values_list("key", flat=True)} == {changed, fresh}
    assert (timezone.now() - the_order(changed).date).days == 40


def test_a_status_that_cannot_be_reached_is_set_aside_with_their_words(shop: Any, prom: models.Connection) -> None:
    bought = shop.buy([(CUBE, 1)]).id
    go(prom, "products-in", "orders-in")
    change(bought, state="accepted")
    shop.cancel(bought)
    go(prom, "statuses-out")
    (said,) = parked()
    assert f"Prom does not put order {bought} into the status “received”: Неможливо змінити статус" in said


def test_stock_that_fell_through_an_order_is_what_both_sides_have(shop: Any, prom: models.Connection) -> None:
    go(prom, *EVERYTHING)
    shop.buy([(CUBE, 4)])
    go(prom, *EVERYTHING)
    assert (shop.product(CUBE).quantity, writes(shop)) == (6, 0)


def test_goods_that_are_gone_from_the_books_are_sold_out_there(shop: Any, prom: models.Connection) -> None:
    connections.update(prom, {"may_vanish": 100})
    go(prom, *EVERYTHING)
    models.StockLevel.objects.filter(offer__key=BALL).update(quantity=39)
    go(prom, *EVERYTHING)
    models.Product.objects.filter(key=BALL).update(deleted=True)
    go(prom, "offers-out")
    ball = shop.product(BALL)
    assert (ball.quantity, ball.presence) == (0, "not_available")


def test_a_card_deleted_there_is_told_nothing_any_more(shop: Any, prom: models.Connection) -> None:
    go(prom, *EVERYTHING)
    shop.product(BALL).status = "deleted"
    models.Bookmark.objects.filter(stream="products-in").delete()
    said = go(prom, "products-in").said
    assert ("warning", "The card {id} is gone over there: nothing is sent to it any more") in said
    models.StockLevel.objects.all().update(quantity=3)
    before = len(shop.calls("products/edit"))
    go(prom, "offers-out")
    assert [row["id"] for call in shop.calls("products/edit")[before:] for row in call.json] == [1500000001]


def test_attributes_of_cards_go_where_the_stream_is_switched_on(shop: Any, prom: models.Connection) -> None:
    go(prom, "products-in")
    models.StreamSetting.objects.filter(connection=prom, stream="products-out").update(enabled=True)
    models.Product.objects.filter(key=CUBE).update(description="<p>Кубик з бука</p>")
    go(prom, "products-out")  # by default the description alone: names over there tell variants apart
    assert (shop.product(CUBE).name, shop.product(CUBE).description) == ("Кубик дерев'яний", "<p>Кубик з бука</p>")
    rows = [{"theirs": "name", "ours": "name"}, {"theirs": "keywords", "conversion": "template", "value": "{name}, {article}"}]
    connections.update(prom, {"attributes": json.dumps({"rows": rows})})
    go(prom, "products-out")
    assert (shop.product(CUBE).name, shop.product(CUBE).keywords) == ("Кубик", "Кубик, K-1")
    before = posts(shop)
    go(prom, "products-out")
    assert posts(shop) == before


def test_new_goods_become_cards_by_the_price_list_and_are_linked_and_told_their_stock(shop: Any, prom: models.Connection) -> None:
    connections.update(prom, {"send_new": True})
    models.StreamSetting.objects.filter(connection=prom, stream="catalogue-out").update(enabled=True)
    shop.settings.import_partial = shop.settings.import_final = 0
    product = models.Product.objects.create(key="1amp-3#", name="Лампа", article="L-3", description="<p>Тепле світло</p>")
    offer = models.Offer.objects.create(key="1amp-3#red", product=product, characteristics=[["Колір", "червоний"]])
    models.Price.objects.create(offer=offer, kind=models.Reference.objects.get(key="retail"), value=99, currency="UAH")
    models.StockLevel.objects.create(offer=offer, warehouse=models.Reference.objects.get(key="main"), quantity=4)
    go(prom, "products-in", "catalogue-out")
    assert len(shop.products) == 2
    shop.tick()
    card = shop.product("1amp-3-red")
    assert (card.name, card.price, card.quantity, card.attributes) == ("Лампа, червоний", Decimal(99), 4, [("Колір", "червоний")])

    models.Bookmark.objects.filter(stream="products-in").delete()
    go(prom, "products-in")
    assert models.Link.objects.get(connection=prom, kind=Kind.OFFER, record_id=offer.pk).external_id == str(card.id)
    models.StockLevel.objects.filter(offer=offer).update(quantity=3)
    go(prom, "offers-out")
    assert card.quantity == 3
    go(prom, "catalogue-out")
    said = go(prom, "catalogue-out").said
    assert (
        "info",
        "Prom has taken the price list: {total} goods, {created} new cards, {updated} changed, {errors} with errors",
    ) in said
    assert len(shop.calls("import_file")) == 1


# --- what goes wrong on the way -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lost", "truncated", "429", "500"])
def test_a_fault_anywhere_costs_a_repeat_and_nothing_else(shop: Any, prom: models.Connection, kind: str) -> None:
    shop.settings.retry_after = False  # how long it says is tried in test_prom_api.py
    bought = shop.buy([(CUBE, 2)]).id
    for path in ("products/list", "orders/list"):
        shop.fault(kind, path=path)
    go(prom, "products-in", "orders-in")
    change(bought, state="accepted", delivery=Delivery("НП", "np", tracking=TTN))
    models.StockLevel.objects.filter(offer__key=BALL).update(quantity=9)
    for path in ("set_status", "save_declaration", "products/edit", f"orders/{bought}"):
        shop.fault(kind, path=path)
    go(prom, "statuses-out", "offers-out")
    assert len(shop.faults.met) == 6
    assert (shop.orders[bought].status, shop.orders[bought].declaration, shop.product(BALL).quantity) == ("received", TTN, 9)
    assert shop.writes == {"orders": 1, "declarations": 1, "products": 1}
    assert (models.Order.objects.count(), parked()) == (1, [])
    go(prom, *EVERYTHING)
    assert shop.writes == {"orders": 1, "declarations": 1, "products": 1}


def test_a_shop_that_goes_down_in_the_middle_loses_no_order(
    shop: Any, prom: models.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prom_api, "PAGE", 2)
    numbers = {str(shop.buy([(BALL, 1)]).id) for _n in range(5)}
    go(prom, "products-in")
    shop.fault("500", 3, path="orders/list", skip=1)
    go(prom, "orders-in", state="failed")
    got = models.Order.objects.count()
    assert 0 < got < 5
    go(prom, "orders-in")
    assert set(models.Order.objects.values_list("key", flat=True)) == numbers


def test_a_token_that_ends_stops_with_a_word_to_the_owner_and_goes_on_with_a_new_one(shop: Any, prom: models.Connection) -> None:
    bought = shop.buy([(CUBE, 1)]).id
    go(prom, "products-in")
    shop.revoke()
    said = go(prom, "orders-in", state="needs_owner").run
    assert said.text.format(**said.facts).startswith("127.0.0.1 does not know the token, or its time is over")
    shop.add_token("next-token")
    connections.update(prom, {"token": "next-token"})
    go(prom, "orders-in")
    assert the_order(bought).key == str(bought)
