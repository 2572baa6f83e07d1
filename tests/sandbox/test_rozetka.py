"""The stand-in for Rozetka's Seller API behaves as was recorded, warts included (facts on marketplaces §3, §11)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from obmen.sandbox.rozetka import Rozetka, SoldOut, seed, statuses
from sandbox.market_calls import SAMPLES, Calls, Clock, feed, lacking

CUBE = "SKU-1"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def seller(clock: Clock) -> Rozetka:
    made = Rozetka(clock=clock)
    made.add_item("Кубик", 571, 12, offer=CUBE, article=CUBE)
    made.add_token("static")
    return made


@pytest.fixture
def api(seller: Rozetka) -> Calls:
    return Calls(seller, "static", **{"accept-validate-exception": "1"})


def sample(name: str) -> Any:
    path = SAMPLES / "rozetka" / name
    return json.loads(path.read_text("utf-8"))["content"] if path.exists() else {}


def ok(answer: Any) -> Any:
    assert answer["success"] is True, answer
    return answer["content"]


def failed(answer: Any) -> tuple[int, Any]:
    assert answer["success"] is False, answer
    return answer["errors"]["code"], answer["errors"]["details"]


def order_ids(answer: Any) -> list[int]:
    return [order["id"] for order in ok(answer)["orders"]]


# --- logging in (§3.1) ------------------------------------------------------------------------------------------------------------------


def log_in(seller: Rozetka, password: str = "sandbox", login: str = "seller") -> tuple[Calls, Any]:
    api = Calls(seller, "")
    said = api.post("/sites", {"username": login, "password": base64.b64encode(password.encode()).decode()})
    if said["success"]:
        api.token = said["content"]["access_token"]
    return api, said


def test_the_password_travels_as_base64(seller: Rozetka) -> None:
    api, said = log_in(seller)
    assert (
        lacking({"access_token": 0, "permissions": 0, "roles": 0, "market": {"id": 0, "title": 0, "status": 0}}, ok(said)) == []
    )
    assert ok(said)["market"]["status"] == "6"
    assert order_ids(api.get("/orders/search")) == []
    plain = Calls(seller, "").post("/sites", {"username": "seller", "password": "sandbox"})
    assert failed(plain) == (1004, None)
    assert failed(Calls(seller, "").post("/sites", {"username": "seller"}))[0] == 1001


@pytest.mark.parametrize("code", [1004, 1020])
def test_a_wrong_login_is_refused_with_status_200(seller: Rozetka, code: int) -> None:
    seller.settings.wrong_login = code
    assert [failed(log_in(seller, *wrong)[1])[0] for wrong in (("other",), ("sandbox", "nobody"))] == [code, code]
    assert len(seller.tokens) == 1


@pytest.mark.parametrize("status", [200, 401])
def test_a_token_ends_after_a_day_and_a_new_login_helps(seller: Rozetka, clock: Clock, status: int) -> None:
    seller.settings.expired_status = status
    api, _said = log_in(seller)
    for _n in range(2):
        clock.turn(12 * 3600 - 1)
        ok(api.get("/orders/search"))  # being used does not keep it
    clock.turn(2)
    assert (failed(api.get("/orders/search"))[0], api.answer.status) == (6001, status)
    api, _said = log_in(seller)
    ok(api.get("/orders/search"))


def test_a_static_token_lapses_when_it_lies_idle(seller: Rozetka, api: Calls, clock: Clock) -> None:
    for _n in range(3):
        clock.turn(86_399)
        ok(api.get("/orders/search"))
    clock.turn(86_400)
    assert failed(api.get("/orders/search"))[0] == 6001


def test_without_a_token_nothing_goes_and_a_logout_ends_it(seller: Rozetka) -> None:
    api = Calls(seller, "")
    assert (failed(api.get("/orders/search"))[0], api.answer.status) == (5401, 401)
    api, _said = log_in(seller)
    ok(api.post("/sites/logout"))
    assert failed(api.get("/orders/search"))[0] == 5401


def test_a_token_may_lack_a_role(seller: Rozetka) -> None:
    """§3.1: those of a login do; a static one of the cabinet has its own."""
    seller.login_roles = ["orders"]
    api, _said = log_in(seller)
    ok(api.get("/orders/search"))
    assert (failed(api.get("/goods/all")), api.answer.status) == ((1010, None), 200)
    seller.add_token("content", ["goods"])
    ok(Calls(seller, "content").get("/goods/all"))


def test_too_many_requests_are_refused() -> None:
    seller = Rozetka(rate=2)
    seller.limiter.monotonic = lambda: 5.0
    seller.add_token("static")
    api, seen = Calls(seller, "static"), []
    for _n in range(3):
        api.get("/orders/search")
        seen.append(api.answer.status)
    assert (seen, api.answer.headers) == ([200, 200, 429], (("Retry-After", "1"),))


def test_at_night_everything_is_closed(seller: Rozetka, api: Calls) -> None:
    seller.settings.maintenance = True
    assert failed(api.get("/orders/search"))[0] == 5503
    assert failed(log_in(seller)[1])[0] == 5503


def test_an_unknown_address_is_not_found(api: Calls) -> None:
    assert failed(api.get("/orders/everything"))[0] == 5404
    assert failed(api.get("/goods/everything"))[0] == 5404


# --- searching orders (§3.3) -----------------------------------------------------------------------------------------------------------


def test_without_types_what_is_over_is_lost(seller: Rozetka, api: Calls) -> None:
    new, gone, done = (seller.buy([(CUBE, 1)]).id for _n in range(3))
    seller.cancel(gone)
    seller.set_status(done, statuses.DONE)
    assert order_ids(api.get("/orders/search")) == [new]
    assert order_ids(api.get("/orders/search", types=1)) == [done, gone, new]
    assert [order_ids(api.get("/orders/search", types=n)) for n in (2, 3, 4, 5, 6)] == [[new], [done], [new], [], [gone]]
    assert [order_ids(api.get("/orders/search", type=n)) for n in (1, 2, 3)] == [[new], [done], [gone]]


def test_past_the_end_the_last_page_comes_again(seller: Rozetka, api: Calls) -> None:
    seller.item(CUBE).stock = 100
    first = min(seller.buy([(CUBE, 1)]).id for _n in range(23))
    pages = [ok(api.get("/orders/search", page=n)) for n in (1, 2, 3, 9)]
    assert [len(page["orders"]) for page in pages] == [20, 3, 3, 3]
    assert pages[1]["orders"] == pages[3]["orders"]
    assert pages[0]["_meta"] == {"totalCount": 23, "pageCount": 2, "currentPage": 1, "perPage": 20}
    assert pages[3]["_meta"]["currentPage"] == 2
    assert pages[1]["orders"][-1]["id"] == first


def test_page_may_be_ignored(seller: Rozetka, api: Calls) -> None:
    """§3.1, §12.3: the same first page for ever; narrower dates are the way out."""
    seller.settings.page_ignored = True
    seller.settings.orders_page = 2
    for _n in range(3):
        seller.buy([(CUBE, 1)])
    pages = [ok(api.get("/orders/search", page=n)) for n in (1, 2)]
    assert pages[0] == pages[1]
    assert pages[0]["_meta"]["totalCount"] == 3


def test_changes_are_found_by_local_time(seller: Rozetka, api: Calls, clock: Clock) -> None:
    old, other = seller.buy([(CUBE, 1)]).id, seller.buy([(CUBE, 1)]).id
    clock.turn(3600)
    seller.cancel(old)
    assert order_ids(api.get("/orders/search", types=1, changed_from="2026-09-23 13:30:00")) == [old]
    assert order_ids(api.get("/orders/search", types=1, changed_to="2026-09-23 13:30:00")) == [other]
    assert order_ids(
        api.get("/orders/search", types=1, created_from="2026-09-23 12:34:56", created_to="2026-09-23 12:34:56")
    ) == [other, old]
    assert order_ids(api.get("/orders/search", types=1, created_from="2026-09-23", created_to="2026-09-23")) == [other, old]
    assert order_ids(api.get("/orders/search", types=1, sort="-changed")) == [old, other]
    assert order_ids(api.get("/orders/search", types=1, sort="changed")) == [other, old]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"created_from": "yesterday"}, 1022), ({"changed_to": "2026-09-23T10:00:00"}, 1023), ({"status": "new"}, 1002), ({"types": "9"}, 1002),
        ({"created_from": "2026-09-23 10:00:00", "created_to": "2026-09-22 10:00:00"}, 1024),
        ({"sort": "-colour"}, 1002), ({"deliveries": "x"}, 1002),
    ],
)  # fmt: skip
def test_a_search_for_nonsense_is_empty_unless_the_header_asks(
    seller: Rozetka, api: Calls, query: dict[str, str], code: int
) -> None:
    seller.buy([(CUBE, 1)])
    assert failed(api.get("/orders/search", **query))[0] == code
    quiet = Calls(seller, "static").get("/orders/search", **query)
    assert (order_ids(quiet), ok(quiet)["_meta"]["totalCount"]) == ([], 0)


def test_orders_are_found_by_what_they_have(seller: Rozetka, api: Calls) -> None:
    lamp = seller.add_item("Лампа", 100, 5, offer="L-1")
    cube = seller.buy([(CUBE, 1)], service=1, payment=2).id
    light = seller.buy([("L-1", 2)], last_name="Інша", phone="380671112233").id
    ok(api.put(f"/orders/{light}", {"status": 26, "seller_comment": "дзвонили"}))
    seller.orders[light].ttn = "20450174011062"
    for query, found in (
        ({"id": cube}, [cube]), ({"status": 26}, [light]), ({"item_id": "ламп"}, [light]), ({"item_id": lamp.rz_item_id}, [light]),
        ({"userName": "інша"}, [light]), ({"user_phone": "+38050"}, [cube]), ({"amountFrom": 201}, [cube]), ({"amountTo": 200}, [light]),
        ({"ttn": 0}, [cube]), ({"ttn": 1}, [light]), ({"ttn": "01740"}, [light]), ({"deliveries": "5,2"}, [light]), ({"payment_methods": 2}, [cube]),
        ({"delivery_id": 1}, [cube]), ({"seller_comment": "дзвон"}, [light]), ({"status_payment_id": 3}, [cube]), ({"is_viewed": 0}, [light, cube]),
    ):  # fmt: skip
        assert order_ids(api.get("/orders/search", **query)) == found, query


def test_only_what_expand_names_is_there(seller: Rozetka, api: Calls) -> None:
    order = seller.buy([(CUBE, 2)], comment="Передзвоніть")
    plain = ok(api.get("/orders/search"))["orders"][0]
    assert set(plain) & {"user", "delivery", "purchases", "payment", "payment_type_name", "status_available"} == set()
    assert (plain["cost_with_discount"], plain["created"], plain["comment"]) == ("1142.00", "2026-09-23 12:34:56", "Передзвоніть")
    names = "user,delivery,delivery_service,purchases,status_available,status_data,order_status_history,payment,payment_type"
    names += ",payment_type_name,status_payment"
    full = ok(api.get("/orders/search", expand=names))["orders"][0]
    assert full == ok(api.get(f"/orders/{order.id}", expand=names))
    assert set(names.split(",")) <= set(full)
    (line,) = full["purchases"]
    assert (line["item"]["price_offer_id"], line["price"], line["quantity"], line["status"]) == (CUBE, "571.00", 2, 1)
    assert (full["payment_type"], full["payment_type_name"], full["status_payment"]) == (
        "cash",
        "Оплата під час отримання товару",
        None,
    )
    assert [way["child_id"] for way in full["status_available"]] == [26, 40, 49]
    rows = sample("orders_search_expanded.json").get("orders") or [{}]
    # Of what the facts list as expandable, chats, reviews and commissions are not kept here
    wanted = {name: rows[0][name] for name in names.split(",") if name in rows[0]}
    assert lacking(wanted, full) == [gap for gap in lacking(wanted, full) if gap.endswith((".is_smart", ".place_id"))]
    small = (sample("orders_search_min.json").get("orders") or [{}])[0]
    assert set(small) - set(full) <= {
        "credit_status",
        "credit_info",
        "credit_broker",
        "user_rating",
        "delivery",
        "payment_type",
    } | set(names.split(","))


def test_an_order_that_is_not_there_is_an_error(api: Calls) -> None:
    assert failed(api.get("/orders/5"))[0] == 1019
    assert failed(api.put("/orders/5", {"status": 26}))[0] == 1019


def test_orders_are_counted(seller: Rozetka, api: Calls) -> None:
    for _n in range(2):
        last = seller.buy([(CUBE, 1)]).id
    seller.cancel(last)
    assert ok(api.get("/orders/counts")) == {"inProgress": 1, "inDone": 0, "inNotDone": 1}
    assert ok(api.get("/orders/counts-new")) == {
        "inProgress": 1, "inDone": 0, "inNotDone": 1, "new": 1, "delivering": 0, "all": 2, "unwatched": 2,
    }  # fmt: skip


# --- statuses (§3.5) ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "wanted", "more"), [(1, 2, {}), (1, 61, {"ttn": "1"}), (1, 6, {}), (2, 6, {}), (26, 6, {}), (4, 3, {"ttn": "1"})]
)
def test_a_forbidden_step_is_refused(seller: Rozetka, api: Calls, start: int, wanted: int, more: dict[str, str]) -> None:
    order = seller.buy([(CUBE, 1)])
    if start != 1:
        seller.set_status(order.id, start)
    assert failed(api.put(f"/orders/{order.id}", {"status": wanted, **more})) == (
        1005,
        {"status": ["Наступний статус недоступний"]},
    )
    assert (order.status, order.ttn, seller.writes["orders"]) == (start, "", 0)


@pytest.mark.parametrize("wanted", [55, 47, 2, 42, 43, 28, 33, 40, 20, 18, 29, 17, 37, 38])
def test_from_processed_by_the_manager_there_are_many_ways(seller: Rozetka, api: Calls, wanted: int) -> None:
    order = seller.buy([(CUBE, 2)])
    ok(api.put(f"/orders/{order.id}", {"status": 26}))
    said = ok(api.put(f"/orders/{order.id}", {"status": wanted}, expand="order_status_history"))
    assert [row["status_id"] for row in said["order_status_history"]] == [1, 26, wanted]
    back = statuses.group(wanted) == statuses.FAILED
    assert (order.status, seller.item(CUBE).stock) == (wanted, 12 if back else 10)


def test_own_delivery_has_a_way_of_its_own(seller: Rozetka, api: Calls) -> None:
    """§3.5: 2 → 4 by the seller's delivery only."""
    own, carrier = seller.buy([(CUBE, 1)], service=2), seller.buy([(CUBE, 1)], service=5)
    for order in (own, carrier):
        seller.set_status(order.id, 2)
    ok(api.put(f"/orders/{own.id}", {"status": 4}))
    assert failed(api.put(f"/orders/{carrier.id}", {"status": 4}))[0] == 1005
    seen = ok(api.get(f"/orders/{carrier.id}", expand="status_available"))["status_available"]
    assert [(way["child_id"], way["delivery_type"]) for way in seen] == [(26, 0), (61, 0)]


def test_the_status_is_always_needed_and_the_same_one_carries_a_comment(seller: Rozetka, api: Calls) -> None:
    order = seller.buy([(CUBE, 1)])
    assert failed(api.put(f"/orders/{order.id}", {"seller_comment": "x"}))[0] == 1001
    said = ok(api.put(f"/orders/{order.id}", {"status": 1, "seller_comment": "Передзвонили"}))
    assert (said["current_seller_comment"], said["seller_comment"][0]["comment"]) == ("Передзвонили", "Передзвонили")
    ok(api.put(f"/orders/{order.id}", {"status": 1}))
    assert seller.writes["orders"] == 1


def test_a_ttn_is_needed_where_the_carrier_takes_over(seller: Rozetka, api: Calls) -> None:
    order = seller.buy([(CUBE, 1)])
    seller.set_status(order.id, 26)
    assert failed(api.put(f"/orders/{order.id}", {"status": 61})) == (1005, {"ttn": ["Необхідно заповнити ТТН"]})
    said = ok(api.put(f"/orders/{order.id}", {"status": 61, "ttn": "20450174011062"}, expand="status_available"))
    assert (said["status"], said["ttn"], said["status_available"]) == (61, "20450174011062", [])


def test_a_ttn_with_packed_moves_the_order_on_by_itself(seller: Rozetka, api: Calls) -> None:
    order = seller.buy([(CUBE, 1)])
    seller.set_status(order.id, 26)
    assert ok(api.put(f"/orders/{order.id}", {"status": 2, "ttn": "20450174011062"}))["status"] == 61


def test_the_carrier_moves_the_order_and_the_seller_must_not(seller: Rozetka, api: Calls, clock: Clock) -> None:
    order = seller.buy([(CUBE, 1)])
    seller.set_status(order.id, 26)
    ok(api.put(f"/orders/{order.id}", {"status": 61, "ttn": "1"}))
    assert failed(api.put(f"/orders/{order.id}", {"status": 6}))[0] == 1005
    seen = []
    for _n in range(4):
        clock.turn(3600)
        seen.append(ok(api.get(f"/orders/{order.id}"))["status"])
        if order.status == 5:
            assert failed(api.put(f"/orders/{order.id}", {"status": 6}))[0] == 1005  # without a TTN there is such a way
    assert seen == [80, 81, 5, 6]
    clock.turn(3600)
    assert (order.status, [s for s, _at in order.history]) == (6, [1, 26, 61, 80, 81, 5, 6])


def test_hours_that_nobody_asked_in_have_passed_all_the_same(seller: Rozetka, api: Calls, clock: Clock) -> None:
    order = seller.buy([(CUBE, 1)])
    seller.set_status(order.id, 26)
    ok(api.put(f"/orders/{order.id}", {"status": 61, "ttn": "1"}))
    clock.turn(10_000)
    assert ok(api.get(f"/orders/{order.id}"))["changed"] == "2026-09-23 14:34:56"
    assert order.status == 81


def test_a_duplicate_names_the_other_order(seller: Rozetka, api: Calls) -> None:
    order, other = seller.buy([(CUBE, 1)]), seller.buy([(CUBE, 1)])
    for wrong in ({}, {"duplicate_order_id": order.id}, {"duplicate_order_id": 5}):
        assert failed(api.put(f"/orders/{order.id}", {"status": 49, **wrong}))[0] == 1005
    assert ok(api.put(f"/orders/{order.id}", {"status": 49, "duplicate_order_id": other.id}))["duplicate_order_id"] == other.id
    assert order.status == 49


def test_statuses_and_ways_are_looked_up(seller: Rozetka, api: Calls) -> None:
    pages = [ok(api.get("/order-statuses/search", page=n, expand="status_available")) for n in range(1, 6)]
    rows = {row["id"]: row for page in pages for row in page["orderStatus"]}
    assert (len(rows), rows[61]["name_uk"], rows[6]["status_group"], rows[40]["status_group"]) == (
        len(statuses.NAMES),
        "Заплановано передачу перевізникові",
        2,
        3,
    )
    assert [way["child_id"] for way in rows[2]["status_available"]] == [26, 4, 61]
    assert [way["child_id"] for way in ok(api.get("/status-availables/search", parent_id=1))["statusAvailables"]] == [26, 40, 49]
    assert set(rows) == set(range(1, 92)) & set(rows)
    seller.settings.older_keys = True
    older = ok(api.get("/order-statuses/search"))["orderStatus"][0]
    assert {"name_ua", "type"} <= set(older)
    assert {"name_uk", "status_group"} & set(older) == set()
    russian = Calls(seller, "static", **{"content-language": "ru"})
    assert ok(russian.get("/order-statuses/search"))["orderStatus"][0]["name"] == "Новый заказ"


# --- the rest of an order (§3.4, §3.5) ------------------------------------------------------------------------------------------------------


def test_money_is_noted_for_prepaid_orders_only_and_late(seller: Rozetka, api: Calls, clock: Clock) -> None:
    cash, card = seller.buy([(CUBE, 1)]), seller.buy([(CUBE, 1)], payment=2)
    assert ok(api.get(f"/orders/status-payment/{cash.id}")) is None
    assert ok(api.get(f"/orders/status-payment/{card.id}"))["name"] == "unpaid"
    seller.pay(card.id)
    assert ok(api.get(f"/orders/status-payment/{card.id}"))["name"] == "unpaid"  # §3.4: repeats itself for five minutes
    assert ok(api.get(f"/orders/{card.id}", expand="payment"))["payment"]["payment_status"]["name"] == "paid"
    clock.turn(300)
    assert ok(api.get(f"/orders/status-payment/{card.id}"))["status_payment_id"] == 2
    with pytest.raises(ValueError, match="cash"):
        seller.pay(cash.id)
    assert len(ok(api.get("/payments/payment-statuses"))["payment_statuses"]) == 10


def test_goods_of_an_order_are_edited_while_the_manager_has_it(seller: Rozetka, api: Calls) -> None:
    seller.add_item("Лампа", 100, 5, offer="L-1")
    order = seller.buy([(CUBE, 2)])
    line = order.purchases[0].id
    rows = [{"id": None, "item_id": seller.item("L-1").rz_item_id, "quantity": 2}]
    assert failed(api.put(f"/orders/{order.id}", {"status": 1, "purchases": rows}))[0] == 1005
    seller.set_status(order.id, 26)
    assert failed(api.put(f"/orders/{order.id}", {"status": 26, "purchases": [{"id": line, "quantity": 13}]}))[0] == 1005
    assert seller.item(CUBE).stock == 10
    seen = ok(
        api.put(f"/orders/{order.id}", {"status": 26, "purchases": [{"id": line, "quantity": 3}, *rows]}, expand="purchases")
    )
    assert [(p["quantity"], p["status"]) for p in seen["purchases"]] == [(3, 1), (2, 1)]
    assert (seen["amount"], seller.item(CUBE).stock, seller.item("L-1").stock) == ("1913.00", 9, 3)
    seen = ok(api.put(f"/orders/{order.id}", {"status": 26, "purchases": [{"id": line, "quantity": 1}]}, expand="purchases"))
    assert [p["status"] for p in seen["purchases"]] == [1, 0]
    assert (seen["amount"], seller.item(CUBE).stock, seller.item("L-1").stock) == ("571.00", 11, 5)


def test_delivery_and_recipient_are_changed(seller: Rozetka, api: Calls) -> None:
    order = seller.buy([(CUBE, 1)])
    new = {"delivery_method_id": 2, "delivery_service_id": 1, "city": {"id": 2}, "place_street": "Зелена", "place_house": "5"}
    assert failed(api.post("/orders/update-delivery", {"order_id": order.id, "delivery": new}))[0] == 1005
    seller.set_status(order.id, 26)
    assert failed(api.post("/orders/update-delivery", {"order_id": order.id, "delivery": {**new, "city": {"id": 9}}}))[0] == 1005
    ok(api.post("/orders/update-delivery", {"order_id": order.id, "delivery": new}))
    title = {"first_name": "Олена", "last_name": "Інша"}
    send = {"order_id": order.id, "recipient_title": title, "recipient_phone": "380671112233"}
    seen = ok(api.post("/orders/update-receiver", send, expand="delivery"))["delivery"]
    assert (seen["city"]["name_ua"], seen["place_street"], seen["name_logo"]) == ("Львів", "Зелена", "octopus")
    assert (seen["recipient_title"], seen["recipient_phone"], seen["another_recipient"]) == ("Інша Олена", "380671112233", True)


# --- delivery (§3.6) -------------------------------------------------------------------------------------------------------------------------


def test_delivery_dictionaries_may_come_whole(seller: Rozetka, api: Calls) -> None:
    rows = ok(api.get("/delivery-services/search", pageSize=0))
    assert [(row["id"], row["type"]) for row in rows["deliveryServices"]] == [(1, 0), (5, 0), (2, 1)]
    assert lacking(sample("delivery_services_search.json"), rows) == []
    assert len(ok(api.get("/delivery-services/search", pageSize=1))["deliveryServices"]) == 1
    assert [row["name"] for row in ok(api.get("/localities/search", name="льв"))["localities"]] == ["Львів"]
    assert failed(api.get("/delivery-service-pickups/search", delivery_service_id=5))[0] == 1001
    assert (
        len(ok(api.get("/delivery-service-pickups/search", delivery_service_id=5, locality_id=1))["deliveryServicePickups"]) == 3
    )


PARCEL: dict[str, Any] = {
    "payer": "sender", "places": 1, "params": {"weight": 1, "height": 10, "width": 10, "length": 10}, "description": "Кубик", "has_paid": False,
    "sender": {"type": "natural", "city": "x", "address": "y", "department": "z", "name": "N", "phones": ["380664357902"], "info": "i"},
    "cost": 571, "carrier": 1,
}  # fmt: skip


@pytest.mark.parametrize("hidden", [False, True])
def test_a_ttn_of_their_own_is_made_tracked_and_printed(seller: Rozetka, api: Calls, hidden: bool) -> None:
    """§3.6: the number may be in original_info only."""
    seller.settings.ttn_in_original = hidden
    order = seller.buy([(CUBE, 1)], service=1)
    seller.set_status(order.id, 26)
    made = ok(api.post("/delivery-rozetka/create-order-ttn", {"order_id": order.id, **PARCEL}))
    number = json.loads(made["original_info"])["track_num"] if hidden else made["ttn"]
    assert (number, made["ttn"] is None, made["receiver_fio"]) == ("RMP-000000001", hidden, "Петренко Іван")
    assert lacking(dict.fromkeys(("ext_id", "delivery_status_id", "order_id", "created_at", "id"), 0), made) == []
    assert (order.status, order.ttn, ok(api.get(f"/orders/{order.id}"))["mk_created"]) == (61, number, True)
    assert api.post("/delivery-rozetka/ttn-print-batch", {"track_numbers": [number]}).startswith("%PDF")
    assert failed(api.post("/delivery-rozetka/ttn-print-batch", {"track_numbers": ["RMP-2"]}))[0] == 1110
    assert failed(api.post("/delivery-rozetka/create-order-ttn", {"order_id": order.id, **PARCEL}))[0] == 1005


@pytest.mark.parametrize(
    "wrong", [{"description": "x" * 101}, {"carrier": 2}, {"params": {"weight": 1}}, {"sender": {"type": "natural", "info": ""}}]
)
def test_a_parcel_must_be_described(seller: Rozetka, api: Calls, wrong: dict[str, Any]) -> None:
    order = seller.buy([(CUBE, 1)])
    assert failed(api.post("/delivery-rozetka/create-order-ttn", {"order_id": order.id, **PARCEL, **wrong}))[0] == 1005
    assert (order.ttn, seller.ttns) == ("", 0)


# --- goods (§3.7) ----------------------------------------------------------------------------------------------------------------------------


def update(api: Calls, *rows: dict[str, Any]) -> Any:
    return api.put("/items/mass-update", {"isIgnoreCheck": 0, "items": list(rows)})


def test_goods_have_the_recorded_names(seller: Rozetka, api: Calls) -> None:
    seen = ok(api.get("/goods/all"))
    wanted = {
        "rz_item_id",
        "price_offer_id",
        "item_id",
        "sync_source",
        "price",
        "stock_quantity",
        "available",
        "rz_sell_status",
        "updated_price",
    }
    assert wanted <= set(seen["items"][0])
    assert (seen["items"][0]["price"], seen["_meta"]["perPage"], seen["count"]) == (571, 100, 1)
    recorded = sample("goods_all.json")
    if recorded:
        left_out = lacking(recorded, seen)
        assert not any(
            gap.endswith((".price", ".price_offer_id", ".rz_item_id", ".item_id", ".stock_quantity")) for gap in left_out
        )
    details = ok(api.get("/goods/details", item_id=seller.item(CUBE).item_id))["item"]
    assert details[0]["price_offer_id"] == CUBE
    assert failed(api.get("/goods/details", item_id=5))[0] == 1019


def test_price_and_stock_are_set_by_either_id(seller: Rozetka, api: Calls) -> None:
    cube = seller.item(CUBE)
    assert ok(update(api, {"item_id": cube.item_id, "price": 600, "price_old": 700, "stock_quantity": 3})) is None
    assert (cube.price, cube.price_old, cube.stock) == (600, 700, 3)
    assert ok(update(api, {"item_rz_id": cube.rz_item_id, "stock_quantity": 0, "price_old": -1})) is None
    assert (cube.price, cube.price_old, cube.stock, cube.available) == (600, None, 0, 0)
    ok(update(api, {"item_id": cube.item_id, "stock_quantity": 0}))
    assert seller.writes["items"] == 2


@pytest.mark.parametrize(("price", "waits"), [(857, True), (856, False), (285, True), (286, False), (571, False)])
def test_a_price_jump_waits_for_the_manager_without_a_word(seller: Rozetka, api: Calls, price: int, waits: bool) -> None:
    """§3.7: more than 1.5 times or less than a half; the answer is the same, the stock of the row is taken."""
    cube = seller.item(CUBE)
    assert ok(update(api, {"item_id": cube.item_id, "price": price, "stock_quantity": 4})) is None
    assert (cube.price, cube.stock) == (571 if waits else price, 4)
    listed = [row["updated_price"] for row in ok(api.get("/goods/prices"))["items"]]
    assert listed == ([price] if waits else [])
    assert (len(ok(api.get("/goods/quarantine"))["items"]) == 1) is waits
    seller.goods.confirm(cube.item_id)
    assert (cube.price, ok(api.get("/goods/prices"))["items"]) == (price, [])


def test_a_manager_may_refuse_a_price_and_a_near_one_replaces_it(seller: Rozetka, api: Calls) -> None:
    cube = seller.item(CUBE)
    update(api, {"item_id": cube.item_id, "price": 5000})
    seller.goods.confirm(cube.item_id, take=False)
    assert (cube.price, cube.waiting) == (571, None)
    update(api, {"item_id": cube.item_id, "price": 5000})
    update(api, {"item_id": cube.item_id, "price": 580})
    assert (cube.price, cube.waiting) == (580, None)


def test_bad_rows_are_named_by_item_and_good_ones_taken(seller: Rozetka, api: Calls) -> None:
    cube, lamp = seller.item(CUBE), seller.add_item("Лампа", 100, 5, offer="L-1")
    said = update(
        api, {"item_id": cube.item_id, "price": 580}, {"item_id": 5, "price": 1}, {"item_id": lamp.item_id, "price": -5}
    )
    assert (said["success"], set(said["errors"])) == (False, {"5", str(lamp.item_id)})
    assert said["errors"]["5"]["reason"] == [{"id": 1, "value": ["Товар не знайдено"]}]
    assert (cube.price, lamp.price) == (580, 100)


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"price": 0},
        {"price": "580"},
        {"price": 5.5},
        {"stock_quantity": -1},
        {"item_rz_id": 9, "price": 580},
        {"price_old": 5},
    ],
)
def test_a_row_must_make_sense(seller: Rozetka, api: Calls, row: dict[str, Any]) -> None:
    cube = seller.item(CUBE)
    said = update(api, {"item_id": cube.item_id, **row})
    assert (said["success"], list(said["errors"])) == (False, [str(cube.item_id)])
    assert (cube.price, cube.stock, seller.writes["items"]) == (571, 12, 0)


def test_goods_of_a_price_list_source_or_blocked_ones_take_nothing(seller: Rozetka, api: Calls) -> None:
    cube = seller.item(CUBE)
    cube.blocked = ["Заборонена категорія"]
    assert update(api, {"item_id": cube.item_id, "price": 580})["success"] is False
    cube.blocked = []
    seller.goods.sources[107] = 3
    assert update(api, {"item_id": cube.item_id, "price": 580})["success"] is False
    assert (cube.price, ok(api.get("/markets/sources-list"))["sources"][0]["availability"]) == (571, 3)


def test_a_new_card_has_no_id_on_the_site_until_moderation(seller: Rozetka, api: Calls, clock: Clock) -> None:
    send = {
        "name": "Ваза",
        "name_ua": "Ваза",
        "category_id": 4626589,
        "price": 300,
        "stock_quantity": 2,
        "pictures": [{"link": "https://x.example.com/1.jpg"}],
    }
    assert failed(api.post("/items-create/create", {**send, "pictures": []}))[0] == 1001
    assert failed(api.post("/items-create/create", {**send, "category_id": 1}))[0] == 1005
    made = ok(api.post("/items-create/create", {**send, "price_offer_id": "V-1"}))["item"]
    vase = seller.goods.items[made["item_id"]]
    assert [row["rz_item_id"] for row in ok(api.get("/goods/new"))["items"]] == [None]
    with pytest.raises(SoldOut):
        seller.buy([("V-1", 1)])
    clock.turn(60)
    assert [row["rz_item_id"] for row in ok(api.get("/goods/on-sale", price_offer_id="V-1"))["items"]] == [vase.rz_item_id]
    assert vase.rz_item_id
    assert failed(api.post("/items-create/create", {**send, "price_offer_id": "V-1"}))[0] == 1005
    said = ok(api.put("/items-create/mass-update-basic-data", {"items": [{"item_id": vase.item_id, "name_ua": "Вазон"}]}))
    assert (said, vase.name_ua) == ({"items_updated": 1}, "Вазон")


def test_tabs_and_filters_of_goods(seller: Rozetka, api: Calls) -> None:
    lamp = seller.add_item("Лампа", 100, 0, offer="L-1", article="L")
    seller.add_item("Стара", 5, 1, offer="old").archived = True
    for path, query, found in (
        ("all", {}, [CUBE, "L-1"]), ("on-sale", {}, [CUBE]), ("not-available", {}, ["L-1", "old"]), ("archive", {}, ["old"]), ("hidden", {}, []),
        ("all", {"rz_item_id": lamp.rz_item_id}, ["L-1"]), ("all", {"article": "L"}, ["L-1"]), ("all", {"available": 1}, [CUBE]),
        ("all", {"priceFrom": 101}, [CUBE]), ("all", {"priceTo": 101}, ["L-1"]), ("all", {"find_by_text": "ламп"}, ["L-1"]),
        ("all", {"pageSize": 1}, [CUBE]),
        ("all", {"pageSize": 1, "page": 9}, ["L-1"]),
    ):  # fmt: skip
        assert [row["price_offer_id"] for row in ok(api.get(f"/goods/{path}", **query))["items"]] == found, (path, query)
    assert ok(api.get("/goods/counts"))["on_sale"] == 1
    assert {row["name"] for row in ok(api.get("/items/sell-statuses"))["sellStatuses"]} >= {"available", "out_of_stock"}


def test_categories_and_their_options(api: Calls) -> None:
    rows = ok(api.get("/market-categories/search", parent_id=4630027))["marketCategorys"]
    assert set(rows[0]) == {"category_id", "parent_id", "name"}
    options = ok(api.get("/v1/market-categories/category-options", category_id=rows[0]["category_id"]))
    assert [row["id"] for row in options] == [54107, 58922, 58922]  # one row for each value


# --- the price list (§4) -----------------------------------------------------------------------------------------------------------------------

OFFER = (
    '<offer id="1001R" available="true"><price>571</price><price_old>650</price_old><currencyId>UAH</currencyId><categoryId>11</categoryId>'
    "<picture>https://x.example.com/1.jpg</picture><vendor>Toys</vendor><article>R</article><name>Кубик R</name><name_ua>Кубик Ч</name_ua>"
    '<stock_quantity>12</stock_quantity><param name="Колір">Червоний</param></offer>'
)
CATEGORIES = '<category id="11" rz_id="4626589">Кубики</category>'


def test_a_price_list_brings_goods_that_wait_for_moderation(seller: Rozetka, api: Calls, clock: Clock) -> None:
    counts = seller.goods.load(feed(OFFER, categories=CATEGORIES))
    red = seller.item("1001R")
    assert counts == {"created": 1, "deleted": 1}
    assert (red.price, red.price_old, red.stock, red.producer, red.category, red.rz_item_id) == (
        571,
        650,
        12,
        "Toys",
        4626589,
        None,
    )
    clock.turn(60)
    ok(api.get("/goods/all"))
    assert red.on_sale
    assert seller.goods.load(feed(OFFER, categories=CATEGORIES)) == {"unchanged": 1}


def test_what_a_price_list_lacks_is_deleted_from_it(seller: Rozetka, api: Calls) -> None:
    seller.goods.load(feed(OFFER, categories=CATEGORIES))
    assert (seller.item(CUBE).available, seller.item(CUBE).on_sale) == (2, False)
    assert [row["price_offer_id"] for row in ok(api.get("/goods/all", available=2))["items"]] == [CUBE]
    seller.goods.load(feed(OFFER, OFFER.replace("1001R", CUBE).replace("Кубик R", "Кубик"), categories=CATEGORIES))
    assert seller.item(CUBE).available == 1


def test_who_says_the_stock_depends_on_the_source(seller: Rozetka, api: Calls) -> None:
    """§3.7: 4 by the API, otherwise the next price list overrides."""
    seller.goods.load(feed(OFFER, categories=CATEGORIES))
    red, new = seller.item("1001R"), feed(OFFER.replace(">12<", ">3<").replace(">571<", ">580<"), categories=CATEGORIES)
    assert (seller.goods.load(new), red.stock, red.price) == ({"unchanged": 1}, 12, 571)
    seller.goods.sources[107] = 3
    assert (seller.goods.load(new), red.stock, red.price) == ({"updated": 1}, 3, 580)
    seller.goods.load(feed(OFFER.replace(">571<", ">5000<"), categories=CATEGORIES))
    assert (red.price, red.waiting) == (580, 5000)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<vendor>Toys</vendor>", ""), ("<stock_quantity>12</stock_quantity>", ""), ("https://", "http://"), ("/1.jpg", "/мій.jpg"), ("UAH", "USD"),
        (">11</categoryId>", ">12</categoryId>"), ('<param name="Колір">Червоний</param>', ""), ("Кубик R", "я" * 256), ("1001R", "Ю-1"),
        ("<price>571</price>", ""), (">12<", ">1.5<"),
    ],
)  # fmt: skip
def test_an_offer_that_breaks_the_rules_gets_its_reasons(seller: Rozetka, api: Calls, old: str, new: str) -> None:
    counts = seller.goods.load(feed(OFFER.replace(old, new), categories=CATEGORIES))
    assert counts == {"refused": 1, "deleted": 1}
    (bad,) = ok(api.get("/goods/not-valid"))["items"]
    assert (len(bad["error_reason"]), bad["rz_item_id"]) == (1, None)


def test_two_offers_with_one_name_or_id_are_refused(seller: Rozetka) -> None:
    assert seller.goods.load(feed(OFFER, OFFER.replace("1001R", "1001B"), categories=CATEGORIES))["refused"] == 2
    assert seller.goods.load(feed(OFFER, OFFER.replace("Кубик R", "Кубик B"), categories=CATEGORIES))["refused"] == 2


def test_the_recorded_price_list_is_understood(seller: Rozetka) -> None:
    path = SAMPLES / "yml" / "rozetka.xml"
    if not path.exists():
        pytest.skip("no samples here")
    assert seller.goods.load(path.read_bytes())["created"] == 1
    red = seller.item("1001R")
    assert (red.price_promo, red.stock, red.article, len(red.params)) == (549, 12, "SKU-1001-R", 2)


# --- stock -------------------------------------------------------------------------------------------------------------------------------------


def test_stock_falls_when_somebody_buys_and_comes_back_when_it_is_cancelled(seller: Rozetka, api: Calls) -> None:
    cube, order = seller.item(CUBE), seller.buy([(CUBE, 12)])
    assert (cube.stock, cube.available, cube.on_sale) == (0, 0, False)
    with pytest.raises(SoldOut):
        seller.buy([(CUBE, 1)])
    seller.cancel(order.id)
    assert (cube.stock, cube.available, order.status) == (12, 1, 45)
    with pytest.raises(ValueError, match="Скасовано"):
        seller.cancel(order.id)
    assert failed(api.put(f"/orders/{order.id}", {"status": 26}))[0] == 1005


def test_nobody_buys_more_than_there_is(seller: Rozetka) -> None:
    for wanted in ([(CUBE, 13)], [(CUBE, 7), (CUBE, 7)]):
        with pytest.raises(SoldOut):
            seller.buy(wanted)
    assert (len(seller.orders), seller.item(CUBE).stock) == (0, 12)


def test_seeds_are_the_same_every_time() -> None:
    first, second = Rozetka(clock=Clock()), Rozetka(clock=Clock())
    for seller in (first, second):
        seed.orders(seller, 5)
    assert (first.orders, first.goods.items) == (second.orders, second.goods.items)
    assert len(first.orders) == 5
