"""A second process that parses the records of a first load while the first one writes them.

The child is this module run by itself: it imports no Django, reads its requests from stdin and answers on stdout, and ends when
its parent does (stdin closes, also after kill -9). A request names byte ranges of a file, so that no document travels through a
pipe; an answer carries the records as plain tuples. Both are marshal: parent and child are the same Python.
"""

from __future__ import annotations

import marshal
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

from obmen.core.contract import BadRecord
from obmen.core.records import Kind, Offer, Price, Product, Stock
from obmen.formats.commerceml import records
from obmen.formats.commerceml.records import NotWhole

KINDS = frozenset({Kind.PRODUCT, Kind.VARIANT, Kind.OFFER, Kind.PRICES, Kind.STOCK})
LENGTH = struct.Struct("<Q")
PRODUCT, OFFER, BAD, NOT_WHOLE = 0, 1, 2, 3


def worth_it() -> bool:
    """Whether a second process can run beside this one. OBMEN_PARSERS=0 switches it off."""
    if os.environ.get("OBMEN_PARSERS") == "0":
        return False
    return len(os.sched_getaffinity(0)) > 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) > 1


class Ahead:
    """The child and what is under way in it. Use as a context manager; ``take`` answers in the order of ``submit``."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        self._child = subprocess.Popen(
            [sys.executable, "-m", "obmen.formats.commerceml.ahead"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        self._answers: SimpleQueue[bytes | None] = SimpleQueue()
        # Someone has to take the answers out of the pipe while this process writes: else the child waits for it, not it for him.
        self._reader = threading.Thread(target=self._read, daemon=True, name="parse-ahead")
        self._reader.start()

    def _read(self) -> None:
        stream = self._child.stdout
        assert stream is not None
        while (answer := _receive(stream)) is not None:
            self._answers.put(answer)
        self._answers.put(None)

    def submit(self, path: Path, encoding: str, kind: Kind, ranges: Sequence[tuple[int, int]]) -> bool:
        """``ranges`` are (offset, length) of records in the file. False when the child is gone."""
        assert self._child.stdin is not None
        try:
            _send(self._child.stdin, (str(path), encoding, str(kind), tuple(ranges)))
        except OSError:
            return False
        return True

    def take(self) -> list[Any] | None:
        """The records of the oldest request (BadRecord in the place of bad ones); None when the child is gone."""
        answer = self._answers.get()
        if answer is None:
            self._answers.put(None)
            return None
        return [_built(row) for row in marshal.loads(answer)]  # noqa: S302 (from our own child)

    def close(self) -> None:
        self._child.kill()
        self._child.wait()
        self._reader.join()
        for stream in (self._child.stdin, self._child.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()


def _send(stream: IO[bytes], value: Any) -> None:
    data = marshal.dumps(value, 2)  # version 2 knows no references between objects: nothing to look up on either side
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()


def _receive(stream: Any) -> bytes | None:
    try:
        head = stream.read(LENGTH.size)
        if len(head) < LENGTH.size:
            return None
        (length,) = LENGTH.unpack(head)
        data = stream.read(length)
    except (OSError, ValueError):  # the other side has gone, or this one has closed
        return None
    return data if len(data) == length else None


# --- records as plain tuples -----------------------------------------------------------------------------------------------


def _plain(record: Any) -> tuple[Any, ...]:
    if isinstance(record, Product):
        fields = [getattr(record, name) for name in PRODUCT_FIELDS]
        fields[WEIGHT] = _text(fields[WEIGHT])
        return (PRODUCT, *fields)
    if isinstance(record, Offer):
        fields = [getattr(record, name) for name in OFFER_FIELDS]
        if record.prices is not None:
            fields[PRICES] = tuple(
                [(p.kind, _text(p.value), p.currency, p.unit, _text(p.ratio), str(p.min_quantity)) for p in record.prices]
            )
        if record.stock is not None:
            fields[STOCK] = tuple([(s.warehouse, str(s.quantity)) for s in record.stock])
        return (OFFER, *fields)
    facts = tuple((name, value if isinstance(value, str | int) else str(value)) for name, value in record.facts.items())
    return (NOT_WHOLE if isinstance(record, NotWhole) else BAD, record.text, facts)


def _built(row: tuple[Any, ...]) -> Any:
    what, *fields = row
    if what == PRODUCT:
        if fields[WEIGHT] is not None:
            fields[WEIGHT] = Decimal(fields[WEIGHT])
        return Product(*fields)
    if what == OFFER:
        if fields[PRICES] is not None:
            fields[PRICES] = tuple([Price(k, _number(v), c, u, _number(r), _number(m)) for k, v, c, u, r, m in fields[PRICES]])  # type: ignore[arg-type]
        if fields[STOCK] is not None:
            fields[STOCK] = tuple([Stock(w, _number(q)) for w, q in fields[STOCK]])  # type: ignore[arg-type]
        return Offer(*fields)
    text, facts = fields
    return (NotWhole if what == NOT_WHOLE else BadRecord)(text, **dict(facts))


PRODUCT_FIELDS, OFFER_FIELDS = tuple(Product.__dataclass_fields__), tuple(Offer.__dataclass_fields__)
WEIGHT, PRICES, STOCK = PRODUCT_FIELDS.index("weight"), OFFER_FIELDS.index("prices"), OFFER_FIELDS.index("stock")
_SMALL = {str(n): Decimal(n) for n in range(10_000)}


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _number(text: str | None) -> Decimal | None:
    if text is None:
        return None
    return _SMALL.get(text) or Decimal(text)


# --- the child -------------------------------------------------------------------------------------------------------------


def main() -> None:
    import gc

    gc.set_threshold(200_000, 20, 100)  # as in the parent: many short-lived tuples and no cycles
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    path, file = "", -1
    while (request := _receive(requests)) is not None:
        wanted, encoding, kind, ranges = marshal.loads(request)  # noqa: S302 (from our own parent)
        if wanted != path:
            if file >= 0:
                os.close(file)
            path, file = wanted, os.open(wanted, os.O_RDONLY)
        start = ranges[0][0]
        data = os.pread(file, ranges[-1][0] + ranges[-1][1] - start, start)
        raws = [data[offset - start : offset - start + length] for offset, length in ranges]
        try:
            _send(answers, [_plain(record) for record in records.parse(Kind(kind), raws, encoding=encoding)])
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main()
