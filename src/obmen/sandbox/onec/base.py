"""A little infobase: orders loaded by the rules and quirks of the real configurations, changed by hand, reported back.

Rules of 1C:UT 11.5.8 and 1C:UNF 3.0.8 (ЗагрузитьЗаказы of common module ОбменССайтом). The reading of the XML is deliberately
1C's own (element presence, first of several) and not the product's reader, so that one checks the other.
"""

from __future__ import annotations

import base64
import json
import os
import re
import uuid
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from lxml import etree

from obmen.core.contract import ExchangeError, NeedsOwner
from obmen.core.records import Address, Counterparty, decimal_text
from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml.dialects import Dialect
from obmen.formats.commerceml.model import Document, Tax, Unit
from obmen.formats.commerceml.model import Line as DocumentLine
from obmen.formats.commerceml.writer import Result, result_requisites, results
from obmen.sandbox.onec.generate import Catalogue, Spec

AWAITS = "Ожидается согласование"  # 1C:UT: the only state in which the site may still change an order
READY, CLOSED, DONE = "Готов к отгрузке", "Закрыт", "Завершен"
CARD_PAYMENT = "Эквайринговая операция"
OPERATION = "заказ товара"
KNOWN_RATES = {
    "0": "0", "0.00": "0", "10": "10", "10.00": "10", "10/110": "10", "18": "18", "18.00": "18", "18/118": "18",
    "20": "20", "20.00": "20", "20/120": "20",
}  # fmt: skip
ACTIONS = ("post", "pay", "ship", "cancel", "delete", "restore")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class _Stop(ExchangeError):
    """The load returns false: what is written stays, the rest is not looked at, 1C sends no ``success``."""


class _RollBack(ExchangeError):
    """The load breaks with an exception: nothing of it stays."""


TRACKING = "Идентификатор отправления"


@dataclass
class Line:
    key: str  # of the goods in this infobase, with #characteristic
    article: str
    name: str
    quantity: str
    price: str
    total: str
    service: bool = False
    unit: str = "796"
    ratio: str = "1"
    rate: str = "20"  # "none" = without VAT
    cancelled: bool = False


@dataclass
class Receipt:
    """ "Операция по платежной карте" that 1C made of what the site says of a payment; ``number`` is the site's."""

    number: str
    date: str
    amount: str
    method: str


@dataclass
class Order:
    """``date`` is the site's (ISO, no zone), "" when 1C could not read it: such an order is never reported back."""

    id: str
    number: str
    number_1c: str
    date_1c: str
    date: str = ""
    currency: str = ""
    party: dict[str, Any] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    requisites: list[tuple[str, str]] = field(default_factory=list)
    discount: str = "0"
    tax: bool = True
    tax_included: bool = True
    state: str = AWAITS
    comment: str = ""
    address: str = ""
    posted: bool = False
    deleted: bool = False
    cancelled: bool = False
    payment: tuple[str, str] | None = None
    shipment: tuple[str, str] | None = None
    tracking: str = ""  # of the parcel; "Идентификатор отправления" of the result, as Bitrix's module for 1C names it
    receipts: list[Receipt] = field(default_factory=list)
    changed: bool = True  # registered for the node
    loaded: int = 0  # the exchange in which the site last changed it
    revision: int = 1

    @property
    def total(self) -> Decimal:
        return sum((Decimal(line.total) for line in self.lines if not line.cancelled), Decimal(0)) - Decimal(self.discount)

    def requisite(self, name: str) -> str:
        return next((v for k, v in self.requisites if k == name), "")


@dataclass
class Loaded:
    """What became of one answer to ``query``; orders by the site's number. ``confirmed`` False: 1C sends no ``success``."""

    documents: int = 0
    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    new_goods: list[str] = field(default_factory=list)  # names of goods that 1C did not find and made
    notes: list[ExchangeError] = field(default_factory=list)  # what a real 1C would do without a word
    confirmed: bool = True
    error: ExchangeError | None = None


def _belongs(d: Any) -> bool:
    """A payment or shipment beside its order: 3.1 keeps the documents of one order in one Контейнер."""
    parent = d.getparent()
    if parent.tag == "КоммерческаяИнформация":
        return False
    return parent.tag != "Контейнер" or bool(_text(d, "Основание") and _text(d, "ХозОперация").lower() != OPERATION)


def local_now() -> datetime:
    """1C writes its own local time, without a zone."""
    return datetime.now(UTC).astimezone().replace(tzinfo=None, microsecond=0)


class Base:
    """Kept in ``folder`` (base.json) between calls, or only in memory when there is none.

    ``states`` maps the site's status (its exact text; for 1C:UNF its id first) to a state of 1C; what is not there becomes
    "Ожидается согласование". ``by_inn``: counterparties are looked for by ИНН (+КПП) before their name.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        rules: str = "ut",
        states: dict[str, str] | None = None,
        by_inn: bool = False,
        now: Callable[[], datetime] = local_now,
    ) -> None:
        self.folder, self.rules, self.states, self.by_inn, self.now = folder, rules, states or {}, by_inn, now
        self.orders: list[Order] = []
        self.parties: list[dict[str, Any]] = []
        self.goods: dict[str, dict[str, str]] = {}
        self.exchange = 0  # its number; orders loaded in one exchange are not reported back in it
        self.counter = 0
        self.spec: Spec | None = None
        self._catalogue: Catalogue | None = None
        if folder and (folder / "base.json").exists():
            self._restore(json.loads((folder / "base.json").read_text("utf-8")))

    # --- keeping ---

    def _state(self) -> dict[str, Any]:
        return {
            "orders": [asdict(o) for o in self.orders],
            "parties": deepcopy(self.parties),
            "goods": deepcopy(self.goods),
            "exchange": self.exchange,
            "counter": self.counter,
            "spec": asdict(self.spec) if self.spec else None,
        }

    def _restore(self, data: dict[str, Any]) -> None:
        self.orders = [
            Order(
                **{
                    **o,
                    "lines": [Line(**line) for line in o["lines"]],
                    "requisites": [(k, v) for k, v in o["requisites"]],
                    "payment": tuple(o["payment"]) if o["payment"] else None,
                    "shipment": tuple(o["shipment"]) if o["shipment"] else None,
                    "receipts": [Receipt(**r) for r in o.get("receipts", ())],
                }
            )
            for o in data["orders"]
        ]
        self.parties, self.goods = data["parties"], data["goods"]
        self.exchange, self.counter = data["exchange"], data["counter"]
        self.spec = Spec(**data["spec"]) if data["spec"] else None
        self._catalogue = None

    def save(self) -> None:
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            new = self.folder / "base.json.new"
            new.write_text(json.dumps(self._state(), ensure_ascii=False, indent=1), "utf-8")
            os.replace(new, self.folder / "base.json")

    def remember(self, spec: Spec) -> None:
        """The goods of this generated catalogue are those of the infobase."""
        self.spec, self._catalogue = spec, None
        self.save()

    def begin(self) -> None:
        """A new exchange starts."""
        self.exchange += 1

    def _guid(self, what: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"obmen-sandbox-onec/{what}"))

    # --- loading ---

    def load(self, text: str) -> Loaded:
        """Load the orders of one answer to ``query``, as ЗагрузитьЗаказы does; never raises for what the text holds."""
        out, before = Loaded(), self._state()
        if self.rules == "unf":
            text = _CONTROL.sub("", text)
        try:
            root = _parse(text)
            documents = [d for d in root.iter("Документ") if not _belongs(d)]
            out.documents = len(documents)
            if root.get("_namespace"):
                out.notes.append(ExchangeError(_("The document has an xmlns: 1C checks such a one strictly, write it without")))
            for document in documents:
                self._load_one(document, out)
        except _Stop as stop:
            out.confirmed, out.error = False, stop
        except _RollBack as error:
            self._restore(before)
            out = Loaded(documents=out.documents, confirmed=False, error=error)
        self.save()
        return out

    def _load_one(self, d: Any, out: Loaded) -> None:
        number = _text(d, "Номер")
        if _text(d, "ХозОперация").lower() != OPERATION:
            raise _Stop(
                _("ХозОперация of order {number} is {said}: 1C loads only «Заказ товара» and stops at anything else"),
                number=number,
                said=repr(_text(d, "ХозОперация")),
            )
        if not _text(d, "Валюта"):
            raise _Stop(_("Валюта of order {number} is empty: 1C stops the whole load there"), number=number)
        old = self._find(number)
        if old and self._closed_to_site(old):
            out.skipped.append(number)
            return
        order = deepcopy(old) if old else self._new_order(number)
        order.currency = _text(d, "Валюта")
        order.date = _moment(_text(d, "Дата"), _text(d, "Время"))
        order.comment = _text(d, "Комментарий")
        order.requisites = _requisites(d)
        self._pickup(d)
        order.party, order.address = self._party(d, number)
        if not order.date:
            out.notes.append(
                ExchangeError(
                    _("Order {number}: {date} is not yyyy-MM-dd HH:mm:ss, so its date stays empty and 1C never reports it back"),
                    number=number,
                    date=f"{_text(d, 'Дата')} {_text(d, 'Время')}",
                )
            )
        taxes = d.findall("Налоги/Налог")
        order.tax = bool(taxes) or self.rules == "ut"
        order.tax_included = _text(taxes[0], "УчтеноВСумме").lower() == "true" if taxes else True
        order.discount = decimal_text(
            sum(
                (_number(_text(s, "Сумма")) for s in d.findall("Скидки/Скидка") if _text(s, "УчтеноВСумме").lower() != "true"),
                Decimal(0),
            )
        )
        order.lines = self._lines(d, order, out)
        order.state = self._mapped_state(order)
        order.receipts = self._receipts(d, order)
        order.cancelled = order.requisite("Отменен").lower() == "true"
        for line in order.lines:
            line.cancelled = order.cancelled
        order.loaded, order.changed = self.exchange, True
        order.revision += bool(old)
        if old:
            self.orders[self.orders.index(old)] = order
            out.updated.append(number)
        else:
            self.orders.append(order)
            out.created.append(number)

    def _find(self, number: str) -> Order | None:
        # 1C:UT cuts what it looks for to eleven characters but keeps the whole number, so a longer one is never found.
        wanted = number if self.rules == "unf" else number[:11]
        return next((o for o in self.orders if o.number == wanted and not o.deleted), None)

    def _closed_to_site(self, order: Order) -> bool:
        if self.rules == "unf":
            return order.state == DONE or order.payment is not None or order.shipment is not None
        return order.state != AWAITS or all(line.cancelled for line in order.lines)

    def _new_order(self, number: str) -> Order:
        new = self._next()
        digits = re.sub(r"\D", "", number)
        # 1C:UNF keeps only the digits of the site's number, which must stay unique without its letters.
        number_1c = f"НФИМ-{digits:0>6}" if self.rules == "unf" else f"00ЦБ-{new:06d}"
        return Order(self._guid(f"order/{new}"), number, number_1c, self.now().isoformat())

    def _next(self) -> int:
        """Number of the next document of any kind."""
        self.counter += 1
        return self.counter

    @property
    def _shipped(self) -> str:
        return DONE if self.rules == "unf" else CLOSED

    def _mapped_state(self, order: Order) -> str:
        names = ["Статус заказа"] if self.rules == "ut" else ["Статуса заказа ИД", "Статус заказа"]
        return next((self.states[v] for v in map(order.requisite, names) if v in self.states), AWAITS)

    def _receipts(self, d: Any, order: Order) -> list[Receipt]:
        """What was paid on the site. 1C:UT: "Заказ оплачен" with a method; 1C:UNF: documents of card payments that are not said to
        be unpaid, and date, method and number in the head of the order, each of them for itself."""
        method = order.requisite("Метод оплаты ИД") or order.requisite("Метод оплаты")
        if self.rules == "ut":
            paid = order.requisite("Заказ оплачен").lower() == "true" and method
            return [Receipt("", order.date, decimal_text(order.total), order.requisite("Метод оплаты") or method)] if paid else []
        said = [*d.findall("ПодчиненныеДокументы/ПодчиненныйДокумент")]
        if d.getparent().tag == "Контейнер":
            said += [x for x in d.getparent().findall("Документ") if _belongs(x) and _text(x, "Основание") == _text(d, "Ид")]
        out = []
        for x in said:
            told = dict(_requisites(x))
            if _text(x, "ХозОперация") == CARD_PAYMENT and told.get("Оплачено", "").lower() != "false":
                number, amount = _text(x, "Номер"), decimal_text(_number(_text(x, "Сумма")))
                out.append(Receipt(number, _moment(_text(x, "Дата"), _text(x, "Время")), amount, told.get("Метод оплаты", "")))
        number, date = order.requisite("Номер платежного документа"), order.requisite("Дата оплаты")
        if number and date and method:
            out.append(Receipt(number, date, decimal_text(order.total), order.requisite("Метод оплаты") or method))
        return out

    def _pickup(self, d: Any) -> None:
        """1C:UT reads a pickup point without looking whether its parts are there."""
        if self.rules != "ut":
            return
        for store in d.findall("Склады/Склад"):
            missing = [tag for tag in ("Ид", "Наименование", "Адрес", "Контакты") if store.find(tag) is None]
            fields = store.findall("Адрес/АдресноеПоле")
            if missing or len(fields) != 1 or not store.findall("Контакты/Контакт"):
                raise _RollBack(
                    _("Склад of order {number} is not complete ({missing}): 1C breaks there and loads nothing"),
                    number=_text(d, "Номер"),
                    missing=", ".join(missing) or "АдресноеПоле, Контакт",
                )

    def _party(self, d: Any, number: str) -> tuple[dict[str, Any], str]:
        """(counterparty, delivery address): only the first Контрагент of a document counts."""
        x = d.find("Контрагенты/Контрагент")
        name = _text(x, "Наименование") if x is not None else ""
        if x is None or not name:
            raise _Stop(_("Order {number}: Наименование контрагента должно быть заполнено!"), number=number)
        legal = x.find("ОфициальноеНаименование") is not None
        inn, kpp = _text(x, "ИНН"), _text(x, "КПП")
        contacts = [(_text(c, "Тип").replace(" ", "").lower(), _text(c, "Значение")) for c in x.findall("Контакты/Контакт")]
        exact = self.rules == "ut"
        phone = next((v for t, v in contacts if (t == "телефонрабочий" if exact else "телефон" in t or "phone" in t)), "")
        email = next((v for t, v in contacts if (t == "почта" if exact else "почта" in t or "mail" in t)), "")
        address = _text(x, "Адрес/Представление")
        registered = _text(x, "ЮридическийАдрес/Представление" if legal else "АдресРегистрации/Представление")
        found = next(
            (
                p
                for p in self.parties
                if (p["inn"] == inn and (not legal or p["kpp"] == kpp) if self.by_inn and inn else p["name"] == name)
            ),
            None,
        )
        if found is None:
            found = {"id": self._guid(f"party/{len(self.parties)}"), "name": name, "legal": legal, "inn": inn, "kpp": kpp}
            found |= {"full_name": _text(x, "ОфициальноеНаименование" if legal else "ПолноеНаименование") or name}
            found |= {"phone": phone, "email": email, "address": registered or address}
            self.parties.append(found)
        delivery = address if self.rules == "ut" else dict(_requisites(d)).get("Адрес доставки", address)
        return dict(found), delivery

    def _lines(self, d: Any, order: Order, out: Loaded) -> list[Line]:
        lines: list[Line] = []
        # 1C:UT does not reset these between lines: a line without them takes those of the line before.
        unit, ratio, rate = "796", "1", self._rate("20" if order.tax else "")
        for x in d.findall("Товары/Товар"):
            quantity = _number(_text(x, "Количество"))
            if quantity == 0:
                out.notes.append(
                    ExchangeError(
                        _("Order {number}: the line {line} has no quantity, 1C leaves it out"),
                        number=order.number,
                        line=repr(_text(x, "Наименование")),
                    )
                )
                continue
            if self.rules == "unf":
                unit, ratio, rate = "796", "1", self._rate("")
            unit = _text(x, "Единица") or unit
            ratio = _text(x, "Коэффициент") or ratio
            said = _text(x, "СтавкиНалогов/СтавкаНалога/Ставка") or _text(x, "Налоги/Налог/Ставка")
            if said:
                rate = self._rate(said)
                if said not in KNOWN_RATES:
                    out.notes.append(
                        ExchangeError(
                            _("Order {number}: 1C does not know the VAT rate {said} and takes {rate}"),
                            number=order.number,
                            said=repr(said),
                            rate=rate,
                        )
                    )
            total = _number(_text(x, "Сумма"))
            price = _number(_text(x, "ЦенаЗаЕдиницу"))
            price = price if price > 0 else total / quantity
            requisites = dict(_requisites(x))
            key, article, name = self._goods(x, out)
            lines.append(
                Line(
                    key,
                    article,
                    name,
                    decimal_text(quantity),
                    decimal_text(price),
                    decimal_text(total or price * quantity),
                    service=requisites.get("ТипНоменклатуры") == "Услуга",
                    unit=unit,
                    ratio=ratio,
                    rate=rate,
                )
            )
        return lines

    def _rate(self, said: str) -> str:
        return KNOWN_RATES.get(said, "0" if self.rules == "ut" else "none")

    def _goods(self, x: Any, out: Loaded) -> tuple[str, str, str]:
        """(key with #characteristic, article, name) of the goods that 1C finds for a line, or makes."""
        said, article, name = _text(x, "Ид"), _text(x, "Артикул"), _text(x, "Наименование")
        goods_id, _hash, characteristic = said.partition("#")
        if not characteristic and "#" in name:
            characteristic = name.partition("#")[2]
        suffix = f"#{characteristic}" if characteristic else ""
        if self.rules == "unf" and said == "ORDER_DELIVERY":
            return said, article, name
        wanted = goods_id if self.rules == "unf" else said
        found = self._known(wanted, article, name.partition("#")[0])
        if found is None:
            found = wanted if _GUID.fullmatch(wanted) else self._guid(f"goods/{len(self.goods)}")
            self.goods[found] = {"article": article, "name": name}
            out.new_goods.append(name)
        return found + suffix, article, name

    def _known(self, wanted: str, article: str, name: str) -> str | None:
        if self._catalogue is None and self.spec:
            self._catalogue = Catalogue(self.spec)
        is_id = bool(_GUID.fullmatch(wanted)) or self.rules == "unf"
        if is_id and wanted in self.goods:
            return wanted
        if self._catalogue:
            for text in (wanted if is_id else "", article):
                card = self._catalogue.find(text) if text else None
                if card:
                    return card.key
        if article:
            by_article = next((k for k, g in self.goods.items() if g["article"] == article), None)
            if by_article:
                return by_article
        return next((k for k, g in self.goods.items() if g["name"] == name), None)

    # --- changes made in 1C ---

    def order(self, number: str) -> Order:
        """The newest order with the site's number. Raises NeedsOwner when there is none."""
        for order in reversed(self.orders):
            if number in (order.number, order.number_1c):
                return order
        raise NeedsOwner(_("There is no order {number} in this 1C: load orders first"), number=number)

    def act(self, number: str, action: str) -> Order:
        """Do with an order what a person in 1C does; ``action`` is one of ACTIONS. Paying and shipping post it first."""
        order = self.order(number)
        moment = self.now().isoformat()
        match action:
            case "post":
                order.posted, order.state = True, READY
            case "pay":
                order.posted, order.state, order.payment = True, READY, (f"ОП-{self._next():08d}", moment)
            case "ship":
                order.posted, order.state, order.shipment = True, self._shipped, (f"РТ-{self._next():08d}", moment)
            case "cancel":
                order.cancelled, order.posted, order.state = True, True, CLOSED
                for line in order.lines:
                    line.cancelled = True
            case "delete":
                order.deleted, order.posted = True, False
            case "restore":
                order.deleted = False
            case _:
                raise NeedsOwner(_("1C cannot {action} an order; it can {known}"), action=action, known=", ".join(ACTIONS))
        return self._touch(order)

    def track(self, number: str, tracking: str) -> Order:
        """The person who packs enters the number of the parcel. Raises NeedsOwner."""
        order = self.order(number)
        order.tracking = tracking
        return self._touch(order)

    def change_line(self, number: str, line: int, *, quantity: str | None = None, price: str | None = None) -> Order:
        """Set quantity and price of a line (counted from 1); quantity "0" removes it. Raises NeedsOwner."""
        order = self.order(number)
        if not 1 <= line <= len(order.lines):
            raise NeedsOwner(_("Order {number} has {count} lines"), number=number, count=len(order.lines))
        it = order.lines[line - 1]
        it.quantity, it.price = quantity or it.quantity, price or it.price
        it.total = decimal_text(Decimal(it.quantity) * Decimal(it.price))
        if Decimal(it.quantity) == 0:
            del order.lines[line - 1]
        return self._touch(order)

    def _touch(self, order: Order) -> Order:
        order.changed = True
        order.revision += 1
        self.save()
        return order

    # --- back to the site ---

    def to_report(self) -> list[Order]:
        """Changed orders that 1C can report: with the site's number and date, and not loaded in this same exchange."""
        return [o for o in self.orders if o.changed and o.number and o.date and o.loaded != self.exchange]

    def reported(self, orders: Iterable[Order]) -> None:
        """The server took them."""
        for order in orders:
            order.changed = False
        self.save()

    def document(self, orders: Sequence[Order], dialect: Dialect) -> Iterable[bytes]:
        """The file orders-….xml, in pieces."""
        return results((self._result(o, dialect) for o in orders), dialect, created=self.now())

    def _result(self, o: Order, dialect: Dialect) -> Document:
        moment = datetime.fromisoformat(o.date)
        result = Result(
            number=o.number_1c,
            date=datetime.fromisoformat(o.date_1c),
            posted=o.posted,
            deleted=o.deleted,
            cancelled=o.cancelled,
            payment=_pair(o.payment),
            shipment=_pair(o.shipment),
            state=o.state,
            state_key=next((theirs for theirs, ours in self.states.items() if ours == o.state), ""),
        )
        p = o.party
        party = Counterparty(
            key=p["id"],
            name=p["name"],
            kind="company" if p["legal"] else "person",
            full_name=p["full_name"],
            inn=p["inn"],
            kpp=p["kpp"],
            phone=p["phone"],
            email=p["email"],
            legal_address=Address(p["address"]) if p["address"] and p["legal"] else None,
            address=Address(p["address"]) if p["address"] and not p["legal"] else None,
            role="Покупатель",
        )
        lines = tuple(_document_line(line, o) for line in o.lines if o.cancelled or not line.cancelled)
        tax = sum((t.amount for line in lines for t in line.taxes if t.amount is not None), Decimal(0))
        return Document(
            id=o.id,
            number=o.number,
            date=moment.date(),
            time=moment.time(),
            operation="Заказ товара",
            role="Продавец",
            currency=o.currency,
            rate=Decimal(1),
            total=o.total if not o.cancelled else sum((line.total or Decimal(0) for line in lines), Decimal(0)),
            counterparties=(party,),
            lines=lines,
            taxes=(Tax(included=o.tax_included, amount=tax),) if o.tax else (),
            requisites=(*result_requisites(dialect, result), *([(TRACKING, o.tracking)] if o.tracking else [])),
            deleted=o.deleted,
            number_1c=o.number_1c,
            date_1c=datetime.fromisoformat(o.date_1c),
            version=base64.b64encode(o.revision.to_bytes(8, "big")).decode(),
            container=o.id,
            comment=o.comment or None,
        )


def _pair(said: tuple[str, str] | None) -> tuple[str, datetime] | None:
    return (said[0], datetime.fromisoformat(said[1])) if said else None


def _document_line(line: Line, order: Order) -> DocumentLine:
    total = Decimal(line.total)
    taxes: tuple[Tax, ...] = ()
    if order.tax and line.rate.isdigit():
        part = Decimal(line.rate) / (100 + Decimal(line.rate) if order.tax_included else 100)
        taxes = (Tax(included=order.tax_included, amount=(total * part).quantize(Decimal("0.01")), rate=line.rate),)
    return DocumentLine(
        key=line.key,
        name=line.name,
        article=line.article,
        unit=Unit(text="шт", code="796", full_name="Штука", international="PCE", key="796"),
        ratio=Decimal(line.ratio),
        price=Decimal(line.price),
        quantity=Decimal(line.quantity),
        total=total,
        rate=line.rate,
        taxes=taxes,
        requisites=(("ТипНоменклатуры", "Услуга" if line.service else "Товар"),),
    )


def _parse(text: str) -> Any:
    """The tree without namespaces. 1C reads a string, so what the declaration says of an encoding means nothing."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True, encoding="utf-8", remove_comments=True)
    try:
        root = etree.fromstring(text.encode("utf-8", "surrogatepass"), parser)
    except etree.XMLSyntaxError as error:
        raise _RollBack(_("1C cannot read the XML: {reason}"), reason=error) from None
    namespace = etree.QName(root).namespace or ""
    for element in root.iter(etree.Element):
        element.tag = etree.QName(element).localname
    root.set("_namespace", namespace)
    return root


def _text(element: Any, path: str) -> str:
    """Stripped text of the first such child, "" when there is none."""
    return (element.findtext(path) or "").strip(" \t\r\n\u00a0")


def _requisites(element: Any) -> list[tuple[str, str]]:
    return [(_text(r, "Наименование"), _text(r, "Значение")) for r in element.findall("ЗначенияРеквизитов/ЗначениеРеквизита")]


def _number(text: str) -> Decimal:
    try:
        return Decimal(re.sub(r"[\s\u00a0]", "", text).replace(",", ".") or "0")
    except InvalidOperation:
        return Decimal(0)


def _moment(date: str, time: str) -> str:
    """1C glues the digits together (yyyyMMddHHmmss); anything of another length is an empty date."""
    digits = date.replace("-", "") + time.replace(":", "")
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S").isoformat() if len(digits) == 14 else ""  # noqa: DTZ007 (1C has no zone)
    except ValueError:
        return ""
