"""GetMeBack: receives goods, and nothing else (facts on shops §0.5, §1.2: GM-1 … GM-17).

What it answers word for word is not recorded; what it takes and what it cannot take is. Guesses: the sentences of its refusals,
and that a second load within the hour is refused at mode=import.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from obmen.sandbox.shop.base import Failure, Settings, Shop
from obmen.sandbox.shop.call import Answer, Request
from obmen.sandbox.shop.reader import Card, File
from obmen.sandbox.shop.state import Product


@dataclass
class GetMeBackSettings(Settings):
    interval: int = 60  # minutes between two loads (GM-11); 0: any
    root: str = ""  # id of the root category (GM-17)
    permitted: bool = True  # the employee's group has "Импорт CommerceML" (GM-3)
    admin: bool = True  # the employee has "Доступ в админ панель" (GM-1)


class GetMeBack(Shop):
    key = "getmeback"
    title = "GetMeBack (receives goods)"
    address = "/rest/integration/1c_exchange.php"
    settings_class = GetMeBackSettings
    settings: GetMeBackSettings
    schema = "2.04"

    loaded = ""  # ДатаФормирования of the last load …
    loaded_at: datetime | None = None  # … and when its first file came

    def right(self, request: Request) -> bool:
        return super().right(request) and self.settings.admin and self.settings.permitted

    def load(self, file: File, folder: dict[str, bytearray]) -> Iterator[str]:
        self.allow(file)
        yield from super().load(file, folder)

    def allow(self, file: File) -> None:
        """Raises Failure for what it cannot take: variants (GM-12), several prices (GM-15), loads more often than hourly (GM-11)."""
        variants = [c.id for c in file.cards if "#" in c.id] + [t.id for t in file.terms if "#" in t.id or t.options]
        if variants:
            raise Failure(f"Модификации товаров не поддерживаются: {variants[0]}")
        kinds = {kind for terms in file.terms for kind in terms.prices or ()}
        if len(kinds) > 1:
            raise Failure(f"Поддерживается только один тип цен, получено: {len(kinds)}")
        if file.goods and file.formed != self.loaded:
            now, pause = self.now(), timedelta(minutes=self.settings.interval)
            if self.loaded_at is not None and now - self.loaded_at < pause:
                raise Failure(f"Выгрузка возможна не чаще одного раза в {self.settings.interval} минут")
            self.loaded, self.loaded_at = file.formed, now

    def load_groups(self, file: File) -> None:
        """GM-17: a category without a parent is a root; with a root id set, only what is below it counts."""
        root = self.settings.root
        below = {root}
        for key, name, parent in file.groups:  # parents come before their children
            if not root or parent in below:
                below.add(key)
                self.put(self.goods.groups, key, (name, "" if parent == root else parent), "groups")

    def fill(self, product: Product, card: Card, variant: str) -> None:
        """GM-13: pictures that come replace those that people have uploaded; without any they stay."""
        groups = None if card.groups is None else tuple(key for key in card.groups if key in self.goods.groups)
        super().fill(product, replace(card, groups=groups), variant)

    # --- type=sale is answered politely (GM-9) ---------------------------------------------------------------------------------------

    def query(self, _request: Request) -> Answer:
        return self.document([])

    def success(self, _request: Request) -> Answer:
        return self._text("success\n")

    def file(self, request: Request) -> Answer:
        return super().file(request) if request.type == "catalog" else self._text("success\n")

    def run_import(self, request: Request) -> Answer:
        return super().run_import(request) if request.type == "catalog" else self._text("success\n")
