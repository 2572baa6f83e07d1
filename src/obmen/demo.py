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
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any
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

LANGUAGES = ("uk", "ru", "en")
ZONE = ZoneInfo("Europe/Kyiv")
MARK = "obmen-demo"  # a folder with this file in it may be emptied
PORTS = 100  # how many ports after the wanted one are tried
START = 120.0  # seconds that the server may take to answer
SPEC = Spec(products=120, portion=50, seed=2026, pictures=0.6, deleted=0.02, currency="UAH")
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
        self.url = ""
        # The hub of the person who looks at the demo must not be touched: nothing of its environment goes along.
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("OBMEN_") or k in ("OBMEN_DEBUG", "OBMEN_LOG")}
        self.env |= {"OBMEN_HOME": str(self.home), "OBMEN_LANGUAGE": voice.language, "OBMEN_TIME_ZONE": ZONE.key}
        self.env.pop("DJANGO_SETTINGS_MODULE", None)

    def __enter__(self) -> Demo:
        return self

    def __exit__(self, *_error: object) -> None:
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

    def stay(self) -> None:
        """Say where to look, and wait until a signal ends it. Raises ExchangeError when the server ends by itself."""
        say = self.voice.say
        say(_("\nEverything is as it has to be. Look at it:"))
        say(_("  page      {url}"), url=self.url)
        say(_("  login     {login}"), login="admin")
        say(_("  password  {password}"), password=self.password)
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
                found=found,
                wanted=wanted,
                log=str(self.log),
            )


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
