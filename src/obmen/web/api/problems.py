"""What went wrong, as RFC 9457 says it: ``application/problem+json`` with a ``code`` that never changes and words that are translated."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext
from ninja import Field, Schema

from obmen.core.contract import ExchangeError, TryLater
from obmen.core.words import gettext_noop as _
from obmen.store.connections import NameTaken, Running
from obmen.web.words import say

MEDIA = "application/problem+json"

# code: (status, what it is, what to do about it)
CODES = {
    "no_token": (401, _("No token came with the call"), _("Send the header “Authorization: Bearer obmen_…”.")),
    "wrong_token": (
        401,
        _("This token does not work"),
        _("It is wrong, over or revoked, or its person may no longer sign in: make a new one on the page “API tokens”."),
    ),
    "missing_scope": (403, _("The token lacks a scope"), _("Make a token with this scope on the page “API tokens”.")),
    "missing_permission": (403, _("The person of the token may not do this"), _("Ask an owner of this hub for the permission.")),
    "not_found": (404, _("There is no such thing, or you may not see it"), _("Look at the id: lists give the right ones.")),
    "no_address": (404, _("The API has no such address"), _("All addresses are described at /api/docs.")),
    "wrong_method": (405, _("This address does not know the method"), _("The header “Allow” says which methods it knows.")),
    "unreadable": (400, _("The body is no JSON"), _("Send a JSON object in UTF-8.")),
    "too_big": (413, _("The body is too big"), _("Send less at once: 2.5 MB at most.")),
    "invalid": (422, _("The call says something that cannot be"), _("Correct what “errors” names and call again.")),
    "refused": (422, _("This cannot be done as asked"), _("Read “detail”, correct the call and try again.")),
    "switched_off": (409, _("There is nothing to start"), _("Switch the connection and its streams on first.")),
    "already_over": (409, _("It had already ended"), _("Read the run: it says how it ended.")),
    "running": (
        409,
        _("A run of the connection is going on"),
        _("Stop it, or wait for its end (`GET /runs/<id>?wait=60`), then call again."),
    ),
    "name_taken": (
        409,
        _("There is one of this name already"),
        _("Take another name; if your own call made it, its answer was only lost: it is there."),
    ),
    "already_decided": (409, _("This preview has been decided already"), _("Make a new preview and decide on that one.")),
    "confirm_first": (
        409,
        _("This has to be confirmed"),
        _("Nothing was done. Read “detail”; if that is what you want, call again with “confirm”."),
    ),
    "other_count": (409, _("It is not as many as you expect"), _("Look at the records again, then ask with the new number.")),
    "changed_meanwhile": (
        412,
        _("It was changed by somebody else meanwhile"),
        _("Read it again, look whether your change still fits, and send it with the new ETag."),
    ),
    "too_fast": (429, _("Too many calls"), _("Wait as many seconds as the header “Retry-After” says.")),
    "too_many_wrong": (
        429,
        _("Too many wrong tokens came from this address"),
        _("Correct the token; then wait as “Retry-After” says."),
    ),
    "other_system": (
        502,
        _("The other system did not answer as it should"),
        _("Read “detail”; the settings of the connection may be wrong."),
    ),
    "hub_error": (500, _("The hub has met an error of its own"), _("Try again later; the hub's log says more.")),
    "busy": (503, _("The database does not answer"), _("Try again in some seconds.")),
}


class Wrong(Schema):
    """One thing that is wrong with a call."""

    where: str = Field(description="Place in the call: query.limit, body.state")
    message: str


class ProblemDetails(Schema):
    """An error: RFC 9457."""

    type: str = Field(description="urn:obmen:problem:<code>")
    title: str = Field(description="What it is, in the language of Accept-Language")
    status: int
    code: str = Field(description="Stable: programs decide by it")
    detail: str = Field(description="This case, in words; may be empty")
    remedy: str = Field(description="What to do")
    errors: list[Wrong] = []


class Problem(Exception):
    """Ends the call. ``detail`` is a translated sentence."""

    def __init__(
        self, code: str, detail: str = "", *, errors: Sequence[tuple[str, str]] = (), after: float | None = None, status: int = 0
    ) -> None:
        super().__init__(code)
        self.code, self.detail, self.errors, self.after = code, detail, errors, after
        self.status = status or CODES[code][0]

    def response(self) -> HttpResponse:
        _status, title, remedy = CODES[self.code]
        body: dict[str, Any] = {
            "type": f"urn:obmen:problem:{self.code}",
            "title": gettext(title),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "remedy": gettext(remedy),
            "errors": [{"where": where, "message": message} for where, message in self.errors],
        }
        answer = HttpResponse(json.dumps(body, ensure_ascii=False), status=self.status, content_type=MEDIA)
        if self.status == 401:
            answer["WWW-Authenticate"] = 'Bearer realm="Obmen"'
        if self.after is not None:
            answer["Retry-After"] = str(int(self.after) + 1)
        return answer


def confirmed(said: bool, question: str, consequence: str) -> None:
    """Raises Problem that tells what would be done, as the page asks before it, unless it was said that this is meant."""
    if not said:
        raise Problem("confirm_first", f"{question} {consequence}")


def told(error: ExchangeError, *, calling_out: bool = False) -> Problem:
    """An error of the exchange in the reader's words. ``calling_out``: the other system was asked, and it may be its fault."""
    code = "running" if isinstance(error, Running) else "name_taken" if isinstance(error, NameTaken) else "refused"
    later = error.after.total_seconds() if isinstance(error, TryLater) else None
    return Problem("other_system" if calling_out else code, say(error.text, error.facts), after=later)


def storable(settings: Mapping[str, Any]) -> None:
    """Raises Problem for settings that a database cannot keep."""
    if not _storable(settings):
        said = gettext("Texts hold no zero characters, and numbers no more than 64 bits.")
        raise Problem("invalid", errors=[("body.settings", said)])


def _storable(value: Any) -> bool:
    """Whether a database can keep it: no zero characters, no lone halves of a character, no infinite numbers."""
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= c <= "\udfff" for c in value)
    if isinstance(value, dict):
        return all(_storable(k) and _storable(v) for k, v in value.items())
    if isinstance(value, list):
        return all(map(_storable, value))
    if isinstance(value, float):
        return value == value and abs(value) != float("inf")
    return not isinstance(value, int) or -(2**63) <= value < 2**63
