"""What other people's nodes send and how we take it: the interop cases of the ecosystem on the receiving side, into real books.

The numbers are those of docs/connectors/commerceml.md, "Interop cases".
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from lxml import etree

from connectors.memory_host import Caller, MemoryHost
from obmen.core.calls import parse_query
from obmen.core.records import Order
from obmen.store import connections, models
from obmen.store.orders import save_order
from obmen.work import run as runs
from store.cml import catalogue, offer, offers, product

real = pytest.mark.django_db(transaction=True)
ROOT = "КоммерческаяИнформация"


@pytest.fixture
def node() -> models.Connection:
    return connections.create("commerceml_door", "1C", profile="ut11")[0]


def load(connection: models.Connection, folder: Path, files: dict[str, bytes | str]) -> dict[str, int]:
    """Import files of any names and bytes; the counts that are not nought."""
    for old in folder.glob("*.xml"):
        old.unlink()
    for name, body in files.items():
        (folder / name).write_bytes(body if isinstance(body, bytes) else body.encode())
    run = runs.load_folder(connection, folder)
    assert run.state == "done", (run.text, run.facts)
    return {k: v for k, v in run.counts.items() if v}


def stock() -> dict[str, Decimal]:
    return dict(models.StockLevel.objects.values_list("offer__key", "quantity"))


# --- 10 ----------------------------------------------------------------------------------------------------------------------


@real
def test_an_offer_that_says_no_quantity_leaves_the_one_that_is_known(node: models.Connection, tmp_path: Path) -> None:
    """IC-10; old CS-Cart makes nought of it."""
    load(node, tmp_path, {"import.xml": catalogue(product("p1"), product("p2")), "offers.xml": offers(offer("p1", quantity="7"))})
    changed = offers(offer("p1", prices=[("retail", "10")]), offer("p2", prices=[("retail", "20")]), only_changes=True)
    load(node, tmp_path, {"offers.xml": changed})
    assert stock() == {"p1": 7}, "p2 has no stock, which is not a stock of nought"
    load(node, tmp_path, {"offers.xml": offers(offer("p1", quantity="0"), only_changes=True)})
    assert stock() == {"p1": 0}


# --- 11 ----------------------------------------------------------------------------------------------------------------------

REQUISITE = (
    "<ЗначенияРеквизитов><ЗначениеРеквизита><Наименование>ПометкаУдаления</Наименование><Значение>{}</Значение>"
    "</ЗначениеРеквизита></ЗначенияРеквизитов>"
)


@real
@pytest.mark.parametrize(
    ("tag", "more", "deleted"),
    [
        ('<Товар Статус="Удален">', "", True),
        ("<Товар>", "<Статус>Удален</Статус>", True),
        ("<Товар>", "<ПометкаУдаления>true</ПометкаУдаления>", True),
        ("<Товар>", REQUISITE.format("true"), True),
        ("<Товар>", REQUISITE.format("false"), False),
        ('<Товар Статус="Изменен">', "", False),
    ],
)
def test_a_deletion_mark_counts_in_every_spelling_and_is_taken_back(
    node: models.Connection, tmp_path: Path, tag: str, more: str, deleted: bool
) -> None:
    """IC-11: attribute, element, mark, requisite."""
    load(node, tmp_path, {"import.xml": catalogue(product("p1"))})
    load(node, tmp_path, {"import.xml": catalogue(product("p1", more=more).replace("<Товар>", tag), only_changes=True)})
    assert models.Product.objects.get(key="p1").deleted is deleted
    load(node, tmp_path, {"import.xml": catalogue(product("p1", name="Стул 2"), only_changes=True)})
    assert models.Product.objects.get(key="p1").deleted is False


# --- 12, 14 --------------------------------------------------------------------------------------------------------------------


@real
@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("Строка", "string"),
        ("Число", "number"),
        ("Номер", "number"),
        ("Справочник", "dictionary"),
        ("ДатаВремя", "datetime"),
        ("Время", "datetime"),
        ("Дата", "datetime"),
        ("Булево", "boolean"),
    ],
)
def test_every_word_for_a_type_of_feature_is_known(node: models.Connection, tmp_path: Path, word: str, kind: str) -> None:
    """IC-12; one release of CS-Cart looks for Номер and so makes texts of numbers."""
    feature = f"<Свойство><Ид>f</Ид><Наименование>Ширина</Наименование><ТипЗначений>{word}</ТипЗначений></Свойство>"
    head = f"<Классификатор><Ид>cat</Ид><Свойства>{feature}</Свойства></Классификатор><Каталог"
    load(node, tmp_path, {"import.xml": catalogue(product("p1")).replace("<Каталог", head, 1)})
    assert models.Property.objects.get(key="f").kind == kind


@real
def test_features_inside_a_group_neither_hide_the_group_nor_its_subgroups(node: models.Connection, tmp_path: Path) -> None:
    """IC-14."""
    inner = "<Группа><Ид>g2</Ид><Наименование>Стільці</Наименование></Группа>"
    features = (
        "<Свойства><Свойство><Ид>f</Ид><Наименование>Колір</Наименование><ТипЗначений>Строка</ТипЗначений></Свойство></Свойства>"
    )
    groups = f"<Группа><Ид>g1</Ид><Наименование>Меблі</Наименование>{features}<Группы>{inner}</Группы></Группа>"
    load(node, tmp_path, {"import.xml": catalogue(product("p1", group="g2"), groups=groups)})
    assert dict(models.Group.objects.values_list("key", "parent__key")) == {"g1": None, "g2": "g1"}
    assert models.Product.objects.get(key="p1").group.key == "g2"


# --- 13 ----------------------------------------------------------------------------------------------------------------------


@real
@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ('<БазоваяЕдиница Код="796 " НаименованиеПолное="Штука">шт</БазоваяЕдиница>', "шт"),
        ('<БазоваяЕдиница Код="796 " НаименованиеПолное="Штука"/>', "796"),
        (
            '<БазоваяЕдиница Код="796 "><Пересчет><Единица>796</Единица><Коэффициент>1</Коэффициент></Пересчет></БазоваяЕдиница>',
            "796",
        ),
        ("<БазоваяЕдиница>796 </БазоваяЕдиница>", "796"),
    ],
)
def test_the_padding_of_a_unit_goes_and_an_empty_text_is_helped_by_its_code(
    node: models.Connection, tmp_path: Path, unit: str, expected: str
) -> None:
    """IC-13."""
    card = f"<Товар><Ид>p1</Ид><Наименование>Стул</Наименование>{unit}</Товар>"
    load(node, tmp_path, {"import.xml": catalogue(card)})
    assert models.Product.objects.get(key="p1").unit == expected


# --- 15 ----------------------------------------------------------------------------------------------------------------------


@real
@pytest.mark.parametrize(
    "name", ["import", "offers", "prices___1", "rests_1_1_a", "goods_1_1_b", "properties", "orders", "1", "выгрузка"]
)
def test_a_file_is_what_it_holds_and_not_how_it_is_called(node: models.Connection, tmp_path: Path, name: str) -> None:
    """IC-15: CS-Cart sends everything without "import" in its name to the offers."""
    both = (
        catalogue(product("p1")).removesuffix(f"</{ROOT}>")
        + offers(offer("p1", prices=[("retail", "10")], quantity="3")).partition(">")[2].partition(">")[2]
    )
    load(node, tmp_path, {f"{name}.xml": both})
    assert [p.key for p in models.Product.objects.all()] == ["p1"]
    assert [p.value for p in models.Price.objects.all()] == [10]
    assert stock() == {"p1": 3}


# --- 16 ----------------------------------------------------------------------------------------------------------------------


@real
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "cp1251"])
@pytest.mark.parametrize("versioned", [True, False])
def test_a_mark_at_the_start_another_encoding_and_a_bare_root_are_no_matter(
    node: models.Connection, tmp_path: Path, codec: str, versioned: bool
) -> None:
    """IC-16."""
    text = catalogue(product("p1", name="Чайник"))
    if not versioned:
        head = text.index(f"<{ROOT}")
        text = text[:head] + f"<{ROOT}>" + text[text.index(">", head) + 1 :]
    declared = "windows-1251" if codec == "cp1251" else "UTF-8"
    load(node, tmp_path, {"import.xml": text.replace('encoding="UTF-8"', f'encoding="{declared}"').encode(codec)})
    assert [p.name for p in models.Product.objects.all()] == ["Чайник"]


# --- 17 and the protocol ---------------------------------------------------------------------------------------------------------

GOODS = f'<?xml version="1.0" encoding="UTF-8"?><{ROOT}><Каталог><Ид>c</Ид></Каталог></{ROOT}>'.encode()


@pytest.fixture
def caller(tmp_path: Path) -> Caller:
    return Caller(MemoryHost(tmp_path))


def test_init_again_and_again_without_a_file_between_is_answered_alike(caller: Caller) -> None:
    """IC-17."""
    caller.enter()
    answers = {caller.say("catalog", "init") for _i in range(5)}
    assert answers == {"zip=no\nfile_limit=104857600"}
    assert caller.say("catalog", "file", GOODS, filename="import.xml") == "success"
    assert caller.say("catalog", "import", filename="import.xml") == "success"


@pytest.mark.parametrize("steps", [("query",), ("init", "query"), ("init", "init", "query")])
def test_orders_are_given_with_init_and_without(caller: Caller, steps: tuple[str, ...]) -> None:
    """IC-17: "some CRM don't call the sale_init step"."""
    caller.enter("sale")
    answers = [caller.say("sale", step) for step in steps]
    assert etree.fromstring(answers[-1].encode()).tag == ROOT
    assert caller.say("sale", "success") == "success"


def test_results_are_taken_without_init_too(caller: Caller) -> None:
    """IC-17."""
    result = f"<?xml version='1.0'?><{ROOT}><Документ><Ид>g</Ид><Номер>1</Номер></Документ></{ROOT}>".encode()
    assert caller.enter("sale").say("sale", "file", result, filename="orders.xml") == "success"
    assert len(caller.host.jobs) == 1


def test_an_address_with_a_question_mark_of_its_own_is_understood() -> None:
    """The address that a person typed already had a query: 1C puts a second question mark behind it."""
    assert parse_query("token=x?type=catalog&mode=init") == {"token": "x", "type": "catalog", "mode": "init"}


# --- states that come back -------------------------------------------------------------------------------------------------------


@real
@pytest.mark.parametrize("take", [True, False])
@pytest.mark.parametrize(("said", "known"), [("Оплачен", True), (" оплачен ", True), ("Невідомий", False)])
def test_a_state_comes_back_by_its_name_when_the_owner_wants_it(
    node: models.Connection, tmp_path: Path, take: bool, said: str, known: bool
) -> None:
    """CS-B4: requisite "Статус заказа"; IC-9: by name, without regard to case and blanks. An unknown one is reported, not dropped."""
    connections.update(node, {"take_states": take})
    models.Reference.objects.create(subject="order_state", key="paid", name="Оплачен")
    order, _changed = save_order(
        Order("1", "1001", datetime(2026, 3, 1, 8, tzinfo=UTC), state="new", currency="UAH"), source=None
    )
    result = (
        f"<?xml version='1.0'?><{ROOT}><Документ><Ид>1c-guid</Ид><Номер>1001</Номер><ХозОперация>Заказ товара</ХозОперация>"
        f"<ЗначенияРеквизитов><ЗначениеРеквизита><Наименование>Статус заказа</Наименование><Значение>{said}</Значение>"
        f"</ЗначениеРеквизита></ЗначенияРеквизитов></Документ></{ROOT}>"
    )
    load(node, tmp_path, {"orders.xml": result})
    order.refresh_from_db()
    assert order.state == ("paid" if take and known else "new")
    reported = set(models.Mapping.objects.filter(connection=node, subject="order_state").values_list("theirs_name", flat=True))
    assert reported == ({"Невідомий"} if take and not known else set())
