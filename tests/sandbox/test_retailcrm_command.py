"""The page for a person and the command that starts it all."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from obmen.sandbox.retailcrm import RetailCRM, Server, serve
from sandbox.crm_calls import Calls


@pytest.fixture
def crm() -> RetailCRM:
    made = RetailCRM()
    made.add_offer("tea", "Tea <green>", "100", xml_id="0001")
    return made


@pytest.fixture
def server(crm: RetailCRM) -> Iterator[Server]:
    with serve(crm) as running:
        yield running


def page(server: Server, path: str = "/", form: dict[str, object] | None = None) -> tuple[int, str, str]:
    """(status, address where it ended, text)."""
    body = None if form is None else urlencode(form).encode()
    try:
        with urllib.request.urlopen(server.url + path, body, timeout=60) as answer:
            return answer.status, answer.url.removeprefix(server.url), answer.read().decode()
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, path, answer.read().decode()


def press(server: Server, text: str, button: str, **typed: object) -> tuple[int, str, str]:
    """Fills in and sends the form that has this button, with what stands in it already."""
    (form,) = [f for f in re.findall(r"<form method=.*?</form>", text) if f">{button}<" in f][-1:]
    filled = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
    filled |= dict(re.findall(r'<input name="(\w+)" value="([^"]*)"', form))
    for name, options in re.findall(r'<select name="(\w+)">(.*?)</select>', form):
        values = re.findall(r'value="([^"]*)"', options)
        chosen = re.findall(r'value="([^"]*)" selected', options)
        filled[name] = (chosen or values)[0]
        assert name not in typed or typed[name] in values
    assert set(typed) <= set(filled)
    action = re.search(r'action="([^"]+)"', form)
    assert action
    return page(server, action[1], filled | typed)


def test_a_person_makes_changes_and_pays_an_order(server: Server, crm: RetailCRM) -> None:
    start = page(server)[2]
    assert "Tea &lt;green&gt;" in start
    status, where, text = press(
        server, start, "Create the order", firstName="Ann", quantity="2", delivery="courier", payment="cash"
    )
    (order,) = crm.all_orders()
    assert (status, where) == (200, f"/orders/{order['id']}")
    assert (order["firstName"], order["totalSumm"], order["fromApi"]) == ("Ann", 500, False)
    press(server, text, "Set the status", status="assembling")
    press(server, text, "Add a line", offer="tea", quantity="1")
    press(server, text, "Change", quantity="5")
    press(server, text, "Set", status="paid")
    text = press(server, text, "Add a payment", type="bank-card", amount="7")[2]
    now = crm.order(order["id"])
    assert now["status"] == "assembling"
    assert [item["quantity"] for item in now["items"]] == [5, 1]
    assert [(p["type"], p["status"], p["amount"]) for p in now["payments"].values()] == [
        ("cash", "paid", 500),
        ("bank-card", "not-paid", 7),
    ]
    rows = Calls(server.url).get("/orders/history", "limit=100")[1]["history"]
    assert {row["source"] for row in rows if row["field"] != "customer"} == {"user"}
    press(server, press(server, text, "Remove")[2], "Delete")
    assert (len(crm.order(order["id"])["items"]), len(crm.order(order["id"])["payments"])) == (1, 1)
    assert press(server, text, "Delete the order")[:2] == (200, "/")
    assert crm.all_orders() == []
    assert page(server, f"/orders/{order['id']}")[0] == 404


def test_what_the_service_refuses_is_said(server: Server, crm: RetailCRM) -> None:
    crm.forget_code("statuses", "new")
    status, _where, text = press(server, page(server)[2], "Create the order")
    assert status == 400
    assert "Errors in the entity format" in text
    assert page(server, "/orders/1/status", {"status": "new"})[0] == 400
    assert page(server, "/elsewhere")[0] == 404


def test_the_page_shows_what_arrived(server: Server, crm: RetailCRM) -> None:
    calls = Calls(server.url)
    calls.post("/store/inventories/upload", offers=[{"xmlId": "0001", "stores": [{"code": "main", "available": 41}]}])
    calls.post("/store/prices/upload", prices=[{"xmlId": "0001", "prices": [{"code": "wholesale", "price": 82.5}]}])
    goods = page(server, "/catalogue")[2]
    assert "main 41" in goods
    assert "base 100, wholesale 82.5" in goods
    assert "Tea" not in page(server, "/catalogue?q=coffee")[2]
    requests = page(server, "/requests")[2]
    assert requests.index("prices/upload") < requests.index("inventories/upload")
    assert "&quot;available&quot;: 41" in requests


def test_faults_are_planned_from_the_page(server: Server, crm: RetailCRM) -> None:
    text = press(server, page(server, "/requests")[2], "Plan", kind="429", times="2", path="users")[2]
    assert "<td>429</td><td>2</td><td>users</td>" in text
    assert [Calls(server.url).get("/users")[0] for _ in range(3)] == [429, 429, 200]
    press(server, text, "Plan", kind="503")
    press(server, text, "Clear")
    assert Calls(server.url).get("/users")[0] == 200


def test_the_catalogue_is_pulled_from_the_page(server: Server, crm: RetailCRM, tmp_path: Path) -> None:
    text = page(server, "/catalogue")[2]
    assert "no ymlUrl" in press(server, text, "Load the catalogue from ICML now")[2]
    text = press(server, text, "Save", url="http://127.0.0.1:9/icml.xml")[2]
    assert crm.account.references["sites"]["shop"]["ymlUrl"] == "http://127.0.0.1:9/icml.xml"
    assert "refused" in press(server, text, "Load the catalogue from ICML now")[2]


COMMAND = (sys.executable, "-m", "obmen.cli", "sandbox", "retailcrm", "--port", "0")


def started(*options: str) -> tuple[subprocess.Popen[str], list[str]]:
    """The command and what it has said up to its address."""
    process = subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    said = [process.stdout.readline()]
    while said[-1] and "RetailCRM sandbox" not in said[-1]:
        said.append(process.stdout.readline())
    return process, said


def test_the_command_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    process, said = started(
        "--key", "k-1", "--site", "a", "--site", "b", "--seed-orders", "7", "--seed-offers", "5", "--rate", "3"
    )
    try:
        url = re.search(r"http://\S+", said[-1])
        assert url
        calls = Calls(url[0], "k-1")
        assert calls.get("/orders")[1]["pagination"]["totalCount"] == 7
        assert calls.get("/store/offers")[1]["pagination"]["totalCount"] == 5
        assert [list(calls.get("/reference/sites")[1]["sites"]), calls.get("/orders")[0]] == [["a", "b"], 503]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        process.communicate()


def test_the_command_takes_a_catalogue_and_a_time_zone(tmp_path: Path) -> None:
    file = tmp_path / "shop.xml"
    file.write_text(
        "<yml_catalog><shop><offers><offer id='1'><price>5</price><name>N</name></offer></offers></shop></yml_catalog>"
    )
    process, said = started("--icml", str(file), "--zone", "Asia/Omsk")
    try:
        assert said[0] == "shop.xml: 1 offers, 0 left out\n"
        url = re.search(r"http://\S+", said[-1])
        assert url
        assert Calls(url[0]).get("/settings")[1]["settings"]["timezone"]["value"] == "Asia/Omsk"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [(["--zone", "Mars/Base"], 2, "Mars/Base is no time zone"), (["--icml", "{bad}"], 2, "is not XML")],
)
def test_a_wrong_option_is_named(tmp_path: Path, options: list[str], code: int, said: str) -> None:
    (tmp_path / "bad.xml").write_text("<yml")
    call = [*COMMAND, *(option.format(bad=tmp_path / "bad.xml") for option in options)]
    done = subprocess.run(call, capture_output=True, text=True, timeout=60)
    assert done.returncode == code
    assert said in done.stderr


def test_a_port_that_is_taken_is_said(server: Server) -> None:
    done = subprocess.run([*COMMAND[:-1], str(server.port)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"Port {server.port} of 127.0.0.1 is not to be had" in done.stderr
