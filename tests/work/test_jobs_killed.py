"""Real worker processes, killed and frozen: every run ends once, no page twice, no two runs of a connection side by side."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection as db

from obmen.store.models import Connection, Run, RunLine
from obmen.work import jobs

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a worker process on this test's database, with a lease of so many seconds."""
    entry = settings.DATABASES["default"]
    if db.vendor == "sqlite":
        url = f"sqlite:///{db.settings_dict['NAME']}"
    else:
        who = entry["USER"] + (f":{entry['PASSWORD']}" if entry["PASSWORD"] else "")
        url = f"postgresql://{who}@{entry['HOST']}:{entry['PORT'] or 5432}/{db.settings_dict['NAME']}"
    env = os.environ | {"OBMEN_DATABASE_URL": url, "OBMEN_LOG": "ERROR"}
    started: list[subprocess.Popen[bytes]] = []

    def one(lease: float = 2) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(Path(__file__).with_name("worker_process.py")), str(tmp_path / "log")]
        started.append(subprocess.Popen(command, env={**env, "OBMEN_LEASE": str(lease)}, start_new_session=True))
        return started[-1]

    yield one
    for process in started:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGCONT)
            process.kill()
            process.wait()


def events(tmp_path: Path) -> list[tuple[float, int, str, int, int]]:
    file = tmp_path / "log"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(float(t), int(pid), what, int(run), int(owner)) for t, pid, what, run, owner in (line.split() for line in lines)]


def until(true: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.02)


def ask_many(connections: int, runs: int, pages: int, seconds: float) -> list[Run]:
    owners = [Connection.objects.create(connector="toy", name=f"c{i}", slug=f"c{i}") for i in range(connections)]
    args = {"pages": pages, "seconds": seconds}
    return [jobs.ask(owners[i % connections], ["products-in"], trigger="person", args=args, key=str(i)) for i in range(runs)]


def all_done(runs: list[Run]) -> bool:
    return Run.objects.filter(pk__in=[r.pk for r in runs], state="done").count() == len(runs)


def pages_of(runs: list[Run]) -> dict[int, Counter[str]]:
    return {r.pk: Counter(RunLine.objects.filter(run=r).values_list("text", flat=True)) for r in runs}


def test_four_workers_run_every_run_once_and_never_two_of_a_connection_at_once(start: Start, tmp_path: Path) -> None:
    runs = ask_many(connections=5, runs=60, pages=2, seconds=0.01)
    workers = [start(lease=60) for _i in range(4)]  # a busy machine may keep each of them waiting; nobody is to be rescued
    until(lambda: all_done(runs))
    for worker in workers:
        worker.terminate()
        assert worker.wait(90) == 0
    seen = events(tmp_path)
    assert Counter(e[3] for e in seen if e[2] == "start") == {r.pk: 1 for r in runs}
    assert len({e[1] for e in seen}) > 1, "one worker did it all: nothing was proved"
    running: dict[int, int] = {}
    for _t, _pid, what, run, owner in sorted(seen):
        if what == "start":
            assert running.setdefault(owner, run) == run, f"runs {running[owner]} and {run} of one connection overlap"
        elif what == "done":
            running.pop(owner, None)
    assert pages_of(runs) == {r.pk: {"page 0": 1, "page 1": 1} for r in runs}


def test_killed_workers_lose_nothing_and_do_no_page_twice(start: Start, tmp_path: Path) -> None:
    runs = ask_many(connections=3, runs=6, pages=8, seconds=0.1)
    workers = [start() for _i in range(3)]
    chance = random.Random(5)
    for _kill in range(6):
        seen = len(events(tmp_path))
        until(lambda seen=seen: len(events(tmp_path)) >= seen + chance.randint(3, 8) or all_done(runs))
        victim = chance.randrange(len(workers))
        workers[victim].kill()
        workers[victim].wait()
        workers[victim] = start()
    until(lambda: all_done(runs))
    assert pages_of(runs) == {r.pk: {f"page {i}": 1 for i in range(8)} for r in runs}
    starts = Counter(e[3] for e in events(tmp_path) if e[2] == "start")
    assert sum(starts.values()) > len(runs), "no kill hit a running run: nothing was proved"


def test_a_frozen_worker_that_lost_its_lease_stops_before_its_next_write(start: Start, tmp_path: Path) -> None:
    [run] = ask_many(connections=1, runs=1, pages=12, seconds=0.5)
    frozen = start()
    # Frozen while it works on a page, not inside a transaction: nobody could write to SQLite then.
    until(lambda: RunLine.objects.filter(run=run).count() >= 2)
    os.kill(frozen.pid, signal.SIGSTOP)
    settled = RunLine.objects.filter(run=run).count()
    second = start()
    until(lambda: any(e[1] == second.pid and e[2] == "page" for e in events(tmp_path)))
    os.kill(frozen.pid, signal.SIGCONT)
    until(lambda: all_done([run]))
    by = Counter(line.facts["worker"].split(":")[1] for line in RunLine.objects.filter(run=run))
    assert by == {str(frozen.pid): settled, str(second.pid): 12 - settled}
    assert pages_of([run]) == {run.pk: {f"page {i}": 1 for i in range(12)}}
    assert next(e for e in events(tmp_path) if e[2] == "done")[1] == second.pid


def test_a_worker_told_to_end_settles_its_page_and_another_goes_on_at_once(start: Start, tmp_path: Path) -> None:
    [run] = ask_many(connections=1, runs=1, pages=6, seconds=0.2)
    first = start(lease=60)
    until(lambda: RunLine.objects.filter(run=run).count() >= 2)
    first.terminate()
    assert first.wait(90) == 0
    run.refresh_from_db()
    assert (run.state, run.worker, run.attempts) == ("waiting", "", 0)
    start(lease=60)
    until(lambda: all_done([run]))
    assert pages_of([run]) == {run.pk: {f"page {i}": 1 for i in range(6)}}
