"""The document of a feed on its way to its place: written, packed with gzip and digested in one pass, whole or out of parts."""

from __future__ import annotations

import hashlib
import io
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any, BinaryIO

LEVEL = 4  # of zlib: half the time of 6, and a price list becomes a sixth larger
PIECE = 1 << 20
LOOKED = 1 << 16  # bytes among which the moment is looked for
AHEAD = 32  # pieces, of 64 KB as the formats write them, that may wait for the thread
HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # gzip without a time and a name: the same document, the same bytes


class FeedFile(io.BufferedIOBase):
    """Takes a document by ``write`` and ``join``, and leaves it in ``plain`` and, packed, in ``packed``. As a context manager: at the
    end both are complete, unless an exception went through.

    A thread writes, packs and digests beside the one that makes the document: all three release the GIL. What goes wrong there
    (OSError: no space) is raised by the next call.
    """

    def __init__(self, plain: Path, packed: Path, dated: bytes = b"") -> None:
        self.size, self.digest = 0, ""
        self._plain, self._packed, self._dated = plain.open("wb"), packed.open("wb"), dated
        self._head: bytes | None = b"" if dated else None  # what has come of the document until its moment is found
        self._sum, self._crc = hashlib.sha256(), 0
        self._pack = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._packed.write(HEAD)
        self._queue: Queue[Callable[[], None] | None] = Queue(AHEAD)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True, name="feed-file")
        self._thread.start()

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is None:
            self._queue.put(self._finish)
        self._queue.put(None)
        self._thread.join()
        for file in (self._plain, self._packed):
            file.close()
        if kind is None and self._error is not None:
            raise self._error

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        kept = bytes(piece)
        self._put(lambda: self._write(kept))
        return len(kept)

    def join(self, plain: Path, packed: Path) -> None:
        """Go on with the content of a file, which another process has packed by ``Packing``; both files are removed."""
        self._put(lambda: self._join(plain, packed))

    def _put(self, what: Callable[[], None]) -> None:
        if self._error is not None:
            raise self._error
        self._queue.put(what)

    # --- in the thread ---

    def _work(self) -> None:
        while (what := self._queue.get()) is not None:
            if self._error is None:
                try:
                    what()
                except BaseException as error:
                    self._error = error

    def _write(self, piece: bytes) -> None:
        self._take(piece)
        self._packed.write(self._pack.compress(piece))

    def _join(self, plain: Path, packed: Path) -> None:
        for piece in _pieces(plain):
            self._take(piece)
        plain.unlink()
        # Nothing that comes later may point at what is packed here: the other process had another beginning
        self._packed.write(self._pack.flush(zlib.Z_FULL_FLUSH))
        for piece in _pieces(packed):
            self._packed.write(piece)
        packed.unlink()

    def _take(self, piece: bytes) -> None:
        self._plain.write(piece)
        self.size += len(piece)
        self._crc = zlib.crc32(piece, self._crc)
        if self._head is None:
            self._sum.update(piece)
            return
        self._head += piece
        start = self._head.find(self._dated) + len(self._dated)
        end = self._head.find(b'"', start) if start >= len(self._dated) else -1
        if end >= 0:
            self._sum.update(self._head[:start])
            self._sum.update(self._head[end:])
            self._head = None
        elif len(self._head) > LOOKED:
            self._undatable()

    def _undatable(self) -> None:
        self._sum.update(self._head or b"")
        self._head = None

    def _finish(self) -> None:
        if self._head is not None:
            self._undatable()
        self.digest = self._sum.hexdigest()
        self._packed.write(self._pack.flush() + struct.pack("<LL", self._crc, self.size & 0xFFFF_FFFF))


class Packing:
    """Packs a part of a document for ``FeedFile.join``."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._pack = file, zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)

    def write(self, piece: Any) -> None:
        self._file.write(self._pack.compress(piece))

    def finish(self) -> None:
        self._file.write(self._pack.flush(zlib.Z_FULL_FLUSH))


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(PIECE):
            yield piece
