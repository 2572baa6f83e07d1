"""Addresses and forms that nobody types by hand, and a connection without its connector, get an answer instead of an error of the hub."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.test import Client
from django.urls import URLPattern, get_resolver

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books

from obmen.store import models
from obmen.web.site import site

pytestmark = pytest.mark.django_db
HUGE = "1" * 23  # no id of any table is as large


@pytest.fixture
def client(settings: Any, tmp_path: Path) -> Client:
    settings.PASSWORD_HASHERS = books.FAST_HASH
    settings.MEDIA_ROOT = settings.OBMEN_HOME = tmp_path
    client = Client(raise_request_exception=False)
    client.force_login(books.people().admin, backend="django.contrib.auth.backends.ModelBackend")
    return client


def routes(patterns: Any = None, before: str = "") -> Iterator[str]:
    for one in get_resolver().url_patterns if patterns is None else patterns:
        here = before + str(one.pattern)
        if isinstance(one, URLPattern):
            yield here
        else:
            yield from routes(one.url_patterns, here)


def filters() -> Iterator[str]:
    """Addresses of every list with a huge number for every field that is an id or leads to one, in each way to say it."""
    for model, admin in site._registry.items():
        offered = {str(one[0]) for one in admin.list_filter if isinstance(one, tuple)}
        leading = {field.name for field in model._meta.fields if field.is_relation} & offered
        for name in (
            "id__exact",
            "id__in",
            *(f"{n}{how}" for n in sorted(leading) for how in ("", "_id", "__exact", "__in", "__id__exact")),
        ):
            yield f"/store/{model._meta.model_name}/?{name}={HUGE}"
            yield f"/store/{model._meta.model_name}/?{name}={HUGE}&q=a"


def test_an_id_larger_than_any_column_holds_is_no_error_in_the_filter_of_any_list(client: Client) -> None:
    books.finished_run(books.connection("1C", account=None))
    asked = list(filters())
    assert len(asked) > 100
    assert [address for address in asked if client.get(address).status_code >= 500] == []
    answer = client.get(f"/store/run/?connection={HUGE}&q=a")
    assert (answer.status_code, answer["Location"]) == (302, "/store/run/?e=1")


@pytest.mark.parametrize("how", ["get", "post"])
def test_an_id_larger_than_any_column_holds_is_no_error_in_any_address(client: Client, how: str) -> None:
    asked = {"/" + re.sub(r"<[^>]+>", HUGE, route) for route in routes() if "<" in route and "(" not in route}
    assert len(asked) > 100
    assert sorted(address for address in asked if getattr(client, how)(address).status_code >= 500) == []


def test_what_is_no_id_among_ticked_rows_is_refused_and_nothing_is_retried(client: Client) -> None:
    one = books.connection("1C", account=None)
    kept = models.Parked.objects.create(connection=one, kind="product", external_id="x", text="The product has no id")
    said = {"action": "retry_selected", ACTION_CHECKBOX_NAME: [str(kept.pk), "x"], "confirmed": "1"}
    answer = client.post("/store/parked/", said, follow=True)
    assert "The hub cannot tell which rows were meant: tick them in the list again." in answer.content.decode()
    assert (models.Run.objects.count(), one.parked.count()) == (0, 1)


@pytest.mark.parametrize("how", ["get", "post"])
def test_a_connection_whose_connector_is_gone_has_no_page_that_breaks(client: Client, how: str) -> None:
    one = books.connection("1C", account=None)
    models.Connection.objects.filter(pk=one.pk).update(connector="gone", profile="")
    books.finished_run(one)
    asked = {
        "/" + re.sub(r"<[^>]+>", "", re.sub(r"^(store/connection/)<[^>]+>", rf"\g<1>{one.pk}", route))
        for route in routes()
        if re.match(r"store/connection/<[^>]+>/", route)
    }
    assert len(asked) > 20
    kept = models.Connection.objects.values().get(pk=one.pk)
    assert sorted(address for address in asked if getattr(client, how)(address).status_code >= 500) == []
    if how == "get":
        assert models.Connection.objects.values().get(pk=one.pk) == kept
