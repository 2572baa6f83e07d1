"""The first hour by clicks: an empty hub, a system on a real socket, the first order; and a system that calls us."""

from __future__ import annotations

import base64
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import books
import pytest
from playwright.sync_api import expect
from waiting import fits

from obmen.sandbox.retailcrm import serve
from obmen.store import models
from obmen.work import run as runs

pytestmark = [pytest.mark.page, pytest.mark.django_db(transaction=True)]
CUP = "11111111-1111-4111-8111-111111111111"
PHONE = {"width": 360, "height": 740}


@pytest.fixture
def people(settings: Any, tmp_path: Path) -> Any:
    settings.MEDIA_ROOT, settings.OBMEN_HOME, settings.OBMEN_ALLOW_PRIVATE = tmp_path, tmp_path, True
    return books.people()


@pytest.fixture
def crm() -> Iterator[Any]:
    with serve() as server:
        server.crm.add_offer(CUP, "Чашка", 100, xml_id="УТ-1", article="A-1")
        server.crm.ui.create_order([(CUP, 2)], firstName="Марія", lastName="Шевченко")
        yield server


def picture(page: Any, name: str) -> None:
    """Kept where OBMEN_SCREENSHOTS says, to be looked at."""
    if folder := os.environ.get("OBMEN_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/first-{name}.png", full_page=True)


def work() -> models.Run:
    return runs.execute_here(models.Run.objects.get(state="waiting"))


def here(page: Any) -> Any:
    """What the step that one stands at is called."""
    return page.locator(".o-steps [aria-current=step] > span")


def test_from_an_empty_hub_to_the_first_order_by_clicks(open_page: Any, people: Any, crm: Any) -> None:
    books.states()
    page = open_page(people.owner)
    page.goto("/")
    picture(page, "0-welcome")
    page.locator("a.o-system", has_text="RetailCRM").click()
    expect(page.locator('input[type=radio][value="retailcrm"]')).to_be_checked()
    expect(page.locator(".o-choice label:visible")).to_have_count(1)
    picture(page, "1-add")
    page.fill("#id_name", "CRM")
    page.get_by_role("button", name="Add").last.click()

    expect(here(page)).to_have_text("Access")
    one = models.Connection.objects.get()
    assert one.enabled is False
    picture(page, "2-access")
    page.fill('[name="s-server"]', crm.url)
    page.fill('[name="s-api_key"]', "mistyped")
    page.get_by_role("button", name="Save and check").click()
    expect(page.locator("#o-check")).to_contain_text("Check the address of the CRM and the API key")
    picture(page, "3-check")
    page.get_by_role("link", name="Back to the access").click()
    page.fill('[name="s-api_key"]', "sandbox-key")
    page.get_by_role("button", name="Save and check").click()

    expect(page.locator("#o-defaults")).to_be_visible()
    picture(page, "4-defaults")
    page.get_by_role("button", name="Read the defaults").click()

    # Somebody is called away here, and goes on from the page of the connection.
    page.goto(f"/store/connection/{one.pk}/change/")
    expect(page.locator("#o-first-hour")).to_contain_text("Set-up: step 5 of 7, Mapping")
    picture(page, "5-card")
    page.get_by_role("link", name="Continue").click()

    expect(page.locator("#o-mapped")).to_contain_text("0 of")
    new = page.locator("#o-missing tr", has=page.locator('[name="row"][value="new"]'))
    expect(new.locator('[name="value"]')).to_have_value("Новий")
    expect(new).to_contain_text("suggested by its name")
    picture(page, "5-mapping")
    for _table in range(10):
        if here(page).inner_text() != "Mapping":
            break
        with page.expect_navigation():
            page.get_by_role("button", name="Save, and take the rest over as new values of ours").click()
    expect(here(page)).to_have_text("Preview")
    assert one.mappings.get(subject="order_state", theirs="new", inbound=True).ours == "new"

    page.uncheck('[name="stream"][value="catalogue-out"]')  # it wants a price kind first
    page.fill("#o-since", "2020-01-31")
    page.get_by_role("button", name="Preview the first exchange").click()
    expect(page.locator("#o-state")).to_have_text("waiting")
    run = work()
    assert run.state == "done", (run.text, run.facts)
    expect(page.locator("#o-state")).to_have_text("done")
    expect(page.get_by_role("link", name="Continue")).to_be_visible()  # by itself, once the run has ended
    picture(page, "6-preview")
    assert models.Order.objects.count() == 0
    page.get_by_role("link", name="Continue").click()

    expect(here(page)).to_have_text("Switch on")
    orders = one.streams.get(stream="orders-in")
    expect(page.locator(f"#id_s{orders.pk}-plan")).to_have_value("every 5 min")
    page.select_option(f"#id_s{orders.pk}-plan", "own")
    page.fill(f'[name="s{orders.pk}-own"]', "every 10 min")
    picture(page, "7-on")
    page.get_by_role("button", name="Switch on and start now").click()
    expect(page.locator("#o-live")).to_be_visible()
    work()
    one.refresh_from_db()
    orders.refresh_from_db()
    assert (one.enabled, orders.schedule, models.Order.objects.get().state) == (True, "every 10 min", "new")
    page.goto(f"/store/connection/{one.pk}/change/")
    expect(page.locator("#o-first-hour")).to_have_count(0)


def test_systems_are_found_by_typing_and_lend_the_connection_its_name(open_page: Any, people: Any) -> None:
    page = open_page(people.owner)
    page.goto("/store/connection/add/")
    shown = page.locator(".o-choice label:visible")
    every = shown.count()
    search = page.get_by_role("searchbox", name="Search among the systems")
    search.fill("мойсклад")
    expect(shown).to_have_count(2)
    assert every > 20
    search.fill("no such thing")
    expect(page.locator(".o-page")).to_contain_text("No system is called so.")
    search.fill("мойсклад")
    page.check('input[value="commerceml_door:moysklad"]')
    expect(page.locator("#id_name")).to_have_value("МойСклад")
    page.fill("#id_name", "Мій склад")
    page.check('input[value="commerceml_door:getmeback"]')
    expect(page.locator("#id_name")).to_have_value("Мій склад")


def test_the_first_call_of_a_system_is_noticed_by_the_page_itself(open_page: Any, people: Any, live_server: Any) -> None:
    page = open_page(people.owner, viewport=PHONE)
    page.goto("/store/connection/add/")
    picture(page, "phone-1-add")
    page.check('input[value="commerceml_door:ut11"]')
    page.get_by_role("button", name="Add").last.click()
    login, password = page.locator("#o-login").inner_text(), page.locator("#o-password").inner_text()
    picture(page, "phone-2-credentials")
    page.get_by_role("link", name="I have copied it").click()
    expect(page.locator("#o-waiting")).to_contain_text("Waiting for the first call.")
    assert fits(page)
    picture(page, "phone-3-waiting")
    one = models.Connection.objects.get()
    basic = base64.b64encode(f"{login}:{password}".encode()).decode()
    call = urllib.request.Request(
        f"{live_server.url}/exchange/{one.slug}/?type=catalog&mode=checkauth", headers={"Authorization": f"Basic {basic}"}
    )
    with urllib.request.urlopen(call) as answer:
        assert answer.read().startswith(b"success")
    expect(page.locator("#o-waiting")).to_contain_text("It has called")
    page.get_by_role("link", name="Continue").click()
    expect(here(page)).to_have_text("Switch on")
    assert fits(page)
    picture(page, "phone-4-on")
    page.get_by_role("button", name="Finish").click()
    expect(page.locator(".o-page")).to_contain_text("How it reaches us")
    expect(page.locator("#o-first-hour")).to_have_count(0)


def test_no_step_is_wider_than_a_phone(open_page: Any, people: Any, crm: Any) -> None:
    from obmen.store import connections, notes
    from obmen.web import first_hour

    one, _password = connections.create("retailcrm", "CRM", settings={"server": crm.url, "api_key": "sandbox-key"})
    connections.check(one)
    models.Connection.objects.filter(pk=one.pk).update(enabled=False)
    page = open_page(people.owner, viewport=PHONE)
    page.goto("/")
    assert fits(page)
    page.goto(f"/store/connection/{one.pk}/first-hour/")
    page.get_by_role("button", name="Read the defaults").click()
    expect(page.locator("#o-missing")).to_be_visible()
    note = notes.recall(one, first_hour.NOTE)
    notes.remember(one, first_hour.NOTE, {**note, "later": ["mapping", "preview"]})
    for step in ("access", "check", "defaults", "mapping", "preview", "on"):
        page.goto(f"/store/connection/{one.pk}/first-hour/?step={step}")
        expect(page.locator(".o-steps [aria-current=step]")).to_have_count(1)
        picture(page, f"phone-{step}")
        assert fits(page), step
