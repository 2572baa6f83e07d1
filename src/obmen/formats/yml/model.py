"""What a YML feed says, in every dialect. "", () and None are *not said*."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

AVAILABLE, NOT_AVAILABLE, ON_ORDER = "available", "not_available", "order"
RETAIL, WHOLESALE, UNIVERSAL, SERVICE = "r", "w", "u", "s"
SELLING_TYPES = (RETAIL, WHOLESALE, UNIVERSAL, SERVICE)


@dataclass(frozen=True, slots=True)
class Header:
    """``date`` is local time without a zone and seconds, as the format has it; None when the file says none."""

    name: str
    company: str
    date: datetime | None
    url: str = ""


class Currency(NamedTuple):
    id: str  # ISO 4217
    rate: str = "1"  # a number, or the name of a bank


@dataclass(frozen=True, slots=True)
class Category:
    id: str
    name: str
    parent: str = ""  # "" = a root
    portal: str = ""  # the marketplace's own id of the category


class Param(NamedTuple):
    name: str
    value: str  # in the feed's main language
    unit: str = ""
    value_ua: str = ""
    id: str = ""  # of the characteristic, at the marketplace
    value_id: str = ""


class PriceFrom(NamedTuple):
    """The price of each of ``quantity`` pieces and more."""

    value: Decimal
    quantity: Decimal


class OfferEntry(NamedTuple):
    """One thing on sale. Fields with ``_ua`` are in Ukrainian, those without in the feed's main language.

    A tuple, as the records that there are millions of: it is made and changed several times faster than a dataclass.
    """

    id: str
    name: str
    price: Decimal | None = None
    category: str = ""
    presence: str = ""  # AVAILABLE, NOT_AVAILABLE, ON_ORDER
    group: str = ""  # the same for all variants of one product
    selling_type: str = ""  # one of SELLING_TYPES
    url: str = ""  # absolute
    old_price: Decimal | None = None
    promo_price: Decimal | None = None
    discount: str = ""  # an amount, or per cent with %
    currency: str = ""  # ISO 4217
    portal_category: str = ""  # the marketplace's own id of the category
    pictures: tuple[str, ...] = ()  # absolute URLs, the main one first
    vendor: str = ""
    article: str = ""
    country: str = ""
    name_ua: str = ""
    description: str = ""  # HTML
    description_ua: str = ""
    keywords: str = ""  # with commas between
    keywords_ua: str = ""
    quantity: Decimal | None = None  # in stock
    barcode: str = ""
    mpn: str = ""  # the manufacturer's part number
    state: str = ""  # new, used, refurbished …
    docket: str = ""  # a short description
    docket_ua: str = ""
    dimensions: tuple[Decimal, Decimal, Decimal] | None = None  # length, width, height in cm
    prices: tuple[PriceFrom, ...] = ()
    params: tuple[Param, ...] = ()
