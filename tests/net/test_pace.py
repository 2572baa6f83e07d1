"""How often an account is called, as the peer sees it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from obmen.net.client import Client, Pace
from obmen.net.pace import FAR, FileSlots, MemorySlots, Slots

HERE = Path(__file__).parent
LIMIT, NOW = 10, time.time()


@contextmanager
def counting_peer() -> Iterator[str]:
    process = subprocess.Popen([sys.executable, str(HERE / "counting_peer.py")], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.communicate()


def seen(url: str) -> list[float]:
    with Client(url, pace=Pace("look", 1000, slots=MemorySlots()), allow_private=True) as client:
        return [float(line) for line in client.call("GET", "seen").text.split()]


def most_in_a_second(moments: list[float]) -> int:
    return max(sum(1 for other in moments if first <= other < first + 1) for first in moments)


@pytest.mark.parametrize(("processes", "threads"), [(1, 1), (1, 6), (2, 3)], ids=["a thread", "threads", "processes"])
def test_the_limit_is_never_passed_as_the_peer_sees_it(tmp_path: Path, processes: int, threads: int) -> None:
    """A busy machine lets both sides oversleep: one of three looks has to be clean. A wrong pace never is.

    That the limit is used up to the last call is measured in the bench, for it depends on how busy the machine is.
    """
    problems: list[str] = []
    for look in range(3):
        with counting_peer() as url:
            problems = passed(url, tmp_path / str(look), processes, threads)
        if not problems:
            break
    assert problems == []


def passed(url: str, file: Path, processes: int, threads: int) -> list[str]:
    """What was wrong with three seconds of calls."""
    source = {**os.environ, "PYTHONPATH": str(HERE.parent.parent / "src")}
    command = [sys.executable, str(HERE / "paced_caller.py"), url, str(file), str(LIMIT), str(threads), "3"]
    callers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=source) for _ in range(processes)]
    said = [caller.communicate(timeout=60)[0].split() for caller in callers]
    moments = seen(url)
    used = [int(s[0]) for s in said]
    found = {
        f"{most_in_a_second(moments)} in a second": most_in_a_second(moments) > LIMIT,
        f"{used} of {len(moments)} counted": sum(used) != len(moments),
        f"unfair: {used}": min(used) < 0.2 * sum(used) / processes,
    }
    return [problem for problem, so in found.items() if so]


def test_the_plan_uses_the_whole_limit() -> None:
    waits: list[float] = []
    pace = Pace("a", LIMIT, slots=MemorySlots(clock=lambda: 1000.0), sleep=waits.append)
    for _n in range(101):
        pace.take()
    assert len(waits) == 100
    assert 9.5 < 100 / waits[-1] <= 10


@pytest.fixture(params=["memory", "file"])
def slots(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Slots]:
    """The clock stands still: what is planned does not depend on how busy the machine is."""
    made: Slots = MemorySlots(lambda: NOW) if request.param == "memory" else FileSlots(tmp_path / "paces", lambda: NOW)
    yield made
    made.close()


def test_after_a_rest_as_many_as_burst_go_at_once(slots: Slots) -> None:
    waits = [slots.book("a", 0.5, burst=3) for _n in range(5)]
    assert waits == pytest.approx([0, 0, 0, 0.5, 1.0], abs=1e-3)


def test_without_a_burst_calls_are_spread_evenly(slots: Slots) -> None:
    assert [slots.book("a", 0.5, 1) for _n in range(4)] == pytest.approx([0, 0.5, 1.0, 1.5], abs=1e-3)


def test_accounts_do_not_wait_for_each_other(slots: Slots) -> None:
    assert [slots.book(key, 10, 1) for key in "abca"] == pytest.approx([0, 0, 0, 10], abs=1e-3)


def test_a_held_account_waits_and_only_it(slots: Slots) -> None:
    slots.hold("a", 5)
    slots.hold("a", 3)  # does not shorten
    assert [slots.book("a", 1, 1), slots.book("a", 1, 1), slots.book("b", 1, 1)] == pytest.approx([5, 6, 0], abs=1e-3)


def test_a_late_call_moves_those_behind_it(slots: Slots) -> None:
    slots.book("a", 1, 1)
    slots.shift("a", 0.4)
    assert slots.book("a", 1, 1) == pytest.approx(1.4, abs=1e-3)


def test_a_call_that_leaves_late_says_so(slots: Slots) -> None:
    pace = Pace("a", 1, slots=slots)
    due = pace.take()
    pace.left(due - 0.3)
    assert slots.book("a", 1, 1) >= 1.3  # its own slot took 1.03, and it left some 0.3 late


def test_a_booking_that_takes_long_moves_those_behind_it(tmp_path: Path) -> None:
    """Else the first call of a process, which opens the file, would leave just before the second."""
    clock = [NOW, NOW + 0.5, *[NOW + 0.5] * 10]
    slots = FileSlots(tmp_path / "paces", lambda: clock.pop(0))
    slept: list[float] = []
    pace = Pace("a", 1, slots=slots, sleep=slept.append)
    pace.left(pace.take())
    assert slept == []
    assert slots.book("a", 1, 1) == pytest.approx(1.03, abs=0.02)
    slots.close()


def test_what_is_waited_and_used_is_counted(slots: Slots) -> None:
    slept: list[float] = []
    pace = Pace("a", 2, slots=slots, sleep=slept.append)
    for _n in range(3):
        pace.take()
    assert slept == pytest.approx([0.515, 1.03], abs=1e-3)
    assert (pace.used, pace.waited) == (3, pytest.approx(sum(slept)))


def test_a_rest_that_they_ask_for_is_bounded(slots: Slots) -> None:
    Pace("a", 1, slots=slots).hold(86_400)
    assert slots.book("a", 1, 1) == pytest.approx(60, abs=1e-3)


def test_a_clock_that_is_set_back_does_not_stop_the_account(tmp_path: Path) -> None:
    clock = [NOW + FAR + 100, NOW]
    slots = FileSlots(tmp_path / "paces", lambda: clock[0])
    slots.book("a", 1, 1)
    clock.pop(0)
    assert slots.book("a", 1, 1) == 0
    slots.close()


def test_plans_outlive_who_made_them_and_forks(tmp_path: Path) -> None:
    slots = FileSlots(tmp_path / "paces", lambda: NOW)
    assert slots.book("a", 2, 1) == 0
    child = os.fork()
    if child == 0:
        os._exit(0 if abs(slots.book("a", 2, 1) - 2) < 1e-3 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert slots.book("a", 2, 1) == pytest.approx(4, abs=1e-3)
    slots.close()
    assert slots.book("a", 2, 1) == pytest.approx(6, abs=1e-3)
    slots.close()
