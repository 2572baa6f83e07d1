"""The charts of a hub that ran before anything was counted for them: filled once, from what was kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps

from obmen.store import models, tallies

pytestmark = pytest.mark.django_db
fill = import_module("obmen.store.migrations.0012_tallies_of_kept_runs").fill
THEN = datetime(2026, 3, 1, 14, 40, tzinfo=UTC)
HOUR = THEN.replace(minute=0)


@pytest.fixture
def one() -> models.Connection:
    return models.Connection.objects.create(connector="caller", name="Shop", slug="shop")


def run(one: models.Connection, streams: str, at: datetime = THEN, state: str = "done", **kw: Any) -> models.Run:
    return models.Run.objects.create(
        connection=one, streams=streams, state=state, unique_key=f"{streams}{at}{state}", started=at, ended=at, asked=at, **kw
    )


def change(of: models.Run | None, kind: str, pk: int, version: int, at: datetime = THEN) -> None:
    models.RecordChange.objects.create(record_kind=kind, record_id=pk, version=version, run=of, at=at, changes=None)


def counted() -> dict[tuple[datetime, str], int]:
    rows = models.Tally.objects.values_list("hour", "name", "count")
    return {(hour, name): count for hour, name, count in rows}


def test_new_orders_changed_goods_failures_and_what_was_set_aside_are_counted_by_the_hour(one: models.Connection) -> None:
    both = run(one, "customers-in,orders-in,stock-out", counts={"created": 5, "updated": 9, "parked": 2})
    for pk in (1, 2):
        change(both, "order", pk, 1)
    change(both, "order", 1, 2)  # a change is no order taken
    change(None, "order", 3, 1)  # a person's
    change(both, "offer", 7, 4, THEN + timedelta(hours=1))
    run(one, "orders-in", state="failed", counts={})
    fill(apps, None)
    assert counted() == {
        (HOUR, tallies.ORDERS_IN): 2,
        (HOUR + timedelta(hours=1), tallies.GOODS_IN): 1,
        (HOUR, tallies.FAILED): 1,
        (HOUR, tallies.SET_ASIDE): 2,
    }


def test_what_was_sent_is_counted_of_runs_that_did_nothing_else_and_of_confirmed_deliveries(one: models.Connection) -> None:
    run(one, "orders-out,statuses-out", counts={"created": 1, "updated": 2})
    run(one, "prices-out,stock-out", counts={"updated": 40, "unchanged": 900})
    run(one, "orders-out,stock-out", counts={"updated": 77})
    run(one, "stock-out", THEN - timedelta(minutes=1), counts={"updated": 500}, args={"preview": True})
    models.JournalEntry.objects.create(action="order.delivered", connection=one, at=THEN, record_kind="order", record_id=1)
    fill(apps, None)
    assert counted() == {(HOUR, tallies.ORDERS_OUT): 4, (HOUR, tallies.GOODS_OUT): 40}


def test_what_was_counted_already_is_not_counted_twice(one: models.Connection) -> None:
    tallies.add(one.pk, {tallies.GOODS_OUT: 8}, THEN)
    run(one, "stock-out", counts={"updated": 8})
    run(one, "stock-out", THEN - timedelta(hours=1), counts={"updated": 3})
    fill(apps, None)
    assert counted() == {(HOUR, tallies.GOODS_OUT): 8, (HOUR - timedelta(hours=1), tallies.GOODS_OUT): 3}
    before = counted()
    fill(apps, None)
    assert counted() == before
