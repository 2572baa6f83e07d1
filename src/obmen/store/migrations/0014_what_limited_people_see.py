from __future__ import annotations

from django.db import migrations
from django.db.models import F, Index

from obmen.store.models import NarrowCopy, WithMore


class Migration(migrations.Migration):
    dependencies = [("store", "0013_searching")]

    operations: list[migrations.operations.base.Operation] = [
        migrations.RemoveIndex(model_name="parked", name="parked_groups"),
        migrations.AddIndex(
            model_name="parked",
            index=WithMore(
                fields=["connection", "direction", "kind", "reason", "waiting_kind", "awaited", "first_at", "id"],
                more=["external_id"],
                name="parked_groups",
            ),
        ),
        migrations.AddIndex(
            model_name="parked",
            index=NarrowCopy(
                F("last_at").desc(), F("id").desc(), "external_id", "connection", "kind", "direction", "reason", "waiting_kind",
                "waiting_id", "first_at", "where", "text", "facts", name="parked_searched",
            ),
        ),
        migrations.RemoveIndex(model_name="order", name="order_of_company"),
        migrations.AddIndex(
            model_name="order",
            index=Index("company", F("date").desc(), F("id").desc(), "changed", "counterparty", name="order_of_company"),
        ),
    ]  # fmt: skip
