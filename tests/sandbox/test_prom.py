"""The stand-in for Prom's public API behaves as was recorded, warts included (facts on marketplaces §2, §11)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from obmen.sandbox.prom import Prom, SoldOut, seed
from sandbox.market_calls import SAMPLES, Calls, Clock, feed, lacking

CUBE = "SKU-1001"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shop(clock: Clock) -> Prom:
    made = Prom(clock=clock, silent=0)
    made.add_product("Кубик дерев'яний", "571", 12, external_id=CUBE, sku=CUBE, name_ru="Кубик деревянный")
    return made


@pytest.fixture
def api(shop: Prom) -> Calls:
    return Calls(shop, "sandbox-token")


def cube(shop: Prom) -> Any:
    return shop.product(CUBE)


# --- who may do what (§2.1, §2.9) ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", "wrong"])
def test_without_a_token_the_answer_is_a_web_page(shop: Prom, token: str) -> None:
    api = Calls(shop, token)
    assert "<h1>401 Unauthorized</h1>" in api.get("/orders/list")
    assert (api.answer.status, api.answer.content_type) == (401, "text/html; charset=utf-8")


def test_a_token_ends_and_is_revoked(shop: Prom, clock: Clock) -> None:
    shop.add_token("short", until=clock.time)
    shop.add_token("gone")
    shop.revoke("gone")
    for token in ("short", "gone"):
        api = Calls(shop, token)
        api.get("/orders/list")
        assert api.answer.status == 401


def test_a_token_without_the_scope_is_refused(shop: Prom) -> None:
    shop.add_token("reader", ["orders:read"])
    api = Calls(shop, "reader")
    assert api.get("/orders/list") == {"orders": []}
    assert "error" in api.post("/orders/set_status", {"ids": [1], "status": "received"})
    assert api.answer.status == 403


def test_an_unknown_address_is_a_web_page(api: Calls) -> None:
    assert "404 Not Found" in api.get("/orders/status")
    assert (api.answer.status, api.answer.content_type) == (404, "text/html; charset=utf-8")


@pytest.mark.parametrize(("tells", "headers"), [(True, (("Retry-After", "1"),)), (False, ())])
def test_too_many_requests_are_refused_and_may_say_how_long(tells: bool, headers: tuple[Any, ...]) -> None:
    shop = Prom(rate=2, retry_after=tells)
    shop.limiter.monotonic = lambda: 5.0
    api = Calls(shop, "sandbox-token")
    seen = []
    for _n in range(3):
        api.get("/orders/list")
        seen.append(api.answer.status)
    assert seen == [200, 200, 429]
    assert api.answer.headers == headers
    shop.limiter.monotonic = lambda: 6.0
    assert api.get("/orders/list") == {"orders": []}


# --- orders (§2.2) -------------------------------------------------------------------------------------------------------------------


def numbers(answer: Any) -> list[int]:
    return [order["id"] for order in answer["orders"]]


def test_an_order_has_everything_that_the_facts_name(shop: Prom, api: Calls) -> None:
    recipient = {"first_name": "Олена", "last_name": "Петренко", "second_name": "", "phone": "+380671112233"}
    order = shop.buy([(CUBE, 3)], payment=22222, notes="Передзвоніть", recipient=recipient)
    shop.pay(order.id)
    seen = api.get(f"/orders/{order.id}")["order"]
    assert seen == api.get("/orders/list")["orders"][0]
    assert (seen["date_created"], seen["status"], seen["status_name"]) == ("2026-09-23T12:34:56.588791+03:00", "paid", "Оплачено")
    assert (seen["price"], seen["products"][0]["price"], seen["products"][0]["quantity"]) == (
        "1\u00a0713\u00a0грн",
        "571\u00a0грн",
        3.0,
    )
    assert seen["payment_data"]["status"] == "paid"
    assert (seen["client_notes"], seen["delivery_recipient"]["first_name"]) == ("Передзвоніть", "Олена")
    sample = SAMPLES / "prom" / "order_full_composite.json"
    if sample.exists():
        assert lacking(json.loads(sample.read_text("utf-8"))["order"], seen) == []


@pytest.mark.parametrize(
    ("price", "quantity", "plain", "text"),
    [
        ("411.5", 3, False, "1\u00a0234,50\u00a0грн"),
        ("411.5", 3, True, "1234.50"),
        ("161", "1.25", True, "201.25"),
        ("20", 1, False, "20\u00a0грн"),
    ],
)
def test_money_is_text_for_people(shop: Prom, api: Calls, price: str, quantity: object, plain: bool, text: str) -> None:
    shop.settings.plain_money = plain
    shop.buy([(CUBE, quantity, price)])
    assert api.get("/orders/list")["orders"][0]["price"] == text


def test_dates_of_answers_may_come_without_a_zone(shop: Prom, api: Calls) -> None:
    shop.settings.naive_dates = True
    shop.buy([(CUBE, 1)])
    assert api.get("/orders/list")["orders"][0]["date_created"] == "2026-09-23T12:34:56"


@pytest.mark.parametrize("text", ["2020-01-01T00:00:00Z", "2020-01-01T00:00:00.000", "2020-01-01T00:00:00+03:00"])
def test_dates_with_milliseconds_or_a_zone_give_nothing_without_a_word(shop: Prom, api: Calls, text: str) -> None:
    """§2.1: the list is empty, as if there were no orders."""
    shop.buy([(CUBE, 1)])
    assert api.get("/orders/list", last_modified_from=text) == {"orders": []}
    assert len(api.get("/orders/list", last_modified_from="2020-01-01T00:00:00")["orders"]) == 1


def test_dates_of_queries_are_read_in_utc_or_in_local_time(shop: Prom, api: Calls) -> None:
    """§12.1: which of the two is not known."""
    shop.buy([(CUBE, 1)])
    assert len(numbers(api.get("/orders/list", date_from="2026-09-23T09:34:00"))) == 1
    assert numbers(api.get("/orders/list", date_from="2026-09-23T12:34:00")) == []
    shop.settings.query_zone = "Europe/Kyiv"
    assert len(numbers(api.get("/orders/list", date_from="2026-09-23T12:34:00"))) == 1


def test_a_change_is_seen_by_its_time_and_not_by_that_of_the_order(shop: Prom, api: Calls, clock: Clock) -> None:
    old = shop.buy([(CUBE, 1)])
    clock.turn(3600)
    new = shop.buy([(CUBE, 1)])
    clock.turn(3600)
    shop.cancel(old.id)
    assert numbers(api.get("/orders/list", last_modified_from="2026-09-23T11:00:00")) == [old.id]
    assert numbers(api.get("/orders/list", date_from="2026-09-23T10:00:00")) == [new.id]
    assert numbers(api.get("/orders/list", date_to="2026-09-23T10:00:00")) == [old.id]


@pytest.mark.parametrize(("inclusive", "second"), [(True, [3, 2]), (False, [2, 1])])
def test_last_id_belongs_to_the_next_page_or_not(shop: Prom, api: Calls, inclusive: bool, second: list[int]) -> None:
    shop.settings.last_id_inclusive = inclusive
    first = min(shop.buy([(CUBE, 1)]).id for _n in range(4))
    pages = [api.get("/orders/list", limit=2)]
    pages.append(api.get("/orders/list", limit=2, last_id=min(numbers(pages[0]))))
    assert [[n - first + 1 for n in numbers(page)] for page in pages] == [[4, 3], second]
    assert set(pages[0]) == {"orders"}
    assert numbers(api.get("/orders/list", sort_dir="asc", limit=1)) == [first]


def test_pages_have_20_rows_unless_asked_and_100_at_most(shop: Prom, api: Calls) -> None:
    cube(shop).quantity = None
    for _n in range(103):
        shop.buy([(CUBE, 1)])
    assert [len(api.get("/orders/list", **more)["orders"]) for more in ({}, {"limit": 100}, {"limit": 500})] == [20, 100, 100]


def test_what_is_wrong_in_a_query_is_said_with_status_200(shop: Prom, api: Calls) -> None:
    """§2.9."""
    for query in ({"status": "new"}, {"limit": "ten"}, {"last_id": "x"}, {"date_from": "yesterday"}):
        assert set(api.get("/orders/list", **query)) == {"error"}
        assert api.answer.status == 200


def test_orders_cannot_be_filtered_by_their_numbers(shop: Prom, api: Calls) -> None:
    found = [shop.buy([(CUBE, 1)]).id for _n in range(2)]
    for name in ("ids", "id", "order_id"):
        assert numbers(api.get("/orders/list", **{name: found[0]})) == found[::-1]


@pytest.mark.parametrize("status", [200, 404])
def test_an_order_that_is_not_there_is_an_error_by_either_status(shop: Prom, api: Calls, status: int) -> None:
    shop.settings.missing_order = status
    assert set(api.get("/orders/17")) == {"error"}
    assert api.answer.status == status


def test_an_order_paid_online_leaves_pending_by_itself(shop: Prom, api: Calls, clock: Clock) -> None:
    """§2.2: within some 100 s, so that whoever asks for pending ones only never sees it."""
    order, cash = shop.buy([(CUBE, 1)], payment=22222), shop.buy([(CUBE, 1)])
    assert api.get(f"/orders/{order.id}")["order"]["payment_data"]["status"] == "unpaid"
    clock.turn(100)
    assert numbers(api.get("/orders/list", status="pending")) == [cash.id]
    assert numbers(api.get("/orders/list", status="paid")) == [order.id]
    assert api.get(f"/orders/{cash.id}")["order"]["payment_data"] is None


# --- statuses (§2.2) ------------------------------------------------------------------------------------------------------------------


def test_a_status_is_set_and_named(shop: Prom, api: Calls) -> None:
    order = shop.buy([(CUBE, 1)]).id
    assert api.post("/orders/set_status", {"ids": [order], "status": "received"}) == {"processed_ids": [order]}
    assert shop.orders[order].status == "received"
    own = shop.add_status(123, "Пакується")
    assert api.post("/orders/set_status", {"ids": [order], "custom_status_id": 123}) == {"processed_ids": [order]}
    seen = api.get(f"/orders/{order}")["order"]
    assert (seen["status"], seen["status_name"]) == (own, "Пакується")
    options = api.get("/order_status_options/list")["order_status_options"]
    assert {"id": 123, "name": "custom-123", "title": "Пакується"} in options
    assert shop.writes["orders"] == 2


@pytest.mark.parametrize("status", ["accepted", "declined", "pending", "draft", "shipped", None])
def test_a_status_that_may_not_be_set_is_refused_with_status_200(shop: Prom, api: Calls, status: object) -> None:
    order = shop.buy([(CUBE, 1)]).id
    assert api.post("/orders/set_status", {"ids": [order], "status": status}) == {"error": "This status value is not allowed"}
    assert (api.answer.status, shop.orders[order].status) == (200, "pending")


def test_the_status_that_is_there_or_behind_is_left_out_without_a_word(shop: Prom, api: Calls) -> None:
    order = shop.buy([(CUBE, 1)]).id
    api.post("/orders/set_status", {"ids": [order], "status": "received"})
    for status in ("received",):
        assert api.post("/orders/set_status", {"ids": [order], "status": status}) == {"processed_ids": []}
    shop.set_status(order, "delivered")
    for status in ("delivered", "received", "paid"):
        assert api.post("/orders/set_status", {"ids": [order], "status": status}) == {"processed_ids": []}
    assert (shop.orders[order].status, shop.writes["orders"]) == ("delivered", 1)


def test_an_order_that_cannot_move_says_so_by_its_number(shop: Prom, api: Calls) -> None:
    order, good = shop.buy([(CUBE, 1)]).id, shop.buy([(CUBE, 1)]).id
    shop.cancel(order)
    said = api.post("/orders/set_status", {"ids": [order, good, 5], "status": "received"})
    assert (said["processed_ids"], set(said["errors"])) == ([good], {str(order), "5"})
    assert shop.orders[order].status == "canceled"


def test_a_cancellation_needs_a_reason_and_some_need_words(shop: Prom, api: Calls) -> None:
    order = shop.buy([(CUBE, 2)]).id
    send: dict[str, Any] = {"ids": [order], "status": "canceled"}
    for more in (
        {},
        {"cancellation_reason": "mood"},
        {"cancellation_reason": "another"},
        {"cancellation_reason": "price_changed"},
    ):
        assert set(api.post("/orders/set_status", send | more)) == {"error"}
    assert (shop.orders[order].status, cube(shop).quantity) == ("pending", 10)
    send |= {"cancellation_reason": "another", "cancellation_text": "Скасовано продавцем"}
    assert api.post("/orders/set_status", send) == {"processed_ids": [order]}
    assert api.get(f"/orders/{order}")["order"]["cancellation"] == {"title": "Скасовано продавцем", "initiator": "company"}
    assert cube(shop).quantity == 12


@pytest.mark.parametrize(
    "reason", ["not_available", "buyers_request", "payment_not_received", "no_product_variants", "duplicate"]
)
def test_reasons_of_both_lists_are_taken(shop: Prom, api: Calls, reason: str) -> None:
    order = shop.buy([(CUBE, 1)]).id
    send = {"ids": [order], "status": "canceled", "cancellation_reason": reason}
    assert api.post("/orders/set_status", send) == {"processed_ids": [order]}


def test_money_goes_back_once(shop: Prom, api: Calls) -> None:
    order = shop.buy([(CUBE, 1)], payment=22222).id
    assert api.post("/orders/refund", {"ids": [order]}) == {"processed_ids": []}
    shop.pay(order)
    assert api.post("/orders/refund", {"ids": [order]}) == {"processed_ids": [order]}
    assert api.get(f"/orders/{order}")["order"]["payment_data"]["status"] == "refunded"


# --- delivery and payment (§2.3) --------------------------------------------------------------------------------------------------------


def test_a_declaration_is_digits_only_and_a_repeat_is_called_an_error(shop: Prom, api: Calls) -> None:
    order = shop.buy([(CUBE, 1)]).id
    send: dict[str, Any] = {"order_id": order, "declaration_id": "20450174011062", "delivery_type": "nova_poshta"}
    wrong = api.post("/delivery/save_declaration_id", send | {"declaration_id": "RB-12"})
    assert (wrong["status"], wrong["message"]) == ("error", "Ошибка валидации")
    assert wrong["errors"] == {"declaration_id": "Номер декларации должен состоять из цифр"}
    assert set(api.post("/delivery/save_declaration_id", send | {"order_id": 5, "delivery_type": "owl"})["errors"]) == {
        "order_id",
        "delivery_type",
    }
    assert shop.orders[order].declaration == ""
    assert api.post("/delivery/save_declaration_id", send) == {"status": "success"}
    again = {"status": "error", "message": "Этот ЭН уже добавлен к данному заказу"}
    assert (api.post("/delivery/save_declaration_id", send), api.answer.status) == (again, 200)
    assert api.get(f"/orders/{order}")["order"]["delivery_provider_data"]["declaration_number"] == "20450174011062"
    assert (shop.writes["declarations"], shop.orders[order].status) == (1, "pending")


def test_dictionaries_have_the_recorded_shape(api: Calls) -> None:
    deliveries, payments = api.get("/delivery_options/list"), api.get("/payment_options/list")
    assert set(deliveries["delivery_options"][0]) == {"id", "name", "comment", "enabled", "type"}
    assert [row["enabled"] for row in deliveries["delivery_options"]] == [True, True, False]
    assert set(payments["payment_options"][0]) == {"id", "name", "description"}


# --- goods: reading (§2.4) ---------------------------------------------------------------------------------------------------------------


def test_a_product_has_everything_that_the_facts_name(shop: Prom, api: Calls) -> None:
    product = cube(shop)
    product.pictures = ["https://images.example.com/1.jpg"]
    seen = api.get(f"/products/{product.id}")
    assert seen == api.get(f"/products/by_external_id/{CUBE}")
    assert (seen["product"]["price"], seen["product"]["quantity_in_stock"]) == (571, 12)
    assert (
        Calls(shop, "sandbox-token", **{"x-language": "ru"}).get(f"/products/{product.id}")["product"]["name"]
        == "Кубик деревянный"
    )
    sample = SAMPLES / "prom" / "product_get.json"
    if sample.exists():
        assert lacking(json.loads(sample.read_text("utf-8")), seen) == []


def test_what_is_not_there_or_deleted_is_a_web_page(shop: Prom, api: Calls) -> None:
    gone = shop.add_product("Стара", 5, external_id="old / 1", status="deleted")
    shop.add_product("Нова", 5, external_id="new / 1")
    for path in (
        "/products/17",
        "/products/by_external_id/nothing",
        f"/products/{gone.id}",
        "/products/by_external_id/old%20%2F%201",
    ):
        assert "404 Not Found" in api.send("GET", path, {})
        assert api.answer.status == 404
    assert gone.id not in [p["id"] for p in api.get("/products/list")["products"]]


def test_an_external_id_may_have_anything_in_it(shop: Prom) -> None:
    from obmen.sandbox.stand import Request

    shop.add_product("Нова", 5, external_id="new / 1")
    answer, _fault = shop.handle(
        Request("GET", "/api/v1/products/by_external_id/new%20%2F%201", "", {"authorization": "Bearer sandbox-token"})
    )
    assert answer
    assert answer.status == 200


def test_lists_of_goods_go_by_group_are_cut_and_know_no_external_id(shop: Prom, api: Calls) -> None:
    group = shop.add_group("Ляльки")
    dolls = [shop.add_product(f"Лялька {n}", 5, group=group, external_id=f"d-{n}").id for n in range(4)]
    assert [p["id"] for p in api.get("/products/list", group_id=group)["products"]] == dolls[::-1]
    assert len(api.get("/products/list", external_id="d-1")["products"]) == 5
    shop.settings.group_cap = 3
    assert [p["id"] for p in api.get("/products/list", group_id=group)["products"]] == dolls[:0:-1]
    assert len(api.get("/products/list")["products"]) == 5
    shop.settings.root_only = True
    listed = api.get("/products/list")
    assert ([p["external_id"] for p in listed["products"]], listed["group_id"]) == ([CUBE], None)


def test_changed_goods_are_found_by_their_time(shop: Prom, api: Calls, clock: Clock) -> None:
    shop.add_product("Друга", 5)
    clock.turn(60)
    api.post("/products/edit_by_external_id", [{"id": CUBE, "price": 5}])
    found = api.get("/products/list", last_modified_from="2026-09-23T09:35:00")["products"]
    assert [p["external_id"] for p in found] == [CUBE]
    assert api.get("/products/list", last_modified_from="2026-09-23T09:35:00Z")["products"] == []


def test_groups_are_listed_with_their_parents(shop: Prom, api: Calls) -> None:
    number = shop.add_group("Іграшки", name_ru="Игрушки")
    rows = api.get("/groups/list")["groups"]
    assert [(row["id"], row["parent_group_id"], row["name_multilang"]["ru"]) for row in rows] == [
        (number, 9000, "Игрушки"),
        (9000, None, "Корневая группа"),
    ]


# --- goods: editing (§2.5) -----------------------------------------------------------------------------------------------------------------


def test_goods_are_edited_by_either_id_and_the_rest_is_reported(shop: Prom, api: Calls) -> None:
    product = cube(shop)
    send = [
        {"id": product.id, "price": 600.5, "oldprice": 700, "quantity_in_stock": 3, "presence_sure": True},
        {"id": 2, "price": 1},
    ]
    said = api.post("/products/edit", send)
    assert (said["processed_ids"], list(said["errors"])) == ([product.id], ["2"])
    assert (product.price, product.old_price, product.quantity, product.in_stock) == (600.5, 700, 3, True)
    said = api.post("/products/edit_by_external_id", [{"id": CUBE, "presence": "not_available", "status": "not_on_display"}])
    assert said == {"processed_ids": [CUBE], "errors": {}}
    assert (product.presence, product.status) == ("not_available", "not_on_display")
    assert shop.writes["products"] == 2


def test_the_list_must_be_bare_and_not_too_long(shop: Prom, api: Calls) -> None:
    wrapped = api.post("/products/edit", {"products": [{"id": cube(shop).id, "price": 1}]})
    assert (wrapped, api.answer.status) == ({"errors": {"error": "Ожидается список товаров"}}, 200)
    assert "error" in api.post("/products/edit", [{"id": cube(shop).id, "price": 1}] * 101)["errors"]
    assert cube(shop).price == 571


def test_the_field_quantity_is_ignored_without_a_word(shop: Prom, api: Calls) -> None:
    said = api.post("/products/edit_by_external_id", [{"id": CUBE, "quantity": 99, "price": 5}])
    assert (said["errors"], cube(shop).quantity, cube(shop).price) == ({}, 12, 5)


def test_a_row_may_be_in_neither_list(shop: Prom, api: Calls) -> None:
    """§2.5: because it is so already, or because it was really refused; only reading back tells."""
    assert api.post("/products/edit_by_external_id", [{"id": CUBE, "price": 571.00}]) == {"processed_ids": [], "errors": {}}
    shop.settings.silent = 2
    for n in range(3):
        shop.add_product("x", 5, external_id=f"x-{n}")
    said = api.post("/products/edit_by_external_id", [{"id": f"x-{n}", "price": 7} for n in range(3)])
    assert said == {"processed_ids": ["x-0", "x-2"], "errors": {}}
    assert [shop.product(f"x-{n}").price for n in range(3)] == [7, 5, 7]
    assert shop.writes["products"] == 2


def test_a_deleted_product_cannot_be_edited(shop: Prom, api: Calls) -> None:
    api.post("/products/edit_by_external_id", [{"id": CUBE, "status": "deleted"}])
    assert list(api.post("/products/edit_by_external_id", [{"id": CUBE, "price": 1}])["errors"]) == [CUBE]


@pytest.mark.parametrize(
    "row",
    [
        {"presence": "maybe"}, {"price": 0}, {"price": "571"}, {"name": "x" * 111}, {"keywords": "x" * 1025}, {"quantity_in_stock": -1},
        {"quantity_in_stock": 1.5}, {"status": "approval_pending"}, {"in_stock": "yes"}, {"discount": {"value": 5}},
    ],
)  # fmt: skip
def test_a_wrong_value_spoils_its_row_only(shop: Prom, api: Calls, row: dict[str, Any]) -> None:
    shop.add_product("Друга", 5, external_id="other")
    said = api.post("/products/edit_by_external_id", [{"id": CUBE, "price": 1, **row}, {"id": "other", "price": 6}])
    assert (said["processed_ids"], list(said["errors"])) == (["other"], [CUBE])
    assert cube(shop).price == 571


# --- goods: import (§2.6) ------------------------------------------------------------------------------------------------------------------

DOLL = (
    '<offer id="D-1" available="true"><price>99.50</price><oldprice>120</oldprice><currencyId>UAH</currencyId><categoryId>11</categoryId>'
    "<picture>https://x.example.com/1.jpg</picture><vendorCode>D-1</vendorCode><name>Кукла</name><name_ua>Лялька</name_ua>"
    "<description>a</description><description_ua>б</description_ua><quantity_in_stock>4</quantity_in_stock>"
    '<param name="Колір">синій</param></offer>'
)


def upload(api: Calls, raw: bytes, **data: Any) -> Any:
    parts = (
        b'--line\r\nContent-Disposition: form-data; name="data"\r\n\r\n' + json.dumps(data).encode() + b"\r\n"
        b'--line\r\nContent-Disposition: form-data; name="file"; filename="f.xml"\r\nContent-Type: text/xml\r\n\r\n'
        + raw
        + b"\r\n--line--\r\n"
    )
    return api.send("POST", "/products/import_file", {}, parts, **{"content-type": "multipart/form-data; boundary=line"})


def imported(shop: Prom, api: Calls, clock: Clock, raw: bytes, **data: Any) -> Any:
    said = upload(api, raw, **data)
    clock.turn(shop.settings.import_final)
    return api.get(f"/products/import/status/{said['id']}")


def test_an_import_is_taken_at_once_and_final_much_later(shop: Prom, api: Calls, clock: Clock) -> None:
    """The first status says SUCCESS with zeros, then PARTIAL with zeros: neither is the end."""
    said = upload(api, feed(DOLL))
    assert said["status"] == "success"
    assert re.fullmatch("[0-9a-f]{24}", said["id"])
    seen = []
    for seconds in (0, 5, 5, 60):
        clock.turn(seconds)
        status = api.get(f"/products/import/status/{said['id']}")
        seen.append((status["status"], status["total"], status["created"], "D-1" in shop.by_external))
    assert seen == [("SUCCESS", 0, 0, False), ("PARTIAL", 0, 0, False), ("SUCCESS", 1, 1, True), ("SUCCESS", 1, 1, True)]
    sample = SAMPLES / "prom" / "import_status_running.json"
    if sample.exists():
        assert set(json.loads(sample.read_text("utf-8"))) == set(status)


def test_a_new_card_takes_everything_from_the_file(shop: Prom, api: Calls, clock: Clock) -> None:
    imported(shop, api, clock, feed(DOLL))
    doll = shop.product("D-1")
    assert (doll.name, doll.name_ru, doll.price, doll.old_price, doll.quantity) == ("Лялька", "Кукла", 99.5, 120, 4)
    assert (doll.presence, doll.sku, doll.attributes) == ("available", "D-1", [("Колір", "синій")])
    group = shop.groups[doll.group]
    assert (group.name, shop.groups[group.parent or 0].name) == ("Кубики", "Іграшки")


def test_ukrainian_counts_only_with_its_description(shop: Prom, api: Calls, clock: Clock) -> None:
    """§4."""
    imported(shop, api, clock, feed(DOLL.replace("<description_ua>б</description_ua>", "")))
    assert shop.product("D-1").name == "Кукла"


def test_of_a_known_card_only_price_and_presence_change_unless_forced_and_named(shop: Prom, api: Calls, clock: Clock) -> None:
    imported(shop, api, clock, feed(DOLL))
    doll = shop.product("D-1")
    new = feed(
        DOLL.replace("99.50", "80").replace("Лялька", "Мотанка").replace(">4<", ">9<").replace('able="true"', 'able="false"')
    )
    status = imported(shop, api, clock, new)
    assert (doll.price, doll.presence, doll.name, doll.quantity) == (80, "not_available", "Лялька", 4)
    assert (status["actualized"], status["updated"], status["not_changed"]) == (1, 0, 0)
    imported(shop, api, clock, new, updated_fields=["name", "quantity_in_stock"])  # not forced
    imported(shop, api, clock, new, force_update=True)  # not named
    assert (doll.name, doll.quantity) == ("Лялька", 4)
    status = imported(shop, api, clock, new, force_update=True, updated_fields=["name", "quantity_in_stock"])
    assert (doll.name, doll.quantity, status["updated"]) == ("Мотанка", 9, 1)
    assert imported(shop, api, clock, new)["not_changed"] == 1


def test_an_import_puts_drafts_on_display(shop: Prom, api: Calls, clock: Clock) -> None:
    imported(shop, api, clock, feed(DOLL))
    shop.product("D-1").status = "draft"
    imported(shop, api, clock, feed(DOLL))
    assert shop.product("D-1").status == "on_display"


def test_what_the_file_lacks_is_left_alone_unless_asked(shop: Prom, api: Calls, clock: Clock) -> None:
    status = imported(shop, api, clock, feed(DOLL))
    assert (status["not_in_file"], cube(shop).presence) == (1, "available")
    imported(shop, api, clock, feed(DOLL), mark_missing_product_as="not_available")
    assert cube(shop).presence == "not_available"
    imported(shop, api, clock, feed(DOLL), mark_missing_product_as="deleted")
    assert api.send("GET", f"/products/by_external_id/{CUBE}", {}).startswith("<html>")


def test_a_picture_that_fails_is_an_error_that_nobody_counts(shop: Prom, api: Calls, clock: Clock) -> None:
    shop.imports.broken_pictures.add("https://x.example.com/1.jpg")
    status = imported(shop, api, clock, feed(DOLL))
    assert status["errors"] == [{"download_images": {"code": 2004, "extra": {"status_code": 404}}}]
    assert (status["status"], status["with_errors_count"], status["created"]) == ("PARTIAL", 0, 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<price>99.50</price>", ""),
        ("Лялька", "я" * 131),
        ("<picture>", "<picture>y</picture>" * 10 + "<picture>"),
        ("99.50", "cheap"),
    ],
)
def test_an_offer_that_cannot_be_taken_is_counted(shop: Prom, api: Calls, clock: Clock, old: str, new: str) -> None:
    status = imported(shop, api, clock, feed(DOLL.replace(old, new), DOLL.replace("D-1", "D-2")))
    assert (status["status"], status["total"], status["with_errors_count"], status["created"]) == ("PARTIAL", 2, 1, 1)
    assert status["errors"][0]["validation"]["extra"]["external_id"] == "D-1"


def test_a_file_that_is_no_price_list_is_fatal(shop: Prom, api: Calls, clock: Clock) -> None:
    for raw in (b"<yml_catalog><shop>", b"<html></html>", b"id;name\n1;x", feed()):
        status = imported(shop, api, clock, raw)
        assert (status["status"], status["total"], len(status["errors"])) == ("FATAL", 0, 1)
    assert shop.writes["products"] == 0


def test_ten_imports_a_day_are_taken_and_two_at_a_time(shop: Prom, api: Calls, clock: Clock) -> None:
    assert all("id" in upload(api, feed(DOLL)) for _n in range(10))
    refused = upload(api, feed(DOLL))
    assert (set(refused), refused["status"], api.answer.status) == ({"status", "message"}, "error", 200)
    clock.turn(24 * 3600)
    assert "id" in upload(api, feed(DOLL))


def test_a_request_for_an_import_must_make_sense(shop: Prom, api: Calls) -> None:
    for said in (
        upload(api, b""),
        upload(api, feed(DOLL), updated_fields=["colour"]),
        upload(api, feed(DOLL), mark_missing_product_as="burnt"),
        api.post("/products/import_url", {"url": "file:///etc/passwd"}),
        api.post("/products/import_file", {}),
    ):
        assert "id" not in said
    assert "404" in api.get("/products/import/status/6aca2573f1e9d95f8f81e79e")
    assert shop.imports.jobs == {}


def test_variations_inherit_their_presence(shop: Prom, api: Calls, clock: Clock) -> None:
    """§2.5: an error for each of them; §4: group_id joins them."""
    red, blue = (DOLL.replace('id="D-1"', f'id="{name}" group_id="7"') for name in ("red", "blue"))
    imported(shop, api, clock, feed(red, blue))
    seen = api.get("/products/by_external_id/blue")["product"]
    assert (seen["is_variation"], seen["variation_base_id"]) == (True, shop.by_external["red"])
    said = api.post("/products/edit_by_external_id", [{"id": "red", "presence": "order"}, {"id": "blue", "presence": "order"}])
    assert (said["processed_ids"], list(said["errors"])) == (["red"], ["blue"])


def test_only_available_goods_are_made_when_asked(shop: Prom, api: Calls, clock: Clock) -> None:
    away = DOLL.replace('able="true"', 'able="false"').replace("D-1", "D-2")
    imported(shop, api, clock, feed(DOLL, away), only_available=True)
    assert sorted(shop.by_external) == ["D-1", CUBE]


def test_the_recorded_price_list_is_understood(shop: Prom, api: Calls, clock: Clock) -> None:
    sample = SAMPLES / "yml" / "prom.xml"
    if not sample.exists():
        pytest.skip("no samples here")
    status = imported(shop, api, clock, sample.read_bytes())
    assert (status["status"], status["created"]) == ("SUCCESS", 2)
    red, blue = shop.product("SKU-1001-R"), shop.product("SKU-1001-B")
    assert (red.quantity, blue.presence, blue.variation_base, red.gtin) == (12, "not_available", red.id, "4820000000017")


# --- clients and messages (§2.7) -------------------------------------------------------------------------------------------------------------


def test_clients_are_known_by_their_phone(shop: Prom, api: Calls) -> None:
    for _n in range(2):
        order = shop.buy([(CUBE, 1)])
    shop.buy([(CUBE, 1)], phone="+380671112233", last_name="Інша")
    shop.set_status(order.id, "delivered")
    rows = api.get("/clients/list", search_term="петренко")["clients"]
    assert [(row["client_full_name"], row["orders_count"], row["phones"]) for row in rows] == [
        ("Петренко Іван", 2, ["+380501112233"])
    ]
    assert rows[0]["total_payout"] == "571\u00a0грн"
    assert api.get(f"/clients/{rows[0]['id']}")["client"] == rows[0]
    assert "404" in api.get("/clients/5")


def test_messages_are_read_and_answered(shop: Prom, api: Calls) -> None:
    number = shop.write("Олена", "+380671112233", "Чи є синій?", cube(shop).id)
    (seen,) = api.get("/messages/list", status="unread")["messages"]
    assert (seen["id"], seen["message"]) == (number, "Чи є синій?")
    assert api.post("/messages/reply", {"id": number, "message": "Так"}) == {"processed_id": number}
    assert api.post("/messages/set_status", {"ids": [number, 5], "status": "read"}) == {"processed_ids": [number]}
    assert (api.get(f"/messages/{number}")["message"]["status"], shop.messages[number].replies) == ("read", ["Так"])
    assert set(api.get("/messages/list", status="burnt")) == {"error"}


# --- stock ------------------------------------------------------------------------------------------------------------------------------------


def test_stock_falls_when_somebody_buys_and_comes_back_when_it_is_cancelled(shop: Prom, api: Calls) -> None:
    order = shop.buy([(CUBE, 12)])
    assert (cube(shop).quantity, cube(shop).presence) == (0, "not_available")
    with pytest.raises(SoldOut):
        shop.buy([(CUBE, 1)])
    shop.cancel(order.id, "Передумав")
    assert (cube(shop).quantity, cube(shop).presence) == (12, "available")
    assert api.get(f"/orders/{order.id}")["order"]["cancellation"] == {"title": "Передумав", "initiator": "client"}
    with pytest.raises(ValueError, match="canceled"):
        shop.cancel(order.id)


def test_nobody_buys_more_than_there_is(shop: Prom) -> None:
    for wanted in ([(CUBE, 13)], [(CUBE, 7), (CUBE, 7)]):
        with pytest.raises(SoldOut):
            shop.buy(wanted)
    assert (len(shop.orders), cube(shop).quantity) == (0, 12)


def test_seeds_are_the_same_every_time() -> None:
    first, second = Prom(clock=Clock()), Prom(clock=Clock())
    for shop in (first, second):
        seed.orders(shop, 5)
    assert (first.orders, first.products) == (second.orders, second.products)
    assert len(first.orders) == 5
