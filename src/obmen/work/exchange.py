"""Streams of a connection whose system we call: read, write and publish, each stream by itself."""

from __future__ import annotations

import gzip
import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from django.core.files import File
from django.core.files.storage import default_storage
from django.utils import timezone

from obmen.core.contract import (
    Bookmark,
    Carried,
    CatalogueSink,
    Choice,
    Connector,
    Dated,
    ExchangeError,
    Feed,
    GoodsSink,
    InParts,
    Known,
    NeedsOwner,
    Page,
    Picking,
    Sink,
    Source,
    TellsGone,
    TryLater,
)
from obmen.core.engine import LEFT_OUT, PARKED, UNCHANGED, WOULD_WRITE, Guard, Store, pull, push
from obmen.core.records import Good, Kind, digest
from obmen.core.words import gettext_noop as _
from obmen.core.words import plain_facts
from obmen.store import connections, feeds, models, previews, results
from obmen.store.adapter import DjangoStore
from obmen.store.hub import DjangoHub
from obmen.store.reading import told
from obmen.work import parts
from obmen.work.feed_file import FeedFile

log = logging.getLogger(__name__)

PUBLISHED = "published"
GOODS_KINDS = frozenset({Kind.PRODUCT, Kind.VARIANT, Kind.OFFER, Kind.PRICES, Kind.STOCK})

MARKED = _("It is marked for deletion")
NOT_OF_THE_CHOICE = _(
    "It is not among the goods that this connection sends: look at its groups and offers, and at the connection's settings"
)
GRAVITY = (NeedsOwner, TryLater, ExchangeError)  # of several streams' troubles the first kind decides what becomes of the run


def exchange(
    run: models.Run,
    store: DjangoStore,
    prepare: Callable[[Source], Source],
    after: Callable[[Source], None],
    guard: Callable[[Source], Guard | None] = lambda source: None,
) -> None:
    """Do the run's streams in the order in which the connector names them.

    One stream's trouble does not keep the others from theirs; at the end the gravest is raised: NeedsOwner before TryLater.
    ``prepare`` readies a source for the store, ``after`` follows a source that has been read, ``guard`` limits what it changes.
    """
    stop = store.lease.check if store.lease else None
    just_these = "goods" in run.args or (store.decided is not None and store.decided.holds_back)
    hub = DjangoHub(run.connection, run, stop, bool(run.args.get("preview")), picked=just_these)
    store.each = bool(run.args.get("each"))
    connector = connections.connector_of(run.connection, hub)
    wanted = set(run.streams.split(","))
    troubles: list[tuple[str, ExchangeError]] = []
    streams = [stream for stream in connector.streams if stream in wanted]
    try:
        for at, stream in enumerate(streams):
            store.part = at, len(streams)
            try:
                _stream(connector, stream, run, store, hub, prepare, after, guard)
            except ExchangeError as error:
                troubles.append((stream, error))
            finally:
                hub.flush()
    finally:
        connector.close()
        hub.flush()  # what it had to say in closing
    if troubles:
        gravest = min(troubles, key=lambda trouble: next(i for i, cls in enumerate(GRAVITY) if isinstance(trouble[1], cls)))
        for stream, error in troubles:
            if error is not gravest[1]:
                _note(run, stream, error)
        raise gravest[1]


def _note(run: models.Run, stream: str, error: ExchangeError) -> None:
    facts = plain_facts(error.facts) | {"stream": stream}
    models.RunLine.objects.create(run=run, level=models.RunLine.Level.ERROR, text=error.text, facts=facts)


def _stream(
    connector: Connector,
    stream: str,
    run: models.Run,
    store: DjangoStore,
    hub: DjangoHub,
    prepare: Callable[[Source], Source],
    after: Callable[[Source], None],
    guard: Callable[[Source], Guard | None],
) -> None:
    preview = bool(run.args.get("preview"))
    for source in connector.sources():
        if source.stream == stream:
            _read(prepare(source), run, store, hub, preview, guard)
            if not preview:
                after(source)
    for sink in connector.sinks():
        if sink.stream == stream:
            picks = Picks(run, sink) if "goods" in run.args and is_of_goods(sink) else None
            expected, rows = picks.dirty(hub) if picks else dirty(sink, store, hub)
            counts = push(
                sink,
                rows,
                store,
                connection=str(run.connection.pk),
                expected=expected,
                preview=preview,
                anyway=picks is not None,
                each=store.each,
            )
            if picks and store.each:
                picks.tell_others()
            if preview:
                store.total += counts
            elif isinstance(sink, TellsGone):
                sink.finish()
    for feed in connector.feeds():
        if feed.stream == stream:
            (look_at_feed if preview else publish)(feed, run.connection, hub, store)


def _read(
    source: Source,
    run: models.Run,
    store: DjangoStore,
    hub: DjangoHub,
    preview: bool,
    guard: Callable[[Source], Guard | None],
) -> None:
    limit = None if run.args.get("only") else guard(source)
    if run.args.get("only"):
        source = Only(cast(Picking, source), [str(i) for i in run.args["only"]])
    elif run.args.get("since") and hasattr(source, "bookmark_from"):
        source = Since(cast(Picking, source), datetime.fromisoformat(run.args["since"]))
    pull(Flushing(source, hub), store, preview=preview, guard=limit and Quietly(limit, hub))


class Quietly:
    """A guard that compares as a preview does: sources confirm nothing meanwhile and throw nothing away."""

    def __init__(self, guard: Guard, hub: DjangoHub) -> None:
        self._guard, self._hub = guard, hub
        self.suspects = guard.suspects

    def judge(self, source: Source, store: Store, *, wrote: bool) -> None:
        before, self._hub.preview = self._hub.preview, True
        try:
            self._guard.judge(source, store, wrote=wrote)
        finally:
            self._hub.preview = before


def dirty(sink: Sink, store: DjangoStore, hub: DjangoHub) -> tuple[int, Iterable[tuple[int, int, Any]]]:
    """How much the sink has perhaps to be told, and what: the outbox of its kind, or every good of its choice."""
    if sink.kind in (Kind.ORDER, Kind.PAYMENT):
        return store.dirty_count(sink.kind), store.dirty(sink.kind)
    choice = cast(GoodsSink, sink).choice
    if isinstance(sink, TellsGone):
        return hub.books.count(choice), _catalogue(cast(CatalogueSink, sink), store, hub)
    return hub.books.count(choice), ((good.record_id, good.version, good) for good in hub.books.goods(choice))


def _catalogue(sink: CatalogueSink, store: DjangoStore, hub: DjangoHub) -> Iterator[tuple[int, int, Any]]:
    """What is gone, where they have not been told yet, then every good of the choice."""

    def gone() -> Iterator[tuple[bool, Good]]:
        for sent, good in hub.books.gone(sink.choice, sink.kind, store.connection):
            payload = sink.render(good.record_id, good, store.links)
            yield payload is None or digest(payload) == sent, good

    over = Counter(known for known, _good in gone())
    sink.begin(told(store.connection, sink.kind) - over[True], over[False])
    for known, good in gone():
        if not known:
            yield good.record_id, good.version, good
    for good in hub.books.goods(sink.choice):
        yield good.record_id, good.version, good


def is_of_goods(sink: Sink) -> bool:
    """Whether the sink's records are goods, so that a person may pick some of them."""
    return sink.kind in GOODS_KINDS


class Picks:
    """The goods that a person picked for this run: told to a sink also when nothing of them has changed."""

    def __init__(self, run: models.Run, sink: Sink) -> None:
        self.run, self.sink = run, cast(GoodsSink, sink)
        self.wanted = frozenset(int(pk) for pk in run.args["goods"])
        self._keys = dict(models.Product.objects.filter(pk__in=self.wanted).values_list("key", "pk"))
        self._met: set[int] = set()

    def dirty(self, hub: DjangoHub) -> tuple[int, Iterable[tuple[int, int, Any]]]:
        choice = replace(self.sink.choice, only=self.wanted)
        if isinstance(self.sink, TellsGone):
            self.sink.begin(told(self.run.connection, self.sink.kind), 0)
        return hub.books.count(choice), self._goods(hub, choice)

    def _goods(self, hub: DjangoHub, choice: Choice) -> Iterator[tuple[int, int, Any]]:
        done = results.told(self.run, self.sink.kind)
        for good in hub.books.goods(choice):
            self._met.add(self._keys.get(good.product.key, 0))
            if good.record_id not in done:
                yield good.record_id, good.version, good

    def tell_others(self) -> None:
        """What was picked and is not among the goods that this connection sends."""
        said = self.run.results.filter(stream=self.sink.stream, outcome=LEFT_OUT).values(
            "record_id"
        )  # by another sink of the stream
        rows = models.Product.objects.filter(pk__in=self.wanted - self._met).exclude(pk__in=said).order_by("pk")
        models.RunResult.objects.bulk_create(
            models.RunResult(
                run=self.run,
                stream=self.sink.stream,
                kind=Kind.PRODUCT,
                record_id=row.pk,
                name=row.name[:500],
                outcome=LEFT_OUT,
                text=MARKED if row.deleted else NOT_OF_THE_CHOICE,
            )
            for row in rows
        )


class Flushing:
    """A source whose messages are written down between its pages, where no transaction is open."""

    def __init__(self, source: Source, hub: DjangoHub) -> None:
        self._source, self._hub = source, hub
        self.stream, self.rules, self.kinds = source.stream, source.rules, source.kinds
        self.parse, self.locate = source.parse, source.locate

    def pages(self, since: Bookmark | None, known: Known) -> Iterator[Page]:
        for page in self._source.pages(since, known):
            yield page
            self._hub.flush()


class Only:
    """A source that is asked for single records."""

    def __init__(self, source: Picking, ids: Sequence[str]) -> None:
        self._source, self._ids = source, ids
        self.stream, self.rules, self.kinds = source.stream, source.rules, source.kinds
        self.parse, self.locate = source.parse, source.locate

    def pages(self, since: Bookmark | None, known: Known) -> Iterator[Page]:
        for page in self._source.pages_of(self._ids, known):
            yield replace(page, bookmark=None, anyway=True)


class Since:
    """A source that is read from a moment on, without moving the bookmark from which the schedule goes on."""

    def __init__(self, source: Picking, moment: datetime) -> None:
        self._source, self._moment = source, moment
        self.stream, self.rules, self.kinds = source.stream, source.rules, source.kinds
        self.parse, self.locate = source.parse, source.locate

    def pages(self, since: Bookmark | None, known: Known) -> Iterator[Page]:
        for page in self._source.pages(self._source.bookmark_from("", self._moment), known):
            yield replace(page, bookmark=None)


def source_of(connector: Connector, kind: Kind) -> Source:
    """The source that brings records of the kind: a parked one goes its way again. Raises NeedsOwner."""
    for source in connector.sources():
        if kind in source.kinds:
            return source
    return connector.open_files([])


# --- feeds -----------------------------------------------------------------------------------------------------------------


def publish(feed: Feed, connection: models.Connection, hub: DjangoHub, store: DjangoStore) -> None:
    """Write a feed anew; what is served is replaced at once and whole, or stays. Raises NeedsOwner with the reason."""
    row = feeds.row(connection, feed.name)
    now = timezone.now()
    with tempfile.TemporaryDirectory(prefix="obmen-feed-") as folder:
        before = Path(folder) / "old.xml"
        try:
            made = _written(feed, Path(folder), hub, now, row)
            file = made.plain
            if made.digest == row.digest and row.file and default_storage.exists(row.file):
                if feed.path:
                    _unpack(row.file, file)  # with the moment of what is served
                    _place(feed, file)
                models.Feed.objects.filter(pk=row.pk).update(looked=now, text="", facts={})
                store.total += Counter({UNCHANGED: 1})
                _carry(feed, made)
                return
            if row.file and default_storage.exists(row.file):
                _unpack(row.file, before)
                feed.allow(before, file)
            _place(feed, file)
        except NeedsOwner as error:
            models.Feed.objects.filter(pk=row.pk).update(looked=now, text=error.text, facts=plain_facts(error.facts))
            raise
        with made.packed.open("rb") as body:
            name = default_storage.save(f"feeds/{connection.slug}/{made.digest[:16]}-{feed.name}.gz", File(body))
        values = {"digest": made.digest, "size": made.size, "counts": made.counts, "made": now, "looked": now}
        models.Feed.objects.filter(pk=row.pk).update(file=name, text="", facts={}, **values)
        if row.file and row.file != name:
            default_storage.delete(row.file)
        store.total += Counter({PUBLISHED: 1})
        _carry(feed, made)


def look_at_feed(feed: Feed, connection: models.Connection, hub: DjangoHub, store: DjangoStore) -> None:
    """As ``publish`` up to the moment when what is served would be replaced. Raises NeedsOwner."""
    row = models.Feed.objects.filter(connection=connection, name=feed.name).first() or models.Feed(name=feed.name)
    now = timezone.now()
    with tempfile.TemporaryDirectory(prefix="obmen-feed-") as folder:
        made, before = _written(feed, Path(folder), hub, now, row), Path(folder) / "old.xml"
        same = bool(row.file) and made.digest == row.digest
        refused: NeedsOwner | None = None
        if row.file and not same and default_storage.exists(row.file):
            _unpack(row.file, before)
            try:
                feed.allow(before, made.plain)
            except NeedsOwner as error:
                refused = error
    changes = {name: [row.counts.get(name), value] for name, value in made.counts.items() if row.counts.get(name) != value}
    changes |= {} if same or made.size == row.size else {"size": [row.size or None, made.size]}
    outcome = PARKED if refused else UNCHANGED if same else WOULD_WRITE
    store.total += Counter({outcome: 1})
    store.kept.take(
        [
            models.RunResult(
                run=store.run,
                stream=feed.stream,
                name=feed.name,
                outcome=outcome,
                changes=changes,
                compared=previews.SENT if row.file else "",
                text=refused.text if refused else "",
                facts=plain_facts(refused.facts) if refused else {},
            )
        ]
    )


def _unpack(packed: str, into: Path) -> None:
    with default_storage.open(packed) as old, gzip.open(old) as plain, into.open("wb") as copy:
        shutil.copyfileobj(plain, copy)


class Made(NamedTuple):
    """A document as it was written: its files, what it counts, the digest by which it is told from what is served, its bytes."""

    plain: Path
    packed: Path
    counts: dict[str, int]
    digest: str
    size: int


def _carry(feed: Feed, made: Made) -> None:
    if isinstance(feed, Carried):
        feed.published(made.plain, made.counts, made.digest)


def _written(feed: Feed, folder: Path, hub: DjangoHub, now: datetime, row: models.Feed) -> Made:
    """Of a ``Dated`` feed in one go. Another one is written with the moment of what is served first: when nothing else changed, not
    a byte does."""
    if isinstance(feed, Dated) or not row.made:
        return _written_at(feed, folder, hub, now)
    made = _written_at(feed, folder, hub, row.made)
    return made if made.digest == row.digest else _written_at(feed, folder, hub, now)


def _written_at(feed: Feed, folder: Path, hub: DjangoHub, moment: datetime) -> Made:
    plain, packed = folder / "new.xml", folder / "new.xml.gz"
    dated = feed.dated if isinstance(feed, Dated) else b""
    if isinstance(feed, InParts) and parts.worth_it(feed, hub.books):
        try:
            with tempfile.TemporaryDirectory(dir=folder) as pieces, FeedFile(plain, packed, dated) as file:
                counts = parts.write(feed, feed.stream, feed.name, moment, hub, file, Path(pieces))
            return Made(plain, packed, dict(counts), file.digest, file.size)
        except parts.NotInParts as reason:
            log.warning("The feed %s is written by one process: %s", feed.name, reason)
    with FeedFile(plain, packed, dated) as file:
        if dated:
            counts = feed.write(cast(BinaryIO, file), hub.books, moment)
        else:  # one that may want to seek
            own = folder / "own.xml"
            with own.open("wb") as out:
                counts = feed.write(cast(BinaryIO, out), hub.books, moment)
            with own.open("rb") as made:
                shutil.copyfileobj(made, cast(BinaryIO, file))
            own.unlink()
    return Made(plain, packed, dict(counts), file.digest, file.size)


def _place(feed: Feed, file: Path) -> None:
    """A copy at the path that the settings name, replaced at once. Raises NeedsOwner."""
    if not feed.path:
        return
    target = Path(feed.path).expanduser()
    try:
        if target.is_dir():
            target /= feed.name
        beside = target.with_name(f".{target.name}.new")
        shutil.copyfile(file, beside)
        beside.replace(target)
    except OSError as error:
        raise NeedsOwner(
            _("The file cannot be written to {path}: {reason}. Correct the path, or let the hub write there"),
            path=str(target),
            reason=error.strerror or str(error),
        ) from None
