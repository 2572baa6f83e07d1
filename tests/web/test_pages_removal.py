"""What goes along with a person or a role that is removed is told in names that people know."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books

pytestmark = pytest.mark.django_db


def test_joins_of_people_roles_and_permissions_are_not_listed(settings: Any) -> None:
    settings.PASSWORD_HASHERS = books.FAST_HASH
    people = books.people()
    client = Client()
    client.force_login(people.admin, backend="django.contrib.auth.backends.ModelBackend")
    role = Group.objects.get(name="Viewers")
    for address, name in ((f"/auth/group/{role.pk}/delete/", "Viewers"), (f"/auth/user/{people.viewer.pk}/delete/", "viewer")):
        page = client.get(address).content.decode()
        assert (f">{name}</a>" in page, "relationship" in page, " object (" in page) == (True, False, False)
        client.post(address, {"post": "yes"})
    assert not Group.objects.filter(pk=role.pk).exists()
    assert not User.objects.filter(pk=people.viewer.pk).exists()
