"""The main paths without a mouse: signing in, the menu, a connection's tabs, a mapping table, parked records, a preview, the theme."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import books
import filled
import pytest
from playwright.sync_api import expect

from obmen.store import models
from obmen.work import run as runs

pytestmark = [pytest.mark.page, pytest.mark.long, pytest.mark.django_db(transaction=True)]
PHONE = {"width": 360, "height": 740}


@pytest.fixture
def hub(settings: Any, tmp_path: Path) -> filled.Filled:
    settings.MEDIA_ROOT, settings.OBMEN_HOME, settings.OBMEN_ALLOW_PRIVATE = tmp_path / "media", tmp_path, True
    return filled.fill(tmp_path / "files")


def reach(page: Any, wanted: Any) -> None:
    """Tab until it has the focus."""
    expect(wanted).to_be_visible()
    for _press in range(200):
        if wanted.evaluate("e => e === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not come to {wanted}")


def press(page: Any, wanted: Any, key: str = "Enter") -> None:
    reach(page, wanted)
    page.keyboard.press(key)


def sign_in(page: Any, name: str) -> None:
    page.goto("/login/")
    reach(page, page.locator("#id_username"))
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(books.PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/")


def test_parked_orders_are_freed_and_a_preview_is_decided_by_keyboard_alone(hub: filled.Filled, open_page: Any) -> None:
    models.Run.objects.filter(state="running").update(state="done")
    page = open_page()
    sign_in(page, "owner")

    # The menu, the card of a connection, its tabs, a list of values in a mapping table.
    press(page, page.get_by_role("link", name="Connections", exact=True))
    press(page, page.get_by_role("link", name="RetailCRM", exact=True))
    press(page, page.get_by_role("link", name="Statuses"))
    row = page.locator("[data-row]", has_text="assembling").locator("input[role=combobox]").first
    reach(page, row)
    page.keyboard.type("Спл")
    expect(page.locator(".o-options [role=option]").first).to_contain_text("Сплачений")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(row).to_have_value("Сплачений")
    with page.expect_navigation():
        press(page, page.get_by_role("button", name="Save", exact=True))
    expect(page.locator("body")).to_contain_text("saved")
    crm = models.Connection.objects.get(name="RetailCRM")
    assert crm.mappings.get(subject="order_state", theirs="assembling", inbound=True).ours == "paid"

    # What is parked is tried again, a whole group at once.
    press(page, page.get_by_role("link", name="Parked", exact=True))
    press(
        page, page.locator(".o-group-of-parked", has_text="join them or correct the cards").locator("a, button", has_text="Retry")
    )
    expect(page.locator("body")).to_contain_text("Retry 3 records?")
    with page.expect_navigation():
        press(page, page.get_by_role("button", name="Retry"))
    asked = models.Run.objects.filter(state="waiting", trigger="retry", connection__name="1С: Торгівля")
    expect(page.locator("body")).to_contain_text("3")
    assert asked.count() == 1

    # A preview: one record is skipped, the rest is done.
    preview = models.Run.objects.get(args__preview=True)
    page.goto(f"/store/run/{preview.pk}/preview/")
    press(page, page.locator(".o-diff input[type=checkbox]").first, "Space")
    press(page, page.locator("button[name=skip]").first)
    page.wait_for_selector(".o-diff.o-out")
    assert models.RunResult.objects.filter(skipped=True).count() == 1
    press(page, page.locator("#o-do"))
    with page.expect_navigation():
        press(page, page.get_by_role("button", name="Do it"))
    expect(page.locator("#o-state")).to_be_visible()
    run = models.Run.objects.filter(state="waiting", args__decided=preview.pk).get()
    assert runs.execute_here(run).counts["skipped"] == 1


def test_the_menu_of_a_phone_and_the_theme_answer_to_keys(hub: filled.Filled, open_page: Any) -> None:
    page = open_page(viewport=PHONE)
    sign_in(page, "viewer")
    orders = page.get_by_role("link", name="Orders", exact=True)
    expect(orders).not_to_be_visible()
    press(page, page.get_by_role("button", name="Menu"))
    expect(orders).to_be_visible()
    press(page, page.locator("#nav-sidebar [role=button]", has_text="Глядач"))
    press(page, page.get_by_role("button", name="Dark"), "Space")
    expect(page.locator("html.dark")).to_be_attached()
    press(page, orders)
    page.wait_for_url("**/store/order/")
    expect(page.locator("html.dark")).to_be_attached()

    page.goto("/store/run/")
    press(page, page.get_by_role("link", name="Filters").or_(page.locator("a[x-on\\:click*=filterOpen]")).first)
    panel = page.locator("#changelist-filter")
    expect(panel).to_be_visible()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
