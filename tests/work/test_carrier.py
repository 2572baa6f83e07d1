"""Celery as carrier: a message is only a wake-up. Lost, doubled and late ones do no harm; on RabbitMQ and on Redis."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from django.db import connection as db

from obmen.store import connections
from obmen.store.models import Connection, Run, RunLine
from obmen.work import carrier, jobs

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
BROKERS = os.environ.get("OBMEN_TEST_BROKER_URL", "amqp://guest:guest@127.0.0.1:5672// redis://127.0.0.1:6379/0").split()


@pytest.fixture(params=BROKERS, ids=lambda url: url.partition(":")[0])
def broker(request: pytest.FixtureRequest, settings: SimpleNamespace) -> Iterator[str]:
    """A broker with an empty queue. Skips loudly where there is none."""
    settings.OBMEN_BROKER_URL = request.param
    carrier.app.cache_clear()
    try:
        with carrier.app().connection_for_write() as broker:
            broker.ensure_connection(max_retries=1, timeout=20)
    except Exception as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the broker {request.param} is not there ({error}); set OBMEN_TEST_BROKER_URL")
    clear()
    yield request.param
    clear()
    carrier.app.cache_clear()


def clear() -> None:
    with carrier.app().connection_for_write() as broker:
        channel = broker.default_channel
        channel.queue_declare(carrier.queue_name(), durable=True, auto_delete=False)
        channel.queue_purge(carrier.queue_name())


def messages() -> int:
    with carrier.app().connection_for_write() as broker:
        queue = broker.default_channel.queue_declare(carrier.queue_name(), durable=True, auto_delete=False)
        return int(queue.message_count)


@pytest.fixture
def start_worker(broker: str) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    entry, started = db.settings_dict, []
    if db.vendor == "sqlite":
        url = f"sqlite:///{entry['NAME']}"
    else:
        who = entry["USER"] + (f":{entry['PASSWORD']}" if entry["PASSWORD"] else "")
        url = f"postgresql://{who}@{entry['HOST']}:{entry['PORT'] or 5432}/{entry['NAME']}"

    def start() -> subprocess.Popen[bytes]:
        env = os.environ | {"OBMEN_DATABASE_URL": url, "OBMEN_BROKER_URL": broker}
        started.append(subprocess.Popen([sys.executable, "-m", "obmen.cli", "work", "--workers", "2"], env=env))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def door() -> Connection:
    return connections.create("commerceml_door", "1C")[0]


def until(true: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.05)


def ended(run: Run) -> bool:
    """A run that names nothing to do ends at once as "needs owner": a worker looked at it."""
    run.refresh_from_db()
    return run.state == Run.State.NEEDS_OWNER


def test_asking_sends_one_message_that_names_the_run(broker: str, door: Connection) -> None:
    forget = jobs.add_messenger(carrier.send)
    run = jobs.ask(door, ["products-in"], trigger="person")
    forget()
    until(lambda: messages() == 1)
    with carrier.app().connection_for_write() as con:
        message = con.default_channel.basic_get(carrier.queue_name(), no_ack=True)
    assert message.headers["task"] == carrier.TASK
    assert f"[[{run.pk}]" in (message.body if isinstance(message.body, str) else bytes(message.body).decode())


def test_carried_runs_are_executed_once_however_often_they_are_sent(
    broker: str, door: Connection, start_worker: Callable[[], subprocess.Popen[bytes]]
) -> None:
    forget = jobs.add_messenger(carrier.send)
    runs = [jobs.ask(door, ["products-in"], trigger="person", key=str(i)) for i in range(4)]
    forget()
    for _again in range(5):
        assert all(carrier.send(run.pk) for run in runs)
    assert carrier.send(10**9), "of a run that does not exist"
    worker = start_worker()
    until(lambda: all(ended(run) for run in runs))
    until(lambda: messages() == 0)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(90) == 0
    assert [run.attempts for run in runs] == [1] * 4
    assert RunLine.objects.filter(level="error").count() == 4


def test_a_lost_message_is_sent_again_by_the_look_out(
    broker: str, door: Connection, start_worker: Callable[[], subprocess.Popen[bytes]]
) -> None:
    run = jobs.ask(door, ["products-in"], trigger="person")
    assert messages() == 0
    start_worker()
    until(lambda: ended(run))


def test_a_broker_that_is_away_hinders_nobody_from_asking(settings: SimpleNamespace, door: Connection) -> None:
    settings.OBMEN_BROKER_URL = "redis://127.0.0.1:1/0"
    carrier.app.cache_clear()
    forget = jobs.add_messenger(carrier.send)
    run = jobs.ask(door, ["products-in"], trigger="person")
    forget()
    carrier.app.cache_clear()
    assert Run.objects.get().pk == run.pk
