"""Dialects: how each accounting system and each shop spells the same CommerceML. Data, not code; the writer obeys them.

A dialect describes two directions. What **1C writes** (goods, offers, results of orders) goes by ``version``, ``namespace``,
``encoding`` and ``attributes``. What a **site answers** to ``mode=query`` and ``mode=info`` goes by the ``answer_…`` fields
and never has a namespace: 1C reads it with ФабрикаXDTO.ПрочитатьXML without a type, and a known namespace would make it
validate strictly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

ENCODINGS = ("utf-8", "utf-8-bom", "windows-1251")

BITRIX_ATTRIBUTES = (
    ("ФорматДаты", "ДФ=yyyy-MM-dd; ДЛФ=DT"),
    ("ФорматВремени", "ДФ=ЧЧ:мм:сс; ДЛФ=T"),
    ("РазделительДатаВремя", "T"),
    ("ФорматСуммы", "ЧЦ=18; ЧДЦ=2; ЧРД=."),
    ("ФорматКоличества", "ЧЦ=18; ЧДЦ=2; ЧРД=."),
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """One spelling of CommerceML.

    ``xsd`` is the version of the official schema that the output conforms to, given data within the schema's own limits; ""
    where the system deviates on purpose, or where no schema is public (2.10, 3.x).
    """

    key: str
    title: str

    # the root element
    version: str = "2.07"  # ВерсияСхемы; "" = the root carries none
    namespace: str = ""
    encoding: str = "utf-8"  # one of ENCODINGS
    attributes: tuple[tuple[str, str], ...] = ()  # further attributes of the root
    dated: bool = True  # the root carries ДатаФормирования
    xsd: str = ""
    answer_version: str = ""  # "" = as version
    answer_encoding: str = "utf-8"
    answer_attributes: tuple[tuple[str, str], ...] = ()

    # goods
    split: bool = False  # prices and rests are files of their own (Bitrix's module); a part a file from 3.1 on
    references: str = "package"  # package | classifier: where ТипыЦен and Склады live
    warehouses: bool = True  # the dialect knows warehouses of goods (2.06 and later)
    stock: str = "attributes"  # attributes | list | rests | total: how a quantity by warehouse is written
    changes: bool = True  # prices and stock alone go as ИзмененияПакетаПредложений (2.07 and later)
    unit: str = "attributes"  # attributes | recount | id: how БазоваяЕдиница is written
    price_unit: str = "name"  # name | code | none: what Цена/Единица holds
    unit_length: tuple[int, int] = (0, 3)  # what a schema allows in Единица and Код
    deleted: str = "attribute"  # attribute (Статус="Удален") | status (<Статус>) | element (<ПометкаУдаления>)
    dictionary: bool = True  # values of properties have ids (ВариантыЗначений/Справочник, 2.05 and later)
    more: bool = False  # Код, Вес, Категория as elements of a product (1C:UNF)
    package_id: str = "{catalogue}#"  # Ид of ПакетПредложений

    # documents
    container: bool = False  # every document inside its own Контейнер (3.x)
    line_price: str = "ЦенаЗаЕдиницу"  # or Цена (Bitrix's module 6 and 7)
    line_unit: bool = False  # Единица{Ид, НаименованиеКраткое, …} instead of БазоваяЕдиница (Bitrix's module 6 and 7)
    line_discounts: bool = False  # a site writes Скидки of a line; else price and Сумма are net. 1C always writes them
    document_warehouses: bool = True  # Склады of a document and of its lines (2.07 and later)
    payments: bool = False  # Оплаты/Оплата (2.09 and later)
    header: bool = False  # Номер1С, Дата1С, ПометкаУдаления, НомерВерсии in the head of a document
    subordinate: bool = False  # ПодчиненныеДокументы are written (2.10)
    marks: str = "set"  # set (empty and false requisites are left out, 1C:UT) | all: what 1C writes among the results
    short_hour: bool = False  # 1C:UT writes times among the results with a one-digit hour
    contacts: str = "schema"  # schema (Почта, Телефон рабочий) | bitrix (Электронная почта, Телефон): what 1C calls contacts
    number_length: int = 0  # longest Номер that 1C finds again; 0 = any
    number_digits: bool = False  # 1C keeps only the digits of Номер
    currency_length: int = 0  # 1C cuts Валюта to so many characters; 0 = as it is
    buyer_role: str = "Покупатель"  # of a counterparty that names no role
    statuses: str = "Cтатусы"  # of mode=info: Bitrix spells the first letter in Latin, and clients look it up by that name

    def package(self, catalogue: str) -> str:
        return self.package_id.format(catalogue=catalogue)


UT11 = Dialect(
    "ut11",
    "1C:Управление торговлей 11",
    version="2.07",
    namespace="urn:1C.ru:commerceml_2",
    encoding="utf-8-bom",
    xsd="2.07",
    unit="recount",
    short_hour=True,
    number_length=11,
    currency_length=3,
)
UT10 = Dialect(
    "ut10",
    "1C:Управление торговлей 10.3",
    version="2.04",
    encoding="windows-1251",
    xsd="2.04",
    answer_encoding="windows-1251",
    warehouses=False,
    stock="total",
    changes=False,
    dictionary=False,
    document_warehouses=False,
    short_hour=True,
    number_length=11,
    currency_length=3,
)
UNF = Dialect(
    "unf",
    "1C:Управление нашей фирмой",
    version="2.08",
    namespace="urn:1C.ru:commerceml_210",
    encoding="utf-8-bom",
    price_unit="name",
    unit_length=(0, 4),
    more=True,
    marks="all",
    number_digits=True,
)
UNF_SUBORDINATE = replace(
    UNF, key="unf-subordinate", title="1C:Управление нашей фирмой, подчиненные документы", version="2.10", subordinate=True
)
BITRIX5 = Dialect(
    "bitrix-module-5",
    "1С-Битрикс, модуль обмена 5",
    version="2.09",
    namespace="urn:1C.ru:commerceml_2",
    encoding="utf-8-bom",
    attributes=(("Ид", "Обмен с сайтом"),),
    answer_attributes=BITRIX_ATTRIBUTES,
    answer_encoding="windows-1251",
    split=True,
    references="classifier",
    stock="rests",
    changes=False,
    price_unit="none",
    unit_length=(3, 4),
    deleted="element",
    header=True,
    marks="all",
    contacts="bitrix",
    package_id="#{catalogue}",
)
BITRIX6 = replace(
    BITRIX5,
    key="bitrix-module-6",
    title="1С-Битрикс, модуль обмена 6",
    version="3.1",
    answer_version="2.09",
    namespace="urn:1C.ru:commerceml_3",
    unit="id",
    container=True,
    line_price="Цена",
    line_unit=True,
)
BITRIX7 = replace(BITRIX6, key="bitrix-module-7", title="1С-Битрикс, модуль обмена 7")
BITRIX_ORDERS = Dialect(
    "bitrix-orders",
    "1С-Битрикс: Управление сайтом, заказы 2.05",
    version="2.05",
    encoding="windows-1251",
    attributes=BITRIX_ATTRIBUTES,
    answer_encoding="windows-1251",
    answer_attributes=BITRIX_ATTRIBUTES,
    warehouses=False,
    document_warehouses=False,
    stock="total",
    changes=False,
)
BITRIX_ORDERS_209 = replace(
    BITRIX_ORDERS,
    key="bitrix-orders-2.09",
    title="1С-Битрикс: Управление сайтом, заказы 2.09",
    version="2.09",
    header=True,
    document_warehouses=True,
    unit_length=(3, 4),
    price_unit="code",
)
BITRIX_ORDERS_31 = replace(
    BITRIX_ORDERS_209,
    key="bitrix-orders-3.1",
    title="1С-Битрикс: Управление сайтом, заказы 3.1",
    version="3.1",
    container=True,
)
CS_CART = Dialect(
    "cs-cart",
    "CS-Cart",
    version="",
    dated=False,
    encoding="utf-8-bom",
    answer_encoding="utf-8-bom",
    line_discounts=True,
)
MOYSKLAD = Dialect(
    "moysklad",
    "МойСклад",
    version="2.04",
    attributes=(("СинхронизацияТоваров", "false"),),
    changes=False,
)
CLASS365 = Dialect("class365", "Класс365", version="", dated=False, warehouses=False, stock="total", changes=False)
GENERIC = Dialect("generic", "CommerceML 2.07", xsd="2.07", number_length=11)
GENERIC_209 = replace(
    GENERIC,
    key="generic-2.09",
    title="CommerceML 2.09",
    version="2.09",
    xsd="2.09",
    payments=True,
    price_unit="code",
    unit_length=(3, 4),
)

DIALECTS = {
    d.key: d
    for d in (
        UT11,
        UT10,
        UNF,
        UNF_SUBORDINATE,
        BITRIX5,
        BITRIX6,
        BITRIX7,
        BITRIX_ORDERS,
        BITRIX_ORDERS_209,
        BITRIX_ORDERS_31,
        CS_CART,
        MOYSKLAD,
        CLASS365,
        GENERIC,
        GENERIC_209,
    )
}


def dialect(key: str, **changes: Any) -> Dialect:
    """The named dialect with some of its fields replaced; an unknown key raises KeyError that lists the known ones."""
    if key not in DIALECTS:
        raise KeyError(f"{key!r} is not one of {', '.join(DIALECTS)}")
    return replace(DIALECTS[key], **changes) if changes else DIALECTS[key]
