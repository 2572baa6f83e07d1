"""The table of attributes: what a row means, what it gives for one good, and what is said of a row that means nothing."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from obmen.core.contract import NeedsOwner
from obmen.core.records import Good, Offer, Product, Property
from obmen.market.attributes import FIELD_LABELS, FIELDS, SHAPE, Line, Words, converted, rows_of, told

GOOD = Good(
    1,
    Product(
        "p1",
        name="Футболка",
        full_name="Футболка бавовняна",
        article="ФБ-1",
        code="00-1",
        barcode="111",
        unit="шт",
        groups=("g1",),
        category="Одяг",
        description="М'яка",
        kind="Товар",
        vat_rate="20",
        manufacturer="Завод",
        country="Україна",
        weight=Decimal("0.250"),
        properties=(("c-color", ("v-red",)), ("c-mat", ("бавовна", "льон")), ("c-free", ("так",))),
        requisites=(("Гарантія", "12"), ("Колір", "з реквізиту")),
    ),
    Offer(
        "p1#s", "p1", name="Футболка (S)", barcode="222", characteristics=(("Розмір", "S"),), properties=(("c-mat", ("шовк",)),)
    ),
)
WORDS = Words(
    [
        Property("c-color", "Колір", "dictionary", (("v-red", "червоний"), ("v-blue", "синій"))),
        Property("c-mat", "Матеріал"),
    ],
    {"g1": "Футболки"},
)


def rows(*said: dict[str, Any]) -> Any:
    return rows_of(json.dumps({"rows": said}))


def line(**said: Any) -> Line:
    return converted(rows({"theirs": "x", **said}), GOOD, WORDS)[0]


def words(of: Line) -> tuple[str, str]:
    return of.value, of.whence.format(**of.facts)


@pytest.mark.parametrize(
    ("ours", "value"),
    [
        ("name", "Футболка (S)"),
        ("product_name", "Футболка"),
        ("full_name", "Футболка бавовняна"),
        ("article", "ФБ-1"),
        ("code", "00-1"),
        ("barcode", "222"),
        ("key", "p1#s"),
        ("description", "М'яка"),
        ("manufacturer", "Завод"),
        ("country", "Україна"),
        ("category", "Одяг"),
        ("group", "Футболки"),
        ("kind", "Товар"),
        ("unit", "шт"),
        ("vat_rate", "20"),
        ("weight", "0.25"),
    ],
)
def test_a_field_of_the_card_goes_as_it_is(ours: str, value: str) -> None:
    assert words(line(ours=ours)) == (value, f"the field “{ours}” of the card")


def test_every_field_has_its_words_on_the_page() -> None:
    assert {name for name, _label in FIELD_LABELS} == {*FIELDS, "group"}
    assert [key for key, _label, _subject in SHAPE.columns] == ["theirs", "ours", "conversion", "value", "default"]


@pytest.mark.parametrize(
    ("ours", "value", "whence"),
    [
        ("Розмір", "S", "the characteristic “Розмір”"),
        ("Колір", "червоний", "the property “Колір”"),
        ("c-color", "червоний", "the property “c-color”"),
        ("requisite:Колір", "з реквізиту", "the requisite “Колір”"),
        ("property: Колір", "червоний", "the property “Колір”"),
        ("characteristic:Колір", "", "“Колір” says nothing"),
        ("Матеріал", "шовк", "the property “Матеріал”"),
        ("c-free", "так", "the property “c-free”"),
        ("Гарантія", "12", "the requisite “Гарантія”"),
        ("Немає", "", "“Немає” says nothing"),
    ],
)
def test_properties_requisites_and_characteristics_are_found_by_name(ours: str, value: str, whence: str) -> None:
    assert words(line(ours=ours)) == (value, whence)


def test_several_values_of_a_property_stand_in_one_text() -> None:
    plain = Good(1, GOOD.product, Offer("p1", "p1"))
    assert told(rows({"theirs": "m", "ours": "Матеріал"}), plain, WORDS) == {"m": "бавовна, льон"}


def test_a_variants_own_property_counts_before_its_products() -> None:
    assert list(WORDS.properties(GOOD)) == [
        ("c-mat", "Матеріал", "шовк"),
        ("c-color", "Колір", "червоний"),
        ("c-free", "c-free", "так"),
    ]


def test_a_constant() -> None:
    assert words(line(conversion="constant", value="new")) == ("new", "a constant")
    assert words(line(value="new")) == ("new", "a constant")


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{name} {article}", "Футболка (S) ФБ-1"),
        ("{manufacturer} {Немає} {property:Колір}", "Завод червоний"),
        ("{Розмір}/{weight} кг", "S/0.25 кг"),
        ("{Немає} кг", ""),
    ],
)
def test_a_template_is_filled_and_says_nothing_where_nothing_fills_it(template: str, value: str) -> None:
    assert words(line(value=template)) == (value, f"the template “{template}”")


@pytest.mark.parametrize("value", ["червоний = Красный; синій = Синий", "Червоний=Красный\nсиній=Синий", {"ЧЕРВОНИЙ": "Красный"}])
def test_a_table_of_values(value: Any) -> None:
    assert words(line(ours="Колір", conversion="map", value=value)) == (
        "Красный",
        "the table of values, for “червоний” of “Колір”",
    )


def test_a_value_without_a_counterpart_is_not_told_unless_there_is_a_default() -> None:
    said = {"ours": "Колір", "value": "синій = Синий"}
    assert words(line(**said)) == ("", "“червоний” of “Колір” is not in the table of values")
    assert words(line(**said, default="Інший")) == ("Інший", "the default, since “Колір” gives nothing")


def test_the_default_fills_what_is_empty_and_nothing_else() -> None:
    assert words(line(ours="Немає", default="–")) == ("–", "the default, since “Немає” gives nothing")
    assert words(line(ours="article", default="–"))[0] == "ФБ-1"
    assert words(line(value="{Немає}", default="–"))[0] == "–"


def test_what_is_told_leaves_out_what_is_empty_and_keeps_the_order() -> None:
    table = rows({"theirs": "b", "ours": "code"}, {"theirs": "x", "ours": "Немає"}, {"theirs": "a", "value": "1"})
    assert list(told(table, GOOD, WORDS).items()) == [("b", "00-1"), ("a", "1")]


@pytest.mark.parametrize("conversion", ["шаблон", "Шаблон", "TEMPLATE"])
def test_the_conversion_may_be_named_in_the_owners_language(conversion: str) -> None:
    assert line(conversion=conversion, value="{code}").value == "00-1"


def test_an_empty_table_is_none() -> None:
    assert rows_of("") == rows_of(" ") == rows_of("{}") == rows_of('{"rows": []}') == ()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"ours": "name"}, "row 2: their attribute is missing"),
        ({"theirs": "a", "ours": "name"}, "row 2: “a” stands in row 1 already"),
        ({"theirs": "b"}, "row 2 (“b”): name an attribute of ours"),
        ({"theirs": "b", "conversion": "map", "value": "a = b"}, "row 2 (“b”): name an attribute of ours"),
        (
            {"theirs": "b", "ours": "name", "conversion": "upper"},
            "row 2 (“b”): “upper” is no conversion; there are as is, constant, template, map",
        ),
        ({"theirs": "b", "conversion": "constant"}, "row 2 (“b”): the conversion “constant” needs a value"),
        (
            {"theirs": "b", "value": "{name} {article", "conversion": "template"},
            "a brace in “{name} {article” has no counterpart",
        ),
        ({"theirs": "b", "value": "{name} {article"}, "a brace in “{name} {article” has no counterpart"),
        ({"theirs": "b", "ours": "name", "value": "a = b; c", "conversion": "map"}, "row 2 (“b”): “c” is no table of values"),
        ({"theirs": "b", "ours": "name", "value": "red"}, "row 2 (“b”): a value stands there, but it is neither"),
        ({"theirs": "b", "our": "name"}, "row 2: “our” is no column; there are conversion, default, ours, theirs, value"),
    ],
)
def test_a_row_that_means_nothing_is_named(said: dict[str, str], reason: str) -> None:
    with pytest.raises(NeedsOwner) as caught:
        rows({"theirs": "a", "ours": "name"}, said)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "the JSON cannot be read"), ('{"row": []}', "expected a list"), ("[1]", "expected a list"), ("5", "expected a list")],
)
def test_what_is_no_table_is_refused(text: str, reason: str) -> None:
    with pytest.raises(NeedsOwner, match=reason):
        rows_of(text)
