"""Pages of mapping tables: those of a connector that names none of its own, a table as a spreadsheet, a save that is taken back."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.formats import date_format
from django.utils.text import slugify
from django.utils.timezone import localtime
from django.utils.translation import gettext as now_
from django.utils.translation import ngettext

from obmen.core.contract import ExchangeError, Table
from obmen.store import mappings, models
from obmen.web import mapping_files
from obmen.web.asking import as_id, retry_freed, who
from obmen.web.connector_tabs import part_url
from obmen.web.tables import GENERIC, Loaded, Look, TableForm, name_of, tables_of_connection
from obmen.web.words import say

SHOWN = 200  # changes of a file that a page shows; what is applied is all of them
NAMED = 10  # values that a question names


def table_page(connection: models.Connection, table: Table) -> str:
    """Where a table stands."""
    if table.tab == GENERIC:
        page = reverse("admin:store_connection_mappings", args=[connection.pk])
    else:
        page = part_url(connection, table.tab)
    return f"{page}?table={name_of(table)}#{name_of(table)}"


class MappingPages:
    """Views of ConnectionAdmin; ``one``, ``tab``, ``_found`` and ``_may_map`` are that class's."""

    def mapping_urls(self, view: Any) -> list[URLPattern]:
        def page(address: str, function: Any, name: str) -> URLPattern:
            return path(f"<int:pk>/mappings/<slug:table>/{address}/", view(function), name=f"store_connection_{name}")

        return [
            page("csv", self.csv, "csv"),
            page("csv-in", self.csv_in, "csv_in"),
            page("undo", self.undo_page, "undo"),
            page("redo", self.redo_page, "redo"),
        ]

    # --- connectors without tables of their own ---

    def mappings_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk)
        tables = tables_of_connection(connection)
        if tables and tables[0].tab != GENERIC:
            return HttpResponseRedirect(part_url(connection, tables[0].tab))
        loaded = Loaded(connection, tables)
        if request.method == "POST":
            return self._save_mappings(request, connection, tables, loaded)
        asked = request.GET
        forms = [
            TableForm(
                connection,
                table,
                wanted=asked.get("value") if asked.get("table") == name_of(table) else None,
                look=Look.at(asked, name_of(table)),
                loaded=loaded,
            )
            for table in tables
        ]
        return self._show_mappings(request, connection, forms)

    def _show_mappings(self, request: HttpRequest, connection: models.Connection, forms: list[TableForm]) -> HttpResponse:
        first = next((f.id for f in forms if f.problems), request.GET.get("table", ""))
        if first not in {f.id for f in forms}:
            first = next(
                (f.id for f in forms if f.unfinished), next((f.id for f in forms if f.rows), forms[0].id if forms else "")
            )
        return self.tab(
            request,
            connection,
            "mappings",
            "obmen/mappings.html",
            tables=forms,
            first_table=first,
            wrong=any(f.problems for f in forms),
            may_map=request.user.has_perm("store.change_mapping"),
        )

    def _save_mappings(
        self, request: HttpRequest, connection: models.Connection, tables: list[Table], loaded: Loaded
    ) -> HttpResponse:
        self._may_map(request, connection.pk)
        posted = set(request.POST.getlist("tables"))
        forms = [TableForm(connection, t, request.POST if name_of(t) in posted else None, loaded=loaded) for t in tables]
        own = [form for form in forms if form.id in posted]
        valid = [form.is_valid(request.user.has_perm("store.add_reference")) for form in own]
        if not all(valid):
            return self._show_mappings(request, connection, forms)
        with transaction.atomic():
            changed = [form for form in own if form.save(who(request))]
        messages.success(request, now_("The settings are saved.") if changed else now_("Nothing was changed."))
        retry_freed(request, connection, [str(form.table.subject) for form in changed])
        shown = (changed or own)[:1]
        return HttpResponseRedirect(table_page(connection, shown[0].table) if shown else request.path)

    # --- a table as a spreadsheet ---

    def _one_table(self, connection: models.Connection, table: str) -> Table:
        found = next((t for t in tables_of_connection(connection) if name_of(t) == table), None)
        if found is None:
            raise Http404
        return found

    def csv(self, request: HttpRequest, pk: int, table: str) -> HttpResponse:
        connection = self._found(request, pk)
        if not request.user.has_perm("store.view_mapping"):
            raise PermissionDenied
        form = TableForm(connection, self._one_table(connection, table))
        response = HttpResponse(mapping_files.written(form), content_type="text/csv; charset=utf-8")
        name = f"{slugify(connection.slug)}-{form.id}.csv"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response

    def csv_in(self, request: HttpRequest, pk: int, table: str) -> HttpResponse:
        """First what the file would change, then, once more asked, the change. The text of the file goes there and back meanwhile."""
        connection = self._may_map(request, pk)
        form = TableForm(connection, self._one_table(connection, table))
        facts: dict[str, Any] = {"form": form, "back": table_page(connection, form.table), "heads": mapping_files.heads(form)}
        text = self._csv_text(request, facts) if request.method == "POST" else ""
        if text:
            found = mapping_files.take(form, text, request.user.has_perm("store.add_reference"))
            facts |= {"found": found, "text": text, "shown": found.changes[:SHOWN], "more": max(0, len(found.changes) - SHOWN)}
            if request.POST.get("confirmed") and found.changes and not found.refused:
                with transaction.atomic():
                    form.save(who(request))
                said = ngettext(
                    "%(count)s row is taken from the file.", "%(count)s rows are taken from the file.", len(found.changes)
                )
                messages.success(request, said % {"count": len(found.changes)})
                retry_freed(request, connection, [str(form.table.subject)])
                return HttpResponseRedirect(facts["back"])
        return self.tab(request, connection, _tab(form.table), "obmen/mapping_csv.html", **facts)

    @staticmethod
    def _csv_text(request: HttpRequest, facts: dict[str, Any]) -> str:
        if "text" in request.POST:
            return str(request.POST["text"])
        file = request.FILES.get("file")
        if file is None:
            facts["refused"] = now_("Choose a file.")
        elif file.size > mapping_files.LARGEST:
            facts["refused"] = now_("The file is larger than 1 MB: a table of mappings is never that long.")
        else:
            text = mapping_files.decoded(file.read())
            facts["refused"] = "" if text.strip() else now_("The file is empty.")
            return text
        return ""

    # --- a save that is taken back ---

    def undo_page(self, request: HttpRequest, pk: int, table: str) -> HttpResponse:
        connection = self._may_map(request, pk)
        found = self._one_table(connection, table)
        back = table_page(connection, found)
        subject, direction = str(found.subject), found.direction
        if request.method == "POST":
            step = request.POST.get("step", "")
            try:
                undone = mappings.undo(connection, subject, direction, who(request), step=int(step) if as_id(step) else -1)
            except ExchangeError as error:
                messages.error(request, say(error.text, error.facts))
            else:
                said = ngettext("%(count)s value is as it was before.", "%(count)s values are as they were before.", undone.rows)
                messages.success(request, said % {"count": undone.rows})
            return HttpResponseRedirect(back)
        last = mappings.steps(connection).get((subject, direction))
        if last is None:
            messages.info(request, now_(mappings.NOTHING_TO_UNDO))
            return HttpResponseRedirect(back)
        when = date_format(localtime(last.at), "j.m.Y H:i")
        question = now_("Take back what was saved %(when)s by %(who)s?") % {"when": when, "who": last.who or "–"}
        return self.tab(
            request,
            connection,
            _tab(found),
            "obmen/ask.html",
            title=now_(found.title),
            question=question,
            consequence=now_(
                "These values become what they were before: %(values)s. Records that were exchanged since stay as they are."
            )
            % {"values": _named(last)},
            button=now_("Take it back"),
            back=back,
            also={"step": last.pk},
        )

    def redo_page(self, request: HttpRequest, pk: int, table: str) -> HttpResponse:
        connection = self._may_map(request, pk)
        found = self._one_table(connection, table)
        back = table_page(connection, found)
        subject, direction = str(found.subject), found.direction
        if request.method == "POST":
            step = request.POST.get("step", "")
            try:
                redone = mappings.redo(connection, subject, direction, who(request), step=int(step) if as_id(step) else -1)
            except ExchangeError as error:
                messages.error(request, say(error.text, error.facts))
            else:
                said = ngettext("%(count)s value is saved once more.", "%(count)s values are saved once more.", redone.rows)
                messages.success(request, said % {"count": redone.rows})
                retry_freed(request, connection, [subject])
            return HttpResponseRedirect(back)
        kept = mappings.steps(connection).get((subject, mappings.BACK + direction))
        if kept is None:
            messages.info(request, now_(mappings.NOTHING_TO_REDO))
            return HttpResponseRedirect(back)
        when = date_format(localtime(kept.at), "j.m.Y H:i")
        return self.tab(
            request,
            connection,
            _tab(found),
            "obmen/ask.html",
            title=now_(found.title),
            question=now_("Make what was saved %(when)s by %(who)s, and taken back since, once more?")
            % {"when": when, "who": kept.who or "–"},
            consequence=now_("These values become what they were after that save: %(values)s.") % {"values": _named(kept)},
            button=now_("Make it again"),
            back=back,
            also={"step": kept.pk},
        )


def _named(step: models.MappingStep) -> str:
    values = list(dict.fromkeys(r["theirs_name"] or r["theirs"] for r in (*step.gone, *step.come)))
    return ", ".join(values[:NAMED]) + (" …" if len(values) > NAMED else "")


def _tab(table: Table) -> str:
    return "mappings" if table.tab == GENERIC else table.tab
