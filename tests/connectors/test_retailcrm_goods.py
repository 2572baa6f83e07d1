"""Stock, prices and the catalogue for the CRM (facts §1.7, §1.9, §1.10, §5), over real HTTP against the sandbox."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from connectors.retailcrm_kit import CUP, DISH, MUG, START, Kit, good, running
from obmen.core.contract import NeedsOwner
from obmen.core.engine import push
from obmen.core.records import Good, Price, Stock, Subject
from obmen.formats.icml import validate


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    with running(tmp_path) as running_kit:
        running_kit.hub.map("out", Subject.WAREHOUSE, "main", "main")
        yield running_kit


def goods(kit: Kit, stream: str, **settings: Any) -> Counter[str]:
    """One run: every good of the sink's choice."""
    sink: Any = kit.sink(stream, **settings)
    rows = ((g.record_id, g.version, g) for g in kit.hub.books.goods(sink.choice))
    return push(sink, rows, kit.store, connection="crm")


def uploads(kit: Kit, what: str) -> list[Any]:
    return [call.form[{"inventories": "offers", "prices": "prices"}[what]] for call in kit.asked(f"/store/{what}/upload")]


# --- stock ---------------------------------------------------------------------------------------------------------------------


def test_stock_goes_with_zeros_as_text_by_the_table_of_warehouses(kit: Kit) -> None:
    """§1.9, W-04, C-09, F-03, M-07: strings with a dot, zero stock included."""
    kit.hub.map("out", Subject.WAREHOUSE, "second", "far")
    kit.hub.books.all_goods[0] = good(1, CUP, "УТ-1", "A-1", "Чашка", {"buy": "60.50"}, {"main": "5.250", "far": -2, "else": 9})
    assert goods(kit, "stock-out", purchase_price="buy") == Counter(created=3)
    (call,) = kit.asked("/store/inventories/upload")
    assert call.form == {
        "site": "shop",
        "offers": [
            {"xmlId": "УТ-1", "stores": [{"code": "main", "available": "5.25", "purchasePrice": "60.5"},
                                         {"code": "second", "available": "0", "purchasePrice": "60.5"}]},
            {"xmlId": "УТ-2", "stores": [{"code": "main", "available": "0", "purchasePrice": "140"},
                                         {"code": "second", "available": "3", "purchasePrice": "140"}]},
            {"xmlId": "УТ-3", "stores": [{"code": "main", "available": "7"}, {"code": "second", "available": "0"}]},
        ],
    }  # fmt: skip
    assert kit.account.stock(CUP) == {"main": Decimal("5.25"), "second": 0}


def test_what_is_sold_and_not_yet_in_the_accounting_is_taken_off_from_where_most_are(kit: Kit) -> None:
    kit.hub.map("out", Subject.WAREHOUSE, "second", "far")
    cup = good(1, CUP, "УТ-1", "A-1", "Чашка", {}, {"main": 5, "far": 2})
    kit.hub.books.all_goods = [cup]
    told = {}
    for reserved in (0, 1, 4, 6, 9):
        kit.hub.books.all_goods[0] = replace(cup, reserved=Decimal(reserved), version=1 + reserved)
        goods(kit, "stock-out")
        told[reserved] = kit.account.stock(CUP)
    assert told == {
        0: {"main": 5, "second": 2},
        1: {"main": 4, "second": 2},
        4: {"main": 1, "second": 2},
        6: {"main": 0, "second": 1},
        9: {"main": 0, "second": 0},
    }
    goods(kit, "stock-out", less_reserved=False)
    assert kit.account.stock(CUP) == {"main": 5, "second": 2}


def test_only_what_changed_is_sent_again(kit: Kit) -> None:
    goods(kit, "stock-out")
    assert goods(kit, "stock-out") == Counter(unchanged=3)
    card = kit.hub.books.all_goods[1]
    kit.hub.books.all_goods[1] = replace(card, offer=replace(card.offer, stock=(Stock("main", Decimal(2)),)), version=2)
    assert goods(kit, "stock-out") == Counter(unchanged=2, updated=1)
    assert [row["xmlId"] for row in uploads(kit, "inventories")[1]] == ["УТ-2"]


@pytest.mark.parametrize(("count", "batches"), [(249, [249]), (250, [250]), (251, [250, 1]), (500, [250, 250])])
def test_scenario_12_nothing_is_lost_at_the_borders_of_batches(kit: Kit, count: int, batches: list[int]) -> None:
    """Defects of §1.9: the last item was lost at a multiple of 250, the last flush when the last warehouse was not mapped."""
    kit.hub.map("out", Subject.WAREHOUSE, "", "far")  # a row without a code
    kit.hub.books.all_goods = [
        good(n, f"k{n}", f"C{n}", "", f"Товар {n}", {}, {"main": n, "far": 1}) for n in range(1, count + 1)
    ]
    for n in range(1, count + 1):
        kit.account.add_offer(f"k{n}", f"Товар {n}", 1, xml_id=f"C{n}")
    assert goods(kit, "stock-out") == Counter(created=count)
    assert [len(rows) for rows in uploads(kit, "inventories")] == batches
    assert all(kit.account.stock(f"k{n}") == {"main": n} for n in (1, count))
    assert kit.hub.reported == Counter(
        {("warning", "The warehouse “far” has no code of the CRM in the table of warehouses: its stock is not sent"): 1}
    )


def test_offers_that_the_crm_does_not_know_are_named_and_tried_again(kit: Kit) -> None:
    """Defect: notFoundOffers was not reported. Scenario 12."""
    kit.hub.books.all_goods.append(good(4, "vase", "УТ-4", "", "Ваза", {}, {"main": 1}))
    assert goods(kit, "stock-out") == Counter(created=3, parked=1)
    ((_where, error),) = kit.store.parked.values()
    assert str(error).startswith("The CRM does not know “Ваза” (УТ-4)")
    kit.account.add_offer("vase", "Ваза", 1, xml_id="УТ-4")
    assert goods(kit, "stock-out") == Counter(unchanged=3, created=1)
    assert kit.account.stock("vase") == {"main": 1}


def test_more_than_fifty_stores_of_an_offer_go_in_several_calls(kit: Kit) -> None:
    """Complaint 7."""
    for n in range(60):
        kit.account.account.references["stores"][f"s{n}"] = {
            "code": f"s{n}",
            "name": f"s{n}",
            "active": True,
            "inventoryType": "integer",
        }
        kit.hub.map("out", Subject.WAREHOUSE, f"s{n}", f"h{n}")
    kit.hub.books.all_goods = [good(1, CUP, "УТ-1", "", "Чашка", {}, {f"h{n}": n for n in range(60)})]
    assert goods(kit, "stock-out") == Counter(created=1)
    assert [len(rows[0]["stores"]) for rows in uploads(kit, "inventories")] == [50, 11]
    assert kit.account.stock(CUP)["s59"] == 59


def test_two_warehouses_of_one_store_are_added_up(kit: Kit) -> None:
    kit.hub.map("out", Subject.WAREHOUSE, "main", "far")
    kit.hub.books.all_goods = [good(1, CUP, "УТ-1", "", "Чашка", {}, {"main": 2, "far": 3})]
    goods(kit, "stock-out")
    assert kit.account.stock(CUP) == {"main": 5}


def test_without_warehouses_nothing_is_sent(kit: Kit) -> None:
    """stock.noStores"""
    kit.hub.mappings.clear()
    with pytest.raises(NeedsOwner, match="No warehouse is mapped"):
        goods(kit, "stock-out")
    assert kit.asked() == []


def test_a_refused_upload_says_what_to_switch_on(kit: Kit) -> None:
    """stock.crit"""
    kit.hub.map("out", Subject.WAREHOUSE, "no-such", "far")
    with pytest.raises(NeedsOwner, match="reservation and editing of stock have to be on"):
        goods(kit, "stock-out")


def test_c09_without_a_purchase_price_none_is_sent(kit: Kit) -> None:
    goods(kit, "stock-out")
    assert all("purchasePrice" not in store for row in uploads(kit, "inventories")[0] for store in row["stores"])


@pytest.mark.parametrize(
    ("settings", "field", "ids"),
    [
        ({"product_id": "code"}, "xmlId", ["УТ-1", "УТ-2", "УТ-3"]),
        ({"product_id": "guid", "offer_id": "externalId"}, "externalId", [CUP, MUG, DISH]),
        ({"characteristics": True, "offer_id": "externalId"}, "externalId", [CUP, MUG, DISH]),
    ],
)
def test_k02_k03_k04_the_id_of_goods_is_chosen(kit: Kit, settings: Any, field: str, ids: list[str]) -> None:
    assert goods(kit, "stock-out", **settings) == Counter(created=3)
    assert [row[field] for row in uploads(kit, "inventories")[0]] == ids


def test_k03_with_the_article_as_id_goods_without_one_are_left_out_everywhere(kit: Kit) -> None:
    kit.account.add_offer("by-article", "Чашка", 100, xml_id="A-1")
    kit.account.add_offer("by-article-3", "Блюдо", 100, xml_id="A-3")
    kit.hub.books.all_goods[1] = good(2, MUG, "УТ-2", "", "Кружка", {"base": 1}, {"main": 1})
    assert goods(kit, "stock-out", product_id="article") == Counter(created=2, unchanged=1)


def test_goods_without_a_code_are_named(kit: Kit) -> None:
    kit.hub.books.all_goods[1] = good(2, MUG, "", "A-2", "Кружка", {}, {"main": 1})
    assert goods(kit, "stock-out") == Counter(created=2, parked=1)
    ((_where, error),) = kit.store.parked.values()
    assert str(error) == "“Кружка” has no code: it is not sent. Fill it in on the card"


def test_two_goods_with_one_id_are_not_mixed(kit: Kit) -> None:
    kit.hub.books.all_goods[1] = good(2, MUG, "УТ-1", "A-2", "Кружка", {}, {"main": 1})
    assert goods(kit, "stock-out") == Counter(created=2, parked=1)
    assert "has the same id as another: УТ-1" in str(next(iter(kit.store.parked.values()))[1])


def test_variants_need_characteristics_and_services_have_no_stock(kit: Kit) -> None:
    kit.hub.books.all_goods = [
        good(1, f"{CUP}#blue", "УТ-1", "", "Чашка, синяя", {}, {"main": 1}),
        good(2, "srv", "УТ-9", "", "Доставка", {}, {"main": 1}, product={"kind": "Услуга"}),
    ]
    assert goods(kit, "stock-out") == Counter(unchanged=2)
    assert uploads(kit, "inventories") == []
    assert "has variants: switch “Use characteristics” on" in "".join(text for _level, text in kit.hub.reported)
    kit.account.add_offer("blue", "Чашка", 1, xml_id=f"{CUP}#blue")
    assert goods(kit, "stock-out", characteristics=True) == Counter(created=1, unchanged=1)


def test_k01_groups_limit_stock_and_prices(kit: Kit) -> None:
    card = kit.hub.books.all_goods[2]
    kit.hub.books.all_goods[2] = replace(card, product=replace(card.product, groups=("g3",)))
    assert goods(kit, "stock-out", groups="g1") == Counter(created=2)


# --- prices ---------------------------------------------------------------------------------------------------------------------


def test_scenario_13_prices_of_the_mapped_kinds_go_together_for_each_offer(kit: Kit) -> None:
    """§1.10, P-01, F-04, F-05, M-08: one entry for an offer, the ordinary price and not one for a greater quantity."""
    kit.hub.map("out", Subject.PRICE_KIND, "base", "base")
    kit.hub.map("out", Subject.PRICE_KIND, "wholesale", "buy")
    many = (Price("base", Decimal(90), min_quantity=Decimal(10)), Price("base", Decimal("100.50")), Price("buy", Decimal(60)))
    card = kit.hub.books.all_goods[0]
    kit.hub.books.all_goods[0] = replace(card, offer=replace(card.offer, prices=many))
    assert goods(kit, "prices-out", price_types=True) == Counter(created=3)
    assert uploads(kit, "prices") == [[
        {"xmlId": "УТ-1", "site": "shop", "prices": [{"code": "base", "price": "100.5"}, {"code": "wholesale", "price": "60"}]},
        {"xmlId": "УТ-2", "site": "shop", "prices": [{"code": "base", "price": "250"}, {"code": "wholesale", "price": "140"}]},
        {"xmlId": "УТ-3", "site": "shop", "prices": [{"code": "base", "price": "33"}]},
    ]]  # fmt: skip
    assert kit.account.prices(CUP) == {"base": Decimal("100.5"), "wholesale": 60}


def test_prices_need_a_table_and_known_types(kit: Kit) -> None:
    """price.noMap, price.fail, P-03."""
    with pytest.raises(NeedsOwner, match="No price kind is mapped"):
        goods(kit, "prices-out", price_types=True)
    kit.hub.map("out", Subject.PRICE_KIND, "no-such", "base")
    with pytest.raises(NeedsOwner, match="The price types have to be in the CRM"):
        goods(kit, "prices-out", price_types=True)


def test_goods_without_a_price_are_not_sent_as_free(kit: Kit) -> None:
    kit.hub.map("out", Subject.PRICE_KIND, "base", "nothing")
    assert goods(kit, "prices-out", price_types=True) == Counter(unchanged=3)
    assert uploads(kit, "prices") == []


# --- the catalogue ----------------------------------------------------------------------------------------------------------------

CATALOGUE: dict[str, Any] = {"selling_price": "base", "purchase_price": "buy", "product_id": "guid", "offer_id": "externalId"}


def written(kit: Kit, **settings: Any) -> tuple[bytes, dict[str, int]]:
    (feed,) = kit.connector(**CATALOGUE | settings).feeds()
    file = io.BytesIO()
    counts = feed.write(file, kit.hub.books, START)
    assert kit.asked() == []  # no call is needed for it
    return file.getvalue(), dict(counts)


def offers(xml: bytes) -> list[Any]:
    return etree.fromstring(xml).findall("shop/offers/offer")


def rich(kit: Kit) -> Good:
    card = good(
        1, CUP, "УТ-1", "A-1", 'Чашка "Люкс"', {"base": 100, "buy": 60}, {"main": 5, "else": 100}, barcode="4600000000017",
        product={
            "manufacturer": "Завод", "vat_rate": "20", "weight": Decimal("0.350"), "unit": "796",
            "unit_attributes": (("code", "796"), ("full_name", "Штука"), ("short_name", "шт")),
            "pictures": ("import_files/a b.jpg", "https://cdn.example/c.jpg"),
            "requisites": (("Длина", "10"), ("Ширина", "8,5"), ("Высота", "9"), ("Маркировка", "Да")),
            "properties": (("link", ("https://shop.example/cup",)),),
        },
    )  # fmt: skip
    kit.hub.books.all_goods[0] = card
    return card


def test_k06_an_offer_of_the_catalogue_has_everything_that_the_books_know(kit: Kit) -> None:
    """K-01 to K-06, §5.4, scenario 16, C-09, C-10."""
    rich(kit)
    xml, counts = written(
        kit,
        images_url="https://shop.example/pic/",
        url_property="link",
        markable_property="Маркировка",
        groups="g1",
        shop_name="Посуда+",
    )
    assert counts == {"categories": 2, "offers": 3, "left_out": 0}
    root = etree.fromstring(xml)
    assert (root.get("date"), root.findtext("shop/name"), root.findtext("shop/company")) == (
        "2026-03-02 09:00:00",
        "Посуда+",
        "Посуда+",
    )
    assert [(c.get("id"), c.get("parentId"), c.text) for c in root.iter("category")] == [
        ("g1", None, "Посуда"),
        ("g2", "g1", "Чашки"),
    ]
    offer = offers(xml)[0]
    assert dict(offer.attrib) == {"id": CUP, "productId": CUP, "quantity": "5", "type": "product"}
    assert [(child.tag, child.text) for child in offer] == [
        ("url", "https://shop.example/cup"), ("picture", "https://shop.example/pic/import_files/a%20b.jpg"),
        ("picture", "https://cdn.example/c.jpg"), ("price", "100"), ("purchasePrice", "60"), ("categoryId", "g2"),
        ("name", 'Чашка "Люкс"'), ("xmlId", CUP), ("productName", 'Чашка "Люкс"'), ("param", "A-1"), ("vendor", "Завод"), ("unit", None),
        ("weight", "0.35"), ("dimensions", "10/8.5/9"), ("vatRate", "20"), ("barcode", "4600000000017"), ("markable", "Y"),
    ]  # fmt: skip
    assert dict(offer.find("unit").attrib) == {"code": "796", "name": "Штука", "sym": "шт"}
    assert list(validate.validate(io.BytesIO(xml), "icml.xml")) == []
    assert kit.account.load_icml(xml).skipped == []


def test_k05_the_file_may_be_put_at_a_path_and_has_a_name(kit: Kit) -> None:
    (feed,) = kit.connector(catalogue_path=" /srv/www/icml.xml ").feeds()
    assert (feed.name, feed.path, feed.stream) == ("icml.xml", "/srv/www/icml.xml", "catalogue-out")


def test_the_head_names_the_shop_by_its_code_when_it_has_no_name(kit: Kit) -> None:
    xml, _counts = written(kit)
    assert etree.fromstring(xml).findtext("shop/name") == "shop"


@pytest.mark.parametrize(("unit", "said"), [("m", "1000/850/900"), ("cm", "10/8.5/9"), ("mm", "1/0.85/0.9")])
def test_dimensions_are_told_in_centimetres(kit: Kit, unit: str, said: str) -> None:
    rich(kit)
    xml, _counts = written(kit, dimension_unit=unit)
    assert offers(xml)[0].findtext("dimensions") == said
    xml, _counts = written(kit, dimensions="Длина, Ширина, Глубина")
    assert offers(xml)[0].find("dimensions") is None


def test_k04_with_characteristics_variants_are_offers_of_one_product(kit: Kit) -> None:
    """K-04: GUID#GUID, «Наименование, Характеристика»; a product without one is its own offer."""
    blue = good(1, f"{CUP}#c1", "УТ-1", "", "Чашка", {"base": 100}, {"main": 2}, characteristics=(("Цвет", "Синий"),))
    kit.hub.books.all_goods = [blue, good(2, MUG, "УТ-2", "", "Кружка", {"base": 1}, {})]
    xml, _counts = written(kit, characteristics=True)
    first, second = offers(xml)
    assert (first.get("id"), first.get("productId"), first.findtext("xmlId")) == (f"{CUP}#c1", CUP, f"{CUP}#c1")
    assert (first.findtext("name"), first.findtext("productName")) == ("Чашка, Синий", "Чашка")
    assert [(p.get("code"), p.get("name"), p.text) for p in first.findall("param")] == [("cvet", "Цвет", "Синий")]
    assert (second.get("id"), second.get("productId"), second.findtext("name")) == (MUG, MUG, "Кружка")


def test_services_say_so_and_have_no_stock(kit: Kit) -> None:
    """Scenario 16."""
    kit.hub.books.all_goods = [good(1, "srv", "УТ-9", "", "Сборка", {"base": 500}, {"main": 1}, product={"kind": "Услуга"})]
    xml, _counts = written(kit)
    assert dict(offers(xml)[0].attrib) == {"id": "srv", "productId": "srv", "type": "service"}


def test_what_cannot_be_written_is_left_out_and_named(kit: Kit) -> None:
    kit.hub.books.all_goods += [
        good(4, "dear", "УТ-4", "", "Без цены", {}, {}),
        good(5, "twin", "УТ-1", "", "Двойник", {"base": 1}, {}),
        good(6, "bare", "", "", "Без кода", {"base": 1}, {}),
        good(7, f"{CUP}#x", "УТ-7", "", "Вариант", {"base": 1}, {}),
    ]
    _xml, counts = written(kit, product_id="code")
    assert (counts["offers"], counts["left_out"]) == (3, 4)
    told = "; ".join(text for _level, text in kit.hub.reported)
    for words in ("“Без цены” has no price", "“Двойник” has the same id", "“Без кода” has no code", "“Вариант” has variants"):
        assert words in told


def test_c10_without_a_selling_price_there_is_no_catalogue(kit: Kit) -> None:
    with pytest.raises(NeedsOwner, match="No selling price is chosen"):
        written(kit, selling_price="")


def test_scenario_16_a_catalogue_that_would_switch_off_too_much_is_refused(kit: Kit, tmp_path: Path) -> None:
    """§5.3 E18, complaint 11."""
    kit.hub.books.all_goods = [good(n, f"k{n}", f"C{n}", "", f"Товар {n}", {"base": 1}, {}) for n in range(1, 11)]
    old, new = tmp_path / "old.xml", tmp_path / "new.xml"
    old.write_bytes(written(kit)[0])
    del kit.hub.books.all_goods[:2]
    new.write_bytes(written(kit)[0])
    (feed,) = kit.connector(**CATALOGUE).feeds()
    with pytest.raises(NeedsOwner, match=r"would switch off 2 of 10 offers in the CRM \(20.0 %, allowed are 10 %\)"):
        feed.allow(old, new)
    (feed,) = kit.connector(may_vanish=20, **CATALOGUE).feeds()
    feed.allow(old, new)


def test_the_catalogue_needs_neither_address_nor_key(tmp_path: Path, kit: Kit) -> None:
    """S-05: the tab is open before the check."""
    kit.settings = {}
    xml, _counts = written(kit)
    assert len(offers(xml)) == 3
    connector = kit.connector()
    assert [s.stream for s in connector.sources()] == ["orders-in", "customers-in"]


def test_prices_and_stock_reach_the_offers_of_our_catalogue(kit: Kit) -> None:
    """The setup in the manual's order: catalogue, stock, prices."""
    rich(kit)
    for key in (CUP, MUG, DISH):
        kit.account.forget_offer(key)
    kit.account.load_icml(written(kit)[0])
    assert goods(kit, "stock-out", **CATALOGUE) == Counter(created=3)
    assert kit.account.stock(CUP) == {"main": 5}
