"""The command ``obmen sandbox retailcrm``: the account on a port until Ctrl-C."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from obmen.sandbox.retailcrm import seed
from obmen.sandbox.retailcrm.catalogue import BadIcml
from obmen.sandbox.retailcrm.crm import RetailCRM
from obmen.sandbox.retailcrm.server import serve

app = typer.Typer(add_completion=False)


@app.command("retailcrm")
def run(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8085,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    key: Annotated[str, typer.Option("--key", help="The API key.")] = "sandbox-key",
    site: Annotated[list[str] | None, typer.Option("--site", help="Code of a shop; several times for several shops.")] = None,
    zone: Annotated[str, typer.Option("--zone", help="Time zone of the account.")] = "Europe/Moscow",
    rate: Annotated[int, typer.Option("--rate", min=0, help="Requests a second for a key, 0 = no limit.")] = 10,
    seed_offers: Annotated[int, typer.Option("--seed-offers", min=0, help="Made-up goods to begin with.")] = 20,
    seed_orders: Annotated[int, typer.Option("--seed-orders", min=0, help="Made-up orders to begin with.")] = 0,
    icml: Annotated[Path | None, typer.Option("--icml", exists=True, dir_okay=False, help="ICML file to begin with.")] = None,
) -> None:
    """A RetailCRM to try a connector with: API v5 under /api, a page for a person at /."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise typer.BadParameter(f"{zone} is no time zone", param_hint="--zone") from None
    crm = RetailCRM(key=key, sites=site or ["shop"], zone=zone, rate=rate, keep=500)
    if icml:
        try:
            loaded = crm.load_icml(icml.read_bytes())
        except BadIcml as error:
            raise typer.BadParameter(str(error), param_hint="--icml") from None
        typer.echo(f"{icml.name}: {loaded.created} offers, {len(loaded.skipped)} left out")
    elif seed_offers:
        seed.offers(crm, seed_offers)
    if seed_orders:
        seed.orders(crm, seed_orders)
    try:
        server = serve(crm, port, host)
    except OSError as error:
        typer.echo(f"Port {port} of {host} is not to be had: {error.strerror}. Choose another one with --port.", err=True)
        raise typer.Exit(1) from None
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    signal.signal(signal.SIGINT, lambda *_: stopped.set())
    typer.echo(f"RetailCRM sandbox: {server.url}  key {key}  shops {', '.join(site or ['shop'])}. Ctrl-C ends it.")
    while not stopped.wait(3600):
        pass
    server.stop()
