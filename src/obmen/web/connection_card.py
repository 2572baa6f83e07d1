"""What a person does with a connection as a whole: pause it, copy it, set a bookmark back, look through everything it did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import connection as db
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from unfold.widgets import UnfoldAdminTextInputWidget

from obmen.core.contract import ExchangeError, NeedsOwner
from obmen.store import bookmarks, models, visibility
from obmen.store import connections as setup
from obmen.web import labels, search  # noqa: F401  search registers the look-up "holds"
from obmen.web.asking import as_id, resume, who
from obmen.web.connector_tabs import PICKED, Working
from obmen.web.state import veil
from obmen.web.words import say
from obmen.work import jobs

SHOWN = 50  # lines of the log on one page
MANY = 10_000  # links of one kind that are counted
AN_HOUR, TOMORROW, UNTIL = "hour", "tomorrow", "until"
MORNING = time(8, 0)
TYPED = "%Y-%m-%dT%H:%M"  # as a browser sends a field for date and time


class PauseForm(forms.Form):
    how = forms.ChoiceField(
        label=_("how long"),
        choices=[(AN_HOUR, _("for an hour")), (TOMORROW, _("until tomorrow, 08:00")), (UNTIL, _("until a date and time"))],
        widget=forms.RadioSelect,
        initial=AN_HOUR,
    )
    until = forms.DateTimeField(
        label=_("date and time"),
        required=False,
        input_formats=[TYPED, "%Y-%m-%dT%H:%M:%S"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "class": "o-input"}, format=TYPED),
    )
    text = forms.CharField(
        label=_("reason"),
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Shown on the pages, and to a system that calls meanwhile."),
    )

    def __init__(self, *args: Any, zone: ZoneInfo, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.zone = zone

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        now = timezone.now()
        if data.get("how") == AN_HOUR:
            data["moment"] = now + timedelta(hours=1)
        elif data.get("how") == TOMORROW:
            data["moment"] = datetime.combine(now.astimezone(self.zone).date() + timedelta(days=1), MORNING, self.zone)
        elif data.get("how") == UNTIL and not self.has_error("until"):
            typed = data.get("until")
            if typed is None:
                self.add_error("until", now_("Say until when."))
            elif (moment := _local(typed, self.zone)) <= now:
                self.add_error("until", now_("This moment is over: choose a later one."))
            else:
                data["moment"] = moment
        return data


class CopyForm(forms.Form):
    name = forms.CharField(label=_("name of the copy"), max_length=120, widget=UnfoldAdminTextInputWidget)

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"]).strip()
        if models.Connection.objects.filter(name=name).exists():
            raise forms.ValidationError(now_("There is already a connection with this name."))
        return name


class RewindForm(forms.Form):
    """``words`` as the connector knows them (an id of their history, a date), or a moment; exactly one."""

    moment = forms.DateTimeField(
        label=_("everything since"),
        required=False,
        input_formats=[TYPED, "%Y-%m-%dT%H:%M:%S"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "class": "o-input"}, format=TYPED),
    )
    words = forms.CharField(
        label=_("or after this place"),
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("As the bookmark is written above, for example the id of the last record."),
    )

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if not self.errors and bool(data.get("moment")) == bool((data.get("words") or "").strip()):
            raise forms.ValidationError(now_("Say either a date and time or a place, not both."))
        return data


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    """What was typed, by the clock of the connection; Django reads it by the clock of the hub."""
    return moment.replace(tzinfo=zone)


@dataclass(frozen=True, slots=True)
class Mark:
    """A bookmark as the page shows it. ``words`` "" with ``changed``: it stands at a date that was set by hand."""

    stream: str
    words: str
    changed: datetime | None
    can_be_set: bool


def bookmarks_beside() -> dict[str, Subquery]:
    """For a query of streams: each with its bookmark's ``mark_value`` and ``mark_changed``."""
    own = models.Bookmark.objects.filter(connection=OuterRef("connection"), stream=OuterRef("stream")).order_by()
    return {"mark_value": Subquery(own.values("value")), "mark_changed": Subquery(own.values("changed"))}


def marks(connection: models.Connection, streams: Iterable[models.StreamSetting] | None = None) -> dict[str, Mark]:
    """The bookmarks of streams that can be read by a person, by stream; one query, none with ``streams`` that were read with
    ``bookmarks_beside``."""
    if streams is None:
        rows = {row.stream: (row.value, row.changed) for row in connection.bookmarks.all()}
    else:
        rows = {row.stream: (row.mark_value, row.mark_changed) for row in streams}  # type: ignore[attr-defined]
    found = {}
    with Working(connection) as working:
        for source in working.connector.sources() if working.connector else ():
            if source.stream in working.picking:
                value, changed = rows.get(source.stream, (None, None))
                words = source.bookmark_words(value)  # type: ignore[attr-defined]
                found[source.stream] = Mark(source.stream, words, changed, True)
    return found


def rewind(connection: models.Connection, stream: str, words: str, moment: datetime | None, who: str | None = None) -> str:
    """Set a bookmark to a place or a moment; the words of where it stands then. ``who`` None: only say what it would be. Raises
    Running, NeedsOwner: a place that the connector cannot read, settings that cannot be used."""
    setup.refuse_while_running(connection, setup.MARK_RUNNING)
    with Working(connection) as working:
        if working.connector is None:
            setup.connector_of(connection)  # says why
            raise NeedsOwner(bookmarks.NONE)
        if who is None:
            return bookmarks.would_be(working.connector, stream, words, moment)
        return bookmarks.set_by_hand(connection, working.connector, stream, words, moment, who)


def rewinding(mark: Mark, after: str) -> tuple[str, str]:
    """What is asked before a bookmark is set, and what follows from it."""
    facts = {"stream": labels.stream(mark.stream), "before": mark.words or "–", "after": after}
    question = now_("Set the bookmark of “%(stream)s” from “%(before)s” to “%(after)s”?") % facts
    consequence = now_(
        "The next run reads from there. Back: what has come since then is read again; nothing is doubled, what is as it was "
        "stays, and what they have changed is taken by the rules of the connection, also over changes made here. "
        "Forward: what lies between is left out and does not come by itself any more."
    )
    return question, consequence


class Card:
    """Views of ConnectionAdmin; ``one``, ``tab``, ``_found``, ``_back`` and ``_credentials`` are that class's."""

    def card_urls(self, view: Any) -> list[URLPattern]:
        def page(address: str, function: Any, name: str) -> URLPattern:
            return path(f"<int:pk>/{address}/", view(function), name=f"store_connection_{name}")

        return [
            page("pause", self.pause_page, "pause"),
            page("resume", require_POST(self.resume), "resume"),
            page("copy", never_cache(self.copy_page), "copy"),
            page("rewind/<str:stream>", self.rewind_page, "rewind"),
            page("log", self.log_page, "log"),
            page("links", self.links_part, "links"),
        ]

    # --- pause ---

    def pause_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk, "change")
        form = PauseForm(request.POST if request.method == "POST" else None, zone=ZoneInfo(connection.time_zone))
        if request.method == "POST" and form.is_valid():
            try:
                setup.pause(connection, form.cleaned_data["moment"], form.cleaned_data["text"], who(request))
            except ExchangeError as error:
                form.add_error(None, say(error.text, error.facts))
            else:
                messages.success(request, now_("Paused. It goes on by itself afterwards."))
                return self._back(connection)
        running = connection.runs.filter(state=models.Run.State.RUNNING).exists()
        return self.tab(request, connection, "change", "obmen/connection_pause.html", form=form, running=running)

    def resume(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk, "change")
        if resume(connection, who(request)):
            messages.success(request, now_("The pause is over: what waited begins now."))
        return self._back(connection)

    # --- copy ---

    def copy_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk, "change")
        if not request.user.has_perm("store.add_connection"):
            raise PermissionDenied
        form = CopyForm(
            request.POST if request.method == "POST" else None,
            initial={"name": now_("%(name)s (copy)") % {"name": connection.name}},
        )
        if request.method == "POST" and form.is_valid():
            try:
                made, password = setup.duplicate(connection, form.cleaned_data["name"], who(request))
            except ExchangeError as error:
                form.add_error(None, say(error.text, error.facts))
            else:
                if password is not None:
                    return self._credentials(request, made, password, now_("The copy is made, and switched off"))
                messages.success(request, now_("The copy is made. It is switched off: enter its keys first."))
                return self._back(made)
        return self.tab(request, connection, "change", "obmen/connection_copy.html", form=form)

    # --- bookmarks ---

    @staticmethod
    def picks(
        request: HttpRequest, connection: models.Connection, streams: Sequence[models.StreamSetting]
    ) -> list[dict[str, Any]]:
        """What can be loaded by its id there, each with its bookmark; nothing for who may neither start runs nor set bookmarks.
        ``streams`` with ``bookmarks_beside``."""
        may = request.user.has_perm
        if not (may("store.start_run") or may("store.change_connection")):
            return []
        on = {row.stream for row in streams if row.enabled}
        return [
            {
                "stream": name,
                "label": str(PICKED.get(name) or labels.stream(name)),
                "mark": mark,
                "on": connection.enabled and name in on,
            }
            for name, mark in marks(connection, streams).items()
        ]

    def rewind_page(self, request: HttpRequest, pk: int, stream: str) -> HttpResponse:
        connection = self._found(request, pk, "change")
        mark = marks(connection).get(stream)
        if mark is None:
            raise Http404
        back = reverse("admin:store_connection_schedule", args=[pk])
        form = RewindForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            words, moment = self._place(connection, form)
            try:
                if not request.POST.get("confirmed"):
                    after = rewind(connection, stream, words, moment)
                    return self._ask_rewind(request, connection, mark, form, back, after)
                rewind(connection, stream, words, moment, who(request))
            except ExchangeError as error:
                form.add_error(None, say(error.text, error.facts))
            else:
                messages.success(request, now_("The bookmark is set: the next run reads from there."))
                run = self._loaded_from(request, connection, stream)
                return HttpResponseRedirect(reverse("admin:store_run_change", args=[run.pk]) if run else back)
        context = {"form": form, "mark": mark, "back": back, "stream": labels.stream(stream)}
        return self.tab(request, connection, "schedule", "obmen/connection_rewind.html", **context)

    def _ask_rewind(
        self, request: HttpRequest, connection: models.Connection, mark: Mark, form: RewindForm, back: str, after: str
    ) -> HttpResponse:
        moment = form.cleaned_data["moment"]
        question, consequence = rewinding(mark, f"{moment:%d.%m.%Y %H:%M}" if moment else after)
        return self.tab(
            request,
            connection,
            "schedule",
            "obmen/ask.html",
            question=question,
            consequence=consequence,
            button=now_("Set the bookmark"),
            or_button=now_("Set the bookmark and load from it") if self._may_load(request, connection, mark.stream) else "",
            or_name="load",
            danger=True,
            back=back,
            also={"moment": request.POST.get("moment", ""), "words": form.cleaned_data["words"]},
        )

    @staticmethod
    def _may_load(request: HttpRequest, connection: models.Connection, stream: str) -> bool:
        may: bool = request.user.has_perm("store.start_run")
        return may and connection.enabled and connection.streams.filter(stream=stream, enabled=True).exists()

    def _loaded_from(self, request: HttpRequest, connection: models.Connection, stream: str) -> models.Run | None:
        """The run that the second button of the question asks for."""
        if "load" not in request.POST or not self._may_load(request, connection, stream):
            return None
        return jobs.ask(connection, [stream], trigger="person", who=who(request))

    @staticmethod
    def _place(connection: models.Connection, form: RewindForm) -> tuple[str, datetime | None]:
        typed = form.cleaned_data["moment"]
        return form.cleaned_data["words"].strip(), _local(typed, ZoneInfo(connection.time_zone)) if typed else None

    # --- links ---

    def links_part(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A part of the first tab: how many records of each kind are linked, counted no further than anybody reads."""
        connection = self._found(request, pk)
        each = (
            "SELECT %s, (SELECT count(*) FROM (SELECT 1 FROM store_link WHERE connection_id = %s AND kind = %s LIMIT %s) found)"
        )
        values = [value for kind in labels.KINDS for value in (kind, connection.pk, kind, MANY + 1)]
        with db.cursor() as cursor:
            cursor.execute(" UNION ALL ".join([each] * len(labels.KINDS)), values)
            links = [(str(kind), min(int(n), MANY), n > MANY) for kind, n in cursor.fetchall() if n]
        return render(request, "obmen/connection_links.html", {"links": links})

    # --- log ---

    def log_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk)
        may = request.user.has_perm
        sources = {
            "runs": (connection.runs.all(), may("store.view_run")),
            "deeds": (
                visibility.journal_for(request.user, models.JournalEntry.objects.filter(connection=connection)),
                may("store.view_journalentry"),
            ),
            "calls": (visibility.messages_for(request.user, connection.messages.all()), may("store.view_message")),
        }
        if not any(allowed for _rows, allowed in sources.values()):
            raise PermissionDenied
        kind, only = request.GET.get("kind", ""), request.GET.get("only") == "errors"
        said = request.GET.get("q", "").strip().replace("\0", "")[:100]
        places = _places(request.GET.get("before", ""))
        lines: list[Line] = []
        for name, (rows, allowed) in sources.items():
            if allowed and kind in ("", name):
                lines += _lines(name, rows, said, only, places.get(name), veiled=visibility.is_limited(request.user))
        lines.sort(key=lambda line: line.at, reverse=True)
        shown = lines[:SHOWN]
        query = request.GET.copy()
        query["before"] = _before(shown, places)
        return self.tab(
            request,
            connection,
            "log",
            "obmen/connection_log.html",
            lines=shown,
            older=f"?{query.urlencode()}" if len(lines) > SHOWN else "",
            kinds=[
                {"key": name, "title": title, "on": kind == name}
                for name, title in (
                    ("", now_("everything")),
                    ("runs", now_("runs")),
                    ("deeds", now_("journal")),
                    ("calls", now_("calls")),
                )
                if not name or sources[name][1]
            ],
            kind=kind,
            only=only,
            said=said,
            turned=bool(places),
        )


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened: a run, a deed of a person or of the hub, a call."""

    source: str
    pk: int
    at: datetime
    tone: str
    what: str
    text: str
    by: str = ""
    url: str = ""


BAD_RUNS = (models.Run.State.FAILED, models.Run.State.NEEDS_OWNER)


def _lines(source: str, rows: QuerySet[Any], said: str, only: bool, before: int | None, *, veiled: bool) -> list[Line]:
    """The newest of one table, by its key: of a long table an index on the connection gives them at once."""
    if before is not None:
        rows = rows.filter(pk__lt=before)
    if source == "runs":
        if only:
            rows = rows.filter(state__in=BAD_RUNS)
        if said:
            number = Q(pk=int(said.lstrip("#"))) if as_id(said.lstrip("#")) else Q()
            rows = rows.filter(number | Q(streams__holds=said) | Q(asked_by__holds=said) | Q(text__holds=said))
        runs = list(rows.order_by("-pk")[: SHOWN + 1])
        if veiled:
            veil(runs)
        return [_run_line(r) for r in runs]
    if source == "deeds":
        if only:
            return []
        if said:
            rows = rows.filter(Q(who__holds=said) | Q(action__holds=said))
        return [
            Line("deeds", e.pk, e.at, "", "", labels.deed(e.action, e.facts), e.who) for e in rows.order_by("-pk")[: SHOWN + 1]
        ]
    if only:
        rows = rows.filter(Q(status__gte=400) | Q(answer__startswith="failure"))
    if said:
        rows = rows.filter(Q(call__holds=said) | Q(answer__holds=said) | Q(remote__startswith=said))
    return [_call_line(m) for m in rows.order_by("-pk")[: SHOWN + 1]]


def _run_line(run: models.Run) -> Line:
    text = say(run.text, run.facts) or ", ".join(f"{labels.COUNTS.get(n, n)} {v}" for n, v in run.counts.items() if v)
    streams = ", ".join(labels.stream(s) for s in run.streams.split(",") if s)
    words = f"{run.get_state_display()} · {streams}"
    by = run.asked_by or str(labels.TRIGGERS.get(run.trigger, run.trigger))
    url = reverse("admin:store_run_change", args=[run.pk])
    return Line("runs", run.pk, run.asked, labels.TONES[run.state], f"#{run.pk} {words}", text, by, url)


def _call_line(call: models.Message) -> Line:
    failed = call.status >= 400 or call.answer.startswith("failure")
    return Line(
        "calls",
        call.pk,
        call.at,
        "danger" if call.status >= 500 or failed else "success",
        call.call,
        f"{call.status} · {call.answer} · {call.milliseconds} ms",
        call.remote,
        reverse("admin:store_message_change", args=[call.pk]),
    )


def _before(shown: Sequence[Line], places: dict[str, int]) -> str:
    """From where each table is read on: below the last of it that was shown."""
    for line in shown:
        places = {**places, line.source: min(line.pk, places.get(line.source, line.pk))}
    return ".".join(f"{name}-{pk}" for name, pk in places.items())


def _places(text: str) -> dict[str, int]:
    pairs = (part.partition("-") for part in text.split(".") if part)
    return {name: int(pk) for name, _dash, pk in pairs if as_id(pk)}
