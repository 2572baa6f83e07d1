"""The process that exchanges with the CRM is killed between any two calls, and two exchange at once: nothing is lost, nothing doubled."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from crm import ALL, CUP, FIRM, START, World, alike, cash, dish, goods_in_books, hurry, own, world
from django.core.management.color import no_style
from django.db import connection as db
from django.db import connections as databases
from django.test import Client
from partner import until

from obmen.core.records import OrderLine, plain
from obmen.sandbox.retailcrm import RetailCRM, serve
from obmen.store import connections, models
from obmen.store.orders import save_order
from obmen.work import clock, jobs
from obmen.work.run import execute_here

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
SETTINGS = {"create_payments": True, "send_payments": True, "send_own": True, "price_types": True}
SEED = int(os.environ.get("OBMEN_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 30)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> None:
    settings.OBMEN_ALLOW_PRIVATE, settings.MEDIA_ROOT = True, tmp_path
    hurry(monkeypatch)


def mixed(w: World) -> None:
    """Orders, states, lines, payments, stock and prices that have to go both ways."""
    first, second = w.order(), w.order(phone="+79165554433", firstName="Анна")
    w.go(*ALL)
    w.order(phone="+79165550001", firstName="Новый", payments=[{"type": "cash", "status": "paid", "amount": 450}])
    w.ui.edit(first, customerComment="позвонить")
    w.change(first, state="our-complete", lines=(*w.ours(first).lines, dish(w, first, 66)), total=Decimal(516))
    w.pay(second, cash("p-1", 200))
    save_order(own("own-1", payments=(cash("p-2"),)))
    save_order(own("own-2", counterparty=FIRM))
    models.StockLevel.objects.filter(offer__key=CUP).update(quantity=17)
    models.Price.objects.filter(offer__key=CUP, kind__key="base").update(value=101)


def ends(w: World) -> tuple[Any, Any]:
    w.settle(*ALL)
    w.crm.assert_no_duplicates()
    for number in (o["id"] for o in w.crm.all_orders()):
        assert models.Link.objects.filter(connection=w.connection, kind="order", external_id=str(number)).count() == 1
    return alike(w.books()), alike(w.there())


def empty() -> None:
    """The database as it was before: the story is told anew."""
    names = [name for name in db.introspection.table_names() if name.startswith("store_")]
    with db.constraint_checks_disabled(), db.cursor() as cursor:
        for sql in db.ops.sql_flush(no_style(), names, allow_cascade=True):
            cursor.execute(sql)


@contextmanager
def child(act: Callable[[], Any]) -> Iterator[int]:
    """``act`` in a process of its own, which is gone when the block is left."""
    databases.close_all()  # a connection must not be carried over a fork
    pid = os.fork()
    if not pid:
        status = 1
        try:
            act()
            status = 0
        finally:
            os._exit(status)
    try:
        yield pid
    finally:
        with_it = os.waitpid(pid, os.WNOHANG)
        if with_it == (0, 0):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


class Shot:
    """Kills the process that calls when call number ``at`` arrives: before the CRM has done it, or after, without an answer."""

    def __init__(self, w: World, monkeypatch: pytest.MonkeyPatch, at: int, *, done: bool) -> None:
        self.at, self.done, self.calls, self.pid, self.fell = at, done, 0, 0, threading.Event()
        self._handle, self._lock = w.crm.handle, threading.Lock()
        monkeypatch.setattr(w.crm, "handle", self.handle)

    def handle(self, request: Any) -> Any:
        with self._lock:
            self.calls += 1
            hit = self.pid and self.calls == self.at
            if hit:
                if self.done:
                    self._handle(request)
                os.kill(self.pid, signal.SIGKILL)
                self.fell.set()
            if self.fell.is_set():
                return None, None
        return self._handle(request)

    def run(self, w: World) -> bool:
        """Whether the child was killed; False when it came to its end before."""
        read, write = os.pipe()

        def act() -> None:
            os.close(write)
            os.read(read, 1)  # until the parent knows whom to kill
            w.go(*ALL)

        with child(act) as pid:
            os.close(read)
            self.calls, self.pid = 0, pid
            os.close(write)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        self.pid = 0
        fell = self.fell.is_set()
        self.fell.clear()
        return fell


@pytest.mark.parametrize("done", [True, False], ids=["done", "undone"])
def test_a_kill_at_any_call_changes_nothing_in_the_end(monkeypatch: pytest.MonkeyPatch, done: bool) -> None:
    """Scenario 9 and “crash between any two calls”: for every call of the exchange, the process dies when it arrives."""
    goods_in_books()
    with world(settings=SETTINGS) as w:
        mixed(w)
        before = len(w.crm.log)
        assert w.go(*ALL).state == "done"
        count = len(w.crm.log) - before
        here, there = ends(w)
    assert count > 15
    killed = []
    moments = range(1, count + 1, 1 if done else 4)  # “undone” is “done” at the call before, but for what is settled between
    for at in moments:
        empty()
        goods_in_books()
        with world(settings=SETTINGS) as w:
            mixed(w)
            if Shot(w, monkeypatch, at, done=done).run(w):
                killed.append(at)
            assert ends(w) == (here, there), f"killed at call {at}"
    assert killed == list(moments)


def test_a_kill_at_any_moment_changes_nothing_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also between a call and its settling, or within a transaction: five times at random moments of one exchange."""
    print(f"OBMEN_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    goods_in_books()
    with world(settings=SETTINGS) as w:
        mixed(w)
        began = time.monotonic()
        w.go(*ALL)
        lasts = time.monotonic() - began
        here, there = ends(w)
    for _story in range(4):
        empty()
        goods_in_books()
        with world(settings=SETTINGS) as w:
            mixed(w)
            for _kill in range(3):
                with child(lambda w=w: (w.later(), w.go(*ALL))) as pid:
                    time.sleep(chance.uniform(0.0, lasts * 1.2))
                    if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
                        os.kill(pid, signal.SIGKILL)
            assert ends(w) == (here, there)


# --- the command, killed ---------------------------------------------------------------------------------------------------

COMMAND = """
import sys
from obmen.connectors.retailcrm import api
api.CALLS_A_SECOND = 200
from obmen.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


def test_the_command_killed_at_random_calls_and_run_again_leaves_both_sides_as_an_undisturbed_one(make_hub: Any) -> None:
    """``obmen run`` as it is: a process per try, its own database, killed with SIGKILL."""
    print(f"OBMEN_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    hub = make_hub().init()
    hub.env["OBMEN_ALLOW_PRIVATE"] = "1"
    with serve(RetailCRM()) as server:
        crm = server.crm
        crm.add_offer("cup", "Чашка", 100, xml_id="УТ-1")
        numbers = [
            int(crm.ui.create_order([("cup", n + 1)], firstName=f"Имя {n}", phone=f"+7916000{n:04}")["id"]) for n in range(30)
        ]
        toml = hub.home / "crm.toml"
        hub.cli("connection", "add", "retailcrm", "CRM", "--set", f"server={server.url}", "--set", "api_key=sandbox-key",
                "--set", "site=shop", "--set", "send_own=true")  # fmt: skip
        text = hub.cli("connection", "export", "CRM").stdout
        for direction in ("in", "out"):
            text += '\n[[mappings]]\nsubject = "order_state"\ntheirs = "new"\nours = "New"\n'
            text += f"inbound = {str(direction == 'in').lower()}\noutbound = {str(direction == 'out').lower()}\n"
        toml.write_text(text, "utf-8")
        hub.cli("connection", "apply", str(toml))
        line = OrderLine("", "Чашка", Decimal(2), Decimal(100), Decimal(200))
        made = [own(f"own-{n}", state="New", lines=(line,), total=Decimal(200)) for n in range(8)]
        hub.cli("load", "orders", "-", stdin="".join(json.dumps(plain(o), ensure_ascii=False) + "\n" for o in made))
        streams = ("orders-in", "orders-out")
        crm.fault("slow", 1000, seconds=0.1)  # so that the kill comes before the run is through
        started = killed = 0
        for _kill in range(4):
            at = chance.randrange(2, 9)
            process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, "run", "CRM", *streams, *(("--since", "2020-01-01") if not started else ())],
                env=hub.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            begun = len(crm.log)
            until(lambda: len(crm.log) >= begun + at or process.poll() is not None, what="the command makes no calls")  # noqa: B023
            started += len(crm.log) > begun + 3
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                killed += 1
            process.wait()
        crm.faults.clear()
        for _again in range(2):
            done = subprocess.run(
                [sys.executable, "-c", COMMAND, "run", "CRM", *streams], env=hub.env, capture_output=True, text=True, timeout=600
            )
        assert done.returncode == 0, done.stderr
        assert killed > 1
        crm.assert_no_duplicates()
        there = crm.all_orders()
        assert sorted(o["externalId"] for o in there if o.get("externalId")) == [f"obmen-own-{n}" for n in range(8)]
        assert len(there) == 38
        here = hub.dump("orders")
        assert sorted(o["key"] for o in here) == sorted([*map(str, numbers), *(o.key for o in made)])
        assert hub.dump("outbox") == []


# --- at once ---------------------------------------------------------------------------------------------------------------


def test_two_runs_asked_for_at_once_follow_each_other_and_nothing_is_doubled() -> None:
    """Scenario 4 of the issue's schedule: two processes, the clock and the wake-up address at the same time."""
    goods_in_books()
    with world(settings=SETTINGS) as w:
        mixed(w)
        here, there = ends(w)
    empty()
    goods_in_books()
    with world(settings=SETTINGS) as w:
        mixed(w)
        models.Run.objects.all().delete()
        w.crm.fault("slow", 40, seconds=0.03)
        for stream in ("orders-in", "orders-out"):
            connections.set_stream(w.connection, stream, enabled=True, schedule="* * * * *")
        models.StreamSetting.objects.exclude(schedule="").update(next_run=START)
        path = connections.hook_path(w.connection)
        with child(lambda: w.go(*ALL)) as one, child(lambda: w.go("orders-out", "payments-out")) as two:
            for _call in range(5):
                assert Client().post(path).status_code == 200
                clock.tick()
                time.sleep(0.05)
            for run in models.Run.objects.filter(state="waiting"):
                execute_here(run)
            os.waitid(os.P_PID, one, os.WEXITED | os.WNOWAIT)
            os.waitid(os.P_PID, two, os.WEXITED | os.WNOWAIT)
        spans = list(models.Run.objects.exclude(started=None).order_by("started").values_list("started", "ended"))
        assert len(spans) >= 3
        assert [f"{a[1]} > {b[0]}" for a, b in pairwise(spans) if a[1] > b[0]] == []
        assert set(models.Run.objects.values_list("state", flat=True)) <= {"done"}
        assert models.Run.objects.filter(trigger="door").count() >= 1
        w.crm.faults.clear()
        assert ends(w) == (here, there)
    assert jobs.State.RUNNING not in set(models.Run.objects.values_list("state", flat=True))
