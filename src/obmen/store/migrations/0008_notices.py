import django.db.models.deletion
import django.utils.timezone
import obmen.store.secrets
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0007_held_records"),
    ]

    operations = [
        migrations.CreateModel(
            name="Notice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("run", "an exchange that failed or needs you"),
                            ("silence", "silence"),
                            ("parked", "many parked records"),
                            ("licence", "licence of a format"),
                            ("disk", "a disk that is nearly full"),
                        ],
                        max_length=20,
                        verbose_name="kind",
                    ),
                ),
                (
                    "news",
                    models.CharField(
                        choices=[("trouble", "trouble"), ("still", "not over yet"), ("over", "fine again"), ("test", "test")],
                        max_length=10,
                        verbose_name="news",
                    ),
                ),
                ("run", models.BigIntegerField(null=True)),
                ("text", models.TextField()),
                ("facts", models.JSONField(blank=True, default=dict)),
                ("at", models.DateTimeField(db_index=True, default=django.utils.timezone.now, verbose_name="when")),
                ("due", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "waiting"), ("sent", "sent"), ("failed", "not sent"), ("dropped", "dropped")],
                        default="waiting",
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                ("tries", models.PositiveIntegerField(default=0, verbose_name="tries")),
                ("sent", models.DateTimeField(blank=True, null=True, verbose_name="sent")),
                ("answer", models.TextField(blank=True, verbose_name="answer")),
                ("answer_facts", models.JSONField(blank=True, default=dict)),
            ],
            options={
                "verbose_name": "notice",
                "verbose_name_plural": "notices",
                "ordering": ("-id",),
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="NoticeChannel",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=120, unique=True, verbose_name="name")),
                (
                    "way",
                    models.CharField(
                        choices=[("email", "e-mail"), ("telegram", "Telegram"), ("webhook", "webhook")],
                        max_length=20,
                        verbose_name="way",
                    ),
                ),
                ("enabled", models.BooleanField(default=True, verbose_name="switched on")),
                ("settings", models.JSONField(blank=True, default=dict)),
                ("secrets", obmen.store.secrets.SecretJSONField(blank=True, default=dict)),
                ("wants", models.JSONField(default=list)),
                ("everywhere", models.BooleanField(default=True, verbose_name="all connections")),
                (
                    "language",
                    models.CharField(
                        choices=[("uk", "Українська"), ("ru", "Русский"), ("en", "English")],
                        default="uk",
                        max_length=5,
                        verbose_name="language",
                    ),
                ),
                ("time_zone", models.CharField(default="Europe/Kyiv", max_length=60, verbose_name="time zone")),
                ("quiet_from", models.TimeField(blank=True, null=True, verbose_name="quiet from")),
                ("quiet_to", models.TimeField(blank=True, null=True, verbose_name="quiet to")),
                ("through", models.BooleanField(default=False)),
                ("address", models.CharField(blank=True, max_length=300)),
                ("created", models.DateTimeField(default=django.utils.timezone.now)),
                ("taken", models.DateTimeField(null=True)),
                ("text", models.TextField(blank=True)),
                ("facts", models.JSONField(blank=True, default=dict)),
                ("worker", models.CharField(blank=True, max_length=100)),
                ("lease_until", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name": "notice channel",
                "verbose_name_plural": "notice channels",
                "ordering": ("name",),
            },
        ),
        migrations.CreateModel(
            name="Trouble",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=200, unique=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("run", "an exchange that failed or needs you"),
                            ("silence", "silence"),
                            ("parked", "many parked records"),
                            ("licence", "licence of a format"),
                            ("disk", "a disk that is nearly full"),
                        ],
                        max_length=20,
                        verbose_name="kind",
                    ),
                ),
                ("run", models.BigIntegerField(null=True)),
                ("text", models.TextField()),
                ("facts", models.JSONField(blank=True, default=dict)),
                ("since", models.DateTimeField(verbose_name="since")),
                ("forgotten", models.DateTimeField(null=True)),
                ("told", models.DateTimeField(null=True)),
                ("again", models.DateTimeField(null=True)),
                ("over", models.DateTimeField(db_index=True, null=True, verbose_name="over")),
            ],
            options={
                "verbose_name": "trouble",
                "verbose_name_plural": "troubles",
                "ordering": ("-since", "-id"),
                "default_permissions": (),
            },
        ),
        migrations.AddField(
            model_name="connection",
            name="parked_limit",
            field=models.PositiveIntegerField(default=20, verbose_name="parked records"),
        ),
        migrations.AddField(
            model_name="connection",
            name="silent_after",
            field=models.PositiveSmallIntegerField(blank=True, null=True, verbose_name="hours of silence"),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["connection", "state", "ended"], name="run_last"),
        ),
        migrations.AddField(
            model_name="notice",
            name="connection",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                to="store.connection",
                verbose_name="connection",
            ),
        ),
        migrations.AddField(
            model_name="noticechannel",
            name="connections",
            field=models.ManyToManyField(blank=True, related_name="+", to="store.connection", verbose_name="connections"),
        ),
        migrations.AddField(
            model_name="notice",
            name="channel",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="notices",
                to="store.noticechannel",
                verbose_name="channel",
            ),
        ),
        migrations.AddField(
            model_name="trouble",
            name="connection",
            field=models.ForeignKey(
                blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name="troubles", to="store.connection"
            ),
        ),
        migrations.AddField(
            model_name="notice",
            name="trouble",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="notices", to="store.trouble"
            ),
        ),
        migrations.AddIndex(
            model_name="notice",
            index=models.Index(condition=models.Q(("state", "waiting")), fields=["due"], name="notice_queue"),
        ),
    ]
