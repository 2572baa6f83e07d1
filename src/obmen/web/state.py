"""How a connection is doing, in words: for the overview and its own page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, Min, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from obmen.registry import connectors
from obmen.store import models, visibility
from obmen.store.outbox import STREAM_OF
from obmen.web.words import say, without_facts
from obmen.work import watch

RUNNING, WAITING, POSTPONED = models.Run.State.RUNNING, models.Run.State.WAITING, models.Run.State.POSTPONED
STATES = (*models.Run.FINISHED, POSTPONED)
BROKEN = (models.Run.State.FAILED, models.Run.State.NEEDS_OWNER)
# What the owner has to see first; of equals the one whose name comes first.
ORDER = ("danger", "warning", "primary", "info", "success", "")
ICONS = {"danger": "error", "warning": "schedule", "primary": "sync", "info": "hourglass_empty", "success": "check_circle"}


@dataclass(slots=True)
class Condition:
    connection: models.Connection
    title: str  # of the profile, else of the connector
    tone: str
    words: str
    detail: str
    last: models.Run | None
    next_run: datetime | None
    parked: int
    waiting: int
    running: models.Run | None = None
    good: datetime | None = None  # the last exchange that went well
    waiting_since: datetime | None = None
    silence: watch.Silence | None = None
    runs: list[models.Run] = field(default_factory=list)  # the newest, where they were asked for

    @property
    def silent(self) -> str:
        """The alert, in words; "" while it exchanges as it should."""
        if self.silence is None:
            return ""
        since = self.silence.since or self.connection.created
        hours = int((timezone.now() - since).total_seconds() // 3600)
        if hours < 48:
            return ngettext("No exchange for %(count)s h", "No exchange for %(count)s h", hours) % {"count": hours}
        return ngettext("No exchange for %(count)s day", "No exchange for %(count)s days", hours // 24) % {"count": hours // 24}

    @property
    def calls_us(self) -> bool:
        known = connectors().get(self.connection.connector)
        return known is not None and not known.calls_out

    @property
    def trouble(self) -> bool:
        """Whether a person should look."""
        return bool(self.tone == "danger" or self.silence or self.parked)

    @property
    def icon(self) -> str:
        if self.connection.is_paused and self.connection.enabled and self.tone == "":
            return "pause_circle"
        return ICONS.get(self.tone, "power_settings_new")

    @property
    def rank(self) -> tuple[int, int, str]:
        grave = 0 if self.tone == "danger" or self.silence else 1
        tone = "warning" if self.parked and self.tone != "danger" else self.tone
        return grave, ORDER.index(tone), str(self.connection).casefold()


def connector_title(connection: models.Connection) -> str:
    known = connectors().get(connection.connector)
    if known is None:
        return _("%(key)s (not installed)") % {"key": connection.connector}
    return _(str(known.title))


def profile_title(connection: models.Connection) -> str:
    known = connectors().get(connection.connector)
    profile = known.profiles().get(connection.profile, {}) if known else {}
    return _(str(profile["title"])) if profile.get("title") else connection.profile


def veil(runs: Iterable[models.Run]) -> None:
    """What a run said, without the names and numbers of records in it: of whose company they are it does not say."""
    for run in runs:
        run.text, run.facts = without_facts(run.text), {}


def with_facts(rows: QuerySet[models.Connection], user: Any = None) -> QuerySet[models.Connection]:
    """Each with what ``conditions`` tells of it: looked up one connection at a time, since the tables of runs, parked records and
    the outbox are long and their indexes begin with the connection."""
    its = models.Run.objects.filter(connection=OuterRef("pk"))
    # By state, because an index gives the newest of each at once; of them all it would be looked for.
    last = {f"last_{state}": Subquery(its.filter(state=state).order_by("-ended").values("pk")[:1]) for state in STATES}
    streams = models.StreamSetting.objects.filter(connection=OuterRef("pk"), enabled=True).order_by()
    outbox = _of(models.Outbox, user)
    return rows.annotate(
        **last,
        running_id=Subquery(its.filter(state=RUNNING).order_by().values("pk")[:1]),
        again_id=Subquery(its.filter(state=WAITING, attempts__gt=0).exclude(text="").order_by("-ended").values("pk")[:1]),
        planned=Subquery(streams.values("connection").annotate(first=Min("next_run")).values("first")),
        parked_rows=_count(_of(models.Parked, user)),
        waiting_rows=_count(outbox),
        **{f"oldest_{kind}": Subquery(outbox.filter(kind=kind).order_by("since").values("since")[:1]) for kind in STREAM_OF},
    )


def _of(model: Any, user: Any) -> QuerySet[Any]:
    """Rows of a connection, of which ``user`` (None: nobody in particular) may see some only."""
    rows = model.objects.filter(connection=OuterRef("pk")).order_by()
    return rows if user is None else visibility.seen_by(user, rows)


def _count(rows: QuerySet[Any]) -> Subquery:
    return Subquery(rows.values("connection").annotate(n=Count("pk")).values("n"))


def conditions(
    connections: Iterable[models.Connection], *, silence: bool = False, user: Any = None, newest: int = 0
) -> list[Condition]:
    """The condition of each connection, in their order and a fixed number of queries. ``silence``: also whether it is silent;
    ``user``: as this person may see it; ``newest``: so many of its runs, for the page of one connection."""
    rows = list(connections)
    if rows and not hasattr(rows[0], "parked_rows"):
        found = with_facts(models.Connection.objects.filter(pk__in=[c.pk for c in rows])).order_by().in_bulk()
    else:
        found = {c.pk: c for c in rows}
    ids = {getattr(f, name) for f in found.values() for name in (*(f"last_{s}" for s in STATES), "running_id", "again_id")}
    wanted = Q(pk__in=ids - {None})
    if newest:
        wanted |= Q(pk__in=models.Run.objects.filter(connection__in=list(found)).order_by("-pk").values("pk")[:newest])
    runs = models.Run.objects.filter(wanted).in_bulk()
    if user is not None and visibility.is_limited(user):
        veil(runs.values())
    quiet = watch.silent(rows, timezone.now()) if silence else {}
    said = [_condition(c, found[c.pk], runs, quiet.get(c.pk)) for c in rows if c.pk in found]
    for each in said if newest else ():
        each.runs = [runs[pk] for pk in sorted(runs, reverse=True) if runs[pk].connection_id == each.connection.pk][:newest]
    return said


def _condition(
    connection: models.Connection, facts: Any, runs: dict[int, models.Run], silence: watch.Silence | None
) -> Condition:
    ended = [run for state in STATES if (run := runs.get(getattr(facts, f"last_{state}")))]
    last = max(ended, key=lambda run: (run.ended or run.asked, run.pk), default=None)
    running, again = runs.get(facts.running_id), runs.get(facts.again_id)
    done = runs.get(facts.last_done)
    return Condition(
        connection=connection,
        title=profile_title(connection) or connector_title(connection),
        **_words(connection, again or last, running is not None),
        last=last,
        next_run=facts.planned if connection.enabled else None,
        parked=facts.parked_rows or 0,
        waiting=facts.waiting_rows or 0,
        running=running,
        good=done.ended if done else None,
        waiting_since=min(filter(None, (getattr(facts, f"oldest_{kind}") for kind in STREAM_OF)), default=None),
        silence=silence,
    )


def paused_words(connection: models.Connection) -> str:
    """ "paused until 08:00", with the day when it is not today's, in the zone of the connection."""
    zone = ZoneInfo(connection.time_zone)
    until = connection.paused_until.astimezone(zone)  # type: ignore[union-attr]
    today = until.date() == timezone.now().astimezone(zone).date()
    return _("paused until %(until)s") % {"until": date_format(until, "H:i" if today else "j.m.Y H:i")}


def _words(connection: models.Connection, last: models.Run | None, running: bool) -> dict[str, str]:
    if not connection.enabled:
        return {"tone": "", "words": _("switched off"), "detail": _("Nothing is exchanged until it is switched on.")}
    if running:
        return {"tone": "primary", "words": _("exchange is going on"), "detail": ""}
    if connection.is_paused:
        return {"tone": "", "words": paused_words(connection), "detail": connection.paused_text}
    if last and last.state in BROKEN:
        return {"tone": "danger", "words": _("needs attention"), "detail": say(last.text, last.facts)}
    if last and last.state in (POSTPONED, WAITING):
        return {"tone": "warning", "words": _("tries again later"), "detail": say(last.text, last.facts)}
    if last is None and connection.last_call is None:
        return {"tone": "info", "words": _("waits for the first exchange"), "detail": ""}
    return {"tone": "success", "words": _("works"), "detail": ""}
