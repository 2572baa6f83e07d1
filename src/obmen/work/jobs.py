"""The run table is the queue (design §6).

A run is asked for once while it waits, claimed by a guarded update, kept by a lease, rescued when the lease ends. Truth, lock,
retry and progress live in the database; a bell or a broker only says "look now", so a lost or doubled message is harmless.

How a run moves::

    ask → waiting → claim → running → finish → done | failed | needs_owner | stopped
             ↑                 ├── TryLater, a lost worker, a closing worker → waiting again, later and later
             └─────────────────┘
    postponed: it should wait again, but the same work has been asked for meanwhile, and that run does it.
"""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from django.db import DatabaseError, IntegrityError, close_old_connections, connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from obmen.core.contract import ExchangeError, NeedsOwner, TryLater
from obmen.core.words import gettext_noop as _
from obmen.store import tallies
from obmen.store.models import Connection, Run, RunLine

log = logging.getLogger(__name__)

State = Run.State
LEASE = timedelta(seconds=float(os.environ.get("OBMEN_LEASE", "30")))
BEAT = LEASE / 3
ATTEMPTS = 8  # how often a run may fail to settle a single further page before it is given up
FAULTS = 3  # unexpected errors after which a run is given up
POLL = 0.5  # seconds between looks, for what another process asked for
BY_ITSELF = ("schedule", "door")  # triggers of runs that a pause of their connection holds back; a person knows what they do


class LeaseLost(Exception):
    """Somebody else owns this run by now (we were frozen, or cut off): write nothing more, say nothing, go."""


class Closing(LeaseLost):
    """This worker is told to close: the run goes back to the queue, with all settled pages kept."""


class StopAsked(Exception):
    """A person asked to stop this run."""


# --- the bell: look now instead of at the next poll ------------------------------------------------------------------------


class Bell:
    """A wake-up that is never lost: whoever looks after the ring sees that the count went up."""

    def __init__(self) -> None:
        self._condition, self._count = threading.Condition(), 0

    def ring(self) -> None:
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    def count(self) -> int:
        with self._condition:
            return self._count

    def wait(self, seen: int, seconds: float) -> None:
        """Until somebody rings after ``seen`` was counted, or so many seconds."""
        with self._condition:
            self._condition.wait_for(lambda: self._count != seen, seconds)


bell = Bell()
closing = threading.Event()  # set when this process is told to end
_messengers: list[Callable[[int], None]] = []


def add_messenger(tell: Callable[[int], None]) -> Callable[[], None]:
    """``tell(run_id)`` is called when a run may be claimed now: a pipe to the worker process, a broker. Returns its removal."""
    _messengers.append(tell)
    return lambda: _messengers.remove(tell)


def announce(run_id: int) -> None:
    """Say that a run may be claimed now; call it after the commit that made it so."""
    bell.ring()
    for tell in _messengers:
        tell(run_id)


# --- asking ----------------------------------------------------------------------------------------------------------------


def ask(
    connection: Connection,
    streams: Sequence[str],
    *,
    trigger: str,
    who: str = "",
    args: Mapping[str, Any] | None = None,
    key: str | None = None,
    due: datetime | None = None,
) -> Run:
    """Queue a run of these streams. Asking again while one waits gives that one, brought forward when ``due`` is sooner.

    ``trigger``: schedule | person | door | cli | retry. ``key`` tells runs apart that do different work on the same streams
    (default: the connection and its streams). Streams are kept sorted, without repeats.
    """
    names = ",".join(sorted(set(streams)))
    unique = f"{connection.pk}:{key if key is not None else names}"[:100]
    due = due or timezone.now()
    while True:
        waiting = Run.objects.filter(unique_key=unique, state=State.WAITING).first()
        if waiting:
            if due < waiting.due:
                Run.objects.filter(pk=waiting.pk, state=State.WAITING, due__gt=due).update(due=due)
                waiting.due = due
            if waiting.trigger in BY_ITSELF and trigger not in BY_ITSELF:  # else a pause would hold what a person starts
                Run.objects.filter(pk=waiting.pk, state=State.WAITING).update(trigger=trigger, asked_by=who)
                waiting.trigger, waiting.asked_by = trigger, who
            run = waiting
            break
        try:
            with transaction.atomic():
                run = Run.objects.create(
                    connection=connection,
                    streams=names,
                    trigger=trigger,
                    asked_by=who,
                    unique_key=unique,
                    args=dict(args or {}),
                    due=due,
                )
            break
        except IntegrityError:  # asked for by somebody else between our two statements: look again
            continue
    run_id = run.pk
    transaction.on_commit(lambda: announce(run_id))
    return run


def ask_stop(run_id: int) -> bool:
    """A waiting run is stopped at once, a running one before its next page. False when it had already ended."""
    now = timezone.now()
    stopped = Run.objects.filter(pk=run_id, state=State.WAITING).update(state=State.STOPPED, ended=now, text=STOPPED_TEXT)
    return bool(stopped or Run.objects.filter(pk=run_id, state=State.RUNNING).update(stop_asked=True))


STOPPED_TEXT = _("Stopped by a person")
LOST_TEXT = _("The worker was lost {attempts} times without settling one more page; the run is given up")
REPLACED_TEXT = _("The same work was asked for again meanwhile; run {run} does it")
BROKEN_TEXT = _("The run stopped with an unexpected error: {error}")


# --- who we are ------------------------------------------------------------------------------------------------------------


@cache
def _machine() -> str:
    """Names this machine since its start and, in a container, this container: a process number means something only there."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return ""
    return f"{socket.gethostname()[:30]}.{boot}.{space:x}"


def _started(pid: int) -> str:
    """When a process of this machine started, in ticks since boot; "" when there is none."""
    try:
        # The second field is the name in brackets, which may hold blanks; the start time is field 22.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def worker_name() -> str:
    """A name for one claiming thread, from which another process of the same machine can tell that it is gone."""
    pid = os.getpid()
    return f"{_machine()}:{pid}:{_started(pid)}:{uuid.uuid4().hex[:8]}"


def _is_gone(worker: str) -> bool:
    """True only when it is certain: a worker of this machine whose process does not exist any more."""
    machine, _sep, rest = worker.partition(":")
    pid, _sep, rest = rest.partition(":")
    started = rest.partition(":")[0]
    return bool(machine and started) and machine == _machine() and _started(int(pid)) != started


# --- claiming --------------------------------------------------------------------------------------------------------------


def _ready(now: datetime) -> QuerySet[Run]:
    busy = Run.objects.filter(state=State.RUNNING).values("connection_id")
    paused = Connection.objects.filter(paused_until__gt=now).values("pk")
    return (
        Run.objects.filter(state=State.WAITING, due__lte=now)
        .exclude(connection_id__in=busy)
        .exclude(trigger__in=BY_ITSELF, connection_id__in=paused)
        .order_by("due", "id")
    )


def ready(limit: int) -> list[int]:
    """Ids of runs that could be claimed now, longest due first."""
    return list(_ready(timezone.now()).values_list("pk", flat=True)[:limit])


def claim(worker: str, only: int | None = None) -> Run | None:
    """Take the run that has been due longest (or exactly ``only``) of a connection that has none running.

    Whoever changes the row owns it; of two that start runs of one connection the unique constraint lets one through.
    """
    for run_id in ready(20) if only is None else [only]:
        if _claim(run_id, worker):
            return Run.objects.select_related("connection").get(pk=run_id)
    return None


def _claim(run_id: int, worker: str) -> bool:
    try:
        with transaction.atomic():
            now = timezone.now()  # not before: on SQLite we may have waited here for the end of the former run to be written
            wanted = _ready(now).filter(pk=run_id)
            if connection.features.has_select_for_update_skip_locked:
                # Others look at the same row at the same moment; without this they would stand in a queue behind it.
                wanted = wanted.select_for_update(skip_locked=True, of=("self",))
            if wanted.values_list("pk", flat=True).first() is None:
                return False
            taken = Run.objects.filter(pk=run_id, state=State.WAITING).update(
                state=State.RUNNING, worker=worker, attempts=F("attempts") + 1, ended=None
            )
            if not taken:
                return False
            # Not before: on PostgreSQL the constraint may have made us wait for the end of the former run to be written.
            now = timezone.now()
            Run.objects.filter(pk=run_id, state=State.RUNNING, worker=worker).update(
                lease_until=now + LEASE, started=Coalesce("started", now)
            )
            return True
    except IntegrityError:  # a run of the same connection was started a moment ago
        return False


def _mine(run_id: int, worker: str) -> QuerySet[Run]:
    return Run.objects.filter(pk=run_id, state=State.RUNNING, worker=worker)


class Lease:
    """Keeps a claimed run ours while we work: ``with Lease(run, worker) as lease:`` beats in a thread of its own.

    ``renew`` is the fence. A worker that was frozen beyond its lease finds there that the run is no longer its own, before it
    writes anything; the page's transaction is rolled back by the exception.
    """

    def __init__(self, run: Run, worker: str) -> None:
        self.run_id, self.worker = run.pk, worker
        self._end = threading.Event()
        self._lost = self._stop = False
        self._thread = threading.Thread(target=self._beat, name=f"lease-{run.pk}", daemon=True)

    def __enter__(self) -> Lease:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join()

    def check(self) -> None:
        """Between pages, where nothing is written (a preview). Raises as ``renew`` does."""
        if self._lost:
            raise LeaseLost
        if self._stop:
            raise StopAsked
        if closing.is_set():
            raise Closing

    def renew(self, percent: int | None = None, counts: Mapping[str, int] | None = None) -> None:
        """FIRST statement of every page's transaction. Raises LeaseLost, Closing or StopAsked.

        Commits together with the page, so that progress never says more than what is settled. A settled page also forgives
        earlier failed attempts: the limit is for runs that get no further.
        """
        self.check()
        values: dict[str, Any] = {"lease_until": timezone.now() + LEASE, "attempts": 1}
        if percent is not None:
            values["percent"] = max(0, min(100, percent))
        if counts is not None:
            values["counts"] = dict(counts)
        if not _mine(self.run_id, self.worker).filter(stop_asked=False).update(**values):
            self._stop = _mine(self.run_id, self.worker).exists()
            self._lost = not self._stop
            self.check()

    def _beat(self) -> None:
        good_until = time.monotonic() + LEASE.total_seconds()
        try:
            while not self._end.wait(BEAT.total_seconds()):
                try:
                    if not _mine(self.run_id, self.worker).update(lease_until=timezone.now() + LEASE):
                        self._lost = True
                        return
                    good_until = time.monotonic() + LEASE.total_seconds()
                    self._stop = _mine(self.run_id, self.worker).filter(stop_asked=True).exists()
                except DatabaseError as error:
                    log.warning("run %s: the lease could not be renewed: %s", self.run_id, error)
                    connection.close()
                    if time.monotonic() > good_until:
                        self._lost = True
                        return
        finally:
            connection.close()


# --- ending ----------------------------------------------------------------------------------------------------------------


def backoff(attempts: int) -> timedelta:
    """Twice as long each time up to five minutes, spread by chance so that many do not come back at one moment."""
    return timedelta(seconds=min(2 ** max(attempts - 1, 0), 300) * random.uniform(0.5, 1.0))  # noqa: S311 (no secret)


def finish(
    run: Run,
    worker: str,
    state: str,
    counts: Mapping[str, int] | None = None,
    text: str = "",
    facts: Mapping[str, Any] | None = None,
    after: timedelta | None = None,
) -> bool:
    """End a claimed run; False (and nothing changed) when it is no longer ours.

    ``postponed`` means *try later*: the run waits again for ``after``, or by exponential back-off, until the attempts are
    used up, and then it has failed. ``text`` is a msgid with its ``facts``.
    """
    values: dict[str, Any] = {"text": text, "facts": dict(facts or {})}
    if counts is not None:
        values["counts"] = dict(counts)
    if state == State.POSTPONED:
        return _again(run.pk, worker, values, after)
    if state == State.DONE:
        values["percent"] = 100
    ended = _mine(run.pk, worker).update(state=state, worker="", lease_until=None, ended=timezone.now(), **values)
    if ended:
        if state in (State.FAILED, State.NEEDS_OWNER):
            tallies.add(run.connection_id, {tallies.FAILED: 1}, timezone.now())
        _announce_next(run.connection_id)
    return bool(ended)


def hand_back(run_id: int, worker: str) -> bool:
    """Put a run back at once, without counting the attempt: its worker closes in good order."""
    return _again(run_id, worker, {"attempts": F("attempts") - 1}, timedelta())


def _again(run_id: int, worker: str, values: dict[str, Any], after: timedelta | None, lease: Q | None = None) -> bool:
    """running → waiting; → failed when the attempts are used up; → postponed when the same work is already asked for again."""
    mine = _mine(run_id, worker).filter(lease or Q())
    run = mine.first()
    if run is None:
        return False
    now = timezone.now()
    free: dict[str, Any] = {"worker": "", "lease_until": None}
    if run.stop_asked:
        return bool(mine.update(state=State.STOPPED, ended=now, **{**free, "text": STOPPED_TEXT, "facts": {}}))
    if run.attempts >= ATTEMPTS and after != timedelta():
        given_up = {"text": LOST_TEXT, "facts": {"attempts": run.attempts}} | values
        failed = bool(mine.update(state=State.FAILED, ended=now, **free, **given_up))
        tallies.add(run.connection_id, {tallies.FAILED: int(failed)}, now)
        return failed
    due = now + (backoff(run.attempts) if after is None else after)
    try:
        with transaction.atomic():
            moved = mine.update(state=State.WAITING, due=due, **free, **values)
    except IntegrityError:
        other = Run.objects.filter(unique_key=run.unique_key, state=State.WAITING).values_list("pk", flat=True).first()
        replaced = {"text": REPLACED_TEXT, "facts": {"run": other}}
        moved = mine.update(state=State.POSTPONED, ended=now, **free, **(values | replaced | {"attempts": run.attempts}))
    if moved:
        transaction.on_commit(lambda: announce(run_id))
    return bool(moved)


def _announce_next(connection_id: int) -> None:
    """The connection is free: its next run, or nobody, may start."""

    def tell() -> None:
        next_id = _ready(timezone.now()).filter(connection_id=connection_id).values_list("pk", flat=True).first()
        if next_id is not None:
            announce(next_id)

    transaction.on_commit(tell)


def rescue() -> int:
    """Runs whose worker is lost go back to the queue; returns how many.

    Lost is: the lease has ended, or the worker was of this machine and its process is gone (then nobody has to wait for the
    lease after a power cut). Both are guarded by the lease that we read, so a worker that renews meanwhile keeps its run.
    """
    now, rescued = timezone.now(), 0
    running = Run.objects.filter(state=State.RUNNING)
    for run_id, worker, lease_until in list(running.values_list("pk", "worker", "lease_until")):
        if (lease_until is None or lease_until < now) or _is_gone(worker):
            with _unless_locked(run_id) as free:
                if free and _again(run_id, worker, {}, None, Q(lease_until=lease_until)):
                    log.warning("run %s: its worker %s is lost; the run goes back to the queue", run_id, worker)
                    rescued += 1
    return rescued


@contextmanager
def _unless_locked(run_id: int) -> Iterator[bool]:
    """False when a page's transaction holds the row: its worker is frozen in it or about to renew; do not wait for it."""
    if not connection.features.has_select_for_update_skip_locked:
        yield True
        return
    with transaction.atomic():
        yield bool(Run.objects.filter(pk=run_id).select_for_update(skip_locked=True).values_list("pk"))


# --- working ---------------------------------------------------------------------------------------------------------------

Execute = Callable[[int, str], None]


def _execute(run_id: int, worker: str) -> None:
    from obmen.work import run  # here, because a command that only asks needs nothing of the engine

    run.execute(run_id, worker)


def work_one(worker: str, only: int | None = None, execute: Execute = _execute) -> Run | None:
    """Claim one run and execute it; None when there is nothing to do. Whatever happens, the run does not stay "running"."""
    run = claim(worker, only)
    if run is None:
        return None
    try:
        execute(run.pk, worker)
    except LeaseLost:
        log.warning("run %s: the lease was lost; whoever has it now goes on", run.pk)
    except StopAsked:
        finish(run, worker, State.STOPPED, text=STOPPED_TEXT)
    except ExchangeError as error:
        log.warning("run %s: %s", run.pk, error)
        facts = {name: str(value) for name, value in error.facts.items()}
        finish(run, worker, state_after(error), text=error.text, facts=facts, after=getattr(error, "after", None))
    except Exception as error:
        if not Run.objects.filter(pk=run.pk).exists():
            log.warning("run %s: its connection was removed meanwhile", run.pk)
            return run
        log.exception("run %s: unexpected error", run.pk)
        times = int(run.facts.get("times", 0)) + 1
        facts = {"error": f"{type(error).__name__}: {error}", "times": times}
        RunLine.objects.create(run_id=run.pk, level=RunLine.Level.ERROR, text=BROKEN_TEXT, facts=facts)
        # Counted apart from lost workers: a fault in mid-way comes again after the same settled pages, which forgive attempts.
        finish(run, worker, State.POSTPONED if times < FAULTS else State.FAILED, text=BROKEN_TEXT, facts=facts)
    if closing.is_set():
        hand_back(run.pk, worker)
    return run


def state_after(error: ExchangeError) -> str:
    """Law 2: the error's class says what happens next."""
    if isinstance(error, NeedsOwner):
        return State.NEEDS_OWNER
    return State.POSTPONED if isinstance(error, TryLater) else State.FAILED


def loop(stop: threading.Event, *, workers: int = 2, execute: Execute = _execute) -> None:
    """Work until ``stop`` is set: ``workers`` threads claim and execute, this one rescues. Blocks.

    On stop a running page settles, its run goes back to waiting, and all threads end.
    """
    threads = [threading.Thread(target=_work, args=(stop, execute), name=f"worker-{i}", daemon=True) for i in range(workers)]
    for thread in threads:
        thread.start()
    try:
        while not stop.is_set():
            try:
                rescue()
            except DatabaseError as error:
                log.warning("lost runs could not be looked for: %s", error)
            close_old_connections()
            stop.wait(min(BEAT.total_seconds(), 5) * random.uniform(0.8, 1.2))  # noqa: S311
    finally:
        bell.ring()
        for thread in threads:
            thread.join()
        connection.close()


def _work(stop: threading.Event, execute: Execute) -> None:
    worker = worker_name()
    try:
        while not stop.is_set():
            seen = bell.count()
            try:
                close_old_connections()
                if work_one(worker, execute=execute):
                    continue
            except DatabaseError as error:
                log.warning("the queue could not be looked at: %s", error)
                connection.close()
            bell.wait(seen, POLL * random.uniform(0.7, 1.3))  # noqa: S311
    finally:
        connection.close()
