"""``kill -9`` in the middle of exchanges, and frozen workers: the books end as if nothing had happened."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hub import Hub
from obmen.sandbox.onec.client import NoAnswer
from obmen.sandbox.onec.generate import Catalogue, Manifest
from obmen.sandbox.onec.run import Report, exchange
from system.partner import GOODS, OneC, books, expected, load_orders, order, pictures, sums, until, without

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

POSTGRESQL = os.environ.get("OBMEN_TEST_ON") == "postgresql"
KILLS = int(os.environ.get("OBMEN_TEST_KILLS", "15" if POSTGRESQL else "50"))
DOORS = {"bitrix-module": "bitrix-module-7"}
GONE = 6
NUMBERS = ["1001", "1002", "1003", "1004"]
SPEC: dict[str, Any] = {"products": 300, "portion": 100, "pictures": 0.1, "deleted": 0.02, "groups": 10, "properties": 4}


@contextmanager
def at_a_random_moment(what: Callable[[], None], chance: random.Random, within: float) -> Iterator[threading.Event]:
    """Do it once, somewhere in the next ``within`` seconds, unless the block has ended before. The event says that it was done."""
    done, end = threading.Event(), threading.Event()

    def wait() -> None:
        if not end.wait(chance.uniform(0, within)):
            what()
            done.set()

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield done
    finally:
        end.set()
        thread.join()


def worker_of(hub: Hub) -> int | None:
    """The worker child of ``obmen serve``."""
    assert hub.server
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == hub.server.pid and fields[0] != "Z":
                return int(stat.parent.name)
        except OSError:
            continue
    return None


class Killed:
    """A hub whose 1C goes on with its exchange until it has gone through, whatever is killed meanwhile."""

    def __init__(self, hub: Hub, chance: random.Random, profile: str) -> None:
        self.hub, self.chance = hub, chance
        self.node = OneC(hub, hub.add_door(profile=DOORS.get(profile, profile), sweep="mark"), profile)
        self.kills = {"server": 0, "worker": 0}
        self.longest = 3.0

    def kill_server(self) -> None:
        self.hub.kill()
        self.kills["server"] += 1

    def kill_worker(self) -> None:
        pid = worker_of(self.hub)
        if pid:
            os.kill(pid, signal.SIGKILL)
            self.kills["worker"] += 1

    def until_done(self, folder: Path, disturb: int) -> None:
        """Exchange again and again, as a scheduled 1C does, with so many kills; the last exchange has to go through."""
        left = disturb
        for _attempt in range(disturb * 4 + 5):
            if self.hub.server is None or self.hub.server.poll() is not None:
                self.hub.serve()
            if not left:
                if self.exchange(folder).ok:
                    return
                continue
            what = self.kill_server if self.chance.random() < 0.5 else self.kill_worker
            started, before = time.monotonic(), sum(self.kills.values())
            with at_a_random_moment(what, self.chance, self.longest) as done:
                report = self.exchange(folder)
            # A worker that the hub has not started again yet cannot be killed: that moment does not count.
            left -= sum(self.kills.values()) - before
            if report.ok and not done.is_set():  # the exchange that was too quick for the kill shows how long one takes
                self.longest = max(0.5, (time.monotonic() - started) * 0.9)
        raise AssertionError(f"the exchange does not go through any more: {report.failures}\n{self.hub.log()}")

    def exchange(self, folder: Path) -> Report:
        report = exchange(self.node.client, self.node.base, folder)
        self.node.client.calls.clear()
        strange = [f for f in report.failures if not isinstance(f, NoAnswer) and not is_a_broken_line(f)]
        assert strange == [], self.hub.log()
        return report


def is_a_broken_line(error: Exception) -> bool:
    return isinstance(error.__cause__, OSError)


def quiet(hub: Hub) -> None:
    until(lambda: all(run["state"] not in ("waiting", "running") for run in hub.dump("runs")), 300)


def story(killed: Killed, folder: Path, change: Callable[[int], Manifest], kills: Sequence[int]) -> Manifest:
    """Goods come, orders go, the goods are changed, results of orders come back; ``kills`` happen in each of these."""
    node = killed.node
    manifest = change(0)
    load_orders(killed.hub, [order(n, node.base.spec) for n in NUMBERS[:3]])  # type: ignore[arg-type]
    killed.until_done(folder, kills[0])
    load_orders(killed.hub, [order(NUMBERS[3], node.base.spec)])  # type: ignore[arg-type]
    for number, action in zip(NUMBERS, ("pay", "ship", "cancel"), strict=False):
        node.base.act(number, action)
    manifest = change(1)
    killed.until_done(folder, kills[1])
    node.base.change_line(NUMBERS[3], 1, quantity="7")
    killed.until_done(folder, kills[2])
    quiet(killed.hub)
    return manifest


IDS = ("id", "revision", "sent_version", "tries", "since", "offers")


def comparable(said: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The books without what only counts how often something was tried, and without the minute at which 1C did something."""
    kinds = (
        "products",
        "offers",
        "prices",
        "stock",
        "groups",
        "counterparties",
        "orders",
        "payments",
        "links",
        "outbox",
        "parked",
    )
    out = {kind: without(said[kind], *IDS, "date") for kind in kinds}
    out["orders"] = [
        {
            **o,
            "payments": without(o["payments"], "date"),
            "shipments": without(o["shipments"], "date"),
            "requisites": [*o["requisites"]],
        }
        for o in out["orders"]
    ]
    return {kind: sorted(rows, key=repr) for kind, rows in out.items()}


@pytest.mark.parametrize(("profile", "share"), [("ut11", 0.6), ("bitrix-module", 0.4)])
def test_the_books_are_those_of_an_undisturbed_run_whatever_is_killed(
    profile: str, share: float, make_hub: Callable[..., Hub], tmp_path: Path
) -> None:
    seed = int(os.environ.get("OBMEN_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 30)
    print(f"OBMEN_TEST_SEED={seed}")
    folder, count = tmp_path / "goods", round(KILLS * share)

    def tell(kills: Sequence[int]) -> tuple[Killed, Manifest]:
        hub = make_hub().init()
        hub.env["OBMEN_LEASE"] = "3"
        killed = Killed(hub, random.Random(seed), profile)

        def change(step: int) -> Manifest:
            """Later some goods have changed, and the last ones are not mentioned any more."""
            shutil.rmtree(folder, ignore_errors=True)
            left = {**SPEC, "products": SPEC["products"] - GONE * step}
            return killed.node.catalogue(folder, **left, change=0.3 * step, date=f"2026-01-{15 + step}T10:00:00")

        return killed, story(killed, folder, change, kills)

    calm, manifest = tell((0, 0, 0))
    calm.hub.kill()
    first = count * 2 // 5
    wild, _manifest = tell((first, first, count - 2 * first))
    assert sum(wild.kills.values()) == count
    assert count < 12 or min(wild.kills.values()) > 0, wild.kills

    undisturbed, after = books(calm.hub), books(wild.hub)
    wanted, found = comparable(undisturbed), comparable(after)
    for kind, rows in wanted.items():
        assert found[kind] == rows, kind
    assert pictures(wild.hub) == pictures(calm.hub)
    for kind in ("products", "offers", "groups", "orders"):
        keys = [row["key"] for row in after[kind]]
        assert len(keys) == len(set(keys)), kind
    assert [(o.number, len(o.lines)) for o in wild.node.base.orders] == [(o.number, len(o.lines)) for o in calm.node.base.orders]
    assert [o.number for o in wild.node.base.orders] == NUMBERS
    assert after["outbox"] == after["parked"] == []

    # The undisturbed books themselves are right: those of the manifest, and the goods of before that are gone now.
    spec = manifest.spec
    gone = {Catalogue(spec).card(number).key for number in range(spec.products, spec.products + GONE)}
    still = {
        kind: [
            row for row in after[kind] if not gone & {row.get("product"), row.get("key"), row.get("offer", "").partition("#")[0]}
        ]
        for kind in GOODS
    }
    assert sums(still) == expected(manifest)
    # Bitrix's module says that its load is over; 1C:UT never does, and is judged when it has been quiet for half an hour.
    marked = profile == "bitrix-module"
    assert {p["key"]: p["deleted"] for p in after["products"] if p["key"] in gone} == dict.fromkeys(gone, marked)


def states(pid: int) -> list[str]:
    """What each thread of a process is doing; T is stopped."""
    return [(task / "stat").read_text().rpartition(")")[2].split()[0] for task in Path(f"/proc/{pid}/task").iterdir()]


def frozen_between_pages(hub: Hub, worker: int) -> bool:
    """Freeze the worker when it has settled some pages of a run and stands between two of them.

    In the middle of a page it would hold the database's lock: then everybody waits for it, and there is nothing to fence off.
    Asked of the database itself, since the command line is too slow to see it.
    """
    sql = "SELECT id FROM store_run WHERE state = 'running' AND percent BETWEEN 1 AND 90"
    with (
        psycopg.connect(hub.env["OBMEN_DATABASE_URL"], autocommit=True)
        if POSTGRESQL
        else closing(sqlite3.connect(hub.home / "obmen.sqlite3", timeout=5, isolation_level=None)) as db  # type: ignore[attr-defined]
    ):
        if not db.execute(sql).fetchall():
            return False
        os.killpg(worker, signal.SIGSTOP)
        until(lambda: all(state == "T" for state in states(worker)))  # a signal takes a moment; meanwhile it may begin a page
        if not POSTGRESQL:
            db.execute("PRAGMA busy_timeout = 200")
        try:
            db.execute("BEGIN" if POSTGRESQL else "BEGIN IMMEDIATE")
            found = db.execute(sql + (" FOR UPDATE NOWAIT" if POSTGRESQL else "")).fetchall()
        except (sqlite3.OperationalError, psycopg.errors.LockNotAvailable):
            found = []
        if not found:
            os.killpg(worker, signal.SIGCONT)
        if POSTGRESQL or db.in_transaction:  # type: ignore[union-attr]
            db.execute("ROLLBACK")
        return bool(found)


def test_a_worker_frozen_beyond_its_lease_writes_nothing_when_it_wakes(make_hub: Callable[..., Hub], tmp_path: Path) -> None:
    hub = make_hub().init()
    hub.env["OBMEN_LEASE"] = "2"
    node = OneC(hub, hub.add_door(profile="ut11"), "ut11")
    manifest = node.catalogue(tmp_path / "goods", **{**SPEC, "products": 6000, "portion": 0, "description": 50, "pictures": 0})
    hub.serve("--no-worker")
    first = hub.work()
    reports: list[Report] = []
    thread = threading.Thread(target=lambda: reports.append(exchange(node.client, node.base, tmp_path / "goods")))
    thread.start()
    until(lambda: frozen_between_pages(hub, first.pid))
    second = hub.work()
    thread.join()
    assert [r.failures for r in reports] == [[]]
    before = books(hub)
    os.killpg(first.pid, signal.SIGCONT)
    hub.kill(second, signal.SIGTERM)
    # Awake again it finds that its run is no longer its own, and takes the next one: then it is through with the old.
    assert exchange(node.client, node.base, tmp_path / "goods").failures == []
    assert "the lease was lost; whoever has it now goes on" in hub.log()
    after = books(hub)
    assert sums(before) == expected(manifest)
    for kind in ("products", "offers", "prices", "stock", "groups", "links", "parked"):
        assert after[kind] == before[kind], kind
