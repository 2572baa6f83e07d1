"""YML written and read in each dialect: the spelling of the marketplace, the same bytes for the same goods, one offer in memory."""

from __future__ import annotations

import datetime as dt
import re
import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from obmen.core.contract import BadDocument, BadRecord
from obmen.formats.yml import dialect, reader, rules, writer
from obmen.formats.yml.model import (
    AVAILABLE,
    NOT_AVAILABLE,
    ON_ORDER,
    Category,
    Currency,
    Header,
    OfferEntry,
    Param,
    PriceFrom,
)
from obmen.formats.yml.pieces import clean
from obmen.formats.yml.validate import validate

PROM, ROZETKA, ANY = (dialect.built_in()[key] for key in ("prom", "rozetka", "any"))
BOTH = [PROM, ROZETKA]
HEADER = Header("Лавка", "ФОП Тест", dt.datetime(2026, 3, 4, 5, 6), "https://shop.example")  # noqa: DTZ001  local time
GOODS = Category("10", "Посуд")
FULL = OfferEntry(
    id="T-1.r",
    name="Чайник «Люкс» <2 л> & ко (T-1)",
    price=Decimal("1990.50"),
    category="11",
    presence=AVAILABLE,
    group="T-1",
    selling_type="u",
    url="https://shop.example/p?a=1&b=2",
    old_price=Decimal("2100"),
    promo_price=Decimal("1900"),
    discount="10%",
    currency="UAH",
    portal_category="35400",
    pictures=("https://shop.example/1.jpg", "https://shop.example/2.jpg"),
    vendor="Завод",
    article="T-1",
    country="Україна",
    name_ua="Чайник «Люкс»",
    description="<p>Чайник & кришка</p>",
    description_ua="<p>Чайник]]></p>",
    keywords="чайник, посуда",
    keywords_ua="чайник, посуд",
    quantity=Decimal(7),
    barcode="4820000000017",
    mpn="MP-1",
    state="new",
    docket="Чайник",
    docket_ua="Чайник",
    dimensions=(Decimal(30), Decimal("20.5"), Decimal(12)),
    prices=(PriceFrom(Decimal("1800"), Decimal(10)), PriceFrom(Decimal("1700.5"), Decimal(100))),
    params=(Param("Цвет", "красный", value_ua="червоний", id="20748", value_id="69123"), Param("Объём", "2", "л")),
)
PLAIN = OfferEntry("P1", "Миска", Decimal(10), "10", currency="UAH", pictures=("https://shop.example/3.jpg",), vendor="Завод",
                   quantity=Decimal(0), params=(Param("Колір", "біла"),))  # fmt: skip
CATEGORIES = (GOODS, Category("11", "Чайники", "10", "88468"))


def written(spelling: dialect.Dialect, *offers: OfferEntry, categories: Iterable[Category] = CATEGORIES, **more: Any) -> bytes:
    out = BytesIO()
    writer.write(out, spelling, HEADER, categories, offers, **more)
    return out.getvalue()


def back(data: bytes, spelling: dialect.Dialect | None = None) -> list[Any]:
    return list(reader.read(BytesIO(data), spelling, "f.xml"))


def offers_of(data: bytes, spelling: dialect.Dialect | None = None) -> list[OfferEntry]:
    return [one for one in back(data, spelling) if isinstance(one, OfferEntry)]


def element(spelling: dialect.Dialect, entry: OfferEntry, **changes: Any) -> etree._Element:
    found = etree.fromstring(written(spelling, entry._replace(**changes))).find("shop/offers/offer")
    assert found is not None
    return found


def taken(spelling: dialect.Dialect, entry: OfferEntry) -> OfferEntry:
    """The entry without what the dialect has no place for: written here by hand, from the table of the facts, §4."""
    if spelling is PROM:
        params = tuple(Param(p.name, p.value, p.unit) for p in entry.params)
        return entry._replace(promo_price=None, state="", docket="", docket_ua="", params=params)
    return entry._replace(
        group="", selling_type="", discount="", portal_category="", country="", keywords="", keywords_ua="", barcode="",
        mpn="", dimensions=None, prices=(), params=tuple(p._replace(unit="") for p in entry.params),
    )  # fmt: skip


# --- writing ---------------------------------------------------------------------------------------------------------------


def test_a_whole_feed_for_prom_to_the_last_byte() -> None:
    assert written(PROM, FULL).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE yml_catalog SYSTEM "shops.dtd">\n'
        '<yml_catalog date="2026-03-04 05:06"><shop><name>Лавка</name><company>ФОП Тест</company><url>https://shop.example</url>\n'
        '<currencies><currency id="UAH" rate="1"/></currencies>\n'
        '<categories>\n<category id="10">Посуд</category>\n<category id="11" parentId="10" portal_id="88468">Чайники</category>\n'
        "</categories>\n<offers>\n"
        '<offer id="T-1.r" available="true" group_id="T-1" selling_type="u"><url>https://shop.example/p?a=1&amp;b=2</url>'
        "<price>1990.5</price><oldprice>2100</oldprice><discount>10%</discount><currencyId>UAH</currencyId>"
        "<categoryId>11</categoryId><portal_category_id>35400</portal_category_id>"
        "<picture>https://shop.example/1.jpg</picture><picture>https://shop.example/2.jpg</picture>"
        "<vendor>Завод</vendor><vendorCode>T-1</vendorCode><country>Україна</country>"
        "<name>Чайник «Люкс» &lt;2 л&gt; &amp; ко (T-1)</name><name_ua>Чайник «Люкс»</name_ua>"
        "<description><![CDATA[<p>Чайник & кришка</p>]]></description>"
        "<description_ua><![CDATA[<p>Чайник]]]]><![CDATA[></p>]]></description_ua>"
        "<keywords>чайник, посуда</keywords><keywords_ua>чайник, посуд</keywords_ua><quantity_in_stock>7</quantity_in_stock>"
        "<gtin>4820000000017</gtin><mpn>MP-1</mpn><dimensions>30/20.5/12</dimensions>"
        "<prices><price><value>1800</value><quantity>10</quantity></price>"
        "<price><value>1700.5</value><quantity>100</quantity></price></prices>"
        '<param name="Цвет">красный</param><param name="Объём" unit="л">2</param></offer>\n'
        "</offers></shop></yml_catalog>\n"
    )


def test_a_whole_feed_for_rozetka_to_the_last_byte() -> None:
    offer = written(ROZETKA, FULL._replace(description_ua="")).decode()
    assert '<category id="11" parentId="10" rz_id="88468">Чайники</category>' in offer
    assert offer[offer.index("<offer ") :] == (
        '<offer id="T-1.r" available="true"><url>https://shop.example/p?a=1&amp;b=2</url>'
        "<price>1990.5</price><price_old>2100</price_old><price_promo>1900</price_promo><currencyId>UAH</currencyId>"
        "<categoryId>11</categoryId><picture>https://shop.example/1.jpg</picture><picture>https://shop.example/2.jpg</picture>"
        "<vendor>Завод</vendor><article>T-1</article>"
        "<name>Чайник «Люкс» &lt;2 л&gt; &amp; ко (T-1)</name><name_ua>Чайник «Люкс»</name_ua>"
        "<description><![CDATA[<p>Чайник & кришка</p>]]></description><stock_quantity>7</stock_quantity><state>new</state>"
        "<docket><![CDATA[Чайник]]></docket><docket_ua><![CDATA[Чайник]]></docket_ua>"
        '<param name="Цвет" paramid="20748" valueid="69123"><value lang="uk">червоний</value><value lang="ru">красный</value></param>'
        '<param name="Объём">2</param></offer>\n</offers></shop></yml_catalog>\n'
    )


@pytest.mark.parametrize("spelling", BOTH, ids=lambda d: d.key)
def test_everything_that_the_dialect_has_is_read_again(spelling: dialect.Dialect) -> None:
    said = [name for name in OfferEntry._fields if getattr(FULL, name) in ("", (), None)]
    assert said == []  # a field added later has to be in here
    data = written(spelling, FULL, PLAIN)
    assert back(data, spelling) == [HEADER, Currency("UAH", "1"), *CATEGORIES, taken(spelling, FULL), PLAIN]


@pytest.mark.parametrize("spelling", BOTH, ids=lambda d: d.key)
def test_the_same_goods_give_the_same_bytes_but_for_the_date(spelling: dialect.Dialect) -> None:
    assert written(spelling, FULL, PLAIN) == written(spelling, FULL, PLAIN)
    out = BytesIO()
    later = replace(HEADER, date=dt.datetime(2027, 1, 1))  # noqa: DTZ001
    assert writer.write(out, spelling, later, CATEGORIES, [FULL, PLAIN]) == (2, 2)
    assert out.getvalue() == written(spelling, FULL, PLAIN).replace(b"2026-03-04 05:06", b"2027-01-01 00:00")


@pytest.mark.parametrize(
    ("presence", "prom", "rozetka"),
    [(AVAILABLE, "true", "true"), (NOT_AVAILABLE, "false", "false"), (ON_ORDER, "", "false"), ("", None, None)],
)
def test_availability_is_said_as_the_marketplace_says_it(presence: str, prom: str | None, rozetka: str | None) -> None:
    assert element(PROM, PLAIN, presence=presence).get("available") == prom
    assert element(ROZETKA, PLAIN, presence=presence).get("available") == rozetka
    assert [o.presence for o in offers_of(written(PROM, PLAIN._replace(presence=presence)), PROM)] == [presence]


def test_variants_share_a_group_at_prom_and_are_offers_of_their_own_at_rozetka() -> None:
    assert element(PROM, FULL).get("group_id") == "T-1"
    assert dict(element(ROZETKA, FULL).attrib) == {"id": "T-1.r", "available": "true"}


def test_what_is_not_said_is_not_written() -> None:
    offer = element(PROM, OfferEntry("1", "Миска", Decimal(10), vendor=" ", url="\t", keywords="\x00"))
    assert (dict(offer.attrib), [(el.tag, el.text) for el in offer]) == ({"id": "1"}, [("price", "10"), ("name", "Миска")])


def test_control_characters_are_dropped_and_a_section_of_text_cannot_be_ended_early() -> None:
    text = "a\x00b\x1f\ufffe\ud83f]]>&lt;<b>]]]]>c\r\nd\re"
    offer = element(PROM, PLAIN, name="Ми\x08ска\x1f <&>", description=text, id="P\x0b1")
    assert (offer.get("id"), offer.findtext("name")) == ("P1", "Миска <&>")
    assert offer.findtext("description") == "ab]]>&lt;<b>]]]]>c\nd\ne"


@pytest.mark.parametrize(("value", "text"), [("1E+3", "1000"), ("0.10", "0.1"), ("10.500", "10.5"), ("-0.0", "0")])
def test_numbers_have_a_dot_and_no_exponent(value: str, text: str) -> None:
    offer = element(PROM, PLAIN, price=Decimal(value), quantity=Decimal(value), dimensions=(Decimal(value),) * 3)
    assert (offer.findtext("price"), offer.findtext("quantity_in_stock")) == (text, text)
    assert offer.findtext("dimensions") == f"{text}/{text}/{text}"


def test_a_quantity_below_zero_is_nothing_to_sell() -> None:
    assert element(ROZETKA, PLAIN, quantity=Decimal(-3)).findtext("stock_quantity") == "0"


@pytest.mark.parametrize(
    ("spelling", "changes", "text"),
    [
        (PROM, {"id": " \x00"}, writer.NO_ID),
        (PROM, {"name": ""}, rules.MISSING),
        (PROM, {"price": None}, rules.MISSING),
        (PROM, {"price": Decimal(-1)}, writer.BAD_NUMBER),
        (PROM, {"old_price": Decimal("NaN")}, writer.BAD_NUMBER),
        (PROM, {"quantity": Decimal("Infinity")}, writer.BAD_NUMBER),
        (PROM, {"quantity": Decimal("NaN")}, writer.BAD_NUMBER),
        (PROM, {"dimensions": (Decimal(1), Decimal(-1), Decimal(1))}, writer.BAD_NUMBER),
        (PROM, {"prices": (PriceFrom(Decimal(-1), Decimal(1)),)}, writer.BAD_NUMBER),
        (PROM, {"name": "x" * 131}, rules.TOO_LONG),
        (PROM, {"keywords": "a, " + "x" * 51}, rules.LONG_KEYWORD),
        (PROM, {"currency": "гривня"}, rules.NOT_A_VALUE),
        (PROM, {"selling_type": "x"}, rules.NOT_A_VALUE),
        (PROM, {"discount": "a lot"}, rules.NOT_A_VALUE),
        (ROZETKA, {"vendor": ""}, rules.MISSING),
        (ROZETKA, {"vendor": "No Name"}, rules.NOT_A_BRAND),
        (ROZETKA, {"quantity": None}, rules.MISSING),
        (ROZETKA, {"quantity": Decimal("1.5")}, rules.NOT_A_VALUE),
        (ROZETKA, {"pictures": ()}, rules.MISSING),
        (ROZETKA, {"pictures": ("http://shop.example/1.jpg",)}, rules.MISSING),
        (ROZETKA, {"params": (Param("", "x"),)}, rules.MISSING),
        (ROZETKA, {"category": "99"}, writer.NO_CATEGORY),
        (ROZETKA, {"id": "чайник"}, rules.NOT_A_VALUE),
        (ROZETKA, {"id": "P1 a"}, rules.NOT_A_VALUE),
        (ROZETKA, {"currency": "USD"}, rules.NOT_A_VALUE),
        (ROZETKA, {"name": FULL.name}, rules.SAME_NAME),
        (ROZETKA, {"id": FULL.id}, writer.ID_TWICE),
        (ROZETKA, {"description": "див. www.shop.example"}, rules.LINK),
    ],
)
def test_an_offer_that_breaks_a_rule_is_told_and_left_out(spelling: dialect.Dialect, changes: dict[str, Any], text: str) -> None:
    wrong, last = PLAIN._replace(**changes), PLAIN._replace(id="L1", name="Ложка")
    told: list[tuple[Any, str]] = []
    data = written(spelling, FULL, wrong, last, refused=lambda what, error: told.append((what, error.text)))
    assert told == [(wrong, text)]
    assert [o.id for o in offers_of(data, spelling)] == ["T-1.r", "L1"]
    with pytest.raises(BadRecord) as error:
        written(spelling, FULL, wrong)
    assert "{" not in str(error.value)


def test_a_refusal_says_which_goods_and_what_is_expected() -> None:
    with pytest.raises(BadRecord) as error:
        written(ROZETKA, PLAIN._replace(vendor=" "))
    assert str(error.value) == "P1 “Миска”: vendor is missing or empty; expected the brand"


def test_goods_of_an_unknown_category_go_to_the_root_at_prom() -> None:
    assert element(PROM, PLAIN, category="99").find("categoryId") is None


def test_of_too_many_pictures_and_params_the_first_are_written() -> None:
    pictures = tuple(f"https://shop.example/{n}.jpg" for n in range(20))
    params = tuple(Param(f"p{n}", "v") for n in range(120))
    for spelling, most, limit in ((PROM, 10, 100), (ROZETKA, 15, 120)):
        (offer,) = offers_of(written(spelling, PLAIN._replace(pictures=pictures, params=params)), spelling)
        assert (offer.pictures, offer.params) == (pictures[:most], params[:limit])


def test_a_picture_that_is_not_taken_is_left_out_and_letters_in_an_address_are_encoded() -> None:
    pictures = ("https://shop.example/чай 1.jpg", "https://shop.example/2.webp?v=1", "http://shop.example/3.jpg", "4.jpg",
                "https://лавка.example/5.jpg", "https://shop.example/6.jpg", "https://shop.example/6.jpg")  # fmt: skip
    encoded = "https://shop.example/%D1%87%D0%B0%D0%B9%201.jpg"
    (offer,) = offers_of(written(ROZETKA, PLAIN._replace(pictures=pictures)), ROZETKA)
    assert offer.pictures == (encoded, "https://shop.example/6.jpg")
    (offer,) = offers_of(written(PROM, PLAIN._replace(pictures=pictures)), PROM)
    assert offer.pictures == (encoded, *pictures[1:3], *pictures[4:6])


def test_categories_stand_behind_their_parents_and_one_without_an_id_is_told() -> None:
    told: list[str] = []
    categories = [Category("b", "B", "a"), Category("a", "A", "gone"), Category("r", "", "r"), Category("", "X")]
    data = written(PROM, PLAIN, categories=categories, refused=lambda _what, error: told.append(str(error)))
    found = [c for c in back(data, PROM) if isinstance(c, Category)]
    assert found == [Category("a", "A"), Category("b", "B", "a"), Category("r", "r")]
    assert told == ["The group “X” has no id: give it a code"]


def test_currencies_are_an_argument() -> None:
    data = written(PROM, PLAIN._replace(currency="USD"), currencies=[Currency("UAH"), Currency("USD", "41.5")])
    assert [c for c in back(data, PROM) if isinstance(c, Currency)] == [Currency("UAH", "1"), Currency("USD", "41.5")]


def test_a_feed_needs_its_date() -> None:
    with pytest.raises(ValueError, match="date"):
        writer.write(BytesIO(), PROM, replace(HEADER, date=None), [], [])


def test_a_full_disk_is_an_error_and_not_half_a_file() -> None:
    class Full(BytesIO):
        def write(self, data: Any) -> int:
            if self.tell() > 200_000:
                raise OSError(28, "No space left on device")
            return super().write(data)

    with pytest.raises(OSError, match="No space left"):
        writer.write(Full(), PROM, HEADER, [GOODS], (PLAIN._replace(id=str(n)) for n in range(5000)))


@pytest.mark.parametrize("spelling", BOTH, ids=lambda d: d.key)
def test_memory_does_not_grow_with_the_number_of_offers(spelling: dialect.Dialect, tmp_path: Path) -> None:
    def offers(count: int) -> Iterator[OfferEntry]:
        return (FULL._replace(id=f"g{n}", name=f"Чайник {n} l", name_ua=f"Чайник {n} л") for n in range(count))

    def peak(count: int) -> tuple[int, int]:
        file = tmp_path / f"{count}.xml"
        tracemalloc.start()
        with file.open("wb") as stream:
            assert writer.write(stream, spelling, HEADER, CATEGORIES, offers(count)).offers == count
        write = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        assert sum(isinstance(o, OfferEntry) for o in reader.read(file, spelling)) == count
        read = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return write, read

    few, many = peak(100), peak(1000)
    ids = 5 * 8 * 4 * 1000  # of ids and names, in tables that are a third full
    assert all(b < a * 1.5 + 100_000 + ids for a, b in zip(few, many, strict=True)), (few, many)


# --- any text comes back -----------------------------------------------------------------------------------------------------

TEXTS = st.text(max_size=20).filter(lambda t: clean(t) == t and "\r" not in t)
SAID = TEXTS.filter(bool)
WORDS = st.text(st.characters(categories=("Lu", "Ll", "Nd")), min_size=1, max_size=8)
NUMBERS = st.decimals(0, 10**9, places=2)
KEYS = st.from_regex(r"[A-Za-z0-9._-]{1,20}", fullmatch=True)
PARAMS = st.builds(Param, SAID, SAID, TEXTS, TEXTS, TEXTS, TEXTS)
ENTRIES = st.builds(
    OfferEntry, id=KEYS, name=SAID, price=NUMBERS, category=st.sampled_from(["10", "11"]), url=st.just(""),
    presence=st.sampled_from([AVAILABLE, NOT_AVAILABLE]), group=TEXTS, selling_type=st.sampled_from(["", "r", "w", "u", "s"]),
    old_price=st.none() | NUMBERS, promo_price=st.none() | NUMBERS, discount=st.sampled_from(["", "5", "7.5%"]),
    currency=st.just("UAH"), portal_category=TEXTS, pictures=st.just(("https://shop.example/1.jpg",)), vendor=WORDS, article=TEXTS,
    country=TEXTS, name_ua=TEXTS, description=TEXTS.filter(lambda t: "@" not in t), description_ua=TEXTS.filter(lambda t: "@" not in t),
    keywords=TEXTS, keywords_ua=TEXTS, quantity=st.integers(0, 10**6).map(Decimal), barcode=TEXTS, mpn=TEXTS, state=TEXTS,
    docket=TEXTS, docket_ua=TEXTS, dimensions=st.none() | st.tuples(NUMBERS, NUMBERS, NUMBERS),
    prices=st.lists(st.builds(PriceFrom, NUMBERS, NUMBERS), max_size=2).map(tuple), params=st.lists(PARAMS, min_size=1, max_size=3).map(tuple),
)  # fmt: skip


@pytest.mark.parametrize("spelling", BOTH, ids=lambda d: d.key)
@given(entry=ENTRIES)
def test_any_goods_come_back_and_have_no_errors(spelling: dialect.Dialect, entry: OfferEntry) -> None:
    data = written(spelling, entry)
    assert back(data, spelling) == [HEADER, Currency("UAH", "1"), *CATEGORIES, taken(spelling, entry)]
    assert [f for f in validate(BytesIO(data), spelling) if f.level == "error"] == []


# --- reading ---------------------------------------------------------------------------------------------------------------


def document(offers: str, prolog: str = '<?xml version="1.0" encoding="UTF-8"?>', shop: str = "<name>n</name>") -> bytes:
    return f'{prolog}\n<yml_catalog date="2026-09-23 12:30"><shop>{shop}<offers>{offers}</offers></shop></yml_catalog>'.encode()


def only(body: str, spelling: dialect.Dialect, attributes: str = ' id="1"') -> OfferEntry:
    (found,) = offers_of(document(f"<offer{attributes}>{body}</offer>"), spelling)
    return found


def test_of_synonyms_the_one_that_comes_first_at_the_marketplace_counts_wherever_it_stands() -> None:
    prices = "<old_price>3</old_price><price_old>2</price_old><oldprice>1</oldprice>"
    assert only(prices, PROM).old_price == 1
    assert only(prices.replace("<oldprice>1</oldprice>", "<oldprice/>"), PROM).old_price == 2
    assert only(prices, ROZETKA).old_price == 2
    codes = "<article>a</article><barcode>b</barcode><vendorCode>v</vendorCode><gtin>g</gtin>"
    assert (only(codes, PROM).article, only(codes, PROM).barcode) == ("v", "g")
    assert only(codes[:-len("<vendorCode>v</vendorCode><gtin>g</gtin>")], PROM).article == "b"  # fmt: skip
    assert (only(codes, ROZETKA).article, only(codes, ROZETKA).barcode) == ("a", "")
    stock = "<stock_quantity>1</stock_quantity><quantity_in_stock>2</quantity_in_stock>"
    assert (only(stock, PROM).quantity, only(stock, ROZETKA).quantity) == (2, 1)
    promo = "<promo_price>1</promo_price><price_promo>2</price_promo>"
    assert only(promo, ROZETKA).promo_price == 2


@pytest.mark.parametrize(("said", "presence"), [("true", AVAILABLE), ("FALSE", NOT_AVAILABLE), ("", ON_ORDER), (" ", ON_ORDER)])
def test_availability_is_read_from_the_attribute_and_else_from_the_element(said: str, presence: str) -> None:
    assert only("<available>true</available>", PROM, f' id="1" available="{said}"').presence == presence
    assert only("<available>false</available>", PROM).presence == NOT_AVAILABLE
    assert only("", PROM).presence == ""


def test_without_a_dialect_every_known_spelling_is_read() -> None:
    body = (
        "<price_old>2</price_old><article>a</article><gtin>g</gtin><stock_quantity>3</stock_quantity><promo_price>1</promo_price>"
    )
    found = only(body, ANY, ' id="1" group_id="g" available="true"')
    assert (found.old_price, found.article, found.barcode, found.quantity, found.promo_price) == (2, "a", "g", 3, 1)
    assert (found.group, found.presence) == ("g", AVAILABLE)
    assert offers_of(document('<offer id="1"><price_old>2</price_old></offer>'))[0].old_price == 2


def test_a_param_in_two_languages() -> None:
    body = '<param name="Вид" paramid="1"><value lang="uk">У</value><value lang="ru">Р</value></param><param name="n">v</param>'
    assert only(body, ROZETKA).params == (Param("Вид", "Р", value_ua="У", id="1"), Param("n", "v"))


@pytest.mark.parametrize(
    ("inside", "tag"),
    [
        ("<price>1 713 грн</price>", "price"),
        ("<price>1,50</price>", "price"),
        ("<oldprice>-1</oldprice>", "oldprice"),
        ("<quantity_in_stock>много</quantity_in_stock>", "quantity_in_stock"),
        ("<dimensions>10x20x30</dimensions>", "dimensions"),
        ("<prices><price><value>x</value><quantity>1</quantity></price></prices>", "value"),
        ("<available>maybe</available>", "available"),
        ("<description><p>a</p></description>", "description"),
    ],
)
def test_an_offer_that_cannot_be_read_stands_in_its_place(inside: str, tag: str) -> None:
    rows = f'<offer id="1"/>\n<offer id="2">{inside}</offer>\n<offer/>\n<offer id="3"/>'
    _header, first, second, third, fourth = back(document(rows), PROM)
    assert (first.id, fourth.id) == ("1", "3")
    assert isinstance(second, BadRecord)
    assert (second.facts["file"], second.facts["line"], second.facts["element"], second.facts["id"]) == ("f.xml", 3, tag, "2")
    assert str(third) == "f.xml:4: an offer without an id; expected <offer id=…>"


@pytest.mark.parametrize("encoding", ["windows-1251", "utf-8", "utf-8-sig", "utf-16"])
def test_any_usual_encoding_is_read(encoding: str) -> None:
    declared = {"windows-1251": "windows-1251", "utf-16": "UTF-16"}.get(encoding, "UTF-8")
    text = document('<offer id="1"><name>Кубик</name></offer>').decode().replace("UTF-8", declared)
    assert [o.name for o in offers_of(text.encode(encoding), PROM)] == ["Кубик"]


@pytest.mark.parametrize(
    "doctype", ['<!DOCTYPE yml_catalog SYSTEM "shops.dtd">', "<!DOCTYPE yml_catalog SYSTEM 'file:///etc/passwd'>"]
)
def test_a_doctype_that_declares_nothing_is_passed_over_and_never_loaded(doctype: str) -> None:
    assert [o.id for o in offers_of(document('<offer id="1"/>', doctype), PROM)] == ["1"]


@pytest.mark.parametrize(
    "doctype", ['<!DOCTYPE yml_catalog [<!ENTITY a "a">]>', '<!DOCTYPE yml_catalog SYSTEM "s.dtd" [<!ENTITY x "y">]>']
)
def test_a_doctype_that_declares_something_is_refused(doctype: str) -> None:
    with pytest.raises(BadDocument, match="a DOCTYPE is not taken"):
        back(document('<offer id="1"/>', doctype), PROM)


def test_what_was_read_before_a_fault_is_given_out() -> None:
    data = written(PROM, FULL, PLAIN)
    seen: list[Any] = []
    with pytest.raises(BadDocument, match=r"^f\.xml:11: the document breaks off"):
        seen.extend(reader.read(BytesIO(data[: data.rindex(b"</offer>") - 5]), PROM, "f.xml"))
    assert [one.id for one in seen if isinstance(one, OfferEntry)] == ["T-1.r"]


def test_another_document_is_refused() -> None:
    with pytest.raises(BadDocument, match="the document is <КоммерческаяИнформация>; expected <yml_catalog>"):
        back("<КоммерческаяИнформация/>".encode())


def test_currencies_behind_the_categories_are_given_before_the_offers_and_once() -> None:
    currency = '<currencies><currency id="UAH" rate="1"/><currency id="USD" rate="CBU"/></currencies>'
    data = document('<offer id="1"/>', shop=f'<categories><category id="1">A</category></categories>{currency}')
    assert [type(one).__name__ for one in back(data)] == ["Header", "Category", "Currency", "Currency", "OfferEntry"]


def test_other_peoples_files_are_read_to_the_last_field(samples: Path) -> None:
    folder = samples / "markets" / "yml"
    for file in sorted(folder.glob("*.xml")):
        counted = len(re.findall(r"<offer\s", file.read_text("utf-8")))
        spelling = dialect.guess(file)
        assert spelling is not None
        said = list(reader.read(file, spelling))
        assert sum(isinstance(one, OfferEntry) for one in said) == counted > 0, file.name
        assert [one for one in said if isinstance(one, BadRecord)] == []
    first = next(o for o in reader.read(folder / "prom.xml", PROM) if isinstance(o, OfferEntry))
    assert (first.id, first.group, first.selling_type, first.old_price, first.article) == (
        "SKU-1001-R",
        "1001",
        "r",
        650,
        "SKU-1001",
    )
    assert (first.barcode, first.quantity, first.params[1]) == ("4820000000017", 12, Param("Высота", "5", "см"))
    (first,) = (o for o in reader.read(folder / "rozetka.xml", ROZETKA) if isinstance(o, OfferEntry))
    assert (first.promo_price, first.state, first.description) == (549, "new", "<p>Описание без ссылок</p>")
    assert first.params[0] == Param("Вид", "Кубики", "", "Кубики", "20748", "69123")
    categories = [c.portal for c in reader.read(folder / "rozetka.xml", ROZETKA) if isinstance(c, Category)]
    assert categories == ["88468", "4626589"]


# --- dialects ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offer", "key"),
    [
        ('<offer id="1" selling_type="r"><quantity_in_stock>1</quantity_in_stock></offer>', "prom"),
        ('<offer id="1"><price_old>1</price_old><stock_quantity>1</stock_quantity></offer>', "rozetka"),
        ('<offer id="1"><param paramid="1" name="a">b</param></offer>', "rozetka"),
        ('<offer id="1" group_id="1"><article>1</article><stock_quantity>1</stock_quantity></offer>', "prom"),
        ('<offer id="1" group_id="1"><state>new</state></offer>', "any"),  # as much of one as of the other
        ('<offer id="1" available="true"><price>1</price></offer>', "any"),
        ('<offer id="1"><currencyId>UAH</currencyId></offer>', "any"),
        ('<offer id="1" quantity="1"><price>1</price></offer>', None),
        ('<offer id="1" productId="1" available="true"><vendorCode>1</vendorCode></offer>', None),
        ('<offer id="1" available="true"><vendorCode>1</vendorCode><xmlId>1</xmlId></offer>', None),
    ],
)
def test_the_dialect_is_guessed_by_what_the_offers_hold(offer: str, key: str | None) -> None:
    found = dialect.guess(BytesIO(document(offer)))
    assert (found and found.key) == key


def test_a_damaged_file_is_guessed_by_what_stands_before_the_fault() -> None:
    data = document('<offer id="1" selling_type="r"></offer><offer id="2">')
    found = dialect.guess(BytesIO(data))
    assert found is PROM
    assert dialect.guess(BytesIO(b"{}")) is None


def test_a_file_of_our_own_is_known_again() -> None:
    for spelling in BOTH:
        assert dialect.guess(BytesIO(written(spelling, FULL, PLAIN))) is spelling


def test_a_dialect_of_somebody_else_is_a_file_of_the_same_shape() -> None:
    text = 'title = "Bazaar"\n[names]\nname = ["title"]\nprice = ["cost"]\n[rules]\nrequired = ["name"]\n[lengths]\nname = 5\n'
    bazaar = dialect.load("bazaar", text)
    offer = element(bazaar, PLAIN)
    assert [(el.tag, el.text) for el in offer] == [("title", "Миска"), ("cost", "10")]
    with pytest.raises(BadRecord, match="title is 6 characters long; expected no more than 5"):
        written(bazaar, PLAIN._replace(name="Чайник"))


@pytest.mark.parametrize(
    "more",
    ["[rules]\nrequierd = []", "[rules]\nrequired = ['nmae']", "[lengths]\nx = 1", "[available]\nmaybe = 'x'", "[param]\nx = true",
     "[category]\nx = []", "[x]"],
)  # fmt: skip
def test_a_dialect_with_a_word_that_no_dialect_has_is_refused(more: str) -> None:
    with pytest.raises(ValueError, match="no dialect has"):
        dialect.load("x", f'title = "X"\n[names]\nname = ["name"]\n{more}\n')
    with pytest.raises(ValueError, match="two fields"):
        dialect.load("x", 'title = "X"\n[names]\nname = ["a"]\nvendor = ["a"]\n')
    with pytest.raises(ValueError, match="has to say available, not_available and order"):
        dialect.load("x", 'title = "X"\n[names]\nname = ["a"]\n[attributes]\npresence = "a"\n[available]\norder = ""\n')
