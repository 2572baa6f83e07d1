"""Pages of connections: add, settings, mappings, match rules, schedule, traffic, switch, new password, remove."""

from __future__ import annotations

from contextlib import closing
from typing import Any
from urllib.parse import quote
from zoneinfo import available_timezones

from django import forms
from django.conf import settings as hub
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSingleTimeWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from obmen.core import schedule
from obmen.core.contract import ExchangeError, NeedsOwner
from obmen.core.settings import load
from obmen.licence import licences
from obmen.registry import connectors
from obmen.store import accounts, models
from obmen.store import connections as setup
from obmen.web import guide, rules, tables
from obmen.web.asking import as_id, who
from obmen.web.connection_card import Card, bookmarks_beside, marks
from obmen.web.connector_tabs import MAIN, SEARCH, TabPages, is_gated, part_url, shown_tabs
from obmen.web.defaults import ReadDefaults
from obmen.web.first_hour import beginning, page_url, reminder, systems, titled, way_of, with_run
from obmen.web.first_hour_pages import FirstHour, access_of_new, shown_access
from obmen.web.labels import ATTRIBUTES, KINDS, stream
from obmen.web.lists import ListAdmin
from obmen.web.mapping_pages import MappingPages
from obmen.web.settings_file import SettingsFile
from obmen.web.settings_form import SettingsForm
from obmen.web.site import site
from obmen.web.state import conditions, connector_title, profile_title, with_facts
from obmen.web.words import say, without_facts
from obmen.work import jobs

TABS = (
    ("change", _("Overview")),
    ("settings", _("Settings")),
    ("mappings", _("Mappings")),
    ("rules", _("Match rules")),
    ("schedule", _("Schedule")),
    ("log", _("Log")),
)


RUNS = 8  # on the first tab
LOGGED = ("store.view_run", "store.view_journalentry", "store.view_message")  # who may see one of these has a log


class AddForm(forms.Form):
    """``what`` is "connector" or "connector:profile": one choice instead of two lists that depend on each other."""

    what = forms.CharField(label=_("what to connect"), error_messages={"required": _("Choose what to connect.")})
    name = forms.CharField(label=_("name"), max_length=120, widget=UnfoldAdminTextInputWidget)
    language = forms.ChoiceField(label=_("language of answers"), choices=hub.LANGUAGES, widget=UnfoldAdminSelectWidget)
    time_zone = forms.ChoiceField(label=_("time zone"), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        if accounts.employees().exists():
            self.fields["account"] = EmployeeField()
        self.fields["time_zone"].choices = [(z, z.replace("_", " ")) for z in sorted(available_timezones()) if "/" in z]
        self.fields["time_zone"].initial = hub.TIME_ZONE
        self.fields["language"].initial = get_language() or "ru"
        self.fields["name"].help_text = now_("As people will see it here, for example “1C, main base”.")
        self.fields["language"].help_text = now_("In which language this system is told what went wrong.")

    def clean_what(self) -> str:
        what = self.cleaned_data["what"]
        key, _sep, profile = what.partition(":")
        known = connectors().get(key)
        if known is None or (profile and profile not in known.profiles()):
            raise forms.ValidationError(now_("Choose what to connect."))
        return what

    def clean_name(self) -> str:
        name = self.cleaned_data["name"].strip()
        if models.Connection.objects.filter(name=name).exists():
            raise forms.ValidationError(now_("There is already a connection with this name."))
        return name


class EmployeeField(forms.ModelChoiceField):
    """With whose login a system calls us."""

    def __init__(self) -> None:
        super().__init__(
            label=_("login"),
            queryset=accounts.employees(),
            required=False,
            empty_label=_("one of its own, made now with a new password"),
            widget=UnfoldAdminSelectWidget,
            help_text=_("Or that of an employee with access to the admin panel and the permission “Import CommerceML”."),
        )

    def label_from_instance(self, user: Any) -> str:
        return str(user.get_username())


class LoginForm(forms.Form):
    account = EmployeeField()


class AboutForm(forms.ModelForm):
    """What every connection has, whatever its connector."""

    class Meta:
        model = models.Connection
        fields = setup.ABOUT
        widgets = {"name": UnfoldAdminTextInputWidget, "language": UnfoldAdminSelectWidget}

    time_zone = forms.ChoiceField(label=_("time zone"), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.fields["time_zone"].choices = [(z, z.replace("_", " ")) for z in sorted(available_timezones()) if "/" in z]


class StreamForm(forms.ModelForm):
    """Checks and shows; ``setup.set_stream`` saves, since it also plans and journals."""

    class Meta:
        model = models.StreamSetting
        fields = ("enabled", "schedule", "quiet_from", "quiet_to", "guard")
        widgets = {
            "enabled": UnfoldBooleanSwitchWidget,
            "schedule": UnfoldAdminTextInputWidget,
            "quiet_from": UnfoldAdminSingleTimeWidget,
            "quiet_to": UnfoldAdminSingleTimeWidget,
            "guard": UnfoldAdminIntegerFieldWidget(attrs={"min": 1, "max": 100, "placeholder": "–"}),
        }

    def clean_schedule(self) -> str:
        text = self.cleaned_data["schedule"].strip()
        if text:
            try:
                schedule.parse(text)
            except NeedsOwner as error:
                raise forms.ValidationError(say(error.text, error.facts)) from None
        return text


class RuleForm(forms.ModelForm):
    class Meta:
        model = models.MatchRule
        fields = ("kind", "attribute", "priority")
        widgets = {"priority": UnfoldAdminIntegerFieldWidget}

    kind = forms.ChoiceField(
        label=_("kind"),
        choices=[("", _("– add a rule –")), *((k, KINDS[k]) for k in ("product", "offer", "counterparty", "group"))],
        widget=UnfoldAdminSelectWidget,
    )
    attribute = forms.ChoiceField(label=_("attribute"), choices=[("", "–"), *ATTRIBUTES.items()], widget=UnfoldAdminSelectWidget)


RuleFormSet = forms.inlineformset_factory(models.Connection, models.MatchRule, form=RuleForm, extra=1, can_delete=True)


def _streams(connection: models.Connection) -> list[models.StreamSetting]:
    """In the order in which a run does them; what a connector no longer has comes last."""
    kind = connectors().get(connection.connector)
    order = {name: place for place, name in enumerate(kind.streams)} if kind else {}
    return sorted(connection.streams.annotate(**bookmarks_beside()), key=lambda s: (order.get(s.stream, len(order)), s.stream))


class ConnectionAdmin(TabPages, MappingPages, Card, SettingsFile, ReadDefaults, FirstHour, ListAdmin):
    card_template = "obmen/connection.html"
    list_display = ("name", "what", "condition", "last", "next", "parked_count", "waiting_count")
    look_in = ("name",)
    sortable_by = ()
    ordering = ("name",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("store.add_connection")

    # --- the list ---

    def dress(self, rows: list[models.Connection]) -> None:
        for row, found in zip(rows, conditions(rows), strict=True):
            row.found = found

    @display(description=_("connector"))
    def what(self, c: models.Connection) -> str:
        return c.found.title

    @display(
        description=_("state"),
        label={"danger": "danger", "warning": "warning", "success": "success", "info": "info", "primary": "primary"},
    )
    def condition(self, c: models.Connection) -> tuple[str, str]:
        return c.found.tone, c.found.words

    @display(description=_("last run"))
    def last(self, c: models.Connection) -> Any:
        return c.found.last.ended if c.found.last else c.last_call

    @display(description=_("next run"))
    def next(self, c: models.Connection) -> Any:
        return c.found.next_run

    @display(description=_("parked"))
    def parked_count(self, c: models.Connection) -> int:
        return c.found.parked

    @display(description=_("waits to be sent"))
    def waiting_count(self, c: models.Connection) -> int:
        return c.found.waiting

    # --- pages ---

    def get_urls(self) -> list[URLPattern]:
        def page(address: str, view: Any, name: str) -> URLPattern:
            return path(f"<int:pk>/{address}/", self.admin_site.admin_view(view), name=f"store_connection_{name}")

        return [
            page("settings", self.settings_page, "settings"),
            page("mappings", self.mappings_page, "mappings"),
            page("rules", self.rules_page, "rules"),
            page("schedule", self.schedule_page, "schedule"),
            page("traffic", self.traffic_page, "traffic"),
            page("about", require_POST(self.about), "about"),
            page("switch", require_POST(self.switch), "switch"),
            page("start", require_POST(self.start), "start"),
            page("check", require_POST(self.check_now), "check"),
            page("password", never_cache(self.new_password), "password"),
            page("login", never_cache(self.login), "login"),
            page("remove", self.remove, "remove"),
            *self.part_urls(self.admin_site.admin_view),
            *self.mapping_urls(self.admin_site.admin_view),
            *self.file_urls(self.admin_site.admin_view),
            *self.defaults_urls(self.admin_site.admin_view),
            *self.first_hour_urls(self.admin_site.admin_view),
            *self.card_urls(self.admin_site.admin_view),
            *super().get_urls(),
        ]

    def _found(self, request: HttpRequest, pk: int, permission: str = "view") -> models.Connection:
        connection = self.one(request, str(pk), permission)
        if connection is None:
            raise Http404
        return connection

    @staticmethod
    def _require(request: HttpRequest, permission: str) -> None:
        if not request.user.has_perm(permission):
            raise PermissionDenied

    def tab(
        self, request: HttpRequest, connection: models.Connection, active: str, template: str, **context: Any
    ) -> HttpResponse:
        may = request.user.has_perm
        licence = licences.warning(connection) if active in ("change", MAIN) else None
        mapped = tables.marks(connection)
        tabs = [
            {"title": title, "active": key == active, "url": url, "mapped": mapped.get(key)}
            for key, title, url in self.tabs_of(connection)
            if key != "log" or any(map(may, LOGGED))
        ]
        frame = {
            "original": connection,
            "record": connection,
            "title": connection.name,
            "tabs": tabs,
            "setup": reminder(connection),
            "limits": limits_of(connection, active),
            "licence": licence,
            "licence_said": say(licence.text, licence.facts) if licence else "",
            "may_change": may("store.change_connection"),
            "may_remove": may("store.delete_connection"),
            "may_start": may("store.start_run"),
        }
        return self.page(request, template, {**frame, **context})

    def tabs_of(self, connection: models.Connection) -> list[tuple[str, Any, str]]:
        """(key, title, address): the connector's own tabs stand where others have settings and mappings."""
        own = [(key, title, reverse(f"admin:store_connection_{key}", args=[connection.pk])) for key, title in TABS]
        kind = connectors().get(connection.connector)
        if kind is None or not kind.tabs:
            return own
        try:
            current = setup.settings_of(connection)
        except ExchangeError:
            current = None
        between = [(key, title, part_url(connection, key)) for key, title in shown_tabs(kind, connection, current)]
        if is_gated(kind, connection):
            return [own[0], *between, own[-1]]
        rest = [tab for tab in own[3:] if tab[0] != "rules" or SEARCH not in {key for key, _title in kind.tabs}]
        return [own[0], *between, *rest]

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self._require(request, "store.view_connection")
        every = with_facts(self.get_queryset(request), request.user)
        connection = every.filter(pk=object_id).first() if as_id(object_id) else None
        if connection is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        return self.overview(request, connection)

    def get_queryset(self, request: HttpRequest) -> Any:
        return with_run(super().get_queryset(request).select_related("account"))

    def overview(self, request: HttpRequest, connection: models.Connection, form: AboutForm | None = None) -> HttpResponse:
        newest = RUNS if request.user.has_perm("store.view_run") else 0
        found = conditions([connection], user=request.user, newest=newest)[0]
        parked = connection.parked.values("text").annotate(n=Count("id")).order_by("-n")[:5]
        kind = connectors().get(connection.connector)
        every = _streams(connection)
        return self.tab(
            request,
            connection,
            "change",
            "obmen/connection.html",
            found=found,
            connector=connector_title(connection),
            profile=profile_title(connection),
            runs=found.runs,
            reasons=[{"sentence": without_facts(r["text"]), "count": r["n"]} for r in parked]
            if request.user.has_perm("store.view_parked")
            else [],
            streams=[s for s in every if s.enabled],
            form=form or AboutForm(instance=connection),
            guide=guide.html(kind, get_language() or "en") if kind else "",
            traps=[now_(trap) for trap in (kind.profiles().get(connection.profile, {}).get("traps", ()) if kind else ())],
            file_url=self.file_page(connection) + "#o-file",
            picks=self.picks(request, connection, every),
            **address(request, connection),
        )

    def about(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk, "change")
        form = AboutForm(request.POST, instance=connection)
        if not form.is_valid():
            return self.overview(request, models.Connection.objects.get(pk=pk), form)
        if setup.change_about(connection, {name: form.cleaned_data[name] for name in setup.ABOUT}, who(request)):
            messages.success(request, now_("Saved."))
        return self._back(connection)

    # --- add ---

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        found = systems()
        chosen = titled(found, request.GET.get("what", "")) if request.method == "GET" else ""
        form = AddForm(request.POST or None, initial={"what": request.GET.get("what", ""), "name": chosen})
        asked = None
        what = request.POST.get("access", "") or request.GET.get("what", "")
        access = access_of_new(what, request.POST if "access" in request.POST else None)
        if request.method == "POST" and form.is_valid():
            what = form.cleaned_data["what"]
            calls_out = connectors()[what.partition(":")[0]].calls_out
            if access is not None and (request.POST["access"] != what or not access.has_changed()):
                access = None  # the key of another system, or none yet: the next step asks for it
            asked = None if calls_out else asked_settings(request, what)
            if all(part.is_valid() for part in (asked, access) if part is not None):
                answer = self._add(request, form, {**(asked.changes() if asked else {}), **(access.changes() if access else {})})
                if answer is not None:
                    return answer
            access = access or access_of_new(what)
        context = {"title": now_("Add a connection"), "form": form, "systems": found, "chosen": chosen, "asked": asked}
        context |= shown_access(what, access)
        return self.page(request, "obmen/connection_add.html", context | beginning())

    def _add(self, request: HttpRequest, form: AddForm, settings: dict[str, Any]) -> HttpResponse | None:
        key, _sep, profile = form.cleaned_data["what"].partition(":")
        employee = form.cleaned_data.get("account")
        try:
            connection, password = accounts.begin(
                key,
                form.cleaned_data["name"],
                profile=profile,
                settings=settings,
                language=form.cleaned_data["language"],
                time_zone=form.cleaned_data["time_zone"],
                employee=employee,
                who=who(request),
            )
        except ExchangeError as error:
            form.add_error(None, say(error.text, error.facts))
            return None
        if password is None:
            messages.success(request, now_("The connection is added."))
            return self.begun(request, connection) if settings and not employee else HttpResponseRedirect(page_url(connection))
        return self._credentials(request, connection, password, now_("The connection is added"))

    def _credentials(self, request: HttpRequest, connection: models.Connection, password: str, title: str) -> HttpResponse:
        """Shown in the answer itself and kept nowhere: only the hash of the password is stored."""
        context = {"password": password, "heading": title, **address(request, connection), **way_of(connection, "access")}
        response = self.tab(request, connection, "change", "obmen/credentials.html", **context)
        response["Cache-Control"] = "no-store"
        return response

    # --- settings ---

    def settings_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk)
        kind = connectors().get(connection.connector)
        if kind is None:
            messages.error(request, now_("The connector “%(key)s” is not installed.") % {"key": connection.connector})
            return self._back(connection)
        if kind.tabs:
            return HttpResponseRedirect(self.first_part(connection, kind))
        try:
            current = setup.settings_of(connection)
        except ExchangeError as error:
            messages.error(request, say(error.text, error.facts))
            return self._back(connection)
        if request.method == "POST":
            self._found(request, pk, "change")
            form = SettingsForm(request.POST, settings_class=kind.settings, current=current)
            if form.is_valid() and self._save_settings(request, connection, form):
                return HttpResponseRedirect(request.path)
        else:
            form = SettingsForm(settings_class=kind.settings, current=current)
        reparse = any(a.reparse for a in form.about.values())
        return self.tab(request, connection, "settings", "obmen/settings.html", form=form, reparse=reparse, files=True)

    def _save_settings(self, request: HttpRequest, connection: models.Connection, form: SettingsForm) -> bool:
        changed = form.changes()
        if not changed:
            messages.info(request, now_("Nothing was changed."))
            return True
        try:
            setup.update(connection, changed, who(request))
        except ExchangeError as error:
            form.add_error(None, say(error.text, error.facts))
            return False
        messages.success(request, now_("The settings are saved."))
        return True

    # --- match rules, schedule, traffic ---

    def rules_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk)
        formset = RuleFormSet(request.POST or None, instance=connection)
        if request.method == "POST":
            self._require(request, "store.change_matchrule")
            if formset.is_valid():
                before = rules.said(connection)
                formset.save()
                rules.note(connection, before, who(request))
                messages.success(request, now_("The match rules are saved."))
                return HttpResponseRedirect(request.path)
        return self.tab(
            request,
            connection,
            "rules",
            "obmen/rules.html",
            formset=formset,
            may_change=request.user.has_perm("store.change_matchrule"),
        )

    def schedule_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk)
        data = request.POST if request.method == "POST" else None
        forms_ = [StreamForm(data, instance=s, prefix=f"s{s.pk}") for s in _streams(connection)]
        if request.method == "POST":
            self._require(request, "store.change_streamsetting")
            valid = [f.is_valid() for f in forms_]  # each one is asked, so that every error shows at once
            if all(valid):
                for form in (f for f in forms_ if f.has_changed()):
                    values = dict(form.cleaned_data)
                    guard = values.pop("guard")
                    setup.set_stream(connection, form.instance.stream, **values, who=who(request))
                    if form.add_prefix("guard") in request.POST:
                        setup.set_guard(connection, form.instance.stream, guard, who(request))
                messages.success(request, now_("The schedule is saved."))
                return HttpResponseRedirect(request.path)
        known = marks(connection)
        rows = [
            {
                "form": f,
                "title": stream(f.instance.stream),
                "row": f.instance,
                "never": _never(f.instance),
                "mark": known.get(f.instance.stream),
            }
            for f in forms_
        ]
        return self.tab(
            request,
            connection,
            "schedule",
            "obmen/schedule.html",
            rows=rows,
            may_change=request.user.has_perm("store.change_streamsetting"),
            may_set=request.user.has_perm("store.change_connection"),
        )

    def traffic_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        """An address of old: the calls stand in the log."""
        connection = self._found(request, pk)
        if not request.user.has_perm("store.view_message"):
            raise PermissionDenied
        return HttpResponseRedirect(reverse("admin:store_connection_log", args=[connection.pk]) + "?kind=calls")

    # --- what changes things ---

    def _back(self, connection: models.Connection) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:store_connection_change", args=[connection.pk]))

    def switch(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk, "change")
        on = request.POST.get("on") == "1"
        if setup.switch(connection, on, who(request)):
            messages.success(
                request, now_("Switched on.") if on else now_("Switched off. Nothing is exchanged until it is on again.")
            )
        return self._back(connection)

    def start(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not request.user.has_perm("store.start_run"):
            raise PermissionDenied
        connection = self._found(request, pk)
        wanted = set(request.POST.getlist("stream"))
        streams = [s.stream for s in connection.streams.filter(enabled=True) if not wanted or s.stream in wanted]
        if not connection.enabled or not streams:
            messages.error(request, now_("There is nothing to start: the connection or all of its streams are switched off."))
            return self._back(connection)
        run = jobs.ask(connection, streams, trigger="person", who=who(request))
        return HttpResponseRedirect(reverse("admin:store_run_change", args=[run.pk]))

    def check_now(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not request.user.has_perm("store.start_run"):
            raise PermissionDenied
        connection = self._found(request, pk)
        self.checked(request, connection)
        back = request.POST.get("back", "")
        if back in {key for key, _title, _url in self.tabs_of(connection)} - {key for key, _title in TABS}:
            return HttpResponseRedirect(part_url(connection, back))
        return self._back(connection)

    def login(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk, "change")
        if not address(request, connection)["address"]:
            raise Http404
        employee = None if setup.has_own_account(connection) else connection.account
        form = LoginForm(request.POST or None, initial={"account": employee})
        if request.method == "POST" and form.is_valid():
            try:
                password = accounts.use(connection, form.cleaned_data["account"], who(request))
            except ExchangeError as error:
                form.add_error("account", say(error.text, error.facts))
            else:
                if password is not None:
                    return self._credentials(request, connection, password, now_("The login is changed"))
                messages.success(request, now_("The login is changed."))
                return self._back(connection)
        return self.tab(request, connection, "change", "obmen/login.html", form=form)

    def new_password(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk, "change")
        if not setup.has_own_account(connection):
            raise Http404
        if request.method == "POST":
            password = setup.new_password(connection, who(request))
            return self._credentials(request, connection, password, now_("The password is changed"))
        return self.tab(
            request,
            connection,
            "change",
            "obmen/ask.html",
            question=now_("Make a new password for this connection?"),
            consequence=now_("The old one stops working at once: enter the new one in the outside system straight away."),
            button=now_("Make a new password"),
        )

    def remove(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk, "delete")
        if request.method == "POST":
            try:
                setup.remove(connection, who(request))
            except ExchangeError as error:
                messages.error(request, say(error.text, error.facts))
                return self._back(connection)
            messages.success(request, now_("The connection “%(name)s” is removed.") % {"name": connection.name})
            return HttpResponseRedirect(reverse("admin:store_connection_changelist"))
        question, consequence = removal(connection)
        asked = {"question": question, "consequence": consequence, "button": now_("Remove"), "danger": True}
        return self.tab(request, connection, "change", "obmen/ask.html", **asked)


def removal(connection: models.Connection) -> tuple[str, str]:
    """What is asked before a connection is removed, and what follows from it."""
    consequence = now_(
        "Its settings, mappings, links, parked records, runs and login are removed. The books keep the records that came by it."
    )
    return now_("Remove the connection “%(name)s”?") % {"name": connection.name}, consequence


class AskedForm(SettingsForm):
    """Settings that a connection of a profile cannot do without: each has to be filled in."""

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        for name in self.about:
            if name in data and not data[name] and not self.has_error(name):
                self.add_error(name, now_("This has to be filled in."))
        return data


def asked_settings(request: HttpRequest, what: str) -> AskedForm | None:
    """The form of what a profile asks for before a connection is made (``asks``); None when it asks for nothing. Unbound as long as
    the page has not shown it."""
    key, _sep, profile = what.partition(":")
    kind = connectors()[key]
    asks = kind.profiles().get(profile, {}).get("asks", ())
    if not asks:
        return None
    current = load(kind.settings, setup.profile_values(kind, profile))
    shown = request.POST.get("asked") == what
    return AskedForm(request.POST if shown else None, settings_class=kind.settings, current=current, only=asks)


def limits_of(connection: models.Connection, tab: str) -> list[str]:
    """What the other system does not allow, as far as this tab is about it."""
    try:
        with closing(setup.connector_of(connection)) as connector:
            return [say(text, facts) for text, facts in connector.limits().get(tab, ())]
    except ExchangeError:  # settings that cannot be used: their own tab says so
        return []


def _never(row: models.StreamSetting) -> bool:
    return row.next_run is not None and row.next_run.year >= schedule.NEVER.year


def address(request: HttpRequest, connection: models.Connection) -> dict[str, Any]:
    """Where the outside system calls us; empty for connectors that we call."""
    try:
        has_door = bool(setup.connector_of(connection).doors())
    except ExchangeError:
        has_door = False
    if not has_door:
        return {"address": ""}
    where = setup.door_path(connection)
    kind = connectors().get(connection.connector)
    usual = kind.profiles().get(connection.profile, {}).get("address", "") if kind else ""
    return {
        "address": request.build_absolute_uri(where),
        "usual": request.build_absolute_uri(f"/{usual}") if usual else "",
        "path": where,
        "login": connection.account.get_username() if connection.account else "",
        "employee": connection.account is not None and not setup.has_own_account(connection),
        "preview": f"{where}?type={quote('sale')}&mode={quote('query')}",
    }


site.register(models.Connection, ConnectionAdmin)
