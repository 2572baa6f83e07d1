"""The page “Manual exchange”, the choice between two cards, and the look at one product, as a person uses them in a browser."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import books
import pytest
from django.utils import timezone
from playwright.sync_api import expect
from waiting import fits

import caller
from caller import order
from obmen.core.records import Counterparty, Subject
from obmen.store import connections, mappings, models, picks
from obmen.store.mappings import MappingRow
from obmen.store.orders import save_counterparty
from obmen.work import jobs
from obmen.work import run as runs

PHONE = {"width": 360, "height": 740}
pytestmark = [pytest.mark.page, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Any) -> Any:
    settings.MEDIA_ROOT = tmp_path
    world = caller.install(monkeypatch)
    people = books.people()
    one, _password = connections.create("caller", "Наш магазин", settings={"address": "shop", "api_key": "k"})
    mappings.save(one, Subject.ORDER_STATE, "in", [MappingRow("new", ours="Accepted")])
    door, _password = books.door()
    return type("Shop", (), {"people": people, "one": one, "world": world, "products": books.goods(door)})


def picture(page: Any, name: str) -> None:
    """Kept where OBMEN_SCREENSHOTS says, to be looked at."""
    if folder := os.environ.get("OBMEN_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def finish() -> models.Run:
    return runs.execute_here(models.Run.objects.get(state="waiting"))


def test_goods_are_found_pasted_sent_and_each_result_is_seen_as_it_comes(open_page: Any, shop: Any) -> None:
    """F28, F30."""
    page = open_page(shop.people.operator)
    page.goto("/")
    page.get_by_role("link", name="Manual exchange").first.click()
    expect(page.locator("nav.o-tabs .o-on")).to_have_text("Наш магазин")
    page.fill('#o-find input[name="q"]', "чай")
    page.locator("#o-find").get_by_role("button", name="Find").click()
    page.get_by_label("Чай зелений з жасмином 90 г").check()
    page.locator("#o-found").get_by_role("button", name="Add the marked ones").click()
    expect(page.locator("#o-picked-count")).to_have_text("1")
    expect(page.locator("#o-found")).to_be_visible()
    page.fill("#o-paste textarea", "КВ-250\nФБ-01\nнемає")
    page.locator("#o-paste").get_by_role("button", name="Add to the list").click()
    expect(page.locator("#o-missing")).to_have_text("немає")
    expect(page.locator("#o-picked-count")).to_have_text("3")
    picture(page, "manual-1280")
    page.locator("#o-picked tr", has_text="Футболка").get_by_role("button", name="Remove").click()
    expect(page.locator("#o-picked-count")).to_have_text("2")
    page.get_by_role("button", name="Send just these").click()
    expect(page.locator("#o-run #o-state")).to_have_text("waiting")
    run = finish()
    expect(page.locator("#o-run #o-state")).to_have_text("done")
    expect(page.locator("#o-results tbody tr")).to_have_count(2)
    expect(page.locator("#o-results")).to_contain_text("sent")
    page.locator("#o-results summary").first.click()
    expect(page.locator("#o-results pre").first).to_contain_text("quantity")
    picture(page, "manual-result-1280")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all").click()
    assert download.value.suggested_filename == f"run-{run.pk}.csv"
    page.locator("#o-run-link").click()
    expect(page.locator("#o-results tbody tr")).to_have_count(2)


def test_orders_from_a_date_are_loaded_and_a_run_is_stopped_on_a_phone(open_page: Any, shop: Any) -> None:
    """F29, F32."""
    shop.world.from_moment = 0
    shop.world.change(order("138"))
    page = open_page(shop.people.operator, viewport=PHONE)
    picks.add(shop.one, "operator", [p.pk for p in shop.products])
    page.goto(f"/manual/{shop.one.pk}/")
    assert fits(page)
    picture(page, "manual-360")
    page.fill('#o-orders input[name="moment"]', "2026-11-01T10:00")
    page.locator("[data-orders-from] button:not([name])").click()
    expect(page.locator("#o-run #o-state")).to_have_text("waiting")
    finish()
    expect(page.locator("#o-results")).to_contain_text("138C")
    assert fits(page)
    picture(page, "manual-result-360")
    page.get_by_role("button", name="Load what is new since the last time").click()
    page.locator("#o-run").get_by_role("button", name="Stop").click()
    expect(page.locator("#o-run #o-state")).to_have_text("stopped")
    expect(page).to_have_url(re.compile(rf"/manual/{shop.one.pk}/(\?|$)"))


def test_which_of_two_cards_it_is_is_said_with_one_click(open_page: Any, shop: Any) -> None:
    """F26: two candidates."""
    cards = [
        save_counterparty(Counterparty(key, name, phone="+380501112233"), None, timezone.now())
        for key, name in (("c1", "Ганна Тест"), ("c2", "Анна Тестова"))
    ]
    shop.world.change(order("138"))
    runs.execute_here(jobs.ask(shop.one, ["orders-in"], trigger="person"))
    parked = shop.one.parked.get()
    for viewport in (PHONE, None):
        page = open_page(shop.people.operator, **({"viewport": viewport} if viewport else {}))
        page.goto(f"/store/parked/{parked.pk}/change/")
        expect(page.locator("[data-candidate]")).to_have_count(2)
        assert fits(page)
        picture(page, f"candidates-{page.viewport_size['width']}")
    page.locator(f'[data-candidate="{cards[1].pk}"]').get_by_role("button", name="It is this one").click()
    expect(page.locator("#o-state")).to_have_text("waiting")
    finish()
    expect(page.locator("#o-state")).to_have_text("done")
    assert (shop.one.parked.count(), models.Order.objects.get().counterparty_id) == (0, cards[1].pk)


def test_a_product_is_looked_at_while_the_table_of_attributes_is_being_filled_in(open_page: Any, shop: Any) -> None:
    """F17: with rows that nobody has saved."""
    rows = {"rows": [{"theirs": "name", "ours": "name"}]}
    prom, _password = connections.create(
        "prom", "Prom", settings={"token": "t", "price_kind": "p-1", "attributes": json.dumps(rows)}
    )
    models.Connection.objects.filter(pk=prom.pk).update(checked=timezone.now())
    page = open_page(shop.people.owner)
    page.goto(f"/store/connection/{prom.pk}/tab/products/")
    page.click("#o-look-product")
    page.keyboard.type("кава мелена")
    page.locator(".o-options > div", has_text="КВ-250").click()
    looked = page.locator("#o-looked")
    expect(looked).to_contain_text("Кава мелена «Ранкова» 250 г")
    expect(looked).to_contain_text("189.5")
    theirs, value = (page.locator(f'[name="s-attributes-{name}"]').nth(1) for name in ("theirs", "value"))
    theirs.fill("Бренд")
    value.fill("Ранок {article}")
    expect(looked).to_contain_text("Ранок КВ-250")
    theirs.fill("name")
    expect(looked.locator(".o-note.danger")).to_contain_text("“name” stands in row 1 already")
    theirs.fill("Бренд")
    expect(looked).to_contain_text("Ранок КВ-250")
    picture(page, "look-1280")
    assert json.loads(connections.settings_of(prom).attributes) == rows
    page.locator("#o-part .o-save button").click()
    expect(page.locator("body")).to_contain_text("The settings are saved.")
    page.goto(f"/store/connection/{prom.pk}/tab/search/")
    page.locator('[name="rules-counterparty-0-attribute"]').wait_for()
    picture(page, "search-1280")
    page.set_viewport_size(PHONE)
    assert fits(page)
    picture(page, "search-360")
    page.goto(f"/store/connection/{prom.pk}/tab/products/")
    page.fill("#o-look-product", "Футболка бавовняна [ФБ-01]")
    page.keyboard.press("Tab")
    expect(page.locator("[data-looked]")).to_have_count(2)
    assert fits(page)
    picture(page, "look-360")
