"""What orders have sold is reserved until the accounting system knows of it and says so by its stock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection as db
from django.utils import timezone

from obmen.core.contract import Choice
from obmen.core.records import Good, Order, OrderLine
from obmen.store import connections, models, reservations
from obmen.store.doors import DjangoDoorHost
from obmen.store.orders import order_record, save_order, save_orders
from obmen.store.reading import Books
from obmen.work import jobs
from obmen.work import run as runs
from obmen.work.tidy import tidy
from store.cml import HEAD, TAIL, catalogue, changes, offer, offers, product, put

pytestmark = pytest.mark.django_db
WHITE, BLUE = [("Цвет", "белый")], [("Цвет", "синий")]


@pytest.fixture
def node(tmp_path: Path) -> models.Connection:
    """A 1C that has said: 10 chairs, 5 tables in white and 5 in blue."""
    made = connections.create("commerceml_door", "1C", profile="ut11")[0]
    load(made, tmp_path, import0_1=catalogue(product("chair"), product("table", "Стол")), offers0_1=stock_of())
    return made


def stock_of(chairs: int = 10, white: int = 5, blue: int = 5) -> str:
    return offers(
        offer("chair", stock=[("main", str(chairs))]),
        offer("table#white", stock=[("main", str(white))], traits=WHITE),
        offer("table#blue", stock=[("main", str(blue))], traits=BLUE),
    )


def load(connection: models.Connection, folder: Path, **files: str) -> models.Run:
    run = runs.load_folder(connection, put(folder / "files", **files))
    assert run.state == "done", (run.state, run.text, run.facts)
    return run


def order(key: str, *sold: tuple[str, str], **values: object) -> Order:
    lines = tuple(
        OrderLine(offer, offer, Decimal(quantity), Decimal(1), Decimal(quantity)) for offer, quantity in sold or [("chair", "1")]
    )
    return replace(Order(key, key, timezone.now(), "new", "UAH", lines=lines), **values)  # type: ignore[arg-type]


def take(node: models.Connection) -> int:
    """1C asks for orders, and confirms them."""
    host = DjangoDoorHost(node, connections.settings_of(node), None)  # type: ignore[arg-type]
    session = host.open_session("1c", {})
    host.offer(session, [(pending.record_id, pending.revision) for pending in host.pending_orders()])
    return host.confirm(session)


def goods(choice: Choice = Choice(warehouses=None, cards=False, reserved=True)) -> dict[str, Good]:  # noqa: B008
    return {good.key: good for good in Books().goods(choice)}


def reserved() -> dict[str, str]:
    """{offer: pieces} of those of which something is reserved."""
    return {key: f"{good.reserved.normalize():f}" for key, good in goods().items() if good.reserved}


def free(key: str = "chair") -> Decimal:
    good = goods()[key]
    return sum((level.quantity for level in good.offer.stock or ()), Decimal(0)) - good.reserved


def test_an_order_reserves_what_it_sells_from_the_moment_it_is_in_the_books(node: models.Connection) -> None:
    assert reserved() == {}
    save_order(order("1", ("chair", "2"), ("table#blue", "1.5"), ("chair", "1")))
    save_orders([order("2", ("chair", "4")), order("3", ("unknown", "7"), ("", "1"))])
    assert reserved() == {"chair": "7", "table#blue": "1.5"}
    assert free() == 3


def test_lines_of_services_and_delivery_and_empty_ones_reserve_nothing_and_units_are_those_of_the_stock(
    node: models.Connection,
) -> None:
    line = OrderLine("chair", "Стул", Decimal(2), Decimal(1), Decimal(2))
    lines = [
        replace(line, kind="service"),
        replace(line, kind="delivery"),
        replace(line, offer="ORDER_DELIVERY"),
        replace(line, quantity=Decimal(0)),
        replace(line, quantity=Decimal(-1)),
        replace(line, offer="table#blue", unit="упак", ratio=Decimal(6)),
        replace(line, offer="table#white", ratio=Decimal(0)),
    ]
    save_order(order("1", lines=tuple(lines)))
    assert reserved() == {"table#blue": "12", "table#white": "2"}


def test_only_who_asks_is_told_and_every_amount_is_another_version(node: models.Connection) -> None:
    before = goods()["chair"].version
    save_order(order("1", ("chair", "2")))
    two = goods()["chair"]
    save_order(order("2"))
    versions = [before, two.version, goods()["chair"].version]
    assert len(set(versions)) == 3
    assert all(0 < v < 2**31 for v in versions)
    silent = goods(Choice(warehouses=None))["chair"]
    assert (silent.reserved, silent.version) == (0, before)
    assert goods(Choice(reserved=True))["chair"].reserved == 3  # read with its card, too


def test_it_ends_when_1c_has_taken_the_order_and_says_the_stock_again(node: models.Connection, tmp_path: Path) -> None:
    save_order(order("1", ("chair", "3"), ("table#blue", "1")))
    assert take(node) == 1
    assert reserved() == {"chair": "3", "table#blue": "1"}
    load(node, tmp_path, rests=changes(offer("chair", name="", stock=[("main", "7")])))
    assert (reserved(), free()) == ({"table#blue": "1"}, 7)
    load(node, tmp_path, offers0_1=stock_of(7, 5, 4))
    assert (reserved(), free("table#blue")) == ({}, 4)
    assert models.Reservation.objects.count() == 0


def test_the_same_stock_in_the_same_bytes_ends_it_too(node: models.Connection, tmp_path: Path) -> None:
    """Three were sold and three came in: 1C says ten as before."""
    save_order(order("1", ("chair", "3")))
    assert load(node, tmp_path, offers0_1=stock_of()).counts["unchanged"] == 5
    take(node)
    assert reserved() == {"chair": "3"}
    assert load(node, tmp_path, offers0_1=stock_of()).counts["unchanged"] == 5
    assert (reserved(), free()) == ({}, 10)
    assert models.Offer.objects.get(key="chair").version == 1


def test_the_same_bytes_end_it_also_where_absence_is_judged(node: models.Connection, tmp_path: Path) -> None:
    connections.update(node, {"sweep": "mark"})
    node.refresh_from_db()
    whole = {"import0_1": catalogue(product("chair"), product("table", "Стол")), "offers0_1": stock_of()}
    load(node, tmp_path, **whole)
    save_order(order("1", ("table#blue", "1")))
    take(node)
    load(node, tmp_path, **whole)
    assert (reserved(), models.Product.objects.filter(deleted=True).count()) == ({}, 0)


def test_a_stock_from_before_the_order_was_taken_ends_nothing(node: models.Connection, tmp_path: Path) -> None:
    save_order(order("1", ("chair", "3")))
    load(node, tmp_path, offers0_1=stock_of(9))  # of another sale; 1C has not heard of ours
    assert (reserved(), free()) == ({"chair": "3"}, 6)
    files = [str(file) for file in put(tmp_path / "files", offers0_1=stock_of(8)).iterdir()]
    run = jobs.ask(node, ["folder-in"], trigger="cli", args={"files": files}, key="late")
    take(node)  # while the file waits, which 1C wrote before
    assert runs.execute_here(run).state == "done"
    assert (reserved(), free()) == ({"chair": "3"}, 5)
    load(node, tmp_path, offers0_1=stock_of(5))
    assert (reserved(), free()) == ({}, 5)


def test_a_stock_that_was_parked_and_comes_late_ends_nothing(node: models.Connection, tmp_path: Path) -> None:
    load(node, tmp_path, offers0_1=offers(offer("new", stock=[("main", "4")]), only_changes=True))
    assert models.Parked.objects.get().external_id == "new"
    save_order(order("1", ("new", "1")))
    take(node)
    load(node, tmp_path, import0_1=catalogue(product("new"), only_changes=True))
    assert (models.Parked.objects.count(), reserved()) == (0, {"new": "1"})
    load(node, tmp_path, offers0_1=offers(offer("new", stock=[("main", "3")]), only_changes=True))
    assert reserved() == {}


def test_a_stock_that_was_parked_for_a_variant_ends_nothing_once_the_variant_is_there(
    node: models.Connection, tmp_path: Path
) -> None:
    said = changes(offer("table#green", name="", stock=[("main", "4")]))
    load(node, tmp_path, rests=said)
    assert models.Parked.objects.get().waiting_id == "table#green"
    save_order(order("1", ("table#green", "1")))
    take(node)
    green = [("Цвет", "зелёный")]
    load(node, tmp_path, offers0_1=offers(offer("table#green", traits=green), only_changes=True))
    assert (models.Parked.objects.count(), reserved()) == (0, {"table#green": "1"})
    load(node, tmp_path, rests=said)
    assert reserved() == {}


def test_an_offer_that_comes_after_its_order_brings_the_stock_that_ends_it(node: models.Connection, tmp_path: Path) -> None:
    save_order(order("1", ("new", "1")))
    take(node)
    load(node, tmp_path, import0_1=catalogue(product("new"), only_changes=True))
    load(node, tmp_path, offers0_1=offers(offer("new", stock=[("main", "3")]), only_changes=True))
    assert reserved() == {}


def said_of(number: str) -> str:
    return (
        HEAD.format(date="2026-01-16T10:00:00")
        + f"<Документ><Ид>guid-{number}</Ид><Номер>{number}</Номер><Дата>2026-01-15</Дата><Время>10:00:05</Время>"
        "<ХозОперация>Заказ товара</ХозОперация><Роль>Продавец</Роль><Валюта>UAH</Валюта><Курс>1</Курс><Сумма>1</Сумма>"
        "<ЗначенияРеквизитов><ЗначениеРеквизита><Наименование>Номер по 1С</Наименование><Значение>УТ-1</Значение>"
        f"</ЗначениеРеквизита></ЗначенияРеквизитов></Документ>{TAIL}"
    )


def test_an_answer_with_its_own_number_says_that_1c_has_the_order(node: models.Connection, tmp_path: Path) -> None:
    save_order(order("1"))
    models.Outbox.objects.all().delete()  # told of by hand
    load(node, tmp_path, orders=said_of("1"))
    load(node, tmp_path, offers0_1=stock_of(9))
    assert reserved() == {}


def test_an_answer_to_an_order_of_which_something_still_waits_is_none(node: models.Connection, tmp_path: Path) -> None:
    save_order(order("1"))
    take(node)
    save_order(order("1", ("chair", "4")))
    load(node, tmp_path, orders=said_of("1"))
    load(node, tmp_path, offers0_1=stock_of(9))
    assert (reserved(), free()) == ({"chair": "3"}, 6)


def test_what_is_called_off_is_free_again_and_what_comes_back_is_reserved_again(node: models.Connection) -> None:
    save_order(order("1", ("chair", "2")))
    save_order(order("1", ("chair", "2"), cancelled=True))
    assert reserved() == {}
    save_order(order("1", ("chair", "2")))
    assert reserved() == {"chair": "2"}
    save_order(order("1", ("chair", "2"), deleted=True))
    assert reserved() == {}


def test_a_shipped_order_reserves_until_1c_knows(node: models.Connection, tmp_path: Path) -> None:
    save_order(order("1", shipped=True))
    assert reserved() == {"chair": "1"}
    take(node)
    load(node, tmp_path, offers0_1=stock_of(9))
    assert reserved() == {}


def test_of_an_order_that_grows_only_the_difference_waits_anew(node: models.Connection, tmp_path: Path) -> None:
    save_order(order("1", ("chair", "2"), ("table#blue", "1")))
    take(node)
    load(node, tmp_path, offers0_1=stock_of(8, 5, 4))
    save_order(order("1", ("chair", "5"), ("table#blue", "1")))
    assert (reserved(), free()) == ({"chair": "3"}, 5)
    load(node, tmp_path, offers0_1=stock_of(8, 5, 4))  # 1C has not heard of it
    assert reserved() == {"chair": "3"}
    save_order(order("1", ("chair", "4"), ("table#blue", "1")))  # one back: of those that 1C does not know
    assert (reserved(), free()) == ({"chair": "2"}, 6)
    take(node)
    assert reserved() == {"chair": "2"}  # its stock was said before, of the first two
    load(node, tmp_path, offers0_1=stock_of(6, 5, 4))
    save_order(order("1", ("chair", "1"), ("table#blue", "1")))  # three back, which 1C has still taken off
    assert (reserved(), free()) == ({}, 6)


def test_of_an_order_that_shrinks_what_nobody_has_taken_goes_first(node: models.Connection, tmp_path: Path) -> None:
    save_order(order("1", ("chair", "2")))
    take(node)
    save_order(order("1", ("chair", "5")))
    save_order(order("1", ("chair", "4")))
    assert reserved() == {"chair": "4"}
    load(node, tmp_path, offers0_1=stock_of(8))  # 1C knows of two
    assert (reserved(), free()) == ({"chair": "2"}, 6)
    save_order(order("1", ("chair", "1")))
    assert reserved() == {}


def test_a_change_that_sells_nothing_more_keeps_what_was_taken(node: models.Connection, tmp_path: Path) -> None:
    save_order(order("1", ("chair", "2")))
    take(node)
    made = order_record(models.Order.objects.get())
    save_order(replace(made, state="packed", lines=tuple(replace(line, price=Decimal(9)) for line in made.lines)))
    load(node, tmp_path, offers0_1=stock_of(8))
    assert reserved() == {}


def test_orders_of_1c_itself_and_what_1c_adds_are_known_there(node: models.Connection, tmp_path: Path) -> None:
    save_order(order("1"), source=node)
    assert reserved() == {}
    save_order(order("2"))
    take(node)
    save_order(order("2", ("chair", "3")), source=node)
    assert reserved() == {"chair": "1"}
    load(node, tmp_path, offers0_1=stock_of(7))
    assert reserved() == {}
    save_order(order("2", ("chair", "3"), cancelled=True), source=node)
    save_order(order("2", ("chair", "3")), source=node)
    assert reserved() == {}


def test_old_orders_that_a_first_load_brings_reserve_nothing(node: models.Connection) -> None:
    now = timezone.now()
    save_orders([order("1", date=now - timedelta(days=31)), order("2", date=now - timedelta(days=29))])
    save_order(order("3", date=now - timedelta(days=400)))
    assert reserved() == {"chair": "1"}


def test_nothing_is_reserved_for_longer_than_a_month(node: models.Connection) -> None:
    save_orders([order("1"), order("2", ("chair", "2"))])
    long_ago = timezone.now() - timedelta(days=31)
    models.Reservation.objects.filter(order__key="1").update(since=long_ago)
    models.Reservation.objects.filter(order__key="2").update(since=long_ago + timedelta(days=2))
    assert reserved() == {"chair": "2"}
    assert tidy()["reservations"] == 1
    assert models.Reservation.objects.get().quantity == 2


@pytest.mark.parametrize("how", ["the stream is off", "the connection is off"])
def test_where_no_accounting_is_told_of_orders_its_next_stock_ends_it(node: models.Connection, tmp_path: Path, how: str) -> None:
    save_order(order("1", ("chair", "3")))
    if how == "the stream is off":
        node.streams.filter(stream="orders-out").update(enabled=False)
    assert reserved() == {"chair": "3"}
    load(node, tmp_path, offers0_1=stock_of(7))
    if how == "the connection is off":
        assert reserved() == {"chair": "3"}
        models.Connection.objects.filter(pk=node.pk).update(enabled=False)
        save_order(order("2"))
        node.refresh_from_db()
        load(node, tmp_path, offers0_1=stock_of(6))
    assert reserved() == {}


def test_a_reservation_that_is_over_is_not_counted_before_anybody_removes_it(node: models.Connection) -> None:
    save_orders([order("1"), order("2", ("table#blue", "2"))])
    later = timezone.now() + timedelta(hours=1)
    models.Offer.objects.filter(key="chair").update(stock_said=later)
    assert reserved() == {"chair": "1", "table#blue": "2"}
    node.streams.filter(stream="orders-out").update(enabled=False)
    assert reserved() == {"table#blue": "2"}
    node.streams.filter(stream="orders-out").update(enabled=True)
    models.Reservation.objects.update(taken=timezone.now())
    assert reserved() == {"table#blue": "2"}
    assert (reservations.prune(), models.Reservation.objects.get().offer) == (1, "table#blue")


def test_two_nodes_of_one_1c_share_the_work(node: models.Connection, tmp_path: Path) -> None:
    """One takes orders, the other sends goods."""
    orders_node = connections.create("commerceml_door", "1C: замовлення", profile="ut11")[0]
    save_order(order("1"))
    take(orders_node)
    load(node, tmp_path, offers0_1=stock_of(9))
    assert reserved() == {}


def test_what_another_channel_says_of_an_order_is_no_word_of_the_accounting(node: models.Connection, tmp_path: Path) -> None:
    crm = connections.create("retailcrm", "CRM")[0]
    row, _changed = save_order(order("1"), source=crm)
    reservations.take(crm, [row.pk], timezone.now())
    load(node, tmp_path, offers0_1=stock_of(9))
    assert reserved() == {"chair": "1"}


def test_a_good_that_is_a_whole_product_has_the_sum_and_its_parts(node: models.Connection, tmp_path: Path) -> None:
    save_order(order("1", ("table#white", "2"), ("table#blue", "1"), ("chair", "1")))
    whole = Choice(warehouses=None, products=True, reserved=True)
    table = goods(whole)["table"]
    assert (table.reserved, table.reserved_of) == (3, (("table#blue", Decimal(1)), ("table#white", Decimal(2))))
    assert goods(whole)["chair"].reserved == 1
    assert goods(replace(whole, reserved=False))["table"].version != table.version
    take(node)
    load(node, tmp_path, offers0_1=stock_of(9, 3, 4))
    assert not any(good.reserved for good in goods(whole).values())


def test_a_shop_without_variants_sells_the_product_and_any_variant_tells_that_it_is_known(
    node: models.Connection, tmp_path: Path
) -> None:
    save_order(order("1", ("table", "2")))
    whole = Choice(warehouses=None, products=True, reserved=True)
    assert goods(whole)["table"].reserved == 2
    take(node)
    load(node, tmp_path, rests=changes(offer("table#blue", name="", stock=[("main", "3")])))
    assert goods(whole)["table"].reserved == 0


# --- many at once, and killed ----------------------------------------------------------------------------------------------


@pytest.fixture
def together() -> Callable[..., None]:
    """Do these at once, each in a thread with a database connection of its own; the first error is raised."""

    def run(*doing: Callable[[], object]) -> None:
        errors: list[BaseException] = []

        def one(job: Callable[[], object]) -> None:
            try:
                job()
            except BaseException as error:
                errors.append(error)
            finally:
                db.close()

        threads = [threading.Thread(target=one, args=(job,)) for job in doing]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        if errors:
            raise errors[0]
        assert not any(thread.is_alive() for thread in threads)

    return run


@pytest.mark.django_db(transaction=True)
def test_two_hundred_orders_at_once_reserve_each_of_their_pieces_once(
    node: models.Connection, together: Callable[..., None]
) -> None:
    def buyer(who: int) -> Callable[[], None]:
        def buy() -> None:
            for number in range(10):
                save_order(order(f"{who}-{number}", ("chair", "1"), ("table#blue", "2")))
            save_order(order(f"{who}-0", ("chair", "1"), ("table#blue", "2")))  # told twice

        return buy

    together(*map(buyer, range(20)))
    assert reserved() == {"chair": "200", "table#blue": "400"}
    assert models.Reservation.objects.count() == 400


@pytest.mark.django_db(transaction=True)
def test_who_looks_at_any_moment_never_sees_a_piece_free_that_is_sold(
    node: models.Connection, tmp_path: Path, together: Callable[..., None]
) -> None:
    """Buyers buy, 1C takes orders and sends its stock, all at once: free is never more than what was left a moment before."""
    had, sold, over = 200, 0, threading.Event()
    lock = threading.Lock()
    load(node, tmp_path, offers0_1=stock_of(had))

    def buyer(who: int) -> Callable[[], None]:
        def buy() -> None:
            nonlocal sold
            for number in range(10):
                save_order(order(f"{who}-{number}"))
                with lock:
                    sold += 1

        return buy

    def accounting() -> None:
        known = 0
        while not over.wait(0.02) or known < 40:
            known += take(node)
            load(node, tmp_path, rests=changes(offer("chair", name="", stock=[("main", str(had - known))])))

    def looker() -> None:
        while not over.wait(0.01):
            with lock:
                at_least = sold
            assert free() <= had - at_least

    def buyers() -> None:
        try:
            together(*map(buyer, range(4)))
        finally:
            over.set()

    together(buyers, accounting, looker)
    assert (reserved(), free()) == ({}, had - 40)


BUYER = """
import sys, django
django.setup()
from decimal import Decimal
from django.utils import timezone
from obmen.core.records import Order, OrderLine
from obmen.store.orders import save_order
for number in range(100000):
    line = OrderLine("chair", "Стул", Decimal(1), Decimal(1), Decimal(1))
    save_order(Order(f"{sys.argv[1]}-{number}", "", timezone.now(), lines=(line, line)))
"""


@pytest.mark.django_db(transaction=True)
def test_killed_in_the_middle_every_order_in_the_books_has_what_it_reserves_and_nothing_else_has(
    node: models.Connection,
) -> None:
    entry = settings.DATABASES["default"]
    if db.vendor == "sqlite":
        url = f"sqlite:///{db.settings_dict['NAME']}"
    else:
        who = entry["USER"] + (f":{entry['PASSWORD']}" if entry["PASSWORD"] else "")
        url = f"postgresql://{who}@{entry['HOST']}:{entry['PORT'] or 5432}/{db.settings_dict['NAME']}"
    env = os.environ | {"OBMEN_DATABASE_URL": url, "OBMEN_LEAN": "1", "DJANGO_SETTINGS_MODULE": "obmen.settings"}
    buyers = [subprocess.Popen([sys.executable, "-c", BUYER, str(who)], env=env, start_new_session=True) for who in range(2)]
    try:
        end = time.monotonic() + 300
        while models.Order.objects.count() < 30:
            assert time.monotonic() < end
            assert all(buyer.poll() is None for buyer in buyers)
    finally:
        for buyer in buyers:
            os.killpg(buyer.pid, signal.SIGKILL)
            buyer.wait(60)
    count = models.Order.objects.count()
    assert count >= 30
    assert reserved() == {"chair": str(2 * count)}
    take(node)
    assert models.Reservation.objects.filter(taken=None).count() == 0


@pytest.mark.django_db(transaction=True)
def test_who_confirms_while_an_order_grows_has_not_taken_what_it_grew_by(
    node: models.Connection, tmp_path: Path, together: Callable[..., None]
) -> None:
    save_orders([order(str(number)) for number in range(20)])

    def grow() -> None:
        for number in range(20):
            save_order(order(str(number), ("chair", "2")))

    def confirm() -> None:
        for _again in range(5):
            take(node)

    together(grow, confirm)
    waits = set(models.Outbox.objects.filter(connection=node).values_list("record_id", flat=True))
    untaken = set(models.Reservation.objects.filter(taken=None).values_list("order_id", flat=True))
    assert untaken == waits
    take(node)
    load(node, tmp_path, offers0_1=stock_of(10))
    assert reserved() == {}
