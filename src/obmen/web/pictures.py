"""Pictures of goods, served from the storage to signed-in people only."""

from __future__ import annotations

import mimetypes

from django.core.exceptions import PermissionDenied
from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET

from obmen.store.models import Picture

SAFE = ("image/jpeg", "image/png", "image/gif", "image/webp", "image/bmp")  # no SVG: it may carry scripts


@require_GET
def picture(request: HttpRequest, picture_id: int) -> HttpResponseBase:
    if not request.user.has_perm("store.view_product"):
        raise PermissionDenied
    row = get_object_or_404(Picture, pk=picture_id)
    if not default_storage.exists(row.file):
        raise Http404
    kind = mimetypes.guess_type(row.path)[0]
    response = FileResponse(
        default_storage.open(row.file),
        content_type=kind if kind in SAFE else "application/octet-stream",
        as_attachment=kind not in SAFE,
        filename=row.path.rpartition("/")[2],
    )
    response["Cache-Control"] = "private, max-age=3600"
    return response
