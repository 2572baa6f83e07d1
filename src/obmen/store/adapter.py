"""The engine's Store over Django's tables: one connection, one run."""

from __future__ import annotations

import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from django.db import DataError, transaction
from django.db import connection as db
from django.db.backends.utils import CursorWrapper
from django.db.models import F
from django.utils import timezone

from obmen.core import engine, matching
from obmen.core.contract import BadRecord, Bookmark, Item, Listings, MissingLink, Receiving, Unmapped
from obmen.core.engine import CREATED, PARKED, UNCHANGED, UPDATED, WRITTEN, Link, ParkedItem, Said, Settlement, missing
from obmen.core.matching import Match
from obmen.core.records import Group, Kind, Offer, Order, Product, Property, Reference, Subject
from obmen.core.rows import obstacles
from obmen.core.words import gettext_noop as _
from obmen.core.words import plain_facts
from obmen.store import (
    bulk,
    cards,
    goods,
    joining,
    models,
    orders,
    outbox,
    previews,
    reservations,
    results,
    sweeping,
    taking,
    tallies,
    timeline,
)
from obmen.store.goods import Books

YIELD = (
    0.002  # seconds between pages on SQLite: without it short writes of the web wait up to 3.5 s beside a load, with it 0.25 s
)
GOODS_KINDS = (Kind.PRODUCT, Kind.VARIANT, Kind.OFFER, Kind.PRICES, Kind.STOCK)
SMALL_KINDS = (Kind.GROUP, Kind.PROPERTY, Kind.REFERENCE)
OFFER_KINDS = (Kind.OFFER, Kind.PRICES, Kind.STOCK)
OUTBOX_PAGE = 200
LONGEST_PAUSE = timedelta(hours=6)  # between two tries to send a record that was refused
CARRIED = "#carried"  # a bookmark that notes which kinds of file of a connection carry prices and stock
TOLD_BY_OUTBOX = (Kind.ORDER, Kind.PAYMENT)
OWN_TABLE = {Kind.PRODUCT: "store_product", Kind.OFFER: "store_offer", Kind.COUNTERPARTY: "store_counterparty"}
MATCH_COLUMNS = {
    Kind.PRODUCT: frozenset({"article", "barcode", "code", "name"}),
    Kind.OFFER: frozenset({"article", "barcode", "name"}),
    Kind.COUNTERPARTY: frozenset({"inn", "kpp", "inn_kpp", "okpo", "phone", "email", "name", "company_name", "full_name"}),
}


CLOSED = _(
    "Order {number} is closed (state “{state}”): this change of theirs was not taken. Reopen the order here, then try again"
)
NOTHING: tuple[frozenset[int], frozenset[str]] = (frozenset(), frozenset())
SEEN_ROWS = "SELECT id, seen, record_id FROM store_link WHERE connection_id = %s AND length(seen) = 16 AND kind {in}"


def _with_variants(kind: Kind) -> list[Kind]:
    return [Kind.PRODUCT, Kind.VARIANT] if kind is Kind.PRODUCT else [kind]


class Lease(Protocol):
    """work/jobs.py: the right to go on writing."""

    def renew(self, percent: int | None = None, counts: Mapping[str, int] | None = None) -> None: ...


class DjangoStore:
    """Also ``contract.Known`` and ``contract.Links``. Not for sharing between threads."""

    def __init__(self, connection: models.Connection, run: models.Run | None = None, lease: Lease | None = None) -> None:
        self.connection, self.run, self.lease = connection, run, lease
        self.links = self
        self.total: Counter[str] = Counter()
        self.apart: defaultdict[Kind, Counter[str]] = defaultdict(Counter)  # of it what was written, by kind
        self.part = 0, 1  # of how many streams of the run this is which: for the progress bar
        self._written: Counter[str] = Counter()  # how many records this run has settled as news
        self._again = 0  # of those, how many are still to come again since the source started again
        self.kept = previews.Keeper(self)  # of a preview
        self.decided: previews.Decided | None = None  # set by work/run.py: the run carries out decisions on a preview
        self._stream, self._before = "", Counter[str]()  # what is read now, and what the run had counted until then
        self._imagined: dict[Kind, set[int]] = {}  # of a preview: records that it would have made, as hashes of their ids
        self.on_order: Any = None  # set by work/run.py: folds what 1C says of an order (core/orders.py)
        self.keep_positions = False  # a sweep wants to know which cards were recognised without parsing
        self._link_ids: dict[Kind, array[int]] = {}
        self._references: dict[tuple[Subject, str], int] = {}
        self._own: frozenset[int] | None = None
        self._asked_at = run.asked if run is not None else timezone.now()
        self._stock_said = False
        self._awaited_stock: tuple[frozenset[int], frozenset[str]] | None = None
        self._page: dict[Kind, dict[str, Link]] = {}
        self._groups: dict[str, int] = {}
        self._new_groups = False
        self._carried: dict[str, list[str]] | None = None
        self._cards: dict[Kind, dict[tuple[str, str], list[int]]] = {}
        self._parked: bool | None = None
        self._asked: Sequence[int] = ()  # whose links were asked for last
        self._copies: dict[Kind, dict[int, Any]] = {}
        self._ids: dict[Kind, dict[int, str]] = {}
        self._finders: dict[tuple[Listings, tuple[str, ...]], cards.Finder] = {}
        self._linked, self._analyse_at = 0, 2000  # links written by sends
        self._strangers_possible: dict[Kind, bool] = {}
        self._wanted_again: set[int] = set()  # orders that a person asked to be told once more, unchanged or not
        self.each = False  # every record of the run gets a RunResult
        self.new_cards: frozenset[str] = frozenset()  # their ids of records of which a person said that they are no card of ours

    # --- Known, Links ------------------------------------------------------------------------------------------------------

    def seen(self, kind: Kind) -> bytes:
        """Digests in the order of the links. Catalogue cards of variants stand among the products, as in their files."""
        names = [str(k) for k in _with_variants(kind)]
        awaited = self._awaited(kind)[0]
        with db.cursor() as cursor:
            if self.keep_positions:
                rows = bulk.select_in(cursor, SEEN_ROWS, names, self.connection.pk)
                rows = sorted(row for row in rows if row[2] not in awaited) if awaited else sorted(rows)
                self._link_ids[kind] = array("q", (row[0] for row in rows))
                return b"".join(bytes(row[1]) for row in rows)
            others = [list(awaited)] if awaited else []
            if db.vendor == "sqlite":
                # The unary plus keeps SQLite from walking the index of ids and sorting: the table is in the right order already.
                without = " AND record_id NOT IN (SELECT value FROM json_each(%s))" if awaited else ""
                cursor.execute(
                    "SELECT CAST(group_concat(seen, '') AS BLOB) FROM (SELECT seen FROM store_link WHERE +connection_id = %s"
                    f" AND +kind IN (SELECT value FROM json_each(%s)) AND length(seen) = 16{without} ORDER BY id)",
                    [self.connection.pk, bulk.to_json(names), *map(bulk.to_json, others)],
                )
            else:
                without = " AND record_id NOT IN (SELECT unnest(%s::bigint[]))" if awaited else ""
                cursor.execute(
                    "SELECT string_agg(seen, ''::bytea ORDER BY id) FROM store_link"
                    f" WHERE connection_id = %s AND kind = ANY(%s) AND length(seen) = 16{without}",
                    [self.connection.pk, names, *others],
                )
            value = cursor.fetchone()[0]
        return bytes(value) if value else b""

    def linked(self, kind: Kind) -> Iterator[str]:
        rows = models.Link.objects.filter(connection=self.connection, kind=kind, gone=False).order_by("pk")
        return rows.values_list("external_id", flat=True).iterator(5000)

    def record_id(self, kind: Kind, external_id: str) -> int:
        link = self.links_by_external(kind, [external_id]).get(external_id)
        if link is None:
            raise missing(kind, external_id)
        return link.record_id

    def external_id(self, kind: Kind, record: int | str) -> str:
        if isinstance(record, str):
            if kind is not Kind.ORDER:
                raise ValueError(kind)
            record_id = models.Order.objects.filter(key=record).values_list("pk", flat=True).first()
        else:
            record_id = record
        ident = self._id_there(kind, record_id) if record_id is not None else None
        if not ident:
            raise missing(kind, record if isinstance(record, str) else f"#{record}")
        return ident

    def _id_there(self, kind: Kind, record_id: int) -> str | None:
        """Read for all the records that the engine has just asked the links of, in one statement."""
        if record_id not in self._ids.get(kind, ()):
            asked = self._asked if record_id in self._asked else [record_id]
            rows = models.Link.objects.filter(connection=self.connection, kind=kind, gone=False, record_id__in=asked)
            self._ids[kind] = dict.fromkeys(asked, "") | dict(rows.values_list("record_id", "external_id"))
        return self._ids[kind][record_id]

    def confirmed(self, kind: Kind, record_id: int) -> str:
        rows = models.Parked.objects.filter(connection=self.connection, direction="out", kind=kind, external_id=str(record_id))
        facts = rows.values_list("facts", flat=True).first()
        return str(facts.get("confirmed", "")) if facts else ""

    def asked_again(self, kind: Kind, record_id: int) -> bool:
        return kind is Kind.ORDER and record_id in self._wanted_again

    # --- what the engine asks ----------------------------------------------------------------------------------------------

    def bookmark(self, stream: str) -> Bookmark | None:
        if stream != self._stream and stream != CARRIED:
            self._stream, self._before = stream, Counter(self.total)
        row = models.Bookmark.objects.filter(connection=self.connection, stream=stream).first()
        return row.value if row else None

    def links_by_external(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Link]:
        with db.cursor() as cursor:
            rows = bulk.select_in(
                cursor,
                "SELECT record_id, external_id, seen, sent, sent_version FROM store_link"
                " WHERE connection_id = %s AND kind = %s AND external_id {in}",
                ids,
                self.connection.pk,
                str(kind),
            )
        again = self._awaited(kind)[0]
        return {row[1]: Link(row[0], row[1], b"" if row[0] in again else bytes(row[2]), bytes(row[3]), row[4]) for row in rows}

    def _awaited(self, kind: Kind) -> tuple[frozenset[int], frozenset[str]]:
        """Offers of which something is reserved until their stock is said again, (rows, keys): what was said of them before counts as
        not seen, since the same words now mean something. Read once: what an order reserves from now on waits for a later run."""
        if kind not in OFFER_KINDS:
            return NOTHING
        if self._awaited_stock is None:
            brings = reservations.brings_stock(self.connection)
            self._awaited_stock = reservations.awaited(self._asked_at) if brings else NOTHING
        return self._awaited_stock

    def links_by_record(self, kind: Kind, ids: Sequence[int]) -> Mapping[int, Link]:
        with db.cursor() as cursor:
            rows = bulk.select_in(
                cursor,
                "SELECT record_id, external_id, seen, sent, sent_version FROM store_link"
                " WHERE connection_id = %s AND kind = %s AND record_id {in}",
                ids,
                self.connection.pk,
                str(kind),
            )
        self._asked = list(ids)
        self._ids.clear()
        self._copies.clear()
        again = self._wanted_again if kind is Kind.ORDER else ()
        return {row[0]: Link(row[0], row[1], bytes(row[2]), b"" if row[0] in again else bytes(row[3]), row[4]) for row in rows}

    def resolve(self, kind: Kind, records: Sequence[Any]) -> Sequence[BadRecord | None]:
        self._page = {}
        if kind in (Kind.PRODUCT, Kind.VARIANT):
            return obstacles(records)
        if kind in SMALL_KINDS:
            return [goods.small_obstacle(record) for record in records]
        if kind not in OFFER_KINDS:
            return [None] * len(records)
        if cards.are_flat(kind, records):
            return cards.obstacles(records)
        products = self._met(Kind.PRODUCT, list({r.product for r in records}))
        offers = {} if kind is Kind.OFFER else self._met(Kind.OFFER, [r.key for r in records])
        self._page = {Kind.PRODUCT: dict(products), Kind.OFFER: dict(offers)}
        out: list[BadRecord | None] = []
        for record, own in zip(records, obstacles(records), strict=True):
            if kind is not Kind.OFFER and record.key in offers:
                out.append(own)
            elif record.product not in products:
                out.append(missing(Kind.PRODUCT, record.product))
            elif kind is not Kind.OFFER and "#" in record.key:
                # A price of a variant that we have not met: its name and characteristics are still to come.
                out.append(missing(Kind.OFFER, record.key))
            else:
                out.append(own)
        return out

    def _met(self, kind: Kind, ids: Sequence[str]) -> dict[str, Link]:
        """Links by their ids, in a preview also to what it would have made: those have numbers below zero."""
        links = dict(self.links_by_external(kind, ids))
        imagined = self._imagined.get(kind, ())
        links.update((i, Link(_imaginary(i), i)) for i in ids if i not in links and _imaginary(i) in imagined)
        return links

    def is_imagined(self, record_id: int | None) -> bool:
        return record_id is not None and record_id < 0

    def match(self, kind: Kind, records: Sequence[Any], rules: Receiving) -> Sequence[Match]:
        found = self._match(kind, records, rules)
        if not self.new_cards:
            return found
        return [Match() if r.key in self.new_cards else m for r, m in zip(records, found, strict=True)]

    def _match(self, kind: Kind, records: Sequence[Any], rules: Receiving) -> Sequence[Match]:
        if kind in (Kind.PRICES, Kind.STOCK):
            offers = self._page[Kind.OFFER]
            return [Match(offers[r.key].record_id, "its offer") if r.key in offers else Match() for r in records]
        if kind is Kind.VARIANT:
            return self._match_variants(records)
        if kind is Kind.ORDER:
            return self._match_orders(records, rules)
        if cards.are_flat(kind, records):
            return cards.match(self, self._finder(rules), records)
        if kind is Kind.OFFER:
            return self._match_offers(records, rules)
        if kind in MATCH_COLUMNS:
            return self._match_by_rules(kind, records, rules.match.get(kind, ()))
        return [Match()] * len(records)

    def _finder(self, rules: Receiving) -> cards.Finder:
        key = rules.listings, tuple(rules.match.get(Kind.PRODUCT, ()))
        if key not in self._finders:
            self._finders[key] = cards.Finder(*key)
        return self._finders[key]

    def _match_by_rules(self, kind: Kind, records: Sequence[Any], attributes: Sequence[str]) -> Sequence[Match]:
        attributes = [a for a in attributes if a in MATCH_COLUMNS[kind]]
        if not attributes:
            return [Match()] * len(records)
        cards = self._cards_of(kind, attributes)
        matches = []
        page: dict[tuple[str, str], str] = {}  # what strangers of this page have claimed
        for record in records:
            asked = matching.wanted(record, attributes)
            match = matching.choose(asked, cards)
            if match.record_id is None and not match.candidates:
                twin = next((pair for pair in asked if pair in page), None)
                if twin:
                    match = Match(None, f"{twin[0]} = {twin[1]}", (), page[twin])
                else:
                    page.update((pair, record.key) for pair in asked)
            matches.append(match)
        linked = self.links_by_record(kind, [m.record_id for m in matches if m.record_id is not None])
        return [
            replace(m, taken_by=linked[m.record_id].external_id) if m.record_id in linked else m  # type: ignore[index]
            for m in matches
        ]

    def _cards_of(self, kind: Kind, attributes: Sequence[str]) -> dict[tuple[str, str], list[int]]:
        """Every card by (attribute, normalised value), read once in a run and kept up to date by it.

        Only connections with match rules pay this memory (some 200 bytes a value); an index of normalised values in the database
        would cost every load, and SQLite's lower() knows ASCII only.
        """
        if kind not in self._cards:
            cards = self._cards[kind] = {}
            fields = list(dict.fromkeys(name for a in attributes for name in matching.fields_of(a)))
            places = [(a, [fields.index(name) for name in matching.fields_of(a)]) for a in attributes]
            names = ", ".join(f'"{name}"' for name in fields)
            with db.cursor() as cursor:
                cursor.execute(f"SELECT id, {names} FROM {OWN_TABLE[kind]}")
                while rows := cursor.fetchmany(5000):
                    for ident, *values in rows:
                        for attribute, at in places:
                            normal = matching.valued(attribute, [values[i] for i in at])
                            if normal:
                                cards.setdefault((attribute, normal), []).append(ident)
        return self._cards[kind]

    def _remember_cards(self, kind: Kind, rules: Receiving, made: Sequence[tuple[int, Said]]) -> None:
        if kind in self._cards:
            for ident, s in made:
                for pair in matching.wanted(s.record, [a for a in rules.match.get(kind, ()) if a in MATCH_COLUMNS[kind]]):
                    self._cards[kind].setdefault(pair, []).append(ident)

    def _foreign_cards(self, kind: Kind) -> bool:
        """Whether there can be cards that this connection has no link to; asked once in a run."""
        if kind not in self._strangers_possible:
            with db.cursor() as cursor:
                cursor.execute(f"SELECT count(*) FROM {OWN_TABLE[kind]}")
                cards = cursor.fetchone()[0]
                cursor.execute(
                    "SELECT count(*) FROM store_link WHERE connection_id = %s AND kind = %s", [self.connection.pk, str(kind)]
                )
                self._strangers_possible[kind] = cards > cursor.fetchone()[0]
        return self._strangers_possible[kind]

    def _match_offers(self, records: Sequence[Offer], rules: Receiving) -> Sequence[Match]:
        """A product's only plain offer, or the offer with the same characteristics, made by another connection."""
        if not self._foreign_cards(Kind.OFFER):
            return [Match()] * len(records)
        products = {key: link.record_id for key, link in self._page[Kind.PRODUCT].items()}
        with db.cursor() as cursor:
            rows = bulk.select_in(
                cursor,
                "SELECT o.id, o.product_id, o.characteristics, o.barcode FROM store_offer o WHERE NOT EXISTS"
                " (SELECT 1 FROM store_link l WHERE l.connection_id = %s AND l.kind = 'offer' AND l.record_id = o.id)"
                " AND o.product_id {in}",
                list(products.values()),
                self.connection.pk,
            )
        free: dict[tuple[int, str], list[int]] = {}
        for ident, product, characteristics, barcode in rows:
            traits = bulk.to_json(sorted(map(list, bulk.from_json(characteristics))))
            free.setdefault((product, traits), []).append(ident)
            if barcode:
                free.setdefault((product, f"barcode {barcode}"), []).append(ident)
        out = []
        for record in records:
            product = products[record.product]
            traits = bulk.to_json(sorted(list(c) for c in bulk.from_json(record.characteristics) or ()))
            ids = free.get((product, traits), [])
            why = _("the same product and characteristics")
            if not ids and "#" in record.key and record.barcode:
                ids, why = free.get((product, f"barcode {record.barcode}"), []), f"barcode = {record.barcode}"
            if "#" in record.key and traits == "[]" and len(ids) != 1:
                ids = []
            out.append(Match(ids[0] if len(ids) == 1 else None, why if ids else "", tuple(ids)))
        return out

    def _match_variants(self, records: Sequence[Product]) -> Sequence[Match]:
        """A variant's card is the offer of that id when an offers file came first."""
        offers = self.links_by_external(Kind.OFFER, [r.key for r in records])
        return [Match(offers[r.key].record_id, "its offer") if r.key in offers else Match() for r in records]

    def _match_orders(self, records: Sequence[Any], rules: Receiving) -> Sequence[Match]:
        """An order that they call by our key is ours when we have noted that we were about to make it there: the answer got lost.
        One with the same number and date of the same site is known by its attributes, as 1C knows it."""
        keys = {r.known_as for r in records if isinstance(r, Order) and r.known_as}
        rows = dict(models.Order.objects.filter(key__in=keys).values_list("key", "pk")) if keys else {}
        intents = {engine.intent(str(self.connection.pk), Kind.ORDER, pk): pk for pk in rows.values()}
        noted = models.Intent.objects.filter(connection=self.connection, key__in=list(intents)).values_list("key", flat=True)
        meant = {intents[key] for key in noted}
        linked = self.links_by_record(Kind.ORDER, list(meant))
        same = self._same_orders(records, rules.order_attributes) if all(rules.order_attributes) else {}
        out = []
        for record in records:
            pk = rows.get(record.known_as) if isinstance(record, Order) else None
            if pk in meant:
                other = linked[pk].external_id if pk in linked else ""
                out.append(Match(pk, _("we made it there"), (), other))
            elif isinstance(record, Order) and record.key in same:
                out.append(Match(same[record.key], _("the same number and date on the site")))
            else:
                out.append(Match())
        return out

    def _same_orders(self, records: Sequence[Any], attributes: Sequence[str]) -> dict[str, int]:
        """Orders of the books that this connection has no link to, and that say the same site, number and date there."""

        def said(order: Any) -> tuple[str, ...]:
            about = dict(order.requisites)
            return (order.site, *(str(about.get(name, "")) for name in attributes))

        asked = {said(r): r.key for r in records if isinstance(r, Order) and r.site and all(said(r))}
        if not asked:
            return {}
        rows = models.Order.objects.filter(site__in={key[0] for key in asked}, number__in={key[1] for key in asked})
        found: dict[str, list[int]] = {}
        for row in rows.only("pk", "site", "requisites"):
            if said(row) in asked:
                found.setdefault(asked[said(row)], []).append(row.pk)
        linked = self.links_by_record(Kind.ORDER, [pk for pks in found.values() for pk in pks])
        return {key: pks[0] for key, pks in found.items() if len(pks) == 1 and pks[0] not in linked}

    def their_copy(self, kind: Kind, record_id: int) -> Any:
        """Read for all the records that the engine has just asked the links of, in one statement."""
        if record_id not in self._copies.get(kind, ()):
            asked = self._asked if record_id in self._asked else [record_id]
            self._copies[kind] = dict.fromkeys(asked) | taking.copies(self.connection, kind, asked)
        copy = self._copies[kind][record_id]
        return taking.untold(copy) if copy is not None and self.asked_again(kind, record_id) else copy

    def dirty_count(self, kind: Kind) -> int:
        """How many rows ``dirty`` looks at."""
        return outbox.pending(self.connection, kind).count()

    def dirty(self, kind: Kind) -> Iterator[tuple[int, int, Any]]:
        """Orders or payments that the connection has still to be told: (record id, revision, record), oldest change first.

        What could not be sent is tried again later and later, or at once when it has changed since, or a person asks for it.
        """
        after: tuple[datetime, int] | None = None
        while True:
            rows = outbox.pending(self.connection, kind).order_by("since", "id")
            if after is not None:
                rows = rows.filter(since__gte=after[0]).exclude(since=after[0], id__lte=after[1])
            page = list(rows[:OUTBOX_PAGE])
            if kind is Kind.ORDER:
                self._wanted_again.update(row.record_id for row in page if row.again)
            if not page:
                return
            after = page[-1].since, page[-1].pk
            held = set() if self.each else self._held_back(kind, page)
            wanted = [row for row in page if row.pk not in held]
            records = outbox.records(kind, [row.record_id for row in wanted])
            for row in wanted:
                if row.record_id in records:
                    yield row.record_id, row.revision, records[row.record_id]
                elif not self.previews:
                    models.Outbox.objects.filter(pk=row.pk).delete()

    def _held_back(self, kind: Kind, page: Sequence[models.Outbox]) -> set[int]:
        now = timezone.now()
        ids = {str(row.record_id): row for row in page}
        parked = models.Parked.objects.filter(
            connection=self.connection, direction="out", kind=kind, external_id__in=list(ids)
        ).values_list("external_id", "tries", "last_at")
        return {
            ids[ident].pk
            for ident, tries, last_at in parked
            if ids[ident].offered_revision == ids[ident].revision
            and last_at + min(timedelta(minutes=2**tries), LONGEST_PAUSE) > now
        }

    def sending(self, keys: Sequence[str]) -> set[str]:
        known = set(models.Intent.objects.filter(connection=self.connection, key__in=keys).values_list("key", flat=True))
        models.Intent.objects.bulk_create(
            [models.Intent(connection=self.connection, key=k) for k in keys if k not in known], ignore_conflicts=True
        )
        return known

    # --- settling ----------------------------------------------------------------------------------------------------------

    @property
    def previews(self) -> bool:
        """Whether the run writes nothing but what it would have done."""
        return self.run is not None and bool(self.run.args.get("preview"))

    def preview(self, settlement: Settlement) -> Counter[str]:
        counts, found = previews.compare(self, settlement)
        counts += settlement.counts
        for would in found:
            if would.outcome == CREATED:
                kind = Kind.PRODUCT if settlement.kind is Kind.PRODUCT else Kind.OFFER
                self._imagined.setdefault(kind, set()).add(_imaginary(would.said.item.external_id))
                if settlement.kind is Kind.VARIANT:
                    base = would.said.item.external_id.partition("#")[0]
                    self._imagined.setdefault(Kind.PRODUCT, set()).add(_imaginary(base))
        self.kept.read(settlement, found)
        self.total += counts
        self._looked(settlement.percent)
        return counts

    def compare(self, settlement: Settlement) -> Counter[str]:
        if self.lease is not None:
            self.lease.check()
        said, decided = settlement.said, self.decided
        if decided is not None:  # a person has looked at these
            said = [s for s in said if not decided.knows(settlement.kind, s.item.external_id)]
        return previews.compare(self, replace(settlement, said=said, parked=[]))[0]

    def tell(self, settlement: Settlement) -> None:
        self.kept.sent(settlement)
        self._looked(settlement.percent)

    def _looked(self, percent: int) -> None:
        """How far a preview is; also where it is told to stop."""
        if self.lease is not None:
            done, parts = self.part
            self.lease.renew((done * 100 + percent) // parts, dict(self.total))

    def left(self, kind: Kind, changes: Sequence[tuple[int, Any]]) -> Mapping[int, BadRecord]:
        return self.decided.left(kind, changes) if self.decided is not None else {}

    def held(self, kind: Kind, record_ids: Sequence[int]) -> set[int]:
        return outbox.held(kind, record_ids)

    def settle(self, settlement: Settlement) -> Counter[str]:
        try:
            return self._settle(settlement)
        except (DataError, db.Database.DataError) as error:  # COPY raises the driver's own
            if not settlement.said:
                raise
            self._forget()
            return self._settle_apart(settlement, str(error).partition("\n")[0])

    def _settle_apart(self, settlement: Settlement, reason: str) -> Counter[str]:
        """A value that the database refuses would be refused again by every further try: halve the page until it stands alone."""
        said = settlement.said
        if len(said) == 1:
            s = said[0]
            error = BadRecord(_("The database does not take it: {reason}"), reason=reason)
            parked = ParkedItem(s.item.external_id, s.item.payload, str(s.item.where).rpartition(":")[0], error)
            counts = settlement.counts + Counter({PARKED: 1})
            return self.settle(replace(settlement, said=[], parked=[*settlement.parked, parked], counts=counts))
        half = len(said) // 2
        first = Settlement(settlement.stream, settlement.kind, settlement.rules, said[:half], whole=settlement.whole)
        first.sweep = settlement.sweep
        return self.settle(first) + self.settle(replace(settlement, said=said[half:]))

    def _forget(self) -> None:
        """What was read or made inside a transaction that has been rolled back."""
        for kept in (self._references, self._groups, self._cards, self._finders):
            kept.clear()
        self._own = self._carried = self._parked = None

    def _settle(self, settlement: Settlement) -> Counter[str]:
        now = timezone.now()
        with transaction.atomic():
            if self.lease is not None:
                # The fencing statement comes first: a worker that was frozen and lost its lease stops here, before any write.
                done, parts = self.part
                self.lease.renew((done * 100 + settlement.percent) // parts, dict(self.total))
            if self.decided is not None and settlement.said:
                settlement = self.decided.apply(self, settlement)
            counts = Counter(settlement.counts)
            with db.cursor() as cursor:
                if settlement.said:
                    counts += self._settle_said(cursor, settlement, now)
                if settlement.sweep is not None:
                    self._note_sweep(cursor, settlement, now)
                if settlement.links or settlement.told or settlement.copies:
                    self._write_links(cursor, settlement, now)
                if settlement.parked or self._anything_parked():
                    self._settle_parked(cursor, settlement, now)
            if self.each and self.run is not None:
                results.write(self.run, settlement)
            if settlement.bookmark is not None:
                models.Bookmark.objects.update_or_create(
                    connection=self.connection, stream=settlement.stream, defaults={"value": settlement.bookmark, "changed": now}
                )
            tallies.add(self.connection.pk, tallies.of(settlement, counts), now)
        if self._again:
            back = min(self._again, counts[UNCHANGED])
            counts[UNCHANGED] -= back
            self._again -= back
        self._written += Counter({name: counts[name] for name in WRITTEN})
        self.apart[settlement.kind] += Counter({name: counts[name] for name in (CREATED, UPDATED)})
        self.total += counts
        if db.vendor == "sqlite":
            time.sleep(YIELD)
        return counts

    def start_again(self) -> None:
        if self.previews:
            self.total = Counter(self._before)
            self.kept.begin_again(self._stream)
            return
        self.total, self._again = Counter(self._written), sum(self._written.values())

    def _settle_said(self, cursor: CursorWrapper, settlement: Settlement, now: datetime) -> Counter[str]:
        kind = settlement.kind
        if cards.are_flat(kind, [s.record for s in settlement.said]):
            counts, made = cards.settle(self, cursor, settlement, now, stamp(now))
            for offer, record in made:
                self._finder(settlement.rules).add(offer, record)
            return counts
        if kind is Kind.PRODUCT or kind in OFFER_KINDS:
            return self._settle_goods(cursor, settlement, now)
        if kind is Kind.VARIANT:
            return self._settle_variants(cursor, settlement, now)
        if kind is Kind.ORDER:
            return self._settle_orders(cursor, settlement, now)
        if kind is Kind.COUNTERPARTY:
            return self._settle_counterparties(cursor, settlement, now)
        return self._settle_small(cursor, settlement, now)

    # goods

    def _plan_goods(
        self, cursor: CursorWrapper, settlement: Settlement, *, create_references: bool = True
    ) -> tuple[goods.Plan, Books]:
        if settlement.kind is Kind.PRODUCT:
            groups = self.group_ids({goods.main_group(s.record) for s in settlement.said} - {""})
            return goods.compare_products(cursor, settlement.said, settlement.rules, groups), Books({}, {}, {}, {})
        books = self._books(settlement.said, create=create_references, whole=settlement.whole)
        return goods.compare_offers(cursor, settlement.said, settlement.rules, books, whole=settlement.whole), books

    def _books(self, said: Sequence[Said], *, create: bool, whole: bool) -> Books:
        kinds = {price[0] for s in said for price in s.record.prices or ()}
        houses = {level[0] for s in said for level in s.record.stock or ()}
        return Books(
            {key: link.record_id for key, link in self._page.get(Kind.PRODUCT, {}).items()},
            {key: link.record_id for key, link in self._page.get(Kind.OFFER, {}).items()},
            {k: self.reference_id(Subject.PRICE_KIND, k, create=create) for k in kinds},
            {h: self.reference_id(Subject.WAREHOUSE, h, create=create) for h in houses},
            self._own_references() if whole else frozenset(),
        )

    def _own_references(self) -> frozenset[int]:
        if self._own is None or len(self._own) < len(self._references):
            links = models.Link.objects.filter(connection=self.connection, kind=Kind.REFERENCE)
            self._own = frozenset(links.values_list("record_id", flat=True)) | frozenset(self._references.values())
        return self._own

    def _settle_goods(self, cursor: CursorWrapper, settlement: Settlement, now: datetime) -> Counter[str]:
        plan, books = self._plan_goods(cursor, settlement)
        run_id = self.run.pk if self.run else None
        goods.write(cursor, plan, run_id, stamp(now), books)
        kind, flavour = plan.kind, settlement.kind
        made = [(made.id, made.said) for made in plan.created]
        if flavour in OFFER_KINDS and plan.owners.get("stock", "take") == "take":
            self._note_stock(flavour, made, settlement.said)
        self._remember_cards(kind, settlement.rules, made)
        self._insert_links(cursor, flavour, [*made, *plan.linked])
        if flavour is not kind and made:  # an offer made by a file of prices has a card of its own as well
            self._insert_links(cursor, kind, made, seen=False)
        self._renew_seen(cursor, flavour, [s for _id, s in plan.seen])
        if flavour in OFFER_KINDS:
            self._forget_other_flavours(cursor, flavour, settlement.said)
        return plan.counts

    def _note_stock(self, kind: Kind, made: Sequence[tuple[int, Said]], said: Sequence[Said]) -> None:
        """A stock that ends reservations. One that was parked (it has no digest) says how much there was when it came."""
        ids, keys = self._awaited(kind)
        if keys:
            told = [s.record_id for s in said if s.record_id in ids and s.record.stock is not None and s.item.digest]
            told += [pk for pk, s in made if s.record.key in keys and s.record.stock is not None and s.item.digest]
            reservations.note_stock([pk for pk in told if pk is not None], self._asked_at)
            self._stock_said |= bool(told)

    def _insert_links(self, cursor: CursorWrapper, kind: Kind, rows: Sequence[tuple[int, Said]], *, seen: bool = True) -> None:
        bulk.insert(
            cursor,
            "store_link",
            ("connection_id", "kind", "external_id", "record_id", "seen", "sent", "sent_version", "gone"),
            [
                (self.connection.pk, str(kind), s.item.external_id, i, s.item.digest if seen else b"", b"", 0, False)
                for i, s in rows
            ],
        )

    def _renew_seen(self, cursor: CursorWrapper, kind: Kind, said: Sequence[Said]) -> None:
        rows = [(s.item.digest, False, self.connection.pk, str(kind), s.item.external_id) for s in said]
        bulk.update(cursor, "store_link", ("connection_id", "kind", "external_id"), ("seen", "gone"), rows)

    def _forget_other_flavours(self, cursor: CursorWrapper, flavour: Kind, said: Sequence[Said]) -> None:
        """Prices and stock of an offer may be said in several kinds of file (offers.xml with prices inside, a changes package).

        What the others said last is then no longer what the books hold: their digest is forgotten, so that the same bytes coming
        again there are news again (A → B → A).
        """
        if self._carried is None:
            self._carried = dict(self.bookmark(CARRIED) or {})
        here = {"prices"} if any(s.record.prices is not None for s in said) else set()
        here |= {"stock"} if any(s.record.stock is not None for s in said) else set()
        if not here <= set(self._carried.get(flavour, ())):
            self._carried[str(flavour)] = sorted(here | set(self._carried.get(flavour, ())))
            models.Bookmark.objects.update_or_create(
                connection=self.connection, stream=CARRIED, defaults={"value": self._carried}
            )
        for other, carried in self._carried.items():
            if other != flavour and here & set(carried):
                rows = [(b"", self.connection.pk, other, s.item.external_id) for s in said]
                bulk.update(cursor, "store_link", ("connection_id", "kind", "external_id"), ("seen",), rows)

    def _settle_variants(self, cursor: CursorWrapper, settlement: Settlement, now: datetime) -> Counter[str]:
        """1C:UT writes one Товар for each product × characteristic: it speaks of a product and of its offer at once."""
        products, offers = split_variants(settlement.said)
        counts: Counter[str] = Counter()
        links = self.links_by_external(Kind.PRODUCT, [p.key for p in products])
        said = [
            Said(_item(s_item.item, p.key), p, links.get(p.key), links[p.key].record_id if p.key in links else None)
            for p, s_item in products.items()
        ]
        groups = self.group_ids({goods.main_group(p) for p in products} - {""})
        plan = goods.compare_products(cursor, said, settlement.rules, groups)
        run_id, at = (self.run.pk if self.run else None), stamp(now)
        goods.write(cursor, plan, run_id, at)
        # The product has no bytes of its own in such a file: its link carries no digest.
        self._insert_links(cursor, Kind.PRODUCT, [*((m.id, m.said) for m in plan.created), *plan.linked], seen=False)
        counts += plan.counts
        ids = {s.item.external_id: i for i, s in [*((m.id, m.said) for m in plan.created), *plan.linked, *plan.seen]}
        books = Books(ids, {}, {}, {})
        known = self.links_by_external(Kind.OFFER, [o.key for o in offers])
        offer_said = [
            Said(_item(s.item, o.key), o, known.get(o.key), known[o.key].record_id if o.key in known else None)
            for o, s in offers.items()
        ]
        offer_plan = goods.compare_offers(cursor, offer_said, settlement.rules, books, whole=False)
        goods.write(cursor, offer_plan, run_id, at, books)
        made = [(m.id, m.said) for m in offer_plan.created]
        self._insert_links(cursor, Kind.OFFER, [*made, *offer_plan.linked], seen=False)
        ids = {s.item.external_id: i for i, s in [*made, *offer_plan.linked, *offer_plan.seen]}
        fresh = [(ids[s.item.external_id], s) for s in settlement.said if s.link is None]
        self._insert_links(cursor, Kind.VARIANT, fresh)
        self._renew_seen(cursor, Kind.VARIANT, [s for s in settlement.said if s.link is not None])
        counts += offer_plan.counts
        self._follow_variants(cursor, list(books.product_ids.values()), now)
        return counts

    def _follow_variants(self, cursor: CursorWrapper, product_ids: Sequence[int], now: datetime) -> None:
        """A product all of whose variants are marked for deletion is marked too, and comes back with the first of them."""
        every = "min(CAST(o.deleted AS integer))"
        rows = bulk.select_in(
            cursor,
            f"SELECT p.id, p.version, {every} FROM store_product p JOIN store_offer o ON o.product_id = p.id WHERE p.id {{in}}"
            f" GROUP BY p.id, p.version, p.deleted HAVING CAST(p.deleted AS integer) <> {every}",
            product_ids,
        )
        bulk.update(cursor, "store_product", ("id",), ("deleted", "version"), [(bool(gone), v + 1, i) for i, v, gone in rows])
        history = [
            (
                "product",
                i,
                v + 1,
                self.run.pk if self.run else None,
                stamp(now),
                bulk.to_json({"deleted": [not gone, bool(gone)]}),
            )
            for i, v, gone in rows
        ]
        bulk.insert(cursor, "store_recordchange", ("record_kind", "record_id", "version", "run_id", "at", "changes"), history)

    # references, groups, properties

    def reference_id(self, subject: Subject, key: str, name: str = "", *, create: bool = True) -> int:
        """Our reference for their key: by mapping, else by link, else made under their key (opaque, nothing is guessed)."""
        found = self._references.get((subject, key))
        if found is not None:
            return found
        mapped = (
            models.Mapping.objects.filter(connection=self.connection, subject=subject, theirs=key, inbound=True)
            .exclude(ours="")
            .first()
        )
        row = models.Reference.objects.filter(subject=subject, key=mapped.ours).first() if mapped else None
        if row is None:
            link = self.links_by_external(Kind.REFERENCE, [f"{subject}:{key}"]).get(f"{subject}:{key}")
            row = models.Reference.objects.filter(pk=link.record_id).first() if link else None
        if row is None:
            if not create:
                return 0
            row = self._make_reference(subject, key, name)
        self._references[subject, key] = row.pk
        return int(row.pk)

    def _make_reference(self, subject: Subject, key: str, name: str) -> models.Reference:
        """Another system may use the same key for something else: then ours is told apart by the connection's name."""
        taken = models.Reference.objects.filter(subject=subject, key=key).exclude(source=self.connection).exists()
        own = f"{key}@{self.connection.slug}" if taken else key
        row, _created = models.Reference.objects.get_or_create(
            subject=subject,
            key=own,
            defaults={"name": name or key, "source": self.connection, "attributes": {} if name else {"undeclared": "true"}},
        )
        models.Link.objects.get_or_create(
            connection=self.connection, kind=Kind.REFERENCE, external_id=f"{subject}:{key}", defaults={"record_id": row.pk}
        )
        return row

    def _settle_small(self, cursor: CursorWrapper, settlement: Settlement, now: datetime) -> Counter[str]:
        """References, groups and properties: hundreds, not millions; what differs is written one by one."""
        counts: Counter[str] = Counter()
        fresh: list[tuple[int, Said]] = []
        for s in settlement.said:
            row, made, differences = self._save_small(s)
            counts[CREATED if made else UPDATED if differences else UNCHANGED] += 1
            if made or differences:
                models.RecordChange.objects.create(
                    record_kind=str(settlement.kind),
                    record_id=row.pk,
                    version=row.version,
                    run=self.run,
                    at=now,
                    changes=None if made else differences,
                )
            fresh.append((row.pk, s))
            self._new_groups |= made and settlement.kind is Kind.GROUP
        rows = [(self.connection.pk, str(settlement.kind), s.item.external_id, i, s.item.digest, b"", 0, False) for i, s in fresh]
        bulk.insert(
            cursor,
            "store_link",
            ("connection_id", "kind", "external_id", "record_id", "seen", "sent", "sent_version", "gone"),
            rows,
            conflict="(connection_id, kind, external_id) DO UPDATE SET seen = excluded.seen, gone = excluded.gone",
        )
        return counts

    def _save_small(self, s: Said) -> tuple[Any, bool, dict[str, list[Any]]]:
        record = s.record
        model, values = _small_values(record)
        if isinstance(record, Reference):
            ident = self.reference_id(record.subject, record.key, record.name)
            row = models.Reference.objects.get(pk=ident)
            made = s.link is None and row.version == 1 and not row.attributes.get("undeclared")
            differences = _write_differences(row, values)
            return row, made, differences
        row, made = model.objects.get_or_create(source=self.connection, key=record.key, defaults=values)
        return row, made, {} if made else _write_differences(row, values)

    def small_row(self, s: Said) -> tuple[Any, dict[str, Any]]:
        """The row that ``_save_small`` would write to, None when it would make one, and with what values."""
        record = s.record
        model, values = _small_values(record)
        if isinstance(record, Reference):
            ident = self.reference_id(record.subject, record.key, create=False)
            return models.Reference.objects.filter(pk=ident).first(), values
        return model.objects.filter(source=self.connection, key=record.key).first(), values

    def _settle_counterparties(self, cursor: CursorWrapper, settlement: Settlement, now: datetime) -> Counter[str]:
        counts, ids = taking.take_counterparties(settlement.said, self.connection, self.run, now, settlement.rules.fields)
        made = [(ids[place], s) for place, s in enumerate(settlement.said)]
        self._remember_cards(Kind.COUNTERPARTY, settlement.rules, [(i, s) for i, s in made if s.record_id is None])
        self._insert_links(cursor, Kind.COUNTERPARTY, [(i, s) for i, s in made if s.link is None])
        self._renew_seen(cursor, Kind.COUNTERPARTY, [s for _i, s in made if s.link is not None])
        for i, s in made:
            if s.record.key in self.new_cards:
                joining.give_orders(self.connection, s.record.key, i)
        if settlement.rules.shared_buyers:
            joining.give_all_orders(self.connection, {s.record.key: i for i, s in made if s.link is None})
        return counts

    def _settle_orders(self, cursor: CursorWrapper, settlement: Settlement, now: datetime) -> Counter[str]:
        closed = self._closed_orders(settlement)
        whole = [s for s in settlement.said if isinstance(s.record, Order) and s.record_id not in closed]
        counts = self._take_orders(cursor, whole, settlement.rules, now) if whole else Counter()
        known: list[int] = []
        for s in settlement.said:
            if s.record_id in closed:
                number, state = closed[s.record_id]
                error = BadRecord(CLOSED, number=number, state=state)
                settlement.parked.append(ParkedItem(s.item.external_id, s.item.payload, str(s.item.where), error))
                counts[PARKED] += 1
                continue
            if isinstance(s.record, Order):
                continue
            try:
                order_id, revision, outcome = self.on_order(s.record, now)
            except BadRecord as error:  # it speaks of an order that we do not have, or have twice: nothing was written yet
                settlement.parked.append(ParkedItem(s.item.external_id, s.item.payload, str(s.item.where), error))
                counts[PARKED] += 1
                continue
            counts[outcome] += 1
            # A link of ours, made when they confirmed, takes their id now; what they have just said needs no telling.
            models.Link.objects.filter(connection=self.connection, kind=Kind.ORDER, external_id=s.item.external_id).exclude(
                record_id=order_id
            ).delete()
            models.Link.objects.update_or_create(
                connection=self.connection,
                kind=Kind.ORDER,
                record_id=order_id,
                defaults={"external_id": s.item.external_id, "seen": s.item.digest, "gone": False}
                | ({"sent_version": revision} if outcome == UPDATED else {}),
            )
            known.append(order_id)
        reservations.take(self.connection, known, now)
        return counts

    def _meet_buyers(self, cursor: CursorWrapper, said: Sequence[Said], rules: Receiving, now: datetime) -> dict[str, int | None]:
        """Buyers that no page of customers has brought (those of parked orders) are looked for by the same rules before a card is
        made. Returns the cards of those that need no further look: None for one that fits several cards, a person decides."""
        buyers = {s.record.counterparty.key: s.record.counterparty for s in said if s.record.counterparty is not None}
        known = self.links_by_external(Kind.COUNTERPARTY, list(buyers)) if buyers else {}
        strangers = [buyer for key, buyer in buyers.items() if key and key not in known]
        attributes = rules.match.get(Kind.COUNTERPARTY, ())
        if not strangers or not (attributes or rules.shared_buyers):
            return {} if rules.new_buyers else {key: None for key in buyers if key not in known}
        found = list(zip(strangers, self._match_by_rules(Kind.COUNTERPARTY, strangers, attributes), strict=True))
        rows = [
            (match.record_id, Said(Item(buyer.key, None, b""), buyer, None, match.record_id))
            for buyer, match in found
            if match.record_id is not None and not match.taken_by and len(match.candidates) < 2
        ]
        cards: dict[str, int | None] = {buyer.key: None for buyer, match in found if len(match.candidates) > 1}
        if rules.shared_buyers:
            self._share_buyers(found, rows, cards, rules, now)
        self._insert_links(cursor, Kind.COUNTERPARTY, rows, seen=False)
        if not rules.new_buyers:  # a buyer without an id of theirs has no card that could be found
            cards |= {key: None for key in buyers if key not in known and cards.get(key) is None}
        return cards

    def _share_buyers(
        self,
        found: Sequence[tuple[Any, Match]],
        rows: list[tuple[int, Said]],
        cards: dict[str, int | None],
        rules: Receiving,
        now: datetime,
    ) -> None:
        """Several of their ids may be one card: a guest who is known by e-mail gets the card of the customer. New cards are made
        here, and linked, so that the next order of the same buyer finds them."""
        linked: set[int] = set()
        for buyer, match in found:
            if len(match.candidates) > 1:
                continue
            if match.record_id is None and match.taken_by:  # the same as another stranger of this page
                cards[buyer.key] = cards.get(match.taken_by)
                continue
            pk = match.record_id
            if pk is None:
                made = orders.save_counterparty(buyer, self.connection, now) if rules.new_buyers else None
                if made is None:
                    continue
                pk = made.pk
                entry = Said(Item(buyer.key, None, b""), buyer, None, pk)
                self._remember_cards(Kind.COUNTERPARTY, rules, [(pk, entry)])
                rows.append((pk, entry))
            elif pk in linked:
                rows[:] = [row for row in rows if row[1].item.external_id != buyer.key]
            cards[buyer.key] = pk
            linked.add(pk)

    def _take_orders(self, cursor: CursorWrapper, said: Sequence[Said], rules: Receiving, now: datetime) -> Counter[str]:
        cards = self._meet_buyers(cursor, said, rules, now)
        taken = taking.take_orders(said, self.connection, self.run, now, keep_ours=rules.conflict == "ours", cards=cards)
        bulk.insert(
            cursor,
            "store_link",
            ("connection_id", "kind", "external_id", "record_id", "seen", "sent", "sent_version", "gone"),
            [
                (
                    self.connection.pk,
                    "order",
                    t.said.item.external_id,
                    t.record_id,
                    t.said.item.digest,
                    b"",
                    t.revision * t.told,
                    False,
                )
                for t in taken
            ],
            conflict="(connection_id, kind, record_id) DO UPDATE SET external_id = excluded.external_id, seen = excluded.seen,"
            " gone = excluded.gone, sent_version = CASE WHEN excluded.sent_version > 0 THEN excluded.sent_version"
            " ELSE store_link.sent_version END",
        )
        # What they have all of is not sent; of the rest the newest revision is.
        waiting = models.Outbox.objects.filter(connection=self.connection, kind=Kind.ORDER)
        waiting.filter(record_id__in=[t.record_id for t in taken if t.told]).delete()
        for t in taken:
            if not t.told and t.outcome == UPDATED:
                waiting.filter(record_id=t.record_id).update(revision=t.revision)
        reservations.take(self.connection, [t.record_id for t in taken], now)
        return Counter(t.outcome for t in taken)

    def _closed_orders(self, settlement: Settlement) -> dict[int | None, tuple[str, str]]:
        """{record id: (number, name of its state)} of those whose state the settings call finished."""
        ids = [s.record_id for s in settlement.said if s.record_id is not None]
        if not settlement.rules.finished or not ids:
            return {}
        rows = models.Order.objects.filter(pk__in=ids, state__in=list(settlement.rules.finished))
        names = dict(
            models.Reference.objects.filter(subject=Subject.ORDER_STATE, key__in=settlement.rules.finished).values_list(
                "key", "name"
            )
        )
        return {pk: (number, names.get(state, state)) for pk, number, state in rows.values_list("pk", "number", "state")}

    def finish(self) -> None:
        """After the last page: what could be resolved only once everything is there (groups may come behind their goods)."""
        if self._stock_said:
            reservations.prune()
        if not self._new_groups:
            return
        with transaction.atomic(), db.cursor() as cursor:
            if self.lease is not None:
                self.lease.renew(None, dict(self.total))
            cursor.execute(
                "UPDATE store_group SET parent_id = (SELECT p.id FROM store_group p WHERE p.source_id = store_group.source_id"
                " AND p.key = store_group.parent_key) WHERE source_id = %s AND parent_key <> '' AND parent_id IS NULL",
                [self.connection.pk],
            )
        first = "json_extract(p.groups, '$[0]')" if db.vendor == "sqlite" else "(p.groups ->> 0)"
        while True:
            with transaction.atomic(), db.cursor() as cursor:
                cursor.execute(
                    f"SELECT g.id, p.id FROM store_product p JOIN store_group g ON g.source_id = %s AND g.key = {first}"
                    " WHERE p.group_id IS NULL LIMIT 1000",
                    [self.connection.pk],
                )
                rows = cursor.fetchall()
                if rows and self.lease is not None:
                    self.lease.renew(None, dict(self.total))
                bulk.update(cursor, "store_product", ("id",), ("group_id",), rows)
            if not rows:
                break
        self._new_groups = False

    def group_ids(self, keys: set[str]) -> Mapping[str, int]:
        """Our groups by their key, read once in a run as far as goods ask for them."""
        wanted = keys - self._groups.keys()
        if wanted:
            with db.cursor() as cursor:
                sql = "SELECT key, id FROM store_group WHERE source_id = %s AND key {in}"
                self._groups.update(dict(bulk.select_in(cursor, sql, list(wanted), self.connection.pk)))
                if not self._groups and not self._new_groups:  # a system without groups of its own names those of the books
                    sql = "SELECT key, id FROM store_group WHERE NOT EXISTS (SELECT 1 FROM store_group g WHERE g.source_id = %s) AND key {in}"
                    self._groups.update(dict(bulk.select_in(cursor, sql, list(wanted), self.connection.pk)))
        return self._groups

    # --- sweeps ------------------------------------------------------------------------------------------------------------

    def _note_sweep(self, cursor: CursorWrapper, settlement: Settlement, now: datetime) -> None:
        """Every card that this page mentions, also those that were recognised without parsing, by their place in ``seen``."""
        key = settlement.sweep
        if key is None:
            return
        kinds = _with_variants(settlement.kind)
        ids = [self._link_ids[settlement.kind][i] for i in settlement.positions]
        said = [*settlement.settled_ids, *(s.item.external_id for s in settlement.said)]
        for kind in kinds:
            rows = bulk.select_in(
                cursor,
                "SELECT id FROM store_link WHERE connection_id = %s AND kind = %s AND external_id {in}",
                said,
                self.connection.pk,
                str(kind),
            )
            ids += [row[0] for row in rows]
        sweeping.note(self.connection, key.catalogue, str(kinds[0]), key.run, key.whole, ids, now)

    # --- links, parked -----------------------------------------------------------------------------------------------------

    def _write_links(self, cursor: CursorWrapper, settlement: Settlement, now: datetime) -> None:
        kind, links = settlement.kind, settlement.links
        known = self.links_by_external(kind, [k.external_id for k in links]) if kind in GOODS_KINDS else {}
        moved = {*known} - {k.external_id for k in links if known.get(k.external_id, k).record_id == k.record_id}
        if moved:  # an id over there that is another record's now: two of ours cannot have it
            models.Link.objects.filter(connection=self.connection, kind=kind, external_id__in=moved).delete()
        rows = [(self.connection.pk, str(kind), k.external_id, k.record_id, k.seen, k.sent, k.sent_version, False) for k in links]
        bulk.insert(
            cursor,
            "store_link",
            ("connection_id", "kind", "external_id", "record_id", "seen", "sent", "sent_version", "gone"),
            rows,
            conflict="(connection_id, kind, record_id) DO UPDATE SET external_id = excluded.external_id, seen = excluded.seen,"
            " sent = excluded.sent, sent_version = excluded.sent_version, gone = excluded.gone",
        )
        self._keep_plans_true(cursor, len(links))
        told = [*((k.record_id, k.sent_version) for k in links), *settlement.told]
        self._note_told(settlement, told, now)
        if kind in TOLD_BY_OUTBOX:
            bulk.delete(
                cursor,
                "store_outbox",
                ("connection_id", "kind", "record_id", "revision"),
                [(self.connection.pk, str(kind), record_id, version) for record_id, version in told],
            )
        if kind is Kind.ORDER:
            reservations.take(self.connection, [record_id for record_id, _version in told], now)
        taking.keep_copies(self.connection, kind, settlement.copies)

    def _note_told(self, settlement: Settlement, told: Sequence[tuple[int, int]], now: datetime) -> None:
        if settlement.kind in timeline.KINDS:
            written = settlement.counts[CREATED] + settlement.counts[UPDATED]  # a settlement without them found all of it there
            what = timeline.What.SENT if written else timeline.What.NOTHING
            ids = {k.record_id: k.external_id for k in settlement.links}
            timeline.note(what, self.connection, settlement.kind, told, now, run=self.run, ids=ids)

    def _note_refused(self, settlement: Settlement, now: datetime) -> None:
        errors = {int(p.external_id): p.error for p in settlement.parked}
        rows = models.Outbox.objects.filter(connection=self.connection, kind=settlement.kind, record_id__in=list(errors))
        records = list(rows.values_list("record_id", "revision"))
        refused = timeline.What.REFUSED
        timeline.note_again(refused, self.connection, settlement.kind, records, now, run=self.run, errors=errors)

    def _keep_plans_true(self, cursor: CursorWrapper, links: int) -> None:
        """A first send fills the table of links under PostgreSQL's eyes: as long as it believes that the connection has none of
        the kind, it reads all of them to find 500 (measured: 40 ms at 20 000, more with each batch)."""
        self._linked += links
        if db.vendor == "postgresql" and self._linked >= self._analyse_at:
            cursor.execute("ANALYZE store_link")
            self._analyse_at = self._linked * 5

    def _anything_parked(self) -> bool:
        if self._parked is None:
            self._parked = models.Parked.objects.filter(connection=self.connection).exists()
        return self._parked

    def _settle_parked(self, cursor: CursorWrapper, settlement: Settlement, now: datetime) -> None:
        direction = "out" if settlement.links or settlement.stream.endswith("-out") else "in"
        held = {p.external_id for p in settlement.parked}
        free = [i for i in (*settlement.settled_ids, *(s.item.external_id for s in settlement.said)) if i not in held]
        bulk.delete(
            cursor,
            "store_parked",
            ("connection_id", "direction", "kind", "external_id"),
            [(self.connection.pk, direction, str(settlement.kind), i) for i in free],
        )
        rows = []
        for p in {p.external_id: p for p in settlement.parked}.values():
            waits = p.error.facts if isinstance(p.error, MissingLink) else {}
            kind, ident = str(waits.get("kind", "")), str(waits.get("id", ""))
            if isinstance(p.error, Unmapped):
                kind, ident = "mapping", f"{p.error.facts['subject']}:{p.error.facts['value']}"
            raw = p.payload if isinstance(p.payload, bytes) else bulk.to_json(p.payload).encode()
            facts = bulk.to_json(plain_facts(p.error.facts))
            head = (self.connection.pk, direction, str(settlement.kind), p.external_id[:300], raw, p.where[:300])
            rows.append((*head, p.error.text, facts, kind, ident[:300], 1, stamp(now), stamp(now)))
        if rows:
            self._parked = True
            if direction == "out" and settlement.kind in TOLD_BY_OUTBOX:  # not tried again at once, unless it changes
                self._note_refused(settlement, now)
                held_ids = [int(p.external_id) for p in settlement.parked]
                models.Outbox.objects.filter(connection=self.connection, kind=settlement.kind, record_id__in=held_ids).update(
                    offered_revision=F("revision")
                )
            fresh = ("payload", "where", "text", "facts", "waiting_kind", "waiting_id", "last_at")
            names = ("connection_id", "direction", "kind", "external_id", *fresh[:-1], "tries", "first_at", "last_at")
            sets = ", ".join(f'"{n}" = excluded."{n}"' for n in fresh)
            bulk.insert(
                cursor,
                "store_parked",
                names,
                rows,
                conflict=f"(connection_id, direction, kind, external_id) DO UPDATE SET {sets}, tries = store_parked.tries + 1",
            )


def _small_values(record: Any) -> tuple[Any, dict[str, Any]]:
    """The table of a reference, group or property, and what the record says of its row."""
    model: Any
    if isinstance(record, Reference):
        model = models.Reference
        values: dict[str, Any] = {"name": record.name, "attributes": dict(record.attributes)}
        optional: dict[str, Any] = {"deleted": record.deleted}
    elif isinstance(record, Group):
        model = models.Group
        values = {"name": record.name, "parent_key": record.parent or ""}
        optional = {"description": record.description, "deleted": record.deleted, "extra": record.extra or None}
    elif isinstance(record, Property):
        model = models.Property
        values = {"name": record.name, "kind": record.kind, "values": [list(v) for v in record.values]}
        optional = {
            "required": record.required,
            "multiple": record.multiple,
            "applies_to": record.applies_to or None,
            "deleted": record.deleted,
            "extra": record.extra or None,
        }
    else:
        raise TypeError(type(record).__name__)
    return model, values | {name: value for name, value in optional.items() if value is not None}


def _imaginary(external_id: str) -> int:
    """A number for a record that a preview would have made; no row has one below zero."""
    return -1 - (hash(external_id) & 0x3FFFFFFFFFFFFFFF)


def split_variants(said: Sequence[Said]) -> tuple[dict[Product, Said], dict[Offer, Said]]:
    """Products (one for each id, from its first variant in the page) and offers that variant cards speak of.

    The product's name is the card's name without the characteristic in brackets (1C:UT 11.5 writes "name (characteristic)"),
    a barcode belongs to the variant.
    """
    products: dict[str, tuple[Product, Said]] = {}
    offers: dict[Offer, Said] = {}
    for s in said:
        card: Product = s.record
        base = card.key.partition("#")[0]
        if base not in products:
            traits = ", ".join(value for _name, value in card.characteristics or ())
            common = {"barcode": None, "characteristics": None, "deleted": None, "extra": ""}
            names = {"name": without(card.name, traits), "full_name": without(card.full_name, traits)}
            products[base] = replace(card, key=base, **names, **common), s  # type: ignore[arg-type]
        offer = Offer(
            key=card.key, product=base, name=card.name, article=card.article, barcode=card.barcode, unit=card.unit,
            characteristics=card.characteristics, deleted=card.deleted,
        )  # fmt: skip
        offers[offer] = s
    return dict(products.values()), offers


def without(name: str | None, traits: str) -> str | None:
    """A variant's name without its characteristic: "Футболка (белый, 42)" → "Футболка"."""
    if not name or not traits:
        return name
    if name.endswith(f" ({traits})"):
        return name.removesuffix(f" ({traits})").strip() or name
    return name[: name.rfind(" (")].strip() or name if name.endswith(")") and " (" in name else name


def _item(item: Any, external_id: str) -> Any:
    return replace(item, external_id=external_id)


def _write_differences(row: Any, values: Mapping[str, Any]) -> dict[str, list[Any]]:
    differences = {name: [getattr(row, name), value] for name, value in values.items() if getattr(row, name) != value}
    if differences:
        for name, value in values.items():
            setattr(row, name, value)
        row.version += 1
        row.save()
    return differences


def stamp(moment: datetime) -> str:
    """A moment as both databases take it in a raw statement."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    return text if db.vendor == "sqlite" else text + "+00"
