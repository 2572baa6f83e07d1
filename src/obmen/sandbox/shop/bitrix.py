"""1C-Bitrix: Управление сайтом (sale 22.800, catalog, iblock): the reference that most clients were made for.

Facts on CommerceML §1 ([BX] rows), §3.6.1–3.6.6, §4.2; facts on shops §2, samples protocol/bitrix_1c_exchange.txt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from obmen.sandbox.shop import reader
from obmen.sandbox.shop.base import Failure, Session, Settings, Shop, truth
from obmen.sandbox.shop.call import Answer, Request
from obmen.sandbox.shop.reader import Card, File, Paper, Unreadable
from obmen.sandbox.shop.state import Buyer, Line, Order, PaymentDoc, Product, ShipmentDoc, cents
from obmen.sandbox.shop.xml import PIECE, Raw, boolean, el, many, money, requisites

CP1251 = "windows-1251"
FORMATS = {  # of the root of its orders
    "ФорматДаты": "ДФ=yyyy-MM-dd; ДЛФ=DT",
    "ФорматВремени": "ДФ=ЧЧ:мм:сс; ДЛФ=T",
    "РазделительДатаВремя": "T",
    "ФорматСуммы": "ЧЦ=18; ЧДЦ=2; ЧРД=.",
    "ФорматКоличества": "ЧЦ=18; ЧДЦ=2; ЧРД=.",
}
OPERATIONS = {"1": "Выплата наличных денег", "2": "Выплата безналичных денег", "3": "Эквайринговая операция"}
SHIPMENT = "Отпуск товара"


@dataclass
class BitrixSettings(Settings):
    zip: bool = True
    file_limit: int = 204_800
    slice: int = 500  # stands for the 30 s of one step
    element_action: str = "D"  # D delete | A deactivate | N nothing: goods that a full file lacks
    section_action: str = "D"
    currency_name: str = "руб"  # 1C_REPLACE_CURRENCY
    only_paid: bool = False
    only_allowed: bool = False
    final_status: bool = False  # a shipment from the accounting system brings F
    change_status: bool = True  # 1C_CHANGE_STATUS_FROM_1C; off in a fresh Bitrix
    new_orders: bool = False
    new_payments: bool = False
    new_shipments: bool = False
    use_session_id_ttl: bool = False  # of the main module: then checkauth is refused


class Bitrix(Shop):
    key = "bitrix"
    title = "1C-Bitrix (sale 22.800)"
    address = "/bitrix/admin/1c_exchange.php"
    settings_class = BitrixSettings
    settings: BitrixSettings
    schema = "2.05"
    states = {"N": "Принят, ожидается оплата", "P": "Оплачен, формируется к отправке", "F": "Выполнен"}
    cancelled_state = "N"  # being cancelled is a mark of an order, not a status
    deliveries = {"5": "Самовывоз", "2": "Доставка курьером"}
    payment_kinds = {"1": "Наличные курьеру", "2": "Банковский перевод", "3": "Банковские карты"}
    first_order = 132

    def __init__(self, **args: Any) -> None:
        super().__init__(**args)
        self.uploads: dict[str, bytearray] = {}  # one folder for all: init of any session erases it (§1.4)
        self.guarded = False  # the check of sessid is on, for ever once a client has sent a right one (§1.3)
        self.last_export = datetime(1970, 1, 1, tzinfo=UTC)  # last_export_time_committed
        self.asked: dict[str, datetime] = {}  # session → when it queried
        self.touched: dict[str, datetime] = {}
        self.applied = 0  # documents of an upload that is still coming

    # --- answers are in windows-1251 (§1.7) --------------------------------------------------------------------------------------

    def _text(self, text: str) -> Answer:
        return Answer(text.encode(CP1251, "replace"), content_type="text/html; charset=windows-1251")

    # --- who it is -----------------------------------------------------------------------------------------------------------------

    def _admit(self, request: Request) -> Answer | None:
        """The cookie is enough; without it the login opens a new session, in which nothing has been begun."""
        known = self._session(request)
        if request.mode == "checkauth" or known is None:
            given = request.credentials or (request.params.get("USER_LOGIN"), request.params.get("USER_PASSWORD"))
            if given != (self.login, self.password):
                return self._failure("Ошибка авторизации. Неверное имя пользователя или пароль.")
        if request.mode == "checkauth":
            return None
        sent = request.params.get("sessid")
        right = bool(known and sent == known.sessid)
        self.guarded = self.guarded or right
        if self.guarded and not right:
            return self._failure("Ошибка проверки источника запроса. Обновите модуль обмена.")
        return None

    def here(self, request: Request) -> Session:
        return self._session(request) or self.open(request.type)

    def checkauth(self, request: Request) -> Answer:
        if self.settings.use_session_id_ttl:
            return self._failure("Ошибка авторизации. В настройках главного модуля включена смена идентификатора сессий.")
        session = self.open(request.type)
        stamp = f"timestamp={int(self.now().timestamp())}\n" if request.type == "catalog" else ""
        return self._text(f"success\n{self.cookie}\n{session.cookie}\nsessid={session.sessid}\n{stamp}")

    def init(self, request: Request) -> Answer:
        """Two lines for a catalogue without a line feed at the end, one with it for sale; four when the client names a version."""
        session, sale = self.here(request), request.type == "sale"
        self.uploads, self.applied = {}, 0
        self.jobs.clear()
        self.finished.clear()
        session.version, session.cml = request.params.get("version", ""), request.params.get("cmlVersion", "")
        text = f"zip={'yes' if self.settings.zip else 'no'}\nfile_limit={self.settings.file_limit}"
        if session.version:
            spoken = "2.09" if sale else min(session.version, "3.1")
            text += f"\nsessid={session.sessid}\nversion={spoken}"
        return self._text(text + ("\n" if sale else ""))

    def folder(self, _request: Request) -> dict[str, bytearray]:
        return self.uploads

    def stored(self, name: str) -> str:
        """§1.5: the folder of a 1C server goes, scripts and ways out are refused."""
        plain = re.sub(r"^(/tmp/|upload/1c/webdata)", "", name.replace("\\", "/")).strip("/")
        if ".." in plain or re.search(r"\.(php|phtml|asp|pl|cgi)\d?$", plain, re.IGNORECASE):
            raise Failure("Недопустимое имя файла.")
        return plain

    def file(self, request: Request) -> Answer:
        """A client that named no version does not call import for orders: whole documents are taken as they come (§1.6.3)."""
        answer = super().file(request)
        session = self.here(request)
        if request.type == "sale" and not session.version:
            name = self.stored(request.filename)
            if name.lower().endswith(".zip"):
                try:
                    self.unpack(self.uploads)
                except Failure:
                    return answer  # a chunk of an archive
            for raw in [raw for one, raw in self.uploads.items() if one.endswith(".xml")]:
                papers = _documents(bytes(raw))
                for paper in papers[self.applied :]:
                    self.apply(paper)
                self.applied = len(papers)
        return answer

    def steps(self, request: Request, folder: dict[str, bytearray], name: str) -> Iterator[str]:
        """A step for each thing to do. The state is kept in the session of PHP: another session begins anew (§1.6.1)."""
        if self.unpack(folder):
            yield "Распаковка архива завершена."
        yield "Временные таблицы удалены."
        yield "Временные таблицы созданы."
        if name not in folder:
            raise Failure(f"Ошибка открытия файла {name}.")
        file = reader.read(bytes(folder[name]))
        yield "Файл импорта прочитан."
        if request.type == "sale":
            yield from self.slices(file.papers, self.apply)
            return
        started = self.now()
        yield "Индексы созданы."
        self.keep_pictures(folder)
        self.load_references(file)
        yield "Метаданные загружены."
        yield "Группы загружены."
        yield from self.slices(file.cards, lambda card: self.load_card(file, card))
        yield from self.slices(file.terms, lambda terms: self.load_terms(file, terms))
        yield "Элементы загружены."
        if file.full:
            self.sweep(file, started)

    def load_card(self, file: File, card: Card) -> None:
        self.touched[card.id.partition("#")[0]] = self.now()
        super().load_card(file, card)

    def sweep(self, file: File, _started: datetime) -> None:
        """§4.2, facts on shops §3 row 12: what a file that says "full" lacks is deleted by default, goods and groups."""
        if file.goods:
            seen = {card.id.partition("#")[0] for card in file.cards}
            for product in [p for p in self.goods.products.values() if p.catalogue == file.catalogue and p.id not in seen]:
                self.absent(product)
            groups = {key for key, _name, _parent in file.groups}
            if file.classifier and self.settings.section_action == "D":
                self.goods.groups = {key: row for key, row in self.goods.groups.items() if key in groups}
        elif file.offers:
            known = {terms.id for terms in file.terms}
            for product in list(self.goods.products.values()):
                if product.catalogue == file.catalogue and self.settings.element_action == "D":
                    gone = [v for v in product.offers if (f"{product.id}#{v}" if v else product.id) not in known]
                    for variant in gone:
                        del product.offers[variant]
                        self.writes["removed"] += 1

    def absent(self, product: Product) -> None:
        if self.settings.element_action == "D":
            del self.goods.products[product.id]
            self.writes["removed"] += 1
        elif self.settings.element_action == "A" and product.active:
            product.active = False
            self.writes["removed"] += 1

    def closing(self, request: Request) -> Answer:
        """deactivate: what was not touched since the client's checkauth; complete: an event and nothing more."""
        since = request.params.get("timestamp", "")
        if request.mode == "deactivate" and since.isdigit():
            moment = datetime.fromtimestamp(int(since), UTC)
            touched = {p.catalogue for key, p in self.goods.products.items() if self.touched.get(key, self.last_export) >= moment}
            for product in list(self.goods.products.values()):
                if product.catalogue in touched and self.touched[product.id] < moment and product.active:
                    product.active = False
                    self.writes["removed"] += 1
        return self._text("success\n")

    def _answer(self, request: Request) -> Answer:
        if request.type == "listen":  # a client that waits for orders (§1.2)
            return self._text("success\n") if any(self.wanted()) else Answer(b"", 304)
        return super()._answer(request)

    # --- orders out --------------------------------------------------------------------------------------------------------------------

    def wanted(self) -> Iterator[Order]:
        """UPDATED_1C=N and changed since the last export that was confirmed."""
        for order in self.selected():
            paid = order.is_paid or not self.settings.only_paid
            if order.own and order.updated >= self.last_export and paid:
                yield order

    def query(self, request: Request) -> Answer:
        session = self.here(request)
        self.asked[session.cookie] = self.now()
        parts = [self.order_documents(session, order) for order in self.wanted()]
        if session.version >= "3":
            self_schema = {"ВерсияСхемы": "3.1"}
        else:
            self_schema = {"ВерсияСхемы": "2.10" if session.cml >= "2.10" else "2.09" if session.version else self.schema}
        return self.document(parts, CP1251, {**self_schema, **FORMATS})

    def success(self, request: Request) -> Answer:
        """Commits, but only in the session that queried (§1.8.7)."""
        moment = self.asked.pop(request.cookies.get(self.cookie, ""), None)
        if moment is None:
            return self._text("error\n")
        self.last_export = max(self.last_export, moment)
        return self._text("success\n")

    def order_documents(self, session: Session, order: Order) -> Raw:
        """§3.6.5: payments and shipments inside the order from cmlVersion 2.10 on; beside it in one container from 3.0 on."""
        payments, shipments = [p for p in order.payments if not p.removed], [s for s in order.shipments if not s.removed]
        if session.version >= "3":
            beside = (
                *(self.payment_xml("Документ", order, p, basis=True) for p in payments),
                *(self.shipment_xml("Документ", order, s, basis=True) for s in shipments),
            )
            return el("Контейнер", self.order_xml(order, session), *beside)
        under = None
        if session.cml and session.cml >= "2.10":
            under = el(
                "ПодчиненныеДокументы",
                *(self.payment_xml("ПодчиненныйДокумент", order, p) for p in payments),
                *(self.shipment_xml("ПодчиненныйДокумент", order, s) for s in shipments),
            )
        return self.order_xml(order, session, under)

    def order_xml(self, order: Order, session: Session | None = None, under: Raw | None = None) -> Raw:
        created = self.local(order.created)
        new = (el("Номер1С", order.number_1c), el("Дата1С", order.date_1c), el("ПометкаУдаления", boolean(order.trashed)))
        return el(
            "Документ",
            el("Ид", order.id),
            el("Номер", order.id),
            el("Дата", f"{created:%Y-%m-%d}"),
            el("ХозОперация", "Заказ товара"),
            el("Роль", "Продавец"),
            el("Валюта", self.settings.currency_name),
            el("Курс", "1"),
            el("Сумма", four(order.total)),
            *(new if session and session.version else ()),
            el("Контрагенты", self.party(order)),
            el("Время", f"{created:%H:%M:%S}"),
            el("Комментарий", order.comment, whole=True),
            self.taxes(order),
            self.discount(order),
            el("Товары", many(self.line_xml(order, line) for line in order.lines), many(self.services(order))),
            requisites(self.requisites(order)),
            under,
        )

    def party(self, order: Order) -> Raw:
        b = order.buyer
        where = ", ".join(filter(None, (b.zip, b.country, b.city, b.address)))
        parts = (("Почтовый индекс", b.zip), ("Страна", b.country), ("Город", b.city), ("Улица", b.address))
        address = (
            el("Представление", where, whole=True),
            *(el("АдресноеПоле", el("Тип", name), el("Значение", value)) for name, value in parts if value),
        )
        person = (
            el("ПолноеНаименование", b.name, whole=True),
            el("Фамилия", b.last_name) if b.last_name else None,
            el("Имя", b.first_name) if b.first_name else None,
            el("АдресРегистрации", *address),
        )
        firm = (
            el("ОфициальноеНаименование", b.company),
            el("ЮридическийАдрес", *address),
            el("ИНН", b.inn) if b.inn else None,
            el("КПП", b.kpp) if b.kpp else None,
        )
        contacts = [("Почта", b.email), ("Телефон рабочий", b.phone)]
        return el(
            "Контрагент",
            el("Ид", self.user_key(b)),
            el("Наименование", b.name, whole=True),
            *(firm if b.company else person),
            el("Контакты", many(el("Контакт", el("Тип", kind), el("Значение", value)) for kind, value in contacts if value))
            if any(value for _kind, value in contacts)
            else None,
            el("Роль", "Покупатель"),
        )

    def user_key(self, buyer: Buyer) -> str:
        """``user#login#name`` (§3.6.2); even who buys without registering gets an account."""
        login = buyer.email or buyer.phone
        number = buyer.user or 1000 + sum(map(ord, login)) % 9000
        return f"{number}#{login}# {buyer.name}"

    def taxes(self, order: Order) -> Raw | None:
        found = [(line, line.tax) for line in order.lines if line.tax]
        if not found:
            return None
        inside = found[0][1][2]
        total = sum((cents(x.total * t[1] / (100 + t[1])) if t[2] else x.added_tax for x, t in found), Decimal(0))
        return el(
            "Налоги",
            el("Налог", el("Наименование", found[0][1][0]), el("УчтеноВСумме", boolean(inside)), el("Сумма", money(total))),
        )

    def discount(self, order: Order) -> Raw | None:
        if not order.discount:
            return None
        rows = (el("Наименование", "Скидка на заказ"), el("Сумма", money(order.discount)), el("УчтеноВСумме", "false"))
        return el("Скидки", el("Скидка", *rows))

    def line_xml(self, order: Order, line: Line) -> Raw:
        """``x#x`` is written as ``x`` (§3.6.1); the price is what is paid, with the discount beside it."""
        product, _hash, variant = line.offer.partition("#")
        found = self.goods.products.get(product)
        key = product if variant == product else line.offer
        catalogue = found.catalogue if found else ""
        marks: list[tuple[str, object]] = [
            ("ВидНоменклатуры", "Товар"),
            ("ТипНоменклатуры", "Товар"),
            ("НомерПозицииКорзины", line.number),
            ("СвойствоКорзины#CATALOG.XML_ID", catalogue),
            ("СвойствоКорзины#PRODUCT.XML_ID", key),
            *((f"СвойствоКорзины#{name.upper()}", value) for name, value in line.options),
        ]
        price = line.total / line.quantity if line.quantity else line.price
        return el(
            "Товар",
            el("Ид", key),
            el("ИдКаталога", catalogue),
            el("Артикул", line.article) if line.article else None,
            el("Наименование", line.name),
            el("БазоваяЕдиница", "шт", attributes=PIECE),
            self.line_discount(line),
            el("ЦенаЗаЕдиницу", four(price)),
            el("Количество", four(line.quantity)),
            el("Сумма", money(line.total)),
            self.line_taxes(line),
            requisites(marks),
        )

    def line_discount(self, line: Line) -> Raw | None:
        if not line.discount:
            return None
        rows = (el("Наименование", "Скидка на товар"), el("Сумма", money(line.discount)), el("УчтеноВСумме", "true"))
        return el("Скидки", el("Скидка", *rows))

    def line_taxes(self, line: Line) -> Raw | None:
        if not line.tax:
            return None
        name, rate, inside = line.tax
        share = line.total * rate / (100 + rate if inside else 100)
        return many(
            (
                el("СтавкиНалогов", el("СтавкаНалога", el("Наименование", name), el("Ставка", f"{rate:.0f}"))),
                el(
                    "Налоги",
                    el(
                        "Налог",
                        el("Наименование", name),
                        el("УчтеноВСумме", boolean(inside)),
                        el("Сумма", money(share)),
                        el("Ставка", f"{rate:.0f}"),
                    ),
                ),
            )
        )

    def service(self, key: str, name: str, price: Decimal) -> Raw:
        return el(
            "Товар",
            el("Ид", key),
            el("Наименование", name),
            el("БазоваяЕдиница", "шт", attributes=PIECE),
            el("ЦенаЗаЕдиницу", four(price)),
            el("Количество", "1"),
            el("Сумма", money(price)),
            requisites((("ВидНоменклатуры", "Услуга"), ("ТипНоменклатуры", "Услуга"))),
        )

    def requisites(self, order: Order) -> Iterator[tuple[str, object]]:
        """The table of §3.6.1; "Статуса заказа ИД" is spelt so."""
        payment = next((p for p in order.payments if p.paid and p.date), None)
        if payment and payment.date:
            yield "Дата оплаты", f"{self.local(payment.date):%Y-%m-%d}"
            if payment.document:
                yield "Номер платежного документа", payment.document
        yield "Способ доставки", self.deliveries.get(order.delivery, "")
        yield "Метод доставки ИД", order.delivery
        yield "Метод оплаты", self.payment_kinds.get(order.payment, "")
        yield "Метод оплаты ИД", order.payment
        yield "Заказ оплачен", boolean(order.is_paid)
        yield "Доставка разрешена", boolean(order.is_paid)
        yield "Отменен", boolean(order.cancelled)
        if order.cancelled and order.reason:
            yield "Причина отмены", order.reason
        yield "Финальный статус", boolean(order.status == "F")
        yield "Статус заказа", f"[{order.status}] {self.states[order.status]}"
        yield "Статуса заказа ИД", order.status
        yield "Дата изменения статуса", f"{self.local(order.updated):%d.%m.%Y %H:%M:%S}"
        if order.comment:
            yield "Комментарии покупателя", order.comment
        where = ", ".join(filter(None, (order.buyer.zip, order.buyer.city, order.buyer.address)))
        if where:
            yield "Адрес доставки", where
        yield "Сайт", "[s1] Сайт по умолчанию"

    def _head(self, name: str, order: Order, number: int, at: datetime, operation: str, total: Decimal, basis: bool) -> list[Raw]:
        local = self.local(at)
        rows = [
            el("Ид", number),
            el("Номер", number),
            el("Дата", f"{local:%Y-%m-%d}"),
            el("ХозОперация", operation),
            el("Роль", "Продавец"),
            el("Валюта", self.settings.currency_name),
            el("Курс", "1"),
            el("Сумма", four(total)),
        ]
        if basis:
            rows.append(el("Основание", order.id))
        return [*rows, el("Время", f"{local:%H:%M:%S}"), el("Комментарий", "", whole=True)]

    def payment_xml(self, name: str, order: Order, payment: PaymentDoc, basis: bool = False) -> Raw:
        operation = OPERATIONS.get(payment.method, OPERATIONS["2"])
        marks: list[tuple[str, object]] = [("Дата оплаты", f"{self.local(payment.date):%Y-%m-%d}")] if payment.date else []
        marks += [
            ("Отменен", "false"),
            ("Метод оплаты", self.payment_kinds.get(payment.method, "")),
            ("Метод оплаты ИД", payment.method),
            ("Оплачено", boolean(payment.paid)),
            ("Признак возврата", "false"),
        ]
        head = self._head(name, order, payment.number, payment.date or order.created, operation, payment.total, basis)
        return el(name, *head, requisites(marks))

    def shipment_xml(self, name: str, order: Order, shipment: ShipmentDoc, basis: bool = False) -> Raw:
        marks: list[tuple[str, object]] = [
            ("Сумма доставки", money(shipment.price)),
            ("Статус отгрузки", "DF" if shipment.shipped else "DN"),
            ("Отгружено", boolean(shipment.shipped)),
            ("Резервирование", "false"),
            ("Метод доставки", self.deliveries.get(shipment.delivery, "")),
            ("Метод доставки ИД", shipment.delivery),
            ("Идентификатор отправления", shipment.track),
        ]
        if shipment.date:
            marks.append(("Дата отгрузки", f"{self.local(shipment.date):%Y-%m-%dT%H:%M:%S}"))
        total = order.subtotal + shipment.price
        head = self._head(name, order, shipment.number, shipment.date or order.created, SHIPMENT, total, basis)
        goods = el("Товары", many(self.line_xml(order, line) for line in order.lines), many(self.services(order)))
        return el(name, *head, goods, requisites(marks))

    # --- orders in -----------------------------------------------------------------------------------------------------------------------

    def find_order(self, paper: Paper) -> Order | None:
        found = super().find_order(paper)
        return found or next((o for o in self.orders.values() if paper.id and o.guid_1c == paper.id), None)

    def apply(self, paper: Paper) -> None:
        """What came from the accounting system is not offered to it again (UPDATED_1C) until somebody changes the order here."""
        if self.find_order(paper) is None and self.settings.new_orders and paper.operation == "Заказ товара":
            order = self.buy(buyer=Buyer(last_name=paper.buyer), delivery="", payment="")
            order.guid_1c = paper.id
        revision = self.writes["orders"]
        super().apply(paper)
        order_found = self.find_order(paper)
        if order_found is not None and self.settings.import_orders:
            order_found.own = False if self.writes["orders"] > revision else order_found.own

    def apply_to(self, order: Order, paper: Paper) -> None:
        order.guid_1c = paper.id if not paper.id.isdigit() else order.guid_1c
        order.number_1c = paper.fields.get("Номер1С") or paper.requisite("Номер по 1С") or order.number_1c
        order.date_1c = paper.fields.get("Дата1С") or paper.requisite("Дата по 1С") or order.date_1c
        if paper.lines is not None:
            self.rebuild(order, paper)
        order.cancelled = truth(paper.requisite("Отменен")) or (order.cancelled and not paper.requisite("Отменен"))
        order.trashed = truth(paper.fields.get("ПометкаУдаления", "") or paper.requisite("ПометкаУдаления"))
        order.cancelled = order.cancelled or order.trashed
        for one in paper.under:
            self.take_document(order, one)
        if paper.requisite("Дата оплаты по 1С") or truth(paper.requisite("Оплачен")):
            self.mark_paid(order)
        if paper.requisite("Дата отгрузки по 1С") or truth(paper.requisite("Отгружен")):
            self.mark_shipped(order)
            if self.settings.final_status:
                order.status = "F"
        status = paper.requisite("Статуса заказа ИД") or self.status_named(paper.requisite("Статус заказа"))
        if self.settings.change_status and status in self.states:
            order.status = status

    def status_named(self, name: str) -> str:
        code = re.match(r"\[(\w+)\]", name)
        return code[1] if code else super().status_named(name)

    def take_document(self, order: Order, paper: Paper) -> None:
        """By the site's number, else by the accounting system's id; unknown ones only where the owner wants new documents."""
        if paper.operation == SHIPMENT:
            shipment = _same(order.shipments, paper)
            if shipment is None and self.settings.new_shipments:
                shipment = ShipmentDoc(self._document(), order.delivery, Decimal(0))
                order.shipments.append(shipment)
            if shipment is not None:
                shipment.guid = paper.id if not paper.id.isdigit() else shipment.guid
                shipment.removed = truth(paper.fields.get("ПометкаУдаления", ""))
                shipment.track = paper.requisite("Идентификатор отправления") or shipment.track
                if truth(paper.requisite("Отгружен")) and not shipment.shipped:
                    shipment.shipped, shipment.date = True, self.now()
            return
        payment = _same(order.payments, paper)
        if payment is None and self.settings.new_payments:
            method = next((code for code, operation in OPERATIONS.items() if operation == paper.operation), "2")
            payment = PaymentDoc(self._document(), paper.requisite("Метод оплаты ИД") or method, paper.total or Decimal(0))
            order.payments.append(payment)
        if payment is not None:
            payment.guid = paper.id if not paper.id.isdigit() else payment.guid
            payment.removed = truth(paper.fields.get("ПометкаУдаления", ""))
            payment.total = paper.total if paper.total is not None else payment.total
            payment.document = paper.requisite("Номер платежного документа") or payment.document
            if truth(paper.requisite("Оплачен")) and not payment.paid:
                payment.paid, payment.date = True, self.now()

    def info(self, _request: Request) -> Answer:
        return self.references_xml("Cтатусы", CP1251)  # the first letter is a Latin C (§1.9)


def four(value: Decimal) -> str:
    return f"{value:.4f}"


def _same(documents: Sequence[Any], paper: Paper) -> Any:
    for one in documents:
        if (
            (paper.number and str(one.number) == paper.number)
            or (one.guid and one.guid == paper.id)
            or str(one.number) == paper.id
        ):
            return one
    return None


def _documents(raw: bytes) -> list[Paper]:
    """The whole documents of a file that may still be coming."""
    try:
        return reader.read(raw).papers
    except Unreadable:
        pass
    text = raw.decode("utf-8", "ignore")
    end = text.rfind("</Документ>")
    if end < 0:
        return []
    try:
        return reader.read((text[: end + len("</Документ>")] + "</КоммерческаяИнформация>").encode()).papers
    except Unreadable:
        return []
