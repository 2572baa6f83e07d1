"""The mapping tables, on the tabs and in the order of the module's form."""

from __future__ import annotations

from obmen.connectors.retailcrm.settings import DOCUMENTS
from obmen.core.contract import Column, Table
from obmen.core.records import Subject
from obmen.core.words import gettext_noop as _

TABS = (
    ("main", _("Main")),
    ("constants", _("Constants")),
    ("statuses", _("Statuses")),
    ("managers", _("Managers")),
    ("warehouses", _("Warehouses")),
    ("catalogue", _("Catalogue")),
    ("prices", _("Price types")),
    ("payments", _("Payments")),
    ("deliveries", _("Delivery")),
    ("settings", _("Settings")),
)
PAYMENT_COLUMNS = (
    Column("document", _("Document"), "choice", choices=DOCUMENTS),
    Column("terminal", _("Terminal"), "reference", subject=Subject.TERMINAL),
    Column("cash_desk", _("Cash desk"), "reference", subject=Subject.CASH_DESK),
)
TABLES = (
    Table(
        Subject.ORDER_STATE,
        "statuses",
        _("Statuses: loading"),
        "in",
        _("Only orders in these statuses are loaded. Without a state of ours the order is loaded and its state stays empty."),
        columns=(Column("cancel", _("Cancels the order"), "choice", choices=(("", _("no")), ("yes", _("yes")))),),
    ),
    Table(
        Subject.ORDER_STATE,
        "statuses",
        _("Statuses: sending"),
        "out",
        _("Which status an order gets over there. A state that is not here changes no status."),
    ),
    Table(
        Subject.MANAGER,
        "managers",
        _("Managers"),
        "both",
        _("The id of a manager stands in the address of his card: …/managers/8491."),
        by_hand=True,
    ),
    Table(
        Subject.WAREHOUSE,
        "warehouses",
        _("Warehouses"),
        "both",
        _("The stock of these warehouses is sent, and an order with a shipment store gets the warehouse beside it."),
    ),
    Table(
        Subject.PRICE_KIND,
        "prices",
        _("Price types"),
        "both",
        _("These prices are sent. The price types have to be in the CRM, and the catalogue has to be loaded there."),
        when="price_types",
    ),
    Table(
        Subject.PAYMENT_KIND,
        "payments",
        _("Payments: loading"),
        "in",
        _("Which document a paid payment becomes. A card payment needs a terminal, a cash receipt a cash desk."),
        columns=PAYMENT_COLUMNS,
        when="create_payments send_payments",
    ),
    Table(
        Subject.PAYMENT_KIND,
        "payments",
        _("Payments: sending"),
        "out",
        _("Which type a payment gets over there, by its document and, where several fit, by its terminal."),
        columns=PAYMENT_COLUMNS,
        when="create_payments send_payments",
    ),
    Table(
        Subject.DELIVERY,
        "deliveries",
        _("Delivery"),
        "both",
        _("Which way of delivery an order gets, and who carries it."),
        columns=(Column("carrier", _("Carrier"), "reference", subject=Subject.CARRIER),),
    ),
)
