"""The first page: what goes on, what is wrong, what waits."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import connection as db
from django.db.models import Count
from django.db.models.functions import TruncDate
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from obmen.store import models
from obmen.web.state import conditions

DAYS = 14
BOOKS = (
    (models.Product, "inventory_2"),
    (models.Offer, "sell"),
    (models.Group, "account_tree"),
    (models.Order, "shopping_cart"),
    (models.Counterparty, "groups"),
)


def how_many(model: Any) -> int:
    """Exact on SQLite, where the smallest index is scanned in milliseconds; PostgreSQL's own estimate for a big table."""
    if db.vendor == "postgresql":
        with db.cursor() as cursor:
            cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [model._meta.db_table])
            estimate = int(cursor.fetchone()[0])
        if estimate > 50_000:
            return estimate
    return int(model._default_manager.count())


def fill(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's DASHBOARD_CALLBACK: only what this person may see."""
    user = request.user
    books = [
        {
            "title": model._meta.verbose_name_plural,
            "count": how_many(model),
            "icon": icon,
            "url": reverse(f"admin:store_{model._meta.model_name}_changelist"),
        }
        for model, icon in BOOKS
        if user.has_perm(f"store.view_{model._meta.model_name}")
    ]
    context |= {"title": _("Overview"), "books": books}
    if user.has_perm("store.view_connection"):
        found = conditions(models.Connection.objects.all())
        context |= {
            "conditions": found,
            "parked": sum(c.parked for c in found),
            "waiting": sum(c.waiting for c in found),
            "trouble": sum(c.tone == "danger" for c in found),
        }
    if user.has_perm("store.view_run"):
        context |= {"running": running_runs(), "chart": json.dumps(chart())}
    return context


def chart() -> dict[str, Any]:
    """Runs that ended on each of the last days, for Chart.js."""
    today = timezone.localdate()
    since = timezone.now() - timedelta(days=DAYS)
    rows = (
        models.Run.objects.filter(ended__gte=since)
        .annotate(day=TruncDate("ended"))
        .values_list("day", "state")
        .annotate(n=Count("id"))
        .order_by()
    )
    days = [today - timedelta(days=n) for n in range(DAYS - 1, -1, -1)]
    good, bad = dict.fromkeys(days, 0), dict.fromkeys(days, 0)
    for day, state, n in rows:
        if day in good:
            (bad if state in ("failed", "needs_owner") else good)[day] += n
    bar = {"type": "bar", "stack": "runs", "maxBarThickness": 18, "displayYAxis": True}
    return {
        "labels": [date_format(d, "j.m") for d in days],
        "datasets": [
            {**bar, "label": _("done"), "data": list(good.values()), "backgroundColor": "var(--color-primary-600)"},
            {**bar, "label": _("failed"), "data": [n or None for n in bad.values()], "backgroundColor": "#dc2626"},
        ],
    }


def running_runs() -> list[models.Run]:
    return list(
        models.Run.objects.filter(state__in=("running", "waiting")).select_related("connection").order_by("-state", "id")[:10]
    )


def running(request: HttpRequest) -> HttpResponse:
    """The list of running runs alone, asked for again and again by the page."""
    if not request.user.has_perm("store.view_run"):
        raise PermissionDenied
    return render(request, "obmen/running.html", {"running": running_runs()})
