"""“Read defaults from the format” on a connection's page (F9)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import books
import pytest
from django.test import Client
from playwright.sync_api import expect
from waiting import width

from obmen import registry
from obmen.store import connections, models
from toy_connector import Caller

pytestmark = [pytest.mark.page, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> Any:
    settings.MEDIA_ROOT = tmp_path
    proposed: dict[str, Any] = {"title": "Small", "streams": ["orders-in"], "settings": {"use_prices": True}, "mappings": []}

    class Format(Caller):
        key = "format"

        @classmethod
        def profiles(cls) -> Mapping[str, Mapping[str, Any]]:
            return {"small": proposed}

    monkeypatch.setitem(registry.connectors(), "format", Format)
    people = books.people()
    models.Reference.objects.create(subject="order_state", key="fresh", name="Нове")
    one, _password = connections.create("format", "Магазин", profile="small")
    connections.update(one, {"use_prices": False})
    proposed["mappings"] = [{"subject": "order_state", "theirs": "n", "theirs_name": "Новий", "ours": "fresh"}]
    return type("Shop", (), {"people": people, "one": one})


def test_the_difference_is_shown_first_and_edits_stay(open_page: Any, shop: Any) -> None:
    page = open_page(shop.people.owner)
    page.goto(f"/store/connection/{shop.one.pk}/change/")
    page.get_by_role("link", name="Read defaults from the format").click()
    mine, theirs = (page.locator("#o-defaults tr", has_text=text) for text in ("Use price types", "Новий"))
    expect(mine).to_contain_text("set by you")
    expect(mine.locator("input")).not_to_be_checked()
    expect(theirs).to_contain_text("Нове")
    expect(theirs.locator("input")).to_be_checked()
    assert not shop.one.mappings.exists()
    if folder := os.environ.get("OBMEN_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/defaults-1280.png", full_page=True)
        page.set_viewport_size({"width": 360, "height": 740})
        page.screenshot(path=f"{folder}/defaults-360.png", full_page=True)
        assert width(page) <= 360
    page.get_by_role("button", name="Take over what is ticked").click()
    expect(page.locator("body")).to_contain_text("1 default was taken over.")
    expect(page.locator("#o-defaults tbody tr")).to_have_count(1)
    assert list(shop.one.mappings.values_list("theirs", "ours")) == [("n", "fresh")]
    assert connections.settings_of(models.Connection.objects.get()).use_prices is False
    page.locator("#o-defaults tr", has_text="Use price types").locator("input").check()
    page.get_by_role("button", name="Take over what is ticked").click()
    page.wait_for_url("**/change/")
    assert connections.settings_of(models.Connection.objects.get()).use_prices is True
    page.goto(f"/store/connection/{shop.one.pk}/defaults/")
    expect(page.locator("body")).to_contain_text("Everything is as the format proposes.")


def test_who_may_not_change_a_connection_reads_no_defaults(shop: Any) -> None:
    client = Client()
    client.force_login(shop.people.viewer, backend="django.contrib.auth.backends.ModelBackend")
    address = f"/store/connection/{shop.one.pk}/defaults/"
    assert client.get(address).status_code == 403
    assert client.post(address, {"take": ["mapping order_state →← n", "setting use_prices"]}).status_code == 403
    assert not shop.one.mappings.exists()
