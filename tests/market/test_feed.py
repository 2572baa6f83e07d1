"""The price list that marketplaces fetch: what stands in it, what is refused by name, and when the old one stays."""

from __future__ import annotations

import gzip
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage

from market.goods_kit import BazaarConnector, Hub, Stall, a_stall, good, group, set_price, set_stock, table  # noqa: F401 - a fixture
from obmen.core.contract import NeedsOwner
from obmen.formats.yml import reader, validate
from obmen.formats.yml.dialect import built_in
from obmen.formats.yml.model import Category, Currency, Header, OfferEntry, Param
from obmen.market.feed import PriceList
from obmen.store import feeds, models, reading

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 2, 8, 30, tzinfo=UTC)


def shop(stall: Stall, **settings: Any) -> Hub:
    return Hub(stall, **{"price_kind": "retail", **settings})


def written(hub: Hub, dialect: str = "any") -> tuple[bytes, dict[str, int], list[str]]:
    """(file, counts, messages)."""
    connector = hub.connector()
    said: list[str] = []
    connector.hub.report = lambda level, text, **facts: said.append(text.format(**facts))
    feed, file = PriceList(connector.account, dialect), io.BytesIO()
    counts = dict(feed.write(file, reading.Books(), NOW))
    return file.getvalue(), counts, said


def entries(hub: Hub, dialect: str = "any") -> list[Any]:
    return list(reader.read(io.BytesIO(written(hub, dialect)[0]), built_in()[dialect], "goods.xml"))


def offers(hub: Hub, dialect: str = "any") -> dict[str, OfferEntry]:
    return {entry.id: entry for entry in entries(hub, dialect) if isinstance(entry, OfferEntry)}


def test_goods_stand_in_the_price_list_with_all_that_is_known_of_them(stall: Stall) -> None:
    models.Property.objects.create(key="c-mat", name="Матеріал")
    group("g1", "Посуд")
    group("g2", "Чашки", "g1")
    good(
        "p1", "Чашка", stock=3, price=90, old=120, group="g2", article="ЧШ-1", barcode="482", description="<b>Біла</b>",
        manufacturer="Завод", country="Україна", pictures=["import_files/1 a#b.jpg", "https://cdn.example/2.jpg"],
        properties=[["c-mat", ["порцеляна"]]],
    )  # fmt: skip
    hub = shop(
        stall, old_price_kind="before", images_url="https://shop.example/i/", shop_name="Крамниця", company="ТОВ Приклад",
        shop_url="https://shop.example", category_ids={"g2": "4711"},
    )  # fmt: skip
    header, currency, *rest = entries(hub)
    kyiv = (NOW + timedelta(hours=2)).replace(tzinfo=None)
    assert header == Header("Крамниця", "ТОВ Приклад", kyiv, "https://shop.example")
    assert currency == Currency("UAH", "1")
    assert rest[:2] == [Category("g1", "Посуд"), Category("g2", "Чашки", "g1", "4711")]
    assert rest[2:] == [
        OfferEntry(
            "p1", "Чашка", Decimal(90), "g2", presence="available", old_price=Decimal(120), currency="UAH", portal_category="4711",
            pictures=("https://shop.example/i/import_files/1%20a%23b.jpg", "https://cdn.example/2.jpg"), vendor="Завод", article="ЧШ-1",
            country="Україна", description="<b>Біла</b>", quantity=Decimal(3), barcode="482", params=(Param("Матеріал", "порцеляна"),),
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("offer_id", "ids"), [("key", ["p1", "p2-red"]), ("code", ["c-p1", "c-p2"]), ("article", ["a-p1", "V-1"])]
)
def test_the_id_is_the_one_of_the_settings(stall: Stall, offer_id: str, ids: list[str]) -> None:
    good("p1", price=1)
    good("p2#red", price=1, offer={"article": "V-1"})
    assert list(offers(shop(stall, offer_id=offer_id))) == ids


def test_variants_have_names_of_their_own_and_one_group(stall: Stall) -> None:
    for size in ("S", "M"):
        good(f"p1#{size}", "Футболка", price=1, offer={"characteristics": [["Розмір", size]]})
    found = offers(shop(stall))
    assert [(e.name, e.group, e.params) for e in found.values()] == [
        ("Футболка, S", "p1", (Param("Розмір", "S"),)),
        ("Футболка, M", "p1", (Param("Розмір", "M"),)),
    ]


def test_what_cannot_be_sold_is_left_out_and_told_by_name(stall: Stall) -> None:
    good("p1", "Добра", price=1)
    good("p2", "Без ціни")
    good("p3", "Без коду", price=1, code="")
    good("p4", "Двійник", price=1, code="c-p1")
    good("p5", "Доларова", price=1, currency="USD")
    _file, counts, said = written(shop(stall, offer_id="code"))
    assert counts == {"categories": 0, "offers": 1, "left_out": 4, "sold_out": 0}
    assert [next(name for name in ("Без ціни", "Без коду", "Двійник", "Доларова") if name in text) for text in said] == [
        "Без ціни", "Без коду", "Двійник", "Доларова",
    ]  # fmt: skip


@pytest.mark.parametrize(("sold_out", "presence"), [("not_available", "not_available"), ("order", "order"), ("left_out", None)])
def test_goods_that_are_sold_out(stall: Stall, sold_out: str, presence: str | None) -> None:
    good("p1", price=1, stock=2)
    good("p2", price=1, stock=5)
    hub = shop(stall, sold_out=sold_out, stock_reserve=3)
    found = offers(hub, "prom")
    assert {key: (e.presence, e.quantity) for key, e in found.items()} == {
        **({"p1": (presence, Decimal(0))} if presence else {}),
        "p2": ("available", Decimal(2)),
    }
    assert written(hub, "prom")[1]["sold_out"] == (presence is None)


def test_without_stock_goods_are_available_and_no_quantity_is_said(stall: Stall) -> None:
    good("p1", price=1, stock=0)
    entry = offers(shop(stall, send_stock=False))["p1"]
    assert (entry.presence, entry.quantity) == ("available", None)


def test_the_table_of_attributes_fills_fields_and_params(stall: Stall) -> None:
    good("p1", "Чашка", price=1, description="Біла", properties=[["c-mat", ["порцеляна"]], ["ID сайту", ["77"]]])
    rows = table(
        {"theirs": "name_ua", "value": "{name} {article}"},
        {"theirs": "description_ua", "ours": "description"},
        {"theirs": "vendor", "value": "Завод"},
        {"theirs": "c-mat", "ours": "c-mat", "value": "порцеляна = фарфор"},
        {"theirs": "Стан", "value": "новий"},
        {"theirs": "Порожній", "ours": "country"},
    )
    entry = offers(shop(stall, attributes=rows), "prom")["p1"]
    assert (entry.name_ua, entry.description_ua, entry.vendor) == ("Чашка a-p1", "Біла", "Завод")
    assert entry.params == (Param("c-mat", "фарфор"), Param("Стан", "новий"))


@pytest.mark.parametrize(
    ("params", "names"), [("all", ["Розмір", "c-mat", "Стан"]), ("characteristics", ["Розмір", "Стан"]), ("mapped", ["Стан"])]
)
def test_what_becomes_a_param_by_itself_is_a_setting(stall: Stall, params: str, names: list[str]) -> None:
    good("p1#s", price=1, properties=[["c-mat", ["порцеляна"]]], offer={"characteristics": [["Розмір", "S"]]})
    entry = offers(shop(stall, feed_params=params, attributes=table({"theirs": "Стан", "value": "новий"})))["p1-s"]
    assert [param.name for param in entry.params] == names


def test_only_the_chosen_groups(stall: Stall) -> None:
    group("g1")
    group("g2")
    good("p1", price=1, group="g1")
    good("p2", price=1, group="g2")
    hub = shop(stall, groups=["g1"])
    assert list(offers(hub)) == ["p1"]
    assert [e.id for e in entries(hub) if isinstance(e, Category)] == ["g1"]


def test_a_dialect_says_what_is_taken_and_the_file_is_right_by_its_rules(stall: Stall, tmp_path: Path) -> None:
    group("g1", "Чашки")
    good("p1#s", "Чашка", price=90, stock=3, group="g1", manufacturer="Завод", pictures=["https://cdn.example/1.jpg"],
         offer={"characteristics": [["Розмір", "S"]]})  # fmt: skip
    good("p2", "Без виробника", price=90, stock=3, group="g1")
    file, counts, said = written(shop(stall), "rozetka")
    assert (counts["offers"], counts["left_out"]) == (1, 1)
    assert "Без виробника" in said[0]
    path = tmp_path / "goods.xml"
    path.write_bytes(file)
    assert list(validate.validate(path, built_in()["rozetka"])) == []


def test_an_unknown_dialect_and_a_missing_price_kind_are_said(stall: Stall) -> None:
    hub = Hub(stall)
    with pytest.raises(NeedsOwner, match="choose the price kind"):
        written(hub)
    with pytest.raises(NeedsOwner, match="No dialect of YML is called “klingon”; there are any, prom, rozetka"):
        PriceList(hub.connector().account, "klingon")


# --- served ----------------------------------------------------------------------------------------------------------------


def served(hub: Hub) -> bytes:
    row = feeds.row(hub.connection, "goods.xml")
    with default_storage.open(row.file) as file:
        return gzip.decompress(file.read())


def test_the_same_goods_give_the_same_bytes_and_a_second_run_is_idle(stall: Stall) -> None:
    good("p1", price=1, stock=1)
    hub = shop(stall)
    assert hub.counts("catalogue-out") == {"published": 1}
    first = served(hub)
    assert hub.counts("catalogue-out") == {"unchanged": 1}
    set_stock("p1", 2)
    assert hub.counts("catalogue-out") == {"published": 1}
    assert served(hub) != first


def test_a_price_list_without_goods_is_not_published(stall: Stall) -> None:
    good("p1", price=0, stock=1)
    hub = shop(stall)
    run = hub.run("catalogue-out")
    assert (run.state, run.facts["count"]) == ("needs_owner", 1)
    assert feeds.row(hub.connection, "goods.xml").file == ""


def test_a_price_list_that_loses_too_much_leaves_the_old_one(stall: Stall, tmp_path: Path) -> None:
    for key in ("p1", "p2", "p3"):
        good(key, price=1)
    hub = shop(stall, feed_path=str(tmp_path / "copy.xml"))
    hub.counts("catalogue-out")
    first = served(hub)
    assert (tmp_path / "copy.xml").read_bytes() == first
    set_price("p1", None)
    run = hub.run("catalogue-out")
    assert (run.state, run.facts["count"], run.facts["total"], run.facts["limit"]) == ("needs_owner", 1, 3, 30)
    assert served(hub) == first
    hub.set(may_vanish=34)
    hub.counts("catalogue-out")
    assert served(hub) != first


def test_the_connection_names_the_dialect(stall: Stall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BazaarConnector, "dialect", "rozetka")
    group("g1", "Чашки")
    good("p1#s", "Чашка", price=90, stock=3, group="g1", manufacturer="Завод", pictures=["https://cdn.example/1.jpg"],
         offer={"characteristics": [["Розмір", "S"]]})  # fmt: skip
    good("p2", "Без виробника", price=90, stock=3, group="g1")
    hub = shop(stall)
    assert hub.counts("catalogue-out") == {"published": 1}
    assert served(hub).count(b"<offer ") == 1
