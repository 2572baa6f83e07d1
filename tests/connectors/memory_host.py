"""A hub without a database for tests of doors: the promises of core.contract.DoorHost kept in dictionaries."""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from obmen.connectors.commerceml_door.settings import STREAMS, DoorSettings
from obmen.core.calls import parse_query
from obmen.core.contract import BadRecord, Call, DoorSession, Job, Pending, Reply
from obmen.core.records import Order, Reference, Subject

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass
class MemoryHost:
    root: Path
    settings: DoorSettings = field(default_factory=DoorSettings)
    streams: Sequence[str] = STREAMS
    zone: tzinfo = UTC
    name: str = "1C"
    clock: datetime = START
    sessions: dict[str, DoorSession] = field(default_factory=dict)
    noted: dict[str, Any] = field(default_factory=dict)
    orders: dict[int, tuple[int, Order]] = field(default_factory=dict)  # what waits: record id → (revision, order)
    offered: dict[str, set[tuple[int, int]]] = field(default_factory=dict)
    parked: dict[int, BadRecord] = field(default_factory=dict)
    journalled: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    asked: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)  # (type, key, file names)
    jobs: dict[str, Job] = field(default_factory=dict)
    answers: list[Job] = field(default_factory=list)  # states that ``wait`` goes through; empty = done at once
    known: dict[Subject, list[Reference]] = field(default_factory=dict)
    mapped: dict[tuple[Subject, str], tuple[str, str]] = field(default_factory=dict)
    on_import: Callable[[Sequence[Path]], None] | None = None

    def now(self) -> datetime:
        return self.clock

    def later(self, **parts: float) -> None:
        self.clock += timedelta(**parts)

    def say(self, text: str, **facts: object) -> str:
        return text.format(**facts) if facts else text

    def open_session(self, user: str, data: dict[str, Any]) -> DoorSession:
        session = DoorSession(secrets.token_hex(8), user, self.clock, data)
        self.sessions[session.cookie] = session
        return session

    def session(self, cookie: str) -> DoorSession | None:
        return self.sessions.get(cookie)

    def save(self, session: DoorSession) -> None:
        self.sessions[session.cookie] = session

    def folder(self, session: DoorSession) -> Path:
        folder = self.root / session.cookie
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def ask_import(self, session: DoorSession, files: Sequence[Path], type: str, key: str) -> Job:
        if key not in self.jobs:
            self.asked.append((type, key, tuple(f.name for f in files)))
            if self.on_import:
                self.on_import(files)
            self.jobs[key] = Job(len(self.jobs) + 1, "waiting")
        return self.jobs[key]

    def wait(self, job: Job, seconds: float) -> Job:
        if job.finished:
            return job
        key = next(k for k, j in self.jobs.items() if j.id == job.id)
        state = self.answers.pop(0) if self.answers else Job(job.id, "done", 100)
        self.jobs[key] = replace(state, id=job.id)
        return self.jobs[key]

    def pending_orders(self) -> Iterator[Pending]:
        for record_id, (revision, order) in sorted(self.orders.items()):
            yield Pending(record_id, revision, order)

    def offer(self, session: DoorSession, pending: Sequence[tuple[int, int]]) -> None:
        self.offered.setdefault(session.cookie, set()).update(pending)

    def confirm(self, session: DoorSession) -> int:
        count = 0
        for record_id, revision in self.offered.pop(session.cookie, set()):
            if self.orders.get(record_id, (None,))[0] == revision:
                del self.orders[record_id]
                count += 1
        return count

    def park_order(self, record_id: int, error: BadRecord) -> None:
        self.parked[record_id] = error

    def references(self, subject: Subject) -> Sequence[Reference]:
        return self.known.get(subject, [])

    def theirs(self, subject: Subject, ours: str) -> str | None:
        return self.mapped.get((subject, ours), (None, None))[0]

    def theirs_name(self, subject: Subject, ours: str) -> str | None:
        return self.mapped.get((subject, ours), (None, None))[1]

    def recall(self, name: str) -> Any:
        return self.noted.get(name)

    def remember(self, name: str, value: Any) -> None:
        self.noted[name] = value

    def journal(self, action: str, **facts: object) -> None:
        self.journalled.append((action, facts))


@dataclass
class Caller:
    """A 1C with its cookie jar: ``say("catalog", "init")`` → the answer's text."""

    host: MemoryHost
    cookie: str | None = None
    user: str = "1c"
    agent: str = "1C+Enterprise/8.3"

    def call(self, query: str, body: bytes = b"", *, method: str | None = None, length: int | None = None, **more: Any) -> Reply:
        from obmen.connectors.commerceml_door.door import Door

        headers = {"user-agent": self.agent} | ({"cookie": self.cookie} if self.cookie else {})
        call = Call(
            method or ("POST" if "mode=file" in query else "GET"),
            parse_query(query),
            headers,
            io.BytesIO(body),
            length=length if length is not None else len(body),
            user=self.user,
            **more,
        )
        return Door().answer(call, self.host)

    def say(self, type: str, mode: str, body: bytes = b"", **more: Any) -> str:
        params = "".join(f"&{k}={v}" for k, v in more.items())
        return text(self.call(f"type={type}&mode={mode}{params}", body))

    def enter(self, type: str = "catalog") -> Caller:
        lines = self.say(type, "checkauth").split("\n")
        assert lines[0] == "success", lines
        self.cookie = f"{lines[1]}={lines[2]}"
        return self

    def load(self, name: str, body: bytes, type: str = "catalog") -> str:
        """init, file, import in a session of its own, as 1C:UT sends one portion. The first answer that is no success, or the last."""
        self.enter(type)
        self.say(type, "init")
        answer = self.say(type, "file", body, filename=name)
        if not answer.startswith("success"):
            return answer
        while (answer := self.say(type, "import", filename=name)).startswith("progress"):
            pass
        return answer


def text(reply: Reply) -> str:
    body = reply.body if isinstance(reply.body, bytes) else b"".join(reply.body)
    charset = reply.headers.get("Content-Type", "charset=utf-8").partition("charset=")[2]
    return body.removeprefix(b"\xef\xbb\xbf").decode(charset)
