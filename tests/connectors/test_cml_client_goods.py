"""Goods on their way to a shop: whole runs with the hub's own database against a shop on a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone
from lxml import etree

from connectors.cml_peer import Call, Kit, bent, shop
from obmen.connectors.commerceml_client import CommerceMLClient
from obmen.connectors.commerceml_client.goods import posted
from obmen.core.contract import NeedsOwner
from obmen.core.records import Order, OrderLine, Subject
from obmen.core.settings import load
from obmen.formats.commerceml import validate
from obmen.store import connections, models
from obmen.store.hub import DjangoHub
from obmen.store.orders import save_order
from obmen.work import jobs
from obmen.work import run as runs

pytestmark = pytest.mark.django_db(transaction=True)
CUP, MUG, DISH = (f"{n * 11111111}-1111-4111-8111-111111111111" for n in (1, 2, 3))
RED, BLUE = (f"{n * 11111111}-2222-4222-8222-222222222222" for n in (4, 5))
GOODS = ("products-out", "offers-out")


@pytest.fixture
def kit(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kit]:
    settings.OBMEN_ALLOW_PRIVATE, settings.OBMEN_HOME, settings.MEDIA_ROOT = True, tmp_path, tmp_path / "media"
    monkeypatch.setattr(DjangoHub, "sleep", lambda _self, _seconds: None)
    with shop(tmp_path) as running:
        yield running


def product(
    key: str, name: str, *, group: str = "g2", price: int | None = 100, stock: int | None = 5, **card: Any
) -> models.Offer:
    """A product without characteristics, with the price kinds “base” and “buy” and stock in “main” and “far”."""
    row = models.Product.objects.create(
        key=key, name=name, article=f"A-{name}", group=models.Group.objects.get(key=group), groups=[group], unit="796", vat_rate="20", **card
    )  # fmt: skip
    return offer(row, key, price=price, stock=stock)


def offer(row: models.Product, key: str, *, price: int | None = 100, stock: int | None = 5, **more: Any) -> models.Offer:
    made = models.Offer.objects.create(key=key, product=row, name=row.name, **more)
    if price is not None:
        for kind, value in (("base", price), ("buy", Decimal(price) / 2)):
            models.Price.objects.create(offer=made, kind=reference(Subject.PRICE_KIND, kind), value=value, currency="UAH")
    if stock is not None:
        models.StockLevel.objects.create(offer=made, warehouse=reference(Subject.WAREHOUSE, "main"), quantity=stock)
        models.StockLevel.objects.create(offer=made, warehouse=reference(Subject.WAREHOUSE, "far"), quantity=2)
    return made


def reference(subject: Subject, key: str) -> models.Reference:
    return models.Reference.objects.get_or_create(subject=subject, key=key, defaults={"name": f"Name of {key}"})[0]


@pytest.fixture
def books(kit: Kit) -> None:
    top = models.Group.objects.create(key="g1", name="Посуда")
    models.Group.objects.create(key="g2", name="Чашки", parent=top)
    models.Group.objects.create(key="g3", name="Прочее")
    product(CUP, "Чашка", description="Белая & тонкая", full_name="Чашка белая", requisites=[["Полка", "7"], ["Секция", "2"]])
    product(MUG, "Кружка", price=250, stock=0)
    product(DISH, "Блюдо", group="g3", price=None, stock=None)


def with_variants(red: int | None = 70, blue: int | None = 70) -> models.Product:
    """A product without a price of its own and with two variants."""
    row = product("99999999-1111-4111-8111-111111111111", "Шарф", price=None, stock=None).product
    for key, value, price in ((RED, "красный", red), (BLUE, "синий", blue)):
        offer(row, f"{row.key}#{key}", price=price, stock=3, characteristics=[["Цвет", value]])
    return row


def connect(kit: Kit, profile: str = "generic", **settings: Any) -> models.Connection:
    own = {"address": kit.url, "login": "robot", "password": "x", "pause": 0, "repeats": 2, "price_kinds": ["base"]}
    return connections.create("commerceml_client", "Shop", profile=profile, settings=own | settings)[0]


def go(connection: models.Connection, *streams: str, state: str = "done") -> models.Run:
    done = runs.execute_here(jobs.ask(connection, streams or GOODS, trigger="person"))
    assert done.state == state, (done.state, done.text, done.facts)
    return done


def failed(connection: models.Connection, *streams: str) -> str:
    """What the run that waits for a person says."""
    return str(go(connection, *streams, state="needs_owner").facts["error"])


def counts(run: models.Run) -> dict[str, int]:
    return {name: n for name, n in run.counts.items() if n}


def taken(kit: Kit) -> dict[str, Any]:
    """{file: its root} of what the shop has imported since the last time, each one free of errors by our own judge."""
    found = {}
    for name, body in kit.shop.imported.items():
        assert [f for f in validate.validate(BytesIO(body), name) if f.level == "error"] == []
        found[name] = etree.fromstring(body)
    kit.shop.imported.clear()
    kit.shop.calls.clear()
    return found


def cards(root: Any) -> dict[str, Any]:
    return {card.findtext("{*}Ид"): card for card in root.iter("{*}Товар")}


def offers(root: Any) -> dict[str, Any]:
    return {card.findtext("{*}Ид"): card for card in root.iter("{*}Предложение")}


def only_changes(root: Any) -> str:
    return next(e.get("СодержитТолькоИзменения") for e in root.iter("{*}Каталог", "{*}ПакетПредложений"))


def requisites(card: Any) -> dict[str, str]:
    return {r.findtext("{*}Наименование"): r.findtext("{*}Значение") for r in card.iter("{*}ЗначениеРеквизита")}


# --- what is sent ------------------------------------------------------------------------------------------------------------


def test_a_first_run_sends_everything_and_a_second_one_nothing_at_all(kit: Kit, books: None) -> None:
    """CS-A4, CS-A19: cards with their groups, then offers with prices and stock."""
    connection = connect(kit)
    assert counts(go(connection)) == {"created": 6}
    found = taken(kit)
    assert list(found) == ["import0_1.xml", "offers0_2.xml"]
    sent, told = found["import0_1.xml"], found["offers0_2.xml"]
    assert [g.findtext("{*}Наименование") for g in sent.iter("{*}Группа")] == ["Посуда", "Чашки", "Прочее"]
    cup = cards(sent)[CUP]
    assert (cup.findtext("{*}Наименование"), cup.findtext("{*}Артикул"), cup.findtext("{*}Описание")) == (
        "Чашка", "A-Чашка", "Белая & тонкая",
    )  # fmt: skip
    assert cup.findtext("{*}Группы/{*}Ид") == "g2"
    assert requisites(cup) == {"Полка": "7", "Секция": "2", "Полное наименование": "Чашка белая"}
    assert offers(told)[CUP].findtext("{*}Цены/{*}Цена/{*}ЦенаЗаЕдиницу") == "100"
    assert offers(told)[CUP].findtext("{*}Количество") == "7"

    assert counts(go(connection)) == {"unchanged": 6}
    assert kit.shop.calls == []


def test_only_what_changed_is_sent_then(kit: Kit, books: None) -> None:
    connection = connect(kit)
    go(connection)
    taken(kit)
    models.Price.objects.filter(offer__key=CUP, kind__key="base").update(value=120)
    models.Product.objects.filter(key=MUG).update(name="Кружка большая")
    assert counts(go(connection)) == {"updated": 2, "unchanged": 4}
    found = taken(kit)
    assert {name: (only_changes(root), list(cards(root)), list(offers(root))) for name, root in found.items()} == {
        "import0_1.xml": ("true", [MUG], []),
        "offers0_2.xml": ("true", [], [CUP]),
    }


def test_a_price_kind_that_is_not_sent_and_a_warehouse_that_is_not_chosen_are_no_news(kit: Kit, books: None) -> None:
    """GM-16: of the chosen warehouses alone."""
    connection = connect(kit, warehouses=["main"])
    go(connection)
    assert offers(taken(kit)["offers0_2.xml"])[CUP].findtext("{*}Количество") == "5"
    models.Price.objects.filter(kind__key="buy").update(value=1)
    models.StockLevel.objects.filter(warehouse__key="far").update(quantity=99)
    assert counts(go(connection)) == {"unchanged": 6}
    assert kit.shop.calls == []


def test_only_goods_of_the_chosen_groups_go_with_their_part_of_the_tree(kit: Kit, books: None) -> None:
    """GM-14, CS-A19."""
    connection = connect(kit, groups=["g1"])
    go(connection)
    found = taken(kit)
    assert set(cards(found["import0_1.xml"])) == {CUP, MUG} == set(offers(found["offers0_2.xml"]))
    assert [g.findtext("{*}Ид") for g in found["import0_1.xml"].iter("{*}Группа")] == ["g1", "g2"]


def test_a_group_that_got_another_name_is_news_by_itself(kit: Kit, books: None) -> None:
    connection = connect(kit)
    go(connection)
    taken(kit)
    models.Group.objects.filter(key="g2").update(name="Чашки и кружки")
    assert counts(go(connection)) == {"unchanged": 6}
    ((name, root),) = taken(kit).items()
    assert (name, [g.findtext("{*}Наименование") for g in root.iter("{*}Группа")]) == (
        "import0_1.xml", ["Посуда", "Чашки и кружки", "Прочее"],
    )  # fmt: skip
    go(connection)
    assert kit.shop.calls == []


def test_parts_of_cards_and_requisites_can_be_left_to_the_shop(kit: Kit, books: None) -> None:
    connection = connect(kit, parts=["requisites"], requisites=["Полка"])
    go(connection, "products-out")
    cup = cards(taken(kit)["import0_1.xml"])[CUP]
    assert (cup.find("{*}Описание"), cup.find("{*}СтавкиНалогов")) == (None, None)
    assert requisites(cup) == {"Полка": "7", "Полное наименование": "Чашка белая"}


def test_a_preview_says_how_much_would_go_and_calls_nobody(kit: Kit, books: None) -> None:
    connection = connect(kit)
    run = runs.execute_here(jobs.ask(connection, GOODS, trigger="person", args={"preview": True}))
    assert (run.state, counts(run)) == ("done", {"would_write": 6})
    assert kit.shop.calls == []


def test_the_owner_and_the_id_of_the_catalogue_are_said_and_stay(kit: Kit, books: None) -> None:
    """CS-A19."""
    reference(Subject.ORGANISATION, "org-1")
    connection = connect(kit, owner="org-1", catalogue_name="Летний")
    go(connection)
    first = taken(kit)["import0_1.xml"]
    assert first.findtext("{*}Каталог/{*}Владелец/{*}Наименование") == "Name of org-1"
    assert first.findtext("{*}Каталог/{*}Наименование") == "Летний"
    connections.update(connection, {"address": kit.url + "?x=1"})
    models.Product.objects.filter(key=MUG).update(name="Кружка большая")
    connection.refresh_from_db()
    go(connection)
    assert taken(kit)["import0_1.xml"].findtext("{*}Каталог/{*}Ид") == first.findtext("{*}Каталог/{*}Ид")


# --- prices and stock --------------------------------------------------------------------------------------------------------


def test_several_price_kinds_go_in_their_order_by_the_names_that_the_shop_knows(kit: Kit, books: None) -> None:
    connection = connect(kit, price_kinds=["buy", "base"], price_names={"base": "Розничная"})
    go(connection)
    root = taken(kit)["offers0_2.xml"]
    assert [(k.findtext("{*}Ид"), k.findtext("{*}Наименование")) for k in root.iter("{*}ТипЦены")] == [
        ("buy", "Name of buy"), ("base", "Розничная"),
    ]  # fmt: skip
    assert [p.findtext("{*}ИдТипаЦены") for p in offers(root)[CUP].iter("{*}Цена")] == ["buy", "base"]
    assert [p.findtext("{*}Валюта") for p in offers(root)[CUP].iter("{*}Цена")] == ["UAH", "UAH"]


def test_offers_without_any_price_kind_go_with_a_warning(kit: Kit, books: None) -> None:
    run = go(connect(kit, price_kinds=[]), "offers-out")
    assert offers(taken(kit)["offers0_1.xml"])[CUP].find("{*}Цены") is None
    assert run.lines.filter(level="warning", text__startswith="No price kind is chosen").count() == 1


def test_a_price_kind_or_a_warehouse_that_the_books_do_not_have_needs_a_person(kit: Kit, books: None) -> None:
    assert "no price kind “gone”" in failed(connect(kit, price_kinds=["gone"]), "offers-out")


def test_stock_goes_by_warehouse_with_its_sum_or_as_the_sum_alone(kit: Kit, books: None) -> None:
    """GM-16."""
    connection = connect(kit)
    go(connection, "offers-out")
    root = taken(kit)["offers0_1.xml"]
    assert {s.get("ИдСклада"): s.get("КоличествоНаСкладе") for s in offers(root)[CUP].iter("{*}Склад")} == {
        "main": "5",
        "far": "2",
    }
    assert [s.findtext("{*}Ид") for s in root.find(".//{*}Склады")] == ["far", "main"]
    connections.update(connection, {"stock_mode": "sum"})
    connection.refresh_from_db()
    go(connection, "offers-out")
    summed = offers(taken(kit)["offers0_1.xml"])
    assert (summed[CUP].findtext("{*}Количество"), list(summed[CUP].iter("{*}Склад"))) == ("7", [])


def sold(key: str, offer: str, pieces: int) -> None:
    line = OrderLine(offer, "Чашка", Decimal(pieces), Decimal(1), Decimal(pieces))
    save_order(Order(key, key, timezone.now(), lines=(line,)))


def test_what_is_sold_and_not_yet_in_the_accounting_is_taken_off(kit: Kit, books: None) -> None:
    connection = connect(kit)
    go(connection, "offers-out")
    sold("1", CUP, 4)
    sold("2", DISH, 1)  # of which nobody has said how many there are
    go(connection, "offers-out")
    told = offers(taken(kit)["offers0_1.xml"])
    assert {s.get("ИдСклада"): s.get("КоличествоНаСкладе") for s in told[CUP].iter("{*}Склад")} == {"main": "1", "far": "2"}
    assert (told[CUP].findtext("{*}Количество"), list(told)) == ("3", [CUP])
    sold("3", CUP, 5)
    go(connection, "offers-out")
    assert offers(taken(kit)["offers0_1.xml"])[CUP].findtext("{*}Количество") == "0"
    connections.update(connection, {"less_reserved": False})
    connection.refresh_from_db()
    go(connection, "offers-out")
    assert offers(taken(kit)["offers0_1.xml"])[CUP].findtext("{*}Количество") == "7"


def test_what_is_sold_of_variants_is_taken_off_their_one_product(kit: Kit, books: None) -> None:
    row = with_variants()
    sold("1", f"{row.key}#{RED}", 3)
    sold("2", row.key, 1)
    connection = connect(kit, variants="flatten")
    go(connection)
    assert offers(taken(kit)["offers0_2.xml"])[row.key].findtext("{*}Количество") == "6"


def test_unknown_stock_is_not_said_unless_zero_is_asked_for_and_services_have_none(kit: Kit, books: None) -> None:
    """IC-10: a missing quantity is unknown; the old CS-Cart makes it zero."""
    models.Product.objects.filter(key=MUG).update(kind="Услуга")
    connection = connect(kit)
    go(connection, "offers-out")
    told = offers(taken(kit)["offers0_1.xml"])
    assert [told[key].findtext("{*}Количество") for key in (CUP, MUG, DISH)] == ["7", None, None]
    connections.update(connection, {"no_stock": "zero"})
    connection.refresh_from_db()
    go(connection, "offers-out")
    told = offers(taken(kit)["offers0_1.xml"])
    assert {key: card.findtext("{*}Количество") for key, card in told.items()} == {DISH: "0"}


# --- variants ----------------------------------------------------------------------------------------------------------------


def test_variants_go_as_offers_of_their_own(kit: Kit, books: None) -> None:
    row = with_variants()
    connection = connect(kit)
    go(connection)
    found = taken(kit)
    assert row.key in cards(found["import0_1.xml"])
    red = offers(found["offers0_2.xml"])[f"{row.key}#{RED}"]
    assert [e.text for e in red.find("{*}ХарактеристикиТовара/{*}ХарактеристикаТовара")] == ["Цвет", "красный"]
    assert red.findtext("{*}Количество") == "5"


def test_variants_become_one_product_with_the_sum_of_their_stock(kit: Kit, books: None) -> None:
    """GM-12: flattened, never corrupted."""
    row = with_variants()
    connection = connect(kit, variants="flatten")
    go(connection)
    told = offers(taken(kit)["offers0_2.xml"])
    assert [key for key in told if "#" in key] == []
    scarf = told[row.key]
    assert (scarf.findtext("{*}Количество"), scarf.findtext("{*}Цены/{*}Цена/{*}ЦенаЗаЕдиницу")) == ("10", "70")
    assert {s.get("ИдСклада"): s.get("КоличествоНаСкладе") for s in scarf.iter("{*}Склад")} == {"main": "6", "far": "4"}
    go(connection)
    assert kit.shop.calls == []


def test_a_product_whose_variants_differ_in_price_is_set_aside_instead_of_guessed(kit: Kit, books: None) -> None:
    """GM-12."""
    row = with_variants(70, 90)
    connection = connect(kit, variants="flatten")
    assert counts(go(connection, "offers-out")) == {"created": 3, "parked": 1}
    assert row.key not in offers(taken(kit)["offers0_1.xml"])
    assert "different prices (70–90)" in str(models.Parked.objects.get().text).format(**models.Parked.objects.get().facts)
    plain = models.Offer.objects.get(key=row.key)
    models.Price.objects.create(offer=plain, kind=reference(Subject.PRICE_KIND, "base"), value=80)
    assert counts(go(connection, "offers-out")) == {"created": 1, "unchanged": 3}
    assert offers(taken(kit)["offers0_1.xml"])[row.key].findtext("{*}Цены/{*}Цена/{*}ЦенаЗаЕдиницу") == "80"
    assert not models.Parked.objects.exists()


def test_goods_with_variants_can_be_left_out_and_are_named(kit: Kit, books: None) -> None:
    """GM-12: left out with a report."""
    row = with_variants()
    connection = connect(kit, variants="leave_out")
    run = go(connection)
    found = taken(kit)
    assert row.key not in cards(found["import0_1.xml"])
    assert [key for key in offers(found["offers0_2.xml"]) if "#" in key] == []
    assert [line.facts["name"] for line in run.lines.filter(level="warning")] == ["A-Шарф"]


# --- what is gone ------------------------------------------------------------------------------------------------------------


def test_a_product_that_is_gone_is_marked_there_once(kit: Kit, books: None) -> None:
    """IC-11: deletion as the dialect spells it."""
    connection = connect(kit, may_vanish=50)
    go(connection)
    taken(kit)
    models.Product.objects.filter(key=MUG).update(deleted=True)
    assert counts(go(connection)) == {"updated": 2, "unchanged": 4}
    found = taken(kit)
    assert {k: c.get("Статус") for k, c in cards(found["import0_1.xml"]).items()} == {MUG: "Удален"}
    assert {k: c.get("Статус") for k, c in offers(found["offers0_2.xml"]).items()} == {MUG: "Удален"}
    assert counts(go(connection)) == {"unchanged": 4}
    assert kit.shop.calls == []

    models.Product.objects.filter(key=MUG).update(deleted=False)
    go(connection)
    assert {k: c.get("Статус") for k, c in cards(taken(kit)["import0_1.xml"]).items()} == {MUG: None}


def test_what_left_the_chosen_groups_is_gone_too_and_what_was_never_told_is_not(kit: Kit, books: None) -> None:
    connection = connect(kit, may_vanish=50, groups=["g1"])
    go(connection)
    taken(kit)
    models.Product.objects.filter(key=CUP).update(group=models.Group.objects.get(key="g3"))
    models.Product.objects.filter(key=DISH).update(deleted=True)
    go(connection, "products-out")
    assert {k: c.get("Статус") for k, c in cards(taken(kit)["import0_1.xml"]).items()} == {CUP: "Удален"}


def test_too_much_that_would_vanish_stops_everything_before_a_single_call(kit: Kit, books: None) -> None:
    connection = connect(kit)
    go(connection)
    taken(kit)
    models.Product.objects.filter(key=MUG).update(deleted=True)
    models.Product.objects.filter(key=CUP).update(name="Чашка новая")
    assert "1 of the 3 goods" in failed(connection)
    assert kit.shop.calls == []


def test_what_is_gone_may_be_left_alone(kit: Kit, books: None) -> None:
    connection = connect(kit, deletion="ignore")
    go(connection)
    taken(kit)
    models.Product.objects.filter(key=MUG).update(deleted=True)
    go(connection)
    assert kit.shop.calls == []


# --- portions ----------------------------------------------------------------------------------------------------------------


def test_portions_are_files_of_their_own_of_which_the_first_holds_the_classifier(kit: Kit, books: None) -> None:
    connection = connect(kit, portion=2)
    go(connection, "products-out")
    assert kit.shop.sessions == 2
    found = taken(kit)
    assert {n: (len(cards(r)), only_changes(r), r.find("{*}Классификатор") is not None) for n, r in found.items()} == {
        "import0_1.xml": (2, "true", True),
        "import0_2.xml": (1, "true", False),
    }
    assert len({root.get("ДатаФормирования") for root in found.values()}) == 1


def test_a_broken_exchange_goes_on_at_the_portion_where_it_broke(kit: Kit, books: None) -> None:
    """CS-A20: what has been told is not told again."""
    connection = connect(kit, portion=2)
    broken = iter([True])

    def break_off(call: Call) -> Any:
        return "failure\nмало места" if call.line == "catalog import import0_2.xml" and next(broken, False) else ...

    kit.shop.bend = break_off
    assert "мало места" in failed(connection, "products-out")
    assert set(cards(taken(kit)["import0_1.xml"])) == {CUP, MUG}
    assert counts(go(connection, "products-out")) == {"created": 1, "unchanged": 2}
    assert {n: set(cards(r)) for n, r in taken(kit).items()} == {"import0_3.xml": {DISH}}


# --- the whole catalogue -----------------------------------------------------------------------------------------------------


def test_the_whole_catalogue_is_one_file_for_a_shop_that_deletes_what_it_does_not_hold(kit: Kit, books: None) -> None:
    """CS-A4: full export; facts §4.2: Bitrix deletes by each file that says it is whole."""
    connection = connect(kit, "bitrix", mode="full", portion=2, may_vanish=50)
    go(connection)
    found = taken(kit)
    assert {n: (only_changes(r), set(cards(r)) | set(offers(r))) for n, r in found.items()} == {
        "import0_1.xml": ("false", {CUP, MUG, DISH}),
        "offers0_2.xml": ("false", {CUP, MUG, DISH}),
    }
    assert counts(go(connection)) == {"unchanged": 6}
    assert kit.shop.calls == []

    models.Product.objects.filter(key=MUG).update(name="Кружка большая")
    assert counts(go(connection)) == {"updated": 1, "unchanged": 5}
    ((_name, root),) = taken(kit).items()
    assert (only_changes(root), set(cards(root))) == ("false", {CUP, MUG, DISH})

    models.Product.objects.filter(key=MUG).update(deleted=True)
    go(connection)
    assert {n: set(cards(r)) | set(offers(r)) for n, r in taken(kit).items()} == {
        "import0_1.xml": {CUP, DISH},
        "offers0_2.xml": {CUP, DISH},
    }
    go(connection)
    assert kit.shop.calls == []


def test_the_whole_catalogue_is_not_sent_when_too_much_would_vanish_by_it(kit: Kit, books: None) -> None:
    """CS-A4: also when marks of deletion are switched off, for the shop deletes by itself."""
    connection = connect(kit, "bitrix", mode="full", deletion="ignore")
    go(connection)
    taken(kit)
    models.Product.objects.filter(key=MUG).update(deleted=True)
    assert "would vanish" in failed(connection)
    assert kit.shop.calls == []


def test_goods_that_a_person_picked_go_as_changes_also_where_the_whole_catalogue_is_sent(kit: Kit, books: None) -> None:
    """F30: a whole catalogue of one good would make the shop delete all the others."""
    connection = connect(kit, "bitrix", mode="full", portion=2)
    go(connection)
    taken(kit)
    pk = models.Product.objects.get(key=MUG).pk
    args = {"goods": [pk], "each": True}
    run = runs.execute_here(jobs.ask(connection, GOODS, trigger="person", args=args))
    assert (run.state, run.counts) == ("done", {"updated": 2})
    assert [(only_changes(r), set(cards(r)) | set(offers(r))) for r in taken(kit).values()] == [("true", {MUG}), ("true", {MUG})]
    assert [(r.kind, r.outcome) for r in run.results.all()] == [("product", "updated"), ("offer", "updated")]


def test_the_whole_catalogue_in_portions_says_so_in_each_and_goes_on_where_it_broke(kit: Kit, books: None) -> None:
    """CS-A4: a shop that judges no absence may have it in portions."""
    connection = connect(kit, "cs-cart-commerceml", mode="full", portion=2)
    broken = iter([True])
    kit.shop.bend = lambda call: "failure\nno" if call.line == "catalog import import0_2.xml" and next(broken, False) else ...
    failed(connection, "products-out")
    first = taken(kit)
    assert {n: (only_changes(r), set(cards(r))) for n, r in first.items()} == {"import0_1.xml": ("false", {CUP, MUG})}
    go(connection, "products-out")
    second = taken(kit)
    assert {n: (only_changes(r), set(cards(r))) for n, r in second.items()} == {"import0_3.xml": ("false", {DISH})}
    models.Product.objects.filter(key=MUG).update(name="Кружка большая")
    go(connection, "products-out")
    assert [set(cards(r)) for r in taken(kit).values()] == [{CUP, MUG}, {DISH}]


# --- pictures ----------------------------------------------------------------------------------------------------------------


def picture(connection: models.Connection, path: str, body: bytes) -> None:
    import hashlib

    sha256 = hashlib.sha256(body).hexdigest()
    name = default_storage.save(f"pictures/{sha256}.jpg", ContentFile(body))
    values = {"file": name, "sha256": sha256, "size": len(body)}
    models.Picture.objects.update_or_create(source=connection, path=path, defaults=values)


def test_pictures_go_with_their_product_and_again_when_their_content_changed(kit: Kit, books: None) -> None:
    connection = connect(kit)
    picture(connection, "import_files/ab/cup.jpg", b"one")
    models.Product.objects.filter(key=CUP).update(pictures=["import_files/ab/cup.jpg", "import_files/ab/lost.jpg"])
    go(connection, "products-out")
    cup = cards(taken(kit)["import0_1.xml"])[CUP]
    assert [e.text for e in cup.iter("{*}Картинка")] == ["import_files/ab/cup.jpg"]
    assert kit.shop.files["import_files/ab/cup.jpg"] == b"one"
    go(connection, "products-out")
    assert kit.shop.calls == []
    picture(connection, "import_files/ab/cup.jpg", b"two")
    go(connection, "products-out")
    assert set(cards(taken(kit)["import0_1.xml"])) == {CUP}
    assert kit.shop.files["import_files/ab/cup.jpg"] == b"two"


def test_without_pictures_none_are_said_so_that_the_shop_keeps_its_own(kit: Kit, books: None) -> None:
    """GM-13."""
    connection = connect(kit, pictures="off")
    picture(connection, "import_files/ab/cup.jpg", b"one")
    models.Product.objects.filter(key=CUP).update(pictures=["import_files/ab/cup.jpg"])
    go(connection, "products-out")
    assert list(cards(taken(kit)["import0_1.xml"])[CUP].iter("{*}Картинка")) == []
    assert [name for name in kit.shop.files if not name.endswith(".xml")] == []


def test_a_path_from_outside_never_decides_where_a_file_goes_in_the_shop() -> None:
    sha256 = "ab" * 32
    for path in ("../../index.php.jpg", "/etc/a.jpg", "a//b.jpg", "C:\\a.jpg"):
        assert posted(path, sha256) == f"import_files/ab/{sha256}.jpg"
    assert posted("import_files/ab/cup.jpg", sha256) == "import_files/ab/cup.jpg"


# --- GetMeBack ---------------------------------------------------------------------------------------------------------------


def test_getmeback_gets_goods_and_stock_by_its_rules(kit: Kit, books: None) -> None:
    """GM-9, GM-10, GM-12, GM-15, GM-16: no orders, no modifications, one price kind, the sum of the warehouses."""
    row = with_variants()
    connection = connect(kit, "getmeback")
    assert sorted(connection.streams.filter(enabled=True).values_list("stream", flat=True)) == ["offers-out", "products-out"]
    go(connection)
    told = offers(taken(kit)["offers0_2.xml"])
    assert ([key for key in told if "#" in key], told[row.key].findtext("{*}Количество")) == ([], "10")
    assert {len(list(card.iter("{*}Цена"))) for card in told.values()} == {0, 1}
    assert [e for card in told.values() for e in card.iter("{*}Склад")] == []


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("variants", "offers"),
        ("price_kinds", ["base", "buy"]),
        ("stock_mode", "each"),
        ("interval", 30),
        ("exchange_orders", True),
    ],
)
def test_what_getmeback_cannot_do_cannot_be_set(setting: str, value: Any) -> None:
    """GM-9, GM-11, GM-12, GM-15, GM-16."""
    settings = CommerceMLClient.profiles()["getmeback"]["settings"]
    with pytest.raises(NeedsOwner, match=setting):
        load(CommerceMLClient.settings, settings | {setting: value})


def test_a_load_waits_until_the_interval_is_over_and_is_tried_by_itself(kit: Kit, books: None, monkeypatch: Any) -> None:
    """GM-11: not more often than every 60 minutes; both streams are one load."""
    connection = connect(kit, "getmeback")
    go(connection, "products-out")
    go(connection, "offers-out")
    taken(kit)
    models.Price.objects.filter(offer__key=CUP).update(value=120)
    run = go(connection, "offers-out", state="failed")  # execute_here gives up what would be tried later
    assert kit.shop.calls == []
    assert (run.facts["interval"], run.facts["minutes"]) == (60, 60)
    now = DjangoHub.now
    from datetime import timedelta

    monkeypatch.setattr(DjangoHub, "now", lambda self: now(self) + timedelta(minutes=60))
    go(connection, "offers-out")
    assert set(offers(taken(kit)["offers0_1.xml"])) == {CUP}


def test_a_load_that_broke_off_goes_on_within_its_interval(kit: Kit, books: None) -> None:
    """GM-11."""
    connection = connect(kit, "getmeback", portion=2)
    kit.shop.bend = bent("import", ..., "failure\nмало места")
    assert "мало места" in failed(connection, "products-out")
    assert counts(go(connection, "products-out")) == {"created": 1, "unchanged": 2}
    assert set(kit.shop.imported) == {"import0_1.xml", "import0_3.xml"}


def test_the_run_says_which_root_category_to_enter_and_that_pictures_overwrite(kit: Kit, books: None) -> None:
    """GM-13, GM-17."""
    connection = connect(kit, "getmeback", groups=["g1"], pictures="on")
    picture(connection, "import_files/ab/cup.jpg", b"one")
    models.Product.objects.filter(key=CUP).update(pictures=["import_files/ab/cup.jpg"])
    lines = go(connection, "products-out").lines
    assert [(line.facts["id"], line.facts["name"]) for line in lines.filter(level="info")] == [("g1", "Посуда")]
    assert "overwritten" in lines.get(level="warning").text
