"""The command ``obmen sandbox prom``: a shop at Prom on a port until Ctrl-C."""

from __future__ import annotations

from typing import Annotated

import typer

from obmen.sandbox import stand
from obmen.sandbox.prom import seed
from obmen.sandbox.prom.account import Prom
from obmen.sandbox.prom.state import Settings

app = typer.Typer(add_completion=False)


@app.command("prom")
def run(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8087,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    token: Annotated[str, typer.Option("--token", help="The API token.")] = "sandbox-token",  # noqa: S107
    rate: Annotated[int, typer.Option("--rate", min=0, help="Requests a second for a token, 0 = no limit.")] = 10,
    seed_goods: Annotated[int, typer.Option("--seed-goods", min=0, help="Made-up goods to begin with.")] = 0,
    seed_orders: Annotated[int, typer.Option("--seed-orders", min=0, help="Made-up orders to begin with.")] = 0,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting, NAME=VALUE; several times.")] = None,
) -> None:
    """A shop at Prom to try a connector with: the public API under /api/v1, pages for a person at /."""
    shop = Prom(token=token, rate=rate, keep=500, **stand.settings(Settings, set_ or []))
    if seed_goods:
        seed.goods(shop, seed_goods)
    if seed_orders:
        seed.orders(shop, seed_orders)
    stand.run(shop, port, host, f"token {token}")
