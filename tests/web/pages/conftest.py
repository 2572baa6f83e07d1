"""A real browser for the page tests. OBMEN_CHROMIUM names another one than Debian's.

OBMEN_SLOW_PAGES=6 makes every page six times slower: a test that guesses how long a page takes is found out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
# Playwright keeps an event loop in this thread; Django would then refuse the database to the test itself.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

CHROMIUM = os.environ.get("OBMEN_CHROMIUM", "/usr/bin/chromium")
DESKTOP = {"width": 1280, "height": 800}
SLOWER = float(os.environ.get("OBMEN_SLOW_PAGES", "1"))
# A page that a click led to is there before its scripts are; nothing is done on it until it says that it is loaded.
SAYS_LOADED = "addEventListener('load', () => document.documentElement.setAttribute('data-loaded', ''))"
NOT_LOADED = "html:not([data-loaded])"


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any) -> None:
    from books import FAST_HASH

    settings.PASSWORD_HASHERS = FAST_HASH


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"NO PAGE IS TESTED: there is no Chromium at {CHROMIUM} (set OBMEN_CHROMIUM)")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=15_000)  # a busy machine is slow, not wrong
    with sync_playwright() as playwright:
        # A container's /dev/shm is small, and a browser that has filled it up crashes.
        args = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=args, timeout=180_000)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any, live_server: Any) -> Iterator[Callable[..., Any]]:
    """``open_page(user)`` → a page of a new visitor, signed in. Afterwards: no error in a script, nothing asked of others."""
    from books import PASSWORD

    contexts, complaints = [], []

    def watch(page: Any) -> None:
        page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
        page.on("request", lambda r: r.url.startswith((live_server.url, "data:", "blob:")) or complaints.append(f"asks {r.url}"))
        page.on("response", lambda r: r.status >= 500 and complaints.append(f"{r.status} {r.url}"))

    def make(user: Any = None, viewport: dict[str, int] = DESKTOP, locale: str = "en-US") -> Any:
        context = chromium.new_context(viewport=viewport, locale=locale, base_url=live_server.url)
        contexts.append(context)
        context.add_init_script(SAYS_LOADED)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.add_locator_handler(page.locator(NOT_LOADED), lambda: None)  # before each deed; it waits until there is no such page
        if SLOWER > 1:
            context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
        watch(page)
        if user is not None:
            page.goto("/login/")
            page.fill("#id_username", user.username)
            page.fill("#id_password", PASSWORD)
            page.click("#login-form button")
            page.wait_for_url(live_server.url + "/")
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []
