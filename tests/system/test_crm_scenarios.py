"""The twenty acceptance scenarios of a RetailCRM connector (facts §7.7): the whole hub against the stand-in, over real HTTP."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from crm import ALL, CUP, DISH, FIRM, GOODS, MUG, START, World, buyer, cash, goods_in_books, hurry, own, world
from django.contrib.auth.models import User
from django.test import Client

from leaving import count_as_they_leave
from obmen.connectors.retailcrm import orders as connector_orders
from obmen.core.contract import NeedsOwner
from obmen.core.records import OrderLine, Subject
from obmen.store import connections, feeds, mappings, models
from obmen.store.mappings import MappingRow
from obmen.store.orders import save_counterparty, save_order
from obmen.work import jobs
from obmen.work.run import execute_here

pytestmark = pytest.mark.django_db(transaction=True)
Make = Callable[..., World]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> Iterator[Make]:
    """``make(settings={…}, zone=…)`` → a World; the goods stand in the books."""
    settings.OBMEN_ALLOW_PRIVATE, settings.MEDIA_ROOT = True, tmp_path
    hurry(monkeypatch)
    goods_in_books()
    opened: list[AbstractContextManager[World]] = []

    def one(**about: Any) -> World:
        opened.append(world(**about))
        return opened[-1].__enter__()

    yield one
    for each in opened:
        each.__exit__(None, None, None)


@pytest.fixture
def w(make: Make) -> World:
    return make(settings={"create_payments": True, "send_payments": True, "send_own": True, "price_types": True})


def refresh(w: World, subject: Subject, direction: str = "in") -> None:
    """As the button “Load … from RetailCRM” does it."""
    hub = connections.hub_of(w.connection)
    connector = connections.connector_of(w.connection, hub)
    mappings.refresh(w.connection, subject, connector.references(subject), "ann", direction)
    connector.close()


def is_same(w: World, number: int | str) -> None:
    """Lines and sum of an order are the same on both sides, to the kopeck."""
    there, here = w.crm.order(int(number)), w.ours(number)
    lines = [(i["offer"]["xmlId"], Decimal(i["quantity"])) for i in there["items"] if not i.get("isCanceled")]
    codes = {key: code for key, code, *_more in GOODS}
    assert sorted(lines) == sorted((codes[x.offer], x.quantity.normalize()) for x in here.lines if x.kind != "delivery")
    assert Decimal(there["totalSumm"]) == here.total


# --- 1, 2: the connection and its tables -----------------------------------------------------------------------------------


def test_scenario_01_tabs_open_when_the_check_passes_and_close_when_address_or_key_are_others(w: World, client: Client) -> None:
    """Scenario 1: S-05, C-01, C-02."""
    client.force_login(User.objects.create_superuser("ann", "", "x"))
    page = f"/store/connection/{w.connection.pk}/tab/statuses/"
    assert client.get(page).status_code != 200
    w.set(server=f" {w.at}/// ")
    said = connections.check(models.Connection.objects.get())
    assert said.startswith("127.0.0.1 · shop · order_read")
    assert client.get(page).status_code == 200
    connection = models.Connection.objects.get()
    connections.update(connection, {"api_key": "wrong"})
    with pytest.raises(NeedsOwner, match='Check the address of the CRM and the API key: Wrong "apiKey" value'):
        connections.check(models.Connection.objects.get())
    assert client.get(page).status_code != 200
    assert w.go("orders-in").state == "needs_owner"
    w.order()
    connections.update(models.Connection.objects.get(), {"api_key": "sandbox-key"})
    w.connection.refresh_from_db()
    assert w.go("orders-in").counts["created"] == 2


def test_scenario_02_loading_references_again_keeps_what_was_mapped(w: World) -> None:
    """Scenario 2: ST-03, ST-08, MG-01, W-02, P-02, O-03, D-02; complaint 15."""
    for subject, direction in ((Subject.ORDER_STATE, "in"), (Subject.MANAGER, "both"), (Subject.WAREHOUSE, "both"),
                               (Subject.PRICE_KIND, "both"), (Subject.PAYMENT_KIND, "in"), (Subject.DELIVERY, "both")):  # fmt: skip
        before = {r.theirs: (r.ours, r.attributes) for r in mappings.rows(w.connection, subject, direction) if not r.reported}
        refresh(w, subject, direction)
        refresh(w, subject, direction)
        after = {r.theirs: (r.ours, r.attributes) for r in mappings.rows(w.connection, subject, direction) if not r.reported}
        assert after == before, subject
    managers = {r.theirs for r in mappings.rows(w.connection, Subject.MANAGER, "both")}
    assert len(managers) > 20, "more than one page of them"
    w.crm.forget_code("stores", "second")
    refresh(w, Subject.WAREHOUSE, "both")
    assert w.connection.remote_references.get(subject="warehouse", key="second").gone is True
    assert mappings.rows(w.connection, Subject.WAREHOUSE, "both")[-1].ours == "far"


# --- 3, 4: how changes are read --------------------------------------------------------------------------------------------


def history(w: World) -> list[dict[str, Any]]:
    return [call.query["filter"] for call in w.crm.calls("/orders/history")]


def test_scenario_03_the_first_load_goes_by_date_and_then_by_the_last_id(make: Make) -> None:
    """Scenario 3: M-03, M-06, C-19. The date is that of the account's zone, the id is not read twice."""
    w = make(zone="Asia/Vladivostok")
    w.clock.now = START - timedelta(hours=3)
    w.order()
    w.clock.now = START
    late = w.order(phone="+79165554433")
    w.start_at(START - timedelta(hours=1))
    assert w.go("orders-in").counts["created"] == 2
    assert [o.key for o in models.Order.objects.all()] == [str(late)]
    assert history(w)[0] == {"startDate": "2026-03-02 18:00:00"}
    mark = w.connection.bookmarks.get(stream="orders-in").value
    assert mark["since_id"] == w.crm.account.journals["orders"].entries[-1].id
    w.ui.set_status(late, "complete")
    assert w.go("orders-in").counts["updated"] == 1
    assert set(history(w)[-1]) == {"sinceId"}
    assert w.go("orders-in").counts == {}


def test_scenario_03_an_empty_date_begins_now(make: Make) -> None:
    """Scenario 3: M-03. What was there before is left alone, what comes after is loaded."""
    w = make()
    w.order()
    w.connection.bookmarks.all().delete()
    w.clock.now += timedelta(minutes=5)
    assert w.go("orders-in").counts == {}
    made = w.order(phone="+79165554433")
    w.go("orders-in")
    assert [o.key for o in models.Order.objects.all()] == [str(made)]


def test_scenario_04_a_long_history_is_read_by_moving_the_id_and_nothing_is_asked_twice(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scenario 4: M-08. 45 entries in pages of 20 are three calls."""
    w = make()
    first = w.order()
    w.go("orders-in")
    for n in range(45):
        w.ui.edit(first, managerComment=f"n {n}")
    monkeypatch.setattr(connector_orders, "PAGE", 20)
    monkeypatch.setattr(connector_orders, "LATE", 0)
    before = len(history(w))
    mark = w.connection.bookmarks.get(stream="orders-in")
    w.connection.bookmarks.filter(pk=mark.pk).update(value={"since_id": mark.value["since_id"]})
    assert w.go("orders-in").counts["updated"] == 1
    asked = history(w)[before:]
    entries = [e.id for e in w.crm.account.journals["orders"].entries if e.id > mark.value["since_id"]]
    assert [int(a["sinceId"]) for a in asked] == [mark.value["since_id"], entries[19], entries[39]]
    assert w.ours(first).comment == "#\nn 44"
    assert len(w.crm.calls("/api/v5/orders", "GET")[-1].query["filter"]["ids"]) == 1


# --- 5: echo ---------------------------------------------------------------------------------------------------------------


def test_scenario_05_our_own_edit_does_not_come_back(w: World) -> None:
    """Scenario 5: M-09."""
    number = w.order()
    w.go()
    w.change(number, state="our-send-to-assembling")
    assert w.go("orders-out").counts == {"updated": 1}
    asked = len(w.crm.log)
    assert w.go("orders-in").counts == {}
    assert [c.path for c in list(w.crm.log)[asked:]][-1] == "/api/v5/orders/history"
    assert not w.crm.calls("/api/v5/orders", "GET")[asked:]
    assert w.go("orders-out").counts == {}
    assert w.ours(number).state == "our-send-to-assembling"


def test_scenario_05_our_edit_and_a_strangers_of_one_order_both_arrive(w: World) -> None:
    """Scenario 5: M-09, complaint 2. Neither overwrites the other."""
    number = w.order()
    w.go()
    w.change(number, state="our-send-to-assembling")
    w.ui.edit(number, customerComment="позвонить")
    w.go("orders-out")
    assert w.go("orders-in").counts["updated"] == 1
    w.settle()
    order = w.ours(number)
    assert (order.state, order.comment) == ("our-send-to-assembling", "#позвонить")
    there = w.crm.order(number)
    assert (there["status"], there["customerComment"]) == ("send-to-assembling", "позвонить")


def test_scenario_05_both_sides_change_one_field_and_the_setting_decides(make: Make) -> None:
    """Scenario 5: complaint 2. The other word stands in the journal."""
    for wins, state in (("theirs", "complete"), ("ours", "client-confirmed")):
        w = make(name=wins, settings={"conflicts": wins})
        number = w.order()
        w.go()
        key = models.Link.objects.get(connection=w.connection, kind="order", external_id=str(number)).record_id
        key = models.Order.objects.get(pk=key).key
        w.change(key, state="our-client-confirmed")
        w.ui.set_status(number, "complete")
        w.settle()
        assert (w.ours(key).state, w.crm.order(number)["status"]) == (f"our-{state}", state), wins
        entry = models.JournalEntry.objects.get(connection=w.connection, action="order-conflict")
        assert entry.facts["changes"] == [["state", "our-client-confirmed", "our-complete"]]


# --- 6: statuses -----------------------------------------------------------------------------------------------------------


def test_scenario_06_an_unmapped_status_leaves_the_order_out_is_counted_and_comes_when_it_is_mapped(w: World) -> None:
    """Scenario 6: ST-05, ST-06, F-msg. Two orders, one line with a count, one click to map it."""
    save_counterparty(buyer("in-books", phone="89160000001"), None, models.timezone.now())
    for phone in ("+79160000001", "+79160000002"):
        w.order(status="assembling", phone=phone)
    run = w.go("orders-in")
    assert (run.state, run.counts["parked"], models.Order.objects.count(), models.Counterparty.objects.count()) == (
        "done",
        2,
        0,
        1,
    )
    row = w.connection.mappings.get(reported=True)
    assert (row.subject, row.theirs, row.seen_count) == ("order_state", "assembling", 2)
    assert {p.text for p in w.connection.parked.all()} == {
        "Orders in the status {value} are not loaded. Add it on the tab “Statuses” to have them loaded"
    }
    table = [MappingRow(r.theirs, ours=r.ours) for r in mappings.rows(w.connection, "order_state", "in") if not r.reported]
    mappings.save(w.connection, "order_state", "in", [*table, MappingRow("assembling", ours="our-assembling")])
    ids = mappings.freed(w.connection, Subject.ORDER_STATE)
    run = jobs.ask(w.connection, ["retry-parked"], trigger="retry", args={"parked": ids})
    assert execute_here(run).counts["created"] == 2
    assert {o.state for o in models.Order.objects.all()} == {"our-assembling"}
    assert models.Counterparty.objects.count() == 2, "whose phone the books know is no new customer"
    assert not w.connection.parked.exists()


def test_scenario_06_with_an_empty_table_nothing_is_loaded_and_nothing_is_lost(w: World) -> None:
    """Scenario 6: ST-05."""
    number = w.order()
    mappings.start_over(w.connection, "order_state", "in")
    run = w.go("orders-in")
    assert (run.state, run.facts["msgid"]) == (
        "needs_owner", "The table of statuses is empty, no orders are loaded. Add statuses to it on the tab “Statuses”",
    )  # fmt: skip
    mappings.save(w.connection, "order_state", "in", [MappingRow("new", ours="our-new")])
    w.go("orders-in")
    assert w.ours(number).state == "our-new"


def test_scenario_06_a_status_without_a_state_of_ours_loads_the_order_without_a_state(w: World) -> None:
    """Scenario 6: ST-04."""
    mappings.save(w.connection, "order_state", "in", [MappingRow("new")])
    number = w.order()
    assert w.go("orders-in").counts["created"] == 2
    assert w.ours(number).state == ""


# --- 7, 8: single orders and chunks ----------------------------------------------------------------------------------------


def test_scenario_07_one_order_is_loaded_by_its_id_although_nothing_has_changed(w: World) -> None:
    """Scenario 7: M-07. The bookmark stays, an id that is unknown there is said to be."""
    number = w.order()
    other = w.order(phone="+79165554433")
    w.start_at(START + timedelta(days=1))
    before = w.connection.bookmarks.get(stream="orders-in").value
    assert w.go("orders-in", only=[str(number)]).counts["created"] == 2
    assert [o.key for o in models.Order.objects.all()] == [str(number)]
    models.Order.objects.update(manager="lost")
    models.TheirCopy.objects.all().delete()
    assert w.go("orders-in", only=[str(number)]).counts["updated"] == 1
    assert w.ours(number).manager == "anna"
    assert w.connection.bookmarks.get(stream="orders-in").value == before
    run = w.go("orders-in", only=[str(other + 99)])
    assert f"There is no order with the id {other + 99} in the CRM" in w.lines(run)[0]


@pytest.mark.parametrize("count", [50, 100])
def test_scenario_08_whole_chunks_of_orders_make_no_call_for_all_orders(make: Make, count: int) -> None:
    """Scenario 8: M-09, defect of §1.11.3."""
    w = make()
    for n in range(count):
        w.order(items=[(CUP, 1)], phone=f"+7916000{n:04}", firstName=f"Имя {n}")
    assert w.go("orders-in").counts["created"] == 2 * count
    asked = [c.query["filter"]["ids"] for c in w.crm.calls("/api/v5/orders", "GET") if c.path == "/api/v5/orders"]
    assert sorted(len(ids) for ids in asked) == [50] * (count // 50)
    assert models.Order.objects.count() == count


# --- 9: a crash between reading and settling -------------------------------------------------------------------------------


@pytest.mark.parametrize("page", range(1, 7))
def test_scenario_09_a_crash_before_any_page_is_settled_loses_and_doubles_nothing(
    make: Make, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    """Scenario 9: M-10. The bookmark never gets ahead of the orders; a window is four chunks, here of two orders each."""
    monkeypatch.setattr(connector_orders, "CHUNK", 2)
    monkeypatch.setattr(connector_orders, "WINDOW", 4)
    w = make()
    numbers = [w.order(items=[(CUP, n + 1)], phone=f"+7916000{n:04}", firstName=f"Имя {n}") for n in range(7)]

    class Dead(BaseException):
        """The process died here."""

    from obmen.store.adapter import DjangoStore

    settle, settled = DjangoStore._settle, []

    def dies(self: DjangoStore, settlement: Any) -> Any:
        settled.append(settlement)
        if len(settled) == page:
            raise Dead
        return settle(self, settlement)

    with monkeypatch.context() as patch:
        patch.setattr(DjangoStore, "_settle", dies)
        with pytest.raises(Dead):
            w.go("orders-in")
    models.Run.objects.all().delete()
    w.settle("orders-in")
    assert sorted(int(o.key) for o in models.Order.objects.all()) == numbers
    assert models.Counterparty.objects.count() == 7
    for number in numbers:
        is_same(w, number)
    assert models.Link.objects.filter(kind="order").count() == 7


# --- 10, 11: payments ------------------------------------------------------------------------------------------------------


def test_scenario_10_a_payment_becomes_a_document_is_undone_and_goes_when_it_is_deleted(w: World) -> None:
    """Scenario 10: F-06, P-03, P-04. Deleted ones were a gap of the module."""
    number = w.order(payments=[{"type": "cash", "status": "not-paid", "amount": 450}])
    (payment,) = (int(p["id"]) for p in w.crm.order(number)["payments"].values())
    w.go("orders-in")
    (here,) = w.ours(number).payments
    assert (here.key, here.paid, here.amount, w.ours(number).paid) == (str(payment), False, 450, False)
    w.ui.pay(number, payment)
    w.go("orders-in")
    (here,) = w.ours(number).payments
    assert (here.paid, w.ours(number).paid, dict(here.requisites)["Документ"]) == (True, True, "cash")
    assert here.date == datetime(2026, 3, 1, 21, tzinfo=UTC), "the day of the account, which has no hour"
    w.ui.pay(number, payment, "not-paid")
    w.go("orders-in")
    assert (w.ours(number).payments[0].paid, w.ours(number).paid) == (False, False)
    w.ui.delete_payment(number, payment)
    w.go("orders-in")
    assert w.ours(number).payments == ()
    w.settle()
    assert w.crm.order(number).get("payments", []) in ([], {})
    assert not w.posts("/payments")


def test_scenario_10_a_payment_of_an_unmapped_type_is_left_out_and_told(w: World) -> None:
    """Scenario 10: P-05; the order itself comes."""
    number = w.order(payments=[{"type": "e-money", "status": "paid", "amount": 450}])
    run = w.go("orders-in")
    assert w.ours(number).payments == ()
    assert any("“e-money”" in line for line in w.lines(run))
    assert w.connection.mappings.get(reported=True).theirs == "e-money"


def test_scenario_11_a_payment_is_made_once_and_then_edited(w: World) -> None:
    """Scenario 11: F-07, O-01, O-04. Its id is kept; unposting it here makes it unpaid there and deletes nothing."""
    number = w.order()
    w.go()
    w.pay(number, cash(amount=200))
    assert w.go("payments-out").counts == {"created": 1}
    (there,) = w.crm.order(number)["payments"].values()
    assert (there["amount"], there["status"], there["type"], there["externalId"]) == (200, "paid", "cash", "obmen-p-1")
    assert models.Link.objects.get(kind="payment").external_id == str(there["id"])
    w.pay(number, cash(amount=450))
    assert w.go("payments-out").counts == {"updated": 1}
    w.pay(number, cash(amount=450, paid=False))
    w.go("payments-out")
    (there,) = w.crm.order(number)["payments"].values()
    assert (there["amount"], there["status"]) == (450, "not-paid")
    assert [c.path.rpartition("/")[2] for c in w.posts("/payments")] == ["create", "edit", "edit"]
    w.settle()
    assert [(p.key, p.paid) for p in w.ours(number).payments] == [("p-1", False)]


@pytest.mark.parametrize("first", ["payments-out", "orders-in"])
@pytest.mark.parametrize("fault", ["lost", "truncated", "html"])
def test_scenario_11_a_lost_answer_makes_no_second_payment_on_either_side(w: World, fault: str, first: str) -> None:
    """Scenario 11: complaint 1. Also when the CRM tells of the payment before we ask for it, and when it was changed here since."""
    number = w.order()
    w.go()
    w.pay(number, cash(amount=200))
    w.crm.fault(fault, path="/payments/create")
    assert w.go("payments-out").state == "failed"
    w.pay(number, cash(amount=450))
    w.go(first)
    w.settle()
    (there,) = w.crm.order(number)["payments"].values()
    assert (there["amount"], there["externalId"]) == (450, "obmen-p-1")
    assert [(p.key, p.amount) for p in w.ours(number).payments] == [("p-1", 450)]
    assert len(w.posts("/payments/create")) == 1
    w.crm.assert_no_duplicates()


# --- 12, 13: stock and prices ----------------------------------------------------------------------------------------------


def many_goods(w: World, count: int) -> None:
    """As many more goods in the books and, but for the last, in the CRM."""
    base = models.Reference.objects.get(subject=Subject.PRICE_KIND, key="base")
    main = models.Reference.objects.get(subject=Subject.WAREHOUSE, key="main")
    products = models.Product.objects.bulk_create(
        models.Product(key=f"k{n}", code=f"c{n}", name=f"Товар {n}") for n in range(count)
    )
    offers = models.Offer.objects.bulk_create(models.Offer(key=p.key, product=p) for p in products)
    models.StockLevel.objects.bulk_create(
        models.StockLevel(offer=o, warehouse=main, quantity=n % 7) for n, o in enumerate(offers) if n % 7
    )
    models.Price.objects.bulk_create(models.Price(offer=o, kind=base, value=n + 1) for n, o in enumerate(offers))
    for p in products[:-1]:
        w.crm.add_offer(p.key, p.name, 1, xml_id=p.code)


@pytest.mark.parametrize("count", [250, 251, 500])
def test_scenario_12_the_stock_of_every_offer_arrives_zeros_and_borders_too_and_strangers_are_named(w: World, count: int) -> None:
    """Scenario 12: F-03, W-01, W-03, §1.9 and its defects."""
    many_goods(w, count - len(GOODS))
    run = w.go("stock-out")
    assert run.counts == {"created": count - 1, "parked": 1}
    sizes = [len(c.form["offers"]) for c in w.posts("/store/inventories/upload")]
    assert sizes == [250] * (count // 250) + ([count % 250] if count % 250 else [])
    wanted = {f"k{n}": {"main": n % 7, "second": 0} for n in range(count - len(GOODS) - 1)}
    wanted |= {key: {"main": stock, "second": 1} for key, _c, _a, _n, _p, stock in GOODS}
    assert {key: w.crm.stock(key) for key in wanted} == wanted
    last = count - len(GOODS) - 1
    parked = w.connection.parked.get()
    assert (parked.facts["name"], parked.facts["id"]) == (f"Товар {last}", f"c{last}")
    models.StockLevel.objects.filter(offer__key="k1").update(quantity=99)
    assert w.go("stock-out").counts["updated"] == 1
    assert [[row["xmlId"] for row in c.form["offers"]] for c in w.posts("/store/inventories/upload")[len(sizes) :]] == [
        ["c1", f"c{last}"]
    ]


def test_scenario_12_stock_that_is_gone_from_the_books_becomes_nothing_there(w: World) -> None:
    """Scenario 12: W-03."""
    w.go("stock-out")
    assert w.crm.stock(CUP) == {"main": 5, "second": 1}
    models.StockLevel.objects.filter(offer__key=CUP).delete()
    w.go("stock-out")
    assert w.crm.stock(CUP) == {"main": 0, "second": 0}


def test_scenario_13_prices_of_mapped_kinds_arrive_once(w: World) -> None:
    """Scenario 13: F-04, F-05, P-01."""
    many_goods(w, 251)
    assert w.go("prices-out").counts == {"created": 253, "parked": 1}
    assert [len(c.form["prices"]) for c in w.posts("/store/prices/upload")] == [250, 4]
    assert {key: w.crm.prices(key)["base"] for key in (CUP, "k0", "k249")} == {CUP: 100, "k0": 1, "k249": 250}
    models.Price.objects.filter(offer__key=CUP, kind__key="base").update(value=Decimal("99.90"))
    assert w.go("prices-out").counts["updated"] == 1
    assert w.crm.prices(CUP)["base"] == Decimal("99.9")
    w.set(price_types=False)
    asked = len(w.posts("/store/prices/upload"))
    assert w.go("prices-out").counts == {}
    assert len(w.posts("/store/prices/upload")) == asked


# --- 14, 15, 17: orders out, customers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", [True, False])
def test_scenario_14_lines_of_one_offer_are_sent_apart_or_joined_as_the_account_allows(w: World, split: bool) -> None:
    """Scenario 14: complaint 4. The sum is the same to the kopeck and nothing bounces."""
    w.crm.account.settings.split_lines = split
    number = w.order(items=[(CUP, 2)])
    w.go()
    (line,) = w.ours(number).lines
    more = OrderLine(CUP, "Чашка", Decimal(1), Decimal(100), Decimal(80), discount=Decimal(20))
    w.change(number, lines=(line, more), total=Decimal(280))
    run = w.go("orders-out")
    assert run.counts == {"updated": 1}
    assert any("were joined" in said for said in w.lines(run)) is not split
    there = w.crm.order(number)
    assert (there["totalSumm"], [i["quantity"] for i in there["items"]]) == (280, [2, 1] if split else [3])
    w.settle()
    assert w.ours(number).total == 280
    posts = len(w.posts("/orders"))
    w.settle()
    assert len(w.posts("/orders")) == posts
    is_same(w, number) if split else None


def company(w: World, name: str = "ООО Рога", inn: str = "7701234567") -> tuple[int, int, int]:
    person = w.ui.create_customer(firstName="Анна", lastName="Рогова", phones=[{"number": "+79167778899"}])
    owner = w.ui.create_customer(corporate=True, nickName=name)
    contact = w.ui.add_contact(owner, person)
    legal = w.ui.add_company(owner, name=name, contragent={"contragentType": "legal-entity", "legalName": name, "INN": inn})
    assert contact
    return owner, person, legal


def test_scenario_15_an_order_of_a_company_and_its_buyer_switched_there_and_back(w: World) -> None:
    """Scenario 15: F-08, §1.12, complaint 10."""
    owner, person, legal = company(w)
    number = w.order()
    private = w.crm.order(number)["customer"]["id"]
    w.go("orders-in")
    assert models.Order.objects.get().counterparty.key == f"customer:{private}"
    w.ui.switch_customer(number, owner, contact=person, company=legal)
    w.go("orders-in")
    card = models.Order.objects.get().counterparty
    assert (card.key, card.kind, card.name, card.inn) == (f"company:{legal}", "company", "ООО Рога", "7701234567")
    assert w.ours(number).counterparty.inn == "7701234567"
    w.ui.switch_customer(number, private)
    w.go("orders-in")
    card = models.Order.objects.get().counterparty
    assert (card.key, card.kind, card.last_name) == (f"customer:{private}", "person", "Петров")
    assert models.Counterparty.objects.count() == 2
    w.settle()
    assert w.posts("/customers") == []


def test_scenario_15_a_company_of_the_books_is_found_by_its_tax_number(w: World) -> None:
    """Scenario 15: §1.12: find by INN, else create; the setting says by what."""
    save_counterparty(FIRM, None, models.timezone.now())
    owner, person, legal = company(w, name="Рога и Копыта")
    number = w.order()
    w.ui.switch_customer(number, owner, contact=person, company=legal)
    w.go("orders-in")
    assert models.Order.objects.get().counterparty.key == "f-1"
    assert models.Counterparty.objects.filter(inn=FIRM.inn).count() == 1


def test_scenario_15_by_what_customers_are_found_is_what_the_match_rules_say(make: Make) -> None:
    """Scenario 15: by e-mail alone a phone finds nobody."""
    for n, (attributes, cards) in enumerate(((["email"], 2), (["phone"], 1), ([], 2))):
        models.Counterparty.objects.all().delete()
        save_counterparty(buyer("in-books", phone="84951112233", email="a@example.com"), None, models.timezone.now())
        w = make(name=f"CRM {n}")
        w.connection.match_rules.exclude(attribute__in=attributes).delete()
        w.order(phone="+74951112233", email="other@example.com")
        w.go("orders-in")
        assert models.Counterparty.objects.count() == cards, attributes


def test_scenario_15_an_order_of_ours_makes_the_company_there_once(w: World) -> None:
    """Scenario 15: F-02 for own orders, §1.16.12."""
    for n in (1, 2):
        save_order(own(f"own-{n}", counterparty=FIRM))
    assert w.go("orders-out").counts == {"created": 2}
    one, two = w.crm.all_orders()
    assert one["customer"]["id"] == two["customer"]["id"]
    assert (one["company"]["contragent"]["INN"], one["customer"]["type"]) == ("7701234567", "customer_corporate")
    w.settle()
    assert models.Order.objects.count() == 2
    w.crm.assert_no_duplicates()


def test_scenario_17_cancelling_here_cancels_there_and_fails_every_line_and_back(w: World) -> None:
    """Scenario 17: ST-07, §1.14."""
    number = w.order()
    w.go()
    w.change(number, cancelled=True, cancel_reason="передумал")
    w.go("orders-out")
    there = w.crm.order(number)
    assert (there["status"], [i["status"] for i in there["items"]], there["shipped"]) == ("cancel-other", ["failure"] * 2, False)
    w.settle()
    order = w.ours(number)
    assert (order.cancelled, order.cancel_reason, len(order.lines)) == (True, "передумал", 2)
    w.change(number, cancelled=False, cancel_reason="", state="our-new")
    w.settle()
    there = w.crm.order(number)
    assert (there["status"], [i["status"] for i in there["items"]]) == ("new", ["new"] * 2)
    assert w.ours(number).cancelled is False
    is_same(w, number)


def test_scenario_17_an_order_cancelled_there_is_cancelled_here(w: World) -> None:
    """Scenario 17: ST-07 the other way, deleted and combined orders (§1.16.11)."""
    cancelled, deleted, gone, stays = (w.order(phone=f"+7916000000{n}") for n in range(4))
    w.go()
    w.ui.set_status(cancelled, "cancel-other")
    w.ui.delete_order(deleted)
    w.ui.combine(gone, stays)
    w.settle()
    states = {int(o.key): (o.cancelled, o.cancel_reason) for o in models.Order.objects.all()}
    assert states == {
        cancelled: (True, ""),
        deleted: (True, ""),
        gone: (True, f"Объединен с заказом {stays}"),
        stays: (False, ""),
    }
    is_same(w, stays)


# --- 16: the catalogue -----------------------------------------------------------------------------------------------------


def served(client: Client, w: World) -> bytes:
    answer = client.get(feeds.path(models.Feed.objects.get(connection=w.connection)))
    assert answer.status_code == 200
    body = b"".join(answer)
    return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body


def test_scenario_16_the_catalogue_loads_there_and_orders_find_their_goods_again(make: Make, client: Client) -> None:
    """Scenario 16: K-01 to K-04. Without characteristics the id is the code, with them GUID#GUID."""
    for characteristics, ids in ((False, {"УТ-1", "УТ-2", "УТ-3", "S-1"}), (True, {CUP, MUG, DISH, f"{DISH}#red", "s"})):
        w = make(
            name=f"CRM {characteristics}",
            settings={"selling_price": "base", "purchase_price": "buy", "characteristics": characteristics},
        )
        if not characteristics:
            service = models.Product.objects.create(key="s", code="S-1", name="Доставка", kind="Услуга", groups=["g1"])
            models.Price.objects.create(
                offer=models.Offer.objects.create(key="s", product=service),
                kind=models.Reference.objects.get(key="base"),
                value=300,
            )
        else:
            red = models.Offer.objects.create(
                key=f"{DISH}#red",
                product=models.Product.objects.get(key=DISH),
                name="Блюдо",
                characteristics=[["Цвет", "красный"]],
            )
            models.Price.objects.create(offer=red, kind=models.Reference.objects.get(key="base"), value=35)
        assert w.go("catalogue-out").counts == {"published": 1}
        loaded = w.crm.load_icml(served(client, w))
        offers = {o.external_id: o for o in w.crm.catalogue.offers.values() if o.active}
        assert set(offers) == ids, loaded
        number = w.order(items=[(next(i for i in sorted(ids) if i in ("УТ-1", CUP)), 2)])
        w.go("orders-in")
        link = models.Link.objects.get(connection=w.connection, kind="order", external_id=str(number))
        assert [x.offer for x in models.OrderLine.objects.filter(order=link.record_id)] == [CUP]


def test_scenario_16_a_catalogue_that_would_switch_off_too_much_is_refused_and_the_old_one_stays(
    make: Make, client: Client
) -> None:
    """Scenario 16: K-05, complaint 11."""
    w = make(settings={"selling_price": "base"})
    w.go("catalogue-out")
    before = served(client, w)
    w.crm.load_icml(before)
    models.Offer.objects.exclude(key=CUP).update(deleted=True)
    run = w.go("catalogue-out")
    assert (run.state, run.facts["count"], run.facts["total"]) == ("needs_owner", 2, 3)
    assert served(client, w) == before
    w.set(may_vanish=100)
    assert w.go("catalogue-out").counts == {"published": 1}
    assert w.crm.load_icml(served(client, w)).deactivated == 2


# --- 18: a busy CRM --------------------------------------------------------------------------------------------------------


def test_scenario_18_a_storm_of_503_delays_and_loses_nothing(w: World) -> None:
    """Scenario 18: complaint 14. More refusals than one run bears: the queue brings it again, within its attempts."""
    number = w.order()
    w.go()
    w.change(number, state="our-complete")
    w.pay(number, cash())
    save_order(own())
    late = w.order(phone="+79165554433")
    w.crm.fault("503", 30)
    run = jobs.ask(w.connection, ALL, trigger="schedule")
    for _attempt in range(jobs.ATTEMPTS):
        models.Run.objects.filter(pk=run.pk).update(due=START - timedelta(days=9))
        jobs.work_one("me", only=run.pk)
        run.refresh_from_db()
        if run.state == "done":
            break
    assert (run.state, w.crm.faults.planned) == ("done", [])
    w.settle(*ALL)
    there = w.crm.order(number)
    assert (there["status"], [p["status"] for p in there["payments"].values()]) == ("complete", ["paid"])
    assert [o["externalId"] for o in w.crm.all_orders() if o.get("externalId")] == ["obmen-own-1"]
    assert w.ours(late).state == "our-new"
    assert w.crm.stock(CUP) == {"main": 5, "second": 1}
    assert w.crm.prices(CUP)["base"] == 100
    w.crm.assert_no_duplicates()


def test_scenario_18_the_crms_own_limiter_is_never_met(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenario 18: ten calls a second for a key, whatever the run does; not one is refused."""
    from obmen.connectors.retailcrm import api
    from obmen.store.hub import DjangoHub

    monkeypatch.undo()
    monkeypatch.setattr("django.conf.settings.OBMEN_ALLOW_PRIVATE", True)
    assert api.CALLS_A_SECOND == 10
    assert DjangoHub.sleep.__name__ == "sleep"
    w = make(rate=10)
    monkeypatch.undo()
    monkeypatch.setattr("django.conf.settings.OBMEN_ALLOW_PRIVATE", True)
    assert w.crm.limiter
    count_as_they_leave(w.crm.limiter, monkeypatch)
    for n in range(12):
        w.order(phone=f"+7916000{n:04}", items=[(CUP, 1)], firstName=f"Имя {n}")
    w.go("orders-in")
    for n, order in enumerate(models.Order.objects.all()):
        w.change(order.key, state="our-complete", comment=f"# {n}")
    w.go("orders-out")
    assert {c.status for c in w.crm.log} == {200}
    assert {o["status"] for o in w.crm.all_orders()} == {"complete"}


# --- 19: the settings file -------------------------------------------------------------------------------------------------


def test_scenario_19_settings_and_tables_survive_a_journey_and_the_exchange_goes_on_with_them(w: World, tmp_path: Path) -> None:
    """Scenario 19: F-09, C-01. Secrets only with a passphrase."""
    number = w.order(shipmentStore="second", delivery={"code": "courier"})
    w.set(characteristics=False, orders_from="2026-01-01", comment="customer", skip_types=["offline", "wholesale"])
    plain_file, whole = tmp_path / "plain.toml", tmp_path / "whole.toml"
    plain_file.write_text(connections.export_toml(w.connection), "utf-8")
    whole.write_text(connections.export_toml(w.connection, "pass"), "utf-8")
    assert "sandbox-key" not in plain_file.read_text("utf-8") + whole.read_text("utf-8")
    before = (connections.settings_of(w.connection), *tables(w))
    connections.remove(w.connection)
    w.connection, made, _password = connections.apply_toml(whole, "pass")
    assert made
    assert (connections.settings_of(w.connection), *tables(w)) == before
    assert connections.check(w.connection).startswith("127.0.0.1")
    w.start_at(START - timedelta(days=1))
    w.go("orders-in")
    order = w.ours(number)
    assert (order.state, order.warehouse, order.manager, order.delivery.method_key) == ("our-new", "far", "anna", "courier")
    connections.remove(w.connection)
    w.connection, _made, _password = connections.apply_toml(plain_file)
    assert w.go("orders-in").state == "needs_owner"


def tables(w: World) -> list[tuple[Any, ...]]:
    names = ("subject", "theirs", "ours", "attributes", "taken", "inbound", "outbound")
    return sorted(w.connection.mappings.values_list(*names), key=repr)


# --- 20: time zones --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("account", ["Asia/Vladivostok", "America/New_York"])
def test_scenario_20_moments_are_the_same_whatever_zone_each_side_tells_them_in(make: Make, account: str) -> None:
    """Scenario 20: complaint 13. The account, the hub (Europe/Kyiv) and the connection each have a zone of their own."""
    w = make(
        zone=account, time_zone="Asia/Tokyo",
        settings={"send_own": True, "send_payments": True, "create_payments": True, "orders_from": "2026-03-02"},
    )  # fmt: skip
    number = w.order()
    day = w.crm.order(number)["createdAt"][:10]
    assert day == f"{START.astimezone(ZoneInfo(account)):%Y-%m-%d}"
    w.go("orders-in")
    assert w.ours(number).date == START
    assert dict(w.ours(number).requisites)["Дата отгрузки"] == f"{day}T00:00:00"
    night = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    save_order(own(date=night, payments=(replace(cash(), date=night),)))
    w.go()
    (made,) = [o for o in w.crm.all_orders() if o.get("externalId")]
    assert made["createdAt"] == f"{night.astimezone(ZoneInfo(account)):%Y-%m-%d %H:%M:%S}"
    (paid,) = made["payments"].values()
    assert paid["paidAt"] == made["createdAt"]
    w.settle()
    assert (w.ours("own-1").date, w.ours("own-1").payments[0].date) == (night, night)


def test_scenario_20_the_account_moves_to_another_zone_and_nothing_comes_again_or_shifts(make: Make) -> None:
    """Scenario 20: account TZ change (§7.5)."""
    w = make(settings={"create_payments": True})
    number = w.order(payments=[{"type": "cash", "status": "paid", "amount": 450, "paidAt": "2026-03-02 11:00:00"}])
    w.go("orders-in")
    before = w.ours(number)
    w.crm.set_zone("Asia/Kamchatka")
    w.ui.edit(number, customerComment="новое")
    w.go("orders-in")
    after = w.ours(number)
    assert (after.date, after.comment) == (before.date, "#новое")
    w.start_at(START - timedelta(minutes=1))
    assert w.go("orders-in").counts.get("created", 0) == 0
    later = w.order(phone="+79165554433")
    w.go("orders-in")
    assert w.ours(later).date == START


def test_scenario_20_orders_are_left_out_by_the_day_of_the_account(make: Make) -> None:
    """Scenario 20: “load orders made since” is a day of the account's zone."""
    w = make(zone="Asia/Kamchatka", settings={"orders_from": "2026-03-03"})
    w.clock.now = datetime(2026, 3, 2, 13, 0, tzinfo=UTC)  # there it is the 3rd already
    number = w.order()
    w.go("orders-in")
    assert [o.key for o in models.Order.objects.all()] == [str(number)]
    assert date(2026, 3, 3) == START.astimezone(ZoneInfo("Asia/Kamchatka")).date() + timedelta(days=1)
