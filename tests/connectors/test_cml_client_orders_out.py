"""What shops are told of their orders, in the words that each of them reads."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from connectors.cml_client_kit import CUP, MUG, Kit, answer, line, order_xml
from obmen.connectors.commerceml_client import api
from obmen.core.contract import NeedsOwner, TryLater
from obmen.core.engine import Link
from obmen.core.records import Delivery, Kind, Order, OrderLine, Payment, Shipment, Subject
from obmen.formats.commerceml.model import Document

LINES = line(CUP, "Чашка", 100, 2) + line(MUG, "Кружка", 50)


@pytest.fixture
def make(tmp_path: Path) -> Any:
    def kit(profile: str, **settings: Any) -> Kit:
        made = Kit(tmp_path, profile, **settings)
        for theirs, ours in (("Открыт", "new"), ("Обработан", "paid"), ("Выполнен", "done"), ("Отменён", "off")):
            made.hub.map("both", Subject.ORDER_STATE, theirs, ours)
        made.load(answer(order_xml("108", lines=LINES, total=250, Статус_заказа="Открыт", Метод_оплаты="Наличными")))
        made.hub.reported.clear()
        return made

    return kit


def sent(kit: Kit) -> Document:
    (document,) = kit.node.documents()
    return document


def said(document: Document) -> dict[str, str]:
    return dict(document.requisites)


# --- CS-Cart, exim_1c ------------------------------------------------------------------------------------------------------


def test_the_old_cs_cart_hears_the_state_by_its_name_and_nothing_else(make: Any) -> None:
    """CS-B4 IC-9: found by the whole number in Ид, else by Номер; no lines, no sums that it would not read."""
    kit = make("cs-cart-exim-1c", check_sent=False)
    order = kit.store.order(108)
    changed = replace(order, state="done", paid=True, lines=order.lines[:1], total=D(200), shipped=True)
    assert kit.send(changed) == Counter(updated=1)
    document = sent(kit)
    assert (document.id, document.number, document.date and document.date.isoformat()) == ("108", "108", "2026-03-02")
    assert (document.operation, document.lines, document.subordinate, document.counterparties) == ("Заказ товара", None, (), ())
    assert said(document) == {"Статус заказа": "Выполнен"}
    told = {text for (level, text) in kit.hub.reported if level == "info"}
    title = kit.node.kind.title
    assert told == {
        f"{title} does not read {part} of orders: they are not sent" for part in ("payments", "shipments", "changed lines")
    }


def test_a_cancelled_order_gets_the_status_of_cancelled_orders(make: Any) -> None:
    """CS-A16"""
    kit = make("cs-cart-exim-1c", cancel_status="Отменён", check_sent=False)
    kit.send(replace(kit.store.order(108), cancelled=True))
    assert said(sent(kit)) == {"Статус заказа": "Отменён"}


def test_without_a_status_for_cancelled_orders_the_state_decides_or_it_is_told(make: Any) -> None:
    """CS-A16"""
    kit = make("cs-cart-exim-1c", check_sent=False)
    kit.send(replace(kit.store.order(108), cancelled=True, state="off"))
    assert said(sent(kit)) == {"Статус заказа": "Отменён"}
    kit.node.sent.clear()
    kit.send(replace(kit.store.order(108), cancelled=True, state="elsewhere"))
    assert kit.node.sent == []
    assert [text for level, text in kit.hub.reported if level == "warning" and "knows no cancelling but by a status" in text]


def test_a_state_that_is_not_mapped_changes_nothing_and_is_told(make: Any) -> None:
    """CS-A17"""
    kit = make("cs-cart-exim-1c")
    assert kit.send(replace(kit.store.order(108), state="assembling")) == Counter(unchanged=1)
    assert kit.node.sent == []
    text = "Orders with the state “assembling” get no status in the shop: map it on the tab “States of orders” to send it"
    assert kit.hub.reported == {("warning", text): 1}


def test_tables_that_contradict_each_other_are_told(make: Any) -> None:
    """CS-A17: what is sent has to come back as the same."""
    kit = make("cs-cart-exim-1c", check_sent=False)
    kit.hub.map("out", Subject.ORDER_STATE, "Обработан", "packed")
    kit.send(replace(kit.store.order(108), state="packed"))
    text = "The state “packed” is sent as “Обработан”, and that comes back as “paid”: let both tables of states say the same"
    assert kit.hub.reported["warning", text] == 1


def test_what_was_sent_is_looked_for_at_once_where_asking_changes_nothing(make: Any) -> None:
    """IC-19: the old CS-Cart says success before it has done the work."""
    kit = make("cs-cart-exim-1c", check_sent=True)
    order = replace(kit.store.order(108), state="done")
    kit.node.answers = [answer(order_xml("108", lines=LINES, total=250, Статус_заказа="Выполнен", Метод_оплаты="Наличными"))]
    assert kit.send(order) == Counter(updated=1)
    assert kit.node.said[-2:] == ["send sale", "query"]
    before = kit.node.said.count("success")
    assert kit.load() == Counter(unchanged=1)  # our own change is no news
    assert kit.store.order(108).state == "done"
    assert kit.node.said.count("success") == before + 1


def test_a_change_that_the_shop_only_pretended_to_take_is_set_aside_and_tried_again(make: Any) -> None:
    """IC-19"""
    kit = make("cs-cart-exim-1c", check_sent=True)
    order = replace(kit.store.order(108), state="done")
    assert kit.send(order) == Counter(parked=1)
    ((_kind, _id), (_where, error)) = next(iter(kit.store.parked.items()))
    assert str(error) == (
        "Order 108: the shop said success, but its status is still “Открыт” instead of “Выполнен”. Look whether it has that status"
    )


def test_where_asking_is_not_free_the_next_load_looks_whether_the_state_arrived(make: Any) -> None:
    """IC-19: also an order whose document has not changed a bit is looked at."""
    kit = make("cs-cart-exim-1c", check_sent=False)
    kit.send(replace(kit.store.order(108), state="done"))
    kit.load()
    text = "Order 108: the status “Выполнен” was sent, but the shop says “Открыт”. Look whether it has a status by that name"
    assert kit.hub.reported == {("warning", text): 1}
    assert kit.store.order(108).state == "done"  # an old word of theirs is no news
    kit.hub.reported.clear()
    kit.load()
    assert kit.hub.reported == {}


def test_a_state_that_arrived_is_not_told_of(make: Any) -> None:
    kit = make("cs-cart-commerceml")
    kit.send(replace(kit.store.order(108), state="done"))
    kit.load(answer(order_xml("108", lines=LINES, total=250, Статус_заказа=" выполнен", Метод_оплаты="Наличными")))
    assert kit.hub.reported == {}
    assert kit.store.order(108).state == "done"
    assert kit.hub.noted["orders-sent"] == {}


# --- CS-Cart, commerceml ---------------------------------------------------------------------------------------------------


def test_the_new_cs_cart_hears_changed_lines_that_make_its_total(make: Any) -> None:
    """IC-8: the line of delivery by the name that it knows; price, amount and discount agree, whichever its version counts with."""
    kit = make("cs-cart-commerceml")
    order = kit.store.order(108)
    cup = replace(order.lines[0], quantity=D(3), total=D(280), discount=D(20))
    changed = replace(order, lines=(cup, order.lines[1]), total=D(380), delivery=replace(order.delivery, price=D(50)))
    assert kit.send(changed) == Counter(updated=1)
    document = sent(kit)
    found = [(ln.key, ln.name, ln.price, ln.quantity, ln.total, [d.amount for d in ln.discounts]) for ln in document.lines or ()]
    assert found == [
        (CUP, "Чашка", D(100), D(3), D(280), [D(20)]),
        (MUG, "Кружка", D(50), D(1), D(50), []),
        ("ORDER_DELIVERY", "Доставка заказа", D(50), D(1), D(50), []),
    ]
    assert document.total == D(380)
    assert document.number == "108"


def test_a_discount_that_does_not_divide_keeps_the_sum_to_the_cent(make: Any) -> None:
    kit = make("cs-cart-commerceml")
    order = kit.store.order(108)
    cup = replace(order.lines[0], quantity=D(3), price=D("33.333"), total=D(100))
    kit.send(replace(order, lines=(cup, order.lines[1]), total=D(150)))
    (first, _second) = sent(kit).lines or ()
    assert (first.price, first.total, [d.amount for d in first.discounts]) == (D("33.34"), D(100), [D("0.02")])


def test_the_discount_of_the_order_is_spread_over_the_lines(make: Any) -> None:
    """It reads discounts of lines only."""
    kit = make("cs-cart-commerceml")
    order = kit.store.order(108)
    cup = replace(order.lines[0], quantity=D(1), total=D(100))
    kit.send(replace(order, lines=(cup, order.lines[1]), discount=D(10), total=D(140)))
    document = sent(kit)
    assert [[d.amount for d in ln.discounts] for ln in document.lines or ()] == [[D("6.67")], [D("3.33")]]
    assert document.discounts == ()


def test_lines_of_the_same_goods_are_joined(make: Any) -> None:
    """Of two lines with one product it would keep the last."""
    kit = make("cs-cart-commerceml")
    order = kit.store.order(108)
    more = replace(order.lines[0], quantity=D(1), price=D(90), total=D(90))
    kit.send(replace(order, lines=(*order.lines, more), total=D(340)))
    first = (sent(kit).lines or ())[0]
    assert (first.key, first.quantity, first.price, first.total, [d.amount for d in first.discounts]) == (
        CUP,
        D(3),
        D(100),
        D(290),
        [D(10)],
    )


def test_goods_that_the_shop_does_not_know_keep_the_lines_here_but_not_the_state(make: Any) -> None:
    """CS-Cart drops the whole change of an order with one unknown product."""
    kit = make("cs-cart-commerceml")
    order = kit.store.order(108)
    stranger = OrderLine("new", "Ваза", D(1), D(10), D(10))
    assert kit.send(replace(order, state="done", lines=(*order.lines, stranger), total=D(260))) == Counter(updated=1)
    assert (sent(kit).lines, said(sent(kit))) == (None, {"Статус заказа": "Выполнен"})
    text = "Order 108: its changed lines are not sent, the shop does not know “Ваза” and would drop the whole change"
    assert kit.hub.reported["warning", text] == 1


def test_goods_that_the_shop_was_sent_are_known_there(make: Any) -> None:
    kit = make("cs-cart-commerceml")
    order = kit.store.order(108)
    new = replace(order.lines[0], offer=MUG, name="Кружка", quantity=D(2), total=D(100), price=D(50))
    only_cup = replace(order, lines=order.lines[:1], total=D(200))
    kit.store.copies[next(iter(kit.store.copies))] = only_cup  # the shop's last word knows no mug
    changed = replace(order, lines=(order.lines[0], new), total=D(300))
    kit.send(changed)
    assert kit.node.sent == []
    kit.store.link_rows[Kind.OFFER, MUG] = Link(2, MUG)  # the goods stream has sent it
    kit.send(changed)
    assert [ln.key for ln in sent(kit).lines or ()] == [CUP, MUG]


def test_a_charge_keeps_the_lines_here(make: Any) -> None:
    """IC-8: a surcharge line that comes back makes CS-Cart drop the whole change; without it the total would be wrong."""
    kit = make("cs-cart-commerceml")
    charge = line("Payment_surcharge", "Дополнительный сбор", 5, kind="Услуга")
    kit.load(answer(order_xml("109", lines=charge + LINES, total=255, Статус_заказа="Открыт")))
    order = kit.store.order(109)
    lines = (order.lines[0], replace(order.lines[1], quantity=D(1), total=D(100)), order.lines[2])
    kit.hub.reported.clear()
    assert kit.send(replace(order, lines=lines, total=D(155))) == Counter(unchanged=1)
    text = "Order 109: its changed lines are not sent, the shop would drop the whole change because of “Дополнительный сбор”"
    assert kit.hub.reported == {("warning", text): 1}


def test_lines_that_would_make_another_total_there_are_not_sent(make: Any) -> None:
    """IC-1"""
    kit = make("cs-cart-commerceml")
    order = kit.store.order(108)
    assert kit.send(replace(order, lines=order.lines[:1], total=D(999))) == Counter(unchanged=1)
    assert kit.hub.reported == {
        ("warning", "Order 108: its changed lines are not sent, the shop would make 200 of them instead of 999"): 1
    }


def test_the_new_cs_cart_hears_when_an_order_was_paid_and_shipped(make: Any) -> None:
    """CS-B4: from 4.14 it has a state for each date; a state that is sent goes before them."""
    kit = make("cs-cart-commerceml")
    paid = Payment("p", D(250), number="77", date=datetime(2026, 3, 3, 8, 0, tzinfo=UTC), paid=True)
    kit.send(
        replace(kit.store.order(108), paid=True, payments=(paid,), shipped=True, shipments=(Shipment("s", "S-1", shipped=True),))
    )
    assert said(sent(kit)) == {
        "Номер оплаты по 1С": "77",
        "Дата оплаты по 1С": "2026-03-03T10:00:00",
        "Номер отгрузки по 1С": "S-1",
        "Дата отгрузки по 1С": "2026-03-02T11:00:00",
    }


def test_the_date_of_the_document_is_now_where_the_shop_takes_it_for_the_last_change(make: Any) -> None:
    """CS-Cart writes it as updated_at, by which it picks what it exports: an old date would hide changes made meanwhile."""
    kit = make("cs-cart-commerceml")
    kit.send(replace(kit.store.order(108), state="done"))
    document = sent(kit)
    assert (str(document.date), str(document.time)) == ("2026-03-02", "11:00:00")


# --- Bitrix, WooCommerce, others ---------------------------------------------------------------------------------------------


def test_bitrix_hears_states_by_id_cancelling_payments_and_shipments(make: Any) -> None:
    """Facts §3.6.5: payments and shipments as documents inside the order's."""
    kit = make("bitrix", version="3.1")
    kit.hub.map("out", Subject.ORDER_STATE, "F", "finished")
    kit.hub.map("out", Subject.PAYMENT_KIND, "3", "cash")
    order = kit.store.order(108)
    paid = Payment("pay-1", D(250), "Наличные", "cash", number="77", date=datetime(2026, 3, 3, 8, 0, tzinfo=UTC), paid=True,
                   requisites=(("Документ", "cash"),))  # fmt: skip
    ship = Shipment("ship-1", "S-1", datetime(2026, 3, 4, 8, 0, tzinfo=UTC), shipped=True, tracking="TTN-7", amount=D(0))
    kit.send(replace(order, state="finished", paid=True, shipped=True, payments=(paid,), shipments=(ship,),
                     requisites=(*order.requisites, ("Номер по 1С", "УТ-5"), ("Дата по 1С", "2026-03-02T08:00:00+00:00"))))  # fmt: skip
    document = sent(kit)
    assert {name: said(document)[name] for name in ("Статуса заказа ИД", "Оплачен", "Отгружен", "Проведен", "Номер по 1С")} == {
        "Статуса заказа ИД": "F", "Оплачен": "true", "Отгружен": "true", "Проведен": "true", "Номер по 1С": "УТ-5",
    }  # fmt: skip
    assert said(document)["Дата по 1С"] == "2026-03-02T10:00:00"
    pay, shipment = document.subordinate
    assert (pay.id, pay.operation, pay.total, said(pay)["Метод оплаты ИД"], said(pay)["Оплачен"]) == (
        "pay-1", "Выплата наличных денег", D(250), "3", "true")  # fmt: skip
    assert (shipment.id, shipment.operation, said(shipment)["Отгружен"], said(shipment)["Идентификатор отправления"]) == (
        "ship-1", "Отпуск товара", "true", "TTN-7")  # fmt: skip


def test_bitrix_hears_that_an_order_is_cancelled_and_that_it_is_not_any_more(make: Any) -> None:
    kit = make("bitrix")
    kit.send(replace(kit.store.order(108), cancelled=True, cancel_reason="Передумал"))
    assert said(sent(kit)) == {"Отменен": "true", "Причина отмены": "Передумал"}
    kit.load(answer(order_xml("108", lines=LINES, total=250, Статус_заказа="Открыт", Отменен="true")))
    kit.node.sent.clear()
    kit.send(replace(kit.store.order(108), cancelled=False, cancel_reason=""))
    assert said(sent(kit))["Отменен"] == "false"


def test_woocommerce_hears_posted_and_cancelled_and_no_status(make: Any) -> None:
    kit = make("woocommerce-1c")
    order = kit.store.order(108)
    kit.send(replace(order, state="done", requisites=(*order.requisites, ("Номер по 1С", "УТ-5"))))
    assert said(sent(kit)) == {"Номер по 1С": "УТ-5", "Проведен": "true"}
    kit.node.sent.clear()
    kit.send(replace(order, cancelled=True))
    assert said(sent(kit)) == {"Отменен": "true"}


def test_woocommerce_hears_all_marks_with_each_change(make: Any) -> None:
    """It makes the status anew out of each document: what is not said of payment and posting would be undone."""
    kit = make("woocommerce-1c")
    order = kit.store.order(108)
    paid = Payment("p", D(250), number="77", date=datetime(2026, 3, 3, 8, 0, tzinfo=UTC), paid=True)
    known = replace(order, paid=True, payments=(paid,), requisites=(*order.requisites, ("Номер по 1С", "УТ-5")))
    kit.store.copies[next(iter(kit.store.copies))] = known
    kit.send(replace(known, lines=order.lines[:1], total=D(200)))
    assert said(sent(kit)) == {
        "Номер по 1С": "УТ-5",
        "Проведен": "true",
        "Номер оплаты по 1С": "77",
        "Дата оплаты по 1С": "2026-03-03T10:00:00",
        "Оплачен": "true",
    }


def test_delivery_goes_back_under_the_name_that_the_shop_gave_it(make: Any) -> None:
    """WooCommerce-1C takes a service for delivery by the name of the way."""
    kit = make("woocommerce-1c")
    there = line("", "Самовывоз", 30, kind="Услуга")
    kit.load(answer(order_xml("109", lines=there + LINES, total=280)))
    order = kit.store.order(109)
    assert [ln.kind for ln in order.lines] == ["delivery", "product", "product"]
    kit.send(replace(order, lines=order.lines[:2], total=D(230)))
    assert [(ln.name, ln.total) for ln in sent(kit).lines or ()] == [("Чашка", D(200)), ("Самовывоз", D(30))]


def test_a_shop_of_the_book_hears_what_1c_says(make: Any) -> None:
    """Facts §3.6.3: as 1C:UT 11 returns an order."""
    kit = make("generic")
    order = kit.store.order(108)
    changed = replace(order, state="done", lines=order.lines[:1], total=D(190), discount=D(10),
                      delivery=replace(order.delivery or Delivery(), tracking="TTN-7"))  # fmt: skip
    kit.send(changed)
    document = sent(kit)
    assert said(document) == {"Статус заказа": "Выполнен", "Идентификатор отправления": "TTN-7"}
    assert [(d.amount, d.included) for d in document.discounts] == [(D(10), False)]
    assert ([ln.key for ln in document.lines or ()], document.total) == ([CUP], D(190))
    assert [c.name for c in document.counterparties] == ["Тестов Тест"]


def test_the_id_that_the_shop_gave_goes_back(make: Any) -> None:
    """IC-4"""
    kit = make("woocommerce-1c")
    kit.load(answer(order_xml("5", ident="wc1c#order#5", Статус_заказа="Открыт")))
    kit.send(replace(kit.store.order(5), cancelled=True))
    assert (sent(kit).id, sent(kit).number) == ("wc1c#order#5", "5")


def test_goods_go_back_under_the_id_that_the_shop_gave(make: Any) -> None:
    """IC-7: CS-Cart's combination of options is no id of ours."""
    kit = make("generic")
    kit.load(answer(order_xml("109", lines=line(f"{CUP}#777", "Чашка#Цвет: синий"), Статус_заказа="Открыт")))
    order = kit.store.order(109)
    kit.send(replace(order, lines=(replace(order.lines[0], quantity=D(2), total=D(200)),), total=D(200)))
    assert [(ln.key, ln.quantity) for ln in sent(kit).lines or ()] == [(f"{CUP}#777", D(2))]


# --- what is not sent --------------------------------------------------------------------------------------------------------


def test_orders_that_did_not_come_from_this_shop_are_never_sent(make: Any) -> None:
    kit = make("generic")
    ours = replace(kit.store.order(108), key="ours", number="X-1", state="done")
    kit.store.books[99] = ours
    assert kit.send(ours) == Counter(unchanged=1)
    assert kit.node.sent == []


def test_an_order_that_differs_in_nothing_that_is_read_is_not_sent(make: Any) -> None:
    kit = make("generic")
    assert kit.send(replace(kit.store.order(108), comment="Наш", manager="anna")) == Counter(unchanged=1)
    assert kit.node.sent == []


def test_what_was_told_is_told_once_more_only_when_a_person_asks(make: Any) -> None:
    kit = make("cs-cart-exim-1c", check_sent=False)
    changed = replace(kit.store.order(108), state="done")
    assert kit.send(changed) == Counter(updated=1)
    assert kit.send(changed) == Counter(unchanged=1)
    kit.store.wanted_again = {ident for ident, order in kit.store.books.items() if order == changed}
    assert kit.send(changed) == Counter(updated=1)
    assert [said(document) for document in kit.node.documents()] == [{"Статус заказа": "Выполнен"}] * 2


@pytest.mark.parametrize(
    ("send", "names"),
    [
        (("state",), {"Статус заказа"}),
        (("payment",), {"Оплачен", "Дата оплаты по 1С"}),
        (("shipment",), {"Отгружен", "Дата отгрузки по 1С"}),
        ((), set()),
    ],
)
def test_the_settings_choose_what_is_sent(make: Any, send: tuple[str, ...], names: set[str]) -> None:
    kit = make("generic", send=send)
    kit.send(replace(kit.store.order(108), state="done", paid=True, shipped=True, lines=()))
    assert {name for document in kit.node.documents() for name in said(document)} == names


def test_with_orders_off_nothing_is_sent(make: Any) -> None:
    kit = make("generic")
    kit.node.s = kit.s = type(kit.s)(**{**vars(kit.s), "exchange_orders": False})
    assert kit.send(replace(kit.store.order(108), state="done")) == Counter(unchanged=1)


# --- refusals ----------------------------------------------------------------------------------------------------------------


def orders(kit: Kit, count: int) -> list[Order]:
    kit.load(answer(*(order_xml(str(n), Статус_заказа="Открыт") for n in range(1, count + 1))))
    return [replace(kit.store.order(n), state="done") for n in range(1, count + 1)]


def test_one_order_that_the_shop_refuses_keeps_back_no_other(make: Any) -> None:
    kit = make("generic")
    changed = orders(kit, 8)
    kit.node.refuses = {"<Номер>5</Номер>": NeedsOwner(api.MAY_NOT, mode="file", answer="no such order", why="")}
    assert kit.send(*changed) == Counter(updated=7, parked=1)
    assert sorted(int(d.number) for d in kit.node.documents()) == [1, 2, 3, 4, 6, 7, 8]
    ((_kind, _id), (_where, error)) = next(iter(kit.store.parked.items()))
    assert str(error) == "Order 5: the shop refuses the change: no such order"


def test_a_shop_that_refuses_everything_stops_the_exchange_soon(make: Any) -> None:
    kit = make("generic")
    changed = orders(kit, 40)
    kit.node.refuses = {"<Документ>": NeedsOwner(api.MAY_NOT, mode="file", answer="import is off", why="")}
    with pytest.raises(NeedsOwner, match="import is off"):
        kit.send(*changed)
    assert kit.node.said.count("send sale") < 15
    assert kit.store.parked == {}


@pytest.mark.parametrize("error", [TryLater("gone"), NeedsOwner("Login and password")])
def test_what_concerns_all_orders_parks_none(make: Any, error: Any) -> None:
    kit = make("generic")
    changed = orders(kit, 4)
    kit.node.refuses = {"<Документ>": error}
    with pytest.raises(type(error)):
        kit.send(*changed)
    assert (kit.node.said.count("send sale"), kit.store.parked) == (1, {})


def test_an_older_exchange_of_bitrix_gets_no_documents_inside(make: Any) -> None:
    kit = make("bitrix")
    paid = Payment("pay-1", D(250), number="77", paid=True)
    kit.send(replace(kit.store.order(108), paid=True, payments=(paid,)))
    assert (sent(kit).subordinate, said(sent(kit))["Номер оплаты по 1С"]) == ((), "77")
