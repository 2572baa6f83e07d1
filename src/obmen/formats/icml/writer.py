"""Writes an ICML file as a stream: memory for the categories and one offer, at any number of offers.

Elements go in the order of 1C:UNF's module 1.0.10, which every user who moves here has been sending: url, picture, price,
purchasePrice, categoryId, name, xmlId, productName, params with the article first, vendor, unit. What that module does not write
stands between its unit and its barcode (weight, dimensions, vatRate) and behind the barcode (activity and markable). Readers go
by names; the order matters to people who compare an old file with a new one. Two of the module's habits are left out: an empty
``url``, ``picture`` or ``parentId`` says nothing, and quotation marks need not be taken out of names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import BinaryIO

from obmen.core.contract import BadRecord
from obmen.core.records import decimal_text
from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml.writer import attribute, encode, save, text
from obmen.formats.icml.model import ARTICLE, Category, Header, OfferEntry
from obmen.formats.yml.pieces import (
    BAD_NUMBER,
    NO_CATEGORY_ID,
    NO_ID,
    TAIL,
    Written,
    clean,
    filled,
    given,
    parents_first,
    refuse,
    usable,
)

# «артикул» as 1C's module spells it: the CRM knows the property by that name already.
ARTICLE_NAME = "артикул"

NO_NAME = _("The offer {id} has no name: fill in the name of the goods")
NO_PRICE = _("The offer {id} “{name}” has no price: set a price of the kind that the catalogue is written with")
NO_CATEGORY = _("The offer {id} “{name}” is in none of the groups of the catalogue: put it into one, or add its group")

Refused = Callable[[Category | OfferEntry, BadRecord], None]


def write(
    stream: BinaryIO,
    header: Header,
    categories: Iterable[Category],
    offers: Iterable[OfferEntry],
    refused: Refused | None = None,
) -> Written:
    """One whole file. What cannot be written is told to ``refused`` and left out; without it the BadRecord is raised.

    Categories are put behind their parents; one whose parent is not among them becomes a root, so does one of a ring, and of one
    said twice the last counts. An offer loses categories that are not among them. Ids of offers are the caller's to keep
    unique. A quantity below zero is written as 0: there is none to sell.
    """
    if header.date is None:
        raise ValueError("a file needs its date")
    known: dict[str, Category] = {}
    for category in categories:
        key = clean(category.id)
        if key:
            known[key] = replace(category, id=key, name=clean(category.name) or key, parent=clean(category.parent))
        else:
            refuse(refused, category, BadRecord(NO_CATEGORY_ID, name=category.name))
    count = 0

    def pieces() -> Iterator[str]:
        nonlocal count
        yield f'<?xml version="1.0" encoding="UTF-8"?>\n<yml_catalog date="{header.date:%Y-%m-%d %H:%M:%S}"><shop>'
        yield f"<name>{text(clean(header.name))}</name><company>{text(clean(header.company))}</company>\n<categories>\n"
        for category in parents_first(known):
            yield _category(category)
        yield "</categories>\n<offers>\n"
        for offer in offers:
            try:
                piece = _offer(offer, known)
            except BadRecord as error:
                refuse(refused, offer, error)
                continue
            count += 1
            yield piece
        yield TAIL

    save(stream, encode(pieces(), "utf-8"))
    return Written(len(known), count)


def _category(category: Category) -> str:
    parent = f' parentId="{attribute(category.parent)}"' if category.parent else ""
    pictures = "".join([filled("picture", url) for url in category.pictures])
    name = f"<name>{text(category.name)}</name>" if pictures else text(category.name)
    return f'<category id="{attribute(category.id)}"{parent}>{name}{pictures}</category>\n'


def _offer(offer: OfferEntry, known: dict[str, Category]) -> str:
    key, product_name = clean(offer.id), clean(offer.product_name)
    name = clean(offer.name) or product_name
    if not key:
        raise BadRecord(NO_ID, name=name)
    if not name:
        raise BadRecord(NO_NAME, id=key)
    if offer.price is None:
        raise BadRecord(NO_PRICE, id=key, name=name)

    def number(tag: str, value: Decimal) -> str:
        if not usable(value):
            raise BadRecord(BAD_NUMBER, id=key, name=name, element=tag, found=str(value))
        return decimal_text(value)

    categories = [c for c in dict.fromkeys(map(clean, offer.categories)) if c in known]
    if not categories:
        raise BadRecord(NO_CATEGORY, id=key, name=name)
    parts = [f'<offer id="{attribute(key)}" productId="{attribute(clean(offer.product) or key)}"']
    if offer.quantity is not None:
        parts.append(f' quantity="{0 if offer.quantity < 0 else number("quantity", offer.quantity)}"')
    parts += [given("type", offer.type), ">", filled("url", offer.url)]
    parts += [filled("picture", url) for url in offer.pictures]
    parts.append(f"<price>{number('price', offer.price)}</price>")
    if offer.purchase_price is not None:
        parts.append(f"<purchasePrice>{number('purchasePrice', offer.purchase_price)}</purchasePrice>")
    parts += [f"<categoryId>{text(c)}</categoryId>" for c in categories]
    parts += [f"<name>{text(name)}</name>", filled("xmlId", offer.xml_id)]
    parts.append(f"<productName>{text(product_name or name)}</productName>")
    parts.append(_param(ARTICLE, ARTICLE_NAME, offer.article))
    parts += [_param(*param) for param in offer.params]
    parts.append(filled("vendor", offer.vendor))
    if offer.unit is not None:
        unit = "".join(map(given, ("code", "name", "sym"), offer.unit))
        parts.append(f"<unit{unit}/>" if unit else "")
    if offer.weight is not None:
        parts.append(f"<weight>{number('weight', offer.weight)}</weight>")
    if offer.dimensions is not None:
        parts.append(f"<dimensions>{'/'.join([number('dimensions', side) for side in offer.dimensions])}</dimensions>")
    parts.append(filled("vatRate", offer.vat_rate))
    parts += [filled("barcode", barcode) for barcode in offer.barcodes]
    for tag, flag in (("productActivity", offer.product_active), ("activity", offer.active), ("markable", offer.markable)):
        if flag is not None:
            parts.append(f"<{tag}>{'Y' if flag else 'N'}</{tag}>")
    parts.append("</offer>\n")
    return "".join(parts)


def _param(code: str, name: str, value: str) -> str:
    """Only one that is filled in throughout: the vendor's own modules leave the others out."""
    code, name, value = clean(code), clean(name), clean(value)
    if not (code and name and value):
        return ""
    return f'<param code="{attribute(code)}" name="{attribute(name)}">{text(value)}</param>'
