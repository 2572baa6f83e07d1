"""One stock, two marketplaces and 1C: two hundred buyers at once, and nobody is told of a piece that is sold."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import connection as db
from django.utils import timezone

from obmen.connectors.prom import api as prom_api
from obmen.connectors.rozetka import api as rozetka_api
from obmen.connectors.rozetka.api import LIST_MOVES
from obmen.connectors.rozetka.market import TOO_MANY
from obmen.core.contract import Choice
from obmen.core.records import Subject
from obmen.net.client import Retry
from obmen.sandbox import prom, rozetka
from obmen.store import connections, mappings, models
from obmen.store.doors import DjangoDoorHost
from obmen.store.mappings import MappingRow
from obmen.store.reading import Books
from obmen.work import jobs
from obmen.work import run as runs
from store.cml import catalogue, changes, offer, offers, product, put

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
CUP = "cup-1"
MOVING = (TOO_MANY, LIST_MOVES)
SOLD_OUT = (prom.SoldOut, rozetka.SoldOut)


@dataclass
class Trade:
    """A 1C that knows how many cups there are, two shops that sell them, and the hub in between."""

    folder: Path
    prom: Any
    rozetka: Any
    onec: models.Connection
    shops: tuple[models.Connection, ...] = ()
    errors: list[BaseException] = field(default_factory=list)

    # --- 1C

    def stock(self, cups: int) -> None:
        self.load(rests=changes(offer(CUP, name="", stock=[("main", str(cups))])))

    def load(self, **files: str) -> None:
        run = runs.load_folder(self.onec, put(self.folder / "files", **files))
        assert run.state == "done", (run.state, run.text, run.facts)

    def take_orders(self) -> int:
        host = DjangoDoorHost(self.onec, connections.settings_of(self.onec), None)  # type: ignore[arg-type]
        session = host.open_session("1c", {})
        host.offer(session, [(pending.record_id, pending.revision) for pending in host.pending_orders()])
        return host.confirm(session)

    # --- the hub

    def run(self, connection: models.Connection, *streams: str, rush: bool = False) -> models.Run:
        """``rush``: who asks for the orders of a second in which more are coming is told to ask again, and the rest of the run is done."""
        done = runs.execute_here(jobs.ask(connection, streams, trigger="schedule"))
        if rush and done.facts.get("msgid") in MOVING:
            return done
        assert done.state == "done", (done.state, done.text, done.facts, list(done.lines.values_list("text", "facts")))
        return done

    def tick(self, rush: bool = False) -> None:
        """What a schedule does at one moment: both connections at once, each in a worker of its own."""
        self.together(*(partial(self.run, c, "orders-in", "offers-out", rush=rush) for c in self.shops))

    def together(self, *doing: Callable[[], object]) -> None:
        def one(job: Callable[[], object]) -> None:
            try:
                job()
            except BaseException as error:
                self.errors.append(error)
            finally:
                db.close()

        threads = [threading.Thread(target=one, args=(job,)) for job in doing]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        if self.errors:
            raise self.errors[0]
        assert not any(thread.is_alive() for thread in threads)

    def books(self) -> tuple[Decimal, Decimal]:
        """(stock, reserved) of the cups."""
        (good,) = Books().goods(Choice(warehouses=None, cards=False, reserved=True))
        return sum((level.quantity for level in good.offer.stock or ()), Decimal(0)), good.reserved

    # --- the shops

    def shown(self) -> tuple[int, int]:
        return self.prom.product(CUP).quantity, self.rozetka.item(CUP).stock

    def sold(self) -> int:
        """Cups in orders that stand, as the shops have them."""
        there = sum(line.quantity for o in self.prom.orders.values() if o.status != "canceled" for line in o.lines)
        return int(there) + sum(p.quantity for o in self.rozetka.orders.values() for p in o.purchases)

    def buyers(self, count: int) -> list[Callable[[], None]]:
        def one(number: int) -> Callable[[], None]:
            shop, phone = (self.prom, f"+38050{number:07}") if number % 2 else (self.rozetka, f"38050{number:07}")

            def buy() -> None:
                with suppress(*SOLD_OUT):
                    shop.buy([(CUP, 1)], phone=phone)

            return buy

        return [one(number) for number in range(count)]


@pytest.fixture
def trade(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trade]:
    settings.OBMEN_ALLOW_PRIVATE, settings.OBMEN_HOME, settings.MEDIA_ROOT = True, tmp_path, tmp_path
    monkeypatch.setattr(prom_api, "RETRY", Retry(attempts=3, first=0.02))
    monkeypatch.setattr(rozetka_api, "CALLS_A_SECOND", 500)
    onec = connections.create("commerceml_door", "1C", profile="ut11")[0]
    first, second = prom.Prom(), rozetka.Rozetka()
    first.add_product("Чашка", 100, 1, external_id=CUP, sku="A-1")
    second.add_item("Чашка", 100, 1, offer=CUP, article="A-1")
    made = Trade(tmp_path, first, second, onec)
    made.load(import0_1=catalogue(product(CUP, "Чашка", "A-1")), offers0_1=offers(offer(CUP, stock=[("main", "10")])))
    models.Reference.objects.create(subject=Subject.ORDER_STATE, key="new", name="New")
    models.Reference.objects.create(subject=Subject.ORDER_STATE, key="off", name="Off")
    with ExitStack() as stack:
        urls = [stack.enter_context(prom.serve(first)).url, stack.enter_context(rozetka.serve(second)).url]
        at_prom, _password = connections.create(
            "prom", "Prom", settings={"address": urls[0], "token": "sandbox-token", "pace": 1000}
        )
        at_rozetka, _password = connections.create(
            "rozetka", "Rozetka", settings={"address": urls[1], "login": "seller", "password": "sandbox"}
        )
        rows = [MappingRow("pending", ours="new"), MappingRow("canceled", taken=False, attributes={"cancel": "yes"})]
        mappings.save(at_prom, Subject.ORDER_STATE, "each", rows)
        models.Mapping.objects.filter(connection=at_rozetka, subject=Subject.ORDER_STATE, theirs="1").update(ours="new")
        made.shops = at_prom, at_rozetka
        since = {"from": (timezone.now() - timedelta(days=1)).isoformat()}
        for connection in made.shops:
            models.Bookmark.objects.update_or_create(connection=connection, stream="orders-in", defaults={"value": since})
            made.run(connection, "products-in", "offers-out")
        assert made.shown() == (10, 10)
        yield made


def test_two_hundred_buyers_rush_at_ten_pieces(trade: Trade) -> None:
    """Before the first tick each shop sells what it was told of: ten each. From the next tick on no shop sells another."""
    trade.together(*trade.buyers(200))
    assert trade.sold() == 20
    trade.prom.product(CUP).quantity, trade.rozetka.item(CUP).stock = 3, 4  # as if they had been filled up by hand
    trade.prom.product(CUP).presence, trade.rozetka.item(CUP).available = "available", 1
    trade.tick()
    trade.tick()
    assert trade.books() == (10, 20)
    assert trade.shown() == (0, 0)
    trade.together(*trade.buyers(200))
    assert trade.sold() == 20

    assert trade.take_orders() == 20
    trade.stock(0)
    assert trade.books() == (0, 0)
    trade.stock(5)  # new ones came in
    trade.tick()
    assert trade.shown() == (5, 5)


def test_while_two_hundred_buy_nobody_is_told_of_a_piece_that_is_in_an_order_of_the_books(trade: Trade) -> None:
    """Buyers, ticks and 1C at once; who looks at the books never sees more free than what 300 less the orders in them leaves."""
    had, over, known = 300, threading.Event(), 0
    trade.stock(had)
    trade.tick()
    assert trade.shown() == (had, had)

    def ticks() -> None:
        while not over.wait(0.1):
            trade.tick(rush=True)

    def accounting() -> None:
        nonlocal known
        while not over.wait(0.1):
            known += trade.take_orders()
            trade.stock(had - known)

    def looker() -> None:
        while not over.wait(0.01):
            at_least = models.Order.objects.count()
            stock, reserved = trade.books()
            assert stock - reserved <= had - at_least

    def all_buyers() -> None:
        try:
            for at in range(0, 200, 50):
                trade.together(*trade.buyers(200)[at : at + 50])
                trade.run(trade.shops[at // 50 % 2], "orders-in", rush=True)
        finally:
            over.set()

    trade.together(all_buyers, ticks, accounting, looker)
    trade.tick()
    trade.tick()
    assert trade.sold() == 200
    stock, reserved = trade.books()
    assert stock - reserved == had - 200
    assert trade.shown() == (had - 200, had - 200)

    known += trade.take_orders()
    trade.stock(had - known)
    assert (known, trade.books()) == (200, (had - 200, 0))
    trade.tick()
    assert trade.shown() == (had - 200, had - 200)


def test_a_buyer_who_changes_his_mind_gives_the_piece_back_to_both(trade: Trade) -> None:
    bought = trade.prom.buy([(CUP, 4)])
    trade.tick()
    trade.tick()
    assert trade.shown() == (6, 6)
    trade.prom.cancel(bought.id)
    trade.tick()
    trade.tick()
    assert (trade.books(), trade.shown()) == ((10, 0), (10, 10))
