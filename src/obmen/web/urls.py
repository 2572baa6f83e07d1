"""Addresses: health, doors, the language switch, the API, and the site at the root."""

from importlib.util import find_spec

from django.urls import URLPattern, URLResolver, include, path

from obmen.web.health import healthz
from obmen.web.site import site

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz, name="healthz"),
    path("i18n/", include("django.conf.urls.i18n")),
]
if find_spec("obmen.web.doors_urls"):
    urlpatterns.append(path("", include("obmen.web.doors_urls")))
urlpatterns.append(path("api/", include(("obmen.web.api.urls", "api"))))
urlpatterns.append(path("", site.urls))
