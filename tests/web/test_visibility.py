"""A person who sees one company's orders: nothing of another company's is on any page, in any search, download or count."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from django.db.models import Count, Max
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books

from obmen.store import connections, journal, models, people, tokens, visibility
from obmen.web import parked_groups
from obmen.work import notices
from toy_connector import install_caller

pytestmark = pytest.mark.django_db
OURS, THEIRS = "Вокзал", "Аеропорт"
# What is told of a record of the other company: each of these words stands in one place of it only.
SECRETS = {
    "number": "AER-7001", "key": "key-aer-7001", "buyer": "Таємниця", "phone": "380 99 700-10-01", "email": "secret-buyer@example.com",
    "comment": "подзвонити-в-аеропорт", "tracking": "20459999999999", "payment": "pay-aer-1", "parked": "parked-aer-9001",
    "raw": "сира-таємниця", "said": "said-aer", "line": "рядок-аеропорту", "journal": "journal-aer", "traffic": "orders-aer",
    "message": "message-aer", "change": "change-aer-7001",
}  # fmt: skip


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = books.FAST_HASH


def order(company: str, secret: dict[str, str], source: models.Connection) -> models.Order:
    """An order with everything that hangs on one, each part with a word of its own."""
    row = books.order(secret["number"], source=source)
    models.Order.objects.filter(pk=row.pk).update(
        company=company, key=secret["key"], comment=secret["comment"], buyer={**row.buyer, "name": secret["buyer"]}
    )
    models.Counterparty.objects.filter(pk=row.counterparty_id).update(
        key=f"c-{secret['key']}", name=secret["buyer"], phone=secret["phone"], email=secret["email"], last_name=secret["buyer"]
    )
    row.payments.update(key=secret["payment"], number=secret["payment"])
    row.shipments.update(tracking=secret["tracking"])
    row.lines.update(name=secret["line"])
    row.refresh_from_db()
    books.link(source, "order", secret["number"], row.pk)
    now = timezone.now()
    run = books.finished_run(source, counts={"created": 1}, streams="orders-in", unique_key=secret["number"], args={"each": True})
    models.RunResult.objects.create(
        run=run, direction="in", stream="orders-in", kind="order", record_id=row.pk, external_id=secret["number"],
        name=secret["number"], outcome="created", said=secret["said"], text="Order {name} is here", facts={"name": secret["number"]},
    )  # fmt: skip
    preview = books.finished_run(
        source,
        counts={"updated": 1},
        streams="orders-in",
        unique_key=f"p{secret['number']}",
        args={"each": True, "preview": True},
    )
    models.RunResult.objects.create(
        run=preview, direction="in", stream="orders-in", kind="order", record_id=row.pk, external_id=secret["number"],
        name=secret["number"], outcome="updated", mark="updated", changes={"comment": ["", secret["change"]]},
    )  # fmt: skip
    models.RunLine.objects.create(run=run, text="The order {name} is odd", facts={"name": secret["message"]})
    models.RecordChange.objects.create(
        record_kind="order", record_id=row.pk, version=2, run=run, at=now, changes={"comment": ["", secret["comment"]]}
    )
    journal.note(source, "order-news", "1С", of=("order", row.pk), changes={"comment": ["", secret["journal"]]})
    models.Message.objects.create(connection=source, call=f"GET /{secret['traffic']}", answer=secret["traffic"])
    common = {"kind": "order", "payload": secret["raw"].encode(), "text": "“{value}” is not mapped"}
    books.parked(source, secret["number"], **{**common, "facts": {"value": secret["parked"]}})
    books.parked(
        source, str(row.pk), **{**common, "direction": "out", "facts": {"value": secret["parked"], "name": secret["number"]}}
    )
    books.parked(source, f"new-{secret['parked']}", **{**common, "facts": {"value": secret["parked"]}})
    models.Outbox.objects.get_or_create(connection=source, kind="order", record_id=row.pk, defaults={"revision": 1})
    return row


@pytest.fixture
def hub(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Two companies in one hub; ``limited``: an owner of everything who sees the orders of one of them."""
    settings.MEDIA_ROOT = tmp_path
    everybody = books.people()
    install_caller(monkeypatch)
    called, _password = connections.create("caller", "Магазин", settings={"server": "shop.example", "api_key": "right"})
    one = books.connection("1С: Торгівля")
    books.states()
    own = {name: value[::-1] for name, value in SECRETS.items()}
    mine, theirs = order(OURS, own, called), order(THEIRS, SECRETS, called)
    shared = books.order("SH-1")
    models.Order.objects.filter(pk=shared.pk).update(company=OURS)
    limited = everybody.owner
    people.set_companies(limited, [OURS], "admin")
    models.JournalEntry.objects.filter(action="person.changed").delete()
    return {"people": everybody, "limited": limited, "mine": mine, "theirs": theirs, "own": own, "called": called, "one": one}


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def said_of_theirs(page: str) -> list[str]:
    """Which words of the other company a page tells, as they are or as JSON writes them."""
    return [name for name, value in SECRETS.items() if value in page or json.dumps(value).strip('"') in page]


# --- every page ------------------------------------------------------------------------------------------------------------


def patterns(resolver: Any, before: str = "") -> Iterator[tuple[str, URLPattern]]:
    for found in resolver.url_patterns:
        route = before + str(found.pattern)
        if isinstance(found, URLResolver):
            yield from patterns(found, route)
        elif isinstance(found, URLPattern):
            yield route, found


def candidates() -> dict[str, list[Any]]:
    """Ids to put into addresses: of every row of every table of the hub, by the model that the address is about."""
    from django.apps import apps

    return {
        m._meta.model_name: list(m._default_manager.values_list("pk", flat=True)[:50])
        for m in apps.get_models()
        if m.__name__ not in ("Price", "StockLevel")
    }


def addresses() -> list[str]:
    """Every address of the hub, each with every id that fits its model; addresses of things that no table names are left out."""
    rows, out = candidates(), []
    every = sorted({pk for name in ("order", "connection", "run", "parked", "counterparty", "message") for pk in rows[name]})
    for route, _pattern in patterns(get_resolver()):
        plain = re.sub(r"\^|\$|\\Z", "", route)
        if "(?P" in plain or "logout" in plain or "<path:content_type_id>" in plain:
            continue
        holes = re.findall(r"<[^>]+>", plain)
        if not holes:
            out.append("/" + plain)
        elif len(holes) == 1:
            model = re.match(r"store/(\w+)/", plain)
            ids = rows.get(model[1], every) if model else every
            out += ["/" + plain.replace(holes[0], str(pk)) for pk in ids]
    return out


def test_no_page_tells_anything_of_another_company(hub: dict[str, Any]) -> None:
    client, leaks, shown = as_user(hub["limited"]), {}, set()
    for address in addresses():
        answer = client.get(address)
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        page = body.decode("utf-8", "replace")
        if found := said_of_theirs(page):
            leaks[address] = found
        shown |= {name for name, value in hub["own"].items() if value in page}
    assert leaks == {}, leaks
    # The pages did say these of the own company: silence alone would prove nothing.
    assert shown >= {"number", "buyer", "phone", "comment", "tracking", "parked", "raw", "said", "line", "journal", "change"}


def test_whoever_sees_every_company_sees_both_on_the_same_pages(hub: dict[str, Any]) -> None:
    """The same walk as above, so that a walk that finds nothing cannot pass."""
    models.Person.objects.all().delete()
    client, told = as_user(hub["limited"]), set()
    for address in addresses():
        answer = client.get(address)
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        told |= set(said_of_theirs(body.decode("utf-8", "replace")))
    assert told >= set(SECRETS) - {"key", "email", "payment"}


def test_what_a_run_said_of_another_company_is_told_on_no_page_and_in_no_notice(hub: dict[str, Any]) -> None:
    secret, said = "4711-аеропорт", {"text": "Order {name} broke", "facts": {"name": "4711-аеропорт"}}
    run = books.finished_run(hub["called"], "failed", streams="orders-in", unique_key="x", args={"parked": [1]}, **said)
    channel = models.NoticeChannel.objects.create(name="Mail", way="email", wants=["run"], settings={"to": ["a@shop.example"]})
    assert notices.look() == 1
    notice = models.Notice.objects.get(channel=channel)
    pages = [
        f"/seek/?q={run.pk}",
        f"/store/parked/freeing/{run.pk}/",
        f"/store/parked/freeing/{run.pk}/?part",
        f"/store/connection/{hub['called'].pk}/log/",
        "/notices/",
        "/store/notice/",
        f"/store/notice/{notice.pk}/change/",
        f"/store/run/{run.pk}/change/",
        f"/store/run/{run.pk}/live/",
        "/",
    ]
    client = as_user(hub["limited"])
    assert [page for page in pages if secret in client.get(page).content.decode()] == []
    models.Person.objects.all().delete()
    told = [page for page in pages if secret in client.get(page).content.decode()]
    assert set(pages) - set(told) <= {"/store/notice/", "/"}  # the lists say what happened, without details


@pytest.mark.parametrize("page", ["order", "counterparty", "parked", "journalentry", "message"])
def test_no_search_finds_anything_of_another_company(hub: dict[str, Any], page: str) -> None:
    found: dict[str, int] = {}
    for name in ("limited", "everything"):
        if name == "everything":
            models.Person.objects.all().delete()
        client = as_user(hub["limited"])
        found[name] = sum(len(client.get(f"/store/{page}/", {"q": word}).context["cl"].result_list) for word in SECRETS.values())
    assert found["limited"] == 0
    assert found["everything"] > 0 or page == "journalentry"


# --- by id -----------------------------------------------------------------------------------------------------------------


def test_an_order_of_another_company_cannot_be_opened_changed_retried_or_downloaded(hub: dict[str, Any]) -> None:
    client, theirs = as_user(hub["limited"]), hub["theirs"]
    hidden = [p.pk for p in models.Parked.objects.all() if p.external_id not in (hub["mine"].number, str(hub["mine"].pk))]
    before = (list(models.Order.objects.values("comment", "state", "revision").order_by("pk")), models.Run.objects.count())
    assert client.post(f"/store/order/{theirs.pk}/edit/", {"state": "sent", "comment": "x"}).status_code == 404
    assert client.get(f"/store/order/{theirs.pk}/change/").status_code in (302, 404)
    for pk in hidden:
        assert client.post(f"/store/parked/{pk}/retry/").status_code == 404
        assert client.get(f"/store/parked/{pk}/raw/").status_code == 404
    answer = client.post("/store/parked/", {"action": "retry_selected", "_selected_action": hidden, "confirmed": "1"})
    assert answer.status_code in (200, 302)
    assert (
        list(models.Order.objects.values("comment", "state", "revision").order_by("pk")),
        models.Run.objects.count(),
    ) == before


def test_retrying_all_that_one_sees_leaves_the_other_companys_records_alone(hub: dict[str, Any]) -> None:
    as_user(hub["limited"]).post("/store/parked/retry-all/", {"confirmed": "1"})
    asked = [pk for run in models.Run.objects.filter(trigger="retry") for pk in run.args["parked"] or [None]]
    mine = models.Parked.objects.filter(external_id__in=(hub["mine"].number, str(hub["mine"].pk))).values_list("pk", flat=True)
    assert sorted(asked) == sorted(mine)


def test_the_own_company_is_worked_with_as_ever(hub: dict[str, Any]) -> None:
    client, mine = as_user(hub["limited"]), hub["mine"]
    assert client.get(f"/store/order/{mine.pk}/change/").status_code == 200
    assert client.post(f"/store/order/{mine.pk}/edit/", {"state": "sent", "comment": "готово"}).status_code == 302
    mine.refresh_from_db()
    assert (mine.state, mine.comment) == ("sent", "готово")
    run = models.RunResult.objects.get(record_id=mine.pk, outcome="created").run
    assert mine.number in client.get(f"/store/run/{run.pk}/results/").content.decode()


def test_a_limit_counts_at_once_and_ends_at_once(hub: dict[str, Any]) -> None:
    client, address = as_user(hub["limited"]), f"/store/order/{hub['theirs'].pk}/change/"
    assert client.get(address).status_code != 200
    people.set_companies(hub["limited"], [OURS, THEIRS], "admin")
    assert client.get(address).status_code == 200
    people.set_companies(hub["limited"], [], "admin")
    assert client.get(address).status_code == 200


def test_a_superuser_and_a_stranger_have_no_limits_of_their_own(hub: dict[str, Any]) -> None:
    people.set_companies(hub["people"].admin, [OURS], "x")
    assert visibility.orders_for(User.objects.get(username="admin")).count() == 3
    assert visibility.companies(AnonymousUser()) == ()


def test_asking_who_sees_what_takes_one_query_for_each_request(hub: dict[str, Any], queries: Any) -> None:
    user = User.objects.get(pk=hub["limited"].pk)
    with queries() as asked:
        for _n in range(3):
            list(visibility.orders_for(user))
            list(visibility.parked_for(user))
    assert len(asked) == 7
    client = as_user(hub["limited"])
    for page in ("order", "counterparty", "parked", "journalentry", "run", "message"):
        with queries() as asked:
            assert client.get(f"/store/{page}/").status_code == 200
        assert len(asked) <= 12, (page, [q["sql"][:120] for q in asked])


def test_what_hangs_on_an_order_is_seen_with_it(hub: dict[str, Any]) -> None:
    user = User.objects.get(pk=hub["limited"].pk)
    assert {o.number for o in visibility.orders_for(user)} == {hub["own"]["number"], "SH-1"}
    assert {p.order.company for p in visibility.payments_for(user)} == {OURS}
    assert {s.order.company for s in visibility.shipments_for(user)} == {OURS}
    assert hub["theirs"].counterparty not in visibility.counterparties_for(user)
    assert {p.external_id for p in visibility.parked_for(user)} == {hub["mine"].number, str(hub["mine"].pk)}
    books.parked(hub["one"])
    assert visibility.parked_for(user).filter(kind="product").count() == 1
    assert {o.record_id for o in visibility.outbox_for(user, models.Outbox.objects.all())} & {hub["theirs"].pk} == set()
    assert timezone.now() - hub["mine"].created < timedelta(minutes=5)


# --- on big books ----------------------------------------------------------------------------------------------------------


def private(hub: dict[str, Any], company: str) -> dict[str, int]:
    """{kind: the id here} of what the company has, one of each private kind."""
    row = hub["mine" if company == OURS else "theirs"]
    payment, shipment = row.payments.get(), row.shipments.get()
    return {"order": row.pk, "payment": payment.pk, "shipment": shipment.pk, "counterparty": row.counterparty_id}


def test_of_parked_private_records_those_of_the_own_company_are_seen_by_our_id_or_by_their_link(hub: dict[str, Any]) -> None:
    models.Parked.objects.all().delete()
    other = books.connection("Інший")
    for company in (OURS, THEIRS):
        for kind, pk in private(hub, company).items():
            books.parked(hub["one"], str(pk), kind=kind, direction="out", text=f"{company} out {kind}")
            books.parked(hub["one"], f"{kind} of {company}", kind=kind, text=f"{company} in {kind}")
            books.link(hub["one"], kind, f"{kind} of {company}", pk)
            # The same id of theirs is another thing for another connection, and no link at all for what is sent.
            books.parked(other, f"{kind} of {company}", kind=kind, text="of another connection")
            books.parked(hub["one"], f"{kind} of {company}", kind=kind, direction="out", text="sent by an id of theirs")
    seen = visibility.parked_for(User.objects.get(pk=hub["limited"].pk))
    assert sorted(p.text for p in seen) == sorted(
        f"{OURS} {way} {kind}" for way in ("in", "out") for kind in ("order", "payment", "shipment", "counterparty")
    )


@pytest.mark.parametrize("written", ["0{}", " {}", "{} ", "+{}", "{}.0", "{}x", "{}e0", "٣", "", "9" * 30, "1" * 300])
def test_what_is_not_written_as_an_id_of_ours_is_no_record_of_ours_and_no_error(hub: dict[str, Any], written: str) -> None:
    models.Parked.objects.all().delete()
    books.parked(hub["one"], written.format(hub["mine"].pk), kind="order", direction="out")
    user = User.objects.get(pk=hub["limited"].pk)
    assert visibility.parked_for(user).count() == 0
    books.parked(hub["one"], str(hub["mine"].pk), kind="order", direction="out")
    assert visibility.parked_for(user).count() == 1


def test_orders_of_some_companies_are_read_page_by_page_in_their_order(hub: dict[str, Any]) -> None:
    """Of each page the ids are sorted first: none is left out, none comes twice, whole rows come in the order that was asked for."""
    for n in range(7):
        row = books.order(f"M-{n}")
        changed = timezone.now() - timedelta(days=n % 3)
        models.Order.objects.filter(pk=row.pk).update(company=OURS if n % 2 else THEIRS, changed=changed)
    mine = models.Order.objects.filter(company=OURS)
    since = timezone.now() - timedelta(days=300)
    _row, secret = tokens.make(hub["limited"], "program", ["orders.read"], days=1, who="x")
    for query, expected in (({}, mine.order_by("-pk")), ({"changed_since": since.isoformat()}, mine.order_by("changed", "pk"))):
        got: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            asked = {"limit": "2", **query, **cursor}
            answer = Client().get("/api/v1/orders", asked, headers={"Authorization": f"Bearer {secret}"}).json()
            assert len(answer["items"]) <= 2
            got += [(o["number"], o["company"], o["counterparty"]["name"]) for o in answer["items"]]
            if not answer["next"]:
                break
            cursor = {"cursor": answer["next"]}
        assert got == [(o.number, OURS, o.counterparty.name) for o in expected.select_related("counterparty")]


def test_whose_records_are_is_looked_up_in_indexes_that_hold_all_that_is_asked(hub: dict[str, Any]) -> None:
    if connection.vendor != "sqlite":
        return  # PostgreSQL plans by how many there are
    user = User.objects.get(pk=hub["limited"].pk)
    groups = visibility.parked_for(user).order_by().values(*parked_groups.SAME).annotate(n=Count("pk"), sample=Max("pk"))
    plan = groups.explain()
    assert "SCAN store_parked USING INDEX parked_groups" in plan
    assert "LIST SUBQUERY" not in plan  # all ids that a person sees
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA index_info(parked_groups)")
        columns = [name for _at, _column, name in cursor.fetchall()]
    assert columns[-1] == "external_id"  # without which each row would be read with its input
    changed = visibility.orders_for(user).filter(changed__gte=timezone.now()).order_by("changed", "pk").values("pk")[:501]
    assert "USING COVERING INDEX order_of_company" in changed.explain()
    assert "USING COVERING INDEX order_of_company" in visibility.counterparties_for(user).explain()


def test_an_order_takes_a_program_of_a_limited_person_twelve_queries_at_most(hub: dict[str, Any], queries: Any) -> None:
    _row, secret = tokens.make(hub["limited"], "program", ["orders.read"], days=1, who="x")
    row, told = hub["mine"], {"headers": {"Authorization": f"Bearer {secret}"}}
    Client().get(f"/api/v1/orders/{row.pk}", **told)
    with queries() as asked:
        whole = Client().get(f"/api/v1/orders/{row.pk}", **told).json()
    assert len(asked) <= 12, [q["sql"][:90] for q in asked]
    assert [(x["connection"]["name"], x["their_id"]) for x in whole["links"]] == [("Магазин", row.number)]
