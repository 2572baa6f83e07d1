"""Pages of a connection to a shop: what to know about it, and values of the books to be ticked."""

from __future__ import annotations

from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from obmen.connectors.commerceml_client.profiles import all_profiles
from obmen.core.records import Subject
from obmen.store import connections, models

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("ann", "", "x"))
    return client


def connect(profile: str, **settings: object) -> models.Connection:
    made = connections.create("commerceml_client", "Shop", profile=profile, settings=settings)[0]
    models.Connection.objects.filter(pk=made.pk).update(checked=timezone.now())
    return made


def ticked(*kinds: str) -> dict[str, object]:
    return {
        "fields": ["price_kinds", "price_names"],
        "s-price_kinds": list(kinds),
        "s-price_names-key": "",
        "s-price_names-value": "",
    }


@pytest.mark.parametrize("profile", list(all_profiles()))
def test_the_page_of_a_shop_tells_every_known_trap_with_its_remedy(profile: str, client: Client) -> None:
    made = connect(profile)
    page = unescape(client.get(f"/store/connection/{made.pk}/change/").content.decode())
    traps = all_profiles()[profile]["traps"]
    assert traps
    assert [trap for trap in traps if trap not in page] == []


def test_price_kinds_are_ticked_by_their_names_and_those_that_are_gone_stay_until_unticked(client: Client) -> None:
    """GM-15: a person chooses the price kind by its name."""
    for key, name in (("base", "Розничная"), ("buy", "Закупочная")):
        models.Reference.objects.create(subject=Subject.PRICE_KIND, key=key, name=name)
    made = connect("generic", price_kinds=["old"])
    page = client.get(f"/store/connection/{made.pk}/tab/prices/").content.decode()
    assert [word for word in ("Розничная", "Закупочная", 'value="old"') if word not in page] == []
    answer = client.post(f"/store/connection/{made.pk}/tab/prices/", ticked("base"))
    assert answer.status_code == 302
    made.refresh_from_db()
    assert connections.settings_of(made).price_kinds == ("base",)


def test_two_price_kinds_for_getmeback_are_refused_on_the_page(client: Client) -> None:
    """GM-15."""
    for key in ("base", "buy"):
        models.Reference.objects.create(subject=Subject.PRICE_KIND, key=key, name=key)
    made = connect("getmeback")
    answer = client.post(f"/store/connection/{made.pk}/tab/prices/", ticked("base", "buy"))
    assert (answer.status_code, "GetMeBack takes 1, here are 2" in answer.content.decode()) == (200, True)
    made.refresh_from_db()
    assert connections.settings_of(made).price_kinds == ()
