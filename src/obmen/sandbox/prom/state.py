"""What an account at Prom keeps, its vocabularies, and how a record looks in an answer (facts on marketplaces §2)."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

Json = dict[str, Any]
NBSP = "\u00a0"
ROOT = 9000  # id of the root group

PRESENCES = ("available", "not_available", "order", "service", "waiting")
SHOWN = ("on_display", "draft", "deleted", "not_on_display")  # what the owner may set (§2.5)
# §2.2: what set_status takes; pending, draft, accepted and declined are refused
SETTABLE = ("received", "delivered", "canceled", "paid", "waiting_loan_approval", "loan_rejected", "loan_approved")
REASONS = (
    "not_available", "price_changed", "buyers_request", "not_enough_fields", "duplicate", "invalid_phone_number",
    "less_than_minimal_price", "another", "payment_not_received", "no_product_variants",
)  # fmt: skip
WORDY_REASONS = ("another", "price_changed", "not_enough_fields")  # want cancellation_text
CARRIERS = ("nova_poshta", "ukrposhta", "meest", "justin")
IMPORTABLE = (
    "name", "sku", "price", "images_urls", "presence", "quantity_in_stock", "description", "group", "keywords", "attributes",
    "discount", "labels", "gtin", "mpn",
)  # fmt: skip
BY_ITSELF = ("price", "presence")  # §2.6: updated without force_update, and the default of updated_fields
MISSING = ("none", "not_available", "not_on_display", "deleted")
SELLING = {"r": "retail", "w": "wholesale", "u": "universal", "s": "service"}


@dataclass
class Settings:
    """What differs between shops, or is not known for certain (§12)."""

    zone: str = "Europe/Kyiv"  # of the dates in answers
    query_zone: str = "UTC"  # in which dates of queries are read (§12.1: sources differ)
    naive_dates: bool = False  # dates of answers without an offset, as one recorded answer has them
    last_id_inclusive: bool = True  # §2.2: "not higher than"; one test-suite knows the other behaviour
    default_limit: int = 20
    group_cap: int = 500  # §2.4: more than these of a group are never listed
    root_only: bool = False  # §2.4: without group_id some shops list the root group only
    plain_money: bool = False  # "1713.00" instead of "1 713 грн" (§2.2)
    silent: int = 0  # §2.5: every such row of an edit is in neither list and changes nothing; 0 = none
    missing_order: int = 200  # status of "order not found" (§2.9: both were met)
    retry_after: bool = True  # 429 says how long (§2.9: optional)
    imports_a_day: int = 10
    import_partial: int = 5  # seconds until a running import is PARTIAL instead of SUCCESS; Prom takes some 300 (§2.6)
    import_final: int = 10  # … until its numbers come; Prom takes some 570
    pay_after: int = 100  # seconds until an order paid online becomes "paid" (§2.2)


@dataclass(slots=True)
class Token:
    """``scopes``: "orders:write" …; None means all."""

    value: str
    scopes: Collection[str] | None = None
    active: bool = True
    until: datetime | None = None


@dataclass(slots=True)
class Group:
    id: int
    name: str
    name_ru: str = ""
    parent: int | None = None
    modified: datetime | None = None


@dataclass(slots=True)
class Product:
    id: int
    external_id: str | None
    name: str  # in Ukrainian
    modified: datetime
    name_ru: str = ""
    sku: str = ""
    keywords: str = ""
    description: str = ""
    description_ru: str = ""
    selling_type: str = "retail"
    presence: str = "available"
    in_stock: bool = False
    price: Decimal | None = None
    old_price: Decimal | None = None  # takes part in edit, is in no answer
    prices: list[Json] = field(default_factory=list)
    discount: Json | None = None
    currency: str = "UAH"
    group: int = ROOT
    pictures: list[str] = field(default_factory=list)
    status: str = "on_display"
    quantity: int | None = None
    unit: str = "шт."
    attributes: list[tuple[str, str]] = field(default_factory=list)
    gtin: str = ""
    mpn: str = ""
    variation_group: int | None = None
    variation_base: int | None = None  # the first of its group: None


@dataclass(slots=True)
class Client:
    id: int
    first_name: str
    last_name: str
    phone: str
    email: str = ""
    second_name: str = ""
    comment: str = ""

    @property
    def full_name(self) -> str:
        return " ".join(filter(None, (self.last_name, self.first_name, self.second_name)))


@dataclass(slots=True)
class Line:
    product: int
    external_id: str | None
    sku: str
    name: str
    name_ru: str
    price: Decimal
    quantity: Decimal
    unit: str

    @property
    def total(self) -> Decimal:
        return (self.price * self.quantity).quantize(Decimal("0.01"))


@dataclass(slots=True)
class Order:
    """``payment_status``: None | unpaid | paid | refunded; None where nothing is paid online."""

    id: int
    created: datetime
    modified: datetime
    client: Client
    lines: list[Line]
    delivery: int
    payment: int
    status: str = "pending"  # "custom-123" for the shop's own
    city: str = ""
    address: str = ""
    way: str = "W2W"
    recipient: Json | None = None
    delivery_cost: Decimal = Decimal(0)
    notes: str = ""
    source: str = "portal"
    dont_call: bool = False
    payment_status: str | None = None
    paid_at: datetime | None = None
    declaration: str = ""
    declared_by: str = ""
    cancellation: Json | None = None

    @property
    def total(self) -> Decimal:
        return sum((line.total for line in self.lines), Decimal(0))


@dataclass(slots=True)
class Message:
    id: int
    created: datetime
    name: str
    phone: str
    text: str
    product: int | None = None
    status: str = "unread"
    replies: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Delivery:
    id: int
    name: str
    type: str
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Payment:
    id: int
    name: str
    description: str | None = None
    online: bool = False


# --- as answers show it ------------------------------------------------------------------------------------------------------------


def money(value: Decimal | None, plain: bool = False) -> str | None:
    """§2.2: "1 713 грн", "1 234,50 грн" with no-break spaces; ``plain``: "1713.00"."""
    if value is None:
        return None
    if plain:
        return f"{value:.2f}"
    text = f"{value:,.2f}".removesuffix(".00")
    return text.translate({ord(","): NBSP, ord("."): ","}) + f"{NBSP}грн"


def moment(value: datetime | None, settings: Settings) -> str | None:
    if value is None:
        return None
    local = value.astimezone(ZoneInfo(settings.zone))
    return (local.replace(tzinfo=None) if settings.naive_dates else local).isoformat(
        timespec="seconds" if settings.naive_dates else "microseconds"
    )


EXACT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
MORE = re.compile(EXACT.pattern + r"(\.\d+)?(Z|[+-]\d\d:?\d\d)?")


def group_json(group: Group, language: str = "uk") -> Json:
    return {
        "id": group.id,
        "name": group.name_ru if language == "ru" and group.name_ru else group.name,
        "name_multilang": {"uk": group.name, "ru": group.name_ru or group.name},
        "description": "",
        "image": None,
        "parent_group_id": group.parent,
    }


def product_json(product: Product, group: Group, language: str = "uk") -> Json:
    russian = language == "ru"
    images = [
        {"id": product.id * 10 + n, "url": url, "thumbnail_url": url.replace(".jpg", "_w100.jpg")}
        for n, url in enumerate(product.pictures)
    ]
    price = product.price
    return {
        "id": product.id,
        "external_id": product.external_id,
        "name": product.name_ru if russian and product.name_ru else product.name,
        "name_multilang": {"uk": product.name, "ru": product.name_ru},
        "sku": product.sku,
        "keywords": product.keywords,
        "description": product.description_ru if russian and product.description_ru else product.description,
        "description_multilang": {"uk": product.description, "ru": product.description_ru},
        "selling_type": product.selling_type,
        "presence": product.presence,
        "in_stock": product.in_stock,
        "regions": [],
        "price": price,
        "minimum_order_quantity": None,
        "discount": product.discount,
        "currency": product.currency,
        "group": {"id": group.id, "name": group.name, "name_multilang": {"uk": group.name, "ru": group.name_ru or group.name}},
        "category": {"id": 35400, "caption": group.name},
        "prices": product.prices,
        "main_image": product.pictures[0] if product.pictures else None,
        "images": images,
        "status": product.status,
        "quantity_in_stock": product.quantity,
        "measure_unit": product.unit,
        "is_variation": product.variation_group is not None,
        "variation_base_id": product.variation_base,
        "variation_group_id": product.variation_group,
    }


def order_json(order: Order, names: Json, deliveries: dict[int, Delivery], payments: dict[int, Payment], s: Settings) -> Json:
    """``names``: status → how it is called."""
    who, delivery, payment = order.client, deliveries.get(order.delivery), payments.get(order.payment)
    provider = delivery.type if delivery and delivery.type != "pickup" else None
    shown_money = [money(line.total, s.plain_money) for line in order.lines]
    products = [
        {
            "id": line.product,
            "external_id": line.external_id,
            "sku": line.sku,
            "name": line.name,
            "name_multilang": {"uk": line.name, "ru": line.name_ru},
            "image": f"https://images.example.com/{line.product}_w100_h100.jpg",
            "url": f"https://market.example.com/p{line.product}.html",
            "quantity": float(line.quantity),
            "price": money(line.price, s.plain_money),
            "total_price": total,
            "measure_unit": line.unit,
            "cpa_commission": {"amount": f"{line.total * 3 / 100:.2f}"},
        }
        for line, total in zip(order.lines, shown_money)
    ]
    provider_data = {
        "provider": order.declared_by or provider,
        "type": order.way,
        "sender_warehouse_id": None,
        "recipient_warehouse_id": None,
        "declaration_number": order.declaration,
        "unified_status": None,
        "recipient_address": {
            "city_id": None, "city_name": order.city, "city_katottg": None, "warehouse_id": None, "street_id": None,
            "street_name": None, "building_number": None, "apartment_number": None,
        },
    }  # fmt: skip
    paid = {"type": "evopay", "status": order.payment_status, "status_modified": moment(order.paid_at or order.created, s)}
    return {
        "id": order.id,
        "date_created": moment(order.created, s),
        "date_modified": moment(order.modified, s),
        "client_first_name": who.first_name,
        "client_second_name": who.second_name,
        "client_last_name": who.last_name,
        "client_id": who.id,
        "client": {
            "id": who.id,
            "first_name": who.first_name,
            "last_name": who.last_name,
            "second_name": who.second_name,
            "phone": who.phone,
        },
        "client_notes": order.notes,
        "phone": who.phone,
        "email": who.email,
        "price": money(order.total, s.plain_money),
        "full_price": money(order.total + order.delivery_cost, s.plain_money),
        "delivery_cost": order.delivery_cost,
        "delivery_recipient": order.recipient,
        "delivery_option": {"id": delivery.id, "name": delivery.name, "shipping_service": None} if delivery else None,
        "delivery_address": ", ".join(filter(None, (order.city, order.address))),
        "delivery_provider_data": provider_data if provider or order.declaration else None,
        "payment_option": {"id": payment.id, "name": payment.name} if payment else None,
        "payment_data": paid if order.payment_status else None,
        "status": order.status,
        "status_name": names[order.status],
        "source": order.source,
        "price_with_special_offer": None,
        "special_offer_discount": None,
        "special_offer_promocode": None,
        "has_order_promo_free_delivery": False,
        "cpa_commission": {"amount": f"{order.total * 3 / 100:.2f}", "is_refunded": order.status == "canceled"},
        "prosale_commission": {"value": 0},
        "utm": {"medium": None, "source": None, "campaign": None},
        "dont_call_customer_back": order.dont_call,
        "ps_promotion": {"name": "", "conditions": []},
        "cancellation": order.cancellation,
        "products": products,
    }


def client_json(client: Client, orders: list[Order]) -> Json:
    done = sum((order.total for order in orders if order.status == "delivered"), Decimal(0))
    return {
        "id": client.id,
        "client_full_name": client.full_name,
        "phones": [client.phone] if client.phone else [],
        "emails": [client.email] if client.email else [],
        "comment": client.comment,
        "skype": "",
        "orders_count": len(orders),
        "total_payout": money(done),
    }


def message_json(message: Message, s: Settings) -> Json:
    return {
        "id": message.id,
        "date_created": moment(message.created, s),
        "client_full_name": message.name,
        "phone": message.phone,
        "message": message.text,
        "product_id": message.product,
        "status": message.status,
    }
