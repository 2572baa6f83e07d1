"""One file as batches of records with digests: the fast way where the file allows it, the streaming reader where it does not.

Both ways give the same records. What was seen before (``known``) is counted and left out, with its position when asked for.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import xxhash
from lxml import etree

from obmen.core.contract import BadDocument
from obmen.core.records import Kind
from obmen.formats.commerceml import cut
from obmen.formats.commerceml.model import CHANGES, OFFERS, Raw, Section, Unknown
from obmen.formats.commerceml.reader import offer_kind, read
from obmen.formats.commerceml.records import local

SIZE = (
    1000  # records a batch, and so a page: short writes of others wait some 0.1 s beside a load on SQLite, with 500 half of that
)

CHARACTERISTIC = "ИдХарактеристики"


class Piece(NamedTuple):
    """One record as it stands in the file. ``place`` is an offset (fast way) or a line (streaming)."""

    place: int
    xml: bytes
    digest: bytes
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    kind: Kind
    section: Section
    pieces: Sequence[Piece]
    unchanged: int = 0
    first: bool = False  # nothing of this kind was ever seen
    positions: Sequence[int] = ()
    done: int = 0
    total: int = 0


@dataclass(slots=True)
class FileBatches:
    """The batches of one file; iterate once. ``encoding`` and ``fast`` are those of the way that is being gone."""

    path: Path
    seen: Callable[[Kind], bytes]
    seed: int = 0
    fast: bool = True
    keep_positions: bool = False
    encoding: str = "utf-8"

    def __iter__(self) -> Iterator[Batch | Unknown]:
        if self.fast:
            try:
                plan = cut.plan(self.path)
            except cut.OddShape:
                self.fast = False
            else:
                self.encoding = plan.encoding
                yield from self._cut(plan)
                return
        yield from self._stream()

    def line_of(self, place: int) -> int:
        return cut.line_of(self.path, place) if self.fast else place

    # --- the fast way --------------------------------------------------------------------------------------------------------

    def _cut(self, plan: cut.Plan) -> Iterator[Batch | Unknown]:
        section: Section | None = None
        for event in self._read(io.BytesIO(plan.skeleton), plan.size):
            if isinstance(event, Section):
                if event.name in (plan.shape.parents[0], *SECTION_OF[plan.shape.parents[0]]):
                    section = event
            else:
                yield event
        if section is None:
            raise cut.OddShape("the section of the records has no head")
        kind = self._kind_of(plan, section)
        positions: list[int] = []
        known = self.seen(kind)
        note = positions.append if self.keep_positions else None
        waiting: list[Piece] = []
        unchanged = 0
        for run in cut.cut(plan, known, self.seed, note):
            unchanged += run.unchanged
            waiting += [Piece(*fresh) for fresh in run.fresh]
            while len(waiting) >= SIZE or (unchanged >= SIZE * 20 and not waiting):
                yield Batch(kind, section, waiting[:SIZE], unchanged, not known, tuple(positions), run.done, plan.size)
                waiting, unchanged = waiting[SIZE:], 0
                positions.clear()
        yield Batch(kind, section, waiting, unchanged, not known, tuple(positions), plan.size, plan.size)

    def _kind_of(self, plan: cut.Plan, section: Section) -> Kind:
        """Goods are goods; what the Предложения of this file are goes by the first of them."""
        if plan.shape.kind is not Kind.OFFER:
            return plan.shape.kind
        with open(self.path, "rb") as file:
            file.seek(plan.start)
            head = file.read(cut.RUN)
        end = f"</{plan.shape.tag}>".encode(plan.encoding)
        at = head.find(end)
        if at < 0:
            raise cut.OddShape("a first record of that size")
        try:
            first = etree.fromstring(
                plan.prolog + head[: at + len(end)], etree.XMLParser(resolve_entities=False, no_network=True)
            )
        except etree.XMLSyntaxError:
            raise cut.OddShape("a first record that is not whole") from None
        return offer_kind([local(str(child.tag)) for child in first if isinstance(child.tag, str)], section.name)

    # --- the streaming way ---------------------------------------------------------------------------------------------------

    def _stream(self) -> Iterator[Batch | Unknown]:
        self.encoding = "utf-8"
        with open(self.path, "rb") as file:
            for event in self._read(file, self.path.stat().st_size):
                if not isinstance(event, Section):
                    yield event

    def _read(self, file: BinaryIO, total: int) -> Iterator[Batch | Unknown | Section]:
        waiting: list[Piece] = []
        kind: Kind | None = None
        section: Section | None = None

        def flush() -> Iterator[Batch]:
            if waiting and kind is not None and section is not None:
                yield Batch(kind, section, tuple(waiting), done=min(file.tell(), total), total=total)
                waiting.clear()

        fault: BadDocument | None = None
        events = read(file, self.path.name)
        while True:
            try:
                event = next(events, None)
            except BadDocument as error:
                fault = error  # what stands before the fault is taken; the fault then says where the document is damaged
                break
            if event is None:
                break
            if isinstance(event, Raw):
                if event.kind is not kind or event.section is not section or len(waiting) >= SIZE:
                    yield from flush()
                    kind, section = event.kind, event.section
                digest = xxhash.xxh3_128_digest(event.xml + b"\0" + event.parent.encode(), self.seed)
                waiting.append(Piece(event.line, event.xml, digest, event.parent))
            else:
                yield from flush()
                yield event
        yield from flush()
        if fault is not None:
            raise fault


SECTION_OF = {"Каталог": ("catalogue",), "ПакетПредложений": (OFFERS,), "ИзмененияПакетаПредложений": (CHANGES,)}
_IDS = {e: ("<Ид>".encode(e), "</Ид>".encode(e)) for e in ("utf-8", "windows-1251")}
_CHARS = {e: (f"<{CHARACTERISTIC}>".encode(e), f"</{CHARACTERISTIC}>".encode(e)) for e in ("utf-8", "windows-1251")}


def guess(xml: bytes, encoding: str) -> str:
    """The text of the first Ид, joined with ИдХарактеристики where the record has one apart: a quick look at the raw bytes, the
    parsed record's own key decides."""
    start, end = _IDS[encoding]
    at = xml.find(start)
    if at < 0:
        return ""
    ident = xml[at + len(start) : xml.find(end, at)].decode(encoding, "replace").strip()
    start, end = _CHARS[encoding]
    at = xml.find(start)
    if at >= 0 and "#" not in ident:
        more = xml[at + len(start) : xml.find(end, at)].decode(encoding, "replace").strip()
        return f"{ident}#{more}" if more else ident
    return ident
