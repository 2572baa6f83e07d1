# ruff: noqa: RUF009 - setting() makes dataclass fields
"""Connectors for tests: one that has a door, so that it gets a machine account, and one for a system that we would call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import pytest

from obmen import registry
from obmen.core.contract import Choice, Column, Connector, Item, NeedsOwner, Page, Receiving, Table, TryLater
from obmen.core.records import Kind, Reference, Subject
from obmen.core.settings import setting


@dataclass(frozen=True)
class ToySettings:
    url: str = setting("", "Address", place=True)
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


# --- a system that we call -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CallerSettings:
    server: str = setting("", "Address", "As in the browser.", tab="keys", identifies=True, place=True)
    api_key: str = setting("", "Key", "Of their API.", tab="keys", kind="secret")
    shop: str = setting("", "Warehouse", "Where orders are packed.", tab="keys", kind="reference", subject=Subject.WAREHOUSE)
    service: str = setting("", "Service", "For delivery.", tab="keys", kind="reference", subject="product")
    groups: tuple[str, ...] = setting((), "Groups", "What is sent.", tab="catalogue", subject="group")
    use_prices: bool = setting(False, "Use price types", "Opens their table.", tab="settings")
    own: bool = setting(False, "Send own", "Orders made here.", tab="settings")
    own_from: str = setting("", "Own since", "A date.", tab="settings", when="own")


class History:
    """A source with a bookmark that a person may read and set."""

    stream, rules, kinds = "orders-in", Receiving(), (Kind.ORDER,)

    def pages(self, since: Any, known: Any) -> Iterator[Page]:
        return iter(())

    def pages_of(self, ids: Sequence[str], known: Any) -> Iterator[Page]:
        return iter(())

    def parse(self, kind: Kind, items: Sequence[Item]) -> Sequence[Any]:
        return [None for _item in items]

    def locate(self, item: Item) -> str:
        return ""

    def bookmark_words(self, bookmark: Mapping[str, Any] | None) -> str:
        return str(bookmark["id"]) if bookmark else ""

    def bookmark_from(self, words: str, moment: datetime | None) -> Mapping[str, Any]:
        if words and not words.isdigit():
            raise NeedsOwner("“{words}” is no id of their history: it is a number", words=words)
        return {"id": int(words) if words else 0 if moment is None else int(moment.timestamp())}


class StockSink:
    stream, kind, batch, creates, compares, choice = "stock-out", Kind.STOCK, 10, False, False, Choice()


class Goods:
    stream, name, path = "catalogue-out", "goods.xml", ""

    def write(self, file: BinaryIO, books: Any, now: datetime) -> Mapping[str, int]:
        file.write(b"<goods/>\n")
        return {"offers": 3}

    def allow(self, previous: Path, current: Path) -> None:
        raise NeedsOwner("{share} per cent of the goods would vanish; the file stays as it was", share=40)


class Caller(Connector):
    """``lists`` is what its system says of each subject, ``down`` why it does not answer."""

    key, title, calls_out = "caller", "Shop that we call", True
    settings = CallerSettings
    streams = ("orders-in", "stock-out", "catalogue-out")
    tabs = (
        ("main", "Main page"),
        ("keys", "Keys"),
        ("states", "Statuses"),
        ("people", "Managers"),
        ("catalogue", "Goods file"),
        ("prices", "Price types"),
        ("settings", "Options"),
    )
    open_tabs = ("keys", "catalogue")
    wakes = ("orders-in",)
    tables = (
        Table(Subject.ORDER_STATE, "states", "Statuses: loading", "in", "Only these are loaded."),
        Table(Subject.ORDER_STATE, "states", "Statuses: sending", "out"),
        Table(
            Subject.MANAGER,
            "people",
            "Managers",
            "both",
            by_hand=True,
            columns=(
                Column("desk", "Cash desk", "reference", subject=Subject.CASH_DESK),
                Column("document", "Document", "choice", choices=(("cash", "Receipt"), ("card", "Card"))),
            ),
        ),
        Table(Subject.PRICE_KIND, "prices", "Price types", "both", when="use_prices"),
    )
    lists: ClassVar[dict[str, list[tuple[str, str]]]] = {}
    down: ClassVar[list[str]] = []

    def check(self) -> str:
        if not self.s.server or self.s.api_key != "right":
            raise NeedsOwner("The key is not accepted")
        return "Connected"

    def references(self, subject: Subject) -> Sequence[Reference]:
        if self.down:
            raise TryLater(self.down[0])
        return [Reference(subject, key, name) for key, name in self.lists.get(subject, [])]

    def sources(self) -> Sequence[Any]:
        return (History(),)

    def sinks(self) -> Sequence[Any]:
        return (StockSink(),)

    def feeds(self) -> Sequence[Any]:
        return (Goods(),)


def install_caller(monkeypatch: pytest.MonkeyPatch) -> type[Caller]:
    """Beside the real ones; with three statuses and two managers over there."""
    monkeypatch.setitem(registry.connectors(), "caller", Caller)
    people = [("11", "Марія"), ("12", "Степан")]
    states = [("new", "Новий"), ("paid", "Сплачений"), ("lost", "Втрачений")]
    monkeypatch.setattr(Caller, "lists", {Subject.ORDER_STATE: states, Subject.MANAGER: people})
    monkeypatch.setattr(Caller, "down", [])
    return Caller
