"""The clock: asks for the runs whose time has come. Any number of clocks may tick; each moment is asked for once."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db import DatabaseError, connection, transaction
from django.db.models import Q
from django.utils import timezone

from obmen.core import schedule
from obmen.licence import packages
from obmen.store.models import Connection, Run, StreamSetting, Sweep
from obmen.store.sweeping import QUIET
from obmen.work import jobs

log = logging.getLogger(__name__)
TICK = 1.0  # seconds
SWEEPS = 60.0  # seconds between looks for whole loads that are over, and for format packages that were renewed on disk


def next_moment(setting: StreamSetting, after: datetime) -> datetime | None:
    """When this stream runs next by itself; None when it has no schedule. Raises BadSchedule."""
    if not setting.schedule.strip():
        return None
    zone = ZoneInfo(setting.connection.time_zone)
    return schedule.next_run(schedule.parse(setting.schedule), after, zone, setting.quiet_from, setting.quiet_to)


def tick(now: datetime | None = None) -> list[Run]:
    """Ask for what is due. Streams of one connection that are due together become one run; moments missed while the hub was
    off or the connection paused become one run, too. A new schedule (``next_run`` empty) is only planned."""
    now = now or timezone.now()
    settings = (
        StreamSetting.objects.filter(enabled=True, connection__enabled=True)
        .exclude(schedule="")
        .exclude(connection__paused_until__gt=now)
        .filter(Q(next_run__lte=now) | Q(next_run=None))
        .select_related("connection")
        .order_by("connection_id", "stream")
    )
    due: dict[Connection, list[StreamSetting]] = defaultdict(list)
    for setting in settings:
        due[setting.connection].append(setting)
    asked = []
    for owner, its in due.items():
        with transaction.atomic():
            streams = [s.stream for s in its if _advance(s, now) and s.next_run is not None]
            if streams:
                asked.append(jobs.ask(owner, streams, trigger="schedule"))
    return asked


def tick_sweeps(now: datetime | None = None) -> list[Run]:
    """Ask for the judgement of whole loads that have been quiet for a while: 1C:UT and UNF never say that they are done."""
    now = now or timezone.now()
    quiet = Sweep.objects.filter(finished=None, whole=True, last_portion__lt=now - QUIET, connection__enabled=True)
    owners = Connection.objects.filter(pk__in=quiet.values("connection"))
    stopped = Run.objects.filter(streams="sweep", state=Run.State.NEEDS_OWNER)
    return [
        jobs.ask(owner, ["sweep"], trigger="schedule")
        for owner in owners
        if not stopped.filter(
            connection=owner, ended__gt=quiet.filter(connection=owner).latest("last_portion").last_portion
        ).exists()
    ]


def _advance(setting: StreamSetting, now: datetime) -> bool:
    """Move to the next moment; False when another clock did, or the text is no schedule (its page says so)."""
    try:
        after = next_moment(setting, now)
    except schedule.BadSchedule as error:
        log.warning("%s, %s: %s", setting.connection, setting.stream, error)
        StreamSetting.objects.filter(pk=setting.pk, schedule=setting.schedule).update(next_run=schedule.NEVER)
        return False
    same = StreamSetting.objects.filter(pk=setting.pk, next_run=setting.next_run, schedule=setting.schedule)
    return bool(same.update(next_run=after))


def run(stop: threading.Event) -> None:
    """Tick until told to stop. Blocks."""
    next_sweeps = 0.0
    try:
        while not stop.is_set():
            try:
                tick()
                if time.monotonic() >= next_sweeps:
                    tick_sweeps()
                    packages.follow_disk()
                    next_sweeps = time.monotonic() + SWEEPS
            except DatabaseError as error:
                log.warning("the clock missed a tick: %s", error)
                connection.close()
            stop.wait(TICK)
    finally:
        connection.close()
