"""A real browser for the page tests. OBMEN_CHROMIUM names another one than Debian's."""

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


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any) -> None:
    from books import FAST_HASH

    settings.PASSWORD_HASHERS = FAST_HASH


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"NO PAGE IS TESTED: there is no Chromium at {CHROMIUM} (set OBMEN_CHROMIUM)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
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
        page = context.new_page()
        page.set_default_timeout(10_000)
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
