"""What the tests of this connector share: an account on a real socket, and a hub in memory whose clock both go by."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from connectors.memory_hub import MemoryHub
from obmen.connectors.rozetka import api
from obmen.connectors.rozetka.market import RozetkaMarket
from obmen.connectors.rozetka.settings import RozetkaSettings
from obmen.core.settings import load
from obmen.sandbox.rozetka import Rozetka as Account
from obmen.sandbox.rozetka import serve
from obmen.sandbox.rozetka.state import Order

TOKEN = "token-of-the-cabinet-1"
CUP, MUG = "A-1", "A-2"
FAST = 500  # calls a second, for tests that are not about the pace


class Kit:
    """A seller's account with two goods on sale, and a connection to it by the cabinet's token."""

    def __init__(self, folder: Path, account: Account, url: str, hub: MemoryHub) -> None:
        self.account, self.url, self.hub = account, url, hub
        self.settings: dict[str, Any] = {"address": url, "token": TOKEN}
        account.add_token(TOKEN)
        self.cup = account.add_item("Чашка", 100, 50, offer=CUP, article="ART-1")
        self.mug = account.add_item("Кружка", 250, 50, offer=MUG, article="ART-2")
        self._open: list[RozetkaMarket] = []

    def market(self, **settings: Any) -> RozetkaMarket:
        self._open.append(RozetkaMarket(load(RozetkaSettings, self.settings | settings), self.hub))
        return self._open[-1]

    def by_login(self, **settings: Any) -> RozetkaMarket:
        return self.market(**({"token": "", "login": "seller", "password": "sandbox"} | settings))

    def buy(self, count: int = 1, **more: Any) -> Order:
        return self.account.buy([(CUP, count)], **more)

    def later(self, **parts: float) -> None:
        self.hub.later(**parts)

    def paths(self, method: str = "") -> list[str]:
        """Of what was called, oldest first."""
        return [one.path for one in self.account.calls(method=method)]

    def close(self) -> None:
        for market in self._open:
            market.close()


@contextmanager
def running(folder: Path, fast: bool = True, **account: Any) -> Iterator[Kit]:
    hub = MemoryHub(folder)
    made = Account(clock=hub.now, **account)
    before, api.CALLS_A_SECOND = api.CALLS_A_SECOND, FAST if fast else api.CALLS_A_SECOND
    try:
        with serve(made) as server:
            kit = Kit(folder, made, server.url, hub)
            try:
                yield kit
            finally:
                kit.close()
    finally:
        api.CALLS_A_SECOND = before
