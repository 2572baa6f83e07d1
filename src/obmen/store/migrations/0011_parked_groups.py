from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models
from django.db.models import Case, F, Value, When
from django.db.models.functions import Left


class Migration(migrations.Migration):
    dependencies = [("store", "0010_pauses")]

    operations: list[migrations.operations.base.Operation] = [
        migrations.CreateModel(
            name="MappingStep",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("subject", models.CharField(max_length=40)),
                ("direction", models.CharField(max_length=5)),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                ("who", models.CharField(blank=True, max_length=150)),
                ("rows", models.PositiveIntegerField()),
                ("gone", models.JSONField()),
                ("come", models.JSONField()),
                (
                    "connection",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="mapping_steps", to="store.connection"
                    ),
                ),
            ],
            options={"default_permissions": ()},
        ),
        migrations.AddField(
            model_name="parked",
            name="reason",
            field=models.GeneratedField(
                db_persist=True, expression=Left("text", 120), output_field=models.CharField(max_length=120)
            ),
        ),
        migrations.AddField(
            model_name="parked",
            name="awaited",
            field=models.GeneratedField(
                db_persist=True,
                expression=Case(When(waiting_kind="mapping", then=F("waiting_id")), default=Value("")),
                output_field=models.CharField(max_length=300),
            ),
        ),
        migrations.AddIndex(
            model_name="parked",
            index=models.Index(
                fields=["connection", "direction", "kind", "reason", "waiting_kind", "awaited", "first_at", "id"],
                name="parked_groups",
            ),
        ),
        migrations.AddIndex(
            model_name="parked",
            index=models.Index(F("last_at").desc(), F("id").desc(), name="parked_latest"),
        ),
    ]
