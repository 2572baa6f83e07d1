"""Search everything, the traffic's filters, and the charts of runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection as db
from django.test import Client
from django.utils import timezone

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books

from obmen.store import journal, models
from obmen.web import run_charts, seek

pytestmark = pytest.mark.django_db
AT_MOST = 12  # queries of a page


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any, tmp_path: Path) -> None:
    settings.PASSWORD_HASHERS = books.FAST_HASH
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def hub() -> Any:
    people = books.people()
    books.states()
    one, two = books.connection("1C"), books.connection("Prom shop")
    order = books.order("IM-1001", source=one)
    return type("Hub", (), {"people": people, "one": one, "two": two, "order": order})


def client(user: User, language: str = "en") -> Client:
    made = Client(headers={"accept-language": language})
    made.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return made


def seeks(user: User, query: str, language: str = "en", **also: Any) -> str:
    answer = client(user, language).get("/seek/", {"q": query, **also})
    assert answer.status_code == 200
    return answer.content.decode()


def call(connection: models.Connection, text: str, **values: Any) -> models.Message:
    return models.Message.objects.create(connection=connection, call=text, **{"answer": "success", **values})


# --- search ----------------------------------------------------------------------------------------------------------------


def test_an_order_is_found_by_its_number_and_by_what_another_system_calls_it(hub: Any) -> None:
    books.link(hub.two, "order", "5312", hub.order.pk)
    address = f"/store/order/{hub.order.pk}/change/"
    assert address in seeks(hub.people.operator, "IM-10")
    html = seeks(hub.people.operator, "5312")
    assert address in html
    assert "Order that Prom shop calls 5312" in html
    assert address not in seeks(hub.people.operator, "531"), "a part of another system's id is none"
    assert address not in seeks(hub.people.operator, "5312", connection=hub.one.pk)


def test_a_run_is_found_by_its_number(hub: Any) -> None:
    run = books.finished_run(hub.one)
    for query in (str(run.pk), f"#{run.pk}"):
        assert f"/store/run/{run.pk}/change/" in seeks(hub.people.operator, query)


def test_the_journal_is_searched_in_the_readers_words_and_in_facts_of_any_alphabet(hub: Any) -> None:
    journal.note(hub.one, "connection.switched_off", "olena")
    journal.note(hub.one, "connection.changed", "olena", changes={"name": ["", "Крамниця"]})
    assert "Switched off" in seeks(hub.people.owner, "switched")
    assert "Крамниця" in seeks(hub.people.owner, "крамниця")
    assert "Крамниця" in seeks(hub.people.owner, "OLENA Крамниця")
    assert "Nothing found" in seeks(hub.people.owner, "olena Базар"), "every word has to be there"


def test_messages_of_runs_and_how_runs_ended_are_found_by_sentence_and_by_facts(hub: Any) -> None:
    run = books.finished_run(hub.one, "failed", "Orders in the state “{state}” change no status", {"state": "Чекає"})
    models.RunLine.objects.create(
        run=run, text="It points at {kind} {id}, which has not come yet", facts={"kind": "order", "id": "A-77"}
    )
    assert "It points at order A-77" in seeks(hub.people.operator, "a-77")
    assert "It points at order A-77" in seeks(hub.people.operator, "points yet")
    assert "state “Чекає” change" in seeks(hub.people.operator, "чекає")
    assert "Nothing found" in seeks(hub.people.operator, "a-77", connection=hub.two.pk)


def test_calls_are_found_by_address_and_answer_between_two_days(hub: Any) -> None:
    old = timezone.now() - timedelta(days=20)
    call(hub.one, "GET type=catalog&mode=init", answer="zip=no")
    call(hub.two, "POST /orders", answer="too many requests", status=429)
    call(hub.two, "POST /old", answer="too many requests", at=old)
    html = seeks(hub.people.operator, "too many")
    assert "POST /orders" in html
    assert "POST /old" not in html
    assert "POST /old" in seeks(
        hub.people.operator, "too many", since=(old - timedelta(days=1)).date(), until=(old + timedelta(days=1)).date()
    )
    assert "Nothing found" in seeks(hub.people.operator, "too many", connection=hub.one.pk)


def test_percent_and_underscore_mean_themselves(hub: Any) -> None:
    call(hub.one, "GET /a%20b_c")
    assert "GET /a%20b_c" in seeks(hub.people.operator, "%20b_")
    assert "Nothing found" in seeks(hub.people.operator, "a_20")


def test_wrong_days_are_refused_with_words(hub: Any) -> None:
    assert "The last day has to be after the first one." in seeks(
        hub.people.operator, "x", since="2026-02-02", until="2026-01-01"
    )


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
@pytest.mark.parametrize("end", ["since", "until"])
def test_days_that_no_zone_can_reckon_with_are_refused_with_words(hub: Any, end: str, day: str) -> None:
    assert "Enter a valid date." in seeks(hub.people.operator, "x", **{end: day})


def test_only_the_newest_rows_are_read_for_a_text(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seek, "LOOKED_AT", 2)
    for name in ("needle one", "two", "three"):
        call(hub.one, name)
    assert "needle one" not in seeks(hub.people.operator, "needle").replace('value="needle"', "")
    assert ">three<" in seeks(hub.people.operator, "three")


def test_nobody_finds_what_they_may_not_see(hub: Any) -> None:
    call(hub.one, "GET /secret-call")
    journal.note(hub.one, "connection.switched_off", "olena")
    nobody = User.objects.create_user("nobody", is_staff=True)
    assert client(nobody).get("/seek/", {"q": "secret"}).status_code == 403
    limited = hub.people.viewer
    models.Person.objects.update_or_create(user=limited, defaults={"companies": ["Another"]})
    html = seeks(limited, "IM-1001")
    assert f"/store/order/{hub.order.pk}/change/" not in html
    assert "secret-call" not in seeks(limited, "secret-call").replace('value="secret-call"', "")


def test_a_search_takes_few_queries(hub: Any, queries: Callable[[], Any]) -> None:
    for n in range(40):
        call(hub.one, f"GET /call/{n} status")
        journal.note(hub.one, "connection.switched_off", "olena")
        run = books.finished_run(hub.one, text="The status is lost", unique_key=str(n))
        models.RunLine.objects.create(run=run, text="A status of {id}", facts={"id": n})
    person = client(hub.people.operator)
    person.get("/seek/", {"q": "status"})
    for query in ("status", "1001"):
        with queries() as asked:
            assert person.get("/seek/", {"q": query}).status_code == 200
        assert len(asked) <= AT_MOST, [q["sql"][:90] for q in asked.captured_queries]


# --- traffic ---------------------------------------------------------------------------------------------------------------


def test_failed_and_slow_calls_are_picked_out_and_sorted(hub: Any) -> None:
    call(hub.one, "GET /good", milliseconds=20)
    call(hub.one, "GET /refused", status=404, milliseconds=30)
    call(hub.one, "GET /silent", status=0, milliseconds=6000)
    call(hub.one, "GET /slow", milliseconds=1500)
    person = client(hub.people.operator)

    def shown(query: str) -> list[str]:
        html = person.get(f"/store/message/?{query}").content.decode()
        names = ("good", "refused", "silent", "slow")
        return sorted((n for n in names if f"GET /{n}" in html), key=lambda n: html.index(f"GET /{n}"))

    assert shown("trouble=failed") == ["silent", "refused"]
    assert shown("trouble=1") == ["slow", "silent"]
    assert shown("trouble=5") == ["silent"]
    assert shown("o=-5") == ["silent", "slow", "refused", "good"]
    assert "no answer" in person.get("/store/message/?trouble=failed").content.decode()


def test_failed_calls_are_found_by_an_index_and_not_by_reading_all_of_them(hub: Any) -> None:
    with db.cursor() as cursor:
        assert db.introspection.get_constraints(cursor, "store_message")["message_failed"]["index"]
    if db.vendor != "sqlite":
        return  # PostgreSQL plans by how many there are
    models.Message.objects.bulk_create(models.Message(connection=hub.one, call="GET /", status=200) for _n in range(50))
    with db.cursor() as cursor:
        cursor.execute(
            "EXPLAIN QUERY PLAN SELECT id FROM store_message WHERE (status >= 400 OR status = 0) ORDER BY id DESC LIMIT 10001"
        )
        assert "message_failed" in str(cursor.fetchall())


def test_a_file_that_is_still_kept_can_be_looked_at_again_by_those_who_start_runs(hub: Any, tmp_path: Path) -> None:
    file = tmp_path / "import.xml"
    file.write_text("<x/>")
    kept = call(hub.one, "POST type=catalog&mode=file&filename=import.xml", session="s1")
    books.finished_run(hub.one, args={"session": "s1", "files": [str(file)]})
    address, button = f"/store/message/{kept.pk}/change/", f"/store/run/replay/{kept.pk}/"
    assert button in client(hub.people.operator).get(address).content.decode()
    assert button not in client(hub.people.viewer).get(address).content.decode()
    file.unlink()
    assert button not in client(hub.people.operator).get(address).content.decode()


# --- charts ----------------------------------------------------------------------------------------------------------------


def test_runs_are_added_up_by_day_with_their_duration_and_what_they_carried(hub: Any, queries: Callable[[], Any]) -> None:
    for n, (ago, counts) in enumerate(
        [(0, {"created": 3, "unchanged": 5}), (0, {"updated": 2}), (1, {"matched": 1}), (40, {"created": 9})]
    ):
        books.finished_run(hub.one, counts=counts, ago=ago, unique_key=str(n))
    books.finished_run(hub.one, "failed", ago=1, unique_key="f")
    books.finished_run(hub.one, counts={"created": 100}, args={"preview": True}, unique_key="p")
    found = run_charts.streams(hub.one.pk)
    assert [(s.title, s.runs, s.failed) for s in found] == [("products in", 4, 1)]
    assert [row[1:3] + row[5:] for row in found[0].rows] == [(2, 0, 5, 5), (2, 1, 1, 0)]
    assert found[0].charts[1].top == "5"
    assert [bar.broken for bar in found[0].charts[0].bars] == [True, False]
    person = client(hub.people.operator)
    person.get("/store/run/charts/")
    with queries() as asked:
        html = person.get("/store/run/charts/", {"connection": hub.one.pk}).content.decode()
    assert len(asked) <= AT_MOST
    assert html.count("<svg viewBox") == 2
    assert "No run of this connection" in person.get("/store/run/charts/", {"connection": hub.two.pk}).content.decode()


def test_the_charts_are_linked_and_need_the_right_to_see_runs(hub: Any) -> None:
    assert "/store/run/charts/" in client(hub.people.viewer).get("/store/run/").content.decode()
    nobody = User.objects.create_user("nobody", is_staff=True)
    assert client(nobody).get("/store/run/charts/").status_code == 403


def test_who_sees_some_companies_only_gets_no_charts_of_orders(hub: Any) -> None:
    books.finished_run(hub.one, streams="orders-in", counts={"created": 3})
    books.finished_run(hub.one, unique_key="goods")
    models.Person.objects.update_or_create(user=hub.people.viewer, defaults={"companies": ["Another"]})
    html = client(hub.people.viewer).get("/store/run/charts/").content.decode()
    assert "products in" in html
    assert "orders in" not in html
