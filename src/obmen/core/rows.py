"""Goods as the tables take them: columns in their order, and what no column takes. Pure, so that a process without Django can
make the rows that another one writes.

Texts are texts, JSON and decimals are text too. What a record does not say is empty in a new card.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from obmen.core.contract import BadRecord
from obmen.core.records import Offer, Product
from obmen.core.words import gettext_noop as _

_json = msgspec.json.Encoder(decimal_format="string").encode


def to_json(value: Any) -> str:
    return _json(value).decode()


class NewProduct(NamedTuple):
    """A product that is not in the books yet: the columns of its row, then the key of its main group ("": none)."""

    key: str
    article: str
    code: str
    barcode: str
    name: str
    full_name: str
    unit: str
    unit_attributes: str
    groups: str
    category: str
    description: str
    kind: str
    vat_rate: str
    manufacturer: str
    country: str
    weight: str | None
    properties: str
    requisites: str
    pictures: str
    deleted: bool
    extra: str
    group: str


class NewOffer(NamedTuple):
    """An offer that is not in the books yet: the columns of its row, then its product's key, prices and stock (None: not said)."""

    key: str
    article: str
    barcode: str
    name: str
    unit: str
    characteristics: str
    properties: str
    requisites: str
    pictures: str
    deleted: bool
    extra: str
    product: str
    prices: tuple[tuple[str, str, str, str], ...] | None  # (price kind, least quantity, value, currency)
    stock: tuple[tuple[str, str], ...] | None  # (warehouse, quantity)


PRODUCT_COLUMNS, OFFER_COLUMNS = NewProduct._fields[:-1], NewOffer._fields[:-3]
JSON_COLUMNS = frozenset({"unit_attributes", "groups", "properties", "requisites", "pictures", "characteristics"})


def new_product(r: Product) -> NewProduct:
    return NewProduct(
        r.key,
        r.article or "",
        r.code or "",
        r.barcode or "",
        r.name or "",
        r.full_name or "",
        r.unit or "",
        _repeated(r.unit_attributes) if r.unit_attributes else "[]",
        _repeated(r.groups) if r.groups else "[]",
        r.category or "",
        r.description or "",
        r.kind or "",
        r.vat_rate or "",
        r.manufacturer or "",
        r.country or "",
        None if r.weight is None else str(r.weight),
        to_json(r.properties) if r.properties else "[]",
        to_json(r.requisites) if r.requisites else "[]",
        to_json(r.pictures) if r.pictures else "[]",
        bool(r.deleted),
        r.extra,
        r.groups[0] if r.groups else "",
    )


def new_offer(r: Offer) -> NewOffer:
    """An empty price is none: it has no row."""
    prices, stock = r.prices, r.stock
    return NewOffer(
        r.key,
        r.article or "",
        r.barcode or "",
        r.name or "",
        r.unit or "",
        to_json(r.characteristics) if r.characteristics else "[]",
        to_json(r.properties) if r.properties else "[]",
        to_json(r.requisites) if r.requisites else "[]",
        to_json(r.pictures) if r.pictures else "[]",
        bool(r.deleted),
        r.extra,
        r.product,
        None
        if prices is None
        else tuple(
            [
                (kind, str(least), str(value), currency or "")
                for kind, value, currency, _unit, _ratio, least in prices
                if value is not None
            ]
        ),
        None if stock is None else tuple([(warehouse, str(quantity)) for warehouse, quantity in stock]),
    )


@lru_cache(4096)
def _repeated(value: tuple[Any, ...]) -> str:
    """Units and groups repeat in every other card."""
    return to_json(value)


# --- what no column takes --------------------------------------------------------------------------------------------------

LIMITS = {"key": 200, "article": 200, "barcode": 200, "unit": 100, "name": 1000, "code": 200, "category": 200, "kind": 100}
CURRENCY = 20
_OFFER_TEXTS = attrgetter("key", "article", "barcode", "unit", "name")
_PRODUCT_TEXTS = attrgetter("key", "article", "barcode", "unit", "name", "code", "category", "kind")

BAD_AMOUNT = _("{value} is larger than any price or quantity that the books can hold: correct it over there")
MOST = Decimal(10) ** 12  # quantities have 12 digits before the point, prices 14; both are far from any honest one


def obstacle(record: Product | Offer) -> BadRecord | None:
    """A value that no column of the books takes: park it instead of cutting it short."""
    names = _PRODUCT_TEXTS if type(record) is Product else _OFFER_TEXTS
    if type(record) is Offer and (bad := _bad_amount(record)):
        return bad
    if all(len(value) <= limit for value, limit in zip(names(record), LIMITS.values(), strict=False) if value):
        return None
    for name, limit in LIMITS.items():
        value = getattr(record, name, None)
        if value is not None and len(value) > limit:
            return too_long(name, value, limit)
    return None


def _bad_amount(record: Offer) -> BadRecord | None:
    """SQLite would take a figure of any length, and every page and dump that shows it would break."""
    for kind, value, currency, _unit, _ratio, least in record.prices or ():
        if (value is not None and not -MOST < value < MOST) or not -MOST < least < MOST:
            worst = value if value is not None and not -MOST < value < MOST else least
            return BadRecord(BAD_AMOUNT, value=f"{worst:.3E}")
        if len(kind) > LIMITS["key"] or len(currency or "") > CURRENCY:
            return too_long("price", kind if len(kind) > LIMITS["key"] else currency or "", LIMITS["key"], CURRENCY)
    for warehouse, quantity in record.stock or ():
        if not -MOST < quantity < MOST:
            return BadRecord(BAD_AMOUNT, value=f"{quantity:.3E}")
        if len(warehouse) > LIMITS["key"]:
            return too_long("warehouse", warehouse, LIMITS["key"])
    return None


def obstacles(records: Sequence[Product | Offer | NewProduct | NewOffer]) -> list[BadRecord | None]:
    """As ``obstacle`` for a page; rows were looked at when they were made."""
    return [obstacle(r) if isinstance(r, Product | Offer) else None for r in records]


def too_long(field: str, value: str, *limits: int) -> BadRecord:
    return BadRecord(
        _("{field} has {length} characters, at most {limit} fit: shorten it over there"),
        field=field,
        length=len(value),
        limit=max(limit for limit in limits if limit < len(value)),
    )
