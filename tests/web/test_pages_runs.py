"""Pages of previews: what would change, in words; what is accepted and skipped; the limit of changes; a received file once more."""

from __future__ import annotations

import re
import sys
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books

import caller
from caller import World, order
from obmen.core.records import Subject
from obmen.store import connections, mappings, models, previews
from obmen.store.mappings import MappingRow
from obmen.work import jobs
from obmen.work import run as runs
from store.cml import catalogue, offer, offers, product, put

pytestmark = pytest.mark.django_db

LONG = "Дуже довгий опис. " * 20


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any, tmp_path: Path) -> None:
    settings.PASSWORD_HASHERS = books.FAST_HASH
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def people() -> books.People:
    return books.people()


@pytest.fixture
def node(people: books.People, tmp_path: Path) -> models.Connection:
    made, _password = books.door()
    folder = put(
        tmp_path,
        import0_1=catalogue(product("p1", "Стул", "A-1"), product("p2", "Стол"), product("p3", "Шафа")),
        offers0_1=offers(offer("p1", prices=[("retail", "1000")], stock=[("main", "3")])),
    )
    assert runs.load_folder(made, folder).state == "done"
    return made


@pytest.fixture
def preview(node: models.Connection, tmp_path: Path) -> models.Run:
    """A name, a price, a mark of deletion, a long text and a new card; one card that was edited here."""
    card = models.Product.objects.get(key="p3")
    models.Product.objects.filter(pk=card.pk).update(name="Наша шафа", version=2)
    models.RecordChange.objects.create(
        record_kind="product", record_id=card.pk, version=2, at="2026-11-01T10:00:00Z", changes={"name": ["Шафа", "Наша шафа"]}
    )
    files = put(
        tmp_path,
        import0_1=catalogue(
            product("p1", "Крісло", "A-1", more=f"<Описание>{LONG}</Описание>"),
            product("p2", "Стол", more="<Статус>Удален</Статус>"),
            product("p3", "Шафа дубова"),
            product("p4", "Лава"),
        ),
        offers0_1=offers(offer("p1", prices=[("retail", "1234.5")], stock=[("main", "3")])),
    )
    return look(node, files)


def look(node: models.Connection, folder: Path) -> models.Run:
    args = {"files": [str(f) for f in sorted(folder.glob("*.xml"))], "type": "catalog", "preview": True}
    run = runs.execute_here(jobs.ask(node, ["products-in"], trigger="person", args=args, key="look"))
    assert run.state == "done", run.facts
    return run


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def words(text: str) -> str:
    """What a person reads, in one line."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", text))).replace("\u202f", " ")


def page(user: User, run: models.Run, **query: Any) -> str:
    answer = as_user(user).get(f"/store/run/{run.pk}/preview/", query)
    assert answer.status_code == 200
    return answer.content.decode()


def names(text: str) -> list[str]:
    parts = re.findall(r'<article class="o-diff.*?</article>', text, re.S)
    return [words(re.search(r'class="o-ink"[^>]*>(.*?)</', part, re.S)[1]).strip() for part in parts]  # type: ignore[index]


def article(text: str, name: str) -> str:
    parts = re.findall(r'<article class="o-diff.*?</article>', text, re.S)
    return next(words(part) for part in parts if name in part)


def post(user: User, run: models.Run, address: str, **data: Any) -> Any:
    return as_user(user).post(f"/store/run/{run.pk}/{address}/", data, follow=True)


def ids(run: models.Run, *wanted: str) -> list[int]:
    return list(run.results.filter(name__in=wanted).values_list("pk", flat=True))


# --- what is shown ---


def test_each_record_is_told_in_words_with_whose_word_the_old_value_was(people: books.People, preview: models.Run) -> None:
    text = page(people.operator, preview)
    assert names(text) == ["Лава", "Крісло", "Стол", "Шафа дубова", "Стул"]
    assert "before: Стул → after: Крісло was: 1С: Торгівля" in article(text, "Крісло")
    assert "before: Наша шафа → after: Шафа дубова was: edited here" in article(text, "Шафа дубова")
    assert "marked for deletion before: no → after: yes" in article(text, "Стол")
    assert "price, Роздрібна before: 1 000.00 → after: 1 234.50" in article(text, "Роздрібна")
    fresh = article(text, "Лава")
    assert ("created" in fresh, "→" in fresh, "unit шт" in fresh) == (True, False, True)
    assert "in full" in article(text, "Крісло")
    assert "Nothing has been written yet" in words(text)


def test_orders_name_their_states_and_show_lines_as_words(people: books.People, monkeypatch: pytest.MonkeyPatch) -> None:
    world: World = caller.install(monkeypatch)
    books.states()
    shop, _password = connections.create("caller", "Shop", settings={"address": "shop", "api_key": "k"})
    mappings.save(shop, Subject.ORDER_STATE, "in", [MappingRow("new", ours="new"), MappingRow("done", ours="done")])
    world.change(order("138"))
    run = runs.execute_here(jobs.ask(shop, ["orders-in"], trigger="person", args={"preview": True}))
    told = article(page(people.operator, run), "138C")
    assert "Новий" in told
    assert "Cup × 2 = 20.00" in told
    assert "02.11.2026" in told or "2.11.2026" in told


def test_the_list_is_searched_and_filtered_by_kind_of_change_by_field_and_by_decision(
    people: books.People, preview: models.Run
) -> None:
    user = people.operator
    assert names(page(user, preview, outcome="created")) == ["Лава"]
    assert names(page(user, preview, outcome="deleted")) == ["Стол"]
    assert names(page(user, preview, q="шафа")) == ["Шафа дубова"]
    assert names(page(user, preview, q="p4")) == ["Лава"]
    assert names(page(user, preview, field="price retail")) == ["Стул"]
    assert "price, Роздрібна (1)" in words(page(user, preview))
    previews.skip(preview, preview.results.filter(name="Лава"), True)
    assert names(page(user, preview, decision="skipped")) == ["Лава"]
    assert "Лава" not in names(page(user, preview, decision="accepted"))
    assert "Nothing is found" in page(user, preview, q="nothing like it")
    assert names(page(user, preview, outcome="' OR 1=1", decision="x")) == names(page(user, preview))


def test_a_long_preview_is_paged_and_says_what_is_not_listed(people: books.People, preview: models.Run) -> None:
    row = preview.results.get(name="Лава")
    models.RunResult.objects.bulk_create(
        models.RunResult(
            run=preview, kind="product", direction="in", name=f"Табурет {i}", outcome="created", changes={}, mark=row.mark
        )
        for i in range(60)
    )
    models.Run.objects.filter(pk=preview.pk).update(facts={**preview.facts, "more": 1500})
    first, second = page(people.operator, preview), page(people.operator, preview, page=2)
    assert (len(names(first)), len(names(second))) == (50, 15)
    assert "The first 65 records are listed; 1 500 more would change as well" in words(first)
    assert "page 2 of 2" in words(second)
    assert "Skip all 60" in words(page(people.operator, preview, q="Табурет"))


def test_the_page_costs_twelve_queries_at_most(people: books.People, preview: models.Run, queries: Any) -> None:
    client = as_user(people.operator)
    client.get(f"/store/run/{preview.pk}/preview/")
    with queries() as asked:
        assert client.get(f"/store/run/{preview.pk}/preview/", {"field": "name"}).status_code == 200
    assert len(asked) <= 12, "\n".join(q["sql"][:150] for q in asked)
    with queries() as asked:
        assert client.get(f"/store/run/{preview.pk}/change/").status_code == 200
    assert len(asked) <= 12, "\n".join(q["sql"][:150] for q in asked)


def test_who_may_not_see_goods_sees_neither_their_names_nor_their_fields(preview: models.Run) -> None:
    from django.contrib.auth.models import Permission

    half = User.objects.create_user("half", password=books.PASSWORD, is_staff=True)
    half.user_permissions.add(*Permission.objects.filter(codename="view_run"))
    text = page(half, preview)
    assert "Крісло" not in text
    assert "1 234" not in words(text)


# --- decisions ---


def test_what_is_ticked_is_skipped_and_the_rest_is_done_after_a_question(people: books.People, preview: models.Run) -> None:
    user = people.operator
    said = post(user, preview, "preview/decide", row=ids(preview, "Лава", "Крісло"), skip="1")
    assert "2 records are skipped." in words(said.content.decode())
    said = post(user, preview, "preview/decide", row=ids(preview, "Крісло"), accept="1")
    assert "1 record is accepted again." in words(said.content.decode())
    assert "Do it: 4 accepted, 1 skipped" in words(page(user, preview))
    question = as_user(user).get(f"/store/run/{preview.pk}/preview/do/").content.decode()
    assert "Do it: 4 accepted, 1 skipped?" in question
    assert models.Run.objects.filter(state="waiting").count() == 0, "it asks first"
    assert post(user, preview, "preview/do").status_code == 200
    run = runs.execute_here(models.Run.objects.get(state="waiting"))
    assert (run.counts["skipped"], run.asked_by, run.trigger) == (1, "operator", "person")
    assert sorted(models.Product.objects.values_list("name", flat=True)) == ["Крісло", "Стол", "Шафа дубова"]
    after = page(user, preview)
    assert "Decided by operator, skipped: 1." in words(after)
    assert 'id="o-do"' not in after
    refused = post(user, preview, "preview/decide", row=ids(preview, "Стол"), skip="1")
    assert "decided already" in words(refused.content.decode())
    assert preview.results.filter(skipped=True).count() == 1
    line = models.JournalEntry.objects.get(action="run.decided")
    assert (line.who, line.facts) == ("operator", {"run": run.pk, "accepted": 4, "skipped": 1})
    assert "skipped by operator: 1" in words(as_user(user).get(f"/store/run/{run.pk}/change/").content.decode())


def test_all_that_a_filter_finds_is_skipped_at_once(people: books.People, preview: models.Run) -> None:
    post(people.operator, preview, "preview/decide", outcome="updated", skip_all="1")
    assert set(preview.results.filter(skipped=True).values_list("name", flat=True)) == {"Крісло", "Шафа дубова", "Стул"}
    post(people.operator, preview, "preview/decide", q="шафа", accept_all="1")
    assert set(preview.results.filter(skipped=True).values_list("name", flat=True)) == {"Крісло", "Стул"}


def test_who_may_not_start_runs_looks_and_decides_nothing(people: books.People, preview: models.Run) -> None:
    text = page(people.viewer, preview)
    assert ("Крісло" in text, 'id="o-do"' in text, 'name="row"' in text) == (True, False, False)
    client = as_user(people.viewer)
    before = models.Run.objects.count()
    for address in ("preview/decide", "preview/do", "look", "allow"):
        answer = client.post(f"/store/run/{preview.pk}/{address}/", {"row": ids(preview, "Лава"), "skip": "1"})
        assert answer.status_code == 403, address
    assert (preview.results.filter(skipped=True).count(), models.Run.objects.count()) == (0, before)
    assert "decided" not in models.Run.objects.get(pk=preview.pk).facts


def test_who_sees_one_company_only_does_not_decide_for_all(people: books.People, preview: models.Run) -> None:
    models.Person.objects.create(user=people.operator, companies=["ТОВ Перше"])
    assert 'id="o-do"' not in page(people.operator, preview)
    assert as_user(people.operator).post(f"/store/run/{preview.pk}/preview/do/").status_code == 403
    assert models.Run.objects.filter(state="waiting").count() == 0


def test_a_run_that_is_no_preview_has_no_such_page(people: books.People, node: models.Connection) -> None:
    run = models.Run.objects.get()
    for address in ("preview", "preview/do"):
        assert as_user(people.operator).get(f"/store/run/{run.pk}/{address}/").status_code == 404


def test_a_run_is_looked_at_again_from_its_page_as_long_as_its_files_are_kept(
    people: books.People, node: models.Connection, tmp_path: Path
) -> None:
    run = models.Run.objects.get()
    shown = as_user(people.operator).get(f"/store/run/{run.pk}/change/").content.decode()
    assert 'id="o-look"' in shown
    post(people.operator, run, "look")
    asked = models.Run.objects.get(state="waiting")
    assert (asked.args["preview"], asked.args["files"]) == (True, run.args["files"])
    asked.delete()
    for file in tmp_path.glob("*.xml"):
        file.unlink()
    assert 'id="o-look"' not in as_user(people.operator).get(f"/store/run/{run.pk}/change/").content.decode()
    assert "no longer kept" in words(post(people.operator, run, "look").content.decode())
    assert models.Run.objects.filter(state="waiting").count() == 0


# --- the limit of changes ---


def test_a_stopped_run_offers_its_preview_and_is_allowed_once_after_a_question(people: books.People, tmp_path: Path) -> None:
    node, _password = books.door()
    connections.set_guard(node, "products-in", 50)
    for name in ("Стул", "Крісло"):
        run = runs.load_folder(node, put(tmp_path, import0_1=catalogue(*(product(f"p{i}", f"{name} {i}") for i in range(60)))))
    text = words(as_user(people.operator).get(f"/store/run/{run.pk}/change/").content.decode())
    assert "60 of 60 records (product) would change, more than the 50 % that one run may. Nothing was written" in text
    question = as_user(people.operator).get(f"/store/run/{run.pk}/allow/").content.decode()
    assert "Let this run change as much as it likes?" in question
    assert models.Run.objects.filter(state="waiting").count() == 0
    post(people.operator, run, "allow")
    allowed = runs.execute_here(models.Run.objects.get(state="waiting"))
    assert (allowed.state, allowed.counts["updated"]) == ("done", 60)
    assert models.JournalEntry.objects.get(action="run.allowed").who == "operator"
    refused = words(post(people.operator, allowed, "allow").content.decode())
    assert "not stopped by its limit" in refused


def test_the_limit_is_set_beside_the_schedule(people: books.People, node: models.Connection) -> None:
    client, row = as_user(people.owner), node.streams.get(stream="products-in")
    address = f"/store/connection/{node.pk}/schedule/"
    assert row.guard is None, "a price list that changes all prices is no accident"
    assert f'name="s{row.pk}-guard"' in client.get(address).content.decode()
    said = {f"s{s.pk}-enabled": "on" for s in node.streams.all()}
    wrong = client.post(address, {**said, f"s{row.pk}-guard": "101"}).content.decode()
    assert "100" in wrong
    row.refresh_from_db()
    assert row.guard is None
    client.post(address, {**said, f"s{row.pk}-guard": "20"})
    row.refresh_from_db()
    assert row.guard == 20
    client.post(address, {**said, f"s{row.pk}-guard": ""})
    row.refresh_from_db()
    assert row.guard is None
    refused = as_user(people.viewer).post(address, {**said, f"s{row.pk}-guard": "5"})
    row.refresh_from_db()
    assert (refused.status_code, row.guard) == (403, None)


# --- where a preview begins ---


def test_whatever_is_started_by_hand_can_be_previewed(people: books.People, monkeypatch: pytest.MonkeyPatch) -> None:
    caller.install(monkeypatch)
    monkeypatch.setattr(caller.Caller, "tabs", (("main", "Main"),))
    shop, _password = connections.create("caller", "Shop", settings={"address": "shop", "api_key": "k"})
    client = as_user(people.operator)
    for stream in ("orders-in", "orders-out", "payments-out"):
        client.post(f"/manual/{shop.pk}/start/", {"stream": stream, "preview": "1"})
        run = models.Run.objects.get(state="waiting")
        assert (run.streams, run.args["preview"]) == (stream, True)
        assert runs.execute_here(run).state == "done"
    moved = {"stream": "orders-in", "moment": "2026-11-01T00:00", "go_on": "1", "preview": "1"}
    client.post(f"/manual/{shop.pk}/start/", moved)
    assert "since" in models.Run.objects.get(state="waiting").args
    assert not shop.bookmarks.exists(), "a preview moves no bookmark"
    models.Run.objects.filter(state="waiting").delete()
    client.post(f"/store/connection/{shop.pk}/deed/", {"preview": "1"})
    whole = runs.execute_here(models.Run.objects.get(state="waiting"))
    assert set(whole.streams.split(",")) == {"orders-in", "orders-out", "payments-out", "stock-out", "catalogue-out"}
    assert (whole.state, shop.feeds.filter(made__isnull=False).count()) == ("done", 0)


def test_a_received_file_is_previewed_again_from_its_call(people: books.People, node: models.Connection) -> None:
    run = models.Run.objects.get()
    models.Run.objects.filter(pk=run.pk).update(args={**run.args, "session": "c00kie"})
    call = models.Message.objects.create(
        connection=node, session="c00kie", call="POST type=catalog&mode=file&filename=import0_1.xml"
    )
    other = models.Message.objects.create(connection=node, session="", call="GET type=sale&mode=query")
    answer = as_user(people.viewer).post(f"/store/run/replay/{call.pk}/")
    assert (answer.status_code, models.Run.objects.filter(state="waiting").count()) == (403, 0)
    refused = as_user(people.owner).post(f"/store/run/replay/{other.pk}/", follow=True).content.decode()
    assert "No received file of this call is kept any more" in words(refused)
    as_user(people.owner).post(f"/store/run/replay/{call.pk}/")
    asked = models.Run.objects.get(state="waiting")
    assert (asked.args["preview"], asked.args["files"]) == (True, run.args["files"])
    assert as_user(people.owner).post("/store/run/replay/999999/").status_code == 404
