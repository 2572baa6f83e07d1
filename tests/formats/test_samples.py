"""Every real file is read to its last element: what we count equals what another parser counts."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.parsers import expat

import pytest

from obmen.core.contract import BadDocument, BadRecord
from obmen.core.records import Kind, Offer, Product
from obmen.formats.commerceml import reader
from obmen.formats.commerceml.model import Document, Raw, Section, Unknown
from obmen.formats.commerceml.reader import is_complete, read
from obmen.formats.commerceml.records import parse, read_info

SECTIONS = ("Классификатор", "Каталог", "ПакетПредложений", "ИзмененияПакетаПредложений", "Контрагенты", "Контейнер", "Документ")
HEADS = frozenset(
    (
        "Ид",
        "ИдКлассификатора",
        "ИдКаталога",
        "Наименование",
        "Описание",
        "Владелец",
        "СодержитТолькоИзменения",
        "ДействительноС",
        "ДействительноДо",
    )
)
ROWS = {
    "Товары": ("Товар",),
    "Предложения": ("Предложение",),
    "Свойства": ("Свойство", "СвойствоНоменклатуры"),
    "ТипыЦен": ("ТипЦены",),
    "Склады": ("Склад",),
    "ЕдиницыИзмерения": ("ЕдиницаИзмерения",),
    "Производители": ("Производитель",),
    "Группы": ("Группа",),
}
NAMES = {
    "Товар": "product",
    "Предложение": "offer",
    "Свойство": "property",
    "СвойствоНоменклатуры": "property",
    "Группа": "group",
    "Документ": "order",
    "Контрагент": "counterparty",
}
# the only records in the corpus that cannot be read, and why
BAD = {"backend__tests__fixtures__1c-data__units__units.xml": 1}  # a unit without an id and a code: <Ид/>, <Код/>

REFUSED = {
    "billion_laughs.xml": (reader.NO_DOCTYPE, 2),
    "xxe.xml": (reader.NO_DOCTYPE, 2),
    "control_char.xml": (reader.MALFORMED, 12),
    "truncated_import0_1.xml": (reader.TRUNCATED, 8),
    "latin_C_in_statusy.xml": (reader.NOT_OURS, 2),
    "Sale77.xml": (reader.OLD, 3),
    "Transformed77-Order8x.xml": (reader.OLD, 3),
    "spec__files__xml__test.xml": (reader.NO_XML, 1),
}


def walk(data: bytes, visit: Callable[[tuple[str, ...]], None]) -> None:
    """Calls ``visit`` with the path of every element, by expat."""
    path: list[str] = []

    def start(tag: str, _attributes: dict[str, str]) -> None:
        path.append(tag.rpartition(":")[2])
        visit(tuple(path))

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda tag: path.pop()
    parser.Parse(data, True)


def record_of(path: tuple[str, ...]) -> tuple[str, int] | None:
    """The innermost record around (or at) an element: its name and depth. Written from the format's description alone."""
    if len(path) > 1 and path[1] == "Документ":
        return "order", 2
    if len(path) > 2 and path[1:3] == ("Контейнер", "Документ"):
        return "order", 3
    if len(path) > 2 and path[1:3] == ("Контрагенты", "Контрагент"):
        return "counterparty", 3
    if len(path) > 3 and path[1] in SECTIONS and path[3] in ROWS.get(path[2], ()):
        depth = 4
        while path[2] == "Группы" and path[depth : depth + 2] == ("Группы", "Группа"):
            depth += 2
        return NAMES.get(path[depth - 1], "reference"), depth
    return None


def understood(path: tuple[str, ...]) -> bool:
    """Of an element outside all records: a section, a container of records, or what a section says of itself."""
    if len(path) < 2:
        return True
    if path[1] not in SECTIONS:
        return False
    return len(path) == 2 or path[2] in HEADS or (len(path) == 3 and path[2] in ROWS)


def independent(data: bytes) -> tuple[Counter[str], Counter[str]]:
    """Records by name, and all elements inside records, unknown parts and the rest."""
    count: Counter[str] = Counter()
    elements: Counter[str] = Counter()

    def visit(path: tuple[str, ...]) -> None:
        found = record_of(path)
        if found:
            name, depth = found
            count[name] += len(path) == depth
            nested = name == "group" and len(path) == depth + 1 and path[-1] == "Группы"
            elements["rest" if nested else "records"] += 1
        elif not understood(path):
            elements["unknown"] += 1
        else:
            elements["rest"] += 1
        for tag in ("Цена", "ЗначениеРеквизита", "Картинка"):
            if found and path[-1] == tag and path[found[1] - 1 :][:1] != ("Документ",):
                count[f"{found[0]}/{tag}"] += 1

    walk(data, visit)
    return count, elements


def size(xml: bytes) -> int:
    found = 0

    def visit(_path: tuple[str, ...]) -> None:
        nonlocal found
        found += 1

    walk(xml, visit)
    return found


def kind_name(kind: Kind) -> str:
    return "offer" if kind in (Kind.PRICES, Kind.STOCK) else kind.value


@pytest.fixture
def files(samples: Path) -> list[Path]:
    found = sorted((samples / "commerceml").rglob("*.xml"))
    assert found
    return found


def test_every_file_gives_every_element(files: list[Path]) -> None:
    total: Counter[str] = Counter()
    for file in files:
        if file.name in REFUSED:
            continue
        data = file.read_bytes()
        count, elements = independent(data)
        records: Counter[str] = Counter()
        inside: Counter[str] = Counter()
        for event in read(file):
            if isinstance(event, Raw):
                records[kind_name(event.kind)] += 1
                inside["records"] += size(event.xml)
            elif isinstance(event, Unknown):
                inside["unknown"] += size(event.xml)
            else:
                inside["extra"] += size(f"<x>{event.extra}</x>".encode()) - 1
        assert records == Counter({k: n for k, n in count.items() if "/" not in k}), file.name
        assert inside["records"] == elements["records"], file.name
        lost = elements["unknown"] - inside["unknown"] - inside["extra"]
        containers = len({e.name.partition("/")[0] for e in read(file) if isinstance(e, Unknown) and "/" in e.name})
        assert lost == containers, file.name  # an unknown part comes in pieces: only its own wrapper is not given out
        assert is_complete(file), file.name
        total += records
    assert total["product"] > 2000
    assert total["offer"] > 1500


def test_every_record_is_understood_and_loses_nothing_that_it_repeats(files: list[Path]) -> None:
    for file in files:
        if file.name in REFUSED:
            continue
        count, _elements = independent(file.read_bytes())
        raws: dict[Kind, list[Raw]] = {}
        for event in read(file):
            if isinstance(event, Raw):
                raws.setdefault(event.kind, []).append(event)
        parsed: list[Any] = []
        for kind, some in raws.items():
            out = parse(kind, [raw.xml for raw in some], parents=[raw.parent for raw in some])
            assert len(out) == len(some), file.name
            parsed += out
        assert sum(isinstance(record, BadRecord) for record in parsed) == BAD.get(file.name, 0), file.name
        prices = sum(len(record.prices or ()) for record in parsed if isinstance(record, Offer))
        twice = sum(record.extra.count("<Цена>") for record in parsed if isinstance(record, Offer))
        assert prices + twice == count["offer/Цена"], file.name
        products = [record for record in parsed if isinstance(record, Product)]
        assert sum(len(record.pictures or ()) for record in products) <= count["product/Картинка"], file.name
        assert sum(len(record.requisites or ()) for record in products) >= count["product/ЗначениеРеквизита"], file.name


def test_what_cannot_be_read_is_refused_with_its_reason_and_line(files: list[Path]) -> None:
    met = {}
    for file in files:
        if file.name in REFUSED:
            with pytest.raises(BadDocument) as caught:
                list(read(file))
            assert caught.value.facts["file"] == file.name
            met[file.name] = (caught.value.text, caught.value.facts["line"])
    assert met == REFUSED


def test_a_truncated_file_is_seen_before_anything_is_taken(samples: Path) -> None:
    negative = samples / "commerceml" / "_synthetic" / "negative"
    assert not is_complete(negative / "truncated_import0_1.xml")
    assert not is_complete(negative / "zip_slip.zip")


def test_bitrixs_latin_letter_is_read(samples: Path) -> None:
    answer = samples / "commerceml" / "_synthetic" / "negative" / "latin_C_in_statusy.xml"
    assert [(s.key, s.name) for s in read_info(answer.read_bytes()).statuses] == [("N", "Принят")]


def test_a_bitrix_answer_in_windows_1251_is_two_orders(samples: Path) -> None:
    folder = samples / "commerceml" / "dobromyslov+commerceml-parser"
    raws = [e for e in read(folder / "data__bitrix-query-response-full.xml") if isinstance(e, Raw)]
    orders = [d for d in parse(Kind.ORDER, [raw.xml for raw in raws]) if isinstance(d, Document)]
    assert (orders[0].id, orders[0].operation, orders[0].currency, orders[0].total) == (
        "132",
        "Заказ товара",
        "руб",
        Decimal("231.74"),
    )
    assert [len(o.lines or ()) for o in orders] == [1, 7]
    assert list(read(folder / "data__bitrix-query-response-empty.xml")) == []


def test_a_moysklad_root_is_recognised(samples: Path) -> None:
    root = reader.look(samples / "commerceml" / "avdivo+commercml" / "import.anon.xml")
    assert ("СинхронизацияТоваров", "false") in root.attributes


def test_portions_of_ut_share_their_time_of_making(samples: Path) -> None:
    folder = samples / "commerceml" / "_synthetic" / "ut11_portions"
    sections = [e for n in (1, 2, 3) for e in read(folder / f"import0_{n}.xml") if isinstance(e, Section)]
    assert len({section.created for section in sections}) == 1
    assert [(s.name, s.only_changes) for s in sections if s.name == "catalogue"] == [
        ("catalogue", False),
        ("catalogue", True),
        ("catalogue", True),
    ]


def test_a_sample_cut_anywhere_is_incomplete(samples: Path) -> None:
    data = (samples / "commerceml" / "_synthetic" / "ut11_portions" / "offers0_1.xml").read_bytes()
    assert not any(is_complete(io.BytesIO(data[:n])) for n in range(0, len(data) - 2, 97))
