"""What orders and goods of Rozetka become, and which way leads from one status to another. Pure.

Facts: marketplaces §3.4 (order), §3.5 (statuses), §3.7 (goods). Times are Kyiv's without an offset, money is text in orders and
whole hryvnias in goods.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from obmen.connectors.rozetka import statuses
from obmen.connectors.rozetka.api import Json, listed, mapping, whole
from obmen.core.contract import BadRecord
from obmen.core.records import Address, Counterparty, Delivery, Order, OrderLine, Payment, Reference, Subject
from obmen.core.words import gettext_noop as _
from obmen.market.api import Card, Draft

KYIV = ZoneInfo("Europe/Kyiv")
CURRENCY = "UAH"
# A line is (status) 1 actual, 2 returned, 0 removed by an edit (§3.4)
REMOVED, RETURNED = 0, 2
PICKUP, COURIER = 1, 2
# Of payment statuses (§3.4). A held sum is the buyer's until the seller takes it, a part is not the whole.
PAID, RETURNED_MONEY = {2, 9, 10}, 8
CASH = re.compile(r"під час отриман|при отриман|при получ|наклад|налож|післяплат|\bготів|\bналич", re.IGNORECASE)
YEARS = range(2000, 2200)  # an order of another one has a date that is none
LARGEST = Decimal(10) ** 12  # sums and quantities below it are kept exactly; what is finer than SMALLEST is a mistake, too
SMALLEST = -30
SHOWN = 100  # characters of a bad value
NUMBERS = re.compile(r"\d{5,}")  # of orders, in what people write
BY_API = "4"  # availability of a source: stock and prices by calls
ARCHIVED = "5"  # sell status of cards that are no more

NOT_AN_ORDER = _("This is no order of Rozetka: it has no id")
BAD_VALUE = _("{field} of order {number} is “{value}”, expected was {expected}: look at the order in the cabinet")
NOT_SAID = _("Order {number}: {field} is not said, expected was {expected}: look at the order in the cabinet")

A_NUMBER, A_TIME, A_LIST = _("a number"), _("a time as 2026-09-23 12:34:56"), _("a list")

# Requisites of an order, named as 1C's own attributes are: it copies each into the attribute of that name
NO_CALL, DUPLICATE_OF, RETURNED_GOODS, WAREHOUSE_REF = (
    "Не перезванивать",
    "Дубль заказа",
    "Возвращенные товары",
    "Идентификатор отделения",
)

# What of an order's JSON we use. Everything else may change without being news: is_viewed, what may be done next, counters.
ORDER_FIELDS = (
    "id", "created", "amount", "amount_with_discount", "cost", "cost_with_discount", "status", "status_group", "comment", "user_phone",
    "user_title", "recipient_title", "recipient_phone", "ttn", "callback_off", "duplicate_order_id", "payment_method_id", "payment_type",
    "payment_type_name", "payment_type_title",
)  # fmt: skip
USER_FIELDS = ("id", "contact_fio", "email")
DELIVERY_FIELDS = (
    "delivery_service_id", "delivery_service_name", "delivery_method_id", "recipient_title", "recipient_first_name",
    "recipient_last_name", "recipient_second_name", "recipient_phone", "place_street", "place_number", "place_house", "place_flat",
    "cost", "ref_id", "pickup_rz_id",
)  # fmt: skip
LINE_FIELDS = (
    "id", "item_id", "item_name", "price", "price_with_discount", "quantity", "cost", "cost_with_discount", "status", "kit_id",
)  # fmt: skip
ITEM_FIELDS = ("id", "name", "name_ua", "article", "price_offer_id", "uploader_offer_id")
PAYMENT_FIELDS = ("payment_method_id", "payment_method_name", "payment_type", "payment_type_title")


def used(raw: Json) -> Json:
    """The part of an order that we use."""
    found = _some(raw, ORDER_FIELDS)
    delivery, payment = mapping(raw.get("delivery")), mapping(raw.get("payment"))
    found["user"] = _some(raw.get("user"), USER_FIELDS)
    found["delivery"] = _some(delivery, DELIVERY_FIELDS) | {"city": _city(delivery)}
    found["delivery_service"] = _some(raw.get("delivery_service"), ("id", "name"))
    found["payment"] = _some(payment, PAYMENT_FIELDS)
    found["paid"] = _payment_status(raw)
    found["status_data"] = _status_name(raw)
    if isinstance(raw.get("purchases"), list):  # an order without them was not expanded and is refused
        found["purchases"] = [
            _some(line, LINE_FIELDS) | {"item": _some(line.get("item"), ITEM_FIELDS)}
            for line in raw["purchases"]
            if isinstance(line, dict)
        ]
    return found


def _some(value: Any, names: Sequence[str]) -> Json:
    value = mapping(value)
    return {name: value[name] for name in names if value.get(name) not in (None, "", [], {})}


# --- values ---------------------------------------------------------------------------------------------------------------------


def text(value: Any) -> str:
    return "" if value is None or isinstance(value, dict | list) else str(value).strip()


def moment(value: Any) -> datetime | None:
    """Kyiv's local time → aware UTC; the earlier one of an hour that the clocks go through twice. None for what is none."""
    found = shown(value)
    return found.replace(tzinfo=KYIV, fold=0).astimezone(UTC) if found else None


def shown(value: Any) -> datetime | None:
    """As Kyiv's clock shows it, without a zone: what searches are asked with. None for what is none, and for a year of no order:
    near the ends of the calendar other zones have no such moment."""
    try:
        found = datetime.fromisoformat(text(value)).replace(tzinfo=None)
    except ValueError:
        return None
    return found if found.year in YEARS else None


def local(value: datetime) -> datetime:
    """An aware moment as Kyiv's clock shows it, without zone and fractions: what searches are asked with."""
    return value.astimezone(KYIV).replace(tzinfo=None, microsecond=0)


def since(value: datetime) -> datetime:
    """What Kyiv's clock never shows less than after the moment: it goes back an hour in autumn."""
    shown = value.astimezone(KYIV)
    later = (value + timedelta(hours=1)).astimezone(KYIV)
    back = (shown.utcoffset() or timedelta()) - (later.utcoffset() or timedelta())
    return local(value) - max(back, timedelta())


def phone(value: Any) -> str:
    """ "380501112233" → "+380501112233"; what is no such number stays as it is."""
    said = text(value)
    digits = "".join(c for c in said if c.isdecimal())
    if len(digits) == 10 and digits.startswith("0"):
        digits = "38" + digits
    return f"+{digits}" if len(digits) == 12 and digits.startswith("380") else said


def money(value: Any, field: str, number: str) -> Decimal | None:
    """ "640.00"; None when it is not said. Raises BadRecord."""
    said = text(value)
    if not said:
        return None
    try:
        found = Decimal(said.replace(" ", "").replace("\u00a0", "").replace(",", "."))
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or found.adjusted() >= LARGEST.adjusted() or int(found.as_tuple().exponent) < SMALLEST:
        raise BadRecord(BAD_VALUE, field=field, number=number, value=said[:SHOWN], expected=A_NUMBER)
    return found


def _first(*values: Decimal | None) -> Decimal | None:
    return next((value for value in values if value is not None), None)


# --- orders ----------------------------------------------------------------------------------------------------------------------


def order_id(raw: Json) -> str:
    return text(mapping(raw).get("id"))


def status_group(raw: Json) -> int:
    said = text(raw.get("status_group"))
    return int(said) if said in ("1", "2", "3") else statuses.group(text(raw.get("status")))


def draft(raw: Json) -> Draft:
    """Raises BadRecord that names the field."""
    number = order_id(raw)
    if not number:
        raise BadRecord(NOT_AN_ORDER)
    date = moment(raw.get("created"))
    if date is None:
        raise BadRecord(BAD_VALUE, field="created", number=number, value=text(raw.get("created")), expected=A_TIME)
    if not isinstance(raw.get("purchases"), list):
        raise BadRecord(NOT_SAID, field="purchases", number=number, expected=A_LIST)
    status = text(raw.get("status"))
    names: dict[tuple[Subject, str], str] = {}
    if status:
        names[Subject.ORDER_STATE, status] = _status_name(raw) or statuses.NAMES.get(status, status)
    rows = [row for row in raw["purchases"] if isinstance(row, dict)]
    lines = [_line(row, number) for row in rows if _line_status(row) not in (REMOVED, RETURNED)]
    returned = [row for row in rows if _line_status(row) == RETURNED]
    total = _total(raw, lines, number)
    payment = _payment(raw, total, number)
    delivery = _delivery(raw, number)
    if payment.method_key:
        names[Subject.PAYMENT_KIND, payment.method_key] = payment.method or payment.method_key
    if delivery.method_key:
        names[Subject.DELIVERY, delivery.method_key] = delivery.method or delivery.method_key
    cancelled = status_group(raw) == statuses.FAILED
    requisites = (
        (NO_CALL, "true" if text(raw.get("callback_off")) in ("1", "True") else ""),
        (DUPLICATE_OF, text(raw.get("duplicate_order_id")) if status == statuses.DUPLICATE else ""),
        (RETURNED_GOODS, "; ".join(f"{_name(row)} × {text(row.get('quantity'))}" for row in returned)),
        (WAREHOUSE_REF, text(mapping(raw.get("delivery")).get("ref_id"))),
    )
    order = Order(
        key=number,
        number=number,
        date=date,
        state=status,
        currency=CURRENCY,
        total=total,
        counterparty=buyer(raw),
        lines=tuple(lines),
        delivery=delivery,
        payments=(payment,) if payment.method_key or payment.method else (),
        comment=text(raw.get("comment")),
        cancelled=cancelled,
        cancel_reason=names[Subject.ORDER_STATE, status] if cancelled and status else "",
        paid=paid(raw),
        requisites=tuple((name, value) for name, value in requisites if value),
    )
    codes = {
        line.offer: code for line, row in zip(lines, _actual(rows), strict=True) if line.offer and (code := merchant_code(row))
    }
    return Draft(order, codes, names)


def _actual(rows: Sequence[Json]) -> Iterator[Json]:
    return (row for row in rows if _line_status(row) not in (REMOVED, RETURNED))


def _line_status(row: Json) -> int:
    """Actual where it is not said."""
    said = text(row.get("status"))
    return whole(said) if said.isdecimal() else 1


def _name(row: Json) -> str:
    item = mapping(row.get("item"))
    return text(row.get("item_name")) or text(item.get("name_ua")) or text(item.get("name"))


def merchant_code(row: Json) -> str:
    """The seller's own id: within the item, in one of three places, never in the line itself (§3.4)."""
    item = mapping(row.get("item"))
    return next((found for name in ("price_offer_id", "uploader_offer_id", "article") if (found := text(item.get(name)))), "")


def _line(row: Json, number: str) -> OrderLine:
    item = mapping(row.get("item"))
    where = f"purchases[{text(row.get('id'))}]"
    quantity = money(row.get("quantity"), f"{where}.quantity", number)
    if quantity is None:
        raise BadRecord(NOT_SAID, field=f"{where}.quantity", number=number, expected=A_NUMBER)
    plain = money(row.get("price"), f"{where}.price", number)
    sold = _first(money(row.get("price_with_discount"), f"{where}.price_with_discount", number), plain)
    cost = money(row.get("cost"), f"{where}.cost", number)
    total = _first(money(row.get("cost_with_discount"), f"{where}.cost_with_discount", number))
    if total is None:
        total = cost if cost is not None and sold == plain else None if sold is None else sold * quantity
    price = plain if plain is not None else sold
    if total is None or (price is None and not quantity):
        raise BadRecord(NOT_SAID, field=f"{where}.price", number=number, expected=A_NUMBER)
    if price is None or price * quantity < total:
        price = total / quantity if quantity else total
    for name, sum_of_line in (("price", price), ("cost", total), ("quantity", price * quantity)):
        if abs(sum_of_line) >= LARGEST:  # each is a number by itself
            raise BadRecord(BAD_VALUE, field=f"{where}.{name}", number=number, value=str(sum_of_line)[:SHOWN], expected=A_NUMBER)
    return OrderLine(
        offer=text(row.get("item_id")) or text(item.get("id")),
        name=_name(row),
        quantity=quantity,
        price=price,
        total=total,
        article=text(item.get("article")),
        discount=price * quantity - total if quantity else Decimal(0),
        key=text(row.get("id")),
    )


def _total(raw: Json, lines: Sequence[OrderLine], number: str) -> Decimal:
    """What the buyer pays: with discount, with the delivery (§3.4)."""
    names = ("cost_with_discount", "cost", "amount_with_discount", "amount")
    said = _first(*(money(raw.get(name), name, number) for name in names))
    return said if said is not None else sum((line.total for line in lines), Decimal(0))


def _status_name(raw: Json) -> str:
    said = raw.get("status_data")
    if isinstance(said, str):  # as ``used`` leaves it
        return said
    return status_name(mapping(said))


def status_name(row: Json, language: str = "uk") -> str:
    """In the language, else in Ukrainian. Older answers say name_ua for name_uk (§3.5)."""
    ukrainian = text(row.get("name_uk")) or text(row.get("name_ua"))
    by_language = {"uk": ukrainian, "en": text(row.get("name_en"))}.get(language, text(row.get("name")))
    return by_language or ukrainian or text(row.get("name")) or text(row.get("title"))


def _city(delivery: Json) -> str:
    said = delivery.get("city")
    if isinstance(said, str):
        return said
    city = mapping(said)
    return text(city.get("name_ua")) or text(city.get("title")) or text(city.get("name"))


def _delivery(raw: Json, number: str) -> Delivery:
    said, service = mapping(raw.get("delivery")), mapping(raw.get("delivery_service"))
    branch = text(said.get("place_number")) or text(said.get("pickup_rz_id"))
    street = ", ".join(filter(None, (text(said.get("place_street")), text(said.get("place_house")))))
    flat = text(said.get("place_flat"))
    courier = text(said.get("delivery_method_id")) == str(COURIER)
    place = "" if courier or not branch else f"№{branch}"
    address = ", ".join(filter(None, (_city(said), place, street, f"кв. {flat}" if flat and courier else "")))
    return Delivery(
        method=text(said.get("delivery_service_name")) or text(service.get("name")),
        method_key=text(said.get("delivery_service_id")) or text(service.get("id")),
        price=money(said.get("cost"), "delivery.cost", number),
        address=address,
        recipient=_recipient(raw, said),
        phone=phone(said.get("recipient_phone")) or phone(raw.get("recipient_phone")) or phone(raw.get("user_phone")),
        tracking=text(raw.get("ttn")),
        pickup=place,
    )


def _recipient(raw: Json, delivery: Json) -> str:
    names = ("recipient_last_name", "recipient_first_name", "recipient_second_name")
    parts = " ".join(filter(None, (text(delivery.get(name)) for name in names)))
    older = mapping(raw.get("recipient_title"))  # deprecated: delivery goes before it (§3.4)
    return parts or text(delivery.get("recipient_title")) or _full_name(older)


def _full_name(title: Json) -> str:
    parts = (text(title.get(name)) for name in ("last_name", "first_name", "second_name"))
    return " ".join(filter(None, parts)) or text(title.get("full_name"))


def buyer(raw: Json) -> Counterparty | None:
    """The site ID of a counterparty is ``user.id``. None when nothing is said of who ordered."""
    user, title = mapping(raw.get("user")), mapping(raw.get("user_title"))
    name = _full_name(title) or text(user.get("contact_fio"))
    said, mail = phone(raw.get("user_phone")), text(user.get("email"))
    mail = mail if "@" in mail else ""  # without rights to see it, it is "true"
    key = text(user.get("id"))
    if not (key or name or said):
        return None
    last, first, middle = (text(title.get(part)) for part in ("last_name", "first_name", "second_name"))
    address = _delivery(raw | {"delivery": mapping(raw.get("delivery")) | {"cost": None}}, "").address
    return Counterparty(
        key=key,
        name=name or said or key,
        full_name=name,
        last_name=last,
        first_name=first,
        middle_name=middle,
        phone=said,
        email=mail,
        address=Address(address) if address else None,
        contacts=tuple((kind, value) for kind, value in (("Телефон", said), ("Почта", mail)) if value),
    )


# --- payments --------------------------------------------------------------------------------------------------------------------


def _payment_status(raw: Json) -> int | None:
    """Its id (1 to 10, §3.4); None when it is not said, as always for cash. ``payment`` goes before the flat fields."""
    if "paid" in raw:  # as ``used`` leaves it
        return raw["paid"] if isinstance(raw["paid"], int) else None
    for said in (mapping(raw.get("payment")).get("payment_status"), raw.get("status_payment")):
        for name in ("status_payment_id", "id"):
            found = text(mapping(said).get(name))
            if found.isdecimal():
                return whole(found)
    return None


def is_cash(raw: Json) -> bool | None:
    """Paid when it is taken; None when nothing tells. Where the type says nothing ("undefined" is met), the name does."""
    payment = mapping(raw.get("payment"))
    kind = text(payment.get("payment_type")) or text(raw.get("payment_type"))
    names = [text(payment.get("payment_method_name")), text(raw.get("payment_type_name"))]
    names += [text(payment.get("payment_type_title")), text(raw.get("payment_type_title"))]
    if kind in ("cash", "card", "credit"):
        return kind == "cash"
    if not any(names):
        return None
    return any(CASH.search(name) for name in names)


def paid(raw: Json) -> bool | None:
    """None when nobody says. Cash has no status; its money is final when the order is done (§3.4)."""
    status, cash = _payment_status(raw), is_cash(raw)
    if cash:
        return text(raw.get("status")) == statuses.DONE
    return None if status is None else status in PAID


def _payment(raw: Json, total: Decimal, number: str) -> Payment:
    said = mapping(raw.get("payment"))
    name = text(said.get("payment_method_name")) or text(raw.get("payment_type_name"))
    title = text(said.get("payment_type_title")) or text(raw.get("payment_type_title"))
    return Payment(
        key=number,
        amount=total,
        method=name or title,
        method_key=text(said.get("payment_method_id")) or text(raw.get("payment_method_id")) or name or title,
        paid=bool(paid(raw)),
        refund=_payment_status(raw) == RETURNED_MONEY,
        currency=CURRENCY,
        order=number,
    )


# --- ways from status to status -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ways:
    """``graph`` as the dictionary has it: status → those that may follow. What an order itself allows goes before it."""

    graph: Mapping[str, Collection[str]]

    def path(self, raw: Json, wanted: str) -> list[str]:
        """The steps to a status, the wanted one last, shortest first; [] when there is no way within three steps."""
        ways: list[list[str]] = [[step] for step in _in_order(available(raw))]
        seen = {text(raw.get("status"))}
        while ways:
            way = ways.pop(0)
            if way[-1] == wanted:
                return way
            if way[-1] in seen or way[-1] not in statuses.THROUGH or len(way) >= statuses.LONGEST_PATH:
                continue
            seen.add(way[-1])
            ways += [[*way, step] for step in _in_order(self.graph.get(way[-1], ()))]
        return []


def _in_order(steps: Collection[str]) -> list[str]:
    return sorted(steps, key=lambda s: (statuses.THROUGH.index(s) if s in statuses.THROUGH else len(statuses.THROUGH), s))


def available(raw: Json) -> list[str]:
    """What the order itself may become next (``expand=status_available``), each once."""
    rows = (text(mapping(row).get("child_id")) for row in listed(raw.get("status_available")))
    return list(dict.fromkeys(filter(None, rows)))


def named(found: Collection[str], names: Mapping[str, str]) -> str:
    """ "26 Опрацьовується менеджером, 40 Клієнт передумав" """
    return ", ".join(f"{status} {names.get(status) or statuses.NAMES.get(status, '')}".strip() for status in found)


# --- goods ------------------------------------------------------------------------------------------------------------------------------


def card(row: Json) -> Card:
    """``id`` is "" until moderation has given it a number on the site. What cannot be read is not said: stock, price."""
    source = mapping(row.get("sync_source"))
    category = mapping(row.get("rz_category")) or mapping(row.get("price_category"))
    facts = (
        ("item_id", text(row.get("item_id"))),
        ("source", text(row.get("sync_source_id")) or text(source.get("id"))),
        ("availability", text(source.get("availability"))),
        ("content", "no" if row.get("can_update_content_fields") is False else ""),
    )
    return Card(
        id=text(row.get("rz_item_id")),
        name=text(row.get("name_ua")) or text(row.get("name")),
        code=text(row.get("price_offer_id")),
        article=text(row.get("article")),
        description=text(row.get("description")),
        price=_amount(row.get("price")),
        currency=CURRENCY,
        quantity=_amount(row.get("stock_quantity")),
        group=text(category.get("id")),
        group_name=text(category.get("title_ua")) or text(category.get("title")),
        vendor=text(mapping(row.get("rz_producer")).get("title")) or text(row.get("price_producer_name")),
        pictures=tuple(url for one in listed(row.get("photo")) if (url := text(one))),
        problem=problem(row),
        gone=text(row.get("rz_sell_status")) == ARCHIVED,
        facts=tuple((name, value) for name, value in facts if value),
    )


def _amount(value: Any) -> Decimal | None:
    try:
        return money(value, "", "")
    except BadRecord:
        return None


def problem(row: Json) -> str:
    """Why it is not on sale: what moderators block it for, what is wrong with it, what it lacks in the price list."""
    found = [text(mapping(one).get("title")) for one in listed(row.get("blocked_reason"))]
    found += _texts(row.get("error_reason"))
    found += [word for one in listed(row.get("stop_words")) if (word := text(one))]
    if text(row.get("available")) == "2":
        found.append(text(row.get("available_title")) or "2")
    return "; ".join(dict.fromkeys(filter(None, found)))


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict | list):
        return [found for one in listed(value) for found in _texts(one)]
    return [text(value)]


def waiting_price(row: Json) -> Decimal | None:
    """A price that waits for the manager (§3.7): in ``prices``, else ``updated_price``."""
    for one in listed(row.get("prices")):
        if (found := _amount(mapping(one).get("price"))) is not None:
            return found
    return _amount(row.get("updated_price"))


def references(subject: Subject, rows: Sequence[Json], language: str) -> list[Reference]:
    """Statuses of ``/order-statuses/search``."""
    made = []
    for row in rows:
        key = text(row.get("id"))
        group = text(row.get("status_group")) or text(row.get("type"))  # §3.5: older answers say type
        failed = int(group) == statuses.FAILED if group in ("1", "2", "3") else statuses.group(key) == statuses.FAILED
        made.append(statuses.reference(subject, key, status_name(row, language) or key, failed))
    return made
