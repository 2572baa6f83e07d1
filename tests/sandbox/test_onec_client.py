"""The client's calls, one by one, against a little site on a socket; and against the recorded transcripts."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from onec_site import Asked, Site, order, orders

from obmen.core.contract import ExchangeError, NeedsOwner
from obmen.sandbox.onec.base import Base
from obmen.sandbox.onec.client import Address, BadAnswer, Client, Died, Fault, NoAnswer, Refused, Step, text_of
from obmen.sandbox.onec.profiles import PROFILES
from obmen.sandbox.onec.run import Report, exchange, pull, push

ID = "3f2b7c1e-9f0c-4a1e-8c7d-000000000001"


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as one:
        yield one


def client(site: Site, profile: str = "ut11", **more: object) -> Client:
    paused: list[float] = []
    one = Client(
        PROFILES[profile],
        Address.parse(site.url),
        "admin",
        "secret",
        sleep=paused.append,
        new_id=lambda: ID,
        **more,  # type: ignore[arg-type]
    )
    one.paused = paused  # type: ignore[attr-defined]
    return one


def folder(tmp_path: Path, *names: str) -> Path:
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".xml"):
            pictures = "".join(f"<Картинка>{n}</Картинка>" for n in names if "/" in n and not name.startswith("offers"))
            path.write_text(f"<Каталог><Товары><Товар><Ид>1</Ид>{pictures}</Товар></Товары></Каталог>", "utf-8")
        else:
            path.write_bytes(name.encode())
    return tmp_path


def once(*wanted: tuple[str, int, Fault]) -> object:
    """A fault for the n-th call of a mode."""
    seen: dict[str, int] = {}

    def fault(step: Step) -> Fault | None:
        seen[step.mode] = seen.get(step.mode, 0) + 1
        return next((f for mode, n, f in wanted if mode == step.mode and n == seen[step.mode]), None)

    return fault


# --- the address -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("shop.example", Address("shop.example", 80, False, "bitrix/admin/1c_exchange.php")),
        (" HTTPS://shop.example/ ", Address("shop.example", 443, True, "bitrix/admin/1c_exchange.php")),
        ("https:\\\\shop.example:8443\\1c ex\\x.php", Address("shop.example", 8443, True, "1cex/x.php")),
        ("http://shop.example/1c?token=x", Address("shop.example", 80, False, "1c?token=x")),
    ],
)
def test_an_address_is_taken_apart_as_1c_does(typed: str, expected: Address) -> None:
    assert Address.parse(typed) == expected


@pytest.mark.parametrize("typed", ["", "https://", "shop:http/x"])
def test_an_address_without_host_or_with_a_bad_port_is_refused(typed: str) -> None:
    with pytest.raises(NeedsOwner, match="is not an address"):
        Address.parse(typed)


def test_an_address_with_a_query_gets_a_second_question_mark(site: Site) -> None:
    one = client(site)
    one.address = replace(one.address, script="1c?token=x")
    one.check()
    assert (site.asked[0].path, site.asked[0].query) == ("/1c", "token=x?type=catalog&mode=checkauth")


# --- sequences -------------------------------------------------------------------------------------------------------


def test_ut_sends_each_file_in_a_session_of_its_own(site: Site, tmp_path: Path) -> None:
    picture = "import_files/ab/x_y.jpg"
    report = push(client(site), folder(tmp_path, "import0_1.xml", "import0_2.xml", "offers0_1.xml", picture))
    expected = []
    for name in ("import0_1.xml", "import0_2.xml", "offers0_1.xml"):
        expected += ["GET type=catalog&mode=checkauth", "GET type=catalog&mode=init"]
        expected += [f"POST type=catalog&mode=file&filename={name}"]
        expected += [f"POST type=catalog&mode=file&filename={picture}"] if "import" in name else []
        expected += [f"GET type=catalog&mode=import&filename={name}"]
    assert site.lines == expected
    assert report.ok
    assert [(s.name, s.tries, s.ok) for s in report.portions] == [
        ("import0_1.xml", 1, True),
        ("import0_2.xml", 1, True),
        ("offers0_1.xml", 1, True),
    ]
    basic = "Basic " + base64.b64encode(b"admin:secret").decode()
    assert {a.headers.get("authorization") for a in site.asked} == {basic}
    assert [a.headers.get("cookie") for a in site.asked[:4]] == [None, *["PHPSESSID=cookie1"] * 3]
    assert {a.headers["user-agent"] for a in site.asked} == {"1C+Enterprise/8.3"}


def test_unf_names_no_session_waits_before_every_import_and_sorts_its_files(site: Site, tmp_path: Path) -> None:
    site.sessid, site.progress = "abc", 2
    one = client(site, "unf")
    assert push(one, folder(tmp_path, "import.xml", "a_files/1.jpg")).ok
    assert site.lines == [
        "GET type=catalog&mode=checkauth",
        "GET type=catalog&mode=init",
        "POST type=catalog&mode=file&filename=a_files/1.jpg",
        "POST type=catalog&mode=file&filename=import.xml",
        *["GET type=catalog&mode=import&filename=import.xml"] * 3,
    ]
    assert one.paused == [5.0, 5.0, 5.0]  # type: ignore[attr-defined]


def test_ut_asks_again_at_once_while_the_server_says_progress(site: Site, tmp_path: Path) -> None:
    site.progress = 4
    one = client(site)
    assert push(one, folder(tmp_path, "import0_1.xml")).ok
    assert site.lines.count("GET type=catalog&mode=import&filename=import0_1.xml") == 5
    assert one.paused == []  # type: ignore[attr-defined]


def test_the_session_goes_last_when_the_node_is_set_so(site: Site, tmp_path: Path) -> None:
    site.sessid = "abc"
    one = client(site)
    one.profile = replace(one.profile, sessid="last")
    assert push(one, folder(tmp_path, "import0_1.xml")).ok
    assert site.lines == [
        "GET type=catalog&mode=checkauth",
        "GET type=catalog&mode=init&sessid=abc",
        "POST type=catalog&mode=file&filename=import0_1.xml&sessid=abc",
        "GET type=catalog&mode=import&filename=import0_1.xml&sessid=abc",
    ]


def test_the_bitrix_module_sends_all_parts_in_one_session_and_closes_it(site: Site, tmp_path: Path) -> None:
    site.sessid, site.timestamp = "abc", "1700000000"
    names = ["rests_1_1_x.xml", "goods_1_1_x.xml", "priceLists_1_1_x.xml"]
    assert push(client(site, "bitrix-module"), folder(tmp_path, *names), full=True).ok
    expected = ["GET type=catalog&mode=checkauth", "GET type=catalog&mode=init&sessid=abc&version=3.1&cmlVersion=2.10"]
    for name in reversed(names):
        expected += [f"POST type=catalog&mode=file&filename={name}&sessid=abc"]
        expected += [f"GET type=catalog&mode=import&filename={name}&sessid=abc"]
    expected += ["GET type=catalog&mode=deactivate&sessid=abc&timestamp=1700000000", "GET type=catalog&mode=complete&sessid=abc"]
    assert site.lines == expected


def test_the_bitrix_module_asks_no_deactivation_after_changes(site: Site, tmp_path: Path) -> None:
    assert push(client(site, "bitrix-module"), folder(tmp_path, "goods_1_1_x.xml")).ok
    assert [a.param("mode") for a in site.asked] == ["checkauth", "init", "file", "import", "complete"]


@pytest.mark.parametrize("profile", ["moysklad", "ut10", "class365"])
def test_simple_clients_use_one_session_and_import_nothing_in_sale(profile: str, site: Site, tmp_path: Path) -> None:
    site.orders = [orders(order()), orders()]
    base = Base(rules=PROFILES[profile].rules)
    one = client(site, profile)
    assert exchange(one, base, folder(tmp_path, "offers.xml", "import.xml")).ok
    assert site.lines == [
        "GET type=catalog&mode=checkauth",
        "GET type=catalog&mode=init",
        "POST type=catalog&mode=file&filename=import.xml",
        "GET type=catalog&mode=import&filename=import.xml",
        "POST type=catalog&mode=file&filename=offers.xml",
        "GET type=catalog&mode=import&filename=offers.xml",
        "GET type=sale&mode=checkauth",
        "GET type=sale&mode=query",
        "GET type=sale&mode=success",
    ]
    site.asked.clear()
    base.act("1001", "post")
    assert pull(one, base).reported == ["1001"]
    assert site.lines[3:] == [
        "GET type=sale&mode=checkauth",
        "GET type=sale&mode=init",
        "POST type=sale&mode=file&filename=orders.xml",
    ]


# --- zip and pieces --------------------------------------------------------------------------------------------------


def test_zip_and_limit_send_one_archive_in_pieces_of_one_name(site: Site, tmp_path: Path) -> None:
    site.zip, site.limit = "yes", "100"
    assert push(client(site), folder(tmp_path, "import0_1.xml", "import_files/ab/x_y.jpg")).ok
    sent = [a for a in site.asked if a.method == "POST"]
    assert {a.param("filename") for a in sent} == {"v8_3F2B_7C.zip"}
    assert [len(a.body) for a in sent[:-1]] == [100] * (len(sent) - 1)
    assert len(sent) > 2
    archive = zipfile.ZipFile(io.BytesIO(site.files["v8_3F2B_7C.zip"]))
    assert sorted(archive.namelist()) == ["import0_1.xml", "import_files/ab/x_y.jpg"]
    assert site.lines[-1] == "GET type=catalog&mode=import&filename=import0_1.xml"


def test_a_file_is_cut_exactly_at_the_limit(site: Site, tmp_path: Path) -> None:
    site.limit = "10"
    (tmp_path / "import0_1.xml").write_bytes(b"x" * 30)
    assert push(client(site), tmp_path).ok
    assert [len(a.body) for a in site.asked if a.method == "POST"] == [10, 10, 10]


@pytest.mark.parametrize("limit", ["0", "200M", "-5"])
def test_a_limit_that_is_no_number_of_bytes_means_no_cutting(limit: str, site: Site, tmp_path: Path) -> None:
    site.limit = limit
    assert push(client(site), folder(tmp_path, "import0_1.xml")).ok
    assert [a.method for a in site.asked].count("POST") == 1


def test_ut_keeps_only_the_first_extension_of_a_picture(site: Site, tmp_path: Path) -> None:
    assert push(client(site), folder(tmp_path, "import0_1.xml", "import_files/ab/a.b.jpg")).ok
    assert "POST type=catalog&mode=file&filename=import_files/ab/a.b" in site.lines


# --- what the answers do ---------------------------------------------------------------------------------------------


def answering(mode: str, answer: object) -> object:
    return lambda asked: answer if asked.param("mode") == mode else None


@pytest.mark.parametrize(
    ("profile", "mode", "answer", "error"),
    [
        ("ut11", "checkauth", "failure\nНеверный пароль", "The server did not let us in: Неверный пароль"),
        ("ut11", "checkauth", (401, "failure\nНеверный пароль"), "The server did not let us in: Неверный пароль"),
        ("ut11", "init", "zip=no\nfile_limit=1000\n", "exactly two lines"),
        ("ut11", "init", "zip=no", "exactly two lines"),
        ("ut11", "file", "failure\nНет места", "The server refused file: Нет места"),
        ("ut11", "file", "progress", "The answer to file is not one that 1C knows"),
        ("ut11", "import", "failure\nфайл не найден", "The server refused import: файл не найден"),
        ("ut11", "import", "<html>", "The answer to import is not one that 1C knows"),
        ("ut11", "import", "", "The server gave an empty answer to import"),
        ("ut11", "import", (500, "oops"), "The answer to import is not one that 1C knows: HTTP 500"),
        ("unf", "init", "<html>", "The answer to init is not one that 1C knows"),
    ],
)
def test_a_bad_answer_fails_the_portion_with_the_servers_own_words(
    profile: str, mode: str, answer: object, error: str, site: Site, tmp_path: Path
) -> None:
    site.answers = answering(mode, answer)  # type: ignore[assignment]
    report = push(client(site, profile), folder(tmp_path, "import0_1.xml", "import0_2.xml"))
    assert not report.ok
    assert error in str(report.failures[0])
    assert [(s.name, s.ok) for s in report.portions] == [("import0_1.xml", False), ("import0_2.xml", False)]
    assert report.portions[1].tries == 0


def test_http_500_with_success_inside_is_success_to_1c(site: Site, tmp_path: Path) -> None:
    site.answers = answering("import", (500, "success"))  # type: ignore[assignment]
    assert push(client(site), folder(tmp_path, "import0_1.xml")).ok


def test_unf_is_content_with_one_line_of_init(site: Site, tmp_path: Path) -> None:
    site.answers = answering("init", "zip=no")  # type: ignore[assignment]
    assert push(client(site, "unf"), folder(tmp_path, "import.xml")).ok


def test_ut_sends_a_failed_portion_again_after_the_others_with_the_next_number(site: Site, tmp_path: Path) -> None:
    one = client(site, fault=once(("file", 2, Fault.LOSE_CALL)))
    report = push(one, folder(tmp_path, "import0_1.xml", "import0_2.xml", "import0_3.xml"))
    assert report.ok
    assert [a.param("filename") for a in site.asked if a.param("mode") == "import"] == [f"import0_{n}.xml" for n in (1, 3, 4)]
    assert [(s.name, s.tries, s.ok) for s in report.portions] == [
        ("import0_1.xml", 1, True),
        ("import0_2.xml", 2, True),
        ("import0_3.xml", 1, True),
    ]


def test_ut_gives_up_a_portion_after_three_failures(site: Site, tmp_path: Path) -> None:
    bad: list[str] = []

    def answer(asked: Asked) -> str | None:
        if asked.param("mode") == "import" and b"bad" in site.files[asked.param("filename")]:
            bad.append(asked.param("filename"))
            return "failure\nно"
        return None

    site.answers = answer
    (tmp_path / "import0_2.xml").write_bytes(b"bad")
    report = push(client(site), folder(tmp_path, "import0_1.xml", "import0_3.xml"))
    assert bad == ["import0_2.xml", "import0_4.xml", "import0_5.xml"]
    assert [str(f) for f in report.failures] == ["The server refused import: но"]


def test_ut_stops_the_goods_when_the_first_portion_fails_and_still_sends_offers(site: Site, tmp_path: Path) -> None:
    one = client(site, fault=once(("checkauth", 1, Fault.LOSE_CALL)))
    report = push(one, folder(tmp_path, "import0_1.xml", "import0_2.xml", "offers0_1.xml"))
    assert [(s.name, s.tries, s.ok) for s in report.portions] == [
        ("import0_1.xml", 1, False),
        ("import0_2.xml", 0, False),
        ("offers0_1.xml", 1, True),
    ]
    assert len(report.failures) == 1
    assert isinstance(report.failures[0], NoAnswer)


def test_unf_repeats_the_whole_session_of_a_failed_portion_at_once(site: Site, tmp_path: Path) -> None:
    one = client(site, "unf", fault=once(("import", 1, Fault.LOSE_ANSWER)))
    assert push(one, folder(tmp_path, "import.xml", "import1.xml")).ok
    modes = [f"{a.param('mode')} {a.param('filename')}".strip() for a in site.asked]
    first = ["checkauth", "init", "file import.xml", "import import.xml"]
    assert modes == [*first, *first, "checkauth", "init", "file import1.xml", "import import1.xml"]


def test_a_server_that_is_not_there_is_a_failure_and_not_an_exception(tmp_path: Path) -> None:
    with Site() as gone:
        address = Address.parse(gone.url)
    report = push(Client(PROFILES["moysklad"], address), folder(tmp_path, "import.xml"))
    assert "No answer from 127.0.0.1" in str(report.failures[0])
    assert (report.calls[0].status, report.calls[0].step.mode) == (0, "checkauth")


def test_an_empty_folder_is_refused(site: Site, tmp_path: Path) -> None:
    with pytest.raises(NeedsOwner, match="no exchange files"):
        push(client(site), tmp_path)
    assert site.asked == []


# --- encodings of answers --------------------------------------------------------------------------------------------


def test_unf_guesses_an_encoding_that_ut_shows_as_rubbish() -> None:
    body = "failure\nОшибка".encode("cp1251")
    assert text_of(body, "text/plain", retry=True) == "failure\nОшибка"
    assert "Ошибка" not in text_of(body, "text/plain", retry=False)
    assert text_of(body, "text/html; charset=windows-1251", retry=False) == "failure\nОшибка"
    assert text_of(b"\xef\xbb\xbfsuccess", "text/plain", retry=False) == "success"


# --- faults ----------------------------------------------------------------------------------------------------------


def test_a_repeated_piece_reaches_the_server_twice(site: Site, tmp_path: Path) -> None:
    site.limit = "10"
    (tmp_path / "import0_1.xml").write_bytes(b"0123456789abcdefghij")
    push(client(site, fault=once(("file", 1, Fault.REPEAT))), tmp_path)
    assert [a.body for a in site.asked if a.method == "POST"] == [b"0123456789", b"0123456789", b"abcdefghij"]


def test_a_lost_success_is_a_failure_for_1c_and_the_orders_stay_loaded(site: Site) -> None:
    site.orders = [orders(order())]
    base = Base()
    report = pull(client(site, fault=once(("success", 1, Fault.LOSE_CALL))), base)
    assert (report.created, report.confirmed, report.ok) == (["1001"], 0, False)
    assert "GET type=sale&mode=success" not in site.lines
    again = pull(client(site), base)
    assert (again.created, again.updated, again.confirmed, again.ok) == ([], ["1001"], 1, True)
    assert len(base.orders) == 1


def test_success_may_be_sent_twice(site: Site) -> None:
    assert pull(client(site, fault=once(("success", 1, Fault.REPEAT))), Base()).ok
    assert site.lines[-2:] == ["GET type=sale&mode=success"] * 2


def test_a_wrong_cookie_is_sent_under_the_right_name(site: Site) -> None:
    pull(client(site, fault=once(("success", 1, Fault.WRONG_COOKIE))), Base())
    assert [a.headers.get("cookie") for a in site.asked] == [None, "PHPSESSID=cookie1", "PHPSESSID=wrong"]


def test_a_client_that_dies_between_portions_leaves_the_first_one_sent(site: Site, tmp_path: Path) -> None:
    one = client(site, fault=once(("checkauth", 2, Fault.DIE)))
    with pytest.raises(Died):
        push(one, folder(tmp_path, "import0_1.xml", "import0_2.xml"))
    assert site.lines[-1] == "GET type=catalog&mode=import&filename=import0_1.xml"


# --- orders ----------------------------------------------------------------------------------------------------------


def test_ut_fetches_once_confirms_and_reports_nothing_that_it_has_just_loaded(site: Site) -> None:
    site.orders = [orders(order())]
    report = pull(client(site), Base())
    assert site.lines == ["GET type=sale&mode=checkauth", "GET type=sale&mode=query", "GET type=sale&mode=success"]
    assert (report.created, report.confirmed, report.reported) == (["1001"], 1, [])


def test_results_go_in_portions_of_their_own_sessions(site: Site) -> None:
    site.orders = [orders(*(order(str(n)) for n in range(1, 4))), orders()]
    base, one = Base(), client(site)
    pull(one, base)
    site.asked.clear()
    assert pull(one, base, portion=2).reported == ["1", "2", "3"]
    assert site.lines[3:] == [
        line
        for n in (1, 2)
        for line in (
            "GET type=sale&mode=checkauth",
            "GET type=sale&mode=init",
            f"POST type=sale&mode=file&filename=orders-{ID}_{n}.xml",
            f"GET type=sale&mode=import&filename=orders-{ID}_{n}.xml",
        )
    ]
    assert pull(one, base).reported == []


def test_results_that_the_server_refuses_are_sent_again_in_the_next_exchange(site: Site) -> None:
    site.orders = [orders(order()), orders()]
    base, one = Base(), client(site)
    pull(one, base)
    site.answers = answering("import", "failure\nнет")  # type: ignore[assignment]
    report = pull(one, base)
    assert (report.reported, [s.tries for s in report.portions]) == ([], [3])
    site.answers = lambda _asked: None
    assert pull(one, base).reported == ["1001"]


def test_an_answer_to_query_that_is_not_xml_is_an_error_and_is_not_confirmed(site: Site) -> None:
    for answer in ("success", "<html>", "\n<?xml version='1.0'?><x/>", "PK\3\4"):
        site.answers = answering("query", answer)  # type: ignore[assignment]
        report = pull(client(site), Base())
        assert isinstance(report.failures[0], BadAnswer)
        assert report.confirmed == 0


def test_unf_shows_the_refusal_of_query(site: Site) -> None:
    site.answers = answering("query", "failure\nЗаказы закрыты")  # type: ignore[assignment]
    report = pull(client(site, "unf"), Base(rules="unf"))
    assert isinstance(report.failures[0], Refused)
    assert str(report.failures[0]) == "The server refused query: Заказы закрыты"


def test_the_bitrix_module_asks_until_there_is_nothing_more(site: Site) -> None:
    site.sessid = "abc"
    site.orders = [orders(order("1")), orders(order("2")), orders()]
    report = pull(client(site, "bitrix-module"), Base(rules="unf"))
    assert [a.param("mode") for a in site.asked] == ["checkauth", "init", "query", "success", "query", "success", "query"]
    assert site.lines[1] == "GET type=sale&mode=init&sessid=abc&version=2.09&cmlVersion=2.10"
    assert (report.created, report.confirmed) == (["1", "2"], 2)


def test_the_bitrix_module_may_confirm_only_at_the_end(site: Site) -> None:
    site.orders = [orders(order("1")), orders(order("2")), orders()]
    one = client(site, "bitrix-module")
    one.profile = replace(one.profile, confirm="end")
    assert pull(one, Base(rules="unf")).ok
    assert [a.param("mode") for a in site.asked] == ["checkauth", "init", "query", "query", "query", "success"]


def test_a_server_that_offers_confirmed_orders_for_ever_is_found_out(site: Site) -> None:
    site.orders = [orders(order("1"))]
    report = pull(client(site, "bitrix-module"), Base(rules="unf"))
    assert str(report.failures[0]) == "The server offers the same orders again though they were confirmed: 1"


def test_the_test_button_only_signs_in(site: Site) -> None:
    client(site).check()
    assert site.lines == ["GET type=catalog&mode=checkauth"]
    site.answers = answering("checkauth", "failure\nнет")  # type: ignore[assignment]
    with pytest.raises(ExchangeError, match="did not let us in: нет"):
        client(site).check()


# --- transcripts -----------------------------------------------------------------------------------------------------


def calls_of(transcript: list[dict[str, object]]) -> list[str]:
    """``GET query`` lines; ``<t>`` for a token, ``<uuid>`` for the name of a run, repeats of progress left out."""
    lines = [f"{c['m']} {c['q']}" for c in transcript if "m" in c]
    return [re.sub(r"orders-[0-9a-f]{8}-[0-9a-f-]{27}", "orders-<uuid>", line) for line in lines]


def said(site: Site) -> list[str]:
    return [re.sub(r"orders-[0-9a-f]{8}-[0-9a-f-]{27}", "orders-<uuid>", a.line.replace("=tok", "=<t>")) for a in site.asked]


@pytest.fixture
def recorded(samples: Path) -> Path:
    return samples / "commerceml" / "_synthetic"


def transcript(recorded: Path, name: str) -> list[str]:
    return calls_of(json.loads((recorded / "transcripts.json").read_text("utf-8"))[name])


def test_ut_conforms_to_the_transcript_of_a_full_catalogue(recorded: Path, site: Site, tmp_path: Path) -> None:
    for name in ("import0_1.xml", "import0_2.xml", "offers0_1.xml"):
        (tmp_path / name).write_bytes((recorded / "ut11_portions" / name).read_bytes())
    for picture in (recorded / "ut11_portions").rglob("*.jpg"):
        target = tmp_path / picture.relative_to(recorded / "ut11_portions")
        target.parent.mkdir(parents=True)
        target.write_bytes(picture.read_bytes())
    assert push(client(site), tmp_path).ok
    assert said(site) == transcript(recorded, "ut11_full_catalog_nozip")


def test_ut_conforms_to_the_transcript_of_an_archive_in_pieces(recorded: Path, site: Site, tmp_path: Path) -> None:
    site.zip, site.limit = "yes", "1024"
    (tmp_path / "import0_1.xml").write_bytes((recorded / "ut11_portions/import0_1.xml").read_bytes())
    assert push(client(site), tmp_path).ok
    expected = transcript(recorded, "ut11_zip_chunked")
    pattern = r"v8_\w+\.zip"
    assert [re.sub(pattern, "v8.zip", line) for line in said(site)] == [re.sub(pattern, "v8.zip", line) for line in expected]


def test_ut_conforms_to_the_transcripts_of_orders(recorded: Path, site: Site) -> None:
    one_order = (recorded / "sale_query/one_order_utf8.xml").read_text("utf-8")
    site.orders = [one_order, (recorded / "sale_query/empty_utf8.xml").read_text("utf-8")]
    base, one = Base(), client(site)
    pull(one, base)
    assert said(site) == transcript(recorded, "ut11_orders")[:3]
    site.asked.clear()
    base.act("1001", "pay")
    pull(one, base)
    assert said(site)[3:] == transcript(recorded, "ut11_orders")[3:]


def test_ut_conforms_to_the_transcript_of_a_lost_confirmation(recorded: Path, site: Site) -> None:
    site.orders = [(recorded / "sale_query/one_order_utf8.xml").read_text("utf-8")]
    base = Base()
    pull(client(site, fault=once(("success", 1, Fault.LOSE_CALL))), base)
    report: Report = pull(client(site), base)
    assert said(site) == transcript(recorded, "ut11_orders_confirm_lost")[:5]
    assert report.updated == ["1001"]


def test_unf_in_bitrix_mode_conforms_to_the_transcript(recorded: Path, site: Site) -> None:
    site.sessid = "tok"
    site.orders = [orders(order()), orders()]
    base, one = Base(rules="unf"), client(site, "unf-bitrix")
    pull(one, base)
    first = said(site)
    site.asked.clear()
    base.act("1001", "pay")
    pull(one, base)
    assert first + said(site)[4:] == transcript(recorded, "unf_bitrix_subordinate")
