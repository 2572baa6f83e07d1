# ruff: noqa: RUF009 - setting() makes dataclass fields
"""What an owner can choose about orders of a shop: the settings of 1C's exchange node (1C:UT 11, "Узел обмена с сайтом", tab "Обмен
заказами"), and what those forms lack. ``ClientSettings`` takes these fields over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from obmen.core.records import Subject
from obmen.core.settings import setting
from obmen.core.words import gettext_noop as _

ORDERS_IN, ORDERS_OUT = "orders-in", "orders-out"

ID, INN_KPP, INN, EMAIL, PHONE, NAME = "id", "inn_kpp", "inn", "email", "phone", "name"
BUYERS_BY = (ID, INN_KPP, INN, EMAIL, PHONE, NAME)
GOODS_BY = (("key", _("id")), ("code", _("code")), ("article", _("article")), ("barcode", _("barcode")))

STATE, CANCEL, PAYMENT, SHIPMENT, LINES = "state", "cancel", "payment", "shipment", "lines"
PARTS = (
    (STATE, _("states")),
    (CANCEL, _("cancellations")),
    (PAYMENT, _("payments")),
    (SHIPMENT, _("shipments")),
    (LINES, _("changed lines")),
)

ORDER_TABS = (
    ("orders", _("Orders")),
    ("buyers", _("Buyers")),
    ("order-goods", _("Goods of orders")),
    ("order-states", _("States of orders")),
    ("order-payments", _("Payment and delivery")),
    ("orders-back", _("Orders: sending")),
)


@dataclass(frozen=True)
class OrderSettings:
    exchange_orders: bool = setting(
        True,
        _("Exchange orders"),
        _("Off: the shop is asked for no orders and told nothing of them. Shops without orders for 1C have it off."),
        tab="orders",
    )
    number_attribute: str = setting(
        "Номер заказа на сайте",
        _("Attribute for the number on the site"),
        _(
            "A requisite of the order by this name keeps the shop's number; with the date it is the key by which the order is found."
        ),
        tab="orders",
        reparse=True,
    )
    date_attribute: str = setting(
        "Дата заказа на сайте",
        _("Attribute for the date on the site"),
        _(
            "A requisite of the order by this name keeps the shop's date and time; in 1C the attribute has to be of the type date."
        ),
        tab="orders",
        reparse=True,
    )
    order_key: str = setting(
        "auto",
        _("An order of the shop is known by"),
        _("What stays the same as long as it is the same order. Number and date: for shops that begin to count again each year."),
        tab="orders",
        choices=(
            ("auto", _("its id when that is a whole number, else its number")),
            ("number", _("its number")),
            ("number_date", _("its number and date")),
            ("id", _("its id")),
        ),
        reparse=True,
    )
    order_page: str = setting(
        "",
        _("Page of an order in the shop"),
        _(
            "Where a person opens an order in the shop's admin: from / on, or a whole address; {id} stands for its id. The cards of orders lead "
            "there. Correct it when the admin has been moved, empty it for no link."
        ),
        tab="orders",
    )
    agreement: str = setting(
        "",
        _("Agreement"),
        _("Goes with every order, by its name. Its price kind, and whether prices include VAT, go too when the books know them."),
        tab="orders",
        kind="reference",
        subject=Subject.AGREEMENT,
        reparse=True,
    )
    organisation: str = setting(
        "",
        _("Organisation"),
        _("Goes with every order as its organisation."),
        tab="orders",
        kind="reference",
        subject=Subject.ORGANISATION,
        reparse=True,
    )
    warehouse: str = setting(
        "",
        _("Warehouse"),
        _("For orders that name no warehouse, or one that is not in the table of warehouses."),
        tab="orders",
        kind="reference",
        subject=Subject.WAREHOUSE,
        reparse=True,
    )
    manager: str = setting(
        "",
        _("Manager"),
        _("The responsible person of every order."),
        tab="orders",
        kind="reference",
        subject=Subject.MANAGER,
        reparse=True,
    )
    comment: str = setting(
        "",
        _("Comment"),
        _("Stands before the buyer's own comment in every order."),
        tab="orders",
        reparse=True,
    )
    currency: str = setting(
        "",
        _("Currency when the shop names none"),
        _("ISO code such as UAH. Empty: an order without a currency has none here either, and that is reported."),
        tab="orders",
        reparse=True,
    )
    currencies: dict[str, str] = setting(
        {},
        _("Currencies"),
        _("Their name = our code, one a line, for names that are not known anyway (руб., RUR, 643, грн, $ are)."),
        tab="orders",
        kind="mapping",
        reparse=True,
    )
    orders_from: str = setting(
        "",
        _("Load orders made since"),
        _("A date such as 2026-01-31; older orders are left out. Empty sets no limit."),
        tab="orders",
        reparse=True,
    )
    orders_from_number: str = setting(
        "",
        _("Load orders from number"),
        _("This order and all later ones, by the digits of the number. Empty sets no limit."),
        tab="orders",
        reparse=True,
    )
    difference: str = setting(
        "delivery",
        _("When lines and total differ"),
        _("A shop may keep the delivery out of the lines but inside the total. What is done about it, besides reporting it."),
        tab="orders",
        choices=(
            ("delivery", _("what is missing becomes a line of delivery")),
            ("total", _("the total becomes the sum of the lines")),
            ("keep", _("nothing")),
        ),
        reparse=True,
    )
    conflicts: str = setting(
        "theirs",
        _("When both sides changed an order"),
        _("Whose value counts where the same field was changed here and there. The other one is told in the run."),
        tab="orders",
        choices=(("theirs", _("the shop's")), ("ours", _("ours"))),
    )

    # --- buyers ---
    buyers_by: tuple[str, ...] = setting(
        (ID, INN_KPP, EMAIL, PHONE),
        _("Find buyers by"),
        _("The first of these that an order says decides, in this order: id (in the shop), inn_kpp, inn, email, phone, name."),
        tab="buyers",
        kind="list",
        reparse=True,
    )
    persons_by_name: bool = setting(
        False,
        _("A name alone is enough for persons"),
        _(
            "As 1C finds buyers “by name”. Two persons of one name become one card, so leave it off where shops say e-mail or phone."
        ),
        tab="buyers",
        reparse=True,
    )

    # --- goods ---
    goods_by: tuple[str, ...] = setting(
        ("key", "article"),
        _("Find goods by"),
        _("By what the goods of a line are looked for in the books, in this order."),
        tab="order-goods",
        kind="choices",
        choices=GOODS_BY,
        reparse=True,
    )
    create_goods: bool = setting(
        False,
        _("Create goods that are not in the books"),
        _("On, as in 1C: a line with unknown goods makes a card, with what is set below. Off: the line is kept with its name."),
        tab="order-goods",
        reparse=True,
    )
    goods_kind: str = setting(
        "Товар",
        _("Kind of nomenclature for goods"),
        _("Of goods that are created from an order, and of its lines: by this name 1C finds the kind."),
        tab="order-goods",
        reparse=True,
    )
    services_kind: str = setting(
        "Услуга",
        _("Kind of nomenclature for services"),
        _("The same for delivery, charges and other services."),
        tab="order-goods",
        reparse=True,
    )
    unit: str = setting(
        "шт",
        _("Unit"),
        _("Of goods that are created from an order, and of lines that name none."),
        tab="order-goods",
        reparse=True,
    )
    goods_group: str = setting(
        "",
        _("Group of new goods"),
        _("Key of the group in which goods that are created from an order are put."),
        tab="order-goods",
        reparse=True,
        when="create_goods",
    )
    delivery_product: str = setting(
        "",
        _("Service for delivery"),
        _("The service of the books that the line of delivery is made with. Empty: the line keeps the shop's id."),
        tab="order-goods",
        kind="reference",
        subject="product",
        reparse=True,
    )

    # --- states ---
    cancel_status: str = setting(
        "",
        _("Status of a cancelled order on the site"),
        _("An order in this status is cancelled here; one that is cancelled here gets it there where no other way is known."),
        tab="order-states",
        reparse=True,
    )
    cancel_reason: str = setting(
        "",
        _("Reason of cancelling"),
        _("Of orders that are cancelled by their status."),
        tab="order-states",
        kind="reference",
        subject=Subject.CANCEL_REASON,
        reparse=True,
    )
    unmapped_states: str = setting(
        "take",
        _("Orders in a status that is not in the table"),
        _("The status is counted in any case, so that it can be mapped with one click."),
        tab="order-states",
        choices=(("take", _("are loaded, their state stays empty")), ("park", _("wait until it is mapped"))),
        reparse=True,
    )

    # --- payment ---
    create_payments: bool = setting(
        True,
        _("Take payments"),
        _("The way of payment, and that an order is paid, become a payment of the order. Off: only whether it is paid is taken."),
        tab="order-payments",
        reparse=True,
    )
    paid_statuses: tuple[str, ...] = setting(
        (),
        _("Statuses that mean paid"),
        _("For shops that do not say whether an order is paid (CS-Cart): names of statuses, one a line."),
        tab="order-payments",
        reparse=True,
    )

    # --- back ---
    send: tuple[str, ...] = setting(
        (STATE, CANCEL, PAYMENT, SHIPMENT, LINES),
        _("Send to the shop"),
        _("Of orders that came from it; what the shop does not read is left out in any case."),
        tab="orders-back",
        kind="choices",
        choices=PARTS,
    )
    check_sent: bool = setting(
        False,
        _("Look whether it arrived"),
        _(
            "Asks the shop for its orders once more after sending. Only for shops where asking changes nothing (CS-Cart, exim_1c)."
        ),
        tab="orders-back",
    )

    def order_problems(self) -> list[str]:
        """What cannot work, one sentence for each."""
        problems = [
            f"buyers_by: {value} is nothing that a buyer can be found by, choose from {', '.join(BUYERS_BY)}"
            for value in self.buyers_by
            if value.casefold() not in BUYERS_BY
        ]
        if self.orders_from.strip():
            try:
                date.fromisoformat(self.orders_from.strip())
            except ValueError:
                problems.append(f"orders_from: {self.orders_from} is no date, write it like 2026-01-31")
        if self.orders_from_number.strip() and not any(c.isdigit() for c in self.orders_from_number):
            problems.append(f"orders_from_number: {self.orders_from_number} has no digits")
        return problems
