"""Requests as PHP reads them: ``a[b][]=1`` in queries and forms, multipart bodies with CRLF or (as 1C sends them) bare LF."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

Tree = dict[str, Any]  # str or Tree below; PHP's arrays without keys have the keys "0", "1", …

_PART = re.compile(r"\[([^\]]*)\]")


def nested(pairs: Iterable[tuple[str, str]]) -> Tree:
    """``[("filter[ids][]", "1"), ("limit", "20")]`` → ``{"filter": {"ids": {"0": "1"}}, "limit": "20"}``; the last one wins."""
    tree: Tree = {}
    for name, value in pairs:
        head, bracket, _rest = name.partition("[")
        path = [head, *_PART.findall(name[len(head) :])] if bracket and head else [name]
        place = tree
        for step in path[:-1]:
            key = step or str(len(place))
            below = place.get(key)
            if not isinstance(below, dict):
                below = place[key] = {}
            place = below
        place[path[-1] or str(len(place))] = value
    return tree


def query(text: str) -> Tree:
    return nested(parse_qsl(text, keep_blank_values=True))


def body(content_type: str, raw: bytes) -> Tree:
    """The form of a POST. Anything that PHP does not know as a form (a JSON body, say) is an empty one."""
    kind, _semicolon, options = content_type.partition(";")
    match kind.strip().lower():
        case "application/x-www-form-urlencoded":
            return query(raw.decode("utf-8", "replace"))
        case "multipart/form-data":
            boundary = re.search(r'boundary="?([^";]+)"?', options)
            return nested(_parts(raw, boundary[1].strip().encode())) if boundary else {}
        case _:
            return {}


def _parts(raw: bytes, boundary: bytes) -> Iterable[tuple[str, str]]:
    for part in raw.split(b"--" + boundary)[1:]:
        if part.startswith(b"--"):
            return
        head, _blank, value = re.sub(rb"^\r?\n", b"", part, count=1).replace(b"\r\n\r\n", b"\n\n", 1).partition(b"\n\n")
        name = re.search(rb'name="([^"]*)"', head)
        if name:
            yield name[1].decode("utf-8", "replace"), re.sub(rb"\r?\n\Z", b"", value).decode("utf-8", "replace")


def values(tree: Any) -> list[Any]:
    """What stands in a PHP array, in order; a single value is a list of one, nothing is an empty list."""
    if tree is None or tree == "":
        return []
    return list(tree.values()) if isinstance(tree, dict) else [tree]
