"""The sandbox's 1C against the real door: what is in the books afterwards is what the manifest says."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from hub import Hub
from obmen.sandbox.onec.base import Base
from obmen.sandbox.onec.client import Address, Client, Fault, Step
from obmen.sandbox.onec.generate import Catalogue, Spec, generate
from obmen.sandbox.onec.profiles import PROFILES
from obmen.sandbox.onec.run import pull, push

pytestmark = pytest.mark.long


def order(number: str, catalogue: Catalogue) -> dict[str, object]:
    card = next(c for i in range(30) if not (c := catalogue.card(i)).deleted)
    key, _variant, _prices, _stock = next(catalogue.offers(card))
    line = {"offer": key, "article": card.article, "name": "Товар", "kind": "product", "quantity": "2", "price": "250"}
    return {
        "key": f"site-{number}",
        "number": number,
        "date": "2025-04-03T06:05:07+00:00",
        "state": "",
        "currency": "RUB",
        "total": "500",
        "counterparty": {"key": "c1", "name": "Тест Тестов", "email": "t@example.com"},
        "lines": [{**line, "discount": "0", "total": "500"}],
    }


@pytest.mark.parametrize("profile", ["ut11", "bitrix-module-7"])
def test_a_whole_exchange_ends_with_the_books_of_the_manifest(profile: str, make_hub: Callable[..., Hub], tmp_path: Path) -> None:
    hub = make_hub().init()
    door = hub.add_door(profile=profile)
    hub.serve()
    lost: list[Step] = []

    def fault(step: Step) -> Fault | None:
        if step.mode == "success" and not lost:
            lost.append(step)
            return Fault.LOSE_CALL
        return None

    node = PROFILES[profile]
    client = Client(
        node, Address.parse(hub.url + door["path"]), door["login"], door["password"], sleep=lambda _s: None, fault=fault
    )
    spec = Spec(layout=node.layout, products=30, portion=12, pictures=0.5, deleted=0.0)
    manifest = generate(spec, tmp_path / "catalogue")
    base = Base(rules=node.rules)
    base.remember(spec)
    report = push(client, tmp_path / "catalogue")
    assert (report.failures, {p.ok for p in report.portions}) == ([], {True})

    prices, stock = hub.dump("prices"), hub.dump("stock")
    seen = {kind: len(hub.dump(kind)) for kind in ("products", "offers", "groups")}
    seen |= {"prices": len(prices), "stock": len(stock)}
    seen |= {"price_kopecks": int(sum(Decimal(p["value"]) for p in prices) * 100)}
    seen |= {"quantity": int(sum(Decimal(s["quantity"]) for s in stock))}
    assert seen == {name: manifest.books[name] for name in seen}

    wanted = [order(n, Catalogue(spec)) for n in ("1001", "1002")]
    (tmp_path / "orders.jsonl").write_text("".join(json.dumps(o, ensure_ascii=False) + "\n" for o in wanted), "utf-8")
    hub.cli("load", "orders", str(tmp_path / "orders.jsonl"))
    first, second = pull(client, base), pull(client, base)
    assert (first.created, first.confirmed, first.ok) == (["1001", "1002"], 0, False)
    assert (second.updated, second.confirmed > 0, second.ok) == (["1001", "1002"], True, True)
    assert hub.dump("outbox") == []
    assert [g for loaded in first.loaded for g in loaded.new_goods] == []

    base.act("1001", "pay")
    base.act("1001", "ship")
    base.act("1002", "cancel")
    third = pull(client, base)
    assert (third.loaded[0].documents, third.reported, third.ok) == (0, ["1001", "1002"], True)
    books = {o["number"]: (bool(o["paid"]), bool(o["shipped"]), o["cancelled"]) for o in hub.dump("orders")}
    assert books == {"1001": (True, True, False), "1002": (False, False, True)}
