"""Everything that an owner can choose about a RetailCRM account, named after the tabs and constants of the module
«Интеграция с RetailCRM» for 1C:УНФ, edition 1.0.10: who comes from it finds each constant under its own name in the docs.

What may be loaded and sent at all (the module's flags «Загружать заказы», «Выгружать остатки» …) is switched by streams.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlsplit

from obmen.core.contract import NeedsOwner
from obmen.core.records import Subject
from obmen.core.settings import setting
from obmen.core.words import gettext_noop as _

ORDERS_IN, CUSTOMERS_IN = "orders-in", "customers-in"
ORDERS_OUT, PAYMENTS_OUT, STOCK_OUT, PRICES_OUT, CATALOGUE_OUT = (
    "orders-out",
    "payments-out",
    "stock-out",
    "prices-out",
    "catalogue-out",
)
STREAMS = (ORDERS_IN, CUSTOMERS_IN, ORDERS_OUT, PAYMENTS_OUT, STOCK_OUT, PRICES_OUT, CATALOGUE_OUT)

# «Налогообложение», by key or name of 1C: with these «Цена включает НДС» is never true (the manual, «Заполнение констант»)
NO_VAT = ("ПродажаНеОблагаетсяНДС", "ПродажаОблагаетсяЕНВД", "Продажа не облагается НДС", "Продажа облагается ЕНВД")

CASH, BANK, CARD = "cash", "bank", "card"
DOCUMENTS = ((CASH, _("Cash receipt")), (BANK, _("Receipt on a bank account")), (CARD, _("Card payment")))

COMMENT_RULES = (
    ("marked", _("# and the customer's, below it the manager's")),
    ("both", _("the customer's, below it the manager's")),
    ("customer", _("the customer's")),
    ("manager", _("the manager's")),
    ("none", _("none")),
)


@dataclass(frozen=True)
class CrmSettings:
    # --- constants ---
    server: str = setting(
        "",
        _("Address of the system"),
        _("As in the browser, such as 123456.retailcrm.ru; https:// and slashes may stand there or not."),
        tab="constants",
        identifies=True,
        place=True,
    )
    api_key: str = setting(
        "",
        _("API key"),
        _(
            "In the CRM: Administration → Integration → API access keys. Use one key for one connection: changes are told apart by it."
        ),
        tab="constants",
        kind="secret",
        where=(_("Administration"), _("Integration"), _("API access keys"), _("Add")),
    )
    site: str = setting(
        "",
        _("Code of the shop"),
        _(
            "The symbolic code. May stay empty when the key is for one shop only. Further shops of one account are further connections."
        ),
        tab="constants",
        identifies=True,
        reparse=True,
    )
    order_kind: str = setting(
        "",
        _("Kind of order"),
        _("Goes with every order as its kind."),
        tab="constants",
        kind="reference",
        subject=Subject.ORDER_KIND,
        reparse=True,
    )
    operation: str = setting(
        "",
        _("Operation"),
        _("Goes with every order as its operation."),
        tab="constants",
        kind="reference",
        subject=Subject.ORDER_OPERATION,
        reparse=True,
    )
    delivery_product: str = setting(
        "",
        _("Service for delivery"),
        _("The service of the books that the line of delivery is made with. Empty: the line has only a name."),
        tab="constants",
        kind="reference",
        subject="product",
        reparse=True,
    )
    department: str = setting(
        "",
        _("Department"),
        _("Goes with every order as its department."),
        tab="constants",
        kind="reference",
        subject=Subject.DEPARTMENT,
        reparse=True,
    )
    warehouse: str = setting(
        "",
        _("Warehouse"),
        _("For orders without a shipment store, or with one that is not in the table of warehouses."),
        tab="constants",
        kind="reference",
        subject=Subject.WAREHOUSE,
        reparse=True,
    )
    manager: str = setting(
        "",
        _("Responsible person"),
        _("For orders that have no manager in the CRM."),
        tab="constants",
        kind="reference",
        subject=Subject.MANAGER,
        reparse=True,
    )
    purchase_price: str = setting(
        "",
        _("Purchase price"),
        _("The price kind that is sent as the purchase price, in the catalogue and with stock. Empty sends none."),
        tab="constants",
        kind="reference",
        subject=Subject.PRICE_KIND,
    )
    selling_price: str = setting(
        "",
        _("Selling price"),
        _("The price kind that is sent as the price of the catalogue."),
        tab="constants",
        kind="reference",
        subject=Subject.PRICE_KIND,
    )
    organisation: str = setting(
        "",
        _("Organisation"),
        _("Goes with every order as its organisation."),
        tab="constants",
        kind="reference",
        subject=Subject.ORGANISATION,
        reparse=True,
    )
    bank_account: str = setting(
        "",
        _("Bank account"),
        _("Of orders, and of payments that are receipts on a bank account."),
        tab="constants",
        kind="reference",
        subject=Subject.BANK_ACCOUNT,
        reparse=True,
    )
    cash_desk: str = setting(
        "",
        _("Main cash desk"),
        _("Of orders, and of payments that are cash receipts, unless the table of payments names another."),
        tab="constants",
        kind="reference",
        subject=Subject.CASH_DESK,
        reparse=True,
    )
    currency: str = setting(
        "",
        _("Currency"),
        _("Of documents. Empty takes the currency that the CRM says with each order."),
        tab="constants",
        kind="reference",
        subject=Subject.CURRENCY,
        reparse=True,
    )
    taxation: str = setting(
        "",
        _("Taxation"),
        _("Goes with every order as its taxation."),
        tab="constants",
        kind="reference",
        subject=Subject.TAXATION,
        reparse=True,
    )
    price_includes_vat: bool = setting(
        False,
        _("Prices include VAT"),
        _("Goes with every order; never set with a taxation that knows no VAT."),
        tab="constants",
        reparse=True,
    )
    deferral_days: int = setting(
        5,
        _("Days of deferral"),
        _("Of payment, counted in the payment schedule of the order."),
        tab="constants",
        minimum=0,
        maximum=3650,
        reparse=True,
    )

    # --- statuses, deliveries ---
    default_delivery: str = setting(
        "",
        _("Delivery when nothing is mapped"),
        _("For orders whose type of delivery is not in the table. Empty writes “Самовывоз”."),
        tab="deliveries",
        kind="reference",
        subject=Subject.DELIVERY,
        reparse=True,
    )

    # --- catalogue ---
    groups: tuple[str, ...] = setting(
        (),
        _("Groups"),
        _(
            "Keys of the groups whose goods are sent, with all below them; catalogue, stock and prices keep to them. Empty: all goods."
        ),
        tab="catalogue",
        subject="group",
    )
    less_reserved: bool = setting(
        True,
        _("Take off what is sold and not yet in the accounting"),
        _(
            "Of the stock, here and in the catalogue: pieces of orders that the accounting system has not taken yet, or has taken and not "
            "yet sent a stock without them. Off: the stock as the accounting system said it last."
        ),
        tab="catalogue",
    )
    offer_id: str = setting(
        "xmlId",
        _("Id of the offer in the CRM"),
        _("Which field of an offer over there holds our id. externalId is “offer id” of the catalogue, xmlId its tag xmlId."),
        tab="catalogue",
        choices=(("xmlId", "xmlId"), ("externalId", "externalId")),
        reparse=True,
    )
    product_id: str = setting(
        "code",
        _("Id of the product here"),
        _("What stands in that field: the code, the article or the GUID of a product. Products without it are not sent."),
        tab="catalogue",
        choices=(("code", _("code")), ("article", _("article")), ("guid", "GUID")),
        reparse=True,
    )
    characteristics: bool = setting(
        False,
        _("Use characteristics"),
        _("The id is then GUID#GUID of the characteristic, or the GUID of a product without one, whatever the field above says."),
        tab="catalogue",
        reparse=True,
    )
    catalogue_path: str = setting(
        "",
        _("Path to the file"),
        _("Where the catalogue is put as well, on the machine of the hub. It is always served at its secret address."),
        tab="catalogue",
    )
    shop_name: str = setting(
        "",
        _("Name of the shop"),
        _("In the head of the catalogue; empty writes the code of the shop."),
        tab="catalogue",
    )
    images_url: str = setting(
        "",
        _("Address of the pictures"),
        _(
            "What stands before the path of a picture, such as https://shop.example/pictures. Empty: only whole addresses are sent."
        ),
        tab="catalogue",
    )
    url_property: str = setting(
        "",
        _("Property with the address of the page"),
        _("Id of the property of goods that holds the address of their page in the shop. Empty sends none."),
        tab="catalogue",
    )
    markable_property: str = setting(
        "",
        _("Property “needs a mark”"),
        _("Id of the property that says that goods need a mark of «Честный знак». Empty says nothing about it."),
        tab="catalogue",
    )
    dimensions: tuple[str, ...] = setting(
        ("Длина", "Ширина", "Высота"),
        _("Length, width, height"),
        _("Names of the three requisites, or ids of the properties, that hold them. Empty sends no dimensions."),
        tab="catalogue",
    )
    dimension_unit: str = setting(
        "cm",
        _("Their unit"),
        _("In which length, width and height are kept here. The catalogue has centimetres."),
        tab="catalogue",
        choices=(("m", _("metres")), ("cm", _("centimetres")), ("mm", _("millimetres"))),
    )
    may_vanish: int = setting(
        10,
        _("Refuse a catalogue that switches off more than so many per cent"),
        _("The CRM switches off every offer that a new file lacks. Above this share the old file stays. 100 allows everything."),
        tab="catalogue",
        minimum=0,
        maximum=100,
    )

    # --- settings ---
    price_types: bool = setting(
        False,
        _("Use price types"),
        _("Opens the table of price types: they are sent, and an order tells its price type."),
        tab="settings",
        reparse=True,
    )
    create_payments: bool = setting(
        False,
        _("Take payments"),
        _("Payments of orders become payment documents, by the table of payments."),
        tab="settings",
        reparse=True,
    )
    send_payments: bool = setting(
        False,
        _("Send payments"),
        _("Payments of the books are made in the CRM, or changed when they are there already."),
        tab="settings",
    )
    corporate: bool = setting(
        True,
        _("Corporate customers"),
        _("On: the company of a corporate customer buys, others are persons. Off: the legal data of the order say who buys."),
        tab="settings",
        reparse=True,
    )
    customer_policy: str = setting(
        "take",
        _("Data of customers"),
        _("What becomes of a card that is here already when the CRM says other data."),
        tab="settings",
        choices=(
            ("take", _("the CRM's data replace ours")),
            ("if_empty", _("only what is empty here is filled in")),
            ("if_new", _("only new cards are filled in")),
        ),
    )
    conflicts: str = setting(
        "theirs",
        _("When both sides changed an order"),
        _("Whose value counts where the same field was changed here and there. The other one is told in the run."),
        tab="settings",
        choices=(("theirs", _("the CRM's")), ("ours", _("ours"))),
    )
    finished_states: tuple[str, ...] = setting(
        (),
        _("States of finished orders"),
        _(
            "An order of the books in one of them is closed: what the CRM changes in it is parked with the reason. Empty: none is closed."
        ),
        tab="settings",
        subject=Subject.ORDER_STATE,
    )
    orders_from: str = setting(
        "",
        _("Load orders made since"),
        _("A date such as 2026-01-31; older orders are left out. Empty sets no limit."),
        tab="settings",
        reparse=True,
    )
    skip_methods: tuple[str, ...] = setting(
        ("offline",),
        _("Order methods that are left out"),
        _("Codes of the CRM. Sales at a till have the method offline."),
        tab="settings",
        reparse=True,
    )
    skip_types: tuple[str, ...] = setting(
        ("offline",),
        _("Order types that are left out"),
        _("Codes of the CRM."),
        tab="settings",
        reparse=True,
    )
    comment: str = setting(
        "marked",
        _("Comment of an order"),
        _("What is taken. The sign # marks orders of the CRM."),
        tab="settings",
        choices=COMMENT_RULES,
        reparse=True,
    )
    send_comment: str = setting(
        "none",
        _("Send the comment as"),
        _("A comment changed here. It replaces the whole comment over there."),
        tab="settings",
        choices=(("none", _("not sent")), ("customer", _("the customer's comment")), ("manager", _("the manager's comment"))),
    )
    number_field: str = setting(
        "",
        _("Custom field for our number"),
        _("Code of a custom field of orders that gets the number of the order in 1C, such as nomer1c. Empty sends none."),
        tab="settings",
    )
    send_own: bool = setting(
        False,
        _("Send orders that were made here"),
        _("Off: only changes of orders that came from the CRM are sent."),
        tab="settings",
    )
    own_from: str = setting(
        "",
        _("Orders made here: since"),
        _("A date such as 2026-01-31; older orders are not sent. Empty sends all."),
        tab="settings",
        when="send_own",
    )
    own_method: str = setting(
        "",
        _("Orders made here: method"),
        _("Code of the order method over there. Empty takes the CRM's default."),
        tab="settings",
        when="send_own",
    )
    own_type: str = setting(
        "",
        _("Orders made here: type"),
        _("Code of the order type over there. Empty takes the CRM's default."),
        tab="settings",
        when="send_own",
    )
    archive: bool = setting(
        False,
        _("Orders made here: send as an archive"),
        _(
            "Up to 50 in one call, by the CRM's upload for archives, which starts no triggers. For the first time with many old orders."
        ),
        tab="settings",
        when="send_own",
    )

    def __post_init__(self) -> None:
        """Raises NeedsOwner for what cannot work."""
        for name in ("orders_from", "own_from"):
            text = getattr(self, name).strip()
            if text:
                try:
                    date.fromisoformat(text)
                except ValueError:
                    raise NeedsOwner(_("“{value}” is no date: write it like 2026-01-31"), value=text) from None
        if self.images_url.strip() and urlsplit(self.images_url.strip()).scheme not in ("https", "http"):
            raise NeedsOwner(_("The address of the pictures has to begin with https://"))

    @property
    def address(self) -> str:
        """``https://123456.retailcrm.ru`` from any spelling; "" when there is none. Plain http stays only where no TLS can be
        expected: an own port, an IP address, this machine."""
        text = "".join(self.server.split())
        scheme, _sign, rest = text.partition("://") if "://" in text else ("https", "", text)
        host = re.split(r"[/?#]", rest.lstrip("/"), maxsplit=1)[0].rpartition("@")[2].lower()
        if not host:
            return ""
        plain = scheme.lower() == "http" and (":" in host or host == "localhost" or _is_ip(host))
        return f"{'http' if plain else 'https'}://{host}"

    @property
    def key(self) -> str:
        return self.api_key.strip()

    @property
    def attribute(self) -> str:
        """By what ``Books.offers_by`` finds goods: key | code | article."""
        return "key" if self.characteristics or self.product_id == "guid" else self.product_id


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
