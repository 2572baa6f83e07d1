"""Orders from the CRM to the books (facts §1.3, §1.11 to §1.13, §3), over real HTTP against the sandbox."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.retailcrm_kit import CUP, DISH, MUG, START, Kit, good, running
from core.memory import Crash
from obmen.core.contract import BadDocument, NeedsOwner, TryLater, Unmapped
from obmen.core.engine import pull, read_page
from obmen.core.records import Address, Counterparty, Kind, OrderNews, Payment, Subject


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    with running(tmp_path, clock=lambda: START) as running_kit:
        yield running_kit


def made(kit: Kit, *items: Any, **fields: Any) -> int:
    fields = {"firstName": "Иван", "lastName": "Петров", "phone": "84951112233"} | fields
    return int(kit.ui.create_order(items or [(CUP, 2), (MUG, 1)], **fields)["id"])


def said(kit: Kit) -> str:
    return "; ".join(text for _level, text in kit.hub.reported)


def history(kit: Kit) -> list[dict[str, Any]]:
    return [call.query for call in kit.asked("/orders/history")]


# --- which orders, from where on -----------------------------------------------------------------------------------------------


def test_m03_the_first_load_goes_by_date_in_the_accounts_zone_and_the_next_by_the_last_id(kit: Kit) -> None:
    """M-03, M-01, C-19, scenarios 3 and 20."""
    made(kit)
    kit.load(since=START - timedelta(hours=1))
    assert history(kit)[0]["filter"] == {"startDate": "2026-03-02 11:00:00"}  # Moscow
    last = kit.store.bookmarks["orders-in"]["since_id"]
    source: Any = kit.source()
    assert source.bookmark_words(kit.store.bookmarks["orders-in"]) == str(last)
    other = made(kit)
    assert kit.load() == Counter(created=1, unchanged=1)  # of the same customer
    assert str(other) in kit.store.orders()


def test_m04_an_empty_date_means_now_by_the_accounts_clock_and_never_the_beginning(kit: Kit) -> None:
    """M-04. Our own clock is a year behind."""
    kit.hub.clock = START - timedelta(days=365)
    made(kit)
    now = START + timedelta(minutes=1)
    kit.account.account.clock = lambda: now
    assert pull(kit.source(), kit.store) == Counter()
    assert kit.store.bookmarks["orders-in"] == {"from": now.isoformat()}
    source: Any = kit.source()
    assert source.bookmark_from("", None) == {"from": now.isoformat()}
    number = made(kit)
    kit.load()
    assert list(kit.store.orders()) == [str(number)]


def test_m01_a_typed_id_is_where_the_next_load_begins(kit: Kit) -> None:
    """M-01, M-05."""
    first = made(kit)
    kit.load()
    last = kit.store.bookmarks["orders-in"]["since_id"]
    kit.store.__init__()  # type: ignore[misc]
    second = made(kit)
    source: Any = kit.source()
    kit.store.bookmarks["orders-in"] = source.bookmark_from(f" {last} ", None)
    kit.load()
    assert (str(first) in kit.store.orders(), str(second) in kit.store.orders()) == (False, True)
    assert source.bookmark_from("", START)["from"] == START.isoformat()
    for words in ("0", "7a", "-3"):
        with pytest.raises(NeedsOwner):
            source.bookmark_from(words, None)


def test_scenario_4_a_long_history_is_read_by_moving_the_id(kit: Kit) -> None:
    number = made(kit)
    for n in range(220):
        kit.ui.edit(number, customerComment=str(n))
    kit.load()
    asked = history(kit)
    assert [q["limit"] for q in asked] == ["100", "100", "100"]
    assert [set(q["filter"]) for q in asked] == [{"startDate"}, {"sinceId"}, {"sinceId"}]
    assert kit.store.order(number).comment == "#219"
    assert len([c for c in kit.asked("/orders") if c.path == "/api/v5/orders"]) == 1


@pytest.mark.parametrize("count", [1, 50, 100, 130])
def test_scenario_8_orders_are_asked_by_their_ids_fifty_at_a_time_and_never_without_ids(kit: Kit, count: int) -> None:
    """Defect: with 50 or 100 changed orders the module sent a last request without a filter."""
    for _n in range(count):
        made(kit, (CUP, 1))
    assert kit.load()["created"] == count + 1  # and their customer
    asked = [len(c.query["filter"]["ids"]) for c in kit.asked("/orders") if c.path == "/api/v5/orders"]
    assert sorted(asked, reverse=True) == [50] * (count // 50) + ([count % 50] if count % 50 else [])


def test_no_news_asks_for_no_orders(kit: Kit) -> None:
    """hist.none"""
    made(kit)
    kit.load()
    before = len(kit.asked())
    assert kit.load() == Counter()
    assert [c.path for c in kit.asked()[before:]] == ["/api/v5/settings", "/api/v5/orders/history"]
    assert "Nothing has changed in the CRM since the last time" in said(kit)


def test_scenario_5_our_own_change_with_one_of_somebody_else_beside_it_is_loaded(kit: Kit) -> None:
    number = made(kit)
    kit.load()
    crm = kit.connector().crm
    kit.ui.edit(number, customerComment="позвоните")
    crm.post(f"/api/v5/orders/{number}/edit", safe=True, by="id", site="shop", order={"managerComment": "мы"})
    assert kit.load() == Counter(updated=1, unchanged=1)
    crm.post(f"/api/v5/orders/{number}/edit", safe=True, by="id", site="shop", order={"managerComment": "мы 2"})
    assert kit.load() == Counter()
    assert kit.store.order(number).comment == "#позвоните\nмы"
    assert all("filter" in c.query for c in kit.asked("/orders", "GET") if c.path == "/api/v5/orders")  # never all orders


def test_a_change_whose_entry_appears_late_is_not_lost(kit: Kit) -> None:
    first, second = made(kit), made(kit)
    kit.load()
    with kit.account.late_history():
        kit.ui.edit(first, customerComment="поздно")
    kit.ui.edit(second, customerComment="рано")
    kit.load()
    assert (kit.store.order(first).comment, kit.store.order(second).comment) == ("#", "#рано")
    kit.account.release_history()
    kit.load()
    assert kit.store.order(first).comment == "#поздно"


def test_scenario_9_a_crash_before_the_page_is_settled_loses_nothing(kit: Kit) -> None:
    """§1.16.10: the module moved its id before it had loaded anything."""
    for _n in range(3):
        made(kit)
    kit.store.bookmarks["orders-in"] = {"from": (START - timedelta(days=1)).isoformat()}
    kit.store.crash_at = 1  # the customers are settled, the orders are not
    with pytest.raises(Crash):
        kit.load()
    assert "since_id" not in kit.store.bookmarks["orders-in"]
    kit.store.crash_at = None
    assert kit.load() == Counter(created=3, unchanged=1)
    assert len(kit.store.orders()) == 3


def test_scenario_9_the_bookmark_moves_only_with_the_last_orders_of_what_was_read(kit: Kit) -> None:
    for n in range(130):
        made(kit, (CUP, 1), phone=f"8495{n:07}")
    kit.store.bookmarks["orders-in"] = {"from": (START - timedelta(days=1)).isoformat()}
    kit.store.crash_at = 5  # two of three pages of orders, each behind its customers, are settled
    with pytest.raises(Crash):
        kit.load()
    assert len(kit.store.orders()) == 100
    assert "since_id" not in kit.store.bookmarks["orders-in"]
    kit.store.crash_at = None
    assert kit.load() == Counter(created=30, unchanged=230)


def test_scenario_18_a_storm_of_refusals_delays_and_loses_nothing(kit: Kit) -> None:
    numbers = [made(kit) for _n in range(3)]
    kit.account.fault("503", 3)
    kit.account.fault("500", 1, path="/orders")
    kit.account.fault("truncated", 1, path="/orders")
    kit.account.fault("lost", 1, path="/orders")
    with pytest.raises(TryLater):  # what was cut off: the next run begins where this one did
        kit.load()
    kit.load()
    assert sorted(kit.store.orders()) == sorted(map(str, numbers))


def test_a_page_instead_of_data_is_tried_later_with_its_beginning_told(kit: Kit) -> None:
    made(kit)
    kit.account.fault("html", 9, path="/orders/history")
    with pytest.raises(TryLater, match="something else than data"):
        kit.load()


def test_orders_of_another_shop_of_the_account_are_another_connections_business(tmp_path: Path) -> None:
    """C-03, §1.16.5."""
    with running(tmp_path, sites=("shop", "other")) as kit:
        mine = made(kit)
        kit.account.add_offer(CUP, "Чашка", 100, site="other", xml_id="УТ-1")
        theirs = int(kit.ui.create_order([(CUP, 1)], site="other")["id"])
        kit.load(since=datetime(2020, 1, 1, tzinfo=UTC))
        assert list(kit.store.orders()) == [str(mine)]
        kit.store.__init__()  # type: ignore[misc]
        kit.load(since=datetime(2020, 1, 1, tzinfo=UTC), site="other")
        assert list(kit.store.orders()) == [str(theirs)]


def test_leaving_in_mid_load_leaves_no_thread_behind(kit: Kit) -> None:
    import threading

    for _n in range(250):
        made(kit, (CUP, 1))
    pages = kit.source().pages({"from": (START - timedelta(days=1)).isoformat()}, kit.store)
    next(pages)
    pages.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name == "read-ahead"]


# --- one order by its id ------------------------------------------------------------------------------------------------------


def test_m10_an_order_asked_by_its_id_is_loaded_whether_or_not_it_changed(kit: Kit) -> None:
    """M-10, scenario 7."""
    number = made(kit)
    kit.load()
    source: Any = kit.source()
    pages = list(source.pages_of([str(number)], kit.store))
    assert [(p.kind, p.anyway, p.bookmark) for p in pages] == [(Kind.COUNTERPARTY, True, None), (Kind.ORDER, True, None)]
    done = read_page(source, kit.store, pages[1])
    assert [s.record.key for s in done.said] == [str(number)]
    with pytest.raises(BadDocument, match="There is no order with the id 99999"):
        list(source.pages_of(["99999"], kit.store))
    with pytest.raises(BadDocument):
        list(source.pages_of(["abc"], kit.store))


# --- which are left out -------------------------------------------------------------------------------------------------------


def test_offline_orders_are_left_out_and_their_customers_too(kit: Kit) -> None:
    """§1.11.1"""
    made(kit, orderMethod="offline")
    assert kit.load() == Counter(left_out=1)
    assert kit.store.books == {}


def test_the_methods_that_are_left_out_are_a_setting(kit: Kit) -> None:
    made(kit, orderMethod="one-click")
    assert kit.load(skip_methods="one-click,offline") == Counter(left_out=1)


def test_the_types_that_are_left_out_are_a_setting_too(kit: Kit) -> None:
    code = next(iter(kit.account.account.references["order-types"]))
    made(kit, orderType=code)
    assert kit.load(skip_types=code) == Counter(left_out=1)


def test_an_order_without_goods_is_refused_in_the_manuals_words(kit: Kit) -> None:
    """ord.noItems"""
    number = int(kit.ui.create_order([], firstName="Иван")["id"])
    assert kit.load() == Counter(parked=1)
    ((_where, error),) = kit.store.parked.values()
    assert str(error) == f"Order No. {number}C was not loaded: there are no goods in it"


def test_st05_a_status_that_is_not_in_the_table_waits_for_it_and_is_counted(kit: Kit) -> None:
    """ST-05, scenario 6."""
    made(kit, status="prepayed")
    made(kit, status="prepayed")
    assert kit.load() == Counter(parked=2)
    error = next(iter(kit.store.parked.values()))[1]
    assert isinstance(error, Unmapped)
    assert (error.facts["subject"], error.facts["value"]) == ("order_state", "prepayed")
    assert str(error).startswith("Orders in the status prepayed are not loaded. Add it on the tab “Statuses”")
    assert kit.hub.missing[Subject.ORDER_STATE, "prepayed"] == 2


def test_st06_an_empty_table_of_statuses_stops_the_load(kit: Kit) -> None:
    """ST-06: the module let everything through when the table had been saved empty."""
    made(kit)
    kit.hub.mappings.clear()
    with pytest.raises(NeedsOwner, match="The table of statuses is empty, no orders are loaded"):
        kit.load()
    assert kit.asked("/orders") == []


def test_st04_a_status_without_a_state_of_ours_is_loaded_with_an_empty_state(kit: Kit) -> None:
    kit.hub.mappings.clear()
    kit.hub.map("in", Subject.ORDER_STATE, "new", "")
    number = made(kit)
    kit.load()
    assert kit.store.order(number).state == ""


def test_a_status_that_a_person_left_out_is_left_out(kit: Kit) -> None:
    kit.hub.map("in", Subject.ORDER_STATE, "prepayed", taken=False)
    made(kit, status="prepayed")
    assert kit.load() == Counter(left_out=1)


def test_orders_made_before_the_date_are_left_out_and_it_is_said(kit: Kit) -> None:
    """ord.tooOld, by the account's day."""
    made(kit, createdAt="2026-02-28 23:30:00")
    kept = made(kit, createdAt="2026-03-01 00:10:00")  # still February in UTC
    kit.load(orders_from="2026-03-01")
    assert list(kit.store.orders()) == [str(kept)]
    assert "Orders made before 2026-03-01 are not loaded" in said(kit)


# --- what an order becomes ------------------------------------------------------------------------------------------------------


def test_the_whole_order(kit: Kit) -> None:
    """§1.11, field by field."""
    kit.hub.map("in", Subject.DELIVERY, "courier", "carrier", carrier="c-7")
    kit.hub.map("in", Subject.WAREHOUSE, "second", "far")
    kit.hub.map("in", Subject.MANAGER, "20", "anna")
    number = made(
        kit, user=20, status="client-confirmed", customerComment="Звонить после 18", managerComment="постоянный",
        shipmentStore="second", shipmentDate="2026-03-05", email="ivan@example.com",
        delivery={"code": "courier", "cost": "300.50", "date": "2026-03-06", "time": {"from": "10:00", "to": "12:00"},
                  "address": {"index": "101000", "city": "Москва", "metro": "Лубянка", "text": "ул. Мира, 1", "notes": "домофон 7"}},
    )  # fmt: skip
    kit.load(
        organisation="org-1", order_kind="Основной", operation="Заказ на продажу", department="Продажи", bank_account="acc-1",
        cash_desk="desk-1", taxation="vat", price_includes_vat=True, deferral_days=7, delivery_product="service-1",
    )  # fmt: skip
    order = kit.store.order(number)
    assert (order.number, order.date, order.state, order.currency, order.total, order.site, order.shipped, order.cancelled) == (
        f"{number}C", START, "our-client-confirmed", "RUB", Decimal("750.5"), "shop", False, False,
    )  # fmt: skip
    assert (order.manager, order.organisation, order.warehouse) == ("anna", "org-1", "far")
    assert order.comment == "#Звонить после 18\nпостоянный"
    assert order.delivery is not None
    assert (order.delivery.method, order.delivery.method_key, order.delivery.price) == (
        "Силами перевозчика", "carrier", Decimal("300.50"),
    )  # fmt: skip
    assert (order.delivery.address, order.delivery.comment) == ("101000 Москва Лубянка ул. Мира, 1", "домофон 7")
    assert (order.delivery.recipient, order.delivery.phone) == ("Петров Иван", "84951112233")
    assert [(ln.kind, ln.offer, ln.name, ln.quantity, ln.total) for ln in order.lines] == [
        ("product", CUP, "Чашка", 2, 200), ("product", MUG, "Кружка", 1, 250),
        ("delivery", "service-1", "Доставка", 1, Decimal("300.50")),
    ]  # fmt: skip
    assert order.requisites == (
        ("ИД", str(number)), ("Вид заказа", "Основной"), ("Операция", "Заказ на продажу"), ("Организация", "Ассоль ООО"),
        ("Подразделение", "Продажи"), ("Склад", "Офис"), ("Банковский счет", "acc-1"), ("Касса", "desk-1"),
        ("Налогообложение", "Продажа облагается НДС"), ("Цена включает НДС", "true"), ("Отсрочка дней", "7"),
        ("Дата отгрузки", "2026-03-05T00:00:00"), ("Перевозчик", "Деловые линии"), ("Дата доставки", "2026-03-06"),
        ("Время доставки", "10:00–12:00"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "requisite"),
    [
        ("order_kind", "Вид заказа"), ("operation", "Операция"), ("department", "Подразделение"), ("organisation", "Организация"),
        ("bank_account", "Банковский счет"), ("cash_desk", "Касса"), ("taxation", "Налогообложение"), ("warehouse", "Склад"),
    ],
)  # fmt: skip
def test_c04_to_c15_each_constant_goes_with_the_order(kit: Kit, setting: str, requisite: str) -> None:
    """C-04, C-05, C-07, C-08, C-11, C-12, C-13, C-15. The module lost C-04 and C-07."""
    number = made(kit)
    kit.load(**{setting: "value-1"})
    assert dict(kit.store.order(number).requisites)[requisite] == "value-1"


def test_c14_the_currency_of_documents_may_be_set(kit: Kit) -> None:
    number = made(kit)
    kit.load(currency="руб.")
    assert kit.store.order(number).currency == "руб."


def test_c16_prices_never_include_vat_where_the_taxation_knows_none(kit: Kit) -> None:
    """C-16, also when the taxation is told by its name; K-… VAT of lines."""
    kit.account.add_offer("vat-20", "С НДС", 120, xml_id="УТ-20", vatRate="20.00")
    kit.hub.books.all_goods.append(good(9, "vat-20", "УТ-20", "", "С НДС", {}, {}))
    number = made(kit, ("vat-20", 1))
    kit.load(taxation="vat", price_includes_vat=True)
    (line,) = kit.store.order(number).lines
    assert (line.vat_rate, line.vat_amount) == ("20", Decimal("20.00"))
    kit.load(since=START - timedelta(days=1), taxation="novat", price_includes_vat=True)
    (line,) = kit.store.order(number).lines
    assert (line.vat_rate, line.vat_amount) == ("none", None)
    assert dict(kit.store.order(number).requisites)["Цена включает НДС"] == "false"


def test_c17_c08_m06_defaults(kit: Kit) -> None:
    """C-17 five days; C-08 the constant when no store is said or it is not mapped; MG-06 the responsible person."""
    kit.account.ui.create_order([(CUP, 1)], managerId=None, firstName="Иван")
    number = made(kit, shipmentStore="main")
    kit.load(warehouse="main", manager="boss")
    order = kit.store.order(number)
    assert (dict(order.requisites)["Отсрочка дней"], order.warehouse) == ("5", "main")
    assert kit.hub.missing[Subject.WAREHOUSE, "main"] == 1
    assert kit.store.order(number - 1).manager == "boss"
    assert order.manager == ""  # a manager whom nobody has mapped
    assert kit.hub.missing[Subject.MANAGER, "19"] == 1


def test_d01_a_delivery_that_is_not_mapped_is_a_pick_up_and_is_counted(kit: Kit) -> None:
    """D-01"""
    number = made(kit, delivery={"code": "russian-post"})
    kit.load()
    delivery = kit.store.order(number).delivery
    assert delivery is not None
    assert (delivery.method, delivery.method_key) == ("Самовывоз", "")
    assert kit.hub.missing[Subject.DELIVERY, "russian-post"] == 1
    kit.load(since=START - timedelta(days=1), default_delivery="carrier")
    delivery = kit.store.order(number).delivery
    assert delivery is not None
    assert (delivery.method, delivery.method_key) == ("Силами перевозчика", "carrier")


@pytest.mark.parametrize(
    ("rule", "comment"),
    [("marked", "#раз\nдва"), ("both", "раз\nдва"), ("customer", "раз"), ("manager", "два"), ("none", "")],
)
def test_comments_are_put_together_as_the_setting_says(kit: Kit, rule: str, comment: str) -> None:
    number = made(kit, customerComment="раз", managerComment="два")
    kit.load(comment=rule)
    assert kit.store.order(number).comment == comment


def test_a_comment_with_the_mark_gets_no_second_one(kit: Kit) -> None:
    number = made(kit, customerComment="заказ #5")
    kit.load()
    assert kit.store.order(number).comment == "заказ #5"


def test_an_order_that_came_before_is_cancelled_by_its_status(kit: Kit) -> None:
    """ST-01: the flag «Отмена» of the table."""
    kit.hub.map("in", Subject.ORDER_STATE, "no-call", "closed", cancel="yes")
    number = made(kit)
    kit.load()
    kit.ui.set_status(number, "no-call")
    kit.load()
    assert (kit.store.order(number).state, kit.store.order(number).cancelled) == ("closed", True)


# --- lines ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "xml_id"),
    [
        ({"product_id": "code"}, "УТ-1"),
        ({"product_id": "article"}, "A-1"),
        ({"product_id": "guid"}, CUP),
        ({"product_id": "code", "characteristics": True}, CUP),
    ],
)
def test_k02_k03_goods_are_found_by_the_chosen_id(kit: Kit, settings: Any, xml_id: str) -> None:
    """K-02, K-03, K-04, C-18, K-08."""
    kit.account.add_offer("from-shop", "Чашка с сайта", 100, xml_id=xml_id)
    number = made(kit, ("from-shop", 1))
    kit.load(**settings)
    (line,) = kit.store.order(number).lines
    assert (line.offer, line.name) == (CUP, "Чашка с сайта")


def test_k02_the_offers_external_id_may_hold_our_id(kit: Kit) -> None:
    number = made(kit)  # externalId is the GUID
    kit.load(offer_id="externalId", product_id="guid")
    assert [line.offer for line in kit.store.order(number).lines] == [CUP, MUG]


def test_k04_a_characteristic_is_found_and_an_unknown_one_falls_to_its_product(kit: Kit) -> None:
    blue = f"{CUP}#44444444-4444-4444-8444-444444444444"
    kit.hub.books.all_goods.append(good(8, blue, "УТ-1", "", "Чашка, синяя", {}, {}))
    kit.account.add_offer("blue", "Чашка, синяя", 100, xml_id=blue)
    kit.account.add_offer("red", "Чашка, красная", 100, xml_id=f"{CUP}#55555555-5555-4555-8555-555555555555")
    number = made(kit, ("blue", 1), ("red", 1))
    kit.load(characteristics=True)
    assert [line.offer for line in kit.store.order(number).lines] == [blue, CUP]


def test_goods_that_are_not_in_the_books_are_named_and_keep_all_that_is_known(kit: Kit) -> None:
    """Defect: the module made a line with an empty product."""
    kit.account.add_offer("new", "Ваза", 70, xml_id="УТ-77", article="V-1")
    number = made(kit, ("new", 1), {"productName": "Подарок", "initialPrice": 5, "quantity": 1})
    kit.load()
    vase, gift = kit.store.order(number).lines
    assert (vase.offer, vase.name, vase.article, vase.requisites) == ("", "Ваза", "V-1", (("ИД товара CRM", "УТ-77"),))
    assert (gift.offer, gift.name, gift.total) == ("", "Подарок", 5)
    assert f"Order {number}C: “Ваза” (УТ-77) is not in the books" in said(kit)
    assert f"Order {number}C: “Подарок” has no id of ours in the CRM" in said(kit)


def test_goods_are_looked_up_once_for_a_page_of_orders(kit: Kit) -> None:
    for _n in range(60):
        made(kit)
    kit.load()
    assert [attribute for attribute, _values in kit.hub.books.asked] == ["code", "code"]


def test_several_lines_of_one_offer_keep_apart_by_their_ids(kit: Kit) -> None:
    """Complaint 4."""
    number = made(kit, (CUP, 1), (CUP, 2, 80))
    kit.load()
    assert [(ln.offer, ln.quantity, ln.price) for ln in kit.store.order(number).lines] == [(CUP, 1, 100), (CUP, 2, 80)]
    assert len({ln.key for ln in kit.store.order(number).lines}) == 2


def test_discounts_add_up_to_the_kopeck(kit: Kit) -> None:
    """§4, complaint 3: discountTotal is for one unit and rounded; prices say where the kopecks went."""
    number = made(kit, (DISH, 3), (CUP, 7), discountManualAmount="10.00", delivery={"cost": "99.99"})
    kit.load()
    order = kit.store.order(number)
    assert sum(line.total for line in order.lines) == order.total == Decimal("888.99")
    assert [(ln.quantity * ln.price - ln.total, ln.discount) for ln in order.lines[:2]] == [
        (Decimal("1.24"), Decimal("1.24")), (Decimal("8.76"), Decimal("8.76")),
    ]  # fmt: skip
    assert kit.hub.reported == Counter()


def test_rounded_discounts_of_one_unit_do_not_lose_kopecks() -> None:
    """§4: 10.00 off three at 100 is shown as 3.33 for one; ``prices`` has the missing kopeck."""
    from obmen.connectors.retailcrm.convert import line_total

    prices = [{"price": "96.67", "quantity": "2"}, {"price": "96.66", "quantity": "1"}]
    item = {"quantity": "3", "initialPrice": "100", "discountTotal": "3.33", "prices": prices}
    assert line_total(item) == Decimal("290.00")
    assert line_total(item | {"prices": []}) == Decimal("290.01")


def test_sums_that_do_not_add_up_are_told(kit: Kit) -> None:
    from obmen.connectors.retailcrm import convert

    number = made(kit)
    source: Any = kit.source()
    raw = convert.used(source.one(number), source.s) | {"totalSumm": "449"}
    goods = convert.look_up([raw], source.s, kit.hub)
    convert.order(raw, source.s, kit.hub, UTC, goods, source.names)
    assert f"Order {number}C: its lines and delivery make 450.00, the CRM says 449" in said(kit)


def test_cancelled_lines_are_left_out(kit: Kit) -> None:
    number = made(kit, (CUP, 1), (MUG, 1))
    first, second = kit.account.order(number)["items"]
    kit.ui.edit(number, items=[{"id": first["id"]}, {"id": second["id"], "status": "failure"}])
    kit.load()
    assert ([ln.name for ln in kit.store.order(number).lines], kit.store.order(number).total) == (["Чашка"], 100)


def test_p01_the_price_type_of_the_last_line_is_that_of_the_order(kit: Kit) -> None:
    """F-05, §1.11."""
    kit.hub.map("in", Subject.PRICE_KIND, "wholesale", "Оптовая")
    number = made(kit, {"offer": {"externalId": CUP}, "priceType": {"code": "wholesale"}, "quantity": 1})
    kit.load()
    assert "Вид цен" not in dict(kit.store.order(number).requisites)
    kit.load(since=START - timedelta(days=1), price_types=True)
    assert dict(kit.store.order(number).requisites)["Вид цен"] == "Оптовая"


# --- deleted and combined -------------------------------------------------------------------------------------------------------


def test_an_order_that_is_deleted_there_is_said_to_be(kit: Kit) -> None:
    """§1.16.11"""
    number = made(kit)
    kit.load()
    kit.ui.delete_order(number)
    kit.load()
    assert kit.store.gone[str(number)] == OrderNews(str(number), deleted=True)


def test_an_order_that_was_deleted_between_history_and_question_is_asked_for_and_believed(kit: Kit) -> None:
    number = made(kit)
    with kit.account.late_history():
        kit.ui.delete_order(number)  # its entry comes later
    kit.load()
    assert kit.store.gone[str(number)].deleted is True


def test_an_order_that_went_into_another_says_into_which(kit: Kit) -> None:
    gone, result = made(kit, (CUP, 1)), made(kit, (MUG, 1))
    kit.load()
    kit.ui.combine(gone, result, "summ")
    kit.load()
    assert kit.store.gone[str(gone)].cancel_reason == f"Объединен с заказом {result}"
    assert len(kit.store.order(result).lines) == 2


# --- customers ---------------------------------------------------------------------------------------------------------------------


def buyer(kit: Kit, number: int) -> Counterparty:
    found = kit.store.order(number).counterparty
    assert found is not None
    return found


def test_a_person_buys_under_the_crms_id_with_contacts(kit: Kit) -> None:
    """§1.12"""
    number = made(kit, patronymic="Ильич", email="ivan@example.com", delivery={"address": {"city": "Москва", "text": "Мира, 1"}})
    kit.load()
    found = buyer(kit, number)
    customer = kit.account.order(number)["customer"]["id"]
    assert found == Counterparty(
        key=f"customer:{customer}", name="Петров Иван Ильич", kind="person", full_name="Петров Иван Ильич", last_name="Петров",
        first_name="Иван", middle_name="Ильич", phone="84951112233", email="ivan@example.com",
        address=Address("Москва Мира, 1", (("Город", "Москва"),)),
        contacts=(("Телефон", "84951112233"), ("Почта", "ivan@example.com")),
    )  # fmt: skip
    assert [r for r in kit.store.books.values() if isinstance(r, Counterparty)] == [found]


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("+7 (495) 111-22-33", "84951112233"), ("495 111 22 33", "84951112233"), ("8 495 1112233", "84951112233"),
        ("+380 67 123 45 67", "380671234567"), ("12-34", ""),
    ],
)  # fmt: skip
def test_phones_are_written_as_the_module_writes_them_and_foreign_ones_are_kept(written: str, kept: str) -> None:
    from obmen.connectors.retailcrm.convert import phone

    assert phone(written) == kept


def company(kit: Kit) -> tuple[int, int, int]:
    owner = kit.ui.create_customer(corporate=True, nickName="Рога и копыта")
    person = kit.ui.create_customer(firstName="Анна", phones=[{"number": "84950000001"}])
    kit.ui.add_contact(owner, person)
    legal = {"contragentType": "legal-entity", "legalName": "ООО «Рога»", "INN": "7701234567", "KPP": "770101001", "OKPO": "123",
             "legalAddress": "Москва, 2", "BIK": "044525225", "bankAccount": "40702"}  # fmt: skip
    return owner, person, kit.ui.add_company(owner, name="Рога", contragent=legal)


def test_scenario_15_the_company_of_a_corporate_customer_buys_and_switching_back_is_followed(kit: Kit) -> None:
    """F-08 on."""
    owner, person, firm = company(kit)
    number = made(kit)
    kit.load()
    assert buyer(kit, number).kind == "person"
    before = buyer(kit, number).key
    private = int(before.partition(":")[2])
    kit.ui.switch_customer(number, owner, contact=person, company=firm)
    kit.load()
    found = buyer(kit, number)
    assert (found.key, found.name, found.kind, found.full_name, found.inn, found.kpp, found.okpo) == (
        f"company:{firm}", "Рога", "company", "ООО «Рога»", "7701234567", "770101001", "123",
    )  # fmt: skip
    assert (found.legal_address, found.phone) == (Address("Москва, 2"), "84950000001")
    assert dict(found.requisites) == {"Партнер": "Рога и копыта", "БИК": "044525225", "Расчетный счет": "40702"}
    kit.ui.switch_customer(number, private)
    kit.load()
    assert buyer(kit, number).key == before


def test_f08_without_corporate_customers_the_legal_data_of_the_order_say_who_buys(kit: Kit) -> None:
    legal = {"contragentType": "enterpreneur", "legalName": "ИП Петров", "INN": "770123456789", "KPP": "1"}
    number = made(kit, contragent=legal)
    kit.load()
    assert buyer(kit, number).kind == "person"  # F-08 on: a private customer is a person
    kit.load(since=START - timedelta(days=1), corporate=False)
    found = buyer(kit, number)
    assert (found.key, found.kind, found.name, found.inn, found.kpp, found.phone) == (
        "contragent:770123456789:1", "entrepreneur", "ИП Петров", "770123456789", "", "84951112233",
    )  # fmt: skip


def test_customers_are_owned_as_the_settings_say(kit: Kit) -> None:
    rules = kit.source(customer_policy="if_empty", conflicts="ours").rules
    assert (rules.fields["counterparty.phone"], rules.conflict) == ("if_empty", "ours")


def test_customers_that_changed_without_an_order_come_by_a_stream_of_their_own(kit: Kit) -> None:
    known = kit.ui.create_customer(firstName="Анна", phones=[{"number": "84950000001"}])
    assert kit.load("customers-in") == Counter(created=1)
    kit.ui.edit_customer(known, email="anna@example.com")
    assert kit.load("customers-in") == Counter(updated=1)
    (card,) = kit.store.books.values()
    assert (card.key, card.name, card.email) == (f"customer:{known}", "Анна", "anna@example.com")
    assert kit.load("customers-in") == Counter()
    assert all(c.query["filter"]["ids"] for c in kit.asked("/customers") if c.path == "/api/v5/customers")


# --- payments ---------------------------------------------------------------------------------------------------------------------


def payments(kit: Kit, number: int) -> tuple[Payment, ...]:
    return kit.store.order(number).payments


PAY: dict[str, Any] = {"create_payments": True, "cash_desk": "desk-1", "bank_account": "acc-1"}


def test_f06_payments_come_by_the_table_with_their_document(kit: Kit) -> None:
    """F-06, O-02, §1.13, scenario 10."""
    kit.hub.map("in", Subject.PAYMENT_KIND, "bank-card", "", document="card", terminal="t-1")
    kit.hub.map("in", Subject.PAYMENT_KIND, "bank-transfer", "", document="bank")
    number = made(kit)
    card = kit.ui.add_payment(number, "bank-card", 200, "paid", paidAt="2026-03-02 12:30:00", comment="чек 5")
    wire = kit.ui.add_payment(number, "bank-transfer", 250)
    kit.load(**PAY)
    first, second = payments(kit, number)
    assert first == Payment(
        key=str(card), amount=Decimal(200), method="bank-card", method_key="bank-card", date=START + timedelta(minutes=30), paid=True,
        currency="RUB", order=str(number),
        requisites=(("Документ", "card"), ("ТипОплаты", "bank-card"), ("Терминал", "t-1"), ("Комментарий", f"чек 5 {card}")),
    )  # fmt: skip
    assert (second.key, second.paid, dict(second.requisites)["Банковский счет"]) == (str(wire), False, "acc-1")
    assert kit.store.order(number).paid is False
    kit.ui.pay(number, wire)
    kit.load(**PAY)
    assert kit.store.order(number).paid is True
    kit.ui.pay(number, wire, "not-paid")
    kit.load(**PAY)
    assert [p.paid for p in payments(kit, number)] == [True, False]
    kit.ui.delete_payment(number, wire)
    kit.load(**PAY)
    assert [p.key for p in payments(kit, number)] == [str(card)]


def test_f06_off_takes_no_payments(kit: Kit) -> None:
    number = made(kit)
    kit.ui.add_payment(number, "cash", 450, "paid")
    kit.load()
    assert (payments(kit, number), kit.store.order(number).paid) == ((), None)


def test_payments_that_the_table_does_not_explain_are_told_and_the_order_comes_all_the_same(kit: Kit) -> None:
    """pay.noTable, pay.noType, pay.needTerminal, pay.needCash"""
    number = made(kit)
    kit.ui.add_payment(number, "cash", 100, "paid")
    kit.load(create_payments=True)
    assert "The table of payments is empty: payments are not loaded" in said(kit)
    assert kit.hub.missing[Subject.PAYMENT_KIND, "cash"] == 1
    kit.hub.map("in", Subject.PAYMENT_KIND, "bank-card", "", document="card")
    kit.hub.map("in", Subject.PAYMENT_KIND, "cash", "", document="cash")
    kit.hub.map("in", Subject.PAYMENT_KIND, "e-money", "")
    for kind in ("bank-card", "e-money", "credit"):
        kit.ui.add_payment(number, kind, 10, "paid")
    kit.load(create_payments=True)
    assert payments(kit, number) == ()
    for words in (
        "A card payment needs a terminal: set one for the payment type “bank-card”",
        "A cash receipt needs a cash desk: set one for the payment type “cash”",
        "No document is set for the payment type “e-money”",
        "No document is set for the payment type “credit”",
    ):
        assert words in said(kit)


def test_payments_that_we_made_there_come_back_under_our_key(kit: Kit) -> None:
    kit.hub.map("in", Subject.PAYMENT_KIND, "cash", "", document="cash")
    number = made(kit)
    kit.ui.add_payment(number, "cash", 100, "paid", externalId="obmen-p-7")
    kit.load(**PAY)
    assert [p.known_as for p in payments(kit, number)] == ["p-7"]


# --- habits of PHP ------------------------------------------------------------------------------------------------------------------


def test_empty_maps_as_lists_and_payments_as_lists_are_understood(kit: Kit) -> None:
    """§2.1: [] where a map is meant."""
    kit.hub.map("in", Subject.PAYMENT_KIND, "cash", "", document="cash")
    kit.account.account.settings.payments_as_list = True
    kit.account.account.settings.custom_fields_as_list = True
    number = made(kit)
    kit.ui.add_payment(number, "cash", 450, "paid")
    kit.load(number_field="nomer1c", **PAY)
    assert [p.amount for p in payments(kit, number)] == [450]


def test_scenario_20_the_account_moves_to_another_zone_and_no_change_is_lost(kit: Kit) -> None:
    number = made(kit)
    kit.store.bookmarks["orders-in"] = {"from": START.isoformat()}
    kit.account.set_zone("Asia/Vladivostok")
    kit.load()
    assert kit.store.order(number).date == START
    assert kit.hub.noted["zone"] == "Asia/Vladivostok"


def test_what_we_do_not_use_is_no_news(kit: Kit) -> None:
    """The customer's sums change with every other order of theirs."""
    number = made(kit)
    kit.load()
    kit.ui.edit(number, weight=5)
    assert kit.load() == Counter(unchanged=2)


def test_other_mappings_make_orders_be_looked_at_again(kit: Kit) -> None:
    number = made(kit)
    kit.load()
    kit.hub.mappings["in", Subject.ORDER_STATE] = [replace(m, ours="other") for m in kit.hub.mappings["in", Subject.ORDER_STATE]]
    kit.load(since=START - timedelta(days=1))
    assert kit.store.order(number).state == "other"
