"""The shops there are, by the key that ``--profile`` takes."""

from __future__ import annotations

from typing import Any

from obmen.sandbox.shop.base import Shop
from obmen.sandbox.shop.bitrix import Bitrix
from obmen.sandbox.shop.cs_cart import CsCartNew, CsCartOld
from obmen.sandbox.shop.getmeback import GetMeBack
from obmen.sandbox.shop.opencart import OpenCart
from obmen.sandbox.shop.woocommerce import WooCommerce

PROFILES: dict[str, type[Shop]] = {one.key: one for one in (Shop, CsCartOld, CsCartNew, Bitrix, OpenCart, WooCommerce, GetMeBack)}


def make(profile: str = "generic", **args: Any) -> Shop:
    """A shop of this profile, empty. Raises KeyError for an unknown profile, TypeError for a setting it has not."""
    return PROFILES[profile](**args)
