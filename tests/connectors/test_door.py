"""The conversation of the CommerceML door, held without Django against a hub in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from lxml import etree

from connectors.memory_host import Caller, MemoryHost, text
from obmen.connectors.commerceml_door.settings import ORDERS_OUT, STREAMS, DoorSettings
from obmen.core.contract import Job
from obmen.core.records import Counterparty, Order, OrderLine, Reference, Subject

ROOT = "КоммерческаяИнформация"
GOODS = f'<?xml version="1.0" encoding="UTF-8"?><{ROOT} ВерсияСхемы="2.07"><Каталог><Ид>c</Ид></Каталог></{ROOT}>'.encode()
RESULT = "<?xml version='1.0'?><КоммерческаяИнформация><Документ><Ид>g</Ид><Номер>1</Номер></Документ></КоммерческаяИнформация>".encode()


def order(key: str = "1", **changes: object) -> Order:
    line = OrderLine("guid", "Чайник", Decimal(2), Decimal("10.5"), Decimal(21), article="A-1")
    buyer = Counterparty("7", "Коваленко Олена", phone="+380501112233")
    made = Order(
        key, key, datetime(2026, 3, 1, 22, 30, tzinfo=UTC), currency="UAH", total=Decimal(21), counterparty=buyer, lines=(line,)
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def host(tmp_path: Path) -> MemoryHost:
    return MemoryHost(tmp_path)


@pytest.fixture
def caller(host: MemoryHost) -> Caller:
    return Caller(host)


def numbers(xml: str) -> list[str]:
    return [str(n) for n in etree.fromstring(xml.encode()).xpath("//Документ/Номер/text()")]


# --- checkauth and init ----------------------------------------------------------------------------------------------------


def test_checkauth_for_goods_answers_five_lines(caller: Caller, host: MemoryHost) -> None:
    lines = caller.say("catalog", "checkauth").split("\n")
    cookie = next(iter(host.sessions))
    sessid = host.sessions[cookie].data["sessid"]
    assert lines == ["success", "obmen", cookie, f"sessid={sessid}", f"timestamp={int(host.clock.timestamp())}", ""]


def test_checkauth_for_orders_answers_four_lines_and_for_a_catalogue_download_three(caller: Caller) -> None:
    assert len(caller.say("sale", "checkauth").split("\n")) == 5
    assert len(caller.say("get_catalog", "checkauth").split("\n")) == 4


def test_plain_session_lines_leave_token_and_time_out(tmp_path: Path) -> None:
    caller = Caller(MemoryHost(tmp_path, DoorSettings(session_lines="plain")))
    assert len(caller.say("catalog", "checkauth").rstrip("\n").split("\n")) == 3


def test_init_answers_exactly_two_lines_without_a_line_end(caller: Caller) -> None:
    assert caller.enter().say("catalog", "init") == "zip=no\nfile_limit=104857600"


def test_init_with_a_version_answers_token_and_version_too(caller: Caller, host: MemoryHost) -> None:
    caller.enter("sale")
    sessid = next(iter(host.sessions.values())).data["sessid"]
    assert caller.say("sale", "init", version="2.08") == f"zip=no\nfile_limit=104857600\nsessid={sessid}\nversion=2.09"
    assert caller.say("catalog", "init", version="").count("\n") == 1


def test_init_of_a_catalogue_download_answers_one_line(caller: Caller) -> None:
    assert caller.enter("get_catalog").say("get_catalog", "init") == "zip=no\n"


def test_zip_and_file_limit_are_told(tmp_path: Path) -> None:
    caller = Caller(MemoryHost(tmp_path, DoorSettings(zip=True, file_limit=204800))).enter()
    assert caller.say("catalog", "init") == "zip=yes\nfile_limit=204800"


@pytest.mark.parametrize("mode", ["init", "file", "import", "query", "success", "info", "deactivate", "complete"])
def test_without_session_and_login_every_mode_asks_for_them(host: MemoryHost, mode: str) -> None:
    reply = Caller(host, user="").call(f"type=sale&mode={mode}&filename=a.xml", method="POST")
    assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, 'Basic realm="1C"')
    assert text(reply) == "failure\nLogin and password are needed."
    assert host.sessions == {}


def test_a_wrong_cookie_is_refused_even_with_the_right_login(host: MemoryHost) -> None:
    caller = Caller(host, cookie="obmen=stolen")
    assert caller.say("catalog", "init") == "failure\nThe session is not known or has ended. Begin with mode=checkauth."
    assert caller.say("catalog", "file", GOODS, filename="import.xml").startswith("failure")
    assert not list(host.root.iterdir())


def test_a_caller_that_sends_its_login_instead_of_a_cookie_keeps_one_session(caller: Caller, host: MemoryHost) -> None:
    assert caller.say("catalog", "init").startswith("zip=")
    assert caller.say("catalog", "file", GOODS, filename="import.xml") == "success"
    assert caller.say("catalog", "import", filename="import.xml") == "success"
    assert len(host.sessions) == 1


def test_the_session_token_is_required_when_the_owner_wants_it(tmp_path: Path) -> None:
    host = MemoryHost(tmp_path, DoorSettings(sessid_check=True))
    caller = Caller(host).enter()
    refused = "failure\nThe session token sessid is missing or wrong. Begin with mode=checkauth."
    assert caller.say("catalog", "init") == refused
    assert caller.say("catalog", "init", sessid="0" * 32) == refused
    sessid = next(iter(host.sessions.values())).data["sessid"]
    assert caller.say("catalog", "init", sessid=sessid).startswith("zip=")


def test_unknown_commands_are_answered_in_bitrix_words(caller: Caller) -> None:
    caller.enter()
    assert caller.say("catalog", "dance") == "failure\nUnknown command type."
    assert caller.say("weather", "checkauth") == "failure\nUnknown command type."
    assert text(caller.call("")) == "failure\nUnknown command type."


def test_a_second_question_mark_and_unknown_parameters_are_tolerated(caller: Caller) -> None:
    assert text(caller.call("token=x?type=catalog&mode=checkauth&orderIDfrom=5")).startswith("success\n")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "HEAD"])
def test_any_method_does_for_modes_without_a_file(caller: Caller, method: str) -> None:
    caller.enter()
    assert text(caller.call("type=catalog&mode=init", method=method)).startswith("zip=")


@pytest.mark.parametrize(
    ("encoding", "start"), [("utf-8", b"failure"), ("utf-8-bom", b"\xef\xbb\xbffailure"), ("windows-1251", b"failure")]
)
def test_answers_are_in_the_chosen_encoding(tmp_path: Path, encoding: str, start: bytes) -> None:
    host = MemoryHost(tmp_path, DoorSettings(answer_encoding=encoding))
    host.say = lambda said, **facts: "Файл не принят"  # type: ignore[method-assign]
    reply = Caller(host).enter().call("type=catalog&mode=import&filename=none.xml")
    assert isinstance(reply.body, bytes)
    assert reply.body.startswith(start)
    charset = "windows-1251" if encoding == "windows-1251" else "utf-8"
    assert reply.headers["Content-Type"] == f"text/plain; charset={charset}"
    assert reply.body.endswith("Файл не принят".encode(charset))


# --- files and import ------------------------------------------------------------------------------------------------------


def test_a_portion_is_received_and_imported(caller: Caller, host: MemoryHost) -> None:
    assert caller.load("import0_1.xml", GOODS) == "success"
    assert [(kind, names) for kind, _key, names in host.asked] == [("catalog", ("import0_1.xml",))]


def test_import_answers_progress_until_the_worker_is_done(caller: Caller, host: MemoryHost) -> None:
    host.answers = [Job(0, "running", 40, {"created": 3}), Job(0, "done", 100, {"created": 7, "unchanged": 2})]
    caller.enter().say("catalog", "file", GOODS, filename="import.xml")
    assert caller.say("catalog", "import", filename="import.xml") == "progress\n40 % is done.\ncreated: 3"
    assert caller.say("catalog", "import", filename="import.xml") == "success\ncreated: 7; unchanged: 2"
    assert len(host.asked) == 1


def test_importing_the_same_file_again_in_a_session_is_success_again(caller: Caller, host: MemoryHost) -> None:
    caller.load("import.xml", GOODS)
    assert caller.say("catalog", "import", filename="import.xml") == "success"
    assert len(host.asked) == 1


def test_a_failed_import_tells_the_reason(caller: Caller, host: MemoryHost) -> None:
    host.answers = [Job(0, "failed", 10, {"created": 1}, "import.xml:7: damaged (settled before that: new 1)")]
    caller.enter().say("catalog", "file", GOODS, filename="import.xml")
    assert caller.say("catalog", "import", filename="import.xml") == "failure\nimport.xml:7: damaged (settled before that: new 1)"


@pytest.mark.parametrize(("answer", "verdict"), [("success", "success"), ("failure", "failure")])
def test_records_set_aside_are_answered_as_the_owner_chose(tmp_path: Path, answer: str, verdict: str) -> None:
    host = MemoryHost(tmp_path, DoorSettings(parked_answer=answer))
    host.answers = [Job(0, "done", 100, {"created": 4, "parked": 1})]
    assert Caller(host).load("import.xml", GOODS) == f"{verdict}\ncreated: 4; set aside: 1"


def test_an_unknown_file_is_named(caller: Caller) -> None:
    assert caller.enter().say("catalog", "import", filename="import9.xml") == (
        "failure\nThe file import9.xml was not found: send it first, with mode=file."
    )


def test_a_truncated_file_is_refused_before_anything_is_taken(caller: Caller, host: MemoryHost) -> None:
    answer = caller.load("import.xml", GOODS[:-9])
    assert answer == "failure\nimport.xml is cut off: its end is missing. Nothing of it was taken; send it again."
    assert host.asked == []
    assert caller.load("import.xml", GOODS) == "success"


def test_a_document_type_is_refused_with_its_reason(caller: Caller, host: MemoryHost) -> None:
    bomb = GOODS.replace(b"?><", b'?><!DOCTYPE x [<!ENTITY a "aaaa">]><', 1)
    assert "DOCTYPE" in caller.load("import.xml", bomb)
    assert host.asked == []


def test_pieces_are_put_together(caller: Caller, host: MemoryHost) -> None:
    caller.enter().say("catalog", "init")
    for at in range(0, len(GOODS), 50):
        assert caller.say("catalog", "file", GOODS[at : at + 50], filename="import.xml") == "success"
    assert caller.say("catalog", "import", filename="import.xml") == "success"
    assert [p.read_bytes() for p in host.root.rglob("import.xml")] == [GOODS]


def test_interleaved_sessions_do_not_disturb_each_other(host: MemoryHost) -> None:
    first, second = Caller(host).enter(), Caller(host).enter()
    first.say("catalog", "init")
    assert first.say("catalog", "file", GOODS[:90], filename="import.xml") == "success"
    second.say("catalog", "init")
    assert second.say("catalog", "file", GOODS, filename="import.xml") == "success"
    assert first.say("catalog", "file", GOODS[90:], filename="import.xml") == "success"
    assert first.say("catalog", "import", filename="import.xml") == "success"
    assert second.say("catalog", "import", filename="import.xml") == "success"
    assert [p.read_bytes() for p in host.root.rglob("import.xml")] == [GOODS, GOODS]


def test_a_second_init_begins_a_file_anew_and_wipes_nothing(caller: Caller, host: MemoryHost) -> None:
    caller.enter().say("catalog", "init")
    caller.say("catalog", "file", GOODS[:70], filename="import.xml")
    caller.say("catalog", "file", b"\xff\xd8\xff picture \xff\xd9", filename="import_files/aa/1.jpg")
    caller.say("catalog", "init")
    caller.say("catalog", "file", GOODS, filename="import.xml")
    assert caller.say("catalog", "import", filename="import.xml") == "success"
    assert sorted(len(p.read_bytes()) for p in host.root.rglob("import.xml")) == [70, len(GOODS)]
    assert len(list(host.root.rglob("1.jpg"))) == 1


def test_a_file_of_an_earlier_round_is_still_found(caller: Caller) -> None:
    caller.enter().say("catalog", "file", GOODS, filename="import.xml")
    caller.say("catalog", "init")
    assert caller.say("catalog", "import", filename="import.xml") == "success"


@pytest.mark.parametrize(
    "name", ["../import.xml", "/etc/passwd", "a/../../b.xml", "..\\..\\b.xml", "a%00b.xml", "", "import_files/.htaccess"]
)
def test_a_name_that_leaves_the_folder_is_refused(caller: Caller, host: MemoryHost, name: str) -> None:
    answer = caller.enter().say("catalog", "file", GOODS, filename=name)
    assert answer.startswith("failure\nThe file name")
    assert not [p for p in host.root.rglob("*") if p.is_file()]


def test_scripts_are_refused_and_strange_files_of_goods_left_alone(caller: Caller, host: MemoryHost) -> None:
    caller.enter()
    assert (
        caller.say("catalog", "file", b"<?php", filename="shell.php") == "failure\nshell.php: files of this kind are not taken."
    )
    assert caller.say("catalog", "file", b"x", filename="import_files/aa/photo.b") == (
        "success\nimport_files/aa/photo.b: files of this kind are not kept."
    )
    assert not [p for p in host.root.rglob("*") if p.is_file()]


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    host = MemoryHost(tmp_path, DoorSettings(max_file=1))
    caller = Caller(host).enter()
    big = GOODS + b" " * (1 << 20)
    assert (
        caller.say("catalog", "file", big, filename="import.xml")
        == "failure\nimport.xml is larger than 1 MB, which is the limit here."
    )
    assert not list(host.root.rglob("import.xml"))


def test_a_call_that_came_short_leaves_the_file_as_it_was(caller: Caller, host: MemoryHost) -> None:
    caller.enter().say("catalog", "file", GOODS[:60], filename="import.xml")
    reply = caller.call("type=catalog&mode=file&filename=import.xml", GOODS[60:80], length=500)
    assert text(reply) == "failure\nimport.xml came short: 20 of 500 bytes. Send it again."
    caller.say("catalog", "file", GOODS[60:], filename="import.xml")
    assert [p.read_bytes() for p in host.root.rglob("import.xml")] == [GOODS]


def test_a_file_sent_by_get_is_refused(caller: Caller) -> None:
    reply = caller.enter().call("type=catalog&mode=file&filename=import.xml", method="GET")
    assert text(reply) == "failure\nA file has to be sent with POST."


def test_pictures_are_left_alone_when_switched_off(tmp_path: Path) -> None:
    host = MemoryHost(tmp_path, DoorSettings(pictures="off"))
    answer = Caller(host).enter().say("catalog", "file", b"\xff\xd8\xff", filename="import_files/aa/1.jpg")
    assert answer == "success\nPictures are switched off; the file is left alone."
    assert not list(host.root.rglob("*.jpg"))


def test_streams_that_are_off_are_answered_politely(tmp_path: Path) -> None:
    host = MemoryHost(tmp_path, streams=(ORDERS_OUT,))
    assert Caller(host).load("import.xml", GOODS) == "success\nThis stream is switched off; the file is left alone."
    assert Caller(host).load("orders-1_1.xml", RESULT, "sale").startswith("success")
    assert host.asked == []


# --- the interval between loads --------------------------------------------------------------------------------------------


def test_a_load_that_begins_too_early_is_told_the_minutes_left(tmp_path: Path) -> None:
    host = MemoryHost(tmp_path, DoorSettings(minimum_interval=60))
    assert Caller(host).load("import.xml", GOODS) == "success"
    host.later(minutes=25)
    assert (
        Caller(host).load("import.xml", GOODS) == "failure\nToo early: goods are taken once in 60 min here. Come back in 35 min."
    )
    host.later(minutes=35)
    assert Caller(host).load("import.xml", GOODS) == "success"
    assert len(host.asked) == 2


def test_portions_of_one_load_are_no_new_load(tmp_path: Path) -> None:
    host = MemoryHost(tmp_path, DoorSettings(minimum_interval=60))
    for name in ("import0_1.xml", "import0_2.xml", "offers0_1.xml"):
        assert Caller(host).load(name, GOODS) == "success"
        host.later(minutes=5)
    assert Caller(host).load("import0_1.xml", GOODS).startswith("failure\nToo early")


def test_orders_are_exchanged_whatever_the_interval(tmp_path: Path) -> None:
    host = MemoryHost(tmp_path, DoorSettings(minimum_interval=60))
    for _time in range(2):
        assert Caller(host).load("orders-1_1.xml", RESULT, "sale") == "success"


# --- orders out ------------------------------------------------------------------------------------------------------------


def test_orders_are_offered_by_query_and_delivered_by_success(caller: Caller, host: MemoryHost) -> None:
    host.orders = {1: (1, order("1")), 2: (4, order("2"))}
    caller.enter("sale")
    assert numbers(caller.say("sale", "query")) == ["1", "2"]
    assert set(host.orders) == {1, 2}
    assert caller.say("sale", "success") == "success"
    assert host.orders == {}
    assert numbers(caller.say("sale", "query")) == []


def test_a_lost_success_offers_the_same_orders_again(caller: Caller, host: MemoryHost) -> None:
    host.orders = {1: (1, order())}
    assert numbers(caller.enter("sale").say("sale", "query")) == ["1"]
    assert numbers(caller.enter("sale").say("sale", "query")) == ["1"]


def test_success_twice_changes_nothing_more(caller: Caller, host: MemoryHost) -> None:
    host.orders = {1: (1, order())}
    caller.enter("sale").say("sale", "query")
    caller.say("sale", "success")
    host.orders = {1: (2, order())}
    assert caller.say("sale", "success") == "success"
    assert set(host.orders) == {1}
    assert [action for action, _facts in host.journalled][-1] == "door.success_without_orders"


def test_success_from_another_session_confirms_nothing(host: MemoryHost) -> None:
    host.orders = {1: (1, order())}
    Caller(host).enter("sale").say("sale", "query")
    assert Caller(host).enter("sale").say("sale", "success") == "success"
    assert set(host.orders) == {1}
    assert host.journalled[-1] == ("door.success_without_orders", {"queried": False})


def test_an_edit_between_query_and_success_stays_pending(caller: Caller, host: MemoryHost) -> None:
    host.orders = {1: (1, order("1")), 2: (1, order("2"))}
    caller.enter("sale").say("sale", "query")
    host.orders[1] = (2, order("1", comment="changed"))
    caller.say("sale", "success")
    assert set(host.orders) == {1}


def test_a_further_query_confirms_only_when_the_owner_says_so(tmp_path: Path) -> None:
    for implicit, left in ((False, ["1"]), (True, [])):
        host = MemoryHost(tmp_path, DoorSettings(implicit_confirmation=implicit), orders={1: (1, order())})
        caller = Caller(host).enter("sale")
        caller.say("sale", "query")
        assert numbers(caller.say("sale", "query")) == left


def test_an_empty_answer_is_a_valid_document_without_orders(caller: Caller) -> None:
    xml = caller.enter("sale").say("sale", "query")
    assert xml.startswith("<?xml")
    assert etree.fromstring(xml.encode()).tag == "КоммерческаяИнформация"


def test_a_bad_order_is_set_aside_and_never_blocks_the_rest(caller: Caller, host: MemoryHost) -> None:
    host.orders = {1: (1, order("1")), 2: (1, order("2", currency="")), 3: (1, order("3"))}
    caller.enter("sale")
    assert numbers(caller.say("sale", "query")) == ["1", "3"]
    assert list(host.parked) == [2]
    caller.say("sale", "success")
    assert set(host.orders) == {2}


def test_the_view_in_a_browser_changes_nothing(host: MemoryHost) -> None:
    host.orders = {1: (1, order("1")), 2: (1, order("2", currency=""))}
    caller = Caller(host)
    assert numbers(text(caller.call("type=sale&mode=query", by_browser=True))) == ["1"]
    assert (host.offered, host.parked, host.sessions, host.noted, host.journalled) == ({}, {}, {}, {}, [])
    assert text(caller.call("type=sale&mode=success", by_browser=True)).startswith("failure")


def test_orders_wait_while_their_stream_is_off(tmp_path: Path) -> None:
    host = MemoryHost(tmp_path, streams=[s for s in STREAMS if s != ORDERS_OUT], orders={1: (1, order())})
    assert numbers(Caller(host).enter("sale").say("sale", "query")) == []
    assert set(host.orders) == {1}


def test_one_answer_holds_as_many_orders_as_the_owner_set(tmp_path: Path) -> None:
    host = MemoryHost(tmp_path, DoorSettings(orders_per_query=2), orders={i: (1, order(str(i))) for i in range(1, 6)})
    caller = Caller(host).enter("sale")
    seen = []
    for _time in range(3):
        seen.append(numbers(caller.say("sale", "query")))
        caller.say("sale", "success")
    assert seen == [["1", "2"], ["3", "4"], ["5"]]


def test_times_of_orders_are_local(host: MemoryHost) -> None:
    host.zone, host.orders = ZoneInfo("Europe/Kyiv"), {1: (1, order())}
    root = etree.fromstring(Caller(host).enter("sale").say("sale", "query").encode())
    assert (root.findtext(".//Дата"), root.findtext(".//Время")) == ("2026-03-02", "00:30:00")


def test_states_go_out_in_the_words_of_the_mapping(host: MemoryHost) -> None:
    host.known[Subject.ORDER_STATE] = [
        Reference(Subject.ORDER_STATE, "paid", "Сплачено"),
        Reference(Subject.ORDER_STATE, "new", "Нове"),
    ]
    host.mapped[Subject.ORDER_STATE, "paid"] = ("P", "Оплачен, формируется к отправке")
    host.orders = {1: (1, order("1", state="paid")), 2: (1, order("2", state="new"))}
    root = etree.fromstring(Caller(host).enter("sale").say("sale", "query").encode())
    told = [
        dict(zip(d.xpath(".//ЗначениеРеквизита/Наименование/text()"), d.xpath(".//ЗначениеРеквизита/Значение/text()")))
        for d in root.iter("Документ")
    ]
    assert [(t["Статус заказа"], t["Статуса заказа ИД"]) for t in told] == [
        ("Оплачен, формируется к отправке", "P"),
        ("Нове", "new"),
    ]


def test_a_poll_for_new_orders_answers_success_or_304(caller: Caller, host: MemoryHost) -> None:
    caller.enter("sale")
    assert caller.call("type=listen").status == 304
    host.orders = {1: (1, order())}
    assert text(caller.call("type=listen")) == "success\n"


# --- orders back -----------------------------------------------------------------------------------------------------------


def test_results_are_taken_without_an_import_call_and_once(caller: Caller, host: MemoryHost) -> None:
    caller.enter("sale").say("sale", "init")
    assert caller.say("sale", "file", RESULT[:70], filename="orders-1_1.xml") == "success"
    assert host.asked == []
    assert caller.say("sale", "file", RESULT[70:], filename="orders-1_1.xml") == "success"
    assert [(kind, names) for kind, _key, names in host.asked] == [("sale", ("orders-1_1.xml",))]
    assert caller.say("sale", "import", filename="orders-1_1.xml") == "success"
    assert len(host.asked) == 1


# --- the rest --------------------------------------------------------------------------------------------------------------


def test_info_lists_states_payments_and_deliveries(host: MemoryHost) -> None:
    host.known = {
        Subject.ORDER_STATE: [Reference(Subject.ORDER_STATE, "N", "Нове")],
        Subject.PAYMENT_KIND: [Reference(Subject.PAYMENT_KIND, "cash", "Готівка")],
        Subject.DELIVERY: [Reference(Subject.DELIVERY, "np", "Нова пошта")],
    }
    root = etree.fromstring(Caller(host).enter("sale").say("sale", "info").encode())
    assert [(part.tag, part.findtext("Элемент/Ид")) for part in root] == [
        ("Cтатусы", "N"), ("ПлатежныеСистемы", "cash"), ("СлужбыДоставки", "np"),
    ]  # fmt: skip


def test_what_this_door_does_not_do_is_said_politely(caller: Caller) -> None:
    caller.enter()
    assert caller.say("get_catalog", "query").startswith("failure\nThe catalogue is not given out here")
    assert caller.say("catalog", "query").startswith("failure\nThe catalogue is not given out here")
    assert caller.say("crm", "checkauth").startswith("failure\nThe exchange of Bitrix24 is not spoken here")


def test_the_end_of_an_exchange_is_always_success(caller: Caller, host: MemoryHost) -> None:
    caller.enter()
    assert caller.say("catalog", "deactivate", timestamp="1") == "success\nGoods that were not mentioned stay as they are."
    assert caller.say("catalog", "complete") == "success\nThe exchange is complete."
    assert host.asked == []


def test_deactivate_sweeps_when_the_owner_wants_it(tmp_path: Path) -> None:
    host = MemoryHost(tmp_path, DoorSettings(sweep="mark"))
    assert Caller(host).enter().say("catalog", "deactivate", timestamp="1") == "success"
    assert [kind for kind, _key, _names in host.asked] == ["deactivate"]


@pytest.mark.parametrize(
    ("query", "agent", "profile"),
    [
        ("type=catalog&mode=file&filename=import0_1.xml", "1C+Enterprise/8.3", "ut11"),
        ("type=catalog&mode=file&filename=import.xml", "1C+Enterprise/8.3", "unf"),
        ("type=catalog&mode=file&filename=import.xml", "1C+Enterprise/8.2", "ut10"),
        ("type=catalog&mode=init&version=3.1", "1C+Enterprise/8.3", "bitrix-module-6"),
        ("type=sale&mode=init&version=2.09", "1C+Enterprise/8.3", "bitrix-module-5"),
    ],
)  # fmt: skip
def test_callers_are_recognised_and_noted(host: MemoryHost, query: str, agent: str, profile: str) -> None:
    caller = Caller(host, agent=agent).enter()
    caller.call(query, GOODS)
    assert [facts["profile"] for action, facts in host.journalled if action == "door.recognised"][-1] == profile


def test_moysklad_is_recognised_by_its_document(caller: Caller, host: MemoryHost) -> None:
    caller.agent = "Java"
    caller.enter("sale").say(
        "sale",
        "file",
        RESULT.replace("<КоммерческаяИнформация>".encode(), '<КоммерческаяИнформация СинхронизацияТоваров="false">'.encode()),
        filename="orders.xml",
    )
    assert host.noted["recognised"] == "moysklad"
