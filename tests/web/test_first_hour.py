"""The first hour: from an empty hub to a first exchange, step by step, each of which can be left and come back to."""

from __future__ import annotations

import html
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books

from obmen.registry import connectors
from obmen.sandbox.retailcrm import serve
from obmen.store import connections, models, notes
from obmen.web import first_hour, first_hour_pages
from obmen.work import run as runs

pytestmark = pytest.mark.django_db(transaction=True)
CUP = "11111111-1111-4111-8111-111111111111"
KEY = "sandbox-key"


@pytest.fixture(autouse=True)
def hub(settings: Any, tmp_path: Path) -> None:
    settings.PASSWORD_HASHERS = books.FAST_HASH
    settings.MEDIA_ROOT, settings.OBMEN_HOME, settings.OBMEN_ALLOW_PRIVATE = tmp_path, tmp_path, True


@pytest.fixture
def people() -> books.People:
    return books.people()


@pytest.fixture
def crm() -> Iterator[Any]:
    with serve() as server:
        server.crm.add_offer(CUP, "Чашка", 100, xml_id="УТ-1", article="A-1")
        yield server


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def add(client: Client, what: str, name: str, **more: str) -> Any:
    return client.post(
        "/store/connection/add/", {"what": what, "name": name, "language": "uk", "time_zone": "Europe/Kyiv", **more}
    )


def words(answer: Any) -> str:
    """What a page says, without its tags."""
    text = re.sub(r"<(script|style).*?</\1>", " ", answer.content.decode(), flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def way(one: models.Connection) -> dict[str, str]:
    one.refresh_from_db()
    return {step.key: step.state for step in first_hour.Way(one).steps}


def here(client: Client, one: models.Connection, step: str = "") -> Any:
    return client.get(f"/store/connection/{one.pk}/first-hour/", {"step": step} if step else {})


def go(client: Client, one: models.Connection, what: str, **said: Any) -> Any:
    return client.post(f"/store/connection/{one.pk}/first-hour/{what}/", said, follow=True)


def begun(crm: Any, upto: str = "check", **settings: Any) -> models.Connection:
    """A connection of the CRM, switched off, with the steps before ``upto`` done."""
    values = {"server": crm.url, "api_key": KEY, **settings} if upto != "access" else {}
    one, _password = connections.create("retailcrm", "CRM", settings=values, language="uk")
    models.Connection.objects.filter(pk=one.pk).update(enabled=False)
    one.refresh_from_db()
    if upto not in ("access", "check"):
        connections.check(one)
        one.refresh_from_db()
    return one


def work() -> models.Run:
    return runs.execute_here(models.Run.objects.get(state="waiting"))


# --- choosing ---


def test_systems_stand_in_families_each_with_a_sentence_and_each_can_be_chosen(people: books.People) -> None:
    found = {family["key"]: family for family in first_hour.systems()}
    assert list(found) == ["accounting", "shop", "marketplace", "crm"]
    titles = {key: [card["title"] for card in family["cards"]] for key, family in found.items()}
    assert "1C:Управление торговлей 11, КА 2, ERP 2" in titles["accounting"]
    assert titles["accounting"][-1] == "CommerceML 2"  # what fits anything comes last
    assert titles["crm"] == ["RetailCRM"]
    cards = [card for family in found.values() for card in family["cards"]]
    assert [card["title"] for card in cards if not card["about"]] == []
    page = as_user(people.owner).get("/store/connection/add/").content.decode()
    for card in cards:
        assert f'name="what" value="{card["value"]}"' in page
        key, _sep, profile = card["value"].partition(":")
        assert not profile or profile in connectors()[key].profiles()


def test_an_empty_hub_welcomes_and_its_cards_lead_to_the_choice(people: books.People) -> None:
    welcome = as_user(people.owner).get("/")
    assert "Let us connect your first system" in words(welcome)
    assert 'href="/store/connection/add/?what=commerceml_door%3Aut11"' in welcome.content.decode()
    looking = as_user(people.viewer).get("/")
    assert "ask an owner of this hub" in words(looking)
    assert "/store/connection/add/" not in looking.content.decode()
    page = as_user(people.owner).get("/store/connection/add/", {"what": "retailcrm"}).content.decode()
    assert re.search(r'value="retailcrm" checked', page)
    assert re.search(r'name="name" value="RetailCRM"', page)
    books.connection()
    assert "Let us connect" not in words(as_user(people.owner).get("/"))


# --- the whole way ---


def test_half_an_hour_from_nothing_to_the_first_order(people: books.People, crm: Any) -> None:
    books.states()
    crm.crm.ui.create_order([(CUP, 2)], firstName="Марія", lastName="Шевченко")
    client = as_user(people.owner)

    answer = add(client, "retailcrm", "CRM")
    one = models.Connection.objects.get()
    assert (answer["Location"], one.enabled) == (f"/store/connection/{one.pk}/first-hour/", False)
    assert list(way(one).values()) == ["done", "now", "ahead", "ahead", "ahead", "ahead", "ahead"]
    access = words(here(client, one))
    assert "Administration Integration API access keys Add" in access  # where it is found over there
    assert "Code of the shop" in access

    said = go(client, one, "access", **{"s-server": crm.url, "s-api_key": KEY, "s-site": ""})
    assert [u for u, _status in said.redirect_chain] == [f"/store/connection/{one.pk}/first-hour/"]
    assert way(one) == {"system": "done", "access": "done", "check": "done", "defaults": "now"} | dict.fromkeys(
        ("mapping", "preview", "on"), "ahead"
    )

    said = go(client, one, "defaults")
    states = one.remote_references.filter(subject="order_state").count()
    assert states > 3
    assert f"Statuses: loading ({states})" in words(said)
    assert way(one)["mapping"] == "now"

    page = here(client, one)
    new = re.search(r'name="row" value="new">.*?name="value" value="([^"]*)"', page.content.decode(), flags=re.S)
    assert new
    assert new[1] == "Новий"  # by its name
    assert f"0 of {states}" in words(page)
    rows = one.mappings.filter(subject="order_state", reported=True)
    go(
        client,
        one,
        "mapping",
        table="order_state-in",
        row=["new", *rows.exclude(theirs="new").values_list("theirs", flat=True)],
        value=["Новий", *[""] * (states - 1)],
        decision=["", *["0"] * (states - 1)],
    )
    assert one.mappings.get(subject="order_state", theirs="new", inbound=True).ours == "new"
    assert one.mappings.filter(subject="order_state", taken=False).count() == states - 1
    while way(one)["mapping"] == "now":
        before = first_hour.Way(one).counts
        table = next(name for name, (_mapped, _rows, missing) in before.items() if missing)
        subject = table.rpartition("-")[0]
        rows = one.mappings.filter(subject=subject, reported=True).values_list("theirs", flat=True)
        go(client, one, "mapping", table=table, row=list(rows), value=[""] * len(rows), decision=[""] * len(rows), rest="1")
        assert first_hour.Way(one).counts[table][2] == 0
    assert models.Reference.objects.filter(subject="delivery").exists()  # theirs, taken over as values of ours

    every = ["orders-in", "customers-in", "orders-out", "stock-out", "catalogue-out"]
    go(client, one, "preview", since="2020-01-31", stream=every)
    assert work().state == "needs_owner"  # the catalogue wants a price kind
    page = words(here(client, one))
    assert "It stopped at something that has to be set first" in page
    assert way(one)["preview"] == "now"
    go(client, one, "preview", since="2020-01-31", stream=["orders-in", "orders-out"])
    run = work()
    assert (run.state, run.args["preview"], run.counts["created"]) == ("done", True, 2)
    assert (models.Order.objects.count(), models.Link.objects.filter(connection=one).count()) == (0, 0)
    assert way(one)["on"] == "now"

    plans = here(client, one).content.decode()
    assert "payments out" not in plans.lower()  # its settings do not send any
    data = {f"s{row.pk}-enabled": "on" for row in one.streams.filter(stream__in=("orders-in", "orders-out"))}
    data |= {f"s{row.pk}-plan": "every 5 min" for row in one.streams.all()}
    assert 'value="every 5 min" selected' in plans
    on = [plan.row.stream for plan in here(client, one).context["plans"] if plan.initial["enabled"]]
    assert on == ["orders-in", "orders-out"]  # what was looked at
    go(client, one, "on", start="1", **data)
    one.refresh_from_db()
    assert (one.enabled, one.streams.get(stream="orders-in").schedule) == (True, "every 5 min")
    assert not one.streams.get(stream="stock-out").enabled
    run = work()
    assert (run.state, run.streams, run.asked_by) == ("done", "orders-in,orders-out", "owner")
    assert models.Order.objects.get().state == "new"


# --- access and check ---


def test_a_wrong_key_is_said_and_kept_nowhere_but_in_the_secrets(people: books.People, crm: Any) -> None:
    one = begun(crm, "access")
    client = as_user(people.owner)
    said = go(client, one, "access", **{"s-server": crm.url, "s-api_key": "wrong-key", "s-site": ""})
    assert 'Wrong "apiKey" value' in words(said)
    assert "has not let the hub in yet" in words(said)
    assert b"wrong-key" not in said.content
    again = words(here(client, one))  # it is still said to whoever comes back
    assert 'Wrong "apiKey" value' in again
    assert (way(one)["access"], way(one)["check"], way(one)["defaults"]) == ("done", "now", "ahead")
    go(client, one, "access", **{"s-server": crm.url, "s-api_key": KEY, "s-site": ""})
    assert way(one)["check"] == "done"


def test_an_address_that_is_usually_right_stands_behind_the_rest(people: books.People) -> None:
    one, _password = connections.create("prom", "Shop", profile="prom_ua")
    models.Connection.objects.filter(pk=one.pk).update(enabled=False)
    page = here(as_user(people.owner), one).content.decode()
    before, _summary, behind = page.partition("What usually stays as it is")
    assert 'name="s-token"' in before
    assert 'name="s-address"' not in before
    assert 'name="s-address"' in behind


def test_a_step_that_is_not_reached_yet_shows_the_one_that_is(people: books.People, crm: Any) -> None:
    one = begun(crm, "check")
    for wanted in ("mapping", "on", "nonsense"):
        assert here(as_user(people.owner), one, wanted).context["step"].key == "check"
    assert here(as_user(people.owner), one, "access").context["step"].key == "access"


# --- a system that calls us ---


def test_a_system_that_calls_is_on_at_once_and_its_first_call_is_waited_for(people: books.People) -> None:
    client = as_user(people.owner)
    credentials = add(client, "commerceml_door:ut11", "1C")
    one = models.Connection.objects.get()
    assert one.enabled
    assert "no-store" in credentials["Cache-Control"]
    assert list(way(one)) == ["system", "access", "check", "on"]  # nothing to map yet, and nothing to preview
    page = here(client, one)
    assert page.context["step"].key == "check"
    assert "Администрирование" in words(page)
    part = client.get(f"/store/connection/{one.pk}/first-hour/waiting/")
    assert (part.status_code, "Waiting for the first call" in words(part)) == (200, True)
    models.Connection.objects.filter(pk=one.pk).update(last_call=timezone.now())
    part = client.get(f"/store/connection/{one.pk}/first-hour/waiting/")
    assert (part.status_code, "It has called" in words(part)) == (286, True)
    assert way(one)["on"] == "now"
    data = {f"s{row.pk}-enabled": "on" for row in one.streams.exclude(stream="orders-in")}
    go(client, one, "on", **data)
    assert sorted(one.streams.filter(enabled=False).values_list("stream", flat=True)) == ["orders-in"]
    assert set(one.streams.values_list("schedule", flat=True)) == {""}
    assert way(one)["on"] == "done"


def test_values_that_the_first_call_brought_are_a_step_of_their_own(people: books.People) -> None:
    one, _password = books.door()
    models.Connection.objects.filter(pk=one.pk).update(last_call=timezone.now())
    models.Mapping.objects.create(connection=one, subject="order_state", theirs="N", reported=True)
    assert way(one)["mapping"] == "now"
    assert "1 value came" in words(here(as_user(people.owner), one))
    one.mappings.update(ours="new", reported=False)
    assert "mapping" not in way(one)


# --- leaving and coming back ---


def test_the_pages_of_an_unfinished_connection_say_where_to_go_on(people: books.People, crm: Any) -> None:
    one = begun(crm, "defaults")
    client = as_user(people.viewer)
    card = client.get(f"/store/connection/{one.pk}/change/")
    assert "Set-up: step 4 of 7, Defaults" in words(card)
    models.Connection.objects.filter(pk=one.pk).update(enabled=True)
    assert "Set-up:" not in words(client.get(f"/store/connection/{one.pk}/change/"))


def test_a_connection_that_is_paused_after_an_exchange_is_not_unfinished(people: books.People, crm: Any) -> None:
    one = begun(crm, "defaults")
    assert first_hour.unfinished(one)
    models.Run.objects.create(connection=one, streams="orders-in", state="done", args={"preview": True}, unique_key="p")
    assert first_hour.unfinished(one)  # a preview is no exchange
    models.Run.objects.create(connection=one, streams="orders-in", state="done", unique_key="r")
    assert not first_hour.unfinished(one)


def test_a_step_that_may_wait_is_left_for_later_and_stays_open(people: books.People, crm: Any) -> None:
    one = begun(crm, "defaults")
    client = as_user(people.owner)
    go(client, one, "later", step="defaults")
    assert (way(one)["defaults"], way(one)["mapping"]) == ("later", "done")  # nothing is there to be mapped
    assert way(one)["preview"] == "now"
    assert here(client, one, "defaults").context["step"].key == "defaults"
    assert client.post(f"/store/connection/{one.pk}/first-hour/later/", {"step": "on"}).status_code == 404
    assert way(one)["on"] == "ahead"


# --- all in one go, on the page of a new connection ---


def test_a_key_that_is_entered_at_once_leads_to_the_mapping_and_says_what_was_taken_over(people: books.People, crm: Any) -> None:
    books.states()
    client = as_user(people.owner)
    part = client.get("/store/connection/add/access/", {"what": "retailcrm"}).content.decode()
    assert 'name="s-api_key"' in part
    assert "Administration" in part
    assert 'name="s-' not in client.get("/store/connection/add/access/", {"what": "commerceml_door:ut11"}).content.decode()
    answer = add(client, "retailcrm", "CRM", access="retailcrm", **{"s-server": crm.url, "s-api_key": KEY})
    one = models.Connection.objects.get()
    assert way(one) == {
        "system": "done",
        "access": "done",
        "check": "done",
        "defaults": "done",
        "mapping": "now",
    } | dict.fromkeys(("preview", "on"), "ahead")
    assert "Statuses: loading (" in words(client.get(answer["Location"]))
    assert one.remote_references.filter(subject="order_state").count() > 3
    assert one.enabled is False


def test_a_wrong_key_keeps_the_connection_and_says_why_at_the_check(people: books.People, crm: Any) -> None:
    client = as_user(people.owner)
    answer = add(client, "retailcrm", "CRM", access="retailcrm", **{"s-server": crm.url, "s-api_key": "mistyped"})
    assert "Check the address of the CRM and the API key" in words(client.get(answer["Location"]))
    assert (way(models.Connection.objects.get())["check"], models.RemoteReference.objects.count()) == ("now", 0)


def test_the_key_of_a_system_that_was_chosen_before_is_not_given_to_another(people: books.People, crm: Any) -> None:
    add(
        as_user(people.owner),
        "prom:prom_ua",
        "Prom",
        access="retailcrm",
        **{"s-server": crm.url, "s-api_key": KEY, "s-token": "x"},
    )
    one = models.Connection.objects.get()
    assert (one.connector, one.settings.get("token"), way(one)["access"]) == ("prom", None, "now")


def test_whoever_may_not_add_connections_is_shown_no_part_of_the_page(people: books.People) -> None:
    assert as_user(people.viewer).get("/store/connection/add/access/", {"what": "retailcrm"}).status_code == 403


# --- mapping ---


def test_names_that_are_not_in_the_books_and_may_not_be_added_are_refused_beside_the_row(people: books.People, crm: Any) -> None:
    books.states()
    one = begun(crm, "defaults")
    go(as_user(people.owner), one, "defaults")
    said = go(as_user(people.operator), one, "mapping", table="order_state-in", row=["new"], value=["Свіже"], decision=[""])
    assert "you may not add one" in words(said), words(said)[900:2500]
    assert "Nothing is saved yet" in words(said)
    assert not one.mappings.filter(reported=False).exists()
    assert not models.Reference.objects.filter(name="Свіже").exists()
    go(as_user(people.owner), one, "mapping", table="order_state-in", row=["new"], value=["Свіже"], decision=[""])
    made = models.Reference.objects.get(name="Свіже")
    assert one.mappings.get(theirs="new", subject="order_state", inbound=True).ours == made.key


def test_in_a_table_of_ours_what_is_not_said_yet_is_offered(people: books.People, crm: Any) -> None:
    books.states()
    one = begun(crm, "defaults")
    client = as_user(people.owner)
    go(client, one, "defaults")
    page = client.get(f"/store/connection/{one.pk}/first-hour/", {"step": "mapping", "table": "order_state-out"})
    shown = {row["title"]: row["value"] for row in page.context["table"].shown()}
    assert list(shown) == ["Новий", "Сплачений", "Відправлений", "Виконаний"]
    theirs = one.remote_references.get(subject="order_state", key="new").name
    assert shown["Новий"] == theirs
    go(client, one, "mapping", table="order_state-out", row=["Новий"], value=[theirs], decision=[""])
    row = one.mappings.get(subject="order_state", outbound=True, inbound=False)
    assert (row.ours, row.theirs) == ("new", "new")


def test_what_is_mapped_already_is_shown_with_both_sides(people: books.People, crm: Any) -> None:
    books.states()
    one = begun(crm, "defaults")
    client = as_user(people.owner)
    go(client, one, "defaults")
    go(client, one, "mapping", table="order_state-in", row=["new", "paid"], value=["Новий", ""], decision=["", "0"])
    page = client.get(f"/store/connection/{one.pk}/first-hour/", {"step": "mapping", "table": "order_state-in"})
    theirs = one.remote_references.get(subject="order_state", key="new").name
    assert {"theirs": theirs, "code": "new", "ours": "Новий", "out": False} in page.context["table"].said()
    said = page.content.decode().partition('id="o-said"')[2].partition("</details>")[0]
    assert theirs in said
    assert "Новий" in said
    assert "new</div>" in said


# --- preview and switching on ---


def test_a_date_that_is_none_is_refused_and_nothing_is_asked_for(people: books.People, crm: Any) -> None:
    one = begun(crm, "defaults")
    notes.remember(one, first_hour.NOTE, {"read": "x"})
    client = as_user(people.owner)
    assert "This is no date" in words(go(client, one, "preview", since="yesterday", stream="orders-in"))
    assert not models.Run.objects.exists()
    assert not one.bookmarks.filter(stream="orders-in").exists()


def test_what_was_looked_at_is_where_the_first_exchange_begins(people: books.People, crm: Any) -> None:
    one = begun(crm, "defaults")
    notes.remember(one, first_hour.NOTE, {"read": "x"})
    crm.crm.ui.create_order([(CUP, 1)])
    client = as_user(people.owner)
    go(client, one, "preview", since="2020-01-31", stream="orders-in")
    bookmark = one.bookmarks.get(stream="orders-in").value
    work()
    assert one.bookmarks.get(stream="orders-in").value == bookmark  # a preview moves nothing
    go(client, one, "preview", since="2020-01-31", stream="orders-in")
    assert models.JournalEntry.objects.filter(action="bookmark.set").count() == 1
    assert here(client, one, "preview").context["since"] == "2020-01-31"


def test_a_preview_that_failed_does_not_open_the_last_step(people: books.People, crm: Any) -> None:
    one = begun(crm, "defaults")
    notes.remember(one, first_hour.NOTE, {"read": "x"})
    go(as_user(people.owner), one, "preview", since="", stream="orders-in")
    connections.update(one, {"api_key": "wrong-key"})
    models.Connection.objects.filter(pk=one.pk).update(checked=timezone.now())
    assert work().state == "needs_owner"
    assert (way(one)["preview"], way(one)["on"]) == ("now", "ahead")


def test_a_schedule_that_cannot_be_read_is_said_and_nothing_is_switched_on(people: books.People, crm: Any) -> None:
    one = begun(crm, "defaults")
    notes.remember(one, first_hour.NOTE, {"read": "x", "later": ["preview"]})
    row = one.streams.get(stream="orders-in")
    data = {f"s{r.pk}-plan": "" for r in one.streams.all()}
    data |= {f"s{row.pk}-enabled": "on", f"s{row.pk}-plan": "own", f"s{row.pk}-own": "now and then"}
    said = go(as_user(people.owner), one, "on", start="1", **data)
    assert "“now and then” is no schedule" in words(said)
    one.refresh_from_db()
    assert (one.enabled, models.Run.objects.count(), one.streams.exclude(schedule="").count()) == (False, 0, 0)
    data[f"s{row.pk}-own"] = "at 06:30, 18:00"
    go(as_user(people.owner), one, "on", **data)
    one.refresh_from_db()
    row.refresh_from_db()
    assert (one.enabled, row.schedule, models.Run.objects.count()) == (True, "at 06:30, 18:00", 0)


def test_nothing_switched_on_is_not_taken_for_finished(people: books.People, crm: Any) -> None:
    one = begun(crm, "defaults")
    notes.remember(one, first_hour.NOTE, {"read": "x", "later": ["preview"]})
    data = {f"s{r.pk}-plan": "" for r in one.streams.all()}
    assert "Nothing would be exchanged" in words(go(as_user(people.owner), one, "on", **data))
    one.refresh_from_db()
    assert (one.enabled, one.streams.filter(enabled=False).count()) == (False, 0)


def test_a_format_proposes_schedules_of_its_own(people: books.People) -> None:
    one, _password = connections.create("commerceml_client", "GetMeBack", profile="getmeback")
    models.Connection.objects.filter(pk=one.pk).update(enabled=False, checked=timezone.now())
    one.refresh_from_db()
    way = first_hour.Way(one)
    assert first_hour_pages.planned(way) == {
        "products-out": "every 1 h", "offers-out": "every 1 h", "orders-in": "every 5 min", "orders-out": "every 5 min",
    }  # fmt: skip


# --- who may ---

POSTS = ("access", "check", "defaults", "mapping", "preview", "on", "later")


def test_who_may_only_look_changes_nothing(people: books.People, crm: Any) -> None:
    one = begun(crm, "defaults")
    before = models.Connection.objects.values().get(pk=one.pk)
    viewer = as_user(people.viewer)
    assert here(viewer, one).status_code == 200
    for step in POSTS:
        answer = viewer.post(
            f"/store/connection/{one.pk}/first-hour/{step}/", {"s-server": "x", "step": "defaults", "table": "x"}
        )
        assert (step, answer.status_code) == (step, 403)
    assert models.Connection.objects.values().get(pk=one.pk) == before
    assert (models.Run.objects.count(), one.mappings.count(), notes.recall(one, first_hour.NOTE)) == (0, 0, None)


def test_an_operator_maps_and_looks_but_neither_enters_keys_nor_switches_on(people: books.People, crm: Any) -> None:
    one = begun(crm, "defaults")
    notes.remember(one, first_hour.NOTE, {"read": "x"})
    operator = as_user(people.operator)
    allowed = {step: go(operator, one, step, table="order_state-in", since="", stream="orders-in").status_code for step in POSTS}
    assert {step for step, status in allowed.items() if status != 403} == {"check", "mapping", "preview"}
    one.refresh_from_db()
    assert (one.enabled, one.secrets) == (False, {"api_key": KEY})
    stranger = Client().get(f"/store/connection/{one.pk}/first-hour/")
    assert stranger["Location"].startswith("/login/")


# --- speed ---


@pytest.mark.parametrize("step", ["access", "check", "defaults", "mapping", "preview", "on"])
def test_each_step_costs_twelve_queries_at_most(people: books.People, crm: Any, queries: Any, step: str) -> None:
    books.states()
    one = begun(crm, "defaults", create_payments=True, price_types=True)
    client = as_user(people.owner)
    go(client, one, "defaults")
    notes.remember(one, first_hour.NOTE, {"read": "x", "later": ["mapping", "preview"]})
    assert here(client, one, step).context["step"].key == step
    with queries() as asked:
        here(client, one, step)
    assert len(asked) <= 12, "\n".join(q["sql"][:160] for q in asked)
