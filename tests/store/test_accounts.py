"""With whose login a system calls us (GM-1 … GM-4): an employee's or a machine account's."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User

from obmen.core.contract import NeedsOwner
from obmen.store import accounts, connections
from obmen.store.models import Connection, JournalEntry

pytestmark = pytest.mark.django_db


def employee(name: str = "moysklad@shop.example", *, may: bool = True, **changes: Any) -> User:
    person = User.objects.create_user(name, password="x", **{"is_staff": True, **changes})
    if may:
        person.user_permissions.add(Permission.objects.get(codename="import_commerceml"))
    return person


def door(name: str = "МойСклад") -> Connection:
    return connections.create("commerceml_door", name, profile="getmeback")[0]


def logins() -> set[str]:
    return set(User.objects.values_list("username", flat=True))


def test_an_employee_takes_the_place_of_the_machine_account() -> None:
    one, person = door(), employee()
    assert accounts.use(one, person, "owner") is None
    assert (one.account, logins()) == (person, {person.username})
    entry = JournalEntry.objects.get(action="connection.login")
    assert (entry.who, entry.facts) == ("owner", {"login": person.username})


def test_a_machine_account_is_made_again_and_the_employee_stays() -> None:
    one, person = door(), employee()
    accounts.use(one, person)
    password = accounts.use(one, None)
    assert password is not None
    assert one.account is not None
    assert one.account.check_password(password)
    assert (one.account.username, one.account.is_staff) == ("moisklad", False)
    assert logins() == {"moisklad", person.username}


def test_a_machine_account_that_is_asked_for_again_gets_a_new_password() -> None:
    one = door()
    password = accounts.use(one, None)
    assert password is not None
    assert one.account is not None
    assert one.account.check_password(password)
    assert logins() == {"moisklad"}


@pytest.mark.parametrize(
    "changes",
    [{"may": False}, {"is_staff": False}, {"is_superuser": True}, {"is_superuser": True, "may": False}, {"is_active": False}],
)
def test_who_lacks_the_permission_or_the_access_or_has_too_much_of_it_is_refused(changes: dict[str, Any]) -> None:
    one, person = door(), employee(**changes)
    with pytest.raises(NeedsOwner, match="cannot be used"):
        accounts.use(one, person)
    one.refresh_from_db()
    assert one.account is not None
    assert one.account.username == "moisklad"


def test_one_employee_may_serve_two_connections_and_outlives_both() -> None:
    first, second, person = door(), door("Другий склад"), employee()
    accounts.use(first, person)
    accounts.use(second, person)
    connections.remove(first)
    second.refresh_from_db()
    assert second.account == person
    connections.remove(second)
    assert logins() == {person.username}


def test_an_employee_whose_access_was_taken_away_is_still_no_machine_account() -> None:
    one, person = door(), employee()
    accounts.use(one, person)
    person.is_staff = False
    person.save()
    one.refresh_from_db()
    with pytest.raises(NeedsOwner, match="on their own page"):
        connections.new_password(one)
    accounts.use(one, None)
    assert logins() == {"moisklad", person.username}


def test_the_password_of_an_employee_is_not_the_connections_to_change() -> None:
    one, person = door(), employee()
    accounts.use(one, person)
    with pytest.raises(NeedsOwner, match="on their own page"):
        connections.new_password(one)
    person.refresh_from_db()
    assert person.check_password("x")


def test_a_system_that_we_call_has_no_login_here() -> None:
    one, _none = connections.create("retailcrm", "CRM")
    with pytest.raises(NeedsOwner, match="called by us"):
        accounts.use(one, employee())
    assert one.account is None
