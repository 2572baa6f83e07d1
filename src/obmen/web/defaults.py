"""“Read defaults from the format” on a connection's page: first what would change, then what was ticked of it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.translation import gettext as now_
from django.utils.translation import ngettext

from obmen.core.contract import ExchangeError
from obmen.core.settings import describe
from obmen.registry import connectors
from obmen.store import defaults, mappings, models
from obmen.store.defaults import Difference
from obmen.web.asking import ask_retry, who
from obmen.web.labels import ATTRIBUTES, KINDS, SUBJECTS, stream
from obmen.web.words import say


class ReadDefaults:
    """A view of ConnectionAdmin; ``tab``, ``_found`` and ``_back`` are that class's."""

    def defaults_urls(self, view: Any) -> list[URLPattern]:
        return [path("<int:pk>/defaults/", view(self.read_defaults), name="store_connection_defaults")]

    def read_defaults(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk, "change")
        try:
            if request.method == "POST":
                # Only what was shown: a proposal that came with a new version meanwhile is not taken unseen.
                taken = defaults.apply(connection, request.POST.getlist("take"), who(request))
                connection.refresh_from_db()
                self._told(request, connection, taken)
                return HttpResponseRedirect(request.path) if defaults.differences(connection) else self._back(connection)
            found = defaults.differences(connection)
        except ExchangeError as error:
            messages.error(request, say(error.text, error.facts))
            return self._back(connection)
        rows = [{"it": one, **words(connection, one)} for one in found]
        return self.tab(request, connection, "change", "obmen/defaults.html", rows=rows)

    @staticmethod
    def _told(request: HttpRequest, connection: models.Connection, taken: list[Difference]) -> None:
        if not taken:
            messages.info(request, now_("Nothing was changed."))
            return
        said = ngettext("%(count)s default was taken over.", "%(count)s defaults were taken over.", len(taken))
        messages.success(request, said % {"count": len(taken)})
        subjects = {one.name for one in taken if one.area == "mapping"}
        parked = [pk for subject in sorted(subjects) for pk in mappings.freed(connection, subject)]
        if parked and request.user.has_perm("store.retry_parked"):
            ask_retry(models.Parked.objects.filter(pk__in=parked), who(request))


def words(connection: models.Connection, one: Difference) -> dict[str, str]:
    """What it is of, and how it is and would be, as people know it."""
    if one.area == "setting":
        about = describe(connectors()[connection.connector].settings).get(one.name)
        what = now_(about.label) if about and about.label else one.name
        return {"what": what, "old": _plain(one.now), "new": _plain(one.wanted)}
    if one.area == "stream":
        return {"what": f"{now_('Stream')}: {stream(one.name)}", "old": _plain(one.now), "new": _plain(one.wanted)}
    if one.area == "match":
        lists = [", ".join(str(ATTRIBUTES.get(a, a)) for a in attributes or ()) or "–" for attributes in (one.now, one.wanted)]
        return {"what": f"{now_('Match rules')}: {KINDS.get(one.name, one.name)}", "old": lists[0], "new": lists[1]}
    old, new = (_mapped(one.name, values) for values in (one.now, one.wanted))
    return {"what": f"{SUBJECTS.get(one.name, one.name)}: {one.theirs}", "old": old, "new": new}


def _mapped(subject: str, values: Any) -> str:
    if values is None:
        return "–"
    ours = models.Reference.objects.filter(subject=subject, key=values["ours"]).values_list("name", flat=True).first()
    said = [ours or values["ours"] or "–", *(str(v) for v in values["attributes"].values() if v)]
    return ", ".join(said if values["taken"] else [*said, now_("left out")])


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return now_("yes") if value else now_("no")
    if isinstance(value, list | tuple):
        return ", ".join(str(v) for v in value) or "–"
    return str(value) if value not in (None, "") else "–"
