"""Ed25519 keys of publishers: made, read, shown by their fingerprint; signatures bound to what they are meant for."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING

from obmen.core.contract import ExchangeError
from obmen.core.words import gettext_noop as _

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PUBLIC = "obmen-publisher"  # first word of a public key's line


class BadKey(ExchangeError):
    """This is no key of a publisher."""


def new_private() -> bytes:
    """PEM (PKCS 8) of a new private key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_private(pem: bytes) -> Ed25519PrivateKey:
    """Raises BadKey."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKey(_("This is no private key of a publisher; “obmen format key” makes one"))
    return key


def public_of(private: Ed25519PrivateKey) -> bytes:
    """The 32 bytes that others need."""
    return private.public_key().public_bytes_raw()


def public_line(public: bytes, publisher: str = "") -> str:
    """What a publisher gives to those who are to trust it: "obmen-publisher BASE64 Name"."""
    return f"{PUBLIC} {base64.b64encode(public).decode()} {publisher}".strip()


def read_public(text: str) -> tuple[bytes, str]:
    """(32 bytes, name) of a public key's line. Raises BadKey."""
    mark, _sep, rest = text.strip().partition(" ")
    encoded, _sep, name = rest.strip().partition(" ")
    try:
        public = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        public = b""
    if mark != PUBLIC or len(public) != 32 or "\n" in name:
        raise BadKey(_("This is no public key of a publisher: it is one line that begins with “{mark}”"), mark=PUBLIC)
    return public, " ".join(name.split())[:200]


def fingerprint(public: bytes) -> str:
    """64 hexadecimal digits, the same for everybody who looks at this key."""
    return hashlib.sha256(public).hexdigest()


def spaced(fingerprint: str) -> str:
    """As people compare it: in groups of four."""
    return " ".join(fingerprint[i : i + 4] for i in range(0, len(fingerprint), 4))


def sign(private: Ed25519PrivateKey, purpose: str, message: bytes) -> bytes:
    """``purpose`` is signed too, so that what was signed as one thing cannot be passed off as another."""
    return private.sign(purpose.encode() + b"\n" + message)


def is_signed(public: bytes, signature: bytes, purpose: str, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, purpose.encode() + b"\n" + message)
    except (InvalidSignature, ValueError):
        return False
    return True
