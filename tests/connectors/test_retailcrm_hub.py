"""Whole runs of a connection with the hub's own database: what the other tests do with a store in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.retailcrm_kit import CUP, MUG, Kit, running
from obmen.core.records import OrderLine, Payment, Subject
from obmen.store import connections, mappings, models
from obmen.store.mappings import MappingRow
from obmen.store.orders import order_record, save_order
from obmen.work import jobs
from obmen.work import run as runs

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def kit(tmp_path: Path, settings: Any) -> Iterator[Kit]:
    settings.OBMEN_ALLOW_PRIVATE, settings.OBMEN_HOME = True, tmp_path
    with running(tmp_path) as running_kit:
        yield running_kit


@pytest.fixture
def crm(kit: Kit) -> models.Connection:
    values = {
        "server": kit.url,
        "api_key": "sandbox-key",
        "site": "shop",
        "create_payments": True,
        "send_payments": True,
        "cash_desk": "d",
    }
    connection, _password = connections.create("retailcrm", "CRM", settings=values)
    rows = [MappingRow("new", ours="Accepted"), MappingRow("complete", ours="Done")]
    for direction in ("in", "out"):
        mappings.save(connection, Subject.ORDER_STATE, direction, rows)
        mappings.save(connection, Subject.PAYMENT_KIND, direction, [MappingRow("cash", attributes={"document": "cash"})])
    return connection


def go(connection: models.Connection, *streams: str) -> models.Run:
    done = runs.execute_here(jobs.ask(connection, streams, trigger="person"))
    assert done.state == models.Run.State.DONE, (done.text, done.facts)
    return done


def test_scenario_11_an_order_its_state_and_its_payment_go_there_and_back_and_nothing_is_doubled(
    kit: Kit, crm: models.Connection
) -> None:
    number = int(kit.ui.create_order([(CUP, 2), (MUG, 1)], firstName="Иван", phone="84951112233")["id"])
    models.Bookmark.objects.update_or_create(connection=crm, stream="orders-in", defaults={"value": {"since_id": 7037}})
    go(crm, "orders-in")
    row = models.Order.objects.get()
    order = order_record(row)
    assert (order.key, order.state, order.total) == (str(number), "Accepted", Decimal(450))

    paid = Payment("cash-1", Decimal(450), paid=True, requisites=(("Документ", "cash"),))
    save_order(replace(order, state="Done", payments=(paid,)))
    go(crm, "orders-out", "payments-out")
    there = kit.account.order(number)
    assert (there["status"], [(p["type"], p["amount"], p["externalId"]) for p in there["payments"].values()]) == (
        "complete",
        [("cash", 450, "obmen-cash-1")],
    )  # fmt: skip

    kit.ui.edit(number, customerComment="позвонить")
    go(crm, "orders-in", "orders-out", "payments-out")
    order = order_record(models.Order.objects.get())
    assert (order.state, order.comment, [p.key for p in order.payments]) == ("Done", "#позвонить", ["cash-1"])
    assert len(kit.account.order(number)["payments"]) == 1
    kit.account.assert_no_duplicates()
    before = len(kit.asked(method="POST"))
    go(crm, "orders-in", "orders-out", "payments-out")
    assert len(kit.asked(method="POST")) == before


def test_a_line_that_is_added_in_the_books_goes_there_by_the_code_of_its_card(kit: Kit, crm: models.Connection) -> None:
    """K-03"""
    for key, code, name in ((CUP, "УТ-1", "Чашка"), (MUG, "УТ-2", "Кружка")):
        product = models.Product.objects.create(key=key, code=code, name=name)
        models.Offer.objects.create(key=key, product=product, name=name)
    number = int(kit.ui.create_order([(CUP, 1)], firstName="Иван", phone="84951112233")["id"])
    models.Bookmark.objects.update_or_create(connection=crm, stream="orders-in", defaults={"value": {"since_id": 7037}})
    go(crm, "orders-in")
    order = order_record(models.Order.objects.get())
    assert [line.offer for line in order.lines] == [CUP]
    more = OrderLine(MUG, "Кружка", Decimal(1), Decimal(250), Decimal(250))
    save_order(replace(order, lines=(*order.lines, more), total=Decimal(350)))
    go(crm, "orders-out")
    there = kit.account.order(number)
    assert ([i["offer"]["xmlId"] for i in there["items"]], there["totalSumm"]) == (["УТ-1", "УТ-2"], 350)


def test_what_is_changed_in_a_finished_order_is_parked_and_taken_once_it_is_open_again(kit: Kit, crm: models.Connection) -> None:
    """§1.11 step 5: «Заказ №… закрыт!!!»."""
    connections.update(crm, {"finished_states": ["Done"]})
    number = int(kit.ui.create_order([(CUP, 1)], firstName="Иван", phone="84951112233")["id"])
    models.Bookmark.objects.update_or_create(connection=crm, stream="orders-in", defaults={"value": {"since_id": 7037}})
    go(crm, "orders-in")
    order = order_record(models.Order.objects.get())
    save_order(replace(order, state="Done"))
    kit.ui.edit(number, customerComment="передумал")
    go(crm, "orders-in")
    assert order_record(models.Order.objects.get()).comment == order.comment
    parked = models.Parked.objects.get()
    assert (parked.facts["number"], parked.facts["state"]) == (order.number, "Done")

    save_order(replace(order_record(models.Order.objects.get()), state="Accepted"))
    runs.execute_here(jobs.ask(crm, ["retry-parked"], trigger="retry", args={"parked": [parked.pk]}))
    assert order_record(models.Order.objects.get()).comment == "#передумал"
    assert not models.Parked.objects.exists()
