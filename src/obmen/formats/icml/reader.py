"""Reads ICML as a stream: memory for the header and one offer, in any encoding, with or without a DOCTYPE."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

from obmen.core.contract import BadRecord
from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml.reader import line_of, name_of, opened
from obmen.formats.commerceml.records import local
from obmen.formats.icml.model import ARTICLE, Category, Header, OfferEntry, Param, Unit
from obmen.formats.yml.stream import category_name, check_root, elements, number, sides, source, text_of

DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)

NO_ID = _("{file}:{line}: an offer without an id; expected <offer id=…>")
NOT_A_NUMBER = _("{file}:{line}: {element} of the offer {id} is “{found}”; expected {expected}")


def read(file: Path | BinaryIO, name: str = "") -> Iterator[Header | Category | OfferEntry | BadRecord]:
    """The header as the first of them begins, then categories and offers in the order of the file.

    An offer without an id, or with something else where a number belongs, is a BadRecord (facts: file, line, element) in its
    place. Raises BadDocument, after everything before the fault.
    """
    name = name or name_of(file)
    with opened(file) as stream:
        document = source(stream, name)
        check_root(document)
        given = False
        for place, el in elements(document):
            if place in ("categories", "offers") and not given:
                given = True
                yield _header(el.getparent())
            elif place == "category":
                yield category(el)
            elif place == "offer":
                try:
                    yield offer(el, name)
                except BadRecord as error:
                    yield error


def _header(shop: Any) -> Header:
    said = {local(child.tag): text_of(child) for child in shop}
    date = (shop.getparent().get("date") or "").strip()
    return Header(said.get("name", ""), said.get("company", ""), moment(date))


def moment(text: str) -> datetime | None:
    """``YYYY-MM-DD HH:MM:SS`` as local time; None for anything else, the 30th of February too."""
    if DATE.fullmatch(text):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    return None


def category(el: Any) -> Category:
    """Both forms: the name as text, and ``<name>`` with pictures."""
    pictures = [text_of(child) for child in el if local(child.tag) == "picture"]
    parent = (el.get("parentId") or "").strip()
    return Category((el.get("id") or "").strip(), category_name(el), parent, tuple(filter(None, pictures)))


def offer(el: Any, file: str = "") -> OfferEntry:
    """Raises BadRecord for an offer without an id, and for a number that is none."""
    key = (el.get("id") or "").strip()
    if not key:
        raise BadRecord(NO_ID, file=file, line=line_of(el), element="offer")
    said: dict[str, list[str]] = {}
    params: list[Param] = []
    unit: Unit | None = None
    article = ""
    for child in el:
        tag, text = local(child.tag), text_of(child)
        if tag == "unit":
            unit = Unit(*((child.get(name) or "").strip() for name in ("code", "name", "sym")))
        elif tag == "param" and text:
            code = (child.get("code") or "").strip()
            if code == ARTICLE and not article:
                article = text
            else:
                params.append(Param(code, (child.get("name") or "").strip(), text))
        elif text:
            said.setdefault(tag, []).append(text)

    def first(tag: str) -> str:
        return said.get(tag, [""])[0]

    def decimal(tag: str, text: str) -> Decimal | None:
        try:
            return number(text) if text else None
        except ValueError:
            raise bad(tag, text, _("a number with a dot, such as 1990.50")) from None

    def bad(tag: str, text: str, expected: str) -> BadRecord:
        return BadRecord(NOT_A_NUMBER, file=file, line=line_of(el), element=tag, id=key, found=text[:80], expected=expected)

    def flag(tag: str) -> bool | None:
        return {"Y": True, "N": False}.get(first(tag).upper())

    try:
        dimensions = sides(first("dimensions")) if first("dimensions") else None
    except ValueError:
        raise bad("dimensions", first("dimensions"), _("length/width/height in centimetres, such as 30/20.5/12")) from None
    return OfferEntry(
        id=key,
        name=first("name"),
        price=decimal("price", first("price")),
        categories=tuple(said.get("categoryId", ())),
        product=(el.get("productId") or "").strip(),
        quantity=decimal("quantity", (el.get("quantity") or "").strip()),
        type=(el.get("type") or "").strip(),
        url=first("url"),
        pictures=tuple(said.get("picture", ())),
        purchase_price=decimal("purchasePrice", first("purchasePrice")),
        xml_id=first("xmlId"),
        product_name=first("productName"),
        article=article,
        params=tuple(params),
        vendor=first("vendor"),
        unit=unit,
        weight=decimal("weight", first("weight")),
        dimensions=dimensions,
        vat_rate=first("vatRate"),
        barcodes=tuple(said.get("barcode", ())),
        product_active=flag("productActivity"),
        active=flag("activity"),
        markable=flag("markable"),
    )


def is_off(el: Any) -> bool:
    """Whether the offer itself or its product is switched off."""
    return any(local(child.tag) in ("activity", "productActivity") and text_of(child).upper() == "N" for child in el)
