"""How long the runs of a connection take and how much they carry, day by day: a page of charts for each of its sets of streams."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, IntegerField, Max, Q, Sum
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce, TruncDate
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.formats import date_format, localize
from django.utils.translation import gettext as _

from obmen.store import models, visibility
from obmen.web import labels
from obmen.web.asking import as_id
from obmen.web.site import site

DAYS = 30
CARRIED = ("created", "updated", "matched")  # counts of a run that are news for one of the sides
OF_GOODS = ("products-", "prices-", "stock-", "offers-", "catalogue-", "references-", "sweep")
BROKEN = (models.Run.State.FAILED, models.Run.State.NEEDS_OWNER)
WIDE = 1000 / DAYS  # of a day, in units of the drawing


@dataclass(slots=True)
class Bar:
    x: float
    y: float
    height: float
    said: str
    broken: bool = False


@dataclass(slots=True)
class Chart:
    """One drawing: what its highest bar stands for is ``top``."""

    title: str
    top: str
    bars: list[Bar]


@dataclass(slots=True)
class Streams:
    """The charts of one set of streams, and the same in numbers: (day, runs, failed, average, longest, carried, unchanged)."""

    title: str
    private: bool  # of orders or customers, too
    runs: int
    failed: int
    charts: list[Chart]
    rows: list[tuple[str, int, int, str, str, int, int]]


def urls() -> list[URLPattern]:
    return [path("store/run/charts/", site.admin_view(show), name="store_run_charts")]


def show(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm("store.view_run"):
        raise PermissionDenied
    limited = visibility.is_limited(request.user)  # orders are counted for all companies together
    offered = list(models.Connection.objects.order_by("name").values_list("pk", "name"))
    asked = request.GET.get("connection", "")
    chosen = int(asked) if as_id(asked) and int(asked) in dict(offered) else _latest(offered)
    context = {
        **site.each_context(request),
        "title": _("Duration and volume of runs"),
        "offered": offered,
        "chosen": chosen,
        "days": DAYS,
        "all": [s for s in streams(chosen) if not (limited and s.private)] if chosen is not None else [],
    }
    request.current_app = site.name  # type: ignore[attr-defined]
    return TemplateResponse(request, "obmen/run_charts.html", context)


def _latest(offered: list[tuple[int, str]]) -> int | None:
    """Whose run ended last: there is something to see."""
    pk = (
        models.Run.objects.filter(ended__isnull=False).order_by(F("ended").desc()).values_list("connection_id", flat=True).first()
    )
    return pk if pk is not None else offered[0][0] if offered else None


def streams(connection: int) -> list[Streams]:
    """By set of streams, the busiest first. Previews carry nothing and are left out."""
    today = timezone.localdate()
    days = [today - timedelta(days=n) for n in range(DAYS - 1, -1, -1)]
    since = timezone.now() - timedelta(days=DAYS)
    lasted = ExpressionWrapper(F("ended") - F("started"), output_field=DurationField())
    carried = sum((_count(name) for name in CARRIED[1:]), _count(CARRIED[0]))
    found = (
        models.Run.objects.filter(connection=connection, ended__gte=since, started__isnull=False, state__in=models.Run.FINISHED)
        .filter(~Q(args__has_key="preview") | Q(args__preview=False))
        .annotate(day=TruncDate("ended"))
        .values("streams", "day")
        .annotate(
            runs=Count("pk"),
            failed=Count("pk", filter=Q(state__in=BROKEN)),
            average=Avg(lasted),
            longest=Max(lasted),
            carried=Sum(carried),
            unchanged=Sum(_count("unchanged")),
        )
        .order_by()
    )
    by_streams: dict[str, dict[date, dict[str, Any]]] = {}
    for row in found:
        by_streams.setdefault(row["streams"], {})[row["day"]] = row
    made = [_streams(names, rows, days) for names, rows in by_streams.items()]
    return sorted(made, key=lambda s: (-s.runs, s.title))


def _count(name: str) -> Any:
    return Coalesce(Cast(KT(f"counts__{name}"), IntegerField()), 0)


def _streams(names: str, rows: dict[date, dict[str, Any]], days: list[date]) -> Streams:
    known = [(day, rows[day]) for day in days if day in rows]
    return Streams(
        title=", ".join(labels.stream(name) for name in names.split(",") if name),
        private=any(not name.startswith(OF_GOODS) for name in names.split(",")),
        runs=sum(row["runs"] for _day, row in known),
        failed=sum(row["failed"] for _day, row in known),
        charts=[
            _chart(_("Longest run of the day"), rows, days, lambda row: row["longest"].total_seconds(), duration),
            _chart(_("Records carried"), rows, days, lambda row: row["carried"], lambda value: localize(int(value))),
        ],
        rows=[
            (
                date_format(day, "j.m"), row["runs"], row["failed"], duration(row["average"].total_seconds()),
                duration(row["longest"].total_seconds()), row["carried"], row["unchanged"],
            )
            for day, row in reversed(known)
        ],
    )  # fmt: skip


def _chart(title: str, rows: dict[date, dict[str, Any]], days: list[date], value: Any, words: Any) -> Chart:
    top = max((value(row) for row in rows.values()), default=0) or 1
    bars = []
    for at, day in enumerate(days):
        if day in rows and (height := max(value(rows[day]) / top * 100, 0)) > 0:
            height = max(height, 1.5)  # a little is not nothing
            said = f"{date_format(day, 'j.m')}: {words(value(rows[day]))}"
            bars.append(
                Bar(round(at * WIDE + WIDE * 0.12, 2), round(100 - height, 2), round(height, 2), said, bool(rows[day]["failed"]))
            )
    return Chart(title, words(top) if bars else "", bars)


def duration(seconds: float) -> str:
    if seconds < 60:
        return _("%(seconds)s s") % {"seconds": localize(round(seconds, 1))}
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return _("%(minutes)s min %(seconds)s s") % {"minutes": minutes, "seconds": rest}
    return _("%(hours)s h %(minutes)s min") % {"hours": minutes // 60, "minutes": minutes % 60}
