"""Pages of parked records: why each waits, what it looked like, what can be done about it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db import connection as db
from django.db.models import F, Q, TextField
from django.db.models.functions import Cast, Left
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils import timezone, translation
from django.utils.text import capfirst
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display

from obmen.core.contract import ExchangeError
from obmen.store import joining, models, visibility
from obmen.web import candidates, labels, parked_groups
from obmen.web.asking import as_id, ask_retry, ask_retry_of, who
from obmen.web.connector_tabs import mapping_url
from obmen.web.filters import COUNTED, REASON, UNCOUNTED, AgeFilter, ReasonFilter, WaitsFilter
from obmen.web.lists import ListAdmin
from obmen.web.site import site
from obmen.web.state import veil
from obmen.web.words import say

RAW_SHOWN = 20_000  # characters of raw input that a page shows; the rest is in the download

# Filters of the list that choose whole groups, and the column of the groups that each is about.
OF_GROUP = {"connection__id__exact": "connection_id", "kind__exact": "kind", "direction__exact": "direction", "reason": "reason"}
CHOSEN = {*OF_GROUP, AgeFilter.parameter_name}  # filters for which the groups are counted once, with those of the whole list


class ParkedAdmin(ListAdmin):
    card_template = "obmen/parked.html"
    list_display = ("record", "kind_title", "sentence", "connection", "tries", "last_at")
    list_filter = (
        ("connection", RelatedDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("direction", ChoicesDropdownFilter),
        ReasonFilter,
        WaitsFilter,
        AgeFilter,
    )
    look_up = ("external_id",)
    look_in = ("text", "where")
    search_help_text = _("their id, reason, value or place")
    list_select_related = ("connection",)
    sortable_by = ("last_at",)
    ordering = ("-last_at", "-id")
    actions = ("retry_selected",)
    list_before_template = "obmen/parked_groups.html"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("payload")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Also by the reason as the reader reads it, and by the values that it names."""
        term = search_term.strip().replace("\0", "")
        if not term:
            return queryset, False
        # One condition on the rows themselves, so that one walk in the order of the list ends as soon as enough is found. SQLite takes a
        # generated column, as the reason is, for all columns of the row, and would read them with the input.
        why = Left("text", REASON) if db.vendor == "sqlite" else F("reason")
        named = Q(why__in=parked_groups.reasons_that_say(term, getattr(request, COUNTED, None)))
        for way in parked_groups.as_kept(term):
            named |= Q(said__holds=way)
        asked = queryset.alias(said=Cast("facts", TextField()), why=why)
        return asked.filter(self.looked_for(term) | named), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list with the groups of what it shows above it."""
        response = super().changelist_view(request, extra_context)
        context = getattr(response, "context_data", None)
        if context and "cl" in context:
            cl = context["cl"]
            found, count = ([], 0) if cl.query else parked_groups.groups(self._counted(request, cl))
            may = request.user.has_perm
            context |= {
                "groups": found,
                "groups_more": count - len(found),
                "may_retry": self.has_retry_permission(request),
                "may_map": may("store.change_mapping") and self.has_retry_permission(request),
                "may_add": may("store.add_reference"),
                "query": request.GET.urlencode(),
            }
        return response

    @staticmethod
    def _counted(request: HttpRequest, cl: Any) -> list[dict[str, Any]]:
        """The filter of reasons has counted the groups already, of the whole list and of what the filter by age chooses; others of
        the filters choose whole groups of them."""
        known: list[dict[str, Any]] | None = getattr(request, COUNTED, None)
        said = cl.get_filters_params()
        one_each = all(len(values) == 1 for values in said.values())
        if known is None or len(known) >= parked_groups.MOST or not said.keys() <= CHOSEN or not one_each:
            return parked_groups.counted(cl.queryset)
        applied = {name for spec in cl.filter_specs for name in spec.expected_parameters()}  # one without a choice is none
        wanted = {OF_GROUP[name]: values[0] for name, values in said.items() if name in applied & OF_GROUP.keys()}
        return parked_groups.of_chosen(known, wanted)

    def has_retry_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("store.retry_parked")

    @display(description=_("record"))
    def record(self, p: models.Parked) -> str:
        return str(p.facts.get("name") or p.external_id)

    @display(description=_("kind"))
    def kind_title(self, p: models.Parked) -> str:
        return str(labels.KINDS.get(p.kind, p.kind))

    @display(description=_("reason"))
    def sentence(self, p: models.Parked) -> str:
        text = say(p.text, p.facts)
        return text if len(text) <= 120 else text[:119] + "…"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("retry-all/", view(self.retry_filtered), name="store_parked_retry_all"),
            path("download/", view(self.download), name="store_parked_download"),
            path("map/", view(require_POST(self.map)), name="store_parked_map"),
            path("freeing/<int:run>/", view(self.freeing), name="store_parked_freeing"),
            path("<int:pk>/raw/", view(self.raw), name="store_parked_raw"),
            path("<int:pk>/retry/", view(require_POST(self.retry_one)), name="store_parked_retry"),
            path("<int:pk>/join/", view(require_POST(self.join)), name="store_parked_join"),
            path("<int:pk>/new/", view(require_POST(self.make_new)), name="store_parked_new"),
            *super().get_urls(),
        ]

    def card(self, request: HttpRequest, record: models.Parked) -> dict[str, Any]:
        raw = bytes(record.payload)
        text = raw.decode("utf-8", "replace")
        return {
            "title": capfirst(str(record)),
            "raw": text[:RAW_SHOWN],
            "raw_size": len(raw),
            "cut": len(text) > RAW_SHOWN,
            "may_retry": self.has_retry_permission(request),
            "map": mapping_url(record.connection, str(record.facts["subject"]), str(record.facts["value"]), str(record.direction))
            if {"subject", "value"} <= record.facts.keys() and request.user.has_perm("store.view_connection")
            else "",
            "waits_for": labels.KINDS.get(record.waiting_kind, record.waiting_kind),
            "candidates": candidates.shown(record) if self._may_decide(request, record) else [],
            "asked": joining.asked(record),
            "can_be_new": joining.can_be_new(record),
        }

    # --- two cards fit ---

    def _may_decide(self, request: HttpRequest, parked: models.Parked) -> bool:
        """Who says which card it is has to see the cards."""
        found = joining.asked(parked)
        return bool(found and self.has_retry_permission(request) and request.user.has_perm(f"store.view_{found[0]}"))

    def _decided(self, request: HttpRequest, pk: int) -> models.Parked:
        parked = self.one(request, str(pk))
        if parked is None or not joining.candidates(parked):
            raise Http404
        if not self._may_decide(request, parked):
            raise PermissionDenied
        return parked  # type: ignore[no-any-return]

    def join(self, request: HttpRequest, pk: int) -> HttpResponse:
        """It is this card. Asks first when the card is another record of theirs already."""
        parked = self._decided(request, pk)
        card, asked = request.POST.get("card", ""), joining.asked(parked)
        if not as_id(card) or asked is None:
            raise Http404
        anew = joining_anew(parked, int(card))
        if anew and not request.POST.get("confirmed"):
            question, consequence = anew
            return self.page(
                request,
                "obmen/ask.html",
                {
                    "title": now_("It is this one"),
                    "question": question,
                    "consequence": consequence,
                    "button": now_("Yes, it is this one"),
                    "danger": True,
                    "back": reverse("admin:store_parked_change", args=[pk]),
                    "also": {"card": card},
                },
            )
        try:
            joining.join(parked, int(card), who(request))
        except ExchangeError as error:
            messages.error(request, say(error.text, error.facts))
            return HttpResponseRedirect(reverse("admin:store_parked_changelist"))
        return self._retried(request, parked, new=False)

    def make_new(self, request: HttpRequest, pk: int) -> HttpResponse:
        parked = self._decided(request, pk)
        if not joining.can_be_new(parked):
            raise Http404
        joining.make_new(parked, who(request))
        return self._retried(request, parked, new=True)

    @staticmethod
    def _retried(request: HttpRequest, parked: models.Parked, *, new: bool) -> HttpResponse:
        runs = ask_retry([parked], who(request), new=new)
        if request.user.has_perm("store.view_run"):
            return HttpResponseRedirect(reverse("admin:store_run_change", args=[runs[0].pk]))
        messages.success(request, now_("It is being tried again."))
        return HttpResponseRedirect(reverse("admin:store_parked_changelist"))

    def raw(self, request: HttpRequest, pk: int) -> HttpResponse:
        parked = self.one(request, str(pk))
        if parked is None:
            raise Http404
        response = HttpResponse(bytes(parked.payload), content_type="application/octet-stream")
        response["Content-Disposition"] = f'attachment; filename="parked-{parked.pk}.txt"'
        return response

    def download(self, request: HttpRequest) -> HttpResponseBase:
        """All that the list shows, one JSON object in a line: why each waits and what it looked like."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = self._listed(request).defer(None).order_by("id")
        response = StreamingHttpResponse(_lines(rows, get_language() or "en"), content_type="application/x-ndjson; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="parked-{timezone.localdate():%Y-%m-%d}.jsonl"'
        return response

    def _listed(self, request: HttpRequest) -> Any:
        """What the list shows with the filters of this address."""
        setattr(request, UNCOUNTED, True)
        try:
            return self.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters:
            raise Http404 from None

    # --- one remedy for a group ---

    def map(self, request: HttpRequest) -> HttpResponse:
        """Say what a value of theirs is here, and try again everything that waited for it, in one run."""
        if not (request.user.has_perm("store.change_mapping") and self.has_retry_permission(request)):
            raise PermissionDenied
        said = request.POST
        pk = said.get("connection", "")
        connection = models.Connection.objects.filter(pk=int(pk)).first() if as_id(pk) else None
        if connection is None:
            raise Http404
        subject, value, typed = said.get("subject", ""), said.get("value", ""), said.get("ours", "").strip()
        table = parked_groups.table_for(connection, subject, "in")
        if table is None or not value or "\0" in value + typed:
            raise Http404
        listing = HttpResponseRedirect(_safe_back(request))
        if not typed:
            messages.error(request, now_("Choose what “%(value)s” is here.") % {"value": value})
            return listing
        rows, may_add = self.get_queryset(request).filter(connection=connection), request.user.has_perm("store.add_reference")
        try:
            _count, run = parked_groups.free(connection, table, value, typed, rows, who(request), may_add=may_add)
        except ExchangeError as error:
            messages.error(request, say(error.text, error.facts))
            return listing
        if run is None:
            messages.success(request, now_("“%(value)s” is mapped. Nothing waits for it any more.") % {"value": value})
            return listing
        return HttpResponseRedirect(reverse("admin:store_parked_freeing", args=[run.pk]))

    def freeing(self, request: HttpRequest, run: int) -> HttpResponse:
        """How far a run is that frees records, and in the end how many it has freed; ``part`` is what moves of the page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = models.Run.objects.select_related("connection").filter(pk=run).first()
        if found is None or not isinstance(found.args.get("parked"), list):
            raise Http404
        if visibility.is_limited(request.user):
            veil([found])
        ids = found.args["parked"]
        left = sum(
            self.get_queryset(request).filter(pk__in=ids[at : at + 5000]).order_by().count() for at in range(0, len(ids), 5000)
        )
        ended = found.state in models.Run.FINISHED
        context = {
            "title": now_("Freeing parked records"),
            "run": found,
            "live": not ended,
            "asked": len(ids),
            "left": left,
            "freed": len(ids) - left,
            "freed_by": found.args.get("freed_by") or ["", ""],
            "remaining": list(self.get_queryset(request).filter(pk__in=ids[:5000]).order_by("pk")[:10]) if ended and left else [],
            "may_see_run": request.user.has_perm("store.view_run"),
        }
        if "part" in request.GET:
            return render(request, "obmen/parked_freeing_live.html", context)
        return self.page(request, "obmen/parked_freeing.html", context)

    # --- retry ---

    def retry_one(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.has_retry_permission(request):
            raise PermissionDenied
        parked = self.one(request, str(pk))
        if parked is None:
            raise Http404
        runs = ask_retry([parked], who(request))
        return HttpResponseRedirect(reverse("admin:store_run_change", args=[runs[0].pk]))

    @action(description=_("Retry the selected records"), permissions=["retry"])
    def retry_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse:
        return self._confirm(request, queryset, action_name="retry_selected")

    def retry_filtered(self, request: HttpRequest) -> HttpResponse:
        """All that the list shows: the address carries the list's filters and search."""
        if not self.has_retry_permission(request):
            raise PermissionDenied
        rows = self._listed(request)
        return self._confirm(request, rows, action_name="")

    def _confirm(self, request: HttpRequest, rows: Any, action_name: str) -> HttpResponse:
        if not self.has_retry_permission(request):
            raise PermissionDenied
        confirmed = request.method == "POST" and request.POST.get("confirmed") == "1"
        found = list(rows.order_by("id").values_list("connection_id", "pk")) if confirmed or action_name else []
        count = len(found) or rows.order_by().count()  # the question about all of a list needs no more
        listing = reverse("admin:store_parked_changelist")
        if not count:
            messages.info(request, now_("There is nothing to retry."))
            return HttpResponseRedirect(listing)
        if confirmed:
            runs = ask_retry_of(found, who(request))
            said = ngettext("%(count)s record is being retried.", "%(count)s records are being retried.", count)
            messages.success(request, said % {"count": count})
            if len(runs) == 1:
                return HttpResponseRedirect(reverse("admin:store_run_change", args=[runs[0].pk]))
            return HttpResponseRedirect(reverse("admin:store_run_changelist"))
        return self.page(
            request,
            "obmen/ask.html",
            {
                "title": now_("Retry parked records"),
                "question": ngettext("Retry %(count)s record?", "Retry %(count)s records?", count) % {"count": count},
                "consequence": now_(
                    "Each is put through again from its untouched input; what still cannot go through stays parked."
                ),
                "button": now_("Retry"),
                "back": listing,
                "action_name": action_name,
                "selected": [pk for _connection, pk in found],
            },
        )


def joining_anew(parked: models.Parked, card: int) -> tuple[str, str] | None:
    """What is asked before a card becomes this record that is another record of theirs already, and what follows from it."""
    other, asked = joining.linked_as(parked, card), joining.asked(parked)
    if not other or asked is None or other == asked[1]:
        return None
    question = now_("For this connection the card is “%(other)s” already. Is it “%(this)s” instead?")
    consequence = now_(
        "The card is taken off “%(other)s”: when that record comes again, it is looked up anew, and a new card may be "
        "made of it. If both are the same thing over there, join them there."
    )
    return question % {"other": other, "this": asked[1]}, consequence % {"other": other}


def _safe_back(request: HttpRequest) -> str:
    """The list with the filters that it had; nowhere else."""
    query = request.POST.get("query", "")
    return reverse("admin:store_parked_changelist") + (f"?{query}" if query else "")


def _lines(rows: Any, language: str) -> Iterator[bytes]:
    for parked in rows.iterator(chunk_size=200):
        raw = bytes(parked.payload)
        with translation.override(language):
            reason = say(parked.text, parked.facts)
        line = {
            "connection": parked.connection.name,
            "kind": parked.kind,
            "direction": parked.direction,
            "id": parked.external_id,
            "where": parked.where,
            "reason": reason,
            "facts": parked.facts,
            "tries": parked.tries,
            "parked": parked.first_at.isoformat(),
            "last tried": parked.last_at.isoformat(),
        }
        try:
            line["input"] = raw.decode("utf-8")
        except UnicodeDecodeError:
            line["input_base64"] = base64.b64encode(raw).decode()
        yield json.dumps(line, ensure_ascii=False).encode() + b"\n"


site.register(models.Parked, ParkedAdmin)
