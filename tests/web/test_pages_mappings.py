"""Mapping tables: what is suggested, looked for, filled, taken back, and carried through a spreadsheet."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books

from obmen.core.contract import NeedsOwner
from obmen.core.records import Reference, Subject
from obmen.store import connections, mappings, models
from obmen.store.mappings import MappingRow
from toy_connector import install_caller

pytestmark = pytest.mark.django_db
STATES = Subject.ORDER_STATE


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = books.FAST_HASH


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A connection that is set up, states in the books, and people."""
    install_caller(monkeypatch)
    one, _password = connections.create("caller", "Shop", settings={"server": "shop.example", "api_key": "right"})
    connections.check(one)
    one.refresh_from_db()
    books.states()
    return type("Shop", (), {"people": books.people(), "one": one})


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def whole(shop: Any, subject: str = STATES) -> list[tuple[Any, ...]]:
    fields = ("theirs", "ours", "inbound", "outbound", "taken", "reported", "attributes", "seen_count")
    return sorted(shop.one.mappings.filter(subject=subject).values_list(*fields), key=repr)


def pairs(shop: Any, direction: str = "in") -> dict[str, str]:
    return {m.theirs: m.ours for m in mappings.rows(shop.one, STATES, direction) if not m.reported}


# --- taking a save back ---


def test_the_last_save_is_taken_back_and_then_the_one_before_it(shop: Any) -> None:
    mappings.report(shop.one, STATES, "N", "Новый", 41)
    empty = whole(shop)
    mappings.save(shop.one, STATES, "in", [MappingRow("N", "Новый", "new"), MappingRow("P", "Оплачен", "paid")], "olena")
    first = whole(shop)
    mappings.save(shop.one, STATES, "in", [MappingRow("P", "Оплачен", "done", {"cancel": "yes"}, taken=False)], "ivan")
    assert mappings.undo(shop.one, STATES, "in", "olena").who == "ivan"
    assert whole(shop) == first
    assert mappings.undo(shop.one, STATES, "in", "olena").rows == 2
    assert whole(shop) == empty == [("N", "", True, False, True, True, {}, 41)]
    with pytest.raises(NeedsOwner) as refused:
        mappings.undo(shop.one, STATES, "in")
    assert refused.value.text == mappings.NOTHING_TO_UNDO
    said = models.JournalEntry.objects.filter(action="mappings.undone").order_by("id").values_list("who", "facts__values")
    assert list(said) == [("olena", "N, P"), ("olena", "N, P")]


def test_what_came_since_is_kept_by_taking_a_save_back(shop: Any) -> None:
    mappings.report(shop.one, STATES, "N", "Новый", 2)
    mappings.save(shop.one, STATES, "in", [MappingRow("N", "Новый", "new")])
    mappings.report(shop.one, STATES, "N", "Новый", 5)
    mappings.report(shop.one, STATES, "X", "Новое у них", 3)
    mappings.refresh(shop.one, STATES, [Reference(STATES, "N", "Новый заказ")], direction="in")
    mappings.undo(shop.one, STATES, "in")
    assert whole(shop) == [("N", "", True, False, True, True, {}, 7), ("X", "", True, False, True, True, {}, 3)]


def test_a_row_that_was_removed_and_came_again_gets_its_decision_back(shop: Any) -> None:
    mappings.save(shop.one, STATES, "in", [MappingRow("N", "Новый", "new")])
    mappings.save(shop.one, STATES, "in", [])
    mappings.report(shop.one, STATES, "N", "Новый", 4)
    mappings.undo(shop.one, STATES, "in")
    assert whole(shop) == [("N", "new", True, False, True, False, {}, 4)]


def test_a_row_changed_elsewhere_since_is_not_lost_by_taking_a_save_back(shop: Any) -> None:
    mappings.save(shop.one, STATES, "in", [MappingRow("N", "Новый", "new"), MappingRow("P", "Оплачен", "paid")])
    shop.one.mappings.filter(theirs="P").update(ours="done")
    before = whole(shop)
    with pytest.raises(NeedsOwner) as refused:
        mappings.undo(shop.one, STATES, "in")
    assert (refused.value.text, refused.value.facts) == (mappings.CHANGED_SINCE, {"value": "Оплачен"})
    assert whole(shop) == before


def test_a_removed_row_that_was_decided_on_anew_elsewhere_is_not_overwritten(shop: Any) -> None:
    mappings.save(shop.one, STATES, "in", [MappingRow("N", "Новый", "new")])
    mappings.save(shop.one, STATES, "in", [])
    shop.one.mappings.create(subject=STATES, theirs="N", ours="done", outbound=False)
    with pytest.raises(NeedsOwner) as refused:
        mappings.undo(shop.one, STATES, "in")
    assert (refused.value.text, pairs(shop)) == (mappings.CHANGED_SINCE, {"N": "done"})


def test_each_table_of_a_subject_has_its_own_steps(shop: Any) -> None:
    mappings.save(shop.one, STATES, "in", [MappingRow("N", "", "new")])
    mappings.save(shop.one, STATES, "out", [MappingRow("P", "", "paid")])
    mappings.undo(shop.one, STATES, "in")
    assert whole(shop) == [("P", "paid", False, True, True, False, {}, 0)]
    assert list(mappings.steps(shop.one)) == [("order_state", mappings.BACK + "in"), ("order_state", "out")]


def test_starting_over_can_be_taken_back_as_well(shop: Any) -> None:
    mappings.save(shop.one, STATES, "both", [MappingRow("N", "Новый", "new"), MappingRow("P", "Оплачен", "paid")])
    before = whole(shop)
    mappings.start_over(shop.one, STATES, "both")
    mappings.refresh(shop.one, STATES, [Reference(STATES, "N", "Новый")])
    assert whole(shop) == [("N", "", True, True, True, True, {}, 0)]
    mappings.undo(shop.one, STATES, "both")
    assert whole(shop) == before


def test_only_the_last_fifty_saves_are_kept(shop: Any) -> None:
    for n in range(mappings.STEPS + 3):
        mappings.save(shop.one, STATES, "in", [MappingRow("N", "", f"state-{n}")])
    assert shop.one.mapping_steps.count() == mappings.STEPS
    mappings.undo(shop.one, STATES, "in")
    assert pairs(shop) == {"N": f"state-{mappings.STEPS + 1}"}


def test_deciding_on_one_value_leaves_all_others_alone(shop: Any) -> None:
    mappings.save(shop.one, STATES, "both", [MappingRow("P", "Оплачен", "paid")])
    mappings.report(shop.one, STATES, "N", "Новый", 41)
    shop.one.remote_references.create(subject=STATES, key="S", name="Отправлен")
    assert mappings.decide(shop.one, STATES, "both", {"N": "new", "S": "sent"}, "ivan") == ["N", "S"]
    assert mappings.decide(shop.one, STATES, "both", {"N": "new", "S": "sent"}, "ivan") == []
    assert [(m.theirs, m.theirs_name, m.ours, m.outbound) for m in mappings.rows(shop.one, STATES, "both")] == [
        ("P", "Оплачен", "paid", True),
        ("N", "Новый", "new", True),
        ("S", "Отправлен", "sent", True),
    ]
    mappings.undo(shop.one, STATES, "both")
    assert (pairs(shop, "both"), shop.one.mappings.get(theirs="N").reported) == ({"P": "paid"}, True)


# --- the pages of tables ---


@pytest.fixture
def door(shop: Any) -> Any:
    """A connection whose connector names no tables, with states from traffic."""
    one = books.connection("1С")
    for theirs, name, count in (("N", "Новый", 41), ("P", "Оплачен", 7), ("Z", "Ждем из Китая", 300)):
        mappings.report(one, STATES, theirs, name, count)
    return type("Door", (), {"people": shop.people, "one": one})


def page(shop: Any, address: str, person: str = "operator", **query: Any) -> str:
    return as_user(getattr(shop.people, person)).get(f"/store/connection/{shop.one.pk}/{address}/", query).content.decode()


def fields(shop: Any, table: str, *rows: dict[str, str]) -> dict[str, Any]:
    """As the page posts rows of a table: by their numbers, with the ids of the rows that were shown."""
    kept = {m.theirs: m.pk for m in shop.one.mappings.filter(subject=table.rpartition("-")[0])}
    data: dict[str, Any] = {
        "tables": table,
        f"{table}-shown": " ".join(str(kept[r["theirs"]]) for r in rows if r["theirs"] in kept),
    }
    for number, row in enumerate(rows):
        said = {"name": row["theirs"], "fixed": "1", "row": str(kept.get(row["theirs"], "")), **row}
        data |= {f"{table}.{number}.{name}": value for name, value in said.items()}
    return data


def rows_of(text: str, table: str) -> list[str]:
    return text.partition(f'data-table="{table}"')[2].partition("</tbody>")[0].split("<tr data-row")[1:-1]


def test_what_came_most_often_stands_first_with_its_count_and_its_suggestion(door: Any, queries: Any) -> None:
    client = as_user(door.people.operator)
    with queries() as asked:
        text = client.get(f"/store/connection/{door.one.pk}/mappings/").content.decode()
    rows = rows_of(text, "order_state-each")
    assert ["Ждем из Китая" in rows[0], "Новый" in rows[1], "Оплачен" in rows[2]] == [True, True, True]
    assert ["seen 300 ×" in rows[0], "seen 41 ×" in rows[1], "seen 7 ×" in rows[2]] == [True, True, True]
    assert ['data-accept="Новий"' in rows[1], 'data-accept="Сплачений"' in rows[2], "data-accept=" in rows[0]] == [
        True,
        True,
        False,
    ]
    assert "Accept 2 suggestions" in text
    assert "0 of 3 mapped" in text
    assert len(asked) <= 12


def test_the_tab_says_how_much_of_its_tables_is_mapped(door: Any) -> None:
    mappings.decide(door.one, STATES, "each", {"N": "new"})
    text = page(door, "schedule")
    assert 'title="1 of 3 mapped">1/3<' in text


def test_accepting_all_suggestions_saves_also_those_of_rows_that_are_not_shown(door: Any) -> None:
    data = fields(door, "order_state-each", {"theirs": "Z", "reported": "1"}) | {"order_state-each-accept": "1"}
    as_user(door.people.operator).post(f"/store/connection/{door.one.pk}/mappings/", data)
    found = {m.theirs: (m.ours, m.reported) for m in door.one.mappings.all()}
    assert found == {"N": ("new", False), "P": ("paid", False), "Z": ("", True)}


def test_a_value_of_theirs_that_is_left_out_changes_no_state_here(door: Any) -> None:
    from obmen.work.run import StateWords

    mappings.save(door.one, STATES, "each", [MappingRow("Z", "Ждем из Китая", taken=False), MappingRow("N", "Новый", "new")])
    words = StateWords(door.one)
    assert (words.ours("N", "Новый", "paid"), words.ours("Z", "", "paid"), words.ours("?", "", "paid")) == ("new", "paid", None)


def test_saving_a_page_of_a_long_table_keeps_what_is_not_shown(door: Any, queries: Any) -> None:
    rows = [MappingRow(f"S{n}", f"Стан {n}", f"state-{n}") for n in range(2000)]
    mappings.save(door.one, STATES, "each", rows)
    client = as_user(door.people.operator)
    address = f"/store/connection/{door.one.pk}/mappings/"
    with queries() as asked:
        text = client.get(address).content.decode()
    assert (len(rows_of(text, "order_state-each")), "page 1 of 11" in text, len(asked) <= 12) == (200, True, True)
    text = client.get(address, {"table": "order_state-each", "q": "стан 199"}).content.decode()
    shown = rows_of(text, "order_state-each")
    assert [f">Стан {n}<" in row for n, row in zip((199, 1199, *range(1990, 2000)), shown, strict=True)] == [True] * 12
    text = client.get(address, {"table": "order_state-each", "unmapped": "1"}).content.decode()
    assert len(rows_of(text, "order_state-each")) == 3
    before = dict(door.one.mappings.values_list("theirs", "ours"))
    data = fields(door, "order_state-each", {"theirs": "S7", "ours": "new", "taken": "on", "sent": "on"}, {"theirs": "S8"})
    removed = {k: v for k, v in data.items() if ".1." not in k}  # the second row is gone from the page
    client.post(address, removed)
    after = dict(door.one.mappings.values_list("theirs", "ours"))
    assert after == {k: v for k, v in before.items() if k != "S8"} | {"S7": "new"}


def test_a_value_that_came_while_somebody_was_editing_is_not_removed_by_his_save(door: Any) -> None:
    data = fields(door, "order_state-each", {"theirs": "N", "reported": "1", "ours": "Новий"})
    mappings.report(door.one, STATES, "L", "Пізніше", 2)
    as_user(door.people.operator).post(f"/store/connection/{door.one.pk}/mappings/", data)
    assert sorted(door.one.mappings.values_list("theirs", "ours")) == [("L", ""), ("N", "new"), ("P", ""), ("Z", "")]


def test_who_may_not_map_changes_no_table_in_any_way(door: Any) -> None:
    mappings.decide(door.one, STATES, "each", {"N": "new"})
    before = whole(door)
    client = as_user(door.people.viewer)
    base = f"/store/connection/{door.one.pk}/mappings/"
    data = fields(door, "order_state-each", {"theirs": "P", "ours": "paid"})
    step = mappings.steps(door.one)["order_state", "each"].pk
    table = f"{base}order_state-each/"
    asked = [
        (base, data),
        (f"{table}undo/", {"step": step}),
        (f"{table}csv-in/", {"text": "their code;our value\nP;new", "confirmed": "1"}),
    ]
    assert [client.post(where, what).status_code for where, what in asked] == [403, 403, 403]
    assert [client.get(f"{table}{name}/").status_code for name in ("undo", "csv-in", "csv")] == [403, 403, 200]
    assert whole(door) == before
    assert "o-tickbox" not in client.get(base).content.decode()


# --- and making it once more ---


def test_a_save_that_was_taken_back_is_made_once_more_and_can_be_taken_back_again(shop: Any) -> None:
    mappings.report(shop.one, STATES, "N", "Новый", 41)
    empty = whole(shop)
    mappings.save(shop.one, STATES, "in", [MappingRow("N", "Новый", "new"), MappingRow("P", "Оплачен", "paid")], "olena")
    saved = whole(shop)
    mappings.undo(shop.one, STATES, "in", "ivan")
    assert mappings.redo(shop.one, STATES, "in", "ivan").rows == 2
    assert whole(shop) == saved
    with pytest.raises(NeedsOwner) as refused:
        mappings.redo(shop.one, STATES, "in")
    assert refused.value.text == mappings.NOTHING_TO_REDO
    mappings.undo(shop.one, STATES, "in", "ivan")
    assert whole(shop) == empty
    said = models.JournalEntry.objects.filter(action="mappings.redone").values_list("who", "facts__values")
    assert list(said) == [("ivan", "N, P")]


def test_a_new_save_and_a_row_that_changed_meanwhile_leave_nothing_to_make_again(shop: Any) -> None:
    mappings.save(shop.one, STATES, "in", [MappingRow("N", "Новый", "new")], "olena")
    mappings.undo(shop.one, STATES, "in")
    shop.one.mappings.create(subject=STATES, theirs="N", ours="paid", outbound=False)
    with pytest.raises(NeedsOwner) as refused:
        mappings.redo(shop.one, STATES, "in")
    assert refused.value.text == mappings.CHANGED_MEANWHILE
    assert pairs(shop) == {"N": "paid"}
    mappings.save(shop.one, STATES, "in", [MappingRow("P", "Оплачен", "paid")], "olena")
    with pytest.raises(NeedsOwner) as refused:
        mappings.redo(shop.one, STATES, "in")
    assert refused.value.text == mappings.NOTHING_TO_REDO


def test_the_page_offers_to_make_it_again_only_after_a_save_was_taken_back(door: Any) -> None:
    mappings.decide(door.one, STATES, "each", {"N": "new", "P": "paid"}, "ivan")
    assert "data-redo" not in page(door, "mappings")
    mappings.undo(door.one, STATES, "each")
    assert "ivan</a>" in page(door, "mappings").partition("data-redo")[2][:300]
    asked = page(door, "mappings/order_state-each/redo")
    assert "by ivan, and taken back since, once more?" in asked
    assert "Новый, Оплачен" in asked
    assert not door.one.mappings.filter(reported=False).exists()
    step = mappings.steps(door.one)["order_state", "~each"].pk
    client, where = as_user(door.people.operator), f"/store/connection/{door.one.pk}/mappings/order_state-each/redo/"
    assert "There is no save of this table to make again" in client.post(where, {"step": step + 1}, follow=True).content.decode()
    assert "2 values are saved once more." in client.post(where, {"step": step}, follow=True).content.decode()
    assert door.one.mappings.filter(reported=False).count() == 2
    assert "There is no save of this table to make again" in client.post(where, follow=True).content.decode()
    viewer = as_user(door.people.viewer)
    assert (viewer.get(where).status_code, viewer.post(where).status_code) == (403, 403)


# --- taking back, in the pages ---


def test_the_page_asks_before_it_takes_a_save_back_and_says_whose_it_was(door: Any) -> None:
    mappings.decide(door.one, STATES, "each", {"N": "new", "P": "paid"}, "ivan")
    text = page(door, "mappings")
    assert "ivan</a>" in text.partition("data-undo")[2][:300]
    asked = page(door, "mappings/order_state-each/undo")
    assert "by ivan?" in asked
    assert "Новый, Оплачен" in asked
    assert not door.one.mappings.filter(reported=True).exclude(theirs="Z").exists()
    step = mappings.steps(door.one)["order_state", "each"].pk
    client, where = as_user(door.people.operator), f"/store/connection/{door.one.pk}/mappings/order_state-each/undo/"
    assert "2 values are as they were before." in client.post(where, {"step": step}, follow=True).content.decode()
    assert not door.one.mappings.filter(reported=False).exists()
    assert "There is no save of this table" in client.post(where, {"step": step}, follow=True).content.decode()


@pytest.mark.parametrize("number", ["²", "9" * 5000, "9" * 30])
def test_numbers_that_are_no_ids_are_no_ids_of_saves_and_rows(door: Any, number: str) -> None:
    mappings.decide(door.one, STATES, "each", {"N": "new"})
    before = whole(door)
    client, table = as_user(door.people.operator), "order_state-each"
    undo = client.post(f"/store/connection/{door.one.pk}/mappings/{table}/undo/", {"step": number}, follow=True)
    assert "There is no save of this table" in undo.content.decode()
    for odd in ({f"{table}-shown": number}, {f"{table}-shown": "", f"{table}.0.row": number}):
        assert client.post(f"/store/connection/{door.one.pk}/mappings/", {"tables": table, **odd}).status_code == 302
    assert whole(door) == before


def test_a_question_about_an_older_save_takes_back_no_newer_one(door: Any) -> None:
    mappings.decide(door.one, STATES, "each", {"N": "new"})
    asked = mappings.steps(door.one)["order_state", "each"].pk
    mappings.decide(door.one, STATES, "each", {"P": "paid"})
    before = whole(door)
    as_user(door.people.operator).post(f"/store/connection/{door.one.pk}/mappings/order_state-each/undo/", {"step": asked})
    assert whole(door) == before


# --- spreadsheets ---


def csv_of(shop: Any, table: str) -> str:
    answer = as_user(shop.people.operator).get(f"/store/connection/{shop.one.pk}/mappings/{table}/csv/")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return answer.content.decode("utf-8")


def send(shop: Any, table: str, content: bytes | str, person: str = "operator", **also: str) -> str:
    raw = content if isinstance(content, bytes) else content.encode()
    from django.core.files.uploadedfile import SimpleUploadedFile

    where = f"/store/connection/{shop.one.pk}/mappings/{table}/csv-in/"
    client = as_user(getattr(shop.people, person))
    return client.post(where, {"file": SimpleUploadedFile("t.csv", raw), **also}, follow=True).content.decode()


def apply(shop: Any, table: str, text: str, person: str = "operator") -> str:
    where = f"/store/connection/{shop.one.pk}/mappings/{table}/csv-in/"
    return as_user(getattr(shop.people, person)).post(where, {"text": text, "confirmed": "1"}, follow=True).content.decode()


def test_a_table_is_saved_as_excel_opens_it_and_taken_back_without_a_change(door: Any) -> None:
    mappings.decide(door.one, STATES, "each", {"N": "new"})
    mappings.report(door.one, STATES, "=1+1", 'Хитрий; "стан"', 2)
    text = csv_of(door, "order_state-each")
    assert text.splitlines() == [
        "\ufefftheir code;their value;our value;load;send;seen",
        "Z;Ждем из Китая;;;no;300",
        "P;Оплачен;;;no;7",
        '\'=1+1;"Хитрий; ""стан""";;;no;2',
        "N;Новый;Новий;yes;no;41",
    ]
    before = whole(door)
    answer = send(door, "order_state-each", text)
    assert "Nothing: the table says all of this already." in answer
    assert "4 lines say what the table says already." in answer
    assert whole(door) == before


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_value_of_theirs_is_a_formula_in_a_spreadsheet(door: Any, begin: str) -> None:
    door.one.mappings.all().delete()
    mappings.report(door.one, STATES, "odd", f"{begin}cmd|'/c calc'!A0")
    [_heads, line] = csv.reader(csv_of(door, "order_state-each").splitlines(keepends=True), delimiter=";")
    assert line[1].startswith("'" + begin)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251", "utf-16"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
def test_a_file_shows_what_it_would_change_and_changes_it_when_that_is_confirmed(
    door: Any, encoding: str, delimiter: str
) -> None:
    text = "\r\n".join(("their code;our value;load", "N;Новий;", "Z;;no", "X9;Сплачений;yes")).replace(";", delimiter)
    before = whole(door)
    answer = send(door, "order_state-each", text.encode(encoding))
    assert ("Take over 3 changes" in answer, answer.count('class="o-new"'), whole(door) == before) == (True, 5, True)
    assert "3 rows are taken from the file." in apply(door, "order_state-each", text)
    found = {m.theirs: (m.ours, m.taken, m.reported) for m in door.one.mappings.all()}
    assert found == {
        "N": ("new", True, False),
        "P": ("", True, True),
        "X9": ("paid", True, False),
        "Z": ("", False, False),
    }
    mappings.undo(door.one, STATES, "each")
    assert whole(door) == before


def test_bad_lines_are_named_by_their_numbers_and_the_good_ones_are_taken(shop: Any) -> None:
    mappings.save(shop.one, STATES, "in", [MappingRow("P", "Оплачен", "paid")])
    for theirs in ("N", "S"):
        mappings.report(shop.one, STATES, theirs, theirs * 3)
    text = '"their code";"our value";load\n\nN;Новий;yes\n"unknown\nvalue";Новий;\nS;Немає такого;\nP;Виконаний;perhaps\n;;\nN;Виконаний;\n'
    answer = send(shop, "order_state-in", text)
    problems = answer.partition('id="o-problems"')[2].partition("</table>")[0]
    assert [f"line {n}" in problems for n in (3, 5, 6, 7, 9)] == [False, True, True, True, True]
    assert "They have no value “unknown" in problems
    assert "you may not add one" in problems
    assert "“perhaps” in “load”: write yes or no." in problems
    assert "Take over 1 change<" in answer
    apply(shop, "order_state-in", text)
    found = {m.theirs: (m.ours, m.reported) for m in shop.one.mappings.all()}
    assert found == {"P": ("paid", False), "N": ("new", False), "S": ("", True)}
    assert not models.Reference.objects.filter(name="Немає такого").exists()


def test_a_long_code_that_a_spreadsheet_has_ruined_is_found_by_its_name(door: Any) -> None:
    mappings.report(door.one, STATES, "000000000000012345678", "Довгий код", 1)
    apply(door, "order_state-each", "their code;their value;our value\n1,23457E+19;Довгий код;Новий\n")
    assert door.one.mappings.get(ours="new").theirs == "000000000000012345678"
    assert door.one.mappings.count() == 4


def test_a_file_that_is_none_says_what_it_should_be(door: Any) -> None:
    before = whole(door)
    assert "has to name the columns “their code” and “our value”" in send(door, "order_state-each", "a;b\n1;2\n")
    assert "The file has no lines" in send(door, "order_state-each", "their code;our value\n")
    assert "The file is empty." in send(door, "order_state-each", b" ")
    assert "larger than 1 MB" in send(door, "order_state-each", b"x" * 1_000_001)
    assert "This is no CSV file" in send(door, "order_state-each", 'their code;our value\n"N;new')
    assert whole(door) == before


def test_a_table_that_is_asked_by_ours_goes_through_a_spreadsheet_as_well(shop: Any) -> None:
    shop.one.remote_references.create(subject=STATES, key="P", name="Оплачен")
    shop.one.remote_references.create(subject=STATES, key="S", name="Отправлен")
    mappings.save(shop.one, STATES, "out", [MappingRow("P", "Оплачен", "new")])
    assert csv_of(shop, "order_state-out").splitlines() == ["\ufeffour value;their code;their value;seen", "Новий;P;Оплачен;"]
    apply(shop, "order_state-out", "our value;their value\nНовий;Отправлен\nСплачений;Оплачен\n")
    assert [(m.ours, m.theirs, m.theirs_name) for m in mappings.rows(shop.one, STATES, "out")] == [
        ("new", "S", "Отправлен"),
        ("paid", "P", "Оплачен"),
    ]


def test_no_tab_with_tables_asks_more_than_a_dozen_things_of_the_database(queries: Any) -> None:
    """Of every connector that names tables, with rows in each of them."""
    from obmen.registry import connectors

    client = as_user(books.people().operator)
    books.states()
    seen = 0
    for key, kind in connectors().items():
        if not kind.tables:
            continue
        one, _password = connections.create(key, key)
        models.Connection.objects.filter(pk=one.pk).update(checked=timezone.now())
        for table in kind.tables:
            mappings.save(one, table.subject, table.direction, [MappingRow(f"s{n}", f"v {n}", f"k{n}") for n in range(20)])
        for tab in dict.fromkeys(table.tab for table in kind.tables):
            with queries() as asked:
                answer = client.get(f"/store/connection/{one.pk}/tab/{tab}/")
            seen += answer.status_code == 200
            assert len(asked) <= 12, (key, tab, len(asked), [q["sql"][:150] for q in asked])
    assert seen >= 5
