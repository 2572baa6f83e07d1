"""The HTTP client that connectors are given: one for an account, shared by its threads.

It decides what is the same for every system: where calls may go, how often, what is tried again and what must not be, and
which class of error says so. What an answer below 500 means is left to the connector.
"""

from __future__ import annotations

import base64
import binascii
import email.utils
import random
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, cast
from urllib.parse import urlencode

import httpcore2
import httpx2

from obmen.core.contract import Hub, NeedsOwner, TryLater
from obmen.core.words import gettext_noop as _
from obmen.net.answers import AnswerLost, NotJson, Response, TooLarge, charset, to_json
from obmen.net.guard import Guard, Resolver, resolve
from obmen.net.pace import FileSlots, Pace
from obmen.net.php import php_query
from obmen.net.redact import Exchange, Mask, secret_name

__all__ = [
    "AnswerLost",
    "Breaker",
    "Client",
    "Exchange",
    "Into",
    "NotJson",
    "Pace",
    "Response",
    "Retry",
    "Slice",
    "Timeouts",
    "TooLarge",
    "php_query",
    "to_json",
]

Pairs = Iterable[tuple[str, str]]

READING = frozenset({"GET", "HEAD", "OPTIONS"})
REFUSED = frozenset({429, 503})  # they say that they did not act: nginx and its like answer so before the program is asked
REDIRECTS = frozenset({301, 302, 303, 307, 308})
LONGEST_REST = timedelta(hours=1)  # that a Retry-After can make a run wait
IDLE = 4.0  # seconds; many servers close after 5, and a call that meets the closing is a lost answer
SPEAKS = "obmen (exchange hub)"
PIECE = 131_072  # bytes of a file that are read at once

NO_ANSWER = _("no answer in time")
BROKEN_OFF = _("the connection broke off")
NOT_WHOLE = _("the answer came in part only")
NO_CONNECTION = _("no connection could be made")
SERVER_ERROR = _("an error over there")
TOO_LONG = _("the answer is too long")


@dataclass(frozen=True, slots=True)
class Retry:
    """How long one call is tried again: so many attempts, and no new one that would begin after ``seconds``."""

    attempts: int = 5
    seconds: float = 120.0
    first: float = 0.5
    longest: float = 30.0

    def pause(self, attempt: int, chance: float) -> float:
        """Seconds after that attempt (the first is 1): doubled each time, shortened by chance to no less than a half."""
        return float(min(self.longest, self.first * 2 ** (attempt - 1)) * (0.5 + chance / 2))


@dataclass(frozen=True, slots=True)
class Slice:
    """Part of a file as the body of a call: read while it is sent, anew for each attempt."""

    path: Path
    start: int
    length: int

    def __iter__(self) -> Iterator[bytes]:
        left = self.length
        with self.path.open("rb") as file:
            file.seek(self.start)
            while left > 0 and (piece := file.read(min(left, PIECE))):
                left -= len(piece)
                yield piece


@dataclass(frozen=True, slots=True)
class Into:
    """A file for the body of an answer, which may be as long as ``most`` bytes."""

    path: Path
    most: int = 4 << 30


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: for a connection, for each silence while one waits, and for a whole attempt however slowly it drips."""

    connect: float = 10.0
    silence: float = 60.0
    whole: float = 300.0


class Breaker:
    """Stops calling what does not work: after ``failures`` in a row nobody calls for ``pause`` seconds, then one tries."""

    def __init__(self, failures: int = 5, pause: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._failures, self._pause, self._clock = failures, pause, clock
        self._lock = threading.Lock()
        self._in_a_row, self._closed_until, self._probing = 0, 0.0, False

    @contextmanager
    def watch(self, host: str) -> Iterator[None]:
        """Around one attempt: ``_Trouble`` that is a failure counts, an answer ends the count. Raises TryLater."""
        with self._lock:
            broken = self._in_a_row >= self._failures
            left = self._closed_until - self._clock()
            if broken and (left > 0 or self._probing):
                error = TryLater(
                    _("{host} has failed {count} times in a row: calls rest for a while"), host=host, count=self._in_a_row
                )
                error.after = timedelta(seconds=max(left, 1.0))
                raise error
            self._probing = probe = broken
        try:
            yield
        except _Trouble as trouble:
            with self._lock:
                if trouble.failure:
                    self._in_a_row += 1
                    self._closed_until = self._clock() + self._pause
                else:
                    self._in_a_row = 0
            raise
        else:
            with self._lock:
                self._in_a_row = 0
        finally:
            if probe:
                with self._lock:
                    self._probing = False


class _Trouble(Exception):
    """An attempt without a usable answer. ``acted``: it cannot be ruled out that they did what was asked."""

    def __init__(
        self, why: str, *, acted: bool, failure: bool = True, status: int | None = None, rest: float | None = None
    ) -> None:
        super().__init__(why)
        self.why, self.acted, self.failure, self.status, self.rest = why, acted, failure, status, rest


class _Wire(httpx2.BaseTransport):
    """httpx2 over a pool whose sockets the guard opens."""

    def __init__(self, pool: httpcore2.ConnectionPool) -> None:
        self._pool = pool

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        url = httpcore2.URL(
            scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path
        )
        streamed = "sent_bytes" in request.extensions
        answer = self._pool.handle_request(
            httpcore2.Request(
                method=request.method,
                url=url,
                headers=request.headers.raw,
                content=cast(httpx2.SyncByteStream, request.stream) if streamed else request.read(),
                extensions=request.extensions,
            )
        )
        return httpx2.Response(answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions)

    def close(self) -> None:
        self._pool.close()


class _Body(httpx2.SyncByteStream):
    def __init__(self, answer: httpcore2.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


class Client:
    """Calls one account. Safe for threads; ``close`` it, or use it in ``with``.

    ``headers`` go with every call to ``base_url``'s own host and to no other. ``secrets`` are masked in the journal, together
    with what stands in headers named like secrets. ``trust`` is a PEM file of authorities that are believed besides the
    machine's. ``journal`` gets one masked ``Exchange`` for each attempt and must not raise.
    Proxies of the environment are not used: the guard has to see where a call goes.
    """

    def __init__(
        self,
        base_url: str,
        *,
        pace: Pace,
        headers: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
        timeouts: Timeouts = Timeouts(),
        retry: Retry = Retry(),
        breaker: Breaker | None = None,
        max_bytes: int = 50_000_000,
        trust: Path | None = None,
        allow_private: bool = False,
        journal: Callable[[Exchange], None] | None = None,
        keep: int = 20_000,
        resolver: Resolver = resolve,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """``keep``: bytes of a body that the journal gets. Raises NeedsOwner for an address or a key that cannot be used."""
        self._base = _address(base_url)
        self._headers = dict(headers or {})
        for name, value in self._headers.items():
            if not value.isascii() or not value.isprintable():
                raise NeedsOwner(
                    _("What is sent as {header} holds letters that no key has (Cyrillic, a line end): enter it again"),
                    header=name,
                )
        self._mask = Mask([*secrets, *_secrets_of(self._headers)])
        self.pace, self._retry, self._timeouts = pace, retry, timeouts
        self._breaker = breaker or Breaker(clock=clock)
        self._max_bytes, self._journal, self._keep = max_bytes, journal, keep
        self._sleep, self._clock, self._chance = sleep, clock, chance
        self._guard = Guard(allow_private, resolver)
        self._http = httpx2.Client(
            transport=_Wire(
                httpcore2.ConnectionPool(
                    ssl_context=_tls(trust), network_backend=self._guard, max_connections=32, keepalive_expiry=IDLE
                )
            ),
            trust_env=False,
            timeout=httpx2.Timeout(timeouts.silence, connect=timeouts.connect),
        )
        # A jar would carry one thread's conversation into another's; who needs a cookie sends it as a header.
        self._http.cookies.jar.set_policy(_no_cookies())

    @classmethod
    def of(
        cls,
        hub: Hub,
        base_url: str,
        *,
        calls: int,
        per: float = 1.0,
        burst: int = 1,
        account: str = "",
        headers: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
        **options: Any,
    ) -> Client:
        """A client by the hub's rules. All processes of the hub that call the same host and ``account`` share the pace.

        ``account`` is no secret and tells apart accounts of one host that are counted apart. ``options`` as for ``Client``.
        """
        slots = FileSlots(hub.folder / "paces.sqlite3")
        pace = Pace(f"{_address(base_url).host} {account}".strip(), calls, per, slots=slots, burst=burst, sleep=hub.sleep)
        return cls(
            base_url,
            pace=pace,
            headers=headers,
            secrets=secrets,
            trust=hub.trust,
            allow_private=hub.allow_private,
            journal=hub.exchanged,
            sleep=hub.sleep,
            **options,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()
        self.pace.close()

    @property
    def host(self) -> str:
        return self._base.host

    def call(
        self,
        method: str,
        path: str,
        *,
        safe: bool | None = None,
        query: Pairs = (),
        form: Pairs | None = None,
        json: Any = None,
        content: bytes | Slice | None = None,
        headers: Mapping[str, str] | None = None,
        redirects: int = 0,
        into: Into | None = None,
        shown: Callable[[bytes], bytes] = bytes,
    ) -> Response:
        """One call, tried again as far as that is harmless; any answer below 500 other than 429 comes back.

        ``path`` is added to the base address; a whole address is taken as it is, and gets none of our headers when it is
        another host. ``safe``: doing it twice does no harm (by itself: GET, HEAD, OPTIONS). ``redirects``: how many are
        followed, by reading calls only; never from https to http. ``into``: a file that the body goes to; the response
        holds its beginning only. ``shown``: what the journal may show of an answer that holds secrets.

        Raises TryLater (not reachable, busy), AnswerLost (only when not ``safe``), NeedsOwner (address, certificate, an
        unexpected redirect), TooLarge.
        """
        safe = method.upper() in READING if safe is None else safe
        url = self._url(path, query)
        sent = {"accept-encoding": "gzip", "user-agent": SPEAKS}
        if form is not None:
            content, sent["content-type"] = urlencode(list(form)).encode(), "application/x-www-form-urlencoded"
        elif json is not None:
            content, sent["content-type"] = to_json(json).encode(), "application/json"
        ends = self._clock() + self._retry.seconds
        attempt = 1
        while True:
            try:
                return self._follow(method.upper(), url, sent | dict(headers or {}), content, redirects, safe, into, shown)
            except _Trouble as trouble:
                if trouble.acted and not safe:
                    raise self._lost(trouble) from trouble
                pause = self._retry.pause(attempt, self._chance())
                if trouble.rest is not None:
                    pause = trouble.rest + pause / 10
                    self.pace.hold(trouble.rest)
                if attempt >= self._retry.attempts or self._clock() + pause > ends:
                    raise self._give_up(trouble) from trouble
            self._sleep(pause)
            attempt += 1

    def _follow(
        self,
        method: str,
        url: httpx2.URL,
        headers: dict[str, str],
        content: bytes | Slice | None,
        redirects: int,
        safe: bool,
        into: Into | None,
        shown: Callable[[bytes], bytes],
    ) -> Response:
        if isinstance(content, Slice):
            headers = headers | {"content-length": str(content.length)}
        while True:
            ours = _origin(url) == _origin(self._base)
            request = self._http.build_request(method, url, headers=(self._headers if ours else {}) | headers, content=content)
            if isinstance(content, Slice):
                request.extensions["sent_bytes"] = content.length
            with self._breaker.watch(url.host):
                response = self._attempt(request, safe, into, shown)
            if response.status not in REDIRECTS or "location" not in response.headers:
                return response
            after = self._redirected(url, response.headers["location"])
            if redirects <= 0 or method not in READING:
                raise NeedsOwner(
                    _("{host} sends our calls on to {to}: if that is right, enter that address in the connection's settings"),
                    host=url.host,
                    to=self._mask.text(str(after.copy_with(query=None))),
                )
            if _origin(after) != _origin(url):
                headers = {name: value for name, value in headers.items() if name in ("accept-encoding", "user-agent")}
            url, redirects = after, redirects - 1

    def _attempt(self, request: httpx2.Request, safe: bool, into: Into | None, shown: Callable[[bytes], bytes]) -> Response:
        due = self.pace.take()
        self._guard.begin(self._timeouts.whole)

        def leaving(event: str, info: Mapping[str, Any]) -> None:
            if event == "http11.send_request_headers.started":
                self.pace.left(due)

        request.extensions["trace"] = leaving
        began = time.monotonic()
        answer: httpx2.Response | None = None
        body, size, error = b"", 0, ""
        try:
            answer = self._http.send(request, stream=True)
            if into is None:
                body = self._read(answer, request.url.host, safe)
                size = len(body)
            else:
                body, size = self._save(answer, request.url.host, into)
            self._judge(answer)
        except BaseException as raised:
            trouble = _understood(raised, answer)
            error = str(trouble)
            if trouble is raised:
                raise
            raise trouble from raised
        finally:
            if answer is not None:
                answer.close()
            if self._journal is not None:
                self._journal(self._exchange(request, answer, shown(body), size, time.monotonic() - began, error))
        return Response(answer.status_code, _joined(answer.headers), body, str(request.url), request.url.host, self._mask)

    def _read(self, answer: httpx2.Response, host: str, safe: bool) -> bytes:
        """The body, unpacked, no longer than allowed at any moment."""
        too_large = self._too_large(host, self._max_bytes) if safe else _Trouble(TOO_LONG, acted=True, failure=False)
        raw = bytearray()
        for piece in answer.iter_raw():
            raw += piece
            if len(raw) > self._max_bytes:
                raise too_large
        if not raw or answer.headers.get("content-encoding", "").strip().lower() not in ("gzip", "x-gzip", "deflate"):
            return bytes(raw)
        unpacked, rest = bytearray(), bytes(raw)
        while rest:
            unpacker = zlib.decompressobj(wbits=47)  # gzip or zlib, as its first bytes say
            unpacked += unpacker.decompress(rest, self._max_bytes - len(unpacked) + 1)
            if len(unpacked) > self._max_bytes:
                raise too_large
            if not unpacker.eof:
                raise _Trouble(NOT_WHOLE, acted=True)
            rest = unpacker.unused_data
        return bytes(unpacked)

    def _save(self, answer: httpx2.Response, host: str, into: Into) -> tuple[bytes, int]:
        """The body, unpacked, into the file; its beginning and its length. Raises TooLarge."""
        head, size = bytearray(), 0
        unpacker: Any = None
        packed = answer.headers.get("content-encoding", "").strip().lower() in ("gzip", "x-gzip", "deflate")
        with into.path.open("wb") as file:
            for raw in answer.iter_raw():
                rest = raw
                while rest:
                    if not packed:
                        piece, rest = rest, b""
                    else:
                        unpacker = unpacker or zlib.decompressobj(wbits=47)
                        piece = unpacker.decompress(rest, PIECE)
                        rest = unpacker.unconsumed_tail or unpacker.unused_data
                        unpacker = None if unpacker.eof else unpacker
                    size += len(piece)
                    if size > into.most:
                        raise self._too_large(host, into.most)
                    head += piece[: max(0, self._keep - len(head))]
                    file.write(piece)
        if unpacker is not None:
            raise _Trouble(NOT_WHOLE, acted=True)
        return bytes(head), size

    def _too_large(self, host: str, limit: int) -> TooLarge:
        return TooLarge(
            _("The answer of {host} is longer than {limit} bytes: ask for smaller portions in the connection's settings"),
            host=host,
            limit=limit,
        )

    def _judge(self, answer: httpx2.Response) -> None:
        status = answer.status_code
        if status in REFUSED:
            rest = _rest(answer.headers.get("retry-after", ""), answer.headers.get("date", ""))
            raise _Trouble(SERVER_ERROR, acted=False, failure=status != 429, status=status, rest=rest)
        if status >= 500:
            raise _Trouble(SERVER_ERROR, acted=True, status=status)

    def _exchange(
        self, request: httpx2.Request, answer: httpx2.Response | None, body: bytes, size: int, seconds: float, error: str
    ) -> Exchange:
        streamed = request.extensions.get("sent_bytes")
        sent_charset = charset(request.headers.get("content-type", ""))
        got = answer.headers if answer is not None else httpx2.Headers()
        return Exchange(
            method=request.method,
            url=self._mask.text(str(request.url)),
            status=None if answer is None else answer.status_code,
            milliseconds=round(seconds * 1000),
            sent_headers=self._mask.headers(request.headers.multi_items()),
            sent=f"({streamed} bytes)" if streamed is not None else self._mask.body(request.content, self._keep, sent_charset),
            bytes_out=len(request.content) if streamed is None else streamed,
            headers=self._mask.headers(got.multi_items()),
            answer=self._mask.body(body, self._keep, charset(got.get("content-type", ""))),
            bytes_in=size,
            error=self._mask.text(error),
        )

    def _url(self, path: str, query: Pairs) -> httpx2.URL:
        whole = path.startswith(("https://", "http://"))
        url = _address(path) if whole else httpx2.URL(f"{str(self._base).rstrip('/')}/{path.lstrip('/')}".rstrip("/"))
        added = urlencode(list(query))
        if not added:
            return url
        known = url.query.decode("ascii")
        return url.copy_with(query=f"{known}&{added}".lstrip("&").encode("ascii"))

    def _redirected(self, url: httpx2.URL, location: str) -> httpx2.URL:
        try:
            after = url.join(location)
        except httpx2.InvalidURL:
            after = httpx2.URL()
        if after.scheme not in ("https", "http") or (url.scheme == "https" and after.scheme == "http") or not after.host:
            raise NeedsOwner(
                _(
                    "{host} sends our calls on to an address that is not safe ({to}): check the address in the connection's settings"
                ),
                host=url.host,
                to=self._mask.text(location.partition("?")[0]),
            )
        return after.copy_with(username=None, password=None)

    def _lost(self, trouble: _Trouble) -> AnswerLost:
        return AnswerLost(
            _("It is not known whether {host} carried out what was sent ({why}): it is looked up before it is sent again"),
            host=self.host,
            why=trouble.why,
            status=trouble.status,
        )

    def _give_up(self, trouble: _Trouble) -> TryLater:
        if trouble.status is None:
            error = TryLater(
                _("{host} cannot be reached now: {why}. It is tried again by itself"), host=self.host, why=trouble.why
            )
        else:
            error = TryLater(
                _("{host} does not take calls now (status {status}). It is tried again by itself"),
                host=self.host,
                status=trouble.status,
            )
        if trouble.rest is not None:
            error.after = min(LONGEST_REST, max(error.after, timedelta(seconds=trouble.rest)))
        return error


def _address(text: str) -> httpx2.URL:
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL as error:
        raise NeedsOwner(_("“{address}” is no address: it should look like https://example.com"), address=text) from error
    if url.scheme not in ("https", "http") or not url.host:
        raise NeedsOwner(_("“{address}” is no address: it should look like https://example.com"), address=text)
    if url.username or url.password:
        raise NeedsOwner(_("Leave login and password out of the address of {host}: they have fields of their own"), host=url.host)
    return url


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"https": 443, "http": 80}.get(url.scheme)


def _tls(trust: Path | None) -> ssl.SSLContext:
    context = httpx2.create_ssl_context(trust_env=False)
    try:
        if trust is not None:
            context.load_verify_locations(trust)
        return context
    except (OSError, ssl.SSLError) as error:
        raise NeedsOwner(
            _("The file of trusted authorities {file} cannot be read: it has to be a PEM file of certificates"), file=str(trust)
        ) from error


def _no_cookies() -> Any:
    from http.cookiejar import DefaultCookiePolicy

    return DefaultCookiePolicy(allowed_domains=[])


def _secrets_of(headers: Mapping[str, str]) -> Iterator[str]:
    """What is secret in headers named so: the value, what follows ``Bearer``, the password within ``Basic``."""
    for name, value in headers.items():
        if not secret_name(name):
            continue
        yield value
        kind, _space, rest = value.partition(" ")
        if rest:
            yield rest
        if kind.lower() == "basic":
            try:
                yield base64.b64decode(rest, validate=True).decode("utf-8", "replace").partition(":")[2]
            except (binascii.Error, ValueError):
                continue


def _joined(headers: httpx2.Headers) -> dict[str, str]:
    return {name.lower(): headers[name] for name in headers}


def _understood(raised: BaseException, answer: httpx2.Response | None) -> BaseException:
    """What happened, for the one who decides what comes next. Before a connection stands nothing can have been done."""
    status = None if answer is None else answer.status_code
    if isinstance(raised, httpcore2.ConnectError | httpcore2.ConnectTimeout | httpcore2.PoolTimeout):
        return _Trouble(NO_CONNECTION, acted=False)
    if isinstance(raised, httpcore2.TimeoutException):
        return _Trouble(NO_ANSWER, acted=True, status=status)
    if isinstance(raised, httpcore2.NetworkError | httpcore2.RemoteProtocolError):
        return _Trouble(BROKEN_OFF if answer is None else NOT_WHOLE, acted=True, status=status)
    if isinstance(raised, zlib.error):
        return _Trouble(NOT_WHOLE, acted=True, status=status)
    return raised


def _rest(text: str, date: str) -> float | None:
    """Seconds that a Retry-After asks for: a number, or a moment, which is counted from their clock and not from ours."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    try:
        now = email.utils.parsedate_to_datetime(date)
    except ValueError:
        now = datetime.now(UTC)
    return max(0.0, (until - now).total_seconds()) if until.tzinfo and now.tzinfo else None
