"""A CommerceML document as a stream of sections and records, in constant memory at any file size.

What an element is follows from its name and place alone: names of files, namespaces and ВерсияСхемы say nothing reliable.
The prolog is read here and never reaches libxml2: a DOCTYPE is refused before anything could be declared in it, white space
before the declaration is forgiven, and any encoding is turned into UTF-8 on the way.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from lxml import etree

from obmen.core.contract import BadDocument
from obmen.core.records import Counterparty, Kind
from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml import records, values
from obmen.formats.commerceml.model import (
    CATALOGUE,
    CHANGES,
    CLASSIFIER,
    COUNTERPARTIES,
    DOCUMENTS,
    OFFERS,
    Raw,
    Root,
    Section,
    Unknown,
)

ROOT = "КоммерческаяИнформация"
BLOCK = 1 << 16
LONGEST_RECORD = 32 << 20  # bytes between two finished records; a longer one would have to be held in memory whole
MOST_LOOSE = 10_000  # elements that lie about in a section or between records; a document has a handful
LONGEST_PROLOG = 1 << 20
TAIL = 1 << 16

ENCODINGS = re.compile(
    r"utf[-_]?8|utf[-_]?16([-_]?[lb]e)?|utf[-_]?32([-_]?[lb]e)?|us-ascii|ascii|(windows|win|cp|x-cp)-?\d{3,4}|koi8[-_]?[ru]"
    r"|(iso[-_]?8859|latin)[-_]?\d{1,2}|(x-)?mac-?cyrillic|ibm\d{3}",
    re.IGNORECASE,
)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

NO_DOCTYPE = _("{file}:{line}: a DOCTYPE is not taken, since it can make a small file very large; expected {expected}")
NO_XML = _("{file}:{line}: this is not an XML document: it begins with “{found}”; expected {expected}")
NO_ENCODING = _("{file}:{line}: the encoding “{found}” is not known; expected {expected}")
WRONG_BYTES = _("{file}:{line}: the bytes are not {encoding}, as the file says it is; expected {expected}")
MALFORMED = _("{file}:{line}: the document is damaged in {element}: {found}; expected {expected}")
TRUNCATED = _("{file}:{line}: the document breaks off in {element}; expected {expected}. Send the file again")
TOO_DEEP = _("{file}:{line}: elements are nested too deeply in {element}; expected {expected}")
TOO_MANY = _("{file}:{line}: {element} holds more than {limit} elements that are no records; expected {expected}")
TOO_LONG = _("{file}:{line}: {element} is longer than {limit} MB; expected {expected}")
EMPTY = _("{file}:{line}: the file is empty; expected {expected}")
NOT_OURS = _("{file}:{line}: the document is {found}; expected {expected}")
OLD = _(
    "{file}:{line}: this is CommerceML 1 of 1C 7.7 ({found}); expected {expected}. Export in the format of CommerceML 2 instead"
)
ENGLISH = _(
    "{file}:{line}: this is Bitrix's export with English element names ({found}); expected {expected}. "
    "Export with Russian element names instead"
)
EXPECTED_ROOT = _("<КоммерческаяИнформация> of CommerceML 2.03–3.1")

_SECTIONS = {
    "Классификатор": CLASSIFIER,
    "Каталог": CATALOGUE,
    "ПакетПредложений": OFFERS,
    "ИзмененияПакетаПредложений": CHANGES,
    "Контрагенты": COUNTERPARTIES,
}
_CONTAINERS: dict[str, dict[str, Kind]] = {
    "Товары": {"Товар": Kind.PRODUCT},
    "Предложения": {"Предложение": Kind.OFFER},
    "Группы": {"Группа": Kind.GROUP},
    "Свойства": {"Свойство": Kind.PROPERTY, "СвойствоНоменклатуры": Kind.PROPERTY},
    "ТипыЦен": {"ТипЦены": Kind.REFERENCE},
    "Склады": {"Склад": Kind.REFERENCE},
    "ЕдиницыИзмерения": {"ЕдиницаИзмерения": Kind.REFERENCE},
    "Производители": {"Производитель": Kind.REFERENCE},
}
_RECORDS = {tag for tags in _CONTAINERS.values() for tag in tags} | {"Документ", "Контрагент"}
STRUCTURE = frozenset((ROOT, "Контейнер", *_SECTIONS, *_CONTAINERS, *_RECORDS))

_STOCK = frozenset(("Количество", "Склад", "Склады", "Остатки", "КоличествоНаСкладах"))
_PART = _STOCK | {"Ид", "ИдХарактеристики", "НомерВерсии", "КодЕдиницыИзмерения", "Цены"}
_HEAD = {"Ид": "id", "ИдКлассификатора": "classifier_id", "ИдКаталога": "catalogue_id", "Наименование": "title"}
_CML1 = frozenset(("Идентификатор", "ИдентификаторВКаталоге", "ХозОперация", "Наименование", "Номер"))

_SPACE = re.compile(r"[ \t\r\n\ufeff]*")
_START = re.compile(r"<([^\W\d][\w.:-]*)[\s/>]")
_BARE_DOCTYPE = re.compile(
    r"""<!DOCTYPE\s+[^\s<>\[\]"']+(?:\s+(?:SYSTEM|PUBLIC\s+(?:"[^"]*"|'[^']*'))\s+(?:"[^"]*"|'[^']*'))?\s*>""", re.IGNORECASE
)
_HALF_START = re.compile(r"<[^\W\d][\w.:-]*$")

Element = Any
Event = tuple[str, Element]


def offer_kind(children: Collection[str], section: str) -> Kind:
    """What a Предложение is, by the names of its children.

    One that says nothing but prices and stock creates no goods (Bitrix's module 5–7 sends prices and rests in files of their
    own, told apart by their set of children); a changes package never does.
    """
    if section == CHANGES:
        return Kind.PRICES if "Цены" in children else Kind.STOCK
    names = set(children)
    if names <= _PART:
        if "Цены" in names:
            return Kind.PRICES
        if names & _STOCK:
            return Kind.STOCK
    return Kind.OFFER


# --- bytes ---------------------------------------------------------------------------------------------------------------


@contextmanager
def opened(file: Path | str | BinaryIO) -> Iterator[BinaryIO]:
    if isinstance(file, str | os.PathLike):
        with open(file, "rb") as stream:
            yield stream
    else:
        yield file


class Input:
    """A document's bytes as UTF-8 behind its prolog, with the root's name and encoding known and a DOCTYPE refused.

    ``doctype=True`` passes over one that only names a file of definitions (it is not loaded) and declares nothing itself.
    """

    def __init__(self, stream: BinaryIO, name: str, expected: str = EXPECTED_ROOT, doctype: bool = False) -> None:
        self.stream, self.name, self.expected, self.doctype = stream, name, expected, doctype
        head = stream.read(BLOCK)
        self.line = 1
        self.encoding, skip = self._encoding(head)
        try:
            codec = codecs.lookup(self.encoding)
        except LookupError:
            raise self.bad(NO_ENCODING, found=self.encoding, expected=_("UTF-8 or windows-1251")) from None
        self.encoding, self.decoder = codec.name, codec.incrementaldecoder()
        self.first = self._prolog(head[skip:])

    def bad(self, text: str, line: int | None = None, element: str = "", expected: str = "", **facts: object) -> BadDocument:
        line = self.line if line is None else line
        return BadDocument(text, file=self.name, line=line, element=element, expected=expected, **facts)

    def _encoding(self, head: bytes) -> tuple[str, int]:
        """Python's name of the codec, and the length of the mark of byte order."""
        for mark, codec in _BOMS:
            if head.startswith(mark):
                return codec, len(mark)
        start = head[:256].lstrip(b" \t\r\n\0")[:2]
        if b"\0" in head[:4] and head[:256].strip(b" \t\r\n\0")[:1] == b"<":
            return ("utf-16-le" if start[1:2] == b"\0" else "utf-16-be"), 0
        declared = re.match(rb"""\s*<\?xml\s[^>]*?encoding\s*=\s*["']\s*([^"'>]{1,40}?)\s*["']""", head)
        said = declared.group(1).decode("ascii", "replace") if declared else "utf-8"
        known = ENCODINGS.fullmatch(said)
        codec = re.sub(r"(?i)^(?:windows|win|x-cp)-?", "cp", said)
        if not known or codec.lower().startswith(("utf-16", "utf16", "utf-32", "utf32")):  # the bytes were read as ASCII so far
            raise self.bad(NO_ENCODING, found=said, expected=_("UTF-8 or windows-1251"))
        return codec, 0

    def _decode(self, data: bytes, final: bool = False) -> str:
        try:
            return self.decoder.decode(data, final)
        except UnicodeDecodeError as error:
            good = error.object[: error.start].decode(self.encoding, "replace")
            raise self.bad(
                WRONG_BYTES, line=self.line + good.count("\n"), encoding=self.encoding, expected=_("the encoding it declares")
            ) from None

    def _prolog(self, data: bytes) -> str:
        """The text from the root's start tag on, behind as many line ends as stood before it."""
        text = self._decode(data)
        at = 0
        while True:
            at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
            self.line = text.count("\n", 0, at) + 1
            start = text[at : at + 9].upper()
            closing = "?>" if start.startswith("<?") else "-->" if start.startswith("<!--") else ""
            tag = _START.match(text, at)
            if tag:
                self.tag = tag.group(1)
                break
            if start == "<!DOCTYPE" and self.doctype:
                bare = _BARE_DOCTYPE.match(text, at)
                if bare:
                    at = bare.end()
                    continue
            if start == "<!DOCTYPE" and (not self.doctype or re.search(r"[\[>]", text[at:])):
                raise self.bad(NO_DOCTYPE, element="DOCTYPE", expected=self.expected)
            if closing:
                end = text.find(closing, at)
                if end >= 0:
                    at = end + len(closing)
                    continue
            elif not any(mark.startswith(start) for mark in ("<!--", "<!DOCTYPE", "<?")) and not _HALF_START.match(text, at):
                raise self.bad(NO_XML, found=_shown(text[at : at + 40]), expected=self.expected)
            block = self.stream.read(BLOCK)
            if not block:
                empty = not text.strip()
                raise self.bad(EMPTY if empty else TRUNCATED, element=_("the prolog"), expected=self.expected)
            if len(text) > LONGEST_PROLOG:
                raise self.bad(TOO_LONG, element=_("the prolog"), limit=LONGEST_PROLOG >> 20, expected=self.expected)
            text += self._decode(block)
        return "\n" * text.count("\n", 0, at) + text[at:]

    def blocks(self) -> Iterator[bytes]:
        lines = self.first.count("\n")
        yield self.first.encode()
        del self.first
        while block := self.stream.read(BLOCK):
            self.line = lines + 1
            text = self._decode(block)
            lines += text.count("\n")
            yield text.encode()
        self.line = lines + 1
        rest = self._decode(b"", final=True)
        if rest:
            yield rest.encode()

    @property
    def root(self) -> str:
        return self.tag.rpartition(":")[2]


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).strip()[:40]


def events(
    source: Input, tags: Collection[str] | None, freed: Callable[[], bool] = lambda: False, limit: int = LONGEST_RECORD
) -> Iterator[Event | None]:
    """("start" | "end", element) of every element of those local names (None: of all); None after each block of bytes.

    The consumer takes out of the tree what it has read; ``freed`` says whether it did since it was last asked, and when it
    has not for ``limit`` bytes the document is refused. Everything that libxml2 understood before a fault is given out before
    BadDocument is raised, so that a fault always cuts a document at the same place.
    """
    parser = etree.XMLPullParser(
        events=("start", "end"),
        tag=None if tags is None else [f"{{*}}{tag}" for tag in sorted(tags)],
        encoding="utf-8",
        huge_tree=True,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
        no_network=True,
        load_dtd=False,  # no resolve_entities=False: no DOCTYPE comes here, and with it an undeclared entity is a silent stop
    )
    held = 0
    fault: BadDocument | None = None
    blocks = source.blocks()
    etree.clear_error_log()  # it outlives parsers, and what it holds at the end is judged
    while True:
        try:
            block = next(blocks, None)
            if block is None:
                parser.close()
            else:
                parser.feed(block)
                held += len(block)
        except etree.XMLSyntaxError as error:
            # A prefix without declaration, a namespace that is no address: faults of namespaces alone, which nobody reads here.
            if block is not None or not _of_namespaces_alone(error):
                fault = _fault(source, error, parser, ended=block is None)
        except BadDocument as error:
            fault = error
        yield from parser.read_events()
        if fault:
            raise fault
        yield None
        if block is None:
            return
        if freed():
            held = 0
        elif held > limit:
            raise source.bad(TOO_LONG, element=_("one element"), limit=limit >> 20, expected=_("records of a usual size"))


def _of_namespaces_alone(error: etree.XMLSyntaxError) -> bool:
    log: Any = error.error_log
    return all(entry.type_name.startswith(("NS_ERR_", "WAR_NS_")) for entry in log)


def _fault(source: Input, error: etree.XMLSyntaxError, parser: Any, ended: bool) -> BadDocument:
    line, column = error.position
    said = re.sub(r", line \d+, column \d+$", "", error.msg or "")
    element = source.root
    open_tag = re.search(r"tag (\S+) line|mismatch: (\S+) line|Premature end of data in tag (\S+)", said)
    if open_tag:
        element = next(filter(None, open_tag.groups()))
    if "xcessive depth" in said:
        return source.bad(TOO_DEEP, line, element, "no more than 2048 elements inside each other", found=said)
    if ended or "Premature end" in said or "EndTag: '</' not found" in said:
        return source.bad(TRUNCATED, line, element, f"</{source.tag}> at the end", found=said)
    return source.bad(MALFORMED, line, element, "well-formed XML", found=said, column=column)


def line_of(el: Element) -> int:
    """The line of an element's start tag. libxml2 keeps 16 bits for it and takes the line of the first text beyond that."""
    line = int(el.sourceline or 0)
    if line < 65535:
        return line
    probe = el
    while probe.text is None and len(probe):
        probe = probe[0]
    return line - (probe.text or "").count("\n")


# --- a look before reading ---------------------------------------------------------------------------------------------------


def look(file: Path | BinaryIO, name: str = "") -> Root:
    """What the root says, from the first bytes alone. Raises BadDocument as ``read`` would for the same beginning."""
    with opened(file) as stream:
        source = Input(stream, name or name_of(file))
        for item in events(source, None):
            if item is not None:
                return _root(source, item[1])
    raise source.bad(TRUNCATED, element=source.root, expected=f"</{source.tag}>")


def _root(source: Input, el: Element) -> Root:
    name = etree.QName(el)
    said = {records.local(key): str(value) for key, value in el.attrib.items()}
    return Root(
        name.localname,
        name.namespace or "",
        said.get("ВерсияСхемы", "").strip(),
        said.get("ДатаФормирования", "").strip(),
        tuple(said.items()),
        source.encoding,
    )


def is_complete(file: Path | BinaryIO) -> bool:
    """Whether the last thing in the file closes its root: cheap, from both ends, in the file's own encoding.

    White space, comments and processing instructions behind the root are tolerated. False also for what is no XML at all.
    """
    with opened(file) as stream:
        try:
            source = Input(stream, "")
            stream.seek(0, os.SEEK_END)
            size = stream.tell()
            start = max(0, size - TAIL) & ~3  # whole characters of UTF-16 and UTF-32
            stream.seek(start)
            tail = stream.read().decode(source.encoding, "replace")
        except BadDocument:
            return False
        while True:
            tail = tail.rstrip(" \t\r\n\0")
            if tail.endswith("-->") and "<!--" in tail:
                tail = tail[: tail.rindex("<!--")]
            elif tail.endswith("?>") and "<?" in tail:
                tail = tail[: tail.rindex("<?")]
            else:
                break
        if re.search(rf"</{re.escape(source.tag)}\s*>$", tail):
            return True
        return re.search(rf"<{re.escape(source.tag)}(?:\s[^<>]*)?/>$", tail) is not None


def whole(data: bytes, expected: str, name: str = "") -> Element:
    """A small document as one tree without namespaces. Raises BadDocument when its root is not ``expected``."""
    import io

    source = Input(io.BytesIO(data), name)
    if source.root != expected:
        raise source.bad(NOT_OURS, element=source.root, found=f"<{source.root}>", expected=f"<{expected}>")
    root = None
    for item in events(source, None):
        if root is None and item is not None:
            root = item[1]
    records.localise(root)
    return root


def name_of(file: object) -> str:
    path = file if isinstance(file, str | os.PathLike) else getattr(file, "name", "")
    return os.path.basename(path) if isinstance(path, str | os.PathLike) else ""


# --- reading -----------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Frame:
    """An open element that the reader understands: the root, a section, a container of records, or a record."""

    el: Element
    section: Section | None = None
    records: dict[str, Kind] | None = None  # what a container holds
    kind: Kind | None = None  # of a record
    parent: str = ""  # container of documents
    emptied: Element = None  # the last record of a container: read, but the parser may still stand right behind it
    waiting: list[Raw] | None = None  # groups inside a group whose own Ид has not come yet


def read(file: Path | BinaryIO, name: str = "") -> Iterator[Section | Raw | Unknown]:
    """Sections, records and what is unknown, in document order.

    A group comes after the groups inside it; an Unknown comes at the latest at the end of its section. ``name`` is for
    messages. Raises BadDocument (facts: file, line, element, expected), after everything that stands before the fault.
    """
    with opened(file) as stream:
        source = Input(stream, name or name_of(file))
        check_root(source)
        yield from _Reader(source).run()


def check_root(source: Input) -> None:
    if source.root == ROOT:
        return
    text = ENGLISH if source.root == "CommerceInformation" else NOT_OURS
    raise source.bad(text, element=source.root, found=f"<{source.root}>", expected=EXPECTED_ROOT)


def refuse_old(source: Input, el: Element) -> None:
    """Raise BadDocument at a section of CommerceML 1, whose values are attributes."""
    version = (el.getparent().get("ВерсияСхемы") or "").strip()
    if not _CML1.isdisjoint(el.attrib) or version.startswith("1"):
        tag = records.local(el.tag)
        found = f"<{tag} {next(iter(el.attrib))}=…>" if el.attrib else f"ВерсияСхемы={version}"
        raise source.bad(OLD, line_of(el), tag, EXPECTED_ROOT, found=found)


class _Reader:
    def __init__(self, source: Input) -> None:
        self.source = source
        self.stack: list[_Frame] = []
        self.root: Root | None = None
        self.documents: Section | None = None  # one section for all documents, in containers or not
        self.containers = 0
        self.given: Section | None = None  # the section that was given out last
        self.documents_given = False
        self.freed = False

    def run(self) -> Iterator[Section | Raw | Unknown]:
        for item in events(self.source, STRUCTURE, self._was_freed):
            if item is None:
                yield from self._drain()
                continue
            event, el = item
            if event == "start":
                self._start(el)
            elif self.stack and self.stack[-1].el is el:
                yield from self._end(self.stack.pop())

    def _was_freed(self) -> bool:
        freed, self.freed = self.freed, False
        return freed

    # Elements are recognised only as children of the element that is open and understood: "Товар" of an order's line,
    # "Группы" of a product and everything inside an unknown element pass by.
    def _start(self, el: Element) -> None:
        tag = records.local(el.tag)
        if not self.stack:
            if el.getparent() is None:
                self.root = _root(self.source, el)
                self.stack.append(_Frame(el))
            return
        top = self.stack[-1]
        if el.getparent() is not top.el:
            return
        if len(self.stack) == 1:
            self._start_section(el, tag)
        elif top.kind is Kind.GROUP:
            if tag == "Группы":
                self.stack.append(_Frame(el, top.section, _CONTAINERS[tag]))
        elif top.kind is not None:
            return
        elif top.records is not None:
            if tag in top.records:
                self.stack.append(_Frame(el, top.section, kind=top.records[tag]))
        elif top.section is self.documents:
            if tag == "Документ":
                self.stack.append(_Frame(el, top.section, kind=Kind.ORDER, parent=top.parent))
        elif top.section is not None and top.section.name == COUNTERPARTIES:
            if tag == "Контрагент":
                self.stack.append(_Frame(el, top.section, kind=Kind.COUNTERPARTY))
        elif tag in _CONTAINERS:
            self.stack.append(_Frame(el, top.section, _CONTAINERS[tag]))

    def _start_section(self, el: Element, tag: str) -> None:
        assert self.root is not None
        refuse_old(self.source, el)
        if tag in ("Документ", "Контейнер") and self.documents is None:
            self.documents = Section(DOCUMENTS, self.root, line=line_of(el))
        if tag == "Документ":
            self.stack.append(_Frame(el, self.documents, kind=Kind.ORDER))
        elif tag == "Контейнер":
            self.containers += 1
            self.stack.append(_Frame(el, self.documents, parent=str(self.containers)))
        elif tag in _SECTIONS:
            self.stack.append(_Frame(el, Section(_SECTIONS[tag], self.root, line=line_of(el))))

    def _end(self, frame: _Frame) -> Iterator[Section | Raw | Unknown]:
        el, section = frame.el, frame.section
        if section is None:
            yield from self._leftovers(frame, list(el))
        elif frame.kind is not None:
            yield from self._give(section, self.stack[1].el if len(self.stack) > 1 else None)
            yield from self._record(frame, section)
            self._free(el)
        elif frame.records is not None:
            yield from self._leftovers(frame, list(el))
            if self.stack[-1].kind is None:  # nested groups are taken off their group when it ends
                self._free(el)
        else:
            head = None if section is self.documents else el
            yield from self._give(section, head)
            if head is not None:
                self._fill(section, el)
            yield from self._leftovers(frame, list(el))
            self._free(el)

    def _record(self, frame: _Frame, section: Section) -> Iterator[Raw]:
        el, kind, parent = frame.el, frame.kind, frame.parent
        assert kind is not None
        if kind is Kind.OFFER:
            kind = offer_kind([records.local(child.tag) for child in el], section.name)
        if kind is not Kind.GROUP:
            yield Raw(kind, plain_xml(el), line_of(el), section, parent)
            return
        line = line_of(el)
        for nested in [child for child in el if records.local(child.tag) == "Группы"]:
            el.remove(nested)
        own = _child_text(el, "Ид")
        for raw in frame.waiting or ():
            yield Raw(raw.kind, raw.xml, raw.line, raw.section, own)
        around = self.stack[-2] if self.stack[-2].kind is Kind.GROUP else None
        parent = _child_text(around.el, "Ид") if around else ""
        raw = Raw(kind, plain_xml(el), line, section, parent)
        if around and not parent:
            around.waiting = [*(around.waiting or ()), raw]
        else:
            yield raw

    def _give(self, section: Section, el: Element) -> Iterator[Section]:
        """The section itself, before the first thing inside it."""
        if section is self.documents:
            if not self.documents_given:
                self.documents_given = True
                yield section
        elif self.given is not section:
            self.given = section
            self._fill(section, el)
            yield section

    def _fill(self, section: Section, el: Element) -> None:
        """What the section says of itself, as far as it was read; called again at its end."""
        pairs: list[tuple[str, str]] = []
        extra = ""
        for name, value in el.attrib.items():
            if records.local(name) == "СодержитТолькоИзменения":
                section.only_changes = _only_changes(value)
            else:
                pairs.append((records.local(name), value.strip()))
        for child in el:
            tag = records.local(child.tag)
            if tag in _HEAD:
                setattr(section, _HEAD[tag], (child.text or "").strip())
            elif tag == "СодержитТолькоИзменения":
                section.only_changes = _only_changes(child.text or "")
            elif tag == "Владелец":
                owner = records.parse(Kind.COUNTERPARTY, [plain_xml(child)])[0]
                if isinstance(owner, Counterparty):
                    section.owner = owner
            elif tag in _ABOUT:
                pairs.append((tag, (child.text or "").strip()))
            elif not len(child) and tag not in _CONTAINERS and tag not in STRUCTURE:
                extra += plain_xml(child).decode()
        section.attributes, section.extra = tuple(pairs), extra

    def _drain(self) -> Iterator[Section | Unknown]:
        """Unknown children that have ended, and what has ended inside an unknown child that is still open."""
        if not self.stack or self.stack[-1].kind is not None:
            return
        top = self.stack[-1]
        children = list(top.el)
        if not children:
            return
        yield from self._leftovers(top, children[:-1])
        if len(top.el) > MOST_LOOSE:
            element = records.local(top.el.tag)
            raise self.source.bad(TOO_MANY, line_of(top.el), element, EXPECTED_ROOT, limit=MOST_LOOSE)
        last = children[-1]
        if self._is_unknown(top, last) and len(last) > 1:
            yield from self._parts(top, last, list(last)[:-1])

    def _is_unknown(self, frame: _Frame, child: Element) -> bool:
        tag = records.local(child.tag)
        if child is frame.emptied:
            return False
        if frame.section is None:
            return tag not in _SECTIONS and tag not in ("Документ", "Контейнер")
        if frame.records is not None:
            return tag not in frame.records
        if frame.section is self.documents:
            return tag != "Документ"
        if frame.section.name == COUNTERPARTIES and tag == "Контрагент":
            return False
        return tag not in _CONTAINERS and tag not in _HEAD and tag not in _ABOUT and tag not in _READ

    def _leftovers(self, frame: _Frame, children: list[Element]) -> Iterator[Section | Unknown]:
        """Small unknown children of a section are its ``extra``; all others come out piece by piece."""
        for child in children:
            if not self._is_unknown(frame, child):
                continue
            if not len(child) and frame.section is not None and frame.records is None and frame.section is not self.documents:
                continue
            yield from self._parts(frame, child, list(child))
            if not len(child) and (child.attrib or (child.text or "").strip() or not self.parted):
                yield Unknown(self._path(frame, child), plain_xml(child), line_of(child), frame.section)
            self.freed = True
            frame.el.remove(child)

    def _parts(self, frame: _Frame, child: Element, parts: list[Element]) -> Iterator[Section | Unknown]:
        self.parted = bool(parts)
        if frame.section is not None:
            yield from self._give(frame.section, self.stack[1].el if len(self.stack) > 1 else frame.el)
        for part in parts:
            name = f"{self._path(frame, child)}/{records.local(part.tag)}"
            yield Unknown(name, plain_xml(part), line_of(part), frame.section)
            child.remove(part)
            self.freed = True

    def _path(self, frame: _Frame, child: Element) -> str:
        own = f"{records.local(frame.el.tag)}/" if frame.records is not None else ""
        return own + records.local(child.tag)

    def _free(self, el: Element) -> None:
        """Empty what was read. It can be taken out only when the parser has gone on to its next sibling."""
        frame = self.stack[-1]
        el.clear(keep_tail=True)
        if frame.emptied is not None:
            frame.el.remove(frame.emptied)
        frame.emptied = el
        self.freed = True


_ABOUT = ("Описание", "ДействительноС", "ДействительноДо")
_READ = ("СодержитТолькоИзменения", "Владелец")


def _only_changes(text: str) -> bool | None:
    try:
        return values.boolean(text)
    except ValueError:
        return None  # neither full nor partial: the caller must treat it as changes only (a sweep needs certainty)


def _child_text(el: Element, tag: str) -> str:
    return next(((child.text or "").strip() for child in el if records.local(child.tag) == tag), "")


_FIRST_TAG = re.compile(rb"<[^\s/>]+((?:\s+xmlns(?::[^=\s]+)?=(?:\"[^\"]*\"|'[^']*'))+)")


def plain_xml(el: Element) -> bytes:
    """The element as UTF-8 without namespaces. Usually the root declares a default one: it is cut off the first tag as bytes."""
    xml: bytes = etree.tostring(el, encoding="utf-8", with_tail=False)
    if el.nsmap:
        xml = _without_namespaces(xml, el.nsmap)
    return xml


def _without_namespaces(xml: bytes, nsmap: dict[str | None, str]) -> bytes:
    found = _FIRST_TAG.match(xml)
    bare = xml[: found.start(1)] + xml[found.end(1) :] if found else xml
    prefixes = [prefix.encode() for prefix in nsmap if prefix]
    if b" xmlns" not in bare and not any(b"<" + p + b":" in bare or b" " + p + b":" in bare for p in prefixes):
        return bare
    root = etree.fromstring(xml, etree.XMLParser(huge_tree=True, resolve_entities=False, no_network=True))
    records.localise(root)
    out: bytes = etree.tostring(root, encoding="utf-8")
    return out
