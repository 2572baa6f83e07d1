"""What PostgreSQL needs said on every connection."""

from __future__ import annotations

from typing import Any

from django.db.backends.signals import connection_created

# Said by a statement and not by an option of the connection, which poolers refuse. Compiling a query pays for minutes of work: a page that
# asks whose the records are was compiled for two seconds and answered in a tenth of one.
SAID = "SET jit = off"


def _say(sender: Any, connection: Any, **_kw: Any) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(SAID)


def prepare_connections() -> None:
    connection_created.connect(_say, dispatch_uid="obmen-postgresql-jit")
