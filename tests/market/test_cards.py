"""Cards of a marketplace are linked to the goods of the books: by what, with what reason, and what becomes of the others."""

from __future__ import annotations

from decimal import Decimal

import pytest

from market.goods_kit import Hub, Stall, a_stall, good, group, tomorrow  # noqa: F401 - a fixture
from obmen.core.contract import BadRecord, Item, NeedsOwner
from obmen.core.records import Kind, Offer
from obmen.market.cards import CardsIn
from obmen.store import joining, models, taking

pytestmark = pytest.mark.django_db


def test_the_attribute_with_the_site_id_is_asked_first_then_our_id_then_the_match_rules(stall: Stall) -> None:
    models.Property.objects.create(key="prop-7", name="ID Bazaar")
    good("p1", properties=[["prop-7", ["100"]]])
    good("p2", requisites=[["ID Bazaar", "200"]])
    good("p3")
    good("p4", article="ЧШ-4 ")
    good("p5", barcode="4820000000055")
    stall.card("100", code="p3", article="ЧШ-4")
    stall.card("200")
    stall.card("300", code="p3", article="ЧШ-4")
    stall.card("400", article="чш-4", barcode="4820000000055")
    stall.card("500", barcode="4820000000055")
    hub = Hub(stall, ["article", "barcode"], site_id="ID Bazaar")
    assert hub.counts("products-in") == {"matched": 5}
    assert hub.links() == {"100": "p1", "200": "p2", "300": "p3", "400": "p4", "500": "p5"}
    reasons = [hub.why(key) for key in ("p1", "p2", "p3", "p4", "p5")]
    assert reasons == ["ID Bazaar = 100", "ID Bazaar = 200", "key = p3", "article = чш-4", "barcode = 4820000000055"]


def test_a_value_of_a_dictionary_is_the_site_id_that_it_says(stall: Stall) -> None:
    models.Property.objects.create(key="prop-7", name="ID Bazaar", kind="dictionary", values=[["v-1", "100"]])
    good("p1", properties=[["prop-7", ["v-1"]]])
    stall.card("100")
    hub = Hub(stall, site_id="ID Bazaar")
    hub.counts("products-in")
    assert hub.links() == {"100": "p1"}


@pytest.mark.parametrize(("offer_id", "code"), [("key", "p1-red"), ("code", "c-p2"), ("article", "a-p2")])
def test_our_id_is_what_the_price_list_says(stall: Stall, offer_id: str, code: str) -> None:
    good("p1#red", offer={"characteristics": [["Колір", "червоний"]]})
    good("p2")
    stall.card("100", code=code)
    hub = Hub(stall, offer_id=offer_id)
    hub.counts("products-in")
    assert hub.links() == {"100": "p1#red" if offer_id == "key" else "p2"}


def test_a_link_that_is_there_counts_before_anything_else_and_a_second_run_is_idle(stall: Stall) -> None:
    good("p1")
    good("p2")
    stall.card("100", code="p1")
    hub = Hub(stall)
    hub.counts("products-in")
    assert hub.counts("products-in") == {}
    assert stall.calls == ["cards from 0", "cards from 1"]
    stall.card("100", code="p2", name="Renamed")
    assert hub.counts("products-in") == {"unchanged": 1}
    assert hub.links() == {"100": "p1"}


def test_two_goods_that_fit_park_the_card_with_both_and_a_persons_word_links_it(stall: Stall) -> None:
    first, second = good("p1", article="same"), good("p2", article="same")
    stall.card("100", article="SAME")
    hub = Hub(stall, ["article"])
    assert hub.counts("products-in") == {"parked": 1}
    row = hub.parked()
    assert (row.external_id, row.facts["candidates"], row.facts["why"]) == ("100", [first.pk, second.pk], "article = same")
    joining.join(row, second.pk, "ann")
    hub.retry(row)
    assert (hub.links(), hub.connection.parked.count()) == ({"100": "p2"}, 0)
    assert taking.copies(hub.connection, Kind.OFFER, [second.pk])[second.pk].article == "SAME"


def test_goods_leave_a_card_that_was_told_their_stock_only_once_it_is_gone(stall: Stall) -> None:
    """Else it would be told no 0 any more, and stay on sale."""
    first, _second = good("p1", article="same", stock=3), good("p2", article="same", stock=4)
    stall.card("1", code="p1")
    hub = Hub(stall, ["article"])
    hub.counts("products-in", "offers-out")
    stall.card("2", article="same")
    hub.counts("products-in")
    row = hub.parked()
    with pytest.raises(NeedsOwner, match="Archive or delete"):
        joining.join(row, first.pk, "ann")
    stall.card("1", gone=True)
    hub.counts("products-in")
    joining.join(row, first.pk, "ann")
    hub.retry(row)
    hub.counts("offers-out")
    assert (hub.links(), stall.told["2"]) == ({"2": "p1"}, {"quantity": Decimal(3)})


def test_a_card_may_be_said_to_be_none_of_the_goods_that_fit_and_becomes_new_goods(stall: Stall) -> None:
    good("p1", article="same")
    good("p2", article="same")
    stall.card("100", article="same")
    hub = Hub(stall, ["article"])
    hub.counts("products-in")
    assert hub.retry(hub.parked(), new=True).counts["created"] == 1
    assert hub.links() == {"100": "100"}


def test_two_cards_for_one_good_are_no_silent_twins(stall: Stall) -> None:
    good("p1")
    stall.card("100", code="p1")
    stall.card("200", code="p1")
    hub = Hub(stall)
    assert hub.counts("products-in") == {"matched": 1, "parked": 1}
    assert hub.links() == {"100": "p1"}
    assert hub.parked().facts["other"] == "100"


def test_a_code_of_a_product_with_variants_means_its_plain_offer_where_there_is_one(stall: Stall) -> None:
    good("p1#s", code="C-1")
    good("p1#m", code="C-1")
    good("p2", code="C-2")
    good("p2#s", code="C-2")
    good("p3#s", code="C-3", offer={"article": "p3-s"})
    good("p3#m", code="C-3", offer={"article": "p3-m"})
    for ident, code in (("100", "C-1"), ("200", "C-2")):
        stall.card(ident, code=code)
    stall.card("300", article="P3-M")
    hub = Hub(stall, ["code", "article"], offer_id="code")
    assert hub.counts("products-in") == {"matched": 2, "parked": 1}
    assert hub.links() == {"200": "p2", "300": "p3#m"}
    assert len(hub.parked().facts["candidates"]) == 2


@pytest.mark.parametrize("unknown", ["park", "leave", "create"])
def test_a_card_for_which_nothing_is_found_is_parked_left_out_or_made(stall: Stall, unknown: str) -> None:
    group("g-new", "З маркетплейса")
    stall.card(
        "100", "Ваза", code="V-1", article="ВЗ-1", barcode="482", description="Скло", vendor="Завод",
        properties=(("Колір", "синій"),), pictures=("https://x.example/1.jpg",), price=Decimal(90),
    )  # fmt: skip
    stall.card("200", "Глек")
    hub = Hub(stall, unknown_cards=unknown, new_group="g-new", new_category="Посуд")
    counts = hub.counts("products-in")
    assert counts == {{"park": "parked", "leave": "left_out", "create": "created"}[unknown]: 2}
    if unknown != "create":
        assert not models.Product.objects.exists()
        assert hub.connection.parked.count() == (2 if unknown == "park" else 0)
        line = hub.run("products-in", only=["200"]).lines.count()
        assert line == 0
        return
    row = models.Product.objects.get(key="100")
    assert (row.name, row.article, row.code, row.barcode, row.description) == ("Ваза", "ВЗ-1", "V-1", "482", "Скло")
    assert (row.manufacturer, row.category, row.group.key, row.requisites) == ("Завод", "Посуд", "g-new", [["Колір", "синій"]])
    assert (row.pictures, row.offers.get().prices.count()) == (["https://x.example/1.jpg"], 0)
    assert hub.links() == {"100": "100", "200": "200"}
    assert hub.counts("products-in") == {}


def test_why_cards_stand_alone_is_said_in_the_run(stall: Stall) -> None:
    stall.card("100", "Ваза", problem="очікує модерації")
    good("p1")
    stall.card("200", code="p1")
    said = Hub(stall, unknown_cards="leave").said("products-in")
    assert said[0] == "1 cards are not on sale there, such as Ваза: очікує модерації"
    assert said[1].startswith("1 of 2 cards are linked to no goods of the books, such as Ваза (100):")


def test_new_goods_are_known_by_the_next_cards_and_keep_what_the_books_say(stall: Stall) -> None:
    stall.card("100", "Ваза", article="v")
    stall.card("200", "Ваза 2", article="V")
    stall.card("300", "Ваза 3", article="v")
    hub = Hub(stall, ["article"], unknown_cards="create")
    assert hub.counts("products-in") == {"created": 1, "parked": 2}
    models.Product.objects.update(name="Ваза скляна")
    stall.card("100", "Renamed there")
    assert hub.counts("products-in") == {"unchanged": 1}
    assert models.Product.objects.get().name == "Ваза скляна"


def test_the_id_of_new_goods_that_others_have_is_told_apart(stall: Stall) -> None:
    good("100", "Інше")
    stall.card("100", "Ваза")
    hub = Hub(stall, unknown_cards="create")
    hub.counts("products-in")
    assert hub.links() == {"100": "100@bazaar"}


def test_linking_changes_nothing_of_the_goods(stall: Stall) -> None:
    good("p1", "Чашка")
    stall.card("100", "Cup", code="p1", description="Other", article="other")
    hub = Hub(stall)
    hub.counts("products-in")
    row = models.Product.objects.get()
    assert (row.name, row.description, row.article, row.version) == ("Чашка", "", "a-p1", 1)


def test_goods_marked_for_deletion_are_found_by_no_card(stall: Stall) -> None:
    models.Offer.objects.filter(pk=good("p1").pk).update(deleted=True)
    stall.card("100", code="p1")
    assert Hub(stall).counts("products-in") == {"parked": 1}


def test_what_a_change_needs_is_kept_with_the_link(stall: Stall) -> None:
    offer = good("p1")
    stall.card(
        "100",
        code="p1",
        price=Decimal("12.50"),
        currency="UAH",
        quantity=Decimal(3),
        facts=(("item_id", "77"),),
        problem="прихована",
    )
    hub = Hub(stall)
    hub.counts("products-in")
    copy = taking.copies(hub.connection, Kind.OFFER, [offer.pk])[offer.pk]
    assert (copy.key, copy.requisites, copy.extra) == ("100", (("item_id", "77"),), "прихована")
    assert (copy.prices[0].value, copy.stock[0].quantity) == (Decimal("12.50"), Decimal(3))


# --- gone ------------------------------------------------------------------------------------------------------------------


def test_a_card_that_is_said_to_be_gone_loses_its_link_and_its_return_brings_it_back(stall: Stall) -> None:
    good("p1")
    stall.card("100", code="p1")
    hub = Hub(stall)
    hub.counts("products-in")
    stall.card("100", gone=True)
    assert hub.said("products-in") == ["The card 100 is gone over there: nothing is sent to it any more"]
    assert hub.links() == {}
    stall.card("100", gone=False)
    hub.counts("products-in")
    assert hub.links() == {"100": "p1"}


def test_a_card_that_no_list_shows_is_asked_for_before_it_is_gone(stall: Stall, monkeypatch: pytest.MonkeyPatch) -> None:
    for ident in ("1", "2", "3"):
        good(f"p{ident}")
        stall.card(ident, code=f"p{ident}")
    hub = Hub(stall)
    hub.counts("products-in")
    stall.hidden.add("1")
    del stall.cards["2"]
    hub.counts("products-in")
    assert set(hub.links()) == {"1", "2", "3"}, "what has not changed is not said to be gone"
    tomorrow(monkeypatch)
    assert hub.said("products-in") == ["The card 2 is gone over there: nothing is sent to it any more"]
    assert (set(hub.links()), stall.calls[-2:]) == ({"1", "3"}, ["card 1", "card 2"])


def test_when_too_many_cards_are_gone_at_once_none_is_lost_until_the_owner_allows_it(
    stall: Stall, monkeypatch: pytest.MonkeyPatch
) -> None:
    idents = {str(number) for number in range(1, 11)}
    for ident in idents:
        good(f"p{ident}")
        stall.card(ident, code=f"p{ident}")
    hub = Hub(stall)
    hub.counts("products-in")
    for ident in ("1", "2", "3", "4"):
        del stall.cards[ident]
    tomorrow(monkeypatch)
    for _again in range(2):
        run = hub.run("products-in")
        assert (run.state, set(hub.links())) == ("needs_owner", idents)
        assert run.text.format(**run.facts).startswith("4 of 10 linked cards would be gone at Bazaar")
    stall.card("1", code="p1")
    hub.counts("products-in")
    assert set(hub.links()) == idents - {"2", "3", "4"}, "a few may be gone"
    stall.cards.clear()
    hub.set(may_vanish=100)
    tomorrow(monkeypatch, 2)
    hub.counts("products-in")
    assert hub.links() == {}


def test_goods_whose_card_is_gone_may_have_another(stall: Stall) -> None:
    good("p1")
    stall.card("100", code="p1")
    hub = Hub(stall)
    hub.counts("products-in")
    stall.card("100", gone=True)
    hub.counts("products-in")
    stall.card("200", code="p1")
    assert hub.counts("products-in") == {"matched": 1}
    assert hub.links() == {"200": "p1"}


def test_an_unlinked_card_that_is_gone_is_nothing(stall: Stall) -> None:
    stall.card("100", gone=True)
    assert Hub(stall, unknown_cards="create").counts("products-in") == {}
    assert not models.Product.objects.exists()


# --- reading -----------------------------------------------------------------------------------------------------------------


def test_a_reading_that_breaks_off_is_gone_on_with_and_judges_no_absence(stall: Stall, monkeypatch: pytest.MonkeyPatch) -> None:
    for ident in ("1", "2", "3", "4", "5"):
        good(f"p{ident}")
        stall.card(ident, code=f"p{ident}")
    hub = Hub(stall)
    stall.break_after = 1
    assert hub.run("products-in").state == "failed"
    stall.break_after = None
    assert hub.counts("products-in") == {"matched": 3}
    assert (stall.calls, len(hub.links())) == (["cards from 0", "cards from 2"], 5)


def test_a_market_that_cannot_tell_changes_is_read_whole_each_time(stall: Stall) -> None:
    stall.tells_changes = False
    good("p1")
    stall.card("100", code="p1")
    hub = Hub(stall)
    hub.counts("products-in")
    assert hub.counts("products-in") == {"unchanged": 1}
    assert stall.calls == ["cards from 0", "cards from 0"]


def test_another_way_of_finding_looks_at_every_card_again(stall: Stall) -> None:
    good("p1")
    stall.card("100", code="a-p1")
    hub = Hub(stall, unknown_cards="leave")
    assert hub.counts("products-in") == {"left_out": 1}
    hub.set(offer_id="article")
    assert hub.counts("products-in") == {"matched": 1}


def test_single_cards_are_loaded_by_their_id(stall: Stall) -> None:
    good("p1")
    good("p2")
    stall.card("100", code="p1")
    stall.card("200", code="p2")
    hub = Hub(stall)
    assert hub.counts("products-in", only=["200"]) == {"matched": 1}
    assert hub.links() == {"200": "p2"}
    assert not hub.connection.bookmarks.filter(stream="products-in").exists()
    run = hub.run("products-in", only=["900"])
    assert (run.state, run.facts["id"]) == ("failed", "900")


def test_a_preview_says_what_would_be_linked_and_why_and_links_nothing(stall: Stall) -> None:
    offer = good("p1")
    stall.card("100", code="p1")
    stall.card("200", "Ваза")
    hub = Hub(stall, unknown_cards="create")
    run = hub.run("products-in", preview=True)
    assert (run.counts, hub.links(), models.Product.objects.count()) == ({"matched": 1, "created": 1}, {}, 1)
    linked, made = run.results.order_by("external_id")
    assert (linked.record_id, linked.changes, linked.facts) == (offer.pk, {"their id": [None, "100"]}, {"why": "key = p1"})
    assert (made.external_id, made.changes) == ("200", {"name": [None, "Ваза"]})


def test_the_bookmark_is_when_all_were_read_and_taking_it_back_reads_all_again(stall: Stall) -> None:
    source = next(iter(Hub(stall).connector().sources()))
    assert isinstance(source, CardsIn)
    assert source.bookmark_words(None) == ""
    assert source.bookmark_from("", None) == {}
    whole = source.bookmark_from("2026-03-02T10:00:00+00:00", None)
    assert source.bookmark_words(whole) == "2026-03-02T10:00:00+00:00"
    with pytest.raises(NeedsOwner, match="leave both fields empty"):
        source.bookmark_from("", models.timezone.now())
    with pytest.raises(NeedsOwner, match="leave both fields empty"):
        source.bookmark_from("x", None)


def test_a_card_that_cannot_be_read_is_parked_alone(stall: Stall) -> None:
    source = next(iter(Hub(stall).connector().sources()))
    payloads = (b'{"id": "1", "name": "Cup"}', b"{", {"id": ["5"]}, {"id": "7", "price": "x"}, {"id": "8", "price": "NaN"},
                {"id": "9", "quantity": "Infinity"}, {"id": " ", "name": "N"})  # fmt: skip
    first, *others = source.parse(Kind.OFFER, [Item("x", payload, b"") for payload in payloads])
    assert isinstance(first, Offer)
    assert (first.key, first.name) == ("1", "Cup")
    assert [type(other) for other in others] == [BadRecord] * 6
    assert str(others[-1]) == "The card “N” has no id over there: it cannot be linked yet"
