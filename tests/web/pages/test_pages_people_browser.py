"""People in a real browser: an invitation, a phone as second factor, and signing in with both."""

from __future__ import annotations

import base64
import re
from typing import Any

import books
import pytest
from django.contrib.auth.models import Group as Role
from django.utils import timezone
from playwright.sync_api import expect
from waiting import settled, width

from obmen.store import models, people

pytestmark = [pytest.mark.page, pytest.mark.django_db(transaction=True)]
PHONE = {"width": 360, "height": 740}


def shown_key(page: Any) -> str:
    page.get_by_text("I cannot scan it").click()
    return base64.b32decode(page.locator("#o-key").inner_text().replace(" ", "")).hex()


def test_an_invited_person_sets_up_a_phone_and_signs_in_with_it(open_page: Any) -> None:
    everybody = books.people()
    order = books.order("ІМ-77")
    models.Order.objects.filter(pk=order.pk).update(company="Вокзал")
    hidden = books.order("ІМ-88")
    models.Order.objects.filter(pk=hidden.pk).update(company="Аеропорт")

    page = open_page(everybody.owner)
    page.goto("/auth/user/")
    page.locator("details summary", has_text="Who must sign in").click()
    page.get_by_label("Viewers").check()
    page.locator("#o-factor-rules button").click()
    page.get_by_text("Saved. People with these roles").wait_for()
    page.get_by_role("link", name="Invite a person").click()
    page.fill("#id_username", "anna")
    page.fill("#id_first_name", "Анна")
    page.get_by_label("Viewers").check()
    page.get_by_label("Вокзал").check()
    page.get_by_role("button", name="Make the invitation").click()
    link = page.locator("#o-invitation").inner_text()

    guest = open_page(viewport=PHONE)
    guest.goto(link)
    guest.fill("#id_new_password1", "anna-is-here-1")
    guest.fill("#id_new_password2", "anna-is-here-1")
    guest.locator("#invited-form button").click()
    guest.wait_for_url("**/login/set-up/")
    assert width(guest) <= PHONE["width"]
    box = settled(guest).locator("#o-qr svg").bounding_box()
    assert box["width"] >= 150, "big enough to be scanned"
    key = shown_key(guest)
    guest.fill("#id_code", people.code_at(key, timezone.now()))
    guest.get_by_role("button", name="Done, sign in").click()
    expect(guest.locator("#o-codes li")).to_have_count(10)
    codes = settled(guest).locator("#o-codes li").all_inner_texts()
    assert width(guest) <= PHONE["width"]
    with guest.expect_navigation():
        guest.get_by_role("link", name="I have kept them").click()
    guest.goto("/store/order/")
    expect(guest.get_by_role("link", name="ІМ-77")).to_have_count(1)
    expect(guest.get_by_role("link", name="ІМ-88")).to_have_count(0)

    again = open_page(viewport=PHONE)
    again.goto("/login/")
    again.fill("#id_username", "anna")
    again.fill("#id_password", "anna-is-here-1")
    again.click("#login-form button")
    again.wait_for_url("**/login/code/")
    expect(again.locator("#id_code")).to_be_focused()
    again.fill("#id_code", codes[0])
    again.keyboard.press("Enter")
    again.get_by_text("9 are left").wait_for()
    again.goto("/account/")
    expect(again.locator("#o-sign-ins tbody tr")).to_have_count(2)
    again.get_by_role("button", name="Sign out everywhere else").click()
    again.get_by_text("1 other browser is signed out.").wait_for()
    expect(again.locator("#o-sign-ins tbody tr")).to_have_count(1)
    guest.goto("/account/")
    expect(guest).to_have_url(re.compile("/login/"))
    assert Role.objects.get(name="Viewers").rule.second_factor
