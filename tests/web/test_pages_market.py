"""A marketplace's day by hand: everything of the page “Manual exchange” (seed 000, F28–F32) with a shop at Prom over HTTP."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books

from obmen.core.records import Subject
from obmen.sandbox.prom import Prom, serve
from obmen.store import connections, mappings, models
from obmen.store.mappings import MappingRow
from obmen.store.orders import order_record, save_order
from obmen.work import run as runs

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def there(tmp_path: Path, settings: Any) -> Iterator[Prom]:
    settings.OBMEN_ALLOW_PRIVATE, settings.OBMEN_HOME, settings.MEDIA_ROOT = True, tmp_path, tmp_path
    settings.PASSWORD_HASHERS = books.FAST_HASH
    prom = Prom()
    for article, price in (("КВ-250", 189), ("ЧЙ-100", 95), ("МД-500", 210)):
        prom.add_product(article, price, 9, external_id=f"x-{article}", sku=article)
    with serve(prom) as server:
        prom.url = server.url  # type: ignore[attr-defined]
        yield prom


@pytest.fixture
def here(there: Prom) -> Any:
    people = books.people()
    models.Reference.objects.bulk_create(
        models.Reference(subject=Subject.ORDER_STATE, key=key, name=key) for key in ("new", "accepted")
    )
    products = books.goods(books.connection())
    values = {"address": there.url, "token": "sandbox-token", "pace": 1000, "price_kind": "p-1", "price_jump": 0}  # type: ignore[attr-defined]
    one, _password = connections.create("prom", "Prom", settings=values)
    connections.check(one)
    states = [MappingRow("pending", ours="new", sent=False), MappingRow("received", ours="accepted")]
    mappings.save(one, Subject.ORDER_STATE, "each", states)
    client = Client()
    client.force_login(people.operator, backend="django.contrib.auth.backends.ModelBackend")
    return type("Here", (), {"one": one, "products": products, "client": client})


def by_hand(here: Any, **said: Any) -> models.Run:
    answer = here.client.post(f"/manual/{here.one.pk}/start/", said)
    run = runs.execute_here(models.Run.objects.get(state="waiting"))
    assert answer["Location"].endswith(f"?run={run.pk}#o-run")
    assert run.state == "done", (run.text, run.facts)
    return run


def told(run: models.Run) -> dict[str, str]:
    return {f"{r.kind} {r.name}": r.outcome for r in run.results.all()}


def test_a_day_by_hand(there: Prom, here: Any) -> None:
    page = here.client.get(f"/manual/{here.one.pk}/").content.decode()
    assert all(words in page for words in ("Send changed statuses", "Load products", "Load orders from", "Paste articles"))

    loaded = by_hand(here, stream="products-in")  # F31
    assert (loaded.counts["matched"], sorted(told(loaded).values())) == (3, ["matched"] * 3)
    assert {r.facts["why"] for r in loaded.results.all()} == {"article = кв-250", "article = чй-100", "article = мд-500"}

    bought = there.buy([("x-КВ-250", 2)]).id
    moment = timezone.localtime() - timedelta(hours=1)
    orders = by_hand(here, stream="orders-in", moment=f"{moment:%Y-%m-%dT%H:%M}")  # F32
    assert told(orders)[f"order {bought}"] == "created"
    assert not here.one.bookmarks.filter(stream="orders-in").exists()

    save_order(replace(order_record(models.Order.objects.get()), state="accepted"))
    statuses = by_hand(here, stream="statuses-out")  # F29
    assert (there.orders[bought].status, told(statuses)) == ("received", {f"order {bought}": "updated"})

    by_hand(here, stream="orders-in", moment=f"{moment:%Y-%m-%dT%H:%M}")
    here.client.post(f"/manual/{here.one.pk}/goods/", {"pasted": "КВ-250\nЧЙ-100\nШК-085"})
    for _again in range(2):  # F30: the second time nothing has changed
        before = there.product("x-МД-500").price
        there.product("x-ЧЙ-100").quantity = 0
        sent = by_hand(here, do="goods", stream="offers-out")
        assert (there.product("x-КВ-250").price, there.product("x-ЧЙ-100").quantity) == (Decimal("189.5"), 263)
        assert there.product("x-МД-500").price == before, "it was not picked"
        names = {r.name.split()[0] for r in sent.results.filter(outcome__in=("created", "updated"))}
        assert names == {"Кава", "Чай"}
        assert {r.outcome for r in sent.results.filter(name__startswith="Шоколад")} == {"unchanged"}, "it has no card there"
