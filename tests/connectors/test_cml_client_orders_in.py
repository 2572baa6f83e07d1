"""The stream of orders of a shop: nothing is lost and nothing doubled, whatever the shop confirms and wherever it breaks off."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from connectors.cml_client_kit import CUP, MUG, Kit, answer, buyer, el, line, order_xml, requisites
from core.memory import Crash
from obmen.core.contract import BadDocument, NeedsOwner, TryLater
from obmen.core.engine import pull
from obmen.core.records import Kind, Order, Product, Subject


@pytest.fixture
def make(tmp_path: Path) -> Any:
    return lambda profile="cs-cart-exim-1c", **settings: Kit(tmp_path, profile, **settings)


def test_a_shop_that_gives_everything_each_time_doubles_nothing(make: Any) -> None:
    """CS-C2 IC-19: the old CS-Cart confirms nothing and remembers nothing."""
    kit = make()
    assert kit.load(answer(order_xml("1"), order_xml("2"))) == Counter(created=2)
    assert kit.load() == Counter(unchanged=2)
    assert kit.load(answer(order_xml("1", Купон="x"), order_xml("2"), order_xml("3"))) == Counter(
        created=1, updated=1, unchanged=1
    )
    assert sorted(kit.store.orders()) == ["1", "2", "3"]


def test_unchanged_orders_are_not_parsed_again_unless_a_setting_or_a_table_changes(make: Any) -> None:
    kit = make()
    kit.load(answer(order_xml("1")))
    assert kit.load() == Counter(unchanged=1)
    kit.hub.map("in", Subject.ORDER_STATE, "Открыт", "accepted")
    assert kit.load()["updated"] + kit.load()["unchanged"] >= 1
    before = kit.source().rules.fingerprint
    kit.s = kit.node.s = type(kit.s)(**{**vars(kit.s), "organisation": "org"})
    assert kit.source().rules.fingerprint != before
    kit.load()
    assert kit.store.order(1).organisation == "org"


def test_the_shop_hears_success_only_after_the_last_page_stands_in_the_books(make: Any) -> None:
    """CS-A4: a crash before that leaves the orders unconfirmed, and the next load takes them."""
    kit = make("generic")
    kit.store.crash_at = 0
    with pytest.raises(Crash):
        kit.load(answer(order_xml("1")))
    assert kit.node.said == ["query"]
    assert kit.store.orders() == {}
    kit.store.crash_at = None
    assert kit.load()["created"] == 1
    assert kit.node.said == ["query", "query", "success"]


def test_a_crash_at_any_page_loses_no_order_of_a_shop_that_moves_its_own_mark(make: Any) -> None:
    """IC-19: the new CS-Cart counts orders as given when it is asked. What has arrived lies in the hub until it is settled."""
    for crash in range(4):
        kit = make("cs-cart-commerceml", login=f"a{crash}")
        kit.store.crash_at = crash
        documents = [order_xml(str(n)) for n in range(1, 451)]  # three pages and the bookmark
        with pytest.raises(Crash):
            kit.load(answer(*documents))
        kit.store.crash_at = None
        counts = kit.load(answer())  # the shop has nothing more to say
        assert len(kit.store.orders()) == 450
        assert counts["created"] + counts["unchanged"] == 450
        assert not kit.source().kept.waiting()
        assert kit.load(answer()) == Counter()


def test_a_lost_answer_of_a_shop_that_moves_its_own_mark_is_told(make: Any) -> None:
    """IC-19: what is lost on the way nobody can take, so a person hears of it."""
    kit = make("cs-cart-commerceml")
    kit.node.answers = [TryLater("the connection broke"), answer()]
    with pytest.raises(TryLater):
        kit.load()
    kit.load(answer(order_xml("1")))
    lost = [text for (level, text) in kit.hub.reported if level == "warning" and "got lost on the way" in text]
    assert len(lost) == 1
    kit.hub.reported.clear()
    kit.load()
    assert not [text for _level, text in kit.hub.reported if "got lost" in text]


def test_a_shop_that_lets_nobody_in_has_lost_no_answer(make: Any) -> None:
    """A wrong password, corrected: the question for orders was never asked."""
    kit = make("cs-cart-commerceml")
    kit.node.closed = NeedsOwner("wrong password")
    with pytest.raises(NeedsOwner):
        kit.load()
    kit.node.closed = None
    assert kit.load(answer(order_xml("1")))["created"] == 1
    assert not [text for _level, text in kit.hub.reported if "got lost" in text]


def test_a_lost_answer_of_a_shop_that_waits_for_success_is_no_news(make: Any) -> None:
    kit = make("bitrix")
    kit.node.answers = [TryLater("the connection broke"), answer(order_xml("1"))]
    with pytest.raises(TryLater):
        pull(kit.source(), kit.store)
    assert pull(kit.source(), kit.store)["created"] == 1
    assert not [text for _level, text in kit.hub.reported if "got lost" in text]


def test_the_same_document_twice_in_one_answer_is_one_order(make: Any) -> None:
    kit = make()
    assert kit.load(answer(order_xml("1"), order_xml("1"))) == Counter(created=1, repeated=1)
    assert kit.load(answer(order_xml("1", Купон="a"), order_xml("1", Купон="b"))) == Counter(updated=1, repeated=1)


def test_an_order_that_is_removed_and_comes_back_is_the_same_order(make: Any) -> None:
    kit = make()
    kit.load(answer(order_xml("1"), order_xml("2")))
    kit.load(answer(order_xml("2")))
    assert sorted(kit.store.orders()) == ["1", "2"]
    assert kit.load(answer(order_xml("1"), order_xml("2"))) == Counter(unchanged=2)
    gone = order_xml("1", more=el("ПометкаУдаления", "true"))
    kit.load(answer(gone, order_xml("2")))
    assert (kit.store.order(1).cancelled, kit.store.order(1).deleted) == (True, True)
    kit.load(answer(order_xml("1"), order_xml("2")))
    assert (kit.store.order(1).cancelled, kit.store.order(1).deleted) == (False, False)


def test_one_bad_order_is_set_aside_with_its_reason_and_the_others_are_taken(make: Any) -> None:
    kit = make("generic")
    bad = order_xml("2", date="someday")
    assert kit.load(answer(order_xml("1"), bad, order_xml("3"))) == Counter(created=2, parked=1)
    ((kind, key), (where, error)) = next(iter(kit.store.parked.items()))
    assert (kind, key, where) == (Kind.ORDER, "2", "orders.xml:1")
    assert "Дата" in str(error)
    assert kit.node.said[:2] == ["query", "success"]
    assert kit.load(answer(order_xml("1"), order_xml("2"), order_xml("3"))) == Counter(created=1, unchanged=2)
    assert kit.store.parked == {}


def test_a_document_that_breaks_off_gives_what_stands_before_and_is_kept(make: Any) -> None:
    """Raw input is kept for a person, nothing is confirmed, and the next exchange goes on."""
    kit = make("generic")
    broken = answer(order_xml("1"), order_xml("2"), end=False)[:-40]
    with pytest.raises(BadDocument, match=r"breaks off in .* What the shop sent is kept in") as caught:
        kit.load(broken)
    kept = Path(str(caught.value.facts["path"]))
    assert next(kept.iterdir()).read_bytes() == broken
    assert sorted(kit.store.orders()) == ["1"]
    assert kit.node.said == ["query"]
    assert kit.load(answer(order_xml("1"), order_xml("2"))) == Counter(created=1, unchanged=1)
    for _time in range(7):
        with pytest.raises(BadDocument):
            kit.load(broken)
        kit.hub.later(seconds=1)
    assert len(list(kept.parent.glob("broken-*"))) == 5


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + answer(order_xml("1"), head='<?xml version="1.0"?>'),
        answer(order_xml("1"), head='<?xml version="1.0"?>\n'),
        answer(
            order_xml("1"), attributes=' ВерсияСхемы="2.05" ДатаФормирования="2026-03-02T10:00:00" СинхронизацияТоваров="false"'
        ),
        answer(order_xml("1"), head='<?xml version="1.0" encoding="windows-1251"?>').decode().encode("cp1251"),
    ],
    ids=["a mark of byte order", "no version", "МойСклад", "windows-1251"],
)
def test_an_answer_is_read_in_any_encoding_and_version(make: Any, body: bytes) -> None:
    """IC-16"""
    kit = make()
    kit.load(body)
    order = kit.store.order(1)
    assert (order.counterparty and order.counterparty.name, order.lines[0].name) == ("Тестов Тест", "Чашка")


def test_an_answer_without_orders_is_told_and_confirmed(make: Any) -> None:
    kit = make("generic")
    assert kit.load(answer()) == Counter()
    assert kit.hub.reported == {("info", "The shop gave no orders"): 1}
    assert kit.node.said == ["query", "success"]


def test_an_empty_answer_stops_the_exchange_and_is_neither_taken_for_no_orders_nor_confirmed(make: Any) -> None:
    """IC-20 CS-C3: what the shop's profile says to it stands in tests of the conversation."""
    kit = make()
    kit.node.answers = [NeedsOwner("The shop gave an empty answer")]
    with pytest.raises(NeedsOwner):
        kit.load()
    assert kit.node.said == ["query"]


def test_a_shop_without_orders_is_not_asked(make: Any) -> None:
    """GM-9: GetMeBack gives none; its profile has them off, and they cannot be switched on."""
    kit = make("getmeback")
    assert kit.load(answer(order_xml("1"))) == Counter()
    assert kit.node.said == []
    assert kit.hub.reported == {("info", "The exchange of orders is switched off in the settings"): 1}
    with pytest.raises(NeedsOwner, match="GetMeBack has no orders for 1C, switch it off"):
        make("getmeback", exchange_orders=True)


def test_the_exchange_of_orders_can_be_off(make: Any) -> None:
    """CS-A4"""
    kit = make(exchange_orders=False)
    assert kit.load(answer(order_xml("1"))) == Counter()
    assert kit.node.said == []


def test_a_preview_confirms_nothing_and_throws_nothing_away(make: Any) -> None:
    """CS-B7: looking moves the mark of the new CS-Cart, so what was looked at is taken by the next load."""
    kit = make("cs-cart-commerceml")
    kit.hub.preview = True
    kit.node.answers = [answer(order_xml("1"))]
    assert pull(kit.source(), kit.store, preview=True)["created"] == 1
    assert kit.node.said == ["query"]
    assert kit.hub.noted == {}
    kit.hub.preview = False
    assert kit.load(answer())["created"] == 1


def test_payments_that_stand_elsewhere_in_the_answer_find_their_order(make: Any) -> None:
    kit = make("bitrix")
    pay = el("Документ", el("Ид", "9"), el("Дата", "2026-03-03"), el("ХозОперация", "Эквайринговая операция"), el("Сумма", "100"),
             el("Основание", "1"), requisites(Оплачено="true"))  # fmt: skip
    assert kit.load(answer(pay, order_xml("1"), order_xml("2"))) == Counter(created=2)
    assert [p.key for p in kit.store.order(1).payments] == ["9"]
    assert kit.store.order(1).paid is True
    assert kit.store.order(2).payments == ()


def test_orders_in_containers_come_with_their_own_documents(make: Any) -> None:
    kit = make("bitrix")

    def box(number: str) -> str:
        pay = el("Документ", el("Ид", f"p{number}"), el("Дата", "2026-03-03"), el("ХозОперация", "Выплата наличных денег"),
                 el("Сумма", "100"), el("Основание", number), requisites(Оплачено="true"))  # fmt: skip
        return el("Контейнер", pay, order_xml(number))

    assert kit.load(answer(box("1"), box("2"))) == Counter(created=2)
    assert [p.key for n in (1, 2) for p in kit.store.order(n).payments] == ["p1", "p2"]
    assert kit.load(answer(box("1"), box("2"))) == Counter(unchanged=2)


def test_a_shop_that_gives_a_few_at_a_time_is_asked_until_it_has_no_more(make: Any) -> None:
    """WooCommerce-1C gives five, the others once these are confirmed."""
    kit = make("woocommerce-1c")
    parts = [answer(*(order_xml(str(n)) for n in range(first, first + 5))) for first in (1, 6, 11)]
    kit.node.answers = [*parts, answer()]
    assert pull(kit.source(), kit.store) == Counter(created=15)
    assert kit.node.said == ["query", "success"] * 4
    assert not [text for _level, text in kit.hub.reported if "gave no orders" in text]


def test_a_shop_that_hears_no_success_is_asked_once(make: Any) -> None:
    kit = make("cs-cart-exim-1c")
    kit.load(answer(order_xml("1")))
    assert kit.node.said == ["query", "success"]


def test_a_shop_that_gives_the_same_orders_again_is_not_asked_for_ever(make: Any) -> None:
    kit = make("generic")
    kit.node.answers = [answer(order_xml("1"))] * 9
    assert pull(kit.source(), kit.store) == Counter(created=1, unchanged=1)
    assert kit.node.said == ["query", "success"] * 2


def test_of_two_words_about_an_order_in_one_answer_the_later_counts_also_when_it_is_older(make: Any) -> None:
    kit = make()
    kit.load(answer(order_xml("1", Купон="old")))
    kit.load(answer(order_xml("1", Купон="new"), order_xml("2"), order_xml("1", Купон="newest")))
    assert dict(kit.store.order(1).requisites)["Купон"] == "newest"


# --- goods that orders create ----------------------------------------------------------------------------------------------


def test_goods_that_are_not_in_the_books_are_created_from_the_order(make: Any) -> None:
    """CS-A12 CS-A13 CS-A14 CS-A15"""
    kit = make(create_goods=True, goods_kind="Посуда", services_kind="Услуги сайта", unit="пар", goods_group="g-site")
    lines = line() + line("new-1", "Ваза#Цвет: белый", more=el("Артикул", "V-1")) + line("new-2", "Гравировка", kind="Услуга")
    kit.load(answer(order_xml("1", lines=lines, total=300)))
    made = {card.key: card for card in kit.store.books.values() if isinstance(card, Product)}
    assert sorted(made) == ["new-1", "new-2"]
    vase, service = made["new-1"], made["new-2"]
    assert (vase.name, vase.article, vase.kind, vase.unit, vase.groups) == ("Ваза", "V-1", "Товар", "пар", ("g-site",))
    assert (vase.requisites, service.requisites) == ((("ВидНоменклатуры", "Посуда"),), (("ВидНоменклатуры", "Услуги сайта"),))
    assert service.kind == "Услуга"
    assert {key for kind, key in kit.store.link_rows if kind is Kind.OFFER} == {"new-1", "new-2"}
    assert [ln.offer for ln in kit.store.order(1).lines] == [CUP, "new-1", "new-2"]


def test_variants_of_unknown_goods_become_offers_of_one_product(make: Any) -> None:
    """CS-A12 IC-7"""
    kit = make(create_goods=True)
    lines = (
        line("new#1", "Ваза#Цвет: белый") + line("new#2", "Ваза#Цвет: синий") + line("", "Безымянное", more=el("Артикул", "N-1"))
    )
    kit.load(answer(order_xml("1", lines=lines, total=300)))
    assert sorted(key for kind, key in kit.store.link_rows if kind is Kind.PRODUCT) == ["article:N-1", "new"]
    assert sorted(key for kind, key in kit.store.link_rows if kind is Kind.OFFER) == ["article:N-1", "new#1", "new#2"]


def test_no_goods_are_created_unless_the_settings_say_so(make: Any) -> None:
    kit = make(create_goods=False)
    kit.load(answer(order_xml("1", lines=line("new-1", "Ваза"))))
    assert not [card for card in kit.store.books.values() if isinstance(card, Product)]
    assert [(ln.offer, ln.name) for ln in kit.store.order(1).lines] == [("new-1", "Ваза")]


# --- both sides changed an order -------------------------------------------------------------------------------------------


def test_the_settings_decide_whose_word_counts(make: Any) -> None:
    assert make(conflicts="ours").source().rules.conflict == "ours"
    assert make().source().rules.conflict == "theirs"


def test_a_shop_that_says_nothing_of_payment_leaves_ours_alone(make: Any) -> None:
    kit = make()
    kit.load(answer(order_xml("1")))
    order = kit.store.order(1)
    assert order.paid is None
    assert isinstance(order, Order)


def test_buyers_ids_are_shared_and_orders_known_by_number_and_date(make: Any) -> None:
    """CS-A5 CS-A6 CS-A11: what the store is told to do with them (tests/system/test_cml_client_orders.py)."""
    rules = make(number_attribute="№", date_attribute="Дата").source().rules
    assert (rules.shared_buyers, rules.order_attributes) == (True, ("№", "Дата"))


def test_two_lines_of_a_guest_and_a_customer_give_two_keys(make: Any) -> None:
    kit = make(buyers_by=("id", "email"))
    kit.load(
        answer(
            order_xml("1", parties=buyer("15", email="n@example.com")), order_xml("2", parties=buyer("02", email="n@example.com"))
        )
    )
    keys = [kit.store.order(n).counterparty.key for n in (1, 2)]
    assert keys == ["15", "email:n@example.com"]
    assert MUG
