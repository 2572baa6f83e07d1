"""What a seller's account at Rozetka keeps, and how a record looks in an answer (facts on marketplaces §3)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from obmen.sandbox.rozetka import statuses

Json = dict[str, Any]

PAYMENT_STATUSES = {
    1: ("cancelled", "Скасовано"), 2: ("paid", "Сплачено"), 3: ("unpaid", "Очікує оплати"), 4: ("unapproved", "Перевіряється"),
    5: ("part-paid", "Частково сплачено"), 6: ("expired", "Термін дії минув"), 7: ("hold", "Суму утримано"), 8: ("returned", "Повернено"),
    9: ("part-returned", "Сплачено (з частковим поверненням)"), 10: ("ready_for_return", "Очікує повернення"),
}  # fmt: skip
SELL_STATUSES = {
    0: "unavailable", 1: "waiting_for_supply", 2: "call", 3: "limited", 4: "available", 5: "archive", 6: "strict unavailable",
    7: "out_of_stock", 8: "hidden",
}  # fmt: skip
BY_STOCK, BY_API = 3, 4  # availability of a source: from the price list, from the API


@dataclass
class Settings:
    """What differs between accounts, or is not known for certain (§12)."""

    zone: str = "Europe/Kyiv"  # of every date, there is no offset (§3.1)
    token_seconds: int = 86_400  # a token of a login lives so long (§3.1)
    static_idle: int = 86_400  # a static token may lapse when it was not used for so long (§3.1)
    expired_status: int = 200  # 401 instead of code 6001 was met, too (§3.1)
    wrong_login: int = 1004  # or 1020 (§3.2)
    maintenance: bool = False  # §3.2: 5503 for everything; that even a login gets it is a guess
    page_ignored: bool = False  # §3.1: /orders/search gives its first page whatever is asked
    older_keys: bool = False  # §3.5: name_ua and type instead of name_uk and status_group
    tracking: int = 3600  # seconds of each step of the carrier's tracking, 0 = it stands still
    moderation: int = 60  # seconds until new goods have an id on the site
    quarantine: bool = True  # §3.7: a price jump waits for a manager
    ttn_in_original: bool = False  # §3.6: the number is in original_info only
    payment_cache: int = 300  # seconds that /orders/status-payment repeats itself (§3.4)
    orders_page: int = 20
    goods_page: int = 100
    availability: int = BY_API  # of the price list's source: 3 stock by the price list, 4 by the API


@dataclass(slots=True)
class Token:
    """``roles``: "orders" and "goods"; None means all. ``until`` None: a static one, which lapses when it lies idle."""

    value: str
    used: datetime
    until: datetime | None = None
    roles: Collection[str] | None = None
    active: bool = True


@dataclass(slots=True)
class Item:
    """``available``: 0 no, 1 yes, 2 deleted from the price list. ``waiting``: a price that waits for a manager."""

    item_id: int
    price_offer_id: str
    name: str
    price: int
    created: datetime
    changed: datetime
    name_ua: str = ""
    article: str = ""
    stock: int = 0
    available: int = 1
    rz_item_id: int | None = None
    price_old: int | None = None
    price_promo: int | None = None
    waiting: int | None = None
    source: int = 107
    category: int = 4626589
    producer: str = ""
    photos: list[str] = field(default_factory=list)
    description: str = ""
    description_ua: str = ""
    state: str = "new"
    params: list[tuple[str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    hidden: bool = False
    archived: bool = False
    sold: int = 0
    min_cart: int = 0
    max_cart: int = 0

    @property
    def on_sale(self) -> bool:
        shown = self.rz_item_id is not None and not (self.errors or self.blocked or self.hidden or self.archived)
        return shown and self.available == 1 and self.stock > 0


@dataclass(slots=True)
class Purchase:
    """``status``: 1 actual, 2 returned, 0 removed by an edit."""

    id: int
    item: int  # item_id
    name: str
    price: Decimal
    quantity: int
    status: int = 1


@dataclass(slots=True)
class Buyer:
    id: int
    first_name: str
    last_name: str
    phone: str
    email: str = ""
    second_name: str = ""


@dataclass(slots=True)
class Order:
    """``delivery_type``: 0 a carrier, 1 the seller's own. ``payment_status``: key of PAYMENT_STATUSES; None for cash."""

    id: int
    created: datetime
    changed: datetime
    status_changed: datetime
    buyer: Buyer
    purchases: list[Purchase]
    service: int
    payment: int
    status: int = statuses.NEW
    delivery_type: int = 0
    method: int = 1  # 1 pickup, 2 courier
    city: int = 1
    place: str = ""
    street: str = ""
    house: str = ""
    flat: str = ""
    recipient: Json | None = None
    comment: str = ""
    seller_comments: list[tuple[str, datetime]] = field(default_factory=list)
    ttn: str = ""
    ttn_ours: bool = False  # made at Rozetka's side
    payment_status: int | None = None
    paid_at: datetime | None = None
    callback_off: bool = False
    duplicate_of: int | None = None
    viewed: bool = False
    history: list[tuple[int, datetime]] = field(default_factory=list)
    cost: Decimal = Decimal(0)  # of the delivery

    @property
    def amount(self) -> Decimal:
        return sum((p.price * p.quantity for p in self.purchases if p.status == 1), Decimal(0))

    @property
    def tracked(self) -> bool:
        return bool(self.ttn)


@dataclass(frozen=True, slots=True)
class Service:
    id: int
    name: str
    logo: str
    type: int = 0  # 0 external, 1 the shop's


@dataclass(frozen=True, slots=True)
class Payment:
    id: int
    name: str
    type: str
    title: str


# --- as answers show it ------------------------------------------------------------------------------------------------------------


def moment(value: datetime | None, settings: Settings) -> str | None:
    return value.astimezone(ZoneInfo(settings.zone)).strftime("%Y-%m-%d %H:%M:%S") if value else None


def status_json(status: int, settings: Settings, language: str = "uk") -> Json:
    name = statuses.NAMES[status]
    russian, english = statuses.RUSSIAN.get(status, name), statuses.ENGLISH.get(status, name)
    older = settings.older_keys
    return {
        "id": status,
        "name": {"ru": russian, "en": english}.get(language, name),
        "name_ua" if older else "name_uk": name,
        "name_en": english,
        "type" if older else "status_group": statuses.group(status),
        "status": 1,
        "color": "#221F1F",
        "title": name,
    }


def title(person: Json) -> Json:
    first, last, second = person["first_name"], person["last_name"], person.get("second_name", "")
    return {
        "first_name": first,
        "last_name": last,
        "second_name": second,
        "full_name": " ".join(filter(None, (last, first, second))),
    }


def way_json(way: statuses.Way, delivery_type: int) -> Json:
    kind = delivery_type if way.delivery_type is None else way.delivery_type
    return {"id": way.id, "parent_id": way.parent, "child_id": way.child, "delivery_type": kind, "market_group": 0}


def service_json(service: Service) -> Json:
    return {
        "id": service.id,
        "name": service.name,
        "type": service.type,
        "status": 1,
        "can_edit": False,
        "can_use": True,
        "is_default": service.id == 5,
        "titleTranslate": service.name,
        "delivery_methods": [1, 2],
    }


def item_json(item: Item, availability: int, category: str, settings: Settings) -> Json:
    named = {"id": item.category, "title": category, "title_ua": category}
    url = f"https://market.example.com/{item.rz_item_id}/p{item.rz_item_id}" if item.rz_item_id else None
    prices = [
        {
            "item_id": item.item_id,
            "price": item.waiting,
            "price_type": 1,
            "reason": 1,
            "is_sent": 0,
            "reason_title": "Товар став дорожчим, ніж продавався раніше" if item.waiting > item.price else "Товар став дешевшим",
        }
    ] if item.waiting is not None else []  # fmt: skip
    reasons = [{"reason_id": 15, "title": text} for text in item.blocked]
    return {
        "rz_item_id": item.rz_item_id,
        "price_offer_id": item.price_offer_id,
        "item_id": item.item_id,
        "sync_source_id": item.source,
        "sync_source": {"id": item.source, "availability": availability, "is_virtual_source": 0 if item.source == 107 else 3},
        "group_id": None,
        "name": item.name,
        "name_ua": item.name_ua or item.name,
        "name_ru": item.name,
        "url": url,
        "article": item.article,
        "description": item.description or None,
        "price": item.price,
        "price_old": item.price_old,
        "price_promo": item.price_promo,
        "updated_price": item.waiting,
        "commission_percent": None,
        "price_category_id": str(item.category),
        "rz_category": named,
        "price_category": {**named, "id": str(item.category)},
        "rz_producer": {"id": 166141, "title": item.producer},
        "price_producer_name": item.producer,
        "photo_preview": item.photos[:1],
        "photo": item.photos,
        "photo_upload_status": 1,
        "rz_status": 0,
        "rz_sell_status": 4 if item.on_sale else 8 if item.hidden else 5 if item.archived else 7 if item.stock == 0 else 0,
        "available": item.available,
        "available_title": {0: "Немає в наявності", 1: "Є в наявності", 2: "Видалено з прайса"}[item.available],
        "upload_status": 11 if item.blocked else 1 if item.rz_item_id is None else 3,
        "upload_status_title": "Прихований модератором"
        if item.blocked
        else "На модерації"
        if item.rz_item_id is None
        else "Прийнято",
        "blocked_reason": reasons,
        "change_status": None,
        "changes": {"changed_fields": None, "status": None, "reasons": [], "change_date": moment(item.changed, settings)},
        "stock_quantity": item.stock,
        "sold": item.sold,
        "error_type": 1 if item.errors else None,
        "error_reason": item.errors or None,
        "stop_words": [],
        "is_ff": False,
        "max_cart_quantity": item.max_cart,
        "min_cart_quantity": item.min_cart,
        "created_at": moment(item.created, settings),
        "state": {"new": 1, "used": 0, "refurbished": 2}.get(item.state, 3),
        "can_update_content_fields": item.source != 107,
        "prices": prices,
    }


class Shown:
    """An order as answers show it: the base, and what ``expand`` names. What is not named is absent, not empty (§3.4)."""

    def __init__(
        self,
        items: dict[int, Item],
        services: dict[int, Service],
        payments: dict[int, Payment],
        cities: dict[int, str],
        settings: Settings,
    ) -> None:
        self.items, self.services, self.payments, self.cities, self.settings = items, services, payments, cities, settings

    def order(self, order: Order, expand: Collection[str] = (), language: str = "uk") -> Json:
        who = {"first_name": order.buyer.first_name, "last_name": order.buyer.last_name, "second_name": order.buyer.second_name}
        amount, cost = f"{order.amount:.2f}", f"{order.amount + order.cost:.2f}"
        comments = [
            {"comment": text, "created": moment(at, self.settings), "seller_id": 12345, "seller_fio": "Тестовий менеджер"}
            for text, at in order.seller_comments
        ]
        base = {
            "id": order.id,
            "created": moment(order.created, self.settings),
            "changed": moment(order.changed, self.settings),
            "amount": amount,
            "amount_with_discount": amount,
            "cost": cost,
            "cost_with_discount": cost,
            "status": order.status,
            "status_group": statuses.group(order.status),
            "items_photos": [],
            "seller_comment": comments,
            "seller_comment_created": comments[-1]["created"] if comments else "",
            "current_seller_comment": order.seller_comments[-1][0] if comments else "",
            "comment": order.comment,
            "user_phone": order.buyer.phone,
            "user_title": title(who),
            "recipient_title": title(order.recipient or who),
            "recipient_phone": (order.recipient or {}).get("phone", order.buyer.phone),
            "from_warehouse": 0,
            "ttn": order.ttn,
            "total_quantity": sum(p.quantity for p in order.purchases if p.status == 1),
            "mk_created": order.ttn_ours,
            "can_copy": False,
            "created_type": 4,
            "is_viewed": order.viewed,
            "callback_off": int(order.callback_off),
            "is_fulfillment": False,
            "duplicate_order_id": order.duplicate_of,
            "is_delivery_edit_available": order.status in (26, 47, 48),
            "can_prolong": False,
            "group_id": None,
            "is_review_request_send": 0,
            "review_request_status": "",
        }
        return base | {name: value for name, value in self._more(order, language).items() if name in expand}

    def _more(self, order: Order, language: str) -> Json:
        service, payment = self.services[order.service], self.payments[order.payment]
        paid = PAYMENT_STATUSES.get(order.payment_status or 0)
        now = {
            "order_id": order.id,
            "status_payment_id": order.payment_status,
            "name": paid[0],
            "title": paid[1],
            "value": 1,
            "created_at": moment(order.paid_at or order.created, self.settings),
        } if paid else None  # fmt: skip
        return {
            "user": {
                "id": order.buyer.id,
                "has_email": bool(order.buyer.email),
                "contact_fio": f"{order.buyer.last_name} {order.buyer.first_name}",
                "email": order.buyer.email,
            },
            "delivery": self._delivery(order, service),
            "delivery_service": service_json(service),
            "purchases": [self._purchase(p) for p in order.purchases],
            "status_available": [
                way_json(w, order.delivery_type) for w in statuses.ways(order.status, order.delivery_type, order.tracked)
            ],
            "status_data": status_json(order.status, self.settings, language),
            "order_status_history": [
                {"status_id": s, "created": moment(at, self.settings), "status": status_json(s, self.settings, language)}
                for s, at in order.history
            ],
            "payment": {
                "payment_method_id": payment.id,
                "payment_method_name": payment.name,
                "payment_type": payment.type,
                "payment_type_title": payment.title,
                "payment_status": now,
                "credit": {"credit_status": None, "credit_info": [], "credit_broker": False},
            },
            "payment_method_id": payment.id,
            "payment_type": payment.type,
            "payment_type_name": payment.name,
            "payment_type_title": payment.title,
            "status_payment": now,
            "payment_status": paid[1] if paid else None,
            "credit_info": [],
            "credit_status": 0,
            "credit_broker": False,
            "is_payed": order.payment_status == 2,
            "is_promo": False,
            "has_kit": False,
            "is_access_change_order": True,
            "can_edit": order.status == statuses.PROCESSED,
            "last_update_status": moment(order.status_changed, self.settings),
            "carrier": {"carrier": None, "carrier_inner_id": None, "carrier_track_num": None, "carrier_return_track_num": None},
            "is_reserve_ending": False,
            "is_smart": False,
        }

    def _delivery(self, order: Order, service: Service) -> Json:
        person = order.recipient or {
            "first_name": order.buyer.first_name,
            "last_name": order.buyer.last_name,
            "second_name": order.buyer.second_name,
            "phone": order.buyer.phone,
        }
        city = self.cities[order.city]
        return {
            "delivery_service_id": service.id,
            "delivery_service_name": service.name,
            "name_logo": service.logo,
            "delivery_method_id": order.method,
            "recipient_title": title(person)["full_name"],
            "recipient_first_name": person["first_name"],
            "recipient_last_name": person["last_name"],
            "recipient_second_name": person.get("second_name", ""),
            "recipient_phone": person.get("phone", ""),
            "another_recipient": order.recipient is not None,
            "place_id": None,
            "pickup_rz_id": None,
            "place_street": order.street,
            "place_number": order.place,
            "place_house": order.house,
            "place_flat": order.flat,
            "cost": f"{order.cost:.2f}",
            "city": {"id": order.city, "name": city, "name_ua": city, "region_title": "", "title": city, "status": 1},
            "ref_id": None,
            "street_id": None,
            "email": order.buyer.email or None,
            "reserve_date": None,
            "delivery_date": None,
        }

    def _purchase(self, purchase: Purchase) -> Json:
        item, total = self.items[purchase.item], f"{purchase.price * purchase.quantity:.2f}"
        number = item.rz_item_id or item.item_id
        return {
            "id": purchase.id,
            "cost": total,
            "cost_with_discount": total,
            "price": f"{purchase.price:.2f}",
            "price_with_discount": f"{purchase.price:.2f}",
            "quantity": purchase.quantity,
            "item_id": number,
            "item_name": purchase.name,
            "kit_id": 0,
            "conf_details": None,
            "ttn": None,
            "order_status": None,
            "status": purchase.status,
            "is_additional_item": False,
            "item": {
                "id": number,
                "name": item.name,
                "name_ua": item.name_ua or None,
                "article": item.article,
                "price_offer_id": item.price_offer_id,
                "price": f"{item.price:.2f}",
                "catalog_category": {"id": item.category, "name": "", "parent_id": 0},
                "catalog_id": item.category,
                "group_id": None,
                "photo_preview": next(iter(item.photos), None),
                "photo": item.photos,
                "moderation_status": 0,
                "sla_id": 11558,
                "url": f"https://market.example.com/{number}/p{number}",
                "sold": item.sold,
                "uploader_offer_id": item.price_offer_id,
                "uploader_status": None,
            },
        }
