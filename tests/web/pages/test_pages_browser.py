"""Every page as a person uses it: clicked through in a real Chromium."""

from __future__ import annotations

import re
from typing import Any

import books
import pytest
from django.contrib.auth.models import Group as Role
from playwright.sync_api import expect
from waiting import settled, width

from obmen.store import connections, models

PHONE = {"width": 360, "height": 740}
pytestmark = [pytest.mark.page, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def shop() -> Any:
    """Everything that pages can show, of one small shop."""
    people = books.people()
    one, _password = books.door()
    products = books.goods(one)
    books.states()
    order = books.order()
    books.parked(one)
    books.parked(one, "prod-78", text="The group {id} is not known yet", facts={"id": "g-404"})
    return type("Shop", (), {"people": people, "one": one, "products": products, "order": order})


# --- signing in ---


def test_a_person_signs_in_and_sees_the_overview(open_page: Any, shop: Any) -> None:
    page = open_page(shop.people.owner)
    expect(page.locator(".o-page")).to_contain_text("1С: Торгівля")
    expect(page.locator(".o-tile", has_text="products")).to_contain_text("7")
    expect(page.locator(".o-tile", has_text="parked")).to_contain_text("2")


def test_a_wrong_password_is_refused_with_words_and_the_fifth_locks(open_page: Any, shop: Any) -> None:
    page = open_page()
    for _attempt in range(4):
        page.goto("/login/")
        page.fill("#id_username", "owner")
        page.fill("#id_password", "wrong")
        page.click("#login-form button")
        expect(page.get_by_role("alert")).to_contain_text("Please enter the correct username and password")
    page.fill("#id_username", "owner")
    page.fill("#id_password", "wrong")
    page.click("#login-form button")
    expect(page.locator("#o-locked")).to_contain_text("Too many wrong passwords")
    page.goto("/login/")
    page.fill("#id_username", "owner")
    page.fill("#id_password", books.PASSWORD)
    page.click("#login-form button")
    expect(page.locator("#o-locked")).to_be_visible()


@pytest.mark.parametrize(
    ("code", "name", "word"), [("uk", "Українська", "Пароль"), ("ru", "Русский", "Пароль"), ("en", "English", "Password")]
)
def test_the_language_is_switched_before_and_after_signing_in(open_page: Any, shop: Any, code: str, name: str, word: str) -> None:
    page = open_page(locale="de-DE")
    page.goto("/login/")
    page.get_by_role("button", name=name).click()
    expect(page.locator("html")).to_have_attribute("lang", code)
    expect(page.locator("#login-form")).to_contain_text(word)
    page = open_page(shop.people.owner)
    page.locator("text=Олена").first.click()
    page.get_by_role("button", name=name).click()
    expect(page.locator("html")).to_have_attribute("lang", code)


def test_dark_stays_dark_on_the_next_page(open_page: Any, shop: Any) -> None:
    page = open_page(shop.people.owner)
    page.locator("text=Олена").first.click()
    page.locator("nav a", has_text="Dark").click()
    expect(page.locator("html")).to_have_class(re.compile("dark"))
    page.goto("/store/product/")
    expect(page.locator("html")).to_have_class(re.compile("dark"))


# --- the books ---


@pytest.mark.parametrize("wanted", ["кава", "КАВА", "Ранкова", "кава 250", "КВ-250", "00-00000001", "4820000000017"])
def test_a_product_is_found_in_any_case_and_by_its_codes(open_page: Any, shop: Any, wanted: str) -> None:
    page = open_page(shop.people.viewer)
    page.goto("/store/product/")
    page.fill("#searchbar", wanted)
    page.press("#searchbar", "Enter")
    expect(page.locator("#result_list")).to_contain_text("Кава мелена «Ранкова» 250 г")
    expect(page.locator("#result_list")).not_to_contain_text("Шоколад")


def test_a_product_card_shows_prices_stock_links_pictures_and_what_changed(open_page: Any, shop: Any) -> None:
    page = open_page(shop.people.viewer)
    page.goto(f"/store/product/{shop.products[0].pk}/change/")
    text = page.locator(".o-page")
    expect(text).to_contain_text(re.compile(r"189[.,]50 UAH"))
    expect(text).to_contain_text("Основний склад")
    expect(text).to_contain_text("6f0b9a5e-0000-4000-8000-000000000001")
    expect(page.locator("#history .o-old").first).to_have_text("Кава мелена «Ранкова» 250 г (стара назва)")
    expect(page.locator("#history .o-new").first).to_have_text("Кава мелена «Ранкова» 250 г")
    expect(page.locator(".o-pictures img")).to_have_js_property("complete", True)
    expect(page.locator(".o-pictures img")).to_have_js_property("naturalWidth", 1)


def test_groups_are_a_tree_with_counts_that_lead_to_the_products(open_page: Any, shop: Any) -> None:
    page = open_page(shop.people.viewer)
    page.goto("/store/group/tree/")
    row = page.locator("tr", has_text="Кава")
    expect(row.locator(".o-num")).to_have_text("2")
    row.locator(".o-num a").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(2)


def test_an_order_is_moved_to_another_state_and_its_history_says_so(open_page: Any, shop: Any) -> None:
    page = open_page(shop.people.operator)
    page.goto(f"/store/order/{shop.order.pk}/change/")
    page.select_option("#change select", label="Відправлений")
    page.locator("#change button").click()
    expect(page.locator("#history .o-new").first).to_have_text("Відправлений")
    shop.order.refresh_from_db()
    assert (shop.order.state, shop.order.revision) == ("sent", 2)
    waiting = models.Outbox.objects.get(connection=shop.one, kind="order", record_id=shop.order.pk)
    assert waiting.revision == 2


# --- connections ---


def test_a_connection_is_added_and_its_password_shown_once(open_page: Any, shop: Any) -> None:
    page = open_page(shop.people.owner)
    page.goto("/store/connection/add/")
    page.check('input[value="commerceml_door:unf"]')
    page.fill("#id_name", "УНФ, магазин")
    page.get_by_role("button", name="Add").last.click()
    password = page.locator("#o-password").inner_text()
    login = page.locator("#o-login").inner_text()
    made = models.Connection.objects.get(name="УНФ, магазин")
    assert made.account.username == login
    assert made.account.check_password(password)
    expect(page.locator("#o-address")).to_have_text(re.compile(re.escape(connections.door_path(made)) + r"\s*$"))
    page.evaluate("window.setTimeout = () => 0")  # the sign goes after a second and a half, of which a busy browser may see none
    page.locator('[data-copy="#o-password"]').click()
    expect(page.locator('[data-copy="#o-password"]')).to_have_class(re.compile("o-copied"))
    page.get_by_role("link", name="I have copied it").click()
    expect(page.locator(".o-page")).to_contain_text("How it reaches us")
    assert password not in settled(page).content()


def test_a_taken_name_is_said_beside_the_field(open_page: Any, shop: Any) -> None:
    page = open_page(shop.people.owner)
    page.goto("/store/connection/add/")
    page.check('input[value="commerceml_door:unf"]')
    page.fill("#id_name", shop.one.name)
    page.get_by_role("button", name="Add").last.click()
    expect(page.locator("#field-name")).to_contain_text("There is already a connection with this name.")
    assert models.Connection.objects.count() == 1


def test_a_wrong_setting_is_said_beside_its_field_and_a_right_one_is_saved(open_page: Any, shop: Any) -> None:
    page = open_page(shop.people.owner)
    page.goto(f"/store/connection/{shop.one.pk}/settings/")
    page.fill('[name="s-minimum_interval"]', "-5")
    page.get_by_role("tab", name="Goods").click()
    page.select_option('[name="s-import_mode"]', "existing")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#field-s-minimum_interval .o-error")).to_contain_text("greater than or equal to 0")
    assert models.Connection.objects.get(pk=shop.one.pk).settings == shop.one.settings
    page.fill('[name="s-minimum_interval"]', "15")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("body")).to_contain_text("The settings are saved.")
    found = connections.settings_of(models.Connection.objects.get(pk=shop.one.pk))
    assert (found.minimum_interval, found.import_mode) == (15, "existing")


def test_a_two_column_setting_takes_added_rows(open_page: Any, shop: Any) -> None:
    page = open_page(shop.people.owner)
    page.goto(f"/store/connection/{shop.one.pk}/settings/")
    page.get_by_role("tab", name="Prices").click()
    field = page.locator("#field-s-price_map")
    before = field.locator("tbody tr").count()
    field.get_by_role("button", name="Add a row").click()
    field.locator('[name="s-price_map-key"]').nth(before).fill("Розничная")
    field.locator('[name="s-price_map-value"]').nth(before).fill("retail")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("body")).to_contain_text("The settings are saved.")
    assert connections.settings_of(models.Connection.objects.get(pk=shop.one.pk)).price_map["Розничная"] == "retail"


def test_a_mapping_is_chosen_and_saved(open_page: Any, shop: Any) -> None:
    row = models.Mapping.objects.create(
        connection=shop.one, subject="order_state", theirs="N", theirs_name="Новый", seen_count=4, reported=True
    )
    page = open_page(shop.people.operator)
    page.goto(f"/store/connection/{shop.one.pk}/mappings/")
    states = page.locator('[data-table="order_state-each"]')
    expect(states.locator("header")).to_contain_text("0 of 1 mapped")
    states.locator("[data-row]", has_text="Новый").locator("[data-ours]").fill("Новий")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("body")).to_contain_text("The settings are saved.")
    row.refresh_from_db()
    assert (row.ours, row.inbound, row.outbound, row.reported) == ("new", True, True, False)


def test_a_schedule_that_is_none_is_said_beside_the_field(open_page: Any, shop: Any) -> None:
    stream = shop.one.streams.order_by("stream")[0]
    page = open_page(shop.people.owner)
    page.goto(f"/store/connection/{shop.one.pk}/schedule/")
    page.fill(f'[name="s{stream.pk}-schedule"]', "sometimes")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("is no schedule")
    page.fill(f'[name="s{stream.pk}-schedule"]', "every 15 min")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("body")).to_contain_text("The schedule is saved.")
    stream.refresh_from_db()
    assert stream.schedule == "every 15 min"


def test_removing_a_connection_asks_first(open_page: Any, shop: Any) -> None:
    page = open_page(shop.people.owner)
    page.goto(f"/store/connection/{shop.one.pk}/change/")
    page.get_by_role("link", name="Remove the connection").click()
    expect(page.get_by_role("button", name="Remove")).to_be_visible()
    assert models.Connection.objects.filter(pk=shop.one.pk).exists()
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("body")).to_contain_text("is removed")
    assert not models.Connection.objects.filter(pk=shop.one.pk).exists()
    assert not models.Link.objects.filter(connection_id=shop.one.pk).exists()
    assert models.Product.objects.count() == len(shop.products)


# --- runs and parked ---


def test_a_run_page_moves_by_itself_and_stops_asking_at_the_end(open_page: Any, shop: Any) -> None:
    run = books.running_run(shop.one, percent=10)
    page = open_page(shop.people.viewer)
    page.goto(f"/store/run/{run.pk}/change/")
    expect(page.locator("#o-percent")).to_have_text("10 %")
    models.Run.objects.filter(pk=run.pk).update(percent=63, counts={"created": 630})
    expect(page.locator("#o-percent")).to_have_text("63 %")
    expect(page.locator("#o-counts")).to_contain_text("630")
    models.RunLine.objects.create(run=run, text="{count} records were read", facts={"count": 1000})
    with page.expect_response(lambda r: r.url.endswith("/live/") and r.status == 286):
        models.Run.objects.filter(pk=run.pk).update(state="done", percent=100)
    expect(page.locator("#o-state")).to_have_text("done")
    expect(page.locator("#o-lines")).to_contain_text("1000 records were read")
    later: list[str] = []
    settled(page).on("request", lambda r: later.append(r.url))
    page.wait_for_timeout(2500)  # the absence of a request has no event that could be awaited
    assert later == []


def test_the_overview_shows_a_run_that_begins_while_one_looks(open_page: Any, shop: Any) -> None:
    page = open_page(shop.people.viewer)
    expect(page.locator("#o-running")).not_to_contain_text("Going on now")
    books.running_run(shop.one, percent=55)
    expect(page.locator("#o-running")).to_contain_text("55 %")


def test_an_operator_stops_a_run(open_page: Any, shop: Any) -> None:
    run = books.running_run(shop.one)
    page = open_page(shop.people.operator)
    page.goto(f"/store/run/{run.pk}/change/")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#o-live")).to_contain_text("asked to stop")
    run.refresh_from_db()
    assert run.stop_asked


def test_selected_parked_records_are_retried_after_a_question(open_page: Any, shop: Any) -> None:
    wanted = models.Parked.objects.get(external_id="prod-77")
    page = open_page(shop.people.operator)
    page.goto("/store/parked/")
    page.locator("#result_list tr", has_text="Two cards").locator("input.action-select").check()
    page.select_option("select[name=action]", "retry_selected")
    page.locator("#changelist-actions button, #changelist-form button[name=index]").first.click()
    expect(page.locator(".o-page")).to_contain_text("Retry 1 record?")
    assert models.Run.objects.filter(trigger="retry").count() == 0
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("#o-live")).to_be_visible()
    run = models.Run.objects.get(trigger="retry")
    assert (run.streams, run.args, run.asked_by) == ("retry-parked", {"parked": [wanted.pk]}, "operator")


def test_all_that_a_filter_shows_is_retried(open_page: Any, shop: Any) -> None:
    other = books.connection("МойСклад")
    books.parked(other, "ms-1")
    page = open_page(shop.people.operator)
    page.goto(f"/store/parked/?connection__id__exact={shop.one.pk}")
    page.get_by_role("link", name="Retry all that are shown").click()
    expect(page.locator(".o-page")).to_contain_text("Retry 2 records?")
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("#o-live")).to_be_visible()
    run = models.Run.objects.get(trigger="retry")
    assert (run.connection, run.args) == (shop.one, {"parked": None})


def test_a_parked_record_shows_its_reason_and_untouched_input(open_page: Any, shop: Any) -> None:
    parked = models.Parked.objects.get(external_id="prod-77")
    page = open_page(shop.people.viewer)
    page.goto(f"/store/parked/{parked.pk}/change/")
    expect(page.locator(".o-note")).to_have_text("Two cards have the article “КВ-250”")
    expect(page.locator("#o-raw")).to_contain_text("<Ид>prod-77</Ид>")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.path().read_bytes() == bytes(parked.payload)


# --- people ---


def test_the_permission_import_commerceml_is_given_to_a_group(open_page: Any, shop: Any) -> None:
    role = Role.objects.get(name="Integrations")
    role.permissions.clear()
    page = open_page(shop.people.admin)
    page.goto(f"/auth/group/{role.pk}/change/")
    page.get_by_label("Import CommerceML").check()
    page.locator('button[name="_save"]').click()
    expect(page.locator("body")).to_contain_text("changed successfully")
    assert [p.codename for p in role.permissions.all()] == ["import_commerceml"]


def test_a_viewer_sees_everything_and_finds_no_button_that_changes_anything(open_page: Any, shop: Any) -> None:
    run = books.running_run(shop.one)
    page = open_page(shop.people.viewer)
    for address in (
        f"/store/connection/{shop.one.pk}/change/",
        f"/store/connection/{shop.one.pk}/settings/",
        f"/store/connection/{shop.one.pk}/mappings/",
        f"/store/order/{shop.order.pk}/change/",
        f"/store/run/{run.pk}/change/",
        f"/store/parked/{models.Parked.objects.first().pk}/change/",
    ):
        page.goto(address)
        expect(page.locator(".o-page .o-head").first).to_be_visible()
        settled(page)
        for word in ("Save", "Stop", "Retry", "Pause", "New password", "Remove the connection", "Check"):
            assert page.locator(".o-page").get_by_role("button", name=word, exact=True).count() == 0, (address, word)


def addresses(shop: Any) -> list[str]:
    one, run = shop.one.pk, books.running_run(shop.one)
    message = models.Message.objects.create(connection=shop.one, call="GET type=catalog&mode=init", answer="zip=yes")
    return [
        "/",
        *(f"/store/{name}/" for name in ("connection", "run", "parked", "journalentry", "message", "product", "offer", "group")),
        *(f"/store/{name}/" for name in ("order", "counterparty", "reference", "property")),
        *(f"/store/connection/{one}/{tab}/" for tab in ("change", "settings", "mappings", "rules", "schedule", "traffic")),
        *(f"/store/connection/{one}/{deed}/" for deed in ("password", "remove")),
        "/store/connection/add/",
        "/store/group/tree/",
        f"/store/product/{shop.products[0].pk}/change/",
        f"/store/offer/{models.Offer.objects.first().pk}/change/",
        f"/store/group/{models.Group.objects.first().pk}/change/",
        f"/store/property/{models.Property.objects.first().pk}/change/",
        f"/store/reference/{models.Reference.objects.first().pk}/change/",
        f"/store/order/{shop.order.pk}/change/",
        f"/store/counterparty/{models.Counterparty.objects.first().pk}/change/",
        f"/store/run/{run.pk}/change/",
        f"/store/parked/{models.Parked.objects.first().pk}/change/",
        f"/store/message/{message.pk}/change/",
        "/auth/user/",
        "/auth/user/add/",
        f"/auth/user/{shop.people.viewer.pk}/change/",
        "/auth/group/",
        f"/auth/group/{Role.objects.get(name='Viewers').pk}/change/",
        "/password_change/",
    ]


def test_no_page_needs_scrolling_sideways_on_a_phone(open_page: Any, shop: Any) -> None:
    page = open_page(shop.people.admin, viewport=PHONE)
    wide = {}
    for address in addresses(shop):
        answer = page.goto(address)
        assert answer.status == 200, address
        if (across := width(page)) > PHONE["width"]:
            wide[address] = across
    assert wide == {}
