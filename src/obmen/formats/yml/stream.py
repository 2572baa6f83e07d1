"""A ``yml_catalog`` document as a stream of its parts: YML of every dialect, and ICML, which is YML with grouped offers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml.reader import BLOCK, NOT_OURS, Input, events
from obmen.formats.commerceml.records import local

ROOT = "yml_catalog"
EXPECTED_ROOT = _("<yml_catalog>, with nothing but <!DOCTYPE yml_catalog SYSTEM …> before it")
PLACES = {"shop": ROOT, "categories": "shop", "offers": "shop", "category": "categories", "offer": "offers"}
NUMBER = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?", re.ASCII)

# Atomic: comments before the root must not be tried in all their combinations.
_ROOT = re.compile(
    rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?(?>\s+|<\?.*?\?>|<!--.*?-->)*+<(?:!DOCTYPE\s+)?yml_catalog[\s/>\[]",
    re.DOTALL | re.IGNORECASE,
)


def recognised(file: Path) -> bool:
    """Whether the content, not the name, says ``yml_catalog`` where the root or its DOCTYPE stands."""
    with file.open("rb") as stream:
        return _ROOT.match(stream.read(BLOCK).replace(b"\0", b"")) is not None


def source(stream: BinaryIO, name: str) -> Input:
    """The document behind its prolog. Raises BadDocument for what is no XML, and for a DOCTYPE that declares something."""
    return Input(stream, name, EXPECTED_ROOT, doctype=True)


def check_root(document: Input) -> None:
    if document.root != ROOT:
        raise document.bad(NOT_OURS, element=document.root, found=f"<{document.root}>", expected=EXPECTED_ROOT)


def elements(document: Input) -> Iterator[tuple[str, Any]]:
    """(name, element) of what stands in its place: the root, ``shop``, ``categories`` and ``offers`` as they begin, each
    ``category`` and ``offer`` when it is complete; those are gone when the next one is."""
    freed = False

    def was_freed() -> bool:
        nonlocal freed
        was, freed = freed, False
        return was

    for item in events(document, {ROOT, *PLACES}, was_freed):
        if item is None:
            continue
        event, el = item
        name = local(el.tag)
        parent = el.getparent()
        if (event == "end") != (name in ("category", "offer")):
            continue
        if parent is None:
            yield name, el
        elif _stands(el, name):
            yield name, el
            if event == "end":
                while el.getprevious() is not None:
                    del parent[0]
                freed = True


def _stands(el: Any, name: str) -> bool:
    """Gifts and promotions of YML have offers of their own, which are none of the catalogue."""
    while name in PLACES:
        el = el.getparent()
        if el is None or local(el.tag) != PLACES[name]:
            return False
        name = local(el.tag)
    return el.getparent() is None


def number(text: str) -> Decimal:
    """A number with a dot, without exponent and groups, which is all that the format knows. ValueError for anything else."""
    if not NUMBER.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is not a number with a dot")
    return Decimal(text)


def sides(text: str) -> tuple[Decimal, Decimal, Decimal]:
    """``L/W/H``. ValueError for anything else."""
    length, width, height = map(number, text.split("/"))
    return length, width, height


def text_of(el: Any) -> str:
    """The element's own text, without comments and children."""
    return (el.text or "").strip()


def category_name(el: Any) -> str:
    """As text, or as the first ``<name>``, beside which ICML has pictures."""
    names = [text_of(child) for child in el if local(child.tag) == "name"]
    return (names[0] if names else "") or text_of(el)
