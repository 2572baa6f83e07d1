"""Previews of any run, record by record; what a person decides on them; the limit of changes; a received file once more."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.files.storage import default_storage

import caller
from caller import World, order
from obmen.core.contract import NeedsOwner
from obmen.core.records import Subject
from obmen.store import connections, mappings, models, previews
from obmen.store.mappings import MappingRow
from obmen.store.orders import order_record, save_order
from obmen.work import deciding, jobs
from obmen.work import run as runs
from store.cml import catalogue, offer, offers, product, put

pytestmark = pytest.mark.django_db(transaction=True)

OF_THE_RUN_ITSELF = {"Run", "RunResult", "RunLine", "Message", "Tally"}


@pytest.fixture
def node() -> models.Connection:
    connection = connections.create("commerceml_door", "1C", profile="ut11")[0]
    limit(connection, 50)
    return connection


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return caller.install(monkeypatch)


@pytest.fixture
def shop(world: World, settings: Any, tmp_path: Path) -> models.Connection:
    settings.MEDIA_ROOT = tmp_path / "media"
    connection, _password = connections.create("caller", "Shop", settings={"address": "shop", "api_key": "k"})
    mappings.save(connection, Subject.ORDER_STATE, "in", [MappingRow("new", ours="Accepted"), MappingRow("done", ours="Done")])
    mappings.save(connection, Subject.ORDER_STATE, "out", [MappingRow("done", ours="Done")])
    return connection


def go(connection: models.Connection, *streams: str, **args: object) -> models.Run:
    return runs.execute_here(jobs.ask(connection, streams, trigger="person", args=args, key=repr((streams, args))))


def load(connection: models.Connection, folder: Path, **files: str) -> models.Run:
    return runs.load_folder(connection, put(folder, **files))


def look(connection: models.Connection, folder: Path, **files: str) -> models.Run:
    names = [str(f) for f in sorted(put(folder, **files).glob("*.xml"))]
    return go(connection, "folder-in", files=names, type="catalog", preview=True)


def found(run: models.Run) -> dict[str, tuple[str, Any]]:
    return {r.external_id: (r.outcome, r.changes) for r in run.results.filter(direction="in")}


def counts(run: models.Run) -> dict[str, int]:
    return {name: n for name, n in run.counts.items() if n}


def skip(preview: models.Run, *names: str) -> None:
    assert previews.skip(preview, preview.results.filter(name__in=names), True) == len(names)


def carry_out(preview: models.Run, who: str = "olena") -> models.Run:
    return runs.execute_here(deciding.ask_decided(preview, who))


def everything() -> Counter[str]:
    """Each row of each table of the hub, but those that tell of runs."""
    tables = [m for m in apps.get_app_config("store").get_models() if m.__name__ not in OF_THE_RUN_ITSELF]
    return Counter(f"{m.__name__} {sorted(row.items(), key=str)}" for m in tables for row in m._default_manager.values())


def goods(count: int) -> list[models.Product]:
    main = models.Reference.objects.create(subject="warehouse", key="main", name="Main")
    made = []
    for i in range(count):
        made.append(models.Product.objects.create(key=f"p{i}", name=f"Cup {i}"))
        card = models.Offer.objects.create(key=f"p{i}", product=made[-1])
        models.StockLevel.objects.create(offer=card, warehouse=main, quantity=Decimal(1))
    return made


# --- what a preview tells ---


def test_a_preview_tells_each_record_with_its_fields_old_and_new(node: models.Connection, tmp_path: Path) -> None:
    load(
        node,
        tmp_path,
        import0_1=catalogue(product("p1", "Стул", "A-1"), product("p2", "Стол"), product("p3")),
        offers0_1=offers(offer("p1", prices=[("retail", "100")], stock=[("main", "3")])),
    )
    mark = "<Статус>Удален</Статус>"
    before = everything()
    run = look(
        node,
        tmp_path,
        import0_1=catalogue(
            product("p1", "Крісло", "A-1"), product("p2", "Стол", more=mark), product("p3"), product("p4", "Шафа")
        ),
        offers0_1=offers(offer("p1", name="Крісло", prices=[("retail", "120.5")], stock=[("main", "3")]), offer("p4", "Шафа")),
    )
    assert run.state == "done", run.facts
    told = [(r.kind, r.name, r.outcome, r.changes) for r in run.results.order_by("id")]
    assert ("product", "Крісло", "updated", {"name": ["Стул", "Крісло"]}) in told
    assert ("product", "Стол", "deleted", {"deleted": [False, True]}) in told
    assert ("offer", "Крісло", "updated", {"name": ["Стул", "Крісло"], "price retail": ["100", "120.5"]}) in told
    fresh = next(row for row in told if row[:3] == ("product", "Шафа", "created"))
    assert (fresh[3]["name"], fresh[3]["unit"]) == ([None, "Шафа"], [None, "шт"])
    assert [row[2] for row in told if row[:2] == ("offer", "Шафа")] == ["created"], "its product would have come before it"
    assert counts(run) == {"created": 2, "updated": 3, "unchanged": 3}
    assert everything() == before


def test_variants_tell_their_products_fields_too(node: models.Connection, tmp_path: Path) -> None:
    load(node, tmp_path, import0_1=catalogue(product("p1#a", "Футболка (S)"), product("p1#b", "Футболка (M)")))
    run = look(node, tmp_path, import0_1=catalogue(product("p1#a", "Майка (S)"), product("p1#b", "Футболка (M)")))
    outcome, changes = found(run)["p1#a"]
    assert (outcome, changes["name"]) == ("updated", ["Футболка (S)", "Майка (S)"])
    assert any(name.startswith("product.") for name in changes), changes
    assert "p1#b" not in found(run)


def test_a_preview_of_orders_tells_what_would_change_in_the_books(world: World, shop: models.Connection) -> None:
    first = world.change(order("138"))
    go(shop, "orders-in")
    world.change(replace(first, manager="boris", comment="leave at the door"))
    world.change(order("139"))
    world.change(order("140", state="waiting"))
    before = everything()
    run = go(shop, "orders-in", preview=True)
    told = found(run)
    assert told["138"] == ("updated", {"manager": ["", "boris"], "comment": ["", "leave at the door"]})
    assert (told["139"][0], told["139"][1]["number"], told["139"][1]["state"]) == ("created", [None, "139C"], [None, "Accepted"])
    parked = run.results.get(external_id="140")
    assert (parked.outcome, parked.text, parked.facts["value"]) == ("parked", "State {value} is not mapped", "waiting")
    assert everything() == before


def test_a_preview_of_sending_tells_orders_beside_their_copy_and_calls_nobody(world: World, shop: models.Connection) -> None:
    world.change(order("138"))
    go(shop, "orders-in")
    save_order(replace(order_record(models.Order.objects.get()), state="Done"))
    world.calls.clear()
    before = everything()
    run = go(shop, "orders-out", preview=True)
    (row,) = run.results.all()
    assert (row.outcome, row.compared, row.changes) == ("would_write", "copy", {"state": ["Accepted", "Done"]})
    assert row.said == '{"state": "Done", "number": "138C"}'
    assert (counts(run), run.text, world.calls, everything() == before) == ({"would_write": 1}, runs.PREVIEWED_OUT, [], True)


def test_goods_are_shown_beside_what_was_sent_last_where_that_is_known(world: World, shop: models.Connection) -> None:
    goods(2)
    whole = go(shop, "stock-out", preview=True)
    assert [(r.compared, r.changes) for r in whole.results.order_by("id")] == [
        ("", {"offer": [None, "p0"], "quantity": [None, "1.000000"]}),
        ("", {"offer": [None, "p1"], "quantity": [None, "1.000000"]}),
    ]
    go(shop, "stock-out", each=True)
    models.StockLevel.objects.filter(offer__key="p1").update(quantity=Decimal(7))
    models.Offer.objects.filter(key="p1").update(version=2)
    world.calls.clear()
    (row,) = go(shop, "stock-out", preview=True).results.all()
    assert (row.compared, row.changes, world.calls) == ("sent", {"quantity": ["1.000000", "7.000000"]}, [])
    go(shop, "stock-out")  # by itself: nobody keeps what was sent
    models.StockLevel.objects.filter(offer__key="p1").update(quantity=Decimal(8))
    (row,) = go(shop, "stock-out", preview=True).results.all()
    assert (row.compared, row.changes["quantity"]) == ("", [None, "8.000000"]), "an older word is not taken for the last one"


def test_a_preview_of_a_file_counts_and_says_what_would_be_refused(world: World, shop: models.Connection) -> None:
    goods(4)
    go(shop, "catalogue-out")
    served = shop.feeds.get()
    models.Product.objects.filter(key__in=["p0", "p1", "p2"]).update(deleted=True)
    before, files = everything(), default_storage.listdir("feeds")
    run = go(shop, "catalogue-out", preview=True)
    (row,) = run.results.all()
    assert (row.name, row.outcome, row.changes["offers"]) == ("cards.xml", "parked", [4, 1])
    assert (row.text, row.facts) == ("{gone} of {before} would vanish", {"gone": 3, "before": 4})
    assert (everything() == before, default_storage.listdir("feeds")) == (True, files)
    served.refresh_from_db()
    assert served.counts == {"offers": 4}


def test_a_preview_keeps_so_many_records_and_its_counts_are_exact(
    node: models.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "KEPT", 3)
    run = look(node, tmp_path, import0_1=catalogue(*(product(f"p{i}") for i in range(5))))
    assert (run.results.count(), run.counts["created"], run.facts["more"]) == (3, 5, 2)


def test_a_preview_that_a_lost_worker_left_half_done_tells_nothing_twice(node: models.Connection, tmp_path: Path) -> None:
    run = look(node, tmp_path, import0_1=catalogue(product("p1")))
    models.Run.objects.filter(pk=run.pk).update(state="waiting")
    assert runs.execute_here(models.Run.objects.get(pk=run.pk)).results.count() == 1


# --- accept or skip ---


def test_what_was_skipped_stays_out_and_is_parked_with_who_did_it(node: models.Connection, tmp_path: Path) -> None:
    load(node, tmp_path, import0_1=catalogue(product("p1", "Стул"), product("p2", "Стол")))
    preview = look(node, tmp_path, import0_1=catalogue(product("p1", "Крісло"), product("p2", "Парта"), product("p3", "Шафа")))
    skip(preview, "Парта", "Шафа")
    run = carry_out(preview)
    assert (run.state, counts(run)) == ("done", {"updated": 1, "skipped": 2})
    assert (run.text, run.facts["who"], run.facts["run"]) == (runs.DECIDED, "olena", preview.pk)
    assert list(models.Product.objects.order_by("key").values_list("name", flat=True)) == ["Крісло", "Стол"]
    parked = models.Parked.objects.order_by("external_id")
    assert [(p.external_id, p.text, p.facts) for p in parked] == [
        (key, previews.WAS_SKIPPED, {"who": "olena", "run": preview.pk}) for key in ("p2", "p3")
    ]
    assert deciding.ask_decided(preview, "another").pk == run.pk, "it is done once"
    assert previews.skip(preview, preview.results.all(), True) == 0, "what was decided stays"
    retried = go(node, runs.RETRY_PARKED, parked=None)
    assert (counts(retried), models.Parked.objects.count()) == ({"created": 1, "updated": 1}, 0)
    assert models.Product.objects.filter(name__in=["Парта", "Шафа"]).count() == 2


def test_a_skipped_record_is_taken_when_it_comes_again(node: models.Connection, tmp_path: Path) -> None:
    file = catalogue(product("p1", "Крісло"))
    load(node, tmp_path, import0_1=catalogue(product("p1", "Стул")))
    preview = look(node, tmp_path, import0_1=file)
    skip(preview, "Крісло")
    carry_out(preview)
    assert models.Product.objects.get().name == "Стул"
    assert counts(load(node, tmp_path, import0_1=file)) == {"updated": 1}
    assert (models.Product.objects.get().name, models.Parked.objects.count()) == ("Крісло", 0)


def test_a_skipped_order_does_not_vanish_behind_the_bookmark(world: World, shop: models.Connection) -> None:
    world.change(order("138"))
    world.change(order("139"))
    preview = go(shop, "orders-in", preview=True)
    skip(preview, "139C")
    run = carry_out(preview)
    assert counts(run) == {"created": 2, "skipped": 1}  # the customer and an order
    assert [o.key for o in models.Order.objects.all()] == ["138"]
    assert shop.bookmarks.get(stream="orders-in").value == {"at": 2}
    assert counts(go(shop, "orders-in")) == {}, "they do not tell it again"
    assert counts(go(shop, runs.RETRY_PARKED, parked=[shop.parked.get().pk])) == {"created": 1}
    assert models.Order.objects.filter(key="139").exists()


def test_what_has_changed_since_the_preview_is_parked_and_what_came_later_is_taken(world: World, shop: models.Connection) -> None:
    first, second = world.change(order("138")), world.change(order("139"))
    go(shop, "orders-in")
    world.change(replace(first, manager="boris"))
    world.change(replace(second, manager="boris"))
    preview = go(shop, "orders-in", preview=True)
    world.change(replace(first, manager="dmytro"))
    world.change(order("141"))
    run = carry_out(preview)
    assert {o.key: o.manager for o in models.Order.objects.all()} == {"138": "", "139": "boris", "141": ""}
    assert (shop.parked.get().external_id, shop.parked.get().text) == ("138", previews.HAS_CHANGED)
    assert run.counts["parked"] == 2, "they told it in two pages"
    go(shop, runs.RETRY_PARKED, parked=None)
    assert models.Order.objects.get(key="138").manager == "dmytro"


def test_what_was_skipped_is_not_sent_and_goes_with_the_next_run(world: World, shop: models.Connection) -> None:
    for key in ("138", "139"):
        world.change(order(key))
    go(shop, "orders-in")
    for row in models.Order.objects.all():
        save_order(replace(order_record(row), state="Done"))
    preview = go(shop, "orders-out", preview=True)
    skip(preview, "139C")
    run = carry_out(preview)
    assert (counts(run), world.orders["138"].state, world.orders["139"].state) == ({"updated": 1, "skipped": 1}, "done", "new")
    left = run.results.get(outcome="skipped")
    assert (left.name, left.text, left.facts["who"], shop.parked.count()) == ("139C", previews.WAS_LEFT, "olena", 0)
    go(shop, "orders-out")
    assert world.orders["139"].state == "done"


def test_what_is_no_longer_what_was_accepted_is_not_sent(world: World, shop: models.Connection) -> None:
    goods(2)
    preview = go(shop, "stock-out", preview=True)
    models.StockLevel.objects.filter(offer__key="p1").update(quantity=Decimal(9))
    run = carry_out(preview)
    assert (world.stock, counts(run)) == ({"p0": "1.000000"}, {"created": 1, "skipped": 1})
    assert run.results.get(outcome="skipped").text == previews.CHANGED_LEFT
    go(shop, "stock-out")
    assert world.stock["p1"] == "9.000000"


def test_a_run_that_broke_off_is_gone_on_with_and_nothing_is_done_twice(world: World, shop: models.Connection) -> None:
    for key in ("138", "139", "140", "141"):
        world.change(order(key))
    preview = go(shop, "orders-in", preview=True)
    skip(preview, "139C")
    mappings.save(shop, Subject.ORDER_STATE, "in", [MappingRow("new", ours="Accepted")])
    read = caller.Orders.pages

    def breaks(self: caller.Orders, since: Any, known: Any) -> Any:
        for at, page in enumerate(read(self, since, known)):
            if at == 2:
                raise NeedsOwner("The key is over")
            yield page

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(caller.Orders, "pages", breaks)
        first = carry_out(preview)
    assert (first.state, counts(first)) == ("needs_owner", {"created": 2, "skipped": 1})  # the customer and an order
    assert deciding.broken_off(preview) is False, "what is decided stands in the row of the preview"
    preview.refresh_from_db()
    assert deciding.broken_off(preview) is True
    second = carry_out(preview)
    assert (second.state, counts(second), second.pk != first.pk) == ("done", {"created": 2, "unchanged": 1}, True)
    assert sorted(models.Order.objects.values_list("key", flat=True)) == ["138", "140", "141"]
    assert [p.external_id for p in shop.parked.all()] == ["139"]
    assert deciding.ask_decided(preview, "boris").pk == second.pk, "what is done is not begun once more"


def test_picked_goods_that_were_sent_before_a_run_broke_off_are_not_sent_again(world: World, shop: models.Connection) -> None:
    made = goods(3)
    go(shop, "stock-out")
    preview = go(shop, "stock-out", goods=[p.pk for p in made], each=True, preview=True)
    world.calls.clear()
    write = caller.StockOut.write

    def breaks(self: caller.StockOut, changes: Any) -> Any:
        if world.calls:
            raise NeedsOwner("The key is over")
        return write(self, changes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(caller.StockOut, "write", breaks)
        patch.setattr(caller.StockOut, "batch", 2)
        first = carry_out(preview)
    assert (first.state, counts(first), world.calls) == ("needs_owner", {"updated": 2}, ["stock 2"])
    preview.refresh_from_db()
    assert (counts(carry_out(preview)), world.calls) == ({"updated": 1}, ["stock 2", "stock 1"])


def test_only_a_finished_preview_is_carried_out_and_only_while_its_files_are_here(
    node: models.Connection, tmp_path: Path
) -> None:
    ordinary = load(node, tmp_path, import0_1=catalogue(product("p1")))
    with pytest.raises(NeedsOwner, match="Only a preview"):
        deciding.ask_decided(ordinary, "olena")
    preview = look(node, tmp_path, import0_1=catalogue(product("p1", "Крісло")))
    (tmp_path / "import0_1.xml").unlink()
    with pytest.raises(NeedsOwner, match="no longer kept"):
        deciding.ask_decided(preview, "olena")
    assert models.Run.objects.filter(state="waiting").count() == 0


# --- the limit of changes ---


def limit(connection: models.Connection, percent: int | None, stream: str = "products-in") -> None:
    connections.set_guard(connection, stream, percent, "olena")


def cards(count: int, name: str) -> str:
    return catalogue(*(product(f"p{i}", f"{name} {i}") for i in range(count)))


def test_a_run_that_would_change_too_much_stops_before_it_has_written_anything(node: models.Connection, tmp_path: Path) -> None:
    assert load(node, tmp_path, import0_1=cards(900, "Стул")).counts["created"] == 900, "a first load changes nothing"
    before = everything()
    run = load(node, tmp_path, import0_1=cards(900, "Крісло"))
    assert (run.state, run.facts["msgid"]) == ("needs_owner", run.lines.get().text)
    assert run.lines.get().facts == {"changed": 900, "known": 900, "limit": 50, "kind": "product", "guard": "products-in"}
    assert "Nothing was written" in run.lines.get().text
    assert everything() - before == Counter() == before - everything()
    allowed = runs.execute_here(deciding.ask_allowed(run, "olena"))
    assert (allowed.state, counts(allowed)) == ("done", {"updated": 900})
    again = load(node, tmp_path, import0_1=cards(900, "Стілець"))
    assert again.state == "needs_owner", "it was allowed once"


def test_fewer_changes_than_the_share_pass(node: models.Connection, tmp_path: Path) -> None:
    load(node, tmp_path, import0_1=cards(600, "Стул"))
    some = [product(f"p{i}", f"{'Крісло' if i < 300 else 'Стул'} {i}") for i in range(600)]
    assert counts(load(node, tmp_path, import0_1=catalogue(*some))) == {"updated": 300, "unchanged": 300}
    limit(node, None)
    assert load(node, tmp_path, import0_1=cards(600, "Табурет")).state == "done"


def test_a_changed_setting_that_changes_no_card_is_no_change(node: models.Connection, tmp_path: Path) -> None:
    load(node, tmp_path, import0_1=cards(200, "Стул"))
    limit(node, 1)
    models.Link.objects.update(seen=b"0" * 16)
    assert counts(load(node, tmp_path, import0_1=cards(200, "Стул"))) == {"unchanged": 200}


def test_a_few_records_of_a_small_catalogue_may_all_change(node: models.Connection, tmp_path: Path) -> None:
    load(node, tmp_path, import0_1=cards(40, "Стул"))
    assert counts(load(node, tmp_path, import0_1=cards(40, "Крісло"))) == {"updated": 40}


def test_prices_go_by_the_limit_of_their_own_stream(node: models.Connection, tmp_path: Path) -> None:
    def files(price: str) -> dict[str, str]:
        return {
            "import0_1": cards(80, "Стул"),
            "offers0_1": offers(*(offer(f"p{i}", prices=[("retail", price)]) for i in range(80))),
        }

    load(node, tmp_path, **files("1"))
    limit(node, None)
    limit(node, 10, "prices-in")
    assert load(node, tmp_path, **files("2")).state == "done", "an offer's package is of the stream of goods"
    limit(node, 10)
    run = load(node, tmp_path, **files("3"))
    assert (run.state, run.lines.get().facts["kind"]) == ("needs_owner", "offer")
    assert models.Price.objects.filter(value=2).count() == 80


def test_the_preview_of_a_stopped_run_shows_all_of_it(node: models.Connection, tmp_path: Path) -> None:
    load(node, tmp_path, import0_1=cards(60, "Стул"))
    run = load(node, tmp_path, import0_1=cards(60, "Крісло"))
    preview = runs.execute_here(deciding.ask_preview(run, "olena"))
    assert (preview.state, preview.counts["updated"], preview.results.count()) == ("done", 60, 60)


def test_what_was_accepted_in_a_preview_needs_no_other_leave_and_what_came_since_does(
    node: models.Connection, tmp_path: Path
) -> None:
    load(node, tmp_path, import0_1=cards(130, "Стул"))
    preview = look(node, tmp_path, import0_1=cards(130, "Крісло"))
    assert counts(carry_out(preview)) == {"updated": 130}
    few = catalogue(*(product(f"p{i}", f"{'Лава' if i == 0 else 'Крісло'} {i}") for i in range(130)))
    preview = look(node, tmp_path, import0_1=few)
    put(tmp_path, import0_1=cards(130, "Лава"))  # the same name, other words: they sent it again meanwhile
    run = carry_out(preview)
    assert (run.state, run.lines.get().facts["changed"]) == ("needs_owner", 129)
    assert not models.Product.objects.filter(name__startswith="Лава").exists()


def test_only_what_the_limit_stopped_is_allowed_over_it(node: models.Connection, tmp_path: Path) -> None:
    run = load(node, tmp_path, import0_1=cards(1, "Стул"))
    with pytest.raises(NeedsOwner, match="not stopped by its limit"):
        deciding.ask_allowed(run, "olena")


def test_a_stopped_run_is_allowed_over_nothing_that_is_newer(node: models.Connection, tmp_path: Path) -> None:
    load(node, tmp_path, import0_1=cards(90, "Стул"))
    stopped = load(node, tmp_path, import0_1=cards(90, "Крісло"))
    runs.execute_here(deciding.ask_allowed(stopped, "olena"))
    with pytest.raises(NeedsOwner, match="is older"):
        deciding.ask_allowed(stopped, "olena")
    again = load(node, tmp_path, import0_1=cards(90, "Лава"))
    newer = load(node, tmp_path, import0_1=cards(1, "Крісло"))
    assert (again.state, newer.state) == ("needs_owner", "done")
    with pytest.raises(NeedsOwner) as refused:
        deciding.ask_allowed(again, "olena")
    assert refused.value.facts == {"run": newer.pk}
    assert not models.Run.objects.filter(state="waiting").exists()


def test_the_share_is_kept_in_the_file_of_settings(node: models.Connection, tmp_path: Path) -> None:
    limit(node, 30)
    file = tmp_path / "node.toml"
    file.write_text(connections.export_toml(node))
    limit(node, None)
    connections.apply_toml(file)
    assert node.streams.get(stream="products-in").guard == 30
    assert node.streams.get(stream="prices-in").guard is None
    with pytest.raises(NeedsOwner, match="from 1 to 100"):
        limit(node, 101)


# --- a received file once more ---


def test_a_received_file_is_looked_at_again_as_long_as_it_is_kept(node: models.Connection, tmp_path: Path) -> None:
    folder = put(tmp_path, import0_1=cards(2, "Стул"))
    args = {"files": [str(folder / "import0_1.xml")], "type": "catalog", "session": "c00kie"}
    runs.execute_here(jobs.ask(node, ["products-in"], trigger="door", args=args, key="door:x"))
    call = models.Message.objects.create(
        connection=node, session="c00kie", call="GET type=catalog&mode=import&filename=import0_1.xml"
    )
    other = models.Message.objects.create(
        connection=node, session="other", call="GET type=catalog&mode=import&filename=import0_1.xml"
    )
    models.Product.objects.filter(key="p1").update(name="Our own word", version=2)
    models.Link.objects.filter(external_id="p1").update(seen=b"")
    preview = runs.execute_here(deciding.ask_replay(call, "olena"))
    assert found(preview) == {"p1": ("updated", {"name": ["Our own word", "Стул 1"]})}
    assert models.Product.objects.get(key="p1").name == "Our own word"
    for message, file in ((other, None), (call, folder / "import0_1.xml")):
        if file:
            file.unlink()
        with pytest.raises(NeedsOwner, match="No received file"):
            deciding.ask_replay(message, "olena")
    assert models.Run.objects.filter(args__preview=True).count() == 1
