"""How often one account may be called: a plan of slots that all threads and processes share.

A call books the next free slot and sleeps until it comes, so that waiting is fair and no turn is lost to polling. The whole
plan of an account is one number, the time of the next free slot, moved on by one statement; so it is as easy to keep in a
database that several machines see.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

MARGIN = 0.03  # seconds by which `per` is stretched: two calls reach the peer a little less far apart than they were sent
LATE = 0.015  # seconds; by what a call leaves later than that after its slot, the later slots are moved, or they would catch up
FAR = 900.0  # seconds; a slot further away than this was booked before somebody set the clock back: it is forgotten
LONGEST_HOLD = 60.0  # seconds


class Slots(Protocol):
    """Where the plans are kept. ``key`` names an account and is no secret; times are seconds."""

    def book(self, key: str, every: float, burst: int) -> float:
        """Take the next slot, the one after it comes ``every`` later; how long until ours, below 0 by as much as the booking itself
        took when it was free at once. Up to ``burst`` at once after a rest."""
        ...

    def hold(self, key: str, seconds: float) -> None:
        """No slot before that long from now."""
        ...

    def shift(self, key: str, seconds: float) -> None:
        """Every slot that is not booked yet comes that much later, counted from now if the next one is over."""
        ...

    def close(self) -> None: ...


class MemorySlots:
    """Plans for the threads of one process."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._next: dict[str, float] = {}

    def book(self, key: str, every: float, burst: int) -> float:
        with self._lock:
            now = self._clock()
            slot = max(self._next.get(key, 0.0), now - (burst - 1) * every)
            self._next[key] = slot + every
        return max(0.0, slot - now)

    def hold(self, key: str, seconds: float) -> None:
        with self._lock:
            self._next[key] = max(self._next.get(key, 0.0), self._clock() + seconds)

    def shift(self, key: str, seconds: float) -> None:
        with self._lock:
            self._next[key] = max(self._next.get(key, 0.0), self._clock()) + seconds

    def close(self) -> None:
        """Nothing to close: the plans end with the process."""


class FileSlots:
    """Plans for all processes of one machine, in a small SQLite file. Not for a network file system.

    A killed process leaves nothing locked; a plan that is lost with the machine costs nothing, so nothing is synced to disk.
    """

    BOOK = """
        INSERT INTO slots (key, next) VALUES (:key, :floor + :every)
        ON CONFLICT (key) DO UPDATE SET next = CASE WHEN next > :far THEN :floor ELSE max(next, :floor) END + :every
        RETURNING next
    """
    HOLD = "INSERT INTO slots (key, next) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET next = max(next, ?2)"
    SHIFT = "UPDATE slots SET next = max(next, ?2) + ?3 WHERE key = ?1"

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock, self._lock = path, clock, threading.Lock()
        self._opened: tuple[int, sqlite3.Connection] | None = None

    def book(self, key: str, every: float, burst: int) -> float:
        now = self._clock()
        facts = {"key": key, "every": every, "floor": now - (burst - 1) * every, "far": now + FAR}
        with self._lock:
            ((after,),) = self._connection().execute(self.BOOK, facts).fetchall()
        # A disk or a lock that was waited for makes the call late: were its slot said to be just now, the next one would follow too soon.
        return max(0.0, float(after) - every - now) - max(0.0, self._clock() - now)

    def hold(self, key: str, seconds: float) -> None:
        with self._lock:
            self._connection().execute(self.HOLD, (key, self._clock() + seconds))

    def shift(self, key: str, seconds: float) -> None:
        with self._lock:
            self._connection().execute(self.SHIFT, (key, self._clock(), seconds))

    def close(self) -> None:
        with self._lock:
            if self._opened is not None:
                self._opened[1].close()
                self._opened = None

    def _connection(self) -> sqlite3.Connection:
        """One per process: a connection must not be carried over a fork."""
        if self._opened is None or self._opened[0] != os.getpid():
            connection = sqlite3.connect(self._path, timeout=10, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute("CREATE TABLE IF NOT EXISTS slots (key TEXT PRIMARY KEY, next REAL NOT NULL) WITHOUT ROWID")
            self._opened = (os.getpid(), connection)
        return self._opened[1]


class Pace:
    """At most ``calls`` in any ``per`` seconds, evenly spread; after a rest up to ``burst`` at once.

    With ``burst=1`` the peer never sees more than ``calls`` in a rolling ``per``; a greater one is for peers whose own
    limiter says that it takes bursts (a rolling window may then hold ``calls + burst - 1``).
    """

    def __init__(
        self,
        key: str,
        calls: int,
        per: float = 1.0,
        *,
        slots: Slots,
        burst: int = 1,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._key, self._slots, self._burst, self._sleep = key, slots, burst, sleep
        self._every = (per + min(MARGIN, per * MARGIN)) / calls
        self._lock = threading.Lock()
        self.waited = 0.0  # seconds that calls of this object slept for a slot, all threads together
        self.used = 0  # slots taken

    def take(self) -> float:
        """Sleep until it is our turn; the moment (time.monotonic) at which the call should leave, or should have left."""
        wait = self._slots.book(self._key, self._every, self._burst)
        due = time.monotonic() + wait
        wait = max(0.0, wait)
        if wait:
            self._sleep(wait)
        with self._lock:
            self.waited += wait
            self.used += 1
        return due

    def left(self, due: float) -> None:
        """The call of ``take`` leaves now. It may be late: the machine was busy, a new connection had to be made first.

        A late call costs a slot at most, so that many which a standing machine let out together are made up for and no more.
        """
        late = time.monotonic() - due - LATE
        if late > 0:
            self._slots.shift(self._key, min(late, self._every))

    def hold(self, seconds: float) -> None:
        """The peer asked for a rest: nobody calls before."""
        self._slots.hold(self._key, min(seconds, LONGEST_HOLD))

    def close(self) -> None:
        self._slots.close()
