"""A second process that parses the records of a large load while the first one writes them.

The child runs ``main`` of this module and nothing else: it imports no Django, reads its requests from stdin and answers on stdout, and ends when
its parent does (stdin closes, also after kill -9). A request names byte ranges of a file, so that no document travels through a
pipe. An answer carries either the records as plain tuples, or, where nothing is to be compared with them, the rows of new cards
as the tables take them. Both are marshal: parent and child are the same Python.
"""

from __future__ import annotations

import marshal
import os
import pickle
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

from obmen.connectors.commerceml_door import convert
from obmen.connectors.commerceml_door.settings import STREAMS, DoorSettings
from obmen.core.contract import BadRecord
from obmen.core.records import Kind, Offer, Price, Product, Stock
from obmen.core.rows import NewOffer, NewProduct, new_offer, new_product, obstacle
from obmen.formats.commerceml import records
from obmen.formats.commerceml.records import NotWhole

KINDS = frozenset({Kind.PRODUCT, Kind.VARIANT, Kind.OFFER, Kind.PRICES, Kind.STOCK})
LENGTH = struct.Struct("<Q")
PRODUCT, OFFER, BAD, NOT_WHOLE = range(4)
ROWS = {Kind.PRODUCT: NewProduct, Kind.OFFER: NewOffer}


def worth_it() -> bool:
    """Whether a second process can run beside this one. OBMEN_PARSERS=0 switches it off."""
    if os.environ.get("OBMEN_PARSERS") == "0":
        return False
    return len(os.sched_getaffinity(0)) > 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) > 1


class Ahead:
    """The child and what is under way in it. Use as a context manager; ``take`` answers in the order of ``submit``."""

    def __init__(self, s: DoorSettings, streams: Collection[str] = STREAMS) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        self._child = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        self._asked: deque[type[NewProduct | NewOffer] | None] = deque()
        self._answers: SimpleQueue[bytes | None] = SimpleQueue()
        # Someone has to take the answers out of the pipe while this process writes: else the child waits for it, not it for him.
        self._reader = threading.Thread(target=self._read, daemon=True, name="parse-ahead")
        self._reader.start()
        assert self._child.stdin is not None
        with suppress(OSError):
            _send(self._child.stdin, pickle.dumps((s, tuple(streams))))

    def _read(self) -> None:
        stream = self._child.stdout
        assert stream is not None
        while (answer := _receive(stream)) is not None:
            self._answers.put(answer)
        self._answers.put(None)

    def submit(self, path: Path, encoding: str, kind: Kind, ranges: Sequence[tuple[int, int]], *, new: bool = False) -> bool:
        """``ranges`` are (offset, length) of records in the file. ``new``: make rows of them. False when the child is gone."""
        assert self._child.stdin is not None
        self._asked.append(ROWS[kind] if new else None)
        try:
            _send(self._child.stdin, (str(path), encoding, str(kind), tuple(ranges), new))
        except OSError:
            return False
        return True

    def take(self) -> list[Any] | None:
        """The records of the oldest request (BadRecord in the place of bad ones); None when the child is gone.

        Of a request for rows: the rows, a Product in the place of a variant's card, None in the place of a record that is to be
        looked at more closely by this process.
        """
        answer = self._answers.get()
        if answer is None:
            self._answers.put(None)
            return None
        found = marshal.loads(answer)  # noqa: S302 (from our own child)
        row = self._asked.popleft()
        if row is None:
            return [_built(fields) for fields in found]
        return [fields and (_built(fields) if type(fields[0]) is int else row._make(fields)) for fields in found]

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


def _row(record: Any, s: DoorSettings, streams: Collection[str]) -> tuple[Any, ...] | None:
    """A new card's row, of a record that the settings take and the tables hold; of a variant's card, which makes two of them,
    the record."""
    try:
        if isinstance(record, Product):
            if convert.is_variant(record.key):
                return _plain(record)
            product = convert.product(record, s, convert.Tree())
            return new_product(product) if product and not obstacle(product) else None
        if isinstance(record, Offer):
            offer = convert.offer(record, s, streams)
            return new_offer(offer) if offer and not obstacle(offer) else None
    except BadRecord:
        pass  # it is told where it is parsed again
    return None


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
    # Not sys.stdout.buffer: under PYTHONUNBUFFERED that is the bare descriptor, and of an answer that a signal cuts short (a worker
    # stopped and woken) the rest would be lost. What a library prints must not get between the answers either.
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    path, file = "", -1
    start_message = _receive(requests)
    if start_message is None:
        return
    s, streams = pickle.loads(marshal.loads(start_message))  # noqa: S301, S302 (from our own parent)
    while (request := _receive(requests)) is not None:
        wanted, encoding, kind, ranges, new = marshal.loads(request)  # noqa: S302 (from our own parent)
        if wanted != path:
            if file >= 0:
                os.close(file)
            path, file = wanted, os.open(wanted, os.O_RDONLY)
        start = ranges[0][0]
        data = os.pread(file, ranges[-1][0] + ranges[-1][1] - start, start)
        raws = [data[offset - start : offset - start + length] for offset, length in ranges]
        try:
            parsed = records.parse(Kind(kind), raws, encoding=encoding)
            if new:
                rows = [_row(record, s, streams) for record in parsed]
                _send(answers, [row and tuple(row) for row in rows])  # marshal knows plain tuples only
            else:
                _send(answers, [_plain(record) for record in parsed])
        except BrokenPipeError:
            with suppress(BrokenPipeError):
                answers.close()
            return
