"""Ten tasks that the manuals of the seeds describe, done by a person in each language; what each costs stands in docs/user/ten-tasks.md."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import books
import getmeback
import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from effort import LANGUAGES, TABLE, Effort, expected
from playwright.sync_api import expect

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "licence"))
import publisher

from obmen.core.records import Subject
from obmen.licence import packages, statement
from obmen.sandbox import prom
from obmen.sandbox.prom import Prom
from obmen.sandbox.retailcrm import serve
from obmen.store import accounts, connections, mappings, models
from obmen.store.mappings import MappingRow
from obmen.store.orders import order_record, save_order
from obmen.work import jobs
from obmen.work import run as runs

pytestmark = [pytest.mark.page, pytest.mark.django_db(transaction=True)]
CUP = "11111111-1111-4111-8111-111111111111"
NOT_LOADED = "Orders in the status {value} are not loaded. Add it on the tab “Statuses” to have them loaded"
OLVERY = "{«paymentrules»:[{«status»:«purchased»,«gateway»:«CKassa»}],«paymentmethod_name»:«Оплата картой внешняя»}."
FURTHER = re.compile(r"further format costs (\d+) clicks and (\d+) fields here")
BEGINNING = {"from": "2020-01-01T00:00:00+00:00"}


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def people(settings: Any, tmp_path: Path) -> Any:
    settings.MEDIA_ROOT, settings.OBMEN_HOME, settings.OBMEN_ALLOW_PRIVATE = tmp_path / "media", tmp_path, True
    return books.people()


@pytest.fixture
def sit(open_page: Any, people: Any, language: str) -> Callable[[], Effort]:
    """``sit()`` → the owner before the overview; call it when the books are as they are to be found."""
    return lambda: Effort(open_page(people.owner, locale=LANGUAGES[language]), language)


@pytest.fixture
def crm() -> Iterator[Any]:
    with serve() as server:
        server.crm.add_offer(CUP, "Чашка", 100, xml_id="УТ-1", article="A-1")
        yield server


@pytest.fixture
def shop(crm: Any, language: str) -> models.Connection:
    """The CRM, let in; states in the books, nothing mapped."""
    books.states()
    made, _none = connections.create(
        "retailcrm", "CRM", settings={"server": crm.url, "api_key": "sandbox-key"}, language=language, time_zone="Europe/Kyiv"
    )
    connections.check(made)
    made.mappings.filter(subject="order_state").delete()
    return made


@pytest.fixture
def market() -> Iterator[Any]:
    shop = Prom()
    shop.add_product("КВ-250", 189, 9, external_id="x-1", sku="КВ-250")
    with prom.serve(shop) as server:
        shop.url = server.url  # type: ignore[attr-defined]
        yield shop


def ordered(crm: Any, times: int = 1, **fields: Any) -> list[dict[str, Any]]:
    return [crm.crm.ui.create_order([(CUP, 2)], firstName="Марія", lastName="Шевченко", **fields) for _ in range(times)]


def mapped(connection: models.Connection) -> None:
    models.Mapping.objects.create(connection=connection, subject="order_state", theirs="new", ours="new", outbound=False)


def load(connection: models.Connection) -> None:
    done(jobs.ask(connection, ["orders-in"], trigger="person", who="owner"))


def work() -> models.Run:
    """The one run that a person has just asked for, done as a worker would."""
    return done(models.Run.objects.get(state="waiting"))


def done(waiting: models.Run) -> models.Run:
    run = runs.execute_here(waiting)
    assert run.state == "done", (run.text, run.facts, list(run.lines.values_list("text", "facts")))
    return run


def assert_asked(me: Effort) -> None:
    """The page itself names the run that it has asked for."""
    words = re.escape(me.say("Page of run %(id)s", id=0)).replace("0", r"\d+")
    expect(me.page.get_by_role("link", name=re.compile(words))).to_be_visible()


def costs(task: int, effort: Effort) -> None:
    """The docs must say what this task has just cost."""
    assert (effort.clicks, effort.fields) == expected(task)


def test_1_the_crm_is_set_up_from_zero_until_its_first_order_is_there(sit: Any, crm: Any) -> None:
    books.states()
    ordered(crm)
    me = sit()
    me.click(me.page.get_by_role("link", name="RetailCRM").first)
    me.fill("Address of the system", crm.url)
    me.fill("API key", "sandbox-key")
    me.press("Add")
    me.page.wait_for_url("**/first-hour/**")
    one = models.Connection.objects.get()
    here = me.page.get_by_role("heading", name=me.called("Look before anything is written"))
    rest = me.page.get_by_role("button", name=me.called("Save, and take the rest over as new values of ours"))
    for _table in range(10):
        expect(here.or_(rest)).to_be_visible()
        if here.is_visible():
            break
        with me.page.expect_navigation():
            me.click(rest)
    assert one.mappings.get(subject="order_state", theirs="new", inbound=True).ours == "new"
    me.tick("catalogue file")
    me.fill("Take orders that are new or were changed since", "2020-01-31")
    me.press("Preview the first exchange")
    expect(me.page.get_by_role("button", name=me.called("Preview again"))).to_be_visible()
    work()
    assert models.Order.objects.count() == 0
    me.follow("Continue")
    me.press("Switch on and start now")
    me.page.wait_for_url("**/run/**")
    work()
    one.refresh_from_db()
    assert (one.enabled, models.Order.objects.get().state) == (True, "new")
    costs(1, me)


def test_2_four_statuses_are_mapped(sit: Any, crm: Any, shop: models.Connection) -> None:
    models.Reference.objects.all().delete()
    states = {"new": "Новий", "assembling": "Комплектується", "delivering": "Доставляється", "complete": "Виконаний"}
    for key, name in states.items():
        models.Reference.objects.create(subject="order_state", key=key, name=name)
    me = sit()
    me.click(me.page.get_by_role("article").get_by_role("link", name="CRM", exact=True))
    me.follow("Statuses")
    me.press("Load from the other system", me.page.locator("section:visible"))
    me.press("Accept %(n)s suggestion", many="Accept %(n)s suggestions", n=4)
    me.press("Save")
    expect(me.page.get_by_text(me.say("The settings are saved."))).to_be_visible()
    found = shop.mappings.filter(subject="order_state", inbound=True, reported=False)
    assert dict(found.values_list("theirs", "ours")) == {key: key for key in states}
    costs(2, me)


def test_3_one_order_is_loaded_by_its_id(sit: Any, crm: Any, shop: models.Connection) -> None:
    mapped(shop)
    wanted, _other = ordered(crm, 2)
    me = sit()
    me.click(me.page.get_by_role("article").get_by_role("link", name="CRM", exact=True))
    me.paste(me.page.get_by_label(me.called("Load an order by its id")), str(wanted["id"]))
    me.page.wait_for_url("**/store/run/*/change/")
    assert work().args["only"] == [str(wanted["id"])]
    assert list(models.Link.objects.filter(kind="order").values_list("external_id", flat=True)) == [str(wanted["id"])]
    assert models.Order.objects.get().state == "new"
    costs(3, me)


def test_4_a_marketplace_gets_its_format_licence_defaults_and_id_of_the_site(sit: Any, market: Any, tmp_path: Path) -> None:
    profile = f'title = "Крамниця"\nasks = ["token"]\n\n[settings]\naddress = "{market.url}"\npace = 1000\n'
    said = {"kind": "profile", "connector": "prom", "licence": True, "title": "Крамниця"}
    public, format_ = tmp_path / "toy.pub", tmp_path / "shop.obmen"
    public.write_text(publisher.LINE)
    format_.write_bytes(publisher.made(tmp_path / "made", {"profiles/corner.toml": profile}, **said))
    until = timezone.localdate() + timedelta(days=100)
    key = statement.issue(publisher.KEY, statement.Terms(format="toyshop", login="ann", until=until))
    packages.look_again()
    me = sit()
    me.follow("Exchange formats")
    me.attach(me.page.get_by_label(me.say("public key of a publisher")), public)
    me.press("Trust a publisher")
    me.press("It is the same: trust this publisher")
    of_the_start = (me.clicks - 1, me.fields)
    me.attach(me.page.get_by_label(me.say("Keep it in the database: choose the file (.obmen)")), format_)
    me.press("Add")
    me.fill("login", "ann")
    me.fill("licence key", key)
    with me.page.expect_navigation():
        me.press("Check licence")
    expect(me.page.get_by_text("Крамниця").first).to_be_visible()
    assert models.FormatPackage.objects.get().licence["login"] == "ann"
    me.follow("Add a connection")
    me.fill("Token", "sandbox-token")
    me.press("Add")
    me.page.wait_for_url("**/first-hour/**")
    me.follow("All settings of this connection")
    me.follow("Products", me.page.get_by_role("navigation", name="Крамниця"))
    me.fill("Attribute with the id of the site", "ID Prom")
    me.press("Save")
    expect(me.page.get_by_text(me.say("The settings are saved."))).to_be_visible()
    one = models.Connection.objects.get()
    assert (one.connector, one.profile, connections.settings_of(one).site_id) == ("prom", "corner", "ID Prom")
    costs(4, me)
    further = FURTHER.search(TABLE.read_text())
    assert further is not None
    assert [me.clicks - of_the_start[0], me.fields - of_the_start[1]] == [int(n) for n in further.groups()]


def test_5_moysklad_gets_an_account_with_one_permission(sit: Any) -> None:
    me = sit()
    me.follow("Users")
    me.click(me.page.get_by_title(me.say("Add %(name)s", name=me.say("user"))))
    me.fill("username", getmeback.LOGIN)
    me.fill("Password", getmeback.PASSWORD)
    me.fill("Password confirmation", getmeback.PASSWORD)
    me.tick("access to the admin panel")
    with me.page.expect_navigation():
        me.press("Save")
    me.follow("Groups and permissions")
    me.click(me.page.get_by_title(me.say("Add %(name)s", name=me.say("group"))))
    me.fill("name", getmeback.GROUP)
    me.click(me.page.get_by_label(getmeback.LOGIN))
    me.tick("Import CommerceML")
    with me.page.expect_navigation():
        me.press("Save")
    employee = User.objects.get(username=getmeback.LOGIN)
    assert employee.check_password(getmeback.PASSWORD)
    assert (employee.is_staff, employee.is_superuser, employee.get_all_permissions()) == (True, False, {accounts.PERMISSION})
    costs(5, me)


def test_6_olvery_gets_its_payment_rules(sit: Any) -> None:
    me = sit()
    me.click(me.page.get_by_role("link", name="Olvery").first)
    me.press("Add")
    me.click(me.page.get_by_text(me.say("The same as JSON"), exact=True))
    me.write(me.page.get_by_role("textbox", name="JSON", exact=True), OLVERY)
    me.fill("Company", "ТОВ Ранкова кава")
    me.press("Add")
    expect(me.page.get_by_role("link", name=me.called("I have copied it"))).to_be_visible()
    made = models.Connection.objects.get()
    said = connections.settings_of(made)
    assert (made.profile, said.company, json.loads(said.payment_rules)) == (
        "olvery",
        "ТОВ Ранкова кава",
        {"paymentrules": [{"status": "purchased", "gateway": "CKassa"}], "paymentmethod_name": "Оплата картой внешняя"},
    )
    costs(6, me)


def test_7_changed_statuses_are_sent_by_hand(sit: Any, market: Any) -> None:
    books.states()
    books.goods(books.connection("1С"))
    values = {"address": market.url, "token": "sandbox-token", "pace": 1000}
    first, second = (connections.create("prom", name, settings=values)[0] for name in ("Prom, Київ", "Prom, Львів"))
    rows = [MappingRow("pending", ours="new", sent=False), MappingRow("received", ours="paid")]
    mappings.save(second, Subject.ORDER_STATE, "each", rows)
    for one in (first, second):
        connections.check(one)
    bought = market.buy([("x-1", 2)]).id
    second.bookmarks.create(stream="orders-in", value=BEGINNING)
    load(second)
    save_order(replace(order_record(models.Order.objects.get()), state="paid"))
    me = sit()
    me.follow("Manual exchange")
    me.click(me.page.get_by_role("link", name="Prom, Львів"))
    me.press("Send changed statuses")
    assert_asked(me)
    assert work().connection == second
    assert (market.orders[bought].status, models.Order.objects.get().state) == ("received", "paid")
    costs(7, me)


def test_8_why_an_order_did_not_come_is_seen(sit: Any, crm: Any, shop: models.Connection) -> None:
    mapped(shop)
    _came, lost = (ordered(crm)[0], ordered(crm, status="assembling")[0])
    shop.bookmarks.create(stream="orders-in", value=BEGINNING)
    load(shop)
    assert (models.Order.objects.count(), shop.parked.get().external_id) == (1, str(lost["id"]))
    me = sit()
    me.click(me.page.get_by_role("article").get_by_role("link", name="1", exact=True))
    expect(me.page.get_by_text(me.say(NOT_LOADED).format(value="assembling")).first).to_be_visible()
    expect(me.page.get_by_role("row").filter(has_text=str(lost["id"]))).to_have_count(1)
    costs(8, me)


def test_9_forty_parked_orders_are_freed_by_one_mapping(sit: Any, crm: Any, shop: models.Connection) -> None:
    mapped(shop)
    ordered(crm, 40, status="assembling")
    shop.bookmarks.create(stream="orders-in", value=BEGINNING)
    load(shop)
    assert (models.Order.objects.count(), shop.parked.count()) == (0, 40)
    me = sit()
    me.follow("Parked")
    me.write(me.page.get_by_label(me.say("our value of “%(name)s”", name="assembling")), "Сплачений")
    me.press("Map, frees %(n)s", n=40)
    me.page.wait_for_url("**/store/parked/freeing/*/")
    work()
    assert (shop.parked.count(), models.Order.objects.filter(state="paid").count()) == (0, 40)
    costs(9, me)


def test_10_a_bookmark_is_set_back_to_a_date(sit: Any, crm: Any, shop: models.Connection) -> None:
    mapped(shop)
    ordered(crm, 2)
    shop.bookmarks.create(stream="orders-in", value={"since_id": 1_000_000})
    load(shop)
    assert models.Order.objects.count() == 0
    me = sit()
    me.click(me.page.get_by_role("article").get_by_role("link", name="CRM", exact=True))
    orders = me.page.locator("form").filter(has=me.page.locator("#mark-orders-in"))
    me.fill("Set it back to", "2020-01-31T10:00:00", orders)
    me.press("Set the bookmark", orders)
    load_it = me.page.get_by_role("button", name=me.called("Set the bookmark and load from it"))
    expect(load_it).to_be_visible()
    assert shop.bookmarks.get(stream="orders-in").value["since_id"] >= 1_000_000, "it asks before it is set"
    me.click(load_it)
    me.page.wait_for_url("**/store/run/*/change/")
    assert work().trigger == "person"
    assert models.Order.objects.count() == 2
    assert shop.bookmarks.get(stream="orders-in").value["since_id"] < 1_000_000
    assert models.JournalEntry.objects.filter(action="bookmark.set", who="owner").count() == 1
    costs(10, me)
