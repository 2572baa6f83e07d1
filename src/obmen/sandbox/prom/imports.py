"""Goods from a file: taken at once, looked into for minutes, applied at the end (facts on marketplaces §2.6)."""

from __future__ import annotations

import secrets
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from obmen.sandbox.prom.state import BY_ITSELF, IMPORTABLE, MISSING, ROOT, SELLING, Product
from obmen.sandbox.yml import Offer, PriceList, Unreadable, read

if TYPE_CHECKING:
    from obmen.sandbox.prom.account import Prom

Json = dict[str, Any]
LONGEST_NAME, PICTURES = 130, 10  # §2.6
COUNTERS = (
    "not_changed", "updated", "not_in_file", "imported", "created", "actualized", "created_active", "created_hidden", "total",
    "with_errors_count",
)  # fmt: skip


class Refused(Exception):
    """Nothing was started; the text is the message."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is sent beside the file. §2.6: only price and presence of known goods change, unless more is named AND forced."""

    force_update: bool = False
    only_available: bool = False
    missing: str = "none"
    fields: tuple[str, ...] = BY_ITSELF

    @classmethod
    def of(cls, data: Json) -> Terms:
        """Raises Refused."""
        fields, missing = data.get("updated_fields"), data.get("mark_missing_product_as") or "none"
        if fields is None:
            fields = BY_ITSELF
        if not isinstance(fields, list | tuple) or set(fields) - set(IMPORTABLE):
            raise Refused("updated_fields: невідоме поле")
        if missing not in MISSING:
            raise Refused("mark_missing_product_as: невідоме значення")
        return cls(bool(data.get("force_update")), bool(data.get("only_available")), missing, tuple(fields))

    def touches(self, name: str) -> bool:
        return name in self.fields and (self.force_update or name in BY_ITSELF)


@dataclass(slots=True)
class Job:
    id: str
    started: datetime
    terms: Terms
    raw: bytes | None = None
    url: str = ""
    download: Json | None = None  # why nothing came from the address
    done: bool = False
    status: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    errors: list[Json] = field(default_factory=list)
    thread: threading.Thread | None = None


class Imports:
    def __init__(self, shop: Prom) -> None:
        self.shop = shop
        self.jobs: dict[str, Job] = {}
        self.link = ""  # §2.6: import_url leaves its address in the cabinet
        self.broken_pictures: set[str] = set()  # addresses that answer 404

    def accept(self, terms: Terms, *, raw: bytes | None = None, url: str = "", by_hand: bool = True) -> Job:
        """Two at a time are both accepted (§2.6). Raises Refused past the limit of a day."""
        zone = ZoneInfo(self.shop.settings.zone)
        today = self.shop.now().astimezone(zone).date()
        same_day = sum(job.started.astimezone(zone).date() == today for job in self.jobs.values())
        if by_hand and same_day >= self.shop.settings.imports_a_day:
            raise Refused("Перевищено ліміт ручних імпортів на добу")
        job = Job(secrets.token_hex(12), self.shop.now(), terms, raw, url)
        self.jobs[job.id] = job
        if url:
            self.link = url
            job.thread = threading.Thread(target=self._fetch, args=(job,), daemon=True)
            job.thread.start()
        return job

    def _fetch(self, job: Job) -> None:
        """Without the shop's lock: whoever serves the file may be the one who waits for our answer."""
        try:
            raw, failed = fetch(job.url), None
        except urllib.error.HTTPError as error:
            raw, failed = b"", {"code": 1001, "extra": {"status_code": error.code}}
            error.close()
        except (OSError, ValueError) as error:
            raw, failed = b"", {"code": 1000, "extra": {"message": str(error)}}
        with self.shop.lock:
            job.raw, job.download = raw, failed

    def wait(self) -> None:
        """Until everything asked for has been downloaded; for tests. Never under the shop's lock."""
        for job in list(self.jobs.values()):
            if job.thread:
                job.thread.join(60)

    def tick(self) -> None:
        for job in self.jobs.values():
            if not job.done and job.raw is not None and self._age(job) >= self.shop.settings.import_final:
                self.finish(job)

    def _age(self, job: Job) -> float:
        return (self.shop.now() - job.started) / timedelta(seconds=1)

    def shown(self, job: Job) -> Json:
        """§2.6: SUCCESS with zeros at first, PARTIAL with zeros for minutes, then what has become of it."""
        status = job.status if job.done else "SUCCESS" if self._age(job) < self.shop.settings.import_partial else "PARTIAL"
        return {"status": status, **{name: job.counts[name] for name in COUNTERS}, "errors": job.errors}

    # --- what is in the file ---------------------------------------------------------------------------------------------------------

    def finish(self, job: Job) -> None:
        job.done = True
        if job.download:
            job.status, job.errors = "FATAL", [{"download": job.download}]
            return
        try:
            found = read(job.raw or b"")
        except Unreadable as error:
            job.status, job.errors = "FATAL", [{"validation": {"code": 1100, "extra": {"message": str(error)}}}]
            return
        finally:
            job.raw = b""
        self._groups(found)
        seen: set[int] = set()
        for offer in found.offers:
            job.counts["total"] += 1
            try:
                self._offer(job, offer, found, seen)
            except ValueError as error:
                job.counts["with_errors_count"] += 1
                extra = {"external_id": offer.id, "message": str(error)}
                job.errors.append({"validation": {"code": 1200, "extra": extra}})
        self._missing(job, seen)
        job.status = "PARTIAL" if job.errors else "SUCCESS"

    def _groups(self, found: PriceList) -> None:
        shop = self.shop
        for row in found.categories.values():
            if row.id not in shop.group_codes:
                shop.group_codes[row.id] = shop.add_group(row.name)
        for row in found.categories.values():
            group = shop.groups[shop.group_codes[row.id]]
            parent = shop.group_codes.get(row.parent, ROOT)
            if (group.name, group.parent) != (row.name, parent):
                group.name, group.parent, group.modified = row.name, parent, shop.now()

    def _offer(self, job: Job, offer: Offer, found: PriceList, seen: set[int]) -> None:
        """Raises ValueError for an offer that cannot be taken."""
        shop = self.shop
        values = self._values(offer, found)
        known = shop.products.get(shop.by_external.get(offer.id, 0))
        if known is None or known.status == "deleted":
            if job.terms.only_available and values["presence"] != "available":
                return
            product = shop.add_product(values["name"], external_id=offer.id)
            seen.add(product.id)
            _put(product, values)
            self._variation(product, offer)
            shop.writes["products"] += 1
            job.counts.update(created=1, created_active=1, imported=1)
        else:
            product = known
            seen.add(product.id)
            wanted = {name: value for name, value in values.items() if job.terms.touches(FIELDS[name])}
            changed = {FIELDS[name] for name, value in wanted.items() if getattr(product, name) != value}
            _put(product, wanted)
            if product.status == "draft":  # §2.6: an import puts drafts on display
                product.status, changed = "on_display", changed | {"status"}
            if changed:
                product.modified = shop.now()
                shop.writes["products"] += 1
            # What Prom calls "actualized" is a guess: only price and presence are new
            kind = "not_changed" if not changed else "actualized" if changed <= set(BY_ITSELF) else "updated"
            job.counts.update({kind: 1, "imported": 1})
        # §2.6: a picture that cannot be loaded is in errors and not in with_errors_count
        bad = {"download_images": {"code": 2004, "extra": {"status_code": 404}}}
        job.errors += [bad for url in product.pictures if url in self.broken_pictures]

    def _values(self, offer: Offer, found: PriceList) -> Json:
        """Fields of Product; those without a field in the file are left out. Synonyms by their priority (§4)."""
        if not offer.id:
            raise ValueError("Не вказано id товару")
        russian, ukrainian = offer.text("name"), offer.text("name_ua")
        if not (russian or ukrainian):
            raise ValueError("Не вказано назву")
        if max(len(russian), len(ukrainian)) > LONGEST_NAME:
            raise ValueError(f"Назва довша за {LONGEST_NAME} символів")
        if len(offer.pictures) > PICTURES:
            raise ValueError(f"Більше {PICTURES} зображень")
        keywords = offer.text("keywords_ua", "keywords")
        if len(keywords) > 1024 or any(len(word.strip()) > 50 for word in keywords.split(",")):
            raise ValueError("Задовгі ключові слова")
        both = bool(ukrainian and offer.text("description_ua"))  # §4: Ukrainian counts only with both
        price = offer.number("price")
        if price is None or price <= 0:
            raise ValueError("Не вказано ціну")
        stock = offer.number("quantity_in_stock", "stock_quantity")
        values: Json = {
            "name": ukrainian if both else russian or ukrainian,
            "name_ru": russian,
            "description": offer.text("description_ua") if both else offer.text("description"),
            "description_ru": offer.text("description"),
            "sku": offer.text("vendorCode", "barcode", "article"),
            "price": price,
            "old_price": offer.number("oldprice", "price_old", "old_price"),
            "currency": offer.text("currencyId") or "UAH",
            "presence": {"true": "available", "false": "not_available"}.get(offer.available, "order"),
            "group": self.shop.group_codes.get(offer.text("categoryId"), ROOT),  # §4: an unknown one is the root
            "pictures": list(offer.pictures),
            "keywords": keywords,
            "attributes": [(param.name, param.value) for param in offer.params],
            "gtin": offer.text("gtin"),
            "mpn": offer.text("mpn"),
            "discount": _discount(offer.text("discount")),
        }
        if stock is not None:
            values["quantity"] = int(stock)
        if offer.selling_type:
            values["selling_type"] = SELLING.get(offer.selling_type, "retail")
        return values

    def _variation(self, product: Product, offer: Offer) -> None:
        if not offer.group:
            return
        if offer.group not in self.shop.variations:
            self.shop.variations[offer.group] = product.id
        base = self.shop.variations[offer.group]
        product.variation_group, product.variation_base = base, None if base == product.id else base

    def _missing(self, job: Job, seen: set[int]) -> None:
        """§2.6: with anything but "none" a partial file is a mass deletion."""
        change: dict[str, Callable[[Product], None]] = {
            "not_available": lambda p: setattr(p, "presence", "not_available"),
            "not_on_display": lambda p: setattr(p, "status", "not_on_display"),
            "deleted": lambda p: setattr(p, "status", "deleted"),
        }
        for product in self.shop.products.values():
            if product.id in seen or product.status == "deleted":
                continue
            job.counts["not_in_file"] += 1
            if job.terms.missing != "none":
                change[job.terms.missing](product)
                product.modified = self.shop.now()
                self.shop.writes["products"] += 1


def _discount(text: str) -> Json | None:
    """ "10%" or an amount."""
    number = text.strip().removesuffix("%").replace(",", ".")
    if not number.replace(".", "", 1).isdigit():
        return None
    kind = "percent" if text.strip().endswith("%") else "amount"
    return {"value": Decimal(number), "type": kind, "date_start": None, "date_end": None}


# field of Product → the name that updated_fields has for it
FIELDS = {
    "name": "name", "name_ru": "name", "description": "description", "description_ru": "description", "sku": "sku", "price": "price",
    "old_price": "price", "currency": "price", "presence": "presence", "group": "group", "pictures": "images_urls",
    "keywords": "keywords", "attributes": "attributes", "gtin": "gtin", "mpn": "mpn", "discount": "discount",
    "quantity": "quantity_in_stock", "selling_type": "attributes",
}  # fmt: skip


def _put(product: Product, values: Json) -> None:
    for name, value in values.items():
        setattr(product, name, value)


def fetch(url: str) -> bytes:
    """What an address gives. Raises OSError (HTTPError among them) or ValueError."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url} is no address")
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 (checked above)
        return bytes(answer.read())
