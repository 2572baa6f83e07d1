"""Lists by keyset: a page begins where the one before it ended, by an index, however many rows lie before it."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as now_
from ninja import Query
from pydantic import AfterValidator, StringConstraints

from obmen.core.words import gettext_noop as _
from obmen.web.api.problems import Problem
from obmen.web.lists import whole

MOST, USUAL = 500, 50
BIGGEST = 2**63 - 1  # what a column holds


def _plain_time(value: datetime) -> datetime:
    if not 1900 <= value.year <= 2200:
        raise ValueError(_("Give a moment between the years 1900 and 2200."))
    if value.tzinfo is None:
        raise ValueError(_("Say the time zone too: “2026-11-22T10:00:00Z”."))
    return value


Moment = Annotated[datetime, AfterValidator(_plain_time)]
Text = Annotated[str, StringConstraints(max_length=300, pattern=r"^[^\x00]*$")]
Limit = Annotated[int, Query(ge=1, le=MOST, description="Rows of a page")]
Cursor = Annotated[Text | None, Query(description="“next” of the page before; the other parameters stay the same")]


def page(
    rows: QuerySet[Any], order: Sequence[str], cursor: str | None, limit: int, *, sorted_: bool = False
) -> tuple[list[Any], str | None]:
    """(rows of this page, cursor of the next one or None). ``order``: fields of an index that end with ``id``, "-" for falling;
    all of them in one direction. ``sorted_``: the database has to sort what it finds, so it sorts ids and not whole rows. Raises Problem
    for a cursor of another list."""
    names = [field.removeprefix("-") for field in order]
    falling = order[0].startswith("-")
    if cursor:
        rows = rows.filter(_after(names, falling, _read(cursor, order)))
    rows = rows.order_by(*order)
    found = list(whole(rows, rows.values("pk")[: limit + 1]) if sorted_ else rows[: limit + 1])
    if len(found) <= limit:
        return found, None
    last = found[limit - 1]
    return found[:limit], _written(order, [getattr(last, name) for name in names])


def _after(names: Sequence[str], falling: bool, values: Sequence[Any]) -> Q:
    way = "lt" if falling else "gt"
    if len(names) == 1:
        return Q(**{f"{names[0]}__{way}": values[0]})
    first, ident = names
    # The first condition alone bounds the index; with an OR at the top PostgreSQL would read it from its beginning.
    return Q(**{f"{first}__{way}e": values[0]}) & (Q(**{f"{first}__{way}": values[0]}) | Q(**{f"{ident}__{way}": values[1]}))


def _written(order: Sequence[str], values: Sequence[Any]) -> str:
    said = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    return base64.urlsafe_b64encode(json.dumps([*order, *said]).encode()).decode().rstrip("=")


def _read(cursor: str, order: Sequence[str]) -> list[Any]:
    try:
        said = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(said, list) or said[: len(order)] != list(order) or len(said) != 2 * len(order):
            raise ValueError
        values = said[len(order) :]
        if len(values) == 2:
            values[0] = _plain_time(datetime.fromisoformat(values[0]))
        if type(values[-1]) is not int or not 0 < values[-1] <= BIGGEST:
            raise ValueError
    except (ValueError, TypeError, binascii.Error, RecursionError):
        wrong = now_("This is no cursor of this list with these parameters: begin again without one.")
        raise Problem("invalid", errors=[("query.cursor", wrong)]) from None
    return values
