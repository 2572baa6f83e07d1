"""What Prom says becomes exact records, and what a card is told becomes the row that Prom takes (facts on marketplaces §2.2–2.5)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.prom_kit import CUBE, NBSP, order
from obmen.connectors.prom import convert
from obmen.connectors.prom.settings import PromSettings
from obmen.core.contract import BadRecord
from obmen.core.records import Address, Counterparty, Delivery, OrderLine, Payment, Subject, digest
from obmen.market.api import Offering
from sandbox.market_calls import SAMPLES

S = PromSettings()


def draft(**changes: Any) -> Any:
    return convert.draft(order(**changes), S).order


def line(**changes: Any) -> Any:
    return order()["products"][0] | changes


# --- values ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "amount"),
    [
        ("1 713 грн", "1713"),
        (f"1{NBSP}234,50{NBSP}грн", "1234.50"),
        ("1\u202f234,50\u202fгрн.", "1234.50"),
        ("1.234,50 грн", "1234.50"),
        ("201.25", "201.25"),
        (571, "571"),
        (Decimal("0.5"), "0.5"),
        ("0", "0"),
        ("-12,5 грн", "-12.5"),
        ("1.234.567,50", "1234567.50"),
        ("1,234.50", "1234.50"),
        ("12 345 678 ₴", "12345678"),
        ("0.125", "0.125"),
    ],
)
def test_money_for_people_is_an_exact_amount(said: object, amount: str) -> None:
    assert convert.amount(said) == Decimal(amount)


@pytest.mark.parametrize("said", [None, "", "  "])
def test_money_that_is_not_said_stays_unknown_and_is_never_nothing(said: object) -> None:
    assert convert.amount(said) is None


@pytest.mark.parametrize("said", ["безкоштовно", "12-13", "-"])
def test_what_is_no_amount_is_an_error(said: str) -> None:
    with pytest.raises(ValueError, match=said):
        convert.amount(said)


@pytest.mark.parametrize(
    "said",
    [
        "5 грн 50 коп",
        "2 шт. по 500 грн",
        "1e3",
        "\u22125 грн",
        "1.234.567 грн",
        "1.234 грн",
        "5 50 грн",
        "1 тис. грн",
        [5],
        "9" * 40 + " грн",
        Decimal("1e999999"),
        Decimal("NaN"),
    ],
)
def test_an_amount_is_never_guessed(said: object) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        convert.amount(said)


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("2026-09-23T12:34:56.588791+03:00", datetime(2026, 9, 23, 9, 34, 56, 588791, UTC)),
        ("2026-09-23T10:00:00Z", datetime(2026, 9, 23, 10, 0, tzinfo=UTC)),
        ("2025-01-01T12:00:00", datetime(2025, 1, 1, 10, 0, tzinfo=UTC)),
        ("2025-07-01T12:00:00", datetime(2025, 7, 1, 9, 0, tzinfo=UTC)),
        ("yesterday", None),
        (None, None),
    ],
)
def test_dates_come_with_an_offset_with_z_or_in_kyiv_time(said: object, moment: datetime | None) -> None:
    assert convert.moment(said) == moment


# --- orders ----------------------------------------------------------------------------------------------------------------


def test_an_order_becomes_exactly_this() -> None:
    made = convert.draft(order(), S)
    assert made.order.lines == (
        OrderLine(
            "1500000001", "Кубик дерев'яний", Decimal(3), Decimal(571), Decimal(1713), article=CUBE, unit="шт."
        ),
    )  # fmt: skip
    assert made.order.delivery == Delivery(
        method="Нова Пошта",
        method_key="11111",
        price=Decimal(70),
        address="Київ, Відділення №253 (до 30 кг): вул. Щербаківського, 59",
        recipient="Петренко Олена",
        phone="+380671112233",
        pickup="Відділення №253",
    )
    paid_at = datetime(2026, 9, 23, 9, 36, 32, tzinfo=UTC)
    assert made.order.payments == (
        Payment("", Decimal(1783), "Пром-оплата", "22222", "evopay", date=paid_at, paid=True, currency="UAH"),
    )
    assert (made.order.key, made.order.number, made.order.state, made.order.total, made.order.discount, made.order.currency) == (
        "400000001",
        "400000001",
        "paid",
        Decimal(1783),
        Decimal(0),
        "UAH",
    )
    assert (made.order.date, made.order.comment, made.order.paid, made.order.cancelled) == (
        datetime(2026, 9, 23, 9, 34, 56, 588791, UTC),
        "Передзвоніть після 18:00",
        True,
        False,
    )
    assert dict(made.order.requisites) == {
        "Перевозчик": "nova_poshta",
        "Тип доставки": "W2W",
        "Город доставки": "Київ",
        "Вид отделения": "отделение",
        "Номер отделения": "253",
        "ИД отделения": "w-253",
        "Источник": "portal",
        "Не перезванивать": "да",
        "Льготная доставка": "да",
        "Состояние оплаты": "paid",
    }
    assert made.codes == {"1500000001": CUBE}
    assert made.names == {
        (Subject.ORDER_STATE, "paid"): "Оплачено",
        (Subject.DELIVERY, "11111"): "Нова Пошта",
        (Subject.PAYMENT_KIND, "22222"): "Пром-оплата",
    }


def test_the_buyer_is_who_ordered_and_not_who_gets_the_parcel() -> None:
    assert convert.buyer(order()) == Counterparty(
        key="9900001",
        name="Петренко Іван",
        full_name="Петренко Іван",
        last_name="Петренко",
        first_name="Іван",
        phone="+380501112233",
        email="ivan@example.com",
        address=Address("Київ, Відділення №253 (до 30 кг): вул. Щербаківського, 59"),
        contacts=(("Телефон", "+380501112233"), ("Почта", "ivan@example.com")),
    )


def test_a_buyer_without_an_account_has_no_key_and_nobody_is_nobody() -> None:
    guest = convert.buyer(order(client_id=None, client=None))
    assert guest is not None
    assert (guest.key, guest.name, guest.phone) == ("", "Петренко Іван", "+380501112233")
    nobody = order(client_id=None, client=None, client_first_name=None, client_last_name="", client_second_name=None, phone=None)
    assert convert.buyer(nobody | {"email": None}) is None


def test_without_a_recipient_the_parcel_goes_to_the_buyer() -> None:
    delivery = draft(delivery_recipient=None).delivery
    assert (delivery.recipient, delivery.phone) == ("Петренко Іван", "+380501112233")


def test_the_recorded_answers_with_nulls_and_money_are_read_as_they_are() -> None:
    """Facts §9: price null, no goods, a fraction of a piece."""
    fraction = draft(
        price="24.80",
        full_price=None,
        delivery_cost=None,
        delivery_option=None,
        delivery_provider_data=None,
        delivery_address=None,
        payment_data=None,
        payment_option=None,
        products=[{"name": "Дробова кількість", "quantity": 0.125, "price": "24.80"}],
    )
    assert fraction.lines == (OrderLine("", "Дробова кількість", Decimal("0.125"), Decimal("24.80"), Decimal("3.10")),)
    assert (fraction.total, fraction.delivery, fraction.payments, fraction.paid) == (Decimal("24.80"), None, (), None)
    sample = SAMPLES / "prom" / "orders_list_nulls_and_money.json"
    if sample.exists():
        rows = json.loads(sample.read_text("utf-8"), parse_float=Decimal)["orders"]
        refused = []
        for row in rows:
            try:
                convert.draft(row, S)
            except BadRecord as error:
                refused.append((row["id"], error.facts["number"]))
        assert refused == [(104, "104"), (103, "103"), (101, "101")]


@pytest.mark.parametrize("products", [None, []])
def test_an_order_without_goods_is_parked_and_says_so(products: object) -> None:
    with pytest.raises(BadRecord, match="Order 400000001: Prom says no goods of it"):
        draft(products=products)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"quantity": None}, "“Кубик дерев'яний”: quantity is “”"),
        ({"quantity": 0}, "quantity is “0”"),
        ({"price": None, "total_price": None}, "price is “”"),
        ({"price": "договірна", "total_price": None}, "price is “договірна”"),
        ({"price": "5 грн 50 коп"}, "price is “5 грн 50 коп”"),
        ({"price": "-5 грн"}, "price is “-5 грн”"),
        ({"total_price": "-5 грн"}, "total_price is “-5 грн”"),
        ({"quantity": -1}, "quantity is “-1”"),
    ],
)
def test_a_line_that_cannot_be_understood_names_its_field(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRecord, match=said):
        draft(products=[line(**changes)])


def test_the_price_of_a_line_follows_from_its_total_and_the_other_way_round() -> None:
    (cheap,) = draft(products=[line(price=None)]).lines
    assert (cheap.price, cheap.total) == (Decimal("571.00"), Decimal(1713))
    (fraction,) = draft(products=[line(total_price=None, quantity="1.25", price="161.00")]).lines
    assert (fraction.price, fraction.total) == (Decimal("161.00"), Decimal("201.25"))


@pytest.mark.parametrize(
    ("changes", "total", "discount"),
    [
        ({}, "1783", "0"),
        ({"full_price": None}, "1783", "0"),
        ({"full_price": None, "price": None}, "1783", "0"),
        ({"full_price": None, "delivery_cost": None}, "1713", "0"),
        ({"price_with_special_offer": "1 600 грн", "special_offer_discount": "113 грн"}, "1670", "113"),
    ],
)
def test_the_total_holds_the_delivery_and_the_promotion(changes: dict[str, Any], total: str, discount: str) -> None:
    made = draft(**changes)
    assert (made.total, made.discount) == (Decimal(total), Decimal(discount))


@pytest.mark.parametrize(
    ("option", "data", "paid"),
    [
        ("Пром-оплата", {"type": "evopay", "status": "paid"}, True),
        ("Пром-оплата", {"type": "evopay", "status": "paid_out"}, True),
        ("Пром-оплата", {"type": "evopay", "status": "unpaid"}, False),
        ("Пром-оплата", {"type": "evopay", "status": "refunded"}, False),
        ("Накладений платіж", None, False),
        ("Наложенный платёж", None, False),
        ("Післяплата «Нова Пошта»", None, False),
        ("Оплата при отриманні", None, False),
        ("Оплата при получении", None, False),
        ("Готівкою", None, False),
        ("Безготівковий розрахунок", None, None),
        ("На картку", None, None),
        ("", None, None),
    ],
)
def test_who_pays_when_is_known_by_the_payment_and_by_its_name(option: str, data: Any, paid: bool | None) -> None:
    made = draft(payment_option={"id": 1, "name": option} if option else None, payment_data=data)
    assert made.paid is paid
    assert [payment.paid for payment in made.payments] == ([paid is True] if option else [])


@pytest.mark.parametrize(
    ("provider", "option", "carrier"),
    [
        ("rozetka_delivery", "Доставка", "rozetka_delivery"),
        (None, "Нова Пошта", "nova_poshta"),
        (None, "Новая почта (адресная)", "nova_poshta"),
        (None, "Укрпошта", "ukrposhta"),
        (None, "Meest ПОШТА", "meest"),
        (None, "Самовивіз", ""),
        (None, None, ""),
    ],
)
def test_the_carrier_is_the_provider_or_what_the_name_says(provider: str | None, option: str | None, carrier: str) -> None:
    raw = order(delivery_provider_data={"provider": provider} if provider else None, delivery_option={"id": 1, "name": option})
    assert convert.carrier(raw) == carrier


@pytest.mark.parametrize(
    ("address", "city", "kind", "number", "pickup"),
    [
        ("Київ, Відділення №253 (до 30 кг): вул. Щербаківського, 59", "Київ", "отделение", "253", "Відділення №253"),
        ("Львів, Поштомат №4021: вул. Зелена, 1", "Львів", "почтомат", "4021", "Поштомат №4021"),
        ("Одесса, Отделение 12", "Одесса", "отделение", "12", "Отделение №12"),
        ("Дніпро, вул. Центральна, 5", "Дніпро", "", "", ""),
        ("Kyiv", "", "", "", ""),
    ],
)
def test_city_and_branch_are_read_from_the_free_text(address: str, city: str, kind: str, number: str, pickup: str) -> None:
    """§2.2: the word for a locker stands there only, and the ids of branches may be nobody's."""
    made = draft(delivery_address=address, delivery_provider_data=None)
    said = dict(made.requisites)
    assert (said.get("Город доставки", ""), said.get("Вид отделения", ""), said.get("Номер отделения", "")) == (
        city,
        kind,
        number,
    )
    assert made.delivery.pickup == pickup


def test_a_cancelled_order_says_why_and_a_custom_status_keeps_its_name() -> None:
    gone = draft(status="canceled", cancellation={"title": "Змінились плани", "initiator": "client"})
    assert (gone.state, gone.cancelled, gone.cancel_reason) == ("canceled", True, "Змінились плани")
    made = convert.draft(order(status="custom-123", status_name="Власний статус"), S)
    assert (made.order.state, made.names[Subject.ORDER_STATE, "custom-123"]) == ("custom-123", "Власний статус")


def test_the_tracking_number_is_that_of_the_declaration() -> None:
    assert draft(
        delivery_provider_data={"provider": "nova_poshta", "declaration_number": "20450174011062"}
    ).delivery.tracking == ("20450174011062")


def test_empty_objects_instead_of_nulls_are_nothing_said() -> None:
    """One recorded answer has {} for each of them."""
    made = draft(
        delivery_option={}, delivery_provider_data={}, payment_option={}, payment_data={}, cancellation={}, delivery_address=""
    )
    assert (made.delivery.method, made.payments, made.paid) == ("", (), None)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({}, "This is no order of Prom"),
        ({"id": None}, "This is no order of Prom"),
        ({"id": True}, "This is no order of Prom"),
        ({"id": 1}, "Order 1: date_created is “”, expected is a date"),
        ({"id": 1, "date_created": "gestern"}, "date_created is “gestern”"),
        ({"id": 1, "date_created": "2026-09-23T10:00:00Z", "products": "none"}, "Prom says no goods"),
        ({"id": 1, "date_created": "2026-09-23T10:00:00Z", "products": [7]}, "quantity is “”"),
    ],
)
def test_garbage_is_a_bad_record_that_says_what_was_expected(raw: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRecord, match=said):
        convert.draft(raw, S)


def test_only_what_is_used_of_an_order_is_news() -> None:
    """Commissions, pictures and who looked at it change by themselves."""
    before = digest(convert.used(order()))
    quiet = order(
        cpa_commission={"amount": "60"}, utm={}, date_modified="2026-09-24T00:00:00+03:00", prosale_commission={"value": 3}
    )
    quiet["products"][0] |= {"image": "https://images.example.com/2.jpg", "cpa_commission": {"amount": "9"}}
    quiet["cancellation"] = {}
    assert digest(convert.used(quiet)) == before
    for changes in (
        {"status": "received"},
        {"phone": "+380500000000"},
        {"products": [line(quantity=2.0)]},
        {"client_notes": "!"},
    ):
        assert digest(convert.used(order(**changes))) != before
    assert convert.draft(convert.used(order()), S) == convert.draft(order(), S)


@pytest.mark.parametrize(
    ("address", "base", "currency"),
    [
        ("https://my.prom.ua", "https://my.prom.ua/api/v1", "UAH"),
        (" my.satu.kz/ ", "https://my.satu.kz/api/v1", "KZT"),
        ("https://my.prom.md/api/v1/", "https://my.prom.md/api/v1", "MDL"),
        ("http://127.0.0.1:8087/api/v1", "http://127.0.0.1:8087/api/v1", "UAH"),
        ("", "", "UAH"),
    ],
)
def test_the_address_may_be_written_as_in_the_browser(address: str, base: str, currency: str) -> None:
    s = PromSettings(address=address)
    assert (s.base, s.currency_there) == (base, currency)


# --- cards -----------------------------------------------------------------------------------------------------------------

PRODUCT = {
    "id": 1500000001,
    "external_id": CUBE,
    "name": "Кубик дерев'яний",
    "name_multilang": {"uk": "Кубик дерев'яний", "ru": "Кубик деревянный"},
    "sku": "K-1",
    "keywords": "кубик, іграшка",
    "description": "<p>Опис</p>",
    "description_multilang": {"uk": "<p>Опис</p>", "ru": "<p>Описание</p>"},
    "presence": "available",
    "in_stock": True,
    "price": Decimal("571.50"),
    "currency": "UAH",
    "group": {"id": 9001, "name": "Іграшки", "name_multilang": {"uk": "Іграшки", "ru": "Игрушки"}},
    "main_image": "https://images.example.com/1.jpg",
    "images": [
        {"id": 1, "url": "https://images.example.com/1.jpg", "thumbnail_url": "https://images.example.com/1_w100.jpg"},
        {"id": 2, "url": "https://images.example.com/2.jpg", "thumbnail_url": ""},
    ],
    "status": "on_display",
    "quantity_in_stock": 12,
    "is_variation": True,
    "variation_base_id": 1500000000,
    "variation_group_id": 7,
}


def test_a_card_becomes_exactly_this() -> None:
    made = convert.card(PRODUCT, S)
    assert (made.id, made.code, made.article, made.name) == ("1500000001", CUBE, "K-1", "Кубик дерев'яний")
    assert (made.price, made.currency, made.quantity) == (Decimal("571.50"), "UAH", Decimal(12))
    assert (made.group, made.group_name, made.description) == ("9001", "Іграшки", "<p>Опис</p>")
    assert made.pictures == ("https://images.example.com/1.jpg", "https://images.example.com/2.jpg")
    assert dict(made.facts) == {"presence": "available", "variation_of": "1500000000"}
    assert (made.problem, made.gone) == ("", False)
    assert convert.card(PRODUCT, PromSettings(language="ru")).name == "Кубик деревянный"


@pytest.mark.parametrize(
    ("status", "problem", "gone"),
    [
        ("on_display", "", False),
        ("draft", "draft", False),
        ("editing_required", "editing_required", False),
        ("deleted", "deleted", True),
        ("deleted_by_moderator", "deleted_by_moderator", True),
    ],
)
def test_a_card_that_is_not_on_sale_says_why(status: str, problem: str, gone: bool) -> None:
    made = convert.card(PRODUCT | {"status": status}, S)
    assert (made.problem, made.gone) == (problem, gone)


def test_what_a_card_does_not_say_stays_unsaid() -> None:
    made = convert.card({"id": 5, "name": "X", "external_id": None, "price": None, "quantity_in_stock": None, "images": None}, S)
    assert (made.code, made.price, made.quantity, made.pictures, made.facts) == ("", None, None, (), ())
    with pytest.raises(BadRecord, match="This is no card of Prom"):
        convert.card({"name": "X"}, S)


def offering(**changes: Any) -> Offering:
    return Offering("k", "1500000001", "Кубик", **changes)


@pytest.mark.parametrize(
    ("changes", "settings", "row"),
    [
        ({"quantity": Decimal(12)}, {}, {"quantity_in_stock": 12, "presence": "available"}),
        ({"quantity": Decimal(0)}, {}, {"quantity_in_stock": 0, "presence": "not_available"}),
        ({"quantity": Decimal(0)}, {"at_zero": "order"}, {"quantity_in_stock": 0, "presence": "order"}),
        ({"quantity": Decimal(0)}, {"at_zero": ""}, {"quantity_in_stock": 0}),
        ({"quantity": Decimal(3), "facts": {"variation_of": "1"}}, {}, {"quantity_in_stock": 3}),
        ({"price": Decimal("571.5"), "old_price": Decimal(600)}, {}, {"price": Decimal("571.5"), "oldprice": Decimal(600)}),
        ({"fields": {"name": " Кубик ", "in_stock": "так"}}, {}, {"name": "Кубик", "in_stock": True}),
        ({"fields": {"presence": "waiting"}, "quantity": Decimal(0)}, {}, {"quantity_in_stock": 0, "presence": "waiting"}),
        ({}, {}, {}),
    ],
)
def test_a_card_is_told_stock_as_quantity_in_stock_and_presence(
    changes: dict[str, Any], settings: dict[str, Any], row: dict[str, Any]
) -> None:
    assert convert.edit(offering(**changes), PromSettings(**settings)) == row


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "Я" * 111, "has 111 characters, Prom takes 110"),
        ("keywords", "а, " * 400, "have 1199 characters, Prom takes 1024"),
        ("keywords", "слово, " + "б" * 51, "has 51 characters, Prom takes 50"),
        ("status", "sold", "“sold” is no value of status of card 1500000001: it takes on_display, draft"),
        ("in_stock", "maybe", "“maybe” is no value of in_stock"),
        ("colour", "red", "colour of card 1500000001 cannot be changed by a call"),
    ],
)
def test_what_prom_would_refuse_is_not_sent(field: str, value: str, said: str) -> None:
    with pytest.raises(BadRecord, match=said):
        convert.edit(offering(fields={field: value}), S)


@pytest.mark.parametrize(
    ("row", "differs"),
    [
        ({"quantity_in_stock": 12, "presence": "available", "price": Decimal("571.5")}, []),
        ({"quantity_in_stock": 11, "price": Decimal("571.50")}, ["quantity_in_stock"]),
        ({"presence": "not_available", "price": Decimal(572)}, ["presence", "price"]),
        ({"oldprice": Decimal(1)}, []),
        ({"name": "Кубик деревянный", "description": "<div>Опис</div>"}, []),
        ({"name": "Куб", "keywords": "кубик,іграшка"}, ["name"]),
    ],
)
def test_whether_a_card_is_as_it_was_to_be_is_told_field_by_field(row: dict[str, Any], differs: list[str]) -> None:
    assert convert.differs(row, PRODUCT) == differs
