"""Whole exchanges of the 1C, UNF, Bitrix, MoySklad and Class365 clients over HTTP: what is in the books afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hub import Hub
from obmen.core.contract import ExchangeError
from obmen.sandbox.onec.client import Fault
from obmen.sandbox.onec.generate import Catalogue
from obmen.sandbox.onec.run import exchange, pull, push
from system.partner import OneC, books, counted, expected, load_orders, order, pictures, sums

pytestmark = pytest.mark.long

MAPPED = """
[[mappings]]
subject = "order_state"
theirs = "Готов к отгрузке"
theirs_name = "Готов к отгрузке"
ours = "packing"
inbound = true
outbound = false
"""
NUMBERS = ["1001", "1002", "1003", "1004", "1005", "1006"]
DOORS = {"bitrix-module": "bitrix-module-7"}
TELLS_STATE = {"unf", "bitrix-module"}  # 1C:UT, MoySklad and Class365 report marks only


def map_states(hub: Hub, tmp_path: Path) -> None:
    """The state that the 1C reports, in a word of ours."""
    file = tmp_path / "connection.toml"
    file.write_text(hub.cli("connection", "export", "1C").stdout + MAPPED, "utf-8")
    hub.cli("connection", "apply", str(file))


@pytest.mark.parametrize("profile", ["ut11", "unf", "ut10", "bitrix-module", "moysklad", "class365"])
def test_a_node_brings_its_goods_takes_its_orders_and_reports_them_back(
    profile: str, make_hub: Callable[..., Hub], tmp_path: Path
) -> None:
    hub = make_hub().init()
    node = OneC(hub, hub.add_door(profile=DOORS.get(profile, profile)), profile)
    map_states(hub, tmp_path)
    hub.serve()
    spec: dict[str, Any] = {"products": 40, "portion": 15, "pictures": 0.5, "deleted": 0.05}
    manifest = node.catalogue(tmp_path / "first", **spec)
    made = node.base.spec
    assert made
    load_orders(hub, [order(number, made) for number in NUMBERS])

    report = exchange(node.client, node.base, tmp_path / "first")
    assert (report.failures, report.notes, report.created) == ([], [], NUMBERS)
    first = books(hub)
    assert sums(first) == expected(manifest)
    assert (first["outbox"], first["parked"]) == ([], [])
    assert [(o.number, len(o.lines), o.total) for o in node.base.orders] == [(n, 2, Decimal(600)) for n in NUMBERS]
    assert [name for loaded in report.loaded for name in loaded.new_goods] == []
    sent = {hashlib.sha256(p.read_bytes()).hexdigest() for p in (tmp_path / "first" / "import_files").rglob("*.*")}
    assert len(sent) > 10
    assert {name.partition(".")[0] for name in pictures(hub)} == sent

    # The same again: nothing is new.
    report = push(node.client, tmp_path / "first")
    assert report.failures == []
    for number, action in (("1001", "post"), ("1002", "pay"), ("1003", "ship"), ("1004", "cancel")):
        node.base.act(number, action)
    node.base.change_line("1005", 1, quantity="5")
    node.base.change_line("1006", 2, quantity="0")
    report = pull(node.client, node.base)
    assert (report.failures, report.reported, [x.created + x.updated for x in report.loaded]) == (
        [],
        NUMBERS,
        [[]] * len(report.loaded),
    )
    second = books(hub)
    news = counted(second) - counted(first)
    assert {name: news[name] for name in ("created", "matched", "updated", "parked")} == {
        "created": 0,
        "matched": 0,
        "updated": 6,
        "parked": 0,
    }, "the six orders and no goods"
    for kind in ("products", "offers", "prices", "stock", "groups", "counterparties"):
        assert second[kind] == first[kind], kind
    assert (second["outbox"], second["parked"]) == ([], [])

    told = {o["number"]: o for o in second["orders"]}
    assert sorted(told) == NUMBERS
    assert {n: (bool(o["paid"]), bool(o["shipped"]), o["cancelled"]) for n, o in told.items()} == {
        "1001": (False, False, False),
        "1002": (True, False, False),
        "1003": (False, True, False),
        "1004": (False, False, True),
        "1005": (False, False, False),
        "1006": (False, False, False),
    }
    assert {n: [(x["quantity"], x["total"]) for x in o["lines"]] for n, o in told.items()} == {
        **{number: [("2", "500"), ("1", "100")] for number in NUMBERS[:4]},
        "1005": [("5", "1250"), ("1", "100")],
        "1006": [("2", "500")],
    }
    assert {n: o["total"] for n, o in told.items()} == {**dict.fromkeys(NUMBERS[:4], "600"), "1005": "1350", "1006": "500"}
    paid = node.base.order("1002").payment
    assert paid
    assert [(p["order"], p["number"], p["amount"], p["paid"]) for p in second["payments"]] == [
        ("site-1002", paid[0], "600", True)
    ]
    shipped = node.base.order("1003").shipment
    assert shipped
    assert [(s["number"], s["shipped"]) for s in told["1003"]["shipments"]] == [(shipped[0], True)]
    assert told["1001"]["state"] == ("packing" if profile in TELLS_STATE else "")
    assert {o["requisites"]["Номер по 1С"] for o in told.values()} == {o.number_1c for o in node.base.orders}

    # A share of the goods is changed over there.
    manifest = node.catalogue(tmp_path / "changed", change=0.3, **spec)
    assert manifest.books["changed_products"] > 5
    report = push(node.client, tmp_path / "changed")
    assert report.failures == []
    third = books(hub)
    assert sums(third) == expected(manifest)
    news = counted(third) - counted(second)
    assert (news["created"], news["matched"], news["parked"], news["left_out"]) == (0, 0, 0, 0)
    changed = node.base.spec
    assert changed
    cards = [Catalogue(changed).card(i) for i in range(40)]
    differ = {p["key"] for p in third["products"] if p not in second["products"]}
    assert differ == {c.key for c in cards if c.changed}
    offers = {s["offer"].partition("#")[0] for s in third["stock"] if s not in second["stock"]}
    assert offers == {c.key for c in cards if c.changed and not c.deleted}
    assert (third["groups"], third["outbox"], third["parked"]) == (second["groups"], [], [])


@pytest.fixture
def taken(make_hub: Callable[..., Hub], tmp_path: Path) -> OneC:
    """A served hub with one order to take and a 1C:UT that knows its goods."""
    hub = make_hub().init()
    node = OneC(hub, hub.add_door(profile="ut11"), "ut11")
    hub.serve()
    node.catalogue(tmp_path / "goods", products=4)
    spec = node.base.spec
    assert spec
    load_orders(hub, [order("1001", spec), order("1002", spec)])
    return node


def waiting(hub: Hub) -> list[tuple[str, str]]:
    return [(o["key"], o["state"]) for o in hub.dump("outbox")]


def test_an_order_edited_between_query_and_success_is_told_again(taken: OneC) -> None:
    spec = taken.base.spec
    assert spec
    with taken.client.open("sale", download=True) as session:
        assert taken.base.load(session.query()).created == ["1001", "1002"]
        load_orders(taken.hub, [order("1001", spec, comment="позвонить")])
        session.success()
    assert waiting(taken.hub) == [("site-1001", "pending")]
    report = pull(taken.client, taken.base)
    assert (report.updated, report.created, [o.comment for o in taken.base.orders]) == (["1001"], [], ["позвонить", ""])
    assert waiting(taken.hub) == []


def test_success_from_another_session_confirms_nothing(taken: OneC) -> None:
    with taken.client.open("sale", download=True) as session:
        session.query()
    with taken.client.open("sale", download=True) as session:
        session.success()
    assert waiting(taken.hub) == [("site-1001", "offered"), ("site-1002", "offered")]
    assert pull(taken.client, taken.base).created == ["1001", "1002"]
    assert waiting(taken.hub) == []


@pytest.mark.parametrize("fault", [Fault.LOSE_CALL, Fault.LOSE_ANSWER])
def test_a_lost_success_doubles_no_order(taken: OneC, fault: Fault) -> None:
    taken.faults = lambda step: fault if step.mode == "success" else None
    report = pull(taken.client, taken.base)
    assert (report.created, report.confirmed, len(report.failures)) == (["1001", "1002"], 0, 1)
    taken.faults = lambda _step: None
    report = pull(taken.client, taken.base)
    assert report.failures == []
    assert report.updated == ([] if fault is Fault.LOSE_ANSWER else ["1001", "1002"])
    assert [o.number for o in taken.base.orders] == ["1001", "1002"]
    assert waiting(taken.hub) == []


def test_a_lost_query_and_a_repeated_one_lose_no_order(taken: OneC) -> None:
    taken.faults = lambda step: Fault.LOSE_ANSWER if step.mode == "query" else None
    assert pull(taken.client, taken.base).created == []
    taken.faults = lambda step: Fault.REPEAT if step.mode in ("query", "success") else None
    report = pull(taken.client, taken.base)
    assert (report.failures, report.created) == ([], ["1001", "1002"])
    assert waiting(taken.hub) == []


def test_a_node_that_dies_after_loading_finds_its_orders_again(taken: OneC) -> None:
    with taken.client.open("sale", download=True) as session:
        taken.base.load(session.query())
    report = pull(taken.client, taken.base)
    assert (report.updated, report.created, report.failures) == (["1001", "1002"], [], [])
    assert waiting(taken.hub) == []


def test_two_nodes_each_get_every_order_and_confirm_only_for_themselves(taken: OneC) -> None:
    hub = taken.hub
    other = OneC(hub, hub.add_door("Second", "unf"), "unf")
    spec = taken.base.spec
    assert spec
    load_orders(hub, [order("1003", spec)])
    assert pull(taken.client, taken.base).created == ["1001", "1002", "1003"]
    assert {row["connection"] for row in hub.dump("outbox")} == {"Second"}
    numbers = {row["key"] for row in hub.dump("outbox")}
    assert "site-1003" in numbers
    report = pull(other.client, other.base)
    assert sorted(f"site-{n}" for n in report.created) == sorted(numbers)
    assert waiting(hub) == []

    taken.base.act("1003", "pay")
    assert pull(taken.client, taken.base).failures == []
    told = [(row["connection"], row["key"]) for row in hub.dump("outbox")]
    assert told == [("Second", f"site-{n}") for n in ("1001", "1002", "1003")], "the other one hears of it, this one does not"
    pull(other.client, other.base)
    assert waiting(hub) == []


def test_wrong_cookies_are_refused_and_the_next_exchange_is_good(taken: OneC) -> None:
    taken.faults = lambda step: Fault.WRONG_COOKIE if step.mode == "query" else None
    report = pull(taken.client, taken.base)
    assert (report.created, len(report.failures)) == ([], 1)
    assert isinstance(report.failures[0], ExchangeError)
    taken.faults = lambda _step: None
    assert pull(taken.client, taken.base).created == ["1001", "1002"]
    assert waiting(taken.hub) == []
