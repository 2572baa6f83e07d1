"""The HTTP client of 1C, call by call: what it sends, what it accepts, where it gives up.

Behaviour of 1C:UT 11.5.8 and 1C:UNF 3.0.8 (common module ОбменССайтом), the other profiles by the servers made for them. The
raw http.client is used on purpose: 1C sends the address as typed and its parameters unquoted, keeps one connection for a
session, follows no redirect and takes no Set-Cookie.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import re
import ssl
import tempfile
import time
import uuid
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import BinaryIO
from urllib.parse import quote

from obmen.core.contract import ExchangeError, NeedsOwner
from obmen.core.words import gettext_noop as _
from obmen.sandbox.onec.profiles import Profile

DEFAULT_SCRIPT = "bitrix/admin/1c_exchange.php"


class Refused(ExchangeError):
    """The server said ``failure``; ``text`` among the facts is its own."""


class BadAnswer(ExchangeError):
    """The server answered something that this 1C does not accept."""


class NoAnswer(ExchangeError):
    """The call or its answer got lost on the way."""


class Died(Exception):
    """The client was made to end here (Fault.DIE); nobody inside catches it."""


class Fault(StrEnum):
    """What a test may make of one call."""

    LOSE_CALL = "lose_call"  # it never reaches the server
    LOSE_ANSWER = "lose_answer"  # the server acts, the connection breaks before 1C has read the answer
    REPEAT = "repeat"  # it is sent twice, as a proxy would; the second answer counts
    WRONG_COOKIE = "wrong_cookie"
    DIE = "die"  # the client's process ends before the call


@dataclass(frozen=True, slots=True)
class Step:
    """A call about to be made; numbers count from 1, ``chunk`` within its file."""

    session: int
    number: int
    type: str
    mode: str
    filename: str = ""
    chunk: int = 1


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was made: one line of the transcript. ``status`` 0 means that no answer came."""

    step: Step
    method: str
    target: str
    status: int
    first_line: str
    sent: int = 0
    received: int = 0
    seconds: float = 0.0

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def __str__(self) -> str:
        size = f" [{self.sent} B]" if self.sent else ""
        return f"{self.step.session:>3} {self.method:<4} {self.target}{size} → {self.status or '—'} {self.first_line}"


@dataclass(frozen=True, slots=True)
class Address:
    """The address of the exchange as 1C takes it apart."""

    server: str
    port: int
    tls: bool
    script: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """From what a person typed: spaces go, backslashes turn, https:// switches TLS on, a lone host gets Bitrix's path.

        Raises NeedsOwner when there is no host or the port is not a number.
        """
        rest = re.sub(r"\s", "", text).replace("\\", "/")
        tls = rest.lower().startswith("https://")
        rest = re.sub(r"(?i)^https?://", "", rest)
        server, _slash, script = rest.partition("/")
        server, _colon, port = server.partition(":")
        if not server or (port and not port.isdigit()):
            raise NeedsOwner(_("{answer} is not an address: write it as https://host:port/path"), answer=repr(text))
        return cls(server, int(port) if port else 443 if tls else 80, tls, script or DEFAULT_SCRIPT)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str
    size: int

    @property
    def lines(self) -> list[str]:
        return [line.strip() for line in self.text.split("\n")]

    @property
    def verdict(self) -> str:
        return self.lines[0].lower()

    @property
    def rest(self) -> str:
        return "\n".join(line for line in self.lines[1:] if line)


def text_of(body: bytes, content_type: str, *, retry: bool) -> str:
    """The body as 1C's ПолучитьТелоКакСтроку reads it: by the charset of Content-Type, else UTF-8, without a BOM. ``retry``:
    1C:UNF tries windows-1251 when that left unreadable characters; 1C:UT shows them."""
    found = re.search(r"charset=[\"']?([\w-]+)", content_type)
    names = [found.group(1)] if found else []
    if retry:
        names += ["utf-8", "windows-1251"]
    out = ""
    for name in names or ["utf-8"]:
        try:
            out = body.decode(name, "replace")
        except LookupError:
            out = body.decode("utf-8", "replace")
        if "\ufffd" not in out:
            break
    return out.removeprefix("\ufeff")


@dataclass(frozen=True, slots=True)
class Bundle:
    """An XML file and the pictures that go with it. Names are those posted to the server."""

    xml: Path
    name: str
    files: tuple[tuple[str, Path], ...] = ()


@dataclass
class Client:
    """One node of 1C. ``fault`` and ``watch`` are asked before and told after every call; ``sleep`` makes every pause."""

    profile: Profile
    address: Address
    user: str = ""
    password: str = ""
    zip: bool = True  # do as the server asks; False: send plain files even to zip=yes
    verify: bool = True  # check the server's certificate
    sleep: Callable[[float], None] = time.sleep
    fault: Callable[[Step], Fault | None] = lambda _step: None
    watch: Callable[[Call], None] = lambda _call: None
    new_id: Callable[[], str] = lambda: str(uuid.uuid4())
    calls: list[Call] = field(default_factory=list)
    sessions: int = 0

    @property
    def lenient(self) -> bool:
        """1C:UNF, unlike 1C:UT, repeats broken reads and guesses encodings."""
        return self.profile.rules == "unf"

    def open(self, type: str, *, download: bool = False) -> Session:
        """A session of ``catalog`` or ``sale``: checkauth is called on entering the ``with``. ``download``: it will fetch
        orders; 1C:UNF composes its addresses differently then.

        Raises Refused, BadAnswer, NoAnswer, as every method of the session.
        """
        self.sessions += 1
        return Session(self, type, self.sessions, download)

    def check(self) -> None:
        """The button "Test the connection": checkauth and nothing else."""
        with self.open("catalog"):
            pass


class Session:
    def __init__(self, client: Client, type: str, number: int, download: bool) -> None:
        self.client, self.p, self.type, self.number, self.download = client, client.profile, type, number, download
        self.cookie = self.sessid = self.line4 = self.timestamp = ""
        self.zip, self.limit = False, -1
        self._calls = 0
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Session:
        try:
            self._checkauth()
        except BaseException:
            self._disconnect()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._disconnect()

    # --- modes ---

    def _checkauth(self) -> None:
        answer = self._call("GET", "checkauth")
        if answer.verdict != "success":
            raise Refused(
                _("The server did not let us in: {answer}. Check the address, the login and the password"),
                answer=answer.rest or answer.lines[0],
            )
        lines = answer.lines + [""] * 5
        if lines[1]:
            self.cookie = f"{lines[1]}={lines[2]}"
        self.line4 = lines[3]
        self.sessid = lines[3].removeprefix("sessid=")
        self.timestamp = lines[4].removeprefix("timestamp=") if lines[4].startswith("timestamp=") else ""

    def init(self) -> None:
        answer = self._call("GET", "init")
        lines = answer.lines
        if self.p.two_lines and len(lines) != 2:
            # СтрЧислоСтрок counts a last empty line too, so that a trailing newline is fatal.
            raise BadAnswer(
                _("1C:UT wants exactly two lines in answer to init and no newline at the end; here are {count}: {answer}"),
                count=len(lines),
                answer=answer.text[:200],
            )
        if answer.verdict not in ("zip=yes", "zip=no"):
            raise self._unclear("init", answer)
        self.zip = answer.verdict == "zip=yes"
        limit = lines[1].lower().removeprefix("file_limit=").strip() if len(lines) > 1 else ""
        self.limit = int(limit) if limit.isdigit() else -1

    def upload(self, bundles: Sequence[Bundle]) -> None:
        """Post the files (as one archive when the server asked for it), in pieces of at most file_limit bytes."""
        files = [(b.name, b.xml) for b in bundles]
        files += list(dict.fromkeys((self._posted(name), path) for b in bundles for name, path in b.files))
        if self.p.rules == "unf" and self.p.sessions == "portion":
            files.sort()
        if self.zip and self.client.zip:
            with tempfile.TemporaryDirectory(prefix="obmen-1c-") as folder:
                tag = self.client.new_id().replace("-", "").upper()
                archive = Path(folder) / f"v8_{tag[:4]}_{tag[4:6]}.zip"
                with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
                    for name, path in files:
                        out.write(path, name)
                self._post(archive.name, archive)
            return
        for name, path in files:
            self._post(name, path)

    def _posted(self, name: str) -> str:
        if not self.p.first_extension:
            return name
        folder, slash, base = name.rpartition("/")
        return f"{folder}{slash}{'.'.join(base.split('.')[:2])}"

    def _post(self, name: str, path: Path) -> None:
        size = path.stat().st_size
        piece = self.limit if 0 < self.limit < size else max(size, 1)
        with open(path, "rb") as file:
            for chunk, start in enumerate(range(0, max(size, 1), piece), 1):
                length = min(piece, size - start)
                answer = self._call("POST", "file", name, body=(file, start, length), chunk=chunk)
                if answer.verdict == "failure":
                    raise self._refused("file", answer)
                if answer.verdict != "success":
                    raise self._unclear("file", answer)

    def run_import(self, name: str) -> None:
        """mode=import until it is no longer ``progress``."""
        while True:
            if self.p.pause:
                self.client.sleep(self.p.pause)
            answer = self._call("GET", "import", name)
            if answer.verdict == "progress":
                continue
            if answer.verdict == "success":
                return
            if answer.verdict == "failure":
                raise self._refused("import", answer)
            raise self._unclear("import", answer)

    def query(self) -> str:
        """The document with orders. 1C:UT wants text that begins with ``<?xml``."""
        answer = self._call("GET", "query")
        if answer.text.startswith("PK"):
            raise BadAnswer(_("The server sent orders as an archive, which 1C spoils by reading it as text: send plain XML"))
        if answer.text.startswith("<?xml"):
            return answer.text
        if answer.verdict == "failure" and self.client.lenient:
            raise self._refused("query", answer)
        raise BadAnswer(
            _("The answer to {mode} does not begin with <?xml, so that 1C cannot read it: {answer}"),
            mode="query",
            answer=answer.text[:200],
        )

    def info(self) -> str:
        """The document with the server's order statuses, payment systems and deliveries."""
        answer = self._call("GET", "info")
        if not answer.text.startswith("<?xml"):
            raise self._unclear("info", answer)
        return answer.text

    def success(self) -> None:
        """Confirm the orders that were loaded."""
        answer = self._call("GET", "success")
        if answer.verdict == "success" or (self.client.lenient and not answer.verdict.startswith(("failure", "error"))):
            return
        raise self._refused("success", answer) if answer.verdict == "failure" else self._unclear("success", answer)

    def deactivate(self) -> None:
        self._closing("deactivate")

    def complete(self) -> None:
        self._closing("complete")

    def _closing(self, mode: str) -> None:
        answer = self._call("GET", mode)
        if answer.verdict != "success":
            raise self._refused(mode, answer) if answer.verdict == "failure" else self._unclear(mode, answer)

    def _refused(self, mode: str, answer: Answer) -> Refused:
        return Refused(_("The server refused {mode}: {answer}"), mode=mode, answer=answer.rest or answer.lines[0])

    def _unclear(self, mode: str, answer: Answer) -> BadAnswer:
        return BadAnswer(
            _("The answer to {mode} is not one that 1C knows: HTTP {status}, {answer}"),
            mode=mode,
            status=answer.status,
            answer=repr(answer.text[:200]),
        )

    # --- one call ---

    def _target(self, mode: str, filename: str) -> str:
        p, sale = self.p, self.type == "sale"
        version = p.sale_version if sale else p.version
        known = mode != "checkauth" and bool(self.sessid)
        before = after = ""
        if p.sessid == "verbatim" and known:
            if self.download:
                after = f"&{self.line4}" + (f"&cmlVersion={p.cml_version}" if mode == "init" and p.cml_version else "")
            else:
                before = f"&{self.line4}&version={version}&cmlVersion={p.cml_version}"
        elif p.sessid == "last":
            after = f"&sessid={self.sessid}" if known else ""
            if mode == "init" and version:
                after += f"&version={version}&cmlVersion={p.cml_version}"
        stamp = f"&timestamp={self.timestamp}" if mode == "deactivate" and self.timestamp else ""
        name = f"&filename={filename}" if filename else ""
        return f"/{self.client.address.script}?type={self.type}{before}&mode={mode}{name}{after}{stamp}"

    def _call(
        self, method: str, mode: str, filename: str = "", *, body: tuple[BinaryIO, int, int] | None = None, chunk: int = 1
    ) -> Answer:
        self._calls += 1
        step = Step(self.number, self._calls, self.type, mode, filename, chunk)
        fault = self.client.fault(step)
        if fault is Fault.DIE:
            raise Died(str(step))
        target = self._target(mode, filename)
        if fault is Fault.REPEAT:
            self._send(step, method, target, body)
        try:
            answer = self._send(step, method, target, body, fault)
        except NoAnswer as error:
            # "Transferred a partial file": 1C:UNF repeats a broken GET once.
            if not (self.client.lenient and method == "GET" and isinstance(error.__cause__, http.client.IncompleteRead)):
                raise
            answer = self._send(step, method, target, body)
        if not answer.text and not (self.client.lenient and mode == "success"):
            raise BadAnswer(_("The server gave an empty answer to {mode}: HTTP {status}"), mode=mode, status=answer.status)
        return answer

    def _send(
        self, step: Step, method: str, target: str, body: tuple[BinaryIO, int, int] | None, fault: Fault | None = None
    ) -> Answer:
        sent, started = body[2] if body else 0, time.monotonic()

        def note(status: int, line: str, received: int = 0) -> None:
            call = Call(step, method, target, status, line, sent, received, time.monotonic() - started)
            self.client.calls.append(call)
            self.client.watch(call)

        try:
            if fault is Fault.LOSE_CALL:
                raise ConnectionResetError("the call was lost")
            status, content_type, data = self._exchange(method, target, body, fault)
            if fault is Fault.LOSE_ANSWER:
                raise ConnectionResetError("the answer was lost")
        except (OSError, http.client.HTTPException) as error:
            self._disconnect()
            note(0, f"{type(error).__name__}: {error}")
            raise NoAnswer(
                _("No answer from {server}:{port} to {mode}: {reason}"),
                server=self.client.address.server,
                port=self.client.address.port,
                mode=step.mode,
                reason=str(error) or type(error).__name__,
            ) from error
        answer = Answer(status, text_of(data, content_type, retry=self.client.lenient), len(data))
        note(status, answer.lines[0][:100], len(data))
        return answer

    def _exchange(
        self, method: str, target: str, body: tuple[BinaryIO, int, int] | None, fault: Fault | None
    ) -> tuple[int, str, bytes]:
        connection = self._connect()
        headers = {"User-Agent": "1C+Enterprise/8.3", "Accept": "*/*"}
        if self.client.user:
            pair = f"{self.client.user}:{self.client.password}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        if self.cookie:
            headers["Cookie"] = self.cookie if fault is not Fault.WRONG_COOKIE else f"{self.cookie.partition('=')[0]}=wrong"
        # Only what cannot stand in a request line is quoted; 1C quotes nothing.
        address = quote(target, safe="!#$%&'()*+,/:;=?@[]~")
        if body:
            file, start, length = body
            file.seek(start)
            headers["Content-Length"] = str(length)
            connection.request(method, address, body=_pieces(file, length), headers=headers)
        else:
            connection.request(method, address, headers=headers)
        response = connection.getresponse()
        data = response.read()
        if response.will_close:
            self._disconnect()
        return response.status, response.headers.get("Content-Type", ""), data

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is None:
            a = self.client.address
            if a.tls:
                context = ssl.create_default_context()
                if not self.client.verify:
                    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                self._connection = http.client.HTTPSConnection(a.server, a.port, timeout=self.p.timeout, context=context)
            else:
                self._connection = http.client.HTTPConnection(a.server, a.port, timeout=self.p.timeout)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None


def _pieces(file: BinaryIO, length: int) -> Iterator[bytes]:
    while length > 0:
        data = file.read(min(length, 1 << 17))
        if not data:
            raise OSError(f"the file ended {length} bytes early")
        length -= len(data)
        yield data


def natural(name: str) -> list[object]:
    """Sorting key: import.xml before import1.xml, import0_2.xml before import0_10.xml."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name.rpartition(".")[0])]


def relative_files(folder: Path) -> Iterable[tuple[str, Path]]:
    """(path with forward slashes, file) of everything under ``folder`` that is neither XML at its top nor the manifest."""
    for root, _folders, names in os.walk(folder):
        for name in sorted(names):
            path = Path(root) / name
            relative = path.relative_to(folder).as_posix()
            if relative != "manifest.json" and not ("/" not in relative and name.lower().endswith(".xml")):
                yield relative, path
