"""A person looks at what a load would change, skips some of it and has the rest done, in a real browser."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import books
import pytest
from playwright.sync_api import expect
from waiting import width

from obmen.store import connections, models
from obmen.work import jobs
from obmen.work import run as runs
from store.cml import catalogue, offer, offers, product, put

pytestmark = [pytest.mark.page, pytest.mark.django_db(transaction=True)]


def work() -> models.Run:
    """What a worker does with what the page has just asked for."""
    return runs.execute_here(models.Run.objects.get(state="waiting"))


@pytest.fixture
def node(tmp_path: Path) -> models.Connection:
    made, _password = books.door()
    connections.set_guard(made, "products-in", 50)
    first = catalogue(*(product(f"p{i}", f"Стілець № {i}") for i in range(70)))
    assert runs.load_folder(made, put(tmp_path, import0_1=first)).state == "done"
    return made


def test_a_mass_change_is_stopped_looked_at_partly_skipped_and_done(
    node: models.Connection, open_page: Callable[..., Any], tmp_path: Path
) -> None:
    operator = books.people().operator
    more = f"<Описание>{'Зручний дубовий стілець. ' * 12}</Описание>"
    files = put(
        tmp_path,
        import0_1=catalogue(
            *(
                product(f"p{i}", f"Крісло № {i}", more=more if i == 1 else "<Статус>Удален</Статус>" if i == 2 else "")
                for i in range(70)
            ),
            product("p99", "Лава садова", "ЛС-1"),
        ),
        offers0_1=offers(offer("p1", "Крісло № 1", prices=[("retail", "1250.5")], stock=[("main", "4")])),
    )
    stopped = runs.load_folder(node, files)
    assert stopped.state == "needs_owner"

    page = open_page(operator)
    page.goto(f"/store/run/{stopped.pk}/change/")
    expect(page.locator("#o-text")).to_contain_text("70 of 70 records (product) would change")
    shoot(page, "stopped")
    with page.expect_navigation():
        page.click("#o-guarded #o-look")
    page.wait_for_selector("#o-state")
    assert work().state == "done"
    page.click("#o-see")
    expect(page.locator("#o-differences")).to_contain_text("Крісло № 1")
    shoot(page, "differences")
    narrow = open_page(operator, {"width": 360, "height": 740})
    narrow.goto(page.url)
    assert width(narrow) <= 360, "nothing stands out of a phone"
    shoot(narrow, "differences-phone")

    page.fill("#o-choose [name=q]", "№ 1")
    page.click("#o-choose button")
    page.wait_for_url("**q=*")
    page.check("#o-tick-all")
    with page.expect_navigation():
        page.click("button[name=skip]")
    skipped = models.RunResult.objects.filter(skipped=True).count()
    assert skipped > 10
    expect(page.locator(".o-diff.o-out")).to_have_count(skipped)
    page.click("#o-do")
    page.wait_for_selector("text=accepted,")
    shoot(page, "question")
    with page.expect_navigation():
        page.click(".o-main:has-text('Do it')")
    page.wait_for_url(f"**/store/run/{models.Run.objects.latest('id').pk}/change/")
    done = work()
    page.wait_for_selector("#o-text:has-text('skipped by operator')")
    shoot(page, "done")
    assert (done.state, done.counts["skipped"]) == ("done", skipped)
    assert not models.Product.objects.filter(name="Крісло № 1").exists()
    assert models.Product.objects.get(key="p5").name == "Крісло № 5"
    assert models.Product.objects.filter(name="Лава садова").exists()
    assert jobs.State.WAITING not in models.Run.objects.values_list("state", flat=True)


def shoot(page: Any, name: str) -> None:
    """A picture for who looks at the pages, where OBMEN_PICTURES names a folder."""
    folder = os.environ.get("OBMEN_PICTURES")
    if folder:
        page.screenshot(path=f"{folder}/decide-{name}.png")
        if name == "differences":
            page.emulate_media(color_scheme="dark")
            page.evaluate("document.documentElement.classList.add('dark')")
            page.screenshot(path=f"{folder}/decide-{name}-dark.png")
            page.evaluate("document.documentElement.classList.remove('dark')")
            page.emulate_media(color_scheme="light")
