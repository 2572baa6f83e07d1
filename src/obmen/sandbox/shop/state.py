"""What a shop keeps: goods as it understood them, orders of its customers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

CENT = Decimal("0.01")


def cents(value: Decimal) -> Decimal:
    return value.quantize(CENT)


# --- goods -----------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Offer:
    """What is sold: the product itself (``variant`` "") or one of its variants."""

    variant: str = ""
    name: str = ""
    article: str = ""
    barcode: str = ""
    options: dict[str, str] = field(default_factory=dict)
    prices: dict[str, Decimal] = field(default_factory=dict)
    stock: dict[str, Decimal] = field(default_factory=dict)
    quantity: Decimal = Decimal(0)


@dataclass(slots=True)
class Product:
    id: str
    number: int  # the shop's own
    catalogue: str = ""
    name: str = ""
    article: str = ""
    code: str = ""
    barcode: str = ""
    unit: str = ""
    description: str = ""
    maker: str = ""
    groups: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()
    properties: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rate: str = ""
    active: bool = True
    offers: dict[str, Offer] = field(default_factory=dict)

    def offer(self, variant: str) -> Offer:
        return self.offers.setdefault(variant, Offer(variant))


@dataclass(slots=True)
class Goods:
    groups: dict[str, tuple[str, str]] = field(default_factory=dict)  # id → (name, parent)
    kinds: dict[str, tuple[str, str]] = field(default_factory=dict)  # id → (name, currency)
    warehouses: dict[str, str] = field(default_factory=dict)
    properties: dict[str, tuple[str, str, dict[str, str]]] = field(default_factory=dict)  # id → (name, type, values)
    products: dict[str, Product] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)  # posted name → content
    removed: set[str] = field(default_factory=set)
    numbers: int = 0

    def find(self, offer_id: str) -> tuple[Product, Offer] | None:
        """By ``product`` or ``product#variant``; a product that has variants only is no offer itself."""
        key, _hash, variant = offer_id.partition("#")
        product = self.products.get(key)
        offer = product.offers.get(variant) if product else None
        return (product, offer) if product and offer else None

    def new(self, key: str) -> Product:
        self.numbers += 1
        self.products[key] = product = Product(key, 100 + self.numbers)
        return product

    def plain(self) -> dict[str, Any]:
        """Everything, for comparisons."""
        return asdict(self)


# --- orders ----------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Buyer:
    """``user``: number of the account, 0 for a guest."""

    first_name: str = ""
    last_name: str = ""
    phone: str = ""
    email: str = ""
    company: str = ""
    inn: str = ""
    kpp: str = ""
    zip: str = ""
    country: str = ""
    city: str = ""
    address: str = ""
    user: int = 0
    fields: dict[str, str] = field(default_factory=dict)  # what the owner asks besides: "ИНН", "Код клиента"

    @property
    def name(self) -> str:
        return self.company or " ".join(filter(None, (self.last_name, self.first_name)))


@dataclass(slots=True)
class Line:
    """``discount`` is taken off the whole line. ``tax``: (name, per cent, whether the price has it in it)."""

    offer: str  # product or product#variant, as the goods came from the accounting system
    name: str
    price: Decimal
    quantity: Decimal
    article: str = ""
    discount: Decimal = Decimal(0)
    tax: tuple[str, Decimal, bool] | None = None
    options: tuple[tuple[str, str], ...] = ()
    number: int = 0  # position in the basket

    @property
    def total(self) -> Decimal:
        return cents(self.price * self.quantity - self.discount)

    @property
    def added_tax(self) -> Decimal:
        return cents(self.total * self.tax[1] / 100) if self.tax and not self.tax[2] else Decimal(0)


@dataclass(slots=True)
class PaymentDoc:
    """A payment of an order as Bitrix keeps them. ``guid``: the accounting system's own id."""

    number: int
    method: str
    total: Decimal
    paid: bool = False
    date: datetime | None = None
    guid: str = ""
    document: str = ""
    removed: bool = False


@dataclass(slots=True)
class ShipmentDoc:
    number: int
    delivery: str
    price: Decimal
    shipped: bool = False
    date: datetime | None = None
    guid: str = ""
    track: str = ""
    removed: bool = False


@dataclass(slots=True)
class Order:
    """``status``, ``delivery`` and ``payment`` are codes of the shop's own lists."""

    id: int
    created: datetime
    updated: datetime
    status: str
    buyer: Buyer
    lines: list[Line]
    currency: str
    delivery: str = ""
    shipping: Decimal = Decimal(0)
    payment: str = ""
    surcharge: Decimal = Decimal(0)
    discount: Decimal = Decimal(0)  # of the order as a whole
    comment: str = ""
    payments: list[PaymentDoc] = field(default_factory=list)
    shipments: list[ShipmentDoc] = field(default_factory=list)
    cancelled: bool = False
    reason: str = ""  # of the cancellation
    number_1c: str = ""
    date_1c: str = ""
    guid_1c: str = ""
    trashed: bool = False
    revision: int = 1  # grows with every change
    sent: int = 0  # the revision that the accounting system has
    queried: bool = False  # marks of two-phase shops
    querying: bool = False
    own: bool = True  # False: what changed last came from the accounting system (Bitrix: UPDATED_1C)

    @property
    def subtotal(self) -> Decimal:
        return sum((line.total for line in self.lines), Decimal(0))

    @property
    def total(self) -> Decimal:
        return self.subtotal + sum((x.added_tax for x in self.lines), Decimal(0)) - self.discount + self.shipping + self.surcharge

    @property
    def paid(self) -> Decimal:
        return sum((p.total for p in self.payments if p.paid and not p.removed), Decimal(0))

    @property
    def is_paid(self) -> bool:
        return bool(self.payments) and self.paid >= self.total

    @property
    def is_shipped(self) -> bool:
        return any(s.shipped for s in self.shipments if not s.removed)


Clock = Callable[[], datetime]
