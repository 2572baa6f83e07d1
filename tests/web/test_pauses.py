"""A pause holds back what begins by itself, puts callers off politely, loses nothing and is over by itself."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from obmen.core.contract import NeedsOwner
from obmen.store import connections, models
from obmen.work import clock, jobs

pytestmark = pytest.mark.django_db
AN_HOUR = timedelta(hours=1)


@pytest.fixture
def shop() -> models.Connection:
    return models.Connection.objects.create(connector="toy", name="Shop", slug="shop")


@pytest.fixture
def called() -> Callable[..., Any]:
    """``called(query)`` → the door's answer to 1C; its connection is ``called.connection``."""
    connection, password = connections.create("commerceml_door", "1C", language="en", time_zone="Europe/Kyiv")
    login = base64.b64encode(f"{connection.account.username}:{password}".encode()).decode()  # type: ignore[union-attr]

    def call(query: str, **kw: Any) -> Any:
        return Client().get(f"/exchange/{connection.slug}/?{query}", headers={"Authorization": f"Basic {login}"}, **kw)

    call.connection = connection  # type: ignore[attr-defined]
    return call


def test_a_schedule_waits_for_the_end_of_a_pause_and_then_runs_once(shop: models.Connection) -> None:
    row = shop.streams.create(stream="stock-in", schedule="every 15 min", next_run=timezone.now() + timedelta(minutes=5))
    connections.pause(shop, timezone.now() + AN_HOUR, "1C is being updated", "owner")
    for minutes in (6, 30, 59):
        assert clock.tick(timezone.now() + timedelta(minutes=minutes)) == []
    assert len(clock.tick(timezone.now() + timedelta(minutes=61))) == 1
    row.refresh_from_db()
    assert row.next_run > timezone.now() + AN_HOUR
    assert models.Run.objects.count() == 1


def test_what_was_asked_for_by_itself_before_a_pause_waits_and_what_a_person_starts_runs(shop: models.Connection) -> None:
    planned = jobs.ask(shop, ["stock-in"], trigger="schedule")
    connections.pause(shop, timezone.now() + AN_HOUR)
    assert jobs.claim("me") is None
    assert jobs.claim("me", only=planned.pk) is None
    by_hand = jobs.ask(shop, ["orders-in"], trigger="person", who="owner")
    assert jobs.claim("me").pk == by_hand.pk  # type: ignore[union-attr]


def test_a_person_who_asks_for_a_run_that_waits_for_the_end_of_a_pause_takes_it_over(shop: models.Connection) -> None:
    planned = jobs.ask(shop, ["stock-in"], trigger="schedule")
    connections.pause(shop, timezone.now() + AN_HOUR)
    assert jobs.ask(shop, ["stock-in"], trigger="person", who="owner").pk == planned.pk
    claimed = jobs.claim("me")
    assert claimed is not None
    assert (claimed.pk, claimed.trigger, claimed.asked_by) == (planned.pk, "person", "owner")


def test_a_run_that_waited_begins_when_the_pause_is_over_or_ended(shop: models.Connection) -> None:
    other = models.Connection.objects.create(connector="toy", name="Other", slug="other")
    for one in (shop, other):
        jobs.ask(one, ["stock-in"], trigger="schedule")
        connections.pause(one, timezone.now() + AN_HOUR)
    assert jobs.ready(10) == []
    models.Connection.objects.filter(pk=shop.pk).update(paused_until=timezone.now() - timedelta(seconds=1))
    assert connections.resume(other, "owner") is True
    assert len(jobs.ready(10)) == 2
    assert connections.resume(other, "owner") is False


def test_a_caller_is_told_until_when_and_why_and_that_it_may_come_again(called: Any) -> None:
    until = datetime(2099, 6, 10, 5, 0, tzinfo=UTC)  # 08:00 in Kyiv
    connections.pause(called.connection, until, "stocktaking.", "owner")
    answer = called("type=catalog&mode=checkauth")
    assert answer.content.decode() == (
        "failure\nThis connection is paused until 10.06.2099 08:00: stocktaking. Nothing is lost: try again after that"
    )
    assert answer.status_code == 200
    left = (until - timezone.now()).total_seconds()
    assert left - 60 < int(answer["Retry-After"]) < left + 60
    connections.resume(called.connection)
    assert called("type=catalog&mode=checkauth").content.startswith(b"success\n")


def test_a_caller_in_the_middle_of_its_conversation_is_put_off_as_well(called: Any) -> None:
    session = called("type=catalog&mode=checkauth").content.decode().split("\n")
    client = Client()
    client.cookies[session[1]] = session[2]
    address = f"/exchange/{called.connection.slug}/?type=catalog&mode=init"
    assert client.get(address).content.startswith(b"zip=")
    connections.pause(called.connection, timezone.now() + AN_HOUR)
    assert client.get(address).content.startswith(b"failure\nThis connection is paused until ")


def test_a_pause_that_is_over_is_none(called: Any) -> None:
    models.Connection.objects.update(paused_until=timezone.now() - timedelta(seconds=1))
    assert called("type=catalog&mode=checkauth").content.startswith(b"success\n")
    assert models.Connection.objects.get().is_paused is False


def test_a_pause_into_the_past_is_refused(shop: models.Connection) -> None:
    with pytest.raises(NeedsOwner, match="later than now"):
        connections.pause(shop, timezone.now() - AN_HOUR)
    shop.refresh_from_db()
    assert shop.paused_until is None


def test_orders_go_on_being_collected_during_a_pause(called: Any) -> None:
    from books import order

    connections.pause(called.connection, timezone.now() + AN_HOUR)
    called.connection.streams.filter(stream="orders-out").update(enabled=True)
    made = order("1001")
    assert list(called.connection.outbox.values_list("record_id", flat=True)) == [made.pk]


def test_a_pause_and_its_end_are_in_the_journal(shop: models.Connection) -> None:
    connections.pause(shop, datetime(2099, 6, 10, 5, 0, tzinfo=UTC), "stocktaking", "owner")
    connections.resume(shop, "operator")
    said = [(e.action, e.who, e.facts) for e in models.JournalEntry.objects.order_by("pk")]
    assert said == [
        ("connection.paused", "owner", {"until": "10.06.2099 08:00", "reason": "stocktaking"}),
        ("connection.resumed", "operator", {}),
    ]
