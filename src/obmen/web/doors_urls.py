"""Addresses of doors. With and without the last slash, since nothing here may redirect."""

import re

from django.urls import re_path

from obmen import registry
from obmen.web.doors import exchange
from obmen.web.feeds import feed
from obmen.web.hooks import wake

urlpatterns = [
    re_path(r"^feeds/(?P<slug>[-\w]+)/(?P<token>[-\w]{1,100})/(?P<name>[-.\w]{1,100})$", feed, name="feed"),
    re_path(r"^hooks/(?P<slug>[-\w]+)/(?P<token>[-\w]{1,100})/?$", wake, name="wake"),
    re_path(r"^exchange/(?P<slug>[-\w]+)/?$", exchange, name="exchange"),
    re_path(r"^exchange/(?P<slug>[-\w]+)/(?P<token>[-\w]{1,200})/?$", exchange, name="exchange-token"),
    *(
        re_path(rf"^{re.escape(address)}/?$", exchange)
        for connector in registry.connectors().values()
        for address in connector.addresses
    ),
]
