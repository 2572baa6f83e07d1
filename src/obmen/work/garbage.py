"""How often Python looks for cycles while much is read and written."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def few_collections() -> Iterator[None]:
    """A run makes millions of short-lived tuples and no cycles; looking for cycles among them costs a load a tenth of its time, and a
    feed a quarter."""
    before = gc.get_threshold()
    gc.set_threshold(200_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
