"""An order's card in a real browser: its time line, hold and release, sending again, and the search over everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import books
import pytest
from playwright.sync_api import expect
from waiting import settled

import caller
from caller import order
from obmen.core.records import Subject
from obmen.store import connections, mappings, models
from obmen.store.doors import DjangoDoorHost
from obmen.store.mappings import MappingRow
from obmen.work import jobs
from obmen.work import run as runs

pytestmark = [pytest.mark.page, pytest.mark.django_db(transaction=True)]
PHONE = {"width": 360, "height": 740}


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An order that came from the shop and was confirmed by 1C."""
    world = caller.install(monkeypatch)
    people = books.people()
    books.states()
    one, _password = connections.create("caller", "Shop", settings={"address": "shop", "api_key": "k"})
    mappings.save(one, Subject.ORDER_STATE, "in", [MappingRow("new", ours="new"), MappingRow("done", ours="sent")])
    mappings.save(one, Subject.ORDER_STATE, "out", [MappingRow("done", ours="sent")])
    door, _password = books.door("1C")
    world.change(order("138"))
    runs.execute_here(jobs.ask(one, ["orders-in"], trigger="person"))
    host = DjangoDoorHost(door, connections.settings_of(door), jobs.ask)
    session = host.open_session("clerk", {})
    host.offer(session, [(p.record_id, p.revision) for p in host.pending_orders()])
    host.confirm(session)
    return type("Shop", (), {"people": people, "one": one, "world": world, "order": models.Order.objects.get(key="138")})


def lines(page: Any) -> Any:
    return page.locator(".o-event > div > div:first-child")


def test_an_operator_holds_an_order_changes_it_releases_it_and_sends_it_again(shop: Any, open_page: Callable[..., Any]) -> None:
    page = open_page(shop.people.operator)
    page.goto(f"/store/order/{shop.order.pk}/change/")
    expect(lines(page).last).to_have_text("Came from Shop")
    page.click("text=oldest first")
    expect(lines(page)).to_have_text(["Came from Shop", "Offered to 1C", "1C confirmed it"])

    page.click("text=Put this order on hold")
    page.get_by_label("Why?").fill("the buyer thinks")
    page.click("button:has-text('Put on hold')")
    page.wait_for_selector("text=This order is on hold: nothing of it is sent to anybody.")
    page.get_by_label("State").select_option("sent")
    page.get_by_label("Tracking number").fill("20450000000001")
    page.click("#change button:has-text('Save')")
    page.wait_for_selector("text=nobody is told until it is released")
    expect(page.locator("#systems .o-mark:has-text('held back')")).to_have_count(2)
    page.click("button:has-text('Release and send what waits')")
    page.wait_for_selector("text=It is being sent to: Shop.")
    runs.execute_here(models.Run.objects.get(state="waiting"))
    assert shop.world.orders["138"].state == "done"

    page.reload()
    expect(lines(page).first).to_have_text("Sent to Shop")
    page.locator("#sending").get_by_label("Shop").check()
    page.click("#sending button:has-text('Send again')")
    page.wait_for_selector("text=Send order 138C again to: Shop?")
    page.click("button:has-text('Send again')")
    page.wait_for_selector("text=It is being sent to: Shop.")
    runs.execute_here(models.Run.objects.get(state="waiting"))
    assert shop.world.calls.count("write 138 unsure=False") == 2


def test_on_a_phone_the_card_and_the_search_stay_within_the_screen(shop: Any, open_page: Callable[..., Any]) -> None:
    page = open_page(shop.people.operator, viewport=PHONE)
    run = models.Run.objects.get()
    for address in (
        f"/store/order/{shop.order.pk}/change/",
        "/seek/?q=138",
        f"/store/run/charts/?connection={run.connection_id}",
    ):
        page.goto(address)
        wide = settled(page).evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, address
    page.goto("/seek/")
    page.get_by_label("Number, id or words").fill("138")
    page.keyboard.press("Enter")
    page.click("text=Order 138C")
    page.wait_for_url(f"**/store/order/{shop.order.pk}/change/")
