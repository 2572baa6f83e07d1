"""What the tests of Prom share: an account on a real socket, a hub in memory, and orders as Prom says them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.memory_hub import MemoryHub
from obmen.connectors.prom.account import PromMarket
from obmen.connectors.prom.settings import PromSettings
from obmen.core.settings import load
from obmen.market.api import Offering, StatusChange
from obmen.sandbox.prom import Prom, serve
from sandbox.market_calls import Clock

CUBE, BALL = "SKU-1001", "SKU-1002"
NBSP = "\u00a0"


class Account:
    """The shop, and our side of it. ``clock`` is that of the shop and of the hub."""

    def __init__(self, folder: Path, shop: Prom, url: str, clock: Clock) -> None:
        self.shop, self.url, self.clock = shop, url, clock
        self.hub = MemoryHub(folder, clock=clock.time)
        self.given: dict[str, Any] = {"address": url, "token": "sandbox-token", "pace": 1000}
        self._open: list[PromMarket] = []

    def market(self, **settings: Any) -> PromMarket:
        self.hub.clock = self.clock.time
        self._open.append(PromMarket(load(PromSettings, self.given | settings), self.hub))
        return self._open[-1]

    def numbers(self, since: Mapping[str, Any] | None = None, moment: datetime | None = None) -> tuple[list[int], Any]:
        """(numbers of the orders that are read, the bookmark after them)."""
        found: list[int] = []
        bookmark = None
        for page in self.market().orders(since, moment or datetime(2026, 1, 1, tzinfo=UTC)):
            found += [order["id"] for order in page.orders]
            bookmark = page.bookmark or bookmark
        return found, bookmark

    def change(self, order: int, **change: Any) -> Any:
        return self.market().change_status(StatusChange(str(order), str(order), **change), None)

    def put(self, *offerings: Offering, **settings: Any) -> dict[str, str]:
        """Key → what is wrong, "" when it was told."""
        return {told.key: str(told.error or "") for told in self.market(**settings).put(offerings)}

    def asked(self, path: str = "", method: str = "") -> list[Any]:
        return self.shop.calls(path, method)

    def queries(self, path: str) -> list[dict[str, str]]:
        from urllib.parse import parse_qsl

        return [dict(parse_qsl(call.query)) for call in self.asked(path)]

    def close(self) -> None:
        for market in self._open:
            market.close()


@contextmanager
def running(folder: Path, **settings: Any) -> Iterator[Account]:
    clock = Clock()
    shop = Prom(clock=clock, **settings)
    shop.add_product("Кубик дерев'яний", "571", 12, external_id=CUBE, sku=CUBE, name_ru="Кубик деревянный")
    shop.add_product("М'яч", "120.5", 40, external_id=BALL, sku="B-2")
    with serve(shop) as server:
        account = Account(folder, shop, server.url, clock)
        try:
            yield account
        finally:
            account.close()


def order(**changes: Any) -> dict[str, Any]:
    """One order as ``/orders/list`` gives it (facts §2.2)."""
    return {
        "id": 400000001,
        "date_created": "2026-09-23T12:34:56.588791+03:00",
        "date_modified": "2026-09-23T12:40:10.100000+03:00",
        "client_first_name": "Іван",
        "client_second_name": "",
        "client_last_name": "Петренко",
        "client_id": 9900001,
        "client": {"id": 9900001, "first_name": "Іван", "last_name": "Петренко", "second_name": "", "phone": "+380501112233"},
        "client_notes": "Передзвоніть після 18:00",
        "phone": "+380501112233",
        "email": "ivan@example.com",
        "price": f"1{NBSP}713{NBSP}грн",
        "full_price": f"1{NBSP}783{NBSP}грн",
        "delivery_cost": 70,
        "delivery_recipient": {"first_name": "Олена", "last_name": "Петренко", "second_name": "", "phone": "+380671112233"},
        "delivery_option": {"id": 11111, "name": "Нова Пошта", "shipping_service": None},
        "delivery_address": "Київ, Відділення №253 (до 30 кг): вул. Щербаківського, 59",
        "delivery_provider_data": {
            "provider": "nova_poshta",
            "type": "W2W",
            "sender_warehouse_id": None,
            "recipient_warehouse_id": "w-253",
            "declaration_number": "",
            "unified_status": None,
            "recipient_address": {"city_id": "c-1", "city_name": "Київ", "warehouse_id": "w-253", "street_name": None},
        },
        "payment_option": {"id": 22222, "name": "Пром-оплата"},
        "payment_data": {"type": "evopay", "status": "paid", "status_modified": "2026-09-23T12:36:32.000000+03:00"},
        "status": "paid",
        "status_name": "Оплачено",
        "source": "portal",
        "price_with_special_offer": None,
        "special_offer_discount": None,
        "special_offer_promocode": None,
        "has_order_promo_free_delivery": True,
        "cpa_commission": {"amount": "51.39", "is_refunded": False},
        "utm": {"medium": "organic", "source": "example", "campaign": None},
        "dont_call_customer_back": True,
        "cancellation": None,
        "products": [
            {
                "id": 1500000001,
                "external_id": CUBE,
                "sku": CUBE,
                "name": "Кубик дерев'яний",
                "name_multilang": {"uk": "Кубик дерев'яний", "ru": "Кубик деревянный"},
                "image": "https://images.example.com/1.jpg",
                "url": "https://market.example.com/p1500000001.html",
                "quantity": 3.0,
                "price": f"571{NBSP}грн",
                "total_price": f"1{NBSP}713{NBSP}грн",
                "measure_unit": "шт.",
                "cpa_commission": {"amount": "51.39"},
            }
        ],
    } | changes
