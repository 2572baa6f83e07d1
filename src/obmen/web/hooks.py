"""Wake-up addresses: another system says that it has news; we read them in our own way, whatever it says."""

from __future__ import annotations

import hmac

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from obmen import registry
from obmen.store.models import Connection
from obmen.work import jobs


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def wake(request: HttpRequest, slug: str, token: str) -> HttpResponse:
    """``/hooks/<connection>/<secret>/``: asks for the streams that the connector names. Asking again while one waits is once.

    Nothing of the call is believed but that it came: who knows the address can start a look, and do no more.
    """
    connection = Connection.objects.filter(slug=slug).first()
    if connection is None or not connection.hook or not hmac.compare_digest(connection.hook, token):
        return _said("There is no such address here.", 404)
    wakes = registry.connector(connection.connector).wakes
    streams = [s.stream for s in connection.streams.filter(enabled=True, stream__in=wakes)]
    if not connection.enabled or not streams:
        return _said("This connection is switched off.", 409)
    if request.method != "HEAD":
        jobs.ask(connection, streams, trigger="door", who=connection.name)
    return _said("ok", 200)


def _said(text: str, status: int) -> HttpResponse:
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain; charset=utf-8")
