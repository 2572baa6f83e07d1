"""What orders and goods of Rozetka become: every place where a value may stand, and what is not said (facts §3.4, §3.5, §3.7)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from obmen.connectors.rozetka import convert, statuses
from obmen.connectors.rozetka.convert import Ways
from obmen.core.contract import BadRecord
from obmen.core.records import Subject
from sandbox.market_calls import SAMPLES

ITEM = {"id": 344, "name": "Cup", "name_ua": "Чашка", "article": "ART-1", "price_offer_id": "A-1", "uploader_offer_id": "U-1"}
LINE = {
    "id": 7001, "item_id": 344, "item_name": "Чашка біла", "price": "100.00", "price_with_discount": "90.00", "quantity": 3,
    "cost": "300.00", "cost_with_discount": "270.00", "status": 1, "kit_id": 0, "item": ITEM,
}  # fmt: skip
ORDER = {
    "id": 248888186,
    "created": "2026-09-23 12:34:56",
    "changed": "2026-09-23 12:40:00",
    "amount": "300.00",
    "amount_with_discount": "270.00",
    "cost": "350.00",
    "cost_with_discount": "320.00",
    "status": 1,
    "status_group": 1,
    "comment": "Подзвоніть",
    "user_phone": "380501112233",
    "user_title": {"first_name": "Іван", "last_name": "Петренко", "second_name": "Ілліч", "full_name": "Петренко Іван Ілліч"},
    "recipient_title": {"first_name": "Стара", "last_name": "Назва", "second_name": ""},
    "recipient_phone": "380509998877",
    "ttn": "",
    "is_viewed": False,
    "callback_off": 1,
    "duplicate_order_id": 111,
    "user": {"id": 39919762, "has_email": True, "contact_fio": "Петренко Іван", "email": "ivan@example.com"},
    "delivery": {
        "delivery_service_id": 5, "delivery_service_name": "Нова Пошта", "delivery_method_id": 1, "recipient_title": "Петренко Олена",
        "recipient_first_name": "Олена", "recipient_last_name": "Петренко", "recipient_second_name": "", "recipient_phone": "0671234567",
        "place_street": "просп. Перемоги", "place_number": "253", "place_house": "89а", "place_flat": None, "cost": "50.00",
        "ref_id": "1692281f-e1c2-11e3-8c4a-0050568002cf", "city": {"id": 1, "name": "Киев", "name_ua": "Київ", "title": "Киев"},
    },
    "purchases": [LINE],
    "status_data": {"id": 1, "name": "Новый заказ", "name_uk": "Нове замовлення", "name_en": "New Order"},
    "payment": {
        "payment_method_id": 2, "payment_method_name": "Оплатити зараз", "payment_type": "card", "payment_type_title": "Картка",
        "payment_status": {"status_payment_id": 2, "name": "paid"},
    },
}  # fmt: skip


def order(**changes: Any) -> dict[str, Any]:
    return {**json.loads(json.dumps(ORDER)), **changes}


def line(**changes: Any) -> dict[str, Any]:
    return {**json.loads(json.dumps(LINE)), **changes}


def sample(name: str) -> Any:
    path = SAMPLES / "rozetka" / name
    if not path.exists():
        pytest.skip("the recorded samples are not here")
    return json.loads(path.read_text("utf-8"), parse_float=Decimal)["content"]


# --- the whole ------------------------------------------------------------------------------------------------------------------


def test_an_order_says_all_of_it() -> None:
    made = convert.draft(order())
    one = made.order
    assert (one.key, one.number, one.date) == ("248888186", "248888186", datetime(2026, 9, 23, 9, 34, 56, tzinfo=UTC))
    assert (one.state, one.currency, one.total, one.comment) == ("1", "UAH", Decimal(320), "Подзвоніть")
    assert (one.paid, one.cancelled, one.cancel_reason, one.shipped) == (True, False, "", None)
    (row,) = one.lines
    assert (row.offer, row.name, row.article, row.key) == ("344", "Чашка біла", "ART-1", "7001")
    assert (row.quantity, row.price, row.discount, row.total) == (3, 100, 30, 270)
    assert made.codes == {"344": "A-1"}
    delivery = one.delivery
    assert delivery is not None
    assert (delivery.method_key, delivery.method, delivery.price, delivery.tracking) == ("5", "Нова Пошта", Decimal(50), "")
    assert (delivery.recipient, delivery.phone, delivery.pickup) == ("Петренко Олена", "+380671234567", "№253")
    assert delivery.address == "Київ, №253, просп. Перемоги, 89а"
    (payment,) = one.payments
    assert (payment.method_key, payment.method, payment.amount, payment.paid) == ("2", "Оплатити зараз", Decimal(320), True)
    assert one.requisites == (
        ("Не перезванивать", "true"),
        ("Идентификатор отделения", "1692281f-e1c2-11e3-8c4a-0050568002cf"),
    )
    assert made.names == {
        (Subject.ORDER_STATE, "1"): "Нове замовлення",
        (Subject.DELIVERY, "5"): "Нова Пошта",
        (Subject.PAYMENT_KIND, "2"): "Оплатити зараз",
    }


def test_what_is_used_of_an_order_makes_the_same_draft_and_leaves_out_what_is_no_news() -> None:
    noise = order(
        is_viewed=True,
        changed="2026-09-24 00:00:00",
        status_available=[{"child_id": 26}],
        count_buyer_orders=273,
        chatMessages=[1],
    )
    assert convert.used(noise) == convert.used(order())
    courier = order(delivery=ORDER["delivery"] | {"delivery_method_id": 2, "place_flat": "12"})  # type: ignore[operator]
    flat = order(payment=None, payment_method_id=2, payment_type="card", payment_type_name="Картка", status_payment={"id": 2})
    for said, raw in ((noise, order()), (courier, courier), (flat, flat)):
        assert convert.draft(convert.used(said)) == convert.draft(raw)
        assert convert.buyer(convert.used(said)) == convert.buyer(raw)
    assert convert.used(order(status=26)) != convert.used(order())


@pytest.mark.parametrize(
    "change",
    [
        {"status": 26}, {"ttn": "2045"}, {"comment": "інше"}, {"purchases": []}, {"payment": {}}, {"delivery": {}},
        {"user_phone": "380500000000"}, {"cost_with_discount": "1.00"}, {"status_group": 3},
    ],
)  # fmt: skip
def test_what_we_use_is_news(change: dict[str, Any]) -> None:
    assert convert.used(order(**change)) != convert.used(order())


@pytest.mark.parametrize(
    "name", ["orders_search_expanded.json", "order_details_expanded.json", "order_put_response_expanded.json"]
)
def test_recorded_orders_are_understood(name: str) -> None:
    said = sample(name)
    raw = said["orders"][0] if "orders" in said else said
    made = convert.draft(raw)
    assert made.order.key == str(raw["id"])
    assert sum(row.total for row in made.order.lines) == sum(Decimal(p["cost_with_discount"]) for p in raw["purchases"])
    assert set(made.codes.values()) == {p["item"]["price_offer_id"] for p in raw["purchases"]}
    assert made.order.paid is False  # all of them are paid when they are taken
    buyer = convert.buyer(raw)
    assert buyer is not None
    assert (buyer.key, buyer.name, buyer.email) == (str(raw["user"]["id"]), "Василенко Василь", "")


def test_an_order_that_was_not_expanded_is_refused_and_not_taken_as_empty() -> None:
    raw = sample("order_details_min.json")
    for said in (raw, convert.used(raw)):
        with pytest.raises(BadRecord) as met:
            convert.draft(said)
        assert met.value.facts["field"] == "purchases"


# --- bad input --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (order(created="yesterday"), "created"),
        (order(created=None), "created"),
        (order(purchases="none"), "purchases"),
        (order(cost_with_discount="many"), "cost_with_discount"),
        (order(cost_with_discount="NaN"), "cost_with_discount"),
        (order(purchases=[line(quantity=None)]), "purchases[7001].quantity"),
        (order(purchases=[line(quantity="a few")]), "purchases[7001].quantity"),
        (order(purchases=[line(price="x")]), "purchases[7001].price"),
        (order(purchases=[{"id": 7001, "quantity": 1}]), "purchases[7001].price"),
        (order(delivery={"cost": "free"}), "delivery.cost"),
        (order(created="0001-01-01 00:00:00"), "created"),
        (order(created="9999-12-31 23:59:59"), "created"),
        (order(cost_with_discount="1e999999"), "cost_with_discount"),
        (order(purchases=[line(price="9e999999")]), "purchases[7001].price"),
        (order(purchases=[line(quantity="1e-999999")]), "purchases[7001].quantity"),
        (order(purchases=[line(quantity="9" * 40)]), "purchases[7001].quantity"),
        (order(purchases=[{"id": 7001, "quantity": "1e-20", "cost_with_discount": "5"}]), "purchases[7001].price"),
        (order(purchases=[{"id": 7001, "quantity": "9" * 11, "price": "9" * 11}]), "purchases[7001].cost"),
    ],
)
def test_a_bad_field_is_named(raw: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRecord) as met:
        convert.draft(raw)
    assert (met.value.facts["field"], met.value.facts["number"]) == (field, "248888186")


@pytest.mark.parametrize("raw", [{}, {"id": None}, {"id": []}, {"orders": []}])
def test_what_is_no_order_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(BadRecord, match="no id"):
        convert.draft(raw)


def test_parts_of_another_kind_are_not_said() -> None:
    """PHP writes an empty map as a list."""
    made = convert.draft(order(delivery=[], payment=[], user=[], user_title=[], status_data=[]))
    assert made.order.delivery is not None
    assert (made.order.delivery.method_key, made.order.delivery.price) == ("", None)
    assert made.order.payments == ()
    assert made.order.paid is None


# --- money ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "total"),
    [
        ({}, "320"),
        ({"cost_with_discount": None}, "350"),
        ({"cost_with_discount": None, "cost": ""}, "270"),
        ({"cost_with_discount": None, "cost": None, "amount_with_discount": None}, "300"),
        ({"cost_with_discount": None, "cost": None, "amount_with_discount": None, "amount": None}, "270"),
        ({"cost_with_discount": "0.00"}, "0"),
        ({"cost_with_discount": "1 713,50"}, "1713.50"),
    ],
)
def test_the_total_is_what_the_buyer_pays(change: dict[str, Any], total: str) -> None:
    assert convert.draft(order(**change)).order.total == Decimal(total)


@pytest.mark.parametrize(
    ("change", "price", "discount", "total"),
    [
        ({}, "100", "30", "270"),
        ({"price_with_discount": "100.00", "cost_with_discount": "300.00"}, "100", "0", "300"),
        ({"cost_with_discount": None}, "100", "30", "270"),
        ({"cost_with_discount": None, "cost": None, "price_with_discount": None}, "100", "0", "300"),
        ({"price": None, "price_with_discount": None}, "90", "0", "270"),
        ({"price": "80.00"}, "90", "0", "270"),  # less than what is paid: there is no discount
    ],
)
def test_a_line_has_its_discount_within_the_total(change: dict[str, Any], price: str, discount: str, total: str) -> None:
    (row,) = convert.draft(order(purchases=[line(**change)])).order.lines
    assert (row.price, row.discount, row.total) == (Decimal(price), Decimal(discount), Decimal(total))
    assert row.price * row.quantity - row.discount == row.total


def test_a_delivery_whose_cost_is_not_said_costs_nothing_that_we_know() -> None:
    made = convert.draft(order(delivery=ORDER["delivery"] | {"cost": None}))  # type: ignore[operator]
    assert made.order.delivery is not None
    assert made.order.delivery.price is None


# --- lines -------------------------------------------------------------------------------------------------------------------------


def test_removed_lines_are_left_out_and_returned_ones_are_noted() -> None:
    """§3.4: 1 actual, 2 returned, 0 removed by an edit."""
    rows = [line(), line(id=7002, item_id=345, status=0), line(id=7003, item_id=346, status=2, item_name="Миска", quantity=1)]
    made = convert.draft(order(purchases=rows))
    assert [row.key for row in made.order.lines] == ["7001"]
    assert ("Возвращенные товары", "Миска × 1") in made.order.requisites
    assert made.codes == {"344": "A-1"}


def test_a_line_without_a_status_is_actual() -> None:
    assert len(convert.draft(order(purchases=[{k: v for k, v in LINE.items() if k != "status"}])).order.lines) == 1


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (ITEM, "A-1"),
        (ITEM | {"price_offer_id": ""}, "U-1"),
        (ITEM | {"price_offer_id": None, "uploader_offer_id": None}, "ART-1"),
        ({"id": 344}, None),
        (None, None),
    ],
)
def test_the_seller_s_code_stands_within_the_item_in_one_of_three_places(item: Any, code: str | None) -> None:
    made = convert.draft(order(purchases=[line(item=item, price_offer_id="wrong", article="wrong")]))
    assert made.codes.get("344") == code


def test_a_line_without_the_site_id_takes_it_from_the_item() -> None:
    (row,) = convert.draft(order(purchases=[line(item_id=None)])).order.lines
    assert row.offer == "344"
    (row,) = convert.draft(order(purchases=[line(item_id=None, item=None)])).order.lines
    assert row.offer == ""


# --- people and places -----------------------------------------------------------------------------------------------------------


def test_a_buyer_has_the_id_of_the_site() -> None:
    who = convert.buyer(order())
    assert who is not None
    assert (who.key, who.name, who.last_name, who.first_name, who.middle_name) == (
        "39919762", "Петренко Іван Ілліч", "Петренко", "Іван", "Ілліч",
    )  # fmt: skip
    assert (who.phone, who.email) == ("+380501112233", "ivan@example.com")
    assert who.address is not None
    assert who.address.text == "Київ, №253, просп. Перемоги, 89а"


@pytest.mark.parametrize("said", [True, "true", "", None])
def test_an_address_that_they_hide_is_none(said: Any) -> None:
    who = convert.buyer(order(user={"id": 5, "contact_fio": "Петренко Іван", "email": said}))
    assert who is not None
    assert who.email == ""


def test_a_buyer_without_titles_is_named_by_the_contact() -> None:
    who = convert.buyer(order(user_title=None))
    assert who is not None
    assert (who.name, who.last_name) == ("Петренко Іван", "")


def test_nobody_is_nobody() -> None:
    assert convert.buyer({"id": 1}) is None
    who = convert.buyer(order(user=None))
    assert who is not None
    assert who.key == ""


def test_an_unreadable_cost_of_delivery_does_not_hide_the_buyer() -> None:
    assert convert.buyer(order(delivery={"cost": "free"})) is not None


@pytest.mark.parametrize(
    ("said", "phone"),
    [
        ("380501112233", "+380501112233"), ("+38 (050) 111-22-33", "+380501112233"), ("0501112233", "+380501112233"),
        ("48123456789", "48123456789"), ("", ""), (None, ""),
    ],
)  # fmt: skip
def test_phones_are_written_in_one_way(said: Any, phone: str) -> None:
    assert convert.phone(said) == phone


def test_the_recipient_s_parts_go_before_the_title_and_both_before_the_deprecated_one() -> None:
    bare = {"delivery_service_id": 5}
    assert convert._recipient(order(), ORDER["delivery"]) == "Петренко Олена"  # type: ignore[arg-type]
    assert convert._recipient(order(), bare | {"recipient_title": "Шевченко Юлія"}) == "Шевченко Юлія"
    assert convert._recipient(order(), bare) == "Назва Стара"


def test_a_courier_gets_house_and_flat_instead_of_a_branch() -> None:
    delivery = ORDER["delivery"] | {"delivery_method_id": 2, "place_number": "7", "place_flat": "12"}  # type: ignore[operator]
    made = convert.draft(order(delivery=delivery)).order.delivery
    assert made is not None
    assert (made.address, made.pickup) == ("Київ, просп. Перемоги, 89а, кв. 12", "")


# --- payments ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "paid", "refund"),
    [
        (1, False, False), (2, True, False), (3, False, False), (4, False, False), (5, False, False), (6, False, False),
        (7, False, False), (8, False, True), (9, True, False), (10, True, False), (None, None, False),
    ],
)  # fmt: skip
def test_what_a_payment_status_means(status: int | None, paid: bool | None, refund: bool) -> None:
    """§3.4: a held sum is not the seller's yet, a part is not the whole; who says nothing says nothing."""
    payment = ORDER["payment"] | {"payment_status": status and {"status_payment_id": status}}  # type: ignore[operator]
    made = convert.draft(order(payment=payment)).order
    assert (made.paid, made.payments[0].paid, made.payments[0].refund) == (paid, bool(paid), refund)


def test_flat_fields_count_where_there_is_no_payment() -> None:
    flat = {"payment_method_id": 2, "payment_type": "card", "payment_type_name": "Оплатити зараз"}
    made = convert.draft(order(payment=None, status_payment={"order_id": 1, "status_payment_id": 3}, **flat)).order
    assert (made.paid, made.payments[0].method_key, made.payments[0].method) == (False, "2", "Оплатити зараз")
    made = convert.draft(order(payment=None, status_payment={"id": 2, "name": "paid"}, **flat)).order  # the other form (§9)
    assert made.paid is True
    both = order(status_payment={"status_payment_id": 1})
    assert convert.draft(both).order.paid is True  # payment goes before the flat fields


@pytest.mark.parametrize(
    ("said", "cash"),
    [
        ({"payment_type": "cash"}, True),
        ({"payment_type": "card"}, False),
        ({"payment_type": "credit", "payment_type_name": "Оплата частинами"}, False),
        ({"payment_type": "undefined", "payment_type_name": "Оплата під час отримання товару"}, True),
        ({"payment_type_name": "Наличная"}, True),
        ({"payment_type_name": "Наложенный платёж"}, True),
        ({"payment_type_name": "Післяплата Нової Пошти"}, True),
        ({"payment_type_title": "Готівкова"}, True),
        ({"payment_type_name": "Безготівковий для юридичних осіб"}, False),
        ({"payment_type_name": "Безналичный расчет"}, False),
        ({"payment_type_name": "Google Pay"}, False),
        ({}, None),
    ],
)
def test_cash_is_told_by_the_type_and_else_by_the_name(said: dict[str, Any], cash: bool | None) -> None:
    assert convert.is_cash({"id": 1, **said}) is cash


@pytest.mark.parametrize(("status", "paid"), [(1, False), (26, False), (5, False), (6, True), (40, False)])
def test_cash_is_paid_once_the_order_is_done(status: int, paid: bool) -> None:
    """§3.4: cash has no payment status, its money is final at status 6."""
    payment = {"payment_method_id": 1, "payment_method_name": "Оплата під час отримання товару", "payment_type": "cash"}
    assert convert.draft(order(status=status, status_group=None, payment=payment)).order.paid is paid


# --- states -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "group", "cancelled"), [(45, 3, True), (45, None, True), (6, 2, False), (26, None, False), (26, 3, True)]
)
def test_the_group_that_they_say_goes_before_the_one_that_is_assumed(status: int, group: int | None, cancelled: bool) -> None:
    made = convert.draft(order(status=status, status_group=group, status_data=None)).order
    assert made.cancelled is cancelled
    assert made.cancel_reason == (statuses.NAMES[str(status)] if cancelled else "")


def test_the_other_order_is_told_of_a_repeated_one_only() -> None:
    """Theirs holds a number also where nothing is repeated."""
    assert "Дубль заказа" not in dict(convert.draft(order()).order.requisites)
    assert dict(convert.draft(order(status=49, status_group=3)).order.requisites)["Дубль заказа"] == "111"


@pytest.mark.parametrize(
    ("row", "language", "name"),
    [
        ({"name": "Новый", "name_uk": "Нове", "name_en": "New"}, "uk", "Нове"),
        ({"name": "Новый", "name_ua": "Нове", "name_en": "New"}, "uk", "Нове"),  # the older spelling (§3.5)
        ({"name": "Новый", "name_uk": "Нове", "name_en": "New"}, "en", "New"),
        ({"name": "Новый", "name_uk": "Нове"}, "ru", "Новый"),
        ({"name_uk": "Нове"}, "en", "Нове"),
        ({"title": "Нове"}, "uk", "Нове"),
    ],
)
def test_a_status_is_named_in_the_language_or_else_in_ukrainian(row: dict[str, Any], language: str, name: str) -> None:
    assert convert.status_name(row, language) == name


def test_an_unknown_status_goes_through_as_it_is() -> None:
    made = convert.draft(order(status=997, status_data=None))
    assert (made.order.state, made.names[Subject.ORDER_STATE, "997"]) == ("997", "997")


# --- time -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("2026-01-15 12:00:00", datetime(2026, 1, 15, 10, tzinfo=UTC)),
        ("2026-07-15 12:00:00", datetime(2026, 7, 15, 9, tzinfo=UTC)),
        ("2026-10-25 03:30:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # comes twice: the first time
        ("", None),
        ("soon", None),
        ("0001-01-01 00:00:00", None),
        ("9999-12-31 23:59:59", None),
    ],
)
def test_times_are_kyiv_s(said: str, moment: datetime | None) -> None:
    assert convert.moment(said) == moment


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        (datetime(2026, 7, 15, 9, 0, 0, 588791, tzinfo=UTC), "2026-07-15 12:00:00"),
        (datetime(2026, 10, 25, 0, 50, tzinfo=UTC), "2026-10-25 02:50:00"),  # at 04:00 the clock goes back to 03:00
        (datetime(2026, 10, 25, 1, 10, tzinfo=UTC), "2026-10-25 03:10:00"),
        (datetime(2026, 10, 24, 22, 50, tzinfo=UTC), "2026-10-25 01:50:00"),
    ],
)
def test_a_search_begins_where_the_clock_shows_nothing_earlier_afterwards(moment: datetime, shown: str) -> None:
    assert str(convert.since(moment)) == shown


# --- ways -------------------------------------------------------------------------------------------------------------------------

GRAPH = {
    "1": ("26", "40", "49"), "26": ("55", "47", "2", "61", "42", "40"), "2": ("26", "4", "61"), "4": ("5", "6", "12"), "47": ("26", "18"),
    "55": ("26", "50"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("now", "wanted", "path"),
    [
        ("1", "26", ["26"]),
        ("1", "61", ["26", "61"]),
        ("1", "4", ["26", "2", "4"]),
        ("1", "42", ["26", "42"]),
        ("2", "6", ["4", "6"]),
        ("1", "6", []),  # four steps are too far
        ("1", "18", []),  # by 47 the buyer would be called
        ("1", "50", []),  # by 55 it would wait for money
        ("6", "26", []),
    ],
)
def test_the_shortest_way_leads_through_harmless_statuses_only(now: str, wanted: str, path: list[str]) -> None:
    raw = {"status": int(now), "status_available": [{"parent_id": int(now), "child_id": int(n)} for n in GRAPH.get(now, ())]}
    assert Ways(GRAPH).path(raw, wanted) == path


def test_what_the_order_itself_allows_goes_before_the_dictionary() -> None:
    raw = {"status": 1, "status_available": [{"child_id": 40}, {"child_id": 40}]}
    assert convert.available(raw) == ["40"]
    assert Ways(GRAPH).path(raw, "61") == []


@pytest.mark.parametrize(
    ("status", "wanted", "far"),
    [
        ("61", "61", True),
        ("80", "61", True),
        ("81", "2", True),
        ("6", "5", True),
        ("61", "6", False),
        ("26", "61", False),
        ("45", "61", False),
    ],
)
def test_how_far_a_parcel_is(status: str, wanted: str, far: bool) -> None:
    assert statuses.as_far(status, wanted) is far


# --- goods ------------------------------------------------------------------------------------------------------------------------


def test_a_recorded_card_is_understood() -> None:
    row = sample("goods_all.json")["items"][0]
    card = convert.card(row)
    assert (card.id, card.code, card.article, card.name) == ("344560030", "7372", "2348400", "Масляний фiльтр UFI (2348400)")
    assert (card.price, card.currency, card.quantity, card.vendor) == (Decimal(45003), "UAH", Decimal(15), "UFI")
    assert (card.group, card.group_name) == ("4656338", "Масляні фільтри")
    assert card.problem == "Заборонена категорія для продажу на сайті Rozetka"
    assert dict(card.facts) == {"item_id": "114053", "source": "107", "availability": "4", "content": "no"}
    assert convert.waiting_price(row) == Decimal(383)


def test_a_card_has_no_number_on_the_site_until_moderation() -> None:
    assert convert.card({"rz_item_id": None, "item_id": 5, "price_offer_id": "A-1"}).id == ""


def test_what_a_card_does_not_say_stays_unsaid() -> None:
    card = convert.card({"rz_item_id": 1, "price": None, "stock_quantity": "?"})
    assert (card.price, card.quantity, card.pictures, card.problem, card.gone) == (None, None, (), "", False)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"blocked_reason": [{"reason_id": 15, "title": "Заборонено"}, {"title": "Фото"}]}, "Заборонено; Фото"),
        ({"error_reason": ["Немає фото", "Немає назви"]}, "Немає фото; Немає назви"),
        ({"error_reason": {"name": ["Довга"]}}, "Довга"),
        ({"stop_words": ["best"]}, "best"),
        ({"available": 2, "available_title": "Видалено з прайса"}, "Видалено з прайса"),
        ({"blocked_reason": [], "error_reason": None}, ""),
    ],
)
def test_why_a_card_is_not_on_sale(row: dict[str, Any], said: str) -> None:
    assert convert.card({"rz_item_id": 1, **row}).problem == said


def test_a_card_keeps_what_a_change_of_it_needs() -> None:
    row = {"rz_item_id": 1, "item_id": 5, "sync_source": {"id": 107, "availability": 3}, "can_update_content_fields": False}
    assert convert.card(row).facts == (("item_id", "5"), ("source", "107"), ("availability", "3"), ("content", "no"))
    assert convert.card({"rz_item_id": 1, "item_id": 5, "can_update_content_fields": True}).facts == (("item_id", "5"),)


def test_an_archived_card_is_gone() -> None:
    assert convert.card({"rz_item_id": 1, "rz_sell_status": 5}).gone is True


def test_a_waiting_price_stands_in_one_of_two_places() -> None:
    assert convert.waiting_price({"updated_price": 200}) == 200
    assert convert.waiting_price({"prices": [{"price": 300}], "updated_price": 200}) == 300
    assert convert.waiting_price({"prices": [], "updated_price": None}) is None


# --- anything -----------------------------------------------------------------------------------------------------------------------

ODD = (
    None,
    True,
    7,
    -1,
    Decimal("1.5"),
    "",
    "x",
    "²",
    "9" * 40,
    "9" * 5000,
    "1e999999",
    "1e-999999",
    "0001-01-01 00:00:00",
    [],
    {},
    [None],
    [[]],
    [{"id": {}}],
    {"id": []},
    {"0": "x"},
)


def odd_ones(value: Any) -> Iterator[Any]:
    """The value with each of its parts replaced by each odd thing."""
    yield from ODD
    if isinstance(value, dict):
        for name, part in value.items():
            yield {k: v for k, v in value.items() if k != name}
            for odd in odd_ones(part):
                yield value | {name: odd}
    elif isinstance(value, list):
        for place, part in enumerate(value):
            for odd in odd_ones(part):
                yield [*value[:place], odd, *value[place + 1 :]]


def test_whatever_they_say_is_understood_or_refused_as_one_record() -> None:
    tried = 0
    for raw in odd_ones(ORDER | {"status_available": [{"child_id": 26}], "status_payment": {"status_payment_id": 2}}):
        if not isinstance(raw, dict):
            continue
        tried += 1
        for ask in (convert.draft, convert.buyer, lambda o: convert.draft(convert.used(o))):
            try:
                ask(raw)
            except BadRecord:
                continue
        convert.available(raw), convert.order_id(raw), Ways(GRAPH).path(raw, "61")
    assert tried > 800


def test_whatever_a_card_says_it_is_a_card() -> None:
    row = {
        "rz_item_id": 1, "item_id": 2, "price": 3, "stock_quantity": 4, "sync_source": {"availability": 4}, "photo": ["a"], "state": 1,
        "blocked_reason": [{"title": "x"}], "error_reason": ["x"], "stop_words": ["x"], "rz_category": {"id": 1}, "prices": [{"price": 1}],
        "rz_producer": {"title": "x"}, "rz_sell_status": 4, "available": 1,
    }  # fmt: skip
    for odd in odd_ones(row):
        if isinstance(odd, dict):
            convert.card(odd), convert.waiting_price(odd)
