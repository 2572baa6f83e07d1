"""A sandbox's limiter that judges our pace and not the machine's."""

from __future__ import annotations

import time

import pytest

from obmen.net.pace import Pace
from obmen.sandbox.retailcrm.crm import Limiter


def count_as_they_leave(limiter: Limiter, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts by the moments at which the calls leave, one after the other: how long a busy machine takes to carry each of them over
    says nothing about us."""
    last, left = [0.0], Pace.left

    def leaves(pace: Pace, due: float) -> None:
        last[0] = time.monotonic()
        left(pace, due)

    monkeypatch.setattr(Pace, "left", leaves)
    limiter.monotonic = lambda: last[0]
