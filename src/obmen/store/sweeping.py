"""Absence is not deletion (design law 7): what a whole load did not mention is judged once, at its end, inside its catalogue.

1C:UT and UNF send a catalogue in portions of which only the first calls itself full, and never say that they have finished.
So every card seen in a portion of one run (catalogue + ДатаФормирования) is noted, and the run is judged when it is over: a
newer run began, they said so (mode=deactivate), or they stayed quiet for half an hour. Judged are only cards that the *previous* whole run of
the same catalogue had mentioned: a filter or another catalogue can never take away what it does not own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import connection as db
from django.db import transaction
from django.utils import timezone

from obmen.core.contract import NeedsOwner
from obmen.core.words import gettext_noop as _
from obmen.store import bulk, models

if TYPE_CHECKING:
    from obmen.store.adapter import DjangoStore

QUIET = timedelta(minutes=30)
TOO_MANY = _(
    "A whole load of {catalogue} left out {missing} of {known} cards, more than {limit} %. Nothing was marked: look at the load,"
    " then raise the limit or send it again"
)


def note(
    connection: models.Connection, catalogue: str, kind: str, run_key: str, whole: bool, link_ids: Iterable[int], now: datetime
) -> None:
    """Remember which cards a portion mentioned; called inside the page's transaction."""
    sweep, _made = models.Sweep.objects.get_or_create(
        connection=connection,
        catalogue=catalogue[:200],
        kind=kind,
        run_key=run_key[:100],
        defaults={"whole": whole, "started": now},
    )
    models.Sweep.objects.filter(pk=sweep.pk).update(last_portion=now, whole=sweep.whole or whole)
    with db.cursor() as cursor:
        bulk.insert(cursor, "store_sweepseen", ("sweep_id", "link_id"), [(sweep.pk, i) for i in link_ids], conflict="DO NOTHING")


def due(connection: models.Connection, now: datetime, *, over: bool = False) -> list[models.Sweep]:
    """Whole runs that are over and not judged yet. ``over``: they said so themselves."""
    waiting = models.Sweep.objects.filter(connection=connection, finished=None, whole=True).order_by("started")
    newest = {(s.catalogue, s.kind): s.pk for s in waiting}
    return [s for s in waiting if over or newest[s.catalogue, s.kind] != s.pk or s.last_portion < now - QUIET]


def sweep(store: DjangoStore, *, over: bool = False) -> Counter[str]:
    """Judge every whole run that is over. Raises NeedsOwner past the threshold, with nothing marked."""
    from obmen.store.connections import connector_of

    rules = connector_of(store.connection).open_files([]).rules
    total: Counter[str] = Counter()
    for one in due(store.connection, timezone.now(), over=over):
        total += _judge(store, one, rules.sweep_limit)
    return total


def _judge(store: DjangoStore, one: models.Sweep, limit: int) -> Counter[str]:
    before = (
        models.Sweep.objects.filter(connection=one.connection, catalogue=one.catalogue, kind=one.kind, whole=True)
        .exclude(finished=None)
        .order_by("-started")
        .first()
    )
    marked = 0
    with transaction.atomic():
        if store.lease is not None:
            store.lease.renew()
        if before is not None:
            known = models.SweepSeen.objects.filter(sweep=before).count()
            missing = models.SweepSeen.objects.filter(sweep=before).exclude(
                link_id__in=models.SweepSeen.objects.filter(sweep=one).values("link_id")
            )
            ids = list(missing.values_list("link_id", flat=True))
            if known and len(ids) * 100 > known * limit:
                raise NeedsOwner(TOO_MANY, catalogue=one.catalogue, missing=len(ids), known=known, limit=limit)
            marked = _mark(store, ids)
            models.SweepSeen.objects.filter(sweep=before).delete()
        models.Sweep.objects.filter(pk=one.pk).update(finished=timezone.now())
    return Counter(swept=marked)


def _mark(store: DjangoStore, link_ids: list[int]) -> int:
    """Mark for deletion, never remove; the digest is forgotten so that a return of the card is news again."""
    links = models.Link.objects.filter(pk__in=link_ids)
    for link in links.iterator():
        model = models.Product if link.kind == "product" else models.Offer
        row = model.objects.filter(pk=link.record_id, deleted=False).first()
        if row is None:
            continue
        row.deleted, row.version = True, row.version + 1
        row.save(update_fields=["deleted", "version"])
        models.RecordChange.objects.create(
            record_kind="product" if link.kind == "product" else "offer",
            record_id=row.pk,
            version=row.version,
            run=store.run,
            at=timezone.now(),
            changes={"deleted": [False, True]},
        )
    return links.update(gone=True, seen=b"")
