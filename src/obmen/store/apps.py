from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class StoreConfig(AppConfig):
    name = "obmen.store"
    label = "store"
    verbose_name = _("Books and exchange")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from obmen.store import postgresql, sqlite

        sqlite.prepare_connections()
        postgresql.prepare_connections()
