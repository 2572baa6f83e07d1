"""What connectors note for their connection."""

from __future__ import annotations

import pytest

from obmen.store import connections, notes

pytestmark = pytest.mark.django_db


def test_a_note_is_kept_replaced_and_taken_back_with_none() -> None:
    connection, _password = connections.create("commerceml_door", "1C", profile="ut11")
    for value in ({"a": [1]}, "again"):
        notes.remember(connection, "load", value)
        assert notes.recall(connection, "load") == value
    for _twice in range(2):
        notes.remember(connection, "load", None)
        assert notes.recall(connection, "load") is None
    assert not connection.bookmarks.exists()
