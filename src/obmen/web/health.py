"""GET /healthz for balancers and monitors: 200 when the hub works, 503 with what does not."""

from __future__ import annotations

from datetime import timedelta

from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from obmen.store.models import Run

WAITS_TOO_LONG = timedelta(minutes=10)  # a due run that nobody claims: no worker lives


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """``{"ok", "database", "worker", "oldest_due_seconds", "oldest_lease_seconds", "running"}``.

    ``worker`` is "ok", "silent" (a lease has ended and nobody rescued the run, or a due run waits for minutes) or "unknown"
    (the database does not answer). Says nothing about what is exchanged, since anybody may ask.
    """
    now = timezone.now()
    try:
        running = list(Run.objects.filter(state="running").values_list("lease_until", "connection_id"))
        busy = {connection for _lease, connection in running}
        due = Run.objects.filter(state="waiting", due__lte=now, connection__enabled=True).exclude(connection_id__in=busy)
        oldest_due = due.order_by("due").values_list("due", flat=True).first()
    except DatabaseError:
        return JsonResponse({"ok": False, "database": "failed", "worker": "unknown"}, status=503)
    late = [now - lease for lease, _connection in running if lease is not None]
    oldest_lease = max(late, default=timedelta())
    silent = oldest_lease > WAITS_TOO_LONG or (oldest_due is not None and now - oldest_due > WAITS_TOO_LONG)
    return JsonResponse(
        {
            "ok": not silent,
            "database": "ok",
            "worker": "silent" if silent else "ok",
            "running": len(running),
            "oldest_due_seconds": round((now - oldest_due).total_seconds(), 1) if oldest_due else 0,
            "oldest_lease_seconds": round(max(oldest_lease.total_seconds(), 0), 1),
        },
        status=503 if silent else 200,
    )
