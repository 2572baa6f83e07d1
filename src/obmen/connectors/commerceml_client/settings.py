# ruff: noqa: RUF009 - setting() makes dataclass fields
"""Everything that an owner can choose about a shop to which we are 1C. Orders: orders_settings.py.

Wording and defaults follow the node "Узел обмена с сайтом" of 1C:UT 11. What the shop's profile cannot do is refused here, so that
no run begins that would send it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from obmen.connectors.commerceml_client.orders_settings import OrderSettings
from obmen.connectors.commerceml_client.profiles import GENERIC, Profile, all_profiles, profile
from obmen.core.contract import NeedsOwner
from obmen.core.records import Subject
from obmen.core.settings import setting
from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml.dialects import DIALECTS

PRODUCTS_OUT, OFFERS_OUT, ORDERS_IN, ORDERS_OUT = "products-out", "offers-out", "orders-in", "orders-out"
STREAMS = (PRODUCTS_OUT, OFFERS_OUT, ORDERS_IN, ORDERS_OUT)

OFFERS, FLATTEN, LEAVE_OUT = "offers", "flatten", "leave_out"
CHANGES, FULL = "changes", "full"
PARTS = (
    ("description", _("descriptions")),
    ("properties", _("properties")),
    ("requisites", _("requisites")),
    ("vat", _("VAT rates")),
    ("manufacturer", _("manufacturers")),
    ("barcode", _("barcodes")),
)


@dataclass(frozen=True)
class ClientSettings(OrderSettings):
    # --- connection ---
    shop: str = setting(
        GENERIC,
        _("Kind of shop"),
        _("What it cannot do is not sent, and what it does oddly is allowed for. The profile chooses it."),
        tab="connection",
        choices=tuple((key, str(about["title"])) for key, about in all_profiles().items()),
        identifies=True,
    )
    address: str = setting(
        "",
        _("Address of the exchange"),
        _(
            "As the shop shows it, such as https://shop.example/exim_1c. With a bare host name the usual path of this kind of shop is added."
        ),
        tab="connection",
        identifies=True,
        place=True,
    )
    login: str = setting(
        "", _("Login"), _("Of the account in the shop that may exchange with 1C."), tab="connection", identifies=True
    )
    password: str = setting("", _("Password"), _("Of that account."), tab="connection", kind="secret")
    version: str = setting(
        "",
        _("Version of the exchange"),
        _("Told to the shop at the beginning where it asks for it (Bitrix); empty says none, as 1C:UT does."),
        tab="connection",
        choices=(("", _("none")), ("2.08", "2.08"), ("2.09", "2.09"), ("3.1", "3.1")),
    )
    zip: str = setting(
        "asked",
        _("Archives"),
        _("“Never” sends plain files also to a shop that asks for ZIP: they are easier to carry on after a break."),
        tab="connection",
        choices=(("asked", _("as the shop asks")), ("never", _("never"))),
    )
    file_limit: int = setting(
        0,
        _("Bytes in one piece"),
        _("Longer files go in pieces. 0: as the shop says; less where its server refuses what it promises (status 413)."),
        tab="connection",
        minimum=0,
    )
    timeout: int = setting(
        180,
        _("Seconds to wait for an answer"),
        _("1C:UT waits 180 seconds, 1C:UNF 1800. After that the shop is asked again how far it is; nothing is sent twice."),
        tab="connection",
        minimum=10,
        maximum=3600,
    )
    pause: int = setting(
        3,
        _("Seconds between questions"),
        _("While the shop answers “progress” it is asked again so often."),
        tab="connection",
        minimum=0,
        maximum=600,
    )
    patience: int = setting(
        12,
        _("Hours to wait for one file"),
        _("A shop may work on a file for hours and say “progress”; after so many the exchange is put off."),
        tab="connection",
        minimum=1,
        maximum=72,
    )
    repeats: int = setting(
        5,
        _("Tries for one portion"),
        _("When an answer gets lost, the portion is sent anew in a new conversation, so often; what went before stays done."),
        tab="connection",
        minimum=1,
        maximum=50,
    )

    # --- goods ---
    mode: str = setting(
        CHANGES,
        _("What is sent"),
        _(
            "Only what changed since the last successful exchange; or, when anything changed, the whole catalogue in files that say so: "
            "shops then switch off or delete what the files do not hold."
        ),
        tab="goods",
        choices=((CHANGES, _("only changes")), (FULL, _("the whole catalogue"))),
    )
    groups: tuple[str, ...] = setting(
        (),
        _("Groups"),
        _("Groups whose goods are sent, with all below them. Empty: all goods."),
        tab="goods",
        subject="group",
    )
    variants: str = setting(
        OFFERS,
        _("Variants of goods"),
        _(
            "As offers of their own; or one product with the sum of their stock; or goods with variants are left out. A product whose "
            "variants have different prices, and none of its own, cannot be one product: it is set aside."
        ),
        tab="goods",
        choices=((OFFERS, _("as offers")), (FLATTEN, _("as one product")), (LEAVE_OUT, _("left out"))),
    )
    parts: tuple[str, ...] = setting(
        tuple(key for key, _label in PARTS),
        _("What of a card is sent"),
        _("Besides name, article, unit and group. What is not sent stays in the shop as it is."),
        tab="goods",
        choices=PARTS,
    )
    requisites: tuple[str, ...] = setting(
        ("*",),
        _("Requisites"),
        _("Names of the requisites that the shop reads; * sends all."),
        tab="goods",
    )
    pictures: str = setting(
        "on",
        _("Pictures"),
        _("Those of a product go with it when it is sent. Many shops replace the ones that were uploaded there."),
        tab="goods",
        choices=(("on", _("sent")), ("off", _("not sent"))),
    )
    deletion: str = setting(
        "mark",
        _("Goods that are gone"),
        _("Marked for deletion here, or no longer among the groups: told to the shop with a mark of deletion, or not told."),
        tab="goods",
        choices=(("mark", _("marked there")), ("ignore", _("stay there as they are"))),
    )
    may_vanish: int = setting(
        10,
        _("Stop when more than so many per cent would vanish"),
        _("Of the goods that the shop has been told of. Above it nothing is sent and the run waits for a person."),
        tab="goods",
        minimum=0,
        maximum=100,
    )
    portion: int = setting(
        1000,
        _("Goods in one portion"),
        _(
            "Each portion is a file and a conversation of its own; a broken exchange goes on at the portion where it broke. A portion "
            "is held in memory: 10000 goods with long descriptions take some 150 MB."
        ),
        tab="goods",
        minimum=1,
        maximum=10_000,
    )
    interval: int = setting(
        0,
        _("Minutes between loads of goods"),
        _("A load that would begin sooner waits; 0 sets no limit."),
        tab="goods",
        minimum=0,
        maximum=10_080,
    )
    catalogue_id: str = setting(
        "",
        _("Id of the catalogue"),
        _("The shop keeps the goods of one catalogue apart from others. Empty: made from this connection, and stays the same."),
        tab="goods",
    )
    catalogue_name: str = setting("Каталог товаров", _("Name of the catalogue"), _("As the shop shows it."), tab="goods")
    owner: str = setting(
        "",
        _("Owner of the catalogue"),
        _("The organisation that the files name as the owner."),
        tab="goods",
        kind="reference",
        subject=Subject.ORGANISATION,
    )
    dialect: str = setting(
        "generic",
        _("Dialect of files"),
        _("Schema version, encoding and spelling of the files. The profile knows what the shop reads."),
        tab="goods",
        choices=tuple((key, dialect.title) for key, dialect in DIALECTS.items()),
    )

    # --- prices and stock ---
    price_kinds: tuple[str, ...] = setting(
        (),
        _("Price kinds"),
        _("Which prices are sent. The first one that was chosen stands first in the files. None: no prices."),
        tab="prices",
        subject=Subject.PRICE_KIND,
    )
    price_names: dict[str, str] = setting(
        {},
        _("Price kinds in the shop"),
        _("our key = what the shop calls the price kind, where it looks for it by another name."),
        tab="prices",
    )
    send_stock: bool = setting(True, _("Send stock"), _("Quantities of the warehouses below."), tab="stock")
    warehouses: tuple[str, ...] = setting(
        (),
        _("Warehouses"),
        _("Whose quantities are sent. None chosen: those of all."),
        tab="stock",
        subject=Subject.WAREHOUSE,
        when="send_stock",
    )
    stock_mode: str = setting(
        "each",
        _("Quantities"),
        _("By warehouse with their sum, or the sum alone."),
        tab="stock",
        choices=(("each", _("by warehouse")), ("sum", _("the sum"))),
        when="send_stock",
    )
    less_reserved: bool = setting(
        True,
        _("Take off what is sold and not yet in the accounting"),
        _(
            "Pieces of orders that the accounting system has not taken yet, or has taken and not yet sent a stock without them. Off: the "
            "stock as the accounting system said it last."
        ),
        tab="stock",
        when="send_stock",
    )
    no_stock: str = setting(
        "silent",
        _("Goods without stock figures"),
        _("When no chosen warehouse has a figure: say nothing, so that the shop keeps its own, or say zero."),
        tab="stock",
        choices=(("silent", _("say nothing")), ("zero", _("say zero"))),
        when="send_stock",
    )

    def __post_init__(self) -> None:
        problems = [*self._address_problems(), *self._limit_problems(), *self.order_problems()]
        if problems:
            raise NeedsOwner(_("The settings are not right: {problems}"), problems="; ".join(problems))

    def _address_problems(self) -> list[str]:
        if not self.address.strip():
            return []
        try:
            parts = urlsplit(self.url)
            parts.port  # noqa: B018 - raises ValueError
        except ValueError:
            return [f"address: {self.address} is no address, write it as https://shop.example/path"]
        if not parts.hostname:
            return [f"address: {self.address} names no host, write it as https://shop.example/path"]
        if parts.username or parts.password:
            return ["address: leave login and password out of it, they have fields of their own"]
        wrong = re.search(r"[?&](type|mode)=", self.address)
        return [f"address: leave {wrong[1]}=… out of it"] if wrong else []

    def _limit_problems(self) -> list[str]:
        """What the shop cannot do (GM-11, GM-12, GM-15, GM-16)."""
        can, title = self.kind.limits, self.kind.title
        problems = []
        if not can.variants and self.variants == OFFERS:
            problems.append(f"variants: {title} has none, choose one product or leave them out")
        if can.price_kinds and len(self.price_kinds) > can.price_kinds:
            problems.append(f"price_kinds: {title} takes {can.price_kinds}, here are {len(self.price_kinds)}")
        if not can.warehouses and self.stock_mode != "sum":
            problems.append(f"stock_mode: {title} keeps no stock by warehouse, choose the sum")
        if not can.orders and self.exchange_orders:
            problems.append(f"exchange_orders: {title} has no orders for 1C, switch it off")
        if self.interval < can.interval:
            problems.append(f"interval: {title} takes goods every {can.interval} minutes at most")
        return problems

    @property
    def kind(self) -> Profile:
        return profile(self.shop)

    @property
    def url(self) -> str:
        """The address as it is called: spaces and backslashes put right, https:// where none is said, the shop's path behind a bare
        host (as 1C takes it apart, facts §1.1)."""
        text = re.sub(r"\s", "", self.address).replace("\\", "/")
        if text and not re.match(r"(?i)https?://", text):
            text = f"https://{text}"
        scheme, _sep, rest = text.partition("://")
        host, _slash, path = rest.partition("/")
        if host and not path:
            path = self.kind.suffix
        return f"{scheme.lower()}://{host}/{path}" if text else ""
