"""Which connections are silent for longer than they may, and what else needs a person."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.db import connection as db
from django.test.utils import CaptureQueriesContext

from obmen.store import journal
from obmen.store.models import Connection, DoorSessionRow, Run, StreamSetting
from obmen.work import watch
from obmen.work.watch import Silence

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 10, 9, 0, tzinfo=UTC)  # a Wednesday, 12:00 in Kyiv
LONG_AGO = NOW - timedelta(days=60)


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def caller(name: str = "Shop", schedule: str = "every 15 min", **kw: Any) -> Connection:
    made = Connection.objects.create(connector="caller", name=name, slug=name.lower(), **{"created": LONG_AGO, **kw})
    if schedule:
        StreamSetting.objects.create(connection=made, stream="stock-out", schedule=schedule)
    return made


def door(name: str = "Door", **kw: Any) -> Connection:
    return Connection.objects.create(connector="commerceml_door", name=name, slug=name.lower(), **{"created": LONG_AGO, **kw})


def ran(owner: Connection, ended: datetime, state: str = "done", streams: str = "stock-out", **kw: Any) -> Run:
    return Run.objects.create(connection=owner, unique_key="x", state=state, ended=ended, streams=streams, **kw)


def called(owner: Connection, *moments: datetime) -> None:
    for at in moments:
        row = DoorSessionRow.objects.create(connection=owner, cookie=f"{owner.pk}-{at.timestamp()}", created=at, last_call=at)
        Connection.objects.filter(pk=owner.pk).update(last_call=row.last_call)
    owner.refresh_from_db()


def silent(*owners: Connection, now: datetime = NOW) -> dict[int, Silence]:
    return watch.silent([Connection.objects.get(pk=c.pk) for c in owners], now)


# --- by itself -------------------------------------------------------------------------------------------------------------


def test_three_missed_turns_and_an_hour_are_silence() -> None:
    shop = caller()
    last = NOW - timedelta(minutes=50)
    ran(shop, last)  # 11:10; turns at 11:15, 11:30, 11:45; an hour after the first of them at 12:15
    assert silent(shop) == {}
    assert silent(shop, now=NOW + timedelta(minutes=14)) == {}
    assert silent(shop, now=NOW + timedelta(minutes=15)) == {shop.pk: Silence(last, 1)}


def test_a_rare_schedule_is_given_three_of_its_own_turns() -> None:
    shop = caller(schedule="at 03:00")
    last = datetime(2026, 6, 7, 0, 4, tzinfo=UTC)  # Sunday 03:04; three turns later it is Wednesday 03:00
    ran(shop, last)
    assert silent(shop, now=datetime(2026, 6, 9, 23, 59, tzinfo=UTC)) == {}
    assert silent(shop, now=datetime(2026, 6, 10, 0, 0, tzinfo=UTC)) == {shop.pk: Silence(last, 71)}


def test_quiet_hours_and_free_days_of_a_schedule_are_no_silence() -> None:
    friday, monday = datetime(2026, 6, 5, 17, 50, tzinfo=UTC), datetime(2026, 6, 8, 5, 0, tzinfo=UTC)
    office = caller("Office", "*/10 8-20 * * 1-5")
    night = caller("Night")
    StreamSetting.objects.filter(connection=night).update(quiet_from=time(21), quiet_to=time(8))
    ran(office, friday)
    ran(night, friday)
    assert silent(office, night, now=friday + hours(11)) == {}
    assert set(silent(office, night, now=friday + hours(13.5))) == {night.pk}
    assert silent(office, now=monday) == {}
    assert set(silent(office, now=monday + hours(1.2))) == {office.pk}


def test_the_most_frequent_stream_decides_and_a_text_that_is_no_schedule_does_not() -> None:
    shop = caller(schedule="at 03:00")
    StreamSetting.objects.create(connection=shop, stream="orders-in", schedule="sometimes")
    StreamSetting.objects.create(connection=shop, stream="prices-out", schedule="every 5 min", enabled=False)
    ran(shop, NOW - hours(5))
    assert silent(shop) == {}
    StreamSetting.objects.create(connection=shop, stream="orders-out", schedule="every 1 h")
    assert silent(shop) == {shop.pk: Silence(NOW - hours(5), 3)}


def test_what_runs_by_hand_only_is_never_silent() -> None:
    shop = caller(schedule="")
    ran(shop, LONG_AGO)
    assert silent(shop) == {}


def test_a_door_without_a_rhythm_may_be_silent_for_a_day() -> None:
    shop = door()
    called(shop, NOW - hours(30), NOW - hours(23))
    assert silent(shop) == {}
    assert silent(shop, now=NOW + hours(1)) == {shop.pk: Silence(NOW - hours(23), 24)}


def test_a_door_may_be_silent_somewhat_longer_than_it_ever_was_in_the_last_week() -> None:
    often, office = door("Often"), door("Office")
    called(often, *(NOW - hours(n) for n in range(100, 1, -1)))
    days = [NOW - timedelta(days=n) for n in (5, 4, 3, 2, 1)]
    called(office, *(day + hours(n) for day in days for n in range(10)))  # 12:00 to 21:00, then nothing for 15 hours
    assert silent(often, office) == {often.pk: Silence(NOW - hours(2), 2)}
    assert silent(office, now=NOW - hours(15) + hours(22)) == {}
    assert silent(office, now=NOW - hours(15) + hours(23)) == {office.pk: Silence(NOW - hours(15), 23)}


def test_a_run_of_a_door_counts_as_its_call_does() -> None:
    shop = door()
    called(shop, NOW - hours(30))
    ran(shop, NOW - hours(3), streams="products-in")
    assert silent(shop) == {}


def test_what_has_never_exchanged_is_counted_from_when_it_was_made() -> None:
    shop = caller(created=NOW - hours(1))
    assert silent(shop) == {}
    assert silent(shop, now=NOW + hours(0.5)) == {shop.pk: Silence(None, 1)}


# --- said by a person ------------------------------------------------------------------------------------------------------


def test_a_number_of_hours_is_taken_at_its_word_and_zero_is_never() -> None:
    shop, never, by_hand = caller(silent_after=6), caller("Never", silent_after=0), caller("Hand", "", silent_after=2)
    ran(shop, NOW - hours(6) + timedelta(seconds=1))
    ran(by_hand, NOW - hours(2))
    assert silent(shop, never, by_hand) == {by_hand.pk: Silence(NOW - hours(2), 2)}
    assert set(silent(shop, never, by_hand, now=NOW + timedelta(seconds=1))) == {shop.pk, by_hand.pk}


def test_what_is_switched_off_or_paused_is_not_silent() -> None:
    ran(caller("Off", enabled=False), LONG_AGO)
    ran(caller("Paused", paused_until=NOW + hours(1)), LONG_AGO)
    assert silent(*Connection.objects.all()) == {}
    assert set(silent(*Connection.objects.all(), now=NOW + hours(1))) == set()
    assert [c.name for c in Connection.objects.filter(pk__in=silent(*Connection.objects.all(), now=NOW + hours(2.5)))] == [
        "Paused"
    ]


@pytest.mark.parametrize("action", watch.BEGINS)
def test_what_was_switched_on_again_begins_anew(action: str) -> None:
    shop = caller()
    ran(shop, NOW - timedelta(days=20))
    journal.note(shop, action, "owner", at=NOW - hours(0.5))
    assert silent(shop) == {}
    assert silent(shop, now=NOW + hours(1)) == {shop.pk: Silence(NOW - timedelta(days=20), 1)}
    journal.note(shop, "connection.check", "owner", at=NOW + hours(1))
    assert set(silent(shop, now=NOW + hours(1))) == {shop.pk}


# --- what counts as an exchange --------------------------------------------------------------------------------------------


def test_only_what_talked_to_the_other_side_and_was_done_is_an_exchange() -> None:
    shop = caller()
    ran(shop, NOW - hours(9))
    ran(shop, NOW, state="failed")
    ran(shop, NOW, args={"preview": True})
    ran(shop, NOW, streams="retry-parked")
    ran(shop, NOW, streams="sweep")
    assert silent(shop) == {shop.pk: Silence(NOW - hours(9), 1)}
    assert watch.last_exchange(shop) == NOW - hours(9)
    ran(shop, NOW, args={"since": "2026-01-01"})
    assert silent(shop) == {}


def test_whoever_is_exchanging_now_is_not_silent_unless_its_worker_is_lost() -> None:
    shop = caller()
    ran(shop, NOW - hours(9))
    going = Run.objects.create(connection=shop, unique_key="y", state="running", lease_until=NOW + timedelta(seconds=30))
    assert silent(shop) == {}
    Run.objects.filter(pk=going.pk).update(lease_until=NOW - timedelta(seconds=1))
    assert set(silent(shop)) == {shop.pk}


def test_any_number_of_connections_is_looked_at_in_four_queries() -> None:
    callers = [caller(f"c{n}") for n in range(20)]
    doors = [door(f"d{n}") for n in range(20)]
    for owner in callers:
        ran(owner, NOW - hours(0.2))
    called(doors[0], NOW - hours(0.2))
    fine = Connection.objects.filter(pk__in=[c.pk for c in callers])
    rows = list(fine)
    with CaptureQueriesContext(db) as asked:
        assert watch.silent(rows, NOW) == {}
    assert len(asked) == 1
    rows = list(Connection.objects.all())
    with CaptureQueriesContext(db) as asked:
        assert len(watch.silent(rows, NOW + hours(9))) == 39
    assert len(asked) == 4
