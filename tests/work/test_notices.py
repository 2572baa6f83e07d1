"""Trouble is told once, reminded of each day, and called over once; every way of telling against a server on a real socket."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as hub
from django.db import connection as db
from django.urls import reverse
from django.utils import timezone

from net.peer import Asked, Peer, authority, nobody, peer
from obmen.core.contract import NeedsOwner
from obmen.net import mail
from obmen.store import notices as channels
from obmen.store.models import Connection, JournalEntry, Notice, NoticeChannel, Parked, Run, StreamSetting, Trouble
from obmen.work import notices, tidy, watch
from work.mail_peer import Mailbox, mail_peer

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 6, 10, 9, 0, tzinfo=UTC)  # a Wednesday, 12:00 in Kyiv
EVERYTHING = ["run", "silence", "parked", "licence", "disk", "over"]
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture(autouse=True)
def own_network(settings: Any) -> None:
    settings.OBMEN_ALLOW_PRIVATE = True
    settings.OBMEN_PUBLIC_URL = "https://hub.example.com/"


@pytest.fixture
def shop() -> Connection:
    made = Connection.objects.create(connector="caller", name="Shop", slug="shop", created=NOON)
    StreamSetting.objects.create(connection=made, stream="orders-in", schedule="every 1 h")
    return made


def ran(owner: Connection, ended: datetime, state: str, streams: str = "orders-in", **kw: Any) -> Run:
    return Run.objects.create(connection=owner, unique_key="x", state=state, ended=ended, streams=streams, **kw)


def fails(owner: Connection, ended: datetime, **kw: Any) -> Run:
    return ran(owner, ended, "needs_owner", text="Enter the password of {host} again", facts={"host": "shop.example"}, **kw)


def channel(way: str = "webhook", **kw: Any) -> NoticeChannel:
    values: dict[str, Any] = {"wants": EVERYTHING, "language": "en", "name": f"Channel {way}", **kw}
    chosen = values.pop("connections", ())
    hidden = values.pop("secrets", {})
    return channels.save(NoticeChannel(way=way), values, hidden, chosen, "owner")


def told() -> list[tuple[str, str]]:
    return list(Notice.objects.order_by("id").values_list("kind", "news"))


# --- when it is told -------------------------------------------------------------------------------------------------------


def test_trouble_is_told_once_reminded_of_each_day_and_called_over_once(shop: Connection) -> None:
    channel()
    run = fails(shop, NOON)
    assert notices.look(NOON) == 1
    for minutes in (1, 2, 60, 23 * 60):
        fails(shop, NOON + minutes * MINUTE)
        assert notices.look(NOON + minutes * MINUTE) == 0
    assert notices.look(NOON + DAY) == 1
    assert notices.look(NOON + DAY + HOUR) == 0
    ran(shop, NOON + DAY + 2 * HOUR, "done")
    assert notices.look(NOON + DAY + 2 * HOUR) == 1
    assert notices.look(NOON + DAY + 3 * HOUR) == 0
    assert told() == [("run", "trouble"), ("run", "still"), ("run", "over")]
    first = Notice.objects.earliest("id")
    assert (first.run, first.connection, first.state, first.due) == (run.pk, shop, "waiting", NOON)
    assert Trouble.objects.get().over == NOON + DAY + 2 * HOUR


def test_what_comes_and_goes_is_told_each_hour_at_most(shop: Connection) -> None:
    channel()
    for n in range(12):  # fails and works by turns, every ten minutes for two hours
        at = NOON + n * 10 * MINUTE
        fails(shop, at) if n % 2 == 0 else ran(shop, at, "done")
        notices.look(at)
    assert told() == [("run", "trouble"), ("run", "over"), ("run", "trouble"), ("run", "over")]
    assert list(Notice.objects.order_by("id").values_list("at", flat=True)) == [NOON + n * MINUTE for n in (0, 10, 60, 70)]


def test_another_reason_is_told_after_an_hour_without_waiting_for_the_day(shop: Connection) -> None:
    channel()
    ran(shop, NOON, "failed", text="The disk is full")
    notices.look(NOON)
    fails(shop, NOON + 10 * MINUTE)
    assert notices.look(NOON + 10 * MINUTE) == 0
    assert notices.look(NOON + HOUR) == 1
    assert [n.text for n in Notice.objects.order_by("id")] == [watch.FAILED, watch.ASKS]


def test_the_same_streams_done_again_end_it_and_some_of_them_do_not(shop: Connection) -> None:
    channel()
    fails(shop, NOON, streams="customers-in,orders-in")
    ran(shop, NOON + MINUTE, "done", streams="orders-in")
    notices.look(NOON + MINUTE)
    assert Trouble.objects.get().over is None
    ran(shop, NOON + 2 * MINUTE, "done", streams="customers-in,orders-in,stock-out")
    notices.look(NOON + 2 * MINUTE)
    assert told() == [("run", "trouble"), ("run", "over")]


def test_a_preview_neither_makes_trouble_nor_ends_it(shop: Connection) -> None:
    channel()
    fails(shop, NOON, args={"preview": True})
    assert notices.look(NOON) == 0
    fails(shop, NOON)
    ran(shop, NOON + MINUTE, "done", args={"preview": True})
    assert notices.look(NOON + MINUTE) == 1
    assert told() == [("run", "trouble")]


@pytest.mark.parametrize("change", [{"enabled": False}, {"paused_until": NOON + DAY}])
def test_what_is_switched_off_or_paused_ends_without_being_called_fine(shop: Connection, change: dict[str, Any]) -> None:
    channel()
    fails(shop, NOON)
    notices.look(NOON)
    Connection.objects.filter(pk=shop.pk).update(**change)
    assert notices.look(NOON + MINUTE) == 0
    assert (told(), Trouble.objects.get().over) == ([("run", "trouble")], NOON + MINUTE)


def test_a_failure_that_nobody_repeats_is_forgotten_after_a_week_without_being_called_fine(shop: Connection) -> None:
    channel()
    Connection.objects.update(silent_after=0)
    fails(shop, NOON)
    notices.look(NOON)
    assert notices.look(NOON + 7 * DAY - MINUTE) == 1
    assert notices.look(NOON + 7 * DAY) == 0
    assert told() == [("run", "trouble"), ("run", "still")]
    assert Trouble.objects.get().over == NOON + 7 * DAY


def test_silence_is_told_and_ended_by_an_exchange_and_by_nothing_else(shop: Connection) -> None:
    channel()
    ran(shop, NOON, "done")
    assert notices.look(NOON + 2.9 * HOUR) == 0
    assert notices.look(NOON + 3 * HOUR) == 1
    Connection.objects.update(silent_after=48)
    assert notices.look(NOON + 4 * HOUR) == 0
    assert told() == [("silence", "trouble")]
    assert Trouble.objects.get().over == NOON + 4 * HOUR
    Connection.objects.update(silent_after=None)
    assert notices.look(NOON + 5 * HOUR) == 1
    ran(shop, NOON + 6 * HOUR, "done")
    assert notices.look(NOON + 6 * HOUR) == 1
    assert told() == [("silence", "trouble"), ("silence", "trouble"), ("silence", "over")]


def test_a_connection_whose_runs_fail_is_not_called_silent_besides(shop: Connection) -> None:
    channel()
    ran(shop, NOON, "done")
    fails(shop, NOON + HOUR)
    notices.look(NOON + 9 * HOUR)
    assert told() == [("run", "trouble")]
    assert set(watch.silent(Connection.objects.all(), NOON + 9 * HOUR)) == {shop.pk}


def test_more_parked_records_than_the_connection_may_have_are_told(shop: Connection) -> None:
    channel()
    Connection.objects.update(silent_after=0, parked_limit=2)

    def park(*ids: int) -> None:
        for n in ids:
            Parked.objects.create(connection=shop, kind="order", external_id=str(n), text="Not mapped")

    park(1, 2)
    assert notices.look(NOON) == 0
    park(3)
    assert notices.look(NOON) == 1
    assert notices.worded(Notice.objects.get(), notices.ZoneInfo("Europe/Kyiv")) == ("“Shop”: parked records: 3", "")
    Parked.objects.filter(external_id="1").delete()
    assert notices.look(NOON + HOUR) == 1
    Connection.objects.update(parked_limit=0)
    park(5, 6, 7)
    assert notices.look(NOON + 3 * HOUR) == 0
    assert told() == [("parked", "trouble"), ("parked", "over")]


def test_a_disk_that_is_nearly_full_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    channel()
    usage = __import__("collections").namedtuple("usage", "total used free")
    free = {"bytes": 2 * 1024**3}
    monkeypatch.setattr(watch.shutil, "disk_usage", lambda _path: usage(40 * 10**9, 0, free["bytes"]))
    assert notices.look(NOON) == 0
    free["bytes"] = 10**9
    assert notices.look(NOON) == 1
    assert "nearly full: 1.0 GB of 40.0 GB" in notices.worded(Notice.objects.get(), notices.ZoneInfo("UTC"))[0]
    free["bytes"] = 20 * 10**9
    assert notices.look(NOON + MINUTE) == 1
    assert told() == [("disk", "trouble"), ("disk", "over")]


# --- to whom ---------------------------------------------------------------------------------------------------------------


def test_each_channel_hears_what_it_wants_of_the_connections_it_is_for(shop: Connection) -> None:
    other = Connection.objects.create(connector="caller", name="Other", slug="other", created=NOON)
    everything = channel(name="everything")
    only_other = channel(name="other", everywhere=False, connections=[other])
    parked = channel(name="parked", wants=["parked", "over"])
    no_news = channel(name="no good news", wants=["run"])
    channel(name="off", enabled=False)
    fails(shop, NOON)
    notices.look(NOON)
    heard = set(Notice.objects.values_list("channel", flat=True))
    assert heard == {everything.pk, no_news.pk}
    fails(other, NOON + MINUTE)
    notices.look(NOON + MINUTE)
    assert only_other.notices.get().connection == other
    ran(shop, NOON + HOUR, "done")
    notices.look(NOON + HOUR)
    assert [n.news for n in everything.notices.order_by("id")] == ["trouble", "trouble", "over"]
    assert [n.news for n in no_news.notices.order_by("id")] == ["trouble", "trouble"]
    assert parked.notices.count() == 0


def test_without_a_channel_trouble_is_known_and_told_as_soon_as_there_is_one(shop: Connection) -> None:
    fails(shop, NOON)
    assert notices.look(NOON) == 0
    assert Trouble.objects.get().told is None
    channel()
    assert notices.look(NOON + MINUTE) == 1


def test_quiet_hours_keep_notices_until_their_end_and_let_through_what_may(shop: Connection) -> None:
    night = datetime(2026, 6, 10, 20, 30, tzinfo=UTC)  # 23:30 in Kyiv
    quiet = {"quiet_from": time(22), "quiet_to": time(8), "time_zone": "Europe/Kyiv"}
    channel(name="asleep", **quiet)
    channel(name="woken", through=True, **quiet)
    Parked.objects.create(connection=shop, kind="order", external_id="1", text="x")
    Connection.objects.update(parked_limit=0, silent_after=0)
    fails(shop, night)
    notices.look(night)
    ran(shop, night + MINUTE, "done")
    notices.look(night + MINUTE)
    morning = datetime(2026, 6, 11, 5, 0, tzinfo=UTC)
    assert list(Notice.objects.order_by("channel__name", "id").values_list("channel__name", "news", "due")) == [
        ("asleep", "trouble", morning),
        ("asleep", "over", morning),
        ("woken", "trouble", night),
        ("woken", "over", morning),
    ]


# --- e-mail ----------------------------------------------------------------------------------------------------------------


def mailed(box: Mailbox, **kw: Any) -> NoticeChannel:
    server = {"host": "127.0.0.1", "port": box.port, "security": "none", "sender": "hub@example.com", "to": ["ann@example.com"]}
    server |= kw.pop("server", {})
    return channel("email", settings=server, **kw)


def test_several_notices_are_one_letter_in_the_readers_language_with_links(shop: Connection) -> None:
    with mail_peer() as box:
        made = mailed(box)
        run = fails(shop, NOON)
        Connection.objects.update(parked_limit=1)
        for n in range(2):
            Parked.objects.create(connection=shop, kind="order", external_id=str(n), text="x")
        notices.look(NOON)
        assert notices.send(NOON) == 2
        assert notices.send(NOON + MINUTE) == 0
    [letter] = box.letters
    assert (letter["Subject"], letter["From"], letter["To"]) == ("Obmen: 2 notices", "hub@example.com", "ann@example.com")
    text = letter.get_content().replace("\r\n", "\n")
    assert (
        f"""“Shop”: the exchange needs you
Enter the password of shop.example again
10 June, 12:00
https://hub.example.com/store/run/{run.pk}/change/

“Shop”: parked records: 2
10 June, 12:00
https://hub.example.com/store/parked/?connection__id__exact={shop.pk}
"""
        in text
    )
    assert box.recipients == [["ann@example.com"]]
    assert set(made.notices.values_list("state", "sent", "answer", "tries")) == {("sent", NOON, "250 2.0.0 queued as A1", 1)}
    made.refresh_from_db()
    assert (made.text, made.worker, made.lease_until) == ("", "", None)


def test_the_hubs_own_mail_server_is_used_where_a_channel_has_none(settings: Any) -> None:
    with mail_peer() as box:
        settings.OBMEN_EMAIL_URL = f"smtp+plain://127.0.0.1:{box.port}?from=hub@example.com"
        settings.OBMEN_ALLOW_PRIVATE = False  # whoever sets the variable decides that
        sent = notices.test(channel("email", settings={"to": ["ann@example.com"]}))
    assert (sent.state, sent.news) == ("sent", "test")
    assert box.letters[0]["Subject"] == f"Obmen: {notices.TEST}"


def test_password_and_letter_go_encrypted_and_only_to_whom_the_certificate_names(tmp_path: Path, settings: Any) -> None:
    trusted, context = authority(tmp_path)
    settings.OBMEN_CA_FILE = str(trusted)
    login = {"login": "ann", "host": "localhost"}
    with mail_peer(starttls=context) as box:
        made = mailed(box, server={**login, "security": "starttls"}, secrets={"password": "right"})
        assert notices.test(made).state == "sent"
        assert (box.logins, box.encrypted) == ([("ann", "right")], [True])
        settings.OBMEN_CA_FILE = ""
        refused = notices.test(made)
        assert refused.state == "failed"
        assert "is not to be trusted" in refused.answer
        assert len(box.logins) == 1
    settings.OBMEN_CA_FILE = str(trusted)
    with mail_peer(tls=context) as box:
        made = mailed(box, name="tls", server={**login, "security": "tls"}, secrets={"password": "wrong"})
        assert "does not take login and password" in notices.test(made).answer
        channels.save(made, {}, {"password": "right"}, (), "owner")
        assert notices.test(made).state == "sent"
        assert box.encrypted == [True]


def test_a_password_is_never_sent_without_encryption() -> None:
    with mail_peer() as box:
        sent = notices.test(mailed(box, server={"login": "ann"}, secrets={"password": "right"}))
        assert (sent.state, box.logins, box.letters) == ("failed", [], [])
        assert "without encryption" in sent.answer
        plain = notices.test(mailed(box, name="2", server={"security": "starttls"}))
        assert (plain.state, box.letters) == ("failed", [])
        assert "another kind of encryption" in plain.answer


@pytest.mark.parametrize(
    ("says", "part"),
    [
        (lambda word: "550 5.1.1 no such user" if word == "RCPT" else None, "does not take the addresses: ann@"),
        (lambda word: "451 try later" if word == "RCPT" else None, "takes no letter now"),
        (lambda word: "553 not your address" if word == "MAIL" else None, "does not take the letter"),
        (lambda word: "421 too busy" if word == "MAIL" else None, "takes no letter now"),
    ],
)
def test_what_the_mail_server_says_is_in_the_log_in_words(says: Callable[[str], str | None], part: str) -> None:
    with mail_peer(says) as box:
        sent = notices.test(mailed(box))
    assert sent.state == "failed"
    assert part in notices.say(sent.answer, sent.answer_facts)
    assert box.letters == []


def test_a_mail_server_inside_a_network_is_not_called_unless_allowed(settings: Any) -> None:
    settings.OBMEN_ALLOW_PRIVATE = False
    with mail_peer() as box:
        sent = notices.test(mailed(box))
    assert (sent.state, box.letters) == ("failed", [])
    assert "an address inside a network" in sent.answer


@pytest.mark.parametrize("url", ["mail.example.com", "http://u:p@h?from=a@b", "smtp://host", "smtp://u@h:port?from=a@b"])
def test_an_address_of_a_mail_server_that_cannot_be_read_is_named(url: str) -> None:
    with pytest.raises(NeedsOwner, match="smtp://login:password@host:587"):
        mail.read_url(url)


def test_an_address_of_a_mail_server_says_everything() -> None:
    assert mail.read_url("smtps://a%40b.c:p%2Fw@mail.example.com") == mail.Server(
        "mail.example.com", "a@b.c", "tls", 0, "a@b.c", "p/w"
    )


# --- telegram --------------------------------------------------------------------------------------------------------------


def answering(*answers: tuple[int, dict[str, str], Any]) -> Callable[[Asked, Any], Any]:
    left = list(answers)

    def script(_asked: Asked, _handler: Any) -> tuple[int, dict[str, str], bytes]:
        status, headers, body = left.pop(0) if len(left) > 1 else left[0]
        return status, headers, json.dumps(body).encode()

    return script


TAKEN = (200, {}, {"ok": True, "result": {"message_id": 17}})


def bot(api: Peer, **kw: Any) -> NoticeChannel:
    return channel("telegram", settings={"chat": "-100500", "api": api.url}, secrets={"token": "1:secret-token"}, **kw)


def test_telegram_gets_the_text_for_its_chat(shop: Connection) -> None:
    with peer(answering(TAKEN)) as api:
        made = bot(api)
        run = fails(shop, NOON)
        notices.look(NOON)
        assert notices.send(NOON) == 1
    [asked] = api.asked
    assert asked.path == "/bot1:secret-token/sendMessage"
    said = json.loads(asked.body)
    assert said["chat_id"] == "-100500"
    assert said["text"].splitlines() == [
        "“Shop”: the exchange needs you",
        "Enter the password of shop.example again",
        "10 June, 12:00",
        f"https://hub.example.com/store/run/{run.pk}/change/",
    ]
    assert made.notices.get().answer == "message 17"


def test_when_telegram_asks_for_a_rest_it_is_given_and_the_notice_comes_afterwards(shop: Connection) -> None:
    busy = (429, {"Retry-After": "300"}, {"ok": False, "parameters": {"retry_after": 300}})
    with peer(answering(busy, TAKEN)) as api:
        made = bot(api)
        fails(shop, NOON)
        notices.look(NOON)
        assert notices.send(NOON) == 0
        notice = made.notices.get()
        assert (notice.state, notice.tries, notice.due) == ("waiting", 1, NOON + 5 * MINUTE)
        assert notices.send(NOON + 4 * MINUTE) == 0
        assert len(api.asked) == 1
        assert notices.send(NOON + 5 * MINUTE) == 1
        assert len(api.asked) == 2
    assert made.notices.get().state == "sent"


@pytest.mark.parametrize(
    ("status", "body", "part"),
    [
        (401, {"description": "Unauthorized"}, "does not know this bot (Unauthorized)"),
        (403, {"description": "Forbidden: bot was blocked by the user"}, "may not write to this chat"),
        (400, {"description": "Bad Request: chat not found"}, "may not write to this chat"),
        (400, {"description": "upgraded", "parameters": {"migrate_to_chat_id": -1001}}, "enter -1001 as chat"),
        (400, {"description": "Bad Request: message text is empty"}, "does not take the message"),
        (200, ["odd"], "does not take the message: HTTP 200"),
    ],
)
def test_what_telegram_refuses_is_said_in_words_without_the_token(status: int, body: Any, part: str) -> None:
    with peer(answering((status, {}, body))) as api:
        sent = notices.test(bot(api))
    assert sent.state == "failed"
    assert part in notices.say(sent.answer, sent.answer_facts)
    assert "secret-token" not in f"{sent.answer}{sent.answer_facts}"


def test_more_than_a_message_holds_is_counted(shop: Connection) -> None:
    with peer(answering(TAKEN)) as api:
        made = bot(api)
        for n in range(49):
            Notice.objects.create(channel=made, kind="run", news="trouble", text=f"{n} {'x' * 200}", at=NOON, due=NOON)
        assert notices.send(NOON) == 49
    text = json.loads(api.asked[0].body)["text"]
    assert len(text) <= 4096
    shown = text.count("10 June")
    assert 10 < shown < 20
    assert text.endswith(f"… and {49 - shown} more")


# --- webhook ---------------------------------------------------------------------------------------------------------------


def hook(api: Peer | str, **kw: Any) -> NoticeChannel:
    address = f"{api if isinstance(api, str) else api.url}/in?key=1"
    return channel("webhook", secrets={"address": address, "secret": "signing-secret"}, **kw)


def test_a_webhook_is_signed_json_that_its_receiver_can_check(shop: Connection) -> None:
    with peer(answering((204, {}, ""))) as api:
        made = hook(api)
        run = fails(shop, NOON)
        notices.look(NOON)
        assert notices.send(NOON) == 1
    [asked] = api.asked
    assert asked.path == "/in?key=1"
    signed = hmac.new(b"signing-secret", asked.headers["x-obmen-timestamp"].encode() + b"." + asked.body, hashlib.sha256)
    assert asked.headers["x-obmen-signature"] == f"sha256={signed.hexdigest()}"
    said = json.loads(asked.body)
    notice = made.notices.get()
    assert said["notices"] == [
        {
            "id": notice.pk,
            "kind": "run",
            "news": "trouble",
            "title": "“Shop”: the exchange needs you",
            "detail": "Enter the password of shop.example again",
            "link": f"https://hub.example.com/store/run/{run.pk}/change/",
            "at": "2026-06-10T12:00:00+03:00",
            "connection": {"name": "Shop", "slug": "shop"},
            "run": run.pk,
        }
    ]
    assert notice.answer == "HTTP 204"


@pytest.mark.parametrize(
    ("status", "part"),
    [
        (404, "answered 404 and did not take"),
        (302, "sends our calls on"),
        (500, "does not take calls now"),
        (503, "does not take"),
    ],
)
def test_anything_but_2xx_is_tried_again_later_and_later_until_it_is_given_up(shop: Connection, status: int, part: str) -> None:
    with peer(answering((status, {"Location": "https://elsewhere.example/"} if status == 302 else {}, ""))) as api:
        made = hook(api)
        fails(shop, NOON)
        notices.look(NOON)
        at, pauses = NOON, []
        for _try in range(4):
            notices.send(at)
            notice = made.notices.get()
            pauses.append((notice.due - at) // MINUTE)
            at = notice.due
        assert pauses == [1, 2, 5, 15]
        assert part in notices.say(notice.answer, notice.answer_facts)
        made.refresh_from_db()
        assert part in notices.say(made.text, made.facts)
        Notice.objects.update(tries=notices.TRIES - 1)
        notices.send(at)
        notice.refresh_from_db()
        assert (notice.state, notice.tries) == ("failed", notices.TRIES)
        assert notices.send(at + 3 * DAY) == 0
    assert len(api.asked) == 5


def test_one_channel_that_does_not_work_keeps_no_other_waiting(shop: Connection) -> None:
    with peer(answering((200, {}, ""))) as api:
        broken, works = hook(f"http://127.0.0.1:{nobody()}", name="a"), hook(api, name="b")
        fails(shop, NOON)
        notices.look(NOON)
        assert notices.send(NOON) == 1
    assert [c.notices.get().state for c in (broken, works)] == ["waiting", "sent"]


def test_a_missing_key_stops_only_the_channel_whose_secret_needs_it(shop: Connection) -> None:
    with peer(answering((200, {}, ""))) as api:
        locked, works = hook(api, name="a"), hook(api, name="b")
        with db.cursor() as cursor:
            cursor.execute("UPDATE store_noticechannel SET secrets = 'v1:00000000:gone' WHERE id = %s", [locked.pk])
        fails(shop, NOON)
        assert notices.look(NOON) == 2
        assert notices.send(NOON) == 1
    assert works.notices.get().state == "sent"
    row = NoticeChannel.objects.defer("secrets").get(pk=locked.pk)
    assert "put the key file back" in row.text
    assert row.lease_until is None


# --- two clocks, and a power cut -------------------------------------------------------------------------------------------


def at_once(count: int, work: Callable[[], Any]) -> None:
    gate = threading.Barrier(count)

    def one() -> None:
        gate.wait()
        work()
        db.close()

    threads = [threading.Thread(target=one) for _i in range(count)]
    [t.start() for t in threads]
    [t.join() for t in threads]


def test_many_clocks_tell_once_and_send_once(shop: Connection) -> None:
    with peer(answering((200, {}, ""))) as api:
        hook(api)
        fails(shop, NOON)
        at_once(4, lambda: notices.look(NOON))
        assert told() == [("run", "trouble")]
        at_once(4, lambda: notices.send(NOON))
        assert len(api.asked) == 1
        ran(shop, NOON + MINUTE, "done")
        at_once(4, lambda: notices.look(NOON + MINUTE))
        at_once(4, lambda: notices.send(NOON + MINUTE))
        assert len(api.asked) == 2
    assert told() == [("run", "trouble"), ("run", "over")]


def test_a_channel_that_another_clock_is_sending_by_is_left_to_it_until_its_lease_ends(shop: Connection) -> None:
    with peer(answering((200, {}, ""))) as api:
        made = hook(api)
        fails(shop, NOON)
        notices.look(NOON)
        NoticeChannel.objects.update(worker="other", lease_until=NOON + notices.LEASE)
        assert notices.send(NOON) == 0
        made.refresh_from_db()
        assert made.worker == "other"
        assert notices.send(NOON + notices.LEASE + MINUTE) == 1
    assert len(api.asked) == 1


SENDER = """
import sys, django
django.setup()
from obmen.work import notices
notices.send()
"""


@pytest.mark.long
def test_a_sender_that_is_killed_before_it_could_note_it_loses_nothing(shop: Connection) -> None:
    """The message comes a second time, with the same ids, once the lease has ended."""
    arrived = threading.Event()

    def hangs(_asked: Asked, handler: Any) -> Any:
        arrived.set()
        handler.connection.settimeout(30)
        handler.rfile.read(1)  # no answer until the sender is gone
        return None

    with peer(hangs) as api:
        made = hook(api)
        fails(shop, NOON)
        notices.look(NOON)
        database = db.settings_dict
        url = f"sqlite:///{database['NAME']}"
        if db.vendor == "postgresql":
            port = f":{database['PORT']}" if database["PORT"] else ""
            url = f"postgresql://{database['USER']}:{database['PASSWORD']}@{database['HOST']}{port}/{database['NAME']}"
        env = {
            **os.environ,
            "OBMEN_HOME": str(hub.OBMEN_HOME),
            "OBMEN_DATABASE_URL": url,
            "OBMEN_ALLOW_PRIVATE": "1",
            "OBMEN_PUBLIC_URL": "https://hub.example.com",
        }
        sender = subprocess.Popen([sys.executable, "-c", SENDER], env={**env, "OBMEN_LEAN": "1"})
        assert arrived.wait(60)
        os.kill(sender.pid, signal.SIGKILL)
        sender.wait()
    assert made.notices.get().state == "waiting"
    lost = json.loads(api.asked[0].body)["notices"]
    with peer(answering((200, {}, ""))) as api:
        channels.save(made, {}, {"address": f"{api.url}/in"}, (), "owner")
        assert notices.send() == 0
        assert notices.send(timezone.now() + notices.LEASE) == 1
        assert json.loads(api.asked[0].body)["notices"] == lost
    assert made.notices.get().state == "sent"


# --- words, links, keeping -------------------------------------------------------------------------------------------------


def test_links_lead_to_the_pages_of_the_hub(shop: Connection) -> None:
    links = {
        ("run", 5): reverse("admin:store_run_change", args=[5]),
        ("parked", None): f"{reverse('admin:store_parked_changelist')}?connection__id__exact={shop.pk}",
        ("silence", None): reverse("admin:store_connection_change", args=[shop.pk]),
        ("licence", None): reverse("admin:store_formatpackage_changelist"),
    }
    for (kind, run), address in links.items():
        assert notices.link(Notice(kind=kind, run=run, connection=shop)) == address


def test_a_channel_that_has_its_own_address_of_the_hub_links_there(settings: Any) -> None:
    assert notices.address(channel(name="own", address="https://other.example/")) == "https://other.example"
    assert notices.address(channel(name="none")) == "https://hub.example.com"
    settings.OBMEN_PUBLIC_URL = ""
    [said] = notices._said(channel(name="nothing known"), [Notice(kind="disk", news="trouble", text="x", at=NOON)])
    assert said.link == ""


@pytest.mark.parametrize("language", ["uk", "ru", "en"])
def test_dates_are_said_in_the_readers_zone_and_language(shop: Connection, language: str) -> None:
    months = {"uk": "10 червня, 13:00", "ru": "10 июня, 13:00", "en": "10 June, 13:00"}
    with peer(answering((200, {}, ""))) as api:
        hook(api, language=language, time_zone="Europe/Minsk" if language != "uk" else "Asia/Istanbul")
        ran(shop, NOON + HOUR, "done")
        notices.look(NOON + 9 * HOUR)
        Notice.objects.update(due=NOON)
        notices.send(NOON + 9 * HOUR)
    title = json.loads(api.asked[0].body)["notices"][0]["title"]
    assert months[language] in title


def test_switching_a_channel_off_drops_what_waits_for_it(shop: Connection) -> None:
    made = hook(f"http://127.0.0.1:{nobody()}")
    fails(shop, NOON)
    notices.look(NOON)
    channels.save(made, {"enabled": False}, {}, (), "owner")
    assert made.notices.get().state == "dropped"
    channels.save(made, {"enabled": True}, {}, (), "owner")
    assert notices.send(NOON + DAY) == 0


def test_what_was_told_long_ago_is_thrown_away(shop: Connection) -> None:
    made = hook(f"http://127.0.0.1:{nobody()}")
    now = timezone.now()
    for days in (91, 89):
        row = Trouble.objects.create(key=str(days), kind="run", text="x", since=now, over=now - days * DAY)
        Notice.objects.create(channel=made, trouble=row, kind="run", news="trouble", text="x", at=now - days * DAY)
    Trouble.objects.create(key="lasts", kind="run", text="x", since=now - 400 * DAY)
    done = tidy.tidy(now)
    assert (done["notices"], done["troubles"]) == (1, 1)
    assert set(Trouble.objects.values_list("key", flat=True)) == {"89", "lasts"}


def test_changes_of_a_channel_are_in_the_journal_without_its_secrets(shop: Connection) -> None:
    made = channel("email", settings={"to": ["ann@example.com"], "host": "mail.example.com"}, secrets={"password": "one"})
    channels.save(made, {"everywhere": False, "wants": ["run"]}, {"password": "two"}, [shop], "owner")
    assert channels.set_limits(shop, 6, 20, "owner")
    assert not channels.set_limits(Connection.objects.get(pk=shop.pk), 6, 20, "owner")
    channels.remove(made, "owner")
    entries = list(JournalEntry.objects.filter(action__startswith="notices.").order_by("id"))
    assert [e.action for e in entries] == ["notices.made", "notices.changed", "notices.limits", "notices.removed"]
    assert entries[1].facts["changes"] == {
        "wants": [", ".join(EVERYTHING), "run"],
        "everywhere": [True, False],
        "password": ["•••", "•••"],
        "connections": ["", "Shop"],
    }
    assert entries[2].facts["changes"] == {"silent_after": [None, 6]}
    assert "two" not in str([e.facts for e in entries])


def test_secrets_are_kept_encrypted() -> None:
    made = channel("telegram", settings={"chat": "1"}, secrets={"token": "1:secret-token"})
    with db.cursor() as cursor:
        cursor.execute("SELECT secrets FROM store_noticechannel WHERE id = %s", [made.pk])
        kept = cursor.fetchone()[0]
    assert kept.startswith("v1:")
    assert "secret-token" not in kept
    assert NoticeChannel.objects.get(pk=made.pk).secrets == {"token": "1:secret-token"}


# --- the command line ------------------------------------------------------------------------------------------------------


def test_the_command_line_lists_tests_and_sends(
    shop: Connection, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from obmen.cli.main import run

    monkeypatch.setenv("OBMEN_LEAN", "")
    with peer(answering((200, {}, ""), (410, {}, ""))) as api:
        hook(api, name="Team")
        fails(shop, timezone.now())
        assert run(["notices", "send"]) == 0
        assert run(["notices", "list"]) == 0
        assert run(["notices", "test", "Team"]) == 1
        assert run(["notices", "list", "--json"]) == 0
        assert run(["notices", "test", "Nobody"]) == 3
    said = capsys.readouterr()
    sent, listed, shape = said.out.splitlines()
    assert (sent, listed) == ("queued 1, sent 1", "Team  webhook  works  waiting: 0")
    assert json.loads(shape) == {
        "name": "Team",
        "way": "webhook",
        "enabled": True,
        "waiting": 0,
        "wants": EVERYTHING,
        "trouble": "127.0.0.1 answered 410 and did not take the notice",
    }
    assert said.err.splitlines() == [
        "127.0.0.1 answered 410 and did not take the notice",
        "There is no notice channel “Nobody”; there are: Team",
    ]
    assert [asked.path for asked in api.asked] == ["/in?key=1"] * 2
