"""Stock, prices and the catalogue: what the CRM is told of goods."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from obmen.connectors.retailcrm.api import Crm, Json, Refused, listed
from obmen.connectors.retailcrm.convert import number
from obmen.connectors.retailcrm.settings import CATALOGUE_OUT, PRICES_OUT, STOCK_OUT, CrmSettings
from obmen.core.contract import BadRecord, Books, Change, Choice, Hub, Links, Met, NeedsOwner, Outcome
from obmen.core.records import Good, Kind, Product, Subject, decimal_text, is_service, less_reserved
from obmen.core.words import gettext_noop as _
from obmen.formats.findings import Ids
from obmen.formats.icml import writer
from obmen.formats.icml.model import PRODUCT, SERVICE, VAT_RATES, Category, Header, OfferEntry, Param, Unit
from obmen.formats.icml.validate import vanished
from obmen.formats.yml.pieces import DATED, TAIL
from obmen.net.client import to_json

BATCH = 250  # offers in one upload of stock or prices
STORES = 50  # of one offer in one upload; above it the vendor's own modules warn
ZERO = Decimal(0)
MOST = Decimal(999_999)  # the CRM keeps no more of one offer in one store

NO_WAREHOUSES = _("No warehouse is mapped: fill in the table on the tab “Warehouses”")
NO_CODE = _("The warehouse “{name}” has no code of the CRM in the table of warehouses: its stock is not sent")
NO_PRICES = _("No price kind is mapped: fill in the table on the tab “Price types”")
NOT_THERE = _("The CRM does not know “{name}” ({id}): load the catalogue there, or correct its id")
STOCK_REFUSED = _("{reason} In the CRM, Settings → System → Warehouse, reservation and editing of stock have to be on")
PRICES_REFUSED = _("{reason} The price types have to be in the CRM, with the codes of the table on the tab “Price types”")
NO_SELLING_PRICE = _("No selling price is chosen: set it on the tab “Constants”")
TOO_MUCH_VANISHES = _(
    "The new catalogue would switch off {count} of {total} offers in the CRM ({share} %, allowed are {limit} %), such as {examples}. "
    "The old one stays. If that is right, raise the limit on the tab “Catalogue”"
)
NO_ID = _("“{name}” has no {what}: it is not sent. Fill it in on the card")
VARIANTS = _("“{name}” has variants: switch “Use characteristics” on to send them")
SAME_ID = _("“{name}” has the same id as another: {id}. Only the first one is sent. Use other ids, or characteristics")


def identifier(good: Good, s: CrmSettings) -> str:
    """What stands for the good over there, "" when it lacks it."""
    if s.characteristics:
        return good.offer.key
    if s.product_id == "guid":
        return good.product.key
    return (good.product.code if s.product_id == "code" else good.product.article or good.offer.article) or ""


def name_of(good: Good) -> str:
    return good.offer.name or good.product.name or good.key


def price_of(good: Good, kind: str) -> Decimal | None:
    """The ordinary price, not one for a greater quantity."""
    found = (p.value for p in good.offer.prices or () if p.kind == kind and p.value is not None and p.min_quantity <= 1)
    return next(found, None)


class _Upload(ABC):
    """What stock and prices have in common: offers by their id, uploaded 250 at a time. A batch is told whole or not at all."""

    stream: str
    kind: Kind
    batch = BATCH
    creates = False
    compares = False
    overlaps = True

    def __init__(self, crm: Crm) -> None:
        self.crm, self.s, self.hub = crm, crm.s, crm.hub
        self._met: dict[str, int] = {}

    def external_id(self, record: Any) -> str | None:
        return identifier(record, self.s) or None

    def render(self, record_id: int, record: Any, links: Links) -> Json | None:
        """{"id", "name", "rows": JSON texts of which each goes into a call of its own}; None for goods that are not told of.

        Texts, because a hundred thousand of them are compared with what was sent before, and few are sent.
        """
        if is_variant_of_one(record, self.s):
            self.hub.report("warning", VARIANTS, name=name_of(record))
            return None
        said = identifier(record, self.s)
        if not said and self.s.attribute == "article":  # facts K-03: excluded everywhere
            return None
        if not said:
            raise BadRecord(NO_ID, name=name_of(record), what=self.s.product_id)
        rows = self.rows(record)
        if not rows:
            return None
        if self._met.setdefault(said, record_id) != record_id:
            raise BadRecord(SAME_ID, name=name_of(record), id=said)
        return {"id": said, "name": name_of(record), "rows": [to_json({self.s.offer_id: said, **row}) for row in rows]}

    @abstractmethod
    def rows(self, good: Good) -> Sequence[Json]: ...

    def write(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        unknown: set[str] = set()
        for at in range(max(len(change.payload["rows"]) for change in changes)):
            rows = [change.payload["rows"][at] for change in changes if at < len(change.payload["rows"])]
            for row in listed(self.upload(f"[{','.join(rows)}]").get("notFoundOffers")):
                unknown.add(str(row.get(self.s.offer_id) or ""))
        for change in changes:
            said = change.payload["id"]
            if said in unknown:
                yield Outcome(change.key, error=BadRecord(NOT_THERE, name=change.payload["name"], id=said))
            else:
                yield Outcome(change.key, said)

    @abstractmethod
    def upload(self, rows: str) -> Json:
        """Send this JSON list; the CRM's answer. Raises NeedsOwner."""


class StockOut(_Upload):
    """The stream ``stock-out``: free stock of the mapped warehouses, zeros too, and the purchase price."""

    stream = STOCK_OUT
    kind = Kind.STOCK

    @cached_property
    def stores(self) -> Mapping[str, Sequence[str]]:
        """Our warehouse → their stores. Raises NeedsOwner when there is none."""
        return mapped(self.hub, Subject.WAREHOUSE, NO_WAREHOUSES)

    @cached_property
    def choice(self) -> Choice:
        kinds = (self.s.purchase_price,) if self.s.purchase_price else ()
        return Choice(self.s.groups, kinds, tuple(self.stores), cards=False, reserved=self.s.less_reserved)

    def rows(self, good: Good) -> Sequence[Json]:
        if is_service(good.product):
            return ()
        have = less_reserved({stock.warehouse: stock.quantity for stock in good.offer.stock or ()}, good.reserved)
        sums: dict[str, Decimal] = {}
        for warehouse, codes in self.stores.items():
            for code in codes:
                sums[code] = sums.get(code, ZERO) + have.get(warehouse, ZERO)
        price = price_of(good, self.s.purchase_price)
        bought = {} if price is None else {"purchasePrice": decimal_text(price)}
        stores = [
            {"code": code, "available": decimal_text(min(max(count, ZERO), MOST)), **bought} for code, count in sums.items()
        ]
        return [{"stores": stores[at : at + STORES]} for at in range(0, len(stores), STORES)]

    def upload(self, rows: str) -> Json:
        try:
            return self.crm.post("/api/v5/store/inventories/upload", safe=True, site=self.crm.site, offers=rows)
        except Refused as error:
            raise NeedsOwner(STOCK_REFUSED, reason=error.reason) from error


class PricesOut(_Upload):
    """The stream ``prices-out``: prices of the mapped kinds."""

    stream = PRICES_OUT
    kind = Kind.PRICES

    @cached_property
    def types(self) -> Mapping[str, Sequence[str]]:
        return mapped(self.hub, Subject.PRICE_KIND, NO_PRICES)

    @cached_property
    def choice(self) -> Choice:
        return Choice(self.s.groups, tuple(self.types), (), cards=False)

    def rows(self, good: Good) -> Sequence[Json]:
        prices = [
            {"code": code, "price": decimal_text(price)}
            for kind, codes in self.types.items()
            if (price := price_of(good, kind)) is not None
            for code in codes
        ]
        site = {"site": self.crm.site} if self.crm.site else {}
        return [{**site, "prices": prices}] if prices else ()

    def upload(self, rows: str) -> Json:
        try:
            return self.crm.post("/api/v5/store/prices/upload", safe=True, prices=rows)
        except Refused as error:
            raise NeedsOwner(PRICES_REFUSED, reason=error.reason) from error


def mapped(hub: Hub, subject: Subject, empty: str) -> Mapping[str, Sequence[str]]:
    """Our value → theirs, by the table of the page. Raises NeedsOwner with ``empty``."""
    found: dict[str, list[str]] = {}
    for row in hub.rows(subject, "out"):
        if not row.ours or not row.taken:
            continue
        if not row.theirs:
            hub.report("warning", NO_CODE, name=row.ours)
            continue
        found.setdefault(row.ours, []).append(row.theirs)
    if not found:
        raise NeedsOwner(empty)
    return found


def is_variant_of_one(good: Good, s: CrmSettings) -> bool:
    """A variant while characteristics are off: it would stand under the id of its product, and so would the others."""
    return not s.characteristics and "#" in good.offer.key


# --- the catalogue ---------------------------------------------------------------------------------------------------------


class CatalogueOut:
    """The stream ``catalogue-out``: an ICML file of the chosen groups. Needs no call to the CRM."""

    stream = CATALOGUE_OUT
    name = "icml.xml"
    dated, tail = DATED, TAIL.encode()

    def __init__(self, s: CrmSettings, hub: Hub) -> None:
        self.s, self.hub = s, hub
        self.path = s.catalogue_path.strip()

    @property
    def choice(self) -> Choice:
        stores = tuple(row.ours for row in self.hub.rows(Subject.WAREHOUSE, "out") if row.ours and row.taken)
        kinds = tuple(filter(None, (self.s.selling_price, self.s.purchase_price)))
        return Choice(self.s.groups, kinds, stores or None, reserved=self.s.less_reserved)

    def write(self, file: BinaryIO, books: Books, now: datetime) -> Mapping[str, int]:
        return self.part(file, books, now, Ids())

    def whole(self, counts: Mapping[str, int]) -> None:
        """An empty catalogue switches nothing on; what it would switch off is looked at by ``allow``."""

    def part(self, file: BinaryIO, books: Books, now: datetime, met: Met) -> Mapping[str, int]:
        if not self.s.selling_price:
            raise NeedsOwner(NO_SELLING_PRICE)
        counts = {"left_out": 0}

        def refused(_what: object, error: BadRecord) -> None:
            counts["left_out"] += 1
            self.hub.report("warning", error.text, **error.facts)

        def offers() -> Iterator[OfferEntry]:
            for good in books.goods(self.choice):
                said = identifier(good, self.s)
                problem = self._problem(good, said, met)
                if problem is None:
                    met.add(f"id\0{said}")
                    yield self._entry(good, said)
                else:
                    refused(good, problem)

        title = self.s.shop_name.strip() or self.s.site.strip() or self.hub.name
        header = Header(title, title, now.astimezone(self.hub.zone).replace(tzinfo=None))
        groups = [Category(g.key, g.name, g.parent or "") for g in books.groups(self.s.groups)]
        done = writer.write(file, header, groups, offers(), refused)
        return {"categories": done.categories, "offers": done.offers, **counts}

    def _problem(self, good: Good, said: str, met: Met) -> BadRecord | None:
        if is_variant_of_one(good, self.s):
            return BadRecord(VARIANTS, name=name_of(good))
        if not said:
            return BadRecord(NO_ID, name=name_of(good), what=self.s.product_id)
        return BadRecord(SAME_ID, name=name_of(good), id=said) if f"id\0{said}" in met else None

    def _entry(self, good: Good, said: str) -> OfferEntry:
        p, o = good.product, good.offer
        name = p.name or o.name or ""
        values = [value for _name, value in o.characteristics or () if value]
        service = is_service(p)
        have = {level.warehouse: level.quantity for level in o.stock or ()}
        stock = sum(less_reserved(have, good.reserved).values(), ZERO)
        markable = self._property(good, self.s.markable_property)
        return OfferEntry(
            id=said,
            name=", ".join([name, *values]) if self.s.characteristics else name,
            price=price_of(good, self.s.selling_price),
            categories=p.groups or (),
            product=p.key if self.s.characteristics else said,
            quantity=None if service else stock,
            type=SERVICE if service else PRODUCT,
            url=self._property(good, self.s.url_property),
            pictures=tuple(filter(None, map(self._picture, o.pictures or p.pictures or ()))),
            purchase_price=price_of(good, self.s.purchase_price),
            xml_id=said,
            product_name=p.full_name or name,
            article=p.article or o.article or "",
            params=tuple(Param(latin(title), title, value) for title, value in o.characteristics or () if latin(title)),
            vendor=p.manufacturer or "",
            unit=_unit(p),
            weight=p.weight,
            dimensions=self._dimensions(good),
            vat_rate=p.vat_rate if p.vat_rate in VAT_RATES else "",
            barcodes=tuple(filter(None, (o.barcode or p.barcode,))),
            markable=None if not markable else markable.strip().lower() in YES,
        )

    def _property(self, good: Good, key: str) -> str:
        """A property or requisite of the goods, the variant's own before its product's."""
        if not key:
            return ""
        for owner in (good.offer, good.product):
            for name, values in owner.properties or ():
                if name == key and values:
                    return values[0]
            for name, value in owner.requisites or ():
                if name == key and value:
                    return value
        return ""

    def _picture(self, path: str) -> str:
        if path.startswith(("https://", "http://")):
            return path
        base = self.s.images_url.strip().rstrip("/")
        return f"{base}/{quote(path.lstrip('/'))}" if base else ""

    def _dimensions(self, good: Good) -> tuple[Decimal, Decimal, Decimal] | None:
        """Length, width and height in cm; None unless all three are numbers above 0."""
        if len(self.s.dimensions) != 3:
            return None
        sides = [number(self._property(good, name).replace(",", ".")) * CM[self.s.dimension_unit] for name in self.s.dimensions]
        return (sides[0], sides[1], sides[2]) if all(side > 0 for side in sides) else None

    def allow(self, previous: Path, current: Path) -> None:
        found = vanished(previous, current)
        if found.count * 100 > self.s.may_vanish * found.total:
            raise NeedsOwner(
                TOO_MUCH_VANISHES,
                count=found.count,
                total=found.total,
                share=f"{found.share:.1f}",
                limit=self.s.may_vanish,
                examples=", ".join(found.examples),
            )


CM = {"m": Decimal(100), "cm": Decimal(1), "mm": Decimal("0.1")}
YES = frozenset({"true", "1", "y", "yes", "да", "так"})


def _unit(product: Product) -> Unit | None:
    about = dict(product.unit_attributes or ())
    if not about and not product.unit:
        return None
    symbol = about.get("short_name") or about.get("name") or product.unit or ""
    return Unit(about.get("code") or "", about.get("full_name") or symbol, symbol)


LETTERS = (
    "а=a б=b в=v г=g ґ=g д=d е=e є=ie ё=e ж=zh з=z и=i і=i ї=i й=j к=k л=l м=m н=n о=o п=p р=r с=s т=t у=u ф=f х=kh ц=c ч=ch ш=sh "
    "щ=sch ъ= ы=y ь= э=e ю=yu я=ya"
)
LATIN = str.maketrans({letter: spelt for letter, _sign, spelt in (pair.partition("=") for pair in LETTERS.split())})


def latin(title: str) -> str:
    """The code of a property from its name: «Размер (EU)» → ``razmer_eu``."""
    spelt = title.lower().translate(LATIN)
    return "_".join(filter(None, re.split(r"[^a-z0-9]+", spelt)))
