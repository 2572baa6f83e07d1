"""What orders and buyers of a marketplace become in the books: drafts with our values in the place of theirs.

Pure but for what the hub knows: mappings, links, names, goods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, tzinfo
from decimal import Decimal
from typing import Any

import msgspec

from obmen.core.contract import BadRecord, Found, Mapped, MissingLink, Receiving
from obmen.core.matching import normalise
from obmen.core.names import Names
from obmen.core.orders import is_delivery
from obmen.core.records import Address, Counterparty, Delivery, Kind, Order, OrderLine, Payment, Subject, digest, plain
from obmen.core.settings import describe
from obmen.core.words import gettext_noop as _
from obmen.market.api import Draft, Json, Market
from obmen.market.orders_settings import FIELDS, LINE, SAID, OrdersSettings

# Requisites, in the language of 1C's own documents: 1C keeps each in the attribute of that name, and looks things up by name.
NUMBER_ON_SITE, DATE_ON_SITE, DELIVERY_ON_SITE = "Номер заказа на сайте", "Дата заказа на сайте", "ИД доставки на сайте"
KIND, OPERATION, ORGANISATION, AGREEMENT, WAREHOUSE = "Вид заказа", "Операция", "Организация", "Соглашение", "Склад"
GOODS_ON_SITE, FOUND_BY = "ИД товара на сайте", "Найдено по"  # of a line
GROUP = "Группа"  # of a counterparty
DELIVERY = "Доставка"
TABLES = (Subject.ORDER_STATE, Subject.DELIVERY, Subject.PAYMENT_KIND)
RULES = ("article", "code", "barcode")  # attributes by which a line of an order can be found

ODD = (ArithmeticError, ValueError, TypeError, AttributeError, LookupError)  # what values that nobody expects raise

NOT_AN_ORDER = _("This is no order of {title}")
UNREADABLE = _(
    "Order {number} cannot be read: {reason}. Look at it at {title}; if nothing is wrong with it there, report it with the order"
)
TOO_OLD = _("Orders made before {date} are not loaded")
NO_GOODS = _(
    "Order {number}: no card is linked to “{name}” ({id}), and none has its code or article. Load the products or correct the card; then the "
    "order is tried again"
)
NO_GOODS_LINE = _("Order {number}: “{name}” ({id}) is not in the books; the line is kept with its name")
MANY_GOODS = _(
    "Order {number}: {count} cards have the {why} of “{name}”: {cards}. Correct the cards or link one of them, then try again"
)
MATCHED = _("Order {number}: “{name}” is “{card}”, found by {why}")
SUMS_DIFFER = _("Order {number}: its lines and delivery make {found}, {title} says {total}")
NO_BUYER = _("Order {number} does not say who the buyer is")


def fingerprint(market: Market) -> bytes:
    """Over the settings and mappings that decide what a received order becomes: with others it is looked at again."""
    about = describe(type(market.s))
    values = {name: str(getattr(market.s, name)) for name in about if about[name].reparse}
    tables = [[str(t), [[r.theirs, r.ours, dict(r.attributes), r.taken] for r in market.hub.rows(t, "in")]] for t in TABLES]
    return digest([values, tables])


def receiving(market: Market) -> Receiving:
    """Requisites of a card are written when it is made: its group is a person's afterwards."""
    s: OrdersSettings = market.s
    fields = dict.fromkeys((*FIELDS, "kpp", "legal_address", "contacts", "kind"), s.buyers_policy) | {"requisites": "if_new"}
    return Receiving(
        fields={f"counterparty.{name}": policy for name, policy in fields.items()},
        conflict=s.conflicts,
        shared_buyers=True,
        new_buyers=s.create_buyers,
        fingerprint=fingerprint(market),
    )


def raw_of(payload: Any) -> Json | None:
    """An order's JSON from an item: as it came, or as it was parked. None when it is neither."""
    if isinstance(payload, bytes | str):
        try:
            payload = msgspec.json.decode(payload)
        except msgspec.DecodeError:
            return None
    return payload if isinstance(payload, dict) else None


@dataclass(frozen=True, slots=True)
class Goods:
    """What the books know of the goods of a page."""

    linked: Mapping[str, Found] = field(default_factory=dict)  # site ID → card
    dead: frozenset[str] = frozenset()  # site IDs whose card is marked for deletion or gone
    found: Mapping[tuple[str, str], Sequence[Found]] = field(default_factory=dict)  # (attribute, value) → cards


class Drafts:
    """Turns a marketplace's JSON into records of the books; one for a source or sink, for it remembers names."""

    def __init__(self, market: Market) -> None:
        self.market, self.hub = market, market.hub
        self.s: OrdersSettings = market.s
        self.names = Names(market.hub)
        self.properties = list(self.s.properties_of_buyers())

    def draft(self, raw: Json | None) -> Draft | BadRecord:
        if raw is None:
            return BadRecord(NOT_AN_ORDER, title=self.market.title)
        try:
            with self._reading(raw):
                draft = self.market.draft(raw)
                _check(draft.order, self.hub.zone)
                return draft
        except BadRecord as error:
            return error

    @contextmanager
    def _reading(self, raw: Json) -> Iterator[None]:
        """Whatever the values of one order raise concerns this order alone: BadRecord."""
        try:
            yield
        except ODD as error:
            number = _at(raw, "number") or _at(raw, "id") or "–"
            reason = f"{type(error).__name__} {error}".strip()
            raise BadRecord(UNREADABLE, number=number, reason=reason, title=self.market.title) from error

    # --- buyers ---

    def buyer(self, raw: Json) -> Counterparty | None:
        """The card that the buyer gets; None when the order does not say who it is. Raises BadRecord."""
        with self._reading(raw):
            return self._buyer(raw)

    def _buyer(self, raw: Json) -> Counterparty | None:
        said = self.market.buyer(raw)
        if said is None:
            return None
        key = said.key or next(
            (f"{name}:{value}" for name in ("phone", "email") if (value := normalise(name, getattr(said, name)))), ""
        )
        listed = {ours for ours, _theirs in self.properties}
        values: dict[str, Any] = {name: None if name == "address" else "" for name in SAID if name not in listed}
        requisites = list(said.requisites)
        for ours, theirs in self.properties:
            value = getattr(said, theirs) if theirs in SAID else _at(raw, theirs)
            if ours == "address":
                values[ours] = value if isinstance(value, Address | None) else Address(value)
            elif ours in FIELDS:
                values[ours] = value.text if isinstance(value, Address) else value or ""
            elif value:
                requisites.append((ours, value.text if isinstance(value, Address) else value))
        if self.s.create_buyers and self.s.buyers_group.strip():
            requisites.append((GROUP, self.s.buyers_group.strip()))
        return replace(said, key=key, requisites=tuple(requisites), **values)

    # --- goods ---

    def look_up(self, drafts: Sequence[Draft], rules: Receiving | None = None) -> Goods:
        """A few questions for a page: by link, by the seller's code, by the match rules."""
        lines = [(draft, line) for draft in drafts for line in draft.order.lines if not is_delivery(line)]
        sites = list(dict.fromkeys(line.offer for _draft, line in lines if line.offer))
        keys = self.hub.linked_keys(Kind.OFFER, sites) if sites else {}
        books = self.hub.books
        alive = books.offers_by("key", list(keys.values())) if keys else {}
        linked = {site: alive[key][0] for site, key in keys.items() if key in alive}
        asked: dict[str, dict[str, None]] = {}
        for draft, line in lines:
            if line.offer not in linked:
                for attribute, value in self._wanted(draft, line, rules):
                    asked.setdefault(attribute, {})[value] = None
        found = {
            (attribute, value): offers
            for attribute, values in asked.items()
            for value, offers in books.offers_by(attribute, list(values)).items()
        }
        return Goods(linked, frozenset(keys.keys() - linked.keys()), found)

    def _wanted(self, draft: Draft, line: OrderLine, rules: Receiving | None) -> list[tuple[str, str]]:
        """(attribute, value) by which the goods of a line are looked for, by priority. The seller's code is the key of our card where
        our price list brought it there, else the code of the card in the accounting system."""
        code = draft.codes.get(line.offer, "")
        asked = [("key", code), ("code", code)]
        match = rules.match if rules else {}
        for attribute in (*match.get(Kind.PRODUCT, ()), *match.get(Kind.OFFER, ())):
            if attribute in RULES:
                about = dict(line.requisites)
                asked.append((attribute, {"article": line.article, "code": code}.get(attribute) or about.get(attribute, "")))
        return [pair for pair in dict.fromkeys(asked) if pair[1]]

    # --- orders ---

    def row(self, draft: Draft) -> Mapped | None:
        return self.hub.incoming(Subject.ORDER_STATE, draft.order.state)

    def is_cancelled(self, draft: Draft) -> bool:
        row = self.row(draft)
        return draft.order.cancelled or (row is not None and row.attributes.get("cancel") == "yes")

    def too_old(self, draft: Draft) -> bool:
        since = self.s.orders_from.strip()
        return bool(since) and draft.order.date.astimezone(self.hub.zone).date() < date.fromisoformat(since)

    def order(
        self,
        raw: Json,
        draft: Draft,
        goods: Goods,
        *,
        rules: Receiving | None = None,
        park: bool = True,
        before: Order | None = None,
    ) -> Order:
        """The order in our words. Raises BadRecord for goods that are not found, if ``park``, or found twice, and for
        values of which no order can be made.

        ``before``: their last word, of which the goods of the lines are kept: this one is the answer to our own writing, so that
        nothing is told about it.
        """
        with self._reading(raw):
            return self._order(raw, draft, goods, rules, park, before)

    def _order(self, raw: Json, draft: Draft, goods: Goods, rules: Receiving | None, park: bool, before: Order | None) -> Order:
        said, s = draft.order, self.s
        number = f"{s.number_prefix.strip()}{said.number or said.key}"
        tell = self.hub.report if before is None else _quiet
        row = self.row(draft)
        cancelled = self.is_cancelled(draft)
        lines = [self._line(number, draft, line, goods, rules, park, before, tell) for line in said.lines]
        delivery, way = self._delivery(draft, before is None)
        lines += self._delivery_line(said, lines)
        found = sum((line.total for line in lines), Decimal(0)) - said.discount
        if found != said.total and not cancelled:
            tell("warning", SUMS_DIFFER, number=number, found=str(found), total=str(said.total), title=self.market.title)
        buyer = self.buyer(raw)
        if buyer is None:
            tell("warning", NO_BUYER, number=number)
        reason = said.cancel_reason or self.names(Subject.CANCEL_REASON, s.cancel_reason)
        currency = s.order_currency or said.currency
        return replace(
            said,
            number=number,
            state=row.ours if row else "",
            currency=currency,
            counterparty=buyer,
            lines=tuple(lines),
            delivery=delivery,
            payments=tuple(self._payments(said, draft, currency, before is None)) if s.create_payments else (),
            comment="\n".join(filter(None, (s.comment.strip(), said.comment))),
            site=said.site or self.market.title,
            manager=s.manager or said.manager,
            organisation=s.organisation,
            warehouse=s.warehouse or said.warehouse,
            cancelled=cancelled,
            cancel_reason=reason if cancelled else "",
            requisites=self._requisites(said, way),
        )

    def _line(
        self,
        number: str,
        draft: Draft,
        line: OrderLine,
        goods: Goods,
        rules: Receiving | None,
        park: bool,
        before: Order | None,
        tell: Callable[..., None],
    ) -> OrderLine:
        if is_delivery(line):
            return replace(line, offer=self.s.delivery_product)
        if before is not None and (known := _same_line(before, line)):
            return replace(line, offer=known.offer, article=known.article, requisites=known.requisites)
        card, why = self._card(number, draft, line, goods, rules)
        about = [(GOODS_ON_SITE, line.offer), *line.requisites]
        if card is None:
            code = line.offer or line.article or "–"
            if park and self.s.unknown_goods != LINE:
                raise self._lacking(number, line, goods, code)
            tell("warning", NO_GOODS_LINE, number=number, name=line.name, id=code)
        elif why:
            tell("info", MATCHED, number=number, name=line.name, card=card.name, why=why)
            about.append((FOUND_BY, why))
        return replace(
            line,
            offer=card.offer if card else "",
            article=line.article or (card.article if card else ""),
            requisites=tuple((name, value) for name, value in about if value),
        )

    def _card(
        self, number: str, draft: Draft, line: OrderLine, goods: Goods, rules: Receiving | None
    ) -> tuple[Found | None, str]:
        """The card, and by what it was found: "" for its link. Raises BadRecord when several fit."""
        if line.offer in goods.linked:
            return goods.linked[line.offer], ""
        for attribute, value in self._wanted(draft, line, rules):
            found = goods.found.get((attribute, value), ())
            why = f"{attribute} = {value}"
            if len(found) > 1:
                cards = ", ".join(f"{one.name} ({one.offer})" for one in found)
                raise BadRecord(MANY_GOODS, number=number, name=line.name, why=why, count=len(found), cards=cards,
                                candidates=[one.record_id for one in found], site_id=line.offer)  # fmt: skip
            if found:
                return found[0], why
        return None, ""

    def _lacking(self, number: str, line: OrderLine, goods: Goods, said: str) -> BadRecord:
        """An order that waits for a link is tried again by itself once there is one."""
        if line.offer and line.offer not in goods.dead:
            return MissingLink(NO_GOODS, kind=str(Kind.OFFER), id=line.offer, number=number, name=line.name)
        return BadRecord(NO_GOODS, id=said, number=number, name=line.name)

    def _delivery_line(self, said: Order, lines: Sequence[OrderLine]) -> Iterator[OrderLine]:
        """Where the marketplace counts the delivery into the sum without a line for it."""
        price = said.delivery.price if said.delivery else None
        goods = sum((line.total for line in lines), Decimal(0)) - said.discount
        if price and goods + price == said.total and not any(is_delivery(line) for line in lines):
            yield OrderLine(self.s.delivery_product, DELIVERY, Decimal(1), price, price, kind="delivery")

    def _delivery(self, draft: Draft, count: bool) -> tuple[Delivery | None, str]:
        """Their way of delivery in our words, and their id of it."""
        said, s = draft.order.delivery, self.s
        if said is None:
            return None, ""
        ours = self._mapped(Subject.DELIVERY, said.method_key, said.method, draft, count) or s.default_delivery
        return replace(said, method=self.names(Subject.DELIVERY, ours) or said.method, method_key=ours), said.method_key

    def _mapped(self, subject: Subject, theirs: str, name: str, draft: Draft, count: bool) -> str:
        row = self.hub.incoming(subject, theirs) if theirs else None
        if theirs and row is None and count:
            self.hub.unmapped(subject, theirs, draft.names.get((subject, theirs), name))
        return row.ours if row is not None and row.taken else ""

    def _payments(self, said: Order, draft: Draft, currency: str, count: bool) -> Iterator[Payment]:
        for payment in said.payments:
            row = self.hub.incoming(Subject.PAYMENT_KIND, payment.method_key) if payment.method_key else None
            if row is not None and not row.taken:
                continue
            ours = self._mapped(Subject.PAYMENT_KIND, payment.method_key, payment.method, draft, count)
            yield replace(
                payment,
                method=self.names(Subject.PAYMENT_KIND, ours) or payment.method or payment.method_key,
                method_key=ours or payment.method_key,
                currency=currency,
                order=said.key,
            )

    def _requisites(self, said: Order, way: str) -> tuple[tuple[str, str], ...]:
        s = self.s
        pairs = (
            (NUMBER_ON_SITE, said.number or said.key),
            (DATE_ON_SITE, f"{said.date.astimezone(self.hub.zone):%Y-%m-%dT%H:%M:%S}"),
            (DELIVERY_ON_SITE, way),
            (KIND, self.names(Subject.ORDER_KIND, s.order_kind)),
            (OPERATION, self.names(Subject.ORDER_OPERATION, s.operation)),
            (ORGANISATION, self.names(Subject.ORGANISATION, s.organisation)),
            (AGREEMENT, self.names(Subject.AGREEMENT, s.agreement)),
            (WAREHOUSE, self.names(Subject.WAREHOUSE, s.warehouse)),
        )
        return (*((name, value) for name, value in pairs if value), *said.requisites)


def _check(order: Order, zone: tzinfo) -> None:
    """Raises one of ODD for what no database and no calendar can hold, and what can be neither added nor compared."""
    order.date.astimezone(zone)
    amounts = [("total", order.total), ("discount", order.discount)]
    for line in order.lines:
        amounts += [("quantity", line.quantity), ("price", line.price), ("total", line.total), ("discount", line.discount)]
    amounts += [("payment", payment.amount) for payment in order.payments]
    if order.delivery and order.delivery.price is not None:
        amounts.append(("delivery", order.delivery.price))
    for name, amount in amounts:
        if not amount.is_finite():
            raise ValueError(f"{name} = {amount}")


def _quiet(*_said: object, **_facts: object) -> None: ...


def _same_line(order: Order, line: OrderLine) -> OrderLine | None:
    """The line of their last word: by their id of it, else by the goods."""

    def is_it(known: OrderLine) -> bool:
        if line.key:
            return known.key == line.key
        return (dict(known.requisites).get(GOODS_ON_SITE, ""), known.name) == (line.offer, line.name)

    return next(filter(is_it, order.lines), None)


def _at(raw: Any, path: str) -> str:
    """The text at a path of their order: "client.id", "phones.0"; "" where there is none."""
    for part in path.split("."):
        if isinstance(raw, Mapping):
            raw = raw.get(part)
        elif isinstance(raw, list) and part.isdigit() and int(part) < len(raw):
            raw = raw[int(part)]
        else:
            return ""
    return "" if raw is None or isinstance(raw, dict | list) else str(plain(raw))
