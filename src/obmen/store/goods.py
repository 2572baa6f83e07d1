"""Fold goods into the books, a page at a time: the hot path of a catalogue load.

Two steps, so that a preview is the same code without the second: ``compare`` reads and decides, ``write`` writes. Both work on
whole pages with raw SQL; the model classes stay the description of the tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db.backends.utils import CursorWrapper

from obmen.core import policy
from obmen.core.contract import BadRecord, Receiving
from obmen.core.engine import CREATED, MATCHED, UNCHANGED, UPDATED, Said
from obmen.core.records import Group, Kind, Offer, Price, Product, Property, Reference, Stock, decimal_text
from obmen.core.rows import JSON_COLUMNS, OFFER_COLUMNS, PRODUCT_COLUMNS, NewOffer, NewProduct, new_offer, new_product, too_long
from obmen.store import bulk

SMALL_LIMITS = {"key": 200, "parent": 200, "name": 500, "kind": 40, "applies_to": 40}
EMPTY_COLUMN = {"weight": None, "deleted": False} | dict.fromkeys(JSON_COLUMNS, "[]")

PRODUCT_TABLE, OFFER_TABLE, PRICE_TABLE, STOCK_TABLE = "store_product", "store_offer", "store_price", "store_stocklevel"
SOUGHT_TABLE, SOUGHT = "store_sought", ("id", "key", "barcode", "code", "name")  # of a product


def product_values(record: Product) -> dict[str, Any]:
    """What a product record says, by column; None = not said."""
    return {
        "key": record.key,
        "article": record.article,
        "code": record.code,
        "barcode": record.barcode,
        "name": record.name,
        "full_name": record.full_name,
        "unit": record.unit,
        "unit_attributes": _lists(record.unit_attributes),
        "groups": None if record.groups is None else list(record.groups),
        "category": record.category,
        "description": record.description,
        "kind": record.kind,
        "vat_rate": record.vat_rate,
        "manufacturer": record.manufacturer,
        "country": record.country,
        "weight": None if record.weight is None else decimal_text(record.weight),
        "properties": None if record.properties is None else [[k, list(v)] for k, v in record.properties],
        "requisites": _lists(record.requisites),
        "pictures": None if record.pictures is None else list(record.pictures),
        "deleted": record.deleted,
        "extra": record.extra or None,
    }


def offer_values(record: Offer) -> dict[str, Any]:
    return {
        "key": record.key,
        "article": record.article,
        "barcode": record.barcode,
        "name": record.name,
        "unit": record.unit,
        "characteristics": _lists(record.characteristics),
        "properties": None if record.properties is None else [[k, list(v)] for k, v in record.properties],
        "requisites": _lists(record.requisites),
        "pictures": None if record.pictures is None else list(record.pictures),
        "deleted": record.deleted,
        "extra": record.extra or None,
    }


def _lists(pairs: Iterable[tuple[str, str]] | None) -> list[list[str]] | None:
    return None if pairs is None else [list(p) for p in pairs]


def small_obstacle(record: Group | Property | Reference) -> BadRecord | None:
    """The same for groups, properties and references."""
    for name, limit in SMALL_LIMITS.items():
        value = getattr(record, name, None)
        if isinstance(value, str) and len(value) > limit:
            return too_long(name, value, limit)
    return None


@dataclass(slots=True)
class Created:
    said: Said
    parent_id: int | None  # a product's main group, an offer's product
    id: int = 0


@dataclass(slots=True)
class Changed:
    id: int
    version: int  # the new one
    values: dict[str, Any]  # column → new value
    differences: dict[str, list[Any]]  # for the history and the preview


@dataclass(slots=True)
class Plan:
    """What a page does to one table, decided and not yet written."""

    kind: Kind  # PRODUCT or OFFER: whose rows these are
    owners: Mapping[str, str]
    created: list[Created] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)
    linked: list[tuple[int, Said]] = field(default_factory=list)  # existing card, new link
    seen: list[tuple[int, Said]] = field(default_factory=list)  # existing link, new digest
    prices: list[tuple[Any, ...]] = field(default_factory=list)  # (offer id, kind id, min_quantity, value, currency)
    price_ends: list[tuple[Any, ...]] = field(default_factory=list)
    stock: list[tuple[Any, ...]] = field(default_factory=list)
    stock_ends: list[tuple[Any, ...]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def current(
    cursor: CursorWrapper, table: str, columns: Sequence[str], ids: Sequence[int]
) -> dict[int, tuple[int, dict[str, Any]]]:
    """{id: (version, values)} in the form of ``product_values``."""
    names = ", ".join(f'"{c}"' for c in columns)
    rows = bulk.select_in(cursor, f'SELECT id, version, {names} FROM "{table}" WHERE id {{in}}', ids)
    out = {}
    for row in rows:
        values = dict(zip(columns, row[2:], strict=True))
        for name in JSON_COLUMNS & values.keys():
            values[name] = bulk.from_json(values[name])
        if values.get("weight") is not None:
            values["weight"] = decimal_text(Decimal(str(values["weight"])))
        values["deleted"] = bool(values["deleted"])
        out[row[0]] = (row[1], values)
    return out


def compare_products(cursor: CursorWrapper, said: Sequence[Said], rules: Receiving, groups: Mapping[str, int]) -> Plan:
    """``groups``: our groups by their key, for the main group; one that comes later is joined by DjangoStore.finish."""
    owners = rules.owners("product")
    plan = Plan(Kind.PRODUCT, owners)
    known = [s for s in said if s.record_id is not None]
    now = current(cursor, PRODUCT_TABLE, PRODUCT_COLUMNS, [s.record_id for s in known if s.record_id is not None])
    for s in said:
        if s.record_id is None:
            plan.created.append(Created(s, groups.get(main_group(s.record))))
        else:
            _compare_one(plan, s, s.record_id, now, product_values(s.record), owners)
    for change in plan.changed:
        if change.values.get("groups"):
            change.values["group_id"] = groups.get(change.values["groups"][0])
    plan.counts[CREATED] += len(plan.created)
    return plan


def _compare_one(
    plan: Plan,
    s: Said,
    record_id: int,
    now: Mapping[int, tuple[int, dict[str, Any]]],
    values: dict[str, Any],
    owners: Mapping[str, str],
    more: Mapping[str, list[Any]] | None = None,
) -> None:
    """``more`` are differences outside the row itself (prices, stock)."""
    version, ours = now[record_id]
    values["key"] = None  # the key stays what the creating system gave
    changes = policy.merge(ours, values, owners)
    differences = {name: [ours[name], value] for name, value in changes.items()} | dict(more or {})
    if differences:
        plan.changed.append(Changed(record_id, version + 1, changes, differences))
    if s.link is None:
        plan.linked.append((record_id, s))
        plan.counts[MATCHED] += 1
    else:
        plan.seen.append((record_id, s))
        plan.counts[UPDATED if differences else UNCHANGED] += 1


@dataclass(slots=True)
class Books:
    """What comparing offers needs to know of the rest of the books; kept by the store through one run."""

    product_ids: Mapping[str, int]  # by the product's key over there
    offer_ids: Mapping[str, int]  # by the offer's key over there, for flavours that are no card of their own
    price_kinds: Mapping[str, int]  # their key → Reference id
    warehouses: Mapping[str, int]
    own: frozenset[int] = frozenset()  # references that this connection speaks of: only of these can it say "gone" by silence


def compare_offers(cursor: CursorWrapper, said: Sequence[Said], rules: Receiving, books: Books, *, whole: bool) -> Plan:
    """``whole``: prices and stock that a record does not list are gone (a full file); else they were not said."""
    owners = rules.owners("offer")
    plan = Plan(Kind.OFFER, owners)
    ids = [s.record_id for s in said if s.record_id is not None]
    now = current(cursor, OFFER_TABLE, OFFER_COLUMNS, ids)
    prices = _by_offer(
        bulk.select_in(
            cursor, "SELECT offer_id, kind_id, min_quantity, value, currency FROM store_price WHERE offer_id {in}", ids
        )
    )
    stock = _by_offer(
        bulk.select_in(cursor, "SELECT offer_id, warehouse_id, quantity FROM store_stocklevel WHERE offer_id {in}", ids)
    )
    take_prices, take_stock = owners.get("prices", "take"), owners.get("stock", "take")
    for s in said:
        record: Offer = s.record
        if s.record_id is None:
            # A catalogue's mode "existing" never comes here: the engine leaves strangers out.
            plan.created.append(Created(s, books.product_ids[record.product]))
            continue
        more: dict[str, list[Any]] = {}
        if record.prices is not None and take_prices != "keep":
            _compare_prices(plan, s.record_id, record.prices, prices.get(s.record_id, ()), books, whole, take_prices, more)
        if record.stock is not None and take_stock != "keep":
            _compare_stock(plan, s.record_id, record.stock, stock.get(s.record_id, ()), books, whole, take_stock, more)
        _compare_one(plan, s, s.record_id, now, offer_values(record), owners, more)
    plan.counts[CREATED] += len(plan.created)
    return plan


def _by_offer(rows: Iterable[tuple[Any, ...]]) -> dict[int, list[tuple[Any, ...]]]:
    out: dict[int, list[tuple[Any, ...]]] = {}
    for row in rows:
        out.setdefault(row[0], []).append(row[1:])
    return out


def _number(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value))


def _compare_prices(
    plan: Plan,
    offer_id: int,
    said: Sequence[Price],
    rows: Iterable[tuple[Any, ...]],
    books: Books,
    whole: bool,
    owner: str,
    more: dict[str, list[Any]],
) -> None:
    old = {(row[0], _number(row[1])): (_number(row[2]), row[3]) for row in rows}
    left = dict(old)
    for price in said:
        key = (books.price_kinds[price.kind], price.min_quantity)
        before = left.pop(key, None)
        if before is not None and owner in ("if_new", "if_empty"):
            continue
        if price.value is None:
            if before is not None:
                plan.price_ends.append((offer_id, key[0], decimal_text(key[1])))
                more[f"price {price.kind}"] = [decimal_text(before[0]), None]
        elif before is None or before[0] != price.value or before[1] != (price.currency or ""):
            plan.prices.append(price_row(offer_id, price, books))
            more[f"price {price.kind}"] = [None if before is None else decimal_text(before[0]), decimal_text(price.value)]
    if whole and owner == "take":
        for (kind_id, quantity), (value, _currency) in left.items():
            if kind_id not in books.own:
                continue
            plan.price_ends.append((offer_id, kind_id, decimal_text(quantity)))
            more[f"price #{kind_id}"] = [decimal_text(value), None]


def _compare_stock(
    plan: Plan,
    offer_id: int,
    said: Sequence[Stock],
    rows: Iterable[tuple[Any, ...]],
    books: Books,
    whole: bool,
    owner: str,
    more: dict[str, list[Any]],
) -> None:
    left = {row[0]: _number(row[1]) for row in rows}
    for level in said:
        warehouse = books.warehouses[level.warehouse]
        before = left.pop(warehouse, None)
        if before is not None and owner in ("if_new", "if_empty"):
            continue
        if before != level.quantity:
            plan.stock.append((offer_id, warehouse, decimal_text(level.quantity)))
            more[f"stock {level.warehouse}".strip()] = [
                None if before is None else decimal_text(before),
                decimal_text(level.quantity),
            ]
    if whole and owner == "take":
        for warehouse, quantity in left.items():
            if warehouse not in books.own:
                continue
            plan.stock_ends.append((offer_id, warehouse))
            more[f"stock #{warehouse}"] = [decimal_text(quantity), None]


def price_row(offer_id: int, price: Price, books: Books) -> tuple[Any, ...]:
    return (
        offer_id,
        books.price_kinds[price.kind],
        str(price.min_quantity),
        str(price.value),
        price.currency or "",
    )


# --- writing ---------------------------------------------------------------------------------------------------------------


def write(cursor: CursorWrapper, plan: Plan, run_id: int | None, at: str, books: Books | None = None) -> None:
    """Everything that a plan changes in its table, with versions and history; links are the store's."""
    is_product = plan.kind is Kind.PRODUCT
    table, columns = (PRODUCT_TABLE, PRODUCT_COLUMNS) if is_product else (OFFER_TABLE, OFFER_COLUMNS)
    if plan.created:
        ids = bulk.new_ids(cursor, table, len(plan.created))
        new = [row_of(made.said.record) for made in plan.created]
        rows = []
        for made, ident, row in zip(plan.created, ids, new, strict=True):
            made.id = ident
            rows.append((ident, 1, made.parent_id, *row[: len(columns)]))
        names = ("id", "version", "group_id" if is_product else "product_id", *columns)
        rows = _without_kept(rows, names, plan.owners)
        bulk.insert(cursor, table, names, rows)
        if is_product:
            places = [names.index(name) for name in SOUGHT]
            insert_sought(cursor, [tuple([row[i] for i in places]) for row in rows])
        if not is_product and books is not None:
            _insert_parts(cursor, ids, new, books)
        first = {"record_kind": str(plan.kind), "version": 1, "run_id": run_id, "at": at, "changes": None}
        bulk.insert_for_each(cursor, "store_recordchange", "record_id", ids, first)
    if plan.changed:
        _update(cursor, table, plan.changed)
        if is_product:
            renew_sought(cursor, [c.id for c in plan.changed if not c.values.keys().isdisjoint(SOUGHT)])
        history = [(str(plan.kind), c.id, c.version, run_id, at, bulk.to_json(c.differences)) for c in plan.changed]
        bulk.insert(cursor, "store_recordchange", ("record_kind", "record_id", "version", "run_id", "at", "changes"), history)
    bulk.delete(cursor, PRICE_TABLE, ("offer_id", "kind_id", "min_quantity"), plan.price_ends)
    bulk.delete(cursor, STOCK_TABLE, ("offer_id", "warehouse_id"), plan.stock_ends)
    bulk.insert(
        cursor,
        PRICE_TABLE,
        ("offer_id", "kind_id", "min_quantity", "value", "currency"),
        list({row[:3]: row for row in plan.prices}.values()),
        conflict="(offer_id, kind_id, min_quantity) DO UPDATE SET value = excluded.value, currency = excluded.currency",
    )
    bulk.insert(
        cursor,
        STOCK_TABLE,
        ("offer_id", "warehouse_id", "quantity"),
        list({row[:2]: row for row in plan.stock}.values()),
        conflict="(offer_id, warehouse_id) DO UPDATE SET quantity = excluded.quantity",
    )


def insert_sought(cursor: CursorWrapper, rows: Iterable[tuple[Any, ...]]) -> None:
    """What products are found by; of each its columns SOUGHT. One that is there already is renewed by renew_sought."""
    bulk.insert(cursor, SOUGHT_TABLE, ("product_id", *SOUGHT[1:]), [(*row[:-1], row[-1].lower()) for row in rows])


def renew_sought(cursor: CursorWrapper, ids: Sequence[int]) -> None:
    """Say anew what these products are found by."""
    bulk.delete(cursor, SOUGHT_TABLE, ("product_id",), [(pk,) for pk in ids])
    names = ", ".join(f'"{name}"' for name in SOUGHT)
    insert_sought(cursor, bulk.select_in(cursor, f'SELECT {names} FROM "{PRODUCT_TABLE}" WHERE id {{in}}', ids))


def row_of(record: Product | Offer | NewProduct | NewOffer) -> NewProduct | NewOffer:
    """A new card's row, where the source has not made it ahead."""
    if isinstance(record, Product):
        return new_product(record)
    return new_offer(record) if isinstance(record, Offer) else record


def main_group(record: Product | NewProduct) -> str:
    """Its key, "" for none."""
    if isinstance(record, NewProduct):
        return record.group
    return record.groups[0] if record.groups else ""


def _insert_parts(cursor: CursorWrapper, ids: Sequence[int], offers: Sequence[NewOffer], books: Books) -> None:
    """Prices and stock of new offers: nothing to compare with, one row for each key (a file may say a thing twice)."""
    prices: list[tuple[Any, ...]] = []
    stock: list[tuple[Any, ...]] = []
    warehouses, price_kinds = books.warehouses, books.price_kinds
    # Two of theirs may be mapped to one of ours: then the later word counts.
    repeats = any(len(set(ids.values())) != len(ids) for ids in (books.price_kinds, warehouses))
    for ident, offer in zip(ids, offers, strict=True):
        if offer.prices:
            prices += [(ident, price_kinds[kind], least, value, currency) for kind, least, value, currency in offer.prices]
        if offer.stock:
            stock += [(ident, warehouses[warehouse], quantity) for warehouse, quantity in offer.stock]
    if repeats:
        prices = list({row[:3]: row for row in prices}.values())
        stock = list({row[:2]: row for row in stock}.values())
    bulk.insert(cursor, PRICE_TABLE, ("offer_id", "kind_id", "min_quantity", "value", "currency"), prices)
    bulk.insert(cursor, STOCK_TABLE, ("offer_id", "warehouse_id", "quantity"), stock)


def _without_kept(rows: list[tuple[Any, ...]], names: Sequence[str], owners: Mapping[str, str]) -> list[tuple[Any, ...]]:
    """New cards leave empty what the books own ("keep")."""
    kept = {i: EMPTY_COLUMN.get(name, "") for i, name in enumerate(names) if owners.get(name) == "keep"}
    if not kept:
        return rows
    return [tuple([kept.get(i, value) for i, value in enumerate(row)]) for row in rows]


def _update(cursor: CursorWrapper, table: str, changed: Sequence[Changed]) -> None:
    """Rows that change the same columns share a statement: a renewed catalogue changes few combinations."""
    by_columns: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
    for change in changed:
        names = tuple(sorted(change.values))
        values = [bulk.to_json(change.values[n]) if n in JSON_COLUMNS else change.values[n] for n in names]
        by_columns.setdefault(names, []).append((*values, change.version, change.id))
    for names, rows in by_columns.items():
        bulk.update(cursor, table, ("id",), (*names, "version"), rows)
