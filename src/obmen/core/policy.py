"""Who owns a field: what said values do to the books' values. Pure.

``take``      the source owns the field: its value replaces ours (also an empty one; "not said" never does)
``keep``      the books own it: the source's value is ignored
``if_new``    taken when the card is made, kept afterwards
``if_empty``  taken while ours is empty
``append``    lists only: theirs that we lack are added behind ours

Orders of those who tell them whole have none of these: what either side changed is taken, and where both changed a field
``theirs`` or ``ours`` says who wins (core/orders.py: merge).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

POLICIES = ("take", "keep", "if_new", "if_empty", "append")


def merge(ours: Mapping[str, Any], said: Mapping[str, Any], owners: Mapping[str, str]) -> dict[str, Any]:
    """The fields of ``said`` that change ``ours``: {field: new value}. A value of None was not said.

    ``owners`` maps a field to its policy; "take" where it is silent.
    """
    changed: dict[str, Any] = {}
    for field, value in said.items():
        if value is None:
            continue
        old = ours[field]
        if old == value:
            continue
        owner = owners.get(field, "take")
        if owner == "take" or (owner == "if_empty" and not old):
            changed[field] = value
        elif owner == "append" and isinstance(value, list):
            added = [v for v in value if v not in old]
            if added:
                changed[field] = [*old, *added]
    return changed
