"""Signing in with a second step: nothing of the hub is reachable before both are right, and whoever is locked out gets back in."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import Group as Role
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books

from obmen.cli.main import run as obmen
from obmen.store import connections, models, people

pytestmark = pytest.mark.django_db
NOW = timezone.now().replace(microsecond=0)
LATER = NOW + timedelta(minutes=5)


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = books.FAST_HASH


@pytest.fixture
def everybody() -> Iterator[books.People]:
    yield books.people()
    AccessAttempt.objects.all().delete()


@pytest.fixture
def key(everybody: books.People) -> str:
    """The operator's authenticator, set up five minutes ago."""
    made = people.new_key()
    assert (
        len(people.set_up(everybody.operator, made, people.code_at(made, NOW - timedelta(minutes=5)), NOW - timedelta(minutes=5)))
        == 10
    )
    return made


def password_step(client: Client, name: str = "operator", **more: str) -> Any:
    return client.post("/login/", {"username": name, "password": books.PASSWORD, **more})


def now_code(key: str, ahead: int = 0) -> str:
    return people.code_at(key, timezone.now() + timedelta(seconds=ahead))


def signed_in(client: Client) -> bool:
    return client.get("/").status_code == 200


def deeds() -> list[tuple[str, str]]:
    return list(models.JournalEntry.objects.order_by("pk").values_list("action", "who"))


# --- the code --------------------------------------------------------------------------------------------------------------


def test_an_authenticator_shows_what_every_other_one_would() -> None:
    """RFC 6238's own example, whose secret is the digits 1 to 0 twice."""
    key = b"12345678901234567890".hex()
    assert [people.code_at(key, datetime.fromtimestamp(t).astimezone()) for t in (59, 1111111109, 2000000000)] == [
        "287082",
        "081804",
        "279037",
    ]
    assert people.address(User(username="олена"), key) == (
        "otpauth://totp/Obmen%3A%D0%BE%D0%BB%D0%B5%D0%BD%D0%B0?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Obmen"
    )


@pytest.mark.parametrize(("shift", "right"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_clocks_may_differ_by_half_a_minute(everybody: books.People, key: str, shift: int, right: bool) -> None:
    code = people.code_at(key, LATER + timedelta(seconds=shift))
    assert people.check_code(everybody.operator, code, LATER).right is right


def test_a_code_is_taken_once_and_none_before_it(everybody: books.People, key: str) -> None:
    code, before = people.code_at(key, LATER), people.code_at(key, LATER - timedelta(seconds=30))
    assert people.check_code(everybody.operator, f" {code[:3]} {code[3:]} ", LATER).right
    assert not people.check_code(everybody.operator, code, LATER).right
    assert not people.check_code(everybody.operator, before, LATER + timedelta(seconds=1)).right


def test_after_each_wrong_code_the_next_is_looked_at_twice_as_late(everybody: books.People, key: str) -> None:
    at, waits = LATER, []
    for _n in range(5):
        assert people.check_code(everybody.operator, "000000", at) == people.Answer(False)
        waits.append(people.check_code(everybody.operator, people.code_at(key, at), at).wait)
        at += timedelta(seconds=waits[-1])
    assert waits == [1, 2, 4, 8, 16]
    assert people.check_code(everybody.operator, people.code_at(key, at), at).right
    assert models.SecondFactor.objects.get().failures == 0
    models.SecondFactor.objects.update(failures=40, failed=at)
    assert people.check_code(everybody.operator, "000000", at).wait == 900


def test_a_recovery_code_lets_in_once_and_new_ones_end_the_old(everybody: books.People, key: str) -> None:
    codes = people.new_codes(everybody.operator)
    assert len(set(codes)) == 10
    assert people.check_code(everybody.operator, codes[3], LATER) == people.Answer(True, left=9)
    assert not people.check_code(everybody.operator, codes[3], LATER).right
    fresh = people.new_codes(everybody.operator)
    assert not people.check_code(everybody.operator, codes[4], LATER + timedelta(hours=1)).right
    assert people.check_code(everybody.operator, fresh[0].replace(" ", ""), LATER + timedelta(hours=2)) == people.Answer(
        True, left=9
    )


def test_neither_the_secret_nor_a_recovery_code_stands_in_the_database(everybody: books.People, key: str) -> None:
    from django.db import connection

    codes = people.new_codes(everybody.operator)
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret, codes FROM store_secondfactor")
        kept = repr(cursor.fetchall())
    assert key not in kept
    assert people.typed(key).replace(" ", "") not in kept
    assert not [code for code in codes if code in kept or code.replace(" ", "") in kept]


# --- signing in ------------------------------------------------------------------------------------------------------------


def test_without_a_second_factor_the_password_is_enough(everybody: books.People) -> None:
    client = Client()
    assert password_step(client, next="/store/order/").url == "/store/order/"
    assert signed_in(client)


def test_the_code_is_asked_after_the_password_and_leads_where_one_wanted_to_go(everybody: books.People, key: str) -> None:
    client = Client()
    assert password_step(client, next="/store/order/").url == "/login/code/"
    assert "The password of operator is right" in client.get("/login/code/").content.decode()
    answer = client.post("/login/code/", {"code": now_code(key)})
    assert answer.url == "/store/order/"
    assert signed_in(client)
    assert client.session.session_key == models.SignIn.objects.get(user=everybody.operator).session_key


def test_between_the_password_and_the_code_no_page_is_reachable(everybody: books.People, key: str) -> None:
    client = Client()
    password_step(client)
    before = models.SecondFactor.objects.values().get()
    for address in ("/", "/account/", "/account/second-factor/off/", "/store/order/", "/auth/user/", "/password_change/"):
        assert client.get(address).url.startswith("/login/?next="), address
    assert client.post("/account/second-factor/new-codes/", {"code": now_code(key)}).url.startswith("/login/?next=")
    assert client.get("/login/set-up/").url == "/login/code/"
    assert models.SecondFactor.objects.values().get() == before
    assert everybody.operator.last_login is None
    assert not models.SignIn.objects.exists()


def test_who_has_not_given_the_password_is_sent_back_to_it(everybody: books.People, key: str) -> None:
    client = Client()
    assert client.post("/login/code/", {"code": now_code(key)}).url == "/login/"
    assert client.get("/login/set-up/").url == "/login/"
    assert not signed_in(client)


@pytest.mark.parametrize("what", ["ten minutes", "another password", "deactivated"])
def test_the_first_step_does_not_last(everybody: books.People, key: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    password_step(client)
    if what == "another password":
        everybody.operator.set_password("another-password-1")
        everybody.operator.save()
    elif what == "deactivated":
        User.objects.filter(username="operator").update(is_active=False)
    else:
        session = client.session
        session["signing_in"] = {**session["signing_in"], "at": session["signing_in"]["at"] - 601}
        session.save()
    assert client.post("/login/code/", {"code": now_code(key)}).url == "/login/"
    assert not signed_in(client)


def test_a_wrong_code_is_refused_and_the_next_needs_patience(everybody: books.People, key: str) -> None:
    client = Client()
    password_step(client)
    wrong = "000000" if now_code(key) != "000000" else "111111"
    assert "This code is not right" in client.post("/login/code/", {"code": wrong}).content.decode()
    models.SecondFactor.objects.update(failed=timezone.now() + timedelta(seconds=30))  # a time to come: still counting down
    assert "Too quick after a wrong code" in client.post("/login/code/", {"code": now_code(key)}).content.decode()
    assert not signed_in(client)
    assert AccessAttempt.objects.get().failures_since_start == 1


def test_five_wrong_codes_lock_the_login_also_for_the_right_password(everybody: books.People, key: str) -> None:
    client = Client()
    for n in range(5):
        if n:  # knowing the password does not start the count anew
            assert password_step(client).url == "/login/code/"
        else:
            password_step(client)
        models.SecondFactor.objects.update(failures=0, failed=None)
        answer = client.post("/login/code/", {"code": "abc"})
    assert answer.status_code == 429
    assert "Sign-in is locked" in answer.content.decode()
    models.SecondFactor.objects.update(failures=0, failed=None)
    assert client.post("/login/code/", {"code": now_code(key)}).status_code == 429
    assert password_step(Client()).status_code == 429
    assert not signed_in(client)


def test_a_right_code_forgives_the_wrong_ones_before(everybody: books.People, key: str) -> None:
    client = Client()
    password_step(client)
    client.post("/login/code/", {"code": "abc"})
    models.SecondFactor.objects.update(failures=0, failed=None)
    client.post("/login/code/", {"code": now_code(key)})
    assert signed_in(client)
    assert not AccessAttempt.objects.exists()


def test_a_recovery_code_signs_in_and_says_how_many_are_left(everybody: books.People, key: str) -> None:
    codes = people.new_codes(everybody.operator)
    client = Client()
    password_step(client)
    page = client.post("/login/code/", {"code": codes[0]}, follow=True).content.decode()
    assert "You came in with a recovery code; 9 are left." in page
    assert deeds()[-1] == ("factor.recovered", "operator")


def test_an_outside_system_calls_with_its_password_alone_whatever_people_need(everybody: books.People) -> None:
    import base64

    people.ask_of_roles(list(Role.objects.values_list("pk", flat=True)), "owner")
    one, password = books.door()
    assert one.account is not None
    basic = base64.b64encode(f"{one.account.username}:{password}".encode()).decode()
    answer = Client().get(f"/exchange/{one.slug}/?type=catalog&mode=checkauth", headers={"authorization": f"Basic {basic}"})
    assert answer.content.startswith(b"success")


# --- setting it up ---------------------------------------------------------------------------------------------------------


def shown_key(page: str) -> str:
    import base64

    found = re.search(r'id="o-key">([A-Z2-7 ]+)<', page)
    assert found
    return base64.b32decode(found[1].replace(" ", "")).hex()


def test_a_person_scans_confirms_and_sees_ten_codes_once(everybody: books.People) -> None:
    client = Client()
    password_step(client)
    page = client.get("/account/second-factor/").content.decode()
    assert "<svg" in page
    assert "http://" not in re.sub(r"http://www.w3.org/\S+", "", page.split("<svg")[-1])
    key = shown_key(page)
    wrong = client.post("/account/second-factor/", {"code": "abc"}).content.decode()
    assert "This code is not right" in wrong
    assert shown_key(wrong) == key
    assert not models.SecondFactor.objects.exists()
    page = client.post("/account/second-factor/", {"code": now_code(key)}, follow=True).content.decode()
    codes = re.findall(r'<li class="o-mono">(\d{5} \d{5})</li>', page)
    assert len(set(codes)) == 10
    again = client.get("/account/second-factor/codes/", follow=True).content.decode()
    assert "Recovery codes are shown once" in again
    assert codes[0] not in again
    assert models.SecondFactor.objects.get().user == everybody.operator
    assert deeds()[-1] == ("factor.on", "operator")
    other = Client()
    assert password_step(other).url == "/login/code/"
    other.post("/login/code/", {"code": codes[0]})
    assert signed_in(other)


def test_an_open_browser_alone_cannot_replace_or_remove_a_second_factor(everybody: books.People, key: str) -> None:
    client = Client()
    client.force_login(everybody.operator, backend="django.contrib.auth.backends.ModelBackend")
    before = models.SecondFactor.objects.values("secret", "codes").get()
    assert client.get("/account/second-factor/").url == "/account/"
    assert client.post("/account/second-factor/", {"code": now_code(key)}).url == "/account/"
    assert "This code is not right" in client.post("/account/second-factor/off/", {"code": "abc"}).content.decode()
    models.SecondFactor.objects.update(failures=0, failed=None)
    assert "This code is not right" in client.post("/account/second-factor/new-codes/", {"code": "abc"}).content.decode()
    assert models.SecondFactor.objects.values("secret", "codes").get() == before
    models.SecondFactor.objects.update(failures=0, failed=None)
    assert client.post("/account/second-factor/off/", {"code": now_code(key)}).url == "/account/"
    assert not models.SecondFactor.objects.exists()
    assert deeds()[-1] == ("factor.off", "operator")


def test_a_role_that_asks_for_it_makes_its_people_set_it_up_at_the_next_sign_in(everybody: books.People) -> None:
    people.ask_of_roles([Role.objects.get(name=connections.OPERATORS).pk], "owner")
    assert deeds() == [("role.changed", "owner")]
    for name in ("owner", "viewer", "admin"):
        assert password_step(Client(), name).url == "/"
    client = Client()
    assert password_step(client, next="/store/order/").url == "/login/set-up/"
    assert client.get("/").url.startswith("/login/?next=")
    key = shown_key(client.get("/login/set-up/").content.decode())
    assert "This code is not right" in client.post("/login/set-up/", {"code": "abc"}).content.decode()
    assert not signed_in(client)
    page = client.post("/login/set-up/", {"code": now_code(key)}, follow=True).content.decode()
    assert page.count('<li class="o-mono">') == 10
    assert 'href="/store/order/"' in page
    assert signed_in(client)
    assert password_step(Client()).url == "/login/code/"


def test_what_owners_need_superusers_need_too(everybody: books.People) -> None:
    people.ask_of_roles([Role.objects.get(name=connections.OWNERS).pk], "owner")
    assert password_step(Client(), "admin").url == "/login/set-up/"
    assert password_step(Client(), "operator").url == "/"


def test_switching_it_off_where_the_role_asks_for_it_leads_to_a_new_one(everybody: books.People, key: str) -> None:
    people.ask_of_roles([Role.objects.get(name=connections.OPERATORS).pk], "owner")
    client = Client()
    password_step(client)
    client.post("/login/code/", {"code": now_code(key)})
    models.SecondFactor.objects.update(last_step=-1)
    assert client.post("/account/second-factor/off/", {"code": now_code(key)}).url == "/account/second-factor/"
    assert password_step(Client()).url == "/login/set-up/"


# --- whoever is locked out -------------------------------------------------------------------------------------------------


def test_the_command_line_takes_a_second_factor_off(
    everybody: books.People, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert obmen(["user", "reset-second-factor", "nobody"]) == 3
    assert "nobody" in capsys.readouterr().err
    assert models.SecondFactor.objects.count() == 1
    assert obmen(["user", "reset-second-factor", "operator"]) == 0
    assert not models.SecondFactor.objects.exists()
    assert deeds()[-1] == ("factor.off", "cli")
    assert obmen(["user", "reset-second-factor", "operator"]) == 0
    assert "has no second factor" in capsys.readouterr().err
    assert password_step(Client()).url == "/"


def test_new_keys_encrypt_the_authenticators_too(everybody: books.People, key: str, tmp_path: Path, settings: Any) -> None:
    from obmen.store import secrets

    settings.OBMEN_HOME = tmp_path
    old = settings.OBMEN_KEYS
    (tmp_path / "keys").write_text("\n".join(old))
    try:
        assert obmen(["keys", "rotate", "--drop"]) == 0
        settings.OBMEN_KEYS = (tmp_path / "keys").read_text().split()
        assert not set(old) & set(secrets.keys())
        assert models.SecondFactor.objects.get().secret == {"key": key}
    finally:
        settings.OBMEN_KEYS = old


def test_sessions_that_ended_by_themselves_are_tidied_away(everybody: books.People) -> None:
    row = people.signed_in(everybody.operator, "a" * 32, "127.0.0.1", "Firefox")
    people.signed_in(everybody.operator, "b" * 32, "127.0.0.1", "Firefox")
    models.SignIn.objects.filter(pk=row.pk).update(seen=timezone.now() - timedelta(days=15))
    assert people.forget_old_sign_ins(timezone.now()) == 1
    assert [r.session_key for r in models.SignIn.objects.all()] == ["b" * 32]
