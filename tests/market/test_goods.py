"""What linked cards are told of stock, prices and attributes, and what waits for a person."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from market.goods_kit import Bazaar, Hub, Stall, a_stall, good, group, reference, set_price, set_stock, table  # noqa: F401 - a fixture
from obmen.core.contract import NeedsOwner
from obmen.core.settings import load
from obmen.market.feed import PriceList
from obmen.market.goods import OffersOut, preview, preview_choice, quantity_of
from obmen.market.goods_settings import GoodsSettings
from obmen.store import models

pytestmark = pytest.mark.django_db


def linked(stall: Stall, *keys: str, **settings: Any) -> Hub:
    """A hub whose goods are linked to cards "1", "2" … in their order."""
    for number, key in enumerate(keys, 1):
        stall.card(str(number), code=key.replace("#", "-"), **settings.pop("card", {}))
    hub = Hub(stall, **settings)
    assert hub.counts("products-in") == ({"matched": len(keys)} if keys else {})
    return hub


# --- stock -----------------------------------------------------------------------------------------------------------------


def test_the_stock_of_linked_goods_goes_out_in_batches_and_a_second_run_is_idle(stall: Stall) -> None:
    for number in range(1, 6):
        good(f"p{number}", stock=number)
    good("alone", stock=9)
    hub = linked(stall, "p1", "p2", "p3", "p4", "p5")
    assert hub.counts("offers-out") == {"created": 5, "unchanged": 1}
    assert {ident: told["quantity"] for ident, told in stall.told.items()} == {str(n): Decimal(n) for n in range(1, 6)}
    assert [len(batch) for batch in stall.puts] == [3, 2]
    assert hub.counts("offers-out") == {"unchanged": 6}
    set_stock("p2", 7)
    assert hub.counts("offers-out") == {"updated": 1, "unchanged": 5}
    assert (stall.told["2"]["quantity"], [len(batch) for batch in stall.puts]) == (Decimal(7), [3, 2, 1])


@pytest.mark.parametrize("wrong", [{"warehouses": ["Bar"]}, {"price_kind": "Foo"}, {"old_price_kind": "Foo"}])
def test_what_the_books_do_not_have_sells_nothing_out(stall: Stall, wrong: dict[str, Any]) -> None:
    good("p1", stock=5, price=10)
    hub = linked(stall, "p1", **{"price_kind": "retail"} | wrong)
    run = hub.run("offers-out")
    assert (run.state, run.facts["key"], stall.told) == ("needs_owner", "Bar" if "warehouses" in wrong else "Foo", {})


def test_goods_without_a_card_are_counted_and_no_error(stall: Stall) -> None:
    good("p1", stock=1)
    good("p2", stock=1)
    hub = linked(stall, "p1")
    assert hub.said("offers-out") == [
        "1 goods have no card at Bazaar: nothing is told of them. Load the cards, or let Bazaar fetch the price list"
    ]
    assert set(stall.told) == {"1"}


@pytest.mark.parametrize(
    ("settings", "quantity"),
    [
        ({}, 9),
        ({"warehouses": ["main"]}, 5),
        ({"warehouses": ["main", "shop"], "stock_reserve": 3}, 6),
        ({"warehouses": ["shop"], "stock_reserve": 10}, 0),
        ({"warehouses": ["empty"]}, 0),
    ],
)
def test_stock_is_the_sum_of_the_warehouses_less_what_is_kept_back(stall: Stall, settings: dict[str, Any], quantity: int) -> None:
    reference("warehouse", "empty")
    good("p1", stock={"main": "5.9", "shop": "3.7"} if not settings else {"main": 5, "shop": 4})
    hub = linked(stall, "p1", **settings)
    hub.counts("offers-out")
    assert stall.told == {"1": {"quantity": Decimal(quantity)}}


def test_stock_that_was_never_said_is_not_told_and_stock_that_ends_is_0(stall: Stall) -> None:
    good("p1")
    good("p2", stock=3)
    good("p3", stock={"shop": 3})
    hub = linked(stall, "p1", "p2", "p3", warehouses=["main"])
    hub.counts("offers-out")
    assert {ident: told["quantity"] for ident, told in stall.told.items()} == {"2": Decimal(3), "3": Decimal(0)}
    models.StockLevel.objects.all().delete()
    models.Offer.objects.update(version=models.models.F("version") + 1)
    hub.counts("offers-out")
    assert {ident: told["quantity"] for ident, told in stall.told.items()} == {"2": Decimal(0), "3": Decimal(0)}
    set_stock("p1", 7)
    hub.counts("offers-out")
    assert stall.told["1"]["quantity"] == Decimal(7)


def test_fractions_go_where_they_are_taken(stall: Stall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bazaar, "whole_pieces", False)
    good("p1", stock="2.5")
    linked(stall, "p1").counts("offers-out")
    assert stall.told["1"]["quantity"] == Decimal("2.5")


def test_stock_that_is_not_sent_and_services_say_nothing(stall: Stall) -> None:
    good("p1", stock=5)
    good("s1", "Доставка", stock=5, kind="Послуга")
    hub = linked(stall, "p1", "s1", send_stock=False)
    assert hub.counts("offers-out") == {"unchanged": 2}
    hub.set(send_stock=True)
    assert hub.counts("offers-out") == {"created": 1, "unchanged": 1}
    assert set(stall.told) == {"1"}


def test_deleted_goods_go_with_no_stock_once(stall: Stall) -> None:
    good("p1", stock=5)
    good("p2", stock=5)
    hub = linked(stall, "p1", "p2", may_vanish=50)
    hub.counts("offers-out")
    models.Product.objects.filter(key="p1").update(deleted=True)
    assert hub.counts("offers-out") == {"updated": 1, "unchanged": 1}
    assert stall.told["1"]["quantity"] == Decimal(0)
    assert hub.counts("offers-out") == {"unchanged": 1}


def test_goods_that_leave_the_chosen_groups_go_with_no_stock(stall: Stall) -> None:
    group("g1")
    group("g2", parent="g1")
    group("g3")
    good("p1", stock=5, group="g2")
    good("p2", stock=5, group="g3")
    hub = linked(stall, "p1", "p2", may_vanish=100)
    hub.counts("offers-out")
    hub.set(groups=["g1"])
    hub.counts("offers-out")
    assert {ident: told["quantity"] for ident, told in stall.told.items()} == {"1": Decimal(5), "2": Decimal(0)}


def test_too_many_that_are_gone_stop_the_stream(stall: Stall) -> None:
    for key in ("p1", "p2", "p3"):
        good(key, stock=5)
    hub = linked(stall, "p1", "p2", "p3")
    hub.counts("offers-out")
    models.Product.objects.filter(key="p1").update(deleted=True)
    run = hub.run("offers-out")
    assert (run.state, run.facts["gone"], run.facts["told"]) == ("needs_owner", 1, 3)
    assert stall.told["1"]["quantity"] == Decimal(5)


def test_goods_that_are_deleted_and_have_no_card_any_more_are_none_too_many(stall: Stall) -> None:
    for key in ("p1", "p2", "p3"):
        good(key, stock=5)
    hub = linked(stall, "p1", "p2", "p3")
    hub.counts("offers-out")
    models.Link.objects.filter(connection=hub.connection, kind="offer", external_id="1").delete()
    models.Product.objects.filter(key="p1").update(deleted=True)
    assert hub.counts("offers-out") == {"unchanged": 2}


def test_nothing_is_told_of_a_card_that_is_gone(stall: Stall) -> None:
    good("p1", stock=5)
    hub = linked(stall, "p1")
    stall.card("1", gone=True)
    hub.counts("products-in")
    assert hub.counts("offers-out") == {"unchanged": 1}
    assert stall.told == {}


def test_a_card_that_comes_back_is_told_everything_again(stall: Stall) -> None:
    good("p1", stock=5)
    hub = linked(stall, "p1")
    hub.counts("offers-out")
    stall.card("1", gone=True)
    hub.counts("products-in")
    stall.card("1", gone=False)
    hub.counts("products-in")
    assert hub.counts("offers-out") == {"created": 1}
    assert len(stall.puts) == 2


def test_what_orders_have_reserved_is_taken_off(stall: Stall) -> None:
    good("p1", stock=5)
    hub = Hub(stall, stock_reserve=1)
    market = hub.connector().account
    plain = hub.good("p1")
    sold = [replace(plain, reserved=Decimal(pieces)) for pieces in (0, 3, 4, 9)]
    assert [quantity_of(one, market) for one in sold] == [4, 1, 0, 0]
    assert OffersOut(market).choice.reserved
    assert preview_choice(market.s).reserved
    assert PriceList(market, "any").choice.reserved


def test_what_is_refused_stands_alone_and_is_tried_again(stall: Stall) -> None:
    good("p1", stock=1)
    good("p2", stock=2)
    hub = linked(stall, "p1", "p2")
    stall.refused = {"1"}
    assert hub.counts("offers-out") == {"created": 1, "parked": 1}
    row = hub.parked("stock")
    assert (row.direction, row.text.format(**row.facts)) == ("out", "The card 1 is blocked")
    stall.refused = set()
    assert hub.counts("offers-out") == {"created": 1, "unchanged": 1}
    assert (stall.told["1"]["quantity"], hub.connection.parked.count()) == (Decimal(1), 0)


def test_what_a_change_needs_goes_with_it(stall: Stall) -> None:
    good("p1", stock=1)
    stall.card("1", code="p1", facts=(("item_id", "77"),))
    hub = Hub(stall)
    hub.counts("products-in", "offers-out")
    assert stall.puts[0][0].facts == {"item_id": "77"}


def test_cards_that_change_places_are_told_of_their_new_goods(stall: Stall) -> None:
    first, second = good("p1", stock=1), good("p2", stock=2)
    hub = linked(stall, "p1", "p2")
    hub.counts("offers-out")
    links = models.Link.objects.filter(connection=hub.connection, kind="offer")
    for external_id, record in (("x", first.pk), ("1", second.pk), ("2", first.pk)):
        links.filter(record_id=record).update(external_id=external_id)
    assert hub.counts("offers-out") == {"updated": 2}
    assert {ident: told["quantity"] for ident, told in stall.told.items()} == {"1": Decimal(2), "2": Decimal(1)}
    assert hub.counts("offers-out") == {"unchanged": 2}


def test_picked_goods_are_told_although_nothing_has_changed(stall: Stall) -> None:
    good("p1", stock=1)
    offer = good("p2", stock=2)
    hub = linked(stall, "p1", "p2")
    hub.counts("offers-out")
    stall.puts.clear()
    hub.counts("offers-out", goods=[offer.product_id])
    assert [[one.id for one in batch] for batch in stall.puts] == [["2"]]


# --- prices ----------------------------------------------------------------------------------------------------------------


def test_without_a_price_kind_no_price_is_told(stall: Stall) -> None:
    good("p1", stock=1, price=10)
    linked(stall, "p1").counts("offers-out")
    assert stall.told == {"1": {"quantity": Decimal(1)}}


def test_price_and_old_price_go_out_and_the_old_one_ends(stall: Stall) -> None:
    good("p1", price=90, old=120)
    good("p2", price=90, old=80)
    hub = linked(stall, "p1", "p2", price_kind="retail", old_price_kind="before", send_stock=False)
    hub.counts("offers-out")
    assert stall.told == {"1": {"price": Decimal(90), "old_price": Decimal(120)}, "2": {"price": Decimal(90)}}
    assert hub.counts("offers-out") == {"unchanged": 4}
    set_price("p1", 90, "before")
    hub.counts("offers-out")
    assert stall.told["1"] == {"price": Decimal(90), "old_price": Decimal(0)}
    assert hub.counts("offers-out") == {"unchanged": 4}


@pytest.mark.parametrize(
    ("settings", "price"),
    [
        ({}, "10.13"),
        ({"price_step": "1"}, "10"),
        ({"price_step": "1", "price_rounding": "up"}, "11"),
        ({"price_step": "5", "price_rounding": "down"}, "10"),
        ({"price_step": "0.5"}, "10"),
        ({"price_step": "0.5", "price_rounding": "up"}, "10.5"),
    ],
)
def test_prices_are_rounded_by_the_rule(stall: Stall, settings: dict[str, Any], price: str) -> None:
    good("p1", price="10.125")
    linked(stall, "p1", price_kind="retail", **settings).counts("offers-out")
    assert stall.told["1"]["price"] == Decimal(price)


@pytest.mark.parametrize(("said", "sent"), [("UAH", True), ("грн.", True), ("", True), ("980", True), ("USD", False)])
def test_a_price_in_another_currency_waits_and_the_stock_does_not(stall: Stall, said: str, sent: bool) -> None:
    good("p1", stock=4, price=10, currency=said)
    hub = linked(stall, "p1", price_kind="retail")
    hub.run("offers-out")
    assert stall.told["1"] == {"quantity": Decimal(4)} | ({"price": Decimal(10)} if sent else {})
    if not sent:
        row = hub.parked("prices")
        assert row.text.format(**row.facts).startswith("The price of “Чашка” is in USD, and UAH is sent")


def test_a_price_of_nothing_is_not_sent(stall: Stall) -> None:
    good("p1", price=0)
    hub = linked(stall, "p1", price_kind="retail", send_stock=False)
    assert hub.counts("offers-out") == {"parked": 1, "unchanged": 1}
    assert stall.told == {}


def test_a_price_that_jumps_waits_until_a_person_confirms_it_and_the_stock_does_not(stall: Stall) -> None:
    good("p1", stock=5, price=100)
    hub = linked(stall, "p1", price_kind="retail")
    hub.counts("offers-out")
    set_price("p1", 150)
    assert hub.counts("offers-out") == {"updated": 1, "unchanged": 1}
    set_price("p1", 226)
    set_stock("p1", 4)
    assert hub.counts("offers-out") == {"updated": 1, "parked": 1}
    assert stall.told["1"] == {"quantity": Decimal(4), "price": Decimal(150)}
    row = hub.parked("prices")
    assert row.text.format(**row.facts).startswith(
        "The price of “Чашка” would change from 150 to 226, by 51 %, and more than 50 %"
    )
    assert hub.counts("offers-out") == {"unchanged": 1, "parked": 1}, "to look at it again is no confirmation"
    hub.retry(hub.parked("prices"))
    assert hub.counts("offers-out") == {"updated": 1, "unchanged": 1}
    assert (stall.told["1"]["price"], hub.connection.parked.count()) == (Decimal(226), 0)


def test_what_was_confirmed_is_that_price_and_no_other(stall: Stall) -> None:
    good("p1", price=100)
    hub = linked(stall, "p1", price_kind="retail", send_stock=False)
    hub.counts("offers-out")
    set_price("p1", 10)
    hub.counts("offers-out")
    hub.retry(hub.parked("prices"))
    set_price("p1", 1)
    hub.counts("offers-out")
    assert (stall.told["1"]["price"], hub.parked("prices").facts["price"]) == (Decimal(100), "1")


def test_trying_everything_again_confirms_no_price(stall: Stall) -> None:
    from obmen.work import jobs
    from obmen.work import run as runs

    good("p1", price=100)
    hub = linked(stall, "p1", price_kind="retail", send_stock=False)
    hub.counts("offers-out")
    set_price("p1", 1000)
    hub.counts("offers-out")
    runs.execute_here(jobs.ask(hub.connection, [runs.RETRY_PARKED], trigger="retry", args={"parked": None}))
    hub.counts("offers-out")
    assert (stall.told["1"]["price"], hub.parked("prices").facts["price"]) == (Decimal(100), "1000")


@pytest.mark.parametrize(("limit", "parked"), [(50, True), (0, False), (900, False)])
def test_the_first_price_is_compared_with_what_their_card_says(stall: Stall, limit: int, parked: bool) -> None:
    good("p1", price=1000)
    hub = linked(stall, "p1", card={"price": Decimal(100)}, price_kind="retail", send_stock=False, price_jump=limit)
    hub.counts("offers-out")
    assert hub.connection.parked.exists() == parked
    assert bool(stall.told) != parked


def test_a_price_is_not_compared_with_that_of_a_card_in_another_currency_and_waits_for_a_person(stall: Stall) -> None:
    good("p1", price=100)
    good("p2", price=1000)
    stall.card("1", code="p1", price=Decimal(100), currency="USD")
    stall.card("2", code="p2", price=Decimal(1000), currency="грн.")
    hub = Hub(stall, price_kind="retail", send_stock=False)
    hub.counts("products-in")
    hub.counts("offers-out")
    parked = hub.parked("prices")
    assert parked.text.format(**parked.facts).startswith(
        "The price of “Чашка” is 100 UAH, and Bazaar has it in USD: it is not sent unasked."
    )
    assert {ident: told["price"] for ident, told in stall.told.items()} == {"2": Decimal(1000)}
    hub.retry(parked)
    hub.counts("offers-out")
    assert (stall.told["1"]["price"], hub.connection.parked.exists()) == (Decimal(100), False)
    set_price("p1", 110)
    hub.counts("offers-out")
    assert stall.told["1"]["price"] == Decimal(110), "it is known now in which currency it was told"


def test_goods_that_are_deleted_have_none_whatever_the_books_hold(stall: Stall) -> None:
    good("p1", stock=5)
    hub = Hub(stall)
    one, market = hub.good("p1"), hub.connector().account
    assert quantity_of(replace(one, product=replace(one.product, deleted=True)), market) == 0
    assert quantity_of(replace(one, offer=replace(one.offer, deleted=True)), market) == 0


def test_a_price_for_a_quantity_is_not_the_price(stall: Stall) -> None:
    offer = good("p1")
    models.Price.objects.create(
        offer=offer, kind=reference("price_kind", "retail"), value=Decimal(8), currency="UAH", min_quantity=Decimal(10)
    )
    hub = linked(stall, "p1", price_kind="retail", send_stock=False)
    hub.counts("offers-out")
    assert stall.told == {}
    models.Price.objects.create(offer=offer, kind=reference("price_kind", "retail"), value=Decimal(10), currency="UAH")
    hub.counts("offers-out")
    assert stall.told["1"]["price"] == Decimal(10)


# --- attributes ------------------------------------------------------------------------------------------------------------

ROWS = table(
    {"theirs": "name", "value": "{name} {article}"},
    {"theirs": "description", "ours": "description"},
    {"theirs": "Колір", "ours": "Колір"},
)


def test_only_changed_cards_are_told_their_attributes_and_none_is_made(stall: Stall) -> None:
    good("p1", "Чашка", description="Біла")
    good("p2", "Миска")
    good("alone")
    hub = linked(stall, "p1", "p2", attributes=ROWS)
    assert hub.counts("products-out") == {"created": 2, "unchanged": 1}
    assert stall.told == {"1": {"name": "Чашка a-p1", "description": "Біла"}, "2": {"name": "Миска a-p2"}}
    assert hub.counts("products-out") == {"unchanged": 3}
    models.Product.objects.filter(key="p1").update(description="Синя", version=2)
    models.Offer.objects.filter(key="p2").update(version=9)
    assert hub.counts("products-out") == {"updated": 1, "unchanged": 2}
    assert stall.told["1"]["description"] == "Синя"


def test_with_only_changed_off_every_linked_card_is_told_each_time(stall: Stall) -> None:
    good("p1", description="Біла")
    good("alone")
    hub = linked(stall, "p1", attributes=ROWS, only_changed=False)
    hub.counts("products-out")
    assert hub.counts("products-out") == {"updated": 1, "unchanged": 1}
    assert len(stall.puts) == 2


def test_without_a_row_that_they_take_the_stream_says_what_they_take(stall: Stall) -> None:
    good("p1")
    run = linked(stall, "p1", attributes=table({"theirs": "Колір", "ours": "Колір"})).run("products-out")
    assert (run.state, run.facts["known"]) == ("needs_owner", "name, description, keywords")


def test_cards_stock_and_prices_of_one_good_do_not_get_in_each_others_way(stall: Stall) -> None:
    good("p1", stock=3, price=10, description="Біла")
    hub = linked(stall, "p1", attributes=ROWS, price_kind="retail")
    assert hub.counts("products-in", "products-out", "offers-out") == {"created": 3}
    assert hub.counts("products-in", "products-out", "offers-out") == {"unchanged": 3}
    assert set(models.Link.objects.filter(connection=hub.connection).values_list("kind", flat=True)) == {
        "offer",
        "variant",
        "stock",
        "prices",
    }


def test_a_preview_counts_and_tells_nothing(stall: Stall) -> None:
    good("p1", stock=3, price=10)
    hub = linked(stall, "p1", price_kind="retail")
    assert hub.counts("offers-out", preview=True) == {"would_write": 2}
    assert stall.puts == []


# --- one good as it will go out --------------------------------------------------------------------------------------------


def test_one_good_is_shown_as_it_will_go_out_with_where_each_value_comes_from(stall: Stall) -> None:
    good("p1", stock={"main": 5}, price=90, old=120, description="Біла")
    reference("warehouse", "main")
    hub = Hub(stall, attributes=ROWS, price_kind="retail", old_price_kind="before", stock_reserve=2)
    market = hub.connector().account
    lines = preview(market, hub.good("p1"))
    assert [(line.theirs, line.value, line.whence.format(**line.facts)) for line in lines] == [
        ("quantity", "3", "the stock less 0 reserved and 2 kept back"),
        ("price", "90", "the price kind “retail”"),
        ("old_price", "120", "the price kind “before”"),
        ("name", "Чашка a-p1", "the template “{name} {article}”"),
        ("description", "Біла", "the field “description” of the card"),
        ("Колір", "", "“Колір” says nothing"),
    ]


def test_a_price_that_cannot_be_sent_says_why_where_one_good_is_shown(stall: Stall) -> None:
    good("p1", price=90, currency="USD")
    hub = Hub(stall, price_kind="retail", send_stock=False)
    lines = preview(hub.connector().account, hub.good("p1"))
    assert [(line.theirs, line.value) for line in lines] == [("quantity", ""), ("price", "")]
    assert lines[1].whence.format(**lines[1].facts).startswith("The price of “Чашка” is in USD")


def test_the_group_for_new_goods_is_chosen_by_its_name(stall: Stall) -> None:
    from obmen.web.values import of_books

    group("g1", "Посуд")
    values = of_books("group")
    assert (values.key("посуд"), values.label("g1")) == ("g1", "Посуд")


# --- settings --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"site_id": " "}, "Name the attribute of goods that holds the id of the site"),
        ({"currency": ""}, "Name the currency"),
        ({"images_url": "shop.example/i"}, "“shop.example/i” has to begin with https://"),
        ({"shop_url": "ftp://x"}, "“ftp://x” has to begin with https://"),
        ({"attributes": '{"rows": [{"theirs": "name"}]}'}, "row 1 (“name”): name an attribute of ours"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_reason(settings: dict[str, str], reason: str) -> None:
    with pytest.raises(NeedsOwner) as caught:
        load(GoodsSettings, settings)
    assert reason in str(caught.value)
