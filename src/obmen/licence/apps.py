from django.apps import AppConfig


class LicenceConfig(AppConfig):
    name = "obmen.licence"
    label = "licence"

    def ready(self) -> None:
        from obmen import registry
        from obmen.licence import packages

        registry.use(packages.current)
