"""People: who is there, inviting, roles, where they are signed in; and that each change stands in the journal."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group as Role
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books

from obmen.store import connections, models, people

pytestmark = pytest.mark.django_db
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
PHONE = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Mobile Safari/537.36"


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = books.FAST_HASH


@pytest.fixture
def everybody() -> books.People:
    return books.people()


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def browser(name: str, device: str = FIREFOX, password: str = books.PASSWORD) -> Client:
    """Somebody who signs in by the page."""
    client = Client(headers={"user-agent": device})
    assert client.post("/login/", {"username": name, "password": password}).status_code == 302
    return client


def is_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def journal() -> list[tuple[str, str, dict[str, Any]]]:
    return list(models.JournalEntry.objects.order_by("pk").values_list("action", "who", "facts"))


def role(name: str) -> int:
    return Role.objects.get(name=name).pk


# --- the list --------------------------------------------------------------------------------------------------------------


def test_the_list_says_role_companies_second_factor_and_open_browsers(everybody: books.People, queries: Any) -> None:
    key = people.new_key()
    people.set_up(everybody.operator, key, people.code_at(key, timezone.now()))
    people.set_companies(everybody.viewer, ["Вокзал", "Аеропорт"], "owner")
    browser("operator"), browser("operator")  # the second step is missing: signed in nowhere
    browser("viewer"), browser("viewer", PHONE)
    client = as_user(everybody.owner)
    with queries() as asked:
        page = client.get("/auth/user/").content.decode()
    assert len(asked) <= 12
    rows = {}
    for row in re.findall(r"<tr.*?</tr>", page, re.S):
        cells = [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in re.findall(r"<t[dh].*?</t[dh]>", row, re.S)]
        if name := next((n for n in ("owner", "operator", "viewer", "admin") if n in cells), ""):
            rows[name] = cells[cells.index(name) + 1 :][:5]
    assert rows["viewer"] == ["Ірина Глядач", "Viewers", "Аеропорт, Вокзал", "off", "2 browsers"]
    assert rows["operator"] == ["Іван Оператор", "Exchange operators", "all", "on", "–"]
    assert rows["owner"][1:4] == ["Owners", "all", "off"]


# --- inviting --------------------------------------------------------------------------------------------------------------

ANNA = {"username": "anna", "first_name": "Анна", "email": "anna@example.com", "more_companies": "Вокзал; Аеропорт"}


def invitation(page: str) -> str:
    found = re.search(r'id="o-invitation">http://testserver(/invitation/[^<]+)<', page)
    assert found
    return found[1]


def test_an_invited_person_chooses_a_password_and_is_in_with_the_role(everybody: books.People) -> None:
    page = as_user(everybody.owner).post("/auth/user/invite/", {**ANNA, "role": role("Viewers")}).content.decode()
    anna = User.objects.get(username="anna")
    assert (anna.is_staff, anna.is_superuser, anna.has_usable_password()) == (True, False, False)
    assert [g.name for g in anna.groups.all()] == ["Viewers"]
    assert models.Person.objects.get(user=anna).companies == ["Аеропорт", "Вокзал"]
    guest, address = Client(), invitation(page)
    assert "You sign in here as anna" in guest.get(address).content.decode()
    assert guest.post(address, {"new_password1": "123", "new_password2": "123"}).status_code == 200
    assert not is_in(guest)
    good = {"new_password1": "long-enough-for-anna", "new_password2": "long-enough-for-anna"}
    assert guest.post(address, good).url == "/"
    assert is_in(guest)
    assert "This link is not good any more" in Client().get(address).content.decode()
    assert (
        Client().post(address, {"new_password1": "of-somebody-else-1", "new_password2": "of-somebody-else-1"}).status_code == 200
    )
    anna.refresh_from_db()
    assert anna.check_password("long-enough-for-anna")
    assert [(action, who) for action, who, _facts in journal()] == [
        ("person.added", "owner"),
        ("person.changed", "owner"),
        ("person.invited", "owner"),
        ("person.password", "anna"),
    ]


@pytest.mark.parametrize("what", ["four days", "deactivated", "another token", "another person"])
def test_an_invitation_that_is_not_good_changes_nothing(everybody: books.People, what: str, settings: Any) -> None:
    page = as_user(everybody.owner).post(f"/auth/user/{everybody.viewer.pk}/invite/").content.decode()
    address = invitation(page)
    if what == "four days":
        settings.PASSWORD_RESET_TIMEOUT = -1
    elif what == "deactivated":
        User.objects.filter(pk=everybody.viewer.pk).update(is_active=False)
    elif what == "another token":
        address = address[:-2] + ("1/" if address[-2] == "0" else "0/")
    else:
        owner = invitation(as_user(everybody.admin).post(f"/auth/user/{everybody.owner.pk}/invite/").content.decode())
        address = "/".join([*owner.split("/")[:3], address.split("/")[3], ""])
    guest = Client()
    answer = guest.post(address, {"new_password1": "long-enough-for-anna", "new_password2": "long-enough-for-anna"})
    assert "This link is not good any more" in answer.content.decode()
    assert not is_in(guest)
    for person in (everybody.viewer, everybody.owner):
        person.refresh_from_db()
        assert person.check_password(books.PASSWORD)


def test_an_invitation_does_not_go_round_the_second_factor(everybody: books.People) -> None:
    key = people.new_key()
    people.set_up(everybody.viewer, key, people.code_at(key, timezone.now()))
    address = invitation(as_user(everybody.owner).post(f"/auth/user/{everybody.viewer.pk}/invite/").content.decode())
    guest = Client()
    good = {"new_password1": "long-enough-for-anna", "new_password2": "long-enough-for-anna"}
    assert guest.post(address, good).url == "/login/code/"
    assert not is_in(guest)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"username": "Viewer"}, "There is already a person with this login."),
        ({"username": "two words"}, "Enter a valid username."),
        ({"role": ""}, "This field is required."),
    ],
)
def test_what_is_wrong_with_an_invitation_is_said_at_its_field(everybody: books.People, data: dict[str, str], said: str) -> None:
    answer = as_user(everybody.owner).post("/auth/user/invite/", {**ANNA, "role": role("Viewers"), **data})
    assert said in answer.content.decode()
    assert User.objects.count() == 4


def test_nobody_is_invited_to_the_role_of_machines(everybody: books.People) -> None:
    page = as_user(everybody.owner).get("/auth/user/invite/").content.decode()
    assert f'value="{role(connections.INTEGRATIONS)}"' not in page.split('id="o-invite"')[1]
    answer = as_user(everybody.owner).post("/auth/user/invite/", {**ANNA, "role": role(connections.INTEGRATIONS)})
    assert answer.status_code == 200
    assert not User.objects.filter(username="anna").exists()


POSTS = ("invite/", "second-factor/", "{viewer}/invite/", "{viewer}/second-factor/", "{viewer}/sign-out/")


@pytest.mark.parametrize("address", POSTS)
@pytest.mark.parametrize("name", ["operator", "viewer", "limited owner"])
def test_who_may_not_manage_people_is_refused_and_nothing_changes(everybody: books.People, address: str, name: str) -> None:
    key = people.new_key()
    people.set_up(everybody.viewer, key, people.code_at(key, timezone.now()))
    here = browser("admin")
    if name == "limited owner":
        people.set_companies(everybody.owner, ["Вокзал"], "admin")
    asking = as_user({"operator": everybody.operator, "viewer": everybody.viewer}.get(name, everybody.owner))
    before = (User.objects.count(), models.SecondFactor.objects.count(), models.RoleRule.objects.count(), journal())
    data = {**ANNA, "role": role("Viewers")}
    assert asking.post(f"/auth/user/{address.format(viewer=everybody.viewer.pk)}", data).status_code in (403, 404)
    assert (User.objects.count(), models.SecondFactor.objects.count(), models.RoleRule.objects.count(), journal()) == before
    assert is_in(here)


@pytest.mark.parametrize("address", POSTS[2:])
def test_an_owner_has_no_hold_over_a_superuser(everybody: books.People, address: str) -> None:
    here = browser("admin")
    key = people.new_key()
    people.set_up(everybody.admin, key, people.code_at(key, timezone.now()))
    before = journal()
    assert as_user(everybody.owner).post(f"/auth/user/{address.format(viewer=everybody.admin.pk)}").status_code == 403
    assert models.SecondFactor.objects.count() == 1
    assert is_in(here)
    assert journal() == before


# --- where one is signed in ------------------------------------------------------------------------------------------------


def test_a_person_sees_their_browsers_and_signs_one_out(everybody: books.People) -> None:
    here, phone, other = browser("viewer"), browser("viewer", PHONE), browser("operator")
    page = here.get("/account/").content.decode()
    assert [d in page for d in ("Firefox, Linux", "Chrome, Android", "127.0.0.1")] == [True, True, True]
    assert page.count("this browser") == 1
    row = models.SignIn.objects.get(user=everybody.viewer, device=PHONE)
    foreign = models.SignIn.objects.get(user=everybody.operator)
    assert here.post(f"/account/sign-ins/{foreign.pk}/end/").status_code == 404
    mine = models.SignIn.objects.get(user=everybody.viewer, device=FIREFOX)
    assert here.post(f"/account/sign-ins/{mine.pk}/end/").status_code == 404, "one's own browser has “Log out”"
    assert here.post(f"/account/sign-ins/{row.pk}/end/").status_code == 302
    assert [is_in(c) for c in (here, phone, other)] == [True, False, True]
    assert here.get("/account/").content.decode().count("this browser") == 1


def test_all_other_browsers_are_signed_out_at_once(everybody: books.People) -> None:
    here, others, stranger = browser("viewer"), [browser("viewer") for _n in range(3)], browser("operator")
    page = here.post("/account/sign-ins/end/", follow=True).content.decode()
    assert "3 other browsers are signed out." in page
    assert [is_in(c) for c in (here, *others, stranger)] == [True, False, False, False, True]


def test_sessions_that_are_older_than_the_rows_of_them_are_listed_and_ended_too(everybody: books.People) -> None:
    here, old, stranger = browser("viewer"), browser("viewer"), browser("operator")
    models.SignIn.objects.exclude(session_key=here.session.session_key).delete()  # as an update of the hub finds them
    page = here.get("/account/").content.decode()
    assert ("unknown device" in page, page.count("this browser")) == (True, 1)
    assert models.SignIn.objects.filter(user=everybody.viewer, device="").count() == 1
    models.SignIn.objects.exclude(session_key=here.session.session_key).delete()
    assert "1 other browser is signed out." in here.post("/account/sign-ins/end/", follow=True).content.decode()
    assert [is_in(c) for c in (here, old, stranger)] == [True, False, True]


def test_a_new_password_ends_the_other_browsers_and_keeps_this_one(everybody: books.People) -> None:
    here, other = browser("viewer"), browser("viewer")
    new = {"old_password": books.PASSWORD, "new_password1": "another-long-one-1", "new_password2": "another-long-one-1"}
    assert here.post("/password_change/", {**new, "old_password": "wrong"}).status_code == 200
    assert is_in(other)
    assert here.post("/password_change/", new).status_code == 302
    assert [is_in(c) for c in (here, other)] == [True, False]
    row = models.SignIn.objects.get()
    assert row.session_key == here.session.session_key
    assert journal() == [("person.password", "viewer", {"person": "viewer"})]


def test_an_owner_ends_somebodys_browsers_resets_their_password_and_deactivates_them(everybody: books.People) -> None:
    owner, page = as_user(everybody.owner), f"/auth/user/{everybody.viewer.pk}/"
    here = browser("viewer")
    assert "Firefox, Linux" in owner.get(f"{page}change/").content.decode()
    owner.post(f"{page}sign-out/")
    assert not is_in(here)
    here = browser("viewer")
    owner.post(f"{page}password/", {"password1": "Aa1-long-enough", "password2": "Aa1-long-enough"})
    assert not is_in(here)
    here = browser("viewer", password="Aa1-long-enough")
    data = {"username": "viewer", "first_name": "Ірина", "last_name": "Глядач", "is_staff": "on", "groups": [role("Viewers")]}
    assert owner.post(f"{page}change/", data).status_code == 302
    assert not is_in(here)
    assert not models.SignIn.objects.filter(user=everybody.viewer).exists()
    assert journal() == [
        ("person.signed_out", "owner", {"person": "viewer"}),
        ("person.password", "owner", {"person": "viewer"}),
        ("person.changed", "owner", {"person": "viewer", "changes": {"is_active": ["True", "False"]}}),
    ]


def test_signing_out_forgets_the_browser(everybody: books.People) -> None:
    here = browser("viewer")
    assert models.SignIn.objects.count() == 1
    here.post("/logout/")
    assert not is_in(here)
    assert not models.SignIn.objects.exists()


def test_a_browser_is_noted_as_used_once_a_minute_and_that_takes_one_query(everybody: books.People, queries: Any) -> None:
    from obmen.web import sign_in

    here = browser("viewer")
    row = models.SignIn.objects.get()
    here.get("/account/")
    with queries() as quiet:
        here.get("/account/")
    models.SignIn.objects.update(seen=timezone.now() - timedelta(minutes=2))
    sign_in._noted.clear()
    with queries() as noting:
        here.get("/account/")
    assert len(noting) == len(quiet) + 1
    assert timezone.now() - models.SignIn.objects.get(pk=row.pk).seen < timedelta(minutes=1)
    assert len(quiet) <= 12


# --- what stands in the journal --------------------------------------------------------------------------------------------


def test_roles_companies_and_names_are_noted_with_old_and_new(everybody: books.People) -> None:
    data = {
        "username": "viewer", "first_name": "Ірина", "last_name": "Глядач", "is_staff": "on", "is_active": "on",
        "groups": [role("Exchange operators")], "email": "iryna@example.com", "more_companies": "Вокзал",
    }  # fmt: skip
    owner = as_user(everybody.owner)
    for _again in range(2):
        assert owner.post(f"/auth/user/{everybody.viewer.pk}/change/", {**data, "companies": []}).status_code == 302
    assert journal() == [
        ("person.changed", "owner", {"person": "viewer", "changes": {
            "email": ["", "iryna@example.com"], "groups": ["Viewers", "Exchange operators"],
        }}),
        ("person.changed", "owner", {"person": "viewer", "changes": {"companies": ["", "Вокзал"]}}),
    ]  # fmt: skip
    page = owner.get("/store/journalentry/").content.decode()
    assert "Person viewer: " in page
    assert "Viewers → Exchange operators" in page


def test_the_page_of_a_person_takes_twelve_queries_and_reads_the_permissions_once(everybody: books.People, queries: Any) -> None:
    everybody.viewer.user_permissions.add(Permission.objects.get(codename="start_run"))
    admin = as_user(everybody.admin)
    admin.get(f"/auth/user/{everybody.viewer.pk}/change/")
    with queries() as asked:
        page = admin.get(f"/auth/user/{everybody.viewer.pk}/change/").content.decode()
    assert len(asked) <= 12, [q["sql"][:90] for q in asked]
    start = Permission.objects.get(codename="start_run").pk
    assert f'name="user_permissions" value="{start}" checked' in page


def test_permissions_and_members_of_a_role_are_noted(everybody: books.People) -> None:
    from obmen.web.people import permissions

    viewers = Role.objects.get(name="Viewers")
    keep = [p.pk for p in permissions() if p in viewers.permissions.all() and p.codename != "view_message"]
    start = permissions().get(codename="start_run").pk
    data = {"name": "Viewers", "permissions": [*keep, start], "chosen": [everybody.operator.pk]}
    assert as_user(everybody.admin).post(f"/auth/group/{viewers.pk}/change/", data).status_code == 302
    changes = {"permissions": ["view_message", "start_run"], "members": ["viewer", "operator"]}
    assert journal() == [("role.changed", "admin", {"role": "Viewers", "changes": changes})]
    as_user(everybody.admin).post(f"/auth/group/{viewers.pk}/delete/", {"post": "yes"})
    as_user(everybody.admin).post(f"/auth/user/{everybody.viewer.pk}/delete/", {"post": "yes"})
    assert [(a, f) for a, _w, f in journal()[1:]] == [
        ("role.removed", {"role": "Viewers"}),
        ("person.removed", {"person": "viewer"}),
    ]


def test_which_roles_need_a_second_factor_is_said_on_the_list_and_noted(everybody: books.People) -> None:
    owner = as_user(everybody.owner)
    page = owner.post("/auth/user/second-factor/", {"role": [role("Owners"), role("Viewers")]}, follow=True).content.decode()
    assert re.findall(r'name="role" value="(\d+)" checked', page) == [str(role("Owners")), str(role("Viewers"))]
    owner.post("/auth/user/second-factor/", {"role": [role("Owners")]})
    assert [(f["role"], f["changes"]["second_factor"]) for _a, _w, f in journal()] == [
        ("Owners", [False, True]),
        ("Viewers", [False, True]),
        ("Viewers", [True, False]),
    ]


def test_an_owner_takes_a_second_factor_off_after_a_question(everybody: books.People) -> None:
    key = people.new_key()
    people.set_up(everybody.viewer, key, people.code_at(key, timezone.now()))
    owner, address = as_user(everybody.owner), f"/auth/user/{everybody.viewer.pk}/second-factor/"
    assert "Take the second factor of viewer off?" in owner.get(address).content.decode()
    assert models.SecondFactor.objects.exists()
    owner.post(address, {"confirmed": "1"})
    assert not models.SecondFactor.objects.exists()
    assert journal()[-1] == ("factor.off", "owner", {"person": "viewer"})
    assert is_in(browser("viewer"))


def test_mappings_rules_and_references_are_noted_with_old_and_new(everybody: books.People) -> None:
    from obmen.store import mappings

    books.states()
    one, _password = books.door()
    models.Mapping.objects.create(connection=one, subject="order_state", theirs="N", ours="new")
    models.JournalEntry.objects.all().delete()
    owner = as_user(everybody.owner)
    mappings.decide(one, "order_state", "in", {"N": "paid", "S": "sent"}, "owner")
    rules = {"match_rules-TOTAL_FORMS": "1", "match_rules-INITIAL_FORMS": "0", "match_rules-0-kind": "counterparty"}
    one.match_rules.all().delete()
    more = {"match_rules-0-attribute": "phone", "match_rules-0-priority": "1"}
    assert owner.post(f"/store/connection/{one.pk}/rules/", {**rules, **more}).status_code == 302
    row = models.Reference.objects.get(key="done")
    for _again in range(2):
        said = {"subject": "order_state", "key": "x", "name": "Завершений", "position": row.position}
        assert owner.post(f"/store/reference/{row.pk}/change/", said).status_code == 302
    assert [(action, facts["changes"]) for action, _who, facts in journal()] == [
        ("mappings.changed", {"N": ["new", "paid"], "S": ["", "sent"]}),
        ("rules.changed", {"counterparty": ["", "phone"]}),
        ("reference.changed", {"name": ["Виконаний", "Завершений"]}),
    ]
    page = owner.get("/store/journalentry/").content.decode()
    for sentence in (
        "Mappings changed: N: new → paid; S: – → sent",
        "Match rules changed: counterparty: – → phone",
        "Order states “Завершений” changed: name: Виконаний → Завершений",
    ):
        assert sentence in page


@pytest.mark.parametrize(
    ("about", "shown"),
    [
        ("settings", ["connection.paused", "mappings.changed", "reference.added"]),
        ("people", ["factor.on", "person.changed"]),
        ("records", ["order-news"]),
    ],
)
def test_the_journal_is_filtered_by_what_its_lines_are_about(everybody: books.People, about: str, shown: list[str]) -> None:
    from obmen.store.journal import note

    note(None, "order-news", "1С", of=("order", 7))
    for action in ("connection.paused", "mappings.changed", "reference.added", "person.changed", "factor.on", "file.received"):
        note(None, action, "owner")
    page = as_user(everybody.owner).get("/store/journalentry/", {"about": about})
    assert sorted(e.action for e in page.context["cl"].result_list) == shown


def test_no_secret_stands_in_the_journal(everybody: books.People) -> None:
    one, password = books.door()
    owner = as_user(everybody.owner)
    new = {"password1": "Aa1-long-enough", "password2": "Aa1-long-enough"}
    assert owner.post(f"/auth/user/{everybody.viewer.pk}/password/", new).status_code == 302
    link = invitation(owner.post(f"/auth/user/{everybody.viewer.pk}/invite/").content.decode())
    key = people.new_key()
    codes = people.set_up(everybody.viewer, key, people.code_at(key, timezone.now()))
    said = repr(journal())
    assert "person.password" in said
    for secret in (password, "Aa1-long-enough", key, people.typed(key), link.split("/")[3], *codes):
        assert secret not in said
    assert one.name
