"""What is written can be read again, and says the same: made-up records by hypothesis, and every real file we have."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obmen.core.contract import BadDocument, BadRecord
from obmen.core.records import (
    Address,
    Counterparty,
    Group,
    Kind,
    Offer,
    Price,
    Product,
    Property,
    Reference,
    Stock,
    Subject,
)
from obmen.formats.commerceml import reader, records, writer
from obmen.formats.commerceml.dialects import BITRIX7, GENERIC, UNF_SUBORDINATE, Dialect
from obmen.formats.commerceml.model import (
    Discount,
    Document,
    DocumentPayment,
    Line,
    Raw,
    Tax,
    Unit,
    Warehouse,
)

CREATED = dt.datetime(2026, 3, 4, 5, 6, 7)  # noqa: DTZ001  CommerceML times are local and have no zone
HEAD = writer.Catalogue("cat", "Каталог")
EVERYTHING = replace(
    GENERIC,
    key="everything",
    xsd="",
    references="classifier",
    deleted="element",
    more=True,
    header=True,
    subordinate=True,
    payments=True,
    marks="all",
    container=True,
)


def read(*documents: Iterable[bytes]) -> dict[Kind, list[Any]]:
    """Records by kind, as the reader gives them."""
    out: dict[Kind, list[Any]] = defaultdict(list)
    for document in documents:
        raws = [part for part in reader.read(BytesIO(b"".join(document))) if isinstance(part, Raw)]
        for kind, items in parsed(raws).items():
            out[kind] += items
    return dict(out)


def parsed(raws: Sequence[Raw]) -> dict[Kind, list[Any]]:
    by_kind: dict[Kind, list[Raw]] = defaultdict(list)
    for raw in raws:
        by_kind[raw.kind].append(raw)
    return {k: records.parse(k, [r.xml for r in rs], parents=[r.parent for r in rs]) for k, rs in by_kind.items()}


def write(said: dict[Kind, list[Any]], d: Dialect) -> list[Iterable[bytes]]:
    """One document for each kind of records."""

    def of(kind: Kind, subject: Subject | None = None) -> list[Any]:
        good = [r for r in said.get(kind, ()) if not isinstance(r, BadRecord)]
        return [r for r in good if subject is None or r.subject is subject]

    common = {"created": CREATED, "only_changes": False}
    parts = writer.Parts(
        of(Kind.GROUP),
        of(Kind.PROPERTY),
        of(Kind.REFERENCE, Subject.PRICE_KIND),
        of(Kind.REFERENCE, Subject.WAREHOUSE),
        of(Kind.REFERENCE, Subject.UNIT),
    )
    return [
        writer.classifier(d, HEAD, parts, **common),
        writer.catalogue(d, HEAD, [*of(Kind.PRODUCT), *of(Kind.VARIANT)], **common),
        writer.offers(d, HEAD, of(Kind.OFFER), **common),
        writer.offers(d, HEAD, of(Kind.PRICES), **common, what="prices"),
        writer.offers(d, HEAD, of(Kind.STOCK), **common, what="rests"),
        writer.counterparties(d, of(Kind.COUNTERPARTY), **common),
        writer.results(of(Kind.ORDER), d, created=CREATED),
    ]


# --- what the writer does not claim to keep, taken off both sides ----------------------------------------------------------------

FOLDED = frozenset(("Код", "ТипНоменклатуры", "Полное наименование", "Вес"))  # requisites that are fields as well
ATTRIBUTES = {
    Subject.PRICE_KIND: ("currency", "tax_included"),
    Subject.WAREHOUSE: (),
    Subject.UNIT: ("code", "full_name", "international"),
}


def unit_name(said: str | None) -> str | None:
    """A unit said by its ОКЕИ code is written by its name too, and the other way round."""
    if said is None:
        return None
    return writer.UNITS.get(said.zfill(3) if said.isdigit() else "", (said,))[0]


def comparable(record: Any) -> Any:
    if isinstance(record, BadRecord):
        return None
    if isinstance(record, Product):
        return replace(
            record,
            name=record.name and record.name[: writer.NAME_LENGTH].strip(),
            unit=unit_name(record.unit),
            unit_attributes=None,
            requisites=tuple(p for p in record.requisites or () if p[0] not in FOLDED),
            extra="",
        )
    if isinstance(record, Offer):
        prices = record.prices and tuple(p._replace(unit=unit_name(p.unit)) for p in record.prices)
        return replace(
            record, prices=prices, unit=unit_name(record.unit), name=record.name and record.name[:250].strip(), extra=""
        )
    if isinstance(record, Property | Group):
        return replace(record, extra="", name=record.name[:250].strip())
    if isinstance(record, Reference):
        if record.subject not in ATTRIBUTES:
            return None
        said = tuple((k, v) for k in ATTRIBUTES[record.subject] for k_, v in record.attributes if k == k_ and v)
        return replace(record, attributes=said)
    if isinstance(record, Counterparty):
        return party(record, "")
    return document(record)


def party(c: Counterparty, role: str) -> Counterparty:
    return replace(
        c,
        full_name=(c.full_name or c.name)[:255].strip(),
        name=c.name[:255].strip(),
        address=address(c.address),
        legal_address=address(c.legal_address),
        role=c.role or role,
        extra="",
    )


def address(said: Address | None) -> Address | None:
    if said is None or not (said.text or any(v for _k, v in said.parts)):
        return None
    return replace(said, text=said.text or ", ".join(v for _kind, v in said.parts if v))


def warehouse(w: Warehouse) -> Warehouse:
    return replace(w, address=address(w.address))


def document(d: Document) -> Document:
    lines = d.lines and tuple(
        replace(
            ln,
            name=ln.name[:250].strip(),
            unit=ln.unit and replace(ln.unit, key=""),
            warehouses=tuple(map(warehouse, ln.warehouses)),
            extra="",
        )
        for ln in d.lines
    )
    return replace(
        d,
        rate=d.rate if d.rate is not None else Decimal(1),
        time=d.time and d.time.replace(tzinfo=None, microsecond=0),
        date_1c=d.date_1c and d.date_1c.replace(tzinfo=None, microsecond=0),
        # a counterparty inside a document carries no mark of its own
        counterparties=tuple(replace(party(c, "Покупатель"), deleted=None) for c in d.counterparties),
        lines=lines,
        warehouses=tuple(map(warehouse, d.warehouses)),
        subordinate=tuple(map(document, d.subordinate)),
        container="",
        extra="",
    )


def same(kind: Kind, items: Iterable[Any]) -> list[Any]:
    out = [c for c in map(comparable, items) if c is not None]
    if kind is Kind.GROUP:
        out = list({g.key: g for g in out}.values())  # said twice: the last counts
    return sorted(out, key=repr) if kind in (Kind.GROUP, Kind.REFERENCE) else out


# --- real files --------------------------------------------------------------------------------------------------------------


def files(samples: Path) -> list[Path]:
    folder = samples / "commerceml"
    return sorted(f for f in folder.rglob("*.xml") if "negative" not in f.parts)


def test_every_real_file_says_the_same_after_writing_and_reading(samples: Path) -> None:
    """Files of 1C:UT 11, 1C:UNF, Bitrix and its modules, MoySklad, Class365 and others; fields that the writer keeps."""
    unreadable: list[str] = []
    different: dict[str, Any] = {}
    count = 0
    for file in files(samples):
        try:
            raws = [part for part in reader.read(file) if isinstance(part, Raw)]
        except BadDocument:
            unreadable.append(file.name)
            continue
        changes = [r for r in raws if r.section.name == "changes"]
        said = parsed([r for r in raws if r.section.name != "changes"])
        again = read(*write(said, EVERYTHING))
        for kind in {*said, *again}:
            count += len(said.get(kind, ()))
            one, two = same(kind, said.get(kind, ())), same(kind, again.get(kind, ()))
            if one != two:
                different[f"{file.parent.name}/{file.name} {kind}"] = difference(one, two)
        if changes:
            parts = [r for rs in parsed(changes).values() for r in rs]
            back = [r for rs in read(writer.changes(EVERYTHING, HEAD, parts, created=CREATED)).values() for r in rs]
            assert [change(r) for r in back] == [change(r) for r in parts]
    assert different == {}
    # CommerceML 1 of 1C 7.7, the English tags of Bitrix, and one that is not well-formed
    assert sorted(unreadable) == ["Sale77.xml", "Transformed77-Order8x.xml", "spec__files__xml__test.xml"]
    assert count > 5_000


def change(o: Offer) -> tuple[Any, ...]:
    return o.key, o.stock, comparable(o).prices


def difference(one: list[Any], two: list[Any]) -> Any:
    if len(one) != len(two):
        return len(one), len(two)
    for a, b in zip(one, two, strict=True):
        if a != b:
            return {
                f.name: (getattr(a, f.name), getattr(b, f.name)) for f in fields(a) if getattr(a, f.name) != getattr(b, f.name)
            }
    return None


# --- made-up records -----------------------------------------------------------------------------------------------------------

WORDS = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\ufffe\uffff"), max_size=12).map(str.strip)
NAMES = WORDS.filter(bool)
KEYS = st.from_regex(r"[a-z0-9]{1,8}(#[a-z0-9]{1,8})?", fullmatch=True)
PLAIN = st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)
AMOUNTS = st.decimals(Decimal("-99999999.99"), Decimal("99999999.99"), allow_nan=False, places=2)
PAIRS = st.lists(st.tuples(NAMES, WORDS), max_size=3).map(tuple)
SWITCH = st.sampled_from([None, True, False])
RATES = st.sampled_from([None, "none", "0", "10", "20"])


def maybe(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | of


PRODUCTS = st.builds(
    Product,
    key=KEYS,
    name=maybe(WORDS),
    article=maybe(WORDS),
    code=maybe(WORDS),
    barcode=maybe(WORDS),
    unit=maybe(st.sampled_from(["шт", "кг", "кор."])),
    unit_attributes=st.none(),
    groups=maybe(st.lists(PLAIN, max_size=3).map(tuple)),
    category=maybe(WORDS),
    description=maybe(WORDS),
    vat_rate=RATES,
    manufacturer=NAMES,
    manufacturer_key=maybe(NAMES),
    country=maybe(NAMES),
    weight=maybe(AMOUNTS),
    properties=maybe(st.lists(st.tuples(PLAIN, st.lists(WORDS, max_size=2).map(tuple)), max_size=2).map(tuple)),
    requisites=maybe(st.lists(st.tuples(NAMES.filter(lambda n: n not in FOLDED), WORDS), max_size=3).map(tuple)),
    pictures=maybe(st.lists(NAMES, max_size=2).map(tuple)),
    characteristics=maybe(PAIRS),
    deleted=st.booleans(),
)
PRICES = st.lists(
    st.builds(
        Price,
        kind=PLAIN,
        value=maybe(AMOUNTS.filter(bool)),
        currency=maybe(NAMES),
        unit=maybe(st.just("шт")),
        ratio=maybe(AMOUNTS),
        min_quantity=AMOUNTS,
    ),
    max_size=3,
    unique_by=lambda p: (p.kind, p.min_quantity),
).map(tuple)
STOCKS = st.lists(st.builds(Stock, PLAIN, AMOUNTS), min_size=1, max_size=3, unique_by=lambda s: s.warehouse).map(tuple)
OFFERS = st.builds(
    lambda key, **rest: Offer(key, key.partition("#")[0], **rest),
    KEYS,
    name=NAMES,
    article=maybe(WORDS),
    barcode=maybe(WORDS),
    unit=maybe(st.sampled_from(["шт", "кор."])),
    characteristics=maybe(PAIRS),
    properties=st.none(),
    pictures=maybe(st.lists(NAMES, max_size=2).map(tuple)),
    requisites=maybe(PAIRS.filter(bool)),
    deleted=st.booleans(),
    prices=maybe(PRICES),
    stock=maybe(STOCKS | st.builds(Stock, st.just(""), AMOUNTS).map(lambda s: (s,))),
)
ADDRESSES = st.builds(Address, NAMES, PAIRS)
PARTIES = st.builds(
    Counterparty,
    key=PLAIN,
    name=NAMES.filter(lambda n: not n.casefold().startswith(("ип ", "фоп "))),
    kind=st.sampled_from(["person", "company"]),
    last_name=WORDS,
    first_name=WORDS,
    middle_name=WORDS,
    inn=WORDS,
    kpp=WORDS,
    okpo=WORDS,
    address=maybe(ADDRESSES),
    legal_address=maybe(ADDRESSES),
    contacts=st.lists(st.tuples(st.sampled_from(["Факс", "ICQ"]), NAMES), max_size=2).map(tuple),
    role=st.sampled_from(["Покупатель", "Плательщик"]),
    requisites=PAIRS,
).map(lambda c: c if c.kind == "person" else replace(c, last_name="", first_name="", middle_name=""))
TAXES = st.lists(st.builds(Tax, NAMES, SWITCH, maybe(AMOUNTS), RATES), max_size=2).map(tuple)
DISCOUNTS = st.lists(st.builds(Discount, WORDS, maybe(AMOUNTS), maybe(AMOUNTS), SWITCH, WORDS), max_size=2).map(tuple)
WAREHOUSES = st.lists(st.builds(Warehouse, PLAIN, WORDS, maybe(ADDRESSES), PAIRS, maybe(AMOUNTS), WORDS), max_size=2).map(tuple)
LINES = st.builds(
    Line,
    key=KEYS,
    name=WORDS,
    article=WORDS,
    barcode=WORDS,
    catalogue_id=WORDS,
    classifier_id=WORDS,
    unit=maybe(st.builds(Unit, WORDS, WORDS, WORDS, WORDS)),
    packing=WORDS,
    ratio=maybe(AMOUNTS),
    price=maybe(AMOUNTS),
    quantity=maybe(AMOUNTS),
    total=maybe(AMOUNTS),
    rate=RATES,
    taxes=TAXES,
    discounts=DISCOUNTS,
    characteristics=PAIRS,
    requisites=PAIRS,
    warehouses=WAREHOUSES,
    country=WORDS,
    declaration=WORDS,
    deleted=SWITCH,
)
TIMES = st.times().map(lambda t: t.replace(microsecond=0)).filter(lambda t: t != dt.time())
MOMENTS = st.datetimes(dt.datetime(1980, 1, 1), dt.datetime(2100, 1, 1)).map(lambda m: m.replace(microsecond=0))  # noqa: DTZ001
PAYMENTS = st.lists(st.builds(DocumentPayment, WORDS, WORDS, maybe(MOMENTS), maybe(AMOUNTS), WORDS, WORDS), max_size=1).map(tuple)


def documents(inner: st.SearchStrategy[tuple[Document, ...]]) -> st.SearchStrategy[Document]:
    return st.builds(
        Document,
        id=PLAIN,
        number=WORDS,
        date=maybe(MOMENTS.map(dt.datetime.date)),
        time=maybe(TIMES),
        operation=WORDS,
        role=WORDS,
        currency=WORDS,
        rate=AMOUNTS,
        total=maybe(AMOUNTS),
        counterparties=st.lists(PARTIES, max_size=2).map(tuple),
        lines=maybe(st.lists(LINES, max_size=2).map(tuple)),
        taxes=TAXES,
        discounts=DISCOUNTS,
        warehouses=WAREHOUSES,
        payments=PAYMENTS,
        subordinate=inner,
        requisites=PAIRS,
        deleted=SWITCH,
        number_1c=WORDS,
        date_1c=maybe(MOMENTS),
        version=WORDS,
        base=WORDS,
        comment=maybe(WORDS),
        payment_due=maybe(MOMENTS.map(dt.datetime.date)),
        organisation=WORDS,
    )


DOCUMENTS = documents(st.lists(documents(st.just(())), max_size=1).map(tuple))
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUICK
@given(st.lists(PRODUCTS, min_size=1, max_size=3))
def test_products_come_back_as_they_were(products: list[Product]) -> None:
    again = read(writer.catalogue(EVERYTHING, HEAD, products, created=CREATED, only_changes=False))
    assert same(Kind.PRODUCT, again[Kind.PRODUCT]) == same(Kind.PRODUCT, products)


@QUICK
@given(st.lists(OFFERS, min_size=1, max_size=3), st.sampled_from(["attributes", "list", "rests"]))
def test_offers_come_back_as_they_were_in_every_layout_of_stock(offers: list[Offer], layout: str) -> None:
    d = replace(EVERYTHING, stock=layout)
    again = read(writer.offers(d, HEAD, offers, created=CREATED, only_changes=False))
    assert same(Kind.OFFER, again[Kind.OFFER]) == same(Kind.OFFER, offers)


@QUICK
@given(st.lists(DOCUMENTS, min_size=1, max_size=2))
def test_documents_come_back_as_they_were(documents: list[Document]) -> None:
    again = read(writer.results(documents, EVERYTHING, created=CREATED))
    assert [c for c in again[Kind.ORDER] if isinstance(c, BadRecord)] == []
    assert same(Kind.ORDER, again[Kind.ORDER]) == same(Kind.ORDER, documents)


@QUICK
@given(st.lists(DOCUMENTS, min_size=1, max_size=1))
def test_what_a_dialect_leaves_out_breaks_nothing(documents: list[Document]) -> None:
    for d in (GENERIC, BITRIX7, UNF_SUBORDINATE):
        beside = [c for order in documents for c in (order, *order.subordinate)] if d.container else documents
        returned, given = writer.results(documents, d, created=CREATED), writer.orders(documents, d, created=CREATED)
        for document, wanted in ((returned, documents), (given, beside)):
            again = read(document)[Kind.ORDER]
            assert [(c.id, c.number, c.date, c.total) for c in again] == [(c.id, c.number, c.date, c.total) for c in wanted]


@QUICK
@given(
    st.lists(st.builds(Group, PLAIN, WORDS, maybe(PLAIN), maybe(WORDS), maybe(WORDS), st.booleans()), min_size=1, max_size=8,
             unique_by=lambda g: g.key)
)  # fmt: skip
def test_no_group_is_lost_whatever_the_parents(groups: list[Group]) -> None:
    parts = writer.Parts(groups=groups)
    again = read(writer.classifier(EVERYTHING, HEAD, parts, created=CREATED, only_changes=False))[Kind.GROUP]
    assert {replace(g, parent=None) for g in again} == {replace(g, parent=None) for g in groups}
    tree = {g.key for g in groups}
    assert all(g.parent in tree for g in again if g.parent)


def test_properties_and_references_come_back_as_they_were() -> None:
    said: dict[Kind, list[Any]] = {
        Kind.PROPERTY: [
            Property("p1", "Сезон", "dictionary", (("v1", "Літо"), ("v2", "")), True, False, "products", False),
            Property("p2", "Дата", "datetime", applies_to="documents"),
            Property("p3", "Нове", "boolean"),
        ],
        Kind.REFERENCE: [
            Reference(Subject.PRICE_KIND, "r", "Роздрібна", (("currency", "UAH"), ("tax_included", "true")), True),
            Reference(Subject.WAREHOUSE, "w", "Склад", (), False),
            Reference(Subject.UNIT, "796", "шт", (("code", "796"), ("full_name", "Штука"), ("international", "PCE"))),
        ],
    }
    again = read(*write(said, EVERYTHING))
    assert {k: same(k, v) for k, v in again.items()} == {k: same(k, v) for k, v in said.items()}


def test_info_comes_back_as_it_was() -> None:
    lists = (
        (Reference(Subject.ORDER_STATE, "N", "Принят"),),
        (Reference(Subject.PAYMENT_KIND, "2", "Наличные", (("ТипОплаты", "Наличная"),)),),
        (Reference(Subject.DELIVERY, "5", "Самовывоз"),),
    )
    info = records.read_info(b"".join(writer.info(*lists, replace(GENERIC, answer_encoding="windows-1251"))))
    assert (info.statuses, info.payments, info.deliveries) == lists


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-bom", "windows-1251"])
def test_every_encoding_is_read_back(encoding: str) -> None:
    d = replace(EVERYTHING, encoding=encoding)
    said = [Product("p", "Ґанок 😀 ₴ «ёж»", deleted=False)]
    again = read(writer.catalogue(d, HEAD, said, created=CREATED, only_changes=False))
    assert is_dataclass(again[Kind.PRODUCT][0])
    assert same(Kind.PRODUCT, again[Kind.PRODUCT]) == same(Kind.PRODUCT, said)
