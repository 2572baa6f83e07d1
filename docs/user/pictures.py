"""Makes the pictures of the docs: ``make pictures``, or ``.venv/bin/python docs/user/pictures.py [guide|pages]``.

``guide``: those of the user guide, from a small invented shop. ``pages``: every page of a hub with the sandboxes' systems around it,
desktop and phone, light and dark, into docs/pictures/pages with a list in docs/pictures/README.md; its clock stands still and its
secrets are no secrets, so that a picture changes when its page does. Without a word: both.

Needs Chromium (OBMEN_CHROMIUM, default Debian's). Everything happens in temporary data folders.
"""

from __future__ import annotations

import base64
import contextlib
import os
import random
import re
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LIMIT = 150 * 1024
PAGES = {
    "overview": "/",
    "products": "/store/product/",
    "product": "/store/product/1/change/",
    "order": "/store/order/1/change/",
    "connection": "/store/connection/1/change/",
    "connection-add": "/store/connection/add/",
    "settings": "/store/connection/1/settings/",
    "mappings": "/store/connection/1/mappings/",
    "run": "/store/run/{run}/change/",
    "parked": "/store/parked/1/change/",
    "group": "/auth/group/{role}/change/",
}
ON_PHONE = ("overview", "product")
STEPS = ROOT / "docs" / "pictures"  # of docs/user/receive-from-moysklad.md, taken while the walk of the page test goes on
HEIGHTS = {"employee": 1030, "connection-address": 640}
HOST = "hub.example"

EVERY = STEPS / "pages"
LOOKS = {"": (1280, False), "-dark": (1280, True), "-phone": (360, False), "-phone-dark": (360, True)}
SCREENS = {1280: 800, 360: 740}
PORTS = 8660  # the sandboxes', which stand in the settings
NOON = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
QUALITY, HIGH, TOTAL = 30, 1.5, 12 * 1024 * 1024  # HIGH: screens at most


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """The requests of a script that takes pictures interest nobody."""


def begin(home: Path) -> None:
    """Django on an empty data folder."""
    os.environ |= {"OBMEN_HOME": str(home), "DJANGO_SETTINGS_MODULE": "obmen.settings", "DJANGO_ALLOW_ASYNC_UNSAFE": "true"}
    os.environ |= {"OBMEN_TIME_ZONE": "Europe/Kyiv", "OBMEN_LANGUAGE": "en"}
    os.environ.pop("OBMEN_DATABASE_URL", None)
    (home / "secret_key").write_text("only for pictures")
    (home / "keys").write_text("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n")
    sys.path[:0] = [str(ROOT / "tests" / "web"), str(ROOT / "tests"), str(ROOT / "src")]
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def prepare(home: Path) -> dict[str, int]:
    begin(home)
    import books
    from django.contrib.auth.models import Group

    from obmen.store import models

    books.people()
    one, _password = books.door()
    books.goods(one)
    books.states()
    for number, state in (("ІМ-1001", "new"), ("ІМ-1002", "paid"), ("ІМ-1003", "sent")):
        books.order(number, state=state)
    for day in range(12, 0, -1):
        for _run in range(day % 4 + 1):
            books.finished_run(one, ago=day, counts={"created": 3 * day, "unchanged": 97})
    books.parked(one)
    for theirs, name, ours, seen in (("N", "Новый", "new", 12), ("P", "Оплачен", "paid", 7), ("X", "На складе", "", 3)):
        models.Mapping.objects.create(
            connection=one, subject="order_state", theirs=theirs, theirs_name=name, ours=ours, seen_count=seen
        )
    run = books.running_run(one, percent=64, counts={"created": 640, "unchanged": 12_800, "parked": 1})
    return {"run": run.pk, "role": Group.objects.get(name="Integrations").pk}


@contextlib.contextmanager
def hub() -> Iterator[Callable[..., Any]]:
    """``page(width, height, user)``: a page of that size before the hub, of somebody who is signed in."""
    import books
    from django.contrib.staticfiles.handlers import StaticFilesHandler
    from playwright.sync_api import sync_playwright

    from obmen.web.wsgi import application

    server = make_server("127.0.0.1", 0, StaticFilesHandler(application), handler_class=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("OBMEN_CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox", f"--host-resolver-rules=MAP {HOST} 127.0.0.1:{server.server_port}"],
        )

        def page(width: int, height: int, user: str = "") -> Any:
            made = browser.new_page(viewport={"width": width, "height": height}, locale="en-US", base_url=f"http://{HOST}")
            made.set_default_timeout(120_000)
            if user:
                made.goto("/login/")
                made.fill("#id_username", user)
                made.fill("#id_password", books.PASSWORD)
                made.click("#login-form button")
                made.wait_for_load_state()
            return made

        yield page
        browser.close()
    server.shutdown()


# --- the guide -------------------------------------------------------------------------------------------------------------


def take(ids: dict[str, int]) -> list[Path]:
    made = []
    with hub() as visit:
        for suffix, width, height in (("", 1280, 780), ("-phone", 360, 740)):
            page = visit(width, height, "admin")
            for name, where in PAGES.items():
                if suffix and name not in ON_PHONE:
                    continue
                page.goto(where.format(**ids), wait_until="load")
                page.evaluate("document.fonts.ready")
                made.append(HERE / f"{name}{suffix}.png")
                page.screenshot(path=str(made[-1]))
        made += walk(visit(1100, 760))
    return made


def walk(page: Any) -> list[Path]:
    """The way of an owner who lets МойСклад in, step by step."""
    import books
    import getmeback

    made: list[Path] = []

    def shot(name: str) -> None:
        made.append(STEPS / f"moysklad-{name}.png")
        page.set_viewport_size({"width": 1100, "height": HEIGHTS.get(name, 760)})
        page.evaluate("document.fonts.ready")
        page.screenshot(path=str(made[-1]))

    STEPS.mkdir(exist_ok=True)
    page.goto("/login/")
    page.fill("#id_username", "owner")
    page.fill("#id_password", books.PASSWORD)
    page.click("#login-form button")
    for step in (getmeback.employee, getmeback.group, getmeback.member, getmeback.connection, getmeback.prices):
        step(page, shot)
    return made


# --- every page ------------------------------------------------------------------------------------------------------------


def stand_still() -> Callable[[], None]:
    """A clock of the hub that goes a second with each look at it, until what is returned is called: then it stands. Secrets by
    chance become secrets by rote. To be called before Django is set up."""
    from django.utils import timezone

    seconds, going = [0], [True]

    def now() -> datetime:
        seconds[0] += going[0]
        return NOON + timedelta(seconds=seconds[0] / 10)

    by_rote = random.Random(2026)  # noqa: S311
    timezone.now = now
    secrets.token_hex = lambda n=32: by_rote.randbytes(n).hex()
    secrets.token_urlsafe = lambda n=32: base64.urlsafe_b64encode(by_rote.randbytes(n)).rstrip(b"=").decode()
    secrets.choice = by_rote.choice
    return lambda: going.__setitem__(0, False)


def every(home: Path) -> list[Path]:
    stop = stand_still()
    begin(home)
    import books
    import filled
    from django.conf import settings

    settings.OBMEN_ALLOW_PRIVATE, settings.MEDIA_ROOT = True, home / "media"
    EVERY.mkdir(parents=True, exist_ok=True)
    for old in EVERY.glob("*.webp"):
        old.unlink()
    people, made = books.people(), []
    with hub() as visit:
        page, stranger = visit(1280, SCREENS[1280], "admin"), visit(1280, SCREENS[1280])
        made += look(page, "welcome", "/")
        found = filled.fill(home / "files", PORTS, people)
        stop()
        for name, address in found.before.items():
            made += look(stranger, name, address)
        for name, address in found.pages.items():
            made += look(page, name, address)
    listing({"welcome": "/"} | found.before | found.pages)
    return made


def look(page: Any, name: str, address: str) -> list[Path]:
    """The four looks of a page, each HIGH screens high at most."""
    made: list[Path] = []
    camera = page.context.new_cdp_session(page)
    page.set_viewport_size({"width": 1280, "height": SCREENS[1280]})
    page.goto(address, wait_until="load")
    if name == "api":
        page.wait_for_selector(".opblock")
    page.add_style_tag(
        content="*, *::before, *::after { transition: none !important; animation: none !important; caret-color: transparent; }"
    )
    page.evaluate("document.fonts.ready")
    for suffix, (width, dark) in LOOKS.items():
        page.set_viewport_size({"width": width, "height": SCREENS[width]})
        page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", dark)
        page.wait_for_timeout(100)
        height = min(page.evaluate("document.documentElement.scrollHeight"), int(SCREENS[width] * HIGH))
        page.set_viewport_size(
            {"width": width, "height": height}
        )  # what sticks to the bottom of the screen does so to the picture's
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        said = {"format": "webp", "quality": QUALITY, "clip": clip, "captureBeyondViewport": True}
        made.append(EVERY / f"{name}{suffix}.webp")
        made[-1].write_bytes(base64.b64decode(camera.send("Page.captureScreenshot", said)["data"]))
    camera.detach()
    return made


def listing(pages: dict[str, str]) -> None:
    rows = [
        "# Pictures of every page",
        "",
        "Made by `make pictures` from a hub with the sandboxes' systems around it; look at them after a change of the pages, and commit",
        "those that have become other ones. Each shows the first screens of its page.",
        "",
        "| page | address | desktop | phone |",
        "|---|---|---|---|",
    ]
    for name, address in pages.items():
        desktop, phone = (
            f"[light](pages/{name}{suffix}.webp) · [dark](pages/{name}{suffix}-dark.webp)" for suffix in ("", "-phone")
        )
        rows.append(f"| {name} | `{re.sub(r'(?<=/)[0-9]+(?=/)', 'N', address)}` | {desktop} | {phone} |")
    rows += ["", "`moysklad-*.png` belong to [receiving from МойСклад](../user/receive-from-moysklad.md).", ""]
    (STEPS / "README.md").write_text("\n".join(rows), "utf-8")


def main(what: str) -> str:
    """What is wrong with the pictures, "" when nothing is."""
    with tempfile.TemporaryDirectory() as folder:
        if what == "guide":
            pictures = take(prepare(Path(folder)))
            heavy = [p.name for p in pictures if p.stat().st_size > LIMIT]
            return f"too big: {', '.join(heavy)}" if heavy else ""
        size = sum(p.stat().st_size for p in every(Path(folder)))
        return f"all pictures together have {size} bytes, which is more than {TOTAL}" if size > TOTAL else ""


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(main(sys.argv[1]) or 0)
    for part in ("guide", "pages"):  # a process each: Django is set up once
        subprocess.run([sys.executable, __file__, part], check=True)
