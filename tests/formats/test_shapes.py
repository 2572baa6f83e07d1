"""Records of a known shape are read as libxml2 reads them, and only those."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obmen.core.contract import BadRecord
from obmen.core.records import Kind, Offer, Product
from obmen.formats.commerceml import cut, records
from obmen.formats.commerceml.shapes import Odd, Shape, Shapes
from obmen.sandbox.onec.generate import Spec, generate

PRODUCT = """<Товар Статус="Изменен">
    <Ид>p1</Ид>
    <Наименование>Стул "Венский" &amp; Co</Наименование>
    <БазоваяЕдиница Код="796 " НаименованиеПолное="Штука">шт</БазоваяЕдиница>
    <Группы><Ид>g1</Ид></Группы>
    <Описание>&lt;p&gt;Текст&lt;/p&gt;
вторая строка</Описание>
    <Картинка/>
    <ЗначенияСвойств><ЗначенияСвойства><Ид>s1</Ид><Значение>дуб</Значение></ЗначенияСвойства></ЗначенияСвойств>
    <ЗначенияРеквизитов>
        <ЗначениеРеквизита><Наименование>Вес</Наименование><Значение>4.5</Значение></ЗначениеРеквизита>
    </ЗначенияРеквизитов>
</Товар>"""
OFFER = """<Предложение><Ид>p1#c1</Ид><Наименование>Стул</Наименование>
    <ХарактеристикиТовара><ХарактеристикаТовара><Наименование>Цвет</Наименование><Значение>белый</Значение>
    </ХарактеристикаТовара></ХарактеристикиТовара>
    <Цены><Цена><ИдТипаЦены>retail</ИдТипаЦены><ЦенаЗаЕдиницу>100.50</ЦенаЗаЕдиницу><Валюта>UAH</Валюта></Цена></Цены>
    <Количество>7</Количество><Склад ИдСклада="main" КоличествоНаСкладе="3"/><Склад ИдСклада="b" КоличествоНаСкладе="4" />
</Предложение>"""
SAMPLES = {Kind.PRODUCT: PRODUCT, Kind.OFFER: OFFER}
PIECES = [
    *"<>&\"'/= \n\t\r]![x1я#;-?",
    "\x01",
    "\ufffe",
    "²",
    "&amp;",
    "&lt;",
    "&#65;",
    "&nbsp;",
    "]]>",
    "<!--",
    "-->",
    "<b>",
    "</b>",
]
PIECES += ["<![CDATA[", "<?x ?>", " xmlns='u'", " a='1'", ' b="2"', "<Ид>2</Ид>", "x:"]


def read(kind: Kind, raws: Sequence[bytes], encoding: str = "utf-8") -> list[Any]:
    return [plain(r) for r in records.parse(kind, raws, encoding=encoding)]


def plain(record: Any) -> Any:
    return (type(record), record.text, record.facts) if isinstance(record, BadRecord) else record


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known yet, and every shape is learnt when it is met first."""
    monkeypatch.setattr(records._of_this_thread, "shapes", {kind: Shapes(1) for kind in records.GOODS}, raising=False)


def by_libxml2(kind: Kind, raws: Sequence[bytes], encoding: str = "utf-8") -> list[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "GOODS", frozenset())
        return read(kind, raws, encoding)


@given(kind=st.sampled_from(sorted(SAMPLES)), seed=st.integers(0, 2**32), cuts=st.integers(0, 3), windows=st.booleans())
def test_a_record_that_was_spoilt_is_read_as_libxml2_reads_it(kind: Kind, seed: int, cuts: int, windows: bool) -> None:
    """Bits of markup and of trouble put in, taken out or exchanged anywhere in a record whose shape is known."""
    chance, text = random.Random(seed), SAMPLES[kind].replace("\n", "\r\n") if windows else SAMPLES[kind]
    good = text.encode()
    for _ in range(cuts + 1):
        at = chance.randrange(len(text))
        text = text[:at] + chance.choice([*PIECES, ""]) + text[at + chance.randrange(3) :]
    raws = [good, text.encode("utf-8", "replace"), good]
    assert read(kind, raws) == by_libxml2(kind, raws)


@given(words=st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=4, max_size=4))
def test_any_texts_and_attributes_are_read_as_libxml2_reads_them(words: list[str]) -> None:
    name, group, unit, value = (w.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;") for w in words)
    text = PRODUCT.replace('Стул "Венский" &amp; Co', name).replace("g1", group).replace("796 ", unit).replace("дуб", value)
    raws = [PRODUCT.encode(), text.encode(), text.replace("\n", "\r\n").encode()]
    assert read(Kind.PRODUCT, raws) == by_libxml2(Kind.PRODUCT, raws)


@pytest.mark.parametrize("layout", ["classic", "unf", "ut11", "bitrix7", "moysklad"])
def test_generated_catalogues_are_read_as_libxml2_reads_them(tmp_path: Path, layout: str) -> None:
    generate(Spec(layout=layout, products=150, pictures=False), tmp_path)
    looked_at = 0
    for file in sorted(tmp_path.rglob("*.xml")):
        try:
            plan = cut.plan(file)
        except cut.OddShape:
            continue
        raws = [xml for run in cut.cut(plan) for _at, xml, _digest in run.fresh]
        assert read(plan.shape.kind, raws, plan.encoding) == by_libxml2(plan.shape.kind, raws, plan.encoding)
        looked_at += len(raws)
    assert looked_at > 300


def test_windows_1251_is_cut_as_it_is() -> None:
    raws = [PRODUCT.encode("cp1251")] * 2
    assert read(Kind.PRODUCT, raws, "windows-1251") == by_libxml2(Kind.PRODUCT, raws, "windows-1251")
    assert not isinstance(read(Kind.PRODUCT, raws, "windows-1251")[1], tuple)


def test_the_second_record_of_a_shape_needs_no_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[int] = []
    elements = records._elements
    monkeypatch.setattr(records, "_elements", lambda raws, encoding: (handed.append(len(raws)), elements(raws, encoding))[1])
    product, second = records.parse(Kind.PRODUCT, [PRODUCT.encode(), PRODUCT.replace("p1", "p2").encode()])
    assert isinstance(product, Product)
    assert isinstance(second, Product)
    assert (product.key, second.key, second.name, second.unit_attributes) == (
        "p1", "p2", 'Стул "Венский" & Co', (("code", "796"), ("full_name", "Штука"))
    )  # fmt: skip
    (offer,) = records.parse(Kind.OFFER, [OFFER.encode()])
    assert isinstance(offer, Offer)
    assert [level.warehouse for level in offer.stock or ()] == ["main", "b"]
    assert handed == [0, 0]
    odd = PRODUCT.replace("дуб", "<![CDATA[дуб]]>").encode()
    (cdata,) = records.parse(Kind.PRODUCT, [odd])
    assert isinstance(cdata, Product)
    assert cdata.properties == (("s1", ("дуб",)),)
    assert handed == [0, 0, 1]


def test_a_part_that_is_kept_as_xml_is_kept_as_it_was_written() -> None:
    raws = [PRODUCT.replace("<Группы>", "<Мой  Тип = 'x'>да</Мой><Моё>1</Моё><Группы>").encode()] * 3
    found = read(Kind.PRODUCT, raws)
    assert found == by_libxml2(Kind.PRODUCT, raws)
    assert found[2].extra == '<Мой Тип="x">да</Мой><Моё>1</Моё>'


@pytest.mark.parametrize(
    "text", ["<a>1</a>", "<a><b>1</b></a>", "<a><b>1</b>", "<a><b>1</b><c>2</c></a> ", "<a>x<b>1</b><c>2</c></a>"]
)
def test_what_has_no_shape_is_refused(text: str) -> None:
    with pytest.raises(Odd):
        Shape(text)


def test_a_file_without_repeated_shapes_is_soon_left_to_the_parser() -> None:
    shapes = Shapes()
    tries: list[int] = []
    for number in range(3000):
        raw = f"<Товар><Ид>{number}</Ид><![CDATA[]]></Товар>".encode()
        assert shapes.read(raw, "utf-8", lambda _el, _parent: 1) is None
        tries.append(shapes._patience)
    assert tries[1999] == 0
    assert tries[-1] == -1000


def test_a_shape_is_learnt_only_when_it_pays() -> None:
    shapes = Shapes(3)
    raw = "<Товар><Ид>1</Ид><Наименование>Стул</Наименование></Товар>".encode()
    assert [shapes.read(raw, "utf-8", lambda el, _parent: el[1].text) for _ in range(4)] == [None, None, "Стул", "Стул"]
