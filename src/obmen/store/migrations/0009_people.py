import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.db.models import CASCADE, F

import obmen.store.secrets


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("store", "0008_notices"),
    ]

    operations: list[migrations.operations.base.Operation] = [
        migrations.AddIndex(
            model_name="order",
            index=models.Index("company", F("date").desc(), F("id").desc(), name="order_of_company"),
        ),
        migrations.CreateModel(
            name="Person",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=CASCADE, primary_key=True, related_name="person", serialize=False, to=settings.AUTH_USER_MODEL
                    ),
                ),
                ("companies", models.JSONField(blank=True, default=list, verbose_name="companies")),
            ],
            options={"verbose_name": "person", "verbose_name_plural": "people", "default_permissions": ()},
        ),
        migrations.CreateModel(
            name="RoleRule",
            fields=[
                (
                    "role",
                    models.OneToOneField(
                        on_delete=CASCADE, primary_key=True, related_name="rule", serialize=False, to="auth.group"
                    ),
                ),
                ("second_factor", models.BooleanField(default=False, verbose_name="second factor")),
            ],
            options={"verbose_name": "rule of a role", "verbose_name_plural": "rules of roles", "default_permissions": ()},
        ),
        migrations.CreateModel(
            name="SecondFactor",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=CASCADE,
                        primary_key=True,
                        related_name="second_factor",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("secret", obmen.store.secrets.SecretJSONField()),
                ("since", models.DateTimeField(default=django.utils.timezone.now)),
                ("last_step", models.BigIntegerField(default=-1)),
                ("codes", models.JSONField(default=list)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("failed", models.DateTimeField(null=True)),
            ],
            options={"verbose_name": "second factor", "verbose_name_plural": "second factors", "default_permissions": ()},
        ),
        migrations.CreateModel(
            name="SignIn",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("session_key", models.CharField(max_length=40, unique=True)),
                ("since", models.DateTimeField(default=django.utils.timezone.now)),
                ("seen", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                ("address", models.CharField(blank=True, max_length=64)),
                ("device", models.CharField(blank=True, max_length=300)),
                (
                    "user",
                    models.ForeignKey(on_delete=CASCADE, related_name="sign_ins", to=settings.AUTH_USER_MODEL),
                ),
            ],
            options={
                "verbose_name": "sign-in",
                "verbose_name_plural": "sign-ins",
                "ordering": ("-seen", "-pk"),
                "default_permissions": (),
            },
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(fields=["changed", "id"], name="order_changed"),
        ),
        migrations.CreateModel(
            name="ApiToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, verbose_name="name")),
                ("shown", models.CharField(max_length=20)),
                ("digest", models.CharField(max_length=64, unique=True)),
                ("scopes", models.JSONField(default=list, verbose_name="may")),
                ("for_machine", models.BooleanField(default=False)),
                ("made", models.DateTimeField(default=django.utils.timezone.now, verbose_name="made")),
                ("made_by", models.CharField(blank=True, max_length=150)),
                ("expires", models.DateTimeField(blank=True, null=True, verbose_name="works until")),
                ("last_used", models.DateTimeField(blank=True, null=True, verbose_name="last used")),
                ("last_address", models.CharField(blank=True, max_length=64)),
                ("revoked", models.DateTimeField(blank=True, null=True, verbose_name="revoked")),
                ("revoked_by", models.CharField(blank=True, max_length=150)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=CASCADE,
                        related_name="api_tokens",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="account",
                    ),
                ),
            ],
            options={
                "verbose_name": "API token",
                "verbose_name_plural": "API tokens",
                "ordering": ("-id",),
                "default_permissions": (),
            },
        ),
    ]
