# ruff: noqa: E501 - lines of a file that 1C would write
"""A third marketplace that is no part of the hub: packages/epicentr is built, signed, installed and exchanges over HTTP."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.memory_hub import MemoryHub
from obmen.core.contract import BadRecord, NeedsOwner
from obmen.market.api import StatusChange
from obmen.sandbox.stand import serve
from packages.epicentr_stand import EpicentrStand
from test_format_packages import GOODS

PACKAGE = Path(__file__).parents[2] / "packages" / "epicentr"
OFFERS = """<?xml version="1.0" encoding="UTF-8"?>
<КоммерческаяИнформация ВерсияСхемы="2.08">
 <ПакетПредложений СодержитТолькоИзменения="false"><Ид>cat#</Ид><Наименование>Пакет</Наименование><ИдКаталога>cat</ИдКаталога>
  <ТипыЦен><ТипЦены><Ид>retail</Ид><Наименование>Роздрібна</Наименование><Валюта>UAH</Валюта></ТипЦены></ТипыЦен>
  <Склады><Склад><Ид>w</Ид><Наименование>Основний</Наименование></Склад></Склады>
  <Предложения>
   <Предложение><Ид>p-1</Ид><Наименование>Кава</Наименование><Цены><Цена><ИдТипаЦены>retail</ИдТипаЦены><ЦенаЗаЕдиницу>189.5</ЦенаЗаЕдиницу><Валюта>UAH</Валюта></Цена></Цены><Склад ИдСклада="w" КоличествоНаСкладе="4"/></Предложение>
   <Предложение><Ид>p-2</Ид><Наименование>Чай</Наименование><Цены><Цена><ИдТипаЦены>retail</ИдТипаЦены><ЦенаЗаЕдиницу>95.9</ЦенаЗаЕдиницу><Валюта>UAH</Валюта></Цена></Цены><Склад ИдСклада="w" КоличествоНаСкладе="0"/></Предложение>
  </Предложения></ПакетПредложений>
</КоммерческаяИнформация>"""


@pytest.fixture
def stand() -> Iterator[EpicentrStand]:
    made = EpicentrStand()
    server = serve(made)
    made.url = server.url  # type: ignore[attr-defined]
    yield made
    server.stop()


def test_the_package_is_no_more_than_three_small_files() -> None:
    files = [path for path in PACKAGE.iterdir() if path.is_file()]
    assert sorted(path.name for path in files) == ["__init__.py", "format.toml", "market.py"]
    assert sum(len(path.read_text("utf-8").splitlines()) for path in files) < 350


@pytest.fixture
def market(stand: EpicentrStand, tmp_path: Path) -> Iterator[Any]:
    """The package's own class, without a hub around it."""
    spec = importlib.util.spec_from_file_location(
        "epicentr_package", PACKAGE / "__init__.py", submodule_search_locations=[str(PACKAGE)]
    )
    assert spec is not None
    assert spec.loader is not None
    package = sys.modules["epicentr_package"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    made = package.EpicentrMarket(package.EpicentrSettings(address=stand.url, key="k"), MemoryHub(tmp_path))  # type: ignore[attr-defined]
    yield made
    made.close()
    del sys.modules["epicentr_package"], sys.modules["epicentr_package.market"]


@pytest.mark.parametrize(
    "odd",
    [
        {"address": [{"a": 1}]},
        {"address": {"shipment": "np", "recipient": "Іван"}},
        {"settlement": "Київ", "office": 5},
    ],
)
def test_what_is_said_in_another_shape_is_left_out(stand: EpicentrStand, market: Any, odd: dict[str, Any]) -> None:
    order = {**stand.buy(x=1), **odd}
    assert [line.offer for line in market.draft(order).order.lines] == ["x"]
    market.buyer(order)


@pytest.mark.parametrize(
    "odd",
    [
        {"items": "x"},
        {"items": {"a": 1}},
        {"items": ["x"]},
        {"subtotal": "9e999999"},
        {"subtotal": None},
        {"subtotal": -5},
        {"createdAt": "soon"},
    ],
)
def test_an_order_that_cannot_be_read_is_one_bad_record(stand: EpicentrStand, market: Any, odd: dict[str, Any]) -> None:
    with pytest.raises(BadRecord):
        market.draft({**stand.buy(x=1), **odd})


def test_a_status_that_does_not_move_is_refused_after_as_many_steps_as_there_are(
    stand: EpicentrStand, market: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = stand.buy(x=1)
    monkeypatch.setattr(stand, "_status", lambda _id, _status, said: (200, {}))
    with pytest.raises(BadRecord):
        market.change_status(StatusChange(order["id"], order["number"], "sent"), None)
    assert len(stand.calls("change-status", "POST")) == 6


def test_a_list_that_does_not_go_on_is_the_owners_affair(
    stand: EpicentrStand, market: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _order in range(130):
        stand.buy(x=1)
    whole = stand._orders
    monkeypatch.setattr(stand, "_orders", lambda said: whole({**said, "cursor": 0}))
    with pytest.raises(NeedsOwner):
        list(market.orders(None, stand.now() - timedelta(days=1)))


@pytest.mark.long
def test_an_installed_package_takes_orders_and_tells_statuses_numbers_prices_and_stock(
    make_hub: Callable[..., Any], stand: EpicentrStand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hub = make_hub().init()
    hub.env["OBMEN_ALLOW_PRIVATE"] = "1"
    goods = tmp_path / "goods"
    goods.mkdir()
    (goods / "import.xml").write_text(GOODS, "utf-8")
    (goods / "offers.xml").write_text(OFFERS, "utf-8")
    hub.cli("load", "commerceml", str(goods), "--connection", "1C", "--create")
    hub.cli("format", "key", "publisher.key", "--publisher", "Obmen")
    hub.cli("format", "build", str(PACKAGE), "-o", "epicentr.obmen")
    hub.cli("format", "sign", "epicentr.obmen", "--key", "publisher.key")
    hub.cli("format", "trust", "publisher.key.pub", "--yes")
    hub.cli("format", "add", "epicentr.obmen")

    settings = {"address": stand.url, "key": "k", "offer_id": "article", "price_kind": "retail"}  # type: ignore[attr-defined]
    hub.cli("connection", "add", "epicentr", "Епіцентр", *[f"--set={name}={value}" for name, value in settings.items()])
    assert stand.url.split("/")[2].split(":")[0] in hub.cli("check", "Епіцентр").stdout  # type: ignore[attr-defined]

    # What the owner does on the tab “Orders”: which state of the books is which status there.
    exported = hub.cli("connection", "export", "Епіцентр").stdout
    mapped = re.sub(r'(theirs = "(\w+)"\n(?:(?!ours)[^\n]*\n)*?ours = )""', r'\1"\2"', exported)
    assert mapped != exported
    (tmp_path / "mapped.toml").write_text(mapped, "utf-8")
    hub.cli("connection", "apply", "mapped.toml")

    stand.offers.update({"A-1": {}, "A-2": {}})
    first, second = stand.buy(**{"A-1": 2}), stand.buy(**{"A-2": 1})
    hub.cli("run", "Епіцентр", "orders-in", "offers-out", "--since", "2020-01-01 00:00")
    orders = {row["number"]: row for row in map(json.loads, hub.cli("dump", "orders").stdout.splitlines())}
    taken = orders[first["number"]]
    assert (taken["total"], taken["counterparty"]["name"], [(r["offer"], r["quantity"]) for r in taken["lines"]]) == (
        "200",
        "Коваль Олена",
        [("p-1", "2")],
    )
    assert [row["offer"] for row in orders[second["number"]]["lines"]] == ["p-2"]

    assert stand.offers == {
        "A-1": {"prices": {"price": 189.5}, "availability": "in_stock"},
        "A-2": {"prices": {"price": 95.9}, "availability": "not_available"},
    }

    taken |= {"state": "sent", "delivery": {**taken["delivery"], "tracking": "20450000000001"}}
    (tmp_path / "orders.jsonl").write_text(json.dumps(taken, ensure_ascii=False) + "\n", "utf-8")
    hub.cli("load", "orders", "orders.jsonl")
    hub.cli("run", "Епіцентр", "statuses-out")
    there = stand.orders[first["id"]]
    assert (there["statusCode"], there["address"]["shipment"]["number"]) == ("sent", "20450000000001")
    assert [call.path.rsplit("/", 1)[1] for call in stand.calls("change-status", "POST")] == [
        "confirmed_by_merchant",
        "confirmed",
        "sent",
    ]

    writes = dict(stand.writes)
    hub.cli("run", "Епіцентр")
    assert dict(stand.writes) == writes
    assert not hub.cli("dump", "parked").stdout.strip()
