"""Move records in and out, one page at a time; each page is settled in one transaction with its bookmark.

The laws (design §4) live here: a bookmark never gets ahead of the work, an error's class says what happens next, unchanged
input is not even parsed, an unanswered create is looked up before it is tried again, a preview is the same code without
``settle`` and ``write``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    Page,
    Payload,
    Receiving,
    Sink,
    Source,
    StartAgain,
    SweepKey,
)
from obmen.core.matching import Match
from obmen.core.records import Kind, Record, Reference, digest
from obmen.core.words import gettext_noop as _

CREATED, MATCHED, UPDATED, UNCHANGED = "created", "matched", "updated", "unchanged"
PARKED, LEFT_OUT, REPEATED = "parked", "left_out", "repeated"
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
    bookmark: Bookmark | None = None
    whole: bool = False
    sweep: SweepKey | None = None
    positions: Sequence[int] = ()
    percent: int = 0
    counts: Counter[str] = field(default_factory=Counter)


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
    def start_again(self) -> None:
        """The source begins once more: what was settled so far comes again unchanged, and is not counted a second time."""
        ...

    def preview(self, settlement: Settlement) -> Counter[str]:
        """What ``settle`` would count, without writing; keeps field-level differences for the page that shows them."""
        ...


def pull(
    source: Source, store: Store, *, preview: bool = False, progress: Callable[[Counter[str], int], None] | None = None
) -> Counter[str]:
    """Read what changed over there since the bookmark and fold it into the books. Returns counts.

    Raises NeedsOwner, TryLater, BadDocument as the source does: what was settled before stays settled.
    """
    total: Counter[str] = Counter()
    finished = False
    while not finished:
        try:
            for page in source.pages(store.bookmark(source.stream), store):
                settlement = read_page(source, store, page)
                total += store.preview(settlement) if preview else store.settle(settlement)
                if progress:
                    progress(total, settlement.percent)
            finished = True
        except StartAgain:
            store.start_again()
            total = Counter() if preview else Counter({name: total[name] for name in WRITTEN})
    return total


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
        if link is not None and link.seen == item.digest:
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
    records = source.parse(kind, items)
    good: list[tuple[Item, Any]] = []
    renamed: list[str] = []
    for item, record in zip(items, records, strict=True):
        if record is None:
            done.counts[LEFT_OUT] += 1
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


GOODS = frozenset({Kind.PRODUCT, Kind.VARIANT, Kind.OFFER})


def _last_of_each_record(good: list[tuple[Item, Any]], done: Settlement) -> list[tuple[Item, Any]]:
    by_key = {key_of(record): (item, record) for item, record in good}
    done.counts[REPEATED] += len(good) - len(by_key)
    return list(by_key.values())


def _meet(source: Source, store: Store, kind: Kind, strangers: Sequence[tuple[Item, Any]], done: Settlement) -> None:
    matches = store.match(kind, [record for _item, record in strangers], done.rules)
    taken: dict[int, str] = {}
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
        elif match.taken_by or match.record_id in taken:
            _park(source, done, item, twins(match.why, match.taken_by or taken[match.record_id or 0]))
        elif match.record_id is None and done.rules.mode == "existing" and kind in GOODS:
            done.counts[LEFT_OUT] += 1
        else:
            if match.record_id is not None:
                taken[match.record_id] = item.external_id
            done.said.append(Said(item, record, None, match.record_id, match.why))


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


def push(
    sink: Sink, dirty: Iterable[tuple[int, int, Record]], store: Store, *, connection: str, preview: bool = False
) -> Counter[str]:
    """Write to the other system what it has not been told yet: ``dirty`` yields (record id, version, record).

    The intent to create is settled before the call; a create that was noted before is marked ``unsure``, so that the sink
    looks before it makes a twin.
    """
    total: Counter[str] = Counter()
    rows = iter(dirty)
    while batch := list(islice(rows, sink.batch)):
        done = Settlement(sink.stream, sink.kind, Receiving())
        known = store.links_by_record(sink.kind, [record_id for record_id, _version, _record in batch])
        changes = _changes(sink, batch, known, store, done, connection)
        if preview:
            done.counts["would_write"] += len(changes)
            total += done.counts
        else:
            _write(sink, changes, known, store, done)
            total += store.settle(done)
    return total


def _changes(
    sink: Sink,
    batch: Sequence[tuple[int, int, Record]],
    known: Mapping[int, Link],
    store: Store,
    done: Settlement,
    connection: str,
) -> dict[str, tuple[Change, int, int, bytes]]:
    changes: dict[str, tuple[Change, int, int, bytes]] = {}
    for record_id, version, record in batch:
        link = known.get(record_id)
        try:
            payload = sink.render(record, store.links)
        except BadRecord as error:
            done.parked.append(ParkedItem(str(record_id), b"", "", error))
            done.counts[PARKED] += 1
            continue
        sent = digest(payload)
        if link is not None and link.sent == sent:
            done.counts[UNCHANGED] += 1
            done.links.append(replace(link, sent_version=version))
            continue
        key = digest([connection, sink.kind, record_id, version]).hex()
        changes[key] = Change(key, link.external_id if link else None, payload), record_id, version, sent
    return changes


def _write(
    sink: Sink,
    changes: dict[str, tuple[Change, int, int, bytes]],
    known: Mapping[int, Link],
    store: Store,
    done: Settlement,
) -> None:
    unsure = store.sending([key for key, (change, *_rest) in changes.items() if change.external_id is None])
    for outcome in sink.write([replace(change, unsure=change.key in unsure) for change, *_rest in changes.values()]):
        change, record_id, version, sent = changes[outcome.key]
        if outcome.error is not None:
            done.parked.append(ParkedItem(str(record_id), change.payload, "", outcome.error))
            done.counts[PARKED] += 1
            continue
        external_id = outcome.external_id or change.external_id
        if not external_id:
            raise TypeError(f"{type(sink).__name__}.write must return the id of what it created")
        before = known.get(record_id)
        seen = sink.echo(change.payload) or (before.seen if before else b"")
        done.links.append(Link(record_id, external_id, seen, sent, version))
        done.counts[UPDATED if change.external_id else CREATED] += 1


def missing(kind: Kind, external_id: str) -> MissingLink:
    """What a record points at and we have not met: the record waits for it and is retried by itself."""
    return MissingLink(_("It points at {kind} {id}, which has not come yet"), kind=str(kind), id=external_id)
