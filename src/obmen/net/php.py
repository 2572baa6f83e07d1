"""Parameters as PHP reads them: ``filter[ids][]=1&filter[customFields][nps][min]=5``."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def php_query(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Pairs for a query or a form: {"filter": {"ids": [1, 2]}} → [("filter[ids][]", "1"), ("filter[ids][]", "2")].

    A list of mappings or lists is numbered (PHP would make one entry of each field otherwise); True and False are 1 and 0;
    None is left out. Raises TypeError for what has no one spelling there: floats, dates.
    """
    return [pair for name, value in values.items() for pair in _pairs(name, value)]


def _pairs(name: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [pair for key, inner in value.items() for pair in _pairs(f"{name}[{key}]", inner)]
    if isinstance(value, list | tuple | set | frozenset):
        items = list(value)
        numbered = any(isinstance(item, Mapping | list | tuple) for item in items)
        return [pair for n, item in enumerate(items) for pair in _pairs(f"{name}[{n if numbered else ''}]", item)]
    if value is None:
        return []
    if isinstance(value, bool):
        return [(name, "1" if value else "0")]
    if isinstance(value, Decimal):
        return [(name, f"{value:f}")]
    if isinstance(value, str | int):
        return [(name, str(value))]
    raise TypeError(f"{name}: {type(value).__name__} has to be written as text first")
