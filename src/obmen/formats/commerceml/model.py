"""What a CommerceML document is made of, before it means anything to the books.

Texts are stripped of padding (1C pads fixed-length strings with spaces). ``None`` means *not said*, an empty value means
*said to be empty*; amounts and quantities are Decimal, dates are the local ones of the sender, without a zone.
Sources: CommerceML 2.04–2.09 XSD, XDTO package commerceml_210 of 1C:UNF 3.0, CommerceML 3.1 files of Bitrix's 1C modules 5–7.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal

from obmen.core.records import Address, Counterparty, Kind, Reference
from obmen.formats.commerceml import values

Pairs = tuple[tuple[str, str], ...]

CLASSIFIER, CATALOGUE, OFFERS, CHANGES = "classifier", "catalogue", "offers", "changes"
DOCUMENTS, COUNTERPARTIES = "documents", "counterparties"


@dataclass(frozen=True, slots=True)
class Root:
    """The outermost element: what a document says of itself before anything else."""

    name: str
    namespace: str = ""
    version: str = ""  # ВерсияСхемы as said; informative only, senders write any number over any dialect
    created: str = ""  # ДатаФормирования as said: the same text in all portions of one run of 1C
    attributes: Pairs = ()
    encoding: str = "utf-8"  # Python's name of the codec the bytes are in


@dataclass(slots=True)
class Section:
    """A part of a document that holds records.

    It is given out before its first record with everything that stands before that record; what a sender writes after the
    records (an Ид at the end, say) is filled in when the end of the section has been read.
    """

    name: str  # classifier | catalogue | offers | changes | documents | counterparties
    root: Root
    id: str = ""
    classifier_id: str = ""
    catalogue_id: str = ""
    title: str = ""
    only_changes: bool | None = None  # СодержитТолькоИзменения, attribute or child; None: not said
    owner: Counterparty | None = None
    attributes: Pairs = ()
    extra: str = ""  # XML of small children that the reader does not know
    line: int = 0

    @property
    def version(self) -> str:
        return self.root.version

    @property
    def created(self) -> str:
        return self.root.created


@dataclass(frozen=True, slots=True)
class Raw:
    """One record as it stands in the document: UTF-8 XML of one element without namespaces.

    ``parent`` is the Ид of the group around a group, or the container of a document ("" for none).
    Groups come out children first, since a group is complete only at its end.
    """

    kind: Kind
    xml: bytes
    line: int
    section: Section
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that the reader has no meaning for, untouched. Given out at the latest at the end of its section.

    ``name`` is the path inside the section: "Интересы/Интересуюсь". ``section`` is None for a child of the root.
    """

    name: str
    xml: bytes
    line: int
    section: Section | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of measure in any of the four layouts. ``text`` is the short name, or the unit's id in CommerceML 3.1."""

    text: str = ""
    code: str = ""  # ОКЕИ: "796"
    full_name: str = ""
    international: str = ""
    key: str = ""  # Ид, where the unit is an element of its own

    @property
    def name(self) -> str:
        return self.text or self.code or self.full_name or self.key


@dataclass(frozen=True, slots=True)
class Tax:
    name: str = "НДС"
    included: bool | None = None  # УчтеноВСумме
    amount: Decimal | None = None
    rate: str | None = None  # "20", "none" (Без НДС), None: not said


@dataclass(frozen=True, slots=True)
class Discount:
    name: str = ""
    amount: Decimal | None = None
    percent: Decimal | None = None
    included: bool | None = None  # УчтеноВСумме: the amount is already inside the total
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Warehouse:
    """Склад of a document or of one of its lines; also a pickup point."""

    key: str = ""
    name: str = ""
    address: Address | None = None
    contacts: Pairs = ()
    quantity: Decimal | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """Товар of a document. ``price`` is ЦенаЗаЕдиницу, or Цена in CommerceML 3.1."""

    key: str = ""  # Ид: guid, guid#guid, ORDER_DELIVERY …
    name: str = ""
    article: str = ""
    barcode: str = ""
    catalogue_id: str = ""
    classifier_id: str = ""
    unit: Unit | None = None
    packing: str = ""  # Единица, where it stands beside БазоваяЕдиница (1C:UT)
    ratio: Decimal | None = None  # Коэффициент of the packing unit
    price: Decimal | None = None
    quantity: Decimal | None = None
    total: Decimal | None = None
    rate: str | None = None  # СтавкиНалогов: "20", "none", None
    taxes: tuple[Tax, ...] = ()
    discounts: tuple[Discount, ...] = ()
    characteristics: Pairs = ()
    requisites: Pairs = ()
    warehouses: tuple[Warehouse, ...] = ()
    country: str = ""
    declaration: str = ""  # ГТД
    deleted: bool | None = None
    extra: str = ""

    def requisite(self, name: str) -> str | None:
        return requisite(self.requisites, name)


@dataclass(frozen=True, slots=True)
class DocumentPayment:
    """Оплаты/Оплата of CommerceML 2.09."""

    number: str = ""
    transaction: str = ""
    date: dt.datetime | None = None
    amount: Decimal | None = None
    method: str = ""
    method_key: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """Документ or ПодчиненныйДокумент: an order, a payment, a shipment … as said."""

    id: str = ""
    number: str = ""
    date: dt.date | None = None
    time: dt.time | None = None
    operation: str = ""  # ХозОперация: "Заказ товара" …
    role: str = ""
    currency: str = ""
    rate: Decimal | None = None  # Курс
    total: Decimal | None = None
    counterparties: tuple[Counterparty, ...] = ()
    lines: tuple[Line, ...] | None = None  # None: Товары not said, () said to be empty
    taxes: tuple[Tax, ...] = ()
    discounts: tuple[Discount, ...] = ()
    warehouses: tuple[Warehouse, ...] = ()
    payments: tuple[DocumentPayment, ...] = ()
    subordinate: tuple[Document, ...] = ()
    requisites: Pairs = ()
    deleted: bool | None = None
    number_1c: str = ""
    date_1c: dt.datetime | None = None
    version: str = ""  # НомерВерсии of Bitrix's module, opaque
    container: str = ""  # the same text for the documents of one Контейнер
    base: str = ""  # Основание: id of the order that a payment or shipment belongs to
    comment: str | None = None
    payment_due: dt.date | None = None  # СрокПлатежа
    organisation: str = ""
    extra: str = ""

    def requisite(self, name: str) -> str | None:
        """The first value of that requisite, compared without case; None when it is not said."""
        return requisite(self.requisites, name)

    def moment(self, zone: dt.tzinfo) -> dt.datetime | None:
        """Дата + Время of a sender in ``zone`` as aware UTC; None without a date, and for one outside of the calendar."""
        return values.utc(dt.datetime.combine(self.date, self.time or dt.time()), zone) if self.date else None


@dataclass(frozen=True, slots=True)
class InfoDocument:
    """Справочник: a site's answer to ``mode=info`` (Bitrix sale 22.8)."""

    statuses: tuple[Reference, ...] = ()
    payments: tuple[Reference, ...] = ()
    deliveries: tuple[Reference, ...] = ()
    extra: str = field(default="")


def requisite(pairs: Pairs, name: str) -> str | None:
    wanted = name.casefold()
    return next((value for said, value in pairs if said.casefold() == wanted), None)
