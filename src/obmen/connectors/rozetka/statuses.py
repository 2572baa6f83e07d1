"""Statuses of orders at Rozetka: what is known of them before the first call, and how parcels travel (facts §3.5).

Names: vendor's documentation, model OrderStatus. Groups: assumed there, so that ``status_group`` of an answer goes before them.
"""

from __future__ import annotations

from obmen.core.records import Reference, Subject

NEW, PACKED, SHIPPED, DELIVERED_BY_SELLER, WAITS, DONE = "1", "2", "3", "4", "5", "6"
PROCESSED, DUPLICATE, WITH_TTN = "26", "49", "61"
PROCESSING, SUCCESS, FAILED = 1, 2, 3
NEEDS_TTN = (SHIPPED, WITH_TTN)
# What an order may be led through on its way to another status, the likeliest first: never one that calls or asks the buyer,
# cancels, or hands the parcel to a carrier.
THROUGH = (PROCESSED, PACKED, DELIVERED_BY_SELLER, WAITS)
LONGEST_PATH = 3

NAMES = {
    "1": "Нове замовлення",
    "2": "Комплектується. Дані підтверджені",
    "3": "Передано в службу доставки",
    "4": "Доставляється",
    "5": "Чекає в пункті самовивозу",
    "6": "Замовлення виконано",
    "7": "Не оброблено продавцем протягом дня",
    "11": "Не прийшов за замовленням",
    "12": "Відмова при отриманні",
    "13": "Скасовано Адміністратором",
    "15": "Некоректний ТТН",
    "16": "Немає в наявності / брак",
    "17": "Не влаштовують умови оплати",
    "18": "Не вдалося зв'язатися",
    "19": "Замовлення повернено",
    "20": "Товар не підходить за характеристиками",
    "24": "Скасування. Не влаштовує доставка",
    "25": "Тестове замовлення",
    "26": "Опрацьовується менеджером",
    "27": "Вимагає доукомплектації",
    "28": "Неправильні контактні дані",
    "29": "Ціна змінилася",
    "30": "Закінчився термін резерву",
    "31": "Скасування. Створено дублююче замовлення",
    "33": "Умови доставки не влаштовують",
    "37": "Передоплата не влаштовує",
    "38": "Не влаштовує товар",
    "40": "Клієнт передумав",
    "42": "Немає в наявності",
    "43": "Брак",
    "44": "Скасування. Фейкове замовлення",
    "45": "Скасовано покупцем",
    "46": "Відновлено при продзвоні",
    "47": "Планується повторний дзвінок",
    "49": "Повторне замовлення",
    "50": "Клієнт не оплатив",
    "51": "У кредиті відмовлено",
    "52": "Нове замовлення за 1 клік",
    "53": "Очікує підтвердження клієнтом",
    "54": "Опрацьовано автоматично",
    "55": "Очікує отримання оплати",
    "56": "Комплектується перевізником",
    "57": "Заплановано доставку",
    "58": "Передано до служби доставки в Польщі",
    "59": "На митному контролі",
    "60": "Передано до служби доставки в Україні",
    "61": "Заплановано передачу перевізникові",
    "62": "Змінено дату видачі",
    "63": "Обробляється службою доставки",
    "64": "Доставляється в місто отримувача",
    "65": "Перебуває в місті отримувача",
    "66": "Перебуває в місті отримувача",
    "67": "Видано кур'єру в місті отримувача",
    "68": "Отримано частково",
    "69": "Змінено дату чи адресу доставки",
    "70": "Планується повторний дзвінок (old)",
    "71": "Скасування. Товар повернувся",
    "72": "Скасування. Здійснено повернення коштів",
    "73": "У черзі на отримання",
    "74": "Сьогодні закінчується термін резерву",
    "75": "Скасування. Скасовано КЦ",
    "76": "Очікує клієнта у почтоматі",
    "77": "Скасування. Відмовлено банком",
    "78": "Змінено час видачі",
    "79": "Очікує модерації КЦ",
    "80": "Чекає на отримання від Продавця",
    "81": "Прийнятий від Продавця",
    "82": "Знаходиться у РЦ",
    "83": "Буде повернено відправнику",
    "84": "Знаходиться у точці для повернення",
    "85": "Повернено продавцю",
    "86": "Очікується повернення товару",
    "87": "Виконано. Минув термін обробки",
    "88": "Втрачена перевізником",
    "89": "Повернення доставляється до розподільчого центру",
    "90": "Повернення знаходиться у розподільчому центрі",
    "91": "Доставляється у точку повернення",
}
_SUCCESS = {6, 68, 87}
_FAILED = {7, *range(11, 21), 24, 25, *range(28, 32), 33, 37, 38, 40, *range(42, 46), 49, 50, 51, 71, 72, 75, 77, 85, 88}
# §3.5: 26 → these, 1 → 40 and 49: what a seller can cancel with. The others come from the buyer, the carrier, the call centre.
CANCELS = ("40", "42", "43", "28", "33", "49", "20", "18", "29", "17", "37", "38")

# How far a parcel is (§3.5, "Normal flow"): who is as far as was asked for, or further, needs nothing sent.
_FLOW = (
    ("1", "52", "54"),
    ("26", "46", "47", "53", "55", "70", "79"),
    ("2", "27", "56", "57"),
    ("61", "3"),
    ("80",),
    ("81", "58", "59", "60", "63", "82"),
    ("4", "64", "65", "66", "67"),
    ("5", "62", "69", "73", "74", "76", "78"),
    ("6", "68", "87"),
)
_PLACE = {status: place for place, statuses in enumerate(_FLOW) for status in statuses}


def group(status: str) -> int:
    """1 in processing, 2 success, 3 failed; the assumption, for answers that do not say."""
    number = int(status) if status.isdecimal() and len(status) < 9 else 0
    return SUCCESS if number in _SUCCESS else FAILED if number in _FAILED else PROCESSING


def as_far(status: str, wanted: str) -> bool:
    """Whether a parcel in ``status`` is where ``wanted`` means it to be, or further on its way."""
    return status == wanted or (status in _PLACE and wanted in _PLACE and _PLACE[status] >= _PLACE[wanted])


def reference(subject: Subject, status: str, name: str, failed: bool, title: str = "") -> Reference:
    """``cancel`` as the column of a table of statuses is named."""
    attributes = (("group", title), *((("cancel", "yes"),) if failed else ()))
    return Reference(subject, status, name, tuple(pair for pair in attributes if pair[1]))


KNOWN = tuple(reference(Subject.ORDER_STATE, status, name, group(status) == FAILED) for status, name in NAMES.items())
