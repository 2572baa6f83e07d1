"""Records that are built alike, read without a parser.

Most records of a file have the same tags in the same order as one before them and differ in nothing but texts and attribute
values. Such a record is cut at its angle brackets; where everything between the values equals what a record of that shape has
there, the values are put into a small tree that was built when the shape was met first. Three times as fast as libxml2 (measured,
with the walk over the tree), because no objects are made.

The tree is the one that libxml2 would give with ``records._parser``: the same tags, attributes and texts, blank text between
elements left out. Whatever is out of the ordinary (comments, CDATA, prefixes, character references, mixed content, a bracket
inside a text, a character that XML does not allow) has no shape, and a parser has the say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

LETTER = "A-Za-zА-Яа-яЁёІіЇїЄєҐґ_"  # other letters are for the parser
NAME = f"[{LETTER}][{LETTER}0-9.-]*"
OPENING = re.compile(rf'({NAME})(?:[ \t\n]+{NAME}[ \t\n]*=[ \t\n]*"[^"]*")*[ \t\n]*/?')
CLOSING = re.compile(rf"/({NAME})[ \t\n]*")
NEVER = r"<>\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff"  # brackets, and what XML 1.0 does not allow
TEXT, ATTRIBUTE_VALUE = f"([^{NEVER}]*+)", f'([^"\\n\\t{NEVER}]*+)'
LEARN = 100  # records without a known shape for each that is learnt: making its pattern costs as much as parsing that many
PATIENCE = 4000  # records; a file of which most have no known shape is left to the parser for REST records
REST = 20_000
MOST_ALIKE = 16  # shapes with the same number of tags


class Odd(Exception):
    """This record has to be read by a parser."""


class Node(list[Any]):
    """An element as the converters of ``records`` use one: a list of its children with tag, text and attributes."""

    __slots__ = ("attrib", "tag", "text")

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.text: str | None = None
        self.attrib: dict[str, str] = {}

    def get(self, name: str) -> str | None:
        return self.attrib.get(name)

    def iter(self, *tags: str) -> Iterator[Node]:
        if self.tag in tags:
            yield self
        for child in self:
            yield from child.iter(*tags)

    def itertext(self) -> Iterator[str]:
        if self.text:
            yield self.text
        for child in self:
            yield from child.itertext()


class Shape:
    """One order of tags: a tree, and a pattern whose groups are its values. Raises Odd for what has no shape."""

    def __init__(self, text: str) -> None:
        self.texts: list[Node] = []
        self.attributes: list[tuple[Node, str, int]] = []  # (node, name, group)
        groups: list[int] = []  # of the texts
        pattern: list[str] = []
        open_nodes: list[Node] = []
        pieces = text.replace(">", "<").split("<")  # an empty one, then by turns a tag and what stands behind it
        if len(pieces) < 3 or len(pieces) % 2 == 0 or pieces[0] or pieces[-1]:
            raise Odd
        for tag, behind, following in zip(pieces[1::2], pieces[2::2], [*pieces[3::2], ""], strict=True):
            if tag.startswith("/"):
                closed = CLOSING.fullmatch(tag)
                if closed is None or not open_nodes or open_nodes.pop().tag != closed[1]:
                    raise Odd
            else:
                node, names = _opened(tag)
                if open_nodes:
                    open_nodes[-1].append(node)
                elif pattern:
                    raise Odd
                else:
                    self.root = node
                for name in names:
                    self.attributes.append((node, name, len(groups) + len(self.attributes) + 1))
                if not tag.endswith("/"):
                    open_nodes.append(node)
            pattern.append("<" + f'"{ATTRIBUTE_VALUE}"'.join(map(re.escape, tag.split('"')[::2])) + ">")
            if not tag.startswith("/") and following == f"/{node.tag}":
                self.texts.append(node)
                groups.append(len(groups) + len(self.attributes) + 1)
                pattern.append(TEXT)
            elif behind.strip(" \t\n"):
                raise Odd
            else:
                pattern.append(re.escape(behind))
        if open_nodes or len(groups) < 2:
            raise Odd
        self.groups = groups
        self.matches = re.compile("".join(pattern)).fullmatch

    def element(self, text: str) -> Node | None:
        """The tree with the values of this record; None when it has another shape. The next call changes the same tree."""
        found = self.matches(text)
        if found is None:
            return None
        for node, value in zip(self.texts, found.group(*self.groups), strict=True):
            node.text = _resolved(value) if "&" in value else value or None
        for node, name, group in self.attributes:
            value = found[group]
            node.attrib[name] = _resolved(value) if "&" in value else value
        return self.root


def _opened(tag: str) -> tuple[Node, list[str]]:
    found = OPENING.fullmatch(tag)
    if found is None:
        raise Odd
    names = [before.rstrip(" \t\n=").split()[-1] for before in tag.split('"')[:-1:2]]
    if "xmlns" in names or len(set(names)) != len(names):
        raise Odd
    return Node(found[1]), names


def _resolved(value: str) -> str:
    text = value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&apos;", "'")
    if text.count("&") != text.count("&amp;"):
        raise Odd
    return text.replace("&amp;", "&")


class Shapes:
    """The shapes of one kind of record that were met so far. Not for sharing between threads."""

    def __init__(self, learn: int = LEARN) -> None:
        self._shapes: dict[int, list[Shape]] = {}  # by number of tags
        self._learn, self._unknown = learn, 0
        self._patience = PATIENCE

    def read(self, raw: bytes, encoding: str, convert: Callable[[Any, str], T]) -> T | None:
        """What ``convert`` makes of the record's tree, which is good until the next call; None when a parser has to read it."""
        if self._patience <= 0:
            self._patience = self._patience - 1 if self._patience > -REST else PATIENCE
            return None
        try:
            found = convert(self._element(raw, encoding), "")
        except Odd:
            self._patience -= 2
            return None
        self._patience = min(self._patience + 1, PATIENCE)
        return found

    def _element(self, raw: bytes, encoding: str) -> Node:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            raise Odd from None
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        alike = self._shapes.setdefault(text.count("<"), [])
        for number, shape in enumerate(alike):
            element = shape.element(text)
            if element is not None:
                if number:
                    alike.insert(0, alike.pop(number))
                return element
        self._unknown += 1
        if len(alike) == MOST_ALIKE or self._unknown < self._learn:
            raise Odd
        self._unknown = 0
        shape = Shape(text)
        element = shape.element(text)
        if element is None:
            raise Odd
        alike.insert(0, shape)
        return element
