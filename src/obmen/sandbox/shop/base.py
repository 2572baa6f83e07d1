"""A shop: its goods, its orders, and how it answers an accounting system. The profiles beside this module say where each differs.

What stands here is a site that keeps to the book (facts on CommerceML §1.12): a session for each checkauth, two lines for init,
files appended within their session, mode=import that may be repeated, orders offered by query and delivered by success.
"""

from __future__ import annotations

import copy
import io
import secrets
import threading
import zipfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from obmen.sandbox.shop import reader
from obmen.sandbox.shop.call import Answer, Logged, Request
from obmen.sandbox.shop.faults import Fault, Faults
from obmen.sandbox.shop.reader import Card, File, Paper, PaperLine, Terms, Unreadable
from obmen.sandbox.shop.state import Buyer, Clock, Goods, Line, Offer, Order, PaymentDoc, Product, ShipmentDoc
from obmen.sandbox.shop.xml import PIECE, Raw, boolean, el, many, money, plain, requisites

BOM = b"\xef\xbb\xbf"
LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>Login</title></head><body><form><input name=login></form></body></html>"
UPLOADED = 256 * 1024 * 1024  # bytes of one exchange folder
UNPACKED = 1024 * 1024 * 1024


class Failure(Exception):
    """What the shop answers with ``failure``; the text is the second line."""


@dataclass
class Settings:
    """What the owner of the shop has set. Profiles add theirs."""

    zip: bool = False
    file_limit: int = 1_048_576
    slice: int = 0  # records of one mode=import call; 0: all in one
    currency: str = "RUB"
    zone: str = "Europe/Moscow"
    shipping_line: bool = True  # delivery is a line of the order
    statuses: tuple[str, ...] = ()  # only orders in these; empty: all
    from_order: int = 0
    import_orders: bool = True  # what the accounting system says of orders is taken


@dataclass
class Session:
    cookie: str
    type: str
    sessid: str = ""
    files: dict[str, bytearray] = field(default_factory=dict)
    version: str = ""
    cml: str = ""
    offered: dict[int, int] = field(default_factory=dict)  # order → revision
    started: datetime | None = None


class Shop:
    """The clean site. Everything runs under ``lock``; what is named without an underscore may be called by tests."""

    key: ClassVar[str] = "generic"
    title: ClassVar[str] = "A site that keeps to CommerceML"
    address: ClassVar[str] = "/exchange/1c"
    cookie: ClassVar[str] = "PHPSESSID"
    schema: ClassVar[str] = "2.07"  # ВерсияСхемы of its orders
    settings_class: ClassVar[type[Settings]] = Settings
    states: ClassVar[Mapping[str, str]] = {
        "new": "Новый",
        "confirmed": "Подтверждён",
        "paid": "Оплачен",
        "shipped": "Отгружен",
        "done": "Выполнен",
        "cancelled": "Отменён",
    }
    cancelled_state: ClassVar[str] = "cancelled"
    deliveries: ClassVar[Mapping[str, str]] = {"courier": "Курьер", "pickup": "Самовывоз"}
    payment_kinds: ClassVar[Mapping[str, str]] = {"cash": "Наличными курьеру", "card": "Банковской картой"}
    marks: ClassVar[frozenset[str]] = frozenset({"attribute", "child", "mark"})  # spellings of "deleted" that it understands
    missing_stock: ClassVar[str] = "keep"  # keep | zero: an offer without Количество
    first_order: ClassVar[int] = 1001

    def __init__(
        self,
        *,
        login: str = "1c@example.com",
        password: str = "sandbox",  # noqa: S107
        clock: Clock | None = None,
        keep: int = 5000,
        **settings: Any,
    ) -> None:
        """``keep``: exchanges that are remembered. Raises TypeError for a setting that the profile has not."""
        self.login, self.password = login, password
        self.settings = self.settings_class(**settings)
        self.clock: Clock = clock or (lambda: datetime.now(UTC))
        self.lock = threading.RLock()
        self.goods, self.orders, self.faults = Goods(), dict[int, Order](), Faults()
        self.sessions: dict[str, Session] = {}
        self.jobs: dict[tuple[str, str], Iterator[str]] = {}
        self.finished: set[tuple[str, str]] = set()
        self.log: deque[Logged] = deque(maxlen=keep)
        self.documents = 5000  # the last number of a payment or shipment
        self.writes: Counter[str] = Counter()  # what exchange has really changed: products, offers, orders …

    # --- time ---------------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return self.clock().astimezone(UTC).replace(microsecond=0)

    def local(self, moment: datetime) -> datetime:
        return moment.astimezone(ZoneInfo(self.settings.zone))

    # --- what the owner and the customers do --------------------------------------------------------------------------------------

    def buy(
        self, items: Sequence[tuple[Any, ...]] = (), *, buyer: Buyer | None = None, delivery: str | None = None, shipping: object = 0,
        payment: str | None = None, paid: bool = False, status: str = "", comment: str = "", discount: object = 0, surcharge: object = 0,
        lines: Sequence[Line] = (),
    ) -> Order:  # fmt: skip
        """A customer orders. ``items``: (offer id, quantity[, price]); ``lines`` instead for what is special. Raises KeyError for
        an offer that the shop does not sell."""
        with self.lock:
            now = self.now()
            number = max(self.orders, default=self.first_order - 1) + 1
            order = Order(
                number,
                now,
                now,
                status or next(iter(self.states)),
                buyer or Buyer("Иван", "Петров", "+79161112233", "ivan@example.com"),
                [],
                self.settings.currency,
                delivery=next(iter(self.deliveries)) if delivery is None else delivery,
                shipping=Decimal(str(shipping)),
                payment=next(iter(self.payment_kinds)) if payment is None else payment,
                surcharge=Decimal(str(surcharge)),
                discount=Decimal(str(discount)),
                comment=comment,
            )
            order.lines = list(lines) or [self.line(*item) for item in items]
            self._number(order)
            if order.payment:
                order.payments.append(PaymentDoc(self._document(), order.payment, order.total))
            if order.delivery:
                order.shipments.append(ShipmentDoc(self._document(), order.delivery, order.shipping))
            self.orders[number] = order
            if paid:
                self.pay(number)
                order.revision = 1
            return order

    def line(self, offer_id: str, quantity: object = 1, price: object = None) -> Line:
        """A line of what is sold here. Raises KeyError."""
        found = self.goods.find(offer_id)
        if not found:
            raise KeyError(offer_id)
        product, offer = found
        value = Decimal(str(price)) if price is not None else next(iter(offer.prices.values()), Decimal(0))
        name = f"{product.name} ({', '.join(offer.options.values())})" if offer.options else product.name
        article = offer.article or product.article
        return Line(offer_id, name, value, Decimal(str(quantity)), article, options=tuple(offer.options.items()))

    def touch(self, order: int) -> Order:
        """What follows any change made in the shop itself."""
        row = self.orders[order]
        row.updated, row.own = self.now(), True
        row.revision += 1
        self._number(row)
        return row

    def set_status(self, order: int, status: str) -> None:
        """Raises KeyError for a status that the shop has not."""
        with self.lock:
            _known(self.states, status)
            self.orders[order].status = status
            self.orders[order].cancelled = status == self.cancelled_state
            self.touch(order)

    def pay(self, order: int, paid: bool = True) -> None:
        with self.lock:
            row = self.orders[order]
            if not row.payments:
                row.payments.append(PaymentDoc(self._document(), row.payment, row.total))
            for payment in row.payments:
                payment.paid, payment.date = paid, self.now() if paid else None
            self.touch(order)

    def cancel(self, order: int, reason: str = "") -> None:
        with self.lock:
            row = self.orders[order]
            row.status, row.cancelled, row.reason = self.cancelled_state, True, reason
            self.touch(order)

    def ship(self, order: int, track: str = "") -> None:
        with self.lock:
            for shipment in self.orders[order].shipments:
                shipment.shipped, shipment.date, shipment.track = True, self.now(), track
            self.touch(order)

    def change(self, order: int, **values: Any) -> None:
        """Any field of the order: comment, lines, shipping …"""
        with self.lock:
            for name, value in values.items():
                if name not in {f.name for f in fields(Order)}:
                    raise KeyError(name)
                setattr(self.orders[order], name, value)
            self.touch(order)

    def add_line(self, order: int, offer_id: str, quantity: object = 1, price: object = None) -> None:
        with self.lock:
            self.orders[order].lines.append(self.line(offer_id, quantity, price))
            self.touch(order)

    def set_quantity(self, order: int, line: int, quantity: object) -> None:
        with self.lock:
            self.orders[order].lines[line].quantity = Decimal(str(quantity))
            self.touch(order)

    def remove_line(self, order: int, line: int) -> None:
        with self.lock:
            del self.orders[order].lines[line]
            self.touch(order)

    def _number(self, order: Order) -> None:
        top = max((line.number for line in order.lines), default=0) or order.id * 10
        for line in order.lines:
            if not line.number:
                top += 1
                line.number = top

    def _document(self) -> int:
        self.documents += 1
        return self.documents

    # --- what tests look at ---------------------------------------------------------------------------------------------------------

    def fault(self, kind: str, times: int = 1, *, part: str = "", seconds: float = 0.0, skip: int = 0) -> Fault:
        with self.lock:
            return self.faults.plan(kind, times, part=part, seconds=seconds, skip=skip)

    def calls(self, part: str = "") -> list[Logged]:
        """Exchanges whose query has all words of ``part`` in it, oldest first."""
        with self.lock:
            return [one for one in self.log if all(word in one.query for word in part.split())]

    def also(self, _path: str, _query: str) -> bool:
        """Whether the exchange answers at this address, too."""
        return False

    # --- a request --------------------------------------------------------------------------------------------------------------------

    def meet(self, request: Request) -> Fault | None:
        """The fault that waits for this request; asked once, before the body is read."""
        with self.lock:
            return self.faults.take(request.query)

    def handle(self, request: Request, fault: Fault | None = None) -> Answer | None:
        """None: nothing is sent, the connection is dropped."""
        with self.lock:
            answer = self._disturbed(request, fault) if fault else self._respond(request)
            entry = Logged(
                self.now(), request.method, request.path, request.query, request.body, answer.status if answer else 0,
                answer.body if answer else b"", fault.kind if fault else "",
            )  # fmt: skip
            self.log.append(entry)
            return answer

    def _disturbed(self, request: Request, fault: Fault) -> Answer | None:
        match fault.kind:
            case "timeout":
                return None
            case "lost":
                self._respond(request)
                return None
            case "cut":
                self._respond(request)  # what had arrived of the body lies in the folder now
                return None
            case "truncated":
                whole = self._respond(request)
                return replace(whole, body=whole.body[: len(whole.body) // 2], whole=max(len(whole.body), 1))
            case "503":
                return Answer(b"<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>", 503, "text/html")
            case "500":
                return Answer(b"", 500, "text/html")
            case "empty":
                return Answer(b"", content_type="text/html")
            case "login":
                return Answer(LOGIN_PAGE, content_type="text/html; charset=utf-8")
            case "failure":
                return self._text("failure\nОшибка базы данных")
            case "session":
                self.forget_sessions()
            case "progress":
                return self._text("progress\n")
            case "hollow":
                return self._text("success\n")
            case "notice":
                answer = self._respond(request)
                return replace(
                    answer,
                    body=b"<br />\n<b>Notice</b>:  Undefined index: x in <b>x.php</b> on line <b>1</b><br />\n" + answer.body,
                )
        return self._respond(request)

    def forget_sessions(self) -> None:
        with self.lock:
            self.sessions.clear()
            self.jobs.clear()

    def _respond(self, request: Request) -> Answer:
        try:
            refusal = self._admit(request)
            return refusal or self._answer(request)
        except Failure as failure:
            return self._failure(str(failure))
        except Unreadable as error:
            return self._failure(f"Ошибка чтения файла: {error}")

    def _answer(self, request: Request) -> Answer:
        catalog, sale = request.type == "catalog", request.type == "sale"
        match request.mode:
            case "checkauth" if catalog or sale:
                return self.checkauth(request)
            case "init" if catalog or sale:
                return self.init(request)
            case "file" if catalog or sale:
                return self.file(request)
            case "import" if catalog or sale:
                return self.run_import(request)
            case "query" if sale:
                return self.query(request)
            case "success" if sale:
                return self.success(request)
            case "info" if sale:
                return self.info(request)
            case "deactivate" | "complete" if catalog:
                return self.closing(request)
        return self.unknown(request)

    def unknown(self, _request: Request) -> Answer:
        return self._text("failure\nUnknown command type.")

    def _text(self, text: str) -> Answer:
        return Answer(text.encode())

    def _failure(self, reason: str) -> Answer:
        return self._text(f"failure\n{reason}")

    # --- who it is ----------------------------------------------------------------------------------------------------------------------

    def right(self, request: Request) -> bool:
        return request.credentials == (self.login, self.password)

    def _admit(self, request: Request) -> Answer | None:
        """None when the request may go on."""
        if request.mode == "checkauth":
            if self.right(request):
                return None
            realm = ("WWW-Authenticate", 'Basic realm="1C"')
            return replace(self._failure("Неверный логин или пароль"), status=401, headers=(realm,))
        if self._session(request) is None:
            return self._failure("Сессия не найдена, начните обмен с checkauth")
        return None

    def _session(self, request: Request) -> Session | None:
        return self.sessions.get(request.cookies.get(self.cookie, ""))

    def here(self, request: Request) -> Session:
        """The session of a request that was admitted."""
        session = self._session(request)
        if session is None:
            raise Failure("no session")
        return session

    # --- modes ----------------------------------------------------------------------------------------------------------------------------

    def checkauth(self, request: Request) -> Answer:
        session = self.open(request.type)
        return self._text(f"success\n{self.cookie}\n{session.cookie}\n")

    def open(self, type: str) -> Session:
        session = Session(secrets.token_hex(13), type, secrets.token_hex(16), started=self.now())
        self.sessions[session.cookie] = session
        while len(self.sessions) > 200:
            del self.sessions[next(iter(self.sessions))]
        return session

    def init(self, request: Request) -> Answer:
        session = self.here(request)
        session.files.clear()
        return self._text(f"zip={'yes' if self.settings.zip else 'no'}\nfile_limit={self.settings.file_limit}")

    def folder(self, request: Request) -> dict[str, bytearray]:
        """Where this request's files lie."""
        return self.here(request).files

    def stored(self, name: str) -> str:
        """The name under which an uploaded file is kept."""
        return name.replace("\\", "/").lstrip("/")

    def file(self, request: Request) -> Answer:
        folder, name = self.folder(request), self.stored(request.filename)
        if not name:
            raise Failure("Не указано имя файла")
        self.append(folder, name, request.body)
        self.finished = {job for job in self.finished if job[1] != name}
        return self._text("success\n")

    def append(self, folder: dict[str, bytearray], name: str, body: bytes) -> None:
        if sum(map(len, folder.values())) + len(body) > UPLOADED:
            raise Failure("Превышен размер загрузки")
        folder.setdefault(name, bytearray()).extend(body)

    def unpack(self, folder: dict[str, bytearray]) -> bool:
        """Opens the archives of a folder. Raises Failure for one that is none."""
        found = [name for name in folder if name.lower().endswith(".zip")]
        for name in found:
            raw = folder.pop(name)
            try:
                with zipfile.ZipFile(io.BytesIO(raw)) as archive:
                    if sum(one.file_size for one in archive.infolist()) > UNPACKED:
                        raise Failure("Архив слишком велик")
                    for one in archive.infolist():
                        if not one.is_dir():
                            folder[self.stored(one.filename)] = bytearray(archive.read(one))
            except zipfile.BadZipFile:
                raise Failure(f"Ошибка распаковки архива {name}") from None
        return bool(found)

    def run_import(self, request: Request) -> Answer:
        """One step of the work on a file. It may be asked for again when it is done: the client may not have heard so."""
        name, folder = self.stored(request.filename), self.folder(request)
        key = (self.job_scope(request), name)
        if key not in self.jobs:
            if key in self.finished:
                return self.done(request)
            self.jobs[key] = self.steps(request, folder, name)
        try:
            said = next(self.jobs[key])
        except StopIteration:
            del self.jobs[key]
            self.finished.add(key)
            return self.done(request)
        except Exception:
            del self.jobs[key]
            raise
        return self.progress(said)

    def job_scope(self, request: Request) -> str:
        return self.here(request).cookie

    def progress(self, said: str) -> Answer:
        return self._text(f"progress\n{said}")

    def done(self, _request: Request) -> Answer:
        return self._text("success\n")

    def steps(self, request: Request, folder: dict[str, bytearray], name: str) -> Iterator[str]:
        """What is to be done with an uploaded file; at each yield the shop says ``progress``."""
        if self.unpack(folder):
            yield "Архив распакован"
        if name not in folder:
            raise Failure(f"Файл {name} не найден")
        file = reader.read(bytes(folder[name]))
        if request.type == "sale":
            yield from self.slices(file.papers, self.apply)
        else:
            yield from self.load(file, folder)

    def slices(self, rows: Sequence[Any], work: Callable[[Any], None]) -> Iterator[str]:
        """``work`` for each of them, with a pause after every ``slice`` ones."""
        for done, row in enumerate(rows, 1):
            work(row)
            if self.settings.slice and done % self.settings.slice == 0 and done < len(rows):
                yield f"Обработано {done} из {len(rows)}"

    def closing(self, _request: Request) -> Answer:
        return self._text("success\n")

    # --- goods in ---------------------------------------------------------------------------------------------------------------------

    def load(self, file: File, folder: dict[str, bytearray]) -> Iterator[str]:
        self.keep_pictures(folder)
        self.load_references(file)
        yield from self.slices(file.cards, lambda card: self.load_card(file, card))
        yield from self.slices(file.terms, lambda terms: self.load_terms(file, terms))

    def keep_pictures(self, folder: dict[str, bytearray]) -> None:
        for name, content in folder.items():
            if name.rpartition(".")[2].lower() in ("jpg", "jpeg", "png", "gif", "webp"):
                self.put(self.goods.pictures, name, bytes(content), "pictures")

    def put(self, book: dict[str, Any], key: str, value: Any, counted: str) -> None:
        if book.get(key) != value:
            book[key] = value
            self.writes[counted] += 1

    def load_references(self, file: File) -> None:
        self.load_groups(file)
        for key, name, currency in file.kinds:
            self.put(self.goods.kinds, key, (name, currency), "kinds")
        for key, name in file.warehouses:
            self.put(self.goods.warehouses, key, name, "warehouses")
        for one in file.properties:
            self.put(self.goods.properties, one.id, (one.name, one.type, one.values), "properties")

    def load_groups(self, file: File) -> None:
        for key, name, parent in file.groups:
            self.put(self.goods.groups, key, (name, parent), "groups")

    def gone(self, marks: Iterable[str]) -> bool:
        return bool(self.marks & set(marks))

    def load_card(self, file: File, card: Card) -> None:
        key, _hash, variant = card.id.partition("#")
        product = self.find_product(card)
        if self.gone(card.marks):
            if product:
                self.remove_card(product, variant)
            return
        before = _copy(product)
        if product is None:
            product = self.new_product(key)
        product.active = True
        product.catalogue = file.catalogue or product.catalogue
        self.fill(product, card, variant)
        if variant:
            offer = product.offer(variant)
            offer.name, offer.options = card.name, card.options or offer.options
            offer.article, offer.barcode = card.article or offer.article, card.barcode or offer.barcode
        if before != product:
            self.writes["products"] += 1

    def find_product(self, card: Card) -> Product | None:
        return self.goods.products.get(card.id.partition("#")[0])

    def new_product(self, key: str) -> Product:
        return self.goods.new(key)

    def fill(self, product: Product, card: Card, variant: str) -> None:
        name = card.full_name if variant and card.full_name else card.name
        product.name = name or product.name
        product.article, product.code = card.article or product.article, card.code or product.code
        product.unit, product.rate, product.maker = (
            card.unit or product.unit,
            card.rate or product.rate,
            card.maker or product.maker,
        )
        if not variant:
            product.barcode = card.barcode or product.barcode
        if card.description is not None:
            product.description = card.description
        if card.groups is not None:
            product.groups = card.groups
        if card.pictures is not None:
            product.pictures = card.pictures
        if card.properties:
            product.properties = {**product.properties, **card.properties}

    def remove_card(self, product: Product, variant: str) -> None:
        """A deletion mark hides the product and keeps it (facts on CommerceML §4.3)."""
        if variant:
            if product.offers.pop(variant, None):
                self.writes["products"] += 1
        elif product.active:
            product.active = False
            self.writes["products"] += 1

    def load_terms(self, file: File, terms: Terms) -> None:
        key, _hash, variant = terms.id.partition("#")
        product = self.goods.products.get(key)
        if product is None:
            return self.stranger(terms)
        if self.gone(terms.marks):
            return self.remove_card(product, variant)
        offer = product.offers.get(variant)
        before = _copy(offer)
        if offer is None:
            offer = product.offer(variant)
        offer.name, offer.article = terms.name or offer.name, terms.article or offer.article
        offer.barcode, offer.options = terms.barcode or offer.barcode, terms.options or offer.options
        self.price(offer, terms, file)
        self.stock(offer, terms)
        if before != offer:
            self.writes["offers"] += 1
        return None

    def stranger(self, _terms: Terms) -> None:
        """An offer of a product that the shop has not: left out."""

    def price(self, offer: Offer, terms: Terms, _file: File) -> None:
        for kind, (value, _currency) in (terms.prices or {}).items():
            offer.prices[kind] = value

    def stock(self, offer: Offer, terms: Terms) -> None:
        if terms.stock is not None:
            offer.stock = {**offer.stock, **terms.stock}
        if terms.quantity is not None:
            offer.quantity = terms.quantity
        elif terms.stock is not None:
            offer.quantity = sum(offer.stock.values(), Decimal(0))
        elif self.missing_stock == "zero":
            offer.quantity = Decimal(0)

    # --- orders out --------------------------------------------------------------------------------------------------------------------

    def query(self, request: Request) -> Answer:
        session = self.here(request)
        orders = [order for order in self.selected() if order.revision > order.sent]
        session.offered = {order.id: order.revision for order in orders}
        return self.document([self.order_xml(order) for order in orders])

    def selected(self) -> Iterator[Order]:
        """Orders that the settings let out."""
        for order in self.orders.values():
            if order.id >= self.settings.from_order and (not self.settings.statuses or order.status in self.settings.statuses):
                yield order

    def document(self, orders: Sequence[Raw], encoding: str = "UTF-8", attributes: Mapping[str, str] | None = None) -> Answer:
        root = {
            "ВерсияСхемы": self.schema,
            "ДатаФормирования": f"{self.local(self.now()):%Y-%m-%dT%H:%M:%S}",
            **(attributes or {}),
        }
        text = f'<?xml version="1.0" encoding="{encoding}"?>\n{el("КоммерческаяИнформация", many(orders), attributes=root)}'
        return Answer(text.encode(encoding, "xmlcharrefreplace"), content_type=f"application/xml; charset={encoding.lower()}")

    def success(self, request: Request) -> Answer:
        session = self.here(request)
        for number, revision in session.offered.items():
            self.orders[number].sent = max(self.orders[number].sent, revision)
        session.offered = {}
        return self._text("success")

    def order_xml(self, order: Order) -> Raw:
        created = self.local(order.created)
        return el(
            "Документ",
            el("Ид", order.id),
            el("Номер", order.id),
            el("Дата", f"{created:%Y-%m-%d}"),
            el("ХозОперация", "Заказ товара"),
            el("Роль", "Продавец"),
            el("Валюта", order.currency),
            el("Курс", "1"),
            el("Сумма", money(order.total)),
            el("Контрагенты", self.party(order)),
            el("Время", f"{created:%H:%M:%S}"),
            el("Комментарий", order.comment),
            el("Товары", many(self.line_xml(order, line) for line in order.lines), many(self.services(order))),
            requisites(self.requisites(order)),
        )

    def party(self, order: Order) -> Raw:
        b = order.buyer
        person = (el("ПолноеНаименование", b.name), el("Фамилия", b.last_name), el("Имя", b.first_name))
        firm = (el("ОфициальноеНаименование", b.company), el("ИНН", b.inn), el("КПП", b.kpp) if b.kpp else None)
        where = ", ".join(filter(None, (b.zip, b.country, b.city, b.address)))
        contacts = (("Почта", b.email), ("Телефон рабочий", b.phone))
        return el(
            "Контрагент",
            el("Ид", b.user or f"guest-{order.id}"),
            el("Наименование", b.name),
            *(firm if b.company else person),
            el("Адрес", el("Представление", where)) if where else None,
            el("Контакты", many(el("Контакт", el("Тип", kind), el("Значение", value)) for kind, value in contacts if value)),
            el("Роль", "Покупатель"),
        )

    def line_xml(self, _order: Order, line: Line) -> Raw:
        return el(
            "Товар",
            el("Ид", line.offer),
            el("Артикул", line.article),
            el("Наименование", line.name),
            el("БазоваяЕдиница", "шт", attributes=PIECE),
            el("ЦенаЗаЕдиницу", money(line.total / line.quantity if line.quantity else line.price)),
            el("Количество", plain(line.quantity)),
            el("Сумма", money(line.total)),
            requisites((("ВидНоменклатуры", "Товар"), ("ТипНоменклатуры", "Товар"))),
        )

    def services(self, order: Order) -> Iterator[Raw]:
        if order.shipping and self.settings.shipping_line:
            yield self.service("ORDER_DELIVERY", "Доставка заказа", order.shipping)

    def service(self, key: str, name: str, price: Decimal) -> Raw:
        return el(
            "Товар",
            el("Ид", key),
            el("Наименование", name),
            el("БазоваяЕдиница", "шт", attributes=PIECE),
            el("ЦенаЗаЕдиницу", money(price)),
            el("Количество", "1"),
            el("Сумма", money(price)),
            requisites((("ВидНоменклатуры", "Услуга"), ("ТипНоменклатуры", "Услуга"))),
        )

    def requisites(self, order: Order) -> Iterator[tuple[str, object]]:
        yield "Метод оплаты", self.payment_kinds.get(order.payment, "")
        yield "Способ доставки", self.deliveries.get(order.delivery, "")
        yield "Заказ оплачен", boolean(order.is_paid)
        if order.is_paid and order.payments[0].date:
            yield "Дата оплаты", f"{self.local(order.payments[0].date):%Y-%m-%d}"
        yield "Отменен", boolean(order.cancelled)
        yield "Статус заказа", self.states[order.status]

    # --- orders in ---------------------------------------------------------------------------------------------------------------------

    def find_order(self, paper: Paper) -> Order | None:
        """By Номер, else by Ид: an accounting system may say its own GUID in Ид (facts on shops §5.4)."""
        for text in (paper.number, paper.id):
            if text.isdigit() and int(text) in self.orders:
                return self.orders[int(text)]
        return None

    def apply(self, paper: Paper) -> None:
        """What the accounting system says of one order."""
        order = self.find_order(paper)
        if order is None or paper.operation != "Заказ товара" or not self.settings.import_orders:
            return
        before = _copy(order)
        self.apply_to(order, paper)
        if before != order:
            order.updated = self.now()
            self.writes["orders"] += 1

    def apply_to(self, order: Order, paper: Paper) -> None:
        order.number_1c = paper.requisite("Номер по 1С") or order.number_1c
        order.date_1c = paper.requisite("Дата по 1С") or order.date_1c
        if paper.lines is not None:
            self.rebuild(order, paper)
        if paper.requisite("Дата оплаты по 1С") or truth(paper.requisite("Оплачен")):
            self.mark_paid(order)
        if paper.requisite("Дата отгрузки по 1С") or truth(paper.requisite("Отгружен")):
            self.mark_shipped(order)
        status = self.status_named(paper.requisite("Статус заказа"))
        if truth(paper.requisite("Отменен")) or truth(paper.requisite("ПометкаУдаления")):
            status, order.cancelled = self.cancelled_state, True
        if status:
            order.status, order.cancelled = status, status == self.cancelled_state

    def status_named(self, name: str) -> str:
        return next((code for code, title in self.states.items() if name and title == name), "")

    def mark_paid(self, order: Order) -> None:
        """The accounting system says so when nothing is left to pay (facts on CommerceML §3.6.3)."""
        if len(order.payments) == 1:
            order.payments[0].total = order.total
        for payment in order.payments:
            if not payment.paid:
                payment.paid, payment.date = True, self.now()

    def mark_shipped(self, order: Order) -> None:
        for shipment in order.shipments:
            if not shipment.shipped:
                shipment.shipped, shipment.date = True, self.now()

    def rebuild(self, order: Order, paper: Paper) -> None:
        """The lines are what the document says; a service line is the delivery."""
        lines: list[Line] = []
        for said in paper.lines or ():
            if said.service or said.id == "ORDER_DELIVERY":
                order.shipping = said.total or Decimal(0)
                continue
            lines.append(self.line_from(order, said))
        order.lines = lines
        self._number(order)

    def line_from(self, order: Order, said: PaperLine) -> Line:
        """A line as it is said, with what the shop knows of the old one."""
        old = next((line for line in order.lines if line.offer == said.id), None)
        quantity = said.quantity or Decimal(0)
        price = said.price if said.price is not None else (said.total or Decimal(0)) / (quantity or 1)
        total = said.total if said.total is not None else price * quantity
        line = Line(said.id, said.name, price, quantity, said.article, discount=price * quantity - total)
        if old:
            line.number, line.options, line.tax = old.number, old.options, old.tax
            line.name, line.article = said.name or old.name, said.article or old.article
        return line

    # --- references ---------------------------------------------------------------------------------------------------------------------

    def info(self, _request: Request) -> Answer:
        return self.references_xml("Статусы", "UTF-8")

    def references_xml(self, states: str, encoding: str) -> Answer:
        def rows(book: Mapping[str, str]) -> Raw:
            return many(el("Элемент", el("Ид", key), el("Название", name)) for key, name in book.items())

        body = el(
            "Справочник",
            el(states, rows(self.states)),
            el("ПлатежныеСистемы", rows(self.payment_kinds)),
            el("СлужбыДоставки", rows(self.deliveries)),
        )
        text = f'<?xml version="1.0" encoding="{encoding}"?>\n{body}'
        return Answer(text.encode(encoding, "xmlcharrefreplace"), content_type=f"application/xml; charset={encoding.lower()}")


def truth(text: str) -> bool:
    return text.strip().lower() in ("true", "1", "да")


def _known(book: Mapping[str, str], key: str) -> None:
    if key not in book:
        raise KeyError(key)


def _copy(row: Any) -> Any:
    """A copy deep enough to notice any change."""
    return copy.deepcopy(row)
