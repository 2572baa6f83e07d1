"""What an ICML file says. "" and () are *not said*; so is an empty element, which the module of 1C writes for what it does not know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

ARTICLE = "article"  # the code by which a param is the article
PRODUCT, SERVICE = "product", "service"
VAT_RATES = frozenset(("22", "20", "18", "10", "7", "5", "0", "none"))


@dataclass(frozen=True, slots=True)
class Header:
    """``date`` is local time without a zone, as the format has it; None when the file says none."""

    name: str
    company: str
    date: datetime | None


@dataclass(frozen=True, slots=True)
class Category:
    id: str
    name: str
    parent: str = ""  # "" = a root
    pictures: tuple[str, ...] = ()  # absolute URLs


class Param(NamedTuple):
    code: str  # latin; never ``article``, which is a field of its own
    name: str
    value: str


class Unit(NamedTuple):
    code: str  # of ОКЕИ (796), or the CRM's own (pcs)
    name: str
    symbol: str


@dataclass(frozen=True, slots=True)
class OfferEntry:
    """One SKU. Offers of one ``product`` are variants of it; "" means that the offer is the whole product."""

    id: str
    name: str
    price: Decimal | None  # of the base price kind; only a file that lacks it gives None
    categories: tuple[str, ...] = ()  # ids; at least one
    product: str = ""
    quantity: Decimal | None = None  # 0 or more; None = not said
    type: str = ""  # product | service; "" = product
    url: str = ""  # absolute
    pictures: tuple[str, ...] = ()  # absolute URLs, the main one first
    purchase_price: Decimal | None = None
    xml_id: str = ""  # the id in the accounting system
    product_name: str = ""  # "" = the name
    article: str = ""
    params: tuple[Param, ...] = ()
    vendor: str = ""
    unit: Unit | None = None
    weight: Decimal | None = None  # kg
    dimensions: tuple[Decimal, Decimal, Decimal] | None = None  # length, width, height in cm
    vat_rate: str = ""  # one of VAT_RATES
    barcodes: tuple[str, ...] = ()
    product_active: bool | None = None
    active: bool | None = None
    markable: bool | None = None  # needs a mark of «Честный ЗНАК»
