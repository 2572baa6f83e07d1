"""Every call to Prom, and what its answers mean. One ``Api`` for a connection, safe for threads.

Facts on marketplaces §2 (swagger of public-api.docs.prom.ua, and what clients have met): most refusals are status 200 with
``error``, ``errors`` or ``status: error`` in the body (§2.9); a wrong token is a web page with 401, what is not there one with 404.
Dates of queries have neither a zone nor parts of seconds: with them the lists are empty without a word (§2.1). Lists go by id
downwards, without a total or a next page (§2.2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from obmen.connectors.prom.settings import PromSettings
from obmen.core.contract import BadDocument, BadRecord, Hub, NeedsOwner
from obmen.core.records import digest, plain
from obmen.core.words import gettext_noop as _
from obmen.net.answers import mapping as mapping
from obmen.net.client import Client, NotJson, Response, Retry, Slice

Json = dict[str, Any]

PAGE = 100  # the most that lists give (§2.4), and what everybody asks for
MOST_ID = 10**18
MOST_PAGES = 5000  # of one list: half a million rows; a list that goes on then goes in a circle
RETRY = Retry(attempts=5, seconds=180.0, first=3.0, longest=48.0)  # §2.1: 3·2ⁿ seconds
KEPT = 4000  # bytes of a body that the journal shows

NO_ADDRESS = _("The API address is not given: enter it on the tab “Main”")
NO_TOKEN = _(
    "The token is not given: make one in the cabinet, Settings → Management of API tokens, and enter it on the tab “Main”"
)
BAD_TOKEN = _(
    "{host} does not know the token, or its time is over: make a new one in the cabinet, Settings → Management of API tokens"
)
MAY_NOT = _("The token may not do this: {path}. Give it the right in the cabinet, Settings → Management of API tokens")
REFUSED = _("Prom refuses {path}: {reason}")
NOT_THERE = _("Prom has nothing at {path}: it was deleted there, or the address of the API is wrong")
NO_LIST = _("{host} did not answer {path} with a list of {name}: check the API address")
ENDLESS = _("The list {path} of {host} does not end: tell Prom's support")
NO_API = _("There is no API of Prom at {host}: check the address on the tab “Main” ({reason})")


class Refused(BadRecord):
    """They do not take what was sent. ``reason`` is in their words, ``errors`` are those by id or field."""

    def __init__(self, path: str, reason: str, errors: Mapping[str, str]) -> None:
        said = "; ".join(filter(None, (reason, *(f"{name}: {what}" for name, what in errors.items()))))
        super().__init__(REFUSED, path=path, reason=said)
        self.reason, self.errors = said, errors


class Odd(Refused):
    """Neither what was asked for nor a word why not: that there is no such thing is said by a 404."""


class NotFound(BadRecord):
    """404: there is no such thing (any more), or no such method."""


def stamp(moment: datetime) -> str:
    """A date of a query: UTC, no zone, no parts of seconds (§2.1)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def number(row: Any) -> int | None:
    """The id of a row; None where it has none. One with parts that are nothing (400000001.0) is a whole one."""
    ident = mapping(row).get("id")
    if isinstance(ident, float | Decimal) and 0 < ident < MOST_ID and ident == int(ident):
        return int(ident)
    if isinstance(ident, int) and not isinstance(ident, bool):
        return ident
    return int(ident) if isinstance(ident, str) and ident.isascii() and ident.isdigit() and len(ident) <= 18 else None


class Api:
    """Raises NeedsOwner at the first call when address or token are missing, and TryLater as the HTTP client does."""

    def __init__(self, s: PromSettings, hub: Hub) -> None:
        self.s, self.hub = s, hub

    @cached_property
    def client(self) -> Client:
        s, hub = self.s, self.hub
        token = s.token.strip()
        if not s.base:
            raise NeedsOwner(NO_ADDRESS)
        if not token:
            raise NeedsOwner(NO_TOKEN)
        return Client.of(
            hub,
            s.base,
            calls=s.pace,
            per=10.0,
            account=hashlib.blake2b(token.encode(), digest_size=12).hexdigest(),
            headers={"Authorization": f"Bearer {token}", "X-LANGUAGE": s.language, "Accept": "application/json"},
            secrets=[token],
            retry=RETRY,
            keep=KEPT,
        )

    @property
    def host(self) -> str:
        return self.client.host

    def close(self) -> None:
        if "client" in self.__dict__:
            self.client.close()

    # --- calls ---

    def get(self, path: str, **query: Any) -> Json:
        """Raises Refused, NotFound."""
        pairs = [(name, str(value)) for name, value in query.items() if value not in (None, "")]
        return self._answer(path, self.client.call("GET", path, query=pairs))

    def one(self, path: str, name: str) -> Json:
        """What the answer calls ``name``. Raises Odd where it has none, and as ``get``."""
        answer = self.get(path)
        found = answer.get(name)
        if not isinstance(found, dict):
            raise Odd(path, words(answer) or "{}", {})
        return found

    def post(self, path: str, body: Any) -> Json:
        """What is sent twice has the same effect as once: states are set, numbers are said. Raises Refused, NotFound."""
        return self._answer(path, self.client.call("POST", path, safe=True, json=body))

    def upload(self, path: str, content: Slice, content_type: str) -> Json:
        """A multipart body, which is sent once: raises AnswerLost where nobody knows whether it was taken, and as ``post``."""
        return self._answer(
            path, self.client.call("POST", path, safe=False, content=content, headers={"content-type": content_type})
        )

    def _answer(self, path: str, response: Response) -> Json:
        if response.status == 401:
            raise NeedsOwner(BAD_TOKEN, host=response.host)
        if response.status == 403:
            raise NeedsOwner(MAY_NOT, path=path)
        try:
            data = response.json()
        except NotJson:
            if response.status == 404:
                raise NotFound(NOT_THERE, path=path) from None
            if not response.ok:
                raise Refused(path, str(response.status), {}) from None
            raise
        if not isinstance(data, dict):
            raise Refused(path, str(response.status), {})
        reason, errors = _wrong(data)
        # Into messages that stay: a reason may say our own token back.
        reason, errors = response.mask.text(reason), {name: response.mask.text(what) for name, what in errors.items()}
        if response.ok and not reason and not (errors and "processed_ids" not in data):
            return data
        if response.status == 404:
            raise NotFound(NOT_THERE, path=path)
        raise Refused(path, reason or ("" if errors else str(response.status)), errors)

    # --- lists ---

    def rows(self, path: str, name: str, **query: Any) -> Iterator[list[Json]]:
        """The list, page by page, each row once: ``last_id`` is the lowest id so far, and belongs to the next page or not (§2.2).
        It ends with the page that brings nothing new; a short page says nothing. Rows without an id are among them: whoever reads
        the list says what is wrong with them.

        Raises NeedsOwner for a query that is refused, or where a full page brings no new id: then they do not heed ``last_id``, and
        what is behind that page cannot be had. BadDocument for an answer that is no list.
        """
        seen: set[int] = set()
        nameless: set[bytes] = set()
        last: int | None = None
        for _page in range(MOST_PAGES):
            fresh: list[Json] = []
            known = len(seen)
            page = self.list(path, name, limit=PAGE, last_id=last, **query)
            for row in page:
                ident, said = number(row), plain(row)
                if ident is None and (mark := digest(said)) not in nameless:
                    nameless.add(mark)
                    fresh.append(said)
                elif ident is not None and ident not in seen:
                    seen.add(ident)
                    fresh.append(said)
            if fresh:
                yield fresh
            if len(seen) == known:
                if len(page) >= PAGE > 1:
                    break
                return
            last = min(seen)
        raise NeedsOwner(ENDLESS, path=path, host=self.host)

    def list(self, path: str, name: str, **query: Any) -> Sequence[Json]:
        """One call for a list. It concerns no single record, so that a refusal is the owner's affair. Raises NeedsOwner, BadDocument."""
        try:
            found = self.get(path, **query).get(name)
        except BadRecord as error:
            raise NeedsOwner(error.text, **error.facts) from error
        if not isinstance(found, list):
            raise BadDocument(NO_LIST, host=self.host, path=path, name=name)
        return [row for row in found if isinstance(row, dict)]


def _wrong(data: Json) -> tuple[str, dict[str, str]]:
    """(reason, errors by id or field) of any of the shapes of §2.9; ("", {}) when nothing is wrong."""
    reason = words(data.get("error"))
    if data.get("status") == "error":
        reason = reason or words(data.get("message")) or "error"
    errors = data.get("errors")
    if isinstance(errors, dict):
        return reason, {str(name): words(what) for name, what in errors.items()}
    if isinstance(errors, list) and "status" not in data:  # the errors of an import are a list and no refusal
        reason = reason or "; ".join(map(words, errors))
    elif isinstance(errors, str):
        reason = reason or errors
    return reason, {}


def words(value: Any) -> str:
    """What they say, in one line, however it is packed."""
    if isinstance(value, dict):
        return "; ".join(f"{name}: {words(what)}" for name, what in value.items())
    if isinstance(value, list):
        return "; ".join(map(words, value))
    return "" if value is None else " ".join(str(value).split())
