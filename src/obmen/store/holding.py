"""What people do about the sending of one order: hold it, let it go, have it sent again."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from obmen.core.records import Kind
from obmen.store import journal, outbox
from obmen.store.models import Connection, JournalEntry, Link, Order, Outbox, Payment


@transaction.atomic
def hold(order: Order, text: str, who: str) -> bool:
    """Nothing of this order is sent to anybody until it is released; what they say of it still comes, and what it reserves stays
    reserved. False when it is on hold already: the first reason stands."""
    values = {"held": True, "held_text": text.strip()[:500], "held_by": who[:150], "held_since": timezone.now()}
    if not Order.objects.filter(pk=order.pk, held=False).update(**values):
        return False
    journal.note(None, "order.held", who, of=(Kind.ORDER, order.pk), number=order.number, reason=values["held_text"])
    return True


@transaction.atomic
def release(order: Order, who: str) -> list[Connection]:
    """What was held back may go. Returns the connections for which something of the order waits."""
    free = {"held": False, "held_text": "", "held_by": "", "held_since": None}
    if Order.objects.filter(pk=order.pk, held=True).update(**free):
        journal.note(None, "order.released", who, of=(Kind.ORDER, order.pk), number=order.number)
    return list(waiting_for(order))


def waiting_for(order: Order) -> QuerySet[Connection]:
    """Connections that still have to be told something of this order."""
    payments = Payment.objects.filter(order=order).values_list("pk", flat=True)
    of_order = Q(kind=Kind.ORDER, record_id=order.pk) | Q(kind=Kind.PAYMENT, record_id__in=payments)
    return Connection.objects.filter(pk__in=Outbox.objects.filter(of_order).values("connection"))


def takers(order: Order) -> list[Connection]:
    """Connections that are told of this order: those that are told of all, and, where it came from there, of their own."""
    linked = Link.objects.filter(kind=Kind.ORDER, record_id=order.pk, gone=False).values("connection_id")
    everything = Q(streams__stream=outbox.STREAM_OF[Kind.ORDER])
    own = Q(streams__stream=outbox.STATUSES_OUT, pk__in=linked)
    return list(Connection.objects.filter(everything | own, enabled=True, streams__enabled=True).distinct())


@transaction.atomic
def resend(order: Order, connections: Sequence[Connection], who: str, key: str = "") -> int:
    """The order, as it is now, is told to these once more, also when nothing of it has changed since they were told. Returns to how
    many; those that are not told of this order are passed over. ``key``: what the caller calls this wish; the same key again, a repeat
    after a lost answer, tells nobody."""
    if key:
        Order.objects.select_for_update(of=("self",)).filter(pk=order.pk).values_list("pk").first()
        done = JournalEntry.objects.filter(record_kind=Kind.ORDER, record_id=order.pk, action="order.resent", facts__key=key)
        if done.exists():
            return 0
    wanted = {c.pk for c in connections}
    told = [c for c in takers(order) if c.pk in wanted]
    outbox.again(Kind.ORDER, order.pk, order.revision, told, timezone.now())
    facts = {"key": key} if key else {}
    for connection in told:
        journal.note(connection, "order.resent", who, of=(Kind.ORDER, order.pk), number=order.number, **facts)
    return len(told)
