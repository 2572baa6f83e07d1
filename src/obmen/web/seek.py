"""One search over everything that was written down: orders and other systems' ids, the journal, calls, runs and their messages.

Records are found by an index, at any age. Texts are looked for between two days, and only in the newest ``LOOKED_AT`` rows of them, so
that a search takes as long on a million rows as on a thousand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection as db
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery, TextField
from django.db.models.functions import Cast, Coalesce
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from obmen.store import models, visibility
from obmen.web import labels
from obmen.web.asking import as_id
from obmen.web.search import spellings
from obmen.web.site import site
from obmen.web.state import veil
from obmen.web.words import say

LOOKED_AT = 5_000  # newest rows of the time that are read for a text: PostgreSQL takes 10 µs to write a row's JSON as text
SHOWN = 30  # of each sort
DAYS = 7  # where nobody says from when
WORDS = 6
CARDS = {"order": "order", "product": "product", "variant": "product", "offer": "offer", "counterparty": "counterparty"}


def within_reason(day: date) -> None:
    """Days that a zone, and a day more or less, can be reckoned with."""
    if not 1900 <= day.year <= 2200:
        raise ValidationError(gettext_lazy("Enter a valid date."))


class Asked(forms.Form):
    """What is looked for; ``since`` and ``until`` are days of the reader's zone, both included."""

    q = forms.CharField(required=False, max_length=200, strip=True)
    connection = forms.IntegerField(required=False)
    since = forms.DateField(required=False, validators=[within_reason])
    until = forms.DateField(required=False, validators=[within_reason])

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or self.cleaned_data
        since, until = said.get("since"), said.get("until")
        if since and until and until < since:
            self.add_error("until", gettext_lazy("The last day has to be after the first one."))
        return said


@dataclass(slots=True)
class Found:
    """One line of an answer."""

    text: str
    url: str
    at: datetime | None = None
    connection: str = ""
    note: str = ""
    tone: str = ""


@dataclass(slots=True)
class Part:
    """One sort of what was found. ``more``: there is more than is shown."""

    title: str
    rows: list[Found]
    more: bool = False


def urls() -> list[URLPattern]:
    return [path("seek/", site.admin_view(show), name="store_seek")]


def show(request: HttpRequest) -> HttpResponse:
    if not any(request.user.has_perm(f"store.view_{name}") for name in ("journalentry", "message", "run", "order")):
        raise PermissionDenied
    form = Asked(request.GET or None)
    until = timezone.localdate()
    offered = list(models.Connection.objects.order_by("name"))
    context: dict[str, Any] = {
        "offered": [(c.pk, c.name) for c in offered],
        "since": until - timedelta(days=DAYS - 1),
        "until": until,
        "query": request.GET.get("q", "").strip(),
    }
    if form.is_bound and form.is_valid():
        said = form.cleaned_data
        context["until"] = said["until"] or max(until, said["since"] or until)
        context["since"] = said["since"] or context["until"] - timedelta(days=DAYS - 1)
        chosen = next((c for c in offered if c.pk == said["connection"]), None)
        context["chosen"] = chosen.pk if chosen else None
        if said["q"]:
            context["parts"] = seek(request.user, said["q"], chosen, context["since"], context["until"])
    request.current_app = site.name  # type: ignore[attr-defined]
    frame = {**site.each_context(request), "title": _("Search everything"), "form": form, "looked_at": LOOKED_AT}
    return TemplateResponse(request, "obmen/seek.html", {**frame, **context})


def seek(user: Any, query: str, connection: models.Connection | None, since: date, until: date) -> list[Part]:
    """Everything that this person may see and that has every word of ``query``."""
    words = query.replace("\0", "").split()[:WORDS]
    zone = timezone.get_current_timezone()
    span = datetime.combine(since, time(), zone), datetime.combine(until + timedelta(days=1), time(), zone)
    parts: list[Part] = []
    if len(words) == 1:
        parts += _records(user, words[0].removeprefix("#"), connection)
    if user.has_perm("store.view_journalentry"):
        parts.append(_journal(user, words, connection, span))
    if user.has_perm("store.view_message"):
        parts.append(_messages(user, words, connection, span))
    if user.has_perm("store.view_run") and not visibility.is_limited(user):  # a message of a run names orders of every company
        parts.append(_runs(words, connection, span))
    return [part for part in parts if part.rows]


# --- records, by their numbers and ids -------------------------------------------------------------------------------------


def _records(user: Any, word: str, connection: models.Connection | None) -> list[Part]:
    found: list[Found] = []
    if user.has_perm("store.view_order"):
        orders = visibility.orders_for(user).filter(Q(number__begins=word) | Q(key__begins=word))
        if connection is not None:
            linked = models.Link.objects.filter(connection=connection, kind="order", record_id=OuterRef("pk"))
            orders = orders.filter(Q(source=connection) | Exists(linked))
        rows = orders.order_by("-pk").values_list("pk", "number", "date", "source__name")[: SHOWN + 1]
        found += [
            Found(_("Order %(number)s") % {"number": number}, _card("order", pk), at, source or "")
            for pk, number, at, source in rows
        ]
    if as_id(word) and user.has_perm("store.view_run"):
        for run in models.Run.objects.filter(pk=int(word)).select_related("connection"):
            if visibility.is_limited(user):
                veil([run])
            found.append(
                Found(f"{_('Run')} {run}", _card("run", run.pk), run.asked, run.connection.name, say(run.text, run.facts))
            )
    found += _linked(user, word, connection)
    return [Part(_("By number and id"), found[:SHOWN], len(found) > SHOWN)]


def _linked(user: Any, word: str, connection: models.Connection | None) -> list[Found]:
    """What another system calls by exactly this id."""
    whose = models.Connection.objects.order_by().values("pk") if connection is None else [connection.pk]
    links = models.Link.objects.filter(connection_id__in=whose, kind__in=list(CARDS), external_id=word)
    found = []
    for kind, pk, name in links.values_list("kind", "record_id", "connection__name")[:SHOWN]:
        private = kind in ("order", "counterparty") and visibility.is_limited(user)
        if not private and user.has_perm(f"store.view_{CARDS[kind]}"):
            text = _("%(kind)s that %(system)s calls %(id)s") % {"kind": labels.KINDS[kind], "system": name, "id": word}
            found.append(Found(text[:1].upper() + text[1:], _card(CARDS[kind], pk), None, name))
    return found


def _card(model: str, pk: int) -> str:
    return reverse(f"admin:store_{model}_change", args=[pk])


# --- texts, in a time ------------------------------------------------------------------------------------------------------


def _journal(user: Any, words: Sequence[str], connection: models.Connection | None, span: tuple[datetime, datetime]) -> Part:
    rows = visibility.journal_for(user, models.JournalEntry.objects.select_related("connection"))
    sentences = {action: str(sentence) for action, sentence in labels.ACTIONS.items()}
    found = _having(
        _newest(rows, "at", connection, span), words, ("who", "action"), "facts", "action", lambda word: _saying(sentences, word)
    )
    shown = [
        Found(
            labels.deed(e.action, e.facts),
            _card(CARDS[e.record_kind], e.record_id) if e.record_kind in CARDS and e.record_id else "",
            e.at, e.connection.name if e.connection else "", e.who,
        )
        for e in found[: SHOWN + 1]
    ]  # fmt: skip
    return Part(_("Journal"), shown[:SHOWN], len(shown) > SHOWN)


def _messages(user: Any, words: Sequence[str], connection: models.Connection | None, span: tuple[datetime, datetime]) -> Part:
    rows = visibility.messages_for(user, models.Message.objects.select_related("connection"))
    found = _having(_newest(rows, "at", connection, span), words, ("call", "answer", "session", "remote"))
    shown = [
        Found(
            m.call, _card("message", m.pk), m.at, m.connection.name, f"{m.status or '–'} · {m.milliseconds} ms · {m.answer}",
            "danger" if failed(m.status) else "",
        )
        for m in found[: SHOWN + 1]
    ]  # fmt: skip
    return Part(_("Traffic"), shown[:SHOWN], len(shown) > SHOWN)


def failed(status: int) -> bool:
    """0 is a call that got no answer."""
    return status >= 400 or status == 0


def _runs(words: Sequence[str], connection: models.Connection | None, span: tuple[datetime, datetime]) -> Part:
    """Runs by what they ended with, and their messages. Their sentences are kept in English and found in the reader's language too."""
    lines, ended = models.RunLine.objects.all(), models.Run.objects.exclude(text="")
    if connection is not None:
        lines, ended = lines.filter(run__connection=connection), ended.filter(connection=connection)
    lines, ended = _newest(lines, "at", None, span), _newest(ended, "ended", None, span)
    said: dict[str, str] = {}
    if not all(word.isdigit() for word in words):  # a number stands in the facts
        texts = lines.order_by().values_list("text").union(ended.order_by().values_list("text"))
        said = {text: say(text) for (text,) in texts}
    columns = ("when", "of", "whose", "how", "text", "facts")
    ended = ended.annotate(when=F("ended"), of=F("pk"), whose=F("connection__name"), how=Cast("state", TextField()))
    lines = lines.annotate(when=F("at"), of=F("run_id"), whose=F("run__connection__name"), how=Cast("level", TextField()))
    found = [
        _having(rows, words, (), "facts", "text", lambda word: _saying(said, word)).order_by().values_list(*columns)
        for rows in (ended, lines)
    ]
    shown = [
        Found(say(text, facts), _card("run", run), at, name, _("run %(id)s") % {"id": run}, labels.TONES.get(level, ""))
        for at, run, name, level, text, facts in found[0].union(found[1], all=True).order_by("-when")[: SHOWN + 1]
    ]
    return Part(_("Runs"), shown[:SHOWN], len(shown) > SHOWN)


def _saying(sentences: Mapping[str, str], word: str) -> list[str]:
    low = word.casefold()
    return [key for key, sentence in sentences.items() if low in sentence.casefold()]


def _newest(rows: Any, field: str, connection: models.Connection | None, span: tuple[datetime, datetime]) -> QuerySet[Any]:
    """The newest rows of the time: the index of moments says since when they are, and a text is looked for in these alone. By their
    moment and not by their ids: from a list of ids PostgreSQL concludes that the text is better looked for in the whole table."""
    rows = rows.filter(**{f"{field}__lt": span[1]})
    if connection is not None:
        rows = rows.filter(connection=connection)
    within = rows.select_related(None).filter(**{f"{field}__gte": span[0]})
    oldest = Subquery(within.order_by(F(field).desc()).values(field)[LOOKED_AT - 1 : LOOKED_AT])
    # This one bound alone: of two SQLite would begin at the lower one.
    found: QuerySet[Any] = rows.filter(**{f"{field}__gte": Coalesce(oldest, span[0])}).order_by(F(field).desc(), "-pk")
    return found


def _having(
    rows: QuerySet[Any],
    words: Sequence[str],
    texts: Iterable[str],
    facts: str = "",
    coded: str = "",
    codes: Any = None,
) -> QuerySet[Any]:
    """Those that have every word in some text, in the facts, or in the sentence of their code."""
    if facts:  # in the row itself: as a list of ids databases look it up anew for each row (12 minutes at 25 000 runs)
        rows = rows.alias(said=Cast(facts, TextField()))
    for word in words:
        wanted = Q()
        for field in texts:
            wanted |= Q(**{f"{field}__holds": word})
        if coded:
            wanted |= Q(**{f"{coded}__in": codes(word)})
        if facts:
            wanted |= _has_fact(word)
        rows = rows.filter(wanted)
    return rows


def _has_fact(word: str) -> Q:
    """Rows whose ``said``, their JSON, has the word. SQLite keeps letters beyond ASCII as \\uXXXX, PostgreSQL as they are."""
    ways = [word] if db.vendor == "postgresql" else [way for one in spellings(word) for way in (json.dumps(one)[1:-1], one)]
    wanted = Q()
    for way in dict.fromkeys(ways):
        wanted |= Q(said__holds=way)
    return wanted
