"""Large feeds, written by several processes: each writes ranges of the goods, one joins them (docs/decisions/0013-feeds-in-parts.md).

The children are clean processes that run ``main`` and nothing else: nothing of the parent's database connection, threads and locks is
in them. Each makes the connector anew from what it is given, writes the document without any good to know what stands around
the goods, and then the ranges it is asked for, by the same ``part`` of the feed as the one-process way. They write no row, and end
when their parent does (stdin closes, also after kill -9).

What a document may hold once (ids, names) is looked at by the parent: it knows by their keys what a range has asked for, and a range
that met something of an earlier one is written again, knowing it. So the document is byte for byte that of one process. Whatever else
is not as it should be ends in ``NotInParts``, and the one-process way.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import secrets
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from queue import Empty, PriorityQueue, SimpleQueue
from typing import IO, Any, NamedTuple, cast

from django.db import connection as db

from obmen.core.contract import Books, Choice, Feed, InParts
from obmen.core.records import Good, Subject
from obmen.core.words import plain_facts
from obmen.formats.findings import Ids
from obmen.store import connections, models
from obmen.store.hub import DjangoHub
from obmen.store.reading import Books as StoredBooks
from obmen.work.feed_file import FeedFile, Packing
from obmen.work.garbage import few_collections

LEAST = 20_000  # goods: fewer are written before a second process is ready
PAGES = 10  # of the books, in one range: small, so that all processes end together
MOST = 4  # processes: beyond that the disk and the joining are what is waited for
AGAIN = 3  # how often one range is written anew
LOOK = 1.0  # seconds between two looks at whether the run is to stop
LENGTH = struct.Struct("<Q")
START = "import gc, django; django.setup(); gc.freeze(); from obmen.work.parts import main; main()"


class NotInParts(Exception):
    """The document has to be written by one process; its text says why, for the log."""


def processes() -> int:
    """How many may write beside each other. OBMEN_PARTS=0 switches it off."""
    if os.environ.get("OBMEN_PARTS") == "0":
        return 1
    return min(MOST, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def worth_it(feed: Feed, books: StoredBooks) -> bool:
    return processes() > 1 and isinstance(feed, InParts) and books.count(feed.choice) >= LEAST


class Ask(NamedTuple):
    """A range of ids for a child, above ``after`` and up to ``until`` (None: to the end). ``known``: keys that earlier ranges have."""

    number: int
    after: int
    until: int | None
    known: bytes = b""


class Answer(NamedTuple):
    """What has become of a range: its files are in the folder. ``said`` is there as well, pickled calls of ``Notebook``."""

    number: int
    head: str  # digest of what stands before the goods, in the file of that name
    frame: tuple[dict[str, int], list[Any]]  # counts and messages of the document without goods
    counts: dict[str, int]  # of this range alone
    added: bytes  # keys of what it holds
    asked: bytes  # keys of what it has looked for besides
    error: str = ""


def write(
    feed: InParts, stream: str, name: str, now: datetime, hub: DjangoHub, file: FeedFile, folder: Path
) -> Mapping[str, int]:
    """The whole document to ``file``; counts and messages as of ``feed.write``. Raises NotInParts
    before anything was said of it, as ``feed.whole``, and what says that the run is to stop."""
    ends = [0, *cast(StoredBooks, hub.books).cuts(feed.choice, PAGES)]
    asks = [Ask(n, *ends) for n, ends in enumerate([*pairwise(ends), (ends[-1], None)])]
    task = (hub.connection, hub.preview, stream, name, now, str(folder), str(db.settings_dict["NAME"]))
    met = Ids()
    total: dict[str, int] = {}
    first: Answer | None = None
    with _Crew(min(processes(), len(asks)), pickle.dumps(task)) as crew:
        for ask in asks:
            crew.ask(ask)
        for ask in asks:
            part = _settled(crew, ask, met, lambda: hub.sleep(0))
            if first is None:
                first, total = part, dict(part.frame[0])
                file.write((folder / f"{part.head}.head").read_bytes())
            elif (part.head, part.frame) != (first.head, first.frame):
                raise NotInParts("what stands before the goods has changed meanwhile")
            for key in _keys(part.added):
                met.take(key)
            for what, count in part.counts.items():
                total[what] = total.get(what, 0) + count
            file.join(_plain(folder, ask.number), _packed(folder, ask.number))
        file.write(feed.tail)
    assert first is not None
    _repeat(first.frame[1], hub)
    for ask in asks:
        with _said(folder, ask.number).open("rb") as notes:
            _repeat(pickle.load(notes), hub)  # noqa: S301 (from our own child)
    feed.whole(total)
    return total


def _settled(crew: _Crew, ask: Ask, met: Ids, stop: Callable[[], None]) -> Answer:
    """The range as it is after all earlier ones, whose ids and names are in ``met``."""
    known: set[int] = set()
    for _ in range(AGAIN + 1):
        part = crew.take(ask.number, stop)
        found = {key for keys in (part.added, part.asked) for key in _keys(keys) if key not in known and met.has(key)}
        if not found:
            return part
        known |= found
        crew.ask(ask._replace(known=array("Q", known).tobytes()))
    raise NotInParts("its goods share too much with those before")


def _keys(raw: bytes) -> array[int]:
    return array("Q", raw)


def _plain(folder: Path, number: int) -> Path:
    return folder / f"{number}.part"


def _packed(folder: Path, number: int) -> Path:
    return folder / f"{number}.packed"


def _said(folder: Path, number: int) -> Path:
    return folder / f"{number}.said"


class _Crew:
    """The children. One thread for each asks and waits for its answers; the ranges come from one queue, the earliest first."""

    def __init__(self, count: int, task: bytes) -> None:
        # Keys of ids and names are hashes: they have to be the same in all children.
        known = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "PYTHONHASHSEED": str(secrets.randbelow(1 << 32))}
        lean = {"OBMEN_LEAN": "1", "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "obmen.settings")}
        command, environment = [sys.executable, "-c", START], {**os.environ, **known, **lean}
        self._asks: PriorityQueue[Ask] = PriorityQueue()
        self._answers: SimpleQueue[Answer | None] = SimpleQueue()
        self._held: dict[int, Answer] = {}
        self._children: list[subprocess.Popen[bytes]] = []
        self._threads: list[threading.Thread] = []
        self._closed, self._look = False, 0.0
        try:
            for _ in range(count):
                child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
                self._children.append(child)
                self._threads.append(threading.Thread(target=self._drive, args=(child, task), daemon=True, name="feed-part"))
                self._threads[-1].start()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> _Crew:
        return self

    def __exit__(self, *_error: object) -> None:
        self._closed = True
        for child in self._children:
            child.kill()
        for _thread in self._threads:
            self._asks.put(Ask(-1, 0, 0))
        for thread in self._threads:
            thread.join()
        for child in self._children:
            child.wait()
            for stream in (child.stdin, child.stdout):
                with suppress(OSError):
                    cast(IO[bytes], stream).close()

    def ask(self, ask: Ask) -> None:
        self._asks.put(ask)

    def take(self, number: int, stop: Callable[[], None]) -> Answer:
        """The newest answer of that range. Raises NotInParts, and as ``stop``."""
        while number not in self._held:
            if time.monotonic() >= self._look:
                stop()
                self._look = time.monotonic() + LOOK
            try:
                answer = self._answers.get(timeout=LOOK)
            except Empty:
                continue
            if answer is None or answer.error:
                raise NotInParts(answer.error if answer else "a process has ended")
            self._held[answer.number] = answer
        return self._held.pop(number)

    def _drive(self, child: subprocess.Popen[bytes], task: bytes) -> None:
        """Any end but that of the crew is told: who waits for an answer must not wait for ever."""
        requests, answers = cast(IO[bytes], child.stdin), cast(IO[bytes], child.stdout)
        try:
            _send(requests, task)
            while (ask := self._asks.get()).number >= 0 and not self._closed:
                _send(requests, pickle.dumps(ask))
                answer = _receive(answers)
                if answer is None:
                    break
                self._answers.put(pickle.loads(answer))  # noqa: S301 (from our own child)
        except (OSError, ValueError):
            pass
        self._answers.put(None)


def _send(stream: IO[bytes], data: bytes) -> None:
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()


def _receive(stream: IO[bytes]) -> bytes | None:
    try:
        head = stream.read(LENGTH.size)
        data = stream.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else b""
    except (OSError, ValueError):  # the other side has gone, or this one has closed
        return None
    return data if head and len(head) == LENGTH.size and len(data) == LENGTH.unpack(head)[0] else None


def _repeat(calls: Sequence[Any], hub: DjangoHub) -> None:
    for what, args, facts in calls:
        (hub.report if what == "report" else hub.unmapped)(*args, **facts)


# --- the child -------------------------------------------------------------------------------------------------------------


class Notebook(DjangoHub):
    """A hub that keeps what it is told for the parent's."""

    def __init__(self, connection: models.Connection, preview: bool) -> None:
        super().__init__(connection, preview=preview)
        self.calls: list[Any] = []

    def report(self, level: str, text: str, **facts: object) -> None:
        self.calls.append(("report", (level, text), plain_facts(facts)))

    def unmapped(self, subject: Subject, theirs: str, name: str = "") -> None:
        self.calls.append(("unmapped", (subject, theirs, name), {}))

    def remember(self, name: str, value: Any) -> None:
        raise RuntimeError("a feed in parts remembers nothing")


class Range(StoredBooks):
    """The books with the goods of a range of ids alone; of ``until`` 0 without any."""

    def __init__(self, after: int, until: int | None) -> None:
        self.after, self.until = after, until

    def goods(self, choice: Choice, after: int = 0, until: int | None = None) -> Iterator[Good]:
        return super().goods(choice, self.after, self.until)


class Asked:
    """What a range has met (``contract.Met``), and what it has asked for; what it knew before does not count as its own. A plain set: a
    range is small."""

    def __init__(self, known: Iterable[int] = ()) -> None:
        self._known, self._own, self._asked = frozenset(known), set[int](), set[int]()

    def __contains__(self, text: object) -> bool:
        key = Ids.key(text)
        if key in self._own or key in self._known:
            return True
        self._asked.add(key)
        return False

    def add(self, text: str) -> bool:
        key = Ids.key(text)
        if key in self._own or key in self._known:
            return False
        self._own.add(key)
        return True

    @property
    def added(self) -> bytes:
        return array("Q", self._own).tobytes()

    @property
    def others(self) -> bytes:
        """What it was asked for and neither knew nor was given."""
        return array("Q", self._asked - self._own).tobytes()


class _Body:
    """A file that keeps of a document what stands between its known head and tail, plain and packed."""

    def __init__(self, head: bytes, tail: bytes, plain: IO[bytes], packed: IO[bytes]) -> None:
        self._head, self._tail, self._plain, self._packed = head, tail, plain, Packing(cast(Any, packed))
        self._at, self._held = 0, b""

    def write(self, piece: bytes) -> int:
        size = len(piece)
        if self._at < len(self._head):
            start, piece = piece[: len(self._head) - self._at], piece[len(self._head) - self._at :]
            if self._head[self._at : self._at + len(start)] != start:
                raise NotInParts("what stands before the goods is not always the same")
            self._at += len(start)
        piece = self._held + piece
        cut = max(len(piece) - len(self._tail), 0)
        self._held = piece[cut:]
        self._plain.write(piece[:cut])
        self._packed.write(piece[:cut])
        return size

    def finish(self) -> None:
        if self._held != self._tail or self._at < len(self._head):
            raise NotInParts("the document does not end as it should")
        self._packed.finish()


class _Writer:
    """Makes a feed's document in parts, in this process."""

    def __init__(self, hub: Notebook, feed: InParts, now: datetime, folder: Path) -> None:
        self.hub, self.feed, self.now, self.folder = hub, feed, now, folder
        empty = io.BytesIO()
        self.counts = dict(feed.part(empty, cast(Books, Range(0, 0)), now, Asked()))
        self.calls, hub.calls = hub.calls, []
        document = empty.getvalue()
        if not document.endswith(feed.tail):
            raise NotInParts("the document does not end as it should")
        self.head = document.removesuffix(feed.tail)
        self.name = hashlib.sha256(self.head).hexdigest()
        own = folder / f"{os.getpid()}.head"
        own.write_bytes(self.head)
        own.replace(folder / f"{self.name}.head")

    def write(self, ask: Ask) -> Answer:
        met = Asked(_keys(ask.known))
        with _plain(self.folder, ask.number).open("wb") as plain, _packed(self.folder, ask.number).open("wb") as packed:
            body = _Body(self.head, self.feed.tail, plain, packed)
            counts = dict(self.feed.part(cast(Any, body), cast(Books, Range(ask.after, ask.until)), self.now, met))
            body.finish()
        calls, self.hub.calls = self.hub.calls, []
        frame = len(self.calls)
        if calls[:frame] != self.calls:
            raise NotInParts("what is told before the goods is not always the same")
        with _said(self.folder, ask.number).open("wb") as said:
            pickle.dump(calls[frame:], said)
        own = {what: count - self.counts.get(what, 0) for what, count in counts.items()}
        return Answer(ask.number, self.name, (self.counts, self.calls), own, met.added, met.others)


def main() -> None:
    # What a library prints must not get between the answers. Signals to a whole group reach the parent as well: when it ends, so does this
    # one, and takes the files with it.
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for asked_to_end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked_to_end, signal.SIG_IGN)
    said = _receive(requests)
    if said is None:
        return
    task = pickle.loads(said)  # noqa: S301 (from our own parent)
    *_rest, folder, database = task
    asks: SimpleQueue[Ask] = SimpleQueue()
    threading.Thread(target=_listen, args=(requests, asks, Path(folder)), daemon=True).start()
    db.settings_dict["NAME"] = database  # what the parent reads
    with few_collections():
        _answer(asks, answers, task)


def _answer(asks: SimpleQueue[Ask], answers: IO[bytes], task: tuple[Any, ...]) -> None:
    """Until the parent takes no more."""
    connection, preview, stream, name, now, folder, _database = task
    writer: _Writer | None = None
    while True:
        ask = asks.get()
        try:
            if writer is None:
                hub = Notebook(connection, preview)
                feeds = connections.connector_of(connection, hub).feeds()
                feed = next(feed for feed in feeds if (feed.stream, feed.name) == (stream, name))
                writer = _Writer(hub, cast(InParts, feed), now, Path(folder))
            answer = writer.write(ask)
        except Exception as error:
            answer = Answer(ask.number, "", ({}, []), {}, b"", b"", f"{type(error).__name__}: {error}")
        try:
            _send(answers, pickle.dumps(answer))
        except OSError:
            return


def _listen(requests: IO[bytes], asks: SimpleQueue[Ask], folder: Path) -> None:
    """The parent kills its children before it closes their pipes: an end of file says that it was killed itself, in the middle."""
    while (said := _receive(requests)) is not None:
        asks.put(pickle.loads(said))  # noqa: S301 (from our own parent)
    shutil.rmtree(folder.parent, ignore_errors=True)  # with what the parent has written
    os._exit(1)
