"""The file of a format package (``.obmen``): read, checked, built, signed. Pure, and never a file on disk.

A zip of ``manifest.json``, ``signature.json`` and ``files/…``. The manifest names every file with its SHA-256 and size, the
signature covers the manifest's bytes: with them it covers everything. Reading goes from the cheap to the dear and from the
harmless to the harmful: names and sizes, manifest, signature; only then is anything else unpacked, and nothing is imported here.
The same folder gives the same bytes on every machine.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import re
import tomllib
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from obmen import __version__
from obmen.core.contract import ExchangeError
from obmen.core.words import gettext_noop as _
from obmen.licence import signing

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FORMAT = "obmen-format"
GENERATION = 1  # of the file; a hub reads those up to its own
MANIFEST, SIGNATURE, FILES = "manifest.json", "signature.json", "files/"
DECLARATION = "format.toml"  # in the publisher's folder: becomes the manifest
SUFFIX = ".obmen"

MAX_FILE = 16 * 2**20  # bytes of the package itself
MAX_ENTRIES = 1000
MAX_ENTRY = 8 * 2**20  # bytes of one file, unpacked
MAX_TOTAL = 32 * 2**20  # bytes of all files, unpacked
MAX_MANIFEST = 512 * 2**10
MAX_SIGNATURE = 4096

# Each part begins with a letter, a digit or "_": no "..", no hidden file, no absolute path, no drive, nothing to be quoted.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}(?:/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}){0,9}")
KEY = re.compile(r"[a-z][a-z0-9_]{1,49}")
VERSION = re.compile(r"\d{1,9}(?:\.\d{1,9}){0,3}")


class BadPackage(ExchangeError):
    """This file is no format package that could be taken; nothing of it was run."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a package says of itself. ``key``: of the connector that it brings; of a profile package any name of its own.
    ``needs``: the oldest hub that it works with. ``licence_server``: "" or where licences are asked about."""

    format: str
    key: str
    kind: Literal["connector", "profile"]
    version: str
    title: str
    publisher: str
    files: dict[str, tuple[str, int]]  # name: (SHA-256, size)
    needs: str = "0"
    connector: str = ""  # of a profile package: for which connector
    news: dict[str, str] = {}  # {language: what is new}
    licence: bool = False  # whether exchange needs one
    licence_server: str = ""


@dataclass(frozen=True, slots=True)
class Package:
    """A file whose form and manifest are right. ``signer`` is the public key of a signature that fits, None without one.

    ``digest`` is the SHA-256 of the manifest, hexadecimal: equal for equal content, however it is packed.
    """

    manifest: Manifest
    signer: bytes | None
    digest: str
    data: bytes

    @property
    def fingerprint(self) -> str:
        return signing.fingerprint(self.signer) if self.signer else ""

    def files(self) -> dict[str, bytes]:
        """{name: content}, each compared with the manifest. Raises BadPackage."""
        with _zip(self.data) as archive:
            return {name: _checked(archive, name, *said) for name, said in self.manifest.files.items()}


def version(text: str) -> tuple[int, ...]:
    """Comparable: "1.10" is newer than "1.9", "1.0" is "1"."""
    numbers = [int(n) for n in text.split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


# --- reading ---------------------------------------------------------------------------------------------------------------


def read(data: bytes) -> Package:
    """Check a package's form, manifest and signature; its files stay packed. Raises BadPackage with the exact reason."""
    if len(data) > MAX_FILE:
        raise BadPackage(_("The package is larger than {limit} bytes"), limit=MAX_FILE)
    with _zip(data) as archive:
        names = _names(archive)
        if MANIFEST not in names:
            raise BadPackage(_("This is no format package: it has no {name}"), name=MANIFEST)
        said = _unpacked(archive, MANIFEST, MAX_MANIFEST)
        signer = None
        if SIGNATURE in names:
            signer = _signer(_unpacked(archive, SIGNATURE, MAX_SIGNATURE), said)
    manifest = _manifest(said)
    inside, listed = names - {MANIFEST, SIGNATURE}, {FILES + name for name in manifest.files}
    if extra := sorted(inside - listed):
        raise BadPackage(_("The package holds a file that its manifest does not name: {name}"), name=extra[0])
    if lacking := sorted(listed - inside):
        raise BadPackage(_("The package lacks a file that its manifest names: {name}"), name=lacking[0])
    return Package(manifest, signer, hashlib.sha256(said).hexdigest(), data)


def _zip(data: bytes) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        raise BadPackage(_("This is no format package: the file is broken, or of another kind")) from None


def _names(archive: zipfile.ZipFile) -> set[str]:
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise BadPackage(_("The package holds more than {limit} files"), limit=MAX_ENTRIES)
    seen: set[str] = set()
    total = 0
    for entry in entries:
        name = entry.filename
        plain = name.removeprefix(FILES)
        # zipfile cuts a name at NUL; what stood behind it must not be overlooked.
        if entry.orig_filename != name or not NAME.fullmatch(plain) or (plain == name) != (name in (MANIFEST, SIGNATURE)):
            raise BadPackage(_("The package holds a file with a name that is not allowed: {name}"), name=repr(name)[:120])
        if (entry.external_attr >> 28) not in (0, 8) or entry.is_dir():  # 8: an ordinary file, in the upper bits of Unix
            raise BadPackage(_("The package holds something that is no ordinary file: {name}"), name=name)
        if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BadPackage(_("The package holds a file that is encrypted or packed in an unusual way: {name}"), name=name)
        if name.casefold() in seen:
            raise BadPackage(_("The package holds two files with one name: {name}"), name=name)
        seen.add(name.casefold())
        total += entry.file_size
        if entry.file_size > MAX_ENTRY or total > MAX_TOTAL:
            raise BadPackage(_("The package unpacks to more than is allowed: {name}"), name=name)
    return {entry.filename for entry in entries}


def _unpacked(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Not more than the limit, whatever the archive says of sizes."""
    try:
        with archive.open(name) as file:
            content = file.read(limit + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError, ValueError):
        raise BadPackage(_("The package is broken at {name}"), name=name) from None
    if len(content) > limit:
        raise BadPackage(_("The package unpacks to more than is allowed: {name}"), name=name)
    return content


def _checked(archive: zipfile.ZipFile, name: str, digest: str, size: int) -> bytes:
    content = _unpacked(archive, FILES + name, min(size, MAX_ENTRY))
    if len(content) != size or hashlib.sha256(content).hexdigest() != digest:
        raise BadPackage(_("The package was tampered with: {name} is not what its publisher signed"), name=name)
    return content


def _signer(said: bytes, manifest: bytes) -> bytes:
    try:
        values = json.loads(said)
        public = base64.b64decode(values["key"], validate=True)
        signature = base64.b64decode(values["signature"], validate=True)
    except (ValueError, TypeError, KeyError, binascii.Error, RecursionError):
        raise BadPackage(_("The package's signature cannot be read")) from None
    if not signing.is_signed(public, signature, f"{FORMAT}/{GENERATION}", manifest):
        raise BadPackage(_("The package was tampered with: its signature does not fit"))
    return public


def _manifest(said: bytes) -> Manifest:
    try:
        plain = json.loads(said)
    except (ValueError, RecursionError):
        plain = None
    mark, _sep, generation = str(plain.get("format", "") if isinstance(plain, dict) else "").partition("/")
    if mark != FORMAT or not generation.isdigit():
        raise BadPackage(_("This is no format package: its manifest does not say so"))
    if int(generation) > GENERATION:
        raise BadPackage(_("The package is made for a newer Obmen; this is {version}"), version=__version__)
    try:
        manifest = msgspec.json.decode(said, type=Manifest)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadPackage(_("The package's manifest is wrong: {reason}"), reason=str(error)[:200]) from None
    _judge(manifest)
    if version(manifest.needs) > version(re.match(r"[\d.]+", __version__)[0].strip(".")):  # type: ignore[index]
        raise BadPackage(
            _("The package needs Obmen {needs} or newer; this is {version}"), needs=manifest.needs, version=__version__
        )
    return manifest


def _judge(manifest: Manifest) -> None:
    """What types cannot say. Raises BadPackage."""

    def wrong(reason: str) -> BadPackage:
        return BadPackage(_("The package's manifest is wrong: {reason}"), reason=reason)

    if not KEY.fullmatch(manifest.key):
        raise wrong("key: small letters, digits and _")
    for name in ("version", "needs"):
        if not VERSION.fullmatch(getattr(manifest, name)):
            raise wrong(f"{name}: numbers with dots, 1.0.2")
    if not manifest.title.strip() or not manifest.publisher.strip() or len(manifest.title + manifest.publisher) > 300:
        raise wrong("title, publisher: each says something, 300 letters together at most")
    if (manifest.kind == "profile") != bool(KEY.fullmatch(manifest.connector)):
        raise wrong("connector: named by a profile package, and by no other")
    if manifest.licence_server and not re.fullmatch(r"https?://[^\s]{1,300}", manifest.licence_server):
        raise wrong("licence_server: an address that begins with https://")
    if set(manifest.news) - {"uk", "ru", "en"}:
        raise wrong("news: by language, uk, ru and en")
    for name, (digest, size) in manifest.files.items():
        if not NAME.fullmatch(name) or not re.fullmatch(r"[0-9a-f]{64}", digest) or not 0 <= size <= MAX_ENTRY:
            raise wrong(f"files: {name[:100]}")
    if manifest.kind == "connector" and "__init__.py" not in manifest.files:
        raise wrong("files: a connector has an __init__.py")
    if manifest.kind == "profile" and not any(profile_name(name) for name in manifest.files):
        raise wrong("files: a profile package has profiles/NAME.toml")
    if manifest.kind == "profile" and any(name.endswith(".py") for name in manifest.files):
        raise wrong("files: a profile package holds no code")


def profile_name(file: str) -> str:
    """ "profiles/NAME.toml" → NAME, "" for any other file."""
    found = re.fullmatch(r"profiles/([a-z0-9][a-z0-9_.-]{0,59})\.toml", file)
    return found[1] if found else ""


# --- making ----------------------------------------------------------------------------------------------------------------


def build(folder: Path) -> bytes:
    """The unsigned package of a publisher's folder. Raises BadPackage for what a hub would refuse."""
    declaration = folder / DECLARATION
    try:
        said: dict[str, Any] = tomllib.loads(declaration.read_text("utf-8"))
    except OSError as error:
        raise BadPackage(_("{file} cannot be read: {reason}"), file=str(declaration), reason=error.strerror or "") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadPackage(_("{file} is no TOML: {reason}"), file=str(declaration), reason=str(error)) from None
    files: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise BadPackage(_("The package holds something that is no ordinary file: {name}"), name=name)
        if path.is_dir() or name == DECLARATION or path.suffix in (".pyc", SUFFIX) or "__pycache__" in path.parts:
            continue
        if not NAME.fullmatch(name):
            raise BadPackage(_("The package holds a file with a name that is not allowed: {name}"), name=name)
        files[name] = path.read_bytes()
    listed = {name: [hashlib.sha256(content).hexdigest(), len(content)] for name, content in files.items()}
    manifest = {**said, "format": f"{FORMAT}/{GENERATION}", "files": listed}
    text = json.dumps(manifest, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str).encode()
    data = _packed(text, None, files)
    package = read(data)
    package.files()
    return data


def sign(data: bytes, private: Ed25519PrivateKey) -> bytes:
    """The same package with this signature instead of any other. Raises BadPackage."""
    package = read(data)
    with _zip(data) as archive:
        manifest = _unpacked(archive, MANIFEST, MAX_MANIFEST)
    signature = signing.sign(private, f"{FORMAT}/{GENERATION}", manifest)
    said = {
        "key": base64.b64encode(signing.public_of(private)).decode(),
        "signature": base64.b64encode(signature).decode(),
    }
    return _packed(manifest, json.dumps(said, sort_keys=True).encode(), package.files())


def _packed(manifest: bytes, signature: bytes | None, files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    entries = {MANIFEST: manifest, **({SIGNATURE: signature} if signature else {})}
    entries |= {FILES + name: files[name] for name in sorted(files)}
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, content, compresslevel=9)
    return out.getvalue()
