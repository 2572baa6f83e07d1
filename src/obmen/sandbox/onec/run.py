"""Whole exchanges of one node: goods up, orders down, results of orders up, with 1C's retries.

Order of work and treatment of failed portions: 1C:UT 11.5.8 (ВыполнитьОбменССайтом) and 1C:UNF 3.0.8.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lxml import etree

from obmen.core.contract import ExchangeError, NeedsOwner
from obmen.core.words import gettext_noop as _
from obmen.formats.commerceml.dialects import dialect
from obmen.sandbox.onec.base import Base, Loaded, Order
from obmen.sandbox.onec.client import BadAnswer, Bundle, Call, Client, natural, relative_files
from obmen.sandbox.onec.generate import Manifest

# The order in which 1C-Bitrix's module 7 makes its files; goods and offers of the others fall into the same order.
ORDER = (
    "priceLists", "storages", "propertiesGoods", "propertiesOffers", "units", "groups", "import", "goods", "offers", "prices",
    "rests", "contragents",
)  # fmt: skip


@dataclass(slots=True)
class Sent:
    """One portion. ``tries`` 0: it was never sent because an earlier one failed."""

    name: str
    tries: int = 0
    ok: bool = False
    error: ExchangeError | None = None


@dataclass(slots=True)
class Report:
    """What an exchange did. ``failures`` is what a person has to know, each with the server's own text among its facts."""

    calls: list[Call] = field(default_factory=list)
    portions: list[Sent] = field(default_factory=list)
    loaded: list[Loaded] = field(default_factory=list)
    confirmed: int = 0  # answers to query that were confirmed by success
    reported: list[str] = field(default_factory=list)  # orders whose results the server took, by the site's number
    failures: list[ExchangeError] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return not self.failures

    @property
    def created(self) -> list[str]:
        return [n for one in self.loaded for n in one.created]

    @property
    def updated(self) -> list[str]:
        return [n for one in self.loaded for n in one.updated]

    @property
    def skipped(self) -> list[str]:
        return [n for one in self.loaded for n in one.skipped]

    @property
    def notes(self) -> list[ExchangeError]:
        return [n for one in self.loaded for n in one.notes]


def rank(name: str) -> int:
    """Where a file stands in the exchange, by the beginning of its name; unknown ones come last."""
    found = [i for i, word in enumerate(ORDER) if re.match(rf"{word}(?![A-Za-z])", name)]
    return found[0] if found else len(ORDER)


def bundles(folder: Path) -> list[Bundle]:
    """The XML files of ``folder`` in the order of sending, each with the pictures that it names; a picture that none names goes
    with the first file. Raises NeedsOwner when there is no XML file."""
    xmls = sorted(
        (p for p in folder.glob("*.xml") if p.is_file()) if folder.is_dir() else (), key=lambda p: (rank(p.name), natural(p.name))
    )
    if not xmls:
        raise NeedsOwner(_("There are no exchange files (*.xml) in {folder}"), folder=folder)
    left = dict(relative_files(folder))
    files = dict(left)
    out = []
    for xml in xmls:
        named = [(name, files[name]) for name in _pictures(xml) if name in files] if files else []
        for name, _path in named:
            left.pop(name, None)
        out.append(Bundle(xml, xml.name, tuple(named)))
    if left:
        out[0] = replace(out[0], files=(*out[0].files, *sorted(left.items())))
    return out


def _pictures(xml: Path) -> Iterable[str]:
    """Paths in Картинка, without repeats. A file that is broken somewhere (negative tests send such) is read up to there."""
    seen: dict[str, None] = {}
    try:
        for _event, element in etree.iterparse(
            str(xml), tag=("{*}Товар", "{*}Предложение"), resolve_entities=False, no_network=True, huge_tree=True
        ):
            seen.update(dict.fromkeys((p.text or "").strip().replace("\\", "/") for p in element.iterfind("{*}Картинка")))
            element.clear()
            while element.getprevious() is not None:
                del element.getparent()[0]
    except etree.XMLSyntaxError:
        return seen
    return seen


def push(client: Client, folder: Path, *, full: bool | None = None, report: Report | None = None) -> Report:
    """Send the exchange files of ``folder``: one session for each, or all in one, as the profile does. ``full`` (default: what
    the folder's manifest.json says, else no) lets 1C-Bitrix's module ask for the deactivation of what was not sent.

    Never raises for what the server does (see ``Report.failures``); raises NeedsOwner for a folder without files.
    """
    report = report or Report()
    started, first = time.monotonic(), len(client.calls)
    todo = bundles(folder)
    if client.profile.sessions == "one":
        if full is None:
            spec = Manifest.load(folder).spec if (folder / "manifest.json").exists() else None
            full = spec is not None and not (spec.only_changes or spec.updates)
        _one_session(client, todo, full, report)
    else:
        goods = rank("goods")
        for part in ([b for b in todo if rank(b.name) <= goods], [b for b in todo if rank(b.name) > goods]):
            _portions(client, "catalog", part, report, first_stops=True)
    return _finish(report, client, first, started)


def pull(client: Client, base: Base, *, portion: int = 0, report: Report | None = None) -> Report:
    """Fetch orders into ``base``, confirm them, then report what has changed in 1C, ``portion`` orders in one file (0 = all).

    Never raises for what the server does (see ``Report.failures``).
    """
    report = report or Report()
    started, first = time.monotonic(), len(client.calls)
    base.begin()
    try:
        _fetch(client, base, report)
    except ExchangeError as error:
        report.failures.append(error)
    _report_back(client, base, portion, report)
    return _finish(report, client, first, started)


def exchange(client: Client, base: Base, folder: Path | None = None, *, portion: int = 0) -> Report:
    """``push`` when there is a folder, then ``pull``, as one run of a node."""
    report = Report()
    if folder is not None:
        push(client, folder, report=report)
    return pull(client, base, portion=portion, report=report)


def _finish(report: Report, client: Client, first: int, started: float) -> Report:
    report.calls += client.calls[first:]
    report.seconds += time.monotonic() - started
    return report


def _one_session(client: Client, todo: Sequence[Bundle], full: bool, report: Report) -> None:
    rows = [Sent(b.name) for b in todo]
    report.portions += rows
    try:
        with client.open("catalog") as session:
            session.init()
            for bundle, row in zip(todo, rows, strict=True):
                row.tries += 1
                session.upload([bundle])
                session.run_import(bundle.name)
                row.ok = True
            if client.profile.closing:
                if full:
                    session.deactivate()
                session.complete()
    except ExchangeError as error:
        current = next((r for r in rows if not r.ok), None)
        if current:
            current.error = error
        report.failures.append(error)


def _portions(
    client: Client,
    type: str,
    todo: Sequence[Bundle],
    report: Report,
    *,
    first_stops: bool = False,
    delivered: Callable[[Bundle], None] = lambda _bundle: None,
) -> None:
    """One session for each bundle. ``first_stops``: the first one holds the classifier, without it the rest is not sent."""
    p = client.profile
    rows = [Sent(b.name) for b in todo]
    report.portions += rows
    again: deque[tuple[Bundle, Sent]] = deque()
    for number, (bundle, row) in enumerate(zip(todo, rows, strict=True)):
        for _try in range(p.tries if p.retry == "at_once" else 1):
            if _attempt(client, type, bundle, row):
                delivered(bundle)
                break
        else:
            if p.retry == "later" and not (first_stops and number == 0):
                again.append((bundle, row))
            else:
                report.failures.append(row.error or ExchangeError(row.name))
                if first_stops and number == 0:
                    return
    number = len(todo)
    while again:
        bundle, row = again.popleft()
        number += 1
        if _attempt(client, type, replace(bundle, name=_renumbered(bundle.name, number)), row):
            delivered(bundle)
        elif row.tries < p.tries:
            again.append((bundle, row))
        else:
            report.failures.append(row.error or ExchangeError(row.name))


def _attempt(client: Client, type: str, bundle: Bundle, row: Sent) -> bool:
    row.tries += 1
    try:
        with client.open(type) as session:
            session.init()
            session.upload([bundle])
            if type == "catalog" or client.profile.sale_import:
                session.run_import(bundle.name)
    except ExchangeError as error:
        row.error = error
        return False
    row.ok, row.error = True, None
    return True


def _renumbered(name: str, number: int) -> str:
    """1C:UT gives a repeated portion the next number of the run; names of another shape stay."""
    return re.sub(r"_\d+(\.xml)$", rf"_{number}\1", name)


def _fetch(client: Client, base: Base, report: Report) -> None:
    p = client.profile
    before: set[str] = set()
    with client.open("sale", download=True) as session:
        if p.sale_init:
            session.init()
        while True:
            text = session.query()
            loaded = base.load(text)
            report.loaded.append(loaded)
            if not loaded.confirmed:
                report.failures.append(loaded.error or ExchangeError(text[:200]))
                return
            numbers = {*loaded.created, *loaded.updated, *loaded.skipped}
            repeated = bool(numbers) and numbers == before
            last = not p.query_again or not loaded.documents or repeated
            said_something = bool(loaded.documents) or not p.query_again
            if said_something if p.confirm == "batch" else last and (said_something or bool(before)):
                session.success()
                report.confirmed += 1
            if repeated and p.confirm == "batch":
                raise BadAnswer(
                    _("The server offers the same orders again though they were confirmed: {numbers}"),
                    numbers=", ".join(sorted(numbers)),
                )
            if last:
                return
            before = numbers


def _report_back(client: Client, base: Base, portion: int, report: Report) -> None:
    p = client.profile
    orders = base.to_report()
    size = portion or len(orders) or 1
    parts = [orders[i : i + size] for i in range(0, len(orders), size)]
    if not parts:
        return
    run_id = client.new_id()
    with tempfile.TemporaryDirectory(prefix="obmen-1c-") as folder:
        todo, inside = [], {}
        for index, part in enumerate(parts):
            name = p.orders_file.format(id=run_id, number=index + 1, index=index or "")
            path = Path(folder) / f"{index}-{name}"
            with open(path, "wb") as out:
                for piece in base.document(part, dialect(p.dialect)):
                    out.write(piece)
            todo.append(Bundle(path, name))
            inside[path] = part

        def delivered(bundle: Bundle) -> None:
            done: list[Order] = inside[bundle.xml]
            base.reported(done)
            report.reported.extend(o.number for o in done)

        _portions(client, "sale", todo, report, delivered=delivered)
