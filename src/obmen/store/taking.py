"""Orders and customers that another system tells whole (an API, not a 1C that answers to ours), a page at a time.

Their word is merged field by field with what the books hold (core/orders.py: merge), with the help of their last word, which is
kept. A page costs a few statements, however many orders it holds: a first load brings tens of thousands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec
from django.db.models import F, QuerySet

from obmen.core import orders as folding
from obmen.core import policy
from obmen.core.engine import CREATED, MATCHED, UNCHANGED, UPDATED, Said
from obmen.core.records import Counterparty, Kind, Offer, Order, Payment
from obmen.store import journal, models, outbox, reservations, timeline
from obmen.store.orders import (
    card_key,
    columns,
    compare,
    counterparty_values,
    create,
    history_row,
    normal,
    order_record,
    save_counterparty,
    with_parts,
    write_parts,
)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one order: ``told`` says that they have all of it, so that nothing of it waits to be sent."""

    said: Said
    record_id: int
    revision: int
    outcome: str
    told: bool


def copies(connection: models.Connection, kind: Kind, ids: Sequence[int]) -> dict[int, Any]:
    """Their last word about these records, as a record of core.records."""
    rows = models.TheirCopy.objects.filter(connection=connection, kind=kind, record_id__in=ids)
    type_ = Order if kind is Kind.ORDER else Offer
    return {row.record_id: msgspec.convert(row.record, type_, strict=False) for row in rows}


def untold(copy: Order) -> Order:
    """Their copy as if they had never been told what we change of an order of theirs: compared with it, all of that is told again."""
    delivery = None if copy.delivery is None else replace(copy.delivery, tracking="")
    return replace(copy, state="", comment="", manager="", cancelled=False, shipped=None, delivery=delivery)


def keep_copies(connection: models.Connection, kind: Kind, records: Mapping[int, Order | Offer]) -> None:
    models.TheirCopy.objects.bulk_create(
        [
            models.TheirCopy(connection=connection, kind=kind, record_id=pk, record=_plain(record))
            for pk, record in records.items()
        ],
        update_conflicts=True,
        unique_fields=["connection", "kind", "record_id"],
        update_fields=["record"],
    )


def _plain(record: Order | Offer) -> Any:
    if isinstance(record, Order):
        return msgspec.to_builtins(replace(record, known_as=""))
    said = msgspec.to_builtins(replace(record, known_as="", card=None))
    return {name: value for name, value in said.items() if value not in (None, "")}  # there are a hundred thousand of them


def take_orders(
    said: Sequence[Said],
    connection: models.Connection,
    run: models.Run | None,
    now: datetime,
    *,
    keep_ours: bool = False,
    cards: Mapping[str, int | None] | None = None,
) -> list[Taken]:
    """Put a page of their orders into the books, inside the page's transaction. Every ``said.record`` is a core Order.

    ``cards``: buyers' cards that are known already, by the buyer's key; None where several fit, and a person decides.
    """
    rows = _rows(said, models.Order.objects.select_for_update(of=("self",)))
    before = copies(connection, Kind.ORDER, list(rows))
    cards = _cards(said, connection, now, cards or {})
    payments = _payments_here(said, connection)
    taken: list[Taken] = []
    theirs: dict[int, Order] = {}
    fresh: list[tuple[Said, Order]] = []
    news: list[tuple[int, int]] = []
    changed: list[tuple[int, Order, Order]] = []
    lines: list[models.RecordChange] = []
    for s in said:
        row = rows.get(s.record_id or 0)
        if row is None:
            fresh.append((s, normal(s.record)))
            continue
        ours, said_order, merged = _merged(s, row, before, payments, keep_ours)
        after = normal(merged.order)
        differences = compare(ours, after)
        theirs[row.pk] = said_order
        revision = row.revision + bool(differences)
        if differences:
            _update(row, after, differences, cards, connection, revision, now)
            lines.append(history_row(row.pk, revision, differences, run, now))
            news.append((row.pk, revision))
            changed.append((row.pk, ours, after))
        _journal(connection, row.pk, merged.conflicts, now)
        told = not compare(after, said_order)
        taken.append(Taken(s, row.pk, revision, UPDATED if differences else UNCHANGED, told))
    for (s, order), made in zip(fresh, _create(fresh, cards, connection, run, now), strict=True):
        theirs[made.pk] = replace(order, key=made.key)
        taken.append(Taken(s, made.pk, 1, CREATED, True))
    models.RecordChange.objects.bulk_create(lines)
    timeline.note(timeline.What.CHANGED, connection, Kind.ORDER, news, now, run=run)
    outbox.tell_all(Kind.ORDER, news, connection, now)
    for pk, ours, after in changed:
        reservations.follow(pk, ours, after, connection, now)
    keep_copies(connection, Kind.ORDER, theirs)
    _link_payments(said, taken, connection, now)
    return taken


def look_at_orders(said: Sequence[Said], connection: models.Connection, *, keep_ours: bool) -> list[tuple[Order | None, Order]]:
    """What ``take_orders`` would make of each: (as it is in the books, None for a new one; as it would be). Writes nothing."""
    rows = _rows(said, models.Order.objects.all())
    before = copies(connection, Kind.ORDER, list(rows))
    payments = _payments_here(said, connection)
    looked: list[tuple[Order | None, Order]] = []
    for s in said:
        row = rows.get(s.record_id or 0)
        if row is None:
            looked.append((None, normal(s.record)))
        else:
            ours, _theirs, merged = _merged(s, row, before, payments, keep_ours)
            looked.append((ours, normal(merged.order)))
    return looked


def _rows(said: Sequence[Said], table: QuerySet[models.Order]) -> dict[int, models.Order]:
    known = [s.record_id for s in said if s.record_id is not None]
    return {row.pk: row for row in with_parts(table.order_by("pk")).filter(pk__in=known)}


def _merged(
    s: Said, row: models.Order, before: Mapping[int, Order], payments: Mapping[str, str], keep_ours: bool
) -> tuple[Order, Order, folding.Merged]:
    """(ours, theirs in our keys, what comes of both)."""
    ours = order_record(row)
    theirs = normal(replace(_in_our_keys(s.record, ours, payments), key=ours.key))
    return ours, theirs, folding.merge(ours, before.get(row.pk), theirs, keep_ours=keep_ours)


def _update(
    row: models.Order,
    after: Order,
    differences: Mapping[str, Any],
    cards: Mapping[str, int | None],
    connection: models.Connection,
    revision: int,
    now: datetime,
) -> None:
    values = columns(after, differences) | {"revision": revision, "changed": now}
    if "counterparty" in differences and after.counterparty is not None:
        values["counterparty_id"] = cards.get(card_key(after.counterparty))
    models.Order.objects.filter(pk=row.pk).update(**values)
    row.revision = revision
    write_parts(row, after, connection, now, only=differences)


def _create(
    fresh: Sequence[tuple[Said, Order]],
    cards: Mapping[str, int | None],
    connection: models.Connection,
    run: models.Run | None,
    now: datetime,
) -> list[models.Order]:
    """New orders; one whose id another system's order has already is told apart by the connection's name."""
    if not fresh:
        return []
    taken = set(models.Order.objects.filter(key__in=[order.key for _s, order in fresh]).values_list("key", flat=True))
    orders = [replace(o, key=f"{o.key}@{connection.slug}", known_as="") if o.key in taken else o for _s, o in fresh]
    return create([normal(order) for order in orders], connection, run, now, cards)


def _journal(connection: models.Connection, record_id: int, conflicts: Sequence[tuple[str, Any, Any]], now: datetime) -> None:
    if conflicts:
        journal.note(connection, "order-conflict", connection.name, of=(Kind.ORDER, record_id), at=now, changes=conflicts)


# --- payments --------------------------------------------------------------------------------------------------------------


def _payments_here(said: Sequence[Said], connection: models.Connection) -> dict[str, str]:
    """Our key for each of their payments that is linked."""
    ids = [p.key for s in said for p in s.record.payments]
    links = models.Link.objects.filter(connection=connection, kind=Kind.PAYMENT, external_id__in=ids)
    found = dict(links.values_list("external_id", "record_id"))
    keys = dict(models.Payment.objects.filter(pk__in=found.values()).values_list("pk", "key"))
    return {theirs: keys[pk] for theirs, pk in found.items() if pk in keys}


def _in_our_keys(order: Order, ours: Order, linked: Mapping[str, str]) -> Order:
    """Their payments under our keys: by link, else where they say our key back and the payment is one of this order."""
    own = {p.key for p in ours.payments}

    def key(payment: Payment) -> str:
        known = linked.get(payment.key)
        if known in own:
            return str(known)
        return payment.known_as if payment.known_as in own else payment.key

    return replace(order, payments=tuple(replace(p, key=key(p), known_as="") for p in order.payments))


def _link_payments(said: Sequence[Said], taken: Sequence[Taken], connection: models.Connection, now: datetime) -> None:
    """Each of their payments gets its link, so that ours of it goes out as an edit; links of payments that are gone go, too."""
    order_of = {id(t.said): t.record_id for t in taken}
    wanted = {(order_of[id(s)], p.key): p for s in said for p in s.record.payments if id(s) in order_of}
    if not wanted:
        return
    rows = {
        (order, key): pk
        for pk, order, key in models.Payment.objects.filter(order__in=set(order_of.values())).values_list("pk", "order_id", "key")
    }
    linked = set(
        models.Link.objects.filter(
            connection=connection, kind=Kind.PAYMENT, external_id__in=[key for _order, key in wanted]
        ).values_list("external_id", flat=True)
    )
    models.Link.objects.bulk_create(
        [
            models.Link(connection=connection, kind=Kind.PAYMENT, external_id=key, record_id=pk)
            for (order, key), payment in wanted.items()
            if key not in linked and (pk := rows.get((order, key)) or rows.get((order, payment.known_as)))
        ],
        ignore_conflicts=True,
    )


# --- customers -------------------------------------------------------------------------------------------------------------


def _cards(
    said: Sequence[Said], connection: models.Connection, now: datetime, decided: Mapping[str, int | None]
) -> dict[str, int | None]:
    """The card of each buyer: the linked one; none while theirs is parked because two cards fit; else one is made."""
    buyers = {card_key(s.record.counterparty): s.record.counterparty for s in said if s.record.counterparty is not None}
    links = models.Link.objects.filter(connection=connection, kind=Kind.COUNTERPARTY, external_id__in=list(buyers))
    cards: dict[str, int | None] = dict(links.values_list("external_id", "record_id"))
    parked = connection.parked.filter(kind=Kind.COUNTERPARTY, direction="in", external_id__in=list(buyers))
    cards.update(dict.fromkeys(parked.values_list("external_id", flat=True)))
    cards.update({card_key(buyer): decided[buyer.key] for buyer in buyers.values() if buyer.key in decided})
    for key, buyer in buyers.items():
        if key not in cards:
            row = save_counterparty(buyer, connection, now)
            cards[key] = row.pk if row else None
    return cards


def take_counterparties(
    said: Sequence[Said], connection: models.Connection, run: models.Run | None, now: datetime, fields: Mapping[str, str]
) -> tuple[Counter[str], dict[int, int]]:
    """A page of customers: new cards, and what policy lets theirs change of the known ones; (counts, {place in page: card}).

    ``fields`` names who owns what ("counterparty.phone": "keep"): core/policy.py. A card found by a match rule belongs to whoever
    made it, so that only what it leaves empty is filled.
    """
    owners = owners_of(fields)
    rows = models.Counterparty.objects.in_bulk([s.record_id for s in said if s.record_id is not None])
    counts: Counter[str] = Counter()
    ids: dict[int, int] = {}
    fresh: list[tuple[int, Counterparty]] = []
    lines: list[models.RecordChange] = []
    for place, s in enumerate(said):
        row = rows.get(s.record_id or 0)
        if row is None:
            fresh.append((place, s.record))
            continue
        ids[place] = row.pk
        changes = card_changes(s, row, owners)
        if changes:
            models.Counterparty.objects.filter(pk=row.pk).update(
                **{name: new for name, (_old, new) in changes.items()}, version=F("version") + 1
            )
            lines.append(_card_change(row.pk, row.version + 1, changes, run, now))
        counts[MATCHED if s.link is None else UPDATED if changes else UNCHANGED] += 1
    made = models.Counterparty.objects.bulk_create(
        models.Counterparty(**counterparty_values(record), source=connection) for _place, record in fresh
    )
    for (place, _record), row in zip(fresh, made, strict=True):
        ids[place] = row.pk
        lines.append(_card_change(row.pk, 1, None, run, now))
    counts[CREATED] += len(fresh)
    models.RecordChange.objects.bulk_create(lines)
    return +counts, ids


def owners_of(fields: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix("counterparty."): rule for name, rule in fields.items()}


def card_changes(s: Said, row: models.Counterparty, owners: Mapping[str, str]) -> dict[str, list[Any]]:
    """What their word changes of a card of ours: {field: [old, new]}."""
    values = {n: v for n, v in counterparty_values(s.record).items() if n != "key" and v not in (None, "", [])}
    rules = dict.fromkeys(values, "if_empty") if s.link is None else owners
    changed = policy.merge({name: getattr(row, name) for name in values}, values, rules)
    return {name: [getattr(row, name), value] for name, value in changed.items()}


def _card_change(
    pk: int, version: int, changes: Mapping[str, Any] | None, run: models.Run | None, now: datetime
) -> models.RecordChange:
    return models.RecordChange(record_kind=Kind.COUNTERPARTY, record_id=pk, version=version, run=run, at=now, changes=changes)
