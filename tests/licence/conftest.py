from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))


@pytest.fixture(autouse=True)
def _look_anew() -> Iterator[None]:
    """What a test installs ends with its transaction; the process must not go on with it."""
    from obmen.licence import packages

    packages.look_again()
    yield
    packages.look_again()
