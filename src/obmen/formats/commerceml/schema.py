"""Validates documents against the official XSDs of CommerceML 2.04–2.09, which the caller has as files.

The schemas are not part of the package. They are stricter than any real sender (1C pads codes, leaves Владелец out, writes
one-digit hours), so this is for what we write ourselves, never for what we receive.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lxml import etree


@dataclass(frozen=True, slots=True)
class Finding:
    line: int
    element: str  # local name
    text: str  # libxml2's sentence, without namespaces


class Schema:
    """One official schema. Not thread-safe, like lxml's schema itself."""

    def __init__(self, path: Path) -> None:
        source = path.read_bytes()
        # The published 2.05 has a space in its namespace, which is no valid URI: libxml2 refuses to load it as it is.
        source = source.replace(b"urn:1C.ru:commerceml 2", b"urn:1C.ru:commerceml_2")
        root = etree.fromstring(source, _parser())
        self.namespace: str = root.get("targetNamespace", "")
        self._schema = etree.XMLSchema(root)

    def findings(self, document: Path | BinaryIO) -> list[Finding]:
        """What the schema finds wrong; [] = the document conforms. Elements are taken for the schema's own whatever their
        namespace: senders write none, or another, over the same grammar. Raises etree.XMLSyntaxError when it is not XML."""
        tree = etree.parse(str(document) if isinstance(document, Path) else document, _parser())
        for element in tree.iter(etree.Element):
            element.tag = etree.QName(self.namespace, etree.QName(element).localname)
        self._schema.validate(tree)
        braces = "{" + self.namespace + "}"
        return [
            Finding(error.line, _element_of(error.message.replace(braces, "")), error.message.replace(braces, ""))
            for error in self._schema.error_log  # type: ignore[attr-defined]  # the stubs forget that it is a list
        ]


def _element_of(message: str) -> str:
    return message.split("'")[1] if message.startswith("Element '") else ""


def _parser() -> etree.XMLParser:
    return etree.XMLParser(huge_tree=True, resolve_entities=False, no_network=True)
