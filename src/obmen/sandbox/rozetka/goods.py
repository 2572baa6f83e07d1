"""Goods at Rozetka: price lists by its rules, price jumps that wait for a manager, ids that come after moderation (facts §3.7, §4)."""

from __future__ import annotations

import re
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from obmen.sandbox.rozetka.state import BY_API, Item
from obmen.sandbox.stand import following
from obmen.sandbox.yml import Offer, PriceList, Unreadable, read

if TYPE_CHECKING:
    from obmen.sandbox.rozetka.account import Rozetka

Json = dict[str, Any]
PRICE_LIST, MADE_BY_API = 107, 199  # sources
LONGEST_NAME, LONGEST_DESCRIPTION, PICTURES = 255, 50_000, 15
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


@dataclass(slots=True)
class Check:
    """A price list that is only validated: /item-price-updates."""

    id: int
    created: datetime
    place: str
    address: str
    file: str | None = None
    status: int = 1  # 1 waits, 2 looked through, 3 could not be read: the numbers are a guess
    report: str | None = None
    size: int = 0
    thread: threading.Thread | None = None


class Goods:
    def __init__(self, seller: Rozetka) -> None:
        self.seller = seller
        self.items: dict[int, Item] = {}
        self.by_offer: dict[str, int] = {}
        self.by_site: dict[int, int] = {}
        self.sources: dict[int, int] = {PRICE_LIST: seller.settings.availability, MADE_BY_API: BY_API}  # → availability
        self.categories = {
            4630027: ("Товари для дому", 0),
            4626589: ("Кубики", 4630027),
            197626: ("Аксесуари для ванної", 4630027),
        }
        self.link = ""  # of the price list, set in the cabinet
        self.synced: datetime | None = None
        self.checks: dict[int, Check] = {}

    def new(self, offer: str, name: str, price: int, **data: Any) -> Item:
        now = self.seller.now()
        item = Item(following(self.items, 114_000), offer, name, price, now, now, **data)
        self.items[item.item_id] = item
        if offer:
            self.by_offer[offer] = item.item_id
        return item

    def approve(self, item: Item) -> None:
        """Moderation ends: the goods get their id on the site."""
        item.rz_item_id = following(self.by_site, 344_560_000)
        self.by_site[item.rz_item_id] = item.item_id
        item.changed = self.seller.now()

    def tick(self) -> None:
        late = self.seller.now() - timedelta(seconds=self.seller.settings.moderation)
        for item in self.items.values():
            if item.rz_item_id is None and not item.errors and item.created <= late:
                self.approve(item)

    def put_price(self, item: Item, price: int) -> bool:
        """§3.7: more than 1.5 times or less than a half is not applied and waits. Returns whether anything changed."""
        jump = item.price > 0 and (price * 2 > item.price * 3 or price * 2 < item.price)
        if jump and self.seller.settings.quarantine:
            changed, item.waiting = item.waiting != price, price
        else:
            changed, item.price, item.waiting = item.price != price or item.waiting is not None, price, None
        return changed

    def confirm(self, item_id: int, take: bool = True) -> None:
        """The manager decides on a price that waits."""
        item = self.items[item_id]
        if item.waiting is not None and take:
            item.price = item.waiting
        item.waiting, item.changed = None, self.seller.now()

    # --- the price list ----------------------------------------------------------------------------------------------------------

    def load(self, raw: bytes) -> Counter[str]:
        """A synchronisation. §4: what is wrong gets errors, what is absent becomes "deleted from the price list".

        Returns how many were created, updated, refused, deleted. Raises Unreadable."""
        found, counts = read(raw), Counter[str]()
        wrong = reasons(found)
        for row in found.categories.values():
            if row.rz_id.isdigit():
                self.categories.setdefault(int(row.rz_id), (row.name, 0))
        seen = set()
        for offer in found.offers:
            if not offer.id:
                counts["refused"] += 1
                continue
            seen.add(offer.id)
            counts[self._take(offer, found, wrong.get(offer.id, []))] += 1
        for item in self.items.values():
            if item.source == PRICE_LIST and item.price_offer_id not in seen and item.available != 2:
                item.available, item.changed = 2, self.seller.now()
                counts["deleted"] += 1
        self.synced = self.seller.now()
        return counts

    def _take(self, offer: Offer, found: PriceList, wrong: list[str]) -> str:
        known = self.items.get(self.by_offer.get(offer.id, 0))
        if wrong:
            item = known or self.new(offer.id, offer.text("name") or offer.id, 0, available=0)
            item.errors, item.changed = wrong, self.seller.now()
            return "refused"
        price, stock = _whole(offer, "price") or 0, _whole(offer, "stock_quantity") or 0
        item = known or self.new(offer.id, offer.text("name"), price)
        before = repr(item)
        item.errors = []
        item.name, item.name_ua = offer.text("name"), offer.text("name_ua")
        item.description, item.description_ua = offer.text("description"), offer.text("description_ua")
        item.article, item.producer = offer.text("article"), offer.text("vendor")
        item.photos, item.params = list(offer.pictures), [(p.name, p.value) for p in offer.params]
        item.state = offer.text("state") or "new"
        category = found.categories[offer.text("categoryId")]
        if category.rz_id.isdigit():
            item.category = int(category.rz_id)
        if known is None or self.sources[PRICE_LIST] != BY_API:
            self.put_price(item, price)
            item.price_old, item.price_promo = _whole(offer, "price_old"), _whole(offer, "price_promo", "promo_price")
            item.stock = stock
            item.available = int(stock > 0)  # §4: driven by the stock, not by the attribute
        elif item.available == 2:
            item.available = int(item.stock > 0)
        if known is not None and repr(item) == before:
            return "unchanged"
        item.changed = self.seller.now()
        return "updated" if known is not None else "created"

    # --- only looking at one ------------------------------------------------------------------------------------------------------

    def check(self, place: str, address: str, file: str | None) -> Check:
        check = Check(following(self.checks, 500), self.seller.now(), place, address, file)
        self.checks[check.id] = check
        if place == "url":
            check.thread = threading.Thread(target=self._look, args=(check,), daemon=True)
            check.thread.start()
        return check

    def _look(self, check: Check) -> None:
        """Without the account's lock: whoever serves the file may wait for our answer."""
        try:
            raw = fetch(check.address)
            wrong = reasons(read(raw))
            status, size = 2, len(raw)
            report = "\n".join(f"{key}: {'; '.join(texts)}" for key, texts in wrong.items()) or "ok"
        except (OSError, ValueError, Unreadable) as error:
            status, size, report = 3, 0, str(error)
            if isinstance(error, urllib.error.HTTPError):
                error.close()
        with self.seller.lock:
            check.status, check.size, check.report = status, size, report

    def wait(self) -> None:
        """Until everything that is being looked at has been; for tests. Never under the account's lock."""
        for check in list(self.checks.values()):
            if check.thread:
                check.thread.join(60)


def reasons(found: PriceList) -> dict[str, list[str]]:
    """Offer → what Rozetka would not take it for (§4)."""
    names = Counter(offer.text("name") for offer in found.offers)
    ids = Counter(offer.id for offer in found.offers)
    wrong = {offer.id: list(_reasons(offer, found, names, ids)) for offer in found.offers}
    return {key: texts for key, texts in wrong.items() if texts}


def _reasons(offer: Offer, found: PriceList, names: Counter[str], ids: Counter[str]) -> Iterable[str]:
    name, description = offer.text("name"), offer.text("description")
    if ids[offer.id] > 1 or not re.fullmatch(r"[\x21-\x7e]+", offer.id):
        yield "id: латинські літери та цифри, без повторів"
    if not name or len(name) > LONGEST_NAME:
        yield f"name: обов'язкова, до {LONGEST_NAME} символів"
    elif names[name] > 1:
        yield "name: має бути унікальною"
    if len(description) > LONGEST_DESCRIPTION:
        yield f"description: до {LONGEST_DESCRIPTION} символів"
    if (_whole(offer, "price") or 0) <= 0:
        yield "price: обов'язкова"
    if offer.text("currencyId") not in ("", "UAH"):
        yield "currencyId: лише UAH"
    if offer.text("categoryId") not in found.categories:
        yield "categoryId: немає такої категорії"
    if not offer.text("vendor"):
        yield "vendor: обов'язковий"
    if not offer.text("stock_quantity").isdigit():
        yield "stock_quantity: обов'язкове ціле число"
    if not 1 <= len(offer.pictures) <= PICTURES:
        yield f"picture: від 1 до {PICTURES}"
    if any(not url.startswith("https://") or not url.isascii() or " " in url for url in offer.pictures):
        yield "picture: лише https, без кирилиці та пробілів"
    if not offer.params:
        yield "param: щонайменше один"
    if any(CONTROL.search(text) for text in offer.texts.values()):
        yield "недопустимі символи"


def _whole(offer: Offer, *names: str) -> int | None:
    """Goods have whole prices (§3.1); None where there is none or it is no number."""
    try:
        value = offer.number(*names)
    except ValueError:
        return None
    return None if value is None else int(value.quantize(Decimal(1)))


def fetch(url: str) -> bytes:
    """What an address gives. Raises OSError (HTTPError among them) or ValueError."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url} is no address")
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 (checked above)
        return bytes(answer.read())
