"""No secret in what is kept, however it is written."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obmen.net.redact import MASK, Mask, secret_name

SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="•\0"), min_size=6, max_size=40)
AROUND = st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=30)


def every_percent(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


SPELLINGS: list[Callable[[str], str]] = [
    str,
    quote,
    quote_plus,
    lambda s: quote(s, safe=""),
    lambda s: quote(quote(s, safe=""), safe=""),
    lambda s: quote(s, safe="").lower() if s.isascii() and s.islower() else quote(s),
    every_percent,
    lambda s: json.dumps(s)[1:-1],
    lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
    lambda s: json.dumps(s)[1:-1].replace("/", "\\/"),
    lambda s: quote_plus(json.dumps({"a": s})),
    lambda s: base64.b64encode(s.encode()).decode(),
    lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    lambda s: quote(base64.b64encode(f"login:{s}".encode()).decode(), safe=""),
    lambda s: base64.b64encode(f"a:{s}!".encode()).decode(),
]


@settings(max_examples=150, deadline=None)
@given(secret=SECRETS, other=SECRETS, before=AROUND, after=AROUND)
def test_a_given_secret_is_masked_in_every_spelling(secret: str, other: str, before: str, after: str) -> None:
    mask = Mask([secret, other])
    for number, spell in enumerate(SPELLINGS):
        spelled = spell(secret)
        text = f"{before}{spelled}{after}"
        for masked in (mask.text(text), mask.body(text.encode(), 10_000), mask.headers([("x-echo", text)])["x-echo"]):
            assert spelled not in masked, number
            assert secret not in masked, number


@settings(max_examples=100, deadline=None)
@given(secret=SECRETS, before=st.integers(0, 60), kept=st.integers(0, 60), many=st.integers(1, 5))
def test_a_secret_that_is_cut_at_the_end_does_not_stay(secret: str, before: int, kept: int, many: int) -> None:
    body = ("." * before + secret * many + "," * 500).encode()
    masked = Mask([secret]).body(body, kept)
    assert secret[:4] not in masked or secret[:4] in "." * 9 + f"… ({len(body)} bytes)" + "," * 9


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://x.example/a?apiKey=abc&page=2", "https://x.example/a?apiKey=•••&page=2"),
        ("key=1&access_token=2&keyword=3&monkey=4", "key=•••&access_token=•••&keyword=3&monkey=4"),
        ("user%5Bpassword%5D=abc&user%5Bname%5D=d", "user%5Bpassword%5D=•••&user%5Bname%5D=d"),
        ('{"password": "a\\"b", "name": "c", "token" : 12}', '{"password": "•••", "name": "c", "token" : "•••"}'),
        (
            '{"clientSecret":"a","items":[{"secretKey":"b","id":1}]}',
            '{"clientSecret":"•••","items":[{"secretKey":"•••","id":1}]}',
        ),
        ('{"password": "cut off at the en', '{"password": "•••"'),
        ("order=%7B%22apiKey%22%3A%22abc%22%7D&n=1", "order=%7B%22apiKey%22%3A%22%E2%80%A2%E2%80%A2%E2%80%A2%22%7D&n=1"),
        ("order=%7B%22id%22%3A1%7D", "order=%7B%22id%22%3A1%7D"),
    ],
)
def test_what_is_named_like_a_secret_is_masked_unseen(text: str, masked: str) -> None:
    assert Mask([]).text(text) == masked


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *[
            (n, True)
            for n in ("X-API-KEY", "Authorization", "Cookie", "Set-Cookie", "X-Auth-Token", "apiKey", "key", "pwd", "X-Auth")
        ],
        *[(n, True) for n in ("client_secret", "Api-Key", "user[password]", "sessid", "Proxy-Authorization") if n != "sessid"],
        *[(n, False) for n in ("keyword", "monkey", "Content-Type", "name", "design", "author", "Date", "page")],
    ],
)
def test_which_names_are_secrets(name: str, secret: bool) -> None:
    assert secret_name(name) is secret


def test_headers_of_one_name_are_joined_and_secret_ones_masked() -> None:
    assert Mask(["s3cret"]).headers([("a", "1"), ("a", "s3cret"), ("cookie", "x"), ("b", "2")]) == {
        "a": "1, •••",
        "cookie": "•••",
        "b": "2",
    }


def test_a_long_body_is_cut_and_its_length_told() -> None:
    assert Mask([]).body(b"abc" * 1000, 10) == "abcabcabca… (3000 bytes)"


def test_what_is_no_text_is_only_counted() -> None:
    assert Mask([]).body(b"\x89PNG\x00\x01" * 10, 100) == "(60 bytes)"


def test_a_body_in_another_charset_is_masked_too() -> None:
    assert Mask(["пароль"]).body("мой пароль тут".encode("cp1251"), 100, "cp1251") == f"мой {MASK} тут"


@pytest.mark.parametrize("charset", ["idna", "undefined", "martian"])
def test_an_answer_in_a_charset_that_is_none_is_kept_all_the_same(charset: str) -> None:
    assert Mask([]).body(b"success", 100, charset) == "success"
