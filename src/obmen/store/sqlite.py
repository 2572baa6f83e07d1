"""What SQLite needs said on every connection; the transaction mode and time-out are in the settings."""

from __future__ import annotations

from typing import Any

from django.db.backends.signals import connection_created

# A receiver is the only place where Django lets a pragma be said on each new connection of each thread.
PRAGMAS = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32768; PRAGMA temp_store=MEMORY;"


def _say(sender: Any, connection: Any, **_kw: Any) -> None:
    if connection.vendor == "sqlite":
        connection.connection.executescript(PRAGMAS)


def prepare_connections() -> None:
    connection_created.connect(_say, dispatch_uid="obmen-sqlite-pragmas")
