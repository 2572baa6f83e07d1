"""What stand-ins of JSON services have in common: one request, faults, a rate limit, a log, a server on a real socket."""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from obmen.sandbox import sockets

Json = dict[str, Any]
Clock = Callable[[], datetime]
LONGEST = 512 * 1024 * 1024  # bytes of a body
JSON, HTML = "application/json; charset=utf-8", "text/html; charset=utf-8"


@dataclass(frozen=True)
class Request:
    """What came over the wire; names of ``headers`` are in small letters."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @cached_property
    def params(self) -> dict[str, str]:
        """Of two with one name the last counts."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    @cached_property
    def form(self) -> dict[str, str]:
        pairs = parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)
        return {name: value.strip() for name, value in pairs}

    @property
    def bearer(self) -> str:
        scheme, _space, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""


@dataclass(frozen=True, slots=True)
class Answer:
    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    whole: int | None = None  # the length that is promised, when it is more than what is sent


def dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain).encode()


def following(book: dict[int, Any], before: int) -> int:
    """The next number of a book that is numbered upwards; ``before`` the first one where it is empty. Looking for the highest
    number would make a large price list a matter of hours."""
    return next(reversed(book), before) + 1


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(type(value).__name__)


@dataclass(frozen=True, slots=True)
class Logged:
    """One request of the API, for the page and for tests. ``status`` 0: no answer was sent."""

    at: datetime
    method: str
    path: str
    query: str
    sent: bytes
    status: int
    answer: bytes
    fault: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.sent, parse_float=Decimal) if self.sent else None


# --- what goes wrong on purpose ----------------------------------------------------------------------------------------------------

KINDS = {
    "timeout": "nothing is done, no answer comes",
    "lost": "the work is done, no answer comes",
    "truncated": "the work is done, the answer breaks off in the middle",
    "slow": "the work is done, the answer comes late",
    "503": "nothing is done, 503 with a page of the web server",
    "500": "nothing is done, 500 with an empty body",
    "429": "nothing is done, too many requests",
    "html": "nothing is done, 200 with a web page instead of JSON",
    "empty": "nothing is done, 200 with an empty body",
    "expired": "the credentials of this request are no longer valid",
}


@dataclass(slots=True)
class Fault:
    """``path``: part of the path. ``seconds``: how long "slow", "timeout" and "lost" take; 0 drops the connection at once."""

    kind: str
    times: int = 1
    path: str = ""
    method: str = ""
    seconds: float = 0.0
    skip: int = 0  # requests of this sort that still go well


class Faults:
    def __init__(self) -> None:
        self.planned: list[Fault] = []
        self.met: list[Fault] = []

    def plan(self, kind: str, times: int = 1, *, path: str = "", method: str = "", seconds: float = 0.0, skip: int = 0) -> Fault:
        """The next ``times`` requests of this sort go wrong. Raises ValueError for an unknown kind."""
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is none of {', '.join(KINDS)}")
        self.planned.append(Fault(kind, times, path, method, seconds, skip))
        return self.planned[-1]

    def take(self, method: str, path: str) -> Fault | None:
        for fault in self.planned:
            if fault.path not in path or fault.method not in ("", method):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            fault.times -= 1
            if fault.times <= 0:
                self.planned.remove(fault)
            self.met.append(fault)
            return fault
        return None


class Limiter:
    """``rate`` requests in any ``period`` seconds for each key; 0: no limit."""

    def __init__(self, rate: int, period: float = 1.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.period, self.monotonic = rate, period, monotonic
        self._recent: dict[str, deque[float]] = {}

    def wait(self, key: str) -> int:
        """Whole seconds to wait, 0 when the request may pass."""
        if not self.rate:
            return 0
        now, recent = self.monotonic(), self._recent.setdefault(key, deque())
        while recent and now - recent[0] >= self.period:
            recent.popleft()
        if len(recent) >= self.rate:
            return max(1, math.ceil(self.period - (now - recent[0])))
        recent.append(now)
        return 0


# --- the service -------------------------------------------------------------------------------------------------------------------


class Stand(ABC):
    """One account of a service. Everything runs under ``lock``; what is named without an underscore may be called by tests."""

    title: ClassVar[str]
    prefix: ClassVar[str] = "/"  # where the API is; other addresses are pages for a person
    pages: ClassVar[tuple[str, ...]] = ()  # … or the pages, where the API has the rest

    def __init__(self, *, clock: Clock | None = None, keep: int = 5000, rate: int = 0, period: float = 1.0) -> None:
        """``keep``: requests that are remembered. ``rate``: requests in ``period`` seconds for each token, 0 = no limit."""
        self.clock: Clock = clock or (lambda: datetime.now(UTC))
        self.lock = threading.RLock()
        self.faults, self.limiter = Faults(), Limiter(rate, period)
        self.log: deque[Logged] = deque(maxlen=keep)
        self.writes: Counter[str] = Counter()  # what the API has really changed: an idle exchange leaves it as it was

    @abstractmethod
    def respond(self, request: Request) -> Answer: ...

    @abstractmethod
    def throttled(self, seconds: int) -> Answer: ...

    @abstractmethod
    def expire(self, request: Request) -> None:
        """What the fault "expired" does: the credentials of this request stop working."""

    @abstractmethod
    def page(self, request: Request) -> Answer: ...

    def now(self) -> datetime:
        return self.clock().astimezone(UTC)

    def is_api(self, path: str) -> bool:
        if self.pages:
            return path.strip("/").split("/")[0] not in self.pages
        return path.startswith(self.prefix)

    def fault(self, kind: str, times: int = 1, *, path: str = "", method: str = "", seconds: float = 0.0, skip: int = 0) -> Fault:
        """Plans what goes wrong (KINDS) with the next ``times`` requests whose path has ``path`` in it."""
        with self.lock:
            return self.faults.plan(kind, times, path=path, method=method, seconds=seconds, skip=skip)

    def calls(self, path: str = "", method: str = "") -> list[Logged]:
        """Requests whose path has ``path`` in it, oldest first."""
        with self.lock:
            return [one for one in self.log if path in one.path and method in ("", one.method)]

    def handle(self, request: Request) -> tuple[Answer | None, Fault | None]:
        """(answer, what went wrong on purpose). Without an answer the connection is to be dropped; waiting is the server's business."""
        with self.lock:
            fault = self.faults.take(request.method, request.path)
            answer = self._disturbed(request, fault) if fault else self.respond(request)
            status, body = (answer.status, answer.body) if answer else (0, b"")
            kind = fault.kind if fault else ""
            self.log.append(Logged(self.now(), request.method, request.path, request.query, request.body, status, body, kind))
            return answer, fault

    def _disturbed(self, request: Request, fault: Fault) -> Answer | None:
        match fault.kind:
            case "timeout":
                return None
            case "lost":
                self.respond(request)
                return None
            case "truncated":
                answer = self.respond(request)
                return replace(answer, body=answer.body[: len(answer.body) // 2], whole=len(answer.body))
            case "503":
                return Answer(b"<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>", 503, HTML)
            case "500":
                return Answer(b"", 500, HTML)
            case "429":
                return self.throttled(max(1, math.ceil(fault.seconds)))
            case "html":
                return Answer(b"<!DOCTYPE html><html><body><h1>Technical works</h1></body></html>", 200, HTML)
            case "empty":
                return Answer(b"")
            case "expired":
                self.expire(request)
        return self.respond(request)


# --- on a socket -------------------------------------------------------------------------------------------------------------------


class _Handler(sockets.Handler):
    do_PUT = do_DELETE = sockets.Handler.do_POST

    def serve(self) -> None:
        path, _question, query = self.path.partition("?")
        length = self.length(LONGEST)
        if length is None:
            return None
        headers = {name.lower(): value for name, value in self.headers.items()}
        request, stand = Request(self.command, path, query, headers, self.rfile.read(length)), self.server.stand
        if not stand.is_api(path):
            return self._send(stand.page(request))
        answer, fault = stand.handle(request)
        if fault and fault.seconds and fault.kind in ("slow", "timeout", "lost"):
            self.wait(fault.seconds)
        return self.drop() if answer is None else self._send(answer)

    def _send(self, answer: Answer) -> None:
        self.write(answer.status, answer.body, answer.content_type, answer.headers, answer.whole)


class Server(sockets.Running):
    """A running stand-in. ``page``: where a person looks, without a slash at the end; ``url``: what a client is given."""

    def __init__(self, stand: Stand, port: int = 0, host: str = "127.0.0.1") -> None:
        super().__init__(_Handler, stand, port, host)
        self.stand, self.url = stand, self.page + stand.prefix.rstrip("/")


def serve(stand: Stand, port: int = 0, host: str = "127.0.0.1") -> Server:
    """Starts it in a thread; port 0 takes a free one."""
    return Server(stand, port, host)


# --- a command -----------------------------------------------------------------------------------------------------------------------


def run(stand: Stand, port: int, host: str, words: str) -> None:
    """Serves until Ctrl-C or SIGTERM. ``words``: what to tell a person beside the address."""
    try:
        server = serve(stand, port, host)
    except OSError as error:
        typer.echo(f"Port {port} of {host} is not to be had: {error.strerror}. Choose another one with --port.", err=True)
        raise typer.Exit(1) from None
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    signal.signal(signal.SIGINT, lambda *_: stopped.set())
    typer.echo(f"{stand.title}: {server.url}  {words}  page {server.page}/. Ctrl-C ends it.")
    while not stopped.wait(3600):
        pass
    server.stop()


_WORDS = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}


def settings(kind: type[Any], given: list[str]) -> dict[str, Any]:
    """``["root_only=yes", "silent=3"]`` → ``{"root_only": True, "silent": 3}`` by the kinds of the dataclass. Raises typer.BadParameter."""
    known, values = {field.name: field.default for field in fields(kind)}, {}
    for one in given:
        name, _sign, text = one.partition("=")
        if name not in known:
            raise typer.BadParameter(f"{name} is none of {', '.join(sorted(known))}", param_hint="--set")
        values[name] = _value(name, known[name], text.strip())
    return values


def _value(name: str, default: Any, text: str) -> Any:
    if isinstance(default, bool):
        if text.lower() not in _WORDS:
            raise typer.BadParameter(f"{name} is yes or no, not {text!r}", param_hint="--set")
        return _WORDS[text.lower()]
    if isinstance(default, int):
        if not text.isdigit():
            raise typer.BadParameter(f"{name} is a number, not {text!r}", param_hint="--set")
        return int(text)
    if name.endswith("zone"):
        try:
            ZoneInfo(text)
        except (ZoneInfoNotFoundError, ValueError):
            raise typer.BadParameter(f"{text} is no time zone", param_hint="--set") from None
    return text
