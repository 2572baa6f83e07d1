"""From an empty connection to the first loaded order, by clicks, with the CRM's stand-in on a real socket; in three languages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import books
import pytest
from playwright.sync_api import expect
from waiting import settled

from obmen.sandbox.retailcrm import RetailCRM, serve
from obmen.store import connections, models
from obmen.work import jobs
from obmen.work.run import execute

pytestmark = [pytest.mark.page, pytest.mark.django_db(transaction=True)]
CUP = "11111111-1111-4111-8111-111111111111"

WORDS = {
    "en": {
        "gated": "Check that the address of the other system and its key are right",
        "tabs": "Main, Constants, Statuses, Managers, Warehouses, Catalogue, Delivery, Settings",
        "load": "Load from the other system",
        "orders": "Load orders",
        "reveal": "Load by actuality date",
        "use": "Use the actuality date",
        "date": "Actuality date",
        "save": "Save",
    },
    "uk": {
        "gated": "Перевірте правильність адреси іншої системи та її ключа",
        "tabs": "Основна, Константи, Статуси, Менеджери, Склади, Каталог, Доставка, Налаштування",
        "load": "Завантажити з іншої системи",
        "orders": "Завантажити замовлення",
        "reveal": "Завантажити за датою актуальності",
        "use": "Використовувати дату актуальності",
        "date": "Дата актуальності",
        "save": "Зберегти",
    },
    "ru": {
        "gated": "Проверьте корректность адреса другой системы и её ключа",
        "tabs": "Основная, Константы, Статусы, Менеджеры, Склады, Каталог, Доставка, Настройки",
        "load": "Загрузить из другой системы",
        "orders": "Загрузить заказы",
        "reveal": "Загрузить по дате актуальности",
        "use": "Использовать дату актуальности",
        "date": "Дата актуальности",
        "save": "Сохранить",
    },
}


@pytest.fixture
def account() -> Iterator[Any]:
    with serve() as server:
        yield server


@pytest.fixture
def people(settings: Any, tmp_path: Path) -> Any:
    settings.MEDIA_ROOT, settings.OBMEN_HOME, settings.OBMEN_ALLOW_PRIVATE = tmp_path, tmp_path, True
    return books.people()


def work() -> models.Run:
    """Do what waits, as a worker would."""
    run = jobs.claim("worker")
    assert run is not None
    execute(run.pk, "worker")
    return models.Run.objects.get(pk=run.pk)


@pytest.mark.parametrize("language", WORDS)
def test_an_empty_connection_is_set_up_by_clicks_and_loads_its_first_order(
    open_page: Any, people: Any, account: Any, language: str
) -> None:
    """S-04, S-05, S-08, C-01, C-02, ST-01, M-02, M-03, M-06, M-10."""
    words = WORDS[language]
    books.states()
    crm: RetailCRM = account.crm
    crm.add_offer(CUP, "Чашка", 100, xml_id="УТ-1", article="A-1")
    made = crm.ui.create_order([(CUP, 2)], firstName="Марія", lastName="Шевченко")
    one, _password = connections.create("retailcrm", "CRM", language=language, time_zone="Europe/Kyiv")
    page = open_page(people.owner, locale={"en": "en-US", "uk": "uk-UA", "ru": "ru-RU"}[language])
    page.goto(f"/store/connection/{one.pk}/settings/")
    expect(page.locator("#o-gated")).to_contain_text(words["gated"])
    page.fill('[name="s-server"]', account.url + "/")
    page.fill('[name="s-api_key"]', "sandbox-key")
    with page.expect_navigation():
        page.locator("#o-part .o-save button").click()
    expect(page.locator("#o-gated")).to_have_count(0)
    assert [t.strip() for t in settled(page).locator("nav.o-tabs a").all_inner_texts()][1:9] == words["tabs"].split(", ")
    page.goto(f"/store/connection/{one.pk}/tab/statuses/")
    table = page.locator('[data-table="order_state-in"]')
    table.get_by_role("button", name=words["load"]).click()
    row = table.locator("[data-row]", has=page.locator('[data-code][value="new"]'))
    row.locator("[data-ours]").fill("Новий")
    with page.expect_navigation():
        page.get_by_role("button", name=words["save"], exact=True).click()
    assert one.mappings.get(subject="order_state", theirs="new", inbound=True).ours == "new"
    page.goto(f"/store/connection/{one.pk}/tab/main/")
    page.get_by_text(words["reveal"]).click()
    page.get_by_label(words["use"]).check()
    page.get_by_label(words["date"], exact=True).fill("2020-01-31T10:00:00")
    page.get_by_role("button", name=words["orders"]).click()
    expect(page.locator("#o-live")).to_be_visible()
    run = work()
    assert run.state == "done", (run.text, run.facts, list(run.lines.values_list("text", "facts")))
    order = models.Order.objects.get()
    assert (order.state, order.source_id) == ("new", one.pk)
    page.goto(f"/store/connection/{one.pk}/tab/main/")
    expect(page.locator('[name="mark-orders-in"]')).not_to_have_value("")
    page.fill("#one-orders-in", str(made["id"]))
    page.press("#one-orders-in", "Enter")
    expect(page.locator("#o-live")).to_be_visible()
    assert models.Run.objects.get(state="waiting").args == {"only": [str(made["id"])]}
    assert (work().state, models.Order.objects.count()) == ("done", 1)


def test_the_catalogue_of_the_books_is_formed_by_a_button_and_fetched_by_the_crm(
    open_page: Any, people: Any, account: Any
) -> None:
    """K-05, K-06, K-07."""
    one, _password = connections.create("retailcrm", "CRM", settings={"server": account.url, "api_key": "sandbox-key"})
    connections.check(one)
    books.goods(books.connection("1C"))
    connections.update(one, {"selling_price": "p-1", "product_id": "article"})
    page = open_page(people.owner)
    page.goto(f"/store/connection/{one.pk}/tab/catalogue/")
    page.locator(".o-actions button", has_text="Form the catalogue file").click()
    expect(page.locator("#o-live")).to_be_visible()
    run = work()
    assert run.state == "done", (run.text, run.facts)
    page.goto(f"/store/connection/{one.pk}/tab/catalogue/")
    served = page.locator(".o-facts code").inner_text()
    answer = page.request.get(served)
    assert answer.status == 200
    assert "Кава мелена «Ранкова» 250 г" in answer.text()
    assert models.Feed.objects.get(connection=one).made <= datetime.now(UTC)
