"""Orders, counterparties, goods and references over the API."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Any

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as now_
from ninja import Header, Query

from obmen.core.records import Kind
from obmen.store import holding, models, reservations
from obmen.store.orders import order_record, save_order, tracking_of, with_parts, with_tracking
from obmen.store.visibility import is_limited, seen_by
from obmen.web.api import shapes
from obmen.web.api.access import may, who
from obmen.web.api.operations import Id, operation, router
from obmen.web.api.paging import BIGGEST, USUAL, Cursor, Limit, Moment, Text, page
from obmen.web.api.problems import Problem
from obmen.web.asking import send_soon
from obmen.web.books import order_states
from obmen.web.site import site

Row = Annotated[int | None, Query(ge=1, le=BIGGEST)]
Search = Annotated[Text | None, Query(description="As the search of the page")]
HEAVY = ("description", "full_name", "properties", "requisites", "extra", "pictures", "unit_attributes", "groups")


def found(request: HttpRequest, rows: QuerySet[Any], pk: int) -> Any:
    """The row that this person may see, or a 404."""
    row = seen_by(request.user, rows).filter(pk=pk).first()
    if row is None:
        raise Problem("not_found")
    return row


def filtered(rows: QuerySet[Any], **wanted: Any) -> QuerySet[Any]:
    """Only what is said: a parameter that did not come filters nothing."""
    return rows.filter(**{name: value for name, value in wanted.items() if value is not None})


def searched(request: HttpRequest, rows: QuerySet[Any], text: str | None) -> QuerySet[Any]:
    if not text:
        return rows
    return site.get_model_admin(rows.model).get_search_results(request, rows, text)[0]


def linked(kinds: Sequence[str], pk: int, names: dict[int, models.Connection] | None = None) -> list[dict[str, Any]]:
    """``names``: of all connections, where they are known already."""
    if names is None:
        names = {c.pk: c for c in models.Connection.objects.only("id", "name")}
    rows = models.Link.objects.filter(connection_id__in=names, kind__in=kinds, record_id=pk)
    return [{"connection": shapes.named(names[x.connection_id]), "their_id": x.external_id, "gone": x.gone} for x in rows]


# --- orders ----------------------------------------------------------------------------------------------------------------


def _order(row: models.Order, states: dict[str, str]) -> dict[str, Any]:
    plain = (
        "key", "number", "date", "currency", "total", "discount", "buyer", "comment", "company", "site", "manager", "organisation",
        "warehouse", "cancelled", "cancel_reason", "paid", "shipped", "deleted", "held", "revision", "created", "changed",
    )  # fmt: skip
    return {
        "id": row.pk,
        **{name: getattr(row, name) for name in plain},
        "state": {"key": row.state, "name": states.get(row.state, row.state)},
        "counterparty": shapes.named(row.counterparty),
        "source": shapes.named(row.source),
    }


@operation(
    router, "GET", "/orders", shapes.Page[shapes.Order], scopes=("orders.read",), permission="store.view_order", tags=["orders"]
)
def list_orders(
    request: HttpRequest,
    changed_since: Moment | None = None,
    date_from: Moment | None = None,
    date_to: Moment | None = None,
    number: Text | None = None,
    key: Text | None = None,
    state: Text | None = None,
    company: Text | None = None,
    source: Row = None,
    counterparty: Row = None,
    cancelled: bool | None = None,
    paid: bool | None = None,
    held: bool | None = None,
    q: Search = None,
    limit: Limit = USUAL,
    cursor: Cursor = None,
) -> Any:
    """Orders, the newest in the books first. With `changed_since`: those that changed at that moment or later, in the order in which
    they changed, for programs that follow along: go on from the last `changed`, with a minute's overlap, since an order that is being
    written has its moment already; `revision` says whether you have it."""
    rows = seen_by(request.user, models.Order.objects.select_related("counterparty", "source"))
    rows = filtered(
        rows,
        changed__gte=None if cursor else changed_since,  # the cursor says more, and SQLite would begin at the lower of the two
        date__gte=date_from,
        date__lt=date_to,
        number=number,
        key=key,
        state=state,
        company=company,
        source=source,
        counterparty=counterparty,
        cancelled=cancelled,
        paid=paid,
        held=held,
    )
    order = ("changed", "id") if changed_since else ("-id",)
    # Orders of some companies are found by these, whatever their order.
    items, following = page(searched(request, rows, q), order, cursor, limit, sorted_=is_limited(request.user))
    states = order_states()
    return {"items": [_order(row, states) for row in items], "next": following}


def _whole_order(pk: int) -> dict[str, Any]:
    row = with_parts(models.Order.objects.select_related("counterparty", "source")).get(pk=pk)
    names = {c.pk: c for c in models.Connection.objects.only("id", "name")}
    waiting = models.Outbox.objects.filter(kind=Kind.ORDER, record_id=row.pk, connection__in=names)
    return {
        **_order(row, order_states()),
        "delivery": row.delivery,
        "lines": list(row.lines.all()),
        "payments": sorted(row.payments.all(), key=lambda p: p.pk),
        "shipments": sorted(row.shipments.all(), key=lambda p: p.pk),
        "tracking": tracking_of(order_record(row)),
        "requisites": row.requisites,
        "links": linked(("order",), row.pk, names),
        "waiting": [
            {"connection": shapes.named(names[w.connection_id]), "revision": w.revision, "since": w.since} for w in waiting
        ],
    }


@operation(
    router, "GET", "/orders/{order}", shapes.WholeOrder, scopes=("orders.read",), permission="store.view_order", tags=["orders"]
)
def get_order(request: HttpRequest, response: HttpResponse, order: Id) -> Any:
    """One order with its lines, payments, shipments, what it is called elsewhere and who still has to be told of it. The header ETag
    holds its revision."""
    return _answer(response, found(request, models.Order.objects.only("id"), order).pk)


def _answer(response: HttpResponse, pk: int) -> dict[str, Any]:
    whole = _whole_order(pk)
    response["ETag"] = f'"{whole["revision"]}"'
    return whole


@operation(
    router,
    "PATCH",
    "/orders/{order}",
    shapes.WholeOrder,
    scopes=("orders.write",),
    permission="store.change_order",
    also=(412,),
    tags=["orders"],
)
def change_one_order(
    request: HttpRequest,
    response: HttpResponse,
    order: Id,
    change: shapes.OrderChange,
    if_match: Annotated[
        Text | None, Header(alias="If-Match", description="The ETag that you read: if the order has changed since, 412")
    ] = None,
) -> Any:
    """Change what a person may change; what is not named, or null, stays. Every connection that takes orders will be told. The same
    change again changes nothing."""
    said = {name: value for name, value in change.dict().items() if value is not None}
    with transaction.atomic():
        row = found(request, models.Order.objects.select_for_update(of=("self",)), order)
        if if_match is not None and if_match.strip() != "*" and f'"{row.revision}"' not in _tags(if_match):
            raise Problem("changed_meanwhile", now_("It has the revision %(revision)s now.") % {"revision": row.revision})
        if "state" in said and said["state"] != row.state and said["state"] not in order_states():
            raise Problem("invalid", errors=[("body.state", now_("The books have no such order state."))])
        record = order_record(row)
        wanted = replace(record, **{name: said[name] for name in ("state", "comment") if name in said})
        if said.get("tracking", tracking_of(record)) != tracking_of(record):
            wanted = with_tracking(wanted, said["tracking"])
        save_order(wanted, who=who(request))
    return _answer(response, order)


def _tags(header: str) -> set[str]:
    """Weak ones do not count: RFC 9110 wants strong comparison here."""
    return {tag.strip() for tag in header.split(",")}


@operation(
    router,
    "PUT",
    "/orders/{order}/hold",
    shapes.WholeOrder,
    scopes=("orders.write",),
    permission="store.change_order",
    tags=["orders"],
)
def hold_order(request: HttpRequest, response: HttpResponse, order: Id, hold: shapes.Hold) -> Any:
    """Hold an order back, or let it go: while it is on hold nobody is told of it, and what it reserves stays reserved."""
    row = found(request, models.Order.objects.all(), order)
    if hold.held:
        holding.hold(row, hold.reason, who(request))
    else:
        _send(request, holding.release(row, who(request)))
    return _answer(response, row.pk)


@operation(
    router,
    "POST",
    "/orders/{order}/resend",
    shapes.Resent,
    scopes=("orders.write",),
    permission="store.change_order",
    tags=["orders"],
)
def resend_order(
    request: HttpRequest,
    order: Id,
    resend: shapes.Resend,
    idempotency_key: Annotated[
        Text | None,
        Header(alias="Idempotency-Key", description="A text of your own for this wish: the same again sends nothing twice"),
    ] = None,
) -> Any:
    """Tell an order once more, as it is now, also to those who have all of it already; those that are not told of it are passed over.
    Whoever gets it may do once more what it does with an order, such as write to the buyer: give an `Idempotency-Key`."""
    row = found(request, models.Order.objects.all(), order)
    takers = holding.takers(row)
    wanted = takers if resend.connections is None else [c for c in takers if c.pk in resend.connections]
    holding.resend(row, wanted, who(request), (idempotency_key or "").strip())
    return {"told": [shapes.named(c) for c in wanted], "runs": _send(request, [] if row.held else wanted)}


def _send(request: HttpRequest, waiting: Sequence[models.Connection]) -> list[int]:
    """Runs that send at once, as the page starts them; systems that call us get it with their next call."""
    if not may(request, "exchange.run", "store.start_run"):
        return []
    return [run.pk for run in send_soon(waiting, who(request))]


# --- counterparties --------------------------------------------------------------------------------------------------------


@operation(
    router,
    "GET",
    "/counterparties",
    shapes.Page[shapes.Counterparty],
    scopes=("orders.read",),
    permission="store.view_counterparty",
    tags=["counterparties"],
)
def list_counterparties(
    request: HttpRequest,
    phone: Text | None = None,
    email: Text | None = None,
    inn: Text | None = None,
    key: Text | None = None,
    q: Search = None,
    limit: Limit = USUAL,
    cursor: Cursor = None,
) -> Any:
    """Buyers and other parties, the newest first."""
    rows = filtered(seen_by(request.user, models.Counterparty.objects.all()), phone=phone, email=email, inn=inn, key=key)
    items, following = page(searched(request, rows, q), ("-id",), cursor, limit)
    return {"items": items, "next": following}


@operation(
    router,
    "GET",
    "/counterparties/{counterparty}",
    shapes.WholeCounterparty,
    scopes=("orders.read",),
    permission="store.view_counterparty",
    tags=["counterparties"],
)
def get_counterparty(request: HttpRequest, counterparty: Id) -> Any:
    """One counterparty; its orders: `GET /orders?counterparty=<id>`."""
    row = found(request, models.Counterparty.objects.all(), counterparty)
    plain = {name: getattr(row, name) for name in shapes.WholeCounterparty.model_fields if hasattr(row, name)}
    return plain | {
        "address": (row.address or {}).get("text", ""),
        "legal_address": (row.legal_address or {}).get("text", ""),
        "orders": seen_by(request.user, models.Order.objects.filter(counterparty=row)).count(),
        "links": linked(("counterparty",), row.pk),
    }


# --- goods -----------------------------------------------------------------------------------------------------------------


OFFER = ("id", "key", "name", "article", "barcode", "unit", "characteristics", "deleted", "version")
PRODUCT = ("id", "key", "name", "article", "code", "barcode", "unit", "vat_rate", "manufacturer", "deleted", "version")


def _dressed(offers: Iterable[models.Offer | dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """{offer: its shape with prices and stock}, in two queries. No model objects: a page of 500 products has thousands of rows."""
    found = {}
    for one in offers:
        plain = one if isinstance(one, dict) else {name: getattr(one, name) for name in OFFER}
        found[plain["id"]] = plain | {"prices": [], "stock": []}
    prices = models.Price.objects.filter(offer_id__in=list(found)).order_by("kind_id", "min_quantity")
    for pk, key, name, value, currency, least in prices.values_list(
        "offer_id", "kind__key", "kind__name", "value", "currency", "min_quantity"
    ):
        said = {"kind": {"key": key, "name": name}, "value": value, "currency": currency, "from_quantity": least}
        found[pk]["prices"].append(said)
    stock = models.StockLevel.objects.filter(offer_id__in=list(found)).order_by("warehouse_id")
    for pk, key, name, quantity in stock.values_list("offer_id", "warehouse__key", "warehouse__name", "quantity"):
        found[pk]["stock"].append({"warehouse": {"key": key, "name": name}, "quantity": quantity})
    return found


def _products(rows: Iterable[models.Product]) -> list[dict[str, Any]]:
    products = list(rows)
    offers = models.Offer.objects.filter(product_id__in=[p.pk for p in products]).order_by("pk")
    of_product = defaultdict(list)
    every = list(offers.values("product_id", *OFFER))
    owners = {one["id"]: one.pop("product_id") for one in every}
    for pk, shape in _dressed(every).items():
        of_product[owners[pk]].append(shape)
    return [
        {
            **{name: getattr(p, name) for name in PRODUCT},
            "group": shapes.named(p.group),
            "offers": of_product[p.pk],
        }
        for p in products
    ]


@operation(
    router,
    "GET",
    "/products",
    shapes.Page[shapes.Product],
    scopes=("goods.read",),
    permission="store.view_product",
    tags=["goods"],
)
def list_products(
    request: HttpRequest,
    article: Text | None = None,
    barcode: Text | None = None,
    code: Text | None = None,
    key: Text | None = None,
    group: Row = None,
    deleted: bool | None = None,
    q: Search = None,
    limit: Limit = USUAL,
    cursor: Cursor = None,
) -> Any:
    """Products with their offers, prices and stock, the oldest first: whoever reads to the end has read them all."""
    rows = filtered(
        models.Product.objects.select_related("group").defer(*HEAVY),
        article=article,
        barcode=barcode,
        code=code,
        key=key,
        group=group,
        deleted=deleted,
    )
    items, following = page(searched(request, rows, q), ("id",), cursor, limit)
    return {"items": _products(items), "next": following}


@operation(
    router,
    "GET",
    "/products/{product}",
    shapes.WholeProduct,
    scopes=("goods.read",),
    permission="store.view_product",
    tags=["goods"],
)
def get_product(request: HttpRequest, product: Id) -> Any:
    """One product with everything that the books know of it."""
    row = found(request, models.Product.objects.select_related("group"), product)
    plain = ("full_name", "description", "country", "weight", "properties", "requisites", "pictures")
    return {
        **_products([row])[0],
        **{name: getattr(row, name) for name in plain},
        "links": linked(("product", "variant"), row.pk),
    }


@operation(
    router,
    "GET",
    "/offers",
    shapes.Page[shapes.OfferOfProduct],
    scopes=("goods.read",),
    permission="store.view_offer",
    tags=["goods"],
)
def list_offers(
    request: HttpRequest,
    article: Text | None = None,
    barcode: Text | None = None,
    key: Text | None = None,
    product: Row = None,
    deleted: bool | None = None,
    q: Search = None,
    limit: Limit = USUAL,
    cursor: Cursor = None,
) -> Any:
    """What can be sold, with prices and stock, the oldest first."""
    rows = models.Offer.objects.select_related("product").only(*OFFER, "product__name", "product__key")
    rows = filtered(rows, article=article, barcode=barcode, key=key, product=product, deleted=deleted)
    items, following = page(searched(request, rows, q), ("id",), cursor, limit)
    dressed = _dressed(items)
    return {"items": [dressed[o.pk] | {"product": shapes.named(o.product)} for o in items], "next": following}


@operation(
    router, "GET", "/offers/{offer}", shapes.WholeOffer, scopes=("goods.read",), permission="store.view_offer", tags=["goods"]
)
def get_offer(request: HttpRequest, offer: Id) -> Any:
    """One offer; free stock is the stock less what is reserved."""
    row = found(request, models.Offer.objects.select_related("product"), offer)
    return {
        **_dressed([row])[row.pk],
        "product": shapes.named(row.product),
        "reserved": reservations.of_offers({row.pk: row.key}).get(row.pk, 0),
        "links": linked(("offer",), row.pk),
    }


# --- references ------------------------------------------------------------------------------------------------------------


@operation(
    router,
    "GET",
    "/references",
    shapes.Page[shapes.Reference],
    scopes=("orders.read", "goods.read", "settings.read"),
    permission="store.view_reference",
    tags=["references"],
)
def list_references(
    request: HttpRequest,
    subject: Text | None = None,
    deleted: bool | None = None,
    limit: Limit = USUAL,
    cursor: Cursor = None,
) -> Any:
    """The books' own values: order states, deliveries, warehouses, price kinds … What mappings and orders name by key."""
    rows = filtered(models.Reference.objects.all(), subject=subject, deleted=deleted)
    items, following = page(rows, ("id",), cursor, limit)
    return {"items": items, "next": following}
