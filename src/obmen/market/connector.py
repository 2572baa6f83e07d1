"""A connector of a marketplace: what a concrete one says is its ``market``, its connection's settings and its price list's dialect."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import ClassVar

from obmen.core import contract
from obmen.core.contract import NeedsOwner
from obmen.core.records import Good, Kind, Reference, Subject
from obmen.core.words import gettext_noop as _
from obmen.market.api import Market
from obmen.market.attributes import Line, Words
from obmen.market.cards import CardsIn
from obmen.market.feed import PriceList
from obmen.market.goods import OffersOut, PricesOut, ProductsOut, preview, preview_choice, words_of
from obmen.market.orders import OrdersIn
from obmen.market.settings import TABLES, TABS
from obmen.market.statuses import StatusesOut
from obmen.market.streams import ORDERS_IN, STREAMS

SHOWN = {"quantity": _("stock"), "price": _("price"), "old_price": _("old price")}
NO_HUB = _("This needs a connection of a hub")
WHOLE_PIECES = _("Stock is told there in whole pieces: what is left over of a piece is not offered.")
NOT_DESCRIBED = _("Names, texts and attributes of cards cannot be changed by calls there: they go by the price list.")
ORDERS_THERE = _(
    "Orders are made over there only: statuses, tracking numbers and cancellations are sent of orders that came from there."
)


class MarketConnector(contract.Connector):
    """A subclass says key, title, ``settings`` (a subclass of ``MarketSettings``), ``market`` and, where it fetches one, ``dialect``."""

    market: ClassVar[type[Market]]
    dialect: ClassVar[str] = ""  # of formats.yml, for the price list; "": it fetches none
    streams: ClassVar[tuple[str, ...]] = STREAMS
    calls_out = True
    family = "marketplace"
    tables = TABLES
    tabs = TABS
    open_tabs = ("main",)
    wakes = STREAMS[:1]
    shows = "products"

    @cached_property
    def account(self) -> Market:
        """One client for everything that this connection does at a time."""
        if self.hub is None:
            raise NeedsOwner(NO_HUB)
        return self.market(self.s, self.hub)

    def close(self) -> None:
        if "account" in self.__dict__:
            self.account.close()

    def check(self) -> str:
        return self.account.check()

    def references(self, subject: Subject) -> Sequence[Reference]:
        return self.account.references(subject)

    def sources(self) -> Sequence[contract.Source]:
        return (OrdersIn(self.account), CardsIn(self.account))

    def sinks(self) -> Sequence[contract.Sink]:
        sinks: list[contract.Sink] = [StatusesOut(self.account)]
        if self.market.describes:
            sinks.append(ProductsOut(self.account))
        sinks.append(OffersOut(self.account))
        if self.s.price_kind:
            sinks.append(PricesOut(self.account))
        return sinks

    def owners(self, kind: Kind, streams: Collection[str]) -> Mapping[str, str]:
        """Cards that come are linked to goods and fill in nothing of those that are there."""
        if ORDERS_IN not in streams:
            return {}
        if kind is Kind.COUNTERPARTY:
            return {"": self.s.buyers_policy, "requisites": "if_new"}
        return {"": self.s.conflicts} if kind is Kind.ORDER else {}

    def limits(self) -> Mapping[str, Sequence[tuple[str, Mapping[str, object]]]]:
        goods = [(WHOLE_PIECES, self.market.whole_pieces), (NOT_DESCRIBED, not self.market.describes)]
        said = [(text, dict[str, object]()) for text, applies in goods if applies]
        return {"products": said, "orders": [(ORDERS_THERE, {})]}

    def show_choice(self) -> contract.Choice:
        return preview_choice(self.s)

    def show(self, good: Good) -> Sequence[contract.Shown]:
        return [
            contract.Shown(SHOWN.get(line.theirs, line.theirs), line.value, line.whence, self._named(line))
            for line in preview(self.account, good, self._words)
        ]

    @cached_property
    def _words(self) -> Words:
        return words_of(self.account)

    @cached_property
    def _kinds(self) -> Mapping[str, str]:
        return {kind.key: kind.name for kind in self.account.hub.books.references(Subject.PRICE_KIND)}

    def _named(self, line: Line) -> Mapping[str, str]:
        """Price kinds by their names."""
        name = line.facts.get("name", "")
        return {**line.facts, "name": self._kinds.get(name, name)} if line.theirs in SHOWN and name else line.facts

    def feeds(self) -> Sequence[contract.Feed]:
        return (PriceList(self.account, self.dialect),) if self.dialect else ()
