"""The door over HTTP and a real database: who is let in, what the outbox keeps, what is written down."""

from __future__ import annotations

import base64
import io
import stat
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.http import HttpResponseBase
from django.test import Client
from lxml import etree

from obmen.core.contract import BadRecord
from obmen.core.records import Counterparty, Delivery, Kind, Order, OrderLine, Payment, Shipment
from obmen.store import connections, models
from obmen.store.doors import read_orders
from obmen.store.orders import order_record, save_order
from obmen.web import doors
from obmen.work import jobs

pytestmark = pytest.mark.django_db

ROOT = "КоммерческаяИнформация"
GOODS = f'<?xml version="1.0" encoding="UTF-8"?><{ROOT} ВерсияСхемы="2.07"><Каталог><Ид>c</Ид></Каталог></{ROOT}>'.encode()
RESULT = f"<?xml version='1.0'?><{ROOT}><Документ><Ид>g</Ид><Номер>1</Номер></Документ></{ROOT}>".encode()


def basic(login: str, password: str, codec: str = "utf-8") -> str:
    return "Basic " + base64.b64encode(f"{login}:{password}".encode(codec)).decode()


@dataclass
class Node:
    """A 1C at the end of an HTTP line."""

    connection: models.Connection
    password: str
    path: str = ""
    address: str = "203.0.113.7"
    client: Client = field(default_factory=Client)
    cookie: str = ""
    status: int = 0

    def call(self, query: str, body: bytes | None = None, *, auth: str | None = None, **headers: Any) -> HttpResponseBase:
        path = self.path or connections.door_path(self.connection)
        if auth is None:
            auth = basic(self.connection.account.username, self.password)  # type: ignore[union-attr]
        extra = {"REMOTE_ADDR": self.address, **headers}
        if auth:
            extra["HTTP_AUTHORIZATION"] = auth
        if self.cookie:
            extra["HTTP_COOKIE"] = self.cookie
        if body is None:
            return self.client.get(f"{path}?{query}", **extra)
        return self.client.generic("POST", f"{path}?{query}", body, "application/x-www-form-urlencoded", **extra)

    def say(self, query: str, body: bytes | None = None, **more: Any) -> str:
        response = self.call(query, body, **more)
        self.status = response.status_code
        return content(response)

    def enter(self, type: str = "catalog", **more: Any) -> Node:
        lines = self.say(f"type={type}&mode=checkauth", **more).split("\n")
        assert lines[0] == "success", lines
        self.cookie = f"{lines[1]}={lines[2]}"
        return self

    def numbers(self) -> list[str]:
        xml = self.say("type=sale&mode=query")
        return [str(n) for n in etree.fromstring(xml.encode()).xpath("//Документ/Номер/text()")]


def content(response: HttpResponseBase) -> str:
    raw = b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]
    return raw.decode()


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "_verified", type(doors._verified)())
    monkeypatch.setattr(settings, "LANGUAGE_CODE", "en")
    monkeypatch.setattr(settings, "PASSWORD_HASHERS", ["django.contrib.auth.hashers.MD5PasswordHasher"])


def make(name: str = "1C", **values: Any) -> Node:
    connection, password = connections.create("commerceml_door", name, profile="ut11", settings={"wait_seconds": 0, **values})
    assert password
    connection.language = "en"
    connection.save()
    return Node(connection, password)


@pytest.fixture
def node() -> Node:
    return make()


def put(key: str = "1", **changes: Any) -> models.Order:
    line = OrderLine("guid", "Чайник", Decimal(2), Decimal("10.5"), Decimal(21), article="A-1")
    values: dict[str, Any] = {
        "currency": "UAH",
        "total": Decimal(21),
        "counterparty": Counterparty("7", "Коваленко Олена"),
        "lines": (line,),
    }
    return save_order(Order(key, key, datetime(2026, 3, 1, 10, tzinfo=UTC), **{**values, **changes}), source=None)[0]


def waiting(connection: models.Connection) -> list[str]:
    ids = models.Outbox.objects.filter(connection=connection).order_by("id").values_list("record_id", flat=True)
    return [models.Order.objects.get(pk=i).key for i in ids]


# --- who is let in ---------------------------------------------------------------------------------------------------------


def test_the_machine_account_is_let_in_and_gets_a_session(node: Node) -> None:
    assert node.enter().say("type=catalog&mode=init", auth="") == "zip=no\nfile_limit=104857600"
    assert node.status == 200
    row = models.DoorSessionRow.objects.get()
    assert (row.connection, row.user, f"obmen={row.cookie}") == (node.connection, "1c", node.cookie)


@pytest.mark.parametrize(
    "auth", ["", basic("1c", "wrong"), basic("nobody", "x"), basic("1c", ""), "Basic %%%", "Bearer x", "Basic MWM="]
)
def test_wrong_credentials_get_401_with_text_and_change_nothing(node: Node, auth: str) -> None:
    response = node.call("type=catalog&mode=checkauth", auth=auth)
    assert (response.status_code, response["WWW-Authenticate"]) == (401, 'Basic realm="1C", charset="UTF-8"')
    assert content(response) == "failure\nLogin or password is wrong"
    assert models.DoorSessionRow.objects.count() == 0


def test_another_connections_account_is_refused(node: Node) -> None:
    other = make("Other")
    own = basic(other.connection.account.username, other.password)  # type: ignore[union-attr]
    assert node.say("type=catalog&mode=checkauth", auth=own) == "failure\nLogin or password is wrong"
    assert node.status == 401


def test_a_session_of_another_connection_is_no_session_here(node: Node) -> None:
    other = make("Other").enter()
    node.cookie = other.cookie
    assert node.say("type=catalog&mode=init") == "failure\nThe session is not known or has ended. Begin with mode=checkauth."
    assert node.say("type=catalog&mode=init", auth="") == "failure\nLogin or password is wrong"


def test_an_account_without_the_permission_is_refused(node: Node) -> None:
    node.connection.account.groups.clear()  # type: ignore[union-attr]
    assert node.say("type=catalog&mode=checkauth").startswith("failure\nThis login may not exchange")
    assert node.status == 401


def test_a_disabled_account_is_refused_even_in_mid_session(node: Node) -> None:
    node.enter()
    User.objects.filter(pk=node.connection.account_id).update(is_active=False)
    assert node.say("type=catalog&mode=init") == "failure\nLogin or password is wrong"
    assert node.say("type=catalog&mode=init", auth="") == "failure\nLogin or password is wrong"


def test_a_changed_password_ends_the_old_one_at_once(node: Node) -> None:
    node.enter()
    connections.new_password(node.connection)
    assert node.say("type=catalog&mode=checkauth") == "failure\nLogin or password is wrong"


def test_cyrillic_passwords_are_understood_in_both_encodings(node: Node) -> None:
    account = node.connection.account
    assert account
    account.set_password("пароль")
    account.save()
    for codec in ("utf-8", "cp1251"):
        assert node.say("type=catalog&mode=checkauth", auth=basic("1c", "пароль", codec)).startswith("success\n")


def test_a_connection_that_is_switched_off_says_so(node: Node) -> None:
    models.Connection.objects.update(enabled=False)
    assert node.say("type=catalog&mode=checkauth") == "failure\nThis connection is switched off"
    assert node.status == 200


def test_wrong_passwords_lock_the_login_from_that_address_longer_and_longer(node: Node) -> None:
    wrong = basic("1c", "wrong")
    for _time in range(settings.AXES_FAILURE_LIMIT):
        assert node.say("type=catalog&mode=checkauth", auth=wrong) == "failure\nLogin or password is wrong"
    locked = "failure\nToo many wrong passwords. Try again in 1 min"
    assert node.say("type=catalog&mode=checkauth") == locked
    assert node.status == 401
    node.address = "203.0.113.8"
    assert node.say("type=catalog&mode=checkauth").startswith("success\n")
    node.address = "203.0.113.7"
    for minutes in (1, 2, 4):
        AccessAttempt.objects.update(attempt_time=datetime.now(UTC) - timedelta(minutes=minutes, seconds=1))
        assert node.say("type=catalog&mode=checkauth", auth=wrong) == "failure\nLogin or password is wrong"
        assert node.say("type=catalog&mode=checkauth") == f"failure\nToo many wrong passwords. Try again in {minutes * 2} min"
    AccessAttempt.objects.update(attempt_time=datetime.now(UTC) - timedelta(minutes=16))
    assert node.say("type=catalog&mode=checkauth").startswith("success\n")
    assert AccessAttempt.objects.count() == 0


def test_the_allow_list_counts_networks_not_prefixes() -> None:
    node = make(allow_list=["10.0.0.1", "198.51.100.0/24", "2001:db8::/32"])
    for address, status in (
        ("10.0.0.1", 200),
        ("10.0.0.10", 403),
        ("198.51.100.9", 200),
        ("::ffff:10.0.0.1", 200),
        ("2001:db8::5", 200),
        ("2001:db9::5", 403),
    ):
        node.address = address
        node.call("type=catalog&mode=checkauth")
        assert node.call("type=catalog&mode=checkauth").status_code == status, address
    node.address, node.cookie = "10.0.0.1", ""
    node.enter()
    node.address = "192.0.2.1"
    assert (
        node.say("type=catalog&mode=init", auth="")
        == "failure\nCalls from 192.0.2.1 are not allowed; the allow list of the connection decides"
    )


def test_a_token_in_the_path_stands_in_for_the_password() -> None:
    token = "abcdefghij0123456789"
    node = make(path_token=token)
    node.path = f"{connections.door_path(node.connection)}{token}/"
    assert node.enter(auth="").say("type=catalog&mode=init", auth="").startswith("zip=")
    node.path, node.cookie = f"{connections.door_path(node.connection)}{'z' * 20}/", ""
    for _time in range(settings.AXES_FAILURE_LIMIT):
        assert node.say("type=catalog&mode=checkauth", auth="") == "failure\nLogin or password is wrong"
    assert node.say("type=catalog&mode=checkauth", auth="").startswith("failure\nToo many wrong passwords")


def test_no_token_opens_a_connection_without_one(node: Node) -> None:
    node.path = f"{connections.door_path(node.connection)}x/"
    assert node.say("type=catalog&mode=checkauth", auth="") == "failure\nLogin or password is wrong"


@pytest.mark.parametrize(
    "path",
    [
        "/exchange/1c", "/exchange/1c/", "/bitrix/admin/1c_exchange.php", "/exim_1c", "/exim_1c.php", "/commerceml", "/commerceml/",
        "/rest/integration/1c_exchange.php", "/1c_exchange.php", "/admin/exchange/autoimport/",
    ],
)  # fmt: skip
def test_every_usual_address_leads_to_the_logins_connection_without_a_redirect(node: Node, path: str) -> None:
    make("Other")
    node.path = path
    assert node.enter().say("type=catalog&mode=file&filename=import.xml", GOODS, auth="") == "success"
    assert models.DoorSessionRow.objects.get().connection == node.connection


def test_an_unknown_address_name_tells_nothing(node: Node) -> None:
    node.path = "/exchange/nobody/"
    assert node.say("type=catalog&mode=checkauth") == "failure\nLogin or password is wrong"


# --- the view for people ---------------------------------------------------------------------------------------------------


def sign_in(*permissions: str) -> Client:
    person = User.objects.create_user("olena", password="x", is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_a_person_sees_what_would_be_sent_and_changes_nothing(node: Node) -> None:
    put("1")
    put("2", currency="")
    before = list(models.Outbox.objects.values())
    client = sign_in("view_order")
    for path in (connections.door_path(node.connection), "/exim_1c"):
        xml = content(client.get(f"{path}?type=sale&mode=query"))
        assert etree.fromstring(xml.encode()).xpath("//Номер/text()") == ["1"]
    assert list(models.Outbox.objects.values()) == before
    assert models.Parked.objects.count() == models.DoorSessionRow.objects.count() == 0


def test_a_person_without_the_right_to_see_orders_is_asked_for_a_login(node: Node) -> None:
    put("1")
    assert sign_in().get(f"{connections.door_path(node.connection)}?type=sale&mode=query").status_code == 401


# --- the outbox ------------------------------------------------------------------------------------------------------------


def test_an_order_is_delivered_by_success_and_the_journal_says_so(node: Node) -> None:
    row = put("1")
    node.enter("sale")
    assert node.numbers() == ["1"]
    offered = models.Outbox.objects.get()
    assert (offered.offered_revision, f"obmen={offered.offered_in}", offered.offers) == (1, node.cookie, 1)
    assert node.say("type=sale&mode=success") == "success"
    assert waiting(node.connection) == []
    entry = models.JournalEntry.objects.get(action="order.delivered")
    assert (entry.record_kind, entry.record_id, entry.facts["revision"]) == (Kind.ORDER, row.pk, 1)


def test_without_success_the_order_is_offered_again(node: Node) -> None:
    put("1")
    assert node.enter("sale").numbers() == ["1"]
    assert node.enter("sale").numbers() == ["1"]
    assert models.Outbox.objects.get().offers == 2


def test_success_twice_delivers_once(node: Node) -> None:
    put("1")
    node.enter("sale").numbers()
    assert node.say("type=sale&mode=success") == "success"
    put("1", comment="changed")
    assert node.say("type=sale&mode=success") == "success"
    assert waiting(node.connection) == ["1"]


def test_success_from_another_session_delivers_nothing(node: Node) -> None:
    put("1")
    node.enter("sale").numbers()
    assert node.enter("sale").say("type=sale&mode=success") == "success"
    assert waiting(node.connection) == ["1"]
    assert models.JournalEntry.objects.filter(action="door.success_without_orders").count() == 1


def test_success_of_the_first_of_two_sessions_counts(node: Node) -> None:
    put("1")
    node.enter("sale").numbers()
    first = node.cookie
    node.enter("sale").numbers()
    second, node.cookie = node.cookie, first
    node.say("type=sale&mode=success")
    assert waiting(node.connection) == []
    node.cookie = second
    assert node.say("type=sale&mode=success") == "success"


def test_an_edit_between_query_and_success_stays_pending(node: Node) -> None:
    put("1")
    put("2")
    node.enter("sale").numbers()
    put("1", comment="call before delivery")
    node.say("type=sale&mode=success")
    assert waiting(node.connection) == ["1"]
    assert node.enter("sale").numbers() == ["1"]


def test_two_nodes_are_told_each_for_itself(node: Node) -> None:
    other = make("Other")
    put("1")
    node.enter("sale").numbers()
    node.say("type=sale&mode=success")
    assert (waiting(node.connection), waiting(other.connection)) == ([], ["1"])
    assert other.enter("sale").numbers() == ["1"]


def test_a_bad_order_is_parked_once_and_freed_by_its_correction(node: Node) -> None:
    put("1")
    bad = put("2", currency="")
    for _time in range(2):
        assert node.enter("sale").numbers() == ["1"]
    parked = models.Parked.objects.get()
    assert (parked.direction, parked.external_id, parked.tries) == ("out", str(bad.pk), 2)
    put("2", currency="UAH")
    assert node.enter("sale").numbers() == ["1", "2"]
    assert models.Parked.objects.count() == 0


def test_many_orders_stream_in_order_without_gaps(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obmen.store.doors.PAGE", 3)
    monkeypatch.setattr("obmen.connectors.commerceml_door.door.BATCH", 2)
    keys = [str(i) for i in range(1, 12)]
    for key in keys:
        put(key)
    assert node.enter("sale").numbers() == keys
    node.say("type=sale&mode=success")
    assert waiting(node.connection) == []


def test_orders_are_read_as_the_books_tell_them(node: Node) -> None:
    row = put(
        "1",
        lines=(OrderLine("g", "Чай", Decimal("1.5"), Decimal(2), Decimal(3), options=(("a", "b"),), requisites=(("c", "d"),)),),
        delivery=Delivery("Нова пошта", "np", Decimal(50)),
        payments=(Payment("p", Decimal(3), paid=True, requisites=(("e", "f"),)), Payment("q", Decimal(1))),
        shipments=(Shipment("s", shipped=True),),
        requisites=(("g", "h"),),
    )
    pending = read_orders([row.pk, 0])
    assert list(pending) == [row.pk]
    assert (pending[row.pk].revision, pending[row.pk].order) == (1, order_record(row))


def test_states_go_out_by_the_mapping(node: Node) -> None:
    models.Reference.objects.create(subject="order_state", key="paid", name="Сплачено")
    node.connection.mappings.create(subject="order_state", ours="paid", theirs="P", theirs_name="Оплачен")
    put("1", state="paid")
    root = etree.fromstring(node.enter("sale").say("type=sale&mode=query").encode())
    told = {r.findtext("Наименование"): r.findtext("Значение") for r in root.iter("ЗначениеРеквизита")}
    assert (told["Статус заказа"], told["Статуса заказа ИД"]) == ("Оплачен", "P")


# --- imports ---------------------------------------------------------------------------------------------------------------


def test_an_import_is_queued_once_and_joined_by_repeated_calls(node: Node) -> None:
    node.enter()
    assert node.say("type=catalog&mode=file&filename=import0_1.xml", GOODS) == "success"
    assert node.say("type=catalog&mode=import&filename=import0_1.xml") == "progress\n0 % is done."
    assert node.say("type=catalog&mode=import&filename=import0_1.xml") == "progress\n0 % is done."
    run = models.Run.objects.get()
    assert (run.trigger, run.asked_by, run.streams) == ("door", "1c", "prices-in,products-in,stock-in")
    path = settings.OBMEN_HOME / "exchange" / "1c" / node.cookie.partition("=")[2] / "0" / "import0_1.xml"
    assert (run.args["files"], run.args["folder"]) == ([str(path)], str(path.parent))
    assert path.read_bytes() == GOODS
    models.Run.objects.update(state="running", percent=40)
    assert node.say("type=catalog&mode=import&filename=import0_1.xml") == "progress\n40 % is done."
    models.Run.objects.update(state="done", text="New: {created}", facts={"created": 3})
    for _time in range(2):
        assert node.say("type=catalog&mode=import&filename=import0_1.xml") == "success\nNew: 3"
    assert models.Run.objects.count() == 1


def test_a_failed_import_is_told_in_full_and_tried_anew_when_asked_again(node: Node) -> None:
    node.enter().say("type=catalog&mode=file&filename=import.xml", GOODS)
    node.say("type=catalog&mode=import&filename=import.xml")
    facts = {"msgid": "{file}:{line}: damaged", "file": "import.xml", "line": 7, "error": "", "created": 2}
    models.Run.objects.update(state="failed", text="{error} (settled before that: new {created})", facts=facts)
    run = models.Run.objects.get()
    assert make_job_text(node, run) == "import.xml:7: damaged (settled before that: new 2)"
    assert node.say("type=catalog&mode=import&filename=import.xml") == "progress\n0 % is done."
    assert models.Run.objects.count() == 2


def make_job_text(node: Node, run: models.Run) -> str:
    from obmen.store.doors import DjangoDoorHost

    return DjangoDoorHost(node.connection, connections.settings_of(node.connection), jobs.ask)._job(run).text


def test_orders_that_come_back_are_queued_without_an_import_call(node: Node) -> None:
    node.enter("sale")
    assert node.say("type=sale&mode=file&filename=orders-1_1.xml", RESULT) == "success"
    run = models.Run.objects.get()
    assert (run.streams, run.args["type"]) == ("orders-in", "sale")
    node.say("type=sale&mode=import&filename=orders-1_1.xml")
    assert models.Run.objects.count() == 1


def test_a_stream_that_is_switched_off_is_left_out_of_the_run(node: Node) -> None:
    node.connection.streams.filter(stream="stock-in").update(enabled=False)
    node.enter().say("type=catalog&mode=file&filename=import.xml", GOODS)
    node.say("type=catalog&mode=import&filename=import.xml")
    assert models.Run.objects.get().streams == "prices-in,products-in"


# --- limits ----------------------------------------------------------------------------------------------------------------


def archive(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, body in entries:
            packed.writestr(name, body)
    return out.getvalue()


def test_an_archive_in_pieces_is_unpacked_and_imported() -> None:
    node = make(zip=True, file_limit=64)
    body = archive(("webdata/import0_1.xml", GOODS), ("webdata/import_files/aa/1.jpg", b"\xff\xd8\xff1\xff\xd9"))
    node.enter()
    assert node.say("type=catalog&mode=init") == "zip=yes\nfile_limit=64"
    for at in range(0, len(body), 64):
        assert node.say("type=catalog&mode=file&filename=v8_1A76_155ae.zip", body[at : at + 64]) == "success"
    assert node.say("type=catalog&mode=import&filename=import0_1.xml") == "progress\n0 % is done."
    (file,) = models.Run.objects.get().args["files"]
    assert file.endswith("/0/import0_1.xml")
    folder = settings.OBMEN_HOME / "exchange" / "1c" / node.cookie.partition("=")[2] / "0"
    assert (folder / "import_files/aa/1.jpg").exists()


def link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("import0_1.xml")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([("import0_1.xml", b"<a>" + b" " * (4 << 20))], "is packed too tightly to be honest"),
        ([("../../import0_1.xml", GOODS)], "with the name ../../import0_1.xml, which is not allowed"),
        ([("/etc/import0_1.xml", GOODS)], "which is not allowed"),
        ([(link(), b"/etc/passwd")], "holds a link"),
        ([(f"a{i}.xml", GOODS) for i in range(4)], "holds 4 files, 3 are allowed"),
        ([(f"{i}.xml", bytes(range(256)) * 3000) for i in range(2)], "would unpack to more than 1 MB"),
    ],
)
def test_a_hostile_archive_is_refused_before_anything_is_unpacked(entries: list[Any], reason: str) -> None:
    node = make(zip=True, max_entries=3, max_unpacked=1 if "1 MB" in reason else 100)
    node.enter().say("type=catalog&mode=file&filename=v8.zip", archive(*entries))
    answer = node.say("type=catalog&mode=import&filename=import0_1.xml")
    assert answer.startswith("failure\n")
    assert reason in answer
    assert models.Run.objects.count() == 0
    folder = settings.OBMEN_HOME / "exchange" / "1c" / node.cookie.partition("=")[2]
    assert [p.name for p in folder.rglob("*") if p.is_file() and p.suffix != ".json"] == ["v8.zip"]


def test_a_file_over_the_limit_is_refused_with_text(node: Node) -> None:
    connections.update(node.connection, {"max_file": 1})
    node.enter()
    assert (
        node.say("type=catalog&mode=file&filename=import.xml", GOODS + b" " * (1 << 20))
        == "failure\nimport.xml is larger than 1 MB, which is the limit here."
    )


def test_a_session_ends_after_its_hours(node: Node) -> None:
    connections.update(node.connection, {"session_hours": 1})
    node.enter()
    models.DoorSessionRow.objects.update(last_call=datetime.now(UTC) - timedelta(minutes=61))
    assert node.say("type=catalog&mode=init") == "failure\nThe session is not known or has ended. Begin with mode=checkauth."


# --- what is written down --------------------------------------------------------------------------------------------------


def test_every_call_is_written_down_without_secrets(node: Node) -> None:
    node.enter()
    node.say("type=catalog&mode=init&sessid=abcdef")
    node.say("type=catalog&mode=file&filename=import.xml", GOODS)
    node.say("type=catalog&mode=import&filename=no.xml")
    rows = list(models.Message.objects.order_by("id").values_list("call", "status", "answer", "bytes_in"))
    assert rows == [
        ("GET type=catalog&mode=checkauth", 200, "success", 0),
        ("GET type=catalog&mode=init&sessid=•••", 200, "zip=no", 0),
        ("POST type=catalog&mode=file&filename=import.xml", 200, "success", len(GOODS)),
        (
            "GET type=catalog&mode=import&filename=no.xml",
            200,
            "failure: The file no.xml was not found: send it first, with mode=file.",
            0,
        ),
    ]


def test_an_error_of_the_hub_is_answered_with_text(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> None:
        raise RuntimeError("disk is gone")

    node.enter()
    monkeypatch.setattr("obmen.store.doors.DjangoDoorHost.confirm", broken)
    assert node.say("type=sale&mode=success").startswith("failure\nThe hub has met an error of its own")
    assert node.status == 500


def test_parking_needs_no_session(node: Node) -> None:
    from obmen.store.doors import DjangoDoorHost

    host = DjangoDoorHost(node.connection, connections.settings_of(node.connection), jobs.ask)
    host.park_order(5, BadRecord("{number} is wrong", number="5"))
    assert models.Parked.objects.get().facts == {"number": "5"}
