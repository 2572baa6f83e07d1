"""What orders and cards of Prom become in the books' words, and what a card is told. Pure.

Facts on marketplaces §2.2 (order), §2.4 (card), §2.5 (edit). Money is text for people («1 713 грн»), nothing but ``id`` is always
there, and what is null is not known: never nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from obmen.connectors.prom.api import Json, listed, mapping, number, words
from obmen.connectors.prom.settings import PromSettings
from obmen.core.contract import BadRecord
from obmen.core.records import Address, Counterparty, Delivery, Order, OrderLine, Payment, Subject
from obmen.core.words import gettext_noop as _
from obmen.market.api import Card, Draft, Offering

KYIV = ZoneInfo("Europe/Kyiv")  # of dates without an offset, as one recorded answer has them
UNIT = re.compile(r"(?:грн|гривень|₴|uah|тг|тенге|₸|kzt|лей|lei|mdl|руб|₽|rub|\$|usd|€|eur)\.?\Z", re.IGNORECASE)
NUMBER = re.compile(  # «1.234.567» is left to a person: the last group may be thousands or parts
    r"-?(?:(?:[0-9]+|[0-9]{1,3}(?:\s[0-9]{3})+)(?:[.,][0-9]+)?|[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+\.[0-9]+)"
)
GREATEST, FINEST = 11, -12  # powers of ten: beyond them products and quotients of two amounts are no longer exact
ON_DELIVERY = re.compile(  # §2.2; «Безготівковий розрахунок» is not paid in cash
    r"наклад|наложен|післяплат|при отрим|при получ|(?<!без)готів", re.IGNORECASE
)
CANCELLED, DELIVERED = "canceled", "delivered"
PAID = ("paid", "paid_out")  # paid_out: the money has gone on to the seller, so it had come
NOT_PAID = ("unpaid", "refunded")
# by words of delivery_option.name, where delivery_provider_data says no carrier
CARRIERS = (
    ("nova_poshta", re.compile(r"нов\w*\s+по[шч]т|nova\s*po[sc]h", re.IGNORECASE)),
    ("ukrposhta", re.compile(r"укр\s*по[шч]т|ukr\s*po[sc]h", re.IGNORECASE)),
    ("meest", re.compile(r"meest|м[іи]ст\b", re.IGNORECASE)),
    ("justin", re.compile(r"justin|джастін|джастин", re.IGNORECASE)),
    ("delivery_auto", re.compile(r"дел[іи]вер[іи]|delivery\s*auto", re.IGNORECASE)),
)
POINT = re.compile(r"(?P<what>відділення|отделение|пункт|поштомат|почтомат)\D{0,20}?№?\s*(?P<number>\d+)", re.IGNORECASE)
LOCKER = re.compile(r"поштомат|почтомат", re.IGNORECASE)

# Requisites of an order, in the language of 1C's own documents, which keep each in the attribute of that name
CARRIER, WAY, SOURCE, NO_CALL = "Перевозчик", "Тип доставки", "Источник", "Не перезванивать"
CITY, POINT_NUMBER, POINT_ID, POINT_KIND = "Город доставки", "Номер отделения", "ИД отделения", "Вид отделения"
PROMO_CODE, PROMO_DISCOUNT, FREE_DELIVERY, PAYMENT_STATE = "Промокод", "Скидка по акции", "Льготная доставка", "Состояние оплаты"
YES, LOCKER_WORD, OFFICE_WORD = "да", "почтомат", "отделение"

NOT_AN_ORDER = _("This is no order of Prom: it has no id")
NO_DATE = _("Order {number}: date_created is “{found}”, expected is a date such as 2026-09-23T12:34:56+03:00")
NO_LINES = _("Order {number}: Prom says no goods of it. It is looked at again when it changes")
BAD_NUMBER = _("Order {number}, “{name}”: {field} is “{found}”, expected is a number")
NO_TOTAL = _("Order {number}: price is “{found}”, expected is an amount")
NOT_A_CARD = _("This is no card of Prom: it has no id")
NAME_TOO_LONG = _("“{name}” of card {id} has {found} characters, Prom takes {most}: shorten it")
KEYWORDS_TOO_LONG = _("The keywords of card {id} have {found} characters, Prom takes {most}: leave some out")
KEYWORD_TOO_LONG = _("The keyword “{word}” of card {id} has {found} characters, Prom takes {most}: shorten it")
NOT_A_CHOICE = _("“{value}” is no value of {field} of card {id}: it takes {choices}")
NO_SUCH_FIELD = _(
    "{field} of card {id} cannot be changed by a call: send it with the price list, or take it out of the attribute mapping"
)

# What we use of an order: everything else may change without being news (who looked, commissions, addresses of pictures)
USED = (
    "id", "date_created", "status", "status_name", "client_first_name", "client_second_name", "client_last_name", "client_id",
    "client_notes", "dont_call_customer_back", "phone", "email", "price", "full_price", "delivery_cost", "price_with_special_offer",
    "special_offer_discount", "special_offer_promocode", "has_order_promo_free_delivery", "delivery_address", "source",
)  # fmt: skip
PARTS = {
    "client": ("id", "first_name", "last_name", "second_name", "phone"),
    "delivery_recipient": ("first_name", "last_name", "second_name", "phone"),
    "delivery_option": ("id", "name"),
    "delivery_provider_data": ("provider", "type", "recipient_warehouse_id", "declaration_number", "recipient_address"),
    "payment_option": ("id", "name"),
    "payment_data": ("type", "status", "status_modified"),
    "cancellation": ("title", "initiator"),
}
LINE = ("id", "external_id", "sku", "name", "quantity", "price", "total_price", "measure_unit")

# --- values --------------------------------------------------------------------------------------------------------------------------


def amount(value: Any) -> Decimal | None:
    """§2.2: «1 234,50 грн», "201.25", 571; None where none is said. Raises ValueError for what is no amount, and for what could be
    more than one: «5 грн 50 коп», «2 шт. по 500 грн», «1.234.567»."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int | Decimal):
        found = Decimal(value)
    else:
        said = str(value).strip()
        if not said:
            return None
        bare = UNIT.sub("", said).rstrip()
        if not NUMBER.fullmatch(bare):
            raise ValueError(said)
        digits = "".join(bare.split()).replace(",", ".")
        whole, _point, parts = digits.rpartition(".")  # «1.234,50»: the last one is the decimal point
        if bare != said and whole and len(parts) > 2:  # «1.234 грн»: thousands, or parts of which money has no more than two
            raise ValueError(said)
        found = Decimal(whole.replace(".", "") + "." + parts if whole else parts)
    if not found.is_finite() or (found and not FINEST <= found.adjusted() <= GREATEST):
        raise ValueError(str(value))
    return found


def moment(value: Any) -> datetime | None:
    """With an offset, with Z, or with neither: then it is local to Kyiv. None for what is no date."""
    try:
        found = datetime.fromisoformat(str(value))
        return (found if found.tzinfo else found.replace(tzinfo=KYIV)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def text(value: Any) -> str:
    return "" if value is None else str(value).strip()


# --- orders --------------------------------------------------------------------------------------------------------------------------


def order_id(raw: Json) -> str:
    """Raises BadRecord."""
    ident = number(raw)
    if ident is None:
        raise BadRecord(NOT_AN_ORDER)
    return str(ident)


def used(raw: Json) -> Json:
    """The part of an order that we use, in one spelling; what is not said is left out."""
    found: Json = {name: raw[name] for name in USED if raw.get(name) not in (None, "")}
    for name, fields in PARTS.items():
        part = mapping(raw.get(name))
        if kept := {field: part[field] for field in fields if part.get(field) not in (None, "", {})}:
            found[name] = kept
    if lines := [
        {field: row[field] for field in LINE if row.get(field) not in (None, "")}
        for row in map(mapping, listed(raw.get("products")))
    ]:
        found["products"] = lines
    return found


def draft(raw: Json, s: PromSettings) -> Draft:
    """Raises BadRecord that names the field and what was expected."""
    ident = order_id(raw)
    date = moment(raw.get("date_created"))
    if date is None:
        raise BadRecord(NO_DATE, number=ident, found=text(raw.get("date_created")))
    lines = [_line(ident, mapping(row)) for row in listed(raw.get("products"))]
    if not lines:
        raise BadRecord(NO_LINES, number=ident)
    cost = _amount(ident, "", "delivery_cost", raw)
    total, discount = _total(ident, raw, lines, cost)
    status, cancellation = text(raw.get("status")), mapping(raw.get("cancellation"))
    paid = is_paid(raw)
    order = Order(
        key=ident,
        number=ident,
        date=date,
        state=status,
        currency=s.currency_there,
        total=total,
        counterparty=buyer(raw),
        lines=tuple(lines),
        delivery=_delivery(raw, cost),
        payments=_payments(raw, total, paid, s.currency_there),
        discount=discount,
        comment=text(raw.get("client_notes")),
        cancelled=status == CANCELLED,
        cancel_reason=text(cancellation.get("title")) if status == CANCELLED else "",
        paid=paid,
        requisites=tuple(_requisites(raw)),
    )
    return Draft(order, _codes(raw), _names(raw))


def _line(ident: str, row: Json) -> OrderLine:
    """Of price, quantity and total one may be missing: it follows from the others. Raises BadRecord."""
    name = text(row.get("name")) or text(row.get("sku")) or text(row.get("id"))
    quantity = _amount(ident, name, "quantity", row)
    price, total = _amount(ident, name, "price", row), _amount(ident, name, "total_price", row)
    if quantity is None or quantity <= 0:
        raise BadRecord(BAD_NUMBER, number=ident, name=name, field="quantity", found=text(row.get("quantity")))
    if price is None and total is not None:
        price = (total / quantity).quantize(Decimal("0.01"))
    if price is None:
        raise BadRecord(BAD_NUMBER, number=ident, name=name, field="price", found=text(row.get("price")))
    if total is None:
        total = (price * quantity).quantize(Decimal("0.01"))
    return OrderLine(
        offer=text(row.get("id")),
        name=name,
        quantity=quantity,
        price=price,
        total=total,
        article=text(row.get("sku")),
        unit=text(row.get("measure_unit")),
    )


def _amount(ident: str, name: str, field: str, row: Json) -> Decimal | None:
    """Nothing that an order says of itself is below zero. Raises BadRecord."""
    try:
        found = amount(row.get(field))
        if found is not None and found < 0:
            raise ValueError(text(row.get(field)))
    except ValueError as error:
        raise BadRecord(BAD_NUMBER, number=ident, name=name, field=field, found=str(error)) from None
    return found


def _total(ident: str, raw: Json, lines: Sequence[OrderLine], cost: Decimal | None) -> tuple[Decimal, Decimal]:
    """(what the buyer pays, the discount of the whole order): ``full_price`` holds the delivery, ``price_with_special_offer`` is what
    the goods cost when a promotion is taken off. What is null is taken from the rest, and from the lines at last."""
    goods = sum((line.total for line in lines), Decimal(0))
    full, price = _amount(ident, "", "full_price", raw), _amount(ident, "", "price", raw)
    special = _amount(ident, "", "price_with_special_offer", raw)
    if special is not None and special < goods:
        return special + (cost or Decimal(0)), goods - special
    if full is not None:
        return full, Decimal(0)
    return (goods if price is None else price) + (cost or Decimal(0)), Decimal(0)


def _delivery(raw: Json, cost: Decimal | None) -> Delivery | None:
    option, provider = mapping(raw.get("delivery_option")), mapping(raw.get("delivery_provider_data"))
    address, where = text(raw.get("delivery_address")), mapping(provider.get("recipient_address"))
    if not (option or provider or address or cost):
        return None
    who = mapping(raw.get("delivery_recipient")) or _client(raw)  # §2.2: the recipient is the real addressee
    return Delivery(
        method=text(option.get("name")) or text(provider.get("provider")),
        method_key=text(option.get("id")) or text(provider.get("provider")),
        price=cost,
        address=address or ", ".join(filter(None, (text(where.get(name)) for name in ADDRESS))),
        recipient=_full_name(who),
        phone=text(who.get("phone")) or text(raw.get("phone")),
        tracking=text(provider.get("declaration_number")),
        pickup=_point(raw),
    )


ADDRESS = ("city_name", "street_name", "building_number", "apartment_number")


def _point(raw: Json) -> str:
    """Which branch or locker, in words: "Відділення №253"; "" when the parcel goes to a door or nobody says."""
    found = POINT.search(text(raw.get("delivery_address")))
    return f"{found['what'].capitalize()} №{found['number']}" if found else ""


def carrier(raw: Json) -> str:
    """§2.2: by delivery_provider_data.provider, or by the name of the way of delivery; "" when neither says it."""
    said = text(mapping(raw.get("delivery_provider_data")).get("provider"))
    return said or carrier_of(text(mapping(raw.get("delivery_option")).get("name")))


def carrier_of(name: str) -> str:
    return next((key for key, known in CARRIERS if known.search(name)), "")


def _requisites(raw: Json) -> list[tuple[str, str]]:
    """What an accounting system may want and the record has no field for; ids of branches are as said (§2.2: whose they are is not known)."""
    provider = mapping(raw.get("delivery_provider_data"))
    where, address = mapping(provider.get("recipient_address")), text(raw.get("delivery_address"))
    found = POINT.search(address)
    kind = (LOCKER_WORD if LOCKER.search(address) else OFFICE_WORD) if found or LOCKER.search(address) else ""
    said = (
        (CARRIER, carrier(raw)),
        (WAY, text(provider.get("type"))),
        (CITY, text(where.get("city_name")) or (address.partition(",")[0].strip() if "," in address else "")),
        (POINT_KIND, kind),
        (POINT_NUMBER, found["number"] if found else ""),
        (POINT_ID, text(where.get("warehouse_id")) or text(provider.get("recipient_warehouse_id"))),
        (SOURCE, text(raw.get("source"))),
        (NO_CALL, YES if raw.get("dont_call_customer_back") is True else ""),
        (FREE_DELIVERY, YES if raw.get("has_order_promo_free_delivery") is True else ""),
        (PROMO_CODE, text(raw.get("special_offer_promocode"))),
        (PROMO_DISCOUNT, text(raw.get("special_offer_discount"))),
        (PAYMENT_STATE, text(mapping(raw.get("payment_data")).get("status"))),
    )
    return [(name, value) for name, value in said if value]


def on_delivery(raw: Json) -> bool:
    """Whether the buyer pays when the parcel is handed over."""
    return bool(ON_DELIVERY.search(text(mapping(raw.get("payment_option")).get("name"))))


def is_paid(raw: Json) -> bool | None:
    """None: they do not say."""
    status = text(mapping(raw.get("payment_data")).get("status"))
    if status in PAID:
        return True
    return False if status in NOT_PAID or on_delivery(raw) else None


def _payments(raw: Json, total: Decimal, paid: bool | None, currency: str) -> tuple[Payment, ...]:
    option, data = mapping(raw.get("payment_option")), mapping(raw.get("payment_data"))
    if not (option or data):
        return ()
    return (
        Payment(
            key="",
            amount=total,
            method=text(option.get("name")),
            method_key=text(option.get("id")),
            gateway=text(data.get("type")),
            date=moment(data["status_modified"]) if paid and data.get("status_modified") else None,
            paid=paid is True,
            currency=currency,
        ),
    )


def _client(raw: Json) -> Json:
    client = mapping(raw.get("client"))
    return {
        name: text(client.get(name)) or text(raw.get(f"client_{name}")) for name in ("first_name", "second_name", "last_name")
    } | {"phone": text(raw.get("phone")) or text(client.get("phone"))}


def _full_name(person: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (text(person.get(name)) for name in ("last_name", "first_name", "second_name"))))


def buyer(raw: Json) -> Counterparty | None:
    """Who ordered; ``key`` is client_id (§2.8). None when the order says nothing of them."""
    who, email = _client(raw), text(raw.get("email"))
    key = text(raw.get("client_id")) or text(mapping(raw.get("client")).get("id"))
    name = _full_name(who)
    if not (key or name or who["phone"] or email):
        return None
    address = text(raw.get("delivery_address"))
    return Counterparty(
        key=key,
        name=name or who["phone"] or email or key,
        full_name=name,
        last_name=who["last_name"],
        first_name=who["first_name"],
        middle_name=who["second_name"],
        phone=who["phone"],
        email=email,
        address=Address(address) if address else None,
        contacts=tuple((kind, value) for kind, value in (("Телефон", who["phone"]), ("Почта", email)) if value),
    )


def _codes(raw: Json) -> dict[str, str]:
    """Card → external_id: what the price list called it."""
    rows = map(mapping, listed(raw.get("products")))
    return {text(row["id"]): text(row["external_id"]) for row in rows if text(row.get("id")) and text(row.get("external_id"))}


def _names(raw: Json) -> dict[tuple[Subject, str], str]:
    delivery, payment = mapping(raw.get("delivery_option")), mapping(raw.get("payment_option"))
    said = (
        (Subject.ORDER_STATE, text(raw.get("status")), text(raw.get("status_name"))),
        (Subject.DELIVERY, text(delivery.get("id")), text(delivery.get("name"))),
        (Subject.PAYMENT_KIND, text(payment.get("id")), text(payment.get("name"))),
    )
    return {(subject, key): name for subject, key, name in said if key and name}


# --- cards ---------------------------------------------------------------------------------------------------------------------------

ON_SALE = "on_display"
GONE = ("deleted", "deleted_by_moderator")
AVAILABLE = "available"
NAME_MOST, KEYWORDS_MOST, KEYWORD_MOST = 110, 1024, 50  # §2.5, §2.6
PRESENCES = ("available", "not_available", "order", "waiting")
STATUSES = ("on_display", "draft", "deleted", "not_on_display")
VARIATION = "variation_of"  # of Card.facts: the card whose presence this one has
PRESENCE = "presence"


def card(raw: Json, s: PromSettings) -> Card:
    """Raises BadRecord for what is no card."""
    ident = number(raw)
    if ident is None:
        raise BadRecord(NOT_A_CARD)
    group, status = mapping(raw.get("group")), text(raw.get("status"))
    urls = [text(mapping(image).get("url")) for image in listed(raw.get("images"))]
    main = text(raw.get("main_image"))
    pictures = dict.fromkeys(filter(None, (main, *urls)))  # §2.4: the main one is among them
    facts = {PRESENCE: text(raw.get("presence")), VARIATION: text(raw.get("variation_base_id"))}
    return Card(
        id=str(ident),
        name=_in(raw, "name", s.language),
        code=text(raw.get("external_id")),
        article=text(raw.get("sku")),
        description=_in(raw, "description", s.language),
        price=_number(raw.get("price")),
        currency=text(raw.get("currency")),
        quantity=_number(raw.get("quantity_in_stock")),
        group=text(group.get("id")),
        group_name=_in(group, "name", s.language),
        pictures=tuple(pictures),
        problem="" if status in (ON_SALE, "") else status,
        gone=status in GONE,
        facts=tuple((name, value) for name, value in facts.items() if value),
    )


def _in(row: Json, field: str, language: str) -> str:
    return text(mapping(row.get(f"{field}_multilang")).get(language)) or text(row.get(field))


def _number(value: Any) -> Decimal | None:
    try:
        return amount(value)
    except ValueError:
        return None


def edit(offering: Offering, s: PromSettings) -> Json:
    """The row of ``products/edit`` for a card (§2.5): stock is ``quantity_in_stock``, ``quantity`` would be ignored without a word.

    A variation has the presence of its card, so that its own is not said. Raises BadRecord.
    """
    row: Json = {}
    if offering.quantity is not None:
        row["quantity_in_stock"] = int(offering.quantity)
        presence = AVAILABLE if offering.quantity > 0 else s.at_zero
        if presence and not offering.facts.get(VARIATION):
            row[PRESENCE] = presence
    if offering.price is not None:
        row["price"] = offering.price
    if offering.old_price is not None:
        row["oldprice"] = offering.old_price
    for field, value in offering.fields.items():
        row[field] = _field(offering.id, field, value)
    return row


def _field(ident: str, field: str, value: Any) -> Any:
    said = text(value)
    match field:
        case "name":
            if len(said) > NAME_MOST:
                raise BadRecord(NAME_TOO_LONG, id=ident, name=said, found=len(said), most=NAME_MOST)
        case "keywords":
            if len(said) > KEYWORDS_MOST:
                raise BadRecord(KEYWORDS_TOO_LONG, id=ident, found=len(said), most=KEYWORDS_MOST)
            for word in said.split(","):
                if len(word.strip()) > KEYWORD_MOST:
                    raise BadRecord(KEYWORD_TOO_LONG, id=ident, word=word.strip(), found=len(word.strip()), most=KEYWORD_MOST)
        case "description":
            pass
        case "presence":
            _one_of(ident, field, said, PRESENCES)
        case "status":
            _one_of(ident, field, said, STATUSES)
        case "in_stock":
            _one_of(ident, field, said.lower(), (*TRUE, *FALSE))
            return said.lower() in TRUE
        case _:
            raise BadRecord(NO_SUCH_FIELD, id=ident, field=field)
    return said


TRUE, FALSE = ("true", "1", "yes", "так", "да"), ("false", "0", "no", "ні", "нет")


def _one_of(ident: str, field: str, said: str, known: Sequence[str]) -> None:
    if said not in known:
        raise BadRecord(NOT_A_CHOICE, id=ident, field=field, value=said, choices=", ".join(known))


TAGS = re.compile(r"<[^>]*>|&nbsp;|\s")


def differs(row: Json, there: Json) -> list[str]:
    """Fields of an edit that the card does not have so. ``oldprice`` is in no answer (§2.4), so that it cannot be told."""
    return [field for field, value in row.items() if field != "oldprice" and not _same(field, value, there)]


def _same(field: str, wanted: Any, there: Json) -> bool:
    found = there.get(field)
    match field:
        case "quantity_in_stock" | "price":
            return _number(found) == Decimal(wanted)
        case "name" | "keywords" | "description":  # they tidy up tags and white space
            known = (found, *mapping(there.get(f"{field}_multilang")).values())
            return TAGS.sub("", text(wanted)) in [TAGS.sub("", text(one)) for one in known]
        case _:
            return bool(found == wanted)


def presence_alone(error: str) -> bool:
    """Whether an error of a card speaks of its presence: a variation has that of its card (§2.5)."""
    said = words(error).lower()
    return "presence" in said or "наявн" in said or "налич" in said
