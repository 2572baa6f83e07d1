"""RetailCRM (API v5 and ICML): orders, customers and payments both ways, stock, prices and the catalogue out.

settings.py is what an owner chooses, tables.py the mappings, api.py every call, convert.py what orders and goods become (pure),
orders.py, customers.py, payments.py and goods.py the streams.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property

from obmen.connectors.retailcrm.api import NO_HUB, Crm
from obmen.connectors.retailcrm.customers import CustomersIn
from obmen.connectors.retailcrm.goods import BATCH, CatalogueOut, PricesOut, StockOut
from obmen.connectors.retailcrm.orders import OrdersIn
from obmen.connectors.retailcrm.orders_out import OrdersOut
from obmen.connectors.retailcrm.payments import PaymentsOut
from obmen.connectors.retailcrm.settings import CUSTOMERS_IN, ORDERS_IN, STREAMS, CrmSettings
from obmen.connectors.retailcrm.tables import TABLES, TABS
from obmen.core import contract
from obmen.core.contract import NeedsOwner
from obmen.core.records import Kind, Reference, Subject
from obmen.core.words import gettext_noop as _

PACE = _("The account takes ten calls a second: the hub keeps to that, and a first load of a large account takes its time.")
PORTIONS = _("Stock and prices go in portions of {count} offers; what the catalogue there does not have is left out.")


class RetailCRM(contract.Connector):
    key = "retailcrm"
    title = "RetailCRM"
    aliases = ("crm", "simla")
    settings = CrmSettings
    family = "crm"
    about = _("Orders, customers and payments both ways; stock, prices and the catalogue go there.")
    streams = STREAMS
    calls_out = True
    tables = TABLES
    tabs = TABS
    open_tabs = ("constants", "catalogue")
    wakes = (ORDERS_IN,)

    @cached_property
    def crm(self) -> Crm:
        """One client for everything that this connection does at a time."""
        return Crm(self.s, self.hub)

    def close(self) -> None:
        if "crm" in self.__dict__:
            self.crm.close()

    def page_of(self, kind: Kind, external_id: str) -> str:
        """…/orders/138/edit, as the manual has it, and …/customers/57, beside the …/customers/add of the vendor's API. Goods have none: they
        are linked by our id, which is not the CRM's."""
        page = {Kind.ORDER: f"orders/{external_id}/edit", Kind.COUNTERPARTY: f"customers/{external_id}"}.get(kind)
        return f"{self.s.address}/{page}" if page and self.s.address else ""

    def owners(self, kind: Kind, streams: Collection[str]) -> Mapping[str, str]:
        if kind is Kind.COUNTERPARTY and CUSTOMERS_IN in streams:
            return {"": self.s.customer_policy}
        return {"": self.s.conflicts} if kind is Kind.ORDER and ORDERS_IN in streams else {}

    def check(self) -> str:
        return self.crm.check()

    def references(self, subject: Subject) -> Sequence[Reference]:
        return self.crm.references(subject)

    def limits(self) -> Mapping[str, Sequence[tuple[str, Mapping[str, object]]]]:
        return {"constants": [(PACE, {})], "warehouses": [(PORTIONS, {"count": BATCH})], "prices": [(PORTIONS, {"count": BATCH})]}

    def sources(self) -> Sequence[contract.Source]:
        return (OrdersIn(self.crm), CustomersIn(self.crm))

    def sinks(self) -> Sequence[contract.Sink]:
        """Payments and prices only where the settings switch them on, as the manual has it."""
        sinks: list[contract.Sink] = [OrdersOut(self.crm)]
        if self.s.send_payments:
            sinks.append(PaymentsOut(self.crm))
        sinks.append(StockOut(self.crm))
        if self.s.price_types:
            sinks.append(PricesOut(self.crm))
        return sinks

    def feeds(self) -> Sequence[contract.Feed]:
        if self.hub is None:
            raise NeedsOwner(NO_HUB)
        return (CatalogueOut(self.s, self.hub),)
