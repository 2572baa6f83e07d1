"""Reads what an accounting system uploads: a little reader of its own, so that a mistake of the format library is noticed here.

Names are matched without their namespace, the version of the schema is not asked (facts on CommerceML §3.1, §3.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from io import BytesIO
from typing import Any

from lxml import etree


class Unreadable(Exception):
    """The file is no CommerceML; the text says why."""


@dataclass(slots=True)
class Card:
    """A ``Товар`` of the catalogue. ``marks``: the spellings of "deleted" that it carries: attribute | child | mark."""

    id: str
    name: str = ""
    full_name: str = ""
    article: str = ""
    code: str = ""
    barcode: str = ""
    unit: str = ""
    unit_code: str = ""
    description: str | None = None
    maker: str = ""
    groups: tuple[str, ...] | None = None
    pictures: tuple[str, ...] | None = None  # None: nothing is said of pictures
    properties: dict[str, tuple[str, ...]] = field(default_factory=dict)
    requisites: dict[str, str] = field(default_factory=dict)
    rate: str = ""
    options: dict[str, str] = field(default_factory=dict)
    marks: frozenset[str] = frozenset()


@dataclass(slots=True)
class Terms:
    """A ``Предложение``. ``quantity`` None and ``stock`` None: the file says nothing of it."""

    id: str
    name: str = ""
    article: str = ""
    barcode: str = ""
    options: dict[str, str] = field(default_factory=dict)
    prices: dict[str, tuple[Decimal, str]] | None = None  # kind → (value, currency)
    quantity: Decimal | None = None
    stock: dict[str, Decimal] | None = None
    marks: frozenset[str] = frozenset()


@dataclass(slots=True)
class PaperLine:
    id: str
    name: str
    article: str
    price: Decimal | None
    quantity: Decimal | None
    total: Decimal | None
    discount: Decimal
    requisites: dict[str, str]

    @property
    def service(self) -> bool:
        return self.requisites.get("ТипНоменклатуры") == "Услуга"


@dataclass(slots=True)
class Paper:
    """A ``Документ``. ``lines`` None: it has no ``Товары``. ``requisites`` in their order: the last of two may count."""

    id: str
    number: str
    operation: str
    role: str
    date: str
    time: str
    currency: str
    comment: str | None
    total: Decimal | None
    lines: tuple[PaperLine, ...] | None
    requisites: tuple[tuple[str, str], ...]
    fields: dict[str, str]  # texts of all plain children: Номер1С, ПометкаУдаления …
    buyer: str = ""
    basis: str = ""
    under: tuple[Paper, ...] = ()  # ПодчиненныеДокументы, and documents of one container that have this one as Основание

    def requisite(self, name: str) -> str:
        return next((value for key, value in self.requisites if key == name), "")


@dataclass(slots=True)
class Property:
    id: str
    name: str
    type: str
    values: dict[str, str]


@dataclass(slots=True)
class File:
    """``full``: СодержитТолькоИзменения says false. ``goods``/``offers``: the file has a Каталог / a package of offers."""

    version: str | None = None
    formed: str = ""
    moysklad: bool = False
    goods: bool = False
    offers: bool = False
    classifier: bool = False
    catalogue: str = ""
    full: bool = False
    groups: list[tuple[str, str, str]] = field(default_factory=list)  # (id, name, parent)
    kinds: list[tuple[str, str, str]] = field(default_factory=list)  # (id, name, currency)
    warehouses: list[tuple[str, str]] = field(default_factory=list)
    properties: list[Property] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)
    terms: list[Terms] = field(default_factory=list)
    papers: list[Paper] = field(default_factory=list)


def read(raw: bytes) -> File:
    """Raises Unreadable."""
    if not raw.strip():
        raise Unreadable("the file is empty")
    file, path = File(), []  # path: names of the open elements
    try:
        for event, el in etree.iterparse(
            BytesIO(raw), events=("start", "end"), resolve_entities=False, no_network=True, huge_tree=True
        ):
            if not isinstance(el.tag, str):
                continue
            name = local(el)
            if event == "start":
                path.append(name)
                if len(path) == 1:
                    _root(file, el)
                elif name in ("Каталог", "ПакетПредложений", "ИзмененияПакетаПредложений") and len(path) == 2:
                    _part(file, el, name)
                elif name == "Классификатор" and len(path) == 2:
                    file.classifier = True
                continue
            path.pop()
            _end(file, path, name, el)
    except etree.XMLSyntaxError as error:
        raise Unreadable(str(error)) from None
    return file


def _root(file: File, el: Any) -> None:
    if local(el) != "КоммерческаяИнформация":
        raise Unreadable(f"the root element is {local(el)}")
    file.version, file.formed = el.get("ВерсияСхемы"), el.get("ДатаФормирования", "")
    file.moysklad = el.get("СинхронизацияТоваров") is not None


def _part(file: File, el: Any, name: str) -> None:
    file.goods |= name == "Каталог"
    file.offers |= name != "Каталог"
    only = el.get("СодержитТолькоИзменения")
    file.full = only is not None and only.strip().lower() in ("false", "0")


def _end(file: File, path: list[str], name: str, el: Any) -> None:
    above = path[-1] if path else ""
    match name:
        case "Товар" if above == "Товары" and "Документ" not in path:
            file.cards.append(_card(el))
        case "Предложение":
            file.terms.append(_terms(el))
        case "Документ" if above in ("КоммерческаяИнформация", "Контейнер"):
            file.papers.append(_paper(el))
        case "Контейнер":
            _contain(file, len([one for one in el if local(one) == "Документ"]))
        case "ТипЦены":
            file.kinds.append((text(el, "Ид"), text(el, "Наименование"), text(el, "Валюта")))
        case "Склад" if above == "Склады" and "Предложение" not in path and "Документ" not in path:
            file.warehouses.append((text(el, "Ид"), text(el, "Наименование")))
        case "Свойство" if above == "Свойства":
            file.properties.append(_property(el))
        case "Группы" if above == "Классификатор":
            file.groups.extend(_groups(el, ""))
        case "Ид" if above in ("Каталог", "ПакетПредложений", "ИзмененияПакетаПредложений"):
            file.catalogue = file.catalogue or (el.text or "").strip().strip("#")
            return
        case "СодержитТолькоИзменения" if above in ("Каталог", "ПакетПредложений"):
            file.full = (el.text or "").strip().lower() in ("false", "0")
            return
        case _:
            return
    if above in ("Товары", "Предложения", "КоммерческаяИнформация") and "Документ" not in path:
        el.clear()


def local(el: Any) -> str:
    return str(etree.QName(el).localname)


def children(el: Any, name: str) -> Iterator[Any]:
    return (one for one in el if isinstance(one.tag, str) and local(one) == name)


def child(el: Any, name: str) -> Any:
    return next(children(el, name), None)


def text(el: Any, name: str) -> str:
    found = child(el, name)
    return "" if found is None else _plain(found)


def _plain(el: Any) -> str:
    return (el.text or "").strip(" \t\r\n\xa0")


def below(el: Any, list_name: str, name: str) -> list[Any]:
    top = child(el, list_name)
    return [] if top is None else list(children(top, name))


def number(value: str) -> Decimal | None:
    """Decimal comma, spaces for thousands and an empty text are what real files hold (facts on CommerceML §3.1)."""
    plain = value.replace("\xa0", "").replace(" ", "").replace(",", ".")
    try:
        return Decimal(plain) if plain else None
    except InvalidOperation:
        return None


def _pairs(el: Any) -> list[tuple[str, str]]:
    return [(text(one, "Наименование"), text(one, "Значение")) for one in below(el, "ЗначенияРеквизитов", "ЗначениеРеквизита")]


def _marks(el: Any) -> frozenset[str]:
    found = {"attribute"} if el.get("Статус", "").lower() in ("удален", "удалён") else set()
    if text(el, "Статус").lower() in ("удален", "удалён"):
        found.add("child")
    if text(el, "ПометкаУдаления").lower() in ("true", "1"):
        found.add("mark")
    return frozenset(found)


def _options(el: Any) -> dict[str, str]:
    return {text(one, "Наименование"): text(one, "Значение") for one in below(el, "ХарактеристикиТовара", "ХарактеристикаТовара")}


def _card(el: Any) -> Card:
    unit, groups = child(el, "БазоваяЕдиница"), child(el, "Группы")
    pictures = tuple(p for p in (_plain(one) for one in children(el, "Картинка")) if p)
    rates = below(el, "СтавкиНалогов", "СтавкаНалога")
    values = below(el, "ЗначенияСвойств", "ЗначенияСвойства")
    return Card(
        id=text(el, "Ид"),
        name=text(el, "Наименование"),
        full_name=text(el, "ПолноеНаименование") or dict(_pairs(el)).get("Полное наименование", ""),
        article=text(el, "Артикул"),
        code=text(el, "Код") or dict(_pairs(el)).get("Код", ""),
        barcode=text(el, "Штрихкод"),
        unit="" if unit is None else _plain(unit),
        unit_code="" if unit is None else unit.get("Код", "").strip(),
        description=None if child(el, "Описание") is None else text(el, "Описание"),
        maker="" if child(el, "Изготовитель") is None else text(child(el, "Изготовитель"), "Наименование"),
        groups=None if groups is None else tuple(_plain(one) for one in children(groups, "Ид")),
        pictures=pictures if child(el, "Картинка") is not None else None,
        properties={text(one, "Ид"): tuple(v for v in (_plain(v) for v in children(one, "Значение")) if v) for one in values},
        requisites=dict(_pairs(el)),
        rate=text(rates[0], "Ставка") if rates else "",
        options=_options(el),
        marks=_marks(el),
    )


def _terms(el: Any) -> Terms:
    prices = None
    if child(el, "Цены") is not None:
        prices = {}
        for one in below(el, "Цены", "Цена"):
            value = number(text(one, "ЦенаЗаЕдиницу"))
            if value is not None:
                prices[text(one, "ИдТипаЦены")] = (value, text(one, "Валюта"))
    variant = text(el, "ИдХарактеристики")
    return Terms(
        id=text(el, "Ид") + (f"#{variant}" if variant else ""),
        name=text(el, "Наименование"),
        article=text(el, "Артикул"),
        barcode=text(el, "Штрихкод"),
        options=_options(el),
        prices=prices,
        quantity=number(text(el, "Количество")),
        stock=_stock(el),
        marks=_marks(el),
    )


def _stock(el: Any) -> dict[str, Decimal] | None:
    """The three layouts: Склад with attributes, КоличествоНаСкладах, Остатки (facts on CommerceML §3.5)."""
    found: dict[str, Decimal] = {}
    for one in [*children(el, "Склад"), *children(el, "Склады")]:
        quantity = number(one.get("КоличествоНаСкладе", ""))
        if one.get("ИдСклада") and quantity is not None:
            found[one.get("ИдСклада").strip()] = quantity
    for one in below(el, "КоличествоНаСкладах", "КоличествоНаСкладе"):
        found[text(one, "ИдСклада")] = number(text(one, "Количество")) or Decimal(0)
    for one in below(el, "Остатки", "Остаток"):
        place = child(one, "Склад")
        where, holder = ("", one) if place is None else (text(place, "Ид"), place)
        found[where] = number(text(holder, "Количество")) or Decimal(0)
    return found or None


def _paper(el: Any) -> Paper:
    goods = child(el, "Товары")
    fields = {local(one): _plain(one) for one in el if isinstance(one.tag, str) and len(one) == 0}
    parties = below(el, "Контрагенты", "Контрагент") or list(children(el, "Контрагент"))
    return Paper(
        id=fields.get("Ид", ""),
        number=fields.get("Номер", ""),
        operation=fields.get("ХозОперация", ""),
        role=fields.get("Роль", ""),
        date=fields.get("Дата", ""),
        time=fields.get("Время", ""),
        currency=fields.get("Валюта", ""),
        comment=fields.get("Комментарий"),
        total=number(fields.get("Сумма", "")),
        lines=None if goods is None else tuple(_line(one) for one in children(goods, "Товар")),
        requisites=tuple(_pairs(el)),
        fields=fields,
        buyer=text(parties[0], "Наименование") if parties else "",
        basis=fields.get("Основание", ""),
        under=tuple(_paper(one) for one in below(el, "ПодчиненныеДокументы", "ПодчиненныйДокумент")),
    )


def _line(el: Any) -> PaperLine:
    discounts = (number(text(one, "Сумма")) for one in below(el, "Скидки", "Скидка"))
    return PaperLine(
        id=text(el, "Ид"),
        name=text(el, "Наименование"),
        article=text(el, "Артикул"),
        price=number(text(el, "ЦенаЗаЕдиницу") or text(el, "Цена")),
        quantity=number(text(el, "Количество")),
        total=number(text(el, "Сумма")),
        discount=sum((d for d in discounts if d), Decimal(0)),
        requisites=dict(_pairs(el)),
    )


def _contain(file: File, count: int) -> None:
    """Documents of one container: those with an Основание hang under the one they name."""
    inside, file.papers = file.papers[-count:], file.papers[:-count]
    orders = [paper for paper in inside if not paper.basis]
    for order in orders:
        order.under += tuple(p for p in inside if p.basis and p.basis in (order.id, order.number))
    file.papers.extend(orders)


def _property(el: Any) -> Property:
    values = {text(one, "ИдЗначения"): text(one, "Значение") for one in below(el, "ВариантыЗначений", "Справочник")}
    return Property(text(el, "Ид"), text(el, "Наименование"), text(el, "ТипЗначений"), values)


def _groups(top: Any, parent: str) -> Iterator[tuple[str, str, str]]:
    for one in children(top, "Группа"):
        key = text(one, "Ид")
        yield key, text(one, "Наименование"), parent
        for inner in children(one, "Группы"):
            yield from _groups(inner, key)
