"""What the settings make of records, in both directions. Pure.

In: goods as CommerceML says them → goods as the owner wants them; an order that 1C returns → OrderNews.
Out: which orders go, and an order of the books → a CommerceML document.
Consequences of the settings in XML follow CS-Cart 4.12 (add-on commerceml), Bitrix sale 22.8 and what 1C:UT 11.5 and
1C:UNF 3.0 read.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from decimal import Decimal

from obmen.connectors.commerceml_door.settings import (
    PRICES_IN,
    PRODUCTS_IN,
    STOCK_IN,
    STREAMS,
    WORD,
    DoorSettings,
    PaymentRule,
)
from obmen.core.contract import BadRecord
from obmen.core.orders import is_delivery
from obmen.core.records import (
    Counterparty,
    Group,
    Offer,
    Order,
    OrderLine,
    OrderNews,
    Payment,
    Price,
    Product,
    Stock,
)
from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml import values, writer
from obmen.formats.commerceml.dialects import Dialect
from obmen.formats.commerceml.model import Discount, Document, DocumentPayment, Line, Pairs, Tax, Unit, requisite
from obmen.formats.commerceml.orders import (
    CARD,
    CASHLESS,
    DELIVERY_KEY,
    DELIVERY_NAME,
    MONEY,
    ORDER,
    REFUNDS,
    SHIPPING,
    flag,
    subordinate,
    unit_of,
    when,
)

# --- goods -----------------------------------------------------------------------------------------------------------------


@dataclass
class Tree:
    """Groups by parent, as far as they are known, and which of them the settings let in."""

    parents: dict[str, str] = field(default_factory=dict)

    def path(self, key: str) -> Iterator[str]:
        """The group and those above it; a ring ends where it closes."""
        seen: set[str] = set()
        while key and key not in seen:
            seen.add(key)
            yield key
            key = self.parents.get(key, "")

    def inside(self, key: str, s: DoorSettings) -> bool:
        above = tuple(self.path(key))
        if s.root_group and s.root_group not in above:
            return False
        return not s.group_filter or any(k in s.group_filter for k in above)


def is_variant(key: str) -> bool:
    """A card of product × characteristic: guid#guid. Bitrix writes id#id for a product without characteristics."""
    product, _hash, characteristic = key.partition("#")
    return bool(characteristic) and characteristic != product


def filters_groups(s: DoorSettings) -> bool:
    return bool(s.root_group or s.group_filter)


def group(record: Group, s: DoorSettings, tree: Tree) -> Group | None:
    """None: the settings leave it out."""
    if not s.take_groups or record.key == s.root_group or not tree.inside(record.key, s):
        return None
    if s.root_group and record.parent == s.root_group:
        return replace(record, parent=None)
    return record


def product(record: Product, s: DoorSettings, tree: Tree) -> Product | None:
    """None: it lies outside the chosen groups."""
    if filters_groups(s) and not any(tree.inside(key, s) for key in record.groups or ()):
        return None
    changes: dict[str, object] = {}
    if s.name_source == "full_name":
        changes["name"] = record.full_name or requisite(record.requisites or (), "Полное наименование") or record.name
    if s.article_source != "article":
        changes["article"] = record.code if s.article_source == "code" else record.barcode
    if s.description_source != "description":
        changes["description"] = _description(record, s.description_source)
    if s.pictures == "off":
        changes["pictures"] = None
    if not s.take_groups:
        changes["groups"] = (s.default_group,) if s.default_group else None
    elif not record.groups and s.default_group:
        changes["groups"] = (s.default_group,)
    elif s.root_group and record.groups:
        changes["groups"] = tuple(key for key in record.groups if key != s.root_group and tree.inside(key, s))
    if not s.variants and "#" in record.key:
        changes |= _parent_only(record)
    elif not record.deleted and ("ПометкаУдаления", "true") in (record.requisites or ()):  # neither attribute nor element
        changes["deleted"] = True
    return replace(record, **changes) if changes else record  # type: ignore[arg-type]


def _description(record: Product, source: str) -> str | None:
    if source == "html":
        return requisite(record.requisites or (), "ОписаниеВФорматеHTML")
    if source == "full_name":
        return record.full_name or requisite(record.requisites or (), "Полное наименование")
    return None


def _parent_only(record: Product) -> dict[str, object]:
    """1C:UT writes one Товар for each characteristic, its name ending in "(characteristic)". What belongs to the one
    characteristic (barcode, deletion mark) must not become the parent's."""
    name, tail = record.name, ", ".join(value for _name, value in record.characteristics or ())
    if name and tail and name.endswith(f" ({tail})"):
        name = name.removesuffix(f" ({tail})")
    elif name and name.endswith(")") and " (" in name:
        name = name[: name.rindex(" (")]
    return {
        "key": record.key.partition("#")[0],
        "name": name,
        "barcode": None,
        "characteristics": None,
        "deleted": None,
        "extra": "",
    }


def offer(record: Offer, s: DoorSettings, streams: Collection[str] = STREAMS) -> Offer | None:
    """None: a variant while variants are off. Raises BadRecord when the one price kind cannot be told."""
    if not s.variants and "#" in record.key:
        return None
    changes: dict[str, object] = {}
    prices = chosen_prices(record.prices, s, record.key) if PRICES_IN in streams else None
    if prices != record.prices:
        changes["prices"] = prices
    stock = chosen_stock(record.stock, s) if STOCK_IN in streams else None
    if stock != record.stock:
        changes["stock"] = stock
    if s.pictures == "off" and record.pictures is not None:
        changes["pictures"] = None
    if PRODUCTS_IN not in streams:
        changes |= dict.fromkeys(
            ("name", "article", "barcode", "unit", "characteristics", "properties", "pictures", "requisites", "deleted")
        )
    return replace(record, **changes) if changes else record  # type: ignore[arg-type]


def chosen_prices(prices: tuple[Price, ...] | None, s: DoorSettings, key: str) -> tuple[Price, ...] | None:
    """None stays None; prices of kinds that are not chosen are not said rather than cleared."""
    if prices is None or s.price_mode == "all":
        return prices
    if s.price_mode == "mapped":
        kept = tuple(p._replace(kind=s.price_map[p.kind]) for p in prices if p.kind in s.price_map)
    elif s.price_kind:
        kept = tuple(p for p in prices if p.kind == s.price_kind)
    else:
        kinds = sorted({p.kind for p in prices})
        if len(kinds) > 1:
            raise BadRecord(
                _("{key} has prices of {count} kinds ({kinds}) where one is expected: choose its id in the settings"),
                key=key,
                count=len(kinds),
                kinds=", ".join(kinds),
            )
        kept = prices
    return kept if kept or not prices else None


def chosen_stock(stock: tuple[Stock, ...] | None, s: DoorSettings) -> tuple[Stock, ...] | None:
    """Quantities of the chosen warehouses, each or summed. Unknown stays unknown: where nothing of the chosen warehouses is said,
    nothing is (a total over all of them says nothing of the chosen ones)."""
    if stock is None:
        return None
    named = tuple(x for x in stock if x.warehouse and (not s.warehouses or x.warehouse in s.warehouses))
    if s.stock_mode == "sum":
        total = next((x for x in stock if not x.warehouse), None)
        if total is not None and not s.warehouses:
            return (total,)
        if not named:
            return None if stock else ()
        return (Stock("", sum((x.quantity for x in named), Decimal(0))),)
    if not s.warehouses:
        return stock
    return named or (None if stock else ())


# --- orders out ------------------------------------------------------------------------------------------------------------


def is_wanted(order: Order, s: DoorSettings) -> bool:
    """Whether the settings let this order out: from number (inclusive), states, company, payment rules."""
    if s.send_states and order.state not in s.send_states:
        return False
    if s.company and order.company.strip().casefold() != s.company.strip().casefold():
        return False
    if s.from_number:
        digits = re.sub(r"\D", "", order.number)
        if not digits or int(digits) < int(re.sub(r"\D", "", s.from_number)):
            return False
    rules = s.rules
    return not rules or any(_fits(order, rule) for rule in rules)


def _fits(order: Order, rule: PaymentRule) -> bool:
    if rule.status and order.state.casefold() != rule.status.casefold():
        return False
    return not rule.gateway or any(p.gateway.casefold() == rule.gateway.casefold() for p in order.payments if not p.refund)


@dataclass(frozen=True, slots=True)
class Words:
    """How this node calls our values: {our key: (their id, their name)}."""

    states: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    payments: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    deliveries: Mapping[str, tuple[str, str]] = field(default_factory=dict)


MADE = re.compile(r"Z(\d+)")


def number_of(order: Order, record_id: int, s: DoorSettings) -> tuple[str, bool]:
    """(number to send, whether it was made). Raises BadRecord by the rule "park".

    A made number is Z and our row's id: short, unique, the same for ever. A number that merely looks like one is remade too, so
    that no two orders can share one.
    """
    full = s.number_prefix + order.number.strip()
    if s.number_rule == "as_is" or (len(full) <= s.number_length and not MADE.fullmatch(full)):
        return full, False
    if s.number_rule == "park" and len(full) > s.number_length:
        raise BadRecord(
            _(
                "Number {number} is longer than {limit} characters, by which the node looks orders up: shorten it or change the rule"
            ),
            number=full,
            limit=s.number_length,
        )
    return f"Z{record_id}", True


def document(order: Order, record_id: int, s: DoorSettings, dialect: Dialect, words: Words, zone: tzinfo) -> Document:
    """The order as 1C reads it. Raises BadRecord for one that would break the load of the whole answer."""
    number, made = number_of(order, record_id, s)
    local = order.date.astimezone(zone)
    lines = tuple(_lines(order, s))
    found = Document(
        id=order.key,
        number=number,
        date=local.date(),
        time=local.time().replace(microsecond=0, tzinfo=None),
        operation=ORDER,
        role="Продавец",
        currency=s.currencies.get(order.currency, order.currency),
        rate=Decimal(1),
        total=order.total,
        counterparties=(_buyer(order),),
        lines=lines,
        taxes=_taxes(order),
        discounts=(Discount("Скидка на заказ", order.discount, included=False),) if order.discount > 0 else (),
        payments=tuple(_payments(order, s, words, zone)) if dialect.payments else (),
        subordinate=tuple(_payment_documents(order, s, words, zone)) if has_documents(dialect) else (),
        requisites=_requisites(order, number, made, s, dialect, words, zone),
        deleted=True if order.deleted else None,
        comment=order.comment or None,
    )
    # The owner's choice of the longest number stands above the dialect's.
    faults = writer.check_order(found, replace(dialect, number_length=0))
    fatal = next((fault for fault in faults if not isinstance(fault, writer.Mended)), None)
    if fatal:
        raise fatal
    return found


def _buyer(order: Order) -> Counterparty:
    """1C stops loading at a nameless counterparty, so the name comes from whatever is known of the buyer."""
    said = order.counterparty or Counterparty(key="")
    delivery = order.delivery
    name = writer.name_of(said) or (delivery.recipient if delivery else "") or said.phone or said.email
    return replace(said, name=name, key=said.key or f"0{order.key}", role="")


def _lines(order: Order, s: DoorSettings) -> Iterator[Line]:
    goods = [line for line in order.lines if not is_delivery(line)]
    if s.delivery_line:
        yield from _delivery_lines(order)
    for line in goods:
        yield _line(line, s)


def _delivery_lines(order: Order) -> Iterator[Line]:
    said = [line for line in order.lines if is_delivery(line)]
    price = sum((line.total for line in said), Decimal(0)) if said else (order.delivery.price if order.delivery else None)
    if not price or price < 0:
        return
    rate = said[0].vat_rate if said else (order.delivery.vat_rate if order.delivery else "")
    yield Line(
        key=DELIVERY_KEY,
        name=DELIVERY_NAME,
        unit=Unit("шт", "796", "Штука", "PCE"),
        ratio=Decimal(1),
        price=price,
        quantity=Decimal(1),
        total=price,
        rate=rate or None,
        requisites=(("ВидНоменклатуры", "Услуга"), ("ТипНоменклатуры", "Услуга")),
    )


def _line(line: OrderLine, s: DoorSettings) -> Line:
    kind = "Услуга" if line.kind == "service" else "Товар"
    key, name = line.offer, line.name
    if line.options and s.options in ("id", "name"):
        name = f"{name}#{'; '.join(f'{option}: {value}' for option, value in line.options)}"
    if line.options and s.options == "id" and key and "#" not in key:
        # The same choice has the same characteristic in every order: 1C makes it once and finds it again.
        key = f"{key}#{uuid.uuid5(uuid.NAMESPACE_OID, repr(line.options))}"
    rate = line.vat_rate or None
    return Line(
        key=key,
        name=name,
        article=line.article,
        unit=unit_of(line.unit),
        ratio=line.ratio,
        price=line.price,
        quantity=line.quantity,
        total=line.total,
        rate=rate,
        taxes=(Tax("НДС", True, line.vat_amount, rate),) if rate and line.vat_amount is not None else (),
        discounts=(Discount("Скидка на товар", line.discount, included=True),) if line.discount > 0 else (),
        requisites=(
            *((n, kind) for n in ("ВидНоменклатуры", "ТипНоменклатуры") if n not in dict(line.requisites)),
            *line.requisites,
        ),
    )


def _taxes(order: Order) -> tuple[Tax, ...]:
    """The document's НДС: without it 1C:UNF takes the order for one outside VAT."""
    rates = {line.vat_rate for line in order.lines if line.vat_rate and line.vat_rate != "none"}
    if not rates:
        return ()
    amounts = [line.vat_amount for line in order.lines if line.vat_amount is not None]
    return (Tax("НДС", True, sum(amounts, Decimal(0)) if amounts else None, next(iter(rates)) if len(rates) == 1 else None),)


def has_documents(dialect: Dialect) -> bool:
    """Payments go as documents: below the order (2.10), or beside it in its container (3.1)."""
    return dialect.subordinate or dialect.container


def _payments(order: Order, s: DoorSettings, words: Words, zone: tzinfo) -> Iterator[DocumentPayment]:
    """Оплаты of CommerceML 2.09: what has been paid."""
    for payment in order.payments:
        if payment.paid and not payment.refund:
            key, name = _method(payment, s, words)
            date = payment.date.astimezone(zone).replace(tzinfo=None, microsecond=0) if payment.date else None
            yield DocumentPayment(payment.number, payment.key, date, payment.amount, name, key)


def _payment_documents(order: Order, s: DoorSettings, words: Words, zone: tzinfo) -> Iterator[Document]:
    for i, payment in enumerate(order.payments, 1):
        local = payment.date.astimezone(zone) if payment.date else order.date.astimezone(zone)
        key, name = _method(payment, s, words)
        pairs = [
            ("Дата оплаты", f"{local:%Y-%m-%dT%H:%M:%S}" if payment.paid and payment.date else ""),
            ("Отменен", "false"),
            ("Метод оплаты ИД", key),
            ("Метод оплаты", name),
            ("Оплачено", "true" if payment.paid else "false"),
            ("Признак возврата", "true" if payment.refund else ""),
            ("Номер платежного документа", payment.number),
        ]
        yield Document(
            id=payment.key or f"{order.key}/{i}",
            number=payment.number or f"{order.number}-{i}",
            date=local.date(),
            time=local.time().replace(microsecond=0, tzinfo=None),
            operation=CARD if payment.gateway else CASHLESS,
            role="Продавец",
            currency=s.currencies.get(payment.currency or order.currency, payment.currency or order.currency),
            rate=Decimal(1),
            total=payment.amount,
            requisites=tuple((k, v) for k, v in pairs if v),
            base=order.key,
        )


def _method(payment: Payment, s: DoorSettings, words: Words) -> tuple[str, str]:
    """(id, name) of the payment method in the node's words. A forced name goes alone: an id would win over it in 1C."""
    if s.forced_method:
        return "", s.forced_method
    return words.payments.get(payment.method_key, (payment.method_key, payment.method))


def _requisites(order: Order, number: str, made: bool, s: DoorSettings, dialect: Dialect, words: Words, zone: tzinfo) -> Pairs:
    pairs: list[tuple[str, str]] = []
    if made:
        pairs.append((s.full_number_requisite, s.number_prefix + order.number.strip()))
    if s.send_state and order.state:
        key, name = words.states.get(order.state, (order.state, order.state))
        pairs += [("Статус заказа", name), ("Статуса заказа ИД", key)]
    pairs += [("Отменен", "true" if order.cancelled else "false"), ("Причина отмены", order.cancel_reason)]
    pairs += _payment_requisites(order, s, dialect, words, zone)
    pairs += _delivery_requisites(order, words)
    pairs.append(("Сайт", order.site))
    if s.options == "requisite":
        pairs.append(("Опции товаров", _options(order)))
    pairs += [(name, fill(template, order)) for name, template in s.requisites.items()]
    said = {name for name, value in pairs if value}
    own = [(n, v) for n, v in order.requisites if n not in said and not n.endswith(" по 1С")]
    pairs += [(n, v) for n, v in own if "*" in s.own_requisites or n in s.own_requisites]
    return tuple((name, value) for name, value in pairs if value)


def _payment_requisites(order: Order, s: DoorSettings, dialect: Dialect, words: Words, zone: tzinfo) -> list[tuple[str, str]]:
    """The paid payment, else the first one: the head of an order has room for one.

    1C:UNF makes a payment of date, method and number in the head and another one of each payment document, so an order with
    documents says date and number in these alone.
    """
    payments = [p for p in order.payments if not p.refund]
    main = next((p for p in payments if p.paid), payments[0] if payments else None)
    pairs: list[tuple[str, str]] = []
    if main:
        key, name = _method(main, s, words)
        pairs += [("Метод оплаты ИД", key), ("Метод оплаты", name)]
        if main.paid and not has_documents(dialect):
            when = f"{main.date.astimezone(zone):%Y-%m-%dT%H:%M:%S}" if main.date else ""
            pairs += [("Дата оплаты", when), ("Номер платежного документа", main.number)]
    elif s.forced_method:
        pairs.append(("Метод оплаты", s.forced_method))
    paid = order.paid if order.paid is not None else (main.paid if main else None)
    if paid is not None:
        pairs.append(("Заказ оплачен", "true" if paid else "false"))
    return pairs


def _delivery_requisites(order: Order, words: Words) -> list[tuple[str, str]]:
    d = order.delivery
    if d is None:
        return []
    key, name = words.deliveries.get(d.method_key, (d.method_key, d.method))
    return [
        ("Способ доставки", name),
        ("Метод доставки ИД", key),
        ("Адрес доставки", d.address),
        ("Получатель", d.recipient),
        ("Контактный телефон", d.phone),
        ("Трек-номер", d.tracking),
        ("Комментарий доставки", d.comment),
        ("Пункт выдачи заказа", d.pickup),
    ]


def _options(order: Order) -> str:
    """CS-Cart's spelling: "Product: Opt [Variant], Opt2 [Variant2],; "."""
    chosen = [
        f"{line.name}: " + ", ".join(f"{option} [{value}]" for option, value in line.options) + ","
        for line in order.lines
        if line.options
    ]
    return "".join(f"{text}; " for text in chosen).strip()


def fill(template: str, order: Order) -> str:
    """Words in braces become fields of the order. One that is empty makes the whole text empty: no half-filled requisites."""
    empty = False

    def word(found: re.Match[str]) -> str:
        nonlocal empty
        head, _dot, tail = found.group(1).partition(".")
        value = getattr(order, head)
        text = str((getattr(value, tail) if value is not None else "") if tail else value)
        empty = empty or not text
        return text

    text = WORD.sub(word, template)
    return "" if empty else text


# --- orders back -----------------------------------------------------------------------------------------------------------


def order_news(doc: Document, s: DoorSettings, zone: tzinfo) -> OrderNews:
    """What one Документ says of an order: 1C:UT's requisites, 1C:UNF's additions, subordinate documents and those of a container."""
    if doc.base and doc.operation in (*MONEY, *REFUNDS, SHIPPING):
        payments, shipments = subordinate([doc], zone)
        return OrderNews(key=f"{doc.base}#{doc.id}", number=doc.base, payments=payments, shipments=shipments)

    def said(*names: str) -> str:
        return next((v for name in names if (v := (doc.requisite(name) or "").strip())), "")

    number = doc.number.strip()
    made = MADE.fullmatch(number)
    payments, shipments = subordinate(doc.subordinate, zone)
    payments += tuple(
        Payment(
            p.number or p.transaction or "",
            p.amount or Decimal(0),
            method=p.method,
            method_key=p.method_key,
            number=p.number,
            date=values.utc(p.date, zone),
            paid=True,
        )
        for p in doc.payments
    )
    pay_number, pay_date = said("Номер оплаты по 1С"), when(said("Дата оплаты по 1С"), zone)
    ship_number, ship_date = said("Номер отгрузки по 1С"), when(said("Дата отгрузки по 1С"), zone)
    deleted = doc.deleted if doc.deleted is not None else flag(said("ПометкаУдаления"))
    return OrderNews(
        key=doc.id or number,
        number=number.removeprefix(s.number_prefix) if s.number_prefix and not made else number,
        full_number=said(s.full_number_requisite).removeprefix(s.number_prefix),
        record=int(made.group(1)) if made else None,
        number_there=doc.number_1c or said("Номер по 1С"),
        date_there=values.utc(doc.date_1c, zone) or when(said("Дата по 1С"), zone),
        state=said("Статуса заказа ИД"),
        state_name=said("Статус заказа"),
        cancelled=flag(said("Отменен")),
        cancel_reason=said("Причина отмены"),
        deleted=deleted,
        posted=flag(said("Проведен")),
        paid=True if pay_number or pay_date else flag(said("Оплачен", "Заказ оплачен")),
        payment_number=pay_number,
        payment_date=pay_date,
        shipped=True if ship_number or ship_date else flag(said("Отгружен")),
        shipment_number=ship_number,
        shipment_date=ship_date,
        tracking=said("Идентификатор отправления", "Трек-номер"),
        payments=payments,
        shipments=shipments,
        lines=None if doc.lines is None else tuple(_said_line(line) for line in doc.lines if not line.deleted),
        total=doc.total,
        currency=values.currency(doc.currency),
        counterparty=doc.counterparties[0] if doc.counterparties else None,
        version=doc.version,
        requisites=doc.requisites,
    )


def _said_line(line: Line) -> OrderLine:
    total = line.total if line.total is not None else (line.price or Decimal(0)) * (line.quantity or Decimal(0))
    service = (line.requisite("ТипНоменклатуры") or "").casefold() == "услуга"
    delivery = line.key == DELIVERY_KEY or (service and line.name.casefold() == DELIVERY_NAME.casefold())
    vat = [tax.amount for tax in line.taxes if tax.amount is not None]
    return OrderLine(
        offer=line.key,
        name=line.name,
        quantity=line.quantity or Decimal(0),
        price=line.price if line.price is not None else Decimal(0),
        total=total,
        article=line.article,
        kind="delivery" if delivery else "service" if service else "product",
        unit=line.unit.name if line.unit else "",
        discount=sum((d.amount for d in line.discounts if d.amount is not None and d.included), Decimal(0)),
        vat_rate=line.rate or "",
        vat_amount=sum(vat, Decimal(0)) if vat else None,
        ratio=line.ratio or Decimal(1),
        requisites=line.requisites,
    )
