"""Filters of lists that the theme does not bring."""

from __future__ import annotations

from typing import Any

from django.db.models import Count
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter

from obmen.store import models
from obmen.web.words import without_facts


class ReasonFilter(DropdownFilter):
    """By reason: the sentence without its facts, the most frequent first."""

    title = _("reason")
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = models.Parked.objects.values_list("text").annotate(n=Count("id")).order_by("-n")[:50]
        return [(text, f"{without_facts(text)} ({n})") for text, n in rows]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(text=self.value()) if self.value() else queryset
