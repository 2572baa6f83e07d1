"""Mapping tables of a connection: their value ⇄ ours. Read by exchanges, edited by pages and files, filled from traffic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet

from obmen.core.contract import Mapped, NeedsOwner
from obmen.core.records import Reference, Subject
from obmen.core.words import gettext_noop as _
from obmen.store import models
from obmen.store.journal import note

ANY = Q(inbound=True) | Q(outbound=True)
DIRECTIONS = {"in": Q(inbound=True), "out": Q(outbound=True), "both": ANY, "each": ANY}
# A table that is edited as a whole holds the rows of its own kind only: saving the "in" table leaves the "out" table alone. A table
# "each" is the only one of its subject.
TABLES = {
    "in": Q(inbound=True, outbound=False),
    "out": Q(inbound=False, outbound=True),
    "both": Q(inbound=True, outbound=True),
    "each": ANY,
}
BACK = "~"  # before the direction of a save that was taken back, the last of its subject: it can be made once more
STEPS = 50  # saves of one table that can be taken back
KEPT = ("theirs", "theirs_name", "ours", "inbound", "outbound", "taken", "attributes", "reported", "position", "seen_count")
COMPARED = KEPT[:-2]
NOTHING_TO_REDO = _("There is no save of this table to make again: something of it was saved since")
CHANGED_MEANWHILE = _(
    "“{value}” was changed since the save was taken back: making it again would lose that. Correct the row by hand instead"
)
NOTHING_TO_UNDO = _("There is no save of this table to take back")
CHANGED_SINCE = _(
    "“{value}” was changed since that save, and not in this table: taking the save back would lose that. Correct the row by hand instead"
)


@dataclass(frozen=True, slots=True)
class MappingRow:
    """One row as a page or a file says it. ``theirs`` is their id; ``taken`` False leaves records with this value out;
    ``decided`` False: seen by the person, who has left it for later. ``sent`` counts in a table "each" only."""

    theirs: str
    theirs_name: str = ""
    ours: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    taken: bool = True
    decided: bool = True
    sent: bool = True


def rows(connection: models.Connection, subject: str, direction: str) -> list[models.Mapping]:
    """The table "in", "out", "both" or "each", in its order; what came from traffic and nobody has decided on stands first."""
    table = connection.mappings.filter(DIRECTIONS[direction], subject=subject)
    return list(table.order_by("-reported", "position", "pk"))


def decided(connection: models.Connection, direction: str) -> QuerySet[models.Mapping]:
    """Rows that somebody has decided on; the first one counts where several say the same."""
    return connection.mappings.filter(DIRECTIONS[direction], reported=False).order_by("position", "pk")


def goes(row: models.Mapping, direction: str) -> bool:
    """Whether a row is of this direction, as DIRECTIONS has it of a query."""
    return {"in": row.inbound, "out": row.outbound}.get(direction, row.inbound or row.outbound)


def mapped(row: models.Mapping) -> Mapped:
    return Mapped(row.theirs, row.ours, {k: str(v) for k, v in row.attributes.items()}, row.taken)


def report(connection: models.Connection, subject: str, theirs: str, name: str = "", count: int = 1) -> None:
    """Count a value of theirs that nobody has decided on, where it can be mapped with one click."""
    row, made = connection.mappings.get_or_create(
        subject=subject,
        theirs=theirs[:300],
        inbound=True,
        defaults={"theirs_name": name[:500], "outbound": False, "reported": True, "seen_count": count},
    )
    if not made:
        models.Mapping.objects.filter(pk=row.pk).update(seen_count=F("seen_count") + count)


@transaction.atomic
def refresh(
    connection: models.Connection, subject: str, theirs: Sequence[Reference], who: str = "", direction: str = "both"
) -> Counter[str]:
    """Their values as they are now: new ones get a row to be mapped, vanished ones are marked, what was mapped stays.

    ``direction`` is that of the table: a table that is asked by our values gets no empty rows. Counts new, kept and gone.
    """
    known = {r.key: r for r in connection.remote_references.select_for_update().filter(subject=subject)}
    counts: Counter[str] = Counter()
    for position, reference in enumerate(theirs, 1):
        values = {"name": reference.name[:500], "attributes": dict(reference.attributes), "position": position, "gone": False}
        row = known.pop(reference.key, None)
        if row is None:
            connection.remote_references.create(subject=subject, key=reference.key, **values)
        elif any(getattr(row, name) != value for name, value in values.items()):
            models.RemoteReference.objects.filter(pk=row.pk).update(**values)
        counts["new" if row is None or row.gone else "kept"] += 1
    gone = [row.pk for row in known.values() if not row.gone]
    models.RemoteReference.objects.filter(pk__in=gone).update(gone=True)
    counts["gone"] = len(gone)
    if direction != "out":
        _rows_for(connection, subject, theirs, outbound=direction == "both")
    names = {reference.key: reference.name[:500] for reference in theirs}
    for row in connection.mappings.filter(subject=subject, theirs__in=names):
        if row.theirs_name != names[row.theirs]:
            models.Mapping.objects.filter(pk=row.pk).update(theirs_name=names[row.theirs])
    note(connection, "mappings.refreshed", who, subject=subject, new=counts["new"], gone=counts["gone"])
    return counts


def _rows_for(connection: models.Connection, subject: str, theirs: Sequence[Reference], *, outbound: bool) -> None:
    """A row for each value that has none: to be decided on, so it is not asked before a person has saved it."""
    have = set(connection.mappings.filter(subject=subject, inbound=True).values_list("theirs", flat=True))
    models.Mapping.objects.bulk_create(
        models.Mapping(
            connection=connection,
            subject=subject,
            theirs=reference.key[:300],
            theirs_name=reference.name[:500],
            outbound=outbound,
            reported=True,
            position=position,
        )
        for position, reference in enumerate(theirs, 1)
        if reference.key not in have
    )


@transaction.atomic
def start_over(connection: models.Connection, subject: str, direction: str, who: str = "") -> int:
    """Clear one table; how many rows it had. Rows of both directions only lose this one."""
    table = connection.mappings.filter(DIRECTIONS[direction], subject=subject)
    count = table.count()
    with _step(connection, subject, direction, who):
        if direction == "in":
            table.filter(outbound=True).update(inbound=False)
        elif direction == "out":
            table.filter(inbound=True).update(outbound=False)
        connection.mappings.filter(DIRECTIONS[direction], subject=subject).delete()
    note(connection, "mappings.cleared", who, subject=subject, direction=direction, rows=count)
    return count


def _ours_by_theirs(connection: models.Connection, subject: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for theirs, ours in connection.mappings.filter(subject=subject).order_by("position", "pk").values_list("theirs", "ours"):
        found[theirs] = f"{found[theirs]}, {ours}" if found.get(theirs) else ours
    return found


def _note(connection: models.Connection, subject: str, changed: Sequence[str], before: Mapping[str, str], who: str) -> None:
    """The first twenty with old and new, and which further ones there are."""
    after = _ours_by_theirs(connection, subject)
    told = changed[:20]
    changes = {theirs: [before.get(theirs, ""), after.get(theirs, "")] for theirs in told}
    note(connection, "mappings.changed", who, subject=subject, values=", ".join(told), changes=changes)


@transaction.atomic
def save(
    connection: models.Connection,
    subject: str,
    direction: str,
    wanted: Iterable[MappingRow],
    who: str = "",
    without: Collection[str] = (),
) -> list[str]:
    """Make a table what the rows say, in their order; returns the values that changed. The same rows again change nothing.

    In a table that is asked by their values ("in", "both") the last row of a value counts. What traffic has reported and
    nobody has decided on stays, whether or not a row says so; ``without`` names those of them that a person removed. In a table
    "each" one row of a value says whether it is loaded: the first with ``taken``, else the first; further ones are only sent.
    """
    before = _ours_by_theirs(connection, subject)
    with _step(connection, subject, direction, who):
        removed = connection.mappings.filter(DIRECTIONS[direction], subject=subject, reported=True, theirs__in=list(without))
        changed = list(removed.values_list("theirs", flat=True))
        removed.delete()
        changed += _made_equal(connection, subject, direction, wanted)
    if changed:
        _note(connection, subject, changed, before, who)
    return changed


def _made_equal(connection: models.Connection, subject: str, direction: str, wanted: Iterable[MappingRow]) -> list[str]:
    own = connection.mappings.select_for_update().filter(subject=subject)
    if direction == "each":
        rows_ = _flagged([r for r in wanted if r.theirs and r.decided])
        have = {("", row.theirs) if row.inbound else (row.ours, row.theirs): row for row in own.filter(ANY)}
    else:
        have = {_identity(direction, row.theirs, row.ours): row for row in own.filter(TABLES[direction])}
        rows_ = {_identity(direction, r.theirs[:300], r.ours[:200]): r for r in wanted if r.theirs and r.decided}
    if direction != "out":  # a value that stood in another table, or was only reported, moves into this one
        own.filter(inbound=True, theirs__in=[theirs for theirs, _ours in rows_]).exclude(TABLES[direction]).delete()
    changed = []
    for position, (key, said) in enumerate(rows_.items(), 1):
        values = {
            "theirs_name": said.theirs_name[:500],
            "ours": said.ours[:200],
            "attributes": {name: value for name, value in said.attributes.items() if value},
            "taken": said.taken,
            "reported": False,
            "position": position,
        }
        row = have.pop(key, None)
        flags = {"inbound": direction != "out", "outbound": direction != "in"}
        if direction == "each":
            flags = {"inbound": not key[0], "outbound": said.sent}
            values |= flags | {"taken": said.taken or bool(key[0])}
        if row is None:
            values |= flags
            connection.mappings.create(subject=subject, theirs=said.theirs[:300], **values)
            changed.append(said.theirs)
        elif any(getattr(row, name) != value for name, value in values.items()):
            if [n for n in values if n != "position" and getattr(row, n) != values[n]]:
                changed.append(said.theirs)
            models.Mapping.objects.filter(pk=row.pk).update(**values)
    gone = [row for row in have.values() if not row.reported]
    changed += [row.theirs for row in gone]
    connection.mappings.filter(pk__in=[row.pk for row in gone]).delete()
    return changed


@transaction.atomic
def decide(
    connection: models.Connection, subject: str, direction: str, values: Mapping[str, str], who: str = "", *, taken: bool = True
) -> list[str]:
    """Their values get ours ({theirs: ours}) in the table "in", "both" or "each"; all other rows stay. Returns what changed."""
    names = dict(connection.remote_references.filter(subject=subject, key__in=list(values)).values_list("key", "name"))
    before = _ours_by_theirs(connection, subject)
    with _step(connection, subject, direction, who):
        own = connection.mappings.select_for_update().filter(subject=subject, inbound=True, theirs__in=list(values))
        have = {row.theirs: row for row in own}
        last = connection.mappings.filter(subject=subject).order_by("-position").values_list("position", flat=True).first() or 0
        changed = []
        for theirs, ours in values.items():
            row = have.get(theirs[:300]) or models.Mapping(
                connection=connection, subject=subject, theirs=theirs[:300], outbound=False, theirs_name=names.get(theirs, "")
            )
            said = (ours[:200], taken, False, row.outbound or direction == "both")
            if row.pk and (row.ours, row.taken, row.reported, row.outbound) == said:
                continue
            if not row.pk or row.reported:
                last += 1
                row.position = last
            row.ours, row.taken, row.reported, row.outbound = said
            row.save()
            changed.append(theirs)
    if changed:
        _note(connection, subject, changed, before, who)
    return changed


# --- taking a save back ----------------------------------------------------------------------------------------------------


@contextmanager
def _step(connection: models.Connection, subject: str, direction: str, who: str) -> Iterator[None]:
    """Keep what becomes of a subject's rows in here, so that it can be taken back. Inside a transaction."""
    own = connection.mappings.filter(subject=subject)
    before = list(own.select_for_update().values(*KEPT))
    yield
    after = list(own.values(*KEPT))
    known, made = {_same(row) for row in before}, {_same(row) for row in after}
    gone, come = [r for r in before if _same(r) not in made], [r for r in after if _same(r) not in known]
    if not gone and not come:
        return
    _forget_taken_back(connection, subject)  # it is behind a fork now
    _keep_step(connection, subject, direction, who, gone, come)


def _keep_step(
    connection: models.Connection,
    subject: str,
    direction: str,
    who: str,
    gone: Sequence[Mapping[str, Any]],
    come: Sequence[Mapping[str, Any]],
) -> None:
    count = len({r["theirs"] for r in (*gone, *come)})
    steps = models.MappingStep.objects.filter(connection=connection, subject=subject, direction=direction)
    steps.create(connection=connection, subject=subject, direction=direction, who=who, gone=gone, come=come, rows=count)
    old = list(steps.order_by("-id").values_list("pk", flat=True)[STEPS : STEPS + 10])
    steps.filter(pk__in=old).delete()


def _same(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(repr(sorted(row[n].items())) if n == "attributes" else row[n] for n in COMPARED)


def steps(connection: models.Connection) -> dict[tuple[str, str], models.MappingStep]:
    """The save of each table, by subject and direction, that would be taken back next; behind BACK + direction the one that was taken
    back last. In one query, without the rows."""
    rows = models.MappingStep.objects.filter(connection=connection).defer("gone", "come").order_by("id")
    return {(row.subject, row.direction): row for row in rows}


@transaction.atomic
def undo(
    connection: models.Connection, subject: str, direction: str, who: str = "", *, step: int | None = None
) -> models.MappingStep:
    """Take the last save of a table back: its rows are what they were before it. The next time it is the save before that.

    ``step`` is the one that the person was asked about. Raises NeedsOwner when there is none (any more), or when one of its rows
    was changed since by something else than a save of this table.
    """
    last = (
        models.MappingStep.objects.select_for_update()
        .filter(connection=connection, subject=subject, direction=direction)
        .order_by("-id")
        .first()
    )
    if last is None or step not in (None, last.pk):
        raise NeedsOwner(NOTHING_TO_UNDO)
    _exchange(connection, subject, gone=last.come, come=last.gone)
    values = ", ".join(dict.fromkeys(r["theirs"] for r in (*last.gone, *last.come)))
    note(connection, "mappings.undone", who, subject=subject, values=values[:300])
    _forget_taken_back(connection, subject)
    models.MappingStep.objects.filter(pk=last.pk).update(direction=BACK + direction)
    return last


def _forget_taken_back(connection: models.Connection, subject: str) -> None:
    models.MappingStep.objects.filter(connection=connection, subject=subject, direction__startswith=BACK).delete()


def _exchange(
    connection: models.Connection,
    subject: str,
    *,
    gone: Sequence[Mapping[str, Any]],
    come: Sequence[Mapping[str, Any]],
    problem: str = CHANGED_SINCE,
) -> None:
    """``gone`` go out of a table and ``come`` stand there again. Raises NeedsOwner (``problem``) when one of them was changed by something
    else."""
    now = {_marks(row): row for row in connection.mappings.select_for_update().filter(subject=subject).values("pk", *KEPT)}
    seen: Counter[str] = Counter()
    leave: list[int] = []
    for said in gone:
        found = now.pop(_marks(said), None)
        if found is None:
            raise NeedsOwner(problem, value=said["theirs_name"] or said["theirs"])
        leave.append(found["pk"])
        seen[said["theirs"]] = max(seen[said["theirs"]], found["seen_count"])
    standing = {row["theirs"]: row for row in now.values() if row["inbound"]}
    for said in come:
        other = standing.get(said["theirs"]) if said["inbound"] else None
        if other is not None and not other["reported"]:
            raise NeedsOwner(problem, value=said["theirs_name"] or said["theirs"])
        if other is not None:  # it came again since; only its count is news
            leave.append(other["pk"])
            seen[said["theirs"]] += other["seen_count"]
    connection.mappings.filter(pk__in=leave).delete()
    for said in come:
        count = max(said["seen_count"], seen[said["theirs"]])
        models.Mapping.objects.create(connection=connection, subject=subject, **{**said, "seen_count": count})


# --- and making it once more -----------------------------------------------------------------------------------------------


@transaction.atomic
def redo(
    connection: models.Connection, subject: str, direction: str, who: str = "", *, step: int | None = None
) -> models.MappingStep:
    """Make the save that was taken back last once more; it can be taken back again. One step: before it there is none, and none after the
    next save of the subject. ``step`` is the one that the person was asked about. Raises NeedsOwner when there is none (any more), or
    when one of its rows was changed since."""
    back = (
        models.MappingStep.objects.select_for_update()
        .filter(connection=connection, subject=subject, direction=BACK + direction)
        .first()
    )
    if back is None or step not in (None, back.pk):
        raise NeedsOwner(NOTHING_TO_REDO)
    _exchange(connection, subject, gone=back.gone, come=back.come, problem=CHANGED_MEANWHILE)
    back.delete()
    _keep_step(connection, subject, direction, who, back.gone, back.come)
    values = ", ".join(dict.fromkeys(r["theirs"] for r in (*back.gone, *back.come)))
    note(connection, "mappings.redone", who, subject=subject, values=values[:300])
    return back


def _marks(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells that a row is still the one of a save; their name may have been loaded anew since."""
    return tuple(repr(sorted(row[n].items())) if n == "attributes" else row[n] for n in COMPARED if n != "theirs_name")


def _flagged(wanted: Sequence[MappingRow]) -> dict[tuple[str, str], MappingRow]:
    """Rows of a table "each", by ("", theirs) for those that are asked by their value, else (ours, theirs)."""
    asked = {row.theirs: row for row in reversed(wanted)}
    asked |= {row.theirs: row for row in reversed(wanted) if row.taken}
    found = {}
    for row in wanted:
        if asked[row.theirs] is row:
            found["", row.theirs[:300]] = row
        elif row.sent and row.ours:
            found[row.ours[:200], row.theirs[:300]] = row
    return found


def _identity(direction: str, theirs: str, ours: str) -> tuple[str, str]:
    return (theirs, ours) if direction == "out" else (theirs, "")


def freed(connection: models.Connection, subject: str) -> list[int]:
    """Parked records that waited for a value of this subject which has been decided on by now."""
    values = connection.mappings.filter(subject=subject, inbound=True, reported=False).values_list("theirs", flat=True)
    waiting = connection.parked.filter(waiting_kind="mapping", waiting_id__in=[f"{subject}:{v}"[:300] for v in values])
    return list(waiting.values_list("pk", flat=True))


def own_values(subject: Subject | str) -> list[tuple[str, str]]:
    """(key, name) of the books' values, for the drop-downs."""
    return list(models.Reference.objects.filter(subject=subject, deleted=False).values_list("key", "name"))
