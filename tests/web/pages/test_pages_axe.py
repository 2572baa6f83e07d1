"""No page shuts anybody out: nothing that axe calls serious, in light and in dark, on a desktop and on a phone of 360 px; nothing
stands out of a phone; everything can be reached by Tab, and one sees where one is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import books
import filled
import pytest
from axe_playwright_python.sync_playwright import Axe

pytestmark = [pytest.mark.page, pytest.mark.long, pytest.mark.django_db(transaction=True)]
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
RULES = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]},
}
COLOURS = {"resultTypes": ["violations"], "runOnly": {"type": "rule", "values": ["color-contrast"]}}
# The colours that a page takes on are looked at, not those on the way to them.
STILL = "*, *::before, *::after { transition: none !important; animation: none !important; }"
OUT = """() => {
  if (document.documentElement.scrollWidth <= document.documentElement.clientWidth) return [];
  const wide = document.documentElement.clientWidth;
  return [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > wide + 1 && e.checkVisibility())
    .slice(0, 4).map(e => e.outerHTML.slice(0, 160));
}"""


@pytest.fixture
def hub(settings: Any, tmp_path: Path) -> filled.Filled:
    settings.MEDIA_ROOT, settings.OBMEN_HOME, settings.OBMEN_ALLOW_PRIVATE = tmp_path / "media", tmp_path, True
    return filled.fill(tmp_path / "files")


def serious(page: Any, options: dict[str, Any] = RULES) -> set[str]:
    """What axe finds, with the beginning of one element each."""
    found = page.evaluate("options => axe.run(options)", options)["violations"]
    return {
        f"{v['id']}: {node['html'][:150]} {node['any'][0]['message'] if v['id'] == 'color-contrast' else ''}"
        for v in found
        if v["impact"] in ("serious", "critical")
        for node in v["nodes"][:3]
    }


def dark(page: Any, on: bool) -> None:
    page.evaluate("on => document.documentElement.classList.toggle('dark', on)", on)


def faults(page: Any, addresses: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """{page: what is wrong with it}."""
    found: dict[str, set[str]] = {}
    script = Axe().axe_script
    for name, address in addresses:
        page.set_viewport_size(DESKTOP)
        page.goto(address)
        if name == "api":
            page.wait_for_selector(".opblock")
        page.add_style_tag(content=STILL)
        page.evaluate(script)
        dark(page, False)
        wrong = serious(page)
        dark(page, True)
        wrong |= serious(page, COLOURS)
        page.set_viewport_size(PHONE)
        wrong |= {f"stands out: {element}" for element in page.evaluate(OUT)}
        wrong |= serious(page)
        dark(page, False)
        wrong |= serious(page, COLOURS)
        # The viewer of the API's description, which is not ours, has a button within what opens.
        wrong = {fault for fault in wrong if not (name == "api" and fault.startswith("nested-interactive"))}
        if wrong:
            found[name] = wrong
    return found


FOCUSED = """() => {
  const e = document.activeElement, again = window.lastMet === e;  // a date takes several presses
  window.lastMet = e;
  if (again) return [];
  if (e.dataset.met) return null;
  e.dataset.met = "1";
  const style = getComputedStyle(e);
  const seen = e === document.body || style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1 && e.checkVisibility();
  return seen ? [] : [e.outerHTML.slice(0, 120)];
}"""
# What a mouse can use, as the page is shown. A name in the list of a choice is its label; of one choice only one button is met.
LEFT = r"""() => [...document.querySelectorAll(
    "a[href], button:not([disabled]), input:not([type=hidden]):not([disabled]), select:not([disabled]), textarea, summary, [x-on\\:click]")]
  .filter(e => e.checkVisibility({visibilityProperty: true}) && !e.dataset.met && !e.closest("label, [tabindex='-1']")
    && !(e.type === "radio" && document.querySelector(`[name="${e.name}"][data-met]`)))
  .map(e => e.outerHTML.slice(0, 120))"""
SAMPLE = ("overview", "door", "prom-orders", "crm-statuses", "parked", "preview", "order", "products", "person")


def unreachable(page: Any) -> tuple[list[str], list[str]]:
    """(what has the focus and does not show it, what Tab does not come to) of the page that is open."""
    unseen: list[str] = []
    for _press in range(800):
        page.keyboard.press("Tab")
        found = page.evaluate(FOCUSED)
        if found is None:
            break
        unseen += found
    return unseen, page.evaluate(LEFT)


def test_everything_is_reached_by_tab_and_one_sees_where_one_is(hub: filled.Filled, open_page: Any) -> None:
    page = open_page(hub.people.admin)
    found = {}
    for name in SAMPLE:
        page.goto(hub.pages[name])
        wrong = unreachable(page)
        if wrong != ([], []):
            found[name] = wrong
    assert found == {}


def test_no_page_shuts_anybody_out(settings: Any, tmp_path: Path, open_page: Any) -> None:
    settings.MEDIA_ROOT, settings.OBMEN_HOME, settings.OBMEN_ALLOW_PRIVATE = tmp_path / "media", tmp_path, True
    people = books.people()
    page = open_page(people.admin)
    found = faults(page, [("welcome", "/")])
    hub = filled.fill(tmp_path / "files", people=people)
    found |= faults(open_page(), hub.before.items()) | faults(page, hub.pages.items())
    assert found == {}
