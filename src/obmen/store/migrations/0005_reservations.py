import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Orders that are in the books already reserve nothing: the stock that comes has known most of them for long."""

    dependencies = [
        ("store", "0004_run_results"),
    ]

    operations = [
        migrations.AddField(
            model_name="offer",
            name="stock_said",
            field=models.DateTimeField(null=True),
        ),
        migrations.CreateModel(
            name="Reservation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("offer", models.CharField(db_index=True, max_length=300)),
                ("quantity", models.DecimalField(decimal_places=6, max_digits=18)),
                ("since", models.DateTimeField()),
                ("taken", models.DateTimeField(null=True)),
                (
                    "order",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="reservations", to="store.order"),
                ),
            ],
            options={
                "verbose_name": "reservation",
                "verbose_name_plural": "reservations",
                "default_permissions": (),
            },
        ),
    ]
