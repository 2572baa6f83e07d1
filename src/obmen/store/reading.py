"""The books as a connector reads them (core/contract.py: Books). Streams; nothing here writes."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from django.core.files.storage import default_storage
from django.db import connection as db
from django.db.models import QuerySet

from obmen.core.contract import Choice, Found
from obmen.core.records import Good, Group, Kind, Offer, Price, Product, Property, Reference, Stock, Subject
from obmen.store import bulk, models, reservations
from obmen.store.reservations import Reserved

PAGE = 500  # goods read in one step
ASKED = 500  # values looked up in one step


class Books:
    def offers_by(self, attribute: str, values: Sequence[str]) -> Mapping[str, Sequence[Found]]:
        wanted = list(dict.fromkeys(v for v in values if v))
        found: dict[str, list[Found]] = {}
        for at in range(0, len(wanted), ASKED):
            for value, offer in self._offers(attribute, wanted[at : at + ASKED]):
                found.setdefault(value, []).append(offer)
        if attribute in ("code", "article"):
            return {value: _plain_first(offers) for value, offers in found.items()}
        return found

    def _offers(self, attribute: str, values: Sequence[str]) -> Iterator[tuple[str, Found]]:
        alive = models.Offer.objects.filter(deleted=False, product__deleted=False)
        columns = (
            "pk",
            "key",
            "product__key",
            "name",
            "product__name",
            "article",
            "product__article",
            "product__code",
            "barcode",
            "product__barcode",
        )
        if attribute == "key":
            rows = alive.filter(key__in=values)
        elif attribute == "code":
            rows = alive.filter(product__code__in=values)
        elif attribute == "article":
            rows = alive.filter(product__article__in=values) | alive.filter(article__in=values)
        elif attribute == "barcode":
            rows = alive.filter(barcode__in=values) | alive.filter(product__barcode__in=values)
        else:
            raise ValueError(attribute)
        asked = set(values)
        for row in rows.order_by("pk").values_list(*columns):
            pk, key, product, name, product_name, article, product_article, code, barcode, product_barcode = row
            said = {
                "key": (key,),
                "code": (code,),
                "article": (article, product_article),
                "barcode": (barcode, product_barcode),
            }[attribute]
            offer = Found(key, product, name or product_name, article or product_article, pk, code)
            for value in dict.fromkeys(v for v in said if v in asked):
                yield value, offer
        if attribute == "key":  # a product whose offers have not come stands for itself
            bare = models.Product.objects.filter(deleted=False, key__in=values, offers=None)
            for key, name, article in bare.values_list("key", "name", "article"):
                yield key, Found(key, key, name, article)

    def references(self, subject: Subject) -> Sequence[Reference]:
        return [
            Reference(Subject(row.subject), row.key, row.name, tuple((str(k), str(v)) for k, v in row.attributes.items()))
            for row in models.Reference.objects.filter(subject=subject, deleted=False)
        ]

    def groups(self, chosen: Sequence[str] = ()) -> Sequence[Group]:
        rows = {
            pk: (key, name, parent, description)
            for pk, key, name, parent, description in models.Group.objects.filter(deleted=False)
            .order_by("name", "pk")
            .values_list("pk", "key", "name", "parent_id", "description")
        }
        children: dict[int | None, list[int]] = {}
        for pk, (_key, _name, parent, _description) in rows.items():
            children.setdefault(parent if parent in rows else None, []).append(pk)
        if chosen:
            wanted = set(chosen)
            tops = [pk for pk, row in rows.items() if row[0] in wanted and not self._below(pk, rows, wanted)]
        else:
            tops = children.get(None, [])
        out: list[Group] = []
        waiting = [(pk, None) for pk in reversed(tops)]
        while waiting:
            pk, parent_key = waiting.pop()
            key, name, _parent, description = rows[pk]
            out.append(Group(key, name, parent_key, description))
            waiting += [(child, key) for child in reversed(children.get(pk, []))]
        return out

    @staticmethod
    def _below(pk: int, rows: Mapping[int, tuple[str, str, int | None, str]], wanted: set[str]) -> bool:
        """Whether a group above this one is chosen, too: then it comes with that one, once."""
        seen = {pk}
        parent = rows[pk][2]
        while parent in rows and parent not in seen:
            seen.add(parent)
            if rows[parent][0] in wanted:
                return True
            parent = rows[parent][2]
        return False

    def count(self, choice: Choice) -> int:
        """How many goods ``goods`` gives."""
        if choice.products:
            products = models.Product.objects.filter(deleted=False)
            products = products if choice.only is None else products.filter(pk__in=choice.only)
            return (products.filter(group__in=self._groups(choice)) if choice.groups else products).count()
        rows = models.Offer.objects.filter(deleted=False, product__deleted=False)
        if choice.groups:
            rows = rows.filter(product__group__in=self._groups(choice))
        return (rows if choice.only is None else rows.filter(product__in=choice.only)).count()

    def _groups(self, choice: Choice) -> Collection[int]:
        keys = [group.key for group in self.groups(choice.groups)]
        return frozenset(models.Group.objects.filter(key__in=keys).values_list("pk", flat=True))

    def cuts(self, choice: Choice, pages: int) -> Iterator[int]:
        """Ids between ranges of which each is read in so many steps, the last one in no more."""
        table, last = ("store_product" if choice.products else "store_offer"), 0
        sql = f"SELECT id FROM {table} WHERE NOT deleted AND id > %s ORDER BY id LIMIT 1 OFFSET {pages * PAGE - 1}"  # noqa: S608
        while True:
            with db.cursor() as cursor:
                cursor.execute(sql, [last])
                row = cursor.fetchone()
            if row is None:
                return
            last = row[0]
            yield last

    def goods(self, choice: Choice, after: int = 0, until: int | None = None) -> Iterator[Good]:
        """``after``, ``until``: only records with ids above the one and up to the other."""
        kinds = _references(Subject.PRICE_KIND, choice.price_kinds)
        houses = _references(Subject.WAREHOUSE, choice.warehouses)
        groups = self._groups(choice) if choice.groups else None
        read = _cards if choice.cards else _labels
        reserved = Reserved() if choice.reserved else None
        last = after
        while until is None or last < until:
            if choice.products:
                page, last = _products(last, groups, kinds, houses, choice.only, reserved)
            else:
                page, last = read(last, groups, choice.only)
                page = _with_figures(page, kinds, houses, reserved)
            if not last:
                return
            if until is not None and last > until:  # of the page that goes over the end
                page = [good for good in page if good.record_id <= until]
            yield from _with_pictures(page) if choice.pictures else page

    def properties(self) -> Sequence[Property]:
        rows = models.Property.objects.filter(deleted=False).order_by("pk")
        found = {
            row.key: Property(
                row.key,
                row.name,
                row.kind,
                tuple((str(k), str(v)) for k, v in row.values),
                row.required,
                row.multiple,
                row.applies_to,
            )
            for row in rows
        }
        return list(found.values())

    def picture(self, path: str, folder: Path) -> Path | None:
        row = models.Picture.objects.filter(path=path).order_by("-changed", "-pk").first()
        if row is None or not default_storage.exists(row.file):
            return None
        try:
            return Path(default_storage.path(row.file))
        except NotImplementedError:  # a storage that is no folder
            copy = folder / f"{row.sha256}{Path(row.path).suffix.lower()}"
            with default_storage.open(row.file) as stored, copy.open("wb") as file:
                shutil.copyfileobj(stored, file)
            return copy

    def gone(self, choice: Choice, kind: Kind, connection: models.Connection) -> Iterator[tuple[bytes, Good]]:
        """What the connection has been told of and is gone now: (digest of what was sent last, good with nothing but its names)."""
        groups = list(self._groups(choice)) if choice.groups else None
        last = 0
        while True:
            rows = _gone(connection, kind, choice.products, groups, last)
            yield from (good for _pk, good in rows)
            if not rows:
                return
            last = rows[-1][0]


def told(connection: models.Connection, kind: Kind) -> int:
    """Of how many records of the kind the connection knows from us."""
    return models.Link.objects.filter(connection=connection, kind=kind).exclude(sent=b"").count()


GONE_PRODUCTS = (
    "SELECT l.id, l.sent, l.record_id, l.sent_version, p.key, p.name, p.article, p.key, '', '' FROM store_link l"
    " JOIN store_product p ON p.id = l.record_id"
    " WHERE l.connection_id = %s AND l.kind = %s AND l.id > %s AND length(l.sent) > 0 AND (p.deleted{outside}) ORDER BY l.id LIMIT 500"
)
GONE_OFFERS = (
    "SELECT l.id, l.sent, l.record_id, l.sent_version, p.key, p.name, p.article, o.key, o.name, o.article FROM store_link l"
    " JOIN store_offer o ON o.id = l.record_id JOIN store_product p ON p.id = o.product_id"
    " WHERE l.connection_id = %s AND l.kind = %s AND l.id > %s AND length(l.sent) > 0 AND (o.deleted OR p.deleted{outside})"
    " ORDER BY l.id LIMIT 500"
)


def _gone(
    connection: models.Connection, kind: Kind, products: bool, groups: Sequence[int] | None, after: int
) -> list[tuple[int, tuple[bytes, Good]]]:
    sql = GONE_PRODUCTS if products else GONE_OFFERS
    before = connection.pk, str(kind), after
    with db.cursor() as cursor:
        if groups is None:
            cursor.execute(sql.replace("{outside}", ""), before)
            rows = cursor.fetchall()
        else:
            outside = " OR p.group_id IS NULL OR NOT (p.group_id {in})"
            rows = bulk.select_in(cursor, sql.replace("{outside}", outside), groups or [0], *before)
    found = []
    for link, sent, record, version, product, name, article, key, own_name, own_article in rows:
        card = Product(product, name=name, article=article, deleted=True)
        offer = Offer(key, product, name=own_name or name, article=own_article or article, deleted=True)
        found.append((link, (bytes(sent), Good(record, card, offer, version))))
    return found


class Drawn(NamedTuple):
    """A good without its figures. ``said``: the fields of core.records.Offer from ``name`` on, as many as were read."""

    record_id: int
    version: int
    product: Product
    key: str
    said: tuple[Any, ...]


def _with_figures(
    page: Sequence[Drawn], kinds: Mapping[int, str], houses: Mapping[int, str], reserved: Reserved | None
) -> list[Good]:
    ids = [drawn.record_id for drawn in page]
    sold = _reserved({drawn.record_id: drawn.key for drawn in page}, reserved)  # before the stock: see Reserved
    prices, stock = _prices(ids, kinds), _stock(ids, houses)
    unsaid = _without_stock([pk for pk in ids if pk not in stock]) if reserved is not None and houses else frozenset[int]()
    goods = []
    for pk, version, product, key, said in page:
        offer = Offer(key, product.key, *said, prices=prices.get(pk, ()), stock=stock.get(pk, ()))
        good = Good(pk, product, offer, version)
        if pk in sold:
            good = replace(good, **_said_of({key: sold[pk]}, version))
        elif pk in unsaid:
            good = replace(good, stock_known=False)
        goods.append(good)
    return goods


def _reserved(offers: Mapping[int, str], reserved: Reserved | None) -> dict[int, Decimal]:
    """Of these offers (row: key), those with nothing left out."""
    if not reserved:
        return {}
    said = reserved.said(offers)
    found = {pk: reserved.of(key, said.get(pk)) for pk, key in offers.items()}
    return {pk: pieces for pk, pieces in found.items() if pieces}


def _said_of(sold: Mapping[str, Decimal], version: int) -> dict[str, Any]:
    """What a good says of what is reserved of its offers, by their keys."""
    total = sum(sold.values(), Decimal(0))
    return {
        "version": reservations.version_with(version, total),
        "reserved": total,
        "reserved_of": tuple(sorted(sold.items())),
    }


def _with_pictures(page: Sequence[Good]) -> Iterator[Good]:
    listed = [[*(good.product.pictures or ()), *(good.offer.pictures or ())] for good in page]
    paths = list({path for paths in listed for path in paths})
    rows = models.Picture.objects.filter(path__in=paths).order_by("changed", "pk") if paths else []
    kept = {row.path: row.sha256 for row in rows}
    for good, paths in zip(page, listed, strict=True):
        pictures = tuple((path, kept[path]) for path in dict.fromkeys(paths) if path in kept)
        yield replace(good, pictures=pictures) if pictures else good


def _products(
    after: int,
    groups: Collection[int] | None,
    kinds: Mapping[int, str],
    houses: Mapping[int, str],
    only: Collection[int] | None,
    reserved: Reserved | None,
) -> tuple[list[Good], int]:
    """The products after that one with all their offers, and the last product looked at."""
    rows = _next_products(after, only)
    wanted = {pk: card for pk, card in rows.items() if groups is None or card.group in groups}
    offers: dict[int, list[tuple[int, int, Offer]]] = {}
    said: dict[int, datetime] = {}
    for row in _offers_of(list(wanted)):
        offer = Offer(row.key, wanted[row.product].product.key, *row.said)
        offers.setdefault(row.product, []).append((row.pk, row.version, offer))
        if row.stock_said:
            said[row.pk] = row.stock_said
    ids = [pk for listed in offers.values() for pk, _version, _offer in listed]
    prices, stock = _prices(ids, kinds), _stock(ids, houses)
    goods = []
    for key, card in wanted.items():
        listed, product = offers.get(key, ()), card.product
        own = [replace(offer, prices=prices.get(pk, ()), stock=stock.get(pk, ())) for pk, _version, offer in listed]
        plain = next((offer for offer in own if "#" not in offer.key), Offer(product.key, product.key, prices=(), stock=()))
        version = card.version + sum(version for _pk, version, _offer in listed)
        good = Good(key, product, plain, version, tuple(offer for offer in own if "#" in offer.key))
        its = _sold_of(product.key, [(pk, offer.key) for pk, _version, offer in listed], said, reserved)
        goods.append(replace(good, **_said_of(its, version)) if its else good)
    return goods, max(rows, default=0)


def _sold_of(
    product: str, offers: Sequence[tuple[int, str]], said: Mapping[int, datetime], reserved: Reserved | None
) -> dict[str, Decimal]:
    """What is reserved of a product's offers (row, key). A channel that has it without its variants sells the product itself: then any
    of them tells by its stock that it is known."""
    if not reserved:
        return {}
    found = {key: reserved.of(key, said.get(pk)) for pk, key in offers}
    if product not in found:
        found[product] = reserved.of(product, max((said[pk] for pk, _key in offers if pk in said), default=None))
    return {key: pieces for key, pieces in found.items() if pieces}


# Both readers take the next offers first and look at their products then: asked for both at once PostgreSQL sorts the whole join
# for every page (measured: 130 ms more for each).


def _cards(after: int, groups: Collection[int] | None, only: Collection[int] | None) -> tuple[list[Drawn], int]:
    """The goods among the next offers, and the last of those offers; 0 when there are no more."""
    rows = _next_offers(after, only)
    cards = _products_by_id(list({row.product for row in rows}))
    drawn = [
        Drawn(row.pk, row.version + card.version, card.product, row.key, row.said)
        for row in rows
        if (card := cards.get(row.product)) and (groups is None or card.group in groups)
    ]
    return drawn, rows[-1].pk if rows else 0


LABELS = (
    "SELECT o.id, o.key, o.name, o.article, o.barcode, o.version, p.key, p.name, p.article, p.code, p.barcode, p.kind, p.version,"
    " CASE WHEN p.kind = '' THEN p.requisites END, p.deleted, p.group_id FROM"
    " (SELECT * FROM store_offer WHERE id > %s AND NOT deleted{picked} ORDER BY id LIMIT {page}) o"
    " JOIN store_product p ON p.id = o.product_id ORDER BY o.id"
)


def _labels(after: int, groups: Collection[int] | None, only: Collection[int] | None) -> tuple[list[Drawn], int]:
    """As ``_cards`` with the names alone: who compares the stock of a hundred thousand goods has no use for their descriptions."""
    with db.cursor() as cursor:
        if only is None:
            cursor.execute(LABELS.replace("{picked}", "").replace("{page}", str(PAGE)), [after])
            rows = cursor.fetchall()
        else:
            sql = LABELS.replace("{picked}", " AND product_id {in}").replace("{page}", str(PAGE))
            rows = bulk.select_in(cursor, sql, sorted(only), after)
    drawn = [
        Drawn(
            pk,
            version + product_version,
            Product(
                product_key,
                name=product_name,
                article=product_article,
                code=code,
                barcode=product_barcode,
                kind=kind,
                requisites=_pairs(requisites) if requisites else (),
            ),
            key,
            (name, article, barcode),
        )
        for pk, key, name, article, barcode, version, product_key, product_name, product_article, code, product_barcode, kind,
            product_version, requisites, deleted, group in rows
        if not deleted and (groups is None or group in groups)
    ]  # fmt: skip
    return drawn, rows[-1][0] if rows else 0


def _plain_first(offers: Sequence[Found]) -> Sequence[Found]:
    """A code or article belongs to the product: its offer without characteristic is what is meant, when there is one."""
    plain = [offer for offer in offers if "#" not in offer.offer]
    return plain or offers


def _references(subject: Subject, keys: Sequence[str] | None) -> Mapping[int, str]:
    rows: QuerySet[models.Reference] = models.Reference.objects.filter(subject=subject)
    if keys is not None:
        rows = rows.filter(key__in=keys)
    return dict(rows.values_list("pk", "key"))


PRICES = "SELECT offer_id, kind_id, min_quantity, value, currency FROM store_price WHERE offer_id {in} AND kind_id IN ({chosen}) ORDER BY 1, 2, 3"
STOCK = "SELECT offer_id, warehouse_id, quantity FROM store_stocklevel WHERE offer_id {in} AND warehouse_id IN ({chosen}) ORDER BY 1, 2"


def _prices(ids: Sequence[int], kinds: Mapping[int, str]) -> Mapping[int, tuple[Price, ...]]:
    found: dict[int, tuple[Price, ...]] = {}
    if kinds:
        with db.cursor() as cursor:
            rows = bulk.select_in(cursor, PRICES.replace("{chosen}", _listed(kinds)), ids)
        for offer, kind, minimum, value, currency in rows:
            price = Price(kinds[kind], _figure(value, MONEY), currency, None, None, _figure(minimum, PIECES))
            found[offer] = (*found[offer], price) if offer in found else (price,)
    return found


def _stock(ids: Sequence[int], houses: Mapping[int, str]) -> Mapping[int, tuple[Stock, ...]]:
    found: dict[int, tuple[Stock, ...]] = {}
    if houses:
        with db.cursor() as cursor:
            rows = bulk.select_in(cursor, STOCK.replace("{chosen}", _listed(houses)), ids)
        for offer, house, quantity in rows:
            level = Stock(houses[house], _figure(quantity, PIECES))
            found[offer] = (*found[offer], level) if offer in found else (level,)
    return found


def _listed(chosen: Iterable[int]) -> str:
    return ", ".join(map(str, chosen))


MONEY, PIECES = Decimal("0.0001"), Decimal("0.000001")  # as the tables keep them: what was sent is compared as it was spelt


@lru_cache(10_000)
def _figure(raw: Any, places: Decimal) -> Decimal:
    """A decimal of a raw query: SQLite keeps it as a number."""
    return raw if isinstance(raw, Decimal) else Decimal(str(raw)).quantize(places)


def _without_stock(ids: Sequence[int]) -> frozenset[int]:
    """Of these offers, those of which there is no stock in any warehouse."""
    if not ids:
        return frozenset()
    return frozenset(ids) - set(models.StockLevel.objects.filter(offer__in=ids).values_list("offer_id", flat=True))


class Card(NamedTuple):
    product: Product
    group: int | None
    version: int


class OfferRow(NamedTuple):
    """``said``: the fields of core.records.Offer from ``name`` to ``requisites``."""

    pk: int
    product: int
    version: int
    stock_said: datetime | None
    key: str
    said: tuple[Any, ...]


# Raw rows, not models: a feed of a hundred thousand goods is made twice as fast. Columns stand as the records have their fields.

PRODUCTS = (
    "SELECT p.id, p.group_id, p.version, p.key, p.name, p.full_name, p.article, p.code, p.barcode, p.unit, p.unit_attributes, g.key,"
    " p.groups, p.category, p.description, p.kind, p.vat_rate, p.manufacturer, p.country, p.weight, p.properties, p.requisites, p.pictures"
    " FROM store_product p LEFT JOIN store_group g ON g.id = p.group_id WHERE NOT p.deleted"
)
OFFERS = (
    "SELECT id, product_id, version, stock_said, key, name, article, barcode, unit, characteristics, properties, pictures, requisites"
    " FROM store_offer WHERE NOT deleted"
)


def _next(sql: str, column: str, picked: str, after: int, only: Collection[int] | None) -> list[bulk.Row]:
    """The next rows of ``sql`` by ``column``, an id; ``only`` those whose ``picked`` is one of these."""
    with db.cursor() as cursor:
        page = f" AND {column} > %s{{}} ORDER BY {column} LIMIT {PAGE}"
        if only is not None:
            return bulk.select_in(cursor, sql + page.format(f" AND {picked} {{in}}"), sorted(only), after)
        cursor.execute(sql + page.format(""), [after])
        return cursor.fetchall()


def _next_products(after: int, only: Collection[int] | None) -> dict[int, Card]:
    return _cards_of(_next(PRODUCTS, "p.id", "p.id", after, only))


def _next_offers(after: int, only: Collection[int] | None) -> list[OfferRow]:
    return _offer_rows(_next(OFFERS, "id", "product_id", after, only))


def _products_by_id(ids: Sequence[int]) -> dict[int, Card]:
    with db.cursor() as cursor:
        return _cards_of(bulk.select_in(cursor, f"{PRODUCTS} AND p.id {{in}}", ids))


def _offers_of(products: Sequence[int]) -> list[OfferRow]:
    with db.cursor() as cursor:
        return _offer_rows(bulk.select_in(cursor, f"{OFFERS} AND product_id {{in}} ORDER BY id", products))


def _cards_of(rows: Iterable[bulk.Row]) -> dict[int, Card]:
    """By id, in the order of the rows."""
    found = {}
    for pk, group, version, key, name, full_name, article, code, barcode, unit, about_unit, group_key, groups, *rest in rows:
        category, description, kind, vat_rate, manufacturer, country, weight, properties, requisites, pictures = rest
        product = Product(
            key,
            name,
            full_name,
            article,
            code,
            barcode,
            unit,
            _pairs(about_unit),
            (group_key,) if group_key is not None else _list(groups)[:1],
            category,
            description,
            kind,
            vat_rate,
            manufacturer,
            country,
            None if weight is None else _figure(weight, PIECES),
            _lists(properties),
            _pairs(requisites),
            _list(pictures),
        )
        found[pk] = Card(product, group, version)
    return found


def _offer_rows(rows: Iterable[bulk.Row]) -> list[OfferRow]:
    return [
        OfferRow(
            pk,
            product,
            version,
            _moment(stock_said),
            key,
            (name, article, barcode, unit, _pairs(characteristics), _lists(properties), _list(pictures), _pairs(requisites)),
        )
        for pk, product, version, stock_said, key, name, article, barcode, unit, characteristics, properties, pictures, requisites
            in rows
    ]  # fmt: skip


def _moment(raw: datetime | None) -> datetime | None:
    """A time of a raw query: SQLite keeps it without its zone, which is UTC."""
    return raw.replace(tzinfo=UTC) if raw is not None and raw.tzinfo is None else raw


_LISTS = msgspec.json.Decoder(tuple[tuple[str, tuple[str, ...]], ...])
_LIST = msgspec.json.Decoder(tuple[str, ...])
_PAIRS = msgspec.json.Decoder(tuple[tuple[str, str], ...])


def _lists(raw: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return () if raw == "[]" else _LISTS.decode(raw)


def _list(raw: str) -> tuple[str, ...]:
    return () if raw == "[]" else _LIST.decode(raw)


def _pairs(raw: str) -> tuple[tuple[str, str], ...]:
    return () if raw == "[]" else _PAIRS.decode(raw)
