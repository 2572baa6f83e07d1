"""A parked record that fits several cards: both are shown, a person says which it is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books

import caller
from caller import World, order
from obmen.core.records import Counterparty, Subject
from obmen.store import connections, mappings, models
from obmen.store.mappings import MappingRow
from obmen.store.orders import save_counterparty
from obmen.work import jobs
from obmen.work import run as runs

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = books.FAST_HASH


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return caller.install(monkeypatch)


@pytest.fixture
def shop(world: World) -> Any:
    """An order whose buyer has the phone of two cards."""
    people = books.people()
    one, _password = connections.create("caller", "Shop", settings={"address": "shop", "api_key": "k"})
    mappings.save(one, Subject.ORDER_STATE, "in", [MappingRow("new", ours="Accepted")])
    cards = [
        save_counterparty(Counterparty(key, name, phone="+380501112233", email=f"{key}@example.com"), None, timezone.now())
        for key, name in (("c1", "Ганна Тест"), ("c2", "Анна Тестова"))
    ]
    other = books.connection("1С")
    books.link(other, "counterparty", "1c-77", cards[1].pk)
    world.change(order("138"))
    runs.execute_here(jobs.ask(one, ["orders-in"], trigger="person"))
    return type("Shop", (), {"people": people, "one": one, "cards": cards, "parked": one.parked.get()})


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def post(shop: Any, deed: str, **data: Any) -> Any:
    return as_user(shop.people.operator).post(f"/store/parked/{shop.parked.pk}/{deed}/", data)


def finish() -> models.Run:
    return runs.execute_here(models.Run.objects.get(state="waiting"))


def links(shop: Any) -> list[tuple[str, int]]:
    return list(shop.one.links.filter(kind="counterparty").values_list("external_id", "record_id"))


def test_both_cards_are_shown_with_what_tells_them_apart(shop: Any, queries: Any) -> None:
    client = as_user(shop.people.operator)
    with queries() as asked:
        text = client.get(f"/store/parked/{shop.parked.pk}/change/").content.decode()
    first, second = (text.partition(f'data-candidate="{c.pk}"')[2].partition("</tr>")[0] for c in shop.cards)
    assert ("Ганна Тест" in first, "c1@example.com" in first, "1c-77" in first) == (True, True, False)
    assert ("Анна Тестова" in second, "+380501112233" in second, "1c-77" in second) == (True, True, True)
    assert f"/store/counterparty/{shop.cards[0].pk}/change/" in first
    assert len(asked) <= 12


def test_it_is_this_one_links_the_card_and_puts_the_record_through(shop: Any) -> None:
    answer = post(shop, "join", card=shop.cards[1].pk)
    run = finish()
    assert answer["Location"] == f"/store/run/{run.pk}/change/"
    assert (run.state, shop.one.parked.count(), models.Counterparty.objects.count()) == ("done", 0, 2)
    assert links(shop) == [("customer:1", shop.cards[1].pk)]
    assert models.Order.objects.get().counterparty_id == shop.cards[1].pk
    card = as_user(shop.people.operator).get(f"/store/counterparty/{shop.cards[1].pk}/change/").content.decode()
    assert "Parked record customer:1: it is this card" in card


def test_it_is_a_new_one_makes_a_card_and_says_so_in_the_journal(shop: Any) -> None:
    post(shop, "new")
    run = finish()
    assert (run.counts, shop.one.parked.count()) == ({"created": 1}, 0)
    made = models.Counterparty.objects.exclude(pk__in=[c.pk for c in shop.cards]).get()
    assert links(shop) == [("customer:1", made.pk)]
    assert models.JournalEntry.objects.get(action="parked.new").who == "operator"


def test_a_card_that_this_connection_knows_by_another_id_is_asked_about_first(shop: Any) -> None:
    books.link(shop.one, "counterparty", "customer:9", shop.cards[0].pk)
    text = post(shop, "join", card=shop.cards[0].pk).content.decode()
    assert "the card is “customer:9” already. Is it “customer:1” instead?" in text
    assert f'name="card" value="{shop.cards[0].pk}"' in text
    assert links(shop) == [("customer:9", shop.cards[0].pk)]
    post(shop, "join", card=shop.cards[0].pk, confirmed="1")
    finish()
    assert (links(shop), shop.one.parked.count()) == ([("customer:1", shop.cards[0].pk)], 0)


def test_a_card_that_is_no_candidate_is_not_taken(shop: Any) -> None:
    stranger = save_counterparty(Counterparty("c3", "Хтось інший"), None, timezone.now())
    answer = as_user(shop.people.operator).post(f"/store/parked/{shop.parked.pk}/join/", {"card": stranger.pk}, follow=True)
    assert "none of those that fit" in answer.content.decode()
    assert (links(shop), models.Run.objects.filter(state="waiting").count()) == ([], 0)
    assert post(shop, "join", card="x").status_code == 404


def test_a_card_that_is_gone_meanwhile_cannot_be_chosen(shop: Any) -> None:
    shop.cards[0].delete()
    text = as_user(shop.people.operator).get(f"/store/parked/{shop.parked.pk}/change/").content.decode()
    assert (text.count("It is this one"), text.count("This card is there no more")) == (1, 1)


@pytest.mark.parametrize("deed", ["join", "new"])
def test_who_may_not_retry_or_not_see_the_cards_decides_nothing(shop: Any, deed: str) -> None:
    half = User.objects.create_user("half", password=books.PASSWORD, is_staff=True)
    half.user_permissions.add(*Permission.objects.filter(codename__in=("view_parked", "retry_parked")))
    for person in (shop.people.viewer, half):
        client = as_user(person)
        answer = client.post(f"/store/parked/{shop.parked.pk}/{deed}/", {"card": shop.cards[0].pk})
        assert answer.status_code == 403, person
        assert 'id="o-candidates"' not in client.get(f"/store/parked/{shop.parked.pk}/change/").content.decode()
    assert as_user(shop.people.owner).get(f"/store/parked/{shop.parked.pk}/{deed}/").status_code == 405
    assert (links(shop), models.JournalEntry.objects.filter(action__startswith="parked.").count()) == ([], 0)


def test_products_and_offers_are_chosen_alike(shop: Any) -> None:
    goods = books.goods(books.connection("2С"))
    offers = list(models.Offer.objects.filter(product=goods[4]).order_by("pk"))
    for kind, cards in (("product", goods[:2]), ("offer", offers)):
        facts = {"count": 2, "why": "article = КВ", "candidates": [c.pk for c in cards]}
        parked = books.parked(shop.one, f"their-{kind}", kind=kind, facts=facts)
        client = as_user(shop.people.operator)
        text = client.get(f"/store/parked/{parked.pk}/change/").content.decode()
        assert [text.count(f'data-candidate="{c.pk}"') for c in cards] == [1, 1]
        client.post(f"/store/parked/{parked.pk}/join/", {"card": cards[1].pk})
        assert shop.one.links.get(kind=kind).record_id == cards[1].pk


def test_goods_are_not_taken_from_a_card_on_sale_that_nobody_would_tell_they_are_sold_out(shop: Any) -> None:
    goods = books.goods(books.connection("2С"))
    offers = list(models.Offer.objects.filter(product=goods[4]).order_by("pk"))
    books.link(shop.one, "offer", "card-A", offers[0].pk)
    books.link(shop.one, "stock", "card-A", offers[0].pk)
    told = shop.one.links.filter(kind="stock")
    told.update(sent=b"0" * 16)
    facts = {"count": 2, "why": "article = КВ", "candidates": [o.pk for o in offers]}
    parked = books.parked(shop.one, "card-B", kind="offer", facts=facts)

    def join() -> str:
        data = {"card": offers[0].pk, "confirmed": "1"}
        client = as_user(shop.people.operator)
        return client.post(f"/store/parked/{parked.pk}/join/", data, follow=True).content.decode()

    assert "Archive or delete “card-A” over there" in join()
    linked = shop.one.links.filter(kind="offer")
    assert [(link.external_id, link.record_id) for link in linked] == [("card-A", offers[0].pk)]
    linked.update(gone=True)
    join()
    assert [(link.external_id, link.record_id, link.gone) for link in linked] == [("card-B", offers[0].pk, False)]


def test_goods_of_an_orders_line_are_chosen_on_the_page_of_the_order(shop: Any) -> None:
    goods = books.goods(books.connection("2С"))
    offers = list(models.Offer.objects.filter(product=goods[4]).order_by("pk"))
    facts = {"count": 2, "why": "article = ФБ-01", "candidates": [o.pk for o in offers], "site_id": "991", "number": "140"}
    parked = books.parked(shop.one, "140", kind="order", facts=facts)
    client = as_user(shop.people.operator)
    text = client.get(f"/store/parked/{parked.pk}/change/").content.decode()
    assert ("Футболка бавовняна (M)" in text, "It is a new one" in text) == (True, False)
    assert client.post(f"/store/parked/{parked.pk}/new/").status_code == 404
    client.post(f"/store/parked/{parked.pk}/join/", {"card": offers[1].pk})
    link = shop.one.links.get(kind="offer")
    assert (link.external_id, link.record_id) == ("991", offers[1].pk)
    assert models.Run.objects.get(state="waiting").args == {"parked": [parked.pk]}
