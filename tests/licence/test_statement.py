"""A licence key, judged without asking anybody."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
import publisher

from obmen.licence import signing, statement
from obmen.licence.statement import BadLicence, Terms

TODAY = date(2026, 11, 22)


def key(private: Any = publisher.KEY, **terms: Any) -> str:
    return statement.issue(private, Terms(**{"format": "toyshop", "login": "Ann", "until": date(2026, 12, 31)} | terms))


def read(text: str, login: str = "ann", format: str = "toyshop") -> statement.Licence:
    return statement.read(text, login, format, publisher.PUBLIC, TODAY)


def test_a_key_says_until_when_and_for_what() -> None:
    found = read(key(connections=2, only=("Shop",)))
    assert (found.days, found.ended) == (39, False)
    assert (found.terms.until, found.terms.connections, found.terms.only) == (date(2026, 12, 31), 2, ("Shop",))


def test_a_key_that_was_broken_into_lines_by_a_letter_is_read() -> None:
    whole = key()
    assert read(f"  {whole[:40]}\n{whole[40:90]} {whole[90:]}\n", " ANN ").days == 39


@pytest.mark.parametrize(("until", "ended", "days"), [((2026, 11, 22), False, 0), ((2026, 11, 21), True, -1)])
def test_the_last_day_is_good_to_its_end(until: tuple[int, int, int], ended: bool, days: int) -> None:
    found = read(key(until=date(*until)))
    assert (found.ended, found.days) == (ended, days)


@pytest.mark.parametrize(
    ("text", "login", "format", "said"),
    [
        ("", "ann", "toyshop", "Enter the login and the key"),
        (key(), " ", "toyshop", "Enter the login and the key"),
        ("1234-5678", "ann", "toyshop", "no licence key"),
        (key()[:-10], "ann", "toyshop", "not issued by the publisher|no licence key"),
        (key()[3:], "ann", "toyshop", "not issued by the publisher|no licence key"),
        (key(signing.read_private(signing.new_private())), "ann", "toyshop", "not issued by the publisher"),
        (key(format="other"), "ann", "toyshop", "for the format “other”, not for “toyshop”"),
        (key(), "bob", "toyshop", "not issued for the login “bob”"),
        ("ж" * 9000, "ann", "toyshop", "no licence key"),
    ],
)
def test_a_wrong_key_is_refused_with_the_exact_reason(text: str, login: str, format: str, said: str) -> None:
    with pytest.raises(BadLicence, match=said):
        read(text, login, format)


def test_terms_cannot_be_altered() -> None:
    """The payload of one key with the signature of another, also of the same publisher."""
    long, short = key(until=date(2099, 1, 1), login="bob"), key()
    with pytest.raises(BadLicence, match="not issued by the publisher"):
        read(f"{long.partition('.')[0]}.{short.partition('.')[2]}")
