"""A CRM that lets us make ten calls a second: is every one of them used, and does memory stay flat?

Run as a program this file is the CRM, a process of its own that takes commands on stdin and answers each with a line of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hubs import Hub, Measure, WrongResult, measure, obmen

RATE = 10  # calls a second
NAME, KEY, STORES = "crm", "bench-key", 5


@dataclass(frozen=True)
class Used:
    """One run against the limiter. ``share``: the time that so many calls take at the limit, of the time that the run took."""

    calls: int
    seconds: float
    rss: float
    counts: dict[str, int]

    @property
    def share(self) -> float:
        return (self.calls / RATE) / self.seconds


class Crm:
    """The stand-in as a process."""

    def __init__(self, limited: bool = True) -> None:
        command = [sys.executable, __file__, str(RATE if limited else 0)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self._answer()["url"]

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the CRM of the bench has ended")
        return dict(json.loads(line))

    def ask(self, *words: object) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def __enter__(self) -> Crm:
        return self

    def __exit__(self, *_error: object) -> None:
        self.process.kill()
        self.process.wait()


def connect(hub: Hub, crm: Crm, warehouses: list[str], folder: Path) -> None:
    """A connection with its tables, as "obmen connection apply" takes them."""
    hub.env["OBMEN_ALLOW_PRIVATE"] = "1"
    lines = ['format = "obmen-connection/1"', 'connector = "retailcrm"', f'name = "{NAME}"', "[settings]"]
    lines += [f'server = "{crm.url}"', f'api_key = "{KEY}"', 'site = "shop"', "characteristics = true"]
    for status in crm.ask("statuses")["codes"]:
        lines += ["[[mappings]]", 'subject = "order_state"', f'theirs = "{status}"', f'ours = "{status}"', "outbound = false"]
    for number, key in enumerate(warehouses, 1):
        lines += ["[[mappings]]", 'subject = "warehouse"', f'theirs = "store-{number}"', f'ours = "{key}"']
    file = folder / "crm.toml"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    measure(obmen("connection", "apply", str(file)), hub.env)


def run(hub: Hub, crm: Crm, stream: str, *more: str) -> Used:
    """``obmen run``: the seconds from its first call to its end, the calls that came there, peak memory."""
    crm.ask("count")
    done: Measure = measure(obmen("run", NAME, stream, "--anyway", "--json", *more), hub.env)
    ended = time.monotonic()  # one clock for all processes of a machine
    said = json.loads(done.out)
    if said["state"] != "done":
        raise WrongResult(f"{stream}: {said}")
    seen = crm.ask("counted")
    return Used(seen["calls"], ended - seen["first"], done.rss, said["counts"])


def orders(hub: Hub, folder: Path, count: int) -> dict[str, Used]:
    """So many orders are loaded, then every one of them is changed over there and loaded again."""
    seen: dict[str, Used] = {}
    with Crm() as crm:
        connect(hub, crm, [], folder)
        crm.ask("orders", count)
        seen["loaded"] = run(hub, crm, "orders-in", "--since", "2020-01-01 00:00")
        crm.ask("touch")
        seen["changed"] = run(hub, crm, "orders-in")
        expect(hub, "orders", lambda rows: {row["state"] for row in rows} == {"assembling"} and len(rows) == count)
    return seen


def stock(hub: Hub, folder: Path) -> Used:
    """The stock of every offer in the books, in five warehouses."""
    with Crm() as crm:
        offers = [row["key"] for row in hub.dump("offers") if not row["deleted"]]
        houses = sorted({row["warehouse"] for row in hub.dump("stock")})
        connect(hub, crm, houses[:STORES], folder)
        file = folder / "offers.txt"
        file.write_text("\n".join(offers), "utf-8")
        crm.ask("offers", file, len(houses))
        used = run(hub, crm, "stock-out")
        there = crm.ask("stocked")["offers"]
        if there != len(offers):
            raise WrongResult(f"stock of {there} offers came, of {len(offers)}")
    return used


def expect(hub: Hub, kind: str, right: Callable[[list[dict[str, Any]]], bool]) -> None:
    if not right(list(hub.dump(kind))):
        raise WrongResult(f"the books' {kind} are not what the CRM has")


# --- the process -----------------------------------------------------------------------------------------------------------


def serve(rate: int) -> None:
    from obmen.sandbox.retailcrm import RetailCRM, seed
    from obmen.sandbox.retailcrm import serve as listen

    crm = RetailCRM(key=KEY, rate=rate, keep=1)
    server = listen(crm)
    handled, moments = crm.handle, list[float]()

    def counted(request: Any) -> Any:
        answer = handled(request)
        if answer[0] is not None and answer[0].status < 500:
            moments.append(time.monotonic())
        return answer

    crm.handle = counted  # type: ignore[method-assign]
    print(json.dumps({"url": server.url}), flush=True)
    for line in sys.stdin:
        word, *rest = line.split()
        said: dict[str, Any] = {}
        if word == "count":
            moments.clear()
        elif word == "counted":
            said = {"calls": len(moments), "first": moments[0]}
        elif word == "statuses":
            said = {"codes": list(crm.account.references["statuses"])}
        elif word == "orders":
            said = {"orders": len(seed.orders(crm, int(rest[0])))}
        elif word == "touch":
            for order in crm.all_orders():
                crm.ui.set_status(order["id"], "new")
                crm.ui.set_status(order["id"], "assembling")
        elif word == "offers":
            stores = crm.account.references["stores"]
            first = next(iter(stores.values()))
            for number in range(1, int(rest[1]) + 1):
                stores[f"store-{number}"] = {**first, "code": f"store-{number}", "name": f"Store {number}"}
            keys = Path(rest[0]).read_text("utf-8").split("\n")
            for number, key in enumerate(keys):
                crm.add_offer(f"o-{number}", key, 1, xml_id=key)
        elif word == "stocked":
            offers = crm.catalogue.offers.values()
            said = {"offers": sum(1 for offer in offers if any(code.startswith("store-") for code in offer.stocks))}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
