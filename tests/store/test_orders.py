"""The books' side of orders: idempotent by key, revision, history, outbox."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import DataError

from obmen.core.records import Address, Counterparty, Delivery, Kind, Order, OrderLine, OrderNews, Payment
from obmen.store import connections, models, outbox
from obmen.store.orders import find, order_record, orders_records, save_order, save_orders
from obmen.work import run as runs
from obmen.work.run import StateWords
from store.cml import HEAD, TAIL, put

pytestmark = pytest.mark.django_db(transaction=True)

BUYER = Counterparty("7", "Тестовий Покупець", phone="+380500000000", address=Address("Київ", (("Город", "Київ"),)))
LINE = OrderLine("guid-1", "Стул", Decimal(2), Decimal("10.5"), Decimal(21), article="A-1", options=(("Цвет", "белый"),))


def order(key: str = "1001", **values: object) -> Order:
    base = Order(key, key, datetime(2026, 1, 15, 10, 0, 5, tzinfo=UTC), "new", "UAH", Decimal(71), BUYER, (LINE,))
    extra = {"delivery": Delivery("Кур'єр", price=Decimal(50)), "payments": (Payment("p1", Decimal(71), method="Картка"),)}
    return replace(base, **{**extra, **values})  # type: ignore[arg-type]


def node(name: str = "1C") -> models.Connection:
    return connections.create("commerceml_door", name, profile="ut11")[0]


def test_an_order_comes_back_from_the_books_as_it_was_put_in() -> None:
    save_order(order())
    assert order_record(models.Order.objects.get()) == replace(order(), payments=(replace(order().payments[0], order="1001"),))


def test_the_same_order_again_changes_nothing() -> None:
    assert save_order(order())[1] is True
    assert save_order(order())[1] is False
    row = models.Order.objects.get()
    assert (row.revision, row.lines.count(), models.RecordChange.objects.filter(record_kind="order").count()) == (1, 1, 1)


def test_equal_numbers_in_another_spelling_are_no_change() -> None:
    save_order(order(total=Decimal("71.00")))
    assert save_order(order(total=Decimal("71")))[1] is False


def test_a_change_raises_the_revision_and_says_what_changed() -> None:
    save_order(order())
    row, changed = save_order(order(state="paid", lines=(replace(LINE, quantity=Decimal(3)),)))
    assert (changed, row.revision, row.lines.get().quantity) == (True, 2, 3)
    last = models.RecordChange.objects.filter(record_kind="order").latest("id")
    assert last.changes["state"] == ["new", "paid"]
    assert sorted(last.changes) == ["lines", "state"]


def test_every_connection_that_takes_orders_is_to_be_told_but_the_one_that_said_it() -> None:
    first, second = node("Перша"), node("Друга")
    row, _changed = save_order(order(), source=first)
    assert list(models.Outbox.objects.values_list("connection", "record_id", "revision")) == [(second.pk, row.pk, 1)]
    save_order(order(state="paid"))
    assert set(models.Outbox.objects.values_list("connection", "revision")) == {(first.pk, 2), (second.pk, 2)}


def test_a_connection_made_later_is_told_of_the_orders_that_are_there() -> None:
    save_orders([order("1"), order("2")])
    assert models.Outbox.objects.filter(connection=node()).count() == 2


def test_many_orders_at_once_are_the_same_as_one_by_one() -> None:
    connection = node()
    assert save_orders([order(str(i)) for i in range(5)]) == 5
    assert save_orders([order("3"), order("4", state="paid"), order("9")]) == 2
    assert [o.key for o in orders_records(models.Order.objects.order_by("id"))] == ["0", "1", "2", "3", "4", "9"]
    assert models.Outbox.objects.filter(connection=connection).count() == 6
    assert models.Counterparty.objects.count() == 1
    assert models.OrderLine.objects.count() == 6


def test_the_later_word_of_two_about_one_order_counts() -> None:
    assert save_orders([order("1"), order("1", state="paid")]) == 2
    assert (models.Order.objects.get().state, models.Order.objects.get().revision) == ("paid", 2)


def test_an_order_is_found_by_key_then_by_its_only_number() -> None:
    connection = node()
    save_orders([order("k1", number="5"), order("k2", number="6"), order("k3", number="6")])
    assert find(OrderNews("their-guid", "5"), connection).key == "k1"
    assert find(OrderNews("k2", "6"), connection).key == "k2"
    with pytest.raises(Exception, match="Several orders have the number 6"):
        find(OrderNews("their-guid", "6"), connection)
    with pytest.raises(Exception, match="order 404, which has not come yet"):
        find(OrderNews("their-guid", "404"), connection)


def test_their_state_is_ours_by_mapping_by_name_or_not_at_all() -> None:
    connection = node()
    models.Reference.objects.create(subject="order_state", key="shipped", name="Відвантажено")
    models.Mapping.objects.create(connection=connection, subject="order_state", theirs="F", theirs_name="Виконано", ours="done")
    words = StateWords(connection)
    assert words.ours("F", "", "new") == "done"
    assert words.ours("", "виконано", "new") == "done"
    assert words.ours("", "відвантажено", "new") == "shipped"
    assert words.ours("", "New", "new") == "new"
    assert words.ours("", "Невідомо", "new") is None
    words.report("Невідомо", "Невідомо")
    words.report("Невідомо", "Невідомо")
    row = models.Mapping.objects.get(theirs="Невідомо")
    assert (row.ours, row.seen_count) == ("", 2)


def test_a_stream_that_is_switched_on_again_tells_only_what_was_not_confirmed() -> None:
    connection = node()
    save_orders([order("1"), order("2")])
    told = models.Outbox.objects.get(record_id=models.Order.objects.get(key="1").pk)
    outbox.note_told(connection, Kind.ORDER, [(told.record_id, told.revision)])
    models.Outbox.objects.all().delete()
    assert outbox.fill(connection, Kind.ORDER) == 1
    save_order(order("1", state="paid"))
    models.Outbox.objects.all().delete()
    assert outbox.fill(connection, Kind.ORDER) == 2


def results(*documents: str) -> str:
    return HEAD.format(date="2026-01-16T10:00:00") + "".join(documents) + TAIL


def result(ident: str, number: str, *requisites: tuple[str, str]) -> str:
    rows = "".join(
        f"<ЗначениеРеквизита><Наименование>{n}</Наименование><Значение>{v}</Значение></ЗначениеРеквизита>" for n, v in requisites
    )
    return (
        f"<Документ><Ид>{ident}</Ид><Номер>{number}</Номер><Дата>2026-01-15</Дата><Время>10:00:05</Время>"
        "<ХозОперация>Заказ товара</ХозОперация><Роль>Продавец</Роль><Валюта>UAH</Валюта><Курс>1</Курс><Сумма>71</Сумма>"
        f"<ЗначенияРеквизитов>{rows}</ЗначенияРеквизитов></Документ>"
    )


def test_what_1c_says_of_orders_is_folded_in_and_an_unknown_one_never_blocks_the_rest(tmp_path: Path) -> None:
    connection = node()
    save_orders([order("1001", payments=()), order("1002", payments=())])
    text = results(
        result("guid-404", "404", ("Номер по 1С", "УТ-404")),
        result(
            "guid-1", "1001", ("Номер по 1С", "УТ-1"), ("Номер оплаты по 1С", "П-1"), ("Дата оплаты по 1С", "2026-01-16T9:00:00")
        ),
        result("guid-2", "1002", ("Отменен", "true")),
    )
    run = runs.load_folder(connection, put(tmp_path, orders=text))
    assert (run.state, {k: v for k, v in run.counts.items() if v}) == ("done", {"updated": 2, "parked": 1})
    first, second = (order_record(o) for o in models.Order.objects.order_by("key"))
    assert (first.paid, first.cancelled, dict(first.requisites)["Номер по 1С"]) == (True, False, "УТ-1")
    assert second.cancelled is True
    assert (
        models.Link.objects.get(connection=connection, kind="order", external_id="guid-1").record_id
        == models.Order.objects.get(key="1001").pk
    )
    parked = models.Parked.objects.get()
    assert (parked.kind, parked.external_id, parked.waiting_kind) == ("order", "guid-404", "order")
    run = runs.load_folder(connection, put(tmp_path, orders=text.replace("10:00:00", "10:00:01")))
    assert {k: v for k, v in run.counts.items() if v} == {"unchanged": 2, "parked": 1}


@pytest.mark.parametrize("value", ["1e90", "-100000000000000", "99999999999999.99999"])
def test_a_number_that_no_column_holds_is_refused_on_every_database(value: str) -> None:
    """SQLite keeps it, and then no page of orders can be read any more."""
    save_order(order())
    with pytest.raises(DataError):
        save_order(order("1002", total=Decimal(value)))
    with pytest.raises(DataError):
        save_orders([order("1003", lines=(replace(LINE, price=Decimal(value)),))])
    assert [o.key for o in orders_records(models.Order.objects.all())] == ["1001"]
    assert save_order(order("1004", total=Decimal("99999999999999.9999")))[1] is True
