"""“Read defaults from the format” (F9): what a format proposes, beside what the connection has and a person has made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from obmen import registry
from obmen.core.records import Subject
from obmen.store import connections, defaults, mappings, models
from toy_connector import Caller

pytestmark = pytest.mark.django_db

NEW = {"subject": "order_state", "theirs": "new", "theirs_name": "Новий", "ours": "fresh"}
PAID = {"subject": "order_state", "theirs": "paid", "ours": "done", "outbound": False}
PROPOSED: dict[str, Any] = {
    "title": "Small",
    "settings": {"use_prices": True},
    "streams": ["orders-in"],
    "match": {"counterparty": ["phone"]},
    "mappings": [NEW, PAID],
}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the format proposes; a test may change it, as a new version does."""
    proposed = {**PROPOSED}

    class Format(Caller):
        key = "format"

        @classmethod
        def profiles(cls) -> Mapping[str, Mapping[str, Any]]:
            return {"small": proposed}

    monkeypatch.setitem(registry.connectors(), "format", Format)
    for key in ("fresh", "done", "other"):
        models.Reference.objects.create(subject=Subject.ORDER_STATE, key=key, name=key.title())
    return proposed


@pytest.fixture
def shop(said: Any) -> models.Connection:
    return connections.create("format", "Shop", profile="small", settings={"server": "x"})[0]


def table(shop: models.Connection) -> list[tuple[str, str, bool, bool]]:
    rows = shop.mappings.filter(reported=False).order_by("theirs", "ours")
    return [(m.theirs, m.ours, m.inbound, m.outbound) for m in rows]


def seen(shop: models.Connection) -> list[tuple[str, bool]]:
    shop.refresh_from_db()
    return [(d.id, d.yours) for d in defaults.differences(shop)]


def test_a_new_connection_begins_with_what_its_format_proposes(shop: models.Connection) -> None:
    assert table(shop) == [("new", "fresh", True, True), ("paid", "done", True, False)]
    assert list(shop.streams.filter(enabled=True).values_list("stream", flat=True)) == ["orders-in"]
    assert list(shop.match_rules.values_list("kind", "attribute")) == [("counterparty", "phone")]
    assert seen(shop) == []
    assert defaults.apply(shop, None) == []


def test_edits_are_shown_as_the_persons_own_and_stay_unless_they_are_asked_for(shop: models.Connection) -> None:
    connections.update(shop, {"use_prices": False})
    connections.set_stream(shop, "orders-in", enabled=False, schedule="every 15 min")
    shop.mappings.filter(theirs="new").update(ours="other")
    shop.mappings.filter(theirs="paid").delete()
    shop.match_rules.all().delete()
    ids = [
        "setting use_prices",
        "stream orders-in",
        "match counterparty",
        "mapping order_state →← new",
        "mapping order_state → paid",
    ]
    assert seen(shop) == [(one, True) for one in ids]
    assert defaults.apply(shop, None, "ann") == []
    assert table(shop) == [("new", "other", True, True)]
    taken = defaults.apply(shop, [ids[0], ids[1], ids[4]], "ann")
    assert [one.id for one in taken] == [ids[0], ids[1], ids[4]]
    assert seen(shop) == [(ids[2], True), (ids[3], True)]
    assert connections.settings_of(shop).use_prices is True
    row = shop.streams.get(stream="orders-in")
    assert (row.enabled, row.schedule) == (True, "every 15 min")
    assert [e.who for e in models.JournalEntry.objects.filter(action="defaults.read", who="ann")] == ["ann"]
    assert [one.id for one in defaults.apply(shop, ids)] == [ids[2], ids[3]]
    assert seen(shop) == []


def test_a_new_version_moves_what_nobody_has_touched(shop: models.Connection, said: dict[str, Any]) -> None:
    shop.mappings.filter(theirs="paid").update(ours="other")
    more = {"subject": "order_state", "theirs": "lost", "ours": "", "taken": False}
    said.update(streams=["orders-in", "stock-out"], mappings=[NEW | {"ours": "done"}, PAID | {"ours": "fresh"}, more])
    assert seen(shop) == [
        ("stream stock-out", False),
        ("mapping order_state →← new", False),
        ("mapping order_state → paid", True),
        ("mapping order_state →← lost", False),
    ]
    defaults.apply(shop, None)
    assert table(shop) == [("lost", "", True, True), ("new", "done", True, True), ("paid", "other", True, False)]
    assert seen(shop) == [("mapping order_state → paid", True)]


def test_a_value_that_traffic_reported_is_nobodys_edit(said: dict[str, Any]) -> None:
    said["mappings"] = []
    shop, _password = connections.create("format", "Shop", profile="small")
    mappings.report(shop, "order_state", "new", "Новий")
    said["mappings"] = [NEW]
    assert seen(shop) == [("mapping order_state →← new", False)]
    defaults.apply(shop, None)
    assert table(shop) == [("new", "fresh", True, True)]
    assert shop.mappings.count() == 1


def test_a_value_that_the_books_do_not_have_is_never_taken_over(said: dict[str, Any]) -> None:
    said["mappings"] = [NEW | {"ours": "nowhere"}, PAID]
    shop, _password = connections.create("format", "Shop", profile="small")
    assert table(shop) == [("paid", "done", True, False)]
    found = defaults.differences(shop)
    assert [(one.id, one.lacking) for one in found] == [("mapping order_state →← new", "nowhere")]
    assert defaults.apply(shop, [found[0].id]) == []
    models.Reference.objects.create(subject=Subject.ORDER_STATE, key="nowhere", name="Now there")
    defaults.apply(shop, None)
    assert table(shop) == [("new", "nowhere", True, True), ("paid", "done", True, False)]


def test_a_hundred_proposed_rows_take_as_many_queries_as_two(shop: models.Connection, said: dict[str, Any]) -> None:
    def cost() -> int:
        with CaptureQueriesContext(database) as asked:
            defaults.differences(shop)
        return len(asked)

    few = cost()
    said["mappings"] = [NEW, PAID, *({"subject": "delivery", "theirs": f"way {n}", "ours": f"way {n}"} for n in range(98))]
    assert (cost(), few) == (5, 5)


def test_a_row_that_is_proposed_twice_is_one_row(said: dict[str, Any]) -> None:
    said["mappings"] = [NEW, PAID, NEW | {"ours": "done", "outbound": False}]
    shop, _password = connections.create("format", "Shop", profile="small")
    assert table(shop) == [("new", "done", True, False), ("paid", "done", True, False)]


def test_outgoing_rows_are_told_apart_by_both_values(said: dict[str, Any]) -> None:
    said["mappings"] = [
        {"subject": "order_state", "theirs": "closed", "ours": ours, "inbound": False} for ours in ("fresh", "done")
    ]
    shop, _password = connections.create("format", "Shop", profile="small")
    assert table(shop) == [("closed", "done", False, True), ("closed", "fresh", False, True)]
    assert seen(shop) == []


def test_connections_without_proposals_are_left_alone() -> None:
    door, _password = connections.create("commerceml_door", "1C")
    assert (defaults.differences(door), models.Bookmark.objects.count()) == ([], 0)
