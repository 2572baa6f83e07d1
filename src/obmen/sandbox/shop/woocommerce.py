"""WooCommerce with woocommerce-1c 0.9.20.

Samples protocol/woocommerce_1c.txt; facts on shops §3 (column WC), §4.1; facts on CommerceML §3.6.2, §3.6.7.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from obmen.sandbox.shop import reader
from obmen.sandbox.shop.base import BOM, Failure, Session, Settings, Shop, truth
from obmen.sandbox.shop.call import Answer, Request
from obmen.sandbox.shop.reader import Card, File, Paper, Terms, Unreadable
from obmen.sandbox.shop.state import Buyer, Offer, Order
from obmen.sandbox.shop.xml import PIECE, Raw, boolean, el, many, plain

PAGE = 5  # what get_posts gives when nobody says how many


class _Error(Exception):
    """Said as "Error: …" with status 200; the transaction is rolled back."""


@dataclass
class WooSettings(Settings):
    zip: bool = True  # always, where PHP has it
    file_limit: int = 8_388_608
    prefix: str = "wc1c"  # of the ids that it makes
    manager: bool = True  # the account may manage the shop
    clean: bool = True  # a full file moves to the trash what it lacks


class WooCommerce(Shop):
    key = "woocommerce-1c"
    title = "WooCommerce, woocommerce-1c 0.9.20"
    address = "/wc1c/exchange/"
    cookie = "wc1c-auth"
    settings_class = WooSettings
    settings: WooSettings
    schema = "2.05"
    marks = frozenset({"child", "attribute"})
    missing_stock = "zero"
    states = {
        "pending": "Ожидается оплата",
        "processing": "Обработка",
        "on-hold": "На удержании",
        "completed": "Выполнен",
        "cancelled": "Отменен",
        "refunded": "Возвращён",
        "failed": "Не удался",
    }
    cancelled_state = "cancelled"
    deliveries = {"flat_rate": "Единая ставка", "local_pickup": "Самовывоз"}
    payment_kinds = {"cod": "Оплата при доставке", "bacs": "Прямой банковский перевод"}
    first_order = 57

    def __init__(self, **args: Any) -> None:
        super().__init__(**args)
        self.data: dict[str, dict[str, bytearray]] = {"catalog": {}, "sale": {}}

    def also(self, path: str, query: str) -> bool:
        return path in ("/wc1c/exchange", "/") and (path != "/" or "wc1c=exchange" in query)

    def _text(self, text: str) -> Answer:
        return Answer(BOM + text.encode())  # a BOM before every answer (facts on CommerceML §1.7)

    def _failure(self, reason: str) -> Answer:
        return self._text(f"Error: {reason}\n")

    def _respond(self, request: Request) -> Answer:
        try:
            return super()._respond(request)
        except _Error as error:
            return self._failure(str(error))

    # --- who it is -----------------------------------------------------------------------------------------------------------------

    def _admit(self, request: Request) -> Answer | None:
        if not request.type:
            raise _Error("No type.")
        if not request.mode:
            raise _Error("No mode.")
        if request.mode == "checkauth":
            if request.credentials is None:
                raise _Error("No authentication credentials.")
            if not self.right(request):
                return self._text("WP Error: incorrect_password: Введённый вами пароль неверен.\n")
        elif self.cookie in request.cookies:
            if self._session(request) is None:
                raise _Error("Invalid cookie.")
        elif not self.right(request):
            raise _Error("Not logged in.")
        if not self.settings.manager:
            raise _Error("No permissions.")
        return None

    def here(self, request: Request) -> Session:
        return self._session(request) or Session("", request.type)

    def checkauth(self, request: Request) -> Answer:
        return self._text(f"success\n{self.cookie}\n{self.open(request.type).cookie}")

    def init(self, request: Request) -> Answer:
        """The folder of this type is wiped."""
        self.data[request.type] = {}
        self.finished.clear()
        return self._text(f"zip={'yes' if self.settings.zip else 'no'}\nfile_limit={self.settings.file_limit}")

    def folder(self, request: Request) -> dict[str, bytearray]:
        return self.data[request.type]

    def stored(self, name: str) -> str:
        return name.lstrip("./\\")

    def file(self, request: Request) -> Answer:
        """Orders are worked on at once; goods wait for mode=import."""
        super().file(request)
        if request.type == "catalog":
            return self._text("success")
        folder = self.folder(request)
        if request.filename.lower().endswith(".zip"):
            try:
                self.unpack(folder)
            except Failure:  # a piece of an archive
                return self._text("success")
        for name in [name for name in folder if name.startswith("orders-") and name.endswith(".xml")]:
            self.whole_file(request, folder, name)
            return self._text("success")
        return self._text("")

    def run_import(self, request: Request) -> Answer:
        folder, name = self.folder(request), request.filename
        if request.type == "catalog" and self.unpack(folder):
            return self._text("progress")
        self.whole_file(request, folder, name)
        return self._text("success")

    def whole_file(self, request: Request, folder: dict[str, bytearray], name: str) -> None:
        """One transaction for the whole file, without a limit of time. What it is follows from its name."""
        if name not in folder:
            raise _Error(f"Failed to open file {name}.")
        found = re.match(r"[a-zA-Z]+", name)
        what = found[0] if found else name
        if what not in ("import", "offers", "orders"):
            raise _Error(f"Unknown import file type: {what}.")
        before = copy.deepcopy((self.goods, self.orders, self.writes))
        try:
            file = reader.read(bytes(folder[name]))
            if what == "orders":
                for paper in file.papers:
                    self.apply(paper)
            elif what == "import":
                self.import_file(file, folder)
            else:
                self.load_references(replace(file, groups=[]))
                for terms in file.terms:
                    self.load_terms(file, terms)
        except Unreadable as error:
            self.goods, self.orders, self.writes = before
            raise _Error(f"XML Error: {error} in {name}.") from None
        except Exception:
            self.goods, self.orders, self.writes = before
            raise

    # --- goods -----------------------------------------------------------------------------------------------------------------------

    def import_file(self, file: File, folder: dict[str, bytearray]) -> None:
        self.keep_pictures(folder)
        self.load_references(file)
        for card in file.cards:
            self.load_card(file, self.titled(file, card))
        if file.full and file.goods and self.settings.clean:
            # every catalogue's: an export of another group trashes all the rest (facts on CommerceML §4.2, #56)
            seen = {card.id.partition("#")[0] for card in file.cards}
            for product in self.goods.products.values():
                if product.id not in seen and product.active:
                    product.active = False
                    self.writes["removed"] += 1

    def titled(self, file: File, card: Card) -> Card:
        """The full name is the title; MoySklad, known by СинхронизацияТоваров, puts the description there."""
        if not card.full_name:
            return card
        return replace(card, description=card.full_name) if file.moysklad else replace(card, name=card.full_name)

    def stranger(self, terms: Terms) -> None:
        what = "parent post ID" if "#" in terms.id else "offer post"
        raise _Error(f"Failed to get {what}.")

    def price(self, offer: Offer, terms: Terms, file: File) -> None:
        """One type of price: the first that the file names."""
        first = file.kinds[0][0] if file.kinds else next(iter(terms.prices or {}), "")
        if first in (terms.prices or {}):
            offer.prices = {first: (terms.prices or {})[first][0]}

    # --- orders out --------------------------------------------------------------------------------------------------------------------

    def wanted(self) -> list[Order]:
        """New ones only, the latest five (get_posts): the others come when these are confirmed."""
        waiting = [order for order in self.selected() if not order.queried and not order.trashed]
        return sorted(waiting, key=lambda order: (order.created, order.id), reverse=True)[:PAGE]

    def query(self, _request: Request) -> Answer:
        orders = self.wanted()
        answer = self.document([self.order_xml(order) for order in orders])
        for order in orders:
            order.querying = True
        return answer

    def success(self, _request: Request) -> Answer:
        for order in self.orders.values():
            if order.querying:
                order.querying, order.queried = False, True
        return self._text("success")

    def document(self, orders: Sequence[Raw], encoding: str = "UTF-8", attributes: Mapping[str, str] | None = None) -> Answer:
        """ДатаФормирования has the name of the zone where others have a T (facts on CommerceML §3.1)."""
        now = self.now()
        root = {"ВерсияСхемы": self.schema, "ДатаФормирования": f"{now:%Y-%m-%d}UTC{now:%H:%M:%S}"}
        text = f'<?xml version="1.0" encoding="{encoding}"?>\n\n{el("КоммерческаяИнформация", many(orders), attributes=root)}\n\n'
        return Answer(BOM + text.encode(), content_type="text/plain; charset=utf-8")

    def order_xml(self, order: Order) -> Raw:
        """Nothing is escaped: what a buyer types can break the document (facts on shops §4.1)."""
        created = self.local(order.created)
        return el(
            "Документ",
            el("Ид", f"{self.settings.prefix}#order#{order.id}"),
            el("Номер", order.id),
            el("Дата", f"{created:%Y-%m-%d}"),
            el("Время", f"{created:%H:%M:%S}"),
            el("ХозОперация", "Заказ товара"),
            el("Роль", "Продавец"),
            el("Валюта", order.currency),
            el("Сумма", f"{order.total:.2f}"),
            el("Комментарий", Raw(order.comment), whole=True),
            el("Контрагенты", self.contractor(order, "Плательщик"), self.contractor(order, "Получатель")),
            el("Товары", many(self.goods_xml(order))),
            el("ЗначенияРеквизитов", many(_requisite(name, value) for name, value in self.requisites(order))),
        )

    def contractor(self, order: Order, role: str) -> Raw:
        """Two of them; a guest is user 0, without a name "Гость"; no contacts."""
        b: Buyer = order.buyer
        name = " ".join(filter(None, (b.first_name, b.last_name)))
        parts = (("Почтовый индекс", b.zip), ("Страна", b.country), ("Город", b.city))
        where = ", ".join(filter(None, (b.zip, b.country, b.city, b.address)))
        address = (
            el("Представление", Raw(where)) if where else None,
            *(el("АдресноеПоле", el("Тип", kind), el("Значение", Raw(value))) for kind, value in parts if value),
        )
        return el(
            "Контрагент",
            el("Ид", f"{self.settings.prefix}#user#{b.user if name else 0}"),
            el("Роль", role),
            el("Наименование", Raw(name or "Гость")),
            el("ПолноеНаименование", Raw(name or "Гость")),
            el("Имя", Raw(b.first_name)) if b.first_name else None,
            el("Фамилия", Raw(b.last_name)) if b.last_name else None,
            el("АдресРегистрации", *address) if where else None,
        )

    def goods_xml(self, order: Order) -> Iterator[Raw]:
        for line in order.lines:
            price = line.total / line.quantity if line.quantity else line.price
            yield self.row(line.offer, line.name, price, line.quantity, line.total, "Товар")
        if order.shipping:
            name = self.deliveries.get(order.delivery, "Доставка")
            yield self.row("", name, order.shipping, Decimal(1), order.shipping, "Услуга")

    def row(self, key: str, name: str, price: Decimal, quantity: Decimal, total: Decimal, kind: str) -> Raw:
        return el(
            "Товар",
            el("Ид", key) if key else None,
            el("Наименование", Raw(name)),
            el("БазоваяЕдиница", "шт", attributes=PIECE),
            el("ЦенаЗаЕдиницу", plain(price)),
            el("Количество", plain(quantity)),
            el("Сумма", plain(total)),
            el("ЗначенияРеквизитов", _requisite("ТипНоменклатуры", kind)),
        )

    def requisites(self, order: Order) -> Iterator[tuple[str, object]]:
        """Paid is what the status says, whether or not money came."""
        if order.payment:
            yield "Метод оплаты", self.payment_kinds.get(order.payment, "")
        yield "Заказ оплачен", boolean(order.status not in ("on-hold", "pending"))
        yield "Доставка разрешена", boolean(bool(order.shipping))
        yield "Отменен", boolean(order.status == "cancelled")
        yield "Финальный статус", boolean(order.status not in ("trash", "on-hold", "pending", "processing"))
        yield "Статус заказа", self.states[order.status]
        yield "Дата изменения статуса", f"{self.local(order.updated):%Y-%m-%d %H:%M:%S}"

    # --- orders in -----------------------------------------------------------------------------------------------------------------------

    def apply(self, paper: Paper) -> None:
        """By Номер; an order that is not here is made. The status follows from what is paid and posted, not from its name."""
        if paper.operation != "Заказ товара" or paper.role != "Продавец":
            return
        order = self.orders.get(int(paper.number)) if paper.number.isdigit() else None
        if order is None:
            order = self.buy(
                buyer=Buyer(last_name=paper.buyer), status="on-hold", delivery="", payment="", comment=paper.comment or ""
            )
            order.guid_1c, order.queried = paper.id, True
            self.writes["orders"] += 1
        before = copy.deepcopy(order)
        self.apply_to(order, paper)
        if before != order:
            self.writes["orders"] += 1

    def apply_to(self, order: Order, paper: Paper) -> None:
        names = dict(paper.requisites)
        order.status = "on-hold"
        if names.get("Дата оплаты по 1С") or names.get("Дата отгрузки по 1С"):
            order.status = "processing"
        if truth(names.get("Проведен", "")):
            order.status = "completed"
        if truth(names.get("Отменен", "")):
            order.status = "cancelled"
        order.cancelled = order.status == "cancelled"
        order.trashed = truth(names.get("ПометкаУдаления", ""))
        if paper.lines is None:
            return
        goods = [line for line in paper.lines if not line.service]
        order.lines = [self.line_from(order, line) for line in goods if self.goods.find(line.id)]  # what is unknown is left out
        titles = {title: code for code, title in self.deliveries.items()}
        services = [line for line in paper.lines if line.service]
        order.shipping = sum((line.total or Decimal(0) for line in services if line.name in titles), Decimal(0))
        self._number(order)

    def info(self, request: Request) -> Answer:
        return self.unknown(request)

    def unknown(self, _request: Request) -> Answer:
        return Answer(BOM)

    def closing(self, request: Request) -> Answer:
        return self.unknown(request)


def _requisite(name: str, value: object) -> Raw:
    return el("ЗначениеРеквизита", el("Наименование", name), el("Значение", Raw(str(value))))
