"""Pages of connections: add, settings, mappings, match rules, schedule, traffic, switch, new password, remove."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from zoneinfo import available_timezones

from django import forms
from django.conf import settings as hub
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
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
from obmen.registry import connectors
from obmen.store import connections as setup
from obmen.store import models
from obmen.web import guide
from obmen.web.labels import ATTRIBUTES, KINDS, SUBJECTS, stream
from obmen.web.lists import ListAdmin
from obmen.web.settings_form import SettingsForm
from obmen.web.site import site
from obmen.web.state import conditions, connector_title, profile_title
from obmen.web.words import say, without_facts
from obmen.work import jobs

TABS = (
    ("change", _("Overview")),
    ("settings", _("Settings")),
    ("mappings", _("Mappings")),
    ("rules", _("Match rules")),
    ("schedule", _("Schedule")),
    ("traffic", _("Traffic")),
)


class AddForm(forms.Form):
    """``what`` is "connector" or "connector:profile": one choice instead of two lists that depend on each other."""

    what = forms.CharField(label=_("what to connect"), error_messages={"required": _("Choose what to connect.")})
    name = forms.CharField(label=_("name"), max_length=120, widget=UnfoldAdminTextInputWidget)
    language = forms.ChoiceField(label=_("language of answers"), choices=hub.LANGUAGES, widget=UnfoldAdminSelectWidget)
    time_zone = forms.ChoiceField(label=_("time zone"), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
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


class AboutForm(forms.ModelForm):
    """What every connection has, whatever its connector."""

    class Meta:
        model = models.Connection
        fields = ("name", "language", "time_zone")
        widgets = {"name": UnfoldAdminTextInputWidget, "language": UnfoldAdminSelectWidget}

    time_zone = forms.ChoiceField(label=_("time zone"), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.fields["time_zone"].choices = [(z, z.replace("_", " ")) for z in sorted(available_timezones()) if "/" in z]


class StreamForm(forms.ModelForm):
    """Checks and shows; ``setup.set_stream`` saves, since it also plans and journals."""

    class Meta:
        model = models.StreamSetting
        fields = ("enabled", "schedule", "quiet_from", "quiet_to")
        widgets = {
            "enabled": UnfoldBooleanSwitchWidget,
            "schedule": UnfoldAdminTextInputWidget,
            "quiet_from": UnfoldAdminSingleTimeWidget,
            "quiet_to": UnfoldAdminSingleTimeWidget,
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


class ConnectionAdmin(ListAdmin):
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
            page("remove", self.remove, "remove"),
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
        tabs = [
            {
                "title": title,
                "active": key == active,
                "url": reverse(f"admin:store_connection_{key}", args=[connection.pk]),
            }
            for key, title in TABS
            if key != "traffic" or may("store.view_message")
        ]
        frame = {
            "original": connection,
            "record": connection,
            "title": connection.name,
            "tabs": tabs,
            "may_change": may("store.change_connection"),
            "may_remove": may("store.delete_connection"),
            "may_start": may("store.start_run"),
        }
        return self.page(request, template, {**frame, **context})

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        connection = self.one(request, object_id)
        if connection is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        return self.overview(request, connection)

    def overview(self, request: HttpRequest, connection: models.Connection, form: AboutForm | None = None) -> HttpResponse:
        runs = connection.runs.select_related("connection")[:8] if request.user.has_perm("store.view_run") else []
        parked = connection.parked.values("text").annotate(n=Count("id")).order_by("-n")[:5]
        kind = connectors().get(connection.connector)
        return self.tab(
            request,
            connection,
            "change",
            "obmen/connection.html",
            found=conditions([connection])[0],
            connector=connector_title(connection),
            profile=profile_title(connection),
            runs=runs,
            reasons=[{"sentence": without_facts(r["text"]), "count": r["n"]} for r in parked]
            if request.user.has_perm("store.view_parked")
            else [],
            links=[
                {"kind": row["kind"], "n": row["n"]}
                for row in models.Link.objects.filter(connection_id=connection.pk)
                .values("kind")
                .annotate(n=Count("id"))
                .order_by("kind")
            ],
            streams=[s for s in connection.streams.order_by("stream") if s.enabled],
            form=form or AboutForm(instance=connection),
            guide=guide.html(kind, get_language() or "en") if kind else "",
            **address(request, connection),
        )

    def about(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk, "change")
        before = {name: getattr(connection, name) for name in AboutForm.Meta.fields}
        form = AboutForm(request.POST, instance=connection)
        if not form.is_valid():
            return self.overview(request, models.Connection.objects.get(pk=pk), form)
        if form.has_changed():
            form.save()
            setup.note(
                connection,
                "connection.changed",
                who(request),
                changes={n: [before[n], form.cleaned_data[n]] for n in form.changed_data},
            )
            messages.success(request, now_("Saved."))
        return self._back(connection)

    # --- add ---

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = AddForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            answer = self._add(request, form)
            if answer is not None:
                return answer
        choices = [
            {
                "key": key,
                "title": now_(str(c.title)),
                "profiles": [
                    {
                        "value": f"{key}:{name}",
                        "title": now_(p.get("title") or name),
                        "help": now_(p["note"]) if p.get("note") else "",
                    }
                    for name, p in c.profiles().items()
                ],
            }
            for key, c in sorted(connectors().items(), key=lambda pair: str(pair[1].title))
        ]
        return self.page(
            request, "obmen/connection_add.html", {"title": now_("Add a connection"), "form": form, "choices": choices}
        )

    def _add(self, request: HttpRequest, form: AddForm) -> HttpResponse | None:
        key, _sep, profile = form.cleaned_data["what"].partition(":")
        try:
            connection, password = setup.create(
                key,
                form.cleaned_data["name"],
                profile=profile,
                language=form.cleaned_data["language"],
                time_zone=form.cleaned_data["time_zone"],
                who=who(request),
            )
        except ExchangeError as error:
            form.add_error(None, say(error.text, error.facts))
            return None
        if password is None:
            messages.success(request, now_("The connection is added. Now fill in its settings."))
            return HttpResponseRedirect(reverse("admin:store_connection_settings", args=[connection.pk]))
        return self._credentials(request, connection, password, now_("The connection is added"))

    def _credentials(self, request: HttpRequest, connection: models.Connection, password: str, title: str) -> HttpResponse:
        """Shown in the answer itself and kept nowhere: only the hash of the password is stored."""
        context = {"password": password, "heading": title, **address(request, connection)}
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
        return self.tab(request, connection, "settings", "obmen/settings.html", form=form, reparse=reparse)

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

    # --- mappings ---

    def mappings_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk)
        rows = list(connection.mappings.order_by("subject", "ours", "-seen_count", "theirs"))
        subjects = [s for s in SUBJECTS if any(r.subject == s for r in rows)]
        offered = dict(connection.remote_references.values_list("subject").annotate(n=Count("id")).order_by())
        ours = {s: list(models.Reference.objects.filter(subject=s).values_list("key", "name")) for s in {*SUBJECTS}}
        if request.method == "POST":
            if not request.user.has_perm("store.change_mapping"):
                raise PermissionDenied
            return self._save_mappings(request, connection, rows, ours)
        tables = [
            {
                "subject": s,
                "title": SUBJECTS[s],
                "rows": sorted((r for r in rows if r.subject == s), key=lambda r: (bool(r.ours), -r.seen_count, r.theirs)),
                "ours": ours[s],
                "unmapped": sum(1 for r in rows if r.subject == s and not r.ours),
                "remote": [
                    x
                    for x in connection.remote_references.filter(subject=s, gone=False).values_list("key", "name")
                    if x[0] not in {r.theirs for r in rows if r.subject == s}
                ],
            }
            for s in SUBJECTS
            if s in subjects or s in offered or ours[s]
        ]
        may = request.user.has_perm("store.change_mapping")
        return self.tab(request, connection, "mappings", "obmen/mappings.html", tables=tables, may_map=may)

    def _save_mappings(self, request: HttpRequest, connection: models.Connection, rows: Any, ours: Any) -> HttpResponse:
        known = {s: {key for key, _name in pairs} for s, pairs in ours.items()}
        changed = []
        with transaction.atomic():
            for row in rows:
                field = f"ours-{row.pk}"
                if field not in request.POST:
                    continue
                wanted = request.POST[field]
                if wanted and wanted != row.ours and wanted not in known.get(row.subject, ()):
                    raise Http404
                values = (wanted, f"in-{row.pk}" in request.POST, f"out-{row.pk}" in request.POST)
                if values != (row.ours, row.inbound, row.outbound):
                    row.ours, row.inbound, row.outbound = values
                    row.save(update_fields=["ours", "inbound", "outbound"])
                    changed.append(row.theirs)
            changed += self._new_mapping(request, connection, known)
            if request.POST.get("remove", "").isdigit():
                gone = connection.mappings.filter(pk=int(request.POST["remove"])).first()
                if gone:
                    changed.append(gone.theirs)
                    gone.delete()
            if changed:
                setup.note(connection, "mappings.changed", who(request), values=", ".join(changed[:20]))
        if changed:
            messages.success(request, now_("The mappings are saved."))
        return HttpResponseRedirect(request.path)

    def _new_mapping(self, request: HttpRequest, connection: models.Connection, known: Any) -> list[str]:
        made = []
        for subject in SUBJECTS:
            theirs = request.POST.get(f"new-theirs-{subject}", "").strip()[:300]
            ours = request.POST.get(f"new-ours-{subject}", "")
            if not theirs or (ours and ours not in known.get(subject, ())):
                continue
            name = connection.remote_references.filter(subject=subject, key=theirs).values_list("name", flat=True).first()
            connection.mappings.update_or_create(
                subject=subject, theirs=theirs, defaults={"ours": ours, "theirs_name": name or ""}
            )
            made.append(theirs)
        return made

    # --- match rules, schedule, traffic ---

    def rules_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk)
        formset = RuleFormSet(request.POST or None, instance=connection)
        if request.method == "POST":
            self._require(request, "store.change_matchrule")
            if formset.is_valid():
                formset.save()
                setup.note(connection, "rules.changed", who(request))
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
        forms_ = [StreamForm(data, instance=s, prefix=f"s{s.pk}") for s in connection.streams.order_by("stream")]
        if request.method == "POST":
            self._require(request, "store.change_streamsetting")
            valid = [f.is_valid() for f in forms_]  # each one is asked, so that every error shows at once
            if all(valid):
                for form in (f for f in forms_ if f.has_changed()):
                    setup.set_stream(connection, form.instance.stream, **form.cleaned_data, who=who(request))
                messages.success(request, now_("The schedule is saved."))
                return HttpResponseRedirect(request.path)
        rows = [{"form": f, "title": stream(f.instance.stream), "row": f.instance, "never": _never(f.instance)} for f in forms_]
        return self.tab(
            request,
            connection,
            "schedule",
            "obmen/schedule.html",
            rows=rows,
            may_change=request.user.has_perm("store.change_streamsetting"),
        )

    def traffic_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk)
        if not request.user.has_perm("store.view_message"):
            raise PermissionDenied
        return self.tab(request, connection, "traffic", "obmen/traffic.html", calls=list(connection.messages.all()[:100]))

    # --- what changes things ---

    def _back(self, connection: models.Connection) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:store_connection_change", args=[connection.pk]))

    def switch(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk, "change")
        on = request.POST.get("on") == "1"
        if models.Connection.objects.filter(pk=pk, enabled=not on).update(enabled=on):
            setup.note(connection, "connection.switched_on" if on else "connection.switched_off", who(request))
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
        try:
            messages.success(request, now_(setup.connector_of(connection).check()))
        except ExchangeError as error:
            messages.error(request, say(error.text, error.facts))
        return self._back(connection)

    def new_password(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk, "change")
        if connection.account is None:
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
            if models.Run.objects.filter(connection=connection, state="running").exists():
                messages.error(request, now_("A run of this connection is going on: stop it first."))
                return self._back(connection)
            setup.remove(connection, who(request))
            messages.success(request, now_("The connection “%(name)s” is removed.") % {"name": connection.name})
            return HttpResponseRedirect(reverse("admin:store_connection_changelist"))
        return self.tab(
            request,
            connection,
            "change",
            "obmen/ask.html",
            question=now_("Remove the connection “%(name)s”?") % {"name": connection.name},
            consequence=now_(
                "Its settings, mappings, links, parked records, runs and login are removed. The books keep the records that came by it."
            ),
            button=now_("Remove"),
            danger=True,
        )


def who(request: HttpRequest) -> str:
    return str(request.user.get_username())


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
    return {
        "address": request.build_absolute_uri(where),
        "path": where,
        "login": connection.account.get_username() if connection.account else "",
        "preview": f"{where}?type={quote('sale')}&mode={quote('query')}",
    }


site.register(models.Connection, ConnectionAdmin)
