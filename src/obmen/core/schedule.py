"""When a stream runs by itself. Pure: the moment and the zone are arguments.

A schedule is one line of text, in any of the three languages::

    every 15 min · every 2 h          кожні 15 хв · каждые 15 мин      counted from local midnight
    at 03:00 · at 03:00, 15:30        о 03:00 · в 03:00                local time of the connection's zone
    */10 8-20 * * 1-5                                                  cron text, local time

Nights on which the clock is changed: a time in the spring gap runs at the end of the gap, a time in the doubled autumn hour
runs once, an interval counts hours that really pass (cronsim does it as Debian's cron does).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from obmen.core.contract import NeedsOwner
from obmen.core.words import gettext_noop as _

EVERY = re.compile(
    r"(?:every|кожн[іу]|каждые|каждую|каждый)\s+(?:(\d{1,4})\s*)?"
    r"(?:(min(?:utes?)?|хв(?:илин[уи]?)?|мин(?:ут[уы]?)?)|(h(?:ours?)?|год(?:ин[уи]?)?|ч(?:ас(?:а|ов)?)?))\.?"
)
AT = re.compile(r"(?:at|о|об|в)\s+(.+)")
CLOCK = re.compile(r"(\d{1,2}):(\d{2})")
DAY = timedelta(days=1)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)  # the next moment of a schedule that cannot be read


class BadSchedule(NeedsOwner):
    """The text is no schedule; the message says what a schedule looks like."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Exactly one of the two is set: ``every``, or ``cron`` lines of which the earliest counts."""

    every: timedelta | None = None
    cron: tuple[str, ...] = ()


def parse(text: str) -> Schedule:
    """Raises BadSchedule, which names what is wrong."""
    said = " ".join(text.lower().split())
    if found := EVERY.fullmatch(said):
        count, minutes, _hours = found.groups()
        every = int(count or 1) * (timedelta(minutes=1) if minutes else timedelta(hours=1))
        if not timedelta(minutes=1) <= every <= DAY:
            raise BadSchedule(_("“{said}”: an interval is between 1 minute and 24 hours"), said=text)
        return Schedule(every=every)
    if found := AT.fullmatch(said):
        return Schedule(cron=tuple(_clock(part, text) for part in found[1].replace(";", ",").split(",")))
    if len(said.split()) != 5:
        raise BadSchedule(
            _("“{said}” is no schedule; write “every 15 min”, “at 03:00, 15:00” or five fields of cron text"), said=text
        )
    try:
        CronSim(said, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise BadSchedule(_("“{said}” is no cron text: {reason}"), said=text, reason=str(error)) from None
    return Schedule(cron=(said,))


def _clock(part: str, text: str) -> str:
    found = CLOCK.fullmatch(part.strip())
    if not found or int(found[1]) > 23 or int(found[2]) > 59:
        raise BadSchedule(_("“{said}”: {part} is no time of day; write 03:00"), said=text, part=part.strip() or "“”")
    return f"{int(found[2])} {int(found[1])} * * *"


def next_run(
    schedule: Schedule, after: datetime, zone: ZoneInfo, quiet_from: time | None = None, quiet_to: time | None = None
) -> datetime:
    """The first moment (UTC) later than ``after`` (aware). One that falls into the quiet hours waits for their end.

    Quiet hours are local times and may pass midnight; only one of them set, or both equal, means none.
    Raises BadSchedule when cron text never comes true (30 February).
    """
    if schedule.every is not None:
        moment = _next_interval(schedule.every, after, zone)
    else:
        moment = min(_next_cron(line, after, zone) for line in schedule.cron)
    return end_of_quiet(moment, zone, quiet_from, quiet_to)


def _next_interval(every: timedelta, after: datetime, zone: ZoneInfo) -> datetime:
    """Counted from local midnight in real time; the next midnight starts anew, so that each day looks alike."""
    today = after.astimezone(zone).date()
    midnight = datetime.combine(today, time(), zone).astimezone(UTC)
    tomorrow = datetime.combine(today + DAY, time(), zone).astimezone(UTC)
    return min(midnight + ((after.astimezone(UTC) - midnight) // every + 1) * every, tomorrow)


def _next_cron(line: str, after: datetime, zone: ZoneInfo) -> datetime:
    try:
        return next(CronSim(line, after.astimezone(zone))).astimezone(UTC)
    except StopIteration:
        raise BadSchedule(_("“{said}” never comes true"), said=line) from None


def end_of_quiet(moment: datetime, zone: ZoneInfo, quiet_from: time | None, quiet_to: time | None) -> datetime:
    """The moment itself, or the end of the quiet hours that it falls into; see ``next_run``."""
    if quiet_from is None or quiet_to is None or quiet_from == quiet_to:
        return moment
    local = moment.astimezone(zone)
    now = local.time().replace(fold=0)
    if quiet_from < quiet_to:
        quiet, day = quiet_from <= now < quiet_to, local.date()
    else:
        quiet, day = now >= quiet_from or now < quiet_to, local.date() + (DAY if now >= quiet_from else timedelta())
    if not quiet:
        return moment
    # A quiet end inside the spring gap is read with the offset before the gap, which is the first moment after it.
    return datetime.combine(day, quiet_to, zone).astimezone(UTC)
