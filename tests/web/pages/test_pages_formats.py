"""The page “Exchange formats” in a browser: F4–F7, trust, what is new, refusals, removal, and who may open it."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import books
import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from playwright.sync_api import expect

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "licence"))
import publisher
from waiting import settled, width

from obmen import registry
from obmen.licence import packages, signing, statement
from obmen.store import connections, models

PHONE = {"width": 360, "height": 740}
PAGE = "/store/formatpackage/"
pytestmark = [pytest.mark.page, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def people(settings: Any, tmp_path: Path) -> Any:
    settings.MEDIA_ROOT = tmp_path / "media"
    packages.look_again()
    yield books.people()
    packages.look_again()


def saved(at: Path, name: str, data: bytes) -> Path:
    file = at / name
    file.write_bytes(data)
    return file


def key(left: int = 100, **terms: Any) -> str:
    until = timezone.localdate() + timedelta(days=left)
    return statement.issue(publisher.KEY, statement.Terms(**{"format": "toyshop", "login": "ann", "until": until} | terms))


def upload(page: Any, file: Path) -> None:
    page.set_input_files("#o-package", str(file))
    page.click("#o-upload button")


def picture(page: Any, name: str) -> None:
    """Kept where OBMEN_SCREENSHOTS says, to be looked at."""
    if folder := os.environ.get("OBMEN_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_a_format_is_trusted_uploaded_licensed_renewed_and_removed(open_page: Any, people: Any, tmp_path: Path) -> None:
    """F4, F6, F7."""
    page = open_page(people.owner)
    page.goto("/")
    page.get_by_role("link", name="Exchange formats").first.click()
    expect(page.locator("body")).to_contain_text("No format has been added")
    first = saved(tmp_path, "1.obmen", publisher.made(tmp_path / "1", licence=True, news={"en": "The beginning"}))
    upload(page, first)
    expect(page.locator("body")).to_contain_text("signed by a publisher who is not trusted here. Fingerprint of the key:")
    assert not models.FormatPackage.objects.exists()

    page.set_input_files("#o-trust input[type=file]", str(saved(tmp_path, "toy.pub", publisher.LINE.encode())))
    page.click("#o-trust button")
    expect(page.locator("#o-fingerprint")).to_have_text(signing.spaced(signing.fingerprint(publisher.PUBLIC)))
    assert not models.Publisher.objects.exists()
    page.get_by_role("button", name="trust this publisher").click()
    expect(page.locator("[data-publisher]")).to_contain_text("Toy makers")
    upload(page, first)
    card = page.locator('[data-format="toyshop"]')
    expect(card).to_contain_text("signed, trusted")
    expect(card).to_contain_text("The beginning")
    expect(card.locator("[data-licence]")).to_contain_text("Enter the login and the key")
    one, _password = connections.create("toyshop", "Toys")

    card.get_by_label("login").fill("ann")
    card.get_by_label("licence key").fill("nonsense")
    card.get_by_role("button", name="Check licence").click()
    expect(page.locator("[data-licence]")).to_contain_text("This is no licence key")
    card.get_by_label("licence key").fill(key(connections=1))
    card.get_by_role("button", name="Check licence").click()
    expect(page.locator("[data-licence]")).to_contain_text("connections at most: 1. Used by: Toys")
    assert key(connections=1) not in settled(page).content()
    picture(page, "formats-1280")
    card.get_by_label("licence key").fill(key(3))
    card.get_by_role("button", name="Check licence").click()
    expect(page.locator("[data-licence]")).to_contain_text("ends on")

    upload(page, saved(tmp_path, "0.obmen", publisher.made(tmp_path / "0", version="0.5")))
    expect(page.locator("body")).to_contain_text("The package is older (0.5) than the one that is installed (1.0)")
    upload(page, saved(tmp_path, "2.obmen", publisher.made(tmp_path / "2", version="1.1", licence=True, news={"en": "Faster"})))
    expect(page.locator('[data-format="toyshop"]')).to_contain_text("Faster")
    assert models.FormatPackage.objects.get().licence["login"] == "ann"

    page.locator('[data-format="toyshop"]').get_by_role("link", name="Remove").click()
    expect(page.locator("body")).to_contain_text("These connections stop until it is installed again: Toys.")
    page.get_by_role("link", name="Cancel").click()
    assert models.FormatPackage.objects.exists()
    page.locator('[data-format="toyshop"]').get_by_role("link", name="Remove").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("body")).to_contain_text("No format has been added")
    packages.look_again()
    assert "toyshop" not in registry.connectors()
    page.goto(f"/store/connection/{one.pk}/change/")
    expect(page.locator("body")).to_contain_text("not installed")


def test_a_format_is_kept_on_the_servers_disk(open_page: Any, people: Any, tmp_path: Path) -> None:
    """F5, on a phone."""
    packages.trust(publisher.LINE)
    file = saved(tmp_path, "shop.obmen", publisher.made(tmp_path / "1"))
    page = open_page(people.admin, viewport=PHONE)
    page.goto(PAGE)
    page.fill("#o-path", str(tmp_path / "nothing.obmen"))
    page.click("#o-upload button")
    expect(page.locator("body")).to_contain_text("cannot be read: No such file")
    page.fill("#o-path", str(file))
    page.click("#o-upload button")
    expect(page.locator('[data-format="toyshop"]')).to_contain_text(f"on disk: {file}")
    file.write_bytes(publisher.made(tmp_path / "2", version="1.1")[:100])
    page.goto(PAGE)
    expect(page.locator('[data-format="toyshop"]')).to_contain_text(
        "The file on disk was not taken, the installed version goes on."
    )
    picture(page, "formats-360")
    assert width(page) <= 360
    file.write_bytes(publisher.made(tmp_path / "2", version="1.1"))
    page.goto(PAGE)
    expect(page.locator('[data-format="toyshop"]')).to_contain_text("1.1")


def test_trust_is_taken_back_after_a_question(open_page: Any, people: Any, tmp_path: Path) -> None:
    packages.trust(publisher.LINE)
    packages.add(publisher.made(tmp_path))
    page = open_page(people.owner)
    page.goto(PAGE)
    page.get_by_role("link", name="No longer trust").click()
    expect(page.locator("body")).to_contain_text("Formats that this publisher signed stop at once")
    assert models.Publisher.objects.exists()
    page.get_by_role("button", name="No longer trust").click()
    expect(page.locator('[data-format="toyshop"]')).to_contain_text("does not run")
    expect(page.locator('[data-format="toyshop"]')).to_contain_text("not trusted")


def test_nobody_but_an_owner_opens_it_or_does_anything_there(people: Any, tmp_path: Path) -> None:
    packages.trust(publisher.LINE)
    row, _changed = packages.add(publisher.made(tmp_path, licence=True))
    trusted = models.Publisher.objects.get()
    file = saved(tmp_path, "2.obmen", publisher.made(tmp_path / "2", version="2", licence=True))
    half = User.objects.create_user("half", password=books.PASSWORD, is_staff=True)
    half.user_permissions.add(*Permission.objects.filter(codename__in=("view_connection", "change_connection")))
    before = list(models.FormatPackage.objects.values()), models.Publisher.objects.count(), models.JournalEntry.objects.count()
    for user in (people.operator, people.viewer, half):
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        assert client.get(PAGE).status_code == 403
        assert "formatpackage" not in client.get("/").content.decode()
        for address, data in (
            ("upload/", {"path": str(file)}),
            ("trust/", {"line": signing.public_line(b"\0" * 32), "confirmed": "1"}),
            (f"publisher/{trusted.pk}/", {}),
            (f"{row.pk}/licence/", {"login": "x", "key": "y"}),
            (f"{row.pk}/remove/", {"confirmed": "1"}),
        ):
            assert client.post(PAGE + address, data).status_code == 403, address
    assert (
        list(models.FormatPackage.objects.values()),
        models.Publisher.objects.count(),
        models.JournalEntry.objects.count(),
    ) == before
    assert Client().get(PAGE).status_code == 302
