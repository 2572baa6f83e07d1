"""Throw away what has served its time: old conversations and their files, messages, runs. The books are never touched."""

from __future__ import annotations

import logging
import random
import shutil
import threading
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Q, QuerySet
from django.utils import timezone

from obmen.store import people, reservations
from obmen.store.models import DoorSessionRow, Intent, Message, Notice, Run, Tally, Trouble

log = logging.getLogger(__name__)
SESSIONS = timedelta(days=7)
MESSAGES = timedelta(days=30)
GOOD_RUNS = timedelta(days=30)
OTHER_RUNS = timedelta(days=180)
INTENTS = timedelta(days=180)
NOTICES = timedelta(days=90)
TALLIES = timedelta(days=400)
EVERY = timedelta(hours=1)
BATCH = 500  # rows of one transaction, so that nobody waits for the tidying


def tidy(now: datetime | None = None) -> Counter[str]:
    """Returns how many of what were removed: sessions, messages, runs, reservations that are over, notices, intents, files."""
    now = now or timezone.now()
    done: Counter[str] = Counter()
    kept = _files_of_open_runs()
    done["sessions"] = _delete(DoorSessionRow.objects.filter(last_call__lt=now - SESSIONS))
    done["messages"] = _delete(Message.objects.filter(at__lt=now - MESSAGES))
    good = Q(state=Run.State.DONE, ended__lt=now - GOOD_RUNS)
    ended = Q(state__in=[*Run.FINISHED, Run.State.POSTPONED], ended__lt=now - OTHER_RUNS)
    done["runs"] = _delete(Run.objects.filter(good | ended))
    done["reservations"] = reservations.prune(now)
    done["sign-ins"] = people.forget_old_sign_ins(now)
    done["tallies"] = _delete(Tally.objects.filter(hour__lt=now - TALLIES))
    done["notices"] = _delete(Notice.objects.filter(at__lt=now - NOTICES))
    done["troubles"] = _delete(Trouble.objects.filter(over__lt=now - NOTICES))
    done["intents"] = _delete(Intent.objects.filter(noted__lt=now - INTENTS))
    done["files"] = _folders(now, kept) + _spooled(now)
    return +done


def _delete(rows: QuerySet) -> int:  # type: ignore[type-arg]
    total = 0
    while ids := list(rows.values_list("pk", flat=True)[:BATCH]):
        rows.model.objects.filter(pk__in=ids).delete()
        total += len(ids)
    return total


def _files_of_open_runs() -> set[Path]:
    """Folders, at any height, of files that a run which waits or is running will still read."""
    open_runs = Run.objects.filter(state__in=[Run.State.WAITING, Run.State.RUNNING]).values_list("args", flat=True)
    return {folder for args in open_runs for file in args.get("files", ()) for folder in Path(file).parents}


def _folders(now: datetime, kept: set[Path]) -> int:
    """Folders of conversations that the database does not know any more: exchange/<connection>/<session>."""
    live = set(DoorSessionRow.objects.values_list("cookie", flat=True))
    return sum(
        _remove(folder)
        for folder in _entries(settings.OBMEN_HOME / "exchange", 2)
        if folder.is_dir() and folder.name not in live and folder not in kept and _older(folder, now - SESSIONS)
    )


def _spooled(now: datetime) -> int:
    """Bodies of calls that a killed server was receiving."""
    limit = now - timedelta(days=1)
    return sum(_remove(f) for f in _entries(settings.OBMEN_HOME / "tmp", 1) if f.is_file() and _older(f, limit))


def _entries(folder: Path, depth: int) -> Iterable[Path]:
    return folder.glob("/".join("*" * depth)) if folder.is_dir() else ()


def _older(path: Path, limit: datetime) -> bool:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC) < limit
    except FileNotFoundError:  # another machine's tidying was here first
        return False


def _remove(path: Path) -> int:
    try:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s could not be removed: %s", path, error)
        return 0
    return 1


def run(stop: threading.Event) -> None:
    """Tidy each hour until told to stop. Blocks. The first time comes some minutes after the start, by chance."""
    pause = random.uniform(60, 600)  # noqa: S311
    try:
        while not stop.wait(pause):
            try:
                done = tidy()
                if done:
                    log.info("tidied: %s", dict(done))
            except DatabaseError as error:
                log.warning("tidying did not work: %s", error)
            connection.close()
            pause = EVERY.total_seconds()
    finally:
        connection.close()
