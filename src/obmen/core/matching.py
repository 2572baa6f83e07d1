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
    refused: Any = None  # the BadRecord with which a stranger without a card is parked
    left_out: bool = False  # a stranger without a card of which nothing is made


def normalise(attribute: str, value: object) -> str:
    """The form in which two values of an attribute are compared; "" for what tells nothing. A phone of fewer than ten digits is one
    within a house or a town: strangers have the same."""
    text = str(value or "").replace("\xa0", " ").strip()
    if attribute == "phone":
        digits = "".join(c for c in text if c.isdigit())
        return digits[-10:] if len(digits) >= 10 else ""
    if attribute in ("email", "article", "code", "name"):
        return " ".join(text.split()).casefold()
    return "".join(text.split())


MADE_OF = {"inn_kpp": ("inn", "kpp"), "company_name": ("kind", "name")}  # attributes that several fields tell together


def own_id(known_by: str, key: str, code: str, article: str) -> str:
    """Our id of an offer as other systems are told it, by ``contract.Listings.known_by``: marketplaces take no # in ids."""
    return {"key": key.replace("#", "-"), "code": code, "article": article}[known_by].strip()


def fields_of(attribute: str) -> tuple[str, ...]:
    return MADE_OF.get(attribute, (attribute,))


def valued(attribute: str, parts: Sequence[object]) -> str:
    """The normalised value of an attribute by the values of its fields; "" when it tells nothing."""
    if attribute == "inn_kpp":
        inn, kpp = (normalise("inn", part) for part in parts)
        return f"{inn}/{kpp}" if inn else ""
    if attribute == "company_name":
        kind, name = parts
        return "" if kind == "person" else normalise("name", name)
    return normalise(attribute, parts[0])


def wanted(record: Any, attributes: Sequence[str]) -> list[tuple[str, str]]:
    """(attribute, normalised value) of a record by priority, empty values left out."""
    found = ((a, valued(a, [getattr(record, name, "") for name in fields_of(a)])) for a in attributes)
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
