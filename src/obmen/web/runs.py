"""Pages of runs: what goes on, what it did, what became of each record."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Case, Count, Q, QuerySet, TextField, When, Window
from django.db.models.functions import Cast
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter, RelatedDropdownFilter
from unfold.decorators import display

from obmen.core.contract import ExchangeError
from obmen.store import journal, models, previews, visibility
from obmen.web import differences, labels
from obmen.web.asking import as_id, ask_again, repeatable, who
from obmen.web.lists import ListAdmin
from obmen.web.site import site
from obmen.web.state import veil
from obmen.web.templatetags.obmen import lasted
from obmen.web.words import say
from obmen.work import deciding, jobs

RESULTS_SHOWN = 200
SHOWN = 50  # records of a preview on one page
OUTCOMES = ("created", "updated", "deleted", "matched", "would_write", "parked", "left_out", "unchanged")
CARDS = {
    "product": "product",
    "variant": "product",
    "offer": "offer",
    "stock": "offer",
    "order": "order",
    "counterparty": "counterparty",
}


class RunAdmin(ListAdmin):
    card_template = "obmen/run.html"
    list_before_template = "obmen/seek_link.html"
    list_display = ("title", "streams_label", "state_label", "started_at", "took", "counted", "message")
    list_filter = (
        ("connection", RelatedDropdownFilter),
        ("state", ChoicesDropdownFilter),
        ("asked", RangeDateTimeFilter),
    )
    look_up = ("asked_by",)
    look_in = ("connection__name",)
    list_select_related = ("connection",)
    sortable_by = ()
    ordering = ("-id",)

    @display(description=_("run"))
    def title(self, r: models.Run) -> str:
        return f"#{r.pk} {r.connection}"

    @display(description=_("streams"))
    def streams_label(self, r: models.Run) -> str:
        return ", ".join(labels.stream(s) for s in r.streams.split(",") if s)

    @display(description=_("state"), label=labels.TONES)
    def state_label(self, r: models.Run) -> tuple[str, str]:
        return r.state, r.get_state_display()

    @display(description=_("started"))
    def started_at(self, r: models.Run) -> Any:
        return r.started or r.due

    @display(description=_("took"))
    def took(self, r: models.Run) -> str:
        return lasted(r) or (f"{r.percent} %" if r.state == "running" else "–")

    @display(description=_("counts"))
    def counted(self, r: models.Run) -> str:
        return ", ".join(f"{labels.COUNTS.get(k, k)} {v}" for k, v in r.counts.items() if v) or "–"

    @display(description=_("message"))
    def message(self, r: models.Run) -> str:
        text = say(r.text, r.facts)
        return text if len(text) <= 80 else text[:79] + "…"

    def veil(self, rows: Sequence[models.Run]) -> None:
        veil(rows)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<int:pk>/live/", view(self.live), name="store_run_live"),
            path("<int:pk>/stop/", view(require_POST(self.stop)), name="store_run_stop"),
            path("<int:pk>/results/", view(self.results), name="store_run_results"),
            path("<int:pk>/again/", view(require_POST(self.again)), name="store_run_again"),
            path("<int:pk>/preview/", view(self.preview), name="store_run_preview"),
            path("<int:pk>/preview/decide/", view(require_POST(self.decide)), name="store_run_decide"),
            path("<int:pk>/preview/do/", view(self.carry_out), name="store_run_carry_out"),
            path("<int:pk>/look/", view(require_POST(self.look)), name="store_run_look"),
            path("<int:pk>/allow/", view(self.allow), name="store_run_allow"),
            path("replay/<int:pk>/", view(require_POST(self.replay)), name="store_run_replay"),
            *super().get_urls(),
        ]

    def card(self, request: HttpRequest, record: models.Run) -> dict[str, Any]:
        may = request.user.has_perm("store.start_run")
        lines = list(visibility.seen_by(request.user, record.lines.order_by("-id"))[:200])[::-1]
        return {
            "run": record,
            "lines": lines,
            "live": record.state in ("waiting", "running", "postponed"),
            "from_manual": request.GET.get("from") == "manual",
            **_results(request, record),
            "may_start": may,
            "may_repeat": may and repeatable(record) and record.state in record.FINISHED,
            "may_look": may and record.state in record.FINISHED and deciding.can_preview(record),
            "shows_preview": bool(record.args.get("preview")) and record.state in record.FINISHED,
            "stopped_by_guard": record.state == record.State.NEEDS_OWNER and "guard" in record.facts,
            "parked": visibility.parked_for(request.user, record.connection.parked.all()).count(),
        }

    def live(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The moving part of the page; 286 tells htmx to stop asking."""
        run = self.one(request, str(pk))
        if run is None:
            raise Http404
        context = self.card(request, run)
        return render(request, "obmen/run_live.html", context, status=200 if context["live"] else 286)

    def stop(self, request: HttpRequest, pk: int) -> HttpResponse:
        run = self._may_start(request, pk)
        if jobs.ask_stop(run.pk):
            journal.note(run.connection, "run.stop_asked", who(request), run=run.pk)
        else:
            messages.info(request, now_("This run had already ended."))
        if request.POST.get("from") == "manual":
            return HttpResponseRedirect(reverse("admin:manual_of", args=[run.connection_id]) + f"?run={pk}#o-run")
        return HttpResponseRedirect(reverse("admin:store_run_change", args=[pk]))

    def results(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Every result as a table for a spreadsheet."""
        run = self.one(request, str(pk))
        if run is None:
            raise Http404
        response = HttpResponse("\ufeff", content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="run-{run.pk}.csv"'
        table = csv.writer(response)
        table.writerow([now_(x) for x in ("stream", "kind", "name", "their id", "result", "reason")])
        # No model objects, each word looked up once, facts decoded where there is something to say: ten thousand rows are ten thousand
        # of everything. A sentence is kept for its neighbours alone, for there may be one for each row.
        rows = visibility.results_for(request.user, run.results.all()).annotate(said_facts=Cast("facts", TextField()))
        stream = cache(lambda name: _cell(labels.stream(name)))
        kinds = cache(lambda kind: _cell(str(labels.KINDS.get(kind, kind))))
        outcomes = cache(lambda outcome: _cell(str(labels.COUNTS.get(outcome, outcome))))
        may_see = cache(lambda kind: _may_see(request, kind))
        sentence = lru_cache(1000)(lambda text, facts: _cell(say(text, json.loads(facts))))
        table.writerows(
            [
                stream(of), kinds(kind), _cell(name) if may_see(kind) else "", _cell(ident), outcomes(outcome),
                sentence(text, facts) if text else "",
            ]
            for of, kind, name, ident, outcome, text, facts in rows.values_list(
                "stream", "kind", "name", "external_id", "outcome", "text", "said_facts"
            ).iterator()
        )  # fmt: skip
        return response

    def again(self, request: HttpRequest, pk: int) -> HttpResponse:
        run = self._may_start(request, pk)
        return self._asked(request, lambda: ask_again(run, who(request)), reverse("admin:store_run_change", args=[pk]))

    # --- previews ---

    def preview(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What the run would change, record by record, and what is accepted of it."""
        run = self._previewed(request, pk)
        return self.page(request, "obmen/run_preview.html", self._differences(request, run))

    def _previewed(self, request: HttpRequest, pk: int) -> models.Run:
        if not request.user.has_perm("store.view_run"):
            raise PermissionDenied
        run = models.Run.objects.select_related("connection").filter(pk=pk).first()
        if run is None or not run.args.get("preview"):
            raise Http404
        return run

    def _differences(self, request: HttpRequest, run: models.Run) -> dict[str, Any]:
        chosen = Chosen(request.GET)
        every = visibility.seen_by(request.user, run.results.all())
        outcomes, decidable, skipped = tally(every)
        number, found, rows = _page(chosen.of(every), request.GET.get("page", ""))
        for row in rows:
            _hide(request, row)
            model = CARDS.get(row.kind) if row.record_id else None
            row.url = reverse(f"admin:store_{model}_change", args=[row.record_id]) if model else ""
        told = run.facts.get("fields", {})
        shown = differences.dress(rows, run.connection, told)
        decided = run.facts.get("decided")
        fields = [{"name": f, "label": shown.label(f), "n": n} for f, n in told.items()]
        may = self._may_decide(request) and run.state == run.State.DONE
        return {
            "title": now_("Preview of run %(id)s") % {"id": run.pk},
            "run": run,
            "record": run,
            "outcomes": [{"name": o, "label": labels.COUNTS.get(o, o), "n": outcomes[o]} for o in OUTCOMES if o in outcomes],
            "fields": sorted(fields, key=lambda f: str(f["label"]).casefold()),
            "chosen": chosen,
            "query": chosen.query,
            "rows": rows,
            "number": number,
            "pages": max(1, -(-found // SHOWN)),
            "found": found,
            "total": sum(outcomes.values()),
            "more": run.facts.get("more", 0),
            "skipped": skipped,
            "accepted": decidable - skipped,
            "decided": decided,
            "may_decide": may and not decided and decidable > 0,
            "broken_off": bool(decided) and deciding.broken_off(run),
            "may_go_on": may,
            "may_see_all": not visibility.is_limited(request.user),
            "may_look": request.user.has_perm("store.start_run") and run.state in run.FINISHED and deciding.can_preview(run),
        }

    @staticmethod
    def _may_decide(request: HttpRequest) -> bool:
        """Who sees only some companies would accept what they do not see."""
        return request.user.has_perm("store.start_run") and not visibility.is_limited(request.user)

    def decide(self, request: HttpRequest, pk: int) -> HttpResponse:
        run = self._previewed(request, pk)
        if not self._may_decide(request):
            raise PermissionDenied
        said, chosen = request.POST, Chosen(request.POST)
        rows = run.results.all()
        if "skip_all" in said or "accept_all" in said:
            rows = chosen.of(rows)
        else:
            rows = rows.filter(pk__in=[int(i) for i in said.getlist("row") if as_id(i)][:SHOWN])
        if "decided" in run.facts:
            messages.error(request, now_("This preview has been decided already: make a new one."))
        elif run.state != run.State.DONE:
            messages.error(request, now_(deciding.NOT_DONE))
        else:
            off = "skip_all" in said or "skip" in said
            count = previews.skip(run, rows, off)
            text = (
                ngettext("%(count)s record is skipped.", "%(count)s records are skipped.", count)
                if off
                else ngettext("%(count)s record is accepted again.", "%(count)s records are accepted again.", count)
            )
            if count:
                messages.success(request, text % {"count": count})
            else:
                messages.info(request, now_("Nothing was changed: tick the records first, or they were so already."))
        query = chosen.query + (f"&page={said['page']}" if as_id(said.get("page", "")) else "")
        return HttpResponseRedirect(reverse("admin:store_run_preview", args=[pk]) + f"?{query}#o-differences")

    def carry_out(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Asks first, then does it."""
        run = self._previewed(request, pk)
        if not self._may_decide(request):
            raise PermissionDenied
        back = reverse("admin:store_run_preview", args=[pk])
        if request.method == "POST":
            return self._asked(request, lambda: deciding.ask_decided(run, who(request)), back)
        _outcomes, decidable, skipped = tally(run.results.all())
        return self.page(
            request,
            "obmen/ask.html",
            {
                "title": now_("Do it"),
                "question": now_("Do it: %(accepted)s accepted, %(skipped)s skipped?")
                % {"accepted": decidable - skipped, "skipped": skipped},
                "consequence": now_(
                    "The exchange with “%(name)s” is made now. What you skipped of theirs is set aside among the parked records, what you "
                    "skipped of ours waits for the next exchange. A record that has changed since the preview is not taken; what has "
                    "come since then goes along."
                )
                % {"name": run.connection.name},
                "button": now_("Do it"),
                "back": back,
                "record": run,
            },
        )

    def look(self, request: HttpRequest, pk: int) -> HttpResponse:
        run = self._may_start(request, pk)
        return self._asked(request, lambda: deciding.ask_preview(run, who(request)), reverse("admin:store_run_change", args=[pk]))

    def allow(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Asks first, then starts it over its limit."""
        run = self._may_start(request, pk)
        back = reverse("admin:store_run_change", args=[pk])
        if request.method == "POST":
            return self._asked(request, lambda: deciding.ask_allowed(run, who(request)), back)
        question, consequence = over_limit(run)
        return self.page(
            request,
            "obmen/ask.html",
            {
                "title": now_("Allow this once"),
                "question": question,
                "consequence": consequence,
                "button": now_("Allow this once"),
                "danger": True,
                "back": back,
                "record": run,
            },
        )

    def replay(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Look at a received file again; ``pk`` is the call that it came with."""
        if not request.user.has_perm("store.start_run") or not request.user.has_perm("store.view_message"):
            raise PermissionDenied
        message = visibility.seen_by(request.user, models.Message.objects.select_related("connection")).filter(pk=pk).first()
        if message is None:
            raise Http404
        back = reverse("admin:store_message_change", args=[pk])
        return self._asked(request, lambda: deciding.ask_replay(message, who(request)), back)

    def _asked(self, request: HttpRequest, ask: Callable[[], models.Run], back: str) -> HttpResponse:
        """To the page of the run that was asked for, or back with the reason why there is none."""
        try:
            run = ask()
        except ExchangeError as error:
            messages.error(request, say(error.text, error.facts))
            return HttpResponseRedirect(back)
        if not request.user.has_perm("store.view_run"):
            messages.success(request, now_("It is started."))
            return HttpResponseRedirect(back)
        return HttpResponseRedirect(reverse("admin:store_run_change", args=[run.pk]))

    def _may_start(self, request: HttpRequest, pk: int) -> models.Run:
        if not request.user.has_perm("store.start_run"):
            raise PermissionDenied
        run = self.one(request, str(pk))
        if run is None:
            raise Http404
        return run


def tally(rows: QuerySet[models.RunResult]) -> tuple[dict[str, int], int, int]:
    """({outcome: records}, how many of a preview's records can be decided on, how many of those are skipped), in one query."""
    counted = rows.order_by().values_list("outcome", "skipped").annotate(n=Count("id"), marked=Count("id", filter=~Q(mark="")))
    outcomes: dict[str, int] = {}
    decidable = skipped = 0
    for outcome, off, n, marked in counted:
        outcomes[outcome] = outcomes.get(outcome, 0) + n
        decidable += marked
        skipped += marked if off else 0
    return outcomes, decidable, skipped


def over_limit(run: models.Run) -> tuple[str, str]:
    """What is asked before a run may change more than its limit, and what follows from it."""
    consequence = say(run.text, run.facts) + " " + now_("The limit stays for every later run.")
    return now_("Let this run change as much as it likes?"), consequence


class Chosen:
    """What a person looks at of a preview: ``q`` in names and ids, one outcome, one field, what is skipped or accepted."""

    def __init__(self, said: Mapping[str, str]) -> None:
        self.q = said.get("q", "").strip().replace("\0", "")
        self.outcome = said.get("outcome", "") if said.get("outcome", "") in OUTCOMES else ""
        self.field = said.get("field", "")
        self.decision = said.get("decision", "") if said.get("decision", "") in ("accepted", "skipped") else ""

    @property
    def query(self) -> str:
        said = {"q": self.q, "outcome": self.outcome, "field": self.field, "decision": self.decision}
        return urlencode({name: value for name, value in said.items() if value})

    def of(self, rows: QuerySet[models.RunResult]) -> QuerySet[models.RunResult]:
        for word in self.q.split()[:6]:
            rows = rows.filter(Q(name__holds=word) | Q(external_id__begins=word))
        if self.outcome:
            rows = rows.filter(outcome=self.outcome)
        if self.field:
            rows = rows.filter(changes__has_key=self.field)
        if self.decision:
            rows = rows.filter(skipped=self.decision == "skipped").exclude(mark="")
        return rows


def _page(rows: QuerySet[models.RunResult], said: str) -> tuple[int, int, list[models.RunResult]]:
    """(number of the page, how many there are on all of them, its rows); the first page where there is none of that number."""
    rows = rows.order_by("id").annotate(of=Window(Count("id")))
    number = max(1, int(said)) if as_id(said) and len(said) < 6 else 1
    shown = list(rows[(number - 1) * SHOWN : number * SHOWN])
    if not shown and number > 1:
        return _page(rows, "1")
    return number, shown[0].of if shown else 0, shown  # type: ignore[attr-defined]


def _hide(request: HttpRequest, row: models.RunResult) -> None:
    """Who may not see such records sees neither their names nor what was sent of them."""
    if not _may_see(request, row.kind):
        row.name, row.said, row.record_id, row.changes = "", "", None, {}


def _may_see(request: HttpRequest, kind: str) -> bool:
    model = {**CARDS, "prices": "offer"}.get(kind, kind)
    return bool(request.user.has_perm(f"store.view_{model}"))


def _results(request: HttpRequest, run: models.Run) -> dict[str, Any]:
    """What became of each record of a run that was started by hand, refused ones first."""
    if not run.args.get("each"):
        return {}
    every = visibility.results_for(request.user, run.results.all())
    counts = dict(every.values_list("outcome").annotate(n=Count("id")).order_by())
    parked_first = Case(When(outcome="parked", then=0), default=1)
    rows = list(every.order_by(parked_first, "-id")[:RESULTS_SHOWN]) if counts else []
    for row in rows:
        _hide(request, row)
        model = CARDS.get(row.kind) if row.record_id else None
        row.url = reverse(f"admin:store_{model}_change", args=[row.record_id]) if model else ""
    total = sum(counts.values())
    return {"results": rows, "results_total": total, "results_more": total - len(rows)}


def _cell(text: str) -> str:
    """Text that a spreadsheet would take for a formula is told as text."""
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


site.register(models.Run, RunAdmin)
