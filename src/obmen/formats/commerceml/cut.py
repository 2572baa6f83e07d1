"""The fast way through a catalogue: cut the bytes at record ends, hash each record, leave out what was seen before.

A catalogue is re-sent whole every hour and hardly changes, so most of its bytes need no parser. What stands outside the
records (head and tail) goes through a real parser with a marker in the place of the records, before the first record is given
out: the marker must stand exactly where records belong. A piece that is not a whole record of its own is noticed when it is
parsed (records.parse) or here (something between records). Either way ``OddShape`` is raised and the caller reads the file
with reader.read, with the same result.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import xxhash
from lxml import etree

from obmen.core.records import Kind

RUN = 1 << 19  # bytes read at a time: records of some 5 KB come in runs of a hundred
WINDOW = 4096  # how many records ahead an insertion or deletion is looked for in the old order
LOST = 256  # after so many misses in a row the old order is taken for lost and searched only now and then
MAX_RECORD = 64 << 20  # a longer "record" is no record: let the streaming reader say what is wrong
ENCODINGS = {"utf-8": "utf-8", "utf8": "utf-8", "windows-1251": "windows-1251", "cp1251": "windows-1251", "ascii": "utf-8"}

DECLARATION = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
ROOT = "КоммерческаяИнформация"


class OddShape(Exception):
    """The file is not of the common shape: read it with the streaming reader instead."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Where records of one kind stand: the record's tag and its ancestors below the root."""

    kind: Kind
    tag: str
    parents: tuple[str, ...]


SHAPES = (
    Shape(Kind.PRODUCT, "Товар", ("Каталог", "Товары")),
    Shape(Kind.OFFER, "Предложение", ("ПакетПредложений", "Предложения")),
    Shape(Kind.OFFER, "Предложение", ("ИзмененияПакетаПредложений", "Предложения")),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A file that can be cut: the bytes [start, end) hold nothing but records of ``shape``.

    ``skeleton`` is the document without its records, UTF-8, for the streaming reader: classifier, heads of sections, owner.
    """

    path: Path
    shape: Shape
    encoding: str
    start: int
    end: int
    size: int
    skeleton: bytes

    @property
    def prolog(self) -> bytes:
        return b"" if self.encoding == "utf-8" else b'<?xml version="1.0" encoding="windows-1251"?>'


def plan(path: Path) -> Plan:
    """Look at head and tail. Raises OddShape when the file cannot be cut for certain."""
    size = path.stat().st_size
    with open(path, "rb", buffering=0) as file:
        head = file.read(min(size, 1 << 16))
        encoding = _encoding(head)
        for shape in SHAPES:
            start_tag = re.compile(f"<{shape.tag}".encode(encoding) + rb"[\s>]")
            end_tag = f"</{shape.tag}>".encode(encoding)
            container = f"<{shape.parents[0]}".encode(encoding)
            start = _find_first(file, size, container, start_tag)
            if start is None:
                continue
            end = _find_last(file, size, start, end_tag)
            head = os.pread(file.fileno(), start, 0)
            tail = os.pread(file.fileno(), size - end, end)
            return Plan(path, shape, encoding, start, end, size, _skeleton(head, tail, shape, encoding))
    raise OddShape("no records of the common shape")


def _encoding(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in head[:64]:
        raise OddShape("an encoding in which bytes cannot be cut")
    body = head.removeprefix(b"\xef\xbb\xbf")
    if not body.lstrip().startswith(b"<"):
        raise OddShape("it does not begin with an element")
    if b"<!DOCTYPE" in head:
        raise OddShape("a document type")
    declared = DECLARATION.match(body)
    name = declared.group(1).decode().lower() if declared else "utf-8"
    if name not in ENCODINGS:
        raise OddShape(f"encoding {name}")
    return ENCODINGS[name]


def _find_first(file: object, size: int, container: bytes, tag: re.Pattern[bytes], limit: int = 256 << 20) -> int | None:
    """Offset of the first record tag behind the container's tag; the classifier before it may be long."""
    fd = file.fileno()  # type: ignore[attr-defined]
    overlap = 256
    offset, inside = 0, False
    while offset < min(size, limit):
        block = os.pread(fd, RUN + overlap, offset)
        at = 0
        if not inside:
            at = block.find(container)
            inside = at >= 0
        if inside:
            found = tag.search(block, max(at, 0))
            if found:
                return offset + found.start()
        offset += RUN
    return None


def _find_last(file: object, size: int, start: int, tag: bytes) -> int:
    """Offset just behind the last end tag of a record."""
    fd = file.fileno()  # type: ignore[attr-defined]
    high = size
    while high > start:
        low = max(start, high - RUN)
        at = os.pread(fd, min(high + len(tag), size) - low, low).rfind(tag)
        if at >= 0:
            return low + at + len(tag)
        high = low
    raise OddShape("no end of a record")


PARSER_OPTIONS = {"huge_tree": True, "resolve_entities": False, "no_network": True, "load_dtd": False, "remove_comments": False}


def _skeleton(head: bytes, tail: bytes, shape: Shape, encoding: str) -> bytes:
    """Head and tail as one well-formed document, proven to hold the records and only them in the expected place."""
    try:
        root = etree.fromstring(head + b"<obmen_marker/>" + tail, etree.XMLParser(**PARSER_OPTIONS))  # type: ignore[arg-type]
    except etree.XMLSyntaxError as error:
        raise OddShape(f"head and tail are not well-formed: {error}") from None
    if root.getroottree().docinfo.doctype:  # type: ignore[union-attr]
        raise OddShape("a document type")
    marker = root.find(".//{*}obmen_marker")
    if marker is None:
        raise OddShape("the records stand in a comment or a CDATA section")
    ancestors = [etree.QName(a).localname for a in marker.iterancestors()][::-1]
    if tuple(ancestors) != (ROOT, *shape.parents):
        raise OddShape(f"the records stand in {'/'.join(ancestors)}")
    parent = marker.getparent()
    assert parent is not None
    if len(parent) != 1 or (parent.text or "").strip() or (marker.tail or "").strip():
        raise OddShape("something besides records stands between them")
    for section in SHAPES:  # a second catalogue or a document with records of its own would be missed by the cutter
        for other in root.iter("{*}" + section.tag):
            raise OddShape(f"{etree.QName(other).localname} also stands elsewhere")
    parent.remove(marker)
    return etree.tostring(root, encoding="utf-8", xml_declaration=True)


@dataclass(frozen=True, slots=True)
class Cut:
    """A run of records in the order of the file. ``fresh`` are (offset, bytes, digest) of those not seen before."""

    fresh: Sequence[tuple[int, bytes, bytes]]
    unchanged: int
    done: int  # bytes of the file read so far


def cut(plan: Plan, known: bytes = b"", seed: int = 0, on_seen: Callable[[int], None] | None = None) -> Iterator[Cut]:
    """The records of a planned file in runs. ``known`` holds the digests (16 bytes each) of what was seen before, in its order.

    The old order is followed by a pointer. After a miss the digest is looked for in the next WINDOW entries only, which finds
    the way again after replaced, inserted and removed records without an index in memory. A record that moved farther counts
    as fresh: slower, never wrong. ``on_seen`` gets the position in ``known`` of every record that was recognised.
    Raises OddShape when something else than white space stands between two records.
    """
    hash_of, tag = xxhash.xxh3_128_digest, plan.shape.tag
    end = f"</{tag}>".encode(plan.encoding)
    is_start = re.compile(f"<{tag}".encode(plan.encoding) + rb"[\s>]").match
    position, misses, find = 0, 0, known.find
    offset, buffer = plan.start, b""
    gap: bytes | None = None
    wanted: tuple[bytes, ...] = ()
    with open(plan.path, "rb", buffering=0) as file:
        file.seek(plan.start)
        left = plan.end - plan.start
        while left > 0:
            block = file.read(min(RUN, left))
            if not block:
                raise OddShape("the file became shorter while it was read")
            left -= len(block)
            buffer += block
            at = buffer.rfind(end)
            if at < 0:
                if len(buffer) > MAX_RECORD:
                    raise OddShape("a record without end")
                continue
            pieces = buffer[:at].split(end)
            buffer = buffer[at + len(end) :]
            if gap is None and len(pieces) > 1:
                gap = pieces[1][: pieces[1].find(b"<")]
                if gap.strip():
                    raise OddShape("something stands between records")
                wanted = tuple(gap + f"<{tag}".encode(plan.encoding) + after for after in (b">", b" ", b"\n", b"\r", b"\t"))
            # A usual piece is hashed with the white space before it, which is equal for all: taking it off would copy the catalogue.
            odd: dict[int, int] = {}
            for i, piece in enumerate(pieces):
                if not (wanted and piece.startswith(wanted)):
                    record = piece.lstrip()
                    if not is_start(record):
                        raise OddShape("something stands between records")
                    odd[i] = len(piece) - len(record)
                    pieces[i] = record
            digests = [hash_of(piece, seed) for piece in pieces]
            blob = b"".join(digests)
            done = plan.end - left
            if known and known[position : position + len(blob)] == blob:  # the whole run is as it was
                if on_seen:
                    for i in range(len(digests)):
                        on_seen(position // 16 + i)
                position += len(blob)
                offset += at + len(end)
                yield Cut((), len(pieces), done)
                continue
            fresh: list[tuple[int, bytes, bytes]] = []
            usual = len(gap or b"")
            for i, (piece, digest) in enumerate(zip(pieces, digests, strict=True)):
                if i in odd:
                    begin, record = offset + odd[i], piece
                    offset += odd[i] + len(piece) + len(end)
                else:
                    begin, record = offset + usual, b""
                    offset += len(piece) + len(end)
                if known[position : position + 16] == digest:
                    found = position
                elif known:
                    far = WINDOW * 16 if misses < LOST or not misses % WINDOW else 64 * 16
                    found = find(digest, position, position + far)
                    while found >= 0 and found & 15:
                        found = find(digest, found + 1, position + far)
                else:
                    found = -1
                if found >= 0:
                    if on_seen:
                        on_seen(found // 16)
                    position, misses = found + 16, 0
                else:
                    misses += 1
                    fresh.append((begin, (record or piece[usual:]) + end, digest))
            yield Cut(fresh, len(pieces) - len(fresh), done)
    if buffer.strip():
        raise OddShape("something stands behind the last record")


def line_of(path: Path, offset: int) -> int:
    """The line on which the byte at ``offset`` stands, counted only when a message needs it."""
    line, left = 1, offset
    with open(path, "rb") as file:
        while left > 0 and (block := file.read(min(left, 1 << 20))):
            line += block.count(b"\n")
            left -= len(block)
    return line
