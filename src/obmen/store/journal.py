"""The journal: what was done, when, by whom. Facts must hold no secrets."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.utils import timezone

from obmen.core.records import plain
from obmen.store.models import Connection, JournalEntry


def note(
    connection: Connection | None,
    action: str,
    who: str,
    *,
    of: tuple[str, int] | None = None,
    at: datetime | None = None,
    **facts: Any,
) -> None:
    """One line. ``of``: the record's kind and id in the books, when it is about one."""
    kind, record_id = of or ("", None)
    JournalEntry.objects.create(
        at=at or timezone.now(),
        connection=connection,
        action=action,
        who=who,
        record_kind=kind,
        record_id=record_id,
        facts={name: _plain(value) for name, value in facts.items()},
    )


def _plain(value: Any) -> Any:
    """JSON-safe; ``plain`` knows the types of records, a time of day is none of them."""
    return json.loads(json.dumps(plain(value), default=str))
