"""What connections still have to be told: rows are made here and cleared only by confirmation (design law 5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import connection as db

from obmen.core.records import Kind
from obmen.store import models

STREAM_OF = {Kind.ORDER: "orders-out", Kind.PAYMENT: "payments-out", Kind.SHIPMENT: "orders-out"}


def tell(kind: Kind, record_id: int, revision: int, source: models.Connection | None, now: datetime) -> int:
    """Note for every connection with the stream on, except the one that said it, that it has to be told this revision."""
    return tell_all(kind, [(record_id, revision)], source, now)


def tell_all(kind: Kind, records: Sequence[tuple[int, int]], source: models.Connection | None, now: datetime) -> int:
    """As ``tell`` for many (record id, revision).

    An existing row only gets the higher revision, so that what is offered in a session stays known.
    """
    stream = STREAM_OF[kind]
    listeners = models.Connection.objects.filter(enabled=True, streams__stream=stream, streams__enabled=True)
    if source is not None:
        listeners = listeners.exclude(pk=source.pk)
    rows = [
        models.Outbox(connection_id=pk, kind=kind, record_id=record_id, revision=revision, since=now)
        for pk in listeners.values_list("pk", flat=True)
        for record_id, revision in records
    ]
    models.Outbox.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["connection", "kind", "record_id"], update_fields=["revision"]
    )
    return len(rows)


def note_told(connection: models.Connection, kind: Kind, records: Sequence[tuple[int, int]]) -> None:
    """They confirmed these (record id, revision): their links say so. Until they name an id of their own, ours stands for it."""
    if kind is not Kind.ORDER:
        raise ValueError(kind)
    keys = dict(models.Order.objects.filter(pk__in=[i for i, _revision in records]).values_list("pk", "key"))
    models.Link.objects.bulk_create(
        [
            models.Link(connection=connection, kind=kind, external_id=keys[i], record_id=i, sent_version=revision)
            for i, revision in records
            if i in keys
        ],
        update_conflicts=True,
        unique_fields=["connection", "kind", "record_id"],
        update_fields=["sent_version"],
    )


def fill(connection: models.Connection, kind: Kind) -> int:
    """Every record whose newest revision the connection has not confirmed: for a stream that is switched on (again)."""
    if kind is not Kind.ORDER:
        raise ValueError(kind)
    with db.cursor() as cursor:
        cursor.execute(
            "INSERT INTO store_outbox (connection_id, kind, record_id, revision, since, offered_in, offers)"
            " SELECT %s, %s, o.id, o.revision, o.changed, '', 0 FROM store_order o"
            " WHERE (o.source_id IS NULL OR o.source_id <> %s)"
            " AND NOT EXISTS (SELECT 1 FROM store_link l WHERE l.connection_id = %s AND l.kind = %s AND l.record_id = o.id"
            " AND l.sent_version >= o.revision) ON CONFLICT DO NOTHING",
            [connection.pk, str(kind), connection.pk, connection.pk, str(kind)],
        )
        return int(cursor.rowcount)
