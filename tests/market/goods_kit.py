"""A marketplace of goods in memory, a connection of a hub to it, and goods in the books: through the real engine, store and queue."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from django.utils import timezone

from obmen import registry
from obmen.core import contract
from obmen.core.contract import BadRecord, Bookmark, TryLater
from obmen.core.records import Counterparty, Order
from obmen.market.api import Card, CardsPage, Draft, Json, Market, Offering, OrdersPage, StatusChange, Told
from obmen.market.cards import CardsIn
from obmen.market.feed import PriceList
from obmen.market.goods import OffersOut, PricesOut, ProductsOut
from obmen.market.goods_settings import GoodsSettings
from obmen.market.streams import CATALOGUE_OUT, OFFERS_OUT, PRODUCTS_IN, PRODUCTS_OUT
from obmen.store import connections, models, reading
from obmen.work import jobs
from obmen.work import run as runs

PAGE = 2


@dataclass
class Stall:
    """What stands over there, and what was asked of it."""

    cards: dict[str, Card] = field(default_factory=dict)
    news: list[str] = field(default_factory=list)  # ids in the order of their changes
    calls: list[str] = field(default_factory=list)
    told: dict[str, dict[str, Any]] = field(default_factory=dict)  # by the site ID: what it was told last of each
    puts: list[list[Offering]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)  # site IDs
    hidden: set[str] = field(default_factory=set)  # of cards that are there, and in no list
    break_after: int | None = None  # pages, then it is closed
    tells_changes: bool = True

    def card(self, ident: str, name: str = "", **more: Any) -> Card:
        said = replace(self.cards.get(ident) or Card(ident, name or f"Card {ident}"), **({"name": name} if name else {}), **more)
        self.cards[ident] = said
        self.news.append(ident)
        return said


class Bazaar(Market):
    title = "Bazaar"
    cards_batch = 3
    describes = True
    attributes = (("name", "Name"), ("description", "Description"), ("keywords", "Keywords"))
    stall: ClassVar[Stall]

    def check(self) -> str:
        return "connected"

    def cards(self, since: Bookmark | None) -> Iterator[CardsPage]:
        at = int(since["at"]) if since else 0
        self.stall.calls.append(f"cards from {at}")
        ids = self.stall.news[at:]
        for number, start in enumerate(range(0, len(ids), PAGE)):
            if self.stall.break_after is not None and number >= self.stall.break_after:
                raise TryLater("The bazaar is closed")
            page = [i for i in dict.fromkeys(ids[start : start + PAGE]) if i in self.stall.cards and i not in self.stall.hidden]
            bookmark = {"at": at + min(start + PAGE, len(ids))} if self.stall.tells_changes else None
            yield CardsPage([self.stall.cards[i] for i in page], bookmark, min(start + PAGE, len(ids)), len(ids))

    def card(self, ident: str) -> Card | None:
        self.stall.calls.append(f"card {ident}")
        return self.stall.cards.get(ident)

    def put(self, offerings: Sequence[Offering]) -> Iterator[Told]:
        assert 0 < len(offerings) <= self.cards_batch
        self.stall.puts.append(list(offerings))
        for one in reversed(offerings):
            if one.id in self.stall.refused:
                yield Told(one.key, BadRecord("The card {id} is blocked", id=one.id))
                continue
            said = {"quantity": one.quantity, "price": one.price, "old_price": one.old_price, **one.fields}
            self.stall.told.setdefault(one.id, {}).update({name: value for name, value in said.items() if value is not None})
            yield Told(one.key)

    def orders(self, since: Bookmark | None, moment: datetime) -> Iterator[OrdersPage]:
        raise NotImplementedError

    def order(self, number: str) -> Json | None:
        raise NotImplementedError

    def order_id(self, raw: Json) -> str:
        raise NotImplementedError

    def draft(self, raw: Json) -> Draft:
        raise NotImplementedError

    def buyer(self, raw: Json) -> Counterparty | None:
        raise NotImplementedError

    def change_status(self, change: StatusChange, theirs: Order | None) -> Json | None:
        raise NotImplementedError


class BazaarConnector(contract.Connector):
    """The goods of ``market.connector.MarketConnector`` alone, so that these tests stand by themselves."""

    key, title = "bazaar", "Bazaar"
    settings = GoodsSettings
    streams = (PRODUCTS_IN, PRODUCTS_OUT, OFFERS_OUT, CATALOGUE_OUT)
    calls_out = True
    dialect = "any"

    def __init__(self, settings: Any, hub: Any = None) -> None:
        super().__init__(settings, hub)
        self.account = Bazaar(settings, hub)

    def check(self) -> str:
        return self.account.check()

    def sources(self) -> Sequence[contract.Source]:
        return (CardsIn(self.account),)

    def sinks(self) -> Sequence[contract.Sink]:
        sinks: list[contract.Sink] = [ProductsOut(self.account), OffersOut(self.account)]
        return [*sinks, PricesOut(self.account)] if self.s.price_kind else sinks

    def feeds(self) -> Sequence[contract.Feed]:
        return (PriceList(self.account, self.dialect),)


@pytest.fixture(name="stall")
def a_stall(monkeypatch: pytest.MonkeyPatch) -> Stall:
    made = Stall()
    monkeypatch.setattr(Bazaar, "stall", made, raising=False)
    monkeypatch.setattr(Bazaar, "whole_pieces", True)
    monkeypatch.setattr(BazaarConnector, "dialect", "any")
    monkeypatch.setattr(registry, "connectors", lambda: {"bazaar": BazaarConnector})
    return made


class Hub:
    """A connection to the stall, and the books."""

    def __init__(self, stall: Stall, match: Sequence[str] = (), **settings: Any) -> None:
        self.stall = stall
        self.connection, _password = connections.create("bazaar", "Bazaar", settings=settings)
        for priority, attribute in enumerate(match, 1):
            self.connection.match_rules.create(kind="product", attribute=attribute, priority=priority)

    def set(self, **settings: Any) -> None:
        connections.update(self.connection, settings)
        self.connection.refresh_from_db()

    def run(self, *streams: str, **args: Any) -> models.Run:
        run = jobs.ask(self.connection, streams, trigger="person", args=args)
        return runs.execute_here(run)

    def counts(self, *streams: str, **args: Any) -> dict[str, int]:
        run = self.run(*streams, **args)
        assert run.state == "done", (run.state, run.text, run.facts)
        return dict(run.counts)

    def said(self, *streams: str, **args: Any) -> list[str]:
        """The messages of a run, as they are read."""
        return [line.text.format(**line.facts) for line in self.run(*streams, **args).lines.order_by("pk")]

    def retry(self, *parked: models.Parked, **args: Any) -> models.Run:
        run = jobs.ask(
            self.connection,
            [runs.RETRY_PARKED],
            trigger="retry",
            args={"parked": [p.pk for p in parked], **args},
            key=str(parked),
        )
        return runs.execute_here(run)

    def connector(self) -> BazaarConnector:
        from obmen.store.hub import DjangoHub

        return connections.connector_of(self.connection, DjangoHub(self.connection))  # type: ignore[return-value]

    def links(self, kind: str = "offer") -> dict[str, str]:
        """Their id → our key, of those that are not gone."""
        rows = models.Link.objects.filter(connection=self.connection, kind=kind, gone=False)
        keys = dict(models.Offer.objects.values_list("pk", "key"))
        return {row.external_id: keys[row.record_id] for row in rows.order_by("external_id")}

    def why(self, key: str) -> str:
        entry = models.JournalEntry.objects.get(action="card.linked", record_id=models.Offer.objects.get(key=key).pk)
        return str(entry.facts["why"])

    def parked(self, kind: str = "offer") -> models.Parked:
        return self.connection.parked.get(kind=kind)

    def good(self, key: str, s: Any = None) -> Any:
        from obmen.market.goods import preview_choice

        choice = preview_choice(s or self.connector().s)
        return next(good for good in reading.Books().goods(choice) if good.key == key)


def reference(subject: str, key: str) -> models.Reference:
    return models.Reference.objects.get_or_create(subject=subject, key=key, defaults={"name": key.title()})[0]


def group(key: str, name: str = "", parent: str = "") -> models.Group:
    above = models.Group.objects.get(key=parent) if parent else None
    return models.Group.objects.create(key=key, name=name or key.title(), parent=above, parent_key=parent)


def good(
    key: str,
    name: str = "Чашка",
    *,
    stock: Any = None,
    price: Any = None,
    old: Any = None,
    currency: str = "UAH",
    group: str = "",
    offer: dict[str, Any] | None = None,
    **product: Any,
) -> models.Offer:
    """An offer with its product; of a variant (``p#c``) the product may be there already. ``stock`` is of the warehouse "main", or
    by warehouse; ``price`` of the kind "retail", ``old`` of the kind "before"."""
    head = key.partition("#")[0]
    values = {"name": name, "code": f"c-{head}", "article": f"a-{head}", **product}
    if group:
        values |= {"group": models.Group.objects.get(key=group), "groups": [group]}
    parent, _made = models.Product.objects.get_or_create(key=head, defaults=values)
    row = models.Offer.objects.create(key=key, product=parent, name=name, **(offer or {}))
    for kind, value in (("retail", price), ("before", old)):
        if value is not None:
            set_price(key, value, kind, currency)
    levels = stock if isinstance(stock, dict) else {} if stock is None else {"main": stock}
    for house, quantity in levels.items():
        set_stock(key, quantity, house)
    return row


def set_stock(key: str, quantity: Any, house: str = "main") -> None:
    offer, warehouse = models.Offer.objects.get(key=key), reference("warehouse", house)
    models.StockLevel.objects.filter(offer=offer, warehouse=warehouse).delete()
    models.StockLevel.objects.create(offer=offer, warehouse=warehouse, quantity=Decimal(str(quantity)))


def set_price(key: str, value: Any, kind: str = "retail", currency: str = "UAH") -> None:
    offer, price_kind = models.Offer.objects.get(key=key), reference("price_kind", kind)
    models.Price.objects.filter(offer=offer, kind=price_kind).delete()
    if value is not None:
        models.Price.objects.create(offer=offer, kind=price_kind, value=Decimal(str(value)), currency=currency)


def table(*rows: dict[str, str]) -> str:
    return json.dumps({"rows": list(rows)}, ensure_ascii=False)


def tomorrow(monkeypatch: pytest.MonkeyPatch, days: int = 1) -> None:
    """All readings of cards from now on are a day later, or more."""
    from obmen.store.hub import DjangoHub

    monkeypatch.setattr(DjangoHub, "now", lambda _hub: timezone.now() + timedelta(days=days, minutes=days))
