"""One remedy for parked records over the API: a value is mapped and frees all that waited for it; two cards fit and one is meant."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as now_
from ninja import Status

from obmen.core.contract import ExchangeError
from obmen.store import joining, models
from obmen.store.visibility import seen_by
from obmen.web import candidates, parked_groups
from obmen.web.api import shapes
from obmen.web.api.access import require, who
from obmen.web.api.books import found
from obmen.web.api.operations import Id, operation, router
from obmen.web.api.problems import Problem, confirmed, told
from obmen.web.asking import ask_retry
from obmen.web.parked import joining_anew


@operation(
    router,
    "POST",
    "/parked/map",
    shapes.ParkedMapped,
    scopes=("settings.write",),
    permission="store.change_mapping",
    ok=202,
    tags=["parked"],
)
def map_parked(request: HttpRequest, remedy: shapes.ParkedMap) -> Any:
    """Say what a value of theirs is here, and try again all that waited for it, in one run: the remedy `map` of a group. The token needs
    `exchange.run` as well."""
    if "exchange.run" not in request.auth.scopes:  # type: ignore[attr-defined]
        raise Problem("missing_scope", now_("It needs: %(scopes)s.") % {"scopes": "settings.write & exchange.run"})
    require(request, "store.retry_parked")
    require(request, "store.view_parked")
    row = models.Connection.objects.filter(pk=remedy.connection).first()
    table = parked_groups.table_for(row, remedy.subject, "in") if row else None
    if row is None or table is None:
        said = now_("This connection has no table in which a value of this subject that came could be mapped.")
        raise Problem("invalid", errors=[("body.subject" if row else "body.connection", said)])
    may_add = remedy.add and request.user.has_perm("store.add_reference")
    if not remedy.add and not table.ours and parked_groups.ours_of(table).key(remedy.ours) is None:
        said = now_("The books have no such value: take one of GET /references?subject=%(subject)s, or say “add”.")
        raise Problem("invalid", errors=[("body.ours", said % {"subject": remedy.subject})])
    waiting = seen_by(request.user, models.Parked.objects.filter(connection=row))
    try:
        count, run = parked_groups.free(
            row,
            table,
            remedy.value,
            remedy.ours,
            waiting,
            who(request),
            may_add=may_add,
        )
    except ExchangeError as error:
        raise told(error) from None
    return Status(202, {"count": count, "runs": [run.pk] if run else []})


def _asked(request: HttpRequest, pk: int) -> models.Parked:
    """Who says which card it is has to see the cards."""
    require(request, "store.view_parked")
    row: models.Parked = found(request, models.Parked.objects.select_related("connection"), pk)
    asked = joining.asked(row)
    if asked is None or not joining.candidates(row):
        raise Problem("refused", now_("This record waits for no such decision: read its reason."))
    require(request, f"store.view_{asked[0]}")
    return row


@operation(
    router,
    "GET",
    "/parked/{parked}/candidates",
    list[shapes.Candidate],
    scopes=("exchange.read",),
    permission="store.view_parked",
    tags=["parked"],
)
def list_candidates(request: HttpRequest, parked: Id) -> Any:
    """The cards that a record could be, where several fit."""
    row = _asked(request, parked)
    return [
        {
            "id": one["pk"],
            "name": one["name"],
            "key": one["key"],
            "known": {str(title): str(value) for title, value in one["known"]},
            "linked_as": next((ident for _name, ident, here in one["links"] if here), ""),
            "gone": bool(one.get("gone")),
        }
        for one in candidates.shown(row)
    ]


@operation(
    router,
    "POST",
    "/parked/{parked}/join",
    shapes.Retried,
    scopes=("exchange.run",),
    permission="store.retry_parked",
    ok=202,
    also=(409,),
    tags=["parked"],
)
def join_parked(request: HttpRequest, parked: Id, join: shapes.Join) -> Any:
    """It is this card: linked, and tried again. A card that is another record of theirs already has to be confirmed."""
    row = _asked(request, parked)
    if anew := joining_anew(row, join.card):
        confirmed(join.confirm, *anew)
    try:
        joining.join(row, join.card, who(request))
    except ExchangeError as error:
        raise told(error) from None
    return Status(202, {"count": 1, "runs": [run.pk for run in ask_retry([row], who(request))]})


@operation(
    router,
    "POST",
    "/parked/{parked}/new",
    shapes.Retried,
    scopes=("exchange.run",),
    permission="store.retry_parked",
    ok=202,
    tags=["parked"],
)
def make_parked_new(request: HttpRequest, parked: Id) -> Any:
    """It is none of the cards that fit: tried again, it becomes a new one."""
    row = _asked(request, parked)
    if not joining.can_be_new(row):
        raise Problem("refused", now_("Goods of an order's line do not become a card: say which one it is."))
    joining.make_new(row, who(request))
    return Status(202, {"count": 1, "runs": [run.pk for run in ask_retry([row], who(request), new=True)]})
