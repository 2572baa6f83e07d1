"""What an owner chooses about an account of a seller at Rozetka: how to get in, beside what every marketplace has."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any

from obmen.core.settings import setting
from obmen.core.words import gettext_noop as _
from obmen.market.settings import MarketSettings

ADDRESS = "https://api-seller.rozetka.com.ua"
# Their plain fields are Russian. Calls change them only in cards whose content is not the price list's.
ATTRIBUTES = json.dumps({"rows": [{"theirs": f"{name}_ua", "ours": name} for name in ("name", "description")]}, indent=2)
LANGUAGES = (("uk", _("Ukrainian")), ("ru", _("Russian")), ("en", _("English")))


def _default(name: str, value: str) -> Any:
    """A setting of every marketplace with a default of its own."""
    return field(default=value, metadata=next(f.metadata for f in fields(MarketSettings) if f.name == name))


@dataclass(frozen=True)
class RozetkaSettings(MarketSettings):
    site_id: str = _default("site_id", "ID Rozetka")
    attributes: str = _default("attributes", ATTRIBUTES)
    price_step: str = _default("price_step", "1")  # goods have whole prices (§3.1)
    address: str = setting(
        ADDRESS,
        _("API address"),
        _("Rozetka has one for all sellers. Change it only to try a connection with a sandbox."),
        identifies=True,
        place=True,
    )
    token: str = setting(
        "",
        _("Token"),
        _(
            "In the seller's cabinet: Settings → API security → API tokens, with the roles content manager and order manager."
            " It goes before login and password."
        ),
        kind="secret",
        where=(_("Settings"), _("API security"), _("API tokens"), _("Create")),
    )
    login: str = setting(
        "",
        _("Login"),
        _("Of a user of the seller's cabinet. Only needed without a token, or when the token lapses: logins may lack rights."),
        identifies=True,
    )
    password: str = setting("", _("Password"), _("As it is typed in the cabinet; it travels as base64."), kind="secret")
    language: str = setting(
        "uk", _("Language of names"), _("In which Rozetka names statuses, deliveries and its reasons."), choices=LANGUAGES
    )
