"""The books' records. Every connector translates to and from these; nothing else crosses the rings.

One rule holds for every optional field: ``None`` means *not said* (keep what the books have), an empty value means
*said to be empty* (clear it). Unknown is never turned into zero (design law 8). Ids are opaque text, as the outside
system wrote them. Money and quantities are Decimal, times are aware UTC, dates are plain dates.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple


class Kind(StrEnum):
    """What a record is. The value is stored in links, outbox, parked records and history."""

    GROUP = "group"
    PROPERTY = "property"
    REFERENCE = "reference"
    PRODUCT = "product"
    VARIANT = "variant"  # a catalogue card of product × characteristic (1C:UT writes one Товар for each)
    OFFER = "offer"
    PRICES = "prices"  # an Offer record of which only prices (perhaps with stock) were said
    STOCK = "stock"  # an Offer record of which only stock was said
    COUNTERPARTY = "counterparty"
    ORDER = "order"
    PAYMENT = "payment"
    SHIPMENT = "shipment"


class Subject(StrEnum):
    """What a Reference is a value of; one table, so that every mapping has the same shape (design §5)."""

    ORDER_STATE = "order_state"
    DELIVERY = "delivery"
    PAYMENT_KIND = "payment_kind"
    WAREHOUSE = "warehouse"
    PRICE_KIND = "price_kind"
    UNIT = "unit"
    MANAGER = "manager"
    CANCEL_REASON = "cancel_reason"
    ORGANISATION = "organisation"
    AGREEMENT = "agreement"
    CURRENCY = "currency"
    MANUFACTURER = "manufacturer"
    ORDER_KIND = "order_kind"
    ORDER_OPERATION = "order_operation"
    ORDER_METHOD = "order_method"
    DEPARTMENT = "department"
    BANK_ACCOUNT = "bank_account"
    CASH_DESK = "cash_desk"
    TERMINAL = "terminal"
    TAXATION = "taxation"
    CARRIER = "carrier"
    SITE = "site"


@dataclass(frozen=True, slots=True)
class Reference:
    """One value of a subject: a warehouse, a price kind, a unit …

    ``attributes`` is an open bag in the source's words, e.g. {"currency": "RUB", "tax_included": "true"} for a price kind,
    {"code": "796", "full_name": "Штука", "international": "PCE"} for a unit.
    """

    subject: Subject
    key: str
    name: str
    attributes: tuple[tuple[str, str], ...] = ()
    deleted: bool | None = None


@dataclass(frozen=True, slots=True)
class Group:
    key: str
    name: str
    parent: str | None = None  # key of the parent group; None for a root
    description: str | None = None
    picture: str | None = None
    deleted: bool | None = None
    extra: str = ""


@dataclass(frozen=True, slots=True)
class Property:
    """A property of goods; ``values`` is its dictionary: (value id, text)."""

    key: str
    name: str
    kind: str = "string"  # string | number | datetime | dictionary | boolean, or the source's own word
    values: tuple[tuple[str, str], ...] = ()
    required: bool | None = None
    multiple: bool | None = None
    applies_to: str = ""  # products | offers | documents | ""
    deleted: bool | None = None
    extra: str = ""


@dataclass(frozen=True, slots=True)
class Product:
    key: str
    name: str | None = None
    full_name: str | None = None
    article: str | None = None
    code: str | None = None
    barcode: str | None = None
    unit: str | None = None  # a unit's id, code or short name, as said; resolved when shown
    unit_attributes: tuple[tuple[str, str], ...] | None = None  # code, full_name, international, ratio …
    groups: tuple[str, ...] | None = None  # group keys, first = main; may be unknown yet (references arrive in any order)
    category: str | None = None
    description: str | None = None
    kind: str | None = None  # as said: Товар, Услуга, Набор …
    vat_rate: str | None = None  # "20", "10", "none" (Без НДС), normalised by formats
    manufacturer: str | None = None
    country: str | None = None
    weight: Decimal | None = None
    properties: tuple[tuple[str, tuple[str, ...]], ...] | None = None  # (property key, values as said)
    requisites: tuple[tuple[str, str], ...] | None = None  # (name, value), in order, repeats kept
    pictures: tuple[str, ...] | None = None  # paths as said, first = main; None = not said, () = said to be none
    characteristics: tuple[tuple[str, str], ...] | None = None  # (name, value): set when the card is of a variant
    deleted: bool | None = None
    extra: str = ""  # XML of children that the reader does not know, untouched
    manufacturer_key: str | None = None  # their id of the manufacturer, where they gave one beside the name


class Price(
    NamedTuple
):  # a catalogue holds millions of prices and quantities: a tuple is made four times faster than a dataclass
    kind: str  # price kind key
    value: Decimal | None  # None: an empty price, which is not a price (law 8)
    currency: str | None = None  # as said
    unit: str | None = None
    ratio: Decimal | None = None
    min_quantity: Decimal = Decimal(0)  # quantity breaks; 0 for the ordinary price


class Stock(NamedTuple):
    warehouse: str  # warehouse key; "" = the total, where the source names no warehouse
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Offer:
    """product × characteristic. ``key`` is the product's key, or product#characteristic."""

    key: str
    product: str  # product key
    name: str | None = None
    article: str | None = None
    barcode: str | None = None
    unit: str | None = None
    characteristics: tuple[tuple[str, str], ...] | None = None
    properties: tuple[tuple[str, tuple[str, ...]], ...] | None = None
    pictures: tuple[str, ...] | None = None
    requisites: tuple[tuple[str, str], ...] | None = None
    deleted: bool | None = None
    prices: tuple[Price, ...] | None = None  # None = not said
    stock: tuple[Stock, ...] | None = None  # None = not said
    extra: str = ""
    card: Product | None = None  # where their goods are flat: what a product is made of if they have to be made; never kept
    known_as: str = ""  # of such a one: our id of it, where they say it back (contract.Listings); never kept


@dataclass(frozen=True, slots=True)
class Address:
    text: str = ""
    parts: tuple[tuple[str, str], ...] = ()  # (Тип, Значение) as said: ("Город", "Київ") …


@dataclass(frozen=True, slots=True)
class Counterparty:
    key: str
    name: str = ""
    kind: str = "person"  # person | company | entrepreneur
    full_name: str = ""
    last_name: str = ""
    first_name: str = ""
    middle_name: str = ""
    inn: str = ""
    kpp: str = ""
    okpo: str = ""  # ЄДРПОУ / ОКПО
    phone: str = ""
    email: str = ""
    address: Address | None = None
    legal_address: Address | None = None
    contacts: tuple[tuple[str, str], ...] = ()  # every contact as said: (type, value)
    role: str = ""
    requisites: tuple[tuple[str, str], ...] = ()
    deleted: bool | None = None
    extra: str = ""


@dataclass(frozen=True, slots=True)
class OrderLine:
    offer: str  # offer key as said: guid, guid#guid, ORDER_DELIVERY …; "" when the line names none
    name: str
    quantity: Decimal
    price: Decimal
    total: Decimal
    article: str = ""
    kind: str = "product"  # product | service | delivery
    unit: str = ""
    discount: Decimal = Decimal(0)  # amount for the line, already inside total
    vat_rate: str = ""
    vat_amount: Decimal | None = None
    ratio: Decimal = Decimal(1)
    options: tuple[tuple[str, str], ...] = ()  # (option, variant) chosen by the buyer
    requisites: tuple[tuple[str, str], ...] = ()
    key: str = ""  # their id of the line: two lines may have the same goods


@dataclass(frozen=True, slots=True)
class Delivery:
    method: str = ""
    method_key: str = ""
    price: Decimal | None = None
    vat_rate: str = ""
    address: str = ""
    recipient: str = ""
    phone: str = ""
    tracking: str = ""
    comment: str = ""
    pickup: str = ""


@dataclass(frozen=True, slots=True)
class Payment:
    key: str  # their id, "" when they gave none
    amount: Decimal
    method: str = ""
    method_key: str = ""
    gateway: str = ""
    number: str = ""
    date: datetime | None = None
    paid: bool = False
    refund: bool = False
    currency: str = ""
    order: str = ""
    requisites: tuple[tuple[str, str], ...] = ()
    known_as: str = ""  # our key of it, where they say it back; never kept in the books


@dataclass(frozen=True, slots=True)
class Shipment:
    key: str
    number: str = ""
    date: datetime | None = None
    shipped: bool = False
    tracking: str = ""
    method: str = ""
    amount: Decimal | None = None
    order: str = ""
    requisites: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    key: str
    number: str
    date: datetime  # aware UTC
    state: str = ""  # our state key
    currency: str = ""
    total: Decimal = Decimal(0)
    counterparty: Counterparty | None = None
    lines: tuple[OrderLine, ...] = ()
    delivery: Delivery | None = None
    payments: tuple[Payment, ...] = ()
    shipments: tuple[Shipment, ...] = ()
    discount: Decimal = Decimal(0)  # document discount, not yet inside total of lines
    comment: str = ""
    company: str = ""  # the supplier company for which it is (Olvery's "Компания")
    site: str = ""
    manager: str = ""
    organisation: str = ""
    warehouse: str = ""
    cancelled: bool = False
    cancel_reason: str = ""
    paid: bool | None = None
    shipped: bool | None = None
    deleted: bool = False
    requisites: tuple[tuple[str, str], ...] = ()
    extra: str = ""
    known_as: str = ""  # our key of it, where they say it back: an order that we made there; never kept in the books


@dataclass(frozen=True, slots=True)
class OrderNews:
    """What an accounting system says about an order that it knows from us. ``None`` and "" mean not said.

    ``key`` is their own id of the order (1C's GUID) and ``number`` the number under which we sent it; ``record`` is the row of
    ours when that number was one that we made short, and ``full_number`` what they sent back as the number in full. Times are as
    said, local to them, already aware.
    """

    key: str
    number: str = ""
    full_number: str = ""
    record: int | None = None
    number_there: str = ""  # "Номер по 1С"
    date_there: datetime | None = None
    state: str = ""  # their id of the state
    state_name: str = ""
    cancelled: bool | None = None
    cancel_reason: str = ""
    deleted: bool | None = None
    posted: bool | None = None
    paid: bool | None = None
    payment_number: str = ""
    payment_date: datetime | None = None
    shipped: bool | None = None
    shipment_number: str = ""
    shipment_date: datetime | None = None
    tracking: str = ""
    payments: tuple[Payment, ...] = ()
    shipments: tuple[Shipment, ...] = ()
    lines: tuple[OrderLine, ...] | None = None
    total: Decimal | None = None
    currency: str = ""
    counterparty: Counterparty | None = None
    version: str = ""
    requisites: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Good:
    """An offer together with its product's card: what a channel is told. ``offer`` carries the chosen prices and stock.

    Keys are those of the books. ``version`` rises with every change of the offer or its product. Where one good stands for a whole
    product, ``offer`` is its offer without characteristic (with nothing but keys when there is none), ``variants`` are the others.
    ``pictures``, where they are asked for, are those that are kept of what the cards list: (path, digest of its content).

    ``reserved``, where it is asked for (``Choice.reserved``), is how many pieces of all that the good stands for were sold by orders
    and are still counted in the stock (docs/decisions/0011): what may be sold is the stock less that, and never less than nothing.
    In the unit of the stock; it may be more than the stock. ``reserved_of`` says it by the key of each offer where there are
    several. When it changes, ``version`` does.
    """

    record_id: int  # of the offer, or of the product that it stands for
    product: Product
    offer: Offer
    version: int = 0
    variants: tuple[Offer, ...] = ()
    pictures: tuple[tuple[str, str], ...] = ()
    reserved: Decimal = Decimal(0)
    reserved_of: tuple[tuple[str, Decimal], ...] = ()
    stock_known: bool = True  # False, where ``reserved`` is asked for: the books hold no stock of the offer in any warehouse

    @property
    def key(self) -> str:
        return self.offer.key


def is_service(product: Product) -> bool:
    """Whether it is a service, which lies in no warehouse: by its kind, else by the requisite in which 1C says it."""
    kind = product.kind or dict(product.requisites or ()).get("ТипНоменклатуры") or ""
    return kind.strip().lower() in ("услуга", "послуга")


def less_reserved(levels: Mapping[str, Decimal], reserved: Decimal) -> dict[str, Decimal]:
    """What may be sold of quantities by warehouse of which ``reserved`` pieces are sold already: {warehouse: quantity}, in the same
    order. They are taken from where most are, warehouse after warehouse, since nobody knows yet from which they will go; none of them
    falls below zero by it.
    """
    left, free = reserved, dict(levels)
    for warehouse in sorted(free, key=lambda name: (-free[name], name)):
        if left <= 0 or free[warehouse] <= 0:
            break
        taken = min(left, free[warehouse])
        free[warehouse], left = free[warehouse] - taken, left - taken
    return free


Record = Reference | Group | Property | Product | Offer | Good | Counterparty | Order | OrderNews | Payment | Shipment


AS_IT_IS = frozenset({str, int, bool, type(None), float})


def plain(value: Any) -> Any:
    """JSON-safe form: dataclasses to objects, decimals and times to strings. ``None`` stays ``None``."""
    kind = type(value)
    if kind in AS_IT_IS:  # most of what a record holds; asked first, this takes a third of the time
        return value
    if kind is dict:
        return {k if type(k) is str else str(k): plain(v) for k, v in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value


def decimal_text(value: Decimal) -> str:
    """Shortest exact decimal without exponent: ``Decimal("10.500")`` → ``"10.5"``, ``Decimal("1E+2")`` → ``"100"``."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text if text not in ("-0", "") else "0"


def digest(value: object) -> bytes:
    """16 bytes; equal content, equal digest, on any machine in any run."""
    body = json.dumps(plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(body.encode(), digest_size=16).digest()
