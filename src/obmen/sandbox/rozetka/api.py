"""The Seller API of Rozetka (facts on marketplaces §3): almost everything is 200, ``success`` says how it went."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from obmen.sandbox.rozetka import statuses
from obmen.sandbox.rozetka.goods import MADE_BY_API, PRICE_LIST
from obmen.sandbox.rozetka.state import (
    BY_API,
    PAYMENT_STATUSES,
    SELL_STATUSES,
    Item,
    Order,
    Purchase,
    Token,
    item_json,
    moment,
    service_json,
    status_json,
    way_json,
)
from obmen.sandbox.stand import HTML, Answer, Json, Request, dumps

if TYPE_CHECKING:
    from obmen.sandbox.rozetka.account import Rozetka

ERRORS = {
    0: "server_error", 1001: "required_parameter", 1002: "incorrect_data_format", 1004: "incorrect_username_password",
    1005: "check_correctness_of_data", 1010: "access_denied", 1019: "entity_not_found", 1020: "incorrect_username_pasword",
    1022: "error.start_date", 1023: "error.end_date", 1024: "error.period", 1101: "error_nova_poshta", 1110: "error_print_ttn",
    3002: "entity_not_end_processed", 5401: "invalid_credentials", 5404: "not_found",
    5503: "technical_maintenance", 6001: "session_expired",
}  # fmt: skip


class Failed(Exception):
    """§3.1: ``{"success": false, "errors": {"message", "code", "details"}}``, with status 200 unless told otherwise."""

    def __init__(self, code: int, details: Any = None, status: int = 200) -> None:
        super().__init__(ERRORS[code])
        self.code, self.details, self.status = code, details, status

    @property
    def answer(self) -> Answer:
        errors = {"message": ERRORS[self.code], "code": self.code, "details": self.details}
        return Answer(dumps({"success": False, "errors": errors}), self.status)


class ByItem(Exception):
    """§3.7: mass-update has a form of its own, by item."""

    def __init__(self, errors: Json) -> None:
        super().__init__(str(errors))
        self.errors = errors


@dataclass(slots=True)
class Call:
    seller: Rozetka
    request: Request
    parts: tuple[str, ...] = ()

    @property
    def query(self) -> dict[str, str]:
        return self.request.params

    @property
    def language(self) -> str:
        return self.request.headers.get("content-language", "uk")

    @property
    def expand(self) -> list[str]:
        return [name.strip() for name in self.query.get("expand", "").split(",")]

    def object(self) -> Json:
        try:
            value = json.loads(self.request.body or b"{}", parse_float=Decimal)
        except ValueError:
            raise Failed(1002) from None
        if not isinstance(value, dict):
            raise Failed(1002)
        return value

    def required(self, body: Json, *names: str) -> None:
        for name in names:
            if body.get(name) in (None, "", []):
                raise Failed(1001, {name: ["Необхідно заповнити"]})

    def number(self, name: str) -> int | None:
        text = self.query.get(name, "")
        if not text:
            return None
        if not text.lstrip("-").isdigit():
            raise Failed(1002, {name: ["Значення має бути цілим числом"]})
        return int(text)

    def window(self, name: str, start: str = "_from", end: str = "_to") -> Callable[[datetime], bool]:
        """Whether a moment lies between; dates are local (§3.1), a bare end date means its whole day."""
        since, until = self._moment(name + start, 1022), self._moment(name + end, 1023)
        if since and until and since > until:
            raise Failed(1024, {name: ["Неправильно вказаний період"]})
        return lambda value: (since is None or value >= since) and (until is None or value <= until)

    def _moment(self, name: str, code: int) -> datetime | None:
        text = self.query.get(name, "")
        if not text:
            return None
        match = re.fullmatch(r"(\d{4}-\d\d-\d\d)( \d\d:\d\d:\d\d)?", text)
        try:
            if not match:
                raise ValueError(text)
            value = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(self.seller.settings.zone))
        except ValueError:
            raise Failed(code, {name: ["Формат: YYYY-MM-DD HH:MM:SS"]}) from None
        if code == 1023 and match and not match[2]:
            value += timedelta(days=1, seconds=-1)
        # The service keeps fractions of a second and does not show them: an end covers its whole second
        return (value + timedelta(microseconds=999_999 if code == 1023 else 0)).astimezone(UTC)

    def page(self, name: str, rows: Sequence[Any], show: Callable[[Any], Any], size: int, *, ignored: bool = False) -> Json:
        """§3.1: past the end the last page comes again; ``pageSize=0`` is everything. ``ignored``: always the first."""
        asked = self.number("pageSize")
        size = len(rows) or 1 if asked == 0 else min(asked, 100) if asked and asked > 0 else size
        pages = max(1, -(-len(rows) // size))
        page = 1 if ignored else min(max(1, self.number("page") or 1), pages)
        meta = {"totalCount": len(rows), "pageCount": pages if rows else 0, "currentPage": page, "perPage": size}
        return {name: [show(row) for row in rows[(page - 1) * size : page * size]], "_meta": meta}


# --- the way to a method ---------------------------------------------------------------------------------------------------------------


def respond(seller: Rozetka, request: Request) -> Answer:
    try:
        if seller.settings.maintenance:
            raise Failed(5503)
        token = None if (request.method, request.path) == ("POST", "/sites") else _token(seller, request)
        wait = seller.limiter.wait(token.value if token else "")
        if wait:
            return throttled(wait)
        for verb, pattern, role, method in ROUTES:
            match = re.fullmatch(pattern, request.path)
            if match and verb == request.method:
                if token and role and token.roles is not None and role not in token.roles:
                    raise Failed(1010)
                return _answer(method, Call(seller, request, match.groups()))
        raise Failed(5404, status=404)
    except Failed as failed:
        return failed.answer


def _answer(method: Method, call: Call) -> Answer:
    try:
        content = method(call)
        return content if isinstance(content, Answer) else Answer(dumps({"success": True, "content": content}))
    except ByItem as failed:
        return Answer(dumps({"success": False, "errors": failed.errors}))
    except Failed as failed:
        # §3.1: a search that was asked for nonsense is empty, unless the header wants to know
        empty = EMPTY.get(call.request.path)
        if empty and call.request.headers.get("accept-validate-exception") != "1":
            meta = {"totalCount": 0, "pageCount": 0, "currentPage": 1, "perPage": 20}
            return Answer(dumps({"success": True, "content": {empty: [], "_meta": meta}}))
        return failed.answer


def _token(seller: Rozetka, request: Request) -> Token:
    token = seller.tokens.get(request.bearer)
    if not token or not token.active:
        raise Failed(5401, status=401)
    idle = token.used + timedelta(seconds=seller.settings.static_idle)
    if (token.until or idle) <= seller.now():
        raise Failed(6001, status=seller.settings.expired_status)
    token.used = seller.now()
    return token


def throttled(seconds: int) -> Answer:
    return Answer(b"<html><body><h1>429 Too Many Requests</h1></body></html>", 429, HTML, (("Retry-After", str(seconds)),))


def log_in(call: Call) -> Json:
    """§3.1: the password is base64 of its UTF-8."""
    body, seller = call.object(), call.seller
    call.required(body, "username", "password")
    try:
        password = base64.b64decode(str(body["password"]), validate=True).decode()
    except ValueError:
        password = ""
    if (body["username"], password) != (seller.login, seller.password):
        raise Failed(seller.settings.wrong_login)
    token = seller.log_in()
    return {
        "id": 111,
        "access_token": token.value,
        "permissions": ["order_edit", "correspondence"],
        "roles": ["guest", "default_owner"],
        "seller": {"fio": "Продавець", "email": "seller@example.com", "first_phone": None, "wizard": False},
        "market": {
            "id": 1086, "title": "market_test_22", "business_model": "b2c", "market_url": "https://market.example.com/seller/market_test_22",
            "status": "6", "status_label": "Активний", "fulfillment_available": False,
        },
        "needInterview": False,
        "lang": call.language,
    }  # fmt: skip


def log_out(call: Call) -> None:
    call.seller.tokens[call.request.bearer].active = False


# --- orders ------------------------------------------------------------------------------------------------------------------------------


def orders_search(call: Call) -> Json:
    """§3.3. Without ``types=1`` only orders in processing: what was cancelled or done is lost without a word."""
    rows = list(_found(call))
    rows.sort(key=lambda order: order.id, reverse=True)
    sort = call.query.get("sort", "")
    key: Callable[[Order], Any] | None = {
        "changed": lambda order: order.changed,
        "created": lambda order: order.created,
        "id": lambda order: order.id,
    }.get(sort.lstrip("+- "))
    if sort and not key:
        raise Failed(1002, {"sort": ["Невідоме поле"]})
    if key:  # a "+" that was not quoted arrives as a space
        rows.sort(key=key, reverse=sort.startswith("-"))
    s = call.seller.settings
    total = f"{sum((order.amount for order in rows), Decimal(0)):.2f}"
    found = call.page("orders", rows, lambda order: _order(call, order), s.orders_page, ignored=s.page_ignored)
    names = ("amount", "amount_with_discount", "cost", "cost_with_discount")
    return {**found, "totalFields": dict.fromkeys(names, total)}


def _order(call: Call, order: Order) -> Json:
    return call.seller.shown.order(order, call.expand, call.language)


TYPES: dict[int, Callable[[Order], bool]] = {
    1: lambda order: True,
    2: lambda order: statuses.group(order.status) == statuses.PROCESSING,
    3: lambda order: statuses.group(order.status) == statuses.SUCCESS,
    4: lambda order: order.status == statuses.NEW,
    5: lambda order: order.status in statuses.DELIVERING,
    6: lambda order: statuses.group(order.status) == statuses.FAILED,
}


def _found(call: Call) -> list[Order]:
    kind, kinds = call.number("type") or statuses.PROCESSING, call.number("types")
    if kinds is not None and kinds not in TYPES:
        raise Failed(1002, {"types": ["Невідоме значення"]})
    created, changed, moved = call.window("created"), call.window("changed"), call.window("status_updated")
    number, status, service = call.number("id"), call.number("status"), call.number("delivery_id")
    paid, ttn, viewed = call.number("status_payment_id"), call.query.get("ttn", ""), call.number("is_viewed")
    least, most = _amount(call, "amountFrom"), _amount(call, "amountTo")
    services, payments = _numbers(call, "deliveries"), _numbers(call, "payment_methods")
    name, phone = call.query.get("userName", "").casefold(), call.query.get("user_phone", "").lstrip("+")
    item, said = call.query.get("item_id", "").casefold(), call.query.get("seller_comment", "").casefold()

    def wanted(order: Order) -> bool:
        goods = [call.seller.goods.items[purchase.item] for purchase in order.purchases]
        return (
            (TYPES[kinds](order) if kinds is not None else statuses.group(order.status) == kind)
            and created(order.created)
            and changed(order.changed)
            and moved(order.status_changed)
            and number in (None, order.id)
            and status in (None, order.status)
            and service in (None, order.service)
            and paid in (None, order.payment_status)
            and viewed in (None, int(order.viewed))
            and (not services or order.service in services)
            and (not payments or order.payment in payments)
            and (least is None or order.amount >= least)
            and (most is None or order.amount <= most)
            and (not ttn or (bool(order.ttn) == (ttn == "1") if ttn in ("0", "1") else len(ttn) >= 4 and ttn in order.ttn))
            and name in f"{order.buyer.last_name} {order.buyer.first_name}".casefold()
            and phone in order.buyer.phone
            and any(item in (str(i.rz_item_id), str(i.item_id)) or item in i.name.casefold() for i in goods)
            and (not said or any(said in text.casefold() for text, _at in order.seller_comments))
        )

    return [order for order in call.seller.orders.values() if wanted(order)]


def _numbers(call: Call, name: str) -> set[int]:
    parts = [part for part in call.query.get(name, "").split(",") if part]
    if not all(part.isdigit() for part in parts):
        raise Failed(1002, {name: ["Перелік цілих чисел"]})
    return {int(part) for part in parts}


def _amount(call: Call, name: str) -> Decimal | None:
    try:
        return Decimal(call.query[name]) if call.query.get(name) else None
    except InvalidOperation:
        raise Failed(1002, {name: ["Значення має бути числом"]}) from None


def _one(call: Call, number: object) -> Order:
    order = call.seller.orders.get(int(str(number))) if str(number).isdigit() else None
    if not order:
        raise Failed(1019)
    return order


def order_get(call: Call) -> Json:
    return _order(call, _one(call, call.parts[0]))


def order_put(call: Call) -> Json:
    """§3.5. The status is needed even where it stays; that the same one may be sent again is a guess."""
    seller, order, body = call.seller, _one(call, call.parts[0]), call.object()
    call.required(body, "status")
    status, ttn = body["status"], str(body.get("ttn") or "").strip()
    if not isinstance(status, int) or status not in statuses.NAMES:
        raise Failed(1002, {"status": ["Значення має бути цілим числом"]})
    allowed = {way.child for way in statuses.ways(order.status, order.delivery_type, order.tracked)}
    if status != order.status and status not in allowed:
        raise Failed(1005, {"status": ["Наступний статус недоступний"]})
    if status in statuses.NEEDS_TTN and not (ttn or order.ttn):
        raise Failed(1005, {"ttn": ["Необхідно заповнити ТТН"]})
    if status == statuses.DUPLICATE:
        number = body.get("duplicate_order_id")
        if not isinstance(number, int) or number not in seller.orders or number == order.id:
            raise Failed(1005, {"duplicate_order_id": ["Необхідно вказати замовлення"]})
        order.duplicate_of = number
    if "purchases" in body:
        _edit_goods(call, order, status, body["purchases"])
    before = (order.status, order.ttn)
    if ttn:
        order.ttn = ttn
        if status in (statuses.PACKED, statuses.PROCESSED):  # §3.5: a TTN moves 2 to 61 by itself; 26 is a guess
            status = statuses.WITH_TTN
    if body.get("seller_comment"):
        order.seller_comments.append((str(body["seller_comment"]), seller.now()))
    if status != order.status:
        seller.put_status(order, status)
    if before != (order.status, order.ttn) or body.get("seller_comment") or "purchases" in body:
        order.changed = seller.now()
        seller.writes["orders"] += 1
    return _order(call, order)


def _edit_goods(call: Call, order: Order, status: int, rows: Any) -> None:
    """Only in 26. The list is the whole new one; lines that it lacks get status 0 (a guess, as is the stock that follows)."""
    seller = call.seller
    if (order.status, status) != (statuses.PROCESSED, statuses.PROCESSED):
        raise Failed(1005, {"purchases": ["Редагування недоступне"]})
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise Failed(1002, {"purchases": ["Перелік товарів"]})
    known = {purchase.id: purchase for purchase in order.purchases if purchase.status == 1}
    lines: list[tuple[Purchase | None, Item, int, Decimal]] = []
    for row in rows:
        purchase, quantity = known.get(row.get("id") or 0), row.get("quantity")
        try:
            item = seller.goods.items[purchase.item] if purchase else seller.item(row.get("item_id"))
            price = Decimal(str(row.get("price") or (purchase.price if purchase else item.price)))
        except (KeyError, ValueError, InvalidOperation):
            raise Failed(1005, {"purchases": ["Товар не знайдено"]}) from None
        if not isinstance(quantity, int) or quantity < 1 or quantity > item.stock + (purchase.quantity if purchase else 0):
            raise Failed(1005, {"purchases": ["Недостатньо товару"]})
        lines.append((purchase, item, quantity, price))
    for purchase in known.values():
        seller.take(purchase.item, -purchase.quantity)
        purchase.status = 0
    for purchase, item, quantity, price in lines:
        seller.take(item.item_id, quantity)
        if purchase:
            purchase.status, purchase.quantity, purchase.price = 1, quantity, price
        else:
            number = max(p.id for p in order.purchases) + 1
            order.purchases.append(Purchase(number, item.item_id, item.name, price, quantity))


def update_delivery(call: Call) -> Json:
    """§3.5: in 26, 47, 48 and for cash."""
    body, seller = call.object(), call.seller
    call.required(body, "order_id", "delivery")
    order, new = _one(call, body["order_id"]), body["delivery"]
    if order.status not in (26, 47, 48) or seller.payments[order.payment].type != "cash" or not isinstance(new, dict):
        raise Failed(1005, {"delivery": ["Редагування недоступне"]})
    service, city = new.get("delivery_service_id"), (new.get("city") or {}).get("id")
    if service not in seller.services or city not in seller.cities or new.get("delivery_method_id") not in (1, 2):
        raise Failed(1005, {"delivery": ["Некоректні дані"]})
    order.service, order.city, order.method = service, city, new["delivery_method_id"]
    order.delivery_type = seller.services[service].type
    order.place, order.street = str(new.get("place_id") or ""), str(new.get("place_street") or "")
    order.house, order.flat = str(new.get("place_house") or ""), str(new.get("place_flat") or "")
    order.changed = seller.now()
    seller.writes["orders"] += 1
    return _order(call, order)


def update_receiver(call: Call) -> Json:
    body = call.object()
    call.required(body, "order_id", "recipient_title", "recipient_phone")
    order, title = _one(call, body["order_id"]), body["recipient_title"]
    if not isinstance(title, dict) or not {"first_name", "last_name"} <= set(title):
        raise Failed(1005, {"recipient_title": ["Некоректні дані"]})
    order.recipient = {**title, "phone": str(body["recipient_phone"])}
    order.changed = call.seller.now()
    call.seller.writes["orders"] += 1
    return _order(call, order)


def orders_counts(call: Call) -> Json:
    orders = call.seller.orders.values()
    counts = {"inProgress": 2, "inDone": 3, "inNotDone": 6, "new": 4, "delivering": 5, "all": 1}
    found = {name: sum(TYPES[kind](order) for order in orders) for name, kind in counts.items()}
    found["unwatched"] = sum(not order.viewed for order in orders)
    short = ("inProgress", "inDone", "inNotDone")
    return found if call.request.path.endswith("new") else {name: found[name] for name in short}


def status_payment(call: Call) -> Json | None:
    """§3.4: repeats itself for five minutes; null for cash."""
    order, seller = _one(call, call.parts[0]), call.seller
    cached = seller.payment_cache.get(order.id)
    if cached and seller.now() - cached[0] < timedelta(seconds=seller.settings.payment_cache):
        return cached[1]
    shown: Json | None = seller.shown.order(order, ["status_payment"])["status_payment"]
    if shown:
        seller.payment_cache[order.id] = (seller.now(), shown)
    return shown


def payment_statuses(_call: Call) -> Json:
    rows = [{"id": n, "name": name, "title": title, "value": n - 1} for n, (name, title) in PAYMENT_STATUSES.items()]
    return {"payment_statuses": rows}


def order_statuses(call: Call) -> Json:
    def show(status: int) -> Json:
        row = status_json(status, call.seller.settings, call.language)
        if "status_available" in call.expand:
            row["status_available"] = [way_json(way, 0) for way in statuses.WAYS if way.parent == status]
        return row

    return call.page("orderStatus", list(statuses.NAMES), show, 20)


def status_availables(call: Call) -> Json:
    parent = call.number("parent_id")
    rows = [way for way in statuses.WAYS if parent in (None, way.parent)]
    return call.page("statusAvailables", rows, lambda way: way_json(way, 0), 20)


# --- delivery (§3.6) ------------------------------------------------------------------------------------------------------------------------


def delivery_services(call: Call) -> Json:
    return call.page("deliveryServices", list(call.seller.services.values()), service_json, 20)


def localities(call: Call) -> Json:
    words = call.query.get("name", call.query.get("title", "")).casefold()
    rows = [(n, name) for n, name in call.seller.cities.items() if words in name.casefold()]
    return call.page("localities", rows, lambda row: {"id": row[0], "name": row[1], "name_ua": row[1], "title": row[1]}, 20)


def pickups(call: Call) -> Json:
    """Both parameters are required."""
    service, city = call.number("delivery_service_id"), call.number("locality_id")
    if service is None or city is None:
        raise Failed(1001, {"delivery_service_id" if service is None else "locality_id": ["Необхідно заповнити"]})
    known = service in call.seller.services and city in call.seller.cities
    rows = [service * 10_000 + city * 100 + n for n in range(1, 4)] if known else []
    return call.page(
        "deliveryServicePickups", rows, lambda n: {"id": n, "name": f"Відділення №{n % 100}", "number": str(n % 100)}, 20
    )


def create_ttn(call: Call) -> Json:
    """§3.6. That the order gets the number and moves on at once follows §3.5: whatever has a TTN is tracked."""
    body, seller = call.object(), call.seller
    call.required(body, "order_id", "payer", "places", "params", "sender", "description", "cost", "carrier")
    order, sender, wrong = _one(call, body["order_id"]), body["sender"], {}
    if not isinstance(sender, dict) or not sender.get("info") or sender.get("type") not in ("natural", "legal"):
        wrong["sender"] = ["Необхідно заповнити «info» та «type»"]
    if len(str(body["description"])) > 100:
        wrong["description"] = ["До 100 символів"]
    if body["carrier"] not in (1, 4):
        wrong["carrier"] = ["1 або 4"]
    if not isinstance(body["params"], dict) or not {"weight", "height", "width", "length"} <= set(body["params"]):
        wrong["params"] = ["weight, height, width, length"]
    if order.ttn:
        wrong["order_id"] = ["ТТН вже створено"]
    if wrong:
        raise Failed(1005, wrong)
    seller.ttns += 1
    number = f"RMP-{seller.ttns:09}"
    order.ttn, order.ttn_ours, order.changed = number, True, seller.now()
    if order.status in (statuses.PACKED, statuses.PROCESSED):
        seller.put_status(order, statuses.WITH_TTN)
    seller.writes["ttns"] += 1
    person = seller.shown.order(order, ["delivery"])["delivery"]
    hidden = seller.settings.ttn_in_original
    return {
        "id": 300 + seller.ttns,
        "ext_id": None if hidden else number,
        "ttn": None if hidden else number,
        "seller_id": 165,
        "order_id": str(order.id),
        "delivery_service_id": 1,
        "delivery_status_id": "10010",
        "receiver_fio": person["recipient_title"],
        "receiver_phone": person["recipient_phone"],
        "delivery_price": 0,
        "cod_amount": 0,
        "original_info": json.dumps({"track_num": number}) if hidden else None,
        "has_prepaid": bool(body.get("has_paid")),
        "is_carrier_meest": body["carrier"] == 4,
        "carrier_track_num": None,
        "created_at": moment(seller.now(), seller.settings),
    }


def print_ttns(call: Call) -> Answer:
    numbers = call.object().get("track_numbers")
    known = {order.ttn for order in call.seller.orders.values() if order.ttn_ours}
    if not isinstance(numbers, list) or not numbers or not set(map(str, numbers)) <= known:
        raise Failed(1110)
    text = f"%PDF-1.4\n% {' '.join(map(str, numbers))}\n%%EOF\n"
    return Answer(text.encode(), 200, "application/pdf")


# --- goods (§3.7) -----------------------------------------------------------------------------------------------------------------------------

TABS: dict[str, Callable[[Item], bool]] = {
    "all": lambda item: not item.archived,
    "on-sale": lambda item: item.on_sale,
    "not-available": lambda item: item.rz_item_id is not None and not item.on_sale,
    "errors": lambda item: bool(item.errors or item.blocked),
    "not-valid": lambda item: bool(item.errors),
    "hidden": lambda item: item.hidden,
    "new": lambda item: item.rz_item_id is None,
    "changes": lambda item: item.waiting is not None,
    "prices": lambda item: item.waiting is not None,
    "quarantine": lambda item: item.waiting is not None,
    "moderation": lambda item: item.rz_item_id is None and not item.errors,
    "archive": lambda item: item.archived,
}


def _item(call: Call, item: Item) -> Json:
    goods = call.seller.goods
    category = goods.categories.get(item.category, ("", 0))[0]
    return item_json(item, goods.sources[item.source], category, call.seller.settings)


def goods_list(call: Call) -> Json:
    if call.parts[0] not in TABS:
        raise Failed(5404, status=404)
    site, available, category = call.number("rz_item_id"), call.number("available"), call.number("category_id")
    source, least, most = call.number("sync_source_id"), _amount(call, "priceFrom"), _amount(call, "priceTo")
    offer, article = call.query.get("price_offer_id", ""), call.query.get("article", "")
    words = call.query.get("find_by_text", call.query.get("name", "")).casefold()

    def wanted(item: Item) -> bool:
        return (
            TABS[call.parts[0]](item)
            and site in (None, item.rz_item_id)
            and available in (None, item.available)
            and category in (None, item.category)
            and source in (None, item.source)
            and offer in ("", item.price_offer_id)
            and article in ("", item.article)
            and (least is None or item.price >= least)
            and (most is None or item.price <= most)
            and words in f"{item.name} {item.name_ua} {item.article}".casefold()
        )

    rows = [item for item in call.seller.goods.items.values() if wanted(item)]
    found = call.page("items", rows, lambda item: _item(call, item), call.seller.settings.goods_page)
    return {"count": len(rows), **found}


def goods_counts(call: Call) -> Json:
    return {name.replace("-", "_"): sum(map(tab, call.seller.goods.items.values())) for name, tab in TABS.items()}


def goods_details(call: Call) -> Json:
    item = call.seller.goods.items.get(call.number("item_id") or 0)
    if not item:
        raise Failed(1019)
    return {"item": [{**_item(call, item), "params": [{"name": name, "value": value} for name, value in item.params]}]}


def sell_statuses(_call: Call) -> Json:
    return {"sellStatuses": [{"id": number, "name": name} for number, name in SELL_STATUSES.items()]}


def mass_update(call: Call) -> None:
    """§3.7. A price jump is no error: it just waits, and only reading /goods/prices tells. The good rows of a bad list are taken."""
    rows, errors = call.object().get("items"), {}
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise Failed(1001, {"items": ["Необхідно заповнити"]})
    for row in rows:
        key = row.get("item_id") or row.get("item_rz_id")
        texts = _update(call, row)
        if texts:
            errors[str(key)] = {"reason": [{"id": n, "value": [text]} for n, text in enumerate(texts, 1)]}
    if errors:
        raise ByItem(errors)


def _update(call: Call, row: Json) -> list[str]:
    """What is wrong with the row; nothing of it is taken then."""
    goods = call.seller.goods
    number = row.get("item_id") or goods.by_site.get(row.get("item_rz_id") or 0)
    item = goods.items.get(number) if isinstance(number, int) else None
    if not item or row.get("item_rz_id") not in (None, item.rz_item_id):
        return ["Товар не знайдено"]
    if goods.sources[item.source] != BY_API:
        return ["Джерело не оновлюється через API"]
    if item.blocked:
        return ["Товар заблоковано"]
    names = ("price", "stock_quantity", "price_old", "price_promo", "min_cart_quantity", "max_cart_quantity")
    given = {name: row[name] for name in names if row.get(name) is not None}
    if "price" not in given and "stock_quantity" not in given:
        return ["Необхідно вказати price або stock_quantity"]
    clearable = names[2:]  # by -1
    texts = [
        f"{name}: некоректне значення"
        for name, value in given.items()
        if not isinstance(value, int) or isinstance(value, bool) or (value < 0 and not (name in clearable and value == -1))
    ]
    if not texts and given.get("price") == 0:
        texts = ["price: некоректне значення"]
    if texts:
        return texts
    before = repr(item)
    if "price" in given:
        goods.put_price(item, given["price"])
    if "stock_quantity" in given:
        item.stock = given["stock_quantity"]
        item.available = int(item.stock > 0)
    for name, attribute in (("price_old", "price_old"), ("price_promo", "price_promo")):
        if name in given:
            setattr(item, attribute, None if given[name] == -1 else given[name])
    for name, attribute in (("min_cart_quantity", "min_cart"), ("max_cart_quantity", "max_cart")):
        if name in given:
            setattr(item, attribute, max(0, given[name]))
    if repr(item) != before:
        item.changed = call.seller.now()
        call.seller.writes["items"] += 1
    return []


def create_item(call: Call) -> Json:
    body, seller = call.object(), call.seller
    call.required(body, "name", "name_ua", "category_id", "price", "pictures")
    if not isinstance(body.get("stock_quantity"), int):
        raise Failed(1001, {"stock_quantity": ["Необхідно заповнити"]})
    if body["category_id"] not in seller.goods.categories:
        raise Failed(1005, {"category_id": ["Категорію не знайдено"]})
    if not isinstance(body["price"], int) or body["price"] <= 0 or len(str(body["name"])) > 255:
        raise Failed(1005, {"price": ["Некоректне значення"]})
    offer = str(body.get("price_offer_id") or "")
    if offer and offer in seller.goods.by_offer:
        raise Failed(1005, {"price_offer_id": ["Вже використовується"]})
    pictures = [str(p.get("link") or "data:") for p in body["pictures"] if isinstance(p, dict)]
    item = seller.goods.new(offer, str(body["name"]), body["price"], source=MADE_BY_API)
    item.name_ua, item.category, item.stock = str(body["name_ua"]), body["category_id"], body["stock_quantity"]
    item.available, item.article, item.photos = int(item.stock > 0), str(body.get("article") or ""), pictures
    item.description, item.description_ua = str(body.get("description") or ""), str(body.get("description_ua") or "")
    item.producer = str((body.get("producer") or {}).get("title") or "")
    item.price_old, item.state = body.get("price_old"), str(body.get("state") or "new")
    item.params = [(str(p.get("title")), str(p.get("value"))) for p in body.get("params") or [] if isinstance(p, dict)]
    seller.writes["items"] += 1
    return {"item": {"item_id": item.item_id, "sync_source_id": MADE_BY_API}}


def update_basic(call: Call) -> Json:
    rows, updated, seller = call.object().get("items"), 0, call.seller
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise Failed(1001, {"items": ["Необхідно заповнити"]})
    names = ("name", "name_ua", "description", "description_ua", "article")
    for row in rows:
        number = row.get("item_id") or seller.goods.by_site.get(row.get("rz_item_id") or 0)
        item = seller.goods.items.get(number) if isinstance(number, int) else None
        if not item or item.source == PRICE_LIST:  # content of a price list's goods comes from the price list
            continue
        before = repr(item)
        for name in names:
            if row.get(name):
                setattr(item, name, str(row[name]))
        if repr(item) != before:
            item.changed = seller.now()
            seller.writes["items"] += 1
        updated += 1
    return {"items_updated": updated}


def categories(call: Call) -> Json:
    parent = call.number("parent_id")
    rows = [(n, name, above) for n, (name, above) in call.seller.goods.categories.items() if parent in (None, above)]
    show = {0: "category_id", 1: "name", 2: "parent_id"}
    return call.page("marketCategorys", rows, lambda row: {name: row[n] for n, name in show.items()}, 20)


def category_options(call: Call) -> list[Json]:
    """One row for each value: whoever reads it groups by id."""
    if call.number("category_id") not in call.seller.goods.categories:
        raise Failed(1019)
    common = {"filter_type": "main", "is_global": False}
    colours = ((172872, "Білий"), (172873, "Червоний"))
    rows = [
        {"id": 58922, "name": "Колір", "attr_type": "List", "unit": None, "value_id": n, "value_name": name, **common}
        for n, name in colours
    ]
    weight = {"id": 54107, "name": "Вага", "attr_type": "TextInput", "unit": "кг", "value_id": None, "value_name": None, **common}
    return [weight, *rows]


def sources(call: Call) -> Json:
    goods, s = call.seller.goods, call.seller.settings
    rows = [
        {
            "id": number,
            "seller_id": 1234,
            "title": "Прайс-лист" if number == PRICE_LIST else "API",
            "url": goods.link if number == PRICE_LIST else "",
            "last_sync_ts": moment(goods.synced, s) if number == PRICE_LIST else None,
            "total_items_count": sum(item.source == number for item in goods.items.values()),
            "status": "1",
            "availability": availability,
            "sync_enabled": 1,
            "sync_period": 60,
            "is_virtual_source": 0 if number == PRICE_LIST else 3,
            "ignore_quarantine": not s.quarantine,
            "auth_type": 0,
            "auth_login": None,
            "auth_pass": None,
        }
        for number, availability in goods.sources.items()
    ]
    return call.page("sources", rows, lambda row: row, 100)


def check_price_list(call: Call) -> Json:
    """Only validates; nothing is loaded."""
    body = call.object().get("logXmlValidates")
    if not isinstance(body, dict) or body.get("place") not in ("url", "file"):
        raise Failed(1001, {"place": ["Необхідно заповнити"]})
    if body["place"] == "url" and not str(body.get("place_address") or "").startswith(("http://", "https://")):
        raise Failed(1005, {"place_address": ["Некоректне посилання"]})
    check = call.seller.goods.check(body["place"], str(body.get("place_address") or ""), body.get("file_name"))
    return {"id": check.id}


def price_list_checks(call: Call) -> Json:
    number = call.number("id")
    rows = [check for check in call.seller.goods.checks.values() if number in (None, check.id)]
    s = call.seller.settings
    return call.page(
        "uploaderLogXmls",
        rows[::-1],
        lambda c: {
            "id": c.id, "hash": f"{c.id:08x}", "place": c.place, "place_address": c.address, "file": c.file, "status": c.status,
            "email": "seller@example.com", "report": c.report, "size": c.size, "type": "Auto", "created_at": moment(c.created, s),
        },
        20,
    )  # fmt: skip


Method = Callable[[Call], Any]
# Searches that are empty when asked for nonsense → the name of their list
EMPTY = {
    "/orders/search": "orders", "/order-statuses/search": "orderStatus", "/status-availables/search": "statusAvailables",
    "/delivery-services/search": "deliveryServices", "/localities/search": "localities",
    "/delivery-service-pickups/search": "deliveryServicePickups", "/market-categories/search": "marketCategorys",
    "/item-price-updates/search": "uploaderLogXmls",
}  # fmt: skip
ROUTES: tuple[tuple[str, str, str, Method], ...] = (
    ("POST", "/sites", "", log_in),
    ("POST", "/sites/logout", "", log_out),
    ("GET", "/orders/search", "orders", orders_search),
    ("GET", "/orders/counts(?:-new)?", "orders", orders_counts),
    ("GET", r"/orders/status-payment/(\d+)", "orders", status_payment),
    ("GET", "/payments/payment-statuses", "orders", payment_statuses),
    ("POST", "/orders/update-delivery", "orders", update_delivery),
    ("POST", "/orders/update-receiver", "orders", update_receiver),
    ("GET", r"/orders/(\d+)", "orders", order_get),
    ("PUT", r"/orders/(\d+)", "orders", order_put),
    ("GET", "/order-statuses/search", "orders", order_statuses),
    ("GET", "/status-availables/search", "orders", status_availables),
    ("GET", "/delivery-services/search", "", delivery_services),
    ("GET", "/localities/search", "", localities),
    ("GET", "/delivery-service-pickups/search", "", pickups),
    ("POST", "/delivery-rozetka/create-order-ttn", "orders", create_ttn),
    ("POST", "/delivery-rozetka/ttn-print-batch", "orders", print_ttns),
    ("GET", "(?:/v1)?/goods/counts", "goods", goods_counts),
    ("GET", "/goods/details", "goods", goods_details),
    ("GET", r"/goods/([\w-]+)", "goods", goods_list),
    ("GET", "/items/sell-statuses", "goods", sell_statuses),
    ("PUT", "/items/mass-update", "goods", mass_update),
    ("POST", "/items-create/create", "goods", create_item),
    ("PUT", "/items-create/mass-update-basic-data", "goods", update_basic),
    ("GET", "/market-categories/search", "goods", categories),
    ("GET", "/v1/market-categories/category-options", "goods", category_options),
    ("GET", "/markets/sources-list", "goods", sources),
    ("POST", "/item-price-updates/create", "goods", check_price_list),
    ("GET", "/item-price-updates/search", "goods", price_list_checks),
)
