"""A parked record that fits several cards: which one it is, said by a person."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction
from django.db.models import QuerySet

from obmen.core.contract import NeedsOwner
from obmen.core.records import Kind
from obmen.core.words import gettext_noop as _
from obmen.store import models
from obmen.store.journal import note

KINDS = {Kind.PRODUCT: models.Product, Kind.OFFER: models.Offer, Kind.COUNTERPARTY: models.Counterparty}

NOT_PARKED = _("This record does not wait for a decision any more: look at the list of parked records")
NO_CANDIDATE = _("This card is none of those that fit the record: try it again, and choose from what is shown then")
TOLD = _(
    "These goods are on sale over there as “{other}” already, and nothing would tell it that they are sold out. Archive or delete “{other}”"
    " over there and load the products, then try again; or make separate goods in the books for “{this}”"
)


def asked(parked: models.Parked) -> tuple[Kind, str] | None:
    """Of what a person is to say which card it is: its kind and their id of it. Of an order it is the goods of one of its lines,
    ``site_id`` of the facts. None when the record waits for no such decision."""
    if parked.direction != "in" or not isinstance(parked.facts.get("candidates"), list):
        return None
    if parked.kind in KINDS:
        return Kind(parked.kind), parked.external_id
    site_id = str(parked.facts.get("site_id") or "")
    return (Kind.OFFER, site_id[:300]) if parked.kind == Kind.ORDER and site_id else None


def can_be_new(parked: models.Parked) -> bool:
    """Whether the record itself is what becomes a card: goods of an order's line do not."""
    return asked(parked) is not None and parked.kind in KINDS


def candidates(parked: models.Parked) -> list[int]:
    """Ids of the cards that fit; empty when the record waits for no such decision."""
    return [int(pk) for pk in parked.facts["candidates"] if str(pk).isdigit()] if asked(parked) else []


def linked_as(parked: models.Parked, card: int) -> str:
    """What the connection calls this card already; "" when it has not met it."""
    found = asked(parked)
    row = _links(parked, found[0]).filter(record_id=card).first() if found else None
    return row.external_id if row else ""


def _links(parked: models.Parked, kind: Kind) -> QuerySet[models.Link]:
    return models.Link.objects.filter(connection=parked.connection_id, kind=kind)


def _is_told(parked: models.Parked, card: int, there: str) -> bool:
    """Whether the card there, which is not gone, was told the stock of these goods."""
    told = _links(parked, Kind.STOCK).filter(record_id=card, external_id=there).exclude(sent=b"")
    return _links(parked, Kind.OFFER).filter(record_id=card, gone=False).exists() and told.exists()


@transaction.atomic
def join(parked: models.Parked, card: int, who: str) -> None:
    """The parked record is this card: linked for its connection, so that trying it again finds it. A card that was linked to another
    record of theirs is that one no more; goods are not taken from a card over there that was told their stock, since it would be told
    no 0 any more and stay on sale. Orders that came without their buyer get it. Raises NeedsOwner."""
    if not models.Parked.objects.select_for_update().filter(pk=parked.pk).exists():
        raise NeedsOwner(NOT_PARKED)
    found = asked(parked)
    if found is None or card not in candidates(parked) or not KINDS[found[0]].objects.filter(pk=card).exists():
        raise NeedsOwner(NO_CANDIDATE)
    kind, ident = found
    before = linked_as(parked, card)
    if kind is Kind.OFFER and before != ident and _is_told(parked, card, before):
        raise NeedsOwner(TOLD, other=before, this=ident)
    _links(parked, kind).filter(external_id=ident).exclude(record_id=card).delete()
    values = {"external_id": ident, "seen": b"", "sent": b"", "gone": False}
    models.Link.objects.update_or_create(connection_id=parked.connection_id, kind=kind, record_id=card, defaults=values)
    if kind is Kind.COUNTERPARTY:
        give_orders(parked.connection, ident, card)
    note(parked.connection, "parked.joined", who, of=(kind, card), external_id=ident, instead_of=before)


def make_new(parked: models.Parked, who: str) -> None:
    """A person decided that none of the candidates is meant: the journal says so; the retry makes the card."""
    note(parked.connection, "parked.new", who, kind=parked.kind, external_id=parked.external_id)


def give_all_orders(connection: models.Connection, cards: Mapping[str, int]) -> None:
    """As ``give_orders`` for many new links: orders that came while no cards were to be made."""
    if cards:
        waiting = models.Order.objects.filter(source=connection, counterparty=None, buyer__key__in=list(cards))
        for pk, key in list(waiting.values_list("pk", "buyer__key")):
            models.Order.objects.filter(pk=pk).update(counterparty_id=cards[key])


def give_orders(connection: models.Connection, external_id: str, card: int) -> None:
    """Orders that came while their buyer was parked."""
    waiting = models.Order.objects.filter(source=connection, counterparty=None, buyer__key=external_id)
    waiting.update(counterparty_id=card)
