"""The overview and the card of a connection in a browser: what moves, what is guarded, what a phone shows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import books
import pytest
from django.utils import timezone
from playwright.sync_api import expect
from waiting import width

from obmen.store import connections, models, tallies

pytestmark = [pytest.mark.page, pytest.mark.django_db(transaction=True)]
PHONE = {"width": 360, "height": 780}


@pytest.fixture
def people() -> Any:
    return books.people()


def test_the_overview_moves_by_itself_and_its_charts_change_their_time(open_page: Any, people: Any) -> None:
    one = books.connection("1C", account=None)
    models.StreamSetting.objects.create(connection=one, stream="stock-in")
    run = books.running_run(one, 20)
    tallies.add(one.pk, {"orders_in": 3}, timezone.now())
    tallies.add(one.pk, {"orders_in": 40}, timezone.now() - timedelta(days=30))
    page = open_page(people.owner)
    lane = page.locator(f"#lane-{one.pk}")
    expect(lane).to_contain_text("20 %")
    models.Run.objects.filter(pk=run.pk).update(percent=80, counts={"updated": 7})
    expect(lane).to_contain_text("80 %")
    expect(lane).to_contain_text("changed 7")
    models.Run.objects.filter(pk=run.pk).update(state="needs_owner", ended=timezone.now(), text="The key is wrong")
    expect(lane).to_contain_text("needs attention")
    expect(lane).to_contain_text("The key is wrong")
    expect(page.locator("#o-tiles")).to_contain_text("need attention")
    charts = page.locator("#o-charts")
    expect(charts.locator("figure").first).to_contain_text("taken 3")
    charts.get_by_role("button", name="90 days").click()
    expect(charts.locator("figure").first).to_contain_text("taken 43")
    expect(charts.get_by_role("button", name="90 days")).to_have_attribute("aria-pressed", "true")
    charts.get_by_text("Numbers").first.click()
    expect(charts.locator("table").first).to_contain_text("40")
    expect(page.locator(".o-map li").first).to_contain_text("stock")


def test_many_lanes_are_sifted_by_name_and_by_trouble(open_page: Any, people: Any) -> None:
    for i in range(9):
        books.finished_run(books.connection(f"Shop {i}", account=None), "needs_owner" if i == 4 else "done")
    page = open_page(people.viewer)
    lanes = page.locator(".o-lane:visible")
    expect(lanes).to_have_count(9)
    expect(lanes.first).to_contain_text("Shop 4")
    page.get_by_label("Find a connection by its name").fill("shop 7")
    expect(lanes).to_have_count(1)
    page.get_by_label("only with trouble").check()
    expect(lanes).to_have_count(0)
    expect(page.get_by_text("No connection is like this.")).to_be_visible()
    page.get_by_label("Find a connection by its name").fill("")
    expect(lanes).to_have_count(1)


def test_leaving_a_changed_form_by_a_tab_asks_first(open_page: Any, people: Any) -> None:
    one, _password = books.door("1C")
    page = open_page(people.owner)
    asked: list[str] = []
    answers = [False, True]

    def answer(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.accept() if answers.pop(0) else dialog.dismiss()

    page.on("dialog", answer)
    for name, field in (("schedule", 'input[name$="-schedule"]'),):
        page.goto(f"/store/connection/{one.pk}/{name}/")
        page.locator(field).first.fill("every 15 min")
        expect(page.get_by_text("There are changes that are not saved.")).to_be_visible()
        with page.expect_event("dialog"):
            page.locator("nav.o-tabs").get_by_text("Log").click()
        page.wait_for_timeout(300)  # the absence of a navigation has no event
        assert page.url.endswith(f"/{name}/")
        expect(page.locator(field).first).to_have_value("every 15 min")
        page.locator("nav.o-tabs").get_by_text("Log").click()
        page.wait_for_url("**/log/")
    assert asked == ["beforeunload", "beforeunload"]
    page.goto(f"/store/connection/{one.pk}/settings/")
    page.locator("nav.o-tabs").get_by_text("Schedule").click()
    page.wait_for_url("**/schedule/")
    assert len(asked) == 2  # nothing was changed: nothing is asked


def test_a_connection_is_paused_and_resumed_on_a_phone(open_page: Any, people: Any) -> None:
    one, _password = books.door("1С: Управління торгівлею підприємства «Кава та чай»")
    page = open_page(people.owner, viewport=PHONE)
    page.goto(f"/store/connection/{one.pk}/change/")
    page.get_by_role("link", name="Pause").click()
    page.get_by_label("until tomorrow, 08:00").check()
    page.get_by_label("reason").fill("stocktaking")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#o-paused")).to_contain_text("paused until")
    one.refresh_from_db()
    assert one.is_paused
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#o-paused")).to_have_count(0)
    one.refresh_from_db()
    assert not one.is_paused


def test_no_page_of_the_card_is_wider_than_a_phone(open_page: Any, people: Any) -> None:
    one, _password = books.door("1С: Управління торгівлею підприємства «Кава та чай»")
    books.running_run(one, counts={"created": 12345, "updated": 67890, "unchanged": 3_000_000})
    books.finished_run(one, "needs_owner", "x" * 300)
    connections.pause(one, timezone.now() + timedelta(days=2), "дуже довга причина " * 8)
    models.Message.objects.create(connection=one, call="GET " + "x" * 400, status=500, answer="y" * 300, remote="2001:db8::1")
    page = open_page(people.owner, viewport=PHONE)
    for name in ("/", *(f"/store/connection/{one.pk}/{n}/" for n in ("change", "log", "schedule", "settings", "pause", "copy"))):
        page.goto(name)
        assert width(page) <= 360, name
