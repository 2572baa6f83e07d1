"""The list of all pages (filled.py) is whole: each of them opens, and there is no page that it does not name."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import NoReverseMatch, URLPattern, get_resolver, resolve, reverse

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books
import filled

pytestmark = pytest.mark.django_db(transaction=True)

AT_MOST = 12  # queries of a page
PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures" / "pages"
# Views whose answer to GET is a page, each shown by a page of the list under another address.
SAME = {
    "admin:app_list",  # the overview of Django, to which no menu leads
    "admin:manual",  # leads to the first connection
    "admin:logout",
    "admin:store_connection_traffic",  # leads to the log
}


def views(patterns: Any, space: str = "") -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            if pattern.name:
                yield f"{space}{pattern.name}"
        elif pattern.namespace != "api":
            yield from views(pattern.url_patterns, f"{pattern.namespace}:" if pattern.namespace else space)


def about(view: str) -> str:
    """The thing that a view belongs to: admin:store_order of admin:store_order_change."""
    return "_".join(view.split("_")[:2])


def is_page(answer: Any) -> bool:
    kind = answer.headers.get("Content-Type", "")
    return answer.status_code == 200 and kind.startswith("text/html") and b"<html" in answer.content[:2000]


def test_every_page_is_named_opens_with_few_queries_and_has_pictures(settings: Any, tmp_path: Path, queries: Any) -> None:
    settings.MEDIA_ROOT, settings.OBMEN_HOME, settings.OBMEN_ALLOW_PRIVATE = tmp_path / "media", tmp_path, True
    settings.PASSWORD_HASHERS = books.FAST_HASH
    hub = filled.fill(tmp_path / "files")
    client = Client()
    assert [name for name, address in hub.before.items() if not is_page(client.get(address))] == []
    client.force_login(hub.people.admin, backend="django.contrib.auth.backends.ModelBackend")
    shut, dear = {}, {}
    for name, address in hub.pages.items():
        with queries() as asked:
            answer = client.get(address)
        if not is_page(answer):
            shut[name] = answer.status_code
        if len(asked) > AT_MOST:
            dear[name] = len(asked)
    assert shut == {}
    assert dear == {}, "queries of a page"
    looks = {
        f"{name}{look}.webp" for name in ("welcome", *hub.before, *hub.pages) for look in ("", "-dark", "-phone", "-phone-dark")
    }
    assert {file.name for file in PICTURES.glob("*")} == looks, "run `make pictures`"

    named = {resolve(address.partition("?")[0]) for address in (*hub.pages.values(), *hub.before.values())}
    known = {match.view_name for match in named}
    arguments: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for match in named:
        arguments[about(match.view_name)].append({"pk": next(iter(match.kwargs.values()), 0)})
    forgotten = []
    for view in sorted(set(views(get_resolver().url_patterns)) - known - SAME):
        if view.endswith("_history"):  # one page of Django's for all kinds of things, shown of a role
            continue
        for said in (
            {},
            *({name: found["pk"]} for found in arguments[about(view)] for name in ("pk", "object_id", "order_id", "id")),
        ):
            try:
                address = reverse(view, kwargs=said)
            except NoReverseMatch:
                continue
            if is_page(client.get(address)):
                forgotten.append(address)
                break
    assert forgotten == []
