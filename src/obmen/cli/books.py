"""dump, load, validate: the books as JSON lines, exchange files in and out of a folder. Constant memory."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from decimal import Decimal
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from obmen.cli import shapes
from obmen.cli.common import BAD_DATA, OK, NoDatabase, explain, find_connection, say, sentence, start, tell
from obmen.cli.shapes import bag, moment, number
from obmen.core.contract import BadRecord
from obmen.core.words import gettext_noop as _

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from obmen.core.records import Order
    from obmen.store.models import Connection

ORDERS_TOGETHER = 500  # saved in one transaction
Rows = Iterator[dict[str, Any]]
PAGE = 2000
load = typer.Typer(help="Put things into the books.", no_args_is_help=True)


class DumpKind(StrEnum):
    PRODUCTS = "products"
    OFFERS = "offers"
    PRICES = "prices"
    STOCK = "stock"
    GROUPS = "groups"
    COUNTERPARTIES = "counterparties"
    ORDERS = "orders"
    PAYMENTS = "payments"
    LINKS = "links"
    OUTBOX = "outbox"
    PARKED = "parked"
    RUNS = "runs"


def register(app: typer.Typer) -> None:
    app.command()(dump)
    app.command()(validate)
    app.add_typer(load, name="load")


def dump(
    kind: Annotated[DumpKind, typer.Argument(help="What to print.")],
    connection: Annotated[str, typer.Option(help="Only what belongs to this connection.")] = "",
) -> None:
    """Print records of the books, one JSON object a line, oldest first."""
    start()
    owner = find_connection(connection) if connection else None
    write = sys.stdout.write
    encode = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode
    try:
        for row in DUMPS[kind](owner):
            write(encode(row) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# --- goods -----------------------------------------------------------------------------------------------------------------


def _linked(kind: str, owner: Connection) -> QuerySet[Any]:
    from obmen.store.models import Link

    return Link.objects.filter(connection=owner, kind=kind).values("record_id")


def _products(owner: Connection | None) -> Rows:
    from obmen.store.models import Product

    resolve, units = _properties(), _units()
    rows = Product.objects.order_by("id")
    if owner:
        rows = rows.filter(pk__in=_linked("product", owner))
    columns = ("key", "article", "name", "full_name", "barcode", "unit", "groups", "vat_rate", "description", "kind", "deleted")
    for row in rows.values(*columns, "properties", "requisites", "pictures").iterator(PAGE):
        row["unit"] = units.get(row["unit"], row["unit"])
        row["properties"] = resolve(row["properties"])
        row["requisites"] = bag(row["requisites"])
        yield row


def _properties() -> Callable[[list[Any]], dict[str, Any]]:
    """[[property key, [values]]] → {name: value or list}. A property that is not known, or whose name another one of the
    product has too, stays under its key; a value that its dictionary does not hold stays as said."""
    from obmen.store.models import Property

    known = {p.key: (p.name, dict(p.values)) for p in Property.objects.order_by("-id").iterator()}

    def resolve(said: list[Any]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, values in said:
            name, texts = known.get(key, (key, {}))
            shown = [texts.get(value, value) for value in values]
            out[key if name in out else name] = shown[0] if len(shown) == 1 else shown
        return out

    return resolve


def _units() -> dict[str, str]:
    from obmen.store.models import Reference

    units: dict[str, str] = {}
    for row in Reference.objects.filter(subject="unit").order_by("id"):
        for said in (row.key, row.attributes.get("code", "")):
            if said:
                units.setdefault(said, row.name)
    return units


def _offers(owner: Connection | None) -> Rows:
    from obmen.store.models import Offer

    rows = Offer.objects.order_by("id")
    if owner:
        rows = rows.filter(pk__in=_linked("offer", owner))
    names = ("key", "product__key", "name", "article", "barcode", "characteristics", "deleted")
    for key, product, name, article, barcode, characteristics, deleted in rows.values_list(*names).iterator(PAGE):
        yield {
            "key": key,
            "product": product,
            "name": name,
            "article": article,
            "barcode": barcode,
            "characteristics": bag(characteristics),
            "deleted": deleted,
        }


def _prices(owner: Connection | None) -> Rows:
    from obmen.store.models import Price

    rows = Price.objects.order_by("offer_id", "kind_id", "min_quantity")
    if owner:
        rows = rows.filter(offer_id__in=_linked("offer", owner))
    names = ("offer__key", "kind__key", "value", "currency", "min_quantity")
    for offer, kind, value, currency, least in rows.values_list(*names).iterator(PAGE):
        row = {"offer": offer, "kind": kind, "value": number(value), "currency": currency}
        yield row | {"min_quantity": number(least)} if least else row


def _stock(owner: Connection | None) -> Rows:
    from obmen.store.models import StockLevel
    from obmen.store.reservations import Reserved

    rows = StockLevel.objects.order_by("offer_id", "warehouse_id")
    if owner:
        rows = rows.filter(offer_id__in=_linked("offer", owner))
    reserved = Reserved()
    names = ("offer__key", "warehouse__key", "quantity", "offer__stock_said")
    for offer, warehouse, quantity, said in rows.values_list(*names).iterator(PAGE):
        row = {"offer": offer, "warehouse": warehouse, "quantity": number(quantity)}
        sold = reserved.of(offer, said)
        yield row | {"reserved": number(sold)} if sold else row


def _groups(owner: Connection | None) -> Rows:
    from obmen.store.models import Group

    rows = Group.objects.order_by("id")
    if owner:
        rows = rows.filter(source=owner)
    for row in rows.values("key", "name", "parent_key", "description", "deleted").iterator(PAGE):
        yield {k if k != "parent_key" else "parent": v for k, v in row.items()}


# --- people and documents --------------------------------------------------------------------------------------------------


def _counterparties(owner: Connection | None) -> Rows:
    from obmen.store.models import Counterparty

    rows = Counterparty.objects.order_by("id")
    if owner:
        rows = rows.filter(source=owner)
    columns = (
        "key",
        "name",
        "kind",
        "full_name",
        "last_name",
        "first_name",
        "middle_name",
        "inn",
        "kpp",
        "okpo",
        "phone",
        "email",
    )
    for row in rows.values(*columns, "address", "legal_address", "contacts", "requisites", "deleted").iterator(PAGE):
        for name in ("address", "legal_address"):
            if row[name]:
                row[name] = {"text": row[name].get("text", ""), "parts": bag(row[name].get("parts", ()))}
        yield row | {"contacts": bag(row["contacts"]), "requisites": bag(row["requisites"])}


def _orders(owner: Connection | None) -> Rows:
    from obmen.store import orders
    from obmen.store.models import Order

    rows = orders.with_parts(Order.objects.order_by("id"))
    if owner:
        rows = rows.filter(source=owner)
    for row in rows.iterator(500):
        yield shapes.order(orders.order_record(row), row.revision)


def _payments(owner: Connection | None) -> Rows:
    from obmen.store.models import Payment

    rows = Payment.objects.order_by("id")
    if owner:
        rows = rows.filter(source=owner)
    columns = ("key", "number", "date", "amount", "currency", "method", "method_key", "gateway", "paid", "refund", "requisites")
    for row in rows.values("order__key", *columns).iterator(PAGE):
        changed = {"amount": number(row["amount"]), "date": moment(row["date"]), "requisites": bag(row["requisites"])}
        yield {"order": row.pop("order__key")} | row | changed


# --- exchange --------------------------------------------------------------------------------------------------------------


def _keys(kind: str, ids: list[int]) -> dict[int, str]:
    """Our keys of records of a kind, by id."""
    from obmen.store import models

    tables: dict[str, Any] = {
        "group": models.Group,
        "property": models.Property,
        "reference": models.Reference,
        "product": models.Product,
        "variant": models.Offer,
        "offer": models.Offer,
        "prices": models.Offer,
        "stock": models.Offer,
        "counterparty": models.Counterparty,
        "order": models.Order,
        "payment": models.Payment,
        "shipment": models.Shipment,
    }
    return dict(tables[kind].objects.filter(pk__in=ids).values_list("pk", "key"))


def _with_keys(rows: Iterator[dict[str, Any]], shape: Callable[[dict[str, Any], str | None], dict[str, Any]]) -> Rows:
    """Rows of {kind, record_id, …}, some at a time, with the keys of their records."""
    page: list[dict[str, Any]] = []

    def shaped() -> Rows:
        keys: dict[tuple[str, int], str] = {}
        for kind, its in groupby(sorted(page, key=lambda r: r["kind"]), key=lambda r: r["kind"]):
            keys |= {(kind, pk): key for pk, key in _keys(kind, [r["record_id"] for r in its]).items()}
        for row in page:
            yield shape(row, keys.get((row["kind"], row["record_id"])))

    for row in rows:
        page.append(row)
        if len(page) == 500:
            yield from shaped()
            page.clear()
    yield from shaped()


def _names() -> dict[int, str]:
    from obmen.store.models import Connection

    return dict(Connection.objects.values_list("pk", "name"))


def _links(owner: Connection | None) -> Rows:
    from obmen.store.models import Link

    rows, names = Link.objects.order_by("id"), _names()
    if owner:
        rows = rows.filter(connection=owner)
    columns = ("connection_id", "kind", "external_id", "record_id", "sent_version", "gone")
    return _with_keys(
        rows.values(*columns).iterator(PAGE),
        lambda row, key: {
            "connection": names.get(row["connection_id"]),
            "kind": row["kind"],
            "external_id": row["external_id"],
            "key": key,
            "sent_version": row["sent_version"],
            "gone": row["gone"],
        },
    )


def _outbox(owner: Connection | None) -> Rows:
    from obmen.store.models import Outbox

    rows, names = Outbox.objects.order_by("id"), _names()
    if owner:
        rows = rows.filter(connection=owner)
    columns = ("connection_id", "kind", "record_id", "revision", "offered_revision", "since", "offers")
    return _with_keys(
        rows.values(*columns).iterator(PAGE),
        lambda row, key: {
            "connection": names[row["connection_id"]],
            "kind": row["kind"],
            "key": key,
            "revision": row["revision"],
            "state": "offered" if row["offered_revision"] == row["revision"] else "pending",
            "since": moment(row["since"]),
            "offers": row["offers"],
        },
    )


def _parked(owner: Connection | None) -> Rows:
    from obmen.store.models import Order, Parked

    rows, names = Parked.objects.order_by("id"), _names()
    if owner:
        rows = rows.filter(connection=owner)
    for row in rows.iterator(500):
        external_id = row.external_id
        if row.direction == "out" and row.kind == "order":  # parked under our row, since they have no id for it yet
            external_id = Order.objects.filter(pk=int(external_id)).values_list("key", flat=True).first() or external_id
        yield {
            "id": row.pk,
            "connection": names[row.connection_id],
            "kind": row.kind,
            "direction": row.direction,
            "external_id": external_id,
            "where": row.where,
            "reason": sentence(row.text, row.facts),
            "facts": row.facts,
            "tries": row.tries,
            "payload": bytes(row.payload).decode("utf-8", "replace"),
        }


def _runs(owner: Connection | None) -> Rows:
    from obmen.store.models import Run

    rows = Run.objects.select_related("connection").order_by("id")
    if owner:
        rows = rows.filter(connection=owner)
    return (shapes.run(row) for row in rows.iterator(PAGE))


DUMPS: dict[DumpKind, Callable[[Any], Rows]] = {
    DumpKind.PRODUCTS: _products,
    DumpKind.OFFERS: _offers,
    DumpKind.PRICES: _prices,
    DumpKind.STOCK: _stock,
    DumpKind.GROUPS: _groups,
    DumpKind.COUNTERPARTIES: _counterparties,
    DumpKind.ORDERS: _orders,
    DumpKind.PAYMENTS: _payments,
    DumpKind.LINKS: _links,
    DumpKind.OUTBOX: _outbox,
    DumpKind.PARKED: _parked,
    DumpKind.RUNS: _runs,
}


# --- load ------------------------------------------------------------------------------------------------------------------


@load.command("orders")
def load_orders(
    file: Annotated[Path, typer.Argument(help="JSON lines in the shape of “dump orders”; - reads from the pipe.")],
) -> int:
    """Put orders into the books. The same order again changes nothing; lines that are wrong are named, the rest is taken."""
    start()
    from zoneinfo import ZoneInfo

    from django.conf import settings

    from obmen.store.orders import save_orders

    zone, taken, changed, bad = ZoneInfo(settings.TIME_ZONE), 0, 0, 0
    waiting: list[Order] = []
    name = "-" if str(file) == "-" else file.name
    if name != "-" and not file.is_file():
        raise typer.BadParameter(f"there is no file {file}")
    with nullcontext(sys.stdin) if name == "-" else open(file, encoding="utf-8-sig") as lines:
        for at, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = shapes.read_order(_json(line), zone)
            except BadRecord as error:
                bad += 1
                tell(f"{name}:{at}: {explain(error)}")
                continue
            taken += 1
            waiting.append(record)
            if len(waiting) == ORDERS_TOGETHER:
                changed += save_orders(waiting, who="cli")
                waiting = []
    changed += save_orders(waiting, who="cli")
    say(f"taken {taken}, changed {changed}, wrong {bad}")
    return BAD_DATA if bad else OK


def _json(line: str) -> Any:
    try:
        return json.loads(line, parse_float=Decimal, parse_int=int)
    except ValueError as error:
        raise BadRecord(_("no JSON: {reason}"), reason=str(error)) from None


@load.command("commerceml")
def load_commerceml(
    folder: Annotated[Path, typer.Argument(help="Folder of exchange files, as a node exports “to a folder on disk”.")],
    connection: Annotated[str, typer.Option(help="Connection that the files come from.")],
    create: Annotated[
        bool, typer.Option("--create", help="Make the database and the connection where they are missing.")
    ] = False,
    profile: Annotated[str, typer.Option(help="Profile of a connection that is made.")] = "",
) -> int:
    """Load a folder of exchange files through the same code as the door."""
    if not folder.is_dir():
        raise typer.BadParameter(f"there is no folder {folder}")
    if create:
        _create(connection, profile)
    else:
        start()
    from obmen.cli.hub import exit_code, report
    from obmen.work.run import load_folder

    ended = load_folder(find_connection(connection), folder.resolve())
    report(ended)
    return exit_code(ended)


def _create(name: str, profile: str) -> None:
    from obmen.cli import database

    database.make_home()
    try:
        start()
    except NoDatabase:
        # Only the books' own tables: the pages' tables are made by “init” or the first “serve”.
        database.upgrade()
    from obmen.store import connections
    from obmen.store.models import Connection

    if not Connection.objects.filter(name=name).exists():
        connections.create("commerceml", name, profile=profile, who="cli")


# --- validate --------------------------------------------------------------------------------------------------------------


def validate(
    files: Annotated[list[Path], typer.Argument(help="CommerceML, ICML and YML files.")],
    previous: Annotated[Path | None, typer.Option(help="The ICML or YML file that was published before.", dir_okay=False)] = None,
    may_vanish: Annotated[
        float, typer.Option(help="How many per cent of its offers may be missing or switched off.", min=0, max=100)
    ] = 10.0,
) -> int:
    """Say what is wrong in exchange files: “file:line: element: what is wrong and what was expected”."""
    from obmen.formats.commerceml.validate import validate as commerceml_findings
    from obmen.formats.findings import ERROR
    from obmen.formats.icml import validate as icml
    from obmen.formats.yml import dialect as yml_dialect
    from obmen.formats.yml import stream
    from obmen.formats.yml import validate as yml

    if previous is not None and len(files) != 1:
        raise typer.BadParameter("compares one file with the one before it", param_hint="--previous")
    errors = 0
    for file in files:
        if not file.is_file():
            tell(f"{file}: there is no such file")
            errors += 1
            continue
        dialect = yml_dialect.guess(file) if stream.recognised(file) else None
        if dialect is not None:
            tell(f"{file.name}: checked by the rules of {dialect.title}")
            findings = yml.validate(file, dialect, previous=previous, may_vanish=may_vanish)
        elif previous is not None or stream.recognised(file):
            findings = icml.validate(file, previous=previous, may_vanish=may_vanish)
        else:
            findings = commerceml_findings(file)
        for finding in findings:
            say(str(finding))
            errors += finding.level == ERROR
    return BAD_DATA if errors else OK
