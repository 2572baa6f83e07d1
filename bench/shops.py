"""Our own client against our own door: two hubs, all goods one way, all orders the other. Are the books equal at both ends?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hubs import Hub, Measure, Server, WrongResult, measure, obmen

NAME = "shop"
GOODS = ("groups", "products", "offers", "prices", "stock")
GOODS_OUT, ORDERS_IN = ("products-out", "offers-out"), ("orders-in",)


@dataclass(frozen=True)
class Moved:
    """One run of the client: the whole process, what it counted."""

    done: Measure
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Exchange:
    """The first run and the idle one after it, of goods and of orders; how many of them there are at either end."""

    goods: Moved
    goods_again: Moved
    orders: Moved
    orders_again: Moved
    offers: int
    load: Measure  # the same catalogue by the same books from files: the floor


def exchange(here: Hub, there: Hub, catalogue: Path, orders: int, folder: Path) -> Exchange:
    """Raises WrongResult when the books differ, or when the second run still finds something to do."""
    loaded, _counts = here.load(catalogue)
    with Server(there, work=True) as shop:
        connect(here, shop.port, there)
        goods = run(here, *GOODS_OUT)
        for kind in GOODS:
            same(kind, fingerprint(here.dump(kind)), fingerprint(there.dump(kind)))
        again = idle(run(here, *GOODS_OUT))
        offers = sum(1 for _row in there.dump("offers"))
        sell(there, orders, folder)
        bought = run(here, *ORDERS_IN)
        same("orders", fingerprint(map(said, here.dump("orders"))), fingerprint(map(said, there.dump("orders"))))
        return Exchange(goods, again, bought, idle(run(here, *ORDERS_IN)), offers, loaded)


def connect(here: Hub, port: int, there: Hub) -> None:
    here.env["OBMEN_ALLOW_PRIVATE"] = "1"
    kinds = sorted({row["kind"] for row in here.dump("prices")})
    values = {
        "address": f"http://127.0.0.1:{port}{there.door['path']}",
        "login": there.door["login"],
        "password": there.door["password"],
        "price_kinds": ",".join(kinds),
        "dialect": "ut11",
        "portion": "5000",
        "pause": "0",
    }
    pairs = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    measure(obmen("connection", "add", "commerceml_client", NAME, *pairs), here.env)


def run(hub: Hub, *streams: str) -> Moved:
    done = measure(obmen("run", NAME, *streams, "--anyway", "--json"), hub.env)
    told = json.loads(done.out)
    if told["state"] != "done":
        raise WrongResult(f"{', '.join(streams)}: {told['text']}")
    return Moved(done, {name: count for name, count in told["counts"].items() if count})


def idle(moved: Moved) -> Moved:
    if busy := {name: count for name, count in moved.counts.items() if name not in ("unchanged", "left_out")}:
        raise WrongResult(f"the second run found something to do: {busy}")
    return moved


def fingerprint(rows: Iterator[Mapping[str, Any]]) -> tuple[int, int]:
    """How many rows, and a sum over them that does not depend on their order."""
    count = total = 0
    for row in rows:
        count += 1
        body = json.dumps(row, sort_keys=True, ensure_ascii=False).encode()
        total += int.from_bytes(hashlib.blake2b(body, digest_size=8).digest())
    return count, total % 2**64


def said(order: Mapping[str, Any]) -> Mapping[str, Any]:
    """What both ends have to say alike of an order: its key is the shop's there, and ours is made of it."""
    lines = sorted(
        [line["offer"], *(str(float(line[name])) for name in ("quantity", "price", "total"))] for line in order["lines"]
    )
    return {"number": order["number"], "total": str(float(order["total"])), "lines": lines}


def same(kind: str, here: tuple[int, int], there: tuple[int, int]) -> None:
    if here != there:
        rows = f"{here[0]} here, {there[0]} there" if here[0] != there[0] else f"{here[0]} at both ends"
        raise WrongResult(f"the {kind} differ: {rows}")


def sell(hub: Hub, count: int, folder: Path, lines: int = 3) -> None:
    """So many orders in the shop's books, each of a few of its offers."""
    offers = [row["key"] for row, _number in zip(hub.dump("offers"), range(5000), strict=False)]
    file = folder / "orders.jsonl"
    with file.open("w", encoding="utf-8") as out:
        for number in range(1, count + 1):
            bought = [
                {
                    "offer": offers[(number * 7 + place) % len(offers)],
                    "name": f"Товар {place}",
                    "quantity": str(place + 1),
                    "price": "10.50",
                    "total": f"{10.5 * (place + 1):.2f}",
                }
                for place in range(min(lines, len(offers)))
            ]
            order = {
                "key": f"site-{number}",
                "number": str(number),
                "date": "2026-03-02T09:00:00+00:00",
                "currency": "RUB",
                "total": f"{sum(float(line['total']) for line in bought):.2f}",
                "counterparty": {"key": f"c-{number % 997}", "name": f"Покупатель {number % 997}"},
                "lines": bought,
            }
            out.write(json.dumps(order, ensure_ascii=False) + "\n")
    measure(obmen("load", "orders", str(file)), hub.env)


Report = Callable[..., None]


def rows(seen: Exchange, orders: int, title: str, at_most: Report, most_memory: float) -> None:
    """The lines of the report."""
    per_second = seen.offers / seen.goods.done.wall
    note = (
        f"{seen.offers} offers in {seen.goods.done.wall:.1f} s, {per_second:.0f}/s; loading the files took {seen.load.wall:.1f} s"
    )
    at_most(
        f"goods from our client to our door, {title}", seen.goods.done.wall / seen.load.wall, "× a load of their files", 8, note
    )
    note = f"{seen.goods_again.done.wall:.1f} s"
    at_most(
        f"goods to our door again, nothing changed, {title}", seen.goods_again.done.wall / seen.load.wall, "× that load", 2, note
    )
    memory = max(m.done.rss for m in (seen.goods, seen.goods_again, seen.orders, seen.orders_again))
    at_most(f"our client, {title}: peak memory", memory, "MiB", most_memory)
    note = f"{orders} orders in {seen.orders.done.wall:.1f} s, again {seen.orders_again.done.wall:.1f} s"
    at_most(f"orders from our door, {title}", seen.orders.done.wall / orders * 1000, "ms an order", 20, note)
