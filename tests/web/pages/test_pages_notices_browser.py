"""Somebody sets up how they are told of trouble, sees a test arrive, and later the trouble itself, in a real browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from books import connection, people
from django.utils import timezone
from playwright.sync_api import expect
from waiting import fits

from net.peer import peer
from obmen.store.models import Connection, NoticeChannel, Run
from obmen.work import notices

pytestmark = [pytest.mark.page, pytest.mark.django_db(transaction=True)]
PHONE = {"width": 360, "height": 740}


@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 800}, PHONE], ids=["desktop", "phone"])
def test_a_channel_is_set_up_tried_and_tells_of_trouble(
    open_page: Callable[..., Any], settings: Any, viewport: dict[str, int]
) -> None:
    settings.OBMEN_ALLOW_PRIVATE = True
    shop, other = connection("Shop"), connection("Other")
    page = open_page(people().owner, viewport)
    with peer(lambda _asked, _handler: (200, {}, json.dumps({"ok": True, "result": {"message_id": 17}}).encode())) as api:
        page.goto("/notices/")
        page.get_by_role("link", name="Telegram").click()
        page.get_by_label("Name").fill("Team")
        page.get_by_label("Chat", exact=True).fill("-100500")
        page.get_by_label("Token of the bot").fill("123456:ABC-DEF_ghi123")
        page.get_by_label("Address of Telegram").fill(api.url)
        expect(page.get_by_label("Other", exact=True)).to_be_hidden()
        page.get_by_label("Connections", exact=True).select_option("chosen")
        page.get_by_label("Shop", exact=True).check()
        page.get_by_label("Quiet from").fill("22:00")
        page.get_by_role("button", name="Add").click()
        expect(page.locator("#field-quiet_to")).to_contain_text("Quiet hours need both a beginning and an end.")
        page.get_by_label("Quiet to").fill("8:00")
        page.get_by_label("Token of the bot").fill("123456:ABC-DEF_ghi123")
        page.get_by_role("button", name="Add").click()
        page.get_by_role("button", name="Send a test").click()
        page.get_by_text("The test is sent by “Team”: message 17").wait_for()
        assert json.loads(api.asked[0].body)["chat_id"] == "-100500"
        now = timezone.now()
        for owner in (shop, other):
            Run.objects.create(
                connection=owner, unique_key="x", streams="orders-in", state="failed", ended=now, text="The disk is full"
            )
        Connection.objects.update(last_call=now)
        NoticeChannel.objects.update(quiet_from=None, quiet_to=None)
        assert notices.look(now) == 1
        assert notices.send(now + timedelta(minutes=1)) == 1
    page.goto("/notices/")
    for said in ("“Shop”: the exchange failed", "“Other”: the exchange failed", "The disk is full"):
        expect(page.locator("#o-troubles")).to_contain_text(said)
    expect(page.locator("#o-recent")).to_contain_text("message 17")
    assert fits(page)
    page.locator("#o-troubles").get_by_role("link", name="“Shop”").click()
    page.get_by_text("The disk is full").first.wait_for()
