"""The engine's Store over Django's tables: one connection, one run."""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from django.db import DataError, transaction
from django.db import connection as db
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from obmen.core import matching
from obmen.core.contract import BadRecord, Bookmark, MissingLink, Receiving, Unmapped
from obmen.core.engine import CREATED, MATCHED, PARKED, UNCHANGED, UPDATED, WRITTEN, Link, ParkedItem, Said, Settlement, missing
from obmen.core.matching import Match
from obmen.core.records import Group, Kind, Offer, Product, Property, Reference, Subject, plain
from obmen.core.words import gettext_noop as _
from obmen.store import bulk, goods, models, sweeping
from obmen.store.goods import Books

YIELD = (
    0.002  # seconds between pages on SQLite: without it short writes of the web wait up to 3.5 s beside a load, with it 0.25 s
)
GOODS_KINDS = (Kind.PRODUCT, Kind.VARIANT, Kind.OFFER, Kind.PRICES, Kind.STOCK)
SMALL_KINDS = (Kind.GROUP, Kind.PROPERTY, Kind.REFERENCE)
OFFER_KINDS = (Kind.OFFER, Kind.PRICES, Kind.STOCK)
CARRIED = "#carried"  # a bookmark that notes which kinds of file of a connection carry prices and stock
OWN_TABLE = {Kind.PRODUCT: "store_product", Kind.OFFER: "store_offer", Kind.COUNTERPARTY: "store_counterparty"}
MATCH_COLUMNS = {
    Kind.PRODUCT: frozenset({"article", "barcode", "code", "name"}),
    Kind.OFFER: frozenset({"article", "barcode", "name"}),
    Kind.COUNTERPARTY: frozenset({"inn", "kpp", "okpo", "phone", "email", "name", "full_name"}),
}


SEEN_ROWS = "SELECT id, seen FROM store_link WHERE connection_id = %s AND length(seen) = 16 AND kind {in}"


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
        self._written: Counter[str] = Counter()  # how many records this run has settled as news
        self._again = 0  # of those, how many are still to come again since the source started again
        self.differences: list[dict[str, Any]] = []  # of a preview, at most DIFFERENCES_KEPT
        self.on_order: Any = None  # set by work/run.py: folds what 1C says of an order (core/orders.py)
        self.keep_positions = False  # a sweep wants to know which cards were recognised without parsing
        self._link_ids: dict[Kind, array[int]] = {}
        self._references: dict[tuple[Subject, str], int] = {}
        self._own: frozenset[int] | None = None
        self._page: dict[Kind, dict[str, Link]] = {}
        self._groups: dict[str, int] = {}
        self._new_groups = False
        self._carried: dict[str, list[str]] | None = None
        self._cards: dict[Kind, dict[tuple[str, str], list[int]]] = {}
        self._parked: bool | None = None
        self._strangers_possible: dict[Kind, bool] = {}

    DIFFERENCES_KEPT = 200

    # --- Known, Links ------------------------------------------------------------------------------------------------------

    def seen(self, kind: Kind) -> bytes:
        """Digests in the order of the links. Catalogue cards of variants stand among the products, as in their files."""
        names = [str(k) for k in _with_variants(kind)]
        with db.cursor() as cursor:
            if self.keep_positions:
                rows = bulk.select_in(cursor, SEEN_ROWS, names, self.connection.pk)
                rows.sort()
                self._link_ids[kind] = array("q", (row[0] for row in rows))
                return b"".join(bytes(row[1]) for row in rows)
            if db.vendor == "sqlite":
                # The unary plus keeps SQLite from walking the index of ids and sorting: the table is in the right order already.
                cursor.execute(
                    "SELECT CAST(group_concat(seen, '') AS BLOB) FROM (SELECT seen FROM store_link WHERE +connection_id = %s"
                    " AND +kind IN (SELECT value FROM json_each(%s)) AND length(seen) = 16 ORDER BY id)",
                    [self.connection.pk, bulk.to_json(names)],
                )
            else:
                cursor.execute(
                    "SELECT string_agg(seen, ''::bytea ORDER BY id) FROM store_link"
                    " WHERE connection_id = %s AND kind = ANY(%s) AND length(seen) = 16",
                    [self.connection.pk, names],
                )
            value = cursor.fetchone()[0]
        return bytes(value) if value else b""

    def record_id(self, kind: Kind, external_id: str) -> int:
        link = self.links_by_external(kind, [external_id]).get(external_id)
        if link is None:
            raise missing(kind, external_id)
        return link.record_id

    def external_id(self, kind: Kind, record_id: int) -> str:
        link = self.links_by_record(kind, [record_id]).get(record_id)
        if link is None:
            raise missing(kind, f"#{record_id}")
        return link.external_id

    # --- what the engine asks ----------------------------------------------------------------------------------------------

    def bookmark(self, stream: str) -> Bookmark | None:
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
        return {row[1]: Link(row[0], row[1], bytes(row[2]), bytes(row[3]), row[4]) for row in rows}

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
        return {row[0]: Link(row[0], row[1], bytes(row[2]), bytes(row[3]), row[4]) for row in rows}

    def resolve(self, kind: Kind, records: Sequence[Any]) -> Sequence[BadRecord | None]:
        self._page = {}
        if kind in (Kind.PRODUCT, Kind.VARIANT):
            return goods.obstacles(records)
        if kind in SMALL_KINDS:
            return [goods.small_obstacle(record) for record in records]
        if kind not in OFFER_KINDS:
            return [None] * len(records)
        products = self.links_by_external(Kind.PRODUCT, list({r.product for r in records}))
        offers = {} if kind is Kind.OFFER else self.links_by_external(Kind.OFFER, [r.key for r in records])
        self._page = {Kind.PRODUCT: dict(products), Kind.OFFER: dict(offers)}
        out: list[BadRecord | None] = []
        for record, own in zip(records, goods.obstacles(records), strict=True):
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

    def match(self, kind: Kind, records: Sequence[Any], rules: Receiving) -> Sequence[Match]:
        if kind in (Kind.PRICES, Kind.STOCK):
            offers = self._page[Kind.OFFER]
            return [Match(offers[r.key].record_id, "its offer") if r.key in offers else Match() for r in records]
        if kind is Kind.VARIANT:
            return self._match_variants(records)
        if kind is Kind.OFFER:
            return self._match_offers(records, rules)
        if kind in MATCH_COLUMNS:
            return self._match_by_rules(kind, records, rules.match.get(kind, ()))
        return [Match()] * len(records)

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
            names = ", ".join(f'"{a}"' for a in attributes)
            with db.cursor() as cursor:
                cursor.execute(f"SELECT id, {names} FROM {OWN_TABLE[kind]}")
                while rows := cursor.fetchmany(5000):
                    for ident, *values in rows:
                        for attribute, value in zip(attributes, values, strict=True):
                            normal = matching.normalise(attribute, value)
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
            traits = bulk.to_json(sorted(list(c) for c in record.characteristics or ()))
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

    def sending(self, keys: Sequence[str]) -> set[str]:
        known = set(models.Intent.objects.filter(connection=self.connection, key__in=keys).values_list("key", flat=True))
        models.Intent.objects.bulk_create(
            [models.Intent(connection=self.connection, key=k) for k in keys if k not in known], ignore_conflicts=True
        )
        return known

    # --- settling ----------------------------------------------------------------------------------------------------------

    def preview(self, settlement: Settlement) -> Counter[str]:
        counts = Counter(settlement.counts)
        if settlement.kind in (Kind.PRODUCT, *OFFER_KINDS) and settlement.said:
            with db.cursor() as cursor:
                plan, _books = self._plan_goods(cursor, settlement, create_references=False)
            counts += plan.counts
            for change in plan.changed[: max(0, self.DIFFERENCES_KEPT - len(self.differences))]:
                self.differences.append({"kind": str(plan.kind), "id": change.id, "differences": change.differences})
            for made in plan.created[: max(0, self.DIFFERENCES_KEPT - len(self.differences))]:
                self.differences.append({"kind": str(plan.kind), "key": made.said.record.key, "new": plain(made.said.record)})
        else:
            counts[CREATED] += sum(1 for s in settlement.said if s.record_id is None)
            counts["looked_at"] += sum(1 for s in settlement.said if s.record_id is not None)
        self.total += counts
        return counts

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
        for kept in (self._references, self._groups, self._cards):
            kept.clear()
        self._own = self._carried = self._parked = None

    def _settle(self, settlement: Settlement) -> Counter[str]:
        now = timezone.now()
        with transaction.atomic():
            if self.lease is not None:
                # The fencing statement comes first: a worker that was frozen and lost its lease stops here, before any write.
                self.lease.renew(settlement.percent, dict(self.total))
            counts = Counter(settlement.counts)
            with db.cursor() as cursor:
                if settlement.said:
                    counts += self._settle_said(cursor, settlement, now)
                if settlement.sweep is not None:
                    self._note_sweep(cursor, settlement, now)
                if settlement.links:
                    self._write_links(cursor, settlement.kind, settlement.links)
                if settlement.parked or self._anything_parked():
                    self._settle_parked(cursor, settlement, now)
            if settlement.bookmark is not None:
                models.Bookmark.objects.update_or_create(
                    connection=self.connection, stream=settlement.stream, defaults={"value": settlement.bookmark, "changed": now}
                )
        if self._again:
            back = min(self._again, counts[UNCHANGED])
            counts[UNCHANGED] -= back
            self._again -= back
        self._written += Counter({name: counts[name] for name in WRITTEN})
        self.total += counts
        if db.vendor == "sqlite":
            time.sleep(YIELD)
        return counts

    def start_again(self) -> None:
        self.total, self._again = Counter(self._written), sum(self._written.values())
        self.differences.clear()

    def _settle_said(self, cursor: CursorWrapper, settlement: Settlement, now: datetime) -> Counter[str]:
        kind = settlement.kind
        if kind is Kind.PRODUCT or kind in OFFER_KINDS:
            return self._settle_goods(cursor, settlement, now)
        if kind is Kind.VARIANT:
            return self._settle_variants(cursor, settlement, now)
        if kind is Kind.ORDER:
            return self._settle_orders(settlement, now)
        if kind is Kind.COUNTERPARTY:
            return self._settle_counterparties(settlement, now)
        return self._settle_small(cursor, settlement, now)

    # goods

    def _plan_goods(
        self, cursor: CursorWrapper, settlement: Settlement, *, create_references: bool = True
    ) -> tuple[goods.Plan, Books]:
        if settlement.kind is Kind.PRODUCT:
            groups = self.group_ids({s.record.groups[0] for s in settlement.said if s.record.groups})
            return goods.compare_products(cursor, settlement.said, settlement.rules, groups), Books({}, {}, {}, {})
        books = self._books(settlement.said, create=create_references, whole=settlement.whole)
        return goods.compare_offers(cursor, settlement.said, settlement.rules, books, whole=settlement.whole), books

    def _books(self, said: Sequence[Said], *, create: bool, whole: bool) -> Books:
        kinds = {p.kind for s in said for p in s.record.prices or ()}
        houses = {x.warehouse for s in said for x in s.record.stock or ()}
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
        self._remember_cards(kind, settlement.rules, made)
        self._insert_links(cursor, flavour, [*made, *plan.linked])
        if flavour is not kind and made:  # an offer made by a file of prices has a card of its own as well
            self._insert_links(cursor, kind, made, seen=False)
        self._renew_seen(cursor, flavour, [s for _id, s in plan.seen])
        if flavour in OFFER_KINDS:
            self._forget_other_flavours(cursor, flavour, settlement.said)
        return plan.counts

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
        groups = self.group_ids({p.groups[0] for p in products if p.groups})
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
        model: Any
        if isinstance(record, Reference):
            ident = self.reference_id(record.subject, record.key, record.name)
            row = models.Reference.objects.get(pk=ident)
            values = {"name": record.name, "attributes": dict(record.attributes)}
            if record.deleted is not None:
                values["deleted"] = record.deleted
            made = s.link is None and row.version == 1 and not row.attributes.get("undeclared")
            differences = _write_differences(row, values)
            return row, made, differences
        if isinstance(record, Group):
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
        values |= {name: value for name, value in optional.items() if value is not None}
        row, made = model.objects.get_or_create(source=self.connection, key=record.key, defaults=values)
        return row, made, {} if made else _write_differences(row, values)

    def _settle_counterparties(self, settlement: Settlement, now: datetime) -> Counter[str]:
        from obmen.store.orders import save_counterparty

        counts: Counter[str] = Counter()
        for s in settlement.said:
            if s.record_id is not None and s.link is None:
                counts[MATCHED] += 1
                ident = s.record_id
            else:
                before = (
                    None
                    if s.link is None
                    else models.Counterparty.objects.filter(pk=s.link.record_id).values_list("version").first()
                )
                row = save_counterparty(s.record, self.connection, now)
                if row is None:
                    continue
                ident = row.pk
                counts[CREATED if before is None else UPDATED if before[0] != row.version else UNCHANGED] += 1
            models.Link.objects.update_or_create(
                connection=self.connection,
                kind=Kind.COUNTERPARTY,
                external_id=s.item.external_id,
                defaults={"record_id": ident, "seen": s.item.digest, "gone": False},
            )
        return counts

    def _settle_orders(self, settlement: Settlement, now: datetime) -> Counter[str]:
        counts: Counter[str] = Counter()
        for s in settlement.said:
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
        return counts

    def finish(self) -> None:
        """After the last page: what could be resolved only once everything is there (groups may come behind their goods)."""
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

    def _write_links(self, cursor: CursorWrapper, kind: Kind, links: Sequence[Link]) -> None:
        rows = [(self.connection.pk, str(kind), k.external_id, k.record_id, k.seen, k.sent, k.sent_version, False) for k in links]
        bulk.insert(
            cursor,
            "store_link",
            ("connection_id", "kind", "external_id", "record_id", "seen", "sent", "sent_version", "gone"),
            rows,
            conflict="(connection_id, kind, record_id) DO UPDATE SET external_id = excluded.external_id, seen = excluded.seen,"
            " sent = excluded.sent, sent_version = excluded.sent_version",
        )
        bulk.delete(
            cursor,
            "store_outbox",
            ("connection_id", "kind", "record_id", "revision"),
            [(self.connection.pk, str(kind), k.record_id, k.sent_version) for k in links],
        )

    def _anything_parked(self) -> bool:
        if self._parked is None:
            self._parked = models.Parked.objects.filter(connection=self.connection, direction="in").exists()
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
            facts = bulk.to_json(
                {k: v if isinstance(v, str | int | float | list | bool) else str(v) for k, v in p.error.facts.items()}
            )
            head = (self.connection.pk, direction, str(settlement.kind), p.external_id[:300], raw, p.where[:300])
            rows.append((*head, p.error.text, facts, kind, ident[:300], 1, stamp(now), stamp(now)))
        if rows:
            self._parked = True
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
