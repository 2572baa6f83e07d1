import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("store", "0009_people")]

    operations: list[migrations.operations.base.Operation] = [
        migrations.AddField(
            model_name="connection",
            name="paused_text",
            field=models.CharField(blank=True, max_length=200, verbose_name="why it is paused"),
        ),
        migrations.AddField(
            model_name="connection",
            name="paused_until",
            field=models.DateTimeField(blank=True, null=True, verbose_name="paused until"),
        ),
        migrations.CreateModel(
            name="Tally",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("hour", models.DateTimeField()),
                ("name", models.CharField(max_length=20)),
                ("count", models.PositiveBigIntegerField()),
                (
                    "connection",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="tallies", to="store.connection"),
                ),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(fields=["hour", "name", "count"], name="tally_by_hour")],
                "constraints": [models.UniqueConstraint(fields=("hour", "connection", "name"), name="one_tally_per_hour")],
            },
        ),
    ]
