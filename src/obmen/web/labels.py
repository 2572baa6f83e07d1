"""What the words that the database keeps are called on a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib.auth.models import Group as Role
from django.contrib.auth.models import User
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from obmen.store import connections, models
from obmen.store.models import (
    Connection,
    Counterparty,
    Group,
    Offer,
    Order,
    Payment,
    Person,
    Product,
    Property,
    Reference,
    RoleRule,
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
    "skipped": _("skipped"),
    "left_out": _("left out"),
    "parked": _("parked"),
    "failed": _("failed"),
    "deleted": _("marked for deletion"),
    "gone": _("gone over there"),
    "sent": _("sent"),
    "would_write": _("would be sent"),
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
    "offers-out": _("offers out"),
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
    "customers-in": _("customers in"),
    "references-in": _("references in"),
    "catalogue-out": _("catalogue file"),
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
    "members": _("members"),
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
    "their id": _("their id"),
}


# What the journal keeps as a code; the facts in brackets are those that the code is written with.
ACTIONS = {
    "connection.made": _("Connection added: {name}"),
    "connection.changed": _("Settings changed: {changes}"),
    "connection.removed": _("Connection removed: {name}"),
    "connection.password": _("New password for the machine account"),
    "connection.login": _("Another login for the connection"),
    "connection.switched_on": _("Switched on"),
    "connection.switched_off": _("Switched off"),
    "connection.paused": _("Paused until {until}"),
    "connection.resumed": _("Pause ended"),
    "connection.copied": _("Copied from the connection “{source}”"),
    "stream.changed": _("Stream {stream} changed: {changes}"),
    "connection.exported": _("Settings saved to a file"),
    "connection.hook": _("New wake-up address"),
    "feed.token": _("New address of the file {feed}"),
    "bookmark.set": _("Bookmark of {stream} set from “{before}” to “{after}”"),
    "reference.added": _("{subject}: “{name}” added to the books"),
    "mappings.changed": _("Mappings changed: {values}"),
    "mappings.undone": _("A save of mappings taken back: {values}"),
    "mappings.redone": _("A save of mappings that was taken back made once more: {values}"),
    "mappings.refreshed": _("{subject}: list loaded from the other system, {new} new, {gone} vanished"),
    "mappings.cleared": _("{subject}: table of {rows} rows cleared"),
    "rules.changed": _("Match rules changed"),
    "person.added": _("Person added: {person}"),
    "person.changed": _("Person {person}: {changes}"),
    "person.removed": _("Person removed: {person}"),
    "person.password": _("New password for {person}"),
    "person.invited": _("Invitation link made for {person}"),
    "person.signed_out": _("{person} signed out everywhere"),
    "role.added": _("Role added: {role}"),
    "role.changed": _("Role {role}: {changes}"),
    "role.removed": _("Role removed: {role}"),
    "factor.on": _("Second factor of {person} switched on"),
    "factor.off": _("Second factor of {person} switched off"),
    "factor.codes": _("New recovery codes for {person}"),
    "factor.recovered": _("{person} used a recovery code, {left} left"),
    "reference.changed": _("{subject} “{name}” changed: {changes}"),
    "order.held": _("Order {number} put on hold: {reason}"),
    "order.released": _("Order {number} released"),
    "order.resent": _("Order {number} is to be sent again"),
    "order.delivered": _("Confirmed version {revision}"),
    "order-news": _("They changed the order: {changes}"),
    "order-conflict": _("Both sides changed the order: {changes}"),
    "token.made": _("API token “{name}” of {login} made, it may: {scopes}"),
    "token.revoked": _("API token “{name}” of {login} revoked"),
    "token.locked_out": _("Too many wrong API tokens from {address}"),
    "run.stop_asked": _("Run {run}: asked to stop"),
    "run.decided": _("Run {run}: as decided in its preview, {accepted} accepted, {skipped} skipped"),
    "run.allowed": _("Run {run}: allowed once to change more than its limit"),
    "format.added": _("Exchange format {key}: version {version} installed"),
    "format.removed": _("Exchange format {key} removed"),
    "publisher.trusted": _("Publisher trusted: {name}"),
    "publisher.distrusted": _("Publisher no longer trusted: {name}"),
    "licence.entered": _("Licence of {key} entered for the login {login}"),
    "licence.checked": _("Licence of {key} checked"),
    "notices.made": _("Notice channel added: {name}"),
    "notices.changed": _("Notice channel “{name}” changed: {changes}"),
    "notices.removed": _("Notice channel removed: {name}"),
    "notices.tested": _("Test notice sent by “{name}”"),
    "notices.limits": _("What counts as trouble changed: {changes}"),
    "card.linked": _("Card {external_id} is linked: {why}"),
    "parked.joined": _("Parked record {external_id}: it is this card"),
    "parked.new": _("Parked record {external_id}: a new card is made of it"),
    "defaults.read": _(
        "Defaults read from the format: {settings} settings, {streams} streams, {rules} match rules, {rows} rows of tables"
    ),
}


CHANGES = {  # lines that used to be written without old and new, and are there still
    "mappings.changed": _("Mappings changed: {changes}"),
    "rules.changed": _("Match rules changed: {changes}"),
}


def deed(action: str, facts: Mapping[str, Any]) -> str:
    """A line of the journal as a sentence; facts that the sentence does not name follow in brackets."""
    sentence = str(ACTIONS.get(action, action))
    if action in CHANGES and facts.get("changes"):
        sentence, facts = str(CHANGES[action]), {k: v for k, v in facts.items() if k != "values"}
    in_words = action.partition(".")[0] in ("person", "role", "reference", "rules")
    shown = {
        k: _changes(v, _name_of if in_words else str) if k == "changes" and isinstance(v, dict) else v
        for k, v in facts.items()
        if k != "direction"
    }
    if "role" in shown:
        shown["role"] = role(str(shown["role"]))
    if "subject" in shown:
        shown["subject"] = capfirst(str(SUBJECTS.get(str(shown["subject"]), shown["subject"])))
    text = say(sentence, shown)
    rest = [f"{field(k)}: {v}" for k, v in shown.items() if "{" + k + "}" not in sentence and not isinstance(v, dict | list)]
    return f"{text} ({', '.join(rest)})" if rest else text


def _name_of(name: str) -> str:
    if name in KINDS:
        return str(KINDS[name])
    for model in (Person, RoleRule, User, Role):
        for f in (*model._meta.fields, *model._meta.many_to_many):
            if f.name == name:
                return str(f.verbose_name)
    return field(name)


def _changes(changes: Mapping[str, Any], name_of: Callable[[str], str] = str) -> str:
    return "; ".join(
        f"{name_of(name)}: {old if old not in (None, '') else '–'} → {new if new not in (None, '') else '–'}"
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
