"""The stand-in RetailCRM, over real sockets: orders, customers, journals, books, stock, and what goes wrong on purpose."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import RemoteDisconnected
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Event, Thread
from typing import Any
from urllib.error import URLError

import pytest

from obmen.sandbox.retailcrm import RetailCRM, Server, seed, serve
from obmen.sandbox.retailcrm.catalogue import BadIcml
from obmen.sandbox.retailcrm.crm import Limiter
from sandbox.crm_calls import Calls

NOON = datetime(2024, 5, 14, 9, 0, 0, tzinfo=UTC)  # 12:00 in Moscow


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **time: int) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def crm(clock: Clock) -> RetailCRM:
    made = RetailCRM(clock=clock)
    made.add_offer("tea", "Tea", "100", xml_id="0001", vatRate="20.00", article="T")
    made.add_offer("cup", "Cup", "33.33", xml_id="0002")
    return made


@pytest.fixture
def server(crm: RetailCRM) -> Iterator[Server]:
    with serve(crm) as running:
        yield running


@pytest.fixture
def calls(server: Server) -> Calls:
    return Calls(server.url)


def history(calls: Calls, query: str = "limit=100", of: str = "orders") -> list[dict[str, Any]]:
    status, answer = calls.get(f"/{of}/history", query)
    assert status == 200, answer
    rows: list[dict[str, Any]] = answer["history"]
    return rows


def changes(rows: list[dict[str, Any]]) -> list[tuple[str, str, Any, Any]]:
    return [(row["source"], row["field"], row["oldValue"], row["newValue"]) for row in rows]


# --- keys and errors -------------------------------------------------------------------------------------------------------


def test_a_key_is_asked_for_and_checked(calls: Calls, crm: RetailCRM, server: Server) -> None:
    assert Calls(server.url, "").get("/orders") == (403, {"success": False, "errorMsg": '"apiKey" is missing.'})
    assert Calls(server.url, "wrong").get("/orders") == (403, {"success": False, "errorMsg": 'Wrong "apiKey" value.'})
    assert Calls(server.url, "").get("/orders", "apiKey=sandbox-key")[0] == 200
    assert Calls(server.url, "").post("/orders/fix-external-ids", apiKey="sandbox-key", orders=[])[0] == 200
    crm.revoke("sandbox-key")
    assert calls.get("/orders")[0] == 403


def test_versions_need_no_key(server: Server) -> None:
    assert Calls(server.url, "").get("/api/api-versions") == (200, {"success": True, "versions": ["3.0", "4.0", "5.0"]})
    assert Calls(server.url, "").get("/api/system-info")[1]["systemVersion"] == "8.1.51"


def test_a_key_says_what_it_may_do_and_cannot_do_more(crm: RetailCRM, server: Server) -> None:
    crm.add_key("narrow", sites=["shop"], scopes=["order_read"])
    narrow = Calls(server.url, "narrow")
    told = narrow.get("/api/credentials")[1]
    assert told["scopes"] == ["order_read"]
    assert told["siteAccess"] == "access_selective"
    assert told["sitesAvailable"] == ["shop"]
    assert "/api/orders/history" in told["credentials"]
    assert "/api/orders/create" not in told["credentials"]
    assert narrow.post("/orders/create", order={"firstName": "A"}) == (403, {"success": False, "errorMsg": "Access denied."})


@pytest.mark.parametrize(
    ("path", "query", "status", "message"),
    [
        ("/no/such/method", "", 404, "API method not found"),
        ("/orders/create", "", 405, "Method Not Allowed"),
        ("/orders/17", "by=id", 404, "Not found"),
        ("/orders", "limit=30", 400, "Errors in the pagination parameters"),
        ("/orders", "page=0", 400, "Errors in the pagination parameters"),
        ("/orders", "filter[colour]=red", 400, "Errors in the input parameters"),
        ("/orders", "filter[ids][]=one", 400, "Errors in the input parameters"),
        ("/orders/history", "filter[startDate]=yesterday", 400, "Errors in the input parameters"),
        ("/orders/history", "limit=100&page=101", 400, "Use the shift of the `filter[sinceId]` instead of `page` parameter"),
        ("/orders/statuses", "ids[]=x", 400, "Errors in the input parameters"),
        ("/store/inventories", "limit=500", 400, "Errors in the pagination parameters"),
    ],
)
def test_a_wrong_question_gets_the_service_s_own_words(calls: Calls, path: str, query: str, status: int, message: str) -> None:
    got, answer = calls.get(path, query)
    assert (got, answer["success"], answer["errorMsg"]) == (status, False, message)


def test_wrong_filters_are_named(calls: Calls) -> None:
    assert calls.get("/orders/history", "filter[startDate]=x")[1]["errors"] == {"children[startDate]": "This value is not valid."}


def test_250_rows_are_for_stock_only(calls: Calls) -> None:
    assert calls.get("/store/inventories", "limit=250")[0] == 200
    assert calls.get("/orders", "limit=250")[0] == 400


def test_forms_are_read_as_php_reads_them(calls: Calls) -> None:
    order = {"firstName": "Ann", "items": [{"offer": {"externalId": "tea"}, "quantity": "2"}]}
    part = 'Content-Disposition: form-data; name="{}"\n\n{}\n'
    lines = "--x\n" + part.format("order", json.dumps(order)) + "--x\n" + part.format("site", "shop") + "--x--\n"
    for body in (lines, lines.replace("\n", "\r\n")):
        status, answer = calls.send("/orders/create", body.encode(), "multipart/form-data; boundary=x")
        assert (status, answer["order"]["summ"]) == (201, 200)


def test_a_json_body_is_not_understood(calls: Calls) -> None:
    got = calls.send("/orders/create", b'{"order": {"firstName": "Ann"}}', "application/json")
    assert got == (400, {"success": False, "errorMsg": "Parameter 'order' is missing"})
    assert calls.post("/orders/create", order="{broken")[1]["errorMsg"] == "Errors in the entity format"


@pytest.mark.parametrize(
    "order", ['{"items": [{"offer": {"id": [1]}}]}', '{"customer": {"id": {}}}', '{"payments": [{"type": {}}]}']
)
def test_nonsense_inside_an_order_is_refused_too(calls: Calls, order: str) -> None:
    assert calls.post("/orders/create", order=order)[0] == 400


def test_with_several_shops_a_write_has_to_name_one() -> None:
    crm = RetailCRM(sites=("one", "two"))
    crm.add_key("first", sites=["one"])
    with serve(crm) as server:
        both, first = Calls(server.url), Calls(server.url, "first")
        status, answer = both.post("/orders/create", order={"firstName": "Ann"})
        assert (status, answer["errorMsg"], list(answer["errors"])) == (400, "Errors in the input parameters", ["site"])
        assert first.post("/orders/create", order={"firstName": "Ann"})[1]["order"]["site"] == "one"
        assert first.post("/orders/create", site="two", order={"firstName": "Ann"})[0] == 403
        for site in ("one", "two"):
            assert both.post("/orders/create", site=site, order={"externalId": "7", "firstName": "Ann"})[0] == 201
        assert both.get("/orders/7", "site=two")[1]["order"]["site"] == "two"
        assert first.get("/orders")[1]["pagination"]["totalCount"] == 2


def test_ten_requests_a_second_and_not_more() -> None:
    now = [0.0]
    crm = RetailCRM(rate=10)
    crm.limiter = Limiter(10, lambda: now[0])
    with serve(crm) as server:
        calls = Calls(server.url)
        assert [calls.get("/statistic/update")[0] for _ in range(12)] == [200] * 10 + [503, 503]
        assert calls.get("/statistic/update")[1] == {"success": False, "errorMsg": "Rate limit exceeded"}
        now[0] = 1.0
        assert calls.get("/statistic/update")[0] == 200


# --- orders ----------------------------------------------------------------------------------------------------------------


def test_an_order_is_made_and_worked_out(calls: Calls) -> None:
    order = {
        "externalId": 1000,
        "phone": "+7 900 000-00-01",
        "firstName": "Ann",
        "items": [
            {
                "offer": {"xmlId": "0001"},
                "quantity": "2",
                "discountManualAmount": 10,
                "externalIds": [{"code": "hub", "value": "a"}],
            },
            {"offer": {"externalId": "cup"}, "quantity": 3},
        ],
        "delivery": {"code": "courier", "address": {"city": "Town"}},
        "payments": [{"type": "cash", "status": "paid", "amount": "579.99", "externalId": "p-1"}],
        "customFields": {"note": "x"},
    }
    status, answer = calls.post("/orders/create", order=order)
    made = answer["order"]
    assert status == 201
    assert made["id"] == answer["id"]
    assert made["number"] == f"{made['id']}A"
    assert (made["externalId"], made["status"], made["orderMethod"], made["fromApi"]) == ("1000", "new", "shopping-cart", True)
    assert made["createdAt"] == "2024-05-14 12:00:00"
    assert (made["summ"], made["totalSumm"], made["prepaySum"]) == (279.99, 579.99, 579.99)
    assert made["fullPaidAt"] == "2024-05-14 12:00:00"
    assert made["delivery"] == {"code": "courier", "cost": 300, "netCost": 0, "address": {"city": "Town"}}
    tea, cup = made["items"]
    assert (tea["initialPrice"], tea["discountTotal"], tea["prices"]) == (100, 10, [{"price": 90, "quantity": 2}])
    assert tea["vatRate"] == "20.00"
    assert cup["discountTotal"] == 0
    assert (cup["status"], cup["properties"], cup["offer"]["xmlId"]) == ("new", [], "0002")
    (payment,) = made["payments"].values()
    assert list(made["payments"]) == [str(payment["id"])]
    assert made["customer"]["phones"] == [{"number": "+7 900 000-00-01"}]
    assert made["customer"]["totalSumm"] == 579.99
    assert calls.get("/orders/1000")[1]["order"] == made
    assert calls.get(f"/orders/{made['id']}")[0] == 404, "externalId is what a path means by default"
    assert calls.get(f"/orders/{made['id']}", "by=id")[1]["order"] == made


def test_a_discount_of_the_whole_order_is_spread_to_the_cent(calls: Calls) -> None:
    items = [{"offer": {"externalId": "cup"}, "quantity": 3}, {"offer": {"externalId": "tea"}, "quantity": 1}]
    made = calls.post("/orders/create", order={"items": items, "discountManualAmount": 10, "discountManualPercent": 10})[1][
        "order"
    ]
    cup, tea = made["items"]
    assert made["summ"] == 169.99, "199.99 without a tenth (10.00 + 10.00) and without 10.00"
    assert cup["prices"] == [{"price": 28.33, "quantity": 3}]
    assert tea["prices"] == [{"price": 85, "quantity": 1}]
    assert [d["type"] for d in tea["discounts"]] == ["manual_order"]
    odd = calls.post("/orders/create", order={"items": items[:1], "discountManualAmount": 10})[1]["order"]
    assert odd["summ"] == 89.99
    assert odd["items"][0]["prices"] == [{"price": 29.99, "quantity": 1}, {"price": 30, "quantity": 2}]


def test_lines_that_are_cancelled_do_not_count(calls: Calls) -> None:
    items = [{"offer": {"externalId": "tea"}}, {"offer": {"externalId": "cup"}, "status": "failure"}]
    made = calls.post("/orders/create", order={"items": items})[1]["order"]
    assert made["summ"] == 100
    assert [item.get("isCanceled") for item in made["items"]] == [None, True]


@pytest.mark.parametrize(
    ("order", "message", "errors"),
    [
        ({"externalId": "taken"}, "Order already exists.", None),
        (
            {"customer": {"externalId": "2106"}},
            "Order is not loaded",
            {"customer.externalId": "Customer with externalId=2106 not found."},
        ),
        ({"items": [{"offer": {"id": 8}}]}, "Order is not loaded", ["items[0].offer.id: Offer with id 8 not found."]),
        (
            {"items": [{"offer": {"externalId": "A"}}]},
            "Order is not loaded",
            ["items[0].offer.externalId: Offer with externalId A not found."],
        ),
        ({"status": "no-such"}, "Errors in the entity format", {"status": "This value is not valid."}),
        ({"delivery": {"code": "drone"}}, "Errors in the entity format", {"delivery.code": "This value is not valid."}),
        ({"createdAt": "soon"}, "Errors in the entity format", {"createdAt": "This value is not valid."}),
        (
            {"items": [{"offer": {"externalId": "tea"}, "quantity": "many"}]},
            "Errors in the entity format",
            {"items[0].quantity": "This value is not valid."},
        ),
        ({"payments": [{"type": "gold"}]}, "Errors in the entity format", {"payments[0].type": "This value is not valid."}),
    ],
)
def test_an_order_that_cannot_be_is_refused(calls: Calls, crm: RetailCRM, order: Any, message: str, errors: Any) -> None:
    calls.post("/orders/create", order={"externalId": "taken"})
    status, answer = calls.post("/orders/create", order=order)
    assert (status, answer["errorMsg"], answer.get("errors")) == (400, message, errors)
    assert len(crm.all_orders()) == 1


def test_a_line_may_have_a_name_instead_of_goods(calls: Calls) -> None:
    items = [
        {"productName": "Delivery box", "initialPrice": 5},
        {"offer": {"xmlId": "gone"}, "productName": "Old", "initialPrice": 7},
    ]
    made = calls.post("/orders/create", order={"items": items})[1]["order"]
    assert [(i["productName"], i["offer"]) for i in made["items"]] == [
        ("Delivery box", {"displayName": "Delivery box"}),
        ("Old", {"displayName": "Old"}),
    ]
    assert made["summ"] == 12


def test_payment_types_have_to_suit_the_delivery(calls: Calls, crm: RetailCRM) -> None:
    calls.post("/reference/delivery-types/courier/edit", deliveryType={"paymentTypes": ["cash"]})
    order = {"delivery": {"code": "courier"}, "payments": [{"type": "bank-card", "status": "paid", "amount": 1}]}
    status, answer = calls.post("/orders/create", order=order)
    assert (status, answer["errorMsg"]) == (400, "Order is not loaded")
    assert answer["errors"] == ["payments[0].type: This payment type is not supported for the type of delivery"]
    order["payments"] = [{"type": "cash", "status": "paid", "amount": 1}]
    assert calls.post("/orders/create", order=order)[0] == 201
    calls.post("/reference/payment-types/cash/edit", paymentType={"paymentStatuses": []})
    assert calls.post("/orders/create", order=order)[1]["errors"] == answer["errors"]


def test_a_second_line_with_the_same_goods_may_be_forbidden(calls: Calls, crm: RetailCRM) -> None:
    order = {"items": [{"offer": {"externalId": "tea"}}, {"offer": {"xmlId": "0001"}}]}
    assert calls.post("/orders/create", order=order)[0] == 201
    crm.account.settings.split_lines = False
    status, answer = calls.post("/orders/create", order=order)
    assert (status, answer["errors"]) == (400, ["items[1]: Tea is already in this order"])


def test_an_edit_changes_what_it_names(calls: Calls, crm: RetailCRM, clock: Clock) -> None:
    made = crm.ui.create_order([("tea", 2), ("cup", 1)], firstName="Ann", phone="+79000000001", customFields={"a": 1, "b": 2})
    clock.pass_(minutes=5)
    data = {
        "status": "assembling",
        "phone": None,
        "customFields": {"b": 3},
        "items": [{"id": str(made["items"][1]["id"]), "quantity": 4}, {"offer": {"externalId": "tea"}, "quantity": 3}],
        "payments": [{"type": "cash"}],
    }
    status, answer = calls.post(f"/orders/{made['id']}/edit", by="id", order=data)
    now = answer["order"]
    assert status == 200
    assert (now["firstName"], "phone" in now, now["customFields"]) == ("Ann", False, {"a": 1, "b": 3})
    assert now["statusUpdatedAt"] == "2024-05-14 12:05:00"
    assert now["payments"] == [], "an edit does not touch payments"
    assert [(i["id"], i["quantity"]) for i in now["items"]] == [(made["items"][1]["id"], 4), (made["items"][0]["id"], 3)]
    again = calls.post(f"/orders/{made['id']}/edit", by="id", order={"items": [{"offer": {"externalId": "cup"}}]})[1]["order"]
    assert [i["id"] for i in again["items"]] == [made["items"][1]["id"]], "lines that are not named go away"


def test_lines_are_recognised_by_the_ids_that_the_hub_gave_them(calls: Calls) -> None:
    lines = [{"offer": {"externalId": "tea"}, "externalIds": [{"code": "hub", "value": str(n)}], "quantity": n} for n in (1, 2)]
    made = calls.post("/orders/create", order={"externalId": "1", "items": lines})[1]["order"]
    lines.reverse()
    now = calls.post("/orders/1/edit", order={"items": lines})[1]["order"]
    assert [i["id"] for i in now["items"]] == [i["id"] for i in reversed(made["items"])]


def test_a_refused_edit_changes_nothing(calls: Calls, crm: RetailCRM) -> None:
    made = crm.ui.create_order([("tea", 1)], firstName="Ann")
    other = crm.ui.create_customer(firstName="Bob")
    before, entries = crm.order(made["id"]), len(history(calls))
    order = {"firstName": "Eve", "customer": {"id": other}, "items": [{"offer": {"id": 1}}]}
    assert calls.post(f"/orders/{made['id']}/edit", by="id", order=order)[0] == 400
    assert (crm.order(made["id"]), len(history(calls))) == (before, entries)


def test_an_order_can_get_its_external_id_later(calls: Calls, crm: RetailCRM) -> None:
    made = crm.ui.create_order([("tea", 1)])
    assert calls.post("/orders/fix-external-ids", orders=[{"id": made["id"], "externalId": "77"}]) == (200, {"success": True})
    assert calls.get("/orders/77")[1]["order"]["id"] == made["id"]
    assert calls.post("/orders/77/edit", order={"externalId": "78"})[0] == 200
    assert calls.get("/orders/77")[0] == 404
    assert calls.get("/orders/78")[1]["order"]["id"] == made["id"]


def test_customers_are_recognised_by_phone_and_mail(calls: Calls, crm: RetailCRM) -> None:
    first = calls.post("/orders/create", order={"firstName": "Ann", "phone": "+7 (900) 000-00-01", "email": "Ann@a.example"})[1][
        "order"
    ]
    by_phone = calls.post("/orders/create", order={"firstName": "A.", "phone": "8 900 0000001"})[1]["order"]
    by_mail = calls.post("/orders/create", order={"firstName": "A.", "email": "ann@A.example"})[1]["order"]
    assert {first["customer"]["id"], by_phone["customer"]["id"], by_mail["customer"]["id"]} == {first["customer"]["id"]}
    assert by_mail["customer"]["ordersCount"] == 3


def test_fifty_orders_are_uploaded_and_the_wrong_ones_named(calls: Calls) -> None:
    rows = [{"externalId": f"A-{n}", "items": [{"offer": {"id": 8}}] if n == 1 else []} for n in range(3)]
    status, answer = calls.post("/orders/upload", orders=rows)
    assert (status, answer["errorMsg"]) == (460, "Orders are loaded with errors")
    assert [row["externalId"] for row in answer["uploadedOrders"]] == ["A-0", "A-2"]
    assert answer["failedOrders"] == [{"externalId": "A-1"}]
    assert answer["errors"] == ["items[0].offer.id: Offer with id 8 not found."]
    status, answer = calls.post("/orders/upload", orders=[{"externalId": f"B-{n}"} for n in range(50)])
    assert (status, len(answer["uploadedOrders"])) == (201, 50)
    assert calls.post("/orders/upload", orders=[{}] * 51)[0] == 400


def test_orders_are_listed_newest_first_and_filtered(calls: Calls, crm: RetailCRM, clock: Clock) -> None:
    ids = []
    for n in range(25):
        clock.pass_(hours=1)
        ids.append(crm.ui.create_order([("tea", 1)], status="new" if n % 2 else "complete", email=f"{n}@a.example")["id"])
    page = calls.get("/orders", "page=2")[1]
    assert page["pagination"] == {"limit": 20, "totalCount": 25, "currentPage": 2, "totalPageCount": 2}
    assert [o["id"] for o in page["orders"]] == ids[4::-1]

    def found(query: str) -> list[int]:
        return [o["id"] for o in calls.get("/orders", "limit=100&" + query)[1]["orders"]]

    assert found(f"filter[ids][]={ids[3]}&filter[ids][]={ids[7]}&filter[ids][]=1") == [ids[7], ids[3]]
    assert found("filter[extendedStatus][]=complete") == ids[::-2]
    assert found("filter[email]=3@a") == [ids[23], ids[13], ids[3]]
    assert found("filter[createdAtFrom]=2024-05-15 11:00:00&filter[createdAtTo]=2024-05-15 12:00:00") == [ids[23], ids[22]]
    assert found("filter[createdAtTo]=2024-05-14") == ids[10::-1]
    assert found("filter[minPrice]=101") == []
    assert calls.get("/orders", "filter[paidAtFrom]=2024-05-14")[1]["errors"] == {
        "children[paidAtFrom]": "The sandbox does not filter by this field."
    }


def test_statuses_of_many_orders_at_once(calls: Calls, crm: RetailCRM) -> None:
    one, two = crm.ui.create_order([], externalId="x"), crm.ui.create_order([], status="assembling")
    assert calls.get("/orders/statuses", f"ids[]={two['id']}&externalIds[]=x")[1]["orders"] == [
        {"id": two["id"], "status": "assembling", "group": "assembling"},
        {"id": one["id"], "externalId": "x", "status": "new", "group": "new"},
    ]


@pytest.mark.parametrize(
    ("technique", "lines"),
    [
        ("ours", {"tea": 1}),
        ("theirs", {"tea": 2, "cup": 5}),
        ("merge", {"tea": 1, "cup": 5}),
        ("summ", {"tea": 3, "cup": 5}),
    ],
)
def test_two_orders_become_one(calls: Calls, crm: RetailCRM, technique: str, lines: dict[str, int]) -> None:
    other, result = crm.ui.create_order([("tea", 2), ("cup", 5)]), crm.ui.create_order([("tea", 1)])
    refs = {"order": {"id": other["id"]}, "resultOrder": {"id": result["id"]}}
    assert calls.post("/orders/combine", technique=technique, **refs) == (200, {"success": True, "errors": []})
    assert {i["offer"]["externalId"]: i["quantity"] for i in crm.order(result["id"])["items"]} == lines
    assert calls.get(f"/orders/{other['id']}", "by=id")[0] == 404
    last = history(calls)[-1]
    assert (last["deleted"], last["order"]["id"], last["combinedTo"]["id"]) == (True, other["id"], result["id"])


def test_orders_can_be_linked(calls: Calls, crm: RetailCRM) -> None:
    one, two = crm.ui.create_order([]), crm.ui.create_order([])
    assert calls.post("/orders/links/create", link={"orders": [{"id": one["id"]}]})[1]["errors"] == {
        "orders": "This collection should contain 2 elements or more."
    }
    link = {"comment": "split", "orders": [{"id": one["id"]}, {"id": two["id"]}]}
    assert calls.post("/orders/links/create", link=link)[0] == 201
    assert [row["order"]["id"] for row in crm.order(one["id"])["links"]] == [two["id"]]


# --- payments --------------------------------------------------------------------------------------------------------------


def test_a_payment_is_made_changed_and_removed(calls: Calls, crm: RetailCRM) -> None:
    made = crm.ui.create_order([("tea", 2)], externalId="9")
    payment = {"order": {"externalId": "9"}, "type": "cash", "status": "not-paid", "amount": "200", "externalId": "p"}
    status, answer = calls.post("/orders/payments/create", payment=payment)
    number = answer["id"]
    assert status == 201
    assert crm.order("9")["prepaySum"] == 0
    data = {"status": "paid", "paidAt": "2024-05-14 10:00:00"}
    assert calls.post("/orders/payments/p/edit", payment=data) == (200, {"success": True, "id": number})
    now = crm.order("9")
    assert (now["prepaySum"], now["fullPaidAt"]) == (200, "2024-05-14 10:00:00")
    assert now["payments"][str(number)]["paidAt"] == "2024-05-14 10:00:00"
    assert calls.post(f"/orders/payments/{number}/delete") == (200, {"success": True})
    assert "fullPaidAt" not in crm.order("9")
    assert calls.post(f"/orders/payments/{number}/delete") == (404, {"success": False, "errorMsg": "Payment not found"})
    assert [c[1:] for c in changes(history(calls, f"limit=100&filter[orderId]={made['id']}"))[2:]] == [
        ("payments", None, {"id": number, "type": "cash"}),
        ("full_paid_at", None, "2024-05-14 10:00:00"),
        ("payments.paid_at", None, "2024-05-14 10:00:00"),
        ("payments.status", {"code": "not-paid"}, {"code": "paid"}),
        ("full_paid_at", "2024-05-14 10:00:00", None),
        ("payments", {"id": number, "type": "cash"}, None),
    ]


def test_a_payment_has_to_say_whose_it_is(calls: Calls) -> None:
    answer = calls.post("/orders/payments/create", payment={"type": "cash"})[1]
    assert answer["errors"] == {"order": "Set one of the following fields: id, externalId, number"}


def test_a_payment_without_an_amount_is_for_all_that_is_left(calls: Calls, crm: RetailCRM) -> None:
    made = crm.ui.create_order([("tea", 2)], payments=[{"type": "cash", "amount": 50}])
    number = calls.post("/orders/payments/create", payment={"order": {"id": made["id"]}, "type": "cash"})[1]["id"]
    assert crm.order(made["id"])["payments"][str(number)]["amount"] == 150


# --- journals --------------------------------------------------------------------------------------------------------------


def test_the_journal_tells_every_changed_field_and_whose_change_it_was(calls: Calls, crm: RetailCRM, server: Server) -> None:
    crm.add_key("other")
    made = crm.ui.create_order([("tea", 1)], firstName="Ann", user=21)
    calls.post(f"/orders/{made['id']}/edit", by="id", order={"shipmentStore": "main", "delivery": {"cost": 300}})
    Calls(server.url, "other").post(f"/orders/{made['id']}/edit", by="id", order={"managerComment": "hello"})
    crm.ui.change_qty(made["id"], made["items"][0]["id"], 4)
    rows = history(calls)
    item = made["items"][0]["id"]
    assert changes(rows) == [
        ("user", "status", None, {"code": "new"}),
        ("code", "customer", None, {"id": made["customer"]["id"], "site": "shop"}),
        ("api", "delivery_cost", None, 300),
        ("api", "shipment_store", None, {"code": "main"}),
        ("api", "manager_comment", None, "hello"),
        ("user", "order_product.quantity", 1, 4),
        ("user", "order_product.summ", 100, 400),
    ]
    assert rows[0]["user"] == {"id": 21}
    assert rows[0]["created"] is True
    assert rows[0]["order"]["items"][0]["quantity"] == 1, "the order as it was made"
    assert [row["apiKey"] for row in rows if row["source"] == "api"] == [{"current": True}] * 2 + [{"current": False}]
    assert rows[3]["order"] == {"id": made["id"], "managerId": 21, "site": "shop", "status": "new"}
    assert rows[-1]["item"]["id"] == item
    assert rows[-1]["item"]["offer"]["externalId"] == "tea"
    assert [row["id"] for row in rows] == sorted({row["id"] for row in rows})


def test_lines_come_and_go_in_the_journal(calls: Calls, crm: RetailCRM) -> None:
    made = crm.ui.create_order([("tea", 1)])
    now = crm.ui.add_item(made["id"], "cup", 2)
    added = now["items"][1]["id"]
    crm.ui.remove_item(made["id"], added)
    came, went = [row for row in history(calls) if row["field"] == "order_product"]
    assert (came["oldValue"], came["newValue"]["id"]) == (None, added)
    assert (came["item"]["quantity"], came["item"]["status"]) == (2, "new")
    assert (went["oldValue"]["id"], went["newValue"]) == (added, None)


def test_a_new_status_moves_the_lines_that_are_bound_to_it(calls: Calls, crm: RetailCRM) -> None:
    made = crm.ui.create_order([("tea", 1)])
    crm.ui.set_status(made["id"], "complete")
    assert changes(history(calls))[-2:] == [
        ("user", "status", {"code": "new"}, {"code": "complete"}),
        ("code", "order_product.status", {"code": "new"}, {"code": "saled"}),
    ]
    assert crm.order(made["id"])["items"][0]["status"] == "saled"


def test_the_journal_is_read_from_an_id_on(calls: Calls, crm: RetailCRM) -> None:
    for _ in range(23):
        crm.ui.create_order([])  # two entries each
    seen: list[int] = []
    since, pages = 0, []
    while not pages or pages[-1]:
        answer = calls.get("/orders/history", f"filter[sinceId]={since}")[1]
        pages.append(len(answer["history"]))
        assert answer["pagination"]["totalCount"] == 46 - len(seen)
        seen += [row["id"] for row in answer["history"]]
        since = seen[-1]
    assert pages == [20, 20, 6, 0]
    assert seen == sorted(set(seen))
    assert seen != list(range(seen[0], seen[-1] + 1)), "ids have gaps"
    assert answer["pagination"] == {"limit": 20, "totalCount": 0, "currentPage": 1, "totalPageCount": 0}


def test_the_journal_is_read_by_dates_of_the_account(calls: Calls, crm: RetailCRM, clock: Clock) -> None:
    crm.ui.create_order([])
    clock.pass_(hours=1)
    made = crm.ui.create_order([], externalId="x")
    assert {r["order"]["id"] for r in history(calls, "filter[startDate]=2024-05-14 13:00:00")} == {made["id"]}
    assert len(history(calls, "filter[endDate]=2024-05-14 12:59:59")) == 2
    assert {r["order"]["id"] for r in history(calls, "filter[orderExternalId]=x")} == {made["id"]}
    crm.set_zone("Asia/Yekaterinburg")
    assert calls.get("/orders/history")[1]["generatedAt"] == "2024-05-14 15:00:00"
    assert history(calls)[-1]["createdAt"] == "2024-05-14 15:00:00"
    assert calls.get("/settings")[1]["settings"]["timezone"]["value"] == "Asia/Yekaterinburg"


def test_an_entry_can_come_late_with_a_small_id(calls: Calls, crm: RetailCRM) -> None:
    first = crm.ui.create_order([])
    with crm.late_history():
        crm.ui.set_status(first["id"], "assembling")
    crm.ui.set_status(first["id"], "complete")
    newest = history(calls)[-1]["id"]
    crm.release_history()
    rows = history(calls)
    late = [row["newValue"] for row in rows if row["newValue"] == {"code": "assembling"}]
    assert (len(late), rows[-1]["id"]) == (1, newest)
    assert history(calls, f"filter[sinceId]={newest}") == []


def test_a_deleted_order_is_told_and_gone(calls: Calls, crm: RetailCRM) -> None:
    made = crm.ui.create_order([("tea", 1)], externalId="5")
    crm.ui.delete_order(made["id"])
    last = history(calls)[-1]
    assert last["deleted"] is True
    assert last["order"] == {"id": made["id"], "externalId": "5", "managerId": 19, "site": "shop", "status": "new"}
    assert calls.get("/orders/5")[0] == 404
    assert calls.post("/orders/create", order={"externalId": "5"})[0] == 201


# --- customers -------------------------------------------------------------------------------------------------------------


def test_a_customer_is_made_found_and_changed(calls: Calls) -> None:
    data = {"externalId": "77", "firstName": "Ann", "phones": [{"number": "1"}], "address": {"city": "Town"}, "managerId": 20}
    status, answer = calls.post("/customers/create", customer=data)
    assert status == 201
    card = calls.get("/customers/77")[1]["customer"]
    assert (card["id"], card["firstName"], card["phones"]) == (answer["id"], "Ann", [{"number": "1"}])
    assert calls.post("/customers/create", customer=data) == (
        400,
        {"success": False, "errorMsg": "Customer with externalId=77 already exists."},
    )
    changed = {"phones": [{"number": "2"}], "contragent": {"INN": "123"}, "address": {"city": "City"}}
    assert calls.post("/customers/77/edit", customer=changed)[1] == {"success": True, "id": answer["id"]}
    assert changes(history(calls, of="customers"))[1:] == [
        ("api", "address.city", "Town", "City"),
        ("api", "contragent.i_n_n", None, "123"),
        ("api", "phones", "1", None),
        ("api", "phones", None, "2"),
    ]
    assert [c["id"] for c in calls.get("/customers", "filter[contragentInn]=123")[1]["customers"]] == [answer["id"]]
    calls.post("/customers/create", customer={"externalId": "78", "firstName": "Bob"})
    assert calls.post("/customers/78/edit", customer={"externalId": "77"})[0] == 400
    assert calls.get("/customers/77")[1]["customer"]["id"] == answer["id"]


def test_customers_are_uploaded_and_the_wrong_ones_named(calls: Calls) -> None:
    calls.post("/customers/create", customer={"externalId": "77", "firstName": "Ann"})
    status, answer = calls.post("/customers/upload", customers=[{"externalId": "78"}, {"externalId": "77"}])
    assert status == 460
    assert answer["errors"] == ["customer with externalId=77 already exists"]
    assert answer["failedCustomers"] == [{"externalId": "77"}]
    assert [row["externalId"] for row in answer["uploadedCustomers"]] == ["78"]


def test_two_customers_become_one_with_their_orders(calls: Calls, crm: RetailCRM) -> None:
    one = crm.ui.create_order([("tea", 1)], phone="+79000000001")
    two = crm.ui.create_order([("tea", 2)], phone="+79000000002")
    gone, kept = one["customer"]["id"], two["customer"]["id"]
    assert calls.post("/customers/combine", customers=[{"id": gone}], resultCustomer={"id": kept}) == (200, {"success": True})
    assert crm.order(one["id"])["customer"]["id"] == kept
    assert crm.order(one["id"])["customer"]["totalSumm"] == 300
    assert calls.get(f"/customers/{gone}", "by=id")[0] == 404
    last = history(calls, of="customers")[-1]
    assert (last["deleted"], last["combinedTo"]["id"]) == (True, kept)


def test_a_company_has_contacts_entities_and_addresses(calls: Calls, crm: RetailCRM) -> None:
    person = crm.ui.create_customer(firstName="Ann", externalId="p-1")
    number = calls.post("/customers-corporate/create", customerCorporate={"nickName": "Firm", "externalId": "c-1"})[1]["id"]
    top = "/customers-corporate/c-1"
    company = {"name": "Firm Ltd", "externalId": "k-1", "contragent": {"INN": "7700", "contragentType": "legal-entity"}}
    status, answer = calls.post(f"{top}/companies/create", company=company)
    assert status == 201
    contact = {"customer": {"id": person}, "companies": [{"company": {"id": answer["id"]}}]}
    assert calls.post(f"{top}/contacts/create", contact=contact)[0] == 201
    assert calls.post(f"{top}/addresses/create", address={"name": "Office", "city": "Town"})[0] == 201
    card = calls.get(top)[1]["customerCorporate"]
    assert (card["id"], card["type"], card["nickName"]) == (number, "customer_corporate", "Firm")
    assert (card["mainCompany"]["name"], card["mainAddress"]["name"]) == ("Firm Ltd", "Office")
    assert card["mainCustomerContact"]["customer"] == {"id": person}
    (row,) = calls.get(f"{top}/companies")[1]["companies"]
    assert (row["contragent"]["INN"], row["isMain"], row["customer"]["externalId"]) == ("7700", True, "c-1")
    edited = calls.post(f"{top}/companies/k-1/edit", company={"name": "Firm LLC"})
    assert edited == (200, {"success": True, "id": answer["id"]})
    assert calls.get(f"{top}/contacts")[1]["contacts"][0]["companies"][0]["company"]["name"] == "Firm LLC"
    assert [row["field"] for row in history(calls, of="customers-corporate")] == [
        *("id", "company", "main_company", "contact", "main_contact", "contact.contact_company", "address", "main_address")
    ]


def test_an_order_moves_from_a_person_to_a_company_and_back(calls: Calls, crm: RetailCRM) -> None:
    made = crm.ui.create_order([("tea", 1)], firstName="Ann", phone="+79000000001")
    firm = crm.ui.create_customer(corporate=True, nickName="Firm")
    entity = crm.ui.add_company(firm, name="Firm Ltd")
    bob = crm.ui.create_customer(firstName="Bob", phones=[{"number": "+79000000002"}])
    crm.ui.add_contact(firm, bob)
    now = crm.ui.switch_customer(made["id"], firm, contact=bob, company=entity)
    assert (now["customer"]["type"], now["contact"]["id"], now["company"]["name"]) == ("customer_corporate", bob, "Firm Ltd")
    rows = {row["field"]: (row["oldValue"], row["newValue"]) for row in history(calls)[2:]}
    assert rows == {
        "company": (None, {"id": entity, "name": "Firm Ltd"}),
        "contact": (None, {"id": bob, "site": "shop"}),
        "customer": ({"id": made["customer"]["id"], "site": "shop"}, {"id": firm, "site": "shop"}),
        "first_name": ("Ann", "Bob"),
        "phone": ("+79000000001", "+79000000002"),
    }
    back = crm.ui.switch_customer(made["id"], made["customer"]["id"])
    assert ("company" in back, back["customer"]["type"], back["customer"]["ordersCount"]) == (False, "customer", 1)


# --- books and the account -------------------------------------------------------------------------------------------------


def test_books_have_the_names_and_shapes_of_the_service(calls: Calls) -> None:
    shapes = {}
    for kind in (
        "statuses",
        "status-groups",
        "payment-types",
        "payment-statuses",
        "delivery-types",
        "delivery-services",
        "stores",
    ):
        answer = calls.get(f"/reference/{kind}")[1]
        (name,) = set(answer) - {"success"}
        shapes[name] = type(answer[name]).__name__
    assert shapes == {
        **dict.fromkeys(
            ("statuses", "statusGroups", "paymentTypes", "paymentStatuses", "deliveryTypes", "deliveryServices"), "dict"
        ),
        "stores": "list",
    }
    groups = calls.get("/reference/status-groups")[1]["statusGroups"]
    assert groups["delivery"]["statuses"] == ["send-to-delivery", "delivering", "redirect", "delivered"]


def test_a_row_of_a_book_is_made_by_editing_it(calls: Calls) -> None:
    assert calls.post("/reference/stores/north/edit", store={"name": "North", "inventoryType": "available"}) == (
        201,
        {"success": True},
    )
    assert calls.post("/reference/stores/north/edit", store={"active": False}) == (200, {"success": True})
    (row,) = [row for row in calls.get("/reference/stores")[1]["stores"] if row["code"] == "north"]
    assert (row["name"], row["active"], row["inventoryType"]) == ("North", False, "available")
    assert calls.post("/reference/status-groups/new/edit", statusGroup={})[0] == 404
    assert calls.post("/reference/statuses/x/edit", status={"name": "X", "group": "nowhere"})[1]["errors"] == {
        "group": "This value is not valid."
    }
    status, answer = calls.post("/reference/couriers/create", courier={"firstName": "Max"})
    assert status == 201
    assert calls.post(f"/reference/couriers/{answer['id']}/edit", courier={"lastName": "M"})[0] == 200
    assert [c["lastName"] for c in calls.get("/reference/couriers")[1]["couriers"] if c["id"] == answer["id"]] == ["M"]


def test_deliveries_and_payments_agree_on_each_other(calls: Calls) -> None:
    calls.post("/reference/payment-types/barter/edit", paymentType={"name": "Barter", "deliveryTypes": ["courier"]})
    assert "barter" in calls.get("/reference/delivery-types")[1]["deliveryTypes"]["courier"]["paymentTypes"]
    assert calls.get("/reference/payment-types")[1]["paymentTypes"]["barter"]["deliveryTypes"] == ["courier"]


def test_a_code_can_go_missing(calls: Calls, crm: RetailCRM) -> None:
    crm.forget_code("statuses", "assembling")
    made = crm.ui.create_order([])
    assert calls.post(f"/orders/{made['id']}/edit", by="id", order={"status": "assembling"})[0] == 400


def test_managers_take_more_than_one_page(calls: Calls) -> None:
    first = calls.get("/users", "filter[isManager]=1&filter[active]=1")[1]
    second = calls.get("/users", "filter[isManager]=1&filter[active]=1&page=2")[1]
    assert (first["pagination"]["totalCount"], len(first["users"]), len(second["users"])) == (24, 20, 4)
    assert calls.get("/users", "filter[groups][]=director")[1]["users"][0]["isAdmin"] is True
    assert calls.get("/users/19")[1]["user"]["isManager"] is True


def test_custom_fields_modules_and_files(calls: Calls, crm: RetailCRM) -> None:
    field_ = {"code": "nomer1c", "name": "1C", "type": "string", "displayArea": "shipment", "viewMode": "miss"}
    assert calls.post("/custom-fields/order/create", customField=field_) == (201, {"success": True, "code": "nomer1c"})
    assert calls.post("/custom-fields/order/create", customField=field_)[0] == 400
    assert [f["code"] for f in calls.get("/custom-fields", "filter[entity]=order&limit=250")[1]["customFields"]] == ["nomer1c"]
    module = {
        "code": "1c",
        "integrationCode": "1c",
        "active": True,
        "baseUrl": "https://hub.example",
        "clientId": "hub",
        "name": "1C",
    }
    assert calls.post("/integration-modules/1c/edit", integrationModule=module) == (200, {"success": True, "info": []})
    assert calls.get("/integration-modules/1c")[1]["integrationModule"]["active"] is True
    number = calls.send("/files/upload", b"\x00bytes", "application/octet-stream")[1]["file"]["id"]
    made = crm.ui.create_order([])
    calls.post(f"/files/{number}/edit", file={"filename": "a.bin", "attachment": [{"order": {"id": made["id"]}}]})
    (row,) = calls.get("/files", f"filter[orderIds][]={made['id']}")[1]["files"]
    assert (row["filename"], row["size"]) == ("a.bin", 6)
    assert calls.get(f"/files/{number}/download")[1] == b"\x00bytes"


def test_packs_reserve_lines_and_have_a_journal(calls: Calls, crm: RetailCRM) -> None:
    made = crm.ui.create_order([("tea", 2)])
    pack = {"itemId": made["items"][0]["id"], "store": "main", "quantity": 2}
    status, answer = calls.post("/orders/packs/create", pack=pack)
    assert status == 201
    calls.post(f"/orders/packs/{answer['id']}/edit", pack={"quantity": 1})
    shown = calls.get(f"/orders/packs/{answer['id']}")[1]["pack"]
    assert (shown["quantity"], shown["store"], shown["item"]["order"]) == (1, "main", {"id": made["id"]})
    calls.post(f"/orders/packs/{answer['id']}/delete")
    assert changes(history(calls, of="orders/packs")) == [
        ("api", "store", None, {"code": "main"}),
        ("api", "quantity", 2, 1),
        ("api", "store", {"code": "main"}, None),
    ]
    message = f"Pack with id {answer['id']} not found"
    assert calls.get(f"/orders/packs/{answer['id']}") == (404, {"success": False, "errorMsg": message})


# --- goods -----------------------------------------------------------------------------------------------------------------


def test_stock_is_taken_for_known_goods_and_others_are_named(calls: Calls, crm: RetailCRM) -> None:
    offers = [
        {
            "xmlId": "0001",
            "stores": [{"code": "main", "available": "5", "purchasePrice": "12.5"}, {"code": "second", "available": 2}],
        },
        {"externalId": "none", "stores": [{"code": "main", "available": 1}]},
    ]
    assert calls.post("/store/inventories/upload", offers=offers) == (
        200,
        {"success": True, "processedOffersCount": 1, "notFoundOffers": [{"externalId": "none"}]},
    )
    row = calls.get("/store/inventories", "filter[offerXmlId][]=0001&filter[details]=1&limit=250")[1]["offers"][0]
    assert row["quantity"] == 7
    assert row["stores"] == [{"store": "main", "quantity": 5, "purchasePrice": 12.5}, {"store": "second", "quantity": 2}]
    assert crm.stock("tea") == {"main": 5, "second": 2}
    assert "stores" not in calls.get("/store/inventories")[1]["offers"][0]


def test_uploads_hold_250_rows(calls: Calls) -> None:
    row = {"externalId": "tea", "stores": []}
    assert calls.post("/store/inventories/upload", offers=[row] * 250)[1]["processedOffersCount"] == 250
    assert calls.post("/store/inventories/upload", offers=[row] * 251)[0] == 400
    assert calls.post("/store/inventories/upload", offers=[])[0] == 400
    assert calls.post("/store/prices/upload", prices=[{"externalId": "tea"}] * 251)[0] == 400


def test_an_unknown_store_fails_the_whole_upload(calls: Calls, crm: RetailCRM) -> None:
    offers = [{"xmlId": "0001", "stores": [{"code": "main", "available": 1}, {"code": "moon", "available": 1}]}]
    status, answer = calls.post("/store/inventories/upload", offers=offers)
    assert (status, answer["errors"]) == (400, {"[0].stores[1].code": "This value is not valid."})
    assert crm.stock("tea") == {}


def test_a_store_may_only_say_whether_there_is_some(calls: Calls, crm: RetailCRM) -> None:
    calls.post("/reference/stores/second/edit", store={"inventoryType": "available"})
    calls.post("/store/inventories/upload", offers=[{"xmlId": "0001", "stores": [{"code": "second", "available": 12}]}])
    assert crm.stock("tea") == {"second": 1}


def test_prices_are_set_and_removed(calls: Calls, crm: RetailCRM) -> None:
    prices = [{"xmlId": "0001", "prices": [{"code": "base", "price": "90"}, {"code": "wholesale", "price": 70.5}]}, {"id": 1}]
    answer = calls.post("/store/prices/upload", prices=prices)[1]
    assert (answer["processedOffersCount"], answer["notFoundOffers"]) == (1, [{"id": 1}])
    assert {code: str(price) for code, price in crm.prices("tea").items()} == {"base": "90", "wholesale": "70.5"}
    calls.post(
        "/store/prices/upload", prices=[{"xmlId": "0001", "site": "shop", "prices": [{"code": "wholesale", "remove": True}]}]
    )
    assert list(crm.prices("tea")) == ["base"]
    made = calls.post("/orders/create", order={"items": [{"offer": {"xmlId": "0001"}}]})[1]["order"]
    assert made["summ"] == 90


ICML = """<?xml version="1.0" encoding="UTF-8"?>
<yml_catalog date="2024-05-14 10:09:18"><shop><name>S</name><company>S</company>
<categories><category id="1">Drinks</category><category id="2" parentId="1"><name>Hot</name></category></categories>
<offers>
<offer id="tea" productId="T" quantity="4"><price>110.50</price><purchasePrice>50</purchasePrice><categoryId>2</categoryId>
<name>Tea, green</name><productName>Tea</productName><xmlId>0001</xmlId><param name="Art" code="article">T-1</param>
<param name="Colour" code="colour">green</param><vendor>V</vendor><unit code="kg" name="Kilogram" sym="kg"/><vatRate>20</vatRate>
<weight>0.5</weight><dimensions>10/20.5/3</dimensions><barcode>46</barcode></offer>
<offer id="tea2" productId="T"><price>120</price><categoryId>2</categoryId><name>Tea, black</name><productName>Tea</productName></offer>
<offer id="bad"><name>No price</name></offer>
</offers></shop></yml_catalog>"""


def test_a_catalogue_is_made_changed_and_what_it_lacks_goes_inactive(calls: Calls, crm: RetailCRM) -> None:
    loaded = crm.load_icml(ICML)
    assert (loaded.created, loaded.updated, loaded.deactivated, loaded.skipped) == (1, 1, 1, ["Offer bad: no price"])
    products = {p["externalId"]: p for p in calls.get("/store/products")[1]["products"]}
    tea = products["T"]
    assert [o["externalId"] for o in tea["offers"]] == ["tea", "tea2"]
    assert (tea["minPrice"], tea["maxPrice"], tea["manufacturer"], tea["quantity"]) == (110.5, 120, "V", 4)
    offer = tea["offers"][0]
    assert (offer["weight"], offer["length"], offer["width"], offer["barcode"], offer["article"]) == (500, 100, 205, "46", "T-1")
    assert (offer["properties"], offer["unit"]["code"], offer["vatRate"]) == ({"colour": "green"}, "kg", "20")
    groups = {g["externalId"]: g for g in calls.get("/store/product-groups")[1]["productGroup"]}
    assert groups["2"]["parentId"] == groups["1"]["id"]
    assert tea["groups"] == [{"id": groups["2"]["id"], "externalId": "2"}]
    assert [o["externalId"] for o in calls.get("/store/offers", "filter[active]=0")[1]["offers"]] == ["cup"]
    again = crm.load_icml(ICML)
    assert (again.created, again.updated, again.deactivated) == (0, 2, 0)


@pytest.mark.parametrize("xml", ["<yml_catalog><shop><offers><offer id='1'>", "<html/>", ""])
def test_a_file_that_is_no_catalogue_changes_nothing(crm: RetailCRM, xml: str) -> None:
    with pytest.raises(BadIcml):
        crm.load_icml(xml)
    assert [o.active for o in crm.catalogue.offers.values()] == [True, True]


class _File(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.path == "/icml.xml"
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(ICML.encode() if found else b"")

    def log_message(self, format: str, *args: Any) -> None: ...


def test_the_catalogue_is_pulled_from_the_address_that_the_hub_has_set(calls: Calls, crm: RetailCRM) -> None:
    with pytest.raises(LookupError):
        crm.pull_icml()
    with HTTPServer(("127.0.0.1", 0), _File) as files:
        Thread(target=files.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{files.server_port}/icml.xml"
        assert calls.post("/reference/sites/shop/edit", site={"ymlUrl": url, "loadFromYml": True}) == (200, {"success": True})
        assert crm.pull_icml().created == 1
        files.shutdown()
    site = calls.get("/reference/sites")[1]["sites"]["shop"]
    assert (site["ymlUrl"], site["loadFromYml"], site["catalogUpdatedAt"]) == (url, True, "2024-05-14 12:00:00")
    with pytest.raises(URLError):
        crm.pull_icml()


# --- what goes wrong on purpose --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [("503", 503, "Rate limit exceeded"), ("429", 429, "Too Many Requests"), ("revoked", 403, 'Wrong "apiKey" value.')],
)
def test_so_many_requests_are_refused_and_then_all_is_well(
    calls: Calls, crm: RetailCRM, kind: str, status: int, message: str
) -> None:
    crm.fault(kind, 2, path="/orders")
    assert calls.get("/users")[0] == 200
    for _ in range(2):
        assert calls.get("/orders") == (status, {"success": False, "errorMsg": message})
    assert calls.get("/orders")[0] == 200


def test_errors_of_the_server_are_web_pages(calls: Calls, crm: RetailCRM) -> None:
    crm.fault("500")
    status, body = calls.get("/orders")
    assert status == 500
    assert body.startswith(b"<html>")
    crm.fault("html")
    status, body = calls.get("/orders")
    assert status == 200
    assert body.startswith(b"<html>")


def test_an_answer_can_break_off(calls: Calls, crm: RetailCRM) -> None:
    crm.fault("truncated")
    with pytest.raises(json.JSONDecodeError):
        calls.get("/orders")


def test_without_an_answer_the_work_may_be_done_or_not(calls: Calls, crm: RetailCRM) -> None:
    crm.fault("timeout")
    with pytest.raises((RemoteDisconnected, ConnectionError, URLError)):
        calls.post("/orders/create", order={"externalId": "1"})
    assert crm.all_orders() == []
    crm.fault("lost", method="POST")
    with pytest.raises((RemoteDisconnected, ConnectionError, URLError)):
        calls.post("/orders/create", order={"externalId": "1"})
    assert [o["externalId"] for o in crm.all_orders()] == ["1"]
    assert [(one.status, one.fault) for one in crm.log] == [(0, "timeout"), (0, "lost")]


def test_a_slow_answer_keeps_nobody_else_waiting(calls: Calls, crm: RetailCRM, server: Server) -> None:
    crm.fault("slow", path="/users", seconds=3600)
    asked = Event()
    handle = crm.handle

    def noted(request: Any) -> Any:
        answer = handle(request)
        asked.set()
        return answer

    crm.handle = noted  # type: ignore[method-assign]
    said: list[int] = []
    waiting = Thread(target=lambda: said.append(calls.get("/users")[0]))
    waiting.start()
    assert asked.wait(60)
    assert calls.get("/orders")[0] == 200
    assert (waiting.is_alive(), said) == (True, [])
    server.stop()  # nobody waits for an hour
    waiting.join()
    assert said == [200]


def test_an_upload_can_fail_in_part(calls: Calls, crm: RetailCRM) -> None:
    crm.fault("partial", path="upload")
    status, answer = calls.post("/orders/upload", orders=[{"externalId": "a"}, {"externalId": "b"}])
    assert (status, answer["failedOrders"]) == (460, [{"externalId": "b"}])
    assert [o["externalId"] for o in crm.all_orders()] == ["a"]


def test_payments_and_custom_fields_can_come_as_lists(calls: Calls, crm: RetailCRM) -> None:
    made = crm.ui.create_order([("tea", 1)], payments=[{"type": "cash"}], customFields={"a": 1})
    crm.account.settings.payments_as_list = crm.account.settings.custom_fields_as_list = True
    shown = calls.get(f"/orders/{made['id']}", "by=id")[1]["order"]
    assert [p["type"] for p in shown["payments"]] == ["cash"]
    assert shown["customFields"] == []


def test_goods_can_disappear(calls: Calls, crm: RetailCRM) -> None:
    crm.forget_offer("tea")
    assert calls.post("/orders/create", order={"items": [{"offer": {"xmlId": "0001"}}]})[0] == 400


def test_the_log_keeps_what_was_asked(calls: Calls, crm: RetailCRM) -> None:
    calls.post("/orders/create", order={"externalId": "1"}, site="shop")
    calls.get("/orders", "filter[ids][]=5")
    post, get = crm.calls("/orders")
    assert (post.form, post.status) == ({"order": {"externalId": "1"}, "site": "shop"}, 201)
    assert post.json["order"]["externalId"] == "1"
    assert get.query == {"filter": {"ids": {"0": "5"}}}


def test_twins_are_noticed(calls: Calls, crm: RetailCRM) -> None:
    order = {"phone": "+79000000001", "firstName": "Ann", "items": [{"offer": {"externalId": "tea"}}]}
    made = calls.post("/orders/create", order=order)[1]["id"]
    payment = {"order": {"id": made}, "type": "cash", "amount": 100}
    calls.post("/orders/payments/create", payment=payment)
    calls.post("/customers/create", customer={"firstName": "Bob"})
    crm.assert_no_duplicates()
    calls.post("/orders/payments/create", payment=payment)
    with pytest.raises(AssertionError, match="payments of order"):
        crm.assert_no_duplicates()
    calls.post("/orders/create", order=order)
    with pytest.raises(AssertionError, match="orders "):
        crm.assert_no_duplicates()
    calls.post("/customers/create", customer={"firstName": "Bob"})
    with pytest.raises(AssertionError, match="customers "):
        crm.assert_no_duplicates()


def test_thousands_of_changed_orders_are_read_page_by_page_quickly() -> None:
    crm = RetailCRM(keep=10)
    ids = seed.orders(crm, 2_000)
    for number in ids:
        crm.ui.set_status(number, "redirect")
    with serve(crm) as server:
        calls = Calls(server.url)
        began, since, seen = time.monotonic(), 0, set()
        while rows := history(calls, f"filter[sinceId]={since}&limit=100"):
            since = rows[-1]["id"]
            seen |= {row["order"]["id"] for row in rows}
        assert seen == set(ids)
        assert time.monotonic() - began < 200, "a page costs what stands on it, not what the journal holds"
