from __future__ import annotations

from django.db import migrations
from django.db.models import F, Index, Q

from obmen.store.models import NarrowCopy


class Migration(migrations.Migration):
    dependencies = [("store", "0012_tallies_of_kept_runs")]

    operations: list[migrations.operations.base.Operation] = [
        migrations.RemoveIndex(model_name="order", name="order_held"),
        migrations.AddIndex(
            model_name="order",
            index=Index(F("date").desc(), F("id").desc(), condition=Q(held=True), name="order_held"),
        ),
        migrations.AddIndex(
            model_name="product",
            index=NarrowCopy(fields=["id", "name", "barcode", "code", "key"], name="product_searched"),
        ),
    ]
