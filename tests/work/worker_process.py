"""A worker as a real process, for tests that kill and freeze it: ``worker_process.py LOG``.

A run's args say what it does: {"pages": how many, "seconds": for each page}. Every page is one transaction that renews the lease first
and then leaves a RunLine, as a page of an import leaves records; the bookmark is the number of those lines.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "obmen.settings"
os.environ["OBMEN_LEAN"] = "1"
django.setup()

from django.db import transaction  # noqa: E402

from obmen.store.models import Run, RunLine  # noqa: E402
from obmen.work import jobs  # noqa: E402

LOG = Path(sys.argv[1])


def note(what: str, run: Run) -> None:
    with open(LOG, "a") as out:
        out.write(f"{time.monotonic():.4f} {os.getpid()} {what} {run.pk} {run.connection_id}\n")


def execute(run_id: int, worker: str) -> None:
    run = Run.objects.get(pk=run_id)
    note("start", run)
    with jobs.Lease(run, worker) as lease:
        done = RunLine.objects.filter(run=run).count()
        for page in range(done, run.args["pages"]):
            time.sleep(run.args["seconds"])  # the work of a page
            note("page", run)
            with transaction.atomic():
                lease.renew(percent=100 * (page + 1) // run.args["pages"], counts={"pages": page + 1})
                RunLine.objects.create(run=run, text=f"page {page}", facts={"worker": worker})
        note("done", run)  # before the end is settled: after it the next run of the connection may start at once
        jobs.finish(run, worker, "done")


if __name__ == "__main__":
    stop = threading.Event()

    def end(*_args: object) -> None:
        jobs.closing.set()
        stop.set()

    signal.signal(signal.SIGTERM, end)
    jobs.loop(stop, workers=int(os.environ.get("WORKERS", "1")), execute=execute)
