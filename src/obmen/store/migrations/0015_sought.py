from __future__ import annotations

from typing import Any

from django.db import migrations, models

MANY = 5_000  # products at a time: full books are not held in memory


def fill(apps: Any, schema_editor: Any) -> None:
    product, sought = apps.get_model("store", "Product"), apps.get_model("store", "Sought")
    rows = product.objects.order_by("pk").values_list("pk", "key", "barcode", "code", "name")
    last = 0
    while found := list(rows.filter(pk__gt=last)[:MANY]):
        sought.objects.bulk_create(
            sought(product_id=pk, key=key, barcode=barcode, code=code, name=name.lower())
            for pk, key, barcode, code, name in found
        )
        last = found[-1][0]


class Migration(migrations.Migration):
    dependencies = [("store", "0014_what_limited_people_see")]

    operations: list[migrations.operations.base.Operation] = [
        migrations.CreateModel(
            name="Sought",
            fields=[
                ("product_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("key", models.CharField(max_length=200)),
                ("barcode", models.CharField(blank=True, max_length=200)),
                ("code", models.CharField(blank=True, max_length=200)),
                ("name", models.TextField(blank=True)),
            ],
            options={"verbose_name": "product", "verbose_name_plural": "products", "default_permissions": ()},
        ),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
        migrations.RemoveIndex(model_name="product", name="product_searched"),
    ]
