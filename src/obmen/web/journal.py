"""Pages of the journal and of the traffic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase
from django.urls import URLPattern, path
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, RangeDateTimeFilter, RelatedDropdownFilter
from unfold.decorators import display

from obmen.store import models
from obmen.web import labels
from obmen.web.filters import AboutFilter
from obmen.web.lists import CAP, ListAdmin
from obmen.web.site import site
from obmen.work import deciding


class JournalAdmin(ListAdmin):
    list_before_template = "obmen/seek_link.html"
    list_display = ("at", "who", "connection", "sentence")
    list_filter = (("connection", RelatedDropdownFilter), AboutFilter, ("at", RangeDateTimeFilter))
    look_up = ("who",)
    look_in = ("action",)
    list_select_related = ("connection",)
    list_display_links = None
    sortable_by = ()
    ordering = ("-id",)

    @display(description=_("what"))
    def sentence(self, e: models.JournalEntry) -> str:
        return labels.deed(e.action, e.facts)


class TroubleFilter(DropdownFilter):
    """Calls that failed, or took long: found by an index of their own among a million good ones."""

    title = _("trouble")
    parameter_name = "trouble"
    SLOW = (("1", _("took a second or more")), ("5", _("took 5 seconds or more")), ("30", _("took 30 seconds or more")))

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("failed", _("failed")), *self.SLOW]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "failed":  # in the words of the index: SQLite does not see that a parameter means the same
            return queryset.extra(where=['("store_message"."status" >= 400 OR "store_message"."status" = 0)'])
        if self.value() in dict(self.SLOW):
            slowest = models.Message.objects.filter(milliseconds__gte=int(self.value()) * 1000).order_by("-milliseconds", "-pk")
            return queryset.filter(pk__in=slowest.values("pk")[: CAP + 1])
        return queryset


class MessageAdmin(ListAdmin):
    card_template = "obmen/message.html"
    list_before_template = "obmen/seek_link.html"
    list_display = ("at", "connection", "call", "status_label", "answer", "took", "remote")
    list_filter = (("connection", RelatedDropdownFilter), TroubleFilter, ("at", RangeDateTimeFilter))
    look_up = ("session", "remote")
    look_in = ("call", "answer")
    list_select_related = ("connection",)
    sortable_by = ("took",)
    ordering = ("-id",)

    @display(description=_("status"), label={"good": "success", "refused": "warning", "broken": "danger"})
    def status_label(self, m: models.Message) -> tuple[str, str]:
        if m.status == 0:
            return "broken", now_("no answer")
        return "good" if m.status < 400 else "refused" if m.status < 500 else "broken", str(m.status)

    @display(description=_("took"), ordering="milliseconds")
    def took(self, m: models.Message) -> str:
        return f"{m.milliseconds} ms"

    def get_urls(self) -> list[URLPattern]:
        file = path("<int:pk>/file/", self.admin_site.admin_view(self.file), name="store_message_file")
        return [file, *super().get_urls()]

    def card(self, request: HttpRequest, record: models.Message) -> dict[str, Any]:
        may_start = request.user.has_perm("store.start_run")
        return {
            "title": record.call,
            "has_file": bool(record.file) and kept_file(record.file) is not None,
            "may_replay": may_start and record.direction == "in" and bool(deciding.received_files(record)),
        }

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


site.register(models.JournalEntry, JournalAdmin)
site.register(models.Message, MessageAdmin)
