"""What became of each record of a run that a person started by hand: written with the page that it belongs to."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any

from obmen.core.engine import (
    CREATED,
    MATCHED,
    PARKED,
    SKIPPED,
    UNCHANGED,
    UPDATED,
    WRITTEN,
    Result,
    Said,
    Settlement,
    Skipped,
    name_of,
)
from obmen.core.records import Kind
from obmen.core.words import gettext_noop as _
from obmen.core.words import plain_facts
from obmen.store.models import Link, RecordChange, Run, RunResult

MOST = 10_000  # of one run; a first load of everything is told in counts
SAID = 4000  # characters of what was sent

FOUND = _("Found by {why}")
NOTHING = _("Nothing to send: it has no card there, they have all of it, or the settings leave it out")


def write(run: Run, settlement: Settlement) -> None:
    """Inside the page's transaction."""
    room = MOST - run.results.count()
    rows = [*_out(run, settlement), *_in(run, settlement)][: max(0, room)]
    RunResult.objects.bulk_create(rows)


def _out(run: Run, settlement: Settlement) -> Iterable[RunResult]:
    return [row(run, settlement.stream, settlement.kind, result) for result in settlement.results]


def row(run: Run, stream: str, kind: Kind, result: Result) -> RunResult:
    """Not saved yet."""
    error = result.error
    text = NOTHING if result.outcome == UNCHANGED else ""
    return RunResult(
        run=run,
        stream=stream,
        kind=kind,
        record_id=result.record_id,
        external_id=result.external_id[:300],
        name=result.name.replace("\0", "")[:500],
        outcome=result.outcome,
        said=_shown(result.said),
        text=error.text if error else text,
        facts=plain_facts(error.facts) if error else {},
    )


def _shown(payload: Any) -> str:
    if payload is None:
        return ""
    text = (
        payload.decode("utf-8", "replace") if isinstance(payload, bytes) else json.dumps(payload, ensure_ascii=False, default=str)
    )
    return text.replace("\0", "")[:SAID]


def _in(run: Run, settlement: Settlement) -> Iterable[RunResult]:
    """Of a pull: what was said, and what could not be settled. What they told unchanged, or settings leave out, is only counted."""
    if settlement.results or settlement.links:
        return []
    held = {parked.external_id: parked for parked in settlement.parked}
    said = [s for s in settlement.said if s.item.external_id not in held]
    cards = _cards(run, settlement.kind, [s.item.external_id for s in said])
    changed = _changed(run, cards.values())
    rows = [
        RunResult(
            run=run,
            direction="in",
            stream=settlement.stream,
            kind=settlement.kind,
            record_id=cards.get(s.item.external_id),
            external_id=s.item.external_id[:300],
            name=name_of(s.record).replace("\0", "")[:500],
            outcome=_outcome(s, cards.get(s.item.external_id) in changed),
            text=FOUND if s.why else "",
            facts={"why": s.why} if s.why else {},
        )
        for s in said
    ]
    rows += [
        RunResult(
            run=run,
            direction="in",
            stream=settlement.stream,
            kind=settlement.kind,
            external_id=ident[:300],
            name=ident[:500],
            outcome=SKIPPED if isinstance(parked.error, Skipped) else PARKED,
            text=parked.error.text,
            facts=plain_facts(parked.error.facts),
        )
        for ident, parked in held.items()
    ]
    return rows


def _cards(run: Run, kind: Kind, ids: Collection[str]) -> dict[str, int]:
    links = (
        Link.objects.filter(connection=run.connection_id, kind=kind, external_id__in=list(ids)) if ids else Link.objects.none()
    )
    return dict(links.values_list("external_id", "record_id"))


def _changed(run: Run, ids: Collection[int]) -> set[int]:
    if not ids:
        return set()
    return set(RecordChange.objects.filter(run=run, record_id__in=list(ids)).values_list("record_id", flat=True))


def _outcome(said: Said, changed: bool) -> str:
    if said.link is not None:
        return UPDATED if changed else UNCHANGED
    return CREATED if said.record_id is None else MATCHED


def told(run: Run, kind: Kind) -> frozenset[int]:
    """Records that this run has told already: one that goes on after a pause does not tell them twice, nor does one that does the rest
    of what another began that carried out the same decisions."""
    runs = run.connection.runs.filter(args__decided=run.args["decided"]) if "decided" in run.args else [run]
    rows = RunResult.objects.filter(run__in=runs, direction="out", kind=kind, outcome__in=WRITTEN)
    return frozenset(i for i in rows.values_list("record_id", flat=True) if i is not None)
