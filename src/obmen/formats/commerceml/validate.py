"""What is wrong in a CommerceML document, with file, line and element, as a stream in bounded memory.

An *error* is something that a receiver cannot take (damaged XML, a record without an id, a number that is none, an order that
stops 1C's load). A *warning* is something that it takes otherwise than the sender may think. Shapes: CommerceML 2.04–2.09 XSD,
XDTO package commerceml_210 of 1C:UNF 3.0, files of Bitrix's 1C modules 5–7 (3.1). Rules for orders: 1C:UT 11.5 and UNF 3.0,
common module ОбменССайтом.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

from obmen.core.contract import BadDocument
from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml import reader, records, values
from obmen.formats.findings import ERROR, WARNING, Finding, unreadable
from obmen.formats.findings import Ids as _Ids

NOT_A_VALUE = _("“{found}” is not {expected}")
NO_CHILD = _("{child} is missing; expected {expected}")
EMPTY_CHILD = _("{child} is empty; expected {expected}")
UNKNOWN = _("an unknown element, kept but not understood; expected {expected}. It is reported once")
TWICE = _("the Ид “{found}” was there before in this section; expected a different id for each record")
TOO_MANY = _("there are more than {limit} records; repeated ids are not looked for beyond that")
NOWHERE = _("“{found}” is nowhere in the {expected} of this file ({count} times)")
NEGATIVE = _("{found} is less than zero; expected {expected}")
LOOSE_TEXT = _("text between elements: “{found}”; expected only elements")
BAD_OPERATION = _("“{found}”: 1C refuses the whole load of orders; expected {expected}")
LONG_NUMBER = _("“{found}” is {length} characters long; 1C:UT looks for 11 at the most and makes the order anew each time")
UNPADDED = _("“{found}”: 1C reads this as no date at all; expected {expected}")
NO_QUANTITY = _("the line has no quantity; 1C leaves it out")
UNEVEN = _("{child} is on some lines of the document only; 1C:UT carries it over to the lines without it")


# --- shapes ----------------------------------------------------------------------------------------------------------------

TEXT, NUMBER, AMOUNT, BOOLEAN, DATE, TIME, ANY = "text", "number", "amount", "boolean", "date", "time", "any"

Check = Callable[[str], object]
_VALUES: dict[str, tuple[Check, str]] = {
    NUMBER: (values.decimal, "a number such as 1234.5"),
    AMOUNT: (values.decimal, "a number such as 1234.5"),
    BOOLEAN: (values.boolean, "true or false"),
    DATE: (values.moment, "a date such as 2024-03-01 or 2024-03-01T09:05:00"),
    TIME: (values.time, "a time such as 09:05:00"),
}


@dataclass(frozen=True, slots=True)
class Shape:
    children: Mapping[str, str]  # name → shape, or one of the words above
    required: tuple[str, ...] = ()  # "Ид|Номер": either
    advised: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    own: str = ANY  # check of the element's text, for one that may also have children


def _words(text: str, shape: str = TEXT) -> dict[str, str]:
    return dict.fromkeys(text.split(), shape)


_MARKED = {"НомерВерсии": TEXT, "ПометкаУдаления": BOOLEAN, "Статус": TEXT}
_NAMED = {**_MARKED, "Ид": TEXT, "Наименование": TEXT}
_ONLY_CHANGES = {"СодержитТолькоИзменения": BOOLEAN}
_GOODS = {
    **_NAMED,
    **_words("Артикул Код Штрихкод ШтрихКод ПолноеНаименование Описание Картинка Категория Страна ТорговаяМарка Единица"),
    **_words("Вес Длина Ширина Высота Коэффициент", NUMBER),
    "БазоваяЕдиница": "unit",
    "Пересчет": ANY,
    "Группы": "ids",
    "Изготовитель": ANY,
    "ЗначенияСвойств": "property_values",
    "ХарактеристикиТовара": "characteristics",
    "СтавкиНалогов": "rates",
    "ЗначенияРеквизитов": "requisites",
    "Комплектующие": ANY,
    "Аналоги": ANY,
    "Акцизы": ANY,
}
_PARTY = {
    **_NAMED,
    **_words("ПолноеНаименование ОфициальноеНаименование Фамилия Имя Отчество Обращение Пол ИНН КПП ОКПО КодПоОКПО ЕГРПО ОКВЭД"),
    **_words("ОКДП ОКОПФ ОКФС ЕДРПОУ Роль Комментарий Отношение Телефон Email ЭлектроннаяПочта Факс ДолжностьРуководителя"),
    **_words("ДатаРождения ДатаРегистрации", DATE),
    **_words("Адрес ЮридическийАдрес АдресРегистрации", "address"),
    "Контакты": "contacts",
    **_words("Представители Руководитель РасчетныеСчета РасчетныйСчет УдостоверениеЛичности МестоРаботы Склад", ANY),
    "ЗначенияРеквизитов": "requisites",
}

SHAPES: dict[str, Shape] = {
    "root": Shape(
        {
            "Классификатор": "classifier",
            "Каталог": "catalogue",
            "ПакетПредложений": "package",
            "ИзмененияПакетаПредложений": "package",
            "Документ": "document",
            "Контейнер": "container",
            "Контрагенты": "parties",
        },
        attributes={"ДатаФормирования": DATE},
    ),
    "classifier": Shape(
        {
            **_words("Ид Наименование Описание ИдКлассификатора"),
            **_ONLY_CHANGES,
            "Владелец": "party",
            "Группы": "groups",
            "Свойства": "properties",
            "ТипыЦен": "price_kinds",
            "Склады": "warehouses",
            "ЕдиницыИзмерения": "units",
            "Категории": ANY,
            "Производители": ANY,
            "СвойстваГрупп": ANY,
            "СвойстваЭлементов": ANY,
        },
        advised=("Ид",),
        attributes=_ONLY_CHANGES,
    ),
    "groups": Shape({"Группа": "group"}),
    "group": Shape(
        {
            **_NAMED,
            **_words("Описание Картинка Изображение Сортировка"),
            "Группы": "groups",
            "Свойства": ANY,
            "ЗначенияСвойств": ANY,
        },
        required=("Ид",),
        advised=("Наименование",),
    ),
    "properties": Shape({"Свойство": "property", "СвойствоНоменклатуры": "property"}),
    "property": Shape(
        {
            **_NAMED,
            **_words("Описание ТипЗначений"),
            **_words("Обязательное Множественное Внешний Информационное ДляТоваров ДляПредложений ДляДокументов", BOOLEAN),
            "ВариантыЗначений": "variants",
            "ТипыЗначений": ANY,
            "Сериализовано": TEXT,
        },
        required=("Ид",),
        advised=("Наименование",),
    ),
    "variants": Shape({"Справочник": "variant", "Вариант": "variant", "Значение": TEXT, "ВариантЗначения": "variant"}),
    "variant": Shape(
        {**_words("ИдЗначения Ид Значение Сортировка"), "ПоУмолчанию": BOOLEAN}, required=("ИдЗначения|Ид|Значение",)
    ),
    "price_kinds": Shape({"ТипЦены": "price_kind"}),
    "price_kind": Shape({**_NAMED, "Валюта": TEXT, "Налог": "tax"}, required=("Ид",), advised=("Наименование",)),
    "warehouses": Shape({"Склад": "warehouse"}),
    "warehouse": Shape(
        {**_NAMED, "Комментарий": TEXT, "Адрес": "address", "Контакты": "contacts"}, required=("Ид",), advised=("Наименование",)
    ),
    "units": Shape({"ЕдиницаИзмерения": "unit_record"}),
    "unit_record": Shape(
        {**_MARKED, **_words("Ид Код НаименованиеКраткое НаименованиеПолное МеждународноеСокращение")}, required=("Ид|Код",)
    ),
    "catalogue": Shape(
        {**_words("Ид ИдКлассификатора Наименование Описание"), **_ONLY_CHANGES, "Владелец": "party", "Товары": "products"},
        advised=("Ид",),
        attributes=_ONLY_CHANGES,
    ),
    "products": Shape({"Товар": "product"}),
    "product": Shape(_GOODS, required=("Ид",)),
    "package": Shape(
        {
            **_words("Ид Наименование ИдКаталога ИдКлассификатора Описание"),
            **_words("ДействительноС ДействительноДо", DATE),
            **_ONLY_CHANGES,
            "Владелец": "party",
            "ТипыЦен": "price_kinds",
            "Склады": "warehouses",
            "ЗначенияСвойств": ANY,
            "Предложения": "offers",
        },
        advised=("Ид", "ИдКаталога"),
        attributes=_ONLY_CHANGES,
    ),
    "offers": Shape({"Предложение": "offer"}),
    "offer": Shape(
        {
            **_GOODS,
            **_words("ИдХарактеристики КодЕдиницыИзмерения КодГруппыТоваров КартинкиХарактеристики"),
            "Цены": "prices",
            "Количество": AMOUNT,
            "Склад": "stock",
            "Склады": "stocks",
            "КоличествоНаСкладах": "stocks",
            "Остатки": "stocks",
        },
        required=("Ид",),
    ),
    "prices": Shape({"Цена": "price"}),
    "price": Shape(
        {
            **_words("Представление ИдТипаЦены Валюта Единица ИдКаталога"),
            **_words("ЦенаЗаЕдиницу МинКоличество КоличествоОт КоличествоДо", AMOUNT),
            "Коэффициент": NUMBER,
            "Налог": "tax",
        },
        advised=("ИдТипаЦены", "ЦенаЗаЕдиницу"),
    ),
    "stock": Shape({"Ид": TEXT, "ИдСклада": TEXT, "Количество": AMOUNT}, attributes={"КоличествоНаСкладе": AMOUNT}),
    "stocks": Shape(
        {"Склад": "stock", "КоличествоНаСкладе": "stock", "Остаток": "rest"}, attributes={"КоличествоНаСкладе": AMOUNT}
    ),
    "rest": Shape({"Склад": "stock", "Количество": AMOUNT}),
    "unit": Shape({"Пересчет": "recount"}, own=TEXT),
    "recount": Shape({"Единица": TEXT, "Коэффициент": NUMBER, "ДополнительныеДанные": ANY}),
    "ids": Shape({"Ид": TEXT}),
    "property_values": Shape({"ЗначенияСвойства": "property_value"}),
    "property_value": Shape({**_words("Ид Наименование Значение Тип"), "ЗначениеСвойства": ANY}, required=("Ид|Наименование",)),
    "characteristics": Shape({"ХарактеристикаТовара": "characteristic"}),
    "characteristic": Shape(_words("Ид Наименование Значение"), required=("Наименование|Ид",)),
    "rates": Shape({"СтавкаНалога": "rate"}),
    "rate": Shape(_words("Наименование Ставка")),
    "requisites": Shape({"ЗначениеРеквизита": "requisite"}),
    "requisite": Shape(_words("Наименование Значение"), required=("Наименование",)),
    "tax": Shape({"Наименование": TEXT, "УчтеноВСумме": BOOLEAN, "Акциз": BOOLEAN, "Ставка": TEXT, "Сумма": NUMBER}),
    "taxes": Shape({"Налог": "tax"}),
    "discounts": Shape({"Скидка": "discount"}),
    "discount": Shape({**_words("Наименование Процент Комментарий"), "Сумма": NUMBER, "УчтеноВСумме": BOOLEAN}),
    "address": Shape({**_words("Представление Комментарий"), "АдресноеПоле": "pair"}, own=TEXT),
    "pair": Shape(_words("Тип Значение Комментарий")),
    "contacts": Shape({"Контакт": "contact", "КонтактВид": ANY}),
    "contact": Shape(_words("Тип ТипКонтакта Значение Комментарий")),
    "parties": Shape({"Контрагент": "party"}, attributes=_ONLY_CHANGES),
    "party": Shape(_PARTY, required=("Ид|Наименование",)),
    "container": Shape({"Документ": "document"}),
    "document": Shape(
        {
            **_MARKED,
            **_words("Ид Номер ХозОперация Роль Валюта Комментарий Номер1С Основание Соглашение Организация"),
            **_words("Дата Дата1С СрокПлатежа", DATE),
            "Время": TIME,
            "Курс": NUMBER,
            "Сумма": NUMBER,
            "Контрагенты": "document_parties",
            "Товары": "lines",
            "Налоги": "taxes",
            "Скидки": "discounts",
            "ДопРасходы": ANY,
            "Склады": ANY,
            "Склад": ANY,
            "Соглашение": ANY,
            "Организация": ANY,
            "Оплаты": "payments",
            "Подписанты": ANY,
            "Представители": ANY,
            "ПодчиненныеДокументы": "subordinate",
            "ЗначенияРеквизитов": "requisites",
        },
        required=("Ид|Номер",),
        advised=("Дата", "ХозОперация"),
    ),
    "document_parties": Shape({"Контрагент": "party"}),
    "subordinate": Shape({"ПодчиненныйДокумент": "document", "Документ": "document"}),
    "lines": Shape({"Товар": "line"}),
    "line": Shape(
        {
            **_GOODS,
            **_words("ИдКаталога ИдКлассификатора СтранаПроисхождения ГТД Действие ГруппаМаркировки"),
            **_words("ЦенаЗаЕдиницу Цена Сумма Количество", AMOUNT),
            "Единица": "line_unit",
            "Налоги": "taxes",
            "Скидки": "discounts",
            "ДопРасходы": ANY,
            "Склады": ANY,
            "Маркировки": ANY,
            "ДополнительныеЗначенияРеквизитов": "requisites",
        },
        advised=("Ид",),
    ),
    "line_unit": Shape({**_words("Ид НаименованиеКраткое Код НаименованиеПолное МеждународноеСокращение")}, own=TEXT),
    "payments": Shape({"Оплата": "payment"}),
    "payment": Shape(
        {**_words("НомерДокумента НомерТранзакции СпособОплаты ИдСпособаОплаты"), "ДатаОплаты": DATE, "СуммаОплаты": NUMBER}
    ),
}

_RECORDS = frozenset(("product", "offer", "group", "property", "price_kind", "warehouse", "unit_record"))
# where an id is declared, and where it is used: (shape of the parent, name of the element)
_DECLARED = {"price_kind": "ТипыЦен", "warehouse": "Склады", "group": "Группы", "property": "Свойства"}
_USED = {
    ("price", "ИдТипаЦены"): "ТипыЦен",
    ("stock", "Ид"): "Склады",
    ("stock", "ИдСклада"): "Склады",
    ("ids", "Ид"): "Группы",
    ("property_value", "Ид"): "Свойства",
}
MOST_IDS = 1 << 22
MOST_REFERENCES = 100_000
NO_PRICE_KIND = "00000000-0000-0000-0000-000000000000"  # 1C's empty reference


@dataclass(slots=True)
class _Frame:
    name: str
    shape: str | None  # None: inside something unknown
    children: dict[str, str] = field(default_factory=dict)  # name → text of the first
    lines: dict[str, int] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)  # of Товары: how many lines have a Единица …
    around: str | None = None  # shape of the parent


def validate(file: Path | BinaryIO, name: str = "") -> Iterator[Finding]:
    """Every finding, in the order of the file; references that lead nowhere come at the end.

    A document that cannot be read (further) gives one last error instead of an exception.
    """
    checker = _Checker(name or reader.name_of(file))
    with reader.opened(file) as stream:
        try:
            source = reader.Input(stream, checker.file)
            reader.check_root(source)
            yield from checker.run(source)
        except BadDocument as error:
            yield unreadable(error, checker.file, reader.ROOT)
            return
    yield from checker.dangling()


class _Checker:
    def __init__(self, file: str) -> None:
        self.file = file
        self.stack: list[_Frame] = []
        self.freed = False
        self.ids: dict[tuple[str, int], _Ids] = {}
        self.sections = 0
        self.told: set[str] = set()
        self.declared: dict[str, set[str]] = {}
        self.used: dict[tuple[str, str], list[Any]] = {}  # (dictionary, id) → [line, path, count]

    def run(self, source: reader.Input) -> Iterator[Finding]:
        for item in reader.events(source, None, self._was_freed):
            if item is None:
                continue
            event, el = item
            if event == "start":
                yield from self._start(source, el)
            else:
                yield from self._end(el, self.stack.pop())
                self._free(el)

    def _was_freed(self) -> bool:
        freed, self.freed = self.freed, False
        return freed

    def _free(self, el: Any) -> None:
        parent = el.getparent()
        if parent is not None:
            el.clear(keep_tail=True)
            while (before := el.getprevious()) is not None:
                parent.remove(before)
            self.freed = True

    def _start(self, source: reader.Input, el: Any) -> Iterator[Finding]:
        name = records.local(el.tag)
        if not self.stack:
            self.stack.append(_Frame(name, "root"))
            yield from self._attributes(el, "root", name)
            return
        top = self.stack[-1]
        shape = None
        if top.shape == ANY:
            shape = ANY
        elif top.shape in SHAPES:
            shape = SHAPES[top.shape].children.get(name)
            if len(self.stack) == 1:
                self.sections += 1
                reader.refuse_old(source, el)
        self.stack.append(_Frame(name, shape, around=top.shape))

    def _path(self, name: str) -> str:
        return "/".join([frame.name for frame in self.stack[1:]] + [name])

    def _end(self, el: Any, frame: _Frame) -> Iterator[Finding]:
        if not self.stack or frame.shape == ANY:
            if self.stack:
                self._note(frame, "", el)
            return
        if frame.shape is None:
            yield from self._unknown(el, frame)
            return
        path = self._path(frame.name)
        shape = SHAPES.get(frame.shape)
        text = (el.text or "").strip()
        if shape is None:
            yield from self._value(el, frame.shape, text, path)
        else:
            if shape.own == ANY and text:
                yield self._finding(el, path, LOOSE_TEXT, WARNING, found=text[:60])
            yield from self._attributes(el, frame.shape, path)
            yield from self._children(el, frame, shape, path)
            yield from self._rules(el, frame, path)
        self._note(frame, text, el)
        self._reference(el, frame, text, path)

    def _note(self, frame: _Frame, text: str, el: Any) -> None:
        top = self.stack[-1]
        if frame.name not in top.children:
            top.children[frame.name] = text
            top.lines[frame.name] = reader.line_of(el)

    def _finding(self, el: Any, path: str, text: str, level: str = ERROR, **facts: object) -> Finding:
        line = el if isinstance(el, int) else reader.line_of(el)
        return Finding(self.file, line, path, text, facts, level)

    def _unknown(self, el: Any, frame: _Frame) -> Iterator[Finding]:
        top = self.stack[-1]
        path = self._path(frame.name)
        if top.shape in SHAPES and path not in self.told and len(self.told) < MOST_REFERENCES:
            self.told.add(path)
            known = ", ".join(sorted(SHAPES[top.shape or ""].children)[:8])
            yield self._finding(el, path, UNKNOWN, WARNING, expected=f"{known} …")

    def _value(self, el: Any, kind: str, text: str, path: str) -> Iterator[Finding]:
        check = _VALUES.get(kind)
        if check is None or not text:
            return
        try:
            value = check[0](text)
        except ValueError:
            yield self._finding(el, path, NOT_A_VALUE, found=text[:80], expected=check[1])
            return
        if kind == AMOUNT and isinstance(value, Decimal) and value < 0:
            yield self._finding(el, path, NEGATIVE, WARNING, found=text, expected="0 or more")

    def _attributes(self, el: Any, shape: str, path: str) -> Iterator[Finding]:
        kinds = SHAPES[shape].attributes
        for name, value in el.attrib.items() if kinds else ():
            kind = kinds.get(records.local(name))
            if kind:
                yield from self._value(el, kind, value.strip(), f"{path}/@{records.local(name)}")

    def _children(self, el: Any, frame: _Frame, shape: Shape, path: str) -> Iterator[Finding]:
        for level, wanted in ((ERROR, shape.required), (WARNING, shape.advised)):
            for names in wanted:
                either = names.split("|")
                if any(frame.children.get(name) for name in either):
                    continue
                there = next((name for name in either if name in frame.children), None)
                if there and level == WARNING:
                    continue
                child = " or ".join(either)
                expected = f"<{either[0]}> in every <{frame.name}>"
                yield self._finding(el, path, EMPTY_CHILD if there else NO_CHILD, level, child=child, expected=expected)

    def _rules(self, el: Any, frame: _Frame, path: str) -> Iterator[Finding]:
        shape = frame.shape
        if shape in _RECORDS:
            yield from self._repeated(frame, path)
        if shape == "document" and frame.around != "subordinate":
            yield from self._order(el, frame, path)
        elif shape == "party" and frame.around == "document_parties" and not frame.children.get("Наименование"):
            yield self._finding(el, path, NO_CHILD, child="Наименование", expected="a name: 1C breaks off at an order without it")
        elif shape == "line":
            yield from self._line(el, frame, path)
        elif shape == "lines":
            count = frame.notes.pop("", 0)
            for child, there in frame.notes.items():
                if there != count:
                    yield self._finding(el, path, UNEVEN, WARNING, child=child)

    def _repeated(self, frame: _Frame, path: str) -> Iterator[Finding]:
        assert frame.shape is not None
        key = frame.children.get("Ид", "")
        characteristic = frame.children.get("ИдХарактеристики")
        dictionary = _DECLARED.get(frame.shape)
        if not key:
            return
        if dictionary and len(known := self.declared.setdefault(dictionary, set())) < MOST_REFERENCES:
            known.add(key)
        ids = self.ids.setdefault((frame.shape, self.sections), _Ids())
        if ids.count >= MOST_IDS:
            if path not in self.told:
                self.told.add(path)
                yield self._finding(frame.lines["Ид"], path, TOO_MANY, WARNING, limit=MOST_IDS)
        elif not ids.add(f"{key}#{characteristic}" if characteristic else key):
            yield self._finding(frame.lines["Ид"], f"{path}/Ид", TWICE, found=key)

    def _order(self, el: Any, frame: _Frame, path: str) -> Iterator[Finding]:
        said, line = frame.children, frame.lines
        here = reader.line_of(el)
        operation = said.get("ХозОперация", "")
        if operation.casefold() != "заказ товара" and "ХозОперация" in said:
            level = WARNING if operation else ERROR
            where = line["ХозОперация"]
            yield self._finding(where, f"{path}/ХозОперация", BAD_OPERATION, level, found=operation, expected="Заказ товара")
        if not said.get("Валюта"):
            expected = "a currency: 1C refuses the whole load of orders without it"
            text = EMPTY_CHILD if "Валюта" in said else NO_CHILD
            yield self._finding(line.get("Валюта", here), path, text, child="Валюта", expected=expected)
        if "Контрагенты" not in said:
            yield self._finding(here, path, NO_CHILD, child="Контрагенты", expected="the buyer")
        number = said.get("Номер", "")
        if len(number) > 11:
            yield self._finding(line["Номер"], f"{path}/Номер", LONG_NUMBER, WARNING, found=number, length=len(number))
        for child, shape in (("Дата", "2024-03-01"), ("Время", "09:05:00")):
            text = said.get(child, "")
            if text and not _like(text, shape) and _is_value(DATE if child == "Дата" else TIME, text):
                yield self._finding(line[child], f"{path}/{child}", UNPADDED, WARNING, found=text, expected=shape)

    def _line(self, el: Any, frame: _Frame, path: str) -> Iterator[Finding]:
        notes = self.stack[-1].notes
        notes[""] = notes.get("", 0) + 1
        for child in ("Единица", "Коэффициент", "СтавкиНалогов"):
            if child in frame.children:
                notes[child] = notes.get(child, 0) + 1
        try:
            none = not values.decimal(frame.children.get("Количество"))
        except ValueError:
            none = False
        if none:
            yield self._finding(el, path, NO_QUANTITY, WARNING)

    def _reference(self, el: Any, frame: _Frame, text: str, path: str) -> None:
        dictionary = _USED.get((frame.around or "", frame.name))
        if frame.shape in ("stock", "stocks") and el.get("ИдСклада"):
            dictionary, text, path = "Склады", el.get("ИдСклада").strip(), f"{path}/@ИдСклада"
        if not dictionary or not text or text == NO_PRICE_KIND or text in self.declared.get(dictionary, ()):
            return
        entry = self.used.get((dictionary, text))
        if entry:
            entry[2] += 1
        elif len(self.used) < MOST_REFERENCES:
            self.used[dictionary, text] = [reader.line_of(el), path, 1]

    def dangling(self) -> Iterator[Finding]:
        for (dictionary, key), (line, path, count) in self.used.items():
            known = self.declared.get(dictionary)
            if known and key not in known and len(known) < MOST_REFERENCES:
                yield Finding(self.file, line, path, NOWHERE, {"found": key, "expected": dictionary, "count": count}, WARNING)


def _is_value(kind: str, text: str) -> bool:
    try:
        _VALUES[kind][0](text)
    except ValueError:
        return False  # reported as such already
    return True


def _like(text: str, example: str) -> bool:
    return len(text) == len(example) and all(a.isdigit() if b.isdigit() else a == b for a, b in zip(text, example, strict=True))
