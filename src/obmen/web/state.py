"""How a connection is doing, in words: for the overview and its own page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Min, Q
from django.utils.translation import gettext as _

from obmen.registry import connectors
from obmen.store import models
from obmen.web.words import say


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


def connector_title(connection: models.Connection) -> str:
    known = connectors().get(connection.connector)
    if known is None:
        return _("%(key)s (not installed)") % {"key": connection.connector}
    return _(str(known.title))


def profile_title(connection: models.Connection) -> str:
    known = connectors().get(connection.connector)
    profile = known.profiles().get(connection.profile, {}) if known else {}
    return _(str(profile["title"])) if profile.get("title") else connection.profile


def conditions(connections: Iterable[models.Connection]) -> list[Condition]:
    """The condition of each connection, in a fixed number of queries."""
    rows = list(connections)
    ids = [c.pk for c in rows]
    newest = models.Run.objects.filter(connection_id__in=ids).values("connection_id")
    last_ids = newest.annotate(last=Max("id", filter=Q(state__in=(*models.Run.FINISHED, "postponed")))).values_list(
        "last", flat=True
    )
    last = {r.connection_id: r for r in models.Run.objects.filter(pk__in=list(last_ids.order_by()))}
    running = set(models.Run.objects.filter(state="running", connection_id__in=ids).values_list("connection_id", flat=True))
    streams = models.StreamSetting.objects.filter(connection_id__in=ids, enabled=True).values("connection_id")
    planned = dict(streams.annotate(first=Min("next_run")).values_list("connection_id", "first").order_by())
    parked = _count(models.Parked.objects.filter(connection_id__in=ids))
    waiting = _count(models.Outbox.objects.filter(connection_id__in=ids))
    return [
        Condition(
            connection=c,
            title=profile_title(c) or connector_title(c),
            **_words(c, last.get(c.pk), c.pk in running),
            last=last.get(c.pk),
            next_run=planned.get(c.pk) if c.enabled else None,
            parked=parked.get(c.pk, 0),
            waiting=waiting.get(c.pk, 0),
        )
        for c in rows
    ]


def _count(rows: Any) -> dict[int, int]:
    return dict(rows.values("connection_id").annotate(n=Count("id")).values_list("connection_id", "n").order_by())


def _words(connection: models.Connection, last: models.Run | None, running: bool) -> dict[str, str]:
    if not connection.enabled:
        return {"tone": "", "words": _("switched off"), "detail": _("Nothing is exchanged until it is switched on.")}
    if running:
        return {"tone": "primary", "words": _("exchange is going on"), "detail": ""}
    if last and last.state in ("failed", "needs_owner"):
        return {"tone": "danger", "words": _("needs attention"), "detail": say(last.text, last.facts)}
    if last and last.state == "postponed":
        return {"tone": "warning", "words": _("tries again later"), "detail": say(last.text, last.facts)}
    if last is None and connection.last_call is None:
        return {"tone": "info", "words": _("waits for the first exchange"), "detail": ""}
    return {"tone": "success", "words": _("works"), "detail": ""}
