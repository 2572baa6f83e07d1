"""Parked records: what they have in common, one remedy for all of them, how they are found, retried and downloaded."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.db import connection as db
from django.db.models import Count, Max, Min
from django.test import Client
from django.utils import timezone, translation

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books

import caller
from caller import World, order
from obmen.core.records import Subject
from obmen.store import connections, mappings, models
from obmen.web.parked_groups import SAME
from obmen.work import jobs
from obmen.work import run as runs

pytestmark = pytest.mark.django_db
UNMAPPED = "State {value} is not mapped"


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = books.FAST_HASH


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return caller.install(monkeypatch)


@pytest.fixture
def shop(world: World) -> Any:
    """41 orders in a state that nobody has mapped, three in another, and states in the books."""
    people = books.people()
    books.states()
    one, _password = connections.create("caller", "Shop", settings={"address": "shop", "api_key": "k"})
    for n in range(44):
        world.change(order(f"{100 + n}", state="EMS" if n < 41 else "odd"))
    runs.execute_here(jobs.ask(one, ["orders-in"], trigger="person"))
    assert (one.parked.count(), models.Order.objects.count()) == (44, 0)
    return type("Shop", (), {"people": people, "one": one, "world": world})


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def page(shop: Any, person: str = "operator", **query: str) -> str:
    return as_user(getattr(shop.people, person)).get("/store/parked/", query).content.decode()


def groups(text: str) -> list[str]:
    return text.partition('id="o-groups"')[2].partition("</section>")[0].split("data-group>")[1:]


def remedy(shop: Any, ours: str = "Новий", value: str = "EMS", person: str = "operator", follow: bool = False) -> Any:
    data = {"connection": shop.one.pk, "subject": "order_state", "value": value, "ours": ours}
    return as_user(getattr(shop.people, person)).post("/store/parked/map/", data, follow=follow)


def state(shop: Any) -> tuple[Any, ...]:
    """Everything that a refused person must not have changed."""
    kept = sorted(shop.one.mappings.values_list("theirs", "ours", "reported"))
    return (
        kept,
        shop.one.parked.count(),
        models.Run.objects.count(),
        models.JournalEntry.objects.count(),
        models.Reference.objects.count(),
    )


# --- groups ---


def test_records_with_one_reason_are_one_group_with_its_remedy(shop: Any, queries: Any) -> None:
    for n in range(3):
        books.parked(shop.one, f"p-{n}", facts={"attribute": "article", "value": f"КВ-{n}"})
    client = as_user(shop.people.operator)
    with queries() as asked:
        text = client.get("/store/parked/").content.decode()
    found = groups(text)
    assert [("41" in g, "State EMS is not mapped" in g, "Map, frees 41" in g) for g in found[:1]] == [(True, True, True)]
    assert [[word in g for word in ("State odd is not mapped", "Two cards have the … “…”")] for g in found[1:]] in (
        [[True, False], [False, True]],
        [[False, True], [True, False]],
    )
    assert len(found) == 3
    assert len(asked) <= 12


def test_the_list_says_each_reason_with_its_facts(shop: Any) -> None:
    books.parked(shop.one)
    text = page(shop).partition('id="result_list"')[2].partition("</table>")[0]
    assert ("Two cards have the article “КВ-250”" in text, "State odd is not mapped" in text, "{value}" in text) == (
        True,
        True,
        False,
    )


def test_a_value_is_called_as_they_call_it_and_what_fits_its_name_is_suggested(shop: Any) -> None:
    shop.one.mappings.filter(theirs="EMS").update(theirs_name="Новый заказ")
    (first, *_rest) = groups(page(shop))
    assert ("map “Новый заказ” →" in first, 'name="ours" value="Новий"' in first, "suggested by its name" in first) == (
        True,
        True,
        True,
    )


def test_a_group_leads_to_just_its_records(shop: Any) -> None:
    text = page(shop)
    address = groups(text)[1].partition("/store/parked/?")[2].partition('"')[0].replace("&amp;", "&")
    shown = as_user(shop.people.operator).get(f"/store/parked/?{address}").content.decode()
    assert (shown.count("/change/?") or shown.count('class="field-record'), len(groups(shown))) == (3, 1)
    found = models.Parked.objects.filter(waiting_id="order_state:odd")
    assert {f"/store/parked/{p.pk}/change/" in shown for p in found} == {True}


def test_what_waits_for_another_record_says_for_which(shop: Any) -> None:
    shop.one.parked.all().delete()
    for n in range(2):
        waits = {"waiting_kind": "product", "waiting_id": f"p{n}", "facts": {"kind": "product", "id": f"p{n}"}}
        books.parked(shop.one, f"o-{n}", kind="offer", text="It points at {kind} {id}, which has not come yet", **waits)
    (found,) = groups(page(shop))
    assert ("product p1 for one" in found, "tried again by themselves" in found, ">2<" in found) == (True, True, True)
    assert f"/store/connection/{shop.one.pk}/change/" in found


def test_what_several_cards_fit_leads_to_the_decision(shop: Any) -> None:
    shop.one.parked.all().delete()
    parked = books.parked(shop.one, "c-1", kind="counterparty", facts={"attribute": "a", "value": "v", "candidates": [1, 2]})
    (found,) = groups(page(shop))
    assert ("Several cards fit" in found, f"/store/parked/{parked.pk}/change/" in found) == (True, True)


def test_fifty_thousand_records_are_grouped_in_few_queries_from_the_index_alone(shop: Any, queries: Any) -> None:
    now = timezone.now()
    rows = [
        models.Parked(
            connection=shop.one, kind=("offer", "product", "order")[n % 3], external_id=f"big-{n}", payload=b"<x>" * 400, first_at=now,
            text=("A {thing} is wrong", "It points at {kind} {id}, which has not come yet", UNMAPPED)[n % 3],
            facts={"subject": "order_state", "value": f"v{n % 7}"} if n % 3 == 2 else {"thing": str(n), "kind": "product", "id": str(n)},
            waiting_kind=("", "product", "mapping")[n % 3], waiting_id=("", str(n), f"order_state:v{n % 7}")[n % 3],
        )
        for n in range(50_000)
    ]  # fmt: skip
    models.Parked.objects.bulk_create(rows, batch_size=2000)
    client = as_user(shop.people.operator)
    client.get("/store/parked/")
    with queries() as asked:
        text = client.get("/store/parked/").content.decode()
    assert (len(groups(text)), len(asked) <= 12) == (11, True)
    if db.vendor == "sqlite":  # PostgreSQL may read a table that lies in memory as well
        plan = (
            models.Parked.objects.order_by()
            .values(*SAME)
            .annotate(n=Count("pk"), oldest=Min("first_at"), sample=Max("pk"))
            .explain()
        )
        assert "USING INDEX parked_groups" in plan  # and what is grouped by stands in it
        assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize(
    ("query", "counts"),
    [
        ({}, [41, 3, 2, 1]),
        ({"age": "7"}, [40, 2, 1]),
        ({"age": "new"}, [3, 1]),
        ({"age": "30"}, []),
        ({"kind__exact": "order"}, [41, 3]),
        ({"kind__exact": "order", "age": "7"}, [40]),
        ({"direction__exact": "out"}, [1]),
        ({"reason": UNMAPPED}, [41, 3]),
        ({"reason": UNMAPPED, "age": "new"}, [3, 1]),
        ({"connection__id__exact": "0"}, [41, 3, 2, 1]),  # of one connection alone there is no filter
        ({"connection__id__exact": "another"}, [1]),
        ({"waits": "order_state:odd"}, [3]),
    ],
)
def test_above_a_filtered_list_stand_the_groups_of_what_it_shows(shop: Any, query: dict[str, str], counts: list[int]) -> None:
    for n in range(2):
        books.parked(shop.one, f"p-{n}")
    books.parked(shop.one, "sent", direction="out")
    old = timezone.now() - timedelta(days=10)
    some = shop.one.parked.filter(waiting_id="order_state:EMS").order_by("pk").values("pk")[:40]
    shop.one.parked.filter(pk__in=list(some.values_list("pk", flat=True))).update(first_at=old)
    shop.one.parked.filter(kind="product").update(first_at=old)
    if query.get("connection__id__exact") == "another":
        query = {"connection__id__exact": str(books.parked(books.connection("another")).connection_id)}
    context = as_user(shop.people.operator).get("/store/parked/", query).context_data
    assert [group.count for group in context["groups"]] == counts
    shown = list(context["cl"].queryset)
    assert sum(counts) == len(shown)
    assert {group.sample.pk for group in context["groups"]} <= {row.pk for row in shown}
    assert {group.oldest for group in context["groups"]} <= {row.first_at for row in shown}


def test_groups_are_counted_once_for_a_list_and_not_at_all_for_what_shows_none(shop: Any, queries: Any) -> None:
    client = as_user(shop.people.operator)

    def counts(address: str, **query: str) -> int:
        with queries() as asked:
            assert client.get(address, query).status_code == 200
        return sum("GROUP BY" in q["sql"] for q in asked)

    lists: list[dict[str, str]] = [{}, {"age": "7"}, {"kind__exact": "order"}, {"q": "EMS"}, {"o": "-6", "p": "1"}]
    assert {counts("/store/parked/", **query) for query in lists} == {1}
    assert (counts("/store/parked/retry-all/", age="new"), counts("/store/parked/download/", reason=UNMAPPED)) == (0, 0)


def test_a_search_walks_the_list_in_its_order_by_an_index_that_holds_what_is_searched(shop: Any, queries: Any) -> None:
    client = as_user(shop.people.operator)
    with queries() as asked:
        found = client.get("/store/parked/", {"q": "mapped"}).context_data["cl"].result_list
    assert len(found) == 44
    (searched,) = [q["sql"] for q in asked if "LIMIT 1001" in q["sql"]]
    assert "IN (SELECT" not in searched
    if db.vendor == "sqlite":  # PostgreSQL plans by how many there are
        with db.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {searched}")
            plan = [row[-1] for row in cursor.fetchall()]
        assert plan == ["SCAN store_parked USING COVERING INDEX parked_searched"]


def test_a_word_in_what_a_record_names_is_found_in_every_usual_spelling_and_looked_for_in_few_readings(
    shop: Any, queries: Any
) -> None:
    shop.one.parked.all().delete()
    for n, name in enumerate(("кава мелена", "Кава мелена", "КАВА МЕЛЕНА", "міцна КАВА", "чай", "каВа")):
        books.parked(shop.one, f"p-{n}", facts={"name": name})
    with queries() as asked:
        found = as_user(shop.people.operator).get("/store/parked/", {"q": "кава"}).context_data["cl"].result_list
    shown = sorted(row.external_id for row in found)
    if db.vendor == "sqlite":  # keeps the letters escaped, which are looked for as they were typed
        assert shown == ["p-0"]
        return
    assert shown == ["p-0", "p-1", "p-2", "p-3"]
    (searched,) = [q["sql"] for q in asked if "LIMIT 1001" in q["sql"]]
    assert searched.count('"facts")::text') == 2  # what may hold it, and then in which spelling


# --- the remedy ---


def test_one_mapping_frees_all_that_waited_for_it_and_says_how_many(shop: Any) -> None:
    answer = remedy(shop)
    run = models.Run.objects.get(state="waiting")
    assert answer["Location"] == f"/store/parked/freeing/{run.pk}/"
    client = as_user(shop.people.operator)
    before = client.get(answer["Location"]).content.decode()
    assert ("0 freed, 41 remain" in before, "every 1s" in before) == (True, True)
    assert len(run.args["parked"]) == 41
    runs.execute_here(run)
    run.refresh_from_db()
    after = client.get(f"{answer['Location']}?part").content.decode()
    assert ("41 freed, 0 remain" in after, "data-ended" in after) == (True, True)
    assert (run.state, run.percent, shop.one.parked.count()) == ("done", 100, 3)
    assert set(models.Order.objects.values_list("state", flat=True)) == {"new"}
    row = shop.one.mappings.get(theirs="EMS")
    assert (row.ours, row.reported) == ("new", False)
    said = models.JournalEntry.objects.filter(action="mappings.changed").get()
    assert (said.who, said.facts["values"]) == ("operator", "EMS")
    assert len(groups(page(shop))) == 1


def test_what_is_parked_for_another_reason_afterwards_is_named(shop: Any) -> None:
    raw = shop.one.parked.filter(waiting_id="order_state:EMS").order_by("pk").first()
    payload = json.loads(bytes(raw.payload)) | {"state": "odd"}
    models.Parked.objects.filter(pk=raw.pk).update(payload=json.dumps(payload).encode())
    where = remedy(shop)["Location"]
    runs.execute_here(models.Run.objects.get(state="waiting"))
    text = as_user(shop.people.operator).get(where).content.decode()
    assert ("40 freed, 1 remain" in text, "parked for another reason now" in text) == (True, True)
    assert f"/store/parked/{raw.pk}/change/" in text


def test_a_remedy_is_taken_back_like_any_save_of_its_table(shop: Any) -> None:
    remedy(shop)
    mappings.undo(shop.one, Subject.ORDER_STATE, "in", "owner")
    row = shop.one.mappings.get(theirs="EMS")
    assert (row.ours, row.reported, row.seen_count) == ("", True, 41)


def test_a_new_value_of_the_books_may_be_typed_by_who_may_add_one(shop: Any) -> None:
    before = state(shop)
    text = remedy(shop, "Зовсім новий", follow=True).content.decode()
    assert "The books have no value “Зовсім новий”, and you may not add one" in text
    assert state(shop) == before
    remedy(shop, "Зовсім новий", person="owner")
    assert shop.one.mappings.get(theirs="EMS").ours == "Зовсім новий"
    assert models.Reference.objects.filter(subject="order_state", name="Зовсім новий").exists()


def test_who_may_not_map_is_shown_no_remedy_and_has_none(shop: Any) -> None:
    before = state(shop)
    assert remedy(shop, person="viewer").status_code == 403
    assert state(shop) == before
    (first, *_rest) = groups(page(shop, "viewer"))
    assert ("data-remedy" in first, "Ask somebody who may map values" in first) == (False, True)


def test_a_remedy_for_nothing_is_refused(shop: Any) -> None:
    before = state(shop)
    client = as_user(shop.people.operator)
    bad = [{"connection": "9999"}, {"connection": "x"}, {"subject": "warehouse"}, {"subject": "none"}, {"value": ""}]
    good = {"connection": str(shop.one.pk), "subject": "order_state", "value": "EMS", "ours": "Новий"}
    assert [client.post("/store/parked/map/", good | one).status_code for one in bad] == [404] * 5
    assert "Choose what “EMS” is here." in client.post("/store/parked/map/", good | {"ours": " "}, follow=True).content.decode()
    assert state(shop) == before
    assert client.get("/store/parked/freeing/9999/").status_code == 404


def test_a_remedy_after_which_nothing_waits_says_so(shop: Any) -> None:
    shop.one.parked.filter(waiting_id="order_state:EMS").delete()
    text = remedy(shop, follow=True).content.decode()
    assert "“EMS” is mapped. Nothing waits for it any more." in text
    assert not models.Run.objects.filter(state="waiting").exists()


# --- finding ---


def found_by(shop: Any, **query: str) -> int:
    text = page(shop, **query)
    return int(text.partition('id="o-count">')[2].partition("</div>")[0].strip(" –\n"))


def test_records_are_found_by_id_value_reason_and_age(shop: Any) -> None:
    books.parked(shop.one, "prod-77", facts={"attribute": "артикул", "value": "КВ-250"})
    models.Parked.objects.filter(external_id="prod-77").update(first_at=timezone.now() - timedelta(days=8))
    assert found_by(shop, q="prod-7") == 1
    assert found_by(shop, q="odd") == 3
    assert found_by(shop, q="КВ-250") == 1
    assert found_by(shop, q="is not mapped") == 44
    assert [found_by(shop, age=age) for age in ("new", "1", "7", "30")] == [44, 1, 1, 0]
    assert found_by(shop, reason=UNMAPPED, waits="order_state:odd") == 3


def test_a_reason_is_found_by_the_words_in_which_it_is_read(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from obmen.core.engine import missing
    from obmen.core.records import Kind

    error = missing(Kind.PRODUCT, "p-1")
    books.parked(shop.one, "offer-1", kind="offer", text=error.text, facts={"kind": "product", "id": "p-1"})
    with translation.override("uk"):
        word = max(translation.gettext(error.text).replace("{kind}", " ").replace("{id}", " ").split(), key=len).strip(",.")
    client = as_user(shop.people.operator)
    client.cookies["django_language"] = "uk"
    text = client.get("/store/parked/", {"q": word}).content.decode()
    shown = text.partition('id="o-count">')[2].partition("</div>")[0].strip(" –\n")
    assert (word.isascii(), shown) == (False, "1")


# --- retry and download of what is filtered ---


def test_all_that_is_filtered_is_retried_after_a_question_with_their_number(shop: Any) -> None:
    mappings.decide(shop.one, Subject.ORDER_STATE, "in", {"odd": "new"})
    client = as_user(shop.people.operator)
    address = "/store/parked/retry-all/?" + urlencode({"waits": "order_state:odd"})
    assert "Retry 3 records?" in client.get(address).content.decode()
    assert not models.Run.objects.filter(state="waiting").exists()
    client.post(address, {"confirmed": "1"})
    runs.execute_here(models.Run.objects.get(state="waiting"))
    assert (shop.one.parked.count(), models.Order.objects.count()) == (41, 3)


def test_the_question_about_all_of_a_list_counts_its_records_and_reads_none(shop: Any, queries: Any) -> None:
    client = as_user(shop.people.operator)
    with queries() as asked:
        assert "Retry 44 records?" in client.get("/store/parked/retry-all/").content.decode()
    parked = [q["sql"] for q in asked if 'FROM "store_parked"' in q["sql"]]
    assert [
        sql for sql in parked if not any(part in sql for part in ("COUNT(", "LIMIT", " IN ("))
    ] == []  # but the page of the list
    ids = list(shop.one.parked.order_by("pk").values_list("pk", flat=True)[:2])
    asking = client.post("/store/parked/", {"action": "retry_selected", "_selected_action": ids}).content.decode()
    assert [f'name="_selected_action" value="{pk}"' in asking for pk in ids] == [True, True]


def test_what_is_filtered_is_downloaded_with_reasons_and_untouched_inputs(shop: Any) -> None:
    models.Parked.objects.filter(waiting_id="order_state:odd").update(payload=b"\xff\xfe\x00")
    kept = models.Parked.objects.filter(waiting_id="order_state:EMS").order_by("pk").first()
    client = as_user(shop.people.viewer)
    answer = client.get("/store/parked/download/", {"connection__id__exact": str(shop.one.pk)})
    lines = [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]
    assert (len(lines), ".jsonl" in answer["Content-Disposition"]) == (44, True)
    first = next(line for line in lines if line["id"] == kept.external_id)
    assert (first["reason"], first["input"], first["kind"]) == ("State EMS is not mapped", bytes(kept.payload).decode(), "order")
    assert {line["input_base64"] for line in lines if "input" not in line} == {"//4A"}
    some = client.get("/store/parked/download/", {"waits": "order_state:odd"})
    assert len(b"".join(some.streaming_content).splitlines()) == 3
    nobody = User.objects.create_user("nobody", password=books.PASSWORD, is_staff=True)
    assert as_user(nobody).get("/store/parked/download/").status_code == 403


@pytest.mark.parametrize("address", ["retry-all", "download"])
@pytest.mark.parametrize("query", ["colour=red", "id__exact=x"])
def test_filters_that_there_are_none_of_are_no_error_of_the_hub_and_retry_nothing(shop: Any, address: str, query: str) -> None:
    client = as_user(shop.people.operator)
    client.raise_request_exception = False
    before = state(shop)
    assert client.post(f"/store/parked/{address}/?{query}", {"confirmed": "1"}).status_code == 404
    assert state(shop) == before


def test_zero_characters_in_an_address_or_a_remedy_find_nothing_and_map_nothing(shop: Any) -> None:
    before = state(shop)
    assert remedy(shop, value="\0").status_code == 404
    assert state(shop) == before
    assert as_user(shop.people.operator).get("/store/parked/", {"reason": "\0", "waits": "order_state:\0EMS"}).status_code == 200
