"""Prom over real HTTP: every wart of its API that is known (facts on marketplaces §2), against the stand-in."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.prom_kit import BALL, CUBE, Account, running
from obmen.connectors.prom import api as prom_api
from obmen.core.contract import BadDocument, BadRecord, NeedsOwner, TryLater
from obmen.core.records import Subject
from obmen.market.api import Offering
from obmen.net.client import Retry
from obmen.sandbox.stand import Answer


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    with running(tmp_path) as made:
        yield made


def fast(monkeypatch: pytest.MonkeyPatch, **retry: Any) -> None:
    monkeypatch.setattr(prom_api, "RETRY", Retry(**{"attempts": 3, "first": 0.02, **retry}))


def answering(account: Account, monkeypatch: pytest.MonkeyPatch, path: str, *answers: Any, status: int = 200) -> None:
    """The next calls of that path are answered so; then the shop speaks again."""
    left = list(answers)
    usual = account.shop.respond

    def respond(request: Any) -> Answer:
        if path in request.path and left:
            said = left.pop(0)
            return Answer(said if isinstance(said, bytes) else json.dumps(said).encode(), status)
        return usual(request)

    monkeypatch.setattr(account.shop, "respond", respond)


def product(account: Account, key: str) -> Any:
    return account.shop.product(key)


# --- who we are, and what answers mean (§2.1, §2.9) --------------------------------------------------------------------------


def test_the_check_says_the_host_and_what_the_token_opens(account: Account) -> None:
    assert account.market().check() == "127.0.0.1 · orders, products"
    account.shop.add_token("orders-only", ["orders:read"])
    assert account.market(token="orders-only").check() == "127.0.0.1 · orders"
    account.shop.add_token("nothing", ["messages:read"])
    with pytest.raises(NeedsOwner, match="may read neither orders nor goods"):
        account.market(token="nothing").check()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"token": ""}, "The token is not given"),
        ({"address": ""}, "The API address is not given"),
        ({"token": "wrong"}, "127.0.0.1 does not know the token, or its time is over"),
        ({"token": "ключ"}, "letters that no key has"),
        ({"address": "ftp://my.prom.ua/"}, "is no address"),
    ],
)
def test_what_is_wrong_with_the_connection_is_said_to_its_owner(account: Account, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(NeedsOwner, match=said):
        account.market(**settings).check()


def test_an_address_without_the_api_is_named(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NeedsOwner, match=r"There is no API of Prom at 127\.0\.0\.1"):
        account.market(address=account.url + "/v2").check()
    account.shop.fault("html", times=2, path="orders/list")
    with pytest.raises(NeedsOwner, match=r"There is no API of Prom at 127\.0\.0\.1"):
        account.market().check()


def test_a_token_that_ends_stops_the_exchange_though_the_answer_is_a_web_page(account: Account) -> None:
    account.shop.fault("expired", path="orders/list")
    with pytest.raises(NeedsOwner, match="make a new one in the cabinet"):
        account.numbers()


def test_a_missing_right_names_what_was_not_allowed(account: Account) -> None:
    order = account.shop.buy([(CUBE, 1)])
    account.shop.add_token("reader", ["orders:read"])
    account.given["token"] = "reader"
    with pytest.raises(NeedsOwner, match="The token may not do this: /orders/set_status"):
        account.change(order.id, status="received")


def test_language_and_token_go_as_headers_and_the_token_is_not_in_the_journal(account: Account) -> None:
    names = {settings["language"]: [c.name for p in account.market(**settings).cards(None) for c in p.cards if c.code == CUBE]
             for settings in ({"language": "uk"}, {"language": "ru"})}  # fmt: skip
    assert names == {"uk": ["Кубик дерев'яний"], "ru": ["Кубик деревянный"]}
    assert account.hub.calls
    assert all("sandbox-token" not in repr(call) for call in account.hub.calls)


def test_an_error_within_status_200_is_an_error(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(account, monkeypatch, "orders/list", {"error": "Unknown order status"})
    with pytest.raises(NeedsOwner, match="Prom refuses /orders/list: Unknown order status"):
        account.numbers()
    answering(account, monkeypatch, "orders/list", {"orders": None})
    with pytest.raises(BadDocument, match="did not answer /orders/list with a list of orders"):
        account.numbers()


def test_a_web_page_in_the_place_of_data_is_tried_again_later(account: Account) -> None:
    account.shop.fault("html", path="orders/list")
    with pytest.raises(TryLater, match="answered with something else than data"):
        account.numbers()


@pytest.mark.parametrize(("kind", "times"), [("429", 1), ("500", 2), ("503", 1), ("timeout", 1), ("truncated", 1)])
def test_what_passes_is_waited_for(account: Account, monkeypatch: pytest.MonkeyPatch, kind: str, times: int) -> None:
    fast(monkeypatch)
    order = account.shop.buy([(CUBE, 1)])
    account.shop.fault(kind, times, path="orders/list")
    assert account.numbers()[0] == [order.id]
    assert len(account.shop.faults.met) == times


def test_429_is_waited_for_as_long_as_it_says(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.shop.fault("429", path="orders/list", seconds=7)
    monkeypatch.setattr(prom_api, "RETRY", Retry(attempts=1))
    with pytest.raises(TryLater) as raised:
        account.numbers()
    assert raised.value.after == timedelta(minutes=1)
    account.shop.fault("429", path="orders/list", seconds=700)
    with pytest.raises(TryLater) as raised:
        account.numbers()
    assert raised.value.after == timedelta(seconds=700)


def test_after_five_failures_nobody_calls_for_a_while(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prom_api, "RETRY", Retry(attempts=1))
    account.shop.fault("500", 10, path="orders")
    market = account.market()
    for _n in range(5):
        with pytest.raises(TryLater):
            list(market.orders(None, datetime(2026, 1, 1, tzinfo=UTC)))
    calls = len(account.asked())
    with pytest.raises(TryLater, match="has failed 5 times in a row"):
        list(market.orders(None, datetime(2026, 1, 1, tzinfo=UTC)))
    assert len(account.asked()) == calls == 5


def test_calls_keep_the_pace_of_the_settings(account: Account) -> None:
    account.hub.fast = False
    market = account.market(pace=50)
    began = time.monotonic()
    for _n in range(3):
        market.order("1")
    assert time.monotonic() - began > 0.39  # five a second: two pauses between three calls


# --- reading orders (§2.2) ----------------------------------------------------------------------------------------------------


def test_dates_of_queries_have_no_zone_and_no_parts_of_seconds(account: Account) -> None:
    order = account.shop.buy([(CUBE, 1)])
    moment = datetime(2026, 9, 23, 12, 0, 0, 5, tzinfo=UTC).astimezone()
    assert account.numbers(moment=moment)[0] == [order.id]
    (first, _second) = account.queries("orders/list")
    assert first == {"limit": "100", "sort_dir": "desc", "last_modified_from": "2026-09-23T09:00:00"}


@pytest.mark.parametrize("zone", ["UTC", "Europe/Kyiv"])
def test_no_order_is_missed_whichever_zone_they_read_our_dates_in(tmp_path: Path, zone: str) -> None:
    with running(tmp_path, query_zone=zone) as account:
        first = account.shop.buy([(CUBE, 1)])
        found, bookmark = account.numbers(moment=account.clock.time - timedelta(seconds=30))
        assert found == [first.id]
        account.clock.turn(60)
        second = account.shop.buy([(CUBE, 1)])
        assert second.id in account.numbers(bookmark)[0]


@pytest.mark.parametrize("naive", [True, False])
def test_the_bookmark_is_the_latest_change_that_they_told(tmp_path: Path, naive: bool) -> None:
    with running(tmp_path, naive_dates=naive) as account:
        account.shop.buy([(CUBE, 1)])
        changed = account.clock.time
        account.clock.turn(3600)
        _found, bookmark = account.numbers()
        assert datetime.fromisoformat(bookmark["from"]) == changed.replace(microsecond=0 if naive else changed.microsecond)


def test_a_clock_of_ours_that_is_ahead_misses_nothing(account: Account) -> None:
    account.shop.buy([(CUBE, 1)])
    ahead = account.market()
    account.hub.clock += timedelta(hours=20)
    (bookmark,) = [page.bookmark for page in ahead.orders(None, datetime(2026, 9, 23, tzinfo=UTC)) if page.bookmark]
    account.clock.turn(60)
    late = account.shop.buy([(CUBE, 1)])
    assert late.id in account.numbers(bookmark)[0]


def test_a_shop_where_nothing_happens_is_not_read_from_the_beginning_each_time(account: Account) -> None:
    _found, bookmark = account.numbers()
    assert datetime.fromisoformat(bookmark["from"]) == account.clock.time - timedelta(days=1)


def test_a_long_time_is_read_in_parts_and_can_be_gone_on_with(account: Account) -> None:
    moment = account.clock.time - timedelta(days=30)
    made = []
    account.clock.turn(-29 * 86400)
    for _week in range(5):
        made.append(account.shop.buy([(CUBE, 1)]).id)
        account.clock.turn(7 * 86400)
    account.clock.turn(-6 * 86400)
    pages = list(account.market().orders(None, moment))
    # weeks come from the oldest to the latest, orders of a week as they are listed, and the last two weeks are one part
    assert [order["id"] for page in pages for order in page.orders] == [*made[:3], made[4], made[3]]
    bookmarks = [page.bookmark for page in pages if page.bookmark]
    assert [(page.done, page.total) for page in pages if page.bookmark] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert bookmarks[1] == {"from": (moment + timedelta(days=14)).isoformat()}
    assert sorted(account.numbers(bookmarks[1])[0]) == made[2:]


@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("count", [1, 3, 6, 7])
def test_pages_are_followed_to_the_end_whether_last_id_is_on_them_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inclusive: bool, count: int
) -> None:
    monkeypatch.setattr(prom_api, "PAGE", 3)
    with running(tmp_path, last_id_inclusive=inclusive) as account:
        made = [account.shop.buy([(BALL, 1)]).id for _n in range(count)]
        assert account.numbers()[0] == made[::-1]


def test_a_page_that_brings_nothing_new_ends_the_list_and_a_short_page_does_not(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [account.shop.buy([(BALL, 1)]).id for _n in range(4)]
    rows = [{"id": ident} for ident in reversed(made)]
    today = account.clock.time - timedelta(hours=1)
    answering(account, monkeypatch, "orders/list", {"orders": rows[:2]}, {"orders": rows[1:3]}, {"orders": rows[:3]})
    assert account.numbers(moment=today)[0] == made[:0:-1]
    answering(account, monkeypatch, "orders/list", *({"orders": [{"id": n}]} for n in range(10, 0, -1)))
    monkeypatch.setattr(prom_api, "MOST_PAGES", 5)
    with pytest.raises(NeedsOwner, match="does not end"):
        account.numbers(moment=today)


def test_a_full_page_that_brings_nothing_new_is_said_and_the_bookmark_stays(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They do not heed last_id: what is behind the page cannot be had."""
    monkeypatch.setattr(prom_api, "PAGE", 3)
    made = [account.shop.buy([(BALL, 1)]).id for _n in range(5)]
    rows = {"orders": [{"id": ident} for ident in reversed(made)][:3]}
    answering(account, monkeypatch, "orders/list", rows, rows)
    pages = account.market().orders(None, account.clock.time - timedelta(hours=1))
    assert [row["id"] for row in next(pages).orders] == made[:1:-1]
    with pytest.raises(NeedsOwner, match=r"The list /orders/list of .* does not end"):
        next(pages)


def test_rows_without_an_id_are_handed_on_once_to_be_parked(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [b'{"orders": [{"id": 400000003.0}, {"id": null, "status": "paid"}, {"id": 400000001}]}'] * 2
    answering(account, monkeypatch, "orders/list", *said)
    market = account.market()
    pages = list(market.orders(None, account.clock.time - timedelta(hours=1)))
    found = [row for page in pages for row in page.orders]
    assert [row["id"] for row in found] == ["400000003", None, 400000001]
    assert [market.order_id(row) for row in found[::2]] == ["400000003", "400000001"]
    with pytest.raises(BadRecord, match="This is no order of Prom: it has no id"):
        market.draft(found[1])
    assert pages[-1].bookmark is not None


def test_a_card_without_an_id_keeps_no_other_one_back(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(account, monkeypatch, "products/list", {"products": [{"id": None, "name": "X"}, {"id": 5, "name": "Y"}]})
    cards = [card for page in account.market().cards(None) for card in page.cards]
    assert [(card.id, card.name) for card in cards][:2] == [("", "X"), ("5", "Y")]


def test_an_order_paid_at_once_is_not_missed(account: Account) -> None:
    """It leaves "pending" within two minutes: whoever asks for pending ones does not see it."""
    order = account.shop.buy([(CUBE, 1)], payment=22222)
    account.clock.turn(101)
    assert account.numbers()[0] == [order.id]
    assert account.shop.orders[order.id].status == "paid"
    assert all("status" not in query for query in account.queries("orders/list"))


def test_an_old_order_that_was_changed_is_read_again(account: Account) -> None:
    order = account.shop.buy([(CUBE, 1)])
    _found, bookmark = account.numbers()
    account.clock.turn(10 * 86400)
    assert account.numbers(bookmark)[0] == [order.id]  # the overlap
    account.clock.turn(2 * 86400)
    _found, bookmark = account.numbers(bookmark)
    assert account.numbers(bookmark)[0] == []
    account.shop.cancel(order.id)
    assert account.numbers(bookmark)[0] == [order.id]


@pytest.mark.parametrize("status", [200, 404])
def test_an_order_that_is_not_there_is_none(tmp_path: Path, status: int) -> None:
    with running(tmp_path, missing_order=status) as account:
        order = account.shop.buy([(CUBE, 1)])
        market = account.market()
        found = market.order(str(order.id))
        assert found is not None
        assert found["id"] == order.id
        assert [market.order(ident) for ident in ("1", "x", "", "١")] == [None] * 4


# --- their values (§2.2, §2.3) ------------------------------------------------------------------------------------------------


def test_the_tables_are_filled_from_their_lists(account: Account) -> None:
    account.shop.add_status(123, "Чекає на склад")
    market = account.market()

    def rows(subject: Subject) -> list[tuple[str, str]]:
        return [(reference.key, reference.name) for reference in market.references(subject)]

    assert rows(Subject.ORDER_STATE) == [
        ("pending", "Новий"),
        ("received", "Прийнято"),
        ("paid", "Оплачено"),
        ("delivered", "Виконано"),
        ("canceled", "Скасовано"),
        ("custom-123", "Чекає на склад"),
    ]
    assert rows(Subject.DELIVERY) == [("11111", "Нова Пошта"), ("11112", "Укрпошта"), ("11113", "Самовивіз")]
    assert rows(Subject.PAYMENT_KIND) == [("22222", "Пром-оплата"), ("22223", "Накладений платіж")]
    assert [key for key, _name in rows(Subject.CANCEL_REASON)] == [
        "not_available", "buyers_request", "duplicate", "invalid_phone_number", "payment_not_received", "no_product_variants",
        "price_changed", "not_enough_fields", "less_than_minimal_price", "another",
    ]  # fmt: skip
    with pytest.raises(NeedsOwner, match="Prom has no list of them"):
        market.references(Subject.WAREHOUSE)


# --- statuses (§2.2) ----------------------------------------------------------------------------------------------------------


def sent(account: Account, path: str) -> list[Any]:
    return [call.json for call in account.asked(path, "POST")]


@pytest.mark.parametrize("status", ["received", "paid", "delivered"])
def test_a_status_is_set_and_read_back(account: Account, status: str) -> None:
    order = account.shop.buy([(CUBE, 1)])
    assert account.change(order.id, status=status)["status"] == status
    assert sent(account, "set_status") == [{"ids": [order.id], "status": status}]


def test_a_status_of_the_shops_own_goes_by_its_number(account: Account) -> None:
    own = account.shop.add_status(123, "Чекає на склад")
    order = account.shop.buy([(CUBE, 1)])
    back = account.change(order.id, status=own)
    assert (back["status"], back["status_name"]) == ("custom-123", "Чекає на склад")
    assert sent(account, "set_status") == [{"ids": [order.id], "custom_status_id": 123}]


@pytest.mark.parametrize("status", ["accepted", "declined", "pending", "shipped"])
def test_a_status_that_cannot_be_set_is_not_sent_and_says_which_can(account: Account, status: str) -> None:
    order = account.shop.buy([(CUBE, 1)])
    account.shop.set_status(order.id, "received")
    with pytest.raises(BadRecord, match=f"“{status}”.*It takes: received, delivered, canceled, paid,.*custom-…"):
        account.change(order.id, status=status)
    assert sent(account, "set_status") == []


def test_a_status_that_they_refuse_is_told_in_their_words(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    order = account.shop.buy([(CUBE, 1)])
    account.shop.cancel(order.id)
    with pytest.raises(BadRecord, match="Неможливо змінити статус"):
        account.change(order.id, status="received")
    other = account.shop.buy([(CUBE, 1)])
    with pytest.raises(BadRecord, match="Unknown custom status"):
        account.change(other.id, status="custom-9")
    answering(account, monkeypatch, "set_status", {"errors": {str(other.id): "Спробуйте пізніше"}})
    with pytest.raises(BadRecord, match=f"order {other.id} into the status “received”: Спробуйте пізніше"):
        account.change(other.id, status="received")


def test_what_is_so_already_is_not_sent(account: Account) -> None:
    order = account.shop.buy([(CUBE, 1)])
    account.shop.set_status(order.id, "received")
    assert account.change(order.id, status="received")["status"] == "received"
    assert account.asked(method="POST") == []


def test_an_empty_answer_counts_only_when_the_order_is_there(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    order = account.shop.buy([(CUBE, 1)])
    answering(account, monkeypatch, "set_status", {"processed_ids": []})
    with pytest.raises(BadRecord, match="in the status “pending” and not in “received”, without saying why"):
        account.change(order.id, status="received")
    account.shop.set_status(order.id, "delivered")
    assert account.change(order.id, status="received")["status"] == "delivered"
    assert account.shop.orders[order.id].status == "delivered"


def test_a_warning_of_theirs_is_told(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    order = account.shop.buy([(CUBE, 1)])
    answering(account, monkeypatch, "set_status", {"processed_ids": [order.id], "warning_message": "Оплата не підтверджена"})
    account.change(order.id, status="received")
    assert list(account.hub.reported) == [("warning", f"Order {order.id}: Prom warns: Оплата не підтверджена")]


@pytest.mark.parametrize(
    ("change", "body"),
    [
        ({}, {"cancellation_reason": "another", "cancellation_text": "Скасовано продавцем"}),
        ({"reason": "another", "comment": "Немає"}, {"cancellation_reason": "another", "cancellation_text": "Немає"}),
        ({"reason": "price_changed"}, {"cancellation_reason": "price_changed", "cancellation_text": "Скасовано продавцем"}),
        ({"reason": "not_available"}, {"cancellation_reason": "not_available"}),
        ({"reason": "payment_not_received"}, {"cancellation_reason": "payment_not_received"}),
    ],
)
def test_a_cancellation_has_a_reason_and_words_where_they_are_wanted(
    account: Account, change: dict[str, str], body: dict[str, str]
) -> None:
    order = account.shop.buy([(CUBE, 2)])
    back = account.change(order.id, cancels=True, **change)
    assert back["status"] == "canceled"
    assert sent(account, "set_status") == [{"ids": [order.id], "status": "canceled", **body}]
    assert product(account, CUBE).quantity == 12


def test_an_unknown_reason_is_refused_in_their_words(account: Account) -> None:
    order = account.shop.buy([(CUBE, 1)])
    with pytest.raises(BadRecord, match="Invalid cancellation reason"):
        account.change(order.id, cancels=True, reason="bored")


@pytest.mark.parametrize("kind", ["lost", "truncated", "429", "500"])
def test_a_change_whose_answer_got_lost_is_made_once(account: Account, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    fast(monkeypatch)
    order = account.shop.buy([(CUBE, 1)])
    account.shop.fault(kind, path="set_status")
    account.shop.fault(kind, path="save_declaration")
    back = account.change(order.id, status="received", tracking="20450174011062")
    assert (back["status"], back["delivery_provider_data"]["declaration_number"]) == ("received", "20450174011062")
    assert account.shop.writes == {"orders": 1, "declarations": 1}


def test_an_order_that_is_gone_is_a_bad_record(account: Account) -> None:
    with pytest.raises(BadRecord, match="Order 5 is not at Prom any more"):
        account.change(5, status="received")


# --- tracking numbers (§2.3) --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("delivery", "carrier", "sent_as"),
    [
        (11111, "", "nova_poshta"),
        (11112, "", "ukrposhta"),
        (11111, "11112", "ukrposhta"),
        (11113, "meest", "meest"),
        (11113, "11111", "nova_poshta"),
    ],
)
def test_a_tracking_number_goes_with_its_carrier(account: Account, delivery: int, carrier: str, sent_as: str) -> None:
    order = account.shop.buy([(CUBE, 1)], delivery=delivery)
    back = account.change(order.id, tracking="2045 0174 0110 62", carrier=carrier)
    assert back["delivery_provider_data"]["declaration_number"] == "20450174011062"
    body = {"order_id": order.id, "declaration_id": "20450174011062", "delivery_type": sent_as}
    assert sent(account, "save_declaration_id") == [body]
    assert sent(account, "set_status") == []


def test_the_same_number_again_is_a_success_though_they_call_it_an_error(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = account.shop.buy([(CUBE, 1)])
    account.change(order.id, tracking="204501")
    before = len(account.asked(method="POST"))
    account.change(order.id, tracking="204501")
    assert len(account.asked(method="POST")) == before
    hidden = {"order": {"id": order.id, "status": "pending", "delivery_option": {"id": 11111, "name": "Нова Пошта"}}}
    answering(account, monkeypatch, f"orders/{order.id}", hidden)
    assert account.change(order.id, tracking="204501")["id"] == order.id
    assert "Этот ЭН уже добавлен" in account.asked("save_declaration_id")[-1].answer.decode()


def test_a_number_that_they_call_known_and_the_order_does_not_show_is_not_there(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = account.shop.buy([(CUBE, 1)])
    refusal = {"status": "error", "message": "Цей ЕН вже додано до іншого замовлення"}
    answering(account, monkeypatch, "save_declaration", refusal)
    with pytest.raises(BadRecord, match=f"the tracking number 204501 of order {order.id}: Цей ЕН вже додано"):
        account.change(order.id, tracking="204501")


def test_a_number_that_they_do_not_take_names_why_and_the_status_goes_all_the_same(account: Account) -> None:
    order = account.shop.buy([(CUBE, 1)])
    with pytest.raises(BadRecord, match=r"the tracking number RA-12 of order .*должен состоять из цифр"):
        account.change(order.id, status="received", tracking="RA-12")
    assert account.shop.orders[order.id].status == "received"


def test_a_refusal_of_a_number_may_have_nothing_but_a_message(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    order = account.shop.buy([(CUBE, 1)])
    answering(account, monkeypatch, "save_declaration", {"status": "error", "message": "Замовлення закрито"})
    with pytest.raises(BadRecord, match=f"the tracking number 204501 of order {order.id}: Замовлення закрито"):
        account.change(order.id, tracking="204501")


def test_a_carrier_that_they_do_not_take_is_said_before_anything_is_sent(account: Account) -> None:
    order = account.shop.buy([(CUBE, 1)], delivery=11113)
    with pytest.raises(BadRecord, match="nova_poshta, ukrposhta, meest, justin only, and “Самовивіз” is none of them"):
        account.change(order.id, tracking="204501")
    with pytest.raises(BadRecord, match="“pickup” is none of them"):
        account.change(order.id, tracking="204501", carrier="11113")
    assert sent(account, "save_declaration_id") == []


# --- cards (§2.4) -------------------------------------------------------------------------------------------------------------


def codes(account: Account, since: Any = None) -> list[str]:
    return [card.code for page in account.market().cards(since) for card in page.cards]


@pytest.mark.parametrize("root_only", [True, False])
def test_cards_are_read_without_a_group_and_group_by_group_and_come_once(tmp_path: Path, root_only: bool) -> None:
    with running(tmp_path, root_only=root_only) as account:
        toys = account.shop.add_group("Іграшки")
        deep = account.shop.add_group("М'ячі", toys)
        for n, group in enumerate((toys, toys, deep)):
            account.shop.add_product(f"Card {n}", 10, 1, external_id=f"X-{n}", group=group)
        assert sorted(codes(account)) == [CUBE, BALL, "X-0", "X-1", "X-2"]
        asked = [query.get("group_id") for query in account.queries("products/list")]
        assert set(asked) == {None, "9000", str(toys), str(deep)}


def test_a_card_that_another_group_shows_again_comes_once(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    again = {"group_id": 9000, "products": [{"id": 1500000001, "name": "X"}]}
    answering(account, monkeypatch, "products/list", again, {"products": []}, again, {"products": []})
    assert [card.id for page in account.market().cards(None) for card in page.cards] == ["1500000001"]


@pytest.mark.parametrize(("root_only", "warned"), [(True, 1), (False, 0)])
def test_a_group_that_shows_no_more_cards_is_named(tmp_path: Path, root_only: bool, warned: int) -> None:
    with running(tmp_path, root_only=root_only) as account:
        toys = account.shop.add_group("Іграшки")
        for n in range(510):
            account.shop.add_product(f"Card {n}", 10, 1, external_id=f"X-{n}", group=toys)
        assert len(codes(account)) == (502 if root_only else 512)
        assert [text for (_level, text) in account.hub.reported if "Prom lists 500 cards of the group “Іграшки”" in text] == [
            text for (_level, text) in account.hub.reported
        ]
        assert len(account.hub.reported) == warned


def test_only_cards_that_changed_are_read_where_a_bookmark_says_since_when(account: Account) -> None:
    account.clock.turn(4 * 3600)
    pages = list(account.market().cards(None))
    assert pages[-1].bookmark == {"from": account.clock.time.isoformat()}
    account.clock.turn(86400)
    assert codes(account, pages[-1].bookmark) == []
    account.shop.product(BALL).modified = account.clock.time
    assert codes(account, pages[-1].bookmark) == [BALL]


def test_a_card_that_is_deleted_is_none_though_the_answer_is_a_web_page(account: Account) -> None:
    market = account.market()
    found = market.card("1500000002")
    assert found is not None
    assert (found.code, found.price) == (BALL, Decimal("120.5"))
    account.shop.product(BALL).status = "deleted"
    assert [market.card(ident) for ident in ("1500000002", "1", "x")] == [None, None, None]


# --- what cards are told (§2.5) -----------------------------------------------------------------------------------------------


def offer(number: int, **changes: Any) -> Offering:
    return Offering(f"k{number}", str(1_500_000_000 + number), f"Card {number}", **changes)


def test_stock_and_prices_go_as_a_bare_list(account: Account) -> None:
    told = account.put(offer(1, quantity=Decimal(7), price=Decimal("580.5")), offer(2, quantity=Decimal(0)))
    assert told == {"k1": "", "k2": ""}
    assert sent(account, "products/edit") == [
        [
            {"id": 1500000001, "quantity_in_stock": 7, "presence": "available", "price": Decimal("580.5")},
            {"id": 1500000002, "quantity_in_stock": 0, "presence": "not_available"},
        ]
    ]
    cube, ball = product(account, CUBE), product(account, BALL)
    assert (cube.quantity, cube.price, ball.quantity, ball.presence) == (7, Decimal("580.50"), 0, "not_available")


def test_a_hundred_cards_go_in_one_call(account: Account) -> None:
    assert account.market().cards_batch == 100
    for n in range(98):
        account.shop.add_product(f"Card {n}", 10, 1)
    told = account.put(*(offer(n, quantity=Decimal(5)) for n in range(1, 101)))
    assert set(told.values()) == {""}
    assert len(account.asked(method="POST")) == 1


def test_a_card_that_is_in_neither_list_is_looked_at_and_equal_ones_are_well(account: Account) -> None:
    told = account.put(offer(1, quantity=Decimal(12), price=Decimal(571)), offer(2, quantity=Decimal(39)))
    assert told == {"k1": "", "k2": ""}
    assert [call.path for call in account.asked("products/15")] == ["/api/v1/products/1500000001"]
    assert len(account.asked("products/edit")) == 1


def test_what_they_did_not_do_without_a_word_is_sent_once_more_and_then_said(tmp_path: Path) -> None:
    with running(tmp_path, silent=2) as account:
        told = account.put(offer(1, quantity=Decimal(5)), offer(2, quantity=Decimal(6)))
        assert told == {"k1": "", "k2": ""}
        assert [len(body) for body in sent(account, "products/edit")] == [2, 1]
        account.shop.settings.silent = 1
        told = account.put(offer(1, quantity=Decimal(9), price=Decimal(600)), offer(2, quantity=Decimal(6)))
        assert told["k2"] == ""
        assert "left the card 1500000001 “Card 1” as it is, without saying why (quantity_in_stock, price)" in told["k1"]
        assert "/cms/product/edit/1500000001" in told["k1"]
        assert product(account, CUBE).quantity == 5


def test_an_error_of_one_card_is_told_beside_it(account: Account) -> None:
    told = account.put(offer(1, price=Decimal(-1)), offer(2, quantity=Decimal(3)), offer(77, quantity=Decimal(1)))
    assert told["k2"] == ""
    assert "Prom does not change the card 1500000001 “Card 1”: price: Некоректне значення" in told["k1"]
    assert "Товар не знайдено" in told["k77"]
    assert product(account, BALL).quantity == 3


def test_a_deleted_card_is_as_good_as_sold_out_and_an_error_otherwise(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.shop.product(BALL).status = "deleted"
    answering(account, monkeypatch, "products/edit", *[{"processed_ids": [], "errors": {}}] * 2)
    assert account.put(offer(2, quantity=Decimal(0))) == {"k2": ""}
    assert "is deleted at Prom" in account.put(offer(2, quantity=Decimal(4)))["k2"]


@pytest.mark.parametrize("answer", [{"error": "Внутрішня помилка"}, {}, {"product": None}])
def test_a_card_that_cannot_be_looked_at_is_an_error_of_its_own(
    account: Account, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]
) -> None:
    answering(account, monkeypatch, "products/edit", {"processed_ids": [1500000002], "errors": {}})
    answering(account, monkeypatch, "products/1500000001", answer)
    told = account.put(offer(1, quantity=Decimal(0)), offer(2, quantity=Decimal(4)))
    assert told["k2"] == ""
    assert told["k1"].startswith("Prom refuses /products/1500000001: ")


@pytest.mark.parametrize("answer", [{}, {"product": None}, {"result": []}])
def test_an_answer_without_a_card_in_it_is_no_deletion(
    account: Account, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]
) -> None:
    answering(account, monkeypatch, "products/1500000001", answer)
    with pytest.raises(BadRecord, match="Prom refuses /products/1500000001: "):
        account.market().card("1500000001")


@pytest.mark.parametrize("answer", [{}, {"order": None}])
def test_an_answer_without_an_order_in_it_is_not_an_order_that_is_gone(
    account: Account, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]
) -> None:
    order = account.shop.buy([(CUBE, 1)])
    answering(account, monkeypatch, f"orders/{order.id}", answer)
    with pytest.raises(BadRecord, match=f"Prom refuses /orders/{order.id}: "):
        account.change(order.id, status="received")
    assert sent(account, "set_status") == []
    assert account.change(order.id, status="received")["status"] == "received"


def test_a_variation_keeps_the_presence_of_its_card(account: Account) -> None:
    base = account.shop.product(CUBE).id
    for n in (3, 4):
        account.shop.add_product(f"Card {n}", 10, 5, variation_base=base, variation_group=base)
    told = account.put(offer(3, quantity=Decimal(0)), offer(4, quantity=Decimal(0), facts={"variation_of": str(base)}))
    assert told == {"k3": "", "k4": ""}
    bodies = sent(account, "products/edit")
    assert ["presence" in row for row in bodies[0]] == [True, False]
    assert bodies[1] == [{"id": 1500000003, "quantity_in_stock": 0}]
    assert [account.shop.products[1_500_000_000 + n].quantity for n in (3, 4)] == [0, 0]


def test_a_call_that_is_refused_as_a_whole_is_made_for_each_card(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(account, monkeypatch, "products/edit", {"errors": {"error": "Ожидается список товаров"}})
    assert account.put(offer(1, quantity=Decimal(1)), offer(2, quantity=Decimal(2))) == {"k1": "", "k2": ""}
    assert [len(body) for body in sent(account, "products/edit")] == [2, 1, 1]
    answering(account, monkeypatch, "products/edit", {"errors": {"error": "Ожидается список товаров"}})
    assert "Ожидается список товаров" in account.put(offer(1, quantity=Decimal(3)))["k1"]


def test_attributes_of_a_card_go_with_it_and_too_long_ones_do_not(account: Account) -> None:
    fields = {"name": "Кубик", "keywords": "кубик, дерево", "description": "<p>Новий</p>", "status": "not_on_display"}
    told = account.put(offer(1, fields=fields), offer(2, fields={"name": "Я" * 111}))
    assert told["k1"] == ""
    assert "has 111 characters, Prom takes 110" in told["k2"]
    cube = product(account, CUBE)
    assert (cube.name, cube.keywords, cube.description, cube.status) == (
        "Кубик",
        "кубик, дерево",
        "<p>Новий</p>",
        "not_on_display",
    )


def test_a_card_of_which_nothing_is_said_costs_no_call(account: Account) -> None:
    assert account.put(offer(1)) == {"k1": ""}
    assert account.asked() == []


@pytest.mark.parametrize("kind", ["lost", "truncated", "429", "500"])
def test_an_edit_whose_answer_got_lost_is_made_good(account: Account, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    fast(monkeypatch)
    account.shop.fault(kind, path="products/edit")
    assert account.put(offer(1, quantity=Decimal(3))) == {"k1": ""}
    assert (product(account, CUBE).quantity, account.shop.writes["products"]) == (3, 1)
