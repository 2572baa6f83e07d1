"""What connections still have to be told: rows are made here and cleared only by confirmation (design law 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection as db
from django.db.models import QuerySet
from django.utils import timezone

from obmen.core.records import Kind
from obmen.store import models, reservations

STREAM_OF = {Kind.ORDER: "orders-out", Kind.PAYMENT: "payments-out", Kind.SHIPMENT: "orders-out"}
STATUSES_OUT = "statuses-out"  # a stream that tells of those orders only that came from there
TELLS_ORDERS = {STREAM_OF[Kind.ORDER], STATUSES_OUT}


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
    if kind is Kind.ORDER:
        rows += _linked(dict(records), source, now)
    models.Outbox.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["connection", "kind", "record_id"], update_fields=["revision"]
    )
    return len(rows)


def pending(connection: models.Connection, kind: Kind) -> QuerySet[models.Outbox]:
    """What the connection has to be told now: nothing of orders that a person holds back (store/holding.py)."""
    rows = models.Outbox.objects.filter(connection=connection, kind=kind)
    held = models.Order.objects.filter(held=True)
    if kind is Kind.ORDER:
        return rows.exclude(record_id__in=held.values("pk"))
    if kind is Kind.PAYMENT:
        return rows.exclude(record_id__in=models.Payment.objects.filter(order__in=held).values("pk"))
    return rows


def held(kind: Kind, record_ids: Sequence[int]) -> set[int]:
    """Those of these orders, or payments of orders, that a person holds back."""
    rows: QuerySet[Any]
    if kind is Kind.ORDER:
        rows = models.Order.objects.filter(held=True, pk__in=record_ids)
    elif kind is Kind.PAYMENT:
        rows = models.Payment.objects.filter(order__held=True, pk__in=record_ids)
    else:
        return set()
    return set(rows.values_list("pk", flat=True))


def again(kind: Kind, record_id: int, revision: int, connections: Sequence[models.Connection], now: datetime) -> None:
    """Tell these once more, at once and also when they have all of it already."""
    models.Outbox.objects.bulk_create(
        [
            models.Outbox(connection=c, kind=kind, record_id=record_id, revision=revision, since=now, again=True)
            for c in connections
        ],
        update_conflicts=True,
        unique_fields=["connection", "kind", "record_id"],
        update_fields=["revision", "offered_revision", "again"],
    )


def _linked(records: Mapping[int, int], source: models.Connection | None, now: datetime) -> list[models.Outbox]:
    """For those who are told of their own orders only."""
    links = models.Link.objects.filter(
        kind=Kind.ORDER,
        record_id__in=list(records),
        connection__in=models.Connection.objects.filter(enabled=True, streams__stream=STATUSES_OUT, streams__enabled=True),
    )
    if source is not None:
        links = links.exclude(connection_id=source.pk)
    return [
        models.Outbox(connection_id=pk, kind=Kind.ORDER, record_id=record_id, revision=records[record_id], since=now)
        for pk, record_id in links.values_list("connection_id", "record_id")
    ]


def note_told(connection: models.Connection, kind: Kind, records: Sequence[tuple[int, int]]) -> None:
    """They confirmed these (record id, revision), whose rows are gone from the outbox: their links say so. Until they name an id of
    their own, ours stands for it."""
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
    reservations.take(connection, list(keys), timezone.now())


def fill(connection: models.Connection, kind: Kind) -> int:
    """Every record whose newest revision the connection has not confirmed: for a stream that is switched on (again). Those who are
    told of their own orders only get those that came from there."""
    if kind is not Kind.ORDER:
        raise ValueError(kind)
    with db.cursor() as cursor:
        on = set(connection.streams.filter(enabled=True).values_list("stream", flat=True))
        if STATUSES_OUT in on and STREAM_OF[kind] not in on:
            cursor.execute(
                "INSERT INTO store_outbox (connection_id, kind, record_id, revision, since, offered_in, offers)"
                " SELECT %s, %s, o.id, o.revision, o.changed, '', 0 FROM store_order o JOIN store_link l ON l.record_id = o.id"
                " WHERE l.connection_id = %s AND l.kind = %s AND l.sent_version < o.revision ON CONFLICT DO NOTHING",
                [connection.pk, str(kind), connection.pk, str(kind)],
            )
            return int(cursor.rowcount)
        cursor.execute(
            "INSERT INTO store_outbox (connection_id, kind, record_id, revision, since, offered_in, offers)"
            " SELECT %s, %s, o.id, o.revision, o.changed, '', 0 FROM store_order o"
            " WHERE (o.source_id IS NULL OR o.source_id <> %s)"
            " AND NOT EXISTS (SELECT 1 FROM store_link l WHERE l.connection_id = %s AND l.kind = %s AND l.record_id = o.id"
            " AND l.sent_version >= o.revision) ON CONFLICT DO NOTHING",
            [connection.pk, str(kind), connection.pk, connection.pk, str(kind)],
        )
        return int(cursor.rowcount)


def records(kind: Kind, ids: Sequence[int]) -> dict[int, Any]:
    """The records of outbox rows by their row in the books; those that are gone are left out."""
    from obmen.store import orders

    if kind is Kind.ORDER:
        rows = orders.with_parts(models.Order.objects.filter(pk__in=ids))
        return {row.pk: orders.order_record(row) for row in rows}
    if kind is Kind.PAYMENT:
        payments = models.Payment.objects.filter(pk__in=ids, order__isnull=False).select_related("order")
        return {row.pk: orders.payment_record(row, row.order.key) for row in payments}
    raise ValueError(kind)
