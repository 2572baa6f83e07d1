import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("store", "0005_reservations")]

    operations = [
        migrations.AddField(model_name="runresult", name="changes", field=models.JSONField(blank=True, null=True)),
        migrations.AddField(model_name="runresult", name="compared", field=models.CharField(blank=True, max_length=10)),
        migrations.AddField(model_name="runresult", name="mark", field=models.CharField(blank=True, max_length=32)),
        migrations.AddField(model_name="runresult", name="skipped", field=models.BooleanField(db_default=False, default=False)),
        migrations.AddIndex(
            model_name="runresult",
            index=models.Index(condition=models.Q(("direction", "out")), fields=["record_id", "kind"], name="results_sent"),
        ),
        migrations.AddField(
            model_name="streamsetting",
            name="guard",
            field=models.PositiveSmallIntegerField(
                blank=True,
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(100),
                ],
                verbose_name="changes at most, %",
            ),
        ),
    ]
