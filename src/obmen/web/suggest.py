"""Which of our values one of theirs probably is, by its name alone: equal words, words that trade uses for the same thing in Ukrainian,
Russian and English, then nearly equal words. It only ever suggests: a person accepts it."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from difflib import SequenceMatcher

NEAR = 0.85  # share of letters in common: endings and slips of the pen, not another word
APART = 0.05  # by so much the second best has to be worse, else nobody knows which one is meant
STEM = 3  # letters with which two nearly equal words begin alike: "Shipped" is not "Skipped", "paid" not "unpaid"

# Words for one thing, as people write them; compared after ``plain_words``.
SYNONYMS = (
    # states of orders
    "новый; новий; новая; нова; новое замовлення; новый заказ; нове замовлення; new; new order; pending; очікує; очікує обробки; ожидает;"
    " ожидает обработки",
    "принят; принято; прийнято; прийнятий; принят в работу; прийнято в роботу; в работе; в роботі; в обработке; обрабатывается;"
    " в обробці; обробляється; accepted; received; processing; in progress; in process; in work",
    "подтвержден; подтверждено; підтверджено; підтверджений; согласован; согласовано; узгоджено; погоджено; confirmed; approved; agreed",
    "оплачен; оплачено; сплачено; сплачений; оплачений; paid",
    "не оплачен; не оплачено; неоплачен; не сплачено; несплачено; ожидает оплаты; очікує оплати; очікує на оплату; unpaid; not paid;"
    " awaiting payment; waiting for payment; pending payment",
    "комплектуется; комплектация; на комплектации; в сборке; собирается; комплектується; на комплектації; збирається; assembling;"
    " being assembled; packing; in assembly",
    "укомплектован; укомплектовано; собран; собрано; зібрано; скомплектовано; assembled; assembling complete; packed",
    "готов к отправке; готово к отправке; готовий до відправлення; готово до відправки; готовий до відправки; ready to ship;"
    " ready for shipment; ready to send",
    "отправлен; отправлено; відправлено; відправлений; надіслано; отгружен; отгружено; відвантажено; shipped; sent; dispatched",
    "в пути; доставляется; в дорозі; доставляється; in transit; on the way; delivering; in delivery; out for delivery",
    "доставлен; доставлено; доставлений; delivered",
    "выполнен; выполнено; виконано; виконаний; завершен; завершено; завершений; закрыт; закрито; complete; completed; done; finished;"
    " closed; fulfilled",
    "отменен; отменено; отмена; отменён; скасовано; скасований; скасоване; анульовано; аннулирован; cancel; cancelled; canceled; annulled",
    "возврат; возвращен; возвращено; повернення; повернено; повернуто; return; returned; refund; refunded",
    "отказ; отказ клиента; отказ покупателя; відмова; відмова клієнта; відмова покупця; refused; rejected; declined",
    "недозвон; не дозвонились; не дозвонились до клиента; не додзвонилися; недодзвон; немає відповіді; нет ответа; no answer; no call",
    "нет в наличии; нет на складе; немає в наявності; немає на складі; out of stock; no product; not available",
    # payments
    "наложенный платеж; наложка; накладений платіж; післяплата; оплата при получении; оплата при отриманні; при получении; при отриманні;"
    " cash on delivery; cod; pay on delivery; payment on delivery",
    "наличные; наличными; оплата наличными; готівка; готівкою; оплата готівкою; cash; in cash; cash payment",
    "банковская карта; картой; карта; карткою; картка; банківська картка; оплата картой; оплата карткою; card; bank card; credit card;"
    " by card; card payment",
    "онлайн оплата; оплата онлайн; картой онлайн; карткою онлайн; online; online payment; pay online; e-money",
    "безналичный расчет; безналичный; безнал; безналичная оплата; по счету; безготівковий розрахунок; безготівковий; безготівкова оплата;"
    " за рахунком; bank transfer; bank-transfer; wire transfer; by invoice; invoice; cashless",
    "предоплата; передоплата; передплата; prepayment; prepaid; in advance",
    "кредит; в кредит; credit; on credit",
    "рассрочка; в рассрочку; розстрочка; у розстрочку; оплата частями; оплата частинами; installments; instalments; pay in parts",
    # deliveries
    "самовывоз; самовивіз; самовывоз из магазина; самовивіз з магазину; pickup; pick up; self pickup; self-delivery; self delivery",
    "курьер; курьером; курьерская доставка; доставка курьером; кур'єр; кур'єром; кур'єрська доставка; доставка кур'єром; courier;"
    " courier delivery; by courier",
    "новая почта; нова пошта; новая пошта; nova poshta; novaposhta; new post; nova post",
    "новая почта отделение; нова пошта відділення; на отделение новой почты; у відділення нової пошти; nova poshta warehouse;"
    " nova poshta branch",
    "новая почта курьер; нова пошта кур'єр; курьер новой почты; кур'єр нової пошти; nova poshta courier",
    "новая почта почтомат; нова пошта поштомат; почтомат новой почты; поштомат нової пошти; nova poshta parcel locker",
    "укрпочта; укрпошта; ukrposhta; ukr poshta",
    "почта россии; пошта росії; russian post",
    "мист экспресс; міст експрес; meest; meest express; мист",
    "экспресс доставка; експрес доставка; express delivery; express",
    # warehouses, prices
    "основной склад; основний склад; главный склад; головний склад; main warehouse; main stock; main store",
    "магазин; shop; retail store",
    "розничная; розничная цена; розница; роздрібна; роздрібна ціна; роздріб; retail; retail price",
    "оптовая; оптовая цена; опт; оптова; оптова ціна; гурт; гуртова; wholesale; wholesale price; trade price",
    "закупочная; закупочная цена; закупівельна; закупівельна ціна; собестоимость; собівартість; purchase; purchase price; cost; cost price",
    "старая цена; цена до скидки; стара ціна; ціна до знижки; old price; price before discount",
    "акционная; акционная цена; цена со скидкой; акційна; акційна ціна; ціна зі знижкою; sale price; special price; discount price",
    # units, organisations of the sale
    "шт; штука; штук; pcs; pc; piece; pieces; item",
    "интернет магазин; інтернет магазин; сайт; online shop; online store; web shop; e-shop",
    "по телефону; телефон; телефоном; phone; by phone; phone call",
)


def suggest(theirs: Sequence[tuple[str, str]], ours: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Their key → our key, of pairs (key, name). Equal by name, then by a word for the same thing, then by their code, then nearly equal
    by name. A value that could be two of ours gets none, and so do two of theirs that would share one of ours for being merely near.
    """
    found: dict[str, str] = {}
    for by_code in (False, True):
        said = [(key, key if by_code else name) for key, name in theirs if not by_code or _speaks(key)]
        for way in (plain_words, meaning):
            _take(found, said, ours, way)
    return found | _near([(key, name) for key, name in theirs if key not in found], ours, set(found.values()))


def plain_words(text: str) -> str:
    """«Новая почта (до отд.)» → «новая почта до отд»: no case, no punctuation, «ё» as «е», «м'яч» and «м’яч» alike."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("ё", "е")
    text = re.sub(r"(?<=\w)['’ʼ`´](?=\w)", "", text)
    return " ".join(re.findall(r"[^\W_]+", text))


def meaning(text: str) -> str:
    """The same for words of one meaning; "" for words that are not among the usual ones."""
    return _MEANINGS.get(plain_words(text), "")


_MEANINGS = {plain_words(word): plain_words(group.partition(";")[0]) for group in SYNONYMS for word in group.split(";")}


def _speaks(key: str) -> bool:
    """Whether a code is made of words ("cash-on-delivery") and not of digits ("4f1c…-…", "17")."""
    return not any(char.isdigit() for char in key)


def _take(
    found: dict[str, str], said: Iterable[tuple[str, str]], ours: Iterable[tuple[str, str]], way: Callable[[str], str]
) -> None:
    """Add what is the same by ``way`` as exactly one of ours."""
    known: dict[str, set[str]] = defaultdict(set)
    for key, name in ours:
        known[way(name or key)].add(key)
    for key, words in said:
        fits = known.get(way(words), set()) if way(words) and key not in found else set()
        if len(fits) == 1:
            found[key] = next(iter(fits))


def _near(theirs: Iterable[tuple[str, str]], ours: Iterable[tuple[str, str]], taken: set[str]) -> dict[str, str]:
    """Only names whose words begin alike are compared: it is also what keeps 2 000 × 2 000 names quick."""
    alike: dict[tuple[str, ...], list[tuple[str, str]]] = defaultdict(list)
    for key, name in ours:
        alike[_stems(name)].append((key, plain_words(name)))
    wanted: dict[str, list[str]] = defaultdict(list)
    for key, name in theirs:
        words = plain_words(name)
        scored = (
            sorted(((_share(words, other), our) for our, other in alike.get(_stems(name), ())), reverse=True) if words else []
        )
        if scored and scored[0][0] >= NEAR and (len(scored) == 1 or scored[1][0] <= scored[0][0] - APART):
            wanted[scored[0][1]].append(key)
    return {keys[0]: our for our, keys in wanted.items() if len(keys) == 1 and our not in taken}


def _stems(name: str) -> tuple[str, ...]:
    """The beginnings of the words; numbers whole, since «Склад 1» is not «Склад 2»."""
    return tuple(word if any(char.isdigit() for char in word) else word[:STEM] for word in plain_words(name).split())


def _share(one: str, other: str) -> float:
    match = SequenceMatcher(None, one, other)
    return match.ratio() if match.quick_ratio() >= NEAR else 0.0
