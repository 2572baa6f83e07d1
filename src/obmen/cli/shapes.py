"""The JSON shapes of the command line (docs/cli.md), as they go out and, for orders, as they come in.

Decimals are strings, times ISO 8601 in UTC, ids as the outside system gave them. Lists of (name, value) become objects; where a
name repeats, its value is the list of all its values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from obmen.cli.common import sentence
from obmen.core.contract import BadRecord
from obmen.core.records import Address, Counterparty, Delivery, Order, OrderLine, Payment, Shipment, decimal_text
from obmen.core.words import gettext_noop as _

if TYPE_CHECKING:
    from obmen.store import models


# --- out -------------------------------------------------------------------------------------------------------------------


def number(value: Decimal | None) -> str | None:
    return None if value is None else decimal_text(value)


def moment(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat(timespec="seconds")


def bag(pairs: Iterable[Sequence[Any]]) -> dict[str, Any]:
    """(name, value) pairs → object; a repeated name holds the list of its values."""
    out: dict[str, Any] = {}
    for name, value in pairs:
        if name not in out:
            out[name] = value
        elif isinstance(out[name], list):
            out[name].append(value)
        else:
            out[name] = [out[name], value]
    return out


def _address(value: Address | None) -> Any:
    return None if value is None else {"text": value.text, "parts": bag(value.parts)}


def counterparty(said: Counterparty) -> dict[str, Any]:
    out = {f.name: getattr(said, f.name) for f in fields(said)}
    return out | {
        "address": _address(said.address),
        "legal_address": _address(said.legal_address),
        "contacts": bag(said.contacts),
        "requisites": bag(said.requisites),
    }


def payment(said: Payment) -> dict[str, Any]:
    out = {f.name: getattr(said, f.name) for f in fields(said)}
    return out | {"amount": number(said.amount), "date": moment(said.date), "requisites": bag(said.requisites)}


def _shipment(said: Shipment) -> dict[str, Any]:
    out = {f.name: getattr(said, f.name) for f in fields(said)}
    return out | {"amount": number(said.amount), "date": moment(said.date), "requisites": bag(said.requisites)}


def _line(said: OrderLine) -> dict[str, Any]:
    out = {f.name: getattr(said, f.name) for f in fields(said)}
    out |= {name: number(out[name]) for name in ("quantity", "price", "total", "discount", "vat_amount", "ratio")}
    return out | {"options": bag(said.options), "requisites": bag(said.requisites)}


def order(said: Order, revision: int) -> dict[str, Any]:
    out = {f.name: getattr(said, f.name) for f in fields(said)}
    delivery = said.delivery
    return out | {
        "date": moment(said.date),
        "total": number(said.total),
        "discount": number(said.discount),
        "counterparty": counterparty(said.counterparty) if said.counterparty else None,
        "lines": [_line(line) for line in said.lines],
        "delivery": {f.name: getattr(delivery, f.name) for f in fields(delivery)} | {"price": number(delivery.price)}
        if delivery
        else None,
        "payments": [payment(p) for p in said.payments],
        "shipments": [_shipment(s) for s in said.shipments],
        "requisites": bag(said.requisites),
        "revision": revision,
    }


def run(row: models.Run) -> dict[str, Any]:
    return {
        "id": row.pk,
        "connection": row.connection.name,
        "streams": row.streams.split(",") if row.streams else [],
        "state": row.state,
        "trigger": row.trigger,
        "counts": row.counts,
        "started": moment(row.started),
        "ended": moment(row.ended),
        "text": sentence(row.text, row.facts),
    }


# --- orders in -------------------------------------------------------------------------------------------------------------

OURS = ("revision",)  # what a dump says and a load passes over: the books count revisions themselves


def read_order(data: Any, zone: ZoneInfo) -> Order:
    """The shape of ``dump orders`` → record. Only ``key`` and ``date`` must be there; a date without offset is in ``zone``.

    Left out: ``number`` is the key; a line's ``total`` is quantity × price − discount; the order's ``total`` is the sum of its
    lines, and the delivery's price where no line is the delivery, less the document's discount. Raises BadRecord that names
    the field.
    """
    values = _known(Order, data, "", OURS)
    if not str(values.get("key", "")).strip():
        raise BadRecord(_("{field}: is missing"), field="key")
    lines = tuple(_read_line(item, f"lines[{i}]") for i, item in enumerate(_list(values.get("lines"), "lines")))
    delivery = _read(Delivery, values["delivery"], "delivery") if values.get("delivery") else None
    made = _read(
        Order, {k: v for k, v in values.items() if k not in PARTS} | {"number": values.get("number") or values["key"]}, "", zone
    )
    discount = made.discount
    total = made.total
    if values.get("total") is None:
        total = sum((line.total for line in lines), Decimal(0)) - discount
        if delivery and delivery.price and not any(line.kind == "delivery" for line in lines):
            total += delivery.price
    return replace(
        made,
        total=total,
        lines=lines,
        delivery=delivery,
        counterparty=_read_counterparty(values["counterparty"]) if values.get("counterparty") else None,
        payments=tuple(
            _read(Payment, p | {"order": made.key}, f"payments[{i}]", zone)
            for i, p in enumerate(_list(values.get("payments"), "payments"))
        ),
        shipments=tuple(
            _read(Shipment, s | {"order": made.key}, f"shipments[{i}]", zone)
            for i, s in enumerate(_list(values.get("shipments"), "shipments"))
        ),
    )


PARTS = ("lines", "delivery", "counterparty", "payments", "shipments")
PAIRS = ("requisites", "options", "contacts", "parts")
REQUIRED = {Order: ("key", "date"), OrderLine: ("name", "quantity", "price"), Payment: ("amount",), Shipment: (), Delivery: ()}
DEFAULTS = {Payment: {"key": ""}, Shipment: {"key": ""}, OrderLine: {"offer": ""}, Counterparty: {"key": ""}}


def _known(cls: type, data: Any, where: str, also: Sequence[str] = ()) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise BadRecord(_("{field}: an object was expected"), field=where or "line")
    names = {f.name for f in fields(cls)}
    wrong = [name for name in data if name not in names and name not in also]
    if wrong:
        raise BadRecord(_("{field}: there is no such field"), field=_path(where, wrong[0]))
    return {name: value for name, value in data.items() if name in names}


def _path(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _read(cls: type, data: Any, where: str, zone: ZoneInfo | None = None) -> Any:
    """An instance of a record class; ``None`` is the field's default. Types are read from the class's annotations."""
    values = _known(cls, data, where)
    for name in REQUIRED.get(cls, ()):
        if values.get(name) is None:
            raise BadRecord(_("{field}: is missing"), field=_path(where, name))
    kinds = {f.name: str(f.type) for f in fields(cls)}
    out = dict(DEFAULTS.get(cls, {}))
    for name, value in values.items():
        if value is not None:
            out[name] = _value(kinds[name], name, value, _path(where, name), zone)
    return cls(**out)


def _value(kind: str, name: str, value: Any, where: str, zone: ZoneInfo | None) -> Any:
    if name in PAIRS:
        return _pairs(value, where)
    if kind.startswith("Decimal"):
        return _decimal(value, where)
    if kind.startswith("datetime"):
        return _moment(value, where, zone)
    if kind.startswith("bool"):
        if not isinstance(value, bool):
            raise BadRecord(_("{field}: {value} is neither true nor false"), field=where, value=repr(value))
        return value
    if kind.startswith("Address"):
        return Address(value) if isinstance(value, str) else _read(Address, value, where)
    if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
        return decimal_text(value) if isinstance(value, Decimal) else str(value)
    raise BadRecord(_("{field}: a text was expected"), field=where)


def _decimal(value: Any, where: str) -> Decimal:
    try:
        if isinstance(value, bool):
            raise InvalidOperation
        found = Decimal(str(value).strip())
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or abs(found) >= Decimal(10) ** 12:
        raise BadRecord(_("{field}: {value} is no number that an order can hold"), field=where, value=repr(value))
    return found


def _moment(value: Any, where: str, zone: ZoneInfo | None) -> datetime:
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise BadRecord(
            _("{field}: {value} is no time; write 2026-11-21T09:30:00+02:00"), field=where, value=repr(value)
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)


def _pairs(value: Any, where: str) -> tuple[tuple[str, str], ...]:
    """An object as ``bag`` writes it, [[name, value], …], or [{"name": …, "value": …}, …]."""
    if isinstance(value, Mapping):
        return tuple((name, _text(v)) for name, said in value.items() for v in (said if isinstance(said, list) else [said]))
    try:
        return tuple(
            (str(item["name"]), _text(item["value"])) if isinstance(item, Mapping) else (str(item[0]), _text(item[1]))
            for item in _list(value, where)
        )
    except (KeyError, IndexError, TypeError):
        raise BadRecord(_("{field}: an object of name and value was expected"), field=where) from None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return decimal_text(value) if isinstance(value, Decimal) else str(value)


def _list(value: Any, where: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadRecord(_("{field}: a list was expected"), field=where)
    return value


def _read_line(data: Any, where: str) -> OrderLine:
    values = _known(OrderLine, data, where)
    said = values.pop("total", None)
    line: OrderLine = _read(OrderLine, values | {"total": 0 if said is None else said}, where)
    if line.kind not in ("product", "service", "delivery"):
        raise BadRecord(_("{field}: {value} is not product, service or delivery"), field=_path(where, "kind"), value=line.kind)
    return line if said is not None else replace(line, total=line.quantity * line.price - line.discount)


def _read_counterparty(data: Any) -> Counterparty:
    said: Counterparty = _read(Counterparty, data, "counterparty")
    if said.kind not in ("person", "company", "entrepreneur"):
        raise BadRecord(_("{field}: {value} is not person, company or entrepreneur"), field="counterparty.kind", value=said.kind)
    return said
