"""What an owner chooses about any marketplace: the goods' half and the orders' half, tab by tab as seed 000 has them."""

from __future__ import annotations

from dataclasses import dataclass

from obmen.core.words import gettext_noop as _
from obmen.market.goods_settings import GOODS_TABLES, GoodsSettings
from obmen.market.orders_settings import ORDER_TABLES, OrdersSettings

TABS = (
    ("main", _("Main")),
    ("products", _("Products")),
    ("catalogue", _("Price list")),
    ("orders", _("Orders")),
    ("counterparties", _("Counterparties")),
    ("search", _("Search")),
)
TABLES = (*GOODS_TABLES, *ORDER_TABLES)


@dataclass(frozen=True)
class MarketSettings(GoodsSettings, OrdersSettings):
    """Connection fields (F8: address, login, password, key, token) are added by each marketplace, on the tab "main"."""
