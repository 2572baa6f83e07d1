"""What a run says through the hub that connectors see."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from obmen.core.records import Subject
from obmen.store import connections, models
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


def test_all_mapping_tables_take_one_query_and_the_next_hub_sees_what_was_saved_since(run: models.Run) -> None:
    shop = run.connection
    for position, (theirs, ours, inbound, outbound, reported) in enumerate([
        ("new", "fresh", True, True, False), ("paid", "done", True, False, False), ("closed", "done", False, True, False),
        ("odd", "", True, True, True), ("lost", "", False, False, False),
    ]):  # fmt: skip
        facts = {"inbound": inbound, "outbound": outbound, "reported": reported, "position": position}
        shop.mappings.create(subject="order_state", theirs=theirs, ours=ours, **facts)
    shop.mappings.create(subject="delivery", theirs="post", ours="post", inbound=True, outbound=False)

    def tables() -> dict[str, list[tuple[str, str]]]:
        hub = connections.hub_of(shop)
        state, delivery = Subject.ORDER_STATE, Subject.DELIVERY
        said = {way: [(row.theirs, row.ours) for row in hub.rows(state, way)] for way in ("in", "out", "both", "each")}
        said["delivery"] = [(row.theirs, row.ours) for row in hub.rows(delivery, "in")]
        found = hub.incoming(state, "paid")
        said["by theirs"] = [(found.theirs, found.ours)] if found else []
        said["by ours"] = [(row.theirs, row.ours) for row in hub.outgoing(state, "done")]
        hub.flush()
        return said

    with CaptureQueriesContext(database) as asked:
        said = tables()
    assert len(asked) == 1, [q["sql"][:90] for q in asked]
    every = [("new", "fresh"), ("paid", "done"), ("closed", "done")]
    assert said == {
        "in": [("new", "fresh"), ("paid", "done")],
        "out": [("new", "fresh"), ("closed", "done")],
        "both": every,
        "each": every,
        "delivery": [("post", "post")],
        "by theirs": [("paid", "done")],
        "by ours": [("closed", "done")],
    }
    shop.mappings.filter(theirs="paid").update(ours="fresh")
    assert tables()["by theirs"] == [("paid", "fresh")]
