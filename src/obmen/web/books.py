"""Pages of the books: goods, groups, orders, counterparties, references."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Sum
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    ChoicesDropdownFilter,
    RangeDateTimeFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from obmen.store import models
from obmen.store.orders import order_record, save_order
from obmen.web import labels
from obmen.web.lists import ListAdmin, names_of
from obmen.web.site import site
from obmen.web.templatetags.obmen import amount, money

HISTORY = 50  # versions shown on a card


def links(kinds: Sequence[str], record_id: int) -> list[dict[str, Any]]:
    """One row for each connection: what the record is called there."""
    connections = {c.pk: c for c in models.Connection.objects.only("id", "name")}
    rows = models.Link.objects.filter(connection_id__in=connections, kind__in=kinds, record_id=record_id)
    return [{"connection": connections[link.connection_id], "link": link} for link in rows]


def history(kinds: Sequence[str], record_id: int) -> dict[str, Any]:
    """Versions with their field-level differences, and what people and doors did with the record; newest first."""
    rows = list(models.RecordChange.objects.filter(record_kind__in=kinds, record_id=record_id).order_by("-id")[:HISTORY])
    runs = {r.pk: r for r in models.Run.objects.filter(pk__in={c.run_id for c in rows}).select_related("connection")}
    changes = [{"change": c, "run": runs.get(c.run_id), "fields": list((c.changes or {}).items())} for c in rows]
    journal = models.JournalEntry.objects.filter(record_kind__in=kinds, record_id=record_id).select_related("connection")
    return {"changes": changes, "journal": list(journal[:HISTORY])}


def picture_ids(paths: Iterable[str]) -> dict[str, int]:
    wanted = list(paths)
    if not wanted:
        return {}
    sources = list(models.Connection.objects.values_list("pk", flat=True))
    return dict(models.Picture.objects.filter(source_id__in=sources, path__in=wanted).values_list("path", "pk"))


def prices_of(offers: Sequence[models.Offer]) -> dict[int, list[dict[str, Any]]]:
    """{offer id: [{kind, value, currency, min_quantity}, …]} in two queries."""
    rows = list(models.Price.objects.filter(offer_id__in=[o.pk for o in offers]).order_by("kind_id", "min_quantity"))
    names = names_of(models.Reference, {p.kind_id for p in rows})
    found = defaultdict(list)
    for p in rows:
        found[p.offer_id].append(
            {
                "kind": names.get(p.kind_id, ""), "value": p.value, "currency": p.currency, "from": p.min_quantity
            }
        )  # fmt: skip
    return found


def stock_of(offers: Sequence[models.Offer]) -> dict[int, list[dict[str, Any]]]:
    rows = list(models.StockLevel.objects.filter(offer_id__in=[o.pk for o in offers]).order_by("warehouse_id"))
    warehouses = {r.pk: r for r in models.Reference.objects.filter(pk__in={s.warehouse_id for s in rows})}
    found = defaultdict(list)
    for s in rows:
        warehouse = warehouses.get(s.warehouse_id)
        name = warehouse.name if warehouse and warehouse.key else now_("total")
        found[s.offer_id].append({"warehouse": name, "quantity": s.quantity})
    return found


def dress_offers(offers: Sequence[models.Offer]) -> Sequence[models.Offer]:
    prices, stock = prices_of(offers), stock_of(offers)
    for offer in offers:
        offer.price_rows, offer.stock_rows = prices[offer.pk], stock[offer.pk]
        offer.stock_total = sum(s["quantity"] for s in offer.stock_rows) if offer.stock_rows else None
    return offers


class MarkedFilter(SimpleListFilter):
    title = _("marked for deletion")
    parameter_name = "deleted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("1", _("yes")), ("0", _("no"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(deleted=self.value() == "1") if self.value() in ("0", "1") else queryset


class ProductAdmin(ListAdmin):
    card_template = "obmen/product.html"
    list_display = ("title", "article", "code", "group_name", "price", "stock", "marked")
    list_filter = (("group", AutocompleteSelectFilter), MarkedFilter)
    indexed = ("article",)
    look_up = ("barcode", "code", "key")
    look_in = ("name",)
    search_help_text = _("name, article, code or barcode")
    sortable_by = ("article",)
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("description", "full_name", "properties", "requisites", "extra")

    def dress(self, products: list[models.Product]) -> None:
        groups = names_of(models.Group, {p.group_id for p in products})
        offers = list(models.Offer.objects.filter(product_id__in=[p.pk for p in products]).only("id", "product_id"))
        dress_offers(offers)
        by_product = defaultdict(list)
        for offer in offers:
            by_product[offer.product_id].append(offer)
        for p in products:
            own = by_product[p.pk]
            p.group_title = groups.get(p.group_id, "")
            p.price_rows = [row for o in own for row in o.price_rows]
            totals = [o.stock_total for o in own if o.stock_total is not None]
            p.stock_total = sum(totals) if totals else None

    @display(description=_("name"), header=False)
    def title(self, p: models.Product) -> str:
        return p.name or p.key

    @display(description=_("group"))
    def group_name(self, p: models.Product) -> str:
        return p.group_title or "–"

    @display(description=_("price"))
    def price(self, p: models.Product) -> str:
        if not p.price_rows:
            return "–"
        lowest = min(p.price_rows, key=lambda row: row["value"])
        several = len({row["value"] for row in p.price_rows}) > 1
        text = f"{money(lowest['value'])} {lowest['currency']}".strip()
        return now_("from %(price)s") % {"price": text} if several else text

    @display(description=_("stock"))
    def stock(self, p: models.Product) -> str:
        return "–" if p.stock_total is None else amount(p.stock_total)

    @display(description=_("state"), label={"deleted": "danger"})
    def marked(self, p: models.Product) -> Any:
        return ("deleted", now_("marked for deletion")) if p.deleted else None

    def card(self, request: HttpRequest, record: models.Product) -> dict[str, Any]:
        offers = list(models.Offer.objects.filter(product_id=record.pk).order_by("id")[:500])
        pictures = picture_ids(record.pictures)
        keys = [key for key, _values in record.properties]
        properties = {p.key: p for p in models.Property.objects.filter(key__in=keys)}
        groups = dict(models.Group.objects.filter(key__in=record.groups).values_list("key", "name"))
        unit = models.Reference.objects.filter(subject="unit", key=record.unit).values_list("name", flat=True).first()
        return {
            "offers": dress_offers(offers),
            "pictures": [{"path": p, "id": pictures.get(p)} for p in record.pictures],
            "properties": [
                {
                    "name": properties[key].name if key in properties else key,
                    "values": [dict(properties[key].values).get(v, v) if key in properties else v for v in values],
                }
                for key, values in record.properties
            ],
            "groups": [groups.get(key, key) for key in record.groups],
            "unit": unit or record.unit,
            "links": links(("product", "variant"), record.pk),
            "history": history(("product", "variant"), record.pk),
        }


class OfferAdmin(ListAdmin):
    card_template = "obmen/offer.html"
    list_display = ("title", "article", "characteristic", "prices", "stock", "marked")
    list_filter = (MarkedFilter,)
    look_up = ("key",)
    look_in = ("name",)
    search_help_text = _("name, article or barcode")
    ordering = ("-id",)
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("product").defer("extra", "product__description", "product__extra")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """An article or barcode is the product's far more often than the offer's own, and that one is indexed."""
        term = search_term.strip().replace("\0", "")
        found, _distinct = super().get_search_results(request, queryset, search_term)
        if not term or " " in term:
            return found, False
        products = models.Product.objects.filter(article__begins=term).values_list("pk", flat=True)[:500]
        ids = list(products)
        if ids and queryset.filter(product_id__in=ids).exists():
            return queryset.filter(product_id__in=ids), False
        return found, False

    def dress(self, offers: list[models.Offer]) -> None:
        dress_offers(offers)

    @display(description=_("name"))
    def title(self, o: models.Offer) -> str:
        return o.name or str(o.product) if o.product_id else o.key

    @display(description=_("article"))
    def article(self, o: models.Offer) -> str:
        return o.article or o.product.article or "–"

    @display(description=_("characteristics"))
    def characteristic(self, o: models.Offer) -> str:
        return ", ".join(f"{name}: {value}" for name, value in o.characteristics) or "–"

    @display(description=_("prices"))
    def prices(self, o: models.Offer) -> str:
        return " · ".join(f"{money(p['value'])} {p['currency']}".strip() for p in o.price_rows[:3]) or "–"

    @display(description=_("stock"))
    def stock(self, o: models.Offer) -> str:
        return "–" if o.stock_total is None else amount(o.stock_total)

    @display(description=_("state"), label={"deleted": "danger"})
    def marked(self, o: models.Offer) -> Any:
        return ("deleted", now_("marked for deletion")) if o.deleted else None

    def card(self, request: HttpRequest, record: models.Offer) -> dict[str, Any]:
        dress_offers([record])
        return {"links": links(("offer",), record.pk), "history": history(("offer", "prices", "stock"), record.pk)}


class GroupAdmin(ListAdmin):
    card_template = "obmen/group.html"
    list_display = ("name", "parent", "source", "marked")
    list_filter = (("source", RelatedDropdownFilter), MarkedFilter)
    look_up = ("key",)
    look_in = ("name",)
    search_fields = ("name",)
    search_help_text = _("name or id")
    list_select_related = ("parent", "source")

    @display(description=_("state"), label={"deleted": "danger"})
    def marked(self, g: models.Group) -> Any:
        return ("deleted", now_("marked for deletion")) if g.deleted else None

    def get_urls(self) -> list[URLPattern]:
        return [path("tree/", self.admin_site.admin_view(self.tree), name="store_group_tree"), *super().get_urls()]

    def tree(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = list(models.Group.objects.order_by("name").values("id", "name", "parent_id", "deleted"))
        counts = dict(models.Product.objects.values_list("group_id").annotate(n=Count("id")).order_by())
        children: dict[int | None, list[dict[str, Any]]] = defaultdict(list)
        known = {r["id"] for r in rows}
        for row in rows:
            row["count"] = counts.get(row["id"], 0)
            children[row["parent_id"] if row["parent_id"] in known else None].append(row)
        return self.page(
            request, "obmen/groups.html",
            {"title": now_("Groups of goods"), "rows": flatten(children), "homeless": counts.get(None, 0)},
        )  # fmt: skip

    def card(self, request: HttpRequest, record: models.Group) -> dict[str, Any]:
        return {
            "children": list(record.children.all()[:500]),
            "links": links(("group",), record.pk),
            "history": history(("group",), record.pk),
            "products": models.Product.objects.filter(group_id=record.pk).count(),
        }


def flatten(children: dict[int | None, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The tree as rows in the order of reading, each with its depth; without recursion, so that any depth passes, and a
    loop of parents (both not reachable from a root) is listed at the end instead of being lost."""
    rows, seen = [], set()
    stack = [(row, 0) for row in reversed(children.get(None, []))]
    while stack:
        row, depth = stack.pop()
        if row["id"] in seen:
            continue
        seen.add(row["id"])
        below = children.get(row["id"], [])
        rows.append({**row, "depth": min(depth, 12), "has_children": bool(below)})
        stack.extend((child, depth + 1) for child in reversed(below))
    lost = [row for below in children.values() for row in below if row["id"] not in seen]
    return rows + [{**row, "depth": 0, "has_children": False} for row in lost]


class PropertyAdmin(ListAdmin):
    list_display = ("name", "kind_title", "how_many", "source")
    list_filter = (("source", RelatedDropdownFilter),)
    look_up = ("key",)
    look_in = ("name",)
    list_select_related = ("source",)
    card_template = "obmen/property.html"

    @display(description=_("kind of values"))
    def kind_title(self, p: models.Property) -> str:
        return str(labels.VALUE_KINDS.get(p.kind, p.kind))

    @display(description=_("values"))
    def how_many(self, p: models.Property) -> int:
        return len(p.values)

    def card(self, request: HttpRequest, record: models.Property) -> dict[str, Any]:
        return {
            "kind": self.kind_title(record),
            "links": links(("property",), record.pk),
            "history": history(("property",), record.pk),
        }


class ReferenceAdmin(ListAdmin):
    """The one table of the books that people keep themselves: order states, deliveries, payment kinds …"""

    list_display = ("name", "subject", "key", "source", "position")
    list_filter = (("subject", ChoicesDropdownFilter), ("source", RelatedDropdownFilter))
    look_up = ("key",)
    look_in = ("name",)
    list_select_related = ("source",)
    fields = ("subject", "key", "name", "position")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("store.add_reference")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("store.change_reference")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return ("subject", "key") if obj else ()  # mappings and prices point at the key


class CounterpartyAdmin(ListAdmin):
    card_template = "obmen/counterparty.html"
    list_display = ("name", "kind", "phone", "email", "tax_number", "source")
    list_filter = (("kind", ChoicesDropdownFilter), ("source", RelatedDropdownFilter), MarkedFilter)
    indexed = ("phone", "email", "inn", "key")
    look_up = ("okpo",)
    look_in = ("name",)
    search_help_text = _("name, phone, e-mail or tax number")
    list_select_related = ("source",)
    sortable_by = ("name", "phone", "email")

    @display(description=_("tax number"))
    def tax_number(self, c: models.Counterparty) -> str:
        return c.inn or c.okpo or "–"

    def card(self, request: HttpRequest, record: models.Counterparty) -> dict[str, Any]:
        totals = record.orders.aggregate(count=Count("id"), total=Sum("total"))
        return {
            "orders": dress_orders(list(record.orders.all()[:20])),
            "totals": totals,
            "links": links(("counterparty",), record.pk),
            "history": history(("counterparty",), record.pk),
        }


def order_states() -> dict[str, str]:
    return dict(models.Reference.objects.filter(subject="order_state").values_list("key", "name"))


def dress_orders(orders: list[models.Order]) -> list[models.Order]:
    states = order_states()
    for o in orders:
        o.state_name = states.get(o.state, o.state)
    return orders


class StateFilter(SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return sorted(order_states().items(), key=lambda pair: pair[1])

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(state=self.value()) if self.value() else queryset


class OrderChange(forms.Form):
    """What a person may change on an order here; the rest belongs to the systems that exchange it."""

    state = forms.ChoiceField(label=_("state"), required=False, widget=UnfoldAdminSelectWidget)
    comment = forms.CharField(label=_("comment"), required=False, max_length=4000, widget=UnfoldAdminTextInputWidget)

    def __init__(self, *args: Any, order: models.Order, **kw: Any) -> None:
        super().__init__(*args, initial={"state": order.state, "comment": order.comment}, **kw)
        states = order_states()
        if order.state not in states:
            states = {order.state: order.state or "–", **states}
        self.fields["state"].choices = list(states.items())
        self.fields["state"].widget.choices = self.fields["state"].choices


class OrderAdmin(ListAdmin):
    card_template = "obmen/order.html"
    list_display = ("number", "date", "state_label", "buyer_name", "sum", "paid_label", "source")
    list_filter = (
        StateFilter,
        ("source", RelatedDropdownFilter),
        ("date", RangeDateTimeFilter),
        ("cancelled", BooleanRadioFilter),
    )
    indexed = ("number", "key")
    look_in = ("counterparty__name", "counterparty__phone")
    search_help_text = _("number, buyer's name or phone")
    list_select_related = ("counterparty", "source")
    sortable_by = ("number", "date")
    ordering = ("-date", "-id")

    def dress(self, orders: list[models.Order]) -> None:
        dress_orders(orders)

    @display(description=_("state"), label=True)
    def state_label(self, o: models.Order) -> str:
        return o.state_name

    @display(description=_("buyer"))
    def buyer_name(self, o: models.Order) -> str:
        return str(o.counterparty) if o.counterparty else o.buyer.get("name", "") or "–"

    @display(description=_("total"))
    def sum(self, o: models.Order) -> str:
        return f"{money(o.total)} {o.currency}".strip()

    @display(description=_("payment"), label={"cancelled": "danger", "paid": "success", "unpaid": "warning"})
    def paid_label(self, o: models.Order) -> Any:
        if o.cancelled:
            return "cancelled", now_("cancelled")
        if o.paid is None:
            return None
        return ("paid", now_("paid")) if o.paid else ("unpaid", now_("not paid"))

    def get_urls(self) -> list[URLPattern]:
        change = path("<int:order_id>/edit/", self.admin_site.admin_view(require_POST(self.edit)), name="store_order_edit")
        return [change, *super().get_urls()]

    def card(self, request: HttpRequest, record: models.Order, form: OrderChange | None = None) -> dict[str, Any]:
        dress_orders([record])
        lines = list(record.lines.all())
        known = dict(models.Offer.objects.filter(key__in=[x.offer for x in lines if x.offer]).values_list("key", "pk"))
        for line in lines:
            line.offer_id = known.get(line.offer)
        may_change = request.user.has_perm("store.change_order")
        waiting = {o.connection_id: o for o in models.Outbox.objects.filter(kind="order", record_id=record.pk)}
        names = {c.pk: c for c in models.Connection.objects.only("id", "name")}
        return {
            "lines": lines,
            "payments": list(record.payments.all()),
            "shipments": list(record.shipments.all()),
            "links": links(("order",), record.pk),
            "waiting": [{"connection": names[pk], "row": row} for pk, row in waiting.items() if pk in names],
            "history": history(("order",), record.pk),
            "form": (form or OrderChange(order=record)) if may_change else None,
        }

    def edit(self, request: HttpRequest, order_id: int) -> HttpResponse:
        order = self.one(request, str(order_id), "change")
        if order is None:
            raise Http404
        form = OrderChange(request.POST, order=order)
        if not form.is_valid():
            context = {"original": order, "record": order, "title": str(order), **self.card(request, order, form)}
            return self.page(request, self.card_template, context)
        wanted = replace(order_record(order), state=form.cleaned_data["state"], comment=form.cleaned_data["comment"])
        who = request.user.get_username()
        _row, changed = save_order(wanted, who=who)
        if changed:
            messages.success(request, now_("The order is saved. Every connection that takes orders will be told."))
        return HttpResponseRedirect(reverse("admin:store_order_change", args=[order.pk]))


def link_to(record: Any) -> str:
    name = f"admin:{record._meta.app_label}_{record._meta.model_name}_change"
    return format_html('<a href="{}">{}</a>', reverse(name, args=[record.pk]), record)


site.register(models.Product, ProductAdmin)
site.register(models.Offer, OfferAdmin)
site.register(models.Group, GroupAdmin)
site.register(models.Property, PropertyAdmin)
site.register(models.Reference, ReferenceAdmin)
site.register(models.Counterparty, CounterpartyAdmin)
site.register(models.Order, OrderAdmin)
