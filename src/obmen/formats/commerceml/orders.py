"""What documents of orders say, for whoever reads or writes them on either side: operations, units, payments and shipments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from decimal import Decimal

from obmen.core.records import Payment, Shipment
from obmen.formats.commerceml import values, writer
from obmen.formats.commerceml.model import Document, Unit

DELIVERY_KEY, DELIVERY_NAME = writer.DELIVERY_KEY, "Доставка заказа"
ORDER, CASHLESS, CARD, SHIPPING = writer.ORDER, "Выплата безналичных денег", "Эквайринговая операция", "Отпуск товара"
MONEY = ("Выплата наличных денег", CASHLESS, CARD)
REFUNDS = ("Возврат наличных денег", "Возврат безналичных денег")
DOCUMENT = "Документ"  # requisite of a payment: with what kind of document it was made


def flag(text: str) -> bool | None:
    """None for what is empty, and for what is neither true nor false."""
    try:
        return values.boolean(text) if text else None
    except ValueError:
        return None


def when(text: str, zone: tzinfo) -> datetime | None:
    """A moment as aware UTC; None for what is empty or none."""
    try:
        return values.utc(values.moment(text), zone)
    except ValueError:
        return None


def unit_of(said: str) -> Unit:
    """The unit with its ОКЕИ code; an unnamed one is a piece, since every line must name one or none may (1C:UT 11.5)."""
    text = said.strip() or "796"
    code = (
        text if text in writer.UNITS else next((c for c, (short, *_r) in writer.UNITS.items() if short == text.rstrip(".")), "")
    )
    if not code:
        return Unit(text)
    short, full, international = writer.UNITS[code]
    return Unit(short, code, full, international)


def subordinate(documents: Sequence[Document], zone: tzinfo) -> tuple[tuple[Payment, ...], tuple[Shipment, ...]]:
    """Payments and shipments among the documents that belong to an order: nested (2.10), or those of its container (3.1)."""
    payments, shipments = [], []
    for doc in documents:
        operation = doc.operation.strip()
        if operation in (*MONEY, *REFUNDS):
            paid = flag(doc.requisite("Оплачен") or doc.requisite("Оплачено") or "")
            payments.append(
                Payment(
                    doc.id,
                    doc.total or Decimal(0),
                    method=doc.requisite("Метод оплаты") or "",
                    method_key=doc.requisite("Метод оплаты ИД") or "",
                    number=doc.requisite("Номер платежного документа") or doc.number,
                    date=when(doc.requisite("Дата оплаты") or doc.requisite("Дата оплаты по 1С") or "", zone) or doc.moment(zone),
                    paid=bool(paid) and not doc.deleted,
                    refund=operation in REFUNDS or bool(flag(doc.requisite("Признак возврата") or "")),
                    currency=values.currency(doc.currency),
                    requisites=((DOCUMENT, operation),),
                )
            )
        elif operation == SHIPPING:
            said = doc.requisite("Дата документа отгрузки") or doc.requisite("Дата отгрузки") or ""
            shipments.append(
                Shipment(
                    doc.id,
                    number=doc.requisite("Номер документа отгрузки") or doc.number,
                    date=when(said, zone) or doc.moment(zone),
                    shipped=bool(flag(doc.requisite("Отгружен") or doc.requisite("Отгружено") or "")) and not doc.deleted,
                    tracking=doc.requisite("Идентификатор отправления") or "",
                    method=doc.requisite("Метод доставки") or "",
                    amount=doc.total,
                )
            )
    return tuple(payments), tuple(shipments)
