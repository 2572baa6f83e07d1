"""The conversation with a shop, call by call: what a node of 1C sends, and what the shop's answers mean."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.cml_peer import ORDERS, Call, Kit, bent, shop
from net.peer import peer
from obmen.connectors.commerceml_client import CommerceMLClient
from obmen.connectors.commerceml_client.api import Upload, bytes_of, text_of
from obmen.connectors.commerceml_client.profiles import all_profiles
from obmen.core.contract import BadDocument, ExchangeError, NeedsOwner, TryLater
from obmen.core.settings import load


def files(folder: Path, size: int = 2500) -> list[Upload]:
    """A document and a picture."""
    xml, picture = folder / "a.xml", folder / "b.jpg"
    xml.write_bytes(bytes(i % 251 for i in range(size)))
    picture.write_bytes(b"\xff\xd8picture")
    return [Upload("import0_1.xml", xml), Upload("import_files/ab/b.jpg", picture)]


def refused(kit: Kit, do: Callable[[Any], Any], kind: type[ExchangeError] = NeedsOwner, **settings: Any) -> str:
    with pytest.raises(kind) as raised:
        do(kit.node(**settings))
    assert type(raised.value) is kind or kind is TryLater
    return str(raised.value)


def query(node: Any) -> list[bytes]:
    with node.query() as received:
        return [file.read_bytes() for file in received.files]


# --- check -------------------------------------------------------------------------------------------------------------------


def test_check_says_what_the_shop_said_of_goods_and_of_orders(tmp_path: Path) -> None:
    """CS-A4, GM-8: checkauth and init of both exchanges answer success."""
    with shop(tmp_path, zip="yes", limit="52428800") as kit:
        said = kit.node().check()
        assert (
            said == "127.0.0.1 · catalog: success · zip=yes · file_limit=52428800 · sale: success · zip=yes · file_limit=52428800"
        )
        assert kit.shop.lines == ["catalog checkauth", "catalog init", "sale checkauth", "sale init"]


def test_every_call_carries_the_login_and_after_checkauth_cookie_and_sessid(tmp_path: Path) -> None:
    """CS-B7: CS-Cart wants Basic on every call; Bitrix the cookie of checkauth, whatever its name, and the sessid."""
    with shop(tmp_path) as kit:
        kit.node().send("catalog", files(tmp_path))
        pair = base64.b64encode("робот:tops3cret".encode()).decode()
        assert {call.asked.headers["authorization"] for call in kit.shop.calls} == {f"Basic {pair}"}
        assert [call.asked.headers.get("cookie") for call in kit.shop.calls] == [None, *["PHPSESSID=s1"] * 4]
        assert [call.query.get("sessid") for call in kit.shop.calls] == [None, *["token1"] * 4]


def test_password_cookie_and_sessid_stay_out_of_the_journal(tmp_path: Path) -> None:
    with shop(tmp_path) as kit:
        kit.node().check()
        kept = repr(kit.hub.calls)
        assert "success" in kept
        assert [secret for secret in ("tops3cret", "PHPSESSID=s1", "\\ns1", "token1") if secret in kept] == []


def test_a_fourth_line_that_is_no_sessid_is_left_alone(tmp_path: Path) -> None:
    with shop(tmp_path, bent("checkauth", "success\r\nwc1c-auth\r\nx|y\r\ntimestamp=12\r\n")) as kit:
        kit.node().send("catalog", files(tmp_path))
        assert kit.shop.calls[-1].asked.headers["cookie"] == "wc1c-auth=x|y"
        assert [call.query.get("sessid") for call in kit.shop.calls] == [None] * 5


@pytest.mark.parametrize(
    ("profile", "answer", "words"),
    [
        ("cs-cart-exim-1c", "\n Error in login or password user", "e-mail address of a shop administrator"),
        ("cs-cart-exim-1c", "SHOP IS NOT SIMPLE", "one storefront's administrator"),
        ("cs-cart-commerceml", "\nPrivileges for user not set", "privilege “CommerceML”"),
        ("woocommerce-1c", "Error: User not logged in", "Authorization header"),
        ("generic", "failure\nНеверный пароль", "Неверный пароль"),
        ("generic", (401, "failure\nwho are you"), "who are you"),
    ],
)
def test_who_is_not_let_in_reads_the_shops_words_and_what_helps(profile: str, answer: Any, words: str, tmp_path: Path) -> None:
    """CS-C3: a wrong password is HTTP 200 with a text in CS-Cart."""
    with shop(tmp_path, lambda _call: answer) as kit:
        said = refused(kit, lambda node: node.check(), shop=profile)
        assert words in said
        assert "does not let us in" in said


def test_an_empty_answer_to_orders_names_price_debug_mode_and_vendor_rights(tmp_path: Path) -> None:
    """IC-20, CS-C3: the old CS-Cart answers the whole sale exchange with nothing then."""
    with shop(tmp_path, lambda call: "" if call.type == "sale" else ...) as kit:
        said = refused(kit, lambda node: node.check(), shop="cs-cart-exim-1c")
        assert "empty answer" in said
        assert "price debug mode" in said
        assert "vendor" in said


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("<!DOCTYPE html><html><head><title>Мой магазин &amp; Ко</title></head></html>", "“Мой магазин & Ко”"),
        ((404, "<html><title>Not found</title></html>"), "no exchange at this address (status 404)"),
        ("", "empty answer to checkauth"),
        ("<br />\n<b>Fatal error</b>:  Allowed memory size of 134217728 bytes exhausted", "more memory and time"),
        ((200, "hello"), "does not let us in: hello"),
    ],
)
def test_what_is_no_answer_of_the_exchange_is_told_in_words(answer: Any, words: str, tmp_path: Path) -> None:
    with shop(tmp_path, lambda _call: answer) as kit:
        assert words in refused(kit, lambda node: node.check())


def test_without_address_or_login_nothing_is_called(tmp_path: Path) -> None:
    with shop(tmp_path) as kit:
        assert "address" in refused(kit, lambda node: node.check(), address="")
        assert "Login" in refused(kit, lambda node: node.check(), password="")
        assert kit.shop.calls == []


# --- files -------------------------------------------------------------------------------------------------------------------


def test_files_go_in_pieces_of_file_limit_to_the_byte_and_are_imported(tmp_path: Path) -> None:
    sent = files(tmp_path, 2501)
    with shop(tmp_path, limit="1000") as kit:
        kit.node().send("catalog", sent)
        assert kit.shop.lines == [
            "catalog checkauth", "catalog init", *["catalog file import0_1.xml"] * 3, "catalog file import_files/ab/b.jpg",
            "catalog import import0_1.xml",
        ]  # fmt: skip
        assert [len(call.asked.body) for call in kit.shop.calls if call.mode == "file"] == [1000, 1000, 501, 9]
        assert kit.shop.imported == {"import0_1.xml": sent[0].path.read_bytes()}
        assert kit.shop.files["import_files/ab/b.jpg"] == sent[1].path.read_bytes()


@pytest.mark.parametrize(
    ("limit", "own", "expected"), [("0", 0, [2500]), ("1000000", 0, [2500]), ("2K", 0, [2048, 452]), ("", 0, [2500]), ("9000", 1500, [1500, 1000])]
)  # fmt: skip
def test_the_smallest_of_their_limit_and_ours_counts(limit: str, own: int, expected: list[int], tmp_path: Path) -> None:
    with shop(tmp_path, limit=limit) as kit:
        kit.node(file_limit=own).send("catalog", files(tmp_path)[:1])
        assert [len(call.asked.body) for call in kit.shop.calls if call.mode == "file"] == expected


def test_file_limit_is_read_in_any_spelling() -> None:
    assert [bytes_of(t) for t in ("204800", " 2m ", "1G", "x", "", "-1")] == [204800, 2 << 20, 1 << 30, 0, 0, 0]


def test_a_shop_that_asks_for_zip_gets_one_archive_and_is_asked_to_import_the_document(tmp_path: Path) -> None:
    sent = files(tmp_path)
    with shop(tmp_path, zip="yes", limit="100") as kit:
        kit.node().send("catalog", sent)
        ((name, archive),) = kit.shop.files.items()
        assert (name, kit.shop.lines[-1]) == ("import0_1.zip", "catalog import import0_1.xml")
        with zipfile.ZipFile(io.BytesIO(archive)) as packed:
            assert {entry: packed.read(entry) for entry in packed.namelist()} == {u.name: u.path.read_bytes() for u in sent}


def test_archives_can_be_switched_off(tmp_path: Path) -> None:
    with shop(tmp_path, zip="yes") as kit:
        kit.node(zip="never").send("catalog", files(tmp_path))
        assert sorted(kit.shop.files) == ["import0_1.xml", "import_files/ab/b.jpg"]


def test_progress_is_asked_again_however_many_lines_it_has(tmp_path: Path) -> None:
    """IC-18: CS-Cart adds “imported: 100” and “processed: 200”."""
    said = ["progress\nimported: 100\nprocessed: 200\n", "\ufeffprogress\r\n42 %", "PROGRESS"]
    with shop(tmp_path, bent("import", *said)) as kit:
        kit.node().send("catalog", files(tmp_path))
        assert kit.shop.lines.count("catalog import import0_1.xml") == 4


def test_a_shop_that_works_for_hours_is_left_alone_after_the_patience(tmp_path: Path) -> None:
    """IC-18."""

    def slowly(call: Call) -> Any:
        if call.mode != "import":
            return ...
        kit.hub.later(minutes=40)
        return "progress"

    with shop(tmp_path, slowly) as kit:
        said = refused(kit, lambda node: node.send("catalog", files(tmp_path)), TryLater, patience=2, repeats=1)
        assert "working on import0_1.xml for 2 hours" in said
        assert kit.shop.lines.count("catalog import import0_1.xml") == 4


def test_a_lost_answer_to_a_piece_begins_the_portion_anew_under_another_name_and_doubles_nothing(tmp_path: Path) -> None:
    """CS-A4: the shop may have appended the piece before the line broke, and not every one empties its folder at init."""
    sent = files(tmp_path)
    lose = iter([True])

    def lost(call: Call) -> Any:
        if call.mode == "file" and len(call.asked.body) == 500 and next(lose, False):
            kit.shop.polite(call)
            return None
        return ...

    with shop(tmp_path, lost, limit="1000") as kit:
        kit.node().send("catalog", sent)
        assert kit.shop.imported == {"import0_1_2.xml": sent[0].path.read_bytes()}
        assert kit.shop.sessions == 2
        assert sum(kit.hub.reported.values()) == 1


def test_a_lost_answer_to_an_import_is_asked_for_and_nothing_is_sent_twice(tmp_path: Path) -> None:
    with shop(tmp_path, bent("import", None, None, None)) as kit:
        kit.node().send("catalog", files(tmp_path))
        assert (kit.shop.sessions, kit.shop.lines.count("catalog file import0_1.xml")) == (1, 1)


def test_a_server_error_in_mid_work_is_no_refusal(tmp_path: Path) -> None:
    with shop(tmp_path, bent("import", (504, "Gateway time-out"))) as kit:
        kit.node().send("catalog", files(tmp_path))
        assert kit.shop.imported


def test_a_shop_that_never_answers_is_tried_later_and_a_refusal_needs_a_person(tmp_path: Path) -> None:
    with shop(tmp_path, lambda call: None if call.mode == "file" else ...) as kit:
        refused(kit, lambda node: node.send("catalog", files(tmp_path)), TryLater)
        assert kit.shop.sessions == 3
    with shop(tmp_path, lambda call: "failure\nНет прав на запись" if call.mode == "file" else ...) as kit:
        assert "Нет прав на запись" in refused(kit, lambda node: node.send("catalog", files(tmp_path)))
        assert kit.shop.sessions == 1


def test_a_lost_session_is_begun_anew(tmp_path: Path) -> None:
    with shop(tmp_path, bent("import", "failure\nСессия не найдена", (401, "failure\nno login"))) as kit:
        kit.node().send("catalog", files(tmp_path))
        assert kit.shop.sessions == 3
        assert list(kit.shop.imported) == ["import0_1_3.xml"]


def test_what_was_imported_is_not_sent_again_after_a_break(tmp_path: Path) -> None:
    (tmp_path / "c.xml").write_bytes(b"second")
    sent = [files(tmp_path)[0], Upload("import0_2.xml", tmp_path / "c.xml")]
    lose = iter([True])

    def lost(call: Call) -> Any:
        return "failure\nno session" if call.line == "catalog import import0_2.xml" and next(lose, False) else ...

    with shop(tmp_path, lost) as kit:
        kit.node().send("catalog", sent)
        assert [line for line in kit.shop.lines if " file " in line] == [
            "catalog file import0_1.xml",
            "catalog file import0_2.xml",
            "catalog file import0_2_2.xml",
        ]


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("failure\nToo early: goods are taken once in 60 min here. Come back in 42 min.", 42),
        ("failure\nОбмен уже выполняется", 10),
        ("failure\nDatabase is locked", 10),
    ],
)
def test_a_shop_that_is_busy_is_tried_later_and_not_pestered(text: str, after: int, tmp_path: Path) -> None:
    """GM-11: the receiver may refuse a load that comes too soon."""
    with shop(tmp_path, bent("import", text)) as kit, pytest.raises(TryLater) as raised:
        kit.node().send("catalog", files(tmp_path))
    assert raised.value.after == timedelta(minutes=after)
    assert kit.shop.lines.count("catalog import import0_1.xml") == 1


def test_success_before_the_work_is_done_is_not_believed_when_php_broke_down_behind_it(tmp_path: Path) -> None:
    """IC-19: the old CS-Cart prints success first."""
    broken = "success\nimported: 100\n<b>Fatal error</b>: Maximum execution time of 30 seconds exceeded"
    with shop(tmp_path, bent("import", broken)) as kit:
        said = refused(kit, lambda node: node.send("catalog", files(tmp_path)), shop="cs-cart-exim-1c")
        assert "broke down afterwards" in said


def test_success_of_which_the_rest_never_came_is_not_believed_either(tmp_path: Path) -> None:
    """IC-19."""

    with shop(tmp_path) as kit:
        polite, cut = kit.shop.__call__, iter([True])

        def script(asked: Any, handler: Any) -> Any:
            if "mode=import" in asked.path and next(cut, False):
                handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nsuccess\n")
                kit.shop.calls.append(Call(asked, "catalog", "cut", "", {}))
                return None
            return polite(asked, handler)

        with peer(script) as there:
            kit.url = f"{there.url}/x"
            kit.node(shop="cs-cart-exim-1c").send("catalog", files(tmp_path))
        assert kit.shop.lines[-2:] == ["catalog cut", "catalog import import0_1.xml"]


def test_pieces_that_the_web_server_refuses_name_the_setting(tmp_path: Path) -> None:
    with shop(tmp_path, lambda call: (413, "<html>") if call.mode == "file" else ...) as kit:
        assert "Bytes in one piece" in refused(kit, lambda node: node.send("catalog", files(tmp_path)))


def test_orders_are_not_imported_where_the_shop_works_on_the_file_at_once(tmp_path: Path) -> None:
    with shop(tmp_path) as kit:
        kit.node().send("sale", [Upload("orders-1.xml", files(tmp_path)[0].path, imported=False)])
        assert kit.shop.lines == ["sale checkauth", "sale init", "sale file orders-1.xml"]


# --- orders ------------------------------------------------------------------------------------------------------------------


def test_orders_come_as_a_file_and_are_confirmed_in_the_same_conversation(tmp_path: Path) -> None:
    with shop(tmp_path) as kit:
        node = kit.node()
        with node.query() as received:
            assert [file.read_text("utf-8") for file in received.files] == [ORDERS]
            assert kit.shop.lines == ["sale checkauth", "sale query"]
            node.confirm()
        assert not received.files[0].exists()
        assert [call.asked.headers.get("cookie") for call in kit.shop.calls] == [None, "PHPSESSID=s1", "PHPSESSID=s1"]
        assert kit.shop.lines[-1] == "sale success"


def test_orders_in_windows_1251_with_a_bom_or_behind_php_notices_are_read(tmp_path: Path) -> None:
    """IC-16."""
    old = ORDERS.replace("UTF-8", "windows-1251").encode("cp1251")
    bodies = [old, b"\xef\xbb\xbf" + ORDERS.encode(), b"\n\n" + ORDERS.encode()]
    notice = b"<b>Notice</b>: Undefined index on line 7\n" + ORDERS.encode()
    with shop(tmp_path, bent("query", *bodies, notice)) as kit:
        node = kit.node()
        found = [query(node)[0] for _body in (*bodies, notice)]
    assert found == [bodies[0], bodies[1], ORDERS.encode(), ORDERS.encode()]
    assert [text for _level, text in kit.hub.reported] == [
        "Before the document with orders stands something else, which was passed over: “Notice : Undefined index on line 7”. "
        "Let the shop's host switch it off"
    ]


def test_orders_in_an_archive_are_unpacked(tmp_path: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("../../orders.xml", ORDERS)
        packed.writestr("readme.txt", "x")
    with shop(tmp_path, bent("query", archive.getvalue(), b"PK\x03\x04broken")) as kit:
        node = kit.node()
        assert query(node) == [ORDERS.encode()]
        with pytest.raises(BadDocument):
            query(node)


@pytest.mark.parametrize(
    ("answer", "profile", "words"),
    [
        ("", "cs-cart-exim-1c", "price debug mode"),
        ("failure\nНет доступа", "generic", "Нет доступа"),
        ("success", "generic", "no document"),
        ("<html><title>Вход</title></html>", "generic", "“Вход”"),
    ],
)
def test_an_answer_without_orders_says_why(answer: str, profile: str, words: str, tmp_path: Path) -> None:
    """IC-20."""
    with shop(tmp_path, lambda call: answer if call.mode == "query" else ...) as kit:
        assert words in refused(kit, query, shop=profile)


@pytest.mark.parametrize("answer", ["error\n", "failure\nno", (401, "")])
def test_a_confirmation_that_is_not_taken_is_told_and_does_no_harm(answer: Any, tmp_path: Path) -> None:
    """Bitrix answers “error” when the session is not the one that asked."""
    with shop(tmp_path, lambda call: answer if call.mode == "success" else ...) as kit:
        node = kit.node()
        query(node)
        node.confirm()
        assert [level for level, _text in kit.hub.reported] == ["warning"]


def test_answers_in_windows_1251_are_read_whether_the_shop_says_so_or_not() -> None:
    """IC-16: Bitrix answers in windows-1251."""
    body = "failure\nОшибка".encode("cp1251")
    for content_type in ("text/html; charset=windows-1251", "text/html", "text/html; charset=utf-8"):
        assert text_of(body, content_type) == "failure\nОшибка"


def test_the_version_is_told_where_it_is_set(tmp_path: Path) -> None:
    with shop(tmp_path) as kit:
        query(kit.node(version="2.09"))
        assert [(c.mode, c.query.get("version")) for c in kit.shop.calls] == [
            ("checkauth", None), ("init", "2.09"), ("query", None),
        ]  # fmt: skip


def test_info_is_given_as_it_came_and_its_absence_told(tmp_path: Path) -> None:
    lists = '<?xml version="1.0" encoding="windows-1251"?><Справочник/>'.encode("cp1251")
    with shop(tmp_path, bent("info", lists)) as kit:
        node = kit.node()
        assert node.info() == lists
        with pytest.raises(NeedsOwner, match="none that 1C knows"):
            node.info()


# --- settings ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shop_kind", "typed", "url"),
    [
        ("cs-cart-exim-1c", "shop.example", "https://shop.example/exim_1c"),
        ("cs-cart-commerceml", "https://shop.example/", "https://shop.example/commerceml"),
        ("bitrix", " HTTP://shop.example : 8080 ", "http://shop.example:8080/bitrix/admin/1c_exchange.php"),
        ("getmeback", "x.getmeback.ru", "https://x.getmeback.ru/rest/integration/1c_exchange.php"),
        ("generic", "shop.example\\1c\\exchange.php?token=x", "https://shop.example/1c/exchange.php?token=x"),
    ],
)
def test_an_address_is_taken_apart_as_1c_does(shop_kind: str, typed: str, url: str) -> None:
    """GM-7: the path is part of the address, a bare host gets the usual one."""
    settings = all_profiles()[shop_kind]["settings"]
    assert load(CommerceMLClient.settings, settings | {"address": typed}).url == url


def test_an_address_with_a_query_of_its_own_keeps_it(tmp_path: Path) -> None:
    with shop(tmp_path) as kit:
        kit.url += "?token=x"
        kit.node().check()
        assert kit.shop.calls[0].asked.path == "/1c_exchange.php?token=x&type=catalog&mode=checkauth"


@pytest.mark.parametrize(
    "address", ["https://a:b@shop.example/x", "https://shop.example/x?type=catalog", "https://", "https://h:x/"]
)
def test_an_address_that_cannot_be_right_is_refused(address: str) -> None:
    with pytest.raises(NeedsOwner, match="address"):
        load(CommerceMLClient.settings, {"address": address})


@pytest.mark.parametrize("cookie", ["a\0b", "a\x01b", "a\tb"])
def test_a_cookie_that_no_header_can_carry_is_left_alone(cookie: str, tmp_path: Path) -> None:
    with shop(tmp_path, bent("checkauth", f"success\nSID\n{cookie}\n")) as kit:
        kit.node().send("catalog", files(tmp_path))
        assert "cookie" not in kit.shop.calls[-1].asked.headers


@pytest.mark.parametrize("name", ["idna", "undefined"])
def test_an_answer_in_a_charset_that_is_none_is_read(name: str) -> None:
    assert text_of("успех".encode(), f"text/plain; charset={name}") == "успех"


@pytest.mark.parametrize("how", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_whose_bytes_were_damaged_is_told_as_such(how: int, tmp_path: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", how) as packed:
        packed.writestr("orders.xml", "".join(ORDERS + str(n) for n in range(500)))
    damaged = bytearray(archive.getvalue())
    damaged[60:140] = b"\xff" * 80
    with shop(tmp_path, bent("query", bytes(damaged))) as kit, pytest.raises(BadDocument, match="cannot be unpacked"):
        query(kit.node())
