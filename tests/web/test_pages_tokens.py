"""Pages of API tokens: everybody makes and ends their own, owners see all and make those of machine accounts."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books

from obmen.store import connections, models, tokens

LIST, ADD = "/store/apitoken/", "/store/apitoken/add/"


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = books.FAST_HASH


@pytest.fixture
def people(db: Any) -> books.People:
    return books.people()


def signed_in(user: User) -> Client:
    client = Client(headers={"accept-language": "en"})
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def token_of(user: User, name: str = "robot") -> models.ApiToken:
    return tokens.make(user, name, ["orders.read"], days=None, who=user.username)[0]


def test_a_token_is_made_shown_once_and_works(people: books.People) -> None:
    client = signed_in(people.viewer)
    answer = client.post(ADD, {"name": "Reports", "scopes": ["orders.read", "goods.read"], "days": "90"})
    page = answer.content.decode()
    [secret] = set(re.findall(r"obmen_[A-Za-z0-9]{40}", page))
    assert "no-store" in answer["Cache-Control"]
    token = models.ApiToken.objects.get()
    assert (token.user, token.name, token.scopes, token.for_machine) == (
        people.viewer,
        "Reports",
        ["orders.read", "goods.read"],
        False,
    )
    assert 89 <= (token.expires - token.made).days <= 90
    assert Client(headers={"authorization": f"Bearer {secret}"}).get("/api/v1/orders").status_code == 200
    for address in (LIST, f"/store/apitoken/{token.pk}/change/"):
        later = client.get(address).content.decode()
        assert token.shown in later
        assert secret not in later


def test_a_token_without_a_name_or_scope_is_not_made(people: books.People) -> None:
    client = signed_in(people.operator)
    assert "Tick something." in client.post(ADD, {"name": "x", "days": "30"}).content.decode()
    assert "This field is required." in client.post(ADD, {"scopes": ["orders.read"]}).content.decode()
    client.post(ADD, {"name": "x", "scopes": ["everything"]})
    token_of(people.operator, "taken")
    assert "There is a token “taken” already" in client.post(ADD, {"name": "taken", "scopes": ["orders.read"]}).content.decode()
    assert models.ApiToken.objects.count() == 1


def test_people_see_and_end_their_own_tokens_only(people: books.People) -> None:
    mine, other = token_of(people.operator, "mine"), token_of(people.viewer, "other")
    client = signed_in(people.operator)
    page = client.get(LIST).content.decode()
    assert ("mine" in page, "other" in page) == (True, False)
    assert client.post(f"/store/apitoken/{other.pk}/revoke/").status_code == 404
    assert client.get(f"/store/apitoken/{other.pk}/change/").status_code == 302
    asked = client.get(f"/store/apitoken/{mine.pk}/revoke/").content.decode()
    assert "Revoke the token “mine”?" in asked
    assert models.ApiToken.objects.filter(revoked=None).count() == 2
    client.post(f"/store/apitoken/{mine.pk}/revoke/")
    assert list(models.ApiToken.objects.filter(revoked=None)) == [other]
    assert models.ApiToken.objects.get(pk=mine.pk).revoked_by == "operator"


def test_an_owner_sees_and_ends_everybodys_but_not_a_superusers(people: books.People) -> None:
    of_viewer, of_admin = token_of(people.viewer, "of viewer"), token_of(people.admin, "of admin")
    client = signed_in(people.owner)
    page = client.get(LIST).content.decode()
    assert ("of viewer" in page, "of admin" in page) == (True, True)
    client.post(f"/store/apitoken/{of_viewer.pk}/revoke/")
    assert client.post(f"/store/apitoken/{of_admin.pk}/revoke/").status_code == 403
    assert list(models.ApiToken.objects.filter(revoked=None)) == [of_admin]


def test_an_owner_makes_a_token_for_a_machine_account(people: books.People) -> None:
    robot = User.objects.create_user("robot")
    robot.groups.add(books.Role.objects.get(name=connections.VIEWERS))
    said = {"name": "Robot", "scopes": ["orders.read"], "days": "", "account": robot.pk}
    page = signed_in(people.owner).post(ADD, said).content.decode()
    token = models.ApiToken.objects.get()
    assert (token.user, token.for_machine, token.made_by, token.expires) == (robot, True, "owner", None)
    secret = re.findall(r"obmen_[A-Za-z0-9]{40}", page)[0]
    assert Client(headers={"authorization": f"Bearer {secret}"}).get("/api/v1/orders").status_code == 200


@pytest.mark.parametrize("whose", ["robot", "viewer", "admin"])
def test_who_is_no_owner_makes_a_token_for_nobody_else(people: books.People, whose: str) -> None:
    User.objects.create_user("robot")
    said = {"name": "x", "scopes": ["orders.read"], "account": User.objects.get(username=whose).pk}
    signed_in(people.operator).post(ADD, said)
    assert [t.user.username for t in models.ApiToken.objects.all()] == ["operator"]


@pytest.mark.parametrize("whose", ["viewer", "admin"])
def test_an_owner_makes_no_token_for_another_person(people: books.People, whose: str) -> None:
    said = {"name": "x", "scopes": ["orders.read"], "account": User.objects.get(username=whose).pk}
    signed_in(people.owner).post(ADD, said)
    assert models.ApiToken.objects.count() == 0


def test_a_scope_that_would_give_nothing_is_marked(people: books.People) -> None:
    page = signed_in(people.viewer).get(ADD).content.decode()
    marked = {
        m for m in tokens.SCOPES if re.search(rf"<code>{re.escape(m)}</code> <span class=\"o-mark\">you may not do this", page)
    }
    assert marked == {"exchange.run", "orders.write", "settings.write", "connections.write"}


def test_the_list_is_searched_filtered_and_quick(people: books.People, queries: Any) -> None:
    tokens.revoke(token_of(people.viewer, "old"), "viewer")
    for i in range(40):
        token_of(people.viewer, f"robot {i}")
    client = signed_in(people.owner)
    with queries() as asked:
        assert len(client.get(LIST).context["cl"].result_list) == 41
    assert len(asked) <= 12
    assert [t.name for t in client.get(LIST, {"q": "robot 17"}).context["cl"].result_list] == ["robot 17"]
    assert [t.name for t in client.get(LIST, {"works": "0"}).context["cl"].result_list] == ["old"]
    assert Client().get(LIST).status_code == 302


def test_an_owner_limited_to_a_company_has_no_say_in_the_tokens_of_others(people: books.People) -> None:
    machine = User.objects.create_user("robot")
    given, own = token_of(machine, "feed"), token_of(people.owner, "mine")
    models.Person.objects.create(user=people.owner, companies=["Alpha"])
    client = signed_in(people.owner)
    assert "machine account" not in client.get(ADD).content.decode()
    client.post(ADD, {"name": "Orders of all", "account": machine.pk, "scopes": ["orders.read"], "days": "90"})
    assert models.ApiToken.objects.filter(user=machine).get() == given
    page = client.get(LIST).content.decode()
    assert own.shown in page
    assert given.shown not in page
    assert client.post(f"/store/apitoken/{given.pk}/revoke/").status_code == 404
    given.refresh_from_db()
    assert given.revoked is None
