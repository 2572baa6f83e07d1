"""Calls to the Seller API against the stand-in, over HTTP: getting in, what errors mean, lists, statuses, goods (facts §3)."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.rozetka_kit import CUP, TOKEN, Kit, running
from obmen.connectors.rozetka import api, market, statuses
from obmen.connectors.rozetka.api import NotFound, Refused, words
from obmen.connectors.rozetka.market import RozetkaMarket
from obmen.core.contract import BadRecord, NeedsOwner, TryLater
from obmen.core.records import Subject
from obmen.market.api import Offering, StatusChange
from obmen.net.client import AnswerLost, Response
from obmen.net.redact import Mask
from obmen.sandbox.rozetka.goods import PRICE_LIST
from obmen.sandbox.rozetka.state import BY_STOCK


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    with running(tmp_path) as made:
        yield made


# --- getting in (§3.1) ---------------------------------------------------------------------------------------------------------


def test_the_password_travels_as_base64_of_its_utf8(tmp_path: Path) -> None:
    with running(tmp_path, password="Пароль №1") as kit:
        assert kit.by_login(password="Пароль №1").order("1") is None
        (sent,) = kit.account.calls("/sites", "POST")
        assert sent.json == {"username": "seller", "password": base64.b64encode("Пароль №1".encode()).decode()}
        assert kit.paths() == ["/sites", "/orders/1"]


def test_the_token_of_the_cabinet_goes_before_login_and_password(kit: Kit) -> None:
    assert kit.by_login(token=TOKEN).order("1") is None
    assert kit.paths() == ["/orders/1"]


def test_without_anything_to_get_in_nothing_is_called(kit: Kit) -> None:
    with pytest.raises(NeedsOwner, match="token of the cabinet"):
        kit.market(token="").check()
    assert kit.paths() == []


@pytest.mark.parametrize("code", [1004, 1020])
def test_a_wrong_password_needs_the_owner(tmp_path: Path, code: int) -> None:
    with running(tmp_path, wrong_login=code) as kit, pytest.raises(NeedsOwner, match=f"enter them again.*|{code}"):
        kit.by_login(password="wrong").check()


@pytest.mark.parametrize("status", [200, 401])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_session_that_ends_in_mid_run_is_renewed_once_and_the_call_repeated(tmp_path: Path, status: int, method: str) -> None:
    with running(tmp_path, expired_status=status) as kit:
        order = kit.buy()
        seller = kit.by_login()
        assert seller.order(str(order.id))
        kit.account.fault("expired", path=f"/orders/{order.id}", method=method)
        if method == "GET":
            assert seller.order(str(order.id))
        else:
            assert changed(seller, order.id, "26")["status"] == 26
        assert len(kit.account.calls("/sites")) == 2
        assert kit.account.orders[order.id].status == (1 if method == "GET" else 26)


@pytest.mark.parametrize(
    ("status", "body", "over"),
    [
        (401, b"<html>Unauthorized</html>", True),
        (200, b'{"success":false,"errors":{"code":6001}}', True),
        (200, b'{"success":false,"errors":{"code":"5401"}}', True),
        (200, b'{"success":false,"errors":{"code":1010}}', False),
        (200, b'{"success":true,"content":{"code":6001}}', False),
        (200, b'<html>"success"</html>', False),
        (200, b"", False),
    ],
)
def test_what_says_that_a_session_is_over(status: int, body: bytes, over: bool) -> None:
    assert api._session_over(Response(status, {}, body, "", "", Mask([]))) is over


def test_a_session_that_ends_at_once_again_is_tried_later_and_not_for_ever(kit: Kit) -> None:
    kit.account.fault("expired", 9, path="/orders/")
    with pytest.raises(TryLater, match="ends our session"):
        kit.by_login().order("1")
    assert len(kit.account.calls("/sites")) <= 2


def test_a_lapsed_token_of_the_cabinet_needs_the_owner(kit: Kit) -> None:
    kit.later(days=2)
    with pytest.raises(NeedsOwner, match="make a new one in the cabinet"):
        kit.market().order("1")


def test_where_there_is_a_login_too_it_takes_over_from_a_lapsed_token_and_says_so(kit: Kit) -> None:
    kit.later(days=2)
    seller = kit.by_login(token=TOKEN)
    assert seller.order("1") is None
    seller.close()
    assert [text for _level, text in kit.hub.reported] == [api.USES_LOGIN]


def test_no_secret_gets_into_the_journal(kit: Kit) -> None:
    kit.by_login(password="sandbox").order("1")
    kit.market().order("1")
    kept = repr(kit.hub.calls)
    session = next(token for token in kit.account.tokens if token != TOKEN)
    for secret in ("sandbox'", base64.b64encode(b"sandbox").decode(), session, TOKEN):
        assert secret not in kept


def test_every_call_asks_for_errors_instead_of_empty_lists_and_for_a_language(kit: Kit) -> None:
    """§3.1: without the header a search that is asked for nonsense is empty."""
    seller = kit.market(language="ru")
    with pytest.raises(Refused, match="1022"):
        seller.seller.get("/orders/search", changed_from="2026-13-45")
    assert seller.references(Subject.ORDER_STATE)[0].name == "Новый заказ"
    assert kit.market(language="en").references(Subject.ORDER_STATE)[0].name == "New Order"
    assert kit.market().references(Subject.ORDER_STATE)[0].name == "Нове замовлення"


def test_calls_keep_the_pace_of_two_a_second(tmp_path: Path) -> None:
    with running(tmp_path, fast=False) as kit:
        seller = kit.market()
        for _time in range(4):
            seller.order("1")
        assert kit.hub.slept >= 1.0


def test_threads_take_turns(kit: Kit) -> None:
    """§3.1: no parallel calls."""
    seller = kit.market()
    kit.account.fault("slow", 2, path="/orders/", seconds=0.15)
    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(seller.order, ("1", "2"))) == [None, None]
    assert time.monotonic() - began >= 0.3


# --- what errors mean (§3.2) ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *[(code, NeedsOwner) for code in (1004, 1010, 1018, 1020, 1021, 1025, 5401, 6001)],
        *[(code, TryLater) for code in (0, 1003, 1006, 1007, 1011, 1012, 1015, 1016, 1017, 5503)],
        *[(code, NotFound) for code in (1019, 1404, 5404)],
        *[(code, Refused) for code in (1001, 1002, 1005, 1022, 1023, 1024, 1031, 1101, 1110, 3001, 3002, 9001, 13001, None)],
    ],
)
def test_a_code_says_what_happens_next(code: int | None, kind: type[Exception]) -> None:
    assert type(api._error("/x", code, "why", True)) is kind


def test_an_error_of_theirs_after_a_change_leaves_open_whether_it_was_made(kit: Kit) -> None:
    assert isinstance(api._error("/x", 0, "server_error", False), AnswerLost)


@pytest.mark.parametrize(
    ("details", "said"),
    [
        ("Наступний статус недоступний", "Наступний статус недоступний"),
        (["a", "b"], "a; b"),
        ({"status": ["Наступний статус недоступний"]}, "status: Наступний статус недоступний"),
        ({"0": "a"}, "a"),
        (None, ""),
        ([], ""),
    ],
)
def test_details_come_in_any_form(details: Any, said: str) -> None:
    assert words(details) == said


def test_maintenance_is_waited_for(kit: Kit) -> None:
    kit.account.settings.maintenance = True
    for seller in (kit.market(), kit.by_login()):
        with pytest.raises(TryLater, match="maintenance") as met:
            seller.order("1")
        assert met.value.after == timedelta(minutes=10)


def test_a_token_without_a_role_needs_the_owner(kit: Kit) -> None:
    kit.account.add_token("goods-only", roles=["goods"])
    with pytest.raises(NeedsOwner, match="order manager"):
        kit.market(token="goods-only").order("1")


@pytest.mark.parametrize("kind", ["500", "truncated", "html", "empty", "503", "timeout"])
def test_a_reading_call_survives_what_goes_wrong_or_is_tried_later(kit: Kit, kind: str) -> None:
    order = kit.buy()
    kit.account.fault(kind, path="/orders/")
    seller = kit.market()
    try:
        raw = seller.order(str(order.id))
    except TryLater:
        raw = seller.order(str(order.id))
    assert raw is not None
    assert raw["id"] == order.id


def test_an_address_of_something_else_needs_the_owner(kit: Kit) -> None:
    with pytest.raises(NeedsOwner, match="no Seller API"):
        kit.market(address=f"{kit.url}/cabinet").check()


# --- who we are -------------------------------------------------------------------------------------------------------------------


def test_the_check_says_the_shop_and_what_is_open(kit: Kit) -> None:
    assert kit.by_login().check() == "127.0.0.1 · market_test_22 · orders, goods"
    kit.account.add_token("orders-only", roles=["orders"])
    assert kit.market(token="orders-only").check() == "127.0.0.1 · orders"
    kit.account.add_token("nothing", roles=[])
    with pytest.raises(NeedsOwner, match="roles"):
        kit.market(token="nothing").check()


def test_the_check_names_sources_that_the_price_list_rules(tmp_path: Path) -> None:
    with running(tmp_path, availability=BY_STOCK) as kit:
        assert kit.market().check() == "127.0.0.1 · orders, goods · Прайс-лист: availability 3"


# --- lists of values --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("older", [False, True])
def test_statuses_come_whole_in_either_spelling(tmp_path: Path, older: bool) -> None:
    """§3.5: model and example of the documentation name the keys differently."""
    with running(tmp_path, older_keys=older) as kit:
        rows = {row.key: row for row in kit.market().references(Subject.ORDER_STATE)}
        assert set(rows) == set(statuses.NAMES)
        assert rows["26"].name == "Опрацьовується менеджером"
        assert ("cancel", "yes") in rows["40"].attributes
        assert ("cancel", "yes") not in rows["61"].attributes


def test_reasons_of_cancelling_are_the_statuses_that_cancel_and_can_be_reached(kit: Kit) -> None:
    keys = {row.key for row in kit.market().references(Subject.CANCEL_REASON)}
    assert {"40", "42", "49", "18"} <= keys
    assert not keys & {"26", "2", "61", "45", "13"}


def test_deliveries_are_asked_for_all_at_once(kit: Kit) -> None:
    assert [(row.key, row.name) for row in kit.market().references(Subject.DELIVERY)] == [
        ("1", "ROZETKA Delivery"),
        ("5", "Нова Пошта"),
        ("2", "Доставка продавця"),
    ]
    (asked,) = kit.account.calls("/delivery-services/search")
    assert "pageSize=0" in asked.query


def test_there_is_no_list_of_payment_kinds(kit: Kit) -> None:
    with pytest.raises(NeedsOwner, match="by hand"):
        kit.market().references(Subject.PAYMENT_KIND)


# --- orders by time (§3.3) ----------------------------------------------------------------------------------------------------------


def ids(seller: RozetkaMarket, since: Any = None, moment: datetime | None = None) -> list[int]:
    pages = list(seller.orders(since, moment or seller.hub.now() - timedelta(days=30)))
    return [order["id"] for page in pages for order in page.orders]


def test_orders_that_are_done_or_cancelled_are_read_too(kit: Kit) -> None:
    done, cancelled, new = kit.buy(), kit.buy(), kit.buy()
    kit.account.set_status(done.id, 6)
    kit.account.cancel(cancelled.id)
    assert sorted(ids(kit.market())) == [done.id, cancelled.id, new.id]
    (asked,) = kit.account.calls("/orders/search")
    assert "types=1" in asked.query
    assert "sort=-changed" in asked.query  # what changes meanwhile moves to the front, and pushes nothing out


def many(kit: Kit, count: int, seconds: float = 60) -> list[int]:
    made = []
    for _n in range(count):
        kit.cup.stock = kit.cup.available = 1
        made.append(kit.buy().id)
        kit.later(seconds=seconds)
    return made


@pytest.mark.parametrize("ignored", [False, True])
def test_none_of_many_orders_is_lost_whether_or_not_page_works(tmp_path: Path, ignored: bool) -> None:
    """§3.1: pages of 20; past the end the last one comes again; ``page`` may be ignored, then windows of time are halved."""
    with running(tmp_path, page_ignored=ignored) as kit:
        made = many(kit, 65)
        assert ids(kit.market()) == made  # each once, oldest change first
        calls = kit.account.calls("/orders/search")
        assert len(calls) == (5 if ignored else 4)


def test_a_long_history_is_read_in_portions_with_bookmarks(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market, "MOST", 30)
    made = many(kit, 70)
    pages = list(kit.market().orders(None, kit.hub.now() - timedelta(days=1)))
    assert [order["id"] for page in pages for order in page.orders] == made
    assert all(len(page.orders) <= 30 for page in pages)
    assert len(pages) >= 3
    bookmarks = [page.bookmark["changed"] for page in pages if page.bookmark]
    assert bookmarks == sorted(bookmarks)
    assert [page.total for page in pages] == [70] * len(pages)
    assert pages[-1].done == 70


def test_orders_that_all_changed_in_one_second_are_told_apart_by_when_they_were_made(tmp_path: Path) -> None:
    with running(tmp_path, page_ignored=True) as kit:
        made = many(kit, 45)
        for number in made:
            kit.account.set_status(number, 26)
        assert sorted(ids(kit.market())) == made


def test_what_cannot_be_told_apart_is_asked_for_later_and_not_lost_in_silence(tmp_path: Path) -> None:
    with running(tmp_path, page_ignored=True) as kit:
        many(kit, 25, seconds=0)
        with pytest.raises(TryLater, match="20 of 25"):
            ids(kit.market())


def test_an_order_that_changes_while_pages_are_read_pushes_none_out(kit: Kit) -> None:
    made = many(kit, 50)
    seller, get = kit.market(), api.Seller.get

    def meanwhile(self: Any, path: str, **query: Any) -> Any:
        if query.get("page") == 2:
            kit.later(seconds=1)
            kit.account.set_status(made[3], 26)  # moves to the front: everything before it moves one on
        return get(self, path, **query)

    seller.seller.get = meanwhile.__get__(seller.seller)  # type: ignore[method-assign]
    assert set(ids(seller)) == set(made)


def test_the_next_reading_begins_a_quarter_of_an_hour_before_the_newest_change(kit: Kit) -> None:
    first = kit.buy()
    kit.later(minutes=30)
    second = kit.buy()
    (page,) = kit.market().orders(None, kit.hub.now() - timedelta(days=1))
    kit.later(minutes=10)
    kit.account.set_status(first.id, 26)
    assert ids(kit.market(), page.bookmark) == [second.id, first.id]
    asked = kit.account.calls("/orders/search")[-1].query
    assert "changed_from=2026-03-02+11%3A15%3A00" in asked  # 09:30 UTC less 15 minutes, as Kyiv's clock shows it
    assert "changed_to" not in asked


def test_a_first_reading_without_orders_leaves_a_bookmark(kit: Kit) -> None:
    moment = kit.hub.now()
    (page,) = kit.market().orders(None, moment)
    assert (list(page.orders), page.bookmark) == ([], {"changed": moment.isoformat()})
    assert list(kit.market().orders(page.bookmark, moment)) == []


def test_in_the_hour_that_comes_twice_nothing_is_passed_over(kit: Kit) -> None:
    """Kyiv's clock goes back from 04:00 to 03:00 on 25 October 2026, at 01:00 UTC."""
    kit.hub.clock = datetime(2026, 10, 25, 0, 50, tzinfo=UTC)  # 03:50 for the first time
    kit.account.tokens[TOKEN].used = kit.hub.clock
    kit.buy()
    (page,) = kit.market().orders(None, kit.hub.now() - timedelta(hours=1))
    kit.later(minutes=20)  # 03:10 for the second time: less than what the bookmark shows
    late = kit.buy()
    assert late.id in ids(kit.market(), page.bookmark)


def test_a_bookmark_that_is_none_needs_the_owner(kit: Kit) -> None:
    with pytest.raises(NeedsOwner, match="bookmark"):
        list(kit.market().orders({"changed": "yesterday"}, kit.hub.now()))


def test_a_search_that_they_refuse_stops_the_run(kit: Kit) -> None:
    seller = kit.market()
    later, earlier = (datetime(2026, 1, day, tzinfo=UTC).replace(tzinfo=None) for day in (2, 1))
    window = market.Window(later, earlier)
    with pytest.raises(NeedsOwner, match="1024"):
        list(seller._read(window))


def rewrite(seller: RozetkaMarket, path: str, change: Callable[[Any], Any]) -> RozetkaMarket:
    """What they say at the path, changed on its way."""
    get = seller.seller.get

    def changed_get(asked: str, **query: Any) -> Any:
        said = get(asked, **query)
        return change(said) if asked.startswith(path) else said

    seller.seller.get = changed_get  # type: ignore[method-assign,assignment]
    return seller


def test_an_order_with_a_moment_to_come_does_not_end_the_loading(kit: Kit) -> None:
    first = kit.buy()

    def ahead(said: Any) -> Any:
        return said | {"orders": [o | {"changed": "2099-01-01 00:00:00"} if o["id"] == first.id else o for o in said["orders"]]}

    seller = rewrite(kit.market(), "/orders/search", ahead)
    (page,) = seller.orders(None, kit.hub.now() - timedelta(days=1))
    assert page.bookmark == {"changed": (kit.hub.now() - timedelta(days=1)).isoformat()}
    kit.later(minutes=5)
    second = kit.buy()
    assert second.id in ids(seller, page.bookmark)
    assert second.id in ids(kit.market(), {"changed": "2099-01-01T00:00:00+00:00"})  # from before this was so


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("meta", [[], None, {"totalCount": "45.0"}, {"totalCount": 0}])
def test_none_is_lost_where_they_do_not_say_how_many_there_are(tmp_path: Path, meta: Any, ignored: bool) -> None:
    with running(tmp_path, page_ignored=ignored) as kit:
        made = many(kit, 45)
        assert ids(rewrite(kit.market(), "/orders/search", lambda said: said | {"_meta": meta})) == made


def test_many_of_one_second_are_told_apart_also_where_their_number_is_not_said(tmp_path: Path) -> None:
    with running(tmp_path, page_ignored=True) as kit:
        made = many(kit, 25)
        for number in made:
            kit.account.set_status(number, 26)
        assert sorted(ids(rewrite(kit.market(), "/orders/search", lambda said: said | {"_meta": []}))) == made


@pytest.mark.parametrize("ignored", [False, True])
def test_a_number_of_orders_that_is_too_high_is_told_and_holds_nothing_up(tmp_path: Path, ignored: bool) -> None:
    def one_more(said: Any) -> Any:
        return said | {"_meta": said["_meta"] | {"totalCount": said["_meta"]["totalCount"] + 1}}

    with running(tmp_path, page_ignored=ignored) as kit:
        made = many(kit, 25)
        seller = rewrite(kit.market(), "/orders/search", one_more)
        (page,) = seller.orders(None, kit.hub.now() - timedelta(days=30))
        assert [order["id"] for order in page.orders] == made
        assert len(kit.account.calls("/orders/search")) <= 12
        assert next(iter(seller.orders(page.bookmark, kit.hub.now()))).bookmark == page.bookmark
        seller.close()
        ((_level, told_of),) = kit.hub.reported
        assert "Rozetka shows only" in told_of


def test_a_row_without_an_id_is_handed_on_and_hides_no_other(kit: Kit) -> None:
    made = many(kit, 3)

    def nameless(said: Any) -> Any:
        return said | {"orders": [o | {"id": None} if o["id"] == made[1] else o for o in said["orders"]]}

    assert ids(rewrite(kit.market(), "/orders/search", nameless)) == [made[0], None, made[2]]


@pytest.mark.parametrize("said", [{}, [], None])
def test_content_without_anything_in_it_is_no_empty_list(kit: Kit, said: Any) -> None:
    """Who takes it for one takes every card for deleted, and an order for gone."""
    order = kit.buy()
    seller = rewrite(kit.market(), "/", lambda _said: said)
    for ask in (
        lambda: list(seller.cards(None)),
        lambda: seller.card(str(kit.cup.rz_item_id)),
        lambda: seller.order(str(order.id)),
        lambda: ids(seller),
    ):
        with pytest.raises(TryLater, match="error of its own"):
            ask()


# --- statuses (§3.5) --------------------------------------------------------------------------------------------------------------


def changed(seller: RozetkaMarket, order: int, status: str = "", **more: Any) -> Any:
    return seller.change_status(StatusChange(str(order), str(order), status, **more), None)


def puts(kit: Kit) -> list[Any]:
    return [one.json for one in kit.account.calls("/orders/", "PUT")]


def test_a_way_of_several_steps_is_found_and_the_number_goes_with_the_last(kit: Kit) -> None:
    """§3.5: 2 and 61 are refused from 1; 1 → 26 → 61 with the number."""
    order = kit.buy()
    after = changed(kit.market(), order.id, "61", tracking="20450000000001")
    assert puts(kit) == [{"status": 26}, {"status": 61, "ttn": "20450000000001"}]
    assert (after["status"], after["ttn"]) == (61, "20450000000001")


def test_one_step_needs_no_dictionary(kit: Kit) -> None:
    order = kit.buy()
    changed(kit.market(), order.id, "26")
    assert kit.account.calls("/status-availables") == []


def test_own_delivery_goes_all_the_way(kit: Kit) -> None:
    order = kit.buy(service=2)
    changed(kit.market(), order.id, "4")
    assert puts(kit) == [{"status": 26}, {"status": 2}, {"status": 4}]


def test_a_status_that_cannot_be_reached_is_refused_with_those_that_can(kit: Kit) -> None:
    order = kit.buy()
    with pytest.raises(BadRecord) as met:
        changed(kit.market(), order.id, "76")
    assert met.value.facts["reachable"] == "26 Опрацьовується менеджером, 40 Клієнт передумав, 49 Повторне замовлення"
    assert (met.value.facts["now"], met.value.facts["wanted"]) == ("Нове замовлення", "Очікує клієнта у почтоматі")
    assert puts(kit) == []


def test_a_carrier_s_order_is_led_as_far_as_it_goes_and_then_refused(kit: Kit) -> None:
    """The dictionary does not say for whose delivery a way is; the order itself does (2 → 4 is the seller's own)."""
    order = kit.buy()
    with pytest.raises(BadRecord, match="cannot go"):
        changed(kit.market(), order.id, "4")
    assert kit.account.orders[order.id].status == 2


@pytest.mark.parametrize("status", ["61", "3"])
def test_a_status_that_needs_a_number_is_not_sent_without(kit: Kit, status: str) -> None:
    order = kit.buy()
    with pytest.raises(BadRecord, match="only with a tracking number"):
        changed(kit.market(), order.id, status)
    assert puts(kit) == []


def test_packed_with_a_number_becomes_61_and_that_is_right(kit: Kit) -> None:
    order = kit.buy()
    after = changed(kit.market(), order.id, "2", tracking="20450000000002")
    assert puts(kit) == [{"status": 26}, {"status": 2, "ttn": "20450000000002"}]
    assert after["status"] == 61


def test_a_number_alone_goes_with_the_status_that_the_order_has(kit: Kit) -> None:
    order = kit.buy()
    kit.account.set_status(order.id, 2)
    after = changed(kit.market(), order.id, tracking="20450000000003")
    assert puts(kit) == [{"status": 2, "ttn": "20450000000003"}]
    assert (after["status"], after["ttn"]) == (61, "20450000000003")


def test_a_parcel_on_its_way_is_not_moved(kit: Kit) -> None:
    order = kit.buy()
    seller = kit.market()
    changed(seller, order.id, "61", tracking="20450000000004")
    kit.later(hours=2)  # the carrier: 61 → 80 → 81
    sent = len(puts(kit))
    with pytest.raises(BadRecord, match="follows the parcel 20450000000004 itself"):
        changed(seller, order.id, "6")
    assert changed(seller, order.id, "61")["status"] == 81  # it is that far already, and further
    assert changed(seller, order.id, "26")["status"] == 81
    with pytest.raises(BadRecord, match="follows the parcel"):
        changed(seller, order.id, cancels=True, reason="40")
    assert len(puts(kit)) == sent


def test_a_corrected_number_is_sent_without_moving_the_parcel(kit: Kit) -> None:
    order = kit.buy()
    seller = kit.market()
    changed(seller, order.id, "61", tracking="20450000000005")
    assert changed(seller, order.id, "61", tracking="20450000000006")["ttn"] == "20450000000006"
    assert puts(kit)[-1] == {"status": 61, "ttn": "20450000000006"}


def test_what_is_so_already_is_not_sent(kit: Kit) -> None:
    order = kit.buy()
    seller = kit.market()
    changed(seller, order.id, "61", tracking="20450000000007")
    sent = len(puts(kit))
    changed(seller, order.id, "61", tracking="20450000000007")
    changed(seller, order.id, tracking="20450000000007", unsure=True)
    assert len(puts(kit)) == sent


def test_a_cancellation_is_a_status_and_its_comment_goes_with_it(kit: Kit) -> None:
    order = kit.buy()
    after = changed(kit.market(), order.id, cancels=True, reason="42", comment="Немає на складі")
    assert puts(kit) == [{"status": 26}, {"status": 42, "seller_comment": "Немає на складі"}]
    assert (after["status"], after["status_group"]) == (42, 3)


def test_the_status_of_a_cancellation_counts_where_no_reason_is_mapped(kit: Kit) -> None:
    one, other = kit.buy(), kit.buy()
    assert changed(kit.market(), one.id, "40", cancels=True)["status"] == 40
    assert changed(kit.market(), other.id, "40", cancels=True, reason="42")["status"] == 42


def test_a_cancellation_without_any_reason_says_which_there_are(kit: Kit) -> None:
    order = kit.buy()
    with pytest.raises(BadRecord, match="40 Клієнт передумав, 42 Немає в наявності"):
        changed(kit.market(), order.id, cancels=True)


def test_a_repeated_order_needs_the_number_of_the_other_one(kit: Kit) -> None:
    other, order = kit.buy(), kit.buy()
    seller = kit.market()
    with pytest.raises(BadRecord, match="number of the order that it repeats"):
        changed(seller, order.id, cancels=True, reason="49", comment=f"дубль, сам {order.id}")
    changed(seller, order.id, cancels=True, reason="49", comment=f"дубль замовлення {other.id}")
    assert puts(kit) == [{"status": 49, "seller_comment": f"дубль замовлення {other.id}", "duplicate_order_id": other.id}]
    assert kit.account.orders[order.id].duplicate_of == other.id


def test_a_step_that_they_refuse_says_why_and_what_is_possible(kit: Kit) -> None:
    """Between the look and the step somebody else may have moved the order."""
    order = kit.buy()
    seller = kit.market()
    raw = seller.order(str(order.id))
    assert raw
    kit.account.cancel(order.id)
    with pytest.raises(BadRecord) as met:
        seller._put(StatusChange(str(order.id), "N-1", "26"), raw, "26", "26", "")
    assert met.value.facts["reason"] == "1005 check_correctness_of_data: status: Наступний статус недоступний"
    assert (met.value.facts["now"], met.value.facts["reachable"]) == ("Скасовано покупцем", market.NOTHING)


@pytest.mark.parametrize("kind", ["lost", "truncated"])
def test_a_step_whose_answer_got_lost_is_read_back_and_not_repeated(kit: Kit, kind: str) -> None:
    order = kit.buy()
    kit.account.fault(kind, path="/orders/", method="PUT")
    assert changed(kit.market(), order.id, "61", tracking="20450000000008")["status"] == 61
    assert puts(kit) == [{"status": 26}, {"status": 61, "ttn": "20450000000008"}]
    assert [status for status, _at in kit.account.orders[order.id].history] == [1, 26, 61]


@pytest.mark.parametrize("kind", ["timeout", "500", "html"])
def test_a_step_that_was_not_done_is_tried_later(kit: Kit, kind: str) -> None:
    order = kit.buy()
    kit.account.fault(kind, path="/orders/", method="PUT")
    seller = kit.market()
    with pytest.raises(TryLater):
        changed(seller, order.id, "26")
    assert changed(seller, order.id, "26", unsure=True)["status"] == 26


def test_an_order_that_is_gone_is_refused(kit: Kit) -> None:
    with pytest.raises(BadRecord, match="no order N-7"):
        kit.market().change_status(StatusChange("7", "N-7", "26"), None)


# --- goods (§3.7) -----------------------------------------------------------------------------------------------------------------


def test_cards_without_a_number_on_the_site_wait_and_are_told(kit: Kit) -> None:
    kit.account.add_item("Нова", 10, 1, offer="A-3", moderated=False)
    seller = kit.market()
    (page,) = seller.cards(None)
    assert [card.code for card in page.cards] == [CUP, "A-2"]
    assert page.bookmark is None
    seller.close()
    assert [text for _level, text in kit.hub.reported] == [market.IN_MODERATION.format(count=1)]
    kit.later(minutes=2)
    (page,) = kit.market().cards(None)
    assert [card.code for card in page.cards] == [CUP, "A-2", "A-3"]


def test_cards_come_page_by_page_each_once(tmp_path: Path) -> None:
    with running(tmp_path) as kit:
        for n in range(250):
            kit.account.add_item(f"Товар {n}", 10, 1, offer=f"B-{n}")
        pages = list(kit.market().cards(None))
        assert [len(page.cards) for page in pages] == [100, 100, 52]
        assert (pages[-1].done, pages[-1].total) == (252, 252)
        assert len({card.id for page in pages for card in page.cards}) == 252


def test_a_list_that_moves_while_it_is_read_is_read_again(kit: Kit) -> None:
    """What a missing card would be taken for is: deleted over there."""
    for n in range(150):
        kit.account.add_item(f"Товар {n}", 10, 1, offer=f"B-{n}")
    seller, get = kit.market(), api.Seller.get
    gone = kit.account.item("B-0")

    def meanwhile(self: Any, path: str, **query: Any) -> Any:
        if query.get("page") == 2:
            gone.archived = True
        return get(self, path, **query)

    seller.seller.get = meanwhile.__get__(seller.seller)  # type: ignore[method-assign]
    seen = {card.code for page in seller.cards(None) for card in page.cards}
    assert len(seen) == 152  # also B-98, which moved from the second page to the first


def test_one_card_is_found_by_its_number_on_the_site(kit: Kit) -> None:
    seller = kit.market()
    found = seller.card(str(kit.cup.rz_item_id))
    assert found is not None
    assert (found.code, found.price, found.quantity, found.gone) == (CUP, Decimal(100), Decimal(50), False)
    kit.cup.archived = True
    assert seller.card(str(kit.cup.rz_item_id)) == found.__class__(
        **{**{name: getattr(found, name) for name in found.__slots__}, "gone": True}
    )
    assert seller.card("1") is None
    assert seller.card("A-1") is None


def offering(kit: Kit, item: Any, **more: Any) -> Offering:
    said = {"item_id": str(item.item_id), "availability": "4"}
    return Offering(item.price_offer_id, str(item.rz_item_id), item.name, more.pop("facts", said), **more)


def told(seller: RozetkaMarket, *offerings: Offering) -> dict[str, BadRecord | None]:
    return {one.key: one.error for one in seller.put(offerings)}


def test_stock_and_price_go_with_both_ids_in_one_call(kit: Kit) -> None:
    a = offering(kit, kit.cup, quantity=Decimal(7), price=Decimal(120), old_price=Decimal(150))
    b = offering(kit, kit.mug, quantity=Decimal(0))
    assert told(kit.market(), a, b) == {"A-1": None, "A-2": None}
    (sent,) = kit.account.calls("/items/mass-update")
    assert sent.json == {
        "isIgnoreCheck": 0,
        "items": [
            {"item_rz_id": kit.cup.rz_item_id, "price": 120, "price_old": 150, "stock_quantity": 7, "item_id": kit.cup.item_id},
            {"item_rz_id": kit.mug.rz_item_id, "stock_quantity": 0, "item_id": kit.mug.item_id},
        ],
    }
    assert (kit.cup.stock, kit.cup.price, kit.cup.price_old, kit.mug.stock) == (7, 120, 150, 0)


def test_an_old_price_of_nothing_is_cleared(kit: Kit) -> None:
    kit.cup.price_old = 200
    assert told(kit.market(), offering(kit, kit.cup, price=Decimal(101), old_price=Decimal(0))) == {"A-1": None}
    assert kit.cup.price_old is None


def test_a_price_jump_is_found_in_the_list_of_waiting_prices(kit: Kit) -> None:
    """More than 1.5 times or less than a half: their answer is a success all the same."""
    up = offering(kit, kit.cup, price=Decimal(151), quantity=Decimal(3))
    down = offering(kit, kit.mug, price=Decimal(124))
    seller = kit.market()
    said = told(seller, up, down)
    assert {key: error and error.text for key, error in said.items()} == {"A-1": market.PRICE_WAITS, "A-2": market.PRICE_WAITS}
    assert (kit.cup.price, kit.cup.stock) == (100, 3)
    kit.account.goods.confirm(kit.cup.item_id)
    assert told(seller, up) == {"A-1": None}
    assert told(seller, offering(kit, kit.mug, price=Decimal(375))) == {"A-2": None}  # just 1.5 times is no jump


def test_a_list_of_waiting_prices_that_is_not_whole_leaves_the_prices_told(kit: Kit) -> None:
    """They were taken; what the list shows still counts."""
    up, same = offering(kit, kit.cup, price=Decimal(151)), offering(kit, kit.mug, price=Decimal(250))
    seller = rewrite(kit.market(), "/goods/prices", lambda said: said | {"_meta": {"totalCount": 5}})
    said = told(seller, up, same)
    assert {key: error and error.text for key, error in said.items()} == {"A-1": market.PRICE_WAITS, "A-2": None}
    assert len(kit.account.calls("/items/mass-update")) == 1
    seller.close()
    assert [text for _level, text in kit.hub.reported] == [api.LIST_MOVES.format(path="/goods/prices", found=1, total=5)]


def test_stock_alone_asks_for_no_waiting_prices(kit: Kit) -> None:
    told(kit.market(), offering(kit, kit.cup, quantity=Decimal(1)))
    assert kit.account.calls("/goods/prices") == []


def test_what_is_wrong_with_one_card_is_told_of_that_one_and_the_others_are_sent_again(kit: Kit) -> None:
    kit.cup.blocked = ["Заборонена категорія"]
    said = told(kit.market(), offering(kit, kit.cup, quantity=Decimal(1)), offering(kit, kit.mug, quantity=Decimal(2)))
    error = said.pop("A-1")
    assert error is not None
    assert "Товар заблоковано" in str(error)
    assert said == {"A-2": None}
    assert kit.mug.stock == 2
    assert [len(one.json["items"]) for one in kit.account.calls("/items/mass-update")] == [2, 1]


def test_goods_of_a_price_list_are_refused_with_what_to_do(tmp_path: Path) -> None:
    with running(tmp_path, availability=BY_STOCK) as kit:
        facts = {"item_id": str(kit.cup.item_id), "availability": "3"}
        error = told(kit.market(), offering(kit, kit.cup, quantity=Decimal(1), facts=facts))["A-1"]
        assert error is not None
        assert error.text == market.BY_PRICE_LIST


def test_where_they_take_it_all_the_same_the_run_warns_that_the_price_list_overrides(kit: Kit) -> None:
    seller = kit.market()
    facts = {"item_id": str(kit.cup.item_id), "availability": "3"}
    assert told(seller, offering(kit, kit.cup, quantity=Decimal(1), facts=facts)) == {"A-1": None}
    seller.close()
    assert [text for _level, text in kit.hub.reported] == [market.OVERRIDDEN]


def test_hryvnias_are_whole(kit: Kit) -> None:
    error = told(kit.market(), offering(kit, kit.cup, price=Decimal("99.50")))["A-1"]
    assert error is not None
    assert error.text == market.WHOLE_PRICE
    assert kit.account.calls("/items/mass-update") == []


def test_a_link_made_by_hand_finds_the_other_id_itself(kit: Kit) -> None:
    assert told(kit.market(), offering(kit, kit.cup, quantity=Decimal(4), facts={})) == {"A-1": None}
    assert kit.cup.stock == 4
    error = told(kit.market(), Offering("x", "999", "Зникла", quantity=Decimal(1)))["x"]
    assert error is not None
    assert error.text == market.NO_CARD


@pytest.mark.parametrize("kind", ["timeout", "lost", "truncated", "500", "503"])
def test_stock_that_may_have_arrived_is_simply_said_again(kit: Kit, kind: str) -> None:
    kit.account.fault(kind, path="/items/mass-update")
    assert told(kit.market(), offering(kit, kit.cup, quantity=Decimal(9))) == {"A-1": None}
    assert (kit.cup.stock, kit.account.writes["items"]) == (9, 1)


def test_names_and_descriptions_are_changed_by_a_call_of_their_own(kit: Kit) -> None:
    kit.cup.source = 199  # made by the API: its content is not the price list's
    one = offering(kit, kit.cup, fields={"name_ua": "Чашка біла", "description_ua": "Опис"})
    assert told(kit.market(), one) == {"A-1": None}
    (sent,) = kit.account.calls("/items-create/mass-update-basic-data")
    assert sent.json == {"items": [{"rz_item_id": kit.cup.rz_item_id, "name_ua": "Чашка біла", "description_ua": "Опис"}]}
    assert (kit.cup.name_ua, kit.account.calls("/items/mass-update")) == ("Чашка біла", [])


def test_content_that_comes_from_the_price_list_is_refused_before_it_is_sent(kit: Kit) -> None:
    facts = {"item_id": str(kit.cup.item_id), "content": "no"}
    error = told(kit.market(), offering(kit, kit.cup, facts=facts, fields={"name_ua": "X"}))["A-1"]
    assert error is not None
    assert error.text == market.FIXED_CONTENT
    assert kit.paths("PUT") == []


def test_content_that_was_taken_without_a_word_and_not_changed_is_found_out(kit: Kit) -> None:
    """They only say how many cards were changed."""
    kit.cup.source = 199
    assert kit.mug.source == PRICE_LIST
    a, b = (offering(kit, item, fields={"name_ua": "Інша"}) for item in (kit.cup, kit.mug))
    said = told(kit.market(), a, b)
    assert said["A-1"] is None
    assert said["A-2"] is not None
    assert said["A-2"].text == market.NOT_CHANGED


def test_the_form_of_errors_by_item_is_understood() -> None:
    """§3.7, by either id."""
    errors = json.loads('{"102069758": {"reason": [{"id": 1, "value": ["a"]}, {"id": 2, "value": ["b", "c"]}]}}')
    assert api._reasons(errors["102069758"]) == "a; b; c"
    assert market._reason({"344": "x"}, {"item_id": 1, "item_rz_id": 344}) == "x"
