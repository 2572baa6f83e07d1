"""What an owner chooses about Prom beside what every marketplace has: whom to call, as whom, how often, and how it takes what we say."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from urllib.parse import urlsplit

from obmen.core.settings import setting
from obmen.core.words import gettext_noop as _
from obmen.market.settings import MarketSettings

VERSION = "/api/v1"  # of the API; facts on marketplaces §2.1
HOST = "https://my.prom.ua"
# What a card is told by default, where its stream is switched on: names of variants are told apart over there
ATTRIBUTES = json.dumps({"rows": [{"theirs": name, "ours": name} for name in ("description",)]}, indent=2)
CURRENCIES = {"ua": "UAH", "kz": "KZT", "md": "MDL"}  # of the site's country: orders do not say theirs

BY_ITSELF = ("price", "presence")  # §2.6: what an import changes of known cards, unless more is named and forced
NONE = "none"
IMPORTED = (
    ("name", _("name")),
    ("sku", _("article")),
    ("price", _("price")),
    ("images_urls", _("pictures")),
    ("presence", _("presence")),
    ("quantity_in_stock", _("stock")),
    ("description", _("description")),
    ("group", _("group")),
    ("keywords", _("keywords")),
    ("attributes", _("characteristics")),
    ("discount", _("discount")),
    ("labels", _("labels")),
    ("gtin", _("barcode")),
    ("mpn", _("the manufacturer's part number")),
)
MISSING = (
    (NONE, _("stay as they are")),
    ("not_available", _("are not available")),
    ("not_on_display", _("are not on display")),
    ("deleted", _("are deleted")),
)

AT_ZERO = (
    ("not_available", _("not available")),
    ("order", _("to order")),
    ("waiting", _("expected")),
    ("", _("as it is")),
)


@dataclass(frozen=True)
class PromSettings(MarketSettings):
    attributes: str = field(
        default=ATTRIBUTES, metadata=next(f.metadata for f in fields(MarketSettings) if f.name == "attributes")
    )
    address: str = setting(
        HOST,
        _("API address"),
        _("https://my.prom.ua; the same API is at my.satu.kz and my.prom.md. The path /api/v1 is added where it is left out."),
        identifies=True,
        place=True,
    )
    token: str = setting(
        "",
        _("Token"),
        _(
            "In the cabinet: Settings → Management of API tokens. It needs the rights to read and write orders and goods, and to read groups, "
            "delivery and payment options. It ends on the day that is set there."
        ),
        kind="secret",
        where=(_("Settings"), _("Management of API tokens"), _("Create a token")),
    )
    language: str = setting(
        "uk",
        _("Language"),
        _("In which Prom says names, descriptions and groups, and takes those that are sent."),
        choices=(("uk", _("Ukrainian")), ("ru", _("Russian"))),
    )
    pace: int = setting(
        25,
        _("Calls in ten seconds"),
        _("Prom does not say how many it takes. 25 is what others get along with; take less when it refuses with 429."),
        minimum=1,
        maximum=1000,
    )
    at_zero: str = setting(
        "not_available",
        _("Presence when there is no stock"),
        _("What a card says when its stock is 0. With stock it always says “available”."),
        tab="products",
        choices=AT_ZERO,
    )

    # --- the price list, carried there ---
    send_new: bool = setting(
        False,
        _("Import the price list"),
        _(
            "Whenever the price list has changed it is also sent to Prom, which makes new cards of what it does not know. Off: Prom fetches "
            "it from the address that is entered in the cabinet. Not both."
        ),
        tab="catalogue",
    )
    import_hours: int = setting(
        3,
        _("Hours between imports"),
        _("Prom takes about ten imports a day, those that are made by hand among them."),
        tab="catalogue",
        minimum=1,
        maximum=168,
        when="send_new",
    )
    import_fields: tuple[str, ...] = setting(
        BY_ITSELF,
        _("Import changes of known cards"),
        _("Whatever else the list says of a card that Prom knows stays as it is there. New cards get everything."),
        tab="catalogue",
        choices=IMPORTED,
        when="send_new",
    )
    import_missing: str = setting(
        NONE,
        _("Cards that the price list lacks"),
        _(
            "What Prom does with them. With anything but “stay as they are” each card of the shop that is not in the list is concerned, also "
            "those that were made by hand."
        ),
        tab="catalogue",
        choices=MISSING,
        when="send_new",
    )

    @property
    def base(self) -> str:
        """``https://my.prom.ua/api/v1`` from any spelling; "" when there is none."""
        text = "".join(self.address.split()).rstrip("/")
        if not text:
            return ""
        if "://" not in text:
            text = f"https://{text}"
        return text if urlsplit(text).path.strip("/") else text + VERSION

    @property
    def currency_there(self) -> str:
        """ISO 4217."""
        return CURRENCIES.get((urlsplit(self.base).hostname or "").rpartition(".")[2], "UAH")
