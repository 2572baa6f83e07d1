"""OpenCart with exchange1c 1.6.4.7.

Facts on shops §3 (column OC), §4.1, settings/opencart_exchange1c_*.json; facts on CommerceML §1.3 (the cookie ``key``). The
elements of its order document are not recorded: it is written as the clean site's, in the currency that the owner has set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from obmen.sandbox.shop import reader
from obmen.sandbox.shop.base import Failure, Session, Settings, Shop
from obmen.sandbox.shop.call import Answer, Request
from obmen.sandbox.shop.reader import File, Terms, Unreadable
from obmen.sandbox.shop.state import Offer, Order
from obmen.sandbox.shop.xml import Raw


@dataclass
class OpenCartSettings(Settings):
    enabled: bool = True  # module_status
    file_limit: int = 8_388_608
    cp1251: bool = True  # convert_orders_cp1251
    export_changed: bool = True  # orders_export_modify
    export_status: str = "1"  # order_status_export: orders in it go out whenever they changed
    exported_status: str = ""  # order_status_exported: what an order becomes after success
    currency_name: str = ""  # order_currency: replaces the currency in documents
    extended: bool = False  # name_exchange: init answers four lines
    keep_files: bool = False  # not_delete_files_after_import
    stop_on_stranger: bool = False  # product_not_found_stop_error
    skip_zero: bool = False  # ignore_price_zero
    no_new: bool = False  # product_no_create
    deleted: str = "disable"  # product_delete_mode: off | disable | delete


class OpenCart(Shop):
    key = "opencart-exchange1c"
    title = "OpenCart, exchange1c 1.6.4.7"
    address = "/export/exchange1c.php"
    cookie = "key"
    settings_class = OpenCartSettings
    settings: OpenCartSettings
    schema = "2.07"
    states = {"1": "Ожидание", "2": "В обработке", "3": "Доставлено", "5": "Сделка завершена", "7": "Отменено"}
    cancelled_state = "7"
    deliveries = {"flat.flat": "Доставка с фиксированной стоимостью", "pickup.pickup": "Самовывоз из магазина"}
    payment_kinds = {"cod": "Оплата при доставке", "bank_transfer": "Банковский перевод"}
    first_order = 1

    def __init__(self, **args: Any) -> None:
        super().__init__(**args)
        self.cache: dict[str, bytearray] = {}  # one folder; emptied by nothing but the work on its files
        self.order_date = datetime(1970, 1, 1, tzinfo=UTC)  # exchange1c_order_date
        self.shared = Session(self.token, "catalog")

    @property
    def token(self) -> str:
        """The same for ever: md5 of the password (facts on shops §4.1)."""
        return hashlib.md5(self.password.encode(), usedforsecurity=False).hexdigest()

    def _text(self, text: str) -> Answer:
        return Answer(text.encode(), content_type="text/html; charset=utf-8")

    def _admit(self, request: Request) -> Answer | None:
        if request.mode == "checkauth":
            return None
        key = request.cookies.get("key")
        if key is None:
            return self._failure("no cookie key\n")
        return None if key == self.token else self._failure("Session error\n")

    def here(self, _request: Request) -> Session:
        return self.shared

    def forget_sessions(self) -> None:
        """There are none: the cookie is made of the password."""

    def checkauth(self, request: Request) -> Answer:
        """A wrong login is said, and does not stop it; an empty one is not asked for (facts on shops §4.1)."""
        if not self.settings.enabled:
            return self._text("failure\nexchange1c module OFF")
        login, password = request.credentials or ("", "")
        said = "failure\nerror login\n" if self.login and login != self.login else ""
        if self.password and password != self.password:
            return self._text(f"{said}failure\nerror password\n")
        return self._text(f"{said}success\nkey\n{self.token}\n")

    def init(self, _request: Request) -> Answer:
        text = f"zip={'yes' if self.settings.zip else 'no'}\nfile_limit={self.settings.file_limit}\n"
        return self._text(text + (f"{self.token}\n{self.schema}\n" if self.settings.extended else ""))

    def folder(self, _request: Request) -> dict[str, bytearray]:
        return self.cache

    def file(self, request: Request) -> Answer:
        """Always appended: what an exchange that broke off has left is joined to what comes (3000, not_delete_files_…)."""
        sale = request.type == "sale"
        if sale and not self.settings.import_orders:
            return Answer(b"", content_type="text/html")  # it just ends
        super().file(request)
        name = self.stored(request.filename)
        if name.lower().endswith(".zip"):
            try:
                self.unpack(self.cache)
            except Failure:
                return self._text("success\n")  # a piece of an archive
        if not sale:
            return self._text("success\nSuccessfully import catalog ")
        for one in [one for one in self.cache if one.endswith(".xml")]:
            try:
                papers = reader.read(bytes(self.cache[one])).papers
            except Unreadable:
                return self._text("success\n")  # more of it is to come
            for paper in papers:
                self.apply(paper)
            if not self.settings.keep_files:
                del self.cache[one]
            self.finished.add((self.token, one))
        return self._text("success\nmodeFileSale(): Successfully processed orders")

    def run_import(self, request: Request) -> Answer:
        """The file is gone afterwards: who did not hear the answer and asks again is refused."""
        name = self.stored(request.filename)
        if request.type == "sale" and (self.token, name) in self.finished:
            return self.done(request)
        self.finished.discard((self.token, name))
        going_on = False
        try:
            answer = super().run_import(request)
            going_on = answer.body.startswith(b"progress")
        finally:
            if not self.settings.keep_files and not going_on:
                self.cache.pop(name, None)
                self.finished.discard((self.token, name))
        return answer

    def done(self, request: Request) -> Answer:
        return self._text(f"success\nSuccessfully processed file: {request.filename}")

    def steps(self, request: Request, folder: dict[str, bytearray], name: str) -> Iterator[str]:
        self.unpack(folder)
        if name not in folder:
            raise Failure("ERROR: 3001")
        raw = bytes(folder[name])
        try:
            file = reader.read(raw)
        except Unreadable:
            raise Failure("ERROR: 3000") from None
        if file.version is None:
            raise Failure("ERROR: 2200")  # "the version of the schema is not given"
        if request.type == "sale":
            yield from self.slices(file.papers, self.apply)
            return
        yield from self.load(file, folder)

    # --- goods -----------------------------------------------------------------------------------------------------------------------

    def stranger(self, terms: Terms) -> None:
        if self.settings.stop_on_stranger:
            raise Failure(f"ERROR: 2300 {terms.id}")

    def price(self, offer: Offer, terms: Terms, _file: File) -> None:
        for kind, (value, _currency) in (terms.prices or {}).items():
            if value or not self.settings.skip_zero:
                offer.prices[kind] = value

    # --- orders ------------------------------------------------------------------------------------------------------------------------

    def wanted(self) -> Iterator[Order]:
        """Changed since the last success, or in the status that is chosen for export."""
        for order in self.selected():
            changed = self.settings.export_changed and order.updated >= self.order_date
            if changed or (self.settings.export_status and order.status == self.settings.export_status):
                yield order

    def query(self, _request: Request) -> Answer:
        self.shared.offered = {order.id: order.revision for order in self.wanted()}
        return self.document([self.order_xml(self.orders[number]) for number in self.shared.offered])

    def document(self, orders: Sequence[Raw], encoding: str = "UTF-8", attributes: Mapping[str, str] | None = None) -> Answer:
        encoding = "windows-1251" if self.settings.cp1251 else "utf-8"
        answer = super().document(orders, encoding, attributes)
        kind = "text/html; charset=Windows-1251" if self.settings.cp1251 else "text/html; charset=utf-8"
        return replace(answer, content_type=kind)

    def order_xml(self, order: Order) -> Raw:
        text = super().order_xml(order)
        name = self.settings.currency_name
        return Raw(text.replace(f"<Валюта>{order.currency}</Валюта>", f"<Валюта>{name}</Валюта>")) if name else text

    def success(self, _request: Request) -> Answer:
        """Two phases: only now the orders get their status and the date moves."""
        for number in self.shared.offered:
            order = self.orders[number]
            if self.settings.exported_status and order.status != self.settings.exported_status:
                order.status = self.settings.exported_status
                order.updated = self.now()
        count = len(self.shared.offered)
        self.shared.offered = {}
        self.order_date = self.now()
        return self._text(f"success\n{count}")

    def info(self, _request: Request) -> Answer:
        return Answer(b"", content_type="text/html")  # a stub: nothing is said

    def unknown(self, _request: Request) -> Answer:
        return self._text("success\n")

    def closing(self, request: Request) -> Answer:
        return self.unknown(request)

    def requisites(self, order: Order) -> Iterator[tuple[str, object]]:
        yield from ((name, value) for name, value in super().requisites(order) if name != "Заказ оплачен")

    def services(self, order: Order) -> Iterator[Raw]:
        """Delivery is a line that is called as the way of delivery is (table row 34)."""
        if order.shipping > Decimal(0) and self.settings.shipping_line:
            yield self.service(order.delivery, self.deliveries.get(order.delivery, "Доставка"), order.shipping)
