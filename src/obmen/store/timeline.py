"""The way of orders and payments between systems, step by step: what came, was offered, confirmed, sent, refused, and when.

Every step is written in the transaction of what it tells, and kept as long as the journal. Of goods nothing is written here: a
hundred thousand of them go out every hour, and their history (``RecordChange``) says what came, when and with which run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import F

from obmen.core.contract import BadRecord
from obmen.core.records import Kind
from obmen.core.words import plain_facts
from obmen.store.models import Connection, Run, Step

What = Step.What
KINDS = (Kind.ORDER, Kind.PAYMENT)  # whose steps are written


def note(
    what: str,
    connection: Connection | None,
    kind: Kind,
    records: Iterable[tuple[int, int]],
    now: datetime,
    *,
    run: Run | None = None,
    who: str = "",
    ids: Mapping[int, str] | None = None,
) -> None:
    """One step of each (row in the books, revision). ``ids``: what the record is called there, by row."""
    Step.objects.bulk_create(
        _step(what, connection, kind, record_id, revision, now, run, who, (ids or {}).get(record_id, ""))
        for record_id, revision in records
    )


def note_again(
    what: str,
    connection: Connection,
    kind: Kind,
    records: Sequence[tuple[int, int]],
    now: datetime,
    *,
    run: Run | None = None,
    errors: Mapping[int, BadRecord] | None = None,
) -> None:
    """As ``note``, for what is tried until it succeeds: the same step of the same revision is one row that counts. ``errors``: why, by
    row; another reason is another step."""
    known = Step.objects.filter(
        connection=connection, record_kind=kind, record_id__in=[pk for pk, _revision in records], what=what
    ).values_list("pk", "record_id", "revision", "text")
    rows = {(record_id, revision, text): pk for pk, record_id, revision, text in known}
    texts = {pk: error.text for pk, error in (errors or {}).items()}
    here = [rows[key] for pk, revision in records if (key := (pk, revision, texts.get(pk, ""))) in rows]
    if here:
        Step.objects.filter(pk__in=here).update(times=F("times") + 1, last=now, run=run)
    fresh = [(pk, revision) for pk, revision in records if (pk, revision, texts.get(pk, "")) not in rows]
    steps = [_step(what, connection, kind, pk, revision, now, run) for pk, revision in fresh]
    for step in steps:
        if errors and step.record_id in errors:
            step.text, step.facts = errors[step.record_id].text, plain_facts(errors[step.record_id].facts)
    Step.objects.bulk_create(steps)


def _step(
    what: str,
    connection: Connection | None,
    kind: Kind,
    record_id: int,
    revision: int,
    now: datetime,
    run: Run | None = None,
    who: str = "",
    external_id: str = "",
) -> Step:
    values: dict[str, Any] = {"connection": connection, "system": connection.name if connection else ""}
    return Step(
        at=now,
        **values,
        record_kind=kind,
        record_id=record_id,
        what=what,
        revision=revision,
        external_id=external_id[:300],
        run=run,
        who=who[:150],
    )
