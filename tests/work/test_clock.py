"""The clock asks for each moment once, whoever ticks; tidying keeps what is still of use."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection as db
from django.utils import timezone

from obmen.core.schedule import NEVER
from obmen.store.models import Connection, DoorSessionRow, Message, Run, RunLine, StreamSetting
from obmen.work import clock, tidy

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 6, 10, 9, 0, tzinfo=UTC)  # 12:00 in Kyiv


@pytest.fixture
def shop() -> Connection:
    return Connection.objects.create(connector="toy", name="Shop", slug="shop")


def stream(owner: Connection, name: str, schedule: str, next_run: datetime | None = None, **kw: object) -> StreamSetting:
    return StreamSetting.objects.create(connection=owner, stream=name, schedule=schedule, next_run=next_run, **kw)


def asked() -> list[tuple[str, str]]:
    return list(Run.objects.order_by("id").values_list("streams", "trigger"))


def test_a_new_schedule_is_planned_and_asked_for_when_its_moment_comes(shop: Connection) -> None:
    row = stream(shop, "products-in", "every 15 min", quiet_from=time(13), quiet_to=time(14))
    assert clock.tick(NOON) == []
    row.refresh_from_db()
    assert row.next_run == NOON + timedelta(minutes=15)
    assert clock.tick(NOON + timedelta(minutes=14)) == []
    assert len(clock.tick(NOON + timedelta(minutes=15))) == 1
    assert asked() == [("products-in", "schedule")]
    row.refresh_from_db()
    assert row.next_run == NOON + timedelta(minutes=30)
    clock.tick(NOON + timedelta(minutes=45))
    row.refresh_from_db()
    assert row.next_run == NOON + timedelta(hours=2)


def test_streams_of_one_connection_that_are_due_together_are_one_run(shop: Connection) -> None:
    stream(shop, "stock-in", "every 1 h", NOON)
    stream(shop, "prices-in", "at 12:00", NOON)
    clock.tick(NOON)
    assert asked() == [("prices-in,stock-in", "schedule")]


def test_moments_missed_while_the_hub_was_off_are_one_run(shop: Connection) -> None:
    row = stream(shop, "stock-in", "every 15 min", NOON - timedelta(days=3))
    clock.tick(NOON)
    clock.tick(NOON)
    assert asked() == [("stock-in", "schedule")]
    row.refresh_from_db()
    assert row.next_run == NOON + timedelta(minutes=15)


def test_what_is_switched_off_or_has_no_schedule_is_not_asked_for(shop: Connection) -> None:
    stream(shop, "a", "every 1 h", NOON, enabled=False)
    stream(shop, "b", "", NOON)
    off = Connection.objects.create(connector="toy", name="Off", slug="off", enabled=False)
    stream(off, "c", "every 1 h", NOON)
    assert clock.tick(NOON) == []
    assert asked() == []


def test_a_text_that_is_no_schedule_stops_its_own_stream_only(shop: Connection) -> None:
    bad = stream(shop, "a", "sometimes", NOON)
    stream(shop, "b", "every 1 h", NOON)
    clock.tick(NOON)
    bad.refresh_from_db()
    assert bad.next_run == NEVER
    assert asked() == [("b", "schedule")]


def test_of_two_clocks_that_read_the_same_moment_one_takes_it(shop: Connection) -> None:
    """The queue alone would not see to that: the first clock's run may be over when the second one asks."""
    row = stream(shop, "a", "every 1 h", NOON)
    first, second = (StreamSetting.objects.select_related("connection").get(pk=row.pk) for _i in range(2))
    assert clock._advance(first, NOON)
    assert not clock._advance(second, NOON)


def test_many_clocks_that_tick_at_one_moment_ask_once(shop: Connection) -> None:
    for i in range(3):
        owner = Connection.objects.create(connector="toy", name=f"c{i}", slug=f"c{i}")
        stream(owner, "a", "every 1 h", NOON)
    gate = threading.Barrier(4)

    def one() -> None:
        gate.wait()
        clock.tick(NOON)
        db.close()

    threads = [threading.Thread(target=one) for _i in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert asked() == [("a", "schedule")] * 3


# --- tidying ---------------------------------------------------------------------------------------------------------------


def test_what_served_its_time_goes_and_the_rest_stays(shop: Connection) -> None:
    now = timezone.now()

    def run(state: str, days: int) -> Run:
        row = Run.objects.create(connection=shop, unique_key=f"{state}{days}", state=state, ended=now - timedelta(days=days))
        RunLine.objects.create(run=row, text="x")
        return row

    good_old, good_new = run("done", 31), run("done", 29)
    bad_old, bad_new = run("failed", 181), run("failed", 31)
    waits = Run.objects.create(connection=shop, unique_key="w", asked=now - timedelta(days=400))
    for days in (31, 29):
        Message.objects.create(connection=shop, call="x", at=now - timedelta(days=days))
    for cookie, days in (("old", 8), ("new", 6)):
        DoorSessionRow.objects.create(connection=shop, cookie=cookie, last_call=now - timedelta(days=days))
    done = tidy.tidy(now)
    assert (done["runs"], done["messages"], done["sessions"]) == (2, 1, 1)
    assert set(Run.objects.values_list("pk", flat=True)) == {good_new.pk, bad_new.pk, waits.pk}
    assert set(RunLine.objects.values_list("run_id", flat=True)) == {good_new.pk, bad_new.pk}
    assert not Run.objects.filter(pk__in=[good_old.pk, bad_old.pk]).exists()
    assert list(DoorSessionRow.objects.values_list("cookie", flat=True)) == ["new"]
    assert tidy.tidy(now) == {}


def aged(path: Path, days: float) -> Path:
    when = (datetime.now(UTC) - timedelta(days=days)).timestamp()
    os.utime(path, (when, when))
    return path


def test_files_of_a_run_that_still_waits_are_kept_however_old(shop: Connection) -> None:
    folders = {}
    for name in ("forgotten", "needed", "young", "live"):
        folders[name] = settings.OBMEN_HOME / "exchange" / "shop" / name
        folders[name].mkdir(parents=True)
        (folders[name] / "import.xml").write_text("x")
        aged(folders[name], 1 if name == "young" else 30)
    Run.objects.create(connection=shop, unique_key="x", args={"files": [str(folders["needed"] / "2" / "import.xml")]})
    DoorSessionRow.objects.create(connection=shop, cookie="live")
    assert tidy.tidy()["files"] == 1
    assert {name for name, folder in folders.items() if folder.exists()} == {"needed", "young", "live"}
