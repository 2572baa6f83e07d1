"""What the words that the database keeps are called on a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from obmen.store import connections, models
from obmen.store.models import (
    Connection,
    Counterparty,
    Group,
    Offer,
    Order,
    Payment,
    Product,
    Property,
    Reference,
    Run,
    Shipment,
)
from obmen.web.words import say

KINDS = dict(models.KINDS)
SUBJECTS = dict(models.SUBJECTS)

# What CommerceML calls Строка, Число, Время, Справочник, Булево; an unknown kind is shown as it came.
VALUE_KINDS = {
    "string": _("text"),
    "number": _("numeric"),
    "datetime": _("date and time"),
    "dictionary": _("list of values"),
    "boolean": _("yes or no"),
}

# The names that new roles are given; people may rename them.
ROLES = {
    connections.OWNERS: _("Owners"),
    connections.OPERATORS: _("Exchange operators"),
    connections.VIEWERS: _("Viewers"),
    connections.INTEGRATIONS: _("Integrations"),
}

COUNTS = {
    "created": _("created"),
    "updated": _("changed"),
    "matched": _("found"),
    "changed": _("changed"),
    "unchanged": _("unchanged"),
    "skipped": _("left out"),
    "left_out": _("left out"),
    "parked": _("parked"),
    "failed": _("failed"),
    "deleted": _("marked for deletion"),
    "gone": _("gone over there"),
    "sent": _("sent"),
    "offered": _("offered"),
    "delivered": _("delivered"),
    "pictures": _("pictures"),
    "files": _("files"),
    "retried": _("retried"),
    "freed": _("freed"),
}

TRIGGERS = {
    "schedule": _("schedule"),
    "person": _("by hand"),
    "door": _("their call"),
    "cli": _("command line"),
    "retry": _("retry"),
}

STREAMS = {
    "products-in": _("products in"),
    "products-out": _("products out"),
    "offers-in": _("offers in"),
    "prices-in": _("prices in"),
    "prices-out": _("prices out"),
    "stock-in": _("stock in"),
    "stock-out": _("stock out"),
    "orders-in": _("orders in"),
    "orders-out": _("orders out"),
    "statuses-in": _("statuses in"),
    "statuses-out": _("statuses out"),
    "payments-in": _("payments in"),
    "payments-out": _("payments out"),
    "shipments-in": _("shipments in"),
    "counterparties-in": _("counterparties in"),
    "counterparties-out": _("counterparties out"),
    "references-in": _("references in"),
    "retry-parked": _("parked records"),
    "catalogue-in": _("catalogue in"),
}

TONES = {
    "waiting": "info",
    "running": "primary",
    "done": "success",
    "failed": "danger",
    "needs_owner": "danger",
    "postponed": "warning",
    "stopped": "warning",
    "info": "info",
    "warning": "warning",
    "error": "danger",
}

RUN_LABELS = {choice.label: TONES[choice.value] for choice in Run.State}

ATTRIBUTES = {
    "article": _("article"),
    "barcode": _("barcode"),
    "code": _("code"),
    "name": _("name"),
    "inn": _("INN"),
    "okpo": _("EDRPOU / OKPO"),
    "phone": _("phone"),
    "email": _("e-mail"),
}

MODELS = (Product, Offer, Order, Counterparty, Group, Property, Reference, Payment, Shipment, Connection)
EXTRA_FIELDS = {
    "lines": _("lines"),
    "payments": _("payments"),
    "shipments": _("shipments"),
    "prices": _("prices"),
    "stock": _("stock"),
    "address": _("address"),
    "legal_address": _("legal address"),
    "contacts": _("contacts"),
    "buyer": _("buyer"),
    "extra": _("other"),
    "parent": _("parent"),
    "characteristics": _("characteristics"),
    "delivery": _("delivery"),
    "weight": _("weight"),
}


# What the journal keeps as a code; the facts in brackets are those that the code is written with.
ACTIONS = {
    "connection.made": _("Connection added: {name}"),
    "connection.changed": _("Settings changed: {changes}"),
    "connection.removed": _("Connection removed: {name}"),
    "connection.password": _("New password for the machine account"),
    "connection.switched_on": _("Switched on"),
    "connection.switched_off": _("Switched off"),
    "stream.changed": _("Stream {stream} changed: {changes}"),
    "mappings.changed": _("Mappings changed: {values}"),
    "rules.changed": _("Match rules changed"),
    "run.stop_asked": _("Run {run}: asked to stop"),
}


def deed(action: str, facts: Mapping[str, Any]) -> str:
    """A line of the journal as a sentence; facts that the sentence does not name follow in brackets."""
    sentence = str(ACTIONS.get(action, action))
    shown = {k: _changes(v) if k == "changes" and isinstance(v, dict) else v for k, v in facts.items()}
    text = say(sentence, shown)
    rest = [f"{field(k)}: {v}" for k, v in shown.items() if "{" + k + "}" not in sentence and not isinstance(v, dict | list)]
    return f"{text} ({', '.join(rest)})" if rest else text


def _changes(changes: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{name}: {old if old not in (None, '') else '–'} → {new if new not in (None, '') else '–'}"
        for name, (old, new) in changes.items()
    )


def field(name: str) -> str:
    if name in EXTRA_FIELDS:
        return str(EXTRA_FIELDS[name])
    for model in MODELS:
        for f in model._meta.fields:
            if f.name == name:
                return str(f.verbose_name)
    return name


def role(name: str) -> str:
    return str(ROLES.get(name, name))


def stream(name: str) -> str:
    return str(STREAMS.get(name, name))
