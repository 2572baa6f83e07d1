"""``obmen serve`` as a person starts it: ready when the port accepts, whole when something dies, gone when told."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.long
ORDER = {"key": "o-1", "date": "2026-11-21T10:00:00+02:00", "lines": [{"name": "Tea", "quantity": 1, "price": "10"}]}


def children(pid: int) -> list[int]:
    """Processes of which this one is the parent."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(true: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.05)


def accepts(port: int) -> bool:
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def sign_in_page(hub) -> int:
    with urllib.request.urlopen(hub.url + "/", timeout=90) as answer:
        return answer.status


def test_a_served_hub_answers_has_a_worker_and_ends_cleanly_when_told(make_hub) -> None:
    hub = make_hub().init().serve()
    assert sign_in_page(hub) == 200
    [worker] = children(hub.server.pid)
    os.kill(hub.server.pid, signal.SIGTERM)
    assert hub.server.wait(90) == 0
    until(lambda: not alive(worker))
    assert "Traceback" not in hub.log()


def test_a_worker_that_dies_is_started_again(make_hub) -> None:
    hub = make_hub().init().serve()
    [first] = children(hub.server.pid)
    os.kill(first, signal.SIGKILL)
    until(lambda: children(hub.server.pid) not in ([], [first]))
    assert sign_in_page(hub) == 200


def test_a_worker_follows_its_server_even_when_that_is_killed(make_hub) -> None:
    hub = make_hub().init().serve()
    [worker] = children(hub.server.pid)
    os.kill(hub.server.pid, signal.SIGKILL)  # the server alone, not its group
    until(lambda: not alive(worker))


def test_without_worker_there_is_only_the_web(make_hub) -> None:
    hub = make_hub().init().serve("--no-worker")
    assert children(hub.server.pid) == []
    assert sign_in_page(hub) == 200


def test_an_interrupt_ends_a_server_and_a_worker_alike(make_hub) -> None:
    hub = make_hub().init().serve("--no-worker")
    worker = hub.work()
    until(lambda: Path(f"/proc/{worker.pid}/task").exists() and len(list(Path(f"/proc/{worker.pid}/task").iterdir())) > 3)
    hub.kill(hub.server, signal.SIGINT)
    hub.kill(worker, signal.SIGINT)
    assert hub.server.returncode in (0, 130)
    assert worker.returncode == 0


def test_a_taken_port_is_said_in_one_sentence(make_hub) -> None:
    hub = make_hub().init()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", hub.port))
        taken.listen()
        done = hub.cli("serve", "--port", str(hub.port), ok=False)
    assert done.returncode == 3
    assert f"Port {hub.port} is not free" in done.stderr
    assert "Traceback" not in done.stderr


def test_serving_what_was_never_set_up_is_refused(make_hub) -> None:
    hub = make_hub()
    done = hub.cli("serve", "--port", str(hub.port), ok=False)
    assert done.returncode == 3
    assert "run “obmen init”" in done.stderr
    assert not accepts(hub.port)


def test_the_worker_beside_the_server_executes_what_is_asked_for(make_hub) -> None:
    """An asked run that names nothing to do needs its owner: the worker said so, and the command waited for that."""
    hub = make_hub().init().serve()
    hub.add_door()
    done = hub.cli("run", "1C", "products-in", "--json", ok=False)
    ended = json.loads(done.stdout)
    assert (done.returncode, ended["state"], ended["streams"]) == (3, "needs_owner", ["products-in"])
    assert ended["ended"] is not None
