"""Mapping tables and parked records as a person uses them in a browser, by mouse and by keyboard."""

from __future__ import annotations

from typing import Any

import books
import pytest
from playwright.sync_api import expect
from waiting import fits

import caller
from caller import order
from obmen.core.records import Subject
from obmen.store import connections, mappings, models
from obmen.work import jobs
from obmen.work import run as runs

PHONE = {"width": 360, "height": 740}
pytestmark = [pytest.mark.page, pytest.mark.django_db(transaction=True)]
STATES = Subject.ORDER_STATE


@pytest.fixture
def door() -> Any:
    people = books.people()
    books.states()
    one = books.connection("1С: Торгівля")
    for theirs, name, count in (("N", "Новый", 41), ("P", "Оплачен", 7), ("Z", "Ждем из Китая", 300)):
        mappings.report(one, STATES, theirs, name, count)
    for n in range(9):
        mappings.report(one, STATES, f"r{n}", f"Рідкісний {n}", 1)
    return type("Door", (), {"people": people, "one": one, "address": f"/store/connection/{one.pk}/mappings/"})


def table(page: Any) -> Any:
    return page.locator('[data-table="order_state-each"]')


def row(page: Any, text: str) -> Any:
    return table(page).locator("[data-row]", has_text=text)


def save(page: Any) -> None:
    with page.expect_navigation():
        page.locator("#o-part .o-save button").click()
    expect(page.locator("body")).to_contain_text("The settings are saved.")


def decided(door: Any) -> dict[str, tuple[str, bool]]:
    return {m.theirs: (m.ours, m.taken) for m in door.one.mappings.filter(reported=False)}


def test_suggestions_are_accepted_one_by_one_or_all_at_once_and_a_save_is_taken_back(open_page: Any, door: Any) -> None:
    page = open_page(door.people.operator)
    page.goto(door.address)
    expect(table(page).locator("header")).to_contain_text("0 of 12 mapped")
    expect(table(page).locator("[data-row]").first).to_contain_text("seen 300 ×")
    row(page, "Новый").get_by_role("button", name="suggested: Новий").click()
    expect(row(page, "Новый").locator("[data-ours]")).to_have_value("Новий")
    expect(row(page, "Оплачен").locator("[data-ours]")).to_have_value("")
    save(page)
    assert decided(door) == {"N": ("new", True)}
    table(page).get_by_role("button", name="Accept 1 suggestion").click()
    assert decided(door) == {"N": ("new", True)}
    save(page)
    assert decided(door) == {"N": ("new", True), "P": ("paid", True)}
    expect(page.locator("nav.o-tabs .o-on .o-mark")).to_have_text("2/12")
    table(page).locator("[data-undo]").click()
    expect(page.locator(".o-page")).to_contain_text("by operator?")
    page.get_by_role("button", name="Take it back").click()
    expect(page.locator("body")).to_contain_text("1 value is as it was before.")
    assert decided(door) == {"N": ("new", True)}


def test_rows_are_looked_for_ticked_and_set_together_by_the_keyboard(open_page: Any, door: Any) -> None:
    page = open_page(door.people.operator)
    page.goto(door.address)
    find = table(page).get_by_label("find a value")
    find.press_sequentially("рідк")
    expect(table(page).locator("[data-row]:visible")).to_have_count(10)  # nine, and the one for more
    expect(table(page).locator("[data-found]")).to_have_text("shown: 9")
    find.press("Enter")  # asks no server, saves nothing
    expect(find).to_have_value("рідк")
    table(page).get_by_label("tick all that are shown").check()
    expect(table(page).locator("[data-fill]")).to_contain_text("9 ticked")
    fill = table(page).get_by_label("set the ticked rows to")
    fill.focus()
    page.keyboard.type("викон")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(fill).to_have_value("Виконаний")
    page.keyboard.press("Enter")
    expect(row(page, "Рідкісний 8").locator("[data-ours]")).to_have_value("Виконаний")
    find.fill("")
    row(page, "Ждем из Китая").locator("[data-tick]").check()
    table(page).get_by_role("button", name="Leave out").click()
    expect(row(page, "Новый").locator("[data-ours]")).to_have_value("")
    save(page)
    assert decided(door) == {f"r{n}": ("done", True) for n in range(9)} | {"Z": ("", False)}


def test_only_unmapped_rows_are_shown_when_that_is_asked(open_page: Any, door: Any) -> None:
    mappings.decide(door.one, STATES, "each", {"N": "new"})
    page = open_page(door.people.viewer)
    page.goto(door.address)
    table(page).get_by_label("only unmapped").check()
    expect(row(page, "Новый")).to_be_hidden()
    expect(row(page, "Оплачен")).to_be_visible()
    expect(table(page).get_by_role("button", name="Accept")).to_have_count(0)


def test_a_group_of_parked_orders_is_freed_by_one_mapping_before_ones_eyes(
    open_page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = caller.install(monkeypatch)
    people = books.people()
    books.states()
    one, _password = connections.create("caller", "Наш магазин", settings={"address": "shop", "api_key": "k"})
    for n in range(41):
        world.change(order(f"{100 + n}", state="EMS"))
    runs.execute_here(jobs.ask(one, ["orders-in"], trigger="person"))
    page = open_page(people.operator, viewport=PHONE)
    page.goto("/store/parked/")
    group = page.locator("[data-group]")
    expect(group).to_have_count(1)
    expect(group).to_contain_text("State EMS is not mapped")
    group.locator("input[name=ours]").click()
    page.keyboard.type("нов")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    group.get_by_role("button", name="Map, frees 41").click()
    page.wait_for_url("**/store/parked/freeing/*/")
    expect(page.locator("#o-freed")).to_have_text("0 freed, 41 remain")
    runs.execute_here(models.Run.objects.get(state="waiting"))
    expect(page.locator("#o-freed")).to_have_text("41 freed, 0 remain")
    assert (one.parked.count(), models.Order.objects.filter(state="new").count()) == (0, 41)
    assert fits(page)
