"""How calls of outside systems are read, as tolerantly as their habits demand. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

COOKIE = "obmen"  # names the conversation of a door; the pages' own cookie has another name


def parse_query(text: str) -> dict[str, str]:
    """Parameters of a call. A second ``?`` counts as ``&``: 1C appends ``?type=…`` to an address that has a query already.

    1C does not encode what it sends, so ``+`` stays a plus; bytes are UTF-8, else windows-1251. The first of equal names counts.
    """
    found: dict[str, str] = {}
    for part in text.replace("?", "&").split("&"):
        name, _eq, value = part.partition("=")
        if name:
            found.setdefault(_decoded(name), _decoded(value))
    return found


def _decoded(text: str) -> str:
    raw = unquote_to_bytes(text).replace(b"\0", b"?")  # no honest caller sends it, and PostgreSQL takes it in no text
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1251", "replace")


def cookie_of(headers: Mapping[str, str]) -> str | None:
    """The conversation that a call names in its ``cookie`` header; None when it names none."""
    for part in headers.get("cookie", "").split(";"):
        name, eq, value = part.strip().partition("=")
        if eq and name.strip() == COOKIE:
            return value.strip().strip('"')
    return None
