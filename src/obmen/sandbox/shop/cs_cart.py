"""CS-Cart: the old add-on (``rus_exim_1c``) and the new one (``commerceml``, 4.12 and later).

Facts on shops §2.3 (modes), §2.4 (orders as written), §2.5 (goods), §2.6 (orders as read), §1.1 B (settings CS-B1 … CS-B8).
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from obmen.sandbox.shop import reader
from obmen.sandbox.shop.base import BOM, Failure, Settings, Shop
from obmen.sandbox.shop.call import Answer, Request
from obmen.sandbox.shop.reader import Card, File, Paper, Terms, Unreadable
from obmen.sandbox.shop.state import Buyer, Line, Offer, Order, Product
from obmen.sandbox.shop.xml import Raw, el, many, money, plain, requisites

PIECE = {"Код": "796", "НаименованиеПолное": "шт"}  # always, whatever the unit of the product is
DELIVERY, SURCHARGE = "Доставка заказа", "Дополнительный сбор"
STATES = {
    "O": "Открыт",
    "P": "Обработан",
    "C": "Выполнен",
    "F": "Неудача",
    "D": "Отклонён",
    "B": "Задержан",
    "I": "Отменён",
}


@dataclass
class CsCartSettings(Settings):
    export_statuses: bool = True  # CS-B5
    product_options: bool = False  # CS-B2
    currency_name: str = "RUB"  # the external name of the currency
    price_debug: bool = False
    vendor: bool = False  # the account is a vendor's
    privileged: bool = True


class CsCart(Shop):
    states: ClassVar[Mapping[str, str]] = STATES
    cancelled_state: ClassVar[str] = "I"
    deliveries: ClassVar[Mapping[str, str]] = {"1": "Курьером", "2": "Почта России", "3": "Самовывоз"}
    payment_kinds: ClassVar[Mapping[str, str]] = {"6": "Заказ по телефону", "2": "Кредитная карта"}
    cookie: ClassVar[str] = "sid_admin_1a2b3"
    first_order: ClassVar[int] = 108
    settings: CsCartSettings
    bad_login: ClassVar[str]
    no_privilege: ClassVar[str]

    # --- who it is: Basic on every request, a wrong password is 200 with a text (protocol/cscart_*.txt) -------------------------

    def _admit(self, request: Request) -> Answer | None:
        if request.credentials is None:
            header = ("WWW-Authenticate", 'Basic realm="Authorization required"')
            return replace(self._text(self.no_login), status=401, headers=(header,))
        if not self.right(request):
            return self._text(self.bad_login)
        if not self.settings.privileged:
            return self._text(self.no_privilege)
        return None

    no_login: ClassVar[str] = "Enter user login and password"

    def here(self, request: Request) -> Any:
        """Sessions do not matter: a lost cookie is harmless (§2.3)."""
        return self._session(request) or self.open(request.type)

    def job_scope(self, request: Request) -> str:
        return request.type

    def _failure(self, reason: str) -> Answer:
        return self._text("failure")  # without any reason

    def checkauth(self, request: Request) -> Answer:
        session = self.open(request.type)
        return self._text(f"success\n{self.cookie}\n{session.cookie}")

    # --- orders out (§2.4) --------------------------------------------------------------------------------------------------------

    def query(self, request: Request) -> Answer:
        return self.document([self.order_xml(order) for order in self.wanted()])

    def wanted(self) -> Sequence[Order]:
        """CS-B3, CS-B6: from a number, inclusive; no status chosen means all of them."""
        return list(self.selected())

    def document(self, orders: Sequence[Raw], encoding: str = "UTF-8", attributes: Mapping[str, str] | None = None) -> Answer:
        """A BOM, no encoding in the declaration, a root without ВерсияСхемы and ДатаФормирования."""
        text = f'<?xml version="1.0"?>\n{el("КоммерческаяИнформация", many(orders), whole=True)}'
        return Answer(BOM + text.encode(), content_type="text/xml; charset=utf-8")

    def order_xml(self, order: Order) -> Raw:
        created = self.local(order.created)
        return el(
            "Документ",
            el("Ид", order.id),
            el("Номер", order.id),
            el("Дата", f"{created:%Y-%m-%d}"),
            el("Время", f"{created:%H:%M:%S}"),
            el("ХозОперация", "Заказ товара"),
            el("Роль", "Продавец"),
            el("Курс", "1"),
            el("Сумма", money(order.total)),
            el("Валюта", self.currency(order)),
            el("Комментарий", order.comment),
            el("Контрагенты", self.party(order)),
            self.order_discount(order),
            el("Товары", many(self.services(order)), many(self.line_xml(order, line) for line in order.lines)),
            requisites(self.requisites(order)),
        )

    def currency(self, _order: Order) -> str:
        return self.settings.currency_name

    def party(self, order: Order) -> Raw:
        """A guest is ``0<order>``; the role depends on the add-on; a missing part of the address is "-"."""
        b = order.buyer
        parts = (("Почтовый индекс", b.zip), ("Страна", b.country), ("Город", b.city), ("Адрес", b.address))
        where = ", ".join(value or "-" for _name, value in parts)
        standard = (
            el("Ид", b.user or f"0{order.id}"),
            el("Незарегистрированный", "Нет" if b.user else "Да"),
            el("Наименование", b.name),
            el("Роль", self.role),
            el("ПолноеНаименование", b.name),
            el("Фамилия", b.last_name),
            el("Имя", b.first_name),
            el(
                "Адрес",
                el("Представление", where),
                many(el("АдресноеПоле", el("Тип", name), el("Значение", value or "-")) for name, value in parts),
            ),
            el(
                "Контакты",
                el("Контакт", el("Тип", "Почта"), el("Значение", b.email)),
                el("Контакт", el("Тип", "ТелефонРабочий"), el("Значение", b.phone or "-")),
            ),
        )
        return el("Контрагент", *self.with_own_fields(standard, b))

    @property
    def role(self) -> str:
        """Wrong up to 4.12: the buyer is called a seller."""
        return "Продавец"

    def with_own_fields(self, standard: Sequence[Raw], buyer: Buyer) -> Sequence[Raw]:
        """Profile fields become elements of their own, names without spaces; the old add-on writes them after the others."""
        return (*standard, *(el(name.replace(" ", ""), value) for name, value in buyer.fields.items()))

    def order_discount(self, order: Order) -> Raw | None:
        if not 0 < order.discount < order.subtotal:
            return None
        share = order.discount * 100 / order.subtotal
        return el(
            "Скидки",
            el(
                "Скидка",
                el("Наименование", "Скидка на заказ"),
                el("Сумма", money(order.discount)),
                el("Процент", plain(share.quantize(Decimal("0.01")))),
                el("УчтеноВСумме", "true"),
            ),
        )

    def services(self, order: Order) -> Iterator[Raw]:
        """Before the goods. CS-B1: without the setting the line is absent, and Сумма has the shipping in it all the same."""
        if order.shipping and self.settings.shipping_line:
            yield self.service("ORDER_DELIVERY", DELIVERY, order.shipping)
        if order.surcharge:
            yield self.service("Payment_surcharge", SURCHARGE, order.surcharge)

    def service(self, key: str, name: str, price: Decimal) -> Raw:
        return el(
            "Товар",
            el("Ид", key),
            el("Наименование", name),
            el("ЦенаЗаЕдиницу", money(price)),
            el("Количество", "1"),
            el("Сумма", money(price)),
            el("Коэффициент", "1"),
            el("БазоваяЕдиница", "шт", attributes=PIECE),
            requisites((("ВидНоменклатуры", "Услуга"), ("ТипНоменклатуры", "Услуга"))),
        )

    def line_xml(self, order: Order, line: Line) -> Raw:
        """The price is that before the discount; a product's discount is written even when it is 0."""
        share = order.discount * line.total / order.subtotal if order.subtotal else Decimal(0)
        discounts = [
            el("Скидка", el("Наименование", "Скидка на товар"), el("Сумма", money(line.discount)), el("УчтеноВСумме", "true")),
        ]
        if 0 < order.discount < order.subtotal:
            discounts.insert(
                0, el("Скидка", el("Наименование", "Скидка на заказ"), el("Сумма", money(share)), el("УчтеноВСумме", "false"))
            )
        return el(
            "Товар",
            el("Ид", self.line_id(line)),
            el("Код", self.line_code(line)),
            el("Артикул", line.article),
            el("Наименование", self.line_name(line)),
            el("ЦенаЗаЕдиницу", money(line.price)),
            el("Количество", plain(line.quantity)),
            el("Коэффициент", "1"),
            el("БазоваяЕдиница", "шт", attributes=PIECE),
            el("Скидки", many(discounts)),
            self.taxes(line),
            el("Сумма", money(line.total + line.added_tax)),
            requisites((("ВидНоменклатуры", "Товар"), ("ТипНоменклатуры", "Товар"))),
        )

    def line_id(self, line: Line) -> str:
        return line.offer

    def line_code(self, line: Line) -> str:
        found = self.goods.find(line.offer)
        return str(found[0].number) if found else ""

    def line_name(self, line: Line) -> str:
        return line.name

    def taxes(self, line: Line) -> Raw | None:
        if not line.tax:
            return None
        name, rate, _inside = line.tax
        return el("СтавкиНалогов", el("СтавкаНалога", el("Наименование", name), el("Ставка", self.rate(rate))))

    def rate(self, rate: Decimal) -> str:
        return f"{rate:.3f}"

    def requisites(self, order: Order) -> Iterator[tuple[str, object]]:
        """No sign of payment, of cancellation, of the number in the accounting system (§2.4)."""
        if self.settings.export_statuses:
            yield "Статус заказа", self.states[order.status]
        yield from self.options_requisite(order)
        yield "Метод оплаты", self.payment_kinds.get(order.payment, "-")
        yield "Способ доставки", self.deliveries.get(order.delivery, "-")

    def options_requisite(self, _order: Order) -> Iterator[tuple[str, object]]:
        yield from ()

    def info(self, request: Request) -> Answer:
        return self.unknown(request)

    def unknown(self, _request: Request) -> Answer:
        return Answer(b"", content_type="text/html")

    def closing(self, request: Request) -> Answer:
        return self.unknown(request)


# --- the old add-on ----------------------------------------------------------------------------------------------------------------


@dataclass
class OldSettings(CsCartSettings):
    file_limit: int = 52_428_800
    slice: int = 100
    shipping_line: bool = False  # CS-B1
    add_tax: bool = False
    all_products: bool = False  # CS-B8
    storefront_admin: bool = True  # False: a root administrator in an Ultimate with several storefronts


class CsCartOld(CsCart):
    """CS-Cart up to 4.11, and later where the old add-on stayed on. Samples: protocol/cscart_old_exim_1c.txt."""

    key = "cs-cart-exim-1c"
    title = "CS-Cart, rus_exim_1c (up to 4.11)"
    address = "/exim_1c"
    settings_class = OldSettings
    settings: OldSettings
    marks = frozenset({"attribute", "child"})  # §2.5: the attribute or <Статус>; ПометкаУдаления is not known
    bad_login = "\n Error in login or password user"
    no_privilege = "\n Privileges for user not setted"
    no_login = "\n Enter login and password user"

    def __init__(self, **args: Any) -> None:
        super().__init__(**args)
        self.days: dict[str, dict[str, bytearray]] = {}  # one folder a day: an exchange over midnight breaks (§2.3)

    def also(self, path: str, query: str) -> bool:
        return path == "/index.php" and "dispatch=exim_1c" in query

    def _admit(self, request: Request) -> Answer | None:
        refused = super()._admit(request)
        if refused is None and not self.settings.storefront_admin:
            return self._text("SHOP IS NOT SIMPLE")
        if refused is None and request.type == "sale" and (self.settings.price_debug or self.settings.vendor):
            return Answer(b"", content_type="text/html")  # §5.20: empty, 200
        return refused

    def checkauth(self, request: Request) -> Answer:
        session = self.open(request.type)
        service = request.params.get("service_exchange", "")
        return self._text(f"success\n{service if service and service != 'exim_cml' else self.cookie}\n{session.cookie}")

    def init(self, _request: Request) -> Answer:
        return self._text(f"zip=no\nfile_limit={self.settings.file_limit}\n")

    def folder(self, _request: Request) -> dict[str, bytearray]:
        return self.days.setdefault(f"1C_{self.local(self.now()):%d%m%Y}", {})

    def stored(self, name: str) -> str:
        return name.rpartition("/")[2]  # the base name; a backslash is not looked at (§4.1)

    def append(self, folder: dict[str, bytearray], name: str, body: bytes) -> None:
        """Whether a chunk goes on with a file is told from whether the file that lies there is whole (§2.3)."""
        kept = folder.get(name)
        if kept is not None and (not name.endswith(".xml") or _whole(bytes(kept))):
            del folder[name]
        super().append(folder, name, body)

    def file(self, request: Request) -> Answer:
        answer = super().file(request)
        if request.type == "sale" and self.settings.import_orders:
            with_orders = bytes(self.folder(request)[self.stored(request.filename)])
            for paper in reader.read(with_orders).papers if _whole(with_orders) else ():
                self.apply(paper)
        return answer

    def steps(self, request: Request, folder: dict[str, bytearray], name: str) -> Iterator[str]:
        """Routed by what the name has in it, whatever the file holds; other names are not known."""
        if name not in folder:
            raise Failure(name)
        if request.type == "sale":
            return  # nothing: the statuses were taken by mode=file
        part = "import" if "import" in name else "offers" if "offers" in name else ""
        if not part:
            raise Failure(name)
        try:
            file = reader.read(bytes(folder[name]))
        except Unreadable:
            # §5.19: "success" has been printed before the work begins, so that a file which cannot be read is a success, too
            return
        if part == "import":
            self.keep_pictures(folder)
            self.load_references(file)
            yield from self.counted(file.cards, lambda card: self.load_card(file, card))
        else:
            self.load_references(replace(file, groups=[]))
            yield from self.counted(file.terms, lambda one: self.load_terms(file, one))

    def counted(self, rows: Sequence[Any], work: Callable[[Any], None]) -> Iterator[str]:
        for at, row in enumerate(rows, 1):
            work(row)
            if at % self.settings.slice == 0 and at < len(rows):
                yield f"imported: {self.settings.slice}\nprocessed: {at}\n"

    def remove_card(self, product: Product, variant: str) -> None:
        """A mark deletes (§2.5)."""
        if variant and len(product.offers) > 1:
            product.offers.pop(variant, None)
        else:
            del self.goods.products[product.id]
        self.writes["products"] += 1

    def fill(self, product: Product, card: Card, variant: str) -> None:
        """The description is not loaded unless the owner says so; pictures keep only their base name."""
        pictures = tuple(p.rpartition("/")[2] for p in card.pictures) if card.pictures is not None else None
        super().fill(product, replace(card, description=None, pictures=pictures), variant)

    def price(self, offer: Offer, terms: Terms, file: File) -> None:
        """The first price, and no other (without "several prices")."""
        for kind, (value, _currency) in list((terms.prices or {}).items())[:1]:
            offer.prices = {kind: value}

    def stock(self, offer: Offer, terms: Terms) -> None:
        """Количество, else the sum of the warehouses, else 0 (§2.5, §5.10); below zero is 0."""
        total = terms.quantity if terms.quantity is not None else sum((terms.stock or {}).values(), Decimal(0))
        offer.quantity = max(total, Decimal(0))

    def success(self, _request: Request) -> Answer:
        return self._text("success")  # and that is all it does

    def query(self, request: Request) -> Answer:
        if self.settings.all_products:
            return self.document([self.fake_order()])
        return super().query(request)

    def fake_order(self) -> Raw:
        """CS-B8: one order with all goods."""
        lines = [
            self.line(key if not v else f"{key}#{v}") for key, p in self.goods.products.items() for v in p.offers if p.active
        ]
        moment = self.now()
        order = Order(0, moment, moment, "O", Buyer(last_name="Магазин"), lines, self.settings.currency)
        return Raw(self.order_xml(order).replace("<Ид>0</Ид>", "<Ид>1_Магазин</Ид>", 1))

    def taxes(self, line: Line) -> Raw | None:
        return super().taxes(line) if self.settings.add_tax else None

    def line_id(self, line: Line) -> str:
        """CS-B2: without options the product alone."""
        return line.offer if self.settings.product_options else line.offer.partition("#")[0]

    def line_name(self, line: Line) -> str:
        found = self.goods.find(line.offer)
        name = found[0].name if found else line.name
        options = "; ".join(f"{key}: {value}" for key, value in line.options)
        return f"{name}#{options}" if options and self.settings.product_options else name

    def apply(self, paper: Paper) -> None:
        """§2.6: the status alone, by its exact name; the order by Ид when it is a number, else by Номер."""
        key = paper.id if paper.id.isdigit() else paper.number
        order = self.orders.get(int(key)) if key.isdigit() else None
        status = self.status_named(paper.requisite("Статус заказа"))
        if order and status and status != order.status:
            order.status, order.updated = status, self.now()
            self.writes["orders"] += 1


# --- the new add-on ----------------------------------------------------------------------------------------------------------------


@dataclass
class NewSettings(CsCartSettings):
    zip: bool = True
    file_limit: int = 8_388_608
    slice: int = 200  # stands for the 25 s (60 s in 4.12) of one call
    version: str = "4.16"  # 4.12 or 4.16
    product_options: bool = True
    strategy: str = "new"  # new | all
    import_mode: str = "all"  # all | only_new | only_existing | none
    import_offers: bool = True
    prices_mapped: bool = True  # False: as before the owner has mapped a price type, when nothing is written
    payment_date_status: str = ""
    shipment_date_status: str = ""
    base_price: str = ""  # id of the price type that is the base price; empty: the first one that comes
    pictures: str = "append"  # append | replace | ignore


class CsCartNew(CsCart):
    """CS-Cart 4.12 and later. Samples: protocol/cscart_new_commerceml.txt."""

    key = "cs-cart-commerceml"
    title = "CS-Cart, commerceml (4.12 and later)"
    address = "/commerceml"
    settings_class = NewSettings
    settings: NewSettings
    marks = frozenset({"attribute"})  # §2.5
    bad_login = "\nError in user login or password"
    no_privilege = "\nPrivileges for user not set"

    def __init__(self, **args: Any) -> None:
        super().__init__(**args)
        self.uploads: dict[str, bytearray] = {}
        self.rotated = 0
        self.last_export = datetime(1970, 1, 1, tzinfo=UTC)

    def also(self, path: str, query: str) -> bool:
        return path == "/commerceml-analyze" or (path == "/index.php" and "dispatch=commerceml" in query)

    @property
    def later(self) -> bool:
        return self.settings.version != "4.12"

    def init(self, _request: Request) -> Answer:
        """The folder is put aside for a new one."""
        self.uploads, self.rotated = {}, self.rotated + 1
        self.jobs.clear()
        self.finished.clear()
        return self._text(("zip=yes\n" if self.settings.zip else "zip=no\n") + f"file_limit={self.settings.file_limit}")

    def folder(self, _request: Request) -> dict[str, bytearray]:
        return self.uploads

    def stored(self, name: str) -> str:
        base = name.rpartition("/")[2]
        return base if base.lower().endswith((".xml", ".zip")) else f"import_files/{base}"

    def file(self, request: Request) -> Answer:
        if request.type == "sale":
            return self.sale_file(request)
        super().file(request)
        return self._text("success")

    def sale_file(self, request: Request) -> Answer:
        """4.12: kept for mode=import. 4.16: everything in this one request."""
        if not self.settings.import_orders:
            return self._text(
                "failure\\nImport orders is disabled" if self.later else "failure"
            )  # the quotes are single ones (§2.5)
        super().file(request)
        if not self.later:
            return self._text("success")
        name = self.stored(request.filename)
        if name.lower().endswith(".zip") and not zipfile.is_zipfile(_file(self.uploads[name])):
            return self._text("success")  # a chunk of a larger archive
        self.unpack(self.uploads)
        files = [raw for one, raw in self.uploads.items() if one.endswith(".xml")]
        for raw in files:
            if _whole(bytes(raw)):
                for paper in reader.read(bytes(raw)).papers:
                    self.apply(paper)
        return self._text("success")

    def run_import(self, request: Request) -> Answer:
        if request.type == "sale" and self.later:
            return self._text(
                "success\nThe order import file is now received and processed at this url:\n"
                "your_site/commerceml?type=sale&mode=file&filename=your_filename"
            )
        off = self.settings.import_mode == "none" if "import" in request.filename else not self.settings.import_offers
        if request.type == "catalog" and off:
            return self._text("success")
        return super().run_import(request)

    def progress(self, _said: str) -> Answer:
        return self._text("progress")

    def done(self, _request: Request) -> Answer:
        return self._text("success")

    def steps(self, request: Request, folder: dict[str, bytearray], name: str) -> Iterator[str]:
        """Call 1 unpacks, call 2 puts the XML into a table, the others work on that; without a price type nothing is written."""
        self.unpack(folder)
        yield "unzip"
        if name not in folder:
            raise Failure(name)
        file = reader.read(bytes(folder[name]))
        yield "convert"
        if request.type == "sale":
            for paper in file.papers:
                self.apply(paper)
            return
        self.load_references(replace(file, groups=[]))
        if not self.settings.prices_mapped or request.path == "/commerceml-analyze":
            return
        if "import" in name:  # anything else is taken for offers
            self.keep_pictures(folder)
            groups = {key: (title, parent) for key, title, parent in file.groups}
            yield from self.slices(file.cards, lambda card: self.load_one(file, card, groups))
        yield from self.slices(file.terms, lambda terms: self.load_terms(file, terms))

    def load_one(self, file: File, card: Card, groups: Mapping[str, tuple[str, str]]) -> None:
        """A category is made when a product needs it."""
        known = card.id.partition("#")[0] in self.goods.products
        if self.settings.import_mode == ("only_new" if known else "only_existing"):
            return
        for key in card.groups or ():
            while key in groups:
                self.put(self.goods.groups, key, groups[key], "groups")
                key = groups[key][1]
        self.load_card(file, card)

    def fill(self, product: Product, card: Card, variant: str) -> None:
        """Categories are appended, so are pictures; the name of a variation that is there is not overwritten (§2.5)."""
        card = replace(card, description=None)
        if card.groups is not None:
            card = replace(card, groups=tuple(dict.fromkeys((*product.groups, *card.groups))))
        if card.pictures is not None:
            come = tuple(f"import_files/{p.rpartition('/')[2].lower()}" for p in card.pictures)
            kept = {"append": (*product.pictures, *come), "replace": come, "ignore": product.pictures}[self.settings.pictures]
            card = replace(card, pictures=tuple(dict.fromkeys(kept)))
        if variant and product.name:
            card = replace(card, name=product.name, full_name="")
        super().fill(product, card, variant)

    def keep_pictures(self, folder: dict[str, bytearray]) -> None:
        super().keep_pictures({name.lower(): raw for name, raw in folder.items()})

    def remove_card(self, product: Product, variant: str) -> None:
        """Removed ids are remembered: a later file of offers does not bring the product back."""
        if variant and len(product.offers) > 1:
            product.offers.pop(variant, None)
        else:
            del self.goods.products[product.id]
            self.goods.removed.add(product.id)
        self.writes["products"] += 1

    def price(self, offer: Offer, terms: Terms, file: File) -> None:
        """By the id of the type; types that are not mapped are left out."""
        base = self.settings.base_price or next(iter(self.goods.kinds), "") or next(iter(terms.prices or {}), "")
        if base in (terms.prices or {}):
            offer.prices = {base: (terms.prices or {})[base][0]}

    def stock(self, offer: Offer, terms: Terms) -> None:
        """The sum of the warehouses overrides Количество; what is absent stays."""
        if terms.stock is not None:
            offer.stock = {**offer.stock, **terms.stock}
            offer.quantity = sum(terms.stock.values(), Decimal(0))
        elif terms.quantity is not None:
            offer.quantity = terms.quantity

    # --- orders out ---

    @property
    def role(self) -> str:
        return "Покупатель" if self.later else "Продавец"

    def currency(self, order: Order) -> str:
        """4.12: empty when it is not mapped; 4.16: always the primary currency."""
        return self.settings.currency if self.later else self.settings.currency_name

    def with_own_fields(self, standard: Sequence[Raw], buyer: Buyer) -> Sequence[Raw]:
        """Title Case, so that a field "ИНН" becomes <Инн>; before the others since 4.16."""
        own = tuple(el(name.title().replace(" ", ""), value) for name, value in buyer.fields.items())
        return (*own, *standard) if self.later else (*standard, *own)

    def wanted(self) -> Sequence[Order]:
        """``>=``: an order of the very second of the last export comes again."""
        found = list(self.selected())
        return found if self.settings.strategy == "all" else [o for o in found if o.updated >= self.last_export]

    def query(self, request: Request) -> Answer:
        """The watermark moves here, not at mode=success: looking at the address in a browser moves it, too (CS-B7)."""
        answer = super().query(request)
        self.last_export = self.now()
        return answer

    def success(self, _request: Request) -> Answer:
        return self._text("success")

    def line_code(self, line: Line) -> str:
        return line.offer  # the same as in Ид

    def rate(self, rate: Decimal) -> str:
        return plain(rate) if self.later else f"{rate:.3f}"

    def options_requisite(self, order: Order) -> Iterator[tuple[str, object]]:
        """CS-B2: "Name: Opt [Var], Opt2 [Var2],; " for the whole document (§5.7)."""
        if not self.settings.product_options:
            return
        text = "".join(
            f"{line.name}: {''.join(f'{key} [{value}],' for key, value in line.options)}; "
            for line in order.lines
            if line.options
        )
        if text:
            yield "Опции товаров", text

    # --- orders in (§2.6) ---

    def apply(self, paper: Paper) -> None:
        """By Номер alone. An unknown product drops the whole update of the order."""
        order = self.orders.get(int(paper.number)) if paper.number.isdigit() else None
        if order is None:
            return
        before = (order.status, list(order.lines), order.shipping, order.discount)
        if paper.lines is not None:
            if any(self.strange(line.id, line.name) for line in paper.lines):
                return
            self.take_lines(order, paper)
        status = self.new_status(paper)
        if status:
            order.status = status
        if before != (order.status, order.lines, order.shipping, order.discount):
            self.writes["orders"] += 1
            # the document's date becomes updated_at, by which the next export is chosen
            order.updated = self.moment(paper) or self.now()

    def strange(self, key: str, name: str) -> bool:
        return name != DELIVERY and self.goods.find(key) is None

    def take_lines(self, order: Order, paper: Paper) -> None:
        """Rebuilt. Of two lines with one product the last stays; all discounts of lines become that of the order."""
        taken: dict[str, Line] = {}
        discount, shipping = Decimal(0), Decimal(0)
        for said in paper.lines or ():
            if said.name == DELIVERY:
                shipping = said.total if said.total is not None else said.price or Decimal(0)
                continue
            quantity = said.quantity or Decimal(1)
            price = said.price or Decimal(0)
            if self.later and said.total is not None:
                price = (said.total + said.discount) / quantity
            discount += said.discount
            old = next((line for line in order.lines if line.offer == said.id), None)
            line = Line(said.id, old.name if old else said.name, price, quantity, said.article or (old.article if old else ""))
            if old:
                line.number, line.options, line.tax = old.number, old.options, old.tax
            taken[said.id] = line
        order.lines, order.shipping, order.discount = list(taken.values()), shipping, discount
        self._number(order)

    def new_status(self, paper: Paper) -> str:
        """The name, else what the owner chose for a date of shipment or of payment: of the two the last one written counts."""
        found = self.status_named(paper.requisite("Статус заказа"))
        if paper.requisite("Статус заказа"):
            return found
        chosen = {
            "Дата отгрузки по 1С": self.settings.shipment_date_status,
            "Дата оплаты по 1С": self.settings.payment_date_status if self.later else "",
        }
        for name, value in paper.requisites:
            if name in chosen and value:
                found = chosen[name] or found
        return found

    def moment(self, paper: Paper) -> datetime | None:
        try:
            day = datetime.strptime(f"{paper.date[:10]} {paper.time or '00:00:00'}", "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 (local)
        except ValueError:
            return None
        return day.replace(tzinfo=ZoneInfo(self.settings.zone)).astimezone(UTC)


def _file(raw: bytearray) -> BytesIO:
    return BytesIO(bytes(raw))


def _whole(raw: bytes) -> bool:
    """Well-formed and complete."""
    try:
        reader.read(raw)
    except Unreadable:
        return False
    return True
