"""Pieces that orders have sold and that the stock of the books still counts (docs/decisions/0011-reservations.md).

Stock comes from the accounting system, which learns of an order later than the hub and sends the lower stock later still. Until then
the pieces of the order are *reserved*. Two facts say so, each written in the transaction of what it is about, and neither by the
other's writer, so that loads of stock and orders never wait for one another:

- a row of ``Reservation`` for what an order has sold more than before, written with the order, with the moment at which the
  accounting system took it;
- ``Offer.stock_said``, the moment of the last stock that came for an offer which has such rows, written with the stock.

A row is over when its offer's stock was said after it was taken. Nothing has to happen for that: a row that is over is not counted,
and removed some time later.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.db import connection as db
from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Coalesce
from django.utils import timezone

from obmen import registry
from obmen.core.contract import NeedsOwner
from obmen.core.orders import is_delivery
from obmen.core.records import Kind, Order, OrderLine, decimal_text
from obmen.store import models

STOCK_IN, ORDERS_OUT = "stock-in", "orders-out"
LONGEST = timedelta(days=30)  # nothing is reserved for longer: see the decision
STEP = Decimal("0.000001")  # what the column holds
ZERO = Decimal(0)
OVER = "SELECT r.id FROM store_reservation r JOIN store_offer o ON o.key = r.offer WHERE o.stock_said > "
TAKEN_BEFORE, KNOWN_BEFORE = "r.taken", "coalesce(r.taken, r.since)"


def brings_stock(connection: models.Connection | None) -> bool:
    """Whether its system is an accounting system: one that says how much there is, and takes orders to know what was sold."""
    if connection is None:
        return False
    try:
        return STOCK_IN in registry.connector(connection.connector).streams
    except NeedsOwner:  # its format package was taken away
        return False


def somebody_takes() -> bool:
    """Whether an accounting system is told of orders. If none is, a later stock is all that can be known to end a reservation."""
    told = models.Connection.objects.filter(enabled=True, streams__stream=ORDERS_OUT, streams__enabled=True)
    return any(brings_stock(connection) for connection in told)


# --- orders ----------------------------------------------------------------------------------------------------------------


def sold(order: Order) -> dict[str, Decimal]:
    """{offer key: pieces in the unit of its stock} of an order that stands; nothing of one that was called off."""
    found: dict[str, Decimal] = {}
    for line in () if order.cancelled or order.deleted else order.lines:
        if line.offer and line.kind == "product" and not is_delivery(line) and (pieces := _pieces(line)) > 0:
            found[line.offer] = found.get(line.offer, ZERO) + pieces
    return found


def _pieces(line: OrderLine) -> Decimal:
    ratio = line.ratio if line.ratio > 0 else Decimal(1)
    return (line.quantity * ratio).quantize(STEP, ROUND_HALF_UP)


def begin(orders: Iterable[tuple[int, Order]], source: models.Connection | None, now: datetime) -> None:
    """Orders (row in the books, order) that are new in the books. Those of the accounting system itself reserve nothing, and neither
    do those that are old: a first load brings years of them, and the stock of today knows them."""
    if brings_stock(source):
        return
    models.Reservation.objects.bulk_create(
        models.Reservation(order_id=pk, offer=offer, quantity=pieces, since=now)
        for pk, order in orders
        if order.date > now - LONGEST
        for offer, pieces in sold(order).items()
    )


def follow(pk: int, before: Order, after: Order, source: models.Connection | None, now: datetime) -> None:
    """A change of an order, inside its transaction and after the outbox was told of it: whoever confirms an order locks its outbox row
    first, too. What is sold more is a row of its own, since the accounting system knows of the rest already; what the accounting system
    itself has added reserves as little as its own orders."""
    old, new = sold(before), sold(after)
    if old == new:
        return
    if not brings_stock(source):
        more = {offer: pieces - old.get(offer, ZERO) for offer, pieces in new.items() if pieces > old.get(offer, ZERO)}
        models.Reservation.objects.bulk_create(
            models.Reservation(order_id=pk, offer=offer, quantity=pieces, since=now) for offer, pieces in more.items()
        )
    less = {offer: pieces - new.get(offer, ZERO) for offer, pieces in old.items() if pieces > new.get(offer, ZERO)}
    if less:
        _reduce(pk, less)


def _reduce(order: int, less: Mapping[str, Decimal]) -> None:
    """First what nobody has taken yet, then what was taken last."""
    left = dict(less)
    rows = models.Reservation.objects.filter(order=order, offer__in=list(left))
    for row in sorted(rows, key=lambda r: (r.taken is None, r.taken or r.since, r.pk), reverse=True):
        cut = min(left[row.offer], row.quantity)
        left[row.offer] -= cut
        if cut == row.quantity:
            row.delete()
        elif cut:
            models.Reservation.objects.filter(pk=row.pk).update(quantity=row.quantity - cut)


def take(connection: models.Connection, orders: Sequence[int], now: datetime) -> None:
    """The accounting system has these orders (rows in the books): it confirmed them, or answered with a word of its own about them.
    An order of which something still waits to be told to it is not taken yet."""
    if not orders or not brings_stock(connection):
        return
    open_rows = models.Reservation.objects.filter(order__in=orders, taken=None)
    waits = models.Outbox.objects.filter(connection=connection, kind=Kind.ORDER, record_id=OuterRef("order_id"))
    open_rows.filter(~Exists(waits)).update(taken=now)


# --- stock -----------------------------------------------------------------------------------------------------------------


def awaited(said: datetime) -> tuple[frozenset[int], frozenset[str]]:
    """Offers whose stock, when it comes with a run that was asked for at ``said``, ends a reservation: (their rows, their keys)."""
    rows = models.Reservation.objects.annotate(known=F("taken") if somebody_takes() else Coalesce("taken", "since"))
    keys = frozenset(rows.filter(known__lt=said).values_list("offer", flat=True).distinct())
    found: dict[int, str] = {}
    for part in _parts(keys):
        found.update(models.Offer.objects.filter(key__in=part).values_list("pk", "key"))
    products = keys - set(found.values())  # sold without a characteristic
    ids = {
        pk for part in _parts(products) for pk in models.Offer.objects.filter(product__key__in=part).values_list("pk", flat=True)
    }
    return frozenset(found) | ids, keys


def note_stock(offers: Collection[int], said: datetime) -> None:
    """Their stock is as the accounting system said it in a run that was asked for at ``said``; in the transaction of the stock."""
    for part in _parts(offers):
        rows = models.Offer.objects.filter(pk__in=part)
        (rows.filter(stock_said=None) | rows.filter(stock_said__lt=said)).update(stock_said=said)


def prune(now: datetime | None = None) -> int:
    """Remove what is over and is not counted any more; how many rows."""
    now = now or timezone.now()
    rows = models.Reservation.objects.filter(since__lt=now - LONGEST)
    ids = list(rows.values_list("pk", flat=True))
    with db.cursor() as cursor:
        cursor.execute(OVER + (TAKEN_BEFORE if somebody_takes() else KNOWN_BEFORE))
        ids += [row[0] for row in cursor.fetchall()]
    done = 0
    for part in _parts(ids):
        with transaction.atomic():  # who changes one of these orders right now comes first: the row is removed another time
            free = models.Reservation.objects.filter(pk__in=part)
            if db.features.has_select_for_update_skip_locked:
                free = models.Reservation.objects.filter(
                    pk__in=list(free.select_for_update(skip_locked=True).values_list("pk", flat=True))
                )
            done += free.delete()[0]
    return done


def _parts(values: Collection[Any], size: int = 500) -> Iterable[list[Any]]:
    listed = list(values)
    return (listed[at : at + size] for at in range(0, len(listed), size))


# --- reading ---------------------------------------------------------------------------------------------------------------


class Reserved:
    """What is reserved now, read once: the rows that may still count, by the offer's key. The moments of stock are read with the
    goods, and before their stock: then an order that the accounting system takes meanwhile is counted once or twice, never not at all.

    ``offers``: only of these keys.
    """

    def __init__(self, offers: Collection[str] | None = None) -> None:
        known = somebody_takes()
        rows = models.Reservation.objects.filter(since__gte=timezone.now() - LONGEST)
        if offers is not None:
            rows = rows.filter(offer__in=list(offers))
        self._open: dict[str, Decimal] = {}
        self._taken: dict[str, list[tuple[datetime, Decimal]]] = {}
        for offer, quantity, since, taken in rows.values_list("offer", "quantity", "since", "taken"):
            moment = taken if known else taken or since
            if moment is None:
                self._open[offer] = self._open.get(offer, ZERO) + quantity
            else:
                self._taken.setdefault(offer, []).append((moment, quantity))

    def said(self, offers: Mapping[int, str]) -> dict[int, datetime]:
        """When stock was said last of those offers (row: key) for which it matters."""
        wanted = [pk for pk, key in offers.items() if key in self._taken]
        if not wanted:
            return {}
        rows = models.Offer.objects.filter(pk__in=wanted).exclude(stock_said=None)
        return dict(rows.values_list("pk", "stock_said"))

    def of(self, offer: str, said: datetime | None) -> Decimal:
        """Pieces of the offer with this key whose stock was said at ``said``."""
        taken = (pieces for moment, pieces in self._taken.get(offer, ()) if said is None or said <= moment)
        return sum(taken, self._open.get(offer, ZERO))

    def __bool__(self) -> bool:
        return bool(self._open or self._taken)


def of_offers(offers: Mapping[int, str]) -> dict[int, Decimal]:
    """What is reserved of these offers (row: key), those with nothing left out."""
    reserved = Reserved(offers.values())
    said = reserved.said(offers)
    found = {pk: reserved.of(key, said.get(pk)) for pk, key in offers.items()}
    return {pk: pieces for pk, pieces in found.items() if pieces}


def version_with(version: int, reserved: Decimal) -> int:
    """Another version for each amount that is reserved, within what the column of links holds."""
    return (version ^ zlib.crc32(decimal_text(reserved).encode())) & 0x7FFFFFFF if reserved else version
