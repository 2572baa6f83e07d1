"""What each setting of a sending shop makes of the XML, letter by letter (CS-B1 … CS-B6, OL-7, OL-8, OL-11; shops.md §1.1 B, §2.4)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from lxml import etree

from obmen.connectors.commerceml_door import convert
from obmen.connectors.commerceml_door.profiles import all_profiles
from obmen.connectors.commerceml_door.settings import DoorSettings
from obmen.core.records import Counterparty, Delivery, Order, OrderLine, Payment
from obmen.formats.commerceml import writer
from obmen.formats.commerceml.dialects import DIALECTS

D = Decimal
KYIV = ZoneInfo("Europe/Kyiv")
SHIRT = OrderLine("g1", "Футболка", D(2), D(200), D(400), article="A-1", options=(("Розмір", "M"), ("Колір", "білий")))
SOCKS = OrderLine("g2", "Шкарпетки", D(1), D(20), D(20), article="A-2")
CARD = Payment(
    "p1", D(470), method="Картка", method_key="card", gateway="CKassa", number="55", date=datetime(2026, 3, 1, 9, tzinfo=UTC),
    paid=True,
)  # fmt: skip
ORDER = Order(
    "17", "1017", datetime(2026, 3, 1, 7, 5, 9, tzinfo=UTC), currency="UAH", total=D(470), state="P",
    counterparty=Counterparty("7", "Петренко Іван"), delivery=Delivery(price=D(50)), lines=(SHIRT, SOCKS),
)  # fmt: skip
UNIT = '<БазоваяЕдиница Код="796" НаименованиеПолное="Штука" МеждународноеСокращение="PCE">шт</БазоваяЕдиница>'


def pair(name: str, value: str) -> str:
    return f"<ЗначениеРеквизита><Наименование>{name}</Наименование><Значение>{value}</Значение></ЗначениеРеквизита>"


def pairs(*said: tuple[str, str]) -> str:
    return f"<ЗначенияРеквизитов>{''.join(pair(*one) for one in said)}</ЗначенияРеквизитов>"


def line(key: str, name: str, price: int, quantity: int, *, article: str = "", kind: str = "Товар") -> str:
    return (
        f"<Товар><Ид>{key}</Ид>{f'<Артикул>{article}</Артикул>' if article else ''}<Наименование>{name}</Наименование>{UNIT}"
        f"{pairs(('ВидНоменклатуры', kind), ('ТипНоменклатуры', kind))}"
        f"<ЦенаЗаЕдиницу>{price}</ЦенаЗаЕдиницу><Количество>{quantity}</Количество><Сумма>{price * quantity}</Сумма>"
        "<Единица>796</Единица><Коэффициент>1</Коэффициент></Товар>"
    )


DELIVERY = line("ORDER_DELIVERY", "Доставка заказа", 50, 1, kind="Услуга")
GOODS = line("g1", "Футболка", 200, 2, article="A-1") + line("g2", "Шкарпетки", 20, 1, article="A-2")


def answer(order: Order = ORDER, *, profile: str = "cs-cart", dialect: str = "", words: Any = None, **values: Any) -> str:
    """The bytes of ``mode=query`` as text, by the profile's settings with some of them changed."""
    s = DoorSettings(**{**all_profiles()[profile]["settings"], **values})
    spoken = DIALECTS[dialect or s.dialect]
    document = convert.document(order, 15, s, spoken, words or convert.Words(), KYIV)
    raw = b"".join(writer.orders([document], spoken, created=datetime(2026, 3, 2, 1, 2, 3)))  # noqa: DTZ001
    return raw.decode(spoken.answer_encoding.replace("utf-8-bom", "utf-8-sig"))


def part(xml: str, tag: str) -> str:
    """The outermost element of that name, as it stands."""
    return xml[xml.index(f"<{tag}>") : xml.rindex(f"</{tag}>") + len(tag) + 3]


def head(xml: str) -> dict[str, str]:
    """The requisites of the order itself."""
    root = etree.fromstring(xml.encode().replace(b'encoding="windows-1251"', b'encoding="utf-8"'))
    found = root.findall(".//Документ[ХозОперация='Заказ товара']/ЗначенияРеквизитов/ЗначениеРеквизита")
    return {e.findtext("Наименование"): e.findtext("Значение") for e in found}


# --- CS-Cart ---------------------------------------------------------------------------------------------------------------


def test_a_whole_answer_of_the_profile() -> None:
    """CS-B1 … CS-B6 with the choices that CS-Cart 4.12 starts with: no version in the root, the delivery first."""
    assert answer() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<КоммерческаяИнформация>\n'
        "<Документ><Ид>17</Ид><Номер>1017</Номер><Дата>2026-03-01</Дата><ХозОперация>Заказ товара</ХозОперация><Роль>Продавец</Роль>"
        "<Валюта>UAH</Валюта><Курс>1</Курс><Сумма>470</Сумма>"
        "<Контрагенты><Контрагент><Ид>7</Ид><Наименование>Петренко Іван</Наименование><ПолноеНаименование>Петренко Іван"
        "</ПолноеНаименование><Роль>Покупатель</Роль></Контрагент></Контрагенты><Время>09:05:09</Время>"
        f"<Товары>{DELIVERY}{GOODS}</Товары>"
        + pairs(
            ("Статус заказа", "P"),
            ("Статуса заказа ИД", "P"),
            ("Отменен", "false"),
            ("Опции товаров", "Футболка: Розмір [M], Колір [білий],;"),
        )
        + "</Документ>\n</КоммерческаяИнформация>\n"
    )


def test_delivery_is_the_first_line_a_service_of_one_piece() -> None:
    """CS-B1 on; interop case 1: then the lines add up to the sum."""
    xml = answer(delivery_line=True)
    assert part(xml, "Товары") == f"<Товары>{DELIVERY}{GOODS}</Товары>"
    sums = [D(e.text or "0") for e in etree.fromstring(xml.encode()).iterfind(".//Товар/Сумма")]
    assert (sum(sums), "<Сумма>470</Сумма>" in xml) == (470, True)


def test_without_the_line_the_sum_keeps_the_delivery_and_the_lines_do_not_add_up() -> None:
    """CS-B1 off; interop case 1, the side that sends."""
    xml = answer(delivery_line=False)
    assert part(xml, "Товары") == f"<Товары>{GOODS}</Товары>"
    assert "<Курс>1</Курс><Сумма>470</Сумма>" in xml


@pytest.mark.parametrize("price", [None, D(0)])
def test_delivery_that_costs_nothing_makes_no_line(price: Decimal | None) -> None:
    """CS-B1: a line only when the cost is above nought."""
    xml = answer(replace(ORDER, total=D(420), delivery=Delivery(price=price)), delivery_line=True)
    assert part(xml, "Товары") == f"<Товары>{GOODS}</Товары>"


@pytest.mark.parametrize(
    ("how", "name", "requisite"),
    [
        ("none", "Футболка", None),
        ("name", "Футболка#Розмір: M; Колір: білий", None),
        ("requisite", "Футболка", "Футболка: Розмір [M], Колір [білий],;"),
    ],
)
def test_options_go_where_the_owner_said(how: str, name: str, requisite: str | None) -> None:
    """CS-B2; interop case 7, the side that sends."""
    xml = answer(options=how)
    assert line("g1", name, 200, 2, article="A-1") in xml
    assert line("g2", "Шкарпетки", 20, 1, article="A-2") in xml
    assert head(xml).get("Опции товаров") == requisite


def test_options_in_the_id_are_behind_a_number_sign_and_the_same_in_the_next_order() -> None:
    """CS-B2 as CS-Cart 4.3–4.8 writes it: ``<product>#<combination>`` and ``Name#Option: Value``."""
    first, second = answer(options="id"), answer(replace(ORDER, key="18", number="1018"), options="id")
    key = etree.fromstring(first.encode()).xpath("string(//Товар[Артикул='A-1']/Ид)")
    product, _sign, combination = key.partition("#")
    assert (product, len(combination)) == ("g1", 36)
    assert line(key, "Футболка#Розмір: M; Колір: білий", 200, 2, article="A-1") in first
    assert part(first, "Товары") == part(second, "Товары")


def test_orders_go_from_the_number_on_and_an_empty_one_sends_all() -> None:
    """CS-B3: inclusive, numbers only."""
    orders = [replace(ORDER, number=n) for n in ("1016", "1017", "UA-1018", "-")]

    def wanted(**values: Any) -> list[str]:
        return [o.number for o in orders if convert.is_wanted(o, DoorSettings(**values))]

    assert wanted(from_number="1017") == ["1017", "UA-1018"]
    assert wanted(from_number="") == ["1016", "1017", "UA-1018", "-"]


@pytest.mark.parametrize(("on", "said"), [(True, "Оплачен"), (False, None)])
def test_the_state_goes_by_its_name_or_not_at_all(on: bool, said: str | None) -> None:
    """CS-B5: requisite "Статус заказа" = the name of the state."""
    told = head(answer(send_state=on, words=convert.Words(states={"P": ("paid", "Оплачен")})))
    assert (told.get("Статус заказа"), told.get("Статуса заказа ИД")) == (said, "paid" if on else None)


def test_states_filter_and_none_chosen_is_all() -> None:
    """CS-B6."""
    orders = [replace(ORDER, state=s) for s in ("O", "P", "")]
    assert [o.state for o in orders if convert.is_wanted(o, DoorSettings(send_states=("P", "C")))] == ["P"]
    assert [o.state for o in orders if convert.is_wanted(o, DoorSettings(send_states=()))] == ["O", "P", ""]


# --- Olvery ----------------------------------------------------------------------------------------------------------------

RULES = '{"paymentrules":[{"status":"P","gateway":"CKassa"}],"paymentmethod_name":"Оплата картой внешняя"}'
PAID = replace(ORDER, payments=(CARD,))
PAYMENT_HEAD = (
    "<Ид>p1</Ид><Номер>55</Номер><Дата>2026-03-01</Дата><ХозОперация>Эквайринговая операция</ХозОперация><Роль>Продавец</Роль>"
    "<Валюта>UAH</Валюта><Курс>1</Курс><Сумма>470</Сумма>"
)
PAYMENT_TOLD = pairs(
    ("Дата оплаты", "2026-03-01T11:00:00"),
    ("Отменен", "false"),
    ("Метод оплаты", "Оплата картой внешняя"),
    ("Оплачено", "true"),
    ("Номер платежного документа", "55"),
)


def test_the_name_of_the_payment_method_goes_verbatim_and_alone() -> None:
    """OL-8: an id beside it would win over it in 1C."""
    told = head(answer(PAID, profile="olvery", dialect="generic", payment_rules=RULES))
    assert {name: value for name, value in told.items() if "плат" in name.lower() or "оплач" in name} == {
        "Метод оплаты": "Оплата картой внешняя",
        "Дата оплаты": "2026-03-01T11:00:00",
        "Номер платежного документа": "55",
        "Заказ оплачен": "true",
    }


def test_a_payment_is_a_document_below_the_order_for_1c_unf() -> None:
    """OL-11, CommerceML 2.10: and date and number are not in the head too, or 1C would make two payments of one."""
    xml = answer(PAID, profile="olvery", dialect="unf-subordinate", payment_rules=RULES)
    assert part(xml, "ПодчиненныеДокументы") == (
        f"<ПодчиненныеДокументы><ПодчиненныйДокумент>{PAYMENT_HEAD}<Основание>17</Основание><Время>11:00:00</Время>{PAYMENT_TOLD}"
        "</ПодчиненныйДокумент></ПодчиненныеДокументы>"
    )
    told = head(xml)
    assert [told.get(n) for n in ("Заказ оплачен", "Метод оплаты", "Дата оплаты", "Номер платежного документа")] == [
        "true", "Оплата картой внешняя", None, None,
    ]  # fmt: skip


def test_a_payment_is_a_document_beside_the_order_in_its_container_for_bitrixs_modules_6_and_7() -> None:
    """OL-11, CommerceML 3.1."""
    xml = answer(PAID, profile="bitrix-module-7", payment_rules=RULES)
    container = part(xml, "Контейнер")
    assert container.endswith(
        f"</ЗначенияРеквизитов></Документ><Документ>{PAYMENT_HEAD}<Основание>17</Основание><Время>11:00:00</Время>{PAYMENT_TOLD}"
        "</Документ></Контейнер>"
    )
    assert xml.count("<Контейнер>") == 1
    assert "Дата оплаты" not in head(xml)


def test_payments_stand_in_a_list_of_commerceml_2_09() -> None:
    """OL-11: what has been paid, and nothing that has not."""
    open_one = replace(CARD, key="p2", paid=False)
    xml = answer(replace(ORDER, payments=(CARD, open_one)), profile="olvery", dialect="generic-2.09", payment_rules=RULES)
    assert part(xml, "Оплаты") == (
        "<Оплаты><Оплата><НомерДокумента>55</НомерДокумента><НомерТранзакции>p1</НомерТранзакции>"
        "<ДатаОплаты>2026-03-01T11:00:00</ДатаОплаты><СуммаОплаты>470</СуммаОплаты>"
        "<СпособОплаты>Оплата картой внешняя</СпособОплаты></Оплата></Оплаты>"
    )


@pytest.mark.parametrize(
    ("state", "gateway", "goes"), [("P", "CKassa", True), ("p", "ckassa", True), ("P", "Cash", False), ("O", "CKassa", False)]
)
def test_a_rule_wants_both_of_its_conditions(state: str, gateway: str, goes: bool) -> None:
    """OL-7: AND inside a rule; OR over rules is test_payment_rules_are_alternatives_of_state_and_gateway."""
    order = replace(ORDER, state=state, payments=(replace(CARD, gateway=gateway),))
    assert convert.is_wanted(order, DoorSettings(payment_rules=RULES)) is goes


def test_only_orders_of_the_company_of_the_integration_go() -> None:
    """OL-9."""
    orders = [replace(ORDER, company=c) for c in ("ТОВ Ранок", "ТОВ Вечір", "")]
    assert [o.company for o in orders if convert.is_wanted(o, DoorSettings(company=" тов ранок"))] == ["ТОВ Ранок"]
