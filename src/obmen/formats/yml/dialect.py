"""Dialects of YML: how each marketplace spells the same goods, and what it takes. Data, not code: ``dialects/*.toml``.

A format package brings its own as a file of the same shape: ``load(key, text)``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from obmen.core.contract import BadDocument
from obmen.formats.commerceml.reader import name_of, opened
from obmen.formats.commerceml.records import local
from obmen.formats.yml import stream
from obmen.formats.yml.model import AVAILABLE, NOT_AVAILABLE, ON_ORDER, OfferEntry

ANY = "any"
LOOKED_AT = 100  # offers, to guess the dialect
FIELDS = frozenset(OfferEntry._fields)

_GROUPED = frozenset(("@productId", "productName", "xmlId", "purchasePrice", "productActivity", "activity", "param@code"))
_PLAIN = frozenset(("@available", "currencyId"))


@dataclass(frozen=True, slots=True)
class Rules:
    """What is refused or passed over there. 0, "" and () forbid nothing."""

    required: tuple[str, ...] = ()  # fields
    id: str = ""  # a pattern of ids
    currencies: tuple[str, ...] = ()
    declared_category: bool = False  # goods of an unknown category are refused; else they go to the root
    pictures: int = 0  # most
    strict_pictures: bool = False  # https, ASCII, no WebP
    params: int = 0  # most
    keyword: int = 0  # most characters of each
    not_brands: tuple[str, ...] = ()
    unique_names: bool = False
    whole_quantity: bool = False
    stock_decides: bool = False  # over ``available``
    no_links: bool = False  # in descriptions
    both_ukrainian: bool = False  # name_ua and description_ua only together


@dataclass(frozen=True, slots=True)
class Dialect:
    key: str
    title: str
    names: Mapping[str, tuple[str, ...]]  # field → elements: the first is written, all are read, in this order
    attributes: Mapping[str, str]  # field → attribute of <offer>; it goes before an element of the same field
    available: Mapping[str, str]  # presence → how it is said
    portal: tuple[str, ...] = ()  # attributes of <category> with the marketplace's own id, as ``names``
    unit: bool = False  # of a param
    languages: bool = False  # <value lang="uk"> in a param
    ids: bool = False  # paramid and valueid
    open: bool = False  # further elements are nothing to speak of
    marks: frozenset[str] = frozenset()  # what tells its files: element, @attribute of an offer, category@…, param@…
    hints: frozenset[str] = frozenset()  # the same where others have them too
    rules: Rules = field(default_factory=Rules)
    lengths: Mapping[str, int] = field(default_factory=dict)  # field → most characters
    places: Mapping[str, tuple[str, int]] = field(default_factory=dict)  # element → (field, rank): ``names`` the other way round
    presences: Mapping[str, str] = field(default_factory=dict)  # ``available`` the other way round

    def has(self, name: str) -> bool:
        return name in self.names or name in self.attributes


def load(key: str, text: str) -> Dialect:
    """A dialect from TOML. ValueError for what is no TOML, and for a word that no dialect has."""
    said: dict[str, Any] = tomllib.loads(text)
    names = {name: tuple(spelt) for name, spelt in said.pop("names").items()}
    attributes, available, lengths = said.pop("attributes", {}), said.pop("available", {}), said.pop("lengths", {})
    wrong = ({*names, *attributes, *lengths} - FIELDS) | ({*available} - {AVAILABLE, NOT_AVAILABLE, ON_ORDER})
    rules: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in said.pop("rules", {}).items()
    }
    wrong |= {*rules} - {f.name for f in fields(Rules)}
    wrong |= {*rules.get("required", ())} - FIELDS
    category, param = said.pop("category", {}), said.pop("param", {})
    wrong |= ({*category} - {"portal"}) | ({*param} - {"unit", "languages", "ids"})
    title, is_open = said.pop("title"), said.pop("open", False)
    marks, hints = frozenset(said.pop("marks", ())), frozenset(said.pop("hints", ()))
    wrong |= {*said}
    if wrong:
        raise ValueError(f"{key}: no dialect has {', '.join(sorted(wrong))}")
    if "presence" in attributes and len(available) < 3:
        raise ValueError(f"{key}: [available] has to say available, not_available and order")
    re.compile(rules.get("id", ""))
    places: dict[str, tuple[str, int]] = {}
    for name, spelt in names.items():
        for rank, tag in enumerate(spelt):
            if tag in places:
                raise ValueError(f"{key}: <{tag}> is said to be two fields")
            places[tag] = (name, rank)
    presences = {said: presence for presence, said in reversed(available.items())}
    return Dialect(
        key, title, names, attributes, available, tuple(category.get("portal", ())), open=is_open, marks=marks, hints=hints,
        rules=Rules(**rules), lengths=lengths, places=places, presences=presences, **param,
    )  # fmt: skip


@cache
def built_in() -> Mapping[str, Dialect]:
    """The dialects that come with the hub, by key: the name of the file."""
    files = sorted(Path(__file__).with_name("dialects").glob("*.toml"))
    return {file.stem: load(file.stem, file.read_text("utf-8")) for file in files}


def guess(file: Path | BinaryIO) -> Dialect | None:
    """Whose file it is, by what its first offers hold; the dialect ``any`` where that is not clear. None for ICML, for what
    cannot be read, and for a file that nothing makes more than an ICML file."""
    marks: set[str] = set()
    with suppress(BadDocument):
        marks.update(_marks(file))
    if marks & _GROUPED:
        return None
    counts = {d.key: (len(d.marks & marks), len(d.hints & marks)) for d in built_in().values()}
    most = max(counts.values())
    best = [key for key, count in counts.items() if count == most]
    if most == (0, 0):
        return built_in()[ANY] if marks & _PLAIN else None
    return built_in()[best[0] if len(best) == 1 else ANY]


def _marks(file: Path | BinaryIO) -> Iterator[str]:
    offers = 0
    with opened(file) as opened_file:
        document = stream.source(opened_file, name_of(file))
        for place, el in stream.elements(document):
            if place == "category":
                yield from (f"category@{name}" for name in el.attrib)
            elif place == "offer":
                offers += 1
                yield from (f"@{name}" for name in el.attrib)
                for child in el:
                    tag = local(child.tag)
                    yield tag
                    if tag == "param":
                        yield from (f"param@{name}" for name in child.attrib)
                if offers == LOOKED_AT:
                    return
