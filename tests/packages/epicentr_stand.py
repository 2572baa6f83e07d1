"""As much of Epicentr's Merchant API as facts on marketplaces §5.1 tell, with data in memory."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from obmen.sandbox.stand import Answer, Request, Stand, dumps

Json = dict[str, Any]
NEXT = {
    "new": ("confirmed_by_merchant", "canceled_by_merchant"),
    "confirmed_by_merchant": ("confirmed", "canceled_by_merchant"),
    "confirmed": ("sent", "canceled_by_merchant"),
    "sent": ("delivered", "returned"),
    "delivered": ("completed",),
}


class EpicentrStand(Stand):
    title = "Epicentr"
    prefix = "/api"

    def __init__(self, key: str = "k", **kw: Any) -> None:
        super().__init__(**kw)
        self.key, self.orders, self.offers = key, dict[str, Json](), dict[str, Json]()
        self.queue: dict[str, list[Json]] = {}
        self.asked_results = 0

    def buy(self, **items: int) -> Json:
        """An order of so many pieces of each sku, at 100 each."""
        number = 7000000 + len(self.orders)
        rows = [
            {"title": sku, "sku": sku, "productExternalId": str(at), "quantity": count, "price": 100, "subtotal": 100 * count}
            for at, (sku, count) in enumerate(items.items())
        ]
        order = {
            "id": f"00000000-0000-4000-8000-{number:012d}",
            "number": str(number),
            "statusCode": "new",
            "createdAt": (self.now() + timedelta(seconds=len(self.orders))).isoformat(),
            "subtotal": sum(int(row["subtotal"]) for row in rows),  # type: ignore[call-overload]
            "comment": "",
            "address": {
                "firstName": "Олена",
                "lastName": "Коваль",
                "patronymic": "",
                "phone": "+380671234567",
                "recipient": None,
                "shipment": {
                    "provider": "nova_poshta",
                    "number": None,
                    "paymentProvider": "pay_on_delivery",
                    "paymentStatus": "new",
                },
            },
            "settlement": {"title": "Львів"},
            "office": {"title": "Відділення №7"},
            "items": rows,
        }
        with self.lock:
            self.orders[str(order["id"])] = order
        return order

    def throttled(self, seconds: int) -> Answer:
        return Answer(dumps({"message": "Too many requests"}), 429, headers=(("Retry-After", str(seconds)),))

    def expire(self, request: Request) -> None:
        self.key += "x"

    def page(self, request: Request) -> Answer:
        return Answer(b"")

    def respond(self, request: Request) -> Answer:
        if request.bearer != self.key:
            return Answer(dumps({"message": "Unauthorized"}), 401)
        path, said = request.path.removeprefix(self.prefix), json.loads(request.body) if request.body else {}
        for pattern, method in (
            (r"GET /v3/oms/orders", self._orders),
            (r"GET /v5/oms/orders/([\w-]+)", self._order),
            (r"GET /v2/oms/orders/([\w-]+)/allowed-statuses", self._allowed),
            (r"POST /v2/oms/orders/([\w-]+)/change-status/to/(\w+)", self._status),
            (r"POST /v3/oms/orders/([\w-]+)/shipping", self._shipping),
            (r"POST /v1/offers", self._offers),
            (r"GET /v1/offers/update-results/([\w-]+)", self._results),
        ):
            if found := re.fullmatch(pattern, f"{request.method} {path}"):
                status, body = method(*found.groups(), said={**dict(parse_qsl(request.query)), **said})
                return Answer(dumps(body), status)
        return Answer(dumps({"message": "Not found"}), 404)

    def _orders(self, said: Json) -> tuple[int, Json]:
        rows = sorted(self.orders.values(), key=lambda o: datetime.fromisoformat(o["createdAt"]).astimezone(UTC), reverse=True)
        limit, at = min(int(said.get("limit", 20)), 100), int(said.get("cursor") or 0)
        more = str(at + limit) if at + limit < len(rows) else None
        return 200, {"items": rows[at : at + limit], "current": str(at), "next": more, "prev": None, "limit": limit}

    def _order(self, ident: str, said: Json) -> tuple[int, Json]:
        return (200, self.orders[ident]) if ident in self.orders else (404, {"message": "Not found"})

    def _allowed(self, ident: str, said: Json) -> tuple[int, Json]:
        return 200, {"items": [{"code": code} for code in NEXT.get(self.orders[ident]["statusCode"], ())]}

    def _status(self, ident: str, status: str, said: Json) -> tuple[int, Json]:
        order = self.orders[ident]
        if status not in NEXT.get(order["statusCode"], ()):
            return 422, {"message": "Status is not allowed"}
        if status == "sent" and not order["address"]["shipment"]["number"]:
            return 422, {"message": "Shipment number is required"}
        order["statusCode"] = status
        self.writes["status"] += 1
        return 200, {}

    def _shipping(self, ident: str, said: Json) -> tuple[int, Json]:
        self.orders[ident]["address"]["shipment"].update(provider=said["provider"], number=said["number"])
        self.writes["shipping"] += 1
        return 200, {}

    def _offers(self, said: Json) -> tuple[int, Json]:
        rows = []
        for at, item in enumerate(said["items"]):
            known = self.offers.get(item["sku"])
            if known is None:
                rows.append(
                    {"id": str(at), "idType": "sku", "sku": item["sku"], "status": "forbidden", "errors": ["SKU not found"]}
                )
                continue
            known.update({k: v for k, v in item.items() if k != "sku"})
            self.writes["offers"] += 1
            rows.append({"id": str(at), "idType": "sku", "sku": item["sku"], "status": "enqueued", "errors": []})
        ident = f"r-{len(self.queue)}"
        self.queue[ident] = rows
        return 200, {"total": len(rows), "requestId": ident, "items": rows}

    def _results(self, ident: str, said: Json) -> tuple[int, Json]:
        """Done when it is asked for the second time."""
        self.asked_results += 1
        if self.asked_results > 1:
            for row in self.queue[ident]:
                row["status"] = "processed" if row["status"] == "enqueued" else row["status"]
        return 200, {"items": self.queue[ident]}
