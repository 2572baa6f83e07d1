"""The first page: a lane for each connection, what is wrong first; below it who feeds whom, and charts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import PermissionDenied
from django.db import connection as db
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from obmen.licence import licences
from obmen.store import models, tallies, visibility
from obmen.web import first_hour
from obmen.web.state import conditions, with_facts
from obmen.web.words import say

FILTERED = 8  # lanes from which on they can be searched
SOON, CALM = 2, 4  # seconds between looks while something is running, and while nothing is
BOOKS = (
    (models.Product, "inventory_2"),
    (models.Offer, "sell"),
    (models.Group, "account_tree"),
    (models.Order, "shopping_cart"),
    (models.Counterparty, "groups"),
)
MANY = 50_000  # rows from which on PostgreSQL's own estimate is told instead of a count

# What a stream carries, whichever way.
CARRIES = {
    "catalogue": gettext_lazy("catalogue"),
    "products": gettext_lazy("products"),
    "offers": gettext_lazy("prices and stock"),
    "prices": gettext_lazy("prices"),
    "stock": gettext_lazy("stock"),
    "orders": gettext_lazy("orders"),
    "statuses": gettext_lazy("order states"),
    "payments": gettext_lazy("payments"),
    "shipments": gettext_lazy("shipments"),
    "customers": gettext_lazy("customers"),
    "counterparties": gettext_lazy("counterparties"),
    "references": gettext_lazy("references"),
}
TOLD_OF_GOODS = frozenset({"products-out", "offers-out", "prices-out", "stock-out", "catalogue-out"})
FEEDS = frozenset({"stock-in", "prices-in"})


def urls(view: Any) -> list[URLPattern]:
    return [
        path("overview/running/", view(running), name="running"),
        path("overview/below/", view(below), name="overview_below"),
        path("overview/charts/", view(charts), name="overview_charts"),
    ]


def fill(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's DASHBOARD_CALLBACK: only what this person may see."""
    context |= {"title": _("Overview"), "below": any(_may_see(request, model) for model, _icon in BOOKS)}
    if request.user.has_perm("store.view_connection"):
        context |= _lanes(request)
        if not context["lanes"]:
            context |= first_hour.welcome(request) | {"below": False}
            return context
        context |= {
            "below": True,
            "licences": [(found.tone, say(found.text, found.facts)) for _row, found in licences.warnings()],
        }
    return context


def _may_see(request: HttpRequest, model: Any) -> bool:
    return bool(request.user.has_perm(f"store.view_{model._meta.model_name}"))


# --- lanes -----------------------------------------------------------------------------------------------------------------


def _lanes(request: HttpRequest) -> dict[str, Any]:
    every = with_facts(models.Connection.objects.all(), request.user)
    lanes = sorted(conditions(every, silence=True, user=request.user), key=lambda lane: lane.rank)
    return {
        "lanes": lanes,
        "filtered": len(lanes) > FILTERED,
        "trouble": sum(lane.tone == "danger" or lane.silence is not None for lane in lanes),
        "parked": sum(lane.parked for lane in lanes),
        "waiting": sum(lane.waiting for lane in lanes),
        "every": SOON if any(lane.running for lane in lanes) else CALM,
        "may_see_runs": request.user.has_perm("store.view_run"),
    }


def running(request: HttpRequest) -> HttpResponse:
    """The moving parts of all lanes; the page asks for them again and again."""
    if not request.user.has_perm("store.view_connection"):
        raise PermissionDenied
    return render(request, "obmen/running.html", _lanes(request) | {"moved": True})


# --- below the lanes -------------------------------------------------------------------------------------------------------


def below(request: HttpRequest) -> HttpResponse:
    """The part of the page that is asked for once the lanes are there."""
    context: dict[str, Any] = {"books": books(request)}
    if request.user.has_perm("store.view_connection"):
        connections = list(models.Connection.objects.order_by("name"))
        context |= {"map": feeding(connections) if connections else None}
        if connections and request.user.has_perm("store.view_run"):
            context |= _charts("14d", request.user)
    return render(request, "obmen/overview_below.html", context)


def charts(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm("store.view_connection") or not request.user.has_perm("store.view_run"):
        raise PermissionDenied
    span = request.GET.get("span", "")
    return render(request, "obmen/overview_charts.html", _charts(span if span in SPANS else "14d", request.user))


def books(request: HttpRequest) -> list[dict[str, Any]]:
    """How much there is of what this person may see, in one query: exact, or PostgreSQL's own estimate of a big table."""
    shown = [(model, icon) for model, icon in BOOKS if _may_see(request, model)]
    if not shown:
        return []
    limited = visibility.is_limited(request.user)
    each = []
    for model, _icon in shown:
        if limited and model in visibility.RULES:
            each.append(str(visibility.seen_by(request.user, model.objects.all()).count()))
            continue
        table = model._meta.db_table
        exact = f"SELECT count(*) FROM {table}"  # noqa: S608
        if db.vendor == "postgresql":
            estimate = f"(SELECT reltuples::bigint FROM pg_class WHERE oid = '{table}'::regclass)"  # noqa: S608
            each.append(f"(CASE WHEN {estimate} > {MANY} THEN {estimate} ELSE ({exact}) END)")
        else:
            each.append(f"({exact})")
    with db.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(each)}")
        counts = cursor.fetchone()
    return [
        {
            "title": model._meta.verbose_name_plural,
            "count": int(count),
            "icon": icon,
            "url": reverse(f"admin:store_{model._meta.model_name}_changelist"),
        }
        for (model, icon), count in zip(shown, counts, strict=True)
    ]


# --- who feeds whom --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Feeder:
    """A connection on the map: what comes from it and what goes to it, in words."""

    connection: models.Connection
    gives: Sequence[str]
    takes: Sequence[str]

    @property
    def is_off(self) -> bool:
        return not self.connection.enabled


def feeding(connections: Iterable[models.Connection]) -> dict[str, list[Feeder]]:
    """{"sources", "channels"}: those who say how much there is stand on the left, those who are told of it on the right. One query.

    Whoever neither says nor is told is on the side of its orders: it takes them as an accounting system does, or it brings them.
    """
    on: dict[int, set[str]] = defaultdict(set)
    for owner, stream in models.StreamSetting.objects.filter(enabled=True).values_list("connection_id", "stream"):
        on[owner].add(stream)
    sides: dict[str, list[Feeder]] = {"sources": [], "channels": []}
    for one in connections:
        streams = on[one.pk]
        channel = bool(streams & TOLD_OF_GOODS) or (not streams & FEEDS and "orders-in" in streams)
        feeder = Feeder(one, _carried(streams, "-in"), _carried(streams, "-out"))
        sides["channels" if channel else "sources"].append(feeder)
    return sides


def _carried(streams: Iterable[str], way: str) -> list[str]:
    things = {stream.removesuffix(way) for stream in streams if stream.endswith(way)}
    return [str(words) for thing, words in CARRIES.items() if thing in things]


# --- charts ----------------------------------------------------------------------------------------------------------------

SPANS = {"24h": gettext_lazy("24 hours"), "14d": gettext_lazy("14 days"), "90d": gettext_lazy("90 days")}
CHARTS = (
    (gettext_lazy("Orders"), (tallies.ORDERS_IN, gettext_lazy("taken")), (tallies.ORDERS_OUT, gettext_lazy("sent"))),
    (gettext_lazy("Changes of goods"), (tallies.GOODS_IN, gettext_lazy("taken")), (tallies.GOODS_OUT, gettext_lazy("sent"))),
    (gettext_lazy("Errors"), (tallies.FAILED, gettext_lazy("runs failed")), (tallies.SET_ASIDE, gettext_lazy("records parked"))),
)
HEIGHT, WIDTH = 100.0, 1000.0  # of the drawing, in its own units


def _charts(span: str, user: Any) -> dict[str, Any]:
    moments, names = _moments(span)
    shown = CHARTS[1:] if visibility.is_limited(user) else CHARTS  # orders are counted for all companies together
    found = {name: [0] * len(moments) for _title, *series in shown for name, _said in series}
    for bar, name, count in _summed([*moments, timezone.now() + timedelta(hours=1)]):
        if name in found:
            found[name][bar] = int(count)
    return {
        "charts": [_chart(str(title), names, found, *series) for title, *series in shown],
        "spans": [{"key": key, "title": title, "on": key == span} for key, title in SPANS.items()],
    }


def _summed(edges: Sequence[datetime]) -> list[tuple[int, str, int]]:
    """(number of the span between two edges, what, how much): summed in the database, since a quarter of a year of many connections
    is a hundred thousand rows, and by edges, since a day of the reader's is not always 24 hours."""
    spans = [(at, *pair) for at, pair in enumerate(pairwise(db.ops.adapt_datetimefield_value(edge) for edge in edges))]
    cast = "::timestamptz" if db.vendor == "postgresql" else ""
    with db.cursor() as cursor:
        cursor.execute(
            f"WITH bar(at, since, until) AS (VALUES {', '.join([f'(%s, %s{cast}, %s{cast})'] * len(spans))})"  # noqa: S608
            " SELECT bar.at, t.name, sum(t.count) FROM bar JOIN store_tally t ON t.hour >= bar.since AND t.hour < bar.until"
            " GROUP BY bar.at, t.name",
            [value for span in spans for value in span],
        )
        return list(cursor.fetchall())


def _moments(span: str) -> tuple[list[datetime], list[str]]:
    """When each bar begins, and what it is called: hours, or days of the reader's zone."""
    now = timezone.localtime()
    if span == "24h":
        hour = timezone.now().replace(minute=0, second=0, microsecond=0)
        hours = [hour - timedelta(hours=n) for n in range(23, -1, -1)]
        return hours, [date_format(timezone.localtime(h), "H:i") for h in hours]
    days = [now.date() - timedelta(days=n) for n in range(int(span.removesuffix("d")) - 1, -1, -1)]
    zone = ZoneInfo(str(timezone.get_current_timezone()))
    return [datetime.combine(d, time(), zone) for d in days], [date_format(d, "j.m") for d in days]


def _chart(title: str, names: Sequence[str], found: Mapping[str, Sequence[int]], *series: tuple[str, Any]) -> dict[str, Any]:
    values = [found[name] for name, _said in series]
    top = max(1, *(max(v) for v in values))
    step = WIDTH / len(names)
    wide = step * 0.36
    bars = [
        {
            "x": round(step * (at + 0.12) + number * (wide + step * 0.04), 2),
            "y": round(HEIGHT - HEIGHT * value / top, 2),
            "height": round(HEIGHT * value / top, 2),
            "second": number == 1,
            "said": f"{names[at]}: {said} {value}",
        }
        for number, (_name, said) in enumerate(series)
        for at, value in enumerate(values[number])
        if value
    ]
    rows = [(name, *(v[at] for v in values)) for at, name in enumerate(names) if any(v[at] for v in values)]
    return {
        "title": title,
        "series": [{"said": str(said), "total": sum(values[i]), "second": i == 1} for i, (_name, said) in enumerate(series)],
        "bars": bars,
        "wide": round(wide, 2),
        "top": top,
        "empty": not bars,
        "ends": (names[0], names[len(names) // 2], names[-1]),
        "rows": rows,
    }
