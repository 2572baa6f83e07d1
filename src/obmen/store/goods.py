"""Fold goods into the books, a page at a time: the hot path of a catalogue load.

Two steps, so that a preview is the same code without the second: ``compare`` reads and decides, ``write`` writes. Both work on
whole pages with raw SQL; the model classes stay the description of the tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Any

from django.db.backends.utils import CursorWrapper

from obmen.core import policy
from obmen.core.contract import BadRecord, Receiving
from obmen.core.engine import CREATED, MATCHED, UNCHANGED, UPDATED, Said
from obmen.core.records import Group, Kind, Offer, Price, Product, Property, Reference, Stock, decimal_text
from obmen.core.words import gettext_noop as _
from obmen.store import bulk

PRODUCT_COLUMNS = (
    "key", "article", "code", "barcode", "name", "full_name", "unit", "unit_attributes", "groups", "category", "description",
    "kind", "vat_rate", "manufacturer", "country", "weight", "properties", "requisites", "pictures", "deleted", "extra",
)  # fmt: skip
OFFER_COLUMNS = (
    "key", "article", "barcode", "name", "unit", "characteristics", "properties", "requisites", "pictures", "deleted", "extra",
)  # fmt: skip
JSON_COLUMNS = frozenset({"unit_attributes", "groups", "properties", "requisites", "pictures", "characteristics"})
LIMITS = {"key": 200, "article": 200, "barcode": 200, "unit": 100, "name": 1000, "code": 200, "category": 200, "kind": 100}
SMALL_LIMITS = {"key": 200, "parent": 200, "name": 500, "kind": 40, "applies_to": 40}
CURRENCY = 20
OFFER_LIMITS = attrgetter("key", "article", "barcode", "unit", "name")
PRODUCT_LIMITS = attrgetter("key", "article", "barcode", "unit", "name", "code", "category", "kind")
EMPTY_COLUMN = {"weight": None, "deleted": False} | dict.fromkeys(JSON_COLUMNS, "[]")

PRODUCT_TABLE, OFFER_TABLE, PRICE_TABLE, STOCK_TABLE = "store_product", "store_offer", "store_price", "store_stocklevel"


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


def product_row(r: Product, ident: int, group_id: int | None) -> tuple[Any, ...]:
    """A new card's row: id, version, PRODUCT_COLUMNS, group_id. Written out by hand, since a first load makes millions of fields."""
    return (
        ident,
        1,
        r.key,
        r.article or "",
        r.code or "",
        r.barcode or "",
        r.name or "",
        r.full_name or "",
        r.unit or "",
        _json_of(r.unit_attributes) if r.unit_attributes else "[]",
        _json_of(r.groups) if r.groups else "[]",
        r.category or "",
        r.description or "",
        r.kind or "",
        r.vat_rate or "",
        r.manufacturer or "",
        r.country or "",
        None if r.weight is None else str(r.weight),
        bulk.to_json(r.properties) if r.properties else "[]",
        bulk.to_json(r.requisites) if r.requisites else "[]",
        bulk.to_json(r.pictures) if r.pictures else "[]",
        bool(r.deleted),
        r.extra,
        group_id,
    )


def offer_row(r: Offer, ident: int, product_id: int) -> tuple[Any, ...]:
    """A new offer's row: id, version, OFFER_COLUMNS, product_id."""
    return (
        ident,
        1,
        r.key,
        r.article or "",
        r.barcode or "",
        r.name or "",
        r.unit or "",
        bulk.to_json(r.characteristics) if r.characteristics else "[]",
        bulk.to_json(r.properties) if r.properties else "[]",
        bulk.to_json(r.requisites) if r.requisites else "[]",
        bulk.to_json(r.pictures) if r.pictures else "[]",
        bool(r.deleted),
        r.extra,
        product_id,
    )


@lru_cache(4096)
def _json_of(value: tuple[Any, ...]) -> str:
    """Units and groups repeat in every other card."""
    return bulk.to_json(value)


def _lists(pairs: Iterable[tuple[str, str]] | None) -> list[list[str]] | None:
    return None if pairs is None else [list(p) for p in pairs]


def obstacle(record: Product | Offer) -> BadRecord | None:
    """A value that no column of the books takes: park it instead of cutting it short."""
    names = PRODUCT_LIMITS if type(record) is Product else OFFER_LIMITS
    if type(record) is Offer and (bad := _bad_amount(record)):
        return bad
    if all(len(value) <= limit for value, limit in zip(names(record), LIMITS.values(), strict=False) if value):
        return None
    for name, limit in LIMITS.items():
        value = getattr(record, name, None)
        if value is not None and len(value) > limit:
            return _too_long(name, value, limit)
    return None


def obstacles(records: Sequence[Product | Offer]) -> list[BadRecord | None]:
    """As ``obstacle`` for a page; a page in which everything fits, as nearly all do, is seen through at once."""
    return [None] * len(records) if _all_fit(records) else [obstacle(record) for record in records]


def _all_fit(records: Sequence[Product | Offer]) -> bool:
    keys: set[str] = set()  # of price kinds and warehouses: few, repeated in every record
    currencies: set[str | None] = set()
    for r in records:
        if len(r.name or "") > LIMITS["name"] or len(r.key) > LIMITS["key"] or len(r.unit or "") > LIMITS["unit"]:
            return False
        if len(r.article or "") > LIMITS["article"] or len(r.barcode or "") > LIMITS["barcode"]:
            return False
        if isinstance(r, Offer):
            for kind, value, currency, _unit, _ratio, least in r.prices or ():
                keys.add(kind)
                currencies.add(currency)
                if (value is not None and not -MOST < value < MOST) or least >= MOST:
                    return False
            for warehouse, quantity in r.stock or ():
                keys.add(warehouse)
                if not -MOST < quantity < MOST:
                    return False
        elif any(len(getattr(r, name) or "") > LIMITS[name] for name in ("code", "category", "kind")):
            return False
    return all(len(k) <= LIMITS["key"] for k in keys) and all(len(c or "") <= CURRENCY for c in currencies)


BAD_AMOUNT = _("{value} is larger than any price or quantity that the books can hold: correct it over there")
MOST = Decimal(10) ** 12
TOP = 11  # of 10^11: quantities have 12 digits before the point, prices 14; both are far from any honest one


def _bad_amount(record: Offer) -> BadRecord | None:
    """SQLite would take a figure of any length, and every page and dump that shows it would break."""
    for p in record.prices or ():
        for amount in (p.value, p.min_quantity):
            if amount is not None and amount.adjusted() > TOP:
                return BadRecord(BAD_AMOUNT, value=f"{amount:.3E}")
        if len(p.kind) > LIMITS["key"] or len(p.currency or "") > CURRENCY:
            return _too_long("price", p.kind if len(p.kind) > LIMITS["key"] else p.currency or "", LIMITS["key"], CURRENCY)
    for x in record.stock or ():
        if x.quantity.adjusted() > TOP:
            return BadRecord(BAD_AMOUNT, value=f"{x.quantity:.3E}")
        if len(x.warehouse) > LIMITS["key"]:
            return _too_long("warehouse", x.warehouse, LIMITS["key"])
    return None


def _too_long(field: str, value: str, *limits: int) -> BadRecord:
    return BadRecord(
        _("{field} has {length} characters, at most {limit} fit: shorten it over there"),
        field=field,
        length=len(value),
        limit=max(limit for limit in limits if limit < len(value)),
    )


def small_obstacle(record: Group | Property | Reference) -> BadRecord | None:
    """The same for groups, properties and references."""
    for name, limit in SMALL_LIMITS.items():
        value = getattr(record, name, None)
        if isinstance(value, str) and len(value) > limit:
            return _too_long(name, value, limit)
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


def owners_of(rules: Receiving, kind: str) -> dict[str, str]:
    head = kind + "."
    owners = {name.removeprefix(head): owner for name, owner in rules.fields.items() if name.startswith(head)}
    pictures = {"off": "keep", "append": "append"}.get(rules.pictures)
    if pictures:
        owners["pictures"] = pictures
    if rules.deletion == "ignore":
        owners["deleted"] = "keep"
    return owners


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
    owners = owners_of(rules, "product")
    plan = Plan(Kind.PRODUCT, owners)
    known = [s for s in said if s.record_id is not None]
    now = current(cursor, PRODUCT_TABLE, PRODUCT_COLUMNS, [s.record_id for s in known if s.record_id is not None])
    for s in said:
        if s.record_id is None:
            said_groups = s.record.groups
            plan.created.append(Created(s, groups.get(said_groups[0]) if said_groups else None))
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
    owners = owners_of(rules, "offer")
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
    history: list[tuple[Any, ...]] = []
    if plan.created:
        row_of: Callable[..., tuple[Any, ...]] = product_row if is_product else offer_row
        rows = []
        for made, ident in zip(plan.created, bulk.new_ids(cursor, table, len(plan.created)), strict=True):
            made.id = ident
            rows.append(row_of(made.said.record, ident, made.parent_id))
            history.append((str(plan.kind), ident, 1, run_id, at, None))
        names = ("id", "version", *columns, "group_id" if is_product else "product_id")
        bulk.insert(cursor, table, names, _without_kept(rows, names, plan.owners))
        if not is_product and books is not None:
            _insert_parts(cursor, plan, books)
    if plan.changed:
        _update(cursor, table, plan.changed)
        history += [(str(plan.kind), c.id, c.version, run_id, at, bulk.to_json(c.differences)) for c in plan.changed]
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


def _insert_parts(cursor: CursorWrapper, plan: Plan, books: Books) -> None:
    """Prices and stock of new offers: nothing to compare with, one row for each key (a file may say a thing twice)."""
    prices: list[tuple[Any, ...]] = []
    stock: list[tuple[Any, ...]] = []
    warehouses, price_kinds = books.warehouses, books.price_kinds
    # Two of theirs may be mapped to one of ours: then the later word counts.
    repeats = any(len(set(ids.values())) != len(ids) for ids in (books.price_kinds, warehouses))
    for made in plan.created:
        record: Offer = made.said.record
        if record.prices:
            prices += [
                (made.id, price_kinds[kind], str(least), str(value), currency or "")
                for kind, value, currency, _unit, _ratio, least in record.prices
                if value is not None
            ]
        if record.stock:
            stock += [(made.id, warehouses[warehouse], str(quantity)) for warehouse, quantity in record.stock]
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
