"""Pages of the books: goods, groups, orders, counterparties, references."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Sum, TextField, Value
from django.db.models.functions import Cast
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import mark_safe
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
from unfold.contrib.filters.forms import AutocompleteDropdownForm
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from obmen.core.records import Kind
from obmen.store import holding, journal, models, reservations
from obmen.store.orders import order_record, save_order, tracking_of, with_parts, with_tracking
from obmen.web import labels, systems, timeline
from obmen.web.asking import as_id, send_soon, who
from obmen.web.lists import ListAdmin, names_of
from obmen.web.site import site
from obmen.web.templatetags.obmen import amount, money

OFFERS_SHOWN = 50  # of a product's card, as many as on a page of their list: shoes have some hundreds of them


def story(request: HttpRequest, kinds: Sequence[str], record_id: int, **about: Any) -> dict[str, Any]:
    """For a card's template: the time line, whose word each field is, and what each system knows of the record."""
    newest_first = request.GET.get("line") != "oldest"
    others = about.pop("others", ())
    line = timeline.line(
        kinds, record_id, journal=request.user.has_perm("store.view_journalentry"), newest_first=newest_first, **about
    )
    return {"line": line, "newest_first": newest_first, "said": line.said, "systems": systems.of(kinds, record_id, others)}


def prices_of(offers: Sequence[models.Offer]) -> dict[int, list[dict[str, Any]]]:
    """{offer id: [{kind, value, currency, min_quantity}, …]}, with the kind's name."""
    rows = models.Price.objects.filter(offer_id__in=[o.pk for o in offers]).order_by("kind_id", "min_quantity")
    found = defaultdict(list)
    for p, kind in ((p, p.kind_name) for p in rows.annotate(kind_name=F("kind__name"))):
        found[p.offer_id].append(
            {
                "kind": kind or "", "value": p.value, "currency": p.currency, "from": p.min_quantity
            }
        )  # fmt: skip
    return found


def stock_of(offers: Sequence[models.Offer]) -> dict[int, list[dict[str, Any]]]:
    rows = models.StockLevel.objects.filter(offer_id__in=[o.pk for o in offers]).order_by("warehouse_id")
    found = defaultdict(list)
    for s in rows.annotate(place=F("warehouse__name"), place_key=F("warehouse__key")):
        found[s.offer_id].append({"warehouse": s.place if s.place_key else now_("total"), "quantity": s.quantity})
    return found


def dress_offers(offers: Sequence[models.Offer]) -> Sequence[models.Offer]:
    prices, stock = prices_of(offers), stock_of(offers)
    for offer in offers:
        offer.price_rows, offer.stock_rows = prices[offer.pk], stock[offer.pk]
        offer.stock_total = sum(s["quantity"] for s in offer.stock_rows) if offer.stock_rows else None
    return offers


def whole(rows: QuerySet[Any], object_id: str) -> Any:
    """The record for its card, with everything that the list leaves out; None when there is none."""
    return rows.filter(pk=object_id).first() if as_id(str(object_id)) else None


def names_of_product(product: models.Product) -> dict[str, dict[str, tuple[str, str]]]:
    """What a product names by key, in one query: {"group" | "unit" | "property" | "picture": {key: (name or row, values as JSON)}}."""
    nothing = Value("", output_field=TextField())

    def rows(what: str, found: QuerySet[Any], key: str, name: str, values: Any = nothing) -> QuerySet[Any, Any]:
        return found.order_by().values_list(
            Value(what, output_field=TextField()), Cast(key, TextField()), Cast(name, TextField()), values
        )

    sources = models.Connection.objects.order_by().values("pk")  # the index begins with it
    keys = [key for key, _values in product.properties]
    asked = rows("group", models.Group.objects.filter(key__in=product.groups), "key", "name").union(
        rows("unit", models.Reference.objects.filter(subject="unit", key=product.unit), "key", "name"),
        rows("property", models.Property.objects.filter(key__in=keys), "key", "name", Cast("values", TextField())),
        rows("picture", models.Picture.objects.filter(source_id__in=sources, path__in=product.pictures), "path", "pk"),
        all=True,
    )
    found: dict[str, dict[str, tuple[str, str]]] = {what: {} for what in ("group", "unit", "property", "picture")}
    for what, key, name, values in asked:
        found[what][key] = name, values
    return found


def _said_property(known: tuple[str, str] | None, key: str, values: Sequence[str]) -> dict[str, Any]:
    """A property by its name, its values by theirs where it is a list of them."""
    name, listed = known or (key, "")
    words = dict(json.loads(listed)) if listed else {}
    return {"name": name, "values": [words.get(v, v) for v in values]}


class MarkedFilter(SimpleListFilter):
    title = _("marked for deletion")
    parameter_name = "deleted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("1", _("yes")), ("0", _("no"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(deleted=self.value() == "1") if self.value() in ("0", "1") else queryset


class AsGiven(forms.ModelChoiceField):
    """The list has applied its filter already: here the choice is only shown, and need not be looked up to be checked."""

    def clean(self, value: Any) -> Any:
        return value


class GroupChoice(AutocompleteDropdownForm):
    field = AsGiven


class GroupFilter(AutocompleteSelectFilter):
    form_class = GroupChoice


class ProductAdmin(ListAdmin):
    card_template = "obmen/product.html"
    list_display = ("title", "article", "code", "group_name", "price", "stock", "marked")
    list_filter = (("group", GroupFilter), MarkedFilter)
    indexed = ("article",)
    look_up = ("barcode", "code", "key")
    look_in = ("name",)
    search_help_text = _("name, article, code or barcode")
    sortable_by = ("article",)
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("description", "full_name", "properties", "requisites", "extra")

    def looked_for(self, term: str) -> Q:
        """In what products are found by, which is read whole and first: joined with it, PostgreSQL looks up each product of a list that
        is sorted by articles."""
        wanted = self._any(self.look_up, "begins", term)
        named = Q()
        for word in term.split()[:6]:
            named &= Q(name__contains=word.lower())
        return Q(pk__in=models.Sought.objects.filter(wanted | named).values("pk")[: 2**31])

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> models.Product | None:
        return whole(super().get_queryset(request), object_id)

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
        every = models.Offer.objects.filter(product_id=record.pk)
        offers = list(every.defer("properties", "requisites", "pictures", "extra").order_by("id")[: OFFERS_SHOWN + 1])
        count = len(offers) if len(offers) <= OFFERS_SHOWN else every.count()
        offers = offers[:OFFERS_SHOWN]
        names = names_of_product(record)
        properties, groups = names["property"], names["group"]
        return {
            "offers": dress_offers(offers),
            "offers_count": count,
            "pictures": [{"path": p, "id": names["picture"].get(p, ("", ""))[0]} for p in record.pictures],
            "properties": [_said_property(properties.get(key), key, values) for key, values in record.properties],
            "groups": [groups[key][0] if key in groups else key for key in record.groups],
            "unit": names["unit"].get(record.unit, ("", ""))[0] or record.unit,
            **story(request, ("product", "variant"), record.pk, others=[("offer", o.pk) for o in offers[:1]]),
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
        record.reserved = reservations.of_offers({record.pk: record.key}).get(record.pk)
        return story(request, ("offer", "prices", "stock"), record.pk)


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
        # Counted by rows: by ids PostgreSQL reads the rows themselves, since the index of groups does not hold these.
        counts = dict(models.Product.objects.values_list("group_id").annotate(n=Count("*")).order_by())
        children: dict[int | None, list[dict[str, Any]]] = defaultdict(list)
        known = {r["id"] for r in rows}
        for row in rows:
            row["count"] = counts.get(row["id"], 0)
            children[row["parent_id"] if row["parent_id"] in known else None].append(row)
        return self.page(
            request, "obmen/groups.html",
            {"title": now_("Groups of goods"), "rows": tree_rows(flatten(children)), "homeless": counts.get(None, 0)},
        )  # fmt: skip

    def card(self, request: HttpRequest, record: models.Group) -> dict[str, Any]:
        return {
            "children": list(record.children.all()[:500]),
            **story(request, ("group",), record.pk),
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


def tree_rows(groups: Sequence[Mapping[str, Any]]) -> list[str]:
    """Rows of the table. Not by the template: thousands of them with a dozen of its tags each took it 150 ms."""
    card, goods = reverse("admin:store_group_change", args=[0]), reverse("admin:store_product_changelist")
    before, after = card.split("/0/")
    mark = format_html(' <span class="o-mark danger">{}</span>', now_("marked for deletion"))
    nothing, ink = mark_safe('<span class="o-dim">–</span>'), mark_safe(' class="o-ink"')
    return [
        format_html(
            '<tr><td style="padding-left:calc(1rem + {} * clamp(.6rem, 2vw, 1.4rem))"><a href="{}/{}/{}"{}>{}</a>{}</td>'
            '<td class="o-num">{}</td></tr>',
            *(g["depth"], before, g["id"], after, ink if g["has_children"] else "", g["name"]),
            mark if g["deleted"] else "",
            format_html('<a href="{}?group__id__exact={}">{}</a>', goods, g["id"], amount(g["count"])) if g["count"] else nothing,
        )
        for g in groups
    ]


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
            **story(request, ("property",), record.pk),
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

    def save_model(self, request: HttpRequest, obj: models.Reference, form: Any, change: bool) -> None:
        before = {name: form.initial.get(name) for name in form.changed_data}
        super().save_model(request, obj, form, change)
        facts = {"subject": obj.subject, "name": obj.name}
        if not change:
            journal.note(None, "reference.added", who(request), **facts)
        elif before:
            changes = {name: [old, getattr(obj, name)] for name, old in before.items()}
            journal.note(None, "reference.changed", who(request), **facts, changes=changes)


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
            **story(request, ("counterparty",), record.pk, source=record.source),
        }


def card_of_line() -> QuerySet[Any]:
    """The offer that a line names by its key, found by whose id it is: keys of offers have no index."""
    connections = models.Connection.objects.order_by().values("pk")
    links = models.Link.objects.filter(connection_id__in=connections, kind=Kind.OFFER, external_id=OuterRef(OuterRef("offer")))
    return models.Offer.objects.filter(pk__in=links.values("record_id"), key=OuterRef("offer")).order_by().values("pk")[:1]


def order_states() -> dict[str, str]:
    return dict(models.Reference.objects.filter(subject="order_state").values_list("key", "name"))


def dress_orders(orders: list[models.Order], states: Mapping[str, str] | None = None) -> list[models.Order]:
    states = order_states() if states is None else states
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
    tracking = forms.CharField(label=_("tracking number"), required=False, max_length=200, widget=UnfoldAdminTextInputWidget)
    comment = forms.CharField(label=_("comment"), required=False, max_length=4000, widget=UnfoldAdminTextInputWidget)

    def __init__(self, *args: Any, order: models.Order, tracking: str, states: dict[str, str], **kw: Any) -> None:
        super().__init__(*args, initial={"state": order.state, "tracking": tracking, "comment": order.comment}, **kw)
        if order.state not in states:
            states = {order.state: order.state or "–", **states}
        self.fields["state"].choices = list(states.items())
        self.fields["state"].widget.choices = self.fields["state"].choices


class OrderAdmin(ListAdmin):
    card_template = "obmen/order.html"
    list_display = ("number", "date", "state_label", "buyer_name", "sum", "paid_label", "held_label", "source")
    list_filter = (
        StateFilter,
        ("source", RelatedDropdownFilter),
        ("date", RangeDateTimeFilter),
        ("cancelled", BooleanRadioFilter),
        ("held", BooleanRadioFilter),
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

    @display(description=_("on hold"), label={"held": "warning"})
    def held_label(self, o: models.Order) -> Any:
        if not o.held:
            return None
        return "held", f"{o.held_by}: {o.held_text}" if o.held_text else o.held_by or now_("on hold")

    def get_urls(self) -> list[URLPattern]:
        views = {"edit": self.edit, "hold": self.hold, "release": self.release, "resend": self.resend}
        deeds = [
            path(f"<int:order_id>/{name}/", self.admin_site.admin_view(require_POST(view)), name=f"store_order_{name}")
            for name, view in views.items()
        ]
        return [*deeds, *super().get_urls()]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> models.Order | None:
        return whole(self.get_queryset(request).select_related("counterparty", "source"), object_id)

    def card(self, request: HttpRequest, record: models.Order, form: OrderChange | None = None) -> dict[str, Any]:
        states = order_states()
        dress_orders([record], states)
        lines = list(record.lines.annotate(offer_id=Subquery(card_of_line())))
        payments, shipments = list(record.payments.all()), list(record.shipments.all())
        tracking = (record.delivery or {}).get("tracking") or next((s.tracking for s in reversed(shipments) if s.tracking), "")
        may_change = request.user.has_perm("store.change_order")
        told = story(
            request, ("order",), record.pk, payments={p.pk: p.number or p.key for p in payments}, source=record.source,
            states=states,
        )  # fmt: skip
        return {
            "lines": lines,
            "payments": payments,
            "shipments": shipments,
            "tracking": tracking,
            **told,
            "takers": [s for s in told["systems"] if s.takes],
            "may_change": may_change,
            "form": (form or OrderChange(order=record, tracking=tracking, states=states)) if may_change else None,
        }

    def edit(self, request: HttpRequest, order_id: int) -> HttpResponse:
        order = self._changeable(request, order_id)
        record = order_record(with_parts(models.Order.objects.filter(pk=order.pk)).get())
        form = OrderChange(request.POST, order=order, tracking=tracking_of(record), states=order_states())
        if not form.is_valid():
            context = {"original": order, "record": order, "title": str(order), **self.card(request, order, form)}
            return self.page(request, self.card_template, context)
        wanted = replace(record, state=form.cleaned_data["state"], comment=form.cleaned_data["comment"])
        if "tracking" in form.changed_data:
            wanted = with_tracking(wanted, form.cleaned_data["tracking"])
        _row, changed = save_order(wanted, who=who(request))
        if changed and order.held:
            messages.success(request, now_("The order is saved. It is on hold: nobody is told until it is released."))
        elif changed:
            messages.success(request, now_("The order is saved. Every connection that takes orders will be told."))
        return self._back(order)

    def _changeable(self, request: HttpRequest, order_id: int) -> models.Order:
        order: models.Order | None = self.one(request, str(order_id), "change")
        if order is None:
            raise Http404
        return order

    def _back(self, order: models.Order) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:store_order_change", args=[order.pk]))

    def hold(self, request: HttpRequest, order_id: int) -> HttpResponse:
        order = self._changeable(request, order_id)
        if holding.hold(order, request.POST.get("reason", ""), who(request)):
            messages.success(request, now_("The order is on hold. Nothing of it is sent to anybody until it is released."))
        else:
            messages.info(request, now_("This order is on hold already."))
        return self._back(order)

    def release(self, request: HttpRequest, order_id: int) -> HttpResponse:
        order = self._changeable(request, order_id)
        waiting = holding.release(order, who(request))
        self._sent_soon(request, waiting, now_("The order is released, and nothing of it waits to be sent."))
        return self._back(order)

    def resend(self, request: HttpRequest, order_id: int) -> HttpResponse:
        """Asks first: the other side may do once more what it does with an order."""
        order = self._changeable(request, order_id)
        chosen = {int(pk) for pk in ",".join(request.POST.getlist("to")).split(",") if as_id(pk)}
        takers = [c for c in holding.takers(order) if c.pk in chosen]
        if not takers:
            messages.error(request, now_("Tick at least one system that the order is to be sent to."))
            return self._back(order)
        if "confirmed" not in request.POST:
            question = now_("Send order %(number)s again to: %(names)s?") % {
                "number": order.number, "names": ", ".join(c.name for c in takers),
            }  # fmt: skip
            consequence = now_(
                "It is sent as it is now, also where nothing has changed since. Whoever gets it may do once more what it does with an "
                "order: write to the buyer, print a label."
            )
            return self.page(
                request, "obmen/ask.html",
                {
                    "title": order.number, "question": question, "consequence": consequence, "button": now_("Send again"),
                    "also": {"to": ",".join(str(c.pk) for c in takers)}, "back": reverse("admin:store_order_change", args=[order.pk]),
                },
            )  # fmt: skip
        holding.resend(order, takers, who(request))
        if order.held:
            messages.warning(request, now_("It is noted, but the order is on hold: it is sent when it is released."))
        else:
            self._sent_soon(request, takers, "")
        return self._back(order)

    def _sent_soon(self, request: HttpRequest, waiting: Sequence[models.Connection], nothing: str) -> None:
        """Start what we send ourselves, if this person may; a system that calls us gets it with its next call."""
        runs = send_soon(waiting, who(request)) if request.user.has_perm("store.start_run") else []
        started = [run.connection.name for run in runs]
        later = [connection.name for connection in waiting if connection.name not in started]
        if started:
            messages.success(request, now_("It is being sent to: %(names)s.") % {"names": ", ".join(started)})
        if later:
            names = {"names": ", ".join(later)}
            messages.success(request, now_("It is sent with the next exchange with: %(names)s.") % names)
        if not waiting and nothing:
            messages.success(request, nothing)


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
