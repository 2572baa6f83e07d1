"""The rules Y01 … Y24 of YML, each with its line, element and level, as each marketplace has them."""

from __future__ import annotations

import io
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from obmen.core.contract import BadDocument
from obmen.formats.findings import Finding
from obmen.formats.yml import dialect, rules, validate
from obmen.formats.yml.checks import Vanished

PROM, ROZETKA, ANY = (dialect.built_in()[key] for key in ("prom", "rozetka", "any"))
CATEGORIES = '<category id="1">Посуд</category>'
OFFER, CATEGORY = "shop/offers/offer", "shop/categories/category"
# What an offer needs at both, element by element.
BASE = {
    "price": "10", "currencyId": "UAH", "categoryId": "1", "picture": "https://shop.example/1.jpg", "vendor": "Завод",
    "name": "Чайник", "stock_quantity": "7", "param": "x",
}  # fmt: skip


def document(*offers: str, categories: str = CATEGORIES, date: str = "2026-09-23 12:30") -> str:
    """Categories stand on line 3, the first offer on line 5."""
    rows = "\n".join(offers)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<yml_catalog date="{date}"><shop><name>n</name><company>c</company>\n'
        f"<categories>{categories}</categories>\n<offers>\n{rows}\n</offers></shop></yml_catalog>"
    )


def findings(text: str | bytes, spelling: dialect.Dialect = ROZETKA, **more: Any) -> list[Finding]:
    data = text.encode() if isinstance(text, str) else text
    return list(validate.validate(io.BytesIO(data), spelling, "f.xml", **more))


def told(text: str | bytes, spelling: dialect.Dialect = ROZETKA, **more: Any) -> list[tuple[str, str, int, str]]:
    return [(f.code, f.level, f.line, f.element) for f in findings(text, spelling, **more)]


def offer(more: str = "", attributes: str = "", **changes: str | None) -> str:
    """A good offer with other, further or (None) fewer children."""
    said = {"param name='n'" if tag == "param" else tag: text for tag, text in (BASE | changes).items()}
    body = "".join(f"<{tag}>{text}</{tag.split()[0]}>" for tag, text in said.items() if text is not None)
    key = "" if " id=" in attributes else ' id="7"'
    return f"<offer{key}{attributes}>{body}{more}</offer>"


def good(number: int) -> str:
    return offer(attributes=f' id="{number}"', name=f"Чайник {number}")


@pytest.mark.parametrize("spelling", [PROM, ROZETKA, ANY], ids=lambda d: d.key)
def test_a_good_file_has_no_findings(spelling: dialect.Dialect) -> None:
    assert findings(document(good(1), good(2), offer()), spelling) == []


def test_a_finding_is_one_line_with_its_goods_its_rule_and_level() -> None:
    (finding,) = findings(document(offer(vendor="NoName")))
    assert str(finding) == "f.xml:5: shop/offers/offer/vendor: 7: “NoName” is no brand; expected the real one [Y12 error]"


# --- Y01 … Y06: the document, ids, categories ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "line", "element"),
    [
        (document(offer()).replace("</name><stock", "<stock").encode(), 5, "name"),
        (document(good(1), good(2)).rpartition("</param>")[0].encode(), 6, "param"),
        (b"", 1, "the prolog"),
        (b'<!DOCTYPE yml_catalog [<!ENTITY a "b">]>\n' + document(good(1)).partition("\n")[2].encode(), 1, "DOCTYPE"),
        (document(offer(name="a&#7;")).encode(), 5, "yml_catalog"),
    ],
)
def test_y01_a_document_that_is_no_utf8_xml_ends_with_an_error(data: bytes, line: int, element: str) -> None:
    assert told(data)[-1:] == [("Y01", "error", line, element)]


def test_y01_another_encoding_is_said_and_the_rest_is_still_checked() -> None:
    data = document(offer(price="x")).replace("UTF-8", "windows-1251").encode("cp1251")
    assert told(data) == [("Y01", "error", 1, "yml_catalog"), ("Y07", "error", 5, f"{OFFER}/price")]


def test_y01_a_doctype_of_yml_and_a_mark_of_byte_order_are_no_errors() -> None:
    text = document(offer(price="x")).replace("<yml_catalog", '<!DOCTYPE yml_catalog SYSTEM "shops.dtd">\n<yml_catalog', 1)
    assert told(b"\xef\xbb\xbf" + text.encode()) == [("Y07", "error", 6, f"{OFFER}/price")]


@pytest.mark.parametrize(
    ("text", "element"),
    [
        ("<shop/>", "shop"),
        ('<yml_catalog date="2026-09-23 12:30"/>', "yml_catalog"),
        ('<yml_catalog date="2026-09-23 12:30"><shop/></yml_catalog>', "shop"),
    ],
)
def test_y02_a_document_without_its_frame_is_an_error(text: str, element: str) -> None:
    assert told(text) == [("Y02", "error", 1, element)]


@pytest.mark.parametrize("attribute", ["", ' id=""', ' id=" "'])
def test_y03_an_offer_without_an_id_is_an_error(attribute: str) -> None:
    assert told(document(offer().replace(' id="7"', attribute))) == [("Y03", "error", 5, f"{OFFER}/@id")]


def test_y04_each_repetition_of_an_id_is_an_error() -> None:
    rows = [offer(attributes=f' id="{n}"', name=f"Чайник{at}") for at, n in enumerate((1, 2, 1, 1))]
    assert told(document(*rows)) == [("Y04", "error", 7, f"{OFFER}/@id"), ("Y04", "error", 8, f"{OFFER}/@id")]


def test_y05_a_category_that_is_not_there_is_an_error_at_rozetka_and_goes_to_the_root_at_prom() -> None:
    rows = [good(1), offer(attributes=' id="2"', categoryId="9"), offer(attributes=' id="3"', name="b", categoryId="9")]
    (finding,) = findings(document(*rows))
    assert (finding.code, finding.level, finding.line, finding.facts["count"]) == ("Y05", "error", 6, 2)
    assert told(document(*rows), PROM) == [("Y05", "warning", 6, f"{OFFER}/categoryId")]


def test_y05_an_offer_without_a_category_is_an_error_at_rozetka_alone() -> None:
    for said in (None, ""):
        assert told(document(offer(categoryId=said)))[0][:3] == ("Y05", "error", 5)
        assert told(document(offer(categoryId=said)), PROM) == []


@pytest.mark.parametrize(
    ("categories", "attribute"),
    [
        ('<category id="">B</category>', "id"),
        ('<category id="1">B</category>', "id"),
        ('<category id="2" parentId="9">B</category>', "parentId"),
        ('<category id="2" parentId="2">B</category>', "parentId"),
    ],
)
def test_y06_categories_are_a_tree(categories: str, attribute: str) -> None:
    assert told(document(offer(), categories=CATEGORIES + categories)) == [("Y06", "error", 3, f"{CATEGORY}/@{attribute}")]


# --- Y07 … Y24 -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("price", ["1,50", "-1", "1e3", "1 713 грн", "10.", "free"])
def test_y07_a_price_that_is_no_decimal_with_a_dot_is_an_error(price: str) -> None:
    assert told(document(offer(price=price))) == [("Y07", "error", 5, f"{OFFER}/price")]
    for tag, spelling in (("price_old", ROZETKA), ("price_promo", ROZETKA), ("oldprice", PROM)):
        assert told(document(offer(**{tag: price})), spelling) == [("Y07", "error", 5, f"{OFFER}/{tag}")]


@pytest.mark.parametrize("price", [None, "", " "])
def test_y07_an_offer_without_a_price_is_an_error_in_every_dialect(price: str | None) -> None:
    for spelling in (PROM, ROZETKA, ANY):
        assert told(document(offer(price=price)), spelling) == [("Y07", "error", 5, OFFER)]


def test_y07_a_price_for_many_is_two_numbers() -> None:
    prices = "<prices><price><value>{}</value><quantity>{}</quantity></price></prices>"
    assert findings(document(offer(prices.format("9.5", "10"))), PROM) == []
    for wrong in (("x", "10"), ("9", ""), ("9", "-1")):
        assert told(document(offer(prices.format(*wrong))), PROM) == [("Y07", "error", 5, f"{OFFER}/prices/price")]


def test_y08_an_offer_and_a_category_without_a_name_are_errors() -> None:
    assert told(document(offer(name=None)))[0] == ("Y08", "error", 5, OFFER)
    assert told(document(offer(name_ua="Чайник", name=" ")))[0] == ("Y08", "error", 5, OFFER)
    assert told(document(offer(), categories='<category id="1"/>')) == [("Y08", "error", 3, CATEGORY)]


@pytest.mark.parametrize(
    ("spelling", "tag", "limit"),
    [
        (PROM, "name", 130), (ROZETKA, "name", 255), (ROZETKA, "name_ua", 255), (ROZETKA, "article", 255),
        (ROZETKA, "description", 50_000), (ROZETKA, "description_ua", 50_000),
    ],
)  # fmt: skip
def test_y09_a_text_longer_than_the_marketplace_takes_is_an_error(spelling: dialect.Dialect, tag: str, limit: int) -> None:
    assert findings(document(offer(**{tag: "ж" * limit})), spelling) == []
    (finding,) = findings(document(offer(**{tag: "ж" * (limit + 1)})), spelling)
    assert (finding.code, finding.level, finding.element) == ("Y09", "error", f"{OFFER}/{tag}")
    assert (finding.facts["length"], finding.facts["limit"]) == (limit + 1, limit)


def test_y09_an_address_and_all_keywords_have_their_limits_too() -> None:
    url = "https://shop.example/" + "x" * 479
    assert findings(document(offer(url=url))) == []
    assert told(document(offer(url=url + "x"))) == [("Y09", "error", 5, f"{OFFER}/url")]
    assert findings(document(offer(url=url + "x")), PROM) == []
    words = ",".join("x" * 40 for _ in range(25))
    assert len(words) == 1024
    assert findings(document(offer(keywords=words)), PROM) == []
    assert told(document(offer(keywords=words + "x", keywords_ua=words + "x")), PROM) == [
        ("Y09", "error", 5, f"{OFFER}/keywords"), ("Y09", "error", 5, f"{OFFER}/keywords_ua")]  # fmt: skip


def test_y10_a_name_that_was_there_is_an_error_at_rozetka_alone() -> None:
    rows = [offer(attributes=f' id="{n}"', name=name) for n, name in enumerate(("Чайник", "Миска", "чайник"))]
    assert told(document(*rows)) == [("Y10", "error", 7, f"{OFFER}/name")]
    assert findings(document(*rows), PROM) == []
    rows = [offer(attributes=f' id="{n}"', name=f"Ч{n}", name_ua="Чайник") for n in range(2)]
    assert told(document(*rows)) == [("Y10", "error", 6, f"{OFFER}/name_ua")]


def test_y10_names_that_differ_in_brackets_alone_may_count_as_one_but_for_the_article() -> None:
    def rows(*said: tuple[str, str]) -> str:
        return document(*(offer(attributes=f' id="{n}"', name=name, article=code) for n, (name, code) in enumerate(said)))

    assert told(rows(("Чайник (красный)", "A"), ("Чайник (синий)", "B"))) == [("Y10", "warning", 6, f"{OFFER}/name")]
    assert findings(rows(("Чайник (A-1)", "A-1"), ("Чайник (A-2)", "A-2"))) == []


def test_y11_another_currency_is_an_error() -> None:
    assert told(document(offer(currencyId="USD"))) == [("Y11", "error", 5, f"{OFFER}/currencyId")]
    assert findings(document(offer(currencyId="USD")), PROM) == []
    assert told(document(offer(currencyId="грн")), PROM) == [("Y11", "error", 5, f"{OFFER}/currencyId")]


@pytest.mark.parametrize(
    ("vendor", "place"), [(None, OFFER), ("", OFFER), ("no name", f"{OFFER}/vendor"), ("Без бренда", f"{OFFER}/vendor")]
)
def test_y12_goods_without_a_real_brand_are_an_error_at_rozetka_alone(vendor: str | None, place: str) -> None:
    assert told(document(offer(vendor=vendor))) == [("Y12", "error", 5, place)]
    assert findings(document(offer(vendor=vendor)), PROM) == []


def pictures(count: int) -> str:
    return "".join(f"\n<picture>https://shop.example/{n}.jpg</picture>" for n in range(count))


def test_y13_too_many_pictures_are_an_error_at_the_first_that_is_too_many() -> None:
    for spelling, most in ((PROM, 10), (ROZETKA, 15)):
        assert findings(document(offer(pictures(most), picture=None)), spelling) == []
        found = told(document(offer(pictures(most + 1), picture=None)), spelling)
        assert found == [("Y13", "error", 6 + most, f"{OFFER}/picture")]


def test_y13_goods_without_a_picture_are_an_error_at_rozetka_alone() -> None:
    assert told(document(offer(picture=None))) == [("Y13", "error", 5, OFFER)]
    assert findings(document(offer(picture=None)), PROM) == []


@pytest.mark.parametrize("url", ["/1.jpg", "ftp://shop.example/1.jpg", "https://shop.example/a b.jpg"])
def test_y14_an_address_that_is_not_absolute_is_an_error(url: str) -> None:
    for tag in ("picture", "url"):
        for spelling in (PROM, ROZETKA):
            assert told(document(offer(**{tag: url})), spelling) == [("Y14", "error", 5, f"{OFFER}/{tag}")]


@pytest.mark.parametrize("url", ["http://shop.example/1.jpg", "https://shop.example/чай.jpg", "https://shop.example/1.WebP?v=1"])
def test_y14_rozetka_takes_pictures_by_https_in_ascii_and_no_webp(url: str) -> None:
    row = offer(f"\n<picture>{url}</picture>")
    assert told(document(row)) == [("Y14", "error", 6, f"{OFFER}/picture")]
    assert findings(document(row), PROM) == []


@pytest.mark.parametrize("date", ["23.09.2026", "", "2026-09-23", "2026-09-23T12:30", "2026-02-30 12:30"])
def test_y15_another_form_of_the_date_is_an_error(date: str) -> None:
    assert told(document(good(1), date=date)) == [("Y15", "error", 2, "yml_catalog/@date")]
    assert findings(document(good(1), date="2026-09-23 12:30:59")) == []


@pytest.mark.parametrize(
    "said",
    [
        '<a href="x">',
        "http://shop.example",
        "див. www.shop.example",
        "пишіть a@shop.example",
        "+380 (50) 111-22-33",
        "380501112233",
    ],
)
def test_y16_links_and_contacts_in_a_description_are_an_error_at_rozetka_alone(said: str) -> None:
    for tag in ("description", "description_ua"):
        row = offer(f"\n<{tag}><![CDATA[<p>Чайник</p> {said}]]></{tag}>", name_ua="Чайник")
        assert told(document(row)) == [("Y16", "error", 6, f"{OFFER}/{tag}")]
        assert [f for f in findings(document(row), PROM) if f.level == "error"] == []


def test_y16_numbers_and_signs_of_a_description_are_no_contacts() -> None:
    said = "<p>380 В, 4820000000017, 3805011122334, 9380501112233, 12 @ 5, абзац &lt;abbr&gt;</p>"
    assert findings(document(offer(description=f"<![CDATA[{said}]]>"))) == []


def test_y16_a_description_with_elements_instead_of_a_section_of_text_is_an_error() -> None:
    for spelling in (PROM, ROZETKA, ANY):
        assert told(document(offer(description="<p>a</p>")), spelling)[0] == ("Y16", "error", 5, f"{OFFER}/description")


@pytest.mark.parametrize("said", [None, "", "1.5", "-1", "много"])
def test_y17_stock_is_a_whole_number_at_rozetka(said: str | None) -> None:
    place = f"{OFFER}/stock_quantity" if said else OFFER
    assert told(document(offer(stock_quantity=said))) == [("Y17", "error", 5, place)]


def test_y17_stock_may_be_unsaid_and_in_parts_at_prom() -> None:
    assert findings(document(offer(stock_quantity=None)), PROM) == []
    assert findings(document(offer(stock_quantity="1.5")), PROM) == []
    assert told(document(offer(quantity_in_stock="x")), PROM) == [("Y17", "error", 5, f"{OFFER}/quantity_in_stock")]


def test_y17_goods_that_are_not_available_with_stock_are_on_sale_at_rozetka_all_the_same() -> None:
    assert told(document(offer(attributes=' available="false"'))) == [("Y17", "warning", 5, f"{OFFER}/@available")]
    assert findings(document(offer(attributes=' available="false"', stock_quantity="0"))) == []
    assert findings(document(offer(attributes=' available="false"')), PROM) == []


def test_y18_goods_without_a_param_are_an_error_at_rozetka_and_over_100_at_prom() -> None:
    assert told(document(offer(param=None))) == [("Y18", "error", 5, OFFER)]
    assert findings(document(offer(param=None)), PROM) == []
    rows = "".join(f'\n<param name="p{n}">v</param>' for n in range(100))
    assert findings(document(offer(rows, param=None)), PROM) == []
    assert told(document(offer(rows)), PROM) == [("Y18", "error", 105, f"{OFFER}/param")]
    assert findings(document(offer(rows))) == []


@pytest.mark.parametrize(
    ("param", "child"), [("<param>v</param>", "name"), ('<param name="n"/>', "value"), ('<param name="n"> </param>', "value")]
)
def test_y18_a_param_without_name_or_value_is_a_warning_at_its_place(param: str, child: str) -> None:
    (finding,) = findings(document(offer(f"\n{param}")))
    assert (finding.code, finding.level, finding.line, finding.facts["child"]) == ("Y18", "warning", 6, child)


def test_y19_a_keyword_longer_than_50_characters_is_an_error() -> None:
    assert findings(document(offer(keywords="a, " + "x" * 50)), PROM) == []
    for tag in ("keywords", "keywords_ua"):
        assert told(document(offer(**{tag: "a," + "x" * 51})), PROM) == [("Y19", "error", 5, f"{OFFER}/{tag}")]


def test_y20_what_the_marketplace_does_not_know_is_a_warning_once_with_its_count() -> None:
    rows = [offer("<weight>1</weight>", f' id="{n}" group_id="1"', name=f"Ч{n}", vendorCode="1") for n in range(3)]
    found = [(f.code, f.level, f.line, f.element, f.facts["count"]) for f in findings(document(*rows))]
    assert found == [("Y20", "warning", 5, f"{OFFER}/{name}", 3) for name in ("vendorCode", "weight", "@group_id")]
    assert [f.element for f in findings(document(*rows), PROM)] == [f"{OFFER}/weight"]
    assert findings(document(*rows), ANY) == []


def test_y21_half_of_the_ukrainian_texts_is_passed_over_at_prom() -> None:
    assert told(document(offer(name_ua="Ч")), PROM) == [("Y21", "warning", 5, f"{OFFER}/name_ua")]
    assert told(document(offer(description_ua="Ч")), PROM) == [("Y21", "warning", 5, f"{OFFER}/description_ua")]
    assert findings(document(offer(name_ua="Ч", description_ua="Ч")), PROM) == []
    assert findings(document(offer(name_ua="Ч"))) == []


@pytest.mark.parametrize(
    ("spelling", "row", "place"),
    [
        (PROM, offer(attributes=' available="yes"'), "@available"),
        (ROZETKA, offer(attributes=' available="1"'), "@available"),
        (PROM, offer(attributes=' selling_type="x"'), "@selling_type"),
        (PROM, offer(discount="a lot"), "discount"),
        (PROM, offer(dimensions="10x20x30"), "dimensions"),
        (PROM, offer(dimensions="10/-20/30"), "dimensions"),
    ],
)
def test_y22_a_value_that_is_none_of_those_there_are_is_an_error(spelling: dialect.Dialect, row: str, place: str) -> None:
    assert told(document(row), spelling) == [("Y22", "error", 5, f"{OFFER}/{place}")]


def test_y22_every_value_there_is_is_taken() -> None:
    for available in ("true", "false", ""):
        for selling in "rwus":
            row = offer(
                "<discount>5%</discount><dimensions>1/2.5/3</dimensions>", f' available="{available}" selling_type="{selling}"'
            )
            assert findings(document(row), PROM) == []


@pytest.mark.parametrize("key", ["чайник", "a b", "a/b"])
def test_y23_ids_are_latin_at_rozetka(key: str) -> None:
    assert told(document(offer(attributes=f' id="{key}"'))) == [("Y23", "error", 5, f"{OFFER}/@id")]
    assert findings(document(offer(attributes=f' id="{key}"')), PROM) == []
    assert findings(document(offer(attributes=' id="A-1_b.2"'))) == []


def file(folder: Path, name: str, *offers: str) -> Path:
    path = folder / name
    path.write_text(document(*offers), "utf-8")
    return path


def test_y24_more_offers_gone_than_allowed_is_an_error(tmp_path: Path) -> None:
    before = file(tmp_path, "before.xml", *(good(n) for n in range(10)))
    now = document(*(good(n) for n in range(8)))
    (finding,) = findings(now, previous=before)
    assert str(finding) == (
        "f.xml:4: shop/offers: 2 of 10 offers of before.xml are missing here (20.0 %), and would be taken off sale; expected no more "
        "than 10 %. Among them: Чайник 8 (8), Чайник 9 (9) [Y24 error]"
    )
    assert findings(now, previous=before, may_vanish=20) == []
    assert findings(document(*(good(n) for n in range(1, 11))), previous=before) == []
    assert told(now, previous=tmp_path / "none.xml") == [("Y24", "error", 4, "shop/offers")]


def test_vanished_counts_ids_and_what_is_sold_out_is_still_there(tmp_path: Path) -> None:
    before = file(tmp_path, "b.xml", good(1), good(2), good(2), good(3))
    now = file(tmp_path, "n.xml", offer(attributes=' id="1" available="false"'), good(4))
    assert validate.vanished(before, now) == Vanished(2, 3, ("Чайник 2 (2)", "Чайник 3 (3)"))
    (tmp_path / "h.xml").write_text(document(good(1))[:-60], "utf-8")
    with pytest.raises(BadDocument):
        validate.vanished(before, tmp_path / "h.xml")


# --- sizes, other people's files, the command ----------------------------------------------------------------------------------


def test_thousands_of_findings_come_as_a_stream_with_their_lines() -> None:
    text = document(*(offer(attributes=f' id="{n}"', name=f"Ч{n}", price="?") for n in range(5000)))
    stream = validate.validate(io.BytesIO(text.encode()), ROZETKA, "f.xml")
    assert next(stream).line == 5
    rest = list(stream)
    assert Counter(f.code for f in rest) == {"Y07": 4999}
    assert rest[-1].line == 5004


def test_memory_is_that_of_the_ids(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = file(tmp_path, f"{count}.xml", *(good(n) for n in range(count)))
        tracemalloc.start()
        assert list(validate.validate(path, ROZETKA, previous=path)) == []
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few, many = peak(200), peak(2000)
    assert many - few < 1800 * 8 * 5 * 8  # five sets, a third to two thirds full, and a table that is being copied


def test_other_peoples_files_are_good(samples: Path) -> None:
    for path in sorted((samples / "markets" / "yml").glob("*.xml")):
        assert list(validate.validate(path, dialect.guess(path))) == [], path.name


def test_a_file_for_one_marketplace_is_not_one_for_the_other(samples: Path) -> None:
    folder = samples / "markets" / "yml"
    found = Counter(f.code for f in validate.validate(folder / "prom.xml", ROZETKA))
    assert found == {"Y17": 2, "Y20": 9}
    found = Counter(f.code for f in validate.validate(folder / "rozetka.xml", PROM))
    assert found == {"Y18": 1, "Y20": 2}


def test_the_command_knows_the_dialect_by_the_content_and_says_which(make_hub: Any, tmp_path: Path) -> None:
    hub = make_hub()
    prom = file(tmp_path, "p.xml", offer(attributes=' selling_type="r"', name_ua="Ч"))
    rozetka = file(tmp_path, "r.xml", offer(vendor="noname"))
    done = hub.cli("validate", str(prom))
    assert (done.returncode, done.stdout.count("[Y21 warning]"), done.stdout.count("\n")) == (0, 1, 1)
    assert done.stderr == "p.xml: checked by the rules of Prom.ua\n"
    done = hub.cli("validate", str(prom), str(rozetka), ok=False)
    assert (done.returncode, done.stdout.count("[Y12 error]")) == (1, 1)
    assert "r.xml: checked by the rules of Rozetka" in done.stderr
    both = file(tmp_path, "b.xml", *(offer(attributes=f' id="{n}"', name=f"Ч{n}") for n in range(2)))
    assert hub.cli("validate", str(rozetka), "--previous", str(both), ok=False).stdout.count("[Y24 error]") == 1
    assert hub.cli("validate", str(rozetka), "--previous", str(both), "--may-vanish", "100", ok=False).stdout.count("Y24") == 0


def test_every_rule_has_its_words() -> None:
    page = Path(__file__).parents[2] / "docs" / "formats" / "yml.md"
    rows = [line.split("|")[1].strip() for line in page.read_text("utf-8").splitlines() if line.startswith("| Y")]
    known = sorted(v for v in vars(rules).values() if isinstance(v, str) and len(v) == 3 and v[0] == "Y")
    assert rows == known == [f"Y{n:02}" for n in range(1, 25)]
