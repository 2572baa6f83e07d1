"""What an owner chooses about orders, counterparties and how existing cards are found (seed 000, F18–F26).

What is loaded and sent at all (F18, F19: orders, statuses, by schedule or by hand) is switched by the streams ``orders-in`` and
``statuses-out``. The attributes by which cards are found, with their priority (F26), are the connection's match rules.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from obmen.core.contract import Column, NeedsOwner, Table
from obmen.core.records import Subject
from obmen.core.settings import Shape, setting
from obmen.core.words import gettext_noop as _

STATE, CANCEL, TRACKING = "state", "cancel", "tracking"
PARK, LINE = "park", "line"

# What a marketplace says of a buyer in words of its own is put into these attributes of the card by the marketplace's connector.
SAID = ("last_name", "first_name", "middle_name", "phone", "email", "address")
FIELDS = ("name", "full_name", *SAID, "inn", "okpo")  # attributes of a card; any other name is a requisite of it
SAME = json.dumps({"properties": [{"ours": name, "theirs": name} for name in SAID]}, indent=2)

ORDER_TABLES = (
    Table(
        Subject.ORDER_STATE,
        "orders",
        _("Statuses of orders"),
        "each",
        _(
            "Only orders in statuses with “load” are loaded, only states with “send” change the status there. Several states of ours may be "
            "sent as one status: add a row with the same status, “send” alone."
        ),
        columns=(Column("cancel", _("Cancels the order"), "choice", choices=(("", _("no")), ("yes", _("yes")))),),
        by_hand=True,
    ),
    Table(
        Subject.DELIVERY,
        "orders",
        _("Delivery services"),
        "both",
        _("What their delivery service is called here; a tracking number is sent with the service that the order has here."),
        by_hand=True,
    ),
    Table(
        Subject.PAYMENT_KIND,
        "orders",
        _("Payment kinds"),
        "in",
        _("What their way of payment is called here. Payments of a kind that is not to be loaded are left out of orders."),
        by_hand=True,
    ),
    Table(
        Subject.CANCEL_REASON,
        "orders",
        _("Reasons of cancellation"),
        "out",
        _("Which reason the marketplace is told when an order is cancelled here."),
        by_hand=True,
    ),
)


@dataclass(frozen=True)
class OrdersSettings:
    # --- orders ---
    organisation: str = setting(
        "",
        _("Organisation"),
        _("Goes with every order as its organisation."),
        tab="orders",
        kind="reference",
        subject=Subject.ORGANISATION,
        reparse=True,
    )
    agreement: str = setting(
        "",
        _("Agreement"),
        _("Goes with every order as its agreement, by name."),
        tab="orders",
        kind="reference",
        subject=Subject.AGREEMENT,
        reparse=True,
    )
    warehouse: str = setting(
        "",
        _("Warehouse"),
        _("Goes with every order as the warehouse from which it is shipped."),
        tab="orders",
        kind="reference",
        subject=Subject.WAREHOUSE,
        reparse=True,
    )
    manager: str = setting(
        "",
        _("Responsible person"),
        _("The manager of every order."),
        tab="orders",
        kind="reference",
        subject=Subject.MANAGER,
        reparse=True,
    )
    order_kind: str = setting(
        "",
        _("Kind of order"),
        _("Goes with every order as its kind."),
        tab="orders",
        kind="reference",
        subject=Subject.ORDER_KIND,
        reparse=True,
    )
    operation: str = setting(
        "",
        _("Operation"),
        _("Goes with every order as its operation."),
        tab="orders",
        kind="reference",
        subject=Subject.ORDER_OPERATION,
        reparse=True,
    )
    order_currency: str = setting(
        "",
        _("Currency of orders"),
        _("Of orders and their payments. Empty takes the currency that the marketplace says."),
        tab="orders",
        kind="reference",
        subject=Subject.CURRENCY,
        reparse=True,
    )
    number_prefix: str = setting(
        "",
        _("Prefix of order numbers"),
        _("Stands before the marketplace's number, so that orders of several marketplaces can be told apart: PR-, RZ-."),
        tab="orders",
        reparse=True,
    )
    comment: str = setting(
        "",
        _("Comment"),
        _("Stands before the buyer's own comment in every order."),
        tab="orders",
        reparse=True,
    )
    orders_from: str = setting(
        "",
        _("Load orders made since"),
        _("A date such as 2026-01-31; older orders are left out. Empty sets no limit."),
        tab="orders",
        reparse=True,
    )
    create_payments: bool = setting(
        True,
        _("Take payments"),
        _("What is paid over there becomes a payment of the order. Off: only whether the order is paid is taken."),
        tab="orders",
        reparse=True,
    )
    delivery_product: str = setting(
        "",
        _("Service for delivery"),
        _("The service of the books for the line of delivery, of orders whose sum holds it. Empty: the line has only a name."),
        tab="orders",
        kind="reference",
        subject="product",
        reparse=True,
    )
    default_delivery: str = setting(
        "",
        _("Delivery when nothing is mapped"),
        _("For orders whose delivery service is not in the table. Empty keeps the marketplace's own name of it."),
        tab="orders",
        kind="reference",
        subject=Subject.DELIVERY,
        reparse=True,
    )
    cancel_reason: str = setting(
        "",
        _("Reason of cancelling"),
        _("Of orders that are cancelled over there without a reason."),
        tab="orders",
        kind="reference",
        subject=Subject.CANCEL_REASON,
        reparse=True,
    )
    conflicts: str = setting(
        "theirs",
        _("When both sides changed an order"),
        _("Whose value counts where the same field was changed here and there. The other one is told in the journal."),
        tab="orders",
        choices=(("theirs", _("the marketplace's")), ("ours", _("ours"))),
    )
    send: tuple[str, ...] = setting(
        (STATE, CANCEL, TRACKING),
        _("Send of orders"),
        _("What of an order that came from there is told back, by the stream of statuses."),
        tab="orders",
        choices=((STATE, _("states")), (CANCEL, _("cancellations")), (TRACKING, _("tracking numbers"))),
    )
    default_reason: str = setting(
        "",
        _("Their reason when nothing is mapped"),
        _("Their id of the reason of cancellation for orders whose reason is not in the table. Empty sends none."),
        tab="orders",
    )
    cancel_text: str = setting(
        "Скасовано продавцем",
        _("Text of a cancellation"),
        _("Goes to the marketplace with a cancellation of an order that has no reason here."),
        tab="orders",
    )

    # --- counterparties ---
    create_buyers: bool = setting(
        True,
        _("Create counterparties"),
        _("Off: buyers are only looked for among the cards; an order of a stranger keeps the data of its buyer without a card."),
        tab="counterparties",
        reparse=True,
    )
    buyers_group: str = setting(
        "",
        _("Group of new counterparties"),
        _("Kept with a new card as its requisite “Группа”."),
        tab="counterparties",
        when="create_buyers",
    )
    buyer_properties: str = setting(
        SAME,
        _("Attributes of counterparties"),
        _(
            "Which attribute of a card gets which property of theirs; what is not listed is not taken. Theirs is one of last_name, first_name, "
            "middle_name, phone, email, address, or the path of a field of their order, such as client.id. An attribute that cards do not have "
            "becomes a requisite."
        ),
        tab="counterparties",
        kind="json",
        shape=Shape("properties", (("ours", _("attribute of the card"), ""), ("theirs", _("their property"), ""))),
        reparse=True,
    )
    buyers_policy: str = setting(
        "take",
        _("Data of counterparties"),
        _("What becomes of a card that is linked already when the marketplace says other data."),
        tab="counterparties",
        choices=(
            ("take", _("the marketplace's data replace ours")),
            ("if_empty", _("only what is empty here is filled in")),
            ("if_new", _("only new cards are filled in")),
        ),
    )

    # --- search ---
    unknown_goods: str = setting(
        PARK,
        _("Orders with goods that are not found"),
        _(
            "Goods of a line are looked for by the link of their card, then by the seller's code, then by the attributes of the match rules, the "
            "smallest priority first. Several cards that fit are always for a person to choose from."
        ),
        tab="search",
        choices=((PARK, _("wait until the goods are linked or corrected")), (LINE, _("are loaded, the line has only a name"))),
        reparse=True,
    )

    def __post_init__(self) -> None:
        """Raises NeedsOwner for what cannot work. A half that comes after this one in a marketplace's settings is asked, too."""
        if self.orders_from.strip():
            try:
                date.fromisoformat(self.orders_from.strip())
            except ValueError:
                raise NeedsOwner(_("“{value}” is no date: write it like 2026-01-31"), value=self.orders_from) from None
        list(self.properties_of_buyers())
        after = getattr(super(), "__post_init__", None)
        if after is not None:
            after()

    def properties_of_buyers(self) -> Iterator[tuple[str, str]]:
        """(attribute of the card, property of theirs). Raises NeedsOwner."""
        try:
            rows = json.loads(self.buyer_properties or "{}").get("properties", [])
            pairs = [(str(row.get("ours", "")).strip(), str(row.get("theirs", "")).strip()) for row in rows]
        except (ValueError, AttributeError, TypeError):
            raise NeedsOwner(
                _("The attributes of counterparties are no table: correct their JSON, or fill in its rows")
            ) from None
        for ours, theirs in pairs:
            if bool(ours) != bool(theirs):
                raise NeedsOwner(
                    _("Attributes of counterparties: “{value}” has no counterpart, fill in both sides"), value=ours or theirs
                )
            if ours:
                yield ours, theirs
