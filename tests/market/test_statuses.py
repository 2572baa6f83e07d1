"""What a marketplace is told of its orders, as whole runs (seed 000: F19–F21, F29)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.utils import timezone

from market.kit import Hub, Shop, counted
from obmen.core.records import Delivery, Order, Shipment, Subject
from obmen.store import connections, models
from obmen.store.mappings import MappingRow
from obmen.store.orders import order_record, save_order
from obmen.work import jobs
from obmen.work import run as runs

pytestmark = pytest.mark.django_db

OUT = "statuses-out"


def order(key: str = "1") -> Order:
    return order_record(models.Order.objects.get(key=key))


def change(key: str = "1", **fields: Any) -> None:
    """An order is changed here, as by 1C."""
    save_order(replace(order(key), **fields))


def tracked(number: str, key: str = "1", **fields: Any) -> None:
    change(key, delivery=replace(order(key).delivery or Delivery(), tracking=number), **fields)


@pytest.fixture
def loaded(hub: Hub, shop: Shop) -> Hub:
    """Order 1 has been loaded, and 1C has accepted it."""
    shop.order("1")
    hub.run()
    return hub


def told(shop: Shop) -> list[tuple[str, str]]:
    return [(c.order, c.status) for c in shop.told]


def test_a_state_goes_there_and_does_not_come_back_as_news(loaded: Hub, shop: Shop) -> None:
    change(state="Accepted")
    assert counted(loaded.run(OUT)) == {"updated": 1}
    assert (told(shop), shop.orders["1"]["status"]) == ([("1", "received")], "received")
    revision, seen = models.Order.objects.get().revision, bytes(models.Link.objects.get(kind="order").seen)
    assert models.TheirCopy.objects.get().record["state"] == "Accepted"
    assert counted(loaded.run("orders-in", OUT)) == {"unchanged": 2}
    assert (models.Order.objects.get().revision, len(shop.told)) == (revision, 1)
    assert bytes(models.Link.objects.get(kind="order").seen) == seen


def test_only_changed_statuses_are_sent(loaded: Hub, shop: Shop) -> None:
    """F29"""
    shop.order("2")
    loaded.run()
    change("2", comment="подзвонили")
    change("1", state="Accepted")
    loaded.run(OUT)
    assert told(shop) == [("1", "received")]
    loaded.run(OUT)
    assert len(shop.told) == 1
    assert not models.Outbox.objects.exists()


def test_orders_that_did_not_come_from_there_are_none_of_its_business(loaded: Hub, shop: Shop) -> None:
    save_order(Order("own", "7", timezone.now(), state="Accepted"))
    assert not models.Outbox.objects.filter(connection=loaded.connection).exists()
    assert counted(loaded.run(OUT)) == {}
    assert shop.told == []


def test_what_changed_while_the_stream_was_off_goes_when_it_is_switched_on(loaded: Hub, shop: Shop) -> None:
    save_order(Order("own", "7", timezone.now(), state="Accepted"))
    connections.set_stream(loaded.connection, OUT, enabled=False)
    change(state="Accepted")
    assert not models.Outbox.objects.exists()
    connections.set_stream(loaded.connection, OUT, enabled=True)
    assert models.Outbox.objects.count() == 1
    loaded.run(OUT)
    assert told(shop) == [("1", "received")]


def test_a_state_without_the_flag_changes_nothing_and_that_is_said_with_a_count(loaded: Hub, shop: Shop) -> None:
    models.Mapping.objects.filter(theirs="received").update(outbound=False)
    models.Reference.objects.create(subject=Subject.ORDER_STATE, key="Accepted", name="Прийнято")
    change(state="Accepted")
    run = loaded.run(OUT)
    text = "Orders in the state “Прийнято” change no status: switch on “send” beside it on the tab “Orders” to have it sent"
    assert loaded.said(run) == {text: 1}
    assert shop.told == []


def test_several_states_of_ours_may_be_one_status_of_theirs(loaded: Hub, shop: Shop) -> None:
    """Each is sent, the one status is loaded as one state, and neither is told twice or comes back."""
    loaded.statuses(
        MappingRow("new", ours="New", sent=False),
        MappingRow("received", ours="Accepted"),
        MappingRow("received", ours="Packed", taken=False),
    )
    change(state="Accepted")
    loaded.run(OUT)
    change(state="Packed")
    loaded.run(OUT)
    assert told(shop) == [("1", "received")]
    loaded.run("orders-in", OUT)
    assert (order().state, told(shop)) == ("Packed", [("1", "received")])
    shop.order("2")
    loaded.run()
    change("2", state="Packed")
    loaded.run(OUT)
    assert told(shop) == [("1", "received"), ("2", "received")]
    shop.edit("2", note="інше")
    loaded.run()
    assert (order("2").state, order("2").comment) == ("Packed", "інше")


def test_a_cancellation_goes_with_its_mapped_reason(loaded: Hub, shop: Shop) -> None:
    models.Reference.objects.create(subject=Subject.CANCEL_REASON, key="r-1", name="Немає в наявності")
    loaded.map(Subject.CANCEL_REASON, "out", MappingRow("not_available", ours="r-1"))
    change(cancelled=True, cancel_reason="Немає в наявності", state="Anything")
    loaded.run(OUT)
    (said,) = shop.told
    assert (said.status, said.cancels, said.reason, said.comment) == ("canceled", True, "not_available", "Немає в наявності")
    assert shop.orders["1"]["status"] == "canceled"
    assert counted(loaded.run("orders-in", OUT)) == {"unchanged": 2}


def test_a_cancellation_without_a_reason_or_a_status_goes_in_the_markets_own_way(loaded: Hub, shop: Shop) -> None:
    loaded.set(default_reason="another", cancel_text="Скасовано нами")
    models.Mapping.objects.filter(theirs="canceled").update(outbound=False)
    change(cancelled=True)
    loaded.run(OUT)
    (said,) = shop.told
    assert (said.status, said.cancels, said.reason, said.comment) == ("", True, "another", "Скасовано нами")


def test_a_state_that_cancels_there_goes_with_a_reason(loaded: Hub, shop: Shop) -> None:
    change(state="Cancelled")
    loaded.run(OUT)
    (said,) = shop.told
    assert (said.status, said.cancels, said.comment) == ("canceled", True, "Скасовано продавцем")


def test_a_cancellation_that_both_have_made_is_not_told(loaded: Hub, shop: Shop) -> None:
    shop.edit("1", status="canceled")
    change(cancelled=True)
    loaded.run(OUT)
    assert (shop.told, shop.calls[-1]) == ([], "order 1")


def test_a_tracking_number_goes_with_the_delivery_service_of_the_mapping(loaded: Hub, shop: Shop) -> None:
    loaded.map(Subject.DELIVERY, "both", MappingRow("12", ours="np"), MappingRow("13", ours="np"), MappingRow("20", ours="ukr"))
    loaded.run()
    tracked("20450001", state="Accepted")
    loaded.run(OUT)
    (said,) = shop.told
    assert (said.status, said.tracking, said.carrier) == ("received", "20450001", "13")  # the one that the order was made with
    assert counted(loaded.run("orders-in", OUT)) == {"unchanged": 2}

    change(delivery=replace(order().delivery or Delivery(), tracking="UA77", method_key="ukr"))
    loaded.run(OUT)
    assert (shop.told[-1].status, shop.told[-1].tracking, shop.told[-1].carrier) == ("", "UA77", "20")


def test_the_tracking_number_of_a_shipment_goes_too(loaded: Hub, shop: Shop) -> None:
    change(shipments=(Shipment("s1", shipped=True, tracking="TTN-1", order="1"),))
    loaded.run(OUT)
    assert (shop.told[-1].tracking, shop.orders["1"]["ttn"]) == ("TTN-1", "TTN-1")


@pytest.mark.parametrize(("send", "sent"), [(["tracking"], ("", "T1")), (["state"], ("received", "")), (["cancel"], None)])
def test_only_what_the_settings_name_is_told(loaded: Hub, shop: Shop, send: list[str], sent: Any) -> None:
    loaded.set(send=send)
    tracked("T1", state="Accepted")
    loaded.run(OUT)
    assert [(c.status, c.tracking) for c in shop.told] == ([sent] if sent else [])


def test_cancellations_are_not_told_when_that_is_switched_off(loaded: Hub, shop: Shop) -> None:
    loaded.set(send=["state", "tracking"])
    change(cancelled=True)
    loaded.run(OUT)
    assert shop.told == []


def test_a_status_that_cannot_be_reached_is_parked_with_those_that_can_and_the_others_go(loaded: Hub, shop: Shop) -> None:
    shop.order("2")
    loaded.run()
    change("1", state="Done")
    change("2", state="Accepted")
    assert counted(loaded.run(OUT)) == {"parked": 1, "updated": 1}
    parked = models.Parked.objects.get()
    assert parked.text.format(**parked.facts) == "Order N1 cannot become done, only: received, canceled"
    assert shop.orders["2"]["status"] == "received"

    change("1", state="Accepted")
    loaded.run(OUT)
    assert shop.orders["1"]["status"] == "received"
    assert not models.Parked.objects.exists()


def test_after_a_lost_answer_the_market_is_looked_at_before_anything_is_told_again(loaded: Hub, shop: Shop) -> None:
    change(state="Accepted")
    shop.lose_answer = True
    run = jobs.ask(loaded.connection, [OUT], trigger="person")
    assert runs.execute_here(run).state != "done"
    assert told(shop) == [("1", "received")]
    shop.calls.clear()
    loaded.run(OUT)
    assert (told(shop), shop.calls) == ([("1", "received")], ["order 1"])
    assert connections.hub_of(loaded.connection).recall("statuses-asked") is None
    assert counted(loaded.run("orders-in", OUT)) == {"unchanged": 2}


def test_after_a_lost_answer_only_what_has_not_been_done_is_told(loaded: Hub, shop: Shop) -> None:
    change(state="Accepted")
    shop.lose_answer = True
    runs.execute_here(jobs.ask(loaded.connection, [OUT], trigger="person"))
    tracked("T9")
    loaded.run(OUT)
    assert [(c.status, c.tracking, c.unsure) for c in shop.told] == [("received", "", False), ("", "T9", True)]


def test_what_else_changed_there_meanwhile_still_comes_as_news(loaded: Hub, shop: Shop) -> None:
    change(state="Accepted")
    shop.edit("1", note="домофон не працює")
    loaded.run(OUT)
    assert counted(loaded.run())["updated"] == 1
    assert (order().comment, order().state) == ("домофон не працює", "Accepted")


def test_a_status_that_the_market_goes_on_to_by_itself_comes_as_news(loaded: Hub, shop: Shop) -> None:
    """Rozetka: a tracking number moves an order on."""
    shop.moves_on = "sent"
    tracked("T1", state="Accepted")
    loaded.run(OUT)
    loaded.run()
    assert order().state == "Shipped"
    loaded.run("orders-in", OUT)
    assert len(shop.told) == 1


def test_an_order_that_is_cancelled_there_is_not_brought_back(loaded: Hub, shop: Shop) -> None:
    loaded.statuses(
        MappingRow("new", ours="New", sent=False),
        MappingRow("received", ours="New", sent=False),
        MappingRow("received", ours="Accepted", taken=False),
        MappingRow("canceled", ours="Cancelled", attributes={"cancel": "yes"}),
    )
    change(state="Accepted")
    shop.edit("1", status="canceled")
    loaded.run(OUT)
    parked = models.Parked.objects.get()
    assert parked.text.format(**parked.facts).startswith("Order N1 is cancelled there")
    assert shop.told == []


def test_an_order_that_is_no_longer_there_is_parked_with_the_reason(loaded: Hub, shop: Shop) -> None:
    change(cancelled=True)
    shop.orders.clear()
    loaded.run(OUT)
    parked = models.Parked.objects.get()
    assert parked.text.format(**parked.facts) == "Order N1 is no longer there: the change is not sent"


def test_a_status_that_was_taken_and_not_set_waits_with_the_reason_and_is_tried_again(loaded: Hub, shop: Shop) -> None:
    shop.ignores = "status"
    change(state="Accepted")
    assert counted(loaded.run(OUT)) == {"parked": 1}
    parked = models.Parked.objects.get()
    assert parked.text.format(**parked.facts).startswith(
        "Kit market took the change of order N1, but it is still in the status “New” and not in “Received”: it is tried again."
    )
    assert models.Outbox.objects.count() == 1
    shop.ignores = ""
    loaded.run("retry-parked", parked=[parked.pk])
    loaded.run(OUT)
    assert (shop.orders["1"]["status"], models.Parked.objects.count(), models.Outbox.objects.count()) == ("received", 0, 0)


def test_a_tracking_number_that_was_taken_and_is_not_shown_waits_with_the_reason(loaded: Hub, shop: Shop) -> None:
    shop.ignores = "ttn"
    tracked("T1", state="Accepted")
    assert counted(loaded.run(OUT)) == {"parked": 1}
    parked = models.Parked.objects.get()
    assert parked.text.format(**parked.facts).startswith(
        "Kit market took the tracking number T1 of order N1, but shows “–”: it is tried again."
    )
    shop.ignores = ""
    loaded.run("retry-parked", parked=[parked.pk])
    loaded.run(OUT)
    assert (shop.orders["1"]["ttn"], shop.orders["1"]["status"], models.Parked.objects.count()) == ("T1", "received", 0)


def test_a_cancellation_that_was_taken_and_not_done_waits_with_the_reason(loaded: Hub, shop: Shop) -> None:
    shop.ignores = "status"
    change(cancelled=True)
    assert counted(loaded.run(OUT)) == {"parked": 1}
    parked = models.Parked.objects.get()
    assert parked.text.format(**parked.facts).startswith(
        "Kit market took the cancellation of order N1, but it is in the status “New”: it is tried again."
    )


def test_a_tracking_number_that_they_write_without_spaces_is_told_once(loaded: Hub, shop: Shop) -> None:
    tracked("20 45 a")
    shop.spaceless = True
    assert counted(loaded.run(OUT)) == {"updated": 1}
    change(comment="ще раз")
    loaded.run("orders-in", OUT)
    assert (shop.orders["1"]["ttn"], len(shop.told)) == ("2045A", 1)


def test_an_answer_that_cannot_be_read_parks_one_change_and_the_others_go(loaded: Hub, shop: Shop) -> None:
    shop.order("2")
    loaded.run()
    change("1", state="Accepted")
    change("2", state="Accepted")
    shop.orders["1"]["items"][0]["qty"] = "1e999999"
    assert counted(loaded.run(OUT)) == {"parked": 1, "updated": 1}
    parked = models.Parked.objects.get()
    assert parked.text.format(**parked.facts).startswith("Order N1 cannot be read: Overflow ")
    assert told(shop) == [("1", "received"), ("2", "received")]
    shop.orders["1"]["items"][0]["qty"] = "2"
    change("1", cancelled=True)
    shop.orders["1"]["delivery"] = ["13"]
    assert counted(loaded.run(OUT)) == {"parked": 1}, "looked at before it is cancelled"


def test_a_preview_counts_what_would_be_told_and_tells_nothing(loaded: Hub, shop: Shop) -> None:
    change(state="Accepted")
    assert counted(loaded.run(OUT, preview=True)) == {"would_write": 1}
    assert shop.told == []
