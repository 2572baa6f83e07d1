"""The tabs of a connection whose system we call, as a person uses them: keys, tables, deeds, files."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import books
import pytest
from playwright.sync_api import expect
from waiting import settled, width

from obmen.core.records import Subject
from obmen.store import connections, mappings, models
from toy_connector import Caller, install_caller

PHONE = {"width": 360, "height": 740}
pytestmark = [pytest.mark.page, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> Any:
    """A small shop's books and a connection that is set up and checked."""
    settings.MEDIA_ROOT = tmp_path
    install_caller(monkeypatch)
    people = books.people()
    one, _password = connections.create("caller", "Наш магазин", settings={"server": "shop.example", "api_key": "right"})
    connections.check(one)
    one.refresh_from_db()
    products = books.goods(one)
    books.states()
    return type("Shop", (), {"people": people, "one": one, "products": products})


def tab(shop: Any, name: str) -> str:
    return f"/store/connection/{shop.one.pk}/tab/{name}/"


def titles(page: Any, name: str = "") -> Any:
    """All tabs, or those called ``name``."""
    every = page.locator("nav.o-tabs a")
    return every.filter(has_text=re.compile(rf"^\s*{name}\s*$")) if name else every


def rows(shop: Any, subject: str, direction: str) -> list[tuple[Any, ...]]:
    found = mappings.rows(shop.one, subject, direction)
    return [(m.theirs, m.ours, m.taken, m.reported) for m in found]


def table(page: Any, name: str) -> Any:
    return page.locator(f'[data-table="{name}"]')


def row(page: Any, name: str, text: str) -> Any:
    return table(page, name).locator("tr", has_text=text)


def waiting() -> models.Run:
    return models.Run.objects.get(state="waiting")


def save(page: Any) -> None:
    with page.expect_navigation():
        page.locator("#o-part .o-save button").click()


# --- tabs ---


def test_the_tabs_stand_in_the_order_of_the_connector_and_nowhere_else(open_page: Any, shop: Any) -> None:
    """S-04; P-01: a tab whose setting is off is not there."""
    page = open_page(shop.people.owner)
    page.goto(tab(shop, "main"))
    own = ["Overview", "Main page", "Keys", "Statuses", "Managers", "Goods file", "Options", "Match rules", "Schedule", "Log"]
    expect(titles(page)).to_have_text(own, use_inner_text=True)
    page.goto(tab(shop, "settings"))
    page.get_by_label("Use price types").check(force=True)
    save(page)
    expect(page.locator("body")).to_contain_text("The settings are saved.")
    expect(titles(page)).to_have_text([*own[:6], "Price types", *own[6:]], use_inner_text=True)
    assert connections.settings_of(models.Connection.objects.get(pk=shop.one.pk)).use_prices is True


def test_the_head_says_the_versions_and_f1_opens_the_manual(open_page: Any, shop: Any) -> None:
    """S-03, S-06."""
    import obmen

    page = open_page(shop.people.viewer)
    page.goto(tab(shop, "main"))
    expect(page.locator("#o-versions")).to_contain_text(f"Obmen {obmen.__version__}")
    expect(page.locator("#o-versions")).to_contain_text("Shop that we call")
    with page.context.expect_page() as opened:
        page.keyboard.press("F1")
    expect(opened.value.locator("#o-help")).to_contain_text("How to get a key")


def test_tabs_stay_closed_until_the_key_is_accepted(open_page: Any, shop: Any) -> None:
    """S-05: only the open tabs with the manual's sentence; saving the key checks again; a changed address closes them again."""
    one, _password = connections.create("caller", "Новий магазин")
    page = open_page(shop.people.owner)
    page.goto(f"/store/connection/{one.pk}/settings/")
    expect(titles(page)).to_have_text(["Overview", "Keys", "Goods file", "Log"], use_inner_text=True)
    expect(page.locator("#o-gated")).to_contain_text("Check that the address of the other system and its key are right")
    page.goto(f"/store/connection/{one.pk}/tab/states/")
    expect(page).to_have_url(re.compile(f"/store/connection/{one.pk}/tab/keys/$"))
    page.fill('[name="s-server"]', "shop.example")
    page.fill('[name="s-api_key"]', "wrong")
    save(page)
    expect(page.locator("body")).to_contain_text("The key is not accepted")
    expect(titles(page, "Statuses")).to_have_count(0)
    page.fill('[name="s-api_key"]', "right")
    save(page)
    expect(page.locator("body")).to_contain_text("Connected")
    expect(titles(page, "Statuses")).to_have_count(1)
    expect(page.locator("#o-gated")).to_have_count(0)
    page.fill('[name="s-api_key"]', "another")
    save(page)
    expect(page.locator("#o-gated")).to_be_visible()
    page.locator("#o-gated").get_by_role("button", name="Check").click()
    expect(page.locator("body")).to_contain_text("The key is not accepted")


def test_one_save_writes_the_settings_and_the_tables_of_a_tab_and_nothing_when_one_is_wrong(open_page: Any, shop: Any) -> None:
    """S-08."""
    page = open_page(shop.people.owner)
    page.goto(tab(shop, "states"))
    table(page, "order_state-in").get_by_role("button", name="Load from the other system").click()
    row(page, "order_state-in", "Втрачений").locator("[data-ours]").fill("Закритий")
    page.get_by_role("tab", name="Statuses: sending").click()
    sending = table(page, "order_state-out")
    sending.locator("[data-row]").last.locator("[data-ours]").fill("Новий")
    sending.locator("[data-row]").last.locator("[data-name]").fill("Немає такого")
    save(page)
    expect(page.locator("#o-part")).to_contain_text("They have no value “Немає такого”")
    assert rows(shop, "order_state", "out") == []
    assert not models.Reference.objects.filter(subject="order_state", name="Закритий").exists()
    sending.locator("[data-row]").first.locator("[data-name]").fill("Втрачений")
    save(page)
    expect(page.locator("body")).to_contain_text("The settings are saved.")
    assert rows(shop, "order_state", "out") == [("lost", "new", True, False)]
    assert ("lost", "Закритий", True, False) in rows(shop, "order_state", "in")
    assert models.Reference.objects.get(subject="order_state", name="Закритий").key == "Закритий"


def test_leaving_with_unsaved_changes_asks_first(open_page: Any, shop: Any) -> None:
    page = open_page(shop.people.owner)
    asked: list[str] = []
    page.on("dialog", lambda d: (asked.append(d.type), d.dismiss()))
    page.goto(tab(shop, "settings"))
    page.locator('[name="s-own"]').check(force=True)
    expect(page.locator("[data-unsaved]")).to_be_visible()
    with page.expect_event("dialog"):
        page.locator("nav.o-tabs a", has_text="Keys").click(no_wait_after=True)
    page.wait_for_timeout(300)  # the absence of a navigation has no event
    assert asked == ["beforeunload"]
    assert page.url.endswith("/tab/settings/")
    save(page)
    page.locator("nav.o-tabs a", has_text="Keys").click()
    page.wait_for_url("**/tab/keys/")
    assert asked == ["beforeunload"]


def test_a_setting_that_another_one_switches_on_is_shown_with_it(open_page: Any, shop: Any) -> None:
    page = open_page(shop.people.owner)
    page.goto(tab(shop, "settings"))
    expect(page.locator("#field-s-own_from")).to_be_hidden()
    page.locator('[name="s-own"]').check(force=True)
    page.fill('[name="s-own_from"]', "2026-01-31")
    save(page)
    found = connections.settings_of(models.Connection.objects.get(pk=shop.one.pk))
    assert (found.own, found.own_from, found.use_prices) == (True, "2026-01-31", False)


# --- kinds of settings ---


def test_a_value_of_the_books_is_chosen_from_a_list_or_typed_anew(open_page: Any, shop: Any) -> None:
    """C-08 and the other constants that are references."""
    page = open_page(shop.people.owner)
    page.goto(tab(shop, "keys"))
    page.click('[name="s-shop"]')
    expect(page.locator(".o-options > div")).to_have_text(["Магазин", "Основний склад"])
    page.keyboard.type("маг")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator('[name="s-shop"]')).to_have_value("Магазин")
    save(page)
    assert connections.settings_of(models.Connection.objects.get(pk=shop.one.pk)).shop == "w-2"
    expect(page.locator('[name="s-shop"]')).to_have_value("Магазин")
    page.fill('[name="s-shop"]', "Третій склад")
    expect(page.locator(".o-options .o-new")).to_have_text("new value: Третій склад")
    save(page)
    assert connections.settings_of(models.Connection.objects.get(pk=shop.one.pk)).shop == "Третій склад"
    assert models.Reference.objects.filter(subject="warehouse", key="Третій склад").exists()


def test_a_product_is_found_while_one_types(open_page: Any, shop: Any) -> None:
    """C-06."""
    page = open_page(shop.people.owner)
    page.goto(tab(shop, "keys"))
    page.click('[name="s-service"]')
    page.keyboard.type("кава зернах")
    page.locator(".o-options > div", has_text="КВ-1000").click()
    save(page)
    product = models.Product.objects.get(article="КВ-1000")
    assert connections.settings_of(models.Connection.objects.get(pk=shop.one.pk)).service == product.key
    page.fill('[name="s-service"]', "Немає такого")
    save(page)
    expect(page.locator("#field-s-service .o-error")).to_have_text(
        "There is no such product in the books: choose one from the list."
    )


def test_groups_are_chosen_in_a_tree_with_a_search(open_page: Any, shop: Any) -> None:
    """K-01."""
    page = open_page(shop.people.owner)
    page.goto(tab(shop, "catalogue"))
    expect(page.locator("[data-tree-count]")).to_have_text("None is chosen: all groups.")
    page.fill("[data-tree-search]", "чай")
    expect(page.locator(".o-leaves li:visible")).to_have_text(["Товари", "Продукти", "Чай"])
    page.get_by_label("Чай").check()
    expect(page.locator("[data-tree-count]")).to_have_text("Chosen: 1")
    save(page)
    assert connections.settings_of(models.Connection.objects.get(pk=shop.one.pk)).groups == ("g-11",)
    expect(page.get_by_label("Чай")).to_be_checked()


# --- mapping tables ---


def test_loading_a_list_adds_what_is_new_marks_what_vanished_and_keeps_what_was_mapped(
    open_page: Any, shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ST-01, ST-03 without its loss, MG-02."""
    page = open_page(shop.people.operator)
    page.goto(tab(shop, "states"))
    load = table(page, "order_state-in").get_by_role("button", name="Load from the other system")
    load.click()
    expect(page.locator("body")).to_contain_text("3 new, 0 vanished over there, 0 as before")
    expect(table(page, "order_state-in").locator("header")).to_contain_text("0 of 3 mapped")
    row(page, "order_state-in", "Новий").locator("[data-ours]").fill("Новий")
    save(page)
    expect(table(page, "order_state-in").locator("header")).to_contain_text("1 of 3 mapped")
    monkeypatch.setattr(Caller, "lists", {Subject.ORDER_STATE: [("paid", "Оплачено"), ("sent", "Відправлений")]})
    load.click()
    expect(page.locator("body")).to_contain_text("1 new, 2 vanished over there, 1 as before")
    expect(row(page, "order_state-in", "Новий")).to_contain_text("vanished over there")
    expect(row(page, "order_state-in", "Новий").locator("[data-ours]")).to_have_value("Новий")
    expect(row(page, "order_state-in", "Оплачено")).to_be_visible()
    assert sorted(rows(shop, "order_state", "in")) == [
        ("lost", "", True, True),
        ("new", "new", True, False),
        ("paid", "", True, True),
        ("sent", "", True, True),
    ]


def test_a_system_that_does_not_answer_costs_nobody_a_table(open_page: Any, shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mappings.save(shop.one, "order_state", "in", [mappings.MappingRow("new", "Новий", "new")])
    monkeypatch.setattr(Caller, "down", ["The other system does not answer"])
    page = open_page(shop.people.operator)
    page.goto(tab(shop, "states"))
    table(page, "order_state-in").get_by_role("link", name="Start over").click()
    page.get_by_role("button", name="Yes").click()
    expect(page.locator("body")).to_contain_text("The other system does not answer")
    assert rows(shop, "order_state", "in") == [("new", "new", True, False)]


def test_starting_over_asks_the_question_of_the_manual_and_then_clears_the_table(open_page: Any, shop: Any) -> None:
    """ST-03, MG-05, W-02, P-02, O-03, D-02: «После подтверждения загрузки будет очищена таблица …»."""
    mappings.save(shop.one, "order_state", "in", [mappings.MappingRow("new", "Новий", "new")])
    mappings.save(shop.one, "order_state", "out", [mappings.MappingRow("paid", "Сплачений", "paid")])
    page = open_page(shop.people.operator)
    page.goto(tab(shop, "states"))
    table(page, "order_state-in").get_by_role("link", name="Start over").click()
    question = "After you confirm the loading, the table of statuses will be cleared. Load the statuses?"
    expect(page.locator(".o-page")).to_contain_text(question)
    page.get_by_role("link", name="Cancel").click()
    assert rows(shop, "order_state", "in") == [("new", "new", True, False)]
    table(page, "order_state-in").get_by_role("link", name="Start over").click()
    page.get_by_role("button", name="Yes").click()
    expect(table(page, "order_state-in").locator("header")).to_contain_text("0 of 3 mapped")
    assert [r[:2] for r in rows(shop, "order_state", "in")] == [("new", ""), ("paid", ""), ("lost", "")]
    assert rows(shop, "order_state", "out") == [("paid", "paid", True, False)]


def test_equal_names_are_suggested_and_nothing_is_saved_until_somebody_does(open_page: Any, shop: Any) -> None:
    page = open_page(shop.people.operator)
    page.goto(tab(shop, "states"))
    table(page, "order_state-in").get_by_role("button", name="Load from the other system").click()
    table(page, "order_state-in").get_by_role("button", name="Accept").first.click()
    expect(table(page, "order_state-in").locator("[data-suggested]")).to_contain_text("Filled in by their names: 2.")
    assert [r[1] for r in rows(shop, "order_state", "in")] == ["", "", ""]
    save(page)
    expect(page.locator("body")).to_contain_text("The settings are saved.")
    assert sorted(rows(shop, "order_state", "in")) == [
        ("lost", "", True, True),
        ("new", "new", True, False),
        ("paid", "paid", True, False),
    ]


def test_what_came_unmapped_stands_first_with_its_count_and_is_decided_on(open_page: Any, shop: Any) -> None:
    """ST-04, ST-05: load it without a state of ours, or leave it out; what nobody has decided on stays to be decided."""
    mappings.save(shop.one, "order_state", "in", [mappings.MappingRow("new", "Новий", "new")])
    for code, count in (("assembling", 7), ("strange", 2), ("later", 1)):
        mappings.report(shop.one, "order_state", code, code.title(), count)
    page = open_page(shop.people.operator)
    page.goto(tab(shop, "states"))
    first = table(page, "order_state-in").locator("[data-row]").first
    expect(first).to_contain_text("Assembling")
    expect(first).to_contain_text("seen 7 ×")
    row(page, "order_state-in", "Assembling").locator("select").select_option(label="load")
    row(page, "order_state-in", "Strange").locator("select").select_option(label="leave out")
    save(page)
    expect(page.locator("body")).to_contain_text("The settings are saved.")
    assert sorted(rows(shop, "order_state", "in")) == [
        ("assembling", "", True, False),
        ("later", "", True, True),
        ("new", "new", True, False),
        ("strange", "", False, False),
    ]
    expect(row(page, "order_state-in", "Strange").locator("[data-taken]")).not_to_be_checked()


def test_a_manager_is_chosen_from_the_list_or_typed_by_his_id_with_further_columns(open_page: Any, shop: Any) -> None:
    """MG-01, MG-02, MG-03; O-02: further columns, a value of which is made in the books when it is typed."""
    page = open_page(shop.people.owner)
    page.goto(tab(shop, "people"))
    people = table(page, "manager-both")
    people.get_by_role("button", name="Load from the other system").click()
    row(page, "manager-both", "Степан").get_by_role("button", name="Remove").click()
    last = people.locator("[data-row]").last
    last.locator("[data-name]").click()
    page.locator(".o-options > div", has_text="Степан").click()
    expect(last.locator("[data-code]")).to_have_value("12")
    last.locator("[data-ours]").fill("Степан Коваль")
    last.get_by_label("Cash desk").fill("Каса 2")
    last.get_by_label("Document").select_option(label="Card")
    people.get_by_role("button", name="Add a row").click()
    last = people.locator("[data-row]").last
    last.locator("[data-code]").fill("8491")
    last.locator("[data-ours]").fill("Ольга")
    save(page)
    expect(page.locator("body")).to_contain_text("The settings are saved.")
    found = {
        m.theirs: (m.theirs_name, m.ours, m.attributes, m.inbound, m.outbound) for m in shop.one.mappings.filter(reported=False)
    }
    assert found == {
        "12": ("Степан", "Степан Коваль", {"desk": "Каса 2", "document": "card"}, True, True),
        "8491": ("8491", "Ольга", {}, True, True),
    }
    names = set(models.Reference.objects.filter(subject__in=("manager", "cash_desk")).values_list("subject", "name"))
    assert names == {("manager", "Степан Коваль"), ("manager", "Ольга"), ("cash_desk", "Каса 2")}


def test_an_operator_may_map_but_neither_change_a_setting_nor_add_to_the_books(open_page: Any, shop: Any) -> None:
    page = open_page(shop.people.operator)
    page.goto(tab(shop, "people"))
    last = table(page, "manager-both").locator("[data-row]").last
    last.locator("[data-code]").fill("8491")
    last.locator("[data-ours]").fill("Ольга")
    save(page)
    expect(page.locator("#o-part")).to_contain_text("The books have no value “Ольга”, and you may not add one")
    assert not models.Reference.objects.filter(subject="manager").exists()
    assert rows(shop, "manager", "both") == []
    page.on("dialog", lambda d: d.accept())
    page.goto(tab(shop, "keys"))
    expect(page.locator('[name="s-server"]')).to_be_disabled()


def test_a_table_of_six_hundred_rows_is_saved_whole(open_page: Any, shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """MG-02: all pages of managers, not the first twenty."""
    many = [(str(n), f"Менеджер {n}") for n in range(600)]
    monkeypatch.setattr(Caller, "lists", {Subject.MANAGER: many})
    for n in range(600):
        models.Reference.objects.create(subject="manager", key=f"e-{n}", name=f"Менеджер {n}", position=n)
    page = open_page(shop.people.operator)
    page.goto(tab(shop, "people"))
    table(page, "manager-both").get_by_role("button", name="Load from the other system").click()
    table(page, "manager-both").get_by_role("button", name="Accept").first.click()
    save(page)
    expect(table(page, "manager-both").locator("header")).to_contain_text("600 of 600 mapped")
    assert dict(shop.one.mappings.filter(reported=False).values_list("theirs", "ours")) == {str(n): f"e-{n}" for n in range(600)}


def test_a_value_that_stands_twice_in_a_table_is_told_beside_it(open_page: Any, shop: Any) -> None:
    mappings.save(shop.one, "manager", "both", [mappings.MappingRow("11", "Марія", "")])
    page = open_page(shop.people.owner)
    page.goto(tab(shop, "people"))
    table(page, "manager-both").locator("[data-row]").last.locator("[data-code]").fill("11")
    save(page)
    expect(page.locator("#o-part")).to_contain_text("stands in the table twice")
    assert rows(shop, "manager", "both") == [("11", "", True, False)]


def test_a_parked_record_leads_to_the_row_that_it_waits_for_and_is_tried_again_once_it_is_mapped(
    open_page: Any, shop: Any
) -> None:
    mappings.report(shop.one, "order_state", "assembling", "Збирається")
    parked = books.parked(
        shop.one,
        "138",
        kind="order",
        text="The status {value} is not mapped",
        facts={"subject": "order_state", "value": "assembling"},
        waiting_kind="mapping",
        waiting_id="order_state:assembling",
    )
    page = open_page(shop.people.owner)
    page.goto(f"/store/parked/{parked.pk}/change/")
    page.click("#o-map")
    wanted = page.locator("tr.o-wanted")
    expect(wanted).to_contain_text("Збирається")
    expect(wanted.locator("[data-ours]")).to_be_focused()
    page.keyboard.type("Новий")
    save(page)
    expect(page.locator("body")).to_contain_text("1 record that waited for this is being retried.")
    run = waiting()
    assert (run.streams, run.args, run.trigger) == ("retry-parked", {"parked": [parked.pk]}, "retry")


# --- what is done by hand ---


def test_the_id_of_the_last_record_is_shown_typed_and_refused_when_it_is_none(open_page: Any, shop: Any) -> None:
    """M-01."""
    page = open_page(shop.people.owner)
    page.goto(tab(shop, "main"))
    mark = page.get_by_label("Id of the last record")
    expect(mark).to_have_value("")
    mark.fill("7104")
    save(page)
    expect(page.locator("body")).to_contain_text("The settings are saved.")
    expect(mark).to_have_value("7104")
    assert shop.one.bookmarks.get(stream="orders-in").value == {"id": 7104}
    mark.fill("last")
    save(page)
    expect(page.locator("#o-part")).to_contain_text("“last” is no id of their history")
    expect(mark).to_have_value("last")
    assert shop.one.bookmarks.get(stream="orders-in").value == {"id": 7104}


def test_the_first_load_goes_by_the_actuality_date(open_page: Any, shop: Any) -> None:
    """M-02, M-03: the date is told in the connection's time zone."""
    page = open_page(shop.people.operator)
    page.goto(tab(shop, "main"))
    page.get_by_text("Load by actuality date").click()
    page.get_by_label("Use the actuality date").check()
    page.get_by_label("Actuality date", exact=True).fill("2026-01-31T10:00:00")
    page.get_by_role("button", name="Load orders").click()
    expect(page.locator("#o-live")).to_be_visible()
    moment = datetime.fromisoformat("2026-01-31T10:00:00+02:00")
    assert shop.one.bookmarks.get(stream="orders-in").value == {"id": int(moment.timestamp())}
    run = waiting()
    assert (run.streams, run.args, run.trigger, run.asked_by) == ("orders-in", {}, "person", "operator")


def test_an_empty_actuality_date_means_now_and_no_date_means_the_bookmark(open_page: Any, shop: Any) -> None:
    """M-04, M-06."""
    page = open_page(shop.people.operator)
    page.goto(tab(shop, "main"))
    page.get_by_role("button", name="Load orders").click()
    expect(page.locator("#o-live")).to_be_visible()
    assert not shop.one.bookmarks.exists()
    page.goto(tab(shop, "main"))
    page.get_by_text("Load by actuality date").click()
    page.get_by_label("Use the actuality date").check()
    page.get_by_role("button", name="Load orders").click()
    expect(page.locator("#o-live")).to_be_visible()
    assert shop.one.bookmarks.get(stream="orders-in").value == {"id": 0}  # what the toy makes of "from now"


def test_one_order_is_loaded_by_its_id(open_page: Any, shop: Any) -> None:
    """M-10."""
    page = open_page(shop.people.operator)
    page.goto(tab(shop, "main"))
    page.get_by_label("Load an order by its id").fill("138")
    page.get_by_role("button", name="Load one").click()
    expect(page.locator("#o-live")).to_be_visible()
    run = waiting()
    assert (run.streams, run.args) == ("orders-in", {"only": ["138"]})


@pytest.mark.parametrize(
    ("button", "streams", "args"),
    [
        ("Send stock", "stock-out", {}),
        ("Do the whole exchange", "catalogue-out,orders-in,stock-out", {}),
        ("Preview", "catalogue-out,orders-in,stock-out", {"preview": True}),
    ],
)
def test_each_button_asks_for_its_run(open_page: Any, shop: Any, button: str, streams: str, args: dict[str, Any]) -> None:
    """M-07, M-09, and a preview."""
    page = open_page(shop.people.operator)
    page.goto(tab(shop, "main"))
    page.get_by_role("button", name=button).click()
    expect(page.locator("#o-live")).to_be_visible()
    run = waiting()
    assert (run.streams, run.args) == (streams, args)


def test_a_stream_that_is_off_has_a_button_that_does_nothing(open_page: Any, shop: Any) -> None:
    """M-06: no load while loading is switched off."""
    connections.set_stream(shop.one, "stock-out", enabled=False)
    page = open_page(shop.people.operator)
    page.goto(tab(shop, "main"))
    expect(page.get_by_role("button", name="Send stock")).to_be_disabled()
    expect(page.get_by_role("button", name="Load orders")).to_be_enabled()


def test_the_wake_up_address_starts_its_streams_and_is_made_anew(open_page: Any, shop: Any) -> None:
    page = open_page(shop.people.owner)
    page.goto(tab(shop, "main"))
    before = page.locator("#o-hook").inner_text()
    assert page.request.post(before).status == 200
    assert waiting().streams == "orders-in"
    page.locator("#o-wake").get_by_role("button", name="Make a new address").click()
    expect(page.locator("#o-hook")).not_to_have_text(before)
    assert page.request.post(before).status == 404
    other = open_page(shop.people.operator)
    other.goto(tab(shop, "main"))
    expect(other.locator("#o-hook")).to_have_count(0)


# --- the catalogue file ---


def test_the_catalogue_file_is_formed_and_its_secret_address_shown_to_those_who_may_change_it(
    open_page: Any, shop: Any, settings: Any
) -> None:
    """K-05, K-06: formed by a button, served at its address, counts and the last refusal shown."""
    from obmen.work import jobs
    from obmen.work.run import execute

    page = open_page(shop.people.owner)
    page.goto(tab(shop, "catalogue"))
    page.get_by_role("button", name="Form the catalogue file").click()
    expect(page.locator("#o-live")).to_be_visible()
    run = jobs.claim("w")
    assert run is not None
    assert run.streams == "catalogue-out"
    execute(run.pk, "w")
    page.goto(tab(shop, "catalogue"))
    card = page.locator("#feed-goodsxml")
    expect(card).to_contain_text("offers")
    served = card.locator("code").inner_text()
    answer = page.request.get(served)
    assert (answer.status, answer.body()) == (200, b"<goods/>\n")
    card.get_by_role("button", name="Make a new address").click()
    expect(card.locator("code")).not_to_have_text(served)
    assert page.request.get(served).status == 404
    models.Feed.objects.update(text="{share} per cent of the goods would vanish; the file stays as it was", facts={"share": 40})
    page.reload()
    expect(card.get_by_role("alert")).to_contain_text("40 per cent of the goods would vanish")
    other = open_page(shop.people.operator)
    other.goto(tab(shop, "catalogue"))
    expect(other.locator("#feed-goodsxml")).to_be_visible()
    expect(other.locator("#feed-goodsxml code")).to_have_count(0)


# --- the settings as a file ---


def test_settings_are_saved_to_a_file_and_restored_after_a_look_at_the_difference(
    open_page: Any, shop: Any, tmp_path: Path
) -> None:
    """F-09: «Настройки восстановлены.»; secrets only with a passphrase."""
    mappings.save(shop.one, "order_state", "in", [mappings.MappingRow("new", "Новий", "new")])
    page = open_page(shop.people.owner)
    page.goto(tab(shop, "settings"))
    page.get_by_label("passphrase for the secrets").fill("correct horse")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the settings file").click()
    file = tmp_path / "mine.toml"
    download.value.save_as(file)
    assert download.value.suggested_filename == f"{shop.one.slug}.toml"
    assert "right" not in file.read_text()
    connections.update(shop.one, {"api_key": "changed", "own": True})
    mappings.save(shop.one, "order_state", "in", [])
    models.Connection.objects.filter(pk=shop.one.pk).update(name="Інша назва")
    page.goto(tab(shop, "keys"))  # the changed key has closed the tabs: the file is where they are opened again
    page.get_by_label("settings file").set_input_files(file)
    page.get_by_label("its passphrase").fill("wrong horse")
    page.get_by_role("button", name="Restore the settings from a file").click()
    expect(page.locator("body")).to_contain_text("The settings could not be restored. The passphrase does not fit")
    page.get_by_label("settings file").set_input_files(file)
    page.get_by_label("its passphrase").fill("correct horse")
    with page.expect_navigation():
        page.get_by_role("button", name="Restore the settings from a file").click()
    expect(page.locator("#o-restore tbody tr")).to_have_count(3)
    found = [[c.strip() for c in r.locator("td").all_inner_texts()] for r in page.locator("#o-restore tbody tr").all()]
    assert found == [["Key", "•••", "•••"], ["Send own", "yes", "no"], ["order states: Новий →", "–", "new"]]
    assert connections.settings_of(models.Connection.objects.get(pk=shop.one.pk)).own is True
    page.get_by_role("button", name="Restore").click()
    expect(page.locator("body")).to_contain_text("The settings are restored.")
    expect(page.locator("body")).to_contain_text("Connected")
    expect(page).to_have_url(re.compile("/tab/settings/$"))
    restored = connections.settings_of(models.Connection.objects.get(pk=shop.one.pk))
    assert (restored.own, restored.api_key) == (False, "right")
    assert rows(shop, "order_state", "in") == [("new", "new", True, False)]
    assert models.Connection.objects.get(pk=shop.one.pk).name == "Інша назва"


def test_a_file_that_is_none_of_ours_changes_nothing(open_page: Any, shop: Any) -> None:
    page = open_page(shop.people.owner)
    page.goto(tab(shop, "settings"))
    page.get_by_label("settings file").set_input_files(
        {"name": "x.toml", "mimeType": "text/plain", "buffer": b"\xff\xfe nonsense"}
    )
    page.get_by_role("button", name="Restore the settings from a file").click()
    expect(page.locator("body")).to_contain_text("The settings could not be restored.")
    assert connections.settings_of(shop.one).server == "shop.example"


# --- who sees what, and a phone ---


def test_a_viewer_finds_no_button_that_changes_anything(open_page: Any, shop: Any) -> None:
    mappings.save(shop.one, "order_state", "in", [mappings.MappingRow("new", "Новий", "new")])
    page = open_page(shop.people.viewer)
    for name in ("main", "keys", "states", "people", "catalogue", "settings"):
        page.goto(tab(shop, name))
        found = settled(page).locator(".o-page button:visible:not([role=tab])").all_inner_texts()
        assert found == [], name


def test_no_tab_needs_scrolling_sideways_on_a_phone(open_page: Any, shop: Any) -> None:
    connections.update(shop.one, {"use_prices": True})
    mappings.refresh(shop.one, "order_state", [Caller(None).references(Subject.ORDER_STATE)[0]], "", "in")
    mappings.save(shop.one, "manager", "both", [mappings.MappingRow("11", "Марія Олександрівна Довгополюк-Вишневецька", "")])
    page = open_page(shop.people.admin, viewport=PHONE)
    wide = {}
    for name in ("main", "keys", "states", "people", "catalogue", "prices", "settings"):
        answer = page.goto(tab(shop, name))
        assert answer.status == 200, name
        if (across := width(page)) > PHONE["width"]:
            wide[name] = across
    assert wide == {}
    page.goto(tab(shop, "people"))
    field = table(page, "manager-both").locator("[data-row]").last.locator("[data-ours]")
    field.click()
    box = settled(page).locator(".o-options").bounding_box() if page.locator(".o-options:visible").count() else None
    assert box is None or (box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"])
    assert re.search(r"tab/people/", page.url)
