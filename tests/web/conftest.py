"""What the tests of pages share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> Callable[[], CaptureQueriesContext]:
    """Queries of what runs inside ``with queries() as asked``; once a second a process also looks for format packages, which
    belongs to no page: it looks now and not again."""
    from obmen.licence import packages  # models, which are not ready when pytest loads this file

    monkeypatch.setattr(packages, "PAUSE", 3600.0)
    packages.look_again()
    packages.current()
    return lambda: CaptureQueriesContext(connection)
