"""A marketplace in memory for tests of the streams of orders: small, and as unpleasant as real ones.

It tells changed orders with an overlap, counts views in their JSON, lets a status be reached from some others only, refuses, and may
lose an answer after it has done what was asked.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from django.utils import timezone

from obmen.core import contract
from obmen.core.contract import BadRecord, Bookmark, TryLater
from obmen.core.records import Address, Counterparty, Delivery, Kind, Order, OrderLine, Payment, Reference, Subject
from obmen.market.api import Draft, Json, Market, OrdersPage, StatusChange
from obmen.market.orders import OrdersIn
from obmen.market.orders_settings import ORDER_TABLES, OrdersSettings
from obmen.market.settings import TABS
from obmen.market.statuses import StatusesOut
from obmen.store import connections, mappings, models
from obmen.store.mappings import MappingRow
from obmen.work import jobs
from obmen.work import run as runs

PAGE = 2
OVERLAP = timedelta(hours=1)
NEXT = {
    "new": ("received", "canceled"),
    "received": ("sent", "canceled"),
    "paid": ("sent", "canceled"),
    "sent": ("done",),
    "done": (),
    "canceled": (),
}


@dataclass
class Shop:
    """What stands over there, and what was asked of it."""

    orders: dict[str, Json] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    told: list[StatusChange] = field(default_factory=list)
    break_after: int | None = None  # pages of orders, then it is closed
    lose_answer: bool = False  # the next change is done, its answer gets lost
    ignores: str = ""  # what is taken and not done: "status", "ttn"
    spaceless: bool = False  # tracking numbers are kept so, and in capitals
    moves_on: str = ""  # the status that an order gets by itself when a change was made

    def order(self, ident: str = "1", *, status: str = "new", made: datetime | None = None, **more: Any) -> Json:
        now = timezone.now()
        self.orders[ident] = {
            "id": int(ident),
            "number": f"N{ident}",
            "made": (made or now).isoformat(),
            "changed": now.isoformat(),
            "status": status,
            "buyer": {
                "id": f"b{ident}",
                "first": "Іван",
                "last": "Петренко",
                "phone": "+38 (050) 111-22-33",
                "mail": "ivan@example.com",
            },
            "items": [item()],
            "total": "200",
            "delivery": {"id": "13", "name": "Нова Пошта", "address": "Київ, відділення 5"},
            "pay": {"id": "card", "name": "Картка", "paid": True},
            "note": "подзвоніть",
            "ttn": "",
            "views": 0,
            **more,
        }
        return self.orders[ident]

    def edit(self, ident: str, **more: Any) -> None:
        self.orders[ident] |= {"changed": timezone.now().isoformat(), **more}


def item(card: str = "c1", **more: Any) -> Json:
    return {"id": f"l-{card}", "card": card, "name": "Чашка", "qty": "2", "price": "100", **more}


class KitMarket(Market):
    title = "Kit market"
    statuses = tuple(Reference(Subject.ORDER_STATE, s, s.title()) for s in NEXT)
    shop: ClassVar[Shop]

    def check(self) -> str:
        return "connected"

    def orders(self, since: Bookmark | None, moment: datetime) -> Iterator[OrdersPage]:
        start = datetime.fromisoformat(since["changed"]) - OVERLAP if since else moment
        self.shop.calls.append(f"orders since {start.isoformat()}")
        changed = [o for o in self.shop.orders.values() if datetime.fromisoformat(o["changed"]) >= start]
        changed.sort(key=lambda o: str(o["changed"]))
        for at in range(0, len(changed), PAGE):
            if self.shop.break_after is not None and at // PAGE >= self.shop.break_after:
                raise TryLater("The market is closed")
            page = changed[at : at + PAGE]
            for order in page:
                order["views"] += 1
            bookmark = {"changed": page[-1]["changed"]}
            yield OrdersPage([copy.deepcopy(o) for o in page], bookmark, min(at + PAGE, len(changed)), len(changed))

    def order(self, number: str) -> Json | None:
        self.shop.calls.append(f"order {number}")
        found = self.shop.orders.get(number)
        return copy.deepcopy(found) if found else None

    def order_id(self, raw: Json) -> str:
        if "id" not in raw:
            raise BadRecord("This is no order")
        return str(raw["id"])

    def used(self, raw: Json) -> Json:
        return {name: value for name, value in raw.items() if name not in ("views", "changed")}

    def buyer(self, raw: Json) -> Counterparty | None:
        said = raw.get("buyer")
        if not said:
            return None
        name = f"{said.get('last', '')} {said.get('first', '')}".strip()
        return Counterparty(
            said.get("id", ""), name, last_name=said.get("last", ""), first_name=said.get("first", ""), phone=said.get("phone", ""),
            email=said.get("mail", ""), address=Address(raw["delivery"]["address"]) if raw.get("delivery") else None,
        )  # fmt: skip

    def draft(self, raw: Json) -> Draft:
        try:
            return self._draft(raw)
        except (KeyError, TypeError, ValueError, InvalidOperation) as error:
            raise BadRecord("This order cannot be read: {reason}", reason=str(error)) from None

    def _draft(self, raw: Json) -> Draft:
        lines = tuple(
            OrderLine(i["card"], i["name"], Decimal(i["qty"]), Decimal(i["price"]), Decimal(i["qty"]) * Decimal(i["price"]),
                      article=i.get("sku", ""), key=i["id"], requisites=(("barcode", i["barcode"]),) if i.get("barcode") else ())
            for i in raw["items"]
        )  # fmt: skip
        way, pay = raw["delivery"], raw["pay"]
        price = Decimal(way["price"]) if way and way.get("price") else None
        order = Order(
            key=str(raw["id"]),
            number=raw["number"],
            date=datetime.fromisoformat(raw["made"]).astimezone(UTC),
            state=raw["status"],
            currency="UAH",
            total=Decimal(raw["total"]),
            lines=lines,
            delivery=Delivery(way["name"], way["id"], price, address=way["address"], tracking=raw["ttn"]) if way else None,
            payments=(Payment("", Decimal(raw["total"]), pay["name"], pay["id"], paid=bool(pay["paid"])),) if pay else (),
            comment=raw["note"],
            cancelled=raw["status"] == "canceled",
            cancel_reason=raw.get("reason", ""),
            paid=pay["paid"] if pay else None,
        )
        codes = {i["card"]: i["code"] for i in raw["items"] if i.get("code")}
        return Draft(order, codes, {(Subject.ORDER_STATE, raw["status"]): raw["status"].title()})

    def change_status(self, change: StatusChange, theirs: Order | None) -> Json | None:
        self.shop.told.append(change)
        raw = self.shop.orders[change.order]
        status = change.status or ("canceled" if change.cancels else "")
        if status and status not in NEXT[raw["status"]]:
            can = ", ".join(NEXT[raw["status"]]) or "–"
            raise BadRecord("Order {number} cannot become {status}, only: {can}", number=change.number, status=status, can=can)
        if status and self.shop.ignores != "status":
            raw |= {"status": status, "reason": change.reason}
        if change.tracking and self.shop.ignores != "ttn":
            ttn = change.tracking.replace(" ", "").upper() if self.shop.spaceless else change.tracking
            raw |= {"ttn": ttn, "carrier": change.carrier}
        if self.shop.moves_on:
            raw["status"] = self.shop.moves_on
        raw["changed"] = timezone.now().isoformat()
        if self.shop.lose_answer:
            self.shop.lose_answer = False
            raise TryLater("The answer got lost")
        return copy.deepcopy(raw)


class KitConnector(contract.Connector):
    key, title = "kit", "Kit market"
    settings = OrdersSettings
    streams = ("orders-in", "statuses-out")
    calls_out = True
    tables = ORDER_TABLES
    tabs = TABS[2:]

    def check(self) -> str:
        return "connected"

    def sources(self) -> Sequence[contract.Source]:
        return (OrdersIn(KitMarket(self.s, self.hub)),)  # type: ignore[arg-type]

    def sinks(self) -> Sequence[contract.Sink]:
        return (StatusesOut(KitMarket(self.s, self.hub)),)  # type: ignore[arg-type]


class Hub:
    """A connection to the kit's market, and what a test does with it."""

    def __init__(self, shop: Shop, **settings: Any) -> None:
        self.shop = shop
        self.connection, _password = connections.create("kit", "Kit", settings=settings)
        self.statuses(
            MappingRow("new", ours="New", sent=False),
            MappingRow("received", ours="Accepted"),
            MappingRow("sent", ours="Shipped"),
            MappingRow("done", ours="Done"),
            MappingRow("canceled", ours="Cancelled", attributes={"cancel": "yes"}),
            MappingRow("paid", ours="Paid", taken=False, sent=False),
        )

    def statuses(self, *rows: MappingRow) -> None:
        mappings.save(self.connection, Subject.ORDER_STATE, "each", rows)

    def map(self, subject: Subject, direction: str, *rows: MappingRow) -> None:
        mappings.save(self.connection, subject, direction, rows)

    def set(self, **settings: Any) -> None:
        connections.update(self.connection, settings)

    def run(self, *streams: str, state: str = "done", **args: Any) -> models.Run:
        done = runs.execute_here(jobs.ask(self.connection, streams or ("orders-in",), trigger="person", args=args))
        assert done.state == state, (done.state, done.text, done.facts)
        return done

    def begin(self) -> None:
        """From now on: what is there already is not loaded."""
        self.run()

    def said(self, run: models.Run) -> dict[str, int]:
        """Finished sentences of a run, with how often each was said."""
        return {line.text.format(**line.facts): line.count for line in run.lines.all()}


def counted(run: models.Run) -> dict[str, int]:
    return {name: n for name, n in run.counts.items() if n}


def card(key: str = "A", *, code: str = "", article: str = "", barcode: str = "", name: str = "Чашка синя") -> models.Offer:
    product = models.Product.objects.create(key=key, code=code, article=article, barcode=barcode, name=name)
    return models.Offer.objects.create(key=key, product=product, name=name)


def link(hub: Hub, site_id: str, offer: models.Offer) -> None:
    models.Link.objects.create(connection=hub.connection, kind=Kind.OFFER, external_id=site_id, record_id=offer.pk)
