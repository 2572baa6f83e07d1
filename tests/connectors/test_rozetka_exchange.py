"""Whole exchanges of a connection with the stand-in over HTTP, by the hub's own engine, queue and database: both ways, idle again, and
with what goes wrong at a marketplace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from obmen.connectors.rozetka import Rozetka, api
from obmen.connectors.rozetka.market import IN_MODERATION, PRICE_WAITS, TRACKED
from obmen.core.records import Kind, Order, Subject
from obmen.sandbox.rozetka import Rozetka as Account
from obmen.sandbox.rozetka import serve
from obmen.store import connections, defaults, mappings, models
from obmen.store.mappings import MappingRow
from obmen.store.orders import order_record, save_order
from obmen.work import jobs
from obmen.work import run as runs

pytestmark = pytest.mark.django_db

CUP, MUG, BOWL = "cup-1", "mug-1", "bowl-1"
STATES = {"1": "New", "26": "Accepted", "61": "Shipped", "80": "Shipped", "6": "Done", "45": "Cancelled"}


@dataclass
class Hub:
    """A seller's account with two goods on sale, a connection to it, and the books, which know three goods."""

    account: Account
    connection: models.Connection

    def run(self, *streams: str, state: str = "done", **args: Any) -> models.Run:
        done = runs.execute_here(jobs.ask(self.connection, streams, trigger="person", args=args))
        assert done.state == state, (done.state, done.text, done.facts)
        return done

    def once(self, *streams: str) -> models.Run:
        """One attempt: a run that is to be tried later waits again."""
        run = jobs.ask(self.connection, streams, trigger="person")
        jobs.work_one(jobs.worker_name(), only=run.pk)
        run.refresh_from_db()
        return run

    def again(self, *streams: str) -> models.Run:
        """Until it goes well; what waits for later is due at once."""
        run = self.once(*streams)
        for _time in range(2):
            if run.state == "waiting":
                models.Run.objects.filter(pk=run.pk).update(due=timezone.now())
                jobs.work_one(jobs.worker_name(), only=run.pk)
                run.refresh_from_db()
        assert run.state == "done", (run.state, run.text, run.facts)
        return run

    def link_cards(self) -> None:
        self.run("products-in")

    def since_yesterday(self) -> None:
        value = {"from": (timezone.now() - timedelta(days=1)).isoformat()}
        models.Bookmark.objects.update_or_create(connection=self.connection, stream="orders-in", defaults={"value": value})

    def order(self, number: object) -> Order:
        return order_record(models.Order.objects.get(key=str(number)))

    def change(self, number: object, **fields: Any) -> None:
        order = self.order(number)
        if "tracking" in fields:
            assert order.delivery is not None
            fields["delivery"] = replace(order.delivery, tracking=fields.pop("tracking"))
        save_order(replace(order, **fields))

    def writes(self) -> list[tuple[str, str]]:
        return [(one.method, one.path) for one in self.account.calls() if one.method != "GET" and one.path != "/sites"]

    def said(self) -> set[str]:
        return set(models.RunLine.objects.values_list("text", flat=True))


def good(key: str, name: str, code: str, article: str, stock: int, price: int) -> None:
    product = models.Product.objects.create(key=key, name=name, code=code, article=article)
    offer = models.Offer.objects.create(key=key, product=product, name=name)
    main, _made = models.Reference.objects.get_or_create(subject="warehouse", key="main", defaults={"name": "Склад"})
    retail, _made = models.Reference.objects.get_or_create(subject="price_kind", key="retail", defaults={"name": "Роздрібна"})
    models.StockLevel.objects.create(offer=offer, warehouse=main, quantity=Decimal(stock))
    models.Price.objects.create(offer=offer, kind=retail, value=Decimal(price), currency="UAH")


def set_stock(key: str, stock: int) -> None:
    models.StockLevel.objects.filter(offer__key=key).update(quantity=Decimal(stock))


def set_price(key: str, price: int) -> None:
    models.Price.objects.filter(offer__key=key).update(value=Decimal(price))


@pytest.fixture
def hub(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    settings.OBMEN_ALLOW_PRIVATE, settings.OBMEN_HOME = True, tmp_path
    monkeypatch.setattr(api, "CALLS_A_SECOND", 500)
    account = Account()
    account.add_item("Чашка", 100, 50, offer=CUP, article="A-1")
    account.add_item("Кружка", 250, 50, offer=MUG, article="A-2")
    for key, name, article, stock, price in (
        (CUP, "Чашка", "A-1", 7, 110),
        (MUG, "Кружка", "A-2", 0, 250),
        (BOWL, "Миска", "A-3", 5, 80),
    ):
        good(key, name, f"c-{key}", article, stock, price)
    for state in dict.fromkeys(STATES.values()):
        models.Reference.objects.create(subject=Subject.ORDER_STATE, key=state, name=state)
    with serve(account) as server:
        values = {"address": server.url, "login": "seller", "password": "sandbox", "price_kind": "retail"}
        connection, _password = connections.create("rozetka", "Rozetka", settings=values)
        ours = {row.theirs: row for row in connection.mappings.filter(subject=Subject.ORDER_STATE)}
        for theirs, state in STATES.items():
            models.Mapping.objects.filter(pk=ours[theirs].pk).update(ours=state)
        mappings.save(connection, Subject.CANCEL_REASON, "out", [MappingRow("42", "Немає в наявності", ours="Немає товару")])
        yield Hub(account, connection)


# --- orders come, their statuses go back -------------------------------------------------------------------------------------------


def test_an_order_comes_with_its_buyer_and_goods_and_its_status_and_number_travel_back(hub: Hub) -> None:
    hub.link_cards()
    hub.since_yesterday()
    order = hub.account.buy([(CUP, 2), (MUG, 1)], payment=2, comment="Подзвоніть", cost=50)
    hub.account.pay(order.id)
    hub.run("orders-in")
    here = hub.order(order.id)
    assert (here.state, here.total, here.paid, here.comment, here.currency) == ("New", Decimal(500), True, "Подзвоніть", "UAH")
    assert [(line.offer, line.quantity, line.price) for line in here.lines] == [(CUP, 2, 100), (MUG, 1, 250), ("", 1, 50)]
    buyer = models.Counterparty.objects.get()
    assert (buyer.name, buyer.phone, buyer.email) == ("Петренко Іван", "+380501112233", "ivan@example.com")
    assert models.Link.objects.get(kind=Kind.COUNTERPARTY).external_id == str(order.buyer.id)

    hub.change(order.id, state="Shipped", tracking="20450000000001")
    hub.run("statuses-out")
    there = hub.account.orders[order.id]
    assert (there.status, there.ttn, [status for status, _at in there.history]) == (61, "20450000000001", [1, 26, 61])

    before = hub.writes()
    hub.run("orders-in", "statuses-out")
    assert hub.writes() == before
    here = hub.order(order.id)
    assert (here.state, here.delivery and here.delivery.tracking) == ("Shipped", "20450000000001")
    assert not models.Parked.objects.exists()


@pytest.mark.parametrize(
    "bad",
    [{"id": None}, {"created": "0001-01-01 00:00:00"}, {"cost_with_discount": "9e999999"}, {"changed": "0001-01-01 00:00:00"}],
)
def test_one_bad_order_is_set_aside_and_the_others_come(hub: Hub, bad: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    hub.link_cards()
    hub.since_yesterday()
    first, second = hub.account.buy([(CUP, 1)]), hub.account.buy([(MUG, 1)])
    get = api.Seller.get

    def changed(self: Any, path: str, **query: Any) -> Any:
        said = get(self, path, **query)
        if path == "/orders/search":
            said["orders"] = [order | bad if order["id"] == first.id else order for order in said["orders"]]
        return said

    monkeypatch.setattr(api.Seller, "get", changed)
    hub.run("orders-in")
    there = {str(second.id)} | ({str(first.id)} if "changed" in bad else set())
    assert set(models.Order.objects.values_list("key", flat=True)) == there
    assert models.Parked.objects.count() == 2 - len(there)


def test_a_second_run_writes_nothing_here_or_there(hub: Hub) -> None:
    hub.since_yesterday()
    hub.account.buy([(CUP, 1)])
    for key in (CUP, MUG):
        hub.account.item(key).source = 199  # their content is not the price list's
    streams = ("orders-in", "products-in", "statuses-out", "products-out", "offers-out")
    hub.run(*streams)
    assert hub.account.item(CUP).description_ua == ""
    assert hub.account.item(CUP).name_ua == "Чашка"
    hub.run(*streams)  # by now the stock knows of the pieces that the order has reserved
    before, revisions = hub.writes(), list(models.Order.objects.values_list("pk", "revision"))
    counts = {name: count for name, count in hub.run(*streams).counts.items() if count}
    assert hub.writes() == before
    assert list(models.Order.objects.values_list("pk", "revision")) == revisions
    assert not {name for name in counts if name.split(".")[-1] in ("created", "updated", "sent", "parked")}


def test_what_the_carrier_does_comes_here_and_a_parcel_is_not_moved_by_us(hub: Hub) -> None:
    hub.link_cards()
    hub.since_yesterday()
    order = hub.account.buy([(CUP, 1)])
    hub.run("orders-in")
    hub.change(order.id, state="Shipped", tracking="20450000000002")
    hub.run("statuses-out")
    hub.change(order.id, state="Done")  # the accounting is faster than the carrier
    hub.run("statuses-out")
    assert not models.Parked.objects.exists()  # by default only the steps of a seller are sent
    hub.connection.mappings.filter(subject=Subject.ORDER_STATE, theirs="6").update(outbound=True)
    hub.change(order.id, comment="sent again")
    hub.run("statuses-out")
    assert hub.account.orders[order.id].status == 61
    assert models.Parked.objects.get().text == TRACKED
    hub.account.set_status(order.id, 6)
    hub.run("orders-in", "statuses-out")
    assert (hub.order(order.id).state, hub.order(order.id).paid) == ("Done", True)
    assert not models.Parked.objects.exists()


def test_a_cancellation_there_is_taken_and_one_here_goes_with_its_reason(hub: Hub) -> None:
    hub.link_cards()
    hub.since_yesterday()
    theirs, ours = hub.account.buy([(CUP, 1)]), hub.account.buy([(CUP, 1)], phone="380507778899")
    hub.run("orders-in")
    hub.account.cancel(theirs.id)
    hub.change(ours.id, cancelled=True, cancel_reason="Немає товару")
    hub.run("orders-in", "statuses-out")
    here = hub.order(theirs.id)
    assert (here.cancelled, here.cancel_reason) == (True, "Скасовано покупцем")
    there = hub.account.orders[ours.id]
    assert (there.status, [text for text, _at in there.seller_comments]) == (42, ["Немає товару"])
    before = hub.writes()
    hub.run("orders-in", "statuses-out")
    assert hub.writes() == before


def test_a_state_that_cannot_be_reached_is_parked_with_those_that_can_and_goes_when_it_can(hub: Hub) -> None:
    hub.link_cards()
    hub.since_yesterday()
    order = hub.account.buy([(CUP, 1)])
    hub.run("orders-in")
    hub.account.set_status(order.id, 79)  # the call centre looks at it: nothing leads on from there
    hub.change(order.id, state="Accepted")
    hub.run("statuses-out")
    parked = models.Parked.objects.get(direction="out")
    assert "Очікує модерації КЦ" in parked.text.format(**parked.facts)
    hub.account.set_status(order.id, 1)
    hub.run("retry-parked", parked=[parked.pk])
    hub.run("statuses-out")
    assert hub.account.orders[order.id].status == 26
    assert not models.Parked.objects.exists()


def test_an_order_with_unknown_goods_waits_and_comes_once_the_card_is_linked(hub: Hub) -> None:
    hub.link_cards()
    hub.since_yesterday()
    hub.account.add_item("Ваза", 300, 5, offer="vase-1", article="A-9")
    order = hub.account.buy([("vase-1", 1)])
    hub.run("orders-in")
    assert not models.Order.objects.exists()
    parked = models.Parked.objects.get(kind=Kind.ORDER)
    good("vase-1", "Ваза", "c-vase", "A-9", 5, 300)
    hub.run("retry-parked", parked=[parked.pk])
    assert [line.offer for line in hub.order(order.id).lines] == ["vase-1"]


# --- goods go there ----------------------------------------------------------------------------------------------------------------


def test_cards_are_linked_by_our_id_and_get_stock_and_prices(hub: Hub) -> None:
    hub.link_cards()
    site = {row.external_id: row.record_id for row in models.Link.objects.filter(kind=Kind.OFFER)}
    assert set(site) == {str(hub.account.item(key).rz_item_id) for key in (CUP, MUG)}
    hub.run("offers-out")
    cup, mug = hub.account.item(CUP), hub.account.item(MUG)
    assert (cup.stock, cup.price, mug.stock, mug.price) == (7, 110, 0, 250)
    before = hub.writes()
    hub.run("offers-out")
    assert hub.writes() == before
    set_stock(CUP, 6)
    hub.run("offers-out")
    sent = hub.account.calls("/items/mass-update")[-1].json
    assert [row["stock_quantity"] for row in sent["items"]] == [6]
    assert hub.account.item(CUP).stock == 6


def test_a_price_that_waits_for_the_manager_is_parked_and_goes_through_once_it_is_confirmed(hub: Hub) -> None:
    connections.update(hub.connection, {"price_jump": 0})
    set_price(CUP, 400)
    hub.link_cards()
    hub.run("offers-out")
    assert hub.account.item(CUP).price == 100
    parked = models.Parked.objects.get()
    assert (parked.text, parked.facts["price"]) == (PRICE_WAITS, "400")
    assert hub.account.item(CUP).stock == 7  # stock does not wait for it
    hub.account.goods.confirm(hub.account.item(CUP).item_id)
    hub.run("retry-parked", parked=[parked.pk])
    hub.run("offers-out")
    assert not models.Parked.objects.exists()
    assert hub.account.item(CUP).price == 400


def test_a_blocked_card_is_parked_alone_with_their_reason(hub: Hub) -> None:
    hub.account.item(CUP).blocked = ["Заборонена категорія"]
    hub.link_cards()
    hub.run("offers-out")
    assert {p.facts["reason"] for p in models.Parked.objects.all()} == {"Товар заблоковано"}
    assert hub.account.item(MUG).stock == 0


def test_the_price_list_is_taken_by_rozetka_and_its_new_cards_are_linked_after_moderation(hub: Hub, tmp_path: Path) -> None:
    """New cards are made of the price list only; our id in it is what links them."""
    group = models.Group.objects.create(key="g1", name="Посуд")
    colour = models.Property.objects.create(key="p1", name="Колір")
    models.Product.objects.update(
        description="Опис",
        manufacturer="Обмін",
        pictures=["https://shop.example/1.jpg"],
        group=group,
        groups=[group.key],
        properties=[[colour.key, ["білий"]]],
    )
    connections.update(hub.connection, {"feed_path": str(tmp_path / "goods.xml")})
    hub.run("catalogue-out")
    taken = hub.account.goods.load((tmp_path / "goods.xml").read_bytes())
    assert dict(taken) == {"created": 1, "updated": 2}
    bowl = hub.account.item(BOWL)
    assert (bowl.name, bowl.name_ua, bowl.price, bowl.stock, bowl.rz_item_id) == ("Миска", "Миска", 80, 5, None)
    hub.link_cards()  # it is still with the moderators
    assert models.Link.objects.filter(kind=Kind.OFFER).count() == 2
    assert IN_MODERATION in hub.said()
    hub.account.goods.approve(bowl)
    hub.link_cards()
    assert models.Link.objects.filter(kind=Kind.OFFER).count() == 3
    hub.run("offers-out")
    assert (hub.account.item(CUP).price, bowl.stock) == (110, 5)


# --- what goes wrong -----------------------------------------------------------------------------------------------------------------


def test_orders_are_read_whole_whatever_happens_on_the_way(hub: Hub) -> None:
    hub.link_cards()
    made: list[int] = []
    for kind in ("500", "503", "timeout", "truncated", "html", "empty"):
        hub.since_yesterday()
        made += [hub.account.buy([(CUP, 1)], phone="380501112233").id for _n in range(6)]
        hub.account.settings.orders_page = 4
        hub.account.fault(kind, path="/orders/search", skip=1)
        hub.again("orders-in")
        assert sorted(map(int, models.Order.objects.values_list("key", flat=True))) == made, kind
    assert len(hub.account.faults.met) == 6
    assert not models.Parked.objects.exists()


def test_a_status_is_told_once_whatever_becomes_of_the_answer(hub: Hub) -> None:
    hub.link_cards()
    for kind in ("lost", "truncated", "timeout", "500", "html", "empty", "expired"):
        hub.since_yesterday()
        order = hub.account.buy([(CUP, 1)])
        hub.run("orders-in")
        hub.change(order.id, state="Shipped", tracking=f"2045{order.id}")
        hub.account.fault(kind, path="/orders/", method="PUT", skip=1)
        hub.again("statuses-out")
        there = hub.account.orders[order.id]
        assert [status for status, _at in there.history] == [1, 26, 61], kind
        assert there.ttn == f"2045{order.id}"
    assert len(hub.account.faults.met) == 7
    assert not models.Parked.objects.exists()


def test_stock_arrives_whatever_becomes_of_the_answer(hub: Hub) -> None:
    hub.link_cards()
    hub.run("offers-out")
    for stock, kind in enumerate(("lost", "500", "truncated", "expired", "html", "timeout"), 20):
        set_stock(CUP, stock)
        hub.account.fault(kind, path="/items/mass-update")
        hub.again("offers-out")
        assert hub.account.item(CUP).stock == stock, kind
    assert len(hub.account.faults.met) == 6


def test_maintenance_postpones_the_run_and_loses_nothing(hub: Hub) -> None:
    hub.link_cards()
    hub.since_yesterday()
    order = hub.account.buy([(CUP, 1)])
    hub.account.settings.maintenance = True
    waits = hub.once("orders-in")
    assert waits.state == "waiting"
    assert timedelta(minutes=8) < waits.due - timezone.now() < timedelta(minutes=12)
    waits.delete()
    hub.account.settings.maintenance = False
    hub.run("orders-in")
    assert hub.order(order.id).state == "New"


def test_a_session_that_ends_in_mid_run_costs_one_login(hub: Hub) -> None:
    hub.link_cards()
    hub.since_yesterday()
    made = [hub.account.buy([(CUP, 1)], phone=f"3805011122{n:02}").id for n in range(25)]
    logins = len(hub.account.calls("/sites"))
    hub.account.fault("expired", path="/orders/search", skip=1)
    hub.run("orders-in")
    assert models.Order.objects.count() == len(made)
    assert len(hub.account.calls("/sites")) == logins + 2  # one to begin with, one more


def test_a_wrong_password_stops_the_run_for_a_person(hub: Hub) -> None:
    connections.update(hub.connection, {"password": "wrong"})
    hub.connection.refresh_from_db()
    done = hub.run("orders-in", state="needs_owner")
    assert "this login with this password" in str(done.facts["error"])


# --- defaults of the format (F9) -----------------------------------------------------------------------------------------------------


def test_defaults_of_the_format_fill_streams_match_rules_and_tables(hub: Hub) -> None:
    fresh, _password = connections.create("rozetka", "Rozetka 2", settings={"login": "a", "password": "b"})
    assert {s.stream for s in fresh.streams.filter(enabled=True)} == set(Rozetka.streams) - {"products-out", "catalogue-out"}
    assert list(fresh.match_rules.order_by("kind", "priority").values_list("kind", "attribute")) == [
        ("counterparty", "phone"),
        ("counterparty", "email"),
        ("product", "article"),
    ]
    states = {row.theirs: row for row in fresh.mappings.filter(subject=Subject.ORDER_STATE)}
    assert (states["1"].taken, states["1"].outbound) == (True, False)
    assert (states["61"].taken, states["61"].outbound) == (True, True)
    assert (states["6"].taken, states["6"].outbound) == (True, False)
    assert (states["40"].taken, states["40"].outbound, states["40"].attributes) == (False, False, {"cancel": "yes"})
    assert set(fresh.mappings.filter(subject=Subject.DELIVERY).values_list("theirs", "theirs_name")) == {
        ("5", "Нова Пошта"),
        ("1", "ROZETKA Delivery"),
    }
    assert defaults.differences(fresh) == []
    states["1"].delete()
    assert [d.id for d in defaults.differences(fresh)] == ["mapping order_state → 1"]
