"""What linked cards are told of goods: stock and prices (``offers-out``), attributes (``products-out``). Seed 000, F10–F17.

Stock and prices are sinks of their own, so that a price that waits for a person holds up no stock. Goods without a card there are
counted and left alone: new cards come of the price list.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from decimal import ROUND_FLOOR, Decimal
from functools import cached_property, lru_cache
from typing import Any

from obmen.core.contract import BadRecord, Change, Choice, Links, MissingLink, NeedsOwner, Outcome
from obmen.core.matching import own_id
from obmen.core.records import Good, Kind, Offer, Price, Subject, decimal_text, is_service
from obmen.core.words import gettext_noop as _
from obmen.market.api import Json, Market, Offering
from obmen.market.attributes import Line, Row, Words, converted, told
from obmen.market.streams import OFFERS_OUT, PRODUCTS_OUT

ZERO = Decimal(0)
HUNDRED = Decimal(100)
CURRENCIES = {
    "ГРН": "UAH", "₴": "UAH", "980": "UAH", "ГРИВНЯ": "UAH", "РУБ": "RUB", "643": "RUB", "840": "USD", "$": "USD", "978": "EUR", "€": "EUR",
}  # fmt: skip

UNLINKED = _(
    "{count} goods have no card at {title}: nothing is told of them. Load the cards, or let {title} fetch the price list"
)
TOO_MANY_GONE = _(
    "The stock of {gone} of {told} goods would be taken back, since they are deleted or no longer of the groups that are chosen. "
    "If that is right, raise the limit on the tab “Products”"
)
NO_ROWS = _("No attribute of goods that {title} takes is mapped: fill in the table on the tab “Products”. It takes {known}")
OTHER_CURRENCY = _(
    "The price of “{name}” is in {currency}, and {expected} is sent: correct the price kind, or the currency on the tab “Products”"
)
NO_WAREHOUSE = _("There is no warehouse “{key}” in the books: nothing is sent. Choose another one on the tab “Products”")
NO_KIND = _("There is no price kind “{key}” in the books: nothing is sent. Choose another one on the tab “Products”")
NO_PRICE = _("The price of “{name}” is {price}: it is not sent. Correct it")
JUMP = _(
    "The price of “{name}” would change from {before} to {price}, by {share} %, and more than {limit} % are not sent unasked. If it is "
    "right, try again, which confirms it; else correct the price"
)
OTHER_THERE = _(
    "The price of “{name}” is {price} {currency}, and {title} has it in {expected}: it is not sent unasked. If it is right, try again, "
    "which confirms it; else correct the currency on the tab “Products”"
)


def name_of(good: Good) -> str:
    return good.offer.name or good.product.name or good.key


def check_books(market: Market) -> None:
    """A warehouse or price kind that the books do not have would sell everything out, or tell nothing. Raises NeedsOwner."""
    s = market.s
    asked = [(Subject.WAREHOUSE, s.warehouses, NO_WAREHOUSE), (Subject.PRICE_KIND, (s.price_kind, s.old_price_kind), NO_KIND)]
    for subject, keys, text in asked:
        there = {one.key for one in market.hub.books.references(subject)} if any(keys) else set()
        for key in filter(None, keys):
            if key not in there:
                raise NeedsOwner(text, key=key)


def quantity_of(good: Good, market: Market) -> Decimal | None:
    """What may be sold there: the stock of the chosen warehouses less what is reserved and what is kept back, never below 0.
    None: not told, since it is a service or stock is not sent."""
    s = market.s
    if not s.send_stock or is_service(good.product):
        return None
    if good.product.deleted or good.offer.deleted:
        return ZERO
    left: Decimal = sum((level.quantity for level in good.offer.stock or ()), ZERO) - good.reserved - s.stock_reserve
    left = max(left, ZERO)
    return left.quantize(Decimal(1), ROUND_FLOOR) if market.whole_pieces else left


def price_of(good: Good, s: Any) -> tuple[Decimal | None, Decimal | None]:
    """(price, old price) as they are sent; None where there is none. Raises BadRecord for one that cannot be sent."""
    price = _price(good, s.price_kind, s)
    old = _price(good, s.old_price_kind, s) if price is not None else None
    if price is not None and price <= 0:
        raise BadRecord(NO_PRICE, name=name_of(good), price=decimal_text(price))
    return price, old if old is not None and price is not None and old > price else None


@lru_cache(100)
def _currency(said: str | None) -> str:
    """ISO 4217; "" where none is said."""
    name = (said or "").strip().rstrip(".").upper()
    return CURRENCIES.get(name, name)


def _price(good: Good, kind: str, s: Any) -> Decimal | None:
    """The ordinary price, not one for a greater quantity."""
    if not kind:
        return None
    for price in good.offer.prices or ():
        if price.kind == kind and price.value is not None and price.min_quantity <= 1:
            break
    else:
        return None
    said = _currency(price.currency)
    if said and said != _currency(s.currency):
        raise BadRecord(OTHER_CURRENCY, name=name_of(good), currency=price.currency, expected=s.currency)
    rounded: Decimal = s.rounded(price.value)
    return rounded


class _Told(ABC):
    """What all of them have in common: goods by the site ID of their card, told ``cards_batch`` at a time."""

    stream: str
    kind: Kind
    creates = False
    compares = False
    overlaps = True

    def __init__(self, market: Market) -> None:
        self.market, self.s, self.hub = market, market.s, market.hub
        self.batch = market.cards_batch
        self.unlinked: set[int] = set()

    def external_id(self, record: Any) -> str | None:
        """The link says it, but for marketplaces that know goods by our own id."""
        p, o = record.product, record.offer
        return own_id(self.s.offer_id, o.key, p.code or "", o.article or p.article or "") if self.market.own_ids else None

    def render(self, record_id: int, record: Any, links: Links) -> Json | None:
        """{"id", "name", "facts"} and what is told; None for goods without a card, or of which there is nothing to tell."""
        try:
            ident = self.external_id(record) if self.market.own_ids else links.external_id(Kind.OFFER, record_id)
        except MissingLink:
            ident = None
        if not ident:
            if not record.product.deleted:
                self.unlinked.add(record_id)
            return None
        said = self.said(record_id, record, links)
        if not said:
            return None
        card = links.their_copy(Kind.OFFER, record_id)
        facts = dict(card.requisites or ()) if card is not None else {}
        return {"id": ident, "name": name_of(record), "facts": facts, **said}

    @abstractmethod
    def said(self, record_id: int, good: Good, links: Links) -> Json:
        """What is told, JSON-safe; {} for nothing. Raises BadRecord."""

    def write(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        by_key = {change.key: change.payload for change in changes}
        for answer in self.market.put([_offering(change) for change in changes]):
            if answer.error is not None:
                yield Outcome(answer.key, error=answer.error)
            else:
                payload = by_key[answer.key]
                yield Outcome(answer.key, payload["id"], copy=self.copy(payload))

    def copy(self, payload: Json) -> Offer | None:
        """What is kept of what was told."""
        return None


def _offering(change: Change) -> Offering:
    said = change.payload
    amounts = {name: Decimal(said[name]) for name in ("quantity", "price", "old_price") if name in said}
    return Offering(change.key, said["id"], said["name"], said["facts"], fields=said.get("fields", {}), **amounts)


class OffersOut(_Told):
    """The stock. Goods that are deleted, or no longer of the chosen groups, go with 0."""

    stream = OFFERS_OUT
    kind = Kind.STOCK

    @cached_property
    def choice(self) -> Choice:
        check_books(self.market)
        return self.s.choice(warehouses=self.s.houses if self.s.send_stock else (), cards=False, reserved=True)  # type: ignore[no-any-return]

    def begin(self, told: int, gone: int) -> None:
        if gone * 100 > self.s.may_vanish * max(told, 1) and self.s.send_stock:
            raise NeedsOwner(TOO_MANY_GONE, gone=gone, told=told)

    def said(self, record_id: int, good: Good, links: Links) -> Json:
        if not good.stock_known and not self._was_told(record_id, links):
            return {}  # nobody has said that there is none
        quantity = quantity_of(good, self.market)
        return {} if quantity is None else {"quantity": decimal_text(quantity)}

    def _was_told(self, record_id: int, links: Links) -> bool:
        """Then the stock that the books held is gone, and 0 is what is left."""
        try:
            return bool(links.external_id(self.kind, record_id))
        except MissingLink:
            return False

    def finish(self) -> None:
        if self.unlinked:
            self.hub.report("info", UNLINKED, count=len(self.unlinked), title=self.market.title)


class PricesOut(_Told):
    """Prices of the chosen kind. One that jumps waits for a person."""

    stream = OFFERS_OUT
    kind = Kind.PRICES

    @cached_property
    def choice(self) -> Choice:
        check_books(self.market)
        kinds = tuple(filter(None, (self.s.price_kind, self.s.old_price_kind)))
        return self.s.choice(price_kinds=kinds, cards=False)  # type: ignore[no-any-return]

    def said(self, record_id: int, good: Good, links: Links) -> Json:
        price, old = price_of(good, self.s)
        if price is None:
            return {}
        before = links.their_copy(Kind.PRICES, record_id)
        told_before = {p.kind: p for p in before.prices or ()} if before is not None else {}
        self._guard(record_id, good, price, told_before.get("price"), links)
        said = {"price": decimal_text(price)}
        if old is not None or "old" in told_before:
            said["old_price"] = decimal_text(old or ZERO)
        return said

    def _guard(self, record_id: int, good: Good, price: Decimal, last: Price | None, links: Links) -> None:
        """Against what was told last, else against what their card says. Numbers of two currencies say nothing about each other."""
        if last is None:
            card = links.their_copy(Kind.OFFER, record_id)
            last = next(iter(card.prices or ()), None) if card is not None else None
        before = last.value if last is not None else None
        if not self.s.price_jump or last is None or not before:
            return
        ours, theirs = _currency(self.s.currency), _currency(last.currency)
        if theirs and theirs != ours:
            confirm = f"{decimal_text(price)} {ours}"
            if links.confirmed(self.kind, record_id) != confirm:
                raise BadRecord(
                    OTHER_THERE,
                    name=name_of(good),
                    price=decimal_text(price),
                    currency=ours,
                    title=self.market.title,
                    expected=theirs,
                    confirm=confirm,
                )
            return
        if before == price:
            return
        share = abs(price - before) * HUNDRED / before
        if share > self.s.price_jump and links.confirmed(self.kind, record_id) != decimal_text(price):
            raise BadRecord(
                JUMP,
                name=name_of(good),
                before=decimal_text(before),
                price=decimal_text(price),
                share=f"{share:.0f}",
                limit=self.s.price_jump,
                confirm=decimal_text(price),
            )

    def copy(self, payload: Json) -> Offer | None:
        prices = [Price("price", Decimal(payload["price"]), self.s.currency)]
        if "old_price" in payload:
            prices.append(Price("old", Decimal(payload["old_price"]), self.s.currency))
        return Offer(payload["id"], payload["id"], prices=tuple(prices))


class ProductsOut(_Told):
    """Names, descriptions and other attributes of linked cards, by the table of attributes."""

    stream = PRODUCTS_OUT
    kind = Kind.VARIANT  # a card there is one of a product × characteristic

    def __init__(self, market: Market) -> None:
        super().__init__(market)
        self.compares = not self.s.only_changed  # then nothing that was sent before keeps it from being sent again

    @cached_property
    def rows(self) -> Sequence[Row]:
        """Those of the table that the marketplace takes by calls. Raises NeedsOwner."""
        taken = dict(self.market.attributes)
        rows = [row for row in self.s.rows if row.theirs in taken]
        if not rows:
            raise NeedsOwner(NO_ROWS, title=self.market.title, known=", ".join(taken) or "–")
        return rows

    @cached_property
    def choice(self) -> Choice:
        assert self.rows
        return self.s.choice()  # type: ignore[no-any-return]

    @cached_property
    def words(self) -> Words:
        return words_of(self.market)

    def said(self, record_id: int, good: Good, links: Links) -> Json:
        fields = told(self.rows, good, self.words)
        return {"fields": fields} if fields else {}


def words_of(market: Market) -> Words:
    books = market.hub.books
    return Words(books.properties(), {group.key: group.name for group in books.groups()})


# --- the page that shows one product -----------------------------------------------------------------------------------------

FROM_STOCK = _("the stock less {reserved} reserved and {kept} kept back")
FROM_PRICE = _("the price kind “{name}”")
NOT_SENT = _("not sent by the settings")
NO_STOCK = _("a service has no stock")
NO_PRICE_YET = _("the price kind “{name}” says nothing, or no more than the price")


def preview_choice(s: Any) -> Choice:
    """What ``preview`` wants to know of goods."""
    kinds = tuple(filter(None, (s.price_kind, s.old_price_kind)))
    return Choice(price_kinds=kinds, warehouses=s.houses, reserved=True)


def preview(market: Market, good: Good, words: Words | None = None) -> list[Line]:
    """What the marketplace is told of one good, line by line with where each value comes from: stock, prices, then every row of the
    table. Where a value cannot be sent its line says why. ``words``: those of ``words_of``, for many goods."""
    s = market.s
    quantity = quantity_of(good, market)
    why = NOT_SENT if not s.send_stock else FROM_STOCK if quantity is not None else NO_STOCK
    facts = {"reserved": decimal_text(good.reserved), "kept": str(s.stock_reserve)}
    lines = [Line("quantity", "" if quantity is None else decimal_text(quantity), why, facts)]
    try:
        prices = price_of(good, s)
    except BadRecord as error:
        lines.append(Line("price", "", error.text, {name: str(value) for name, value in error.facts.items()}))
    else:
        for name, kind, price in zip(("price", "old_price"), (s.price_kind, s.old_price_kind), prices, strict=True):
            if price is not None:
                lines.append(Line(name, decimal_text(price), FROM_PRICE, {"name": kind}))
            else:
                lines.append(Line(name, "", NO_PRICE_YET if kind else NOT_SENT, {"name": kind}))
    return [*lines, *converted(s.rows, good, words or words_of(market))]
