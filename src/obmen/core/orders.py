"""What news of an order do to the order. Pure: no clock, no database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from obmen.core.records import Delivery, Order, OrderLine, OrderNews, Payment, Shipment

PARTS = ("state", "cancel", "payment", "shipment", "lines")
DELIVERY = "ORDER_DELIVERY"  # Ид of the delivery line (Bitrix, CS-Cart, 1C:UNF)
NUMBER_THERE, DATE_THERE = "Номер по 1С", "Дата по 1С"


@dataclass(frozen=True, slots=True)
class Folded:
    """The order after the news. ``changes`` are (field, old, new); empty when the news said nothing new.

    ``unmapped`` holds their state (id or name) when no mapping says what it is here: the rest of the news is taken all the same.
    """

    order: Order
    changes: tuple[tuple[str, Any, Any], ...]
    unmapped: str = ""


def apply_news(
    order: Order, news: OrderNews, parts: Collection[str] = PARTS, state_of: Callable[[str, str], str | None] | None = None
) -> Folded:
    """Fold the news into the order, only those ``parts`` of it that the settings take.

    ``state_of(id, name)`` gives our state for theirs, or None when it is not mapped. The same news twice change nothing.
    """
    after, unmapped = order, ""
    if "state" in parts and (news.state or news.state_name):
        ours = state_of(news.state, news.state_name) if state_of else None
        if ours is None:
            unmapped = news.state or news.state_name
        else:
            after = replace(after, state=ours)
    if "cancel" in parts:
        after = _cancel(after, news)
    if "lines" in parts and news.lines is not None:
        after = _lines(after, news, news.lines)
    if "payment" in parts:
        after = _payments(after, news)
    if "shipment" in parts:
        after = _shipments(after, news)
    after = _numbers(after, news)
    changes = tuple(
        (name, getattr(order, name), getattr(after, name))
        for name in Order.__dataclass_fields__
        if getattr(order, name) != getattr(after, name)
    )
    return Folded(after, changes, unmapped)


def _cancel(order: Order, news: OrderNews) -> Order:
    """A mark of deletion cancels too; only a cancellation that is said to be off (not one left out) brings the order back."""
    if news.cancelled or news.deleted:
        return replace(order, cancelled=True, cancel_reason=news.cancel_reason or order.cancel_reason)
    if news.cancelled is False and order.cancelled:
        return replace(order, cancelled=False, cancel_reason="")
    return order


# --- lines -----------------------------------------------------------------------------------------------------------------


def _lines(order: Order, news: OrderNews, said: Sequence[OrderLine]) -> Order:
    """Their goods table is the order's now. What only we know of a line (options, requisites) stays with its line."""
    goods = [line for line in said if not is_delivery(line)]
    delivery = [line for line in said if is_delivery(line)]
    ours = [line for line in order.lines if not is_delivery(line)]
    own_delivery = [line for line in order.lines if is_delivery(line)]
    changed = Counter(map(_amounts, ours)) != Counter(_amounts(_known(line, ours)) for line in goods)
    after = order
    if changed:
        after = replace(after, lines=(*own_delivery, *(_known(line, ours) for line in goods)))
    if delivery:
        price = sum((line.total for line in delivery), Decimal(0))
        if own_delivery and price != sum((line.total for line in own_delivery), Decimal(0)):
            first = replace(own_delivery[0], price=price, quantity=Decimal(1), total=price)
            after = replace(after, lines=(first, *(line for line in after.lines if not is_delivery(line))))
        if (after.delivery.price if after.delivery else None) != price and not own_delivery:
            after = replace(after, delivery=replace(after.delivery or Delivery(), price=price))
    if after != order and news.total is not None:
        after = replace(after, total=news.total)
    return after


def is_delivery(line: OrderLine) -> bool:
    return line.kind == "delivery" or line.offer == DELIVERY


def _amounts(line: OrderLine) -> tuple[str, Decimal, Decimal]:
    return (line.offer or line.article or line.name, line.quantity.normalize(), line.total.normalize())


def _known(line: OrderLine, ours: Sequence[OrderLine]) -> OrderLine:
    """Their line in our words: matched by id, by the id before #, by article, by name; a stranger stays as it came."""
    for same in (_same_offer, _same_article, _same_name):
        found = next((own for own in ours if same(own, line) and own.quantity == line.quantity), None) or next(
            (own for own in ours if same(own, line)), None
        )
        if found:
            price = line.price if line.price else found.price
            if (found.quantity, found.total) == (line.quantity, line.total):
                return found
            return replace(
                found,
                quantity=line.quantity,
                price=price,
                total=line.total,
                discount=line.discount,
                vat_rate=line.vat_rate or found.vat_rate,
                vat_amount=line.vat_amount if line.vat_amount is not None else found.vat_amount,
            )
    return line


def _same_offer(own: OrderLine, line: OrderLine) -> bool:
    if not own.offer or not line.offer:
        return False
    if own.offer == line.offer:
        return True
    # An id that got a characteristic on the way out or over there; two different characteristics stay different.
    return own.offer == line.offer.partition("#")[0] or own.offer.partition("#")[0] == line.offer


def _same_article(own: OrderLine, line: OrderLine) -> bool:
    strangers = "#" in own.offer and "#" in line.offer  # variants of one product share its article
    return bool(own.article) and own.article == line.article and not strangers


def _same_name(own: OrderLine, line: OrderLine) -> bool:
    return not line.article and not line.offer and own.name == line.name


# --- payments and shipments ------------------------------------------------------------------------------------------------


def _payments(order: Order, news: OrderNews) -> Order:
    payments = list(order.payments)
    for said in news.payments:
        _put(payments, said, ("amount", "number", "date", "paid", "refund", "method", "currency"))
    paid = news.paid
    if paid is None and any(p.paid and not p.refund for p in news.payments):
        done = sum((p.amount for p in payments if p.paid and not p.refund), Decimal(0))
        paid = True if done >= order.total else None
    if news.paid and not news.payments:
        number, date = news.payment_number, news.payment_date
        at = next((i for i, p in enumerate(payments) if not p.refund and (not p.paid or p.number == number)), None)
        if at is not None:
            own = payments[at]
            payments[at] = replace(own, paid=True, number=number or own.number, date=date or own.date)
        elif not any(p.paid and not p.refund for p in payments):
            payments.append(
                Payment(
                    number or f"{order.key}/paid",
                    order.total,
                    number=number,
                    date=date,
                    paid=True,
                    currency=order.currency,
                    order=order.key,
                )
            )
    return replace(order, payments=tuple(payments), paid=order.paid if paid is None else paid)


def _shipments(order: Order, news: OrderNews) -> Order:
    shipments = list(order.shipments)
    for said in news.shipments:
        _put(shipments, said, ("number", "date", "shipped", "tracking", "method", "amount"))
    shipped = news.shipped
    if shipped is None and any(s.shipped for s in news.shipments) and all(s.shipped for s in shipments):
        shipped = True
    number = news.shipment_number
    if news.shipped and number and not news.shipments:
        at = next((i for i, s in enumerate(shipments) if s.number == number or not s.shipped), None)
        if at is not None:
            own = shipments[at]
            shipments[at] = replace(own, shipped=True, number=number, date=news.shipment_date or own.date)
        else:
            shipments.append(
                Shipment(number, number=number, date=news.shipment_date, shipped=True, tracking=news.tracking, order=order.key)
            )
    after = replace(order, shipments=tuple(shipments), shipped=order.shipped if shipped is None else shipped)
    if news.tracking and news.tracking != (after.delivery.tracking if after.delivery else ""):
        after = replace(after, delivery=replace(after.delivery or Delivery(), tracking=news.tracking))
    return after


def _put(parts: list[Any], said: Any, names: Sequence[str]) -> None:
    """Found by id, else by number; a value that is not said (None or "") keeps ours."""
    at = next(
        (i for i, p in enumerate(parts) if (said.key and p.key == said.key) or (said.number and p.number == said.number)), None
    )
    if at is None:
        parts.append(said)
        return
    values = {name: getattr(said, name) for name in names if getattr(said, name) not in (None, "")}
    parts[at] = replace(parts[at], **values)


def _numbers(order: Order, news: OrderNews) -> Order:
    said = {}
    if news.number_there:
        said[NUMBER_THERE] = news.number_there
    if news.date_there:
        said[DATE_THERE] = news.date_there.isoformat()
    if not said or all(dict(order.requisites).get(name) == value for name, value in said.items()):
        return order
    kept = tuple(pair for pair in order.requisites if pair[0] not in said)
    return replace(order, requisites=(*kept, *said.items()))
