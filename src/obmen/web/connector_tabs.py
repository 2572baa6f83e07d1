"""Pages of a connection whose connector says how it is to be set up: its tabs with settings, mapping tables and deeds.

Nothing here knows a system by name: what stands on a tab follows from ``About.tab``, ``Table.tab`` and ``when``. Four tabs hold
more than that, by their key: "main" what is done by hand, "catalogue" the files that are fetched from us, "settings" the
settings as a file, "search" the match rules.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import connection as db
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from obmen import __version__
from obmen.core.contract import Connector, ExchangeError, Feed, Table
from obmen.core.records import Kind, Subject
from obmen.core.settings import describe, load
from obmen.registry import connectors
from obmen.store import bookmarks, feeds, models
from obmen.store import connections as setup
from obmen.web import guide, rules
from obmen.web.asking import mark, retry_freed, who
from obmen.web.labels import COUNTS, stream
from obmen.web.settings_form import TABS, SettingsForm
from obmen.web.state import connector_title
from obmen.web.tables import Loaded, Look, TableForm, name_of
from obmen.web.values import Products, books_of, make, of_books
from obmen.web.words import say
from obmen.work import jobs

LOOKED = 20  # variants of a product that is looked at
MAIN, CATALOGUE, SETTINGS, SEARCH = "main", "catalogue", "settings", "search"

DEEDS = {  # stream: (what its button says, icon)
    "orders-in": (_("Load orders"), "download"),
    "orders-out": (_("Send orders"), "upload"),
    "statuses-out": (_("Send changed statuses"), "upload"),
    "payments-out": (_("Send payments"), "payments"),
    "stock-out": (_("Send stock"), "inventory"),
    "prices-out": (_("Send price kinds"), "sell"),
    "products-out": (_("Send products"), "upload"),
    "offers-out": (_("Send prices and stock"), "upload"),
    "products-in": (_("Load products"), "download"),
    "counterparties-out": (_("Send customers"), "upload"),
    "counterparties-in": (_("Load customers"), "download"),
    "customers-in": (_("Load customers"), "group"),
}

PICKED = {
    "orders-in": _("Load an order by its id"),
    "customers-in": _("Load a customer by his id"),
    "products-in": _("Load a product by its id"),
}

START_OVER = {  # the manual's question, by what the table is of
    Subject.ORDER_STATE: _("After you confirm the loading, the table of statuses will be cleared. Load the statuses?"),
    Subject.MANAGER: _("After you confirm the loading, the table of managers will be cleared. Load the managers?"),
    Subject.WAREHOUSE: _("After you confirm the loading, the table of stores will be cleared. Load the stores?"),
    Subject.PRICE_KIND: _("After you confirm the loading, the table of price kinds will be cleared. Load the price kinds?"),
    Subject.PAYMENT_KIND: _("After you confirm the loading, the table of payment kinds will be cleared. Load the payment kinds?"),
    Subject.DELIVERY: _("After you confirm the loading, the table of deliveries will be cleared. Load the deliveries?"),
}


def clearing(table: Table) -> tuple[str, str]:
    """What is asked before a table is cleared, and what follows from it."""
    question = START_OVER.get(Subject(table.subject)) or now_(
        "After you confirm the loading, the table “%(title)s” will be cleared. Load it from the other system?"
    ) % {"title": now_(table.title)}
    consequence = now_(
        "What was chosen in this table is lost. To keep it, load without starting over: then only new values are added."
    )
    return str(question), consequence


def is_on(when: str, current: Any) -> bool:
    """Whether one of the settings that ``when`` names is on."""
    return not when or any(getattr(current, name, None) for name in when.split())


def is_gated(kind: type[Connector], connection: models.Connection) -> bool:
    """Nothing but the open tabs is there until the other system has been reached once with this address and key."""
    return bool(kind.open_tabs) and connection.checked is None


def every_tab(kind: type[Connector]) -> list[tuple[str, str]]:
    """(key, title) of the connector's tabs in its order; a setting's tab that it does not name comes last."""
    named = [(key, now_(title)) for key, title in kind.tabs]
    known = {key for key, _title in kind.tabs}
    rest = dict.fromkeys(about.tab for about in describe(kind.settings).values() if about.tab not in known)
    last = [] if SETTINGS in known or SETTINGS in rest else [(SETTINGS, now_("Settings"))]  # the settings as a file
    return [*named, *((tab, str(TABS.get(tab) or tab)) for tab in rest), *last]


def shown_tabs(kind: type[Connector], connection: models.Connection, current: Any) -> list[tuple[str, str]]:
    """The tabs that are of use as the connection is set now; ``current`` None (unreadable settings): all that are open."""
    tabs = every_tab(kind)
    if is_gated(kind, connection):
        tabs = [t for t in tabs if t[0] in kind.open_tabs]
    if current is None:
        return tabs
    return [
        t
        for t in tabs
        if t[0] in (MAIN, CATALOGUE, SETTINGS, SEARCH) or fields_of(kind, t[0], current) or tables_of(kind, t[0], current)
    ]


def fields_of(kind: type[Connector], tab: str, current: Any) -> list[str]:
    """The settings of a tab. One that another setting of the same tab switches on is there too: the page hides it."""
    every = describe(kind.settings)
    return [
        name
        for name, about in every.items()
        if about.tab == tab and (is_on(about.when, current) or any(every[n].tab == tab for n in about.when.split() if n in every))
    ]


def tables_of(kind: type[Connector], tab: str, current: Any) -> list[Table]:
    every = describe(kind.settings)
    return [
        table
        for table in kind.tables
        if table.tab == tab and (is_on(table.when, current) or any(every[n].tab == tab for n in table.when.split() if n in every))
    ]


def part_url(connection: models.Connection, tab: str) -> str:
    return reverse("admin:store_connection_part", args=[connection.pk, tab])


def mapping_url(connection: models.Connection, subject: str, value: str, direction: str) -> str:
    """Where a value can be mapped: the table of its connector with the row, else the page of all mappings; "" when nowhere."""
    kind = connectors().get(connection.connector)
    if kind is None or subject not in set(Subject):
        return ""
    if not kind.tabs:
        asked = urlencode({"table": f"{subject}-each", "value": value})
        return reverse("admin:store_connection_mappings", args=[connection.pk]) + f"?{asked}"
    for table in kind.tables:
        if table.subject == subject and table.direction in (direction, "both", "each"):
            asked = urlencode({"table": name_of(table), "value": value})
            return f"{part_url(connection, table.tab)}?{asked}"
    return ""


class TabPages:
    """Views of ConnectionAdmin for connectors with tabs; ``one``, ``tab``, ``_found`` and ``_back`` are that class's."""

    def part_urls(self, view: Any) -> list[URLPattern]:
        def page(address: str, function: Any, name: str) -> URLPattern:
            return path(f"<int:pk>/{address}/", view(function), name=f"store_connection_{name}")

        return [
            page("tab/<slug:tab>", self.part_page, "part"),
            page("tab/<slug:tab>/<slug:table>/load", require_POST(self.load_table), "load"),
            page("tab/<slug:tab>/<slug:table>/again", self.start_over, "again"),
            page("tab/<slug:tab>/look", require_POST(self.look), "look"),
            page("search", require_POST(self.save_search), "search_rules"),
            page("deed", require_POST(self.deed), "deed"),
            page("hook", require_POST(self.new_hook), "hook"),
            page("feed/<int:feed>", require_POST(self.new_feed_address), "feed"),
            page("help", self.help_page, "help"),
        ]

    def first_part(self, connection: models.Connection, kind: type[Connector]) -> str:
        """Where setting up goes on: the tab of the keys until they are right, the first tab afterwards."""
        try:
            shown = shown_tabs(kind, connection, setup.settings_of(connection))
        except ExchangeError:
            return reverse("admin:store_connection_change", args=[connection.pk])
        return part_url(connection, shown[0][0])

    def file_page(self, connection: models.Connection) -> str:
        """Where the settings as a file stand."""
        kind = connectors().get(connection.connector)
        if kind is None or not kind.tabs:
            return reverse("admin:store_connection_settings", args=[connection.pk])
        return part_url(connection, _file_tab(kind, connection))

    def _kind(self, connection: models.Connection) -> type[Connector]:
        kind = connectors().get(connection.connector)
        if kind is None or not kind.tabs:
            raise Http404
        return kind

    # --- a tab ---

    def part_page(self, request: HttpRequest, pk: int, tab: str) -> HttpResponse:
        connection = self._found(request, pk)
        kind = self._kind(connection)
        try:
            current = setup.settings_of(connection)
        except ExchangeError as error:
            messages.error(request, say(error.text, error.facts))
            return self._back(connection)
        shown = [key for key, _title in shown_tabs(kind, connection, current)]
        if tab not in shown:
            if not shown or tab not in {key for key, _title in every_tab(kind)}:
                raise Http404
            return HttpResponseRedirect(part_url(connection, shown[0]))
        if request.method == "POST":
            return self._save_part(request, connection, kind, tab, current)
        names = fields_of(kind, tab, current)
        asked, every = request.GET, tables_of(kind, tab, current)
        loaded = Loaded(connection, every)
        about = describe(kind.settings)
        with books_of({*loaded.subjects, *(about[name].subject for name in names)}):
            form = SettingsForm(settings_class=kind.settings, current=current, only=names) if names else None
            tables = [
                TableForm(
                    connection,
                    table,
                    wanted=asked.get("value") if asked.get("table") == name_of(table) else None,
                    look=Look.at(asked, name_of(table)),
                    loaded=loaded,
                )
                for table in every
            ]
        return self._show_part(request, connection, kind, tab, current, form, tables)

    def _show_part(
        self,
        request: HttpRequest,
        connection: models.Connection,
        kind: type[Connector],
        tab: str,
        current: Any,
        form: SettingsForm | None,
        tables: Sequence[TableForm],
        problems: Sequence[str] = (),
        posted_marks: Mapping[str, str] | None = None,
        searched: dict[str, Any] | None = None,
    ) -> HttpResponse:
        may_change = request.user.has_perm("store.change_connection")
        own = set(form.about) if form else set()
        rows = [{"form": t, "when": " ".join(f"s-{n}" for n in t.table.when.split() if n in own) if own else ""} for t in tables]
        wrong = bool(problems) or bool(form and form.errors) or any(t.problems for t in tables)
        first = next((t.id for t in tables if t.problems), request.GET.get("table", ""))
        if not any(t.id == first for t in tables):
            first = tables[0].id if tables else ""
        if form and not may_change:
            for f in form.fields.values():
                f.disabled = True
        facts: dict[str, Any] = {
            "part": tab,
            "gated": is_gated(kind, connection),
            "help": bool(guide.html(kind, get_language() or "en")),
            "form": form,
            "tables": rows,
            "first_table": first,
            "wrong": wrong,
            "problems": problems,
            "dirty": wrong,
            "may_map": request.user.has_perm("store.change_mapping"),
            "reparse": bool(form) and any(a.reparse for a in form.about.values()),
            "files": tab == _file_tab(kind, connection),
            "looks": tab == kind.shows and request.user.has_perm("store.view_product"),
        }
        if tab == SEARCH:
            facts |= searched or self._search(request, connection)
        if tab in (MAIN, CATALOGUE):
            with Working(connection) as working:
                if tab == MAIN:
                    facts |= self._main(request, connection, kind, working, posted_marks or {})
                else:
                    facts["feeds"] = self._feeds(request, connection, working)
        return self.tab(request, connection, tab, "obmen/part.html", **facts)

    def _save_part(
        self, request: HttpRequest, connection: models.Connection, kind: type[Connector], tab: str, current: Any
    ) -> HttpResponse:
        """Everything on the tab or nothing of it (S-08)."""
        may = request.user.has_perm
        names = set(fields_of(kind, tab, current))
        # A check box that was not on the page would read as "off": the page says which settings and tables it held.
        held = [name for name in request.POST.getlist("fields") if name in names]
        posted = set(request.POST.getlist("tables"))
        marks = any(name.startswith("mark-") for name in request.POST)
        if ((held or marks or not posted) and not may("store.change_connection")) or (posted and not may("store.change_mapping")):
            raise PermissionDenied
        form = SettingsForm(request.POST, settings_class=kind.settings, current=current, only=held) if held else None
        named = tables_of(kind, tab, current)
        loaded = Loaded(connection, named)
        every = [TableForm(connection, t, request.POST if name_of(t) in posted else None, loaded=loaded) for t in named]
        tables = [t for t in every if t.id in posted]
        may_add = may("store.add_reference")
        problems = self._new_values(form, may_add) if form and form.is_valid() else []
        valid = [t.is_valid(may_add) for t in tables]  # each is asked, so that everything wrong shows at once
        changed: Iterable[str] = ()
        if (form is None or form.is_valid()) and not problems and all(valid):
            try:
                changed = self._write(request, connection, form, tables)
            except ExchangeError as error:
                problems = [say(error.text, error.facts)]
            else:
                self._saved(request, connection, kind, tab, changed)
                shown = next((t.id for t in tables if f"table {t.table.subject}" in changed), "")
                return HttpResponseRedirect(part_url(connection, tab) + (f"?table={shown}" if shown and len(every) > 1 else ""))
        names_shown = [n for n in describe(kind.settings) if n in names]
        shown = form or (SettingsForm(settings_class=kind.settings, current=current, only=names_shown) if names_shown else None)
        words = {name.removeprefix("mark-"): value for name, value in request.POST.items() if name.startswith("mark-")}
        return self._show_part(request, connection, kind, tab, current, shown, every, problems, posted_marks=words)

    @staticmethod
    def _new_values(form: SettingsForm, may_add: bool) -> list[str]:
        problems = []
        for subject, name in form.new_values():
            if subject == Subject.PRICE_KIND:
                # Only goods bring prices: one that is made here would never have any, and nothing would say so.
                known = ", ".join(of_books(subject).labels.values())
                said = (
                    now_("The books have no price kind “%(value)s”: choose one of %(known)s.")
                    if known
                    else now_("The books have no price kind “%(value)s”, nor any other: load goods with their prices first.")
                )
                problems.append(said % {"value": name, "known": known})
            elif not may_add:
                said = now_("The books have no value “%(value)s”, and you may not add one: ask an owner of this hub.")
                problems.append(said % {"value": name})
        return problems

    @transaction.atomic
    def _write(
        self, request: HttpRequest, connection: models.Connection, form: SettingsForm | None, tables: Sequence[TableForm]
    ) -> set[str]:
        """The names of what changed: settings, subjects of tables, bookmarks."""
        name = who(request)
        changed: set[str] = set()
        if form is not None:
            for subject, value in form.new_values():
                make(subject, value, connection, name)
            wanted = form.changes()
            if wanted:
                setup.update(connection, wanted, name)
            changed |= {f"setting {n}" for n in wanted}
        for table in tables:
            if table.save(name):
                changed.add(f"table {table.table.subject}")
        changed |= {f"bookmark {of}" for of in self._set_bookmarks(connection, request.POST, name)}
        return changed

    @staticmethod
    def _set_bookmarks(connection: models.Connection, posted: Mapping[str, str], name: str) -> list[str]:
        wanted = {f.removeprefix("mark-"): v.strip() for f, v in posted.items() if f.startswith("mark-") and v.strip()}
        with Working(connection) as working:
            changed = [of for of in working.picking if wanted.get(of) and wanted[of] != working.bookmark(of)]
            for of in changed if working.connector else ():
                bookmarks.set_by_hand(connection, working.connector, of, wanted[of], None, name)
        return changed

    def _saved(
        self, request: HttpRequest, connection: models.Connection, kind: type[Connector], tab: str, changed: Iterable[str]
    ) -> None:
        connection.refresh_from_db()
        if not changed:
            messages.info(request, now_("Nothing was changed."))
        else:
            messages.success(request, now_("The settings are saved."))
        retry_freed(request, connection, [c.removeprefix("table ") for c in changed if c.startswith("table ")])
        if is_gated(kind, connection) and any(c.startswith("setting ") for c in changed):
            self.checked(request, connection)

    def checked(self, request: HttpRequest, connection: models.Connection) -> None:
        """Reach the other system with what is set now, and say how that went."""
        try:
            messages.success(request, now_(setup.check(connection)))
        except ExchangeError as error:
            messages.error(request, say(error.text, error.facts))

    # --- match rules ---

    @staticmethod
    def _search(request: HttpRequest, connection: models.Connection, data: Any = None) -> dict[str, Any]:
        with Working(connection) as working:
            kinds = {kind for brought in working.kinds_in.values() for kind in brought}
        # A card of a marketplace is an offer with its product: it is looked for by the rules of products.
        kinds |= {Kind.PRODUCT} if Kind.OFFER in kinds else set()
        may = request.user.has_perm("store.change_matchrule")
        tables = rules.tables(connection, kinds, data)
        for table in () if may else tables:
            for form in table["formset"]:
                for field in form.fields.values():
                    field.disabled = True
        return {"searched": tables, "may_rules": may}

    def save_search(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk)
        kind = self._kind(connection)
        if not request.user.has_perm("store.change_matchrule"):
            raise PermissionDenied
        if SEARCH not in {key for key, _title in kind.tabs}:
            raise Http404
        found = self._search(request, connection, request.POST)
        if all([table["formset"].is_valid() for table in found["searched"]]):  # noqa: C419 - each says what is wrong with it
            changed = rules.save(connection, found["searched"], who(request))
            messages.success(request, now_("The match rules are saved.") if changed else now_("Nothing was changed."))
            return HttpResponseRedirect(part_url(connection, SEARCH))
        current = setup.settings_of(connection)
        names = fields_of(kind, SEARCH, current)
        form = SettingsForm(settings_class=kind.settings, current=current, only=names) if names else None
        tables = [TableForm(connection, table) for table in tables_of(kind, SEARCH, current)]
        return self._show_part(request, connection, kind, SEARCH, current, form, tables, searched=found)

    # --- one product as it would go out ---

    def look(self, request: HttpRequest, pk: int, tab: str) -> HttpResponse:
        """A part of the page: what would be sent of one product by the settings as they are typed, saved or not."""
        connection = self._found(request, pk)
        kind = self._kind(connection)
        if not kind.shows or tab != kind.shows:
            raise Http404
        if not request.user.has_perm("store.view_product"):
            raise PermissionDenied
        said = request.POST.get("look", "").strip()
        context: dict[str, Any] = {"asked": said}
        key = Products().key(said) if said else None
        product = models.Product.objects.filter(key=key).first() if key else None
        if product is not None:
            try:
                context |= self._looked(request, connection, kind, product)
            except ExchangeError as error:
                context["problems"] = [say(error.text, error.facts)]
        return render(request, "obmen/looked.html", context | {"product": product})

    @staticmethod
    def _looked(
        request: HttpRequest, connection: models.Connection, kind: type[Connector], product: models.Product
    ) -> dict[str, Any]:
        current = setup.settings_of(connection)
        names = set(fields_of(kind, kind.shows, current))
        form = SettingsForm(
            request.POST,
            settings_class=kind.settings,
            current=current,
            only=[n for n in request.POST.getlist("fields") if n in names],
        )
        if not form.is_valid():
            return {"problems": [f"{form.fields[name].label}: {text}" for name, texts in form.errors.items() for text in texts]}
        kept = connection.settings | connection.secrets | form.changes()
        hub = setup.hub_of(connection)
        with closing(kind(load(kind.settings, setup.profile_values(kind, connection.profile) | kept), hub)) as connector:
            goods = hub.books.goods(replace(connector.show_choice(), only=frozenset({product.pk})))
            return {
                "goods": [
                    {
                        "name": good.offer.name or good.product.name or good.key,
                        "lines": [
                            {"name": now_(line.name), "text": line.text, "whence": say(line.whence, line.facts)}
                            for line in connector.show(good)
                        ],
                    }
                    for good in islice(goods, LOOKED)
                ]
            }

    # --- mapping tables ---

    def _table(self, connection: models.Connection, tab: str, table: str) -> Table:
        for found in self._kind(connection).tables:
            if found.tab == tab and f"{found.subject}-{found.direction}" == table:
                return found
        raise Http404

    def load_table(self, request: HttpRequest, pk: int, tab: str, table: str) -> HttpResponse:
        connection = self._may_map(request, pk)
        found = self._table(connection, tab, table)
        back = HttpResponseRedirect(f"{part_url(connection, tab)}?table={table}#{table}")
        self._load(request, connection, found, clear=False)
        return back

    def start_over(self, request: HttpRequest, pk: int, tab: str, table: str) -> HttpResponse:
        connection = self._may_map(request, pk)
        found = self._table(connection, tab, table)
        back = f"{part_url(connection, tab)}?table={table}#{table}"
        if request.method == "POST":
            self._load(request, connection, found, clear=True)
            return HttpResponseRedirect(back)
        question, consequence = clearing(found)
        return self.tab(
            request,
            connection,
            tab,
            "obmen/ask.html",
            question=question,
            consequence=consequence,
            button=now_("Yes"),
            danger=True,
            back=back,
        )

    def _may_map(self, request: HttpRequest, pk: int) -> models.Connection:
        connection = self._found(request, pk)
        if not request.user.has_perm("store.change_mapping"):
            raise PermissionDenied
        return connection

    def _load(self, request: HttpRequest, connection: models.Connection, table: Table, clear: bool) -> None:
        try:
            counts = setup.load_table(connection, table, who(request), clear=clear)
        except ExchangeError as error:
            messages.error(request, say(error.text, error.facts))
            return
        messages.success(
            request,
            now_("“%(title)s” is loaded: %(new)s new, %(gone)s vanished over there, %(kept)s as before.")
            % {"title": now_(table.title), "new": counts["new"], "gone": counts["gone"], "kept": counts["kept"]},
        )

    # --- what is done by hand ---

    def _main(
        self,
        request: HttpRequest,
        connection: models.Connection,
        kind: type[Connector],
        working: Working,
        posted: Mapping[str, str],
    ) -> dict[str, Any]:
        enabled = set(connection.streams.filter(enabled=True).values_list("stream", flat=True))
        deeds = [
            {
                "stream": name,
                "label": str(DEEDS[name][0]) if name in DEEDS else stream(name),
                "icon": DEEDS[name][1] if name in DEEDS else "sync",
                "on": connection.enabled and name in enabled,
                "first": number == 0,
            }
            for number, name in enumerate(n for n in kind.streams if n in working.sources or n in working.sinks)
        ]
        return {
            "main": True,
            "versions": versions(connection),
            "deeds": deeds,
            "previews": any(d["on"] for d in deeds),
            "marks": [
                {
                    "stream": name,
                    "label": now_("Id of the last record") + (f" ({stream(name)})" if len(working.picking) > 1 else ""),
                    "words": posted.get(name, working.bookmark(name)),
                }
                for name in working.picking
            ],
            "dated": bool(working.picking),
            "picked": [
                {"stream": name, "label": str(PICKED[name]) if name in PICKED else stream(name)}
                for name in working.picking
                if connection.enabled and name in enabled
            ],
            "wakes": ", ".join(stream(name) for name in kind.wakes),
            "hook": request.build_absolute_uri(setup.hook_path(connection)) if connection.hook else "",
        }

    def deed(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not request.user.has_perm("store.start_run"):
            raise PermissionDenied
        connection = self._found(request, pk)
        kind = self._kind(connection)
        said = request.POST
        on = [s for s in kind.streams if s in set(connection.streams.filter(enabled=True).values_list("stream", flat=True))]
        asked = said.get("stream", "")
        args: dict[str, Any] = {}
        with Working(connection) as working:
            streams = [s for s in on if s in working.every and (not asked or s == asked)]
            if said.get("preview"):
                args["preview"] = True
            if "only" in said:
                args["only"] = [x for x in said["only"].replace(",", " ").split() if x][:100]
            if not connection.enabled or not streams or args.get("only") == []:
                messages.error(request, now_("There is nothing to start: the connection or all of its streams are switched off."))
                return HttpResponseRedirect(part_url(connection, MAIN))
            if said.get("dated") and asked in working.picking and working.connector is not None:
                problem = self._start_from(connection, working.connector, asked, said.get("moment", ""), who(request))
                if problem:
                    messages.error(request, problem)
                    return HttpResponseRedirect(part_url(connection, MAIN))
        key = f"{','.join(sorted(streams))}:{mark(sorted(args.items()))}" if args else None
        run = jobs.ask(connection, streams, trigger="person", who=who(request), args=args, key=key)
        return HttpResponseRedirect(reverse("admin:store_run_change", args=[run.pk]))

    @staticmethod
    def _start_from(connection: models.Connection, connector: Connector, stream_: str, typed: str, name: str) -> str:
        """Set the bookmark to what was typed, told in the connection's time zone, or to now; what is wrong, else ""."""
        try:
            moment = datetime.fromisoformat(typed).replace(tzinfo=ZoneInfo(connection.time_zone)) if typed else None
            bookmarks.set_by_hand(connection, connector, stream_, "", moment, name)
        except ExchangeError as error:
            return say(error.text, error.facts)
        except ValueError:
            return now_("The actuality date is no date and time.")
        return ""

    def new_hook(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk, "change")
        if not self._kind(connection).wakes:
            raise Http404
        setup.new_hook(connection, who(request))
        said = now_("This is the new wake-up address; enter it in the other system. An old one does not work any more.")
        messages.success(request, said)
        return HttpResponseRedirect(part_url(connection, MAIN) + "#o-wake")

    # --- files that are fetched from us ---

    def _feeds(self, request: HttpRequest, connection: models.Connection, working: Working) -> list[dict[str, Any]]:
        may = request.user.has_perm("store.change_connection")
        enabled = set(connection.streams.filter(enabled=True).values_list("stream", flat=True))
        rows = {row.name: row for row in connection.feeds.all()}
        out = []
        for feed in working.feeds:
            row = rows.get(feed.name) or models.Feed(connection=connection, name=feed.name)
            out.append(
                {
                    "name": feed.name,
                    "stream": feed.stream,
                    "path": feed.path,
                    "on": connection.enabled and feed.stream in enabled,
                    "row": row,
                    "counts": [(str(COUNTS.get(n, n)), value) for n, value in row.counts.items()],
                    "refused": say(row.text, row.facts),
                    "address": request.build_absolute_uri(feeds.path(row)) if may and row.pk else "",
                }
            )
        return out

    def new_feed_address(self, request: HttpRequest, pk: int, feed: int) -> HttpResponse:
        connection = self._found(request, pk, "change")
        row = connection.feeds.filter(pk=feed).first()
        if row is None:
            raise Http404
        feeds.new_token(row, who(request))
        said = now_("This is the new address of the file; enter it in the other system. The old one does not work any more.")
        messages.success(request, said)
        return HttpResponseRedirect(part_url(connection, CATALOGUE))

    # --- help ---

    def help_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk)
        kind = connectors().get(connection.connector)
        text = guide.html(kind, get_language() or "en") if kind else ""
        if not text:
            raise Http404
        return self.tab(request, connection, "help", "obmen/help.html", guide=text, connector=connector_title(connection))


class Working:
    """What a connection works with as it is set now; nothing while its settings cannot be used."""

    def __init__(self, connection: models.Connection) -> None:
        self.connection, self.hub = connection, setup.hub_of(connection)
        self.connector: Connector | None = None
        self.sources: list[str] = []
        self.sinks: list[str] = []
        self.picking: list[str] = []  # streams whose single records can be asked for, with a bookmark that a person may set
        self.feeds: Sequence[Feed] = ()
        self.kinds_in: dict[str, frozenset[Kind]] = {}  # what the stream of each source may bring …
        self.kinds_out: dict[str, Kind] = {}  # … and that of each sink sends
        try:
            connector = setup.connector_of(connection, self.hub)
            sources = connector.sources()
            self.sources = [s.stream for s in sources]
            self.picking = [s.stream for s in sources if hasattr(s, "bookmark_from")]
            self.kinds_in = {s.stream: frozenset(s.kinds) for s in sources}
            self.kinds_out = {s.stream: s.kind for s in connector.sinks()}
            self.sinks = list(self.kinds_out)
            self.feeds = connector.feeds()
            self.connector = connector
        except ExchangeError:
            return

    def __enter__(self) -> Working:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.connector is not None:
            self.connector.close()
        self.hub.flush()

    @property
    def every(self) -> list[str]:
        return [*self.sources, *self.sinks, *(f.stream for f in self.feeds)]

    def bookmark(self, stream_: str) -> str:
        return bookmarks.words(self.connection, self.connector, stream_) if self.connector and stream_ in self.picking else ""


def versions(connection: models.Connection) -> list[tuple[str, str]]:
    """What a person tells who asks "which version do you have?"."""
    return [
        (now_("Version"), f"Obmen {__version__}"),
        (now_("connector"), connector_title(connection)),
        (now_("database"), db.display_name),
        ("Python", platform.python_version()),
    ]


def _file_tab(kind: type[Connector], connection: models.Connection) -> str:
    """Where the settings as a file stand: a new connection can be set up by one before its tabs are open."""
    return kind.open_tabs[0] if is_gated(kind, connection) else SETTINGS
