"""Goods from files into the books, on this session's database: what is folded, counted, parked, forgotten."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from obmen.connectors.commerceml_door import api
from obmen.sandbox.onec.generate import Spec, generate
from obmen.store import connections, models
from obmen.work import run as runs
from store.cml import catalogue, changes, offer, offers, product, put

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def node() -> models.Connection:
    return connections.create("commerceml_door", "1C", profile="ut11")[0]


def load(connection: models.Connection, folder: Path, **files: str) -> dict[str, int]:
    run = runs.load_folder(connection, put(folder, **files))
    assert run.state == "done", (run.state, run.text, run.facts)
    return {k: v for k, v in run.counts.items() if v}


def settings(connection: models.Connection, **values: Any) -> None:
    connections.update(connection, values)
    connection.refresh_from_db()


def by_article(connection: models.Connection) -> None:
    models.MatchRule.objects.create(connection=connection, kind="product", attribute="article")


def prices() -> dict[tuple[str, str], Decimal]:
    return {(p.offer.key, p.kind.key): p.value for p in models.Price.objects.select_related("offer", "kind")}


def stock() -> dict[tuple[str, str], Decimal]:
    return {(s.offer.key, s.warehouse.key): s.quantity for s in models.StockLevel.objects.select_related("offer", "warehouse")}


def test_a_first_load_makes_cards_links_and_history(node: models.Connection, tmp_path: Path) -> None:
    counts = load(
        node,
        tmp_path,
        import0_1=catalogue(
            product("p1", "Стул", "A-1"),
            product("p2", "Стол"),
            groups="<Группа><Ид>g</Ид><Наименование>Меблі</Наименование></Группа>",
        ),
        offers0_1=offers(
            offer("p1", prices=[("retail", "100.50")], stock=[("main", "3")]), offer("p2#c", traits=[("Цвет", "белый")])
        ),
    )
    assert counts == {"created": 7}  # a group, two products, two offers, a price kind, a warehouse
    assert list(models.Product.objects.order_by("id").values_list("key", "name", "article", "unit", "version")) == [
        ("p1", "Стул", "A-1", "шт", 1),
        ("p2", "Стол", "", "шт", 1),
    ]
    assert list(models.Offer.objects.order_by("id").values_list("key", "product__key", "characteristics")) == [
        ("p1", "p1", []),
        ("p2#c", "p2", [["Цвет", "белый"]]),
    ]
    assert prices() == {("p1", "retail"): Decimal("100.5")}
    assert stock() == {("p1", "main"): Decimal(3)}
    assert models.Link.objects.filter(connection=node, kind="product").count() == 2
    assert models.RecordChange.objects.filter(record_kind="product", version=1, changes__isnull=True).count() == 2


def test_the_same_files_again_change_nothing_and_say_so(node: models.Connection, tmp_path: Path) -> None:
    files = {"import0_1": catalogue(product("p1")), "offers0_1": offers(offer("p1", prices=[("retail", "1")]))}
    load(node, tmp_path, **files)
    before = models.RecordChange.objects.count()
    assert load(node, tmp_path, **files) == {"unchanged": 4}
    assert models.RecordChange.objects.count() == before


def test_a_change_raises_the_version_and_leaves_its_difference_in_the_history(node: models.Connection, tmp_path: Path) -> None:
    load(node, tmp_path, import0_1=catalogue(product("p1", "Стул"), product("p2", "Стол")))
    assert load(node, tmp_path, import0_1=catalogue(product("p1", "Крісло"), product("p2", "Стол"))) == {
        "updated": 1,
        "unchanged": 1,
    }
    card = models.Product.objects.get(key="p1")
    assert (card.name, card.version) == ("Крісло", 2)
    last = models.RecordChange.objects.filter(record_kind="product", record_id=card.pk).latest("id")
    assert last.changes == {"name": ["Стул", "Крісло"]}


def test_what_is_not_said_is_kept_and_what_is_said_to_be_empty_is_cleared(node: models.Connection, tmp_path: Path) -> None:
    more = "<Описание>Дубовий</Описание><Картинка>import_files/a.jpg</Картинка>"
    load(node, tmp_path, import0_1=catalogue(product("p1", more=more)))
    load(node, tmp_path, import0_1=catalogue(product("p1", "Новий")))
    card = models.Product.objects.get()
    assert (card.name, card.description, card.pictures) == ("Новий", "Дубовий", ["import_files/a.jpg"])
    load(node, tmp_path, import0_1=catalogue(product("p1", "Новий", more="<Описание/>")))
    assert models.Product.objects.get().description == ""


def test_prices_that_a_full_package_does_not_list_are_gone_and_those_of_changes_are_kept(
    node: models.Connection, tmp_path: Path
) -> None:
    load(
        node,
        tmp_path,
        import0_1=catalogue(product("p1")),
        offers0_1=offers(offer("p1", prices=[("retail", "10"), ("whole", "8")])),
    )
    load(node, tmp_path, offers0_1=offers(offer("p1", prices=[("retail", "11")]), only_changes=True))
    assert prices() == {("p1", "retail"): 11, ("p1", "whole"): 8}
    load(node, tmp_path, offers0_1=offers(offer("p1", prices=[("retail", "12")])))
    assert prices() == {("p1", "retail"): 12}


def test_an_empty_price_is_no_price_and_a_missing_quantity_is_not_zero(node: models.Connection, tmp_path: Path) -> None:
    rows = offer("p1", prices=[("retail", "")], stock=[("main", "5")])
    load(node, tmp_path, import0_1=catalogue(product("p1")), offers0_1=offers(rows))
    assert prices() == {}
    load(node, tmp_path, offers0_1=offers(offer("p1", "Інша назва"), only_changes=True))
    assert stock() == {("p1", "main"): 5}


def test_the_same_bytes_are_news_again_after_another_file_said_otherwise(node: models.Connection, tmp_path: Path) -> None:
    full = offers(offer("p1", prices=[("retail", "10")], stock=[("main", "5")]))
    load(node, tmp_path, import0_1=catalogue(product("p1")), offers0_1=full)
    load(node, tmp_path, offers0_2=changes(offer("p1", "", prices=[("retail", "11")], stock=[("main", "4")])))
    assert (prices(), stock()) == ({("p1", "retail"): 11}, {("p1", "main"): 4})
    load(node, tmp_path, offers0_1=full)
    assert (prices(), stock()) == ({("p1", "retail"): 10}, {("p1", "main"): 5})


def test_an_offer_waits_for_its_product_and_comes_by_itself(node: models.Connection, tmp_path: Path) -> None:
    assert load(node, tmp_path, offers0_1=offers(offer("p1", prices=[("retail", "10")])))["parked"] == 1
    parked = models.Parked.objects.get()
    assert (parked.kind, parked.external_id, parked.waiting_kind, parked.waiting_id) == ("offer", "p1", "product", "p1")
    assert parked.where.startswith("offers0_1.xml:")
    assert "<Ид>p1</Ид>" in bytes(parked.payload).decode()
    load(node, tmp_path, import0_1=catalogue(product("p1")))
    assert prices() == {("p1", "retail"): 10}
    assert not models.Parked.objects.exists()


def test_a_record_without_id_is_parked_with_its_line_and_the_others_are_taken(node: models.Connection, tmp_path: Path) -> None:
    text = catalogue(product("p1"), "<Товар><Наименование>Без ида</Наименование></Товар>", product("p2"))
    counts = load(node, tmp_path, import0_1=text)
    assert counts == {"created": 2, "parked": 1}
    assert models.Parked.objects.get().where == "import0_1.xml:3"


def test_variants_of_1c_ut_become_one_product_with_offers(node: models.Connection, tmp_path: Path) -> None:
    trait = "<ХарактеристикиТовара><ХарактеристикаТовара><Наименование>Размер</Наименование><Значение>{}</Значение>"
    trait += "</ХарактеристикаТовара></ХарактеристикиТовара>"
    cards = [product(f"p1#{n}", f"Футболка ({n})", "F-1", trait.format(n)) for n in ("42", "44")]
    load(node, tmp_path, import0_1=catalogue(*cards))
    assert models.Product.objects.get().name == "Футболка"
    assert list(models.Offer.objects.order_by("id").values_list("key", "characteristics")) == [
        ("p1#42", [["Размер", "42"]]),
        ("p1#44", [["Размер", "44"]]),
    ]
    load(node, tmp_path, offers0_1=offers(offer("p1#42", prices=[("retail", "5")])))
    assert (models.Offer.objects.count(), prices()) == (2, {("p1#42", "retail"): 5})
    assert load(node, tmp_path, import0_1=catalogue(*cards)) == {"unchanged": 2}


def test_a_product_whose_variants_are_all_deleted_is_deleted_and_returns_with_one_of_them(
    node: models.Connection, tmp_path: Path
) -> None:
    def card(number: str, status: str = "") -> str:
        return product(f"p1#{number}", f"Футболка ({number})").replace("<Товар>", f"<Товар{status}>")

    gone = ' Статус="Удален"'
    load(node, tmp_path, import0_1=catalogue(card("42"), card("44", gone)))
    assert not models.Product.objects.get().deleted
    load(node, tmp_path, import0_1=catalogue(card("42", gone), card("44", gone)))
    assert models.Product.objects.get().deleted
    load(node, tmp_path, import0_1=catalogue(card("42"), card("44", gone)))
    assert not models.Product.objects.get().deleted


def test_split_files_of_prices_and_rests_make_the_plain_offer_of_a_product(node: models.Connection, tmp_path: Path) -> None:
    load(node, tmp_path, goods=catalogue(product("p1")), prices=offers(offer("p1", "", prices=[("retail", "7")])))
    rests = "<Предложение><Ид>p1</Ид><Остатки><Остаток><Склад><Ид>main</Ид><Количество>2</Количество></Склад></Остаток></Остатки></Предложение>"
    load(node, tmp_path, rests=offers(rests))
    assert (prices(), stock()) == ({("p1", "retail"): 7}, {("p1", "main"): 2})
    assert models.Offer.objects.count() == 1


def test_a_field_that_the_books_own_is_not_overwritten(node: models.Connection, tmp_path: Path) -> None:
    settings(node, field_policy={"product.name": "if_new", "product.description": "if_empty"})
    load(node, tmp_path, import0_1=catalogue(product("p1", "Перша", more="<Описание/>")))
    load(node, tmp_path, import0_1=catalogue(product("p1", "Друга", more="<Описание>раз</Описание>")))
    load(node, tmp_path, import0_1=catalogue(product("p1", "Третя", more="<Описание>два</Описание>")))
    card = models.Product.objects.get()
    assert (card.name, card.description) == ("Перша", "раз")


def test_a_changed_setting_makes_every_record_be_looked_at_again(node: models.Connection, tmp_path: Path) -> None:
    text = catalogue(product("p1", more="<Штрихкод>4600000000017</Штрихкод>"))
    load(node, tmp_path, import0_1=text)
    settings(node, article_source="barcode")
    assert load(node, tmp_path, import0_1=text) == {"updated": 1}
    assert models.Product.objects.get().article == "4600000000017"


def test_a_second_system_finds_the_cards_of_the_first_by_article(node: models.Connection, tmp_path: Path) -> None:
    load(
        node,
        tmp_path,
        import0_1=catalogue(product("p1", "Стул", "A-1")),
        offers0_1=offers(offer("p1", prices=[("retail", "10")])),
    )
    other = connections.create("commerceml_door", "Склад", settings={})[0]
    by_article(other)
    counts = load(other, tmp_path, import0_1=catalogue(product("x9", "Стул дубовий", "a-1 "), product("x8", "Інший", "B-2")))
    assert counts == {"matched": 1, "created": 1}
    assert models.Product.objects.count() == 2
    load(other, tmp_path, offers0_1=offers(offer("x9", stock=[("main", "2")])))
    assert models.Offer.objects.filter(product__key="p1").count() == 1


def test_two_strangers_with_one_article_are_parked_and_not_doubled(node: models.Connection, tmp_path: Path) -> None:
    by_article(node)
    counts = load(
        node, tmp_path, import0_1=catalogue(product("p1", article="A"), product("p2", article="A"), product("p3", article="B"))
    )
    assert counts == {"created": 2, "parked": 1}
    assert load(node, tmp_path, import0_2=catalogue(product("p4", article="B")))["parked"] == 1
    assert models.Product.objects.count() == 2


def test_the_same_warehouse_id_of_two_systems_is_two_warehouses(node: models.Connection, tmp_path: Path) -> None:
    other = connections.create("commerceml_door", "Друга база", settings={})[0]
    by_article(other)
    for connection in (node, other):
        rows = offers(offer("p1", stock=[("main", "1" if connection is node else "5")]))
        load(connection, tmp_path, import0_1=catalogue(product("p1", article="A")), offers0_1=rows)
    assert stock() == {("p1", "main"): 1, ("p1", f"main@{other.slug}"): 5}


def test_a_preview_counts_differences_and_writes_nothing(node: models.Connection, tmp_path: Path) -> None:
    load(node, tmp_path, import0_1=catalogue(product("p1", "Стул")))
    folder = put(tmp_path, import0_1=catalogue(product("p1", "Крісло"), product("p2", "Стол")))
    run = runs.jobs.ask(
        node,
        ["folder-in"],
        trigger="person",
        args={"files": [str(f) for f in folder.glob("*.xml")], "preview": True},
        key="preview",
    )
    run = runs.execute_here(run)
    assert {k: v for k, v in run.counts.items() if v} == {"created": 1, "updated": 1}
    changed = run.results.get(outcome="updated")
    assert (changed.name, changed.changes, changed.compared) == ("Крісло", {"name": ["Стул", "Крісло"]}, "books")
    assert list(models.Product.objects.values_list("name", flat=True)) == ["Стул"]


def test_goods_that_a_whole_load_leaves_out_are_marked_only_past_its_end_and_only_of_its_catalogue(
    node: models.Connection, tmp_path: Path
) -> None:
    settings(node, sweep="mark", sweep_limit=60)
    full = [product(f"p{i}") for i in range(4)]
    load(node, tmp_path, import0_1=catalogue(*full[:2], date="2026-01-15T10:00:00"))
    load(node, tmp_path, import0_2=catalogue(*full[2:], only_changes=True, date="2026-01-15T10:00:00"))
    load(node, tmp_path, other=catalogue(product("z"), ident="other", date="2026-01-15T10:30:00"))
    load(node, tmp_path, import0_1=catalogue(*full[:2], date="2026-01-15T11:00:00"))
    sweep(node)
    assert not models.Product.objects.filter(deleted=True).exists()  # the first load is only now known to be over
    load(node, tmp_path, import0_1=catalogue(*full[:3], date="2026-01-15T12:00:00"))
    assert sweep(node) == 2
    assert set(models.Product.objects.filter(deleted=True).values_list("key", flat=True)) == {"p2", "p3"}
    load(node, tmp_path, import0_2=catalogue(*full[2:], only_changes=True, date="2026-01-15T12:00:00"))
    assert not models.Product.objects.filter(deleted=True).exists()


def sweep(connection: models.Connection) -> int:
    run = runs.execute_here(runs.jobs.ask(connection, ["sweep"], trigger="schedule"))
    assert run.state == "done", (run.state, run.text, run.facts)
    return int(run.counts.get("swept", 0))


def test_a_load_that_would_mark_too_much_stops_and_marks_nothing(node: models.Connection, tmp_path: Path) -> None:
    settings(node, sweep="mark", sweep_limit=10)
    full = [product(f"p{i}") for i in range(10)]
    load(node, tmp_path, import0_1=catalogue(*full, date="2026-01-15T10:00:00"))
    load(node, tmp_path, import0_1=catalogue(*full[:5], date="2026-01-15T11:00:00"))
    load(node, tmp_path, import0_1=catalogue(*full, date="2026-01-15T12:00:00"))
    run = runs.execute_here(runs.jobs.ask(node, ["sweep"], trigger="schedule"))
    assert (run.state, run.facts["missing"], run.facts["known"]) == ("needs_owner", 5, 10)
    assert not models.Product.objects.filter(deleted=True).exists()


def test_a_document_that_is_damaged_in_the_middle_keeps_what_was_settled_and_names_the_line(
    node: models.Connection, tmp_path: Path
) -> None:
    good = "\n".join(product(f"p{i}") for i in range(3))
    text = catalogue(good, "<Товар><Ид>bad</Ид><Наименование>&</Товар>", product("p9"))
    run = runs.load_folder(node, put(tmp_path, import0_1=text))
    assert run.state == "failed"
    assert (run.facts["created"], run.facts["line"], run.facts["file"]) == (3, 5, "import0_1.xml")
    load(node, tmp_path, import0_1=catalogue(good, product("bad"), product("p9")))
    assert models.Product.objects.count() == 5


def books() -> dict[str, list[tuple[Any, ...]]]:
    """Everything that a load writes, without our own ids and moments."""
    ours = {"id", "at", "run_id", "connection_id", "group_id", "product_id", "offer_id", "kind_id", "warehouse_id", "record_id"}
    named = {models.Product: ["group__key"], models.Offer: ["product__key"], models.Price: ["offer__key", "kind__key"]}
    named |= {models.StockLevel: ["offer__key", "warehouse__key"]}
    out = {}
    for model in (models.Product, models.Offer, models.Price, models.StockLevel, models.Link, models.RecordChange):
        names = [f.attname for f in model._meta.concrete_fields if f.attname not in ours] + named.get(model, [])
        out[model.__name__] = sorted(model.objects.values_list(*names), key=repr)
    return out


def test_a_load_with_a_second_process_ends_with_the_same_books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(Spec(layout="unf", products=120, pictures=False), tmp_path)
    monkeypatch.setattr(api, "LARGE", 0)
    monkeypatch.setattr(api, "FULL", 1)
    asked: list[bool] = []
    submit = api.Ahead.submit
    monkeypatch.setattr(api.Ahead, "submit", lambda *said, new: (asked.append(new), submit(*said, new=new))[1])
    seen = []
    for second in (False, True):
        monkeypatch.setattr(api.ahead, "worth_it", lambda second=second: second)
        node = connections.create("commerceml_door", f"1C {second}", profile="unf")[0]
        assert runs.load_folder(node, tmp_path).state == "done"
        seen.append(books())
        assert asked == ([True, True] if second else [])
        for model in (models.Product, models.Offer, models.Price, models.StockLevel, models.Link, models.RecordChange):
            model.objects.all().delete()
        models.Reference.objects.all().delete()
        models.Group.objects.all().delete()
    assert len(seen[0]["Product"]) == 120
    assert seen[0] == seen[1]
