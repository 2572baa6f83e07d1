"""Two connections, two workers with two threads each, people in the pages and orders coming in, all at once on one database."""

from __future__ import annotations

import http.cookiejar
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from hub import Hub
from obmen.sandbox.onec.run import Report, exchange
from system.partner import OneC, books, counted, load_orders, order, sums

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

PAGES = ("/", "/store/product/", "/store/offer/", "/store/order/", "/store/run/", "/store/connection/", "/healthz")


class Person:
    """Signed in to the pages, going from one to the next until told to stop."""

    def __init__(self, hub: Hub) -> None:
        self.hub, self.seen, self.slowest = hub, Counter[int](), 0.0
        jar = http.cookiejar.CookieJar()
        self.open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar)).open
        page = self.open(f"{hub.url}/login/", timeout=60).read().decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token
        form = {"username": "admin", "password": "admin-password", "csrfmiddlewaretoken": token[1], "next": "/"}
        answer = self.open(f"{hub.url}/login/", urllib.parse.urlencode(form).encode(), timeout=60)
        assert "/login" not in answer.url

    def walk(self, stop: threading.Event) -> None:
        while not stop.is_set():
            for page in PAGES:
                started = time.monotonic()
                try:
                    with self.open(self.hub.url + page, timeout=60) as answer:
                        answer.read()
                        self.seen[answer.status] += 1
                except urllib.error.HTTPError as error:
                    self.seen[error.code] += 1
                self.slowest = max(self.slowest, time.monotonic() - started)


def test_nobody_finds_the_database_locked_and_all_counts_are_right(make_hub: Callable[..., Hub], tmp_path: Path) -> None:
    hub = make_hub().init()
    nodes = [OneC(hub, hub.add_door(name, name), name) for name in ("ut11", "unf")]
    hub.serve("--no-worker")
    workers = [hub.work("--workers", "2"), hub.work("--workers", "2")]
    spec = {"products": 1500, "portion": 500, "description": 100}
    manifests = [n.catalogue(tmp_path / n.profile.key, **spec, seed=i, start=i * 5000) for i, n in enumerate(nodes, 1)]
    made = nodes[0].base.spec
    assert made
    people = [Person(hub), Person(hub)]
    stop = threading.Event()
    reports: dict[str, list[Report]] = {n.profile.key: [] for n in nodes}

    def run(node: OneC) -> None:
        for _time in range(2):
            reports[node.profile.key].append(exchange(node.client, node.base, tmp_path / node.profile.key))

    walking = [threading.Thread(target=person.walk, args=(stop,)) for person in people]
    loading = [threading.Thread(target=run, args=(node,)) for node in nodes]
    for thread in (*walking, *loading):
        thread.start()
    numbers = [str(n) for n in range(1001, 1021)]
    for at in range(0, 20, 5):
        load_orders(hub, [order(n, made, counterparty={"key": n, "name": f"Покупатель {n}"}) for n in numbers[at : at + 5]])
    for thread in loading:
        thread.join()
    for node in nodes:  # what was ordered while they exchanged, and what each heard of the other's answers
        while exchange(node.client, node.base).created:
            continue
    stop.set()
    for thread in walking:
        thread.join()

    assert {key: [r.failures for r in rows] for key, rows in reports.items()} == {key: [[], []] for key in reports}
    after = books(hub)
    wanted = Counter[str]()
    for manifest in manifests:
        wanted.update(
            {
                k: v
                for k, v in manifest.books.items()
                if k in ("products", "prices", "stock", "groups", "quantity", "price_kopecks")
            }
        )
        wanted["offers"] += manifest.books["offers"] + manifest.books["deleted_offers"]
    found = sums(after)
    assert {name: found[name] for name in wanted} == dict(wanted)
    assert len({o["key"] for o in after["offers"]}) == len(after["offers"])
    assert (after["parked"], [o["number"] for o in after["orders"]]) == ([], numbers)
    assert [sorted(o.number for o in node.base.orders) for node in nodes] == [numbers, numbers]
    assert {run["state"] for run in after["runs"]} == {"done"}
    assert counted(after)["matched"] == 0
    for person in people:
        assert set(person.seen) == {200}
        assert person.seen[200] >= len(PAGES)
        assert person.slowest < 20
    log = (hub.home / "process.log").read_text(errors="replace")
    assert "locked" not in log
    assert "Traceback" not in log
    assert all(worker.poll() is None for worker in workers)
