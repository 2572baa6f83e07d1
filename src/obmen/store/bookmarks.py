"""Bookmarks as a person reads and sets them. Only the connector knows what stands in one."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from django.utils import timezone

from obmen.core.contract import Connector, NeedsOwner, Picking
from obmen.core.words import gettext_noop as _
from obmen.store import models
from obmen.store.journal import note

NONE = _("This stream has no bookmark that could be set by hand")


def _source(connector: Connector, stream: str) -> Picking:
    for source in connector.sources():
        if source.stream == stream and hasattr(source, "bookmark_from"):
            return cast(Picking, source)
    raise NeedsOwner(NONE)


def words(connection: models.Connection, connector: Connector, stream: str) -> str:
    """The stream's bookmark as a person would type it; "" when nothing has been read yet. Raises NeedsOwner."""
    row = connection.bookmarks.filter(stream=stream).first()
    return _source(connector, stream).bookmark_words(row.value if row else None)


def would_be(connector: Connector, stream: str, text: str, moment: datetime | None) -> str:
    """The words of the bookmark that ``set_by_hand`` would set. Raises NeedsOwner."""
    source = _source(connector, stream)
    return source.bookmark_words(source.bookmark_from(text.strip(), moment))


def set_by_hand(
    connection: models.Connection, connector: Connector, stream: str, text: str, moment: datetime | None, who: str
) -> str:
    """Go on from ``text``, or from ``moment`` (both empty: from now); returns the bookmark's words. Raises NeedsOwner."""
    source = _source(connector, stream)
    before = words(connection, connector, stream)
    bookmark = source.bookmark_from(text.strip(), moment)
    connection.bookmarks.update_or_create(stream=stream, defaults={"value": dict(bookmark), "changed": timezone.now()})
    after = source.bookmark_words(bookmark)
    note(connection, "bookmark.set", who, stream=stream, before=before, after=after)
    return after
