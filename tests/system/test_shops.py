"""A whole exchange of the hub with every kind of shop, over real HTTP: goods one way, orders the other, twice in a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F
from shops import CUP, DISH, GOODS, WAYS, World, counts, goods_in_books, hurry, world

from obmen.store import models

pytestmark = pytest.mark.django_db
Make = Callable[..., World]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> Iterator[Make]:
    """``make("bitrix", settings={…})`` → a World; the goods stand in the books."""
    settings.OBMEN_ALLOW_PRIVATE, settings.MEDIA_ROOT = True, tmp_path
    hurry(monkeypatch)
    goods_in_books()
    opened: list[AbstractContextManager[World]] = []

    def one(profile: str, **about: Any) -> World:
        opened.append(world(profile, **about))
        return opened[-1].__enter__()

    yield one
    for each in opened:
        each.__exit__(None, None, None)


@pytest.mark.parametrize("profile", WAYS)
def test_goods_go_one_way_and_orders_the_other_and_a_second_run_is_idle(make: Make, profile: str) -> None:
    w = make(profile)
    run = w.go(*GOODS)
    assert run.state == "done", w.said(run)
    assert w.unlike_goods() == []
    assert set(w.shop.goods.groups) <= {"g1", "g2"}
    numbers = []
    if w.way.orders:
        numbers = [w.buy(shipping=300), w.buy((DISH, 3)), w.buy((CUP, 1), comment="позвонить")]
        run = w.go("orders-in")
        assert (run.state, run.counts.get("created")) == ("done", 3), w.said(run)
        assert w.unlike_orders() == []
    run = w.go()
    idle(w)
    assert w.unlike_goods() == []
    assert w.unlike_orders(*numbers) == []


SECOND = {"generic": "confirmed", "cs-cart-exim-1c": "P", "cs-cart-commerceml": "P", "bitrix": "P", "opencart-exchange1c": "2"}
THIRD = {"generic": "shipped", "cs-cart-exim-1c": "C", "cs-cart-commerceml": "C", "bitrix": "F", "opencart-exchange1c": "3"}


@pytest.mark.parametrize("profile", WAYS)
def test_what_changes_on_either_side_is_the_same_on_both_afterwards(make: Make, profile: str) -> None:
    """Changed goods alone; a state from here to there, another one back."""
    w = make(profile)
    w.settle()
    w.price(CUP, 120)
    w.stock(w.other if w.way.variants else CUP, 17)
    models.Product.objects.filter(key=DISH).update(name="Тарелка", version=F("version") + 1)
    models.Offer.objects.filter(key=DISH).update(name="Тарелка", version=F("version") + 1)
    before = len(w.shop.calls("mode=file"))
    w.settle()
    assert w.unlike_goods() == []
    assert len(w.shop.calls("mode=file")) - before <= 3
    if profile in SECOND:
        number = w.buy()
        w.settle()
        w.change(number, state=f"our-{SECOND[profile]}")
        w.settle()
        assert w.shop.orders[number].status == SECOND[profile]
        assert w.unlike_orders() == []
        w.shop.set_status(number, THIRD[profile])
        w.settle()
        assert w.ours(number).state == f"our-{THIRD[profile]}"
        assert w.unlike_orders() == []
    idle(w)


@pytest.mark.parametrize("profile", [key for key, way in WAYS.items() if way.lines])
def test_lines_that_are_changed_here_are_changed_there(make: Make, profile: str) -> None:
    """A line more and another quantity; the delivery stays."""
    w = make(profile)
    w.settle(*GOODS)
    number = w.buy((CUP, 2), shipping=300)
    w.settle()
    order = w.ours(number)
    cup = next(x for x in order.lines if x.kind == "product")
    dish = replace(
        cup, offer=DISH, name="Блюдо", article="A-3", key="", quantity=Decimal(2), price=Decimal(33), total=Decimal(66)
    )
    dish = replace(dish, requisites=())
    lines = (replace(cup, quantity=Decimal(3), total=3 * cup.price), dish, *(x for x in order.lines if x is not cup))
    w.change(number, lines=lines, total=sum((x.total for x in lines), Decimal(0)))
    w.settle()
    there = w.shop.orders[number]
    assert [(x.offer, x.quantity, x.total) for x in there.lines] == [(CUP, 3, 300), (DISH, 2, 66)]
    assert (there.shipping, there.total) == (300, 666)
    assert w.unlike_orders() == []
    idle(w)


@pytest.mark.parametrize("profile", WAYS)
def test_offers_wait_for_the_cards_of_their_goods(make: Make, profile: str) -> None:
    """Shops drop offers of goods that they do not know (facts on shops §2.5): nobody would tell them again."""
    w = make(profile)
    w.shop.fault("timeout", 30, part="mode=file filename=import")
    w.shop.settings.zip = False
    assert w.go(*GOODS).state == "failed"
    w.later()
    assert w.go("offers-out").state == "failed"
    assert [c.query for c in w.shop.calls("mode=file filename=offers")] == []
    w.shop.faults.clear()
    w.settle(*GOODS)
    assert w.unlike_goods() == []


@pytest.mark.parametrize("profile", ["cs-cart-exim-1c", "opencart-exchange1c"])
def test_no_file_has_a_name_that_a_broken_upload_may_have_left_there(make: Make, profile: str) -> None:
    """Facts on shops §2.3: what lies there is not whole, so that the next file of that name is joined to it, for the whole day."""
    w = make(profile)
    for n, part in enumerate(("mode=file filename=import", "mode=file filename=offers"), 1):
        w.price(CUP, 100 + n)
        w.shop.fault("cut", 3, part=part)
        assert w.go(*GOODS).state == "failed"
        w.settle(*GOODS)
        assert w.unlike_goods() == []
    names = [call.request.filename for call in w.shop.calls("mode=file") if call.request.filename.endswith(".xml")]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("profile", ["generic", "bitrix"])
def test_what_is_taken_back_before_the_shop_has_said_anything_is_told_as_well(make: Make, profile: str) -> None:
    """These shops never repeat what came from 1C, so that their last word is older than what they were told."""
    w = make(profile)
    w.settle(*GOODS)
    number = w.buy((CUP, 2))
    w.settle()
    before = w.ours(number)
    cup = before.lines[0]
    more = replace(
        before, state=f"our-{SECOND[profile]}", lines=(replace(cup, quantity=Decimal(3), total=Decimal(300)),), total=Decimal(300)
    )
    for wanted, quantity, status in (
        (more, 3, SECOND[profile]),
        (before, 2, next(iter(w.shop.states))),
        (more, 3, SECOND[profile]),
    ):
        w.change(number, state=wanted.state, lines=wanted.lines, total=wanted.total)
        run = w.go("orders-out")
        there = w.shop.orders[number]
        assert ([x.quantity for x in there.lines], there.status) == ([quantity], status), w.said(run)
    w.settle(*GOODS)  # the third cup is reserved, too
    w.change(number, comment="only here")
    idle(w)


def idle(w: World) -> None:
    """A run in which nothing is uploaded and nothing is written, on either side."""
    uploads, writes, goods = len(w.shop.calls("mode=file")), dict(w.shop.writes), w.shop.goods.plain()
    run = w.go()
    assert (run.state, counts(run)) == ("done", {}), w.said(run)
    assert [call.query for call in w.shop.calls("mode=file")[uploads:]] == []
    assert (dict(w.shop.writes), w.shop.goods.plain()) == (writes, goods)
