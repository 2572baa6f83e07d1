import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("store", "0006_decided_previews")]

    operations = [
        migrations.CreateModel(
            name="Step",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                ("last", models.DateTimeField(blank=True, null=True)),
                ("times", models.PositiveIntegerField(default=1)),
                ("system", models.CharField(blank=True, max_length=120)),
                ("record_kind", models.CharField(max_length=20)),
                ("record_id", models.BigIntegerField()),
                (
                    "what",
                    models.CharField(
                        choices=[
                            ("came", "came from"),
                            ("changed", "changed"),
                            ("offered", "offered"),
                            ("delivered", "confirmed"),
                            ("sent", "sent"),
                            ("nothing", "nothing to send"),
                            ("refused", "could not be sent"),
                        ],
                        max_length=20,
                    ),
                ),
                ("revision", models.PositiveIntegerField(default=0)),
                ("external_id", models.CharField(blank=True, max_length=300)),
                ("who", models.CharField(blank=True, max_length=150)),
                ("text", models.TextField(blank=True)),
                ("facts", models.JSONField(blank=True, default=dict)),
                (
                    "connection",
                    models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to="store.connection"),
                ),
                (
                    "run",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="store.run",
                    ),
                ),
            ],
            options={"verbose_name": "step", "verbose_name_plural": "time line", "default_permissions": ()},
        ),
        migrations.AddIndex(model_name="step", index=models.Index(fields=["record_kind", "record_id"], name="steps_of_record")),
        migrations.AddField(
            model_name="order",
            name="held",
            field=models.BooleanField(db_default=False, default=False, verbose_name="on hold"),
        ),
        migrations.AddField(
            model_name="order",
            name="held_by",
            field=models.CharField(blank=True, db_default="", default="", max_length=150, verbose_name="held by"),
        ),
        migrations.AddField(
            model_name="order",
            name="held_since",
            field=models.DateTimeField(blank=True, null=True, verbose_name="on hold since"),
        ),
        migrations.AddField(
            model_name="order",
            name="held_text",
            field=models.CharField(blank=True, db_default="", default="", max_length=500, verbose_name="why it is on hold"),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(condition=models.Q(("held", True)), fields=["id"], name="order_held"),
        ),
        migrations.AddField(model_name="outbox", name="again", field=models.BooleanField(db_default=False, default=False)),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                models.OrderBy(models.F("milliseconds"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                name="message_slow",
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("status__gte", 400), ("status", 0), _connector="OR"),
                name="message_failed",
            ),
        ),
        migrations.AddIndex(model_name="runline", index=models.Index(fields=["at"], name="run_line_at")),
    ]
