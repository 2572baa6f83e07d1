"""What each system knows of one record, and what it still has to be told: one row for each connection, in one query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.db import connection as db

from obmen import registry
from obmen.core.contract import Connector, NeedsOwner
from obmen.core.records import Kind
from obmen.store import bulk, connections, models, outbox
from obmen.web.timeline import moment
from obmen.web.words import say

COLUMNS = (
    "id", "name", "connector", "profile", "enabled", "settings", "kind", "record", "known_as", "sent_version", "gone", "revision",
    "since", "offered_at", "offers", "again", "parked", "direction", "text", "facts", "tries", "last_at", "stream",
)  # fmt: skip
# Each way to find a link or a parked record is a part of its own that an index answers whole: joined with an OR, SQLite found them by the
# connection alone and walked through a million links and all that is parked.
SQL = """WITH known AS ({links}),
 aside AS (
  SELECT id, connection_id, direction, external_id, text, facts, tries, last_at FROM store_parked
   WHERE connection_id IN (SELECT id FROM store_connection) AND direction = 'out' AND kind IN ({kinds}) AND external_id = %s
  UNION ALL
  SELECT q.id, q.connection_id, q.direction, q.external_id, q.text, q.facts, q.tries, q.last_at
   FROM (SELECT DISTINCT connection_id, external_id FROM known) k JOIN store_parked q
   ON q.connection_id = k.connection_id AND q.direction = 'in' AND q.kind IN ({kinds}) AND q.external_id = k.external_id
 )
 SELECT c.id, c.name, c.connector, c.profile, c.enabled, c.settings, l.kind, l.record_id, l.external_id, l.sent_version, l.gone,
 o.revision, o.since, o.offered_at, o.offers, o.again, p.id, p.direction, p.text, p.facts, p.tries, p.last_at, s.stream
 FROM store_connection c
 LEFT JOIN known l ON l.connection_id = c.id
 LEFT JOIN store_outbox o ON o.connection_id = c.id AND o.kind = %s AND o.record_id = %s
 LEFT JOIN aside p ON p.connection_id = c.id AND (p.direction = 'out' OR p.external_id = l.external_id)
 LEFT JOIN store_streamsetting s ON s.connection_id = c.id AND s.enabled AND s.stream IN ({streams})
 ORDER BY c.name, c.id, l.kind, l.record_id"""
LINKS = """SELECT connection_id, kind, record_id, external_id, sent_version, gone FROM store_link
 WHERE connection_id IN (SELECT id FROM store_connection) AND kind = %s AND record_id = %s"""


COMING = ("products-in", "prices-in", "stock-in", "orders-in", "customers-in")  # streams by which records of a card come


@dataclass(slots=True)
class Known:
    """What they call it. ``address``: of its page in their cabinet; "": not known."""

    id: str
    kind: str
    gone: bool
    address: str


@dataclass(slots=True)
class System:
    id: int
    name: str
    enabled: bool
    known: list[Known] = field(default_factory=list)
    sent_version: int = 0  # the last revision that it was told
    takes: bool = False  # it is told of this order
    waits: dict[str, Any] | None = None  # its row of the outbox
    parked: list[dict[str, Any]] = field(default_factory=list)
    owners: Mapping[str, str] = field(default_factory=dict)  # what its word does to fields of the record (Connector.owners)

    @property
    def page(self) -> str:
        return next((k.address for k in self.known if k.address and not k.gone), "")


def of(kinds: Sequence[str], record_id: int, others: Sequence[tuple[str, int]] = ()) -> list[System]:
    """Those that know the record, that wait to be told of it or are told of such. ``others``: (kind, row) of records that stand on the
    same card, as the offers of a product."""
    links = [(str(kind), record_id) for kind in kinds] + [(str(kind), pk) for kind, pk in others]
    told = (outbox.STREAM_OF[Kind.ORDER], outbox.STATUSES_OUT)
    asked = (*told, *COMING)
    sql = SQL.format(
        links=" UNION ALL ".join([LINKS] * len(links)),
        kinds=", ".join(["%s"] * len(kinds)),
        streams=", ".join(["%s"] * len(asked)),
    )
    named = [str(kind) for kind in kinds]
    values = [*(v for pair in links for v in pair), *named, str(record_id), *named, named[0], record_id, *asked]
    with db.cursor() as cursor:
        cursor.execute(sql, values)
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in cursor.fetchall()]
    found: dict[int, System] = {}
    heard: dict[int, tuple[dict[str, Any], set[str]]] = {}  # who knows this very record: a row of it, its streams that bring such
    for row in rows:
        system = found.setdefault(row["id"], System(row["id"], row["name"], bool(row["enabled"])))
        if row["known_as"] is not None:
            _know(system, Known(row["known_as"], row["kind"], bool(row["gone"]), _page(row)))
        if row["record"] == record_id and row["kind"] in kinds:
            system.sent_version = max(system.sent_version, row["sent_version"] or 0)
            if not row["gone"]:
                heard.setdefault(row["id"], (row, set()))[1].update([row["stream"]] if row["stream"] else [])
        if row["since"] is not None:
            system.waits = {
                "since": moment(row["since"]), "offered_at": moment(row["offered_at"]), "offers": row["offers"], "again": row["again"],
                "revision": row["revision"],
            }  # fmt: skip
        if row["parked"] is not None and row["parked"] not in [p["id"] for p in system.parked]:
            system.parked.append(
                {
                    "id": row["parked"], "direction": row["direction"], "tries": row["tries"], "at": moment(row["last_at"]),
                    "text": say(row["text"], bulk.from_json(row["facts"]) or {}),
                }
            )  # fmt: skip
        if str(kinds[0]) == Kind.ORDER and system.enabled and row["stream"] in told:
            system.takes |= row["stream"] == told[0] or row["known_as"] is not None
    for pk, (row, streams) in heard.items():
        connector = _connector(row) if found[pk].enabled else None
        if connector is not None:
            found[pk].owners = connector.owners(Kind(kinds[0]), streams)
    return [s for s in found.values() if s.known or s.waits or s.parked or s.takes]


def _know(system: System, known: Known) -> None:
    """A product and its only offer are mostly one thing there: an id is said once, best with its page."""
    same = next((k for k in system.known if k.id == known.id), None)
    if same is None:
        system.known.append(known)
    elif known.address and not same.address:
        same.address, same.gone = known.address, known.gone


def _page(row: dict[str, Any]) -> str:
    """Only what a browser can follow: the setting it is made of is entered by a person."""
    connector = _connector(row)
    try:
        address = connector.page_of(Kind(row["kind"]), row["known_as"]) if connector else ""
    except ValueError:
        return ""
    return address if urlsplit(address).scheme in ("http", "https") else ""


def _connector(row: dict[str, Any]) -> Connector | None:
    """Without a hub. None: its format was taken away, or its settings do not fit any more."""
    connection = models.Connection(connector=row["connector"], profile=row["profile"], settings=bulk.from_json(row["settings"]))
    try:
        return registry.connector(row["connector"])(connections.settings_of(connection))
    except (NeedsOwner, ValueError, TypeError):
        return None
