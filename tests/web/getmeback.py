"""The instructions for receiving goods from МойСклад, clicked through as they are written; the test and the pictures of the docs share it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

LOGIN, PASSWORD = "moysklad@shop.example", "kava-zranku-2026"
GROUP, NAME = "МойСклад", "МойСклад"


def employee(page: Any, shot: Callable[[str], None]) -> None:
    """Users → add: e-mail as login, a password, access to the admin panel."""
    page.goto("/auth/user/add/")
    page.fill("#id_username", LOGIN)
    page.fill("#id_email", LOGIN)
    page.fill("#id_password1", PASSWORD)
    page.fill("#id_password2", PASSWORD)
    page.locator("#id_is_staff").check()
    shot("employee")
    with page.expect_navigation():
        page.locator('button[name="_save"]').click()


def group(page: Any, shot: Callable[[str], None]) -> None:
    """Groups and permissions → add: any name, the one permission of the section “Integrations”."""
    page.goto("/auth/group/add/")
    page.fill("#id_name", GROUP)
    page.locator("fieldset", has_text="Integrations").get_by_label("Import CommerceML").check()
    shot("group-permission")
    with page.expect_navigation():
        page.locator('button[name="_save"]').click()


def member(page: Any, shot: Callable[[str], None]) -> None:
    """The group again: the employee becomes a member."""
    page.goto("/auth/group/")
    page.get_by_role("link", name=GROUP, exact=True).click()
    page.get_by_label(LOGIN).check()
    shot("group-member")
    with page.expect_navigation():
        page.locator('button[name="_save"]').click()


def connection(page: Any, shot: Callable[[str], None]) -> None:
    """Connections → add: profile, name, the employee's login. What is shown then is typed into МойСклад."""
    page.goto("/store/connection/add/")
    page.check('input[value="commerceml_door:getmeback"]')
    shot("connection-what")
    page.fill("#id_name", NAME)
    page.select_option("#id_account", label=LOGIN)
    page.get_by_role("button", name="Add").last.scroll_into_view_if_needed()
    shot("connection-name")
    page.get_by_role("button", name="Add").last.click()
    page.wait_for_selector("#o-address")
    shot("connection-address")


def prices(page: Any, shot: Callable[[str], None]) -> None:
    """The settings: the id of the one price kind goes here when МойСклад sends several."""
    page.goto("/store/connection/")
    page.get_by_role("link", name=NAME, exact=True).click()
    page.get_by_role("link", name="Settings", exact=True).click()
    page.get_by_role("tab", name="Prices").click()
    shot("settings-prices")
