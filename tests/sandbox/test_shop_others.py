"""OpenCart, WooCommerce and GetMeBack: facts on shops §1.2, §3, §4.1; facts on CommerceML §1.3, §1.7, §3.6.2, §4.2."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lxml import etree

from obmen.sandbox.shop import Buyer, make
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


def opened(profile: str, **settings: Any) -> OneC:
    onec = OneC(make(profile, **settings))
    onec.load("import0_1.xml", import_xml([card(CUP), card(MUG, "Кружка", "A-2")]))
    onec.load("offers0_1.xml", offers_xml([offer(CUP), offer(MUG, 250, 3)]))
    return onec


def documents(xml: str) -> list[Any]:
    text = xml.removeprefix("\ufeff").replace(' encoding="windows-1251"', "", 1)
    return list(etree.fromstring(text.encode()).findall("Документ"))


def values(element: Any) -> dict[str, str]:
    return {
        row.findtext("Наименование"): row.findtext("Значение") for row in element.findall("ЗначенияРеквизитов/ЗначениеРеквизита")
    }


# --- OpenCart -------------------------------------------------------------------------------------------------------------------


def test_the_cookie_is_the_md5_of_the_password_for_ever() -> None:
    """Facts on shops §4.1: no session."""
    onec = opened("opencart-exchange1c")
    key = hashlib.md5(onec.shop.password.encode()).hexdigest()
    assert onec.open() == f"success\nkey\n{key}\n"
    onec.shop.forget_sessions()
    onec.auth = None
    assert onec.say("import", "&filename=none.xml").startswith("failure\n")
    onec.cookie = "key=other"
    assert onec.say("query", type="sale") == "failure\nSession error\n"
    onec.cookie = ""
    assert onec.say("query", type="sale") == "failure\nno cookie key\n"


def test_a_wrong_login_is_said_and_stops_nothing() -> None:
    onec = OneC(make("opencart-exchange1c"))
    onec.auth = ("nobody", onec.shop.password)
    said = onec.say("checkauth")
    assert said.startswith("failure\nerror login\nsuccess\nkey\n")
    onec.auth = (onec.shop.login, "wrong")
    assert onec.say("checkauth") == "failure\nerror password\n"
    assert onec.status == 200


def test_init_says_four_lines_where_the_owner_has_named_the_exchange() -> None:
    onec = OneC(make("opencart-exchange1c", extended=True, zip=True))
    onec.open()
    assert onec.say("init").rstrip("\n").count("\n") == 3
    onec.shop.settings.extended = False
    assert onec.say("init") == "zip=yes\nfile_limit=8388608\n"


def test_a_file_is_gone_after_import_so_that_asking_again_is_refused() -> None:
    """settings/opencart: not_delete_files_after_import."""
    onec = opened("opencart-exchange1c")
    assert onec.say("import", "&filename=import0_1.xml") == "failure\nERROR: 3001"
    onec.shop.settings.keep_files = True
    onec.load("import0_1.xml", import_xml([card(CUP)]))
    assert onec.say("import", "&filename=import0_1.xml").startswith("success\n")


def test_what_an_exchange_has_left_is_joined_to_what_comes() -> None:
    onec = opened("opencart-exchange1c")
    raw = import_xml([card("new")])
    onec.open()
    onec.say("file", "&filename=import0_1.xml", raw[:100])
    assert onec.load("import0_1.xml", raw) == ["failure\nERROR: 3000"]
    assert onec.load("import0_1.xml", raw)[-1].startswith("success\n"), "the broken one is gone"


def test_a_root_without_version_and_an_unknown_product_are_errors_with_numbers() -> None:
    onec = opened("opencart-exchange1c", stop_on_stranger=True)
    assert onec.load("import0_1.xml", import_xml([card("new")], version="")) == ["failure\nERROR: 2200"]
    assert onec.load("offers0_1.xml", offers_xml([offer("stranger")])) == ["failure\nERROR: 2300 stranger"]
    onec.shop.settings.stop_on_stranger = False
    assert onec.load("offers0_1.xml", offers_xml([offer("stranger")]))[-1].startswith("success\n")


@pytest.mark.parametrize(("cp1251", "charset"), [(True, "windows-1251"), (False, "utf-8")])
def test_orders_come_in_the_charset_that_the_owner_has_chosen(cp1251: bool, charset: str) -> None:
    onec = opened("opencart-exchange1c", cp1251=cp1251, currency_name="руб.")
    onec.shop.buy([(CUP, 1)])
    onec.open("sale")
    raw = onec.raw("query")
    assert raw.startswith(f'<?xml version="1.0" encoding="{charset}"?>'.encode())
    assert onec.content_type.lower() == f"text/html; charset={charset}"
    assert etree.fromstring(raw).findtext("Документ/Валюта") == "руб."


def test_open_cart_moves_its_date_and_the_status_at_success(clock: Clock) -> None:
    onec = opened("opencart-exchange1c", clock=clock, exported_status="2")
    onec.shop.buy([(CUP, 1)])
    clock.later(seconds=5)
    assert len(documents(onec.orders())) == len(documents(onec.orders())) == 1
    assert onec.say("success") == "success\n1"
    assert onec.shop.orders[1].status == "2"
    clock.later(seconds=5)
    assert len(documents(onec.orders())) == 1, "the new status was given in the very second of the new date"
    onec.say("success")
    clock.later(seconds=5)
    assert documents(onec.orders()) == []
    onec.shop.set_status(1, "1")
    clock.later(seconds=5)
    onec.shop.settings.exported_status = ""
    assert [len(documents(onec.orders())) for _again in (onec.say("success"), clock.later(seconds=5))] == [1, 1], (
        "status 1 goes always"
    )


def test_orders_from_1c_are_taken_with_the_file_or_not_answered_at_all() -> None:
    onec = opened("opencart-exchange1c")
    onec.shop.buy([(CUP, 1)])
    onec.open("sale")
    raw = orders_xml(paper(1, ("Статус заказа", "Доставлено"), lines=[line(CUP, "Чашка", 100, 2, 200)]))
    half = len(raw) // 2
    assert onec.say("file", "&filename=orders-1_1.xml", raw[:half]) == "success\n"
    assert onec.say("file", "&filename=orders-1_1.xml", raw[half:]).startswith("success\n")
    assert onec.finish("orders-1_1.xml")[-1].startswith("success\n")
    assert (onec.shop.orders[1].status, onec.shop.orders[1].lines[0].quantity) == ("3", 2)
    onec.shop.settings.import_orders = False
    assert onec.say("file", "&filename=orders-1_1.xml", raw) == ""


# --- WooCommerce --------------------------------------------------------------------------------------------------------------------


def test_every_answer_has_a_bom_and_errors_are_text_with_200() -> None:
    """Facts on CommerceML §1.7; the sample."""
    onec = OneC(make("woocommerce-1c"))
    assert onec.open() == f"\ufeffsuccess\nwc1c-auth\n{onec.cookie.partition('=')[2]}"
    assert onec.say("init") == "\ufeffzip=yes\nfile_limit=8388608"
    onec.cookie = "wc1c-auth=gone"
    assert (onec.say("init"), onec.status) == ("\ufeffError: Invalid cookie.\n", 200)
    onec.cookie, onec.auth = "", None
    assert onec.say("init") == "\ufeffError: Not logged in.\n"
    assert onec.say("checkauth") == "\ufeffError: No authentication credentials.\n"
    recorded = SAMPLES / "shops" / "protocol" / "woocommerce_1c.txt"
    if recorded.exists():
        text = recorded.read_text("utf-8")
        assert "wc1c-auth" in text
        assert 'errors are "Error: ..." text, HTTP 200' in text


def test_a_whole_file_is_one_transaction_known_by_its_name() -> None:
    onec = opened("woocommerce-1c")
    before = onec.shop.goods.plain()
    said = onec.load("offers0_1.xml", offers_xml([offer(CUP, 999), offer("stranger")]))
    assert said == ["\ufeffError: Failed to get offer post.\n"]
    assert onec.shop.goods.plain() == before, "rolled back"
    assert onec.load("goods_1_1.xml", import_xml([card("new")])) == ["\ufeffError: Unknown import file type: goods.\n"]
    broken = onec.load("import0_1.xml", import_xml([card("new")])[:-20])
    assert broken[0].startswith("\ufeffError: XML Error")


def test_an_archive_is_unpacked_by_the_first_import() -> None:
    onec = OneC(make("woocommerce-1c"))
    onec.open()
    onec.say("init")
    onec.say("file", "&filename=v8.zip", archive({"import0_1.xml": import_xml([card(CUP)])}))
    assert onec.say("import", "&filename=import0_1.xml") == "\ufeffprogress"
    assert onec.say("import", "&filename=import0_1.xml") == "\ufeffsuccess"
    assert list(onec.shop.goods.products) == [CUP]


def test_a_full_file_trashes_the_goods_of_other_catalogues_too() -> None:
    """Facts on CommerceML §4.2, issue 56."""
    onec = opened("woocommerce-1c")
    other = import_xml([card("other")]).replace(b"<\xd0\x98\xd0\xb4>cat<", b"<\xd0\x98\xd0\xb4>second<")
    onec.load("import0_1.xml", other)
    assert {key: p.active for key, p in onec.shop.goods.products.items()} == {CUP: False, MUG: False, "other": True}


def test_the_full_name_is_the_title_unless_moysklad_sends_it() -> None:
    full = (
        "<ЗначенияРеквизитов><ЗначениеРеквизита><Наименование>Полное наименование</Наименование><Значение>Чашка чайная</Значение>"
    )
    raw = import_xml([card(CUP, more=f"{full}</ЗначениеРеквизита></ЗначенияРеквизитов>")])
    onec = OneC(make("woocommerce-1c"))
    onec.load("import0_1.xml", raw)
    cup = onec.shop.goods.products[CUP]
    assert (cup.name, cup.description) == ("Чашка чайная", "")
    onec.load(
        "import0_1.xml", raw.replace(" ДатаФормирования".encode(), ' СинхронизацияТоваров="false" ДатаФормирования'.encode())
    )
    cup = onec.shop.goods.products[CUP]
    assert (cup.name, cup.description) == ("Чашка", "Чашка чайная")


def test_woo_gives_five_orders_at_a_time_and_new_ones_only(clock: Clock) -> None:
    onec = opened("woocommerce-1c", clock=clock)
    for _n in range(7):
        onec.shop.buy([(CUP, 1)])
    assert [d.findtext("Номер") for d in documents(onec.orders())] == ["63", "62", "61", "60", "59"]
    assert len(documents(onec.orders())) == 5, "not confirmed yet"
    assert onec.say("success") == "\ufeffsuccess"
    onec.shop.set_status(63, "completed")
    assert [d.findtext("Номер") for d in documents(onec.orders())] == ["58", "57"], "a change is not told"
    onec.say("success")
    assert documents(onec.orders()) == []


def test_two_counterparties_without_contacts_and_a_guest_is_user_0() -> None:
    """Facts on CommerceML §3.6.2; interop 2, 3."""
    onec = opened("woocommerce-1c")
    onec.shop.buy([(CUP, 2)], buyer=Buyer(phone="+79160000000"), shipping=300)
    onec.shop.buy([(CUP, 1)], buyer=Buyer("Анна", "Сидорова", user=7))
    second, first = documents(onec.orders())
    assert [
        (c.findtext("Ид"), c.findtext("Роль"), c.findtext("Наименование")) for c in first.findall("Контрагенты/Контрагент")
    ] == [
        ("wc1c#user#0", "Плательщик", "Гость"),
        ("wc1c#user#0", "Получатель", "Гость"),
    ]
    assert second.findtext("Контрагенты/Контрагент/Ид") == "wc1c#user#7"
    assert "Контакты" not in onec.heard[-1]
    assert first.findtext("Ид") == "wc1c#order#57"
    rows = [(r.findtext("Ид"), r.findtext("Наименование"), r.findtext("Сумма"), values(r)) for r in first.findall("Товары/Товар")]
    assert rows == [
        (CUP, "Чашка", "200", {"ТипНоменклатуры": "Товар"}),
        (None, "Единая ставка", "300", {"ТипНоменклатуры": "Услуга"}),
    ]
    assert [child.tag for child in first] == [
        "Ид", "Номер", "Дата", "Время", "ХозОперация", "Роль", "Валюта", "Сумма", "Комментарий", "Контрагенты", "Товары",
        "ЗначенияРеквизитов",
    ]  # fmt: skip


def test_what_a_buyer_types_can_break_the_document() -> None:
    """Facts on shops §4.1: written without escaping."""
    onec = opened("woocommerce-1c")
    onec.shop.buy([(CUP, 1)], comment="чай & кофе")
    with pytest.raises(etree.XMLSyntaxError):
        documents(onec.orders())


def test_the_date_of_the_document_has_the_zone_where_others_have_a_letter() -> None:
    """Facts on CommerceML §3.1."""
    assert 'ДатаФормирования="2026-03-02UTC09:00:00"' in OneC(make("woocommerce-1c", clock=Clock())).orders()


def test_woo_takes_the_status_from_what_is_paid_and_posted() -> None:
    """Facts on shops §3 row 39."""
    onec = opened("woocommerce-1c")
    onec.shop.buy([(CUP, 1)], shipping=300)

    def back(*pairs: tuple[str, str], **more: Any) -> str:
        onec.open("sale")
        onec.say("init")
        assert onec.say("file", "&filename=orders-1_1.xml", orders_xml(paper(57, *pairs, **more))) == "\ufeffsuccess"
        return onec.shop.orders[57].status

    assert back(("Статус заказа", "Выполнен")) == "on-hold"
    assert back(("Дата оплаты по 1С", "2026-03-02")) == "processing"
    assert back(("Проведен", "true"), ("Дата оплаты по 1С", "2026-03-02")) == "completed"
    assert back(("Отменен", "true")) == "cancelled"
    lines = [line(CUP, "Чашка", 100, 3, 300), line("stranger", "?", 1, 1, 1), line("x", "Единая ставка", 50, 1, 50, "Услуга")]
    back(lines=lines)
    order = onec.shop.orders[57]
    assert ([(x.offer, x.quantity) for x in order.lines], order.shipping) == ([(CUP, 3)], 50)
    back(("ПометкаУдаления", "true"))
    assert order.trashed or onec.shop.orders[57].trashed


def test_woo_makes_an_order_that_it_does_not_know() -> None:
    onec = opened("woocommerce-1c")
    onec.open("sale")
    onec.say("init")
    onec.say("file", "&filename=orders-1_1.xml", orders_xml(paper("ТД-1", lines=[line(CUP, "Чашка", 100, 1, 100)])))
    assert [len(order.lines) for order in onec.shop.orders.values()] == [1]
    assert documents(onec.orders()) == []


# --- GetMeBack -----------------------------------------------------------------------------------------------------------------------


def test_the_employee_needs_access_to_the_admin_panel_and_the_permission() -> None:
    """GM-1, GM-3, GM-8."""
    onec = OneC(make("getmeback"))
    assert onec.open().startswith("success\n")
    for missing in ("admin", "permitted"):
        setattr(onec.shop.settings, missing, False)
        assert onec.say("checkauth").startswith("failure\n")
        setattr(onec.shop.settings, missing, True)


def test_get_me_back_takes_neither_variants_nor_several_prices() -> None:
    """GM-12, GM-15."""
    onec = opened("getmeback")
    before = onec.shop.goods.plain()
    variant = offers_xml([offer(f"{CUP}#{RED}", 1, 1, options(Цвет="красный"))])
    assert "Модификации" in onec.load("offers0_1.xml", variant)[0]
    two = f"<Цены>{cost_of(RETAIL, 100)}{cost_of(BULK, 80)}</Цены>"
    assert "один тип цен" in onec.load("offers0_1.xml", offers_xml([offer(CUP, None, 1, two)]))[0]
    assert onec.shop.goods.plain() == before


def test_get_me_back_is_loaded_at_most_hourly(clock: Clock) -> None:
    """GM-11: the portions and the offers of one load are one load."""
    onec = opened("getmeback", clock=clock)
    again = import_xml([card(CUP, "Другая")])
    assert onec.load("import0_2.xml", again) == ["success\n"], "the same load goes on"
    news = again.replace(b"10:00:00", b"10:30:00")
    clock.later(minutes=30)
    assert onec.load("import0_1.xml", news)[0].startswith("failure\n")
    clock.later(minutes=31)
    assert onec.load("import0_1.xml", news) == ["success\n"]
    onec.shop.settings.interval = 0
    assert onec.load("import0_1.xml", again) == ["success\n"]


def test_get_me_back_cuts_the_tree_at_its_root_category() -> None:
    """GM-17."""
    groups = group("all", "Все", group("shop", "Магазин", group("cups", "Чашки"))) + group("other", "Прочее")
    onec = OneC(make("getmeback", root="shop"))
    onec.load("import0_1.xml", import_xml([card(CUP, more="<Группы><Ид>cups</Ид><Ид>other</Ид></Группы>")], groups=groups))
    assert onec.shop.goods.groups == {"cups": ("Чашки", "")}
    assert onec.shop.goods.products[CUP].groups == ("cups",)


def test_get_me_back_answers_sale_politely() -> None:
    """GM-9."""
    onec = opened("getmeback")
    onec.shop.buy([(CUP, 1)])
    assert documents(onec.orders()) == []
    assert [
        onec.say("success"),
        onec.say("file", "&filename=orders-1_1.xml", b"x"),
        onec.say("import", "&filename=orders-1_1.xml"),
    ] == [
        "success\n",
        "success\n",
        "success\n",
    ]
