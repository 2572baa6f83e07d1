"""CS-Cart, the old add-on and the new one: facts on shops §2.3–2.6, interop notes §5, settings CS-B1 … CS-B8."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from lxml import etree

from obmen.sandbox.shop import Buyer, Line, Shop, make
from sandbox.shop_calls import (
    BULK,
    CUP,
    MUG,
    RED,
    RETAIL,
    SAMPLES,
    OneC,
    archive,
    card,
    cost_of,
    group,
    import_xml,
    line,
    offer,
    offers_xml,
    options,
    orders_xml,
    paper,
)

OLD, NEW = "cs-cart-exim-1c", "cs-cart-commerceml"
PERSON = Buyer(
    "Анна", "Сидорова", "+79161112233", "anna@example.com", zip="101000", country="Россия", city="Москва", address="Тверская, 1"
)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def later(self, **by: int) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(clock: Clock) -> Callable[..., OneC]:
    """A shop of this profile with two goods, the second one in a variant; the 1C that loaded them."""

    def one(profile: str, **settings: Any) -> OneC:
        onec = OneC(make(profile, clock=clock, **settings))
        onec.load("import0_1.xml", import_xml([card(CUP), card(MUG, "Кружка", "A-2")]))
        onec.load("offers0_1.xml", offers_xml([offer(CUP), offer(f"{MUG}#{RED}", 250, 3, options(Цвет="красный"))]))
        return onec

    return one


def tags(xml: str, path: str = "Документ") -> list[str]:
    return [child.tag for child in document(xml).find(path)]


def document(xml: str) -> Any:
    return etree.fromstring(xml.encode().removeprefix(b"\xef\xbb\xbf"))


def values(xml: str, path: str) -> dict[str, str]:
    rows = document(xml).findall(f"{path}/ЗначенияРеквизитов/ЗначениеРеквизита")
    return {row.findtext("Наименование"): row.findtext("Значение") for row in rows}


# --- the conversation ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("profile", "sample"), [(OLD, "cscart_old_exim_1c.txt"), (NEW, "cscart_new_commerceml.txt")])
def test_what_is_said_to_a_stranger_is_what_was_recorded(profile: str, sample: str) -> None:
    """200 with a text for a wrong password, 401 only without any; the sample has the very words."""
    recorded = SAMPLES / "shops" / "protocol" / sample
    if not recorded.exists():
        pytest.skip("the samples are not here")
    text, shop = recorded.read_text("utf-8"), make(profile)
    onec = OneC(shop, auth=(shop.login, "wrong"))
    for mode in ("checkauth", "init", "query"):
        said = onec.say(mode)
        assert said.replace("\n", "\\n") in text
        assert onec.status == 200
    onec.auth = None
    assert onec.say("checkauth").replace("\n", "\\n") in text
    assert onec.status == 401
    onec.auth = ("", "")
    shop.settings.privileged = False
    assert onec.say("checkauth").replace("\n", "\\n") in text


@pytest.mark.parametrize("profile", [OLD, NEW])
def test_a_lost_cookie_is_harmless_because_every_request_has_the_login(opened: Callable[..., OneC], profile: str) -> None:
    """§2.3; CS-B7: the orders can be seen in a browser, without checkauth and init."""
    onec = opened(profile)
    onec.shop.buy([(CUP, 1)])
    onec.shop.forget_sessions()
    onec.cookie = ""
    assert "<Документ>" in onec.say("query", type="sale")


def test_the_old_one_says_zip_no_and_the_new_one_yes() -> None:
    assert OneC(make(OLD)).say("init") == "zip=no\nfile_limit=52428800\n"
    assert OneC(make(NEW)).say("init") == "zip=yes\nfile_limit=8388608"


def test_the_old_one_answers_empty_on_sale_to_a_vendor_and_in_price_debug_mode(opened: Callable[..., OneC]) -> None:
    """§2.7, §5.20: interop 20."""
    for wrong in ({"vendor": True}, {"price_debug": True}):
        onec = opened(OLD, **wrong)
        onec.shop.buy([(CUP, 1)])
        assert [onec.say(mode, type="sale") for mode in ("checkauth", "init", "query", "success")] == [""] * 4
        assert onec.status == 200
    onec = opened(OLD)
    onec.shop.settings.storefront_admin = False
    assert onec.say("checkauth") == "SHOP IS NOT SIMPLE"


def test_service_exchange_takes_the_place_of_the_cookies_name() -> None:
    onec = OneC(make(OLD))
    assert onec.say("checkauth", "&service_exchange=moysklad").split("\n")[1] == "moysklad"
    assert onec.say("checkauth", "&service_exchange=exim_cml").split("\n")[1] != "exim_cml"


def test_the_old_one_works_a_hundred_records_a_call_and_says_where_it_is() -> None:
    onec = OneC(make(OLD))
    said = onec.load("import0_1.xml", import_xml([card(f"k-{n}", article=str(n)) for n in range(250)]))
    assert said == ["progress\nimported: 100\nprocessed: 100\n", "progress\nimported: 100\nprocessed: 200\n", "success\n"]
    assert len(onec.shop.goods.products) == 250


def test_the_old_one_routes_by_the_name_and_takes_prices_for_nothing(opened: Callable[..., OneC]) -> None:
    """§2.3, interop 15."""
    onec = opened(OLD)
    assert onec.load("goods_1_1.xml", import_xml([card("new")])) == ["failure"]
    assert onec.load("prices_1_1.xml", offers_xml([offer(CUP, 999)])) == ["failure"]
    assert onec.load("import_with_offers.xml", offers_xml([offer(CUP, 999)])) == ["success\n"], (
        "read as goods, of which it has none"
    )
    assert list(onec.shop.goods.products[CUP].offers[""].prices.values()) == [100]


def test_the_old_one_says_success_to_a_file_that_it_cannot_read(opened: Callable[..., OneC]) -> None:
    """§5.19: printed before the work is begun; interop 19."""
    onec = opened(OLD)
    broken = import_xml([card("new")])[:-30]
    before = onec.shop.goods.plain()
    assert onec.load("import0_1.xml", broken) == ["success\n"]
    assert onec.shop.goods.plain() == before


def test_the_old_one_tells_a_new_file_from_a_chunk_by_what_lies_there(clock: Clock) -> None:
    """§2.3: the folder is the day's, so that an exchange over midnight breaks."""
    onec = OneC(make(OLD, clock=clock))
    raw = import_xml([card(CUP)])
    assert onec.load("import0_1.xml", raw, limit=100) == ["success\n"]
    assert onec.load("import0_1.xml", raw, limit=200) == ["success\n"], "the whole file made room for the new one"
    assert list(onec.shop.goods.products) == [CUP]
    clock.now = datetime(2026, 3, 2, 20, 59, 50, tzinfo=UTC)
    onec.say("file", "&filename=import0_1.xml", raw)
    clock.later(minutes=1)
    assert onec.say("import", "&filename=import0_1.xml") == "failure"


def test_the_new_one_unpacks_reads_and_works_in_steps() -> None:
    onec = OneC(make(NEW, slice=2))
    raw = archive({"import0_1.xml": import_xml([card(f"k-{n}", article=str(n)) for n in range(5)])})
    onec.open()
    onec.say("init")
    assert onec.say("file", "&filename=v8_1.zip", raw) == "success"
    assert onec.finish("import0_1.xml") == ["progress", "progress", "progress", "progress", "success"]
    assert len(onec.shop.goods.products) == 5
    assert onec.finish("import0_2.xml")[-1] == "failure"


def test_nothing_is_written_while_no_price_type_is_mapped() -> None:
    """§0.4: the first exchange analyses."""
    onec = OneC(make(NEW, prices_mapped=False))
    onec.load("import0_1.xml", import_xml([card(CUP)]))
    onec.load("offers0_1.xml", offers_xml([offer(CUP)]))
    assert onec.shop.goods.products == {}
    assert onec.shop.goods.kinds == {RETAIL: ("Розничная", "RUB")}


def test_imports_that_are_switched_off_are_a_success_at_once(opened: Callable[..., OneC]) -> None:
    onec = opened(NEW, import_mode="none", import_offers=False)
    assert onec.load("import0_1.xml", import_xml([card(CUP)])) == ["success"]
    assert onec.load("prices0_1.xml", offers_xml([offer(CUP)])) == ["success"], "anything that is not import is taken for offers"
    assert onec.shop.goods.products == {}


# --- goods --------------------------------------------------------------------------------------------------------------------


def test_a_missing_quantity_is_zero_in_the_old_one_and_unchanged_in_the_new(opened: Callable[..., OneC]) -> None:
    """§2.5; interop 10."""
    for profile, left in ((OLD, 0), (NEW, 5)):
        onec = opened(profile)
        onec.load("offers0_1.xml", offers_xml([offer(CUP, 110, None)], full=False))
        assert onec.shop.goods.products[CUP].offers[""].quantity == left


def test_the_old_one_prefers_the_quantity_and_the_new_one_the_warehouses(opened: Callable[..., OneC]) -> None:
    stock = '<Склад ИдСклада="w1" КоличествоНаСкладе="2"/><Склад ИдСклада="w2" КоличествоНаСкладе="-9"/>'
    for profile, left in ((OLD, 7), (NEW, -7)):
        onec = opened(profile)
        onec.load("offers0_1.xml", offers_xml([offer(CUP, 110, 7, stock)], full=False))
        assert onec.shop.goods.products[CUP].offers[""].quantity == left
    onec = opened(OLD)
    onec.load("offers0_1.xml", offers_xml([offer(CUP, 110, -4)], full=False))
    assert onec.shop.goods.products[CUP].offers[""].quantity == 0


def test_one_price_is_kept_the_first_or_the_mapped_one(opened: Callable[..., OneC]) -> None:
    both = f"<Цены>{cost_of(BULK, 80)}{cost_of(RETAIL, 100)}</Цены>"
    for profile, kept in ((OLD, {BULK: 80}), (NEW, {RETAIL: 100})):
        onec = opened(profile)
        onec.load("offers0_1.xml", offers_xml([offer(CUP, None, 1, both)], kinds=[(BULK, "Опт")], full=False))
        assert onec.shop.goods.products[CUP].offers[""].prices == kept


@pytest.mark.parametrize(
    ("profile", "mark", "deleted"),
    [(OLD, "attribute", True), (OLD, "child", True), (OLD, "mark", False), (NEW, "attribute", True), (NEW, "child", False)],
)
def test_which_marks_of_deletion_delete(opened: Callable[..., OneC], profile: str, mark: str, deleted: bool) -> None:
    """§2.5; interop 11."""
    onec = opened(profile)
    said = {
        "attribute": card(CUP, attributes=' Статус="Удален"'),
        "child": card(CUP, more="<Статус>Удален</Статус>"),
        "mark": card(CUP, more="<ПометкаУдаления>true</ПометкаУдаления>"),
    }[mark]
    onec.load("import0_1.xml", import_xml([said], full=False))
    assert (CUP not in onec.shop.goods.products) is deleted
    onec.load("offers0_1.xml", offers_xml([offer(CUP)], full=False))
    assert (CUP not in onec.shop.goods.products) is deleted, "offers do not bring it back"


def test_categories_are_made_at_once_by_the_old_one_and_when_needed_by_the_new() -> None:
    groups = group("g1", "Посуда", group("g2", "Чашки")) + group("g3", "Прочее")
    for profile, made in ((OLD, {"g1", "g2", "g3"}), (NEW, {"g1", "g2"})):
        onec = OneC(make(profile))
        onec.load("import0_1.xml", import_xml([card(CUP, more="<Группы><Ид>g2</Ид></Группы>")], groups=groups))
        assert set(onec.shop.goods.groups) == made


def test_pictures_are_known_by_their_base_name() -> None:
    more = "<Картинка>import_files/aa/One.JPG</Картинка>"
    for profile, name in ((OLD, "One.JPG"), (NEW, "import_files/one.jpg")):
        onec = OneC(make(profile))
        onec.open()
        onec.say("init")
        onec.say("file", "&filename=import_files/aa/One.JPG", b"\xff\xd8picture")
        onec.say("file", "&filename=import0_1.xml", import_xml([card(CUP, more=more)]))
        onec.finish("import0_1.xml")
        assert onec.shop.goods.products[CUP].pictures == (name,)
        assert onec.shop.goods.pictures == {name: b"\xff\xd8picture"}


# --- orders out -----------------------------------------------------------------------------------------------------------------


def test_the_elements_of_an_order_and_their_order(opened: Callable[..., OneC]) -> None:
    """§2.4: BOM, no encoding, a root without attributes."""
    onec = opened(OLD, shipping_line=True)
    onec.shop.buy([(CUP, 2)], shipping=300, buyer=PERSON, comment="a < b & c")
    raw = onec.raw("query", type="sale")
    assert raw.startswith(b'\xef\xbb\xbf<?xml version="1.0"?>\n' + "<КоммерческаяИнформация><Документ>".encode())
    assert onec.content_type == "text/xml; charset=utf-8"
    xml = raw.decode()
    assert " ".join(tags(xml)) == (
        "Ид Номер Дата Время ХозОперация Роль Курс Сумма Валюта Комментарий Контрагенты Товары ЗначенияРеквизитов"
    )
    assert " ".join(tags(xml, "Документ/Контрагенты/Контрагент")) == (
        "Ид Незарегистрированный Наименование Роль ПолноеНаименование Фамилия Имя Адрес Контакты"
    )
    assert [row.findtext("Ид") for row in document(xml).findall("Документ/Товары/Товар")] == ["ORDER_DELIVERY", CUP], (
        "delivery first"
    )
    assert " ".join(tags(xml, "Документ/Товары/Товар[2]")) == (
        "Ид Код Артикул Наименование ЦенаЗаЕдиницу Количество Коэффициент БазоваяЕдиница Скидки Сумма ЗначенияРеквизитов"
    )
    assert document(xml).findtext("Документ/Контрагенты/Контрагент/Адрес/Представление") == "101000, Россия, Москва, Тверская, 1"
    assert values(xml, "Документ") == {
        "Статус заказа": "Открыт",
        "Метод оплаты": "Заказ по телефону",
        "Способ доставки": "Курьером",
    }, "no sign of payment, of cancellation, of 1C's number"
    assert document(xml).findtext("Документ/Комментарий") == "a < b & c"


def test_the_sample_of_2014_and_ours_speak_of_the_same_things(opened: Callable[..., OneC]) -> None:
    sample = SAMPLES / "shops" / "docs" / "orders_cscart_2014_document.xml"
    if not sample.exists():
        pytest.skip("the samples are not here")
    old = {child.tag for child in etree.parse(str(sample)).getroot()}
    onec = opened(OLD)
    onec.shop.buy([(CUP, 1)], buyer=PERSON)
    assert old <= set(tags(onec.orders()))


@pytest.mark.parametrize(
    ("profile", "settings", "role"),
    [(OLD, {}, "Продавец"), (NEW, {"version": "4.12"}, "Продавец"), (NEW, {}, "Покупатель")],
)
def test_the_role_of_the_buyer_and_the_id_of_a_guest(opened: Callable[..., OneC], profile: str, settings: Any, role: str) -> None:
    """§2.4; interop 2 and 3."""
    onec = opened(profile, **settings)
    guest = onec.shop.buy([(CUP, 1)], buyer=PERSON).id
    party = document(onec.orders()).find("Документ/Контрагенты/Контрагент")
    assert (party.findtext("Роль"), party.findtext("Ид"), party.findtext("Незарегистрированный")) == (role, f"0{guest}", "Да")


def test_own_fields_of_the_buyer_and_the_currency_differ_between_the_versions(opened: Callable[..., OneC]) -> None:
    """§2.4: a field "ИНН" becomes <Инн>, before the rest since 4.16."""
    buyer = Buyer("Анна", "Сидорова", fields={"Код клиента": "7", "ИНН": "770"})
    for profile, settings, first, last, currency in (
        (OLD, {"currency_name": "руб."}, "Ид", "ИНН", "руб."),
        (NEW, {"version": "4.12", "currency_name": ""}, "Ид", "Инн", ""),
        (NEW, {"currency_name": "руб."}, "КодКлиента", "Контакты", "RUB"),
    ):
        onec = opened(profile, **settings)
        onec.shop.buy([(CUP, 1)], buyer=buyer)
        xml = onec.orders()
        parts = tags(xml, "Документ/Контрагенты/Контрагент")
        assert (parts[0], parts[-1], document(xml).findtext("Документ/Валюта")) == (first, last, currency)


def test_without_the_delivery_line_the_sum_is_more_than_the_lines(opened: Callable[..., OneC]) -> None:
    """CS-B1; interop 1, 8. The surcharge is a line always."""
    onec = opened(OLD)
    onec.shop.buy([(CUP, 2)], shipping=300, surcharge=15)
    order = document(onec.orders()).find("Документ")
    assert [row.findtext("Ид") for row in order.findall("Товары/Товар")] == ["Payment_surcharge", CUP]
    assert (
        sum(Decimal(row.findtext("Сумма")) for row in order.findall("Товары/Товар")) + 300
        == Decimal(order.findtext("Сумма"))
        == 515
    )


def test_options_are_a_suffix_or_a_requisite(opened: Callable[..., OneC]) -> None:
    """CS-B2; interop 7."""
    onec = opened(OLD)
    onec.shop.buy([(f"{MUG}#{RED}", 1)])
    row = document(onec.orders()).find("Документ/Товары/Товар")
    assert (row.findtext("Ид"), row.findtext("Наименование")) == (MUG, "Кружка")
    onec.shop.settings.product_options = True
    row = document(onec.orders()).find("Документ/Товары/Товар")
    assert (row.findtext("Ид"), row.findtext("Наименование")) == (f"{MUG}#{RED}", "Кружка#Цвет: красный")
    onec = opened(NEW)
    onec.shop.buy([(f"{MUG}#{RED}", 1)])
    assert values(onec.orders(), "Документ")["Опции товаров"] == "Кружка (красный): Цвет [красный],; "
    onec.shop.settings.product_options = False
    onec.shop.set_status(108, "P")
    assert "Опции товаров" not in onec.orders()


def test_orders_are_chosen_by_number_and_status(opened: Callable[..., OneC]) -> None:
    """CS-B3 inclusive, CS-B5, CS-B6 none means all."""
    onec = opened(OLD)
    first, second, third = (onec.shop.buy([(CUP, 1)], status=s).id for s in "OPC")

    def numbers() -> list[int]:
        return [int(row.text) for row in document(onec.orders()).findall("Документ/Номер")]

    assert numbers() == [first, second, third]
    onec.shop.settings.from_order = second
    assert numbers() == [second, third]
    onec.shop.settings.statuses = ("O", "C")
    assert numbers() == [third]
    onec.shop.settings.export_statuses = False
    assert "Статус заказа" not in onec.orders()


def test_discounts_are_written_even_when_they_are_nothing(opened: Callable[..., OneC]) -> None:
    onec = opened(NEW)
    onec.shop.buy(lines=[Line(CUP, "Чашка", Decimal(100), Decimal(2), discount=Decimal(20))], discount=18)
    order = document(onec.orders()).find("Документ")
    rows = [(d.findtext("Наименование"), d.findtext("Сумма"), d.findtext("УчтеноВСумме")) for d in order.iter("Скидка")]
    assert rows == [
        ("Скидка на заказ", "18.00", "true"),
        ("Скидка на заказ", "18.00", "false"),
        ("Скидка на товар", "20.00", "true"),
    ]
    assert (order.findtext("Товары/Товар/ЦенаЗаЕдиницу"), order.findtext("Сумма")) == ("100.00", "162.00"), (
        "the price is that before"
    )
    onec.shop.buy([(CUP, 1)])
    assert "<Сумма>0.00</Сумма><УчтеноВСумме>true" in onec.orders()


def test_the_rate_of_a_tax_is_spelt_by_the_version(opened: Callable[..., OneC]) -> None:
    taxed = Line(CUP, "Чашка", Decimal(100), Decimal(1), tax=("НДС", Decimal(20), True))
    for profile, settings, rate in (
        (OLD, {}, None),
        (OLD, {"add_tax": True}, "20.000"),
        (NEW, {"version": "4.12"}, "20.000"),
        (NEW, {}, "20"),
    ):
        onec = opened(profile, **settings)
        onec.shop.buy(lines=[taxed])
        assert document(onec.orders()).findtext("Документ/Товары/Товар/СтавкиНалогов/СтавкаНалога/Ставка") == rate


def test_all_goods_of_the_old_shop_in_one_order(opened: Callable[..., OneC]) -> None:
    """CS-B8."""
    onec = opened(OLD, all_products=True)
    onec.shop.buy([(CUP, 1)])
    order = document(onec.orders()).find("Документ")
    assert (order.findtext("Ид"), len(order.findall("Товары/Товар"))) == ("1_Магазин", 2)


def test_the_old_one_brings_everything_every_time_and_success_does_nothing(opened: Callable[..., OneC]) -> None:
    """§0.2, §2.4."""
    onec = opened(OLD)
    onec.shop.buy([(CUP, 1)])
    first = onec.orders()
    assert onec.say("success") == "success"
    assert onec.orders() == first


def test_the_new_one_moves_its_mark_when_it_is_asked_not_when_it_is_confirmed(opened: Callable[..., OneC], clock: Clock) -> None:
    """§0.2, CS-B7: looking at the address in a browser loses the order for an exchange that trusts it."""
    onec = opened(NEW)
    onec.shop.buy([(CUP, 1)])
    clock.later(seconds=5)
    assert "<Документ>" in onec.say("query", type="sale")
    assert "<Документ>" not in onec.orders()
    clock.later(seconds=5)
    onec.shop.set_status(108, "P")
    assert "<Документ>" in onec.orders()
    assert "<Документ>" in onec.orders(), "the same second again: >="
    clock.later(seconds=5)
    onec.shop.settings.strategy = "all"
    assert "<Документ>" in onec.orders()


# --- orders in --------------------------------------------------------------------------------------------------------------------


def returned(onec: OneC, *papers: str) -> list[str]:
    onec.open("sale")
    onec.say("init")
    said = [onec.say("file", "&filename=orders-1_1.xml", orders_xml(*papers))]
    if said == ["success"] or said == ["success\n"]:
        said += onec.finish("orders-1_1.xml")
    return said


def test_the_old_one_takes_the_status_by_its_exact_name_and_nothing_else(opened: Callable[..., OneC]) -> None:
    """§2.6; CS-B4; interop 4, 9. The order by Ид when it is a number, else by Номер."""
    onec = opened(OLD)
    number = onec.shop.buy([(CUP, 2)]).id
    lines = [line(CUP, "Чашка", 1, 9, 9)]
    assert returned(onec, paper(number, ("Статус заказа", "Обработан"), lines=lines)) == ["success\n", "success\n"]
    assert (onec.shop.orders[number].status, onec.shop.orders[number].lines[0].quantity) == ("P", 2)
    for name in ("выполнен", "Выполнен!", "Отгружен"):
        returned(onec, paper(number, ("Статус заказа", name), key="guid"))
        assert onec.shop.orders[number].status == "P"
    returned(onec, paper(number, ("Статус заказа", "Выполнен"), key="25b54e86"))
    assert onec.shop.orders[number].status == "C"
    onec.shop.settings.import_orders = False
    assert returned(onec, paper(number, ("Статус заказа", "Открыт"))) == ["success\n", "success\n"]
    assert onec.shop.orders[number].status == "C"


def test_the_new_one_rebuilds_the_lines_and_reads_delivery_by_its_name(opened: Callable[..., OneC]) -> None:
    """§2.6: 4.12 takes the price, 4.16 the sum."""
    for settings, price in (({"version": "4.12"}, 100), ({}, 90)):
        onec = opened(NEW, **settings)
        number = onec.shop.buy([(CUP, 2)], shipping=300).id
        lines = [line(CUP, "Чашка", 100, 3, 270), line("ORDER_DELIVERY", "Доставка заказа", 200, 1, 200, "Услуга")]
        returned(onec, paper(number, ("Статус заказа", "Обработан"), lines=lines, key="guid"))
        order = onec.shop.orders[number]
        assert (order.status, order.lines[0].quantity, order.lines[0].price, order.shipping) == ("P", 3, price, 200)
        assert order.total == 3 * price + 200


def test_an_unknown_product_drops_the_whole_update(opened: Callable[..., OneC]) -> None:
    """§2.5, §5: a surcharge that comes back does it."""
    onec = opened(NEW)
    number = onec.shop.buy([(CUP, 2)], surcharge=15).id
    lines = [line(CUP, "Чашка", 100, 3, 300), line("Payment_surcharge", "Дополнительный сбор", 15, 1, 15, "Услуга")]
    before = (onec.shop.orders[number].status, list(onec.shop.orders[number].lines), onec.shop.writes["orders"])
    assert returned(onec, paper(number, ("Статус заказа", "Обработан"), lines=lines))[0] == "success"
    assert (onec.shop.orders[number].status, onec.shop.orders[number].lines, onec.shop.writes["orders"]) == before


def test_of_two_lines_with_one_product_the_last_one_stays(opened: Callable[..., OneC]) -> None:
    onec = opened(NEW)
    number = onec.shop.buy([(CUP, 2)]).id
    returned(onec, paper(number, lines=[line(CUP, "Чашка", 100, 2, 200), line(CUP, "Чашка", 100, 1, 100)]))
    assert [x.quantity for x in onec.shop.orders[number].lines] == [1]


def test_discounts_of_lines_become_that_of_the_order(opened: Callable[..., OneC]) -> None:
    onec = opened(NEW)
    number = onec.shop.buy([(CUP, 2)]).id
    off = "<Скидки><Скидка><Наименование>10</Наименование><Сумма>20</Сумма><УчтеноВСумме>true</УчтеноВСумме></Скидка></Скидки>"
    returned(onec, paper(number, lines=[line(CUP, "Чашка", 100, 2, 180, more=off)]))
    order = onec.shop.orders[number]
    assert (order.lines[0].price, order.discount, order.total) == (100, 20, 180)


def test_dates_of_shipment_and_payment_bring_the_chosen_status(opened: Callable[..., OneC]) -> None:
    """§2.6: the last requisite counts; a named status comes first."""
    onec = opened(NEW, payment_date_status="P", shipment_date_status="C")
    number = onec.shop.buy([(CUP, 1)]).id
    paid, shipped = ("Дата оплаты по 1С", "2026-03-02"), ("Дата отгрузки по 1С", "2026-03-02")
    for pairs, status in (
        ([paid], "P"),
        ([paid, shipped], "C"),
        ([shipped, paid], "P"),
        ([shipped, ("Статус заказа", "Открыт")], "O"),
    ):
        returned(onec, paper(number, *pairs))
        assert onec.shop.orders[number].status == status


def test_the_documents_date_becomes_the_mark_by_which_orders_are_exported(opened: Callable[..., OneC], clock: Clock) -> None:
    """§2.5: quirks."""
    onec = opened(NEW)
    number = onec.shop.buy([(CUP, 1)]).id
    clock.later(hours=10)
    onec.orders()
    returned(onec, paper(number, ("Статус заказа", "Обработан")))
    assert onec.shop.orders[number].updated == datetime(2026, 3, 2, 6, 30, tzinfo=UTC), "09:30 in Moscow, as the document says"
    assert "<Документ>" not in onec.orders()


def test_4_16_does_everything_with_the_file_and_4_12_with_import(opened: Callable[..., OneC]) -> None:
    recorded = SAMPLES / "shops" / "protocol" / "cscart_new_commerceml.txt"
    onec = opened(NEW)
    number = onec.shop.buy([(CUP, 1)]).id
    said = returned(onec, paper(number, ("Статус заказа", "Обработан")))
    assert said[1].startswith("success\nThe order import file is now received and processed at this url:\n")
    if recorded.exists():
        assert said[1].replace("\n", "\\n") in recorded.read_text("utf-8")
    onec.shop.settings.import_orders = False
    assert returned(onec, paper(number, ("Статус заказа", "Открыт"))) == ["failure\\nImport orders is disabled"], (
        "a literal backslash"
    )
    onec = opened(NEW, version="4.12")
    number = onec.shop.buy([(CUP, 1)]).id
    onec.open("sale")
    onec.say("init")
    assert onec.say("file", "&filename=orders-1_1.xml", orders_xml(paper(number, ("Статус заказа", "Обработан")))) == "success"
    assert onec.shop.orders[number].status == "O"
    assert onec.finish("orders-1_1.xml")[-1] == "success"
    assert onec.shop.orders[number].status == "P"


def test_new_orders_and_ids_of_1c_are_nothing_to_it(opened: Callable[..., OneC]) -> None:
    """§2.6: by Номер alone; nothing is made."""
    onec = opened(NEW)
    shop: Shop = onec.shop
    number = shop.buy([(CUP, 1)]).id
    returned(onec, paper("ТД-15", ("Статус заказа", "Обработан"), key=number), paper(999, ("Статус заказа", "Обработан")))
    assert (shop.orders[number].status, len(shop.orders)) == ("O", 1)
