"""Lists stay fast and honest: few queries, capped counts, searches in any case."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from django.db import connection as db
from django.db import transaction
from django.test import Client, override_settings
from django.utils import translation

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books

from obmen.core.settings import load
from obmen.registry import connector
from obmen.store import goods, models, words
from obmen.web import books as pages
from obmen.web import guide, lists, search, systems
from obmen.web.asking import ask_retry
from obmen.web.settings_form import SettingsForm
from obmen.web.state import conditions
from obmen.web.templatetags.obmen import amount, money

LISTS = (
    "product",
    "offer",
    "group",
    "property",
    "reference",
    "order",
    "counterparty",
    "connection",
    "run",
    "parked",
    "journalentry",
    "message",
)


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = books.FAST_HASH


@pytest.fixture
def client(db: Any) -> Client:
    client = Client()
    client.force_login(books.people().admin, backend="django.contrib.auth.backends.ModelBackend")
    return client


def sought() -> None:
    """As the loads of goods do it in their transactions."""
    with transaction.atomic(), db.cursor() as cursor:
        goods.renew_sought(cursor, list(models.Product.objects.values_list("pk", flat=True)))


def many(count: int = 60) -> models.Connection:
    one = books.connection("1C", account=None)
    books.goods(one)
    books.states()
    for i in range(count):
        p = models.Product.objects.create(key=f"k-{i}", name=f"Товар {i}", article=f"A{i:05d}")
        o = models.Offer.objects.create(key=f"k-{i}", product=p, name=p.name)
        models.Price.objects.create(offer=o, kind=models.Reference.objects.get(key="p-1"), value=i, currency="UAH")
        models.Counterparty.objects.create(key=f"c-{i}", name=f"Покупець {i}", source=one)
        models.Parked.objects.create(connection=one, kind="product", external_id=f"x-{i}", text="Two cards have the {attribute}")
        books.finished_run(one)
        models.Message.objects.create(connection=one, call="GET")
        books.connection(f"МойСклад {i}", account=None)
    for i in range(10):
        books.order(f"N-{i}", source=one)
    return one


def test_a_list_takes_few_queries_however_many_rows_it_shows(client: Client, queries: Any) -> None:
    many()
    for name in LISTS:
        for address in (f"/store/{name}/", f"/store/{name}/?q=товар"):
            with queries() as asked:
                assert client.get(address).status_code == 200, address
            assert len(asked) <= 12, address
    for address in ("/", "/overview/running/", "/overview/below/", "/overview/charts/?span=90d"):
        with queries() as asked:
            assert client.get(address).status_code == 200
        assert len(asked) <= 12, address


def test_a_list_with_hostile_input_still_answers(client: Client) -> None:
    many(2)
    for text in ("%", "_", "[", "*", "\\", "'", "\0", "а" * 5000, "[!а]", "100%_*?"):
        for name in LISTS:
            assert client.get(f"/store/{name}/", {"q": text}).status_code == 200, (name, text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("100%", ["Знижка 100% [вся]"]),
        ("[вся]", ["Знижка 100% [вся]"]),
        ("ЗНИЖКА", ["Знижка 100% [вся]"]),
        ("знижка", ["Знижка 100% [вся]"]),
        ("НИЖ", ["Знижка 100% [вся]"]),
        ("A_B", ["a_b"]),
        ("_", ["a_b"]),
        ("*", []),
    ],
)
def test_signs_that_mean_something_to_a_database_are_only_signs(db: Any, text: str, found: list[str]) -> None:
    for i, name in enumerate(("Знижка 100% [вся]", "a_b", "щось інше")):
        models.Product.objects.create(key=str(i), name=name)
    assert [p.name for p in models.Product.objects.filter(name__holds=text)] == found


def test_a_beginning_is_looked_up_with_its_case_and_its_signs(db: Any) -> None:
    for i, article in enumerate(("КВ-1", "кв-2", "К*", "КВ[1]", "К_")):
        models.Product.objects.create(key=str(i), article=article)
    find = models.Product.objects.filter
    assert [p.article for p in find(article__begins="КВ-").order_by("pk")] == ["КВ-1"]
    assert [p.article for p in find(article__begins="К*").order_by("pk")] == ["К*"]
    assert [p.article for p in find(article__begins="КВ[").order_by("pk")] == ["КВ[1]"]
    assert [p.article for p in find(article__begins="К_").order_by("pk")] == ["К_"]


def test_every_usual_spelling_is_asked_for_once() -> None:
    assert search.spellings("ранкова кава") == ["ранкова кава", "РАНКОВА КАВА", "Ранкова кава", "Ранкова Кава"]


def test_a_count_stops_at_its_cap_and_says_so(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "CAP", 20)
    monkeypatch.setattr(lists, "CAP_FOUND", 5)
    for i in range(30):
        models.Product.objects.create(key=str(i), name=f"Товар {i}")
    sought()
    page = client.get("/store/product/", headers={"accept-language": "en"}).content.decode()
    assert "more than 20" in page
    assert "more than 5" in client.get("/store/product/?q=товар", headers={"accept-language": "en"}).content.decode()
    models.Product.objects.filter(pk__gt=models.Product.objects.order_by("pk")[2].pk).delete()
    assert "more than" not in client.get("/store/product/", headers={"accept-language": "en"}).content.decode()


def test_the_second_page_follows_the_first_without_gap_or_repeat(client: Client) -> None:
    for i in range(120):
        models.Product.objects.create(key=str(i), name=f"Товар {i:03d}")
    names = [p.name for n in (1, 2, 3) for p in client.get(f"/store/product/?p={n}").context["cl"].result_list]
    assert names == [f"Товар {i:03d}" for i in range(119, -1, -1)]


def test_a_product_of_a_group_is_filtered_by_the_group(client: Client) -> None:
    books.goods(books.connection("1C"))
    tea = models.Group.objects.get(name="Чай")
    shown = client.get(f"/store/product/?group__id__exact={tea.pk}").context["cl"].result_list
    assert sorted(p.article for p in shown) == ["ЧЙ-090", "ЧЙ-100"]


def test_offers_are_found_by_the_article_of_their_product(client: Client) -> None:
    books.goods(books.connection("1C"))
    shown = client.get("/store/offer/", {"q": "ФБ-01"}).context["cl"].result_list
    assert sorted(o.name for o in shown) == ["Футболка бавовняна (M)", "Футболка бавовняна (S)"]


def test_a_product_is_found_however_its_letters_and_those_of_the_search_are_mixed(client: Client) -> None:
    for name in ("Кава мелена", "кАВА У зЕРНАХ", "Чай"):
        models.Product.objects.create(key=name, name=name)
    sought()

    def shown(q: str) -> list[str]:
        return sorted(p.name for p in client.get("/store/product/", {"q": q}).context["cl"].result_list)

    assert [shown(q) for q in ("кАВА", "Кава ЗЕРНАХ", "%ава")] == [["Кава мелена", "кАВА У зЕРНАХ"], ["кАВА У зЕРНАХ"], []]


def test_a_search_that_is_sorted_by_a_column_finds_the_same_in_its_order(client: Client) -> None:
    for article, name in (("Б", "Кава темна"), ("В", "Чай"), ("А", "Кава світла")):
        models.Product.objects.create(key=article, article=article, name=name)
    sought()

    def shown(order: str) -> list[str]:
        answer = client.get("/store/product/", {"q": "кава", "o": order})
        return [p.article for p in answer.context["cl"].result_list]

    assert (shown("1"), shown("-1")) == (["А", "Б"], ["Б", "А"])


@pytest.mark.only_on("sqlite")  # its plans
def test_a_sorted_search_reads_the_texts_where_they_lie_and_not_in_the_order_of_the_column(
    client: Client, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(12) as captured:
        client.get("/store/message/", {"q": "кава", "o": "-5"})
    (asked,) = [q["sql"] for q in captured.captured_queries if "GLOB" in q["sql"]]
    with db.cursor() as cursor:
        cursor.execute("EXPLAIN QUERY PLAN " + asked.replace("%", "%%"), [])
        plan = [row[3] for row in cursor.fetchall()]
    assert "SCAN store_message USING INDEX message_slow" not in plan
    assert "SCAN U0" in plan


def test_the_card_of_a_product_shows_the_first_of_many_offers_and_says_how_many_there_are(client: Client) -> None:
    shoe = models.Product.objects.create(key="shoe", name="Кросівки")
    models.Offer.objects.bulk_create(models.Offer(key=f"o{n}", product=shoe, name=f"Розмір {n:03d}") for n in range(53))
    page = client.get(f"/store/product/{shoe.pk}/change/", headers={"accept-language": "en"}).content.decode()
    assert [f"Розмір {n:03d}<" in page for n in (0, 49, 50, 52)] == [True, True, False, False]
    assert "The first 50 of 53 offers are shown." in page
    every = f"/store/offer/?product__id__exact={shoe.pk}"
    assert f'<a href="{every}">All offers of this product</a>' in page
    assert client.get(every).context["cl"].result_count == 53
    models.Offer.objects.filter(name__gte="Розмір 050").delete()
    page = client.get(f"/store/product/{shoe.pk}/change/", headers={"accept-language": "en"}).content.decode()
    assert ("Розмір 049<" in page, "offers are shown" in page) == (True, False)


@pytest.mark.only_on("sqlite")  # its plans
def test_what_systems_know_of_a_record_is_found_by_its_ids_and_not_among_all_of_a_connection(
    client: Client, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(1) as captured:
        systems.of(("product", "variant"), 7, [("offer", 8)])
    with db.cursor() as cursor:
        cursor.execute("EXPLAIN QUERY PLAN " + captured.captured_queries[0]["sql"].replace("%", "%%"), [])
        plan = [row[3] for row in cursor.fetchall()]
    found = [step for step in plan if "store_link" in step or "store_parked" in step or " q " in step]
    assert [step.partition("(")[2] for step in found if "(connection_id=?)" in step] == []
    assert sum("(connection_id=? AND kind=? AND record_id=?)" in step for step in found) == 3
    assert sum("(connection_id=? AND direction=? AND kind=? AND external_id=?)" in step for step in found) == 2


def test_a_group_of_the_tree_leads_to_its_card_and_to_its_goods(client: Client) -> None:
    top = models.Group.objects.create(key="a", name="Взуття <б/в>", deleted=True)
    below = models.Group.objects.create(key="b", name="Кеди", parent=top)
    models.Product.objects.create(key="p", name="Кеди сині", group=below)
    page = client.get("/store/group/tree/", headers={"accept-language": "en"}).content.decode()
    assert f'<a href="/store/group/{top.pk}/change/" class="o-ink">Взуття &lt;б/в&gt;</a> <span class="o-mark danger"' in page
    assert f'<a href="/store/group/{below.pk}/change/">Кеди</a></td>' in page
    assert f'<a href="/store/product/?group__id__exact={below.pk}">1</a>' in page
    assert page.count('<span class="o-dim">–</span>') == 1


def test_a_loop_of_groups_is_listed_instead_of_being_lost() -> None:
    def row(pk: int) -> dict[str, Any]:
        return {"id": pk, "name": str(pk), "deleted": False, "count": 0}

    rows = pages.flatten({None: [row(1)], 1: [row(2)], 3: [row(4)], 4: [row(3)]})
    assert [(r["id"], r["depth"]) for r in rows] == [(1, 0), (2, 1), (4, 0), (3, 0)]


def test_ten_thousand_nested_groups_make_a_page(client: Client) -> None:
    models.Group.objects.bulk_create(
        models.Group(pk=i, key=str(i), name=f"Г{i}", parent_id=i - 1 or None) for i in range(1, 10_001)
    )
    assert client.get("/store/group/tree/").content.count(b"<tr>") == 10_001


# --- words ---


def test_a_sentence_is_translated_first_and_filled_in_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "gettext", {"{n} records": "записів: {n}"}.__getitem__)
    assert words.say("{n} records", {"n": 5}) == "записів: 5"


@pytest.mark.parametrize(
    ("text", "facts", "said"),
    [
        ("{a} and {b}", {"a": 1}, "1 and {b}"),
        ("a lone { brace", {"a": 1}, "a lone { brace"),
        ("{a.__class__}", {"a": 1}, "{a.__class__}"),
        ("{a[0]}", {"a": "xyz"}, "{a[0]}"),
        ("{a:>10}", {"a": "x"}, "x"),
        ("", {"a": 1}, ""),
        ("{why}", {"why": {"text": "file {f}", "facts": {"f": "x.xml"}}}, "file x.xml"),
    ],
)
def test_odd_sentences_never_break_a_page(text: str, facts: dict[str, Any], said: str) -> None:
    assert words.say(text, facts) == said


@pytest.mark.parametrize(
    ("value", "shown", "paid"),
    [
        ("1234567.5000", "1\u202f234\u202f567,5", "1\u202f234\u202f567,50"),
        ("10", "10", "10,00"),
        ("0.125", "0,125", "0,125"),
        ("-5.50", "−5,5", "−5,50"),
        ("0", "0", "0,00"),
    ],
)
def test_numbers_are_written_for_people(value: str, shown: str, paid: str) -> None:
    with translation.override("uk"):
        assert (amount(value), money(value)) == (shown, paid)


def test_a_guide_cannot_bring_markup_of_its_own() -> None:
    made = guide.to_html("# Title\n\n1. **one**\n2. `two`\n\n<script>alert(1)</script> [link](https://example.com)\n\n- a\n  b")
    assert made == (
        "<h3>Title</h3>\n<ol><li><strong>one</strong></li><li><code>two</code></li></ol>\n"
        "<p>&lt;script&gt;alert(1)&lt;/script&gt; link</p>\n<ul><li>a b</li></ul>"
    )


# --- forms from settings ---


@pytest.mark.django_db
def test_the_form_has_every_setting_of_the_class_with_its_help() -> None:
    kind = connector("commerceml_door").settings
    form = SettingsForm(settings_class=kind, current=kind())
    shown = {row["field"].name for tab in form.tabs() for row in tab["rows"]}
    assert shown == set(form.about)


def test_what_the_form_sends_back_unchanged_changes_nothing(client: Client) -> None:
    one, _password = books.door()
    kind = connector("commerceml_door").settings
    page = client.get(f"/store/connection/{one.pk}/settings/")
    form = page.context["form"]
    data: dict[str, Any] = {}
    for name, about in form.about.items():
        value = form[name].value()
        if about.kind == "bool":
            data |= {f"s-{name}": "on"} if value else {}
        elif about.kind == "mapping":
            data |= {f"s-{name}-key": list(value), f"s-{name}-value": list(value.values())}
        elif value is not None:
            data[f"s-{name}"] = value
    before = models.Connection.objects.get(pk=one.pk).settings
    assert client.post(f"/store/connection/{one.pk}/settings/", data).status_code == 302
    assert models.Connection.objects.get(pk=one.pk).settings == before
    assert load(kind, before)


# --- state ---


def test_the_state_of_a_connection_is_said_in_words(db: Any) -> None:
    new = books.connection("new", last_call=None)
    off = books.connection("off", enabled=False)
    fine, broken, busy = books.connection("fine"), books.connection("broken"), books.connection("busy")
    books.finished_run(fine)
    books.finished_run(broken, "needs_owner", "The file {file} is damaged", {"file": "import.xml"})
    books.running_run(busy)
    with override_settings(LANGUAGE_CODE="en"), translation.override("en"):
        said = {c.connection.name: (c.words, c.detail) for c in conditions([new, off, fine, broken, busy])}
    assert said == {
        "new": ("waits for the first exchange", ""),
        "off": ("switched off", "Nothing is exchanged until it is switched on."),
        "fine": ("works", ""),
        "broken": ("needs attention", "The file import.xml is damaged"),
        "busy": ("exchange is going on", ""),
    }


def test_other_parked_records_are_another_run_and_the_same_ones_are_not(db: Any) -> None:
    one = books.connection("1C")
    first, second, third = (books.parked(one, f"x-{i}") for i in range(3))
    a = ask_retry([first], "me")[0]
    b = ask_retry([second], "me")[0]
    again = ask_retry([first], "me")[0]
    every = ask_retry([first, second, third], "me")[0]
    assert a.pk == again.pk != b.pk
    assert [r.args for r in (a, b, every)] == [{"parked": [first.pk]}, {"parked": [second.pk]}, {"parked": None}]


def test_a_card_tells_a_step_whose_version_the_history_no_longer_holds(client: Client) -> None:
    one = books.connection("Склад", account=None)
    order = books.order("N-1", source=one)
    models.RecordChange.objects.all().delete()
    models.Step.objects.create(record_kind="order", record_id=order.pk, what="came", revision=1, connection=one)
    answer = client.get(f"/store/order/{order.pk}/change/")
    assert (answer.status_code, "Склад" in answer.content.decode()) == (200, True)
