"""Received files: safe names, files that come in pieces, archives unpacked within limits.

The rules of names follow Bitrix's script (prefixes that a 1C server puts before a path) but allow only what is on the list;
a file never leaves its folder, and the folder stands outside every web root.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import xxhash

from obmen.core.contract import BadDocument
from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml import reader

BLOCK = 1 << 18
EXCHANGE = frozenset({"xml", "zip"})
PICTURES = frozenset({"jpg", "jpeg", "png", "gif", "webp", "bmp", "tif", "tiff"})
KEPT = EXCHANGE | PICTURES | {"txt", "html", "htm", "pdf"}
NOTES = ".pieces"  # where the state of files in pieces is kept, inside the folder

# What a 1C server under Linux or an old configuration puts before the path (Bitrix catalog.import.1c strips the first two).
PREFIX = re.compile(r"^/*(?:tmp/|upload/1c/webdata/|upload/1c_catalog/|(?:[A-Za-z]:)?/*(?:.*/)?webdata/(?:\d+/goods/\d+/)?)")
NAME = re.compile(r"[\w.\-/#() +,&@=~]+")


class BadName(ValueError):
    """A name that no honest client sends."""


def safe_name(said: str) -> str:
    """The relative path under which a file is kept. Raises BadName.

    ``\\`` counts as ``/``; absolute paths, ``..``, hidden names, control characters and names over 255 bytes are refused.
    """
    name = said.strip().replace("\\", "/")
    name = PREFIX.sub("", name)
    name = re.sub(r"/{2,}", "/", name)
    name = re.sub(r"^(?:\./)+", "", name)
    if not name or len(name.encode()) > 255 or not NAME.fullmatch(name):
        raise BadName(said)
    if name.startswith("/") or any(part in ("", ".", "..") or part.startswith(".") for part in name.split("/")):
        raise BadName(said)
    return name


def extension(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[2].lower() if "." in name.rpartition("/")[2] else ""


def is_kept(name: str) -> bool:
    return extension(name) in KEPT


# --- pieces ----------------------------------------------------------------------------------------------------------------


@dataclass
class Pieces:
    """What is known of a file that comes in pieces. Digests are of whole pieces."""

    size: int = 0
    first: str = ""
    first_size: int = 0
    last: str = ""
    last_size: int = 0


@dataclass(frozen=True)
class Received:
    """``outcome``: new (a first piece) | appended | repeated (the piece before once more) | again (the file from its start)."""

    path: Path
    size: int
    outcome: str


class TooLarge(Exception):
    pass


class CameShort(Exception):
    """The call ended before the announced length."""

    def __init__(self, got: int, said: int) -> None:
        super().__init__(got, said)
        self.got, self.said = got, said


def receive(folder: Path, name: str, body: BinaryIO, length: int | None, limit: int) -> Received:
    """Add one POST to the file ``name``. Raises TooLarge and CameShort; then the file is as it was before.

    A node sends the pieces of a file one after the other under the same name, without number or end mark. What tells a repeated
    piece (a proxy that tried twice, a node that started over) from the next one:

    - an XML declaration or an archive's signature after a complete file begins the file again;
    - an XML declaration never stands in mid-file, so it begins the file again;
    - the same bytes as the piece just before are that piece sent twice;
    - the same bytes as the first piece, when it has a signature, begin the file again.
    """
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    note = folder / NOTES / (xxhash.xxh3_64_hexdigest(name.encode()) + ".json")
    state = _load(note)
    head = _head(body)
    if state is None or not path.exists() or begins_xml(head) or (has_signature(head) and is_complete(path)):
        return _replace(path, note, head, body, length, limit)
    if not head:
        return Received(path, state.size, "repeated")
    return _append(path, note, state, head, body, length, limit)


def _replace(path: Path, note: Path, head: bytes, body: BinaryIO, length: int | None, limit: int) -> Received:
    outcome = "again" if path.exists() else "new"
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}")
    try:
        with open(temporary, "wb") as out:
            size, mark, _even = _copy(head, body, out, length, limit)
        _store(note, Pieces(size, mark, size, mark, size))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return Received(path, size, outcome)


def _append(path: Path, note: Path, state: Pieces, head: bytes, body: BinaryIO, length: int | None, limit: int) -> Received:
    with open(path, "r+b") as out:
        # What stands behind the noted size came with a call that was cut off before it was answered.
        out.truncate(state.size)
        out.seek(state.size)
        try:
            size, mark, even = _copy(head, body, out, length, limit - state.size)
        except (TooLarge, CameShort, OSError):
            out.truncate(state.size)
            raise
        if (mark, size) == (state.last, state.last_size) and not even:
            out.truncate(state.size)
            return Received(path, state.size, "repeated")
        if (mark, size) == (state.first, state.first_size) and has_signature(head):
            out.truncate(size)
            _store(note, Pieces(size, mark, size, mark, size))
            return Received(path, size, "again")
    _store(note, Pieces(state.size + size, state.first, state.first_size, mark, size))
    return Received(path, state.size + size, "appended")


def _copy(head: bytes, body: BinaryIO, out: BinaryIO, length: int | None, limit: int) -> tuple[int, str, bool]:
    """(bytes written, their digest, whether they are all the same byte: then a repeat cannot be told from the next piece)."""
    if length is not None and length > limit:
        raise TooLarge
    size, digest, block, even = 0, xxhash.xxh3_128(), head, True
    first = head[:1]
    while block:
        size += len(block)
        if size > limit:
            raise TooLarge
        digest.update(block)
        even = even and block.count(first) == len(block)
        out.write(block)
        block = body.read(BLOCK)
    if length is not None and size < length:
        raise CameShort(size, length)
    return size, digest.hexdigest(), even


def _head(body: BinaryIO) -> bytes:
    """The first 16 bytes, however small the pieces of the network are."""
    head = b""
    while len(head) < 16 and (more := body.read(16 - len(head))):
        head += more
    return head


def _load(note: Path) -> Pieces | None:
    """None: nothing is known of the file (it came out of an archive, say), so what comes now is the whole of it."""
    try:
        return Pieces(**json.loads(note.read_text()))
    except FileNotFoundError:
        return None


def _store(note: Path, state: Pieces) -> None:
    note.parent.mkdir(exist_ok=True)
    temporary = note.with_name(f"{note.name}.{secrets.token_hex(4)}")
    temporary.write_text(json.dumps(asdict(state)))
    os.replace(temporary, note)


BOM = b"\xef\xbb\xbf"
SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"RIFF", b"%PDF-")


def begins_xml(head: bytes) -> bool:
    return head.startswith((b"<?xml", BOM + b"<?xml", b"\xff\xfe<\0?\0", b"\xfe\xff\0<\0?"))


def has_signature(head: bytes) -> bool:
    return begins_xml(head) or head.startswith(SIGNATURES)


def is_complete(path: Path) -> bool:
    """Whether the file has its end: the root's end tag, an archive's directory, a picture's last bytes. Reads the tail only."""
    with open(path, "rb") as file:
        head = file.read(512)
        if head.startswith(b"PK"):
            return zipfile.is_zipfile(path) and _opens(path)
        file.seek(max(0, path.stat().st_size - 2048))
        tail = file.read()
    if head.startswith(b"\xff\xd8"):
        return tail.rstrip(b"\0").endswith(b"\xff\xd9")
    if head.startswith(b"\x89PNG"):
        return b"IEND" in tail[-16:]
    if head.startswith(b"GIF8"):
        return tail.endswith(b";")
    return reader.is_complete(path)


def _opens(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path):
            return True
    except zipfile.BadZipFile:
        return False


# --- archives --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ZipLimits:
    entries: int
    size: int  # bytes of all files unpacked
    ratio: int


SMALL = 1 << 20  # a small file may be packed as tightly as it likes: a classifier of spaces is no bomb


def unpack(archive: Path, folder: Path, limits: ZipLimits) -> Iterator[str]:
    """Unpack into ``folder`` entry by entry, giving out each kept name.

    Raises BadDocument: before anything is written when the archive's directory breaks a limit, and in mid-way when an entry is
    longer than the directory said.

    Entries that stand unpacked already with the same size are passed over, so that a broken call is carried on by the next.
    """
    try:
        packed = zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, OSError) as error:
        raise BadDocument(
            _("{file} is no readable ZIP archive: {reason}. Send it again."), file=archive.name, reason=str(error)
        ) from None
    with packed:
        wanted = _check(packed, archive.name, limits)
        for info, name in wanted:
            path = folder / name
            if not (path.exists() and path.stat().st_size == info.file_size):
                _extract(packed, info, path, archive.name)
            yield name


def _check(packed: zipfile.ZipFile, title: str, limits: ZipLimits) -> list[tuple[zipfile.ZipInfo, str]]:
    infos = packed.infolist()
    if len(infos) > limits.entries:
        raise BadDocument(
            _("{file} holds {count} files, {limit} are allowed."), file=title, count=len(infos), limit=limits.entries
        )
    total, wanted = 0, []
    for info in infos:
        if info.is_dir():
            continue
        if stat.S_ISLNK(info.external_attr >> 16):
            raise BadDocument(_("{file} holds a link, {name}; only plain files are taken."), file=title, name=info.filename)
        if info.flag_bits & 1:
            raise BadDocument(_("{file} is encrypted; send it without a password."), file=title)
        try:
            name = safe_name(_entry_name(info))
        except BadName:
            raise BadDocument(
                _("{file} holds a file with the name {name}, which is not allowed."), file=title, name=info.filename
            ) from None
        if info.file_size > SMALL and info.file_size > limits.ratio * max(info.compress_size, 1):
            raise BadDocument(_("{file}: {name} is packed too tightly to be honest."), file=title, name=info.filename)
        total += info.file_size
        if total > limits.size:
            raise BadDocument(_("{file} would unpack to more than {limit} MB."), file=title, limit=limits.size >> 20)
        if is_kept(name) and extension(name) != "zip":
            wanted.append((info, name))
    return wanted


def _entry_name(info: zipfile.ZipInfo) -> str:
    """1C writes names in CP866 without the UTF-8 flag; zipfile has read such bytes as CP437."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("cp866")
    except UnicodeError:
        return info.filename


def _extract(packed: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, title: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}")
    try:
        with packed.open(info) as source, open(temporary, "wb") as out:
            size = 0
            while block := source.read(BLOCK):
                size += len(block)
                if size > info.file_size:
                    raise BadDocument(_("{file}: {name} is longer than the archive says."), file=title, name=info.filename)
                out.write(block)
        os.replace(temporary, path)
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError) as error:
        raise BadDocument(
            _("{file} is no readable ZIP archive: {reason}. Send it again."), file=title, reason=str(error)
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
