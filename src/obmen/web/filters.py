"""Filters of lists that the theme does not bring."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter

from obmen.store import visibility
from obmen.web import parked_groups
from obmen.web.words import without_facts

COUNTED = "parked_groups"  # of a request: the groups of all parked records, which the filter of reasons has counted
UNCOUNTED = "parked_uncounted"  # of a request: it asks for what the filters choose, nobody sees the filters
REASON = 120  # characters of a reason that are kept for grouping (models.Parked.reason)


def _plain(value: Any) -> str:
    """PostgreSQL refuses to look for a zero character; no row has one."""
    return str(value).replace("\0", "\ufffd")


class ReasonFilter(DropdownFilter):
    """By reason: the sentence without its facts, the most frequent first."""

    title = _("reason")
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        if getattr(request, UNCOUNTED, False):
            said = request.GET.get(self.parameter_name, "")
            return [(said, said)] if said else []
        seen = visibility.parked_for(request.user).order_by()
        known = parked_groups.counted(seen, AgeFilter.chosen(request))
        setattr(request, COUNTED, known)
        counts: Counter[str] = Counter()
        samples = {}
        for group in known:
            counts[group["reason"]] += group["n"]
            samples[group["reason"]] = group["sample"]
        rows = counts.most_common(50)
        cut = [samples[reason] for reason, _n in rows if len(reason) == REASON]
        texts = dict(seen.filter(pk__in=cut).values_list("reason", "text")) if cut else {}
        return [(reason, f"{without_facts(texts.get(reason, reason))} ({n})") for reason, n in rows]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(reason=_plain(self.value())[:REASON]) if self.value() else queryset


class WaitsFilter(DropdownFilter):
    """By the one thing that records wait for; an address names it, nobody chooses it from a list."""

    title = _("waits for")
    parameter_name = "waits"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        said = request.GET.get(self.parameter_name, "")
        return [(said, said.partition(":")[2] or said)] if said else []

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(waiting_id=_plain(self.value())) if self.value() else queryset


class AgeFilter(DropdownFilter):
    """By how long records have been parked."""

    title = _("age")
    parameter_name = "age"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("new", _("less than a day")),
            ("1", _("more than a day")),
            ("7", _("more than a week")),
            ("30", _("more than a month")),
        ]

    @classmethod
    def chosen(cls, request: HttpRequest) -> Q:
        said = request.GET.get(cls.parameter_name)
        if said == "new":
            return Q(first_at__gte=timezone.now() - timedelta(days=1))
        return Q(first_at__lt=timezone.now() - timedelta(days=int(said))) if said in ("1", "7", "30") else Q()

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(self.chosen(request))


SETTINGS = (
    "connection.", "stream.", "mappings.", "rules.", "reference.", "bookmark.", "feed.", "defaults.", "notices.", "format.",
    "publisher.", "licence.",
)  # fmt: skip
PEOPLE = ("person.", "role.", "factor.", "token.")


class AboutFilter(DropdownFilter):
    """What lines of the journal are about: settings, people, or records. The former two are about no record, which the index
    tells apart from the many that are."""

    title = _("about")
    parameter_name = "about"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("settings", _("settings")), ("people", _("people and access")), ("records", _("records"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "records":
            return queryset.exclude(record_kind="")
        actions = {"settings": SETTINGS, "people": PEOPLE}.get(self.value() or "")
        if actions is None:
            return queryset
        wanted = Q()
        for action in actions:
            wanted |= Q(action__startswith=action)
        return queryset.filter(wanted, record_kind="")
