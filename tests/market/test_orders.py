"""Orders of a marketplace as whole runs, with the hub's own database (seed 000: F18, F20–F26, F32)."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from market.kit import Hub, KitMarket, Shop, card, counted, item, link
from obmen.core.contract import BadRecord, NeedsOwner
from obmen.core.records import Kind, Order, Subject
from obmen.store import bookmarks, connections, models
from obmen.store.hub import DjangoHub
from obmen.store.mappings import MappingRow
from obmen.store.orders import order_record, save_order
from obmen.work import jobs
from obmen.work import run as runs

pytestmark = pytest.mark.django_db


def orders() -> dict[str, Order]:
    return {row.key: order_record(row) for row in models.Order.objects.all()}


def reference(subject: Subject, key: str, name: str) -> None:
    models.Reference.objects.create(subject=subject, key=key, name=name)


# --- reading ---------------------------------------------------------------------------------------------------------------


def test_a_new_order_comes_with_its_buyer_and_a_second_run_has_nothing_to_do(hub: Hub, shop: Shop) -> None:
    shop.order("1")
    assert counted(hub.run()) == {"created": 2}
    order = orders()["1"]
    assert (order.number, order.state, order.currency, order.total, order.site) == (
        "N1",
        "New",
        "UAH",
        Decimal(200),
        "Kit market",
    )
    assert [(li.offer, li.quantity, li.total) for li in order.lines] == [("A", Decimal(2), Decimal(200))]
    assert (order.paid, [(p.amount, p.paid, p.method) for p in order.payments]) == (True, [(Decimal(200), True, "Картка")])
    assert order.delivery
    assert (order.delivery.method, order.delivery.address) == ("Нова Пошта", "Київ, відділення 5")
    row = models.Order.objects.get()
    assert row.counterparty
    assert (row.counterparty.name, row.counterparty.email) == ("Петренко Іван", "ivan@example.com")
    assert models.Link.objects.get(kind=Kind.COUNTERPARTY).external_id == "b1"

    assert counted(hub.run()) == {"unchanged": 2}  # it comes again, for bookmarks overlap, with another count of views
    assert shop.orders["1"]["views"] == 2
    assert models.Order.objects.get().revision == 1


def test_what_changes_there_is_taken_and_what_was_changed_here_stays(hub: Hub, shop: Shop) -> None:
    shop.order("1")
    hub.run()
    save_order(orders()["1"].__class__(**{**_fields(orders()["1"]), "comment": "наш коментар"}))
    shop.edit("1", status="received", total="150", items=[item(qty="1", price="150")])
    assert counted(hub.run()) == {"updated": 1, "unchanged": 1}
    order = orders()["1"]
    assert (order.state, order.total, order.comment) == ("Accepted", Decimal(150), "наш коментар")


def _fields(order: Order) -> dict[str, Any]:
    return {name: getattr(order, name) for name in Order.__dataclass_fields__}


@pytest.mark.parametrize(("rule", "kept"), [("theirs", "їхній"), ("ours", "наш")])
def test_where_both_changed_a_field_the_rule_of_conflicts_decides(hub: Hub, shop: Shop, rule: str, kept: str) -> None:
    hub.set(conflicts=rule)
    shop.order("1")
    hub.run()
    save_order(Order(**{**_fields(orders()["1"]), "comment": "наш"}))
    shop.edit("1", note="їхній")
    hub.run()
    assert orders()["1"].comment == kept


def test_the_first_run_loads_nothing_that_was_there_before(make: Any, shop: Shop) -> None:
    hub = make(unknown_goods="line")
    shop.order("1")
    shop.orders["1"]["changed"] = (timezone.now() - timedelta(hours=2)).isoformat()
    assert counted(hub.run()) == {}
    shop.order("2")
    hub.run()
    assert set(orders()) == {"2"}


def test_from_a_date_new_orders_and_changed_ones_are_loaded(hub: Hub, shop: Shop) -> None:
    """F32"""
    now = timezone.now()
    for ident, made, changed in (("1", 30, 30), ("2", 30, 1), ("3", 1, 1)):
        shop.order(ident, made=now - timedelta(days=made))
        shop.orders[ident]["changed"] = (now - timedelta(days=changed)).isoformat()
    connector = connections.connector_of(hub.connection, connections.hub_of(hub.connection))
    moment = now - timedelta(days=2)
    words = bookmarks.set_by_hand(hub.connection, connector, "orders-in", "", moment, "ann")
    assert words == f"{moment.astimezone(connections.hub_of(hub.connection).zone):%Y-%m-%d %H:%M}"
    hub.run()
    assert set(orders()) == {"2", "3"}


def test_the_bookmark_is_a_date_and_time_of_the_connections_zone(hub: Hub) -> None:
    connector = connections.connector_of(hub.connection, connections.hub_of(hub.connection))
    words = bookmarks.set_by_hand(hub.connection, connector, "orders-in", "2026-07-31 18:05", None, "ann")
    assert words == "2026-07-31 18:05"
    assert models.Bookmark.objects.get(stream="orders-in").value == {"from": "2026-07-31T15:05:00+00:00"}
    with pytest.raises(NeedsOwner, match="“soon” is no date and time"):
        bookmarks.set_by_hand(hub.connection, connector, "orders-in", "soon", None, "ann")


def test_one_order_is_loaded_by_its_id_and_an_unknown_id_is_said(hub: Hub, shop: Shop) -> None:
    shop.order("7")
    shop.orders["7"]["changed"] = "2020-01-01T00:00:00+00:00"
    before = models.Bookmark.objects.get(stream="orders-in").value
    assert counted(hub.run(only=["7"])) == {"created": 2}
    assert models.Bookmark.objects.get(stream="orders-in").value == before
    done = hub.run(only=["8"], state="failed")
    assert done.facts["error"] == "Kit market has no order with the id 8"


def test_pages_that_were_settled_stay_when_the_market_closes_and_the_next_run_goes_on_there(hub: Hub, shop: Shop) -> None:
    for number in range(1, 6):
        shop.order(str(number))
    shop.break_after = 1
    run = jobs.ask(hub.connection, ["orders-in"], trigger="person")
    assert runs.execute_here(run).state != "done"
    assert set(orders()) == {"1", "2"}
    assert models.Bookmark.objects.get(stream="orders-in").value["there"] == {"changed": shop.orders["2"]["changed"]}
    shop.break_after = None
    hub.run()
    assert len(orders()) == 5


def test_an_order_that_cannot_be_read_is_parked_with_its_words_and_the_others_come(hub: Hub, shop: Shop) -> None:
    shop.order("1", total="багато")
    shop.order("2")
    assert counted(hub.run()) == {"created": 2, "parked": 1}
    parked = models.Parked.objects.get()
    assert (parked.external_id, parked.where, b'"total":"\xd0\xb1' in bytes(parked.payload)) == ("1", "Kit market: 1", True)
    shop.edit("1", total="200")
    hub.run()
    assert set(orders()) == {"1", "2"}
    assert not models.Parked.objects.exists()


@pytest.mark.parametrize(
    "odd",
    [
        {"items": [item(qty="1e999999")]},
        {"made": "0001-01-01T00:00:00+03:00"},
        {"items": [item(price="NaN")]},
        {"buyer": "Іван"},
        {"items": [item(), None]},
        {"delivery": ["13"]},
    ],
)
def test_whatever_is_odd_in_one_order_parks_it_alone_with_its_words_and_a_reason(hub: Hub, shop: Shop, odd: Any) -> None:
    shop.order("1")
    shop.edit("1", **odd)
    shop.order("2")
    run = hub.run()
    assert (run.counts["parked"], set(orders())) == (1, {"2"})
    parked = models.Parked.objects.get()
    assert (parked.kind, parked.external_id, b'"number":"N1"' in bytes(parked.payload)) == ("order", "1", True)
    assert "cannot be read: " in parked.text.format(**parked.facts)
    shop.order("1")
    hub.run()
    assert (set(orders()), models.Parked.objects.exists()) == ({"1", "2"}, False)


def test_what_counts_as_news_of_an_odd_order_and_its_id_may_not_be_said_either(
    hub: Hub, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.order("1", items=None)
    shop.order("2")
    used, order_id = KitMarket.used, KitMarket.order_id
    monkeypatch.setattr(KitMarket, "used", lambda market, raw: used(market, raw) | {"lines": len(raw["items"])})
    monkeypatch.setattr(KitMarket, "order_id", lambda market, raw: raw["items"][0] and order_id(market, raw))
    assert (hub.run().counts["parked"], set(orders())) == (1, {"2"})
    assert models.Parked.objects.get().external_id != "1"


def test_an_empty_table_of_statuses_stops_the_run_and_says_where_to_go(hub: Hub, shop: Shop) -> None:
    models.Mapping.objects.all().delete()
    assert "tab “Orders”" in hub.run(state="needs_owner").text.format(**hub.connection.runs.latest("pk").facts)


# --- statuses (F21) --------------------------------------------------------------------------------------------------------


def test_an_order_in_a_status_that_is_not_loaded_is_not_made_and_that_is_said_once_with_a_count(hub: Hub, shop: Shop) -> None:
    shop.order("1", status="paid")
    shop.order("2", status="paid")
    run = hub.run()
    assert counted(run) == {"left_out": 2}
    assert hub.said(run) == {
        "Orders in the status “Paid” are not loaded: switch on “load” beside it on the tab “Orders” to have them loaded": 2
    }
    assert not models.Order.objects.exists()
    assert not models.Counterparty.objects.exists()
    assert not models.Mapping.objects.filter(reported=True).exists()  # it was decided on
    again = hub.run()
    assert (counted(again), hub.said(again)) == ({"unchanged": 2}, {})


def test_a_status_nobody_decided_on_can_be_mapped_with_a_click_and_its_orders_come_by_themselves(hub: Hub, shop: Shop) -> None:
    shop.order("1", status="custom-7")
    assert counted(hub.run()) == {"left_out": 1}
    row = models.Mapping.objects.get(theirs="custom-7")
    assert (row.reported, row.seen_count, row.theirs_name) == (True, 1, "Custom-7")

    shop.orders["1"]["changed"] = "2020-01-01T00:00:00+00:00"  # far behind every bookmark
    models.Mapping.objects.filter(pk=row.pk).update(ours="New", reported=False)
    assert counted(hub.run())["created"] == 2
    assert orders()["1"].state == "New"
    assert "order 1" in shop.calls
    shop.calls.clear()
    hub.run()
    assert "order 1" not in shop.calls  # it is noted no more


def test_an_order_that_is_switched_on_in_another_status_that_is_not_loaded_stays_noted(hub: Hub, shop: Shop) -> None:
    shop.order("1", status="paid")
    hub.run()
    shop.orders["1"] |= {"status": "held", "changed": "2020-01-01T00:00:00+00:00"}
    models.Mapping.objects.filter(theirs="paid").update(taken=True)
    hub.run()
    assert connections.hub_of(hub.connection).recall("orders-skipped") == [["1", "held"]]
    models.Mapping.objects.filter(theirs="held").update(reported=False)
    hub.run()
    assert set(orders()) == {"1"}


def test_an_order_that_was_left_out_and_comes_in_another_way_or_is_gone_for_days_is_noted_no_more(
    hub: Hub, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.order("1", status="paid")
    shop.order("2", status="paid")
    hub.run()
    shop.edit("1", status="received")
    del shop.orders["2"]
    hub.run()
    assert set(orders()) == {"1"}
    assert connections.hub_of(hub.connection).recall("orders-skipped") == [["2", "paid"]]
    models.Mapping.objects.filter(theirs="paid").update(taken=True)
    hub.run()
    assert connections.hub_of(hub.connection).recall("orders-skipped") == [["2", "paid"]], "a first no may be a trouble of theirs"
    later = timezone.now() + timedelta(days=3, minutes=1)
    monkeypatch.setattr(DjangoHub, "now", lambda _hub: later)
    assert "Kit market has no order with the id 2" in hub.said(hub.run())
    notes = connections.hub_of(hub.connection)
    assert (notes.recall("orders-skipped"), notes.recall("orders-missed")) == (None, None)


@pytest.mark.parametrize("refuses", [False, True])
def test_an_order_that_was_left_out_and_is_not_shown_when_it_is_switched_on_comes_once_it_is(
    hub: Hub, shop: Shop, monkeypatch: pytest.MonkeyPatch, refuses: bool
) -> None:
    def no(_market: KitMarket, number: str) -> None:
        if refuses:
            raise BadRecord("The market refuses {path}", path=number)

    shop.order("1", status="paid")
    hub.run()
    shop.orders["1"]["changed"] = "2020-01-01T00:00:00+00:00"  # far behind every bookmark
    models.Mapping.objects.filter(theirs="paid").update(taken=True)
    with monkeypatch.context() as troubled:
        troubled.setattr(KitMarket, "order", no)
        run = hub.run()
        assert ("The market refuses 1" in hub.said(run)) == refuses
        assert (
            hub.run(only=["1"], state="failed")
            .facts["error"]
            .startswith("The market refuses 1" if refuses else "Kit market has no")
        )
    assert not orders()
    hub.run()
    notes = connections.hub_of(hub.connection)
    assert (set(orders()), notes.recall("orders-skipped"), notes.recall("orders-missed")) == ({"1"}, None, None)


def test_an_order_that_is_here_stays_as_it_is_in_a_status_that_is_not_loaded(hub: Hub, shop: Shop) -> None:
    shop.order("1")
    hub.run()
    shop.edit("1", status="paid", note="інше")
    run = hub.run()
    assert hub.said(run) == {
        "Orders that are here already stay as they are in the status “Paid”, which is not loaded. A cancellation would be taken": 1
    }
    assert (orders()["1"].state, orders()["1"].comment) == ("New", "подзвоніть")


def test_a_cancellation_is_taken_whatever_the_table_says(hub: Hub, shop: Shop) -> None:
    models.Mapping.objects.filter(theirs="canceled").update(taken=False)
    shop.order("1")
    shop.order("2")
    hub.run()
    shop.edit("1", status="canceled", reason="передумав")
    shop.order("3", status="canceled")
    hub.run()
    order = orders()["1"]
    assert (order.cancelled, order.cancel_reason, order.state, order.comment) == (True, "передумав", "New", "подзвоніть")
    assert set(orders()) == {"1", "2"}
    assert counted(hub.run("statuses-out")) == {}


def test_a_cancellation_that_was_noted_when_its_run_broke_off_is_taken_by_the_next(hub: Hub, shop: Shop) -> None:
    """The note of what is left out is written before the page is settled."""
    models.Mapping.objects.filter(theirs="canceled").update(taken=False)
    shop.order("1")
    hub.run()
    shop.edit("1", status="canceled")
    connections.hub_of(hub.connection).remember("orders-skipped", [["1", "canceled"]])
    hub.run()
    assert orders()["1"].cancelled


def test_a_cancellation_is_taken_though_the_goods_of_the_order_are_no_longer_found(hub: Hub, shop: Shop) -> None:
    shop.order("1")
    hub.run()
    models.Product.objects.update(deleted=True)
    shop.edit("1", status="canceled")
    hub.run()
    order = orders()["1"]
    assert (order.cancelled, [li.offer for li in order.lines]) == (True, ["A"])
    assert not models.Parked.objects.exists()


def test_a_status_that_the_table_says_cancels_does(hub: Hub, shop: Shop) -> None:
    models.Mapping.objects.filter(theirs="paid").update(taken=True, attributes={"cancel": "yes"})
    reference(Subject.CANCEL_REASON, "r1", "Не оплачено")
    hub.set(cancel_reason="r1")
    shop.order("1", status="paid")
    hub.run()
    assert (orders()["1"].cancelled, orders()["1"].cancel_reason) == (True, "Не оплачено")


def test_a_changed_mapping_has_orders_looked_at_again(hub: Hub, shop: Shop) -> None:
    shop.order("1")
    hub.run()
    models.Mapping.objects.filter(theirs="new").update(ours="Fresh")
    assert counted(hub.run())["updated"] == 1
    assert orders()["1"].state == "Fresh"


# --- goods of lines (F26) --------------------------------------------------------------------------------------------------


def rules(hub: Hub, *attributes: str) -> None:
    hub.connection.match_rules.filter(kind="product").delete()
    for priority, attribute in enumerate(attributes, 1):
        hub.connection.match_rules.create(kind="product", attribute=attribute, priority=priority)


def found(order: Order) -> list[tuple[str, str]]:
    return [(li.offer, dict(li.requisites).get("Найдено по", "")) for li in order.lines]


@pytest.mark.parametrize(
    ("offer", "line", "attributes", "key", "why"),
    [
        ({"key": "K"}, {"code": "K"}, (), "K", "key = K"),
        ({"key": "K", "code": "00-7"}, {"code": "00-7"}, (), "K", "code = 00-7"),
        ({"key": "K", "article": "S-1"}, {"sku": "S-1"}, ("article",), "K", "article = S-1"),
    ],
)
def test_a_line_finds_its_goods_and_says_by_what(
    hub: Hub, shop: Shop, offer: Any, line: Any, attributes: Any, key: str, why: str
) -> None:
    rules(hub, *attributes)
    card(**offer)
    shop.order("1", items=[item("c9", **line)])
    run = hub.run()
    assert found(orders()["1"]) == [(key, why)]
    assert f"Order N1: “Чашка” is “Чашка синя”, found by {why}" in hub.said(run)


def test_the_link_of_a_card_goes_before_codes_and_articles(hub: Hub, shop: Shop) -> None:
    rules(hub, "article")
    card("K", code="00-7", article="S-1")
    shop.order("1", items=[item("c1", code="00-7", sku="S-1")])
    hub.run()
    assert found(orders()["1"]) == [("A", "")]


@pytest.mark.parametrize(("attributes", "key"), [(("article", "barcode"), "K"), (("barcode", "article"), "M")])
def test_the_smallest_priority_decides(hub: Hub, shop: Shop, attributes: tuple[str, ...], key: str) -> None:
    card("K", article="S-1")
    card("M", barcode="482")
    rules(hub, *attributes)
    shop.order("1", items=[item("c9", sku="S-1", barcode="482")])
    hub.run()
    assert [li.offer for li in orders()["1"].lines] == [key]


def test_an_article_that_no_rule_names_finds_nothing(hub: Hub, shop: Shop) -> None:
    card("K", article="S-1")
    shop.order("1", items=[item("c9", sku="S-1")])
    assert counted(hub.run()) == {"created": 1, "parked": 1}


def test_an_order_whose_goods_fit_two_cards_is_parked_with_both(hub: Hub, shop: Shop) -> None:
    rules(hub, "article")
    card("K", article="S-1", name="Чашка біла")
    card("M", article="S-1", name="Чашка чорна")
    shop.order("1", items=[item("c9", sku="S-1")])
    hub.run()
    parked = models.Parked.objects.get()
    assert (parked.facts["cards"], parked.facts["why"]) == ("Чашка біла (K), Чашка чорна (M)", "article = S-1")
    assert not models.Order.objects.exists()


def test_an_order_with_unknown_goods_waits_until_they_are_linked(hub: Hub, shop: Shop) -> None:
    shop.order("1", items=[item("c9")])
    hub.run()
    parked = models.Parked.objects.get()
    assert (parked.waiting_kind, parked.waiting_id) == ("offer", "c9")
    assert "no card is linked to “Чашка” (c9)" in parked.text.format(**parked.facts)
    link(hub, "c9", card("K"))
    hub.run()
    assert [li.offer for li in orders()["1"].lines] == ["K"]
    assert not models.Parked.objects.exists()


def test_an_order_with_unknown_goods_is_taken_with_their_name_when_that_is_chosen(hub: Hub, shop: Shop) -> None:
    hub.set(unknown_goods="line")
    shop.order("1", items=[item("c9"), item("c1")], total="400")
    run = hub.run()
    assert [(li.offer, li.name) for li in orders()["1"].lines] == [("", "Чашка"), ("A", "Чашка")]
    assert dict(orders()["1"].lines[0].requisites) == {"ИД товара на сайте": "c9"}
    assert "Order N1: “Чашка” (c9) is not in the books; the line is kept with its name" in hub.said(run)


def test_a_linked_card_that_is_marked_for_deletion_is_not_sold(hub: Hub, shop: Shop) -> None:
    models.Product.objects.update(deleted=True)
    shop.order("1")
    hub.run()
    parked = models.Parked.objects.get()
    assert (parked.waiting_kind, parked.facts["id"]) == ("", "c1")


# --- delivery, payment (F20) -----------------------------------------------------------------------------------------------


def test_delivery_and_payment_get_our_values_and_what_is_not_mapped_is_counted(hub: Hub, shop: Shop) -> None:
    reference(Subject.DELIVERY, "np", "Нова пошта (склад)")
    reference(Subject.PAYMENT_KIND, "acq", "Еквайринг")
    hub.map(Subject.DELIVERY, "both", MappingRow("13", ours="np"))
    hub.map(Subject.PAYMENT_KIND, "in", MappingRow("card", ours="acq"))
    shop.order("1")
    shop.order("2", delivery={"id": "99", "name": "Дрон", "address": ""}, pay={"id": "cod", "name": "Післяплата", "paid": False})
    hub.run()
    first, second = orders()["1"], orders()["2"]
    assert first.delivery
    assert (first.delivery.method, first.delivery.method_key) == ("Нова пошта (склад)", "np")
    assert dict(first.requisites)["ИД доставки на сайте"] == "13"
    assert [(p.method, p.method_key) for p in first.payments] == [("Еквайринг", "acq")]
    assert second.delivery
    assert (second.delivery.method, second.delivery.method_key) == ("Дрон", "")
    reported = models.Mapping.objects.filter(reported=True).values_list("subject", "theirs", "theirs_name")
    assert set(reported) == {("delivery", "99", "Дрон"), ("payment_kind", "cod", "Післяплата")}


@pytest.mark.parametrize("paid", [True, False, None])
def test_paid_is_what_the_market_says_and_unknown_stays_unknown(hub: Hub, shop: Shop, paid: bool | None) -> None:
    shop.order("1", pay={"id": "cod", "name": "Післяплата", "paid": paid})
    hub.run()
    assert (orders()["1"].paid, [p.paid for p in orders()["1"].payments]) == (paid, [bool(paid)])


def test_payments_are_not_made_when_that_is_switched_off_or_their_kind_is_left_out(hub: Hub, shop: Shop) -> None:
    hub.map(Subject.PAYMENT_KIND, "in", MappingRow("bonus", taken=False))
    shop.order("1", pay={"id": "bonus", "name": "Бонуси", "paid": True})
    hub.run()
    assert (orders()["1"].paid, orders()["1"].payments) == (True, ())
    hub.set(create_payments=False)
    shop.order("2")
    hub.run()
    assert (orders()["2"].paid, orders()["2"].payments) == (True, ())


# --- counterparties (F22–F26) ----------------------------------------------------------------------------------------------


def test_no_card_is_made_of_a_stranger_when_that_is_switched_off_and_the_order_keeps_who_it_is(hub: Hub, shop: Shop) -> None:
    """F22"""
    hub.set(create_buyers=False)
    shop.order("1")
    shop.order("2", buyer={"last": "Безіменний"})
    assert counted(hub.run()) == {"created": 2, "left_out": 1}
    assert not models.Counterparty.objects.exists()
    buyers = [order.counterparty for order in orders().values()]
    assert {b.name for b in buyers if b} == {"Петренко Іван", "Безіменний"}

    hub.set(create_buyers=True)
    hub.run()
    assert {o.counterparty.name for o in models.Order.objects.all() if o.counterparty} >= {"Петренко Іван"}


def test_a_card_that_is_here_is_found_when_none_is_to_be_made(hub: Hub, shop: Shop) -> None:
    hub.set(create_buyers=False)
    models.Counterparty.objects.create(key="P", name="Петренко І.", phone="050 111 22 33")
    shop.order("1")
    hub.run()
    row = models.Order.objects.get()
    assert row.counterparty
    assert row.counterparty.key == "P"
    assert models.Link.objects.get(kind=Kind.COUNTERPARTY).external_id == "b1"


def test_a_buyer_is_found_by_the_match_rules_and_what_the_card_says_stays(hub: Hub, shop: Shop) -> None:
    """F26: the card's own phone is kept, what it lacks is filled in, and the site's ID is linked (F25)."""
    models.Counterparty.objects.create(key="P", name="Петренко І.", phone="050 111 22 33")
    shop.order("1")
    assert counted(hub.run()) == {"created": 1, "matched": 1}
    row = models.Counterparty.objects.get()
    assert (row.name, row.phone, row.email) == ("Петренко І.", "050 111 22 33", "ivan@example.com")
    assert models.Link.objects.get(kind=Kind.COUNTERPARTY).external_id == "b1"


def test_a_buyer_who_fits_two_cards_is_parked_and_the_order_comes_without_a_card(hub: Hub, shop: Shop) -> None:
    for key in ("P", "Q"):
        models.Counterparty.objects.create(key=key, name=f"Петренко {key}", phone="050 111 22 33")
    shop.order("1")
    hub.run()
    parked = models.Parked.objects.get()
    assert (parked.kind, len(parked.facts["candidates"])) == ("counterparty", 2)
    assert models.Order.objects.get().counterparty is None


def test_two_site_ids_of_one_person_are_one_card(hub: Hub, shop: Shop) -> None:
    shop.order("1")
    hub.run()
    shop.order("2")
    hub.run()
    assert {o.counterparty_id for o in models.Order.objects.all()} == {models.Counterparty.objects.get().pk}
    assert not models.Parked.objects.exists()


def test_a_buyer_without_an_id_is_known_by_the_phone(hub: Hub, shop: Shop) -> None:
    shop.order("1", buyer={"last": "Гість", "phone": "+380671234567"})
    hub.run()
    shop.order("2", buyer={"last": "Гість", "phone": "067 123 45 67"})
    hub.run()
    assert models.Link.objects.get(kind=Kind.COUNTERPARTY).external_id == "phone:0671234567"
    assert models.Counterparty.objects.count() == 1


def test_buyers_with_a_phone_of_too_few_digits_are_not_taken_for_one_person(hub: Hub, shop: Shop) -> None:
    models.Counterparty.objects.create(key="P", name="Петренко І.", phone="21-05")
    shop.order("1", buyer={"last": "Гість", "phone": "2105"})
    shop.order("2", buyer={"last": "Бондар", "phone": "21 05"})
    shop.order("3", buyer={"id": "77", "last": "Шевчук", "phone": "2105"})
    hub.run()
    assert not models.Parked.objects.exists()
    found = models.Order.objects.order_by("key").values_list("counterparty__name", "counterparty__phone")
    assert [(name.split()[0], phone) for name, phone in found] == [("Гість", "2105"), ("Бондар", "21 05"), ("Шевчук", "2105")]
    assert models.Counterparty.objects.count() == 4


def test_a_new_card_gets_the_group_and_the_properties_of_the_table(hub: Hub, shop: Shop) -> None:
    """F23, F24: what is not listed is not taken, a path of their order is, and what no card has becomes a requisite."""
    rows = [
        ("phone", "phone"),
        ("email", "buyer.mail"),
        ("full_name", "buyer.nick"),
        ("Примітка", "note"),
        ("address", "delivery.address"),
    ]
    text = '{{"properties": [{}]}}'.format(", ".join(f'{{"ours": "{ours}", "theirs": "{theirs}"}}' for ours, theirs in rows))
    hub.set(buyer_properties=text, buyers_group="Покупці Kit")
    shop.order("1")
    shop.orders["1"]["buyer"]["nick"] = "ivan77"
    hub.run()
    row = models.Counterparty.objects.get()
    assert (row.phone, row.email, row.full_name, row.first_name) == ("+38 (050) 111-22-33", "ivan@example.com", "ivan77", "")
    assert row.address["text"] == "Київ, відділення 5"
    assert row.requisites == [["Примітка", "подзвоніть"], ["Группа", "Покупці Kit"]]
    models.Counterparty.objects.update(requisites=[["Группа", "Постійні"]])
    shop.order("1", note="інше")
    hub.run()
    assert models.Counterparty.objects.get().requisites == [["Группа", "Постійні"]]


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        ("take", ("new@example.com", "Нова адреса")),
        ("if_empty", ("ivan@example.com", "Нова адреса")),
        ("if_new", ("ivan@example.com", "")),
    ],
)
def test_what_they_say_of_a_known_buyer_goes_by_the_policy(hub: Hub, shop: Shop, policy: str, kept: tuple[str, str]) -> None:
    hub.set(buyers_policy=policy)
    shop.order("1", delivery=None)
    hub.run()
    shop.order("1", delivery={"id": "13", "name": "НП", "address": "Нова адреса"})
    shop.orders["1"]["buyer"]["mail"] = "new@example.com"
    hub.run()
    row = models.Counterparty.objects.get()
    assert (row.email, (row.address or {}).get("text", "")) == kept


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{", "no table"),
        ('{"properties": [{"ours": "phone"}]}', "“phone” has no counterpart"),
        ('{"properties": ["x"]}', "no table"),
    ],
)
def test_a_table_of_properties_that_cannot_be_used_is_refused(hub: Hub, value: str, said: str) -> None:
    with pytest.raises(NeedsOwner, match=said):
        hub.set(buyer_properties=value)


# --- what goes with every order --------------------------------------------------------------------------------------------


def test_every_order_gets_what_the_settings_say(hub: Hub, shop: Shop) -> None:
    for subject, key, name in (
        (Subject.ORGANISATION, "o", "ФОП Коваль"),
        (Subject.AGREEMENT, "a", "Типова угода"),
        (Subject.WAREHOUSE, "w", "Основний склад"),
        (Subject.MANAGER, "m", "Олена"),
        (Subject.ORDER_KIND, "k", "Інтернет"),
        (Subject.ORDER_OPERATION, "p", "Продаж"),
        (Subject.DELIVERY, "d", "Кур'єр"),
    ):
        reference(subject, key, name)
    hub.set(
        organisation="o", agreement="a", warehouse="w", manager="m", order_kind="k", operation="p", default_delivery="d",
        order_currency="USD", number_prefix="KT-", comment="З маркетплейсу",
    )  # fmt: skip
    made = datetime.fromisoformat("2026-03-02T09:30:00+00:00")
    shop.order("1", made=made)
    hub.run()
    order = orders()["1"]
    assert (order.organisation, order.warehouse, order.manager, order.currency, order.number) == ("o", "w", "m", "USD", "KT-N1")
    assert (order.comment, order.payments[0].currency) == ("З маркетплейсу\nподзвоніть", "USD")
    assert order.delivery
    assert (order.delivery.method, order.delivery.method_key) == ("Кур'єр", "d")
    assert dict(order.requisites) == {
        "Номер заказа на сайте": "N1",
        "Дата заказа на сайте": "2026-03-02T11:30:00",
        "ИД доставки на сайте": "13",
        "Вид заказа": "Інтернет",
        "Операция": "Продаж",
        "Организация": "ФОП Коваль",
        "Соглашение": "Типова угода",
        "Склад": "Основний склад",
    }


def test_a_delivery_that_is_part_of_the_sum_becomes_a_line_with_the_service_of_the_books(hub: Hub, shop: Shop) -> None:
    hub.set(delivery_product="svc")
    way = {"id": "13", "name": "НП", "address": "", "price": "50"}
    shop.order("1", total="250", delivery=way)
    shop.order("2", total="200", delivery=way)
    shop.order("3", total="999", delivery=way)
    run = hub.run()
    lines = {key: [(li.offer, li.kind, li.total) for li in order.lines] for key, order in orders().items()}
    goods = ("A", "product", Decimal(200))
    assert lines == {"1": [goods, ("svc", "delivery", Decimal(50))], "2": [goods], "3": [goods]}
    assert "Order N3: its lines and delivery make 200, Kit market says 999" in hub.said(run)


def test_orders_that_were_made_before_the_date_are_left_out_but_their_cancellations_are_not(hub: Hub, shop: Shop) -> None:
    shop.order("1", made=timezone.now() - timedelta(days=5))
    hub.run()
    hub.set(orders_from=f"{timezone.now() - timedelta(days=1):%Y-%m-%d}")
    shop.order("2", made=timezone.now() - timedelta(days=5))
    shop.edit("1", status="canceled")
    run = hub.run()
    assert {key: order.cancelled for key, order in orders().items()} == {"1": True}
    assert any(text.startswith("Orders made before") for text in hub.said(run))
    with pytest.raises(NeedsOwner, match="“May” is no date"):
        hub.set(orders_from="May")


def test_two_marketplaces_may_have_the_same_number(hub: Hub, shop: Shop) -> None:
    save_order(Order("1", "N1", timezone.now()))
    shop.order("1")
    hub.run()
    assert set(orders()) == {"1", f"1@{hub.connection.slug}"}


def test_a_preview_says_what_would_come_and_writes_nothing(hub: Hub, shop: Shop) -> None:
    shop.order("1")
    shop.order("2", status="paid")
    run = hub.run(preview=True)
    assert counted(run) == {"created": 2, "left_out": 1}
    assert not models.Order.objects.exists()
    assert connections.hub_of(hub.connection).recall("orders-skipped") is None
