"""Traffic as it may be kept: the secrets in it masked, in whichever way they are written."""

from __future__ import annotations

import base64
import functools
import html
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote_plus, unquote_plus

MASK = "•••"
DEPTH = 3  # spellings within each other that are seen through: base64 in JSON in a form
SPELLED = 24  # characters that one of a secret becomes at most: four bytes, percent-encoded twice, and some
JSON_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}

_NAME = re.compile(
    r"(?i)(?:^|[^a-z])(?:key|auth|sign)$|api[-_]?key|access[-_]?key|private[-_]?key|token|secret|passw|pwd|authoriz|cookie"
    r"|signature|sess(?:ion|_?id)|credential"
)
_CAMEL_KEY = re.compile(r"[a-z]Key$")
_PAIR = re.compile(r"(^|[?&;\s])([^=&?;\s\"{}<>]{1,200})=([^&\s\"<>]*)")
_MEMBER = re.compile(r'"((?:[^"\\]|\\.){1,200})"(\s*:\s*)("(?:[^"\\]|\\.)*"?|-?[0-9][^\s,}\]]*)')


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call and its answer, masked. ``status`` None and ``error``: no answer came.

    ``sent`` and ``answer`` are the beginnings of the bodies (the client's ``keep``), ``bytes_out`` and ``bytes_in`` their full
    lengths, the answer's after unpacking. ``milliseconds`` without the wait for a turn.
    """

    method: str
    url: str
    status: int | None
    milliseconds: int
    sent_headers: Mapping[str, str]
    sent: str
    bytes_out: int
    headers: Mapping[str, str]
    answer: str
    bytes_in: int
    error: str = ""


@functools.lru_cache(10_000)
def secret_name(name: str) -> bool:
    """Whether what has this name (a header, a field, a member) is a secret by its looks: apiKey, X-Auth-Token, user[password]."""
    plain = unquote_plus(name).rstrip("]")
    return bool(_NAME.search(plain) or _CAMEL_KEY.search(plain))


class Mask:
    """Masks given secrets wherever they occur: plain, percent-encoded, escaped for JSON or HTML, within base64."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {s for s in secrets if s}
        forms = sorted(known | {piece for s in known for piece in _base64(s)}, key=lambda s: (-len(s), s))
        self._secrets = re.compile("|".join(map(re.escape, forms))) if forms else None
        self._reach = max(map(len, forms), default=0) * SPELLED

    def text(self, text: str) -> str:
        """Everything in one: given secrets, then fields and members whose name says that they are secret."""
        if self._hidden(text, DEPTH):
            spans: set[tuple[int, int]] = set()
            self._look(text, range(len(text) + 1), DEPTH, spans)
            text = _without(text, spans)
        return _members(_PAIR.sub(_masked_pair, text) if "=" in text else text)

    def _hidden(self, text: str, depth: int) -> bool:
        """Whether there is anything for ``_look``, which has to keep account of places and is slower."""
        if self._secrets is None or self._secrets.search(text):
            return self._secrets is not None
        return depth > 0 and any(
            self._hidden(pattern.sub(lambda m, d=decode: "".join(c for c, _n in d(m[0])), text), depth - 1)  # type: ignore[misc]
            for pattern, decode in _DECODERS
            if pattern.search(text)
        )

    def _look(self, text: str, places: Sequence[int], depth: int, spans: set[tuple[int, int]]) -> None:
        """Note where in the original text secrets stand; ``places[i]`` is where its character i begins there."""
        assert self._secrets is not None
        spans.update((places[found.start()], places[found.end()]) for found in self._secrets.finditer(text))
        if depth:
            for pattern, decode in _DECODERS:
                if pattern.search(text):
                    self._look(*_decoded(text, places, pattern, decode), depth - 1, spans)

    def headers(self, headers: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Several of one name are joined by a comma."""
        masked: dict[str, str] = {}
        for name, value in headers:
            said = MASK if secret_name(name) else self.text(value)
            masked[name] = f"{masked[name]}, {said}" if name in masked else said
        return masked

    def body(self, body: bytes, kept: int, charset: str = "utf-8") -> str:
        """The first ``kept`` bytes or so. What is no text is only counted. A secret that is cut at the end does not stay."""
        window = body[: kept + self._reach]
        try:
            text = window.decode(charset, "replace")
        except (LookupError, UnicodeError):  # "idna" and "undefined" are codecs, but replace nothing
            text = window.decode("utf-8", "replace")
        if "\0" in text or text.count("�") * 10 > len(text):
            return f"({len(body)} bytes)"
        masked = self.text(text)
        if len(window) == len(body) <= kept:
            return masked
        safe = max(0, len(masked) - self._reach) if len(window) < len(body) else len(masked)
        return f"{masked[: min(kept, safe)]}… ({len(body)} bytes)"


def _masked_pair(found: re.Match[str]) -> str:
    before, name, value = found.groups()
    if secret_name(name):
        return f"{before}{name}={MASK}"
    plain = unquote_plus(value)
    masked = _members(plain)
    return f"{before}{name}={value if masked == plain else quote_plus(masked)}"


def _members(text: str) -> str:
    return _MEMBER.sub(lambda m: f'"{m[1]}"{m[2]}"{MASK}"' if secret_name(m[1]) else m[0], text)


Pieces = list[tuple[str, int]]  # a character, and how many characters of the spelling it took


def _percent(found: str) -> Pieces:
    """A run of %XX: bytes of UTF-8. What is none stays for itself."""
    text = bytes.fromhex(found.replace("%", "")).decode("utf-8", "surrogateescape")
    return [(c, 3 * len(c.encode("utf-8", "surrogateescape"))) for c in text]


def _json(found: str) -> Pieces:
    r"""A run of \uXXXX, or one short escape."""
    if found[1] != "u":
        return [(JSON_ESCAPES.get(found[1], found[1]), 2)]
    text = bytes.fromhex(found.replace("\\u", "")).decode("utf-16-be", "surrogatepass")
    return [(c, 6 * len(c.encode("utf-16-be", "surrogatepass")) // 2) for c in text]


def _html(found: str) -> Pieces:
    text = html.unescape(found)
    return [(text, len(found))] if len(text) == 1 else [(c, 1) for c in found]


_DECODERS: tuple[tuple[re.Pattern[str], Callable[[str], Pieces]], ...] = (
    (re.compile(r"(?:%[0-9a-fA-F]{2})+"), _percent),
    (re.compile(r"(?:\\u[0-9a-fA-F]{4})+|\\[^u]", re.DOTALL), _json),
    (re.compile(r"&#?\w{1,12};"), _html),
    (re.compile(r"\+"), lambda found: [(" ", 1)]),
)


def _decoded(
    text: str, places: Sequence[int], pattern: re.Pattern[str], decode: Callable[[str], Pieces]
) -> tuple[str, list[int]]:
    parts: list[str] = []
    starts: list[int] = []
    at = 0
    for found in pattern.finditer(text):
        parts.append(text[at : found.start()])
        starts.extend(places[at : found.start()])
        at = found.start()
        for character, taken in decode(found[0]):
            parts.append(character)
            starts.append(places[at])
            at += taken
    parts.append(text[at:])
    starts.extend(places[at:])
    return "".join(parts), starts


def _without(text: str, spans: set[tuple[int, int]]) -> str:
    parts: list[str] = []
    at = 0
    for start, end in sorted(spans):
        if start >= at:
            parts += [text[at:start], MASK]
        at = max(at, end)
    return "".join([*parts, text[at:]])


def _base64(secret: str) -> set[str]:
    """The characters that the secret is certain to become within base64 of a longer text, at each of three places."""
    raw, pieces = secret.encode("utf-8", "surrogatepass"), set()
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode()
        core = encoded[(0, 2, 3)[before] : (before + len(raw)) * 8 // 6]
        if len(core) >= 4:
            pieces |= {core, core.translate(str.maketrans("+/", "-_"))}
    return pieces
