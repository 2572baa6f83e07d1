"""What documents of shops become: the settings of 1C's exchange node, and the oddities of each shop. No database, no network."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from connectors.cml_client_kit import CUP, MUG, Kit, buyer, el, line, order_xml, requisites
from obmen.connectors.commerceml_client.settings import ClientSettings
from obmen.core.contract import BadRecord, NeedsOwner, Unmapped
from obmen.core.records import Kind, Order, Subject
from obmen.core.settings import load


@pytest.fixture
def make(tmp_path: Path) -> Any:
    return lambda **settings: Kit(tmp_path, **settings)


# --- the settings of 1C's node ---------------------------------------------------------------------------------------------


def test_date_and_number_on_the_site_are_attributes_of_the_order(make: Any) -> None:
    """CS-A5 CS-A6: under the names that the settings choose, the date as 1C's type date takes it."""
    said = dict(make().order(order_xml()).requisites)
    assert (said["Номер заказа на сайте"], said["Дата заказа на сайте"]) == ("108", "2026-03-02T10:20:30")
    said = dict(make(number_attribute="Site No", date_attribute="Site date").order(order_xml()).requisites)
    assert (said["Site No"], said["Site date"]) == ("108", "2026-03-02T10:20:30")
    assert "Номер заказа на сайте" not in said


def test_the_agreement_goes_with_its_price_kind_and_vat(make: Any) -> None:
    """CS-A7"""
    said = dict(make(agreement="agr").order(order_xml()).requisites)
    assert (said["Соглашение"], said["Вид цен"], said["Цена включает НДС"]) == ("Типовое с розницей", "Розничная", "true")
    assert "Соглашение" not in dict(make().order(order_xml()).requisites)


def test_organisation_warehouse_and_manager_go_with_every_order(make: Any) -> None:
    """CS-A8 CS-A9 CS-A10"""
    order = make(organisation="org", warehouse="main", manager="anna").order(order_xml())
    assert (order.organisation, order.warehouse, order.manager) == ("org", "main", "anna")
    assert (dict(order.requisites)["Организация"], dict(order.requisites)["Склад"]) == ("ТОВ Вода", "Основной склад")


def test_a_warehouse_that_the_order_names_goes_before_that_of_the_settings(make: Any) -> None:
    """CS-A9"""
    kit = make(warehouse="main")
    kit.hub.map("in", Subject.WAREHOUSE, "Точка 5", "far")
    there = el("Склады", el("Склад", el("Ид", "5"), el("Наименование", " ТОЧКА  5 ")))
    assert kit.order(order_xml(more=there)).warehouse == "far"
    other = el("Склады", el("Склад", el("Ид", "6"), el("Наименование", "Точка 6")))
    assert kit.order(order_xml(more=other)).warehouse == "main"
    assert kit.hub.missing == {(Subject.WAREHOUSE, "6"): 1}


def test_the_comment_of_the_settings_stands_before_the_buyers(make: Any) -> None:
    """CS-A18"""
    kit = make(comment="С сайта")
    assert kit.order(order_xml(more=el("Комментарий", "Позвонить"))).comment == "С сайта\nПозвонить"
    assert kit.order(order_xml()).comment == "С сайта"


@pytest.mark.parametrize(
    ("by", "said", "key"),
    [
        (("id", "email"), {"email": "n@example.com"}, "15"),
        (("email", "id"), {"email": " N@Example.com "}, "email:n@example.com"),
        (("phone",), {"phone": "+38 (050) 111-22-33"}, "phone:0501112233"),
        (("inn_kpp",), {"more": el("ИНН", "7707083893") + el("КПП", "770701001")}, "inn_kpp:7707083893/770701001"),
        (("inn",), {"more": el("ИНН", "7707083893") + el("КПП", "770701001")}, "inn:7707083893"),
        (("name",), {}, "order:108"),
        (("name", "email"), {"email": "n@example.com"}, "email:n@example.com"),
        (("name",), {"more": el("ОфициальноеНаименование", "ТОВ Вода")}, "name:тестов тест"),
    ],
)  # fmt: skip
def test_a_buyer_is_known_by_the_first_attribute_that_the_order_says(make: Any, by: tuple[str, ...], said: Any, key: str) -> None:
    """CS-A11: by priority. A person's name alone is not enough, unless the settings say so."""
    found = make(buyers_by=by, persons_by_name=False).order(order_xml(parties=buyer(**said))).counterparty
    assert found is not None
    assert found.key == key


def test_persons_are_found_by_name_where_the_shops_profile_demands_it(make: Any) -> None:
    """CS-A11: CS-Cart's documentation wants the search “По наименованию”."""
    found = make(buyers_by=("name",), persons_by_name=True).order(order_xml()).counterparty
    assert found is not None
    assert found.key == "name:тестов тест"


def test_the_rules_for_cards_follow_the_settings(make: Any) -> None:
    """CS-A11"""
    assert make(buyers_by=("id", "inn_kpp", "email", "phone")).source().rules.match == {
        Kind.COUNTERPARTY: ("inn_kpp", "email", "phone")
    }
    assert make(buyers_by=("name",), persons_by_name=False).source().rules.match == {Kind.COUNTERPARTY: ("company_name",)}
    assert make(buyers_by=("name",), persons_by_name=True).source().rules.match == {Kind.COUNTERPARTY: ("name",)}


def test_a_word_that_no_buyer_can_be_found_by_is_refused() -> None:
    """CS-A11"""
    with pytest.raises(NeedsOwner, match="surname is nothing that a buyer can be found by"):
        load(ClientSettings, {"buyers_by": ["surname"]})


def test_lines_carry_the_kinds_of_nomenclature(make: Any) -> None:
    """CS-A12 CS-A13"""
    kit = make(goods_kind="Посуда", services_kind="Услуги сайта")
    delivery = line("ORDER_DELIVERY", "Доставка заказа", 50, kind="Услуга")
    first, second = kit.order(order_xml(lines=delivery + line(), total=150)).lines
    assert (first.kind, dict(first.requisites)["ВидНоменклатуры"]) == ("delivery", "Услуги сайта")
    assert (second.kind, dict(second.requisites)["ВидНоменклатуры"]) == ("product", "Посуда")


def test_a_line_without_a_unit_gets_that_of_the_settings(make: Any) -> None:
    """CS-A14"""
    assert make(unit="пар").order(order_xml()).lines[0].unit == "пар"
    said = line(more='<БазоваяЕдиница Код="796" НаименованиеПолное="шт">шт</БазоваяЕдиница>')
    assert make(unit="пар").order(order_xml(lines=said)).lines[0].unit == "шт"


def test_an_order_in_the_status_cancelled_on_the_site_is_cancelled_with_the_reason(make: Any) -> None:
    """CS-A16"""
    kit = make(cancel_status="Отменён", cancel_reason="why")
    order = kit.order(order_xml(Статус_заказа=" ОТМЕНЁН "))
    assert (order.cancelled, order.cancel_reason) == (True, "Передумал")
    order = kit.order(order_xml(Статус_заказа="Открыт"))
    assert (order.cancelled, order.cancel_reason) == (False, "")


def test_an_order_that_says_that_it_is_cancelled_is_with_its_own_reason(make: Any) -> None:
    """CS-A16"""
    order = make(cancel_reason="why").order(order_xml(Отменен="true", Причина_отмены="Дорого"))
    assert (order.cancelled, order.cancel_reason) == (True, "Дорого")
    assert make(cancel_reason="why").order(order_xml(Отменен="true")).cancel_reason == "Передумал"


@pytest.mark.parametrize("said", ["Открыт", " открыт ", "ОТКРЫТ", "Открыт\u00a0"])
def test_a_status_is_looked_up_by_its_name_whatever_its_case_and_padding(make: Any, said: str) -> None:
    """CS-A17 IC-9"""
    kit = make()
    kit.hub.map("in", Subject.ORDER_STATE, "Открыт", "accepted")
    assert kit.order(order_xml(Статус_заказа=said)).state == "accepted"
    assert kit.hub.missing == {}


def test_a_status_by_its_id_goes_before_its_name_and_a_name_may_carry_the_id(make: Any) -> None:
    """CS-A17 IC-9: Bitrix says “[N] Принят” and the id."""
    kit = make()
    kit.hub.map("in", Subject.ORDER_STATE, "N", "accepted")
    kit.hub.map("in", Subject.ORDER_STATE, "Оплачен", "paid")
    assert kit.order(order_xml(Статуса_заказа_ИД="N", Статус_заказа="Оплачен")).state == "accepted"
    assert kit.order(order_xml(Статус_заказа="[N] Принят")).state == "accepted"
    assert kit.order(order_xml(Статус_заказа="[P] Оплачен")).state == "paid"


def test_a_status_that_nobody_has_mapped_is_told_once_with_a_count(make: Any) -> None:
    """CS-A17 IC-9: the order is taken all the same."""
    kit = make()
    for number in ("1", "2", "3"):
        assert kit.order(order_xml(number, Статус_заказа="Собирается")).state == ""
    assert kit.hub.missing == {(Subject.ORDER_STATE, "Собирается"): 3}
    told = {text: count for (level, text), count in kit.hub.reported.items() if level == "warning" and "Собирается" in text}
    assert list(told.values()) == [3]


def test_orders_in_an_unmapped_status_can_wait_until_it_is_mapped(make: Any) -> None:
    """CS-A17"""
    found = make(unmapped_states="park").read(order_xml(Статус_заказа="Собирается"))
    assert isinstance(found, Unmapped)
    assert found.facts == {"subject": "order_state", "value": "Собирается"}


def test_orders_in_a_status_that_is_left_out_are_not_loaded(make: Any) -> None:
    """CS-A17"""
    kit = make()
    kit.hub.map("in", Subject.ORDER_STATE, "Черновик", taken=False)
    kit.hub.map("in", Subject.ORDER_STATE, "Отменён", "off", cancel="yes")
    assert kit.read(order_xml(Статус_заказа="черновик")) is None
    assert kit.order(order_xml(Статус_заказа="Отменён")).cancelled


def test_older_orders_and_lower_numbers_are_left_out(make: Any) -> None:
    assert make(orders_from="2026-03-03").read(order_xml()) is None
    assert isinstance(make(orders_from="2026-03-02").read(order_xml()), Order)
    assert make(orders_from_number="109").read(order_xml()) is None
    assert isinstance(make(orders_from_number="108").read(order_xml("WEB-108")), Order)


# --- interop cases ---------------------------------------------------------------------------------------------------------


def test_delivery_that_is_only_in_the_total_becomes_a_line(make: Any) -> None:
    """IC-1 CS-B1: sum of lines + delivery != Сумма."""
    order = make().order(order_xml(lines=line(), total=150))
    assert [(ln.kind, ln.total) for ln in order.lines] == [("delivery", D(50)), ("product", D(100))]
    assert (order.total, order.delivery.price if order.delivery else None) == (D(150), D(50))


def test_the_total_may_follow_the_lines_or_stay_as_it_is(make: Any) -> None:
    """IC-1: each rule is told."""
    kit = make(difference="total")
    assert kit.order(order_xml(total=150)).total == D(100)
    kit.hub.reported["warning", "Order 108: its lines make 100, the shop says 150; 100 was taken"] -= 1
    assert not +kit.hub.reported
    kit = make(difference="keep")
    order = kit.order(order_xml(total=150))
    assert (order.total, len(order.lines)) == (D(150), 1)
    assert kit.hub.reported == {("warning", "Order 108: its lines make 100, the shop says 150"): 1}


def test_what_is_missing_besides_a_line_of_delivery_is_told_instead_of_doubled(make: Any) -> None:
    """IC-1"""
    kit = make()
    delivery = line("ORDER_DELIVERY", "Доставка заказа", 50, kind="Услуга")
    order = kit.order(order_xml(lines=delivery + line(), total=170))
    assert ([ln.kind for ln in order.lines], order.total) == (["delivery", "product"], D(170))
    assert kit.hub.reported == {("warning", "Order 108: its lines make 150, the shop says 170"): 1}


@pytest.mark.parametrize("inside", ["true", "false"])
def test_the_discount_of_an_order_that_stands_in_its_lines_as_well_counts_once(make: Any, inside: str) -> None:
    """IC-1: CS-Cart writes it at the document (as part of the sum), and its share at each line."""
    off = el("Скидки", el("Скидка", el("Наименование", "Скидка на заказ"), el("Сумма", "10"), el("УчтеноВСумме", inside)))
    share = el(
        "Скидки",
        el("Скидка", el("Сумма", "10"), el("УчтеноВСумме", "false")),
        el("Скидка", el("Сумма", "20"), el("УчтеноВСумме", "true")),
    )
    order = make().order(order_xml(lines=line(price=120, total=100, more=share), total=90, more=off))
    assert (order.total, order.discount, order.lines[0].total, order.lines[0].discount) == (D(90), D(0), D(90), D(30))


def test_the_discount_of_an_order_that_only_the_document_says_is_kept(make: Any) -> None:
    """IC-1: Bitrix."""
    off = el("Скидки", el("Скидка", el("Наименование", "Скидка на заказ"), el("Сумма", "10.00"), el("УчтеноВСумме", "false")))
    order = make().order(order_xml(total=90, more=off))
    assert (order.total, order.discount, order.lines[0].total) == (D(90), D(10), D(100))


@pytest.mark.parametrize(
    ("parties", "name", "recipient"),
    [
        (buyer(role="Продавец"), "Тестов Тест", ""),
        (buyer(role="Покупатель"), "Тестов Тест", ""),
        (buyer(role="Получатель", name="Тётя") + buyer(role="Плательщик", name="Племянник"), "Племянник", "Тётя"),
        (buyer(role="Продавец", name="Магазин") + buyer(role="Покупатель", name="Человек"), "Человек", ""),
    ],
)
def test_the_buyer_is_found_whatever_role_the_shop_gives_it(make: Any, parties: str, name: str, recipient: str) -> None:
    """IC-2: CS-Cart up to 4.12 writes Продавец, WooCommerce-1C a payer and a recipient."""
    order = make().order(order_xml(parties=parties))
    assert order.counterparty is not None
    assert order.delivery is not None
    assert (order.counterparty.name, order.delivery.recipient) == (name, recipient)


@pytest.mark.parametrize(
    ("key", "more", "known"),
    [
        ("15", "", "15"),
        ("62E1BAD5-97D9-4A6D-AE51-51DBD6780837", "", "62E1BAD5-97D9-4A6D-AE51-51DBD6780837"),
        ("38#login#Тестов Тест", "", "38"),
        ("wc1c#user#7", "", "wc1c#user#7"),
        ("0108", "", "order:108"),
        ("wc1c#user#0", "", "order:108"),
        ("0", "", "order:108"),
        ("15", el("Незарегистрированный", "Да"), "order:108"),
        ("15", el("Незарегистрированный", "Нет"), "15"),
    ],
)
def test_the_id_of_a_guest_tells_nothing_about_the_person(make: Any, key: str, more: str, known: str) -> None:
    """IC-3"""
    found = make(buyers_by=("id",)).order(order_xml(parties=buyer(key, more=more))).counterparty
    assert found is not None
    assert found.key == known


@pytest.mark.parametrize(
    ("rule", "ident", "number", "key"),
    [
        ("auto", "108", "WEB-108", "108"),
        ("auto", "25b54e86-e909-11e3-b256-00248cae1f0f", "102", "102"),
        ("auto", "wc1c#order#5", "5", "5"),
        ("auto", "25b54e86-e909-11e3-b256-00248cae1f0f", "09.04.2014 0:46:38", "25b54e86-e909-11e3-b256-00248cae1f0f"),
        ("id", "wc1c#order#5", "5", "wc1c#order#5"),
        ("number", "108", "WEB-108", "WEB-108"),
        ("number_date", "108", "WEB-108", "WEB-108/2026-03-02"),
    ],
)
def test_an_order_is_known_by_what_stays_the_same(make: Any, rule: str, ident: str, number: str, key: str) -> None:
    """IC-4: Ид as a whole number, else Номер, unless that is a moment."""
    assert make(order_key=rule).order(order_xml(number, ident=ident)).key == key


def test_an_id_that_is_not_the_number_is_kept_for_the_way_back(make: Any) -> None:
    """IC-4"""
    assert dict(make().order(order_xml("5", ident="wc1c#order#5")).requisites)["Ид заказа на сайте"] == "wc1c#order#5"
    assert "Ид заказа на сайте" not in dict(make().order(order_xml("5")).requisites)


@pytest.mark.parametrize(
    ("date", "time", "moment"),
    [
        ("2026-03-02", "10:20:30", datetime(2026, 3, 2, 8, 20, 30, tzinfo=UTC)),
        ("2015-08-12+03:00", "13:38:17", datetime(2015, 8, 12, 10, 38, 17, tzinfo=UTC)),
        ("09.04.2014 0:46:38", "09.04.2014 0:46:38", datetime(2014, 4, 8, 21, 46, 38, tzinfo=UTC)),
        ("2014-06-01T0:20:10", "", datetime(2014, 5, 31, 21, 20, 10, tzinfo=UTC)),
        ("2026-03-02", "", datetime(2026, 3, 1, 22, 0, tzinfo=UTC)),
    ],
)
def test_dates_are_read_in_any_shape(make: Any, date: str, time: str, moment: datetime) -> None:
    """IC-5"""
    assert make().order(order_xml(date=date, time=time)).date == moment


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("руб", "RUB"),
        ("руб.", "RUB"),
        ("RUB", "RUB"),
        ("RUR", "RUB"),
        ("643", "RUB"),
        ("840", "USD"),
        ("UAH", "UAH"),
        ("у.е.", "USD"),
    ],
)
def test_currencies_are_known_by_any_name(make: Any, said: str, code: str) -> None:
    """IC-6"""
    assert make(currencies={"У.Е.": "USD"}).order(order_xml(currency=said)).currency == code


def test_an_order_without_a_currency_gets_that_of_the_settings_or_is_told_of(make: Any) -> None:
    """IC-6: CS-Cart 4.12 writes an empty element when the currency is not mapped there."""
    assert make(currency="UAH").order(order_xml(currency="")).currency == "UAH"
    kit = make()
    assert kit.order(order_xml(currency="")).currency == ""
    assert kit.hub.reported == {("warning", "Order 108 names no currency: set the one to take on the tab “Orders”"): 1}


def test_options_in_the_id_and_the_name_of_a_line(make: Any) -> None:
    """IC-7 CS-B2: CS-Cart 4.3."""
    found = make().order(order_xml(lines=line(f"{CUP}#777", "Чашка#Цвет: синий; Размер: L"))).lines[0]
    assert (found.offer, found.name, found.options) == (CUP, "Чашка", (("Цвет", "синий"), ("Размер", "L")))
    assert dict(found.requisites)["Ид товара на сайте"] == f"{CUP}#777"


def test_options_in_a_requisite_of_the_document(make: Any) -> None:
    """IC-7 CS-B2: CS-Cart from 4.12; a name may hold a colon, two lines may have one name."""
    lines = line(name="Чашка: белая") + line(MUG, "Кружка") + line(CUP, "Чашка: белая")
    text = "Чашка: белая: Цвет [синий], Размер [L],; Чашка: белая: Цвет [красный],; "
    found = make().order(order_xml(lines=lines, total=300, Опции_товаров=text)).lines
    assert [ln.options for ln in found] == [(("Цвет", "синий"), ("Размер", "L")), (), (("Цвет", "красный"),)]


def test_options_as_characteristics_and_as_properties_of_the_basket(make: Any) -> None:
    """IC-7: МойСклад; Bitrix."""
    said = el("ХарактеристикиТовара", el("ХарактеристикаТовара", el("Наименование", "Цвет"), el("Значение", "синий")))
    assert make().order(order_xml(lines=line(more=said))).lines[0].options == (("Цвет", "синий"),)
    basket = requisites(**{"СвойствоКорзины#SIZE": "XL", "СвойствоКорзины#PRODUCT.XML_ID": CUP})
    assert make().order(order_xml(lines=line(more=basket))).lines[0].options == (("SIZE", "XL"),)


def test_a_number_sign_in_a_name_is_no_option(make: Any) -> None:
    """IC-7"""
    assert make().order(order_xml(lines=line(name="Краска #5: белая"))).lines[0].name == "Краска #5: белая"


@pytest.mark.parametrize(
    ("key", "name", "said", "kind"),
    [
        ("ORDER_DELIVERY", "Доставка заказа", "Услуга", "delivery"),
        ("77", "Доставка заказа", "", "delivery"),
        ("77", "Курьерская доставка", "Услуга", "delivery"),
        ("Payment_surcharge", "Дополнительный сбор", "Услуга", "service"),
        ("77", "Дополнительный сбор", "", "service"),
        ("77", "Заточка ножей", "Услуга", "service"),
        ("77", "Доставка", "Товар", "product"),
        ("77", "Чашка", "", "product"),
    ],
)
def test_services_are_told_by_their_type_first_and_by_their_name_second(
    make: Any, key: str, name: str, said: str, kind: str
) -> None:
    """IC-8"""
    found = make().order(order_xml(lines=line(key, name, kind=said)))
    assert [ln.kind for ln in found.lines] == [kind]


def test_a_field_of_the_profile_with_the_tax_number_is_the_tax_number(make: Any) -> None:
    """CS-A11: CS-Cart from 4.12 writes <Инн> for a field “ИНН”; other own fields are kept."""
    more = el("Инн", "7707083893") + el("Кпп", "770701001") + el("Бонус", "7")
    found = make(buyers_by=("inn_kpp",)).order(order_xml(parties=buyer(more=more))).counterparty
    assert found is not None
    assert (found.inn, found.kpp, found.kind, found.requisites) == ("7707083893", "770701001", "company", (("Бонус", "7"),))


# --- lines, payments, delivery ---------------------------------------------------------------------------------------------


def test_goods_are_found_by_id_and_then_by_article(make: Any) -> None:
    lines = line(f"{MUG}#{MUG}", "Кружка") + line("shop-1", "Что-то", more=el("Артикул", "A-1")) + line("shop-2", "Новое")
    kit = make()
    found = kit.order(order_xml(lines=lines, total=300)).lines
    assert [(ln.offer, dict(ln.requisites).get("Ид товара на сайте")) for ln in found] == [
        (MUG, None),
        (CUP, "shop-1"),
        ("shop-2", None),
    ]
    assert ("warning", "Order 108: “Новое” (shop-2) is not in the books; the line is kept with its name") in kit.hub.reported
    assert [ln.offer for ln in make(goods_by=("key",)).order(order_xml(lines=lines, total=300)).lines] == [
        MUG,
        "shop-1",
        "shop-2",
    ]


def test_goods_are_found_by_the_code_that_stands_beside_the_id(make: Any) -> None:
    said = line("55", "Что-то", more=el("Код", "УТ-2"))
    assert make(goods_by=("code",)).order(order_xml(lines=said)).lines[0].offer == MUG


def test_a_line_without_a_quantity_parks_the_order_unless_its_sums_tell_it(make: Any) -> None:
    bare = el("Товар", el("Ид", CUP), el("Наименование", "Чашка"), el("ЦенаЗаЕдиницу", "100"))
    found = make().read(order_xml(lines=bare))
    assert isinstance(found, BadRecord)
    assert str(found) == "Order 108: the line “Чашка” has no quantity: the order was not loaded"
    assert make().order(order_xml(lines=bare.replace("</Товар>", "<Сумма>300</Сумма></Товар>"), total=300)).lines[
        0
    ].quantity == D(3)


def test_a_line_of_nothing_is_left_out_and_told(make: Any) -> None:
    kit = make()
    assert [ln.offer for ln in kit.order(order_xml(lines=line(quantity=0) + line(MUG, "Кружка"))).lines] == [MUG]
    assert ("warning", "Order 108: the line “Чашка” has the quantity 0 and was left out") in kit.hub.reported


def test_a_document_that_is_no_order_is_refused_alone(make: Any) -> None:
    found = make().read(order_xml(operation="Счет на оплату"))
    assert isinstance(found, BadRecord)
    assert str(found) == "Document 108 is “Счет на оплату”, not an order: it was not loaded"


def test_the_way_of_payment_and_delivery_are_ours_by_the_tables(make: Any) -> None:
    kit = make()
    kit.hub.map("in", Subject.PAYMENT_KIND, "Кредитная карта", "pay", document="card")
    kit.hub.map("in", Subject.DELIVERY, "Самовывоз", "way")
    order = kit.order(order_xml(Метод_оплаты="кредитная карта", Способ_доставки=" Самовывоз", Дата_оплаты="2026-03-02T12:00:00"))
    (paid,) = order.payments
    assert (paid.method, paid.method_key, paid.amount, paid.paid, paid.requisites) == (
        "Оплата картой",
        "pay",
        D(100),
        True,
        (("Документ", "card"),),
    )
    assert order.paid is True
    assert order.delivery is not None
    assert (order.delivery.method, order.delivery.method_key) == ("Самовывоз со склада", "way")
    assert kit.hub.missing == {}


def test_ways_that_nobody_has_mapped_are_counted_and_a_dash_is_none(make: Any) -> None:
    """CS-Cart writes “-” where there is nothing."""
    kit = make()
    order = kit.order(order_xml(Метод_оплаты="Наличными", Способ_доставки="-"))
    assert [(p.method, p.paid) for p in order.payments] == [("Наличными", False)]
    assert (order.delivery and order.delivery.method, order.paid) == ("", None)
    assert kit.hub.missing == {(Subject.PAYMENT_KIND, "Наличными"): 1}
    assert make(create_payments=False).order(order_xml(Метод_оплаты="Наличными", Заказ_оплачен="true")).payments == ()


def test_a_status_may_mean_that_the_order_is_paid(make: Any) -> None:
    order = make(paid_statuses=("Обработан",)).order(order_xml(Статус_заказа="обработан", Метод_оплаты="Карта"))
    assert (order.paid, [p.paid for p in order.payments]) == (True, [True])


def test_payments_and_shipments_beside_the_order_are_its_own(make: Any) -> None:
    """Bitrix 3.1: one Контейнер holds the order and its documents."""
    pay = el("Документ", el("Ид", "9"), el("Номер", "108/1"), el("Дата", "2026-03-03"), el("ХозОперация", "Эквайринговая операция"),
             el("Сумма", "100"), el("Основание", "108"), requisites(Оплачено="true", Метод_оплаты="Карта"))  # fmt: skip
    ship = el("Документ", el("Ид", "10"), el("Дата", "2026-03-04"), el("ХозОперация", "Отпуск товара"), el("Основание", "108"),
              requisites(Отгружено="true", Идентификатор_отправления="TTN-7"))  # fmt: skip
    order = make().order(el("Контейнер", order_xml(), pay, ship))
    assert [(p.key, p.amount, p.paid, p.method) for p in order.payments] == [("9", D(100), True, "Карта")]
    assert [(one.key, one.shipped, one.tracking) for one in order.shipments] == [("10", True, "TTN-7")]
    assert (order.paid, order.shipped, order.delivery and order.delivery.tracking) == (True, True, "TTN-7")


def test_what_the_shop_says_besides_is_kept(make: Any) -> None:
    order = make().order(order_xml(Купон="LETO", Статус_заказа="x", more=el("Неизвестное", "1")))
    assert dict(order.requisites)["Купон"] == "LETO"
    assert "Статус заказа" not in dict(order.requisites)
    assert order.extra == "<Неизвестное>1</Неизвестное>"
    assert order.site == "shop.example"


def test_a_guest_with_own_fields_of_the_profile_is_still_a_guest(make: Any) -> None:
    """IC-3: and CS-Cart's dashes are neither a phone nor an e-mail."""
    more = el("Незарегистрированный", "Да") + el("Бонус", "7")
    found = (
        make(buyers_by=("id", "email", "phone"))
        .order(order_xml(parties=buyer("15", email="-", phone="-", more=more)))
        .counterparty
    )
    assert found is not None
    assert (found.key, found.email, found.phone, found.contacts) == ("order:108", "", "", ())


# --- what other people's systems really wrote ---------------------------------------------------------------------------------


def test_an_order_of_cs_carts_documentation_is_read(make: Any, samples: Path) -> None:
    """IC-2 IC-6: CS-Cart 4.1, contacts inside the address."""
    text = (samples / "shops" / "docs" / "orders_cscart_2014_document.xml").read_text("utf-8")
    order = make(buyers_by=("email", "phone")).order(text)
    assert (order.key, order.number, order.currency, order.total) == ("108", "108", "RUB", D("140"))
    assert order.counterparty is not None
    assert (order.counterparty.name, order.counterparty.key, order.counterparty.phone) == (
        "New New",
        "email:new@test.test",
        "+79512111111",
    )
    assert [(ln.kind, ln.total) for ln in order.lines] == [("delivery", D(115)), ("product", D(25))]
    assert [p.method for p in order.payments] == ["Заказ по телефону"]
    assert order.delivery is not None
    assert order.delivery.address == "520111, Российская Федерация, Красноярск, Красная"


def test_a_document_of_an_old_1c_with_moments_everywhere_is_read(make: Any, samples: Path) -> None:
    """IC-4 IC-5: Номер, Дата and Время all hold “09.04.2014 0:46:38”."""
    text = (samples / "shops" / "docs" / "orders_from_1c_full_document_2014.xml").read_text("utf-8")
    order = make(difference="keep").order(text)
    assert (order.key, order.date) == ("25b54e86-e909-11e3-b256-00248cae1f0f", datetime(2014, 4, 8, 21, 46, 38, tzinfo=UTC))
    assert order.counterparty is not None
    assert order.counterparty.name == "Test Test"
    assert [(ln.name, ln.quantity, ln.unit) for ln in order.lines] == [("Ботинки", D(2), "пар")]


def test_an_answer_of_bitrix_is_read(make: Any, samples: Path) -> None:
    """IC-16: no declaration at all; delivery is the first line."""
    kit = make(buyers_by=("id",))
    kit.node.answers = [
        (samples / "commerceml" / "PavloPashchevskyi+iks-symfony-1s-integration" / "tests__xml__sales.xml").read_bytes()
    ]
    assert kit.load()["created"] >= 1
    order = kit.store.order(36)
    assert (order.total, [ln.kind for ln in order.lines]) == (D("6734.47"), ["delivery", "product"])
    assert order.counterparty is not None
    assert order.counterparty.key == "1"


@pytest.mark.parametrize(
    "bad",
    [
        order_xml(date="9999-12-31", time="23:59:59-12:00"),
        order_xml(lines=line(price=0, quantity="1e-50", total="1e90"), total="1e90"),
    ],
)
def test_what_no_calendar_and_no_number_holds_sets_one_order_aside(make: Any, bad: str) -> None:
    assert isinstance(make().read(bad), BadRecord)


def test_a_date_of_payment_outside_of_the_calendar_is_none(make: Any) -> None:
    order = make().order(order_xml(Метод_оплаты="x", Дата_оплаты="9999-12-31T23:59:59-12:00"))
    assert [p.date for p in order.payments] == [None]
