"""Findings with file, line, element, and what was expected; errors are what a receiver cannot take."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import pytest

from obmen.formats.commerceml import reader, validate
from obmen.formats.commerceml.validate import Finding, _Ids

ROOT = '<КоммерческаяИнформация ВерсияСхемы="2.08" ДатаФормирования="2025-04-03T9:05:07">'
END = "</КоммерческаяИнформация>"


def findings(body: str, root: str = ROOT) -> list[Finding]:
    return list(validate.validate(io.BytesIO(f"{root}\n{body}\n{END}".encode()), "f.xml"))


def told(body: str) -> list[tuple[int, str, str, str]]:
    return [(f.line, f.element, f.text, f.level) for f in findings(body)]


def catalogue(*products: str) -> str:
    rows = "\n".join(products)
    return f"<Каталог><Ид>c</Ид><Товары>\n{rows}\n</Товары></Каталог>"


def offers(*rows: str, head: str = "") -> str:
    body = "\n".join(rows)
    return f"<ПакетПредложений><Ид>o</Ид><ИдКаталога>c</ИдКаталога>{head}<Предложения>\n{body}\n</Предложения></ПакетПредложений>"


def order(more: str = "", number: str = "17", lines: str = "", **changed: str) -> str:
    said = {
        "Дата": "2024-03-01",
        "Время": "09:05:00",
        "ХозОперация": "Заказ товара",
        "Валюта": "RUB",
        "Контрагенты": "<Контрагент><Ид>1</Ид><Наименование>Иванов</Наименование></Контрагент>",
    } | changed
    body = "".join(f"<{k}>{v}</{k}>" for k, v in said.items() if v is not None)
    return f"<Документ><Ид>1</Ид><Номер>{number}</Номер>\n{body}\n<Товары>{lines}</Товары>{more}</Документ>"


PRODUCT, OFFER = "Каталог/Товары/Товар", "ПакетПредложений/Предложения/Предложение"


def test_a_good_document_has_no_findings() -> None:
    assert findings(catalogue("<Товар><Ид>1</Ид><Наименование>н</Наименование></Товар>")) == []
    line = "<Товар><Ид>1</Ид><ЦенаЗаЕдиницу>1</ЦенаЗаЕдиницу><Количество>1</Количество></Товар>"
    assert findings(order(lines=line)) == []


def test_a_finding_is_one_line_with_everything() -> None:
    (finding,) = findings(offers("<Предложение><Ид>1</Ид><Количество>много</Количество></Предложение>"))
    assert str(finding) == f"f.xml:3: {OFFER}/Количество: “много” is not a number such as 1234.5"


@pytest.mark.parametrize(
    ("body", "element"),
    [
        (catalogue("<Товар><Ид>1</Ид><Вес>тяжёлый</Вес></Товар>"), f"{PRODUCT}/Вес"),
        (catalogue("<Товар><Ид>1</Ид><ПометкаУдаления>быть может</ПометкаУдаления></Товар>"), f"{PRODUCT}/ПометкаУдаления"),
        (
            offers('<Предложение><Ид>1</Ид><Склад ИдСклада="w" КоличествоНаСкладе="?"/></Предложение>'),
            f"{OFFER}/Склад/@КоличествоНаСкладе",
        ),
        (
            offers(
                "<Предложение><Ид>1</Ид><Цены><Цена><ИдТипаЦены>k</ИдТипаЦены><ЦенаЗаЕдиницу>x</ЦенаЗаЕдиницу></Цена></Цены></Предложение>"
            ),
            f"{OFFER}/Цены/Цена/ЦенаЗаЕдиницу",
        ),
        (order(Дата="вчера"), "Документ/Дата"),
    ],
)
def test_garbage_is_an_error_at_its_line(body: str, element: str) -> None:
    assert told(body) == [(3, element, validate.NOT_A_VALUE, "error")]


def test_a_garbage_time_of_making_and_mark_of_changes_are_errors() -> None:
    got = findings('<Каталог СодержитТолькоИзменения="наверно"><Ид>c</Ид></Каталог>', ROOT.replace("2025-04-03T9:05:07", "вчера"))
    assert [(f.element, f.text) for f in got] == [
        ("КоммерческаяИнформация/@ДатаФормирования", validate.NOT_A_VALUE),
        ("Каталог/@СодержитТолькоИзменения", validate.NOT_A_VALUE),
    ]


@pytest.mark.parametrize(
    ("body", "element", "text"),
    [
        (catalogue("<Товар><Наименование>н</Наименование></Товар>"), PRODUCT, validate.NO_CHILD),
        (catalogue("<Товар><Ид> </Ид></Товар>"), PRODUCT, validate.EMPTY_CHILD),
        (offers("<Предложение/>"), OFFER, validate.NO_CHILD),
        (
            catalogue(
                "<Товар><Ид>1</Ид><ЗначенияСвойств><ЗначенияСвойства><Значение>x</Значение></ЗначенияСвойства></ЗначенияСвойств></Товар>"
            ),
            f"{PRODUCT}/ЗначенияСвойств/ЗначенияСвойства",
            validate.NO_CHILD,
        ),
        (
            "<Классификатор><Ид>c</Ид><Группы>\n<Группа><Наименование>г</Наименование></Группа></Группы></Классификатор>",
            "Классификатор/Группы/Группа",
            validate.NO_CHILD,
        ),
        (
            "<Классификатор><Ид>c</Ид><Свойства>\n<Свойство><Наименование>г</Наименование></Свойство></Свойства></Классификатор>",
            "Классификатор/Свойства/Свойство",
            validate.NO_CHILD,
        ),
        (
            catalogue(
                "<Товар><Ид>1</Ид><ЗначенияРеквизитов><ЗначениеРеквизита><Значение>x</Значение></ЗначениеРеквизита></ЗначенияРеквизитов></Товар>"
            ),
            f"{PRODUCT}/ЗначенияРеквизитов/ЗначениеРеквизита",
            validate.NO_CHILD,
        ),
    ],
)
def test_a_record_without_what_tells_it_apart_is_an_error(body: str, element: str, text: str) -> None:
    assert told(body) == [(3, element, text, "error")]


def test_an_unknown_element_is_a_warning_told_once() -> None:
    rows = [f"<Товар><Ид>{n}</Ид><Баллы><Вид>1</Вид></Баллы></Товар>" for n in range(3)]
    assert told(catalogue(*rows)) == [(3, f"{PRODUCT}/Баллы", validate.UNKNOWN, "warning")]
    assert told("<Новое/>") == [(2, "Новое", validate.UNKNOWN, "warning")]


def test_text_between_elements_is_a_warning() -> None:
    assert told(catalogue("мусор", "<Товар><Ид>1</Ид></Товар>")) == [(2, "Каталог/Товары", validate.LOOSE_TEXT, "warning")]


def test_an_id_said_twice_in_a_section_is_an_error_and_in_two_sections_is_none() -> None:
    one, two = "<Товар><Ид>1</Ид></Товар>", "<Товар><Ид>2</Ид></Товар>"
    assert told(catalogue(one, two, one)) == [(5, f"{PRODUCT}/Ид", validate.TWICE, "error")]
    assert told(catalogue(one, two) + catalogue(one)) == []


def test_two_characteristics_of_one_product_are_two_changes() -> None:
    row = "<Предложение><Ид>1</Ид><ИдХарактеристики>{}</ИдХарактеристики><Количество>1</Количество></Предложение>"
    assert told(offers(row.format("a"), row.format("b"))) == []
    assert [f[2] for f in told(offers(row.format("a"), row.format("a")))] == [validate.TWICE]


def test_a_reference_that_leads_nowhere_is_a_warning_when_the_file_has_the_dictionary() -> None:
    price = "<Цена><ИдТипаЦены>{}</ИдТипаЦены><ЦенаЗаЕдиницу>1</ЦенаЗаЕдиницу></Цена>"
    rows = f'<Предложение><Ид>1</Ид><Цены>{price.format("k")}{price.format("x")}</Цены><Склад ИдСклада="v" КоличествоНаСкладе="1"/></Предложение>'
    again = rows.replace("<Ид>1", "<Ид>2")
    head = (
        "<ТипыЦен><ТипЦены><Ид>k</Ид><Наименование>н</Наименование></ТипЦены></ТипыЦен>"
        "<Склады><Склад><Ид>w</Ид><Наименование>н</Наименование></Склад></Склады>"
    )
    got = findings(offers(rows, again, head=head))
    assert [(f.line, f.element, f.facts["found"], f.facts["expected"], f.facts["count"], f.level) for f in got] == [
        (3, f"{OFFER}/Цены/Цена/ИдТипаЦены", "x", "ТипыЦен", 2, "warning"),
        (3, f"{OFFER}/Склад/@ИдСклада", "v", "Склады", 2, "warning"),
    ]
    assert findings(offers(rows)) == []


def test_a_reference_may_come_before_its_dictionary() -> None:
    goods = catalogue(
        "<Товар><Ид>1</Ид><Группы><Ид>g</Ид></Группы><ЗначенияСвойств><ЗначенияСвойства><Ид>s</Ид><Значение/></ЗначенияСвойства>"
        "</ЗначенияСвойств></Товар>"
    )
    named = "<Наименование>н</Наименование>"
    classifier = (
        f"<Классификатор><Ид>c</Ид><Группы><Группа><Ид>{{}}</Ид>{named}</Группа></Группы>"
        f"<Свойства><Свойство><Ид>{{}}</Ид>{named}</Свойство></Свойства></Классификатор>"
    )
    assert findings(goods + classifier.format("g", "s")) == []
    assert [f.facts["expected"] for f in findings(goods + classifier.format("h", "t"))] == ["Группы", "Свойства"]


@pytest.mark.parametrize(
    "row",
    [
        "<Количество>-1</Количество>",
        "<Цены><Цена><ИдТипаЦены>k</ИдТипаЦены><ЦенаЗаЕдиницу>-5</ЦенаЗаЕдиницу></Цена></Цены>",
        '<Склад ИдСклада="w" КоличествоНаСкладе="-2"/>',
    ],
)
def test_less_than_nothing_is_a_warning(row: str) -> None:
    assert [f[2:] for f in told(offers(f"<Предложение><Ид>1</Ид>{row}</Предложение>"))] == [(validate.NEGATIVE, "warning")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (order(Валюта=""), [(3, "Документ", validate.EMPTY_CHILD, "error")]),
        (order(ХозОперация=""), [(3, "Документ/ХозОперация", validate.BAD_OPERATION, "error")]),
        (order(ХозОперация="Отпуск товара"), [(3, "Документ/ХозОперация", validate.BAD_OPERATION, "warning")]),
        (order(number="123456789012"), [(2, "Документ/Номер", validate.LONG_NUMBER, "warning")]),
        (order(Время="9:05:00"), [(3, "Документ/Время", validate.UNPADDED, "warning")]),
        (order(Дата="01.03.2024"), [(3, "Документ/Дата", validate.UNPADDED, "warning")]),
        (
            order(Контрагенты="<Контрагент><Ид>1</Ид><Наименование/></Контрагент>"),
            [(3, "Документ/Контрагенты/Контрагент", validate.NO_CHILD, "error")],
        ),
        (order(lines="<Товар><Ид>1</Ид></Товар>"), [(4, "Документ/Товары/Товар", validate.NO_QUANTITY, "warning")]),
        (
            order(
                lines="<Товар><Ид>1</Ид><Количество>1</Количество><Единица>шт</Единица></Товар><Товар><Ид>2</Ид><Количество>1</Количество></Товар>"
            ),
            [(4, "Документ/Товары", validate.UNEVEN, "warning")],
        ),
    ],
)
def test_an_order_is_checked_against_the_rules_of_1c(body: str, expected: list[tuple[int, str, str, str]]) -> None:
    assert told(body) == expected


def test_an_order_without_buyer_or_currency_element_is_an_error() -> None:
    body = "<Документ><Ид>1</Ид><Дата>2024-03-01</Дата><ХозОперация>Заказ товара</ХозОперация></Документ>"
    assert [(f.facts["child"], f.level) for f in findings(body)] == [("Валюта", "error"), ("Контрагенты", "error")]


def test_subordinate_documents_are_no_orders() -> None:
    part = "<ПодчиненныйДокумент><Ид>2</Ид><Дата>2024-03-01</Дата><ХозОперация>Отпуск товара</ХозОперация></ПодчиненныйДокумент>"
    assert findings(order(f"<ПодчиненныеДокументы>{part}</ПодчиненныеДокументы>")) == []


@pytest.mark.parametrize(
    ("data", "text", "line"),
    [
        (f"{ROOT}\n<Каталог><Ид>c</Каталог>{END}", reader.MALFORMED, 2),
        (f"{ROOT}\n<Каталог>", reader.TRUNCATED, 2),
        (f"<!DOCTYPE x>{ROOT}{END}", reader.NO_DOCTYPE, 1),
        ("<html></html>", reader.NOT_OURS, 1),
        (f'{ROOT}\n<Каталог Идентификатор="1"/>{END}', reader.OLD, 2),
        ("", reader.EMPTY, 1),
    ],
)
def test_what_cannot_be_read_is_one_error_instead_of_an_exception(data: str, text: str, line: int) -> None:
    (finding,) = validate.validate(io.BytesIO(data.encode()), "f.xml")
    assert (finding.text, finding.line, finding.level) == (text.removeprefix("{file}:{line}: "), line, "error")
    assert str(finding).startswith(f"f.xml:{line}: ")
    assert str(finding).count("f.xml") == 1


def test_everything_before_a_fault_is_checked() -> None:
    body = catalogue("<Товар><Вес>1</Вес></Товар>", "<Товар><Ид>1</Товар>")
    assert [(line, text) for line, _e, text, _l in told(body)] == [
        (3, validate.NO_CHILD),
        (4, reader.MALFORMED.removeprefix("{file}:{line}: ")),
    ]


def test_thousands_of_findings_come_one_by_one(tmp_path: Path) -> None:
    file = tmp_path / "offers.xml"
    rows = (f"<Предложение><Ид>{n}</Ид><Количество>?</Количество></Предложение>" for n in range(5000))
    file.write_text(f"{ROOT}\n{offers(*rows)}\n{END}")
    stream = validate.validate(file)
    first = next(stream)
    assert (first.file, first.line) == ("offers.xml", 3)
    rest = list(stream)
    assert Counter(f.text for f in rest) == {validate.NOT_A_VALUE: 4999}
    assert rest[-1].line == 5002


def test_a_set_of_ids_in_eight_bytes_each_forgets_none() -> None:
    ids = _Ids()
    assert all(ids.add(f"id-{n}") for n in range(20_000))
    assert not any(ids.add(f"id-{n}") for n in range(20_000))
    assert ids.count == 20_000


def test_beyond_the_limit_repeats_are_not_looked_for_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "MOST_IDS", 2)
    rows = [f"<Товар><Ид>{n}</Ид></Товар>" for n in (1, 2, 3, 3, 3)]
    assert told(catalogue(*rows)) == [(5, PRODUCT, validate.TOO_MANY, "warning")]


def test_no_sample_of_a_live_shop_has_an_error_that_is_not_there(samples: Path) -> None:
    """Each error in the corpus was looked at: repeated ids, an empty unit, orders that a 1C really would not load."""
    errors: Counter[str] = Counter()
    for file in sorted((samples / "commerceml").rglob("*.xml")):
        for finding in validate.validate(file):
            if finding.level == "error" and "negative" not in str(file):
                errors[finding.text] += 1
    refused = {text.removeprefix("{file}:{line}: "): n for text, n in ((reader.OLD, 2), (reader.NO_XML, 1))}
    assert errors == {validate.TWICE: 5, validate.EMPTY_CHILD: 1, validate.NO_CHILD: 4, **refused}
