"""The limit of changes for orders and customers: a system that cancels everything at once is asked about first."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import caller
from caller import World, order
from obmen.core.records import Subject
from obmen.store import connections, mappings, models
from obmen.store.mappings import MappingRow
from obmen.work import deciding, jobs
from obmen.work import run as runs

pytestmark = pytest.mark.django_db
MANY = 60


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return caller.install(monkeypatch)


@pytest.fixture
def shop(world: World) -> models.Connection:
    one, _password = connections.create("caller", "Shop", settings={"address": "shop", "api_key": "k"})
    mappings.save(one, Subject.ORDER_STATE, "in", [MappingRow("new", ours="new")])
    world.says_how_much = True
    for n in range(MANY):
        world.change(order(str(n)))
    assert load(one).state == "done", "a first load changes nothing"
    connections.set_guard(one, "orders-in", 50, "olena")
    return one


def load(one: models.Connection) -> models.Run:
    return runs.execute_here(jobs.ask(one, ["orders-in"], trigger="person"))


def cancel(world: World, count: int) -> None:
    for n in range(count):
        world.change(replace(world.orders[str(n)], cancelled=True))


def cancelled() -> int:
    return models.Order.objects.filter(cancelled=True).count()


def test_orders_cancelled_in_mass_stop_the_run_before_anything_is_written_until_a_person_allows_it(
    world: World, shop: models.Connection
) -> None:
    cancel(world, MANY)
    run = load(shop)
    assert (run.state, cancelled()) == ("needs_owner", 0)
    said: Any = run.lines.filter(facts__has_key="guard").get().facts
    assert said == {"changed": MANY, "known": MANY, "limit": 50, "kind": "order", "guard": "orders-in"}
    allowed = runs.execute_here(deciding.ask_allowed(run, "olena"))
    assert (allowed.state, cancelled()) == ("done", MANY)


def test_a_few_orders_pass_and_orders_that_no_longer_move_are_no_part_of_the_whole(world: World, shop: models.Connection) -> None:
    cancel(world, 20)
    assert (load(shop).state, cancelled()) == ("done", 20)
    models.Order.objects.filter(cancelled=False).update(changed=timezone.now() - timedelta(days=200))
    for n in range(MANY):
        world.change(replace(world.orders[str(n)], comment="archived"))
    assert (load(shop).state, models.Order.objects.filter(comment="archived").count()) == ("needs_owner", 0)


def test_without_a_share_nothing_is_asked(world: World, shop: models.Connection) -> None:
    connections.set_guard(shop, "orders-in", None, "olena")
    cancel(world, MANY)
    assert (load(shop).state, cancelled()) == ("done", MANY)
