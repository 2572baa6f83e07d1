"""1C-Bitrix: facts on CommerceML §1 and §3.6, facts on shops §3 and §4.1."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from lxml import etree

from obmen.sandbox.shop import Buyer, Line, make
from sandbox.shop_calls import (
    BLUE,
    CUP,
    MUG,
    RED,
    SAMPLES,
    OneC,
    card,
    group,
    import_xml,
    line,
    offer,
    offers_xml,
    options,
    orders_xml,
    paper,
)

RECORDED = SAMPLES / "shops" / "protocol" / "bitrix_1c_exchange.txt"
REAL = SAMPLES / "commerceml" / "dobromyslov+commerceml-parser"


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
    """A shop with two goods, the second one in two variants; the 1C that loaded them."""

    def one(**settings: Any) -> OneC:
        onec = OneC(make("bitrix", clock=clock, **settings))
        onec.load("import0_1.xml", import_xml([card(CUP), card(MUG, "Кружка", "A-2")], groups=group("g1", "Посуда")))
        rows = [offer(CUP), *(offer(f"{MUG}#{v}", 250, 3, options(Цвет=c)) for v, c in ((RED, "красный"), (BLUE, "синий")))]
        onec.load("offers0_1.xml", offers_xml(rows))
        return onec

    return one


def root(xml: str) -> Any:
    return etree.fromstring(xml.replace(' encoding="windows-1251"', "", 1).encode())


def names(element: Any) -> list[str]:
    return [row.findtext("Наименование") for row in element.findall("ЗначенияРеквизитов/ЗначениеРеквизита")]


def values(element: Any) -> dict[str, str]:
    return {
        row.findtext("Наименование"): row.findtext("Значение") for row in element.findall("ЗначенияРеквизитов/ЗначениеРеквизита")
    }


# --- the conversation ---------------------------------------------------------------------------------------------------------


def test_checkauth_has_four_lines_and_a_fifth_for_a_catalogue(opened: Callable[..., OneC]) -> None:
    """§1.3; the sample: sessid, timestamp."""
    onec = opened()
    sale, catalog = onec.open("sale").split("\n"), onec.open("catalog").split("\n")
    assert [re.sub(r"=.*", "", part) for part in sale] == ["success", "PHPSESSID", sale[2], "sessid", ""]
    assert [re.sub(r"=.*", "", part) for part in catalog] == ["success", "PHPSESSID", catalog[2], "sessid", "timestamp", ""]
    assert re.fullmatch(r"sessid=[0-9a-f]{32}", catalog[3])
    if RECORDED.exists():
        assert {"sessid=", "timestamp="} <= set(re.findall(r"(?:sessid|timestamp)=", RECORDED.read_text("utf-8")))
    onec.shop.settings.use_session_id_ttl = True
    assert onec.say("checkauth").startswith("failure\n")


def test_answers_are_in_windows_1251(opened: Callable[..., OneC]) -> None:
    onec = opened()
    onec.auth = ("nobody", "x")
    raw = onec.raw("checkauth")
    assert raw == "failure\nОшибка авторизации. Неверное имя пользователя или пароль.".encode("windows-1251")
    assert (onec.status, onec.content_type) == (200, "text/html; charset=windows-1251")


def test_init_has_two_lines_and_four_for_a_client_with_a_version(opened: Callable[..., OneC]) -> None:
    """§1.4: no line feed at the end for a catalogue, one for sale."""
    onec = opened()
    onec.open()
    assert onec.say("init") == "zip=yes\nfile_limit=204800"
    assert onec.say("init", type="sale") == "zip=yes\nfile_limit=204800\n"
    sessid = onec.heard[-3].split("\n")[3]
    assert onec.say("init", "&version=2.09", type="sale") == f"zip=yes\nfile_limit=204800\n{sessid}\nversion=2.09\n"
    assert onec.say("init", "&version=3.1") == f"zip=yes\nfile_limit=204800\n{sessid}\nversion=3.1"
    if RECORDED.exists():
        assert "version=2.09" in RECORDED.read_text("utf-8")


def test_once_a_client_has_sent_its_sessid_everybody_has_to(opened: Callable[..., OneC]) -> None:
    """§1.3.3."""
    onec = opened()
    onec.open()
    assert onec.say("init").startswith("zip=")
    onec.open(sessid=True)
    assert onec.say("init").startswith("zip=")
    onec.open()
    assert "источника запроса" in onec.say("init")
    onec.open(sessid=True)
    onec.sessid = "0" * 32
    assert onec.say("init").startswith("failure\n")


def test_the_cookie_is_enough_and_the_login_alone_begins_a_session_anew(opened: Callable[..., OneC]) -> None:
    onec = opened()
    onec.open("sale")
    onec.auth = None
    assert onec.say("query").startswith("<?xml")
    onec.cookie = ""
    assert onec.say("query").startswith("failure\n")


def test_every_step_of_an_import_is_a_progress(opened: Callable[..., OneC]) -> None:
    """§1.6.1: tables, reading, index, metadata, groups, slices of goods."""
    onec = opened(slice=2)
    said = onec.load("import0_1.xml", import_xml([card(f"k-{n}", article=str(n)) for n in range(5)]))
    assert [text.split("\n")[0] for text in said] == ["progress"] * 9 + ["success"]
    assert said[7].split("\n")[1] == "Обработано 4 из 5"


def test_init_of_anybody_empties_the_folder_and_a_new_session_begins_anew(opened: Callable[..., OneC]) -> None:
    """§1.4, §1.6.1."""
    onec, other = opened(), OneC(opened().shop)
    other.shop = onec.shop
    onec.open()
    onec.say("init")
    onec.say("file", "&filename=import0_1.xml", import_xml([card("new")]))
    onec.say("import", "&filename=import0_1.xml")
    other.open("sale")
    other.say("init")
    assert onec.finish("import0_1.xml")[-1].startswith("failure\n")
    assert "new" not in onec.shop.goods.products


def test_names_that_lead_out_of_the_folder_are_refused(opened: Callable[..., OneC]) -> None:
    onec = opened()
    onec.open()
    for name in ("../../index.xml", "import_files/x.php", "a.PHP5"):
        assert onec.say("file", f"&filename={name}", b"x").startswith("failure\n")
    assert onec.say("file", "&filename=/tmp/webdata/import.xml", b"<a/>") == "success\n"
    assert list(onec.shop.uploads)[-1] == "webdata/import.xml"


# --- goods --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("action", "left", "shown"), [("D", False, None), ("A", True, False), ("N", True, True)])
def test_a_full_file_deletes_what_it_lacks_by_default(
    opened: Callable[..., OneC], action: str, left: bool, shown: bool | None
) -> None:
    """§4.2; facts on shops §3 row 12: portion 1 of 1C:UT says "full", the others say "only changes"."""
    onec = opened(element_action=action)
    onec.load("import0_1.xml", import_xml([card(CUP)], groups=group("g2", "Другое")))
    mug = onec.shop.goods.products.get(MUG)
    assert (mug is not None, mug and mug.active) == (left, shown)
    assert set(onec.shop.goods.groups) == {"g2"}
    onec.load("import0_2.xml", import_xml([card(MUG, "Кружка")], full=False, classifier=False))
    assert onec.shop.goods.products[MUG].active
    assert set(onec.shop.goods.groups) == {"g2"}, "a file without a classifier never touches groups"


def test_a_full_file_of_offers_deletes_the_variants_it_lacks(opened: Callable[..., OneC]) -> None:
    onec = opened()
    onec.load("offers0_1.xml", offers_xml([offer(CUP), offer(f"{MUG}#{RED}", 1, 1)]))
    assert set(onec.shop.goods.products[MUG].offers) == {RED}
    assert set(onec.shop.goods.products[CUP].offers) == {""}


def test_deactivate_hides_what_was_not_touched_since_checkauth(opened: Callable[..., OneC], clock: Clock) -> None:
    """§4.2: the timestamp is the server's own."""
    onec = opened(element_action="N")
    clock.later(minutes=5)
    stamp = onec.open("catalog").split("\n")[4]
    onec.say("init")
    onec.say("file", "&filename=goods_1.xml", import_xml([card(CUP)], full=False))
    onec.finish("goods_1.xml")
    assert onec.say("deactivate", f"&{stamp}") == "success\n"
    assert {key: p.active for key, p in onec.shop.goods.products.items()} == {CUP: True, MUG: False}
    assert onec.say("complete") == "success\n"


# --- orders out -----------------------------------------------------------------------------------------------------------------


def test_an_order_has_the_elements_of_a_real_one(opened: Callable[..., OneC]) -> None:
    """§3.6.1; compared with what a real Bitrix has answered."""
    onec = opened()
    onec.shop.buy([(CUP, 1)], buyer=Buyer("Анна", "Сидорова", "+7916", "a@example.com", user=38), comment="Я & Ко", delivery="5")
    raw = onec.raw("query", type="sale") if onec.open("sale") else b""
    assert raw.startswith(b'<?xml version="1.0" encoding="windows-1251"?>')
    assert onec.content_type == "application/xml; charset=windows-1251"
    top = etree.fromstring(raw)
    order = top.find("Документ")
    assert (order.findtext("Валюта"), order.findtext("Сумма"), order.findtext("Контрагенты/Контрагент/Ид")) == (
        "руб",
        "100.0000",
        "38#a@example.com# Сидорова Анна",
    )
    assert values(order)["Статус заказа"] == "[N] Принят, ожидается оплата"
    assert values(order)["Комментарии покупателя"] == "Я & Ко"
    if not REAL.exists():
        return
    real_top = etree.parse(str(REAL / "data__bitrix-query-response-full.xml")).getroot()
    real = real_top.find("Документ")
    assert [child.tag for child in order] == [child.tag for child in real]
    assert names(order) == names(real)
    ours, theirs = order.find("Товары/Товар"), real.find("Товары/Товар")
    assert [c.tag for c in ours if c.tag != "Артикул"] == [c.tag for c in theirs]
    assert (names(ours), ours.find("БазоваяЕдиница").attrib) == (names(theirs), theirs.find("БазоваяЕдиница").attrib)
    assert set(top.attrib) == set(real_top.attrib)
    assert {k: v for k, v in top.attrib.items() if k != "ДатаФормирования"} == {
        k: v for k, v in real_top.attrib.items() if k != "ДатаФормирования"
    }


def test_nothing_to_say_is_a_root_without_documents(opened: Callable[..., OneC]) -> None:
    onec = opened()
    ours = root(onec.orders())
    assert (ours.tag, len(ours)) == ("КоммерческаяИнформация", 0)


def test_orders_are_confirmed_by_success_of_the_session_that_queried(opened: Callable[..., OneC], clock: Clock) -> None:
    """§1.8.6, §1.8.7: the mark is committed in two phases, and the next query goes on from the time of this one."""
    onec = opened()
    onec.shop.buy([(CUP, 1)])
    clock.later(seconds=5)
    assert "<Документ>" in onec.orders()
    other = OneC(onec.shop)
    other.open("sale")
    assert other.say("success") == "error\n"
    assert "<Документ>" in onec.orders()
    assert onec.say("success") == "success\n"
    assert "<Документ>" not in onec.orders()
    clock.later(seconds=5)
    onec.shop.pay(132)
    assert "<Документ>" in onec.orders()


def test_discounts_taxes_and_delivery(opened: Callable[..., OneC]) -> None:
    onec = opened()
    lines = [Line(CUP, "Чашка", Decimal(120), Decimal(2), discount=Decimal(24), tax=("НДС", Decimal(20), True))]
    onec.shop.buy(lines=lines, shipping=300, discount=16)
    order = root(onec.orders()).find("Документ")
    assert [c.tag for c in order][11:14] == ["Налоги", "Скидки", "Товары"]
    assert order.findtext("Налоги/Налог/Сумма") == "36.00"
    row = order.find("Товары/Товар")
    assert [c.tag for c in row] == [
        "Ид", "ИдКаталога", "Наименование", "БазоваяЕдиница", "Скидки", "ЦенаЗаЕдиницу", "Количество", "Сумма",
        "СтавкиНалогов", "Налоги", "ЗначенияРеквизитов",
    ]  # fmt: skip
    assert (row.findtext("ЦенаЗаЕдиницу"), row.findtext("Сумма"), order.findtext("Сумма")) == ("108.0000", "216.00", "500.0000")
    assert order.findtext("Товары/Товар[2]/Ид") == "ORDER_DELIVERY"


def test_payments_and_shipments_come_with_the_version_the_client_names(opened: Callable[..., OneC]) -> None:
    """§3.6.5: inside from cmlVersion 2.10, beside in a Контейнер from 3.0."""
    onec = opened()
    number = onec.shop.buy([(CUP, 1)], shipping=300, payment="3", paid=True).id
    assert "ПодчиненныеДокументы" not in onec.orders()
    onec.say("init", "&version=2.09&cmlVersion=2.10")
    order = root(onec.say("query")).find("Документ")
    under = order.findall("ПодчиненныеДокументы/ПодчиненныйДокумент")
    assert [d.findtext("ХозОперация") for d in under] == ["Эквайринговая операция", "Отпуск товара"]
    assert values(under[0])["Оплачено"] == "true"
    assert values(under[1])["Сумма доставки"] == "300.00"
    assert order.findtext("ПометкаУдаления") == "false"
    onec.say("init", "&version=3.1")
    boxes = root(onec.say("query")).findall("Контейнер")
    assert [d.findtext("Основание") for d in boxes[0].findall("Документ")] == [None, str(number), str(number)]


def test_mode_info_has_a_latin_letter(opened: Callable[..., OneC]) -> None:
    """§1.9."""
    onec = opened()
    onec.open("sale")
    raw = onec.raw("info")
    text = raw.decode("windows-1251")
    assert "<Cтатусы><Элемент><Ид>N</Ид><Название>Принят, ожидается оплата</Название></Элемент>" in text
    assert "<Статусы>" not in text
    assert "<СлужбыДоставки><Элемент><Ид>5</Ид><Название>Самовывоз</Название></Элемент>" in text


def test_letters_that_windows_1251_lacks_are_references_in_xml(opened: Callable[..., OneC]) -> None:
    onec = opened()
    onec.shop.buy([(CUP, 1)], comment="chaîne ₸")
    assert root(onec.orders()).findtext("Документ/Комментарий") == "chaîne ₸"


# --- orders in --------------------------------------------------------------------------------------------------------------------


def sent(onec: OneC, *papers: str, version: str = "") -> list[str]:
    onec.open("sale")
    onec.say("init", f"&version={version}" if version else "")
    said = [onec.say("file", "&filename=orders-1_1.xml", orders_xml(*papers))]
    return said + (onec.finish("orders-1_1.xml") if version else [])


def test_an_old_client_is_done_after_the_file_and_a_new_one_calls_import(opened: Callable[..., OneC]) -> None:
    """§1.5, §1.6.3."""
    onec = opened()
    number = onec.shop.buy([(CUP, 1)]).id
    assert sent(onec, paper(number, ("Статуса заказа ИД", "P"))) == ["success\n"]
    assert onec.shop.orders[number].status == "P"
    said = sent(onec, paper(number, ("Статус заказа", "[F] Выполнен")), version="2.09")
    assert (said[0], said[-1]) == ("success\n", "success\n")
    assert onec.shop.orders[number].status == "F"


def test_whole_documents_of_an_upload_are_taken_while_it_is_coming(opened: Callable[..., OneC]) -> None:
    """§1.6.3."""
    onec = opened()
    first, second = onec.shop.buy([(CUP, 1)]).id, onec.shop.buy([(CUP, 1)]).id
    raw = orders_xml(paper(first, ("Статуса заказа ИД", "P")), paper(second, ("Статуса заказа ИД", "P")))
    cut = raw.rindex(b"<" + "Документ".encode()) + 40
    onec.open("sale")
    onec.say("init")
    onec.say("file", "&filename=orders-1_1.xml", raw[:cut])
    assert [onec.shop.orders[n].status for n in (first, second)] == ["P", "N"]
    onec.say("file", "&filename=orders-1_1.xml", raw[cut:])
    assert [onec.shop.orders[n].status for n in (first, second)] == ["P", "P"]
    assert onec.shop.writes["orders"] == 2


def test_what_1c_changes_is_not_offered_to_it_until_the_shop_changes_it(opened: Callable[..., OneC], clock: Clock) -> None:
    """UPDATED_1C."""
    onec = opened()
    number = onec.shop.buy([(CUP, 1)]).id
    onec.orders()
    onec.say("success")
    clock.later(seconds=5)
    sent(onec, paper(number, ("Отменен", "true"), lines=[line(CUP, "Чашка", 100, 4, 400)]))
    order = onec.shop.orders[number]
    assert (order.cancelled, order.lines[0].quantity) == (True, 4)
    assert "<Документ>" not in onec.orders()
    clock.later(seconds=5)
    onec.shop.set_status(number, "P")
    assert "<Документ>" in onec.orders()


def test_statuses_are_taken_only_where_the_owner_wants_them(opened: Callable[..., OneC]) -> None:
    onec = opened(change_status=False, final_status=True)
    number = onec.shop.buy([(CUP, 1)]).id
    sent(onec, paper(number, ("Статуса заказа ИД", "P")))
    assert onec.shop.orders[number].status == "N"
    sent(onec, paper(number, ("Дата отгрузки по 1С", "2026-03-02")))
    assert (onec.shop.orders[number].status, onec.shop.orders[number].is_shipped) == ("F", True)


def test_payments_of_1c_find_those_of_the_site_and_new_ones_need_a_setting(opened: Callable[..., OneC]) -> None:
    """§3.6.5: by the site's number, else by 1C's id."""

    def under(*papers: str) -> str:
        return f"<ПодчиненныеДокументы>{''.join(papers)}</ПодчиненныеДокументы>"

    def payment(number: object, key: str, total: int) -> str:
        pairs = (("Оплачен", "true"), ("Метод оплаты ИД", "1"), ("Номер платежного документа", "ПК-7"))
        return paper(number, *pairs, key=key, total=total, name="ПодчиненныйДокумент", operation="Выплата наличных денег")

    onec = opened()
    number = onec.shop.buy([(CUP, 1)]).id
    site = onec.shop.orders[number].payments[0].number
    sent(onec, paper(number, more=under(payment(site, "guid-1", 100), payment("", "guid-2", 50))), version="2.09")
    assert [(p.guid, p.paid, p.total, p.document) for p in onec.shop.orders[number].payments] == [("guid-1", True, 100, "ПК-7")]
    onec.shop.settings.new_payments = True
    for _twice in range(2):
        sent(onec, paper(number, more=under(payment("", "guid-2", 50))), version="2.09")
    assert [(p.guid, p.total) for p in onec.shop.orders[number].payments] == [("guid-1", 100), ("guid-2", 50)]


def test_orders_of_1c_are_made_only_where_the_owner_wants_them(opened: Callable[..., OneC]) -> None:
    onec = opened()
    sent(onec, paper("ТД-1", key="guid-9", lines=[line(CUP, "Чашка", 100, 1, 100)]))
    assert onec.shop.orders == {}
    onec.shop.settings.new_orders = True
    for _twice in range(2):
        sent(onec, paper("ТД-1", key="guid-9", lines=[line(CUP, "Чашка", 100, 1, 100)]))
    assert [(o.guid_1c, len(o.lines)) for o in onec.shop.orders.values()] == [("guid-9", 1)]


def test_listening_says_whether_there_is_something(opened: Callable[..., OneC]) -> None:
    onec = opened()
    onec.open("sale")
    assert (onec.say("", type="listen"), onec.status) == ("", 304)
    onec.shop.buy([(CUP, 1)])
    assert onec.say("", type="listen") == "success\n"
    assert onec.say("query", type="nonsense") == "failure\nUnknown command type."


def test_a_line_whose_variant_is_the_product_itself_is_written_once(opened: Callable[..., OneC]) -> None:
    """§3.6.1: x#x → x."""
    onec = opened()
    onec.shop.buy(lines=[replace(onec.shop.line(CUP), offer=f"{CUP}#{CUP}")])
    assert root(onec.orders()).findtext("Документ/Товары/Товар/Ид") == CUP
