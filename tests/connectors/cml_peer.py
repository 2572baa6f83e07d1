"""A shop on a real socket whose every answer a test may bend: what tests of the client share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from connectors.memory_hub import MemoryBooks, MemoryHub
from net.peer import Asked, Peer, peer
from obmen.connectors.commerceml_client import CommerceMLClient
from obmen.connectors.commerceml_client.api import Node
from obmen.core.settings import load

ORDERS = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<КоммерческаяИнформация><Документ><Ид>7</Ид></Документ></КоммерческаяИнформация>'
)
Said = str | bytes | tuple[int, str] | None  # None: the connection ends without an answer


@dataclass
class Call:
    asked: Asked
    type: str
    mode: str
    filename: str
    query: dict[str, str]

    @property
    def line(self) -> str:
        return " ".join(filter(None, (self.type, self.mode, self.filename)))


@dataclass
class Shop:
    """Answers politely, unless ``bend(call)`` says something else. ``files`` of the conversation, as the shop has appended them."""

    bend: Callable[[Call], Any] = lambda _call: ...  # ...: as usual
    zip: str = "no"
    limit: str = "1000000"
    content_type: str = "text/plain; charset=utf-8"
    calls: list[Call] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    imported: dict[str, bytes] = field(default_factory=dict)
    sessions: int = 0

    def __call__(self, asked: Asked, handler: Any) -> tuple[int, dict[str, str], bytes] | None:
        query = {k: v[0] for k, v in parse_qs(urlsplit(asked.path).query).items()}
        call = Call(asked, query.get("type", ""), query.get("mode", ""), query.get("filename", ""), query)
        self.calls.append(call)
        bent = self.bend(call)
        said: Said = self.polite(call) if bent is ... else bent
        if said is None:
            handler.connection.close()
            return None
        status, body = said if isinstance(said, tuple) else (200, said)
        return status, {"Content-Type": self.content_type}, body.encode() if isinstance(body, str) else body

    def polite(self, call: Call) -> str:
        match call.mode:
            case "checkauth":
                self.sessions += 1
                return f"success\nPHPSESSID\ns{self.sessions}\nsessid=token{self.sessions}\ntimestamp=1\n"
            case "init":
                self.files.clear()
                return f"zip={self.zip}\nfile_limit={self.limit}"
            case "file":
                self.files[call.filename] = self.files.get(call.filename, b"") + call.asked.body
                return "success"
            case "import":
                self.imported[call.filename] = self.files.get(call.filename, b"")
                return "success"
            case "query":
                return ORDERS
            case "success":
                return "success"
        return "failure\nUnknown command type."

    @property
    def lines(self) -> list[str]:
        return [call.line for call in self.calls]


def first(*said: Any) -> Callable[[], Any]:
    """These once each, then as usual."""
    left = list(said)
    return lambda: left.pop(0) if left else ...


def bent(mode: str, *said: Any) -> Callable[[Call], Any]:
    """The first answers of a mode; then as usual."""
    answer = first(*said)
    return lambda call: answer() if call.mode == mode else ...


@dataclass
class Kit:
    shop: Shop
    hub: MemoryHub
    url: str
    there: Peer

    def settings(self, **settings: Any) -> Any:
        profile = CommerceMLClient.profiles()[settings.get("shop", "generic")]["settings"]
        own = {"address": self.url, "login": "робот", "password": "tops3cret", "pause": 0, "repeats": 3}
        return load(CommerceMLClient.settings, profile | own | settings)

    def node(self, **settings: Any) -> Node:
        return Node(self.settings(**settings), self.hub)

    def connector(self, **settings: Any) -> CommerceMLClient:
        return CommerceMLClient(self.settings(**settings), self.hub)


@contextmanager
def shop(folder: Path, bend: Callable[[Call], Any] = lambda _call: ..., **about: Any) -> Iterator[Kit]:
    made = Shop(bend, **about)
    with peer(made) as there:
        hub = MemoryHub(folder, name="Shop", books=MemoryBooks())
        hub.sleep = lambda _seconds: None  # type: ignore[method-assign]
        yield Kit(made, hub, f"{there.url}/1c_exchange.php", there)
