"""What docs/api.md says is so: its examples work as they stand, its tables are complete."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books

from obmen.store import connections, models, tokens
from obmen.web.api import access
from obmen.web.api.problems import CODES
from obmen.web.api.urls import api
from obmen.web.site import site

MANUAL = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text("utf-8")
EXAMPLES = [
    line
    for block in re.findall(r"```sh\n(.*?)```", MANUAL, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("curl ")
]


def call(command: str, known: dict[str, Any]) -> Any:
    """Do what curl would do with this line."""
    words = iter(shlex.split(Template(command).substitute(known))[1:])
    headers, method, body, address = {}, "GET", None, ""
    for word in words:
        if word == "-H":
            name, _colon, value = next(words).partition(": ")
            headers[name] = value
        elif word == "-X":
            method = next(words)
        elif word == "-d":
            body = next(words)
        else:
            address = word
    kind = headers.pop("Content-Type", "")
    return Client().generic(method, address, body or "", content_type=kind, headers=headers)


def test_every_example_of_the_manual_works_as_it_stands(db: Any, settings: Any) -> None:
    settings.PASSWORD_HASHERS = books.FAST_HASH
    access.pace.forget()
    owner = books.people().owner
    _token, secret = tokens.make(owner, "manual", tuple(tokens.SCOPES), days=1, who="owner")
    shop, _password = connections.create("retailcrm", "CRM", settings={"server": "demo.example.com", "api_key": "KEY"})
    books.goods(shop)
    books.states()
    books.parked(shop)
    preview = books.finished_run(shop, args={"preview": True}, streams="orders-in")
    changes = {"price retail": ["1", "2"], "name": ["A", "B"]}
    for number, names in enumerate((("price retail",), ("name",))):
        preview.results.create(
            kind="order", name=f"A-{number}", outcome="updated", changes={n: changes[n] for n in names}, mark="m", direction="in"
        )
    known = {
        "TOKEN": secret,
        "HUB": "",
        "CONNECTION": shop.pk,
        "ORDER": books.order().pk,
        "RUN": books.finished_run(shop).pk,
        "PREVIEW": preview.pk,
    }
    assert len(EXAMPLES) >= 22
    for example in EXAMPLES:
        answer = call(example, known)
        assert answer.status_code in (200, 201, 202), (example, answer.content)
    [offer] = call(next(e for e in EXAMPLES if "barcode=" in e), known).json()["items"]
    assert offer["barcode"] == "4820000000017"
    order = models.Order.objects.get()
    assert (order.state, order.delivery["tracking"], order.revision) == ("sent", "20450000000001", 2)
    stream = shop.streams.get(stream="orders-in")
    assert (stream.schedule, str(stream.quiet_from)) == ("every 15 min", "23:00:00")
    assert shop.mappings.get(theirs="prepayed").ours == "paid"


@pytest.mark.parametrize(("heading", "wanted"), [("| scope |", tokens.SCOPES), ("| code |", CODES)])
def test_every_scope_and_every_code_of_an_error_has_its_words(heading: str, wanted: Any) -> None:
    table = MANUAL[MANUAL.index(heading) :].split("\n\n")[0]
    said = [name for row in table.splitlines()[2:] for name in re.findall(r"`(\w[\w.]*)`", row.split("|")[1])]
    assert sorted(said) == sorted(wanted)


def test_statuses_of_errors_stand_in_the_manual_as_they_are() -> None:
    table = MANUAL[MANUAL.index("| code |") :].split("\n\n")[0]
    for row in table.splitlines()[2:]:
        _start, codes, status, *_rest = row.split("|")
        assert {CODES[code][0] for code in re.findall(r"`(\w+)`", codes)} == {int(status)}, row


# --- what the pages do -----------------------------------------------------------------------------------------------------

# Addresses of the site that only show; a new page stands here, or with what it does in the table of docs/api.md.
SHOWN = [
    "account",
    "autocomplete",
    "app_list",
    "auth_group_changelist",
    "auth_group_history",
    "auth_user_changelist",
    "auth_user_history",
    "index",
    "jsi18n",
    "manual",
    "manual_of",
    "notices",
    "overview_below",
    "overview_charts",
    "password_change_done",
    "picture",
    "products_named",
    "running",
    "search",
    "store_apitoken_change",
    "store_apitoken_changelist",
    "store_apitoken_history",
    "store_connection_change",
    "store_connection_changelist",
    "store_connection_add_access",
    "store_connection_csv",
    "store_connection_first_call",
    "store_connection_first_hour",
    "store_connection_first_previewed",
    "store_connection_help",
    "store_connection_history",
    "store_connection_links",
    "store_connection_log",
    "store_connection_traffic",
    "store_formatpackage_changelist",
    "store_group_tree",
    "store_message_file",
    "store_parked_download",
    "store_parked_freeing",
    "store_parked_raw",
    "store_run_charts",
    "store_run_live",
    "store_run_preview",
    "store_run_results",
    "store_seek",
    "view_on_site",
]


def deeds_of_pages() -> set[str]:
    """Names of the site's addresses behind which something is done."""
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_active=True, is_staff=True)
    idle: set[str] = set(SHOWN)
    for model, admin in site._registry.items():
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        does = {
            "add": admin.has_add_permission(request),
            "change": admin.has_change_permission(request),
            "delete": admin.has_delete_permission(request),
            "changelist": bool(admin.actions),
            "history": False,
        }
        idle |= {f"{name}_{deed}" for deed, is_done in does.items() if not is_done}
    return set(_names(site.urls[0])) - idle


def _names(patterns: Any) -> Iterator[str]:
    for one in patterns:
        if hasattr(one, "url_patterns"):
            yield from _names(one.url_patterns)
        elif one.name:
            yield one.name


def table() -> list[tuple[list[str], list[str], str]]:
    """(names of addresses, operations, the reason why there are none) of each row."""
    rows = MANUAL[MANUAL.index("| on the pages |") :].split("\n\n")[0].splitlines()[2:]
    cells = [row.split("|")[1:-1] for row in rows]
    return [
        (re.findall(r"`(\w+)`", where), [] if here.strip().startswith("–") else re.findall(r"`(\w+)`", here), here.strip())
        for _what, where, here in cells
    ]


def test_every_deed_of_the_pages_has_its_operation_or_a_reason() -> None:
    said = [name for names, _operations, _why in table() for name in names]
    assert (sorted(said), len(said)) == (sorted(deeds_of_pages()), len(set(said)))
    assert [names for names, operations, why in table() if not operations and len(why) < 20] == []


def test_every_operation_that_changes_something_stands_beside_its_deed() -> None:
    described = api.get_openapi_schema(path_prefix="/api/")["paths"]
    changing = {one["operationId"] for methods in described.values() for method, one in methods.items() if method != "get"}
    assert {name for _names, operations, _why in table() for name in operations} == changing
