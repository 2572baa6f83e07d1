# ruff: noqa: RUF009 - setting() makes dataclass fields
"""What an owner chooses about goods: the tab “Products” (seed 000, F10–F17).

What is sent and loaded at all (F10 cards, F13 and F16 stock and prices, the price list), by hand or by schedule (F12), is switched
by the streams. The attributes by which their cards find goods, with their priority (F26), are the connection's match rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any
from urllib.parse import urlsplit

from obmen.core.contract import Choice, Listings, NeedsOwner, Table
from obmen.core.records import Subject
from obmen.core.settings import setting
from obmen.core.words import gettext_noop as _
from obmen.market.attributes import SHAPE, Row, rows_of

CREATE, PARK, LEAVE = "create", "park", "leave"
NOT_AVAILABLE, ON_ORDER, LEFT_OUT = "not_available", "order", "left_out"
ALL, CHARACTERISTICS, MAPPED = "all", "characteristics", "mapped"
KEY, CODE, ARTICLE = "key", "code", "article"
ROUNDED = {"nearest": ROUND_HALF_UP, "up": ROUND_CEILING, "down": ROUND_FLOOR}

GOODS_TABLES: tuple[Table, ...] = ()


@dataclass(frozen=True)
class GoodsSettings:
    # --- which goods, and which card is which ---
    groups: tuple[str, ...] = setting(
        (),
        _("Groups"),
        _(
            "Keys of the groups whose goods are told of, with all below them: cards, stock, prices and the price list. Empty: all."
        ),
        tab="products",
        subject="group",
    )
    site_id: str = setting(
        "ID сайту",
        _("Attribute with the id of the site"),
        _(
            "Name of the property or requisite of goods in which the accounting system keeps the id that they have at the marketplace, "
            "such as “ID Rozetka”. A card is the goods that have its id there, before anything else is compared."
        ),
        tab="products",
        reparse=True,
    )
    offer_id: str = setting(
        KEY,
        _("Our id of goods"),
        _(
            "What stands as the id of goods in the price list. It is also how cards that were made of the price list are known. It has "
            "to stay as it is once goods are sold there."
        ),
        tab="products",
        choices=((KEY, _("the id in the books")), (CODE, _("the code")), (ARTICLE, _("the article"))),
        reparse=True,
    )
    unknown_cards: str = setting(
        PARK,
        _("Cards without goods of ours"),
        _("What becomes of a card there for which no goods are found in the books."),
        tab="products",
        choices=((PARK, _("set aside, for a person")), (CREATE, _("new goods are made")), (LEAVE, _("left out"))),
        reparse=True,
    )
    new_group: str = setting(
        "",
        _("Group for new goods"),
        _("The group into which goods come that are made of a card there."),
        tab="products",
        kind="reference",
        subject="group",
    )
    new_category: str = setting(
        "",
        _("Category for new goods"),
        _("The category of goods that are made of a card there."),
        tab="products",
    )

    # --- cards ---
    only_changed: bool = setting(
        True,
        _("Only changed"),
        _(
            "Only cards whose goods changed since they were sent. Off: every linked card, each time. New cards are never made by this; "
            "they come of the price list."
        ),
        tab="products",
    )
    attributes: str = setting(
        "",
        _("Attributes of goods"),
        _(
            "Which attribute there is made of what. Ours is a field of the card (name, article, description …), a property, requisite or "
            "characteristic by its name, or “property:Color”. The conversion is as is, constant, template ({name} {article}) or map "
            "(red = Червоний; blue = Синій). In the price list, what is no field of it becomes a param."
        ),
        tab="products",
        kind="json",
        shape=SHAPE,
    )

    # --- stock ---
    send_stock: bool = setting(
        True,
        _("Send the stock"),
        _("How much there is of linked goods, in the price list too. What is reserved by orders is taken off."),
        tab="products",
    )
    warehouses: tuple[str, ...] = setting(
        (),
        _("Warehouses"),
        _("The stock is the sum of these. Empty: of all."),
        tab="products",
        subject=Subject.WAREHOUSE,
        when="send_stock",
    )
    stock_reserve: int = setting(
        0,
        _("Keep back"),
        _("So many pieces of each are not shown, so that they can be sold elsewhere."),
        tab="products",
        minimum=0,
        when="send_stock",
    )

    # --- prices ---
    price_kind: str = setting(
        "",
        _("Price kind"),
        _("Its prices are sent. Empty: no prices are sent."),
        tab="products",
        kind="reference",
        subject=Subject.PRICE_KIND,
    )
    old_price_kind: str = setting(
        "",
        _("Price kind of the old price"),
        _("Its price is shown as the one before a discount, where it is greater. Empty: none."),
        tab="products",
        kind="reference",
        subject=Subject.PRICE_KIND,
        when="price_kind",
    )
    currency: str = setting(
        "UAH",
        _("Currency"),
        _("The code of the currency there. A price in another one is not sent but set aside."),
        tab="products",
        when="price_kind",
    )
    price_step: str = setting(
        "0.01",
        _("Round prices to"),
        _("Prices become multiples of this."),
        tab="products",
        choices=tuple((step, step) for step in ("0.01", "0.1", "0.5", "1", "5", "10", "50", "100")),
        when="price_kind",
    )
    price_rounding: str = setting(
        "nearest",
        _("Rounding"),
        _("Which multiple is taken."),
        tab="products",
        choices=(("nearest", _("the nearest")), ("up", _("the next above")), ("down", _("the next below"))),
        when="price_kind",
    )
    price_jump: int = setting(
        50,
        _("Ask before a price jumps by more than so many per cent"),
        _("Such a price is set aside until a person tries it again, which confirms it. 0 never asks."),
        tab="products",
        minimum=0,
        maximum=100000,
        when="price_kind",
    )

    # --- the price list ---
    shop_name: str = setting(
        "", _("Name of the shop"), _("In the head of the price list. Empty: that of the connection."), tab="catalogue"
    )
    company: str = setting("", _("Company"), _("In the head of the price list. Empty: the name of the shop."), tab="catalogue")
    shop_url: str = setting(
        "", _("Address of the shop"), _("In the head of the price list, such as https://shop.example."), tab="catalogue"
    )
    images_url: str = setting(
        "",
        _("Address of the pictures"),
        _(
            "What stands before the path of a picture, such as https://shop.example/pictures. Empty: only whole addresses are told."
        ),
        tab="catalogue",
    )
    category_ids: dict[str, str] = setting(
        {},
        _("Their categories"),
        _("Key of a group = id of the category of the marketplace to which its goods belong."),
        tab="catalogue",
    )
    feed_params: str = setting(
        ALL,
        _("Params"),
        _("What of the goods becomes a param of the price list by itself, besides the table of attributes."),
        tab="catalogue",
        choices=(
            (ALL, _("characteristics and properties")),
            (CHARACTERISTICS, _("characteristics")),
            (MAPPED, _("only what the table says")),
        ),
    )
    sold_out: str = setting(
        NOT_AVAILABLE,
        _("Goods that are sold out"),
        _("How they stand in the price list."),
        tab="catalogue",
        choices=((NOT_AVAILABLE, _("not available")), (ON_ORDER, _("to order")), (LEFT_OUT, _("left out"))),
        when="send_stock",
    )
    feed_path: str = setting(
        "",
        _("Path to the price list"),
        _("Where it is put as well, on the machine of the hub. It is always served at its secret address."),
        tab="catalogue",
    )
    may_vanish: int = setting(
        30,
        _("Refuse to lose more than so many per cent of the goods"),
        _(
            "A price list that lacks more of the goods of the one before does not replace it, and no stock is taken back for more goods at "
            "once. 100 allows everything."
        ),
        tab="products",
        minimum=0,
        maximum=100,
    )

    def __post_init__(self) -> None:
        """Raises NeedsOwner for what cannot work. A half that comes after this one in a marketplace's settings is asked, too."""
        if not self.site_id.strip():
            raise NeedsOwner(_("Name the attribute of goods that holds the id of the site, on the tab “Products”"))
        if not self.currency.strip():
            raise NeedsOwner(_("Name the currency of the prices, such as UAH, on the tab “Products”"))
        for address in (self.images_url.strip(), self.shop_url.strip()):
            if address and urlsplit(address).scheme not in ("https", "http"):
                raise NeedsOwner(_("The address “{value}” has to begin with https://"), value=address)
        self.rows  # noqa: B018 - a table that cannot be read is refused when it is saved
        after = getattr(super(), "__post_init__", None)
        if after is not None:
            after()

    @property
    def rows(self) -> tuple[Row, ...]:
        """The table of attributes. Raises NeedsOwner that names the row."""
        return rows_of(self.attributes)

    @property
    def listings(self) -> Listings:
        return Listings(self.site_id.strip(), self.offer_id, self.unknown_cards)

    @property
    def houses(self) -> tuple[str, ...] | None:
        return self.warehouses or None

    def choice(self, **more: Any) -> Choice:
        return Choice(self.groups, **more)

    def rounded(self, price: Decimal) -> Decimal:
        step = Decimal(self.price_step)
        return (price / step).quantize(Decimal(1), ROUNDED[self.price_rounding]) * step
