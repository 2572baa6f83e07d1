"""A price list in YML as marketplaces read it (facts on marketplaces §4): on its own, so that the hub's writer is not judged by itself."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from lxml import etree


class Unreadable(Exception):
    """It is no YML, or breaks off; the text says where."""


@dataclass(slots=True)
class Category:
    id: str
    name: str
    parent: str = ""
    rz_id: str = ""


@dataclass(slots=True)
class Param:
    name: str
    value: str
    unit: str = ""
    id: str = ""
    value_id: str = ""


@dataclass(slots=True)
class Offer:
    """``texts``: the first element of each name. ``available``: "true", "false" or "" (on order)."""

    id: str
    available: str = "true"
    group: str = ""
    selling_type: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    pictures: list[str] = field(default_factory=list)
    params: list[Param] = field(default_factory=list)

    def text(self, *names: str) -> str:
        """The first of these synonyms that is there and not empty."""
        return next((self.texts[name] for name in names if self.texts.get(name)), "")

    def number(self, *names: str) -> Decimal | None:
        """None: it is absent. Raises ValueError when it is no number."""
        text = self.text(*names)
        if not text:
            return None
        try:
            value = Decimal(text.replace(",", "."))
        except InvalidOperation:
            raise ValueError(text) from None
        if not value.is_finite():
            raise ValueError(text)
        return value


@dataclass(slots=True)
class PriceList:
    categories: dict[str, Category] = field(default_factory=dict)
    offers: list[Offer] = field(default_factory=list)


def read(raw: bytes) -> PriceList:
    """The whole price list. Raises Unreadable."""
    found = PriceList()
    try:
        for element in _elements(raw):
            if element.tag == "category":
                get = element.get
                row = Category(get("id") or "", (element.text or "").strip(), get("parentId") or "", get("rz_id") or "")
                found.categories[row.id] = row
            else:
                found.offers.append(_offer(element))
            element.clear()
    except etree.XMLSyntaxError as error:
        raise Unreadable(str(error)) from None
    if not found.offers:
        raise Unreadable("no offers")
    return found


def _elements(raw: bytes) -> Iterator[etree._Element]:
    tags, source = ("category", "offer", "yml_catalog"), io.BytesIO(raw)
    parts = etree.iterparse(source, events=("end",), tag=tags, resolve_entities=False, no_network=True, huge_tree=True)
    for _event, element in parts:
        if element.tag != "yml_catalog":
            yield element
    if parts.root is None or parts.root.tag != "yml_catalog":
        raise Unreadable("the root is no yml_catalog")


def _offer(element: etree._Element) -> Offer:
    get = element.get
    offer = Offer(get("id") or "", get("available", "true"), get("group_id") or "", get("selling_type") or "")
    for child in element:
        text = (child.text or "").strip()
        if child.tag == "picture":
            offer.pictures.append(text)
        elif child.tag == "param":
            value = text or next(((v.text or "").strip() for v in child.findall("value")), "")
            ids = child.get("paramid") or "", child.get("valueid") or ""
            offer.params.append(Param(child.get("name") or "", value, child.get("unit") or "", *ids))
        elif isinstance(child.tag, str):
            offer.texts.setdefault(child.tag, text)
    return offer
