"""HTTP to doors: who calls, whether they may, and their words as a Call. What is said then is the door's affair.

The address never redirects (1C loses the body of a redirected POST), never reads a body into memory, never answers nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, BinaryIO, cast
from zoneinfo import ZoneInfo

from axes.models import AccessAttempt
from django.conf import settings as hub
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.db.models import F, Max, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext, override
from django.views.decorators.csrf import csrf_exempt

from obmen import registry
from obmen.core.calls import cookie_of, parse_query
from obmen.core.contract import Call, Door, ExchangeError, Reply
from obmen.core.words import gettext_noop as _
from obmen.store.connections import connector_of
from obmen.store.doors import DjangoDoorHost, live_session
from obmen.store.models import Connection
from obmen.work import jobs

log = logging.getLogger(__name__)

PERMISSION = "store.import_commerceml"
PREVIEW = "store.view_order"
SECRET_PARAMETERS = {"sessid", "user_password", "password", "token", "user_login"}

WRONG_LOGIN = _("Login or password is wrong")
LOCKED = _("Too many wrong passwords. Try again in {minutes} min")
NOT_FROM_HERE = _("Calls from {address} are not allowed; the allow list of the connection decides")
SWITCHED_OFF = _("This connection is switched off")
PAUSED = _("This connection is paused until {until}. Nothing is lost: try again after that")
PAUSED_BECAUSE = _("This connection is paused until {until}: {reason}. Nothing is lost: try again after that")
NO_RIGHT = _("This login may not exchange: it lacks the permission “Import CommerceML”")
HUB_ERROR = _("The hub has met an error of its own; its log says more. Try again later")


class Denied(Exception):
    """The call ends here with this status and text, in the language of the connection once that may be told apart."""

    def __init__(
        self, status: int, text: str, connection: Connection | None = None, after: float | None = None, **facts: object
    ) -> None:
        super().__init__(text)
        self.status, self.text, self.after, self.facts = status, text, after, facts  # after: seconds until it may call again
        self.language = connection.language if connection else hub.LANGUAGE_CODE


@csrf_exempt
def exchange(request: HttpRequest, slug: str = "", token: str = "") -> HttpResponseBase:
    """One call of an outside system at ``/exchange/<connection>/[<token>/]`` or at another shop's usual address."""
    try:
        return _exchange(request, slug, token)
    except DatabaseError:
        # A database that is locked or away says so in the node's own words; a page of HTML would end its retries.
        log.exception("a door could not reach the database")
        return _plain(503, "failure", gettext(HUB_ERROR))


def _exchange(request: HttpRequest, slug: str, token: str) -> HttpResponseBase:
    started = time.monotonic()
    # Axes and Django would read a form out of the body; a file that somebody sends with a form's content type is a file.
    request._post, request._files = request.GET.__class__(), {}  # type: ignore[attr-defined]
    query = parse_query(request.META.get("QUERY_STRING", ""))
    headers = {name.lower(): value for name, value in request.headers.items()}
    language = hub.LANGUAGE_CODE
    try:
        caller = _caller(request, headers, query, slug, token)
        language = caller.connection.language
        connector = connector_of(caller.connection)
    except Denied as denied:
        return _denial(denied)
    except ExchangeError as error:  # settings that cannot be read
        return _plain(200, "failure", str(error))
    host = DjangoDoorHost(caller.connection, connector.s, jobs.ask)
    call = Call(
        method=request.method or "GET",
        query=query,
        headers=headers,
        body=_body(request),
        length=int(request.META["CONTENT_LENGTH"]) if request.META.get("CONTENT_LENGTH", "").isdigit() else None,
        remote=_address(request),
        user=caller.user,
        by_browser=caller.by_browser,
    )
    door: Door = connector.doors()[""]
    try:
        reply = door.answer(call, host)
    except Exception:
        log.exception("the door of %s failed at %s", caller.connection.name, _told(call))
        with override(language):
            reply = Reply(f"failure\n{gettext(HUB_ERROR)}".encode(), 500, {"Content-Type": "text/plain; charset=utf-8"})
    return _respond(reply, call, host, started)


# --- who calls -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Caller:
    connection: Connection
    user: str = ""  # "" when only a cookie came
    by_browser: bool = False


def _caller(request: HttpRequest, headers: dict[str, str], query: dict[str, str], slug: str, token: str) -> Caller:
    """Find the connection and who speaks for it. Raises Denied, with 401 for everything about credentials."""
    basic = _basic(headers.get("authorization", ""))
    connection = Connection.objects.select_related("account").filter(slug=slug).first() if slug else None
    cookie = cookie_of(headers)
    if cookie is not None and query.get("mode", "").lower() != "checkauth":
        row = live_session(cookie, 24 * 366)  # the door judges its age
        if row is not None and (connection is None or connection.pk == row.connection_id):
            connection = row.connection
            _check(request, connection)
            if _may(connection.account):
                return Caller(connection)
    if token and connection is not None:
        return _by_token(request, connection, token)
    if basic is not None:
        return _by_password(request, connection, *basic, by_slug=bool(slug))
    person = _person(request, query)
    if person is not None and (found := connection or _only_door()) is not None:
        return Caller(found, person.get_username(), by_browser=True)
    raise Denied(401, WRONG_LOGIN)


def _by_password(request: HttpRequest, connection: Connection | None, login: str, password: str, *, by_slug: bool) -> Caller:
    address = _address(request)
    Lockout(login, address).check()
    if connection is None and not by_slug:
        connection = _door_of(login)
    user = _verify(request, login, password)
    if user is None or connection is None or connection.account_id != user.pk:
        Lockout(login, address).failed()
        raise Denied(401, WRONG_LOGIN)
    Lockout(login, address).succeeded()
    _check(request, connection)
    if not _may(user):
        raise Denied(401, NO_RIGHT, connection)
    return Caller(connection, user.get_username())


def _by_token(request: HttpRequest, connection: Connection, token: str) -> Caller:
    """A token in the path stands in for the password, and is guarded against guessing in the same way."""
    login, address = f"token of {connection.slug}", _address(request)
    Lockout(login, address).check()
    wanted = str(getattr(connector_of(connection).s, "path_token", ""))
    if not wanted or not hmac.compare_digest(wanted.encode(), token.encode()):
        Lockout(login, address).failed()
        raise Denied(401, WRONG_LOGIN)
    Lockout(login, address).succeeded()
    _check(request, connection)
    if not _may(connection.account):
        raise Denied(401, NO_RIGHT, connection)
    return Caller(connection, cast(User, connection.account).get_username())


def _check(request: HttpRequest, connection: Connection) -> None:
    networks = getattr(connector_of(connection).s, "networks", ())
    address = _address(request)
    if networks and not any(_inside(address, network) for network in networks):
        raise Denied(403, NOT_FROM_HERE, connection, address=address)
    if not connection.enabled:
        raise Denied(200, SWITCHED_OFF, connection)
    if connection.paused_until is not None and (left := (connection.paused_until - timezone.now()).total_seconds()) > 0:
        until = connection.paused_until.astimezone(ZoneInfo(connection.time_zone)).strftime("%d.%m.%Y %H:%M")
        reason = connection.paused_text.rstrip(".")
        raise Denied(200, PAUSED_BECAUSE if reason else PAUSED, connection, after=left, until=until, reason=reason)


def _inside(address: str, network: Any) -> bool:
    try:
        ip: Any = ipaddress.ip_address(address)
    except ValueError:
        return False
    if ip.version == 6 and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return ip.version == network.version and ip in network


def _may(user: User | None) -> bool:
    return user is not None and user.is_active and user.has_perm(PERMISSION)


def _door_of(login: str) -> Connection | None:
    """The connection whose machine account this is, for addresses that do not name it."""
    doors = [key for key, cls in registry.connectors().items() if cls.addresses]
    rows = Connection.objects.select_related("account").filter(account__username=login, connector__in=doors)
    return rows.order_by("-enabled", "pk").first()


def _only_door() -> Connection | None:
    doors = [key for key, cls in registry.connectors().items() if cls.addresses]
    found = list(Connection.objects.select_related("account").filter(connector__in=doors, enabled=True)[:2])
    return found[0] if len(found) == 1 else None


def _person(request: HttpRequest, query: dict[str, str]) -> User | None:
    """Somebody signed in to the pages, who looks at what would be sent."""
    if hub.SESSION_COOKIE_NAME not in request.COOKIES or query.get("mode") != "query":
        return None
    user = request.user
    return user if isinstance(user, User) and user.is_active and user.is_staff and user.has_perm(PREVIEW) else None


def _basic(header: str) -> tuple[str, str] | None:
    """(login, password): UTF-8, else windows-1251, as 1C's platforms before 8.3 encode them."""
    scheme, _space, value = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        raw = base64.b64decode(value.strip(), validate=True)
    except binascii.Error:
        raise Denied(401, WRONG_LOGIN) from None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("cp1251", "replace")
    login, colon, password = text.partition(":")
    if not colon or not login or not password or "\0" in login:
        raise Denied(401, WRONG_LOGIN)
    return login, password


_KEY = secrets.token_bytes(32)
_verified: OrderedDict[tuple[int, bytes], tuple[str, float]] = OrderedDict()
REMEMBERED, REMEMBERED_FOR = 200, 300.0


def _verify(request: HttpRequest, login: str, password: str) -> User | None:
    """The active user of that password. A good password is remembered for some minutes: 1C sends it with every one of thousands of
    calls, and checking it costs a third of a second on purpose. Changing the password or the user ends that at once."""
    digest = hmac.digest(_KEY, password.encode(), hashlib.sha256)
    user = User.objects.filter(username=login).first()
    if user is not None and user.is_active:
        stored, until = _verified.get((user.pk, digest), ("", 0.0))
        if until > time.monotonic() and hmac.compare_digest(stored, user.password):
            return user
    found = ModelBackend().authenticate(request, username=login, password=password)
    if not isinstance(found, User):
        return None
    _verified[found.pk, digest] = (found.password, time.monotonic() + REMEMBERED_FOR)
    while len(_verified) > REMEMBERED:
        _verified.popitem(last=False)
    return found


class Lockout:
    """Wrong passwords of one login from one address: after some, everything from there waits, each time twice as long.

    Kept in the table of django-axes, which the pages' sign-in uses too: many processes see the same, and its commands unlock.
    Attempts older than axes' own cooling time are forgotten by it, which caps the wait.
    """

    FREE = hub.AXES_FAILURE_LIMIT
    FIRST = timedelta(minutes=1)
    AGENT = "exchange"

    def __init__(self, login: str, address: str) -> None:
        self.login, self.address = login[:255], address
        self.cap = timedelta(hours=hub.AXES_COOLOFF_TIME)

    def until(self) -> datetime | None:
        found = AccessAttempt.objects.filter(username=self.login, ip_address=self.address).aggregate(
            count=Sum("failures_since_start"), last=Max("attempt_time")
        )
        count, last = found["count"] or 0, found["last"]
        if count < self.FREE or last is None:
            return None
        return cast(datetime, last) + min(self.FIRST * 2 ** min(count - self.FREE, 20), self.cap)

    def check(self) -> None:
        """Raises Denied while locked; that call counts no further failure, so that a corrected node gets in again."""
        until = self.until()
        if until is not None and (left := (until - timezone.now()).total_seconds()) > 0:
            raise Denied(401, LOCKED, minutes=-(-int(left) // 60) or 1)

    def failed(self) -> None:
        now = timezone.now()
        attempt, made = AccessAttempt.objects.get_or_create(
            username=self.login,
            ip_address=self.address,
            user_agent=self.AGENT,
            defaults={"failures_since_start": 1, "attempt_time": now, "path_info": "/exchange/"},
        )
        if not made:
            AccessAttempt.objects.filter(pk=attempt.pk).update(
                failures_since_start=F("failures_since_start") + 1, attempt_time=now
            )

    def succeeded(self) -> None:
        AccessAttempt.objects.filter(username=self.login, ip_address=self.address, user_agent=self.AGENT).delete()


# --- words -----------------------------------------------------------------------------------------------------------------


def _address(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))


def _body(request: HttpRequest) -> BinaryIO:
    """The body as a stream. A server that hands a chunked body on without a length marks it as ended by itself."""
    environ = request.META
    if not environ.get("CONTENT_LENGTH") and environ.get("wsgi.input_terminated"):
        return cast(BinaryIO, environ["wsgi.input"])
    return cast(BinaryIO, request)


def _plain(status: int, *lines: str) -> HttpResponse:
    response = HttpResponse("\n".join(lines).encode(), status=status, content_type="text/plain; charset=utf-8")
    if status == 401:
        response["WWW-Authenticate"] = 'Basic realm="1C", charset="UTF-8"'
    return response


def _denial(denied: Denied) -> HttpResponse:
    with override(denied.language):
        response = _plain(denied.status, "failure", gettext(denied.text).format(**denied.facts))
    if denied.after is not None:
        response["Retry-After"] = str(int(denied.after) + 1)
    return response


def _told(call: Call) -> str:
    """The call for the journal, without secrets."""
    pairs = (f"{k}={'•••' if k.lower() in SECRET_PARAMETERS else v}" for k, v in call.query.items())
    return f"{call.method} {'&'.join(pairs)}"[:500]


def _respond(reply: Reply, call: Call, host: DjangoDoorHost, started: float) -> HttpResponseBase:
    def note(size: int, answer: str) -> None:
        try:
            host.note_message(
                call=_told(call),
                status=reply.status,
                answer=answer[:500],
                bytes_in=call.length or 0,
                bytes_out=size,
                milliseconds=int((time.monotonic() - started) * 1000),
                remote=call.remote[:64],
            )
        except DatabaseError:
            log.exception("a call was answered but could not be noted")  # what it did is done: the answer says so

    response: HttpResponseBase
    if isinstance(reply.body, bytes):
        note(len(reply.body), _first_line(reply.body))
        response = HttpResponse(reply.body, status=reply.status)
        if reply.body:
            response["Content-Length"] = str(len(reply.body))
    else:
        response = StreamingHttpResponse(_counted(reply.body, note), status=reply.status)
    for name, value in reply.headers.items():
        response[name] = value
    response["Cache-Control"] = "no-store"
    return response


def _first_line(body: bytes) -> str:
    """The verdict, and with a failure its reason; further lines of checkauth hold the session, so none is kept of a success."""
    lines = body[:400].decode("utf-8", "replace").lstrip("\ufeff").split("\n")
    return ": ".join(lines[:2]) if lines[0] == "failure" else lines[0]


def _counted(pieces: Iterator[bytes], note: Any) -> Iterator[bytes]:
    size = 0
    try:
        for piece in pieces:
            size += len(piece)
            yield piece
    except Exception:
        # Half a document is none: the node cannot read it, says no success, and is offered everything again.
        log.exception("an answer broke off after %s bytes", size)
        raise
    finally:
        note(size, "<?xml …")
