"""News of an order folded into it: what they say changes it once, what they do not say stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from obmen.core.orders import apply_news
from obmen.core.records import Delivery, Order, OrderLine, OrderNews, Payment, Shipment

D = Decimal
WHEN = datetime(2026, 3, 2, tzinfo=UTC)
KETTLE = OrderLine("g1", "Чайник", D(2), D(60), D(120), article="A-1", options=(("Колір", "синій"),))
CUP = OrderLine("g2#c1", "Чашка", D(1), D(50), D(50), article="B-1")
ORDER = Order("1", "1001", WHEN, state="new", currency="UAH", total=D(170), lines=(KETTLE, CUP))
NEWS = OrderNews("1c-guid", "1001")


def fields(order: Order, news: OrderNews, **more: object) -> set[str]:
    return {name for name, _old, _new in apply_news(order, news, **more).changes}  # type: ignore[arg-type]


def test_news_that_say_nothing_change_nothing() -> None:
    assert apply_news(ORDER, NEWS).order == ORDER
    assert apply_news(ORDER, NEWS).changes == ()


def test_a_state_is_taken_by_the_mapping_and_reported_without_one() -> None:
    news = replace(NEWS, state="P", state_name="Оплачен")
    folded = apply_news(ORDER, news, state_of=lambda ident, name: "paid" if (ident, name) == ("P", "Оплачен") else None)
    assert (folded.order.state, folded.changes, folded.unmapped) == ("paid", (("state", "new", "paid"),), "")
    folded = apply_news(ORDER, replace(news, cancelled=True), state_of=lambda *_: None)
    assert (folded.order.state, folded.order.cancelled, folded.unmapped) == ("new", True, "P")


def test_cancelled_or_deleted_there_is_cancelled_here() -> None:
    assert apply_news(ORDER, replace(NEWS, cancelled=True, cancel_reason="немає")).order == replace(
        ORDER, cancelled=True, cancel_reason="немає"
    )
    assert apply_news(ORDER, replace(NEWS, deleted=True)).order.cancelled


def test_only_a_cancellation_that_is_said_to_be_off_brings_an_order_back() -> None:
    cancelled = replace(ORDER, cancelled=True)
    assert apply_news(cancelled, NEWS).order.cancelled
    assert not apply_news(cancelled, replace(NEWS, cancelled=False)).order.cancelled


def test_paid_there_marks_the_open_payment_with_number_and_date() -> None:
    order = replace(ORDER, payments=(Payment("p", D(170), method="Картка"),))
    news = replace(NEWS, paid=True, payment_number="П-5", payment_date=WHEN)
    after = apply_news(order, news).order
    assert (after.paid, after.payments) == (True, (Payment("p", D(170), method="Картка", number="П-5", date=WHEN, paid=True),))
    assert apply_news(after, news).changes == ()


def test_paid_there_without_a_payment_here_makes_one() -> None:
    news = replace(NEWS, paid=True, payment_number="П-5", payment_date=WHEN)
    after = apply_news(ORDER, news).order
    assert after.payments == (Payment("П-5", D(170), number="П-5", date=WHEN, paid=True, currency="UAH", order="1"),)
    assert apply_news(after, news).changes == ()


def test_payment_documents_are_found_by_id_and_a_part_is_not_the_whole() -> None:
    part = Payment("p", D(70), number="7", paid=True)
    after = apply_news(ORDER, replace(NEWS, payments=(part,))).order
    assert (after.payments, after.paid) == ((part,), None)
    rest = Payment("q", D(100), number="8", paid=True)
    after = apply_news(after, replace(NEWS, payments=(part, rest))).order
    assert (after.payments, after.paid) == ((part, rest), True)


def test_shipped_there_is_shipped_here() -> None:
    news = replace(NEWS, shipped=True, shipment_number="О-6", shipment_date=WHEN, tracking="TTN")
    after = apply_news(ORDER, news).order
    assert (after.shipped, after.shipments, after.delivery) == (
        True,
        (Shipment("О-6", number="О-6", date=WHEN, shipped=True, tracking="TTN", order="1"),),
        Delivery(tracking="TTN"),
    )
    assert apply_news(after, news).changes == ()


def test_lines_in_other_words_are_the_same_lines() -> None:
    there = (replace(KETTLE, offer="g1#made-of-options", name="Чайник#Колір: синій", options=()), replace(CUP, offer="g2#c1"))
    assert apply_news(ORDER, replace(NEWS, lines=there, total=D(170))).changes == ()


def test_a_changed_quantity_keeps_what_only_we_know_of_the_line() -> None:
    there = (replace(KETTLE, options=(), quantity=D(1), total=D(60)), CUP)
    after = apply_news(ORDER, replace(NEWS, lines=there, total=D(110))).order
    assert (after.lines, after.total) == ((replace(KETTLE, quantity=D(1), total=D(60)), CUP), D(110))


def test_removed_and_added_lines_are_taken() -> None:
    spoon = OrderLine("g3", "Ложка", D(4), D(5), D(20))
    after = apply_news(ORDER, replace(NEWS, lines=(CUP, spoon), total=D(70))).order
    assert (after.lines, after.total) == ((CUP, spoon), D(70))


def test_variants_of_one_product_are_not_mixed_up_by_their_article() -> None:
    red, blue = replace(CUP, offer="g2#red"), replace(CUP, offer="g2#blue")
    order = replace(ORDER, lines=(red, blue))
    assert apply_news(order, replace(NEWS, lines=(blue, red))).changes == ()
    assert apply_news(order, replace(NEWS, lines=(replace(blue, quantity=D(2), total=D(100)), red))).order.lines == (
        replace(blue, quantity=D(2), total=D(100)),
        red,
    )


def test_the_delivery_line_that_comes_back_is_no_line_of_goods() -> None:
    order = replace(ORDER, delivery=Delivery(price=D(50)), total=D(220))
    line = OrderLine("ORDER_DELIVERY", "Доставка заказа", D(1), D(50), D(50), kind="service")
    assert apply_news(order, replace(NEWS, lines=(line, KETTLE, CUP), total=D(220))).changes == ()
    dearer = replace(line, price=D(70), total=D(70))
    after = apply_news(order, replace(NEWS, lines=(dearer, KETTLE, CUP), total=D(240))).order
    assert (after.delivery, after.lines, after.total) == (Delivery(price=D(70)), (KETTLE, CUP), D(240))


def test_parts_that_the_owner_does_not_take_stay() -> None:
    news = replace(
        NEWS, cancelled=True, paid=True, payment_number="1", shipped=True, shipment_number="2", lines=(CUP,), total=D(50)
    )
    assert fields(ORDER, news, parts=()) == set()
    assert fields(ORDER, news, parts=("cancel",)) == {"cancelled"}
    assert fields(ORDER, news, parts=("payment",)) == {"paid", "payments"}
    assert fields(ORDER, news, parts=("shipment",)) == {"shipped", "shipments"}
    assert fields(ORDER, news, parts=("lines",)) == {"lines", "total"}


def test_their_number_and_date_are_kept_as_requisites() -> None:
    news = replace(NEWS, number_there="00-000123", date_there=WHEN)
    after = apply_news(ORDER, news).order
    assert after.requisites == (("Номер по 1С", "00-000123"), ("Дата по 1С", "2026-03-02T00:00:00+00:00"))
    assert apply_news(after, news).changes == ()
    assert dict(apply_news(after, replace(news, number_there="00-000124")).order.requisites)["Номер по 1С"] == "00-000124"


MARKS = {"shipped": "Shipped", "cancelled": "Cancelled", "posted": "Taken"}


@pytest.mark.parametrize(
    ("news", "state"),
    [
        (OrderNews("1", shipped=True), "Shipped"),
        (OrderNews("1", shipped=True, cancelled=True), "Cancelled"),
        (OrderNews("1", posted=True, number_there="77"), "Taken"),
        (OrderNews("1", paid=True), "new"),
        (OrderNews("1", shipped=True, state_name="Packed"), "Packed"),
    ],
)
def test_a_new_mark_of_1c_brings_the_state_that_the_settings_name(news: OrderNews, state: str) -> None:
    folded = apply_news(replace(ORDER, state="new"), news, state_of=lambda ident, name: name, marks=MARKS)
    assert folded.order.state == state


def test_a_mark_that_was_there_before_brings_no_state_back() -> None:
    shipped = apply_news(replace(ORDER, state="new"), OrderNews("1", shipped=True), marks=MARKS).order
    moved = replace(shipped, state="Delivered")
    assert apply_news(moved, OrderNews("1", shipped=True), marks=MARKS).order.state == "Delivered"
