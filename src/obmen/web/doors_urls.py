"""Addresses of doors. With and without the last slash, since nothing here may redirect."""

import re

from django.urls import re_path

from obmen import registry
from obmen.web.doors import exchange

urlpatterns = [
    re_path(r"^exchange/(?P<slug>[-\w]+)/?$", exchange, name="exchange"),
    re_path(r"^exchange/(?P<slug>[-\w]+)/(?P<token>[-\w]{1,200})/?$", exchange, name="exchange-token"),
    *(
        re_path(rf"^{re.escape(address)}/?$", exchange)
        for connector in registry.connectors().values()
        for address in connector.addresses
    ),
]
