"""What a connector notes for its connection as a whole: kept among the bookmarks, each under a name of its own."""

from __future__ import annotations

import hashlib
from typing import Any

from django.utils import timezone

from obmen.store.models import Bookmark, Connection


def recall(connection: Connection, name: str) -> Any:
    """JSON-safe as it was noted; None when nothing was."""
    row = Bookmark.objects.filter(connection=connection, stream=_stream(name)).first()
    return row.value if row else None


def remember(connection: Connection, name: str, value: Any) -> None:
    """None takes the note back."""
    if value is None:
        Bookmark.objects.filter(connection=connection, stream=_stream(name)).delete()
        return
    Bookmark.objects.update_or_create(
        connection=connection, stream=_stream(name), defaults={"value": value, "changed": timezone.now()}
    )


def _stream(name: str) -> str:
    stream = f"door:{name}"
    return stream if len(stream) <= 60 else f"door:{hashlib.sha256(name.encode()).hexdigest()[:40]}"
