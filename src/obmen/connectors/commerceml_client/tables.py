"""Mapping tables of orders, and how a shop's words are looked up in them: shops write names, in any case, with any padding."""

from __future__ import annotations

import re
from collections.abc import Iterator

from obmen.core.contract import Column, Hub, Mapped, Table
from obmen.core.records import Subject
from obmen.core.words import gettext_noop as _

DOCUMENTS = (("cash", _("Cash receipt")), ("bank", _("Receipt on a bank account")), ("card", _("Card payment")))

ORDER_TABLES = (
    Table(
        Subject.ORDER_STATE,
        "order-states",
        _("States: loading"),
        "in",
        _(
            "Their status, by id or by its name in the shop's language; case and spaces do not matter. Leave out what is not to be loaded."
        ),
        columns=(Column("cancel", _("Cancels the order"), "choice", choices=(("", _("no")), ("yes", _("yes")))),),
        by_hand=True,
    ),
    Table(
        Subject.ORDER_STATE,
        "order-states",
        _("States: sending"),
        "out",
        _("Which status an order gets in the shop, exactly as the shop spells it. A state that is not here changes no status."),
        by_hand=True,
    ),
    Table(
        Subject.PAYMENT_KIND,
        "order-payments",
        _("Payments"),
        "both",
        _("Their way of payment, by id or name, what it is called here, and which document it becomes."),
        columns=(Column("document", _("Document"), "choice", choices=DOCUMENTS),),
        by_hand=True,
    ),
    Table(
        Subject.DELIVERY,
        "order-payments",
        _("Delivery"),
        "in",
        _("Their way of delivery, by id or name, and what it is called here."),
        by_hand=True,
    ),
    Table(
        Subject.WAREHOUSE,
        "order-payments",
        _("Warehouses of orders"),
        "in",
        _("The warehouse or pickup point that an order names, by id or name. Others get the warehouse of the settings."),
        by_hand=True,
    ),
)

BRACKETED = re.compile(r"\[([^\]]+)\]\s*(.*)", re.S)  # Bitrix: "[N] Принят"


def folded(text: str) -> str:
    """The form in which two words of a shop are compared."""
    return " ".join(text.replace("\xa0", " ").split()).casefold()


def spellings(*said: str) -> Iterator[str]:
    """What a value may stand in a table by: its id, its name, and of "[N] Принят" either part."""
    for text in said:
        if text.strip():
            yield text
            if found := BRACKETED.fullmatch(text.strip()):
                yield from found.groups()


class Words:
    """One table, asked by what a shop writes."""

    def __init__(self, hub: Hub, subject: Subject) -> None:
        self.hub, self.subject = hub, subject
        self._rows: dict[str, Mapped] = {}
        for row in hub.rows(subject, "in"):
            self._rows.setdefault(folded(row.theirs), row)

    def __bool__(self) -> bool:
        return bool(self._rows)

    def find(self, *said: str) -> Mapped | None:
        """By the first of these words that stands in the table; None when nobody has decided on any."""
        return next((self._rows[word] for word in map(folded, spellings(*said)) if word in self._rows), None)

    def ask(self, ident: str, name: str = "") -> Mapped | None:
        """As ``find``; a value that nobody has decided on is counted, where it can be mapped with one click."""
        row = self.find(ident, name)
        if row is None and (ident.strip() or name.strip()):
            self.hub.unmapped(self.subject, ident.strip() or name.strip(), name.strip())
        return row
