"""What was typed into a form and not sent is not lost by a click elsewhere: every form with several fields asks first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import books
import pytest
from playwright.sync_api import Page, expect
from waiting import settled

pytestmark = [pytest.mark.page, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def people(settings: Any, tmp_path: Path) -> Any:
    settings.MEDIA_ROOT, settings.OBMEN_HOME = tmp_path / "media", tmp_path
    return books.people()


def leave(page: Page) -> None:
    """Click on the overview in the menu. Nothing but the question, or the overview, says what came of it: wait for one of them."""
    page.locator("a[href='/']").first.evaluate("link => setTimeout(() => link.click())")


@pytest.mark.parametrize(
    ("address", "field"),
    [
        ("/store/order/{order}/change/", "#change [name=comment]"),
        ("/store/connection/add/", "[name=name]"),
        ("/auth/user/invite/", "[name=email]"),
        ("/auth/user/add/", "[name=username]"),
        ("/store/connection/{one}/mappings/", "[data-ours]"),
        ("/store/connection/{one}/change/", "[name=name]"),
    ],
)
def test_a_form_with_several_fields_asks_before_it_is_left(open_page: Any, people: Any, address: str, field: str) -> None:
    books.states()
    one, _password = books.door()
    page = open_page(people.owner)
    asked: list[str] = []
    page.on("dialog", lambda d: (asked.append(d.type), d.dismiss()))
    place = address.format(one=one.pk, order=books.order().pk)
    page.goto(place)
    with page.expect_navigation():
        leave(page)
    assert asked == [], "nothing was typed"
    page.go_back()
    typed = page.locator(field).last
    typed.focus()
    page.keyboard.type("x")
    with page.expect_event("dialog"):
        leave(page)
    settled(page)
    assert asked == ["beforeunload"]
    assert page.url.endswith(place), "the page is still there"


def test_what_is_sent_or_looked_for_asks_nothing(open_page: Any, people: Any) -> None:
    books.states()
    order = books.order()
    page = open_page(people.owner)
    asked: list[str] = []
    page.on("dialog", lambda d: (asked.append(d.type), d.dismiss()))
    page.goto(f"/store/order/{order.pk}/change/")
    page.fill("#change [name=comment]", "call first")
    page.locator("#change button").click()
    expect(page.locator("body")).to_contain_text("The order is saved")
    with page.expect_navigation():
        leave(page)
    assert asked == []
    page.goto("/store/order/")
    page.fill("input[name=q]", "ІМ")
    with page.expect_navigation():
        leave(page)
    assert asked == []


def test_a_part_that_comes_by_itself_does_not_replace_what_is_being_typed(open_page: Any, people: Any) -> None:
    books.states()
    order = books.order()
    page = open_page(people.owner)
    page.goto(f"/store/order/{order.pk}/change/")
    again = "htmx.ajax('GET', location.pathname, {target: '#change', source: 'h2', select: '#change', swap: 'innerHTML'})"
    page.evaluate(again)
    field = settled(page).locator("#change [name=comment]")
    expect(field).to_have_count(1)
    field.focus()
    page.keyboard.type("half a sentence")
    page.evaluate(again)
    settled(page)
    assert field.input_value().startswith("half a sentence")
