"""One shop at Prom: its goods, its orders, and what buyers and its owner do. The API works on it (api), files go into it (imports)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from obmen.sandbox.prom import api, ui
from obmen.sandbox.prom.imports import Imports
from obmen.sandbox.prom.state import ROOT, Client, Delivery, Group, Line, Message, Order, Payment, Product, Settings, Token
from obmen.sandbox.stand import Answer, Clock, Json, Request, Stand, following


class SoldOut(ValueError):
    """There is less than the buyer wants."""


def _sums(lines: Sequence[Line]) -> Counter[int]:
    """Product → how much of it in all lines, rounded up: stock is whole."""
    sums: dict[int, Decimal] = {}
    for line in lines:
        sums[line.product] = sums.get(line.product, Decimal(0)) + line.quantity
    return Counter({product: math.ceil(quantity) for product, quantity in sums.items()})


class Prom(Stand):
    """The shop. ``rate``: requests in ``period`` seconds for each token, 0 = no limit."""

    title = "Prom sandbox"
    prefix = "/api/v1"

    def __init__(
        self, *, token: str = "sandbox-token", clock: Clock | None = None, keep: int = 5000, rate: int = 0, period: float = 1.0,  # noqa: S107
        **settings: Any,
    ) -> None:  # fmt: skip
        """Raises TypeError for a setting that there is not."""
        super().__init__(clock=clock, keep=keep, rate=rate, period=period)
        self.settings = Settings(**settings)
        self.tokens: dict[str, Token] = {}
        self.token = self.add_token(token)
        self.statuses: dict[str, tuple[int, str]] = {
            "pending": (0, "Новий"),
            "received": (1, "Прийнято"),
            "paid": (2, "Оплачено"),
            "delivered": (3, "Виконано"),
            "canceled": (4, "Скасовано"),
        }
        self.loans = {
            "waiting_loan_approval": "Очікує рішення щодо кредиту",
            "loan_rejected": "У кредиті відмовлено",
            "loan_approved": "Кредит схвалено",
            "draft": "Чернетка",
        }
        self.deliveries = {
            row.id: row
            for row in (
                Delivery(11111, "Нова Пошта", "nova_poshta"),
                Delivery(11112, "Укрпошта", "ukrposhta"),
                Delivery(11113, "Самовивіз", "pickup", enabled=False),
            )
        }
        self.payments = {
            row.id: row
            for row in (
                Payment(22222, "Пром-оплата", online=True),
                Payment(22223, "Накладений платіж", "Оплата при отриманні"),
            )
        }
        self.groups = {ROOT: Group(ROOT, "Коренева група", "Корневая группа", modified=self.now())}
        self.group_codes: dict[str, int] = {}  # category id of a price list → group
        self.products: dict[int, Product] = {}
        self.by_external: dict[str, int] = {}
        self.variations: dict[str, int] = {}  # group_id of a price list → variation group
        self.clients: dict[int, Client] = {}
        self.orders: dict[int, Order] = {}
        self.messages: dict[int, Message] = {}
        self.imports = Imports(self)

    # --- the owner ----------------------------------------------------------------------------------------------------------

    def add_token(self, value: str, scopes: Sequence[str] | None = None, until: datetime | None = None) -> Token:
        """``scopes``: "orders:read", "orders:write", "products:…", "groups:…", "clients:…", "messages:…", "delivery:…", "payments:…"."""
        self.tokens[value] = Token(value, scopes, until=until)
        return self.tokens[value]

    def revoke(self, value: str = "") -> None:
        with self.lock:
            self.tokens[value or self.token.value].active = False

    def add_status(self, number: int, title: str) -> str:
        """A status of the shop's own; returns "custom-<number>"."""
        with self.lock:
            self.statuses[f"custom-{number}"] = (number, title)
        return f"custom-{number}"

    def add_group(self, name: str, parent: int | None = ROOT, name_ru: str = "") -> int:
        with self.lock:
            number = following(self.groups, ROOT)
            self.groups[number] = Group(number, name, name_ru, parent, self.now())
            return number

    def add_product(
        self, name: str, price: object = 0, quantity: int | None = None, *, external_id: str | None = None, **data: Any
    ) -> Product:
        """A card made in the cabinet."""
        with self.lock:
            number = following(self.products, 1_500_000_000)
            data.setdefault("presence", "not_available" if quantity == 0 else "available")
            data.setdefault("group", ROOT)
            product = Product(number, external_id, name, self.now(), price=Decimal(str(price)), quantity=quantity, **data)
            self.products[number] = product
            if external_id is not None:
                self.by_external[external_id] = number
            return product

    def product(self, key: object) -> Product:
        """By its id or external_id; one that is deleted is not there. Raises KeyError."""
        number = self.by_external.get(str(key))
        found = self.products.get(int(str(key)) if number is None and str(key).isdigit() else number or 0)
        if not found or found.status in ("deleted", "deleted_by_moderator"):
            raise KeyError(key)
        return found

    def status_names(self) -> Json:
        return {**self.loans, **{key: title for key, (_number, title) in self.statuses.items()}}

    # --- buyers ----------------------------------------------------------------------------------------------------------------

    def buy(
        self, items: Sequence[tuple[Any, ...]], *, phone: str = "+380501112233", first_name: str = "Іван", last_name: str = "Петренко",
        email: str = "ivan@example.com", delivery: int = 11111, city: str = "Київ", address: str = "Відділення №253", payment: int = 22223,
        delivery_cost: object = 0, notes: str = "", source: str = "portal", recipient: Json | None = None, dont_call: bool = False,
    ) -> Order:  # fmt: skip
        """A buyer orders: ``items`` (product id or external_id, quantity[, price]). Stock falls at once. Who has this phone has been here.

        Raises KeyError for goods that are not sold, SoldOut for more than there is."""
        with self.lock:
            self.tick()
            wanted = [self._line(*item) for item in items]
            if not wanted:
                raise ValueError("an order without goods")
            for product, quantity in _sums(wanted).items():  # all or nothing
                left = self.products[product].quantity
                if left is not None and quantity > left:
                    raise SoldOut(f"{self.products[product].name}: {left} left, {quantity} wanted")
            for product, quantity in _sums(wanted).items():
                self._take(self.products[product], quantity)
            now, client = self.now(), self._client(first_name, last_name, phone, email)
            online = self.payments[payment].online
            order = Order(
                following(self.orders, 400_000_000),
                now,
                now,
                client,
                wanted,
                self.deliveries[delivery].id,
                payment,
                city=city,
                address=address,
                recipient=recipient,
                delivery_cost=Decimal(str(delivery_cost)),
                notes=notes,
                source=source,
                dont_call=dont_call,
                payment_status="unpaid" if online else None,
            )
            self.orders[order.id] = order
            return order

    def _line(self, key: object, quantity: object = 1, price: object = None) -> Line:
        product, number = self.product(key), Decimal(str(quantity))
        if product.status != "on_display" or product.presence in ("not_available", "waiting"):
            raise SoldOut(f"{product.name} is not on sale")
        if number <= 0:
            raise ValueError(f"quantity {quantity}")
        value = product.price if price is None else Decimal(str(price))
        if value is None:
            raise ValueError(f"{product.name} has no price")
        return Line(product.id, product.external_id, product.sku, product.name, product.name_ru, value, number, product.unit)

    def _take(self, product: Product, quantity: int) -> None:
        """Negative: back on the shelf. Where stock is not counted, nothing changes. An order that the owner takes out of the
        cancelled ones finds what is left: never less than nothing."""
        if product.quantity is None:
            return
        product.quantity = max(0, product.quantity - quantity)
        if product.quantity == 0 and product.presence == "available":
            product.presence = "not_available"
        elif quantity < 0 and product.presence == "not_available":
            product.presence = "available"
        product.modified = self.now()

    def _client(self, first_name: str, last_name: str, phone: str, email: str) -> Client:
        for known in self.clients.values():
            if phone and known.phone == phone:
                return known
        number = following(self.clients, 9_900_000)
        self.clients[number] = Client(number, first_name, last_name, phone, email)
        return self.clients[number]

    def pay(self, order: int) -> None:
        """The money came: §2.2, the order moves from pending to paid by itself."""
        with self.lock:
            row = self.orders[order]
            row.payment_status, row.paid_at, row.modified = "paid", self.now(), self.now()
            if row.status == "pending":
                row.status = "paid"

    def cancel(self, order: int, title: str = "Змінились плани", by: str = "client") -> None:
        """``by``: client or company. Goods go back on the shelf. Raises ValueError when it is over already."""
        with self.lock:
            row = self.orders[order]
            if row.status in ("canceled", "delivered"):
                raise ValueError(f"order {order} is {row.status}")
            self.put_status(row, "canceled")
            row.cancellation = {"title": title, "initiator": by}

    def set_status(self, order: int, status: str) -> None:
        """What the owner does in the cabinet, where any status may be chosen. Raises KeyError for an unknown one."""
        with self.lock:
            if status not in self.status_names():
                raise KeyError(status)
            self.put_status(self.orders[order], status)

    def put_status(self, order: Order, status: str) -> None:
        if (status == "canceled") != (order.status == "canceled"):
            for product, quantity in _sums(order.lines).items():
                self._take(self.products[product], -quantity if status == "canceled" else quantity)
        order.status, order.modified = status, self.now()

    def write(self, name: str, phone: str, text: str, product: int | None = None) -> int:
        """A buyer asks something; returns the message's id."""
        with self.lock:
            number = following(self.messages, 700_000)
            self.messages[number] = Message(number, self.now(), name, phone, text, product)
            return number

    # --- time ------------------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """What happens by itself: online payments arrive, imports end. Every request starts with it."""
        with self.lock:
            late = self.now() - timedelta(seconds=self.settings.pay_after)
            for order in self.orders.values():
                if order.payment_status == "unpaid" and order.status == "pending" and order.created <= late:
                    self.pay(order.id)
            self.imports.tick()

    # --- the service -------------------------------------------------------------------------------------------------------------

    def respond(self, request: Request) -> Answer:
        self.tick()
        return api.respond(self, request)

    def throttled(self, seconds: int) -> Answer:
        return api.throttled(self, seconds)

    def expire(self, request: Request) -> None:
        if request.bearer in self.tokens:
            self.revoke(request.bearer)

    def page(self, request: Request) -> Answer:
        self.tick()
        return ui.answer(self, request)
