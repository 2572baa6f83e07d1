"""One product as it would go out, on the tab of goods: by what is typed there, saved or not (seed 000, F17)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books

from obmen.store import connections, models

pytestmark = pytest.mark.django_db
COFFEE = "Кава мелена «Ранкова» 250 г [КВ-250]"


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any, tmp_path: Path) -> None:
    settings.PASSWORD_HASHERS = books.FAST_HASH
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def shop() -> Any:
    rows = {"rows": [{"theirs": "name", "ours": "name"}]}
    one, _password = connections.create(
        "prom", "Prom", settings={"token": "t", "price_kind": "p-1", "attributes": json.dumps(rows)}
    )
    models.Connection.objects.filter(pk=one.pk).update(checked=timezone.now())
    return type("Shop", (), {"people": books.people(), "one": one, "products": books.goods(books.connection())})


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def look(shop: Any, user: User | None = None, tab: str = "products", **data: Any) -> Any:
    return as_user(user or shop.people.owner).post(f"/store/connection/{shop.one.pk}/tab/{tab}/look/", {"look": COFFEE, **data})


def lines(answer: Any) -> dict[str, str]:
    """{what: its row of the table}."""
    rows = answer.content.decode().split("<tr>")[2:]
    return {row.partition('o-looked-name">')[2].partition("<")[0]: row for row in rows}


def test_a_product_is_shown_as_it_would_go_out_with_where_each_value_comes_from(shop: Any, queries: Any) -> None:
    client = as_user(shop.people.owner)
    with queries() as asked:
        found = lines(client.post(f"/store/connection/{shop.one.pk}/tab/products/look/", {"look": COFFEE}))
    assert list(found) == ["stock", "price", "old price", "name"]
    assert ("123" in found["stock"], "189.5" in found["price"], "Роздрібна" in found["price"]) == (True, True, True)
    assert ("not told" in found["old price"], "the field “name” of the card" in found["name"]) == (True, True)
    assert len(asked) <= 24, "however many rows the table has"


def test_rows_that_are_typed_and_not_saved_count_at_once(shop: Any) -> None:
    typed = {
        "fields": ["attributes", "send_stock", "stock_reserve"],
        "s-attributes-was": "",
        "s-attributes": "",
        "s-attributes-theirs": ["Бренд", "Опис", "Країна"],
        "s-attributes-ours": ["", "", "Країна походження"],
        "s-attributes-conversion": ["", "", ""],
        "s-attributes-value": ["Ранок", "{name} ({article})", "Україна = UA"],
        "s-attributes-default": ["", "", ""],
        "s-send_stock": "on",
        "s-stock_reserve": "3",
    }
    found = lines(look(shop, **typed))
    assert "120" in found["stock"], "three are kept back"
    assert ("Ранок" in found["Бренд"], "a constant" in found["Бренд"]) == (True, True)
    assert "Кава мелена «Ранкова» 250 г (КВ-250)" in found["Опис"]
    assert ">UA<" in found["Країна"]
    assert json.loads(connections.settings_of(shop.one).attributes) == {"rows": [{"theirs": "name", "ours": "name"}]}, (
        "nothing is saved"
    )


def test_what_is_wrong_with_the_rows_is_said_instead(shop: Any) -> None:
    typed = {
        "fields": ["attributes"],
        "s-attributes-was": "",
        "s-attributes": "",
        "s-attributes-theirs": ["Бренд"],
        "s-attributes-ours": [""],
        "s-attributes-conversion": [""],
        "s-attributes-value": [""],
        "s-attributes-default": [""],
    }
    assert "name an attribute of ours" in look(shop, **typed).content.decode()


def test_every_variant_of_a_product_is_shown(shop: Any) -> None:
    text = look(shop, look="Футболка бавовняна").content.decode()
    assert (text.count("data-looked"), "Футболка бавовняна (S)" in text, "Футболка бавовняна (M)" in text) == (2, True, True)


def test_a_product_that_is_not_there_or_has_no_offers_is_said(shop: Any) -> None:
    models.Product.objects.create(key="bare", name="Без пропозиції")
    assert "There is no such product" in look(shop, look="Немає").content.decode()
    assert "has no offers" in look(shop, look="Без пропозиції").content.decode()
    assert look(shop, look="").content.decode().strip() == ""


def test_only_who_may_see_goods_looks_at_them_and_only_on_their_tab(shop: Any) -> None:
    person = User.objects.create_user("half", password=books.PASSWORD, is_staff=True)
    person.user_permissions.add(Permission.objects.get(codename="view_connection"))
    assert look(shop, person).status_code == 403
    assert look(shop, shop.people.viewer).status_code == 200
    assert look(shop, tab="orders").status_code == 404
    assert Client().post(f"/store/connection/{shop.one.pk}/tab/products/look/", {"look": COFFEE}).status_code == 302
    assert 'id="o-look"' not in as_user(person).get(f"/store/connection/{shop.one.pk}/tab/products/").content.decode()


def test_a_price_kind_that_the_books_do_not_have_is_refused_with_those_that_there_are(shop: Any) -> None:
    client, address = as_user(shop.people.owner), f"/store/connection/{shop.one.pk}/tab/products/"
    before = (models.Reference.objects.count(), models.Connection.objects.get(pk=shop.one.pk).settings)
    typed = {"fields": ["price_kind", "stock_reserve"], "s-price_kind": "Гурт", "s-stock_reserve": "3"}
    said = client.post(address, typed).content.decode()
    assert "The books have no price kind “Гурт”: choose one of Оптова, Роздрібна." in said
    assert (models.Reference.objects.count(), models.Connection.objects.get(pk=shop.one.pk).settings) == before
    assert client.post(address, {**typed, "s-price_kind": "Роздрібна"}).status_code == 302
    assert models.Connection.objects.get(pk=shop.one.pk).settings["stock_reserve"] == 3
