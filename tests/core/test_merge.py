"""Both sides change one order: what each of them changed is kept, and nothing else is overwritten."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from obmen.core.orders import merge
from obmen.core.records import Delivery, Order, OrderLine, Payment

LINE = OrderLine("p1", "Cup", Decimal(2), Decimal(10), Decimal(20), key="501")
FIRST = Order(
    key="138", number="138C", date=datetime(2026, 11, 2, tzinfo=UTC), state="new", total=Decimal(20), lines=(LINE,),
    delivery=Delivery(method="Courier", price=Decimal(5)), payments=(Payment("7", Decimal(20)),), requisites=(("Сайт", "shop"),),
    manager="anna",
)  # fmt: skip


def test_a_state_that_only_we_changed_survives_their_news() -> None:
    ours = replace(FIRST, state="shipped")
    theirs = replace(FIRST, manager="boris")
    merged = merge(ours, FIRST, theirs)
    assert merged.order == replace(FIRST, state="shipped", manager="boris")
    assert merged.conflicts == ()


def test_without_a_word_of_theirs_from_before_all_of_theirs_is_news() -> None:
    ours = replace(FIRST, key="own", state="shipped")
    assert merge(ours, None, replace(FIRST, known_as="own")).order == replace(FIRST, key="own")


def test_where_both_changed_a_field_theirs_counts_and_the_conflict_is_told() -> None:
    ours, theirs = replace(FIRST, state="shipped"), replace(FIRST, state="cancelled")
    merged = merge(ours, FIRST, theirs)
    assert (merged.order.state, merged.conflicts) == ("cancelled", (("state", "shipped", "cancelled"),))


def test_where_both_changed_a_field_ours_counts_when_the_settings_say_so() -> None:
    merged = merge(replace(FIRST, state="shipped"), FIRST, replace(FIRST, state="cancelled"), keep_ours=True)
    assert (merged.order.state, merged.conflicts) == ("shipped", (("state", "shipped", "cancelled"),))


def test_both_sides_come_to_the_same_without_a_conflict() -> None:
    both = replace(FIRST, state="shipped")
    assert merge(both, FIRST, both).conflicts == ()


def test_a_payment_of_ours_stays_beside_theirs() -> None:
    cash = Payment("cash-1", Decimal(3), paid=True)
    ours = replace(FIRST, payments=(*FIRST.payments, cash))
    theirs = replace(FIRST, payments=(replace(FIRST.payments[0], paid=True), Payment("8", Decimal(1))))
    assert merge(ours, FIRST, theirs).order.payments == (
        Payment("7", Decimal(20), paid=True),
        cash,
        Payment("8", Decimal(1)),
    )


def test_a_payment_that_they_deleted_goes_and_one_that_we_numbered_keeps_its_number() -> None:
    ours = replace(FIRST, payments=(replace(FIRST.payments[0], number="12"),))
    assert merge(ours, FIRST, replace(FIRST, payments=())).order.payments == ()
    paid = replace(FIRST, payments=(replace(FIRST.payments[0], paid=True),))
    assert merge(ours, FIRST, paid).order.payments == (Payment("7", Decimal(20), number="12", paid=True),)


def test_requisites_are_merged_name_by_name() -> None:
    ours = replace(FIRST, requisites=(("Сайт", "shop"), ("Номер по 1С", "77")))
    theirs = replace(FIRST, requisites=(("Сайт", "other"), ("Операция", "sale")))
    assert merge(ours, FIRST, theirs).order.requisites == (("Сайт", "other"), ("Номер по 1С", "77"), ("Операция", "sale"))


def test_a_tracking_number_of_ours_survives_their_new_price_of_delivery() -> None:
    ours = replace(FIRST, delivery=replace(FIRST.delivery, tracking="TTN1"))
    theirs = replace(FIRST, delivery=replace(FIRST.delivery, price=Decimal(9)))
    assert merge(ours, FIRST, theirs).order.delivery == Delivery(method="Courier", price=Decimal(9), tracking="TTN1")


def test_lines_that_differ_only_in_their_ids_make_no_conflict() -> None:
    ours = replace(FIRST, lines=(replace(LINE, key="", name="Cup, blue"),))
    theirs = replace(FIRST, lines=(replace(LINE, key="777"),))
    merged = merge(ours, FIRST, theirs)
    assert (merged.order.lines, merged.conflicts) == ((replace(LINE, key="777"),), ())
