"""Whose word a field of a card is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from obmen.web.templatetags.obmen import amount, money, shown

register = template.Library()


# What the words of systems do to a field, by policy (core/policy.py): behind the value, and in full below the card.
RULINGS = {
    "take": (_("decided by %(names)s"), _("what it says replaces what stands here, also what was edited here")),
    "theirs": (
        _("shared with %(names)s, whose word wins a conflict"),
        _("changes from there and from here are both taken; where both changed the same, the system's word counts"),
    ),
    "ours": (
        _("shared with %(names)s, ours wins a conflict"),
        _("changes from there and from here are both taken; where both changed the same, what stands here counts"),
    ),
    "append": (_("added to by %(names)s"), _("what it names and is missing here is added, nothing is taken away")),
    "if_empty": (_("filled by %(names)s while empty"), _("its word is taken only where nothing stands here")),
    "if_new": (_("set once by %(names)s"), _("its word was taken when the record was made, and is not any more")),
    "keep": (_("not taken from %(names)s"), _("it says this too, and is not listened to")),
}


@register.simple_tag(takes_context=True)
def whose(context: Mapping[str, Any], said: Mapping[str, Any], *fields: str) -> str:
    """Small marks behind a value: from which system it came, or who changed it here, and whose word counts for it. ``fields``: the newest
    of them counts; one that was never changed is still as the record came."""
    ruled = _ruling(context.get("systems") or (), fields[0])
    rule = format_html(' <span class="o-from o-rule">{}</span>', ruled) if ruled else ""
    changed = [said[field] for field in fields if field in said]
    word = max(changed, key=lambda one: one.at) if changed else said.get("")
    if word is None or not (word.system or word.who):
        return rule
    at = date_format(timezone.localtime(word.at), "j.m.Y H:i")
    if word.system:
        text = now_("from %(system)s") % {"system": word.system}
        return format_html('<span class="o-from" title="{}">{}</span>{}', at, text, rule)
    text = now_("edited here by %(who)s") % {"who": word.who}
    return format_html('<span class="o-from o-here" title="{}">{}</span>{}', at, text, rule)


def _ruling(systems: Sequence[Any], field: str) -> str:
    """Whose word counts for a field, in words; "" when no system that knows the record is listened to."""
    names: dict[str, list[str]] = {}
    for system in systems:
        if policy := _policy(system.owners, field):
            names.setdefault(policy, []).append(system.name)
    return "; ".join(str(RULINGS[policy][0]) % {"names": ", ".join(names[policy])} for policy in RULINGS if policy in names)


def _policy(owners: Mapping[str, str], field: str) -> str:
    return owners.get(field, owners.get("", ""))


@register.simple_tag
def rulings(systems: Sequence[Any]) -> list[tuple[str, str]]:
    """The legend: (mark, what it means) for each policy that a system of this card has."""
    here = {policy for system in systems for policy in system.owners.values()}
    return [(str(mark) % {"names": "…"}, str(words)) for policy, (mark, words) in RULINGS.items() if policy in here]


@register.filter
def told(value: Any, name: str) -> str:
    """A value of a field's history as a person says it: lines of an order by goods and sums, a buyer by name and phone."""
    if name in ("total", "discount") and value not in (None, ""):
        return money(value)
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list) or not value or not all(isinstance(one, dict) for one in value):
        return shown(value)
    parts = [_part(one, name) for one in value]
    return "; ".join(parts[:MOST]) + (" …" if len(parts) > MOST else "")


MOST = 20  # parts of one value that are named
TOLD = {
    "counterparty": ("name", "phone", "email"),
    "delivery": ("method", "address", "recipient", "phone", "tracking", "comment"),
    "shipments": ("number", "method", "tracking"),
    "payments": ("method", "number"),
}


def _part(one: Mapping[str, Any], name: str) -> str:
    if name == "lines":
        return f"{one.get('name', '')} × {amount(one.get('quantity'))} = {money(one.get('total'))}"
    said = [str(one[field]) for field in TOLD.get(name, tuple(one)) if one.get(field) not in (None, "", [], {})]
    if name == "payments":
        said = [money(one.get("amount")), *said, now_("paid") if one.get("paid") else now_("not paid")]
    if name == "shipments":
        said.append(now_("shipped") if one.get("shipped") else now_("not shipped"))
    if name == "delivery" and one.get("price") not in (None, ""):
        said.append(money(one["price"]))
    return ", ".join(said) or "–"
