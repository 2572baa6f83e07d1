"""The rules E01 … E18 of ICML, each with its line, element and level, and what publishing a file would switch off."""

from __future__ import annotations

import io
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from obmen.core.contract import BadDocument
from obmen.formats.findings import Finding
from obmen.formats.icml import reader, validate
from obmen.formats.yml.checks import Vanished

GOOD = '<offer id="{id}" quantity="1"><price>10</price><categoryId>1</categoryId><name>Чайник {id}</name></offer>'
CATEGORIES = '<category id="1">Посуда</category>'
OFFER, CATEGORY = "shop/offers/offer", "shop/categories/category"


def document(*offers: str, categories: str = CATEGORIES, date: str = "2024-05-14 10:09:18") -> str:
    """Categories stand on line 3, the first offer on line 5."""
    rows = "\n".join(offers)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<yml_catalog date="{date}"><shop><name>n</name><company>c</company>\n'
        f"<categories>{categories}</categories>\n<offers>\n{rows}\n</offers></shop></yml_catalog>"
    )


def findings(text: str | bytes, **more: Any) -> list[Finding]:
    data = text.encode() if isinstance(text, str) else text
    return list(validate.validate(io.BytesIO(data), "f.xml", **more))


def told(text: str | bytes, **more: Any) -> list[tuple[str, str, int, str]]:
    return [(f.code, f.level, f.line, f.element) for f in findings(text, **more)]


def offer(more: str = "", attributes: str = "", **changes: str | None) -> str:
    """A good offer with other, further or (None) fewer children."""
    said = {"price": "10", "categoryId": "1", "name": "Чайник"} | changes
    body = "".join(f"<{tag}>{text}</{tag}>" for tag, text in said.items() if text is not None)
    key = "" if " id=" in attributes else ' id="7"'
    return f"<offer{key}{attributes}>{body}{more}</offer>"


def good(number: int) -> str:
    return GOOD.format(id=number)


def test_a_good_file_has_no_findings() -> None:
    assert findings(document(good(1), good(2), offer())) == []


def test_a_finding_is_one_line_with_its_rule_and_level() -> None:
    (finding,) = findings(document(offer(price="1,50")))
    assert str(finding) == (
        "f.xml:5: shop/offers/offer/price: “1,50” is not a price with a dot such as 1990.50, 0 or more [E07 error]"
    )


# --- E01, E02: the document ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "line", "element"),
    [
        (document(good(1)).replace("</name></offer>", "</offer>").encode(), 5, "name"),
        (document(good(1), good(2))[:-60].encode(), 6, "offer"),
        (document(good(1)).encode().replace("Чайник".encode(), b"\xd7\xe0"), 5, "yml_catalog"),
        (b"", 1, "the prolog"),
        (b"{}", 1, "yml_catalog"),
        (b'<!DOCTYPE yml_catalog [<!ENTITY a "b">]>\n' + document(good(1)).partition("\n")[2].encode(), 1, "DOCTYPE"),
        (document(offer(name="&nbsp;")).encode(), 5, "yml_catalog"),
    ],
)
def test_e01_a_document_that_is_no_utf8_xml_ends_with_an_error(data: bytes, line: int, element: str) -> None:
    assert told(data)[-1:] == [("E01", "error", line, element)]


def test_e01_another_encoding_is_said_and_the_rest_is_still_checked() -> None:
    data = document(offer(price="x")).replace("UTF-8", "windows-1251").encode("cp1251")
    assert told(data) == [("E01", "error", 1, "yml_catalog"), ("E07", "error", 5, f"{OFFER}/price")]


def test_e01_a_doctype_of_yml_is_no_error() -> None:
    text = document(offer(price="x")).replace("<yml_catalog", '<!DOCTYPE yml_catalog SYSTEM "shops.dtd">\n<yml_catalog', 1)
    assert told(text) == [("E07", "error", 6, f"{OFFER}/price")]


@pytest.mark.parametrize(
    ("text", "line", "element", "found"),
    [
        ("<!-- -->\n<shop/>", 2, "shop", "<yml_catalog>"),
        ('<yml_catalog date="2024-05-14 10:09:18"/>', 1, "yml_catalog", "<shop>"),
        ('<yml_catalog date="2024-05-14 10:09:18">\n<shop><name/></shop></yml_catalog>', 2, "shop", "<offers>"),
        ('<yml_catalog date="2024-05-14 10:09:18"><offers/></yml_catalog>', 1, "yml_catalog", "<shop>"),
    ],
)
def test_e02_a_document_without_its_frame_is_an_error(text: str, line: int, element: str, found: str) -> None:
    (finding,) = findings(text)
    assert (finding.code, finding.level, finding.line, finding.element) == ("E02", "error", line, element)
    assert finding.facts["found"] == found


# --- E03 … E17: rule by rule -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attribute", ["", ' id=""', ' id=" "'])
def test_e03_an_offer_without_an_id_is_an_error(attribute: str) -> None:
    row = good(1).replace(' id="1"', attribute)
    assert told(document(good(2), row)) == [("E03", "error", 6, f"{OFFER}/@id")]


def test_e04_each_repetition_of_an_offers_id_is_an_error() -> None:
    rows = [good(1), good(2), good(1), good(1).replace('"1"', '" 1 "')]
    assert told(document(*rows)) == [("E04", "error", 7, f"{OFFER}/@id"), ("E04", "error", 8, f"{OFFER}/@id")]


def test_e05_a_category_that_is_not_there_is_said_once_with_its_count() -> None:
    rows = [good(1), *(good(n).replace("<categoryId>1<", "<categoryId>99<") for n in (2, 3, 4))]
    (finding,) = findings(document(*rows))
    assert (finding.code, finding.level, finding.line, finding.element) == ("E05", "error", 6, f"{OFFER}/categoryId")
    assert (finding.facts["found"], finding.facts["count"]) == ("99", 3)


def test_e05_categories_may_stand_behind_the_offers() -> None:
    text = document(offer(), offer("<categoryId>2</categoryId>", ' id="8"'), categories="")
    text = text.replace("</offers>", f"</offers><categories>{CATEGORIES}</categories>")
    assert told(text) == [("E05", "error", 6, f"{OFFER}/categoryId")]


@pytest.mark.parametrize("category", ["", None])
def test_e05_an_offer_in_no_category_is_an_error(category: str | None) -> None:
    assert told(document(offer(categoryId=category))) == [("E05", "error", 5, OFFER)]


@pytest.mark.parametrize(
    ("categories", "line", "attribute"),
    [
        ('\n<category id="1">B</category>', 4, "id"),
        ("\n<category>B</category>", 4, "id"),
        ('\n<category id="2" parentId="9">B</category>', 4, "parentId"),
        ('\n<category id="2" parentId="2">B</category>', 4, "parentId"),
        ('<category id="2" parentId="4">B</category>\n<category id="3" parentId="2">C</category><category id="4" parentId="3">D</category>'
         '<category id="5" parentId="3">E</category>', 3, "parentId"),
    ],
)  # fmt: skip
def test_e06_categories_are_a_tree(categories: str, line: int, attribute: str) -> None:
    text = document(offer(), categories=CATEGORIES + categories)
    assert told(text) == [("E06", "error", line, f"{CATEGORY}/@{attribute}")]


def test_e06_a_ring_is_said_once_with_its_way() -> None:
    ring = "".join(f'<category id="r{n}" parentId="r{(n + 1) % 3}">R</category>' for n in range(3))
    (finding,) = findings(document(offer(), categories=CATEGORIES + ring))
    assert finding.facts["ring"] == "r0 → r1 → r2 → r0"


def test_e06_a_parent_may_stand_behind_its_child_and_an_empty_one_is_a_root() -> None:
    categories = '<category id="2" parentId="1">B</category><category id="1" parentId="">A</category>'
    assert findings(document(offer(), categories=categories)) == []


@pytest.mark.parametrize("price", ["1,50", "-1", "1e3", "1 000", "10.", ".5", "free", "+1", "٣"])
def test_e07_a_price_that_is_no_decimal_with_a_dot_is_an_error(price: str) -> None:
    assert told(document(offer(price=price))) == [("E07", "error", 5, f"{OFFER}/price")]
    assert told(document(offer(purchasePrice=price))) == [("E07", "error", 5, f"{OFFER}/purchasePrice")]


@pytest.mark.parametrize("price", ["", " ", None])
def test_e07_an_offer_without_a_price_is_an_error(price: str | None) -> None:
    assert told(document(offer(price=price))) == [("E07", "error", 5, OFFER)]
    assert findings(document(offer(purchasePrice=price))) == []


@pytest.mark.parametrize("name", ["", " \n", None])
def test_e08_an_offer_without_a_name_is_an_error(name: str | None) -> None:
    assert told(document(offer("<productName>Чайник</productName>", name=name))) == [("E08", "error", 5, OFFER)]


def test_e08_a_name_that_is_said_twice_is_said() -> None:
    assert findings(document(offer("<name/>"))) == []


@pytest.mark.parametrize("inside", ["", "<name/>", "<name> </name><picture>https://shop.example/1.jpg</picture>"])
def test_e08_a_category_without_a_name_is_an_error(inside: str) -> None:
    assert told(document(offer(), categories=f'<category id="1">{inside}</category>')) == [("E08", "error", 3, CATEGORY)]


def test_e09_each_repetition_of_an_xmlid_is_an_error() -> None:
    rows = [offer(f"<xmlId>{x}</xmlId>", f' id="{n}"') for n, x in enumerate(("a", "b", "a", "", "", "b"))]
    assert told(document(*rows)) == [("E09", "error", 7, f"{OFFER}/xmlId"), ("E09", "error", 10, f"{OFFER}/xmlId")]


def test_e10_another_name_or_vendor_in_the_same_product_is_a_warning() -> None:
    def sku(number: int, product: str, name: str, vendor: str) -> str:
        return offer(f"<productName>{name}</productName><vendor>{vendor}</vendor>", f' id="{number}" productId="{product}"')

    rows = [sku(1, "p", "A", "v"), sku(2, "p", "B", "v"), sku(3, "p", "A", "w"), sku(4, "p", "B", ""), sku(5, "q", "B", "w")]
    assert told(document(*rows)) == [
        ("E10", "warning", 6, f"{OFFER}/productName"),
        ("E10", "warning", 7, f"{OFFER}/vendor"),
        ("E10", "warning", 8, f"{OFFER}/vendor"),
    ]


def test_e10_the_name_stands_in_for_the_products_and_the_id_for_the_productid() -> None:
    rows = [offer(attributes=' id="1"'), offer(attributes=' id="2" productId="1"', name="Миска")]
    assert told(document(*rows)) == [("E10", "warning", 6, f"{OFFER}/productName")]


@pytest.mark.parametrize("text", ["10x20x30", "10/20", "10/20/30/40", "10/20/", "10/20,5/30", "1/2/-3", "//"])
def test_e11_dimensions_that_are_not_three_sides_are_an_error(text: str) -> None:
    assert told(document(offer(dimensions=text))) == [("E11", "error", 5, f"{OFFER}/dimensions")]
    assert findings(document(offer(dimensions="10/20.5/0"))) == []


@pytest.mark.parametrize("text", ["-5", "1,5", "много", "1e2"])
def test_e12_a_weight_or_quantity_that_is_no_number_is_an_error(text: str) -> None:
    assert told(document(offer(weight=text))) == [("E12", "error", 5, f"{OFFER}/weight")]
    assert told(document(offer(attributes=f' quantity="{text}"'))) == [("E12", "error", 5, f"{OFFER}/@quantity")]
    assert findings(document(offer(attributes=' quantity="2.5"', weight="2.5"))) == []


def test_e13_a_rate_of_vat_that_does_not_exist_is_an_error() -> None:
    for rate in ("20", "18", "10", "7", "5", "0", "none", ""):
        assert findings(document(offer(vatRate=rate))) == [], rate
    for rate in ("abc", "20%", "20.0", "None", "19"):
        assert told(document(offer(vatRate=rate))) == [("E13", "error", 5, f"{OFFER}/vatRate")], rate


@pytest.mark.parametrize("address", ["/1.jpg", "1.jpg", "//cdn.example/1.jpg", "ftp://a.example/1", "https://", "https://a/b c",
                                     "https://a.example/" + "x" * 238])  # fmt: skip
def test_e14_an_address_that_is_not_absolute_or_too_long_is_an_error(address: str) -> None:
    for tag in ("url", "picture"):
        assert told(document(offer(**{tag: address}))) == [("E14", "error", 5, f"{OFFER}/{tag}")]
    picture = f'<category id="1"><name>A</name><picture>{address}</picture></category>'
    assert told(document(offer(), categories=picture)) == [("E14", "error", 3, f"{CATEGORY}/picture")]


def test_e14_addresses_of_255_characters_are_taken() -> None:
    assert findings(document(offer(url="https://a.example/" + "x" * 237, picture="HTTP://кот.example?x"))) == []


@pytest.mark.parametrize(
    "date", ["14.05.2024", "", "2024-05-14", "2024-05-14T10:09:18", "2024-5-14 1:09:18", "2024-02-30 10:09:18"]
)
def test_e15_another_form_of_the_date_is_an_error(date: str) -> None:
    assert told(document(good(1), date=date)) == [("E15", "error", 2, "yml_catalog/@date")]


def test_e16_a_service_with_stock_is_a_warning() -> None:
    rows = [offer(attributes=f' id="{n}" type="{t}" quantity="{q}"') for n, t, q in ((1, "service", "0"), (2, "product", "5"))]
    wrong = offer(attributes=' type="service" quantity="0.5"')
    assert told(document(*rows, wrong)) == [("E16", "warning", 7, f"{OFFER}/@quantity")]


@pytest.mark.parametrize(
    ("param", "child"),
    [
        ('<param name="Цвет">красный</param>', "code"),
        ('<param code="color">красный</param>', "name"),
        ('<param code="color" name="Цвет"/>', "value"),
    ],
)
def test_e17_a_param_that_is_not_filled_in_throughout_is_a_warning(param: str, child: str) -> None:
    (finding,) = findings(document(offer(param)))
    assert (finding.code, finding.level, finding.line, finding.element) == ("E17", "warning", 5, f"{OFFER}/param")
    assert finding.facts["child"] == child


def test_e17_a_code_that_is_not_latin_is_a_warning() -> None:
    row = offer('<param code="size-2_a" name="n">v</param>\n<param code="цвет" name="n">v</param>')
    assert told(document(row)) == [("E17", "warning", 6, f"{OFFER}/param/@code")]


# --- E18: against the file before --------------------------------------------------------------------------------------------


def file(folder: Path, name: str, *offers: str) -> Path:
    path = folder / name
    path.write_text(document(*offers), "utf-8")
    return path


def off(number: int, tag: str = "activity", value: str = "N") -> str:
    return good(number).replace("</offer>", f"<{tag}>{value}</{tag}></offer>")


def test_e18_more_offers_gone_than_allowed_is_an_error(tmp_path: Path) -> None:
    before = file(tmp_path, "before.xml", *(good(n) for n in range(10)))
    now = document(*(good(n) for n in range(8)))
    (finding,) = findings(now, previous=before)
    assert (finding.code, finding.level, finding.line, finding.element) == ("E18", "error", 4, "shop/offers")
    assert str(finding) == (
        "f.xml:4: shop/offers: 2 of 10 offers of before.xml are missing or switched off here (20.0 %), and the CRM would switch "
        "them off; expected no more than 10 %. Among them: Чайник 8 (8), Чайник 9 (9) [E18 error]"
    )
    assert told(now, previous=before, may_vanish=19.9) == [("E18", "error", 4, "shop/offers")]
    assert findings(now, previous=before, may_vanish=20) == []
    assert findings(document(*(good(n) for n in range(1, 11))), previous=before) == []  # exactly the usual tenth


def test_e18_an_offer_that_is_switched_off_is_gone_too(tmp_path: Path) -> None:
    before = file(tmp_path, "before.xml", good(1), good(2))
    assert told(document(good(1), off(2)), previous=before) == [("E18", "error", 4, "shop/offers")]


def test_e18_a_previous_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "before.xml").write_text("{}")
    for name in ("before.xml", "none.xml"):
        assert told(document(good(1)), previous=tmp_path / name) == [("E18", "error", 4, "shop/offers")]


def test_vanished_counts_what_was_on_sale_and_is_not_any_more(tmp_path: Path) -> None:
    before = file(
        tmp_path, "b.xml", good(1), good(2), good(2), good(3), off(4), off(5, "productActivity"), good(6), off(7, value="Y")
    )
    now = file(tmp_path, "n.xml", good(1), off(2), off(3, "productActivity"), good(8), off(6, value="Y"))
    assert validate.vanished(before, now) == Vanished(3, 5, ("Чайник 2 (2)", "Чайник 3 (3)", "Чайник 7 (7)"))
    assert validate.vanished(before, now).share == 60
    assert validate.vanished(now, now) == Vanished(0, 3, ())


def test_vanished_of_nothing_is_nothing_and_names_ten_at_most(tmp_path: Path) -> None:
    empty, full = file(tmp_path, "e.xml"), file(tmp_path, "f.xml", *(good(n) for n in range(30)))
    assert validate.vanished(empty, full) == Vanished(0, 0, ())
    assert validate.vanished(empty, full).share == 0
    gone = validate.vanished(full, empty)
    assert (gone.count, gone.total, len(gone.examples), gone.share) == (30, 30, 10, 100)


def test_vanished_says_when_a_file_cannot_be_read(tmp_path: Path) -> None:
    whole = file(tmp_path, "w.xml", good(1), good(2))
    half = tmp_path / "h.xml"
    half.write_text(whole.read_text("utf-8")[:-60], "utf-8")
    for before, now in ((whole, half), (half, whole)):
        with pytest.raises(BadDocument, match=r"^h\.xml:6: the document breaks off"):
            validate.vanished(before, now)
    with pytest.raises(FileNotFoundError):
        validate.vanished(tmp_path / "none.xml", whole)


# --- sizes -------------------------------------------------------------------------------------------------------------------


def test_thousands_of_findings_come_as_a_stream_with_their_lines() -> None:
    text = document(*(offer(attributes=f' id="{n}"', price="?") for n in range(70_000)))
    stream = validate.validate(io.BytesIO(text.encode()), "f.xml")
    assert next(stream).line == 5
    rest = list(stream)
    assert Counter(f.code for f in rest) == {"E07": 69_999}
    assert rest[-1].line == 70_004


def test_memory_is_that_of_the_ids(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = file(tmp_path, f"{count}.xml", *(good(n) for n in range(count)))
        tracemalloc.start()
        assert list(validate.validate(path, previous=path)) == []
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few, many = peak(2000), peak(20_000)
    assert many - few < 18_000 * 8 * 3 * 8  # six sets, a third to two thirds full, and a table that is being copied


# --- other people's files ----------------------------------------------------------------------------------------------------


def test_other_peoples_files_are_good_but_for_an_empty_article(samples: Path) -> None:
    folder = samples / "retailcrm" / "icml"
    found = [
        (f.name[:2], x.code, x.level, x.line, x.element) for f in sorted(folder.glob("0[1-4]*")) for x in validate.validate(f)
    ]
    assert found == [("03", "E17", "warning", 7, f"{OFFER}/param")]


def test_the_broken_file_has_exactly_its_faults(samples: Path) -> None:
    path = next((samples / "retailcrm" / "icml").glob("05*"))
    assert [(f.code, f.level, f.line, f.element, f.facts.get("found")) for f in validate.validate(path)] == [
        ("E15", "error", 3, "yml_catalog/@date", "14.05.2024"),
        ("E06", "error", 4, f"{CATEGORY}/@id", "2"),
        ("E07", "error", 6, f"{OFFER}/price", "1,50"),
        ("E04", "error", 7, f"{OFFER}/@id", "10"),
        ("E12", "error", 7, f"{OFFER}/@quantity", "-5"),
        ("E13", "error", 7, f"{OFFER}/vatRate", "abc"),
        ("E11", "error", 7, f"{OFFER}/dimensions", "10x20x30"),
        ("E08", "error", 7, OFFER, None),
        ("E03", "error", 8, f"{OFFER}/@id", None),
        ("E05", "error", 7, f"{OFFER}/categoryId", "99"),
        ("E06", "error", 4, f"{CATEGORY}/@parentId", "1"),
    ]


# --- the command -------------------------------------------------------------------------------------------------------------


def test_the_command_knows_the_format_by_its_content(make_hub: Any, tmp_path: Path) -> None:
    hub = make_hub()
    fine = file(tmp_path, "import.xml", good(1), offer('<param code="c" name="n"/>'))
    done = hub.cli("validate", str(fine))
    assert (done.returncode, done.stdout) == (
        0,
        f"import.xml:6: {OFFER}/param: the param has no value; expected code, name and a value: others are left out [E17 warning]\n",
    )
    bad = file(tmp_path, "bad.xml", offer(price="1,50"))
    done = hub.cli("validate", str(fine), str(bad), ok=False)
    assert done.returncode == 1
    assert done.stdout.splitlines()[1].endswith("[E07 error]")


def test_the_command_compares_with_the_file_before(make_hub: Any, tmp_path: Path) -> None:
    hub = make_hub()
    before, now = file(tmp_path, "b.xml", good(1), good(2)), file(tmp_path, "n.xml", good(1))
    assert hub.cli("validate", str(now)).returncode == 0
    done = hub.cli("validate", str(now), "--previous", str(before), ok=False)
    assert (done.returncode, done.stdout.count("[E18 error]")) == (1, 1)
    assert hub.cli("validate", str(now), "--previous", str(before), "--may-vanish", "50").stdout == ""
    assert hub.cli("validate", str(now), str(now), "--previous", str(before), ok=False).returncode == 2
    (tmp_path / "o.xml").write_text("<КоммерческаяИнформация/>", "utf-8")
    done = hub.cli("validate", str(tmp_path / "o.xml"), "--previous", str(before), ok=False)
    assert (done.returncode, "[E02 error]" in done.stdout) == (1, True)


def test_every_rule_has_its_words() -> None:
    page = Path(__file__).parents[2] / "docs" / "formats" / "icml.md"
    rows = [line.split("|")[1].strip() for line in page.read_text("utf-8").splitlines() if line.startswith("| E")]
    assert rows == [f"E{n:02}" for n in range(1, 19)]
    source = Path(reader.__file__).with_name("validate.py").read_text("utf-8")
    assert [code for code in rows if f'"{code}"' not in source] == []
