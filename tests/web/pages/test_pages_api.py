"""A person makes a token in the browser, reads what the API can do, and takes the token back."""

from __future__ import annotations

from typing import Any

import books
import pytest
from django.test import Client
from waiting import fits

from obmen.store import models

pytestmark = [pytest.mark.page, pytest.mark.django_db(transaction=True)]
PHONE = {"width": 360, "height": 740}


def test_a_token_is_made_tried_and_revoked_on_a_phone(open_page: Any) -> None:
    people = books.people()
    books.order()
    page = open_page(people.owner, viewport=PHONE)
    page.goto("/store/apitoken/add/")
    page.get_by_label("name", exact=False).first.fill("Reports")
    page.get_by_label("See orders and counterparties").check()
    page.get_by_label("Works for").select_option("30")
    assert fits(page)
    page.get_by_role("button", name="Make the token").click()
    secret = page.locator("#token").inner_text()
    assert fits(page)
    program = Client(headers={"authorization": f"Bearer {secret}"})
    assert [o["number"] for o in program.get("/api/v1/orders").json()["items"]] == ["ІМ-1001"]
    assert program.get("/api/v1/products").status_code == 403
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("link", name="Reports").click()
    page.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke").click()
    page.get_by_text("The token “Reports” is revoked.").wait_for()
    assert program.get("/api/v1/orders").status_code == 401
    assert models.ApiToken.objects.get().revoked_by == "owner"


def test_the_description_opens_without_asking_anybody_else(open_page: Any) -> None:
    """The fixture complains of every request to another host and of every error in a script."""
    page = open_page(books.people().viewer)
    page.goto("/store/apitoken/")
    page.get_by_role("link", name="What the API can do").click()
    page.locator("#operations-orders-list_orders").click()
    page.get_by_text("Orders, the newest in the books first.").wait_for()
