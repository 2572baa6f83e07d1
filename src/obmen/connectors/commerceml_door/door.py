"""The exchange protocol "1C ↔ site" from the site's side, without a web framework in sight.

One call is one ``answer``. What a conversation remembers is in its session, whose folder holds the files it brought; no session
ever touches another. Sources: 1C:UT 11.5 and 1C:UNF 3.0 (clients), Bitrix sale 22.8 and catalog 22.9 (server), CS-Cart 4.12.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain, islice
from pathlib import Path

import xxhash

from obmen.connectors.commerceml_door import convert, received
from obmen.connectors.commerceml_door.api import in_order
from obmen.connectors.commerceml_door.profiles import all_profiles, recognise
from obmen.connectors.commerceml_door.settings import ORDERS_IN, ORDERS_OUT, PRICES_IN, PRODUCTS_IN, STOCK_IN, DoorSettings
from obmen.core.calls import COOKIE, cookie_of
from obmen.core.contract import BadDocument, BadRecord, Call, DoorHost, DoorSession, ExchangeError, Job, Pending, Reply
from obmen.core.records import Reference, Subject
from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml import reader, writer
from obmen.formats.commerceml.dialects import DIALECTS, Dialect
from obmen.formats.commerceml.model import Document

TYPES = ("catalog", "sale", "reference", "get_catalog", "crm")
LULL = timedelta(minutes=10)  # portions of one load follow each other sooner than this
DRAINED = 256 << 20  # bytes of a refused file that are read before the answer
BATCH = 500  # orders that are read and noted as offered at a time
GOODS_IN = (PRODUCTS_IN, PRICES_IN, STOCK_IN)
VERSIONS = {"catalog": "3.1", "reference": "3.1", "sale": "2.09"}  # the newest that is spoken, as Bitrix answers

UNKNOWN_COMMAND = "Unknown command type."  # Bitrix's words: clients compare them
NO_SESSION = _("The session is not known or has ended. Begin with mode=checkauth.")
NEEDS_LOGIN = _("Login and password are needed.")


class Refused(Exception):
    """The call ends with ``failure`` and this text."""


class Door:
    """``answer`` never raises for what a caller did; an error of the hub itself is the web ring's to log and to answer."""

    def answer(self, call: Call, host: DoorHost) -> Reply:
        return _Conversation(call, host).answer()


class _Conversation:
    """One call with its host and settings at hand."""

    def __init__(self, call: Call, host: DoorHost) -> None:
        self.call, self.host = call, host
        self.s: DoorSettings = host.settings
        self.type = call.query.get("type", "").strip().lower()
        self.mode = call.query.get("mode", "").strip().lower()

    def answer(self) -> Reply:
        try:
            return self._answer()
        except Refused as error:
            reply = self.text("failure", str(error))
        except ExchangeError as error:
            reply = self.text("failure", self.host.say(error.text, **error.facts))
        self._drain()
        return reply

    def _answer(self) -> Reply:
        if self.call.by_browser:
            return self._preview()
        if self.type == "listen":
            return self._listen()
        modes = self._modes()
        if self.type not in TYPES or self.mode not in modes:
            return self.text("failure", UNKNOWN_COMMAND)
        return modes[self.mode]()

    def _modes(self) -> dict[str, Callable[[], Reply]]:
        if self.type == "crm":
            return dict.fromkeys(("checkauth", "init", "query", ""), self._no_crm)
        common = {"checkauth": self._checkauth, "init": self._init}
        if self.type == "get_catalog":
            return {**common, "query": self._no_catalogue}
        exchange = {
            **common,
            "file": self._file,
            "import": self._import,
            "deactivate": self._deactivate,
            "complete": self._complete,
        }
        if self.type == "sale":
            return {**exchange, "query": self._query, "success": self._success, "info": self._info}
        return {**exchange, "query": self._no_catalogue}

    # --- answers -----------------------------------------------------------------------------------------------------------

    def text(self, *lines: str, end: str = "") -> Reply:
        encoding = self.s.answer_encoding
        codec = "cp1251" if encoding == "windows-1251" else "utf-8"
        body = ("\n".join(lines) + end).encode(codec, "replace")
        if encoding == "utf-8-bom":
            body = b"\xef\xbb\xbf" + body
        return Reply(body, headers={"Content-Type": f"text/plain; charset={_charset(encoding)}"})

    def say(self, text: str, **facts: object) -> str:
        return self.host.say(text, **facts)

    def refuse(self, text: str, **facts: object) -> Refused:
        return Refused(self.say(text, **facts))

    # --- sessions ----------------------------------------------------------------------------------------------------------

    def _checkauth(self) -> Reply:
        if not self.call.user:
            return self._login()
        sessid = secrets.token_hex(16)
        session = self.host.open_session(self.call.user, {"type": self.type, "sessid": sessid, "round": 0})
        self._recognise(session)
        lines = ["success", COOKIE, session.cookie]
        if self.s.session_lines == "full" and self.type != "get_catalog":
            lines.append(f"sessid={sessid}")
            if self.type == "catalog":
                lines.append(f"timestamp={int(session.created.timestamp())}")
        return self.text(*lines, end="\n")

    def _login(self) -> Reply:
        reply = self.text("failure", self.say(NEEDS_LOGIN))
        return Reply(reply.body, 401, {**reply.headers, "WWW-Authenticate": 'Basic realm="1C"'})

    def _session(self) -> DoorSession | None:
        """The session of this call, or None when it shows neither session nor login.

        A caller that sends its login with every call and never a cookie (CS-Cart's add-on works so) gets one session that is
        found by the login again; a cookie that is not known is refused even so.
        """
        cookie = cookie_of(self.call.headers)
        if cookie is not None:
            session = self.host.session(cookie)
            if session is None:
                raise self.refuse(NO_SESSION)
            self._check_sessid(session)
            return session
        if not self.call.user:
            return None
        name = f"session of {self.call.user}"
        session = self.host.session(self.host.recall(name) or "")
        if session is None:
            session = self.host.open_session(self.call.user, {"type": self.type, "sessid": "", "round": 0})
            self.host.remember(name, session.cookie)
        return session

    def _check_sessid(self, session: DoorSession) -> None:
        if not self.s.sessid_check or self.s.session_lines == "plain" or session.data.get("type") == "get_catalog":
            return
        if not secrets.compare_digest(self.call.query.get("sessid", "").encode(), str(session.data.get("sessid", "")).encode()):
            raise self.refuse(_("The session token sessid is missing or wrong. Begin with mode=checkauth."))

    def _recognise(self, session: DoorSession, document: str = "") -> None:
        """Note what the caller seems to be; the first certain word stands, and is journalled once."""
        q = self.call.query
        for name, key in (("version", "version"), ("cml", "cmlVersion")):
            if q.get(key):
                session.data[name] = q[key].strip()[:20]
        if session.data.get("recognised"):
            return
        found = recognise(
            user_agent=self.call.headers.get("user-agent", ""),
            version=session.data.get("version", ""),
            cml=session.data.get("cml", ""),
            filename=q.get("filename", "").rpartition("/")[2],
            document=document,
        )
        if found:
            session.data["recognised"] = found
            if self.host.recall("recognised") != found:
                self.host.remember("recognised", found)
                self.host.journal("door.recognised", profile=found, title=all_profiles()[found]["title"])

    def _init(self) -> Reply:
        session = self._session()
        if session is None:
            return self._login()
        if self.type == "get_catalog":
            return self.text("zip=no", end="\n")
        # A node that begins again in the same session must not append to what it sent before; nothing is wiped, for a worker may
        # still be reading it.
        if session.data.get("got"):
            session.data["round"] = int(session.data.get("round", 0)) + 1
            session.data["got"] = False
        self._recognise(session)
        self.host.save(session)
        # Exactly two lines without a line end: 1C:UT 11.5 counts them, and a third one breaks it.
        lines = [f"zip={'yes' if self.s.zip else 'no'}", f"file_limit={self.s.file_limit}"]
        if self.call.query.get("version", "").strip():
            lines += [f"sessid={session.data.get('sessid', '')}", f"version={VERSIONS[self.type]}"]
        return self.text(*lines)

    # --- files in ----------------------------------------------------------------------------------------------------------

    def _file(self) -> Reply:
        session = self._session()
        if session is None:
            return self._login()
        name = self._name()
        if self.call.method.upper() in ("GET", "HEAD"):
            raise self.refuse(_("A file has to be sent with POST."))
        if not self._is_on():
            return self._drained("success", self.say(_("This stream is switched off; the file is left alone.")))
        if self.type != "sale":
            self._admit(session, name)
        if not received.is_kept(name):
            return self._drained(*self._not_kept(name))
        if self.s.pictures == "off" and received.extension(name) in received.PICTURES:
            return self._drained("success", self.say(_("Pictures are switched off; the file is left alone.")))
        folder = self._folder(session)
        got = self._receive(folder, name)
        changed = not session.data.get("got")
        session.data["got"] = True
        before = session.data.get("recognised")
        self._recognise(session, _beginning(got.path) if got.outcome in ("new", "again") else "")
        if changed or before != session.data.get("recognised"):
            self.host.save(session)
        if self.type == "sale" and received.extension(name) in received.EXCHANGE and received.is_complete(got.path):
            self._take_orders(session, got.path)
        return self.text("success")

    def _name(self) -> str:
        said = self.call.query.get("filename", "")
        try:
            return received.safe_name(said)
        except received.BadName:
            raise self.refuse(_("The file name “{name}” is not allowed."), name=said[:255]) from None

    def _receive(self, folder: Path, name: str) -> received.Received:
        limit = self.s.max_file << 20
        try:
            return received.receive(folder, name, self.call.body, self.call.length, limit)
        except received.TooLarge:
            raise self.refuse(
                _("{file} is larger than {limit} MB, which is the limit here."), file=name, limit=self.s.max_file
            ) from None
        except received.CameShort as error:
            raise self.refuse(
                _("{file} came short: {got} of {said} bytes. Send it again."), file=name, got=error.got, said=error.said
            ) from None

    def _not_kept(self, name: str) -> tuple[str, ...]:
        if name.startswith("import_files/"):
            # 1C:UT posts other files of a product along with its pictures; refusing one would end the whole exchange.
            return "success", self.say(_("{file}: files of this kind are not kept."), file=name)
        return "failure", self.say(_("{file}: files of this kind are not taken."), file=name)

    def _drain(self) -> None:
        """Read the rest of a body, or a client that is still sending takes the answer for a broken line. Not without end."""
        left = DRAINED
        while self.mode == "file" and left > 0 and (block := self.call.body.read(received.BLOCK)):
            left -= len(block)

    def _drained(self, *lines: str) -> Reply:
        self._drain()
        return self.text(*lines)

    def _is_on(self) -> bool:
        return not {*self._wanted()}.isdisjoint(self.host.streams)

    def _wanted(self) -> tuple[str, ...]:
        return (ORDERS_IN,) if self.type == "sale" else GOODS_IN

    def _folder(self, session: DoorSession, number: int | None = None) -> Path:
        folder = self.host.folder(session) / str(session.data.get("round", 0) if number is None else number)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _admit(self, session: DoorSession, name: str) -> None:
        """Refuse a load that begins too soon after the one before. Portions of one load (1C:UT makes a session for each) follow each
        other within minutes under ever new names; a file that has been taken already begins a new load."""
        if not self.s.minimum_interval:
            return
        now = self.host.now()
        load = self.host.recall("load") or {}
        last = _moment(load.get("last"))
        same = last is not None and now - last <= LULL and load["done"].get(name, session.cookie) == session.cookie
        if not same:
            start = _moment(load.get("start"))
            free = start + timedelta(minutes=self.s.minimum_interval) if start else now
            if free > now:
                left = -(-(free - now).total_seconds() // 60)
                self.host.journal("door.too_early", minutes=int(left), file=name)
                raise self.refuse(
                    _("Too early: goods are taken once in {interval} min here. Come back in {minutes} min."),
                    interval=self.s.minimum_interval,
                    minutes=int(left),
                )
            load = {"start": now.isoformat(), "done": {}}
        load["last"] = now.isoformat()
        self.host.remember("load", load)

    def _note_load(self, session: DoorSession, name: str) -> None:
        load = self.host.recall("load") if self.s.minimum_interval else None
        if load:
            load["done"][name] = session.cookie
            load["last"] = self.host.now().isoformat()
            self.host.remember("load", load)

    # --- import ------------------------------------------------------------------------------------------------------------

    def _import(self) -> Reply:
        session = self._session()
        if session is None:
            return self._login()
        name = self._name()
        if not self._is_on():
            return self.text("success", self.say(_("This stream is switched off; the file is left alone.")))
        end = self.host.now() + timedelta(seconds=self.s.wait_seconds)
        path = self._find(session, name)
        if path is None and not self._unpack(session, end):
            return self.text("progress", self.say(_("The archive is being unpacked.")))
        path = path or self._find(session, name)
        if path is None:
            raise self.refuse(_("The file {file} was not found: send it first, with mode=file."), file=name)
        if path.suffix.lower() == ".zip":
            return self._import_archive(session, path, end)
        if self.type != "sale":
            self._admit(session, name)
        self._check_whole(path)
        job = self._ask(session, path)
        job = self.host.wait(job, max(0.0, (end - self.host.now()).total_seconds()))
        if job.state == "done" and self.type != "sale":
            self._note_load(session, name)
        return self._job_reply(job)

    def _import_archive(self, session: DoorSession, archive: Path, end: datetime) -> Reply:
        """A node that names the archive itself: everything in it is imported, one file after the other."""
        if not self._unpack(session, end):
            return self.text("progress", self.say(_("The archive is being unpacked.")))
        job: Job | None = None
        for path in in_order([*archive.parent.rglob("*.xml")]):
            self._check_whole(path)
            job = self.host.wait(self._ask(session, path), max(0.0, (end - self.host.now()).total_seconds()))
            if job.state != "done":
                return self._job_reply(job)
        if job is None:
            raise self.refuse(_("There is no XML file in {file}."), file=archive.name)
        return self._job_reply(job)

    def _find(self, session: DoorSession, name: str) -> Path | None:
        """In this round's folder, else in an earlier round's; an archive may hold the file in a folder of its own."""
        for number in range(int(session.data.get("round", 0)), -1, -1):
            folder = self._folder(session, number)
            path = folder / name
            if path.is_file():
                return path
            inside = sorted(p for p in folder.glob(f"*/{Path(name).name}") if p.parent.name != received.NOTES and p.is_file())
            if inside:
                return inside[0]
        return None

    def _unpack(self, session: DoorSession, end: datetime) -> bool:
        """Unpack what has come as archives; False when time ran out, and the next call goes on where this one stopped."""
        folder = self._folder(session)
        limits = received.ZipLimits(self.s.max_entries, self.s.max_unpacked << 20, self.s.max_ratio)
        unpacked: dict[str, int] = session.data.setdefault("unpacked", {})
        for archive in sorted(folder.glob("*.zip")):
            size = archive.stat().st_size
            if unpacked.get(f"{folder.name}/{archive.name}") == size:
                continue
            for _name in received.unpack(archive, folder, limits):
                if self.s.wait_seconds and self.host.now() >= end:
                    return False
            unpacked[f"{folder.name}/{archive.name}"] = size
            self.host.save(session)
        return True

    def _check_whole(self, path: Path) -> None:
        """A file without its end is refused before anything of it is taken; one that is no exchange file says so first."""
        reader.look(path)
        if not received.is_complete(path):
            raise BadDocument(_("{file} is cut off: its end is missing. Nothing of it was taken; send it again."), file=path.name)

    def _ask(self, session: DoorSession, path: Path) -> Job:
        key = f"{session.cookie}:{self.type}:{path.name}:{_digest(path)}"
        return self.host.ask_import(session, [path], self.type, key)

    def _take_orders(self, session: DoorSession, path: Path) -> None:
        """Not every node calls mode=import for orders (1C:UNF, 1C:UT by option), so a complete file is queued at once; the import
        call that may follow joins the same job."""
        if path.suffix.lower() == ".zip":
            limits = received.ZipLimits(self.s.max_entries, self.s.max_unpacked << 20, self.s.max_ratio)
            names = [name for name in received.unpack(path, path.parent, limits) if received.extension(name) == "xml"]
            paths = [path.parent / name for name in names]
        else:
            paths = [path]
        for file in paths:
            self._check_whole(file)
            self._ask(session, file)

    def _job_reply(self, job: Job) -> Reply:
        if not job.finished:
            return self.text("progress", self.say(_("{percent} % is done."), percent=job.percent), *self._counts(job))
        parked = job.counts.get("parked", 0)
        lines = [job.text] if job.text else self._counts(job)
        if job.state == "done" and not (parked and self.s.parked_answer == "failure"):
            return self.text("success", *lines)
        return self.text("failure", *(lines or [self.say(_("The import has stopped; the journal says why."))]))

    def _counts(self, job: Job) -> list[str]:
        words = (
            ("created", _("created: {count}")),
            ("matched", _("joined with existing cards: {count}")),
            ("updated", _("updated: {count}")),
            ("unchanged", _("unchanged: {count}")),
            ("left_out", _("left out by the settings: {count}")),
            ("parked", _("set aside: {count}")),
        )
        said = [self.say(text, count=job.counts[name]) for name, text in words if job.counts.get(name)]
        return ["; ".join(said)] if said else []

    def _deactivate(self) -> Reply:
        """The end of a full exchange of Bitrix's module: what it did not mention may be swept, if the owner wants that."""
        session = self._session()
        if session is None:
            return self._login()
        if self.s.sweep == "mark" and self._is_on():
            since = self.call.query.get("timestamp", "").strip()
            job = self.host.ask_import(session, [], "deactivate", f"{session.cookie}:deactivate:{since}")
            job = self.host.wait(job, self.s.wait_seconds)
            return self._job_reply(job)
        self.host.journal("door.deactivate", done=False)
        return self.text("success", self.say(_("Goods that were not mentioned stay as they are.")))

    def _complete(self) -> Reply:
        session = self._session()
        if session is None:
            return self._login()
        self.host.journal("door.complete", type=self.type)
        return self.text("success", self.say(_("The exchange is complete.")))

    # --- orders out --------------------------------------------------------------------------------------------------------

    def _query(self) -> Reply:
        session = self._session()
        if session is None:
            return self._login()
        self._recognise(session)
        if self.s.implicit_confirmation and session.data.get("queried"):
            self.host.confirm(session)
        session.data["queried"] = True
        self.host.save(session)
        return self._orders(session)

    def _preview(self) -> Reply:
        """What would be sent, for a person in a browser: nothing is offered, parked or noted."""
        if (self.type, self.mode) != ("sale", "query"):
            return self.text("failure", self.say(_("A browser can look at type=sale&mode=query only.")))
        return self._orders(None)

    def _orders(self, session: DoorSession | None) -> Reply:
        dialect = self._dialect(session)
        created = self.host.now().astimezone(self.host.zone).replace(tzinfo=None, microsecond=0)
        # What was offered is noted before the bytes that tell it go out: the other way round, a success could come for an order of
        # which nobody knows that it was offered.
        documents = self._documents(session, dialect) if ORDERS_OUT in self.host.streams else iter(())
        pieces = writer.orders(documents, dialect, created=created)
        first = next(pieces)  # a failure of the database is answered as one, not as half a document
        return Reply(
            chain((first,), pieces), headers={"Content-Type": f"application/xml; charset={_charset(dialect.answer_encoding)}"}
        )

    def _documents(self, session: DoorSession | None, dialect: Dialect) -> Iterator[Document]:
        words = self._words()
        batch: list[Pending] = []
        wanted = (p for p in self.host.pending_orders() if convert.is_wanted(p.order, self.s))
        for pending in islice(wanted, self.s.orders_per_query or None):
            batch.append(pending)
            if len(batch) >= BATCH:
                yield from self._offered(session, batch, dialect, words)
                batch = []
        yield from self._offered(session, batch, dialect, words)

    def _offered(
        self, session: DoorSession | None, batch: list[Pending], dialect: Dialect, words: convert.Words
    ) -> list[Document]:
        documents, pairs = [], []
        for pending in batch:
            try:
                document = convert.document(pending.order, pending.record_id, self.s, dialect, words, self.host.zone)
            except BadRecord as error:
                # 1C loads all orders of an answer or none: a bad one is set aside and never blocks the rest.
                if session is not None:
                    self.host.park_order(pending.record_id, error)
                continue
            documents.append(document)
            pairs.append((pending.record_id, pending.revision))
        if session is not None and pairs:
            self.host.offer(session, pairs)
        return documents

    def _dialect(self, session: DoorSession | None) -> Dialect:
        key = self.s.dialect
        if key == "auto":
            data = session.data if session else {}
            profile = data.get("recognised") or self.host.recall("recognised") or "generic"
            key = all_profiles().get(profile, {}).get("settings", {}).get("dialect", "generic")
        if key == "unf" and session and _at_least(session.data.get("cml", ""), (2, 10)):
            key = "unf-subordinate"
        return replace(DIALECTS[key], answer_encoding=self.s.answer_encoding)

    def _words(self) -> convert.Words:
        return convert.Words(
            {r.key: self._their(Subject.ORDER_STATE, r) for r in self.host.references(Subject.ORDER_STATE)},
            {r.key: self._their(Subject.PAYMENT_KIND, r) for r in self.host.references(Subject.PAYMENT_KIND)},
            {r.key: self._their(Subject.DELIVERY, r) for r in self.host.references(Subject.DELIVERY)},
        )

    def _their(self, subject: Subject, ours: Reference) -> tuple[str, str]:
        """(id, name) for 1C: theirs by the mapping, else ours. A mapping that was made by name has the name for both."""
        theirs = self.host.theirs(subject, ours.key)
        if theirs is None:
            return ours.key, ours.name or ours.key
        return theirs, self.host.theirs_name(subject, ours.key) or theirs

    def _success(self) -> Reply:
        session = self._session()
        if session is None:
            return self._login()
        count = self.host.confirm(session)
        if count:
            self.host.journal("door.confirmed", orders=count)
        else:
            self.host.journal("door.success_without_orders", queried=bool(session.data.get("queried")))
        return self.text("success")

    def _info(self) -> Reply:
        session = self._session()
        if session is None:
            return self._login()
        dialect = self._dialect(session)
        # Our own words: the node maps them to its own in its settings (1C:UNF fills its tables from here).
        body = b"".join(
            writer.info(
                self.host.references(Subject.ORDER_STATE),
                self.host.references(Subject.PAYMENT_KIND),
                self.host.references(Subject.DELIVERY),
                dialect,
            )
        )
        return Reply(body, headers={"Content-Type": f"application/xml; charset={_charset(dialect.answer_encoding)}"})

    def _listen(self) -> Reply:
        """Bitrix's long poll: success when an order waits, else 304, which has no body by the rules of HTTP."""
        session = self._session()
        if session is None:
            return self._login()
        waiting = any(convert.is_wanted(p.order, self.s) for p in self.host.pending_orders())
        if ORDERS_OUT in self.host.streams and waiting:
            return self.text("success", end="\n")
        return Reply(b"", 304)

    # --- what this door does not do ----------------------------------------------------------------------------------------

    def _no_catalogue(self) -> Reply:
        return self.text("failure", self.say(_("The catalogue is not given out here; goods come from the accounting system.")))

    def _no_crm(self) -> Reply:
        return self.text(
            "failure", self.say(_("The exchange of Bitrix24 is not spoken here; use the CommerceML exchange (type=sale)."))
        )


def _charset(encoding: str) -> str:
    return "windows-1251" if encoding == "windows-1251" else "utf-8"


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _at_least(version: str, wanted: tuple[int, int]) -> bool:
    parts = version.split(".")
    try:
        return (int(parts[0]), int(parts[1]) if len(parts) > 1 else 0) >= wanted
    except ValueError:
        return False


def _beginning(path: Path) -> str:
    with open(path, "rb") as file:
        return file.read(4096).decode("utf-8", "replace")


def _digest(path: Path) -> str:
    digest = xxhash.xxh3_128()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
