"""What changes of the books become in the CRM. Pure but for what the hub knows: mappings, and ids of goods.

An order that came from there is edited: only what differs from their last word goes, so that nothing is overwritten that we did not
change. One that was made here is written whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import Any

from obmen.connectors.retailcrm.api import Json
from obmen.connectors.retailcrm.convert import (
    CANCEL_STATUS,
    CENT,
    DOCUMENT,
    OWN,
    OWN_LINE,
    PAYMENT_TYPE,
    TERMINAL,
    cents,
    phone,
)
from obmen.connectors.retailcrm.settings import BANK, CARD, CASH, CrmSettings
from obmen.core.contract import BadRecord, Found, Hub
from obmen.core.names import Names
from obmen.core.orders import NUMBER_THERE, is_delivery
from obmen.core.records import Counterparty, Order, OrderLine, Payment, Subject, decimal_text, digest, plain
from obmen.core.words import gettext_noop as _

FAILURE, NEW = "failure", "new"  # statuses of lines
CONTRAGENT = {"person": "individual", "company": "legal-entity", "entrepreneur": "enterpreneur"}  # the vendor's spelling

NO_ID = _("“{name}” has no {what}: without it the CRM cannot know which goods are meant. Fill it in on the card")
NO_STATE = _("Orders with the state “{state}” get no status in the CRM: map it on the tab “Statuses” to send it")
NO_GOODS_OF_BOOKS = _("“{name}” of order {number} is in no card of the books: its line goes to the CRM with its name only")

PAY_NO_TABLE = _(
    "The payment was not sent, the table of payments is empty: fill it in on the tab “Payments”, “Payments: sending”"
)
PAY_NO_ROW = _("The table of payments has no row for this kind of document ({document}): the payment is not sent")
PAY_NO_ORDER = _("The payment names no order: it is not sent")
REFUND = _("Returns of money are not sent to the CRM: enter it there by hand")


def amount(value: Decimal) -> int | Decimal:
    """A JSON number without needless zeros."""
    whole = value.to_integral_value()
    return int(whole) if whole == value else value.normalize()


@dataclass(slots=True)
class Writer:
    """Makes what is written of orders. One for a sink: it remembers names."""

    s: CrmSettings
    hub: Hub
    zone: tzinfo
    names: Names

    # --- edits ---

    def edit(self, ours: Order, theirs: Order) -> Json | None:
        """{"edit": fields, "known": digests of what we do not touch, …}; None when they have all of it.

        ``known`` tells, once they answer, whether somebody else has changed the order meanwhile.
        """
        fields: Json = {}
        touched = {"date", "number", "key", "known_as", "extra", "total"}
        gone, was_gone = ours.cancelled or ours.deleted, theirs.cancelled or theirs.deleted
        if gone and not was_gone:
            fields |= {"status": CANCEL_STATUS, "shipped": False}
            touched |= {"state", "cancelled", "cancel_reason", "shipped", "lines"}
        elif not gone:
            if ours.state != theirs.state or was_gone:
                touched |= {"state", "cancelled", "cancel_reason"}
                if code := self._status(ours):
                    fields["status"] = code
            if ours.shipped is not None and ours.shipped != theirs.shipped:
                fields["shipped"] = ours.shipped
                touched.add("shipped")
            if _goods(ours) != _goods(theirs):
                fields |= self.items(ours)
                touched.add("lines")
        if not gone:
            fields |= self._others(ours, theirs, touched)
        if not fields:
            return None
        known = {name: _mark(theirs, name) for name in Order.__dataclass_fields__ if name not in touched}
        return {
            "edit": fields,
            "known": known,
            "cancel": bool(gone and not was_gone),
            "number": ours.number,
            "total": str(ours.total) if "items" in fields else "",
        }

    def _others(self, ours: Order, theirs: Order, touched: set[str]) -> Json:
        fields: Json = {}
        delivery: Json = {}
        if _cost(ours) != _cost(theirs):
            delivery["cost"] = amount(_cost(ours))
        if (
            ours.delivery
            and ours.delivery.method_key
            and ours.delivery.method_key != (theirs.delivery and theirs.delivery.method_key)
        ):
            rows = self.hub.outgoing(Subject.DELIVERY, ours.delivery.method_key)
            if rows:
                delivery["code"] = rows[0].theirs
        tracking = ours.delivery.tracking if ours.delivery else ""
        if tracking and tracking != (theirs.delivery.tracking if theirs.delivery else ""):
            delivery["data"] = {"trackNumber": tracking}
        if delivery:
            if "code" in delivery and "cost" not in delivery:
                delivery["cost"] = amount(_cost(ours))  # a new type would bring its own default
            fields["delivery"] = delivery
            touched |= {"delivery", "requisites"}
        if ours.manager and ours.manager != theirs.manager and (rows := self.hub.outgoing(Subject.MANAGER, ours.manager)):
            fields["managerId"] = int(rows[0].theirs) if rows[0].theirs.isdigit() else rows[0].theirs
            touched.add("manager")
        if (
            ours.warehouse
            and ours.warehouse != theirs.warehouse
            and (rows := self.hub.outgoing(Subject.WAREHOUSE, ours.warehouse))
        ):
            fields["shipmentStore"] = rows[0].theirs
            touched |= {"warehouse", "requisites"}
        if ours.comment != theirs.comment and self.s.send_comment != "none":
            fields |= self.comment(ours)
            touched.add("comment")
        said, known = dict(ours.requisites).get(NUMBER_THERE, ""), dict(theirs.requisites).get(NUMBER_THERE, "")
        if self.s.number_field and said and said != known:
            fields["customFields"] = {self.s.number_field: said}
            touched.add("requisites")
        return fields

    def _status(self, ours: Order) -> str:
        rows = self.hub.outgoing(Subject.ORDER_STATE, ours.state)
        if not rows and ours.state:
            self.hub.report("warning", NO_STATE, state=ours.state)
        return rows[0].theirs if rows else ""

    def comment(self, order: Order) -> Json:
        if self.s.send_comment == "none" or not (order.comment or self.s.send_comment):
            return {}
        text = order.comment[1:] if self.s.comment == "marked" and order.comment.startswith("#") else order.comment
        return {f"{self.s.send_comment}Comment": text.strip()}

    # --- lines ---

    def items(self, order: Order) -> Json:
        """All lines, with discounts for one unit. What rounding leaves over goes into the discount of the order, so that the sum is
        the same to the kopeck; its percentage would be taken off a second time and is taken back."""
        lines = [line for line in order.lines if not is_delivery(line)]
        cards = self._cards(lines)
        kind = self._price_type(order) if self.s.price_types else ""
        rows, left = [], order.discount
        met: Counter[str] = Counter()
        for line in lines:
            row, rest = self._item(line, cards, order)
            own = line.offer or line.name
            met[own] += 1
            if kind:
                row["priceType"] = {"code": kind}
            row["externalIds"] = [{"code": OWN_LINE, "value": f"{own}/{met[own]}"}]
            rows.append(row)
            left += rest
        return {"items": rows, "discountManualAmount": amount(left), "discountManualPercent": 0}

    def _cards(self, lines: Sequence[OrderLine]) -> Mapping[str, Sequence[Found]]:
        keys = list(dict.fromkeys(line.offer for line in lines if line.offer))
        return self.hub.books.offers_by("key", keys) if keys else {}

    def _item(self, line: OrderLine, cards: Mapping[str, Sequence[Found]], order: Order) -> tuple[Json, Decimal]:
        quantity = line.quantity or Decimal(1)
        whole = cents(line.price * quantity)
        price = line.price
        if line.total > whole:  # dearer than its price: the total counts
            price = (line.total / quantity).quantize(CENT, ROUND_UP)
            whole = cents(price * quantity)
        each = ((whole - line.total) / quantity).quantize(CENT, ROUND_DOWN)
        rest = whole - line.total - cents(each * quantity)
        row: Json = {
            "productName": line.name,
            "initialPrice": amount(price),
            "quantity": amount(line.quantity),
            "discountManualAmount": amount(each),
            "discountManualPercent": 0,
        }
        if line.key.isdigit():
            row["id"] = int(line.key)
        found = cards.get(line.offer, ())
        if found:
            row["offer"] = {self.s.offer_id: self.identifier(found[0])}
        elif not line.key:
            self.hub.report("warning", NO_GOODS_OF_BOOKS, name=line.name, number=order.number)
        return row, rest

    def identifier(self, found: Found) -> str:
        """Raises BadRecord that names the product."""
        if self.s.attribute == "key":
            return found.offer if self.s.characteristics else found.product
        said = found.code if self.s.product_id == "code" else found.article
        if not said:
            raise BadRecord(NO_ID, name=found.name or found.offer, what=self.s.product_id)
        return said

    def _price_type(self, order: Order) -> str:
        """By the requisite «Вид цен»: 1C says its name."""
        name = dict(order.requisites).get("Вид цен", "")
        if not name:
            return ""
        rows = (row for row in self.hub.rows(Subject.PRICE_KIND, "out") if row.ours)
        return next((row.theirs for row in rows if name in (row.ours, self.names(Subject.PRICE_KIND, row.ours))), "")

    # --- whole orders ---

    def create(self, order: Order) -> Json:
        """{"create": the order without its customer, "buyer": the customer}."""
        buyer = order.counterparty
        delivery = order.delivery
        ways = self.hub.outgoing(Subject.DELIVERY, delivery.method_key) if delivery and delivery.method_key else ()
        stores = self.hub.outgoing(Subject.WAREHOUSE, order.warehouse) if order.warehouse else ()
        managers = self.hub.outgoing(Subject.MANAGER, order.manager) if order.manager else ()
        fields: Json = {
            "externalId": OWN + order.key,
            "number": order.number,
            "createdAt": f"{order.date.astimezone(self.zone):%Y-%m-%d %H:%M:%S}",
            "status": CANCEL_STATUS if order.cancelled else self._status(order),
            "orderMethod": self.s.own_method.strip(),
            "orderType": self.s.own_type.strip(),
            "managerId": int(managers[0].theirs) if managers and managers[0].theirs.isdigit() else None,
            "shipmentStore": stores[0].theirs if stores else None,
            "shipped": order.shipped,
            **person(buyer),
            **self.comment(order),
            **self.items(order),
            "delivery": {
                "code": ways[0].theirs if ways else None,
                "cost": amount(_cost(order)),
                "address": {"text": delivery.address} if delivery and delivery.address else None,
            },
        }
        if order.cancelled:
            fields["items"] = [row | {"status": FAILURE} for row in fields["items"]]
        if buyer and buyer.kind != "person" and not self.s.corporate:
            fields["contragent"] = contragent(buyer)
        number = dict(order.requisites).get(NUMBER_THERE)
        if self.s.number_field and number:
            fields["customFields"] = {self.s.number_field: number}
        return {
            "create": _without_nothing(fields),
            "buyer": plain(buyer) if buyer else None,
            "number": order.number,
            "total": str(order.total),
        }

    def wanted(self, order: Order) -> bool:
        """Whether an order that was made here is sent."""
        since = self.s.own_from.strip()
        if not self.s.send_own or order.deleted or not any(not is_delivery(line) for line in order.lines):
            return False
        return not since or order.date.astimezone(self.zone).date() >= date.fromisoformat(since)


def _without_nothing(fields: Json) -> Json:
    made = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            value = _without_nothing(value)
        if value not in (None, "", {}, []):
            made[name] = value
    return made


def _goods(order: Order) -> Counter[tuple[Any, ...]]:
    return Counter(
        (line.offer or line.name, line.quantity.normalize(), line.total.normalize())
        for line in order.lines
        if not is_delivery(line)
    )


def _cost(order: Order) -> Decimal:
    """What delivery costs: its line, where there is one."""
    lines = [line.total for line in order.lines if is_delivery(line)]
    if lines:
        return sum(lines, Decimal(0))
    return (order.delivery.price if order.delivery else None) or Decimal(0)


def _mark(order: Order, name: str) -> str:
    value = getattr(order, name)
    if name == "lines":  # the line of delivery goes with the delivery
        value = [line for line in value if not is_delivery(line)]
    elif name == "payments":  # theirs may stand under keys of ours in the books
        value = sorted([decimal_text(p.amount), p.paid] for p in value)
    return digest(value)[:8].hex()


def untouched(known: Mapping[str, str], answer: Order) -> bool:
    """Whether nobody else has changed the order since their last word: what we did not touch is as it was."""
    return all(_mark(answer, name) == mark for name, mark in known.items())


def folded(items: Sequence[Json]) -> list[Json]:
    """Lines of one offer as one: for accounts that do not allow the same offer in several lines. The sums stay the same."""
    made: dict[str, Json] = {}
    for n, row in enumerate(items):
        own = str(row.get("offer") or f"#{n}")
        if own not in made:
            made[own] = dict(row)
            continue
        first = made[own]
        a, b = _sums(first), _sums(row)
        quantity, total = a[0] + b[0], a[1] + b[1]
        price = max(Decimal(str(first["initialPrice"])), Decimal(str(row["initialPrice"])))
        first["quantity"], first["initialPrice"] = amount(quantity), amount(price)
        first["discountManualAmount"] = amount((price * quantity - total) / quantity) if quantity else 0
    return list(made.values())


def _sums(row: Json) -> tuple[Decimal, Decimal]:
    quantity = Decimal(str(row["quantity"]))
    return quantity, quantity * (Decimal(str(row["initialPrice"])) - Decimal(str(row["discountManualAmount"])))


# --- customers -------------------------------------------------------------------------------------------------------------


def person(buyer: Counterparty | None) -> Json:
    """Name, phone and e-mail as orders and customers of the CRM have them."""
    if buyer is None:
        return {}
    named = any((buyer.first_name, buyer.last_name, buyer.middle_name))
    return {
        "firstName": buyer.first_name if named else buyer.name,
        "lastName": buyer.last_name,
        "patronymic": buyer.middle_name,
        "phone": buyer.phone,
        "email": buyer.email,
    }


def contragent(buyer: Counterparty) -> Json:
    return {
        "contragentType": CONTRAGENT.get(buyer.kind, "legal-entity"),
        "legalName": buyer.full_name or buyer.name,
        "legalAddress": buyer.legal_address.text if buyer.legal_address else None,
        "INN": buyer.inn,
        "KPP": buyer.kpp,
        "OKPO": buyer.okpo,
    }


def same_person(card: Json, buyer: Counterparty) -> bool:
    """By e-mail or phone, both exactly: never by a part of one."""
    phones = {phone(p.get("number")) for p in card.get("phones") or () if isinstance(p, dict)}
    email = str(card.get("email") or "").strip().casefold()
    return bool(
        (buyer.email and email == buyer.email.strip().casefold()) or (phone(buyer.phone) and phone(buyer.phone) in phones)
    )


# --- payments --------------------------------------------------------------------------------------------------------------

WORDS = {  # what 1C calls the document, as a requisite or as the operation of a document in CommerceML
    "поступление в кассу": CASH, "выплата наличных денег": CASH, "приходный кассовый ордер": CASH,
    "поступление на счет": BANK, "выплата безналичных денег": BANK,
    "оплата картой": CARD, "эквайринговая операция": CARD, "операция по платежной карте": CARD,
}  # fmt: skip


def payment(record: Payment, order: str, hub: Hub, names: Names, zone: tzinfo) -> Json:
    """A payment of the books for an order over there. Raises BadRecord with the module's reasons."""
    if record.refund:
        raise BadRecord(REFUND)
    fields = {
        "externalId": OWN + record.key,
        "amount": amount(cents(record.amount)),
        "type": payment_type(record, hub, names),
        "status": "paid" if record.paid else "not-paid",
        "paidAt": f"{record.date.astimezone(zone):%Y-%m-%d %H:%M:%S}" if record.paid and record.date else None,
        "order": {"id": int(order) if order.isdigit() else order},
    }
    return {name: value for name, value in fields.items() if value is not None}


def payment_type(record: Payment, hub: Hub, names: Names) -> str:
    """The type it came with, else by the table: the row of its document, of several the one with its terminal."""
    requisites = dict(record.requisites)
    if requisites.get(PAYMENT_TYPE):
        return requisites[PAYMENT_TYPE]
    table = [row for row in hub.rows(Subject.PAYMENT_KIND, "out") if row.taken and row.theirs]
    if not table:
        raise BadRecord(PAY_NO_TABLE)
    said = requisites.get(DOCUMENT, "")
    document = said if said in (CASH, BANK, CARD) else WORDS.get(said.strip().lower(), "")
    rows = [row for row in table if document and row.attributes.get("document") == document]
    rows = rows or [row for row in table if record.method_key and row.ours == record.method_key]
    if not rows and not said and len(table) == 1:
        rows = table  # 1C:UT tells that an order is paid, and by no document: there is only one way it could have been
    if not rows:
        raise BadRecord(PAY_NO_ROW, document=said or record.method or record.method_key or "—")
    terminal = requisites.get(TERMINAL, "")
    for row in rows:
        own = row.attributes.get("terminal", "")
        if own and terminal in (own, names(Subject.TERMINAL, own)):
            return row.theirs
    return next((row.theirs for row in rows if not row.attributes.get("terminal")), rows[0].theirs)
