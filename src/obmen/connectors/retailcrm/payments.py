"""The sink of the stream ``payments-out``: payments of the books for orders that the CRM knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from obmen.connectors.retailcrm import outgoing
from obmen.connectors.retailcrm.api import Crm, Json, NotFound, listed, mapping
from obmen.connectors.retailcrm.settings import PAYMENTS_OUT
from obmen.core.contract import BadRecord, Change, Links, MissingLink, Outcome
from obmen.core.names import Names
from obmen.core.records import Kind
from obmen.core.words import gettext_noop as _

NOT_THERE = _("The order of the payment is not in the CRM: the payment is sent when it is")
NOT_SENT = _("A payment belongs to an order that is not in the CRM: it is not sent")
ORDER_GONE = _("The order of the payment is no longer in the CRM: the payment is not sent")


class PaymentsOut:
    stream = PAYMENTS_OUT
    kind = Kind.PAYMENT
    batch = 20
    creates = True
    compares = False

    def __init__(self, crm: Crm) -> None:
        self.crm, self.s, self.hub = crm, crm.s, crm.hub
        self.names = Names(crm.hub)

    def external_id(self, record: Any) -> str | None:
        return None

    def render(self, record_id: int, record: Any, links: Links) -> Json | None:
        """None for a payment that has never been paid and was made here: the CRM would get a debt instead of a payment."""
        if not record.order:
            raise BadRecord(outgoing.PAY_NO_ORDER)
        try:
            order = links.external_id(Kind.ORDER, record.order)
        except MissingLink as error:
            if not self.s.send_own:  # the order never goes there, and neither does its payment
                self.hub.report("info", NOT_SENT)
                return None
            raise MissingLink(NOT_THERE, kind=str(Kind.ORDER), id=error.facts.get("id", record.order)) from None
        if not record.paid:
            try:
                links.external_id(Kind.PAYMENT, record_id)
            except MissingLink:
                return None
        made = outgoing.payment(record, order, self.hub, self.names, self.crm.zone)
        return made if record.key else made | {"externalId": f"obmen.{record_id}"}

    def write(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        for change in changes:
            try:
                number = self._edit(change) if change.external_id else self._create(change)
            except BadRecord as error:
                yield Outcome(change.key, error=error)
            else:
                yield Outcome(change.key, number)

    def _edit(self, change: Change) -> str:
        """A payment that is gone over there is made again."""
        try:
            self._write(str(change.external_id), change.payload)
        except NotFound:
            return self._create(change, look=True)
        return str(change.external_id)

    def _write(self, number: str, payment: Json) -> None:
        fields = {name: value for name, value in payment.items() if name not in ("order", "externalId")}
        self.crm.post(f"/api/v5/orders/payments/{number}/edit", safe=True, by="id", site=self.crm.site, payment=fields)

    def _create(self, change: Change, look: bool = False) -> str:
        payment: Json = change.payload
        if (change.unsure or look) and (known := self._known(payment)):
            self._write(known, payment)  # as it is now: it may have been changed since its answer got lost
            return known
        try:
            made = self.crm.post("/api/v5/orders/payments/create", safe=False, site=self.crm.site, payment=payment)
        except NotFound:
            raise BadRecord(ORDER_GONE) from None
        return str(made["id"])

    def _known(self, payment: Json) -> str:
        """The CRM's id of the payment that carries our key, "" when there is none."""
        try:
            order = mapping(self.crm.get(f"/api/v5/orders/{payment['order']['id']}", by="id").get("order"))
        except NotFound:
            raise BadRecord(ORDER_GONE) from None
        payments = (p for p in listed(order.get("payments")) if isinstance(p, dict))
        return next((str(p["id"]) for p in payments if p.get("externalId") == payment["externalId"]), "")
