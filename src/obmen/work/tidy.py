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

from obmen.store.models import DoorSessionRow, Intent, Message, Run

log = logging.getLogger(__name__)
SESSIONS = timedelta(days=7)
MESSAGES = timedelta(days=30)
GOOD_RUNS = timedelta(days=30)
OTHER_RUNS = timedelta(days=180)
INTENTS = timedelta(days=180)
EVERY = timedelta(hours=1)
BATCH = 500  # rows of one transaction, so that nobody waits for the tidying


def tidy(now: datetime | None = None) -> Counter[str]:
    """Returns how many of what were removed: sessions, messages, runs, intents, files."""
    now = now or timezone.now()
    done: Counter[str] = Counter()
    kept = _files_of_open_runs()
    done["sessions"] = _delete(DoorSessionRow.objects.filter(last_call__lt=now - SESSIONS))
    done["messages"] = _delete(Message.objects.filter(at__lt=now - MESSAGES))
    good = Q(state=Run.State.DONE, ended__lt=now - GOOD_RUNS)
    ended = Q(state__in=[*Run.FINISHED, Run.State.POSTPONED], ended__lt=now - OTHER_RUNS)
    done["runs"] = _delete(Run.objects.filter(good | ended))
    done["intents"] = _delete(Intent.objects.filter(noted__lt=now - INTENTS))
    done["files"] = _folders(now, kept) + _loose_files(now)
    return +done


def _delete(rows: QuerySet) -> int:  # type: ignore[type-arg]
    total = 0
    while ids := list(rows.values_list("pk", flat=True)[:BATCH]):
        rows.model.objects.filter(pk__in=ids).delete()
        total += len(ids)
    return total


def _files_of_open_runs() -> set[Path]:
    """Folders that a run which waits or is running will still read."""
    open_runs = Run.objects.filter(state__in=[Run.State.WAITING, Run.State.RUNNING]).values_list("args", flat=True)
    return {Path(file).parent for args in open_runs for file in args.get("files", ())}


def _folders(now: datetime, kept: set[Path]) -> int:
    """Folders of conversations that the database does not know any more: RECEIVED/<connection>/<session>."""
    live = set(DoorSessionRow.objects.values_list("cookie", flat=True))
    return sum(
        _remove(folder)
        for folder in _entries(settings.OBMEN_HOME / "exchange", 2)
        if folder.is_dir() and folder.name not in live and folder not in kept and _older(folder, now - SESSIONS)
    )


def _loose_files(now: datetime) -> int:
    """Bodies of long messages whose row is gone, and spooled uploads of a killed server."""
    named = set(Message.objects.exclude(file="").values_list("file", flat=True))
    home = settings.OBMEN_HOME
    bodies = [f for f in (home / "messages").rglob("*") if f.is_file() and str(f.relative_to(home)) not in named]
    spooled = [f for f in _entries(home / "tmp", 1) if f.is_file()]
    return sum(_remove(f) for f in bodies if _older(f, now - MESSAGES)) + sum(
        _remove(f) for f in spooled if _older(f, now - timedelta(days=1))
    )


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
