"""Orders and payments from the books to the CRM (facts §1.14, §1.15), over real HTTP against the sandbox."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.retailcrm_kit import CUP, DISH, MUG, START, Kit, running
from obmen.core.contract import MissingLink, TryLater
from obmen.core.records import Counterparty, Delivery, Kind, Order, OrderLine, Payment, Subject

OWN = Order(
    key="own-1", number="АСФР-000012", date=START, state="our-new", currency="RUB", total=Decimal(450),
    counterparty=Counterparty("buyer-1", "Сидоров Пётр", last_name="Сидоров", first_name="Пётр", phone="84957770011", email="p@example.com"),
    lines=(
        OrderLine(CUP, "Чашка", Decimal(2), Decimal(100), Decimal(200)),
        OrderLine(MUG, "Кружка", Decimal(1), Decimal(250), Decimal(250)),
    ),
)  # fmt: skip
OWN_ON: dict[str, Any] = {"send_own": True}


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    with running(tmp_path) as running_kit:
        yield running_kit


def loaded(kit: Kit, *items: Any, **fields: Any) -> int:
    """An order made in the CRM and loaded into the books; its id there."""
    made = kit.ui.create_order(items or [(CUP, 2), (MUG, 1)], firstName="Иван", phone="84951112233", **fields)
    kit.load()
    return int(made["id"])


def own(kit: Kit, order: Order = OWN, ident: int = 501) -> tuple[int, int, Order]:
    kit.store.books[ident] = order
    return ident, 1, order


def posts(kit: Kit, path: str = "/orders") -> list[Any]:
    return list(kit.asked(path, "POST"))


# --- edits -----------------------------------------------------------------------------------------------------------------


def test_f02_nothing_is_sent_of_an_order_that_does_not_differ(kit: Kit) -> None:
    number = loaded(kit)
    assert kit.send("orders-out", kit.change(number)) == Counter(unchanged=1)
    assert posts(kit) == []


def test_st02_a_changed_state_goes_as_the_status_of_the_first_row_that_maps_it_and_nothing_else_goes(kit: Kit) -> None:
    number = loaded(kit)
    assert kit.send("orders-out", kit.change(number, state="our-send-to-assembling")) == Counter(updated=1)
    (call,) = posts(kit)
    assert (call.path, call.form) == (
        f"/api/v5/orders/{number}/edit",
        {"by": "id", "site": "shop", "order": {"status": "send-to-assembling"}},
    )
    assert kit.account.order(number)["status"] == "send-to-assembling"


def test_st02_a_state_that_is_not_mapped_changes_no_status_and_is_told(kit: Kit) -> None:
    number = loaded(kit)
    assert kit.send("orders-out", kit.change(number, state="somewhere")) == Counter(unchanged=1)
    assert posts(kit) == []
    assert any("somewhere" in text for _level, text in kit.hub.reported)


def test_our_own_change_does_not_come_back_as_news(kit: Kit) -> None:
    """Scenario 5: echo."""
    number = loaded(kit)
    kit.send("orders-out", kit.change(number, state="our-send-to-assembling"))
    before = len(kit.asked("/orders"))
    assert kit.load() == Counter()
    assert [c.path for c in kit.asked("/orders")[before:]] == ["/api/v5/orders/history"]


def test_what_the_crm_does_by_itself_after_our_change_is_recognised_as_known(kit: Kit) -> None:
    """The status “complete” makes the CRM change the lines' statuses, in its own name; its answer has shown us that already."""
    number = loaded(kit)
    kit.send("orders-out", kit.change(number, state="our-complete"))
    assert kit.load() == Counter(unchanged=2)


def test_a_change_of_theirs_that_we_have_not_read_yet_is_not_lost_by_our_writing(kit: Kit) -> None:
    """Scenario 5: own edit and foreign change of one order between two loads."""
    number = loaded(kit)
    kit.ui.edit(number, customerComment="позвонить")
    kit.send("orders-out", kit.change(number, state="our-complete"))
    assert kit.load() == Counter(updated=1, unchanged=1)
    assert kit.store.order(number).comment == "#позвонить"


def test_lines_go_whole_with_their_ids_and_discounts_for_one_unit_to_the_kopeck(kit: Kit) -> None:
    """§1.14, complaint 3: 10.00 off three cups is 3.33 for one and a kopeck of the order."""
    number = loaded(kit, (CUP, 3), (MUG, 1))
    cup, mug = kit.store.order(number).lines
    lines = (replace(cup, total=Decimal(290), discount=Decimal(10)), replace(mug, quantity=Decimal(2), total=Decimal(500)))
    assert kit.send("orders-out", kit.change(number, lines=lines, total=Decimal(790))) == Counter(updated=1)
    sent = posts(kit)[0].form["order"]
    assert sent == {
        "items": [
            {"id": int(cup.key), "offer": {"xmlId": "УТ-1"}, "productName": "Чашка", "initialPrice": 100, "quantity": 3,
             "discountManualAmount": Decimal("3.33"), "discountManualPercent": 0, "externalIds": [{"code": "obmen", "value": f"{CUP}/1"}]},
            {"id": int(mug.key), "offer": {"xmlId": "УТ-2"}, "productName": "Кружка", "initialPrice": 250, "quantity": 2,
             "discountManualAmount": 0, "discountManualPercent": 0, "externalIds": [{"code": "obmen", "value": f"{MUG}/1"}]},
        ],
        "discountManualAmount": Decimal("0.01"),
        "discountManualPercent": 0,
    }  # fmt: skip
    assert kit.account.order(number)["totalSumm"] == 790
    assert [i["id"] for i in kit.account.order(number)["items"]] == [int(cup.key), int(mug.key)]


def test_a_discount_of_the_order_is_not_taken_off_twice_when_its_lines_are_sent(kit: Kit) -> None:
    """Complaint 3: discountTotal of a line holds its share of the order's discount already."""
    number = loaded(kit, (CUP, 2), (MUG, 2), discountManualPercent=10)
    cup, mug = kit.store.order(number).lines
    assert (cup.total, mug.total) == (Decimal(180), Decimal(450))
    kit.send("orders-out", kit.change(number, lines=(cup, replace(mug, quantity=Decimal(1), total=Decimal(225)))))
    assert kit.account.order(number)["totalSumm"] == 405


def test_a_line_that_is_taken_out_here_goes_there_and_one_that_is_cancelled_there_stays_there(kit: Kit) -> None:
    number = loaded(kit, (CUP, 1), (MUG, 1), (DISH, 1))
    ids = [i["id"] for i in kit.account.order(number)["items"]]
    kit.ui.edit(number, items=[{"id": ids[0]}, {"id": ids[1]}, {"id": ids[2], "status": "out-of-stock"}])
    kit.load()
    _cup, mug = kit.store.order(number).lines
    kit.send("orders-out", kit.change(number, lines=(mug,)))
    assert [(i["id"], i.get("isCanceled", False)) for i in kit.account.order(number)["items"]] == [
        (ids[1], False),
        (ids[2], True),
    ]


def test_a_new_line_gets_its_id_from_the_answer(kit: Kit) -> None:
    number = loaded(kit, (CUP, 1))
    (cup,) = kit.store.order(number).lines
    new = OrderLine(DISH, "Блюдо", Decimal(2), Decimal(33), Decimal(66))
    ident, version, order = kit.change(number, lines=(cup, new))
    kit.send("orders-out", (ident, version, order))
    there = kit.account.order(number)["items"]
    assert [i["offer"]["xmlId"] for i in there] == ["УТ-1", "УТ-3"]
    assert [line.key for line in kit.store.copies[ident].lines] == [str(i["id"]) for i in there]


def test_scenario_14_lines_of_one_offer_are_joined_only_where_the_account_does_not_allow_several(kit: Kit) -> None:
    number = loaded(kit, (CUP, 2))
    (cup,) = kit.store.order(number).lines
    twice = (cup, OrderLine(CUP, "Чашка", Decimal(1), Decimal(100), Decimal(80)))
    kit.send("orders-out", kit.change(number, lines=twice, total=Decimal(280)))
    assert [(i["quantity"], i["initialPrice"]) for i in kit.account.order(number)["items"]] == [(2, 100), (1, 100)]
    other = loaded(kit, (CUP, 2))
    (cup,) = kit.store.order(other).lines
    kit.account.account.settings.split_lines = False
    kit.send("orders-out", kit.change(other, lines=(cup, replace(twice[1])), total=Decimal(280)))
    assert [(i["quantity"], i["id"]) for i in kit.account.order(other)["items"]] == [(3, int(cup.key))]
    assert kit.account.order(other)["totalSumm"] == 280
    assert sum("were joined" in text for _level, text in kit.hub.reported) == 1


@pytest.mark.parametrize("field", ["cancelled", "deleted"])
def test_st07_cancelling_or_deleting_here_fails_every_line_there_whatever_the_table_says(kit: Kit, field: str) -> None:
    """ST-07, scenario 17."""
    number = loaded(kit)
    assert kit.send("orders-out", kit.change(number, **{field: True})) == Counter(updated=1)
    there = kit.account.order(number)
    assert (there["status"], there["shipped"], [i["status"] for i in there["items"]]) == ("cancel-other", False, ["failure"] * 2)
    assert kit.send("orders-out", kit.change(number, **{field: True})) == Counter(unchanged=1)


def test_an_order_that_is_taken_up_again_has_its_lines_again(kit: Kit) -> None:
    number = loaded(kit)
    kit.send("orders-out", kit.change(number, cancelled=True))
    kit.send("orders-out", kit.change(number, cancelled=False))
    there = kit.account.order(number)
    assert (there["status"], [i["status"] for i in there["items"]], there["totalSumm"]) == ("new", ["new", "new"], 450)


def test_delivery_manager_and_store_go_as_the_tables_say(kit: Kit) -> None:
    """W-05, MG-06, D-01."""
    kit.hub.map("both", Subject.MANAGER, "20", "anna")
    kit.hub.map("both", Subject.WAREHOUSE, "second", "far")
    kit.hub.map("both", Subject.DELIVERY, "courier", "carrier")
    number = loaded(kit)
    order = kit.store.order(number)
    assert order.delivery is not None
    delivery = replace(order.delivery, method_key="carrier", price=Decimal("99.90"))
    kit.send("orders-out", kit.change(number, manager="anna", warehouse="far", delivery=delivery))
    assert posts(kit)[0].form["order"] == {
        "delivery": {"cost": Decimal("99.9"), "code": "courier"},
        "managerId": 20,
        "shipmentStore": "second",
    }


def test_a_tracking_number_travels_back_once(kit: Kit) -> None:
    number = loaded(kit, delivery={"code": "courier", "cost": 300})
    order = kit.store.order(number)
    assert order.delivery is not None
    changed = kit.change(number, delivery=replace(order.delivery, tracking="20450000000001"))
    kit.send("orders-out", changed)
    assert posts(kit)[0].form["order"] == {"delivery": {"data": {"trackNumber": "20450000000001"}}}
    there = kit.account.order(number)["delivery"]
    assert (there["data"]["trackNumber"], there["code"], there["cost"]) == ("20450000000001", "courier", 300)
    kit.load()
    kit.send("orders-out", changed)
    assert len(posts(kit)) == 1


def test_the_managers_comment_is_never_wiped(kit: Kit) -> None:
    """Defect of the module: managerComment was emptied by every export."""
    number = loaded(kit, managerComment="важный клиент", customerComment="привет")
    kit.send("orders-out", kit.change(number, comment="другое", state="our-complete"))
    assert kit.account.order(number)["managerComment"] == "важный клиент"
    assert kit.account.order(number)["customerComment"] == "привет"


@pytest.mark.parametrize(("rule", "field"), [("customer", "customerComment"), ("manager", "managerComment")])
def test_a_comment_is_sent_only_as_the_setting_says_and_without_the_mark(kit: Kit, rule: str, field: str) -> None:
    number = loaded(kit)
    kit.send("orders-out", kit.change(number, comment="#новое"), send_comment=rule)
    assert posts(kit)[0].form["order"] == {field: "новое"}


def test_our_number_goes_into_a_custom_field_once(kit: Kit) -> None:
    """§1.14: customFields.nomer1c."""
    number = loaded(kit)
    known = kit.store.order(number).requisites
    change = kit.change(number, requisites=(*known, ("Номер по 1С", "АСФР-000007")))
    assert kit.send("orders-out", change, number_field="nomer1c") == Counter(updated=1)
    assert kit.account.order(number)["customFields"] == {"nomer1c": "АСФР-000007"}
    assert kit.send("orders-out", change, number_field="nomer1c") == Counter(unchanged=1)


def test_a_refusal_names_the_field_and_concerns_one_order_only(kit: Kit) -> None:
    """§1.14: the module said only “difficulties”."""
    first, second = loaded(kit), loaded(kit)
    kit.hub.map("both", Subject.ORDER_STATE, "no-such", "gone")
    counts = kit.send("orders-out", kit.change(first, state="gone"), kit.change(second, state="our-complete"))
    assert counts == Counter(updated=1, parked=1)
    ((_where, error),) = kit.store.parked.values()
    assert "Errors in the entity format; status: This value is not valid." in str(error)


def test_an_order_that_is_deleted_there_is_said_to_be(kit: Kit) -> None:
    number = loaded(kit)
    kit.ui.delete_order(number)
    assert kit.send("orders-out", kit.change(number, state="our-complete")) == Counter(parked=1)
    ((_where, error),) = kit.store.parked.values()
    assert "is no longer in the CRM" in str(error)


def test_goods_without_the_id_are_named_and_nothing_is_sent(kit: Kit) -> None:
    number = loaded(kit, (CUP, 1))
    (cup,) = kit.store.order(number).lines
    card = kit.hub.books.all_goods[2]
    kit.hub.books.all_goods[2] = replace(card, product=replace(card.product, code=""))
    kit.send("orders-out", kit.change(number, lines=(cup, OrderLine(DISH, "Блюдо", Decimal(1), Decimal(33), Decimal(33)))))
    ((_where, error),) = kit.store.parked.values()
    assert str(error).startswith("“Блюдо” has no code")
    assert posts(kit) == []


def test_an_edit_whose_answer_was_lost_is_sent_again_at_once(kit: Kit) -> None:
    number = loaded(kit)
    kit.account.fault("lost", path=f"/orders/{number}/edit")
    assert kit.send("orders-out", kit.change(number, state="our-complete")) == Counter(updated=1)
    assert kit.account.order(number)["status"] == "complete"


# --- orders that were made here ----------------------------------------------------------------------------------------------


def test_orders_made_here_stay_here_unless_the_switch_is_on(kit: Kit) -> None:
    """§1.14 and seed §7: «Заказы, созданные в 1С, не выгружаются»; §1.16.2."""
    assert kit.send("orders-out", own(kit)) == Counter(unchanged=1)
    assert kit.account.all_orders() == []


def test_an_order_made_here_is_made_there_with_its_customer_lines_and_our_key(kit: Kit) -> None:
    kit.hub.map("both", Subject.DELIVERY, "courier", "carrier")
    order = replace(
        OWN, delivery=Delivery(method_key="carrier", price=Decimal(300), address="Москва, Мира 1"), total=Decimal(750)
    )
    kind = list(kit.account.account.references["order-types"])[-1]
    assert kit.send("orders-out", own(kit, order), own_method="phone", own_type=kind, **OWN_ON) == Counter(created=1)
    (there,) = kit.account.all_orders()
    assert there["orderType"] == kind
    assert (there["externalId"], there["number"], there["status"], there["orderMethod"], there["totalSumm"]) == (
        "obmen-own-1", "АСФР-000012", "new", "phone", 750,
    )  # fmt: skip
    assert there["createdAt"] == "2026-03-02 12:00:00"
    assert (there["delivery"]["code"], there["delivery"]["address"]["text"]) == ("courier", "Москва, Мира 1")
    assert (there["customer"]["lastName"], there["customer"]["phones"]) == ("Сидоров", [{"number": "84957770011"}])
    assert [(i["offer"]["xmlId"], i["quantity"]) for i in there["items"]] == [("УТ-1", 2), ("УТ-2", 1)]
    assert kit.store.links_by_record(Kind.ORDER, [501])[501].external_id == str(there["id"])
    assert kit.load() == Counter()  # what we made does not come back


def test_the_created_orders_copy_says_our_key_back(kit: Kit) -> None:
    kit.send("orders-out", own(kit), **OWN_ON)
    assert kit.store.copies[501].known_as == "own-1"


@pytest.mark.parametrize("fault", ["lost", "truncated", "html"])
def test_scenario_11_an_order_whose_answer_was_lost_is_looked_up_and_not_made_twice(kit: Kit, fault: str) -> None:
    kit.account.fault(fault, path="/orders/create")
    with pytest.raises(TryLater):
        kit.send("orders-out", own(kit), **OWN_ON)
    changed = replace(OWN, state="our-complete")
    assert kit.send("orders-out", own(kit, changed), **OWN_ON) == Counter(created=1)
    (there,) = kit.account.all_orders()
    assert there["status"] == "complete"  # changed here since
    assert len(posts(kit, "/orders/create")) == 1
    kit.account.assert_no_duplicates()


def test_a_customer_is_found_by_mail_or_phone_exactly_and_made_only_when_unknown(kit: Kit) -> None:
    known = kit.ui.create_customer(firstName="Пётр", phones=[{"number": "84957770011"}])
    kit.ui.create_customer(firstName="Другой", phones=[{"number": "84957770011 доб. 5"}])
    kit.send("orders-out", own(kit), **OWN_ON)
    assert kit.account.all_orders()[0]["customer"]["id"] == known
    assert posts(kit, "/customers") == []


def test_two_customers_with_one_phone_are_a_question_for_a_person(kit: Kit) -> None:
    for name in ("Пётр", "Петр"):
        kit.ui.create_customer(firstName=name, phones=[{"number": "84957770011"}])
    assert kit.send("orders-out", own(kit), **OWN_ON) == Counter(parked=1)
    assert kit.account.all_orders() == []


def test_a_company_is_made_as_a_corporate_customer_once(kit: Kit) -> None:
    """F-08."""
    firm = Counterparty("firm-1", "ООО Рога", kind="company", full_name="ООО «Рога и копыта»", inn="7701234567", kpp="770101001")
    first = own(kit, replace(OWN, counterparty=firm))
    second = own(kit, replace(OWN, key="own-2", number="13", counterparty=firm), 502)
    assert kit.send("orders-out", first, second, **OWN_ON) == Counter(created=2)
    one, two = kit.account.all_orders()
    assert one["customer"]["id"] == two["customer"]["id"]
    assert (one["customer"]["type"], one["company"]["contragent"]["INN"]) == ("customer_corporate", "7701234567")
    assert len(posts(kit, "/customers-corporate")) == 1


def test_without_corporate_customers_the_legal_data_stand_in_the_order(kit: Kit) -> None:
    """F-08 off."""
    firm = Counterparty("firm-1", "ООО Рога", kind="company", inn="7701234567", phone="84957770011")
    kit.send("orders-out", own(kit, replace(OWN, counterparty=firm)), corporate=False, **OWN_ON)
    (there,) = kit.account.all_orders()
    assert (there["customer"]["type"], there["contragent"]["contragentType"], there["contragent"]["INN"]) == (
        "customer", "legal-entity", "7701234567",
    )  # fmt: skip


def test_orders_made_before_the_date_are_not_sent(kit: Kit) -> None:
    assert kit.send("orders-out", own(kit), own_from="2026-03-03", **OWN_ON) == Counter(unchanged=1)
    assert kit.send("orders-out", own(kit), own_from="2026-03-02", **OWN_ON) == Counter(created=1)


def archive(kit: Kit, count: int) -> list[tuple[int, int, Order]]:
    return [own(kit, replace(OWN, key=f"own-{n}", number=str(n)), 500 + n) for n in range(count)]


def test_an_archive_goes_fifty_orders_in_a_call(kit: Kit) -> None:
    """§1.16.3, seed §7: «Для выгрузки архива заказов требуется дополнительная обработка»."""
    assert kit.send("orders-out", *archive(kit, 51), archive=True, **OWN_ON) == Counter(created=51)
    assert [len(c.form["orders"]) for c in posts(kit, "/orders/upload")] == [50]
    assert len(posts(kit, "/orders/create")) == 1  # the fifty-first is no archive
    assert len(kit.account.all_orders()) == 51


def test_of_an_archive_that_is_refused_in_part_the_rest_is_taken_and_the_refused_are_told(kit: Kit) -> None:
    kit.account.fault("partial", path="/orders/upload")
    assert kit.send("orders-out", *archive(kit, 4), archive=True, **OWN_ON) == Counter(created=2, parked=2)
    assert len(kit.account.all_orders()) == 2


def test_what_of_an_archive_exists_already_is_linked(kit: Kit) -> None:
    """Link of “already exists”, UT 11.5."""
    kit.account.fault("lost", path="/orders/upload")
    with pytest.raises(TryLater):
        kit.send("orders-out", *archive(kit, 3), archive=True, **OWN_ON)
    kit.store.intents.clear()  # not even a note of it
    assert kit.send("orders-out", *archive(kit, 3), archive=True, **OWN_ON) == Counter(created=3)
    assert len(kit.account.all_orders()) == 3
    kit.account.assert_no_duplicates()


# --- payments ----------------------------------------------------------------------------------------------------------------

PAY: dict[str, Any] = {"send_payments": True}


def table(kit: Kit) -> None:
    kit.hub.map("out", Subject.PAYMENT_KIND, "cash", "", document="cash")
    kit.hub.map("out", Subject.PAYMENT_KIND, "bank-card", "", document="card", terminal="t-1")
    kit.hub.map("out", Subject.PAYMENT_KIND, "e-money", "", document="card", terminal="t-2")


def paid(order: int | str, document: str = "cash", key: str = "p-1", **more: Any) -> tuple[int, int, Payment]:
    pairs = (("Документ", document), *more.pop("requisites", ()))
    payment = Payment(
        key, Decimal("100.50"), date=datetime(2026, 3, 2, 10, tzinfo=UTC), paid=True, order=str(order), requisites=pairs
    )
    return 900, 1, replace(payment, **more)


def test_f07_a_payment_is_made_with_our_key_and_later_edited(kit: Kit) -> None:
    """F-07, scenario 11."""
    table(kit)
    number = loaded(kit)
    assert kit.send("payments-out", paid(number), **PAY) == Counter(created=1)
    (there,) = kit.account.order(number)["payments"].values()
    assert {k: there[k] for k in ("type", "status", "amount", "paidAt", "externalId")} == {
        "type": "cash", "status": "paid", "amount": Decimal("100.5"), "paidAt": "2026-03-02 13:00:00", "externalId": "obmen-p-1",
    }  # fmt: skip
    ident, _version, payment = paid(number, amount=Decimal(90))
    assert kit.send("payments-out", (ident, 2, payment), **PAY) == Counter(updated=1)
    (there,) = kit.account.order(number)["payments"].values()
    assert there["amount"] == 90


def test_a_payment_that_is_undone_here_is_not_paid_there_and_never_deleted(kit: Kit) -> None:
    table(kit)
    number = loaded(kit)
    kit.send("payments-out", paid(number), **PAY)
    ident, _version, payment = paid(number, paid=False)
    kit.send("payments-out", (ident, 2, payment), **PAY)
    (there,) = kit.account.order(number)["payments"].values()
    assert there["status"] == "not-paid"


@pytest.mark.parametrize("fault", ["lost", "truncated", "html"])
def test_scenario_11_a_payment_whose_answer_was_lost_is_not_made_twice(kit: Kit, fault: str) -> None:
    table(kit)
    number = loaded(kit)
    kit.account.fault(fault, path="/payments/create")
    with pytest.raises(TryLater):
        kit.send("payments-out", paid(number), **PAY)
    assert kit.send("payments-out", paid(number), **PAY) == Counter(created=1)
    assert len(kit.account.order(number)["payments"]) == 1
    kit.account.assert_no_duplicates()


@pytest.mark.parametrize(
    ("document", "requisites", "code"),
    [
        ("cash", (), "cash"),
        ("Поступление в кассу", (), "cash"),
        ("Эквайринговая операция", (("Терминал", "t-2"),), "e-money"),
        ("card", (("Терминал", "t-1"),), "bank-card"),
        ("card", (("ТипОплаты", "bank-transfer"),), "bank-transfer"),
    ],
)
def test_the_type_of_a_payment_is_its_own_else_that_of_its_document_and_terminal(
    kit: Kit, document: str, requisites: Any, code: str
) -> None:
    """§1.15, O-02."""
    table(kit)
    number = loaded(kit)
    kit.send("payments-out", paid(number, document, requisites=requisites), **PAY)
    (there,) = kit.account.order(number)["payments"].values()
    assert there["type"] == code


def refused(kit: Kit, *record: Any, **settings: Any) -> str:
    assert kit.send("payments-out", *record, **PAY, **settings) == Counter(parked=1)
    ((_where, error),) = kit.store.parked.values()
    return str(error)


def test_payments_that_cannot_go_say_why(kit: Kit) -> None:
    """Appendix F: pay.outNoTable, pay.outNoRow, pay.outNoOrder, pay.outNoBase."""
    number = loaded(kit)
    assert refused(kit, paid(number)).startswith("The payment was not sent, the table of payments is empty")
    table(kit)
    assert "has no row for this kind of document (bank)" in refused(kit, paid(number, "bank"))
    assert refused(kit, paid("")) == "The payment names no order: it is not sent"
    kit.store.books[700] = replace(OWN, key="not-there")
    assert refused(kit, paid("not-there"), send_own=True).startswith("The order of the payment is not in the CRM")
    assert isinstance(next(iter(kit.store.parked.values()))[1], MissingLink)


def test_a_payment_of_an_order_that_is_never_sent_there_is_not_sent_either(kit: Kit) -> None:
    """§1.15: «Документ-основание платежа отсутствует в RetailCRM»: told once, nothing waits."""
    table(kit)
    kit.store.books[700] = replace(OWN, key="not-there")
    assert kit.send("payments-out", paid("not-there"), **PAY) == Counter(unchanged=1)
    assert kit.store.parked == {}
    assert kit.hub.reported["info", "A payment belongs to an order that is not in the CRM: it is not sent"] == 1


def test_a_payment_of_which_no_document_is_known_takes_the_only_row(kit: Kit) -> None:
    """1C:UT says that an order is paid, and not by what."""
    kit.hub.map("out", Subject.PAYMENT_KIND, "cash", "cash", document="cash")
    number = loaded(kit)
    kit.send("payments-out", paid(number, ""), **PAY)
    (there,) = kit.account.order(number)["payments"].values()
    assert there["type"] == "cash"


def test_a_type_that_the_delivery_does_not_allow_is_told_in_the_crms_words(kit: Kit) -> None:
    """Complaint 5."""
    table(kit)
    number = loaded(kit, delivery={"code": "courier"})
    kit.account.account.references["delivery-types"]["courier"]["paymentTypes"] = ["bank-card"]
    assert "This payment type is not supported for the type of delivery" in refused(kit, paid(number))


def test_payments_are_sent_only_when_the_setting_is_on(kit: Kit) -> None:
    """F-07, O-01."""
    assert [s.stream for s in kit.connector().sinks()] == ["orders-out", "stock-out"]
    assert [s.stream for s in kit.connector(send_payments=True, price_types=True).sinks()] == [
        "orders-out", "payments-out", "stock-out", "prices-out",
    ]  # fmt: skip
