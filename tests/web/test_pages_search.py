"""The tab “Search” of a marketplace's connection: attributes with priorities for goods and for counterparties (F26); and where a
licence that ends is said."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "licence"))
import books
import publisher

from obmen.licence import licences, packages, statement
from obmen.store import connections, models

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = books.FAST_HASH


@pytest.fixture
def shop() -> Any:
    one, _password = connections.create("prom", "Prom", settings={"token": "t"})
    models.Connection.objects.filter(pk=one.pk).update(checked=timezone.now())
    models.MatchRule.objects.filter(connection=one).delete()
    return type("Shop", (), {"people": books.people(), "one": one})


def as_user(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def typed(**tables: list[tuple[str, str]]) -> dict[str, str]:
    data = {}
    for kind, rows in {"product": [], "counterparty": [], **tables}.items():
        data |= {f"rules-{kind}-TOTAL_FORMS": str(len(rows)), f"rules-{kind}-INITIAL_FORMS": "0"}
        for n, (attribute, priority) in enumerate(rows):
            data |= {f"rules-{kind}-{n}-attribute": attribute, f"rules-{kind}-{n}-priority": priority}
    return data


def save(shop: Any, user: Any = None, **tables: list[tuple[str, str]]) -> Any:
    client = as_user(user or shop.people.owner)
    return client.post(f"/store/connection/{shop.one.pk}/search/", typed(**tables), follow=True)


def kept(shop: Any) -> list[tuple[str, str, int]]:
    return list(shop.one.match_rules.values_list("kind", "attribute", "priority"))


def test_the_tab_search_stands_where_others_have_match_rules(shop: Any) -> None:
    text = as_user(shop.people.viewer).get(f"/store/connection/{shop.one.pk}/tab/search/").content.decode()
    assert ('data-rules="product"' in text, 'data-rules="counterparty"' in text) == (True, True)
    assert f"/store/connection/{shop.one.pk}/rules/" not in text
    assert "Save the search" not in text, "a viewer only looks"


def test_attributes_are_kept_by_priority_and_one_without_comes_last(shop: Any) -> None:
    save(shop, product=[("article", ""), ("barcode", "1"), ("", "")], counterparty=[("phone", "2"), ("email", "1")])
    assert kept(shop) == [
        ("counterparty", "email", 1),
        ("counterparty", "phone", 2),
        ("product", "barcode", 1),
        ("product", "article", 2),
    ]
    assert models.JournalEntry.objects.get(action="rules.changed").who == "owner"
    save(shop, product=[("", "1"), ("article", "2")], counterparty=[("phone", "2"), ("email", "1")])
    assert kept(shop) == [("counterparty", "email", 1), ("counterparty", "phone", 2), ("product", "article", 2)]


def test_saving_what_is_there_changes_nothing(shop: Any) -> None:
    save(shop, product=[("article", "1")])
    assert "Nothing was changed" in save(shop, product=[("article", "1")]).content.decode()
    assert models.JournalEntry.objects.filter(action="rules.changed").count() == 1


def test_an_attribute_that_stands_there_twice_is_refused_and_nothing_is_saved(shop: Any) -> None:
    text = save(shop, product=[("article", "1"), ("article", "2")], counterparty=[("phone", "1")]).content.decode()
    assert "Each attribute stands in the table once." in text
    assert kept(shop) == []


def test_who_may_not_change_rules_changes_none(shop: Any) -> None:
    assert save(shop, shop.people.viewer, product=[("article", "1")]).status_code == 403
    assert as_user(shop.people.owner).get(f"/store/connection/{shop.one.pk}/search/").status_code == 405
    assert kept(shop) == []


def test_a_licence_that_ends_is_said_on_the_first_page_and_on_the_connections(shop: Any, tmp_path: Path) -> None:
    packages.trust(publisher.LINE)
    row = packages.add(publisher.made(tmp_path, licence=True))[0]
    toys, _password = connections.create("toyshop", "Toys")
    until = timezone.localdate() + timedelta(days=3)
    terms = statement.Terms(format="toyshop", login="ann", until=until)
    licences.enter(row, "ann", statement.issue(publisher.KEY, terms))
    for person, link in ((shop.people.owner, True), (shop.people.viewer, False)):
        client = as_user(person)
        for page in ("/", f"/store/connection/{toys.pk}/change/"):
            text = client.get(page).content.decode()
            note = text.partition('<div class="o-note warning" data-licence>')[2].partition("</div>")[0]
            assert f"The licence of “Toy shop” ends on {until.isoformat()}" in note, page
            assert ("/store/formatpackage/" in note) is link
    assert "data-licence" not in as_user(shop.people.owner).get(f"/store/connection/{shop.one.pk}/change/").content.decode()
    packages.look_again()
