"""Epicentr as a format package: the third marketplace, in three files and without a line elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from obmen.core.records import Kind, Subject
from obmen.core.settings import setting
from obmen.core.words import gettext_noop as _
from obmen.market.connector import MarketConnector
from obmen.market.settings import MarketSettings
from obmen.market.streams import OFFERS_OUT, ORDERS_IN, STATUSES_OUT

from .market import ADDRESS, SENT, STATUSES, EpicentrMarket, cancels


@dataclass(frozen=True)
class EpicentrSettings(MarketSettings):
    address: str = setting(ADDRESS, _("API address"), _("Epicentr has one for all sellers."), identifies=True, place=True)
    key: str = setting("", _("Key"), _("In the cabinet: Settings of the company → API. It has no end."), kind="secret")
    days: int = setting(
        30,
        _("Days that orders are followed"),
        _("Epicentr does not say which orders changed: those made in so many days are read each time."),
        tab="orders",
        minimum=1,
        maximum=365,
    )


class Epicentr(MarketConnector):
    key, title = "epicentr", "Epicentr"
    settings = EpicentrSettings
    market = EpicentrMarket
    streams: ClassVar[tuple[str, ...]] = (ORDERS_IN, STATUSES_OUT, OFFERS_OUT)

    @classmethod
    def defaults(cls) -> Mapping[str, Any]:
        states = [
            {
                "subject": Subject.ORDER_STATE,
                "theirs": key,
                "theirs_name": name,
                "taken": not cancels(key),
                "outbound": key in SENT,
                "attributes": {"cancel": "yes"} if cancels(key) else {},
            }
            for key, name in STATUSES.items()
        ]
        return {"streams": [ORDERS_IN, STATUSES_OUT, OFFERS_OUT], "match": {Kind.PRODUCT: ["article"]}, "mappings": states}
