"""The site that keeps to the book: what every shop of the sandbox is made of."""

from __future__ import annotations

from decimal import Decimal

import pytest

from obmen.sandbox.shop import Shop, make
from sandbox.shop_calls import (
    BLUE,
    CUP,
    MUG,
    RED,
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
)  # fmt: skip


@pytest.fixture
def shop() -> Shop:
    return make("generic")


@pytest.fixture
def onec(shop: Shop) -> OneC:
    return OneC(shop)


def load(onec: OneC) -> None:
    groups = group("g1", "Посуда", group("g2", "Чашки"))
    cards = [card(CUP, more="<Группы><Ид>g2</Ид></Группы>"), card(MUG, "Кружка", "A-2")]
    assert onec.load("import0_1.xml", import_xml(cards, groups=groups)) == ["success\n"]
    rows = [
        offer(CUP),
        offer(f"{MUG}#{RED}", 250, 3, options(Цвет="красный")),
        offer(f"{MUG}#{BLUE}", 260, 0, options(Цвет="синий")),
    ]
    assert onec.load("offers0_1.xml", offers_xml(rows)) == ["success\n"]


def test_checkauth_wants_the_password_and_gives_a_session(shop: Shop, onec: OneC) -> None:
    onec.auth = (shop.login, "wrong")
    assert onec.say("checkauth") == "failure\nНеверный логин или пароль"
    assert onec.status == 401
    onec.auth = ("", "")
    onec.open()
    assert onec.say("init") == "zip=no\nfile_limit=1048576"
    onec.cookie = "PHPSESSID=stranger"
    assert onec.say("init").startswith("failure\n")


def test_goods_become_what_the_files_say(shop: Shop, onec: OneC) -> None:
    load(onec)
    cup, mug = shop.goods.products[CUP], shop.goods.products[MUG]
    assert (cup.name, cup.article, cup.groups, cup.offers[""].quantity) == ("Чашка", "A-1", ("g2",), 5)
    assert {v: (o.options, list(o.prices.values()), o.quantity) for v, o in mug.offers.items()} == {
        RED: ({"Цвет": "красный"}, [250], 3),
        BLUE: ({"Цвет": "синий"}, [260], 0),
    }
    assert shop.goods.groups == {"g1": ("Посуда", ""), "g2": ("Чашки", "g1")}


def test_what_is_loaded_again_writes_nothing(shop: Shop, onec: OneC) -> None:
    load(onec)
    before, writes = shop.goods.plain(), dict(shop.writes)
    load(onec)
    assert (shop.goods.plain(), dict(shop.writes)) == (before, writes)


def test_a_missing_quantity_is_unknown_and_a_mark_of_any_spelling_hides_the_product(shop: Shop, onec: OneC) -> None:
    """Interop 10 and 11."""
    load(onec)
    onec.load("offers0_1.xml", offers_xml([offer(CUP, 120, None)], full=False))
    cup = shop.goods.products[CUP]
    assert (list(cup.offers[""].prices.values()), cup.offers[""].quantity) == ([120], 5)
    marked = [card(CUP, attributes=' Статус="Удален"')]
    onec.load("import0_1.xml", import_xml(marked, full=False))
    assert cup.active is False
    onec.load("import0_1.xml", import_xml([card(CUP)], full=False))
    assert cup.active is True
    onec.load("import0_1.xml", import_xml([card(CUP, more="<Статус>Удален</Статус>")], full=False))
    assert cup.active is False


def test_the_chunks_of_a_file_are_put_together_and_import_may_be_repeated(shop: Shop, onec: OneC) -> None:
    assert onec.load("import0_1.xml", import_xml([card(CUP)]), limit=100) == ["success\n"]
    assert len(shop.goods.products) == 1
    assert onec.say("import", "&filename=import0_1.xml") == "success\n"
    assert onec.say("import", "&filename=other.xml") == "failure\nФайл other.xml не найден"


def test_work_in_slices_says_progress(shop: Shop, onec: OneC) -> None:
    shop.settings.slice = 2
    said = onec.load("import0_1.xml", import_xml([card(f"k-{n}", article=f"A-{n}") for n in range(5)]))
    assert [text.split("\n")[0] for text in said] == ["progress", "progress", "success"]
    assert len(shop.goods.products) == 5


def test_orders_are_offered_until_success_and_again_when_they_change(shop: Shop, onec: OneC) -> None:
    """Facts on CommerceML §4.4."""
    load(onec)
    number = shop.buy([(CUP, 2), (f"{MUG}#{RED}", 1)], shipping=300).id
    assert "<Документ>" in onec.orders()
    assert "<Документ>" in onec.orders(), "nothing was confirmed"
    shop.set_status(number, "confirmed")
    assert onec.say("success") == "success"
    assert "Подтверждён" in onec.orders(), "what was confirmed is the revision before"
    onec.say("success")
    assert "<Документ>" not in onec.orders()


def test_what_1c_says_of_an_order_changes_it_and_is_not_news_for_1c(shop: Shop, onec: OneC) -> None:
    load(onec)
    number = shop.buy([(CUP, 2)], shipping=300).id
    onec.orders()
    onec.say("success")
    lines = [line(CUP, "Чашка", 100, 3, 300), line("ORDER_DELIVERY", "Доставка заказа", 250, 1, 250, "Услуга")]
    onec.load(
        "orders-1_1.xml",
        orders_xml(
            paper(number, ("Номер по 1С", "ТД-1"), ("Дата оплаты по 1С", "2026-03-02"), ("Статус заказа", "Оплачен"), lines=lines)
        ),
    )
    order = shop.orders[number]
    assert (order.status, order.is_paid, order.shipping, order.lines[0].quantity, order.number_1c) == (
        "paid",
        True,
        250,
        3,
        "ТД-1",
    )
    assert order.total == Decimal(550)
    assert "<Документ>" not in onec.orders()
