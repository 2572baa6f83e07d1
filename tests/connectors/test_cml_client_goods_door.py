"""Our own client against our own door, two hubs as processes: what the one has in its books is in the other's afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub import Hub
from obmen.sandbox.onec.run import exchange
from system.partner import GOODS, OneC, books, pictures

pytestmark = pytest.mark.long

SPEC: dict[str, Any] = {"products": 40, "portion": 15, "pictures": 0.5, "characteristics": 0.3, "deleted": 0.05}


def one_c(a: Hub, folder: Path) -> None:
    """A catalogue of 1C, with pictures, in the books of the sending hub, through its own door."""
    a.env["OBMEN_ALLOW_PRIVATE"] = "1"
    node = OneC(a, a.add_door(profile="unf"), "unf")
    a.serve()
    node.catalogue(folder, **SPEC)
    report = exchange(node.client, node.base, folder)
    assert report.failures == []


def connect(a: Hub, b: Hub, profile: str = "generic", door: str = "ut11", **settings: Any) -> None:
    """A connection of ``a`` to a door of ``b``; all price kinds are sent."""
    there = b.add_door("From A", door)
    values = {
        "address": b.url + there["path"],
        "login": there["login"],
        "password": there["password"],
        "price_kinds": ",".join(sorted({p["kind"] for p in a.dump("prices")})),
        "dialect": "ut11",
        "portion": "10",
        "pause": "0",
    } | settings
    pairs = [x for k, v in values.items() for x in ("--set", f"{k}={v}")]
    a.cli("connection", "add", "commerceml_client", "Shop", "--profile", profile, *pairs)


def send(a: Hub) -> dict[str, Any]:
    done: dict[str, Any] = json.loads(a.cli("run", "Shop", "products-out", "offers-out", "--json", ok=False).stdout)
    assert done["state"] == "done", done["text"]
    return {name: count for name, count in done["counts"].items() if count}


def alive(hub: Hub) -> dict[str, Any]:
    """The books without what is marked for deletion: that is never told to one who does not know it."""
    said = books(hub, GOODS)
    gone = {p["key"] for p in said["products"] if p["deleted"]}
    kept = {kind: [row for row in said[kind] if row.get("offer", row.get("key", "")).split("#")[0] not in gone] for kind in GOODS}
    return {kind: [row for row in rows if not row.get("deleted")] for kind, rows in kept.items()}


@pytest.mark.parametrize(("mode", "zipped"), [("changes", "0"), ("full", "1")])
def test_both_books_hold_the_same_goods_and_the_second_exchange_is_idle(
    mode: str, zipped: str, make_hub: Callable[..., Hub], tmp_path: Path
) -> None:
    """CS-A4, CS-A19: cards, groups, properties, variants, prices, stock and pictures; in portions or whole, as files or archives."""
    a, b = make_hub().init(), make_hub().init()
    one_c(a, tmp_path / "1c")
    connect(a, b, mode=mode)
    b.cli("connection", "set", "From A", f"zip={zipped}", "file_limit=20000")
    b.serve()
    first = send(a)
    assert alive(a) == alive(b)
    assert len(alive(b)["products"]) == 38
    listed = {path for p in alive(a)["products"] for path in p["pictures"]}
    assert pictures(b) <= pictures(a)
    assert len(pictures(b)) == len(listed) > 5
    assert first == {"created": len(alive(a)["products"]) + len(alive(a)["offers"])}
    before = len(b.dump("runs"))
    assert send(a) == {"unchanged": first["created"]}
    assert len(b.dump("runs")) == before


def test_the_door_of_getmeback_gets_one_price_one_figure_and_no_variants(make_hub: Callable[..., Hub], tmp_path: Path) -> None:
    """GM-9 to GM-16, from end to end: the hub as MoySklad for a GetMeBack-like receiver."""
    a, b = make_hub().init(), make_hub().init()
    one_c(a, tmp_path / "1c")
    kind = min(p["kind"] for p in a.dump("prices"))
    connect(a, b, "getmeback", "getmeback", price_kinds=kind, variants="leave_out", interval=60)
    b.serve()
    send(a)
    here, there = alive(a), alive(b)
    variants = {o["product"] for o in here["offers"] if "#" in o["key"]}
    assert variants
    assert {p["key"] for p in there["products"]} == {p["key"] for p in here["products"]} - variants
    assert {p["offer"]: p["value"] for p in there["prices"]} == {
        p["offer"]: p["value"] for p in here["prices"] if p["kind"] == kind and p["offer"].split("#")[0] not in variants
    }
    sums: dict[str, int] = {}
    for level in here["stock"]:
        if level["offer"].split("#")[0] not in variants:
            sums[level["offer"]] = sums.get(level["offer"], 0) + int(level["quantity"])
    assert {s["offer"]: int(s["quantity"]) for s in there["stock"]} == sums
