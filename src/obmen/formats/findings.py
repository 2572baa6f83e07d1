"""What the validators of all formats share: a finding with its file, line and element, and sets of ids that fit into memory."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field

from obmen.core.contract import BadDocument

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """``text`` is an English sentence for translation with ``facts`` to fill in; ``element`` is the path below the root.
    ``code`` names the rule where the format numbers its rules."""

    file: str
    line: int
    element: str
    text: str
    facts: Mapping[str, object] = field(default_factory=dict)
    level: str = ERROR
    code: str = ""

    def __str__(self) -> str:
        rule = f" [{self.code} {self.level}]" if self.code else ""
        return f"{self.file}:{self.line}: {self.element}: {self.text.format(**self.facts)}{rule}"


def unreadable(error: BadDocument, file: str, root: str, code: str = "") -> Finding:
    """The finding that a document cannot be read (further); ``root`` where the error names no element."""
    facts = dict(error.facts)
    line, element = int(str(facts.get("line") or 1)), str(facts.get("element") or "")
    return Finding(file, line, element or root, error.text.removeprefix("{file}:{line}: "), facts, code=code)


class Ids:
    """A set of texts in 8 bytes each; a plain set of a million ids would take a hundred megabytes."""

    def __init__(self) -> None:
        self.table = array("Q", bytes(8 * 1024))
        self.count = 0

    def add(self, text: str) -> bool:
        """False when it was there already."""
        return self.take(self.key(text))

    def take(self, key: int) -> bool:
        """As ``add``, by the key of a text."""
        if self.count * 3 > len(self.table) * 2:
            old, self.table = self.table, array("Q", bytes(8 * 2 * len(self.table)))
            for known in old:
                if known:
                    self.table[self._place(known)] = known
        place = self._place(key)
        if self.table[place] == key:
            return False
        self.table[place] = key
        self.count += 1
        return True

    def __contains__(self, text: object) -> bool:
        key = self.key(text)
        return self.table[self._place(key)] == key

    @staticmethod
    def key(text: object) -> int:
        """Not 0. The same in all processes with one PYTHONHASHSEED."""
        return hash(text) & 0xFFFF_FFFF_FFFF_FFFF or 1

    def has(self, key: int) -> bool:
        return self.table[self._place(key)] == key

    def _place(self, key: int) -> int:
        size = len(self.table)
        place = key % size
        while self.table[place] and self.table[place] != key:
            place = (place + 1) % size
        return place
