"""Match rules: how a stranger finds its existing card. Pure; every match says why.

The store looks the values up (``wanted`` → cards), this module decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Match:
    """``record_id`` is the card that was found, None for a true stranger. Several candidates are a conflict, never a guess."""

    record_id: int | None = None
    why: str = ""
    candidates: tuple[int, ...] = ()
    taken_by: str = ""  # their other id that already has the card, or another stranger of the same page


def normalise(attribute: str, value: object) -> str:
    """The form in which two values of an attribute are compared."""
    text = str(value or "").replace("\xa0", " ").strip()
    if attribute == "phone":
        digits = "".join(c for c in text if c.isdigit())
        return digits[-10:] if len(digits) >= 10 else digits
    if attribute in ("email", "article", "code", "name"):
        return " ".join(text.split()).casefold()
    return "".join(text.split())


def wanted(record: Any, attributes: Sequence[str]) -> list[tuple[str, str]]:
    """(attribute, normalised value) of a record by priority, empty values left out."""
    found = ((a, normalise(a, getattr(record, a, ""))) for a in attributes)
    return [(a, v) for a, v in found if v]


def choose(asked: Sequence[tuple[str, str]], cards: Mapping[tuple[str, str], Sequence[int]]) -> Match:
    """The first attribute that finds a card decides; if it finds several, that is a conflict for a person."""
    for attribute, value in asked:
        ids = tuple(dict.fromkeys(cards.get((attribute, value), ())))
        if len(ids) == 1:
            return Match(ids[0], f"{attribute} = {value}", ids)
        if ids:
            return Match(None, f"{attribute} = {value}", ids)
    return Match()
