"""The laws of the engine (design §4), with a store in memory."""

from __future__ import annotations

from collections import Counter

import pytest

from core.memory import Crash, MemoryStore, Shop, item
from obmen.core.contract import MissingLink, Page, Receiving, StartAgain
from obmen.core.engine import pull, push
from obmen.core.records import Kind, Product


def test_new_records_are_created_and_linked_with_the_bookmark_of_their_page() -> None:
    store = MemoryStore()
    assert pull(Shop([item("a", name="A"), item("b", name="B")]), store) == Counter(created=2)
    assert store.bookmarks == {"products": {"page": 1}}
    assert [r.name for r in store.books.values()] == ["A", "B"]


def test_what_was_seen_before_is_not_even_parsed() -> None:
    store = MemoryStore()
    pull(Shop([item("a", name="A"), item("b", name="B")]), store)
    store.bookmarks.clear()
    again = Shop([item("a", name="A"), item("b", name="other")])
    assert pull(again, store) == Counter(unchanged=1, updated=1)
    assert again.parsed == ["b"]


def test_a_crash_between_pages_loses_nothing_and_doubles_nothing() -> None:
    store = MemoryStore()
    pages = [[item("a", name="A")], [item("b", name="B")], [item("c", name="C")]]
    store.crash_at = 1
    with pytest.raises(Crash):
        pull(Shop(*pages), store)
    assert store.bookmarks == {"products": {"page": 1}}
    store.crash_at = None
    assert pull(Shop(*pages), store) == Counter(created=2)
    assert sorted(r.name for r in store.books.values()) == ["A", "B", "C"]


def test_a_bad_record_is_parked_with_its_place_and_the_rest_goes_on() -> None:
    store = MemoryStore()
    assert pull(Shop([item("a", 7, bad=True), item("b", name="B")]), store) == Counter(created=1, parked=1)
    where, error = store.parked[Kind.PRODUCT, "a"]
    assert (where, str(error)) == ("goods.xml:7", "a has no name")


def test_a_record_that_the_settings_leave_out_is_counted_and_not_parked() -> None:
    store = MemoryStore()
    assert pull(Shop([item("a", out=True)]), store) == Counter(left_out=1)
    assert not store.parked


def test_a_record_that_points_at_an_unknown_one_waits_for_it() -> None:
    store = MemoryStore()

    class Offers(Shop):
        stream, kind = "offers", Kind.OFFER

    offers = Offers([item("o", product="p")])
    assert pull(offers, store) == Counter(parked=1)
    error = store.parked[Kind.OFFER, "o"][1]
    assert isinstance(error, MissingLink)
    assert error.facts == {"kind": "product", "id": "p"}
    pull(Shop([item("p", name="P")]), store)
    store.bookmarks.clear()
    assert pull(offers, store) == Counter(created=1)
    assert not store.parked


def test_the_later_of_two_words_about_one_record_counts() -> None:
    store = MemoryStore()
    assert pull(Shop([item("a", name="old"), item("a", name="new")]), store) == Counter(created=1, repeated=1)
    assert store.books[1].name == "new"


def test_the_id_that_the_record_says_wins_over_the_quick_guess() -> None:
    store = MemoryStore()
    pull(Shop([item("guess", real_id="real", name="A")]), store)
    assert list(store.link_rows) == [(Kind.PRODUCT, "real")]


def test_a_stranger_finds_its_card_by_a_match_rule() -> None:
    store = MemoryStore()
    store.books[1] = Product("ours", name="Chair", article="A-1")
    rules = Receiving(match={Kind.PRODUCT: ["article"]})
    assert pull(Shop([item("x", name="Stool", article=" a-1 ")], rules=rules), store) == Counter(matched=1)
    assert store.link_rows[Kind.PRODUCT, "x"].record_id == 1


def test_two_cards_with_one_article_are_a_conflict_and_not_a_guess() -> None:
    store = MemoryStore()
    store.books |= {1: Product("a", article="A-1"), 2: Product("b", article="A-1")}
    rules = Receiving(match={Kind.PRODUCT: ["article"]})
    assert pull(Shop([item("x", article="A-1")], rules=rules), store) == Counter(parked=1)
    assert store.parked[Kind.PRODUCT, "x"][1].facts["candidates"] == [1, 2]


def test_two_strangers_with_one_article_in_one_page_never_share_a_card_silently() -> None:
    store = MemoryStore()
    store.books[1] = Product("ours", article="A-1")
    rules = Receiving(match={Kind.PRODUCT: ["article"]})
    assert pull(Shop([item("x", article="A-1"), item("y", article="A-1")], rules=rules), store) == Counter(matched=1, parked=1)
    assert store.parked[Kind.PRODUCT, "y"][1].facts["other"] == "x"


def test_mode_new_leaves_known_cards_alone_and_mode_existing_makes_none() -> None:
    store = MemoryStore()
    pull(Shop([item("a", name="A")]), store)
    store.bookmarks.clear()
    page = [item("a", name="changed"), item("b", name="B")]
    assert pull(Shop(page, rules=Receiving(mode="new")), store) == Counter(left_out=1, created=1)
    store.bookmarks.clear()
    page = [item("a", name="changed"), item("c", name="C")]
    assert pull(Shop(page, rules=Receiving(mode="existing")), store) == Counter(left_out=1, updated=1)
    assert [r.name for r in store.books.values()] == ["changed", "B"]


def test_a_preview_counts_the_same_and_writes_nothing() -> None:
    store = MemoryStore()
    page = [item("a", name="A"), item("b", bad=True)]
    assert pull(Shop(page), store, preview=True) == Counter(created=1, parked=1)
    assert not store.books
    assert not store.bookmarks
    assert not store.parked


def test_a_source_may_start_again_in_another_way() -> None:
    store = MemoryStore()

    class Odd(Shop):
        tries = 0

        def pages(self, since, known):  # type: ignore[no-untyped-def]
            self.tries += 1
            yield Page(Kind.PRODUCT, [item("a", name="A")])
            if self.tries == 1:
                raise StartAgain
            yield Page(Kind.PRODUCT, [item("b", name="B")])

    assert pull(Odd(), store) == Counter(created=2), "the first comes again, and is not counted twice"


def test_the_same_content_is_not_written_twice() -> None:
    store, shop = MemoryStore(), Shop()
    goods = [(1, 1, Product("a", name="A")), (2, 1, Product("b", name="B")), (3, 1, Product("c", name="C"))]
    assert push(shop, goods, store, connection="x") == Counter(created=3)
    assert push(shop, goods, store, connection="x") == Counter(unchanged=3)
    assert len(shop.calls) == 3


def test_their_report_of_our_own_change_is_no_news() -> None:
    store, shop = MemoryStore(), Shop()
    push(shop, [(1, 1, Product("a", name="A"))], store, connection="x")
    shop.given = ([item("t1", name="A")],)
    assert pull(shop, store) == Counter(unchanged=1)
    assert shop.parsed == []


def test_a_lost_answer_does_not_make_a_twin() -> None:
    store, shop = MemoryStore(), Shop()
    shop.lose_answer = True
    with pytest.raises(Crash):
        push(shop, [(1, 1, Product("a", name="A"))], store, connection="x")
    assert push(shop, [(1, 1, Product("a", name="A"))], store, connection="x") == Counter(created=1)
    assert list(shop.things) == ["t1"]
    assert [c.unsure for c in shop.calls] == [False, True]


def test_the_key_of_a_change_goes_by_version_so_that_a_b_a_is_three_changes() -> None:
    store, shop = MemoryStore(), Shop()
    for version, name in enumerate(["A", "B", "A"], 1):
        push(shop, [(1, version, Product("a", name=name))], store, connection="x")
    assert len({c.key for c in shop.calls}) == 3


def test_a_record_that_cannot_be_rendered_is_parked_and_the_rest_is_written() -> None:
    store, shop = MemoryStore(), Shop()
    goods = [(1, 1, Product("a")), (2, 1, Product("b", name="B"))]
    assert push(shop, goods, store, connection="x") == Counter(parked=1, created=1)


def test_a_preview_of_sending_writes_nothing_there() -> None:
    store, shop = MemoryStore(), Shop()
    assert push(shop, [(1, 1, Product("a", name="A"))], store, connection="x", preview=True) == Counter(would_write=1)
    assert shop.calls == []
