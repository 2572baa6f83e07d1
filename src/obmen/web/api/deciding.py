"""What is asked for by who looks at a run: its preview and what is decided on it, the run once more, a received load replayed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as now_
from ninja import Status

from obmen.core.contract import ExchangeError, NeedsOwner
from obmen.store import models, previews
from obmen.store.visibility import is_limited, seen_by
from obmen.web.api import shapes
from obmen.web.api.access import require, who
from obmen.web.api.books import Row, filtered, found
from obmen.web.api.exchange import run_shape
from obmen.web.api.operations import Id, operation, router
from obmen.web.api.paging import USUAL, Cursor, Limit, Moment, Text, page
from obmen.web.api.problems import Problem, confirmed, told
from obmen.web.asking import ask_again
from obmen.web.runs import Chosen, over_limit, tally
from obmen.work import deciding


def _run(request: HttpRequest, pk: int) -> models.Run:
    require(request, "store.view_run")
    row: models.Run = found(request, models.Run.objects.select_related("connection"), pk)
    return row


def _preview(request: HttpRequest, pk: int) -> models.Run:
    row = _run(request, pk)
    if not row.args.get("preview"):
        raise Problem("refused", now_("This run is no preview: ask for one with POST /runs/%(id)s/preview.") % {"id": pk})
    return row


def _decider(request: HttpRequest) -> None:
    """Who sees only some companies would accept what they do not see."""
    if is_limited(request.user):
        raise Problem("missing_permission", now_("Who sees only some companies cannot decide on the records of all."))


def _asked(request: HttpRequest, ask: Callable[[], models.Run]) -> Status[Any]:
    try:
        run = ask()
    except ExchangeError as error:
        raise told(error) from None
    return Status(202, run_shape(request, models.Run.objects.select_related("connection").get(pk=run.pk)))


# --- a preview and what is decided on it -----------------------------------------------------------------------------------


def _summary(request: HttpRequest, row: models.Run) -> dict[str, Any]:
    outcomes, decidable, skipped = tally(seen_by(request.user, row.results.all()))
    decided = row.facts.get("decided")
    return {
        "run": row.pk,
        "is_over": row.state in row.FINISHED,
        "outcomes": outcomes,
        "fields": dict(row.facts.get("fields", {})),
        "more": int(row.facts.get("more", 0)),
        "accepted": decidable - skipped,
        "skipped": skipped,
        "decided": {"run": None, **decided} if decided else None,
    }


@operation(
    router,
    "GET",
    "/runs/{run}/preview",
    shapes.Preview,
    scopes=("exchange.read",),
    permission="store.view_run",
    tags=["previews"],
)
def get_preview(request: HttpRequest, run: Id) -> Any:
    """What a preview found, in numbers; record by record: `GET /runs/<id>/results`."""
    return _summary(request, _preview(request, run))


@operation(
    router,
    "POST",
    "/runs/{run}/decisions",
    shapes.Made,
    scopes=("exchange.run",),
    permission="store.start_run",
    also=(409,),
    tags=["previews"],
)
def decide_on_preview(request: HttpRequest, run: Id, decision: shapes.Decision) -> Any:
    """Skip or accept records of a preview: those with these ids, or all that fit. All are accepted until somebody says otherwise; again
    changes nothing."""
    row = _preview(request, run)
    _decider(request)
    if "decided" in row.facts:
        raise Problem("already_decided")
    if row.state != row.State.DONE:
        raise told(NeedsOwner(deciding.NOT_DONE))
    said = {name: value for name, value in decision.dict().items() if name in ("q", "field") and value}
    rows = filtered(Chosen(said).of(row.results.all()), outcome=decision.outcome, pk__in=decision.ids)
    changed = previews.skip(row, rows, decision.skip)
    return _summary(request, row) | {"changed": changed}


@operation(
    router,
    "POST",
    "/runs/{run}/carry-out",
    shapes.Run,
    scopes=("exchange.run",),
    permission="store.start_run",
    ok=202,
    also=(409,),
    tags=["previews"],
)
def carry_out_preview(request: HttpRequest, run: Id, carry_out: shapes.CarryOut) -> Any:
    """Do what the preview showed, without what was skipped; a record that has changed since is not taken. Asking again gives the same
    run, also when that one is over."""
    row = _preview(request, run)
    _decider(request)
    if carry_out.accepted is not None and "decided" not in row.facts:
        _outcomes, decidable, skipped = tally(row.results.all())
        if decidable - skipped != carry_out.accepted:
            raise Problem("other_count", now_("It is %(count)s.") % {"count": decidable - skipped})
    return _asked(request, lambda: deciding.ask_decided(row, who(request)))


@operation(
    router,
    "POST",
    "/runs/{run}/preview",
    shapes.Run,
    scopes=("exchange.run",),
    permission="store.start_run",
    ok=202,
    tags=["previews"],
)
def preview_run(request: HttpRequest, run: Id) -> Any:
    """Look at what a run would do if it were done now."""
    row = _run(request, run)
    return _asked(request, lambda: deciding.ask_preview(row, who(request)))


# --- once more -------------------------------------------------------------------------------------------------------------


@operation(
    router,
    "POST",
    "/runs/{run}/again",
    shapes.Run,
    scopes=("exchange.run",),
    permission="store.start_run",
    ok=202,
    tags=["runs"],
)
def repeat_run(request: HttpRequest, run: Id) -> Any:
    """The same run once more; while it waits, asking again gives that one."""
    row = _run(request, run)
    return _asked(request, lambda: ask_again(row, who(request)))


@operation(
    router,
    "POST",
    "/runs/{run}/allow",
    shapes.Run,
    scopes=("exchange.run",),
    permission="store.start_run",
    ok=202,
    also=(409,),
    tags=["runs"],
)
def allow_run(request: HttpRequest, run: Id, allow: shapes.Confirm) -> Any:
    """Do a run that its limit of changes has stopped, this once over the limit. Refused as soon as a later run has done the same."""
    row = _run(request, run)
    if row.state != row.State.NEEDS_OWNER or "guard" not in row.facts:
        raise Problem("refused", now_(deciding.NOT_STOPPED))
    confirmed(allow.confirm, *over_limit(row))
    return _asked(request, lambda: deciding.ask_allowed(row, who(request)))


# --- traffic ---------------------------------------------------------------------------------------------------------------


@operation(
    router,
    "GET",
    "/messages",
    shapes.Page[shapes.Message],
    scopes=("journal.read",),
    permission="store.view_message",
    tags=["journal"],
)
def list_messages(
    request: HttpRequest,
    connection: Row = None,
    status: Row = None,
    session: Text | None = None,
    since: Moment | None = None,
    limit: Limit = USUAL,
    cursor: Cursor = None,
) -> Any:
    """Calls between the hub and the other systems, secrets masked, the newest first. Nobody who sees only some companies sees any."""
    rows = seen_by(request.user, models.Message.objects.select_related("connection"))
    rows = filtered(rows, connection=connection, status=status, session=session, at__gte=since)
    items, following = page(rows, ("-id",), cursor, limit)
    plain = ("id", "at", "direction", "call", "status", "answer", "milliseconds", "remote")
    shown = [{**{n: getattr(m, n) for n in plain}, "connection": shapes.named(m.connection)} for m in items]
    return {"items": shown, "next": following}


@operation(
    router,
    "POST",
    "/messages/{message}/replay",
    shapes.Run,
    scopes=("exchange.run",),
    permission="store.start_run",
    ok=202,
    tags=["previews"],
)
def replay_message(request: HttpRequest, message: Id) -> Any:
    """Look at what a received load would do if it came now, from the files that are kept of it."""
    require(request, "store.view_message")
    row = found(request, models.Message.objects.select_related("connection"), message)
    return _asked(request, lambda: deciding.ask_replay(row, who(request)))
