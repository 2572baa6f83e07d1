"""The card of a connection: pause, copy, bookmark, log, and what the other system does not allow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import books
import pytest
from django.test import Client
from django.utils import timezone, translation

from obmen.registry import connectors
from obmen.sandbox.retailcrm import serve
from obmen.store import connections, models
from obmen.web import connection_card
from obmen.web.connection_card import SHOWN
from obmen.web.connector_tabs import every_tab
from obmen.work import jobs
from obmen.work.run import execute

pytestmark = pytest.mark.django_db
ZONE = ZoneInfo("Asia/Almaty")  # not that of the hub


@pytest.fixture(autouse=True)
def quick(settings: Any, tmp_path: Path) -> None:
    settings.PASSWORD_HASHERS = books.FAST_HASH
    settings.MEDIA_ROOT, settings.OBMEN_HOME, settings.OBMEN_ALLOW_PRIVATE = tmp_path, tmp_path, True


@pytest.fixture
def people() -> books.People:
    return books.people()


@pytest.fixture
def one() -> models.Connection:
    made, _password = books.door("1C")
    models.Connection.objects.filter(pk=made.pk).update(time_zone=ZONE.key)
    return models.Connection.objects.get(pk=made.pk)


def signed_in(user: Any) -> Client:
    client = Client(headers={"accept-language": "en"})
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def page(connection: models.Connection, name: str) -> str:
    return f"/store/connection/{connection.pk}/{name}/"


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def deeds() -> list[tuple[str, str]]:
    return list(models.JournalEntry.objects.order_by("pk").values_list("action", "who"))


# --- pause ---


@pytest.mark.parametrize(
    ("sent", "until"),
    [
        ({"how": "hour"}, lambda now: now + timedelta(hours=1)),
        (
            {"how": "tomorrow"},
            lambda now: (
                datetime.combine(now.astimezone(ZONE).date() + timedelta(days=1), datetime.min.time(), ZONE) + timedelta(hours=8)
            ),
        ),
        ({"how": "until", "until": "2099-06-10T08:00"}, lambda now: datetime(2099, 6, 10, 8, 0, tzinfo=ZONE)),
    ],
    ids=["an hour", "tomorrow", "a date"],
)
def test_a_connection_is_paused_by_its_own_clock(
    people: books.People, one: models.Connection, sent: dict[str, str], until: Any
) -> None:
    now = timezone.now()
    answer = signed_in(people.owner).post(page(one, "pause"), {**sent, "text": "stocktaking"})
    assert answer.status_code == 302
    one.refresh_from_db()
    assert abs(one.paused_until - until(now)) < timedelta(minutes=1)
    assert (one.paused_text, one.is_paused, one.enabled) == ("stocktaking", True, True)
    shown = text_of(signed_in(people.viewer).get(page(one, "change")))
    assert "paused until" in shown
    assert "stocktaking" in shown
    assert "Resume" not in shown


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"how": "until"}, "Say until when."),
        ({"how": "until", "until": "2001-01-01T00:00"}, "This moment is over: choose a later one."),
        ({"how": "until", "until": "soon"}, "Enter a valid date/time."),
        ({}, "This field is required."),
        ({"how": "ever"}, "Select a valid choice."),
        ({"how": "hour", "text": "x" * 201}, "at most 200 characters"),
    ],
)
def test_a_pause_that_makes_no_sense_is_refused_with_a_reason(
    people: books.People, one: models.Connection, sent: dict[str, str], said: str
) -> None:
    answer = signed_in(people.owner).post(page(one, "pause"), sent)
    assert said in text_of(answer)
    one.refresh_from_db()
    assert one.paused_until is None


def test_resuming_ends_the_pause_at_once(people: books.People, one: models.Connection) -> None:
    connections.pause(one, timezone.now() + timedelta(hours=1))
    jobs.ask(one, ["products-in"], trigger="schedule")
    assert jobs.claim("me") is None
    client = signed_in(people.owner)
    assert "Resume" in text_of(client.get(page(one, "schedule")))
    assert client.post(page(one, "resume")).status_code == 302
    assert jobs.claim("me") is not None
    assert deeds()[-1] == ("connection.resumed", "owner")


@pytest.mark.parametrize("who", ["operator", "viewer"])
@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("pause", {"how": "hour"}),
        ("resume", {}),
        ("copy", {"name": "Another"}),
        ("rewind/orders-in", {"words": "1", "confirmed": "1"}),
    ],
)
def test_who_may_not_change_connections_changes_nothing_on_the_card(
    people: books.People, one: models.Connection, who: str, name: str, sent: dict[str, str]
) -> None:
    until = timezone.now() + timedelta(hours=2)
    if name == "resume":
        connections.pause(one, until)
    before = (deeds(), models.Connection.objects.count(), models.Bookmark.objects.count())
    assert signed_in(getattr(people, who)).post(page(one, name), sent).status_code == 403
    one.refresh_from_db()
    assert one.is_paused is (name == "resume")
    assert (deeds(), models.Connection.objects.count(), models.Bookmark.objects.count()) == before


# --- copy ---


def set_up(connection: models.Connection) -> None:
    connections.update(connection, {"minimum_interval": 30}, "owner")
    connections.set_stream(connection, "stock-in", enabled=False, who="owner")
    connections.set_stream(connection, "products-in", enabled=True, schedule="every 15 min", who="owner")
    connection.match_rules.all().delete()
    models.MatchRule.objects.create(connection=connection, kind="product", attribute="article", priority=3)
    add = models.Mapping.objects.create
    add(connection=connection, subject="order_state", theirs="N", theirs_name="Новый", ours="new", position=2, seen_count=7)
    add(connection=connection, subject="order_state", theirs="X", theirs_name="?", reported=True, seen_count=41)


def test_a_copy_is_set_up_in_the_same_way_and_switched_off(people: books.People, one: models.Connection) -> None:
    set_up(one)
    books.link(one, "product", "1", 1)
    models.Bookmark.objects.create(connection=one, stream="orders-in", value={"since_id": 7})
    answer = signed_in(people.owner).post(page(one, "copy"), {"name": " 1C, test base "})
    assert "The copy is made, and switched off" in text_of(answer)
    made = models.Connection.objects.get(name="1C, test base")
    assert (made.enabled, made.profile, made.settings) == (False, "ut11", one.settings | {"minimum_interval": 30})
    assert made.account_id not in (None, one.account_id)
    streams = {s.stream: (s.enabled, s.schedule, s.next_run) for s in made.streams.all()}
    assert streams["stock-in"] == (False, "", None)
    assert streams["products-in"] == (True, "every 15 min", None)
    assert [(r.kind, r.attribute, r.priority) for r in made.match_rules.all()] == [("product", "article", 3)]
    mapped = [(m.theirs, m.theirs_name, m.ours, m.position, m.seen_count) for m in made.mappings.all()]
    assert mapped == [("N", "Новый", "new", 2, 0)]
    assert (made.links.count(), made.bookmarks.count(), made.runs.count(), made.messages.count()) == (0, 0, 0, 0)
    assert models.JournalEntry.objects.get(action="connection.copied", connection=made).facts == {"source": "1C"}


def test_a_copy_has_no_secrets(people: books.People) -> None:
    crm, _none = connections.create("retailcrm", "CRM", settings={"server": "https://demo.example", "api_key": "top-secret"})
    assert signed_in(people.owner).post(page(crm, "copy"), {"name": "CRM 2"}).status_code == 302
    made = models.Connection.objects.get(name="CRM 2")
    assert (made.secrets, made.settings["server"], made.checked) == ({}, "https://demo.example", None)
    assert made.hook not in ("", crm.hook)


def test_a_copy_needs_a_name_of_its_own(people: books.People, one: models.Connection) -> None:
    client = signed_in(people.owner)
    assert 'value="1C (copy)"' in text_of(client.get(page(one, "copy")))
    for name, said in (("1C", "There is already a connection with this name."), ("", "This field is required.")):
        assert said in text_of(client.post(page(one, "copy"), {"name": name}))
    assert models.Connection.objects.count() == 1


def test_a_copy_is_told_of_the_orders_it_will_have_to_be_told_of(people: books.People, one: models.Connection) -> None:
    order = books.order()
    made, _password = connections.duplicate(one, "Copy")
    assert list(made.outbox.values_list("record_id", flat=True)) == [order.pk]
    connections.set_stream(one, "orders-out", enabled=False)
    without, _password = connections.duplicate(one, "Copy 2")
    assert without.outbox.count() == 0


# --- bookmark ---


@pytest.fixture
def account() -> Iterator[Any]:
    with serve() as server:
        yield server


CUP = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def crm(account: Any) -> models.Connection:
    """A CRM with two orders, which are loaded; its bookmark stands behind both."""
    books.states()
    account.crm.add_offer(CUP, "Чашка", 100, xml_id="УТ-1", article="A-1")
    for name in ("Марія", "Олег"):
        account.crm.ui.create_order([(CUP, 2)], firstName=name, lastName="Шевченко")
    made, _none = connections.create("retailcrm", "CRM", settings={"server": account.url, "api_key": "sandbox-key"})
    connections.check(made)
    made.mappings.filter(subject="order_state").delete()
    models.Mapping.objects.create(connection=made, subject="order_state", theirs="new", ours="new", outbound=False)
    made.bookmarks.create(stream="orders-in", value={"from": "2020-01-01T00:00:00+00:00"})
    assert load(made).state == "done"
    return made


def load(connection: models.Connection) -> models.Run:
    run = jobs.ask(connection, ["orders-in"], trigger="person", who="owner")
    assert jobs.claim("me") is not None
    execute(run.pk, "me")
    return models.Run.objects.get(pk=run.pk)


def mark(connection: models.Connection) -> Any:
    return connection.bookmarks.get(stream="orders-in").value


@pytest.mark.django_db
def test_a_bookmark_that_was_never_read_and_the_link_that_sets_it_are_words_apart(people: books.People) -> None:
    made, _none = connections.create("retailcrm", "CRM", settings={"server": "https://crm.example.com", "api_key": "key"})
    shown = signed_in(people.owner).get(page(made, "schedule")).content.decode()
    assert re.search(r"not read yet\s*<div><a [^>]*>Set it", shown)
    assert not re.search(r"not read yet<a", shown)


@pytest.mark.django_db(transaction=True)
def test_a_bookmark_that_is_set_back_is_asked_about_journalled_and_reads_everything_again_without_a_double(
    people: books.People, crm: models.Connection, account: Any
) -> None:
    before = mark(crm)["since_id"]
    orders = list(models.Order.objects.order_by("pk").values("key", "revision"))
    assert len(orders) == 2
    client = signed_in(people.owner)
    assert str(before) in text_of(client.get(page(crm, "schedule")))
    asked = text_of(client.post(page(crm, "rewind/orders-in"), {"words": "1"}))
    assert f"from “{before}” to “1”?" in asked
    assert "nothing is doubled" in asked
    assert mark(crm)["since_id"] == before
    assert client.post(page(crm, "rewind/orders-in"), {"words": "1", "confirmed": "1"}).status_code == 302
    assert mark(crm) == {"since_id": 1}
    entry = models.JournalEntry.objects.get(action="bookmark.set")
    assert (entry.who, entry.facts) == ("owner", {"stream": "orders-in", "before": str(before), "after": "1"})
    calls = len(account.crm.calls("/orders/history"))
    run = load(crm)
    assert account.crm.calls("/orders/history")[calls].query["filter"]["sinceId"] in (1, "1")
    assert (run.state, run.counts.get("created", 0), run.counts.get("updated", 0)) == ("done", 0, 0)
    assert run.counts["unchanged"] >= 2
    assert list(models.Order.objects.order_by("pk").values("key", "revision")) == orders
    assert mark(crm)["since_id"] == before


@pytest.mark.django_db(transaction=True)
def test_a_bookmark_is_set_to_a_date_by_the_clock_of_the_connection(people: books.People, crm: models.Connection) -> None:
    client = signed_in(people.owner)
    client.post(page(crm, "rewind/orders-in"), {"moment": "2026-01-31T10:00", "confirmed": "1"})
    assert mark(crm) == {"from": "2026-01-31T08:00:00+00:00"}
    assert "a date" in text_of(client.get(page(crm, "schedule")))


@pytest.mark.django_db(transaction=True)
def test_a_bookmark_that_cannot_be_set_stays(people: books.People, crm: models.Connection) -> None:
    before, client = mark(crm), signed_in(people.owner)
    for sent, said in (
        ({"words": "yesterday"}, "yesterday"),
        ({}, "Say either a date and time or a place, not both."),
        ({"words": "1", "moment": "2026-01-31T10:00"}, "Say either a date and time or a place, not both."),
    ):
        for more in ({}, {"confirmed": "1"}):
            answer = client.post(page(crm, "rewind/orders-in"), {**sent, **more})
            assert answer.status_code == 200
            assert said in text_of(answer)
            assert mark(crm) == before
    books.running_run(crm)
    busy = client.post(page(crm, "rewind/orders-in"), {"words": "1", "confirmed": "1"})
    assert "stop it first" in text_of(busy)
    assert mark(crm) == before
    assert not models.JournalEntry.objects.filter(action="bookmark.set").exists()


def test_a_stream_without_a_bookmark_has_none_to_set(people: books.People, one: models.Connection) -> None:
    assert signed_in(people.owner).get(page(one, "rewind/products-in")).status_code == 404


# --- log ---


def happened(connection: models.Connection) -> None:
    books.finished_run(connection, "failed", "The file is damaged")
    books.finished_run(connection)
    for call, status, answer in (("GET mode=init", 200, "zip=yes"), ("POST mode=file", 200, "failure: disk"), ("GET x", 500, "")):
        models.Message.objects.create(connection=connection, call=call, status=status, answer=answer, remote="203.0.113.7")


def lines(client: Client, connection: models.Connection, **asked: str) -> list[tuple[str, str]]:
    shown = client.get(page(connection, "log"), asked).context["lines"]
    return [(line.source, line.what.split(" ", 1)[-1] if line.source == "runs" else line.what or line.text) for line in shown]


def test_the_log_tells_runs_deeds_and_calls_together_and_apart(people: books.People, one: models.Connection) -> None:
    happened(one)
    happened(books.connection("another"))
    client = signed_in(people.owner)
    every = lines(client, one)
    assert sorted({source for source, _what in every}) == ["calls", "deeds", "runs"]
    assert len(every) == 3 + 2 + models.JournalEntry.objects.filter(connection=one).count()
    assert lines(client, one, kind="runs") == [("runs", "done · products in"), ("runs", "failed · products in")]
    assert [what for _source, what in lines(client, one, kind="calls")] == ["GET x", "POST mode=file", "GET mode=init"]
    assert {source for source, _what in lines(client, one, kind="deeds")} == {"deeds"}
    failed = lines(client, one, only="errors")
    assert sorted(what for _source, what in failed) == ["GET x", "POST mode=file", "failed · products in"]
    assert lines(client, one, q="mode=FILE") == [("calls", "POST mode=file")]
    assert lines(client, one, q="damaged") == [("runs", "failed · products in")]
    assert lines(client, one, q="no such thing") == []


def test_the_log_is_read_to_its_end_without_gap_or_repeat(people: books.People, one: models.Connection) -> None:
    now = timezone.now()
    for i in range(SHOWN):
        at = now - timedelta(minutes=SHOWN - i)
        models.Message.objects.create(connection=one, call=f"call {i}", at=at)
        if i % 2:
            run = books.finished_run(one)
            models.Run.objects.filter(pk=run.pk).update(asked=at)
    client = signed_in(people.owner)
    address, seen = page(one, "log"), []
    while address:
        answer = client.get(address)
        seen += [(line.source, line.pk) for line in answer.context["lines"]]
        address = page(one, "log") + answer.context["older"] if answer.context["older"] else ""
    assert len(seen) == len(set(seen)) == SHOWN + SHOWN // 2 + models.JournalEntry.objects.filter(connection=one).count()


def test_the_log_shows_each_only_what_they_may_see(people: books.People, one: models.Connection) -> None:
    happened(one)
    user = models.User.objects.create_user("calls", password=books.PASSWORD, is_staff=True)
    user.user_permissions.set(
        models.Connection._meta.apps.get_model("auth", "Permission").objects.filter(codename="view_connection")
    )
    assert signed_in(user).get(page(one, "log")).status_code == 403
    assert "/log/" not in text_of(signed_in(user).get(page(one, "change")))
    more = models.Connection._meta.apps.get_model("auth", "Permission").objects.get(codename="view_run")
    user.user_permissions.add(more)
    client = signed_in(models.User.objects.get(pk=user.pk))
    assert {source for source, _what in lines(client, one)} == {"runs"}
    assert lines(client, one, kind="calls") == []


def test_hostile_questions_to_the_log_are_answered(people: books.People, one: models.Connection) -> None:
    happened(one)
    client = signed_in(people.owner)
    for asked in ({"q": "%_[*'\0"}, {"q": "9" * 90}, {"before": "runs-x.calls-99999999999999999999.-.."}, {"kind": "users"}):
        assert client.get(page(one, "log"), asked).status_code == 200, asked


def test_pages_of_the_card_take_few_queries(people: books.People, one: models.Connection, queries: Any) -> None:
    happened(one)
    client = signed_in(people.operator)
    for name in ("change", "log", "schedule", "settings", "links"):
        client.get(page(one, name))
        with queries() as asked:
            assert client.get(page(one, name)).status_code == 200
        assert len(asked) <= 12, [name, *(q["sql"][:90] for q in asked)]


def test_links_are_counted_by_kind_and_no_further_than_anybody_reads(
    people: books.People, one: models.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_card, "MANY", 3)
    for i in range(5):
        books.link(one, "product", str(i), i)
    books.link(one, "order", "1", 1)
    books.link(books.connection("another"), "offer", "1", 1)
    assert signed_in(people.viewer).get(page(one, "links")).context["links"] == [("product", 3, True), ("order", 1, False)]


# --- what the other system does not allow ---


def test_limits_stand_on_the_tab_where_they_matter(people: books.People) -> None:
    one, _none = connections.create("commerceml_client", "Shop", profile="cs-cart-exim-1c")
    models.Connection.objects.filter(pk=one.pk).update(checked=timezone.now())
    client = signed_in(people.viewer)

    def limits(tab: str) -> list[str]:
        return list(client.get(page(one, f"tab/{tab}")).context["limits"])

    assert limits("orders") == [
        "This shop gives all of its orders at every exchange: the hub takes only what is new or changed in them."
    ]
    assert limits("connection") == ["Files go out in pieces of 50 MB at most, whatever the shop says that it takes."]
    assert [text.split(":")[0] for text in limits("orders-back")] == [
        "This shop takes no payments of orders.",
        "This shop takes no changed lines of orders",
    ]
    assert limits("prices") == []


def test_every_limit_stands_on_a_tab_that_is_there_and_tells_its_facts() -> None:
    for key, kind in connectors().items():
        for profile in kind.profiles() or ("",):
            one = models.Connection(connector=key, profile=profile, name=key)
            said = connections.connector_of(one).limits()
            tabs = {tab for tab, _title in every_tab(kind)} if kind.tabs else {"settings"}
            assert said.keys() <= tabs, (key, profile)
            for texts in said.values():
                for text, facts in texts:
                    with translation.override("en"):
                        assert "{" not in text.format(**facts)


def test_every_setting_of_every_connector_has_its_help_beside_it() -> None:
    from obmen.core.settings import describe

    for key, kind in connectors().items():
        assert [name for name, about in describe(kind.settings).items() if not about.help] == [], key


def test_every_connector_with_tabs_has_settings_and_a_log(people: books.People) -> None:
    for key, kind in connectors().items():
        if kind.tabs:
            one, _none = connections.create(key, key)
            models.Connection.objects.filter(pk=one.pk).update(checked=timezone.now())
            titles = [str(t["title"]) for t in signed_in(people.owner).get(page(one, "change")).context["tabs"]]
            assert titles[0] == "Overview", key
            assert {"Settings", "Schedule", "Log"} <= set(titles), key
            assert len(titles) == len(set(titles)), key
