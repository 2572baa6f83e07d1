"""Move records in and out, one page at a time; each page is settled in one transaction with its bookmark.

The laws (design §4) live here: a bookmark never gets ahead of the work, an error's class says what happens next, unchanged
input is not even parsed, an unanswered create is looked up before it is tried again, a preview is the same code without
``settle`` and ``write``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Protocol

from obmen.core.contract import (
    BadRecord,
    Bookmark,
    Change,
    Item,
    Known,
    Links,
    MissingLink,
    NeedsOwner,
    Outcome,
    Page,
    Payload,
    Receiving,
    Sink,
    Source,
    StartAgain,
    SweepKey,
)
from obmen.core.matching import Match
from obmen.core.records import Good, Kind, Reference, digest
from obmen.core.words import gettext_noop as _

CREATED, MATCHED, UPDATED, UNCHANGED = "created", "matched", "updated", "unchanged"
PARKED, LEFT_OUT, REPEATED = "parked", "left_out", "repeated"
SKIPPED = "skipped"  # by a person who decided on a preview
WOULD_WRITE = "would_write"  # of a preview of a push
WRITTEN = (CREATED, MATCHED, UPDATED)


@dataclass(frozen=True, slots=True)
class Link:
    """What we and the other system last told each other about one record."""

    record_id: int
    external_id: str
    seen: bytes = b""
    sent: bytes = b""
    sent_version: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """One record of a page to be folded into the books. ``link`` None: not linked yet; ``record_id`` None: to be made."""

    item: Item
    record: Any  # one of core.records.Record, of the page's kind
    link: Link | None
    record_id: int | None
    why: str = ""  # by which match rule the card was found


@dataclass(frozen=True, slots=True)
class ParkedItem:
    external_id: str
    payload: Payload
    where: str
    error: BadRecord


class Skipped(BadRecord):
    """A person decided on a preview that this record stays out."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one record of a push that a person watches; ``said`` is the payload that was sent, None when none was."""

    record_id: int
    external_id: str
    name: str
    outcome: str
    said: Payload | None = None
    error: BadRecord | None = None


@dataclass(slots=True)
class Settlement:
    """Everything one page changes. A store applies all of it, with the bookmark, or none of it.

    ``counts`` is what the engine knows; the store adds created/matched/updated, for only it sees whether a card differs.
    """

    stream: str
    kind: Kind
    rules: Receiving
    said: list[Said] = field(default_factory=list)
    parked: list[ParkedItem] = field(default_factory=list)
    settled_ids: list[str] = field(default_factory=list)  # unchanged ones, so that what was parked for them is freed
    links: list[Link] = field(default_factory=list)  # of a push
    told: list[tuple[int, int]] = field(default_factory=list)  # of a push: (record id, version) with nothing to say about
    copies: dict[int, Any] = field(default_factory=dict)  # of a push: records as they have them now
    bookmark: Bookmark | None = None
    whole: bool = False
    sweep: SweepKey | None = None
    positions: Sequence[int] = ()
    percent: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    results: list[Result] = field(default_factory=list)  # of a push whose records are told one by one


class Store(Known, Protocol):
    """The engine's only door to a database; every method takes a page, never a record."""

    links: Links

    def bookmark(self, stream: str) -> Bookmark | None: ...
    def links_by_external(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Link]: ...
    def links_by_record(self, kind: Kind, ids: Sequence[int]) -> Mapping[int, Link]: ...
    def resolve(self, kind: Kind, records: Sequence[Any]) -> Sequence[BadRecord | None]:
        """For each record: the reason why it cannot be settled now (MissingLink to what it points at), or None."""
        ...

    def match(self, kind: Kind, records: Sequence[Any], rules: Receiving) -> Sequence[Match]: ...
    def sending(self, keys: Sequence[str]) -> set[str]:
        """Note the intents down, in a transaction of their own; returns those that had been noted before."""
        ...

    def settle(self, settlement: Settlement) -> Counter[str]: ...
    def tell(self, settlement: Settlement) -> None:
        """Write down ``results`` of a preview with how far it is, and nothing else."""
        ...

    def left(self, kind: Kind, changes: Sequence[tuple[int, Payload]]) -> Mapping[int, BadRecord]:
        """Of (record id, what would be sent) those that a person decided to leave, or of which they saw something else, with the
        reason."""
        ...

    def held(self, kind: Kind, record_ids: Sequence[int]) -> set[int]:
        """Those of which nobody is to be told now, although they were read to be told: a person has put them on hold since."""
        ...

    def compare(self, settlement: Settlement) -> Counter[str]:
        """What ``settle`` would count, and nothing kept of it."""
        ...

    def start_again(self) -> None:
        """The source begins once more: what was settled so far comes again unchanged, and is not counted a second time."""
        ...

    def preview(self, settlement: Settlement) -> Counter[str]:
        """What ``settle`` would count, without writing; keeps field-level differences for the page that shows them."""
        ...


class Limit(Protocol):
    """What may stop a run before it writes: ``Guard``."""

    def suspects(self, page: Page, settlement: Settlement) -> bool: ...
    def judge(self, source: Source, store: Store, *, wrote: bool) -> None: ...


def pull(source: Source, store: Store, *, preview: bool = False, guard: Limit | None = None) -> Counter[str]:
    """Read what changed over there since the bookmark and fold it into the books. Returns counts.

    Raises NeedsOwner, TryLater, BadDocument as the source does, and NeedsOwner of ``guard``: what was settled before stays settled.
    """
    total: Counter[str] = Counter()
    finished = False
    while not finished:
        pages = source.pages(store.bookmark(source.stream), store)
        try:
            for page in pages:
                settlement = read_page(source, store, page)
                if guard is not None and not preview and guard.suspects(page, settlement):
                    if isinstance(pages, Generator):
                        pages.close()
                    guard.judge(source, store, wrote=any(total[name] for name in WRITTEN))
                    raise StartAgain
                total += store.preview(settlement) if preview else store.settle(settlement)
            finished = True
        except StartAgain:
            store.start_again()
            total = Counter() if preview else Counter({name: total[name] for name in WRITTEN})
    return total


TOO_MANY = _(
    "{changed} of {known} records ({kind}) would change, more than the {limit} % that one run may. Nothing was written: look at the "
    "preview, then allow it once."
)
TOO_MANY_MORE = _(
    "{changed} of {known} records ({kind}) would change, more than the {limit} % that one run may. It stopped there: look at the "
    "preview of the rest, then allow it once."
)
GUARDED = frozenset({Kind.PRODUCT, Kind.VARIANT, Kind.OFFER, Kind.PRICES, Kind.STOCK, Kind.ORDER, Kind.COUNTERPARTY})


class Guard:
    """Keeps one run from changing too large a share of the goods, orders or customers that the connection has told us of.

    Digests say for nothing how much of what comes is not as before. Only when that, carried on to the end of the input, is more than
    the share is the input read once more and compared, without writing: a setting may have changed every digest and no card. An
    input that does not say how long it is is judged by what has come. First loads change nothing that was there.
    """

    def __init__(self, percent: Mapping[Kind, int], known: Callable[[Kind], int], at_least: int = 50) -> None:
        """``percent``: of which kinds; ``known``: how many records of a kind have come before. Fewer changes than ``at_least`` always
        pass."""
        self._percent, self._count, self._least = percent, known, at_least
        self._known: dict[Kind, int] = {}
        self._changed: Counter[Kind] = Counter()
        self._before: Counter[Kind] = Counter()  # of those, what stood on earlier pages, which are written
        self._begun: dict[Kind, int] = {}  # where in the input the kind began
        self._done = self._earlier = 0
        self._passed = False

    def suspects(self, page: Page, settlement: Settlement) -> bool:
        """Whether the whole of it has to be compared before this page may be written."""
        kind = page.kind
        if page.done != self._done:  # buyers stand before their orders, at one place of the input
            self._earlier, self._done = self._done, page.done
        begun = self._begun.setdefault(kind, self._earlier)
        if self._passed or kind not in self._percent:
            return False
        self._before = Counter(self._changed)
        # A flat card of a marketplace changes nothing of ours.
        self._changed[kind] += sum(s.link is not None and getattr(s.record, "card", None) is None for s in settlement.said)
        expected = changed = self._changed[kind]
        if changed and page.total and page.done > begun:
            expected = max(changed, changed * (page.total - begun) // (page.done - begun))
        return self._over(kind, expected)

    def _over(self, kind: Kind, changed: int) -> bool:
        if changed < self._least or kind not in self._percent:
            return False
        if kind not in self._known:
            self._known[kind] = self._count(kind)
        return changed * 100 > self._known[kind] * self._percent[kind]

    def judge(self, source: Source, store: Store, *, wrote: bool) -> None:
        """Compare all of it. Raises NeedsOwner when too much would change; else nothing is suspected any more."""
        counts = Counter(self._before)
        finished = False
        while not finished:
            try:
                for page in source.pages(store.bookmark(source.stream), store):
                    counts[page.kind] += store.compare(read_page(source, store, page))[UPDATED]
                finished = True
            except StartAgain:
                counts = Counter(self._before)
        for kind, changed in counts.items():
            if self._over(kind, changed):
                text = TOO_MANY_MORE if wrote else TOO_MANY
                known, limit = self._known[kind], self._percent[kind]
                raise NeedsOwner(text, changed=changed, known=known, limit=limit, kind=str(kind), guard=source.stream)
        self._passed = True


def read_page(source: Source, store: Store, page: Page) -> Settlement:
    """What a page would change: no writing, and no parsing of what has not changed."""
    done = Settlement(source.stream, page.kind, source.rules, bookmark=page.bookmark, whole=page.whole)
    done.sweep, done.positions = page.sweep, page.positions
    done.percent = page.done * 100 // page.total if page.total else 0
    done.counts[UNCHANGED] += page.unchanged
    items = _last_of_each(page.items, done)
    links = store.links_by_external(page.kind, [item.external_id for item in items]) if items else {}
    fresh: list[Item] = []
    for item in items:
        link = links.get(item.external_id)
        if link is not None and item.digest and link.seen == item.digest and not page.anyway:
            done.counts[UNCHANGED] += 1
            done.settled_ids.append(item.external_id)
        else:
            fresh.append(item)
    if fresh:
        _fold(source, store, page.kind, fresh, links, done)
    return done


def _last_of_each(items: Sequence[Item], done: Settlement) -> Sequence[Item]:
    """Two items with one id in one page: the later word counts. PostgreSQL refuses to settle a row twice in one statement."""
    by_id = {item.external_id: item for item in items}
    if len(by_id) == len(items):
        return items
    done.counts[REPEATED] += len(items) - len(by_id)
    return list(by_id.values())


def _fold(source: Source, store: Store, kind: Kind, items: Sequence[Item], links: Mapping[str, Link], done: Settlement) -> None:
    records = _records(source, kind, items, links)
    good: list[tuple[Item, Any]] = []
    renamed: list[str] = []
    for item, record in zip(items, records, strict=True):
        if record is None:
            done.counts[LEFT_OUT] += 1
            done.settled_ids.append(item.external_id)  # a person decided so: what was parked of it waits for nothing
        elif isinstance(record, BadRecord):
            _park(source, done, item, record)
        else:
            good.append((item, record))
            key = key_of(record)
            if key != item.external_id:
                renamed.append(key)
    if renamed:  # the quick guess at the id was wrong: now the record has told its own
        links = {**links, **store.links_by_external(kind, renamed)}
        good = _last_of_each_record(good, done)
    obstacles = store.resolve(kind, [record for _item, record in good])
    strangers: list[tuple[Item, Any]] = []
    for (item, record), obstacle in zip(good, obstacles, strict=True):
        key = key_of(record)
        if isinstance(obstacle, MissingLink) and done.rules.partial:
            done.counts[LEFT_OUT] += 1
            continue
        if obstacle is not None:
            _park(source, done, replace(item, external_id=key), obstacle)
            continue
        if key != item.external_id:
            item = replace(item, external_id=key)
        link = links.get(key)
        if link is not None:
            if done.rules.mode == "new" and kind in GOODS:
                done.counts[LEFT_OUT] += 1
            else:
                done.said.append(Said(item, record, link, link.record_id))
        else:
            strangers.append((item, record))
    if strangers:
        _meet(source, store, kind, strangers, done)


def _records(source: Source, kind: Kind, items: Sequence[Item], links: Mapping[str, Link]) -> Iterator[Any]:
    """What the items say. A stranger of which the source has made a row ahead needs no parsing: nothing is compared with it."""
    parse = [item.row is None or item.external_id in links for item in items]
    parsed = iter(source.parse(kind, [item for item, wanted in zip(items, parse, strict=True) if wanted]))
    for item, wanted in zip(items, parse, strict=True):
        yield next(parsed) if wanted else item.row


GOODS = frozenset({Kind.PRODUCT, Kind.VARIANT, Kind.OFFER})


def _last_of_each_record(good: list[tuple[Item, Any]], done: Settlement) -> list[tuple[Item, Any]]:
    by_key = {key_of(record): (item, record) for item, record in good}
    done.counts[REPEATED] += len(good) - len(by_key)
    return list(by_key.values())


def _meet(source: Source, store: Store, kind: Kind, strangers: Sequence[tuple[Item, Any]], done: Settlement) -> None:
    matches = store.match(kind, [record for _item, record in strangers], done.rules)
    taken: dict[int, str] = {}
    rows = [item for (item, record), m in zip(strangers, matches, strict=True) if m.record_id is not None and record is item.row]
    spelled = {item.external_id: record for item, record in zip(rows, source.parse(kind, rows), strict=True)} if rows else {}
    for (item, record), match in zip(strangers, matches, strict=True):
        if len(match.candidates) > 1:
            _park(
                source,
                done,
                item,
                BadRecord(
                    _("{count} cards have {why}: join them or correct the cards, then try again"),
                    count=len(match.candidates),
                    why=match.why,
                    candidates=list(match.candidates),
                ),
            )
        elif (match.taken_by or match.record_id in taken) and kind is Kind.COUNTERPARTY and done.rules.shared_buyers:
            done.counts[LEFT_OUT] += 1  # their orders find the card all the same
            done.settled_ids.append(item.external_id)
        elif match.taken_by or match.record_id in taken:
            _park(source, done, item, twins(match.why, match.taken_by or taken[match.record_id or 0]))
        elif match.record_id is None and match.refused is not None:
            _park(source, done, item, match.refused)
        elif match.record_id is None and (match.left_out or not _may_create(kind, done.rules)):
            done.counts[LEFT_OUT] += 1
        else:
            if match.record_id is not None:
                taken[match.record_id] = item.external_id
            done.said.append(Said(item, spelled.get(item.external_id, record), None, match.record_id, match.why))


def _may_create(kind: Kind, rules: Receiving) -> bool:
    return rules.new_buyers if kind is Kind.COUNTERPARTY else kind not in GOODS or rules.mode != "existing"


def twins(why: str, other: str) -> BadRecord:
    """Two strangers claim one card: one product or a parked conflict, never a silent twin (law 4)."""
    return BadRecord(
        _("Another record of theirs, {other}, already has this card ({why}): give them different values or join them over there"),
        other=other,
        why=why,
    )


def key_of(record: Any) -> str:
    """The id that the record itself says; references of all subjects share one kind, so theirs carries the subject."""
    return f"{record.subject}:{record.key}" if isinstance(record, Reference) else str(record.key)


def _park(source: Source, done: Settlement, item: Item, error: BadRecord) -> None:
    done.parked.append(ParkedItem(item.external_id, item.payload, source.locate(item), error))
    done.counts[PARKED] += 1


# --- out -------------------------------------------------------------------------------------------------------------------

LOOKED_AT = 500  # records compared in one step; most of them have nothing to say, so that a step is no batch


@dataclass(frozen=True, slots=True)
class Waiting:
    """A change that is ready to be written, and what is settled once it was."""

    change: Change
    record_id: int
    version: int
    before: Link | None
    sent: bytes
    name: str = ""  # for a person, where each is told


def push(
    sink: Sink,
    dirty: Iterable[tuple[int, int, Any]],
    store: Store,
    *,
    connection: str,
    expected: int = 0,
    preview: bool = False,
    anyway: bool = False,
    each: bool = False,
) -> Counter[str]:
    """Write to the other system what it has not been told yet: ``dirty`` yields (record id, version, record), perhaps
    ``expected`` times: that drives the progress bar.

    The intent to create is settled before the call; a create that was noted before is marked ``unsure``, so that the sink
    looks before it makes a twin. A batch is filled over as many steps as it takes: a hundred thousand goods of which a few
    have changed cost a few calls.

    ``anyway``: also what has not changed since it was sent is sent again. ``each``: ``Settlement.results`` tells every record. A
    preview tells those that would be sent, or cannot be.
    """
    total: Counter[str] = Counter()
    rows, ready = iter(dirty), list[Waiting]()
    looked = 0
    with _Writer(sink, store, each) as writer:
        while True:
            step = list(islice(rows, LOOKED_AT))
            looked += len(step)
            percent = looked * 100 // max(expected, looked, 1) if expected else 0
            done = Settlement(sink.stream, sink.kind, Receiving(), percent=percent)
            known = store.links_by_record(sink.kind, [record_id for record_id, _version, _record in step]) if step else {}
            fresh = _changes(sink, step, known, store, done, connection, anyway, each or preview)
            if preview:
                done.counts[WOULD_WRITE] += len(fresh)
                if not each:
                    done.results = [result for result in done.results if result.outcome != UNCHANGED]
                done.results += [
                    Result(w.record_id, w.change.external_id or "", w.name, WOULD_WRITE, w.change.payload) for w in fresh
                ]
                store.tell(done)
                total += done.counts
            else:
                ready += _not_left(sink, fresh, store, done)
                total += store.settle(done) if done.links or done.parked or done.counts else Counter()
                while ready and (len(ready) >= sink.batch or not step):
                    batch, ready = ready[: sink.batch], ready[sink.batch :]
                    for written in writer.write(batch, percent):
                        total += store.settle(written)
            if not step:
                for written in writer.last():
                    total += store.settle(written)
                return total


def _changes(
    sink: Sink,
    step: Sequence[tuple[int, int, Any]],
    known: Mapping[int, Link],
    store: Store,
    done: Settlement,
    connection: str,
    anyway: bool,
    each: bool,
) -> list[Waiting]:
    changes = []
    for record_id, version, record in step:
        link = known.get(record_id)
        external_id = link.external_id if link else sink.external_id(record)
        try:
            payload = sink.render(record_id, record, store.links)
        except BadRecord as error:
            done.parked.append(ParkedItem(str(record_id), b"", name_of(record), error))
            done.counts[PARKED] += 1
            if each:
                done.results.append(Result(record_id, external_id or "", title_of(record), PARKED, error=error))
            continue
        sent = b"" if payload is None or sink.compares else digest(payload)
        if payload is None or (sent and link is not None and link.sent == sent and not anyway):
            done.counts[UNCHANGED] += 1
            if each:
                done.results.append(Result(record_id, external_id or "", title_of(record), UNCHANGED))
            done.settled_ids.append(str(record_id))
            if link is not None and link.sent_version != version:
                done.links.append(replace(link, sent_version=version))
            elif link is None:
                done.told.append((record_id, version))
            continue
        key = (
            digest([connection, sink.kind, record_id, version]).hex() if external_id else intent(connection, sink.kind, record_id)
        )
        name = title_of(record) if each else ""
        changes.append(Waiting(Change(key, external_id, payload), record_id, version, link, sent, name))
    return changes


def _not_left(sink: Sink, fresh: Sequence[Waiting], store: Store, done: Settlement) -> Iterable[Waiting]:
    """What a person who decided on a preview lets go; the rest stays as it is, for a later run."""
    left = store.left(sink.kind, [(w.record_id, w.change.payload) for w in fresh]) if fresh else {}
    if not left:
        return fresh
    for w in fresh:
        if w.record_id in left:
            done.counts[SKIPPED] += 1
            ident = w.change.external_id or ""
            done.results.append(Result(w.record_id, ident, w.name, SKIPPED, w.change.payload, left[w.record_id]))
    return [w for w in fresh if w.record_id not in left]


def intent(connection: str, kind: Kind, record_id: int) -> str:
    """The key of making this record there: one whatever its version, so that an edit after a lost answer makes no twin."""
    return digest([connection, kind, record_id]).hex()


class _Writer:
    """Writes batch after batch and yields what is to be settled. Where the sink allows it, one behind: while a batch is on its way
    in a thread, the one before is settled and the next one prepared. After a failure no further batch leaves."""

    def __init__(self, sink: Sink, store: Store, each: bool) -> None:
        self._sink, self._store, self._each, self._failed = sink, store, each, False
        self._pool = ThreadPoolExecutor(1, "push") if getattr(sink, "overlaps", False) else None
        self._before: tuple[Sequence[Waiting], int, Future[list[Outcome]]] | None = None

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def write(self, batch: Sequence[Waiting], percent: int) -> Iterator[Settlement]:
        held = self._store.held(self._sink.kind, [w.record_id for w in batch])
        batch = [w for w in batch if w.record_id not in held]  # they stay in the outbox, as if they had never been read
        if not batch:
            return
        fresh = [w.change.key for w in batch if w.change.external_id is None] if self._sink.creates else []
        unsure = self._store.sending(fresh) if fresh else set()
        changes = [replace(w.change, unsure=w.change.key in unsure) for w in batch]
        if self._pool is None:
            yield _told(self._sink, batch, self._sink.write(changes), percent, self._each)
            return
        before, self._before = self._before, (batch, percent, self._pool.submit(self._send, changes))
        if before is not None:
            yield _told(self._sink, before[0], before[2].result(), before[1], self._each)

    def last(self) -> Iterator[Settlement]:
        if self._before is not None:
            yield _told(self._sink, self._before[0], self._before[2].result(), self._before[1], self._each)

    def _send(self, changes: Sequence[Change]) -> list[Outcome]:
        if self._failed:
            return []
        try:
            return list(self._sink.write(changes))
        except BaseException:
            self._failed = True
            raise


def _told(sink: Sink, batch: Sequence[Waiting], outcomes: Iterable[Outcome], percent: int, each: bool) -> Settlement:
    done = Settlement(sink.stream, sink.kind, Receiving(), percent=percent)
    by_key = {w.change.key: w for w in batch}
    for outcome in outcomes:
        w = by_key.pop(outcome.key)
        if outcome.error is not None:
            done.parked.append(ParkedItem(str(w.record_id), w.change.payload, "", outcome.error))
            done.counts[PARKED] += 1
            if each:
                ident = w.change.external_id or ""
                done.results.append(Result(w.record_id, ident, w.name, PARKED, w.change.payload, outcome.error))
            continue
        external_id = outcome.external_id or w.change.external_id
        if not external_id:
            raise TypeError(f"{type(sink).__name__}.write must return the id of what it created")
        seen = outcome.seen or (w.before.seen if w.before else b"")
        done.links.append(Link(w.record_id, external_id, seen, w.sent, w.version))
        done.settled_ids.append(str(w.record_id))
        if outcome.copy is not None:
            done.copies[w.record_id] = outcome.copy
        done.counts[UPDATED if w.before else CREATED] += 1
        if each:
            done.results.append(Result(w.record_id, external_id, w.name, UPDATED if w.before else CREATED, w.change.payload))
    if by_key:
        raise TypeError(f"{type(sink).__name__}.write must tell the outcome of every change")
    return done


def name_of(record: Any) -> str:
    """What a person calls the record, for a message: number, article, name or key."""
    if isinstance(record, Good):
        return record.offer.article or record.product.article or record.offer.name or record.product.name or record.key
    return str(getattr(record, "number", "") or getattr(record, "name", "") or key_of(record))


def title_of(record: Any) -> str:
    """As ``name_of``, with goods by their full name: for a list of records, which need not be short."""
    if isinstance(record, Good):
        return record.offer.name or record.product.name or record.key
    return name_of(record)


def missing(kind: Kind, external_id: str) -> MissingLink:
    """What a record points at and we have not met: the record waits for it and is retried by itself."""
    return MissingLink(_("It points at {kind} {id}, which has not come yet"), kind=str(kind), id=external_id)
