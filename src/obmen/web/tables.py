"""A mapping table of a connection as a form: rows as they are kept, rows as they were posted, what is wrong with them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Q
from django.utils.functional import cached_property
from django.utils.translation import gettext as now_
from django.utils.translation import ngettext

from obmen.core.contract import Column, Table
from obmen.core.records import Subject
from obmen.registry import connectors
from obmen.store import mappings, models
from obmen.web.asking import as_id
from obmen.web.labels import SUBJECTS
from obmen.web.suggest import suggest
from obmen.web.values import Values, make, of_books, of_choices, read_already

UNDECIDED, LOAD, LEAVE_OUT = "", "1", "0"
PAGE = 200  # rows of a table that one page shows; what is not shown is not touched by saving
GENERIC = "mappings"  # the place of the tables of a connector that names none of its own
SUGGESTED_SHOWN = 6


def tables_of_connection(connection: models.Connection) -> list[Table]:
    """The tables that its connector names, else one for each subject that it or the books have values of. One query at the most."""
    kind = connectors().get(connection.connector)
    if kind is None or kind.tables:
        return list(kind.tables) if kind else []
    own = models.Reference.objects.order_by().values_list("subject")
    said = connection.mappings.order_by().values_list("subject").union(connection.remote_references.values_list("subject"), own)
    have = {subject for (subject,) in said}
    return [Table(Subject(s), GENERIC, str(title), "each", by_hand=True) for s, title in SUBJECTS.items() if s in have]


def name_of(table: Table) -> str:
    """Of a table in addresses and in what is posted."""
    return f"{table.subject}-{table.direction}"


def progress(connection: models.Connection, tables: Iterable[Table]) -> dict[str, tuple[int, int]]:
    """{table: (values mapped, values)}, in one query, counted as ``TableForm.mapped`` counts."""
    has = ~Q(ours="") | ~Q(attributes={})
    groups = connection.mappings.order_by().values("subject", "inbound", "outbound", "reported", "taken")
    rows = list(groups.annotate(count=Count("pk"), done=Count("pk", filter=has)))
    found = {}
    for table in tables:
        counts: Counter[str] = Counter()
        for row in rows:
            asked = {"in": row["inbound"], "out": row["outbound"]}.get(table.direction, row["inbound"] or row["outbound"])
            sent = table.direction == "each" and row["outbound"]
            if row["subject"] == table.subject and asked and (row["reported"] or (row["taken"] and _loads(table, row)) or sent):
                counts.update(count=row["count"], done=row["done"])
        found[name_of(table)] = counts["done"], counts["count"]
    return found


def _loads(table: Table, row: Mapping[str, Any]) -> bool:
    return row["inbound"] or table.direction != "each"


def marks(connection: models.Connection) -> dict[str, dict[str, Any]]:
    """{tab: how much of its tables is mapped}, of the tabs that have tables with rows, in one query."""
    kind = connectors().get(connection.connector)
    said = list(kind.tables) if kind and kind.tables else [Table(Subject(s), GENERIC, s, "each") for s in SUBJECTS]
    counts = progress(connection, said)
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for table in said:
        done, count = counts[name_of(table)]
        sums[table.tab].update(done=done, count=count)
    return {
        tab: {**n, "open": n["done"] < n["count"], "words": said_mapped(n["done"], n["count"])}
        for tab, n in sums.items()
        if n["count"]
    }


def said_mapped(done: int, count: int) -> str:
    return ngettext("%(done)s of %(count)s mapped", "%(done)s of %(count)s mapped", count) % {"done": done, "count": count}


class Loaded:
    """What the tables of one page need of the database, in four queries for all of them."""

    def __init__(self, connection: models.Connection, tables: Iterable[Table]) -> None:
        self.connection, self.tables = connection, list(tables)
        self.subjects = {str(t.subject) for t in self.tables} | {
            str(c.subject) for t in self.tables for c in t.columns if c.subject
        }

    @cached_property
    def mappings(self) -> dict[str, list[models.Mapping]]:
        """What nobody has decided on first, what comes most often at its top."""
        found = self._by_subject(self.connection.mappings.order_by("-reported", "position", "pk"))
        return {s: sorted(rows, key=lambda m: (not m.reported, -m.seen_count if m.reported else 0)) for s, rows in found.items()}

    @cached_property
    def remote(self) -> dict[str, list[models.RemoteReference]]:
        return self._by_subject(self.connection.remote_references.order_by("position", "pk"))

    @cached_property
    def references(self) -> dict[str, list[models.Reference]]:
        return self._by_subject(models.Reference.objects.filter(deleted=False).only("subject", "key", "name"))

    @cached_property
    def steps(self) -> dict[tuple[str, str], models.MappingStep]:
        return mappings.steps(self.connection)

    def _by_subject(self, rows: Any) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = defaultdict(list)
        for row in rows.filter(subject__in=self.subjects):
            found[row.subject].append(row)
        return found

    def ours(self, subject: str) -> Values:
        if subject not in set(Subject) or read_already(subject) is not None:
            return of_books(subject)
        return Values((r.key, r.name) for r in self.references.get(subject, ()))


@dataclass(frozen=True, slots=True)
class Look:
    """Which rows of a table a person wants to see: words that they hold, only those that are not mapped, the how-manieth page."""

    words: str = ""
    unmapped: bool = False
    page: int = 1

    @classmethod
    def at(cls, asked: Mapping[str, str], table: str) -> Look:
        """From an address, which names the table that it is about."""
        if asked.get("table") != table:
            return cls()
        page = asked.get("page", "")
        return cls(
            asked.get("q", "").strip(), bool(asked.get("unmapped")), int(page) if re.fullmatch(r"[1-9]\d{0,4}", page) else 1
        )

    def fits(self, row: Row) -> bool:
        text = f"{row.theirs} {row.name} {row.ours}".casefold()
        return (not self.unmapped or row.open) and all(word in text for word in self.words.casefold().split())


@dataclass(slots=True)
class Row:
    """One row with everything as a person reads and types it. ``decision`` is only asked of a row nobody has decided on."""

    theirs: str = ""
    name: str = ""
    ours: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    taken: bool = True
    sent: bool = True
    sent_too: bool = False  # sent, in a table of which each row says so
    reported: bool = False
    decision: str = UNDECIDED
    seen: int = 0
    gone: bool = False
    fixed: bool = False  # their value is a fact, not a choice
    wanted: bool = False  # the one that somebody came for
    problem: str = ""
    pk: int = 0  # of the kept row; 0: there is none yet
    posted: bool = False  # stood on the page that was sent in; others stay as they are
    suggestion: str = ""  # our value that has the same name, while there is none

    @property
    def open(self) -> bool:
        """Whether it is one of those that "12 of 14 mapped" misses."""
        return self.counted and not (self.ours or any(self.attributes.values()))

    @property
    def counted(self) -> bool:
        return self.reported or self.taken or self.sent_too

    @property
    def decided(self) -> bool:
        return not self.reported or bool(self.ours) or any(self.attributes.values()) or self.decision != UNDECIDED

    @property
    def loaded(self) -> bool:
        return self.decision != LEAVE_OUT if self.reported else self.taken

    @property
    def empty(self) -> bool:
        return not (self.theirs or self.name or self.ours or any(self.attributes.values()))


class TableForm:
    """``data`` is what was posted; without it the rows are those that are kept. ``wanted`` is the value that somebody came for, ``look``
    what of the table is shown, ``loaded`` what the page has read for all of its tables."""

    def __init__(
        self,
        connection: models.Connection,
        table: Table,
        data: Any = None,
        wanted: str | None = None,
        look: Look | None = None,
        loaded: Loaded | None = None,
    ) -> None:
        self.connection, self.table, self.look = connection, table, look or Look()
        self.loaded = loaded or Loaded(connection, [table])
        self.id = name_of(table)
        self.title, self.help = now_(table.title), now_(table.help) if table.help else ""
        self.asked_by_ours = table.direction == "out"  # their value is what is chosen then
        self.leaves_out = table.direction in ("in", "each")  # only what comes can be left out
        self.flagged = table.direction == "each"  # each row says whether it is loaded and whether it is sent
        self.loadable = table.tab != GENERIC  # only a connector that names its tables reads their lists
        self.ours = of_choices(table.ours) if table.ours else self.loaded.ours(table.subject)
        remote = self.loaded.remote.get(table.subject, [])
        self.gone = {r.key for r in remote if r.gone}
        self.theirs = Values((r.key, r.name) for r in remote)
        self.offered = [(r.key, self.theirs.label(r.key)) for r in remote if not r.gone]
        self.fresh = {c.name: self.loaded.ours(c.subject) for c in table.columns if c.kind == "reference" and c.subject}
        self.new_values: list[tuple[str, str]] = []
        self.bound = data is not None
        self.removed: list[models.Mapping] = []
        self.rows = self._kept() if data is None else self._merged(data)
        self._suggest(data is not None and bool(data.get(f"{self.id}-accept")))
        if wanted is not None:
            self._come_for(wanted)

    # --- rows ---

    @cached_property
    def kept(self) -> list[models.Mapping]:
        direction = self.table.direction
        return [
            m
            for m in self.loaded.mappings.get(self.table.subject, [])
            if (m.inbound if direction == "in" else m.outbound if direction == "out" else m.inbound or m.outbound)
        ]

    @cached_property
    def known(self) -> set[str]:
        return {m.theirs for m in self.kept}

    def _kept(self) -> list[Row]:
        return [self._row(m) for m in self.kept]

    def _row(self, m: models.Mapping) -> Row:
        return Row(
            pk=m.pk,
            theirs=m.theirs,
            name=m.theirs_name or self.theirs.label(m.theirs),
            ours=self.ours.label(m.ours) if m.ours else "",
            attributes={c.name: self._shown(c, str(m.attributes.get(c.name, ""))) for c in self.table.columns},
            taken=m.taken and (m.inbound or not self.flagged),
            sent=m.outbound,
            sent_too=m.outbound and self.flagged,
            reported=m.reported,
            seen=m.seen_count,
            gone=m.theirs in self.gone,
            fixed=not self.asked_by_ours,
        )

    def _shown(self, column: Column, value: str) -> str:
        return self.fresh[column.name].label(value) if value and column.name in self.fresh else value

    def _merged(self, data: Any) -> list[Row]:
        """The posted rows in the places of those that they were, the new ones at the end. Rows that were not on the page stay."""
        posted = list(self._posted(data))
        shown = data.get(f"{self.id}-shown")
        on_page = {m.pk for m in self.kept} if shown is None else {int(pk) for pk in shown.split() if as_id(pk)}
        by_pk = {row.pk: row for row in posted if row.pk}
        self.removed = [m for m in self.kept if m.pk in on_page and m.pk not in by_pk]
        merged = [by_pk.pop(m.pk) if m.pk in by_pk else self._row(m) for m in self.kept if m.pk in by_pk or m.pk not in on_page]
        return [*merged, *(row for row in posted if not row.pk)]

    def _posted(self, data: Any) -> Iterator[Row]:
        """Rows are named <table>.<number>.<field>; their order on the page is their order in what was posted."""
        pattern = re.compile(re.escape(self.id) + r"\.(\d{1,6})\.(\w[\w.-]*)")
        found: dict[str, dict[str, str]] = {}
        for name in data:
            if match := pattern.fullmatch(name):
                found.setdefault(match[1], {})[match[2]] = data[name].strip()
        kept = {(m.theirs, m.ours): m for m in self.kept}
        by_theirs = {m.theirs: m for m in reversed(self.kept)}
        free = {m.pk for m in self.kept}
        for number, said in found.items():
            if data.get("remove") == f"{self.id}.{number}":
                continue
            theirs = said.get("theirs", "")
            before = kept.get((theirs, self.ours.key(said.get("ours", "")) or "")) or by_theirs.get(theirs)
            named = int(said["row"]) if as_id(said.get("row", "")) else before.pk if before and not self.asked_by_ours else 0
            row = Row(
                pk=named if named in free else 0,
                posted=True,
                theirs=theirs,
                name=said.get("name", ""),
                ours=said.get("ours", ""),
                attributes={c.name: said.get(f"c.{c.name}", "") for c in self.table.columns},
                taken="taken" in said or not self.leaves_out,
                sent="sent" in said or not self.flagged,
                sent_too="sent" in said and self.flagged,
                reported="reported" in said,
                decision=said.get("decision", UNDECIDED),
                seen=before.seen_count if before else 0,
                gone=theirs in self.gone,
                fixed="fixed" in said,
            )
            free.discard(row.pk)
            if not row.empty:
                yield row

    def _suggest(self, accept: bool) -> None:
        """Say which of our values one of theirs probably is; ``accept``: a person has said that all of them are right."""
        self.suggested: dict[str, str] = {}
        if self.asked_by_ours:
            self._suggest_theirs(accept)
            return
        without = [r for r in self.rows if r.theirs and not r.ours and not any(r.attributes.values()) and not r.decided]
        if not without:
            return
        found = suggest([(r.theirs, r.name) for r in without], list(self.ours.labels.items()))
        for row in without:
            if row.theirs in found:
                label = self.ours.label(found[row.theirs])
                self.suggested[row.name or row.theirs] = label
                if accept:
                    row.ours, row.posted = label, True
                else:
                    row.suggestion = label

    def _suggest_theirs(self, accept: bool) -> None:
        """In a table that is asked by ours: values of ours that have no row, with the value of theirs that has the same name."""
        have = {self.ours.key(r.ours) for r in self.rows}
        without = [(key, label) for key, label in self.ours.labels.items() if key and key not in have]
        found = suggest(without, self.offered) if self.offered else {}
        for key, label in without:
            if key in found:
                theirs = found[key]
                self.suggested[label] = self.theirs.label(theirs)
                if accept:
                    self.rows.append(Row(theirs=theirs, name=self.theirs.label(theirs), ours=label, posted=True))

    def _come_for(self, value: str) -> None:
        """Show the row of this value (theirs; ours in a table that is asked by ours), with a new one if there is none."""
        for row in self.rows:
            if value == ((self.ours.key(row.ours) or row.ours) if self.asked_by_ours else row.theirs):
                row.wanted = True
                self.rows.remove(row)  # it stands on the first page, however long the table is
                self.rows.insert(0, row)
                return
        if self.asked_by_ours:
            self.rows.insert(0, Row(ours=self.ours.label(value), wanted=True))
        else:
            self.rows.insert(0, Row(theirs=value, name=self.theirs.label(value), reported=True, fixed=True, wanted=True))

    # --- what a template shows ---

    @cached_property
    def found(self) -> list[Row]:
        """What a page of the table is of: all that was posted, else what was looked for."""
        return [r for r in self.rows if (r.posted if self.bound else self.look.fits(r))]

    @cached_property
    def on_page(self) -> list[Row]:
        if self.bound:
            return self.found
        page = min(self.look.page, self.pages)
        return self.found[(page - 1) * PAGE : page * PAGE]

    @property
    def pages(self) -> int:
        return 1 if self.bound else max(1, -(-len(self.found) // PAGE))

    @property
    def here(self) -> int:
        return min(self.look.page, self.pages)

    @property
    def looked(self) -> bool:
        return bool(self.look.words or self.look.unmapped)

    @property
    def long(self) -> bool:
        """Whether looking for rows is worth its room; with several pages the server looks."""
        return len(self.rows) > 8

    @property
    def paged(self) -> bool:
        return len(self.rows) > PAGE

    def turn(self, page: int) -> str:
        said = {"table": self.id, "q": self.look.words, "unmapped": "1" if self.look.unmapped else "", "page": str(page)}
        return "?" + urlencode({k: v for k, v in said.items() if v}) + f"#{self.id}"

    @property
    def before(self) -> str:
        return self.turn(self.here - 1) if self.here > 1 else ""

    @property
    def after(self) -> str:
        return self.turn(self.here + 1) if self.here < self.pages else ""

    @property
    def shown_ids(self) -> str:
        """Of the kept rows that stand on the page: who removes one of them is told from who has not seen it."""
        if self.bound:
            return " ".join(
                str(n) for n in sorted({*(r.pk for r in self.rows if r.posted and r.pk), *(m.pk for m in self.removed)})
            )
        return " ".join(str(r.pk) for r in self.on_page if r.pk)

    @property
    def suggestions(self) -> list[tuple[str, str]]:
        """(theirs, ours) by their names, or (ours, theirs) in a table that is asked by ours; the first few."""
        return list(self.suggested.items())[:SUGGESTED_SHOWN]

    @property
    def step(self) -> models.MappingStep | None:
        """The save that would be taken back."""
        return self.loaded.steps.get((str(self.table.subject), self.table.direction))

    @property
    def redo(self) -> models.MappingStep | None:
        """The save that was taken back last and would be made once more."""
        return self.loaded.steps.get((str(self.table.subject), mappings.BACK + self.table.direction))

    def shown(self) -> list[tuple[int, Row, list[tuple[Column, str, str, list[tuple[str, str]]]]]]:
        """(number, row, [(column, label, value, choices)]), and an empty row at the end for one more."""
        heads = [(c, now_(c.label), _choices(c)) for c in self.table.columns]
        return [
            (number, row, [(c, label, row.attributes.get(c.name, ""), choices) for c, label, choices in heads])
            for number, row in enumerate([*self.on_page, Row()])
        ]

    def columns(self) -> list[str]:
        return [now_(c.label) for c in self.table.columns]

    def lists(self) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        """(id, [(what is chosen, its code)]) of the lists that can be searched in."""
        yield f"{self.id}-theirs", [(label, key) for key, label in self.offered]
        if not self.table.ours:
            yield f"{self.id}-ours", [(label, key) for key, label in self.ours.labels.items()]
        for name, values in self.fresh.items():
            yield f"{self.id}-{name}", [(label, key) for key, label in values.labels.items()]

    @property
    def counts(self) -> tuple[int, int]:
        """(values that are mapped, values)."""
        counted = [r for r in self.rows if r.counted]
        return sum(not r.open for r in counted), len(counted)

    @property
    def mapped(self) -> str:
        return said_mapped(*self.counts)

    @property
    def unfinished(self) -> bool:
        return any(not r.decided for r in self.rows)

    @property
    def problems(self) -> int:
        return sum(bool(r.problem) for r in self.rows)

    # --- checking and saving ---

    def is_valid(self, may_add: bool) -> bool:
        """Say beside each row what is wrong. ``may_add``: what was typed and is not in the books becomes a value of the books."""
        self.new_values = []
        rest = [r for r in self.rows if not r.posted] if self.bound else []
        seen = {(r.theirs, self._by_ours(r)) for r in rest}
        loaded = {r.theirs for r in rest if self.flagged and r.decided and r.loaded}
        for row in (r for r in self.rows if r.posted or not self.bound):
            row.problem = self._theirs_of(row) or self._values_of(row, may_add)
            identity = (row.theirs, self._by_ours(row))
            if not row.problem and identity in seen:
                row.problem = now_("“%(value)s” stands in the table twice: remove one of the two rows.") % {"value": row.name}
            seen.add(identity)
            if self.flagged and not row.problem and row.decided and row.loaded:
                if row.theirs in loaded:
                    row.problem = now_(
                        "Another row says already what is loaded as “%(value)s”: switch “load” off in one of them."
                    ) % {"value": row.name}
                loaded.add(row.theirs)
        return not self.problems

    def _by_ours(self, row: Row) -> str:
        return self.ours.key(row.ours) or row.ours if self.asked_by_ours or self.flagged else ""

    def _theirs_of(self, row: Row) -> str:
        known = self.known
        if not row.theirs and row.name:
            row.theirs = self.theirs.key(row.name) or (row.name if self.table.by_hand else "")
        if not row.theirs and row.name:
            return now_("They have no value “%(value)s”: load the list from the other system, then choose from it.") % {
                "value": row.name
            }
        if not row.theirs:
            return now_("Choose their value.")
        if not (row.fixed or self.table.by_hand or row.theirs in self.theirs or row.theirs in known):
            return now_("They have no value “%(value)s”: load the list from the other system, then choose from it.") % {
                "value": row.theirs
            }
        row.name = row.name or self.theirs.label(row.theirs)
        return ""

    def _values_of(self, row: Row, may_add: bool) -> str:
        if self.asked_by_ours and not row.ours and not any(row.attributes.values()):
            return now_("Choose our value.")
        typed = [] if not row.ours or self.ours.key(row.ours) is not None else [(self.table.subject, row.ours)]
        if typed and self.table.ours:
            return now_("There is no value “%(value)s” to choose.") % {"value": row.ours}
        for column in self.table.columns:
            value = row.attributes.get(column.name, "")
            if column.name in self.fresh and value and self.fresh[column.name].key(value) is None:
                typed.append((column.subject or self.table.subject, value))
            if column.kind == "choice" and value and value not in {v for v, _label in column.choices}:
                return now_("There is no value “%(value)s” to choose.") % {"value": value}
        if typed and not may_add:
            return now_("The books have no value “%(value)s”, and you may not add one: ask an owner of this hub.") % {
                "value": typed[0][1]
            }
        self.new_values += typed
        return ""

    def save(self, who: str) -> list[str]:
        """Write what ``is_valid`` has passed; the values that changed."""
        for subject, name in dict.fromkeys(self.new_values):
            make(subject, name, self.connection, who)
        stay = {row.theirs for row in self.rows}
        without = [m.theirs for m in self.removed if m.reported and m.theirs not in stay]
        rows = [self._said(r) for r in self.rows]
        return mappings.save(self.connection, self.table.subject, self.table.direction, rows, who, without=without)

    def _said(self, row: Row) -> mappings.MappingRow:
        attributes = {}
        for column in self.table.columns:
            value = row.attributes.get(column.name, "")
            fresh = self.fresh.get(column.name)
            attributes[column.name] = (fresh.key(value) or value[:200]) if fresh and value else value
        ours = self.ours.key(row.ours)
        return mappings.MappingRow(
            theirs=row.theirs,
            theirs_name=row.name,
            ours=row.ours[:200] if ours is None else ours,
            attributes=attributes,
            taken=row.loaded,
            decided=row.decided,
            sent=row.sent,
        )


def _choices(column: Column) -> list[tuple[str, str]]:
    """Of a drop-down; nothing may be chosen unless the column says otherwise."""
    if column.kind != "choice":
        return []
    found = of_choices(column.choices)
    return [*([] if "" in found else [("", "–")]), *found.labels.items()]
