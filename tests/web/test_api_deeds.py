"""What people do on the pages, done by programs: previews are decided, tables taken back, connections added and removed, notices set up."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books
from api_caller import EVERYTHING, Caller

import caller
from caller import World, order
from obmen.core.records import Subject
from obmen.store import connections, mappings, models
from obmen.store.mappings import MappingRow
from obmen.web.api import access
from obmen.work import jobs, notices
from obmen.work import run as runs

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh(settings: Any, tmp_path: Path) -> None:
    settings.PASSWORD_HASHERS = books.FAST_HASH
    settings.MEDIA_ROOT = tmp_path
    access.pace.forget()


@pytest.fixture
def people() -> books.People:
    return books.people()


@pytest.fixture
def owner(people: books.People) -> Caller:
    return Caller(people.owner)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return caller.install(monkeypatch)


@pytest.fixture
def shop(world: World) -> models.Connection:
    """A system that we call, with states that are mapped both ways."""
    one, _password = connections.create("caller", "Shop", settings={"address": "shop", "api_key": "SECRET-KEY"})
    mappings.save(one, Subject.ORDER_STATE, "in", [MappingRow("new", ours="Accepted"), MappingRow("done", ours="Done")])
    return one


def limited(people: books.People) -> Caller:
    models.Person.objects.update_or_create(user=people.operator, defaults={"companies": ["Моя"]})
    return Caller(people.operator)


def deeds() -> list[str]:
    return list(models.JournalEntry.objects.order_by("id").values_list("action", flat=True))


# --- previews --------------------------------------------------------------------------------------------------------------


def previewed(owner: Caller, shop: models.Connection) -> int:
    """A preview of orders 1, 2 and 3, through its end."""
    asked = owner.post(f"/connections/{shop.pk}/runs", {"streams": ["orders-in"], "preview": True}, status=202).json()
    assert runs.execute_here(models.Run.objects.get(pk=asked["id"])).state == "done"
    return int(asked["id"])


@pytest.fixture
def three(world: World) -> None:
    for key in ("1", "2", "3"):
        world.change(order(key))


def test_a_preview_is_read_decided_and_carried_out(owner: Caller, shop: models.Connection, three: None) -> None:
    run = previewed(owner, shop)
    rows = {row["name"]: row for row in owner.every(f"/runs/{run}/results", kind="order")}
    assert {name: (row["outcome"], row["decidable"], row["skipped"]) for name, row in rows.items()} == {
        f"{n}C": ("created", True, False) for n in (1, 2, 3)
    }
    assert rows["2C"]["changes"]["number"] == [None, "2C"]
    said = owner.post(f"/runs/{run}/decisions", {"skip": True, "ids": [rows["2C"]["id"]]}).json()
    before = owner.get(f"/runs/{run}/preview").json()
    assert (said["changed"], said["skipped"], before["skipped"], before["decided"]) == (1, 1, 1, None)
    assert [row["name"] for row in owner.every(f"/runs/{run}/results", decision="skipped")] == ["2C"]
    assert owner.post(f"/runs/{run}/decisions", {"skip": True, "ids": [rows["2C"]["id"]]}).json()["changed"] == 0
    wrong = owner.post(f"/runs/{run}/carry-out", {"accepted": before["accepted"] + 1}, status=409).json()
    assert (wrong["code"], models.Order.objects.count()) == ("other_count", 0)
    carried = owner.post(f"/runs/{run}/carry-out", {"accepted": before["accepted"]}, status=202).json()
    assert owner.post(f"/runs/{run}/carry-out", {}, status=202).json()["id"] == carried["id"]
    assert runs.execute_here(models.Run.objects.get(pk=carried["id"])).state == "done"
    assert sorted(models.Order.objects.values_list("number", flat=True)) == ["1C", "3C"]
    assert owner.post(f"/runs/{run}/carry-out", {}, status=202).json()["id"] == carried["id"], "it is done once"
    decided = owner.get(f"/runs/{run}/preview").json()["decided"]
    assert (decided["skipped"], decided["run"], decided["who"].startswith("owner (API: ")) == (1, carried["id"], True)
    refused = owner.post(f"/runs/{run}/decisions", {"skip": False}, status=409).json()
    assert (refused["code"], refused["remedy"]) == ("already_decided", "Make a new preview and decide on that one.")


def test_nothing_is_decided_on_a_preview_that_has_not_ended(owner: Caller, shop: models.Connection, three: None) -> None:
    """What it finds after the decision would be accepted by nobody."""
    run = previewed(owner, shop)
    models.Run.objects.filter(pk=run).update(state="running")
    said = owner.post(f"/runs/{run}/decisions", {"skip": True}, status=422).json()
    assert said["detail"] == "Only a preview that has come to its end can be carried out: wait for it, or make it again"
    page = Client()
    page.force_login(User.objects.get(username="owner"))
    assert page.post(f"/store/run/{run}/preview/decide/", {"skip_all": "1"}).status_code == 302
    models.Run.objects.filter(pk=run).update(state="done")
    assert owner.get(f"/runs/{run}/preview").json()["skipped"] == 0


def test_all_that_fit_are_skipped_and_accepted_again(owner: Caller, shop: models.Connection, three: None) -> None:
    run = previewed(owner, shop)
    assert owner.post(f"/runs/{run}/decisions", {"skip": True, "field": "number"}).json()["changed"] == 3
    assert owner.post(f"/runs/{run}/decisions", {"skip": False, "q": "3C"}).json()["changed"] == 1
    assert [row["name"] for row in owner.every(f"/runs/{run}/results", decision="accepted", field="number")] == ["3C"]
    assert owner.post(f"/runs/{run}/decisions", {"skip": True, "outcome": "updated"}).json()["changed"] == 0


def test_who_sees_some_companies_decides_for_nobody(people: books.People, owner: Caller, shop: Any, three: None) -> None:
    run, half = previewed(owner, shop), limited(people)
    assert [row["name"] for row in half.every(f"/runs/{run}/results", kind="order")] == []
    for address, body in (("decisions", {"skip": True}), ("carry-out", {})):
        said = half.post(f"/runs/{run}/{address}", body, status=403).json()
        assert (said["code"], said["detail"]) == (
            "missing_permission",
            "Who sees only some companies cannot decide on the records of all.",
        )
    assert (models.RunResult.objects.filter(skipped=True).count(), models.Run.objects.count()) == (0, 1)


def test_what_is_no_preview_says_how_to_get_one(owner: Caller, shop: models.Connection, three: None) -> None:
    ordinary = runs.execute_here(jobs.ask(shop, ["orders-in"], trigger="person"))
    for ask in (lambda a: owner.get(a, status=422), lambda a: owner.post(a.replace("preview", "carry-out"), {}, status=422)):
        said = ask(f"/runs/{ordinary.pk}/preview").json()
        assert (said["code"], said["detail"]) == (
            "refused",
            f"This run is no preview: ask for one with POST /runs/{ordinary.pk}/preview.",
        )
    look = owner.post(f"/runs/{ordinary.pk}/preview", status=202).json()
    again = owner.post(f"/runs/{ordinary.pk}/again", status=202).json()
    assert (look["preview"], again["preview"], look["streams"], again["streams"]) == (True, False, ["orders-in"], ["orders-in"])
    assert owner.post(f"/runs/{ordinary.pk}/again", status=202).json()["id"] == again["id"]


def test_a_run_that_its_limit_has_stopped_is_allowed_once_when_that_is_confirmed(owner: Caller, shop: models.Connection) -> None:
    fine = books.finished_run(shop, streams="orders-in", unique_key="a")
    assert owner.post(f"/runs/{fine.pk}/allow", {"confirm": True}, status=422).json()["detail"] == (
        "This run was not stopped by its limit of changes"
    )
    stopped = books.finished_run(
        shop, state="needs_owner", streams="orders-in", unique_key="b", text="Too much", facts={"guard": "orders-in"}
    )
    asked = owner.post(f"/runs/{stopped.pk}/allow", {}, status=409).json()
    assert (asked["code"], asked["detail"]) == (
        "confirm_first",
        "Let this run change as much as it likes? Too much The limit stays for every later run.",
    )
    assert models.Run.objects.filter(state="waiting").count() == 0
    run = owner.post(f"/runs/{stopped.pk}/allow", {"confirm": True}, status=202).json()
    assert models.Run.objects.get(pk=run["id"]).args == {"over_guard": True}
    models.Run.objects.filter(pk=run["id"]).update(state="done")
    late = owner.post(f"/runs/{stopped.pk}/allow", {"confirm": True}, status=422).json()
    assert late["detail"].startswith(f"Run {run['id']} has done these streams since")


def test_traffic_is_read_and_a_load_that_is_gone_says_so(people: books.People, owner: Caller, shop: models.Connection) -> None:
    call = shop.messages.create(call="POST type=catalog&mode=file&filename=a.xml", session="s1", answer="success")
    [row] = owner.every("/messages", connection=shop.pk)
    assert (row["call"], row["status"], row["answer"]) == ("POST type=catalog&mode=file&filename=a.xml", 200, "success")
    refused = owner.post(f"/messages/{call.pk}/replay", status=422).json()
    assert refused["detail"].startswith("No received file of this call is kept any more")
    half = limited(people)
    assert half.every("/messages") == []
    half.post(f"/messages/{call.pk}/replay", status=404)


# --- runs with a choice ----------------------------------------------------------------------------------------------------


def test_a_run_reads_from_a_moment_and_goes_on_from_it_if_that_is_wanted(owner: Caller, shop: models.Connection) -> None:
    moment = "2026-11-01T00:00:00Z"
    once = owner.post(f"/connections/{shop.pk}/runs", {"streams": ["orders-in"], "since": moment}, status=202).json()
    assert models.Run.objects.get(pk=once["id"]).args == {"since": "2026-11-01T00:00:00+00:00"}
    assert shop.bookmarks.count() == 0
    body = {"streams": ["orders-in"], "since": moment, "go_on": True, "each": True}
    kept = owner.post(f"/connections/{shop.pk}/runs", body, status=202).json()
    assert models.Run.objects.get(pk=kept["id"]).args == {"each": True}
    assert (shop.bookmarks.count(), deeds()[-1]) == (1, "bookmark.set")


def test_a_run_sends_just_the_goods_that_are_named(owner: Caller, shop: models.Connection) -> None:
    first, second, *_rest = books.goods(books.connection())
    body = {"streams": ["stock-out"], "goods": [second.pk], "articles": ["КВ-250"]}
    run = owner.post(f"/connections/{shop.pk}/runs", body, status=202).json()
    assert models.Run.objects.get(pk=run["id"]).args == {"goods": [second.pk, first.pk]}
    assert owner.post(f"/connections/{shop.pk}/runs", body, status=202).json()["id"] == run["id"]
    said = owner.post(f"/connections/{shop.pk}/runs", {"goods": [10**9], "articles": ["none"]}, status=422).json()
    assert [(e["where"], e["message"]) for e in said["errors"]] == [
        ("body.goods.0", "There is no such product."),
        ("body.articles.0", "No product is called “none”."),
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"only": ["1"], "since": "2026-11-01T00:00:00Z"}, "Say only one of these: only, since, goods or articles."),
        ({"streams": ["stock-out"], "only": ["1"]}, "These streams cannot be read from a moment or by ids: stock-out."),
        ({"streams": ["orders-in"], "articles": ["КВ-250"]}, "These streams send no goods: orders-in."),
    ],
)
def test_wishes_that_do_not_go_together_start_nothing(owner: Caller, shop: models.Connection, body: Any, said: str) -> None:
    books.goods(books.connection())
    before = models.Run.objects.count()
    refused = owner.post(f"/connections/{shop.pk}/runs", body, status=422).json()
    assert (refused["code"], refused["detail"][: len(said)], models.Run.objects.count()) == ("refused", said, before)


def test_the_limit_of_changes_of_a_stream_is_set_and_lifted(owner: Caller, shop: models.Connection) -> None:
    address = f"/connections/{shop.pk}/streams/orders-in"
    assert owner.patch(address, {"guard": 30}).json()["guard"] == 30
    assert owner.patch(address, {"schedule": "every 15 min"}).json()["guard"] == 30
    assert owner.patch(address, {"guard": None}).json()["guard"] is None
    for wrong in (0, 101):
        assert owner.patch(address, {"guard": wrong}, status=422).json()["errors"][0]["where"].startswith("body.guard")
    assert shop.streams.get(stream="orders-in").guard is None


def test_the_end_of_a_pause_begins_what_waited(owner: Caller, shop: models.Connection) -> None:
    told: list[int] = []
    forget = jobs.add_messenger(told.append)
    owner.put(f"/connections/{shop.pk}/pause", {"until": "2199-01-01T00:00:00Z"})
    run = jobs.ask(shop, ["orders-in"], trigger="schedule")
    owner.put(f"/connections/{shop.pk}/pause", {"until": None})
    forget()
    assert told == [run.pk]


# --- connections -----------------------------------------------------------------------------------------------------------


def test_a_connection_is_added_renamed_copied_and_removed(owner: Caller, world: World) -> None:
    body = {"connector": "commerceml_door", "profile": "ut11", "name": "1C", "language": "uk", "time_zone": "Europe/Kyiv"}
    made = owner.post("/connections", body, status=201)
    said = made.json()
    one = models.Connection.objects.get(name="1C")
    assert (made["Location"], said["address"], said["login"]) == (
        f"/api/v1/connections/{one.pk}",
        "http://testserver/exchange/1c/",
        "1c",
    )
    assert one.account is not None
    assert one.account.check_password(said["password"])
    twice = owner.post("/connections", body, status=409).json()
    assert (twice["code"], models.Connection.objects.count()) == ("name_taken", 1)
    assert owner.patch(f"/connections/{one.pk}", {"name": "1C main"}).json()["address_name"] == "1c"
    copied = owner.post(f"/connections/{one.pk}/copy", {"name": "1C second"}, status=201).json()
    second = models.Connection.objects.get(pk=copied["connection"]["id"])
    assert (second.enabled, second.profile, copied["password"] is not None) == (False, "ut11", True)
    assert owner.patch(f"/connections/{second.pk}", {"name": "1C main"}, status=409).json()["code"] == "name_taken"
    asked = owner.delete(f"/connections/{second.pk}", status=409).json()
    assert asked["detail"].startswith("Remove the connection “1C second”? Its settings, mappings, links")
    owner.delete(f"/connections/{second.pk}?confirm=1C", status=409)
    run = books.running_run(second)
    assert owner.delete(f"/connections/{second.pk}?confirm=1C second", status=409).json()["code"] == "running"
    run.delete()
    owner.delete(f"/connections/{second.pk}?confirm=1C second", status=204)
    owner.delete(f"/connections/{second.pk}?confirm=1C second", status=404)
    assert list(models.Connection.objects.values_list("name", flat=True)) == ["1C main"]
    assert [d for d in deeds() if d.startswith("connection.")] == [
        "connection.made",
        "connection.changed",
        "connection.made",
        "connection.copied",
        "connection.removed",
    ]


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ({"connector": "none", "name": "A"}, "refused", "none"),
        ({"connector": "commerceml_door", "profile": "none", "name": "A"}, "refused", "has no profile “none”"),
        ({"connector": "caller", "name": "A", "time_zone": "Moon"}, "refused", "There is no time zone “Moon”"),
        ({"connector": "caller", "name": "A", "settings": {"none": 1}}, "refused", "none"),
        ({"connector": "commerceml_door", "name": "A", "login": "viewer"}, "invalid", "there are: –"),
    ],
)
def test_a_connection_that_cannot_be_added_says_why(owner: Caller, world: World, body: Any, code: str, said: str) -> None:
    refused = owner.post("/connections", body, status=422).json()
    assert refused["code"] == code
    assert said in (refused["detail"] or refused["errors"][0]["message"])
    assert models.Connection.objects.count() == 0


def test_a_connection_that_we_call_is_added_switched_off(owner: Caller, world: World) -> None:
    kinds = {kind["connector"]: kind for kind in owner.get("/connectors").json()}
    assert (kinds["caller"]["calls_out"], kinds["commerceml_door"]["calls_out"]) == (True, False)
    said = owner.post("/connections", {"connector": "caller", "name": "Shop", "settings": {"api_key": "k"}}, status=201).json()
    assert (said["address"], said["login"], said["password"]) == ("", "", None)
    assert models.Connection.objects.get().enabled is False


def test_passwords_and_logins_are_changed(owner: Caller) -> None:
    one, old = books.door("1C")
    address = f"/connections/{one.pk}"
    assert owner.post(f"{address}/password", {}, status=409).json()["code"] == "confirm_first"
    assert one.account is not None
    new = owner.post(f"{address}/password", {"confirm": True}).json()["password"]
    one.account.refresh_from_db()
    assert (one.account.check_password(old), one.account.check_password(new)) == (False, True)
    anna = User.objects.create_user("anna", is_staff=True)
    anna.user_permissions.add(books_permission("import_commerceml"))
    said = owner.put(f"{address}/login", {"login": "anna"}).json()
    assert (said["login"], said["password"]) == ("anna", None)
    assert owner.post(f"{address}/password", {"confirm": True}, status=422).json()["detail"].startswith("“anna” is an employee")
    assert owner.put(f"{address}/login", {"login": None}).json()["password"] is not None


def books_permission(codename: str) -> Any:
    from django.contrib.auth.models import Permission

    return Permission.objects.get(codename=codename)


def test_rules_defaults_limits_and_values_of_the_books(owner: Caller, shop: models.Connection) -> None:
    address = f"/connections/{shop.pk}"
    rules = [{"kind": "product", "attribute": "article", "priority": 2}, {"kind": "product", "attribute": "code", "priority": 1}]
    assert [r["attribute"] for r in owner.put(f"{address}/rules", {"rules": rules}).json()] == ["code", "article"]
    twice = owner.put(f"{address}/rules", {"rules": [rules[0], rules[0]]}, status=422).json()
    assert twice["errors"][0]["where"] == "body.rules.1.attribute"
    assert shop.match_rules.count() == 2
    assert owner.patch(f"{address}/limits", {"silent_after": 6}).json()["silent_after"] == 6
    assert owner.patch(f"{address}/limits", {"parked_limit": 9}).json() == {"silent_after": 6, "parked_limit": 9}
    for found in (owner.post("/references", {"subject": "order_state", "name": "Ready"}, status=201) for _i in range(2)):
        assert (found.json()["key"], found.json()["name"]) == ("Ready", "Ready")
    assert models.Reference.objects.filter(subject="order_state", key="Ready").count() == 1
    owner.get(f"{address}/defaults")
    said = owner.post(f"{address}/defaults", {"take": ["setting none"]}).json()
    assert said == {"changed": [], "retried": []}


def test_settings_are_carried_to_a_file_and_back_after_a_look(owner: Caller, shop: models.Connection) -> None:
    address = f"/connections/{shop.pk}"
    file = owner.post(f"{address}/export", {}).json()
    assert (file["name"], "SECRET-KEY" in file["text"]) == ("shop.toml", False)
    owner.patch(f"{address}/streams/orders-in", {"schedule": "every 15 min"})
    look = owner.post(f"{address}/restore", {"text": file["text"]}).json()
    assert (look["applied"], [c["old"] for c in look["changes"]]) == (False, ["yes, every 15 min"])
    assert shop.streams.get(stream="orders-in").schedule == "every 15 min"
    assert owner.post(f"{address}/restore", {"text": file["text"], "apply": True}).json()["applied"] is True
    assert shop.streams.get(stream="orders-in").schedule == ""
    assert owner.post(f"{address}/restore", {"text": "nonsense"}, status=422).json()["code"] == "refused"
    locked = owner.post(f"{address}/export", {"passphrase": "of our own"}).json()["text"]
    assert ("SECRET-KEY" in locked, "[secrets]" in locked) == (False, True)


def test_secret_addresses_are_made_anew_once_that_is_confirmed(owner: Caller) -> None:
    crm, _password = connections.create("retailcrm", "CRM", settings={"server": "demo.example.com", "api_key": "KEY"})
    row = crm.feeds.create(name="icml.xml", token="OLD-TOKEN")
    [feed] = owner.get(f"/connections/{crm.pk}/feeds").json()
    assert (feed["name"], "OLD-TOKEN" in str(feed)) == ("icml.xml", False)
    for address in (f"/connections/{crm.pk}/feeds/{row.pk}/address", f"/connections/{crm.pk}/hook"):
        assert owner.post(address, {}, status=409).json()["code"] == "confirm_first"
        new = owner.post(address, {"confirm": True}).json()["address"]
        assert new.startswith("http://testserver/")
        assert "OLD-TOKEN" not in new


# --- mapping tables --------------------------------------------------------------------------------------------------------


def test_a_save_of_a_table_is_taken_back_once(owner: Caller, shop: models.Connection) -> None:
    address = f"/connections/{shop.pk}"
    owner.post("/references", {"subject": "order_state", "name": "Paid"}, status=201)
    owner.patch(f"{address}/mappings/order_state", {"rows": [{"theirs": "new", "ours": "Paid"}]})
    table = next(t for t in owner.get(f"{address}/tables").json() if t["table"] == "order_state-in")
    step = table["last_save"]
    assert (table["mapped"], table["values"], step["rows"], step["who"].startswith("owner (API: ")) == (2, 2, 1, True)
    assert owner.post(f"{address}/tables/order_state-in/undo", {"step": step["id"]}).json() == {"values": 1}
    assert shop.mappings.get(theirs="new").ours == "Accepted"
    again = owner.post(f"{address}/tables/order_state-in/undo", {"step": step["id"]}, status=422).json()
    assert again["detail"] == "There is no save of this table to take back"
    assert shop.mappings.count() == 2
    taken = next(t for t in owner.get(f"{address}/tables").json() if t["table"] == "order_state-in")["taken_back"]
    assert owner.post(f"{address}/tables/order_state-in/redo", {"step": taken["id"]}).json() == {"values": 1}
    assert shop.mappings.get(theirs="new").ours == "Paid"
    owner.post(f"{address}/tables/order_state-in/redo", {"step": taken["id"]}, status=422)
    owner.get(f"{address}/tables/none-in/csv", status=404)


def test_a_table_goes_to_a_spreadsheet_and_back_after_a_look(owner: Caller, shop: models.Connection) -> None:
    address = f"/connections/{shop.pk}/tables/order_state-in"
    for name in ("Accepted", "Done"):
        owner.post("/references", {"subject": "order_state", "name": name}, status=201)
    answer = owner.get(f"{address}/csv")
    text = answer.content.decode("utf-8-sig")
    assert (answer["Content-Type"], "new;" in text) == ("text/csv; charset=utf-8", True)
    changed = text.replace("Accepted", "Done")
    look = owner.put(f"{address}/csv", {"text": changed}).json()
    assert (look["applied"], look["same"], [c["name"] for c in look["changes"]]) == (False, 1, ["new"])
    assert shop.mappings.get(theirs="new").ours == "Accepted"
    assert owner.put(f"{address}/csv", {"text": changed, "apply": True}).json()["applied"] is True
    assert shop.mappings.get(theirs="new").ours == "Done"
    assert owner.put(f"{address}/csv", {"text": changed, "apply": True}).json()["applied"] is False
    assert owner.put(f"{address}/csv", {"text": "nonsense"}, status=422).json()["errors"][0]["where"] == "body.text"
    row = shop.mappings.get(theirs="new")
    owner.delete(f"{address}/rows/{row.pk}", status=204)
    owner.delete(f"{address}/rows/{row.pk}", status=404)
    assert list(shop.mappings.values_list("theirs", flat=True)) == ["done"]


# --- parked ----------------------------------------------------------------------------------------------------------------


def test_a_group_of_parked_records_is_freed_by_one_mapping(people: books.People, owner: Caller, shop: models.Connection) -> None:
    owner.post("/references", {"subject": "order_state", "name": "Paid"}, status=201)
    facts = {"subject": "order_state", "value": "paid"}
    for i in range(3):
        waits = {"waiting_kind": "mapping", "waiting_id": "order_state:paid"}
        books.parked(shop, f"o-{i}", text="“{value}” is not mapped", facts=facts, **waits)
    [group] = owner.get("/parked/groups").json()
    assert (group["remedy"], group["subject"], group["value"], group["suggestion"], group["count"]) == (
        "map",
        "order_state",
        "paid",
        "Paid",
        3,
    )
    assert len(owner.every("/parked", waits_for=group["waits_for"])) == 3
    body = {"connection": shop.pk, "subject": "order_state", "value": "paid", "ours": "Paid"}
    one_scope = Caller(people.admin, "settings.write").post("/parked/map", body, status=403).json()
    assert (one_scope["code"], models.Run.objects.count()) == ("missing_scope", 0)
    wrong = owner.post("/parked/map", body | {"ours": "none"}, status=422).json()
    assert wrong["errors"][0]["message"].startswith(
        "The books have no such value: take one of GET /references?subject=order_state"
    )
    add = Caller(people.operator).post("/parked/map", body | {"ours": "none", "add": True}, status=422).json()
    assert add["detail"] == "The books have no value “none”, and you may not add one: ask an owner of this hub."
    assert not shop.mappings.filter(theirs="paid").exists()
    assert owner.post("/parked/map", body | {"subject": "none"}, status=422).json()["errors"][0]["where"] == "body.subject"
    freed = owner.post("/parked/map", body, status=202).json()
    assert (freed["count"], len(freed["runs"]), shop.mappings.get(theirs="paid").ours) == (3, 1, "Paid")
    assert owner.post("/parked/map", body, status=202).json() == freed


def test_a_record_that_fits_two_cards_is_one_of_them_or_a_new_one(people: books.People, owner: Caller) -> None:
    node = books.connection()
    first, second, *_rest = books.goods(node)
    row = books.parked(node, "prod-77", facts={"attribute": "article", "value": "A", "candidates": [first.pk, second.pk]})
    assert [c["name"] for c in owner.get(f"/parked/{row.pk}/candidates").json()] == [first.name, second.name]
    asked = owner.post(f"/parked/{row.pk}/join", {"card": first.pk}, status=409).json()
    assert asked["detail"].startswith(f"For this connection the card is “{first.key}” already. Is it “prod-77” instead?")
    assert not models.Link.objects.filter(external_id="prod-77").exists()
    said = owner.post(f"/parked/{row.pk}/join", {"card": first.pk, "confirm": True}, status=202).json()
    assert (said["count"], models.Link.objects.get(external_id="prod-77").record_id) == (1, first.pk)
    owner.post(f"/parked/{row.pk}/new", status=202)
    assert models.Run.objects.get(args__new=True).args["parked"] == [row.pk]
    plain = books.parked(node, "prod-78")
    assert owner.post(f"/parked/{plain.pk}/new", status=422).json()["code"] == "refused"
    blind = User.objects.create_user("blind", is_staff=True)
    blind.user_permissions.add(*(books_permission(p) for p in ("view_parked", "retry_parked")))
    Caller(blind).get(f"/parked/{row.pk}/candidates", status=403)


def test_parked_orders_of_other_companies_are_not_there(people: books.People, shop: models.Connection) -> None:
    row = books.parked(shop, "o-1", kind="order", facts={"candidates": [1], "site_id": "9"})
    half = limited(people)
    half.get(f"/parked/{row.pk}/candidates", status=404)
    half.post(f"/parked/{row.pk}/join", {"card": 1}, status=404)
    half.post(f"/parked/{row.pk}/new", status=404)


# --- orders ----------------------------------------------------------------------------------------------------------------


def test_the_same_wish_sends_an_order_once(owner: Caller) -> None:
    crm, _password = connections.create("retailcrm", "CRM", settings={"server": "demo.example.com", "api_key": "KEY"})
    crm.streams.update(enabled=False)
    crm.streams.filter(stream="orders-out").update(enabled=True)
    one = books.order()

    def ask(key: str) -> int:
        models.Outbox.objects.all().delete()
        told = owner.post(f"/orders/{one.pk}/resend", {}, headers={"idempotency-key": key}).json()["told"]
        assert told == [{"id": crm.pk, "name": "CRM"}]
        return models.Outbox.objects.count()

    assert [ask("a"), ask("a"), ask("b"), ask("")] == [1, 0, 1, 1]
    assert deeds().count("order.resent") == 3


# --- notices ---------------------------------------------------------------------------------------------------------------


def test_a_channel_of_notices_is_made_changed_tried_and_removed(owner: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"chat": "-100500", "token": "123456:ABC-DEF_ghi123"}
    body = {"way": "telegram", "name": "Team", "language": "en", "settings": settings}
    made = owner.post("/notices/channels", body, status=201).json()
    row = models.NoticeChannel.objects.get()
    assert (made["connections"], made["settings"], row.secrets) == (
        None,
        {"chat": "-100500", "api": ""},
        {"token": settings["token"]},
    )
    assert "123456:ABC" not in owner.get("/notices/channels").content.decode()
    assert owner.post("/notices/channels", body, status=422).json()["errors"][0]["where"] == "body.name"
    changed = owner.patch(f"/notices/channels/{row.pk}", {"quiet_from": "22:00", "quiet_to": "08:00", "wants": ["run"]}).json()
    assert (changed["quiet_from"], changed["wants"], changed["name"]) == ("22:00", ["run"], "Team")
    wrong = owner.patch(f"/notices/channels/{row.pk}", {"settings": {"chat": "no chat"}}, status=422).json()
    assert wrong["errors"][0]["where"] == "body.settings.chat"
    row.refresh_from_db()
    assert (row.secrets["token"], row.settings["chat"]) == (settings["token"], "-100500")
    one = books.connection("1C")
    assert owner.patch(f"/notices/channels/{row.pk}", {"connections": [one.pk]}).json()["connections"] == [
        {"id": one.pk, "name": "1C"}
    ]
    monkeypatch.setattr(notices, "_try", lambda _channel, _rows: ("taken as 7", None))
    assert owner.post(f"/notices/channels/{row.pk}/test").json() == {"sent": True, "answer": "taken as 7"}
    [log] = owner.every("/notices", channel=row.pk)
    assert (log["news"], log["state"], log["answer"]) == ("test", "sent", "taken as 7")
    assert owner.post(f"/notices/{log['id']}/again", status=409).json()["detail"] == "It was sent already, or is dropped."
    owner.delete(f"/notices/channels/{row.pk}", status=409)
    owner.delete(f"/notices/channels/{row.pk}?confirm=true", status=204)
    assert [d for d in deeds() if d.startswith("notices.")] == [
        "notices.made",
        "notices.changed",
        "notices.changed",
        "notices.tested",
        "notices.removed",
    ]


def test_the_secret_of_a_webhook_that_the_hub_makes_is_told_once(owner: Caller) -> None:
    body = {"way": "webhook", "name": "Hook", "settings": {"target": "https://hooks.example.com/secret-path"}}
    made = owner.post("/notices/channels", body, status=201).json()
    row = models.NoticeChannel.objects.get()
    assert (made["secret"], made["settings"]) == (row.secrets["secret"], {"host": "hooks.example.com"})
    assert owner.patch(f"/notices/channels/{row.pk}", {"enabled": False}).json()["secret"] is None
    unknown = owner.patch(f"/notices/channels/{row.pk}", {"settings": {"chat": "1"}}, status=422).json()
    assert unknown["errors"][0]["message"] == "There is no such setting; there are: secret_value, target."


# --- who may ---------------------------------------------------------------------------------------------------------------

CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("post", "/connections", {"connector": "caller", "name": "New"}),
    ("patch", "/connections/{shop}", {"name": "Other"}),
    ("delete", "/connections/{shop}?confirm=Shop", {}),
    ("post", "/connections/{shop}/copy", {"name": "Copy"}),
    ("put", "/connections/{shop}/rules", {"rules": []}),
    ("post", "/connections/{shop}/export", {}),
    ("post", "/connections/{shop}/tables/order_state-in/undo", {"step": 1}),
    ("put", "/connections/{shop}/tables/order_state-in/csv", {"text": "a", "apply": True}),
    ("patch", "/connections/{shop}/limits", {"silent_after": 1}),
    ("patch", "/connections/{shop}/streams/orders-in", {"guard": 1}),
    ("post", "/references", {"subject": "order_state", "name": "X"}),
    ("post", "/notices/channels", {"way": "telegram", "name": "T"}),
    ("post", "/parked/map", {"connection": 1, "subject": "order_state", "value": "a", "ours": "b"}),
]


@pytest.mark.parametrize(("method", "address", "body"), CHANGES)
def test_a_viewer_changes_nothing_whatever_the_token(
    people: books.People, shop: models.Connection, method: str, address: str, body: Any
) -> None:
    before = (deeds(), models.Connection.objects.count(), shop.mappings.count())
    ask: Callable[..., Any] = getattr(Caller(people.viewer, *EVERYTHING), method)
    assert ask(f"{address.format(shop=shop.pk)}", body, status=403).json()["code"] == "missing_permission"
    assert (deeds(), models.Connection.objects.count(), shop.mappings.count()) == (
        [*before[0], "token.made"],
        *before[1:],
    )


def test_a_body_that_is_too_big_is_told_so(owner: Caller, shop: models.Connection) -> None:
    said = owner.post(f"/connections/{shop.pk}/restore", {"text": "я" * 2_000_000}, status=413).json()
    assert (said["code"], said["remedy"]) == ("too_big", "Send less at once: 2.5 MB at most.")
