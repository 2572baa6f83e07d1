"""Every call to the shop, made as a node of 1C makes them, and what its answers mean.

Source of the conversation: 1C:UT 11.5 and 1C:UNF 3.0 (clients), Bitrix sale 22.8, CS-Cart 4.3–4.16, OpenCart exchange1c,
WooCommerce-1C (servers). What the clients of 1C lack is here: a portion whose answer got lost is sent anew in a conversation of its
own (mode=init empties the shop's folder, so nothing is ever appended twice), a time-out in mid-work only asks again how far it is,
and whatever is no answer of the protocol is explained.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from html import unescape
from lzma import LZMAError
from pathlib import Path

from obmen.connectors.commerceml_client.settings import ClientSettings
from obmen.core.contract import BadDocument, ExchangeError, Hub, NeedsOwner, TryLater
from obmen.core.words import gettext_noop as _
from obmen.net.answers import BOM, charset
from obmen.net.client import Client, Into, Retry, Slice, Timeouts

CATALOG, SALE = "catalog", "sale"
CALLS_A_SECOND = 20
SHOWN = 300  # characters of an answer that a message quotes
HEAD = 65_536  # bytes of an answer with orders among which its beginning is looked for
UNPACKED = 4 << 30  # bytes of orders in an archive
KEPT = 4000  # bytes of a body for the journal
LONG_REST = timedelta(minutes=3)  # who asks for more is left alone until then, instead of being waited for

NO_HUB = _("The connection has to be saved before it can call the shop")
NO_ADDRESS = _("The address of the exchange is not given: enter it on the tab “Connection”")
NO_LOGIN = _("Login and password are not given: enter them on the tab “Connection”")
NOT_LET_IN = _("The shop does not let us in: {answer}. Check login and password, and the rights of that account. {why}")
MAY_NOT = _("The shop refuses {mode}: {answer}. {why}")
BUSY = _("The shop does not take goods now: {answer}. It is tried again by itself")
EMPTY = _("The shop gave an empty answer to {mode}. {why}")
EMPTY_WHY = _("Look into the shop's error log: a script there may have run out of memory or time")
PAGE = _(
    "A web page answers instead of the exchange (“{answer}”, status {status}): check the address and the rights of the account. {why}"
)
NOTHING_THERE = _("There is no exchange at this address (status {status}): copy the address from the shop's settings. {why}")
TOO_BIG = _(
    "The shop does not take pieces of {size} bytes (status 413): enter fewer as “Bytes in one piece” on the tab “Connection”"
)
BROKE_DOWN = _(
    "A script of the shop broke down over {mode}: {answer}. Make portions smaller, or let the shop's host give PHP more memory and time"
)
UNKNOWN = _("The shop's answer to {mode} is none that 1C knows: “{answer}” (status {status}). {why}")
NO_ORDERS_THERE = _("The shop's answer to the question for orders is no document: “{answer}”. {why}")
BAD_ARCHIVE = _("The archive with orders cannot be unpacked ({why}): let the shop send plain XML")
WORKS_LONG = _("The shop has been working on {file} for {hours} hours and is not done: it is tried again later")
ANEW = _("{file}: {reason} It is sent anew")
JUNK = _(
    "Before the document with orders stands something else, which was passed over: “{answer}”. Let the shop's host switch it off"
)
NOT_CONFIRMED = _(
    "The shop did not take the confirmation of orders ({answer}): it will give the same ones again, which does no harm"
)
EARLY = _(
    "The shop said success and broke down afterwards: {answer}. Make portions smaller, or let the shop's host give PHP more time"
)

HTML = re.compile(r"<(?:!doctype\s+html|html|head|body|title)\b", re.I)
TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.I | re.S)
TAGS = re.compile(r"<[^>]*>")
PHP = re.compile(
    r"(?:Fatal error|Parse error|Uncaught|Allowed memory size|Maximum execution time|500 Internal Server Error)", re.I
)
NOW_NOT = re.compile(
    r"too early|come back|try (?:again )?later|already running|is running|in progress|locked|busy|deadlock|gone away|too many connections"
    r"|рано|позже|позднее|пізніше|уже (?:идет|идёт|выполняется|запущен)|вже (?:йде|виконується)|занят|зайнят|блокиров|блокув",
    re.I,
)
MINUTES = re.compile(r"(\d+)\s*(?:min|мин|хв)", re.I)
SESSION_ENDED = re.compile(r"session|сесси|сесії|сеанс|checkauth|authori[sz]|авториз|not logged|sessid|источник\w* запроса", re.I)


class SessionLost(TryLater):
    """The shop has forgotten the conversation: it is begun anew."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to be sent: ``name`` as posted (with forward slashes). XML is imported after it, unless ``imported`` is off."""

    name: str
    path: Path
    imported: bool = True

    @property
    def is_document(self) -> bool:
        return self.name.lower().endswith(".xml")


@dataclass(frozen=True, slots=True)
class Received:
    """Documents with orders, as files; gone when the ``with`` ends. ``when`` they were asked for."""

    files: Sequence[Path]
    when: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str

    @property
    def lines(self) -> list[str]:
        return [line.strip() for line in self.text.strip().splitlines()] or [""]

    @property
    def verdict(self) -> str:
        """The first line that holds anything: 1C wants it to be the very first, PHP's notices push it down."""
        return self.lines[0].lower()

    @property
    def rest(self) -> str:
        return " ".join(line for line in self.lines[1:] if line)

    @property
    def is_page(self) -> bool:
        return bool(HTML.search(self.text[:2000]))

    @property
    def said(self) -> str:
        """For a message: the reason behind ``failure``, a page's title, else what there is."""
        if self.is_page:
            title = TITLE.search(self.text)
            words = title[1] if title else TAGS.sub(" ", self.text)
        elif self.verdict in ("failure", "success", "progress", "error"):
            words = self.rest or self.lines[0]
        else:
            words = TAGS.sub(" ", self.text)
        return " ".join(unescape(words).split())[:SHOWN]


@dataclass(slots=True)
class Session:
    """One conversation: what checkauth and init said."""

    type: str
    cookie: str = ""
    sessid: str = ""
    zip: bool = False
    limit: int = 0  # bytes in one piece; 0: files go whole
    said: list[str] = field(default_factory=list)


def text_of(body: bytes, content_type: str) -> str:
    """The text in the charset that it says, else UTF-8, else windows-1251: Bitrix answers so, and not every shop says it."""
    body = body.removeprefix(BOM)
    names = [charset(content_type)] if "charset" in content_type.lower() else []
    for name in (*names, "utf-8", "windows-1251"):
        try:
            return body.decode(name)
        except (LookupError, UnicodeError):
            continue
    return body.decode("utf-8", "replace")


class Node:
    """The hub as a node of 1C in front of one shop. Not for sharing between threads; ``close`` it.

    Raises NeedsOwner at the first call when address or login are missing, TryLater as the HTTP client does.
    """

    def __init__(self, s: ClientSettings, hub: Hub | None) -> None:
        if hub is None:
            raise NeedsOwner(NO_HUB)
        self.s, self.hub, self.kind = s, hub, s.kind
        self._asked: Session | None = None  # the conversation in which orders were asked for last

    @cached_property
    def client(self) -> Client:
        s = self.s
        if not s.url:
            raise NeedsOwner(NO_ADDRESS)
        if not s.login or not s.password:
            raise NeedsOwner(NO_LOGIN)
        account = hashlib.blake2b(f"{s.url} {s.login}".encode(), digest_size=12).hexdigest()
        pair = base64.b64encode(f"{s.login}:{s.password}".encode()).decode()
        return Client.of(
            self.hub,
            s.url,
            calls=CALLS_A_SECOND,
            burst=CALLS_A_SECOND,
            account=account,
            headers={"Authorization": f"Basic {pair}"},
            secrets=[s.password, pair],
            timeouts=Timeouts(connect=20.0, silence=float(s.timeout), whole=3600.0 + s.timeout),
            retry=Retry(attempts=3, seconds=60.0),
            keep=KEPT,
        )

    def close(self) -> None:
        if "client" in self.__dict__:
            self.client.close()

    # --- what a connector asks ---

    def check(self) -> str:
        """What the shop said to checkauth and init, of each exchange that it can do. Raises NeedsOwner with the remedy."""
        can = self.kind.limits
        said = [self.client.host]
        for type in (*([CATALOG] if can.goods else []), *([SALE] if can.orders else [])):
            session = self._open(type)
            self._init(session)
            said += [f"{type}: success", *session.said]
        return " · ".join(said)

    def send(self, type: str, files: Sequence[Upload]) -> None:
        """Files of one portion: a conversation, all files, then the import of each document. Done means done over there.

        Sent anew, without what has been imported, when an answer got lost or the shop forgot the conversation; as from 1C:UT under
        other names, because CS-Cart's exim_1c and OpenCart's module join what comes to what a broken upload has left (facts §2.3).
        Raises NeedsOwner (refused, with the shop's words), TryLater.
        """
        waiting, names = list(files), {upload.path: upload.name for upload in files}
        attempt = 1
        while True:
            try:
                self._send(type, waiting)
                return
            except TryLater as error:
                if attempt >= self.s.repeats or error.after > LONG_REST:
                    raise
                self.hub.report("warning", ANEW, file=waiting[0].name, reason=str(error))
            self.hub.sleep(min(2.0**attempt, 60.0))
            attempt += 1
            waiting = [replace(u, name=anew(names[u.path], attempt)) if u.is_document else u for u in waiting]

    @contextmanager
    def query(self, asked: Callable[[], None] = lambda: None) -> Iterator[Received]:
        """The documents with orders that the shop gives now. The conversation stays open, so that ``confirm`` belongs to it.
        ``asked`` is called right before the question, once the shop has let us in.

        Raises NeedsOwner (refused, empty, a page), TryLater, BadDocument (an archive that cannot be unpacked).
        """
        with tempfile.TemporaryDirectory(prefix="obmen-orders-") as folder:
            attempt = 1
            while True:
                try:
                    when = self.hub.now()
                    session = self._open(SALE)
                    if self.s.version:
                        self._init(session)
                    asked()
                    files = self._query(session, Path(folder))
                    break
                except SessionLost:
                    if attempt >= self.s.repeats:
                        raise
                    attempt += 1
            self._asked = session
            yield Received(files, when)

    def confirm(self) -> None:
        """Say that the orders of the last ``query`` stand in the books. Call it only then. A shop that does not take it gives them
        again. Raises TryLater when it is not known whether the shop heard it, which does no harm either."""
        session = self._asked or self._open(SALE)
        self._asked = None
        try:
            answer = self._call(session, "success")
        except SessionLost as error:
            self.hub.report("warning", NOT_CONFIRMED, answer=error.facts["answer"])
            return
        if answer.verdict.startswith(("failure", "error")) or answer.is_page or answer.status in (401, 403):
            self.hub.report("warning", NOT_CONFIRMED, answer=answer.said)

    def info(self) -> bytes:
        """The shop's lists of states, payments and deliveries (mode=info). Raises NeedsOwner where there is none."""
        session = self._open(SALE)
        with tempfile.TemporaryDirectory(prefix="obmen-info-") as folder:
            file = Path(folder) / "info.xml"
            answer = self._call(session, "info", into=Into(file, 32 << 20))
            body = file.read_bytes()
        if not body.removeprefix(BOM).lstrip().startswith(b"<?xml"):
            raise self._wrong(session, "info", answer)
        return body

    # --- a conversation ---

    def _open(self, type: str) -> Session:
        session = Session(type)
        answer = self._call(session, "checkauth")
        if answer.verdict != "success":
            raise self._not_let_in(session, answer)
        lines = [*answer.lines, "", "", ""]
        cookie = f"{lines[1]}={lines[2]}"
        if lines[1] and "=" not in lines[1] and cookie.isascii() and cookie.isprintable():  # else no header can carry it
            session.cookie = cookie
        session.sessid = next((line.removeprefix("sessid=") for line in lines[1:] if line.startswith("sessid=")), "")
        return session

    def _init(self, session: Session) -> None:
        answer = self._call(session, "init")
        found = {name.strip().lower(): value.strip() for name, _sign, value in (line.partition("=") for line in answer.lines)}
        if "zip" not in found and "file_limit" not in found:
            raise self._refused(session, "init", answer)
        session.zip = found.get("zip", "").lower() == "yes" and self.s.zip == "asked"
        session.sessid = found.get("sessid", session.sessid)
        limits = (bytes_of(found.get("file_limit", "")), self.s.file_limit, self.kind.limits.file_limit)
        session.limit = min((limit for limit in limits if limit > 0), default=0)
        session.said = [line for line in answer.lines if line.lower().startswith(("zip", "file_limit"))]

    def _send(self, type: str, waiting: list[Upload]) -> None:
        """What is imported is taken off ``waiting``."""
        session = self._open(type)
        self._init(session)
        with tempfile.TemporaryDirectory(prefix="obmen-zip-") as folder:
            for upload in [self._packed(waiting, Path(folder))] if session.zip else waiting:
                self._post(session, upload)
        for upload in [u for u in waiting if u.is_document and u.imported]:
            self._import(session, upload.name)
            waiting.remove(upload)

    def _packed(self, files: Sequence[Upload], folder: Path) -> Upload:
        name = f"{files[0].name.rpartition('/')[2].rpartition('.')[0]}.zip"
        archive = folder / "exchange.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
            for upload in files:
                out.write(upload.path, upload.name)
        return Upload(name, archive)

    def _post(self, session: Session, upload: Upload) -> None:
        """The file in pieces of file_limit bytes at most, under one name: the shop appends."""
        size = upload.path.stat().st_size
        piece = min(session.limit or size, size) or 1
        for start in range(0, max(size, 1), piece):
            content = Slice(upload.path, start, min(piece, size - start))
            answer = self._call(session, "file", upload.name, content)
            if answer.status == 413:
                raise NeedsOwner(TOO_BIG, size=content.length)
            if answer.verdict != "success":
                raise self._refused(session, "file", answer)

    def _import(self, session: Session, name: str) -> None:
        """mode=import until it is no longer ``progress``, however many lines that brings. A lost answer says nothing: ask again."""
        began, lost = self.hub.now(), 0
        while True:
            try:
                answer = self._call(session, "import", name)
            except SessionLost:
                raise
            except TryLater as error:
                lost += 1
                if lost >= self.s.repeats or error.after > LONG_REST:
                    raise
                self.hub.sleep(max(float(self.s.pause), 1.0))
                continue
            if answer.verdict == "success":
                if self.kind.limits.early_success and PHP.search(answer.rest):
                    raise NeedsOwner(EARLY, answer=answer.said)
                return
            if answer.verdict != "progress":
                raise self._refused(session, "import", answer)
            lost = 0
            if self.hub.now() - began > timedelta(hours=self.s.patience):
                late = TryLater(WORKS_LONG, file=name, hours=self.s.patience)
                late.after = timedelta(minutes=30)
                raise late
            self.hub.sleep(float(self.s.pause))

    def _query(self, session: Session, folder: Path) -> list[Path]:
        file, began = folder / "orders.xml", self.hub.now()
        while True:
            answer = self._call(session, "query", into=Into(file, UNPACKED))
            with file.open("rb") as opened:
                head = opened.read(HEAD)
            if head.startswith(b"PK\x03\x04"):
                return self._unpacked(file, folder)
            at = max(head.find(b"<?xml"), head.find("<КоммерческаяИнформация".encode()) if b"<?xml" not in head else -1)
            if at >= 0 and not HTML.search(text_of(head[:at], "")):
                return [self._trimmed(file, head[:at], folder)]
            if answer.verdict != "progress" or self.hub.now() - began > timedelta(hours=self.s.patience):
                raise self._refused(session, "query", answer)
            self.hub.sleep(float(self.s.pause))

    def _trimmed(self, file: Path, before: bytes, folder: Path) -> Path:
        """The document without what PHP wrote before it; 1C would refuse the answer (facts §1.7)."""
        junk = before.removeprefix(BOM)
        if not junk:
            return file
        if junk.replace(BOM, b"").strip():
            self.hub.report("warning", JUNK, answer=" ".join(TAGS.sub(" ", text_of(junk, "")).split())[:SHOWN])
        with file.open("rb") as whole, (folder / "document.xml").open("wb") as document:
            whole.seek(len(before))
            shutil.copyfileobj(whole, document)
        return folder / "document.xml"

    def _unpacked(self, archive: Path, folder: Path) -> list[Path]:
        """The documents of an archive, no more than UNPACKED bytes of them. Names from outside decide nothing."""
        found: list[Path] = []
        left = UNPACKED
        try:
            with zipfile.ZipFile(archive) as packed:
                for entry in sorted(packed.infolist(), key=lambda e: e.filename):
                    if not entry.filename.lower().endswith(".xml"):
                        continue
                    left -= entry.file_size
                    if left < 0:
                        raise BadDocument(BAD_ARCHIVE, why=_("it is too large"))
                    found.append(folder / f"orders-{len(found)}.xml")
                    with packed.open(entry) as source, found[-1].open("wb") as target:
                        shutil.copyfileobj(source, target)
        except (zipfile.BadZipFile, zlib.error, LZMAError, NotImplementedError, RuntimeError, OSError, EOFError) as error:
            raise BadDocument(BAD_ARCHIVE, why=str(error)) from error
        if not found:
            raise BadDocument(BAD_ARCHIVE, why=_("it holds no document"))
        return found

    # --- one call ---

    def _call(
        self, session: Session, mode: str, filename: str = "", content: Slice | None = None, into: Into | None = None
    ) -> Answer:
        query = [("type", session.type), ("mode", mode)]
        if filename:
            query.append(("filename", filename))
        if session.sessid and mode != "checkauth":
            query.append(("sessid", session.sessid))
        if mode == "init" and self.s.version:
            query += [("version", self.s.version), ("cmlVersion", self.s.version)]
        response = self.client.call(
            "GET" if content is None else "POST",
            self.s.url,
            safe=content is None and not (mode == "query" and self.kind.limits.counts_asking),
            query=query,
            content=content,
            headers={"Cookie": session.cookie} if session.cookie else {},
            into=into,
            shown=first_line if mode == "checkauth" else bytes,
        )
        answer = Answer(response.status, text_of(response.body, response.headers.get("content-type", "")))
        if mode != "checkauth" and answer.verdict != "success" and self._forgotten(answer):
            raise SessionLost(MAY_NOT, mode=mode, answer=answer.said, why="")
        return answer

    def _forgotten(self, answer: Answer) -> bool:
        if answer.status == 401:
            return True
        return answer.verdict.startswith(("failure", "error")) and bool(SESSION_ENDED.search(answer.said))

    # --- what a wrong answer means ---

    def _not_let_in(self, session: Session, answer: Answer) -> ExchangeError:
        why = self.kind.remedy(session.type, answer.text)
        if answer.status in (404, 405, 410):
            return NeedsOwner(NOTHING_THERE, status=answer.status, why=why)
        if not answer.text.strip() or (answer.is_page and answer.status not in (401, 403)) or PHP.search(answer.text):
            return self._wrong(session, "checkauth", answer)
        if NOW_NOT.search(answer.said):
            return self._refused(session, "checkauth", answer)
        return NeedsOwner(NOT_LET_IN, answer=answer.said or answer.status, why=why)

    def _refused(self, session: Session, mode: str, answer: Answer) -> ExchangeError:
        """``failure`` with the shop's words. What passes by itself is tried later; anything else needs a person."""
        if not answer.verdict.startswith("failure"):
            return self._wrong(session, mode, answer)
        if PHP.search(answer.text):
            return NeedsOwner(BROKE_DOWN, mode=mode, answer=answer.said)
        if NOW_NOT.search(answer.rest):
            error = TryLater(BUSY, answer=answer.said)
            minutes = MINUTES.findall(answer.rest)  # "once in 60 min here, come back in 42 min"
            error.after = timedelta(minutes=min(int(minutes[-1]), 1440) if minutes else 10)
            return error
        return NeedsOwner(MAY_NOT, mode=mode, answer=answer.said, why=self.kind.remedy(session.type, answer.text))

    def _wrong(self, session: Session, mode: str, answer: Answer) -> ExchangeError:
        """No answer of the protocol at all."""
        why = self.kind.remedy(session.type, answer.text)
        if answer.status in (404, 405, 410):
            return NeedsOwner(NOTHING_THERE, status=answer.status, why=why)
        if not answer.text.strip():
            return NeedsOwner(EMPTY, mode=mode, why=why or EMPTY_WHY)
        if PHP.search(answer.text):
            return NeedsOwner(BROKE_DOWN, mode=mode, answer=answer.said)
        if answer.is_page:
            return NeedsOwner(PAGE, answer=answer.said, status=answer.status, why=why)
        if mode == "query":
            return NeedsOwner(NO_ORDERS_THERE, answer=answer.said, why=why)
        return NeedsOwner(UNKNOWN, mode=mode, answer=answer.said, status=answer.status, why=why)


def anew(name: str, more: object) -> str:
    """``import0_1.xml`` → ``import0_1_2.xml``."""
    stem, _dot, ending = name.rpartition(".")
    return f"{stem}_{more}.{ending}"


def bytes_of(text: str) -> int:
    """``file_limit`` in bytes; PHP's own spelling (200M) as well. 0 for what is no number: files go whole then, as from 1C."""
    found = re.match(r"(\d+)\s*([kmg]?)", text.strip().lower())
    return int(found[1]) << {"": 0, "k": 10, "m": 20, "g": 30}[found[2]] if found else 0


def first_line(body: bytes) -> bytes:
    """Of an answer to checkauth: what follows ``success`` are the keys of the conversation."""
    line = body.lstrip(BOM + b"\r\n ").partition(b"\n")[0].strip()
    return line if line.lower() == b"success" else body
