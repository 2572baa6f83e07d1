"""One record's XML into one record: every layout that senders use, and what is said, empty or not said."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal as D
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obmen.core.contract import BadRecord
from obmen.core.records import (
    Address,
    Counterparty,
    Group,
    Kind,
    Offer,
    Price,
    Product,
    Property,
    Reference,
    Stock,
    Subject,
)
from obmen.formats.commerceml import records
from obmen.formats.commerceml.model import Discount, Document, DocumentPayment, Line, Tax, Unit, Warehouse
from obmen.formats.commerceml.records import NotWhole, parse


def one(kind: Kind, xml: str, parent: str = "") -> object:
    (record,) = parse(kind, [xml.encode()], parents=[parent])
    return record


def product(body: str, tag: str = "<Товар>") -> Product:
    record = one(Kind.PRODUCT, f"{tag}<Ид>p</Ид>{body}</Товар>")
    assert isinstance(record, Product), record
    return record


def offer(body: str, key: str = "p", kind: Kind = Kind.OFFER) -> Offer:
    record = one(kind, f"<Предложение><Ид>{key}</Ид>{body}</Предложение>")
    assert isinstance(record, Offer), record
    return record


def order(body: str) -> Document:
    record = one(Kind.ORDER, f"<Документ><Ид>1</Ид>{body}</Документ>")
    assert isinstance(record, Document), record
    return record


def bad(kind: Kind, xml: str) -> BadRecord:
    record = one(kind, xml)
    assert isinstance(record, BadRecord), record
    assert {"record", "key", "element", "found", "expected"} <= set(record.facts)
    return record


# --- products ----------------------------------------------------------------------------------------------------------------


def test_a_full_card_is_read_to_its_last_field() -> None:
    assert product(
        "<Штрихкод>2000000060491</Штрихкод><Артикул>00-00953    </Артикул><Код>NF-1 </Код><Наименование> Гантель\xa0</Наименование>"
        '<БазоваяЕдиница Код="796 " НаименованиеПолное="Штука" МеждународноеСокращение="PCE">шт</БазоваяЕдиница>'
        "<Группы><Ид>g1</Ид><Ид>g2</Ид></Группы><Категория>cat</Категория><Описание>Черная &lt;b&gt; </Описание>"
        "<Картинка>import_files/a.jpg</Картинка><Картинка>import_files/b.jpg</Картинка>"
        "<Изготовитель><Ид>m</Ид><Наименование>Завод</Наименование></Изготовитель><Страна>УКРАЇНА</Страна><Вес>0.75</Вес>"
        "<ЗначенияСвойств><ЗначенияСвойства><Ид>c</Ид><Значение>red</Значение></ЗначенияСвойства>"
        "<ЗначенияСвойства><Ид>s</Ид><Значение>1</Значение><Значение>2</Значение></ЗначенияСвойства>"
        "<ЗначенияСвойства><Ид>e</Ид><Значение/></ЗначенияСвойства></ЗначенияСвойств>"
        "<СтавкиНалогов><СтавкаНалога><Наименование>НДС</Наименование><Ставка>20</Ставка></СтавкаНалога></СтавкиНалогов>"
        "<ЗначенияРеквизитов><ЗначениеРеквизита><Наименование>ТипНоменклатуры</Наименование><Значение>Товар</Значение>"
        "</ЗначениеРеквизита><ЗначениеРеквизита><Наименование>Полное наименование</Наименование><Значение>Гантель 5 кг</Значение>"
        "</ЗначениеРеквизита><ЗначениеРеквизита><Наименование>Файл</Наименование><Значение>a</Значение><Значение>b</Значение>"
        "</ЗначениеРеквизита></ЗначенияРеквизитов>"
    ) == Product(
        key="p",
        name="Гантель",
        full_name="Гантель 5 кг",
        article="00-00953",
        code="NF-1",
        barcode="2000000060491",
        unit="шт",
        unit_attributes=(("code", "796"), ("full_name", "Штука"), ("international", "PCE")),
        groups=("g1", "g2"),
        category="cat",
        description="Черная <b>",
        kind="Товар",
        vat_rate="20",
        manufacturer="Завод",
        manufacturer_key="m",
        country="УКРАЇНА",
        weight=D("0.75"),
        properties=(("c", ("red",)), ("s", ("1", "2")), ("e", ("",))),
        requisites=(("ТипНоменклатуры", "Товар"), ("Полное наименование", "Гантель 5 кг"), ("Файл", "a"), ("Файл", "b")),
        pictures=("import_files/a.jpg", "import_files/b.jpg"),
        deleted=False,
    )


def test_what_is_not_said_is_none_and_what_is_said_to_be_empty_is_empty() -> None:
    assert product("") == Product("p", deleted=False)
    empty = product("<Артикул/><Описание/><Картинка/><Группы/><ЗначенияСвойств/><ЗначенияРеквизитов/><Вес/>")
    assert (empty.article, empty.description, empty.pictures, empty.groups) == ("", "", (), ())
    assert (empty.properties, empty.requisites, empty.weight) == ((), (), None)


@pytest.mark.parametrize(
    ("xml", "unit", "attributes"),
    [
        ('<БазоваяЕдиница Код="796">шт</БазоваяЕдиница>', "шт", (("code", "796"),)),
        ('<БазоваяЕдиница Код="715 " НаименованиеПолное="Пара"/>', "715", (("code", "715"), ("full_name", "Пара"))),
        ('<БазоваяЕдиница Код="" НаименованиеПолное="Штука"/>', "Штука", (("code", ""), ("full_name", "Штука"))),
        (
            '<БазоваяЕдиница Код="796">\n<Пересчет><Единица>796</Единица><Коэффициент>1</Коэффициент></Пересчет></БазоваяЕдиница>',
            "796",
            (("code", "796"), ("ratio_unit", "796"), ("ratio", "1")),
        ),
        ("<БазоваяЕдиница>796 </БазоваяЕдиница>", "796", ()),
    ],
)
def test_a_unit_is_read_in_all_its_layouts(xml: str, unit: str, attributes: tuple[tuple[str, str], ...]) -> None:
    record = product(xml)
    assert (record.unit, record.unit_attributes) == (unit, attributes)


@pytest.mark.parametrize(
    ("tag", "mark", "deleted"),
    [
        ('<Товар Статус="Удален">', "", True),
        ('<Товар Статус="Новый">', "", False),
        ("<Товар>", "<Статус>Удален</Статус>", True),
        ("<Товар>", "<Статус>Изменен</Статус>", False),
        ("<Товар>", "<ПометкаУдаления>true</ПометкаУдаления>", True),
        ("<Товар>", "<ПометкаУдаления>false</ПометкаУдаления>", False),
        ("<Товар>", "", False),
    ],
)
def test_the_three_deletion_marks_are_one(tag: str, mark: str, deleted: bool) -> None:
    assert product(mark, tag).deleted is deleted


def test_a_status_of_somebodys_own_is_no_mark_and_is_kept() -> None:
    record = product("<Статус>В продаже</Статус>")
    assert (record.deleted, record.extra) == (False, "<Статус>В продаже</Статус>")


def test_a_card_of_a_characteristic_keeps_its_double_key() -> None:
    record = one(
        Kind.VARIANT,
        "<Товар><Ид>p#c</Ид><ХарактеристикиТовара><ХарактеристикаТовара><Наименование>Цвет</Наименование>"
        "<Значение>-999 999 999,9</Значение></ХарактеристикаТовара></ХарактеристикиТовара></Товар>",
    )
    assert record == Product("p#c", characteristics=(("Цвет", "-999 999 999,9"),), deleted=False)


def test_what_a_record_does_not_know_is_kept_untouched() -> None:
    record = product('<Баллы>20</Баллы><Хотелки а="1"><Хочу>Да</Хочу></Хотелки><НомерВерсии>AAA=32906</НомерВерсии>')
    assert record.extra == '<Баллы>20</Баллы><Хотелки а="1"><Хочу>Да</Хочу></Хотелки><НомерВерсии>AAA=32906</НомерВерсии>'


def test_the_description_of_a_picture_becomes_the_requisite_that_ut_writes_it_in() -> None:
    record = product('<Картинка Описание=" вид ">a.jpg</Картинка>')
    assert (record.pictures, record.requisites) == (("a.jpg",), (("ОписаниеФайла", "a.jpg#вид"),))


def test_bitrixs_property_values_with_parts_of_their_own_are_kept() -> None:
    row = "<ЗначенияСвойства><Ид>a</Ид><Значение>1</Значение><ЗначениеСвойства><Значение>1</Значение></ЗначениеСвойства></ЗначенияСвойства>"
    record = product(
        f"<ЗначенияСвойств>{row}<ЗначенияСвойства><Наименование>Цвет</Наименование><Значение>x</Значение>"
        "</ЗначенияСвойства></ЗначенияСвойств>"
    )
    assert record.properties == (("a", ("1",)), ("Цвет", ("x",)))
    assert record.extra == row


def test_unescaped_html_and_comments_leave_a_whole_text() -> None:
    assert product("<Описание>о<!-- x -->дин <b>два</b> три</Описание>").description == "один два три"


def test_a_comment_beside_the_fields_is_nothing() -> None:
    assert product("<!-- из 1С --><Артикул>а<!-- x -->б</Артикул>") == Product("p", article="аб", deleted=False)


def test_the_id_of_a_characteristic_is_kept_with_it() -> None:
    row = "<ХарактеристикаТовара><Ид>h</Ид><Наименование>Цвет</Наименование><Значение>синий</Значение></ХарактеристикаТовара>"
    record = offer(f"<ХарактеристикиТовара>{row}</ХарактеристикиТовара>", key="p#c")
    assert (record.characteristics, record.extra) == ((("Цвет", "синий"),), row)


def test_the_vat_rate_is_that_of_vat() -> None:
    rows = "".join(
        f"<СтавкаНалога><Наименование>{n}</Наименование><Ставка>{r}</Ставка></СтавкаНалога>"
        for n, r in (("Акциз", "7"), ("НДС", "Без НДС"))
    )
    assert product(f"<СтавкиНалогов>{rows}</СтавкиНалогов>").vat_rate == "none"


def test_a_product_without_id_is_bad_and_the_others_go_on() -> None:
    out = parse(Kind.PRODUCT, [b"<\xd0\xa2/>", "<Товар><Ид>1</Ид></Товар>".encode()])
    assert isinstance(out[0], BadRecord)
    assert (out[0].text, out[0].facts["element"]) == (records.MISSING, "Ид")
    assert out[1] == Product("1", deleted=False)


def test_a_garbage_weight_is_bad_but_one_in_a_requisite_is_a_text() -> None:
    error = bad(Kind.PRODUCT, "<Товар><Ид>7</Ид><Вес>тяжёлый</Вес></Товар>")
    assert (error.facts["key"], error.facts["element"], error.facts["found"]) == ("7", "Вес", "тяжёлый")
    said = "<ЗначениеРеквизита><Наименование>Вес</Наименование><Значение>{}</Значение></ЗначениеРеквизита>"
    assert product(f"<ЗначенияРеквизитов>{said.format('тяжёлый')}</ЗначенияРеквизитов>").weight is None
    assert product(f"<ЗначенияРеквизитов>{said.format('0,75')}</ЗначенияРеквизитов>").weight == D("0.75")


# --- offers -------------------------------------------------------------------------------------------------------------------


def test_a_full_offer_is_read_to_its_last_field() -> None:
    assert offer(
        "<Штрихкод>1</Штрихкод><Артикул>a</Артикул><Наименование>н</Наименование>"
        '<БазоваяЕдиница Код="796">шт</БазоваяЕдиница><ХарактеристикиТовара><ХарактеристикаТовара><Наименование>Размер</Наименование>'
        "<Значение>37</Значение></ХарактеристикаТовара></ХарактеристикиТовара><Картинка>o.jpg</Картинка>"
        "<Цены><Цена><Представление>10 USD за шт</Представление><ИдТипаЦены>k</ИдТипаЦены><ЦенаЗаЕдиницу>1 234,50</ЦенаЗаЕдиницу>"
        "<Валюта>USD</Валюта><Единица>шт</Единица><Коэффициент>1</Коэффициент></Цена></Цены><Количество>5.5</Количество>",
        key="p#c",
    ) == Offer(
        key="p#c",
        product="p",
        name="н",
        article="a",
        barcode="1",
        unit="шт",
        characteristics=(("Размер", "37"),),
        pictures=("o.jpg",),
        deleted=False,
        prices=(Price("k", D("1234.5"), "USD", "шт", D(1)),),
        stock=(Stock("", D("5.5")),),
    )


def test_an_offer_in_parts_says_nothing_of_what_it_does_not_hold() -> None:
    prices = offer("<Цены/>", kind=Kind.PRICES)
    assert prices == Offer("p", "p", prices=())
    assert offer("<Количество>1</Количество>", kind=Kind.STOCK) == Offer("p", "p", stock=(Stock("", D(1)),))
    assert offer("<Статус>Удален</Статус>", kind=Kind.STOCK).deleted is True


def test_the_key_of_a_change_is_put_together_from_its_parts() -> None:
    assert offer("<ИдХарактеристики>c</ИдХарактеристики><Количество>1</Количество>", kind=Kind.STOCK).key == "p#c"
    assert offer("<ИдХарактеристики>c</ИдХарактеристики>", key="p#c").key == "p#c"
    assert offer("<ИдХарактеристики/>").key == "p"


TWO = (Stock("w1", D(3)), Stock("w2", D("0.5")))


@pytest.mark.parametrize(
    "xml",
    [
        '<Количество>99</Количество><Склад ИдСклада="w1" КоличествоНаСкладе="3"/><Склад ИдСклада="w2" КоличествоНаСкладе="0,5"/>',
        '<Склады ИдСклада="w1" КоличествоНаСкладе="3"/><Склады ИдСклада="w2" КоличествоНаСкладе="0.5"/><Количество>3.5</Количество>',
        '<Склады><Склад ИдСклада="w1" КоличествоНаСкладе="3"/><Склад ИдСклада="w2" КоличествоНаСкладе="0.5"/></Склады>',
        "<КоличествоНаСкладах><КоличествоНаСкладе><ИдСклада>w1</ИдСклада><Количество>3</Количество></КоличествоНаСкладе>"
        "<КоличествоНаСкладе><ИдСклада>w2</ИдСклада><Количество>0.5</Количество></КоличествоНаСкладе></КоличествоНаСкладах>",
        "<Остатки><Остаток><Склад><Ид>w1</Ид><Количество>3</Количество></Склад></Остаток>"
        "<Остаток><Склад><Ид>w2</Ид><Количество>0.5</Количество></Склад></Остаток></Остатки>",
        "<Остатки><Остаток><Количество>9</Количество></Остаток>"
        "<Остаток><Склад><Ид>w1</Ид><Количество>3</Количество></Склад></Остаток>"
        "<Остаток><Склад><Ид>w2</Ид><Количество>0.5</Количество></Склад></Остаток></Остатки>",
    ],
)
def test_stock_by_warehouse_is_read_in_all_its_layouts_and_outweighs_the_total(xml: str) -> None:
    assert offer(xml).stock == TWO


@pytest.mark.parametrize(
    ("xml", "stock"),
    [
        ("", None),
        ("<Количество/>", None),
        ("<Количество>0</Количество>", (Stock("", D(0)),)),
        ("<Количество>-3</Количество>", (Stock("", D(-3)),)),
        ("<Остатки><Остаток><Количество>7</Количество></Остаток></Остатки>", (Stock("", D(7)),)),
        ('<Склад ИдСклада="w" КоличествоНаСкладе=""/>', None),
        ('<Склад ИдСклада="w" КоличествоНаСкладе=""/><Количество/>', None),
        ('<Склад ИдСклада="w" КоличествоНаСкладе=""/><Количество>4</Количество>', (Stock("", D(4)),)),
        ('<Склад ИдСклада="w" КоличествоНаСкладе="0"/><Количество>4</Количество>', (Stock("w", D(0)),)),
        ("<Остатки/>", ()),
        ("<Остатки><Остаток><Склад><Ид>w</Ид><Количество/></Склад></Остаток></Остатки>", None),
    ],
)
def test_a_quantity_that_is_not_said_is_not_nought(xml: str, stock: tuple[Stock, ...] | None) -> None:
    assert offer(xml).stock == stock


def price(body: str) -> Price:
    prices = offer(f"<Цены><Цена>{body}</Цена></Цены>").prices
    assert prices is not None
    return prices[0]


@pytest.mark.parametrize("text", ["", "0", "0.00", " "])
def test_an_empty_price_and_nought_are_no_price(text: str) -> None:
    assert price(f"<ИдТипаЦены>k</ИдТипаЦены><ЦенаЗаЕдиницу>{text}</ЦенаЗаЕдиницу>") == Price("k", None)


def test_quantity_breaks_are_prices_of_their_own() -> None:
    rows = "".join(
        f"<Цена><ИдТипаЦены>k</ИдТипаЦены><ЦенаЗаЕдиницу>{p}</ЦенаЗаЕдиницу><{tag}>{n}</{tag}></Цена>"
        for p, tag, n in (("10", "КоличествоОт", ""), ("9", "МинКоличество", "5"), ("8", "КоличествоОт", "10"))
    )
    assert offer(f"<Цены>{rows}</Цены>").prices == (
        Price("k", D(10)),
        Price("k", D(9), min_quantity=D(5)),
        Price("k", D(8), min_quantity=D(10)),
    )


def test_an_upper_limit_of_a_price_is_kept_as_it_is() -> None:
    row = "<Цена><ИдТипаЦены>k</ИдТипаЦены><ЦенаЗаЕдиницу>1</ЦенаЗаЕдиницу><КоличествоДо>5</КоличествоДо></Цена>"
    assert offer(f"<Цены>{row}</Цены>").extra == row


def test_the_same_price_said_twice_is_the_last_one_and_the_other_is_kept() -> None:
    row = "<Цена><ИдТипаЦены>k</ИдТипаЦены><ЦенаЗаЕдиницу>{}</ЦенаЗаЕдиницу></Цена>"
    record = offer(f"<Цены>{row.format(1)}{row.format(2)}</Цены>")
    assert (record.prices, record.extra) == ((Price("k", D(2)),), row.format(1))


def test_the_price_of_a_packing_unit_does_not_replace_that_of_the_base_unit() -> None:
    row = "<Цена><ИдТипаЦены>k</ИдТипаЦены><ЦенаЗаЕдиницу>{}</ЦенаЗаЕдиницу><Коэффициент>{}</Коэффициент></Цена>"
    for rows in ((row.format(5, 1), row.format(50, 10)), (row.format(50, 10), row.format(5, 1))):
        record = offer(f"<Цены>{''.join(rows)}</Цены>")
        assert (record.prices, record.extra) == ((Price("k", D(5), ratio=D(1)),), row.format(50, 10))


@pytest.mark.parametrize(
    ("body", "element"),
    [
        ("<Количество>много</Количество>", "Количество"),
        ('<Склад ИдСклада="w" КоличествоНаСкладе="?"/>', "КоличествоНаСкладе"),
        ("<Цены><Цена><ЦенаЗаЕдиницу>дорого</ЦенаЗаЕдиницу></Цена></Цены>", "ЦенаЗаЕдиницу"),
        ("<Цены><Цена><ЦенаЗаЕдиницу>NaN</ЦенаЗаЕдиницу></Цена></Цены>", "ЦенаЗаЕдиницу"),
        ("<ПометкаУдаления>может быть</ПометкаУдаления>", "ПометкаУдаления"),
    ],
)
def test_garbage_is_never_guessed(body: str, element: str) -> None:
    error = bad(Kind.OFFER, f"<Предложение><Ид>p#c</Ид>{body}</Предложение>")
    assert (error.facts["key"], error.facts["element"]) == ("p#c", element)


# --- the classifier ----------------------------------------------------------------------------------------------------------


def test_a_group_knows_its_parent_and_keeps_the_rest() -> None:
    record = one(
        Kind.GROUP,
        "<Группа><Ид>b</Ид><Наименование>Б</Наименование><Описание>о</Описание><Картинка>g.jpg</Картинка>"
        "<ПометкаУдаления>false</ПометкаУдаления><Свойства><Свойство><Ид>s</Ид></Свойство></Свойства><Сортировка>5</Сортировка>"
        "<Группы><Группа/></Группы></Группа>",
        "a",
    )
    extra = "<Свойства><Свойство><Ид>s</Ид></Свойство></Свойства><Сортировка>5</Сортировка>"
    assert record == Group("b", "Б", "a", "о", "g.jpg", False, extra)
    assert one(Kind.GROUP, "<Группа><Ид>a</Ид></Группа>") == Group("a", "", None, deleted=False)


@pytest.mark.parametrize(
    ("variants", "values"),
    [
        ("<Справочник><ИдЗначения>1</ИдЗначения><Значение>синий</Значение></Справочник>", (("1", "синий"),)),
        ("<Справочник><Ид>1</Ид><Значение>синий</Значение></Справочник>", (("1", "синий"),)),
        ("<Значение>синий</Значение><Значение>белый</Значение>", (("синий", "синий"), ("белый", "белый"))),
        ("<Вариант><Ид>1</Ид><Значение>синий</Значение></Вариант>", (("1", "синий"),)),
    ],
)
def test_a_dictionary_of_a_property_is_read_in_all_its_layouts(variants: str, values: tuple[tuple[str, str], ...]) -> None:
    record = one(
        Kind.PROPERTY,
        "<Свойство><Ид>c</Ид><Наименование>Цвет</Наименование><Обязательное>false</Обязательное><Множественное>true</Множественное>"
        f"<ТипЗначений>Справочник</ТипЗначений><ВариантыЗначений>{variants}</ВариантыЗначений><ДляТоваров>1</ДляТоваров></Свойство>",
    )
    assert record == Property("c", "Цвет", "dictionary", values, False, True, "products")


def test_a_property_of_ut_10_3_is_a_property() -> None:
    record = one(
        Kind.PROPERTY,
        "<СвойствоНоменклатуры><Ид>c</Ид><Наименование>Цвет</Наименование><ТипыЗначений><ТипЗначений><Тип>Справочник</Тип>"
        "<ВариантыЗначений><ВариантЗначения><Ид>1</Ид><Значение>синий</Значение></ВариантЗначения></ВариантыЗначений>"
        "</ТипЗначений></ТипыЗначений></СвойствоНоменклатуры>",
    )
    assert record == Property("c", "Цвет", "dictionary", (("1", "синий"),))


@pytest.mark.parametrize(
    ("word", "kind"),
    [("Строка", "string"), ("Число", "number"), ("Время", "datetime"), ("Булево", "boolean"), ("Файл", "Файл"), ("", "string")],
)
def test_the_kind_of_a_property_is_our_word_or_theirs(word: str, kind: str) -> None:
    record = one(Kind.PROPERTY, f"<Свойство><Ид>c</Ид><ТипЗначений>{word}</ТипЗначений></Свойство>")
    assert isinstance(record, Property)
    assert record.kind == kind


def test_references_carry_their_attributes() -> None:
    assert one(
        Kind.REFERENCE,
        "<ТипЦены><Ид>k</Ид><Наименование>Розничная</Наименование><Валюта>RUB</Валюта>"
        "<Налог><Наименование>НДС</Наименование><УчтеноВСумме>true</УчтеноВСумме></Налог></ТипЦены>",
    ) == Reference(Subject.PRICE_KIND, "k", "Розничная", (("currency", "RUB"), ("tax", "НДС"), ("tax_included", "true")))
    assert one(
        Kind.REFERENCE,
        "<Склад><Ид>w</Ид><Наименование>Центральный</Наименование><ПометкаУдаления>true</ПометкаУдаления>"
        "<Адрес><Представление>Київ</Представление></Адрес><КакПроехать>прямо</КакПроехать></Склад>",
    ) == Reference(Subject.WAREHOUSE, "w", "Центральный", (("address", "Київ"), ("КакПроехать", "прямо")), True)
    assert one(
        Kind.REFERENCE,
        "<ЕдиницаИзмерения><Ид>796 </Ид><НаименованиеКраткое>шт </НаименованиеКраткое><Код>796</Код>"
        "<НаименованиеПолное>Штука   </НаименованиеПолное></ЕдиницаИзмерения>",
    ) == Reference(Subject.UNIT, "796", "шт", (("short_name", "шт"), ("code", "796"), ("full_name", "Штука")))
    assert one(Kind.REFERENCE, "<Производитель><Ид>m</Ид><КраткоеНаименование>Завод</КраткоеНаименование></Производитель>") == (
        Reference(Subject.MANUFACTURER, "m", "Завод", (("КраткоеНаименование", "Завод"),))
    )
    assert bad(Kind.REFERENCE, "<ТипЦены><Наименование>Розничная</Наименование></ТипЦены>").facts["element"] == "Ид"


# --- counterparties ------------------------------------------------------------------------------------------------------------


def test_a_person_is_read_with_contacts_and_addresses() -> None:
    address = (
        "<Представление>Київ, Хрещатик 1</Представление><АдресноеПоле><Тип>Город</Тип><Значение>Київ</Значение></АдресноеПоле>"
    )
    assert one(
        Kind.COUNTERPARTY,
        "<Контрагент><Ид>38#login#name</Ид><Наименование>Иванов</Наименование><ПолноеНаименование>Иванов И. И.</ПолноеНаименование>"
        "<Фамилия>Иванов</Фамилия><Имя>Иван</Имя><Роль>Покупатель</Роль>"
        f"<АдресРегистрации>{address}</АдресРегистрации><Адрес>{address}</Адрес>"
        "<Контакты><Контакт><Тип>Телефон мобильный</Тип><Значение>+380</Значение></Контакт>"
        "<Контакт><Тип>Почта</Тип><Значение>a@example.com</Значение></Контакт></Контакты>"
        "<ДатаРождения>1990-01-01</ДатаРождения></Контрагент>",
    ) == Counterparty(
        key="38#login#name",
        name="Иванов",
        full_name="Иванов И. И.",
        last_name="Иванов",
        first_name="Иван",
        phone="+380",
        email="a@example.com",
        address=Address("Київ, Хрещатик 1", (("Город", "Київ"),)),
        legal_address=Address("Київ, Хрещатик 1", (("Город", "Київ"),)),
        contacts=(("Телефон мобильный", "+380"), ("Почта", "a@example.com")),
        role="Покупатель",
        extra="<ДатаРождения>1990-01-01</ДатаРождения>",
    )


@pytest.mark.parametrize(
    ("official", "kind"), [("ООО Ромашка", "company"), ("ФОП Петренко", "entrepreneur"), ("ИП Иванов", "entrepreneur")]
)
def test_an_official_name_makes_a_company(official: str, kind: str) -> None:
    record = one(
        Kind.COUNTERPARTY,
        f"<Контрагент><Ид>1</Ид><ОфициальноеНаименование>{official}</ОфициальноеНаименование><ИНН>1</ИНН><КПП>2</КПП>"
        "<КодПоОКПО>3</КодПоОКПО></Контрагент>",
    )
    assert record == Counterparty("1", kind=kind, full_name=official, inn="1", kpp="2", okpo="3")


# --- documents --------------------------------------------------------------------------------------------------------------


def test_an_order_is_read_to_its_last_field() -> None:
    assert one(
        Kind.ORDER,
        "<Документ><Ид>132</Ид><НомерВерсии>AAAA=</НомерВерсии><ПометкаУдаления>false</ПометкаУдаления><Номер>132</Номер>"
        "<Номер1С>ТДЦУ-000001  </Номер1С><Дата1С>2015-06-30</Дата1С><Дата>2021-02-11</Дата><Время>18:45:21</Время>"
        "<ХозОперация>Заказ товара</ХозОперация><Роль>Продавец</Роль><Валюта>RUB</Валюта><Курс>1.0000</Курс><Сумма>231.7400</Сумма>"
        "<Контрагенты><Контрагент><Ид>c</Ид><Роль>Покупатель</Роль></Контрагент></Контрагенты><Комментарий/>"
        "<СрокПлатежа>2021-03-01</СрокПлатежа><Организация>Фирма</Организация><Основание>7</Основание>"
        "<Налоги><Налог><Наименование>НДС</Наименование><УчтеноВСумме>true</УчтеноВСумме><Сумма>38.62</Сумма><Ставка>20</Ставка></Налог></Налоги>"
        "<Скидки><Скидка><Наименование>5</Наименование><Сумма>10.00</Сумма><Процент>5%</Процент><УчтеноВСумме>false</УчтеноВСумме></Скидка></Скидки>"
        "<Склады><Склад><Ид>w</Ид><Наименование>Центральный</Наименование></Склад></Склады>"
        "<Оплаты><Оплата><НомерДокумента>5</НомерДокумента><НомерТранзакции>t</НомерТранзакции><ДатаОплаты>2021-02-12T10:00:00</ДатаОплаты>"
        "<СуммаОплаты>100</СуммаОплаты><СпособОплаты>Карта</СпособОплаты><ИдСпособаОплаты>3</ИдСпособаОплаты></Оплата></Оплаты>"
        "<Товары><Товар><Ид>p#c</Ид><ИдКаталога>cat</ИдКаталога><Артикул>a</Артикул><Наименование>н</Наименование>"
        '<БазоваяЕдиница Код="796" НаименованиеПолное="Штука">шт</БазоваяЕдиница><ЦенаЗаЕдиницу>231.74</ЦенаЗаЕдиницу>'
        "<Количество>1.0000</Количество><Сумма>231.74</Сумма><Единица>упак</Единица><Коэффициент>1</Коэффициент>"
        "<СтавкиНалогов><СтавкаНалога><Наименование>НДС</Наименование><Ставка>20</Ставка></СтавкаНалога></СтавкиНалогов>"
        "<ЗначенияРеквизитов><ЗначениеРеквизита><Наименование>ТипНоменклатуры</Наименование><Значение>Товар</Значение></ЗначениеРеквизита>"
        "</ЗначенияРеквизитов><Действие>Резервировать</Действие></Товар></Товары>"
        "<ЗначенияРеквизитов><ЗначениеРеквизита><Наименование>Статус заказа</Наименование><Значение>[N] Принят</Значение>"
        "</ЗначениеРеквизита></ЗначенияРеквизитов><История><Состояние/></История></Документ>",
        "2",
    ) == Document(
        id="132",
        number="132",
        date=dt.date(2021, 2, 11),
        time=dt.time(18, 45, 21),
        operation="Заказ товара",
        role="Продавец",
        currency="RUB",
        rate=D(1),
        total=D("231.74"),
        counterparties=(Counterparty("c", role="Покупатель"),),
        lines=(
            Line(
                key="p#c",
                name="н",
                article="a",
                catalogue_id="cat",
                unit=Unit("шт", "796", "Штука"),
                packing="упак",
                ratio=D(1),
                price=D("231.74"),
                quantity=D(1),
                total=D("231.74"),
                rate="20",
                requisites=(("ТипНоменклатуры", "Товар"),),
                extra="<Действие>Резервировать</Действие>",
            ),
        ),
        taxes=(Tax("НДС", True, D("38.62"), "20"),),
        discounts=(Discount("5", D(10), D(5), False),),
        warehouses=(Warehouse("w", "Центральный"),),
        payments=(DocumentPayment("5", "t", dt.datetime(2021, 2, 12, 10), D(100), "Карта", "3"),),  # noqa: DTZ001
        requisites=(("Статус заказа", "[N] Принят"),),
        deleted=False,
        number_1c="ТДЦУ-000001",
        date_1c=dt.datetime(2015, 6, 30),  # noqa: DTZ001
        version="AAAA=",
        container="2",
        base="7",
        comment="",
        payment_due=dt.date(2021, 3, 1),
        organisation="Фирма",
        extra="<История><Состояние/></История>",
    )


def test_the_price_of_a_line_is_called_otherwise_in_3_1_and_its_unit_is_an_element() -> None:
    document = order(
        "<Товары><Товар><Ид>p</Ид><Цена>10.5</Цена><Количество>2</Количество><Единица><Ид>796 </Ид><НаименованиеКраткое>шт</НаименованиеКраткое>"
        "<Код>796</Код></Единица></Товар></Товары>"
    )
    assert document.lines == (Line("p", unit=Unit("шт", "796", key="796"), price=D("10.5"), quantity=D(2)),)


def test_subordinate_documents_are_documents() -> None:
    document = order(
        "<ПодчиненныеДокументы><ПодчиненныйДокумент><Ид>2</Ид><ХозОперация>Эквайринговая операция</ХозОперация><Сумма>5</Сумма>"
        "</ПодчиненныйДокумент></ПодчиненныеДокументы>"
    )
    assert document.subordinate == (Document("2", operation="Эквайринговая операция", total=D(5)),)


def test_lines_not_said_are_not_no_lines() -> None:
    assert order("").lines is None
    assert order("<Товары/>").lines == ()


@pytest.mark.parametrize(
    ("body", "moment"),
    [
        ("<Дата>2021-02-11</Дата><Время>18:45:21</Время>", "2021-02-11T16:45:21+00:00"),
        ("<Дата>11.02.2021</Дата><Время>9:05:07</Время>", "2021-02-11T07:05:07+00:00"),
        ("<Дата>2021-02-11T18:45:21</Дата>", "2021-02-11T16:45:21+00:00"),
        ("<Дата>2021-02-11</Дата><Время>2021-02-11T18:45:21</Время>", "2021-02-11T16:45:21+00:00"),
        ("<Дата>2021-02-11</Дата><Время>18:45:21+03:00</Время>", "2021-02-11T15:45:21+00:00"),
        ("<Дата>2021-02-11+02:00</Дата>", "2021-02-10T22:00:00+00:00"),
        ("<Дата>2015-08-12+03:00</Дата><Время>13:38:17</Время>", "2015-08-12T10:38:17+00:00"),
        ("<Время>13:38:17</Время><Дата>2015-08-12+03:00</Дата>", "2015-08-12T10:38:17+00:00"),
    ],
)
def test_the_moment_of_a_document_is_in_the_zone_of_its_sender(body: str, moment: str) -> None:
    said = order(body).moment(ZoneInfo("Europe/Kyiv"))
    assert said is not None
    assert said.isoformat() == moment


def test_a_requisite_is_found_without_regard_to_case() -> None:
    row = "<ЗначениеРеквизита><Наименование>{}</Наименование><Значение>{}</Значение></ЗначениеРеквизита>"
    document = order(f"<ЗначенияРеквизитов>{row.format('Отменен', 'true')}{row.format('отменен', 'x')}</ЗначенияРеквизитов>")
    assert document.requisite("ОТМЕНЕН") == "true"
    assert document.requisite("Оплачен") is None


@pytest.mark.parametrize(
    ("body", "element"),
    [
        ("<Дата>вчера</Дата>", "Дата"),
        ("<Время>полдень</Время>", "Время"),
        ("<Сумма>сто</Сумма>", "Сумма"),
        ("<Товары><Товар><Количество>два</Количество></Товар></Товары>", "Товары/Товар/Количество"),
        ("<Налоги><Налог><УчтеноВСумме>да?</УчтеноВСумме></Налог></Налоги>", "УчтеноВСумме"),
    ],
)
def test_a_garbage_value_makes_the_whole_order_bad(body: str, element: str) -> None:
    error = bad(Kind.ORDER, f"<Документ><Номер>77</Номер>{body}</Документ>")
    assert (error.facts["key"], error.facts["element"]) == ("77", element)


# --- bytes -----------------------------------------------------------------------------------------------------------------


def test_bytes_that_are_not_one_whole_record_are_told_apart() -> None:
    good = "<Товар><Ид>1</Ид></Товар>".encode()
    for wrong in (good[:-3], good + good, good + b"x", b"", b"text", "<Товар><Ид>&e;</Ид></Товар>".encode()):
        out = parse(Kind.PRODUCT, [good, wrong, good])
        assert [type(record) for record in out] == [Product, NotWhole, Product], wrong


def test_two_halves_are_not_taken_for_two_records() -> None:
    halves = ["<Товар><Ид>1</Ид><Имя>а<!-- </Товар>", "<Товар> -->б</Имя></Товар>"]
    assert [type(record) for record in parse(Kind.PRODUCT, [half.encode() for half in halves])] == [NotWhole, NotWhole]


def test_prefixes_without_their_declaration_are_read() -> None:
    raw = '<c:Товар Статус="Удален"><c:Ид>1</c:Ид><c:Артикул>a</c:Артикул></c:Товар>'
    assert one(Kind.PRODUCT, raw) == Product("1", article="a", deleted=True)
    assert one(Kind.PRODUCT, '<Товар xmlns="urn:1C.ru:commerceml_2"><Ид>1</Ид></Товар>') == Product("1", deleted=False)


def test_records_are_read_in_the_encoding_of_their_file() -> None:
    raw = "<Товар><Ид>1</Ид><Наименование>имя</Наименование></Товар>".encode("windows-1251")
    assert parse(Kind.PRODUCT, [raw], encoding="windows-1251") == [Product("1", name="имя", deleted=False)]


texts = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\ufffe\uffff"), max_size=40)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=30))
def test_a_record_is_the_same_alone_and_in_any_batch(pairs: list[tuple[str, str]]) -> None:
    def escape(text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace("]]>", "]]&gt;")

    raws = [
        f"<Товар><Ид>{n}</Ид><Наименование>{escape(a)}</Наименование><ЗначенияСвойств><ЗначенияСвойства><Ид>{escape(b)}</Ид>"
        f"<Значение>{escape(a)}</Значение></ЗначенияСвойства></ЗначенияСвойств></Товар>".encode()
        for n, (a, b) in enumerate(pairs)
    ]
    together = parse(Kind.PRODUCT, raws)
    assert together == [record for raw in raws for record in parse(Kind.PRODUCT, [raw])]
    assert [record.name for record in together if isinstance(record, Product)] == [a.strip() for a, _b in pairs]


def test_order_is_kept_over_many_batches() -> None:
    raws = [f"<Товар><Ид>{n}</Ид><Описание>{'о' * 3000}</Описание></Товар>".encode() for n in range(100)]
    assert sum(map(len, raws)) > records.BATCH * 5
    assert [record.key for record in parse(Kind.PRODUCT, raws) if isinstance(record, Product)] == [str(n) for n in range(100)]
    assert parse(Kind.PRODUCT, []) == []


def test_a_counterparty_without_a_list_around_it_is_read() -> None:
    """As 1C:UT 10 wrote it, in CS-Cart's documentation of 2014."""
    body = "<Документ><Ид>1</Ид><Контрагент><Ид>c1</Ид><Наименование>Test Test</Наименование></Контрагент></Документ>"
    (document,) = records.parse(Kind.ORDER, [body.encode()])
    assert isinstance(document, Document)
    assert [(c.key, c.name) for c in document.counterparties] == [("c1", "Test Test")]


def test_contacts_inside_an_address_are_contacts() -> None:
    """As CS-Cart 4.1 and 4.2 wrote them."""
    body = (
        "<Контрагент><Ид>c1</Ид><Наименование>N</Наименование><АдресРегистрации><Представление>A</Представление><Контакты>"
        "<Контакт><Тип>Почта</Тип><Значение>n@example.com</Значение></Контакт>"
        "<Контакт><Тип>Телефон</Тип><Значение>+380501112233</Значение></Контакт></Контакты></АдресРегистрации></Контрагент>"
    )
    (party,) = records.parse(Kind.COUNTERPARTY, [body.encode()])
    assert isinstance(party, Counterparty)
    assert (party.email, party.phone) == ("n@example.com", "+380501112233")
    assert party.legal_address is not None
    assert party.legal_address.text == "A"
