"""How a test reads a page that may still be on its way: the machine may be busy, and the browser with it.

``expect`` waits for what is said of a page. What has to be read once (a width, the address of a file, the whole text) is read
when nothing on the page moves any more; a click that leads to another page stands in ``with page.expect_navigation()``, and
what the server wrote for it is in the books after that.
"""

from __future__ import annotations

from typing import Any

# Loaded, with its fonts, and nothing of htmx on its way; two frames later it is laid out as well.
STILL = """() => document.readyState === "complete" && document.fonts.status === "loaded"
    && !document.querySelector(".htmx-request, .htmx-swapping, .htmx-settling")"""
LAID_OUT = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"


def settled(page: Any) -> Any:
    """``page``, once nothing on it moves."""
    page.wait_for_load_state("load")
    page.evaluate(LAID_OUT)  # letters ask for their fonts when they are laid out
    page.wait_for_function(STILL)
    page.evaluate(LAID_OUT)
    return page


def width(page: Any) -> int:
    """How wide the page is, in pixels, with what stands out of the window."""
    return int(settled(page).evaluate("document.documentElement.scrollWidth"))


def fits(page: Any) -> bool:
    """Nothing stands out of the window sideways."""
    return bool(settled(page).evaluate("document.documentElement.scrollWidth <= window.innerWidth"))
