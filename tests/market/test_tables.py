"""The table of statuses: every row says for itself whether it is loaded and sent (seed 000: F21)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import QueryDict
from django.test import Client

from market.kit import Hub
from obmen.core.contract import Mapped
from obmen.core.records import Reference, Subject
from obmen.market.orders_settings import ORDER_TABLES
from obmen.store import connections, mappings, models
from obmen.store.mappings import MappingRow
from obmen.web.connector_tabs import mapping_url
from obmen.web.tables import TableForm

pytestmark = pytest.mark.django_db

STATES = ORDER_TABLES[0]


def rows(hub: Hub) -> list[tuple[str, str, bool, bool, bool]]:
    """(theirs, ours, asked by theirs, loaded, sent) of what somebody has decided on."""
    found = hub.connection.mappings.filter(subject=Subject.ORDER_STATE, reported=False).order_by("position", "pk")
    return [(m.theirs, m.ours, m.inbound, m.inbound and m.taken, m.outbound) for m in found]


def saved(hub: Hub, *wanted: MappingRow) -> list[str]:
    return mappings.save(hub.connection, Subject.ORDER_STATE, "each", wanted)


def test_each_row_has_its_own_flags_and_a_status_may_be_sent_for_several_states(hub: Hub) -> None:
    saved(
        hub,
        MappingRow("new", ours="New", sent=False),
        MappingRow("received", ours="Packed", taken=False),
        MappingRow("received", ours="Accepted"),
        MappingRow("done", ours="Done", taken=False),
        MappingRow("held", taken=False, sent=False),
        MappingRow("held", ours="Nothing", taken=False, sent=False),
    )
    assert rows(hub) == [
        ("new", "New", True, True, False),
        ("received", "Packed", False, False, True),
        ("received", "Accepted", True, True, True),
        ("done", "Done", True, False, True),
        ("held", "", True, False, False),
    ]
    asked = connections.hub_of(hub.connection)
    assert asked.incoming(Subject.ORDER_STATE, "received") == Mapped("received", "Accepted")
    assert asked.incoming(Subject.ORDER_STATE, "done") == Mapped("done", "Done", {}, taken=False)
    assert [m.theirs for m in asked.outgoing(Subject.ORDER_STATE, "Packed")] == ["received"]
    assert asked.outgoing(Subject.ORDER_STATE, "New") == ()


def test_the_same_rows_again_change_nothing_and_flags_move_between_rows(hub: Hub) -> None:
    wanted = [MappingRow("received", ours="Accepted"), MappingRow("received", ours="Packed", taken=False)]
    saved(hub, *wanted)
    assert saved(hub, *wanted) == []
    assert saved(hub, MappingRow("received", ours="Accepted", taken=False), MappingRow("received", ours="Packed")) != []
    assert rows(hub) == [("received", "Accepted", False, False, True), ("received", "Packed", True, True, True)]
    assert saved(hub, MappingRow("received", ours="Packed")) == ["received"]
    assert rows(hub) == [("received", "Packed", True, True, True)]


def test_what_nobody_has_decided_on_stays_until_somebody_does(hub: Hub) -> None:
    mappings.report(hub.connection, Subject.ORDER_STATE, "custom-7", "Мій статус")
    saved(hub, MappingRow("new", ours="New"), MappingRow("custom-7", decided=False))
    assert models.Mapping.objects.get(theirs="custom-7").reported
    saved(hub, MappingRow("new", ours="New"), MappingRow("custom-7", ours="Packed", sent=False))
    assert rows(hub)[1] == ("custom-7", "Packed", True, True, False)


def test_a_list_that_is_loaded_brings_rows_to_be_decided_on_and_starting_over_clears_all(hub: Hub) -> None:
    saved(hub, MappingRow("new", ours="New"), MappingRow("new", ours="Fresh", taken=False))
    theirs = [Reference(Subject.ORDER_STATE, "new", "Нове"), Reference(Subject.ORDER_STATE, "custom-7", "Мій статус")]
    counts = mappings.refresh(hub.connection, Subject.ORDER_STATE, theirs, "ann", "each")
    assert (counts["new"], len(rows(hub))) == (2, 2)
    assert models.Mapping.objects.get(theirs="custom-7").reported
    assert mappings.start_over(hub.connection, Subject.ORDER_STATE, "each", "ann") == 3
    assert not hub.connection.mappings.filter(subject=Subject.ORDER_STATE).exists()


def test_the_table_goes_through_a_file_as_it_is(hub: Hub, tmp_path: Path) -> None:
    saved(
        hub,
        MappingRow("received", ours="Packed", taken=False),
        MappingRow("received", ours="Accepted"),
        MappingRow("new", ours="New", sent=False),
        MappingRow("done", ours="Done", taken=False, attributes={"cancel": "yes"}),
    )
    before = rows(hub)
    file = tmp_path / "kit.toml"
    file.write_text(connections.export_toml(hub.connection))
    saved(hub, MappingRow("received", ours="Other", taken=False))
    connections.apply_toml(file)
    assert sorted(rows(hub)) == sorted(before)
    assert [r.ours for r in mappings.rows(hub.connection, Subject.ORDER_STATE, "out") if r.theirs == "received"] == [
        "Packed",
        "Accepted",
    ]
    text = connections.export_toml(hub.connection)
    connections.apply_toml(file)
    assert connections.export_toml(hub.connection) == text


# --- on its page -----------------------------------------------------------------------------------------------------------


def posted(*said: dict[str, str]) -> QueryDict:
    data = QueryDict(mutable=True)
    for number, fields in enumerate(said):
        for name, value in fields.items():
            data[f"order_state-each.{number}.{name}"] = value
    return data


def row(theirs: str, ours: str, **flags: Any) -> dict[str, str]:
    return {"theirs": theirs, "name": theirs, "ours": ours, **{name: "on" for name, on in flags.items() if on}}


def test_the_page_shows_both_flags_of_a_row_and_saves_them(hub: Hub) -> None:
    form = TableForm(hub.connection, STATES)
    assert {(r.theirs, r.taken, r.sent) for r in form.rows} >= {
        ("new", True, False),
        ("received", True, True),
        ("paid", False, False),
    }
    form = TableForm(
        hub.connection,
        STATES,
        posted(row("new", "New", taken=1), row("received", "Packed", sent=1), row("received", "Accepted", taken=1)),
    )
    assert form.is_valid(may_add=True)
    form.save("ann")
    assert rows(hub) == [
        ("new", "New", True, True, False),
        ("received", "Packed", False, False, True),
        ("received", "Accepted", True, True, False),
    ]
    assert [(r.theirs, r.ours, r.taken, r.sent) for r in TableForm(hub.connection, STATES).rows] == [
        ("new", "New", True, False),
        ("received", "Packed", False, True),
        ("received", "Accepted", True, False),
    ]


def test_a_status_that_two_rows_would_load_is_refused_beside_the_row(hub: Hub) -> None:
    form = TableForm(hub.connection, STATES, posted(row("received", "Packed", taken=1), row("received", "Accepted", taken=1)))
    assert not form.is_valid(may_add=True)
    assert [r.problem for r in form.rows] == [
        "",
        "Another row says already what is loaded as “received”: switch “load” off in one of them.",
    ]
    form = TableForm(hub.connection, STATES, posted(row("received", "Packed", sent=1), row("received", "Packed", sent=1)))
    assert not form.is_valid(may_add=True)
    assert "stands in the table twice" in form.rows[1].problem


def test_a_new_status_is_decided_on_with_both_flags(hub: Hub) -> None:
    mappings.report(hub.connection, Subject.ORDER_STATE, "custom-7", "Мій статус")
    said = {**row("custom-7", "", sent=1), "reported": "1", "decision": "0"}
    form = TableForm(hub.connection, STATES, posted(said))
    assert form.is_valid(may_add=True)
    form.save("ann")
    assert rows(hub) == [("custom-7", "", True, False, True)]


def test_a_value_that_came_from_traffic_is_mapped_in_this_table(hub: Hub) -> None:
    assert mapping_url(hub.connection, "order_state", "custom-7", "in") == (
        f"/store/connection/{hub.connection.pk}/tab/orders/?table=order_state-each&value=custom-7"
    )
    form = TableForm(hub.connection, STATES, wanted="custom-7")
    assert (form.rows[0].theirs, form.rows[0].reported, form.rows[0].wanted) == ("custom-7", True, True)


def test_the_tab_of_orders_shows_and_saves_the_flags(hub: Hub) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("ann"), backend="django.contrib.auth.backends.ModelBackend")
    url = f"/store/connection/{hub.connection.pk}/tab/orders/"
    shown = client.get(url).content.decode()
    boxes = re.findall(r'name="order_state-each\.(\d+)\.(taken|sent)" (?:data-taken )?(checked)?', shown)
    assert boxes[:4] == [("0", "taken", "checked"), ("0", "sent", ""), ("1", "taken", "checked"), ("1", "sent", "checked")]
    data = posted({**row("new", "New", taken=1, sent=1), "fixed": "1"}, {**row("done", "Done"), "fixed": "1"})
    data["tables"] = "order_state-each"
    assert client.post(url, data.dict()).status_code == 302
    assert rows(hub) == [("new", "New", True, True, True), ("done", "Done", True, False, False)]
