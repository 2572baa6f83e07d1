"""The stream of sections and records, whatever the document looks like, and what is refused with which words."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from lxml import etree

from obmen.core.contract import BadDocument
from obmen.core.records import Kind, Reference, Subject
from obmen.formats.commerceml import reader
from obmen.formats.commerceml.model import Raw, Section, Unknown
from obmen.formats.commerceml.reader import is_complete, look, read
from obmen.formats.commerceml.records import read_info

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
ROOT = '<КоммерческаяИнформация xmlns="urn:1C.ru:commerceml_2" ВерсияСхемы="2.08" ДатаФормирования="2025-04-03T9:05:07">'
END = "</КоммерческаяИнформация>"


def document(body: str, root: str = ROOT, head: str = HEAD) -> bytes:
    return f"{head}{root}{body}{END}".encode()


def goods(*products: str, head: str = "<Ид>cat</Ид>") -> bytes:
    return document(f"<Каталог>{head}<Товары>{''.join(products)}</Товары></Каталог>")


def product(key: str, more: str = "") -> str:
    return f"\n<Товар><Ид>{key}</Ид><Наименование>имя {key}</Наименование>{more}</Товар>"


def events(data: bytes) -> list[Section | Raw | Unknown]:
    return list(read(io.BytesIO(data), "import.xml"))


def raws(data: bytes) -> list[Raw]:
    return [event for event in events(data) if isinstance(event, Raw)]


def refused(data: bytes) -> BadDocument:
    with pytest.raises(BadDocument) as caught:
        events(data)
    assert caught.value.facts["file"] == "import.xml"
    assert str(caught.value).startswith(f"import.xml:{caught.value.facts['line']}: ")
    assert caught.value.facts["expected"]
    return caught.value


def until_fault(data: bytes) -> tuple[list[Section | Raw | Unknown], BadDocument]:
    got: list[Section | Raw | Unknown] = []
    try:
        for event in read(io.BytesIO(data), "import.xml"):
            got.append(event)
    except BadDocument as error:
        return got, error
    raise AssertionError("the document was read to its end")


# --- sections ------------------------------------------------------------------------------------------------------------


def test_a_section_comes_before_its_records_and_knows_what_it_is() -> None:
    out = events(
        document(
            '<Каталог СодержитТолькоИзменения="false"><Ид> cat </Ид><ИдКлассификатора>cls</ИдКлассификатора>'
            "<Наименование>Основной</Наименование><Владелец><Ид>o</Ид><Наименование>ООО</Наименование></Владелец>"
            f"<Описание>текст</Описание><Товары>{product('1')}</Товары></Каталог>"
        )
    )
    section, record = out
    assert isinstance(section, Section)
    assert (section.name, section.id, section.classifier_id, section.title) == ("catalogue", "cat", "cls", "Основной")
    assert section.only_changes is False
    assert section.owner is not None
    assert section.owner.name == "ООО"
    assert section.attributes == (("Описание", "текст"),)
    assert (section.version, section.created) == ("2.08", "2025-04-03T9:05:07")
    assert isinstance(record, Raw)
    assert record.section is section


def test_changes_only_is_read_from_attribute_or_child_and_is_otherwise_not_said() -> None:
    def only(attribute: str, child: str) -> bool | None:
        section = events(document(f"<Каталог{attribute}>{child}</Каталог>"))[0]
        assert isinstance(section, Section)
        return section.only_changes

    assert only(' СодержитТолькоИзменения="true"', "") is True
    assert only("", "<СодержитТолькоИзменения>1</СодержитТолькоИзменения>") is True
    assert only("", "<СодержитТолькоИзменения>false</СодержитТолькоИзменения>") is False
    assert only("", "") is None


def test_what_stands_behind_the_records_completes_the_section() -> None:
    section = events(document(f"<Каталог><Товары>{product('1')}</Товары><Ид>cat</Ид></Каталог>"))[0]
    assert isinstance(section, Section)
    assert section.id == "cat"


def test_a_document_without_sections_is_empty_and_whole() -> None:
    assert events(document("")) == []
    assert events(f"{HEAD}{ROOT[:-1]}/>".encode()) == []


def test_parts_come_in_any_order_and_number() -> None:
    body = (
        f"<Каталог><Товары>{product('1')}</Товары></Каталог>"
        "<Классификатор><Группы><Группа><Ид>g</Ид></Группа></Группы></Классификатор>"
        f"<Каталог><Товары>{product('2')}</Товары></Каталог>"
        "<ИзмененияПакетаПредложений><Предложения><Предложение><Ид>1</Ид><Количество>2</Количество></Предложение>"
        "</Предложения></ИзмененияПакетаПредложений>"
    )
    shape = [e.name if isinstance(e, Section) else e.kind.value for e in events(document(body)) if not isinstance(e, Unknown)]
    assert shape == ["catalogue", "product", "classifier", "group", "catalogue", "product", "changes", "stock"]


# --- records ----------------------------------------------------------------------------------------------------------------


def test_a_record_comes_without_namespaces_and_with_its_line() -> None:
    (raw,) = raws(goods(product("1")))
    assert raw.xml.decode() == "<Товар><Ид>1</Ид><Наименование>имя 1</Наименование></Товар>"
    assert (raw.kind, raw.line) == (Kind.PRODUCT, 3)


def test_a_prefix_makes_no_difference() -> None:
    plain = goods(product("1", '<БазоваяЕдиница Код="796">шт</БазоваяЕдиница>')).decode()
    prefixed = plain.replace("</", "</c:").replace("<К", "<c:К").replace("<Т", "<c:Т").replace("<И", "<c:И").replace("<Н", "<c:Н")
    prefixed = prefixed.replace("<Б", "<c:Б").replace("xmlns=", "xmlns:c=")
    assert [raw.xml for raw in raws(prefixed.encode())] == [raw.xml for raw in raws(plain.encode())]


def test_a_namespace_inside_a_record_goes_too() -> None:
    (raw,) = raws(goods('<Товар><Ид xmlns="">1</Ид><x:Ещё xmlns:x="urn:x" x:а="1">да</x:Ещё></Товар>'))
    assert raw.xml.decode() == '<Товар><Ид>1</Ид><Ещё а="1">да</Ещё></Товар>'


def test_groups_of_any_depth_come_one_by_one_with_their_parents() -> None:
    body = (
        "<Классификатор><Группы><Группа><Ид>a</Ид><Наименование>А</Наименование><Группы>"
        "<Группа><Ид>b</Ид><Группы><Группа><Ид>c</Ид></Группа></Группы></Группа><Группа><Ид>d</Ид></Группа>"
        "</Группы><Описание>о</Описание></Группа></Группы></Классификатор>"
    )
    out = raws(document(body))
    assert [(raw.xml.decode(), raw.parent) for raw in out] == [
        ("<Группа><Ид>c</Ид></Группа>", "b"),
        ("<Группа><Ид>b</Ид></Группа>", "a"),
        ("<Группа><Ид>d</Ид></Группа>", "a"),
        ("<Группа><Ид>a</Ид><Наименование>А</Наименование><Описание>о</Описание></Группа>", ""),
    ]


def test_a_group_whose_id_stands_last_still_is_the_parent() -> None:
    long = f"<Описание>{'о' * reader.BLOCK}</Описание>"  # the group inside ends a block before the Ид around it comes
    inside = "<Группы><Группа><Ид>b</Ид></Группа></Группы>"
    out = raws(document(f"<Классификатор><Группы><Группа>{inside}{long}<Ид>a</Ид></Группа></Группы></Классификатор>"))
    assert [(raw.xml.decode()[:18], raw.parent) for raw in out] == [("<Группа><Ид>b</Ид>", "a"), ("<Группа><Описание>", "")]


@pytest.mark.parametrize(
    ("children", "kind"),
    [
        ("<Наименование>н</Наименование><Цены/>", Kind.OFFER),
        ("<Цены/>", Kind.PRICES),
        ("<НомерВерсии>1</НомерВерсии><Цены/><Количество>1</Количество>", Kind.PRICES),
        ("<Остатки/>", Kind.STOCK),
        ("<Количество>1</Количество>", Kind.STOCK),
        ('<Склад ИдСклада="1" КоличествоНаСкладе="2"/>', Kind.STOCK),
        ("", Kind.OFFER),
        ("<ПометкаУдаления>true</ПометкаУдаления><Цены/>", Kind.OFFER),
    ],
)
def test_an_offer_that_says_only_prices_or_stock_is_no_offer(children: str, kind: Kind) -> None:
    body = f"<ПакетПредложений><Предложения><Предложение><Ид>1</Ид>{children}</Предложение></Предложения></ПакетПредложений>"
    assert [raw.kind for raw in raws(document(body))] == [kind]


def test_a_changes_package_never_holds_offers() -> None:
    offers = (
        "<Предложение><Ид>1</Ид><Наименование>н</Наименование><Цены/></Предложение><Предложение><Ид>1</Ид><Имя/></Предложение>"
    )
    body = f"<ИзмененияПакетаПредложений><Предложения>{offers}</Предложения></ИзмененияПакетаПредложений>"
    assert [raw.kind for raw in raws(document(body))] == [Kind.PRICES, Kind.STOCK]


def test_documents_in_containers_know_which_belong_together() -> None:
    body = (
        "<Документ><Ид>0</Ид></Документ><Контейнер><Документ><Ид>1</Ид></Документ><Документ><Ид>2</Ид></Документ></Контейнер>"
        "<Контейнер><Документ><Ид>3</Ид></Документ></Контейнер>"
    )
    out = events(document(body))
    assert [e.name for e in out if isinstance(e, Section)] == ["documents"]
    assert [e.parent for e in out if isinstance(e, Raw)] == ["", "1", "1", "2"]


def test_counterparties_of_the_root_are_records() -> None:
    out = events(document("<Контрагенты><Контрагент><Ид>1</Ид></Контрагент><Контрагент><Ид>2</Ид></Контрагент></Контрагенты>"))
    assert [e.name if isinstance(e, Section) else e.kind for e in out if not isinstance(e, Unknown)] == [  # type: ignore[comparison-overlap]
        "counterparties",
        Kind.COUNTERPARTY,
        Kind.COUNTERPARTY,
    ]


def test_dictionaries_are_read_wherever_they_stand() -> None:
    rows = (
        "<ТипыЦен><ТипЦены><Ид>p</Ид></ТипЦены></ТипыЦен><Склады><Склад><Ид>w</Ид></Склад></Склады>"
        "<ЕдиницыИзмерения><ЕдиницаИзмерения><Ид>796</Ид></ЕдиницаИзмерения></ЕдиницыИзмерения>"
        "<Свойства><Свойство><Ид>s</Ид></Свойство><СвойствоНоменклатуры><Ид>t</Ид></СвойствоНоменклатуры></Свойства>"
    )
    for section in ("Классификатор", "ПакетПредложений"):
        kinds = [raw.kind for raw in raws(document(f"<{section}>{rows}</{section}>"))]
        assert kinds == [Kind.REFERENCE] * 3 + [Kind.PROPERTY] * 2


def test_lines_of_an_order_and_groups_of_a_product_are_no_records() -> None:
    body = (
        f"<Каталог><Товары>{product('1', '<Группы><Ид>g</Ид></Группы>')}</Товары></Каталог>"
        "<Документ><Ид>9</Ид><Товары><Товар><Ид>1</Ид></Товар></Товары><Склады><Склад><Ид>w</Ид></Склад></Склады></Документ>"
    )
    assert [raw.kind for raw in raws(document(body))] == [Kind.PRODUCT, Kind.ORDER]


# --- nothing is lost ------------------------------------------------------------------------------------------------------------


def test_what_is_unknown_is_kept_with_its_place() -> None:
    body = (
        "<Классификатор><Ид>c</Ид><Мелочь>1</Мелочь><Интересы><Интересуюсь><Ид>1</Ид></Интересуюсь><Интересуюсь/></Интересы>"
        '<Пустое а="1"><Х/></Пустое></Классификатор><Новое><Часть>x</Часть></Новое><Лист>y</Лист>'
    )
    out = events(document(body))
    assert isinstance(out[0], Section)
    assert out[0].extra == "<Мелочь>1</Мелочь>"
    assert [(e.name, e.xml.decode(), e.section is out[0]) for e in out[1:] if isinstance(e, Unknown)] == [
        ("Интересы/Интересуюсь", "<Интересуюсь><Ид>1</Ид></Интересуюсь>", True),
        ("Интересы/Интересуюсь", "<Интересуюсь/>", True),
        ("Пустое/Х", "<Х/>", True),
        ("Пустое", '<Пустое а="1"/>', True),
        ("Новое/Часть", "<Часть>x</Часть>", False),
        ("Лист", "<Лист>y</Лист>", False),
    ]


def test_something_else_among_the_records_is_kept() -> None:
    out = events(goods(product("1"), "<Набор><Ид>k</Ид></Набор>", product("2")))
    assert sorted(e.name for e in out if isinstance(e, Unknown)) == ["Товары/Набор/Ид"]
    assert [e.kind for e in out if isinstance(e, Raw)] == [Kind.PRODUCT, Kind.PRODUCT]


def test_a_long_unknown_part_comes_out_piece_by_piece_as_a_short_one_does() -> None:
    pieces = "".join(f"<Запись><Номер>{n}</Номер></Запись>" for n in range(20_000))
    out = events(document(f"<Классификатор><Ид>c</Ид><Журнал>{pieces}</Журнал></Классификатор>"))
    assert [e.name for e in out if isinstance(e, Unknown)] == ["Журнал/Запись"] * 20_000


WHOLE = [product("1"), product("2")]
HOSTILE = {
    "plain": goods(*WHOLE),
    "a comment between": goods(WHOLE[0], "<!-- <Товар><Ид>x</Ид></Товар> -->", WHOLE[1]),
    "a comment in a record": goods(WHOLE[0].replace("имя", "и<!-- </Товар><Товар> -->мя"), WHOLE[1]),
    "CDATA with an end tag": goods(product("1", "<Описание><![CDATA[<b></Товар>\n<Товар></b>]]></Описание>"), WHOLE[1]),
    "an attribute": goods(WHOLE[0].replace("<Товар>", '<Товар Статус="Удален">'), WHOLE[1]),
    "a space in the end tag": goods(WHOLE[0].replace("</Товар>", "</Товар >"), WHOLE[1]),
    "an empty record": goods(WHOLE[0], "<Товар/>", WHOLE[1]),
    "text between": goods(WHOLE[0], "мусор", WHOLE[1]),
    "a processing instruction": goods(WHOLE[0], "<?php echo 1 ?>", WHOLE[1]),
    "a record inside a record": goods(product("1", "<Аналоги><Товар><Ид>7</Ид></Товар></Аналоги>"), WHOLE[1]),
    "no records": goods(),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_stream_gives_what_the_whole_document_gives(name: str) -> None:
    data = HOSTILE[name]
    expected = etree.fromstring(data).findall("{*}Каталог/{*}Товары/{*}Товар")
    got = [etree.fromstring(raw.xml) for raw in raws(data)]
    assert [(el.findtext("Ид"), "".join(el.find("Наименование").itertext()) if len(el) else "") for el in got] == [
        (el.findtext("{*}Ид"), "".join(t for t in el.find("{*}Наименование").xpath("text()")) if len(el) else "")
        for el in expected
    ]


# --- encodings ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "declared", "mark"),
    [
        ("utf-8", "UTF-8", b""),
        ("utf-8", "UTF-8", b"\xef\xbb\xbf"),
        ("utf-8", "windows-1251", b"\xef\xbb\xbf"),
        ("windows-1251", "windows-1251", b""),
        ("windows-1251", "cp1251", b""),
        ("utf-16-le", "UTF-16", b"\xff\xfe"),
        ("utf-16-be", "UTF-16", b"\xfe\xff"),
        ("utf-16-le", "UTF-16", b""),
        ("koi8-r", "KOI8-R", b""),
        ("cp866", "ibm866", b""),
    ],
)
def test_every_encoding_gives_the_same_records(codec: str, declared: str, mark: bytes) -> None:
    text = goods(*WHOLE).decode().replace('encoding="UTF-8"', f'encoding="{declared}"')
    data = mark + text.encode(codec)
    assert [raw.xml for raw in raws(data)] == [raw.xml for raw in raws(goods(*WHOLE))]
    assert is_complete(io.BytesIO(data))


@pytest.mark.parametrize(
    "head", ["", "\n\n ", '<?xml version="1.0"?>', ' \n<?xml version="1.0" encoding="utf-8"?>\n<!-- от 1С -->']
)
def test_a_missing_or_late_declaration_is_forgiven_and_lines_stay_right(head: str) -> None:
    data = f"{head}{ROOT}<Каталог><Товары>{product('1')}</Товары></Каталог>{END}".encode()
    assert [raw.line for raw in raws(data)] == [head.count("\n") + 2]


def test_bytes_that_are_not_what_they_say_are_refused_with_their_line() -> None:
    data = goods(*WHOLE).decode().encode("windows-1251")
    error = refused(data)
    assert (error.text, error.facts["encoding"], error.facts["line"]) == (reader.WRONG_BYTES, "utf-8", 2)


@pytest.mark.parametrize("name", ["base64", "rot13", "utf-16", "x-nonsense", "unicode_escape"])
def test_an_unknown_encoding_is_refused(name: str) -> None:
    error = refused(HEAD.replace("UTF-8", name).encode() + document("", head=""))
    assert (error.text, error.facts["found"]) == (reader.NO_ENCODING, name)


# --- refusals ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spelling", ["<!DOCTYPE l [<!ENTITY a 'ha'>]>", "<!doctype html>", '\n<!DOCTYPE x SYSTEM "file:///etc/passwd">']
)
def test_a_doctype_is_refused_before_anything_is_read(spelling: str) -> None:
    error = refused(f"{HEAD}{spelling}{ROOT}{END}".encode())
    assert (error.text, error.facts["element"]) == (reader.NO_DOCTYPE, "DOCTYPE")
    assert error.facts["line"] == 2 + spelling.count("\n")


def test_an_undeclared_entity_is_a_fault_and_not_a_hole() -> None:
    error = refused(goods(product("1", "<Описание>&e;</Описание>")))
    assert (error.text, error.facts["line"]) == (reader.MALFORMED, 3)


def test_a_truncated_document_says_where_it_breaks_off_after_everything_before_that() -> None:
    data = goods(*WHOLE)
    cut = data[: data.index("имя 2".encode())]
    got, error = until_fault(cut)
    assert [e.kind for e in got if isinstance(e, Raw)] == [Kind.PRODUCT]
    assert (error.text, error.facts["line"], error.facts["element"]) == (reader.TRUNCATED, 4, "Наименование")


def test_a_fault_in_the_middle_gives_all_records_before_it_and_its_line() -> None:
    data = goods(*[product(str(n)) for n in range(500)], "<Товар><Ид>x</Товар>", product("после"))
    got, error = until_fault(data)
    assert sum(isinstance(e, Raw) for e in got) == 500
    assert (error.text, error.facts["line"], error.facts["element"]) == (reader.MALFORMED, 502, "Ид")


def test_a_control_character_is_named_with_its_line() -> None:
    error = refused(goods(product("1"), product("2", "<Описание>а\x0bб</Описание>")))
    assert (error.text, error.facts["line"]) == (reader.MALFORMED, 4)


@pytest.mark.parametrize("depth", [2100, 10_000])
def test_groups_nested_beyond_reason_are_refused(depth: int) -> None:
    groups = "<Группы><Группа>" * depth + "</Группа></Группы>" * depth
    assert refused(document(f"<Классификатор>{groups}</Классификатор>")).text == reader.TOO_DEEP


def test_a_record_too_long_to_be_held_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader.events, "__defaults__", (*reader.events.__defaults__[:-1], 1 << 20))
    error = refused(goods(product("1"), product("2", "<Описание>" + "а" * (2 << 20) + "</Описание>")))
    assert (error.text, error.facts["limit"]) == (reader.TOO_LONG, 1)


def test_many_records_are_no_long_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader.events, "__defaults__", (*reader.events.__defaults__[:-1], 1 << 18))
    assert len(raws(goods(*[product(str(n), "<Описание>" + "а" * 1000 + "</Описание>") for n in range(1000)]))) == 1000


def test_a_section_full_of_loose_elements_is_refused() -> None:
    error = refused(document("<Классификатор>" + "<Ид/>" * 50_000 + "</Классификатор>"))
    assert (error.text, error.facts["element"]) == (reader.TOO_MANY, "Классификатор")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", reader.EMPTY),
        (b"  \n", reader.EMPTY),
        (b"undefinedundefined<?xml version='1.0'?>", reader.NO_XML),
        (b"success\n", reader.NO_XML),
        (b"PK\x03\x04", reader.NO_XML),
        (b"<", reader.TRUNCATED),
        ("<КоммерческаяИнф".encode(), reader.TRUNCATED),
        (b"<!-- never closed", reader.TRUNCATED),
        (b"<html><body>502</body></html>", reader.NOT_OURS),
        ("<Справочник/>".encode(), reader.NOT_OURS),
    ],
)
def test_what_is_no_commerceml_is_told_apart(data: bytes, text: str) -> None:
    assert refused(data).text == text
    assert not is_complete(io.BytesIO(data)) or text == reader.NOT_OURS


def test_commerceml_1_is_recognised_and_refused() -> None:
    old = '<КоммерческаяИнформация>\n<Каталог Идентификатор="1" Наименование="К"><Товар ИдентификаторВКаталоге="2"/></Каталог>'
    error = refused((old + END).encode())
    assert (error.text, error.facts["line"]) == (reader.OLD, 2)
    assert "1C 7.7" in str(error)
    order = '<КоммерческаяИнформация><Документ Номер="1" ХозОперация="Order"/>'
    assert refused((order + END).encode()).text == reader.OLD
    versioned = '<КоммерческаяИнформация ВерсияСхемы="1.05"><Каталог/>'
    assert refused((versioned + END).encode()).text == reader.OLD


def test_english_element_names_are_recognised_and_refused() -> None:
    error = refused(b'<?xml version="1.0"?><CommerceInformation SchemaVersion="2.021"><OffersList/></CommerceInformation>')
    assert error.text == reader.ENGLISH


# --- a look -------------------------------------------------------------------------------------------------------------------


def test_a_look_tells_the_root_from_the_beginning_alone() -> None:
    root = look(io.BytesIO(document("<Каталог>", root=ROOT.replace(">", ' СинхронизацияТоваров="false">'))))
    assert (root.name, root.namespace, root.version) == (reader.ROOT, "urn:1C.ru:commerceml_2", "2.08")
    assert ("СинхронизацияТоваров", "false") in root.attributes
    assert root.encoding == "utf-8"


@pytest.mark.parametrize("tail", ["", "\n", " \r\n\t", "<!-- конец -->\n", "\n<?end?>", "\n<!-- a --> <!-- b -->"])
def test_a_closed_root_is_complete_whatever_trails(tail: str) -> None:
    assert is_complete(io.BytesIO(goods(*WHOLE) + tail.encode()))
    assert is_complete(io.BytesIO(goods(*WHOLE).replace(END.encode(), END.replace(">", "  >").encode()) + tail.encode()))


def test_every_cut_of_a_document_is_incomplete() -> None:
    data = goods(*WHOLE)
    assert [n for n in range(len(data)) if is_complete(io.BytesIO(data[:n]))] == []


def test_a_root_closed_in_itself_is_complete() -> None:
    assert is_complete(io.BytesIO(f"{HEAD}{ROOT[:-1]}/>\n".encode()))


def test_completeness_is_seen_behind_a_long_file(tmp_path: Path) -> None:
    file = tmp_path / "import.xml"
    file.write_bytes(goods(*[product(str(n)) for n in range(5000)]))
    assert is_complete(file)
    assert not is_complete(io.BytesIO(file.read_bytes()[:-1]))


# --- mode=info ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("letter", ["C", "С"])
def test_statuses_are_read_with_bitrixs_latin_letter_and_without(letter: str) -> None:
    answer = (
        '<?xml version="1.0" encoding="windows-1251"?>\n<Справочник>'
        f"<{letter}татусы><Элемент><Ид>N</Ид><Название>Принят</Название></Элемент></{letter}татусы>"
        "<ПлатежныеСистемы><Элемент><Ид>2</Ид><Название>Наличные</Название><ТипОплаты>CASH</ТипОплаты></Элемент></ПлатежныеСистемы>"
        "<СлужбыДоставки><Элемент><Ид>5</Ид><Название>Самовывоз</Название></Элемент></СлужбыДоставки><Ещё>1</Ещё></Справочник>"
    )
    info = read_info(answer.encode("windows-1251"))
    assert info.statuses == (Reference(Subject.ORDER_STATE, "N", "Принят"),)
    assert info.payments == (Reference(Subject.PAYMENT_KIND, "2", "Наличные", (("ТипОплаты", "CASH"),)),)
    assert info.deliveries == (Reference(Subject.DELIVERY, "5", "Самовывоз"),)
    assert info.extra == "<Ещё>1</Ещё>"


def test_another_document_is_no_info() -> None:
    with pytest.raises(BadDocument) as caught:
        read_info(document(""))
    assert caught.value.text == reader.NOT_OURS


# --- size ------------------------------------------------------------------------------------------------------------------------

MEASURE = """
import resource, sys
from pathlib import Path
from obmen.formats.commerceml.model import Raw
from obmen.formats.commerceml.{module}
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
print({count}, peak() - before)
"""


def measured(module: str, count: str) -> tuple[int, int]:
    """What the code counted, and how many KB the peak of a process of its own grew meanwhile."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE.format(module=module, count=count)], capture_output=True, text=True, check=True
    )
    found, grown = done.stdout.split()
    return int(found), int(grown)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 MB: 40 000 products behind a dictionary, a part that nobody knows, groups."""
    file = tmp_path_factory.mktemp("large") / "import.xml"
    text = "слово & дело ".replace("&", "&amp;") * 40
    with open(file, "wb") as out:
        out.write(f"{HEAD}{ROOT}<Классификатор><Ид>c</Ид><Группы>".encode())
        out.writelines(f"<Группа><Ид>g{n}</Ид><Наименование>г</Наименование></Группа>\n".encode() for n in range(10_000))
        out.write("</Группы><Журнал>".encode())
        out.writelines(f"<Запись><Ид>{n}</Ид><Текст>{text}</Текст></Запись>\n".encode() for n in range(20_000))
        out.write("</Журнал></Классификатор><Каталог><Ид>k</Ид><Товары>".encode())
        for n in range(40_000):
            properties = "".join(
                f"<ЗначенияСвойства><Ид>p{i}</Ид><Значение>{text[:80]}</Значение></ЗначенияСвойства>" for i in range(5)
            )
            record = product(str(n), f"<Описание>{text}</Описание><ЗначенияСвойств>{properties}</ЗначенияСвойств>")
            out.write(record.replace("<Ид>", "\n\t<Ид>", 1).encode())
        out.write(f"</Товары></Каталог>{END}".encode())
    assert file.stat().st_size > 100_000_000
    return file


@pytest.mark.long
def test_a_file_of_100_mb_is_read_in_constant_memory(large: Path) -> None:
    count = f"sum(isinstance(e, Raw) for e in read(Path({str(large)!r})))"
    assert measured("reader import read", count)[0] == 50_000
    assert measured("reader import read", count)[1] < 40_000


@pytest.mark.long
def test_a_file_of_100_mb_is_checked_in_constant_memory(large: Path) -> None:
    found, grown = measured("validate import validate", f"sum(1 for f in validate(Path({str(large)!r})))")
    assert found == 1  # the unknown part
    assert grown < 40_000


@pytest.mark.long
def test_lines_stay_right_beyond_the_16_bits_that_libxml2_keeps(large: Path) -> None:
    lines = [raw.line for raw in read(large) if isinstance(raw, Raw) and raw.kind is Kind.PRODUCT]
    assert lines == list(range(lines[0], lines[0] + 80_000, 2))
    assert lines[-1] > 65_535
