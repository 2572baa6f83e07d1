"""Runs of a connection that we call: orders in and out, payments, stock, feeds, with the other system at its worst."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.test import Client

import caller
from caller import Crash, World, order
from obmen.cli.common import sentence
from obmen.core.contract import NeedsOwner
from obmen.core.records import Counterparty, Kind, Payment, Subject
from obmen.store import bookmarks, connections, feeds, holding, joining, mappings, models
from obmen.store.mappings import MappingRow
from obmen.store.orders import order_record, save_counterparty, save_order
from obmen.store.words import say
from obmen.work import jobs
from obmen.work import run as runs

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return caller.install(monkeypatch)


@pytest.fixture
def shop(world: World) -> models.Connection:
    connection, _password = connections.create("caller", "Shop", settings={"address": "shop", "api_key": "k"})
    mappings.save(connection, Subject.ORDER_STATE, "in", [MappingRow("new", ours="Accepted"), MappingRow("done", ours="Done")])
    mappings.save(connection, Subject.ORDER_STATE, "out", [MappingRow("done", ours="Done")])
    return connection


def go(connection: models.Connection, *streams: str, **args: object) -> models.Run:
    run = jobs.ask(connection, streams or ("orders-in", "orders-out", "payments-out"), trigger="person", args=args)
    return runs.execute_here(run)


def the_order(key: str = "138") -> models.Order:
    return models.Order.objects.get(key=key)


# --- in --------------------------------------------------------------------------------------------------------------------


def test_orders_come_in_once_with_their_customers_and_the_bookmark_moves(world: World, shop: models.Connection) -> None:
    for key in ("138", "139", "140"):
        world.change(order(key))
    run = go(shop, "orders-in")
    assert (run.state, run.counts["created"]) == ("done", 4)
    assert [o.state for o in models.Order.objects.all()] == ["Accepted"] * 3
    assert models.Counterparty.objects.get().orders.count() == 3
    assert go(shop, "orders-in").counts == {}
    assert world.calls == ["read 0", "read 2"], "nothing new is not asked for again"


def test_a_run_that_brings_customers_and_orders_says_how_many_of_each(world: World, shop: models.Connection) -> None:
    for key in ("138", "139", "140"):
        world.change(order(key))
    run = go(shop, "orders-in")
    both = "Of the new and changed ones: customers: new 1, changed 0; orders: new 3, changed 0"
    plain = "New: 4, changed: 0, found: 0, unchanged: 1, left out: 0, set aside: 0"
    assert say(run.text, run.facts) == sentence(run.text, run.facts) == f"{plain}. {both}"
    world.change(order("141"))
    run = go(shop, "orders-in")
    assert say(run.text, run.facts).startswith("New: 1, changed: 0"), "orders alone need no second sentence"
    assert "Of the new" not in say(run.text, run.facts)


def test_their_news_changes_what_they_changed_and_leaves_what_we_changed(world: World, shop: models.Connection) -> None:
    first = world.change(order("138"))
    go(shop, "orders-in")
    save_order(replace(order_record(the_order()), comment="call first", warehouse="main"))
    world.change(replace(first, manager="boris"))
    go(shop, "orders-in")
    row = the_order()
    assert (row.manager, row.comment, row.warehouse, row.revision) == ("boris", "call first", "main", 3)


def test_a_conflict_is_told_in_the_journal(world: World, shop: models.Connection) -> None:
    first = world.change(order("138"))
    go(shop, "orders-in")
    save_order(replace(order_record(the_order()), manager="anna"))
    world.change(replace(first, manager="boris"))
    go(shop, "orders-in")
    entry = models.JournalEntry.objects.get(action="order-conflict")
    assert (the_order().manager, entry.facts["changes"]) == ("boris", [["manager", "anna", "boris"]])


def test_an_order_deleted_there_is_cancelled_here(world: World, shop: models.Connection) -> None:
    first = world.change(order("138"))
    go(shop, "orders-in")
    world.change(replace(first, deleted=True))
    go(shop, "orders-in")
    assert the_order().cancelled is True


def test_two_systems_may_use_one_id_for_different_orders(world: World, shop: models.Connection) -> None:
    save_order(order("138", number="own"))
    world.change(order("138"))
    go(shop, "orders-in")
    assert sorted(models.Order.objects.values_list("key", "number")) == [("138", "own"), ("138@shop", "138C")]


def test_an_undecided_state_parks_the_order_is_counted_and_mapping_it_frees_the_order(
    world: World, shop: models.Connection
) -> None:
    world.change(order("138", state="waiting"))
    world.change(order("139", state="waiting"))
    assert go(shop, "orders-in").counts["parked"] == 2
    row = shop.mappings.get(reported=True)
    assert (row.theirs, row.theirs_name, row.seen_count, row.ours) == ("waiting", "Waiting", 2, "")
    mappings.save(shop, Subject.ORDER_STATE, "in", [MappingRow("new", ours="Accepted"), MappingRow("waiting", ours="Waiting")])
    ids = mappings.freed(shop, Subject.ORDER_STATE)
    run = runs.execute_here(jobs.ask(shop, [runs.RETRY_PARKED], trigger="retry", args={"parked": ids}))
    assert (run.counts, the_order().state, shop.parked.count()) == ({"created": 2}, "Waiting", 0)


def test_a_state_that_a_person_leaves_out_is_counted_and_parks_nothing(world: World, shop: models.Connection) -> None:
    mappings.save(shop, Subject.ORDER_STATE, "in", [MappingRow("new", taken=False)])
    world.change(order("138"))
    run = go(shop, "orders-in")
    assert (run.counts["left_out"], models.Order.objects.count(), shop.parked.count()) == (1, 0, 0)


def test_one_order_is_loaded_by_its_id_although_it_has_not_changed_and_the_bookmark_stays(
    world: World, shop: models.Connection
) -> None:
    world.change(order("138"))
    go(shop, "orders-in")
    models.Order.objects.update(manager="gone")
    models.TheirCopy.objects.all().delete()
    before = shop.bookmarks.get(stream="orders-in").value
    assert go(shop, "orders-in", only=["138"]).counts["updated"] == 1
    assert (the_order().manager, shop.bookmarks.get(stream="orders-in").value) == ("", before)


def test_a_preview_changes_nothing(world: World, shop: models.Connection) -> None:
    world.change(order("138", state="waiting"))
    world.change(order("139"))
    run = go(shop, "orders-in", preview=True)
    assert (run.counts["created"], run.counts["parked"]) == (2, 1)
    assert not models.Order.objects.exists()
    assert not shop.parked.exists()
    assert not shop.bookmarks.exists()
    assert not shop.mappings.filter(reported=True).exists()


def test_a_busy_system_keeps_the_bookmark_and_the_run_comes_again(world: World, shop: models.Connection) -> None:
    world.change(order("138"))
    world.busy = True
    run = jobs.ask(shop, ["orders-in"], trigger="person")
    jobs.work_one("me", only=run.pk)
    run.refresh_from_db()
    assert (run.state, run.lines.get().text) == ("waiting", "It is busy")
    world.busy = False
    models.Run.objects.update(due="2026-01-01T00:00:00Z")
    jobs.work_one("me", only=run.pk)
    assert the_order().state == "Accepted"


def test_one_streams_trouble_does_not_keep_the_others(world: World, shop: models.Connection) -> None:
    world.change(order("138"))
    go(shop, "orders-in")
    save_order(replace(order_record(the_order()), state="Done"))
    world.busy = True
    world.news.append("138")
    run = jobs.ask(shop, ["orders-in", "orders-out"], trigger="person")
    jobs.work_one("me", only=run.pk)
    assert world.orders["138"].state == "done"


def test_a_message_that_is_said_again_is_counted(world: World, shop: models.Connection) -> None:
    world.change(order("138"))
    world.change(order("139", number="138C"))
    line = go(shop, "orders-in").lines.get()
    assert (line.text, line.facts, line.count) == ("Read {number}", {"number": "138C"}, 2)


# --- customers -------------------------------------------------------------------------------------------------------------


def test_a_customer_is_found_by_phone_and_only_what_is_empty_is_filled(world: World, shop: models.Connection) -> None:
    save_counterparty(Counterparty("c1", "Anna in 1C", phone="+380 50 111-22-33"), None, models.timezone.now())
    world.change(order("138"))
    go(shop, "orders-in")
    card = models.Counterparty.objects.get()
    assert (card.name, card.email, card.phone) == ("Anna in 1C", "anna@example.com", "+380 50 111-22-33")
    assert the_order().counterparty == card


def test_two_cards_that_fit_park_the_customer_and_not_the_order(world: World, shop: models.Connection) -> None:
    for key in ("c1", "c2"):
        save_counterparty(Counterparty(key, key, phone="+380501112233"), None, models.timezone.now())
    world.change(order("138"))
    go(shop, "orders-in")
    assert (shop.parked.get().kind, the_order().counterparty, the_order().buyer["name"]) == ("counterparty", None, "Anna Test")
    assert models.Counterparty.objects.count() == 2


def test_a_parked_order_whose_buyer_fits_two_cards_makes_no_third(world: World, shop: models.Connection) -> None:
    for key in ("c1", "c2"):
        save_counterparty(Counterparty(key, key, phone="+380501112233"), None, models.timezone.now())
    world.change(order("138", state="waiting"))
    go(shop, "orders-in")
    shop.parked.filter(kind="counterparty").delete()
    mappings.save(shop, Subject.ORDER_STATE, "in", [MappingRow("waiting", ours="Waiting")])
    runs.execute_here(jobs.ask(shop, [runs.RETRY_PARKED], trigger="retry", args={"parked": [p.pk for p in shop.parked.all()]}))
    assert (the_order().counterparty, models.Counterparty.objects.count()) == (None, 2)


# --- out -------------------------------------------------------------------------------------------------------------------


def test_a_change_of_ours_goes_out_and_does_not_come_back_as_news(world: World, shop: models.Connection) -> None:
    world.change(order("138"))
    go(shop)
    save_order(replace(order_record(the_order()), state="Done"))
    assert go(shop, "orders-out").counts == {"updated": 1}
    assert world.orders["138"].state == "done"
    assert go(shop).counts == {"unchanged": 2}
    assert not models.Outbox.objects.filter(connection=shop).exists()
    assert the_order().revision == 2


def test_orders_of_others_are_not_sent_unless_the_switch_is_on(world: World, shop: models.Connection) -> None:
    save_order(order("77"))
    assert go(shop, "orders-out").counts == {"unchanged": 1}
    assert world.orders == {}
    assert not models.Outbox.objects.filter(connection=shop).exists()
    connections.update(shop, {"own_orders": True})
    save_order(replace(order("77"), comment="later"))
    assert go(shop, "orders-out").counts == {"created": 1}
    assert [o.known_as for o in world.orders.values()] == ["77"]


def test_an_order_that_is_put_on_hold_while_others_are_sent_does_not_go_any_more(
    world: World, shop: models.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections.update(shop, {"own_orders": True})
    for key in ("71", "72", "73", "74"):
        save_order(order(key))
    write = caller.OrdersOut.write

    def meanwhile(self: caller.OrdersOut, changes: Any) -> Any:
        if not world.orders:
            holding.hold(the_order("73"), "the buyer calls back", "olena")
        return write(self, changes)

    monkeypatch.setattr(caller.OrdersOut, "write", meanwhile)
    run = go(shop, "orders-out")
    assert ([o.known_as for o in world.orders.values()], run.counts) == (["71", "72", "74"], {"created": 3})
    assert [row.record_id for row in models.Outbox.objects.filter(connection=shop)] == [the_order("73").pk]
    holding.release(the_order("73"), "olena")
    go(shop, "orders-out")
    assert [o.known_as for o in world.orders.values()] == ["71", "72", "74", "73"]


@pytest.mark.parametrize("first", ["orders-in", "orders-out"])
def test_a_lost_answer_makes_no_twin_on_either_side(world: World, shop: models.Connection, first: str) -> None:
    connections.update(shop, {"own_orders": True})
    save_order(order("77"))
    world.lose = 1
    run = jobs.ask(shop, ["orders-out"], trigger="person")
    with pytest.raises(Crash):
        jobs.work_one("me", only=run.pk)
    models.Run.objects.all().delete()
    go(shop, first)
    go(shop)
    go(shop)
    assert (len(world.orders), models.Order.objects.count()) == (1, 1)
    link = models.Link.objects.get(connection=shop, kind="order")
    assert (link.external_id, link.record_id) == (next(iter(world.orders)), models.Order.objects.get().pk)


def test_a_refused_order_is_parked_and_left_in_peace_until_it_changes(world: World, shop: models.Connection) -> None:
    for key in ("138", "139"):
        world.change(order(key))
    go(shop)
    for key in ("138", "139"):
        save_order(replace(order_record(the_order(key)), state="Done"))
    world.refuse = "138C"
    assert go(shop, "orders-out").counts == {"parked": 1, "updated": 1}
    assert shop.parked.get(direction="out").text == "Order {number} is refused"
    world.calls.clear()
    assert go(shop, "orders-out").counts == {}
    assert world.calls == []
    world.refuse = ""
    save_order(replace(order_record(the_order()), comment="corrected"))
    assert go(shop, "orders-out").counts == {"updated": 1}
    assert not shop.parked.exists()


def test_payments_of_ours_are_created_once_and_then_edited(world: World, shop: models.Connection) -> None:
    world.change(order("138"))
    go(shop)
    paid = replace(order_record(the_order()), payments=(Payment("kassa-1", Decimal(20)),))
    save_order(paid)
    assert go(shop, "payments-out").counts == {"created": 1}
    save_order(replace(paid, payments=(Payment("kassa-1", Decimal(20), paid=True),)))
    go(shop, "payments-out")
    assert world.payments == {"pay1": ("138", Payment("pay1", Decimal("20.0000"), paid=True))}
    assert [c for c in world.calls if c.startswith("pay")] == ["pay None", "pay pay1"]


def test_their_payment_is_ours_when_they_say_our_key_back(world: World, shop: models.Connection) -> None:
    first = world.change(order("138"))
    go(shop)
    save_order(replace(order_record(the_order()), payments=(Payment("kassa-1", Decimal(20)),)))
    world.change(replace(first, payments=(Payment("4326", Decimal(20), known_as="kassa-1", paid=True),)))
    go(shop, "orders-in")
    payment = models.Payment.objects.get()
    assert (payment.key, payment.paid) == ("kassa-1", True)
    assert models.Link.objects.get(kind=Kind.PAYMENT).external_id == "4326"


def test_a_payment_deleted_there_goes_here_and_takes_its_link_along(world: World, shop: models.Connection) -> None:
    first = world.change(order("138", payments=(Payment("4326", Decimal(20)),)))
    go(shop)
    assert models.Link.objects.filter(kind=Kind.PAYMENT).count() == 1
    world.change(first)
    world.change(replace(first, payments=()))
    go(shop)
    assert (models.Payment.objects.count(), models.Link.objects.filter(kind=Kind.PAYMENT).count()) == (0, 0)


# --- goods -----------------------------------------------------------------------------------------------------------------


def goods(count: int) -> None:
    house = models.Reference.objects.create(subject=Subject.WAREHOUSE, key="main", name="Main")
    for n in range(count):
        product = models.Product.objects.create(key=f"p{n}", name=f"Cup {n}")
        offer = models.Offer.objects.create(key=f"p{n}", product=product)
        models.StockLevel.objects.create(offer=offer, warehouse=house, quantity=Decimal(n))


def test_stock_goes_out_whole_and_then_only_what_changed(world: World, shop: models.Connection) -> None:
    goods(600)
    assert go(shop, "stock-out").counts == {"created": 600}
    assert [c for c in world.calls if c.startswith("stock")] == ["stock 250", "stock 250", "stock 100"]
    assert Decimal(world.stock["p0"]) == 0, "a stock of nothing is said, too"
    models.StockLevel.objects.filter(offer__key__in=["p3", "p599"]).update(quantity=7)
    world.calls.clear()
    assert go(shop, "stock-out").counts == {"unchanged": 598, "updated": 2}
    assert world.calls == ["stock 2"]
    assert Decimal(world.stock["p599"]) == 7


def test_a_send_says_how_far_it_is_over_all_streams_of_the_run(
    world: World, shop: models.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    goods(600)
    said: list[int] = []
    renew = jobs.Lease.renew

    def spy(lease: jobs.Lease, percent: int | None = None, counts: Mapping[str, int] | None = None) -> None:
        said.append(percent or 0)
        renew(lease, percent, counts)

    monkeypatch.setattr(jobs.Lease, "renew", spy)
    world.change(order("138"))
    go(shop, "orders-in", "stock-out")
    assert said == [0, 0, 91, 91, 100]  # customers, orders; then goods compared 500 at a time


def test_goods_of_the_chosen_groups_only_with_all_that_is_below_them() -> None:
    from obmen.core.contract import Choice
    from obmen.store.reading import Books

    top = models.Group.objects.create(key="top", name="Top")
    inner = models.Group.objects.create(key="inner", name="Inner", parent=top)
    models.Group.objects.create(key="other", name="Other")
    for n, group in enumerate((top, inner, None)):
        product = models.Product.objects.create(key=f"p{n}", name="x", group=group)
        models.Offer.objects.create(key=f"p{n}", product=product)
    assert [g.key for g in Books().goods(Choice(groups=("top",)))] == ["p0", "p1"]
    assert [(g.key, g.parent) for g in Books().groups(("top", "inner"))] == [("top", None), ("inner", "top")]
    assert [(g.key, g.parent) for g in Books().groups()] == [("other", None), ("top", None), ("inner", "top")]


@pytest.mark.parametrize("how", [{}, {"cards": False}, {"products": True}])
def test_only_picked_products_are_read_with_all_their_offers_and_still_by_the_chosen_groups(how: dict[str, bool]) -> None:
    from obmen.core.contract import Choice
    from obmen.store.reading import Books

    group = models.Group.objects.create(key="g", name="G")
    for n in range(4):
        product = models.Product.objects.create(key=f"p{n}", name="x", group=group if n < 3 else None, deleted=n == 2)
        for key in (f"p{n}#a", f"p{n}#b"):
            models.Offer.objects.create(key=key, product=product)
    picked = frozenset(models.Product.objects.exclude(key="p0").values_list("pk", flat=True))

    def read(**more: object) -> tuple[list[str], int]:
        choice = Choice(only=picked, **{**how, **more})
        return sorted({good.product.key for good in Books().goods(choice)}), Books().count(choice)

    each = 1 if how.get("products") else 2
    assert read() == (["p1", "p3"], 2 * each)
    assert read(groups=("g",)) == (["p1"], each)
    assert list(Books().goods(Choice(only=frozenset(), **how))) == []


def test_offers_are_found_by_code_article_key_and_barcode() -> None:
    from obmen.store.reading import Books

    cup = models.Product.objects.create(key="p1", name="Cup", code="0001", article="A-1", barcode="460")
    models.Offer.objects.create(key="p1", product=cup)
    models.Offer.objects.create(key="p1#red", product=cup, name="Cup, red", article="A-1R")
    models.Product.objects.create(key="p2", name="Bare", article="B-1")
    gone = models.Product.objects.create(key="p3", name="Gone", code="0003", deleted=True)
    models.Offer.objects.create(key="p3", product=gone)

    def found(attribute: str, *values: str) -> dict[str, list[str]]:
        return {value: [f.offer for f in its] for value, its in Books().offers_by(attribute, values).items()}

    assert found("code", "0001", "0003", "") == {"0001": ["p1"]}
    assert found("article", "A-1", "A-1R") == {"A-1": ["p1"], "A-1R": ["p1#red"]}
    assert found("key", "p1#red", "p2", "p9") == {"p1#red": ["p1#red"], "p2": ["p2"]}
    assert found("barcode", "460") == {"460": ["p1", "p1#red"]}


# --- feeds, hooks, checks --------------------------------------------------------------------------------------------------


def test_a_feed_is_served_at_its_secret_address_packed_and_with_a_tag(
    world: World, shop: models.Connection, client: Client
) -> None:
    goods(3)
    assert go(shop, "catalogue-out").counts == {"published": 1}
    feed = models.Feed.objects.get()
    path = feeds.path(feed)
    answer = client.get(path, headers={"Accept-Encoding": "gzip"})
    body = gzip.decompress(b"".join(answer))
    assert (body.count(b"<card>"), feed.counts, len(body)) == (3, {"offers": 3}, feed.size)
    assert client.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": answer["ETag"]}).status_code == 304
    assert b"".join(client.get(path)) == body
    assert client.get(path.replace(feed.token, "x" * 32)).status_code == 404
    feeds.new_token(feed)
    assert client.get(path).status_code == 404


def test_a_feed_in_which_nothing_changed_is_not_served_anew(world: World, shop: models.Connection) -> None:
    goods(3)
    go(shop, "catalogue-out")
    first = models.Feed.objects.get()
    assert go(shop, "catalogue-out").counts == {"unchanged": 1}
    again = models.Feed.objects.get()
    assert (again.file, again.made) == (first.file, first.made)
    models.Product.objects.filter(key="p1").update(name="Mug")
    assert go(shop, "catalogue-out").counts == {"published": 1}
    assert not default_storage.exists(first.file)


def test_a_feed_from_which_too_much_would_vanish_leaves_the_old_one_served(
    world: World, shop: models.Connection, client: Client
) -> None:
    goods(3)
    go(shop, "catalogue-out")
    models.Offer.objects.filter(key__in=["p0", "p1"]).update(deleted=True)
    run = go(shop, "catalogue-out")
    feed = models.Feed.objects.get()
    assert (run.state, feed.text, feed.facts) == ("needs_owner", "{gone} of {before} would vanish", {"gone": 2, "before": 3})
    assert b"".join(client.get(feeds.path(feed))).count(b"<card>") == 3


def test_a_feed_is_put_at_the_path_of_the_settings_as_well(world: World, shop: models.Connection, tmp_path: Path) -> None:
    goods(1)
    connections.update(shop, {"path": str(tmp_path / "out.xml")})
    go(shop, "catalogue-out")
    assert (tmp_path / "out.xml").read_bytes().count(b"<card>") == 1
    connections.update(shop, {"path": str(tmp_path / "nowhere" / "out.xml")})
    models.Product.objects.update(name="Mug")
    assert go(shop, "catalogue-out").state == "needs_owner"


def test_a_call_of_the_wake_up_address_asks_for_the_streams_once(world: World, shop: models.Connection, client: Client) -> None:
    path = connections.hook_path(shop)
    assert client.post(path, {"id": "138"}).status_code == 200
    assert client.get(path).status_code == 200
    assert Counter(models.Run.objects.values_list("streams", "trigger")) == {("orders-in", "door"): 1}
    assert client.post(f"/hooks/{shop.slug}/wrong/").status_code == 404
    connections.new_hook(shop)
    assert client.post(path).status_code == 404
    models.Connection.objects.update(enabled=False)
    assert client.post(connections.hook_path(models.Connection.objects.get())).status_code == 409


def test_a_passed_check_is_noted_and_taken_back_when_who_we_talk_to_changes(world: World, shop: models.Connection) -> None:
    assert connections.check(shop) == "connected to shop"
    shop.refresh_from_db()
    assert shop.check_text == "connected to shop"
    connections.update(shop, {"path": "x"})
    shop.refresh_from_db()
    assert shop.checked is not None
    connections.update(shop, {"address": "other", "api_key": "k"})
    shop.refresh_from_db()
    assert shop.checked is None
    connections.update(shop, {"api_key": ""})
    with pytest.raises(NeedsOwner):
        connections.check(models.Connection.objects.get())


def test_a_person_reads_and_sets_the_bookmark(world: World, shop: models.Connection) -> None:
    connector = connections.connector_of(shop, connections.hub_of(shop))
    assert bookmarks.words(shop, connector, "orders-in") == ""
    world.change(order("138"))
    world.change(order("139"))
    assert bookmarks.set_by_hand(shop, connector, "orders-in", "1", None, "ann") == "1"
    go(shop, "orders-in")
    assert [o.key for o in models.Order.objects.all()] == ["139"]
    with pytest.raises(NeedsOwner):
        bookmarks.set_by_hand(shop, connector, "orders-in", "soon", None, "ann")
    assert bookmarks.words(shop, connector, "orders-in") == "2"


# --- mappings --------------------------------------------------------------------------------------------------------------


def test_loading_their_values_again_keeps_what_was_mapped_and_marks_what_vanished(shop: models.Connection) -> None:
    from obmen.core.records import Reference

    subject = Subject.WAREHOUSE
    first = [Reference(subject, "a", "A"), Reference(subject, "b", "B")]
    assert mappings.refresh(shop, subject, first) == Counter(new=2)
    mappings.save(shop, subject, "both", [MappingRow("a", "A", "main", {"carrier": "post"}), MappingRow("b", "B")])
    again = [Reference(subject, "c", "C"), Reference(subject, "a", "A renamed")]
    assert mappings.refresh(shop, subject, again) == Counter(new=1, kept=1, gone=1)
    rows = {r.theirs: (r.theirs_name, r.ours, r.attributes, r.reported) for r in mappings.rows(shop, subject, "both")}
    assert rows == {
        "a": ("A renamed", "main", {"carrier": "post"}, False),
        "b": ("B", "", {}, False),
        "c": ("C", "", {}, True),
    }
    assert shop.remote_references.get(key="b").gone is True


def test_the_table_in_and_the_table_out_are_edited_apart(shop: models.Connection) -> None:
    subject = Subject.ORDER_STATE
    mappings.save(shop, subject, "out", [MappingRow("done", ours="Done"), MappingRow("done", ours="Closed")])
    assert mappings.save(shop, subject, "in", [MappingRow("new", ours="Accepted")]) == ["done"]
    hub = connections.hub_of(shop)
    assert [m.theirs for m in hub.outgoing(subject, "Closed")] == ["done"]
    assert hub.incoming(subject, "done") is None
    assert mappings.start_over(shop, subject, "in") == 1
    assert [(r.theirs, r.ours) for r in mappings.rows(shop, subject, "out")] == [("done", "Done"), ("done", "Closed")]


def test_mappings_with_their_columns_survive_a_journey_to_another_hub(shop: models.Connection, tmp_path: Path) -> None:
    mappings.save(
        shop, Subject.DELIVERY, "in", [MappingRow("np", "Nova", "Courier", {"carrier": "np"}), MappingRow("x", taken=False)]
    )
    file = tmp_path / "shop.toml"
    file.write_text(connections.export_toml(shop, "pass"), "utf-8")
    before = list(
        shop.mappings.order_by("pk").values_list("subject", "theirs", "ours", "attributes", "taken", "inbound", "outbound")
    )
    connections.remove(shop)
    again, made, _password = connections.apply_toml(file, "pass")
    columns = ("subject", "theirs", "ours", "attributes", "taken", "inbound", "outbound")
    assert made
    assert sorted(again.mappings.values_list(*columns), key=repr) == sorted(before, key=repr)
    assert connections.settings_of(again).api_key == "k"
    connections.apply_toml(file, "pass")
    assert again.mappings.count() == len(before)


# --- by hand ---------------------------------------------------------------------------------------------------------------


def results(run: models.Run) -> list[tuple[str, str, str]]:
    return [(r.name, r.outcome, r.text) for r in run.results.all()]


def test_picked_goods_alone_are_sent_also_when_nothing_changed(world: World, shop: models.Connection) -> None:
    goods(3)
    go(shop, "stock-out")
    world.calls.clear()
    world.stock.clear()
    one = models.Product.objects.get(key="p1")
    run = go(shop, "stock-out", goods=[one.pk], each=True)
    assert (run.counts, world.calls, list(world.stock)) == ({"updated": 1}, ["stock 1"], ["p1"])
    (row,) = run.results.all()
    assert (row.name, row.outcome, row.external_id, row.said) == (
        "Cup 1",
        "updated",
        "p1",
        '{"offer": "p1", "quantity": "1.000000"}',
    )
    assert go(shop, "stock-out").counts == {"unchanged": 3}, "the schedule has nothing to add"


def test_a_preview_of_picked_goods_tells_what_would_be_sent_and_sends_nothing(world: World, shop: models.Connection) -> None:
    goods(2)
    go(shop, "stock-out")
    world.calls.clear()
    one = models.Product.objects.get(key="p1")
    run = go(shop, "stock-out", goods=[one.pk], each=True, preview=True)
    assert (run.state, run.counts, world.calls) == ("done", {"would_write": 1}, [])
    (row,) = run.results.all()
    assert (row.name, row.outcome, row.said) == ("Cup 1", "would_write", '{"offer": "p1", "quantity": "1.000000"}')


def test_picked_goods_that_are_not_sent_say_why(world: World, shop: models.Connection) -> None:
    from obmen.work.exchange import MARKED, NOT_OF_THE_CHOICE

    goods(3)
    models.Product.objects.filter(key="p1").update(deleted=True)
    models.Product.objects.create(key="bare", name="Without an offer")
    run = go(shop, "stock-out", goods=list(models.Product.objects.values_list("pk", flat=True)), each=True)
    assert results(run) == [
        ("Cup 0", "created", ""),
        ("Cup 2", "created", ""),
        ("Cup 1", "left_out", MARKED),
        ("Without an offer", "left_out", NOT_OF_THE_CHOICE),
    ]


def test_a_paused_run_of_picked_goods_tells_none_of_them_twice(world: World, shop: models.Connection) -> None:
    goods(3)
    run = go(shop, "stock-out", goods=list(models.Product.objects.values_list("pk", flat=True)), each=True)
    models.Run.objects.filter(pk=run.pk).update(state="waiting", counts={})
    run.results.filter(name="Cup 2").delete()
    world.calls.clear()
    runs.execute_here(models.Run.objects.get(pk=run.pk))
    assert world.calls == ["stock 1"]
    assert [name for name, _outcome, _text in results(run)] == ["Cup 0", "Cup 1", "Cup 2"]


def test_a_refused_status_is_a_result_with_its_reason(world: World, shop: models.Connection) -> None:
    for key in ("138", "139"):
        world.change(order(key))
    go(shop, "orders-in")
    for row in models.Order.objects.all():
        save_order(replace(order_record(row), state="Done"))
    world.refuse = "139C"
    run = go(shop, "orders-out", each=True)
    assert sorted(results(run)) == [("138C", "updated", ""), ("139C", "parked", "Order {number} is refused")]
    assert go(shop, "orders-out").results.count() == 0, "only a run that is watched tells each record"


def test_what_was_refused_a_moment_ago_is_tried_again_at_once_when_a_person_asks(world: World, shop: models.Connection) -> None:
    world.change(order("138"))
    go(shop, "orders-in")
    save_order(replace(order_record(the_order()), state="Done"))
    world.refuse = "138C"
    go(shop, "orders-out")
    world.refuse = ""
    assert go(shop, "orders-out").counts == {}, "the schedule waits"
    assert go(shop, "orders-out", each=True).counts == {"updated": 1}
    assert (shop.parked.count(), world.orders["138"].state) == (0, "done")


def test_orders_are_read_from_a_moment_on_and_the_schedule_goes_on_where_it_was(world: World, shop: models.Connection) -> None:
    world.change(order("138"))
    go(shop, "orders-in")
    before = shop.bookmarks.get(stream="orders-in").value
    world.from_moment = 0
    world.change(order("139"))
    world.change(order("138", manager="boris"))
    run = go(shop, "orders-in", since="2026-11-01T00:00:00+02:00", each=True)
    assert sorted((r.name, r.outcome) for r in run.results.filter(kind="order")) == [("138C", "updated"), ("139C", "created")]
    assert (world.asked_from, shop.bookmarks.get(stream="orders-in").value) == ("2026-11-01T00:00:00+02:00", before)


# --- two candidates --------------------------------------------------------------------------------------------------------


def two_cards(world: World, shop: models.Connection) -> tuple[models.Parked, list[int]]:
    for key in ("c1", "c2"):
        save_counterparty(Counterparty(key, key, phone="+380501112233"), None, models.timezone.now())
    world.change(order("138"))
    go(shop, "orders-in")
    return shop.parked.get(), list(models.Counterparty.objects.order_by("pk").values_list("pk", flat=True))


def retry(shop: models.Connection, **args: object) -> models.Run:
    ids = [p.pk for p in shop.parked.all()]
    return runs.execute_here(jobs.ask(shop, [runs.RETRY_PARKED], trigger="retry", args={"parked": ids, **args}))


def test_a_person_says_which_of_two_cards_it_is_and_its_order_gets_the_buyer(world: World, shop: models.Connection) -> None:
    parked, (_first, second) = two_cards(world, shop)
    assert joining.candidates(parked) == [_first, second]
    joining.join(parked, second, "ann")
    assert the_order().counterparty_id == second
    retry(shop)
    assert (shop.parked.count(), models.Counterparty.objects.count()) == (0, 2)
    assert shop.links.get(kind="counterparty").record_id == second
    entry = models.JournalEntry.objects.get(action="parked.joined")
    assert (entry.who, entry.record_id, entry.facts["external_id"]) == ("ann", second, "customer:1")


def test_a_person_says_that_it_is_none_of_two_cards_and_a_new_one_is_made(world: World, shop: models.Connection) -> None:
    parked, cards = two_cards(world, shop)
    joining.make_new(parked, "ann")
    retry(shop, new=True)
    assert shop.parked.count() == 0
    made = models.Counterparty.objects.exclude(pk__in=cards).get()
    assert (made.name, the_order().counterparty_id) == ("Anna Test", made.pk)


def test_a_card_that_was_another_record_of_theirs_is_that_one_no_more(world: World, shop: models.Connection) -> None:
    parked, (first, _second) = two_cards(world, shop)
    shop.links.create(kind="counterparty", external_id="customer:9", record_id=first)
    assert joining.linked_as(parked, first) == "customer:9"
    joining.join(parked, first, "ann")
    assert list(shop.links.filter(kind="counterparty").values_list("external_id", "record_id")) == [("customer:1", first)]
    with pytest.raises(NeedsOwner):
        joining.join(parked, 999_999, "ann")
