"""One request of the exchange as a shop sees it, and what it says to it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from urllib.parse import unquote_plus


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
        """1C neither quotes its parameters nor minds a second "?" (facts on CommerceML §1.1); of two with one name the last counts."""
        pairs = (part.partition("=") for part in self.query.replace("?", "&").split("&") if part)
        return {unquote_plus(name): unquote_plus(value) for name, _sign, value in pairs}

    @property
    def type(self) -> str:
        return self.params.get("type", "")

    @property
    def mode(self) -> str:
        return self.params.get("mode", "")

    @property
    def filename(self) -> str:
        return self.params.get("filename", "")

    @cached_property
    def cookies(self) -> dict[str, str]:
        pairs = (part.strip().partition("=") for part in self.headers.get("cookie", "").split(";"))
        return {name: value for name, _sign, value in pairs if name}

    @cached_property
    def credentials(self) -> tuple[str, str] | None:
        """Login and password; None when none came. Both charsets of 1C's platforms are understood (§1.3)."""
        scheme, _space, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            raw = base64.b64decode(token, validate=True)
        except binascii.Error:
            return None
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text = raw.decode("windows-1251", "replace")
        login, _colon, password = text.partition(":")
        return login, password


@dataclass(frozen=True, slots=True)
class Answer:
    body: bytes
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    whole: int | None = None  # the length that is promised, when it is more than what is sent


@dataclass(frozen=True, slots=True)
class Logged:
    """One exchange, for the page and for tests. ``status`` 0: no answer was sent."""

    at: datetime
    method: str
    path: str
    query: str
    sent: bytes
    status: int
    answer: bytes
    fault: str = ""

    @property
    def request(self) -> Request:
        return Request(self.method, self.path, self.query, {}, self.sent)
