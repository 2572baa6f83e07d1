"""What a connector promises the hub, and what the hub promises a connector. Read this file first.

A connector is one folder: ``__init__.py`` (what it is), ``api.py`` (input and output), ``convert.py`` (pure). It is plain
Python without Django. It sees the hub only through the arguments it is given: its settings, a ``Known`` of what was seen
before, and a ``Hub`` (when we call the other system) or a ``DoorHost`` (when it calls us).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Protocol, runtime_checkable

from obmen.core.records import Good, Group, Kind, Order, Property, Record, Reference, Subject

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
    source's own note (an offset, say) that ``Source.locate`` turns into words. ``row`` is what the record becomes if there is no
    card of it yet (core/rows.py), where the source has made that ahead: then it is parsed only if there is one.
    """

    external_id: str
    payload: Payload
    digest: bytes
    where: int | str = ""
    row: Any = None


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
    anyway: bool = False  # a person asked for just these: also an unchanged item is parsed and settled


@dataclass(frozen=True, slots=True)
class SweepKey:
    """Which load of which catalogue a page belongs to. ``whole``: this portion says that it is not only changes."""

    catalogue: str
    run: str  # equal in all portions of one load: ДатаФормирования of 1C:UT and UNF
    whole: bool


@dataclass(frozen=True, slots=True)
class Listings:
    """How the cards of a system whose goods are flat (records with ``Offer.card``) find the offers of the books: by the link, by
    ``property``, by ``Offer.known_as``, then by the match rules of products. They are linked and fill in no card that is there."""

    property: str = ""  # key or name of a property, or name of a requisite, in which the books keep their id; "": none
    known_by: str = "key"  # what ``Offer.known_as`` is: key | code | article (core/matching.py: own_id)
    unknown: str = "create"  # create | park | leave: what becomes of one that no offer is found for


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
    marks: Mapping[str, str] = field(default_factory=dict)  # posted | paid | shipped | cancelled → state that news of it bring
    conflict: str = "theirs"  # theirs | ours: whose word counts where both changed a field of an order since they last told us
    finished: Sequence[str] = ()  # states of ours in which an order is not changed any more: what they say of it is parked
    new_buyers: bool = True  # False: no cards are made of buyers; an order of a stranger keeps what it says of its buyer
    shared_buyers: bool = False  # buyers' ids say little (guests): several of theirs may be one card, which ``match`` finds
    order_attributes: tuple[str, str] = (
        "",
        "",
    )  # requisites with the number and date there: both equal, the same order of a site
    listings: Listings = field(default_factory=Listings)
    fingerprint: bytes = b""  # changes when a setting changes that makes every record worth looking at again

    def owners(self, kind: str) -> dict[str, str]:
        """{field of that kind: policy}; "take" where it is silent. What the settings say of pictures and deletion marks is in it."""
        head = kind + "."
        owners = {name.removeprefix(head): owner for name, owner in self.fields.items() if name.startswith(head)}
        pictures = {"off": "keep", "append": "append"}.get(self.pictures)
        if pictures:
            owners["pictures"] = pictures
        if self.deletion == "ignore":
            owners["deleted"] = "keep"
        return owners


class Known(Protocol):
    """What this connection has told us before."""

    def seen(self, kind: Kind) -> bytes:
        """All ``seen`` digests of the kind, 16 bytes each, in the order in which the links were made."""
        ...

    def linked(self, kind: Kind) -> Iterator[str]:
        """Their ids of all records of the kind that are linked and not gone over there, streamed."""
        ...


class Source(Protocol):
    """Something to read from: a file that came through a door, a list behind an API."""

    stream: str
    rules: Receiving
    kinds: Collection[Kind]  # what it may bring

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


class Picking(Source, Protocol):
    """A source that can also be asked for single records, and whose bookmark a person may read and set."""

    def pages_of(self, ids: Sequence[str], known: Known) -> Iterator[Page]:
        """Just these, whether or not they changed (``Page.anyway``), without a bookmark. Raises as ``pages``, and BadDocument
        that names an id which is not there."""
        ...

    def bookmark_words(self, bookmark: Bookmark | None) -> str:
        """The bookmark as a person types it: "7104"; "" when there is none yet."""
        ...

    def bookmark_from(self, words: str, moment: datetime | None) -> Bookmark:
        """The bookmark that a person set: by ``words``, or to go on from ``moment`` (aware; both empty: from now). Raises NeedsOwner."""
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
    """What became of one change. ``seen`` is the digest that their source will give the record from now on, and ``copy`` the
    record as they have it now, where their answer says it: with both, what we have just written does not come back as news."""

    key: str
    external_id: str | None = None
    error: BadRecord | None = None
    seen: bytes | None = None
    copy: Record | None = None


class Links(Protocol):
    """The two-way table of ids of one connection. Both look-ups raise MissingLink; what is gone over there has no id of theirs."""

    def record_id(self, kind: Kind, external_id: str) -> int: ...
    def external_id(self, kind: Kind, record: int | str) -> str:
        """By the record's id in the books, or by its key there (what a payment says of its order)."""
        ...

    def their_copy(self, kind: Kind, record_id: int) -> Any:
        """The record as they last said it (an Order, say); None when they have not, or the kind keeps no copies."""
        ...

    def confirmed(self, kind: Kind, record_id: int) -> str:
        """What a person has confirmed of a record that was parked on its way out: the word that the BadRecord named as its fact
        ``confirm``; "" when nothing."""
        ...

    def asked_again(self, kind: Kind, record_id: int) -> bool:
        """Whether a person asked to tell this record once more, as if they had never been told it."""
        ...


class Sink(Protocol):
    """Something to write to."""

    stream: str
    kind: Kind
    batch: int  # how many changes one ``write`` takes
    creates: bool  # writing an unknown record makes a new one there: the intent is noted first. False: writing twice is harmless
    compares: bool  # ``render`` itself leaves out what their copy holds; False: the same payload as last time is not sent again

    def render(self, record_id: int, record: Any, links: Links) -> Payload | None:
        """Pure; None when they have all of it already. Raises BadRecord."""
        ...

    def external_id(self, record: Any) -> str | None:
        """Their id where it follows from the record itself (an article as id); None: the link says it, or they give one."""
        ...

    def write(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        """The only method that does input or output. Yields one outcome for each change, in any order."""
        ...


@dataclass(frozen=True, slots=True)
class Choice:
    """Which goods a channel is told of, and what of them. Empty ``groups``: all; else these groups with all below them."""

    groups: Sequence[str] = ()
    price_kinds: Sequence[str] = ()  # keys of the books; no others are read
    warehouses: Sequence[str] | None = ()  # keys of the books; None: all, for a sum
    cards: bool = True  # False: of a card only its keys, names, articles, code, barcodes, kind and, without one, its requisites
    products: bool = False  # one good for each product, with its variants, instead of one for each offer
    pictures: bool = False  # which of the pictures are kept, with their digests
    reserved: bool = False  # how much of the stock is sold already: ``Good.reserved``
    only: frozenset[int] | None = None  # record ids of products that a person picked: of the others nothing is read


class GoodsSink(Sink, Protocol):
    """A sink whose records are goods: it is asked with every good of the choice, and ``sent`` tells which of them changed."""

    choice: Choice
    overlaps: bool  # ``write`` uses of the hub only what calls use: it may run in a thread while the next batch is prepared


@runtime_checkable
class TellsGone(Protocol):
    """What a ``CatalogueSink`` has and others have not."""

    def begin(self, told: int, gone: int) -> None:
        """Before anything is compared: of how many goods they know, and how many of those are to be taken back.
        Raises NeedsOwner when that is too many."""
        ...

    def finish(self) -> None:
        """Once all changes are written. Raises as ``write``."""
        ...


class CatalogueSink(GoodsSink, TellsGone, Protocol):
    """A sink that also tells what is gone: goods they have been told of, and that are now marked for deletion or no longer of the
    choice, come before the others, marked as deleted (``Good.product.deleted``)."""


class Feed(Protocol):
    """A document that the other system fetches from us (ICML, YML): written whole, served at a secret address of the hub."""

    stream: str
    name: str  # of the file: "icml.xml"
    path: str  # where it is put as well, on this machine; "": only served

    def write(self, file: BinaryIO, books: Books, now: datetime) -> Mapping[str, int]:
        """Write the document in constant memory; returns counts for the run. Raises NeedsOwner."""
        ...

    def allow(self, previous: Path, current: Path) -> None:
        """Look at what is about to replace what is served. Raises NeedsOwner when too much would vanish: the old one stays."""
        ...


@runtime_checkable
class Carried(Protocol):
    """What a ``Feed`` has that is also taken there, and others have not."""

    def published(self, file: Path, counts: Mapping[str, int], digest: str) -> None:
        """The document is in its place, perhaps the same as before; ``file`` is a copy that goes afterwards, ``counts`` are those of
        ``write``. The same ``digest``: the same document, but for the moment of a ``Dated`` one. Raises as ``Sink.write``."""
        ...


@runtime_checkable
class Dated(Protocol):
    """What a ``Feed`` has that says where its document tells the moment it was made at: then it is written once to find out whether
    anything else has changed, and not twice, into a stream in which one cannot go back."""

    dated: bytes  # what stands before the moment, among the first 64 KB; the moment ends before the next quotation mark


class Met(Protocol):
    """What may stand in a document once: ids of goods, names. Each text begins with what it is, such as an element's name."""

    def add(self, text: str) -> bool:
        """False when it was there already."""
        ...

    def __contains__(self, text: object) -> bool: ...


@runtime_checkable
class InParts(Protocol):
    """What a ``Feed`` has whose goods may be written by several processes, each a range of them, and others have not.

    ``write`` gives what ``part`` gives for all goods, and raises as ``whole`` does. The bytes and counts of a range must depend on
    nothing but its goods and ``met``; what stands before the goods, and is told of it, is the same for every range.
    """

    tail: bytes  # what the document ends with behind its last good

    @property
    def choice(self) -> Choice:
        """Of the goods that it reads, and it reads them once."""
        ...

    def part(self, file: BinaryIO, books: Books, now: datetime, met: Met) -> Mapping[str, int]:
        """As ``write`` of the goods in ``books``, of which there may be none. What is asked of ``met`` decides what is left out."""
        ...

    def whole(self, counts: Mapping[str, int]) -> None:
        """Look at the sums of all parts. Raises NeedsOwner when such a document is not to be published."""
        ...


# --- what a connector that calls out sees of the hub ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mapped:
    """One row of a mapping table. ``ours`` "" is a decision, too: taken without a value of ours. ``taken`` False: a person
    decided that records with this value are left out."""

    theirs: str
    ours: str
    attributes: Mapping[str, str] = field(default_factory=dict)  # the table's further columns: a terminal, a carrier
    taken: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """An offer of the books, found by an attribute."""

    offer: str  # key
    product: str  # key
    name: str
    article: str = ""
    record_id: int = 0
    code: str = ""


class Books(Protocol):
    """What a connector may read of the books. Nothing here writes."""

    def offers_by(self, attribute: str, values: Sequence[str]) -> Mapping[str, Sequence[Found]]:
        """Offers by ``key`` (product or product#characteristic), ``code``, ``article`` or ``barcode``, those marked for deletion
        left out. A code or article finds the product's offer without characteristic when there is one, else all of its offers."""
        ...

    def references(self, subject: Subject) -> Sequence[Reference]: ...

    def groups(self, chosen: Sequence[str] = ()) -> Sequence[Group]:
        """These groups and all below them, parents first; all groups when none is named."""
        ...

    def properties(self) -> Sequence[Property]:
        """Those of goods, each key once."""
        ...

    def goods(self, choice: Choice) -> Iterator[Good]:
        """Every good of the choice by rising id of the record, streamed in constant memory; those marked for deletion left out."""
        ...

    def picture(self, path: str, folder: Path) -> Path | None:
        """The picture's file, to be read only, perhaps a copy in ``folder``; None when it is not kept."""
        ...


class Hub(Protocol):
    """What the hub gives a connector that calls out. One hub serves one run, or one action of a page."""

    name: str  # of the connection
    zone: tzinfo  # of the connection
    books: Books
    folder: Path  # of the hub's own files: paces shared between processes
    trust: Path | None  # a file of own CA certificates
    allow_private: bool  # private addresses may be called
    preview: bool  # nothing is settled or written: confirm nothing, throw nothing away
    picked: bool  # a person picked the goods of this run: just these are written, never as a whole catalogue

    def now(self) -> datetime: ...
    def sleep(self, seconds: float) -> None:
        """Wait; raises at once when the run is told to stop."""
        ...

    def incoming(self, subject: Subject, theirs: str) -> Mapped | None:
        """The row for a value of theirs; None when nobody has decided on it yet."""
        ...

    def outgoing(self, subject: Subject, ours: str) -> Sequence[Mapped]:
        """The rows that say what a value of ours is there, in their order; empty when it is not mapped."""
        ...

    def rows(self, subject: Subject, direction: str) -> Sequence[Mapped]:
        """The whole table: "in" or "out"."""
        ...

    def linked_keys(self, kind: Kind, theirs: Sequence[str]) -> Mapping[str, str]:
        """Keys in the books, by their ids, of those offers, orders or counterparties that this connection has links to."""
        ...

    def unmapped(self, subject: Subject, theirs: str, name: str = "") -> None:
        """Count a value that nobody has decided on, where it can be mapped with one click."""
        ...

    def report(self, level: str, text: str, **facts: object) -> None:
        """A message of the run: info | warning | error. The same again is counted, not repeated."""
        ...

    def exchanged(self, exchange: Any) -> None:
        """Keep one call of ours with its answer (``obmen.net`` makes it, secrets masked) for the journal."""
        ...

    def recall(self, name: str) -> Any:
        """What this connector noted under that name for the connection, JSON-safe; None when nothing."""
        ...

    def remember(self, name: str, value: Any) -> None:
        """None takes the note back."""
        ...


# --- what the pages know of a connector's mappings --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column:
    """A further column of a mapping table: ``kind`` text | choice | reference (a value of ``subject`` in the books)."""

    name: str
    label: str
    kind: str = "text"
    choices: tuple[tuple[str, str], ...] = ()
    subject: Subject | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping table on a page of the connection. Texts are gettext_noop sentences.

    ``direction`` is the way in which it is asked: in | out | both, or each: every row says for itself whether records with their value
    are loaded and whether ours is sent, and a value of theirs may be sent for several of ours.
    """

    subject: Subject
    tab: str
    title: str
    direction: str = "both"
    help: str = ""
    ours: tuple[tuple[str, str], ...] = ()  # (value, label): our values, where they are no references of the books
    columns: tuple[Column, ...] = ()
    by_hand: bool = False  # their id may also be typed
    when: str = ""  # a setting that has to be on for the table to be of use; several by spaces, any of them


@dataclass(frozen=True, slots=True)
class Shown:
    """One thing that a good would say over there: ``text`` "" is not told. ``name`` is a label or an attribute of theirs, ``whence`` a
    gettext_noop sentence, said with ``facts``, of where the text comes from, or why there is none."""

    name: str
    text: str
    whence: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)


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
    calls_out: ClassVar[bool] = False  # its runs read sources, write to sinks and publish feeds; False: it is only called
    tables: ClassVar[tuple[Table, ...]] = ()  # mapping tables, in the order of the tabs
    tabs: ClassVar[tuple[tuple[str, str], ...]] = ()  # (tab, title): the order and names of the settings' and tables' tabs
    open_tabs: ClassVar[tuple[str, ...]] = ()  # tabs that are there before the check has passed; () = all of them
    wakes: ClassVar[tuple[str, ...]] = ()  # streams that a call of the wake-up address starts
    shows: ClassVar[str] = ""  # the tab on which one product can be looked at as it would go out; "": on none
    family: ClassVar[str] = ""  # accounting | shop | marketplace | crm: where a person looks for it; "": among the others
    about: ClassVar[str] = ""  # a gettext_noop sentence for who chooses a system; a profile's ``note`` goes before it

    def __init__(self, settings: Any, hub: Hub | None = None) -> None:
        self.s, self.hub = settings, hub

    @classmethod
    def profiles(cls) -> Mapping[str, Mapping[str, Any]]:
        """Named defaults of the settings: {profile: {"title": …, "settings": {…}, …}}."""
        return {}

    @classmethod
    def defaults(cls) -> Mapping[str, Any]:
        """What a connection without a profile begins with, in the words of a profile: {"streams": […], "mappings": [{…}], …}.
        ``schedules`` {stream: schedule} is what a person is offered who switches it on for the first time."""
        return {}

    @abstractmethod
    def check(self) -> str:
        """Say who we are connected as, or raise NeedsOwner."""

    def references(self, subject: Subject) -> Sequence[Reference]:
        """Their values of a subject, in their order, for the mapping tables. Raises NeedsOwner, TryLater."""
        raise NeedsOwner("{title} has no list of them", title=self.title)

    def sources(self) -> Sequence[Source]:
        return ()

    def sinks(self) -> Sequence[Sink]:
        return ()

    def feeds(self) -> Sequence[Feed]:
        return ()

    def show_choice(self) -> Choice:
        """What ``show`` wants to know of goods."""
        return Choice()

    def show(self, good: Good) -> Sequence[Shown]:
        """What one good would say over there by these settings, without any call. Raises NeedsOwner."""
        return ()

    def page_of(self, kind: Kind, external_id: str) -> str:
        """The address of the page of one of their records in their cabinet, for a person to follow; "": there is none, or nobody knows
        it. Pure, and without ``hub``."""
        return ""

    def owners(self, kind: Kind, streams: Collection[str]) -> Mapping[str, str]:
        """What its word does to the fields of a record that it knows, for a person who looks at one: {field: policy} as core/policy.py has
        them, ``""`` for all that are not named; {} when nothing of the kind is taken from it. ``streams``: those that are switched on.
        Of orders that are told whole the policy is "theirs" or "ours" (Receiving.conflict). Pure, and without ``hub``."""
        return {}

    def limits(self) -> Mapping[str, Sequence[tuple[str, Mapping[str, object]]]]:
        """What the other system cannot do or does not allow, as (gettext_noop sentence, facts) by the tab where it matters; a connector
        without tabs says "settings". Pure, and without ``hub``: people read it before they run into it."""
        return {}

    def close(self) -> None:  # noqa: B027 - most keep nothing open
        """Give back what is kept open: called once at the end of a run or action."""

    def doors(self) -> Mapping[str, Door]:
        return {}

    def open_files(self, files: Sequence[Path], streams: Collection[str] | None = None, zone: tzinfo = UTC) -> Source:
        """A source over files of exchange that came through a door or lie in a folder.

        ``streams``: those that are switched on (None: all). ``zone``: where the times in the files are told.
        """
        raise NeedsOwner("{title} does not read files", title=self.title)
