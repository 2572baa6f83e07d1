"""What a marketplace says for itself: its calls and its words, and nothing of the hub's. Implemented once for each of them.

Everything that is alike is done by the streams of this package: matching, mapping, parking, what changed, what was sent. Where a
marketplace has its own ids for values (statuses, ways of delivery), they go through as it says them; the streams map them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from obmen.core.contract import BadRecord, Bookmark, Hub, NeedsOwner
from obmen.core.records import Counterparty, Order, Reference, Subject
from obmen.core.words import gettext_noop as _

Json = dict[str, Any]

NO_LIST = _("{title} has no list of them: type the values by hand")


@dataclass(frozen=True, slots=True)
class Card:
    """A marketplace's card of goods. They are flat: a variant is a card of its own. "", () and None are *not said*."""

    id: str  # the site ID: what orders, stock and prices are about; goes into the link
    name: str = ""
    code: str = ""  # the seller's own id of it, where it came in a feed: offer@id
    article: str = ""
    barcode: str = ""
    description: str = ""
    price: Decimal | None = None
    currency: str = ""  # ISO 4217
    quantity: Decimal | None = None  # None: they keep none, or do not say
    group: str = ""  # their id of its group
    group_name: str = ""
    vendor: str = ""
    pictures: tuple[str, ...] = ()  # absolute URLs, the main one first
    properties: tuple[tuple[str, str], ...] = ()  # (name, value)
    problem: str = ""  # why it is not on sale, in their words
    gone: bool = False  # deleted over there
    facts: tuple[tuple[str, str], ...] = ()  # further ids that a change of it needs (Rozetka: item_id)


@dataclass(frozen=True, slots=True)
class CardsPage:
    """``bookmark`` (JSON-safe) is where to go on after this page; None where it cannot be gone on from."""

    cards: Sequence[Card]
    bookmark: Bookmark | None = None
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Offering:
    """What a card is to say from now on. None: not told. ``fields`` are attributes of theirs by the attribute mapping."""

    key: str  # of the change: comes back in ``Told``
    id: str  # the site ID
    name: str  # for messages
    facts: Mapping[str, str] = field(default_factory=dict)  # Card.facts of the card, as it said them last
    quantity: Decimal | None = None  # whole and never below zero where the marketplace wants it so: ``Market.whole_pieces``
    price: Decimal | None = None
    old_price: Decimal | None = None  # 0: there is none any more
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one ``Offering``. An ``error`` concerns this one alone and is shown beside it."""

    key: str
    error: BadRecord | None = None


@dataclass(frozen=True, slots=True)
class OrdersPage:
    """Orders as their JSON. ``bookmark`` goes into the books with the last of them."""

    orders: Sequence[Json]
    bookmark: Bookmark | None = None
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """An order in our form and in their words: ``state`` is their status, ``delivery.method_key`` and ``payments[].method_key`` their
    ids, ``lines[].offer`` the site ID of the card, "" where the line names none. The streams put ours in their place. A barcode of a
    line, where one is said, is its requisite “barcode”.

    ``codes`` are the seller's own ids of cards by their site ID, for cards that no link knows yet. ``names`` say what their values
    are called, for tables in which nobody has decided on them yet.
    """

    order: Order
    codes: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[tuple[Subject, str], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StatusChange:
    """``status`` is theirs; "" leaves it as it is (only the tracking number is told then), but with ``cancels`` it means: cancel in the
    marketplace's own way. ``reason`` is theirs, of a cancellation; "" where none is mapped."""

    order: str  # their id
    number: str  # for messages
    status: str = ""
    cancels: bool = False
    reason: str = ""
    comment: str = ""  # goes with a cancellation
    tracking: str = ""
    carrier: str = ""  # their id of the way of delivery by which the parcel travels; "": the one that the order has there
    unsure: bool = False  # an earlier answer got lost: look first


class Market(ABC):
    """One account of one marketplace. One instance for each run or action; ``close`` gives back what it keeps open.

    Every method that calls raises NeedsOwner (key, rights, address), TryLater (limits, maintenance) and, of one record, BadRecord.
    Methods may be called from a thread that reads ahead: of the hub they use only what ``net.client.Client`` uses.
    """

    title: ClassVar[str]
    statuses: ClassVar[Sequence[Reference]] = ()  # known ones, for tables that are filled before the first call
    whole_pieces: ClassVar[bool] = True  # they take no fractions of a piece
    cards_batch: ClassVar[int] = 100  # cards in one ``put``
    own_ids: ClassVar[bool] = False  # a card's id there is ours of the goods (``offer_id`` of the settings)
    describes: ClassVar[bool] = False  # ``put`` takes ``Offering.fields``: the cards' own attributes can be changed by calls
    attributes: ClassVar[Sequence[tuple[str, str]]] = ()  # (theirs, label): what ``Offering.fields`` and the feed may have

    def __init__(self, settings: Any, hub: Hub) -> None:
        self.s, self.hub = settings, hub

    def close(self) -> None:  # noqa: B027 - most keep nothing open
        ...

    @abstractmethod
    def check(self) -> str:
        """Who we are connected as: one call that needs the rights that the streams need."""

    def references(self, subject: Subject) -> Sequence[Reference]:
        """Their values of a subject, in their order: ORDER_STATE, DELIVERY, PAYMENT_KIND, CANCEL_REASON."""
        raise NeedsOwner(NO_LIST, title=self.title)

    # --- orders ---

    @abstractmethod
    def orders(self, since: Bookmark | None, moment: datetime) -> Iterator[OrdersPage]:
        """Orders that are new or changed since the bookmark; without one since ``moment`` (aware), oldest first where they can be had so.

        Nothing that changed between two reads is missed: bookmarks overlap, what comes twice is recognised by its digest.
        """

    @abstractmethod
    def order(self, number: str) -> Json | None:
        """One order by their id as it is now; None when there is none."""

    @abstractmethod
    def order_id(self, raw: Json) -> str: ...

    def used(self, raw: Json) -> Json:
        """What of an order's JSON counts as news: without counters, flags of reading and the like."""
        return raw

    @abstractmethod
    def draft(self, raw: Json) -> Draft:
        """Pure. Raises BadRecord that names the field and what was expected. Money and quantities that are not said stay unsaid."""

    @abstractmethod
    def buyer(self, raw: Json) -> Counterparty | None:
        """Pure: who ordered; ``key`` is the site ID of the buyer, "" when they give none (then it is made of the phone)."""

    @abstractmethod
    def change_status(self, change: StatusChange, theirs: Order | None) -> Json | None:
        """Do it and read back what the order is now; None when it cannot be read. ``theirs``: the order as they last said it, in our
        words. Raises BadRecord when the status cannot be reached from where the order is, saying which ones can."""

    # --- goods ---

    def cards(self, since: Bookmark | None) -> Iterator[CardsPage]:
        """Their cards: all, or those changed since the bookmark of the last whole reading where they can tell."""
        raise NeedsOwner(NO_LIST, title=self.title)

    def card(self, ident: str) -> Card | None:
        """One card by its site ID; None when there is none."""
        raise NeedsOwner(NO_LIST, title=self.title)

    def put(self, offerings: Sequence[Offering]) -> Iterator[Told]:
        """Tell cards their stock, price and, where ``describes``, attributes: at most ``cards_batch`` of them. One ``Told`` for each, in any
        order; what their answer leaves open is read back before it is called done."""
        raise NeedsOwner(_("{title} takes goods from a price list only: switch the stream of the feed on"), title=self.title)
