"""Cards of orders and goods: the time line, what each system knows, hold, sending again, whose word a field is."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books

import caller
from caller import World, order
from obmen.core.records import Kind, Subject
from obmen.store import connections, holding, mappings, models
from obmen.store.doors import DjangoDoorHost
from obmen.store.mappings import MappingRow
from obmen.store.orders import order_record, save_order
from obmen.work import jobs
from obmen.work import run as runs

pytestmark = pytest.mark.django_db
AT_MOST = 12  # queries of a page


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any, tmp_path: Path) -> None:
    settings.PASSWORD_HASHERS = books.FAST_HASH
    settings.MEDIA_ROOT = tmp_path
    settings.LANGUAGE_CODE = "en"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return caller.install(monkeypatch)


@pytest.fixture
def shop(world: World) -> Any:
    """An order that came from the shop and was offered to 1C and confirmed."""
    people = books.people()
    books.states()
    one, _password = connections.create("caller", "Shop", settings={"address": "shop", "api_key": "k"})
    mappings.save(one, Subject.ORDER_STATE, "in", [MappingRow("new", ours="new"), MappingRow("done", ours="sent")])
    mappings.save(one, Subject.ORDER_STATE, "out", [MappingRow("done", ours="sent")])
    door, _password = books.door("1C")
    world.change(order("138"))
    runs.execute_here(jobs.ask(one, ["orders-in"], trigger="person"))
    host = DjangoDoorHost(door, connections.settings_of(door), jobs.ask)
    session = host.open_session("clerk", {})
    host.offer(session, [(p.record_id, p.revision) for p in host.pending_orders()])
    host.confirm(session)
    found = models.Order.objects.get(key="138")
    return type("Shop", (), {"people": people, "one": one, "door": door, "host": host, "order": found, "world": world})


def as_user(user: User) -> Client:
    client = Client(headers={"accept-language": "en"})
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def card(shop: Any, user: User | None = None, **query: Any) -> str:
    answer = as_user(user or shop.people.operator).get(f"/store/order/{shop.order.pk}/change/", query)
    assert answer.status_code == 200
    return answer.content.decode()


def post(shop: Any, deed: str, user: User | None = None, **data: Any) -> str:
    client = as_user(user or shop.people.operator)
    return client.post(f"/store/order/{shop.order.pk}/{deed}/", data, follow=True).content.decode()


def told(html: str) -> list[str]:
    """The sentences of the time line, as they stand on the page."""
    line = html[html.index('id="history"') :]
    return [re.sub(r"<[^>]+>", "", text).strip() for text in re.findall(r"</time>\s*<div><div>(.*?)</div>", line, re.S)]


def runs_asked() -> list[tuple[str, str, str]]:
    rows = models.Run.objects.filter(state="waiting").order_by("id")
    return [(r.connection.name, r.streams, r.asked_by) for r in rows]


# --- time line -------------------------------------------------------------------------------------------------------------


def test_the_time_line_tells_the_way_across_systems_in_sentences(shop: Any) -> None:
    save_order(replace(order_record(shop.order), state="sent"), source=shop.door)
    runs.execute_here(jobs.ask(shop.one, ["orders-out"], trigger="person"))
    assert told(card(shop, line="oldest")) == [
        "Came from Shop",
        "Offered to 1C",
        "1C confirmed it",
        "1C set “Відправлений”",
        "Sent to Shop",
    ]
    assert told(card(shop))[0] == "Sent to Shop", "the newest stands first, unless one turns it round"


def test_a_reader_gets_the_time_line_in_their_language_and_without_what_people_did(shop: Any) -> None:
    shop.people.viewer.user_permissions.clear()
    html = card(shop, shop.people.viewer)
    assert told(html)[-1] == "Came from Shop"
    assert f"/store/run/{models.Run.objects.get().pk}/change/" in html


def test_an_order_from_before_there_were_steps_is_told_by_versions_and_the_journal(shop: Any) -> None:
    models.Order.objects.filter(pk=shop.order.pk).update(source=shop.one)
    models.JournalEntry.objects.create(
        action="order.delivered", connection=shop.door, record_kind="order", record_id=shop.order.pk, facts={"revision": 1}
    )
    models.Step.objects.all().delete()
    models.Run.objects.all().delete()
    lines = told(card(shop, line="oldest"))
    assert (lines[0], lines.count("Confirmed version 1 (session: )"), len(lines)) == ("Came from Shop", 0, 3)
    assert [text for text in lines if text.startswith("Confirmed version 1")] == lines[1:]


def test_why_it_could_not_be_sent_stands_in_the_time_line_and_beside_its_system(shop: Any) -> None:
    shop.world.refuse = "138C"
    save_order(replace(order_record(shop.order), state="sent"))
    runs.execute_here(jobs.ask(shop.one, ["orders-out"], trigger="person"))
    html = card(shop)
    assert told(html)[0] == "Could not be sent to Shop"
    assert html.count("Order 138C is refused") == 2
    assert f"/store/parked/{models.Parked.objects.get().pk}/change/" in html


def test_the_card_of_an_order_takes_few_queries_however_long_its_story_is(shop: Any, queries: Callable[[], Any]) -> None:
    for n in range(30):
        save_order(replace(order_record(models.Order.objects.get(pk=shop.order.pk)), comment=f"call {n}"), who="olena")
    client = as_user(shop.people.operator)
    address = f"/store/order/{shop.order.pk}/change/"
    client.get(address)
    with queries() as asked:
        assert client.get(address).status_code == 200
    assert len(asked) <= AT_MOST, [q["sql"][:90] for q in asked.captured_queries]


def test_the_cards_of_goods_take_few_queries_and_tell_which_run_brought_what(shop: Any, queries: Callable[[], Any]) -> None:
    product = books.goods(shop.door)[0]
    client = as_user(shop.people.operator)
    for address in (f"/store/product/{product.pk}/change/", f"/store/offer/{product.offers.get().pk}/change/"):
        client.get(address)
        with queries() as asked:
            html = client.get(address).content.decode()
        assert len(asked) <= AT_MOST, [q["sql"][:90] for q in asked.captured_queries]
    html = client.get(f"/store/product/{product.pk}/change/?line=oldest").content.decode()
    assert told(html) == ["Came from 1C", "1C changed it"]
    assert 'КВ-250 <span class="o-from"' in html
    assert "Роздрібна" in html
    assert "Основний склад" in html


# --- systems ---------------------------------------------------------------------------------------------------------------


def test_each_system_says_what_it_calls_the_order_and_where_its_page_is(shop: Any) -> None:
    crm, _password = connections.create("retailcrm", "CRM", settings={"server": "demo.retailcrm.example"})
    books.link(crm, "order", "5312", shop.order.pk)
    html = card(shop)
    assert 'href="https://demo.retailcrm.example/orders/5312/edit" target="_blank" rel="noopener noreferrer"' in html
    assert html.count("known there as") == 3


@pytest.mark.parametrize(
    ("what", "values", "kind", "external_id", "page"),
    [
        (
            "rozetka",
            {},
            Kind.ORDER,
            "831",
            "https://seller.rozetka.com.ua/main/orders/all?page=1&sort=-id&pageSize=50&id=831&types=1",
        ),
        ("rozetka", {}, Kind.OFFER, "38221768", "https://rozetka.com.ua/38221768/p38221768/"),
        ("rozetka", {}, Kind.ORDER, "draft", ""),
        ("prom", {}, Kind.OFFER, "77", "https://my.prom.ua/cms/product/edit/77"),
        (
            "retailcrm",
            {"server": "demo.retailcrm.example"},
            Kind.COUNTERPARTY,
            "57",
            "https://demo.retailcrm.example/customers/57",
        ),
        ("retailcrm", {"server": "demo.retailcrm.example"}, Kind.OFFER, "57", ""),
        (
            "commerceml_client:bitrix",
            {"address": "shop.example"},
            Kind.ORDER,
            "12",
            "https://shop.example/bitrix/admin/sale_order_view.php?ID=12",
        ),
        (
            "commerceml_client:woocommerce-1c",
            {"address": "http://shop.example/wc1c/exchange/"},
            Kind.ORDER,
            "5",
            "http://shop.example/wp-admin/post.php?post=5&action=edit",
        ),
        (
            "commerceml_client:cs-cart-commerceml",
            {"address": "shop.example", "order_page": "https://shop.example/secret.php?dispatch=orders.details&order_id={id}"},
            Kind.ORDER,
            "9",
            "https://shop.example/secret.php?dispatch=orders.details&order_id=9",
        ),
        ("commerceml_client:opencart-exchange1c", {"address": "shop.example"}, Kind.ORDER, "9", ""),
        ("commerceml_client:bitrix", {"address": "shop.example"}, Kind.ORDER, "wc1c#order#5", ""),
        ("commerceml_client:bitrix", {}, Kind.ORDER, "12", ""),
    ],
)
def test_a_connector_names_the_page_of_a_record_over_there(
    what: str, values: dict[str, str], kind: Kind, external_id: str, page: str
) -> None:
    key, _sep, profile = what.partition(":")
    one, _password = connections.create(key, "There", profile=profile, settings=values)
    assert connections.connector_of(one).page_of(kind, external_id) == page


def test_an_address_that_is_no_web_address_is_never_a_link(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller.Caller, "page_of", lambda self, kind, ident: "javascript:alert(1)", raising=False)
    assert "javascript:alert" not in card(shop)


# --- hold ------------------------------------------------------------------------------------------------------------------


def test_an_operator_holds_an_order_with_a_reason_that_everybody_reads(shop: Any) -> None:
    html = post(shop, "hold", reason="the buyer thinks")
    assert "The order is on hold." in html
    assert "This order is on hold: nothing of it is sent to anybody." in card(shop, shop.people.viewer)
    listed = as_user(shop.people.viewer).get("/store/order/?held__exact=1").content.decode()
    assert "operator: the buyer thinks" in listed
    assert "138C" not in as_user(shop.people.viewer).get("/store/order/?held__exact=0").content.decode()


def test_releasing_starts_what_we_send_ourselves_and_says_who_gets_it_later(shop: Any) -> None:
    holding.hold(shop.order, "", "olena")
    assert "It is on hold: nobody is told until it is released" in post(shop, "edit", state="sent", tracking="", comment="")
    html = post(shop, "release")
    assert runs_asked() == [("Shop", "orders-out,payments-out", "operator")]
    assert "It is being sent to: Shop." in html
    assert "It is sent with the next exchange with: 1C." in html


def test_a_viewer_can_neither_hold_nor_release_nor_send_again(shop: Any) -> None:
    before = models.JournalEntry.objects.count()
    for deed, data in (("hold", {}), ("release", {}), ("resend", {"to": shop.one.pk, "confirmed": 1})):
        answer = as_user(shop.people.viewer).post(f"/store/order/{shop.order.pk}/{deed}/", data)
        assert answer.status_code == 403
    shop.order.refresh_from_db()
    assert (shop.order.held, models.Outbox.objects.count(), models.JournalEntry.objects.count()) == (False, 0, before)
    html = card(shop, shop.people.viewer)
    assert "/hold/" not in html
    assert "/resend/" not in html


# --- once more -------------------------------------------------------------------------------------------------------------


def test_sending_again_asks_first_and_then_tells_the_ticked_systems_alone(shop: Any) -> None:
    asked = post(shop, "resend", to=str(shop.one.pk))
    assert "Send order 138C again to: Shop?" in asked
    assert not models.Outbox.objects.exists()
    assert "It is being sent to: Shop." in post(shop, "resend", to=str(shop.one.pk), confirmed="1")
    assert [(o.connection.name, o.again, o.revision) for o in models.Outbox.objects.all()] == [("Shop", True, 1)]
    assert runs_asked() == [("Shop", "orders-out,payments-out", "operator")]


def test_sending_again_to_nobody_says_what_to_do(shop: Any) -> None:
    assert "Tick at least one system" in post(shop, "resend")
    assert "Tick at least one system" in post(shop, "resend", to="999999", confirmed="1")
    assert not models.Outbox.objects.exists()


def test_an_order_on_hold_that_is_to_be_sent_again_waits(shop: Any) -> None:
    holding.hold(shop.order, "", "olena")
    html = post(shop, "resend", to=str(shop.one.pk), confirmed="1")
    assert "it is sent when it is released" in html
    assert (runs_asked(), models.Outbox.objects.count()) == ([], 1)


# --- fields ----------------------------------------------------------------------------------------------------------------


def test_a_tracking_number_is_entered_and_goes_out_like_any_change(shop: Any) -> None:
    post(shop, "edit", state="new", tracking="20450000000001", comment="")
    row = models.Order.objects.get(pk=shop.order.pk)
    assert (row.delivery["tracking"], row.revision) == ("20450000000001", 2)
    assert {o.connection.name for o in models.Outbox.objects.filter(kind=Kind.ORDER, revision=2)} == {"Shop", "1C"}
    assert 'value="20450000000001"' in card(shop)


def test_saving_the_form_as_it_is_changes_nothing(shop: Any) -> None:
    post(shop, "edit", state="new", tracking="", comment="")
    shop.order.refresh_from_db()
    assert (shop.order.revision, models.Outbox.objects.count()) == (1, 0)


def test_beside_each_field_stands_whose_word_it_is(shop: Any) -> None:
    post(shop, "edit", state="new", tracking="", comment="call first")
    save_order(replace(order_record(models.Order.objects.get(pk=shop.order.pk)), state="sent"), source=shop.door)
    html = card(shop)
    assert re.search(r"call first</span> <span class=\"o-from o-here\" title=\"[^\"]+\">edited here by operator</span>", html)
    assert re.search(r"Відправлений <span class=\"o-from\" title=\"[^\"]+\">from 1C</span>", html)
    assert re.search(r"Lines <span class=\"o-from\" title=\"[^\"]+\">from Shop</span>", html)


def ruled(html: str) -> dict[str, str]:
    """{what stands before the marks: whose word counts for it}."""
    found = re.findall(
        r'([^<>]+?)(?:</span>|</dd>|</h2>)? *(?:<span class="o-from[^"]*"[^>]*>[^<]*</span>)? *<span class="o-from o-rule">([^<]+)<',
        html,
    )
    return {name.strip(): rule for name, rule in found}


def test_beside_each_field_of_a_product_stands_whose_word_counts_for_it(shop: Any) -> None:
    product = books.goods(shop.door)[0]
    books.link(shop.one, "product", "9", product.pk)
    connections.update(
        shop.door, {"field_policy": {"product.description": "keep", "product.unit": "if_empty"}, "pictures": "append"}
    )
    client = as_user(shop.people.viewer)
    html = client.get(f"/store/product/{product.pk}/change/").content.decode()
    said = ruled(html)
    assert (said[product.article], said["шт"], said["Description"]) == (
        "decided by 1C",
        "filled by 1C while empty",
        "not taken from 1C",
    )
    assert "filled by … while empty</span> its word is taken only where nothing stands here" in html
    assert "wins a conflict" not in html, "the legend names what there is on this card"
    shop.door.streams.filter(stream="products-in").update(enabled=False)
    assert ruled(client.get(f"/store/product/{product.pk}/change/").content.decode()) == {}, "nobody is listened to"


def test_prices_and_stock_of_an_offer_have_a_ruling_of_their_own(shop: Any) -> None:
    offer = books.goods(shop.door)[0].offers.get()
    shop.door.streams.filter(stream="prices-in").update(enabled=False)
    connections.update(shop.door, {"import_mode": "new"})
    said = ruled(as_user(shop.people.viewer).get(f"/store/offer/{offer.pk}/change/").content.decode())
    assert (said["Prices"], said["Stock"], said[str(offer)]) == ("not taken from 1C", "set once by 1C", "set once by 1C")
    shop.door.streams.filter(stream="products-in").update(enabled=False)
    said = ruled(as_user(shop.people.viewer).get(f"/store/offer/{offer.pk}/change/").content.decode())
    assert said == {"Prices": "not taken from 1C", "Stock": "set once by 1C"}


def test_an_order_says_what_1c_decides_and_what_the_crm_shares(shop: Any) -> None:
    crm, _password = connections.create("retailcrm", "CRM", settings={"server": "demo.retailcrm.example", "conflicts": "ours"})
    books.link(crm, "order", "5312", shop.order.pk)
    connections.update(shop.door, {"take_lines": False})
    said = ruled(card(shop))
    assert said["Lines"] == "shared with CRM, ours wins a conflict; not taken from 1C"
    assert said["Новий"] == "decided by 1C; shared with CRM, ours wins a conflict"


def test_a_customer_says_whose_word_a_phone_is(shop: Any) -> None:
    buyer = models.Counterparty.objects.create(key="c-1", name="Марія", phone="+380501112233")
    crm, _password = connections.create(
        "retailcrm", "CRM", settings={"server": "demo.retailcrm.example", "customer_policy": "if_new"}
    )
    books.link(crm, "counterparty", "7", buyer.pk)
    said = ruled(as_user(shop.people.operator).get(f"/store/counterparty/{buyer.pk}/change/").content.decode())
    assert said["+380501112233"] == "set once by CRM"
    models.Link.objects.filter(connection=crm).update(gone=True)
    assert ruled(as_user(shop.people.operator).get(f"/store/counterparty/{buyer.pk}/change/").content.decode()) == {}


def test_an_old_change_of_which_nobody_knows_whose_it_was_claims_nothing(shop: Any) -> None:
    models.RecordChange.objects.create(
        record_kind="order", record_id=shop.order.pk, version=7, at=timezone.now(), changes={"comment": ["", "old"]}
    )
    html = card(shop)
    assert told(html)[0] == "Changed"
    assert "edited here by" not in html
