"""The journals of changes: ascending ids with gaps, cut by ``sinceId`` without looking at what came before."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any


@dataclass(slots=True)
class Entry:
    """One change. ``subject`` is how the journal shows whose it is: the bytes of a whole entity on creation, else a short one."""

    id: int
    at: datetime
    entity: int
    source: str
    user: int | None
    key: str | None
    field: str
    old: Any
    new: Any
    subject: Any
    more: dict[str, Any]  # item, payment, address, company, …
    created: bool = False
    deleted: bool = False


_id = attrgetter("id")


class Journal:
    def __init__(self, last_id: int) -> None:
        self.last_id = last_id
        self.entries: list[Entry] = []
        self.by_entity: dict[int, list[Entry]] = {}
        self.holding = False
        self.held: list[Entry] = []

    def add(self, **entry: Any) -> Entry:
        """Takes every field of Entry but the id. Ids leave gaps, as they do in reality."""
        self.last_id += 1 + (self.last_id % 11 == 0)
        made = Entry(id=self.last_id, **entry)
        if self.holding:
            self.held.append(made)
        else:
            self.entries.append(made)
            self.by_entity.setdefault(made.entity, []).append(made)
        return made

    def release(self) -> None:
        """What was written while ``holding`` becomes visible, at the places of its ids."""
        held, self.held = self.held, []
        for entry in held:
            insort(self.entries, entry, key=_id)
            insort(self.by_entity.setdefault(entry.entity, []), entry, key=_id)

    def after(
        self, since: int = 0, entity: int | None = None, start: datetime | None = None, end: datetime | None = None
    ) -> Sequence[Entry]:
        rows: Sequence[Entry] = self.entries if entity is None else self.by_entity.get(entity, [])
        first = bisect_right(rows, since, key=_id)
        if start is None and end is None:
            return _Tail(rows, first)
        picked: Iterable[Entry] = (rows[n] for n in range(first, len(rows)))
        return [e for e in picked if (start is None or e.at >= start) and (end is None or e.at <= end)]


class _Tail(Sequence[Entry]):
    """A view of the rest of a list: a page of a long journal copies only itself."""

    def __init__(self, rows: Sequence[Entry], first: int) -> None:
        self.rows, self.first = rows, first

    def __len__(self) -> int:
        return len(self.rows) - self.first

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            start, stop, step = at.indices(len(self))
            return self.rows[self.first + start : self.first + stop : step]
        return self.rows[self.first + at] if at >= 0 else self.rows[at]
