"""Every call to the Seller API of Rozetka, and what its answers mean: one ``Seller`` for an account.

Facts: marketplaces §3.1 (login, envelope, paging) and §3.2 (codes), from the vendor's documentation of 2025-10-18. Almost
everything is answered with status 200; ``success`` says how it went, ``errors.code`` why. Limits are not documented: two calls a
second, one at a time.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any

from obmen.connectors.rozetka.settings import RozetkaSettings
from obmen.core.contract import BadRecord, Hub, NeedsOwner, TryLater
from obmen.core.words import gettext_noop as _
from obmen.net.answers import listed as listed
from obmen.net.answers import mapping as mapping
from obmen.net.client import AnswerLost, Client, NotJson, Response

Json = dict[str, Any]

CALLS_A_SECOND = 2
PASSES = 3  # over a list that moves while it is read

NO_KEYS = _("Enter the token of the cabinet, or login and password, on the tab “Main”")
WRONG_LOGIN = _("Rozetka does not know this login with this password ({reason}): enter them again on the tab “Main”")
TOKEN_LAPSED = _(
    "Rozetka does not take the token any more: make a new one in the cabinet, Settings → API security → API tokens,"
    " and enter it on the tab “Main”. Tokens that were not used for a day may lapse"
)
USES_LOGIN = _("Rozetka does not take the token any more: login and password were used instead. Make a new token in the cabinet")
LOGGED_OUT = _("Rozetka ends our session at once although login and password are right. It is tried again by itself")
NO_RIGHTS = _(
    "This token or login may not call {path}: give it the roles content manager (goods) and order manager (orders) in the"
    " cabinet, or use a token instead of a login"
)
NO_SHOP = _("Rozetka does not find the shop of this account ({reason}): check login, password and token on the tab “Main”")
NO_API = _("There is no Seller API at {host} (status {status}): check the API address on the tab “Main”")
CLOSED = _("Rozetka is closed for maintenance. It is tried again by itself")
TROUBLE = _("Rozetka has an error of its own at {path} ({reason}). It is tried again by itself")
LOST = _("Rozetka answered {path} with an error of its own ({reason}): it is looked up before it is sent again")
REFUSED = _("Rozetka refuses {path}: {reason}")
GONE = _("Rozetka does not know it any more: {path}")
NO_LIST = "content: {}"  # what they said, as the reason of TROUBLE
LIST_MOVES = _("Rozetka's list {path} gave {found} of {total} entries: it is read again later")

SESSION_OVER = {6001, 5401}
WRONG_KEYS = {1004, 1018, 1020, 1021}
ACCESS_DENIED, NO_MARKET, MAINTENANCE = 1010, 1025, 5503
THEIR_TROUBLE = {0, 1003, 1006, 1007, 1011, 1012, 1015, 1016, 1017}  # server, queue, disk, mail: nothing is wrong with the data
NOT_FOUND = {1019, 1404, 5404}
PAUSE = timedelta(minutes=10)


class Refused(BadRecord):
    """They do not take what was sent. ``code`` as in §3.2, ``reason`` their words."""

    def __init__(self, path: str, code: int | None, reason: str) -> None:
        super().__init__(REFUSED, path=path, reason=reason)
        self.code, self.reason = code, reason


class NotFound(BadRecord):
    """There is no such thing (any more)."""


class ListMoves(TryLater):
    """A list that never came whole, read as far as it goes."""


class ByItem(Exception):
    """The form of mass-update (§3.7): what is wrong, by the item's id."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__(str(reasons))
        self.reasons = reasons


def words(details: Any) -> str:
    """``details`` is a sentence, a list of them, or lists of them by field: "status: Наступний статус недоступний"."""
    if isinstance(details, dict):
        return "; ".join(
            text if str(name).isdecimal() else f"{name}: {text}" for name, one in details.items() if (text := words(one))
        )
    if isinstance(details, list):
        return "; ".join(filter(None, map(words, details)))
    return "" if details is None else str(details)


class Seller:
    """Raises NeedsOwner at the first call when there is nothing to get in with, TryLater as the HTTP client does. Safe for threads:
    they take turns. ``said`` are warnings for the run, which whoever closes us reports: a thread may not."""

    def __init__(self, s: RozetkaSettings, hub: Hub) -> None:
        self.s, self.hub = s, hub
        self.said: set[str] = set()
        self.shop = ""  # what the login says of the shop
        self._token = s.token.strip()
        self._lock = threading.RLock()

    @cached_property
    def client(self) -> Client:
        s = self.s
        if not (s.token.strip() or (s.login.strip() and s.password)):
            raise NeedsOwner(NO_KEYS)
        account = hashlib.blake2b((s.login.strip() or s.token).encode(), digest_size=12).hexdigest()
        return Client.of(
            self.hub,
            s.address.strip(),
            calls=CALLS_A_SECOND,
            account=account,
            # Without the second one a search that is asked for nonsense is empty instead of refused (§3.1)
            headers={"Content-Language": s.language, "Accept-Validate-Exception": "1", "Accept": "application/json"},
            secrets=[s.token.strip(), s.password, _base64(s.password)],
        )

    def close(self) -> None:
        if "client" in self.__dict__:
            self.client.close()

    # --- calls ---

    def get(self, path: str, **query: Any) -> Any:
        """The content of the answer. Raises NeedsOwner, TryLater, NotFound, Refused."""
        return self._call("GET", path, query=_pairs(query))

    def content(self, path: str, name: str, **query: Any) -> Json:
        """As ``get`` for content that has a part of this name. Without it, as ``{}``, nothing was said: TryLater, for who takes it
        for an empty list would take everything for deleted."""
        content = mapping(self.get(path, **query))
        if name not in content:
            raise TryLater(TROUBLE, path=path, reason=NO_LIST)
        return content

    def post(self, path: str, body: Json, *, safe: bool) -> Any:
        return self._call("POST", path, json=body, safe=safe)

    def put(self, path: str, body: Json, *, safe: bool, **query: Any) -> Any:
        """``safe``: sending it twice does no harm; else AnswerLost is raised when nobody knows whether it was done.
        Raises ByItem besides."""
        return self._call("PUT", path, query=_pairs(query), json=body, safe=safe)

    def _call(self, method: str, path: str, safe: bool = True, **sent: Any) -> Any:
        with self._lock:
            client = self.client
            if not self._token:
                self._log_in()
            response = client.call(method, path, safe=safe, headers=self._bearer, **sent)
            if _session_over(response):  # nothing was done: it may be sent again, whatever it is
                self._renew()
                response = client.call(method, path, safe=safe, headers=self._bearer, **sent)
                if _session_over(response):
                    raise TryLater(LOGGED_OUT)
            return self._content(path, response, safe)

    @property
    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    def _renew(self) -> None:
        """§3.1: log in again, once. A token of the cabinet cannot be renewed by us."""
        if self._token == self.s.token.strip():
            if not (self.s.login.strip() and self.s.password):
                raise NeedsOwner(TOKEN_LAPSED)
            self.said.add(USES_LOGIN)
        self._log_in()

    def _log_in(self) -> None:
        s = self.s
        if not (s.login.strip() and s.password):
            raise NeedsOwner(NO_KEYS)
        self._token = ""
        body = {"username": s.login.strip(), "password": _base64(s.password)}
        response = self.client.call("POST", "/sites", safe=True, json=body)
        if _session_over(response):
            raise NeedsOwner(WRONG_LOGIN, reason=response.status)
        content = mapping(self._content("/sites", response, True))
        if not content.get("access_token"):
            raise NeedsOwner(NO_API, host=response.host, status=response.status)
        market = mapping(content.get("market"))
        self.shop = str(market.get("title") or "")
        if str(market.get("status") or "6") != "6" and market.get("status_label"):  # §3.1: 6 is active
            self.shop += f" ({market['status_label']})"
        self._token = str(content["access_token"])

    def _content(self, path: str, response: Response, safe: bool) -> Any:
        try:
            data = response.json()
        except NotJson:
            if response.status >= 300:  # a web server that is no Seller API has pages of its own
                raise NeedsOwner(NO_API, host=response.host, status=response.status) from None
            raise
        if not isinstance(data, dict) or "success" not in data:
            raise NeedsOwner(NO_API, host=response.host, status=response.status)
        if data["success"] is True:
            return data.get("content")
        errors = mapping(data.get("errors"))
        if "code" not in errors and errors and all(isinstance(one, dict) and "reason" in one for one in errors.values()):
            raise ByItem({str(key): _reasons(one) for key, one in errors.items()})
        try:
            code = int(str(errors.get("code")))
        except ValueError:
            code = None
        message = str(errors.get("message") or response.status)
        reason = ": ".join(filter(None, (message if code is None else f"{code} {message}", words(errors.get("details")))))
        raise _error(path, code, response.mask.text(reason), safe)  # into messages that stay: they may say our own token back

    # --- lists ---

    def pages(
        self, path: str, name: str, ident: Callable[[Json], Hashable], **query: Any
    ) -> Iterator[tuple[list[Json], int, int]]:
        """(rows that were not there before, how many there have been, how many there are) page by page.

        §3.1: past the end the last page comes again, so it ends when nothing new comes. A list that moved while it was read is
        read again for what slipped through; raises TryLater when it never comes whole: who takes it for whole would take what
        is missing for deleted. What they refuse is NeedsOwner here: there is no record that it could be parked with.
        """
        seen: set[Hashable] = set()
        most = total = last = 0
        for further in range(PASSES):
            page = 1
            while True:
                content = self._page(path, name, page, query)
                total = whole(mapping(content.get("_meta")).get("totalCount"))
                most = max(most, total)
                rows = [row for row in listed(content.get(name)) if isinstance(row, dict)]
                fresh = [row for row in rows if ident(row) not in seen]
                seen.update(map(ident, rows))
                if fresh:
                    yield fresh, len(seen), most
                if not rows or len(seen) >= most > 0 or (page >= last if further else not fresh):
                    break
                page += 1
            last = max(last, page)
            if len(seen) >= most:
                return
        if len(seen) < total:
            error = ListMoves(LIST_MOVES, path=path, found=len(seen), total=total)
            error.after = PAUSE
            raise error

    def _page(self, path: str, name: str, page: int, query: Mapping[str, Any]) -> Json:
        try:
            return self.content(path, name, page=page, **query)
        except (Refused, NotFound) as error:
            raise NeedsOwner(error.text, **error.facts) from error


def whole(value: Any) -> int:
    """0 for what is no whole number."""
    try:
        return int(str(value))
    except ValueError:
        return 0


def _pairs(query: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in query.items() if value is not None]


def _base64(password: str) -> str:
    return base64.b64encode(password.encode()).decode()


def _session_over(response: Response) -> bool:
    """§3.1: code 6001, or status 401."""
    if response.status == 401:
        return True
    if b'"success"' not in response.body or len(response.body) > 5000:
        return False
    try:
        data = response.json()
    except NotJson:
        return False
    return isinstance(data, dict) and not data.get("success") and whole(mapping(data.get("errors")).get("code")) in SESSION_OVER


def _reasons(one: Json) -> str:
    """``{"reason": [{"id": 1, "value": ["text"]}]}``"""
    return "; ".join(text for row in listed(one["reason"]) if (text := words(mapping(row).get("value"))))


def _error(path: str, code: int | None, reason: str, safe: bool) -> Exception:
    error: TryLater
    if code in WRONG_KEYS or code in SESSION_OVER:
        return NeedsOwner(WRONG_LOGIN, reason=reason)
    if code == ACCESS_DENIED:
        return NeedsOwner(NO_RIGHTS, path=path)
    if code == NO_MARKET:
        return NeedsOwner(NO_SHOP, reason=reason)
    if code == MAINTENANCE:
        error = TryLater(CLOSED)
        error.after = PAUSE
        return error
    if code in THEIR_TROUBLE:
        return TryLater(TROUBLE, path=path, reason=reason) if safe else AnswerLost(LOST, path=path, reason=reason)
    if code in NOT_FOUND:
        return NotFound(GONE, path=path)
    return Refused(path, code, reason)
