"""Calls on real sockets: what is tried again, what never is, and which error says what."""

from __future__ import annotations

import email.utils
import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from net.peer import Asked, Peer, Script, nobody, peer
from obmen.core.contract import ExchangeError, NeedsOwner, TryLater
from obmen.net.client import AnswerLost, Breaker, Client, Exchange, NotJson, Pace, Retry, Timeouts, TooLarge, php_query, to_json
from obmen.net.pace import MemorySlots


def fast() -> Pace:
    return Pace("test", 10_000, slots=MemorySlots())


class Sleeps(list[float]):
    def __call__(self, seconds: float) -> None:
        self.append(round(seconds, 3))


@contextmanager
def calling(script: Script, **options: Any) -> Iterator[tuple[Client, Peer, Sleeps]]:
    sleeps = Sleeps()
    given: dict[str, Any] = {"pace": fast(), "allow_private": True, "sleep": sleeps, "chance": lambda: 1.0} | options
    with peer(script) as there, Client(there.url + "/api", **given) as client:
        yield client, there, sleeps


def answers(*listed: tuple[int, dict[str, str], bytes] | int) -> Script:
    """One after the other, the last one for ever; a number is a status with an empty JSON object."""
    left = list(listed)

    def script(asked: Asked, handler: Any) -> tuple[int, dict[str, str], bytes]:
        answer = left.pop(0) if len(left) > 1 else left[0]
        return (answer, {}, b"{}") if isinstance(answer, int) else answer

    return script


def hangs_up(asked: Asked, handler: Any) -> None:
    """The call arrived; the connection ends without an answer."""
    handler.connection.close()


def half(asked: Asked, handler: Any) -> None:
    handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id": 1')


# --- what goes out and comes back ----------------------------------------------------------------------------------------


def test_query_form_json_and_headers_arrive_as_they_were_given() -> None:
    with calling(answers(200), headers={"X-API-KEY": "k1"}) as (client, there, _):
        client.call("GET", "/orders", query=php_query({"filter": {"ids": [1, 2], "name": "ё&="}, "limit": 50}))
        client.call("POST", "orders/create", form=[("order", '{"a":"б"}')])
        client.call("POST", "orders/json", json={"sum": Decimal("10.50")}, headers={"X-One": "1"})
        client.call("PUT", "files", content=b"\x00\x01")
    get, form, json, put = there.asked
    assert get.path == "/api/orders?filter%5Bids%5D%5B%5D=1&filter%5Bids%5D%5B%5D=2&filter%5Bname%5D=%D1%91%26%3D&limit=50"
    assert (form.path, form.headers["content-type"], form.body) == (
        "/api/orders/create",
        "application/x-www-form-urlencoded",
        b"order=%7B%22a%22%3A%22%D0%B1%22%7D",
    )
    assert (json.headers["content-type"], json.body, json.headers["x-one"]) == ("application/json", b'{"sum":10.50}', "1")
    assert (put.method, put.body) == ("PUT", b"\x00\x01")
    assert {a.headers["x-api-key"] for a in there.asked} == {"k1"}


def test_a_connection_is_kept_for_the_next_call() -> None:
    with calling(answers(200)) as (client, there, _):
        for _n in range(5):
            client.call("GET", "a")
    assert len({a.connection for a in there.asked}) == 1


def test_an_answer_is_read_with_its_numbers_exact() -> None:
    body = '\ufeff{"price": 0.1, "big": 12345678901234567890.12, "n": 7, "ё": "є"}'.encode()
    with calling(answers((201, {"X-Total": "3"}, body))) as (client, _there, _):
        response = client.call("GET", "a")
    assert response.json() == {"price": Decimal("0.1"), "big": Decimal("12345678901234567890.12"), "n": 7, "ё": "є"}
    assert [type(v) for v in response.json().values()] == [Decimal, Decimal, int, str]
    assert (response.status, response.ok, response.headers["x-total"]) == (201, True, "3")


def test_a_packed_answer_is_unpacked() -> None:
    packed = gzip.compress(b'{"a":') + gzip.compress(b"1}")
    with calling(answers((200, {"Content-Encoding": "gzip"}, packed))) as (client, there, _):
        assert client.call("GET", "a").json() == {"a": 1}
    assert there.asked[0].headers["accept-encoding"] == "gzip"


def test_text_is_read_in_its_own_charset() -> None:
    body = "Не найдено".encode("cp1251")
    with calling(answers((404, {"Content-Type": 'text/html; charset="windows-1251"'}, body))) as (client, _there, _):
        assert client.call("GET", "a").text == "Не найдено"


def test_cookies_of_one_call_do_not_go_with_the_next() -> None:
    with calling(answers((200, {"Set-Cookie": "session=1; Path=/"}, b"{}"))) as (client, there, _):
        client.call("GET", "a")
        client.call("GET", "a")
    assert ["cookie" in a.headers for a in there.asked] == [False, False]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 460])
def test_what_an_answer_below_500_means_is_left_to_the_connector(status: int) -> None:
    with calling(answers(status)) as (client, there, _):
        assert client.call("POST", "a").status == status
    assert len(there.asked) == 1


# --- again, and never again ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503, 500, 502, 504])
def test_a_reading_call_is_tried_again_with_growing_pauses(status: int) -> None:
    with calling(answers(status, status, status, 200)) as (client, there, sleeps):
        assert client.call("GET", "a").status == 200
    assert len(there.asked) == 4
    assert sleeps == [0.5, 1.0, 2.0]


def test_pauses_end_at_the_longest_and_are_shortened_by_chance() -> None:
    retry = Retry(first=0.5, longest=30.0)
    assert [retry.pause(n, 1.0) for n in (1, 2, 6, 7, 8, 50)] == [0.5, 1.0, 16.0, 30.0, 30.0, 30.0]
    assert [retry.pause(n, 0.0) for n in (1, 2, 8)] == [0.25, 0.5, 15.0]


@pytest.mark.parametrize("status", [429, 503])
def test_a_writing_call_is_repeated_when_they_say_that_they_did_not_act(status: int) -> None:
    with calling(answers(status, status, 201)) as (client, there, _):
        assert client.call("POST", "a", form=[("order", "1")]).status == 201
    assert [a.body for a in there.asked] == [b"order=1"] * 3


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_writing_call_is_never_repeated_after_an_error_over_there(status: int) -> None:
    with calling(answers(status, 200)) as (client, there, sleeps):
        with pytest.raises(AnswerLost) as raised:
            client.call("POST", "a")
        assert raised.value.facts == {"host": "127.0.0.1", "why": "an error over there", "status": status}
        assert (len(there.asked), sleeps) == (1, [])


@pytest.mark.parametrize(
    ("script", "why"), [(hangs_up, "the connection broke off"), (half, "the answer came in part only")], ids=["hangs up", "half"]
)
def test_a_writing_call_is_never_repeated_when_the_answer_is_lost(script: Script, why: str) -> None:
    with calling(script) as (client, there, sleeps):
        with pytest.raises(AnswerLost) as raised:
            client.call("POST", "a")
        assert (raised.value.facts["why"], len(there.asked), sleeps) == (why, 1, [])


@pytest.mark.parametrize("script", [hangs_up, half], ids=["hangs up", "half"])
def test_a_reading_call_is_repeated_when_the_answer_is_lost(script: Script) -> None:
    with calling(script, retry=Retry(attempts=3)) as (client, there, _):
        with pytest.raises(TryLater) as raised:
            client.call("GET", "a")
        assert (type(raised.value), len(there.asked)) == (TryLater, 3)


def test_a_writing_call_that_is_safe_to_repeat_is_repeated() -> None:
    with calling(answers(500, 200)) as (client, there, _):
        assert client.call("POST", "a", safe=True).status == 200
    assert len(there.asked) == 2


def test_a_writing_call_is_repeated_while_no_connection_can_be_made() -> None:
    sleeps = Sleeps()
    address = f"http://127.0.0.1:{nobody()}"
    with (
        Client(address, pace=fast(), allow_private=True, sleep=sleeps, chance=lambda: 1.0) as client,
        pytest.raises(TryLater) as raised,
    ):
        client.call("POST", "a")
    assert (type(raised.value), sleeps) == (TryLater, [0.5, 1.0, 2.0, 4.0])
    assert raised.value.facts == {"host": "127.0.0.1", "why": "no connection could be made"}


def test_silence_is_a_lost_answer_in_time() -> None:
    asked_all, arrived = threading.Event(), threading.Event()

    def silent(asked: Asked, handler: Any) -> None:
        arrived.set()
        asked_all.wait(60)

    with calling(silent, timeouts=Timeouts(silence=0.3)) as (client, there, _):
        with pytest.raises(AnswerLost) as raised:
            client.call("POST", "a")
        assert arrived.wait(60)  # a busy peer reads the call after the client has given up
        assert (raised.value.facts["why"], len(there.asked), asked_all.is_set()) == ("no answer in time", 1, False)
        asked_all.set()


@pytest.mark.parametrize("where", ["headers", "body"])
def test_an_answer_that_drips_for_ever_is_broken_off(where: str) -> None:
    stop = threading.Event()

    def drip(asked: Asked, handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        if where == "body":
            handler.wfile.write(b"Content-Length: 100000\r\n\r\n")
        while not stop.wait(0.05):
            handler.wfile.write(b"X: 1\r\n" if where == "headers" else b"x")

    began = time.monotonic()
    try:
        with calling(drip, timeouts=Timeouts(silence=5, whole=0.5)) as (client, _there, _):
            with pytest.raises(AnswerLost) as raised:
                client.call("POST", "a")
            assert raised.value.facts["why"] == "no answer in time"
            assert 0.4 < time.monotonic() - began < 30
    finally:
        stop.set()


def test_the_rest_they_ask_for_is_kept_by_everybody() -> None:
    pace = fast()
    with calling(answers((429, {"Retry-After": "1"}, b""), 200), pace=pace) as (client, there, sleeps):
        client.call("GET", "a")
        assert [round(s, 1) for s in sleeps] == [1.1]  # and a tenth of the pause, so that not all come back at once
        assert there.asked[1].at - there.asked[0].at >= 0.9  # the client's sleep was not real: the pace kept it


def test_a_rest_until_a_moment_is_counted_from_their_clock() -> None:
    theirs = time.time() - 86_400
    refusal = (
        503,
        {"Retry-After": email.utils.formatdate(theirs + 7200, usegmt=True), "X": "1"},
        b"",
    )

    def script(asked: Asked, handler: Any) -> tuple[int, dict[str, str], bytes]:
        handler.date_time_string = lambda timestamp=None: email.utils.formatdate(theirs, usegmt=True)
        return refusal

    with calling(script) as (client, there, sleeps):
        with pytest.raises(TryLater) as raised:
            client.call("GET", "a")
        assert (len(there.asked), sleeps, raised.value.after) == (1, [], timedelta(hours=1))


def test_a_rest_longer_than_the_budget_is_left_to_the_run() -> None:
    with calling(answers((503, {"Retry-After": "300"}, b""))) as (client, there, sleeps):
        with pytest.raises(TryLater) as raised:
            client.call("POST", "a")
        assert (len(there.asked), sleeps, raised.value.after) == (1, [], timedelta(seconds=300))
        assert raised.value.facts == {"host": "127.0.0.1", "status": 503}


def test_no_new_attempt_begins_after_the_budget_of_seconds() -> None:
    moments = iter([0.0, *[n * 4.0 for n in range(100)]])
    retry = Retry(attempts=100, seconds=10, first=1, longest=1)
    with calling(answers(500), retry=retry, clock=lambda: next(moments), breaker=Breaker(failures=1000)) as (client, there, _):
        with pytest.raises(TryLater):
            client.call("GET", "a")
        assert len(there.asked) < 5


# --- an account that does not work ---------------------------------------------------------------------------------------


def test_after_failures_in_a_row_nobody_calls_until_one_has_tried() -> None:
    now = [100.0]
    state = {"works": False}
    breaker = Breaker(failures=3, pause=60, clock=lambda: now[0])

    def script(asked: Asked, handler: Any) -> tuple[int, dict[str, str], bytes]:
        return (200 if state["works"] else 500, {}, b"{}")

    with calling(script, retry=Retry(attempts=1), breaker=breaker) as (client, there, _):
        for _n in range(3):
            with pytest.raises(TryLater):
                client.call("GET", "a")
        with pytest.raises(TryLater) as raised:
            client.call("GET", "a")
        assert (len(there.asked), raised.value.facts["count"], raised.value.after) == (3, 3, timedelta(seconds=60))
        now[0] += 61
        with pytest.raises(TryLater):
            client.call("GET", "a")  # the one that tries
        with pytest.raises(TryLater):
            client.call("GET", "a")
        assert len(there.asked) == 4
        now[0] += 61
        state["works"] = True
        assert [client.call("GET", "a").status for _n in range(3)] == [200, 200, 200]


def test_only_one_tries_whether_it_works_again() -> None:
    now, gate, arrived = [0.0], threading.Event(), threading.Event()
    breaker = Breaker(failures=1, pause=60, clock=lambda: now[0])

    def script(asked: Asked, handler: Any) -> tuple[int, dict[str, str], bytes]:
        if asked.path == "/api/slow":
            arrived.set()
            gate.wait(60)
            return 200, {}, b"{}"
        return 500, {}, b""

    with calling(script, retry=Retry(attempts=1), breaker=breaker) as (client, there, _):
        with pytest.raises(TryLater):
            client.call("GET", "a")
        now[0] += 61
        probe = threading.Thread(target=client.call, args=("GET", "slow"))
        probe.start()
        assert arrived.wait(60)
        with pytest.raises(TryLater):
            client.call("GET", "b")
        gate.set()
        probe.join(60)
        assert there.paths == ["GET /api/a", "GET /api/slow"]
        assert client.call("GET", "slow").status == 200


def test_answers_that_refuse_do_not_count_as_failures() -> None:
    with calling(answers(429), retry=Retry(attempts=10), breaker=Breaker(failures=2)) as (client, there, _):
        with pytest.raises(TryLater):
            client.call("GET", "a")
        assert len(there.asked) == 10  # nothing failed fast


# --- answers that are none -----------------------------------------------------------------------------------------------


def test_a_page_instead_of_data_is_told_with_its_first_words() -> None:
    page = b"<html><h1>Maintenance, token=abcdef</h1>" + b"x" * 1000
    with calling(answers((200, {"Content-Type": "text/html"}, page))) as (client, _there, _):
        response = client.call("POST", "a")
        with pytest.raises(NotJson) as raised:
            response.json()
    assert raised.value.facts["start"].startswith("<html><h1>Maintenance, token=•••</h1>xxx")
    assert len(raised.value.facts["start"]) == 200
    assert isinstance(raised.value, AnswerLost)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe{}", b"[" * 100_000, b'{"a": NaN}'])
def test_what_is_no_json_is_never_taken_for_it(body: bytes) -> None:
    with calling(answers((200, {}, body))) as (client, _there, _), pytest.raises(NotJson):
        client.call("GET", "a").json()


def test_an_answer_longer_than_allowed_is_not_read() -> None:
    with calling(answers((200, {}, b"x" * 200_000)), max_bytes=100_000) as (client, there, _):
        with pytest.raises(TooLarge) as raised:
            client.call("GET", "a")
        assert raised.value.facts == {"host": "127.0.0.1", "limit": 100_000}
        with pytest.raises(AnswerLost):
            client.call("POST", "a")
        assert len(there.asked) == 2


def test_an_answer_that_unpacks_to_more_than_allowed_is_refused() -> None:
    bomb = gzip.compress(b"0" * 5_000_000)
    assert len(bomb) < 10_000
    with (
        calling(answers((200, {"Content-Encoding": "gzip"}, bomb)), max_bytes=1_000_000) as (client, _there, _),
        pytest.raises(TooLarge),
    ):
        client.call("GET", "a")


def test_half_of_a_packed_answer_is_a_lost_one() -> None:
    packed = gzip.compress(b"{}" * 10_000)[:-20]
    with calling(answers((200, {"Content-Encoding": "gzip"}, packed))) as (client, _there, _):
        with pytest.raises(AnswerLost) as raised:
            client.call("POST", "a")
        assert raised.value.facts["why"] == "the answer came in part only"


# --- the journal ---------------------------------------------------------------------------------------------------------


def test_every_attempt_is_written_down_with_its_secrets_masked() -> None:
    kept: list[Exchange] = []
    body = b'{"apiKey": "s3cr3t-key", "id": 5, "echo": "s3cr3t-key"}'
    with calling(answers(503, (200, {}, body)), headers={"X-API-KEY": "s3cr3t-key"}, journal=kept.append) as (client, there, _):
        client.call("POST", "a", query=[("apiKey", "s3cr3t-key"), ("page", "2")], form=[("token", "other"), ("n", "1")])
    assert [(e.method, e.status, e.error) for e in kept] == [("POST", 503, "an error over there"), ("POST", 200, "")]
    assert kept[1].url == f"{there.url}/api/a?apiKey=•••&page=2"
    assert kept[1].sent == "token=•••&n=1"
    assert kept[1].sent_headers["x-api-key"] == "•••"
    assert kept[1].answer == '{"apiKey": "•••", "id": 5, "echo": "•••"}'
    assert (kept[1].bytes_in, kept[1].bytes_out) == (len(body), len(b"token=other&n=1"))
    assert 0 <= kept[1].milliseconds < 5000
    assert "s3cr3t" not in repr(kept)


def test_a_call_without_an_answer_is_written_down_too() -> None:
    kept: list[Exchange] = []
    with calling(hangs_up, journal=kept.append) as (client, _there, _), pytest.raises(AnswerLost):
        client.call("POST", "a")
    assert [(e.status, e.error) for e in kept] == [(None, "the connection broke off")]


# --- addresses and keys that cannot be -----------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["ftp://example.com", "file:///etc/passwd", "example.com", "https://", "https://[::1", ""])
def test_an_address_that_is_none_is_refused_at_once(address: str) -> None:
    with pytest.raises(NeedsOwner):
        Client(address, pace=fast())


def test_login_and_password_do_not_belong_into_the_address() -> None:
    with pytest.raises(NeedsOwner) as raised:
        Client("https://ann:pw123@example.com", pace=fast())
    assert "pw123" not in str(raised.value)


@pytest.mark.parametrize("key", ["кey", "key\n", "key\r\nX: 1"])
def test_a_key_that_no_header_can_carry_is_named_and_not_shown(key: str) -> None:
    with pytest.raises(NeedsOwner) as raised:
        Client("https://example.com", pace=fast(), headers={"X-API-KEY": key})
    assert raised.value.facts == {"header": "X-API-KEY"}


def test_php_query_writes_what_php_reads() -> None:
    assert php_query(
        {
            "filter": {"ids": [1, "2"], "customFields": {"nps": {"min": Decimal("5E+1")}}, "paid": True, "old": False},
            "items": [{"id": 1, "tags": ["a"]}, {"id": 2}],
            "none": None,
            "limit": 100,
        }
    ) == [
        ("filter[ids][]", "1"),
        ("filter[ids][]", "2"),
        ("filter[customFields][nps][min]", "50"),
        ("filter[paid]", "1"),
        ("filter[old]", "0"),
        ("items[0][id]", "1"),
        ("items[0][tags][]", "a"),
        ("items[1][id]", "2"),
        ("limit", "100"),
    ]
    with pytest.raises(TypeError):
        php_query({"sum": 0.1})


def test_json_keeps_the_digits_of_amounts() -> None:
    assert to_json({"sum": Decimal("10.50"), "name": "ё"}) == '{"sum":10.50,"name":"ё"}'


def test_every_error_says_its_facts_in_words() -> None:
    with calling(answers(500), retry=Retry(attempts=1)) as (client, _there, _), pytest.raises(ExchangeError) as raised:
        client.call("GET", "a")
    assert str(raised.value) == "127.0.0.1 does not take calls now (status 500). It is tried again by itself"
