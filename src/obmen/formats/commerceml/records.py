"""One record's XML into one record. Pure; this is the hot path of an import.

Records go through libxml2 some 64 KB at a time in one wrapping element: one call for each record costs more than parsing it,
and a whole catalogue at once costs memory. Namespaces and prefixes take a slower road to the same result.
"""

from __future__ import annotations

import datetime as dt
import gc
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any

from lxml import etree

from obmen.core.contract import BadRecord
from obmen.core.records import (
    Address,
    Counterparty,
    Group,
    Kind,
    Offer,
    Price,
    Product,
    Property,
    Record,
    Reference,
    Stock,
    Subject,
)
from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml import values
from obmen.formats.commerceml.model import (
    Discount,
    Document,
    DocumentPayment,
    InfoDocument,
    Line,
    Pairs,
    Tax,
    Unit,
    Warehouse,
)
from obmen.formats.commerceml.shapes import Node, Odd, Shapes

BATCH = 1 << 16  # bytes of one libxml2 call; measured flat between 32 KB and 256 KB
NOT_A_NUMBER = _("{record} {key}: {element} says “{found}” where {expected} was expected; correct it in the sending system")
MISSING = _("{record} has no {element}; it cannot be told apart from others: expected {expected}")
NOT_WHOLE = _("These bytes are not one whole {element}: {found}; expected {expected}")

Element = Any  # etree._Element: lxml's own stubs type attributes as str | bytes, which says nothing here


class NotWhole(BadRecord):
    """The bytes are not one whole element: they were cut in the wrong place, or the document is malformed there."""


def parse(
    kind: Kind, raws: Sequence[bytes], *, parents: Sequence[str] | None = None, encoding: str = "utf-8"
) -> list[Record | Document | BadRecord]:
    """One result for each of ``raws``, in order; a record that cannot be read is a BadRecord in its place.

    ``raws``: one element each, without an XML declaration, in ``encoding``. ``parents``: for GROUP the Ид of the group around
    it, for ORDER its container. PRODUCT (VARIANT) gives core Product, OFFER, PRICES and STOCK give core Offer with None for all
    that is not said, ORDER gives model.Document; the other kinds give the core record of that name.
    BadRecord facts: record, key, element, found, expected.
    """
    out: list[Any] = [None] * len(raws)
    with _collector_paused():
        if kind in GOODS:
            shapes = _shapes(kind)
            out = [shapes.read(raw, encoding, partial(_converted, kind)) for raw in raws]
        left = [at for at, record in enumerate(out) if record is None]
        for at, element in zip(left, _elements([raws[at] for at in left], encoding), strict=True):
            out[at] = element if isinstance(element, BadRecord) else _converted(kind, element, parents[at] if parents else "")
    return out


def _converted(kind: Kind, element: Element, parent: str) -> Record | Document | BadRecord:
    try:
        return CONVERTERS[kind](element, parent)  # type: ignore[no-any-return]
    except BadRecord as error:
        return error


GOODS = frozenset({Kind.PRODUCT, Kind.VARIANT, Kind.OFFER, Kind.PRICES, Kind.STOCK})
_of_this_thread = threading.local()  # shapes hold trees that are written again for each record


def _shapes(kind: Kind) -> Shapes:
    if not hasattr(_of_this_thread, "shapes"):
        _of_this_thread.shapes = {kind: Shapes() for kind in GOODS}
    return _of_this_thread.shapes[kind]  # type: ignore[no-any-return]


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Records hold no cycles, and looking for some in every few hundred new objects takes a fifth of the time (measured)."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def read_info(data: bytes) -> InfoDocument:
    """A site's answer to ``mode=info``. Raises BadDocument.

    Bitrix writes the first letter of Cтатусы as a Latin C and clients look it up by that name; both spellings are read.
    """
    from obmen.formats.commerceml import reader

    root = reader.whole(data, expected="Справочник")
    found: dict[Subject, tuple[Reference, ...]] = {}
    extra = ""
    for child in root:
        subject = _INFO.get(child.tag)
        if subject is None:
            extra += _xml(child)
            continue
        rows = []
        for item in child:
            pairs = {leaf.tag: _text(leaf) for leaf in item}
            name = pairs.pop("Название", "") or pairs.pop("Наименование", "")
            rows.append(Reference(subject, pairs.pop("Ид", "") or name, name, tuple(pairs.items())))
        found[subject] = found.get(subject, ()) + tuple(rows)
    return InfoDocument(
        found.get(Subject.ORDER_STATE, ()), found.get(Subject.PAYMENT_KIND, ()), found.get(Subject.DELIVERY, ()), extra
    )


_INFO = {
    "Cтатусы": Subject.ORDER_STATE,
    "Статусы": Subject.ORDER_STATE,
    "ПлатежныеСистемы": Subject.PAYMENT_KIND,
    "СлужбыДоставки": Subject.DELIVERY,
}


# --- bytes to elements ---------------------------------------------------------------------------------------------------


@lru_cache(4)
def _parser(encoding: str) -> etree.XMLParser:
    return etree.XMLParser(
        encoding=encoding,
        huge_tree=True,
        remove_blank_text=True,
        remove_comments=True,  # else a comment inside a text cuts it short
        remove_pis=True,
        collect_ids=False,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
    )


_PREFIX = re.compile(r"[<\s/]([^\W\d][\w.-]*):[^\W\d]")


def _elements(raws: Sequence[bytes], encoding: str) -> Iterator[Element | BadRecord]:
    start, size, total = 0, 0, len(raws)
    for i, raw in enumerate(raws):
        size += len(raw)
        if size >= BATCH or i + 1 == total:
            batch = raws[start : i + 1]
            start, size = i + 1, 0
            blob = b"<r>%b</r>" % b"".join(batch)
            try:
                root = etree.fromstring(blob, _parser(encoding))
            except etree.XMLSyntaxError:
                root = None
            if root is None or len(root) != len(batch) or root.text or any(el.tail for el in root):
                for one in batch:
                    yield _alone(one, encoding)
                continue
            if b"xmlns" in blob:
                localise(root)
            yield from root


def _alone(raw: bytes, encoding: str) -> Element | BadRecord:
    """A record that did not fit into its batch: a prefix without its declaration, or rubbish."""
    try:
        try:
            root = etree.fromstring(b"<r>%b</r>" % raw, _parser(encoding))
        except etree.XMLSyntaxError:
            prefixes = sorted(set(_PREFIX.findall(raw.decode(encoding, "replace"))) - {"xml", "xmlns"})
            declared = "".join(f' xmlns:{prefix}="{prefix}"' for prefix in prefixes).encode(encoding)
            root = etree.fromstring(b"<r%b>%b</r>" % (declared, raw), _parser(encoding))
    except etree.XMLSyntaxError as error:
        return NotWhole(NOT_WHOLE, record="", key="", element=_("record"), found=str(error), expected=_("well-formed XML"))
    if len(root) != 1 or (root.text or "").strip() or (root[0].tail or "").strip():
        found = f"{len(root)} elements" if len(root) != 1 else "text around the element"
        return NotWhole(NOT_WHOLE, record="", key="", element=_("record"), found=found, expected=_("one element"))
    localise(root)
    return root[0]


def localise(root: Element) -> None:
    """Take namespaces and prefixes off every element and attribute, in place."""
    for el in root.iter(etree.Element):
        if "}" in el.tag or ":" in el.tag:
            el.tag = local(el.tag)
        for name in [name for name in el.attrib if "}" in name]:
            value = el.attrib.pop(name)
            if local(name) not in el.attrib:
                el.set(local(name), value)
    etree.cleanup_namespaces(root)


def local(tag: str) -> str:
    return tag.rpartition("}")[2].rpartition(":")[2]


def _xml(el: Element) -> str:
    if isinstance(el, Node):
        raise Odd  # only libxml2 knows how it was spelled
    text: str = etree.tostring(el, encoding="unicode", with_tail=False)
    return text


def _text(el: Element) -> str:
    if len(el):  # HTML that its sender did not escape
        return "".join(el.itertext()).strip()
    text = el.text
    return text.strip() if text else ""


# --- values with their place -----------------------------------------------------------------------------------------------


def _missing(record: str, element: str, expected: str) -> BadRecord:
    return BadRecord(MISSING, record=record, key="", element=element, found="", expected=expected)


def _bad(record: str, key: str, element: str, found: str, expected: str) -> BadRecord:
    return BadRecord(NOT_A_NUMBER, record=record, key=key, element=element, found=found[:200], expected=expected)


_NOUGHT = Decimal(0)
_small: dict[str, Decimal] = {str(n): Decimal(n) for n in range(10_000)}


def _decimal(text: str | None, record: str, key: str, element: str) -> Decimal | None:
    if not text:
        return None
    known = _small.get(text)
    if known is not None:
        return known
    try:
        return values.decimal(text)
    except ValueError:
        raise _bad(record, key, element, text, _("a number")) from None


def _boolean(text: str | None, record: str, key: str, element: str) -> bool | None:
    try:
        return values.boolean(text)
    except ValueError:
        raise _bad(record, key, element, text or "", _("true or false")) from None


def _moment(text: str | None, record: str, key: str, element: str) -> dt.datetime | None:
    try:
        return values.moment(text)
    except ValueError:
        raise _bad(record, key, element, text or "", _("a date")) from None


def _pairs(el: Element) -> Pairs:
    """Children of the shape {Наименование, Значение*}: one pair for each value, "" for none (requisites, characteristics)."""
    out = []
    for row in el:
        if len(row) == 2:
            first, second = row[0], row[1]  # half the time of unpacking
            if first.tag == "Наименование" and second.tag == "Значение":
                name, value = first.text, second.text
                out.append((name.strip() if name else "", value.strip() if value and not len(second) else _text(second)))
                continue
        name, said = "", []
        for leaf in row:
            if leaf.tag == "Наименование":
                name = _text(leaf)
            elif leaf.tag == "Значение":
                said.append(_text(leaf))
        if not name:
            name = next((_text(leaf) for leaf in row if leaf.tag == "Ид"), "")
        out.extend((name, value) for value in said or ("",))
    return tuple(out)


_ROW_PARTS = frozenset(("Наименование", "Значение"))


def _unread(el: Element, known: frozenset[str]) -> str:
    """XML of those rows that hold more than the reader takes from them."""
    return "".join(_xml(row) for row in el if row.attrib or any(leaf.tag not in known for leaf in row))


def _properties(el: Element) -> tuple[tuple[tuple[str, tuple[str, ...]], ...], str]:
    """ЗначенияСвойств: ((property key, values), …) and the XML of rows with parts of their own (Bitrix 2.021: Тип, Описание)."""
    out: list[tuple[str, tuple[str, ...]]] = []
    extra = ""
    for row in el:
        if len(row) == 2:
            first, second = row[0], row[1]
            if first.tag == "Ид" and second.tag == "Значение" and not len(second):
                key, value = first.text, second.text
                out.append((key.strip() if key else "", (value.strip() if value else "",)))
                continue
        key, name, said, more = "", "", [], False
        for leaf in row:
            tag = leaf.tag
            if tag == "Ид":
                key = _text(leaf)
            elif tag == "Значение":
                said.append(_text(leaf))
            elif tag == "Наименование":
                name = _text(leaf)
            else:
                more = True
        if more or not (key or name):
            extra += _xml(row)
        if key or name:
            out.append((key or name, tuple(said)))
    return tuple(out), extra


def _deleted(el: Element, child: str | None, record: str, key: str) -> bool | None:
    """The three marks: @Статус="Удален" (UT, UNF), <Статус>Удален</Статус> (UNF 2.05), ПометкаУдаления (Bitrix's module)."""
    status = el.get("Статус")
    if status and status.strip().casefold() in _REMOVED:
        return True
    if child is None:
        return None
    word = child.strip().casefold()
    if word in _STATES:
        return word in _REMOVED
    try:
        return values.boolean(word)
    except ValueError:
        raise _bad(record, key, "ПометкаУдаления", child, _("true or false")) from None


def _is_mark(el: Element) -> bool:
    tag = el.tag
    return tag == "ПометкаУдаления" or (tag == "Статус" and _text(el).casefold() in _STATES)


_REMOVED = frozenset(("удален", "удалён", "видалено", "видалений"))
_STATES = _REMOVED | {"новый", "изменен", "изменён"}  # a Статус with another word is a field of somebody's own


# --- goods ---------------------------------------------------------------------------------------------------------------


def _product(el: Element, _parent: str) -> Product:
    key = name = full_name = article = code = barcode = unit = category = description = None
    kind = vat_rate = manufacturer = manufacturer_key = country = weight = mark = None
    unit_attributes: Pairs | None = None
    groups: tuple[str, ...] | None = None
    properties: tuple[tuple[str, tuple[str, ...]], ...] | None = None
    requisites: Pairs | None = None
    characteristics: Pairs | None = None
    pictures: list[str] | None = None
    described: list[tuple[str, str]] = []
    extra = ""
    for child in el:
        tag = child.tag
        if tag == "Ид":
            key = _text(child)
        elif tag == "Наименование":
            name = _text(child)
        elif tag == "Артикул":
            article = _text(child)
        elif tag == "ЗначенияСвойств":
            properties, more = _properties(child)
            extra += more
        elif tag == "ЗначенияРеквизитов":
            requisites = (requisites or ()) + _pairs(child)
        elif tag == "Картинка":
            path = _text(child)
            if pictures is None:
                pictures = []
            if path:
                pictures.append(path)
                said = child.get("Описание")
                if said:
                    described.append(("ОписаниеФайла", f"{path}#{said.strip()}"))
        elif tag == "Описание":
            description = _text(child)
        elif tag == "БазоваяЕдиница":
            unit, unit_attributes = _product_unit(child)
        elif tag == "Группы":
            groups = tuple([_text(group) for group in child])
        elif tag == "СтавкиНалогов":
            vat_rate = _rate(child)
        elif (tag == "Штрихкод" or tag == "ШтрихКод") and barcode is None:
            barcode = _text(child)
        elif tag == "ХарактеристикиТовара":
            characteristics = _pairs(child)
            extra += _unread(child, _ROW_PARTS)
        elif tag == "Изготовитель":
            manufacturer, manufacturer_key, country_said, more = _manufacturer(child)
            country, extra = country or country_said, extra + more
        elif _is_mark(child):
            mark = _text(child)
        elif tag == "ПолноеНаименование":
            full_name = _text(child)
        elif tag == "Код":
            code = _text(child)
        elif tag == "Категория" and not len(child):
            category = _text(child)
        elif tag == "Страна":
            country = _text(child)
        elif tag == "Вес":
            weight = _decimal(child.text, "Товар", key or "", "Вес")
        else:
            extra += _xml(child)
    if not key:
        raise _missing("Товар", "Ид", _("the id of the product"))
    if described:
        requisites = (requisites or ()) + tuple(described)
    if requisites:
        for title, value in requisites:
            if title == "ТипНоменклатуры":
                kind = value
            elif title == "Полное наименование":
                full_name = full_name or value
            elif title == "Код":
                code = code or value
            elif title == "Вес" and weight is None:
                weight = _weight(value)
    return Product(
        key=key,
        name=name,
        full_name=full_name,
        article=article,
        code=code,
        barcode=barcode,
        unit=unit,
        unit_attributes=unit_attributes,
        groups=groups,
        category=category,
        description=description,
        kind=kind,
        vat_rate=vat_rate,
        manufacturer=manufacturer,
        manufacturer_key=manufacturer_key,
        country=country,
        weight=weight,
        properties=properties,
        requisites=requisites,
        pictures=None if pictures is None else tuple(pictures),
        characteristics=characteristics,
        deleted=bool(_deleted(el, mark, "Товар", key)),  # a card that comes without the mark is alive again
        extra=extra,
    )


@lru_cache(4096)
def _weight(text: str) -> Decimal | None:
    try:
        return values.decimal(text)
    except ValueError:
        return None  # a requisite is free text; it stays among the requisites as it is


_UNIT_ATTRIBUTES = {"Код": "code", "НаименованиеПолное": "full_name", "НаименованиеКраткое": "short_name"}
_UNIT_ATTRIBUTES |= {"МеждународноеСокращение": "international"}


def _product_unit(el: Element) -> tuple[str, Pairs]:
    """БазоваяЕдиница in its four layouts: attributes and text, attributes alone, with Пересчет, and an id as text (3.1)."""
    pairs = [(_UNIT_ATTRIBUTES.get(name, name), value.strip()) for name, value in el.attrib.items()]
    text = (el.text or "").strip()
    for child in el:
        if child.tag != "Пересчет":
            text = text or _text(child)
            continue
        for leaf in child:
            name = {"Коэффициент": "ratio", "Единица": "ratio_unit"}.get(leaf.tag, leaf.tag)
            pairs.append((name, _text(leaf)))
    if not text:
        said = dict(pairs)
        text = said.get("code") or said.get("full_name") or ""
    return text, tuple(pairs)


def _manufacturer(el: Element) -> tuple[str, str | None, str | None, str]:
    """Изготовитель{Ид, Наименование, ОфициальноеНаименование, Страна}: name, id, country and the XML when more was said."""
    name = official = extra = ""
    key = country = None
    for child in el:
        if child.tag == "Наименование":
            name = _text(child)
        elif child.tag == "Ид":
            key = _text(child)
        elif child.tag == "ОфициальноеНаименование":
            official = _text(child)
        elif child.tag == "Страна":
            country = _text(child)
        else:
            extra = _xml(el)
    if not len(el):
        name = _text(el)
    return name or official or key or "", key, country, extra


def _rate(el: Element) -> str | None:
    """СтавкиНалогов: the VAT rate, or the only one."""
    first: str | None = None
    for row in el:
        tax = rate = ""
        for leaf in row:
            if leaf.tag == "Ставка":
                rate = leaf.text or ""
            elif leaf.tag == "Наименование":
                tax = leaf.text or ""
        if first is None or "НДС" in tax or "ПДВ" in tax:
            first = values.vat(rate)
    return first


def _offer(el: Element, _parent: str) -> Offer:
    return _offer_of(el, whole=True)


def _offer_part(el: Element, _parent: str) -> Offer:
    return _offer_of(el, whole=False)


def _offer_of(el: Element, whole: bool) -> Offer:
    key = name = article = barcode = unit = total = mark = None
    characteristic = ""
    characteristics: Pairs | None = None
    properties: tuple[tuple[str, tuple[str, ...]], ...] | None = None
    requisites: Pairs | None = None
    pictures: list[str] | None = None
    prices: tuple[Price, ...] | None = None
    stock: list[Stock] | None = None
    extra = ""
    for child in el:
        tag = child.tag
        if tag == "Склад" or tag == "Склады":
            stock = _warehouse_rows(child, stock if stock is not None else [], key or "")
        elif tag == "Ид":
            key = _text(child)
        elif tag == "Цены":
            prices, more = _prices(child, key or "")
            extra += more
        elif tag == "Количество":
            total = child.text
        elif tag == "Наименование":
            name = _text(child)
        elif tag == "Артикул":
            article = _text(child)
        elif tag == "ХарактеристикиТовара":
            characteristics = _pairs(child)
            extra += _unread(child, _ROW_PARTS)
        elif tag == "БазоваяЕдиница":
            unit, _attributes = _product_unit(child)
        elif tag == "ИдХарактеристики":
            characteristic = _text(child)
        elif tag == "Остатки" or tag == "КоличествоНаСкладах":
            stock = _warehouse_rows(child, stock if stock is not None else [], key or "")
        elif (tag == "Штрихкод" or tag == "ШтрихКод") and barcode is None:
            barcode = _text(child)
        elif _is_mark(child):
            mark = _text(child)
        elif tag == "КодЕдиницыИзмерения":
            unit = unit or _text(child)
        elif tag == "ЗначенияСвойств":
            properties, more = _properties(child)
            extra += more
        elif tag == "ЗначенияРеквизитов":
            requisites = (requisites or ()) + _pairs(child)
        elif tag == "Картинка":
            path = _text(child)
            pictures = [*(pictures or ()), path] if path else pictures or []
        elif tag == "КартинкиХарактеристики" and child.get("АдресФайла"):
            pictures = [*(pictures or ()), child.get("АдресФайла").strip()]
        else:
            extra += _xml(child)
    if not key:
        raise _missing("Предложение", "Ид", _("the id of the product, or product#characteristic"))
    if characteristic and "#" not in key:
        key = f"{key}#{characteristic}"
    if stock:
        if len({row.warehouse for row in stock}) != len(stock):
            stock = list({row.warehouse: row for row in stock}.values())
        if len(stock) > 1 and not stock[0].warehouse:
            stock = [row for row in stock if row.warehouse]  # the total of warehouses that are named one by one
    elif total and (quantity := _decimal(total, "Предложение", key, "Количество")) is not None:
        stock = [Stock("", quantity)]
    elif stock is not None and total is not None:
        stock = None  # a warehouse without a quantity beside an empty total: nothing was said
    deleted = _deleted(el, mark, "Предложение", key)
    return Offer(
        key=key,
        product=key.partition("#")[0],
        name=name,
        article=article,
        barcode=barcode,
        unit=unit,
        characteristics=characteristics,
        properties=properties,
        pictures=None if pictures is None else tuple(pictures),
        requisites=requisites,
        deleted=bool(deleted) if whole else deleted,
        prices=prices,
        stock=None if stock is None else tuple(stock),
        extra=extra,
    )


def _warehouse_rows(el: Element, rows: list[Stock], key: str) -> list[Stock] | None:
    """Every layout of stock by warehouse, added to ``rows``:

    <Склад ИдСклада="" КоличествоНаСкладе=""/> · <Склады …/> with the same attributes (2.07) · <Остатки><Остаток><Склад><Ид/>
    <Количество/> (Bitrix's module) · <КоличествоНаСкладах><КоличествоНаСкладе><ИдСклада/><Количество/> (old UT, CS-Cart).
    None when rows were there and not one said a quantity: an empty quantity is not zero.
    """
    warehouse, said = el.get("ИдСклада"), el.get("КоличествоНаСкладе")
    if warehouse is not None or said is not None:
        quantity = _decimal(said, "Предложение", key, "КоличествоНаСкладе")
        if quantity is not None:
            rows.append(Stock((warehouse or "").strip(), quantity))
        return rows or None
    spoke = False
    for row in el.iter("Склад", "Остаток", "КоличествоНаСкладе"):
        warehouse, said = row.get("ИдСклада"), row.get("КоличествоНаСкладе")
        for leaf in row:
            tag = leaf.tag
            if tag == "Ид" or tag == "ИдСклада":
                warehouse = leaf.text
            elif tag == "Количество":
                said = leaf.text
            elif tag == "Склад":
                break  # Остаток around a Склад; the Склад itself comes next
        else:
            spoke = True
            quantity = _decimal(said, "Предложение", key, "Количество")
            if quantity is not None:
                rows.append(Stock((warehouse or "").strip(), quantity))
    return None if spoke and not rows else rows


def _prices(el: Element, key: str) -> tuple[tuple[Price, ...], str]:
    out: list[Price] = []
    extra = ""
    for row in el:
        kind = currency = unit = value = least = ratio = None
        more = False
        for leaf in row:
            tag = leaf.tag
            if tag == "Представление" or tag == "Налог":
                continue  # the price as a text; the tax of the price kind
            if tag == "ИдТипаЦены":
                kind = leaf.text
            elif tag == "ЦенаЗаЕдиницу":
                value = leaf.text
            elif tag == "Валюта":
                currency = leaf.text
            elif tag == "Единица":
                unit = leaf.text
            elif tag == "Коэффициент":
                ratio = leaf.text
            elif tag == "МинКоличество" or tag == "КоличествоОт":
                least = least or leaf.text
            elif len(leaf) or (leaf.text and leaf.text.strip()):
                more = True  # КоличествоДо, ИдКаталога …
        if more:
            extra += _xml(row)
        amount = _decimal(value, "Предложение", key, "ЦенаЗаЕдиницу")
        from_quantity = _decimal(least, "Предложение", key, "МинКоличество") if least else None
        out.append(
            Price(
                kind.strip() if kind else "",
                amount or None,  # nought is "no price" for every receiver of CommerceML
                currency.strip() if currency else None,
                unit.strip() if unit else None,
                _decimal(ratio, "Предложение", key, "Коэффициент") if ratio else None,
                from_quantity or _NOUGHT,
            )
        )
    if len(out) > 1 and len({(price.kind, price.min_quantity) for price in out}) != len(out):
        out, left = _one_of_each(out, list(el))
        extra += left
    return tuple(out), extra


def _one_of_each(prices: list[Price], rows: list[Element]) -> tuple[list[Price], str]:
    """One price for each kind and quantity, and the XML of the others.

    Of several the last counts, but a price of the base unit goes before one of a packing unit (1C:UT may write both).
    """
    chosen: dict[tuple[str, Decimal], int] = {}
    for at, price in enumerate(prices):
        before = chosen.get((price.kind, price.min_quantity))
        if before is None or price.ratio in (None, 1) or prices[before].ratio not in (None, 1):
            chosen[price.kind, price.min_quantity] = at
    kept = set(chosen.values())
    return [prices[at] for at in chosen.values()], "".join(_xml(row) for at, row in enumerate(rows) if at not in kept)


# --- the classifier ------------------------------------------------------------------------------------------------------


def _group(el: Element, parent: str) -> Group:
    key, name = "", ""
    description = picture = mark = None
    extra = ""
    for child in el:
        tag = child.tag
        if tag == "Ид":
            key = _text(child)
        elif tag == "Наименование":
            name = _text(child)
        elif tag == "Описание":
            description = _text(child)
        elif _is_mark(child):
            mark = _text(child)
        elif (tag == "Картинка" or tag == "Изображение") and not len(child):
            picture = _text(child)
        elif tag != "Группы":  # nested groups are records of their own
            extra += _xml(child)
    if not key:
        raise _missing("Группа", "Ид", _("the id of the group"))
    return Group(key, name, parent or None, description, picture, bool(_deleted(el, mark, "Группа", key)), extra)


_PROPERTY_KINDS = {
    "строка": "string",
    "число": "number",
    "номер": "number",
    "время": "datetime",
    "дата": "datetime",
    "датавремя": "datetime",
    "справочник": "dictionary",
    "булево": "boolean",
}
_VALUE_PARTS = frozenset(("Ид", "ИдЗначения", "Значение"))


def _property(el: Element, _parent: str) -> Property:
    key, name, kind, applies = "", "", "", ""
    required = multiple = mark = None
    values_said: tuple[tuple[str, str], ...] = ()
    extra = ""
    for child in el:
        tag = child.tag
        if tag == "Ид":
            key = _text(child)
        elif tag == "Наименование":
            name = _text(child)
        elif tag == "ТипЗначений":
            kind = _text(child)
        elif tag == "ВариантыЗначений":
            more, left = _dictionary(child)
            values_said, extra = values_said + more, extra + left
        elif tag == "ТипыЗначений":  # 1C:UT 10.3
            for leaf in child.iter("Тип", "ВариантыЗначений"):
                if leaf.tag == "Тип":
                    kind = kind or _text(leaf)
                else:
                    more, left = _dictionary(leaf)
                    values_said, extra = values_said + more, extra + left
        elif tag == "Обязательное":
            required = _boolean(child.text, "Свойство", key, tag)
        elif tag == "Множественное":
            multiple = _boolean(child.text, "Свойство", key, tag)
        elif _is_mark(child):
            mark = _text(child)
        elif tag in _APPLIES and not applies and _boolean(child.text, "Свойство", key, tag):
            applies = _APPLIES[tag]
        else:
            extra += _xml(child)
    if not key:
        raise _missing("Свойство", "Ид", _("the id of the property"))
    word = _PROPERTY_KINDS.get(kind.casefold(), kind) or ("dictionary" if values_said else "string")
    deleted = _deleted(el, mark, "Свойство", key)
    return Property(key, name, word, values_said, required, multiple, applies, deleted, extra)


_APPLIES = {"ДляТоваров": "products", "ДляПредложений": "offers", "ДляДокументов": "documents"}


def _dictionary(el: Element) -> tuple[tuple[tuple[str, str], ...], str]:
    """Справочник{ИдЗначения, Значение} (2.05+), Значение (2.04), Вариант{Ид, Значение} (Bitrix), ВариантЗначения (UT 10.3)."""
    out = []
    extra = ""
    for row in el:
        if not len(row):
            text = _text(row)
            out.append((text, text))
            continue
        key = said = ""
        for leaf in row:
            if leaf.tag == "Значение":
                said = _text(leaf)
            elif leaf.tag in ("ИдЗначения", "Ид"):
                key = _text(leaf)
        out.append((key or said, said))
        if any(leaf.tag not in _VALUE_PARTS for leaf in row):
            extra += _xml(row)
    return tuple(out), extra


_SUBJECTS = {
    "ТипЦены": Subject.PRICE_KIND,
    "Склад": Subject.WAREHOUSE,
    "ЕдиницаИзмерения": Subject.UNIT,
    "Производитель": Subject.MANUFACTURER,
}
_REFERENCE_WORDS = {
    "Валюта": "currency",
    "Налог/Наименование": "tax",
    "Налог/УчтеноВСумме": "tax_included",
    "Налог/Ставка": "tax_rate",
    "Код": "code",
    "НаименованиеПолное": "full_name",
    "НаименованиеКраткое": "short_name",
    "МеждународноеСокращение": "international",
    "Комментарий": "comment",
    "Адрес/Представление": "address",
}


def _reference(el: Element, _parent: str) -> Reference:
    """ТипЦены, Склад, ЕдиницаИзмерения, Производитель. What has no word of ours keeps its path: "Контакты/Контакт/Тип"."""
    tag = el.tag
    subject = _SUBJECTS.get(tag)
    if subject is None:
        raise _bad(tag, "", tag, tag, "one of " + ", ".join(_SUBJECTS))
    key = name = ""
    mark = None
    attributes = [(name_, value.strip()) for name_, value in el.attrib.items() if name_ != "Статус"]
    for child in el:
        if child.tag == "Ид":
            key = _text(child)
        elif child.tag == "Наименование":
            name = _text(child)
        elif _is_mark(child):
            mark = _text(child)
        else:
            attributes.extend((_REFERENCE_WORDS.get(path, path), text) for path, text in _leaves(child, child.tag))
    said = dict(attributes)
    key = key or (said.get("code", "") if subject is Subject.UNIT else "")
    if not key:
        raise _missing(tag, "Ид", _("the id that prices, stock or goods refer to"))
    name = name or said.get("short_name") or said.get("full_name") or said.get("КраткоеНаименование") or ""
    name = name or said.get("ПолноеНаименование") or ""
    return Reference(subject, key, name, tuple(attributes), _deleted(el, mark, tag, key))


def _leaves(el: Element, path: str) -> Iterator[tuple[str, str]]:
    for name, value in el.attrib.items():
        yield f"{path}/@{name}", value.strip()
    if not len(el):
        yield path, _text(el)
    for child in el:
        yield from _leaves(child, f"{path}/{child.tag}")


# --- people and documents --------------------------------------------------------------------------------------------------


def counterparty(el: Element, _parent: str = "") -> Counterparty:
    """Контрагент or Владелец. A company says ОфициальноеНаименование; 1C:UT and UNF tell companies from persons by that."""
    text: dict[str, str] = {}
    addresses: dict[str, Address] = {}
    contacts: list[tuple[str, str]] = []
    requisites: Pairs = ()
    mark = None
    extra = ""
    for child in el:
        tag = child.tag
        if tag in _PARTY_TEXTS and not len(child):
            text.setdefault(_PARTY_TEXTS[tag], _text(child))
        elif tag in ("Адрес", "ЮридическийАдрес", "АдресРегистрации"):
            addresses[tag] = _address(child)
            for inside in child.iterchildren("Контакты"):  # CS-Cart before 4.3
                contacts += _party_contacts(inside)
        elif tag == "Контакты":
            contacts += _party_contacts(child)
            extra += "".join(_xml(row) for row in child if _child(row, "Комментарий"))
        elif tag in _PARTY_CONTACTS and not len(child):
            contacts.append((_PARTY_CONTACTS[tag], _text(child)))
        elif tag == "ЗначенияРеквизитов":
            requisites += _pairs(child)
        elif _is_mark(child):
            mark = _text(child)
        else:
            extra += _xml(child)
    official = text.pop("official", None)
    kind = "person"
    if official is not None:
        words = (official or text.get("name", "")).casefold()
        kind = "entrepreneur" if words.startswith(("ип ", "фоп ", "индивидуальный предпр", "фізична особа")) else "company"
        text["full_name"] = text.get("full_name") or official
    key = text.pop("key", "")
    return Counterparty(
        key=key or text.get("inn", "") or text.get("name", ""),
        kind=kind,
        phone=next((value for type, value in contacts if value and _is(type, "телефон", "phone")), ""),
        email=next((value for type, value in contacts if value and _is(type, "почта", "пошта", "mail")), ""),
        address=addresses.get("Адрес"),
        legal_address=addresses.get("ЮридическийАдрес") or addresses.get("АдресРегистрации"),
        contacts=tuple(contacts),
        requisites=requisites,
        deleted=_deleted(el, mark, "Контрагент", key),
        extra=extra,
        **text,
    )


_PARTY_TEXTS = {
    "Ид": "key",
    "Наименование": "name",
    "ПолноеНаименование": "full_name",
    "ОфициальноеНаименование": "official",
    "Фамилия": "last_name",
    "Имя": "first_name",
    "Отчество": "middle_name",
    "ИНН": "inn",
    "КПП": "kpp",
    "ОКПО": "okpo",
    "КодПоОКПО": "okpo",
    "ЕДРПОУ": "okpo",
    "Роль": "role",
}
_PARTY_CONTACTS = {"Телефон": "Телефон", "Email": "Почта", "ЭлектроннаяПочта": "Почта", "Факс": "Факс"}


def _party_contacts(el: Element) -> list[tuple[str, str]]:
    return [(_child(row, "Тип", "ТипКонтакта"), _child(row, "Значение")) for row in el]


def _is(type: str, *words: str) -> bool:
    said = type.casefold()
    return any(word in said for word in words)


def _address(el: Element) -> Address:
    if not len(el):
        return Address(_text(el))
    parts = tuple((_child(row, "Тип"), _child(row, "Значение")) for row in el if row.tag == "АдресноеПоле")
    return Address(_child(el, "Представление"), parts)


def _child(el: Element, *tags: str) -> str:
    return next((_text(child) for child in el if child.tag in tags), "")


def _party(el: Element, parent: str) -> Counterparty:
    party = counterparty(el)
    if not party.key:
        raise _missing("Контрагент", "Ид", _("the id of the counterparty"))
    return party


def _document(el: Element, parent: str) -> Document:
    said: dict[str, Any] = {"container": parent}
    requisites: Pairs = ()
    mark, extra = None, ""
    identity = _child(el, "Ид") or _child(el, "Номер")

    def number(child: Element) -> Decimal | None:
        return _decimal(child.text, "Документ", identity, child.tag)

    for child in el:
        tag = child.tag
        if tag in _DOCUMENT_TEXTS and not len(child):
            said[_DOCUMENT_TEXTS[tag]] = _text(child)
        elif tag == "Дата":
            moment = _moment(child.text, "Документ", identity, tag)
            if moment:
                said["date"] = moment.date()
                if "time" in said:
                    said["time"] = _in_zone(said["time"], moment.tzinfo)
                elif moment.timetz() != dt.time():
                    said["time"] = moment.timetz()
        elif tag == "Время":
            try:
                clock = values.time(child.text)
            except ValueError:
                raise _bad("Документ", identity, tag, child.text or "", _("a time")) from None
            if clock:
                said["time"] = _in_zone(clock, said["time"].tzinfo if "time" in said else None)
        elif tag == "Дата1С":
            said["date_1c"] = _moment(child.text, "Документ", identity, tag)
        elif tag == "СрокПлатежа":
            due = _moment(child.text, "Документ", identity, tag)
            said["payment_due"] = due.date() if due else None
        elif tag == "Курс":
            said["rate"] = number(child)
        elif tag == "Сумма":
            said["total"] = number(child)
        elif tag == "Контрагенты":
            said["counterparties"] = tuple([counterparty(row) for row in child])
        elif tag == "Контрагент":  # without the list around it, in an old export of 1C:UT
            said["counterparties"] = (*said.get("counterparties", ()), counterparty(child))
        elif tag == "Товары":
            said["lines"] = tuple([_line(row, identity) for row in child])
        elif tag == "Налоги":
            said["taxes"] = _taxes(child, identity)
        elif tag == "Скидки":
            said["discounts"] = _discounts(child, identity)
        elif tag == "Склады":
            said["warehouses"] = tuple([_warehouse(row, identity) for row in child])
        elif tag == "Склад":
            said["warehouses"] = (*said.get("warehouses", ()), _warehouse(child, identity))
        elif tag == "Организация":
            said["organisation"] = _child(child, "Наименование") or _text(child)
        elif tag == "Оплаты":
            said["payments"] = tuple([_payment(row, identity) for row in child])
        elif tag == "ПодчиненныеДокументы":
            said["subordinate"] = tuple([_document(row, parent) for row in child])
        elif tag == "ЗначенияРеквизитов":
            requisites += _pairs(child)
        elif _is_mark(child):
            mark = _text(child)
        else:
            extra += _xml(child)
    if not identity:
        raise _missing("Документ", "Ид", _("the id or the number of the document"))
    return Document(requisites=requisites, deleted=_deleted(el, mark, "Документ", identity), extra=extra, **said)


def _in_zone(clock: dt.time, zone: dt.tzinfo | None) -> dt.time:
    """МойСклад says the offset with the date and the time without one."""
    return clock if clock.tzinfo or zone is None else clock.replace(tzinfo=zone)


_DOCUMENT_TEXTS = {
    "Ид": "id",
    "Номер": "number",
    "ХозОперация": "operation",
    "Роль": "role",
    "Валюта": "currency",
    "Комментарий": "comment",
    "Номер1С": "number_1c",
    "НомерВерсии": "version",
    "Основание": "base",
}


def _line(el: Element, document: str) -> Line:
    said: dict[str, Any] = {}
    requisites: Pairs = ()
    mark, extra = None, ""

    def number(child: Element) -> Decimal | None:
        return _decimal(child.text, "Документ", document, f"Товары/Товар/{child.tag}")

    for child in el:
        tag = child.tag
        if tag in _LINE_TEXTS and not len(child):
            said[_LINE_TEXTS[tag]] = _text(child)
        elif tag == "ЦенаЗаЕдиницу" or (tag == "Цена" and "price" not in said):
            said["price"] = number(child)
        elif tag == "Количество":
            said["quantity"] = number(child)
        elif tag == "Сумма":
            said["total"] = number(child)
        elif tag == "Коэффициент":
            said["ratio"] = number(child)
        elif tag == "БазоваяЕдиница" or (tag == "Единица" and len(child)):
            said["unit"] = _unit(child)
        elif tag == "Единица":
            said["packing"] = _text(child)
        elif tag == "СтавкиНалогов":
            said["rate"] = _rate(child)
        elif tag == "Налоги":
            said["taxes"] = _taxes(child, document)
        elif tag == "Скидки":
            said["discounts"] = _discounts(child, document)
        elif tag == "ХарактеристикиТовара":
            said["characteristics"] = _pairs(child)
        elif tag in ("ЗначенияРеквизитов", "ДополнительныеЗначенияРеквизитов"):
            requisites += _pairs(child)
        elif tag == "Склады":
            said["warehouses"] = tuple([_warehouse(row, document) for row in child])
        elif tag == "ПометкаУдаления":
            mark = _text(child)
        else:
            extra += _xml(child)
    key = said.get("key", "")
    return Line(requisites=requisites, deleted=_deleted(el, mark, "Товар", key), extra=extra, **said)


_LINE_TEXTS = {
    "Ид": "key",
    "Наименование": "name",
    "Артикул": "article",
    "Штрихкод": "barcode",
    "ШтрихКод": "barcode",
    "ИдКаталога": "catalogue_id",
    "ИдКлассификатора": "classifier_id",
    "СтранаПроисхождения": "country",
    "ГТД": "declaration",
}


def _unit(el: Element) -> Unit:
    if el.tag == "Единица":  # CommerceML 3.1: a unit as an element of its own
        return Unit(
            text=_child(el, "НаименованиеКраткое"),
            code=_child(el, "Код"),
            full_name=_child(el, "НаименованиеПолное"),
            international=_child(el, "МеждународноеСокращение"),
            key=_child(el, "Ид"),
        )
    return Unit(
        text=(el.text or "").strip(),
        code=(el.get("Код") or "").strip(),
        full_name=(el.get("НаименованиеПолное") or "").strip(),
        international=(el.get("МеждународноеСокращение") or "").strip(),
    )


def _taxes(el: Element, document: str) -> tuple[Tax, ...]:
    return tuple(
        Tax(
            name=_child(row, "Наименование"),
            included=_boolean(_child(row, "УчтеноВСумме"), "Документ", document, "УчтеноВСумме"),
            amount=_decimal(_child(row, "Сумма"), "Документ", document, "Налог/Сумма"),
            rate=values.vat(_child(row, "Ставка")),
        )
        for row in el
    )


def _discounts(el: Element, document: str) -> tuple[Discount, ...]:
    return tuple(
        Discount(
            name=_child(row, "Наименование"),
            amount=_decimal(_child(row, "Сумма"), "Документ", document, "Скидка/Сумма"),
            percent=_decimal(_child(row, "Процент").rstrip("% "), "Документ", document, "Скидка/Процент"),
            included=_boolean(_child(row, "УчтеноВСумме"), "Документ", document, "УчтеноВСумме"),
            comment=_child(row, "Комментарий"),
        )
        for row in el
    )


def _warehouse(el: Element, document: str) -> Warehouse:
    if not len(el):
        return Warehouse(key=(el.get("ИдСклада") or "").strip(), name=_text(el))
    contacts: Pairs = ()
    address = None
    for child in el:
        if child.tag == "Контакты":
            contacts = tuple([(_child(row, "Тип"), _child(row, "Значение")) for row in child])
        elif child.tag == "Адрес":
            address = _address(child)
    quantity = _decimal(_child(el, "Количество"), "Документ", document, "Склад/Количество")
    return Warehouse(_child(el, "Ид"), _child(el, "Наименование"), address, contacts, quantity, _child(el, "Комментарий"))


def _payment(el: Element, document: str) -> DocumentPayment:
    return DocumentPayment(
        number=_child(el, "НомерДокумента"),
        transaction=_child(el, "НомерТранзакции"),
        date=_moment(_child(el, "ДатаОплаты"), "Документ", document, "ДатаОплаты"),
        amount=_decimal(_child(el, "СуммаОплаты"), "Документ", document, "СуммаОплаты"),
        method=_child(el, "СпособОплаты"),
        method_key=_child(el, "ИдСпособаОплаты"),
    )


CONVERTERS: dict[Kind, Callable[[Element, str], Any]] = {
    Kind.PRODUCT: _product,
    Kind.VARIANT: _product,
    Kind.OFFER: _offer,
    Kind.PRICES: _offer_part,
    Kind.STOCK: _offer_part,
    Kind.GROUP: _group,
    Kind.PROPERTY: _property,
    Kind.REFERENCE: _reference,
    Kind.COUNTERPARTY: _party,
    Kind.ORDER: _document,
}
