"""One account of RetailCRM in memory: what a request gets, and what a test does and asks instead of a person at a screen."""

from __future__ import annotations

import gzip
import time
import traceback
import urllib.request
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from threading import RLock
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from obmen.sandbox.retailcrm import api_customers, api_orders, api_service, api_store, forms
from obmen.sandbox.retailcrm.call import Answer, Call, Request, Route, Routes
from obmen.sandbox.retailcrm.catalogue import Catalogue, Loaded
from obmen.sandbox.retailcrm.customers import CORPORATE, PERSON, Customers
from obmen.sandbox.retailcrm.faults import Fault, Faults
from obmen.sandbox.retailcrm.orders import Order, Orders
from obmen.sandbox.retailcrm.state import Account, Actor, Json, Key, Refused, loads

ROUTES = Routes((*api_orders.ROUTES, *api_customers.ROUTES, *api_service.ROUTES, *api_store.ROUTES))
_HTML = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
VERSIONS = ["3.0", "4.0", "5.0"]


@dataclass(frozen=True, slots=True)
class Logged:
    """One request that came. ``form``: structures are parsed JSON, the rest is text."""

    at: datetime
    method: str
    path: str
    query_text: str
    content_type: str
    body: bytes
    key: str
    status: int  # 0: no answer was given
    answer: bytes
    fault: str = ""

    @property
    def query(self) -> forms.Tree:
        return forms.query(self.query_text)

    @property
    def form(self) -> dict[str, Any]:
        return {name: _read(value) for name, value in forms.body(self.content_type, self.body).items()}

    @property
    def json(self) -> Any:
        return loads(self.answer.decode())


def _read(value: Any) -> Any:
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return value
    try:
        return loads(value)
    except ValueError:
        return value


class Limiter:
    """``rate`` requests in any second for each key."""

    def __init__(self, rate: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.monotonic = rate, monotonic
        self._recent: dict[str, deque[float]] = {}

    def allows(self, key: str) -> bool:
        now = self.monotonic()
        recent = self._recent.setdefault(key, deque())
        while recent and now - recent[0] >= 1:
            recent.popleft()
        if len(recent) >= self.rate:
            return False
        recent.append(now)
        return True


class RetailCRM:
    """The account. ``rate``: requests a second for each key, 0 = no limit. ``log``: the last ``keep`` requests.

    ``sites[0]`` is the shop that the methods below take when none is named. Everything that touches the data runs under
    ``lock``; the server does so by itself.
    """

    def __init__(
        self, *, key: str = "sandbox-key", sites: Collection[str] = ("shop",), zone: str = "Europe/Moscow", rate: int = 0,
        clock: Callable[[], datetime] | None = None, keep: int = 5000,
    ) -> None:  # fmt: skip
        self.account = Account(sites, clock)
        self.account.settings.zone = ZoneInfo(zone)
        self.key = self.add_key(key)
        self.catalogue = Catalogue(self.account)
        self.customers = Customers(self.account)
        self.orders = Orders(self.account, self.catalogue, self.customers)
        self.faults = Faults()
        self.limiter = Limiter(rate) if rate else None
        self.log: deque[Logged] = deque(maxlen=keep)
        self.lock = RLock()
        self.ui = Ui(self)
        self.paid_by: dict[int, str] = {}  # payments made through the API → the key
        self.lists: dict[str, tuple[Any, list[Any]]] = {}

    @property
    def site(self) -> str:
        return next(iter(self.account.references["sites"]))

    # --- keys and switches ------------------------------------------------------------------------------------------------

    def add_key(self, value: str, sites: Collection[str] | None = None, scopes: Collection[str] | None = None) -> Key:
        self.account.keys[value] = Key(value, sites, scopes)
        return self.account.keys[value]

    def revoke(self, value: str) -> None:
        self.account.keys[value].active = False

    def set_zone(self, zone: str) -> None:
        """The account moves to another time zone: the same moments, shown otherwise."""
        self.account.settings.zone = ZoneInfo(zone)

    def fault(self, kind: str, times: int = 1, *, path: str = "", method: str = "", seconds: float = 0.0, skip: int = 0) -> Fault:
        """Plans what goes wrong (faults.KINDS) with the next ``times`` requests whose path has ``path`` in it."""
        with self.lock:
            return self.faults.plan(kind, times, path=path, method=method, seconds=seconds, skip=skip)

    @contextmanager
    def late_history(self, journal: str = "orders") -> Iterator[None]:
        """A slow transaction: entries made inside get their ids at once, but are seen only after ``release_history``."""
        with self.lock:
            self.account.journals[journal].holding = True
        try:
            yield
        finally:
            with self.lock:
                self.account.journals[journal].holding = False

    def release_history(self, journal: str = "orders") -> None:
        with self.lock:
            self.account.journals[journal].release()

    def forget_code(self, book: str, code: str) -> None:
        """Removes a row of a reference book, as if the owner had deleted it: ``forget_code("statuses", "new")``."""
        with self.lock:
            del self.account.references[book][code]

    # --- catalogue --------------------------------------------------------------------------------------------------------

    def add_offer(
        self, external_id: str, name: str = "", price: Decimal | int | str = 0, *, site: str = "", xml_id: str | None = None,
        product: str | None = None, **data: Any,
    ) -> int:  # fmt: skip
        """Returns the offer's id. ``data``: article, vatRate, barcode, unit, properties."""
        with self.lock:
            made = self.catalogue.add(
                site or self.site, external_id, name or external_id, price, xml_id=xml_id, product=product, **data
            )
            return made.id

    def forget_offer(self, external_id: str, site: str = "") -> None:
        with self.lock:
            offer = self.catalogue.find({"externalId": external_id}, [site or self.site])
            if offer is None:
                raise LookupError(external_id)
            self.catalogue.forget(offer)

    def load_icml(self, xml: bytes | str, site: str = "") -> Loaded:
        """What the service does with a file that it has fetched. Raises catalogue.BadIcml."""
        with self.lock:
            return self.catalogue.load_icml(xml, site or self.site)

    def pull_icml(self, site: str = "", timeout: float = 30.0) -> Loaded:
        """Fetches the site's ``ymlUrl`` as the service does: without a password, 30 seconds, gzip understood.

        Raises OSError (urllib.error.URLError, TimeoutError) when it cannot be fetched, LookupError when no URL is set,
        catalogue.BadIcml.
        """
        code = site or self.site
        url = str(self.account.references["sites"][code].get("ymlUrl") or "")
        if not url.startswith(("http://", "https://")):
            raise LookupError(f"Site {code} has no ymlUrl")
        request = urllib.request.Request(url, headers={"User-Agent": "RetailCRM", "Accept-Encoding": "gzip"})  # noqa: S310
        with self.lock:
            self.account.references["sites"][code]["catalogLoadingAt"] = self.account.now()
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310 (http and https only, see above)
            raw = answer.read()
            if answer.headers.get("Content-Encoding") == "gzip":
                raw = gzip.decompress(raw)
        return self.load_icml(raw, code)

    def stock(self, external_id: str, site: str = "") -> dict[str, Decimal]:
        """Store → quantity of an offer."""
        with self.lock:
            offer = self.catalogue.find({"externalId": external_id}, [site or self.site])
            if offer is None:
                raise LookupError(external_id)
            return {store: quantity for store, (quantity, _price) in offer.stocks.items()}

    def prices(self, external_id: str, site: str = "") -> dict[str, Decimal]:
        """Price type → price of an offer."""
        with self.lock:
            offer = self.catalogue.find({"externalId": external_id}, [site or self.site])
            if offer is None:
                raise LookupError(external_id)
            return dict(offer.prices)

    # --- looking ----------------------------------------------------------------------------------------------------------

    def order(self, ref: int | str) -> Json:
        """The order as the API shows it: by id (int) or externalId (str)."""
        with self.lock:
            found = self.orders.get("id" if isinstance(ref, int) else "externalId", ref, self.account.references["sites"])
            shown: Json = self.json(self.orders.shown(found))
            return shown

    def all_orders(self) -> list[Json]:
        """Oldest first."""
        with self.lock:
            return [self.json(self.orders.shown(order)) for order in self.orders.rows.values()]

    def json(self, value: Any) -> Any:
        """The value as a client would read it."""
        return loads(self.account.dumps(value).decode())

    def calls(self, path: str = "", method: str = "") -> list[Logged]:
        """Requests whose path has ``path`` in it, oldest first."""
        with self.lock:
            return [one for one in self.log if path in one.path and method in ("", one.method)]

    def assert_no_duplicates(self) -> None:
        """Fails when the API made the same thing twice: orders, payments of an order, customers.

        The same order: made with one key, of the same person, with the same number or lines. The same payment: in one order, with the
        same externalId, or without any and with the same type, amount and date. The same customer: phones, e-mail and name.
        """
        with self.lock:
            problems = [*_twice("orders", self._orders_made()), *_twice("customers", self._customers_made())]
            for order in self.orders.rows.values():
                rows = ((p["id"], _payment_mark(p)) for p in order.payments.values() if p["id"] in self.paid_by)
                problems += _twice(f"payments of order {order.id}", rows)
        assert not problems, "; ".join(problems)

    def _orders_made(self) -> Iterable[tuple[int, Any]]:
        for order in self.orders.rows.values():
            if order.made_by.source == "api":
                lines = tuple(
                    (i["offer"].id if "offer" in i else i["productName"], i["quantity"], i["initialPrice"]) for i in order.items
                )
                own = order.data["number"] if not order.data["number"].startswith(str(order.id)) else ""
                yield order.id, (order.made_by.key, order.site, order.customer, order.data.get("phone"), own, lines)

    def _customers_made(self) -> Iterable[tuple[int, Any]]:
        for c in self.customers.rows.values():
            name = tuple(c.data.get(k) for k in ("firstName", "lastName", "nickName", "email"))
            if c.made_by.source == "api" and any(name):
                yield c.id, (c.made_by.key, c.type, c.site, name, tuple(c.phones))

    # --- requests ---------------------------------------------------------------------------------------------------------

    def handle(self, request: Request) -> tuple[Answer | None, Fault | None]:
        """(answer, what went wrong on purpose). Without an answer the connection is to be dropped; a "slow", "timeout" or
        "lost" one after ``fault.seconds``. Waiting is the server's business: nobody else has to wait with it."""
        with self.lock:
            fault = self.faults.take(request.method, request.path)
            answer = None if fault and fault.kind == "timeout" else self._spoilt(fault) or self._answer(request, fault)
            if fault and answer:
                answer = _after(fault, answer)
            status, body = (answer.status, answer.body) if answer else (0, b"")
            self.log.append(
                Logged(
                    self.account.now(), request.method, request.path, request.query, request.content_type, request.body,
                    request.key, status, body, fault.kind if fault else "",
                )
            )  # fmt: skip
            return answer, fault

    def _spoilt(self, fault: Fault | None) -> Answer | None:
        """Faults that leave the work undone."""
        match fault.kind if fault else "":
            case "503":
                return self._refusal(Refused(503, "Rate limit exceeded"))
            case "429":
                return self._refusal(Refused(429, "Too Many Requests"))
            case "500":
                return Answer(500, _HTML.format("500 Internal Server Error").encode(), "text/html; charset=utf-8")
            case "revoked":
                return self._refusal(Refused(403, 'Wrong "apiKey" value.'))
        return None

    def _answer(self, request: Request, fault: Fault | None) -> Answer:
        try:
            result = self._work(request, fault)
        except Refused as refused:
            return self._refusal(refused)
        except Exception:
            traceback.print_exc()  # the sandbox's own mistake: whoever watches it should see it
            return self._refusal(Refused(500, "Internal Server Error"))
        if isinstance(result, Answer):
            return result
        status, body = result if isinstance(result, tuple) else (200, result)
        return Answer(status, self.account.dumps(body))

    def _refusal(self, refused: Refused) -> Answer:
        return Answer(refused.status, self.account.dumps(refused.answer))

    def _work(self, request: Request, fault: Fault | None) -> Any:
        path = request.path.rstrip("/")
        if path == "/api/api-versions":
            return {"success": True, "versions": VERSIONS}
        if path == "/api/system-info":
            host = "https://sandbox.retailcrm.example"
            return {"success": True, "systemVersion": "8.1.51", "publicUrl": host, "technicalUrl": host}
        query = forms.query(request.query)
        form = forms.body(request.content_type, request.body) if request.method == "POST" else {}
        key = self._key(request.key or str(form.get("apiKey") or query.get("apiKey") or ""))
        if self.limiter and not self.limiter.allows(key.value):
            raise Refused(503, "Rate limit exceeded")
        call = Call(self, key, query, form, request.body, partial=bool(fault and fault.kind == "partial"))
        if path == "/api/credentials":
            return self._credentials(call)
        if not path.startswith("/api/v5/"):
            raise Refused(404, "API method not found")
        route, params = ROUTES.find(request.method, path.removeprefix("/api/v5"))
        if route.scope and key.scopes is not None and route.scope not in key.scopes:
            raise Refused(403, "Access denied.")
        call.params = {name: unquote(value) for name, value in params.items()}
        return route.method(call)

    def _key(self, value: str) -> Key:
        if not value:
            raise Refused(403, '"apiKey" is missing.')
        key = self.account.keys.get(value)
        if key is None or not key.active:
            raise Refused(403, 'Wrong "apiKey" value.')
        return key

    def _credentials(self, call: Call) -> Json:
        scopes = [s for s in api_service.SCOPES if call.key.scopes is None or s in call.key.scopes]
        routes: list[Route] = [r for r in ROUTES.all if not r.scope or r.scope in scopes]
        return {
            "success": True,
            "credentials": ["/api" + route.path for route in routes],
            "scopes": scopes,
            "siteAccess": "access_full" if call.key.sites is None else "access_selective",
            "sitesAvailable": call.allowed(),
        }


def _after(fault: Fault, answer: Answer) -> Answer | None:
    """Faults of an answer to work that is done."""
    match fault.kind:
        case "lost":
            return None
        case "truncated":
            return Answer(answer.status, answer.body[: len(answer.body) // 2], answer.content_type)
        case "html":
            return Answer(answer.status, _HTML.format("RetailCRM").encode(), "text/html; charset=utf-8")
    return answer


def _twice(what: str, rows: Iterable[tuple[int, Any]]) -> list[str]:
    met: dict[Any, list[int]] = {}
    for number, mark in rows:
        met.setdefault(mark, []).append(number)
    return [f"{what} {', '.join(map(str, ids))} are the same" for ids in met.values() if len(ids) > 1]


def _payment_mark(payment: Json) -> Any:
    own = payment.get("externalId")
    return own or (payment["type"], payment.get("amount"), payment.get("paidAt"))


class Ui:
    """What people do in the service's own screens: source "user" in the journal. ``user``: a manager's id, 19 when none is given."""

    def __init__(self, crm: RetailCRM) -> None:
        self.crm = crm

    def create_order(
        self, items: Iterable[tuple[Any, ...] | Mapping[str, Any]] = (), *, site: str = "", user: int = 19, **fields: Any
    ) -> Json:
        """The new order. ``items``: (externalId of the offer[, quantity[, price]]) or lines as the API takes them; ``fields``: as
        the API takes them (firstName, phone, customer, delivery, payments, …). Raises state.Refused."""
        with self.crm.lock:
            rows = [_line(item) for item in items]
            data = {"managerId": user, **fields, **({"items": rows} if rows else {})}
            return self._shown(self.crm.orders.create(site or self.crm.site, data, Actor("user", user)))

    def edit(self, order: int, user: int = 19, **fields: Any) -> Json:
        """Changes any fields that the API takes."""
        with self.crm.lock:
            found = self._order(order)
            self.crm.orders.edit(found, fields, Actor("user", user))
            return self._shown(found)

    def set_status(self, order: int, code: str, user: int = 19) -> Json:
        return self.edit(order, user, status=code)

    def add_item(self, order: int, offer: str, quantity: Any = 1, price: Any = None, user: int = 19) -> Json:
        """A further line. ``offer``: externalId."""
        row = _line((offer, quantity) if price is None else (offer, quantity, price))
        return self.edit(order, user, items=[*self._lines(order), row])

    def remove_item(self, order: int, item: int, user: int = 19) -> Json:
        return self.edit(order, user, items=[row for row in self._lines(order) if row["id"] != item])

    def change_qty(self, order: int, item: int, quantity: Any, user: int = 19) -> Json:
        lines = [{**row, "quantity": quantity} if row["id"] == item else row for row in self._lines(order)]
        return self.edit(order, user, items=lines)

    def add_payment(
        self, order: int, type: str = "cash", amount: Any = None, status: str = "not-paid", user: int = 19, **data: Any
    ) -> int:
        """Returns the payment's id. Without an amount it is for all that is still to be paid."""
        with self.crm.lock:
            given = {"type": type, "status": status, **data, **({} if amount is None else {"amount": amount})}
            return int(self.crm.orders.add_payment(self._order(order), given, Actor("user", user))["id"])

    def pay(self, order: int, payment: int, status: str = "paid", user: int = 19) -> Json:
        """The payment gets another status; a date as well when that means paid."""
        with self.crm.lock:
            found = self._order(order)
            done = self.crm.account.references["payment-statuses"][status].get("paymentComplete")
            data = {"status": status, **({"paidAt": self.crm.account.today()} if done else {})}
            self.crm.orders.edit_payment(found, found.payments[payment], data, Actor("user", user))
            return self._shown(found)

    def delete_payment(self, order: int, payment: int, user: int = 19) -> Json:
        with self.crm.lock:
            found = self._order(order)
            self.crm.orders.delete_payment(found, found.payments[payment], Actor("user", user))
            return self._shown(found)

    def switch_customer(
        self, order: int, customer: int, *, contact: int | None = None, company: int | None = None, user: int = 19
    ) -> Json:
        """Another client: a person, or a company with a contact and a legal entity."""
        fields: Json = {"customer": {"id": customer}}
        if contact:
            fields["contact"] = {"id": contact}
        if company:
            fields["company"] = {"id": company}
        with self.crm.lock:
            person = self.crm.customers.rows[contact or customer]
            names = {k: person.data.get(k) for k in ("firstName", "lastName", "patronymic", "email")}
            phone = person.phones[0] if person.phones else None
            return self.edit(order, user, **names, phone=phone, **fields)

    def create_customer(self, *, site: str = "", corporate: bool = False, user: int = 19, **fields: Any) -> int:
        """Returns the id. ``fields``: as the API takes them."""
        with self.crm.lock:
            kind = CORPORATE if corporate else PERSON
            return self.crm.customers.create(kind, site or self.crm.site, fields, Actor("user", user)).id

    def edit_customer(self, customer: int, user: int = 19, **fields: Any) -> None:
        with self.crm.lock:
            self.crm.customers.edit(self.crm.customers.rows[customer], fields, Actor("user", user))

    def add_company(self, customer: int, user: int = 19, **fields: Any) -> int:
        """A legal entity of a corporate customer: name, contragent, …"""
        with self.crm.lock:
            owner = self.crm.customers.rows[customer]
            return int(self.crm.customers.add_child(owner, "company", fields, Actor("user", user))["id"])

    def add_contact(self, customer: int, person: int, user: int = 19) -> int:
        with self.crm.lock:
            owner = self.crm.customers.rows[customer]
            data = {"customer": {"id": person}}
            return int(self.crm.customers.add_child(owner, "contact", data, Actor("user", user))["id"])

    def delete_customer(self, customer: int, user: int = 19) -> None:
        with self.crm.lock:
            self.crm.customers.delete(self.crm.customers.rows[customer], Actor("user", user))

    def combine(self, order: int, result: int, technique: str = "ours", user: int = 19) -> Json:
        """``order`` goes away into ``result``."""
        with self.crm.lock:
            self.crm.orders.combine(self._order(order), self._order(result), technique, Actor("user", user))
            return self._shown(self._order(result))

    def delete_order(self, order: int, user: int = 19) -> None:
        with self.crm.lock:
            self.crm.orders.delete(self._order(order), Actor("user", user))

    def _order(self, number: int) -> Order:
        return self.crm.orders.rows[number]

    def _lines(self, order: int) -> list[Json]:
        return [{"id": item["id"]} for item in self._order(order).items]

    def _shown(self, order: Order) -> Json:
        shown: Json = self.crm.json(self.crm.orders.shown(order))
        return shown


def _line(item: tuple[Any, ...] | Mapping[str, Any]) -> Json:
    if isinstance(item, Mapping):
        return dict(item)
    offer, quantity, price = (*item, 1, None)[:3] if len(item) == 1 else (*item, None)[:3]
    return {"offer": {"externalId": offer}, "quantity": quantity, **({} if price is None else {"initialPrice": price})}
