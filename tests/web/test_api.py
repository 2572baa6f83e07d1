"""The API does what the pages do, for programs: by a token, within its scopes and its person's permissions."""

from __future__ import annotations

import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books
from api_caller import Caller

from obmen.store import connections, models, tokens
from obmen.web.api import access, exchange


@pytest.fixture(autouse=True)
def fresh(settings: Any) -> None:
    settings.PASSWORD_HASHERS = books.FAST_HASH
    access.pace.forget()


@pytest.fixture
def people(db: Any) -> books.People:
    return books.people()


@pytest.fixture
def owner(people: books.People) -> Caller:
    return Caller(people.owner)


# --- tokens ----------------------------------------------------------------------------------------------------------------


def test_a_call_without_a_token_is_told_to_bring_one(db: Any) -> None:
    answer = Client(headers={"accept-language": "en"}).get("/api/v1/me")
    assert (answer.status_code, answer["Content-Type"], answer["WWW-Authenticate"]) == (
        401,
        "application/problem+json",
        'Bearer realm="Obmen"',
    )
    said = answer.json()
    assert (said["code"], said["status"], said["type"]) == ("no_token", 401, "urn:obmen:problem:no_token")
    assert said["title"] == "No token came with the call"
    assert said["remedy"] == "Send the header “Authorization: Bearer obmen_…”."


def test_who_is_signed_in_to_the_pages_is_nobody_to_the_api(people: books.People) -> None:
    client = Client()
    client.force_login(people.owner, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/api/v1/me").json()["code"] == "no_token"
    assert client.get("/api/v1/me", headers={"authorization": "Basic b3duZXI6eA=="}).json()["code"] == "no_token"


def test_a_token_says_whose_it_is_and_what_it_may(people: books.People) -> None:
    caller = Caller(people.viewer, "orders.read", "goods.read", days=30)
    said = caller.get("/me").json()
    assert (said["login"], said["scopes"], said["companies"]) == ("viewer", ["orders.read", "goods.read"], [])
    assert "store.view_order" in said["permissions"]
    assert "store.change_order" not in said["permissions"]
    assert said["expires"] is not None


def test_the_secret_is_kept_nowhere_and_the_journal_tells_of_the_token(people: books.People) -> None:
    token, secret = tokens.make(people.owner, " robot  one ", ["orders.read"], days=30, who="owner")
    kept = models.ApiToken.objects.values().get()
    assert secret not in str(kept)
    assert (kept["name"], kept["shown"], len(secret)) == ("robot one", secret[:10], 46)
    entry = models.JournalEntry.objects.get()
    assert (entry.action, entry.who, entry.facts["login"], entry.facts["scopes"]) == (
        "token.made",
        "owner",
        "owner",
        "orders.read",
    )
    assert secret not in str(entry.facts)
    assert tokens.revoke(token, "owner") is True
    assert tokens.revoke(token, "owner") is False
    assert list(models.JournalEntry.objects.values_list("action", flat=True)) == ["token.revoked", "token.made"]


def _revoked(caller: Caller) -> None:
    tokens.revoke(caller.token, "test")


def _over(caller: Caller) -> None:
    models.ApiToken.objects.update(expires=timezone.now() - timedelta(seconds=1))


def _person_deactivated(caller: Caller) -> None:
    User.objects.filter(pk=caller.token.user_id).update(is_active=False)


def _person_may_not_sign_in(caller: Caller) -> None:
    User.objects.filter(pk=caller.token.user_id).update(is_staff=False)


@pytest.mark.parametrize("ends", [_revoked, _over, _person_deactivated, _person_may_not_sign_in])
def test_a_token_dies_with(people: books.People, ends: Any) -> None:
    caller = Caller(people.operator)
    caller.get("/me")
    ends(caller)
    said = caller.get("/me", status=401).json()
    assert (said["code"], said["title"]) == ("wrong_token", "This token does not work")


def test_a_machine_account_works_by_the_token_that_an_owner_made_for_it(people: books.People) -> None:
    robot = User.objects.create_user("robot")
    robot.groups.add(books.Role.objects.get(name=connections.VIEWERS))
    caller = Caller(robot, "orders.read")
    assert caller.get("/me").json()["login"] == "robot"
    User.objects.filter(pk=robot.pk).update(is_active=False)
    caller.get("/me", status=401)


def test_a_scope_that_lacks_is_named_and_nothing_is_done(people: books.People) -> None:
    caller = Caller(people.owner, "orders.read")
    order = books.order()
    said = caller.patch(f"/orders/{order.pk}", {"comment": "changed"}, status=403).json()
    assert (said["code"], said["detail"]) == ("missing_scope", "It needs: orders.write.")
    assert caller.get("/products", status=403).json()["code"] == "missing_scope"
    assert models.Order.objects.get().comment == "Зателефонуйте перед доставкою"


def test_a_token_never_gives_more_than_its_person_has(people: books.People) -> None:
    caller = Caller(people.viewer)
    order, one = books.order(), books.connection()
    said = caller.patch(f"/orders/{order.pk}", {"comment": "changed"}, status=403).json()
    assert said["code"] == "missing_permission"
    assert "store.change_order" in said["detail"]
    caller.post(f"/connections/{one.pk}/runs", {}, status=403)
    caller.put(f"/connections/{one.pk}/switch", {"enabled": False}, status=403)
    caller.patch(f"/connections/{one.pk}/settings", {"settings": {}}, status=403)
    assert (models.Order.objects.get().revision, models.Run.objects.count()) == (1, 0)
    assert models.Connection.objects.get().enabled is True
    people.viewer.groups.add(books.Role.objects.get(name=connections.OPERATORS))
    caller.patch(f"/orders/{order.pk}", {"comment": "changed"})
    assert models.Order.objects.get().comment == "changed"


def test_wrong_tokens_are_put_off_and_the_right_one_is_let_through(people: books.People) -> None:
    guesser = Client(headers={"authorization": f"Bearer obmen_{'x' * 40}", "accept-language": "en"})
    codes = [guesser.get("/api/v1/me").json()["code"] for _i in range(7)]
    assert codes == ["wrong_token"] * 5 + ["too_many_wrong"] * 2
    refused = guesser.get("/api/v1/me")
    assert (refused.status_code, refused.json()["title"]) == (429, "Too many wrong tokens came from this address")
    assert 0 < int(refused["Retry-After"]) <= 61
    assert list(models.JournalEntry.objects.values_list("action", "facts")) == [("token.locked_out", {"address": "127.0.0.1"})]
    Caller(people.owner).get("/me")


def test_more_calls_than_the_pace_allows_wait(people: books.People, settings: Any) -> None:
    settings.OBMEN_API_RATE = 3
    caller, other = Caller(people.owner), Caller(people.viewer)
    assert [caller.client.get("/api/v1/me").status_code for _i in range(5)] == [200, 200, 200, 429, 429]
    refused = caller.get("/me", status=429)
    assert refused.json()["code"] == "too_fast"
    assert 1 <= int(refused["Retry-After"]) <= 21
    other.get("/me")
    settings.OBMEN_API_RATE = 0
    caller.get("/me")


def test_the_last_use_is_noted_once_a_minute(people: books.People, queries: Any) -> None:
    caller = Caller(people.owner)
    with queries() as first:
        caller.get("/me")
    token = models.ApiToken.objects.get()
    assert token.last_address == "127.0.0.1"
    with queries() as second:
        caller.get("/me")
    writes = [[q for q in asked.captured_queries if q["sql"].startswith("UPDATE")] for asked in (first, second)]
    assert [len(w) for w in writes] == [1, 0]


@pytest.mark.parametrize(
    ("name", "scopes", "words"),
    [
        (" ", ["orders.read"], "needs a name"),
        ("one", [], "Choose what the token may do"),
        ("one", ["orders.read", "everything"], "Choose what the token may do"),
        ("taken", ["orders.read"], "There is a token “taken” already"),
    ],
)
def test_a_token_that_cannot_be_is_refused(people: books.People, name: str, scopes: list[str], words: str) -> None:
    tokens.make(people.owner, "taken", ["orders.read"], days=None, who="owner")
    with pytest.raises(tokens.NeedsOwner, match=words):
        tokens.make(people.owner, name, scopes, days=None, who="owner")
    assert models.ApiToken.objects.count() == 1


# --- lists -----------------------------------------------------------------------------------------------------------------

LISTS = ("/connections", "/orders", "/counterparties", "/products", "/offers", "/references", "/runs", "/parked", "/journal")


def many(count: int = 12) -> models.Connection:
    one = books.connection("1C", account=None)
    books.goods(one)
    books.states()
    for i in range(count):
        books.order(f"N-{i}", source=one)
        books.connection(f"МойСклад {i}", account=None)
        books.finished_run(one)
        books.parked(one, f"x-{i}")
        models.JournalEntry.objects.create(connection=one, action="rules.changed", who="owner")
    return one


def test_every_list_is_turned_to_its_end_without_gap_or_repeat(owner: Caller) -> None:
    many()
    for address in LISTS:
        whole = owner.every(address, limit=500)
        pieces = owner.every(address, limit=5)
        assert [x["id"] for x in pieces] == [x["id"] for x in whole], address
        assert len({x["id"] for x in pieces}) == len(pieces) > 5, address


def test_a_list_takes_six_queries_however_many_rows_it_shows(owner: Caller, queries: Any) -> None:
    one = many(30)
    run = models.Run.objects.latest("id")
    owner.get("/me")  # notes the use, once a minute
    within = (f"/connections/{one.pk}/mappings", f"/runs/{run.pk}/lines", f"/runs/{run.pk}/results", "/parked/groups")
    for address in (*LISTS, *within, f"/connections/{one.pk}/streams"):
        with queries() as asked:
            owner.get(address)
        assert len(asked) <= 6, (address, [q["sql"] for q in asked.captured_queries])


def test_a_cursor_of_another_list_is_refused_in_words(owner: Caller) -> None:
    many(3)
    cursor = owner.get("/orders", {"limit": 1}).json()["next"]
    for address, wrong in (("/products", cursor), ("/orders", "nonsense"), ("/orders", "WzFd"), ("/orders", "ŵ")):
        said = owner.get(address, {"cursor": wrong}, status=422).json()
        assert (said["code"], said["errors"][0]["where"]) == ("invalid", "query.cursor")
    said = owner.get("/orders", {"chnged_since": "2026-01-01T00:00:00Z"}, status=422).json()
    assert said["errors"] == [{"where": "query.chnged_since", "message": "There is no such parameter."}]
    owner.get("/orders", {"limit": 501}, status=422)
    owner.get("/orders", {"limit": 0}, status=422)


# --- orders ----------------------------------------------------------------------------------------------------------------


def test_an_order_is_read_whole(owner: Caller) -> None:
    one = books.connection()
    books.states()
    order = books.order(source=one)
    books.link(one, "order", "1C-77", order.pk)
    answer = owner.get(f"/orders/{order.pk}")
    said = answer.json()
    assert (answer["ETag"], said["number"], said["state"]) == ('"1"', "ІМ-1001", {"key": "new", "name": "Новий"})
    assert (said["total"], said["buyer"]["phone"], said["source"]["name"]) == ("439", "+380 00 000-00-00", one.name)
    assert [(x["name"], x["quantity"], x["price"]) for x in said["lines"]] == [
        ("Кава мелена «Ранкова» 250 г", "2", "189.5"),
        ("Доставка кур'єром", "1", "60"),
    ]
    assert [(p["amount"], p["paid"]) for p in said["payments"]] == [("439", True)]
    assert said["tracking"] == "20450000000000"
    assert said["links"] == [{"connection": {"id": one.pk, "name": one.name}, "their_id": "1C-77", "gone": False}]
    assert owner.get("/orders/999999", status=404).json()["code"] == "not_found"


def test_orders_are_found_by_what_is_asked(owner: Caller) -> None:
    books.states()
    one = books.connection()
    first, second, third = books.order("A-1"), books.order("A-2", state="paid", source=one), books.order("A-3")
    models.Order.objects.filter(pk=third.pk).update(company="Друга", held=True)

    def found(**asked: Any) -> list[str]:
        return [o["number"] for o in owner.every("/orders", **asked)]

    assert found() == ["A-3", "A-2", "A-1"]
    assert found(state="paid") == ["A-2"]
    assert found(source=one.pk) == ["A-2"]
    assert found(number="A-1") == ["A-1"]
    assert found(company="Друга") == found(held="true") == ["A-3"]
    assert found(counterparty=first.counterparty_id) == ["A-1"]
    assert found(q="A-") == ["A-3", "A-2", "A-1"]
    assert found(date_from=(timezone.now() + timedelta(days=1)).isoformat()) == []
    assert second.pk  # all three are there


def test_a_program_that_follows_along_gets_every_change_in_its_order(owner: Caller) -> None:
    start = timezone.now()
    for i in range(6):
        order = books.order(f"A-{i}")
        models.Order.objects.filter(pk=order.pk).update(changed=start + timedelta(seconds=(i * 7) % 6))
    expected = [o.number for o in models.Order.objects.order_by("changed", "id")]
    assert [o["number"] for o in owner.every("/orders", changed_since=start.isoformat(), limit=2)] == expected
    later = start + timedelta(seconds=4)
    assert [o["number"] for o in owner.every("/orders", changed_since=later.isoformat())] == expected[-2:]


def test_an_order_is_changed_once_and_told_on(owner: Caller) -> None:
    books.states()
    order = books.order()
    answer = owner.patch(f"/orders/{order.pk}", {"state": "sent", "tracking": "2045"}, headers={"if-match": '"1"'})
    said = answer.json()
    assert (said["state"]["name"], said["tracking"], said["revision"], answer["ETag"]) == ("Відправлений", "2045", 2, '"2"')
    assert said["comment"] == "Зателефонуйте перед доставкою"
    assert owner.patch(f"/orders/{order.pk}", {"state": "sent", "tracking": "2045"}).json()["revision"] == 2
    change = models.RecordChange.objects.get(record_kind="order", version=2)
    assert change.changes["state"] == ["new", "sent"]


def test_a_change_of_what_was_changed_meanwhile_is_refused(owner: Caller) -> None:
    order = books.order()
    owner.patch(f"/orders/{order.pk}", {"comment": "first"})
    refused = owner.patch(f"/orders/{order.pk}", {"comment": "second"}, status=412, headers={"if-match": '"1"'})
    assert (refused.json()["code"], refused.json()["detail"]) == ("changed_meanwhile", "It has the revision 2 now.")
    assert models.Order.objects.get().comment == "first"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"state": "no such"}, "body.state"),
        ({"comment": "x" * 4001}, "body.comment"),
        ({"number": "1"}, "body.number"),
        ({"comment": "\0"}, "body.comment"),
    ],
)
def test_a_change_that_cannot_be_names_what_is_wrong(owner: Caller, body: Any, where: str) -> None:
    order = books.order()
    said = owner.patch(f"/orders/{order.pk}", body, status=422).json()
    assert (said["code"], [e["where"] for e in said["errors"]]) == ("invalid", [where])
    assert models.Order.objects.get().revision == 1


def test_an_order_is_held_and_let_go(owner: Caller) -> None:
    order = books.order()
    assert owner.put(f"/orders/{order.pk}/hold", {"held": True, "reason": "wait"}).json()["held"] is True
    assert models.Order.objects.get().held_text == "wait"
    assert owner.put(f"/orders/{order.pk}/hold", {"held": False}).json()["held"] is False


def test_a_limited_person_gets_only_the_orders_of_their_companies(people: books.People) -> None:
    mine, other = books.order("A-1"), books.order("B-1")
    models.Order.objects.filter(pk=mine.pk).update(company="Моя")
    models.Order.objects.filter(pk=other.pk).update(company="Чужа")
    models.Person.objects.update_or_create(user=people.operator, defaults={"companies": ["Моя"]})
    caller = Caller(people.operator)
    assert caller.get("/me").json()["companies"] == ["Моя"]
    assert [o["number"] for o in caller.every("/orders")] == ["A-1"]
    assert [c["id"] for c in caller.every("/counterparties")] == [mine.counterparty_id]
    caller.get(f"/orders/{mine.pk}")
    caller.get(f"/orders/{other.pk}", status=404)
    caller.get(f"/counterparties/{other.counterparty_id}", status=404)
    caller.patch(f"/orders/{other.pk}", {"comment": "mine now"}, status=404)
    caller.put(f"/orders/{other.pk}/hold", {"held": True}, status=404)
    caller.post(f"/orders/{other.pk}/resend", {}, status=404)
    assert models.Order.objects.filter(pk=other.pk, revision=1, held=False).exists()


def test_a_limited_person_reads_no_names_of_others_in_runs(people: books.People) -> None:
    one = books.connection()
    run = books.finished_run(one, state="failed", text="{name} has no state", facts={"name": "Чужа Ганна"})
    run.lines.create(text="{name} left out", facts={"name": "Чужа Ганна"})
    run.results.create(kind="order", outcome="sent", name="Чужа Ганна", record_id=books.order("B-1").pk)
    models.Person.objects.update_or_create(user=people.operator, defaults={"companies": ["Моя"]})
    limited, free = Caller(people.operator), Caller(people.owner)
    addresses = (
        "/runs",
        f"/runs/{run.pk}",
        f"/runs/{run.pk}/lines",
        f"/runs/{run.pk}/results",
        "/overview",
        f"/connections/{one.pk}",
    )
    for address in addresses:
        assert "Чужа Ганна" in free.get(address).content.decode(), address
        assert "Чужа Ганна" not in limited.get(address).content.decode(), address


# --- goods -----------------------------------------------------------------------------------------------------------------


def test_goods_come_with_their_prices_and_stock(owner: Caller) -> None:
    books.goods(books.connection())
    [product] = owner.get("/products", {"article": "КВ-250"}).json()["items"]
    [offer] = product["offers"]
    assert (product["name"], product["group"]["name"], offer["barcode"]) == (
        "Кава мелена «Ранкова» 250 г",
        "Кава",
        "4820000000017",
    )
    assert [(p["kind"]["name"], p["value"], p["currency"]) for p in offer["prices"]] == [
        ("Роздрібна", "189.5", "UAH"),
        ("Оптова", "151.6", "UAH"),
    ]
    assert [(s["warehouse"]["key"], s["quantity"]) for s in offer["stock"]] == [("w-1", "120"), ("w-2", "3")]
    assert [p["article"] for p in owner.get("/products", {"barcode": "4820000000031"}).json()["items"]] == ["ЧЙ-100"]
    assert [o["product"]["name"] for o in owner.get("/offers", {"barcode": "4820000000048"}).json()["items"]] == [
        "Чай зелений з жасмином 90 г"
    ]
    whole = owner.get(f"/products/{product['id']}").json()
    assert whole["properties"] == [["prop-1", ["v-1"]]]
    assert whole["links"][0]["their_id"] == product["key"]
    one = owner.get(f"/offers/{offer['id']}").json()
    assert (one["reserved"], one["product"]["id"]) == ("0", product["id"])


def test_what_orders_have_sold_is_reserved(owner: Caller) -> None:
    books.goods(books.connection())
    books.order()
    offer = models.Offer.objects.get(key="6f0b9a5e-0000-4000-8000-000000000001")
    assert owner.get(f"/offers/{offer.pk}").json()["reserved"] == "2"


# --- connections and settings ----------------------------------------------------------------------------------------------


@pytest.fixture
def shop(db: Any) -> models.Connection:
    """A system that we call, with a secret."""
    made, _password = connections.create(
        "retailcrm", "CRM", settings={"server": "demo.example.com", "api_key": "SECRET-KEY"}, language="uk"
    )
    return made


def test_settings_come_without_secrets_and_are_changed_by_name(owner: Caller, shop: models.Connection) -> None:
    answer = owner.get(f"/connections/{shop.pk}/settings")
    assert "SECRET-KEY" not in answer.content.decode()
    rows = {row["name"]: row for row in answer.json()["settings"]}
    assert (rows["api_key"]["value"], rows["api_key"]["is_set"], rows["server"]["value"]) == (None, True, "demo.example.com")
    said = owner.patch(f"/connections/{shop.pk}/settings", {"settings": {"api_key": "OTHER-KEY"}})
    assert said.json() == {"changed": ["api_key"]}
    shop.refresh_from_db()
    assert shop.secrets == {"api_key": "OTHER-KEY"}
    entry = models.JournalEntry.objects.filter(action="connection.changed").latest("id")
    assert entry.who.startswith("owner (API: for owner")
    assert "OTHER-KEY" not in str(entry.facts)


def test_a_wrong_setting_changes_nothing_and_says_why(owner: Caller, shop: models.Connection) -> None:
    said = owner.patch(f"/connections/{shop.pk}/settings", {"settings": {"server": "x.example.com", "nonsense": 1}}, status=422)
    assert said.json()["code"] == "refused"
    assert "nonsense" in said.json()["detail"]
    shop.refresh_from_db()
    assert shop.settings["server"] == "demo.example.com"


def test_a_connection_is_switched_and_paused(owner: Caller, shop: models.Connection) -> None:
    assert owner.put(f"/connections/{shop.pk}/switch", {"enabled": False}).json()["enabled"] is False
    assert owner.put(f"/connections/{shop.pk}/switch", {"enabled": True}).json()["enabled"] is True
    until = timezone.now() + timedelta(hours=1)
    paused = owner.put(f"/connections/{shop.pk}/pause", {"until": until.isoformat(), "reason": "stocktaking"}).json()
    assert paused["paused_text"] == "stocktaking"
    past = (timezone.now() - timedelta(hours=1)).isoformat()
    assert owner.put(f"/connections/{shop.pk}/pause", {"until": past}, status=422).json()["code"] == "refused"
    assert owner.put(f"/connections/{shop.pk}/pause", {"until": None}).json()["paused_until"] is None
    done = list(
        models.JournalEntry.objects.filter(connection=shop, who__startswith="owner (API").values_list("action", flat=True)
    )
    assert done == ["connection.resumed", "connection.paused", "connection.switched_on", "connection.switched_off"]


def test_a_stream_is_planned(owner: Caller, shop: models.Connection) -> None:
    said = owner.patch(
        f"/connections/{shop.pk}/streams/orders-in", {"schedule": "every 15 min", "quiet_from": "22:00", "quiet_to": "06:00"}
    )
    assert (said.json()["schedule"], said.json()["quiet_from"], said.json()["enabled"]) == ("every 15 min", "22:00", True)
    assert owner.patch(f"/connections/{shop.pk}/streams/orders-in", {"enabled": False}).json()["quiet_from"] == "22:00"
    refused = owner.patch(f"/connections/{shop.pk}/streams/orders-in", {"schedule": "now and then"}, status=422).json()
    assert (refused["code"], "now and then" in refused["detail"]) == ("refused", True)
    owner.patch(f"/connections/{shop.pk}/streams/no-such", {"enabled": True}, status=404)
    row = models.StreamSetting.objects.get(connection=shop, stream="orders-in")
    assert (row.enabled, row.schedule) == (False, "every 15 min")


def test_a_bookmark_is_read_and_set_back_once_that_is_confirmed(owner: Caller, shop: models.Connection) -> None:
    address = f"/connections/{shop.pk}/streams/orders-in/bookmark"
    assert owner.get(address).json() == {"stream": "orders-in", "bookmark": "", "changed": None}
    asked = owner.put(address, {"bookmark": "41"}, status=409).json()
    assert asked["code"] == "confirm_first"
    assert asked["detail"].startswith("Set the bookmark of “orders in” from “–” to “41”? The next run reads from there.")
    assert shop.bookmarks.count() == 0
    assert owner.put(address, {"bookmark": "41", "confirm": True}).json()["bookmark"] == "41"
    said = owner.get(address).json()
    assert (said["bookmark"], said["changed"] is not None) == ("41", True)
    assert [s["bookmark"] for s in owner.get(f"/connections/{shop.pk}/streams").json() if s["stream"] == "orders-in"] == ["41"]
    for wrong in ({}, {"bookmark": "1", "moment": "2026-11-01T00:00:00Z"}):
        assert owner.put(address, {**wrong, "confirm": True}, status=422).json()["code"] == "invalid"
    other = owner.put(f"/connections/{shop.pk}/streams/catalogue-out/bookmark", {"bookmark": "1", "confirm": True}, status=422)
    assert other.json()["detail"] == "This stream has no bookmark that could be set by hand"
    books.running_run(shop)
    assert owner.put(address, {"bookmark": "5", "confirm": True}, status=409).json()["code"] == "running"
    entry = models.JournalEntry.objects.get(action="bookmark.set")
    assert (entry.facts["before"], entry.facts["after"]) == ("", "41")


def test_mapping_a_value_frees_what_waited_for_it(owner: Caller, shop: models.Connection) -> None:
    books.states()
    shop.mappings.create(subject="order_state", theirs="prepayed", reported=True, outbound=False, seen_count=4)
    books.parked(shop, "5", kind="order", waiting_kind="mapping", waiting_id="order_state:prepayed")
    [row] = owner.get(f"/connections/{shop.pk}/mappings", {"subject": "order_state", "decided": "false"}).json()["items"]
    assert (row["theirs"], row["ours"], row["seen"]) == ("prepayed", "", 4)
    wrong = owner.patch(
        f"/connections/{shop.pk}/mappings/order_state", {"rows": [{"theirs": "prepayed", "ours": "none"}]}, status=422
    )
    assert wrong.json()["errors"][0]["where"] == "body.rows.0.ours"
    said = owner.patch(f"/connections/{shop.pk}/mappings/order_state", {"rows": [{"theirs": "prepayed", "ours": "paid"}]}).json()
    assert said["changed"] == ["prepayed"]
    assert [models.Run.objects.get(pk=pk).streams for pk in said["retried"]] == ["retry-parked"]
    assert shop.mappings.get(theirs="prepayed").ours == "paid"


# --- runs ------------------------------------------------------------------------------------------------------------------


def test_starting_twice_gives_the_same_waiting_run(owner: Caller, shop: models.Connection) -> None:
    first = owner.post(f"/connections/{shop.pk}/runs", {"streams": ["orders-in"]}, status=202)
    second = owner.post(f"/connections/{shop.pk}/runs", {"streams": ["orders-in"]}, status=202)
    preview = owner.post(f"/connections/{shop.pk}/runs", {"streams": ["orders-in"], "preview": True}, status=202)
    assert first.json()["id"] == second.json()["id"] != preview.json()["id"]
    assert first["Location"] == f"/api/v1/runs/{first.json()['id']}"
    assert (first.json()["state"], first.json()["is_over"], preview.json()["preview"]) == ("waiting", False, True)
    assert first.json()["asked_by"].startswith("owner (API: ")
    assert models.Run.objects.count() == 2


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"streams": ["no-such"]}, 422, "invalid"),
        ({"streams": []}, 409, "switched_off"),
        ({"streams": ["customers-in"]}, 409, "switched_off"),
        ({"only": []}, 422, "invalid"),
    ],
)
def test_a_run_that_cannot_be_started_says_why(owner: Caller, shop: models.Connection, body: Any, status: int, code: str) -> None:
    shop.streams.filter(stream="customers-in").update(enabled=False)
    assert owner.post(f"/connections/{shop.pk}/runs", body, status=status).json()["code"] == code
    assert models.Run.objects.count() == 0


def test_a_switched_off_connection_starts_nothing(owner: Caller, shop: models.Connection) -> None:
    models.Connection.objects.update(enabled=False)
    said = owner.post(f"/connections/{shop.pk}/runs", {}, status=409).json()
    assert said["detail"] == "The connection is switched off: nothing is exchanged until it is switched on."
    assert models.Run.objects.count() == 0


def test_waiting_for_a_run_ends_with_the_run(owner: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    one = books.connection()
    run = books.running_run(one)
    looks = []

    def meanwhile(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            models.Run.objects.filter(pk=run.pk).update(state="done", percent=100)

    monkeypatch.setattr(exchange.clock, "sleep", meanwhile)
    said = owner.get(f"/runs/{run.pk}", {"wait": 30}).json()
    assert (said["state"], said["is_over"], len(looks)) == ("done", True, 3)
    assert owner.get(f"/runs/{run.pk}", {"wait": 30}).json()["is_over"] is True
    assert len(looks) == 3
    owner.get(f"/runs/{run.pk}", {"wait": 61}, status=422)


def test_more_waiters_than_there_is_room_for_are_answered_at_once(owner: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    run = books.running_run(books.connection())
    monkeypatch.setattr(exchange, "waiters", exchange.BoundedSemaphore(1))
    exchange.waiters.acquire()
    assert owner.get(f"/runs/{run.pk}", {"wait": 30}).json()["is_over"] is False


def test_a_run_is_stopped_once(owner: Caller, shop: models.Connection) -> None:
    run = owner.post(f"/connections/{shop.pk}/runs", {"streams": ["orders-in"]}, status=202).json()["id"]
    assert owner.post(f"/runs/{run}/stop").json()["state"] == "stopped"
    assert owner.post(f"/runs/{run}/stop", status=409).json()["code"] == "already_over"
    assert models.JournalEntry.objects.filter(action="run.stop_asked").count() == 1


def test_a_run_tells_its_lines_and_results(people: books.People) -> None:
    run = books.finished_run(books.connection(), text="It points at {kind} {id}", facts={"kind": "order", "id": "7"})
    run.lines.create(text="{count} left out", facts={"count": 3}, level="warning")
    run.results.create(kind="order", outcome="sent", name="A-1", said="secret of the order", record_id=5)
    run.results.create(kind="product", outcome="parked", name="Кава", text="No price")
    owner = Caller(people.owner)
    assert owner.get(f"/runs/{run.pk}").json()["message"] == "It points at order 7"
    assert [(x["level"], x["message"]) for x in owner.every(f"/runs/{run.pk}/lines")] == [("warning", "3 left out")]
    assert [(x["name"], x["said"]) for x in owner.every(f"/runs/{run.pk}/results")] == [
        ("A-1", "secret of the order"),
        ("Кава", ""),
    ]
    assert [x["name"] for x in owner.every(f"/runs/{run.pk}/results", outcome="parked")] == ["Кава"]
    stranger = User.objects.create_user("stranger", is_staff=True)
    stranger.user_permissions.add(*books_permission("view_run", "view_product"))
    seen = Caller(stranger).every(f"/runs/{run.pk}/results")
    assert [(x["name"], x["said"], x["record_id"]) for x in seen] == [("", "", None), ("Кава", "", None)]


def books_permission(*codenames: str) -> list[Any]:
    from django.contrib.auth.models import Permission

    return list(Permission.objects.filter(codename__in=codenames))


# --- parked ----------------------------------------------------------------------------------------------------------------


def test_parked_records_are_grouped_read_and_tried_again(owner: Caller) -> None:
    one, other = books.connection(), books.connection("МойСклад")
    for i in range(3):
        books.parked(one, f"p-{i}", facts={"attribute": "article", "value": f"A-{i}"})
    books.parked(other, "p-9", text="No price", facts={}, kind="offer")
    groups = owner.get("/parked/groups").json()
    assert [(g["connection"]["name"], g["reason"], g["count"]) for g in groups] == [
        (one.name, "Two cards have the … “…”", 3),
        (other.name, "No price", 1),
    ]
    rows = owner.every("/parked", code=groups[0]["code"])
    assert [r["reason"] for r in rows] == [f"Two cards have the article “A-{i}”" for i in (2, 1, 0)]
    raw = owner.get(f"/parked/{rows[0]['id']}/raw")
    assert (raw["Content-Type"], raw.content.decode()[:7]) == ("application/octet-stream", "<Товар>")
    refused = owner.post("/parked/retry", {"code": groups[0]["code"], "count": 4}, status=409).json()
    assert (refused["code"], refused["detail"], models.Run.objects.count()) == ("other_count", "It is 3.", 0)
    said = owner.post("/parked/retry", {"code": groups[0]["code"], "count": 3}, status=202).json()
    assert (said["count"], len(said["runs"])) == (3, 1)
    assert owner.post(f"/parked/{rows[0]['id']}/retry", status=202).json()["count"] == 1
    assert len(owner.post("/parked/retry", {}, status=202).json()["runs"]) == 2


def test_a_viewer_tries_nothing_again(people: books.People) -> None:
    row = books.parked(books.connection())
    caller = Caller(people.viewer)
    caller.post("/parked/retry", {}, status=403)
    caller.post(f"/parked/{row.pk}/retry", status=403)
    caller.get(f"/parked/{row.pk}")
    assert models.Run.objects.count() == 0


# --- overview, journal, words ----------------------------------------------------------------------------------------------


def test_the_overview_says_how_each_connection_is_doing(owner: Caller, queries: Any) -> None:
    one = books.connection("1C")
    books.finished_run(one, state="failed", text="The disk is full")
    books.parked(one)
    books.connection("Off", enabled=False)
    owner.get("/me")
    with queries() as asked:
        said = owner.get("/overview").json()
    assert len(asked) <= 12
    assert next((c["tone"], c["detail"]) for c in said["connections"] if c["name"] == "1C") == ("danger", "The disk is full")
    assert (said["trouble"], said["parked"], said["running"]) == (1, 1, 0)
    assert owner.get(f"/connections/{one.pk}").json()["parked"] == 1


def test_the_journal_is_read_in_sentences(owner: Caller) -> None:
    one = books.connection("1C")
    owner.put(f"/connections/{one.pk}/switch", {"enabled": False})
    [entry] = owner.every("/journal", action="connection.switched_off")
    assert (entry["text"], entry["connection"]["name"]) == ("Switched off", "1C")
    assert entry["who"].startswith("owner (API: ")
    assert owner.every("/journal", connection=one.pk, since=(timezone.now() + timedelta(hours=1)).isoformat()) == []


def test_an_unknown_address_and_method_are_problems_too(owner: Caller) -> None:
    assert owner.get("/nothing", status=404).json()["code"] == "no_address"
    refused = owner.delete("/orders", status=405)
    assert (refused.json()["code"], refused["Allow"]) == ("wrong_method", "GET")
    assert owner.client.post("/api/v1/parked/retry", "{", content_type="application/json").json()["code"] == "unreadable"
    assert owner.get("/orders/abc", status=422).json()["errors"][0]["where"] == "path.order"


def test_an_error_of_the_hub_is_told_without_its_inside(owner: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_a: Any, **_kw: Any) -> None:
        raise RuntimeError("inside")

    monkeypatch.setattr(exchange, "conditions", breaks)
    answer = owner.get("/overview", status=500)
    assert answer.json()["code"] == "hub_error"
    assert "inside" not in answer.content.decode()


def test_nothing_of_an_answer_is_kept_on_the_way(owner: Caller) -> None:
    assert owner.get("/me")["Cache-Control"] == "no-store"
    assert owner.get("/orders/999", status=404)["Cache-Control"] == "no-store"


def test_amounts_are_texts_that_no_program_rounds(owner: Caller) -> None:
    order = books.order()
    models.Order.objects.update(total=Decimal("12345678.1234"))
    assert owner.get(f"/orders/{order.pk}").json()["total"] == "12345678.1234"


# --- the description -------------------------------------------------------------------------------------------------------


def test_the_description_is_for_those_who_may_use_it(people: books.People, owner: Caller) -> None:
    stranger = Client()
    assert stranger.get("/api/openapi.json").json()["code"] == "no_token"
    page = stranger.get("/api/docs", headers={"accept": "text/html"})
    assert (page.status_code, page["Location"]) == (302, "/login/?next=/api/docs")
    described = owner.client.get("/api/openapi.json").json()
    assert (described["openapi"], described["info"]["title"]) == ("3.1.0", "Obmen")
    stranger.force_login(people.viewer, backend="django.contrib.auth.backends.ModelBackend")
    assert stranger.get("/api/openapi.json").status_code == 200
    text = stranger.get("/api/docs").content.decode()
    assert "/static/ninja/swagger-ui-bundle.js" in text
    assert "http://" not in text.replace("http://testserver", "")
    assert "https://" not in text


def test_every_operation_names_its_scope_and_its_errors(owner: Caller) -> None:
    described = owner.client.get("/api/openapi.json").json()
    for address, methods in described["paths"].items():
        for method, one in methods.items():
            assert {"401", "403", "422", "429"} <= one["responses"].keys(), (method, address)
            assert list(one["responses"]["401"]["content"]) == ["application/problem+json"]
            scopes = one["security"][0]["Bearer"]
            assert set(scopes) <= tokens.SCOPES.keys()
            assert scopes or address == "/api/v1/me", address
