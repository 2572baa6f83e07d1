"""Orders of stand-in shops over HTTP into the hub's own database and back: every kind of shop, twice in a row, with faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from obmen.core.records import Kind, Subject
from obmen.registry import connector
from obmen.sandbox.shop.base import Shop
from obmen.sandbox.shop.profiles import make as make_shop
from obmen.sandbox.shop.server import serve
from obmen.sandbox.shop.state import Buyer, Line, Offer
from obmen.store import connections, mappings, models
from obmen.store.hub import DjangoHub
from obmen.store.mappings import MappingRow
from obmen.store.orders import order_record, save_order
from obmen.work import jobs
from obmen.work import run as runs

pytestmark = pytest.mark.django_db(transaction=True)

CUP, MUG = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SHOPS = ("generic", "cs-cart-exim-1c", "cs-cart-commerceml", "bitrix", "opencart-exchange1c", "woocommerce-1c")
ORDERS = ("orders-in", "orders-out")


class Place:
    """A shop that runs, and a connection to it."""

    def __init__(self, shop: Shop, connection: models.Connection) -> None:
        self.shop, self.connection = shop, connection
        self.moment = START
        shop.clock = lambda: self.moment

    def later(self, **parts: float) -> None:
        self.moment += timedelta(**(parts or {"minutes": 10}))

    def go(self, *streams: str, state: str = "done") -> models.Run:
        self.later()
        run = runs.execute_here(jobs.ask(self.connection, streams or ORDERS, trigger="person"))
        assert run.state == state, (run.text, run.facts, [(line.text, line.facts) for line in run.lines.all()])
        self.later()
        return run

    def buy(self, **said: Any) -> int:
        lines = said.pop("lines", None) or [
            Line(CUP, "Чашка", Decimal(100), Decimal(2), "A-1"),
            Line(MUG, "Кружка", Decimal(50), Decimal(1), "A-2"),
        ]
        return self.shop.buy(lines=lines, **said).id

    def book(self, number: int) -> Any:
        return order_record(models.Order.objects.get(number=str(number)))


@pytest.fixture
def shop(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Place]]:
    settings.OBMEN_ALLOW_PRIVATE, settings.OBMEN_HOME = True, tmp_path
    monkeypatch.setattr(DjangoHub, "sleep", lambda _self, _seconds: None)
    with ExitStack() as stack:

        def begin(profile: str, of_shop: dict[str, Any] | None = None, **values: Any) -> Place:
            made = make_shop(profile, **(of_shop or {}))
            for key, name in ((CUP, "Чашка"), (MUG, "Кружка")):
                product = made.goods.new(key)
                product.name, product.offers = name, {"": Offer(name=name, prices={"base": Decimal(100)})}
            server = stack.enter_context(serve(made))
            defaults = connector("commerceml_client").profiles()[profile]["settings"]
            given = {**defaults, "address": server.url, "login": made.login, "password": made.password, **values}
            connection, _password = connections.create("commerceml_client", f"Shop {profile}", settings=given)
            connection.time_zone = "Europe/Moscow"
            connection.save()
            connection.streams.update(enabled=True)
            return Place(made, connection)

        yield begin


@pytest.fixture
def goods() -> None:
    for key, name, article in ((CUP, "Чашка", "A-1"), (MUG, "Кружка", "A-2")):
        product = models.Product.objects.create(key=key, name=name, article=article)
        models.Offer.objects.create(key=key, product=product, name=name)


def map_states(place: Place) -> dict[str, str]:
    """The shop's second state is ours “second”, and so on; the names (Bitrix: ids) by which they are mapped."""
    by_id = place.connection.settings.get("shop") == "bitrix"
    said = [code if by_id else name for code, name in place.shop.states.items()]
    rows = [MappingRow(word, ours=f"our-{n}") for n, word in enumerate(said)]
    for direction in ("in", "out"):
        mappings.save(place.connection, Subject.ORDER_STATE, direction, rows)
    return {f"our-{n}": code for n, code in enumerate(place.shop.states)}


def counted(run: models.Run) -> dict[str, int]:
    return {name: count for name, count in run.counts.items() if count and name != "unchanged"}


@pytest.mark.usefixtures("goods")
@pytest.mark.parametrize("profile", SHOPS)
def test_orders_come_once_and_their_news_go_back_and_the_second_exchange_is_idle(
    shop: Callable[..., Place], profile: str
) -> None:
    """CS-A4 CS-C1 CS-C2"""
    place = shop(profile)
    states = map_states(place)
    woo = profile == "woocommerce-1c"  # says no contacts, and makes the status of what is paid, posted and cancelled
    first = place.buy(buyer=Buyer("Тест", "Тестов", "+79161112233", "t@example.com", user=7), shipping=30)
    second = place.buy(buyer=Buyer("Гость", "", "+79160000000", "g@example.com"), comment="позвоните")
    assert counted(place.go()) == {"created": 2}
    order = place.book(first)
    assert (order.total, order.currency, order.site) == (Decimal(280), "RUB", "127.0.0.1")
    assert sum(line.total for line in order.lines) == Decimal(280)
    assert {line.offer for line in order.lines if line.kind == "product"} == {CUP, MUG}
    assert order.counterparty.email == ("" if woo else "t@example.com")
    assert place.book(second).comment == "позвоните"
    assert order.state == "our-0"

    assert counted(place.go()) == {}
    if woo:
        save_order(replace(place.book(first), requisites=(*order.requisites, ("Номер по 1С", "УТ-7"))))
    else:
        save_order(replace(place.book(first), state="our-2"))
    assert counted(place.go())["updated"] == 1
    assert place.shop.orders[first].status == ("completed" if woo else states["our-2"])
    told = dict(place.shop.writes)
    place.go()
    assert counted(place.go()) == {}
    assert dict(place.shop.writes) == told  # nothing is told twice
    assert models.Order.objects.count() == 2
    if not woo:
        assert place.book(first).state == "our-2"
    assert not place.connection.parked.exists()
    assert not models.Outbox.objects.filter(connection=place.connection).exists()


@pytest.mark.usefixtures("goods")
@pytest.mark.parametrize("profile", SHOPS)
@pytest.mark.parametrize("fault", ["lost", "truncated", "503", "empty", "login", "session"])
@pytest.mark.parametrize("part", ["type=sale&mode=query", "type=sale&mode=success"])
def test_a_fault_in_any_call_neither_loses_nor_doubles_an_order(
    shop: Callable[..., Place], profile: str, fault: str, part: str
) -> None:
    """A shop that moves its own mark when it is asked (CS-Cart from 4.12) is told to export all orders, as its profile's traps say."""
    everything = {"strategy": "all"} if profile == "cs-cart-commerceml" else {}
    place = shop(profile, everything)
    place.buy()
    place.buy()
    place.shop.fault(fault, part=part)
    place.later()
    runs.execute_here(jobs.ask(place.connection, ["orders-in"], trigger="person"))
    assert place.shop.faults.met
    place.buy()
    for _time in range(2):
        place.later()
        again = models.Run.objects.filter(connection=place.connection, state=models.Run.State.WAITING).first()
        runs.execute_here(again or jobs.ask(place.connection, ["orders-in"], trigger="person"))
    assert sorted(int(n) for n in models.Order.objects.values_list("number", flat=True)) == sorted(place.shop.orders)
    assert not place.connection.parked.exists()


def messages(run: models.Run, level: str) -> list[str]:
    return [line.text.format(**line.facts) for line in run.lines.filter(level=level).order_by("pk")]


@pytest.mark.usefixtures("goods")
@pytest.mark.parametrize("fault", ["lost", "truncated"])
def test_a_lost_answer_of_a_shop_that_counts_asking_is_told_and_never_taken_for_no_orders(
    shop: Callable[..., Place], fault: str
) -> None:
    """IC-19: CS-Cart from 4.12 would give nothing to a silent second question; one answer that arrived is safe for good."""
    place = shop("cs-cart-commerceml")
    place.buy()
    place.later()
    place.shop.fault(fault, part="type=sale&mode=query")
    run = runs.execute_here(jobs.ask(place.connection, ["orders-in"], trigger="person"))
    assert run.state != "done"
    assert len(place.shop.calls("mode=query")) == 1
    run = place.go("orders-in")
    assert [text for text in messages(run, "warning") if "got lost on the way" in text]
    place.shop.settings.strategy = "all"  # what the message says to do
    assert counted(place.go("orders-in")) == {"created": 1}


@pytest.mark.usefixtures("goods")
def test_guests_and_customers_who_are_the_same_person_share_a_card(shop: Callable[..., Place]) -> None:
    """CS-A11 IC-3: by e-mail, then by phone; a card of another source is found as well; a name alone is not enough."""
    place = shop("cs-cart-exim-1c", buyers_by=["id", "email", "phone", "name"], persons_by_name=False)
    known = models.Counterparty.objects.create(key="1c-guid", name="Петров", kind="person", email="Ivan@Example.com")
    place.buy(buyer=Buyer("Иван", "Петров", "+79161112233", "ivan@example.com", user=7))
    place.buy(buyer=Buyer("Иван", "Петров", "", "ivan@example.com"))
    place.buy(buyer=Buyer("Анна", "Иванова", "8 (916) 000-00-00", ""))
    place.buy(buyer=Buyer("А.", "Иванова", "+7 916 000 00 00", ""))
    place.buy(buyer=Buyer("Анна", "Иванова", "", ""))
    place.go("orders-in")
    place.buy(buyer=Buyer("Другой", "Заказ", "", "IVAN@example.com"))
    place.go("orders-in")
    cards = dict(models.Order.objects.order_by("pk").values_list("number", "counterparty"))
    first, second, anna, also_anna, nobody, later = cards.values()
    assert (first, second, later) == (known.pk, known.pk, known.pk)
    assert anna == also_anna
    assert len({known.pk, anna, nobody}) == 3
    place.go("orders-in")
    assert models.Counterparty.objects.count() == 3


@pytest.mark.usefixtures("goods")
def test_companies_are_found_by_tax_numbers(shop: Callable[..., Place]) -> None:
    """CS-A11: a field of the profile “ИНН” is the tax number; another КПП is another card."""
    place = shop("cs-cart-commerceml", {"strategy": "all"}, buyers_by=["inn_kpp"])
    known = models.Counterparty.objects.create(key="c", name="Вода", kind="company", inn="7707083893", kpp="770701001")
    place.buy(buyer=Buyer("Иван", "П", "", "a@example.com", company="ООО Вода", fields={"ИНН": "7707083893", "КПП": "770701001"}))
    place.buy(buyer=Buyer("Иван", "П", "", "a@example.com", company="ООО Вода", fields={"ИНН": "7707083893", "КПП": "780101001"}))
    place.go("orders-in")
    first, second = models.Order.objects.order_by("pk").values_list("counterparty", flat=True)
    assert first == known.pk
    assert second not in (None, known.pk)


@pytest.mark.usefixtures("goods")
def test_an_order_is_known_again_by_its_number_and_date_when_the_connection_is_made_anew(shop: Callable[..., Place]) -> None:
    """CS-A5 CS-A6: the attributes are the search key; another date, another order."""
    place = shop("cs-cart-exim-1c")
    number = place.buy()
    place.go("orders-in")
    order = models.Order.objects.get()
    connections.delete(place.connection) if hasattr(connections, "delete") else place.connection.delete()
    values = {**place.connection.settings, "login": place.shop.login, "password": place.shop.password}
    place.connection, _password = connections.create("commerceml_client", "Again", settings=values)
    models.Connection.objects.filter(pk=place.connection.pk).update(time_zone="Europe/Moscow")
    place.connection.refresh_from_db()
    assert counted(place.go("orders-in")).get("created", 0) == 0
    assert models.Order.objects.get().pk == order.pk
    assert models.Link.objects.get(connection=place.connection, kind=Kind.ORDER).external_id == str(number)
    models.Link.objects.filter(kind=Kind.ORDER).delete()
    models.Order.objects.update(
        requisites=[["Номер заказа на сайте", str(number)], ["Дата заказа на сайте", "2020-01-01T00:00:00"]]
    )
    place.go("orders-in")
    assert models.Order.objects.count() == 2


def test_goods_that_are_not_in_the_books_get_cards_in_the_group_of_the_settings(shop: Callable[..., Place]) -> None:
    """CS-A12 CS-A14 CS-A15"""
    group = models.Group.objects.create(key="g-site", name="С сайта")
    place = shop("cs-cart-exim-1c", goods_kind="Посуда", unit="пар", goods_group="g-site")
    place.buy()
    place.go("orders-in")
    cup = models.Product.objects.get(key=CUP)
    assert (cup.name, cup.article, cup.group_id, cup.requisites) == ("Чашка", "A-1", group.pk, [["ВидНоменклатуры", "Посуда"]])
    assert models.Offer.objects.filter(key__in=[CUP, MUG]).count() == 2
    assert counted(place.go("orders-in")) == {}


@pytest.mark.usefixtures("goods")
def test_a_status_that_waits_is_free_once_it_is_mapped(shop: Callable[..., Place]) -> None:
    """CS-A17"""
    place = shop("cs-cart-exim-1c", unmapped_states="park")
    place.buy()
    run = place.go("orders-in")
    assert counted(run) == {"parked": 1}
    assert models.Mapping.objects.get(reported=True).theirs == "Открыт"
    mappings.save(place.connection, Subject.ORDER_STATE, "in", [MappingRow("ОТКРЫТ", ours="new")])
    place.go("orders-in")
    assert models.Order.objects.get().state == "new"
    assert not place.connection.parked.exists()


@pytest.mark.usefixtures("goods")
def test_a_status_that_the_old_cs_cart_does_not_have_is_found_out_and_tried_again(shop: Callable[..., Place]) -> None:
    """IC-19 CS-B4: it says success, and does nothing."""
    place = shop("cs-cart-exim-1c")
    map_states(place)
    number = place.buy()
    place.go()
    mappings.save(place.connection, Subject.ORDER_STATE, "out", [MappingRow("Собирается", ours="packing")])
    save_order(replace(place.book(number), state="packing"))
    assert counted(place.go()) == {"parked": 1}
    parked = place.connection.parked.get()
    assert parked.text.format(**parked.facts).startswith(
        f"Order {number}: the shop said success, but its status is still “Открыт”"
    )
    mappings.save(
        place.connection,
        Subject.ORDER_STATE,
        "out",
        [MappingRow("выполнен", ours="packing"), MappingRow("Выполнен", ours="packing")],
    )
    place.later(hours=8)
    models.Parked.objects.update(last_at=models.Parked.objects.get().last_at - timedelta(hours=8))
    place.go()
    assert place.shop.orders[number].status in ("O", "C")


@pytest.mark.usefixtures("goods")
def test_changed_lines_reach_the_new_cs_cart_with_the_same_total(shop: Callable[..., Place]) -> None:
    """IC-1 IC-8"""
    place = shop("cs-cart-commerceml", {"strategy": "all"})
    map_states(place)
    number = place.buy(shipping=30)
    place.go()
    order = place.book(number)
    goods = [line for line in order.lines if line.kind == "product"]
    cup = replace(goods[0], quantity=Decimal(3), total=Decimal(290), discount=Decimal(10))
    delivery = next(line for line in order.lines if line.kind == "delivery")
    save_order(replace(order, lines=(delivery, cup, goods[1]), total=Decimal(370), state="our-1"))
    place.go()
    there = place.shop.orders[number]
    assert (there.total, there.shipping, there.status) == (Decimal(370), Decimal(30), "P")
    assert sorted((line.offer, line.quantity) for line in there.lines) == [(CUP, Decimal(3)), (MUG, Decimal(1))]
    assert counted(place.go()).get("updated", 0) <= 1
    assert counted(place.go()) == {}
    assert place.book(number).total == Decimal(370)


@pytest.mark.usefixtures("goods")
@pytest.mark.parametrize("version", ["", "2.09", "3.1"])
def test_payments_and_shipments_reach_bitrix(shop: Callable[..., Place], version: str) -> None:
    """Facts §3.6.5: with its newer exchange as documents of their own, else as marks of the order."""
    place = shop("bitrix", version=version)
    map_states(place)
    number = place.buy(shipping=30)
    place.go()
    order = place.book(number)
    documents = version == "3.1"
    assert (len(order.payments), len(order.shipments)) == (1, 1 if documents else 0)
    paid = tuple(replace(p, paid=True, number="77") for p in order.payments)
    shipped = tuple(replace(one, shipped=True, number="S-1", tracking="TTN-7") for one in order.shipments)
    save_order(replace(order, payments=paid, shipments=shipped, paid=True, shipped=True))
    place.go()
    there = place.shop.orders[number]
    assert (there.is_paid, there.is_shipped) == (True, True)
    assert [one.track for one in there.shipments] == ["TTN-7" if documents else ""]
    assert (len(there.payments), len(there.shipments)) == (1, 1)
    place.go()
    assert counted(place.go()) == {}
    assert (place.book(number).paid, place.book(number).shipped) == (True, True)


@pytest.mark.usefixtures("goods")
@pytest.mark.parametrize("setting", [{"price_debug": True}, {"vendor": True}])
def test_an_empty_answer_says_what_to_do_in_the_shop(shop: Callable[..., Place], setting: dict[str, bool]) -> None:
    """IC-20 CS-C3"""
    place = shop("cs-cart-exim-1c", setting)
    place.buy()
    run = place.go("orders-in", state="needs_owner")
    assert "Switch the price debug mode off in the settings of the add-on, and use an administrator's account" in str(run.facts)


@pytest.mark.usefixtures("goods")
@pytest.mark.parametrize(("version", "inits"), [("", 0), ("2.09", 1)])
def test_orders_are_asked_for_with_and_without_init(shop: Callable[..., Place], version: str, inits: int) -> None:
    """IC-17: 1C:UT calls no init before query; Bitrix's newer exchange is told its version there. Twice in a row does no harm."""
    place = shop("bitrix", version=version)
    place.buy()
    place.go("orders-in")
    before = place.shop.calls("mode=query")
    assert len(place.shop.calls("type=sale&mode=init")) == inits * len(before)
    place.go("orders-in")
    assert len(place.shop.calls("mode=query")) == len(before) + 1
    assert models.Order.objects.count() == 1


@pytest.mark.usefixtures("goods")
def test_a_preview_takes_nothing_away_from_the_next_load(shop: Callable[..., Place]) -> None:
    """CS-B7: of a shop that counts asking, too."""
    place = shop("cs-cart-commerceml")
    number = place.buy()
    place.later()
    run = runs.execute_here(jobs.ask(place.connection, ["orders-in"], trigger="person", args={"preview": True}))
    assert (run.state, run.counts["created"]) == ("done", 1)
    assert models.Order.objects.count() == 0
    place.later()
    assert counted(place.go("orders-in")) == {"created": 1}
    assert place.book(number).total == Decimal(250)
    assert not place.shop.calls("mode=success")[:-1]


@pytest.mark.usefixtures("goods")
def test_what_1c_says_of_an_order_reaches_the_shop(shop: Callable[..., Place]) -> None:
    """CS-A17 CS-B4: both connections together: the state that 1C gave goes on to the shop, and comes back as no news."""
    place = shop("cs-cart-exim-1c")
    states = map_states(place)
    number = place.buy()
    place.go()
    accounting, _password = connections.create("commerceml_door", "1C", settings={})
    row = models.Order.objects.get()
    assert models.Outbox.objects.filter(connection=accounting, kind=Kind.ORDER, record_id=row.pk).exists()
    save_order(replace(order_record(row), state="our-2"), source=accounting)
    place.go()
    assert place.shop.orders[number].status == states["our-2"]
    revision = models.Order.objects.get().revision
    place.go()
    assert models.Order.objects.get().revision == revision
