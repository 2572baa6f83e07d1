"""The command ``obmen sandbox onec``: a 1C in a terminal."""

from __future__ import annotations

import contextlib
import gettext
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

import obmen
from obmen.core.contract import ExchangeError
from obmen.sandbox.onec.base import ACTIONS, Base, local_now
from obmen.sandbox.onec.client import Address, Call, Client
from obmen.sandbox.onec.generate import LAYOUTS, Spec, generate
from obmen.sandbox.onec.profiles import PROFILES, profile
from obmen.sandbox.onec.run import Report, exchange, pull, push

app = typer.Typer(
    name="onec",
    help="A 1C to test a server with: generate catalogues, send them, fetch orders, report results.",
    no_args_is_help=True,
    add_completion=False,
)

Url = Annotated[str, typer.Option("--url", help="Address of the exchange, as typed into 1C.", envvar="OBMEN_ONEC_URL")]
User = Annotated[str, typer.Option("--user", help="Login.", envvar="OBMEN_ONEC_USER")]
Password = Annotated[str, typer.Option("--password", help="Password.", envvar="OBMEN_ONEC_PASSWORD")]
ProfileKey = Annotated[str, typer.Option("--profile", help=f"Who calls: {', '.join(PROFILES)}.")]
Zip = Annotated[bool, typer.Option("--zip/--no-zip", help="Send an archive when the server asks for one.")]
Insecure = Annotated[bool, typer.Option("--insecure", help="Do not check the server's certificate.")]
Trace = Annotated[bool, typer.Option("--trace", help="Print every call: method, query, status, first line of the answer.")]
State = Annotated[Path | None, typer.Option("--state", help="Folder in which this 1C remembers its orders between calls.")]
Language = Annotated[str, typer.Option("--language", help="Language of the messages: en, uk, ru.", envvar="OBMEN_LANGUAGE")]
Json = Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")]
Products = Annotated[int, typer.Option("--products", min=0, help="Products in the generated catalogue.")]
Seed = Annotated[int, typer.Option("--seed", help="The same seed gives the same bytes.")]
Change = Annotated[
    float, typer.Option("--change", min=0, max=1, help="Share of products that differ from the unchanged catalogue.")
]
ChangeSeed = Annotated[int, typer.Option("--change-seed", min=1, help="Which products differ, and how.")]
OnlyChanges = Annotated[bool, typer.Option("--only-changes", help="Leave the unchanged products out.")]
Updates = Annotated[bool, typer.Option("--updates", help="Prices and stock only (ut11, unf).")]
Deleted = Annotated[float, typer.Option("--deleted", min=0, max=1, help="Share of products with a deletion mark.")]
Pictures = Annotated[float, typer.Option("--pictures", min=0, help="Mean number of pictures of a product.")]
Currency = Annotated[str, typer.Option("--currency", help="Currency of all prices.")]
Encoding = Annotated[str, typer.Option("--encoding", help="UTF-8 or windows-1251.")]
Portion = Annotated[int, typer.Option("--portion-size", min=0, help="Products (or orders) in one portion; 0 = all in one.")]


def sentence(error: ExchangeError, language: str = "") -> str:
    """The error's text in that language, where the project has its translation."""
    folder = Path(obmen.__file__).parent / "locale"
    words = gettext.translation("django", folder, languages=[language] if language else None, fallback=True)
    text = words.gettext(error.text)
    return text.format(**error.facts) if error.facts else text


def _fail(error: ExchangeError, language: str = "") -> NoReturn:
    typer.echo(sentence(error, language), err=True)
    raise typer.Exit(1)


@contextlib.contextmanager
def _watching(client: Client, total: int, trace: bool) -> Iterator[None]:
    """A progress bar of the bytes sent on a terminal, the transcript when asked for, nothing in a pipe."""
    if trace:
        client.watch = lambda call: typer.echo(str(call), err=True)
        yield
        return
    if not sys.stderr.isatty():
        yield
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("checkauth", total=total or None)

        def watch(call: Call) -> None:
            progress.update(task, advance=call.sent, description=f"{call.step.mode} {call.step.filename}"[:50])

        client.watch = watch
        yield


def _size(folder: Path | None) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) if folder else 0


def _client(url: str, user: str, password: str, key: str, zip: bool, insecure: bool) -> Client:
    return Client(profile(key), Address.parse(url), user, password, zip=zip, verify=not insecure)


def _base(state: Path | None, key: str) -> Base:
    return Base(state, rules=profile(key).rules)


def _end(report: Report, as_json: bool, language: str) -> None:
    failures = [sentence(e, language) for e in report.failures]
    notes = [sentence(e, language) for e in report.notes]
    if as_json:
        data = {
            "ok": report.ok,
            "calls": len(report.calls),
            "portions": [{"name": s.name, "tries": s.tries, "ok": s.ok} for s in report.portions],
            "orders": {"created": report.created, "updated": report.updated, "skipped": report.skipped},
            "confirmed": report.confirmed,
            "reported": report.reported,
            "failures": failures,
            "notes": notes,
            "seconds": round(report.seconds, 3),
        }
        typer.echo(json.dumps(data, ensure_ascii=False))
    else:
        done = sum(s.ok for s in report.portions)
        typer.echo(
            f"{len(report.calls)} calls in {report.seconds:.1f} s; portions: {done} of {len(report.portions)}; orders: "
            f"{len(report.created)} new, {len(report.updated)} changed, {len(report.skipped)} skipped; results: {len(report.reported)}"
        )
        for text in notes:
            typer.echo(f"  {text}")
        for text in failures:
            typer.echo(f"  {text}", err=True)
    if not report.ok:
        raise typer.Exit(1)


@contextlib.contextmanager
def _source(source: str, spec: Spec, base: Base | None) -> Iterator[Path]:
    """The folder to send: the named one, or a fresh one with the generated catalogue."""
    if source != "generated":
        yield Path(source)
        return
    with tempfile.TemporaryDirectory(prefix="obmen-1c-") as folder:
        generate(spec, Path(folder))
        if base:
            base.remember(spec)
        yield Path(folder)


@app.command("generate")
def generate_command(
    folder: Annotated[Path, typer.Argument(help="Folder to write into; made when missing.")],
    layout: Annotated[str, typer.Option("--layout", help=f"Whose files: {', '.join(LAYOUTS)}.")] = "ut11",
    products: Products = 1000,
    seed: Seed = 1,
    change: Change = 0.0,
    change_seed: ChangeSeed = 1,
    only_changes: OnlyChanges = False,
    updates: Updates = False,
    deleted: Deleted = 0.01,
    pictures: Pictures = 0.0,
    currency: Currency = "RUB",
    encoding: Encoding = "UTF-8",
    portion: Portion = 0,
    language: Language = "",
) -> None:
    """Write exchange files and manifest.json, which says what a receiver must end up with."""
    spec = Spec(
        layout=layout, products=products, seed=seed, change=change, change_seed=change_seed, only_changes=only_changes,
        updates=updates, deleted=deleted, pictures=pictures, currency=currency, encoding=encoding, portion=portion,
    )  # fmt: skip
    try:
        manifest = generate(spec, folder)
    except ExchangeError as error:
        _fail(error, language)
    typer.echo(json.dumps(asdict(manifest), ensure_ascii=False))


@app.command("push")
def push_command(
    source: Annotated[str, typer.Argument(help="A folder with exchange files, or the word: generated.")],
    url: Url,
    user: User = "",
    password: Password = "",
    profile_key: ProfileKey = "ut11",
    zip: Zip = True,
    insecure: Insecure = False,
    trace: Trace = False,
    state: State = None,
    language: Language = "",
    as_json: Json = False,
    products: Products = 1000,
    seed: Seed = 1,
    change: Change = 0.0,
    change_seed: ChangeSeed = 1,
    only_changes: OnlyChanges = False,
    updates: Updates = False,
    deleted: Deleted = 0.01,
    pictures: Pictures = 0.5,
    currency: Currency = "RUB",
    encoding: Encoding = "UTF-8",
    portion: Portion = 0,
) -> None:
    """Send goods, prices, stock and pictures."""
    try:
        client = _client(url, user, password, profile_key, zip, insecure)
        spec = Spec(
            layout=client.profile.layout, products=products, seed=seed, change=change, change_seed=change_seed, updates=updates,
            only_changes=only_changes, deleted=deleted, pictures=pictures, currency=currency, encoding=encoding, portion=portion,
            date=local_now().isoformat(),
        )  # fmt: skip
        base = _base(state, profile_key) if state else None
        with _source(source, spec, base) as folder, _watching(client, _size(folder), trace):
            report = push(client, folder)
    except ExchangeError as error:
        _fail(error, language)
    _end(report, as_json, language)


@app.command("pull")
def pull_command(
    url: Url,
    user: User = "",
    password: Password = "",
    profile_key: ProfileKey = "ut11",
    insecure: Insecure = False,
    trace: Trace = False,
    state: State = None,
    language: Language = "",
    as_json: Json = False,
    portion: Portion = 0,
) -> None:
    """Fetch orders, confirm them, report what has changed in this 1C."""
    try:
        client = _client(url, user, password, profile_key, True, insecure)
        with _watching(client, 0, trace):
            report = pull(client, _base(state, profile_key), portion=portion)
    except ExchangeError as error:
        _fail(error, language)
    _end(report, as_json, language)


@app.command("exchange")
def exchange_command(
    url: Url,
    source: Annotated[str, typer.Argument(help="A folder with exchange files, or the word: generated.")] = "generated",
    user: User = "",
    password: Password = "",
    profile_key: ProfileKey = "ut11",
    zip: Zip = True,
    insecure: Insecure = False,
    trace: Trace = False,
    state: State = None,
    language: Language = "",
    as_json: Json = False,
    products: Products = 1000,
    seed: Seed = 1,
    change: Change = 0.0,
    change_seed: ChangeSeed = 1,
    only_changes: OnlyChanges = False,
    deleted: Deleted = 0.01,
    pictures: Pictures = 0.5,
    currency: Currency = "RUB",
    encoding: Encoding = "UTF-8",
    portion: Portion = 0,
) -> None:
    """A whole run: goods up, orders down, results up."""
    try:
        client = _client(url, user, password, profile_key, zip, insecure)
        spec = Spec(
            layout=client.profile.layout, products=products, seed=seed, change=change, change_seed=change_seed,
            only_changes=only_changes, deleted=deleted, pictures=pictures, currency=currency, encoding=encoding, portion=portion,
            date=local_now().isoformat(),
        )  # fmt: skip
        base = _base(state, profile_key)
        with _source(source, spec, base) as folder, _watching(client, _size(folder), trace):
            report = exchange(client, base, folder, portion=portion)
    except ExchangeError as error:
        _fail(error, language)
    _end(report, as_json, language)


@app.command("check")
def check_command(
    url: Url,
    user: User = "",
    password: Password = "",
    profile_key: ProfileKey = "ut11",
    insecure: Insecure = False,
    language: Language = "",
) -> None:
    """The button "Test the connection": checkauth and nothing else."""
    try:
        _client(url, user, password, profile_key, True, insecure).check()
    except ExchangeError as error:
        _fail(error, language)
    typer.echo("success")


StateNeeded = Annotated[Path, typer.Option("--state", help="Folder in which this 1C remembers its orders.")]


@app.command("orders")
def orders_command(state: StateNeeded) -> None:
    """List the orders of this 1C, one JSON object a line."""
    for order in Base(state).orders:
        typer.echo(json.dumps(asdict(order), ensure_ascii=False))


@app.command("act")
def act_command(
    number: Annotated[str, typer.Argument(help="The site's number, or 1C's.")],
    actions: Annotated[list[str], typer.Argument(help=f"What is done in 1C, in this order: {', '.join(ACTIONS)}.")],
    state: StateNeeded,
    profile_key: ProfileKey = "ut11",
    language: Language = "",
) -> None:
    """Post, pay, ship, cancel or delete an order in this 1C; the next exchange reports it."""
    base = _base(state, profile_key)
    try:
        for action in actions:
            base.act(number, action)
    except ExchangeError as error:
        _fail(error, language)


@app.command("line")
def line_command(
    number: Annotated[str, typer.Argument(help="The site's number, or 1C's.")],
    line: Annotated[int, typer.Argument(help="Number of the line, from 1.")],
    state: StateNeeded,
    quantity: Annotated[str | None, typer.Option("--quantity", help="New quantity; 0 removes the line.")] = None,
    price: Annotated[str | None, typer.Option("--price", help="New price.")] = None,
    language: Language = "",
) -> None:
    """Change a line of an order in this 1C; the next exchange reports it."""
    try:
        Base(state).change_line(number, line, quantity=quantity, price=price)
    except ExchangeError as error:
        _fail(error, language)
