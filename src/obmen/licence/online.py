"""Asking a publisher's licence server.

    POST address   {"format": "mine", "version": "1.2", "login": "ann", "key": "…"}
    200            {"valid": true | false, "reason": "…", "key": "a new key"}      reason and key may be missing

Anything else is no answer.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from django.conf import settings

from obmen.core.contract import BadDocument, TryLater
from obmen.net.client import Client, Retry, Timeouts
from obmen.net.pace import FileSlots, Pace


class Answer(msgspec.Struct, frozen=True):
    valid: bool
    reason: str = ""
    key: str = ""


class NoAnswer(Exception):
    """The server is not there, or says nothing that could be understood."""


def ask(address: str, format: str, version: str, login: str, key: str) -> Answer:
    """One call of some seconds at most. Raises NoAnswer, and NeedsOwner for an address that may not be called."""
    client = Client(
        address,
        pace=Pace(f"licence {address}", 5, slots=FileSlots(settings.OBMEN_HOME / "paces.sqlite3"), burst=5),
        timeouts=Timeouts(connect=5, silence=5, whole=10),
        retry=Retry(attempts=1),
        max_bytes=100_000,
        trust=Path(settings.OBMEN_CA_FILE) if settings.OBMEN_CA_FILE else None,
        allow_private=settings.OBMEN_ALLOW_PRIVATE,
        secrets=[key],
    )
    with client:
        try:
            said = client.call(
                "POST", address, safe=True, json={"format": format, "version": version, "login": login, "key": key}
            )
        except (TryLater, BadDocument) as error:
            raise NoAnswer(str(error)) from error
    if not said.ok:
        raise NoAnswer(f"HTTP {said.status}")
    try:
        return msgspec.json.decode(said.body, type=Answer)
    except msgspec.DecodeError as error:
        raise NoAnswer(str(error)[:200]) from None
