"""Connections, runs, parked records, the overview and the journal over the API."""

from __future__ import annotations

import time as clock
from datetime import time
from threading import BoundedSemaphore
from typing import Annotated, Any, Literal

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as now_
from ninja import Path, Query, Status

from obmen import __version__
from obmen.core.contract import ExchangeError
from obmen.core.records import Subject, plain
from obmen.core.settings import describe
from obmen.registry import connectors
from obmen.store import bookmarks, journal, mappings, models, picks
from obmen.store import connections as setup
from obmen.store.visibility import companies, is_limited, seen_by
from obmen.web import labels, parked_groups
from obmen.web.api import shapes
from obmen.web.api.access import may, require, who
from obmen.web.api.books import Row, Search, filtered, found, searched
from obmen.web.api.operations import Id, operation, router
from obmen.web.api.paging import USUAL, Cursor, Limit, Moment, Text, page
from obmen.web.api.problems import Problem, confirmed, storable, told
from obmen.web.asking import ask_by_hand, ask_retry, resume
from obmen.web.connection_card import Mark, marks, rewind, rewinding
from obmen.web.connector_tabs import Working
from obmen.web.runs import CARDS, Chosen
from obmen.web.state import conditions, veil, with_facts
from obmen.web.words import say, without_facts
from obmen.work import jobs
from obmen.work.exchange import GOODS_KINDS

LONGEST = 60  # seconds that a call may wait for the end of a run
LOOK = 0.5  # seconds between looks
waiters = BoundedSemaphore(6)  # of the threads that answer the pages, too
StreamName = Annotated[Text, Path()]
Kind = Annotated[Text | None, Query(description="product, order, …")]
Direction = Literal["in", "out"]


def _connection(request: HttpRequest, pk: int) -> models.Connection:
    row: models.Connection = found(request, models.Connection.objects.all(), pk)
    return row


# --- who asks --------------------------------------------------------------------------------------------------------------


@operation(router, "GET", "/me", shapes.Me, tags=["me"])
def get_me(request: HttpRequest) -> Any:
    """Whose token this is, and what it may. Any token may ask."""
    token: models.ApiToken = request.auth  # type: ignore[attr-defined]
    return {
        "login": token.user.get_username(),
        "token": token.name,
        "scopes": token.scopes,
        "permissions": sorted(p for p in token.user.get_all_permissions() if p.startswith("store.")),
        "companies": list(companies(token.user)),
        "expires": token.expires,
        "version": __version__,
    }


# --- overview --------------------------------------------------------------------------------------------------------------


def _condition(one: Any) -> dict[str, Any]:
    return {
        **shapes.connection(one.connection),
        "tone": one.tone,
        "state": one.words,
        "detail": one.detail,
        "last_run": one.last.pk if one.last else None,
        "last_ended": one.last.ended if one.last else None,
        "next_run": one.next_run,
        "parked": one.parked,
        "waiting": one.waiting,
    }


def _conditions(request: HttpRequest, rows: QuerySet[models.Connection]) -> list[dict[str, Any]]:
    seen = conditions(with_facts(rows, request.user), silence=True, user=request.user)
    return [_condition(one) for one in seen]


@operation(
    router, "GET", "/overview", shapes.Overview, scopes=("exchange.read",), permission="store.view_connection", tags=["exchange"]
)
def get_overview(request: HttpRequest) -> Any:
    """How every connection is doing, in words."""
    rows = _conditions(request, models.Connection.objects.all())
    return {
        "connections": rows,
        "trouble": sum(row["tone"] == "danger" for row in rows),
        "parked": sum(row["parked"] for row in rows),
        "waiting": sum(row["waiting"] for row in rows),
        "running": models.Run.objects.filter(state="running").count(),
    }


# --- connections -----------------------------------------------------------------------------------------------------------


@operation(
    router,
    "GET",
    "/connections",
    shapes.Page[shapes.Connection],
    scopes=("exchange.read", "settings.read"),
    permission="store.view_connection",
    tags=["connections"],
)
def list_connections(
    request: HttpRequest,
    connector: Text | None = None,
    enabled: bool | None = None,
    q: Search = None,
    limit: Limit = USUAL,
    cursor: Cursor = None,
) -> Any:
    """Connections, the oldest first; how they are doing says `GET /overview`."""
    rows = filtered(models.Connection.objects.all(), connector=connector, enabled=enabled)
    items, following = page(searched(request, rows, q), ("id",), cursor, limit)
    return {"items": [shapes.connection(row) for row in items], "next": following}


@operation(
    router,
    "GET",
    "/connections/{connection}",
    shapes.Condition,
    scopes=("exchange.read", "settings.read"),
    permission="store.view_connection",
    tags=["connections"],
)
def get_connection(request: HttpRequest, connection: Id) -> Any:
    """One connection and how it is doing."""
    _connection(request, connection)
    return _conditions(request, models.Connection.objects.filter(pk=connection))[0]


@operation(
    router,
    "PUT",
    "/connections/{connection}/switch",
    shapes.Connection,
    scopes=("settings.write",),
    permission="store.change_connection",
    tags=["connections"],
)
def switch_connection(request: HttpRequest, connection: Id, switch: shapes.Switch) -> Any:
    """Switch a connection on or off. Off: nothing is exchanged, and calls of its system are refused."""
    row = _connection(request, connection)
    setup.switch(row, switch.enabled, who(request))
    return shapes.connection(_connection(request, connection))


@operation(
    router,
    "PUT",
    "/connections/{connection}/pause",
    shapes.Connection,
    scopes=("settings.write",),
    permission="store.change_connection",
    tags=["connections"],
)
def pause_connection(request: HttpRequest, connection: Id, pause: shapes.Pause) -> Any:
    """Nothing begins by itself until then; what a person or a program starts still runs."""
    row = _connection(request, connection)
    try:
        if pause.until is None:
            resume(row, who(request))
        else:
            setup.pause(row, pause.until, pause.reason, who(request))
    except ExchangeError as error:
        raise told(error) from None
    return shapes.connection(_connection(request, connection))


@operation(
    router,
    "POST",
    "/connections/{connection}/check",
    shapes.Checked,
    scopes=("exchange.run",),
    permission="store.start_run",
    also=(502,),
    tags=["connections"],
)
def check_connection(request: HttpRequest, connection: Id) -> Any:
    """Reach the other system with what is set now, and say as whom. Calls out: it may take a minute."""
    require(request, "store.view_connection")
    row = _connection(request, connection)
    try:
        setup.connector_of(row)
    except ExchangeError as error:
        raise told(error) from None
    try:
        return {"connected_as": now_(setup.check(row))}
    except ExchangeError as error:
        raise told(error, calling_out=True) from None


# --- settings --------------------------------------------------------------------------------------------------------------


@operation(
    router,
    "GET",
    "/connections/{connection}/settings",
    shapes.Settings,
    scopes=("settings.read",),
    permission="store.view_connection",
    tags=["settings"],
)
def get_settings(request: HttpRequest, connection: Id) -> Any:
    """The settings as they work now. Secrets never come out: `is_set` says whether there is one."""
    row = _connection(request, connection)
    try:
        return _settings(row)
    except ExchangeError as error:
        raise told(error) from None


def _settings(row: models.Connection) -> dict[str, Any]:
    current = setup.settings_of(row)
    about = describe(type(current))
    return {
        "profile": row.profile,
        "settings": [
            {
                "name": name,
                "label": now_(one.label) if one.label else name,
                "help": now_(one.help) if one.help else "",
                "kind": one.kind,
                "value": None if one.kind == "secret" else plain(getattr(current, name)),
                "is_set": bool(getattr(current, name)),
                "choices": [{"key": value, "name": now_(label) if label else value} for value, label in one.choices],
            }
            for name, one in about.items()
        ],
    }


@operation(
    router,
    "PATCH",
    "/connections/{connection}/settings",
    shapes.Changed,
    scopes=("settings.write",),
    permission="store.change_connection",
    tags=["settings"],
)
def change_settings(request: HttpRequest, connection: Id, change: shapes.SettingsChange) -> Any:
    """Change settings by name: all of them, or with the first wrong one none. After a change of access call `…/check`."""
    row = _connection(request, connection)
    storable(change.settings)
    try:
        return {"changed": list(setup.update(row, change.settings, who(request)))}
    except ExchangeError as error:
        raise told(error) from None


# --- streams, schedules, bookmarks -----------------------------------------------------------------------------------------


@operation(
    router,
    "GET",
    "/connections/{connection}/streams",
    list[shapes.Stream],
    scopes=("settings.read",),
    permission="store.view_connection",
    tags=["settings"],
)
def list_streams(request: HttpRequest, connection: Id) -> Any:
    """The streams of a connection: on or off, when they run by themselves, and where they go on."""
    row = _connection(request, connection)
    with Working(row) as working:
        return [_stream(s, working) for s in row.streams.order_by("stream")]


def _stream(row: models.StreamSetting, working: Working) -> dict[str, Any]:
    quiet = {name: getattr(row, name) for name in ("quiet_from", "quiet_to")}
    return {
        **{name: getattr(row, name) for name in ("stream", "enabled", "schedule", "next_run", "guard")},
        **{name: at.strftime("%H:%M") if at else None for name, at in quiet.items()},
        "title": labels.stream(row.stream),
        "bookmark": working.bookmark(row.stream) if row.stream in working.picking else None,
    }


def _one_stream(request: HttpRequest, connection: int, stream: str) -> models.StreamSetting:
    row = models.StreamSetting.objects.select_related("connection").filter(connection=connection, stream=stream).first()
    if row is None:
        raise Problem("not_found")
    return row


@operation(
    router,
    "PATCH",
    "/connections/{connection}/streams/{stream}",
    shapes.Stream,
    scopes=("settings.write",),
    permission="store.change_streamsetting",
    tags=["settings"],
)
def change_stream(request: HttpRequest, connection: Id, stream: StreamName, change: shapes.StreamChange) -> Any:
    """Switch a stream, plan it, give it quiet hours and a limit of changes. What is not named stays."""
    row = _one_stream(request, connection, stream)
    said = change.dict(exclude_unset=True)
    values = {n: getattr(row, n) for n in ("enabled", "schedule", "quiet_from", "quiet_to")}
    values |= {n: v for n, v in said.items() if v is not None and n in ("enabled", "schedule")}
    values |= {n: time.fromisoformat(v) if v else None for n, v in said.items() if n.startswith("quiet_")}
    try:
        with transaction.atomic():
            setup.set_stream(row.connection, stream, **values, who=who(request))
            if "guard" in said:
                setup.set_guard(row.connection, stream, said["guard"], who(request))
    except ExchangeError as error:
        raise told(error) from None
    with Working(row.connection) as working:
        return _stream(_one_stream(request, connection, stream), working)


def _mark(row: models.StreamSetting) -> Mark:
    known = marks(row.connection).get(row.stream)
    if known is None:
        try:
            setup.connector_of(row.connection).close()
        except ExchangeError as error:
            raise told(error) from None
        raise Problem("refused", now_(bookmarks.NONE))
    return known


@operation(
    router,
    "GET",
    "/connections/{connection}/streams/{stream}/bookmark",
    shapes.Bookmark,
    scopes=("settings.read",),
    permission="store.view_connection",
    tags=["settings"],
)
def get_bookmark(request: HttpRequest, connection: Id, stream: StreamName) -> Any:
    """Where a stream goes on with its next run, and since when it stands there."""
    known = _mark(_one_stream(request, connection, stream))
    return {"stream": known.stream, "bookmark": known.words, "changed": known.changed}


@operation(
    router,
    "PUT",
    "/connections/{connection}/streams/{stream}/bookmark",
    shapes.Stream,
    scopes=("settings.write",),
    permission="store.change_connection",
    also=(409,),
    tags=["settings"],
)
def set_bookmark(request: HttpRequest, connection: Id, stream: StreamName, change: shapes.BookmarkChange) -> Any:
    """Where the stream goes on with its next run: from `bookmark`, or from `moment`. Back: what came since then is read again, which
    doubles nothing; ahead: what lies between is never read. One of the two has to be said, and `confirm`."""
    row = _one_stream(request, connection, stream)
    words = change.bookmark.strip()
    if bool(words) == (change.moment is not None):
        raise Problem("invalid", errors=[("body.bookmark", now_("Say a bookmark or a moment, not both."))])
    try:
        after = rewind(row.connection, stream, words, change.moment)
        confirmed(change.confirm, *rewinding(_mark(row), after or f"{change.moment:%Y-%m-%d %H:%M %Z}"))
        rewind(row.connection, stream, words, change.moment, who(request))
    except ExchangeError as error:
        raise told(error) from None
    with Working(row.connection) as working:
        return _stream(row, working)


# --- mappings --------------------------------------------------------------------------------------------------------------


@operation(
    router,
    "GET",
    "/connections/{connection}/mappings",
    shapes.Page[shapes.Mapping],
    scopes=("settings.read",),
    permission="store.view_mapping",
    tags=["mappings"],
)
def list_mappings(
    request: HttpRequest,
    connection: Id,
    subject: Text | None = None,
    decided: bool | None = None,
    limit: Limit = USUAL,
    cursor: Cursor = None,
) -> Any:
    """Their values and ours. `decided=false`: what came from traffic and nobody has decided on."""
    rows = _connection(request, connection).mappings.all()
    rows = filtered(rows, subject=subject, reported=None if decided is None else not decided)
    items, following = page(rows, ("id",), cursor, limit)
    return {"items": [shapes.mapping(row) for row in items], "next": following}


@operation(
    router,
    "PATCH",
    "/connections/{connection}/mappings/{subject}",
    shapes.Mapped,
    scopes=("settings.write",),
    permission="store.change_mapping",
    tags=["mappings"],
)
def change_mappings(request: HttpRequest, connection: Id, subject: Annotated[Text, Path()], change: shapes.MappingsChange) -> Any:
    """Say which value of ours one of theirs is; rows that are not named stay. Records that waited for these values are tried again when
    the person of the token may do that."""
    row = _connection(request, connection)
    kind = connectors().get(row.connector)
    if subject not in set(Subject):
        raise Problem("not_found")
    wanted = {r.ours for r in change.rows if r.ours}
    have = set(models.Reference.objects.filter(subject=subject, key__in=wanted, deleted=False).values_list("key", flat=True))
    wrong = [
        (f"body.rows.{i}.ours", now_("The books have no value “%(value)s” of this subject.") % {"value": r.ours})
        for i, r in enumerate(change.rows)
        if r.ours and r.ours not in have
    ]
    if wrong:
        raise Problem("invalid", errors=wrong)
    ways = {t.direction for t in (kind.tables if kind else ()) if t.subject == subject}
    direction = next((way for way in ("each", "both", "in") if way in ways), "both")
    if ways == {"out"}:
        raise Problem("refused", now_("This table is asked by our values: change it on the page of the connection."))
    with transaction.atomic():
        changed = [
            theirs
            for taken in (True, False)
            if (values := {r.theirs: r.ours for r in change.rows if r.taken is taken})
            for theirs in mappings.decide(row, subject, direction, values, who(request), taken=taken)
        ]
    freed = mappings.freed(row, subject) if changed and may(request, "exchange.run", "store.retry_parked") else []
    runs = ask_retry(models.Parked.objects.filter(pk__in=freed), who(request)) if freed else []
    return {"changed": changed, "retried": [run.pk for run in runs]}


# --- runs ------------------------------------------------------------------------------------------------------------------


def run_shape(request: HttpRequest, row: models.Run) -> dict[str, Any]:
    if is_limited(request.user):
        veil([row])
    plain_ = ("trigger", "asked_by", "state", "percent", "asked", "due", "started", "ended", "attempts")
    return {
        "id": row.pk,
        "connection": shapes.named(row.connection),
        "streams": [s for s in row.streams.split(",") if s],
        "preview": bool(row.args.get("preview")),
        **{name: getattr(row, name) for name in plain_},
        "is_over": _is_over(row),
        "counts": {name: n for name, n in row.counts.items() if isinstance(n, int)},
        "message": say(row.text, row.facts),
    }


def _is_over(row: models.Run) -> bool:
    return row.state not in ("waiting", "running")


@operation(
    router,
    "POST",
    "/connections/{connection}/runs",
    shapes.Run,
    scopes=("exchange.run",),
    permission="store.start_run",
    ok=202,
    also=(409,),
    tags=["runs"],
)
def start_run(request: HttpRequest, response: HttpResponse, connection: Id, start: shapes.RunStart) -> Any:
    """Ask for a run. Asking for the same while it waits gives the same run, so that a repeated call starts nothing twice. Its end:
    `GET /runs/<id>?wait=30`."""
    require(request, "store.view_connection")
    row = _connection(request, connection)
    on = set(row.streams.filter(enabled=True).values_list("stream", flat=True))
    if not row.enabled:
        raise Problem("switched_off", now_("The connection is switched off: nothing is exchanged until it is switched on."))
    with Working(row) as working:
        if working.connector is None:
            try:
                setup.connector_of(row)
            except ExchangeError as error:
                raise told(error) from None
        every = working.every
    goods = _goods(request, start)
    fit = (
        working.picking
        if start.only or start.since
        else [s for s in every if not goods or working.kinds_out.get(s) in GOODS_KINDS]
    )
    wanted = list(dict.fromkeys(start.streams)) if start.streams is not None else [s for s in fit if s in on]
    known = set(row.streams.values_list("stream", flat=True))
    if unknown := [s for s in wanted if s not in known]:
        raise Problem(
            "invalid", errors=[("body.streams", now_("This connection has no stream “%(name)s”.") % {"name": s}) for s in unknown]
        )
    if by_call := [s for s in wanted if s not in every]:
        said = now_("These streams begin when the other system calls: %(names)s.") % {"names": ", ".join(by_call)}
        raise Problem("refused", said)
    if off := [s for s in wanted if s not in on]:
        raise Problem("switched_off", now_("These streams are switched off: %(names)s.") % {"names": ", ".join(off)})
    if not wanted:
        raise Problem("switched_off", now_("There is nothing to start: the connection or all of its streams are switched off."))
    if problem := _unfit(start, working, wanted):
        raise problem
    args: dict[str, Any] = ({"preview": True} if start.preview else {}) | ({"only": start.only} if start.only else {})
    args |= ({"goods": goods} if goods else {}) | ({"each": True} if start.each else {})
    try:
        run = ask_by_hand(row, working.connector, wanted, who(request), since=start.since, go_on=start.go_on, **args)
    except ExchangeError as error:
        raise told(error) from None
    response["Location"] = f"/api/v1/runs/{run.pk}"
    return Status(202, run_shape(request, run))


def _goods(request: HttpRequest, start: shapes.RunStart) -> list[int]:
    """Ids of the products that are picked, each of which has to be there."""
    if start.goods is None and start.articles is None:
        return []
    require(request, "store.view_product")
    asked, wrong = start.goods or [], []
    here = set(models.Product.objects.filter(pk__in=asked, deleted=False).values_list("pk", flat=True))
    wrong += [(f"body.goods.{i}", now_("There is no such product.")) for i, pk in enumerate(asked) if pk not in here]
    named = picks.look_up(start.articles or [])
    for i, value in enumerate(start.articles or []):
        if value.strip() in named.several:
            wrong.append(
                (f"body.articles.{i}", now_("Several products are called “%(value)s”: say which by `goods`.") % {"value": value})
            )
        elif value.strip() not in named.found:
            wrong.append((f"body.articles.{i}", now_("No product is called “%(value)s”.") % {"value": value}))
    if wrong:
        raise Problem("invalid", errors=wrong)
    return list(dict.fromkeys([*asked, *named.found.values()]))


def _unfit(start: shapes.RunStart, working: Working, wanted: list[str]) -> Problem | None:
    """What of these wishes does not go together, or not with these streams."""
    picked = start.goods is not None or start.articles is not None
    if sum((start.only is not None, start.since is not None, picked)) > 1:
        return Problem("refused", now_("Say only one of these: only, since, goods or articles."))
    if start.go_on and start.since is None:
        return Problem("invalid", errors=[("body.go_on", now_("Say the moment in “since”."))])
    others = [s for s in wanted if picked and working.kinds_out.get(s) not in GOODS_KINDS]
    if others:
        return Problem("refused", now_("These streams send no goods: %(names)s.") % {"names": ", ".join(others)})
    others = [s for s in wanted if (start.since or start.only) and s not in working.picking]
    if others:
        said = now_("These streams cannot be read from a moment or by ids: %(names)s. Name the streams that can.")
        return Problem("refused", said % {"names": ", ".join(others)})
    return None


@operation(router, "GET", "/runs", shapes.Page[shapes.Run], scopes=("exchange.read",), permission="store.view_run", tags=["runs"])
def list_runs(
    request: HttpRequest,
    connection: Row = None,
    state: Literal["waiting", "running", "done", "failed", "needs_owner", "postponed", "stopped"] | None = None,
    trigger: Text | None = None,
    asked_since: Moment | None = None,
    limit: Limit = USUAL,
    cursor: Cursor = None,
) -> Any:
    """Runs, the newest first."""
    rows = filtered(
        models.Run.objects.select_related("connection"),
        connection=connection,
        state=state,
        trigger=trigger,
        asked__gte=asked_since,
    )
    items, following = page(rows, ("-id",), cursor, limit)
    return {"items": [run_shape(request, row) for row in items], "next": following}


@operation(router, "GET", "/runs/{run}", shapes.Run, scopes=("exchange.read",), permission="store.view_run", tags=["runs"])
def get_run(
    request: HttpRequest,
    run: Id,
    wait: Annotated[int, Query(ge=0, le=LONGEST, description="Seconds to wait for its end")] = 0,
) -> Any:
    """One run. With `wait` the answer comes when it is over, or after so many seconds, or at once when too many wait already: look at
    `is_over`, and ask again while it is false."""
    rows = models.Run.objects.select_related("connection")
    row: models.Run = found(request, rows, run)
    if wait and not _is_over(row) and waiters.acquire(blocking=False):
        try:
            until = clock.monotonic() + wait
            while not _is_over(row) and (left := until - clock.monotonic()) > 0:
                clock.sleep(min(LOOK, left))
                row = found(request, rows, run)
        finally:
            waiters.release()
    return run_shape(request, row)


@operation(
    router,
    "GET",
    "/runs/{run}/lines",
    shapes.Page[shapes.Line],
    scopes=("exchange.read",),
    permission="store.view_run",
    tags=["runs"],
)
def list_lines(request: HttpRequest, run: Id, limit: Limit = USUAL, cursor: Cursor = None) -> Any:
    """What a run said, in its order."""
    rows = seen_by(request.user, found(request, models.Run.objects.all(), run).lines.all())
    items, following = page(rows, ("id",), cursor, limit)
    lines = [{"id": x.pk, "at": x.at, "level": x.level, "message": say(x.text, x.facts), "count": x.count} for x in items]
    return {"items": lines, "next": following}


@operation(
    router,
    "GET",
    "/runs/{run}/results",
    shapes.Page[shapes.Result],
    scopes=("exchange.read",),
    permission="store.view_run",
    tags=["runs"],
)
def list_results(
    request: HttpRequest,
    run: Id,
    outcome: Text | None = None,
    kind: Kind = None,
    q: Annotated[Text | None, Query(description="In names and ids")] = None,
    field: Annotated[Text | None, Query(description="Of a preview: only those that change this field")] = None,
    decision: Literal["accepted", "skipped"] | None = None,
    limit: Limit = USUAL,
    cursor: Cursor = None,
) -> Any:
    """What became of each record of a run that was started by hand, or would become of it by a preview. Names and contents of records
    that the person of the token may not see are empty."""
    rows = seen_by(request.user, found(request, models.Run.objects.all(), run).results.all())
    rows = Chosen({"q": q or "", "field": field or "", "decision": decision or ""}).of(rows)
    items, following = page(filtered(rows, outcome=outcome, kind=kind), ("id",), cursor, limit)
    return {"items": [_result(request, row) for row in items], "next": following}


def _result(request: HttpRequest, row: models.RunResult) -> dict[str, Any]:
    model = {**CARDS, "prices": "offer"}.get(row.kind, row.kind)
    seen = request.user.has_perm(f"store.view_{model}")
    return {
        "id": row.pk,
        "direction": row.direction,
        "stream": row.stream,
        "kind": row.kind,
        "record_id": row.record_id if seen else None,
        "their_id": row.external_id,
        "name": row.name if seen else "",
        "outcome": row.outcome,
        "said": row.said if seen else "",
        "changes": row.changes if seen else None,
        "decidable": bool(row.mark),
        "skipped": row.skipped,
        "message": say(row.text, row.facts),
    }


@operation(
    router,
    "POST",
    "/runs/{run}/stop",
    shapes.Run,
    scopes=("exchange.run",),
    permission="store.start_run",
    also=(409,),
    tags=["runs"],
)
def stop_run(request: HttpRequest, run: Id) -> Any:
    """A waiting run stops at once, a running one before its next page; what is settled stays."""
    require(request, "store.view_run")
    rows = models.Run.objects.select_related("connection")
    row: models.Run = found(request, rows, run)
    if not jobs.ask_stop(row.pk):
        raise Problem("already_over")
    journal.note(row.connection, "run.stop_asked", who(request), run=row.pk)
    return run_shape(request, found(request, rows, run))


# --- parked ----------------------------------------------------------------------------------------------------------------


def _parked(row: models.Parked) -> dict[str, Any]:
    return {
        "id": row.pk,
        "connection": shapes.named(row.connection),
        "kind": row.kind,
        "direction": row.direction,
        "their_id": row.external_id,
        "name": str(row.facts.get("name", "")),
        "reason": say(row.text, row.facts),
        "code": row.text,
        "where": row.where,
        "waits_for": f"{row.waiting_kind}:{row.waiting_id}" if row.waiting_kind else "",
        "tries": row.tries,
        "parked": row.first_at,
        "last_tried": row.last_at,
    }


def _every_parked(request: HttpRequest) -> QuerySet[models.Parked]:
    return seen_by(request.user, models.Parked.objects.select_related("connection").defer("payload"))


@operation(
    router,
    "GET",
    "/parked",
    shapes.Page[shapes.Parked],
    scopes=("exchange.read",),
    permission="store.view_parked",
    tags=["parked"],
)
def list_parked(
    request: HttpRequest,
    connection: Row = None,
    kind: Kind = None,
    direction: Direction | None = None,
    code: Annotated[shapes.Long | None, Query(description="As groups say it")] = None,
    waits_for: Annotated[Text | None, Query(description="As groups say it")] = None,
    parked_before: Moment | None = None,
    q: Search = None,
    limit: Limit = USUAL,
    cursor: Cursor = None,
) -> Any:
    """Records that were set aside, the newest first."""
    rows = filtered(
        _every_parked(request), connection=connection, kind=kind, direction=direction, text=code, first_at__lt=parked_before
    )
    items, following = page(searched(request, _waiting(rows, waits_for), q), ("-id",), cursor, limit)
    return {"items": [_parked(row) for row in items], "next": following}


def _waiting(rows: QuerySet[models.Parked], for_: str | None) -> QuerySet[models.Parked]:
    kind, _colon, ident = (for_ or "").partition(":")
    return rows.filter(waiting_kind=kind, waiting_id=ident) if for_ else rows


@operation(
    router,
    "GET",
    "/parked/groups",
    list[shapes.ParkedGroup],
    scopes=("exchange.read",),
    permission="store.view_parked",
    tags=["parked"],
)
def list_parked_groups(request: HttpRequest) -> Any:
    """Parked records by connection, kind and reason, the biggest group first, each with the one remedy for all of them; 500 groups at
    most."""
    shown, _count = parked_groups.groups(parked_groups.counted(seen_by(request.user, models.Parked.objects.all())), 500)
    return [
        {
            "connection": shapes.named(group.connection),
            "kind": group.kind,
            "direction": group.direction,
            "code": group.sample.text,
            "reason": without_facts(group.sample.text),
            "count": group.count,
            "oldest": group.oldest,
            "waits_for": f"{group.waiting_kind}:{group.waiting_id}" if group.waiting_id else "",
            "remedy": group.remedy,
            "subject": group.subject,
            "value": group.value,
            "value_name": group.name,
            "suggestion": next((code for label, code in group.choices if label == group.suggestion), ""),
        }
        for group in shown
    ]


@operation(
    router,
    "POST",
    "/parked/retry",
    shapes.Retried,
    scopes=("exchange.run",),
    permission="store.retry_parked",
    ok=202,
    also=(409,),
    tags=["parked"],
)
def retry_parked(request: HttpRequest, retry: shapes.Retry) -> Any:
    """Put all records through again that fit, one run for each connection; nothing said means all. What still cannot go through stays
    parked. With `count` nothing is tried when it is another number by now."""
    require(request, "store.view_parked")
    rows = filtered(
        _every_parked(request),
        connection=retry.connection,
        kind=retry.kind,
        direction=retry.direction,
        text=retry.code,
        pk__in=retry.ids,
    )
    chosen = list(_waiting(rows, retry.waits_for).order_by("id"))
    if retry.count is not None and retry.count != len(chosen):
        raise Problem("other_count", now_("It is %(count)s.") % {"count": len(chosen)})
    runs = ask_retry(chosen, who(request)) if chosen else []
    return Status(202, {"count": len(chosen), "runs": [run.pk for run in runs]})


@operation(
    router, "GET", "/parked/{parked}", shapes.Parked, scopes=("exchange.read",), permission="store.view_parked", tags=["parked"]
)
def get_parked(request: HttpRequest, parked: Id) -> Any:
    """One parked record and why it waits."""
    return _parked(found(request, _every_parked(request), parked))


@operation(
    router,
    "GET",
    "/parked/{parked}/raw",
    None,
    scopes=("exchange.read",),
    permission="store.view_parked",
    tags=["parked"],
    openapi_extra={
        "responses": {
            200: {"description": "As it came", "content": {"application/octet-stream": {"schema": {"type": "string"}}}},
        }
    },
)
def get_parked_raw(request: HttpRequest, parked: Id) -> Any:
    """The untouched input of a parked record, as it came."""
    row = found(request, models.Parked.objects.all(), parked)
    return HttpResponse(bytes(row.payload), content_type="application/octet-stream")


@operation(
    router,
    "POST",
    "/parked/{parked}/retry",
    shapes.Retried,
    scopes=("exchange.run",),
    permission="store.retry_parked",
    ok=202,
    tags=["parked"],
)
def retry_one_parked(request: HttpRequest, parked: Id) -> Any:
    """Put one record through again from its untouched input."""
    require(request, "store.view_parked")
    runs = ask_retry([found(request, _every_parked(request), parked)], who(request))
    return Status(202, {"count": 1, "runs": [run.pk for run in runs]})


# --- journal ---------------------------------------------------------------------------------------------------------------


@operation(
    router,
    "GET",
    "/journal",
    shapes.Page[shapes.JournalEntry],
    scopes=("journal.read",),
    permission="store.view_journalentry",
    tags=["journal"],
)
def list_journal(
    request: HttpRequest,
    connection: Row = None,
    action: Text | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    record_kind: Text | None = None,
    record_id: Row = None,
    limit: Limit = USUAL,
    cursor: Cursor = None,
) -> Any:
    """What was done, when, by whom; the newest first."""
    rows = seen_by(request.user, models.JournalEntry.objects.select_related("connection"))
    rows = filtered(
        rows, connection=connection, action=action, at__gte=since, at__lt=until, record_kind=record_kind, record_id=record_id
    )
    items, following = page(rows, ("-id",), cursor, limit)
    return {"items": [_entry(row) for row in items], "next": following}


def _entry(row: models.JournalEntry) -> dict[str, Any]:
    return {
        "id": row.pk,
        "at": row.at,
        "who": row.who,
        "connection": shapes.named(row.connection),
        "action": row.action,
        "text": labels.deed(row.action, row.facts),
        "record_kind": row.record_kind,
        "record_id": row.record_id,
    }
