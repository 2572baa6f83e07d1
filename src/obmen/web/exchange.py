"""Pages of runs, parked records, the journal and the traffic."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter, RelatedDropdownFilter
from unfold.decorators import action, display

from obmen.store import connections as setup
from obmen.store import models
from obmen.web import labels
from obmen.web.connections import who
from obmen.web.filters import ReasonFilter
from obmen.web.lists import ListAdmin
from obmen.web.site import site
from obmen.web.templatetags.obmen import lasted
from obmen.web.words import say
from obmen.work import jobs

RAW_SHOWN = 20_000  # characters of raw input that a page shows; the rest is in the download


class RunAdmin(ListAdmin):
    card_template = "obmen/run.html"
    list_display = ("title", "streams_label", "state_label", "started_at", "took", "counted", "message")
    list_filter = (
        ("connection", RelatedDropdownFilter),
        ("state", ChoicesDropdownFilter),
        ("asked", RangeDateTimeFilter),
    )
    look_up = ("asked_by",)
    look_in = ("connection__name",)
    list_select_related = ("connection",)
    sortable_by = ()
    ordering = ("-id",)

    @display(description=_("run"))
    def title(self, r: models.Run) -> str:
        return f"#{r.pk} {r.connection}"

    @display(description=_("streams"))
    def streams_label(self, r: models.Run) -> str:
        return ", ".join(labels.stream(s) for s in r.streams.split(",") if s)

    @display(description=_("state"), label=labels.TONES)
    def state_label(self, r: models.Run) -> tuple[str, str]:
        return r.state, r.get_state_display()

    @display(description=_("started"))
    def started_at(self, r: models.Run) -> Any:
        return r.started or r.due

    @display(description=_("took"))
    def took(self, r: models.Run) -> str:
        return lasted(r) or (f"{r.percent} %" if r.state == "running" else "–")

    @display(description=_("counts"))
    def counted(self, r: models.Run) -> str:
        return ", ".join(f"{labels.COUNTS.get(k, k)} {v}" for k, v in r.counts.items() if v) or "–"

    @display(description=_("message"))
    def message(self, r: models.Run) -> str:
        text = say(r.text, r.facts)
        return text if len(text) <= 80 else text[:79] + "…"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<int:pk>/live/", view(self.live), name="store_run_live"),
            path("<int:pk>/stop/", view(require_POST(self.stop)), name="store_run_stop"),
            path("<int:pk>/again/", view(require_POST(self.again)), name="store_run_again"),
            *super().get_urls(),
        ]

    def card(self, request: HttpRequest, record: models.Run) -> dict[str, Any]:
        may = request.user.has_perm("store.start_run")
        lines = list(record.lines.order_by("-id")[:200])[::-1]
        return {
            "run": record,
            "lines": lines,
            "live": record.state in ("waiting", "running", "postponed"),
            "may_start": may,
            "may_repeat": may and not record.args and record.state in record.FINISHED,
            "parked": models.Parked.objects.filter(connection_id=record.connection_id).count(),
        }

    def live(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The moving part of the page; 286 tells htmx to stop asking."""
        run = self.one(request, str(pk))
        if run is None:
            raise Http404
        context = self.card(request, run)
        return render(request, "obmen/run_live.html", context, status=200 if context["live"] else 286)

    def stop(self, request: HttpRequest, pk: int) -> HttpResponse:
        run = self._may_start(request, pk)
        if jobs.ask_stop(run.pk):
            setup.note(run.connection, "run.stop_asked", who(request), run=run.pk)
        else:
            messages.info(request, now_("This run had already ended."))
        return HttpResponseRedirect(reverse("admin:store_run_change", args=[pk]))

    def again(self, request: HttpRequest, pk: int) -> HttpResponse:
        run = self._may_start(request, pk)
        if run.args:
            messages.error(request, now_("This run worked on files of one call: the outside system has to send them again."))
            return HttpResponseRedirect(reverse("admin:store_run_change", args=[pk]))
        new = jobs.ask(run.connection, run.streams.split(","), trigger="person", who=who(request))
        return HttpResponseRedirect(reverse("admin:store_run_change", args=[new.pk]))

    def _may_start(self, request: HttpRequest, pk: int) -> models.Run:
        if not request.user.has_perm("store.start_run"):
            raise PermissionDenied
        run = self.one(request, str(pk))
        if run is None:
            raise Http404
        return run


class ParkedAdmin(ListAdmin):
    card_template = "obmen/parked.html"
    list_display = ("record", "kind_title", "reason", "connection", "tries", "last_at")
    list_filter = (
        ("connection", RelatedDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("direction", ChoicesDropdownFilter),
        ReasonFilter,
    )
    look_up = ("external_id",)
    look_in = ("text", "where")
    search_help_text = _("their id, reason or place")
    list_select_related = ("connection",)
    sortable_by = ("last_at",)
    ordering = ("-last_at", "-id")
    actions = ("retry_selected",)
    list_before_template = "obmen/retry_all.html"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("payload")

    def has_retry_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("store.retry_parked")

    @display(description=_("record"))
    def record(self, p: models.Parked) -> str:
        return str(p.facts.get("name") or p.external_id)

    @display(description=_("kind"))
    def kind_title(self, p: models.Parked) -> str:
        return str(labels.KINDS.get(p.kind, p.kind))

    @display(description=_("reason"))
    def reason(self, p: models.Parked) -> str:
        text = say(p.text, p.facts)
        return text if len(text) <= 120 else text[:119] + "…"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("retry-all/", view(self.retry_filtered), name="store_parked_retry_all"),
            path("<int:pk>/raw/", view(self.raw), name="store_parked_raw"),
            path("<int:pk>/retry/", view(require_POST(self.retry_one)), name="store_parked_retry"),
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
            "waits_for": labels.KINDS.get(record.waiting_kind, record.waiting_kind),
        }

    def raw(self, request: HttpRequest, pk: int) -> HttpResponse:
        parked = self.one(request, str(pk))
        if parked is None:
            raise Http404
        response = HttpResponse(bytes(parked.payload), content_type="application/octet-stream")
        response["Content-Disposition"] = f'attachment; filename="parked-{parked.pk}.txt"'
        return response

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
        rows = self.get_changelist_instance(request).get_queryset(request)
        return self._confirm(request, rows, action_name="")

    def _confirm(self, request: HttpRequest, rows: Any, action_name: str) -> HttpResponse:
        if not self.has_retry_permission(request):
            raise PermissionDenied
        found = list(rows.order_by("id").only("id", "connection_id"))
        listing = reverse("admin:store_parked_changelist")
        if not found:
            messages.info(request, now_("There is nothing to retry."))
            return HttpResponseRedirect(listing)
        if request.method == "POST" and request.POST.get("confirmed") == "1":
            runs = ask_retry(found, who(request))
            count = len(found)
            said = ngettext("%(count)s record is being retried.", "%(count)s records are being retried.", count)
            messages.success(request, said % {"count": count})
            if len(runs) == 1:
                return HttpResponseRedirect(reverse("admin:store_run_change", args=[runs[0].pk]))
            return HttpResponseRedirect(reverse("admin:store_run_changelist"))
        count = len(found)
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
                "selected": [p.pk for p in found] if action_name else [],
            },
        )


def ask_retry(parked: list[models.Parked], name: str) -> list[models.Run]:
    """One run for each connection; the same records asked for twice are one run, other records another."""
    by_connection: dict[int, list[int]] = defaultdict(list)
    for row in parked:
        by_connection[row.connection_id].append(row.pk)
    runs = []
    for connection in models.Connection.objects.filter(pk__in=by_connection):
        ids = sorted(by_connection[connection.pk])
        every = len(ids) > 1 and len(ids) == connection.parked.count()
        mark = "all" if every else hashlib.sha256(repr(ids).encode()).hexdigest()[:16]
        args = {"parked": None if every else ids}
        runs.append(jobs.ask(connection, ["retry-parked"], trigger="retry", who=name, args=args, key=f"retry-parked:{mark}"))
    return runs


class JournalAdmin(ListAdmin):
    list_display = ("at", "who", "connection", "sentence")
    list_filter = (("connection", RelatedDropdownFilter), ("at", RangeDateTimeFilter))
    look_up = ("who",)
    look_in = ("action",)
    list_select_related = ("connection",)
    list_display_links = None
    sortable_by = ()
    ordering = ("-id",)

    @display(description=_("what"))
    def sentence(self, e: models.JournalEntry) -> str:
        return labels.deed(e.action, e.facts)


class MessageAdmin(ListAdmin):
    card_template = "obmen/message.html"
    list_display = ("at", "connection", "call", "status", "answer", "took", "remote")
    list_filter = (("connection", RelatedDropdownFilter), ("at", RangeDateTimeFilter))
    look_up = ("session", "remote")
    look_in = ("call", "answer")
    list_select_related = ("connection",)
    sortable_by = ()
    ordering = ("-id",)

    @display(description=_("took"))
    def took(self, m: models.Message) -> str:
        return f"{m.milliseconds} ms"

    def get_urls(self) -> list[URLPattern]:
        file = path("<int:pk>/file/", self.admin_site.admin_view(self.file), name="store_message_file")
        return [file, *super().get_urls()]

    def card(self, request: HttpRequest, record: models.Message) -> dict[str, Any]:
        return {"title": record.call, "has_file": bool(record.file) and kept_file(record.file) is not None}

    def file(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        message = self.one(request, str(pk))
        found = kept_file(message.file) if message and message.file else None
        if found is None:
            raise Http404
        return FileResponse(found.open("rb"), as_attachment=True, filename=found.name, content_type="application/octet-stream")


def kept_file(name: str) -> Path | None:
    """A body kept in the data folder; anything that points out of it is not served."""
    home = Path(settings.OBMEN_HOME).resolve()
    file = (home / name).resolve()
    return file if file.is_relative_to(home) and file.is_file() else None


site.register(models.Run, RunAdmin)
site.register(models.Parked, ParkedAdmin)
site.register(models.JournalEntry, JournalAdmin)
site.register(models.Message, MessageAdmin)
