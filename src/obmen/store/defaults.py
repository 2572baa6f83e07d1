"""“Read defaults from the format”: what a connection's profile or connector proposes, beside what the connection has.

What a person has set otherwise is told apart from what nobody has touched: a note of the connection keeps which proposals were
taken over, so that a better proposal of a new version replaces the old one, and never an edit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from obmen import registry
from obmen.core.contract import Connector
from obmen.core.records import plain
from obmen.store import notes
from obmen.store.journal import note
from obmen.store.models import Connection, MatchRule, Reference, StreamSetting
from obmen.store.models import Mapping as MappingRow

NOTE = "format-defaults"
Place = tuple[str, str, bool, str]  # subject, their value, inbound, our value where it tells rows apart


@dataclass(frozen=True, slots=True)
class Difference:
    """``area``: setting | stream | match | mapping; ``name``: the field, stream, kind or subject. ``now`` None: there is nothing.

    ``yours``: a person has set it so; taken over only when it is asked for by name. ``lacking``: the value of ours that the
    books do not have; it cannot be taken over.
    """

    id: str
    area: str
    name: str
    now: Any
    wanted: Any
    yours: bool
    theirs: str = ""
    lacking: str = ""


def proposed(connector: type[Connector], profile: str) -> dict[str, Any]:
    """What the profile says, and of what it is silent about, what the connector says; mappings of both."""
    base, own = connector.defaults(), connector.profiles().get(profile, {}) if profile else {}
    return {**base, **own, "mappings": [*base.get("mappings", ()), *own.get("mappings", ())]}


def differences(connection: Connection) -> list[Difference]:
    """Where the connection is not as its format proposes. Raises NeedsOwner when its connector is not there."""
    return [d for d in _compared(connection) if d.now != d.wanted]


def _compared(connection: Connection) -> Iterator[Difference]:
    connector = registry.connector(connection.connector)
    said = proposed(connector, connection.profile)
    known = notes.recall(connection, NOTE) or {}
    for name, wanted in said.get("settings", {}).items():
        if name in connection.settings:  # only what differs from the profile is kept
            yield Difference(f"setting {name}", "setting", name, connection.settings[name], plain(wanted), True)
    if "streams" in said:
        yield from _streams(connection, connector, said["streams"], known)
    for kind, attributes in said.get("match", {}).items():
        now = list(connection.match_rules.filter(kind=kind).order_by("priority", "id").values_list("attribute", flat=True))
        yield _difference(known, f"match {kind}", "match", kind, now or None, list(attributes))
    if said["mappings"]:
        have, keys = _rows(connection), _keys(said["mappings"])
        for row in said["mappings"]:
            yield _mapping(connector, row, known, have, keys)


def _difference(known: Mapping[str, Any], id: str, area: str, name: str, now: Any, wanted: Any, **more: str) -> Difference:
    """Yours: it is not as we left it; what is missing is yours when it had been taken over once, and was removed since."""
    yours = id in known if now is None else known.get(id) != now
    return Difference(id, area, name, now, wanted, yours, **more)


def _streams(
    connection: Connection, connector: type[Connector], on: Collection[str], known: Mapping[str, Any]
) -> Iterator[Difference]:
    rows = dict(connection.streams.values_list("stream", "enabled"))
    for stream in connector.streams:
        yield _difference(known, f"stream {stream}", "stream", stream, rows.get(stream), stream in on)


def _mapping(
    connector: type[Connector],
    row: Mapping[str, Any],
    known: Mapping[str, Any],
    have: Mapping[Place, MappingRow],
    keys: Collection[tuple[str, str]],
) -> Difference:
    subject, theirs, wanted = row["subject"], str(row["theirs"])[:300], _values(row)
    found = have.get(_place(subject, theirs, wanted["inbound"], wanted["ours"]))
    now = None if found is None or found.reported else {name: getattr(found, name) for name in wanted}
    ours = {value for table in connector.tables if table.subject == subject for value, _label in table.ours}
    there = not wanted["ours"] or wanted["ours"] in ours or (subject, wanted["ours"]) in keys
    words = f"{row.get('theirs_name') or theirs} {_ways(wanted)}"
    lacking = "" if there else wanted["ours"]
    return _difference(known, _id(row), "mapping", subject, now, wanted, theirs=words, lacking=lacking)


def _id(row: Mapping[str, Any]) -> str:
    wanted = _values(row)
    id = f"mapping {row['subject']} {_ways(wanted)} {str(row['theirs'])[:300]}"
    return id + ("" if wanted["inbound"] else f" {wanted['ours']}")


def _ways(wanted: Mapping[str, Any]) -> str:
    return "".join(sign for sign, on in (("→", wanted["inbound"]), ("←", wanted["outbound"])) if on)


def _values(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "ours": str(row.get("ours", ""))[:200],
        "inbound": bool(row.get("inbound", True)),
        "outbound": bool(row.get("outbound", True)),
        "taken": bool(row.get("taken", True)),
        "attributes": dict(row.get("attributes", {})),
    }


def _place(subject: str, theirs: str, inbound: bool, ours: str) -> Place:
    """In a table that is asked by their values there is one row of each; elsewhere one of each pair."""
    return subject, theirs, inbound, "" if inbound else ours


def _rows(connection: Connection) -> dict[Place, MappingRow]:
    """All rows of the connection: a format proposes a hundred of them, and a query for each is what a page cannot afford."""
    found: dict[Place, MappingRow] = {}
    for row in connection.mappings.order_by("pk"):
        found.setdefault(_place(row.subject, row.theirs, row.inbound, row.ours), row)
    return found


def _keys(proposed: Collection[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Which of the proposed values of ours the books have, as (subject, key)."""
    wanted = {(row["subject"], _values(row)["ours"]) for row in proposed}
    of = Reference.objects.filter(subject__in={subject for subject, _key in wanted}, key__in={key for _subject, key in wanted})
    return set(of.values_list("subject", "key"))


@transaction.atomic
def apply(connection: Connection, chosen: Collection[str] | None, who: str = "") -> list[Difference]:
    """Take over the differences with these ids; None: all that are nobody's edit. Returns them; again = none.

    Raises NeedsOwner when the connector is not there or a setting is wrong; then nothing is changed.
    """
    from obmen.store import connections  # it begins new connections with us

    connection = Connection.objects.select_for_update(of=("self",)).get(pk=connection.pk)
    said = proposed(registry.connector(connection.connector), connection.profile)
    rows = {_id(row): row for row in said["mappings"]}
    compared = list(_compared(connection))
    known = dict(notes.recall(connection, NOTE) or {})
    taken = []
    for one in compared:
        if one.now != one.wanted:
            if one.lacking or (one.yours if chosen is None else one.id not in chosen):
                continue
            taken.append(one)
            if one.area == "stream":
                plan = connection.streams.filter(stream=one.name).first() or StreamSetting()
                quiet = {"quiet_from": plan.quiet_from, "quiet_to": plan.quiet_to}
                connections.set_stream(connection, one.name, enabled=one.wanted, schedule=plan.schedule, **quiet, who=who)
            elif one.area == "match":
                connection.match_rules.filter(kind=one.name).delete()
                MatchRule.objects.bulk_create(
                    MatchRule(connection=connection, kind=one.name, attribute=attribute, priority=i)
                    for i, attribute in enumerate(one.wanted, 1)
                )
            elif one.area == "mapping":
                _map(connection, rows[one.id], one.wanted)
        if one.area != "setting":
            known[one.id] = one.wanted
    if back := {one.name: None for one in taken if one.area == "setting"}:
        connections.update(connection, back, who)
    if known != (notes.recall(connection, NOTE) or {}):
        notes.remember(connection, NOTE, known)
    if taken:
        counts = Counter(one.area for one in taken)
        facts = {name: counts[area] for name, area in (("settings", "setting"), ("streams", "stream"), ("rules", "match"))}
        note(connection, "defaults.read", who, **facts, rows=counts["mapping"])
    return taken


def _map(connection: Connection, row: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    own = connection.mappings.filter(subject=row["subject"], theirs=str(row["theirs"])[:300])
    found = (
        (own.filter(inbound=True) if wanted["inbound"] else own.filter(inbound=False, ours=wanted["ours"])).order_by("pk").first()
    )
    name = str(row.get("theirs_name", ""))[:500]
    if found is None:
        found = MappingRow(connection=connection, subject=row["subject"], theirs=str(row["theirs"])[:300])
        found.position = connection.mappings.filter(subject=row["subject"]).count() + 1
    found.theirs_name = found.theirs_name or name
    for field, value in wanted.items():
        setattr(found, field, value)
    found.reported = False
    found.save()
