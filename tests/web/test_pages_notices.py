"""The page “Notices”: channels are set up, tried and removed; who may not do it changes nothing; secrets are never shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from books import People, connection, people
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from net.peer import peer
from obmen.store import models
from obmen.store import notices as channels
from obmen.store.models import JournalEntry, Notice, NoticeChannel, Trouble
from obmen.work import notices
from work.mail_peer import mail_peer

pytestmark = pytest.mark.django_db
PAGE = "/notices/"
EVERYTHING = ["run", "silence", "parked", "licence", "disk", "over"]
COMMON = {"name": "Team", "enabled": "on", "wants": EVERYTHING, "scope": "", "language": "en", "time_zone": "Europe/Kyiv"}
TELEGRAM = {**COMMON, "chat": "-100500", "token": "123456:ABC-DEF_ghi123"}
HOOK = {**COMMON, "target": "https://hooks.example.com/services/very-secret"}
MAIL = {
    **COMMON,
    "to": "ann@example.com\nbob@example.com",
    "host": "smtp.example.com",
    "security": "tls",
    "sender": "hub@example.com",
}


@pytest.fixture
def staff() -> People:
    return people()


@pytest.fixture(autouse=True)
def own_network(settings: Any) -> None:
    settings.OBMEN_ALLOW_PRIVATE = True
    settings.LANGUAGE_CODE = "en"


def signed_in(user: Any) -> Client:
    client = Client(headers={"accept-language": "en"})
    client.force_login(user)
    return client


def add(client: Client, way: str, data: dict[str, Any]) -> Any:
    return client.post(reverse("admin:notices_add", args=[way]), data, follow=True)


def text(response: Any) -> str:
    return str(response.content.decode())


def made(way: str = "webhook", **kw: Any) -> NoticeChannel:
    hidden = kw.pop("secrets", {"address": "https://hooks.example.com/x", "secret": "s" * 20})
    values = {"wants": EVERYTHING, "name": "Team", "language": "en", "settings": {"host": "hooks.example.com"}, **kw}
    return channels.save(NoticeChannel(way=way), values, hidden, (), "owner")


def trouble(owner: models.Connection, **kw: Any) -> Trouble:
    facts = {"connection": owner.name, "detail": {"text": "Enter the password again", "facts": {}}}
    values = {"key": f"run:{owner.pk}", "kind": "run", "run": 7, "text": "“{connection}”: the exchange needs you", "facts": facts}
    return Trouble.objects.create(connection=owner, since=timezone.now(), **{**values, **kw})


# --- setting up ------------------------------------------------------------------------------------------------------------


def test_a_channel_by_e_mail_is_added_changed_and_keeps_its_password(staff: People) -> None:
    client = signed_in(staff.owner)
    page = add(client, "email", {**MAIL, "login": "ann", "password": "pass-word", "quiet_from": "22:00", "quiet_to": "8:00"})
    assert "is added. Send a test" in text(page)
    row = NoticeChannel.objects.get()
    assert row.settings == {
        "to": ["ann@example.com", "bob@example.com"],
        "host": "smtp.example.com",
        "security": "tls",
        "port": None,
        "sender": "hub@example.com",
        "login": "ann",
    }
    assert (row.secrets, str(row.quiet_from), row.everywhere) == ({"password": "pass-word"}, "22:00:00", True)
    where = reverse("admin:notices_change", args=[row.pk])
    shown = text(client.get(where))
    assert "pass-word" not in shown
    assert "smtp.example.com" in shown
    shop = connection()
    client.post(where, {**MAIL, "login": "ann", "name": "Others", "scope": "chosen", "connections": [shop.pk], "wants": ["run"]})
    row.refresh_from_db()
    assert (row.name, row.secrets, row.wants, row.everywhere) == ("Others", {"password": "pass-word"}, ["run"], False)
    assert list(row.connections.all()) == [shop]
    assert (row.quiet_from, row.quiet_to) == (None, None)
    assert list(JournalEntry.objects.order_by("id").values_list("action", "who")) == [
        ("notices.made", "owner"),
        ("notices.changed", "owner"),
    ]


def test_a_telegram_channel_keeps_chat_and_token(staff: People) -> None:
    client = signed_in(staff.owner)
    add(client, "telegram", TELEGRAM)
    row = NoticeChannel.objects.get()
    assert (row.settings, row.secrets) == ({"chat": "-100500", "api": ""}, {"token": "123456:ABC-DEF_ghi123"})
    page = text(client.get(PAGE))
    assert "-100500" in page
    assert "ABC-DEF" not in page + text(client.get(reverse("admin:notices_change", args=[row.pk])))


@pytest.mark.parametrize(
    ("way", "made_with", "elsewhere", "secret"),
    [
        ("email", {**MAIL, "login": "ann", "password": "pass-word"}, {"host": "mail.example.org"}, "password"),
        ("email", {**MAIL, "login": "ann", "password": "pass-word"}, {"port": "2465"}, "password"),
        ("telegram", TELEGRAM, {"api": "https://bots.example.org"}, "token"),
    ],
)
def test_a_secret_is_asked_for_again_before_it_is_sent_to_another_place(
    staff: People, way: str, made_with: dict[str, Any], elsewhere: dict[str, str], secret: str
) -> None:
    client = signed_in(staff.owner)
    add(client, way, made_with)
    row = NoticeChannel.objects.get()
    where, before = reverse("admin:notices_change", args=[row.pk]), (row.settings, row.secrets)
    changed = {**made_with, secret: "", **elsewhere}
    assert "from now on: enter it again." in text(client.post(where, changed, follow=True))
    row.refresh_from_db()
    assert (row.settings, row.secrets) == before
    again = {**changed, secret: "654321:ABC-DEF_ghi123"}
    assert client.post(where, again).status_code == 302
    row.refresh_from_db()
    assert row.secrets == {secret: again[secret]}
    assert client.post(where, {**changed, "name": "Others"}).status_code == 302, "as it is, the place stays and nothing is asked"
    row.refresh_from_db()
    assert (row.name, row.secrets) == ("Others", {secret: again[secret]})


def test_a_password_that_is_needed_no_more_is_not_kept_for_the_next_server(staff: People) -> None:
    client = signed_in(staff.owner)
    add(client, "email", {**MAIL, "login": "ann", "password": "pass-word"})
    row = NoticeChannel.objects.get()
    client.post(reverse("admin:notices_change", args=[row.pk]), {**MAIL, "host": "open.example.org"})
    row.refresh_from_db()
    assert (row.settings["host"], row.secrets) == ("open.example.org", {})


def test_a_webhook_without_a_secret_gets_one_that_is_shown_once_and_its_address_never(staff: People) -> None:
    client = signed_in(staff.owner)
    page = text(add(client, "webhook", {**HOOK, "address": "http://hub:8000/"}))
    row = NoticeChannel.objects.get()
    secret = row.secrets["secret"]
    assert len(secret) >= 40
    assert page.count(secret) == 1
    where = reverse("admin:notices_change", args=[row.pk])
    for later in (client.get(PAGE), client.get(where)):
        assert secret not in text(later)
        assert "very-secret" not in text(later)
        assert "hooks.example.com" in text(later)
    client.post(where, {**HOOK, "target": "", "enabled": ""})
    row.refresh_from_db()
    assert (row.enabled, row.secrets["address"], row.secrets["secret"]) == (False, HOOK["target"], secret)
    assert row.settings == {"host": "hooks.example.com"}


@pytest.mark.parametrize(
    ("way", "data", "says"),
    [
        ("email", {**MAIL, "to": "ann@example.com, nobody"}, "“nobody” is no e-mail address."),
        ("email", {**MAIL, "to": ""}, "This field is required."),
        ("email", {**MAIL, "host": ""}, "the hub has none of its own (OBMEN_EMAIL_URL)"),
        ("email", {**MAIL, "sender": ""}, "Say whom letters are from."),
        ("email", {**MAIL, "login": "ann", "password": "x", "security": "none"}, "A password is not sent without encryption"),
        ("email", {**MAIL, "login": "ann"}, "Enter the password of the login."),
        ("email", {**MAIL, "to": "\n".join(f"a{n}@example.com" for n in range(21))}, "At most 20 addresses"),
        ("telegram", {**TELEGRAM, "chat": "my friends"}, "A chat is a number such as"),
        ("telegram", {**TELEGRAM, "token": "secret"}, "A token looks like"),
        ("webhook", {**HOOK, "target": "ftp://example.com"}, "An address begins with https://"),
        ("webhook", {**HOOK, "target": "https://[half"}, "An address begins with https://"),
        ("webhook", {**HOOK, "address": "hub.example.com"}, "An address begins with https://"),
        ("webhook", {**HOOK, "secret_value": "short"}, "at least 16 characters"),
        ("webhook", {**HOOK, "wants": []}, "This field is required."),
        ("webhook", {**HOOK, "scope": "chosen"}, "Choose at least one connection"),
        ("webhook", {**HOOK, "quiet_from": "22:00"}, "Quiet hours need both a beginning and an end."),
        ("webhook", {**HOOK, "time_zone": "Mars/Base"}, "Select a valid choice"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_kept(staff: People, way: str, data: dict[str, Any], says: str) -> None:
    page = text(add(signed_in(staff.owner), way, data))
    assert "Nothing is saved yet" in page
    assert says in page.replace("&quot;", '"')
    assert NoticeChannel.objects.count() == 0


def test_a_name_is_given_once(staff: People) -> None:
    client = signed_in(staff.owner)
    add(client, "webhook", HOOK)
    assert "There is a channel with this name already" in text(add(client, "telegram", TELEGRAM))
    assert NoticeChannel.objects.count() == 1


def test_without_a_server_of_its_own_a_channel_uses_the_hubs(staff: People, settings: Any) -> None:
    settings.OBMEN_EMAIL_URL = "smtp://u:p@mail.hub.example?from=hub@example.com"
    client = signed_in(staff.owner)
    assert "Empty: the hub&#x27;s own, mail.hub.example." in text(client.get(reverse("admin:notices_add", args=["email"])))
    add(client, "email", {**COMMON, "to": "ann@example.com", "security": "starttls"})
    assert NoticeChannel.objects.get().settings == {"to": ["ann@example.com"]}


def test_the_address_for_links_is_where_the_page_is_open_unless_the_hub_knows_its_own(staff: People, settings: Any) -> None:
    client = signed_in(staff.owner)
    where = reverse("admin:notices_add", args=["webhook"])
    assert 'value="http://testserver/"' in text(client.get(where))
    settings.OBMEN_PUBLIC_URL = "https://hub.example.com"
    assert 'value="http://testserver/"' not in text(client.get(where))


# --- trying and removing ---------------------------------------------------------------------------------------------------


def test_a_test_is_sent_at_once_and_says_what_the_other_side_answered(staff: People) -> None:
    client = signed_in(staff.owner)
    with mail_peer() as box:
        add(client, "email", {**MAIL, "host": "127.0.0.1", "port": box.port, "security": "none"})
        page = client.post(reverse("admin:notices_test", args=[NoticeChannel.objects.get().pk]), follow=True)
    assert "The test is sent by “Team”: 250 2.0.0 queued as A1" in text(page)
    assert box.recipients == [["ann@example.com", "bob@example.com"]]
    assert list(Notice.objects.values_list("news", "state")) == [("test", "sent")]
    assert JournalEntry.objects.filter(action="notices.tested", who="owner").count() == 1


def test_a_test_that_fails_says_why_and_the_channel_shows_that_it_does_not_work(staff: People) -> None:
    client = signed_in(staff.owner)
    with peer(lambda _asked, _handler: (401, {}, json.dumps({"description": "Unauthorized"}).encode())) as api:
        add(client, "telegram", {**TELEGRAM, "api": api.url})
        page = text(client.post(reverse("admin:notices_test", args=[NoticeChannel.objects.get().pk]), follow=True))
    assert page.count("Telegram does not know this bot (Unauthorized)") == 3  # the message, the channel, the log
    assert "does not work" in page
    assert "ABC-DEF" not in page


def test_removing_a_channel_asks_first(staff: People) -> None:
    row = made()
    client = signed_in(staff.owner)
    where = reverse("admin:notices_remove", args=[row.pk])
    assert "Nobody is told by it any more." in text(client.get(where))
    assert NoticeChannel.objects.count() == 1
    assert "is removed" in text(client.post(where, follow=True))
    assert NoticeChannel.objects.count() == 0
    assert JournalEntry.objects.filter(action="notices.removed").count() == 1


# --- what is seen ----------------------------------------------------------------------------------------------------------


def test_the_page_shows_what_needs_somebody_and_leads_there(staff: People) -> None:
    shop = connection("Shop")
    trouble(shop)
    page = text(signed_in(staff.owner).get(PAGE))
    assert "“Shop”: the exchange needs you" in page
    assert "Enter the password again" in page
    assert 'href="/store/run/7/change/"' in page
    assert "nobody was told: no channel wants to know" in page
    assert "Nobody is told when an exchange stops." in page
    Trouble.objects.update(over=timezone.now())
    assert "Nothing: every exchange works." in text(signed_in(staff.owner).get(PAGE))


def test_the_log_is_searched_filtered_and_tries_again_what_failed(staff: People) -> None:
    row, other = made(), made(name="Boss")
    shop = connection("Shop")
    for channel, state in ((row, "failed"), (other, "sent")):
        Notice.objects.create(
            channel=channel,
            kind="run",
            news="trouble",
            connection=shop,
            text="It broke",
            state=state,
            tries=28,
            answer=f"said {state}",
        )
    client = signed_in(staff.owner)
    log = reverse("admin:store_notice_changelist")
    assert text(client.get(log)).count("It broke") == 2
    assert "said sent" not in text(client.get(log, {"state__exact": "failed"}))
    assert "said failed" not in text(client.get(log, {"q": "boss"}))
    failed = Notice.objects.get(state="failed")
    card = text(client.get(reverse("admin:store_notice_change", args=[failed.pk])))
    assert "Try again" in card
    page = client.post(reverse("admin:store_notice_again", args=[failed.pk]), follow=True)
    assert "tried again within a minute" in text(page)
    failed.refresh_from_db()
    assert (failed.state, failed.tries) == ("waiting", 0)
    assert failed.due <= timezone.now()
    sent = Notice.objects.get(state="sent")
    assert "Try again" not in text(client.get(reverse("admin:store_notice_change", args=[sent.pk])))
    client.post(reverse("admin:store_notice_again", args=[sent.pk]))
    sent.refresh_from_db()
    assert sent.state == "sent"


def test_what_counts_as_trouble_is_said_for_each_connection(staff: People) -> None:
    shop, other = connection("Shop"), connection("Other")
    client = signed_in(staff.owner)
    where = reverse("admin:notices_limits")
    data = {f"{shop.pk}-silent_after": "6", f"{shop.pk}-parked_limit": "5"}
    data |= {f"{other.pk}-silent_after": "", f"{other.pk}-parked_limit": "20"}
    assert "Saved." in text(client.post(where, data, follow=True))
    shop.refresh_from_db()
    other.refresh_from_db()
    assert [(c.silent_after, c.parked_limit) for c in (shop, other)] == [(6, 5), (None, 20)]
    assert JournalEntry.objects.filter(action="notices.limits").values_list("connection__name", flat=True).get() == "Shop"
    wrong = text(client.post(where, {**data, f"{shop.pk}-silent_after": "-1", f"{other.pk}-parked_limit": "7"}))
    assert "greater than or equal to 0" in wrong
    other.refresh_from_db()
    assert other.parked_limit == 20


# --- who may ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["operator", "viewer"])
def test_who_may_only_look_sees_everything_but_secrets_and_changes_nothing(staff: People, name: str) -> None:
    row = made()
    notice = Notice.objects.create(channel=row, kind="run", news="trouble", text="It broke", state="failed")
    shop = connection("Shop")
    client = signed_in(getattr(staff, name))
    page = text(client.get(PAGE))
    assert "Team" in page
    assert "hooks.example.com" in page
    for button in ("Send a test", "Remove", "Add a channel"):
        assert button not in page
    assert client.get(reverse("admin:store_notice_changelist")).status_code == 200
    assert client.get(reverse("admin:notices_limits")).status_code == 200
    before = (row.pk, NoticeChannel.objects.values_list("name", "enabled", "settings").get())
    limits = {f"{shop.pk}-silent_after": "1", f"{shop.pk}-parked_limit": "1"}
    for address, data in [
        (reverse("admin:notices_add", args=["webhook"]), HOOK),
        (reverse("admin:notices_change", args=[row.pk]), HOOK),
        (reverse("admin:notices_test", args=[row.pk]), {}),
        (reverse("admin:notices_remove", args=[row.pk]), {}),
        (reverse("admin:notices_limits"), limits),
        (reverse("admin:store_notice_again", args=[notice.pk]), {}),
    ]:
        assert client.post(address, data).status_code == 403, address
    assert (row.pk, NoticeChannel.objects.values_list("name", "enabled", "settings").get()) == before
    notice.refresh_from_db()
    shop.refresh_from_db()
    assert (notice.state, shop.silent_after, shop.parked_limit) == ("failed", None, 20)
    assert Notice.objects.count() == 1


def test_who_may_not_see_channels_sees_neither_page_nor_menu(staff: People) -> None:
    made()
    staff.viewer.groups.clear()
    client = signed_in(staff.viewer)
    assert client.get(PAGE).status_code == 403
    assert client.get(reverse("admin:store_notice_changelist")).status_code == 403
    assert f'href="{PAGE}"' not in text(client.get("/"))
    assert f'href="{PAGE}"' in text(signed_in(staff.owner).get("/"))


def test_pages_that_are_not_there_say_so(staff: People) -> None:
    client = signed_in(staff.owner)
    for address in ("/notices/99/", "/notices/add/pigeon/", "/notices/99/remove/"):
        assert client.get(address).status_code == 404
    assert client.get(reverse("admin:notices_test", args=[made().pk])).status_code == 405


def test_no_page_asks_more_the_more_there_is(staff: People, queries: Callable[[], Any]) -> None:
    rows = [made(name=f"c{n}") for n in range(8)]
    shops = [connection(f"Shop {n}") for n in range(30)]
    for n in range(60):
        at = timezone.now() - timedelta(minutes=n)
        Notice.objects.create(channel=rows[n % 8], kind="run", news="trouble", connection=shops[n % 30], text="x", at=at)
    for shop in shops:
        trouble(shop)
    client = signed_in(staff.owner)
    for address in (
        PAGE,
        reverse("admin:notices_limits"),
        reverse("admin:notices_change", args=[rows[0].pk]),
        reverse("admin:store_notice_changelist"),
        reverse("admin:store_notice_change", args=[Notice.objects.latest("id").pk]),
    ):
        client.get(address)
        with queries() as asked:
            assert client.get(address).status_code == 200
        assert len(asked) <= 12, (address, [q["sql"][:150] for q in asked])


def test_a_notice_leads_to_the_page_of_notices_where_there_is_no_better_one() -> None:
    assert notices.link(Notice(kind="disk")) == reverse("admin:notices")
