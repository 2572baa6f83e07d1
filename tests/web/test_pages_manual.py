"""The page “Manual exchange”: what is picked, what is started by it, and who may."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books

import caller
from caller import World, order
from obmen.core.records import Subject
from obmen.store import connections, mappings, models, picks
from obmen.store.mappings import MappingRow
from obmen.store.orders import order_record, save_order
from obmen.work import jobs
from obmen.work import run as runs

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any, tmp_path: Path) -> None:
    settings.PASSWORD_HASHERS = books.FAST_HASH
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return caller.install(monkeypatch)


@pytest.fixture
def shop(world: World) -> Any:
    people = books.people()
    one, _password = connections.create("caller", "Shop", settings={"address": "shop", "api_key": "k"})
    mappings.save(one, Subject.ORDER_STATE, "in", [MappingRow("new", ours="Accepted")])
    door, _password = books.door()
    return type("Shop", (), {"people": people, "one": one, "door": door, "products": books.goods(door)})


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def page(shop: Any, address: str = "", **query: Any) -> str:
    return as_user(shop.people.operator).get(f"/manual/{shop.one.pk}/{address}", query).content.decode()


def post(shop: Any, address: str, follow: bool = True, **data: Any) -> str:
    return as_user(shop.people.operator).post(f"/manual/{shop.one.pk}/{address}/", data, follow=follow).content.decode()


def picked(shop: Any) -> list[str]:
    names = models.Product.objects.in_bulk(picks.read(shop.one, "operator"))
    return [names[pk].article for pk in picks.read(shop.one, "operator")]


def asked() -> models.Run:
    return models.Run.objects.get(state="waiting")


def done() -> models.Run:
    return runs.execute_here(asked())


# --- the page ---


def test_only_connections_that_the_hub_calls_are_offered(shop: Any) -> None:
    text = as_user(shop.people.operator).get("/manual/", follow=True).content.decode()
    assert f"/manual/{shop.one.pk}/" in text
    assert f"/manual/{shop.door.pk}/" not in text
    assert as_user(shop.people.operator).get(f"/manual/{shop.door.pk}/").status_code == 404


def test_without_any_such_connection_the_page_says_so(shop: Any) -> None:
    shop.one.delete()
    assert "no connection whose system the hub calls" in as_user(shop.people.operator).get("/manual/").content.decode()


def test_the_menu_leads_there_for_those_who_may_start_runs(shop: Any) -> None:
    assert 'href="/manual/"' in as_user(shop.people.operator).get("/").content.decode()
    assert 'href="/manual/"' not in as_user(shop.people.viewer).get("/").content.decode()


@pytest.mark.parametrize("address", ["", "goods/", "start/"])
def test_who_may_not_start_runs_is_refused_and_nothing_changes(shop: Any, address: str) -> None:
    ask: Callable[..., Any] = as_user(shop.people.viewer).post if address else as_user(shop.people.viewer).get
    answer = ask(f"/manual/{shop.one.pk}/{address}", {"pasted": "КВ-250", "stream": "orders-in"})
    assert answer.status_code == 403
    assert (models.Run.objects.filter(state="waiting").count(), picks.read(shop.one, "viewer")) == (0, [])
    stranger = Client().post(f"/manual/{shop.one.pk}/{address}", {"pasted": "КВ-250", "stream": "orders-in"})
    assert stranger["Location"].startswith("/login/")


def test_who_may_not_see_goods_neither_finds_nor_sends_them(shop: Any) -> None:
    person = User.objects.create_user("half", password=books.PASSWORD, is_staff=True)
    person.user_permissions.add(*Permission.objects.filter(codename__in=("start_run", "view_connection")))
    client = as_user(person)
    assert 'id="o-goods"' not in client.get(f"/manual/{shop.one.pk}/", {"q": "Кава"}).content.decode()
    assert client.post(f"/manual/{shop.one.pk}/goods/", {"pasted": "КВ-250"}).status_code == 403
    assert client.post(f"/manual/{shop.one.pk}/start/", {"do": "goods", "stream": "stock-out"}).status_code == 403


def test_the_page_costs_twelve_queries_at_most(shop: Any, queries: Any) -> None:
    picks.add(shop.one, "operator", [p.pk for p in shop.products])
    client = as_user(shop.people.operator)
    client.get(f"/manual/{shop.one.pk}/")
    with queries() as plain:
        client.get(f"/manual/{shop.one.pk}/", {"run": "1"})
    with queries() as searched:
        client.get(f"/manual/{shop.one.pk}/", {"q": "Кава"})
    with queries() as grouped:
        client.get(f"/manual/{shop.one.pk}/", {"q": "Кава", "group": "g-1"})
    assert max(len(plain), len(searched), len(grouped)) <= 12, [q["sql"] for q in grouped.captured_queries]


# --- picking goods ---


def test_goods_are_found_and_the_marked_ones_are_picked(shop: Any) -> None:
    text = page(shop, q="кава ранкова")
    assert text.count('name="product"') == 2
    post(shop, "goods", product=[shop.products[1].pk])
    assert picked(shop) == ["КВ-1000"]
    assert "disabled" in page(shop, q="КВ-1000").partition('name="product"')[2][:120], "it is picked already"


def test_all_goods_of_a_search_or_of_a_group_with_those_below_are_picked(shop: Any) -> None:
    post(shop, "goods", all="1", q="кава", group="")
    assert sorted(picked(shop)) == ["КВ-1000", "КВ-250"]
    post(shop, "goods", all="1", q="", group="g-1")
    assert sorted(picked(shop)) == sorted(["КВ-1000", "КВ-250", "ЧЙ-100", "ЧЙ-090", "МД-500", "ШК-085"]), "food, without clothes"


def test_pasted_articles_codes_and_barcodes_say_what_was_found_and_what_was_not(shop: Any) -> None:
    models.Product.objects.create(key="twin", name="Чай чорний, інша пачка", article="ЧЙ-100")
    text = post(shop, "goods", pasted="кв-250\n00-00000002; 4820000000048\tнемає-1\nЧЙ-100\nФБ-01,немає-2")
    assert picked(shop) == ["КВ-250", "КВ-1000", "ЧЙ-090", "ФБ-01"]
    assert 'id="o-missing">немає-1, немає-2<' in text
    assert "“ЧЙ-100” fits several cards" in text
    assert "Чай чорний, інша пачка" in text


def test_goods_leave_the_list_one_by_one_or_all_at_once(shop: Any) -> None:
    picks.add(shop.one, "operator", [p.pk for p in shop.products[:3]])
    post(shop, "goods", remove=shop.products[1].pk)
    assert picked(shop) == ["КВ-250", "ЧЙ-100"]
    post(shop, "goods", clear="1")
    assert picked(shop) == []


def test_each_person_has_a_list_for_each_connection(shop: Any) -> None:
    picks.add(shop.one, "operator", [shop.products[0].pk])
    assert (picks.read(shop.one, "owner"), picks.read(shop.door, "operator")) == ([], [])


def test_a_list_holds_so_many_goods_and_says_what_did_not_fit(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picks, "MOST", 3)
    assert picks.add(shop.one, "operator", [p.pk for p in shop.products]) == (3, 4)
    assert "4 were not added" in post(shop, "goods", all="1", q="", group="g-0")


# --- starting ---


def test_just_the_picked_goods_are_sent_also_unchanged_and_each_result_is_told(world: World, shop: Any) -> None:
    runs.execute_here(jobs.ask(shop.one, ["stock-out"], trigger="person"))
    world.stock.clear()
    picks.add(shop.one, "operator", [shop.products[0].pk, shop.products[4].pk])
    address = as_user(shop.people.operator).post(f"/manual/{shop.one.pk}/start/", {"do": "goods", "stream": "stock-out"})[
        "Location"
    ]
    run = asked()
    assert address == f"/manual/{shop.one.pk}/?run={run.pk}#o-run"
    done()
    assert len(world.stock) == 3, "one good and both variants of the other"
    live = as_user(shop.people.operator).get(f"/store/run/{run.pk}/live/?from=manual")
    text = live.content.decode()
    assert (live.status_code, text.count(">sent<")) == (286, 3)
    assert "Футболка бавовняна (S)" in text
    assert "&quot;quantity&quot;: &quot;9.000000&quot;" in text, "what was sent can be looked at"


def test_what_would_be_sent_is_seen_before_it_is_sent(world: World, shop: Any) -> None:
    picks.add(shop.one, "operator", [shop.products[0].pk])
    post(shop, "start", follow=False, do="goods", stream="stock-out", preview="1")
    run = done()
    text = as_user(shop.people.operator).get(f"/store/run/{run.pk}/change/").content.decode()
    assert (world.stock, ">would be sent<" in text, "&quot;quantity&quot;: &quot;123.000000&quot;" in text) == ({}, True, True)


def test_nothing_picked_or_nothing_ticked_starts_nothing(shop: Any) -> None:
    assert "The list of goods is empty" in post(shop, "start", do="goods", stream="stock-out")
    picks.add(shop.one, "operator", [shop.products[0].pk])
    assert "There is nothing to start" in post(shop, "start", do="goods")
    assert "There is nothing to start" in post(shop, "start", do="goods", stream="orders-in"), "no stream of goods"
    assert "There is nothing to start" in post(shop, "start", stream="stock-out"), "goods go by the list"
    assert not models.Run.objects.filter(state="waiting").exists()


def test_what_is_switched_off_is_not_started_by_hand_either(shop: Any) -> None:
    shop.one.streams.filter(stream="orders-in").update(enabled=False)
    assert "There is nothing to start" in post(shop, "start", stream="orders-in")
    models.Connection.objects.filter(pk=shop.one.pk).update(enabled=False)
    assert "There is nothing to start" in post(shop, "start", stream="orders-out")
    assert not models.Run.objects.filter(state="waiting").exists()


def test_changed_statuses_are_sent_and_a_refused_one_says_why(world: World, shop: Any) -> None:
    for key in ("138", "139"):
        world.change(order(key))
    runs.execute_here(jobs.ask(shop.one, ["orders-in"], trigger="person"))
    for row in models.Order.objects.all():
        save_order(replace(order_record(row), state="Done"))
    world.refuse = "139C"
    assert "(2)" in page(shop), "how many wait"
    post(shop, "start", follow=False, stream="orders-out")
    run = done()
    text = as_user(shop.people.operator).get(f"/store/run/{run.pk}/change/").content.decode()
    assert text.index("139C is refused") < text.index("138C"), "what needs a person stands first"
    table = as_user(shop.people.operator).get(f"/store/run/{run.pk}/results/").content.decode("utf-8-sig")
    assert "Order 139C is refused" in table
    assert len(table.splitlines()) == 3


def test_orders_are_loaded_from_a_date_in_the_connections_time_and_its_bookmark_stays(world: World, shop: Any) -> None:
    world.from_moment = 0
    world.change(order("138"))
    post(shop, "start", follow=False, stream="orders-in", moment="2026-11-01T10:00")
    run = done()
    assert (world.asked_from, run.counts["created"]) == ("2026-11-01T10:00:00+02:00", 2)
    assert not shop.one.bookmarks.filter(stream="orders-in").exists()
    assert "is no date" in post(shop, "start", stream="orders-in", moment="yesterday")


def test_the_schedule_goes_on_from_the_date_when_that_is_asked_for(world: World, shop: Any) -> None:
    world.from_moment = 0
    world.change(order("138"))
    post(shop, "start", follow=False, stream="orders-in", moment="2026-11-01T10:00", go_on="1")
    assert "since" not in asked().args
    assert done().counts["created"] == 2
    assert shop.one.bookmarks.get(stream="orders-in").value == {"at": 1}


def test_single_orders_are_loaded_by_their_ids(world: World, shop: Any) -> None:
    for key in ("138", "139", "140"):
        world.change(order(key))
    post(shop, "start", follow=False, stream="orders-in", only="138, 140")
    done()
    assert sorted(models.Order.objects.values_list("key", flat=True)) == ["138", "140"]
    assert "Enter at least one id" in post(shop, "start", stream="orders-in", only=" , ")


def test_a_run_that_was_started_here_is_stopped_here(shop: Any) -> None:
    post(shop, "start", follow=False, stream="orders-in")
    run = asked()
    client = as_user(shop.people.operator)
    assert 'name="from" value="manual"' in client.get(f"/store/run/{run.pk}/live/?from=manual").content.decode()
    answer = client.post(f"/store/run/{run.pk}/stop/", {"from": "manual"})
    assert answer["Location"] == f"/manual/{shop.one.pk}/?run={run.pk}#o-run"
    run.refresh_from_db()
    assert run.state == "stopped"


def test_a_cell_that_a_spreadsheet_would_calculate_is_told_as_text(shop: Any) -> None:
    run = books.finished_run(shop.one, args={"each": True})
    models.RunResult.objects.create(run=run, kind="product", name="=1+1", outcome="updated")
    table = as_user(shop.people.operator).get(f"/store/run/{run.pk}/results/").content.decode()
    assert ",'=1+1," in table


def test_who_may_not_see_the_records_of_a_run_sees_no_names_and_not_what_was_sent(shop: Any) -> None:
    run = books.finished_run(shop.one, args={"each": True})
    models.RunResult.objects.create(
        run=run, kind="counterparty", record_id=1, external_id="c-1", name="Ганна Тест", outcome="updated", said="phone"
    )
    person = User.objects.create_user("half", password=books.PASSWORD, is_staff=True)
    person.user_permissions.add(Permission.objects.get(codename="view_run"))
    for address in ("change", "results", "live"):
        text = as_user(person).get(f"/store/run/{run.pk}/{address}/").content.decode()
        assert ("Ганна Тест" in text, "phone" in text, "c-1" in text) == (False, False, True), address
    assert "Ганна Тест" in as_user(shop.people.viewer).get(f"/store/run/{run.pk}/change/").content.decode()
