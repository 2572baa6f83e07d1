"""Flat cards of goods of a marketplace (records.Offer with ``card``): which offer of the books each of them is, and what becomes
of it. They are linked; what the books say of a card that is there stays as it is, only one that has to be made is filled in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import connection as db
from django.db.backends.utils import CursorWrapper

from obmen.core import matching
from obmen.core.contract import BadRecord, Listings, Receiving
from obmen.core.engine import CREATED, MATCHED, UNCHANGED, Said, Settlement
from obmen.core.matching import Match
from obmen.core.records import Kind, Offer
from obmen.core.rows import obstacle
from obmen.core.words import gettext_noop as _
from obmen.store import bulk, goods, models, taking

if TYPE_CHECKING:
    from obmen.store.adapter import DjangoStore

NO_OFFER = _(
    "No goods of the books fit the card “{name}” ({id}): give them its id, code, article or barcode, or let new ones be made, then "
    "try again"
)
SENT_KINDS = (Kind.VARIANT, Kind.PRICES, Kind.STOCK)  # of whose cards is noted what was sent
OWN, SITE = "our id", "site id"
Pair = tuple[str, str]  # (attribute, normalised value)

ROWS = (
    "SELECT o.id, o.key, o.article, o.barcode, o.name, p.article, p.code, p.barcode, p.name{more} FROM store_offer o"
    " JOIN store_product p ON p.id = o.product_id WHERE NOT o.deleted AND NOT p.deleted"
)
MORE = ", o.properties, o.requisites, p.properties, p.requisites"


class Finder:
    """Finds offers for cards by their values, those of all offers read once in a run: some 200 bytes for each of them.

    What a product says is said of its offer without characteristic where there is one, else of all of its offers.
    """

    def __init__(self, listings: Listings, attributes: Sequence[str]) -> None:
        self.listings, self.attributes = listings, [a for a in attributes if a in ("article", "barcode", "code", "name")]
        self._own: dict[Pair, list[int]] = {}
        self._shared: dict[Pair, tuple[list[int], list[int]]] = {}  # without characteristic, with one
        self._read()

    def asked(self, record: Offer) -> list[Pair]:
        """What a card is looked for by, by priority."""
        first = [(SITE, record.key.strip())] if self.listings.property else []
        own = record.known_as.strip()
        return [*first, *([(OWN, own)] if own else []), *matching.wanted(record.card, self.attributes)]

    def find(self, asked: Sequence[Pair]) -> Match:
        found = {pair: self._offers(pair) for pair in asked}
        match = matching.choose(asked, found)
        if not match.candidates:
            return match
        attribute, value = next(pair for pair in asked if found[pair])
        label = {SITE: self.listings.property, OWN: self.listings.known_by}.get(attribute, attribute)
        return replace(match, why=f"{label} = {value}")

    def add(self, offer: int, record: Offer) -> None:
        """A card that was made of a stranger is no stranger to the next one with its values."""
        for pair in self.asked(record):
            self._own.setdefault(pair, []).append(offer)

    def _offers(self, pair: Pair) -> list[int]:
        plain, variants = self._shared.get(pair, ((), ()))
        return list(dict.fromkeys([*self._own.get(pair, ()), *plain])) or list(variants)

    def _read(self) -> None:
        words = self._property_words() if self.listings.property else {}
        with db.cursor() as cursor:
            cursor.execute(ROWS.replace("{more}", MORE if self.listings.property else ""))
            while rows := cursor.fetchmany(5000):
                for row in rows:
                    self._take(row, words)

    def _take(self, row: Sequence[Any], words: Mapping[str, Mapping[str, str]]) -> None:
        ident, key, own_article, own_barcode, own_name, article, code, barcode, name, *more = row
        variant = "#" in key
        own = {"article": own_article, "barcode": own_barcode, "name": own_name if own_name != name else ""}
        shared = {"article": article, "code": code, "barcode": barcode, "name": name}
        known = self.listings.known_by
        mine = matching.own_id(known, key, "", own_article)
        theirs = matching.own_id(known, "", code, article)
        pairs = [(OWN, mine)] if mine else []
        pairs += [(a, v) for a in self.attributes if (v := matching.normalise(a, own.get(a)))]
        common = [(OWN, theirs)] if theirs else []
        common += [(a, v) for a in self.attributes if (v := matching.normalise(a, shared[a]))]
        if more:
            pairs += [(SITE, value) for value in self._site_ids(more[0], more[1], words)]
            common += [(SITE, value) for value in self._site_ids(more[2], more[3], words)]
        for pair in pairs:
            self._own.setdefault(pair, []).append(ident)
        for pair in common:
            self._shared.setdefault(pair, ([], []))[variant].append(ident)

    def _property_words(self) -> dict[str, Mapping[str, str]]:
        """The properties that are meant: {key: {id of a value: its text}}."""
        name = self.listings.property.strip()
        rows = models.Property.objects.filter(key=name) | models.Property.objects.filter(name=name)
        found = {row.key: {str(k): str(v) for k, v in row.values} for row in rows}
        return found or {name: {}}

    def _site_ids(self, properties: Any, requisites: Any, words: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
        for key, values in bulk.from_json(properties) or ():
            if key in words:
                yield from (text for value in values if (text := words[key].get(str(value), str(value)).strip()))
        name = self.listings.property.strip()
        yield from (str(v).strip() for n, v in bulk.from_json(requisites) or () if n == name and str(v).strip())


def are_flat(kind: Kind, records: Sequence[Any]) -> bool:
    return kind is Kind.OFFER and any(isinstance(r, Offer) and r.card is not None for r in records)


def obstacles(records: Sequence[Offer]) -> list[BadRecord | None]:
    """They need no product: it is found with the offer, or made."""
    return [obstacle(r) or (obstacle(r.card) if r.card is not None else None) for r in records]


def match(store: DjangoStore, finder: Finder, records: Sequence[Offer]) -> list[Match]:
    """One for each; ``refused`` and ``left_out`` say what becomes of a stranger for which nothing is found."""
    out: list[Match] = []
    page: dict[Pair, str] = {}  # what strangers of this page have claimed
    for record in records:
        asked = finder.asked(record)
        found = finder.find(asked)
        if not found.candidates:
            found = _stranger(finder.listings, record, asked, page)
        out.append(found)
    linked = store.links_by_record(Kind.OFFER, [m.record_id for m in out if m.record_id is not None])
    gone = _gone(store.connection, [link.external_id for link in linked.values()])
    taken = {pk: link.external_id for pk, link in linked.items() if link.external_id not in gone}
    return [replace(m, taken_by=taken[m.record_id]) if m.record_id in taken else m for m in out]  # type: ignore[index]


def _stranger(listings: Listings, record: Offer, asked: Sequence[Pair], page: dict[Pair, str]) -> Match:
    if record.deleted or listings.unknown == "leave":
        return Match(left_out=True)
    if listings.unknown == "park":
        return Match(refused=BadRecord(NO_OFFER, name=record.name or record.key, id=record.key))
    pairs = [pair for pair in asked if pair[0] != SITE]
    twin = next((pair for pair in pairs if pair in page), None)
    if twin:
        return Match(None, f"{twin[0]} = {twin[1]}", (), page[twin])
    page.update((pair, record.key) for pair in pairs)
    return Match()


def _gone(connection: models.Connection, ids: Sequence[str]) -> frozenset[str]:
    """Cards that are gone over there give their goods free for another card."""
    rows = models.Link.objects.filter(connection=connection, kind=Kind.OFFER, gone=True, external_id__in=ids)
    return frozenset(rows.values_list("external_id", flat=True)) if ids else frozenset()


def settle(
    store: DjangoStore, cursor: CursorWrapper, settlement: Settlement, now: datetime, at: str
) -> tuple[Counter[str], list[tuple[int, Offer]]]:
    """Inside the page's transaction. Returns counts, and the offers that were made with the records that they were made of."""
    fresh = [s for s in settlement.said if s.record_id is None]
    made = _make(store, cursor, fresh, settlement.rules, at)
    rows: list[tuple[int, Said]] = [(made[s.item.external_id], s) for s in fresh]
    rows += [(s.record_id, s) for s in settlement.said if s.record_id is not None]
    columns = ("connection_id", "kind", "external_id", "record_id", "seen", "sent", "sent_version", "gone")
    bulk.insert(
        cursor,
        "store_link",
        columns,
        [
            (store.connection.pk, str(Kind.OFFER), s.item.external_id, i, s.item.digest, b"", 0, bool(s.record.deleted))
            for i, s in rows
        ],
        conflict="(connection_id, kind, record_id) DO UPDATE SET external_id = excluded.external_id, seen = excluded.seen,"
        " gone = excluded.gone",
    )
    _forget_sent(store.connection, [s.item.external_id for s in settlement.said if s.record.deleted])
    taking.keep_copies(store.connection, Kind.OFFER, {i: s.record for i, s in rows if not s.record.deleted})
    who = store.connection.name
    models.JournalEntry.objects.bulk_create(
        models.JournalEntry(
            at=now,
            connection=store.connection,
            action="card.linked",
            who=who,
            record_kind=str(Kind.OFFER),
            record_id=i,
            facts={"external_id": s.item.external_id, "why": s.why},
        )
        for i, s in rows
        if s.link is None and s.record_id is not None
    )
    return count(settlement), [(made[s.item.external_id], s.record) for s in fresh]


def count(settlement: Settlement) -> Counter[str]:
    """A card that was met before changes nothing of ours."""
    said = settlement.said
    return Counter(CREATED if s.record_id is None else MATCHED if s.link is None else UNCHANGED for s in said)


def _make(store: DjangoStore, cursor: CursorWrapper, fresh: Sequence[Said], rules: Receiving, at: str) -> dict[str, int]:
    """A product and its offer for each; {their id: id of the offer}. An id that other goods have is told apart by the
    connection's name."""
    if not fresh:
        return {}
    wanted = [s.record.key for s in fresh]
    taken = set(models.Product.objects.filter(key__in=wanted).values_list("key", flat=True))
    taken |= set(models.Offer.objects.filter(key__in=wanted).values_list("key", flat=True))
    keys = {key: f"{key}@{store.connection.slug}" if key in taken else key for key in wanted}
    run_id = store.run.pk if store.run else None
    products = [replace(s, record=replace(s.record.card, key=keys[s.record.key])) for s in fresh]
    groups = store.group_ids({goods.main_group(s.record) for s in products} - {""})
    plan = goods.compare_products(cursor, products, rules, groups)
    goods.write(cursor, plan, run_id, at)
    ids = {made.said.record.key: made.id for made in plan.created}
    offers = [
        replace(
            s,
            record=Offer(
                keys[s.record.key], keys[s.record.key], name=s.record.name, article=s.record.article, barcode=s.record.barcode
            ),
        )
        for s in fresh
    ]
    books = goods.Books(ids, {}, {}, {})
    plan = goods.compare_offers(cursor, offers, rules, books, whole=False)
    goods.write(cursor, plan, run_id, at, books)
    return {made.said.item.external_id: made.id for made in plan.created}


def _forget_sent(connection: models.Connection, external_ids: Sequence[str]) -> None:
    """What was told of a card that is gone is told anew should it come back: nobody knows what it says then."""
    if external_ids:
        models.Link.objects.filter(connection=connection, kind__in=SENT_KINDS, external_id__in=external_ids).delete()
