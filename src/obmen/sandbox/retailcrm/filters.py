"""``filter[…]`` of lists: what each key compares, and refusals for keys that are unknown or wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from obmen.sandbox.retailcrm.forms import Tree, values
from obmen.sandbox.retailcrm.state import INVALID, Account, Json, Refused, number

Test = Callable[[Any], bool]
UNKNOWN = "This form should not contain extra fields."
NOT_HERE = "The sandbox does not filter by this field."


@dataclass(frozen=True, slots=True)
class By:
    """``kind``: ints, texts (any of them; ``get`` may give several values), text (part of it), equal, flag, from, to, min, max."""

    kind: str
    get: Callable[[Any], Any]


def tests(account: Account, spec: Mapping[str, By], beyond: Collection[str], given: Tree) -> list[Test]:
    """The tests that a row has to pass. ``beyond``: keys that the service knows and the sandbox does not.

    Raises Refused: an ignored filter would answer with rows that nobody asked for.
    """
    errors: dict[str, str] = {}
    found: list[Test] = []
    for name, value in given.items():
        if name == "customFields" and "customFields" in spec:
            found += _custom(spec[name].get, value)
        elif name in spec:
            test = _test(account, spec[name], value)
            if test is None:
                errors[f"children[{name}]"] = INVALID
            else:
                found.append(test)
        else:
            errors[f"children[{name}]"] = NOT_HERE if name in beyond else UNKNOWN
    if errors:
        raise Refused(400, "Errors in the input parameters", errors)
    return found


def integers(given: Any) -> list[int] | None:
    """None when one of them is no number."""
    texts = [str(v) for v in values(given)]
    return [int(t) for t in texts] if all(re.fullmatch(r"\d+", t) for t in texts) else None


def _test(account: Account, by: By, value: Any) -> Test | None:
    get = by.get
    if by.kind in ("ints", "texts"):
        if by.kind == "ints" and integers(value) is None:
            return None
        wanted = {str(v) for v in values(value)}
        return lambda row: not wanted.isdisjoint(_several(get(row)))
    if isinstance(value, dict):
        return None
    match by.kind:
        case "text":
            part = str(value).casefold()
            return lambda row: any(part in text.casefold() for text in _several(get(row)))
        case "equal":
            return lambda row: str(value) in _several(get(row))
        case "flag":
            if value not in ("0", "1"):
                return None
            return lambda row: bool(get(row)) == (value == "1")
        case "from" | "to":
            return _moment(account, by, str(value))
        case _:
            limit = number(value)
            if limit is None:
                return None
            if by.kind == "min":
                return lambda row: get(row) >= limit
            return lambda row: get(row) <= limit


def _moment(account: Account, by: By, text: str) -> Test | None:
    """Both ends belong to it; a date without a time is the whole day."""
    get = by.get
    try:
        limit = account.moment(text)
    except ValueError:
        return None
    if by.kind == "to" and len(text.strip()) == 10:
        limit += timedelta(days=1, seconds=-1)

    def test(row: Any) -> bool:
        value = get(row)
        if value is None:
            return False
        moment = value if isinstance(value, datetime) else account.moment(value)
        return moment >= limit if by.kind == "from" else moment <= limit

    return test


def _several(value: Any) -> set[str]:
    if value is None:
        return set()
    if isinstance(value, str | int):
        return {str(value)}
    return {str(v) for v in value}


def _custom(get: Callable[[Any], Json], given: Any) -> Iterable[Test]:
    for code, wanted in (given if isinstance(given, dict) else {}).items():
        yield _custom_test(get, code, wanted)


def _custom_test(get: Callable[[Any], Json], code: str, wanted: Any) -> Test:
    if isinstance(wanted, dict) and {"min", "max"} & wanted.keys():
        return lambda row: _between(number(get(row).get(code, "")), wanted)
    chosen = {str(v) for v in values(wanted)}
    return lambda row: not chosen.isdisjoint(_several(_as_filter(get(row).get(code))))


def _as_filter(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value if isinstance(value, list | None) else str(value)


def _between(value: Any, wanted: Json) -> bool:
    low, high = number(wanted.get("min", "")), number(wanted.get("max", ""))
    return value is not None and (low is None or value >= low) and (high is None or value <= high)
