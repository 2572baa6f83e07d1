"""The goods that a person has picked for one connection, to send just these. Kept until the person clears the list."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Q

from obmen.store import models, notes

MOST = 5000  # of one list: a whole catalogue goes by its stream
PASTED = 2000  # values that are looked up at once


def read(connection: models.Connection, who: str) -> list[int]:
    """Ids of products, in the order in which they were added."""
    return [int(pk) for pk in notes.recall(connection, _name(who)) or ()]


def add(connection: models.Connection, who: str, ids: Iterable[int]) -> tuple[int, int]:
    """(how many were added, how many did not fit any more)."""
    with transaction.atomic():
        before = _locked(connection, who)
        known = set(before)
        fresh = [pk for pk in dict.fromkeys(ids) if pk not in known]
        room = max(0, MOST - len(before))
        if fresh[:room]:
            notes.remember(connection, _name(who), [*before, *fresh[:room]])
    return len(fresh[:room]), len(fresh[room:])


def remove(connection: models.Connection, who: str, ids: Collection[int]) -> None:
    with transaction.atomic():
        left = [pk for pk in _locked(connection, who) if pk not in ids]
        notes.remember(connection, _name(who), left or None)


def clear(connection: models.Connection, who: str) -> None:
    notes.remember(connection, _name(who), None)


def _locked(connection: models.Connection, who: str) -> list[int]:
    models.Connection.objects.select_for_update(of=("self",)).filter(pk=connection.pk).values_list("pk").first()
    return read(connection, who)


def _name(who: str) -> str:
    return f"picked:{who}"


@dataclass(slots=True)
class Pasted:
    """What a person's words were found to be: one product each, several that they could mean, or none."""

    found: dict[str, int] = field(default_factory=dict)
    several: dict[str, list[int]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def look_up(values: Sequence[str]) -> Pasted:
    """Articles, codes, barcodes or ids of products, as they stand on the card or on one of its offers; the first that finds any decides."""
    wanted = list(dict.fromkeys(v.strip() for v in values if v.strip()))[:PASTED]
    spelled = {way: v for v in wanted for way in (v.upper(), v.lower(), v)}  # as typed counts most
    by: dict[str, dict[str, list[int]]] = {name: {} for name in ("article", "code", "barcode", "key")}

    def note(pk: int, said: dict[str, str]) -> None:
        for name, text in said.items():
            if text in spelled:
                rows = by[name].setdefault(spelled[text], [])
                if pk not in rows:
                    rows.append(pk)

    asked = list(spelled)
    if asked:
        products = models.Product.objects.filter(deleted=False).filter(
            Q(article__in=asked) | Q(code__in=asked) | Q(barcode__in=asked) | Q(key__in=asked)
        )
        for pk, article, code, barcode, key in products.order_by("pk").values_list("pk", "article", "code", "barcode", "key"):
            note(pk, {"article": article, "code": code, "barcode": barcode, "key": key})
        offers = models.Offer.objects.filter(deleted=False, product__deleted=False).filter(
            Q(article__in=asked) | Q(barcode__in=asked) | Q(key__in=asked)
        )
        for pk, article, barcode, key in offers.order_by("pk").values_list("product_id", "article", "barcode", "key"):
            note(pk, {"article": article, "barcode": barcode, "key": key})
    out = Pasted()
    for value in wanted:
        rows = next((by[name][value] for name in by if value in by[name]), [])
        if len(rows) == 1:
            out.found[value] = rows[0]
        elif rows:
            out.several[value] = rows
        else:
            out.missing.append(value)
    return out
