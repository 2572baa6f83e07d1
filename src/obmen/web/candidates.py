"""The cards that a parked record could be, as a person tells them apart."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as now_

from obmen.core.records import Kind
from obmen.store import joining, models

KNOWN_BY = {
    Kind.PRODUCT: ("article", "code", "barcode"),
    Kind.OFFER: ("article", "barcode"),
    Kind.COUNTERPARTY: ("phone", "email", "inn", "okpo"),
}
PAGES = {Kind.PRODUCT: "product", Kind.OFFER: "offer", Kind.COUNTERPARTY: "counterparty"}
MOST = 50


def shown(parked: models.Parked) -> list[dict[str, Any]]:
    """One row for each candidate, in two queries; a card that is gone meanwhile says so and cannot be chosen."""
    ids, asked = joining.candidates(parked)[:MOST], joining.asked(parked)
    if not ids or asked is None:
        return []
    kind = asked[0]
    model = joining.KINDS[kind]
    cards = model.objects.select_related("product").in_bulk(ids) if kind is Kind.OFFER else model.objects.in_bulk(ids)
    links = models.Link.objects.filter(kind=kind, record_id__in=ids).select_related("connection").order_by("connection_id")
    linked: dict[int, list[tuple[str, str, bool]]] = {}
    for link in links:
        here = link.connection_id == parked.connection_id
        linked.setdefault(link.record_id, []).append((link.connection.name, link.external_id, here))
    return [_row(pk, cards.get(pk), kind, linked.get(pk, [])) for pk in ids]


def _row(pk: int, card: Any, kind: Kind, linked: list[tuple[str, str, bool]]) -> dict[str, Any]:
    if card is None:
        return {"pk": pk, "name": now_("This card is there no more"), "gone": True, "known": [], "links": linked, "key": ""}
    fields = {f.name: f for f in card._meta.fields}
    name = str(card)
    if kind is Kind.OFFER and not card.name and card.product_id:
        name = str(card.product)
    return {
        "pk": pk,
        "name": name,
        "key": card.key,
        "deleted": card.deleted,
        "known": [(fields[n].verbose_name, getattr(card, n)) for n in KNOWN_BY[kind] if getattr(card, n)],
        "links": linked,
        "url": reverse(f"admin:store_{PAGES[kind]}_change", args=[pk]),
    }
