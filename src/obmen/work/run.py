"""One run, start to end: what the queue's workers execute, and what the command line executes by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial, reduce
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection as db
from django.db import transaction
from django.utils import timezone

from obmen import registry
from obmen.core.contract import BadDocument, Bookmark, ExchangeError, Item, Known, NeedsOwner, Page, Receiving, Source
from obmen.core.engine import GUARDED, UNCHANGED, UPDATED, Guard, pull
from obmen.core.orders import Folded, apply_news
from obmen.core.records import Kind, Order, OrderNews, Subject
from obmen.core.words import gettext_noop as _
from obmen.core.words import plain_facts
from obmen.licence import licences, packages
from obmen.store import connections, journal, mappings, models, orders, pictures, previews, sqlite, sweeping
from obmen.store.adapter import DjangoStore
from obmen.store.hub import DjangoHub
from obmen.work import jobs
from obmen.work.exchange import exchange, source_of
from obmen.work.garbage import few_collections

RETRY_PARKED, SWEEP = "retry-parked", "sweep"
SUMMARY = _(
    "New: {created}, changed: {updated}, found: {matched}, unchanged: {unchanged}, left out: {left_out}, set aside: {parked}"
)
APART = _("{all}. Of the new and changed ones: {apart}")
OF_KIND = _("{kind}: new {created}, changed {updated}")
AND = _("{first}; {second}")
MANY = {Kind.COUNTERPARTY: _("customers"), Kind.ORDER: _("orders"), Kind.PAYMENT: _("payments"), Kind.SHIPMENT: _("shipments")}
GOODS = _("goods")
PREVIEWED = _("Preview, nothing was written. New: {created}, changed: {updated}, unchanged: {unchanged}, set aside: {parked}")
PREVIEWED_OUT = _("Preview, nothing was sent. Would be sent: {would_write}, unchanged: {unchanged}, set aside: {parked}")
DECIDED = _(
    "Done as decided in the preview. New: {created}, changed: {updated}, found: {matched}, unchanged: {unchanged}, skipped by {who}: "
    "{skipped}, set aside: {parked}"
)
BROKEN_OFF = _("{error} (settled before that: new {created}, changed {updated}, unchanged {unchanged}, set aside {parked})")
COUNTED = ("created", "updated", "matched", "unchanged", "left_out", "parked", "skipped", "would_write")
# Whose share of changes counts for a kind, where there is such a stream; else its source's.
STREAM_OF = {Kind.PRICES: "prices-in", Kind.STOCK: "stock-in", Kind.ORDER: "orders-in", Kind.COUNTERPARTY: "customers-in"}
GOODS_IN = "products-in"
MOVING = timedelta(
    days=90
)  # orders that have not changed for so long are done with: they would make any share of all of them a large number
FIELDS = 200  # of a preview that can be chosen to be looked at alone
GREW = 5  # times: PostgreSQL's plans are useless after a table grew so much, until ANALYZE (measured 41.6k/s → 6.5k/s)


def execute(run_id: int, worker: str) -> None:
    """Execute one claimed run; its end is written to its row. Raises jobs.LeaseLost and StopAsked for the queue."""
    run = models.Run.objects.select_related("connection").get(pk=run_id)
    with jobs.Lease(run, worker) as lease:
        store = DjangoStore(run.connection, run, lease)
        try:
            with few_collections():
                facts = _do(run, store)
        except ExchangeError as error:
            _broken_off(run, worker, store, error)
            return
    text = _summary(run, store)
    if text == SUMMARY and (apart := _apart(store)):
        text, facts = APART, {**facts, "all": {"text": SUMMARY, "facts": facts}, "apart": apart}
    jobs.finish(run, worker, jobs.State.DONE, dict(store.total), text, facts)


def _summary(run: models.Run, store: DjangoStore) -> str:
    if run.args.get("preview"):
        return PREVIEWED_OUT if store.total["would_write"] else PREVIEWED
    return DECIDED if store.decided is not None else SUMMARY


def _apart(store: DjangoStore) -> dict[str, Any]:
    """Where customers were written beside other things: how many of each, since twelve new ones may be customers all; else {}."""
    counts: dict[str, Counter[str]] = {}
    for kind, written in store.apart.items():
        if +written:
            counts.setdefault(MANY.get(kind, GOODS), Counter()).update(written)
    if len(counts) < 2 or MANY[Kind.COUNTERPARTY] not in counts:
        return {}
    parts = [
        {"text": OF_KIND, "facts": {"kind": kind, "created": n["created"], "updated": n["updated"]}} for kind, n in counts.items()
    ]
    return reduce(lambda first, second: {"text": AND, "facts": {"first": first, "second": second}}, parts)


def _do(run: models.Run, store: DjangoStore) -> dict[str, Any]:
    streams = set(run.streams.split(","))
    packages.look_again()  # a version that was installed a moment ago
    if run.args.get("preview"):
        run.results.all().delete()  # of a worker that was lost: a preview begins anew
    else:
        _licensed(run)
    if run.args.get("decided"):
        store.decided = previews.Decided(int(run.args["decided"]))
    if RETRY_PARKED in streams:
        store.each = bool(run.args.get("each"))
        retry_parked(store, run.args.get("parked"), new=bool(run.args.get("new")))
    elif SWEEP in streams:
        _prepare(store, [])
        store.total += sweeping.sweep(store, over=bool(run.args.get("over")))
    elif not run.args.get("files") and registry.connector(run.connection.connector).calls_out:
        before = _size_of_books()
        guards = guard_of(store)
        exchange(
            run,
            store,
            lambda source: _ready(store, source),
            lambda source: _follow(store, source, before),
            lambda source: guard_for(source, store, guards),
        )
    else:
        _import(run, store)
        if "orders-in" in streams or run.args.get("over"):
            # A good moment to look: a load before the last one is over, and so is one that has been quiet for long.
            store.total += sweeping.sweep(store, over=bool(run.args.get("over")))
    facts: dict[str, Any] = {name: store.total[name] for name in COUNTED}
    if run.args.get("preview"):
        facts |= {"more": store.kept.more, "fields": dict(store.kept.fields.most_common(FIELDS))}
    if store.decided is not None:
        facts |= store.decided.facts
    return facts


def _licensed(run: models.Run) -> None:
    """The one place that asks for licences. Raises NeedsOwner; a licence that ends soon is said in the run."""
    soon = licences.ask(run.connection)
    if soon is not None:
        models.RunLine.objects.create(run=run, level=models.RunLine.Level.WARNING, text=soon.text, facts=soon.facts)


def guard_of(store: DjangoStore) -> dict[str, int]:
    """{stream: per cent}, empty where a person has allowed this run to change as much as it likes, or has decided on a preview that
    was too long to be listed."""
    if (store.run is not None and store.run.args.get("over_guard")) or (store.decided is not None and store.decided.more):
        return {}
    rows = store.connection.streams.filter(guard__isnull=False)
    return dict(rows.values_list("stream", "guard"))


def guard_for(source: Source, store: DjangoStore, guards: Mapping[str, int]) -> Guard | None:
    """The guard of a source, None where nothing limits it. Prices, stock, orders and customers of a source that brings them besides
    others go by the stream that is called so, where there is one."""
    streams = frozenset(store.connection.streams.values_list("stream", flat=True)) if guards else frozenset()
    of_kind = {kind: STREAM_OF[kind] if STREAM_OF.get(kind) in streams else source.stream for kind in GUARDED}
    if source.stream == GOODS_IN:  # a file of goods names counterparties too; its share is one of goods
        of_kind.pop(Kind.COUNTERPARTY)
    percent = {kind: guards[stream] for kind, stream in of_kind.items() if stream in guards}
    return Guard(percent, lambda kind: _known(store.connection, kind)) if percent else None


def _known(connection: models.Connection, kind: Kind) -> int:
    """How many records of a kind the connection has told us of; of orders those that still move."""
    links = models.Link.objects.filter(connection=connection, gone=False, kind=kind)
    if kind is not Kind.ORDER:
        return links.count()
    return models.Order.objects.filter(pk__in=links.values("record_id"), changed__gt=timezone.now() - MOVING).count()


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
    store.each = bool(run.args.get("each"))
    pull(source, store, preview=preview, guard=guard_for(source, store, guard_of(store)))
    if preview:
        return
    store.finish()
    retry_waiting(store, source)
    _analyse(before)


def _prepare(store: DjangoStore, files: Sequence[Path]) -> Source:
    connection = store.connection
    off = set(connection.streams.filter(enabled=False).values_list("stream", flat=True))
    connector = connections.connector_of(connection)
    return _ready(
        store, connector.open_files(files, [s for s in connector.streams if s not in off], ZoneInfo(connection.time_zone))
    )


def _ready(store: DjangoStore, source: Source) -> Source:
    """The source with the connection's match rules (the source's own go before them), the store with what the source's rules ask of it."""
    match: dict[Kind, list[str]] = {}
    for rule in store.connection.match_rules.all():
        match.setdefault(Kind(rule.kind), []).append(rule.attribute)
    source.rules = replace(source.rules, match={**match, **source.rules.match})
    store.on_order = OrderFolder(store, source.rules)
    store.keep_positions = source.rules.sweep != "off"
    return source


def _follow(store: DjangoStore, source: Source, before: int) -> None:
    store.finish()
    retry_waiting(store, source)
    _analyse(before)


def _broken_off(run: models.Run, worker: str, store: DjangoStore, error: ExchangeError) -> None:
    """What was settled stays and is counted; the message says both what is wrong and how far it came."""
    store.finish()
    said = plain_facts(error.facts)
    facts = {name: store.total[name] for name in COUNTED} | said | {"msgid": error.text} | plain_facts({"error": error})
    models.RunLine.objects.create(run=run, level=models.RunLine.Level.ERROR, text=error.text, facts=said)
    state = jobs.state_after(error)
    jobs.finish(run, worker, state, dict(store.total), BROKEN_OFF, facts, after=getattr(error, "after", None))


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
            cursor.execute(
                "ANALYZE store_link, store_product, store_sought, store_offer, store_price, store_stocklevel, store_recordchange"
            )


# --- parked records --------------------------------------------------------------------------------------------------------


class ParkedSource:
    """Parked records as one more source: the same code path as the file they came from, without a second importer."""

    def __init__(self, source: Source, rows: Iterable[models.Parked]) -> None:
        self.source, self.rows = source, list(rows)
        self.stream, self.rules, self.kinds = source.stream, source.rules, source.kinds

    def pages(self, since: Bookmark | None, known: Known) -> Iterator[Page]:
        by_kind: dict[str, list[models.Parked]] = {}
        for row in self.rows:
            by_kind.setdefault(row.kind, []).append(row)
        done = 0
        for kind in sorted(by_kind, key=ORDER_OF_KINDS.index):
            rows = by_kind[kind]
            for at in range(0, len(rows), 500):
                items = [Item(r.external_id, bytes(r.payload), b"", r.where) for r in rows[at : at + 500]]
                done += len(items)
                yield Page(Kind(kind), items, done=done, total=len(self.rows))

    def parse(self, kind: Kind, items: Sequence[Item]) -> Sequence[Any]:
        return self.source.parse(kind, items)

    def locate(self, item: Item) -> str:
        return str(item.where)


ORDER_OF_KINDS = [
    "reference", "property", "group", "counterparty", "product", "variant", "offer", "prices", "stock", "order", "payment", "shipment",
]  # fmt: skip


def retry_parked(store: DjangoStore, ids: Sequence[int] | None, *, new: bool = False) -> None:
    """Try parked records again: those with these ids, or all of the connection. ``new``: a person decided that they are no cards of
    ours, so that they become new ones whatever the match rules find. What waits for a person's confirmation on its way out (the
    fact ``confirm``) has it by being tried again by its id."""
    rows = models.Parked.objects.filter(connection=store.connection)
    if ids is not None:
        rows = rows.filter(pk__in=ids)
    if new:
        store.new_cards = frozenset(rows.values_list("external_id", flat=True))
    with _sources(store) as source_for:
        for source, incoming in source_for(rows.filter(direction="in")):
            pull(ParkedSource(source, incoming), store)
    store.finish()
    for row in rows.filter(direction="out"):
        if ids is None or not _confirm(row):
            _offer_again(row)


@contextmanager
def _sources(store: DjangoStore) -> Iterator[Callable[[Iterable[models.Parked]], Iterator[tuple[Source, list[models.Parked]]]]]:
    """By what source each parked record came: by the door's files, or by one of the lists that we read."""
    if not registry.connector(store.connection.connector).calls_out:
        source = _prepare(store, [])
        yield lambda rows: iter([(source, list(rows))])
        return
    hub = DjangoHub(store.connection, store.run, store.lease.check if store.lease else None)
    connector = connections.connector_of(store.connection, hub)

    def by_source(rows: Iterable[models.Parked]) -> Iterator[tuple[Source, list[models.Parked]]]:
        found: dict[str, tuple[Source, list[models.Parked]]] = {}
        for row in rows:
            source = source_of(connector, Kind(row.kind))
            found.setdefault(source.stream, (source, []))[1].append(row)
        for source, its in found.values():
            yield _ready(store, source), its

    try:
        yield by_source
    finally:
        connector.close()
        hub.flush()


def _confirm(row: models.Parked) -> bool:
    """It stays until it has been sent: what was confirmed stands with it (contract.Links.confirmed)."""
    word = row.facts.get("confirm")
    if word:
        models.Parked.objects.filter(pk=row.pk).update(facts={**row.facts, "confirmed": word})
    return bool(word)


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


class OrderFolder:
    """Folds what a node says of an order into the books; the store calls it inside the page's transaction."""

    def __init__(self, store: DjangoStore, rules: Receiving) -> None:
        self.store, self.rules, self.states = store, rules, StateWords(store.connection)

    def _folded(self, news: OrderNews) -> tuple[Order, Folded]:
        order = orders.order_record(orders.find(news, self.store.connection))
        state_of = partial(self.states.ours, now=order.state)
        return order, apply_news(order, news, self.rules.orders, state_of, self.rules.marks)

    def look(self, news: OrderNews) -> tuple[Order, Order]:
        """The order as it is and as it would be. Raises BadRecord."""
        order, folded = self._folded(news)
        return order, orders.normal(folded.order)

    def __call__(self, news: OrderNews, now: datetime) -> tuple[int, int, str]:
        """(record id, revision, outcome). Raises BadRecord."""
        connection = self.store.connection
        _order, folded = self._folded(news)
        saved, changed = orders.save_order(folded.order, source=connection, run=self.store.run, now=now)
        if folded.unmapped:
            self.states.report(folded.unmapped, news.state_name)
        if folded.changes:
            of = (Kind.ORDER, saved.pk)
            journal.note(connection, "order-news", connection.name, of=of, at=now, changes=folded.changes)
        return saved.pk, saved.revision, UPDATED if changed else UNCHANGED


class StateWords:
    """Their order states in our words: by the connection's mapping, else where theirs is literally one of ours."""

    def __init__(self, connection: models.Connection) -> None:
        self.connection = connection
        rows = models.Mapping.objects.filter(connection=connection, subject=Subject.ORDER_STATE, inbound=True, reported=False)
        words = [(key.casefold(), m) for m in rows if m.ours or not m.taken for key in (m.theirs_name, m.theirs) if key]
        self.mapped = {word: m.ours for word, m in words if m.taken}
        self.left_out = {word for word, m in words if not m.taken}
        own = models.Reference.objects.filter(subject=Subject.ORDER_STATE)
        self.own = {word.casefold(): r.key for r in own for word in (r.name, r.key) if word}

    def ours(self, ident: str, name: str, now: str) -> str | None:
        for word in (ident, name):
            if word and word.casefold() in self.mapped:
                return self.mapped[word.casefold()]
            if word and word.casefold() in self.left_out:  # it changes nothing here
                return now
        for word in (ident, name):
            if word and (word.casefold() == now.casefold() or word.casefold() in self.own):
                return self.own.get(word.casefold(), now)
        return None

    def report(self, value: str, name: str) -> None:
        """Counted where it can be mapped with one click."""
        mappings.report(self.connection, Subject.ORDER_STATE, value, name)


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
