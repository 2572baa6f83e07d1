"""Feeds: documents that other systems fetch from us, at an address whose secret is all that they need to know."""

from __future__ import annotations

import gzip
import hmac

from django.core.files.storage import default_storage
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotModified
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.http import http_date, parse_etags
from django.views.decorators.http import require_safe

from obmen.store.models import Feed

GONE = "There is no such document here.\n"


@require_safe
def feed(request: HttpRequest, slug: str, token: str, name: str) -> HttpResponseBase:
    """``/feeds/<connection>/<secret>/<name>``: the newest document, packed for those who can unpack, 304 for those who have it."""
    found = Feed.objects.select_related("connection").filter(connection__slug=slug, name=name).first()
    if found is None or not hmac.compare_digest(found.token, token) or not found.connection.enabled or not found.file:
        return HttpResponse(GONE, status=404, content_type="text/plain; charset=utf-8")
    packed = "gzip" in request.headers.get("Accept-Encoding", "")
    made = f"-{found.made.timestamp():.0f}" if found.made else ""  # the digest leaves the moment out that stands in the document
    etag = f'"{found.digest[:32]}{made}{"-gzip" if packed else ""}"'
    Feed.objects.filter(pk=found.pk).update(fetched=timezone.now())
    answer: HttpResponseBase
    if etag in parse_etags(request.headers.get("If-None-Match", "")):
        answer = HttpResponseNotModified()
    else:
        answer = _body(found, packed)
    answer["ETag"] = etag
    if found.made:
        answer["Last-Modified"] = http_date(found.made.timestamp())
    answer["Cache-Control"] = "private, no-cache"
    answer["X-Robots-Tag"] = "noindex"
    patch_vary_headers(answer, ["Accept-Encoding"])
    return answer


def _body(found: Feed, packed: bool) -> FileResponse:
    file = default_storage.open(found.file)
    if packed:
        answer = FileResponse(file, content_type="application/xml")
        answer["Content-Encoding"] = "gzip"
        return answer
    answer = FileResponse(gzip.GzipFile(fileobj=file), content_type="application/xml")
    answer["Content-Length"] = str(found.size)
    return answer
