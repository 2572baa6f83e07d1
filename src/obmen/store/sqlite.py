"""What SQLite needs said on every connection; the transaction mode and time-out are in the settings."""

from __future__ import annotations

from typing import Any

from django.db.backends.signals import connection_created

# A receiver is the only place where Django lets a pragma be said on each new connection of each thread. The size of a page can
# only be chosen before the first table is made (rows of goods are some kilobytes long); a checkpoint of the log at every 64 MB
# instead of every 4 makes each of them write a page of the file once instead of several times.
PRAGMAS = (
    "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-4096;"
    " PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=8192; PRAGMA journal_size_limit=134217728;"
)


def _say(sender: Any, connection: Any, **_kw: Any) -> None:
    if connection.vendor == "sqlite":
        connection.connection.executescript(PRAGMAS)


def for_a_load(connection: Any) -> None:
    """A larger cache for the one connection that writes a catalogue; sixteen web threads would have it sixteen times."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA cache_size=-32768")


def prepare_connections() -> None:
    connection_created.connect(_say, dispatch_uid="obmen-sqlite-pragmas")
