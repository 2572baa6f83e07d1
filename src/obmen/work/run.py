"""One run, start to end: what the queue's workers execute, and what the command line executes by itself."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection as db
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from obmen.core.contract import BadDocument, Bookmark, ExchangeError, Item, Known, NeedsOwner, Page, Source
from obmen.core.engine import UNCHANGED, UPDATED, pull
from obmen.core.orders import apply_news
from obmen.core.records import Kind, OrderNews, Subject, plain
from obmen.core.words import gettext_noop as _
from obmen.store import connections, models, orders, pictures, sqlite, sweeping
from obmen.store.adapter import DjangoStore
from obmen.work import jobs

RETRY_PARKED, SWEEP = "retry-parked", "sweep"
SUMMARY = _(
    "New: {created}, changed: {updated}, found: {matched}, unchanged: {unchanged}, left out: {left_out}, set aside: {parked}"
)
PREVIEWED = _("Preview, nothing was written. New: {created}, changed: {updated}, unchanged: {unchanged}, set aside: {parked}")
BROKEN_OFF = _("{error} Settled before that: new {created}, changed {updated}, unchanged {unchanged}, set aside {parked}")
COUNTED = ("created", "updated", "matched", "unchanged", "left_out", "parked")
GREW = 5  # times: PostgreSQL's plans are useless after a table grew so much, until ANALYZE (measured 41.6k/s → 6.5k/s)


def execute(run_id: int, worker: str) -> None:
    """Execute one claimed run; its end is written to its row. Raises jobs.LeaseLost and StopAsked for the queue."""
    run = models.Run.objects.select_related("connection").get(pk=run_id)
    with jobs.Lease(run, worker) as lease:
        store = DjangoStore(run.connection, run, lease)
        try:
            facts = _do(run, store)
        except ExchangeError as error:
            _broken_off(run, worker, store, error)
            return
    text = PREVIEWED if run.args.get("preview") else SUMMARY
    jobs.finish(run, worker, jobs.State.DONE, dict(store.total), text, facts)


def _do(run: models.Run, store: DjangoStore) -> dict[str, Any]:
    streams = set(run.streams.split(","))
    if RETRY_PARKED in streams:
        retry_parked(store, run.args.get("parked"))
    elif SWEEP in streams:
        _prepare(store, [])
        store.total += sweeping.sweep(store, over=bool(run.args.get("over")))
    else:
        _import(run, store)
        if "orders-in" in streams or run.args.get("over"):
            # A good moment to look: a load before the last one is over, and so is one that has been quiet for long.
            store.total += sweeping.sweep(store, over=bool(run.args.get("over")))
    facts: dict[str, Any] = {name: store.total[name] for name in COUNTED}
    if run.args.get("preview"):
        facts["differences"] = store.differences
    return facts


def _import(run: models.Run, store: DjangoStore) -> None:
    files = [Path(f) for f in run.args.get("files", ())]
    if not files:
        raise NeedsOwner(_("This run names nothing to do; start it again from the connection's page"))
    gone = [f for f in files if not f.exists()]
    if gone:
        raise BadDocument(_("{file} is not there any more; let the other system send it again"), file=gone[0].name)
    source = _prepare(store, files)
    before = _size_of_books()
    preview = bool(run.args.get("preview"))
    if run.args.get("folder") and not preview:
        pictures.take(run.connection, Path(run.args["folder"]), source.rules.pictures)
    sqlite.for_a_load(db)
    with few_collections():
        pull(source, store, preview=preview)
    if preview:
        return
    store.finish()
    retry_waiting(store, source)
    _analyse(before)


@contextmanager
def few_collections() -> Iterator[None]:
    """A load makes millions of short-lived tuples and no cycles; looking for cycles among them costs it a tenth of its time."""
    before = gc.get_threshold()
    gc.set_threshold(200_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _prepare(store: DjangoStore, files: Sequence[Path]) -> Source:
    connection = store.connection
    off = set(connection.streams.filter(enabled=False).values_list("stream", flat=True))
    connector = connections.connector_of(connection)
    source = connector.open_files(files, [s for s in connector.streams if s not in off], ZoneInfo(connection.time_zone))
    match: dict[Kind, list[str]] = {}
    for rule in connection.match_rules.all():
        match.setdefault(Kind(rule.kind), []).append(rule.attribute)
    source.rules = replace(source.rules, match=match)
    store.on_order = order_folder(store, source.rules.orders)
    store.keep_positions = source.rules.sweep != "off"
    return source


def _broken_off(run: models.Run, worker: str, store: DjangoStore, error: ExchangeError) -> None:
    """What was settled stays and is counted; the message says both what is wrong and how far it came."""
    store.finish()
    facts = {name: store.total[name] for name in COUNTED} | {k: _plain(v) for k, v in error.facts.items()} | {"msgid": error.text}
    facts["error"] = str(error)
    models.RunLine.objects.create(
        run=run, level=models.RunLine.Level.ERROR, text=error.text, facts={k: _plain(v) for k, v in error.facts.items()}
    )
    state = jobs.state_after(error)
    jobs.finish(run, worker, state, dict(store.total), BROKEN_OFF, facts, after=getattr(error, "after", None))


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | list) or value is None else str(value)


def _size_of_books() -> int:
    if db.vendor != "postgresql":
        return 0
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(greatest(reltuples, 0)), 0) FROM pg_class WHERE relname IN ('store_link', 'store_price')"
        )
        return int(cursor.fetchone()[0])


def _analyse(before: int) -> None:
    if db.vendor != "postgresql":
        return
    with db.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM store_link")
        if cursor.fetchone()[0] > max(before, 1000) * GREW:
            cursor.execute("ANALYZE store_link, store_product, store_offer, store_price, store_stocklevel, store_recordchange")


# --- parked records --------------------------------------------------------------------------------------------------------


class ParkedSource:
    """Parked records as one more source: the same code path as the file they came from, without a second importer."""

    def __init__(self, source: Source, rows: Iterable[models.Parked]) -> None:
        self.source, self.rows = source, list(rows)
        self.stream, self.rules = source.stream, source.rules

    def pages(self, since: Bookmark | None, known: Known) -> Iterator[Page]:
        by_kind: dict[str, list[models.Parked]] = {}
        for row in self.rows:
            by_kind.setdefault(row.kind, []).append(row)
        for kind in sorted(by_kind, key=ORDER_OF_KINDS.index):
            rows = by_kind[kind]
            for at in range(0, len(rows), 500):
                items = [Item(r.external_id, bytes(r.payload), b"", r.where) for r in rows[at : at + 500]]
                yield Page(Kind(kind), items)

    def parse(self, kind: Kind, items: Sequence[Item]) -> Sequence[Any]:
        return self.source.parse(kind, items)

    def locate(self, item: Item) -> str:
        return str(item.where)


ORDER_OF_KINDS = [
    "reference", "property", "group", "counterparty", "product", "variant", "offer", "prices", "stock", "order", "payment", "shipment",
]  # fmt: skip


def retry_parked(store: DjangoStore, ids: Sequence[int] | None) -> None:
    """Try parked records again: those with these ids, or all of the connection."""
    rows = models.Parked.objects.filter(connection=store.connection)
    if ids is not None:
        rows = rows.filter(pk__in=ids)
    source = _prepare(store, [])
    incoming = list(rows.filter(direction="in"))
    pull(ParkedSource(source, incoming), store)
    store.finish()
    for row in rows.filter(direction="out"):
        _offer_again(row)


def _offer_again(row: models.Parked) -> None:
    """A record that could not be sent is put back into the outbox and decided on anew when they ask."""
    with transaction.atomic():
        models.Outbox.objects.filter(connection=row.connection, kind=row.kind, record_id=int(row.external_id)).update(
            offered_revision=None, offered_in="", offered_at=None
        )
        row.delete()


def retry_waiting(store: DjangoStore, source: Source) -> None:
    """Records that wait for something which has come by now (law 2: MissingLink is retried by itself)."""
    tried: set[int] = set()
    while True:
        with db.cursor() as cursor:
            cursor.execute(
                "SELECT p.id FROM store_parked p JOIN store_link l ON l.connection_id = p.connection_id AND l.kind = p.waiting_kind"
                " AND l.external_id = p.waiting_id WHERE p.connection_id = %s AND p.direction = 'in' AND p.waiting_kind <> ''",
                [store.connection.pk],
            )
            ids = [row[0] for row in cursor.fetchall() if row[0] not in tried][:5000]
        if not ids:
            return
        tried.update(ids)
        pull(ParkedSource(source, models.Parked.objects.filter(pk__in=ids)), store)


# --- orders that come back -------------------------------------------------------------------------------------------------


UNMAPPED_STATE = _("Their order state “{value}” is not mapped; map it on the connection's page, the rest of the order was taken")


def order_folder(store: DjangoStore, parts: Sequence[str]) -> Callable[[OrderNews, datetime], tuple[int, int, str]]:
    """Folds what a node says of an order into the books; the store calls it inside the page's transaction."""
    states = StateWords(store.connection)

    def fold(news: OrderNews, now: datetime) -> tuple[int, int, str]:
        row = orders.find(news, store.connection)
        order = orders.order_record(row)
        folded = apply_news(order, news, parts, lambda ident, name: states.ours(ident, name, order.state))
        saved, changed = orders.save_order(folded.order, source=store.connection, run=store.run, now=now)
        if folded.unmapped:
            states.report(folded.unmapped, news.state_name)
        if folded.changes:
            models.JournalEntry.objects.create(
                at=now,
                who=store.connection.name,
                connection=store.connection,
                action="order-news",
                record_kind=Kind.ORDER,
                record_id=saved.pk,
                facts={"changes": [[name, plain(old), plain(new)] for name, old, new in folded.changes]},
            )
        return saved.pk, saved.revision, UPDATED if changed else UNCHANGED

    return fold


class StateWords:
    """Their order states in our words: by the connection's mapping, else where theirs is literally one of ours."""

    def __init__(self, connection: models.Connection) -> None:
        self.connection = connection
        rows = models.Mapping.objects.filter(connection=connection, subject=Subject.ORDER_STATE, inbound=True).exclude(ours="")
        self.mapped = {key.casefold(): m.ours for m in rows for key in (m.theirs_name, m.theirs) if key}
        own = models.Reference.objects.filter(subject=Subject.ORDER_STATE)
        self.own = {word.casefold(): r.key for r in own for word in (r.name, r.key) if word}

    def ours(self, ident: str, name: str, now: str) -> str | None:
        for word in (ident, name):
            if word and word.casefold() in self.mapped:
                return self.mapped[word.casefold()]
        for word in (ident, name):
            if word and (word.casefold() == now.casefold() or word.casefold() in self.own):
                return self.own.get(word.casefold(), now)
        return None

    def report(self, value: str, name: str) -> None:
        """Counted where it can be mapped with one click."""
        row, made = models.Mapping.objects.get_or_create(
            connection=self.connection, subject=Subject.ORDER_STATE, theirs=value, defaults={"theirs_name": name, "seen_count": 1}
        )
        if not made:
            models.Mapping.objects.filter(pk=row.pk).update(seen_count=F("seen_count") + 1)


# --- the command line ------------------------------------------------------------------------------------------------------


def load_folder(connection: models.Connection, folder: Path, *, who: str = "cli") -> models.Run:
    """Load a folder of exchange files (a node that exports "to a folder on disk") through the same code as the door.

    Waits while another run of the connection is at work. Returns the finished run. Raises NeedsOwner for an empty folder.
    """
    files = sorted(str(f.resolve()) for f in folder.iterdir() if f.suffix.lower() == ".xml")
    if not files:
        raise NeedsOwner(_("{folder} holds no .xml files of exchange"), folder=str(folder))
    run = jobs.ask(
        connection, ["folder-in"], trigger="cli", who=who, args={"files": files, "type": "catalog"}, key=f"folder:{folder}"
    )
    return execute_here(run)


def execute_here(run: models.Run, patience: timedelta = timedelta(hours=6)) -> models.Run:
    """Execute a waiting run in this process, or wait until whoever claimed it has ended it.

    A run that would be tried again later is given up instead, with its reason: who waits at a terminal wants to know now.
    """
    worker, until = jobs.worker_name(), timezone.now() + patience
    while timezone.now() < until:
        jobs.rescue()
        tried = jobs.work_one(worker, only=run.pk)
        run.refresh_from_db()
        if tried is not None and run.state == models.Run.State.WAITING and run.text:
            given_up = {"state": models.Run.State.FAILED, "ended": timezone.now()}
            models.Run.objects.filter(pk=run.pk, state=models.Run.State.WAITING).update(**given_up)
            run.refresh_from_db()
        if run.state in models.Run.FINISHED or run.state == models.Run.State.POSTPONED:
            break
        if tried is None:
            jobs.bell.wait(jobs.bell.count(), jobs.POLL)
    return run
