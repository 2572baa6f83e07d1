"""Epicentr's Merchant API. Facts on marketplaces §5.1: read from clients of sellers, not from the vendor's own text, hence few words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any

from obmen.core.contract import BadRecord, Bookmark, NeedsOwner
from obmen.core.records import Counterparty, Delivery, Order, OrderLine, Payment, Reference, Subject, plain
from obmen.core.words import gettext_noop as _
from obmen.market.api import Draft, Json, Market, Offering, OrdersPage, StatusChange, Told
from obmen.net.client import Client, NotJson

ADDRESS = "https://merchant-api.epicentrm.com.ua"
STATUSES = {
    "new": "Нове",
    "confirmed_by_merchant": "Підтверджено продавцем",
    "confirmed": "Підтверджено",
    "sent": "Відправлено",
    "delivered": "Доставлено",
    "completed": "Завершено",
    "canceled": "Скасовано",
    "canceled_by_merchant": "Скасовано продавцем",
    "returned": "Повернено",
}
WAY = tuple(STATUSES)[:6]  # no status of it can be skipped
SENT = (*WAY[1:], "canceled_by_merchant")
CASH = ("pay_on_delivery", "pay_on_pickup")
PAGE, MOST_PAGES = 100, 1000
POLLS, PAUSE = 30, 2.0  # for what becomes of prices that stand in a queue over there

NO_KEY = _("The key is not given: make one in the cabinet, Settings of the company → API, and enter it on the tab “Main”")
BAD_KEY = _("{host} does not know the key: make a new one in the cabinet, Settings of the company → API")
REFUSED = _("Epicentr refuses {path} ({status}): {reason}")
NO_NUMBER = _("“{value}” is not a number: {name} of order {order} was expected to be one")
NO_FIELD = _("Order {order} has no {name}")
NO_WAY_ON = _("Epicentr gives the same orders again and again instead of the next ones: tell its support")
NOT_LIST = _("{name} of order {order} were expected to be a list")
NOT_REACHED = _("Order {number} cannot get the status “{status}” now; it can get: {known}")
QUEUED = _("Epicentr has not yet said what becomes of “{name}”: it is told again next time")
NOT_TAKEN = _("Epicentr does not take “{name}” ({id}): {reason}")


def cancels(status: str) -> bool:
    return status.startswith("cancel") or status == "returned"


class EpicentrMarket(Market):
    title = "Epicentr"
    cards_batch = 200
    own_ids = True  # goods go by the seller's own code

    @cached_property
    def client(self) -> Client:
        if not self.s.key.strip():
            raise NeedsOwner(NO_KEY)
        key = self.s.key.strip()
        return Client.of(  # 120 requests in 60 seconds
            self.hub,
            self.s.address.strip(),
            calls=18,
            per=10.0,
            burst=15,
            headers={"Authorization": f"Bearer {key}"},
            secrets=[key],
        )

    def close(self) -> None:
        if "client" in self.__dict__:
            self.client.close()

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Json:
        """Raises BadRecord for what is refused, NeedsOwner for a key that is."""
        pairs = [(name, str(value)) for name, value in query.items() if value]
        response = self.client.call(method, path, safe=True, query=pairs, json=body)
        if response.status in (401, 403):
            raise NeedsOwner(BAD_KEY, host=response.host)
        try:
            data = response.json()
        except NotJson:
            data = {}
        if not response.ok:
            said = data.get("message") or data.get("errors") if isinstance(data, dict) else data
            raise BadRecord(REFUSED, path=path, status=response.status, reason=response.mask.text(str(said or "–")))
        return data if isinstance(data, dict) else {}

    def check(self) -> str:
        self._list(limit=1)
        return self.client.host

    def references(self, subject: Subject) -> Sequence[Reference]:
        if subject is Subject.ORDER_STATE:
            return [Reference(subject, key, name) for key, name in STATUSES.items()]
        return super().references(subject)

    # --- orders ---

    def _list(self, **query: Any) -> Json:
        try:
            return self.call("GET", "/v3/oms/orders", **{"sort[]": "-createdAt"}, **query)
        except BadRecord as error:
            raise NeedsOwner(error.text, **error.facts) from error

    def orders(self, since: Bookmark | None, moment: datetime) -> Iterator[OrdersPage]:
        """The bookmark is the day from which on orders are wanted at all. Nothing says what changed: the last days are read again."""
        wanted = datetime.fromisoformat(since["from"]) if since else moment
        start = max(wanted, self.hub.now() - timedelta(days=self.s.days)) if since else wanted
        seen: set[str] = set()
        cursor = ""
        for _page in range(MOST_PAGES):
            data = self._list(limit=PAGE, cursor=cursor)
            rows = [row for row in data.get("items") or () if isinstance(row, dict) and str(row.get("id") or "") not in seen]
            seen.update(str(row.get("id")) for row in rows)
            young = [row for row in rows if _moment(row) is None or _moment(row) >= start]  # type: ignore[operator]
            if cursor and data.get("items") and not rows:
                raise NeedsOwner(NO_WAY_ON)
            cursor = str(data.get("next") or "")
            last = not rows or len(young) < len(rows) or not cursor
            yield OrdersPage([plain(row) for row in young], {"from": wanted.isoformat()} if last else None, len(seen))
            if last:
                return

    def order(self, number: str) -> Json | None:
        try:
            return self.call("GET", f"/v5/oms/orders/{number}") or None
        except BadRecord as error:
            if error.facts.get("status") == 404:
                return None
            raise

    def order_id(self, raw: Json) -> str:
        return str(raw.get("id") or "")

    def draft(self, raw: Json) -> Draft:
        ident, number = self.order_id(raw), str(raw.get("number") or raw.get("id") or "")
        made, status = _moment(raw), str(raw.get("statusCode") or "")
        for name, value in (("id", ident), ("createdAt", made), ("statusCode", status)):
            if not value:
                raise BadRecord(NO_FIELD, order=number, name=name)
        address = _object(raw.get("address"))
        parcel = _object(address.get("shipment"))
        person = _object(address.get("recipient")) or address
        lines = tuple(
            OrderLine(
                offer=str(item.get("sku") or item.get("productExternalId") or ""),
                name=str(item.get("title") or ""),
                quantity=_amount(item.get("quantity"), "quantity", number),
                price=_amount(item.get("price"), "price", number),
                total=_amount(item.get("subtotal"), "subtotal", number),
                article=str(item.get("sku") or ""),
            )
            for item in map(_object, _list(raw.get("items"), "items", number))
        )
        provider, way = str(parcel.get("provider") or ""), str(parcel.get("paymentProvider") or "")
        total = _amount(raw.get("subtotal"), "subtotal", number)
        places = (str(_object(raw.get(name)).get("title") or "") for name in ("settlement", "office"))
        order = Order(
            key=ident,
            number=number,
            date=made,  # type: ignore[arg-type]
            state=status,
            currency="UAH",
            total=total,
            lines=lines,
            delivery=Delivery(
                method=provider,
                method_key=provider,
                address=", ".join(filter(None, places)),
                recipient=_name(person),
                phone=str(person.get("phone") or address.get("phone") or ""),
                tracking=str(parcel.get("number") or ""),
            ),
            payments=(Payment(ident, total, way, way, paid=parcel.get("paymentStatus") == "paid" and way not in CASH),)
            if way
            else (),
            comment=str(raw.get("comment") or ""),
            cancelled=cancels(status),
        )
        return Draft(
            order, {line.offer: line.offer for line in lines}, {(Subject.ORDER_STATE, status): STATUSES.get(status, status)}
        )

    def buyer(self, raw: Json) -> Counterparty | None:
        address = _object(raw.get("address"))
        phone = str(address.get("phone") or "")
        if not (phone or _name(address)):
            return None
        last, first, middle = (str(address.get(name) or "") for name in ("lastName", "firstName", "patronymic"))
        return Counterparty("", _name(address), last_name=last, first_name=first, middle_name=middle, phone=phone)

    def change_status(self, change: StatusChange, theirs: Order | None) -> Json | None:
        if change.tracking:
            known = theirs.delivery.method_key if theirs and theirs.delivery else ""
            parcel = {"provider": change.carrier or known or "nova_poshta", "number": change.tracking}
            self.call("POST", f"/v3/oms/orders/{change.order}/shipping", parcel)
        target = change.status or ("canceled_by_merchant" if change.cancels else "")
        for _step in WAY if target else ():
            allowed = [
                str(row.get("code"))
                for row in self.call("GET", f"/v2/oms/orders/{change.order}/allowed-statuses").get("items") or ()
            ]
            ahead = WAY[: WAY.index(target)] if target in WAY else ()
            step = target if target in allowed else next((status for status in reversed(ahead) if status in allowed), "")
            if not step:
                raise BadRecord(
                    NOT_REACHED, number=change.number, status=STATUSES.get(target, target), known=", ".join(allowed) or "–"
                )
            about = {"comment": change.comment, "reason_code": change.reason} if change.cancels else {}
            self.call("POST", f"/v2/oms/orders/{change.order}/change-status/to/{step}", {k: v for k, v in about.items() if v})
            if step == target:
                return self.order(change.order)
        if target:
            raise BadRecord(NOT_REACHED, number=change.number, status=STATUSES.get(target, target), known="–")
        return self.order(change.order)

    # --- goods ---

    def put(self, offerings: Sequence[Offering]) -> Iterator[Told]:
        """They keep no numbers of pieces: in stock or not."""
        rows = []
        for one in offerings:
            prices = {"price": one.price, "oldPrice": one.old_price or None}
            row: Json = {"sku": one.id, "prices": {name: float(value) for name, value in prices.items() if value is not None}}
            if one.quantity is not None:
                row["availability"] = "in_stock" if one.quantity > 0 else "not_available"
            rows.append({name: value for name, value in row.items() if value})
        answer = self.call("POST", "/v1/offers", {"items": rows})
        for poll in range(POLLS + 1):
            said = {str(row.get("sku")): row for row in answer.get("items") or () if isinstance(row, dict)}
            if poll == POLLS or not any(row.get("status") == "enqueued" for row in said.values()):
                break
            self.hub.sleep(PAUSE)
            answer = {**answer, **self.call("GET", f"/v1/offers/update-results/{answer.get('requestId')}")}
        for one in offerings:
            row = said.get(one.id, {})
            reason = "; ".join(map(str, row.get("errors") or ()))
            if row.get("status") in ("processed", "skipped") and not reason:
                yield Told(one.key)
            elif row.get("status") == "enqueued":
                yield Told(one.key, BadRecord(QUEUED, name=one.name))
            else:
                yield Told(
                    one.key, BadRecord(NOT_TAKEN, name=one.name, id=one.id, reason=reason or str(row.get("status") or "–"))
                )


def _moment(raw: Json) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(raw.get("createdAt") or "").replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: Any, name: str, order: str) -> list[Any]:
    """Raises BadRecord."""
    if value is not None and not isinstance(value, list):
        raise BadRecord(NOT_LIST, name=name, order=order)
    return value or []


def _amount(value: Any, name: str, order: str) -> Decimal:
    """Raises BadRecord: a sum that is not said is no zero."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0 or amount.adjusted() > 12:
        raise BadRecord(NO_NUMBER, value=str(value)[:40], name=name, order=order)
    return amount


def _name(person: Json) -> str:
    return " ".join(filter(None, (str(person.get(name) or "").strip() for name in ("lastName", "firstName", "patronymic"))))
