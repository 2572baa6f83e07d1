"""Who may see and change what: every address that changes something is asked by people who may not, and nothing changes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group as Role
from django.contrib.auth.models import Permission, User
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books

from obmen.store import connections, feeds, models
from toy_connector import install_caller

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = books.FAST_HASH


@pytest.fixture
def shop(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    settings.MEDIA_ROOT = tmp_path
    people = books.people()
    one, password = books.door()
    products = books.goods(one)
    books.states()
    order = books.order()
    parked = books.parked(one)
    run = books.running_run(one)
    mapping = models.Mapping.objects.create(connection=one, subject="order_state", theirs="N", theirs_name="Новый")
    install_caller(monkeypatch)
    called, _password = connections.create("caller", "Магазин", settings={"server": "shop.example", "api_key": "right"})
    connections.check(called)
    feed = feeds.row(called, "goods.xml")
    message = models.Message.objects.create(connection=one, call="GET type=catalog&mode=init", answer="zip=yes")
    found = locals()
    return type(
        "Shop",
        (),
        {
            k: found[k]
            for k in ("people", "one", "password", "products", "order", "parked", "run", "mapping", "message", "called", "feed")
        },
    )


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def snapshot() -> dict[str, Any]:
    """Everything that a forbidden call might touch."""
    return {
        "connections": list(
            models.Connection.objects.values("name", "enabled", "settings", "account__password", "hook").order_by("pk")
        ),
        "feeds": list(models.Feed.objects.values("token")),
        "bookmarks": list(models.Bookmark.objects.values("stream", "value").order_by("pk")),
        "their lists": models.RemoteReference.objects.count(),
        "streams": list(models.StreamSetting.objects.values("stream", "enabled", "schedule").order_by("pk")),
        "rules": list(models.MatchRule.objects.values("kind", "attribute", "priority").order_by("pk")),
        "mappings": list(models.Mapping.objects.values("ours", "theirs").order_by("pk")),
        "orders": list(models.Order.objects.values("state", "comment", "revision").order_by("pk")),
        "references": list(models.Reference.objects.values("key", "name").order_by("pk")),
        "runs": list(models.Run.objects.values("state", "stop_asked", "trigger").order_by("pk")),
        "parked": models.Parked.objects.count(),
        "products": models.Product.objects.count(),
        "journal": models.JournalEntry.objects.count(),
        "users": list(User.objects.values("username", "is_staff", "is_superuser", "is_active").order_by("pk")),
        "permissions": list(Role.objects.values("name", "permissions").order_by("pk", "permissions")),
    }


POSTS: dict[str, Callable[[Any], tuple[str, dict[str, Any]]]] = {
    "add a connection": lambda s: (
        "/store/connection/add/",
        {"what": "commerceml_door:unf", "name": "x", "language": "uk", "time_zone": "Europe/Kyiv"},
    ),
    "rename": lambda s: (f"/store/connection/{s.one.pk}/about/", {"name": "x", "language": "uk", "time_zone": "Europe/Kyiv"}),
    "settings": lambda s: (f"/store/connection/{s.one.pk}/settings/", {"s-minimum_interval": "9"}),
    "rules": lambda s: (
        f"/store/connection/{s.one.pk}/rules/",
        {"match_rules-TOTAL_FORMS": "0", "match_rules-INITIAL_FORMS": "0"},
    ),
    "schedule": lambda s: (
        f"/store/connection/{s.one.pk}/schedule/",
        {f"s{row.pk}-schedule": "every 15 min" for row in s.one.streams.all()},
    ),
    "switch": lambda s: (f"/store/connection/{s.one.pk}/switch/", {"on": "0"}),
    "password": lambda s: (f"/store/connection/{s.one.pk}/password/", {}),
    "login": lambda s: (f"/store/connection/{s.one.pk}/login/", {"account": ""}),
    "remove": lambda s: (f"/store/connection/{s.one.pk}/remove/", {}),
    "start": lambda s: (f"/store/connection/{s.one.pk}/start/", {}),
    "check": lambda s: (f"/store/connection/{s.one.pk}/check/", {}),
    "mappings": lambda s: (
        f"/store/connection/{s.one.pk}/mappings/",
        {"tables": ["order_state-each"], "order_state-each.0.theirs": "N", "order_state-each.0.ours": "new"},
    ),
    "mappings from a file": lambda s: (
        f"/store/connection/{s.one.pk}/mappings/order_state-each/csv-in/",
        {"text": "their code;our value\nN;new\n", "confirmed": "1"},
    ),
    "a tab": lambda s: (f"/store/connection/{s.called.pk}/tab/settings/", {"fields": ["own"], "s-own": "on"}),
    "a table": lambda s: (
        f"/store/connection/{s.called.pk}/tab/people/",
        {"tables": ["manager-both"], "manager-both.0.theirs": "8491", "manager-both.0.decision": "1"},
    ),
    "a bookmark": lambda s: (f"/store/connection/{s.called.pk}/tab/main/", {"mark-orders-in": "7104"}),
    "load a list": lambda s: (f"/store/connection/{s.called.pk}/tab/people/manager-both/load/", {}),
    "start a list over": lambda s: (f"/store/connection/{s.called.pk}/tab/people/manager-both/again/", {"confirmed": "1"}),
    "a deed": lambda s: (f"/store/connection/{s.called.pk}/deed/", {"stream": "orders-in"}),
    "wake-up address": lambda s: (f"/store/connection/{s.called.pk}/hook/", {}),
    "address of a file": lambda s: (f"/store/connection/{s.called.pk}/feed/{s.feed.pk}/", {}),
    "settings to a file": lambda s: (f"/store/connection/{s.called.pk}/export/", {"passphrase": "x"}),
    "settings from a file": lambda s: (
        f"/store/connection/{s.called.pk}/restore/",
        {"text": 'format = "obmen-connection/1"\nconnector = "caller"\nname = "x"\n[settings]\nown = true\n', "confirmed": "1"},
    ),
    "stop a run": lambda s: (f"/store/run/{s.run.pk}/stop/", {}),
    "run again": lambda s: (f"/store/run/{s.run.pk}/again/", {}),
    "retry one": lambda s: (f"/store/parked/{s.parked.pk}/retry/", {}),
    "retry all": lambda s: ("/store/parked/retry-all/", {"confirmed": "1"}),
    "order": lambda s: (f"/store/order/{s.order.pk}/edit/", {"state": "sent", "comment": "x"}),
    "reference": lambda s: ("/store/reference/add/", {"subject": "order_state", "key": "x", "name": "x", "position": "1"}),
    "user": lambda s: (f"/auth/user/{s.people.viewer.pk}/change/", {"username": "viewer", "is_superuser": "on"}),
    "group": lambda s: (f"/auth/group/{Role.objects.get(name='Viewers').pk}/change/", {"name": "Owners of all"}),
    "delete a user": lambda s: (f"/auth/user/{s.people.owner.pk}/delete/", {"post": "yes"}),
}
OPERATOR_MAY = {
    "schedule", "start", "check", "mappings", "mappings from a file", "stop a run", "run again", "retry one", "retry all", "order",
    "a table", "load a list", "start a list over", "a deed",
}  # fmt: skip


@pytest.mark.parametrize("deed", POSTS)
def test_a_viewer_is_refused_and_nothing_changes(shop: Any, deed: str) -> None:
    address, data = POSTS[deed](shop)
    before = snapshot()
    assert as_user(shop.people.viewer).post(address, data).status_code == 403
    assert snapshot() == before


@pytest.mark.parametrize("deed", sorted(POSTS.keys() - OPERATOR_MAY))
def test_an_operator_is_refused_what_owners_do(shop: Any, deed: str) -> None:
    address, data = POSTS[deed](shop)
    before = snapshot()
    assert as_user(shop.people.operator).post(address, data).status_code == 403
    assert snapshot() == before


@pytest.mark.parametrize("deed", sorted(OPERATOR_MAY))
def test_an_operator_does_the_daily_work(shop: Any, deed: str) -> None:
    address, data = POSTS[deed](shop)
    assert as_user(shop.people.operator).post(address, data).status_code == 302


@pytest.mark.parametrize("deed", POSTS)
def test_a_stranger_is_sent_to_sign_in_and_nothing_changes(shop: Any, deed: str) -> None:
    address, data = POSTS[deed](shop)
    before = snapshot()
    answer = Client().post(address, data)
    assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, "/login/")
    assert snapshot() == before


@pytest.mark.parametrize("deed", POSTS)
def test_a_call_without_the_token_of_the_form_changes_nothing(shop: Any, deed: str) -> None:
    address, data = POSTS[deed](shop)
    before = snapshot()
    client = Client(enforce_csrf_checks=True)
    client.force_login(shop.people.admin, backend="django.contrib.auth.backends.ModelBackend")
    before = snapshot()
    assert client.post(address, data).status_code == 403
    assert snapshot() == before


LOOKED_AT = [
    "rename", "switch", "start", "check", "stop a run", "run again", "retry one", "order", "load a list", "a deed",
    "wake-up address", "address of a file", "settings to a file", "settings from a file",
]  # fmt: skip


@pytest.mark.parametrize("deed", LOOKED_AT)
def test_looking_at_an_address_that_does_something_does_nothing(shop: Any, deed: str) -> None:
    address, data = POSTS[deed](shop)
    before = snapshot()
    assert as_user(shop.people.admin).get(address, data).status_code == 405
    assert snapshot() == before


@pytest.mark.parametrize("deed", ["password", "login", "remove", "retry all", "start a list over"])
def test_looking_at_a_question_does_nothing(shop: Any, deed: str) -> None:
    address, _data = POSTS[deed](shop)
    before = snapshot()
    assert as_user(shop.people.admin).get(address).status_code == 200
    assert snapshot() == before


def test_a_machine_account_cannot_sign_in_to_pages(shop: Any) -> None:
    client = Client()
    answer = client.post("/login/", {"username": shop.one.account.username, "password": shop.password})
    assert answer.status_code == 200
    assert "_auth_user_id" not in client.session
    client.force_login(shop.one.account, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/").status_code == 302


def test_an_employee_without_a_role_sees_an_empty_overview_and_no_books(shop: Any) -> None:
    nobody = User.objects.create_user("nobody", password=books.PASSWORD, is_staff=True)
    client = as_user(nobody)
    page = client.get("/").content.decode()
    assert "1С: Торгівля" not in page
    for address in (
        "/store/product/",
        "/store/connection/",
        f"/store/product/{shop.products[0].pk}/change/",
        "/store/group/tree/",
    ):
        assert client.get(address).status_code == 403, address


def test_traffic_and_raw_input_need_their_own_permissions(shop: Any) -> None:
    person = User.objects.create_user("half", password=books.PASSWORD, is_staff=True)
    person.user_permissions.add(Permission.objects.get(codename="view_connection"))
    client = as_user(person)
    assert client.get(f"/store/connection/{shop.one.pk}/change/").status_code == 200
    assert client.get(f"/store/connection/{shop.one.pk}/traffic/").status_code == 403
    assert client.get(f"/store/parked/{shop.parked.pk}/raw/").status_code == 403
    assert client.get(f"/store/message/{shop.message.pk}/change/").status_code == 403


def test_a_picture_is_shown_to_people_who_may_see_products_only(shop: Any) -> None:
    picture = models.Picture.objects.first()
    answer = as_user(shop.people.viewer).get(f"/pictures/{picture.pk}/")
    assert (answer.status_code, answer["Content-Type"], b"".join(answer.streaming_content)) == (200, "image/png", books.PNG)
    assert Client().get(f"/pictures/{picture.pk}/").status_code == 302
    nobody = User.objects.create_user("nobody", password=books.PASSWORD, is_staff=True)
    assert as_user(nobody).get(f"/pictures/{picture.pk}/").status_code == 403


def test_a_picture_that_could_carry_a_script_is_only_downloaded(shop: Any) -> None:
    picture = models.Picture.objects.first()
    models.Picture.objects.filter(pk=picture.pk).update(path="evil.svg")
    answer = as_user(shop.people.viewer).get(f"/pictures/{picture.pk}/")
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment")
    default_storage.delete(picture.file)
    assert as_user(shop.people.viewer).get(f"/pictures/{picture.pk}/").status_code == 404


def test_a_kept_body_outside_the_data_folder_is_not_served(shop: Any) -> None:
    models.Message.objects.filter(pk=shop.message.pk).update(file="../../../../etc/hostname")
    assert as_user(shop.people.admin).get(f"/store/message/{shop.message.pk}/file/").status_code == 404


def test_an_owner_cannot_make_superusers_nor_touch_one(shop: Any) -> None:
    client = as_user(shop.people.owner)
    viewer = shop.people.viewer
    data = {"username": "viewer", "is_active": "on", "is_staff": "on", "is_superuser": "on", "user_permissions": "1"}
    assert client.post(f"/auth/user/{viewer.pk}/change/", data).status_code == 302
    viewer.refresh_from_db()
    assert (viewer.is_superuser, viewer.user_permissions.count()) == (False, 0)
    admin = shop.people.admin
    assert (
        client.post(
            f"/auth/user/{admin.pk}/password/", {"password1": "Aa1-long-enough", "password2": "Aa1-long-enough"}
        ).status_code
        == 403
    )
    assert client.post(f"/auth/user/{admin.pk}/delete/", {"post": "yes"}).status_code == 403
    admin.refresh_from_db()
    assert admin.check_password(books.PASSWORD)


def test_saving_a_group_keeps_permissions_that_the_page_does_not_show(shop: Any) -> None:
    owners = Role.objects.get(name="Owners")
    hidden = Permission.objects.get(codename="view_link")
    assert hidden in owners.permissions.all()
    answer = as_user(shop.people.admin).post(f"/auth/group/{owners.pk}/change/", {"name": "Owners", "permissions": []})
    assert answer.status_code == 302
    assert hidden in owners.permissions.all()
    assert not owners.permissions.filter(codename="change_connection").exists()


def test_an_owner_makes_no_superuser_a_member_and_takes_none_out(shop: Any) -> None:
    role, admin = Role.objects.get(name="Viewers"), shop.people.admin
    admin.groups.add(role)
    client = as_user(shop.people.owner)
    page = f"/auth/group/{role.pk}/change/"
    assert client.post(page, {"name": "Viewers", "chosen": [shop.people.operator.pk]}).status_code == 302
    assert {u.username for u in role.user_set.all()} == {"admin", "operator"}
    admin.groups.clear()
    assert client.post(page, {"name": "Viewers", "chosen": [admin.pk]}).status_code == 200, "no such choice"
    assert {u.username for u in role.user_set.all()} == {"operator"}


def test_members_are_chosen_by_those_who_may_change_users_only(shop: Any) -> None:
    role = Role.objects.get(name="Viewers")
    person = User.objects.create_user("half", password=books.PASSWORD, is_staff=True)
    person.user_permissions.add(
        *Permission.objects.filter(codename__in=("change_group", "view_group"), content_type__app_label="auth")
    )
    assert as_user(person).post(f"/auth/group/{role.pk}/change/", {"name": "V", "chosen": [person.pk]}).status_code == 302
    assert {u.username for u in role.user_set.all()} == {"viewer"}


def test_secrets_are_written_but_never_shown(shop: Any) -> None:
    connections.update(shop.one, {"path_token": "a-token-that-nobody-reads"})
    page = as_user(shop.people.admin).get(f"/store/connection/{shop.one.pk}/settings/").content.decode()
    assert "a-token-that-nobody-reads" not in page


def test_a_new_password_replaces_the_old_one_and_is_in_this_answer_only(shop: Any) -> None:
    client = as_user(shop.people.owner)
    answer = client.post(f"/store/connection/{shop.one.pk}/password/")
    account = User.objects.get(pk=shop.one.account.pk)
    assert not account.check_password(shop.password)
    assert "no-store" in answer["Cache-Control"]
    shown = answer.context["password"]
    assert account.check_password(shown)
    assert shown not in client.get(f"/store/connection/{shop.one.pk}/change/").content.decode()
    assert not models.JournalEntry.objects.filter(facts__icontains=shown).exists()


def test_unknown_addresses_are_not_found_instead_of_leading_to_the_sign_in(shop: Any) -> None:
    assert Client().get("/no/such/page.php").status_code == 404


def test_health_is_open_and_says_when_the_worker_is_silent() -> None:
    assert Client().get("/healthz").json()["ok"] is True
    one = books.connection("1C")
    long_ago = timezone.now() - timedelta(hours=1)
    models.Run.objects.create(connection=one, streams="products-in", unique_key="x", due=long_ago)
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.json()["worker"]) == (503, "silent")
