"""The command ``obmen sandbox rozetka``: a seller's account at Rozetka on a port until Ctrl-C."""

from __future__ import annotations

from typing import Annotated

import typer

from obmen.sandbox import stand
from obmen.sandbox.rozetka import seed
from obmen.sandbox.rozetka.account import Rozetka
from obmen.sandbox.rozetka.state import Settings

app = typer.Typer(add_completion=False)


@app.command("rozetka")
def run(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8088,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    login: Annotated[str, typer.Option("--login", help="Login of the seller.")] = "seller",
    password: Annotated[str, typer.Option("--password", help="Its password, as a person types it.")] = "sandbox",  # noqa: S107
    token: Annotated[str, typer.Option("--token", help="A static token of the cabinet; empty: none.")] = "",
    rate: Annotated[int, typer.Option("--rate", min=0, help="Requests a second for a token, 0 = no limit.")] = 10,
    seed_goods: Annotated[int, typer.Option("--seed-goods", min=0, help="Made-up goods to begin with.")] = 0,
    seed_orders: Annotated[int, typer.Option("--seed-orders", min=0, help="Made-up orders to begin with.")] = 0,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting, NAME=VALUE; several times.")] = None,
) -> None:
    """A seller's account at Rozetka to try a connector with: the Seller API at the root, pages for a person at /cabinet."""
    seller = Rozetka(login=login, password=password, rate=rate, keep=500, **stand.settings(Settings, set_ or []))
    if token:
        seller.add_token(token)
    if seed_goods:
        seed.goods(seller, seed_goods)
    if seed_orders:
        seed.orders(seller, seed_orders)
    stand.run(seller, port, host, f"login {login}  password {password}")
