"""Documents that other systems fetch from us: their rows and secret addresses."""

from __future__ import annotations

import secrets

from obmen.store import models
from obmen.store.journal import note


def row(connection: models.Connection, name: str) -> models.Feed:
    """The feed of that name, made with a secret of its own when it is asked for the first time."""
    found, _made = models.Feed.objects.get_or_create(
        connection=connection, name=name, defaults={"token": secrets.token_urlsafe(24)}
    )
    return found


def path(feed: models.Feed) -> str:
    """What stands behind the host in the feed's address."""
    return f"/feeds/{feed.connection.slug}/{feed.token}/{feed.name}"


def new_token(feed: models.Feed, who: str = "") -> models.Feed:
    """A new secret; the old address ends at once."""
    feed.token = secrets.token_urlsafe(24)
    feed.save(update_fields=["token"])
    note(feed.connection, "feed.token", who, feed=feed.name)
    return feed
