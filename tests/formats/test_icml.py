"""ICML written and read: the order of 1C's module, the same bytes for the same input, one offer in memory at a time."""

from __future__ import annotations

import datetime as dt
import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from obmen.core.contract import BadDocument, BadRecord
from obmen.formats.commerceml.reader import LONGEST_RECORD
from obmen.formats.icml import reader, writer
from obmen.formats.icml.model import Category, Header, OfferEntry, Param, Unit
from obmen.formats.icml.validate import validate
from obmen.formats.yml.pieces import clean
from obmen.formats.yml.stream import recognised

HEADER = Header("Лавка", "ФОП Тест", dt.datetime(2026, 3, 4, 5, 6, 7))  # noqa: DTZ001  the format has local time without a zone
GOODS = Category("10", "Посуда")
TEAPOT = OfferEntry("T-1", "Чайник, красный", Decimal("1990.50"), ("10",))
FULL = OfferEntry(
    id="g#c",
    name='Чайник "Люкс" <2 л> & ко',
    price=Decimal("1990.50"),
    categories=("11", "10"),
    product="g",
    quantity=Decimal("7.25"),
    type="product",
    url="https://shop.example/p?a=1&b=2",
    pictures=("https://shop.example/1.jpg", "https://shop.example/2.jpg"),
    purchase_price=Decimal("1200"),
    xml_id="g#c",
    product_name="Чайник",
    article="CH-01",
    params=(Param("color", "Цвет", "красный"), Param("size", "Объём", "2 л")),
    vendor="Завод",
    unit=Unit("796", "Штука", "шт"),
    weight=Decimal("1.2"),
    dimensions=(Decimal("30"), Decimal("20.5"), Decimal("12")),
    vat_rate="20",
    barcodes=("4600000000015", "4600000000022"),
    product_active=True,
    active=False,
    markable=True,
)


def written(*offers: OfferEntry, categories: Iterable[Category] = (GOODS,), **more: Any) -> bytes:
    out = BytesIO()
    writer.write(out, HEADER, categories, offers, **more)
    return out.getvalue()


def back(data: bytes) -> list[Any]:
    return list(reader.read(BytesIO(data), "f.xml"))


def offer_of(entry: OfferEntry, **changes: Any) -> etree._Element:
    data = written(replace(entry, **changes), categories=(GOODS, Category("11", "Чайники", "10")))
    found = etree.fromstring(data).find("shop/offers/offer")
    assert found is not None
    return found


# --- writing ---------------------------------------------------------------------------------------------------------------


def test_a_whole_file_to_the_last_byte() -> None:
    categories = [GOODS, Category("11", "Чайники", "10", ("https://shop.example/c.jpg",))]
    assert written(replace(FULL, name="Чайник & ко", type="service"), categories=categories).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<yml_catalog date="2026-03-04 05:06:07"><shop><name>Лавка</name><company>ФОП Тест</company>\n'
        '<categories>\n<category id="10">Посуда</category>\n'
        '<category id="11" parentId="10"><name>Чайники</name><picture>https://shop.example/c.jpg</picture></category>\n'
        "</categories>\n<offers>\n"
        '<offer id="g#c" productId="g" quantity="7.25" type="service"><url>https://shop.example/p?a=1&amp;b=2</url>'
        "<picture>https://shop.example/1.jpg</picture><picture>https://shop.example/2.jpg</picture>"
        "<price>1990.5</price><purchasePrice>1200</purchasePrice><categoryId>11</categoryId><categoryId>10</categoryId>"
        "<name>Чайник &amp; ко</name><xmlId>g#c</xmlId><productName>Чайник</productName>"
        '<param code="article" name="артикул">CH-01</param><param code="color" name="Цвет">красный</param>'
        '<param code="size" name="Объём">2 л</param><vendor>Завод</vendor><unit code="796" name="Штука" sym="шт"/>'
        "<weight>1.2</weight><dimensions>30/20.5/12</dimensions><vatRate>20</vatRate>"
        "<barcode>4600000000015</barcode><barcode>4600000000022</barcode>"
        "<productActivity>Y</productActivity><activity>N</activity><markable>Y</markable></offer>\n"
        "</offers></shop></yml_catalog>\n"
    )


def test_what_is_not_said_is_not_written() -> None:
    offer = offer_of(replace(TEAPOT, url=" ", pictures=("",), barcodes=("",), unit=Unit("", "", ""), vendor="\t"))
    assert dict(offer.attrib) == {"id": "T-1", "productId": "T-1"}
    said = [(el.tag, el.text) for el in offer]
    assert said == [("price", "1990.5"), ("categoryId", "10"), ("name", TEAPOT.name), ("productName", TEAPOT.name)]


def test_the_same_input_gives_the_same_bytes_and_the_date_is_an_argument() -> None:
    assert written(FULL, TEAPOT) == written(FULL, TEAPOT)
    out = BytesIO()
    writer.write(out, replace(HEADER, date=dt.datetime(2027, 1, 1)), [GOODS], [FULL, TEAPOT])  # noqa: DTZ001
    assert out.getvalue() == written(FULL, TEAPOT).replace(b"2026-03-04 05:06:07", b"2027-01-01 00:00:00")


def test_how_much_was_written_is_told() -> None:
    assert writer.write(BytesIO(), HEADER, [GOODS, Category("11", "Ч")], [FULL, TEAPOT, TEAPOT]) == (2, 3)


@pytest.mark.parametrize(
    ("value", "text"),
    [("1E+3", "1000"), ("0.00000001", "0.00000001"), ("10.500", "10.5"), ("0", "0"), ("-0.0", "0"), ("1E-10", "0.0000000001")],
)
def test_numbers_have_a_dot_and_no_exponent(value: str, text: str) -> None:
    number = Decimal(value)
    offer = offer_of(TEAPOT, price=number, weight=number, quantity=number, dimensions=(number, number, number))
    assert (offer.findtext("price"), offer.findtext("weight"), offer.get("quantity")) == (text, text, text)
    assert offer.findtext("dimensions") == f"{text}/{text}/{text}"


def test_a_quantity_below_zero_is_nothing_to_sell() -> None:
    assert offer_of(TEAPOT, quantity=Decimal("-3")).get("quantity") == "0"


def test_characters_that_xml_cannot_hold_are_dropped_and_the_others_survive() -> None:
    offer = offer_of(TEAPOT, name="Ча\x00йник\x1f \ufffe<b>\r\n&\ud83f", id="T\x08-1", vendor="\x01")
    assert (offer.findtext("name"), offer.get("id"), offer.find("vendor")) == ("Чайник <b>\r\n&", "T-1", None)


def test_an_offer_without_a_name_of_its_own_takes_the_products() -> None:
    offer = offer_of(TEAPOT, name=" ", product_name="Чайник")
    assert (offer.findtext("name"), offer.findtext("productName")) == ("Чайник", "Чайник")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": "", "product_name": "\x00 "}, writer.NO_NAME),
        ({"id": " "}, writer.NO_ID),
        ({"price": None}, writer.NO_PRICE),
        ({"price": Decimal("-1")}, writer.BAD_NUMBER),
        ({"price": Decimal("NaN")}, writer.BAD_NUMBER),
        ({"quantity": Decimal("Infinity")}, writer.BAD_NUMBER),
        ({"weight": Decimal("-1")}, writer.BAD_NUMBER),
        ({"dimensions": (Decimal(1), Decimal(-1), Decimal(1))}, writer.BAD_NUMBER),
        ({"categories": ("99",)}, writer.NO_CATEGORY),
    ],
)
def test_an_offer_that_cannot_be_written_is_told_and_left_out(changes: dict[str, Any], text: str) -> None:
    wrong = replace(TEAPOT, **changes)
    told: list[tuple[Any, str]] = []
    data = written(FULL, wrong, TEAPOT, refused=lambda what, error: told.append((what, error.text)))
    assert told == [(wrong, text)]
    assert [o.id for o in back(data) if isinstance(o, OfferEntry)] == ["g#c", "T-1"]
    with pytest.raises(BadRecord, match=r"^The offer") as error:
        written(FULL, wrong)
    assert error.value.text == text


def test_an_offer_keeps_only_categories_of_the_file() -> None:
    offer = offer_of(TEAPOT, categories=("99", "10", "10"))
    assert [el.text for el in offer.findall("categoryId")] == ["10"]


def test_categories_stand_behind_their_parents_and_a_parent_that_is_not_there_makes_a_root() -> None:
    categories = [Category("c", "C", "b"), Category("b", "B", "a"), Category("a", "A", "gone"), Category("d", "", "a")]
    found = [c for c in back(written(categories=categories)) if isinstance(c, Category)]
    assert found == [Category("a", "A"), Category("b", "B", "a"), Category("c", "C", "b"), Category("d", "d", "a")]


def test_of_a_ring_of_categories_one_is_a_root_and_of_one_said_twice_the_last_counts() -> None:
    categories = [Category("a", "A", "b"), Category("b", "B", "a"), Category("s", "S", "s"), Category("a", "A2", "b")]
    found = [c for c in back(written(categories=categories)) if isinstance(c, Category)]
    assert found == [Category("b", "B"), Category("a", "A2", "b"), Category("s", "S")]


def test_a_category_without_an_id_is_told() -> None:
    told: list[str] = []
    written(categories=[GOODS, Category("", "Посуда")], refused=lambda what, error: told.append(str(error)))
    assert told == ["The group “Посуда” has no id: give it a code"]


def test_a_full_disk_is_an_error_and_not_half_a_file() -> None:
    class Full(BytesIO):
        def write(self, data: Any) -> int:
            if self.tell() > 200_000:
                raise OSError(28, "No space left on device")
            return super().write(data)

    with pytest.raises(OSError, match="No space left"):
        writer.write(Full(), HEADER, [GOODS], (replace(TEAPOT, id=str(n)) for n in range(5000)))


def test_memory_does_not_grow_with_the_number_of_offers(tmp_path: Path) -> None:
    def offers(count: int) -> Iterator[OfferEntry]:
        return (replace(FULL, id=f"g#{n}", categories=("10",)) for n in range(count))

    def peak(count: int) -> tuple[int, int]:
        file = tmp_path / f"{count}.xml"
        tracemalloc.start()
        with file.open("wb") as stream:
            assert writer.write(stream, HEADER, [GOODS], offers(count)).offers == count
        write = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        assert sum(isinstance(o, OfferEntry) for o in reader.read(file)) == count
        read = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return write, read

    few, many = peak(500), peak(5000)
    assert all(b < a * 1.5 + 100_000 for a, b in zip(few, many, strict=True)), (few, many)


# --- reading ---------------------------------------------------------------------------------------------------------------


def test_everything_that_was_written_is_read_again() -> None:
    said = [f.name for f in fields(OfferEntry) if getattr(FULL, f.name) in ("", (), None)]
    assert said == []  # a field added later has to be in here
    categories = [GOODS, Category("11", "Чайники", "10", ("https://shop.example/c.jpg",))]
    plain = replace(TEAPOT, product="T-1", product_name=TEAPOT.name)
    assert back(written(FULL, plain, categories=categories)) == [HEADER, *categories, FULL, plain]


TEXTS = st.text(max_size=20).filter(lambda t: clean(t) == t and "\r" not in t)


@given(TEXTS.filter(bool), TEXTS.filter(bool), TEXTS, st.decimals(0, 10**9, places=3), st.lists(TEXTS.filter(bool), max_size=3))
def test_any_text_and_number_comes_back_and_is_valid(
    key: str, name: str, vendor: str, price: Decimal, barcodes: list[str]
) -> None:
    entry = OfferEntry(key, name, price, ("10",), key, price, product_name=name, vendor=vendor, barcodes=tuple(barcodes))
    data = written(entry)
    assert back(data) == [HEADER, GOODS, entry]
    assert list(validate(BytesIO(data))) == []


def document(body: str, prolog: str = '<?xml version="1.0" encoding="UTF-8"?>') -> bytes:
    return f'{prolog}\n<yml_catalog date="2024-05-14 10:09:18"><shop><name>n</name>{body}</shop></yml_catalog>'.encode()


def test_an_empty_element_is_not_said() -> None:
    body = (
        '<categories><category id="1" parentId="">A</category><category id="2"><name>B</name><picture/></category></categories>'
        '<offers><offer id="1" productId="" quantity=""><url/><picture></picture><price/><name/><weight> </weight>'
        '<param code="article" name="артикул"/><param code="size" name="n"/><unit code="796"/><activity/></offer></offers>'
    )
    _header, *rest = back(document(body))
    assert rest == [Category("1", "A"), Category("2", "B"), OfferEntry("1", "", None, unit=Unit("796", "", ""))]


@pytest.mark.parametrize(
    ("inside", "element"),
    [
        ("<price>1,50</price>", "price"),
        ("<price>1e3</price>", "price"),
        ("<weight>тяжёлый</weight>", "weight"),
        ("<dimensions>10x20x30</dimensions>", "dimensions"),
        ("<dimensions>10/20</dimensions>", "dimensions"),
    ],
)
def test_an_offer_that_cannot_be_read_stands_in_its_place(inside: str, element: str) -> None:
    body = f'<offers><offer id="1"/>\n<offer id="2">{inside}</offer>\n<offer/>\n<offer id="3"/></offers>'
    _header, first, second, third, fourth = back(document(body))
    assert (first.id, fourth.id) == ("1", "3")
    assert isinstance(second, BadRecord)
    assert isinstance(third, BadRecord)
    assert (second.facts["file"], second.facts["line"], second.facts["element"]) == ("f.xml", 3, element)
    assert str(third) == "f.xml:4: an offer without an id; expected <offer id=…>"


def test_the_first_article_is_the_article_and_no_other_is_lost() -> None:
    params = "".join(f'<param code="article" name="n">{text}</param>' for text in ("", "A", "B"))
    (_header, offer) = back(document(f'<offers><offer id="1">{params}</offer></offers>'))
    assert (offer.article, offer.params) == ("A", (Param("article", "n", "B"),))


def test_a_file_may_be_longer_than_the_longest_record() -> None:
    long = "x" * (1 << 20)
    rows = "".join(f'<offer id="{n}"><description>{long}</description></offer>' for n in range((LONGEST_RECORD >> 20) + 4))
    assert len(back(document(f"<offers>{rows}</offers>"))) == (LONGEST_RECORD >> 20) + 5
    with pytest.raises(BadDocument, match="one element is longer than 32 MB"):
        back(document(f'<offers><offer id="1">{rows}</offer></offers>'))


def test_offers_of_gifts_and_promotions_are_none_of_the_catalogue() -> None:
    body = (
        '<promos><promo><offers><offer id="g"/></offers></promo></promos><offers><offer id="1"><bundle><offer id="in"/></bundle>'
        '</offer></offers><gifts><offer id="h"/></gifts><category id="c">C</category>'
    )
    assert [o.id for o in back(document(body))[1:]] == ["1"]


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE yml_catalog SYSTEM "shops.dtd">',
        "<!DOCTYPE yml_catalog\n  SYSTEM 'file:///etc/passwd' >",
        '<!DOCTYPE yml_catalog PUBLIC "-//x//y" "http://127.0.0.1:1/shops.dtd">',
        "<!DOCTYPE yml_catalog>",
    ],
)
def test_a_doctype_that_declares_nothing_is_passed_over_and_never_loaded(doctype: str, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(document('<offers>\n<offer id="1"/></offers>', f'<?xml version="1.0"?>\n<!-- c -->\n{doctype}'))
    assert recognised(file)
    assert [o.id for o in list(reader.read(file))[1:]] == ["1"]
    file.write_bytes(file.read_bytes().replace(b'id="1"', b""))
    bad = list(reader.read(file))[-1]
    assert isinstance(bad, BadRecord)
    assert bad.facts["line"] == 5 + doctype.count("\n")


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE yml_catalog [<!ENTITY a "aaaaaaaaaa">]>',
        '<!DOCTYPE yml_catalog SYSTEM "shops.dtd" [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        "<!DOCTYPE yml_catalog SYSTEM>",
    ],
)
def test_a_doctype_that_declares_something_is_refused(doctype: str, tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    file.write_bytes(document('<offers><offer id="1"/></offers>', doctype))
    assert recognised(file)
    with pytest.raises(BadDocument, match="a DOCTYPE is not taken"):
        list(reader.read(file))


def test_what_was_read_before_a_fault_is_given_out() -> None:
    data = written(FULL, TEAPOT, categories=(GOODS, Category("11", "Ч")))
    broken = data[: data.rindex(b"</offer>") - 5]
    seen: list[Any] = []
    with pytest.raises(BadDocument, match=r"^f\.xml:9: the document breaks off"):
        seen.extend(reader.read(BytesIO(broken), "f.xml"))
    assert [getattr(p, "id", "") for p in seen] == ["", "10", "11", "g#c"]


def test_another_document_is_refused() -> None:
    with pytest.raises(BadDocument, match=r"the document is <КоммерческаяИнформация>; expected <yml_catalog>"):
        back("<КоммерческаяИнформация/>".encode())


@pytest.mark.parametrize(
    ("content", "yes"),
    [
        (b"<yml_catalog>", True),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- <a> -->\n<yml_catalog date=''>", True),
        (b"<!DOCTYPE yml_catalog [", True),
        ("<yml_catalog>".encode("utf-16"), True),
        ("<КоммерческаяИнформация><!-- <yml_catalog> -->".encode(), False),
        (b"<!-- <yml_catalog> --><a/>", False),
        (b"<yml_catalogue>", False),
        (b"", False),
        (b"<!-- x -->" * 5000, False),
    ],
)
def test_a_catalogue_is_recognised_by_its_content(content: bytes, yes: bool, tmp_path: Path) -> None:
    file = tmp_path / "import.xml"
    file.write_bytes(content)
    assert recognised(file) is yes


def test_other_peoples_files_are_read_to_the_last_field(samples: Path) -> None:
    folder = samples / "retailcrm" / "icml"
    ids = {f.name: [p.id for p in reader.read(f) if isinstance(p, OfferEntry)] for f in sorted(folder.glob("0[1-4]*.xml"))}
    assert [len(found) for found in ids.values()] == [5, 1, 2, 1]
    full = [p for p in reader.read(next(folder.glob("01*"))) if isinstance(p, OfferEntry)]
    assert full[0].dimensions == (Decimal(100), Decimal("50.8"), Decimal(150))
    assert (full[0].article, full[0].params[1], full[0].weight) == ("ST-143", Param("color", "Цвет", "белый"), Decimal(50))
    assert (full[3].product_active, full[4].type) == (False, "service")
    seed = next(iter([p for p in reader.read(next(folder.glob("02*"))) if isinstance(p, OfferEntry)]))
    assert (seed.article, seed.url, seed.pictures, seed.barcodes) == ("CH-01", "", (), ("4600000000039",))


def test_the_file_of_1cs_module_keeps_its_order_when_written_again(samples: Path) -> None:
    file = next((samples / "retailcrm" / "icml").glob("02*"))
    header, *rest = reader.read(file)
    assert isinstance(header, Header)
    out = BytesIO()
    categories, offers = [p for p in rest if isinstance(p, Category)], [p for p in rest if isinstance(p, OfferEntry)]
    writer.write(out, header, categories, offers)
    theirs = file.read_text("utf-8")
    for empty in ("<url></url>", "<picture></picture>", ' parentId=""'):
        theirs = theirs.replace(empty, "")

    def squeezed(text: str) -> str:
        return text[text.index("<yml_catalog") :].replace("\n", "")

    assert squeezed(out.getvalue().decode()) == squeezed(theirs)
