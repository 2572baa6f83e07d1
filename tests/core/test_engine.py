"""The laws of the engine (design §4), with a store in memory."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from core.memory import Crash, MemoryStore, Shop, item
from obmen.core import engine
from obmen.core.contract import Change, MissingLink, NeedsOwner, Outcome, Page, Receiving, StartAgain
from obmen.core.engine import Guard, pull, push
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


def goods(names: str, count: int = 90, pages: int = 3) -> list[list[Any]]:
    """Pages of goods that are all called by ``names``."""
    each = count // pages
    return [[item(f"p{i}", name=names) for i in range(n * each, (n + 1) * each)] for n in range(pages)]


class Steps(Shop):
    """A shop whose pages say how far they are, and have no bookmark."""

    says_how_much = True
    reads = 0

    def pages(self, since, known):  # type: ignore[no-untyped-def]
        self.reads += 1
        for number, items in enumerate(self.given, 1):
            total = len(self.given) if self.says_how_much else 0
            yield Page(self.kind, items, done=number if total else 0, total=total)


def guarded(store: MemoryStore, percent: int = 50) -> Guard:
    return Guard({Kind.PRODUCT: percent}, lambda kind: sum(k is kind for k, _id in store.link_rows))


def test_too_many_changes_are_known_before_the_first_of_them_is_written() -> None:
    store = MemoryStore()
    pull(Steps(*goods("A")), store, guard=guarded(store))
    settled = store.settled
    with pytest.raises(NeedsOwner) as stopped:
        pull(Steps(*goods("B")), store, guard=guarded(store))
    assert (stopped.value.text, stopped.value.facts["changed"], stopped.value.facts["known"]) == (engine.TOO_MANY, 90, 90)
    assert (store.settled, {r.name for r in store.books.values()}) == (settled, {"A"})


def test_few_changes_are_read_once_and_suspicious_ones_twice() -> None:
    store = MemoryStore()
    pull(Steps(*goods("A")), store)
    few = Steps([item("p0", name="B")], *goods("A")[1:])
    assert pull(few, store, guard=guarded(store))["updated"] == 1
    assert few.reads == 1
    first_page = Steps(goods("C")[0], *goods("A")[1:])  # goes on so, by the look of its first page
    assert pull(first_page, store, guard=guarded(store))["updated"] == 30
    assert first_page.reads == 3, "once until it was suspected, once to be counted, once to be written"


def test_an_input_that_does_not_say_how_long_it_is_stops_where_the_share_is_reached() -> None:
    store = MemoryStore()
    pull(Steps(*goods("A", 120, 4)), store)
    endless = Steps(*goods("B", 120, 4))
    endless.says_how_much = False
    with pytest.raises(NeedsOwner) as stopped:
        pull(endless, store, guard=guarded(store))
    assert (stopped.value.text, sum(r.name == "B" for r in store.books.values())) == (engine.TOO_MANY_MORE, 60)


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


def test_an_edit_after_a_lost_answer_does_not_make_a_twin_either() -> None:
    store, shop = MemoryStore(), Shop()
    shop.lose_answer = True
    with pytest.raises(Crash):
        push(shop, [(1, 1, Product("a", name="A"))], store, connection="x")
    assert push(shop, [(1, 2, Product("a", name="B"))], store, connection="x") == Counter(created=1)
    assert {ident: thing["name"] for ident, thing in shop.things.items()} == {"t1": "B"}


def test_a_batch_is_filled_with_what_has_changed_however_far_apart_it_stands() -> None:
    store, shop = MemoryStore(), Shop()
    goods = [(n, 1, Product(f"p{n}", name="A")) for n in range(1, 2001)]
    push(shop, goods, store, connection="x")
    shop.batches.clear()
    changed = [(n, 2, Product(f"p{n}", name="B")) if n in (3, 999, 1500) else (n, v, p) for n, v, p in goods]
    assert push(shop, changed, store, connection="x") == Counter(updated=3, unchanged=1997)
    assert shop.batches == [2, 1]


class Overlapping(Shop):
    """A sink that may be written to while the next batch is prepared; its first call ends when record 600 has been rendered."""

    overlaps, creates, batch = True, False, 500

    def __init__(self) -> None:
        super().__init__()
        self.prepared, self.breaks_at = threading.Event(), 0

    def external_id(self, record: Product) -> str | None:
        return record.key

    def render(self, record_id: int, record: Product, links: Any) -> Mapping[str, Any] | None:
        if record_id == 600:
            self.prepared.set()
        return super().render(record_id, record, links)

    def write(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        assert self.prepared.wait(60), "nothing is prepared while a batch is on its way"
        if len(self.batches) + 1 == self.breaks_at:
            raise Crash
        yield from super().write(changes)


def test_the_next_batch_is_prepared_while_one_is_on_its_way() -> None:
    store, shop = MemoryStore(), Overlapping()
    goods = [(n, 1, Product(f"p{n}", name="A")) for n in range(1, 1101)]
    assert push(shop, goods, store, connection="x") == Counter(created=1100)
    assert shop.batches == [500, 500, 100]
    assert push(shop, goods, store, connection="x") == Counter(unchanged=1100)


def test_after_a_failure_no_further_batch_leaves_and_what_arrived_is_settled() -> None:
    store, shop = MemoryStore(), Overlapping()
    shop.breaks_at = 2
    goods = [(n, 1, Product(f"p{n}", name="A")) for n in range(1, 1101)]
    with pytest.raises(Crash):
        push(shop, goods, store, connection="x")
    assert shop.batches == [500]
    shop.breaks_at = 0
    assert push(shop, goods, store, connection="x") == Counter(unchanged=500, created=600)


def test_what_was_left_out_on_purpose_waits_for_nothing_any_more() -> None:
    store = MemoryStore()
    pull(Shop([item("a", bad=True)]), store)
    assert list(store.parked) == [(Kind.PRODUCT, "a")]
    store.bookmarks.clear()
    assert pull(Shop([item("a", out=True)]), store) == Counter(left_out=1)
    assert store.parked == {}


def test_a_person_who_asks_for_one_record_gets_it_although_it_has_not_changed() -> None:
    store, shop = MemoryStore(), Shop([item("a", name="A")])
    pull(shop, store)
    shop.parsed.clear()

    class Asked(Shop):
        def pages(self, since, known):  # type: ignore[no-untyped-def]
            yield Page(Kind.PRODUCT, [item("a", name="A")], anyway=True)

    asked = Asked()
    assert pull(asked, store) == Counter(unchanged=1)
    assert asked.parsed == ["a"]


def test_a_record_that_cannot_be_rendered_is_parked_and_the_rest_is_written() -> None:
    store, shop = MemoryStore(), Shop()
    goods = [(1, 1, Product("a")), (2, 1, Product("b", name="B"))]
    assert push(shop, goods, store, connection="x") == Counter(parked=1, created=1)


def test_a_preview_of_sending_writes_nothing_there() -> None:
    store, shop = MemoryStore(), Shop()
    assert push(shop, [(1, 1, Product("a", name="A"))], store, connection="x", preview=True) == Counter(would_write=1)
    assert shop.calls == []
