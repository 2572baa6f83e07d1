"""The stand-in for Rozetka on a real socket: faults, the pages for a person, the command."""

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

from obmen.sandbox.rozetka import Rozetka, Server, SoldOut, serve
from obmen.sandbox.stand import KINDS, Answer, Request
from sandbox.market_calls import Calls, Clock, feed, page, press

OFFER = (
    '<offer id="R-1" available="true"><price>5</price><currencyId>UAH</currencyId><categoryId>10</categoryId><vendor>Toys</vendor>'
    "<picture>https://x.example.com/1.jpg</picture><name>Кубик</name><stock_quantity>4</stock_quantity>"
    '<param name="Колір">синій</param></offer>'
)


class Feeds(Rozetka):
    """Somebody's site with price lists."""

    def page(self, request: Request) -> Answer:
        raw = feed(OFFER) if request.path == "/cabinet/good.xml" else feed(OFFER.replace("<vendor>Toys</vendor>", ""))
        return Answer(raw, 404 if request.path == "/cabinet/none.xml" else 200, "text/xml")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def seller(clock: Clock) -> Rozetka:
    made = Rozetka(clock=clock)
    made.add_item("Кубик <малий>", 571, 12, offer="A-1")
    made.add_token("static")
    return made


@pytest.fixture
def server(seller: Rozetka) -> Iterator[Server]:
    with serve(seller) as running:
        yield running


def ask(server: Server, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    sent = None if body is None else json.dumps(body).encode()
    try:
        connection.request(method, path, sent, {"Authorization": "Bearer static"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_is_met_once_and_then_all_is_well(server: Server, seller: Rozetka, kind: str) -> None:
    cube = seller.item("A-1")
    send = {"items": [{"item_id": cube.item_id, "stock_quantity": 5}]}
    seller.fault(kind, path="mass-update", seconds=0.01)
    try:
        status, body = ask(server, "PUT", "/items/mass-update", send)
    except (http.client.HTTPException, ConnectionError):
        status, body = 0, b""
    assert (cube.stock == 5) is (kind in ("lost", "truncated", "slow"))
    expected = {"timeout": 0, "lost": 0, "truncated": 0, "503": 503, "500": 500, "429": 429}
    assert status == expected.get(kind, 200)
    if kind == "expired":
        assert json.loads(body)["errors"] == {"message": "session_expired", "code": 6001, "details": None}
        seller.add_token("static")
    assert json.loads(ask(server, "PUT", "/items/mass-update", send)[1])["success"]
    assert cube.stock == 5


def test_two_hundred_buyers_get_what_there_is_and_no_more(seller: Rozetka) -> None:
    sold: list[int] = []

    def buyer() -> None:
        with contextlib.suppress(SoldOut):
            sold.append(seller.buy([("A-1", 1)]).id)

    crowd = [threading.Thread(target=buyer) for _n in range(200)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert (len(sold), len(set(sold)), seller.item("A-1").stock) == (12, 12, 0)


def test_a_price_list_is_only_looked_at(seller: Rozetka) -> None:
    """§3.7: /item-price-updates validates and loads nothing."""
    api = Calls(seller, "static")
    with serve(Feeds()) as feeds:
        made = [
            api.post(
                "/item-price-updates/create",
                {"logXmlValidates": {"place": "url", "place_address": f"{feeds.page}/cabinet/{name}.xml"}},
            )
            for name in ("good", "bad", "none")
        ]
        seller.goods.wait()
    rows = api.get("/item-price-updates/search")["content"]["uploaderLogXmls"]
    reports = {row["id"]: (row["status"], row["report"]) for row in rows}
    good, bad, none = (reports[one["content"]["id"]] for one in made)
    assert good == (2, "ok")
    assert (bad[0], "vendor" in bad[1], none[0]) == (2, True, 3)
    assert len(seller.goods.items) == 1
    assert api.post("/item-price-updates/create", {"logXmlValidates": {"place": "moon"}})["success"] is False


# --- the pages ------------------------------------------------------------------------------------------------------------------------------


def test_a_buyer_orders_pays_and_cancels(server: Server, seller: Rozetka) -> None:
    start = page(server.page)[2]
    assert "Кубик &lt;малий&gt;" in start
    status, where, text = press(
        server.page, start, "Create the order", quantity="2", phone="380671112233", payment="2", service="1"
    )
    (order,) = seller.orders.values()
    assert (status, where) == (200, f"{server.page}/cabinet/orders/{order.id}")
    assert (order.buyer.phone, order.amount, order.service, seller.item("A-1").stock) == ("380671112233", 1142, 1, 10)
    text = press(server.page, text, "Pay as the buyer")[2]
    assert order.payment_status == 2
    text = press(server.page, text, "Set the status", status="26")[2]
    assert "Опрацьовується менеджером" in text
    text = press(server.page, text, "Cancel as the buyer")[2]
    assert (order.status, seller.item("A-1").stock, "Cancel as the buyer" in text) == (45, 12, False)
    assert page(f"{server.page}/cabinet/orders/{order.id}/cancel", {})[0] == 400
    assert press(server.page, start, "Create the order", quantity="13")[0] == 400
    assert len(seller.orders) == 1


def test_the_pages_show_what_arrived_and_the_manager_confirms_prices(server: Server, seller: Rozetka) -> None:
    cube = seller.item("A-1")
    ask(server, "PUT", "/items/mass-update", {"items": [{"item_id": cube.item_id, "price": 5000}]})
    goods = page(f"{server.page}/cabinet/goods")[2]
    assert "<td>571</td><td>5000 " in goods
    text = press(server.page, goods, "Take it")[2]
    assert (cube.price, "Take it" in text) == (5000, False)
    assert "Кубик" not in page(f"{server.page}/cabinet/goods?q=lamp")[2]
    requests = page(f"{server.page}/cabinet/requests")[2]
    assert "PUT /items/mass-update" in requests
    text = press(server.page, requests, "Plan", kind="429", path="orders")[2]
    assert "<td>429</td><td>1</td><td>orders</td>" in text
    assert [ask(server, "GET", "/orders/search")[0] for _n in range(2)] == [429, 200]
    press(server.page, text, "Plan", kind="503")
    press(server.page, text, "Clear")
    assert ask(server, "GET", "/orders/search")[0] == 200
    assert page(f"{server.page}/cabinet/elsewhere")[0] == 404


def test_a_price_list_is_loaded_from_its_link(server: Server, seller: Rozetka) -> None:
    with serve(Feeds()) as feeds:
        text = press(
            server.page, page(f"{server.page}/cabinet/goods")[2], "Load the price list now", url=f"{feeds.page}/cabinet/good.xml"
        )[2]
        assert press(server.page, text, "Load the price list now", url=f"{feeds.page}/cabinet/none.xml")[0] == 400
    assert (seller.item("R-1").stock, seller.item("A-1").available) == (4, 2)
    assert "not in the price list" in text


# --- the command ------------------------------------------------------------------------------------------------------------------------------


def test_the_command_opens_an_account_until_it_is_stopped() -> None:
    run = [sys.executable, "-m", "obmen.cli", "sandbox", "rozetka", "--port", "0", "--seed-orders", "2", "--token", "fixed"]
    run += ["--set", "page_ignored=yes"]
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        said = process.stdout.readline()
        try:
            url = re.search(r"(http://\S+)  login seller  password sandbox", said)
            assert url, said
            assert "Orders: 2" in page(url[1])[2]
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
