"""The page “Manual exchange”: one connection, its deeds, and the goods that a person picks to send just these.

Nothing here knows a system by name: what can be done follows from the connector's sources and sinks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from obmen.core.contract import ExchangeError
from obmen.core.records import Kind
from obmen.registry import connectors
from obmen.store import models, picks
from obmen.web import labels
from obmen.web.asking import as_id, ask_by_hand, who
from obmen.web.connector_tabs import DEEDS, Working, is_gated, part_url
from obmen.web.site import site
from obmen.web.values import Leaf, below, tree
from obmen.web.words import say
from obmen.work.exchange import GOODS_KINDS

SHOWN = 200  # picked goods on the page
FOUND = 50  # goods of a search on the page
ONES = 100  # ids in one field

SENDS = {
    Kind.ORDER: _("Send changed orders and statuses"),
    Kind.PAYMENT: _("Send payments"),
    Kind.COUNTERPARTY: _("Send customers"),
}
GOODS_SENT = {  # what is ticked to go with the picked goods
    "products-out": _("cards: names, descriptions, attributes"),
    "offers-out": _("prices and stock"),
    "stock-out": _("stock"),
    "prices-out": _("prices"),
}


def urls() -> list[URLPattern]:
    def page(address: str, view: Any, name: str) -> URLPattern:
        return path(f"manual/{address}", site.admin_view(view), name=name)

    return [
        page("", choose, "manual"),
        page("<int:pk>/", show, "manual_of"),
        page("<int:pk>/goods/", require_POST(change_goods), "manual_goods"),
        page("<int:pk>/start/", require_POST(start), "manual_start"),
    ]


def offered() -> list[models.Connection]:
    """Connections whose system we call: the others come by themselves."""
    ours = [key for key, kind in connectors().items() if kind.calls_out]
    return list(models.Connection.objects.filter(connector__in=ours).select_related("account"))


def _allowed(request: HttpRequest) -> None:
    if not (request.user.has_perm("store.start_run") and request.user.has_perm("store.view_connection")):
        raise PermissionDenied


def _one(request: HttpRequest, pk: int) -> models.Connection:
    _allowed(request)
    found = next((c for c in offered() if c.pk == pk), None)
    if found is None:
        raise Http404
    return found


def _back(connection: models.Connection, query: str = "") -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:manual_of", args=[connection.pk]) + query)


def choose(request: HttpRequest) -> HttpResponse:
    _allowed(request)
    every = offered()
    if every:
        return _back(next((c for c in every if c.enabled), every[0]))
    return _page(request, {"connections": [], "record": None})


def _page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    admin = site.get_model_admin(models.Connection)
    return admin.page(request, "obmen/manual.html", {"title": now_("Manual exchange"), **context})  # type: ignore[attr-defined, no-any-return]


# --- the page --------------------------------------------------------------------------------------------------------------


def show(request: HttpRequest, pk: int, pasted: picks.Pasted | None = None) -> HttpResponse:
    _allowed(request)
    every = offered()
    connection = next((c for c in every if c.pk == pk), None)
    if connection is None:
        raise Http404
    kind = connectors()[connection.connector]
    may_goods = request.user.has_perm("store.view_product")
    context: dict[str, Any] = {
        "connections": every,
        "record": connection,
        "run": _run(request, connection),
        "problem": _problem(connection),
        "gated": is_gated(kind, connection) and part_url(connection, kind.open_tabs[0]),
    }
    with Working(connection) as working:
        context |= _deeds(connection, working)
    if context["goods"] and may_goods:
        context |= _goods(request, connection)
    if pasted is not None:
        context |= _pasted(pasted)
    return _page(request, context)


def _problem(connection: models.Connection) -> str:
    if not connection.enabled:
        return now_("The connection is switched off: nothing is exchanged until it is switched on.")
    return ""


def _run(request: HttpRequest, connection: models.Connection) -> int | None:
    """The run that was started here; its part of the page is fetched by itself."""
    asked = request.GET.get("run", "")
    return int(asked) if as_id(asked) and request.user.has_perm("store.view_run") else None


def _deeds(connection: models.Connection, working: Working) -> dict[str, Any]:
    on = set(connection.streams.filter(enabled=True).values_list("stream", flat=True)) if connection.enabled else set()
    waiting = dict(models.Outbox.objects.filter(connection=connection).values_list("kind").annotate(n=Count("id")).order_by())

    def deed(name: str, label: Any, icon: str) -> dict[str, Any]:
        return {"stream": name, "label": str(label), "icon": icon, "on": name in on, "picking": name in working.picking}

    sends = [
        deed(name, DEEDS[name][0] if name in DEEDS and name != "orders-out" else SENDS.get(kind, labels.stream(name)), "upload")
        | {"waiting": waiting.get(kind, 0)}
        for name, kind in working.kinds_out.items()
        if kind not in GOODS_KINDS
    ]
    loads = [
        deed(name, DEEDS[name][0] if name in DEEDS else labels.stream(name), "download") | {"orders": Kind.ORDER in kinds}
        for name, kinds in working.kinds_in.items()
    ]
    goods = [
        deed(name, GOODS_SENT.get(name, labels.stream(name)), "upload")
        for name, kind in working.kinds_out.items()
        if kind in GOODS_KINDS
    ]
    return {
        "sends": sends,
        "orders": [d for d in loads if d["orders"]],
        "loads": [d for d in loads if not d["orders"]],
        "goods": goods,
        "goods_on": any(d["on"] for d in goods),
        "broken": working.connector is None,
    }


def _goods(request: HttpRequest, connection: models.Connection) -> dict[str, Any]:
    picked = picks.read(connection, who(request))
    query, group = request.GET.get("q", "").strip(), request.GET.get("group", "")
    leaves = tree([group] if group else ())
    ids: list[int] = []
    if query or group:
        ids = list(_search(request, query, group, leaves).order_by("-pk").values_list("pk", flat=True)[: picks.MOST + 1])
    wanted = {*picked[:SHOWN], *ids[:FOUND]}
    rows = models.Product.objects.in_bulk(wanted) if wanted else {}
    context: dict[str, Any] = {
        "may_goods": True,
        "picked": [rows[pk] for pk in picked[:SHOWN] if pk in rows],
        "picked_count": len(picked),
        "more_picked": max(0, len(picked) - SHOWN),
        "most": picks.MOST,
        "q": query,
        "group": group,
        "groups": leaves,
    }
    if query or group:
        known = set(picked)
        context |= {
            "searched": True,
            "found": [{"row": rows[pk], "picked": pk in known} for pk in ids[:FOUND] if pk in rows],
            "found_count": min(len(ids), picks.MOST),
            "found_more": len(ids) > picks.MOST,
        }
    return context


def _search(request: HttpRequest, query: str, group: str, leaves: Sequence[Leaf]) -> QuerySet[models.Product]:
    """As the list of products searches, without what is marked for deletion; ``group`` with all below it."""
    rows: QuerySet[models.Product] = models.Product.objects.filter(deleted=False)
    if group:
        rows = rows.filter(group__in=below(leaves, group))
    if query:
        rows, _distinct = site.get_model_admin(models.Product).get_search_results(request, rows, query)
    return rows


def _pasted(pasted: picks.Pasted) -> dict[str, Any]:
    ids = [pk for rows in pasted.several.values() for pk in rows]
    names = models.Product.objects.in_bulk(ids) if ids else {}
    several = [{"value": value, "rows": [names[pk] for pk in rows if pk in names]} for value, rows in pasted.several.items()]
    return {"pasted": pasted, "several": several, "missing": pasted.missing}


# --- the list of goods -----------------------------------------------------------------------------------------------------


def change_goods(request: HttpRequest, pk: int) -> HttpResponse:
    connection, said, name = _one(request, pk), request.POST, who(request)
    if not request.user.has_perm("store.view_product"):
        raise PermissionDenied
    back = "?" + said.get("back", "") if said.get("back") else ""
    if "remove" in said:
        picks.remove(connection, name, _ids([said["remove"]]))
    elif "clear" in said:
        picks.clear(connection, name)
    elif "all" in said:
        query, group = said.get("q", "").strip(), said.get("group", "")
        found = _search(request, query, group, tree(()) if group else ()).order_by("-pk").values_list("pk", flat=True)
        _added(request, *picks.add(connection, name, found[: picks.MOST + 1]))
    elif "pasted" in said:
        values = re.split(r"[\n\r\t;,]+", said["pasted"].replace("\0", ""))
        pasted = picks.look_up(values)
        _added(request, *picks.add(connection, name, pasted.found.values()))
        if len({v.strip() for v in values if v.strip()}) > picks.PASTED:
            messages.warning(
                request,
                now_("Only the first %(count)s values were looked up: paste the rest after them.") % {"count": picks.PASTED},
            )
        if pasted.several or pasted.missing:
            return show(request, pk, pasted)
    else:
        wanted = models.Product.objects.filter(pk__in=_ids(said.getlist("product")), deleted=False)
        _added(request, *picks.add(connection, name, wanted.order_by("pk").values_list("pk", flat=True)))
    return _back(connection, f"{back}#o-goods")


def _ids(said: Iterable[str]) -> list[int]:
    return [int(text) for text in said if as_id(text)][: picks.MOST]


def _added(request: HttpRequest, added: int, over: int) -> None:
    if added:
        text = ngettext("%(count)s product is added to the list.", "%(count)s products are added to the list.", added)
        messages.success(request, text % {"count": added})
    elif not over:
        messages.info(request, now_("Nothing new was found for the list."))
    if over:
        messages.warning(
            request,
            now_(
                "The list holds %(most)s products at most: %(count)s were not added. Send these first, or use the stream as a whole."
            )
            % {"most": picks.MOST, "count": over},
        )


# --- starting --------------------------------------------------------------------------------------------------------------


def start(request: HttpRequest, pk: int) -> HttpResponse:
    connection, said, name = _one(request, pk), request.POST, who(request)
    on = set(connection.streams.filter(enabled=True).values_list("stream", flat=True)) if connection.enabled else set()
    args: dict[str, Any] = {"each": True}
    since: datetime | None = None
    if said.get("preview"):
        args["preview"] = True
    with Working(connection) as working:
        if said.get("do") == "goods":
            if not request.user.has_perm("store.view_product"):
                raise PermissionDenied
            streams = [s for s in said.getlist("stream") if working.kinds_out.get(s) in GOODS_KINDS]
            args["goods"] = picks.read(connection, name)
            if not args["goods"]:
                return _refused(
                    request, connection, now_("The list of goods is empty: search for some, or paste their articles.")
                )
        else:
            streams = [
                s
                for s in said.getlist("stream")
                if s in working.kinds_in or (s in working.kinds_out and working.kinds_out[s] not in GOODS_KINDS)
            ]
        streams = [s for s in streams if s in on]
        if not streams:
            return _refused(
                request, connection, now_("There is nothing to start: choose what is to be sent; what is switched off is marked.")
            )
        if "only" in said:
            args["only"] = [x for x in re.split(r"[\s,;]+", said["only"]) if x][:ONES]
            if not args["only"]:
                return _refused(request, connection, now_("Enter at least one id."))
        elif said.get("moment"):
            try:
                since = datetime.fromisoformat(said["moment"]).replace(tzinfo=ZoneInfo(connection.time_zone))
                since.astimezone(UTC)
            except (ValueError, OverflowError):  # the year 1 has no moment in every zone
                return _refused(request, connection, now_("This is no date: enter it as in 31.12.2026 00:00."))
        go_on = bool(said.get("go_on"))
        try:
            run = ask_by_hand(connection, working.connector, streams, name, since=since, go_on=go_on, **args)
        except ExchangeError as error:
            return _refused(request, connection, say(error.text, error.facts))
    if not request.user.has_perm("store.view_run"):
        messages.success(request, now_("It is started."))
        return _back(connection)
    return _back(connection, f"?run={run.pk}#o-run")


def _refused(request: HttpRequest, connection: models.Connection, text: str) -> HttpResponse:
    messages.error(request, text)
    return _back(connection)
