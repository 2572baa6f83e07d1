"""Profiles: what each kind of shop can do, where its exchange stands, what it does oddly. TOML files beside this module.

``suffix`` stands behind a bare host name, ``traps`` are sentences for the page, ``settings`` the defaults, ``limits`` what the shop
cannot do (enforced by settings.py and goods.py), ``answers`` its own words with what helps.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from obmen.core.words import gettext_noop as _

GENERIC = "generic"

NO_GOODS = _("This shop takes no goods: only orders are exchanged with it.")
NO_VARIANTS = _("This shop knows no variants: send them as one product, or leave goods with variants out.")
INTERVAL = _("This shop takes a load of goods once in {minutes} minutes at most.")
KEEPS = _("This shop deletes nothing by itself: goods that do not go out any more stay there until somebody removes them.")
PICTURES = _("Pictures that are sent replace those that were put into the shop by hand.")
PRICE_KINDS = _("The most price kinds that this shop takes: {count}.")
NO_WAREHOUSES = _("This shop keeps one stock figure for each product: the chosen warehouses are added up.")
PIECES = _("Files go out in pieces of {megabytes} MB at most, whatever the shop says that it takes.")
NO_ORDERS = _("This shop has no orders to give: only goods are exchanged with it.")
CONFIRMS_NOTHING = _("This shop gives all of its orders at every exchange: the hub takes only what is new or changed in them.")
NO_STATES = _("This shop takes no states of orders: what changes here is not seen there.")
NO_PAYMENTS = _("This shop takes no payments of orders.")
NO_LINES = _("This shop takes no changed lines of orders: change them over there as well.")
NO_LISTS = _("This shop has no list of its values: type them, or map those that orders have brought.")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a shop cannot do, and how it does what it can."""

    goods: bool = True
    orders: bool = True
    variants: bool = True
    warehouses: bool = True  # it keeps stock by warehouse; else one figure
    price_kinds: int = 0  # the most that it takes; 0: any number
    interval: int = 0  # minutes between loads of goods, at least
    file_limit: int = 0  # bytes of one piece at most, whatever it says; 0: as it says
    absence: str = "sweep"  # sweep: what a file that says it is whole does not hold is deleted there | keep
    confirms: bool = True  # it counts an order as exported when we say so; else it gives the same ones again
    counts_asking: bool = False  # it counts orders as given when it is asked: a lost answer is not given again
    joins_files: bool = False  # it joins what comes to what a broken upload has left under that name: none is used twice
    early_success: bool = False  # it says success before it has done the work
    sale_import: bool = True  # mode=import follows a file of orders; else the file is worked on while it is received
    statuses: bool = True  # it takes states of orders
    payments: bool = True  # it takes payments of orders
    lines: bool = True  # it takes changed lines of orders
    info: bool = False  # it has lists of its states, payments and deliveries (mode=info)
    root_group: bool = False  # it has to be told the root when only some groups are sent
    pictures_warning: bool = False  # pictures of ours overwrite its own

    def in_words(self) -> Mapping[str, Sequence[tuple[str, Mapping[str, object]]]]:
        """What a person should know before running into it, by the tab of the settings."""
        said: dict[str, list[tuple[str, Mapping[str, object]]]] = {}
        for tab, applies, text, facts in (
            ("goods", not self.goods, NO_GOODS, {}),
            ("goods", not self.variants, NO_VARIANTS, {}),
            ("goods", self.interval > 0, INTERVAL, {"minutes": self.interval}),
            ("goods", self.goods and self.absence == "keep", KEEPS, {}),
            ("goods", self.pictures_warning, PICTURES, {}),
            ("prices", self.price_kinds > 0, PRICE_KINDS, {"count": self.price_kinds}),
            ("stock", not self.warehouses, NO_WAREHOUSES, {}),
            ("connection", self.file_limit > 0, PIECES, {"megabytes": self.file_limit // 2**20}),
            ("orders", not self.orders, NO_ORDERS, {}),
            ("orders", self.orders and not self.confirms, CONFIRMS_NOTHING, {}),
            ("orders-back", not self.statuses, NO_STATES, {}),
            ("orders-back", not self.payments, NO_PAYMENTS, {}),
            ("orders-back", not self.lines, NO_LINES, {}),
            ("order-states", not self.info, NO_LISTS, {}),
            ("order-payments", not self.info, NO_LISTS, {}),
        ):
            if applies:
                said.setdefault(tab, []).append((text, facts))
        return said


@dataclass(frozen=True, slots=True)
class Hint:
    """An answer of the shop's that people stumble over, and what helps. ``types`` empty: in either exchange."""

    remedy: str
    says: str = ""
    empty: bool = False
    types: tuple[str, ...] = ()

    def fits(self, type: str, text: str) -> bool:
        if self.types and type not in self.types:
            return False
        return not text.strip() if self.empty else bool(self.says) and self.says.casefold() in text.casefold()


@dataclass(frozen=True, slots=True)
class Profile:
    key: str
    title: str
    suffix: str = ""
    limits: Limits = field(default_factory=Limits)
    hints: tuple[Hint, ...] = ()

    def remedy(self, type: str, text: str) -> str:
        """What helps when the shop answers so, "" when nobody knows."""
        return next((hint.remedy for hint in self.hints if hint.fits(type, text)), "")


@cache
def all_profiles() -> Mapping[str, Mapping[str, Any]]:
    """{profile: {"title", "note", "traps": […], "settings": {…}, "limits": {…}, …}}, the generic one last."""
    found: dict[str, Mapping[str, Any]] = {}
    folder = files(__package__) / "profiles"
    for file in sorted(folder.iterdir(), key=lambda f: (f.name == f"{GENERIC}.toml", f.name)):
        if file.name.endswith(".toml"):
            empty: dict[str, Any] = {"settings": {}, "limits": {}, "traps": [], "answers": []}
            found[file.name.removesuffix(".toml")] = {**empty, **tomllib.loads(file.read_text("utf-8"))}
    return found


@cache
def profile(key: str) -> Profile:
    """By key; the generic one for "" (a connection without a profile)."""
    said = all_profiles()[key or GENERIC]
    hints: Sequence[Mapping[str, Any]] = said["answers"]
    made = tuple(Hint(h["remedy"], h.get("says", ""), h.get("empty", False), tuple(h.get("types", ()))) for h in hints)
    return Profile(key or GENERIC, said["title"], said.get("suffix", ""), Limits(**said["limits"]), made)
