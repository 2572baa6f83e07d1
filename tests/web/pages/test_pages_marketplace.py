"""A marketplace's connection set up in a browser from an empty hub, field by field of seed 000, with the stand-in of Prom on a socket."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import books
import pytest
from playwright.sync_api import expect

from obmen.core.records import Subject
from obmen.sandbox.prom import Prom, serve
from obmen.store import connections, models
from obmen.work import run as runs

pytestmark = [pytest.mark.page, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def there(tmp_path: Path, settings: Any) -> Iterator[Prom]:
    settings.OBMEN_ALLOW_PRIVATE, settings.OBMEN_HOME, settings.MEDIA_ROOT = True, tmp_path, tmp_path
    prom = Prom()
    prom.add_product("КВ-250", 189, 9, external_id="x-1", sku="КВ-250")
    with serve(prom) as server:
        prom.url = server.url  # type: ignore[attr-defined]
        yield prom


def picture(page: Any, name: str) -> None:
    """Kept where OBMEN_SCREENSHOTS says, to be looked at."""
    if folder := os.environ.get("OBMEN_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def press_save(page: Any) -> None:
    with page.expect_navigation():
        page.locator("#o-part .o-save button").click()


def save(page: Any) -> None:
    press_save(page)
    expect(page.locator("body")).to_contain_text("The settings are saved.")


def tab(page: Any, one: models.Connection, name: str) -> None:
    page.goto(f"/store/connection/{one.pk}/tab/{name}/")


def tabs(page: Any) -> list[str]:
    """Their titles, without what is said beside them."""
    return [str(t) for t in page.locator("nav.o-tabs a").evaluate_all("all => all.map(a => a.firstChild.textContent.trim())")]


def test_a_marketplace_is_set_up_by_clicks_and_brings_its_first_order(open_page: Any, there: Prom) -> None:
    """F2, F3, F8–F27."""
    people = books.people()
    page = open_page(people.owner)

    # F2, F3: one connection for each shop; F8: of the fields of all marketplaces this one shows those that it uses.
    page.goto("/")
    page.goto("/store/connection/add/")
    page.check('input[value="prom:prom_ua"]')
    page.fill("#id_name", "Prom, магазин")
    with page.expect_navigation():
        page.get_by_role("button", name="Add").last.click()
    one = models.Connection.objects.get()
    assert (one.connector, one.enabled) == ("prom", False)  # until its set-up is finished
    tab(page, one, "main")
    expect(page.locator("#o-gated")).to_be_visible()
    expect(page.locator('[name="s-password"], [name="s-login"], [name="s-key"]')).to_have_count(0)
    expect(page.locator('[name="s-token"]')).to_have_value("")  # write-only
    assert "Orders" not in tabs(page)
    page.fill('[name="s-token"]', "sandbox-token")
    page.fill('[name="s-address"]', there.url)  # type: ignore[attr-defined]
    page.fill('[name="s-pace"]', "1000")
    press_save(page)
    expect(page.locator("#o-gated")).to_have_count(0)  # what is saved is checked at once

    # F9: flags and tables are proposed, shown first, and opened tabs hold them.
    books.goods(books.connection("1C"))
    models.Reference.objects.create(subject=Subject.ORDER_STATE, key="fresh", name="Нове")
    page.goto(f"/store/connection/{one.pk}/defaults/")
    expect(page.locator("body")).to_contain_text("Everything is as the format proposes.")
    assert {"Products", "Orders", "Counterparties", "Search"} <= set(tabs(page))
    assert set(one.streams.filter(enabled=True).values_list("stream", flat=True)) == {
        "orders-in", "products-in", "statuses-out", "offers-out",
    }  # fmt: skip

    # F10–F17 on the tab of goods.
    tab(page, one, "products")
    page.uncheck('[name="s-only_changed"]', force=True)  # F11
    page.check('[name="s-send_stock"]', force=True)  # F13
    page.fill('[name="s-site_id"]', "")  # F14: it has to be there
    press_save(page)
    expect(page.locator("body")).to_contain_text("Name the attribute of goods that holds the id of the site")
    page.fill('[name="s-site_id"]', "ID Prom")
    page.fill('[name="s-new_category"]', "Товари Prom")  # F15
    page.locator('[name="s-new_group"]').fill("Prom")
    page.locator('[name="s-price_kind"]').fill("Роздрібна")  # F16
    expect(page.locator('[name="s-attributes-theirs"]').first).to_be_visible()  # F17
    picture(page, "market-products-1280")
    save(page)
    said = connections.settings_of(models.Connection.objects.get(pk=one.pk))
    assert (said.only_changed, said.send_stock, said.site_id, said.new_category, said.new_group, said.price_kind) == (
        False, True, "ID Prom", "Товари Prom", "Prom", "p-1",
    )  # fmt: skip

    # F20, F21 on the tab of orders: ways of delivery of the account, statuses with both flags on each row.
    tab(page, one, "orders")
    deliveries = page.locator('[data-table^="delivery"]')
    page.get_by_role("tab", name="Delivery").click()
    with page.expect_navigation():
        deliveries.get_by_role("button", name="Load from the other system").click()
    expect(page.locator('[data-table^="delivery"] [data-row]').first).to_be_attached()
    page.get_by_role("tab", name="Statuses").click()
    row = page.locator('[data-table^="order_state"] [data-row]', has=page.locator('[data-code][value="pending"]'))
    row.locator("[data-ours]").fill("Нове")
    picture(page, "market-orders-1280")
    press_save(page)
    pending = one.mappings.get(subject="order_state", theirs="pending")
    assert (pending.ours, pending.taken, pending.inbound, pending.outbound) == ("fresh", True, True, False)

    # F22–F25 on the tab of counterparties.
    tab(page, one, "counterparties")
    page.check('[name="s-create_buyers"]', force=True)
    page.fill('[name="s-buyers_group"]', "Покупці Prom")
    expect(page.locator('[name="s-buyer_properties-ours"]').first).to_be_visible()
    picture(page, "market-counterparties-1280")
    save(page)

    # F26: attributes with priority.
    tab(page, one, "search")
    picture(page, "market-search-1280")
    assert list(one.match_rules.order_by("kind", "priority").values_list("kind", "attribute")) == [
        ("counterparty", "phone"), ("counterparty", "email"), ("product", "article"),
    ]  # fmt: skip

    # F12, F18, F19, F27: each stream is switched and planned for itself.
    page.goto(f"/store/connection/{one.pk}/schedule/")
    stream = one.streams.get(stream="orders-in")
    page.fill(f'[name="s{stream.pk}-schedule"]', "every 5 min")
    picture(page, "market-schedule-1280")
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()
    stream.refresh_from_db()
    assert stream.schedule == "every 5 min"

    page.goto(f"/store/connection/{one.pk}/change/")
    page.get_by_role("button", name="Switch on").click()
    expect(page.locator("body")).to_contain_text("Switched on.")

    # An order comes, with its buyer in the group of the settings.
    there.buy([("x-1", 2)])
    page.goto(f"/manual/{one.pk}/")
    page.fill('#o-orders input[name="moment"]', "2026-01-01T10:00")
    with page.expect_navigation():
        page.locator("[data-orders-from] button:not([name])").click()
    run = runs.execute_here(models.Run.objects.get(state="waiting"))
    assert run.state == "done", (run.text, run.facts)
    assert models.Order.objects.get().state == "fresh"
    assert ["Группа", "Покупці Prom"] in models.Counterparty.objects.get().requisites
