"""Prom.ua and its sisters (public API v1): orders, statuses and tracking numbers, cards, stock and prices, and the price list.

settings.py is what an owner chooses beside what every marketplace has, api.py every call, convert.py what orders and cards become (pure),
account.py the account as obmen.market wants it, imports.py the price list that is carried there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from obmen.connectors.prom.account import STATUSES, PromMarket
from obmen.connectors.prom.imports import ImportedList
from obmen.connectors.prom.settings import PromSettings
from obmen.core.contract import Feed
from obmen.core.records import Kind, Subject
from obmen.core.words import gettext_noop as _
from obmen.market.api import Market
from obmen.market.connector import MarketConnector
from obmen.market.streams import OFFERS_OUT, ORDERS_IN, PRODUCTS_IN, STATUSES_OUT

LOADED = ("pending", "received", "paid", "delivered")  # an order that is cancelled before it was loaded is none
SENT = ("received", "paid", "delivered", "canceled")


class Prom(MarketConnector):
    key = "prom"
    title = "Prom"
    aliases = ("prom_ua", "satu", "promua")
    settings = PromSettings
    about = _(
        "Takes orders from your shop there, tells their statuses and tracking numbers, and keeps stock and prices as in the accounting."
    )
    market: ClassVar[type[Market]] = PromMarket
    dialect = "prom"

    def feeds(self) -> Sequence[Feed]:
        return (ImportedList(self.account, self.dialect),)

    def page_of(self, kind: Kind, external_id: str) -> str:
        page = {Kind.ORDER: "order", Kind.OFFER: "product"}.get(kind)
        parts = urlsplit(self.s.base)
        return f"{parts.scheme}://{parts.netloc}/cms/{page}/edit/{external_id}" if page and external_id.isdigit() else ""

    @classmethod
    def profiles(cls) -> Mapping[str, Mapping[str, Any]]:
        """Itself, and its sisters in other countries: the same API at another host."""
        return {
            "prom_ua": {"title": "Prom.ua", "asks": ["token"]},
            "satu": {
                "title": "Satu.kz",
                "asks": ["token"],
                "settings": {"address": "https://my.satu.kz", "currency": "KZT", "language": "ru"},
            },
            "prom_md": {
                "title": "Prom.md",
                "asks": ["token"],
                "settings": {"address": "https://my.prom.md", "currency": "MDL", "language": "ru"},
            },
        }

    @classmethod
    def defaults(cls) -> Mapping[str, Any]:
        """Ways of delivery and payment have other ids in every shop: their tables are filled from the account. Texts of cards and the
        price list are for an owner to switch on: the one changes what is there, the other needs a price kind."""
        return {
            "streams": [ORDERS_IN, PRODUCTS_IN, STATUSES_OUT, OFFERS_OUT],
            "match": {Kind.PRODUCT: ["article"], Kind.COUNTERPARTY: ["phone", "email"]},
            "mappings": [
                {
                    "subject": Subject.ORDER_STATE,
                    "theirs": key,
                    "theirs_name": name,
                    "taken": key in LOADED,
                    "outbound": key in SENT,
                    "attributes": {"cancel": "yes"} if key == "canceled" else {},
                }
                for key, name in STATUSES
            ],
        }
