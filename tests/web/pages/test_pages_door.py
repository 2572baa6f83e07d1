"""The door as people set it up: the instructions of GetMeBack, Olvery and CS-Cart followed in a browser, with real calls behind."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import books
import getmeback
import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from lxml import etree
from playwright.sync_api import expect
from waiting import settled

from obmen.core.records import Counterparty, Order, OrderLine, Payment
from obmen.sandbox.onec.base import Base
from obmen.sandbox.onec.client import Address, Call, Client, Fault, Step
from obmen.sandbox.onec.generate import Manifest, Spec, generate
from obmen.sandbox.onec.profiles import PROFILES
from obmen.sandbox.onec.run import pull, push
from obmen.store import accounts, connections, models, notes
from obmen.store.orders import save_order
from obmen.web import doors
from obmen.work import jobs
from obmen.work.run import execute

pytestmark = [pytest.mark.page, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def people(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    settings.MEDIA_ROOT, settings.OBMEN_HOME = tmp_path / "media", tmp_path / "home"
    settings.OBMEN_HOME.mkdir()
    monkeypatch.setattr(doors, "_verified", type(doors._verified)())
    return books.people()


def work(call: Call) -> None:
    """The worker's share, done between two calls of the node; the door answers "progress" meanwhile."""
    if call.step.mode == "import" and (run := jobs.claim("worker")) is not None:
        execute(run.pk, "worker")


def moysklad(address: str, password: str = getmeback.PASSWORD) -> Client:
    return Client(PROFILES["moysklad"], Address.parse(address), getmeback.LOGIN, password, watch=work, sleep=lambda _s: None)


def goods(folder: Path, **changes: Any) -> Manifest:
    return generate(Spec(layout="moysklad", products=12, groups=6, deleted=0.0, **changes), folder)


def an_hour_later(connection: models.Connection) -> None:
    load = notes.recall(connection, "load")
    notes.remember(connection, "load", load | {k: str(timezone.now() - timedelta(minutes=61)) for k in ("start", "last")})


def said(report: Any) -> list[str]:
    return [str(f.facts["answer"]) for f in report.failures]


def silent(_name: str) -> None: ...


@pytest.fixture
def received(open_page: Any, people: Any) -> Any:
    """The whole set-up of seed 002 by clicks: (page, the connection, the address that was shown)."""
    page = open_page(people.owner)
    for step in (getmeback.employee, getmeback.group, getmeback.member, getmeback.connection):
        step(page, silent)
    made = models.Connection.objects.get(name=getmeback.NAME)
    address = page.locator("#o-usual").inner_text()
    connections.update(made, {"wait_seconds": 0})  # the test itself is the worker
    return page, made, address


# --- GetMeBack ← МойСклад ----------------------------------------------------------------------------------------------------


def test_an_employee_with_one_permission_is_set_up_by_clicks_and_the_connection_check_succeeds(received: Any) -> None:
    """GM-1, GM-2, GM-3, GM-4, GM-5, GM-6, GM-7, GM-8."""
    page, made, address = received
    employee = User.objects.get(username=getmeback.LOGIN)
    assert (employee.is_staff, employee.is_superuser, made.account) == (True, False, employee)
    assert [g.name for g in employee.groups.all()] == [getmeback.GROUP]
    assert employee.get_all_permissions() == {accounts.PERMISSION}
    assert not User.objects.filter(username=made.slug).exists(), "no second login is left lying about"
    assert address.endswith("/rest/integration/1c_exchange.php")
    expect(page.locator("#o-login")).to_have_text(getmeback.LOGIN)
    for where in (address, page.locator("#o-address").inner_text()):
        client = moysklad(where)
        client.check()  # raises when the answer is not success
        assert client.calls[-1].status == 200
    page.reload()
    expect(page.locator(".o-page")).not_to_contain_text("waits for the first exchange")


def test_a_wrong_password_and_a_permission_taken_away_are_told_to_the_node(received: Any) -> None:
    """GM-3, GM-8: the one permission guards the door."""
    page, _made, address = received
    with pytest.raises(Exception, match="password is wrong"):
        moysklad(address, "something else").check()
    page.goto("/auth/group/")
    page.get_by_role("link", name=getmeback.GROUP, exact=True).click()
    page.get_by_label("Import CommerceML").uncheck()
    with page.expect_navigation():
        page.locator('button[name="_save"]').click()
    with pytest.raises(Exception, match="lacks the permission “Import CommerceML”"):
        moysklad(address).check()


def test_goods_and_summed_stock_come_and_orders_are_answered_politely(received: Any, tmp_path: Path) -> None:
    """GM-9, GM-10, GM-16; CS-C1: the node begins every exchange, the hub none."""
    page, made, address = received
    manifest = goods(tmp_path / "goods", price_kinds=1, characteristics=0.0, warehouses=3)
    client = moysklad(address)
    report = push(client, tmp_path / "goods")
    assert (report.failures, {p.ok for p in report.portions}) == ([], {True})
    assert models.Product.objects.count() == manifest.books["products"]
    stock = models.StockLevel.objects.values_list("warehouse__key", "quantity")
    assert ({key for key, _n in stock}, int(sum(n for _key, n in stock))) == ({""}, manifest.books["quantity"])
    assert int(sum(p.value for p in models.Price.objects.all()) * 100) == manifest.books["price_kopecks"]

    books.order()  # it is in the books, and nobody is told
    base = Base(rules=PROFILES["moysklad"].rules)
    orders = pull(client, base)
    assert (orders.failures, orders.created, [c.status for c in orders.calls]) == ([], [], [200] * len(orders.calls))
    page.goto(f"/store/connection/{made.pk}/change/")
    expect(page.locator(".o-page")).to_contain_text("Runs")
    assert not models.Outbox.objects.filter(connection=made).exists()


def test_a_second_load_within_the_hour_is_refused_with_the_minutes_left(received: Any, tmp_path: Path) -> None:
    """GM-11."""
    _page, made, address = received
    goods(tmp_path / "goods", price_kinds=1, characteristics=0.0)
    assert push(moysklad(address), tmp_path / "goods").ok
    changed = goods(tmp_path / "changed", price_kinds=1, characteristics=0.0, change=1.0)
    assert changed.books["products"] == 12
    before = sorted(models.Product.objects.values_list("name", flat=True))
    again = push(moysklad(address), tmp_path / "changed")
    assert said(again) == ["Too early: goods are taken once in 60 min here. Come back in 60 min."]
    assert sorted(models.Product.objects.values_list("name", flat=True)) == before
    an_hour_later(made)
    assert push(moysklad(address), tmp_path / "changed").ok
    assert sorted(models.Product.objects.values_list("name", flat=True)) != before


def test_modifications_that_are_sent_all_the_same_corrupt_nothing(received: Any, tmp_path: Path) -> None:
    """GM-12."""
    _page, _made, address = received
    goods(tmp_path / "goods", price_kinds=1, characteristics=0.5)
    assert push(moysklad(address), tmp_path / "goods").ok
    assert models.Product.objects.count() == 12
    assert not models.Offer.objects.filter(key__contains="#").exists()
    assert set(models.Product.objects.values_list("pk", flat=True)) >= set(
        models.Offer.objects.values_list("product_id", flat=True)
    )
    assert sum(run.counts.get("left_out", 0) for run in models.Run.objects.all()) > 0


def test_of_several_price_kinds_nothing_is_guessed_until_one_is_chosen_in_the_settings(received: Any, tmp_path: Path) -> None:
    """GM-15."""
    page, made, address = received
    goods(tmp_path / "goods", price_kinds=2, characteristics=0.0)
    push(moysklad(address), tmp_path / "goods")
    assert models.Price.objects.count() == 0
    page.goto(f"/store/connection/{made.pk}/change/")
    expect(page.locator(".o-page")).to_contain_text("where one is expected: choose its id in the settings")
    kind = str(models.Reference.objects.filter(subject="price_kind").order_by("pk").values_list("key", flat=True)[0])
    getmeback.prices(page, silent)
    page.fill('[name="s-price_kind"]', kind)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("body")).to_contain_text("The settings are saved.")
    an_hour_later(made)
    assert push(moysklad(address), tmp_path / "goods").ok
    assert set(models.Price.objects.values_list("kind__key", flat=True)) == {kind}
    assert models.Price.objects.count() == 12


def test_pictures_are_off_and_the_page_warns_that_they_overwrite(received: Any, tmp_path: Path) -> None:
    """GM-13."""
    page, made, address = received
    goods(tmp_path / "goods", price_kinds=1, characteristics=0.0, pictures=1.0)
    assert push(moysklad(address), tmp_path / "goods").ok
    assert models.Picture.objects.count() == 0
    page.goto(f"/store/connection/{made.pk}/settings/")
    page.get_by_role("tab", name="Goods").click()
    expect(page.locator("#field-s-pictures")).to_contain_text("overwrites pictures that people put on the card here")
    page.select_option('[name="s-pictures"]', "replace")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("body")).to_contain_text("The settings are saved.")
    an_hour_later(made)
    assert push(moysklad(address), tmp_path / "goods").ok
    assert models.Picture.objects.count() > 0


def test_only_the_part_below_the_root_category_is_taken(received: Any, tmp_path: Path) -> None:
    """GM-14, GM-17: the id of the root category is pasted into the settings."""
    page, made, address = received
    generate(Spec(layout="moysklad", products=40, groups=30, price_kinds=1), tmp_path / "goods")
    xml = etree.parse(tmp_path / "goods" / "import.xml")
    root = xml.xpath("string(//Группа/Группы/Группа[Группы]/Ид)") or xml.xpath("string(//Группа[Группы]/Ид)")
    tree = "//Группа[Ид=$root]/Группы//Группа/Ид/text()"
    below, top = set(xml.xpath(tree, root=root)), set(xml.xpath("//Группа[Ид=$root]/Группы/Группа/Ид/text()", root=root))
    cards = {c.findtext("Ид") for c in xml.iter("Товар") if {root, *below} & set(c.xpath("Группы/Ид/text()"))}
    assert 0 < len(cards) < 40
    page.goto(f"/store/connection/{made.pk}/settings/")
    page.get_by_role("tab", name="Goods").click()
    page.fill('[name="s-root_group"]', root)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("body")).to_contain_text("The settings are saved.")
    assert push(moysklad(address), tmp_path / "goods").ok
    assert set(models.Group.objects.values_list("key", flat=True)) == below
    assert set(models.Group.objects.filter(parent=None).values_list("key", flat=True)) == top
    assert set(models.Product.objects.values_list("key", flat=True)) == cards


# --- Olvery → 1C -------------------------------------------------------------------------------------------------------------

OLVERY = "{«paymentrules»:[{«status»:«purchased»,«gateway»:«CKassa»}],«paymentmethod_name»:«Оплата картой внешняя»}."
AS_JSON = {"paymentrules": [{"status": "purchased", "gateway": "CKassa"}], "paymentmethod_name": "Оплата картой внешняя"}
SUPPLIER = "ТОВ Ранкова кава"


def sold(number: str, *, gateway: str = "CKassa", state: str = "purchased", company: str = SUPPLIER) -> models.Order:
    """An order of the platform with one payment."""
    card = Payment(
        f"pay-{number}", Decimal(100), method="Card", method_key="card", gateway=gateway, number=f"7{number}", paid=True,
        date=datetime(2026, 3, 1, 9, tzinfo=UTC),
    )  # fmt: skip
    line = OrderLine("guid", "Кава", Decimal(1), Decimal(100), Decimal(100), article="КВ-250")
    order = Order(
        number, number, datetime(2026, 3, 1, 8, tzinfo=UTC), currency="UAH", total=Decimal(100), state=state, company=company,
        counterparty=Counterparty("c-1", "Покупець"), lines=(line,), payments=(card,),
    )  # fmt: skip
    return save_order(order, source=None)[0]


def fill_in(page: Any, *, raw: str = "", company: str = "") -> None:
    if page.locator('[name="s-payment_rules"]').is_hidden():
        page.get_by_text("The same as JSON").click()
    page.fill('[name="s-payment_rules"]', raw)
    page.fill('[name="s-company"]', company)


def add_olvery(page: Any) -> None:
    page.goto("/store/connection/add/")
    page.check('input[value="commerceml_door:olvery"]')
    page.fill("#id_name", "1С Бухгалтерія")
    page.get_by_role("button", name="Add").last.click()
    expect(page.locator("#asked")).to_contain_text("This connection cannot do without them")
    assert not models.Connection.objects.exists()


def test_an_integration_is_added_with_its_json_and_company_and_errors_name_the_key(open_page: Any, people: Any) -> None:
    """OL-1, OL-3, OL-4, OL-5, OL-6, OL-9, OL-12, OL-13."""
    sold("1001")
    page = open_page(people.owner, viewport={"width": 1280, "height": 2800})  # a list closes when the page is scrolled
    page.goto("/store/connection/")
    expect(page.locator("#result_list tbody tr")).to_have_count(0)  # empty by default
    add_olvery(page)

    add = page.get_by_role("button", name="Add").last
    add.click()
    for field in ("payment_rules", "company"):
        expect(page.locator(f"#field-s-{field} .o-error")).to_have_text("This has to be filled in.")
    for raw, error in (
        ("{paymentrules}", "line 1, column 2: this is not JSON"),
        ('{"paymentrules": [{"state": "x"}]}', "paymentrules[0].state is not known, expected status and gateway"),
        ('{"paymentmethod_name": 5}', "paymentmethod_name: expected a text"),
    ):
        fill_in(page, raw=raw, company=SUPPLIER)
        add.click()
        expect(page.locator("#field-s-payment_rules .o-error")).to_contain_text(error)
        expect(page.locator('[name="s-payment_rules"]'), "what was typed is not lost").to_have_value(raw)
        assert not models.Connection.objects.exists()

    page.fill('[name="s-company"]', "ранк")
    expect(page.locator(".o-options > div")).to_have_text(
        [SUPPLIER, "new value: ранк"]
    )  # a list of the suppliers that orders name
    page.locator(".o-options > div").first.click()
    page.fill('[name="s-payment_rules"]', OLVERY)
    add.click()
    expect(page.locator("#credentials")).to_be_visible()
    made = models.Connection.objects.get()
    s = connections.settings_of(made)
    assert (made.connector, made.profile, json.loads(s.payment_rules), s.company) == (
        "commerceml_door",
        "olvery",
        AS_JSON,
        SUPPLIER,
    )

    page.goto(f"/store/connection/{made.pk}/settings/")
    page.get_by_role("tab", name="Orders").click()
    page.get_by_text("The same as JSON").click()
    assert json.loads(page.input_value('[name="s-payment_rules"]')) == AS_JSON, "shown back as valid JSON"
    field = page.locator("#field-s-payment_rules")
    for key, value in (("status", "purchased"), ("gateway", "CKassa")):
        expect(field.locator(f'[name="s-payment_rules-{key}"]').first).to_have_value(value)
    expect(page.locator('[name="s-payment_rules-paymentmethod_name"]')).to_have_value("Оплата картой внешняя")


def test_the_same_settings_are_changed_in_a_form_or_as_json_but_not_both_at_once(open_page: Any, people: Any) -> None:
    """OL-6, OL-7, OL-8: form and raw JSON."""
    books.states()
    made, _password = connections.create(
        "commerceml_door", "1С", profile="olvery", settings={"payment_rules": OLVERY, "company": "x"}
    )

    def rules() -> Any:
        return json.loads(connections.settings_of(models.Connection.objects.get()).payment_rules)

    page = open_page(people.owner)

    def opened() -> Any:
        page.goto(f"/store/connection/{made.pk}/settings/")
        page.get_by_role("tab", name="Orders").click()
        return page.locator("#field-s-payment_rules")

    field = opened()
    field.get_by_role("button", name="Add a row").click()
    field.locator('[name="s-payment_rules-status"]').last.fill("Новий")  # a state of the books by its name
    field.locator('[name="s-payment_rules-gateway"]').last.fill("Cash")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("body")).to_contain_text("The settings are saved.")
    both = {**AS_JSON, "paymentrules": [*AS_JSON["paymentrules"], {"status": "new", "gateway": "Cash"}]}
    assert rules() == both

    field = opened()
    field.get_by_text("The same as JSON").click()
    field.locator('[name="s-payment_rules"]').fill('{"paymentrules": [{"gateway": "Cash"}]}')
    field.locator('[name="s-payment_rules-paymentmethod_name"]').fill("Готівка")
    page.get_by_role("button", name="Save").click()
    expect(field.locator(".o-error")).to_contain_text("change only one of them")
    assert rules() == both

    field = opened()
    field.get_by_text("The same as JSON").click()
    field.locator('[name="s-payment_rules"]').fill('{"paymentrules": [{"gateway": "Cash"}]}')
    page.get_by_role("button", name="Save").click()
    expect(page.locator("body")).to_contain_text("The settings are saved.")
    assert rules() == {"paymentrules": [{"gateway": "Cash"}]}


def test_only_the_role_that_may_finds_the_button_and_nobody_else_gets_through(open_page: Any, people: Any) -> None:
    """OL-2."""
    for person, may in ((people.owner, True), (people.operator, False), (people.viewer, False)):
        page = open_page(person)
        page.goto("/store/connection/")
        assert (settled(page).locator('a[href$="/connection/add/"]').count() > 0) is may, person
        assert page.goto("/store/connection/add/").status == (200 if may else 403)


def test_orders_go_once_until_they_change_and_1c_makes_an_invoice_with_its_payment(open_page: Any, people: Any) -> None:
    """OL-7, OL-8, OL-9, OL-10, OL-11; CS-C2: the order is seen in 1C."""
    made, password = connections.create(
        "commerceml_door", "1С", profile="olvery", settings={"payment_rules": OLVERY, "company": SUPPLIER, "dialect": "unf"}
    )
    assert password is not None
    for number, gateway, state, company in (
        ("1001", "CKassa", "purchased", SUPPLIER),
        ("1002", "Cash", "purchased", SUPPLIER),  # another gateway
        ("1003", "CKassa", "new", SUPPLIER),  # another state
        ("1004", "CKassa", "purchased", "Інша компанія"),
        ("1005", "CKassa", "purchased", SUPPLIER),
    ):
        sold(number, gateway=gateway, state=state, company=company)
    page = open_page(people.owner)
    node, lost = PROFILES["unf-bitrix"], []

    def fault(step: Step) -> Fault | None:
        if step.mode == "success" and not lost:
            lost.append(step)
            return Fault.LOSE_CALL
        return None

    where = Address.parse(page.evaluate("location.origin") + connections.door_path(made))
    assert made.account is not None
    client = Client(node, where, made.account.username, password, sleep=lambda _s: None, fault=fault)
    base = Base(rules=node.rules)
    first = pull(client, base)
    assert (first.created, first.confirmed) == (["1001", "1005"], 0), "the success got lost: nothing counts as exported"
    second = pull(client, base)
    assert (second.updated, second.confirmed) == (["1001", "1005"], 1)
    third = pull(client, base)
    assert (third.created, third.updated) == ([], [])
    invoice = base.order("1001")
    assert [(r.number, r.amount, r.method) for r in invoice.receipts] == [("71001", "100", "Оплата картой внешняя")]
    assert (invoice.total, [x.article for x in invoice.lines]) == (Decimal(100), ["КВ-250"])

    sold("1003")  # bought meanwhile: now a rule fits
    changed = pull(client, base)
    assert (changed.created, changed.updated, changed.ok) == (["1003"], [], True)


# --- CS-Cart-like sending ------------------------------------------------------------------------------------------------------


def outbox() -> list[Any]:
    return list(models.Outbox.objects.order_by("pk").values_list("record_id", "revision", "offered_revision", "offers"))


def test_the_orders_that_would_go_are_looked_at_in_the_browser_as_often_as_one_likes(open_page: Any, people: Any) -> None:
    """CS-B7: the address of the instructions, the XML of the settings, and nothing is moved by looking."""
    made, _password = connections.create("commerceml_door", "1С", profile="cs-cart", settings={"dialect": "cs-cart"})
    books.states()
    for number in ("1001", "1002"):
        sold(number, state="new")
    before = outbox()
    page = open_page(people.owner)

    def seen(address: str) -> str:
        answer = page.context.request.get(address)  # with the cookies of the page, as a further tab would
        assert (answer.status, answer.headers["content-type"]) == (200, "application/xml; charset=utf-8")
        return answer.text()

    usual = seen("/exim_1c?type=sale&mode=query")
    assert etree.fromstring(usual.encode()).xpath("//Документ/Номер/text()") == ["1001", "1002"]
    assert seen("/commerceml?type=sale&mode=query") == usual

    page.goto(f"/store/connection/{made.pk}/settings/")
    page.get_by_role("tab", name="Orders").click()
    page.fill('[name="s-from_number"]', "1002")
    page.locator("#field-s-send_states").get_by_label("Новий").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("body")).to_contain_text("The settings are saved.")
    page.goto(f"/store/connection/{made.pk}/change/")
    shown = page.get_by_role("link", name="See what would be sent now").get_attribute("href")
    assert etree.fromstring(seen(shown).encode()).xpath("//Документ/Номер/text()") == ["1002"]
    assert outbox() == before, "nothing was offered, nothing counts as exported"
    assert not models.Parked.objects.exists()


def test_a_stranger_is_asked_for_a_login_instead_of_shown_the_orders(open_page: Any, people: Any) -> None:
    """CS-B7: the prompt for login and password."""
    connections.create("commerceml_door", "1С", profile="cs-cart")
    sold("1001", state="new")
    answer = open_page().context.request.get("/exim_1c?type=sale&mode=query")
    assert (answer.status, answer.headers["www-authenticate"].partition(" ")[0]) == (401, "Basic")
    assert "1001" not in answer.text()


def test_every_setting_of_orders_is_found_on_its_tab_and_saved(open_page: Any, people: Any) -> None:
    """CS-B1, CS-B2, CS-B3, CS-B4, CS-B5, CS-B6: the tab "Настройки заказов"; the defaults are those of CS-Cart 4.12."""
    made, _password = connections.create("commerceml_door", "1С", profile="cs-cart")
    books.states()
    page = open_page(people.owner)
    page.goto(f"/store/connection/{made.pk}/settings/")
    page.get_by_role("tab", name="Orders").click()
    boxes = {
        "delivery_line": "Delivery as a separate service line",
        "take_states": "Load statuses",
        "send_state": "Send the state",
    }
    for name, label in boxes.items():
        expect(page.locator(f"#field-s-{name}")).to_contain_text(label)
        expect(page.locator(f'[name="s-{name}"]')).to_be_checked()
        page.locator(f'[name="s-{name}"]').uncheck(force=True)
    page.select_option('[name="s-options"]', "id")
    page.fill('[name="s-from_number"]', "1500")
    for state in ("Новий", "Сплачений"):
        page.locator("#field-s-send_states").get_by_label(state).check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("body")).to_contain_text("The settings are saved.")
    s = connections.settings_of(models.Connection.objects.get())
    assert (s.delivery_line, s.options, s.from_number, s.take_states, s.send_state, s.send_states) == (
        False, "id", "1500", False, False, ("new", "paid"),
    )  # fmt: skip
    page.goto(f"/store/connection/{made.pk}/settings/")
    page.get_by_role("tab", name="Orders").click()
    page.fill('[name="s-from_number"]', "later")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#field-s-from_number .o-error")).to_contain_text("'later' has no digits")


def test_an_integration_without_a_name_or_a_class_is_not_made(open_page: Any, people: Any) -> None:
    """OL-4, OL-5: both are required, and Cancel leaves nothing behind."""
    page = open_page(people.owner)
    page.goto("/store/connection/add/")
    page.locator("form.o-stack").evaluate("form => form.noValidate = true")  # the server has the last word
    page.get_by_role("button", name="Add").last.click()
    expect(page.locator("#field-name .o-error")).to_have_text("This field is required.")
    expect(page.locator(".o-page")).to_contain_text("Choose what to connect.")
    page.get_by_role("link", name="Cancel").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(0)
    assert not models.Connection.objects.exists()
