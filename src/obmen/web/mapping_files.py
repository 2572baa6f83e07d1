"""A mapping table as a spreadsheet: CSV out as Excel opens it, CSV in as Excel saves it, with what it would change."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from django.conf import settings as hub
from django.utils import translation
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from obmen.web.tables import LEAVE_OUT, LOAD, UNDECIDED, Row, TableForm

LARGEST = 1_000_000  # bytes of a file
MOST_LINES = 10_000
THEIRS, NAME, OURS, TAKEN, SENT, SEEN = "theirs", "name", "ours", "taken", "sent", "seen"
HEADS = {
    THEIRS: _("their code"),
    NAME: _("their value"),
    OURS: _("our value"),
    TAKEN: _("load"),
    SENT: _("send"),
    SEEN: _("seen"),
}
YES, NO = {"yes", "так", "да", "1", "+", "true", "x", "✓"}, {"no", "ні", "нет", "0", "-", "false", "−"}
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # a spreadsheet would calculate what begins like this


@dataclass(slots=True)
class Change:
    """What a line of the file would do: ``changes`` are (what, before, after), as a person reads them."""

    line: int
    name: str
    new: bool
    changes: list[tuple[str, str, str]]


@dataclass(slots=True)
class Taken:
    """What a file would change, and what of it cannot be taken: (line, why)."""

    changes: list[Change] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)
    same: int = 0
    refused: str = ""  # the file as a whole


# --- out -------------------------------------------------------------------------------------------------------------------


def heads(form: TableForm) -> list[tuple[str, str]]:
    """(what, title) of the columns that a table has."""
    titles: list[tuple[str, str]] = [
        (n, str(HEADS[n])) for n in ((OURS, THEIRS, NAME) if form.asked_by_ours else (THEIRS, NAME, OURS))
    ]
    titles += [(f"c.{c.name}", now_(c.label)) for c in form.table.columns]
    titles += [(TAKEN, str(HEADS[TAKEN]))] if form.leaves_out else []
    titles += [(SENT, str(HEADS[SENT]))] if form.flagged else []
    return [*titles, (SEEN, str(HEADS[SEEN]))]


def written(form: TableForm) -> bytes:
    """UTF-8 with its mark and semicolons: what Excel opens by a double click."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    shown = heads(form)
    writer.writerow([title for _what, title in shown])
    for row in form.rows:
        writer.writerow([_safe(_cell(form, row, what)) for what, _title in shown])
    return out.getvalue().encode("utf-8-sig")


def _cell(form: TableForm, row: Row, what: str) -> str:
    if what.startswith("c."):
        value = row.attributes.get(what[2:], "")
        column = next(c for c in form.table.columns if c.name == what[2:])
        return next((now_(label) or v for v, label in column.choices if v == value), value)
    if what == TAKEN:
        return now_("yes") if row.loaded and row.decided else "" if not row.decided else now_("no")
    if what == SENT:
        return now_("yes") if row.sent else now_("no")
    return str(getattr(row, what)) if what != SEEN or row.seen else ""


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


# --- in --------------------------------------------------------------------------------------------------------------------


def decoded(raw: bytes) -> str:
    """As the programs for spreadsheets save: UTF-8, UTF-16 with its mark, else the Cyrillic of Windows."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", "replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1251", "replace")


def take(form: TableForm, text: str, may_add: bool) -> Taken:
    """Put the lines of a file into the rows of ``form``, which is then as a page would post it: lines that cannot be taken are left
    out of it and named, rows that the file does not name stay."""
    found = Taken()
    try:
        named, lines = _lines(form, text)
    except csv.Error as error:
        found.refused = now_("This is no CSV file: %(why)s") % {"why": error}
        return found
    found.refused = _lacking(form, named, lines)
    if found.refused:
        return found
    form.bound = True
    before = {id(row): row for row in form.rows}
    places = _places(form, lines)
    said: list[tuple[int, int, Row, Row | None]] = []  # (line, place in the table or -1, the row to be, the row that was)
    for (number, cells), place in zip(lines, places, strict=True):
        was = form.rows[place] if place >= 0 else None
        try:
            said.append((number, place, _row(form, cells, was), was))
        except ValueError as error:
            found.problems.append((number, str(error)))
    rows = list(before.values())
    fresh = []
    for number, place, row, was in said:
        changes = _differences(form, was, row)
        if not changes:
            found.same += 1
            continue
        row.posted = True
        fresh.append((number, place, row, was, changes))
        if place >= 0:
            rows[place] = row
    form.rows = [*rows, *(row for _number, place, row, _was, _changes in fresh if place < 0)]
    if not form.is_valid(may_add):
        for number, place, row, was, _changes in fresh:
            if row.problem:
                found.problems.append((number, row.problem))
                if was is not None:
                    rows[place] = was
        form.rows = [*rows, *(row for _number, place, row, _was, _changes in fresh if place < 0 and not row.problem)]
        fresh = [one for one in fresh if not one[2].problem]
        form.is_valid(may_add)
    found.changes = [Change(n, row.name or row.theirs, was is None, changes) for n, _place, row, was, changes in fresh]
    found.problems.sort()
    return found


def _lines(form: TableForm, text: str) -> tuple[set[str], list[tuple[int, dict[str, str]]]]:
    """The columns that the file has, and [(number of the line, {column: cell})] without empty ones. Raises csv.Error."""
    first, _newline, rest = text.partition("\n")
    skipped = 0
    if first.strip().lower().startswith("sep="):  # Excel's own word for the separator
        first, text, skipped = rest.partition("\n")[0], rest, 1
    delimiter = max(";,\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    titles = _titles(form)
    names = [titles.get(cell.strip().casefold(), "") for cell in next(reader, [])]
    lines = []
    for cells in reader:
        if len(lines) > MOST_LINES:
            break
        line = {name: _plain(cell) for name, cell in zip(names, cells, strict=False) if name}
        if any(line.values()):
            lines.append((reader.line_num + skipped, line))
    return {n for n in names if n}, lines


def _titles(form: TableForm) -> dict[str, str]:
    """Titles of the columns in every language of the pages: a file may be saved in one and taken back in another."""
    found = {}
    for code, _name in hub.LANGUAGES:
        with translation.override(code):
            found |= {title.strip().casefold(): what for what, title in heads(form)}
    return found


def _plain(cell: str) -> str:
    cell = cell.strip().replace("\0", "")
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def _lacking(form: TableForm, named: set[str], lines: Sequence[object]) -> str:
    titles = dict(heads(form))
    if OURS not in named or not named & {THEIRS, NAME}:
        return now_("The first line has to name the columns “%(theirs)s” and “%(ours)s”, as a file saved here does.") % {
            "theirs": titles[THEIRS],
            "ours": titles[OURS],
        }
    if not lines:
        return now_("The file has no lines below the names of the columns.")
    if len(lines) > MOST_LINES:
        return now_("The file has more than %(count)s lines: split it.") % {"count": MOST_LINES}
    return ""


def _places(form: TableForm, lines: Iterable[tuple[int, dict[str, str]]]) -> list[int]:
    """For each line the row that it is of, -1 for a new one. First those that are equal in both values, then those of the same value
    by which the table is asked; what a spreadsheet made of a long code is healed by the name."""
    free = dict.fromkeys(range(len(form.rows)))
    said = [(_theirs(form, cells), form.ours.key(cells.get(OURS, "")) or cells.get(OURS, "")) for _number, cells in lines]
    kept = [(row.theirs, form.ours.key(row.ours) or row.ours) for row in form.rows]
    places = [-1] * len(said)
    for by in (lambda pair: pair, lambda pair: pair[1] if form.asked_by_ours else pair[0]):
        where: dict[object, list[int]] = {}
        for place in reversed(list(free)):
            where.setdefault(by(kept[place]), []).append(place)
        for at, pair in enumerate(said):
            if places[at] < 0 and where.get(by(pair)):
                places[at] = where[by(pair)].pop()
                free.pop(places[at])
    return places


def _theirs(form: TableForm, cells: dict[str, str]) -> str:
    code, name = cells.get(THEIRS, ""), cells.get(NAME, "")
    if code and (code in form.known or code in form.theirs):
        return code
    named = {row.theirs for row in form.rows if row.name.casefold() == name.casefold()} if name else set()
    healed = form.theirs.key(name) if name else None
    return healed or (named.pop() if len(named) == 1 else code)


def _row(form: TableForm, cells: dict[str, str], was: Row | None) -> Row:
    """The row as the line says it; a column that the file has not got stays. Raises ValueError with what is wrong."""
    row = replace(was, attributes=dict(was.attributes)) if was else Row(fixed=False)
    theirs = _theirs(form, cells)
    if was is None or form.asked_by_ours:
        row.theirs = theirs or row.theirs
        row.name = form.theirs.label(row.theirs) if row.theirs in form.theirs else cells.get(NAME, "") or row.theirs
    row.ours = cells[OURS] if form.ours.key(cells[OURS]) is None else form.ours.label(form.ours.key(cells[OURS]) or "")
    for column in form.table.columns:
        if f"c.{column.name}" in cells:
            row.attributes[column.name] = _choice(column.choices, cells[f"c.{column.name}"])
    if TAKEN in cells and form.leaves_out:
        taken = _yes(cells[TAKEN], str(HEADS[TAKEN]))
        if row.reported:
            row.decision = UNDECIDED if taken is None else LOAD if taken else LEAVE_OUT
            if row.ours and taken is None:
                row.decision = LOAD
        elif taken is not None:
            row.taken = taken
    if SENT in cells and form.flagged:
        sent = _yes(cells[SENT], str(HEADS[SENT]))
        row.sent = row.sent if sent is None else sent
        row.sent_too = row.sent
    return row


def _choice(choices: Sequence[tuple[str, str]], cell: str) -> str:
    """The value of what a cell calls by its label, in any language."""
    for code, _name in hub.LANGUAGES:
        with translation.override(code):
            for value, label in choices:
                if cell.casefold() in (value.casefold(), now_(label).casefold() if label else ""):
                    return value
    return cell


def _yes(cell: str, title: str) -> bool | None:
    word = cell.casefold()
    if word and word not in YES | NO:
        raise ValueError(now_("“%(value)s” in “%(title)s”: write yes or no.") % {"value": cell, "title": title})
    return word in YES if word else None


def _differences(form: TableForm, was: Row | None, row: Row) -> list[tuple[str, str, str]]:
    return [
        (title, before, after)
        for what, title in heads(form)
        if what != SEEN
        for before, after in [(_cell(form, was, what) if was else "", _cell(form, row, what))]
        if before != after and (was or (what not in (TAKEN, SENT) and (what != NAME or row.name != row.theirs)))
    ]
