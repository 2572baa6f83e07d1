"""Measure the hub against floors of the same machine, in one run: ``python bench/run.py``. See docs/bench.md.

Ratios, not seconds: each round does every case and every floor in turn, the first round warms up and is not counted, the figure
is the median of the rounds' ratios. What the books hold afterwards is compared with the generator's manifest; a wrong result
ends the run with exit code 1. A missed goal is a line of the table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import crm
import feeds
import pages
import serving
import shops
from catalogues import LAYOUT, LEAN, PLAIN_LAYOUT, TYPICAL, Catalogue, check, make, open_folder
from hubs import Databases, Hub, Measure, Unavailable, WrongResult, measure
from serving import median

HERE = Path(__file__).resolve().parent
CASES = (
    "first",
    "same",
    "changed",
    "postgresql",
    "memory",
    "django-cml",
    "web",
    "query",
    "upload",
    "feeds",
    "crm",
    "shops",
    "pages",
)
LOADS = {"first", "same", "changed", "postgresql", "memory"}
MEMORY = 200.0  # MiB
TITLES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}

Loads = dict[str, dict[str, list[Measure]]]  # by database and case, one for each counted round


@dataclass
class Row:
    """One line of the report. ``ok`` is None where nothing could be measured."""

    case: str
    figure: float | None
    unit: str
    goal: str
    ok: bool | None
    note: str = ""


class Bench:
    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.o, self.folder = options, folder
        self.only: set[str] = set(options.only)
        self.rows: list[Row] = []
        self.measures: dict[str, Any] = {}
        self.work = folder / f"work-{os.getpid()}"
        self.no_postgresql: Unavailable | None = None

    # --- report ---

    def at_most(self, case: str, figure: float, unit: str, goal: float, note: str = "") -> None:
        self._row(Row(case, round(figure, 3), unit, f"≤ {goal:g}", figure <= goal, note))

    def at_least(self, case: str, figure: float, unit: str, goal: float, note: str = "") -> None:
        self._row(Row(case, round(figure, 3), unit, f"≥ {goal:g}", figure >= goal, note))

    def not_measured(self, case: str, goal: str, why: object) -> None:
        self._row(Row(case, None, "", goal, None, f"not measured: {why}"))

    def _row(self, row: Row) -> None:
        self.rows.append(row)
        tell(f"  {row.case}: {'–' if row.figure is None else row.figure} {row.unit} (goal {row.goal}) {row.note}")

    @contextmanager
    def databases(self, kind: str, tag: str = "") -> Iterator[Databases]:
        made = Databases(kind, self.work / tag, tag)
        try:
            yield made
        finally:
            made.close()

    # --- loads ---

    def run(self) -> None:
        self.work.mkdir(parents=True)
        try:
            if self.only - {"crm", "query", "upload", "feeds", "shops", "pages"}:
                data, changed = self._catalogues()
                self.measures["megabytes"], self.measures["products"] = round(data.megabytes, 1), data.products
            loads: Loads = {}
            if self.only & LOADS:
                loads = self._loads(data, changed)
            if "sqlite" in loads:
                self._sqlite_rows(loads["sqlite"], data)
            if "postgresql" in self.only:
                self._postgresql_rows(loads)
            if "memory" in self.only:
                self._memory_rows(loads)
            if "django-cml" in self.only:
                self._django_cml(loads.get("sqlite", {}), data)
            for kind in ("sqlite", "postgresql") if "web" in self.only else ():
                self._guarded(
                    f"web while a load runs, {TITLES[kind]}", "≤ 250 ms", lambda kind=kind: self._web(kind, data, changed)
                )
            if "query" in self.only:
                self._guarded("query", "≤ 2", self._query)
            if "upload" in self.only:
                self._guarded("upload", "≥ 0.5", self._upload)
            if "feeds" in self.only:
                self._guarded("a whole feed", "≤ 2.7", self._feeds)
            for kind in self.o.crm_on if "crm" in self.only else ():
                self._guarded(f"a CRM's limit, {TITLES[kind]}", "≥ 0.95", lambda kind=kind: self._crm(kind))
            for kind in self.o.crm_on if "shops" in self.only else ():
                self._guarded(f"our client and our door, {TITLES[kind]}", "equal books", lambda kind=kind: self._shops(kind))
            for kind in self.o.crm_on if "pages" in self.only else ():
                self._guarded(f"pages, {TITLES[kind]}", f"≤ {pages.MS:g} ms", lambda kind=kind: self._pages(kind))
        finally:
            shutil.rmtree(self.work, ignore_errors=True)

    def _guarded(self, case: str, goal: str, measured: Callable[[], None]) -> None:
        try:
            measured()
        except Unavailable as why:
            self.not_measured(case, goal, why)

    def _catalogues(self) -> tuple[Catalogue, Catalogue]:
        if self.o.data:
            return open_folder(self.o.data), open_folder(self.o.changed)
        values = {"layout": LAYOUT, "products": self.o.products} | TYPICAL
        tell(f"generating {self.o.products} products")
        return make(self.folder / f"typical-{self.o.products}", **values), make(
            self.folder / f"typical-{self.o.products}-changed", change=0.01, **values
        )

    def _loads(self, data: Catalogue, changed: Catalogue) -> Loads:
        """Rounds of first, same and changed on new databases, with the floors in between."""
        kinds, seen = ["sqlite"], Loads()
        with ExitStack() as stack:
            made = {"sqlite": stack.enter_context(self.databases("sqlite"))}
            if "postgresql" in self.only:
                try:
                    made["postgresql"] = stack.enter_context(self.databases("postgresql"))
                    kinds.append("postgresql")
                except Unavailable as why:
                    self.no_postgresql = why
            for number in range(self.o.rounds + 1):
                for kind in kinds:
                    one = self._round(kind, made[kind].hub(), data, changed, verify=number == 0)
                    tell(f"{kind} round {number}: " + ", ".join(f"{name} {m.wall:.2f} s" for name, m in one.items()))
                    if number:
                        for name, value in one.items():
                            seen.setdefault(kind, {}).setdefault(name, []).append(value)
        self.measures |= {
            kind: {
                name: {
                    "wall": round(median([m.wall for m in values]), 3),
                    "cpu": round(median([m.cpu for m in values]), 3),
                    "rss": round(max(m.rss for m in values), 1),
                }
                for name, values in cases.items()
            }
            for kind, cases in seen.items()
        }
        return seen

    def _round(self, kind: str, hub: Hub, data: Catalogue, changed: Catalogue, *, verify: bool) -> dict[str, Measure]:
        floors, one = [sys.executable, str(HERE / "floors.py")], {}
        one["first"], counts = hub.load(data.folder)
        self._expect(counts.get("created", 0) >= data.expected.offers, f"first load, {kind}: {counts}")
        if verify:
            check(hub, data, f"first load, {kind}")
        one["same"], counts = hub.load(data.folder)
        nothing = not any(counts.get(word, 0) for word in ("created", "updated", "parked", "matched"))
        self._expect(nothing and counts.get("unchanged", 0) > 0, f"the same files again, {kind}: {counts}")
        if kind == "sqlite":
            one["parse"] = measure([*floors, "parse", *map(str, data.files)])
            target = self.work / "copy.sqlite3"
            one["copy"] = measure([*floors, "copy", str(hub.sqlite), str(target)])
            for file in self.work.glob("copy.sqlite3*"):
                file.unlink()
        one["changed"], counts = hub.load(changed.folder)
        # Of each changed product its card and its offers.
        right = counts.get("updated", 0) >= changed.changed_products and not counts.get("created", 0)
        self._expect(right, f"1 % changed, {kind}: {counts}")
        if verify:
            check(hub, changed, f"1 % changed, {kind}")
        return one

    @staticmethod
    def _expect(right: bool, what: str) -> None:
        if not right:
            raise WrongResult(what)

    def _sqlite_rows(self, loads: dict[str, list[Measure]], data: Catalogue) -> None:
        parse = [m.wall for m in loads["parse"]]
        if "first" in self.only:
            floor = [p + c.wall for p, c in zip(parse, loads["copy"])]
            ratio = median([m.wall / f for m, f in zip(loads["first"], floor)])
            speed = data.megabytes / median([m.wall for m in loads["first"]])
            self.at_most("first load, SQLite", ratio, "× (parse + copy floor)", 3.0, f"{speed:.0f} MB/s; then 2.0, then 1.2")
        for case, title, goal in (("same", "the same files again, SQLite", 0.30), ("changed", "1 % changed, SQLite", 0.45)):
            if case in self.only:
                ratio = median([m.wall / p for m, p in zip(loads[case], parse)])
                self.at_most(title, ratio, "× parse floor", goal, f"{median([m.wall for m in loads[case]]):.2f} s")

    def _postgresql_rows(self, loads: Loads) -> None:
        for case, goal in (("first", 2.0), ("same", 1.2), ("changed", 1.2)):
            if "postgresql" not in loads:
                self.not_measured(f"{case}, PostgreSQL", f"≤ {goal:g}", self.no_postgresql)
                continue
            here, there = loads["postgresql"][case], loads["sqlite"][case]
            ratio = median([p.wall / s.wall for p, s in zip(here, there)])
            self.at_most(f"{case}, PostgreSQL", ratio, "× SQLite", goal, f"{median([m.wall for m in here]):.2f} s")

    def _memory_rows(self, loads: Loads) -> None:
        for kind, cases in loads.items():
            for case in ("first", "same", "changed"):
                most = max(m.rss for m in cases[case])
                self.at_most(f"peak memory: {case}, {TITLES[kind]}", most, "MiB", MEMORY, "largest process")
        if not self.o.million:
            return
        products = self.o.million
        tell(f"generating {products} lean products")
        lean = make(self.folder / f"lean-{products}", **{"layout": LAYOUT, "products": products} | LEAN)
        with self.databases("sqlite") as databases:
            hub = databases.hub()
            for case in ("first", "same"):
                done, _counts = hub.load(lean.folder)
                note = f"{products} lean products, {done.wall:.1f} s"
                self.at_most(f"peak memory: {case}, a million", done.rss, "MiB", MEMORY * 1.1, note)
            check(hub, lean, "a million products")

    # --- a peer ---

    def _django_cml(self, loads: dict[str, list[Measure]], data: Catalogue) -> None:
        count = self.o.peer_products
        cases = (("django-cml, first", 15), ("django-cml, again", 200))
        try:
            python = self._peer_python()
        except Unavailable as why:
            for case, goal in cases:
                self.not_measured(case, f"≥ {goal}", why)
            return
        values = {"layout": PLAIN_LAYOUT, "products": count} | TYPICAL
        catalogue = make(self.folder / f"plain-{count}", **values)
        command = [str(python), str(HERE / "django_cml" / "load.py"), str(self.work / "peer.sqlite3"), *map(str, catalogue.files)]
        seen: dict[str, list[Measure]] = {}
        with self.databases("sqlite") as databases:
            for number in range(self.o.rounds + 1):
                for file in self.work.glob("peer.sqlite3*"):
                    file.unlink()
                hub, one = databases.hub(), {}
                one["first"], _counts = hub.load(catalogue.folder)
                one["same"], _counts = hub.load(catalogue.folder)
                if number == 0:
                    check(hub, catalogue, "the files for django-cml")
                if number:
                    one["peer first"], one["peer same"] = measure(command), measure(command)
                    said = json.loads(one["peer first"].out)
                    wanted = catalogue.expected
                    found = (said["group"], said["product"], said["offer"], said["price"])
                    self._expect(
                        found == (wanted.groups, wanted.products, wanted.offers, wanted.prices), f"django-cml's tables: {said}"
                    )
                    for name, value in one.items():
                        seen.setdefault(name, []).append(value)
        self.measures["django-cml"] = {name: round(median([m.wall for m in v]), 3) for name, v in seen.items()}
        for (case, goal), name in zip(cases, ("first", "same")):
            ratio = median([p.wall / m.wall for p, m in zip(seen[f"peer {name}"], seen[name])])
            peer = median([m.wall for m in seen[f"peer {name}"]])
            note = f"{peer:.1f} s for {count} products, where we take {median([m.wall for m in seen[name]]):.2f} s"
            if loads and data.products > count:
                # Its time grows with the number of products, ours has a fixed part: at 10 000 it hides what an hourly load gains.
                scaled = peer * data.products / count / median([m.wall for m in loads[name]])
                note = f"{ratio:.0f} × measured at {count} products; its time scaled to {data.products}, ours measured there"
                ratio = scaled
            self.at_least(case, ratio, "× faster", goal, note)

    def _peer_python(self) -> Path:
        home = self.folder / "django-cml"
        python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        if not (home / "installed").exists():
            shutil.rmtree(home, ignore_errors=True)
            for command in (
                [sys.executable, "-m", "venv", str(home)],
                [str(python), "-m", "pip", "install", "--quiet", "django-cml==0.4.0"],
            ):
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    said = (done.stderr.strip() or done.stdout.strip()).splitlines()
                    raise Unavailable(f"django-cml 0.4.0 cannot be installed: {said[-1] if said else done.returncode}")
            (home / "installed").touch()
        return python

    # --- serving ---

    def _web(self, kind: str, data: Catalogue, changed: Catalogue) -> None:
        with self.databases(kind) as databases:
            watch = serving.web(databases.hub(), [data, changed])
        p50, p99 = (watch.quantile(share) * 1000 for share in (0.5, 0.99))
        self.measures[f"web {kind}"] = {"pages": len(watch.seconds), "p50": round(p50, 1), "p99": round(p99, 1)}
        note = f"p50 {p50:.0f} ms, {len(watch.seconds)} pages"
        self.at_most(f"web while a load runs: p99, {TITLES[kind]}", p99, "ms", 250, note)
        failed = "; ".join(watch.failures[:3])
        self.at_most(f"web while a load runs: failed requests, {TITLES[kind]}", len(watch.failures), "", 0, failed)

    def _query(self) -> None:
        with self.databases("sqlite") as databases:
            seen = serving.query(databases.hub(), self.work, self.o.orders, self.o.rounds)
        note = f"{median(seen.answers):.2f} s for {seen.megabytes:.1f} MB"
        self.at_most(f"query with {self.o.orders} orders", median(seen.ratios), "× lxml's incremental writer", 2.0, note)
        note = f"{seen.before:.0f} MiB after {self.o.orders // 10} orders, {seen.after:.0f} MiB after {self.o.orders}"
        self.at_most("query: growth of the server's peak memory", seen.after / seen.before, "×", 1.10, note)

    def _crm(self, kind: str) -> None:
        """Orders in and stock out at a CRM's ten calls a second; a tenth of them first, to see whether memory grows."""
        title = TITLES[kind]
        with self.databases(kind) as databases:
            few = crm.orders(databases.hub(), self.work, max(10, self.o.orders // 10))
            many = crm.orders(databases.hub(), self.work, self.o.orders)
            for case, used in many.items():
                note = f"{used.calls} calls in {used.seconds:.1f} s"
                self.at_least(f"orders {case} from a CRM, {title}: share of its limit used", used.share, "", 0.95, note)
            growth = max(many[case].rss for case in many) / max(few[case].rss for case in few)
            note = f"{max(u.rss for u in few.values()):.0f} MiB, then {max(u.rss for u in many.values()):.0f} MiB"
            self.at_most(f"orders from a CRM, {title}: growth of peak memory", growth, "×", 1.10, note)
            hub = databases.hub()
            values = {"layout": LAYOUT, "products": self.o.crm_products} | TYPICAL | {"warehouses": crm.STORES}
            hub.load(make(self.folder / f"stores-{self.o.crm_products}", **values).folder)
            used = crm.stock(hub, self.work)
            note = f"{sum(used.counts.values())} offers, {used.calls} calls in {used.seconds:.1f} s"
            self.at_least(f"stock to a CRM, {title}: share of its limit used", used.share, "", 0.95, note)
            self.at_most(f"stock to a CRM, {title}: peak memory", used.rss, "MiB", MEMORY)

    def _shops(self, kind: str) -> None:
        """Goods from our client to our door and orders back, in two hubs of one kind."""
        values = {"layout": LAYOUT, "products": self.o.crm_products} | TYPICAL
        catalogue = make(self.folder / f"shops-{self.o.crm_products}", **values)
        with self.databases(kind) as here, self.databases(kind, "_there") as there:
            seen = shops.exchange(here.hub(), there.hub(), catalogue.folder, self.o.orders, self.work)
        shops.rows(seen, self.o.orders, TITLES[kind], self.at_most, MEMORY)

    def _feeds(self) -> None:
        values = {"layout": LAYOUT, "products": self.o.products, "currency": feeds.CURRENCY} | TYPICAL
        data = make(self.folder / f"feeds-{self.o.products}", **values)
        with self.databases("sqlite") as databases:
            hub = databases.hub()
            hub.load(data.folder)
            for title, written in feeds.write(hub, feeds.FEEDS, self.o.rounds, self.work).items():
                last = written[-1]
                ratio = median([one.done.wall / one.floor.wall for one in written])
                wall, floor = (median([part.wall for part in parts]) for parts in zip(*((o.done, o.floor) for o in written)))
                note = f"{last.offers} offers, {last.megabytes:.0f} MB, {wall:.1f} s where the floor takes {floor:.1f} s"
                self.at_most(f"{title}: a whole feed", ratio, "× the rows read and decoded", 2.7, note)
                self.at_most(f"{title}: peak memory", max(one.done.rss for one in written), "MiB", MEMORY)

    def _pages(self, kind: str) -> None:
        """Every page on big books, as an administrator and as a person who sees two companies of ten."""
        books = pages.Books(self.o.page_offers, self.o.page_offers // 3, self.o.page_offers * 10 // 3, self.o.page_offers // 6)
        with self.databases(kind) as databases:
            hub = databases.hub()
            measure(pages.fill_command(books), hub.env)
            asked = pages.read(measure(pages.ask_command(books), hub.env).out)
        tell(pages.table(asked, 30))
        self.measures[f"pages {kind}"] = [asdict(one) for one in asked]
        if wrong := pages.broken(asked):
            raise WrongResult("\n".join(wrong))
        slow, many = max(asked, key=lambda one: one.median), max(asked, key=lambda one: one.queries)
        over = sum(one.median > pages.MS for one in asked)
        note = f"{slow.who} /{slow.page}; {over} of {len(asked)} over the goal; {slow.wall:.0f} ms by the clock"
        self.at_most(f"slowest page, {TITLES[kind]}", slow.median, "ms", pages.MS, note)
        note = f"{many.who} /{many.page}"
        self.at_most(f"most queries of a page, {TITLES[kind]}", many.queries, "", pages.QUERIES, note)

    def _upload(self) -> None:
        size = self.o.megabytes * 1_000_000
        with self.databases("sqlite") as databases:
            seen = serving.upload(databases.hub(), self.work, size, self.o.rounds)
        note = f"{median(seen.door):.2f} s for {self.o.megabytes} MB in {seen.pieces} pieces, raw {median(seen.raw):.2f} s"
        self.at_least("upload through the door", median(seen.ratios), "× the speed of a raw copy", 0.5, note)


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def show(rows: list[Row]) -> str:
    head = ("case", "measured", "goal", "", "note")
    lines = [
        (row.case, f"{row.figure:g} {row.unit}".strip() if row.figure is not None else "–", row.goal, verdict(row), row.note)
        for row in rows
    ]
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(4)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths)), line[4]]).rstrip() for line in [head, *lines]
    )


def verdict(row: Row) -> str:
    return "?" if row.ok is None else "ok" if row.ok else "NOT"


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--products", type=int, default=100_000, help="size of the generated catalogue (default 100000)")
    p.add_argument("--rounds", type=int, default=3, help="counted rounds after the warm-up (default 3)")
    p.add_argument(
        "--only", type=lambda said: said.split(","), default=list(CASES), help=f"some of {','.join(CASES)} (default all)"
    )
    p.add_argument("--quick", action="store_true", help="5000 products, one round, small everything: seconds, not figures")
    p.add_argument(
        "--million", type=int, nargs="?", const=1_000_000, help="with memory: that many lean products too (default 1000000)"
    )
    p.add_argument("--data", type=Path, help="folder with exchange files and manifest.json instead of a generated one")
    p.add_argument("--changed", type=Path, help="the same with some products changed; needed with --data")
    p.add_argument("--peer-products", type=int, default=10_000, help="products for django-cml (default 10000)")
    p.add_argument("--orders", type=int, default=10_000, help="orders for query, crm and shops (default 10000)")
    p.add_argument("--crm-products", type=int, default=62_500, help="products for crm and shops: 100000 offers (default 62500)")
    p.add_argument(
        "--crm-on",
        type=lambda said: said.split(","),
        default=["sqlite", "postgresql"],
        help="databases for crm and shops (default both)",
    )
    p.add_argument(
        "--page-offers", type=int, default=300_000, help="offers in the books for pages; the rest in step (default 300000)"
    )
    p.add_argument("--megabytes", type=int, default=200, help="size of the upload (default 200)")
    p.add_argument("--out", type=Path, default=HERE / "out", help="folder for generated files (default bench/out)")
    p.add_argument("--json", type=Path, help="write the report there too")
    o = p.parse_args(arguments)
    if unknown := set(o.only) - set(CASES):
        p.error(f"--only: there is no {', '.join(sorted(unknown))}")
    if bool(o.data) != bool(o.changed):
        p.error("--data and --changed go together")
    if o.rounds < 1 or o.products < 1 or o.orders < 10:
        p.error("at least one round, one product and ten orders")
    if o.quick:
        o.products, o.rounds, o.peer_products, o.orders, o.megabytes, o.crm_products = 5_000, 1, 1_000, 500, 20, 500
        o.page_offers = 3_000
    return o


def main() -> int:
    o = options()
    bench, started = Bench(o, o.out.resolve()), time.monotonic()
    try:
        bench.run()
    except WrongResult as wrong:
        tell(f"WRONG RESULT: {wrong}")
        return 1
    except RuntimeError as broken:  # a process that failed, with what it said
        tell(str(broken))
        return 1
    print(show(bench.rows))
    if o.json:
        report = {
            "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()},
            "rounds": o.rounds,
            "minutes": round((time.monotonic() - started) / 60, 1),
            "rows": [asdict(row) for row in bench.rows],
            "measures": bench.measures,
        }
        o.json.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
