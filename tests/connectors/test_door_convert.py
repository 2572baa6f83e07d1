"""What the settings of the door make of goods and orders, down to the XML."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from lxml import etree

from obmen.connectors.commerceml_door import CommerceMLDoor, convert
from obmen.connectors.commerceml_door.api import CommerceMLFiles, fingerprint, in_order
from obmen.connectors.commerceml_door.settings import PRICES_IN, DoorSettings
from obmen.core.contract import BadRecord, Page
from obmen.core.records import (
    Counterparty,
    Delivery,
    Group,
    Kind,
    Offer,
    Order,
    OrderLine,
    OrderNews,
    Payment,
    Price,
    Product,
    Shipment,
    Stock,
)  # fmt: skip
from obmen.formats.commerceml import records, writer
from obmen.formats.commerceml.dialects import DIALECTS

D = Decimal
CREATED = datetime(2026, 3, 2, 1, 2, 3)  # noqa: DTZ001  documents tell local time
KYIV = ZoneInfo("Europe/Kyiv")
LINE = OrderLine("g1", "Чайник", D(2), D(60), D(120), article="A-1")
ORDER = Order(
    "ord-1", "1001", datetime(2026, 3, 1, 22, 5, tzinfo=UTC), currency="UAH", total=D(170),
    counterparty=Counterparty("7", "Петренко Іван"), lines=(LINE,),
)  # fmt: skip


def sent(
    order: Order = ORDER, *, dialect: str = "generic", record: int = 15, words: convert.Words | None = None, **values: Any
) -> Any:
    document = convert.document(order, record, DoorSettings(**values), DIALECTS[dialect], words or convert.Words(), KYIV)
    xml = b"".join(writer.orders([document], DIALECTS[dialect], created=CREATED))
    return etree.fromstring(xml).find(".//Документ")


def requisites(document: Any) -> dict[str, str]:
    return {r.findtext("Наименование"): r.findtext("Значение") for r in document.findall("ЗначенияРеквизитов/ЗначениеРеквизита")}


def xml(element: Any) -> str:
    return etree.tostring(element, encoding="unicode").strip()


# --- orders out ------------------------------------------------------------------------------------------------------------


def test_an_order_as_1c_reads_it() -> None:
    assert xml(sent()) == (
        "<Документ><Ид>ord-1</Ид><Номер>1001</Номер><Дата>2026-03-02</Дата><ХозОперация>Заказ товара</ХозОперация>"
        "<Роль>Продавец</Роль><Валюта>UAH</Валюта><Курс>1</Курс><Сумма>170</Сумма><Контрагенты><Контрагент><Ид>7</Ид>"
        "<Наименование>Петренко Іван</Наименование><ПолноеНаименование>Петренко Іван</ПолноеНаименование>"
        "<Роль>Покупатель</Роль></Контрагент></Контрагенты><Время>00:05:00</Время><Товары><Товар><Ид>g1</Ид>"
        "<Артикул>A-1</Артикул><Наименование>Чайник</Наименование>"
        '<БазоваяЕдиница Код="796" НаименованиеПолное="Штука" МеждународноеСокращение="PCE">шт</БазоваяЕдиница>'
        "<ЗначенияРеквизитов><ЗначениеРеквизита><Наименование>ВидНоменклатуры</Наименование><Значение>Товар</Значение>"
        "</ЗначениеРеквизита><ЗначениеРеквизита><Наименование>ТипНоменклатуры</Наименование><Значение>Товар</Значение>"
        "</ЗначениеРеквизита></ЗначенияРеквизитов><ЦенаЗаЕдиницу>60</ЦенаЗаЕдиницу><Количество>2</Количество><Сумма>120</Сумма>"
        "<Единица>796</Единица><Коэффициент>1</Коэффициент></Товар></Товары><ЗначенияРеквизитов><ЗначениеРеквизита>"
        "<Наименование>Отменен</Наименование><Значение>false</Значение></ЗначениеРеквизита></ЗначенияРеквизитов></Документ>"
    )


def test_delivery_goes_first_as_a_service_line_when_it_is_on() -> None:
    order = replace(ORDER, delivery=Delivery(price=D(50)))
    first = sent(order).find("Товары/Товар")
    assert [first.findtext(t) for t in ("Ид", "Наименование", "Количество", "ЦенаЗаЕдиницу", "Сумма", "Единица")] == [
        "ORDER_DELIVERY", "Доставка заказа", "1", "50", "50", "796",
    ]  # fmt: skip
    assert requisites(first) == {"ВидНоменклатуры": "Услуга", "ТипНоменклатуры": "Услуга"}


def test_without_the_delivery_line_the_sum_still_holds_delivery() -> None:
    document = sent(replace(ORDER, delivery=Delivery(price=D(50))), delivery_line=False)
    assert (document.xpath("Товары/Товар/Ид/text()"), document.findtext("Сумма")) == (["g1"], "170")


def test_free_delivery_makes_no_line() -> None:
    assert sent(replace(ORDER, delivery=Delivery(price=D(0)))).xpath("Товары/Товар/Ид/text()") == ["g1"]


CHOSEN = replace(ORDER, lines=(replace(LINE, options=(("Колір", "синій"), ("Розмір", "L"))),))


def test_options_as_a_requisite() -> None:
    document = sent(CHOSEN, options="requisite")
    assert requisites(document)["Опции товаров"] == "Чайник: Колір [синій], Розмір [L],;"
    assert document.findtext("Товары/Товар/Наименование") == "Чайник"


def test_options_in_the_name() -> None:
    document = sent(CHOSEN, options="name")
    assert (document.findtext("Товары/Товар/Ид"), document.findtext("Товары/Товар/Наименование")) == (
        "g1", "Чайник#Колір: синій; Розмір: L",
    )  # fmt: skip
    assert "Опции товаров" not in requisites(document)


def test_options_in_the_id_are_the_same_for_the_same_choice() -> None:
    first, second = (sent(CHOSEN, options="id", record=i).findtext("Товары/Товар/Ид") for i in (1, 2))
    assert first == second
    assert (first.partition("#")[0], len(first.partition("#")[2])) == ("g1", 36)
    known = replace(ORDER, lines=(replace(CHOSEN.lines[0], offer="g1#c1"),))
    assert sent(known, options="id").findtext("Товары/Товар/Ид") == "g1#c1"


def test_options_can_be_left_out() -> None:
    document = sent(CHOSEN, options="none")
    assert (document.findtext("Товары/Товар/Наименование"), requisites(document)) == ("Чайник", {"Отменен": "false"})


@pytest.mark.parametrize(
    ("number", "wanted"), [("99", False), ("100", True), ("101", True), ("UA-0100", True), ("no digits", False)]
)
def test_orders_go_from_the_number_on_inclusive(number: str, wanted: bool) -> None:
    assert convert.is_wanted(replace(ORDER, number=number), DoorSettings(from_number="100")) is wanted


def test_no_state_chosen_sends_all_and_a_choice_sends_those() -> None:
    order = replace(ORDER, state="paid")
    assert convert.is_wanted(order, DoorSettings())
    assert convert.is_wanted(order, DoorSettings(send_states=("new", "paid")))
    assert not convert.is_wanted(order, DoorSettings(send_states=("new",)))


def test_only_orders_of_the_company_go() -> None:
    assert convert.is_wanted(replace(ORDER, company=" ТОВ Вода "), DoorSettings(company="тов вода"))
    assert not convert.is_wanted(replace(ORDER, company="ФОП"), DoorSettings(company="ТОВ Вода"))


def test_payment_rules_are_alternatives_of_state_and_gateway() -> None:
    s = DoorSettings(payment_rules='{"paymentrules": [{"status": "purchased", "gateway": "CKassa"}, {"status": "done"}]}')
    paid = replace(ORDER, state="purchased", payments=(Payment("p", D(1), gateway="ckassa"),))
    assert convert.is_wanted(paid, s)
    assert convert.is_wanted(replace(ORDER, state="done"), s)
    assert not convert.is_wanted(replace(paid, state="new"), s)
    assert not convert.is_wanted(replace(paid, payments=(Payment("p", D(1), gateway="other"),)), s)
    assert not convert.is_wanted(replace(paid, payments=(Payment("p", D(1), gateway="CKassa", refund=True),)), s)


PAID = replace(
    ORDER,
    payments=(
        Payment("p1", D(70), method="Картка", method_key="card", gateway="CKassa", number="55", date=datetime(2026, 3, 1, 9, tzinfo=UTC), paid=True),
    ),
)  # fmt: skip


def test_the_payment_goes_in_the_words_of_the_mapping() -> None:
    told = requisites(sent(PAID, words=convert.Words(payments={"card": ("2", "Оплата картой")})))
    assert told == {
        "Отменен": "false", "Метод оплаты ИД": "2", "Метод оплаты": "Оплата картой", "Дата оплаты": "2026-03-01T11:00:00",
        "Номер платежного документа": "55", "Заказ оплачен": "true",
    }  # fmt: skip


def test_the_kind_of_nomenclature_that_a_line_names_is_said_once() -> None:
    """CS-A12: orders of shops come with the kind that their settings choose."""
    line = replace(LINE, requisites=(("ВидНоменклатуры", "Посуда"), ("Гравировка", "Тест")))
    said = sent(replace(ORDER, lines=(line,))).find("Товары/Товар")
    assert requisites(said) == {"ВидНоменклатуры": "Посуда", "ТипНоменклатуры": "Товар", "Гравировка": "Тест"}
    assert len(said.findall(".//ЗначениеРеквизита")) == 3


def test_a_forced_payment_method_goes_verbatim_and_without_an_id() -> None:
    s = {"payment_rules": "{«paymentmethod_name»:«Оплата картой внешняя»}"}
    told = requisites(sent(PAID, **s))
    assert (told["Метод оплаты"], "Метод оплаты ИД" in told) == ("Оплата картой внешняя", False)
    assert requisites(sent(ORDER, **s))["Метод оплаты"] == "Оплата картой внешняя"


def test_payments_are_documents_of_their_own_where_the_node_reads_them() -> None:
    (payment,) = sent(PAID, dialect="unf-subordinate").findall("ПодчиненныеДокументы/ПодчиненныйДокумент")
    assert [payment.findtext(t) for t in ("Ид", "ХозОперация", "Сумма", "Дата", "Основание")] == [
        "p1", "Эквайринговая операция", "70", "2026-03-01", "ord-1",
    ]  # fmt: skip
    assert requisites(payment)["Оплачено"] == "true"


@pytest.mark.parametrize(
    ("number", "values", "expected", "full"),
    [
        ("1001", {}, "1001", None),
        ("WEB-2026-000123", {}, "Z15", "WEB-2026-000123"),
        ("Z77", {}, "Z15", "Z77"),  # looks like a made one, so it could meet one
        ("WEB-2026-000123", {"number_rule": "as_is"}, "WEB-2026-000123", None),
        ("12345678", {"number_prefix": "UA-"}, "UA-12345678", None),
        ("123456789", {"number_prefix": "UA-"}, "Z15", "UA-123456789"),
        ("123456789012", {"number_length": 12}, "123456789012", None),
    ],
)
def test_numbers_that_are_too_long_are_made_short_and_sent_in_full_beside(
    number: str, values: dict[str, Any], expected: str, full: str | None
) -> None:
    document = sent(replace(ORDER, number=number), **values)
    assert document.findtext("Номер") == expected
    assert requisites(document).get("Номер заказа на сайте") == full


def test_a_number_that_is_too_long_is_parked_by_the_other_rule() -> None:
    with pytest.raises(BadRecord) as caught:
        sent(replace(ORDER, number="WEB-2026-000123"), number_rule="park")
    assert caught.value.facts == {"number": "WEB-2026-000123", "limit": 11}


def test_currencies_go_by_their_names_in_1c() -> None:
    assert sent(currencies={"UAH": "грн"}).findtext("Валюта") == "грн"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"currency": ""}, "has no currency"),
        ({"number": ""}, "has no number"),
        ({"counterparty": None}, "the customer has no name"),
        ({"lines": (replace(LINE, name=""),)}, "the goods have no name"),
    ],
)
def test_an_order_that_would_break_the_load_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadRecord, match=reason):
        sent(replace(ORDER, **changes))


@pytest.mark.parametrize(
    ("buyer", "name"),
    [
        (Counterparty("", last_name="Петренко", first_name="Іван"), "Петренко Іван"),
        (Counterparty("", phone="+380501112233"), "+380501112233"),
        (Counterparty("", email="a@b.ua"), "a@b.ua"),
    ],
)
def test_a_nameless_buyer_is_called_by_what_is_known(buyer: Counterparty, name: str) -> None:
    found = sent(replace(ORDER, counterparty=buyer)).find("Контрагенты/Контрагент")
    assert (found.findtext("Ид"), found.findtext("Наименование")) == ("0ord-1", name)


def test_the_state_goes_by_name_and_id_or_not_at_all() -> None:
    order, words = replace(ORDER, state="new"), convert.Words(states={"new": ("N", "Принят")})
    told = requisites(sent(order, words=words))
    assert (told["Статус заказа"], told["Статуса заказа ИД"]) == ("Принят", "N")
    assert requisites(sent(order, words=words, send_state=False)) == {"Отменен": "false"}


def test_requisites_are_filled_from_the_order_and_left_out_when_empty() -> None:
    order = replace(ORDER, organisation="ТОВ Вода", delivery=Delivery(tracking="TTN"))
    told = requisites(
        sent(order, requisites={"Организация": "{organisation}", "Склад": "{warehouse}", "Источник": "сайт {delivery.tracking}"})
    )
    assert (told["Организация"], told["Источник"], "Склад" in told) == ("ТОВ Вода", "сайт TTN", False)


def test_own_requisites_go_along_as_chosen() -> None:
    order = replace(ORDER, requisites=(("Джерело", "реклама"), ("Нотатка", "x"), ("Номер по 1С", "00-1"), ("Отменен", "true")))
    assert requisites(sent(order)) == {"Отменен": "false", "Джерело": "реклама", "Нотатка": "x"}
    assert requisites(sent(order, own_requisites=("Нотатка",))) == {"Отменен": "false", "Нотатка": "x"}
    assert requisites(sent(order, own_requisites=())) == {"Отменен": "false"}


def test_the_documents_discount_is_not_yet_inside_the_lines() -> None:
    assert xml(sent(replace(ORDER, discount=D(10))).find("Скидки")) == (
        "<Скидки><Скидка><Наименование>Скидка на заказ</Наименование><Сумма>10</Сумма><УчтеноВСумме>false</УчтеноВСумме></Скидка></Скидки>"
    )


def test_a_line_with_a_discount_goes_net_where_1c_reads_discounts_badly() -> None:
    line = sent(replace(ORDER, lines=(replace(LINE, discount=D(20), total=D(100)),)), dialect="generic").find("Товары/Товар")
    assert (line.findtext("ЦенаЗаЕдиницу"), line.findtext("Сумма"), line.find("Скидки")) == ("50", "100", None)


def test_every_line_says_vat_as_soon_as_one_does() -> None:
    document = sent(replace(ORDER, lines=(replace(LINE, vat_rate="20", vat_amount=D(20)), LINE)))
    assert document.xpath("Товары/Товар/СтавкиНалогов/СтавкаНалога/Ставка/text()") == ["20", "Без НДС"]
    assert [document.findtext(f"Налоги/Налог/{t}") for t in ("Наименование", "Сумма", "Ставка")] == ["НДС", "20", "20"]


# --- goods -----------------------------------------------------------------------------------------------------------------

GOODS = Product(
    "g1", name="Чайник", full_name="Чайник електричний 1,7 л", article="A-1", code="00-1", barcode="482", description="Текст",
    groups=("kettles",), requisites=(("ОписаниеВФорматеHTML", "<b>Текст</b>"),), pictures=("import_files/1.jpg",),
)  # fmt: skip
TREE = convert.Tree({"all": "", "kitchen": "all", "kettles": "kitchen", "garden": "all"})


def taken(record: Product = GOODS, **values: Any) -> Product | None:
    return convert.product(record, DoorSettings(**values), TREE)


@pytest.mark.parametrize(
    ("values", "field", "expected"),
    [
        ({}, "name", "Чайник"),
        ({"name_source": "full_name"}, "name", "Чайник електричний 1,7 л"),
        ({}, "article", "A-1"),
        ({"article_source": "code"}, "article", "00-1"),
        ({"article_source": "barcode"}, "article", "482"),
        ({}, "description", "Текст"),
        ({"description_source": "html"}, "description", "<b>Текст</b>"),
        ({"description_source": "full_name"}, "description", "Чайник електричний 1,7 л"),
        ({"description_source": "none"}, "description", None),
        ({}, "pictures", ("import_files/1.jpg",)),
        ({"pictures": "off"}, "pictures", None),
        ({}, "groups", ("kettles",)),
        ({"default_group": "new"}, "groups", ("kettles",)),
        ({"take_groups": False}, "groups", None),
        ({"take_groups": False, "default_group": "new"}, "groups", ("new",)),
    ],
)
def test_each_source_of_a_field(values: dict[str, Any], field: str, expected: Any) -> None:
    record = taken(**values)
    assert getattr(record, field) == expected


def test_a_name_without_a_full_name_stays_the_short_one() -> None:
    record = taken(replace(GOODS, full_name=None, requisites=None), name_source="full_name")
    assert record
    assert record.name == "Чайник"


def test_goods_without_a_group_go_to_the_default_one() -> None:
    record = taken(replace(GOODS, groups=None), default_group="new")
    assert record
    assert record.groups == ("new",)


def test_only_goods_of_the_chosen_groups_and_below_are_taken() -> None:
    assert taken(group_filter=("kitchen",)) == GOODS
    assert taken(group_filter=("garden",)) is None
    assert taken(replace(GOODS, groups=None), group_filter=("kitchen",)) is None


def test_the_tree_is_cut_at_the_root_category() -> None:
    s = DoorSettings(root_group="kitchen")
    groups = [Group(key, key, parent or None) for key, parent in TREE.parents.items()]
    assert [convert.group(g, s, TREE) for g in groups] == [None, None, Group("kettles", "kettles", None), None]
    assert taken(root_group="kitchen") == GOODS
    assert taken(replace(GOODS, groups=("garden",)), root_group="kitchen") is None


def test_a_ring_of_groups_ends() -> None:
    assert not convert.Tree({"a": "b", "b": "a"}).inside("a", DoorSettings(root_group="c"))


def test_without_variants_a_card_of_one_becomes_its_parent() -> None:
    card = Product(
        "g1#c1", name="Футболка (синя, L)", characteristics=(("Колір", "синя"), ("Розмір", "L")), barcode="1", deleted=True
    )
    record = taken(card, variants=False)
    assert record == Product("g1", name="Футболка")
    assert taken(card) == card


PRICES = (Price("retail", D(10)), Price("whole", D(8)))
STOCK = (Stock("", D(12)), Stock("w1", D(5)), Stock("w2", D(7)))
OFFER = Offer("g1", "g1", prices=PRICES, stock=STOCK)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, PRICES),
        ({"price_mode": "one", "price_kind": "whole"}, (Price("whole", D(8)),)),
        ({"price_mode": "one", "price_kind": "other"}, None),
        ({"price_mode": "mapped", "price_map": {"retail": "our-retail"}}, (Price("our-retail", D(10)),)),
    ],
)
def test_price_kinds(values: dict[str, Any], expected: Any) -> None:
    record = convert.offer(OFFER, DoorSettings(**values))
    assert record
    assert record.prices == expected


def test_one_price_kind_without_an_id_takes_the_only_one_and_parks_a_choice() -> None:
    s = DoorSettings(price_mode="one")
    only = replace(OFFER, prices=PRICES[:1])
    assert convert.offer(only, s) == only
    with pytest.raises(BadRecord) as caught:
        convert.offer(OFFER, s)
    assert caught.value.facts == {"key": "g1", "count": 2, "kinds": "retail, whole"}


@pytest.mark.parametrize(
    ("values", "stock", "expected"),
    [
        ({}, STOCK, STOCK),
        ({"warehouses": ("w1",)}, STOCK, (Stock("w1", D(5)),)),
        ({"warehouses": ("w9",)}, STOCK, None),
        ({"stock_mode": "sum"}, STOCK, (Stock("", D(12)),)),
        ({"stock_mode": "sum"}, STOCK[1:], (Stock("", D(12)),)),
        ({"stock_mode": "sum", "warehouses": ("w1", "w2")}, STOCK, (Stock("", D(12)),)),
        ({"stock_mode": "sum", "warehouses": ("w2",)}, STOCK, (Stock("", D(7)),)),
        ({"stock_mode": "sum", "warehouses": ("w9",)}, STOCK[:1], None),
        ({"stock_mode": "sum"}, None, None),
        ({"stock_mode": "sum"}, (), ()),
    ],
)
def test_warehouses_each_or_summed(values: dict[str, Any], stock: Any, expected: Any) -> None:
    record = convert.offer(replace(OFFER, stock=stock), DoorSettings(**values))
    assert record
    assert record.stock == expected


def test_without_variants_only_the_parents_offer_is_taken() -> None:
    s = DoorSettings(variants=False)
    assert convert.offer(OFFER, s) == OFFER
    assert convert.offer(replace(OFFER, key="g1#c1"), s) is None


def test_a_stream_that_is_off_is_not_said() -> None:
    assert convert.offer(replace(OFFER, name="x", article="y"), DoorSettings(), (PRICES_IN,)) == Offer("g1", "g1", prices=PRICES)


# --- orders back -----------------------------------------------------------------------------------------------------------


def news(body: str, **values: Any) -> OrderNews:
    (document,) = records.parse(Kind.ORDER, [f"<Документ>{body}</Документ>".encode()])
    return convert.order_news(document, DoorSettings(**values), KYIV)  # type: ignore[arg-type]


def said(**pairs: str) -> str:
    inside = "".join(
        f"<ЗначениеРеквизита><Наименование>{name.replace('_', ' ')}</Наименование><Значение>{value}</Значение></ЗначениеРеквизита>"
        for name, value in pairs.items()
    )
    return f"<ЗначенияРеквизитов>{inside}</ЗначенияРеквизитов>"


HEAD = "<Ид>1c-guid</Ид><Номер>1001</Номер><Дата>2026-03-01</Дата><ХозОперация>Заказ товара</ХозОперация><Валюта>грн</Валюта><Сумма>170</Сумма>"


def test_what_ut_says_of_an_order() -> None:
    got = news(
        HEAD
        + said(
            Номер_по_1С="00-000123", Дата_по_1С="2026-03-01T9:05:07", Проведен="true", Номер_оплаты_по_1С="П-5",
            Дата_оплаты_по_1С="2026-03-02T10:00:00", Номер_отгрузки_по_1С="О-6", Дата_отгрузки_по_1С="2026-03-03T10:00:00",
        )
    )  # fmt: skip
    assert got == OrderNews(
        "1c-guid", "1001", number_there="00-000123", date_there=datetime(2026, 3, 1, 7, 5, 7, tzinfo=UTC), posted=True, paid=True,
        payment_number="П-5", payment_date=datetime(2026, 3, 2, 8, tzinfo=UTC), shipped=True, shipment_number="О-6",
        shipment_date=datetime(2026, 3, 3, 8, tzinfo=UTC), total=D(170), currency="UAH", requisites=got.requisites,
    )  # fmt: skip


def test_what_is_not_said_stays_unknown() -> None:
    got = news(HEAD)
    assert (got.cancelled, got.deleted, got.paid, got.shipped, got.posted, got.lines, got.state) == (
        None,
        None,
        None,
        None,
        None,
        None,
        "",
    )


def test_unf_says_states_and_flags() -> None:
    got = news(
        HEAD
        + said(
            Статуса_заказа_ИД="N",
            Статус_заказа="Принят",
            Оплачен="false",
            Отгружен="true",
            Отменен="true",
            Идентификатор_отправления="TTN",
        )
    )
    assert (got.state, got.state_name, got.paid, got.shipped, got.cancelled, got.tracking) == (
        "N",
        "Принят",
        False,
        True,
        True,
        "TTN",
    )


def test_a_number_that_was_made_short_leads_back_to_its_order() -> None:
    got = news(HEAD.replace("1001", "Z15") + said(Номер_заказа_на_сайте="WEB-2026-000123"), number_prefix="W")
    assert (got.record, got.number, got.full_number) == (15, "Z15", "EB-2026-000123")
    assert news(HEAD.replace("1001", "UA-1001"), number_prefix="UA-").number == "1001"


def test_a_subordinate_payment_and_shipment_are_read() -> None:
    inside = (
        "<ПодчиненныйДокумент><Ид>p</Ид><Номер>7</Номер><Дата>2026-03-02</Дата><ХозОперация>Эквайринговая операция</ХозОперация><Сумма>170</Сумма>"
        + said(Оплачен="true", Метод_оплаты="Картка")
        + "</ПодчиненныйДокумент><ПодчиненныйДокумент><Ид>s</Ид><ХозОперация>Отпуск товара</ХозОперация><Сумма>120</Сумма>"
        + said(Отгружен="true", Номер_документа_отгрузки="О-6")
        + "</ПодчиненныйДокумент>"
    )
    got = news(f"{HEAD}<ПодчиненныеДокументы>{inside}</ПодчиненныеДокументы>")
    assert got.payments == (
        Payment(
            "p",
            D(170),
            method="Картка",
            number="7",
            date=datetime(2026, 3, 1, 22, tzinfo=UTC),
            paid=True,
            requisites=(("Документ", "Эквайринговая операция"),),
        ),
    )
    assert got.shipments == (Shipment("s", number="О-6", shipped=True, amount=D(120)),)


def test_a_payment_document_of_its_own_speaks_of_the_order_it_is_based_on() -> None:
    got = news(
        "<Ид>p</Ид><Основание>1001</Основание><ХозОперация>Выплата безналичных денег</ХозОперация><Сумма>5</Сумма>"
        + said(Оплачен="true")
    )
    assert (got.key, got.number, [p.paid for p in got.payments]) == ("1001#p", "1001", [True])


def test_lines_that_come_back_say_what_they_are() -> None:
    goods = (
        "<Товары><Товар><Ид>g1</Ид><Наименование>Чайник</Наименование><ЦенаЗаЕдиницу>60</ЦенаЗаЕдиницу><Количество>1</Количество>"
        "<Сумма>60</Сумма></Товар><Товар><Ид>x</Ид><Наименование>Доставка заказа</Наименование><Количество>1</Количество>"
        f"<Сумма>50</Сумма>{said(ТипНоменклатуры='Услуга')}</Товар></Товары>"
    )
    lines = news(HEAD + goods).lines
    assert lines
    assert [(x.offer, x.kind, x.quantity, x.total) for x in lines] == [
        ("g1", "product", D(1), D(60)),
        ("x", "delivery", D(1), D(50)),
    ]


# --- the source over files -------------------------------------------------------------------------------------------------


class Nothing:
    def seen(self, kind: Kind) -> bytes:
        return b""


IMPORT = """<?xml version="1.0" encoding="UTF-8"?><КоммерческаяИнформация ВерсияСхемы="2.07"><Классификатор><Ид>c</Ид><Группы>
<Группа><Ид>kitchen</Ид><Наименование>Кухня</Наименование><Группы><Группа><Ид>kettles</Ид><Наименование>Чайники</Наименование></Группа></Группы></Группа>
<Группа><Ид>garden</Ид><Наименование>Сад</Наименование></Группа></Группы></Классификатор>
<Каталог СодержитТолькоИзменения="false"><Ид>c</Ид><Товары>
<Товар><Ид>g1</Ид><Наименование>Чайник</Наименование><Группы><Ид>kettles</Ид></Группы></Товар>
<Товар><Ид>g2#c1</Ид><Наименование>Лопата (мала)</Наименование><Группы><Ид>garden</Ид></Группы></Товар>
</Товары></Каталог></КоммерческаяИнформация>"""
OFFERS = """<?xml version="1.0" encoding="UTF-8"?><КоммерческаяИнформация ВерсияСхемы="2.07">
<ПакетПредложений СодержитТолькоИзменения="false"><Ид>c#</Ид><Предложения>
<Предложение><Ид>g1</Ид><Наименование>Чайник</Наименование>
<Цены><Цена><ИдТипаЦены>r</ИдТипаЦены><ЦенаЗаЕдиницу>10</ЦенаЗаЕдиницу></Цена></Цены><Количество>3</Количество></Предложение>
</Предложения></ПакетПредложений></КоммерческаяИнформация>"""


def source(tmp_path: Path, settings: DoorSettings | None = None, **more: Any) -> CommerceMLFiles:
    (tmp_path / "import0_1.xml").write_text(IMPORT, "utf-8")
    (tmp_path / "offers0_1.xml").write_text(OFFERS, "utf-8")
    return CommerceMLDoor(settings or DoorSettings()).open_files(sorted(tmp_path.iterdir(), reverse=True), **more)


def pages(made: CommerceMLFiles, since: Any = None) -> list[Page]:
    return list(made.pages(since, Nothing()))


def keys(made: CommerceMLFiles, since: Any = None) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for page in pages(made, since):
        if not page.items:
            continue
        found.setdefault(str(page.kind), []).extend(r.key for r in made.parse(page.kind, page.items) if r is not None)  # type: ignore[union-attr]
    return found


def test_files_come_in_the_order_in_which_they_need_each_other() -> None:
    names = ["rests_1.xml", "offers0_10.xml", "import0_2.xml", "offers0_2.xml", "groups_1.xml", "import0_10.xml", "note.txt"]
    assert [p.name for p in in_order([Path(n) for n in names])] == [
        "groups_1.xml", "import0_2.xml", "import0_10.xml", "offers0_2.xml", "offers0_10.xml", "rests_1.xml",
    ]  # fmt: skip


def test_records_come_by_kind_with_variants_apart(tmp_path: Path) -> None:
    assert keys(source(tmp_path)) == {
        "group": ["kettles", "kitchen", "garden"],
        "product": ["g1"],
        "variant": ["g2#c1"],
        "offer": ["g1"],
    }


def test_a_full_package_is_whole_and_goods_are_not(tmp_path: Path) -> None:
    assert {str(p.kind): p.whole for p in pages(source(tmp_path))} == {
        "group": False,
        "product": False,
        "variant": False,
        "offer": True,
    }


def test_a_group_filter_works_for_goods_that_come_later_alone(tmp_path: Path) -> None:
    s = DoorSettings(group_filter=("kitchen",))
    first = source(tmp_path, s)
    assert keys(first) == {"group": ["kettles", "kitchen"], "product": ["g1"], "variant": [], "offer": ["g1"]}
    bookmark = next(p.bookmark for p in pages(source(tmp_path, s)) if p.bookmark)
    (tmp_path / "import0_1.xml").write_text(
        IMPORT[: IMPORT.index("<Классификатор>")] + IMPORT[IMPORT.index("<Каталог") :], "utf-8"
    )
    later = CommerceMLFiles([tmp_path / "import0_1.xml"], s)
    assert keys(later, bookmark) == {"product": ["g1"], "variant": []}


def test_records_of_streams_that_are_off_are_left_out(tmp_path: Path) -> None:
    assert set(keys(source(tmp_path, streams=("orders-in",)))) == set()
    assert set(keys(source(tmp_path, streams=("prices-in",)))) == {"offer"}


def test_the_mode_none_takes_no_goods(tmp_path: Path) -> None:
    assert set(keys(source(tmp_path, DoorSettings(import_mode="none")))) == {"group"}


def test_a_setting_that_changes_records_changes_their_digests(tmp_path: Path) -> None:
    first = [i.digest for p in pages(source(tmp_path)) for i in p.items]
    assert [i.digest for p in pages(source(tmp_path)) for i in p.items] == first
    assert not set(first) & {i.digest for p in pages(source(tmp_path, DoorSettings(name_source="full_name"))) for i in p.items}
    assert fingerprint(DoorSettings(minimum_interval=5)) == fingerprint(DoorSettings())


def test_rules_of_receiving_follow_the_settings() -> None:
    rules = CommerceMLDoor(
        DoorSettings(import_mode="new", field_policy={"product.name": "if_new"}, pictures="append", deletion="ignore", sweep="mark",
                     sweep_limit=5, take_lines=False, take_states=False)
    ).open_files([]).rules  # fmt: skip
    assert (rules.mode, rules.fields, rules.pictures, rules.deletion, rules.sweep, rules.sweep_limit) == (
        "new", {"product.name": "if_new"}, "append", "ignore", "mark", 5,
    )  # fmt: skip
    assert (rules.orders, rules.partial) == (("cancel", "payment", "shipment"), False)
