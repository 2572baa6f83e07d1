"""What parked records have in common: groups by reason, each with the one remedy for all of them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from django.db import connection as db
from django.db import transaction
from django.db.models import Count, Max, Min, Q

from obmen.core.contract import NeedsOwner, Table
from obmen.core.records import Subject
from obmen.core.words import gettext_noop as _
from obmen.registry import connectors
from obmen.store import mappings, models
from obmen.store.mappings import own_values
from obmen.web.asking import mark
from obmen.web.connector_tabs import mapping_url
from obmen.web.suggest import suggest
from obmen.web.tables import GENERIC
from obmen.web.values import Values, make, of_choices
from obmen.web.words import say, without_facts
from obmen.work import jobs

SHOWN = 12
MOST = 1000  # groups that are counted
SAME = ("connection_id", "direction", "kind", "reason", "waiting_kind", "awaited")
MAPPING = "mapping"


@dataclass(slots=True)
class Group:
    """``remedy`` is map | wait | decide | confirm | look: what puts all of them right."""

    connection: models.Connection
    direction: str
    kind: str
    reason: str
    waiting_kind: str
    waiting_id: str
    count: int
    oldest: datetime
    sample: models.Parked
    remedy: str = "look"
    sentence: str = ""
    subject: str = ""
    value: str = ""
    name: str = ""  # of the value, as they call it
    suggestion: str = ""
    choices: list[tuple[str, str]] = field(default_factory=list)
    table_url: str = ""

    @property
    def address(self) -> str:
        """The query of an address that means just this group."""
        said = {
            "connection__id__exact": str(self.connection.pk),
            "direction__exact": self.direction,
            "kind__exact": self.kind,
            "reason": self.reason,
        }
        return urlencode(said | ({"waits": self.waiting_id} if self.remedy == "map" else {}))


def counted(rows: Any, chosen: Q | None = None) -> list[dict[str, Any]]:
    """The groups with their number, first record and one of theirs, the largest first; read from the index alone. ``chosen``: the same of
    those of the rows that fit it, too, under names with ``chosen_`` before them: one walk for what a filter shows and what it offers."""
    numbers: dict[str, Any] = {"n": Count("pk"), "oldest": Min("first_at"), "sample": Max("pk")}
    if chosen:
        each = {"n": Count("pk", filter=chosen), "oldest": Min("first_at", filter=chosen), "sample": Max("pk", filter=chosen)}
        numbers |= {f"chosen_{name}": number for name, number in each.items()}
    return list(rows.order_by().values(*SAME).annotate(**numbers).order_by("-n", "-sample")[:MOST])


def of_chosen(known: Sequence[Mapping[str, Any]], wanted: Mapping[str, str]) -> list[dict[str, Any]]:
    """Of counted groups those with the ``wanted`` values, and of their rows those that were chosen."""
    found = []
    for row in known:
        if all(str(row[name]) == value for name, value in wanted.items()):
            chosen = {name: row.get(f"chosen_{name}", row[name]) for name in ("n", "oldest", "sample")}
            found += [{**row, **chosen}] if chosen["n"] else []
    return sorted(found, key=lambda row: (-row["n"], -row["sample"]))


def groups(every: Sequence[Mapping[str, Any]], most: int = SHOWN) -> tuple[list[Group], int]:
    """The largest of the groups as pages show them, and how many there are. In four queries."""
    shown = every[:most]
    samples = models.Parked.objects.select_related("connection").defer("payload").in_bulk([row["sample"] for row in shown])
    found = [_group(row, samples[row["sample"]]) for row in shown if row["sample"] in samples]
    _with_tables([group for group in found if group.remedy == "map"])
    return found, len(every)


def _group(row: Mapping[str, Any], sample: models.Parked) -> Group:
    group = Group(
        connection=sample.connection,
        direction=row["direction"],
        kind=row["kind"],
        reason=row["reason"],
        waiting_kind=row["waiting_kind"],
        waiting_id=row["awaited"],
        count=row["n"],
        oldest=row["oldest"],
        sample=sample,
        sentence=without_facts(sample.text),
    )
    if group.waiting_kind == MAPPING and {"subject", "value"} <= sample.facts.keys():
        group.remedy, group.sentence = "map", say(sample.text, sample.facts)
        group.subject, group.value = str(sample.facts["subject"]), str(sample.facts["value"])
    elif group.waiting_kind:
        group.remedy = "wait"
    elif isinstance(sample.facts.get("candidates"), list):
        group.remedy = "decide"
    elif sample.facts.get("confirm"):
        group.remedy = "confirm"
    return group


def _with_tables(found: Sequence[Group]) -> None:
    """Give groups that wait for a mapping what can be chosen; one that no table of ours can hold is left to be looked at."""
    tables = [(group, table_for(group.connection, group.subject, group.direction)) for group in found]
    wanted = {str(table.subject) for _group, table in tables if table and not table.ours}
    pairs: dict[str, list[tuple[str, str]]] = defaultdict(list)
    if wanted:
        for row in models.Reference.objects.filter(subject__in=wanted, deleted=False).only("subject", "key", "name"):
            pairs[row.subject].append((row.key, row.name))
    values = {subject: Values(known) for subject, known in pairs.items()}
    called = _called(found)
    for group, table in tables:
        if table is None:
            group.remedy = "look"
            continue
        ours = of_choices(table.ours) if table.ours else values.get(str(table.subject), Values(()))
        group.choices = [(label, code) for code, label in ours.labels.items()]
        group.table_url = mapping_url(group.connection, group.subject, group.value, group.direction)
        group.name = called.get((group.connection.pk, group.subject, group.value)) or group.value
        group.suggestion = suggest([(group.value, group.name)], [(label, label) for label, _code in group.choices]).get(
            group.value, ""
        )


def _called(found: Sequence[Group]) -> dict[tuple[int, str, str], str]:
    """What they call the values, as traffic or their lists have told it."""
    rows = models.Mapping.objects.filter(connection__in={g.connection.pk for g in found}, theirs__in={g.value for g in found})
    return {
        (pk, subject, theirs): name
        for pk, subject, theirs, name in rows.values_list("connection", "subject", "theirs", "theirs_name")
    }


def table_for(connection: models.Connection, subject: str, direction: str) -> Table | None:
    """In which table a value that came is decided on; only what comes in is mapped by one choice of ours."""
    kind = connectors().get(connection.connector)
    if kind is None or direction != "in" or subject not in set(Subject):
        return None
    tables = kind.tables or [Table(Subject(subject), GENERIC, subject, "each", by_hand=True)]
    return next((t for t in tables if t.subject == subject and t.direction in ("in", "both", "each")), None)


def ours_of(table: Table) -> Values:
    return of_choices(table.ours) if table.ours else Values(own_values(table.subject))


NO_CHOICE = _("There is no value “{value}” to choose.")
NOT_IN_BOOKS = _("The books have no value “{value}”, and you may not add one: ask an owner of this hub.")


def free(
    connection: models.Connection, table: Table, value: str, typed: str, rows: Any, who: str, *, may_add: bool
) -> tuple[int, models.Run | None]:
    """Say what a value of theirs is here, by key or name, and try again what of ``rows`` waited for it, in one run. (how many, the run).
    Raises NeedsOwner when there is no such value of ours and it may not be added."""
    ours, subject = ours_of(table), str(table.subject)
    key = ours.key(typed)
    if key is None and (table.ours or not may_add):
        raise NeedsOwner(NO_CHOICE if table.ours else NOT_IN_BOOKS, value=typed)
    with transaction.atomic():
        key = make(subject, typed, connection, who) if key is None else key
        mappings.decide(connection, subject, table.direction, {value: key}, who)
    waiting = rows.filter(direction="in", waiting_kind=MAPPING, waiting_id=f"{subject}:{value}"[:300])
    ids = list(waiting.order_by("pk").values_list("pk", flat=True))
    if not ids:
        return 0, None
    args = {"parked": ids, "freed_by": [value, ours.label(key)]}
    name = f"retry-parked:{mark(ids)}"
    return len(ids), jobs.ask(connection, ["retry-parked"], trigger="retry", who=who, args=args, key=name)


def reasons_that_say(words: str, known: Sequence[Mapping[str, Any]] | None = None) -> list[str]:
    """Of parked records, whoever sees them, the reasons whose sentence, in the reader's language, holds every one of the words; ``known``:
    the groups of those that are meant, where they are counted already."""
    wanted = [word.casefold() for word in words.split()]
    rows = models.Parked.objects.order_by()
    if known is None or len(known) >= MOST:
        # By the columns that an index begins with: by the reason alone the whole table would be sorted.
        known = rows.values(*SAME[: SAME.index("reason") + 1]).annotate(sample=Max("pk"))
    samples = dict(islice(((row["reason"], row["sample"]) for row in known), MOST))
    texts = dict(rows.filter(pk__in=samples.values()).values_list("reason", "text"))
    return [reason for reason, text in texts.items() if all(word in without_facts(text).casefold() for word in wanted)]


def as_kept(word: str) -> list[str]:
    """A word as JSON keeps it: PostgreSQL as it is, SQLite with its letters escaped or not."""
    return list(dict.fromkeys((word, json.dumps(word, ensure_ascii=db.vendor == "sqlite")[1:-1])))
