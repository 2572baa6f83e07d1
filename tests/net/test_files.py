"""Bodies that are files: sent in slices and saved while they come, never whole in memory."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from net.peer import Asked
from net.test_client import answers, calling, half
from obmen.core.contract import TryLater
from obmen.net.client import AnswerLost, Exchange, Into, Retry, Slice, TooLarge

DOCUMENT = "<Документ>".encode() * 50_000


def test_a_slice_arrives_byte_for_byte_with_its_length(tmp_path: Path) -> None:
    file = tmp_path / "import.xml"
    file.write_bytes(bytes(range(256)) * 4000)
    kept: list[Exchange] = []
    with calling(answers(200), journal=kept.append) as (client, there, _):
        client.call("POST", "file", content=Slice(file, 1000, 300_000), safe=False)
        client.call("POST", "file", content=Slice(file, 0, 0), safe=False)
    (whole, nothing) = there.asked
    assert whole.body == file.read_bytes()[1000:301_000]
    assert (whole.headers["content-length"], "transfer-encoding" in whole.headers) == ("300000", False)
    assert (nothing.body, nothing.headers["content-length"]) == (b"", "0")
    assert [(e.bytes_out, e.sent) for e in kept] == [(300_000, "(300000 bytes)"), (0, "(0 bytes)")]


def test_a_slice_that_was_turned_away_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "import.xml"
    file.write_bytes(b"0123456789")
    with calling(answers(503, 200)) as (client, there, _):
        client.call("POST", "file", content=Slice(file, 2, 5), safe=False)
    assert [a.body for a in there.asked] == [b"23456", b"23456"]


def test_a_slice_whose_answer_got_lost_is_not_sent_a_second_time(tmp_path: Path) -> None:
    file = tmp_path / "import.xml"
    file.write_bytes(b"0123456789")
    with calling(half) as (client, there, _), pytest.raises(AnswerLost):
        client.call("POST", "file", content=Slice(file, 0, 10), safe=False)
    assert len(there.asked) == 1


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_is_saved_to_a_file_and_its_beginning_returned(packed: bool, tmp_path: Path) -> None:
    headers = {"Content-Encoding": "gzip"} if packed else {}
    body = gzip.compress(DOCUMENT[:400_000]) + gzip.compress(DOCUMENT[400_000:]) if packed else DOCUMENT
    kept: list[Exchange] = []
    with calling(answers((200, headers, body)), keep=1000, journal=kept.append) as (client, _there, _):
        response = client.call("GET", "query", into=Into(tmp_path / "orders.xml"))
    assert (tmp_path / "orders.xml").read_bytes() == DOCUMENT
    assert response.body == DOCUMENT[:1000]
    assert kept[0].bytes_in == len(DOCUMENT)


def test_a_saved_answer_is_no_longer_than_allowed(tmp_path: Path) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    with (
        calling(answers((200, {"Content-Encoding": "gzip"}, bomb)), keep=1000) as (client, _there, _),
        pytest.raises(TooLarge),
    ):
        client.call("GET", "query", into=Into(tmp_path / "orders.xml", 100_000))
    assert (tmp_path / "orders.xml").stat().st_size <= 100_000


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_that_breaks_off_is_saved_anew_by_the_next_try(packed: bool, tmp_path: Path) -> None:
    whole = gzip.compress(DOCUMENT) if packed else DOCUMENT
    headers = {"Content-Encoding": "gzip"} if packed else {}
    tries = iter((False, True))

    def script(asked: Asked, handler: Any) -> Any:
        if next(tries):
            return 200, headers, whole
        if packed:
            return 200, headers, whole[:-20]
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        return None

    with calling(script) as (client, there, _):
        client.call("GET", "query", into=Into(tmp_path / "orders.xml"))
    assert (len(there.asked), (tmp_path / "orders.xml").read_bytes()) == (2, DOCUMENT)


def test_an_answer_that_never_comes_whole_is_an_error(tmp_path: Path) -> None:
    with calling(half, retry=Retry(attempts=2)) as (client, _there, _), pytest.raises(TryLater):
        client.call("GET", "query", into=Into(tmp_path / "orders.xml"))


def test_the_journal_shows_of_a_secret_answer_what_it_may() -> None:
    kept: list[Exchange] = []
    with calling(answers((200, {}, b"success\nPHPSESSID\nsecret")), journal=kept.append) as (client, _there, _):
        response = client.call("GET", "checkauth", shown=lambda body: body.partition(b"\n")[0])
    assert (response.body, kept[0].answer, kept[0].bytes_in) == (b"success\nPHPSESSID\nsecret", "success", 24)
