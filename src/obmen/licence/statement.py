"""A licence: a statement that the publisher signed, checked without asking anybody. Pure.

The key that a customer types is ``payload.signature``, both in base64url; the payload is JSON. It is good for one format and one
login, until a day, for some number of connections or for named ones.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import msgspec

from obmen.core.contract import NeedsOwner
from obmen.core.words import gettext_noop as _
from obmen.licence import signing

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PURPOSE = "obmen-licence/1"
LONGEST = 8000  # characters of a key


class BadLicence(NeedsOwner):
    """The licence does not allow it; the text says exactly why."""


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``until``: its last day. ``connections``: how many at most, 0 = any number. ``only``: their names; () = whichever."""

    format: str
    login: str
    until: date
    connections: int = 0
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Licence:
    terms: Terms
    days: int  # that are left, today not counted; below 0 it has ended

    @property
    def ended(self) -> bool:
        return self.days < 0


def issue(private: Ed25519PrivateKey, terms: Terms) -> str:
    """The key for a customer."""
    payload = json.dumps(msgspec.to_builtins(terms), ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    return f"{_encoded(payload)}.{_encoded(signing.sign(private, PURPOSE, payload))}"


def read(key: str, login: str, format: str, publisher: bytes, today: date) -> Licence:
    """What a key allows; also of one that has ended. ``publisher``: the public key by which the package is signed.

    Raises BadLicence: no key, of another publisher, for another format or login.
    """
    compact = "".join(key.split())
    if not compact or not login.strip():
        raise BadLicence(_("Enter the login and the key that came with the format"))
    payload, _sep, signature = compact.partition(".")
    try:
        said, signed = _decoded(payload), _decoded(signature)
    except (binascii.Error, ValueError):
        said = signed = b""
    if not said or len(signed) != 64 or len(compact) > LONGEST:
        raise BadLicence(_("This is no licence key: copy it whole, from the first letter to the last"))
    if not signing.is_signed(publisher, signed, PURPOSE, said):
        raise BadLicence(_("The key was not issued by the publisher of this format, or was altered"))
    try:
        terms = msgspec.json.decode(said, type=Terms)
    except msgspec.DecodeError:
        raise BadLicence(_("The key is made for a newer Obmen")) from None
    if terms.format != format:
        raise BadLicence(_("The key is for the format “{other}”, not for “{format}”"), other=terms.format, format=format)
    if terms.login.casefold() != login.strip().casefold():
        raise BadLicence(_("The key was not issued for the login “{login}”"), login=login.strip())
    return Licence(terms, (terms.until - today).days)


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
