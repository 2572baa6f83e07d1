"""The pages of the first hour: a view and a form for each step. How far a connection is says first_hour.py.

The steps use the forms of the connection's own tabs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from obmen.core import schedule
from obmen.core.contract import Connector, ExchangeError, NeedsOwner, Table
from obmen.core.settings import describe, load
from obmen.core.words import plain_facts
from obmen.registry import connectors
from obmen.store import bookmarks, defaults, mappings, models, visibility
from obmen.store import connections as setup
from obmen.web import guide
from obmen.web.asking import mark, who
from obmen.web.connector_tabs import Working
from obmen.web.defaults import words
from obmen.web.first_hour import MAY_WAIT, Step, Way, page_url, table_id, what_it_does
from obmen.web.labels import stream
from obmen.web.settings_form import SettingsForm
from obmen.web.state import connector_title, profile_title
from obmen.web.suggest import suggest
from obmen.web.tables import Row as TableRow
from obmen.web.tables import TableForm
from obmen.web.words import say
from obmen.work import jobs

SINCE = timedelta(days=7)  # how far back orders are looked for at first, unless a person says otherwise

PLANS = (
    ("", _("only by hand")),
    ("every 5 min", _("every 5 minutes")),
    ("every 15 min", _("every 15 minutes")),
    ("every 1 h", _("every hour")),
    ("at 03:00", _("every night at 03:00")),
)
OWN = "own"
USUAL = {  # how often a stream usually runs; whatever is not here: by hand
    "orders-in": "every 5 min",
    "orders-out": "every 5 min",
    "statuses-out": "every 5 min",
    "payments-out": "every 15 min",
    "customers-in": "every 15 min",
    "stock-out": "every 15 min",
    "offers-out": "every 15 min",
    "prices-out": "every 1 h",
    "products-in": "every 1 h",
    "products-out": "every 1 h",
    "catalogue-out": "at 03:00",
}


# --- the forms that are not those of a tab -----------------------------------------------------------------------------------


class PlanForm(forms.Form):
    """One stream: whether it is exchanged, and when by itself."""

    enabled = forms.BooleanField(label=_("switched on"), required=False, widget=UnfoldBooleanSwitchWidget)
    plan = forms.ChoiceField(
        label=_("when"), choices=(*PLANS, (OWN, _("at times of my own"))), required=False, widget=UnfoldAdminSelectWidget
    )
    own = forms.CharField(label=_("schedule"), max_length=120, required=False, widget=UnfoldAdminTextInputWidget)

    def __init__(self, data: Any, row: models.StreamSetting, on: bool, planned: str | None) -> None:
        """``on`` and ``planned`` are what is proposed; None: it has no schedule."""
        usual = planned if planned in dict(PLANS) else OWN
        initial = {"enabled": on, "plan": usual, "own": planned if usual == OWN else ""}
        super().__init__(data, initial=initial, prefix=f"s{row.pk}")
        self.row, self.scheduled = row, planned is not None
        self.title = stream(row.stream)
        for name in ("enabled", "plan", "own"):
            self.fields[name].widget.attrs["aria-label"] = f"{self.title}: {self.fields[name].label}"
        self.fields["own"].widget.attrs["placeholder"] = now_("at 06:30, 18:00")
        if not self.scheduled:
            del self.fields["plan"], self.fields["own"]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("plan") == OWN and data.get("enabled"):
            try:
                schedule.parse(data.get("own", ""))
            except NeedsOwner as error:
                self.add_error("own", say(error.text, error.facts))
        return data

    @property
    def schedule(self) -> str:
        """What is to be kept of the row's schedule."""
        if not self.scheduled:
            return self.row.schedule
        plan = self.cleaned_data["plan"]
        return str(self.cleaned_data["own"]).strip() if plan == OWN else str(plan)


def access_fields(kind: type[Connector]) -> list[str]:
    """The settings that say whom we talk to, and with what key."""
    return [name for name, about in describe(kind.settings).items() if about.identifies or about.kind == "secret"]


def access_of_new(what: str, data: Any = None) -> SettingsForm | None:
    """What the page of a new connection asks for, besides its name: whom we talk to and with what key, as far as the profile does not say
    it. None for a system that calls us, and for one whose settings nobody can read. ``what``: "connector:profile"."""
    key, _sep, profile = what.partition(":")
    kind = connectors().get(key)
    if kind is None or not kind.calls_out or (profile and profile not in kind.profiles()):
        return None
    current = load(kind.settings, setup.profile_values(kind, profile))
    about = describe(kind.settings)
    only = [name for name in access_fields(kind) if about[name].kind == "secret" or not getattr(current, name)]
    return SettingsForm(data, settings_class=kind.settings, current=current, only=only) if only else None


def shown_access(what: str, form: SettingsForm | None) -> dict[str, Any]:
    """For the part of the page that asks for it."""
    rows = form.rows() if form else []
    return {
        "access": form,
        "access_what": what,
        "access_rows": [row | {"where": [now_(menu) for menu in form.about[row["name"]].where]} for row in rows] if form else [],
    }


# --- the pages -------------------------------------------------------------------------------------------------------------


class FirstHour:
    """Views of ConnectionAdmin; ``page``, ``_found``, ``_require``, ``checked`` and ``_saved`` are that class's."""

    def first_hour_urls(self, view: Any) -> list[URLPattern]:
        steps = {
            "access": self.first_access,
            "check": self.first_check,
            "defaults": self.first_defaults,
            "mapping": self.first_mapping,
            "preview": self.first_preview,
            "on": self.first_on,
            "later": self.first_later,
        }
        return [
            path("add/access/", view(self.access_part), name="store_connection_add_access"),
            path("<int:pk>/first-hour/", view(self.first_hour), name="store_connection_first_hour"),
            path("<int:pk>/first-hour/waiting/", view(self.first_call), name="store_connection_first_call"),
            path("<int:pk>/first-hour/previewed/", view(self.first_previewed), name="store_connection_first_previewed"),
            *(
                path(f"<int:pk>/first-hour/{key}/", view(require_POST(one)), name=f"store_connection_first_{key}")
                for key, one in steps.items()
            ),
        ]

    def _way(self, request: HttpRequest, pk: int, permission: str = "") -> Way:
        connection = self._found(request, pk)
        if connection.connector not in connectors():
            raise Http404
        if permission:
            self._require(request, permission)
        return Way(connection)

    def first_hour(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk)
        if connection.connector not in connectors():
            messages.error(request, now_("The connector “%(key)s” is not installed.") % {"key": connection.connector})
            return self._back(connection)
        way = Way(connection)
        step = way.here(request.GET.get("step", ""))
        shown = {"access": self._access, "check": self._check, "defaults": self._defaults, "mapping": self._mapping}
        shown |= {"preview": self._preview, "on": self._on}
        try:
            facts = shown[step.key](request, way)
        except ExchangeError as error:
            messages.error(request, say(error.text, error.facts))
            return self._back(connection)
        return self._show(request, way, step, **facts)

    def _show(self, request: HttpRequest, way: Way, step: Step, **facts: Any) -> HttpResponse:
        may = request.user.has_perm
        frame = {
            "record": way.connection,
            "original": way.connection,
            "title": now_("Set-up of “%(name)s”") % {"name": way.connection.name},
            "steps": way.steps,
            "step": step,
            "calls_out": way.calls_out,
            "system": profile_title(way.connection) or connector_title(way.connection),
            "template": f"obmen/first_hour_{step.key}.html",
            "may_change": may("store.change_connection"),
            "may_start": may("store.start_run"),
            "may_map": may("store.change_mapping"),
            "may_wait": step.key in MAY_WAIT and step.state == "now",
        }
        return self.page(request, "obmen/first_hour.html", frame | facts)

    # --- access ---

    def _access(self, request: HttpRequest, way: Way) -> dict[str, Any]:
        if not way.calls_out:
            return self._door(request, way)
        form = SettingsForm(settings_class=way.kind.settings, current=way.current, only=access_fields(way.kind))
        return self._access_facts(request, way, form)

    @staticmethod
    def _access_facts(request: HttpRequest, way: Way, form: SettingsForm) -> dict[str, Any]:
        """What is usually as it is, and nobody has set otherwise, stands behind the rest."""
        if not request.user.has_perm("store.change_connection"):
            for one in form.fields.values():
                one.disabled = True
        usual = {
            name
            for name, about in form.about.items()
            if about.kind != "secret" and name not in way.connection.settings and getattr(way.current, name)
        }
        rows = [row | {"where": [now_(menu) for menu in form.about[row["name"]].where]} for row in form.rows()]
        return {
            "form": form,
            "rows": [row for row in rows if row["name"] not in usual],
            "usual": [row for row in rows if row["name"] in usual],
            "open": any(row["field"].errors for row in rows if row["name"] in usual),
            **_help(way),
        }

    def first_access(self, request: HttpRequest, pk: int) -> HttpResponse:
        way = self._way(request, pk, "store.change_connection")
        connection = way.connection
        if not way.calls_out:  # from now on it may call
            setup.switch(connection, True, who(request))
            return HttpResponseRedirect(page_url(connection, "check"))
        form = SettingsForm(request.POST, settings_class=way.kind.settings, current=way.current, only=access_fields(way.kind))
        if form.is_valid():
            try:
                setup.update(connection, form.changes(), who(request))
            except ExchangeError as error:
                form.add_error(None, say(error.text, error.facts))
            else:
                connection.refresh_from_db()
                return self._checked_on(request, way)
        return self._show(request, way, way.here("access"), **self._access_facts(request, way, form))

    def access_part(self, request: HttpRequest) -> HttpResponse:
        """The part of the page of a new connection that asks for its key: another one for each system."""
        self._require(request, "store.add_connection")
        what = request.GET.get("what", "")
        return render(request, "obmen/connection_access.html", shown_access(what, access_of_new(what)))

    def begun(self, request: HttpRequest, connection: models.Connection) -> HttpResponse:
        """A connection that was added together with its key: reach the system at once, and where that goes well take its defaults over
        and read its lists. Nobody has set anything of it yet, so that nothing can be lost; what was changed is said."""
        answer = self._checked_on(request, Way(connection))
        connection.refresh_from_db()
        if connection.checked is None or not request.user.has_perm("store.change_connection"):
            return answer
        try:
            found = [one for one in defaults.differences(connection) if not one.yours and not one.lacking]
            said = [words(connection, one) for one in found]
            self._take_defaults(request, connection, [one.id for one in found])
        except ExchangeError as error:
            messages.error(request, say(error.text, error.facts))
            return HttpResponseRedirect(page_url(connection, "defaults"))
        if said:
            changes = "; ".join(f"{one['what']}: {one['old']} → {one['new']}" for one in said)
            messages.success(request, now_("Defaults taken over: %(changes)s.") % {"changes": changes})
        return HttpResponseRedirect(page_url(connection))

    @staticmethod
    def _checked_on(request: HttpRequest, way: Way) -> HttpResponse:
        """Reach the other system with what is set now; where that fails, the page stays at the check and keeps saying why."""
        try:
            messages.success(request, now_(setup.check(way.connection)))
        except ExchangeError as error:
            way.remember(why={"text": error.text, "facts": plain_facts(error.facts)})
            return HttpResponseRedirect(page_url(way.connection, "check"))
        way.remember(why=None)
        return HttpResponseRedirect(page_url(way.connection))

    # --- check ---

    def _check(self, request: HttpRequest, way: Way) -> dict[str, Any]:
        if not way.calls_out:
            return self._door(request, way)
        why = way.note.get("why")
        return {
            "said": now_(way.connection.check_text) if way.connection.check_text else "",
            "why": say(why["text"], why["facts"]) if why else "",
            **_help(way),
        }

    def first_check(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._checked_on(request, self._way(request, pk, "store.start_run"))

    def _door(self, request: HttpRequest, way: Way) -> dict[str, Any]:
        from obmen.web.connections import address

        profile = way.kind.profiles().get(way.connection.profile, {})
        return {
            **address(request, way.connection),
            **_waiting(way.connection, request),
            "own_account": setup.has_own_account(way.connection),
            "where": way.where,
            "traps": [now_(trap) for trap in profile.get("traps", ())],
            **_help(way),
        }

    def first_call(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The moving part while the first call is waited for; 286 tells htmx to stop asking."""
        connection = self._found(request, pk)
        facts = _waiting(connection, request)
        return render(request, "obmen/first_hour_waiting.html", facts, status=286 if facts["called"] else 200)

    # --- defaults ---

    def _defaults(self, request: HttpRequest, way: Way) -> dict[str, Any]:
        found = defaults.differences(way.connection)
        said = defaults.proposed(way.kind, way.connection.profile)
        return {
            "rows": [{"it": one, **words(way.connection, one)} for one in found],
            "streams": [stream(name) for name in said.get("streams", way.kind.streams)],
            "count": len(said["mappings"]),
            "tables": [now_(table.title) for table in way.tables],
            "read": "read" in way.note,
        }

    def first_defaults(self, request: HttpRequest, pk: int) -> HttpResponse:
        way = self._way(request, pk, "store.change_connection")
        connection = way.connection
        try:
            self._take_defaults(request, connection, request.POST.getlist("take"))
        except ExchangeError as error:
            messages.error(request, say(error.text, error.facts))
            return HttpResponseRedirect(page_url(connection, "defaults"))
        return HttpResponseRedirect(page_url(connection))

    def _take_defaults(self, request: HttpRequest, connection: models.Connection, take: Sequence[str]) -> None:
        """Take over what is named, then read their lists. Raises ExchangeError."""
        defaults.apply(connection, take, who(request))
        connection.refresh_from_db()
        way = Way(connection)
        lists, problems = self._read_lists(request, way)
        for text in problems:
            messages.warning(request, text)
        if lists:
            said = ", ".join(f"{title} ({count})" for title, count in lists.items())
            messages.success(request, now_("Read from the other system: %(lists)s.") % {"lists": said})
        way.took_defaults()

    @staticmethod
    def _read_lists(request: HttpRequest, way: Way) -> tuple[dict[str, int], list[str]]:
        """Their values of every table into the tables; ({list: how many}, what could not be read and why). One list that cannot be
        read keeps none of the others."""
        hub = setup.hub_of(way.connection)
        lists: dict[str, int] = {}
        problems: dict[str, list[str]] = {}
        read: dict[str, Any] = {}
        try:
            with closing(setup.connector_of(way.connection, hub)) as connector:
                for table in way.tables:
                    title = now_(table.title)
                    try:
                        if table.subject not in read:
                            read[table.subject] = connector.references(table.subject)
                        mappings.refresh(way.connection, table.subject, read[table.subject], who(request), table.direction)
                        lists[title] = len(read[table.subject])
                    except ExchangeError as error:
                        problems.setdefault(say(error.text, error.facts), []).append(title)
        finally:
            hub.flush()
        return lists, [f"{', '.join(titles)}: {text}" for text, titles in problems.items()]

    # --- mapping ---

    def _mapping(self, request: HttpRequest, way: Way) -> dict[str, Any]:
        if not way.calls_out:
            return {
                "values": way.values_to_map,
                "mappings_url": reverse("admin:store_connection_mappings", args=[way.connection.pk]),
            }
        table = _table(way, request.GET.get("table", ""))
        return self._mapping_facts(
            request, way, table, Missing(way.connection, table, request.user.has_perm("store.add_reference"))
        )

    @staticmethod
    def _mapping_facts(request: HttpRequest, way: Way, table: Table, missing: Missing) -> dict[str, Any]:
        every = []
        for one in way.tables:
            mapped, count, open_ = way.counts[table_id(one)]
            every.append(
                {
                    "title": now_(one.title),
                    "url": page_url(way.connection, "mapping", table=table_id(one)),
                    "active": one is table,
                    "mapped": mapped,
                    "count": count,
                    "missing": open_,
                }
            )
        return {
            "tables": every,
            "table": missing,
            "mapped": sum(one["mapped"] for one in every),
            "count": sum(one["count"] for one in every),
            "tab_url": reverse("admin:store_connection_part", args=[way.connection.pk, table.tab]) if way.kind.tabs else "",
        }

    def first_mapping(self, request: HttpRequest, pk: int) -> HttpResponse:
        way = self._way(request, pk, "store.change_mapping")
        if not way.tables:
            raise Http404
        table = _table(way, request.POST.get("table", ""))
        missing = Missing(way.connection, table, request.user.has_perm("store.add_reference"))
        missing.take(request.POST)
        if not missing.is_valid():
            return self._show(request, way, way.here("mapping"), **self._mapping_facts(request, way, table, missing))
        with transaction.atomic():
            changed = missing.form.save(who(request))
        self._saved(request, way.connection, way.kind, table.tab, {f"table {table.subject}"} if changed else ())
        after = Way(way.connection)
        open_ = next((one for one in after.tables if after.counts[table_id(one)][2]), None)
        return HttpResponseRedirect(
            page_url(way.connection, "mapping", table=table_id(open_)) if open_ else page_url(way.connection)
        )

    # --- preview ---

    def _preview(self, request: HttpRequest, way: Way) -> dict[str, Any]:
        since = way.note.get("since")
        zone = ZoneInfo(way.connection.time_zone)
        chosen = way.chosen()
        return {
            "streams": [(name, stream(name), name in chosen) for name in way.does()],
            "orders": bool(way.note.get("orders")),
            "stopped": way.preview is not None and way.preview.state in (models.Run.State.NEEDS_OWNER, models.Run.State.FAILED),
            "since": (timezone.now().astimezone(zone) - SINCE).date().isoformat() if since is None else since,
            "run": way.preview,
            "live": way.preview is not None and not _ended(way.preview),
            "may_see": request.user.has_perm("store.view_run"),
        }

    def first_preview(self, request: HttpRequest, pk: int) -> HttpResponse:
        way = self._way(request, pk, "store.start_run")
        connection = way.connection
        every, orders = what_it_does(connection)
        way.remember(streams=every, orders=orders)
        wanted = set(request.POST.getlist("stream"))
        streams, orders = ([name for name in names if name in wanted] for names in (every, orders))
        back = HttpResponseRedirect(page_url(connection, "preview"))
        if not streams:
            messages.error(request, now_("There is nothing to look at: tick what is to be exchanged."))
            return back
        problem = self._begin_with(request, way, orders)
        if problem:
            messages.error(request, problem)
            return back
        args = {"preview": True}
        jobs.ask(
            connection,
            streams,
            trigger="person",
            who=who(request),
            args=args,
            key=f"{','.join(sorted(streams))}:{mark(sorted(args.items()))}",
        )
        return back

    def first_previewed(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Asked for while a preview runs: once it has ended the page is fetched anew, with the next step open."""
        connection = self._found(request, pk)
        run = Way(connection).preview if connection.connector in connectors() else None
        over = run is None or _ended(run)
        return HttpResponse(status=200, headers={"HX-Refresh": "true"}) if over else HttpResponse(status=204)

    @staticmethod
    def _begin_with(request: HttpRequest, way: Way, orders: Sequence[str]) -> str:
        """Where the first load of orders begins; what is wrong with what was typed, else "". The preview and the first exchange keep to
        it, so that what was looked at is what comes."""
        said = request.POST.get("since", "").strip()
        if not orders or not said:
            return ""
        try:
            moment = datetime.fromisoformat(said).replace(tzinfo=ZoneInfo(way.connection.time_zone))
        except ValueError:
            return now_("This is no date: enter it as in 31.12.2026 00:00.")
        if said == way.note.get("since"):
            return ""
        with Working(way.connection) as working:
            if working.connector is None:
                return now_("The settings cannot be used as they are: look at the step “Access”.")
            try:
                for name in orders:
                    bookmarks.set_by_hand(way.connection, working.connector, name, "", moment, who(request))
            except (ExchangeError, OverflowError) as error:
                return say(error.text, error.facts) if isinstance(error, ExchangeError) else now_("This date is too far away.")
        way.remember(since=said)
        return ""

    # --- on ---

    def _on(self, request: HttpRequest, way: Way, data: Any = None) -> dict[str, Any]:
        proposed = planned(way)
        rows = {row.stream: row for row in way.connection.streams.all()}
        chosen = way.chosen()
        plans = [
            PlanForm(data, rows[name], name in chosen, proposed.get(name, "") if way.calls_out else None)
            for name in way.does()
            if name in rows
        ]
        return {"plans": plans, "enabled": way.connection.enabled, "zone": way.connection.time_zone, "own": OWN}

    def first_on(self, request: HttpRequest, pk: int) -> HttpResponse:
        way = self._way(request, pk, "store.change_connection")
        self._require(request, "store.change_streamsetting")
        connection = way.connection
        facts = self._on(request, way, request.POST)
        if not all([plan.is_valid() for plan in facts["plans"]]):  # noqa: C419 - each says what is wrong with it
            return self._show(request, way, way.here("on"), **facts)
        on = [plan.row.stream for plan in facts["plans"] if plan.cleaned_data["enabled"]]
        if not on:
            messages.error(request, now_("Nothing would be exchanged: switch at least one of them on."))
            return self._show(request, way, way.here("on"), **facts)
        with transaction.atomic():
            for plan in facts["plans"]:
                row = plan.row
                quiet = {"quiet_from": row.quiet_from, "quiet_to": row.quiet_to}
                enabled = plan.cleaned_data["enabled"]
                setup.set_stream(connection, row.stream, enabled=enabled, schedule=plan.schedule, **quiet, who=who(request))
            way.remember(on=True)
            setup.switch(connection, True, who(request))
        connection.refresh_from_db()
        if way.calls_out and request.POST.get("start") and request.user.has_perm("store.start_run"):
            run = jobs.ask(connection, on, trigger="person", who=who(request))
            messages.success(request, now_("The connection is switched on, and its first exchange is started."))
            if request.user.has_perm("store.view_run"):
                return HttpResponseRedirect(reverse("admin:store_run_change", args=[run.pk]))
        else:
            messages.success(request, now_("The connection is set up and switched on."))
        return self._back(connection)

    def first_later(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A step that may wait is left for later; nothing of the connection changes."""
        way = self._way(request, pk, "store.change_connection")
        step = request.POST.get("step", "")
        if step not in MAY_WAIT or step not in way.done:
            raise Http404
        way.put_off(step)
        return HttpResponseRedirect(page_url(way.connection))


class Missing:
    """What is missing in a mapping table, with what fits by name: rows that nobody has decided on, and in a table that is asked by ours
    our values that it does not say yet. ``form`` is the whole table, which is checked and saved by its own rules."""

    def __init__(self, connection: models.Connection, table: Table, may_add: bool) -> None:
        self.form = TableForm(connection, table)
        self.table, self.id = table, self.form.id
        self.by_ours = self.form.asked_by_ours
        self.may_add = may_add and not table.ours
        self.rows = self._unsaid() if self.by_ours else [row for row in self.form.rows if not row.decided]
        self._before = [row for row in self.form.rows if row.decided and (row.theirs or row.ours)]
        self.suggested = self._suggest()

    def _unsaid(self) -> list[TableRow]:
        said = {self.form.ours.key(row.ours) for row in self.form.rows}
        return [TableRow(ours=label) for key, label in self.form.ours.labels.items() if key not in said]

    def _suggest(self) -> dict[int, str]:
        """{number of the row: what to write beside it}."""
        ours = list(self.form.ours.labels.items())
        if self.by_ours:
            theirs = dict(self.form.offered)
            found = suggest([(row.ours, row.ours) for row in self.rows], self.form.offered)
            return {number: theirs[found[row.ours]] for number, row in enumerate(self.rows) if row.ours in found}
        found = suggest([(row.theirs, row.name) for row in self.rows], ours)
        labels = self.form.ours.labels
        return {number: labels[found[row.theirs]] for number, row in enumerate(self.rows) if row.theirs in found}

    def shown(self) -> list[dict[str, Any]]:
        """Each row as the page shows it; what was typed goes before what is suggested."""
        out = []
        for number, row in enumerate(self.rows):
            typed = row.name if self.by_ours else row.ours
            guess = "" if typed or row.decision else self.suggested.get(number, "")
            out.append(
                {
                    "key": row.ours if self.by_ours else row.theirs,
                    "title": row.ours if self.by_ours else row.name or row.theirs,
                    "code": "" if self.by_ours or row.name == row.theirs else row.theirs,
                    "seen": row.seen,
                    "value": typed or guess,
                    "suggested": bool(guess),
                    "decision": row.decision,
                    "problem": row.problem,
                }
            )
        return out

    def said(self) -> list[dict[str, Any]]:
        """What is mapped already, both sides of it, as the whole table has it."""
        return [
            {
                "theirs": row.name or row.theirs,
                "code": row.theirs if row.name not in ("", row.theirs) else "",
                "ours": row.ours,
                "out": not row.loaded,
            }
            for row in self._before
        ]

    def options(self) -> list[tuple[str, str]]:
        """(what is chosen, its code) of the list that can be searched in."""
        pairs = self.form.offered if self.by_ours else self.form.ours.labels.items()
        return [(label, key) for key, label in pairs]

    def take(self, posted: Any) -> None:
        """What a person chose beside each row. ``rest``: what is left over becomes values of the books, named as over there."""
        said = zip(posted.getlist("row"), posted.getlist("value"), posted.getlist("decision"), strict=False)
        by_key: Mapping[str, tuple[str, str]] = {key: (value.strip(), decision) for key, value, decision in said}
        for row in self.rows:
            value, decision = by_key.get(row.ours if self.by_ours else row.theirs, ("", ""))
            if self.by_ours:
                row.name = value
                continue
            row.ours, row.decision = value, decision
            if not row.decided and "rest" in posted and self.may_add:
                row.ours = row.name or row.theirs
        if self.by_ours:
            self.form.rows += [row for row in self.rows if row.name]

    def is_valid(self) -> bool:
        return self.form.is_valid(self.may_add)


def _table(way: Way, wanted: str) -> Table:
    """The table that was asked for, else the first one in which something is missing."""
    by_id = {table_id(table): table for table in way.tables}
    if wanted in by_id:
        return by_id[wanted]
    return next((table for name, table in by_id.items() if way.counts[name][2]), way.tables[0])


def _ended(run: models.Run) -> bool:
    return run.state in models.Run.FINISHED


def _help(way: Way) -> dict[str, Any]:
    return {"guide": guide.html(way.kind, get_language() or "en")}


def _waiting(connection: models.Connection, request: HttpRequest) -> dict[str, Any]:
    """Whether somebody has called, and what was said last."""
    every = visibility.messages_for(request.user, connection.messages.order_by("-id"))
    calls = every[:5] if request.user.has_perm("store.view_message") else ()
    return {"record": connection, "called": connection.last_call, "calls": list(calls)}


def planned(way: Way) -> dict[str, str]:
    """{stream: the schedule that is proposed}: what the connection has, else what its format says, else what is usual."""
    if not way.calls_out:
        return {}
    said: dict[str, str] = {**USUAL, **defaults.proposed(way.kind, way.connection.profile).get("schedules", {})}
    rows = dict(way.connection.streams.values_list("stream", "schedule"))
    if way.connection.enabled or any(rows.values()):
        return rows
    return {name: said.get(name, "") for name in rows}
