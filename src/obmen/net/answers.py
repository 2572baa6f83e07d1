"""What came back, and what can be wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from obmen.core.contract import BadDocument, TryLater
from obmen.core.words import gettext_noop as _
from obmen.net.redact import Mask

SHOWN = 200  # characters of a wrong answer that an error tells
BOM = b"\xef\xbb\xbf"

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


class AnswerLost(TryLater):
    """They may have done what was asked, and nobody knows: look it up before it is sent again. Facts: ``host``, ``why``."""


class NotJson(AnswerLost):
    """An answer that is not JSON: a page of a proxy, of maintenance, of somebody else. Facts: ``host``, ``status``, ``start``.

    Of a call that changes something it says as little about what was done as no answer at all; hence the base class.
    """


class TooLarge(BadDocument):
    """The answer is longer than the client's ``max_bytes``: ask for smaller portions. Facts: ``host``, ``limit``."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer below 500. Header names are lower-case. ``url`` is where it came from, after redirects."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    host: str
    mask: Mask = field(repr=False)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body in the charset of its Content-Type, UTF-8 without one; what does not fit is replaced."""
        try:
            return self.body.removeprefix(BOM).decode(charset(self.headers.get("content-type", "")), "replace")
        except (LookupError, UnicodeError):  # "idna" and "undefined" are codecs, but replace nothing
            return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON: numbers with a point or an exponent are Decimal, others int. Raises NotJson."""
        try:
            return _decoder.decode(self.body.removeprefix(BOM))
        except (msgspec.DecodeError, ArithmeticError, RecursionError, UnicodeDecodeError) as error:  # 1e99999999999999999999
            raise NotJson(
                _("{host} answered with something else than data (status {status}): “{start}”. Check the address if this lasts"),
                host=self.host,
                status=self.status,
                start=self.mask.text(self.text)[:SHOWN].strip(),
            ) from error


def charset(content_type: str) -> str:
    """``text/html; charset="windows-1251"`` → ``windows-1251``; utf-8 when it is not said."""
    for part in content_type.split(";")[1:]:
        name, _sign, value = part.partition("=")
        if name.strip().lower() == "charset" and value.strip():
            return value.strip().strip("\"'")
    return "utf-8"


def to_json(value: Any) -> str:
    """JSON with Decimals as numbers, digit for digit."""
    return _encoder.encode(value).decode()


def mapping(value: Any) -> dict[str, Any]:
    """A part of an answer that should be a map: PHP writes an empty one as ``[]``."""
    return value if isinstance(value, dict) else {}


def listed(value: Any) -> list[Any]:
    """A part that should be a list, or a map by id or code of which only the values count."""
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
