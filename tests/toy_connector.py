# ruff: noqa: RUF009 - setting() makes dataclass fields
"""A connector for tests: it calls nobody, and has a door so that it gets a machine account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from obmen import registry
from obmen.core.contract import Connector, NeedsOwner
from obmen.core.settings import setting


@dataclass(frozen=True)
class ToySettings:
    url: str = setting("", "Address")
    pages: int = setting(10, "Page size", minimum=1, maximum=100)
    kinds: tuple[str, ...] = setting((), "Kinds")
    fast: bool = setting(False, "Fast")
    names: dict[str, str] = setting({}, "Names")
    api_key: str = setting("", "Key", kind="secret")
    pin: str = setting("", "Pin", kind="secret")


class Toy(Connector):
    key, title, aliases = "toy", "Toy shop", ("plaything",)
    settings = ToySettings
    streams = ("products-in", "orders-out")

    @classmethod
    def profiles(cls) -> Mapping[str, Mapping[str, Any]]:
        return {"slow": {"title": "Slow", "settings": {"pages": 5}}}

    def check(self) -> str:
        if not self.s.api_key:
            raise NeedsOwner("The key is missing")
        return f"connected with {self.s.pages} a page"

    def doors(self) -> Mapping[str, Any]:
        return {"toy": object()}


class Quiet(Toy):
    key, title, aliases, streams = "quiet", "Called by nobody", (), ()

    def doors(self) -> Mapping[str, Any]:
        return {}


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "connectors", lambda: {"toy": Toy, "quiet": Quiet})
