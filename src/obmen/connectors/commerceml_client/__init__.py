"""Online shops that exchange with 1C by CommerceML 2: we are 1C, and call them.

settings.py and orders_settings.py are what an owner chooses, profiles/ what each kind of shop can do, api.py the conversation,
goods.py what goes out, orders.py what comes in (convert.py what becomes of it), orders_out.py what is said of it, tables.py mappings.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from obmen.connectors.commerceml_client.api import Node
from obmen.connectors.commerceml_client.goods import Load, OffersOut, ProductsOut
from obmen.connectors.commerceml_client.orders import OrdersIn, references
from obmen.connectors.commerceml_client.orders_out import OrdersOut
from obmen.connectors.commerceml_client.orders_settings import ORDER_TABS, ORDERS_IN
from obmen.connectors.commerceml_client.profiles import all_profiles
from obmen.connectors.commerceml_client.settings import STREAMS, ClientSettings
from obmen.connectors.commerceml_client.tables import ORDER_TABLES
from obmen.core import contract
from obmen.core.contract import NeedsOwner
from obmen.core.records import Kind, Reference, Subject
from obmen.core.words import gettext_noop as _


class CommerceMLClient(contract.Connector):
    key = "commerceml_client"
    title = _("Online shop by CommerceML (we are 1C for it)")
    aliases = ("shop", "cml_client", "node")
    settings = ClientSettings
    family = "shop"
    about = _("Gets goods, prices and stock from here, gives its orders and is told what became of them.")
    streams = STREAMS
    calls_out = True
    tabs = (
        ("main", _("Main")),
        ("connection", _("Connection")),
        ("goods", _("Goods")),
        ("prices", _("Prices")),
        ("stock", _("Stock")),
        *ORDER_TABS,
        ("settings", _("Settings")),
    )
    open_tabs = ("connection",)
    tables = ORDER_TABLES

    @classmethod
    def profiles(cls) -> Mapping[str, Mapping[str, Any]]:
        return all_profiles()

    @cached_property
    def node(self) -> Node:
        """One conversation partner for everything that a run does."""
        return Node(self.s, self.hub)

    @cached_property
    def load(self) -> Load:
        """Both streams of goods in one run are one load."""
        return Load(self.node, self.s, self.node.hub)

    def close(self) -> None:
        if "node" in self.__dict__:
            self.node.close()

    def check(self) -> str:
        return self.node.check()

    def references(self, subject: Subject) -> Sequence[Reference]:
        """States, payments and deliveries, where the shop has lists of them; others are typed by hand or come with orders."""
        if not self.node.kind.limits.info:
            raise NeedsOwner(
                _("{shop} has no lists of its values: type them by hand, or take them over from orders"),
                shop=self.node.kind.title,
            )
        return references(self.node, subject)

    @cached_property
    def orders(self) -> OrdersIn:
        """What has been sent is looked at through the same source."""
        return OrdersIn(self.node)

    def page_of(self, kind: Kind, external_id: str) -> str:
        """Of orders, by the setting ``order_page``. Its defaults are in the profiles: 1C-Bitrix, WooCommerce and CS-Cart have fixed addresses
        of an order in their admins (the scripts sale_order_view.php and post.php, the dispatch orders.details). OpenCart's needs the token
        of a session, and what the others call an order there is written down nowhere."""
        page = self.s.order_page.strip()
        if kind is not Kind.ORDER or not page or not (external_id.isascii() and external_id.isdigit()):
            return ""
        parts = urlsplit(self.s.url)
        start = f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
        if page.startswith("/"):
            return f"{start}{page}".replace("{id}", external_id) if start else ""
        return str(page.replace("{id}", external_id))

    def owners(self, kind: Kind, streams: Collection[str]) -> Mapping[str, str]:
        """Buyers come with their orders: a card that is there is not touched by the next order."""
        said = {Kind.ORDER: self.s.conflicts, Kind.COUNTERPARTY: "if_new"}
        return {"": said[kind]} if ORDERS_IN in streams and kind in said else {}

    def limits(self) -> Mapping[str, Sequence[tuple[str, Mapping[str, object]]]]:
        return self.s.kind.limits.in_words()  # type: ignore[no-any-return]

    def sources(self) -> Sequence[contract.Source]:
        return (self.orders,)

    def sinks(self) -> Sequence[contract.Sink]:
        goods = (ProductsOut(self.node, self.load), OffersOut(self.node, self.load)) if self.node.kind.limits.goods else ()
        return (*goods, OrdersOut(self.node, self.orders))
