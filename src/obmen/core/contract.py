"""What a connector promises the hub, and what the hub promises a connector. Read this file first.

A connector is one folder: ``__init__.py`` (what it is), ``api.py`` (input and output), ``convert.py`` (pure). It is plain
Python without Django. It sees the hub only through the arguments it is given: its settings, a ``Known`` of what was seen
before, or (for a door) a ``DoorHost``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Protocol

from obmen.core.records import Kind, Order, Record, Reference, Subject

Payload = Any  # a thing in the other system's own words: bytes (a piece of a document) or a JSON-safe mapping
Bookmark = Mapping[str, Any]  # where to start next time; only its connector can read it


class ExchangeError(Exception):
    """What went wrong, as a translatable sentence and its facts. The class says what happens next (design law 2).

    ``text`` is the English sentence marked with ``gettext_noop`` where it is written, with ``{named}`` facts in it; whoever
    shows it translates ``text`` and then formats it with ``facts``, so that each reader reads it in their own language.
    """

    def __init__(self, text: str, **facts: object) -> None:
        super().__init__(text.format(**facts) if facts else text)
        self.text, self.facts = text, facts


class NeedsOwner(ExchangeError):
    """Wrong key, wrong address, no rights, too much would change: stop this exchange until a person acts."""


class TryLater(ExchangeError):
    """Nothing is wrong with the data: stop now, start again after a pause, keep the bookmark."""

    after = timedelta(minutes=1)


class BadDocument(ExchangeError):
    """This document cannot be read (further): what was settled stays, the raw input is kept, the sender is told."""


class StartAgain(Exception):
    """The source found in mid-way that it has to read this input in another way; ``pages`` is simply asked again.

    Harmless by law 6: what was settled is recognised as unchanged or written again with the same content.
    """


class BadRecord(ExchangeError):
    """This one record cannot go through: park it and carry on with the rest."""


class MissingLink(BadRecord):
    """The record points at one that we have not met yet; retried by itself once we have.

    Facts always hold ``kind`` and ``id`` of the missing record.
    """


class Unmapped(BadRecord):
    """A value has no counterpart in a mapping. Facts always hold ``subject`` and ``value``; mapping it frees the record."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing as the other system said it. ``digest`` is 16 bytes over its untouched input: equal means unchanged.

    ``external_id`` may be a quick guess taken from the raw input; once parsed, the record's own key decides. ``where`` is the
    source's own note (an offset, say) that ``Source.locate`` turns into words.
    """

    external_id: str
    payload: Payload
    digest: bytes
    where: int | str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Items of one kind, settled together with ``bookmark`` in one transaction.

    ``unchanged`` counts records that the source itself recognised (through ``Known``) and left out of ``items``.
    ``done`` of ``total`` (bytes or records, the source's choice) drives the progress bar.
    """

    kind: Kind
    items: Sequence[Item]
    bookmark: Bookmark | None = None
    unchanged: int = 0
    done: int = 0
    total: int = 0
    whole: bool = False  # what a record does not list (prices, stock) is gone, instead of not said
    sweep: SweepKey | None = None  # set by sources of whole catalogues when the settings judge absence
    positions: Sequence[int] = ()  # of the ``unchanged`` ones in Known.seen(kind); only kept for a sweep


@dataclass(frozen=True, slots=True)
class SweepKey:
    """Which load of which catalogue a page belongs to. ``whole``: this portion says that it is not only changes."""

    catalogue: str
    run: str  # equal in all portions of one load: ДатаФормирования of 1C:UT and UNF
    whole: bool


@dataclass(frozen=True, slots=True)
class Receiving:
    """How what comes in is folded into the books: the part of a connection's settings that the engine carries out.

    ``fields`` says who owns which field of a kind: {"product.description": "keep"}; what is not listed is "take"
    (core/policy.py). ``match`` lists attributes by priority for finding an existing card of a stranger.
    """

    mode: str = "all"  # all | new | existing | none: which cards of goods may be created and updated
    match: Mapping[Kind, Sequence[str]] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    pictures: str = "replace"  # off | append | replace
    deletion: str = "mark"  # mark | ignore: what a deletion mark of theirs does
    sweep: str = "off"  # off | mark: what absence from a full file does (design law 7)
    sweep_limit: int = 10  # per cent of the catalogue's cards; above it the run stops as NeedsOwner
    partial: bool = False  # goods are left out on purpose: an offer of an unknown product is left out too, not parked
    orders: Sequence[str] = ("state", "cancel", "payment", "shipment", "lines")  # which news of an order are taken
    fingerprint: bytes = b""  # changes when a setting changes that makes every record worth looking at again


class Known(Protocol):
    """What this connection has told us before."""

    def seen(self, kind: Kind) -> bytes:
        """All ``seen`` digests of the kind, 16 bytes each, in the order in which the links were made."""
        ...


class Source(Protocol):
    """Something to read from: a file that came through a door, a list behind an API."""

    stream: str
    rules: Receiving

    def pages(self, since: Bookmark | None, known: Known) -> Iterator[Page]:
        """The only method that does input or output. Raises NeedsOwner, TryLater, BadDocument."""
        ...

    def parse(self, kind: Kind, items: Sequence[Item]) -> Sequence[Record | BadRecord | None]:
        """Pure: one result for each item, in order. A bad item becomes a BadRecord instead of an exception;
        None means that the settings leave this record out (a group filter, say): counted, not parked.
        Raises StartAgain."""
        ...

    def locate(self, item: Item) -> str:
        """Where the item stands, for a person: "import0_1.xml:120"."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """One record to be written there. Same ``key``, same effect, however many times it is sent."""

    key: str
    external_id: str | None  # None: not created over there yet
    payload: Payload
    unsure: bool = False  # an earlier answer got lost: look before you create


@dataclass(frozen=True, slots=True)
class Outcome:
    key: str
    external_id: str | None = None
    error: BadRecord | None = None


class Links(Protocol):
    """The two-way table of ids of one connection. Both look-ups raise MissingLink."""

    def record_id(self, kind: Kind, external_id: str) -> int: ...
    def external_id(self, kind: Kind, record_id: int) -> str: ...


class Sink(Protocol):
    """Something to write to."""

    stream: str
    kind: Kind
    batch: int  # how many changes one ``write`` takes

    def render(self, record: Record, links: Links) -> Payload:
        """Pure. Raises BadRecord."""
        ...

    def write(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        """The only method that does input or output. Yields one outcome for each change, in any order."""
        ...

    def echo(self, payload: Payload) -> bytes | None:
        """Digest of what they will report back after this write (design law 3), or None when it cannot be told."""
        ...


# --- doors: for systems that call us -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request, already authenticated by the web ring.

    ``query`` holds the parameters after tolerant parsing (a second ``?`` counts as ``&``). Header names are lower-case.
    """

    method: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: BinaryIO
    length: int | None = None
    remote: str = ""
    user: str = ""  # login of the machine account, "" when only a cookie came
    by_browser: bool = False  # a signed-in person looks at it: must change nothing


@dataclass(frozen=True, slots=True)
class Reply:
    """``body`` is bytes, or an iterator of bytes for a long document."""

    body: bytes | Iterator[bytes]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class DoorSession:
    """What the hub remembers of one conversation. ``data`` is the door's own, JSON-safe; saved by ``DoorHost.save``."""

    cookie: str
    user: str
    created: datetime
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """State of a run that a door asked for. ``text`` is the finished sentence in the node's language."""

    id: int
    state: str  # waiting | running | done | failed | needs_owner | postponed | stopped
    percent: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    text: str = ""

    @property
    def finished(self) -> bool:
        return self.state not in ("waiting", "running")


@dataclass(frozen=True, slots=True)
class Pending:
    """One record of the outbox: what a connection still has to be told."""

    record_id: int
    revision: int
    order: Order


class DoorHost(Protocol):
    """What the hub gives a door. One host serves one call of one connection."""

    name: str  # of the connection
    settings: Any  # an instance of the connector's settings class
    streams: Collection[str]  # those that are switched on
    zone: tzinfo  # in which the node's documents tell the time

    def now(self) -> datetime: ...
    def say(self, text: str, **facts: object) -> str:
        """Translate a gettext_noop sentence into the node's language and fill in the facts."""
        ...

    def open_session(self, user: str, data: dict[str, Any]) -> DoorSession: ...
    def session(self, cookie: str) -> DoorSession | None:
        """The live session of this connection with that cookie, or None (unknown, foreign or expired)."""
        ...

    def save(self, session: DoorSession) -> None: ...
    def folder(self, session: DoorSession) -> Path:
        """The session's own folder for received files, outside any web root; made on first use."""
        ...

    def ask_import(self, session: DoorSession, files: Sequence[Path], type: str, key: str) -> Job:
        """Queue the import of received files; asking again with the same key gives the same job."""
        ...

    def wait(self, job: Job, seconds: float) -> Job:
        """The job's newest state, after at most that long; at once when it is finished."""
        ...

    def pending_orders(self) -> Iterator[Pending]:
        """Orders that this connection has still to be told, oldest change first, streamed."""
        ...

    def offer(self, session: DoorSession, pending: Sequence[tuple[int, int]]) -> None:
        """Note (record id, revision) pairs as offered in this session; adds to what was noted before."""
        ...

    def confirm(self, session: DoorSession) -> int:
        """They confirmed: exactly the offered revisions become delivered. Again = 0. Returns how many."""
        ...

    def park_order(self, record_id: int, error: BadRecord) -> None: ...
    def references(self, subject: Subject) -> Sequence[Reference]: ...
    def theirs(self, subject: Subject, ours: str) -> str | None:
        """Their value for ours by the connection's mapping, or None."""
        ...

    def theirs_name(self, subject: Subject, ours: str) -> str | None:
        """What they call their value for ours, or None."""
        ...

    def recall(self, name: str) -> Any:
        """What this door noted under that name for the connection as a whole, JSON-safe; None when nothing."""
        ...

    def remember(self, name: str, value: Any) -> None: ...

    def journal(self, action: str, **facts: object) -> None: ...


class Door(Protocol):
    """One HTTP conversation with a system that calls us, without a web framework in sight."""

    def answer(self, call: Call, host: DoorHost) -> Reply: ...


class Connector(ABC):
    """One outside system. Everything that the pages need to know about it is a class attribute."""

    key: ClassVar[str]  # stored in the database, never renamed
    title: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()  # other spellings that the command line accepts
    settings: ClassVar[type]  # a frozen dataclass: form, JSON and TOML are made from its fields (core/settings.py)
    streams: ClassVar[tuple[str, ...]] = ()
    addresses: ClassVar[tuple[str, ...]] = ()  # paths besides /exchange/<connection>/ at which its systems look for the door
    licensed: ClassVar[bool] = False

    def __init__(self, settings: Any) -> None:
        self.s = settings

    @classmethod
    def profiles(cls) -> Mapping[str, Mapping[str, Any]]:
        """Named defaults of the settings: {profile: {"title": …, "settings": {…}, …}}."""
        return {}

    @abstractmethod
    def check(self) -> str:
        """Say who we are connected as, or raise NeedsOwner."""

    def sources(self) -> Sequence[Source]:
        return ()

    def sinks(self) -> Sequence[Sink]:
        return ()

    def doors(self) -> Mapping[str, Door]:
        return {}

    def open_files(self, files: Sequence[Path], streams: Collection[str] | None = None, zone: tzinfo = UTC) -> Source:
        """A source over files of exchange that came through a door or lie in a folder.

        ``streams``: those that are switched on (None: all). ``zone``: where the times in the files are told.
        """
        raise NeedsOwner("{title} does not read files", title=self.title)
