"""The public API of Prom, by ``/api/v1`` (facts on marketplaces §2): most refusals are 200 with ``{"error": …}``, some are web pages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from obmen.sandbox.prom import state
from obmen.sandbox.prom.imports import Refused as ImportRefused
from obmen.sandbox.prom.imports import Terms
from obmen.sandbox.prom.state import ROOT, Order, Product
from obmen.sandbox.stand import HTML, Answer, Json, Request, dumps

if TYPE_CHECKING:
    from obmen.sandbox.prom.account import Prom

MOST = 100  # rows of a page, rows of an edit


class Refused(Exception):
    """What is answered instead; usually with status 200 (§2.9)."""

    def __init__(self, body: Json, status: int = 200) -> None:
        super().__init__(str(body))
        self.body, self.status = body, status


def error(text: str, status: int = 200) -> Refused:
    return Refused({"error": text}, status)


class NotFound(Exception):
    """§2.9: a web page, not JSON."""


class Nothing(Exception):
    """§2.1: a date with milliseconds or a zone is no error, the list is just empty."""


@dataclass(slots=True)
class Call:
    shop: Prom
    request: Request
    parts: tuple[str, ...] = ()
    language: str = "uk"

    @property
    def query(self) -> dict[str, str]:
        return self.request.params

    def json(self) -> Any:
        try:
            return json.loads(self.request.body, parse_float=Decimal)
        except ValueError:
            raise error("Invalid JSON") from None

    def object(self) -> Json:
        value = self.json()
        if not isinstance(value, dict):
            raise error("Invalid request")
        return value

    def number(self, name: str) -> int | None:
        text = self.query.get(name, "")
        if not text:
            return None
        if not text.isdigit():
            raise error(f"Invalid value of {name}")
        return int(text)

    def moment(self, name: str) -> datetime | None:
        """In the zone in which this shop reads queries (§2.1, §12.1)."""
        text = self.query.get(name, "")
        if not text:
            return None
        if not state.EXACT.fullmatch(text):
            # a "+" that was not quoted arrives as a space
            raise Nothing if state.MORE.fullmatch(text.replace(" ", "+")) else error(f"Invalid value of {name}")
        try:
            return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(self.shop.settings.query_zone)).astimezone(UTC)
        except ValueError:
            raise error(f"Invalid value of {name}") from None

    def window(self, name: str) -> Callable[[datetime | None], bool]:
        """Whether a moment lies between ``<name>_from`` and ``<name>_to``, both inclusive. Raises Refused, Nothing."""
        since, until = self.moment(f"{name}_from"), self.moment(f"{name}_to")
        return lambda value: value is None or ((since is None or value >= since) and (until is None or value <= until))

    def page(self, rows: Collection[Any], wanted: Callable[[Any], bool] = lambda row: True) -> list[Any]:
        """§2.2: by id downwards; ``last_id`` names the highest one wanted, or the one after it. No total, no next.

        ``rows`` lie by id upwards, as they were made."""
        limit, last = self.number("limit") or self.shop.settings.default_limit, self.number("last_id")
        if last is not None and not self.shop.settings.last_id_inclusive:
            last -= 1
        ordered = rows if self.query.get("sort_dir") == "asc" else reversed(list(rows))
        found = (row for row in ordered if (last is None or row.id <= last) and wanted(row))
        return list(islice(found, min(limit, MOST)))


# --- the way to a method -----------------------------------------------------------------------------------------------------------


def respond(shop: Prom, request: Request) -> Answer:
    token = shop.tokens.get(request.bearer)
    if not token or not token.active or (token.until and token.until <= shop.now()):
        return page(401, "Unauthorized")  # §2.9: HTML
    wait = shop.limiter.wait(token.value)
    if wait:
        return throttled(shop, wait)
    path = request.path.removeprefix(shop.prefix)
    for verb, pattern, scope, method in ROUTES:
        match = re.fullmatch(pattern, path)
        if not match or verb != request.method:
            continue
        if token.scopes is not None and scope not in token.scopes:
            return Answer(dumps({"error": "Insufficient permissions"}), 403)
        language = "ru" if request.headers.get("x-language") == "ru" else "uk"
        try:
            return Answer(dumps(method(Call(shop, request, match.groups(), language))))
        except Refused as refused:
            return Answer(dumps(refused.body), refused.status)
        except NotFound:
            break
    return page(404, "Not Found")


def page(status: int, words: str) -> Answer:
    text = f"<html><head><title>{status} {words}</title></head><body><h1>{status} {words}</h1></body></html>"
    return Answer(text.encode(), status, HTML)


def throttled(shop: Prom, seconds: int) -> Answer:
    answer = page(429, "Too Many Requests")
    headers = (("Retry-After", str(seconds)),) if shop.settings.retry_after else ()
    return Answer(answer.body, 429, HTML, headers)


# --- orders --------------------------------------------------------------------------------------------------------------------------


def _order(call: Call, order: Order) -> Json:
    shop = call.shop
    return state.order_json(order, shop.status_names(), shop.deliveries, shop.payments, shop.settings)


def orders_list(call: Call) -> Json:
    """§2.2. ``ids``, ``id`` and ``order_id`` are no filters here."""
    status = call.query.get("status", "")
    if status and status not in call.shop.status_names():
        raise error("Unknown order status")
    try:
        created, modified = call.window("date"), call.window("last_modified")
    except Nothing:
        return {"orders": []}
    rows = call.page(
        call.shop.orders.values(),
        lambda order: (not status or order.status == status) and created(order.created) and modified(order.modified),
    )
    return {"orders": [_order(call, order) for order in rows]}


def order_get(call: Call) -> Json:
    order = call.shop.orders.get(int(call.parts[0]))
    if not order:
        raise error("Order not found", call.shop.settings.missing_order)
    return {"order": _order(call, order)}


def orders_set_status(call: Call) -> Json:
    """§2.2. An order that has this status or a later one is left out of the answer without a word.

    A guess: only "delivered" is later than the others, and what is delivered or cancelled stays so."""
    body, shop = call.object(), call.shop
    custom = body.get("custom_status_id")
    status = f"custom-{custom}" if custom is not None else body.get("status")
    if custom is not None:
        if status not in shop.statuses:
            raise error("Unknown custom status")
    elif status not in state.SETTABLE:
        raise error("This status value is not allowed")
    reason, text = body.get("cancellation_reason"), str(body.get("cancellation_text") or "").strip()
    if status == "canceled":
        if reason not in state.REASONS:
            raise error("Invalid cancellation reason")
        if reason in state.WORDY_REASONS and not text:
            raise error("Cancellation text is required")
    done: list[int] = []
    errors: dict[str, str] = {}
    for number in _ids(body):
        order = shop.orders.get(number)
        if not order:
            errors[str(number)] = "Замовлення не знайдено"
        elif order.status == status or (order.status == "delivered" and status != "canceled"):
            continue
        elif order.status in ("canceled", "delivered"):
            errors[str(number)] = "Неможливо змінити статус"
        else:
            shop.put_status(order, str(status))
            if status == "canceled":
                order.cancellation = {"title": text or reason, "initiator": "company"}
            shop.writes["orders"] += 1
            done.append(number)
    return {"processed_ids": done, **({"errors": errors} if errors else {})}


def _ids(body: Json) -> list[int]:
    ids = body.get("ids")
    if not isinstance(ids, list) or not ids or not all(isinstance(n, int) and not isinstance(n, bool) for n in ids):
        raise error("Invalid ids")
    return ids


def orders_refund(call: Call) -> Json:
    done = []
    for number in _ids(call.object()):
        order = call.shop.orders.get(number)
        if order and order.payment_status == "paid":
            order.payment_status, order.paid_at, order.modified = "refunded", call.shop.now(), call.shop.now()
            call.shop.writes["orders"] += 1
            done.append(number)
    return {"processed_ids": done}


def status_options(call: Call) -> Json:
    rows = [{"id": number, "name": name, "title": title} for name, (number, title) in call.shop.statuses.items()]
    return {"order_status_options": rows}


def save_declaration(call: Call) -> Json:
    """§2.3. Errors are 200; the number that is there already is one of them."""
    body, shop = call.object(), call.shop
    wanted = body.get("order_id")
    order = shop.orders.get(wanted) if isinstance(wanted, int) else None
    number, carrier, errors = str(body.get("declaration_id") or ""), body.get("delivery_type"), {}
    if not order:
        errors["order_id"] = "Заказ не найден"
    if not (number.isascii() and number.isdigit()):
        errors["declaration_id"] = "Номер декларации должен состоять из цифр"
    if carrier not in state.CARRIERS:
        errors["delivery_type"] = "Недопустимое значение"
    if errors or not order:
        raise Refused({"status": "error", "message": "Ошибка валидации", "errors": errors})
    if order.declaration == number:
        raise Refused({"status": "error", "message": "Этот ЭН уже добавлен к данному заказу"})
    order.declaration, order.declared_by, order.modified = number, str(carrier), shop.now()
    shop.writes["declarations"] += 1
    return {"status": "success"}


def delivery_options(call: Call) -> Json:
    rows = call.shop.deliveries.values()
    return {"delivery_options": [{"id": r.id, "name": r.name, "comment": "", "enabled": r.enabled, "type": r.type} for r in rows]}


def payment_options(call: Call) -> Json:
    rows = call.shop.payments.values()
    return {"payment_options": [{"id": r.id, "name": r.name, "description": r.description} for r in rows]}


# --- goods ---------------------------------------------------------------------------------------------------------------------------


def _product(call: Call, product: Product) -> Json:
    return state.product_json(product, call.shop.groups[product.group], call.language)


def products_list(call: Call) -> Json:
    """§2.4: some shops list their root group only, a group never has more than 500, ``external_id`` is no filter."""
    shop, group = call.shop, call.number("group_id")
    try:
        modified = call.window("last_modified")
    except Nothing:
        return {"group_id": group, "products": []}
    rows: Collection[Product] = shop.products.values()
    if group is not None:
        rows = [p for p in rows if p.group == group and _there(p)][-shop.settings.group_cap :]
    elif shop.settings.root_only:
        rows = [p for p in rows if p.group == ROOT]
    return {
        "group_id": group,
        "products": [_product(call, p) for p in call.page(rows, lambda p: _there(p) and modified(p.modified))],
    }


def _there(product: Product) -> bool:
    return product.status not in ("deleted", "deleted_by_moderator")


def product_get(call: Call) -> Json:
    product = call.shop.products.get(int(call.parts[0]))
    if not product or not _there(product):
        raise NotFound  # §2.4: HTML, for those that are deleted, too
    return {"product": _product(call, product)}


def product_by_external(call: Call) -> Json:
    number = call.shop.by_external.get(unquote(call.parts[0]))
    if number is None:
        raise NotFound
    call.parts = (str(number),)
    return product_get(call)


def products_edit(call: Call) -> Json:
    return _edit(call, lambda key: call.shop.products.get(key) if isinstance(key, int) else None)


def products_edit_by_external(call: Call) -> Json:
    shop = call.shop
    return _edit(call, lambda key: shop.products.get(shop.by_external.get(key, 0)) if isinstance(key, str) else None)


def _edit(call: Call, find: Callable[[Any], Product | None]) -> Json:
    """§2.5. Rows that change nothing, and every ``silent``-th one, are in neither list."""
    rows, shop = call.json(), call.shop
    if not isinstance(rows, list):
        raise Refused({"errors": {"error": "Ожидается список товаров"}})
    if len(rows) > MOST:
        raise Refused({"errors": {"error": f"Не более {MOST} товаров"}})
    done: list[Any] = []
    errors: dict[str, Any] = {}
    for place, row in enumerate(rows, 1):
        key = row.get("id") if isinstance(row, dict) else None
        product = find(key)
        if not product or not _there(product):
            errors[str(key)] = "Товар не знайдено"
            continue
        values, wrong = _values(row)
        if product.variation_base is not None and "presence" in values and values["presence"] != product.presence:
            wrong["presence"] = "Різновид успадковує наявність основного товару"
        if wrong:
            errors[str(key)] = wrong
            continue
        changed = {name: value for name, value in values.items() if getattr(product, name) != value}
        if not changed or (shop.settings.silent and place % shop.settings.silent == 0):
            continue
        for name, value in changed.items():
            setattr(product, name, value)
        product.modified = shop.now()
        shop.writes["products"] += 1
        done.append(key)
    return {"processed_ids": done, "errors": errors}


def _values(row: Json) -> tuple[Json, dict[str, str]]:
    """(fields of Product, what is wrong by field). ``quantity`` is not a field: §2.5, ignored without a word."""
    values: Json = {}
    wrong: dict[str, str] = {}
    for name, (target, read) in EDITABLE.items():
        if name in row:
            try:
                values[target] = read(row[name])
            except (ValueError, TypeError, InvalidOperation):
                wrong[name] = "Некоректне значення"
    return values, wrong


def _price(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value <= 0:
        raise ValueError(value)
    return Decimal(value).quantize(Decimal("0.01"))


def _old_price(value: Any) -> Decimal | None:
    return None if value in (None, 0) else _price(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value < 0 or value != int(value):
        raise ValueError(value)
    return int(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _one_of(*known: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in known:
            raise ValueError(value)
        return str(value)

    return read


def _text(most: int) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or len(value) > most:
            raise ValueError(value)
        return value

    return read


def _discount(value: Any) -> Json | None:
    if value is None:
        return None
    if not isinstance(value, dict) or value.get("type") not in ("amount", "percent") or _price(value.get("value")) <= 0:
        raise ValueError(value)
    return {name: value.get(name) for name in ("value", "type", "date_start", "date_end")}


def _steps(value: Any) -> list[Json]:
    if not isinstance(value, list):
        raise TypeError(value)
    return [{"price": _price(s["price"]), "minimum_order_quantity": _price(s["minimum_order_quantity"])} for s in value]


# name in the request → (field of Product, how it is read)
EDITABLE: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "presence": ("presence", _one_of("available", "not_available", "order", "waiting")),
    "presence_sure": ("in_stock", _flag),  # the old name of in_stock
    "in_stock": ("in_stock", _flag),
    "price": ("price", _price),
    "oldprice": ("old_price", _old_price),
    "status": ("status", _one_of(*state.SHOWN)),
    "prices": ("prices", _steps),
    "discount": ("discount", _discount),
    "name": ("name", _text(110)),
    "keywords": ("keywords", _text(1024)),
    "description": ("description", _text(100_000)),
    "quantity_in_stock": ("quantity", _count),
}


def import_url(call: Call) -> Json:
    body = call.object()
    if not isinstance(body.get("url"), str) or not body["url"].startswith(("http://", "https://")):
        raise Refused({"status": "error", "message": "Некоректне посилання на файл"})
    return _accepted(call, body, url=body["url"])


def import_file(call: Call) -> Json:
    """§2.6: multipart, a part ``file`` and a part ``data`` that is JSON as a text."""
    parts = multipart(call.request)
    if not parts.get("file"):
        raise Refused({"status": "error", "message": "Не вказано файл"})
    try:
        data = json.loads(parts.get("data") or b"{}")
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise Refused({"status": "error", "message": "data: очікується JSON"})
    return _accepted(call, data, raw=parts["file"])


def _accepted(call: Call, data: Json, **source: Any) -> Json:
    try:
        job = call.shop.imports.accept(Terms.of(data), **source)
    except ImportRefused as refused:
        raise Refused({"status": "error", "message": str(refused)}) from None
    return {"id": job.id, "status": "success"}  # §2.6: 24 hexadecimal characters, though the swagger says a number


def import_status(call: Call) -> Json:
    job = call.shop.imports.jobs.get(call.parts[0])
    if not job:
        raise NotFound
    return call.shop.imports.shown(job)


def multipart(request: Request) -> dict[str, bytes]:
    """Name of a part → its content; empty when it is no multipart."""
    match = re.search(r'boundary="?([^";]+)"?', request.headers.get("content-type", ""))
    if not match:
        return {}
    parts = {}
    for piece in request.body.split(b"--" + match[1].encode())[1:]:
        head, _blank, content = piece.partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]*)"', head)
        if name:
            parts[name[1].decode()] = content.removesuffix(b"\r\n")
    return parts


# --- groups, clients, messages -------------------------------------------------------------------------------------------------------


def groups_list(call: Call) -> Json:
    try:
        modified = call.window("last_modified")
    except Nothing:
        return {"groups": []}
    rows = call.page(call.shop.groups.values(), lambda group: modified(group.modified))
    return {"groups": [state.group_json(group, call.language) for group in rows]}


def clients_list(call: Call) -> Json:
    words = call.query.get("search_term", "").casefold()
    rows = [c for c in call.shop.clients.values() if words in f"{c.full_name} {c.phone} {c.email}".casefold()]
    return {"clients": [_client(call, client.id) for client in call.page(rows)]}


def client_get(call: Call) -> Json:
    if int(call.parts[0]) not in call.shop.clients:
        raise NotFound
    return {"client": _client(call, int(call.parts[0]))}


def _client(call: Call, number: int) -> Json:
    orders = [order for order in call.shop.orders.values() if order.client.id == number]
    return state.client_json(call.shop.clients[number], orders)


def messages_list(call: Call) -> Json:
    status = call.query.get("status", "")
    if status not in ("", "unread", "read", "deleted"):
        raise error("Unknown message status")
    rows = [m for m in call.shop.messages.values() if m.status == status or (not status and m.status != "deleted")]
    return {"messages": [state.message_json(m, call.shop.settings) for m in call.page(rows)]}


def message_get(call: Call) -> Json:
    message = call.shop.messages.get(int(call.parts[0]))
    if not message:
        raise NotFound
    return {"message": state.message_json(message, call.shop.settings)}


def messages_set_status(call: Call) -> Json:
    body, done = call.object(), []
    if body.get("status") not in ("unread", "read", "deleted"):
        raise error("Unknown message status")
    for number in _ids(body):
        if number in call.shop.messages:
            call.shop.messages[number].status = body["status"]
            done.append(number)
    return {"processed_ids": done}


def message_reply(call: Call) -> Json:
    body = call.object()
    wanted = body.get("id")
    message = call.shop.messages.get(wanted) if isinstance(wanted, int) else None
    if not message or not body.get("message"):
        raise error("Message not found" if not message else "Empty message")
    message.replies.append(str(body["message"]))
    return {"processed_id": message.id}


Method = Callable[[Call], Json]
ROUTES: tuple[tuple[str, str, str, Method], ...] = (
    ("GET", "/orders/list", "orders:read", orders_list),
    ("GET", r"/orders/(\d+)", "orders:read", order_get),
    ("POST", "/orders/set_status", "orders:write", orders_set_status),
    ("POST", "/orders/refund", "orders:write", orders_refund),
    ("GET", "/order_status_options/list", "orders:read", status_options),
    ("POST", "/delivery/save_declaration_id", "delivery:write", save_declaration),
    ("GET", "/delivery_options/list", "delivery:read", delivery_options),
    ("GET", "/payment_options/list", "payments:read", payment_options),
    ("GET", "/products/list", "products:read", products_list),
    ("GET", r"/products/(\d+)", "products:read", product_get),
    ("GET", "/products/by_external_id/([^/]+)", "products:read", product_by_external),
    ("POST", "/products/edit", "products:write", products_edit),
    ("POST", "/products/edit_by_external_id", "products:write", products_edit_by_external),
    ("POST", "/products/import_url", "products:write", import_url),
    ("POST", "/products/import_file", "products:write", import_file),
    ("GET", r"/products/import/status/(\w+)", "products:read", import_status),
    ("GET", "/groups/list", "groups:read", groups_list),
    ("GET", "/clients/list", "clients:read", clients_list),
    ("GET", r"/clients/(\d+)", "clients:read", client_get),
    ("GET", "/messages/list", "messages:read", messages_list),
    ("GET", r"/messages/(\d+)", "messages:read", message_get),
    ("POST", "/messages/set_status", "messages:write", messages_set_status),
    ("POST", "/messages/reply", "messages:write", message_reply),
)
