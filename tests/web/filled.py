"""A hub in the middle of its work, and the addresses of all its pages: for the checks of every page and for docs/pictures.

What can come by an exchange does: the sandboxes' systems are called, files of a 1C are loaded, a door answers. The rest (weeks of
runs, notices, people) is written down.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import books
from django.contrib.auth.models import Group as Role
from django.utils import timezone

from store.cml import catalogue, offer, offers, product, put

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "licence"))
import publisher

from obmen import registry
from obmen.core.records import Subject
from obmen.licence import packages, statement
from obmen.sandbox.prom import Prom
from obmen.sandbox.retailcrm import RetailCRM
from obmen.sandbox.retailcrm import serve as serve_crm
from obmen.sandbox.rozetka import Rozetka
from obmen.sandbox.shop import make
from obmen.sandbox.shop import serve as serve_shop
from obmen.sandbox.stand import serve as serve_market
from obmen.store import connections, holding, journal, mappings, models, notes, tokens
from obmen.store import people as factors
from obmen.store.doors import DjangoDoorHost
from obmen.store.mappings import MappingRow
from obmen.store.orders import order_record, save_order, with_tracking
from obmen.work import deciding, jobs, notices
from obmen.work import run as runs

CUP = "6f0b9a5e-0000-4000-8000-000000000001"
COFFEE = "6f0b9a5e-0000-4000-8000-000000000002"
Clock = Callable[[], datetime]


@dataclass
class Filled:
    people: books.People
    pages: dict[str, str]  # a name for each page → its address, in the order of the menu
    before: dict[str, str]  # those of somebody who has not signed in


@contextmanager
def partners(port: int = 0) -> Iterator[dict[str, Any]]:
    """The systems beside the hub, on sockets: from ``port`` on, so that pictures show the same addresses; 0 takes free ones."""
    clock: Clock = timezone.now
    crm, prom, rozetka = RetailCRM(clock=clock), Prom(clock=clock), Rozetka(clock=clock)
    shop = make("cs-cart-exim-1c", password="sandbox", zone="Europe/Kyiv", currency="UAH", currency_name="UAH", clock=clock)
    with ExitStack() as stack:
        ways = ((serve_crm, crm), (serve_market, prom), (serve_market, rozetka), (serve_shop, shop))
        servers = [stack.enter_context(way(stand, port and port + i)) for i, (way, stand) in enumerate(ways)]
        yield {"crm": servers[0], "prom": servers[1], "rozetka": servers[2], "shop": servers[3]}


def fill(folder: Path, port: int = 0, people: books.People | None = None) -> Filled:
    """``folder`` takes files that are loaded. The books must be empty; private addresses must be allowed."""
    people = people or books.people()
    for subject, rows in {
        "organisation": [("o-1", "ТОВ «Ранкова кава»")],
        "manager": [("m-1", "Оксана Приклад"), ("m-2", "Петро Зразок")],
        "delivery": [("np", "Нова пошта"), ("self", "Самовивіз")],
        "payment_kind": [("card", "Картка"), ("cash", "Готівка")],
    }.items():
        for i, (key, name) in enumerate(rows):
            models.Reference.objects.create(subject=subject, key=key, name=name, position=i)
    door, _password = books.door()
    books.goods(door)
    books.states()
    for day in range(12, 0, -1):
        for _run in range(day % 4 + 1):
            books.finished_run(door, ago=day, counts={"created": 3 * day, "unchanged": 97})
    with partners(port) as there:
        market = _prom(there["prom"])
        _rozetka(there["rozetka"])
        crm = _crm(there["crm"], "RetailCRM")
        _asked(crm, there["crm"])
        shop = _shop(there["shop"])
        order = _sold(market, there["prom"], door)
        setting_up = _setting_up(there["crm"])
    held = books.order("ІМ-1002", state="paid", source=shop)
    holding.hold(held, "Покупець думає", "operator")
    books.order("ІМ-1003", state="sent", source=crm)
    preview, stopped = _loads(folder)
    waits = "{count} cards have {why}: join them or correct the cards, then try again"
    for number in range(3):
        books.parked(door, f"prod-7{number}", text=waits, facts={"count": 2, "why": f"article = КВ-25{number}"})
    books.parked(door)
    for theirs, name, ours, seen in (("N", "Новый", "new", 12), ("P", "Оплачен", "paid", 7), ("X", "На складе", "", 3)):
        models.Mapping.objects.create(
            connection=door, subject="order_state", theirs=theirs, theirs_name=name, ours=ours, seen_count=seen
        )
    package = _formats(folder)
    channel = _notices(door)
    person, guest = _persons(people)
    token, _secret = tokens.make(people.owner, "Звіт для керівника", ["orders.read"], days=90, who="owner")
    message = models.Message.objects.create(
        connection=door, call="GET type=catalog&mode=init", status=200, answer="zip=yes\nfile_limit=104857600"
    )
    for theirs, subject in (("d-1", "delivery"), ("w-9", "warehouse")):
        models.Mapping.objects.create(connection=door, subject=subject, theirs=theirs, theirs_name="Значення в них", seen_count=2)
    running = books.running_run(door, percent=64, counts={"created": 640, "unchanged": 12_800, "parked": 1})
    journal.note(door, "connection.switched_on", "admin")
    found = {
        "door": door.pk, "crm": crm.pk, "prom": market.pk, "rozetka": models.Connection.objects.get(connector="rozetka").pk,
        "shop": shop.pk, "setting_up": setting_up.pk, "order": order.pk, "held": held.pk, "preview": preview.pk, "stopped": stopped.pk,
        "package": package.pk, "publisher": models.Publisher.objects.latest("pk").pk,
        "channel": channel.pk, "person": person.pk, "guest": guest.pk, "token": token.pk, "message": message.pk,
        "running": running.pk, "parked": models.Parked.objects.filter(connection=door).first().pk,
        "parked_order": models.Parked.objects.filter(connection=crm).first().pk,
        "role": Role.objects.get(name=connections.OPERATORS).pk,
    }  # fmt: skip
    return Filled(people, addresses(found), {"sign-in": "/login/"})


def _done(run: models.Run) -> models.Run:
    run = runs.execute_here(run)
    assert run.state == "done", (run.connection.name, run.text, run.facts)
    return run


def _here(connection: models.Connection) -> models.Connection:
    """Checked, and what it offers is known, as after the first hour."""
    connections.check(connection)
    connection.refresh_from_db()
    return connection


def _prom(server: Any) -> models.Connection:
    server.stand.add_product(books.GOODS[0][0], 189, 90, external_id=CUP, sku="КВ-250")
    said = {"token": "sandbox-token", "address": server.url, "pace": "1000", "price_kind": "p-1"}
    one, _none = connections.create("prom", "Prom", profile="prom_ua", settings=said, language="uk")
    _here(one)
    mappings.save(one, Subject.ORDER_STATE, "in", [MappingRow("pending", ours="new")])
    mappings.save(one, Subject.ORDER_STATE, "out", [MappingRow("delivered", ours="sent")])
    _done(jobs.ask(one, ["orders-in"], trigger="person", who="owner"))  # from now on
    return one


def _rozetka(server: Any) -> models.Connection:
    said = {"login": "seller", "password": "sandbox", "address": server.url, "price_kind": "p-1"}
    one, _none = connections.create("rozetka", "Rozetka", settings=said, language="uk")
    return _here(one)


def _crm(server: Any, name: str) -> models.Connection:
    tables = registry.connector("retailcrm").tables
    said = {"server": server.url, "api_key": "sandbox-key", **{name: True for table in tables for name in table.when.split()}}
    one, _none = connections.create("retailcrm", name, settings=said, language="uk")
    return _here(one)


def _asked(crm: models.Connection, server: Any) -> None:
    """Orders whose status nobody has mapped are set aside, together."""
    server.crm.add_offer(CUP, books.GOODS[0][0], 189, xml_id=CUP, article="КВ-250")
    for _order in range(4):
        server.crm.ui.create_order([(CUP, 1)], status="assembling", firstName="Остап", lastName="Вигаданюк")
    crm.mappings.filter(subject="order_state").delete()
    mappings.save(crm, Subject.ORDER_STATE, "in", [MappingRow("new", ours="new")])
    crm.bookmarks.create(stream="orders-in", value={"from": "2020-01-01T00:00:00+00:00"})
    _done(jobs.ask(crm, ["orders-in"], trigger="schedule"))


def _shop(server: Any) -> models.Connection:
    said = {"address": server.url, "login": server.shop.login, "password": "sandbox", "price_kinds": "p-1"}
    one, _none = connections.create("shop", "CS-Cart", profile="cs-cart-exim-1c", settings=said, language="uk")
    _here(one)
    return one


def _sold(market: models.Connection, server: Any, door: models.Connection) -> models.Order:
    """An order of the marketplace that 1C has taken and shipped, and whose parcel the marketplace knows."""
    buyer = {"first_name": "Яна", "last_name": "Небутенко", "phone": "+380000000009", "email": "yana@example.com"}
    number = server.stand.buy([(CUP, 2)], **buyer).id
    _done(jobs.ask(market, ["orders-in"], trigger="person", who="operator"))
    order = models.Order.objects.get(number=str(number))
    host = DjangoDoorHost(door, connections.settings_of(door), jobs.ask)
    session = host.open_session("1c", {})
    host.offer(session, [(p.record_id, p.revision) for p in host.pending_orders()])
    host.confirm(session)
    save_order(replace(with_tracking(order_record(order), "20450000000017"), state="sent"), source=door)
    _done(jobs.ask(market, ["statuses-out"], trigger="schedule"))
    return order


def _setting_up(server: Any) -> models.Connection:
    """In its first hour, every step of which can be opened."""
    one = _crm(server, "RetailCRM, новий магазин")
    one.mappings.all().delete()
    for table in registry.connector("retailcrm").tables:
        connections.load_table(one, table)
    one.mappings.filter(subject="order_state").update(ours="")
    models.Connection.objects.filter(pk=one.pk).update(enabled=False)
    notes.remember(one, "first-hour", {"later": ["defaults", "mapping", "preview"]})
    return one


def _loads(folder: Path) -> tuple[models.Run, models.Run]:
    """A load that was looked at beforehand, and one that was stopped, because it would change too much."""
    node, _password = connections.create("commerceml_door", "Склад УНФ", profile="ut11", language="uk")
    connections.set_guard(node, "products-in", 50)
    chairs = [product(f"p{i}", f"Стілець № {i}") for i in range(70)]
    _done(jobs_of(node, folder, import0_1=catalogue(*chairs), offers0_1=offers(offer("p1", prices=[("retail", "1000")]))))
    more = f"<Описание>{'Зручний дубовий стілець. ' * 12}</Описание>"
    gone = "<Статус>Удален</Статус>"
    renamed = [product(f"p{i}", f"Крісло № {i}", more=more if i == 1 else gone if i == 2 else "") for i in range(70)]
    price = offers(offer("p1", "Крісло № 1", prices=[("retail", "1250.5")], stock=[("main", "4")]))
    stopped = runs.load_folder(
        node, put(folder / "node", import0_1=catalogue(*renamed, product("p99", "Лава", "ЛС-1")), offers0_1=price)
    )
    assert stopped.state == "needs_owner"
    return _done(deciding.ask_preview(stopped, "operator")), stopped


def _formats(folder: Path) -> models.FormatPackage:
    packages.trust(publisher.LINE, "owner")
    row, _new = packages.add(publisher.made(folder / "toy", licence=True, news={"en": "The beginning", "uk": "Початок"}), "owner")
    until = timezone.localdate() + timedelta(days=20)
    key = statement.issue(publisher.KEY, statement.Terms(format="toyshop", login="ann", until=until))
    models.FormatPackage.objects.filter(pk=row.pk).update(licence={"login": "ann", "key": key})
    return row


def _notices(door: models.Connection) -> models.NoticeChannel:
    channel = models.NoticeChannel.objects.create(
        name="Команда", way="telegram", settings={"chat": "-100500", "api": "https://api.telegram.org"},
        wants=[*models.TroubleKind.values, "over"], quiet_from=time(22), quiet_to=time(8),
    )  # fmt: skip
    broken = books.connection("МойСклад", profile="moysklad")
    books.finished_run(broken, state="failed", text="The disk is full", ago=0)
    notices.look(timezone.now())
    return channel


def _persons(people: books.People) -> tuple[Any, Any]:
    """Who has a second factor and sees one company's orders; and who has been invited only."""
    now = timezone.now()
    key = factors.new_key()
    factors.set_up(people.operator, key, factors.code_at(key, now), now)
    factors.set_companies(people.viewer, ["Вокзал"], "owner")
    guest = type(people.viewer).objects.create_user("anna", is_staff=True, first_name="Анна", last_name="Запрошена")
    guest.groups.add(Role.objects.get(name=connections.VIEWERS))
    return people.operator, guest


def jobs_of(node: models.Connection, folder: Path, **files: str) -> models.Run:
    return runs.load_folder(node, put(folder / "node", **files))


CARD = ("schedule", "rules", "log", "defaults", "copy", "pause", "remove", "help")  # pages that every connection has
STEPS = ("access", "check", "defaults", "mapping", "preview", "on")


def addresses(of: Mapping[str, int]) -> dict[str, str]:
    """Every page by a name, from the ids of ``fill``."""
    found = {
        "overview": "/",
        "overview-search": "/seek/?q=КВ-250",
        "connections": "/store/connection/",
        "connection-add": "/store/connection/add/",
    }
    for name in ("door", "crm", "prom", "rozetka", "shop"):
        card = f"/store/connection/{of[name]}"
        kind = registry.connector(models.Connection.objects.get(pk=of[name]).connector)
        found[name] = f"{card}/change/"
        found |= {f"{name}-{tab}": f"{card}/tab/{tab}/" for tab, _title in kind.tabs}
        found |= {f"{name}-{page}": f"{card}/{page}/" for page in ("schedule", "log")}
    door, prom = f"/store/connection/{of['door']}", f"/store/connection/{of['prom']}"
    found |= {f"door-{page}": f"{door}/{page}/" for page in ("settings", "mappings", "login", "password", *CARD)}
    found["door-mappings-file"] = f"{door}/mappings/order_state-each/csv-in/"
    found |= {"prom-rewind": f"{prom}/rewind/orders-in/", "prom-mapping-again": f"{prom}/tab/orders/order_state-each/again/"}
    found |= {f"first-hour-{step}": f"/store/connection/{of['setting_up']}/first-hour/?step={step}" for step in STEPS}
    found |= {f"by-hand-{name}": f"/manual/{of[name]}/" for name in ("prom", "crm", "shop")}
    run = "/store/run"
    found |= {
        "runs": f"{run}/", "run-charts": f"{run}/charts/", "run": f"{run}/{of['running']}/change/", "run-stopped": f"{run}/{of['stopped']}/change/",
        "run-allow": f"{run}/{of['stopped']}/allow/", "run-previewed": f"{run}/{of['preview']}/change/",
        "preview": f"{run}/{of['preview']}/preview/", "preview-do": f"{run}/{of['preview']}/preview/do/",
        "parked": "/store/parked/", "parked-record": f"/store/parked/{of['parked']}/change/", "parked-retry-all": "/store/parked/retry-all/",
        "parked-order": f"/store/parked/{of['parked_order']}/change/",
        "notices": "/notices/", "notice-channel": f"/notices/{of['channel']}/", "notice-limits": "/notices/limits/", "notice-list": "/store/notice/",
        "notice-remove": f"/notices/{of['channel']}/remove/",
        **{f"notice-add-{way}": f"/notices/add/{way}/" for way in ("email", "telegram", "webhook")},
        "journal": "/store/journalentry/", "traffic": "/store/message/", "traffic-call": f"/store/message/{of['message']}/change/",
        "formats": "/store/formatpackage/", "format-remove": f"/store/formatpackage/{of['package']}/remove/",
        "format-publisher": f"/store/formatpackage/publisher/{of['publisher']}/",
    }  # fmt: skip
    lists = {"product": "products", "offer": "offers", "group": "groups", "property": "properties", "reference": "references"}
    for name, several in {**lists, "counterparty": "counterparties"}.items():
        first = getattr(models, name.capitalize()).objects.order_by("pk").first()
        found |= {several: f"/store/{name}/", name: f"/store/{name}/{first.pk}/change/"}
    order = f"/store/order/{of['order']}"
    found |= {
        "groups-tree": "/store/group/tree/", "reference-add": "/store/reference/add/",
        "orders": "/store/order/", "order": f"{order}/change/", "order-held": f"/store/order/{of['held']}/change/",
        "people": "/auth/user/", "person-add": "/auth/user/add/", "person-invite": "/auth/user/invite/",
        "person": f"/auth/user/{of['person']}/change/", "person-password": f"/auth/user/{of['person']}/password/",
        "person-second-factor": f"/auth/user/{of['person']}/second-factor/", "person-remove": f"/auth/user/{of['guest']}/delete/",
        "roles": "/auth/group/", "role": f"/auth/group/{of['role']}/change/", "role-add": "/auth/group/add/",
        "role-remove": f"/auth/group/{of['role']}/delete/", "role-history": f"/auth/group/{of['role']}/history/",
        "tokens": "/store/apitoken/", "token": f"/store/apitoken/{of['token']}/change/", "token-add": "/store/apitoken/add/",
        "token-revoke": f"/store/apitoken/{of['token']}/revoke/",
        "account": "/account/", "account-second-factor": "/account/second-factor/", "account-password": "/password_change/",
        "account-password-done": "/password_change/done/",
        "api": "/api/docs",
    }  # fmt: skip
    return found
