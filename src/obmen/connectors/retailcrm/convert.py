"""What orders and customers of the CRM become in the books. Pure but for what the hub knows: mappings, names, goods.

A payload is the part of an order that we use, JSON-safe (numbers as text), so that a change of anything else is no news.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, tzinfo
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

import msgspec

from obmen.connectors.retailcrm.api import Json, listed, mapping
from obmen.connectors.retailcrm.settings import BANK, CARD, CASH, NO_VAT, CrmSettings
from obmen.core.contract import BadRecord, Found, Hub, Unmapped
from obmen.core.names import Names
from obmen.core.orders import NUMBER_THERE
from obmen.core.records import Address, Counterparty, Delivery, Order, OrderLine, Payment, Subject, plain
from obmen.core.words import gettext_noop as _

CORPORATE = "customer_corporate"
CANCEL_STATUS = "cancel-other"  # what the module has always cancelled with, whatever the tables say
OWN = "obmen-"  # before our own keys, where they are told to the CRM as externalId
OWN_LINE = "obmen"  # the code of our ids of lines
PICKUP, DELIVERY = "Самовывоз", "Доставка"
CENT = Decimal("0.01")

# Requisites of an order. 1C:UNF copies each into the attribute of that name (facts of CommerceML: “any name equal to a 1C order
# attribute”), 1C:UT reads some of them; all carry names, for 1C looks things up by name.
CRM_ID, KIND, OPERATION, ORGANISATION, DEPARTMENT, WAREHOUSE = (
    "ИД",
    "Вид заказа",
    "Операция",
    "Организация",
    "Подразделение",
    "Склад",
)
PRICE_KIND, BANK_ACCOUNT, CASH_DESK, TAXATION = "Вид цен", "Банковский счет", "Касса", "Налогообложение"
INCLUDES_VAT, DEFERRAL, SHIPMENT_DATE, CARRIER = "Цена включает НДС", "Отсрочка дней", "Дата отгрузки", "Перевозчик"
DELIVERY_DATE, DELIVERY_TIME = "Дата доставки", "Время доставки"
DOCUMENT, TERMINAL, PAYMENT_TYPE = "Документ", "Терминал", "ТипОплаты"

NOT_AN_ORDER = _("This is no order of the CRM")
NOT_A_CUSTOMER = _("This is no customer of the CRM")
NO_ITEMS = _("Order No. {number} was not loaded: there are no goods in it")
STATUS_SKIPPED = _("Orders in the status {value} are not loaded. Add it on the tab “Statuses” to have them loaded")
NO_STATUSES = _("The table of statuses is empty, no orders are loaded. Add statuses to it on the tab “Statuses”")
TOO_OLD = _("Orders made before {date} are not loaded")
NO_GOODS = _(
    "Order {number}: “{name}” ({id}) is not in the books; the line is kept with its name. Check the id of goods on the tab “Catalogue”"
)
NO_GOODS_ID = _("Order {number}: “{name}” has no id of ours in the CRM; the line is kept with its name. Load the catalogue there")
MANY_GOODS = _(
    "Order {number}: “{name}”: several goods of the books have {id}; the line is kept with its name. Use characteristics, or other ids"
)
SUMS_DIFFER = _("Order {number}: its lines and delivery make {found}, the CRM says {total}")
NO_CUSTOMER = _("Order {number}: the CRM does not say who the customer is")
NO_PAYMENT_TABLE = _("The table of payments is empty: payments are not loaded. Fill it in on the tab “Payments”")
NO_DOCUMENT = _("No document is set for the payment type “{type}” on the tab “Payments”: its payments are not loaded")
NEEDS_TERMINAL = _("A card payment needs a terminal: set one for the payment type “{type}” on the tab “Payments”")
NEEDS_CASH_DESK = _(
    "A cash receipt needs a cash desk: set one for the payment type “{type}” on the tab “Payments”, or the main one"
)
BAD_VALUE = _("{field} of order {number} is “{value}”: that is no value we know")

# What we use of an order; everything else may change without being news.
ORDER_FIELDS = (
    "id", "number", "externalId", "site", "createdAt", "status", "orderType", "orderMethod", "managerId", "customerComment",
    "managerComment", "totalSumm", "currency", "shipmentStore", "shipmentDate", "shipped", "lastName", "firstName", "patronymic",
    "phone", "additionalPhone", "email",
)  # fmt: skip
CONTRAGENT_FIELDS = (
    "contragentType", "legalName", "legalAddress", "INN", "KPP", "OKPO", "OGRN", "OGRNIP", "BIK", "bank", "corrAccount", "bankAccount",
)  # fmt: skip
PERSON_FIELDS = ("type", "id", "externalId", "nickName", "lastName", "firstName", "patronymic", "email")
ADDRESS_FIELDS = (
    "index",
    "countryIso",
    "region",
    "city",
    "street",
    "building",
    "house",
    "housing",
    "flat",
    "metro",
    "text",
    "notes",
)
ITEM_FIELDS = ("id", "externalIds", "initialPrice", "discountTotal", "prices", "vatRate", "quantity", "isCanceled", "productName")
OFFER_FIELDS = ("externalId", "xmlId", "name", "displayName", "article")
PAYMENT_FIELDS = ("id", "type", "status", "externalId", "amount", "paidAt", "comment")


def _some(value: Any, names: Sequence[str]) -> Json:
    value = mapping(value)
    return {name: value[name] for name in names if value.get(name) not in (None, "", [], {})}


def used(order: Json, s: CrmSettings) -> Json:
    """The part of an order that we use, in one spelling: maps are maps, payments a list by id, numbers text."""
    delivery = mapping(order.get("delivery"))
    found = _some(order, ORDER_FIELDS)
    for name in ("customer", "contact"):
        person = _some(order.get(name), PERSON_FIELDS)
        if phones := [mapping(p).get("number") for p in listed(mapping(order.get(name)).get("phones"))]:
            person["phone"] = phones[0]
        found[name] = person
    company = mapping(order.get("company"))
    found["company"] = _some(company, ("id", "externalId", "name"))
    found["company"]["contragent"] = _some(company.get("contragent"), CONTRAGENT_FIELDS)
    found["contragent"] = _some(order.get("contragent"), CONTRAGENT_FIELDS)
    found["delivery"] = {
        **_some(delivery, ("code", "cost", "vatRate", "date", "time")),
        "address": _some(delivery.get("address"), ADDRESS_FIELDS),
        "tracking": mapping(delivery.get("data")).get("trackNumber") or "",
        "pickup": mapping(delivery.get("data")).get("pickuppointAddress") or "",
    }
    found["items"] = [
        {
            **_some(item, ITEM_FIELDS),
            "priceType": mapping(item.get("priceType")).get("code") or "",
            "offer": _some(item.get("offer"), OFFER_FIELDS)
            | {"unit": mapping(mapping(item.get("offer")).get("unit")).get("sym") or ""},
        }
        for item in listed(order.get("items"))
        if isinstance(item, dict)
    ]
    payments = [_some(p, PAYMENT_FIELDS) for p in listed(order.get("payments"))]
    found["payments"] = sorted(payments, key=lambda p: int(p.get("id") or 0))
    if s.number_field:
        found["ours"] = mapping(order.get("customFields")).get(s.number_field) or ""
    made: Json = plain(found)
    return made


def payload(said: Any) -> Json:
    """Of an item: what ``used`` or ``party`` made, or that as JSON, as it comes back from the parked records; {} for what is neither."""
    if isinstance(said, bytes):
        try:
            said = msgspec.json.decode(said)
        except msgspec.DecodeError:
            return {}
    return mapping(said)


def number(value: Any) -> Decimal:
    """0 for what is not said."""
    if value in (None, ""):
        return Decimal(0)
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return Decimal(0)
    return found if found.is_finite() else Decimal(0)


def moment(text: Any, zone: tzinfo) -> datetime | None:
    """``Y-m-d H:i:s`` of the account's zone; aware UTC. None for what is none."""
    try:
        return datetime.fromisoformat(str(text)).replace(tzinfo=zone).astimezone(UTC)
    except ValueError:
        return None


def phone(text: Any) -> str:
    """Digits in the module's spelling: ten get an 8 before them, a leading 7 of eleven becomes 8. Those of other countries keep
    all their digits (the module threw them away); less than ten are no phone."""
    digits = "".join(c for c in str(text or "") if c.isdigit())
    if len(digits) == 10:
        return "8" + digits
    if len(digits) == 11 and digits[0] == "7":
        return "8" + digits[1:]
    return digits if 11 <= len(digits) <= 15 else ""


def cents(value: Decimal) -> Decimal:
    return value.quantize(CENT, ROUND_HALF_UP)


# --- customers -------------------------------------------------------------------------------------------------------------


def party(order: Json) -> Json:
    """Of a used order: what its buyer is made of. The card counts before what the order itself says of the person."""
    contact = mapping(order.get("contact")) or mapping(order.get("customer"))
    said = {name: contact.get(name) or order.get(name) for name in ("phone", "email")}
    person = contact if _name(contact) else order
    said |= {name: person.get(name) for name in ("lastName", "firstName", "patronymic")}
    parts = {name: order[name] for name in ("customer", "contact", "company", "contragent") if order.get(name)}
    found = {name: value for name, value in said.items() if value} | parts
    return found | {"address": mapping(order.get("delivery")).get("address") or {}}


def party_key(p: Json, s: CrmSettings) -> str:
    """ "company:45", "customer:123", or the tax number of a buyer that only the order's legal data tell; "" when nobody is named."""
    customer, legal = mapping(p.get("customer")), mapping(p.get("contragent"))
    if s.corporate and customer.get("type") == CORPORATE and mapping(p.get("company")).get("id"):
        return f"company:{p['company']['id']}"
    if not s.corporate and _is_legal(legal) and legal.get("INN"):
        return f"contragent:{legal['INN']}:{legal.get('KPP', '')}"
    person = mapping(p.get("contact")) if customer.get("type") == CORPORATE else customer
    if person.get("id"):
        return f"customer:{person['id']}"
    return f"customer:{customer['id']}" if customer.get("id") else ""


def _is_legal(contragent: Json) -> bool:
    return contragent.get("contragentType") in ("legal-entity", "enterpreneur")


def counterparty(p: Json, s: CrmSettings) -> Counterparty | None:
    """The buyer, as facts §1.12 say; None when nobody is named."""
    key = party_key(p, s)
    if not key:
        return None
    address = _address(mapping(p.get("address")))
    phone_said, email = phone(p.get("phone")), str(p.get("email") or "")
    contacts = tuple((kind, value) for kind, value in (("Телефон", phone_said), ("Почта", email)) if value)
    if key.startswith("company:"):
        company = mapping(p.get("company"))
        legal, name = mapping(company.get("contragent")), str(company.get("name") or "")
        nick = str(mapping(p.get("customer")).get("nickName") or "")
        made = _legal(key, legal, name or nick)
        return replace(
            made,
            phone=phone_said,
            email=email,
            address=address,
            contacts=contacts,
            requisites=(*((("Партнер", nick),) if nick else ()), *made.requisites),
        )
    if key.startswith("contragent:"):
        legal = mapping(p.get("contragent"))
        made = _legal(key, legal, str(legal.get("legalName") or _name(p) or ""))
        return replace(made, phone=phone_said, email=email, address=address, contacts=contacts)
    return Counterparty(
        key=key,
        name=_name(p) or email or phone_said or key.replace(":", " "),
        kind="person",
        full_name=_name(p),
        last_name=str(p.get("lastName") or ""),
        first_name=str(p.get("firstName") or ""),
        middle_name=str(p.get("patronymic") or ""),
        phone=phone_said,
        email=email,
        address=address,
        contacts=contacts,
    )


def _name(person: Mapping[str, Any]) -> str:
    return " ".join(str(person[n]).strip() for n in ("lastName", "firstName", "patronymic") if person.get(n))


def _legal(key: str, legal: Json, name: str) -> Counterparty:
    entrepreneur = legal.get("contragentType") == "enterpreneur"
    bank = (("БИК", "BIK"), ("Банк", "bank"), ("Корр. счет", "corrAccount"), ("Расчетный счет", "bankAccount"), ("ОГРН", "OGRN"),
            ("ОГРНИП", "OGRNIP"))  # fmt: skip
    text = str(legal.get("legalAddress") or "")
    return Counterparty(
        key=key,
        name=name or str(legal.get("legalName") or ""),
        kind="entrepreneur" if entrepreneur else "company",
        full_name=str(legal.get("legalName") or name),
        inn=str(legal.get("INN") or ""),
        kpp="" if entrepreneur else str(legal.get("KPP") or ""),
        okpo=str(legal.get("OKPO") or ""),
        legal_address=Address(text) if text else None,
        requisites=tuple((title, str(legal[field])) for title, field in bank if legal.get(field)),
    )


def address_text(address: Json) -> str:
    """trim(index + " " + city + " " + metro + " " + text), as the module writes it."""
    return " ".join(str(address[n]).strip() for n in ("index", "city", "metro", "text") if address.get(n))


def _address(address: Json) -> Address | None:
    text = address_text(address)
    names = (("Почтовый индекс", "index"), ("Страна", "countryIso"), ("Регион", "region"), ("Город", "city"), ("Улица", "street"),
             ("Дом", "building"), ("Корпус", "housing"), ("Квартира", "flat"))  # fmt: skip
    parts = tuple((title, str(address[field])) for title, field in names if address.get(field))
    return Address(text, parts) if text else None


# --- orders ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Goods:
    """What the books know of the offers of a page: identifier → what was found."""

    found: Mapping[str, Sequence[Found]]


def identifiers(order: Json, s: CrmSettings) -> list[str]:
    return [i for item in order.get("items", ()) if (i := identifier(item, s))]


def identifier(item: Json, s: CrmSettings) -> str:
    return str(mapping(item.get("offer")).get(s.offer_id) or "")


def look_up(orders: Sequence[Json], s: CrmSettings, hub: Hub) -> Goods:
    """One question to the books for a page. Of GUID#GUID that nothing has, the product alone may be known."""
    asked = list(dict.fromkeys(i for order in orders for i in identifiers(order, s)))
    if s.attribute == "key":
        asked += [i.partition("#")[0] for i in asked if "#" in i]
    return Goods(hub.books.offers_by(s.attribute, asked) if asked else {})


def order(
    raw: Json, s: CrmSettings, hub: Hub, zone: tzinfo, goods: Goods, names: Names, *, written: bool = False
) -> Order | BadRecord | None:
    """A used order as an order of the books. ``written``: it is the answer to our own writing, so that nothing is told about it and
    an unmapped status does not matter."""
    if not isinstance(raw, dict) or not raw.get("id"):
        return BadRecord(NOT_AN_ORDER)
    said = str(raw.get("number") or raw["id"])

    def report(text: str, **facts: object) -> None:
        if not written:
            hub.report("warning", text, number=said, **facts)

    if not written:
        if raw.get("orderMethod") in s.skip_methods or raw.get("orderType") in s.skip_types:
            return None
        if not raw.get("items"):
            return BadRecord(NO_ITEMS, number=said)
    made_at = moment(raw.get("createdAt"), zone)
    if made_at is None:
        return BadRecord(BAD_VALUE, field="createdAt", number=said, value=str(raw.get("createdAt", "")))
    since = s.orders_from.strip()
    if since and not written and made_at.astimezone(zone).date() < date.fromisoformat(since):
        hub.report("info", TOO_OLD, date=since)
        return None
    status = str(raw.get("status") or "")
    row = hub.incoming(Subject.ORDER_STATE, status)
    if row is None and not written:
        hub.unmapped(Subject.ORDER_STATE, status)
        return Unmapped(STATUS_SKIPPED, subject=str(Subject.ORDER_STATE), value=status)
    if row is not None and not row.taken and not written:
        return None
    cancelled = status == CANCEL_STATUS or (row is not None and row.attributes.get("cancel") == "yes")
    items = [item for item in raw.get("items", ()) if not item.get("isCanceled")]
    no_vat = _no_vat(s, names)
    lines = [_line(item, s, goods, report, no_vat, s.price_includes_vat and not no_vat) for item in items]
    delivery = mapping(raw.get("delivery"))
    cost = number(delivery.get("cost"))
    if cost:
        rate = "none" if no_vat else vat_rate(delivery.get("vatRate"))
        lines.append(OrderLine(s.delivery_product, DELIVERY, Decimal(1), cost, cost, kind="delivery", vat_rate=rate))
    total, found = number(raw.get("totalSumm")), sum((line.total for line in lines), Decimal(0))
    if total != found and not cancelled:
        report(SUMS_DIFFER, found=str(found), total=str(total))
    buyer = counterparty(party(raw), s)
    if buyer is None:
        report(NO_CUSTOMER)
    payments = _payments(raw, s, hub, zone, names, report) if s.create_payments else ()
    store = _store(raw, s, hub, written)
    way, carrier = _delivery(raw, s, hub, names, written)
    external = str(raw.get("externalId") or "")
    return Order(
        key=str(raw["id"]),
        number=said,
        date=made_at,
        state=row.ours if row else "",
        currency=s.currency or str(raw.get("currency") or ""),
        total=total,
        counterparty=buyer,
        lines=tuple(lines),
        delivery=way,
        payments=payments,
        comment=comment(raw, s.comment),
        site=str(raw.get("site") or ""),
        manager=_manager(raw, s, hub, written),
        organisation=s.organisation,
        warehouse=store,
        cancelled=cancelled,
        paid=_paid(raw, total) if s.create_payments else None,
        shipped=bool(raw["shipped"]) if "shipped" in raw else None,
        requisites=_requisites(raw, s, hub, names, store, carrier, made_at.astimezone(zone)),
        known_as=external.removeprefix(OWN) if external.startswith(OWN) else "",
    )


def _no_vat(s: CrmSettings, names: Names) -> bool:
    return s.taxation in NO_VAT or names(Subject.TAXATION, s.taxation) in NO_VAT


def comment(raw: Json, rule: str) -> str:
    customer, manager = str(raw.get("customerComment") or ""), str(raw.get("managerComment") or "")
    if rule == "marked":
        mark = "" if "#" in customer else "#"
        return f"{mark}{customer}\n{manager}".rstrip("\n")
    both = {"both": (customer, manager), "customer": (customer,), "manager": (manager,)}.get(rule, ())
    return "\n".join(filter(None, both))


def vat_rate(said: Any) -> str:
    """ "20.00" → "20"; "none" stays; "" when nothing is said."""
    text = str(said or "")
    try:
        return format(Decimal(text).normalize(), "f")
    except InvalidOperation:
        return text


Report = Callable[..., None]


def _line(item: Json, s: CrmSettings, goods: Goods, report: Report, no_vat: bool, includes_vat: bool) -> OrderLine:
    offer = mapping(item.get("offer"))
    said = identifier(item, s)
    name = str(item.get("productName") or offer.get("displayName") or offer.get("name") or said)
    article = str(offer.get("article") or "")
    found = goods.found.get(said, ()) if said else ()
    if not found and "#" in said:
        found = goods.found.get(said.partition("#")[0], ())
    key = said if s.attribute == "key" else ""
    if len(found) == 1:
        key, article = found[0].offer, article or found[0].article
    elif not said:
        report(NO_GOODS_ID, name=name)
    else:
        report(MANY_GOODS if found else NO_GOODS, name=name, id=said)
    quantity, price = number(item.get("quantity")), number(item.get("initialPrice"))
    total = line_total(item)
    rate = "none" if no_vat else vat_rate(item.get("vatRate"))
    percent = number(rate) if rate not in ("", "none") else Decimal(0)
    vat = cents(total * percent / (100 + percent)) if includes_vat and rate not in ("", "none") else None
    return OrderLine(
        offer=key,
        name=name,
        quantity=quantity,
        price=price,
        total=total,
        article=article,
        unit=str(offer.get("unit") or ""),
        discount=cents(price * quantity) - total,
        vat_rate=rate,
        vat_amount=vat,
        requisites=((("ИД товара CRM", said),) if said and not key else ()),
        key=str(item.get("id") or ""),
    )


def line_total(item: Json) -> Decimal:
    """To the kopeck. ``prices`` split the quantity so that rounding adds up; ``discountTotal`` is for one unit."""
    quantity = number(item.get("quantity"))
    prices = [(number(p.get("price")), number(p.get("quantity"))) for p in listed(item.get("prices")) if isinstance(p, dict)]
    if prices and sum((q for _p, q in prices), Decimal(0)) == quantity:
        return cents(sum((p * q for p, q in prices), Decimal(0)))
    return cents(quantity * (number(item.get("initialPrice")) - number(item.get("discountTotal"))))


def _manager(raw: Json, s: CrmSettings, hub: Hub, written: bool) -> str:
    said = str(raw.get("managerId") or "")
    if not said:
        return s.manager
    row = hub.incoming(Subject.MANAGER, said)
    if row is None and not written:
        hub.unmapped(Subject.MANAGER, said)
    return row.ours if row and row.taken else ""


def _store(raw: Json, s: CrmSettings, hub: Hub, written: bool) -> str:
    said = str(raw.get("shipmentStore") or "")
    if not said:
        return s.warehouse
    row = hub.incoming(Subject.WAREHOUSE, said)
    if row is None and not written:
        hub.unmapped(Subject.WAREHOUSE, said)
    return (row.ours if row and row.taken else "") or s.warehouse


def _delivery(raw: Json, s: CrmSettings, hub: Hub, names: Names, written: bool) -> tuple[Delivery, str]:
    said = mapping(raw.get("delivery"))
    code, carrier, ours = str(said.get("code") or ""), "", ""
    if code:
        row = hub.incoming(Subject.DELIVERY, code)
        if row is None and not written:
            hub.unmapped(Subject.DELIVERY, code)
        if row is not None and row.taken:
            ours, carrier = row.ours, row.attributes.get("carrier", "")
    ours = ours or s.default_delivery
    address = mapping(said.get("address"))
    return (
        Delivery(
            method=names(Subject.DELIVERY, ours) or PICKUP,
            method_key=ours,
            price=number(said.get("cost")),
            vat_rate=vat_rate(said.get("vatRate")),
            address=address_text(address),
            recipient=_name(raw),
            phone=phone(raw.get("phone")),
            tracking=str(said.get("tracking") or ""),
            comment=str(address.get("notes") or ""),
            pickup=str(said.get("pickup") or ""),
        ),
        names(Subject.CARRIER, carrier),
    )


def _requisites(
    raw: Json, s: CrmSettings, hub: Hub, names: Names, store: str, carrier: str, local: datetime
) -> tuple[tuple[str, str], ...]:
    delivery = mapping(raw.get("delivery"))
    time = mapping(delivery.get("time"))
    shipped = str(raw.get("shipmentDate") or local.date().isoformat())
    taxation = names(Subject.TAXATION, s.taxation)
    pairs = (
        (CRM_ID, str(raw["id"])),
        (KIND, names(Subject.ORDER_KIND, s.order_kind)),
        (OPERATION, names(Subject.ORDER_OPERATION, s.operation)),
        (ORGANISATION, names(Subject.ORGANISATION, s.organisation)),
        (DEPARTMENT, names(Subject.DEPARTMENT, s.department)),
        (WAREHOUSE, names(Subject.WAREHOUSE, store)),
        (PRICE_KIND, names(Subject.PRICE_KIND, _price_kind(raw, s, hub))),
        (BANK_ACCOUNT, names(Subject.BANK_ACCOUNT, s.bank_account)),
        (CASH_DESK, names(Subject.CASH_DESK, s.cash_desk)),
        (TAXATION, taxation),
        (INCLUDES_VAT, "true" if s.price_includes_vat and not _no_vat(s, names) else "false"),
        (DEFERRAL, str(s.deferral_days)),
        (SHIPMENT_DATE, f"{shipped}T00:00:00"),
        (CARRIER, carrier),
        (DELIVERY_DATE, str(delivery.get("date") or "")),
        (DELIVERY_TIME, str(time.get("custom") or "–".join(filter(None, (str(time.get(n) or "") for n in ("from", "to")))))),
        (NUMBER_THERE, str(raw.get("ours") or "")),
    )
    return tuple((name, value) for name, value in pairs if value)


def _price_kind(raw: Json, s: CrmSettings, hub: Hub) -> str:
    """The last line's price type counts for the document, as in the module."""
    codes = [item["priceType"] for item in raw.get("items", ()) if item.get("priceType")]
    if not s.price_types or not codes:
        return ""
    row = hub.incoming(Subject.PRICE_KIND, codes[-1])
    return row.ours if row and row.taken else ""


# --- payments --------------------------------------------------------------------------------------------------------------


def _paid(raw: Json, total: Decimal) -> bool:
    paid = [number(p.get("amount")) for p in raw.get("payments", ()) if p.get("status") == "paid"]
    return bool(paid) and sum(paid, Decimal(0)) >= total


def _payments(raw: Json, s: CrmSettings, hub: Hub, zone: tzinfo, names: Names, report: Report) -> tuple[Payment, ...]:
    made = []
    for p in raw.get("payments", ()):
        code = str(p.get("type") or "")
        row = hub.incoming(Subject.PAYMENT_KIND, code)
        if row is None:
            hub.unmapped(Subject.PAYMENT_KIND, code)
            if hub.rows(Subject.PAYMENT_KIND, "in"):
                hub.report("warning", NO_DOCUMENT, type=code)
            else:
                hub.report("warning", NO_PAYMENT_TABLE)
            continue
        if not row.taken:
            continue
        document, terminal = row.attributes.get("document", ""), row.attributes.get("terminal", "")
        desk = row.attributes.get("cash_desk", "") or s.cash_desk
        lacking = {"": NO_DOCUMENT, CARD: "" if terminal else NEEDS_TERMINAL, CASH: "" if desk else NEEDS_CASH_DESK}.get(
            document, ""
        )
        if lacking:
            hub.report("warning", lacking, type=code)
            continue
        external = str(p.get("externalId") or "")
        requisites = (
            (DOCUMENT, document),
            (PAYMENT_TYPE, code),
            (TERMINAL, names(Subject.TERMINAL, terminal) if document == CARD else ""),
            (CASH_DESK, names(Subject.CASH_DESK, desk) if document == CASH else ""),
            (BANK_ACCOUNT, names(Subject.BANK_ACCOUNT, s.bank_account) if document == BANK else ""),
            ("Комментарий", f"{p.get('comment') or ''} {p['id']}".strip()),
        )
        made.append(
            Payment(
                key=str(p["id"]),
                amount=number(p.get("amount")),
                method=names(Subject.PAYMENT_KIND, row.ours) or code,
                method_key=row.ours or code,
                date=moment(p.get("paidAt"), zone),
                paid=p.get("status") == "paid",
                currency=s.currency or str(raw.get("currency") or ""),
                order=str(raw["id"]),
                requisites=tuple((name, value) for name, value in requisites if value),
                known_as=external.removeprefix(OWN) if external.startswith(OWN) else "",
            )
        )
    return tuple(made)
