"""Makes the pictures of the user guide from a small invented shop: ``.venv/bin/python docs/user/pictures.py``.

Needs Chromium (OBMEN_CHROMIUM, default Debian's). Everything happens in a temporary data folder.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from pathlib import Path
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


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """The requests of a script that takes pictures interest nobody."""


def prepare(home: Path) -> dict[str, int]:
    os.environ |= {"OBMEN_HOME": str(home), "DJANGO_SETTINGS_MODULE": "obmen.settings", "DJANGO_ALLOW_ASYNC_UNSAFE": "true"}
    (home / "secret_key").write_text("only for pictures")
    (home / "keys").write_text("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n")
    sys.path[:0] = [str(ROOT / "tests" / "web"), str(ROOT / "src")]
    import django

    django.setup()
    import books
    from django.contrib.auth.models import Group
    from django.core.management import call_command

    from obmen.store import models

    call_command("migrate", verbosity=0)
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


def take(ids: dict[str, int]) -> list[Path]:
    import books
    from django.contrib.staticfiles.handlers import StaticFilesHandler
    from playwright.sync_api import sync_playwright

    from obmen.web.wsgi import application

    server = make_server("127.0.0.1", 0, StaticFilesHandler(application), handler_class=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address, made = f"http://127.0.0.1:{server.server_port}", []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("OBMEN_CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        for suffix, width, height in (("", 1280, 800), ("-phone", 360, 740)):
            page = browser.new_page(viewport={"width": width, "height": height}, locale="en-US")
            page.goto(address + "/login/")
            page.fill("#id_username", "admin")
            page.fill("#id_password", books.PASSWORD)
            page.click("#login-form button")
            for name, where in PAGES.items():
                if suffix and name not in ON_PHONE:
                    continue
                page.goto(address + where.format(**ids), wait_until="load")
                page.evaluate("document.fonts.ready")
                made.append(HERE / f"{name}{suffix}.png")
                page.screenshot(path=str(made[-1]))
        browser.close()
    server.shutdown()
    return made


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        pictures = take(prepare(Path(folder)))
    heavy = [p.name for p in pictures if p.stat().st_size > LIMIT]
    sys.exit(f"too big: {', '.join(heavy)}" if heavy else 0)
