"""What the writer makes against the official schemas of CommerceML 2.04–2.09.

The schemas themselves: 2.05 as published has a space in its namespace and cannot be loaded (``Schema`` repairs it). 2.04 has
the namespace "cml", and a choice where 2.05 has a sequence: as published it accepts a Контрагент of one element only, and no
Каталог beside a Классификатор, so no file of anybody conforms; the test puts the sequences in. Of real files only some of
1C:UT's 2.07 conform: others pad unit codes to four characters, leave out Владелец, or write one-digit hours.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import pytest
from lxml import etree
from test_writer import BOOT, BUYER, CREATED, HEAD, LOADED, OFFER, ORDER, PARTS, RESULT, RETAIL, SHOES, STORES

from obmen.core.records import Address, Counterparty, Group, Product, Property
from obmen.formats.commerceml import writer
from obmen.formats.commerceml.dialects import BITRIX_ATTRIBUTES, DIALECTS, GENERIC, GENERIC_209, UT10, Dialect
from obmen.formats.commerceml.model import Discount, DocumentPayment, Tax, Warehouse
from obmen.formats.commerceml.schema import Finding, Schema

OLD = replace(GENERIC, references="package", changes=False, document_warehouses=False)
CLAIMS = {
    "2.04": UT10,
    "2.05": replace(OLD, key="generic-2.05", version="2.05", xsd="2.05", warehouses=False, stock="total"),
    "2.06": replace(OLD, key="generic-2.06", version="2.06", xsd="2.06"),
    "2.07": GENERIC,
    "2.08": replace(GENERIC_209, key="generic-2.08", version="2.08", xsd="2.08", payments=False),
    "2.09": GENERIC_209,
}
ALL = [*CLAIMS.values(), *(d for d in DIALECTS.values() if d.xsd and d not in CLAIMS.values())]

COMPANY = Counterparty("77", 'ТОВ "Ромашка"', "company", inn="1234567890", kpp="123456789", okpo="12345678",
                       legal_address=Address("Київ", (("Город", "Київ"), ("Поверх", "3"))), contacts=(("Viber", "1"),))  # fmt: skip
PICKUP = Warehouse("w1", "Пункт 1", Address("Харків", (("Город", "Харків"),)), (("Телефон рабочий", "1"),), comment="за рогом")
FULL = replace(
    ORDER,
    counterparties=(BUYER,),
    payments=(DocumentPayment("5", "tx", LOADED, Decimal(249), "Картка", "card"),),
    payment_due=dt.date(2026, 3, 10),
    comment="Подзвоніть",
    taxes=(Tax("НДС", True, Decimal("41.50"), "20"),),
    discounts=(Discount("Скидка", Decimal(10), Decimal(5), False, "купон"),),
    warehouses=(PICKUP,),
    lines=(
        replace(
            SHOES,
            barcode="2000000000015",
            catalogue_id="c",
            classifier_id="k",
            taxes=(Tax("НДС", True, Decimal("33.17"), "20"),),
            discounts=(Discount("5%", Decimal(10), Decimal(5), True),),
            characteristics=(("Размер", "41"),),
            requisites=(("ТипНоменклатуры", "Товар"),),
            warehouses=(replace(PICKUP, quantity=Decimal(2)),),
            country="Україна",
            declaration="1",
        ),
        replace(SHOES, unit=None, ratio=None, rate=None, price=None),
    ),
)


def documents(d: Dialect) -> Iterator[tuple[str, Iterable[bytes]]]:
    parts = replace(
        PARTS,
        groups=(Group("g1", "Взуття", description="Опис"), Group("g2", "Черевики", "g1")),
        properties=(
            *PARTS.properties,
            Property("p2", "Вага", "number", required=True, multiple=False, applies_to="offers"),
            Property("p3", "Нове", "boolean"),
        ),
    )
    head = replace(HEAD, owner=COMPANY)
    goods = [BOOT, replace(BOOT, deleted=True), Product("bare", "Без нічого"), replace(BOOT, barcode="", article="", unit="упак")]
    common = {"created": CREATED, "only_changes": False}
    yield "catalogue", writer.catalogue(d, head, goods, **common, parts=parts)
    yield "portion", writer.catalogue(d, head, goods, created=CREATED, only_changes=True)
    odd = replace(
        OFFER, key="b", barcode="", deleted=True, stock=None, prices=(OFFER.prices[0]._replace(value=None, unit="упак"),)
    )
    yield "offers", writer.offers(d, head, [OFFER, odd], **common, price_kinds=[RETAIL], warehouses=STORES)
    if d.changes:
        yield (
            "changes",
            writer.changes(d, head, [OFFER, replace(OFFER, prices=None), replace(OFFER, stock=None)], created=CREATED),
        )
    company = replace(FULL, id="2", counterparties=(COMPANY,))
    yield "orders", writer.orders([FULL, company], d, created=CREATED)
    yield "no orders", writer.orders([], d, created=CREATED)
    done = replace(FULL, requisites=writer.result_requisites(d, RESULT), deleted=True)
    yield "results", writer.results([done, company], d, created=CREATED)


def findings(schema: Schema, document: Iterable[bytes]) -> list[Finding]:
    return schema.findings(BytesIO(b"".join(document)))


@pytest.fixture(scope="module")
def schemas() -> dict[str, Schema]:
    return {}


def schema_of(xsd: Path, version: str, cache: dict[str, Schema], tmp_path: Path) -> Schema:
    if version not in cache:
        file = xsd / f"cml{version.replace('.', '')}.xsd"
        cache[version] = Schema(with_sequences(file, tmp_path) if version == "2.04" else file)
    return cache[version]


def with_sequences(file: Path, folder: Path) -> Path:
    """The schema of 2.04 with the sequences of 2.05 in the root and in Контрагент, whose two kinds of names are either-or."""
    tree = etree.parse(str(file))
    for choice in list(tree.iter("{http://www.w3.org/2001/XMLSchema}choice")):
        choice.tag = "{http://www.w3.org/2001/XMLSchema}sequence"
        for element in choice:
            if element.get("name") in ("ОфициальноеНаименование", "ПолноеНаименование"):
                element.set("minOccurs", "0")
    tree.write(str(folder / file.name))
    return folder / file.name


@pytest.mark.parametrize("d", ALL, ids=lambda d: d.key)
def test_every_document_conforms_to_the_schema_that_its_dialect_claims(
    d: Dialect, xsd: Path, schemas: dict[str, Schema], tmp_path: Path
) -> None:
    """CommerceML 2.04–2.09 XSD, as published."""
    schema = schema_of(xsd, d.xsd, schemas, tmp_path)
    assert {name: findings(schema, document) for name, document in documents(d)} == {name: [] for name, _ in documents(d)}


def test_the_second_copy_of_2_09_accepts_the_same(xsd: Path) -> None:
    """CommerceML 2.09 XSD as another project carries it: smaller, the same grammar for what we write."""
    schema = Schema(xsd / "CML209.irpsv.xsd")
    assert {name: findings(schema, document) for name, document in documents(GENERIC_209)} == {
        name: [] for name, _ in documents(GENERIC_209)
    }


def test_bitrix_deviates_from_the_schema_in_the_root_alone(xsd: Path) -> None:
    """Bitrix sale 22.8 adds its formats to the root; the rest of its 2.05 orders conforms."""
    schema = Schema(xsd / "cml205.xsd")
    bare = replace(FULL, lines=(replace(SHOES, packing="796"),), warehouses=())
    found = findings(schema, writer.orders([bare], replace(DIALECTS["bitrix-orders"], xsd="2.05"), created=CREATED))
    assert sorted(f.text for f in found) == sorted(
        f"Element 'КоммерческаяИнформация', attribute '{name}': The attribute '{name}' is not allowed."
        for name, _value in BITRIX_ATTRIBUTES
    )


def test_unf_deviates_by_its_own_elements_of_goods_alone(xsd: Path) -> None:
    """1C:UNF 3.0 writes Код, Категория and Вес of its package commerceml_210 under version 2.08."""
    schema = Schema(xsd / "cml208.xsd")
    d = replace(DIALECTS["unf"], unit_length=(3, 4))
    light = replace(BOOT, unit="шт", code=None, weight=None)
    assert findings(schema, writer.catalogue(d, HEAD, [light], created=CREATED, only_changes=True)) == []
    found = findings(schema, writer.catalogue(d, HEAD, [BOOT], created=CREATED, only_changes=True))
    assert {f.text.split(":")[0] for f in found} == {"Element 'Код'"}


def test_a_finding_names_line_and_element(xsd: Path) -> None:
    schema = Schema(xsd / "cml207.xsd")
    data = b"".join(writer.orders([replace(FULL, operation="Rent")], GENERIC, created=CREATED))
    found = schema.findings(BytesIO(data))
    assert {(f.line, f.element) for f in found} == {(3, "ХозОперация")}


def test_an_offer_without_prices_cannot_conform_and_is_written_all_the_same(xsd: Path) -> None:
    """CommerceML 2.07 XSD requires Цены with one Цена at least; leaving the offer out would lose its stock."""
    schema = Schema(xsd / "cml207.xsd")
    document = writer.offers(
        GENERIC, HEAD, [replace(OFFER, prices=None)], created=CREATED, only_changes=True, price_kinds=[RETAIL]
    )
    assert [f.element for f in findings(schema, document)] == ["Количество"]


def test_2_04_as_published_accepts_no_counterparty_of_two_elements(xsd: Path) -> None:
    """CommerceML 2.04 XSD, type Контрагент: a choice."""
    found = findings(Schema(xsd / "cml204.xsd"), writer.orders([replace(FULL, discounts=())], UT10, created=CREATED))
    assert [f.text for f in found] == [
        "Element 'Наименование': This element is not expected. Expected is one of ( Роль, РасчетныйСчет, Склад )."
    ]
