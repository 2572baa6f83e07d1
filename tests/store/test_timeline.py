"""The steps of orders between systems, orders on hold, and orders that are sent once more."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

import caller
from caller import Crash, World, order
from obmen.core.contract import BadRecord
from obmen.core.records import Delivery, Kind, Payment, Shipment, Subject
from obmen.store import connections, holding, mappings, models
from obmen.store.doors import DjangoDoorHost
from obmen.store.mappings import MappingRow
from obmen.store.orders import order_record, save_order, tracking_of, with_tracking
from obmen.work import jobs
from obmen.work import run as runs

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return caller.install(monkeypatch)


@pytest.fixture
def shop(world: World) -> models.Connection:
    connection, _password = connections.create("caller", "Shop", settings={"address": "shop", "api_key": "k"})
    mappings.save(connection, Subject.ORDER_STATE, "in", [MappingRow("new", ours="Accepted"), MappingRow("done", ours="Done")])
    mappings.save(connection, Subject.ORDER_STATE, "out", [MappingRow("done", ours="Done")])
    return connection


class Accounting:
    """A system that asks for orders, as its door sees it."""

    def __init__(self) -> None:
        self.connection, _password = connections.create("commerceml_door", "1C", profile="ut11")
        self.host = DjangoDoorHost(self.connection, connections.settings_of(self.connection), jobs.ask)

    def asks(self) -> Any:
        self.session = self.host.open_session("clerk", {})
        found = [(p.record_id, p.revision) for p in self.host.pending_orders()]
        self.host.offer(self.session, found)
        return found

    def confirms(self) -> int:
        return self.host.confirm(self.session)


def go(connection: models.Connection, *streams: str, **args: object) -> models.Run:
    return runs.execute_here(jobs.ask(connection, streams or ("orders-in", "orders-out"), trigger="person", args=args))


def the_order() -> models.Order:
    return models.Order.objects.get(key="138")


def steps(**only: object) -> list[tuple[str, str, int]]:
    rows = models.Step.objects.filter(record_kind=Kind.ORDER, **only).order_by("id")
    return [(s.what, s.system, s.revision) for s in rows]


def change(**values: Any) -> None:
    save_order(replace(order_record(the_order()), **values), who="olena")


# --- steps -----------------------------------------------------------------------------------------------------------------


def test_every_step_of_an_order_between_two_systems_is_kept_with_its_system_and_revision(
    world: World, shop: models.Connection
) -> None:
    accounting = Accounting()
    world.change(order("138"))
    run = go(shop)
    accounting.asks()
    accounting.confirms()
    change(state="Done")
    sent = go(shop)
    assert steps() == [
        ("came", "Shop", 1),
        ("offered", "1C", 1),
        ("delivered", "1C", 1),
        ("changed", "", 2),
        ("sent", "Shop", 2),
    ]
    rows = {s.what: s for s in models.Step.objects.all()}
    assert (rows["came"].run_id, rows["sent"].run_id, rows["sent"].external_id) == (run.pk, sent.pk, "138")
    assert (rows["changed"].who, rows["delivered"].who) == ("olena", "clerk")


def test_an_offer_that_is_never_confirmed_is_one_step_that_counts(world: World, shop: models.Connection) -> None:
    accounting = Accounting()
    world.change(order("138"))
    go(shop)
    for _time in range(3):
        accounting.asks()
    row = models.Step.objects.get(what="offered")
    assert (row.times, row.at < row.last) == (3, True)
    change(comment="call first")
    accounting.asks()
    assert [(s.revision, s.times) for s in models.Step.objects.filter(what="offered").order_by("id")] == [(1, 3), (2, 1)]


def test_a_change_that_says_nothing_new_there_is_told_as_such(world: World, shop: models.Connection) -> None:
    world.change(order("138"))
    go(shop)
    change(comment="only for us")
    go(shop)
    assert steps(connection=shop) == [("came", "Shop", 1), ("nothing", "Shop", 2)]


def test_a_refused_order_says_why_and_counts_its_tries(world: World, shop: models.Connection) -> None:
    world.change(order("138"))
    go(shop)
    world.refuse = "138C"
    change(state="Done")
    go(shop, "orders-out")
    go(shop, "orders-out", each=True)  # by hand it is tried at once
    row = models.Step.objects.get(what="refused")
    assert (row.times, row.revision, row.text, row.facts) == (2, 2, "Order {number} is refused", {"number": "138C"})


def test_what_the_door_cannot_render_is_a_step_too(world: World, shop: models.Connection) -> None:
    accounting = Accounting()
    world.change(order("138"))
    go(shop)
    accounting.host.park_order(the_order().pk, BadRecord("No name"))
    assert [(s.what, s.system, s.text) for s in models.Step.objects.filter(what="refused")] == [("refused", "1C", "No name")]


def test_a_lost_answer_leaves_no_step_of_what_was_not_settled(world: World, shop: models.Connection) -> None:
    world.change(order("138"))
    go(shop)
    world.lose = 1
    change(state="Done")
    with pytest.raises(Crash):
        go(shop)
    assert steps(what="sent") == []


def test_payments_have_steps_of_their_own(world: World, shop: models.Connection) -> None:
    world.change(order("138"))
    go(shop)
    change(payments=(Payment("p1", Decimal(20), paid=True),))
    go(shop, "payments-out")
    row = models.Step.objects.get(record_kind=Kind.PAYMENT)
    assert (row.what, row.system, row.record_id) == ("sent", "Shop", models.Payment.objects.get().pk)


def test_goods_write_no_steps(world: World, shop: models.Connection) -> None:
    models.Offer.objects.create(key="p1", product=models.Product.objects.create(key="p1", name="Cup"), name="Cup")
    assert go(shop, "stock-out").counts["created"] == 1
    assert not models.Step.objects.exists()


def test_a_system_that_is_removed_leaves_its_steps_with_its_name(world: World, shop: models.Connection) -> None:
    world.change(order("138"))
    go(shop)
    shop.delete()
    assert steps() == [("came", "Shop", 1)]


# --- hold ------------------------------------------------------------------------------------------------------------------


def test_nothing_of_an_order_on_hold_is_offered_or_sent_until_it_is_released(world: World, shop: models.Connection) -> None:
    accounting = Accounting()
    world.change(order("138"))
    world.change(order("139"))
    go(shop)
    other = models.Order.objects.get(key="139").pk
    assert holding.hold(the_order(), " the buyer thinks ", "olena") is True
    change(state="Done", payments=(Payment("p1", Decimal(20), paid=True),))
    assert accounting.asks() == [(other, 1)]
    assert [run.counts for run in (go(shop, "orders-out"), go(shop, "payments-out"))] == [{}, {}]
    assert (world.orders["138"].state, world.payments) == ("new", {})
    row = the_order()
    assert (row.held, row.held_text, row.held_by) == (True, "the buyer thinks", "olena")

    assert holding.release(row, "ivan") == [accounting.connection, shop]
    go(shop, "orders-out", "payments-out")
    assert (world.orders["138"].state, len(world.payments)) == ("done", 1)
    assert (row.pk, 2) in accounting.asks()
    row.refresh_from_db()
    assert (row.held, row.held_text, row.held_by, row.held_since) == (False, "", "", None)


def test_their_news_still_come_while_an_order_is_on_hold(world: World, shop: models.Connection) -> None:
    first = world.change(order("138"))
    go(shop)
    holding.hold(the_order(), "", "olena")
    world.change(replace(first, manager="boris"))
    go(shop)
    assert (the_order().manager, the_order().held) == ("boris", True)


def test_a_second_hold_keeps_the_first_reason_and_both_deeds_stand_in_the_journal(world: World, shop: models.Connection) -> None:
    world.change(order("138"))
    go(shop)
    holding.hold(the_order(), "first", "olena")
    assert holding.hold(the_order(), "second", "ivan") is False
    holding.release(the_order(), "ivan")
    holding.release(the_order(), "ivan")
    entries = models.JournalEntry.objects.filter(record_kind="order", action__in=["order.held", "order.released"]).order_by("id")
    assert [(e.action, e.who) for e in entries] == [("order.held", "olena"), ("order.released", "ivan")]


# --- once more -------------------------------------------------------------------------------------------------------------


def test_an_order_is_sent_once_more_although_they_have_all_of_it(world: World, shop: models.Connection) -> None:
    accounting = Accounting()
    world.change(order("138"))
    go(shop)
    change(state="Done")
    go(shop)
    accounting.asks()
    accounting.confirms()
    assert go(shop, "orders-out").counts == {}
    assert accounting.asks() == []
    calls = len(world.calls)
    assert holding.resend(the_order(), [shop, accounting.connection], "olena") == 2
    assert go(shop, "orders-out").counts == {"updated": 1}
    assert world.calls[calls:] == ["write 138 unsure=False"]
    assert accounting.asks() == [(the_order().pk, 2)]
    assert go(shop, "orders-out").counts == {}, "once, and not with every exchange from now on"
    assert the_order().revision == 2


def test_sending_once_more_tries_a_refused_order_at_once(world: World, shop: models.Connection) -> None:
    world.change(order("138"))
    go(shop)
    world.refuse = "138C"
    change(state="Done")
    go(shop, "orders-out")
    world.refuse = ""
    assert go(shop, "orders-out").counts == {}, "it waits some minutes by itself"
    holding.resend(the_order(), [shop], "olena")
    assert go(shop, "orders-out").counts == {"updated": 1}
    assert not shop.parked.exists()


def test_those_that_take_no_orders_are_not_told(world: World, shop: models.Connection) -> None:
    accounting = Accounting()
    world.change(order("138"))
    go(shop)
    accounting.asks()
    accounting.confirms()
    connections.set_stream(accounting.connection, "orders-out", enabled=False)
    assert holding.takers(the_order()) == [shop]
    assert holding.resend(the_order(), [accounting.connection], "olena") == 0
    assert not accounting.connection.outbox.exists()


# --- tracking number -------------------------------------------------------------------------------------------------------


def test_a_tracking_number_stands_where_channels_look_for_it() -> None:
    plain = order("1")
    assert tracking_of(with_tracking(plain, "2045")) == "2045"
    shipped = replace(plain, delivery=Delivery("Post"), shipments=(Shipment("s1"), Shipment("s2", tracking="old")))
    after = with_tracking(shipped, "2045")
    assert (after.delivery.method, after.delivery.tracking) == ("Post", "2045")  # type: ignore[union-attr]
    assert [s.tracking for s in after.shipments] == ["", "2045"]
