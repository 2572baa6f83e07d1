"""What news of an order do to the order. Pure: no clock, no database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
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
    order: Order,
    news: OrderNews,
    parts: Collection[str] = PARTS,
    state_of: Callable[[str, str], str | None] | None = None,
    marks: Mapping[str, str] | None = None,
) -> Folded:
    """Fold the news into the order, only those ``parts`` of it that the settings take.

    ``state_of(id, name)`` gives our state for theirs, or None when it is not mapped. ``marks`` names the state that the order
    gets when it becomes posted, paid, shipped or cancelled over there and no state is said (1C:UT says none). The same news
    twice change nothing.
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
    if marks and not (news.state or news.state_name):
        after = _state_of_marks(order, after, news, marks)
    changes = tuple(
        (name, getattr(order, name), getattr(after, name))
        for name in Order.__dataclass_fields__
        if getattr(order, name) != getattr(after, name)
    )
    return Folded(after, changes, unmapped)


def _state_of_marks(before: Order, after: Order, news: OrderNews, marks: Mapping[str, str]) -> Order:
    """The farthest mark that is new. One that was there before says nothing: the state may have been changed since."""
    new = (
        ("cancelled", after.cancelled and not before.cancelled),
        ("shipped", bool(after.shipped) and not before.shipped),
        ("paid", bool(after.paid) and not before.paid),
        ("posted", bool(news.posted) and NUMBER_THERE not in dict(before.requisites)),
    )
    state = next((marks[name] for name, is_new in new if is_new and marks.get(name)), "")
    return replace(after, state=state) if state else after


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


# --- orders of those who tell all of them ----------------------------------------------------------------------------------

OURS = ("key", "known_as", "extra")  # never taken from a later word of theirs


@dataclass(frozen=True, slots=True)
class Merged:
    """``order`` after their word. ``conflicts`` are (field, ours, theirs) that both sides had changed since they last told us."""

    order: Order
    conflicts: tuple[tuple[str, Any, Any], ...] = ()


def merge(ours: Order, before: Order | None, theirs: Order, *, keep_ours: bool = False) -> Merged:
    """Take what they changed since ``before``, the last word of theirs that we have; leave what only we changed.

    Their whole order comes with every change, so that a field which only we have changed still stands there with its old value:
    comparing with ``before`` tells news from silence. Where both changed a field theirs counts, unless ``keep_ours``. Without
    ``before`` everything of theirs is news. Payments and delivery are merged part by part, requisites name by name.
    """
    if before is None:
        return Merged(replace(theirs, key=ours.key, known_as="", extra=theirs.extra or ours.extra))
    taken: dict[str, Any] = {}
    conflicts = []
    for name in Order.__dataclass_fields__:
        own, old, new = getattr(ours, name), getattr(before, name), getattr(theirs, name)
        if name in OURS or new == old or own == new:
            continue
        if name == "payments":
            taken[name] = _merge_payments(own, old, new)
        elif name == "requisites":
            taken[name] = _merge_pairs(own, old, new)
        elif name == "delivery" and own and old and new:
            taken[name] = _merge_fields(own, old, new)
        elif name == "lines" and Counter(map(_amounts, own)) == Counter(map(_amounts, new)):
            taken[name] = new
        else:
            if own != old:
                conflicts.append((name, own, new))
                if keep_ours:
                    continue
            taken[name] = new
    return Merged(replace(ours, **taken), tuple(conflicts))


def _merge_payments(own: Sequence[Payment], old: Sequence[Payment], new: Sequence[Payment]) -> tuple[Payment, ...]:
    """By key: what they added comes, what they took away goes, what they changed changes; payments of ours alone stay."""
    before, after = {p.key: p for p in old}, {p.key: p for p in new}
    kept = [p for p in own if p.key in after or p.key not in before]
    merged = [_merge_fields(p, before.get(p.key, p), after[p.key]) if p.key in after else p for p in kept]
    known = {p.key for p in own}
    return (*merged, *(p for p in new if p.key not in known and p.key not in before))


def _merge_pairs(
    own: Sequence[tuple[str, str]], old: Sequence[tuple[str, str]], new: Sequence[tuple[str, str]]
) -> tuple[tuple[str, str], ...]:
    """Names that they still say keep their place, names that they no longer say go; names of ours alone stay."""
    before, after = dict(old), dict(new)
    kept = [
        (name, after[name] if name in after and after[name] != before.get(name) else value)
        for name, value in own
        if name in after or name not in before
    ]
    known = {name for name, _value in own}
    return (*kept, *((name, value) for name, value in new if name not in known and name not in before))


def _merge_fields(own: Any, old: Any, new: Any) -> Any:
    changed = {n: getattr(new, n) for n in new.__dataclass_fields__ if getattr(new, n) != getattr(old, n)}
    return replace(own, **changed)
