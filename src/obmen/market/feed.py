"""The price list (YML) that a marketplace fetches: the feed of the stream ``catalogue-out``. New cards are made there of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from obmen.core.contract import BadRecord, Books, Choice, Met, NeedsOwner
from obmen.core.matching import own_id
from obmen.core.records import Good, Product
from obmen.core.words import gettext_noop as _
from obmen.formats.findings import Ids
from obmen.formats.yml import validate, writer
from obmen.formats.yml.dialect import Dialect, built_in
from obmen.formats.yml.model import AVAILABLE, Category, Currency, Header, OfferEntry, Param
from obmen.formats.yml.pieces import DATED, TAIL
from obmen.formats.yml.reader import TEXTS
from obmen.market.api import Market
from obmen.market.attributes import Words, told
from obmen.market.goods import check_books, name_of, price_of, quantity_of
from obmen.market.goods_settings import ALL, CHARACTERISTICS, LEFT_OUT
from obmen.market.settings import MarketSettings
from obmen.market.streams import CATALOGUE_OUT

FIELDS = TEXTS - {
    "currency",
    "category",
    "group",
}  # of an offer, that the table of attributes may fill in; anything else is a param

PLACES = {name: place for place, name in enumerate(OfferEntry._fields)}

NOTHING = _(
    "None of the goods can stand in the price list, {count} were left out: see the warnings of this run. The old list stays"
)
NO_PRICE_KIND = _("A price list needs prices: choose the price kind on the tab “Products”")
NO_DIALECT = _("No dialect of YML is called “{dialect}”; there are {known}")
NO_OWN_ID = _("“{name}” has no {what}: it is not in the price list. Fill it in on the card, or choose another id of goods")
NO_PRICE = _("“{name}” has no price of the chosen kind: it is not in the price list")
TOO_MUCH_VANISHES = _(
    "The new price list lacks {count} of {total} goods of the one before ({share} %, allowed are {limit} %), such as {examples}. "
    "The old one stays. If that is right, raise the limit on the tab “Products”"
)


class PriceList:
    stream = CATALOGUE_OUT
    name = "goods.xml"
    dated, tail = DATED, TAIL.encode()

    def __init__(self, market: Market, dialect: str | Dialect) -> None:
        self.market, self.s, self.hub = market, market.s, market.hub
        self.path = self.s.feed_path.strip()
        if isinstance(dialect, str) and dialect not in built_in():
            raise NeedsOwner(NO_DIALECT, dialect=dialect, known=", ".join(built_in()))
        self.dialect = built_in()[dialect] if isinstance(dialect, str) else dialect
        self.currency = self.s.currency.strip().upper()

    @property
    def choice(self) -> Choice:
        kinds = tuple(filter(None, (self.s.price_kind, self.s.old_price_kind)))
        houses = self.s.houses if self.s.send_stock else ()
        return self.s.choice(price_kinds=kinds, warehouses=houses, reserved=True)  # type: ignore[no-any-return]

    def write(self, file: BinaryIO, books: Books, now: datetime) -> Mapping[str, int]:
        """Counts: ``categories`` and ``offers`` that were written, ``left_out``, each of which is told by its name, and ``sold_out``,
        which the settings leave out. Raises NeedsOwner."""
        counts = self.part(file, books, now, Ids())
        self.whole(counts)
        return counts

    def whole(self, counts: Mapping[str, int]) -> None:
        if not counts["offers"]:
            raise NeedsOwner(NOTHING, count=counts["left_out"] + counts["sold_out"])

    def part(self, file: BinaryIO, books: Books, now: datetime, met: Met) -> Mapping[str, int]:
        s = self.s
        if not s.price_kind:
            raise NeedsOwner(NO_PRICE_KIND)
        check_books(self.market)
        counts = {"left_out": 0, "sold_out": 0}

        def refused(_what: object, error: BadRecord) -> None:
            counts["left_out"] += 1
            self.hub.report("warning", error.text, **error.facts)

        groups = list(books.groups(s.groups))
        words = Words(books.properties(), {g.key: g.name for g in groups})
        params = _Params(words, s)
        categories = [Category(g.key, g.name, g.parent or "", s.category_ids.get(g.key, "")) for g in groups]

        def offers() -> Iterator[OfferEntry]:
            for good in books.goods(self.choice):
                try:
                    entry = self.entry(good, words, params)
                except BadRecord as error:
                    refused(good, error)
                    continue
                if entry.presence == LEFT_OUT:
                    counts["sold_out"] += 1
                else:
                    yield entry

        shop = s.shop_name.strip() or self.hub.name
        local = now.astimezone(self.hub.zone).replace(tzinfo=None)
        header = Header(shop, s.company.strip() or shop, local, s.shop_url.strip())
        currency = Currency(self.currency)
        done = writer.write(file, self.dialect, header, categories, offers(), refused, (currency,), met)
        return {"categories": done.categories, "offers": done.offers, **counts}

    def entry(self, good: Good, words: Words, params: _Params) -> OfferEntry:
        """One offer of the file; its ``presence`` is LEFT_OUT where the settings leave out what is sold out. Raises BadRecord."""
        s, p, o = self.s, good.product, good.offer
        ident = own_id(s.offer_id, o.key, p.code or "", o.article or p.article or "")
        if not ident:
            raise BadRecord(NO_OWN_ID, name=name_of(good), what=s.offer_id)
        price, old = price_of(good, s)
        if price is None:
            raise BadRecord(NO_PRICE, name=name_of(good))
        quantity = quantity_of(good, self.market)
        group = (p.groups or ("",))[0]
        mapped = told(s.rows, good, words)
        entry = OfferEntry(
            id=ident,
            name=_title(good),
            price=price,
            category=group,
            presence=AVAILABLE if quantity is None or quantity > 0 else s.sold_out,
            group=p.key if "#" in o.key else "",
            old_price=old,
            currency=self.currency,
            portal_category=s.category_ids.get(group, ""),
            pictures=tuple(filter(None, map(self._picture, o.pictures or p.pictures or ()))),
            vendor=p.manufacturer or "",
            article=o.article or p.article or "",
            country=p.country or "",
            description=p.description or "",
            quantity=quantity,
            barcode=o.barcode or p.barcode or "",
            params=params.of(good, mapped),
        )
        return _with(entry, [(PLACES[name], value) for name, value in mapped.items() if name in FIELDS])

    def _picture(self, path: str) -> str:
        if path.startswith(("https://", "http://")):
            return path
        base = self.s.images_url.strip().rstrip("/")
        return f"{base}/{quote(path.lstrip('/'))}" if base else ""

    def allow(self, previous: Path, current: Path) -> None:
        found = validate.vanished(previous, current)
        if found.count * 100 > self.s.may_vanish * found.total:
            raise NeedsOwner(
                TOO_MUCH_VANISHES,
                count=found.count,
                total=found.total,
                share=f"{found.share:.1f}",
                limit=self.s.may_vanish,
                examples=", ".join(found.examples),
            )


class _Params:
    """The params of goods, each name once: what the table of attributes says counts before the characteristics, these before the
    properties. One for a whole run: goods share most of what they say of themselves."""

    def __init__(self, words: Words, settings: MarketSettings) -> None:
        self._words, self._hidden = words, settings.site_id.strip()
        self._characteristics = settings.feed_params in (ALL, CHARACTERISTICS)
        self._properties = settings.feed_params == ALL
        self._made = lru_cache(10_000)(self._of_property)
        self._product: Product | None = None
        self._shared: Mapping[str, Param | None] = {}

    def of(self, good: Good, mapped: Mapping[str, str]) -> tuple[Param, ...]:
        found: dict[str, Param | None] = {}
        if self._characteristics:
            for name, value in good.offer.characteristics or ():
                found[name.strip()] = _param(name.strip(), value.strip())
        if self._properties:
            self._add_properties(found, good)
        for name, value in mapped.items():
            if name not in FIELDS:
                found[name] = _param(name, value)
        return tuple(filter(None, found.values()))

    def _add_properties(self, found: dict[str, Param | None], good: Good) -> None:
        """The variant's own before its product's. Variants stand one after the other: what they share is made once."""
        if good.offer.properties:
            for name, param in self._named(good.offer.properties).items():
                found.setdefault(name, param)
        if good.product is not self._product:
            self._product, self._shared = good.product, self._named(good.product.properties or ())
        if found.keys().isdisjoint(self._shared):
            found.update(self._shared)
        else:
            for name, param in self._shared.items():
                found.setdefault(name, param)

    def _named(self, properties: Sequence[tuple[str, tuple[str, ...]]]) -> dict[str, Param | None]:
        """By name; of two that are called alike the first counts."""
        found: dict[str, Param | None] = {}
        for said in properties:
            named = self._made(said)
            if named is not None and named[0] not in found:
                found[named[0]] = named[1]
        return found

    def _of_property(self, said: tuple[str, tuple[str, ...]]) -> tuple[str, Param | None] | None:
        """(name, param); None when it says nothing or is the one that is not shown."""
        key, name, value = self._words.property(said)
        if not value or self._hidden in (key, name):
            return None
        return name, _param(name, value)


def _param(name: str, value: str) -> Param | None:
    return Param(name, value) if name and value else None


def _with(entry: OfferEntry, fields: Sequence[tuple[int, str]]) -> OfferEntry:
    """The entry with other values in those places: NamedTuple's own way takes three times as long."""
    if not fields:
        return entry
    values = list(entry)
    for place, value in fields:
        values[place] = value
    return OfferEntry._make(values)


def _title(good: Good) -> str:
    """The name; a variant that is called like its product also says its characteristic: names have to differ."""
    name = name_of(good)
    values = [value for _name, value in good.offer.characteristics or () if value]
    return ", ".join([name, *values]) if values and name == (good.product.name or name) else name
