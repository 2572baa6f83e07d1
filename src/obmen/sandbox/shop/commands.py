"""The command ``obmen sandbox shop``: a shop on a port until Ctrl-C."""

from __future__ import annotations

import signal
import threading
from dataclasses import fields
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from obmen.sandbox.shop import seed
from obmen.sandbox.shop.base import Settings
from obmen.sandbox.shop.profiles import PROFILES
from obmen.sandbox.shop.server import serve

app = typer.Typer(add_completion=False)
WORDS = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}


@app.command("shop")
def run(
    profile: Annotated[str, typer.Option("--profile", help=f"Which shop: {', '.join(PROFILES)}.")] = "generic",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8086,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    login: Annotated[str, typer.Option("--login", help="Login of the accounting system.")] = "1c@example.com",
    password: Annotated[str, typer.Option("--password", help="Its password.")] = "sandbox",  # noqa: S107
    seed_goods: Annotated[int, typer.Option("--seed-goods", min=0, help="Made-up goods to begin with.")] = 0,
    seed_orders: Annotated[int, typer.Option("--seed-orders", min=0, help="Made-up orders to begin with.")] = 0,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting of the shop, NAME=VALUE; several times.")] = None,
) -> None:
    """A shop to try a connector with: CommerceML at its usual address, a page for a person at /."""
    if profile not in PROFILES:
        raise typer.BadParameter(f"{profile} is none of {', '.join(PROFILES)}", param_hint="--profile")
    shop = PROFILES[profile](login=login, password=password, keep=500, **settings(PROFILES[profile].settings_class, set_ or []))
    if seed_goods:
        seed.goods(shop, seed_goods)
    if seed_orders:
        seed.orders(shop, seed_orders)
    try:
        server = serve(shop, port, host)
    except OSError as error:
        typer.echo(f"Port {port} of {host} is not to be had: {error.strerror}. Choose another one with --port.", err=True)
        raise typer.Exit(1) from None
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    signal.signal(signal.SIGINT, lambda *_: stopped.set())
    typer.echo(f"{shop.title}: {server.url}  login {login}  password {password}  page {server.page}. Ctrl-C ends it.")
    while not stopped.wait(3600):
        pass
    server.stop()


def settings(kind: type[Settings], given: list[str]) -> dict[str, Any]:
    """``["zip=no", "file_limit=1000"]`` → ``{"zip": False, "file_limit": 1000}``. Raises typer.BadParameter."""
    known = {field.name: field.default for field in fields(kind)}
    values: dict[str, Any] = {}
    for one in given:
        name, _sign, text = one.partition("=")
        if name not in known:
            raise typer.BadParameter(f"{name} is none of {', '.join(sorted(known))}", param_hint="--set")
        values[name] = _value(name, known[name], text.strip())
    return values


def _value(name: str, default: Any, text: str) -> Any:
    if isinstance(default, bool):
        if text.lower() not in WORDS:
            raise typer.BadParameter(f"{name} is yes or no, not {text!r}", param_hint="--set")
        return WORDS[text.lower()]
    if isinstance(default, int):
        if not text.isdigit():
            raise typer.BadParameter(f"{name} is a number, not {text!r}", param_hint="--set")
        return int(text)
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if name == "zone":
        try:
            ZoneInfo(text)
        except (ZoneInfoNotFoundError, ValueError):
            raise typer.BadParameter(f"{text} is no time zone", param_hint="--set") from None
    return text
