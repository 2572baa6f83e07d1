"""The reference books of a fresh account: the codes that the vendor's own accounts have, in Russian as there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Books = dict[str, dict[str, Json]]


@dataclass(frozen=True, slots=True)
class Book:
    """How a reference book is shown and edited. ``name`` is the field of its edit; "" means that it cannot be edited."""

    answer: str
    name: str
    schema: dict[str, str]
    listed: bool = False  # a JSON list; otherwise an object by code


_COMMON = {"name": "text", "active": "flag", "ordering": "int"}
_DEFAULTS = {"defaultForCrm": "flag", "defaultForApi": "flag"}
_LEGAL = {
    **dict.fromkeys(("contragentType", "legalName", "legalAddress", "INN", "OKPO", "KPP", "OGRN", "OGRNIP"), "text"),
    **dict.fromkeys(("certificateNumber", "BIK", "bank", "bankAddress", "corrAccount", "bankAccount"), "text"),
    **dict.fromkeys(("countryIso", "vatRate"), "text"),
    "certificateDate": "date",
}
BOOKS: dict[str, Book] = {
    "statuses": Book("statuses", "status", {**_COMMON, "group": "code:status-groups"}),
    "status-groups": Book("statusGroups", "", {}),
    "payment-types": Book(
        "paymentTypes",
        "paymentType",
        {**_COMMON, **_DEFAULTS, "description": "text", "deliveryTypes": "json", "paymentStatuses": "json", "sites": "json"},
    ),
    "payment-statuses": Book(
        "paymentStatuses",
        "paymentStatus",
        {**_COMMON, **_DEFAULTS, "paymentComplete": "flag", "description": "text", "paymentTypes": "json"},
    ),
    "delivery-types": Book(
        "deliveryTypes",
        "deliveryType",
        {
            **_COMMON,
            "defaultForCrm": "flag",
            "defaultCost": "number",
            "defaultNetCost": "number",
            "description": "text",
            "paymentTypes": "json",
            "deliveryServices": "json",
            "integrationCode": "text",
            "vatRate": "text",
            "currency": "text",
            "deliveryPaymentTypes": "json",
            "sites": "json",
        },
    ),
    "delivery-services": Book("deliveryServices", "deliveryService", {"name": "text", "active": "flag"}),
    "order-types": Book("orderTypes", "orderType", {**_COMMON, **_DEFAULTS}),
    "order-methods": Book("orderMethods", "orderMethod", {"name": "text", "active": "flag", **_DEFAULTS, "isFromPos": "flag"}),
    "product-statuses": Book(
        "productStatuses",
        "productStatus",
        {
            **_COMMON,
            "cancelStatus": "flag",
            "orderStatusByProductStatus": "code:statuses",
            "orderStatusForProductStatus": "code:statuses",
        },
    ),
    "sites": Book(
        "sites",
        "site",
        {
            **_COMMON,
            "url": "text",
            "description": "text",
            "phones": "text",
            "zip": "text",
            "ymlUrl": "text",
            "loadFromYml": "flag",
            "catalogId": "text",
            "countryIso": "text",
            "currency": "text",
            "defaultForCrm": "flag",
            "contragent": "json",
        },
    ),
    "units": Book("units", "unit", {"name": "text", "sym": "text", "default": "flag", "active": "flag"}),
    "stores": Book(
        "stores",
        "store",
        {
            **_COMMON,
            "externalId": "text",
            "xmlId": "text",
            "description": "text",
            "email": "text",
            "type": "text",
            "inventoryType": "text",
            "address": "json",
            "phone": "json",
            "contact": "text",
        },
        listed=True,
    ),
    "price-types": Book(
        "priceTypes",
        "priceType",
        {**_COMMON, "default": "flag", "description": "text", "currency": "text", "geo": "json", "groups": "json"},
        listed=True,
    ),
    "couriers": Book(
        "couriers",
        "courier",
        dict.fromkeys(("firstName", "lastName", "patronymic", "email", "description"), "text")
        | {"active": "flag", "phone": "json"},
        listed=True,
    ),
    "currencies": Book(
        "currencies",
        "currency",
        {
            "code": "text",
            "isAutoConvert": "flag",
            "autoConvertExtraPercent": "int",
            "manualConvertNominal": "int",
            "manualConvertValue": "number",
        },
        listed=True,
    ),
    "legal-entities": Book("legalEntities", "legalEntity", _LEGAL, listed=True),
    "cost-groups": Book("costGroups", "costGroup", {**_COMMON, "color": "text"}, listed=True),
    "cost-items": Book(
        "costItems",
        "costItem",
        {
            **_COMMON,
            "group": "code:cost-groups",
            "appliesToOrders": "flag",
            "appliesToUsers": "flag",
            "type": "text",
            "source": "json",
        },
        listed=True,
    ),
    "mg-channels": Book("mgChannels", "", {}, listed=True),
}
BY_ID = ("couriers", "currencies")  # created apart, edited by number

_GROUPS = {
    "new": ("Новый", {"new": "Новый"}),
    "approval": (
        "Согласование",
        {
            "availability-confirmed": "Наличие подтверждено",
            "offer-analog": "Предложить замену",
            "client-confirmed": "Согласовано с клиентом",
            "prepayed": "Предоплата поступила",
        },
    ),
    "assembling": (
        "Комплектация",
        {
            "send-to-assembling": "Передано в комплектацию",
            "assembling": "Комплектуется",
            "assembling-complete": "Укомплектован",
        },
    ),
    "delivery": (
        "Доставка",
        {
            "send-to-delivery": "Передан в доставку",
            "delivering": "Доставляется",
            "redirect": "Доставка перенесена",
            "delivered": "Доставлен",
        },
    ),
    "complete": ("Выполнен", {"complete": "Выполнен"}),
    "cancel": (
        "Отменен",
        {
            "no-call": "Недозвон",
            "no-product": "Нет в наличии",
            "already-buyed": "Купил в другом месте",
            "delyvery-did-not-suit": "Не устроила доставка",
            "prices-did-not-suit": "Не устроила цена",
            "cancel-other": "Отменен",
        },
    ),
}
_PAYMENT_TYPES = {
    "cash": "Наличные",
    "bank-card": "Банковская карта",
    "bank-transfer": "Банковский перевод",
    "credit": "Кредит",
    "e-money": "Электронные деньги",
}
_PAYMENT_STATUSES = {
    "not-paid": "Не оплачен",
    "pending": "Ожидает оплаты",
    "invoice": "Выставлен счет",
    "payment-start": "Платеж проведен",
    "paid": "Оплачен",
    "credit-check": "Проверка документов",
    "credit-approved": "Кредит одобрен",
    "fail": "Ошибка",
}
_PRODUCT_STATUSES = {
    "new": "Новый",
    "confirming": "Подтверждение наличия",
    "in-reserve": "В резерве",
    "ready-for-assembly": "Готов к комплектации",
    "assembly-delivery": "Комплектация, доставка",
    "completed": "Укомплектован",
    "saled": "Продан",
    "out-of-stock": "Нет в наличии",
    "failure": "Отказ",
    "product-is-damaged": "Товар поврежден",
    "assembly-not-delivery": "Не доставлен",
    "lost": "Утерян",
    "returned": "Возврат",
}
_CANCELLED = {"out-of-stock", "failure", "product-is-damaged", "assembly-not-delivery", "lost", "returned"}
_FOLLOWS = {"saled": "complete", "out-of-stock": "no-product"}
_ORDER_METHODS = {
    "phone": "По телефону",
    "shopping-cart": "Через корзину",
    "one-click": "В один клик",
    "price-decrease-request": "Запрос на понижение цены",
    "landing-page": "Заявка с посадочной страницы",
    "offline": "Оффлайн",
    "app": "Мобильное приложение",
    "live-chat": "Онлайн-консультант",
    "terminal": "Терминал",
    "missed-call": "Заявка из пропущенного звонка",
    "messenger": "Мессенджеры",
}
_DELIVERY_TYPES = {
    "courier": ("Доставка курьером", 300),
    "self-delivery": ("Самовывоз", 0),
    "russian-post": ("Почта России", 250),
}


def _rows(names: dict[str, str], **more: Any) -> dict[str, Json]:
    return {code: {"name": name, "code": code, "active": True, **more} for code, name in names.items()}


def defaults(sites: Collection[str]) -> Books:
    """All books of a fresh account with these sites."""
    books: Books = {kind: {} for kind in BOOKS}
    for place, (group, (name, statuses)) in enumerate(_GROUPS.items(), 1):
        working = group not in ("new", "complete", "cancel")
        books["status-groups"][group] = {"name": name, "code": group, "active": True, "ordering": place * 10, "process": working}
        for n, (code, title) in enumerate(statuses.items(), 1):
            books["statuses"][code] = {"name": title, "code": code, "active": True, "ordering": n * 10, "group": group}
    books["payment-types"] = _rows(_PAYMENT_TYPES, defaultForCrm=False, defaultForApi=False, paymentStatuses=[*_PAYMENT_STATUSES])
    for n, (code, row) in enumerate(_rows(_PAYMENT_STATUSES, defaultForCrm=False, defaultForApi=False).items(), 1):
        books["payment-statuses"][code] = {**row, "paymentComplete": code == "paid", "ordering": n * 10}
    for code, (name, cost) in _DELIVERY_TYPES.items():
        books["delivery-types"][code] = {
            **dict.fromkeys(("isDynamicCostCalculation", "isAutoCostCalculation", "isAutoNetCostCalculation"), False),
            **dict.fromkeys(("isCostDependsOnRegionAndWeightAndSum", "isCostDependsOnDateTime"), False),
            "currency": "RUB",
            "name": name,
            "code": code,
            "active": True,
            "defaultCost": cost,
            "defaultNetCost": 0,
            "description": "",
            "paymentTypes": [*_PAYMENT_TYPES],
            "deliveryServices": ["avia"] if code == "russian-post" else [],
            "defaultForCrm": code == "courier",
        }
    books["delivery-services"] = _rows({"avia": "Авиа", "express": "Экспресс"})
    for code, name in {"eshop-individual": "Физическое лицо", "eshop-legal": "Юридическое лицо"}.items():
        first = code == "eshop-individual"
        row = {"name": name, "code": code, "active": True, "defaultForCrm": first, "defaultForApi": first, "ordering": 990}
        books["order-types"][code] = row
    for code, row in _rows(_ORDER_METHODS, isFromPos=False).items():
        books["order-methods"][code] = {**row, "defaultForCrm": code == "phone", "defaultForApi": code == "shopping-cart"}
    for n, (code, name) in enumerate(_PRODUCT_STATUSES.items(), 1):
        linked = _FOLLOWS.get(code)
        links = {"orderStatusByProductStatus": linked, "orderStatusForProductStatus": linked} if linked else {}
        books["product-statuses"][code] = {
            "code": code,
            "ordering": n * 10,
            "active": True,
            "createdAt": "2018-09-04 16:35:03",
            **links,
            "cancelStatus": code in _CANCELLED,
            "name": name,
        }
    for n, code in enumerate(sites, 1):
        books["sites"][code] = {
            "id": n,
            "name": code,
            "url": f"https://{code}.example",
            "code": code,
            "defaultForCrm": n == 1,
            "ymlUrl": "",
            "loadFromYml": False,
            "countryIso": "RU",
            "currency": "RUB",
            "catalogId": str(n),
            "isCatalogMainSite": True,
            "ordering": 990,
            "isDemo": False,
        }
    for code, (name, sym) in {"pc": ("Штука", "шт."), "kg": ("Килограмм", "кг"), "m": ("Метр", "м")}.items():
        books["units"][code] = {"code": code, "name": name, "sym": sym, "default": code == "pc", "active": True}
    for code, name in {"main": "Основной", "second": "Второй склад"}.items():
        books["stores"][code] = {
            "type": "store-type-warehouse",
            "inventoryType": "integer",
            "address": {"countryIso": "RU"},
            "active": True,
            "phone": {},
            "code": code,
            "name": name,
        }
    for n, (code, name) in enumerate({"base": "Базовая", "wholesale": "Оптовая"}.items(), 1):
        books["price-types"][code] = {
            "id": n,
            "code": code,
            "name": name,
            "active": True,
            "default": code == "base",
            "geo": [],
            "groups": [],
            "ordering": 980 + n * 10,
        }
    books["couriers"]["1"] = {
        "id": 1,
        "firstName": "Курьер",
        "lastName": "Первый",
        "active": True,
        "phone": {"number": "+70000000001"},
    }
    books["currencies"]["1"] = {"id": 1, "code": "RUB", "isBase": True, "isAutoConvert": False}
    books["legal-entities"]["main"] = {
        "contragentType": "legal-entity",
        "legalName": "ООО Магазин",
        "code": "main",
        "countryIso": "RU",
    }
    for n, (code, name) in enumerate({"product-cost": "Себестоимость", "delivery": "Доставка"}.items(), 1):
        books["cost-groups"][code] = {"code": code, "name": name, "ordering": n * 10, "active": True, "color": "#4191ff"}
    books["cost-items"]["delivery-cost"] = {
        "code": "delivery-cost",
        "name": "Стоимость доставки",
        "group": "delivery",
        "ordering": 990,
        "active": True,
        "appliesToOrders": True,
        "type": "var",
        "appliesToUsers": False,
    }
    return books


def shown(books: Books, kind: str) -> Json | list[Json]:
    """The book as the API answers it; what two books say of each other is worked out, so that it cannot contradict itself."""
    rows: dict[str, Json] = {}
    for code, row in books[kind].items():
        match kind:
            case "status-groups":
                row = {**row, "statuses": [s["code"] for s in books["statuses"].values() if s["group"] == code]}
            case "payment-types":
                allowed = [d["code"] for d in books["delivery-types"].values() if code in d["paymentTypes"]]
                row = {**row, "deliveryTypes": allowed}
            case "payment-statuses":
                row = {
                    **row,
                    "paymentTypes": [t["code"] for t in books["payment-types"].values() if code in t["paymentStatuses"]],
                }
            case "stores":
                row = {**row, "workTime": {day: [] for day in ("mo", "tu", "we", "th", "fr", "sa", "su")}}
        rows[code] = row
    return list(rows.values()) if BOOKS[kind].listed else rows


def managers(count: int = 25) -> dict[int, Json]:
    """More than one page of them."""
    rows: dict[int, Json] = {}
    for n in range(count + 1):
        boss = n == 0
        rows[18 + n] = {
            "id": 18 + n,
            "createdAt": "2018-09-04 16:35:03",
            "active": n != count,
            "email": f"manager{n}@crm.example",
            "firstName": "Администратор" if boss else f"Менеджер {n}",
            "lastName": "Пробный",
            "status": "free",
            "online": False,
            "isAdmin": boss,
            "isManager": not boss,
            "groups": [{"id": 26, "name": "Руководители", "code": "director"}]
            if boss
            else [{"id": 25, "name": "Менеджеры", "code": "manager"}],
        }
    return rows


def user_groups(sites: Collection[str]) -> list[Json]:
    common = {"isPosManager": False, "isDeliveryMen": False, "deliveryTypes": [], "breakdownOrderTypes": [], "breakdownSites": []}
    rest = {"breakdownOrderMethods": [], "grantedOrderTypes": ["eshop-individual"], "grantedSites": [*sites]}
    named = ((26, "Руководители", "director"), (25, "Менеджеры", "manager"))
    return [{"id": n, "name": name, "code": code, "isManager": code == "manager", **common, **rest} for n, name, code in named]
