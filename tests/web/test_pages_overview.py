"""The overview: what is wrong comes first, what is going on moves, and what was exchanged is counted once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import books
import pytest
from django.contrib.auth.models import Permission
from django.test import Client, override_settings
from django.utils import timezone, translation

from obmen.core.contract import Receiving
from obmen.core.engine import Settlement
from obmen.core.records import Kind
from obmen.store import connections, models, tallies
from obmen.web import overview
from obmen.web.state import conditions
from obmen.work import jobs, tidy

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = books.FAST_HASH


@pytest.fixture
def people() -> books.People:
    return books.people()


def signed_in(user: Any) -> Client:
    client = Client(headers={"accept-language": "en"})
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def lanes(client: Client, address: str = "/") -> list[Any]:
    return list(client.get(address).context["lanes"])


# --- lanes ---


def test_connections_that_need_the_owner_come_first(people: books.People) -> None:
    for name in ("a works", "b parked", "c broken", "d off", "e busy"):
        books.finished_run(books.connection(name))
    by_name = {c.name: c for c in models.Connection.objects.all()}
    books.parked(by_name["b parked"])
    books.finished_run(by_name["c broken"], "needs_owner", "The key is wrong")
    models.Connection.objects.filter(pk=by_name["d off"].pk).update(enabled=False)
    books.running_run(by_name["e busy"])
    shown = [(lane.connection.name, lane.words) for lane in lanes(signed_in(people.owner))]
    assert shown == [
        ("c broken", "needs attention"),
        ("b parked", "works"),
        ("e busy", "exchange is going on"),
        ("a works", "works"),
        ("d off", "switched off"),
    ]


def test_a_lane_says_its_last_success_next_run_and_what_waits(people: books.People) -> None:
    one = books.connection("1C")
    good = books.finished_run(one, ago=3)
    books.finished_run(one, "failed", "The file is damaged", ago=1)
    soon = timezone.now() + timedelta(minutes=20)
    one.streams.create(stream="stock-in", schedule="every 1 h", next_run=soon)
    one.streams.create(stream="orders-in", schedule="every 1 h", next_run=soon + timedelta(hours=1))
    one.streams.create(stream="prices-in", schedule="every 1 h", next_run=soon - timedelta(hours=1), enabled=False)
    since = timezone.now() - timedelta(hours=5)
    for i, at in enumerate((since, timezone.now())):
        models.Outbox.objects.create(connection=one, kind="order", record_id=i, revision=1, since=at)
    books.parked(one)
    (lane,) = lanes(signed_in(people.owner))
    assert (lane.good, lane.next_run, lane.waiting, lane.waiting_since, lane.parked) == (good.ended, soon, 2, since, 1)
    text = signed_in(people.owner).get("/").content.decode()
    for words in ("2 days ago", "oldest 5 h ago", "The file is damaged"):
        assert words in text


def test_a_silent_connection_is_an_alert_that_says_for_how_long(people: books.People) -> None:
    one = books.connection("1C", silent_after=6, last_call=None)
    models.Connection.objects.update(created=timezone.now() - timedelta(days=9))
    run = books.finished_run(one)
    models.Run.objects.filter(pk=run.pk).update(ended=timezone.now() - timedelta(hours=7, minutes=5))
    (lane,) = lanes(signed_in(people.owner))
    assert (lane.words, lane.silent, lane.trouble) == ("works", "No exchange for 7 h", True)
    assert "No exchange for 7 h" in signed_in(people.viewer).get("/").content.decode()
    models.Run.objects.filter(pk=run.pk).update(ended=timezone.now())
    assert lanes(signed_in(people.owner))[0].silent == ""


def test_a_paused_connection_says_until_when_and_why(people: books.People) -> None:
    one = books.connection("1C", time_zone="Europe/Kyiv")
    connections.pause(one, timezone.now().replace(year=2099, month=6, day=10, hour=5, minute=0), "stocktaking")
    (lane,) = lanes(signed_in(people.owner))
    assert (lane.words, lane.detail, lane.tone) == ("paused until 10.06.2099 08:00", "stocktaking", "")


def test_a_run_that_tries_again_later_says_so_and_why(people: books.People) -> None:
    one = books.connection("1C")
    books.finished_run(one)
    run = jobs.ask(one, ["products-in"], trigger="schedule")
    models.Run.objects.filter(pk=run.pk).update(attempts=2, text="The other side asks us to wait")
    (lane,) = lanes(signed_in(people.owner))
    assert (lane.words, lane.detail) == ("tries again later", "The other side asks us to wait")


def test_the_moving_part_brings_progress_and_is_asked_for_sooner_while_something_runs(people: books.People) -> None:
    one, other = books.connection("1C"), books.connection("Shop")
    client = signed_in(people.operator)
    assert 'hx-trigger="every 4s"' in client.get("/overview/running/").content.decode()
    books.running_run(one, 55, counts={"created": 12, "unchanged": 0})
    text = client.get("/overview/running/").content.decode()
    assert 'hx-trigger="every 2s"' in text
    for c in (one, other):
        assert f'id="lane-live-{c.pk}" hx-swap-oob="true"' in text
    assert 'aria-valuenow="55"' in text
    assert "created 12" in text
    assert "unchanged" not in text


def test_who_may_not_see_connections_sees_no_lanes_and_no_charts(people: books.People) -> None:
    books.connection("Secret shop")
    user = models.User.objects.create_user("nobody", password=books.PASSWORD, is_staff=True)
    client = signed_in(user)
    assert "Secret shop" not in client.get("/").content.decode()
    assert client.get("/overview/running/").status_code == 403
    assert client.get("/overview/charts/").status_code == 403
    assert "Secret shop" not in client.get("/overview/below/").content.decode()


def test_progress_is_not_shown_to_who_may_not_see_runs(people: books.People) -> None:
    books.running_run(books.connection("1C"), 55)
    people.viewer.groups.clear()
    people.viewer.user_permissions.set(Permission.objects.filter(codename="view_connection"))
    text = signed_in(people.viewer).get("/overview/running/").content.decode()
    assert "exchange is going on" in text
    assert "aria-valuenow" not in text


def test_lanes_can_be_searched_only_when_there_are_many(people: books.People) -> None:
    client = signed_in(people.owner)
    for i in range(8):
        books.connection(f"Shop {i}")
    assert "data-lane-search" not in client.get("/").content.decode()
    books.connection("One more")
    assert "data-lane-search" in client.get("/").content.decode()


def test_an_operator_s_overview_takes_no_more_than_twelve_queries_whatever_is_wrong(people: books.People, queries: Any) -> None:
    for i in range(15):
        one = books.connection(f"Shop {i}", silent_after=6, last_call=None)
        one.streams.create(stream="orders-in", schedule="every 15 min")
        books.finished_run(one, "needs_owner" if i % 2 else "done", ago=2)
        books.parked(one)
    models.Connection.objects.update(created=timezone.now() - timedelta(days=9))
    books.running_run(one)
    client = signed_in(people.operator)
    for address in ("/", "/overview/running/", "/overview/below/", "/overview/charts/?span=90d"):
        with queries() as asked:
            assert client.get(address).status_code == 200
        assert len(asked) <= 12, [address, *(q["sql"][:120] for q in asked)]


# --- the map ---


def test_the_map_puts_those_who_feed_us_left_and_those_whom_we_feed_right() -> None:
    def made(name: str, *streams: str) -> models.Connection:
        one = books.connection(name)
        models.StreamSetting.objects.bulk_create(models.StreamSetting(connection=one, stream=s) for s in streams)
        return one

    all_ = [
        made("accounting", "products-in", "prices-in", "stock-in", "orders-out", "orders-in"),
        made("marketplace", "orders-in", "products-in", "statuses-out", "offers-out"),
        made("shop of orders", "orders-in"),
        made("orders only", "orders-out"),
        made("nothing"),
    ]
    with translation.override("en"):
        sides = overview.feeding(all_)
    assert [(f.connection.name, f.gives, f.takes) for f in sides["sources"]] == [
        ("accounting", ["products", "prices", "stock", "orders"], ["orders"]),
        ("orders only", [], ["orders"]),
        ("nothing", [], []),
    ]
    assert [(f.connection.name, f.gives, f.takes) for f in sides["channels"]] == [
        ("marketplace", ["products", "orders"], ["prices and stock", "order states"]),
        ("shop of orders", ["orders"], []),
    ]


def test_a_stream_that_is_off_is_no_arrow() -> None:
    one = books.connection("1C")
    one.streams.create(stream="stock-in", enabled=False)
    one.streams.create(stream="prices-in")
    assert [f.gives for f in overview.feeding([one])["sources"]] == [["prices"]]


# --- what the charts count ---


def settled(kind: Kind, stream: str, **counts: int) -> dict[str, int]:
    return {n: c for n, c in tallies.of(Settlement(stream, kind, Receiving()), counts).items() if c}


def test_a_page_counts_for_orders_or_goods_and_by_its_direction() -> None:
    assert settled(Kind.ORDER, "orders-in", created=3, updated=2, unchanged=9, parked=1) == {"orders_in": 3, "parked": 1}
    assert settled(Kind.ORDER, "orders-out", created=3, updated=2) == {"orders_out": 5}
    assert settled(Kind.ORDER, "statuses-out", updated=2) == {"orders_out": 2}
    assert settled(Kind.STOCK, "stock-in", updated=7, created=1) == {"goods_in": 8}
    assert settled(Kind.OFFER, "offers-out", updated=4, parked=2) == {"goods_out": 4, "parked": 2}
    assert settled(Kind.COUNTERPARTY, "customers-in", created=4) == {}


def test_tallies_of_one_hour_add_up_and_an_empty_one_is_no_row() -> None:
    one = books.connection("1C")
    now = timezone.now().replace(minute=5)
    tallies.add(one.pk, {"goods_in": 3, "parked": 0}, now)
    tallies.add(one.pk, {"goods_in": 4, "failed": 1}, now + timedelta(minutes=50))
    tallies.add(one.pk, {"goods_in": 1}, now + timedelta(minutes=60))
    rows = list(models.Tally.objects.order_by("hour", "name").values_list("name", "count"))
    assert rows == [("failed", 1), ("goods_in", 7), ("goods_in", 1)]


def test_a_failed_run_is_counted_once_and_a_good_one_is_not() -> None:
    one = books.connection("1C")
    for state in ("failed", "needs_owner", "done"):
        jobs.ask(one, ["products-in"], trigger="person")
        run = jobs.claim("me")
        assert run is not None
        assert jobs.finish(run, "me", state) is True
        assert jobs.finish(run, "me", state) is False
    assert list(models.Tally.objects.values_list("name", "count")) == [("failed", 2)]


def test_the_charts_show_each_day_of_the_reader_s_zone_and_nothing_older(people: books.People) -> None:
    one, other = books.connection("1C"), books.connection("Shop")
    now = timezone.now()
    tallies.add(one.pk, {"orders_in": 5}, now)
    tallies.add(other.pk, {"orders_in": 2, "orders_out": 4}, now)
    tallies.add(one.pk, {"orders_in": 100}, now - timedelta(days=20))
    client = signed_in(people.viewer)

    def orders(span: str) -> Any:
        return client.get("/overview/charts/", {"span": span}).context["charts"][0]

    assert [s["total"] for s in orders("14d")["series"]] == [7, 4]
    assert [s["total"] for s in orders("90d")["series"]] == [107, 4]
    assert orders("24h")["rows"] == [(timezone.localtime(now).strftime("%H:00"), 7, 4)]
    assert orders("nonsense")["series"] == orders("14d")["series"]
    with override_settings(TIME_ZONE="Pacific/Auckland"), timezone.override("Pacific/Auckland"):
        day = timezone.localtime(now).strftime("%-d.%m")
        assert orders("14d")["rows"][-1] == (day, 7, 4)


def test_charts_without_anything_say_so(people: books.People) -> None:
    books.connection("1C")
    assert signed_in(people.viewer).get("/overview/below/").content.decode().count("Nothing in this time.") == 3


def test_tallies_are_kept_for_more_than_a_year() -> None:
    one = books.connection("1C")
    for days in (399, 401):
        tallies.add(one.pk, {"goods_in": 1}, timezone.now() - timedelta(days=days))
    assert tidy.tidy()["tallies"] == 1
    assert models.Tally.objects.count() == 1


def test_the_condition_of_one_connection_is_that_of_the_list() -> None:
    one = books.connection("1C")
    books.finished_run(one)
    books.parked(one)
    (alone,), (listed,) = conditions([one]), conditions(models.Connection.objects.all())
    assert (alone.words, alone.last, alone.parked) == (listed.words, listed.last, listed.parked) == ("works", alone.last, 1)
