"""Every page and every list of the API on big books: how long the server takes, and how many queries.

What is asked is derived from the addresses of the site: one that takes a parameter which no example is known for ends the bench. As a
program (``python bench/pages.py fill|ask``, in the environment of a hub) it is the process that fills the books or asks; bench/run.py
starts both and makes rows of what they say.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote, urlencode

QUERIES, MS = 12, 200.0  # goals
ROUNDS = 5
FAST = 0.4  # of the goal: a page that takes less at first sight is not asked again
HERE = Path(__file__).resolve()


class NoExample(Exception):
    """The bench does not know how to ask for a page: give it an example."""


@dataclass(frozen=True)
class Asked:
    """One page: the least of its queries; processor milliseconds, the least and the median; the median of its wall milliseconds."""

    page: str
    who: str
    status: int
    queries: int
    least: float
    median: float
    wall: float


@dataclass(frozen=True)
class Books:
    """Sizes of the books, as options of a process."""

    offers: int = 300_000
    orders: int = 100_000
    links: int = 1_000_000
    parked: int = 50_000

    @property
    def options(self) -> list[str]:
        return [part for name, value in asdict(self).items() for part in (f"--{name}", str(value))]


def fill_command(books: Books) -> list[str]:
    return [sys.executable, str(HERE), "fill", *books.options]


def ask_command(books: Books, rounds: int = ROUNDS) -> list[str]:
    return [sys.executable, str(HERE), "ask", *books.options, "--rounds", str(rounds)]


def read(said: str) -> list[Asked]:
    return [Asked(**one) for one in json.loads(said)]


def table(asked: Sequence[Asked], only: int = 0) -> str:
    """The slowest first; ``only`` so many."""
    rows = sorted(asked, key=lambda one: -one.median)[: only or None]
    head = f"{'ms':>6} {'least':>6} {'wall':>6} {'queries':>8}  {'as':<8} {'':>4} page"
    return "\n".join(
        [head, *(f"{a.median:6.0f} {a.least:6.0f} {a.wall:6.0f} {a.queries:8d}  {a.who:<8} {a.status:>4} {a.page}" for a in rows)]
    )


# --- what is asked ---------------------------------------------------------------------------------------------------------

# Addresses that are no page: what stands behind them, by the beginning of their route.
NO_PAGE = {
    "i18n/": "a POST",
    "^feeds/": "for other systems",
    "^hooks/": "for other systems, and starts a run",
    "^exchange/": "for other systems",
    "^bitrix/": "for other systems",
    "^admin/exchange/": "for other systems",
    "^rest/": "for other systems",
    "^1c_exchange": "for other systems",
    "^exim_1c": "for other systems",
    "^commerceml": "for other systems",
    "api/^.": "an error",
    "r/<path:content_type_id>": "Django's own, nothing links to it",
    "invitation/": "its address is in a letter",
    "pictures/": "a file",
    "store/message/<int:pk>/file/": "a file",
    "jsi18n/": "a script of Django's",
}


def routes() -> Iterator[str]:
    from django.urls import URLResolver, get_resolver

    def walk(patterns: Iterable[Any], before: str) -> Iterator[str]:
        for one in patterns:
            route = before + str(one.pattern)
            if isinstance(one, URLResolver):
                yield from walk(one.url_patterns, route)
            elif one.name is not None or route.startswith("api/"):
                yield route

    yield from dict.fromkeys(walk(get_resolver().url_patterns, ""))


class Examples:
    """What stands for each parameter of an address: rows from the middle of long tables, which nobody has looked at lately."""

    def __init__(self, sizes: Any) -> None:
        from django.contrib.auth.models import Group as Role
        from django.contrib.auth.models import User

        from obmen.store import models

        self.sizes = sizes
        middle: dict[str, Any] = {
            "product": [sizes.products // 2, 3], "offer": [sizes.offers - 3], "group": [20], "property": [7],
            "counterparty": [1, sizes.buyers // 2], "order": [sizes.orders // 2, sizes.orders // 2 + 1, 400], "parked": [4, 7, 18],
            "journalentry": [sizes.traffic // 2], "message": [sizes.traffic // 2], "notice": [3],
            "run": [sizes.runs // 2, sizes.runs, sizes.runs - 1],
            "reference": list(models.Reference.objects.filter(subject="delivery").values_list("pk", flat=True)[:1]),
            "user": [User.objects.get(username="limited").pk], "authgroup": [Role.objects.order_by("pk")[0].pk],
            "apitoken": [models.ApiToken.objects.order_by("pk")[0].pk],
        }  # fmt: skip
        self.rows = middle
        each: dict[str, int] = {}
        for pk, key in models.Connection.objects.order_by("pk").values_list("pk", "connector"):
            each.setdefault(key, pk)
        self.connections = each
        self.channel = models.NoticeChannel.objects.values_list("pk", flat=True)[0]
        self.sign_in, self.publisher, self.package = 1, 1, 1

    def of(self, route: str) -> list[str]:
        """The addresses of one route. Raises NoExample."""
        if "<" not in route:
            return [route]
        if route.startswith("store/connection/<int:pk>/"):
            return [address for key, pk in self.connections.items() for address in self._of_connection(route, key, pk)]
        if route.startswith("api/v1/"):
            return self._of_api(route)
        if route.startswith(("manual/<int:pk>/",)):
            return [route.replace("<int:pk>", str(pk)) for pk in self.connections.values()]
        if route.startswith("notices/"):
            known = route.replace("<int:pk>", str(self.channel))
            return self._done([known.replace("<slug:way>", way) for way in ("email", "telegram", "webhook")], route)
        if route.startswith("account/sign-ins/"):
            return [route.replace("<int:pk>", str(self.sign_in))]
        if route.startswith("store/formatpackage/"):
            return [route.replace("<int:pk>", str(self.package))]
        parts = route.split("/")
        model = "authgroup" if parts[:2] == ["auth", "group"] else parts[1] if len(parts) > 1 else ""
        ids = [self.sizes.runs // 2] if model == "parked" and "<int:run>" in route else self.rows.get(model, ["message"])
        if model == "connection":
            ids = list(self.connections.values())
        if route.startswith("store/run/replay/"):
            ids = self.rows["message"]
        if model == "run" and "/preview" in route:
            ids = [self.sizes.runs]
        kinds = ("<int:pk>", "<path:object_id>", "<int:order_id>", "<id>", "<int:run>")
        made = []
        for one in ids:
            address = route
            for kind in kinds:
                address = address.replace(kind, str(one))
            made.append(address)
        return self._done(made, route)

    @staticmethod
    def _done(addresses: Iterable[str], route: str) -> list[str]:
        found = list(dict.fromkeys(addresses))
        if any("<" in one for one in found):
            raise NoExample(f"bench/pages.py has no example for the parameters of {route}")
        return found

    def _of_connection(self, route: str, key: str, pk: int) -> list[str]:
        from obmen.registry import connectors
        from obmen.store import models
        from obmen.web import connector_tabs, tables

        connection = models.Connection.objects.get(pk=pk)
        connector = connectors()[key]
        made = [route.replace("<int:pk>", str(pk))]
        if "<slug:tab>/<slug:table>" in route:
            made = [
                one.replace("<slug:tab>", table.tab).replace("<slug:table>", tables.name_of(table))
                for one in made
                for table in connector.tables[:2]
            ]
        elif "<slug:tab>" in route:
            made = [one.replace("<slug:tab>", tab) for one in made for tab, _title in connector_tabs.every_tab(connector)]
        elif "<slug:table>" in route:
            names = [tables.name_of(table) for table in tables.tables_of_connection(connection)]
            made = [one.replace("<slug:table>", name) for one in made for name in names]
        if "<str:stream>" in route:
            streams = list(connection.bookmarks.values_list("stream", flat=True)) or list(connector.streams)
            made = [one.replace("<str:stream>", stream) for one in made for stream in streams]
        if "<int:feed>" in route:
            made = [one.replace("<int:feed>", "1") for one in made]
        return self._done(made, route)

    def _of_api(self, route: str) -> list[str]:
        said = {
            "<connection>": list(self.connections.values())[:2], "<stream>": ["orders-in"], "<subject>": ["delivery"],
            "<run>": self.rows["run"], "<parked>": self.rows["parked"], "<order>": self.rows["order"],
            "<counterparty>": self.rows["counterparty"], "<product>": self.rows["product"], "<offer>": self.rows["offer"],
            "<channel>": [1], "<table>": ["delivery-in"],
        }  # fmt: skip
        made = [route]
        for name, values in said.items():
            made = [one.replace(name, str(value)) for one in made for value in (values if name in route else [""])]
        return self._done(made, route)


def words(model: str, sizes: Any) -> list[str]:
    """What people look for in a list: much of it, little of it, nothing, an exact id where it has some."""
    import books

    n = sizes.products // 2
    own = {
        "product": [f"{'КВЧФ'[n % 4]}{'АБВГ'[n % 3]}-{n:06d}", f"482{n:010d}", f"00-{n:08d}", f"{n}", "кава мелена"],
        "offer": [f"О-{n // 4 * 4:06d}", f"200{n // 3 * 3:010d}", f"482{n:010d}", "кава мелена"],
        "order": [
            f"ІМ-{100000 + sizes.orders // 2}",
            f"shop-{sizes.orders // 2}",
            books.COMMON_BUYER,
            books.RARE_BUYER,
            "+38050",
        ],
        "counterparty": [books.COMMON_BUYER, books.RARE_BUYER, "+380500000007", "b7@example.com"],
        "message": ["mode=file", "success", "203.0.113.7"],
        "journalentry": ["person7", "order"],
        "parked": ["delivery-7", "mapped", "offer-7", "500007"],
        "run": ["operator", "prom"],
    }
    return [books.COMMON, books.RARE, books.NOWHERE, *own.get(model, ())]


def of_list(client: Any, address: str, sizes: Any) -> list[str]:
    """Further addresses of one list: every order, every filter, words, its last page."""
    answer = client.get(f"/{address}")
    cl = (getattr(answer, "context_data", None) or {}).get("cl")
    if cl is None:
        return []
    asked: list[dict[str, Any]] = []
    for at, name in enumerate(cl.list_display):
        if name in cl.sortable_by and cl.get_ordering_field(name):
            asked += [{"o": at}, {"o": -at}, {"o": -at, "q": words(cl.opts.model_name, sizes)[0]}]
    if cl.search_fields:
        asked += [{"q": word} for word in words(cl.opts.model_name, sizes)]
    last = cl.paginator.num_pages
    asked += [{"p": last}] if last > 1 else []
    for spec in cl.filter_specs:
        asked += choices(spec)
    return [f"{address}?{urlencode(one)}" for one in asked]


def choices(spec: Any) -> list[dict[str, Any]]:
    """What is asked for by a filter. Raises NoExample for one of a kind that is not known here."""
    from django.db.models import BooleanField
    from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter

    if isinstance(spec, RangeDateTimeFilter):
        since = datetime.now(UTC) - timedelta(days=20)
        name = spec.parameter_name
        part = {f"{name}_from_0": f"{since:%Y-%m-%d}", f"{name}_from_1": "00:00:00"}
        old = since - timedelta(days=40)
        return [part, {f"{name}_to_0": f"{old:%Y-%m-%d}", f"{name}_to_1": "00:00:00"}]
    if isinstance(spec, AutocompleteSelectFilter):
        return [{spec.lookup_kwarg: 20}]
    if isinstance(getattr(spec, "field", None), BooleanField):
        return [{spec.lookup_kwarg: "1"}, {spec.lookup_kwarg: "0"}]
    said = getattr(spec, "lookup_choices", None)
    if said is None and getattr(spec, "field", None) is not None and spec.field.flatchoices:
        said = spec.field.flatchoices
    name = getattr(spec, "parameter_name", None) or getattr(spec, "lookup_kwarg", None)
    if said is None or not name:
        raise NoExample(f"bench/pages.py does not know filters like {type(spec).__name__}")
    keys = [pair[0] for pair in said]
    return [{name: key} for key in dict.fromkeys([*keys[:3], *keys[-2:]])]


# Parameters of the API's lists by name; those that every list has are asked for apart.
QUERY = {
    "changed_since": "2026-01-01T00:00:00Z", "date_from": "2026-06-01T00:00:00Z", "date_to": "2026-06-01T00:00:00Z",
    "since": "2026-01-01T00:00:00Z", "until": "2026-06-01T00:00:00Z", "number": "ІМ-100400", "state": "done", "company": "Компанія 3",
    "cancelled": "true", "paid": "false", "held": "true", "deleted": "true", "direction": "out", "kind": "order",
    "waiting_kind": "mapping", "action": "order.changed", "who": "person7", "subject": "delivery", "record_kind": "order",
    "record_id": "400", "level": "warning", "outcome": "parked", "trigger": "person", "stream": "orders-in", "reason": "The record has no name",
    "key": "shop-400", "article": "КВ-000400", "barcode": "4820000000400", "code": "00-00000400", "counterparty": "14", "group": "20",
    "product": "400", "source": "3", "connection": "3", "phone": "+380500000400", "email": "b400@example.com", "inn": "0000000400",
    "their_id": "500400", "waiting_id": "delivery:delivery-7", "table": "delivery-in", "each": "true", "name": "prom 1",
    "connector": "prom", "enabled": "true", "preview": "true",
    "decided": "false", "field": "name", "decision": "skipped", "asked_since": "2026-06-01T00:00:00Z",
    "parked_before": "2026-06-01T00:00:00Z", "wait": "0", "waits_for": "delivery:delivery-7", "status": "500",
    "session": "3", "channel": "1",
}  # fmt: skip


def api_path(route: str) -> str:
    """As the description of the API writes it."""
    return "/" + route.replace("<", "{").replace(">", "}")


def of_api(address: str, route: str, described: Mapping[str, Any], sizes: Any) -> list[str]:
    """Further addresses of one list of the API, from its description: pages of 50 and 500, each parameter, words, the last page."""
    from obmen.web.api import paging

    path = api_path(route)
    names = [p["name"] for p in described["paths"][path]["get"].get("parameters", ()) if p["in"] == "query"]
    asked: list[dict[str, Any]] = []
    if "limit" in names:
        asked += [{"limit": 500}]
        cursor = paging._written(("-id",), [60])
        asked += [{"limit": 50, "cursor": cursor}] if "cursor" in names else []
    model = {"orders": "order", "products": "product", "offers": "offer", "counterparties": "counterparty"}.get(
        route.split("/")[2], ""
    )
    for name in names:
        if name in ("limit", "cursor"):
            continue
        if name == "q":
            asked += [{"q": word, "limit": 500} for word in words(model, sizes)]
        elif name in QUERY:
            asked.append({name: QUERY[name]})
            if name == "changed_since":
                asked.append({name: QUERY[name], "limit": 500})
        else:
            raise NoExample(f"bench/pages.py has no example for the parameter {name} of {path}")
    return [f"{address}?{urlencode(one)}" for one in asked]


def others(sizes: Any) -> list[str]:
    """What no list and no route says by itself: words in the searches, parts of pages, pages of previews."""
    import books

    run = sizes.runs
    found = [
        f"seek/?{urlencode({'q': word})}"
        for word in (books.COMMON, books.RARE, books.NOWHERE, f"ІМ-{100000 + 77}", "mode=file", "17")
    ]
    found += [f"seek/?{urlencode({'q': word, 'since': '2026-01-01'})}" for word in (books.RARE, books.NOWHERE)]
    found += [f"search/?{urlencode({'s': word})}" for word in (books.COMMON, "order")]
    found += [f"products-named/?{urlencode({'q': word})}" for word in (books.COMMON, books.RARE, books.NOWHERE, "КВ-00")]
    found += [f"overview/charts/?span={span}" for span in ("24h", "14d", "90d")]
    found += [f"store/run/charts/?span={span}" for span in ("24h", "14d", "90d")]
    found += [
        f"store/run/{run}/preview/?{urlencode(said)}"
        for said in ({"page": "3"}, {"outcome": "updated"}, {"field": "name"}, {"q": books.RARE}, {"decision": "skipped"})
    ]
    found += [
        f"autocomplete/?{urlencode({'app_label': 'store', 'model_name': 'product', 'field_name': 'group', 'term': word})}"
        for word in ("", books.COMMON, books.NOWHERE)
    ]
    return found


# --- asking ----------------------------------------------------------------------------------------------------------------


class Asker:
    """One person at the hub's pages, or their program at its API."""

    def __init__(self, who: str, user: Any, token: str) -> None:
        from django.test import Client

        self.who, self.token = who, token
        self.client = Client(raise_request_exception=False)
        self.client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")

    def get(self, address: str) -> int:
        """The status, once the whole answer is there; of a stream its first piece."""
        headers = {"Authorization": f"Bearer {self.token}"} if address.startswith("api/v1/") else {}
        response = self.client.get("/" + quote(address, safe="/?&=%+-._~:"), headers=headers)
        if response.streaming:
            next(iter(response.streaming_content), b"")
        response.close()
        return int(response.status_code)

    def ask(self, page: str, rounds: int) -> Asked:
        """Asked once when the first sight was fast, else ``rounds`` times after it."""
        status, queries, walls, cpus = 0, [], [], []
        for number in range(rounds + 1):
            with counted() as count:
                wall, cpu = time.perf_counter(), processor()
                status = self.get(page)
                cpus.append(processor() - cpu)
                walls.append(time.perf_counter() - wall)
            queries.append(count[0])
            if number == 0 and cpus[0] * 1000 < FAST * MS:
                break
        if len(walls) > 1:  # the first sight compiles templates
            walls, cpus = walls[1:], cpus[1:]
        ms = [round(seconds * 1000, 1) for seconds in (min(cpus), median(cpus), median(walls))]
        return Asked(page, self.who, status, min(queries), *ms)


def processor() -> float:
    """Seconds of the processor that this thread and the process of PostgreSQL behind it have taken: what a page costs, whoever else uses
    the machine. Elsewhere than beside its PostgreSQL: seconds of the clock."""
    from django.db import connection

    if connection.vendor == "sqlite":
        return time.thread_time()
    connection.ensure_connection()
    try:
        ran = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat").read_text().split()[0]
    except OSError:
        return time.perf_counter()
    return time.thread_time() + int(ran) / 1e9


@contextmanager
def counted() -> Iterator[list[int]]:
    from django.db import connection

    count = [0]

    def wrapper(execute: Any, *asked: Any) -> Any:
        count[0] += 1
        return execute(*asked)

    with connection.execute_wrapper(wrapper):
        yield count


def addresses(client: Any, sizes: Any) -> list[str]:
    """Every address that a person may look at, with its variations."""
    from obmen.web.api.urls import api

    known, found, described = Examples(sizes), [], api.get_openapi_schema()
    for route in routes():
        if any(route.startswith(beginning) for beginning in NO_PAGE):
            continue
        if route.startswith("^"):  # Django's list of an app's models
            found += ["store/", "auth/"]
            continue
        if route.startswith("api/v1/") and "get" not in described["paths"].get(api_path(route), {}):
            continue
        for address in known.of(route):
            found.append(address)
            if route.startswith("api/v1/"):
                found += of_api(address, route, described, sizes)
        if "<" not in route and route.startswith(("store/", "auth/")):
            found += of_list(client, route, sizes)
    return list(dict.fromkeys([*found, *others(sizes)]))


def ask(sizes: Any, rounds: int, match: str, only: str) -> list[Asked]:
    """Raises NoExample."""
    import books
    from django.contrib.auth.models import User

    from obmen.licence import packages
    from obmen.store import tokens

    packages.PAUSE = 3600.0  # each process looks once a second whether a format package has come, in whichever page it is then
    askers = []
    for who in (books.ADMIN, books.LIMITED):
        user = User.objects.get(username=who)
        name = f"bench {time.time()}"
        _row, secret = tokens.make(user, name, list(tokens.SCOPES), days=1, who="bench")
        askers.append(Asker(who, user, secret))
    pages = [page for page in addresses(askers[0].client, sizes) if re.search(match, page)]
    done: list[Asked] = []
    for asker in askers:
        if only and asker.who != only:
            continue
        for at, page in enumerate(pages):
            done.append(asker.ask(page, rounds))
            if at % 100 == 99:
                print(f"  {asker.who}: {at + 1} of {len(pages)} pages", file=sys.stderr, flush=True)
    return done


# Pages that these books have no row for, or that not each connection has; they are asked for all the same.
MISSING = re.compile(
    r"^api/$|^manual/|/tab/|/freeing/|^store/formatpackage/|account/sign-ins/|/feed/|first-hour|/tables/[^/]+/csv$"
    r"|/connection/\d+/(password|login|rewind)/"
)


def broken(asked: Sequence[Asked]) -> list[str]:
    """What was answered with an error, or is not there for who sees everything."""
    wrong = []
    for one in asked:
        lacking = one.status == 404 and one.who == "admin" and not MISSING.search(one.page)
        if one.status >= 500 or lacking:
            wrong.append(f"{one.who} /{one.page} was answered with {one.status}")
    return wrong


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("what", choices=("fill", "ask"))
    for name, value in asdict(Books()).items():
        p.add_argument(f"--{name}", type=int, default=value)
    p.add_argument("--rounds", type=int, default=ROUNDS)
    p.add_argument("--match", default="", help="only pages whose address this regular expression finds")
    p.add_argument("--only", default="", help="only this person: admin or limited")
    p.add_argument("--table", type=int, help="print so many of the slowest pages as a table instead of all as JSON")
    o = p.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "obmen.settings"
    os.environ["OBMEN_API_RATE"] = "0"
    os.environ["PGOPTIONS"] = "-c max_parallel_workers_per_gather=0"  # their processor time would not be seen
    import django

    django.setup()
    import books

    sizes = books.Sizes(o.offers, o.orders, o.links, o.parked)
    if o.what == "fill":
        books.Filler(sizes, datetime.now(UTC)).fill()
        return 0
    done = ask(sizes, o.rounds, o.match, o.only)
    print(table(done, o.table) if o.table is not None else json.dumps([asdict(one) for one in done]))
    print(*broken(done), sep="\n", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
