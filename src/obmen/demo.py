"""``obmen demo``: a hub on this machine, a 1C beside it, a whole exchange between them over HTTP.

Everything is done as a person would: through the command line, the address of the door and the sandbox's 1C. Each step is
compared with what must come of it, so that the demo is a proof, too. The names in it are made up.
"""

from __future__ import annotations

import contextlib
import fcntl
import gettext
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from html import unescape
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from zoneinfo import ZoneInfo

import typer

import obmen
from obmen.core.contract import ExchangeError, NeedsOwner
from obmen.core.words import gettext_noop as _
from obmen.sandbox.onec.base import Base
from obmen.sandbox.onec.client import Address, Client
from obmen.sandbox.onec.generate import Catalogue, Spec, generate
from obmen.sandbox.onec.profiles import UT11
from obmen.sandbox.onec.run import Report, pull, push
from obmen.sandbox.prom import Prom
from obmen.sandbox.retailcrm import RetailCRM
from obmen.sandbox.retailcrm import serve as serve_crm
from obmen.sandbox.retailcrm.server import Server as CrmServer
from obmen.sandbox.rozetka import Rozetka
from obmen.sandbox.shop import Buyer, make
from obmen.sandbox.shop import Server as ShopServer
from obmen.sandbox.shop import serve as serve_shop
from obmen.sandbox.stand import Server as MarketServer
from obmen.sandbox.stand import serve as serve_market

LANGUAGES = ("uk", "ru", "en")
ZONE = ZoneInfo("Europe/Kyiv")
MARK = "obmen-demo"  # a folder with this file in it may be emptied
PORTS = 100  # how many ports after the wanted one are tried
START = 120.0  # seconds that the server may take to answer
SPEC = Spec(products=120, portion=50, seed=2026, pictures=0.6, deleted=0.02, currency="UAH")
CRM = "RetailCRM"
SHOP, SHOP_PROFILE = "CS-Cart", "cs-cart-exim-1c"
PROM, ROZETKA = "Prom", "Rozetka"
PARCEL = "20450000000017"  # the number of a consignment
LONGEST = 300  # characters of what was found and expected that are shown
NEW, SHIPPED = "Новий", "Відвантажено"  # states of the books
SHIPPED_IN_CRM = "delivering"
STEP = 180.0  # seconds that a worker of the server may take for what it was woken for
LONG, NAMELESS = "ROZETKA-2026-0004518", "1006"


class Voice:
    """Says sentences in one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        folder = Path(obmen.__file__).parent / "locale"
        self._words = gettext.translation("django", folder, languages=[language], fallback=True)

    def text(self, text: str, facts: Mapping[str, object]) -> str:
        return self._words.gettext(text).format(**facts)

    def say(self, text: str, **facts: object) -> None:
        typer.echo(self.text(text, facts))
        sys.stdout.flush()

    def complain(self, error: ExchangeError) -> None:
        typer.echo(self.text(error.text, error.facts), err=True)


def language_of(wanted: str, env: Mapping[str, str]) -> str:
    """The wanted language, else that of the terminal (LC_ALL, LC_MESSAGES, LANG), else English. Raises NeedsOwner."""
    if wanted:
        if wanted not in LANGUAGES:
            raise NeedsOwner(
                _("There is no language “{language}”; there are: {known}"), language=wanted, known=", ".join(LANGUAGES)
            )
        return wanted
    said = next((env[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if env.get(name)), "")[:2].lower()
    return said if said in LANGUAGES else "en"


def main(*, home: Path | None = None, port: int = 8600, language: str = "", leave: bool = False) -> int:
    """Returns the exit code: 0 done, 1 a step did not come out as it has to, 3 it could not begin.

    ``home`` (default: the folder .demo here) is emptied first, unless it holds something else than a demo. The port is the
    first free one from ``port``. Without ``leave`` the server stays until SIGINT, SIGTERM or SIGHUP.
    """
    voice = Voice("en")
    # What is ignored stays so: nohup says by it that the end of the terminal is none of ours.
    heard = [name for name in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(name) != signal.SIG_IGN]
    before = {name: signal.signal(name, _leave) for name in heard}
    try:
        voice = Voice(language_of(language, os.environ))
        with fresh(home or Path(".demo")) as folder, Demo(folder, voice) as demo:
            demo.play(port)
            if not leave:
                demo.stay()
        voice.say(_("The demo has ended. “obmen demo” without --exit leaves its page open."))
    except NeedsOwner as error:
        voice.complain(error)
        return 3
    except ExchangeError as error:
        voice.complain(error)
        return 1
    except KeyboardInterrupt:  # Ctrl+C is how a demo ends
        return 0
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
    return 0


def _leave(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def fresh(folder: Path) -> Iterator[Path]:
    """An empty folder that no other demo uses meanwhile. Raises NeedsOwner rather than emptying what is not a demo's."""
    folder = folder.expanduser().resolve()
    mark = folder / MARK
    if folder.exists() and not mark.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise NeedsOwner(_("{folder} holds something else than a demo: name an empty folder by --home"), folder=str(folder))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(mark, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise NeedsOwner(
                _("A demo is running in {folder}: end it first, or name another folder by --home"), folder=str(folder)
            ) from None
        for path in folder.iterdir():
            if path != mark:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        yield folder


class Demo:
    """One demo in one folder; as a context it ends the server that it started."""

    def __init__(self, folder: Path, voice: Voice) -> None:
        self.folder, self.voice = folder, voice
        self.home = folder / "home"
        self.password = secrets.token_urlsafe(9)
        self.server: subprocess.Popen[bytes] | None = None
        self.crm: CrmServer | None = None
        self.shop: ShopServer | None = None
        self.markets: dict[str, MarketServer] = {}
        self.url = ""
        # The hub of the person who looks at the demo must not be touched: nothing of its environment goes along.
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("OBMEN_") or k in ("OBMEN_DEBUG", "OBMEN_LOG")}
        self.env |= {"OBMEN_HOME": str(self.home), "OBMEN_LANGUAGE": voice.language, "OBMEN_TIME_ZONE": ZONE.key}
        self.env["OBMEN_ALLOW_PRIVATE"] = "1"  # the sandbox's CRM is on this machine
        self.env.pop("DJANGO_SETTINGS_MODULE", None)

    def __enter__(self) -> Demo:
        return self

    def __exit__(self, *_error: object) -> None:
        for partner in filter(None, (self.crm, self.shop, *self.markets.values())):
            partner.stop()
        if self.server and self.server.poll() is None:
            self.server.terminate()
            try:
                self.server.wait(30)
            except subprocess.TimeoutExpired:
                self.server.kill()

    # --- the steps ---

    def play(self, port: int) -> None:
        """The whole story. Raises ExchangeError where something is not as it has to be."""
        say = self.voice.say
        self.obmen("init", OBMEN_ADMIN_PASSWORD=self.password)
        say(_("1. A hub is set up: data in {folder}, user “admin”."), folder=str(self.home))

        settings = ("--set", "currencies=UAH=грн.", "--set", "requisites=Сайт заказа={site}")
        door = json.loads(
            self.obmen(
                *("connection", "add", "1c", "1C UT 11", "--profile", "ut11", *settings),
                *("--language", self.voice.language, "--time-zone", ZONE.key, "--json"),
            )
        )
        self.serve(port)
        say(_("2. The server answers at {url}; 1C's address in it is {path}."), url=self.url, path=door["path"])

        client = Client(UT11, Address.parse(self.url.rstrip("/") + door["path"]), door["login"], door["password"])
        base = Base(self.folder / "1c", rules=UT11.rules, now=lambda: datetime.now(ZONE).replace(tzinfo=None, microsecond=0))
        self.goods(client, base)
        numbers = self.orders(client, base)
        self.results(client, base, numbers)
        self.customers_orders(client, base)
        self.shops_orders(client, base)
        self.markets_orders(client, base)

    def goods(self, client: Client, base: Base) -> None:
        folder = self.folder / "catalogue"
        books = generate(SPEC, folder).books
        base.remember(SPEC)
        self.well(push(client, folder))
        tables = ("groups", "products", "offers", "prices", "stock")
        rows = {kind: self.dump(kind) for kind in tables}
        pictures = {path.name for path in (folder / "import_files").rglob("*") if path.is_file()}
        found: dict[str, object] = {kind: len(rows[kind]) for kind in tables}
        found["offers"] = len(rows["offers"]) - books["deleted_offers"]
        found["price_kopecks"] = int(sum(Decimal(row["value"]) for row in rows["prices"]) * 100)
        found["quantity"] = int(sum(Decimal(row["quantity"]) for row in rows["stock"]))
        self.same(_("the books after the catalogue"), found, {name: books[name] for name in found})
        named = {Path(path).name for row in rows["products"] for path in row["pictures"]}
        self.same(_("pictures on the cards"), named, pictures)
        self.same(_("records set aside"), len(self.dump("parked")), 0)
        facts = {kind: len(rows[kind]) for kind in tables} | {"pictures": len(pictures)}
        self.voice.say(
            _(
                "3. 1C has sent its goods: groups {groups}, products {products}, offers {offers}, prices {prices}, "
                "stock figures {stock}, pictures {pictures}."
            ),
            **facts,
        )

    def orders(self, client: Client, base: Base) -> dict[str, str]:
        """Orders go to 1C. Returns 1C's number of each by the number here."""
        wanted = sample_orders(datetime.now(UTC))
        file = self.folder / "orders.jsonl"
        file.write_text("".join(json.dumps(order, ensure_ascii=False) + "\n" for order in wanted), "utf-8")
        self.obmen("load", "orders", str(file))
        self.same(_("orders in the books"), {o["number"] for o in self.dump("orders")}, {o["number"] for o in wanted})
        self.same(_("orders that wait for 1C"), self.waiting(), {o["key"]: "pending" for o in wanted})
        self.voice.say(_("4. Orders of the online shop are in the books: {orders}."), orders=len(wanted))

        report = pull(client, base)
        self.well(report)
        numbers = {order.requisite("Номер заказа на сайте") or order.number: order.number for order in base.orders}
        good = {o["number"] for o in wanted} - {NAMELESS}
        self.same(_("orders in 1C"), set(numbers), good)
        self.same(_("length of the longest number in 1C"), max(map(len, numbers.values())) <= 11, True)
        unknown = [name for loaded in report.loaded for name in loaded.new_goods]
        self.same(_("what 1C did not know and has made"), unknown, ["Доставка заказа"])
        self.same(_("orders set aside"), [row["facts"].get("number") for row in self.dump("parked")], [NAMELESS])
        self.same(_("orders that still wait for 1C"), self.waiting(), {f"demo-{NAMELESS}": "pending"})
        self.voice.say(
            _(
                "5. 1C has fetched and confirmed orders: {orders}. {long} went as {short}, because 1C:UT looks at 11 characters; "
                "{number} is set aside, because its buyer has no name."
            ),
            orders=len(good),
            long=LONG,
            short=numbers[LONG],
            number=NAMELESS,
        )
        return numbers

    def results(self, client: Client, base: Base, numbers: Mapping[str, str]) -> None:
        for number, actions in (("1001", ("post", "pay", "ship")), ("1002", ("cancel",)), (LONG, ("post", "pay"))):
            for action in actions:
                base.act(numbers[number], action)
        goods = next(i for i, line in enumerate(base.order(numbers["1003"]).lines, 1) if not line.service)
        changed = base.change_line(numbers["1003"], goods, quantity="5")
        report = pull(client, base)
        self.well(report)
        self.same(_("orders that 1C reports"), set(report.reported), set(numbers.values()))
        books = {o["number"]: o for o in self.dump("orders")}
        found = {n: (bool(o["paid"]), bool(o["shipped"]), o["cancelled"]) for n, o in books.items()}
        nothing = dict.fromkeys(books, (False, False, False))
        paid = {
            "1001": (True, True, False),
            "1002": (False, False, True),
            LONG: (True, False, False),
            "1004": (True, False, False),
        }
        self.same(_("what has become of the orders (paid, shipped, cancelled)"), found, nothing | paid)
        line = next(line["quantity"] for line in books["1003"]["lines"] if line["kind"] == "product")
        self.same(_("the changed line"), (line, Decimal(books["1003"]["total"])), ("5", changed.total))
        self.same(_("runs that did not end well"), [r for r in self.dump("runs") if r["state"] != "done"], [])
        self.voice.say(
            _(
                "6. 1C has reported back: paid and shipped {done}, cancelled {cancelled}, a changed line in {changed}, paid {paid}."
            ),
            done="1001",
            cancelled="1002",
            changed="1003",
            paid=LONG,
        )

    def customers_orders(self, client: Client, base: Base) -> None:
        """A CRM fetches the catalogue and gets the stock; an order made there reaches 1C, and its state comes back."""
        key = secrets.token_hex(16)
        crm = RetailCRM(key=key, zone=ZONE.key)
        self.crm = serve_crm(crm)
        books = crm.account.references
        store = next(iter(books["stores"]))
        offers = {row["key"]: row for row in self.dump("offers") if not row["deleted"]}
        house, price = self.first("stock", "warehouse"), self.first("prices", "kind")
        self.connect_crm(key, crm.site, store, house, price)

        self.obmen("run", CRM, "catalogue-out")
        books["sites"][crm.site]["ymlUrl"] = self.url.rstrip("/") + self.about(CRM)["feeds"]["icml.xml"]
        self.same(_("offers that the CRM has fetched"), crm.pull_icml().created, len(offers))
        self.obmen("run", CRM, "stock-out")
        stock = (row for row in self.dump("stock") if row["warehouse"] == house)
        said = {row["offer"]: Decimal(row["quantity"]) - Decimal(row.get("reserved", 0)) for row in stock}
        found = {offer: crm.stock(offer)[store] for offer in offers}
        self.same(_("stock in the CRM"), found, {offer: max(said.get(offer, Decimal(0)), Decimal(0)) for offer in offers})
        self.voice.say(_("7. A CRM has fetched the catalogue and got the stock of {offers} offers."), offers=len(offers))

        offer = next(key for key in offers if found[key] > 3)
        order = crm.ui.create_order([(offer, 3)], firstName="Оксана", lastName="Вигаданенко", phone="+380000000007")
        wake = Request(self.url.rstrip("/") + self.about(CRM)["wake_up"], data=b"id=1", method="POST")  # noqa: S310
        urlopen(wake).close()  # noqa: S310
        self.until(lambda: any(row["number"] == order["number"] for row in self.dump("orders")), _("the order of the CRM"))
        self.well(pull(client, base))
        theirs = next(o for o in base.orders if order["number"] in (o.number, o.requisite("Номер заказа на сайте")))
        self.same(
            _("the order of the CRM in 1C"),
            [(Decimal(line.quantity), line.service) for line in theirs.lines],
            [(Decimal(3), False)],
        )
        base.act(theirs.number, "ship")
        self.well(pull(client, base))
        self.obmen("run", CRM, "orders-out")
        self.same(_("its status in the CRM"), crm.order(order["id"])["status"], SHIPPED_IN_CRM)
        self.obmen("run", CRM)
        self.same(_("orders that the CRM has"), len(crm.all_orders()), 1)
        crm.assert_no_duplicates()
        self.voice.say(
            _("8. Order {number}, made in the CRM, went to 1C, was shipped there, and is “{status}” in the CRM."),
            number=order["number"],
            status=SHIPPED_IN_CRM,
        )

    def connect_crm(self, key: str, site: str, store: str, house: str, price: str) -> None:
        """As a person would: address and key, then the tables of statuses and warehouses."""
        assert self.crm is not None
        settings = {
            "server": self.crm.url, "api_key": key, "site": site, "characteristics": "true", "currency": "UAH", "selling_price": price,
        }  # fmt: skip
        pairs = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        self.obmen("connection", "add", "retailcrm", CRM, *pairs, "--language", self.voice.language, "--time-zone", ZONE.key)
        rows = [
            ("order_state", "new", NEW, "in"),
            ("order_state", SHIPPED_IN_CRM, SHIPPED, "out"),
            ("warehouse", store, house, ""),
        ]
        self.map(CRM, rows)
        self.obmen("connection", "set", "1C UT 11", f"mark_states=shipped={SHIPPED}")  # 1C:UT reports no states
        self.obmen("check", CRM)
        self.obmen("run", CRM, "orders-in")  # from now on

    def shops_orders(self, client: Client, base: Base) -> None:
        """A shop for which the hub is 1C: goods one way, an order the other, and its state back."""
        own = {"zone": ZONE.key, "currency": "UAH", "currency_name": "UAH"}
        shop = make(SHOP_PROFILE, password=secrets.token_hex(8), **own)
        self.shop = serve_shop(shop)
        price = self.first("prices", "kind")
        settings = {"address": self.shop.url, "login": shop.login, "password": shop.password, "price_kinds": price}
        pairs = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        where = ("--language", self.voice.language, "--time-zone", ZONE.key)
        self.obmen("connection", "add", "shop", SHOP, "--profile", SHOP_PROFILE, *pairs, *where)
        states = shop.states
        self.map(SHOP, [("order_state", states["O"], NEW, "in"), ("order_state", states["C"], SHIPPED, "out")])
        self.obmen("check", SHOP)

        self.obmen("run", SHOP)
        offers = {row["key"] for row in self.dump("offers") if not row["deleted"]}
        there = {f"{p.id}#{variant}" if variant else p.id for p in shop.goods.products.values() for variant in p.offers}
        self.same(_("offers in the shop"), there, offers)
        prices = {row["offer"]: Decimal(row["value"]) for row in self.dump("prices") if row["kind"] == price}
        offer = next(key for key in sorted(offers) if key in prices and (shop.goods.find(key)[1].quantity or 0) > 3)
        self.same(_("a price in the shop"), set(shop.goods.find(offer)[1].prices.values()), {prices[offer]})
        uploads = len(shop.calls("mode=file"))
        self.obmen("run", SHOP)
        self.same(_("files that the shop gets when nothing has changed"), len(shop.calls("mode=file")), uploads)

        buyer = Buyer("Роман", "Неіснуючий", "+380000000008", "roman@example.com", city="Вигаданськ")
        number = shop.buy([(offer, 2)], buyer=buyer).id
        self.obmen("run", SHOP, "orders-in")
        self.well(pull(client, base))
        theirs = next(o for o in base.orders if str(number) in (o.number, o.requisite("Номер заказа на сайте")))
        goods = [Decimal(line.quantity) for line in theirs.lines if not line.service]
        self.same(_("the order of the shop in 1C"), goods, [Decimal(2)])
        base.act(theirs.number, "ship")
        self.well(pull(client, base))
        self.obmen("run", SHOP)
        self.same(_("its status in the shop"), shop.states[shop.orders[number].status], states["C"])
        self.voice.say(
            _(
                "9. A CS-Cart shop has got {offers} offers; its order {number} went to 1C, was shipped there, and is “{status}” in the shop."
            ),
            offers=len(offers),
            number=number,
            status=states["C"],
        )

    def markets_orders(self, client: Client, base: Base) -> None:
        """Two marketplaces and one stock: what one of them sells is gone at the other, before 1C has heard of it."""
        price = self.first("prices", "kind")
        prices = {row["offer"]: Decimal(row["value"]) for row in self.dump("prices") if row["kind"] == price}
        stock: dict[str, Decimal] = {}
        for row in self.dump("stock"):
            stock[row["offer"]] = stock.get(row["offer"], Decimal(0)) + Decimal(row["quantity"])
        offer = next(key for key in sorted(stock) if "#" not in key and key in prices and 3 < stock[key] < 10_000)
        left = self.market_stock(offer)
        prom, rozetka = Prom(), Rozetka()
        prom.add_product("Товар демонстрації", prices[offer], 1, external_id=offer)
        rozetka.add_item("Товар демонстрації", int(prices[offer]), 1, offer=offer)
        self.markets = {PROM: serve_market(prom), ROZETKA: serve_market(rozetka)}
        self.connect_market("prom", PROM, price, token=prom.token.value, pace="100")
        self.connect_market("rozetka", ROZETKA, price, login=rozetka.login, password=rozetka.password)
        self.map(PROM, [("order_state", "pending", NEW, "in"), ("order_state", "delivered", SHIPPED, "out")])
        self.map(ROZETKA, [("order_state", "1", NEW, "in")])
        for name in self.markets:
            self.obmen("run", name, "orders-in")  # from now on
            self.obmen("run", name, "products-in", "offers-out")

        def shown() -> tuple[Decimal, Decimal]:
            return Decimal(prom.product(offer).quantity or 0), Decimal(rozetka.item(offer).stock)

        self.same(_("the stock at both marketplaces"), shown(), (left, left))
        number = prom.buy(
            [(offer, 2)], phone="+380000000009", first_name="Яна", last_name="Небутенко", email="yana@example.com"
        ).id
        for name in self.markets:
            self.obmen("run", name, "orders-in", "offers-out")
        self.same(_("the stock at both marketplaces after a sale at one"), shown(), (left - 2, left - 2))

        self.well(pull(client, base))
        theirs = next(o for o in base.orders if str(number) in (o.number, o.requisite("Номер заказа на сайте")))
        goods = [Decimal(line.quantity) for line in theirs.lines if not line.service]
        self.same(_("the order of the marketplace in 1C"), goods, [Decimal(2)])
        base.track(theirs.number, PARCEL)
        base.act(theirs.number, "ship")
        self.well(pull(client, base))
        self.obmen("run", PROM, "statuses-out")
        order = prom.orders[number]
        self.same(_("its status and parcel at the marketplace"), (order.status, order.declaration), ("delivered", PARCEL))
        self.voice.say(
            _(
                "10. Order {number} of Prom went to 1C, was shipped there, and has its status and parcel {parcel} at Prom; "
                "Rozetka shows {left} pieces less at once."
            ),
            number=number,
            parcel=PARCEL,
            left=2,
        )

    def connect_market(self, connector: str, name: str, price: str, **settings: str) -> None:
        settings |= {"address": self.markets[name].url, "price_kind": price, "price_jump": "0"}
        pairs = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        where = ("--language", self.voice.language, "--time-zone", ZONE.key)
        self.obmen("connection", "add", connector, name, *pairs, *where)
        self.obmen("check", name)

    def market_stock(self, offer: str) -> Decimal:
        """Whole pieces of all warehouses that no order has reserved."""
        rows = [row for row in self.dump("stock") if row["offer"] == offer]
        free = sum((Decimal(row["quantity"]) for row in rows), Decimal(0)) - max(Decimal(row.get("reserved", 0)) for row in rows)
        return free.to_integral_value(ROUND_FLOOR)

    def map(self, name: str, rows: list[tuple[str, str, str, str]]) -> None:
        """Add rows (subject, theirs, ours, "in", "out" or "" for both) to a connection's mapping tables."""
        text = self.obmen("connection", "export", name)
        for subject, theirs, ours, way in rows:
            text += f"\n[[mappings]]\nsubject = {json.dumps(subject)}\ntheirs = {json.dumps(theirs)}\nours = {json.dumps(ours)}\n"
            text += f"inbound = {json.dumps(way != 'out')}\noutbound = {json.dumps(way != 'in')}\n"
        file = self.folder / "connection.toml"
        file.write_text(text, "utf-8")
        self.obmen("connection", "apply", str(file))

    def about(self, name: str) -> dict[str, Any]:
        rows = map(json.loads, self.obmen("connection", "list", "--json").splitlines())
        return next(row for row in rows if row["name"] == name)

    def first(self, kind: str, field: str) -> str:
        return str(self.dump(kind)[0][field])

    def until(self, done: Callable[[], bool], what: str) -> None:
        """Wait for what a worker of the server does. Raises ExchangeError when it does not."""
        end = time.monotonic() + STEP
        while not done():
            if time.monotonic() > end:
                raise ExchangeError(
                    _("It has not come: {what}. The server's log is {log}"), what=self.voice.text(what, {}), log=str(self.log)
                )
            time.sleep(0.3)

    def stay(self) -> None:
        """Say where to look, and wait until a signal ends it. Raises ExchangeError when the server ends by itself."""
        say = self.voice.say
        say(_("\nEverything is as it has to be. Look at it:"))
        say(_("  page      {url}"), url=self.url)
        say(_("  login     {login}"), login="admin")
        say(_("  password  {password}"), password=self.password)
        if self.crm:
            say(_("  CRM       {url}"), url=self.crm.url)
        if self.shop:
            say(_("  shop      {url}"), url=self.shop.url)
        for name, market in self.markets.items():
            say("  {name}  {url}", name=name.ljust(8), url=market.page)
        assert self.server is not None
        self.voice.say(_("Ctrl+C ends the demo."))
        self.server.wait()
        raise ExchangeError(
            _("The server has ended with {code}; its log is {log}"), code=self.server.returncode, log=str(self.log)
        )

    # --- the hub, from outside ---

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def obmen(self, *args: str, **env: str) -> str:
        """What a command prints. Raises ExchangeError with what it said instead."""
        command = [sys.executable, "-m", "obmen.cli", *args]
        done = subprocess.run(command, env=self.env | env, capture_output=True, encoding="utf-8", stdin=subprocess.DEVNULL)
        if done.returncode:
            said = done.stderr.strip() or done.stdout.strip()
            raise ExchangeError(_("“obmen {command}” did not work: {said}"), command=" ".join(args[:2]), said=said)
        return done.stdout

    def dump(self, kind: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.obmen("dump", kind).splitlines()]

    def waiting(self) -> dict[str, str]:
        return {row["key"]: row["state"] for row in self.dump("outbox")}

    def serve(self, port: int) -> None:
        """Start the server on the first free port and wait until it answers. Raises ExchangeError, NeedsOwner."""
        for number in range(port, min(port + PORTS, 65536)):
            if not _is_free(number):
                continue
            with open(self.log, "ab") as log:
                # A session of its own: Ctrl+C reaches the demo alone, which then ends the server in good order.
                command = [sys.executable, "-m", "obmen.cli", "serve", "--port", str(number)]
                self.server = subprocess.Popen(
                    command, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            if self._answers(number):
                self.url = f"http://127.0.0.1:{number}/"
                return
            if _is_free(number):  # else somebody was quicker than our server
                said = self.log.read_text(errors="replace").strip()
                raise ExchangeError(_("The server does not start: {said}"), said=said[-2000:])
        raise NeedsOwner(_("No port from {port} on is free: name another one by --port"), port=port)

    def _answers(self, port: int) -> bool:
        assert self.server is not None
        end = time.monotonic() + START
        while time.monotonic() < end and self.server.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return self.server.poll() is None
            time.sleep(0.05)
        return False

    def well(self, report: Report) -> None:
        if not report.ok:
            raise ExchangeError(report.failures[0].text, **report.failures[0].facts)

    def same(self, what: str, found: object, wanted: object) -> None:
        """Raises ExchangeError when a step did not come out as it has to."""
        if found != wanted:
            raise ExchangeError(
                _("Not as it has to be: {what}. Found {found}, expected {wanted}. The server's log is {log}"),
                what=self.voice.text(what, {}),
                found=_short(found),
                wanted=_short(wanted),
                log=str(self.log),
            )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def _is_free(port: int) -> bool:
    """Whether the server could bind it; nobody may listen on a port that an outgoing call of this machine is using."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def sample_orders(now: datetime) -> list[dict[str, Any]]:
    """Six orders for goods of the catalogue, in the shape of “dump orders”: one number is too long for 1C:UT, one buyer is
    unknown."""
    catalogue = Catalogue(SPEC)
    cards = [card for number in range(SPEC.products) if not (card := catalogue.card(number)).deleted]
    plain = [card for card in cards if not card.variants[0].key]

    def line(position: int, quantity: int, *, variant: bool = False, **more: object) -> dict[str, object]:
        goods = next(card for card in cards if card.variants[0].key) if variant else plain[position]
        key, _variant, prices, _stock = next(catalogue.offers(goods))
        said = {"offer": key, "article": goods.article, "name": unescape(goods.name), "kind": "product", "unit": "шт"}
        return said | {"vat_rate": "20", "quantity": quantity, "price": str(Decimal(prices[0]) / 100)} | more

    def person(key: str, last: str, first: str, phone: str) -> dict[str, str]:
        name = {"last_name": last, "first_name": first, "name": f"{last} {first}"}
        return {"key": key, "kind": "person", "phone": phone, "email": f"{key}@example.com"} | name

    def post(place: str, price: int) -> dict[str, object]:
        return {"method": "Нова пошта", "method_key": "novaposhta", "price": price, "address": place}

    def when(hours: int) -> str:
        return (now - timedelta(hours=hours)).replace(microsecond=0).isoformat()

    def order(number: str, hours: int, buyer: dict[str, str], lines: list[dict[str, object]], **more: object) -> dict[str, Any]:
        site = {"site": "shop.example.com", "company": "Вигадана крамниця"}
        head = {"key": f"demo-{number}", "number": number, "date": when(hours), "currency": "UAH", "state": "Новий"}
        return head | site | {"counterparty": buyer, "lines": lines} | more

    online = {"key": "pay-1", "method": "Картка онлайн", "method_key": "card", "gateway": "LiqPay", "paid": True}
    firm = {"key": "buyer-4", "kind": "company", "name": "ТОВ «Приклад»", "full_name": "ТОВ «Приклад»", "okpo": "00000000"}
    orders = [
        order(
            "1001",
            30,
            person("buyer-1", "Прикладенко", "Марічка", "+380000000001"),
            [line(0, 2), line(1, 1, discount="10")],
            delivery=post("м. Вигаданськ, відділення № 1", 90),
            comment="Зателефонуйте перед відправленням",
        ),
        order(
            "1002",
            26,
            person("buyer-2", "Зразковий", "Тарас", "+380000000002"),
            [line(2, 1)],
            delivery=post("м. Прикладове, відділення № 7", 75),
        ),
        order(
            "1003",
            20,
            person("buyer-3", "Тестенко", "Соломія", "+380000000003"),
            [line(3, 3), line(4, 1)],
            delivery={"method": "Самовивіз", "method_key": "pickup"},
        ),
        order(
            "1004",
            9,
            firm | {"phone": "+380000000004", "email": "office@example.com"},
            [line(5, 10, discount="100"), line(6, 4)],
            delivery={"method": "Кур'єр", "method_key": "courier", "price": 150, "address": "м. Вигаданськ, вул. Зразкова, 5"},
        ),
        order(
            LONG,
            4,
            person("buyer-5", "Вигаданюк", "Остап", "+380000000005"),
            [line(0, 1, variant=True)],
            delivery=post("м. Тестове, поштомат № 12", 65),
            site="rozetka.example.com",
        ),
        order(NAMELESS, 1, {"key": "buyer-6", "kind": "person"}, [line(7, 1)]),
    ]
    paid = orders[3]
    total = sum(Decimal(r["quantity"]) * Decimal(r["price"]) - Decimal(r.get("discount", 0)) for r in paid["lines"]) + 150
    paid["paid"] = True
    paid["payments"] = [online | {"amount": str(total), "date": when(9), "number": "LP-000001"}]
    return orders
