"""Celery as carrier of runs to many machines, where OBMEN_BROKER_URL names RabbitMQ or Redis.

A message says "execute run N" and nothing more. It may be lost (the look-out sends again what waits), doubled or late (the
claim in the run table refuses all but one): truth, lock, progress and retry stay in the database.
"""

from __future__ import annotations

import logging
import threading
import uuid
from functools import cache
from typing import Any

from celery import Celery, signals
from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection
from kombu.exceptions import OperationalError

from obmen.core.records import digest
from obmen.work import clock, jobs, notices, tidy

log = logging.getLogger(__name__)
TASK = "obmen.execute"
LOOK_OUT = 5.0  # seconds between looks for runs whose message was lost, or whose time has come


@cache
def app() -> Celery:
    """The Celery application. Results are not kept: the run table holds them."""
    # No fixups: Celery's own for Django runs all system checks, which load the pages that a worker leaves out.
    celery = Celery("obmen", broker=settings.OBMEN_BROKER_URL, set_as_current=False, fixups=[])
    celery.conf.update(
        task_ignore_result=True,
        task_default_queue=queue_name(),
        worker_prefetch_multiplier=1,  # a run may take long; what waits behind it is better taken by a free worker
        task_publish_retry=False,
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=3,
        worker_hijack_root_logger=False,
    )
    celery.task(name=TASK, shared=False)(execute)
    return celery


def queue_name() -> str:
    """A queue for each database, so that hubs which share a broker do not take each other's messages."""
    entry = connection.settings_dict
    place = [str(entry.get(name) or "") for name in ("HOST", "PORT", "NAME")]
    return f"obmen.{digest(place).hex()[:12]}"


def execute(run_id: int) -> None:
    """The task. Not claimable (done, doubled, connection busy) is no error: somebody else sees to it."""
    close_old_connections()
    try:
        jobs.work_one(jobs.worker_name(), only=run_id)
    finally:
        close_old_connections()


def send(run_id: int) -> bool:
    """Put the message on its way; False when the broker does not answer, then the look-out sends it later."""
    try:
        app().send_task(TASK, [run_id])
    except OperationalError as error:
        log.warning("run %s: the broker does not take the message: %s", run_id, error)
        return False
    return True


def connect() -> None:
    """From now on every run that this process asks for is announced through the broker."""
    jobs.add_messenger(send)


def work(workers: int) -> None:
    """A Celery worker with the clock and the look-out beside it. Blocks until SIGTERM or SIGINT.

    Threads instead of child processes, so that a closing worker can tell its runs to go back to the queue; to use more
    processors, start more of them.
    """
    stop = threading.Event()
    helpers = [
        threading.Thread(target=clock.run, args=(stop,), name="clock", daemon=True),
        threading.Thread(target=tidy.run, args=(stop,), name="tidy", daemon=True),
        threading.Thread(target=notices.run, args=(stop,), name="notices", daemon=True),
        threading.Thread(target=_look_out, args=(stop, workers), name="look-out", daemon=True),
    ]

    def begin(**_kw: Any) -> None:
        connect()
        for thread in helpers:
            thread.start()

    def end(**_kw: Any) -> None:
        jobs.closing.set()
        stop.set()

    signals.worker_ready.connect(begin, weak=False)
    signals.worker_shutting_down.connect(end, weak=False)
    app().worker_main(
        [
            "worker",
            "--pool=threads",
            f"--concurrency={workers}",
            "--loglevel=WARNING",
            "--without-gossip",
            "--without-mingle",
            f"--hostname=obmen-{uuid.uuid4().hex[:8]}@%h",
        ]
    )


def _look_out(stop: threading.Event, workers: int) -> None:
    try:
        while not stop.is_set():
            try:
                jobs.rescue()
                for run_id in jobs.ready(workers * 4):
                    send(run_id)
            except DatabaseError as error:
                log.warning("waiting runs could not be looked for: %s", error)
                connection.close()
            stop.wait(LOOK_OUT)
    finally:
        connection.close()
