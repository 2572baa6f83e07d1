"""Rozetka (Seller API): orders, statuses and tracking numbers, cards, stock and prices, and the price list.

settings.py is what an owner chooses beside what every marketplace has, api.py every call, statuses.py what is known of statuses,
convert.py what orders and cards become and which way leads from status to status (pure), market.py the account as obmen.market wants it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from obmen.connectors.rozetka import statuses
from obmen.connectors.rozetka.market import RozetkaMarket
from obmen.connectors.rozetka.settings import RozetkaSettings
from obmen.core.records import Kind, Subject
from obmen.core.words import gettext_noop as _
from obmen.market.api import Market
from obmen.market.connector import MarketConnector
from obmen.market.streams import OFFERS_OUT, ORDERS_IN, PRODUCTS_IN, STATUSES_OUT

# What a seller sets in the ordinary course of an order (§3.5). What follows is the carrier's; who delivers himself switches it on. With
# what an order is cancelled is the owner's choice: the codes are reasons, and Rozetka counts some of them against the seller.
SENT = (statuses.PROCESSED, statuses.PACKED, statuses.WITH_TTN, statuses.SHIPPED)
DELIVERIES = (("5", "Нова Пошта"), ("1", "ROZETKA Delivery"))  # §3.6


class Rozetka(MarketConnector):
    key = "rozetka"
    title = "Rozetka"
    aliases = ("rz", "rozetka_ua")
    settings = RozetkaSettings
    about = _(
        "Takes orders from your shop there, tells their statuses and tracking numbers, and keeps stock and prices as in the accounting."
    )
    market: ClassVar[type[Market]] = RozetkaMarket
    dialect = "rozetka"

    def page_of(self, kind: Kind, external_id: str) -> str:
        """Of an order the cabinet's list, narrowed down to it: the list takes the parameters of the API's own search (``types=1``: in any
        status, GET /orders/search), and public tools of sellers lead there. Of goods the page in the shop, by the ``item_url`` that the
        API says of a line (``…/38221768/p38221768``); the cabinet's own page of goods is written down nowhere."""
        if not (external_id.isascii() and external_id.isdigit()):
            return ""
        if kind is Kind.ORDER:
            return f"https://seller.rozetka.com.ua/main/orders/all?page=1&sort=-id&pageSize=50&id={external_id}&types=1"
        return f"https://rozetka.com.ua/{external_id}/p{external_id}/" if kind is Kind.OFFER else ""

    @classmethod
    def defaults(cls) -> Mapping[str, Any]:
        """Orders in work or done are loaded; one that was cancelled before it was ever loaded is left out. The price list is for an owner
        to switch on: it needs a price kind."""
        states = [
            {
                "subject": Subject.ORDER_STATE,
                "theirs": status,
                "theirs_name": name,
                "taken": statuses.group(status) != statuses.FAILED,
                "outbound": status in SENT,
                "attributes": {"cancel": "yes"} if statuses.group(status) == statuses.FAILED else {},
            }
            for status, name in statuses.NAMES.items()
        ]
        deliveries = [{"subject": Subject.DELIVERY, "theirs": key, "theirs_name": name} for key, name in DELIVERIES]
        return {
            "streams": [ORDERS_IN, PRODUCTS_IN, STATUSES_OUT, OFFERS_OUT],
            "match": {Kind.PRODUCT: ["article"], Kind.COUNTERPARTY: ["phone", "email"]},
            "mappings": [*states, *deliveries],
        }
