"""What needs a person: runs that failed, connections that are silent, too much parked, licences, a full disk.

Nothing is kept here and nobody is told: the pages ask what is so now, work/notices.py remembers and tells.
"""

from __future__ import annotations

import math
import shutil
import socket
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Count, Exists, Max, OuterRef, Q, Subquery
from django.db.models.functions import TruncHour
from django.utils import timezone

from obmen.core import schedule
from obmen.core.records import digest
from obmen.core.words import gettext_noop as _
from obmen.licence import licences
from obmen.registry import connectors
from obmen.store.models import Connection, DoorSessionRow, JournalEntry, Parked, Run, StreamSetting, TroubleKind

HOUR = timedelta(hours=1)
MISSED = 3  # turns of a schedule that are missed before it is silence
SLACK = 1.5  # by what a door may be silent for longer than it ever was in the days that are looked at
LEARNT = timedelta(days=7)  # what is kept of conversations with doors: work/tidy.py
YOUNG = timedelta(days=2)  # a door that is known for a shorter time has no rhythm yet
DOOR = 24 * HOUR
INNER = ("retry-parked", "sweep")  # runs that talk to nobody
REAL = Q(args__preview__isnull=True) | Q(args__preview=False)  # a preview changes nothing, here or there
BEGINS = ("connection.made", "connection.switched_on", "connection.resumed", "stream.changed")

FRESH = timedelta(days=7)  # a failed run that nobody has done again for so long is no news any more
FULL = 0.02  # of a disk that is left …
ROOM = 1 << 30  # … and bytes: with less than either it is nearly full

ASKS = _("“{connection}”: the exchange needs you")
FAILED = _("“{connection}”: the exchange failed")
SILENT = _("“{connection}”: no exchange since {since}")
NEVER = _("“{connection}”: there has been no exchange at all, and it should have begun {hours} h ago")
PARKED = _("“{connection}”: parked records: {count}")
DISK = _("The disk of {machine} is nearly full: {free} GB of {total} GB are left")


@dataclass(frozen=True, slots=True)
class Silence:
    """``since``: the last successful exchange (a run that was done, a good call at a door); None: there was none yet.
    ``hours``: what was allowed."""

    since: datetime | None
    hours: int


@dataclass(frozen=True, slots=True)
class Seen:
    """One trouble as it is now. ``key`` is the same for as long as it is the same trouble; ``facts`` may hold ``detail``, a
    sentence {"text", "facts"} that says more. ``forgotten``: see models.Trouble."""

    key: str
    kind: str
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    connection: int | None = None
    run: int | None = None
    forgotten: datetime | None = None


# --- silence ---------------------------------------------------------------------------------------------------------------


def watched(connections: Iterable[Connection], now: datetime) -> list[Connection]:
    """Those that should exchange: switched on, not paused."""
    return [c for c in connections if c.enabled and not (c.paused_until and c.paused_until > now)]


def silent(connections: Iterable[Connection], now: datetime) -> dict[int, Silence]:
    """Which of these connections have been silent for longer than they may, by id. One query, three more while something is quiet.

    How long is said by ``silent_after`` in hours (0: as long as they like). By itself: three turns of the schedule missed and
    an hour gone; a door one and a half times its longest silence of the last week, 24 hours before it has a rhythm; at least
    an hour. A connection that runs by hand only is never silent. What was switched on or resumed begins anew.
    """
    rows = [c for c in watched(connections, now) if c.silent_after != 0]
    heard = _heard(rows, now)
    quiet = {c.pk: _begin(c, heard[c.pk]) for c in rows if c.pk in heard and _begin(c, heard[c.pk]) <= now - HOUR}
    if not quiet:
        return {}
    rows = [c for c in rows if c.pk in quiet]
    limits = _Limits(rows, now)
    over = {c.pk: hours for c in rows if (hours := limits.passed(c, quiet[c.pk]))}
    if not over:
        return {}
    anew = _begun([c for c in rows if c.pk in over], now)
    return {
        c.pk: Silence(heard[c.pk], hours)
        for c in rows
        if c.pk in over and (hours := limits.passed(c, max(quiet[c.pk], anew.get(c.pk, quiet[c.pk]))))
    }


def last_exchange(connection: Connection) -> datetime | None:
    """When it last exchanged successfully."""
    return _heard([connection], timezone.now(), going=False).get(connection.pk)


def _heard(rows: Iterable[Connection], now: datetime, *, going: bool = True) -> dict[int, datetime | None]:
    """When each was last heard of, without those that are exchanging now."""
    its = Run.objects.filter(connection=OuterRef("pk"))
    done = its.filter(REAL, state=Run.State.DONE).exclude(streams__in=INNER).order_by("-ended")
    busy = its.filter(state=Run.State.RUNNING, lease_until__gt=now)
    found = Connection.objects.filter(pk__in=[c.pk for c in rows]).order_by()
    known = connectors()
    return {
        pk: max(filter(None, (last, called if _is_door(known.get(key)) else None)), default=None)
        for pk, key, called, last, is_busy in found.values_list(
            "pk", "connector", "last_call", Subquery(done.values("ended")[:1]), Exists(busy)
        )
        if not (going and is_busy)
    }


def _is_door(connector: Any) -> bool:
    return connector is not None and not connector.calls_out


def _begin(connection: Connection, heard: datetime | None) -> datetime:
    """From when its silence is counted: a pause that is over by itself begins it anew."""
    begin: datetime = heard or connection.created
    return max(begin, connection.paused_until) if connection.paused_until else begin


def _begun(rows: Iterable[Connection], now: datetime) -> dict[int, datetime]:
    """When each was last switched on, resumed, or given another schedule."""
    longest = max((c.silent_after or 0 for c in rows), default=0)
    since = now - max(LEARNT * 2, longest * HOUR)
    entries = JournalEntry.objects.filter(connection__in=[c.pk for c in rows], action__in=BEGINS, at__gte=since)
    return dict(entries.order_by().values_list("connection").annotate(last=Max("at")))


class _Limits:
    """How long each of these connections may be silent: by its own number, its schedules, or a door's rhythm."""

    def __init__(self, rows: Iterable[Connection], now: datetime) -> None:
        self._now, self._schedules, self._busy = now, defaultdict(set), defaultdict(list)
        known = connectors()
        by_itself = [c for c in rows if c.silent_after is None]
        self._doors = {c.pk for c in by_itself if _is_door(known.get(c.connector))}
        callers = [c.pk for c in by_itself if c.pk not in self._doors]
        if callers:
            streams = StreamSetting.objects.filter(connection__in=callers, enabled=True).exclude(schedule="")
            for pk, *line in streams.values_list("connection_id", "schedule", "quiet_from", "quiet_to"):
                self._schedules[pk].add(tuple(line))
        if self._doors:
            sessions = DoorSessionRow.objects.filter(connection__in=self._doors, created__gte=now - LEARNT)
            hours = sessions.order_by().values_list("connection_id", TruncHour("created")).distinct()
            for pk, hour in hours:
                self._busy[pk].append(hour)

    def passed(self, connection: Connection, since: datetime) -> int:
        """The hours that were allowed since then, if they are over; else 0."""
        if connection.silent_after is not None:
            hours = connection.silent_after
            return hours if since + hours * HOUR <= self._now else 0
        if connection.pk in self._doors:
            hours = self._rhythm(self._busy[connection.pk])
            return hours if since + hours * HOUR <= self._now else 0
        ends = [end for line in self._schedules[connection.pk] if (end := _end(line, connection, since))]
        if not ends or min(ends) > self._now:
            return 0
        return max(1, math.floor((min(ends) - since) / HOUR))

    @staticmethod
    def _rhythm(busy: list[datetime]) -> int:
        """Hours, from the hours of the last week in which it called."""
        busy = sorted(busy)
        if not busy or busy[-1] - busy[0] < YOUNG:
            return DOOR // HOUR
        longest = max(after - before for before, after in pairwise(busy))
        return math.ceil(longest / HOUR * SLACK)


def _end(line: tuple[Any, ...], connection: Connection, since: datetime) -> datetime | None:
    """When so many turns after that moment have been missed, and an hour since the first of them; None: it has no turns."""
    text, quiet_from, quiet_to = line
    turns = []
    moment = since
    try:
        plan = schedule.parse(text)
        for _turn in range(MISSED):
            moment = schedule.next_run(plan, moment, ZoneInfo(connection.time_zone), quiet_from, quiet_to)
            turns.append(moment)
    except schedule.BadSchedule:  # its page says so
        return None
    return max(turns[-1], turns[0] + HOUR)


# --- all of it -------------------------------------------------------------------------------------------------------------


def troubles(now: datetime | None = None) -> list[Seen]:
    """Everything that needs a person now. A connection whose runs fail is not called silent besides."""
    now = now or timezone.now()
    # Without secrets: a key that is missing must not keep anybody from hearing of the rest.
    on = {c.pk: c for c in watched(Connection.objects.defer("settings", "secrets"), now)}
    runs = _runs(on, now)
    failing = {seen.connection for seen in runs}
    quiet = _silences([c for c in on.values() if c.pk not in failing], now)
    return [*runs, *quiet, *_parked(on), *_licences(), *_disk(now)]


def _runs(on: Mapping[int, Connection], now: datetime) -> list[Seen]:
    """Runs that failed or need their owner, until the same streams were done again."""
    failed = Run.objects.filter(
        REAL, state__in=(Run.State.FAILED, Run.State.NEEDS_OWNER), ended__gt=now - FRESH, connection__in=on
    ).order_by()
    newest = {
        (pk, streams): ended for pk, streams, ended in failed.values_list("connection", "streams").annotate(last=Max("ended"))
    }
    if not newest:
        return []
    done: dict[int, list[tuple[set[str], datetime]]] = defaultdict(list)
    later = Run.objects.filter(REAL, state=Run.State.DONE, connection__in={pk for pk, _streams in newest})
    later = later.filter(ended__gt=min(newest.values())).order_by()
    for pk, streams, ended in later.values_list("connection", "streams").annotate(last=Max("ended")):
        done[pk].append((set(streams.split(",")), ended))
    left = {
        (pk, streams): ended
        for (pk, streams), ended in newest.items()
        if not any(after > ended and set(streams.split(",")) <= its for its, after in done[pk])
    }
    again: Any = failed.filter(ended__in=left.values())
    rows: dict[Any, Run] = {(run.connection_id, run.streams): run for run in again}
    return [_failed(on[pk], rows[pk, streams]) for pk, streams in left if (pk, streams) in rows]


def _failed(connection: Connection, run: Run) -> Seen:
    facts: dict[str, Any] = {"connection": connection.name}
    if run.text:
        facts["detail"] = {"text": run.text, "facts": run.facts}
    assert run.ended is not None
    return Seen(
        f"run:{connection.pk}:{digest(run.streams).hex()}",
        TroubleKind.RUN,
        ASKS if run.state == Run.State.NEEDS_OWNER else FAILED,
        facts,
        connection.pk,
        run.pk,
        run.ended + FRESH,
    )


def _silences(rows: Iterable[Connection], now: datetime) -> list[Seen]:
    rows = list(rows)
    names = {c.pk: c.name for c in rows}
    found = []
    for pk, silence in silent(rows, now).items():
        facts: dict[str, Any] = {"connection": names[pk], "hours": silence.hours}
        if silence.since:
            facts["since"] = silence.since.isoformat()
        found.append(Seen(f"silence:{pk}", TroubleKind.SILENCE, SILENT if silence.since else NEVER, facts, pk))
    return found


def _parked(on: Mapping[int, Connection]) -> list[Seen]:
    wanted = [pk for pk, c in on.items() if c.parked_limit]
    counted = Parked.objects.filter(connection__in=wanted).order_by().values_list("connection").annotate(count=Count("pk"))
    return [
        Seen(f"parked:{pk}", TroubleKind.PARKED, PARKED, {"connection": on[pk].name, "count": count}, pk)
        for pk, count in counted
        if count > on[pk].parked_limit
    ]


def _licences() -> list[Seen]:
    return [
        Seen(f"licence:{row.key}", TroubleKind.LICENCE, said.text, {**said.facts, "format": row.title})
        for row, said in licences.warnings()
    ]


def _disk(now: datetime) -> list[Seen]:
    """Of this machine: each has its own, so what another one says of its disk is left alone until it is forgotten."""
    usage = shutil.disk_usage(settings.OBMEN_HOME)
    if usage.free >= ROOM and usage.free >= usage.total * FULL:
        return []
    facts = {"machine": socket.gethostname(), "free": round(usage.free / 1e9, 1), "total": round(usage.total / 1e9, 1)}
    return [Seen(disk_key(), TroubleKind.DISK, DISK, facts, forgotten=now + HOUR)]


def disk_key() -> str:
    return f"disk:{socket.gethostname()}"[:200]
