"""What is suggested for a value of theirs, by its name."""

from __future__ import annotations

import pytest

from obmen.web.suggest import SYNONYMS, plain_words, suggest

STATES = [("n", "Новий"), ("p", "Сплачений"), ("s", "Відправлено"), ("d", "Виконано"), ("c", "Скасовано")]


def one(theirs: str, *ours: str) -> str:
    """What is suggested for a value of this name, as the name of ours; "" for none."""
    return suggest([("id-1", theirs)], [(name, name) for name in ours]).get("id-1", "")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("НОВИЙ ", "Новий"),
        ("Готівка, (кур’єр)", "готівка кур'єр"),
        ("Подтверждён", "подтвержден"),
        ("Новый", "Новий"),
        ("New", "Новий"),
        ("Наложенный платеж", "Накладений платіж"),
        ("Cash on delivery", "Наложенный платеж"),
        ("Новая Почта", "Нова пошта"),
        ("Самовывоз", "Pickup"),
        ("Canceled", "Отменен"),
        ("Картою на сайті", "Карткою на сайті"),
        ("Комплектований", "Комплектовано"),
        ("Склад на Лісовій", "Склад на Лісовой"),
    ],
)
def test_a_name_that_means_the_same_is_suggested(theirs: str, ours: str) -> None:
    assert one(theirs, "Зовсім інше", ours) == ours


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("Склад 1", "Склад 2"),
        ("Unpaid", "Paid"),
        ("Неоплачено", "Оплачено"),
        ("Confirmed", "Unconfirmed"),
        ("Shipped", "Skipped"),
        ("Shipping", "Skipping"),
        ("Частково оплачено", "Частково відправлено"),
        ("Нова пошта (відділення)", "Нова пошта"),
        ("Доставляется", "Доставлен"),
        ("EMS", "УМС"),
        ("", ""),
        ("?!", "…"),
    ],
)
def test_a_name_that_only_looks_alike_is_not(theirs: str, ours: str) -> None:
    assert one(theirs, "Зовсім інше", ours) == ""


def test_what_could_be_two_of_ours_gets_none() -> None:
    assert one("Cancelled", "Скасовано", "Отменен") == ""
    assert one("Склад на Лісовой", "Склад на Лісовій", "Склад на Лісовою") == ""


def test_the_equal_name_goes_before_the_word_of_the_same_meaning() -> None:
    assert one("Скасовано", "Отменен", "Скасовано") == "Скасовано"


def test_two_of_theirs_that_are_merely_near_the_same_of_ours_get_none() -> None:
    ours = [("k", "Карткою на сайті")]
    assert suggest([("1", "Картою на сайті")], ours) == {"1": "k"}
    assert suggest([("1", "Картою на сайті"), ("2", "Карткой на сайті")], ours) == {}
    assert suggest([("1", "Карткою на сайті"), ("2", "Картою на сайті")], ours) == {"1": "k"}


def test_several_words_of_one_meaning_may_be_the_same_of_ours() -> None:
    theirs = [("1", "Наложенный платеж"), ("2", "Cash on delivery"), ("3", "Післяплата")]
    assert suggest(theirs, [("cod", "Накладений платіж")]) == {"1": "cod", "2": "cod", "3": "cod"}


def test_a_code_made_of_words_says_what_a_name_does_not() -> None:
    assert suggest([("cash-on-delivery", "Наш спосіб № 3")], [("7", "Накладений платіж")]) == {"cash-on-delivery": "7"}
    assert suggest([("17", "Наш спосіб")], [("x", "17")]) == {}


def test_a_whole_list_of_states_is_suggested_at_once() -> None:
    theirs = [("1", "Новый"), ("2", "Оплачен"), ("3", "Отправлен"), ("4", "Выполнен"), ("5", "Отменен"), ("6", "Ждем из Китая")]
    assert suggest(theirs, STATES) == {"1": "n", "2": "p", "3": "s", "4": "d", "5": "c"}


def test_no_word_stands_under_two_meanings() -> None:
    words = [plain_words(word) for group in SYNONYMS for word in {plain_words(w) for w in group.split(";")}]
    assert sorted({w for w in words if words.count(w) > 1}) == []


def test_each_of_two_thousand_names_finds_its_own() -> None:
    theirs = [(str(n), f"Точка видачі {n} міста") for n in range(2000)]
    ours = [(f"o{n}", f"Точка видачи {n} міста") for n in range(2000)]
    found = suggest(theirs, ours)
    assert (len(found), found["77"]) == (2000, "o77")
