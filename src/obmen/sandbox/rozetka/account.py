"""One seller's account at Rozetka: goods, orders, and what buyers, the carrier and the platform do. The API works on it (api)."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from obmen.sandbox.rozetka import api, statuses, ui
from obmen.sandbox.rozetka.goods import Goods
from obmen.sandbox.rozetka.state import Buyer, Item, Order, Payment, Purchase, Service, Settings, Shown, Token
from obmen.sandbox.stand import Answer, Clock, Json, Request, Stand, following


class SoldOut(ValueError):
    """There is less than the buyer wants, or it is not on sale."""


class Rozetka(Stand):
    """The account. ``rate``: requests in ``period`` seconds for each token, 0 = no limit."""

    title = "Rozetka sandbox"
    pages = ("", "cabinet")

    def __init__(
        self, *, login: str = "seller", password: str = "sandbox", clock: Clock | None = None, keep: int = 5000,  # noqa: S107
        rate: int = 0, period: float = 1.0, **settings: Any,
    ) -> None:  # fmt: skip
        """Raises TypeError for a setting that there is not."""
        super().__init__(clock=clock, keep=keep, rate=rate, period=period)
        self.login, self.password = login, password
        self.settings = Settings(**settings)
        self.login_roles: Collection[str] | None = None  # §3.1: a token of a login may lack roles
        self.tokens: dict[str, Token] = {}
        self.services = {
            row.id: row
            for row in (
                Service(1, "ROZETKA Delivery", "octopus"),
                Service(5, "Нова Пошта", "nova-pochta"),
                Service(2, "Доставка продавця", "seller", 1),
            )
        }
        self.payments = {
            row.id: row
            for row in (
                Payment(1, "Оплата під час отримання товару", "cash", "Готівкова"),
                Payment(2, "Оплатити зараз", "card", "Картка"),
            )
        }
        self.cities = {1: "Київ", 2: "Львів", 3: "Одеса"}
        self.goods = Goods(self)
        self.buyers: dict[int, Buyer] = {}
        self.orders: dict[int, Order] = {}
        self.ttns = 0
        self.payment_cache: dict[int, tuple[Any, Json]] = {}
        self.shown = Shown(self.goods.items, self.services, self.payments, self.cities, self.settings)

    # --- the owner --------------------------------------------------------------------------------------------------------------

    def add_token(self, value: str, roles: Collection[str] | None = None) -> Token:
        """A static one of the cabinet; ``roles``: "orders", "goods"."""
        self.tokens[value] = Token(value, self.now(), roles=roles)
        return self.tokens[value]

    def log_in(self) -> Token:
        until = self.now() + timedelta(seconds=self.settings.token_seconds)
        token = Token(secrets.token_urlsafe(24), self.now(), until, self.login_roles)
        self.tokens[token.value] = token
        return token

    def add_item(
        self, name: str, price: int = 100, stock: int = 0, *, offer: str = "", moderated: bool = True, **data: Any
    ) -> Item:
        """Goods that are on sale already, or still wait for moderation."""
        with self.lock:
            item = self.goods.new(offer, name, price, stock=stock, available=int(stock > 0), **data)
            if moderated:
                self.goods.approve(item)
            return item

    def item(self, key: object) -> Item:
        """By price_offer_id, rz_item_id or item_id. Raises KeyError."""
        if str(key) in self.goods.by_offer:
            return self.goods.items[self.goods.by_offer[str(key)]]
        number = int(str(key)) if str(key).isdigit() else 0
        return self.goods.items[self.goods.by_site.get(number, number)]

    # --- buyers -----------------------------------------------------------------------------------------------------------------------

    def buy(
        self, items: Sequence[tuple[Any, ...]], *, phone: str = "380501112233", first_name: str = "Іван", last_name: str = "Петренко",
        email: str = "ivan@example.com", service: int = 5, city: int = 1, place: str = "253", street: str = "", house: str = "",
        flat: str = "", method: int = 1, payment: int = 1, comment: str = "", recipient: Json | None = None, callback_off: bool = False,
        cost: object = 0,
    ) -> Order:  # fmt: skip
        """A buyer orders: ``items`` (price_offer_id, rz_item_id or item_id; quantity). Stock falls at once.

        Raises KeyError for goods that there are not, SoldOut for more than there is."""
        with self.lock:
            self.tick()
            wanted: Counter[int] = Counter()
            for key, *count in items:
                wanted[self.item(key).item_id] += int(count[0]) if count else 1
            if not wanted or min(wanted.values()) < 1:
                raise ValueError("an order without goods")
            for key, quantity in wanted.items():
                item = self.goods.items[key]
                if not item.on_sale or quantity > item.stock:
                    raise SoldOut(f"{item.name}: {item.stock if item.on_sale else 0} left, {quantity} wanted")
            now, number = self.now(), following(self.orders, 248_888_000)
            purchases = []
            for place_, (key, quantity) in enumerate(wanted.items()):
                item = self.goods.items[key]
                price = Decimal(item.price if item.price_promo is None else item.price_promo)
                purchases.append(Purchase(number * 10 + place_, key, item.name, price, quantity))
                self.take(key, quantity)
            order = Order(
                number,
                now,
                now,
                now,
                self._buyer(first_name, last_name, phone, email),
                purchases,
                self.services[service].id,
                self.payments[payment].id,
                delivery_type=self.services[service].type,
                method=method,
                city=city,
                place=place,
                street=street,
                house=house,
                flat=flat,
                recipient=recipient,
                comment=comment,
                callback_off=callback_off,
                payment_status=None if self.payments[payment].type == "cash" else 3,
                history=[(statuses.NEW, now)],
                cost=Decimal(str(cost)),
            )
            self.orders[number] = order
            return order

    def take(self, item_id: int, quantity: int) -> None:
        """Negative: back on the shelf. There is never less than nothing."""
        item = self.goods.items[item_id]
        item.stock, item.sold = max(0, item.stock - quantity), item.sold + quantity
        if item.available != 2:
            item.available = int(item.stock > 0)
        item.changed = self.now()

    def _buyer(self, first_name: str, last_name: str, phone: str, email: str) -> Buyer:
        for known in self.buyers.values():
            if phone and known.phone == phone:
                return known
        number = following(self.buyers, 39_919_000)
        self.buyers[number] = Buyer(number, first_name, last_name, phone, email)
        return self.buyers[number]

    def pay(self, order: int) -> None:
        """The money came. For cash nothing is ever noted (§3.4). Raises ValueError."""
        with self.lock:
            row = self.orders[order]
            if row.payment_status is None:
                raise ValueError("cash is paid when the goods are taken")
            row.payment_status, row.paid_at, row.changed = 2, self.now(), self.now()

    def cancel(self, order: int) -> None:
        """The buyer does not want it any more. Raises ValueError when it is over already."""
        with self.lock:
            row = self.orders[order]
            if statuses.group(row.status) != statuses.PROCESSING:
                raise ValueError(f"order {order} is {statuses.NAMES[row.status]}")
            self.put_status(row, statuses.CANCELLED_BY_BUYER)

    def set_status(self, order: int, status: int) -> None:
        """What the platform, the carrier or the call centre do: any status. Raises KeyError for an unknown one."""
        with self.lock:
            if status not in statuses.NAMES:
                raise KeyError(status)
            self.put_status(self.orders[order], status)

    def put_status(self, order: Order, status: int) -> None:
        gone, was = statuses.group(status) == statuses.FAILED, statuses.group(order.status) == statuses.FAILED
        if gone != was:
            for purchase in order.purchases:
                if purchase.status == 1:
                    self.take(purchase.item, -purchase.quantity if gone else purchase.quantity)
        order.status = status
        order.changed = order.status_changed = self.now()
        order.history.append((status, self.now()))

    # --- time -------------------------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """What happens by itself: moderation ends, the carrier's tracking moves orders (§3.5). Every request starts with it."""
        with self.lock:
            self.goods.tick()
            step = timedelta(seconds=self.settings.tracking)
            for order in self.orders.values():
                while step and order.tracked and order.status in statuses.TRACKED and self.now() - order.status_changed >= step:
                    moved = order.status_changed + step
                    self.put_status(order, statuses.TRACKED[order.status])
                    order.status_changed = order.changed = moved
                    order.history[-1] = (order.status, moved)

    # --- the service --------------------------------------------------------------------------------------------------------------------

    def respond(self, request: Request) -> Answer:
        self.tick()
        return api.respond(self, request)

    def throttled(self, seconds: int) -> Answer:
        return api.throttled(seconds)

    def expire(self, request: Request) -> None:
        token = self.tokens.get(request.bearer)
        if token:
            token.until = self.now()

    def page(self, request: Request) -> Answer:
        self.tick()
        return ui.answer(self, request)
