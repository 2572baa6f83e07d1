"""Writes CommerceML: goods and results of orders as 1C does, orders and reference lists as a site does.

Every document is a generator of bytes, so that a door can stream its answer and a file of any size costs the memory of one
piece; ``save`` puts one into a file. Elements go in the order of the official schemas (CommerceML 2.04–2.09 XSD), which is a
sequence everywhere. Times are written as they are given, without a zone: CommerceML means the local time of 1C's server, so
the caller converts.

Fragments are made with f-strings and joined: measured twice as fast as lxml's incremental writer at the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import BinaryIO

from obmen.core.contract import BadRecord
from obmen.core.records import (
    Address,
    Counterparty,
    Group,
    Offer,
    Price,
    Product,
    Property,
    Reference,
    Stock,
    decimal_text,
)
from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml.dialects import Dialect
from obmen.formats.commerceml.model import Discount, Document, DocumentPayment, Line, Tax, Unit, Warehouse, requisite

PIECE = 64 * 1024  # characters gathered before a piece is encoded and handed on
NAME_LENGTH = 250  # 1C:UT 11 cuts names of goods there; the schema allows 255
DEEP = 100  # levels of groups, two elements each: libxml2 of most shops stops at 256; deeper ones are written flat

# Characters that XML 1.0 cannot hold in any spelling are dropped; 1C:UNF strips them on reading, 1C:UT fails on them.
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SPECIAL = re.compile("[&<>\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SPECIAL_IN_ATTRIBUTE = re.compile('[&<>"\t\n\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]')

# Classifier of units (ОКЕИ): code → short name, full name, international abbreviation.
UNITS = {
    "796": ("шт", "Штука", "PCE"),
    "166": ("кг", "Килограмм", "KGM"),
    "163": ("г", "Грамм", "GRM"),
    "168": ("т", "Тонна", "TNE"),
    "112": ("л", "Литр", "LTR"),
    "111": ("мл", "Миллилитр", "MLT"),
    "006": ("м", "Метр", "MTR"),
    "004": ("см", "Сантиметр", "CMT"),
    "055": ("м2", "Квадратный метр", "MTK"),
    "113": ("м3", "Кубический метр", "MTQ"),
    "778": ("упак", "Упаковка", "NMP"),
    "715": ("пар", "Пара", "NPR"),
    "839": ("компл", "Комплект", "SET"),
    "356": ("ч", "Час", "HUR"),
}
_CODE_OF = {short: code for code, (short, _full, _abbreviation) in UNITS.items()}

VALUE_KINDS = {"string": "Строка", "number": "Число", "datetime": "Время", "dictionary": "Справочник", "boolean": "Булево"}
SCHEMA_VALUE_KINDS = frozenset({"Строка", "Число", "Время", "Справочник"})  # ТипЗначенийТип, CommerceML 2.05–2.09 XSD
APPLIES_TO = {"products": "ДляТоваров", "offers": "ДляПредложений", "documents": "ДляДокументов"}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What the head of a catalogue, classifier or package says."""

    key: str  # Ид of the catalogue
    name: str
    classifier: str = ""  # ИдКлассификатора; "" = the catalogue's own key
    owner: Counterparty | None = None  # the schemas require Владелец; None writes one with the catalogue's name

    @property
    def classifier_id(self) -> str:
        return self.classifier or self.key


@dataclass(frozen=True, slots=True)
class Parts:
    """What a Классификатор holds. Any part may be empty."""

    groups: Sequence[Group] = ()
    properties: Sequence[Property] = ()
    price_kinds: Sequence[Reference] = ()
    warehouses: Sequence[Reference] = ()
    units: Sequence[Reference] = ()


def text(value: str) -> str:
    """``value`` as the text of an element: escaped, without characters that XML 1.0 forbids; CR stays itself."""
    if not _SPECIAL.search(value):
        return value
    value = FORBIDDEN.sub("", value)
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def attribute(value: str) -> str:
    """``value`` as an attribute's value between double quotes; line breaks and tabs survive reading."""
    if not _SPECIAL_IN_ATTRIBUTE.search(value):
        return value
    return text(value).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")


def number(value: Decimal) -> str:
    """With a dot, without exponent and needless zeros: 1C reads no other spelling safely."""
    return decimal_text(value)


def _element(tag: str, value: str | None) -> str:
    """None is not said: no element. An empty value is said to be empty: an empty element."""
    if value is None:
        return ""
    return f"<{tag}>{text(value)}</{tag}>" if value else f"<{tag}/>"


def _filled(tag: str, value: str | None) -> str:
    return f"<{tag}>{text(value)}</{tag}>" if value else ""


def _flag(tag: str, value: bool | None) -> str:
    return "" if value is None else f"<{tag}>{'true' if value else 'false'}</{tag}>"


def _attributes(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(f' {name}="{attribute(value)}"' for name, value in pairs)


def encode(pieces: Iterable[str], encoding: str) -> Iterator[bytes]:
    """Encoded bytes, some 64 KB at a time. What windows-1251 lacks becomes a numeric character reference.

    Every piece must end between characters, and its markup must exist in the encoding.
    """
    codec = "cp1251" if encoding == "windows-1251" else "utf-8"
    if encoding == "utf-8-bom":
        yield b"\xef\xbb\xbf"
    held: list[str] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= PIECE:
            yield "".join(held).encode(codec, "xmlcharrefreplace")
            held.clear()
            size = 0
    if held:
        yield "".join(held).encode(codec, "xmlcharrefreplace")


def save(out: BinaryIO, document: Iterable[bytes]) -> int:
    """Write a document to a file; how many bytes it took."""
    return sum(out.write(piece) for piece in document)


def _declaration(encoding: str) -> str:
    return f'<?xml version="1.0" encoding="{"windows-1251" if encoding == "windows-1251" else "UTF-8"}"?>\n'


def _moment(created: datetime) -> str:
    return created.strftime("%Y-%m-%dT%H:%M:%S")


def _root(dialect: Dialect, created: datetime, *, answer: bool = False) -> str:
    if answer:
        version, encoding, more, namespace = (
            dialect.answer_version or dialect.version,
            dialect.answer_encoding,
            dialect.answer_attributes,
            "",
        )
    else:
        version, encoding, more, namespace = dialect.version, dialect.encoding, dialect.attributes, dialect.namespace
    pairs = [("xmlns", namespace)] if namespace else []
    pairs += [("ВерсияСхемы", version)] if version else []
    pairs += [("ДатаФормирования", _moment(created))] if dialect.dated else []
    return f"{_declaration(encoding)}<КоммерческаяИнформация{_attributes([*pairs, *more])}>\n"


_END = "</КоммерческаяИнформация>\n"


# --- goods ---------------------------------------------------------------------------------------------------------------


def catalogue(
    dialect: Dialect,
    head: Catalogue,
    products: Iterable[Product | str],
    *,
    created: datetime,
    only_changes: bool,
    parts: Parts | None = None,
) -> Iterator[bytes]:
    """``import.xml``: the classifier when ``parts`` are given, then Каталог. 1C:UT puts the classifier into the first portion
    only, and says ``only_changes=False`` only there. Without products there is no Каталог (the schema wants one at least). A text
    among ``products`` is what ``product`` has made of one already."""

    def pieces() -> Iterator[str]:
        yield _root(dialect, created)
        if parts is not None:
            yield from _classifier(dialect, head, parts, only_changes if dialect.split else None)
        yield from _section(
            f'<Каталог СодержитТолькоИзменения="{_bool(only_changes)}">\n{_catalogue_head(dialect, head)}<Товары>\n',
            (p if isinstance(p, str) else product(dialect, p) for p in products),
            "</Товары>\n</Каталог>\n",
        )
        yield _END

    return encode(pieces(), dialect.encoding)


def offers(
    dialect: Dialect,
    head: Catalogue,
    records: Iterable[Offer | str],
    *,
    created: datetime,
    only_changes: bool,
    price_kinds: Sequence[Reference] = (),
    warehouses: Sequence[Reference] = (),
    what: str = "all",
) -> Iterator[bytes]:
    """``offers.xml``: ПакетПредложений. ``what`` is all | offers | prices | rests: Bitrix's module writes prices and rests as
    files of their own, where an offer is nothing but its Ид and its Цены or Остатки; a record that says neither is left out. A text is what ``offer``
    has made of one already."""
    spell = {"all": offer, "offers": _offer_card, "prices": _offer_prices, "rests": _offer_rests}[what]

    def pieces() -> Iterator[str]:
        yield _root(dialect, created)
        yield from _section(
            f'<ПакетПредложений СодержитТолькоИзменения="{_bool(only_changes)}">\n'
            + _package_head(dialect, head, full=what == "all")
            + (_references(dialect, price_kinds, warehouses) if dialect.references == "package" and what == "all" else "")
            + "<Предложения>\n",
            (o if isinstance(o, str) else spell(dialect, o) for o in records),
            "</Предложения>\n</ПакетПредложений>\n",
        )
        yield _END

    return encode(pieces(), dialect.encoding)


def changes(dialect: Dialect, head: Catalogue, records: Iterable[Offer], *, created: datetime) -> Iterator[bytes]:
    """Prices and stock alone. ИзмененияПакетаПредложений where the dialect knows it ("обновления цен и остатков" of 1C:UT 11),
    with ``goods#characteristic`` parted into Ид and ИдХарактеристики; else ПакетПредложений that holds only changes."""
    if not dialect.changes:
        return offers(dialect, head, records, created=created, only_changes=True)

    def pieces() -> Iterator[str]:
        yield _root(dialect, created)
        yield from _section(
            "<ИзмененияПакетаПредложений>\n"
            f"{_element('Ид', dialect.package(head.key))}\n{_element('ИдКаталога', head.key)}\n<Предложения>\n",
            (_change(dialect, o) for o in records),
            "</Предложения>\n</ИзмененияПакетаПредложений>\n",
        )
        yield _END

    return encode(pieces(), dialect.encoding)


def classifier(
    dialect: Dialect, head: Catalogue, parts: Parts, *, created: datetime, only_changes: bool, package: bool = False
) -> Iterator[bytes]:
    """One part a file, as Bitrix's module 6 and 7 write groups, priceLists, storages, units and propertiesGoods: an empty Каталог
    (for propertiesOffers, ``package=True``, an empty ПакетПредложений) and the Классификатор with the part."""

    def pieces() -> Iterator[str]:
        yield _root(dialect, created)
        if package:
            yield f'<ПакетПредложений СодержитТолькоИзменения="{_bool(only_changes)}">\n'
            yield f"{_package_head(dialect, head, full=False)}</ПакетПредложений>\n"
        else:
            yield f'<Каталог СодержитТолькоИзменения="{_bool(only_changes)}">\n{_catalogue_head(dialect, head)}</Каталог>\n'
        yield from _classifier(dialect, head, parts, only_changes)
        yield _END

    return encode(pieces(), dialect.encoding)


def counterparties(
    dialect: Dialect, records: Iterable[Counterparty], *, created: datetime, only_changes: bool
) -> Iterator[bytes]:
    """``contragents.xml`` of 3.1: Контрагенты straight under the root."""

    def pieces() -> Iterator[str]:
        yield _root(dialect, created)
        yield f'<Контрагенты СодержитТолькоИзменения="{_bool(only_changes)}">\n'
        for record in records:
            yield counterparty(dialect, record, mark=True) + "\n"
        yield f"</Контрагенты>\n{_END}"

    return encode(pieces(), dialect.encoding)


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _section(start: str, records: Iterable[str], end: str) -> Iterator[str]:
    """``start`` and ``end`` only around at least one record: an empty list of goods conforms to no schema."""
    opened = False
    for record in records:
        if not record:
            continue
        if not opened:
            yield start
            opened = True
        yield record
        yield "\n"
    if opened:
        yield end


def _owner(head: Catalogue) -> Counterparty:
    return head.owner or Counterparty(key=head.key, name=head.name, kind="company", full_name=head.name)


def _catalogue_head(dialect: Dialect, head: Catalogue) -> str:
    return (
        f"{_element('Ид', head.key)}\n{_element('ИдКлассификатора', head.classifier_id)}\n"
        f"{_element('Наименование', head.name[:NAME_LENGTH])}\n{_owner_element(dialect, head)}"
    )


def _owner_element(dialect: Dialect, head: Catalogue) -> str:
    """The module of Bitrix writes no Владелец; every schema of 2.04–2.09 requires it."""
    return "" if dialect.split else counterparty(dialect, _owner(head), tag="Владелец") + "\n"


def _package_head(dialect: Dialect, head: Catalogue, *, full: bool) -> str:
    name = f"Пакет предложений ({head.name})"[:NAME_LENGTH]
    return (
        f"{_element('Ид', dialect.package(head.key))}\n{_element('Наименование', name)}\n{_element('ИдКаталога', head.key)}\n"
        f"{_element('ИдКлассификатора', head.classifier_id)}\n{_owner_element(dialect, head) if full else ''}"
    )


def _classifier(dialect: Dialect, head: Catalogue, parts: Parts, only_changes: bool | None) -> Iterator[str]:
    yield "<Классификатор" + ("" if only_changes is None else f' СодержитТолькоИзменения="{_bool(only_changes)}"') + ">\n"
    name = head.name if dialect.split else f"Классификатор ({head.name})"
    yield f"{_element('Ид', head.classifier_id)}\n{_element('Наименование', name[:NAME_LENGTH])}\n{_owner_element(dialect, head)}"
    if parts.groups:
        yield from _groups(dialect, parts.groups)
    yield from _section("<Свойства>\n", (_property(dialect, p) for p in parts.properties), "</Свойства>\n")
    if dialect.references == "classifier":
        yield _references(dialect, parts.price_kinds, parts.warehouses)
        yield from _section("<ЕдиницыИзмерения>\n", (_unit_reference(dialect, u) for u in parts.units), "</ЕдиницыИзмерения>\n")
    yield "</Классификатор>\n"


def _mark(dialect: Dialect, deleted: bool | None) -> str:
    return _flag("ПометкаУдаления", deleted) if dialect.deleted == "element" else ""


def _groups(dialect: Dialect, groups: Sequence[Group]) -> Iterator[str]:
    """The tree, without recursion. A group whose parent is not among ``groups`` is a root; so is the first one of a ring, and one
    that lies deeper than readers follow."""
    known = {g.key: g for g in groups}  # a group said twice is as it was said last
    groups = list(known.values())
    children: dict[str, list[Group]] = {}
    for g in groups:
        children.setdefault(g.parent if g.parent in known and g.parent else "", []).append(g)
    written: set[str] = set()
    pending = [*children.get("", ()), *groups]
    yield "<Группы>\n"
    while pending:
        batch, pending = pending, []
        for start in batch:
            if start.key in written:
                continue
            written.add(start.key)
            yield _group(dialect, start)
            stack: list[tuple[str, Iterator[Group]]] = [(start.key, iter(children.get(start.key, ())))]
            open_lists = [False]
            while stack:
                following = next((g for g in stack[-1][1] if g.key not in written), None)
                if following is None:
                    stack.pop()
                    yield "</Группы></Группа>\n" if open_lists.pop() else "</Группа>\n"
                elif len(stack) >= DEEP:
                    pending.append(following)
                else:
                    written.add(following.key)
                    if not open_lists[-1]:
                        open_lists[-1] = True
                        yield "<Группы>"
                    yield _group(dialect, following)
                    stack.append((following.key, iter(children.get(following.key, ()))))
                    open_lists.append(False)
    yield "</Группы>\n"


def _group(dialect: Dialect, g: Group) -> str:
    picture = "" if dialect.xsd else _element("Картинка", g.picture)
    return (
        f"<Группа>{_element('Ид', g.key)}{_mark(dialect, g.deleted)}{_element('Наименование', g.name[:NAME_LENGTH])}"
        f"{_element('Описание', g.description)}{picture}"
    )


def _property(dialect: Dialect, p: Property) -> str:
    kind = VALUE_KINDS.get(p.kind, p.kind)
    if dialect.xsd and (kind not in SCHEMA_VALUE_KINDS or (kind == "Справочник" and not dialect.dictionary)):
        kind = "Строка"
    if dialect.dictionary:
        values = "".join(f"<Справочник>{_filled('ИдЗначения', k)}{_element('Значение', v)}</Справочник>" for k, v in p.values)
    else:
        values = "".join(_element("Значение", v) for _key, v in p.values)
    use = APPLIES_TO.get(p.applies_to, "")
    return (
        f"<Свойство>{_element('Ид', p.key)}{_mark(dialect, p.deleted)}{_element('Наименование', p.name[:NAME_LENGTH])}"
        + ("" if dialect.xsd else _flag("Обязательное", p.required))  # in the schemas it is not a switch but a list of uses
        + f"{_flag('Множественное', p.multiple)}{_element('ТипЗначений', kind)}"
        + (f"<ВариантыЗначений>{values}</ВариантыЗначений>" if values else "")
        + (f"<{use}>true</{use}>" if use else "")
        + "</Свойство>"
    )


def _references(dialect: Dialect, price_kinds: Sequence[Reference], warehouses: Sequence[Reference]) -> str:
    out = []
    if price_kinds:
        out += ["<ТипыЦен>\n", *(_price_kind(dialect, k) for k in price_kinds), "</ТипыЦен>\n"]
    if warehouses and dialect.warehouses:
        out += ["<Склады>\n", *(_warehouse_reference(dialect, w) for w in warehouses), "</Склады>\n"]
    return "".join(out)


def _price_kind(dialect: Dialect, kind: Reference) -> str:
    about = dict(kind.attributes)
    included = about.get("tax_included")
    tax = "" if included is None else f"<Налог><Наименование>НДС</Наименование>{_element('УчтеноВСумме', included)}</Налог>"
    return (
        f"<ТипЦены>{_element('Ид', kind.key)}{_mark(dialect, kind.deleted)}{_element('Наименование', kind.name[:NAME_LENGTH])}"
        f"{_filled('Валюта', about.get('currency'))}{tax}</ТипЦены>\n"
    )


def _warehouse_reference(dialect: Dialect, warehouse: Reference) -> str:
    return (
        f"<Склад>{_element('Ид', warehouse.key)}{_mark(dialect, warehouse.deleted)}"
        f"{_element('Наименование', warehouse.name[:NAME_LENGTH])}</Склад>\n"
    )


def _unit_reference(dialect: Dialect, unit: Reference) -> str:
    about = dict(unit.attributes)
    return (
        f"<ЕдиницаИзмерения>{_element('Ид', unit.key)}{_mark(dialect, unit.deleted)}{_element('НаименованиеКраткое', unit.name)}"
        f"{_element('Код', about.get('code'))}{_element('НаименованиеПолное', about.get('full_name'))}"
        f"{_element('МеждународноеСокращение', about.get('international'))}</ЕдиницаИзмерения>"
    )


def _unit_facts(unit: str | None, about: Sequence[tuple[str, str]] | None) -> tuple[str, str, str, str]:
    """Code, short name, full name and abbreviation of a unit said in any way; "" for what neither the record nor ОКЕИ knows."""
    known = dict(about or ())
    said = (unit or "").strip()
    code = known.get("code", "").strip() or (said if said.isdigit() else _CODE_OF.get(said.rstrip("."), ""))
    code = code.zfill(3) if code.zfill(3) in UNITS else code  # "6" is 006 of ОКЕИ; "1" is somebody's own
    short, full, abbreviation = UNITS.get(code, ("", "", ""))
    name = known.get("short_name", short if about is None else "")
    if said and not said.isdigit() and said != known.get("full_name"):
        name = said
    return code, name, known.get("full_name", full), known.get("international", abbreviation)


def _base_unit(dialect: Dialect, unit: str | None, about: Sequence[tuple[str, str]] | None, *, required: bool) -> str:
    """The schemas require БазоваяЕдиница of every card, but let it be empty; one that names no goods is no card."""
    if unit is None and about is None:
        return "<БазоваяЕдиница/>" if dialect.xsd and required else ""
    if dialect.unit == "id":
        return _element("БазоваяЕдиница", unit or dict(about or ()).get("code", ""))
    code, name, full, abbreviation = _unit_facts(unit, about)
    pairs = [("Код", code)] if code else []
    pairs += [("НаименованиеПолное", full)] if full else []
    pairs += [("МеждународноеСокращение", abbreviation)] if abbreviation else []
    start = f"<БазоваяЕдиница{_attributes(pairs)}"
    if dialect.unit == "recount" and code:
        known = dict(about or ())
        packing, ratio = known.get("ratio_unit") or code, known.get("ratio") or "1"
        inside = f"<Пересчет>{_element('Единица', packing)}{_element('Коэффициент', ratio)}</Пересчет>"
        return f"{start}>{text(name)}{inside}</БазоваяЕдиница>"
    return f"{start}>{text(name)}</БазоваяЕдиница>"


def _price_unit(dialect: Dialect, unit: str | None) -> str:
    """Единица of a price or a line: the dialect's choice where the schema has room for it, else the other."""
    if dialect.price_unit == "none" or not unit:
        return ""
    code, name, _full, _abbreviation = _unit_facts(unit, None)
    shortest, longest = dialect.unit_length
    if not dialect.xsd:
        shortest, longest = 0, NAME_LENGTH
    for value in (name, code) if dialect.price_unit == "name" else (code, name):
        if value and shortest <= len(value) <= longest:
            return _element("Единица", value)
    return ""


def _list(dialect: Dialect, tag: str, inside: str, said: object) -> str:
    """A list said to be empty is an empty element; the schemas know none, so there it is left out."""
    if inside:
        return f"<{tag}>{inside}</{tag}>"
    return "" if said is None or dialect.xsd else f"<{tag}/>"


def _requisites(pairs: Iterable[tuple[str, str]]) -> str:
    inside = "".join(
        f"<ЗначениеРеквизита><Наименование>{text(name)}</Наименование>{_element('Значение', value)}</ЗначениеРеквизита>"
        for name, value in pairs
    )
    return f"<ЗначенияРеквизитов>{inside}</ЗначенияРеквизитов>" if inside else ""


def _property_values(dialect: Dialect, values: Sequence[tuple[str, tuple[str, ...]]] | None) -> str:
    none = ("",) if dialect.xsd else ()
    inside = "".join(
        f"<ЗначенияСвойства>{_element('Ид', key)}{''.join(_element('Значение', v) for v in said or none)}</ЗначенияСвойства>"
        for key, said in values or ()
    )
    return _list(dialect, "ЗначенияСвойств", inside, values)


def _characteristics(dialect: Dialect, pairs: Sequence[tuple[str, str]] | None) -> str:
    inside = "".join(
        f"<ХарактеристикаТовара>{_element('Наименование', n)}{_element('Значение', v)}</ХарактеристикаТовара>"
        for n, v in pairs or ()
    )
    return _list(dialect, "ХарактеристикиТовара", inside, pairs)


def _pictures(dialect: Dialect, paths: Sequence[str] | None) -> str:
    if paths is None or paths:
        return "".join(_element("Картинка", path) for path in paths or ())
    return "" if dialect.xsd else "<Картинка/>"


def _status(dialect: Dialect, deleted: bool | None) -> tuple[str, str]:
    """The mark of deletion as (attribute, child element)."""
    if dialect.deleted == "attribute":
        return (' Статус="Удален"' if deleted else ""), ""
    if dialect.deleted == "status":
        return "", ("<Статус>Удален</Статус>" if deleted else "")
    return "", _flag("ПометкаУдаления", deleted)


def _barcode(dialect: Dialect, barcode: str | None) -> str:
    """The schemas know no empty Штрихкод; elsewhere an empty one clears."""
    return _filled("Штрихкод", barcode) if dialect.xsd else _element("Штрихкод", barcode)


def vat_rate(rate: str) -> str:
    """``"20"`` → ``20``; ``"none"`` → ``Без НДС``, which is not 0."""
    return "Без НДС" if rate == "none" else rate


def _tax_rate(rate: str | None) -> str:
    if not rate:
        return ""
    inside = f"<СтавкаНалога><Наименование>НДС</Наименование>{_element('Ставка', vat_rate(rate))}</СтавкаНалога>"
    return f"<СтавкиНалогов>{inside}</СтавкиНалогов>"


def product(dialect: Dialect, p: Product) -> str:
    """One Товар of a catalogue."""
    status, mark = _status(dialect, p.deleted)
    requisites = list(p.requisites or ())
    said = {name for name, _value in requisites}
    for name, value in (
        ("Код", None if dialect.more else p.code),
        ("ТипНоменклатуры", p.kind),
        ("Полное наименование", p.full_name),
        ("Вес", None if dialect.more or p.weight is None else number(p.weight)),
    ):
        if value is not None and name not in said:
            requisites.append((name, value))
    groups = "".join(_element("Ид", key) for key in p.groups or ())
    manufacturer = ""
    if p.manufacturer:
        called = _element("Наименование", p.manufacturer) + _element("ОфициальноеНаименование", p.manufacturer)
        called = _filled("Ид", p.manufacturer_key) + called
        manufacturer = f"<Изготовитель>{called}</Изготовитель>"
    return (
        f"<Товар{status}>{_element('Ид', p.key)}{mark}{_barcode(dialect, p.barcode)}{_element('Артикул', p.article)}"
        + (_element("Код", p.code) if dialect.more else "")
        + _element("Наименование", None if p.name is None else p.name[:NAME_LENGTH])
        + _base_unit(dialect, p.unit, p.unit_attributes, required=p.name is not None)
        + _list(dialect, "Группы", groups, p.groups)
        + (_element("Категория", p.category) if dialect.more else "")
        + _element("Описание", p.description)
        + _pictures(dialect, p.pictures)
        + _element("Страна", p.country)
        + manufacturer
        + _property_values(dialect, p.properties)
        + _tax_rate(p.vat_rate)
        + _characteristics(dialect, p.characteristics)
        + _requisites(requisites)
        + (_element("Вес", number(p.weight)) if dialect.more and p.weight is not None else "")
        + "</Товар>"
    )


def _card(dialect: Dialect, o: Offer) -> tuple[str, str]:
    """Start tag and what an offer says besides prices and stock."""
    status, mark = _status(dialect, o.deleted)
    return f"<Предложение{status}>", (
        f"{_element('Ид', o.key)}{mark}{_barcode(dialect, o.barcode)}{_element('Артикул', o.article)}"
        + _element("Наименование", None if o.name is None else o.name[:NAME_LENGTH])
        + _base_unit(dialect, o.unit, None, required=o.name is not None)
        + _pictures(dialect, o.pictures)
        + _property_values(dialect, o.properties)
        + _characteristics(dialect, o.characteristics)
        + _requisites(o.requisites or ())
    )


def offer(dialect: Dialect, o: Offer) -> str:
    """One Предложение of a package with everything it says. The schemas of 2.04–2.09 require Цены with one Цена at least:
    an offer without prices cannot conform, and is written as it is."""
    start, inside = _card(dialect, o)
    return f"{start}{inside}{_prices(dialect, o.prices)}{_stock(dialect, o.stock)}</Предложение>"


def _offer_card(dialect: Dialect, o: Offer) -> str:
    start, inside = _card(dialect, o)
    return f"{start}{inside}</Предложение>"


def _offer_prices(dialect: Dialect, o: Offer) -> str:
    if o.prices is None:
        return ""
    return f"<Предложение>{_element('Ид', o.key)}{_prices(dialect, o.prices)}</Предложение>"


def _offer_rests(dialect: Dialect, o: Offer) -> str:
    if o.stock is None:
        return ""
    return f"<Предложение>{_element('Ид', o.key)}{_stock(dialect, o.stock) or '<Остатки/>'}</Предложение>"


def _change(dialect: Dialect, o: Offer) -> str:
    if o.prices is None and o.stock is None:
        return ""
    goods, _sharp, characteristic = o.key.partition("#")
    code = _unit_facts(o.unit, None)[0] if o.unit else ""
    stores, total = _by_store(o.stock)
    return (
        f"<Предложение>{_element('Ид', goods)}{_filled('ИдХарактеристики', characteristic)}"
        + (_element("КодЕдиницыИзмерения", code) if code else "")
        + "".join(f'<Склады ИдСклада="{attribute(s.warehouse)}" КоличествоНаСкладе="{number(s.quantity)}"/>' for s in stores)
        + _prices(dialect, o.prices)
        + ("" if total is None else _element("Количество", number(total)))
        + "</Предложение>"
    )


def _prices(dialect: Dialect, prices: Sequence[Price] | None) -> str:
    return _list(dialect, "Цены", "".join(_price(dialect, p) for p in prices or ()), prices)


def _price(dialect: Dialect, p: Price) -> str:
    # No price is an empty element; where a schema wants a decimal there, 0 means the same to every receiver.
    value = number(p.value) if p.value is not None else "0" if dialect.xsd else ""
    return (
        f"<Цена>{_element('ИдТипаЦены', p.kind)}{_element('ЦенаЗаЕдиницу', value)}{_filled('Валюта', p.currency)}"
        + _price_unit(dialect, p.unit)
        + ("" if p.ratio is None else _element("Коэффициент", number(p.ratio)))
        + (_element("МинКоличество", number(p.min_quantity)) if p.min_quantity else "")
        + "</Цена>"
    )


def _by_store(stock: Sequence[Stock] | None) -> tuple[list[Stock], Decimal | None]:
    """Stock with a named warehouse, and the total: as said (warehouse ""), else the sum; None when nothing was said."""
    if stock is None:
        return [], None
    stores = [s for s in stock if s.warehouse]
    said = [s.quantity for s in stock if not s.warehouse]
    return stores, said[-1] if said else sum((s.quantity for s in stores), Decimal(0))


def _stock(dialect: Dialect, stock: Sequence[Stock] | None) -> str:
    stores, total = _by_store(stock)
    if total is None:
        return ""
    if dialect.stock == "rests":
        inside = "".join(
            f"<Остаток><Склад>{_element('Ид', s.warehouse)}{_element('Количество', number(s.quantity))}</Склад></Остаток>"
            for s in stores
        )
        inside = inside or f"<Остаток>{_element('Количество', number(total))}</Остаток>"
        return f"<Остатки>{inside}</Остатки>"
    quantity = _element("Количество", number(total))
    if dialect.stock == "attributes":
        return quantity + "".join(
            f'<Склад ИдСклада="{attribute(s.warehouse)}" КоличествоНаСкладе="{number(s.quantity)}"/>' for s in stores
        )
    if dialect.stock == "list" and stores:
        inside = "".join(
            f"<КоличествоНаСкладе>{_element('ИдСклада', s.warehouse)}{_element('Количество', number(s.quantity))}"
            "</КоличествоНаСкладе>"
            for s in stores
        )
        return f"{quantity}<КоличествоНаСкладах>{inside}</КоличествоНаСкладах>"
    return quantity


# --- counterparties ------------------------------------------------------------------------------------------------------

# КонтактТип and АдресТип, CommerceML 2.07–2.09 XSD.
SCHEMA_CONTACTS = frozenset(
    [
        *("Телефон внутренний", "Телефон рабочий", "Телефон мобильный", "Телефон домашний", "Пейджер", "Факс", "Почта"),
        *("ICQ", "ВебСайт", "Прочее"),
    ]
)
SCHEMA_ADDRESS = frozenset(
    ["Почтовый индекс", "Страна", "Регион", "Район", "Населенный пункт", "Город", "Улица", "Дом", "Корпус", "Квартира"]
)
_CONTACT_WORDS = {"schema": ("Почта", "Телефон рабочий"), "bitrix": ("Электронная почта", "Телефон")}


def name_of(c: Counterparty) -> str:
    """What 1C will call the counterparty; "" when nothing is known, which breaks its load."""
    return (c.name or c.full_name or " ".join(p for p in (c.last_name, c.first_name, c.middle_name) if p)).strip()


def counterparty(
    dialect: Dialect,
    c: Counterparty,
    *,
    tag: str = "Контрагент",
    role: str = "",
    answer: bool = False,
    mark: bool = False,
) -> str:
    """A Контрагент, or with another ``tag`` a Владелец. 1C takes it for a legal person exactly when ОфициальноеНаименование
    is there (1C:UT 11.5), so a person never gets one and a company never gets ПолноеНаименование."""
    name = name_of(c)
    full = (c.full_name or name)[:255]
    legal = c.kind != "person"
    registered = _address(dialect, "ЮридическийАдрес" if legal else "АдресРегистрации", c.legal_address)
    numbers = _filled("ИНН", c.inn) + _filled("КПП", c.kpp)
    if legal:
        card = _element("ОфициальноеНаименование", full) + registered + numbers
    else:
        card = (
            f"{_element('ПолноеНаименование', full)}{_filled('Фамилия', c.last_name)}{_filled('Имя', c.first_name)}"
            f"{_filled('Отчество', c.middle_name)}{numbers}{registered}"
        )
    if legal or not dialect.xsd:
        card += _filled("КодПоОКПО" if dialect.split and not answer else "ОКПО", c.okpo)
    return (
        f"<{tag}>{_filled('Ид', c.key)}{_mark(dialect, c.deleted) if mark else ''}{_element('Наименование', name[:255])}{card}"
        + _address(dialect, "Адрес", c.address)
        + _contacts(dialect, c, answer)
        + _filled("Роль", role or (c.role if mark else ""))
        + ("" if dialect.xsd else _requisites(c.requisites))
        + f"</{tag}>"
    )


def _address(dialect: Dialect, tag: str, address: Address | None) -> str:
    """1C reads an address only with a non-empty Представление (1C:UT 11.5)."""
    if address is None:
        return ""
    said = address.text or ", ".join(value for _kind, value in address.parts if value)
    if not said:
        return ""
    parts = [(k, v) for k, v in address.parts if not dialect.xsd or k in SCHEMA_ADDRESS]
    inside = "".join(f"<АдресноеПоле>{_element('Тип', k)}{_element('Значение', v)}</АдресноеПоле>" for k, v in parts)
    return f"<{tag}>{_element('Представление', said)}{inside}</{tag}>"


def _contacts(dialect: Dialect, c: Counterparty, answer: bool) -> str:
    """1C:UT takes a contact only from Почта and Телефон рабочий, so in an answer the main ones go under these words."""
    mail, phone = _CONTACT_WORDS["schema" if answer else dialect.contacts]
    said = {value for _kind, value in c.contacts}
    pairs = [(word, value) for word, value in ((mail, c.email), (phone, c.phone)) if value and (answer or value not in said)]
    ours = {value for _word, value in pairs}
    pairs += [(kind, value) for kind, value in c.contacts if value not in ours]
    if dialect.xsd >= "2.07":
        pairs = [(kind if kind in SCHEMA_CONTACTS else "Прочее", value) for kind, value in pairs]
    elif dialect.xsd:  # 2.04–2.06 have no word for other kinds
        pairs = [(kind, value) for kind, value in pairs if kind in SCHEMA_CONTACTS and kind != "Прочее"]
    if not pairs:
        return ""
    inside = "".join(f"<Контакт>{_element('Тип', k)}{_element('Значение', v)}</Контакт>" for k, v in pairs)
    return f"<Контакты>{inside}</Контакты>"


# --- documents -----------------------------------------------------------------------------------------------------------

ORDER = "Заказ товара"
DELIVERY_KEY = "ORDER_DELIVERY"


class Mended(BadRecord):
    """1C would stumble over it, but the writer has a safe spelling: the order goes, the page may tell."""


def check_order(document: Document, dialect: Dialect) -> list[BadRecord]:
    """Why this order would break 1C's load, or be loaded wrongly; [] = it may go.

    1C loads all orders of an answer or none, so one bad order blocks the rest for ever: what is not ``Mended`` must be
    mended by the caller or parked. Facts always hold ``number``. Sources: 1C:UT 11.5 and 1C:UNF 3.0, loading of orders.
    """
    found: list[BadRecord] = []
    facts: dict[str, object] = {"number": document.number or document.id}

    def bad(sentence: str, **more: object) -> None:
        found.append(BadRecord(sentence, **facts, **more))

    def mended(sentence: str, **more: object) -> None:
        found.append(Mended(sentence, **facts, **more))

    if document.operation.strip().casefold() != ORDER.casefold():
        bad(_("Order {number}: the operation is {operation}, and 1C refuses the whole answer unless it is Заказ товара"),
            operation=document.operation or "—")  # fmt: skip
    if not document.currency.strip():
        bad(_("Order {number} has no currency, and 1C refuses the whole answer: set the currency's name as 1C knows it"))
    if not document.number.strip():
        bad(_("Order {number} has no number, and 1C cannot find it again: give it one"))
    elif dialect.number_length and len(document.number.strip()) > dialect.number_length:
        bad(_("Order {number}: 1C compares only {limit} characters of a number and would double this order: shorten the number"),
            limit=dialect.number_length)  # fmt: skip
    elif dialect.number_digits and not any(ch.isdigit() for ch in document.number):
        bad(_("Order {number}: 1C keeps only the digits of a number, and here are none: give it a number with digits"))
    if document.date is None or not 1980 <= document.date.year <= 2100:
        bad(_("Order {number}: the date {date} is missing or impossible: set the order's date"), date=str(document.date or "—"))
    for name, value in (("Ид", document.id), ("Номер", document.number), *(("Товар/Ид", ln.key) for ln in document.lines or ())):
        if FORBIDDEN.search(value):
            bad(_("Order {number}: {element} holds a character that XML cannot carry: correct it"), element=name)
    if not document.counterparties or not name_of(document.counterparties[0]):
        bad(_("Order {number}: the customer has no name, and 1C stops loading there: fill in the name"))
    if len(document.counterparties) > 1:
        mended(_("Order {number}: 1C reads only the first of {count} counterparties; the others are left out"),
               count=len(document.counterparties))  # fmt: skip
    for at, ln in enumerate(document.lines or (), 1):
        if not ln.name.strip():
            bad(_("Order {number}, line {line}: the goods have no name, and 1C cannot make a card for them: fill it in"), line=at)
        if ln.quantity is None:
            bad(_("Order {number}, line {line}: no quantity is said, and 1C would leave the line out: fill it in"), line=at)
        if ln.price is None and ln.total is None:
            bad(_("Order {number}, line {line}: neither price nor amount is said: fill one in"), line=at)
    uniform = _Uniform.of(document.lines or ())
    if uniform.mixed:
        mended(
            _("Order {number}: some lines say a unit or VAT and others do not; 1C would carry them over, so all lines say them")
        )
    if any(not _complete(w) for w in document.warehouses):
        mended(
            _("Order {number}: a pickup point without all of id, name, one address field and a contact stops 1C; it is left out")
        )
    return found


def orders(
    documents: Iterable[Document],
    dialect: Dialect,
    *,
    created: datetime,
    refused: Callable[[Document, Sequence[BadRecord]], None] | None = None,
) -> Iterator[bytes]:
    """A site's answer to ``mode=query``: orders for 1C; without documents the root alone, which is the answer "nothing new".

    With ``refused`` every document is checked first, and one that would break 1C's load is handed there instead of being
    written; without it the caller has done so (``check_order``).
    """

    def pieces() -> Iterator[str]:
        yield _root(dialect, created, answer=True)
        for d in documents:
            if refused is not None:
                faults = [e for e in check_order(d, dialect) if not isinstance(e, Mended)]
                if faults:
                    refused(d, faults)
                    continue
            body = document(dialect, d, answer=True)
            if dialect.container:  # payments and shipments are documents of their own beside the order, with its id as Основание
                body += "".join(document(dialect, s, answer=True) for s in d.subordinate)
            yield _contained(dialect, body)
        yield _END

    return encode(pieces(), dialect.answer_encoding)


def results(documents: Iterable[Document], dialect: Dialect, *, created: datetime) -> Iterator[bytes]:
    """``orders-{uuid}_{n}.xml``: what 1C tells the site of its orders. Documents with the same ``container`` that follow each
    other share a Контейнер where the dialect has them."""

    def pieces() -> Iterator[str]:
        yield _root(dialect, created)
        inside = ""
        for d in documents:
            if dialect.container and inside and inside != d.container:
                yield "</Контейнер>\n"
                inside = ""
            if dialect.container and d.container and not inside:
                yield "<Контейнер>\n"
                inside = d.container
            body = document(dialect, d)
            yield body + "\n" if inside else _contained(dialect, body)
        if inside:
            yield "</Контейнер>\n"
        yield _END

    return encode(pieces(), dialect.encoding)


def _contained(dialect: Dialect, body: str) -> str:
    return f"<Контейнер>{body}</Контейнер>\n" if dialect.container else body + "\n"


def document(dialect: Dialect, d: Document, *, answer: bool = False, tag: str = "Документ") -> str:
    """One Документ: with ``answer`` as a site gives it to 1C, else as 1C returns it."""
    return "".join(
        (
            f"<{tag}>{_element('Ид', d.id)}",
            _element("Номер", d.number) if d.number or tag == "Документ" else "",
            _element("Дата", d.date.isoformat()) if d.date else "",
            f"{_element('ХозОперация', d.operation)}{_filled('Роль', d.role)}",
            _element("Валюта", d.currency if answer or not dialect.currency_length else d.currency[: dialect.currency_length]),
            _element("Курс", number(d.rate) if d.rate is not None else "1"),
            _element("Сумма", number(d.total)) if d.total is not None else "",
            _header(d) if dialect.header else "",
            _filled("Основание", d.base),
            _document_counterparties(dialect, d, answer),
            _payments(d.payments) if dialect.payments else "",
            _element("Время", d.time.strftime("%H:%M:%S")) if d.time is not None else "",
            _element("СрокПлатежа", d.payment_due.isoformat()) if d.payment_due else "",
            _element("Комментарий", d.comment),
            _taxes(d.taxes),
            _discounts(d.discounts),
            _warehouses(d.warehouses, answer) if dialect.document_warehouses else "",
            _lines(dialect, d, answer),
            _requisites(_document_requisites(dialect, d, answer)),
            "" if dialect.xsd else _filled("Организация", d.organisation),
            _subordinate(dialect, d, answer) if dialect.subordinate else "",
            f"</{tag}>",
        )
    )


def _header(d: Document) -> str:
    moment = _element("Дата1С", d.date_1c.strftime("%Y-%m-%dT%H:%M:%S")) if d.date_1c else ""
    return _filled("НомерВерсии", d.version) + _flag("ПометкаУдаления", d.deleted) + _filled("Номер1С", d.number_1c) + moment


def _document_requisites(dialect: Dialect, d: Document, answer: bool) -> Sequence[tuple[str, str]]:
    if answer:
        return d.requisites
    pairs = d.requisites
    if d.deleted and not dialect.header and requisite(pairs, "ПометкаУдаления") is None:
        pairs = (*pairs, ("ПометкаУдаления", "true"))
    return [(k, v) for k, v in pairs if v not in ("", "false")] if dialect.marks == "set" else pairs


def _document_counterparties(dialect: Dialect, d: Document, answer: bool) -> str:
    """1C reads only the first counterparty of an order, so an answer holds no other."""
    said = d.counterparties[:1] if answer else d.counterparties
    if not said:
        return ""
    inside = "".join(counterparty(dialect, c, role=c.role or dialect.buyer_role, answer=answer) for c in said)
    return f"<Контрагенты>{inside}</Контрагенты>"


def _payments(payments: Sequence[DocumentPayment]) -> str:
    if not payments:
        return ""
    inside = "".join(
        f"<Оплата>{_element('НомерДокумента', p.number)}{_element('НомерТранзакции', p.transaction)}"
        + (_element("ДатаОплаты", p.date.strftime("%Y-%m-%dT%H:%M:%S")) if p.date else "")
        + (_element("СуммаОплаты", number(p.amount)) if p.amount is not None else "")
        + f"{_element('СпособОплаты', p.method)}{_filled('ИдСпособаОплаты', p.method_key)}</Оплата>"
        for p in payments
    )
    return f"<Оплаты>{inside}</Оплаты>"


def _taxes(taxes: Sequence[Tax]) -> str:
    if not taxes:
        return ""
    inside = "".join(
        f"<Налог>{_element('Наименование', t.name)}{_flag('УчтеноВСумме', t.included)}"
        + (_element("Сумма", number(t.amount)) if t.amount is not None else "")
        + (_element("Ставка", vat_rate(t.rate)) if t.rate is not None else "")
        + "</Налог>"
        for t in taxes
    )
    return f"<Налоги>{inside}</Налоги>"


def _discounts(discounts: Sequence[Discount]) -> str:
    if not discounts:
        return ""
    inside = "".join(
        f"<Скидка>{_element('Наименование', d.name)}"
        + (_element("Сумма", number(d.amount)) if d.amount is not None else "")
        + (_element("Процент", number(d.percent)) if d.percent is not None else "")
        + f"{_flag('УчтеноВСумме', d.included)}{_filled('Комментарий', d.comment)}</Скидка>"
        for d in discounts
    )
    return f"<Скидки>{inside}</Скидки>"


def _complete(w: Warehouse) -> bool:
    """1C:UT 11.5 reads a pickup point's id, name, the one address field and the contact without asking whether they are there."""
    address = w.address
    return bool(w.key and w.name and address and (address.text or address.parts[0:1]) and len(address.parts) == 1 and w.contacts)


def _warehouses(warehouses: Sequence[Warehouse], answer: bool) -> str:
    inside = "".join(_warehouse(w, answer) for w in warehouses if not answer or _complete(w))
    return f"<Склады>{inside}</Склады>" if inside else ""


def _warehouse(w: Warehouse, answer: bool = False) -> str:
    address = ""
    if w.address is not None:
        parts = "".join(f"<АдресноеПоле>{_element('Тип', k)}{_element('Значение', v)}</АдресноеПоле>" for k, v in w.address.parts)
        said = w.address.text or ", ".join(v for _kind, v in w.address.parts)
        address = f"<Адрес>{_element('Представление', said)}{parts}</Адрес>"
    pairs = w.contacts[:1] if answer else w.contacts
    contacts = "".join(f"<Контакт>{_element('Тип', k)}{_element('Значение', v)}</Контакт>" for k, v in pairs)
    return (
        f"<Склад>{_element('Ид', w.key)}{_filled('Наименование', w.name)}{_filled('Комментарий', w.comment)}{address}"
        + (f"<Контакты>{contacts}</Контакты>" if contacts else "")
        + (_element("Количество", number(w.quantity)) if w.quantity is not None else "")
        + "</Склад>"
    )


@dataclass(frozen=True, slots=True)
class _Uniform:
    """What every line of an order must say because one of them does: 1C:UT 11.5 does not reset unit, ratio and VAT between
    lines, so a line that says none would inherit those of the line above."""

    unit: bool
    rate: bool
    mixed: bool

    @classmethod
    def of(cls, lines: Sequence[Line]) -> _Uniform:
        unit = any(ln.packing or ln.unit is not None or ln.ratio is not None for ln in lines)
        rate = any(ln.rate is not None for ln in lines)
        mixed = (unit and any(ln.unit is None for ln in lines)) or (rate and any(ln.rate is None for ln in lines))
        return cls(unit, rate, mixed)


def _lines(dialect: Dialect, d: Document, answer: bool) -> str:
    lines = d.lines or ()
    uniform = _Uniform.of(lines) if answer else _Uniform(False, False, False)
    return _list(dialect, "Товары", "".join(line(dialect, ln, answer=answer, uniform=uniform) for ln in lines), d.lines)


def line(dialect: Dialect, ln: Line, *, answer: bool = False, uniform: _Uniform | None = None) -> str:
    """One Товар of a document. In an answer whose dialect reads no Скидки of lines, price and Сумма are what the buyer pays."""
    uniform = uniform or _Uniform(False, False, False)
    price, total, discounts = ln.price, ln.total, ln.discounts
    if answer and discounts and not dialect.line_discounts:
        price, total = _net(ln)
        discounts = ()
    rate = ln.rate if ln.rate is not None else "none" if uniform.rate else None
    unit = ln.unit or (Unit(text="шт", code="796") if uniform.unit else None)
    ratio = ln.ratio if ln.ratio is not None else Decimal(1) if uniform.unit else None
    status, mark = _status(dialect, ln.deleted)
    if dialect.line_unit and not answer:
        head, packing = "", _line_unit(unit) if unit else ""
    else:
        head = _document_unit(dialect, unit)
        packing = _packing(dialect, ln.packing, unit) if ln.packing or uniform.unit else ""
    return "".join(
        (
            f"<Товар{status}>{_element('Ид', ln.key)}{mark}{_filled('Штрихкод', ln.barcode)}{_filled('Артикул', ln.article)}",
            f"{_element('Наименование', ln.name[:NAME_LENGTH])}{head}",
            _tax_rate(rate),
            _characteristics(dialect, ln.characteristics or None),
            _requisites(ln.requisites),
            f"{_filled('ИдКаталога', ln.catalogue_id)}{_filled('ИдКлассификатора', ln.classifier_id)}",
            _element("ЦенаЗаЕдиницу" if answer else dialect.line_price, number(price)) if price is not None else "",
            _element("Количество", number(ln.quantity)) if ln.quantity is not None else "",
            _element("Сумма", number(total)) if total is not None else "",
            packing,
            _element("Коэффициент", number(ratio)) if ratio is not None else "",
            f"{_filled('СтранаПроисхождения', ln.country)}{_filled('ГТД', ln.declaration)}",
            _taxes(ln.taxes),
            _discounts(discounts),
            _line_warehouses(dialect, ln, answer),
            "</Товар>",
        )
    )


def _net(ln: Line) -> tuple[Decimal | None, Decimal | None]:
    """Price and amount after discounts. 1C takes the price before the amount, so a price before discounts would win."""
    total = ln.total if ln.total is not None else (ln.price or Decimal(0)) * (ln.quantity or Decimal(0))
    total -= sum((d.amount for d in ln.discounts if d.included is False and d.amount is not None), Decimal(0))
    if not ln.quantity:
        return ln.price, total
    price = total / ln.quantity
    exact = price.quantize(Decimal("0.01"), ROUND_HALF_UP)
    return exact, total


def _document_unit(dialect: Dialect, unit: Unit | None) -> str:
    if unit is None:
        return "<БазоваяЕдиница/>" if dialect.xsd else ""
    pairs = [("Код", unit.code)] if unit.code else []
    pairs += [("НаименованиеПолное", unit.full_name)] if unit.full_name else []
    pairs += [("МеждународноеСокращение", unit.international)] if unit.international else []
    return f"<БазоваяЕдиница{_attributes(pairs)}>{text(unit.text)}</БазоваяЕдиница>"


def _packing(dialect: Dialect, said: str, unit: Unit | None) -> str:
    """Единица of a line as said, else the code or name of its unit; only what the schema has room for."""
    shortest, longest = dialect.unit_length if dialect.xsd else (0, NAME_LENGTH)
    code, name = (unit.code or _CODE_OF.get(unit.text, ""), unit.text) if unit else ("", "")
    for value in (said, code, name):
        if value and shortest <= len(value) <= longest:
            return _element("Единица", value)
    return ""


def _line_unit(unit: Unit) -> str:
    return (
        f"<Единица>{_filled('Ид', unit.key)}{_filled('НаименованиеКраткое', unit.text)}{_filled('Код', unit.code)}"
        f"{_filled('НаименованиеПолное', unit.full_name)}{_filled('МеждународноеСокращение', unit.international)}</Единица>"
    )


def _line_warehouses(dialect: Dialect, ln: Line, answer: bool) -> str:
    if answer or not dialect.document_warehouses or not ln.warehouses:
        return ""
    return f"<Склады>{''.join(_warehouse(w) for w in ln.warehouses)}</Склады>"


def _subordinate(dialect: Dialect, d: Document, answer: bool) -> str:
    if not d.subordinate:
        return ""
    inside = "".join(document(dialect, s, answer=answer, tag="ПодчиненныйДокумент") for s in d.subordinate)
    return f"<ПодчиненныеДокументы>{inside}</ПодчиненныеДокументы>"


# --- what 1C says of an order --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Result:
    """What has become of an order in 1C. Times are local to 1C, without a zone."""

    number: str = ""
    date: datetime | None = None
    posted: bool = False
    deleted: bool = False
    cancelled: bool = False
    payment: tuple[str, datetime] | None = None  # number and date of the payment: posted and nothing left to pay
    shipment: tuple[str, datetime] | None = None  # number and date of the shipment: posted and nothing left to ship
    state: str = ""
    state_key: str = ""


def result_requisites(dialect: Dialect, result: Result) -> tuple[tuple[str, str], ...]:
    """The requisites by which 1C tells the result: ``marks="set"`` as 1C:UT 11.5 (what is empty or false is not written),
    ``marks="all"`` as 1C:UNF 3.0 and Bitrix's module (Оплачен, Отгружен and states as well)."""

    def when(moment: datetime | None) -> str:
        if moment is None:
            return ""
        hour = str(moment.hour) if dialect.short_hour else f"{moment.hour:02}"
        return f"{moment:%Y-%m-%d}T{hour}:{moment:%M:%S}"

    pay_number, pay_date = result.payment or ("", None)
    ship_number, ship_date = result.shipment or ("", None)
    pairs = [
        ("Номер по 1С", result.number),
        ("Дата по 1С", when(result.date)),
        ("ПометкаУдаления", _bool(result.deleted)),
        ("Проведен", _bool(result.posted)),
        ("Номер оплаты по 1С", pay_number),
        ("Дата оплаты по 1С", when(pay_date)),
        ("Номер отгрузки по 1С", ship_number),
        ("Дата отгрузки по 1С", when(ship_date)),
        ("Отменен", _bool(result.cancelled)),
    ]
    if dialect.marks == "set":
        return tuple((k, v) for k, v in pairs if v not in ("", "false"))
    pairs += [
        ("Оплачен", _bool(result.payment is not None)),
        ("Отгружен", _bool(result.shipment is not None)),
        ("Статуса заказа ИД", result.state_key),
        ("Статус заказа", result.state),
    ]
    return tuple((k, v) for k, v in pairs if v)


# --- reference lists of a site -------------------------------------------------------------------------------------------


def info(
    statuses: Iterable[Reference], payments: Iterable[Reference], deliveries: Iterable[Reference], dialect: Dialect
) -> Iterator[bytes]:
    """A site's answer to ``mode=info`` (Bitrix sale 22.8): its states of orders, ways of payment and ways of delivery."""

    def pieces() -> Iterator[str]:
        yield f"{_declaration(dialect.answer_encoding)}<Справочник>\n"
        for tag, records in ((dialect.statuses, statuses), ("ПлатежныеСистемы", payments), ("СлужбыДоставки", deliveries)):
            yield f"<{tag}>\n"
            for r in records:
                kind = _filled("ТипОплаты", dict(r.attributes).get("ТипОплаты")) if tag == "ПлатежныеСистемы" else ""
                yield f"<Элемент>{_element('Ид', r.key)}{_element('Название', r.name)}{kind}</Элемент>\n"
            yield f"</{tag}>\n"
        yield "</Справочник>\n"

    return encode(pieces(), dialect.answer_encoding)
