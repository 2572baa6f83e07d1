"""The stand-in for Prom on a real socket: faults, the pages for a person, the command."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from obmen.sandbox.prom import Prom, Server, SoldOut, serve
from obmen.sandbox.prom.state import Settings
from obmen.sandbox.stand import KINDS, Answer, Request, settings
from sandbox.market_calls import Calls, Clock, feed, page, press

OFFER = '<offer id="D-1" available="true"><price>5</price><name>Лялька</name><quantity_in_stock>4</quantity_in_stock></offer>'


class Feeds(Prom):
    """Somebody's site with a price list."""

    def page(self, request: Request) -> Answer:
        return Answer(feed(OFFER), 200 if request.path == "/f.xml" else 404, "text/xml")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shop(clock: Clock) -> Prom:
    made = Prom(clock=clock)
    made.add_product("Кубик <малий>", "571", 12, external_id="A-1")
    return made


@pytest.fixture
def server(shop: Prom) -> Iterator[Server]:
    with serve(shop) as running:
        yield running


def ask(server: Server, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    sent = None if body is None else json.dumps(body).encode()
    try:
        connection.request(method, "/api/v1" + path, sent, {"Authorization": "Bearer sandbox-token"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_is_met_once_and_then_all_is_well(server: Server, shop: Prom, kind: str) -> None:
    shop.fault(kind, path="products/edit", seconds=0.01)
    send = [{"id": "A-1", "price": 5}]
    try:
        status, body = ask(server, "POST", "/products/edit_by_external_id", send)
    except (http.client.HTTPException, ConnectionError):
        status, body = 0, b""
    assert [fault.kind for fault in shop.faults.met] == [kind]
    done = kind in ("lost", "truncated", "slow")
    assert (shop.product("A-1").price == 5) is done
    expected = {"timeout": 0, "lost": 0, "truncated": 0, "503": 503, "500": 500, "429": 429, "expired": 401}
    assert status == expected.get(kind, 200)
    if kind in ("html", "empty"):
        assert body[:9] == {"html": b"<!DOCTYPE", "empty": b""}[kind]
    if kind == "expired":
        shop.tokens["sandbox-token"].active = True
    assert ask(server, "POST", "/products/edit_by_external_id", [{"id": "A-1", "price": 6}])[0] == 200
    assert shop.product("A-1").price == 6


def test_faults_wait_for_their_requests(server: Server, shop: Prom) -> None:
    shop.fault("503", 2, path="orders", method="GET", skip=1)
    assert [ask(server, "GET", path)[0] for path in ("/groups/list", "/orders/list", "/orders/list", "/orders/list", "/orders/list")] == [
        200, 200, 503, 503, 200,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="timeout"):
        shop.fault("plague")


def test_what_was_asked_can_be_looked_at(server: Server, shop: Prom) -> None:
    ask(server, "POST", "/orders/set_status", {"ids": [1], "status": "received"})
    ((call),) = shop.calls("set_status", "POST")
    assert (call.json["status"], call.status, json.loads(call.answer)["processed_ids"]) == ("received", 200, [])


def test_a_file_is_fetched_from_its_address(shop: Prom, clock: Clock) -> None:
    """import_url: taken at once, and the link stays in the cabinet; an address that gives nothing is found out later."""
    source = Feeds()
    api = Calls(shop, "sandbox-token")
    with serve(source) as feeds:
        good = api.post("/products/import_url", {"url": f"{feeds.page}/f.xml"})["id"]
        bad = api.post("/products/import_url", {"url": f"{feeds.page}/none.xml"})["id"]
        shop.imports.wait()
    clock.turn(10)
    assert api.get(f"/products/import/status/{good}")["created"] == 1
    failed = api.get(f"/products/import/status/{bad}")
    assert (failed["status"], failed["errors"][0]["download"]["extra"]) == ("FATAL", {"status_code": 404})
    assert shop.imports.link.endswith("/none.xml")


def test_two_hundred_buyers_get_what_there_is_and_no_more(server: Server, shop: Prom) -> None:
    """While the seller writes the stock that he believes in."""
    sold: list[int] = []

    def buyer() -> None:
        with contextlib.suppress(SoldOut):
            sold.append(shop.buy([("A-1", 1)]).id)

    crowd = [threading.Thread(target=buyer) for _n in range(200)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert (len(sold), len(set(sold)), shop.product("A-1").quantity) == (12, 12, 0)


# --- the pages ---------------------------------------------------------------------------------------------------------------------------


def test_a_buyer_orders_pays_and_cancels(server: Server, shop: Prom) -> None:
    start = page(server.page)[2]
    assert "Кубик &lt;малий&gt;" in start
    status, where, text = press(
        server.page, start, "Create the order", quantity="2", phone="+380671112233", first_name="Olena", payment="22222"
    )
    order = shop.orders[400_000_001]
    assert (status, where) == (200, f"{server.page}/orders/{order.id}")
    assert (order.client.first_name, order.client.phone, order.total, shop.product("A-1").quantity) == (
        "Olena",
        "+380671112233",
        1142,
        10,
    )
    text = press(server.page, text, "Pay as the buyer")[2]
    assert (order.status, order.payment_status) == ("paid", "paid")
    text = press(server.page, text, "Set the status", status="received")[2]
    assert "Прийнято" in text
    text = press(server.page, text, "Cancel as the buyer", reason="Передумала")[2]
    assert (order.status, order.cancellation, shop.product("A-1").quantity) == (
        "canceled",
        {"title": "Передумала", "initiator": "client"},
        12,
    )
    assert "Cancel as the buyer" not in text
    assert page(f"{server.page}/orders/{order.id}/cancel", {})[0] == 400
    assert str(order.id) in page(server.page)[2]


def test_more_than_there_is_cannot_be_bought(server: Server, shop: Prom) -> None:
    status, _where, text = press(server.page, page(server.page)[2], "Create the order", quantity="13")
    assert (status, "SoldOut" in text, len(shop.orders)) == (400, True, 0)


def test_the_pages_show_what_arrived(server: Server, shop: Prom) -> None:
    ask(server, "POST", "/products/edit_by_external_id", [{"id": "A-1", "price": 480, "quantity_in_stock": 41}])
    goods = page(f"{server.page}/goods")[2]
    assert "<td>480.00</td><td>available</td><td>41</td>" in goods
    assert "Кубик" not in page(f"{server.page}/goods?q=lamp")[2]
    assert "quantity_in_stock" in page(f"{server.page}/goods/{shop.by_external['A-1']}")[2]
    requests = page(f"{server.page}/requests")[2]
    assert "POST /api/v1/products/edit_by_external_id" in requests
    text = press(server.page, requests, "Plan", kind="429", path="orders")[2]
    assert "<td>429</td><td>1</td><td>orders</td>" in text
    assert [ask(server, "GET", "/orders/list")[0] for _n in range(2)] == [429, 200]
    press(server.page, text, "Plan", kind="503")
    press(server.page, text, "Clear")
    assert ask(server, "GET", "/orders/list")[0] == 200
    assert page(f"{server.page}/elsewhere")[0] == 404
    assert page(f"{server.page}/faults/plan", {"kind": "plague"})[0] == 400


def test_the_cabinet_imports_from_its_link(server: Server, shop: Prom) -> None:
    source = Feeds()
    with serve(source) as feeds:
        text = press(server.page, page(f"{server.page}/imports")[2], "Import from the link now", url=f"{feeds.page}/f.xml")[2]
    assert shop.product("D-1").quantity == 4
    assert "&quot;created&quot;:1" in text
    assert press(server.page, text, "Import from the link now", url="ftp://x")[0] == 400


# --- the command ---------------------------------------------------------------------------------------------------------------------------


def test_the_command_opens_a_shop_until_it_is_stopped() -> None:
    run = [sys.executable, "-m", "obmen.cli", "sandbox", "prom", "--port", "0", "--seed-orders", "2", "--set", "root_only=yes"]
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        said = process.stdout.readline()
        try:
            url = re.search(r"(http://\S+)/api/v1  token sandbox-token", said)
            assert url, said
            assert "Orders: 2" in page(url[1])[2]
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_settings_are_read_by_their_kind() -> None:
    given = ["root_only=yes", "silent=3", "query_zone=Europe/Kyiv"]
    assert settings(Settings, given) == {"root_only": True, "silent": 3, "query_zone": "Europe/Kyiv"}
    for wrong in ("zap=1", "root_only=maybe", "silent=much", "zone=Mars/Base"):
        with pytest.raises(typer.BadParameter):
            settings(Settings, [wrong])
