"""Reading ahead: what comes from the network is fetched in a thread of its own while the database works on what came before."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

T = TypeVar("T")
END = object()
PATIENCE = 0.2  # seconds between two looks whether the reader has gone


class Ahead(Generic[T]):
    """The values of ``made``, made at most ``depth`` ahead of the reader. Its exception comes out where the value would have.

    Use it in ``with``: leaving it stops the thread at the next value, whether or not all were read.
    """

    def __init__(self, made: Iterator[T], depth: int) -> None:
        self._made, self._left = made, threading.Event()
        self._queue: Queue[object] = Queue(depth)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True, name="read-ahead")

    def __enter__(self) -> Ahead[T]:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._left.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=PATIENCE)
            except Empty:
                continue
        self._thread.join()

    def __iter__(self) -> Iterator[T]:
        while (value := self._queue.get()) is not END:
            yield value  # type: ignore[misc]
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            for value in self._made:
                if not self._put(value):
                    return
        except BaseException as error:  # whatever it is, it belongs to the reader
            self._error = error
        self._put(END)

    def _put(self, value: object) -> bool:
        while not self._left.is_set():
            try:
                self._queue.put(value, timeout=PATIENCE)
            except Full:
                continue
            return True
        return False
