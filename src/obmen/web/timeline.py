"""The time line of a record's card: what systems, people and runs did with it, as sentences in the reader's language.

Orders and payments have their steps (store/timeline.py). What is older than those, and the history of goods, is told by versions,
their runs and the journal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import connection as db
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from obmen.core.records import Kind
from obmen.store import bulk, models
from obmen.store.models import Step
from obmen.web import labels
from obmen.web.words import say

SHOWN = 200  # of each sort, the newest
CHANGE, ENTRY, STEP = 1, 2, 3  # what a row is
TOLD_BY_STEPS = ("order.delivered", "order-news")  # entries of the journal that say what a step or a version says
TONES = {
    Step.What.CAME: "info",
    Step.What.DELIVERED: "success",
    Step.What.SENT: "success",
    Step.What.REFUSED: "danger",
    Step.What.OFFERED: "",
    Step.What.NOTHING: "",
}


@dataclass(slots=True)
class Event:
    """One line. ``fields`` are (field, old, new); ``connection`` and ``run`` are ids where they can be turned to."""

    at: datetime
    text: str
    tone: str = ""
    connection: int | None = None
    run: int | None = None
    who: str = ""
    revision: int = 0
    fields: list[tuple[str, Any, Any]] = field(default_factory=list)
    detail: str = ""
    repeated: str = ""  # how often, in words; the last time at ``last``
    last: datetime | None = None
    system: str = ""
    order: int = 0  # among those of one moment


@dataclass(slots=True)
class Said:
    """Whose word a field of the record is: a system's name, or a person's."""

    system: str
    who: str
    at: datetime


@dataclass(slots=True)
class Line:
    events: list[Event]
    said: Mapping[str, Said]  # by field
    more: bool = False  # older ones are not shown


def line(
    kinds: Sequence[str],
    record_id: int,
    *,
    payments: Mapping[int, str] | None = None,
    source: models.Connection | None = None,
    states: Mapping[str, str] | None = None,
    journal: bool = True,
    newest_first: bool = True,
) -> Line:
    """The time line of one record, in one query. ``payments``: of an order, {row: number}; ``source``: where it came from, for what is
    older than steps; ``states``: names of order states; ``journal``: whether the reader may see what people did."""
    rows = _rows(kinds, record_id, payments or {}, journal)
    steps = [r for r in rows if r["sort"] == STEP]
    changes = [r for r in rows if r["sort"] == CHANGE]
    entries = [r for r in rows if r["sort"] == ENTRY]
    more = any(len(part) > SHOWN for part in (steps, changes, entries))
    steps, changes, entries = steps[:SHOWN], changes[:SHOWN], entries[:SHOWN]
    own = {s["revision"]: s for s in steps if s["what"] in (Step.What.CAME, Step.What.CHANGED) and s["kind"] not in ("payment",)}
    news = {e["at"]: e for e in entries if e["what"] == "order-news"}
    events = [_changed(c, own.get(c["revision"]), news.get(c["at"]), source, states or {}) for c in changes]
    known: set[str] = {s["system"] for s in steps if s["what"] == Step.What.CAME}
    written = {c["revision"] for c in changes}
    for s in reversed(steps):
        if s["what"] in (Step.What.CAME, Step.What.CHANGED):
            if s["kind"] != "payment" and s["revision"] not in written:
                events.append(_changed({**s, "data": {}}, s, None, source, states or {}))
            continue
        events.append(_step(s, known, payments or {}))
    told = {(s["connection"], s["revision"]) for s in steps if s["what"] == Step.What.DELIVERED}
    for e in entries:
        if e["what"] == "order-news" or (
            e["what"] == "order.delivered" and (e["connection"], (e["data"] or {}).get("revision")) in told
        ):
            continue
        events.append(_entry(e))
    events.sort(key=lambda e: (e.at, e.order), reverse=newest_first)
    return Line(events, _said(events), more)


COLUMNS = (
    "sort", "id", "at", "last", "times", "connection", "system", "run", "revision", "what", "who", "external", "kind", "record", "text",
    "data",
)  # fmt: skip
# Each part by its own index; a plain UNION of sliced queries SQLite does not take.
CHANGES = """SELECT 1, c.id, c.at, c.at, 1, r.connection_id, n.name, r.id, c.version, '', '', '', c.record_kind, c.record_id, '', c.changes
 FROM store_recordchange c LEFT JOIN store_run r ON r.id = c.run_id LEFT JOIN store_connection n ON n.id = r.connection_id
 WHERE c.record_kind IN ({kinds}) AND c.record_id = %s ORDER BY c.id DESC LIMIT {limit}"""
ENTRIES = """SELECT 2, j.id, j.at, j.at, 1, j.connection_id, n.name, CAST(NULL AS bigint), 0, j.action, j.who, '', j.record_kind,
 j.record_id, '', j.facts FROM store_journalentry j LEFT JOIN store_connection n ON n.id = j.connection_id
 WHERE j.record_kind IN ({kinds}) AND j.record_id = %s{only} ORDER BY j.id DESC LIMIT {limit}"""
STEPS = """SELECT 3, s.id, s.at, s.last, s.times, s.connection_id, coalesce(n.name, s.system), r.id, s.revision, s.what, s.who,
 s.external_id, s.record_kind, s.record_id, s.text, s.facts
 FROM store_step s LEFT JOIN store_run r ON r.id = s.run_id LEFT JOIN store_connection n ON n.id = s.connection_id
 WHERE (s.record_kind IN ({kinds}) AND s.record_id = %s){payments} ORDER BY s.id DESC LIMIT {limit}"""


def _rows(kinds: Sequence[str], record_id: int, payments: Mapping[int, str], journal: bool) -> list[dict[str, Any]]:
    """Versions, entries of the journal and steps, each newest first, in one statement."""
    asked = [*(str(kind) for kind in kinds), record_id]
    words = {"kinds": ", ".join(["%s"] * len(kinds)), "limit": SHOWN + 1, "only": "", "payments": ""}
    values: list[Any] = [*asked, *asked]
    if not journal:
        words["only"] = f" AND j.action IN ({', '.join(['%s'] * len(TOLD_BY_STEPS))})"
        values += TOLD_BY_STEPS
    values += asked
    if payments:
        words["payments"] = f" OR (s.record_kind = %s AND s.record_id IN ({', '.join(['%s'] * len(payments))}))"
        values += [str(Kind.PAYMENT), *payments]
    named = (("c", CHANGES), ("j", ENTRIES), ("s", STEPS))
    parts = (f"SELECT * FROM ({part.format(**words)}) AS {name}" for name, part in named)  # noqa: S608
    with db.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), values)
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in cursor.fetchall()]
    for row in rows:
        row["at"], row["last"] = moment(row["at"]), moment(row["last"])
        row["data"] = bulk.from_json(row["data"]) or {}
        row["times"], row["revision"] = int(row["times"]), int(row["revision"])
    return sorted(rows, key=lambda row: -row["id"])


def moment(value: Any) -> datetime | None:
    """A moment of a raw query, which SQLite gives as text."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    at: datetime | None = value
    return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)


def _changed(
    change: Mapping[str, Any],
    step: Mapping[str, Any] | None,
    news: Mapping[str, Any] | None,
    source: models.Connection | None,
    states: Mapping[str, str],
) -> Event:
    """A version, with the step that says whose it was; before there were steps the run or the journal says it."""
    at, system, connection, who = change["at"], change["system"] or "", change["connection"], ""
    if step is not None:
        system, connection, who = step["system"] or "", step["connection"], step["who"]
    elif news is not None and not system:
        system, connection = news["system"] or news["who"], news["connection"]
    elif change["revision"] == 1 and source is not None:
        system, connection = source.name, source.pk
    run = change["run"] or (step["run"] if step else None)
    fields = [(name, *_pair(values)) for name, values in change["data"].items()]
    fields = [
        (n, states.get(str(old), old), states.get(str(new), new)) if n == "state" else (n, old, new) for n, old, new in fields
    ]
    first = change["revision"] == 1 or (step is not None and step["what"] == Step.What.CAME)
    here = step is not None and not system  # without a step nobody knows whose change an old one was
    event = Event(at, "", connection=connection, run=run, who=who, revision=change["revision"], fields=fields)
    if first:
        event.text = (
            _("came from {system}").format(system=system)
            if system
            else _("was entered here")
            if here
            else _("came into the books")
        )
        event.tone, event.order = "info", -1
    elif [name for name, _old, _new in fields] == ["state"]:
        event.text = _("{system} set “{state}”") if system else _("“{state}” was set here") if here else _("set to “{state}”")
        event.text = event.text.format(system=system, state=fields[0][2] or "–")
    else:
        event.text = _("{system} changed it").format(system=system) if system else _("changed here") if here else _("changed")
    event.system = system
    return event


def _pair(values: Any) -> tuple[Any, Any]:
    return (values[0], values[1]) if isinstance(values, list) and len(values) == 2 else (None, values)


def _step(step: Mapping[str, Any], known: set[str], payments: Mapping[int, str]) -> Event:
    """``known``: systems of which it was said already what the record is called there."""
    what, system = step["what"], step["system"] or ""
    facts = {"system": system, "id": step["external"]}
    if what == Step.What.OFFERED:
        text = _("offered to {system}")
    elif what == Step.What.DELIVERED:
        text = _("{system} confirmed it")
    elif what == Step.What.REFUSED:
        text = _("could not be sent to {system}")
    elif what == Step.What.NOTHING:
        text = _("nothing to send to {system}: it has all of it, or the settings leave it out")
    elif step["external"] and step["kind"] != Kind.PAYMENT and system not in known:
        text = _("sent to {system} as {id}")
        known.add(system)
    else:
        text = _("sent to {system}")
    event = Event(
        step["at"], text.format(**facts), TONES.get(what, ""), step["connection"], step["run"], step["who"], step["revision"]
    )
    if step["kind"] == Kind.PAYMENT:
        event.text = _("payment {number}: {text}").format(number=payments.get(step["record"], ""), text=event.text)
    if step["text"]:
        event.detail = say(step["text"], step["data"])
    if step["times"] > 1:
        again = ngettext("%(count)s time", "%(count)s times", step["times"]) % {"count": step["times"]}
        event.repeated, event.last = again, step["last"]
    event.order, event.system = 1, system
    return event


def _entry(entry: Mapping[str, Any]) -> Event:
    event = Event(entry["at"], labels.deed(entry["what"], entry["data"]), "", entry["connection"], None, entry["who"], order=2)
    event.system = entry["system"] or ""
    return event


def _said(events: Iterable[Event]) -> dict[str, Said]:
    """Of each field whose word was the last; ``""`` holds whose the record was at first."""
    said: dict[str, Said] = {}
    for event in sorted(events, key=lambda e: (e.at, e.order)):
        for name, _old, _new in event.fields:
            said[name] = Said(event.system, event.who, event.at)
        if not event.fields and event.order == -1:
            said.setdefault("", Said(event.system, event.who, event.at))
    return said
