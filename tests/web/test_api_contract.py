"""The API keeps the contract that it describes: made-up calls of every operation meet only documented answers, and never an error
of the hub. The same calls each time, as many as take some seconds."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import hypothesis
import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books

from obmen.store import connections, models, tokens
from obmen.web.api import access, exchange, notices
from obmen.web.wsgi import application

CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
EACH = 8  # made-up calls of one operation in each way
OPERATIONS = 86


@pytest.fixture
def one_connection() -> Iterator[None]:
    """As Django's test client: the end of a call does not close the connection that holds the test's transaction."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def hub(one_connection: None, db: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A hub with something of everything: {parameter of an address: what there is}."""
    settings.OBMEN_API_RATE = 0
    settings.PASSWORD_HASHERS = books.FAST_HASH
    access.pace.forget()
    monkeypatch.setattr(exchange.setup, "check", lambda _row: "connected")  # no call leaves this test
    monkeypatch.setattr(exchange.setup, "load_table", lambda *_a, **_kw: Counter(new=1))
    sent = models.Notice(state="sent", answer="taken")
    monkeypatch.setattr(notices.notices, "test", lambda _channel: sent)
    monkeypatch.setattr(exchange, "waiters", full := BoundedSemaphore(1))  # nobody is made to wait
    full.acquire()
    one, _password = connections.create(
        "retailcrm", "CRM", settings={"server": "demo.example.com", "api_key": "SECRET"}, language="uk"
    )
    [product, *_others] = books.goods(one)
    books.states()
    order = books.order(source=one)
    run = books.finished_run(one, args={"preview": True})
    run.lines.create(text="{count} left out", facts={"count": 3})
    run.results.create(kind="order", outcome="updated", name="A-1", changes={"state": ["new", "paid"]}, mark="m")
    mapping = one.mappings.create(subject="order_state", theirs="prepayed", reported=True)
    channel = models.NoticeChannel.objects.create(
        name="Team", way="telegram", settings={"chat": "1"}, secrets={"token": "1:ABCDEFGHIJ"}
    )
    return {
        "table": "order_state-in",
        "mapping": mapping.pk,
        "channel": channel.pk,
        "notice": channel.notices.create(kind="run", news="trouble", text="It failed", state="failed").pk,
        "message": one.messages.create(call="GET /orders", answer="success").pk,
        "feed": one.feeds.create(name="icml.xml", token="TOKEN-OF-THE-FILE").pk,
        "connection": one.pk,
        "stream": "orders-in",
        "subject": "order_state",
        "order": order.pk,
        "run": run.pk,
        "parked": books.parked(one).pk,
        "product": product.pk,
        "offer": models.Offer.objects.earliest("pk").pk,
        "counterparty": order.counterparty_id,
    }


@pytest.fixture
def headers(hub: Any) -> dict[str, str]:
    _token, secret = tokens.make(books.people().admin, "contract", tuple(tokens.SCOPES), days=None, who="test")
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def described(headers: dict[str, str]) -> Any:
    return schemathesis.openapi.from_wsgi("/api/openapi.json", application, headers=headers)


def each(described: Any) -> list[Any]:
    found = [one.ok() for one in described.get_all_operations()]
    assert len(found) == OPERATIONS
    return found


def made_up(cases: Any, headers: dict[str, str]) -> None:
    @hypothesis.settings(
        max_examples=EACH, derandomize=True, database=None, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(case=cases)
    def call(case: Any) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS)

    call()


@pytest.mark.parametrize("real", [True, False], ids=["things that are there", "made-up ids"])
def test_calls_as_described_meet_answers_as_described(hub: Any, headers: Any, described: Any, real: bool) -> None:
    for operation in each(described):
        named = {p.name for p in operation.path_parameters}
        if named or real:
            there = {"path_parameters": {name: hub[name] for name in named}} if real and named else {}
            made_up(operation.as_strategy(GenerationMode.POSITIVE, **there), headers)


def test_calls_that_are_not_as_described_meet_no_error_of_the_hub(hub: Any, headers: Any, described: Any) -> None:
    for operation in each(described):
        if operation.query or operation.body or operation.path_parameters:
            made_up(operation.as_strategy(GenerationMode.NEGATIVE), headers)


def test_no_operation_is_open_without_a_token(hub: Any, described: Any) -> None:
    for operation in each(described):
        named = {p.name: hub[p.name] for p in operation.path_parameters}
        body = {"body": {}, "media_type": "application/json"} if operation.body else {}
        answer = operation.Case(path_parameters=named, **body).call()
        assert (answer.status_code, json.loads(answer.content)["code"]) == (401, "no_token"), operation.label


@pytest.mark.parametrize("scope", tokens.SCOPES)
def test_a_token_of_one_scope_meets_no_error_and_is_let_to_nothing_else(hub: Any, described: Any, scope: str) -> None:
    _token, secret = tokens.make(User.objects.get(username="admin"), "one scope", (scope,), days=None, who="test")
    headers = {"Authorization": f"Bearer {secret}"}
    for operation in each(described):
        scopes = operation.definition.raw.get("x-scopes", [])
        named = {p.name: hub[p.name] for p in operation.path_parameters}
        if scope in scopes or not scopes:
            made_up(operation.as_strategy(GenerationMode.POSITIVE, **({"path_parameters": named} if named else {})), headers)
            continue
        body = {"body": {}, "media_type": "application/json"} if operation.body else {}
        refused = operation.Case(path_parameters=named, **body).call(headers=headers)
        assert (refused.status_code, json.loads(refused.content)["code"]) == (403, "missing_scope"), operation.label
