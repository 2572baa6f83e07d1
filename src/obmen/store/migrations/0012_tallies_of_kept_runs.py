"""The charts begin with what was kept before they were counted: tallies for runs that ended before the first tally.

New orders and changed goods are those of the history, exactly; runs that failed and records set aside those of the runs. What was sent
is taken from runs that did nothing else, since a run keeps one sum for all that it did, and from the journal's deliveries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.db import migrations
from django.db.models import Count, F
from django.db.models.functions import TruncHour

ORDERS, GOODS = frozenset({"orders", "statuses"}), frozenset({"products", "offers", "prices", "stock"})
Key = tuple[int, datetime, str]  # connection, hour, what


def fill(apps: Any, schema_editor: Any) -> None:
    tally = apps.get_model("store", "Tally")
    first = tally.objects.order_by("hour").values_list("hour", flat=True).first()
    counted: Counter[Key] = Counter()
    for part in (of_runs, of_history, of_journal):
        for connection, at, name, count in part(apps, first):
            counted[connection, at.astimezone(UTC).replace(minute=0, second=0, microsecond=0), name] += count
    rows = (tally(connection_id=pk, hour=hour, name=name, count=n) for (pk, hour, name), n in sorted(counted.items()) if n > 0)
    tally.objects.bulk_create(rows, batch_size=1000)


def of_runs(apps: Any, first: datetime | None) -> Iterator[tuple[int, datetime, str, int]]:
    runs = apps.get_model("store", "Run").objects.filter(ended__isnull=False)
    if first is not None:
        runs = runs.filter(ended__lt=first)
    for pk, ended, state, streams, counts, args in runs.values_list(
        "connection_id", "ended", "state", "streams", "counts", "args"
    ).iterator():
        if state in ("failed", "needs_owner"):
            yield pk, ended, "failed", 1
        if args.get("preview"):  # it only counted what it would have done
            continue
        yield pk, ended, "parked", counts.get("parked", 0)
        things = {stream.removesuffix("-out") for stream in streams.split(",")}
        name = "orders_out" if things <= ORDERS else "goods_out" if things <= GOODS else ""
        if name:
            yield pk, ended, name, counts.get("created", 0) + counts.get("updated", 0)


def of_history(apps: Any, first: datetime | None) -> Iterator[tuple[int, datetime, str, int]]:
    changes = apps.get_model("store", "RecordChange").objects.filter(run__isnull=False)
    if first is not None:
        changes = changes.filter(at__lt=first)
    orders = changes.filter(record_kind="order", version=1)
    goods = changes.filter(record_kind__in=("product", "offer"))
    for name, rows in (("orders_in", orders), ("goods_in", goods)):
        by_hour = rows.order_by().values(pk_=F("run__connection_id"), hour=TruncHour("at", tzinfo=UTC)).annotate(n=Count("id"))
        for row in by_hour:
            yield row["pk_"], row["hour"], name, row["n"]


def of_journal(apps: Any, first: datetime | None) -> Iterator[tuple[int, datetime, str, int]]:
    """Orders that a system which calls us has confirmed."""
    entries = apps.get_model("store", "JournalEntry").objects.filter(action="order.delivered", connection__isnull=False)
    if first is not None:
        entries = entries.filter(at__lt=first)
    by_hour = entries.order_by().values("connection_id", hour=TruncHour("at", tzinfo=UTC)).annotate(n=Count("id"))
    for row in by_hour:
        yield row["connection_id"], row["hour"], "orders_out", row["n"]


class Migration(migrations.Migration):
    dependencies = [("store", "0011_parked_groups")]

    operations: list[migrations.operations.base.Operation] = [
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True)
    ]
