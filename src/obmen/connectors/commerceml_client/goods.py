"""Goods out, as 1C:UT sends them: cards (import…xml) and offers with prices and stock (offers…xml), portion by portion.

Each portion is a file and a conversation of its own, and is settled when the shop has imported it: a broken exchange goes on at the
portion where it broke. Where the whole catalogue is sent, every file says so (СодержитТолькоИзменения=false), and a shop that deletes
what such a file does not hold gets one file with everything: 1C's own way, whole in the first portion and changes in the others,
makes it delete the rest (facts §4.2).
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import uuid
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

from obmen.connectors.commerceml_client.api import CATALOG, Node, Upload, anew
from obmen.connectors.commerceml_client.settings import FLATTEN, FULL, LEAVE_OUT, OFFERS_OUT, PRODUCTS_OUT, ClientSettings
from obmen.core.contract import BadRecord, Change, Choice, Hub, Links, NeedsOwner, Outcome, TryLater
from obmen.core.engine import missing, name_of
from obmen.core.records import (
    Counterparty,
    Good,
    Kind,
    Offer,
    Price,
    Product,
    Reference,
    Stock,
    Subject,
    decimal_text,
    digest,
    is_service,
    less_reserved,
)
from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml import writer
from obmen.formats.commerceml.dialects import DIALECTS, Dialect

CARDS, CARDS_WAIT = (
    "cards",
    timedelta(days=1),
)  # a note: since when cards wait to get through; who has switched them off is not held up
LULL = timedelta(minutes=10)  # portions of one load follow each other sooner than this, also over two runs
COMPARED = 500  # goods of a whole load that are held at once: what goes is read anew, portion by portion
ZERO = Decimal(0)
SAFE = re.compile(r"[\w.\-()#/ ]{1,200}\Z")
Json = dict[str, Any]

VARIANTS = _("“{name}” has variants, which this shop does not take: it is left out. Choose “as one product” to send it")
NO_PRICES = _("No price kind is chosen: goods go without prices. Tick what is sent on the tab “Prices”")
DIFFERENT_PRICES = _(
    "“{name}” has variants with different prices ({low}–{high}) and no price of its own, so that it cannot be one product: give it a "
    "price of its own"
)
TOO_MANY_VANISH = _(
    "{count} of the {total} goods that the shop knows from here would vanish there ({share} %, allowed are {limit} %). Nothing was sent. "
    "If that is right, raise the limit on the tab “Goods”"
)
NO_KIND = _("There is no price kind “{key}” in the books: correct the price kinds on the tab “Prices”")
NO_HOUSE = _("There is no warehouse “{key}” in the books: correct the warehouses on the tab “Stock”")
TOO_EARLY = _("The shop takes goods every {interval} minutes: the next load begins in {minutes} min")
ROOT_GROUP = _("Only some groups are sent: enter {id} ({name}) as the id of the root category in the shop's settings")
OVERWRITES = _(
    "Pictures go along: those that were uploaded in the shop itself are overwritten. Switch them off on the tab “Goods” to keep them"
)
CARDS_FIRST = _(
    "The cards of goods have not got through yet: prices and stock follow when they have, or the shop would drop those of new goods"
)
CHANGED_AGAIN = _("“{name}” changed while the catalogue was sent: it goes with the next exchange")


@dataclass
class Load:
    """What both streams of one run share: the moment, the heads, and whether goods may be sent now."""

    node: Node
    s: ClientSettings
    hub: Hub
    _begun: bool = False

    @cached_property
    def created(self) -> datetime:
        """ДатаФормирования: one for all portions of a run, local time, as from 1C:UT (facts §2.1)."""
        return self.hub.now().astimezone(self.hub.zone).replace(tzinfo=None, microsecond=0)

    @cached_property
    def dialect(self) -> Dialect:
        return DIALECTS[self.s.dialect]

    @cached_property
    def head(self) -> writer.Catalogue:
        key = self.s.catalogue_id.strip() or self.hub.recall("catalogue")
        if not key:
            key = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.s.url} {self.hub.name}"))
            self.hub.remember("catalogue", key)
        owners = self.hub.books.references(Subject.ORGANISATION) if self.s.owner else ()
        named = next((Counterparty(o.key, o.name, "company", o.name) for o in owners if o.key == self.s.owner), None)
        return writer.Catalogue(key, self.s.catalogue_name or key, owner=named)

    # --- how often (GM-11) ---

    def admit(self, stream: str) -> None:
        """Before the first portion of a stream. Goes on with a load that broke off a moment ago. Raises TryLater."""
        now, load = self.hub.now(), self.hub.recall("load") or {}
        same = bool(load) and now - datetime.fromisoformat(load["last"]) <= LULL and stream not in load["done"]
        if not same:
            free = datetime.fromisoformat(load["began"]) + timedelta(minutes=self.s.interval) if load else now
            if free > now and self.s.interval:
                minutes = -(-int((free - now).total_seconds()) // 60)
                early = TryLater(TOO_EARLY, interval=self.s.interval, minutes=minutes)
                early.after = free - now
                raise early
            load = {"began": now.isoformat(), "last": now.isoformat(), "done": [], "number": 0}
        self.hub.remember("load", load)

    def number(self) -> int:
        """Of the next portion: no name comes twice in one load, so that a resumed one is not taken for another."""
        load = dict(self.hub.recall("load"), last=self.hub.now().isoformat())
        load["number"] += 1
        self.hub.remember("load", load)
        return int(load["number"])

    def done(self, stream: str) -> None:
        load = dict(self.hub.recall("load"), last=self.hub.now().isoformat())
        load["done"] = [*load["done"], stream]
        self.hub.remember("load", load)


class Whole:
    """What a whole catalogue that was sent held: beginnings of the digests of its goods, eight bytes for each."""

    def __init__(self) -> None:
        self._digests = array("Q")

    def note(self, payload: Json) -> None:
        self._digests.append(_mark(payload))

    def close(self) -> None:
        self._digests = array("Q", sorted(self._digests))

    def holds(self, payload: Json) -> bool:
        mark = _mark(payload)
        at = bisect_left(self._digests, mark)
        return at < len(self._digests) and self._digests[at] == mark


def _mark(payload: Json) -> int:
    return int.from_bytes(digest(payload)[:8])


class _Goods(ABC):
    """What cards and offers have in common. A good's payload: {"id", "name", "xml", "pictures": [[name there, our path, digest]]}."""

    stream: str
    kind: Kind
    prefix: str  # of the file's name; shops tell import and offers apart by it
    choice: Choice
    creates = False
    compares = False
    overlaps = False

    def __init__(self, node: Node, load: Load) -> None:
        self.node, self.load, self.s, self.hub = node, load, load.s, load.hub
        self.batch = COMPARED if self._full else self.s.portion
        self._admitted = False
        self._whole: Whole | None = None

    # --- what is told ---

    def external_id(self, record: Any) -> str | None:
        return str(record.product.key if self.choice.products else record.offer.key)

    def render(self, record_id: int, record: Any, links: Links) -> Json | None:
        good: Good = record
        gone = bool(good.product.deleted or good.offer.deleted)
        if gone and self.s.deletion == "ignore" and not self.sweeps:
            return None
        xml = self.farewell(good) if gone else self.spell(good)
        if xml is None:
            return None
        payload: Json = {"id": self.external_id(good), "xml": xml}
        if gone:
            return {**payload, "gone": True}
        if self.s.pictures == "on" and good.pictures:
            wanted = self.pictures(good) or ()
            kept = [[posted(path, sha), path, sha] for path, sha in good.pictures if path in wanted]
            payload |= {"pictures": kept} if kept else {}
        return payload

    @abstractmethod
    def spell(self, good: Good) -> str | None:
        """The good's XML; None when the settings leave it out. Raises BadRecord."""

    @abstractmethod
    def farewell(self, good: Good) -> str:
        """The XML that says it is gone."""

    @abstractmethod
    def pictures(self, good: Good) -> Sequence[str] | None: ...
    @abstractmethod
    def document(self, goods: Iterable[str], created: datetime, only_changes: bool, first: bool) -> Iterator[bytes]: ...

    def shown(self, good: Good, listed: Sequence[str] | None) -> tuple[str, ...] | None:
        """Картинка of those that are kept here; None, not said, without pictures: then the shop keeps what it has."""
        if self.s.pictures != "on" or not listed:
            return None
        names = tuple(posted(path, sha) for path, sha in good.pictures if path in listed)
        return names or None

    # --- before, in between, afterwards ---

    @property
    def _full(self) -> bool:
        """Goods that a person picked go as changes, whatever the mode: a whole catalogue of them would take back all the others."""
        return self.s.mode == FULL and not self.hub.picked

    @property
    def sweeps(self) -> bool:
        """Whether the shop takes back by itself what our files do not hold."""
        return self._full and self.node.kind.limits.absence == "sweep"

    def begin(self, told: int, gone: int) -> None:
        if self.s.deletion == "ignore" and not self.sweeps:
            return
        if gone * 100 > self.s.may_vanish * told:
            raise NeedsOwner(TOO_MANY_VANISH, count=gone, total=told, share=f"{gone * 100 / told:.1f}", limit=self.s.may_vanish)

    def finish(self) -> None:
        if self._admitted:
            self.load.done(self.stream)

    def write(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        if not self._full:
            self._portion((change.payload for change in changes), only_changes=True)
            for change in changes:
                yield Outcome(change.key, change.payload["id"])
            return
        gone = [change for change in changes if change.payload.get("gone")]
        if gone and not self.sweeps:
            self._portion((change.payload for change in gone), only_changes=True)
        if self._whole is None:
            self._whole = self._send_whole()
        for change in changes:
            if change.payload.get("gone") or self._whole.holds(change.payload):
                yield Outcome(change.key, change.payload["id"])
            else:
                yield Outcome(change.key, error=BadRecord(CHANGED_AGAIN, name=change.payload["id"]))

    # --- sending ---

    def _portion(self, payloads: Iterable[Json], *, only_changes: bool, created: datetime | None = None) -> None:
        if not self._admitted:
            self.load.admit(self.stream)
        first, self._admitted = not self._admitted, True
        name = f"{self.prefix}0_{self.load.number()}.xml"
        if self.node.kind.limits.joins_files:
            name = anew(name, f"{self.hub.now():%y%m%d%H%M%S%f}")
        pictures: dict[str, str] = {}

        def fragments() -> Iterator[str]:
            for payload in payloads:
                pictures.update((there, path) for there, path, _sha in payload.get("pictures", ()))
                yield payload["xml"]

        with tempfile.TemporaryDirectory(prefix="obmen-goods-") as folder:
            file = Path(folder) / name
            with file.open("wb") as out:
                writer.save(out, self.document(fragments(), created or self.load.created, only_changes, first))
            found = ((there, self.hub.books.picture(path, Path(folder))) for there, path in pictures.items())
            uploads = [Upload(there, path, imported=False) for there, path in found if path is not None]
            if uploads and self.node.kind.limits.pictures_warning:
                self.hub.report("warning", OVERWRITES)
            self.node.send(CATALOG, [Upload(name, file), *uploads])
        self.sent_head()

    def sent_head(self) -> None:  # noqa: B027 - offers have no head of their own
        """The first portion, with the head of the catalogue, has been imported."""

    def _send_whole(self) -> Whole:
        """Every good of the choice. In one file where the shop takes back what a file does not hold; else in portions, of which those
        that a broken load has brought there already are passed over."""
        whole = Whole()
        if self.sweeps:
            self._portion(self._every(whole), only_changes=False)
            whole.close()
            return whole
        note = self.hub.recall(f"whole-{self.stream}") or {}
        created = datetime.fromisoformat(note["created"]) if note else self.load.created
        sent: list[str] = list(note.get("sent", ()))
        for portion in _portions(self._every(whole), self.s.portion):
            mark = hashlib.blake2b("".join(p["xml"] for p in portion).encode(), digest_size=8).hexdigest()
            if mark not in sent:
                self._portion(portion, only_changes=False, created=created)
                sent.append(mark)
                self.hub.remember(f"whole-{self.stream}", {"created": created.isoformat(), "sent": sent})
        self.hub.remember(f"whole-{self.stream}", {})
        whole.close()
        return whole

    def _every(self, whole: Whole) -> Iterator[Json]:
        for good in self.hub.books.goods(self.choice):
            try:
                payload = self.render(good.record_id, good, NO_LINKS)
            except BadRecord:
                continue  # the engine has set it aside
            if payload is not None:
                whole.note(payload)
                yield payload


class ProductsOut(_Goods):
    """The stream ``products-out``: cards with groups, properties and pictures."""

    stream = PRODUCTS_OUT
    kind = Kind.PRODUCT
    prefix = "import"

    def __init__(self, node: Node, load: Load) -> None:
        super().__init__(node, load)
        self.choice = Choice(self.s.groups, (), (), products=True, pictures=self.s.pictures == "on")

    def begin(self, told: int, gone: int) -> None:
        if not self.hub.preview and not self.hub.picked and not self.hub.recall(CARDS):
            self.hub.remember(CARDS, self.hub.now().isoformat())
        super().begin(told, gone)

    def spell(self, good: Good) -> str | None:
        if good.variants and self.s.variants == LEAVE_OUT:
            self.hub.report("warning", VARIANTS, name=name_of(good))
            return None
        p, parts = good.product, self.s.parts
        names = self.s.requisites
        asked = "requisites" in parts
        requisites = tuple((n, v) for n, v in p.requisites or () if "*" in names or n in names) if asked else None
        card = replace(
            p,
            article=p.article or good.offer.article,
            description=p.description if "description" in parts else None,
            full_name=p.full_name if asked else None,
            properties=p.properties if "properties" in parts and p.properties else None,
            requisites=requisites,
            vat_rate=p.vat_rate if "vat" in parts else None,
            manufacturer=p.manufacturer if "manufacturer" in parts else None,
            country=(p.country or None) if "manufacturer" in parts else None,
            barcode=((p.barcode or good.offer.barcode) if "barcode" in parts else None) or None,
            pictures=self.shown(good, p.pictures),
            characteristics=None,
            code=p.code or None,
            kind=p.kind or None,
            category=p.category or None,
        )
        return writer.product(self.load.dialect, card)

    def farewell(self, good: Good) -> str:
        p = good.product
        return writer.product(self.load.dialect, Product(p.key, name=p.name, article=p.article, deleted=True))

    def pictures(self, good: Good) -> Sequence[str] | None:
        return good.product.pictures

    @cached_property
    def parts(self) -> writer.Parts:
        """The classifier: groups, what properties mean, and price kinds and warehouses where the dialect has them there."""
        properties = self.hub.books.properties() if "properties" in self.s.parts else ()
        return writer.Parts(
            self.hub.books.groups(self.s.groups), properties, price_kinds(self.s, self.hub), warehouses(self.s, self.hub)
        )

    @cached_property
    def _parts_digest(self) -> str:
        parts = self.parts
        return digest([parts.groups, parts.properties, parts.price_kinds, parts.warehouses]).hex()

    def document(self, goods: Iterable[str], created: datetime, only_changes: bool, first: bool) -> Iterator[bytes]:
        """The classifier goes with the first portion of a run, as from 1C:UT: also when it alone has changed."""
        if first and self.node.kind.limits.root_group and self.s.groups:
            for group in self.parts.groups:
                if group.parent is None:
                    self.hub.report("info", ROOT_GROUP, id=group.key, name=group.name)
        return writer.catalogue(
            self.load.dialect,
            self.load.head,
            goods,
            created=created,
            only_changes=only_changes,
            parts=self.parts if first else None,
        )

    def sent_head(self) -> None:
        if self.hub.recall("classifier") != self._parts_digest:
            self.hub.remember("classifier", self._parts_digest)

    def finish(self) -> None:
        """A group that was renamed is news, too. Goods that were picked say nothing of the other cards."""
        if self.hub.picked:
            super().finish()
            return
        known = self.hub.recall("classifier")
        if not self._admitted and known is not None and known != self._parts_digest:
            self._portion((), only_changes=True)
        super().finish()
        self.hub.remember(CARDS, None)


class OffersOut(_Goods):
    """The stream ``offers-out``: variants, prices and stock."""

    stream = OFFERS_OUT
    prefix = "offers"

    def __init__(self, node: Node, load: Load) -> None:
        super().__init__(node, load)
        flat = self.s.variants == FLATTEN
        # One good for a product and one for an offer have ids of different tables, so their links must not be of one kind.
        self.kind = Kind.PRICES if flat else Kind.OFFER
        houses: Sequence[str] | None = (self.s.warehouses or None) if self.s.send_stock else ()
        pictures = self.s.pictures == "on" and not flat
        reserved = self.s.send_stock and self.s.less_reserved
        self.choice = Choice(self.s.groups, self.s.price_kinds, houses, products=flat, pictures=pictures, reserved=reserved)

    def begin(self, told: int, gone: int) -> None:
        """Shops drop offers of goods that they do not know, and nobody would tell them again (facts on shops §2.5). Raises TryLater."""
        since = None if self.hub.preview else self.hub.recall(CARDS)
        if since and self.hub.now() - datetime.fromisoformat(since) < CARDS_WAIT:
            raise TryLater(CARDS_FIRST)
        if not self.s.price_kinds:
            self.hub.report("warning", NO_PRICES)
        super().begin(told, gone)

    @cached_property
    def prices(self) -> Sequence[Reference]:
        return price_kinds(self.s, self.hub)

    @cached_property
    def houses(self) -> Sequence[Reference]:
        return warehouses(self.s, self.hub)

    def spell(self, good: Good) -> str | None:
        p, o = good.product, good.offer
        if "#" in o.key and self.s.variants == LEAVE_OUT:
            self.hub.report("warning", VARIANTS, name=name_of(good))
            return None
        offer = Offer(
            o.key,
            o.product,
            name=o.name or p.name,
            article=o.article or p.article or None,
            barcode=((o.barcode or p.barcode) if "barcode" in self.s.parts else None) or None,
            unit=o.unit or p.unit or None,
            characteristics=o.characteristics or None,
            pictures=self.shown(good, o.pictures) if "#" in o.key else None,
            prices=self.prices_of(good),
            stock=self.stock_of(good),
        )
        return writer.offer(self.load.dialect, offer)

    def prices_of(self, good: Good) -> tuple[Price, ...] | None:
        """In the order of the settings, without empty ones; None when no prices are sent at all."""
        if not self.s.price_kinds:
            return None
        own = good.offer.prices or ()
        if not own and good.variants:
            own = tuple(_common_prices(good))
        place = {kind: at for at, kind in enumerate(self.s.price_kinds)}
        return tuple(sorted((p for p in own if p.value is not None), key=lambda p: (place[p.kind], p.min_quantity)))

    def stock_of(self, good: Good) -> tuple[Stock, ...] | None:
        """None: nothing is said, so that the shop keeps its own figure (law 8)."""
        if not self.s.send_stock or is_service(good.product):
            return None
        sums: dict[str, Decimal] = {}
        for offer in (good.offer, *good.variants):
            for level in offer.stock or ():
                sums[level.warehouse] = sums.get(level.warehouse, ZERO) + level.quantity
        if not sums:
            return (Stock("", ZERO),) if self.s.no_stock == "zero" else None
        sums = less_reserved(sums, good.reserved)
        if self.s.stock_mode == "sum":
            return (Stock("", sum(sums.values(), ZERO)),)
        return tuple(Stock(house, quantity) for house, quantity in sorted(sums.items()))

    def farewell(self, good: Good) -> str:
        gone = Offer(str(self.external_id(good)), good.product.key, name=good.offer.name, deleted=True)
        return writer.offer(self.load.dialect, gone)

    def pictures(self, good: Good) -> Sequence[str] | None:
        return good.offer.pictures if "#" in good.offer.key else None

    def document(self, goods: Iterable[str], created: datetime, only_changes: bool, first: bool) -> Iterator[bytes]:
        return writer.offers(
            self.load.dialect,
            self.load.head,
            goods,
            created=created,
            only_changes=only_changes,
            price_kinds=self.prices,
            warehouses=self.houses,
        )


# --- pure ------------------------------------------------------------------------------------------------------------------


class _NoLinks:
    """For rendering what is not compared: a shop of which nothing is known."""

    def record_id(self, kind: Kind, external_id: str) -> int:
        raise missing(kind, external_id)

    def external_id(self, kind: Kind, record: int | str) -> str:
        raise missing(kind, str(record))

    def their_copy(self, kind: Kind, record_id: int) -> Any:
        return None

    def confirmed(self, kind: Kind, record_id: int) -> str:
        return ""

    def asked_again(self, kind: Kind, record_id: int) -> bool:
        return False


NO_LINKS = _NoLinks()


def price_kinds(s: ClientSettings, hub: Hub) -> Sequence[Reference]:
    """The chosen ones in their order, called as the shop calls them. Raises NeedsOwner for one that is not in the books."""
    return [
        replace(kind, name=s.price_names.get(kind.key, kind.name))
        for kind in _chosen(s.price_kinds, hub.books.references(Subject.PRICE_KIND), NO_KIND)
    ]


def warehouses(s: ClientSettings, hub: Hub) -> Sequence[Reference]:
    """Those whose quantities stand by warehouse; none where the sum is sent. Raises NeedsOwner as ``price_kinds``."""
    if not s.send_stock:
        return ()
    known = hub.books.references(Subject.WAREHOUSE)
    chosen = _chosen(s.warehouses, known, NO_HOUSE) if s.warehouses else known
    return chosen if s.stock_mode == "each" else ()


def _chosen(keys: Sequence[str], known: Sequence[Reference], missing: str) -> list[Reference]:
    by_key: Mapping[str, Reference] = {reference.key: reference for reference in known}
    for key in keys:
        if key not in by_key:
            raise NeedsOwner(missing, key=key)
    return [by_key[key] for key in keys]


def _common_prices(good: Good) -> Iterator[Price]:
    """The prices that all variants share. Raises BadRecord where they differ: a price is not guessed (law 8)."""
    found: dict[tuple[str, Decimal], list[Price]] = {}
    for offer in good.variants:
        for price in offer.prices or ():
            if price.value is not None:
                found.setdefault((price.kind, price.min_quantity), []).append(price)
    for prices in found.values():
        values = [price.value for price in prices if price.value is not None]
        if min(values) != max(values):
            low, high = decimal_text(min(values)), decimal_text(max(values))
            raise BadRecord(DIFFERENT_PRICES, name=name_of(good), low=low, high=high)
        yield prices[0]


def posted(path: str, sha256: str) -> str:
    """How the picture is called over there: its own path where that is a plain relative one, else one made of its digest."""
    parts = path.split("/")
    if SAFE.match(path) and path[0] != "/" and not any(part in ("", ".", "..") for part in parts):
        return path
    ending = path.rpartition(".")[2].lower()
    return f"import_files/{sha256[:2]}/{sha256}.{ending if ending.isascii() and ending.isalnum() else 'jpg'}"


def _portions(payloads: Iterator[Json], size: int) -> Iterator[list[Json]]:
    portion: list[Json] = []
    for payload in payloads:
        portion.append(payload)
        if len(portion) == size:
            yield portion
            portion = []
    if portion:
        yield portion
