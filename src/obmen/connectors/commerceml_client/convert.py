"""What a shop's document becomes in the books. Pure but for what the hub knows: mappings, names, goods.

Shapes and oddities are those of CS-Cart 4.1–4.16, Bitrix sale 22.8, OpenCart exchange1c, WooCommerce-1C and МойСклад; what 1C does
with an order follows 1C:UT 11.5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from lxml import etree

from obmen.connectors.commerceml_client.orders_settings import EMAIL, ID, INN, INN_KPP, NAME, PHONE
from obmen.connectors.commerceml_client.settings import ClientSettings
from obmen.connectors.commerceml_client.tables import Words, folded
from obmen.core import matching
from obmen.core.contract import BadRecord, Found, Hub, Unmapped
from obmen.core.names import Names
from obmen.core.orders import is_delivery
from obmen.core.records import (
    Counterparty,
    Delivery,
    Offer,
    Order,
    OrderLine,
    Payment,
    Product,
    Subject,
)
from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml import records, values
from obmen.formats.commerceml.model import Document, Line
from obmen.formats.commerceml.orders import (
    DELIVERY_KEY,
    DELIVERY_NAME,
    DOCUMENT,
    ORDER,
    flag,
    subordinate,
    unit_of,
    when,
)

CENT, FINE = Decimal("0.01"), Decimal("0.0001")
SURCHARGE_KEY = "Payment_surcharge"  # CS-Cart
SERVICES = frozenset({folded(DELIVERY_NAME), "доставка", "дополнительный сбор", "delivery", "shipping", "shipping cost"})
NOTHING = frozenset({"", "-", "—"})  # CS-Cart writes a dash for what is not there
ROLES = {"покупатель": 0, "плательщик": 1, "заказчик": 1, "": 2, "продавец": 3, "получатель": 4}

# Requisites of an order in the books: names of attributes of 1C's document, which the door hands on to it.
SITE_ID = "Ид заказа на сайте"
AGREEMENT, ORGANISATION, WAREHOUSE = "Соглашение", "Организация", "Склад"
PRICE_KIND, INCLUDES_VAT = "Вид цен", "Цена включает НДС"
KIND, TYPE = "ВидНоменклатуры", "ТипНоменклатуры"
SITE_GOODS = "Ид товара на сайте"  # of a line whose goods have another id here

# Requisites that become fields of the order, and so are kept in no other way.
TAKEN = frozenset(
    map(
        folded,
        (
            "Статус заказа", "Статуса заказа ИД", "Статус заказа ИД", "Отменен", "Причина отмены", "Заказ оплачен", "Оплачен", "Отгружен",
            "Метод оплаты", "Метод оплаты ИД", "Дата оплаты", "Номер платежного документа", "Способ доставки", "Способ доставки ИД",
            "Метод доставки", "Метод доставки ИД", "Адрес доставки", "Получатель", "Контактный телефон", "Трек-номер",
            "Идентификатор отправления", "Комментарий доставки", "Пункт выдачи заказа", "Опции товаров", "ПометкаУдаления", "Проведен",
            "Номер по 1С", "Дата по 1С", "Номер оплаты по 1С", "Дата оплаты по 1С", "Номер отгрузки по 1С", "Дата отгрузки по 1С",
            "Комментарии покупателя",
        ),
    )
)  # fmt: skip

NOT_AN_ORDER = _("Document {number} is “{operation}”, not an order: it was not loaded")
NO_ORDER = _("The document is no order: there is none in it")
NO_DATE = _("Order {number} has no date: it was not loaded")
NO_QUANTITY = _("Order {number}: the line “{name}” has no quantity: the order was not loaded")
UNMAPPED_STATE = _("Their order state “{value}” is not mapped; map it on the connection's page, the rest of the order was taken")
STATE_WAITS = _("Orders in the status {value} wait until it is mapped on the tab “States of orders”")
TOO_OLD = _("Orders made before {date} are not loaded")
TOO_LOW = _("Orders with a number below {number} are not loaded")
NO_CURRENCY = _("Order {number} names no currency: set the one to take on the tab “Orders”")
NO_BUYER = _("Order {number} does not say who the buyer is")
NOTHING_IN_LINE = _("Order {number}: the line “{name}” has the quantity 0 and was left out")
DELIVERY_MADE = _("The shop keeps delivery out of the lines but inside the total: such orders got a line of delivery")
TOTAL_MADE = _("Order {number}: its lines make {found}, the shop says {total}; {found} was taken")
SUMS_DIFFER = _("Order {number}: its lines make {found}, the shop says {total}")
NO_GOODS = _("Order {number}: “{name}” ({id}) is not in the books; the line is kept with its name")
MANY_GOODS = _("Order {number}: “{name}”: several goods of the books have {id}; the line is kept with its name")


@dataclass(frozen=True, slots=True)
class Said:
    """One order as the shop said it: its document, and those of its payments and shipments where they stand beside it (3.1)."""

    order: Document
    parts: tuple[Document, ...] = ()


def site(s: ClientSettings) -> str:
    """Whose orders these are, as the order says it: the host of the shop."""
    return (urlsplit(s.url).hostname or "") if s.url else ""


# --- keys ------------------------------------------------------------------------------------------------------------------


def number_of(doc: Document) -> str:
    """The shop's number; its id where Номер holds none (an old 1C:UT writes a moment there)."""
    number, ident = doc.number.strip(), doc.id.strip()
    return ident if ident and _is_moment(number) else number or ident


def _is_moment(text: str) -> bool:
    if ":" not in text and "." not in text:
        return False
    try:
        return values.moment(text) is not None
    except ValueError:
        return False


def key_of(doc: Document, s: ClientSettings) -> str:
    """What stays the same as long as it is the same order; Ид may be a whole number, a GUID or `wc1c#order#5`."""
    ident, number = doc.id.strip(), number_of(doc)
    if s.order_key == "id":
        return ident or number
    if s.order_key == "number":
        return number
    if s.order_key == "number_date":
        return f"{number}/{doc.date.isoformat()}" if doc.date else number
    return ident if ident.isascii() and ident.isdigit() else number


# --- buyers ----------------------------------------------------------------------------------------------------------------


def buyer_of(doc: Document) -> tuple[Counterparty | None, Counterparty | None]:
    """(buyer, recipient). CS-Cart up to 4.12 calls the buyer “Продавец”, WooCommerce-1C says a payer and a recipient."""
    parties = sorted(doc.counterparties, key=lambda c: ROLES.get(folded(c.role), 2))
    if not parties:
        return None, None
    recipient = next((c for c in parties[1:] if folded(c.role) == "получатель"), None)
    return _completed(parties[0]), recipient


def _completed(party: Counterparty) -> Counterparty:
    """Without CS-Cart's dashes, and with what stands in elements that are called otherwise: its own fields of a profile ("ИНН"
    becomes <Инн>)."""
    said = extra_texts(party.extra)
    found = {"inn": said.pop("инн", ""), "kpp": said.pop("кпп", ""), "okpo": said.pop("окпо", "") or said.pop("едрпоу", "")}
    changes: dict[str, Any] = {name: value for name, value in found.items() if value and not getattr(party, name)}
    more = tuple((name, value) for name, value in _extra(party.extra) if folded(name) in said and name not in OWN_WORDS)
    changes |= {name: "" for name in ("phone", "email") if getattr(party, name).strip() in NOTHING}
    changes["contacts"] = tuple((kind, value) for kind, value in party.contacts if value.strip() not in NOTHING)
    changes["requisites"] = (*party.requisites, *more)
    if party.kind == "person" and (party.kpp or found["kpp"]):
        changes["kind"] = "company"
    return replace(party, **changes)


OWN_WORDS = frozenset({"Незарегистрированный", "Представители"})


def extra_texts(xml: str) -> dict[str, str]:
    return {folded(name): value for name, value in _extra(xml)}


def _extra(xml: str) -> list[tuple[str, str]]:
    """(name, text) of elements without children that the reader does not know."""
    if not xml:
        return []
    try:
        root = etree.fromstring(f"<x>{xml}</x>", etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        return []
    return [
        (str(el.tag), el.text.strip()) for el in root if isinstance(el.tag, str) and not len(el) and el.text and el.text.strip()
    ]


def real_id(party: Counterparty, doc: Document) -> str:
    """The buyer's own id in the shop; "" for a guest, whose id says nothing about the person.

    CS-Cart: 0<order> and Незарегистрированный; WooCommerce-1C: wc1c#user#0; Bitrix: 38#login#name, of which only 38 stays.
    """
    key = party.key.strip()
    guest = flag(extra_texts(party.extra).get("незарегистрированный", ""))
    if guest or key in ("", "0", party.inn, party.name) or key == f"0{number_of(doc)}" or key == f"0{doc.id.strip()}":
        return ""
    head, sign, tail = key.partition("#")
    if sign and head == "wc1c":
        number = tail.rpartition("#")[2]
        return "" if number in ("", "0") else key
    return head if sign and head.isdigit() else key


def found_by(by: str, party: Counterparty, s: ClientSettings) -> str:
    """The value of one attribute by which a buyer is found; "" when it cannot tell."""
    if by == INN_KPP:
        inn = matching.normalise(INN, party.inn)
        return f"{inn}/{matching.normalise('kpp', party.kpp)}" if inn else ""
    if by == NAME and party.kind == "person" and not s.persons_by_name:
        return ""
    return matching.normalise(by, getattr(party, by))


def party_key(party: Counterparty, doc: Document, key: str, s: ClientSettings) -> str:
    """By the first of the settings' attributes that the order says; else the order's own, for then nobody can tell who it is."""
    for by in (word.casefold() for word in s.buyers_by):
        value = real_id(party, doc) if by == ID else found_by(by, party, s)
        if value:
            return value if by == ID else f"{by}:{value}"
    return f"order:{key}"


def match_attributes(s: ClientSettings) -> tuple[str, ...]:
    """By what cards of strangers are looked for (core/matching.py). Only a company's name counts, unless the settings say more."""
    words = {
        INN_KPP: "inn_kpp",
        INN: "inn",
        EMAIL: "email",
        PHONE: "phone",
        NAME: "name" if s.persons_by_name else "company_name",
    }
    return tuple(words[by] for by in (word.casefold() for word in s.buyers_by) if by in words)


# --- goods -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Goods:
    """What the books know of the goods of a page: (attribute, value) → what was found."""

    found: Mapping[tuple[str, str], Sequence[Found]] = field(default_factory=dict)


def goods_id(line: Line) -> str:
    """Ид of the goods; Bitrix writes a product without variants as x#x."""
    head, sign, tail = line.key.strip().partition("#")
    return head if sign and (head == tail or not tail) else line.key.strip()


def asked_by(line: Line, s: ClientSettings) -> Iterator[tuple[str, str]]:
    """(attribute, value) by which the goods of a line are looked for, best first."""
    for attribute in s.goods_by:
        if attribute == "key":
            ident = goods_id(line)
            if ident:
                yield "key", ident
            if "#" in ident:
                yield "key", ident.partition("#")[0]
        elif attribute == "code":
            code = extra_texts(line.extra).get("код", "")
            if code:
                yield "code", code
        elif value := str(getattr(line, attribute)).strip():
            yield attribute, value


def look_up(docs: Sequence[Document], s: ClientSettings, hub: Hub) -> Goods:
    """A question to the books for each attribute, for a whole page."""
    asked: dict[str, dict[str, None]] = {}
    for doc in docs:
        for line in doc.lines or ():
            if kind_of(line) != "delivery":
                for attribute, value in asked_by(line, s):
                    asked.setdefault(attribute, {})[value] = None
    found: dict[tuple[str, str], Sequence[Found]] = {}
    for attribute, values_ in asked.items():
        for value, offers in hub.books.offers_by(attribute, list(values_)).items():
            found[attribute, value] = offers
    return Goods(found)


def known(line: Line, s: ClientSettings, goods: Goods) -> tuple[Found | None, str]:
    """(the one offer that the line means, or None; the value that several offers have, or "")."""
    twice = ""
    for attribute, value in asked_by(line, s):
        offers = goods.found.get((attribute, value), ())
        if len(offers) == 1:
            return offers[0], ""
        twice = twice or (value if offers else "")
    return None, twice


def kind_of(line: Line) -> str:
    """product | service | delivery: by ТипНоменклатуры, and where that is not said by id and name."""
    said, name = folded(line.requisite(TYPE) or ""), folded(line.name)
    if line.key == DELIVERY_KEY or (said != "товар" and name == folded(DELIVERY_NAME)):
        return "delivery"
    service = said == "услуга" if said else line.key == SURCHARGE_KEY or name in SERVICES
    if not service:
        return "product"
    if not line.key.strip():
        return "delivery"  # WooCommerce-1C: under the name of the way of delivery, without an id
    return "delivery" if "доставк" in name or "delivery" in name or "shipping" in name else "service"


def strangers(docs: Sequence[Document], s: ClientSettings, goods: Goods) -> tuple[list[Product], list[Offer]]:
    """Cards for goods that are not in the books: a product for each id before #, an offer for each line's id."""
    products: dict[str, Product] = {}
    offers: dict[str, Offer] = {}
    for doc in docs:
        for line in doc.lines or ():
            kind = kind_of(line)
            found, twice = known(line, s, goods)
            key = new_key(line)
            if kind == "delivery" or found or twice or not key or line.deleted:
                continue
            base = key.partition("#")[0]
            name, options = _options(line)
            unit = unit_of(line.unit.name if line.unit and line.unit.name else s.unit)
            products.setdefault(
                base,
                Product(
                    base,
                    name=name,
                    full_name=name,
                    article=line.article or None,
                    barcode=(line.barcode or None) if base == key else None,
                    unit=unit.text,
                    unit_attributes=tuple((n, v) for n, v in (("code", unit.code), ("full_name", unit.full_name)) if v),
                    groups=(s.goods_group,) if s.goods_group else None,
                    kind="Услуга" if kind == "service" else "Товар",
                    vat_rate=line.rate,
                    requisites=((KIND, s.services_kind if kind == "service" else s.goods_kind),),
                ),
            )
            offers.setdefault(key, Offer(key, base, name=name, characteristics=options if "#" in key else ()))
    return list(products.values()), list(offers.values())


def new_key(line: Line) -> str:
    """Under which id unknown goods become a card."""
    name = folded(_options(line)[0])
    return goods_id(line) or (f"article:{line.article}" if line.article else f"name:{name}" if name else "")


# --- options ---------------------------------------------------------------------------------------------------------------

Pairs = tuple[tuple[str, str], ...]
BRACKETS = re.compile(r"([^\[\],]+?)\s*\[([^\]]*)\]")
OF_BASKET = "СвойствоКорзины#"


def _options(line: Line) -> tuple[str, Pairs]:
    """(name without options, options) of what the line itself says: characteristics, Bitrix's basket properties, or CS-Cart's tail
    of the name, "Name#Opt: Value; Opt2: Value2" (1C writes "Name#Value")."""
    name, sign, tail = line.name.strip().partition("#")
    parts = [part.partition(":") for part in tail.split(";") if part.strip()]
    spelled = bool(sign) and bool(parts) and all(colon for _name, colon, _value in parts) and not name.endswith(" ")
    if spelled or (sign and tail.strip() and "#" in line.key):
        said = tuple((n.strip(), v.strip()) if colon else ("", n.strip()) for n, colon, v in parts)
    else:
        name, said = line.name.strip(), ()
    basket = tuple(
        (n.removeprefix(OF_BASKET), v)
        for n, v in line.requisites
        if n.startswith(OF_BASKET) and not n.endswith(".XML_ID") and v.strip()
    )
    return name, line.characteristics or basket or said


class DocumentOptions:
    """The requisite “Опции товаров” of CS-Cart from 4.12: "Name: Opt [Value], Opt2 [Value2],; " for each line that has options."""

    def __init__(self, text: str) -> None:
        self.left = [part.strip() for part in text.split(",;") if part.strip()]

    def take(self, name: str) -> Pairs:
        """Those of the next line of that name; a name may hold colons."""
        at = next((i for i, part in enumerate(self.left) if part.startswith(f"{name}:")), None)
        if at is None:
            return ()
        return tuple((n.strip(), v.strip()) for n, v in BRACKETS.findall(self.left.pop(at)[len(name) + 1 :]))


# --- orders ----------------------------------------------------------------------------------------------------------------

Report = Callable[..., None]


class Reader:
    """Makes orders of documents: one for a source, for it remembers tables and names."""

    def __init__(self, s: ClientSettings, hub: Hub, *, quiet: bool = False) -> None:
        self.s, self.hub, self.quiet = s, hub, quiet
        self.names = Names(hub)
        self.states, self.payments, self.deliveries, self.warehouses = (
            Words(hub, subject) for subject in (Subject.ORDER_STATE, Subject.PAYMENT_KIND, Subject.DELIVERY, Subject.WAREHOUSE)
        )
        self.site = site(s)

    def report(self, level: str, text: str, **facts: object) -> None:
        if not self.quiet:
            self.hub.report(level, text, **facts)

    def _ask(self, table: Words, ident: str, name: str) -> Any:
        return table.find(ident, name) if self.quiet else table.ask(ident, name)

    def order(self, said: Said, goods: Goods) -> Order | BadRecord | None:
        """None: the settings leave it out."""
        doc, s = said.order, self.s
        number = number_of(doc)
        if doc.operation.strip() and folded(doc.operation) != folded(ORDER):
            return BadRecord(NOT_AN_ORDER, number=number, operation=doc.operation)
        made_at = doc.moment(self.hub.zone)
        if made_at is None:
            return BadRecord(NO_DATE, number=number)
        if self._too_early(number, made_at):
            return None
        key = key_of(doc, s)
        ident, status = status_of(doc)
        row = self._ask(self.states, ident, status)
        if row is not None and not row.taken:
            return None
        if row is None and (ident or status):
            if s.unmapped_states == "park":
                return Unmapped(STATE_WAITS, subject=str(Subject.ORDER_STATE), value=ident or status)
            self.report("warning", UNMAPPED_STATE, value=status or ident)
        try:
            lines = tuple(self._lines(doc, number, goods))
        except BadRecord as error:
            return error
        currency = self._currency(doc, number)
        lines, total, discount = self._sums(doc, lines, number)
        buyer, recipient = buyer_of(doc)
        if buyer is None:
            self.report("warning", NO_BUYER, number=number)
        else:
            buyer = replace(buyer, key=party_key(buyer, doc, key, s), role="")
        cancelled, reason = self._cancelled(doc, row, status or ident)
        payments, paid = self._payments(said, key, total, currency, status)
        _more, shipments = subordinate((*doc.subordinate, *said.parts), self.hub.zone)
        shipped = flag((doc.requisite("Отгружен") or "").strip())
        if shipped is None and shipments:
            shipped = all(one.shipped for one in shipments)
        warehouse = self._warehouse(doc)
        return Order(
            key=key,
            number=number,
            date=made_at,
            state=row.ours if row else "",
            currency=currency,
            total=total,
            counterparty=buyer,
            lines=lines,
            delivery=self._delivery(doc, lines, buyer, recipient, [p.tracking for p in shipments if p.tracking]),
            payments=payments,
            shipments=tuple(replace(one, order=key) for one in shipments),
            discount=discount,
            comment=self._comment(doc),
            site=self.site,
            manager=s.manager,
            organisation=s.organisation,
            warehouse=warehouse,
            cancelled=cancelled,
            cancel_reason=reason,
            paid=paid,
            shipped=shipped,
            deleted=bool(doc.deleted),
            requisites=self._requisites(doc, number, made_at, warehouse),
            extra=doc.extra,
        )

    def _too_early(self, number: str, made_at: datetime) -> bool:
        since, first = self.s.orders_from.strip(), _digits(self.s.orders_from_number)
        if since and made_at.astimezone(self.hub.zone).date() < date.fromisoformat(since):
            self.report("info", TOO_OLD, date=since)
            return True
        own = _digits(number)
        if first and own and int(own) < int(first):
            self.report("info", TOO_LOW, number=first)
            return True
        return False

    def _currency(self, doc: Document, number: str) -> str:
        s, said = self.s, doc.currency.strip()
        named = {folded(theirs): ours for theirs, ours in s.currencies.items()}
        found = named.get(folded(said), values.currency(said)) if said else s.currency
        if not found:
            self.report("warning", NO_CURRENCY, number=number)
        return found

    def _cancelled(self, doc: Document, row: Any, status: str) -> tuple[bool, str]:
        s = self.s
        by_status = bool(s.cancel_status.strip()) and folded(status) == folded(s.cancel_status)
        by_status = by_status or (row is not None and row.attributes.get("cancel") == "yes")
        cancelled = by_status or bool(flag((doc.requisite("Отменен") or "").strip())) or bool(doc.deleted)
        if not cancelled:
            return False, ""
        return True, (doc.requisite("Причина отмены") or "").strip() or self.names(Subject.CANCEL_REASON, s.cancel_reason)

    # --- lines ---

    def _lines(self, doc: Document, number: str, goods: Goods) -> Iterator[OrderLine]:
        """Raises BadRecord."""
        options = DocumentOptions(doc.requisite("Опции товаров") or "")
        for line in doc.lines or ():
            if line.deleted:
                continue
            if line.quantity == 0:
                self.report("warning", NOTHING_IN_LINE, number=number, name=line.name)
                continue
            yield self._line(line, number, goods, options)

    def _line(self, line: Line, number: str, goods: Goods, options: DocumentOptions) -> OrderLine:
        s = self.s
        quantity, price, total, discount = amounts(line, number)
        name, chosen = _options(line)
        chosen = chosen or options.take(name)
        kind, said = kind_of(line), goods_id(line)
        key, article = said, line.article
        if kind == "delivery":
            key = s.delivery_product or DELIVERY_KEY
        else:
            found, twice = known(line, s, goods)
            if found:
                key, article = found.offer, article or found.article
            elif kind == "product":
                self.report(
                    "warning",
                    MANY_GOODS if twice else NO_GOODS,
                    number=number,
                    name=name,
                    id=twice or said or line.article or "—",
                )
        own = tuple((n, v) for n, v in line.requisites if n not in (KIND, TYPE) and not n.startswith(OF_BASKET))
        vat = [tax.amount for tax in line.taxes if tax.amount is not None]
        rate = line.rate if line.rate is not None else next((tax.rate for tax in line.taxes if tax.rate is not None), None)
        return OrderLine(
            offer=key,
            name=name or said,
            quantity=quantity,
            price=price,
            total=total,
            article=article,
            kind=kind,
            unit=(line.unit.name if line.unit else "") or s.unit,
            discount=discount,
            vat_rate=rate or "",
            vat_amount=sum(vat, Decimal(0)) if vat else None,
            ratio=line.ratio or Decimal(1),
            options=chosen,
            requisites=(
                (KIND, s.goods_kind if kind == "product" else s.services_kind),
                *own,
                *(((SITE_GOODS, said),) if said and said != key and kind != "delivery" else ()),
            ),
            key=(line.requisite("НомерПозицииКорзины") or "").strip(),
        )

    def _sums(self, doc: Document, lines: tuple[OrderLine, ...], number: str) -> tuple[tuple[OrderLine, ...], Decimal, Decimal]:
        """(lines, total, discount of the document) so that they agree, by the settings' rule where the shop's do not (IC-1)."""
        net = sum((line.total for line in lines), Decimal(0))
        shared = any(d.included is False and d.amount for line in doc.lines or () for d in line.discounts)
        discount = Decimal(0)
        for said in doc.discounts:
            amount = said.amount if said.amount is not None else net * (said.percent or 0) / 100
            if shared or not amount:
                continue  # CS-Cart says the same discount once more, spread over the lines
            if said.included is not True or (doc.total is not None and net - amount == doc.total):
                discount += amount
        taxes = doc.taxes or tuple(tax for line in doc.lines or () for tax in line.taxes)
        apart = sum((tax.amount for tax in taxes if tax.included is False and tax.amount is not None), Decimal(0))
        found = net - discount + apart
        if doc.total is None or abs(doc.total - found) <= CENT * max(len(lines), 1) / 2:
            return lines, found if doc.total is None else doc.total, discount
        missing = doc.total - found
        if missing > 0 and self.s.difference == "delivery" and not any(is_delivery(line) for line in lines):
            self.report("info", DELIVERY_MADE)
            made = OrderLine(
                self.s.delivery_product or DELIVERY_KEY,
                DELIVERY_NAME,
                Decimal(1),
                missing,
                missing,
                kind="delivery",
                unit=self.s.unit,
                requisites=((KIND, self.s.services_kind),),
            )
            return (made, *lines), doc.total, discount
        if self.s.difference == "total":
            self.report("warning", TOTAL_MADE, number=number, found=found, total=doc.total)
            return lines, found, discount
        self.report("warning", SUMS_DIFFER, number=number, found=found, total=doc.total)
        return lines, doc.total, discount

    # --- payment and delivery ---

    def _payments(
        self, said: Said, key: str, total: Decimal, currency: str, status: str
    ) -> tuple[tuple[Payment, ...], bool | None]:
        """(payments, whether the order is paid; None where nothing says it)."""
        doc, zone = said.order, self.hub.zone
        word = (doc.requisite("Заказ оплачен") or doc.requisite("Оплачен") or "").strip()
        paid_at = when((doc.requisite("Дата оплаты") or "").strip(), zone)
        paid = flag(word)
        if paid is None and (paid_at or folded(status) in {folded(one) for one in self.s.paid_statuses if one.strip()}):
            paid = True
        made, _shipments = subordinate((*doc.subordinate, *said.parts), zone)
        made += tuple(
            Payment(
                p.transaction or p.number or f"{key}/{n}",
                p.amount or Decimal(0),
                p.method,
                p.method_key,
                number=p.number,
                date=values.utc(p.date, zone),
                paid=True,
            )
            for n, p in enumerate(doc.payments, 1)
        )
        name, ident = ((doc.requisite(word) or "").strip() for word in ("Метод оплаты", "Метод оплаты ИД"))
        name = "" if name in NOTHING else name
        if not made and (name or ident or paid):
            number = (doc.requisite("Номер платежного документа") or "").strip()
            made = (Payment(f"{key}/1", total, name, ident, number=number, date=paid_at, paid=bool(paid)),)
        if paid is None and any(p.paid and not p.refund for p in made):
            paid = sum((p.amount for p in made if p.paid and not p.refund), Decimal(0)) >= total
        if not self.s.create_payments:
            return (), paid
        return tuple(p for one in made if (p := self._payment(one, key, currency)) is not None), paid

    def _payment(self, said: Payment, key: str, currency: str) -> Payment | None:
        row = self._ask(self.payments, said.method_key, said.method)
        if row is not None and not row.taken:
            return None
        document = row.attributes.get("document", "") if row else ""
        ours = row.ours if row else ""
        own = tuple(pair for pair in said.requisites if pair[0] != DOCUMENT or not document)
        return replace(
            said,
            method=self.names(Subject.PAYMENT_KIND, ours) or said.method,
            method_key=ours or said.method_key or said.method,
            gateway=said.method if document == "card" else "",
            currency=said.currency or currency,
            order=key,
            requisites=(*own, *(((DOCUMENT, document),) if document else ())),
        )

    def _delivery(
        self,
        doc: Document,
        lines: Sequence[OrderLine],
        buyer: Counterparty | None,
        recipient: Counterparty | None,
        tracking: Sequence[str],
    ) -> Delivery:
        def said(*names: str) -> str:
            return next((v for name in names if (v := (doc.requisite(name) or "").strip()) not in NOTHING), "")

        name, ident = said("Способ доставки", "Метод доставки"), said("Метод доставки ИД", "Способ доставки ИД")
        row = self._ask(self.deliveries, ident, name)
        ours = row.ours if row and row.taken else ""
        own = [line for line in lines if is_delivery(line)]
        party = recipient or buyer
        address = (party.address or party.legal_address) if party else None
        text = (address.text or ", ".join(v for _kind, v in address.parts if v not in NOTHING)) if address else ""
        return Delivery(
            method=self.names(Subject.DELIVERY, ours) or name,
            method_key=ours or ident or name,
            price=sum((line.total for line in own), Decimal(0)) if own else None,
            vat_rate=own[0].vat_rate if own else "",
            address=said("Адрес доставки") or text,
            recipient=said("Получатель") or (recipient.name if recipient else ""),
            phone=said("Контактный телефон") or (party.phone if party else ""),
            tracking=said("Трек-номер", "Идентификатор отправления") or next(iter(tracking), ""),
            comment=said("Комментарий доставки"),
            pickup=said("Пункт выдачи заказа"),
        )

    def _warehouse(self, doc: Document) -> str:
        for said in doc.warehouses:
            row = self._ask(self.warehouses, said.key, said.name)
            if row is not None and row.taken and row.ours:
                return str(row.ours)
        return self.s.warehouse

    # --- requisites ---

    def _comment(self, doc: Document) -> str:
        own, more = (doc.comment or "").strip(), (doc.requisite("Комментарии покупателя") or "").strip()
        return "\n".join(text for text in (self.s.comment.strip(), own, more if more != own else "") if text)

    def _requisites(self, doc: Document, number: str, made_at: datetime, warehouse: str) -> tuple[tuple[str, str], ...]:
        """The attributes that 1C's node sets, then whatever else the shop says: 1C copies what is called like one of its own."""
        s = self.s
        local = made_at.astimezone(self.hub.zone)
        ident = doc.id.strip()
        pairs = [
            (s.number_attribute.strip(), number),
            (s.date_attribute.strip(), f"{local:%Y-%m-%dT%H:%M:%S}"),
            (SITE_ID, ident if ident != number else ""),
            (AGREEMENT, self.names(Subject.AGREEMENT, s.agreement)),
            (ORGANISATION, self.names(Subject.ORGANISATION, s.organisation)),
            (WAREHOUSE, self.names(Subject.WAREHOUSE, warehouse)),
            *self._of_agreement(),
        ]
        made = [(name, value) for name, value in pairs if name and value]
        have = {folded(name) for name, _value in made}
        more = ((n, v) for n, v in doc.requisites if folded(n) not in TAKEN and folded(n) not in have)
        return (*made, *more)

    def _of_agreement(self) -> list[tuple[str, str]]:
        """What a typical agreement brings, as far as the books know it: its price kind, and whether prices include VAT."""
        agreement = self.names.reference(Subject.AGREEMENT, self.s.agreement)
        about = dict(agreement.attributes) if agreement else {}
        price_kind = self.names.reference(Subject.PRICE_KIND, about.get("price_kind", ""))
        includes = about.get("tax_included") or (dict(price_kind.attributes).get("tax_included", "") if price_kind else "")
        return [(PRICE_KIND, self.names(Subject.PRICE_KIND, about.get("price_kind", ""))), (INCLUDES_VAT, includes)]


def status_of(doc: Document) -> tuple[str, str]:
    """(id, name) of the order's status over there; either may be empty."""
    ident = (doc.requisite("Статуса заказа ИД") or doc.requisite("Статус заказа ИД") or "").strip()
    return ident, (doc.requisite("Статус заказа") or "").strip()


def amounts(line: Line, number: str) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """(quantity, price, total, discount inside the total). Сумма holds the discounts that say УчтеноВСумме, the others come off it.

    Raises BadRecord for a quantity that nothing tells, and for a price beyond all numbers.
    """
    price, quantity, total = line.price, line.quantity, line.total
    if quantity is None and price and total is not None:
        quantity = total / price
    if quantity is None:
        raise BadRecord(NO_QUANTITY, number=number, name=line.name)
    whole = (price or Decimal(0)) * quantity

    def off(included: bool) -> Decimal:
        return sum(
            (
                d.amount if d.amount is not None else whole * (d.percent or 0) / 100
                for d in line.discounts
                if (d.included is not False) is included
            ),
            Decimal(0),
        )

    if total is None:
        total = whole - off(True)
    total -= off(False)
    if not price:
        try:
            price = (total / quantity).quantize(FINE)
        except InvalidOperation:
            about = {"record": "Документ", "key": number, "element": "Сумма", "found": str(total), "expected": "a number"}
            raise BadRecord(records.NOT_A_NUMBER, **about) from None
    return quantity, price, total, max(price * quantity - total, Decimal(0)) if line.discounts else Decimal(0)


def _digits(text: str) -> str:
    return re.sub(r"[^0-9]", "", text)
