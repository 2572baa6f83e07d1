"""Shops on a real socket: faults, the page for a person, the command."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import typer

from obmen.sandbox.onec.client import Address, Bundle, Client
from obmen.sandbox.onec.profiles import UT11
from obmen.sandbox.shop import PROFILES, Server, Shop, make, seed, serve
from obmen.sandbox.shop.commands import settings
from obmen.sandbox.shop.faults import KINDS
from sandbox.shop_calls import CUP, OneC, card, import_xml, offer, offers_xml, orders_xml, paper
from sandbox.shop_calls import http as call


@pytest.fixture
def shop() -> Shop:
    return make("generic", slice=1)


@pytest.fixture
def server(shop: Shop) -> Iterator[Server]:
    onec = OneC(shop)
    onec.load("import0_1.xml", import_xml([card(CUP, "Чашка &lt;малая&gt;")]))
    onec.load("offers0_1.xml", offers_xml([offer(CUP)]))
    shop.log.clear()
    with serve(shop) as running:
        yield running


class Socket:
    """One kept connection, as 1C has it."""

    def __init__(self, server: Server) -> None:
        self.server, self.cookie = server, ""
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)

    def ask(self, mode: str, more: str = "", body: bytes | None = None, type: str = "catalog") -> tuple[int, bytes]:
        request = OneC(self.server.shop, type, self.cookie).request(mode, more, body)
        headers = dict(request.headers)
        self.connection.request(request.method, f"{request.path}?{request.query}", body, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def open(self, type: str = "catalog") -> None:
        lines = self.ask("checkauth", type=type)[1].decode().split("\n")
        self.cookie = f"{lines[1]}={lines[2]}"


@pytest.fixture
def socket(server: Server) -> Socket:
    opened = Socket(server)
    opened.open()
    return opened


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_is_met_once_and_then_all_is_well(server: Server, socket: Socket, kind: str) -> None:
    shop, raw = server.shop, import_xml([card(f"k-{n}", article=str(n)) for n in range(3)])
    part = {"cut": "mode=file", "session": "mode=init"}.get(kind, "mode=import")
    shop.fault(kind, part=part)
    try:
        said = [
            socket.ask("init"),
            socket.ask("file", "&filename=import0_1.xml", raw),
            socket.ask("import", "&filename=import0_1.xml"),
        ]
    except (http.client.HTTPException, ConnectionError):
        said = []
    assert [fault.kind for fault in shop.faults.met] == [kind]
    expected = {
        "timeout": [], "lost": [], "truncated": [], "cut": [],
        "slow": (200, b"progress\n"), "503": (503, b"<html>"), "500": (500, b""), "empty": (200, b""), "login": (200, b"<!DOCTYPE html>"),
        "failure": (200, "failure\nОшибка".encode()), "progress": (200, b"progress\n"), "hollow": (200, b"success\n"),
        "notice": (200, b"<br />\n<b>Notice</b>"),
    }  # fmt: skip
    if kind == "session":
        assert said[0][1].startswith(b"failure\n")
    elif expected[kind]:
        assert said[2][0] == expected[kind][0]
        assert said[2][1].startswith(expected[kind][1])
    else:
        assert said == []
    done = {"lost": 1, "truncated": 1, "slow": 1, "notice": 1}.get(kind, 0)
    assert sum(key.startswith("k-") for key in shop.goods.products) == done
    if kind == "cut":
        ((sent,),) = [[one.sent for one in shop.calls("mode=file")]]
        assert sent == raw[: len(raw) // 2]
    again = Socket(server)
    again.open()
    for more in (("init",), ("file", "&filename=import0_1.xml", raw)):
        assert again.ask(*more)[0] == 200
    while again.ask("import", "&filename=import0_1.xml")[1].startswith(b"progress"):
        pass
    assert sum(key.startswith("k-") for key in shop.goods.products) == 3


def test_faults_wait_for_their_requests_and_may_be_many(server: Server, socket: Socket) -> None:
    server.shop.fault("failure", 2, part="type=sale mode=query", skip=1)
    socket.open("sale")
    said = [socket.ask("query", type="sale")[1].startswith(b"failure") for _n in range(4)]
    assert said == [False, True, True, False]
    with pytest.raises(ValueError, match="timeout"):
        server.shop.fault("plague")


def test_a_timeout_waits_and_then_the_connection_is_dropped(server: Server, socket: Socket) -> None:
    server.shop.fault("timeout", part="mode=init", seconds=0.05)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        socket.ask("init")


def test_a_1c_of_the_sandbox_loads_a_catalogue_into_every_shop(tmp_path: Path) -> None:
    """The other sandbox's client, which knows nothing of these shops."""
    for name, raw in (("import0_1.xml", import_xml([card(CUP)])), ("offers0_1.xml", offers_xml([offer(CUP)]))):
        (tmp_path / name).write_bytes(raw)
    for profile in PROFILES:
        with serve(make(profile, file_limit=300)) as server:
            strict = profile not in ("cs-cart-exim-1c", "opencart-exchange1c", "cs-cart-commerceml")  # these end with a line feed
            node = Client(UT11, Address.parse(server.url), server.shop.login, server.shop.password)
            if not strict:
                node.profile = type(UT11)(**{**{f: getattr(UT11, f) for f in UT11.__slots__}, "two_lines": False})
            for name in ("import0_1.xml", "offers0_1.xml"):
                with node.open("catalog") as session:
                    session.init()
                    session.upload([Bundle(tmp_path / name, name)])
                    session.run_import(name)
            assert [p.offers[""].quantity for p in server.shop.goods.products.values()] == [5], profile


# --- the page -----------------------------------------------------------------------------------------------------------------------


def press(server: Server, text: str, button: str, **typed: str) -> tuple[int, str, str]:
    """Fills in and sends the form that has this button, with what stands in it already."""
    (form,) = [f for f in re.findall(r"<form method=.*?</form>", text) if f">{button}<" in f][-1:]
    filled = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
    filled |= dict(re.findall(r'<input name="(\w+)" value="([^"]*)"', form))
    for name, choices in re.findall(r'<select name="(\w+)">(.*?)</select>', form):
        chosen = re.findall(r'value="([^"]*)" selected', choices)
        filled[name] = (chosen or re.findall(r'value="([^"]*)"', choices))[0]
    assert set(typed) <= set(filled)
    action = re.search(r'action="([^"]+)"', form)
    assert action
    return call(server.page + action[1], urlencode(filled | typed).encode())


def test_a_person_makes_changes_pays_ships_and_cancels_an_order(server: Server, shop: Shop) -> None:
    start = call(server.page)[2]
    assert "Чашка &lt;малая&gt;" in start
    status, where, text = press(
        server, start, "Create the order", first_name="Ann", quantity="2", delivery="courier", shipping="30"
    )
    assert (status, where) == (200, f"{server.page}/orders/1001")
    order = shop.orders[1001]
    assert (order.buyer.first_name, order.total, order.lines[0].quantity) == ("Ann", 230, 2)
    press(server, text, "Set the status", status="confirmed")
    press(server, text, "Add a line", quantity="1")
    press(server, text, "Change", quantity="5")
    press(server, text, "Save", comment="позвонить")
    text = press(server, text, "Shipped", track="T-1")[2]
    assert (order.status, [x.quantity for x in order.lines], order.comment, order.is_shipped) == (
        "confirmed",
        [5, 1],
        "позвонить",
        True,
    )
    text = press(server, text, "Mark paid")[2]
    assert order.payments[0].paid
    text = press(server, press(server, text, "Remove")[2], "Cancel", reason="передумал")[2]
    assert (len(order.lines), order.cancelled, order.reason) == (1, True, "передумал")
    assert "&lt;Документ&gt;" in text
    assert call(f"{server.page}/orders/7")[0] == 404


def test_the_page_shows_goods_exchanges_and_plans_faults(server: Server, socket: Socket) -> None:
    goods = call(f"{server.page}/goods")[2]
    assert "Розничная 100; 5" in goods
    assert CUP not in call(f"{server.page}/goods?q=nothing")[2]
    text = press(server, call(f"{server.page}/exchanges")[2], "Plan", kind="failure", part="mode=init")[2]
    assert "<td>failure</td><td>1</td><td>mode=init</td>" in text
    assert socket.ask("init")[1].startswith(b"failure")
    shown = call(f"{server.page}/exchanges")[2]
    assert "200 (failure)" in shown
    assert shown.index("mode=init") < shown.index("mode=checkauth")
    press(server, shown, "Plan", kind="503")
    press(server, shown, "Clear")
    assert socket.ask("init")[0] == 200


def test_what_cannot_be_done_is_said(server: Server) -> None:
    status, _where, text = call(f"{server.page}/orders/7/status", b"status=new")
    assert (status, "KeyError" in text) == (400, True)
    assert call(f"{server.page}/elsewhere")[0] == 404
    assert call(f"{server.page}/faults/plan", b"kind=plague")[0] == 400


def test_every_profile_has_its_page_and_address() -> None:
    for profile in PROFILES:
        with serve(make(profile)) as server:
            seed.orders(server.shop, 3)
            assert server.shop.title in call(server.page)[2].replace("&#x27;", "'")
            assert call(f"{server.page}/orders/{max(server.shop.orders)}")[0] == 200
            assert call(server.url + "?type=catalog&mode=checkauth")[2] != ""


# --- the command ----------------------------------------------------------------------------------------------------------------------


def test_the_command_opens_a_shop_until_it_is_stopped() -> None:
    run = [
        sys.executable,
        "-m",
        "obmen.cli",
        "sandbox",
        "shop",
        "--profile",
        "bitrix",
        "--port",
        "0",
        "--seed-orders",
        "2",
        "--set",
        "zip=no",
    ]
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        said = process.stdout.readline()
        url = re.search(r"http://\S+", said)
        try:
            assert url, said
            assert url[0].endswith("/bitrix/admin/1c_exchange.php")
            credentials = re.search(r"login (\S+)  password (\S+)", said)
            assert credentials
            assert "Orders: 2" in call(re.sub(r"/bitrix.*", "", url[0]))[2]
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_settings_are_read_by_their_kind() -> None:
    kind = PROFILES["cs-cart-commerceml"].settings_class
    assert settings(kind, ["zip=no", "file_limit=1000", "statuses=O, P", "version=4.12"]) == {
        "zip": False,
        "file_limit": 1000,
        "statuses": ("O", "P"),
        "version": "4.12",
    }
    for wrong in ("zap=1", "zip=maybe", "file_limit=much", "zone=Mars/Base"):
        with pytest.raises(typer.BadParameter):
            settings(kind, [wrong])


def test_seeds_are_the_same_every_time() -> None:
    first, second = make("generic"), make("generic")
    for shop in (first, second):
        seed.goods(shop, 5)
        seed.orders(shop, 5)
    assert first.goods.plain() == second.goods.plain()
    assert [(o.buyer, [x.offer for x in o.lines], o.status) for o in first.orders.values()] == [
        (o.buyer, [x.offer for x in o.lines], o.status) for o in second.orders.values()
    ]


def test_orders_that_come_back_change_nothing_twice(server: Server, shop: Shop) -> None:
    number = shop.buy([(CUP, 1)]).id
    onec = OneC(shop, "sale")
    for _twice in range(2):
        onec.load("orders-1_1.xml", orders_xml(paper(number, ("Статус заказа", "Оплачен"))))
    assert shop.writes["orders"] == 1
