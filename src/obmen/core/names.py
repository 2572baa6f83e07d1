"""What the books call their values."""

from __future__ import annotations

from obmen.core.contract import Hub
from obmen.core.records import Reference, Subject


class Names:
    """Names of the books' values by key, read once for each subject."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._read: dict[Subject, dict[str, Reference]] = {}

    def __call__(self, subject: Subject, key: str) -> str:
        """The name of a value, or its key where the books do not know it."""
        found = self.reference(subject, key)
        return (found.name if found else "") or key

    def reference(self, subject: Subject, key: str) -> Reference | None:
        if not key:
            return None
        if subject not in self._read:
            self._read[subject] = {r.key: r for r in self._hub.books.references(subject)}
        return self._read[subject].get(key)
