"""What a run says through the hub that connectors see."""

from __future__ import annotations

from typing import Any

import pytest

from obmen.store import models
from obmen.store.hub import EXAMPLES, MORE, DjangoHub
from obmen.store.words import say

pytestmark = pytest.mark.django_db


@pytest.fixture
def run() -> models.Run:
    connection = models.Connection.objects.create(connector="toy", name="Shop", slug="shop")
    return models.Run.objects.create(connection=connection, streams="catalogue-out", unique_key="x")


def lines(run: models.Run) -> list[tuple[str, int]]:
    return [(say(line.text, line.facts), line.count) for line in run.lines.order_by("id")]


def test_a_thousand_goods_left_out_for_one_reason_are_some_examples_and_a_count(run: models.Run) -> None:
    hub = DjangoHub(run.connection, run)
    for number in range(1000):
        hub.report("warning", "{name} has no picture", name=f"Cup {number}")
        if number % 300 == 0:
            hub.flush()
    hub.report("warning", "{name} has no price", name="Cup 1")
    hub.report("warning", "{name} has no picture", name="Cup 3")
    hub.flush()
    said: list[Any] = [(f"Cup {number} has no picture", 2 if number == 3 else 1) for number in range(EXAMPLES)]
    rest = (say(MORE, {"error": f"Cup {EXAMPLES} has no picture"}), 1000 - EXAMPLES)
    assert sorted(lines(run)) == sorted([*said, rest, ("Cup 1 has no price", 1)])


def test_what_is_said_again_is_counted_in_its_line(run: models.Run) -> None:
    hub = DjangoHub(run.connection, run)
    for _time in range(3):
        hub.report("info", "Read {number}", number="138")
        hub.flush()
    assert lines(run) == [("Read 138", 3)]
