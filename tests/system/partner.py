"""A 1C at the end of an HTTP line and the books it leaves behind, for tests that see the product only from outside."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hub import Hub
from obmen.sandbox.onec.base import Base
from obmen.sandbox.onec.client import Address, Client, Fault, Step
from obmen.sandbox.onec.generate import Catalogue, Manifest, Spec, generate
from obmen.sandbox.onec.profiles import PROFILES

GOODS = ("products", "offers", "prices", "stock", "groups")
EVERYTHING = (*GOODS, "counterparties", "orders", "payments", "links", "outbox", "parked", "runs")


def until(true: Callable[[], Any], seconds: float = 120, what: str = "it did not come to that in time") -> Any:
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, what
        time.sleep(0.02)
    return found


# --- books -----------------------------------------------------------------------------------------------------------------


DUMP = "import sys\nfrom obmen.cli.main import run\nfor kind in sys.argv[1:]:\n    if run(['dump', kind]):\n        sys.exit(kind)\n    print('=')\n"


def books(hub: Hub, kinds: Sequence[str] = EVERYTHING) -> dict[str, list[dict[str, Any]]]:
    """What ``obmen dump`` says of each kind, sorted, so that two hubs can be compared. One process for all: each start costs."""
    done = subprocess.run([sys.executable, "-c", DUMP, *kinds], env=hub.env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows: list[list[dict[str, Any]]] = [[]]
    for line in done.stdout.splitlines():
        if line == "=":
            rows.append([])
        else:
            rows[-1].append(json.loads(line))
    return {kind: sorted(rows[i], key=lambda row: json.dumps(row, sort_keys=True)) for i, kind in enumerate(kinds)}


def without(rows: Sequence[Mapping[str, Any]], *names: str) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in names} for row in rows]


def sums(said: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, int]:
    """The books in the words of the generator's manifest."""
    out = {kind: len(said[kind]) for kind in GOODS}
    out["price_kopecks"] = int(sum(Decimal(p["value"]) for p in said["prices"]) * 100)
    out["quantity"] = int(sum(Decimal(s["quantity"]) for s in said["stock"]))
    out["deleted_products"] = sum(p["deleted"] for p in said["products"])
    out["pictures"] = sum(len(p["pictures"]) for p in said["products"])
    return out


def expected(manifest: Manifest) -> dict[str, int]:
    names = (*GOODS, "price_kopecks", "quantity", "deleted_products", "pictures")
    out = {name: manifest.books[name] for name in names}
    out["offers"] += manifest.books["deleted_offers"]  # known from their cards only
    return out


def pictures(hub: Hub) -> set[str]:
    """Names of the kept picture files, each proven to hold what its name says."""
    files = [f for f in (hub.home / "media" / "pictures").rglob("*.*") if f.is_file()]
    assert [f.name for f in files if hashlib.sha256(f.read_bytes()).hexdigest() != f.stem] == []
    return {f.name for f in files}


def counted(said: Mapping[str, Sequence[Mapping[str, Any]]]) -> Counter[str]:
    """The counts of all runs together, what was repeated within a page left out."""
    total: Counter[str] = Counter()
    for run in said["runs"]:
        total.update(run["counts"])
    return +total


# --- a node ----------------------------------------------------------------------------------------------------------------


class OneC:
    """A 1C of one profile with its infobase, connected to a door of the hub."""

    def __init__(self, hub: Hub, door: Mapping[str, str], profile: str, **client: Any) -> None:
        self.hub, self.profile = hub, PROFILES[profile]
        self.faults: Callable[[Step], Fault | None] = lambda _step: None
        self.client = Client(
            self.profile,
            Address.parse(hub.url + door["path"]),
            door["login"],
            door["password"],
            sleep=lambda _seconds: None,
            fault=lambda step: self.faults(step),
            **client,
        )
        self.base = Base(rules=self.profile.rules)

    def catalogue(self, folder: Path, **spec: Any) -> Manifest:
        made = Spec(layout=self.profile.layout, **spec)
        manifest = generate(made, folder)
        self.base.remember(made)
        return manifest


def order(key: str, spec: Spec, **changes: Any) -> dict[str, Any]:
    """An order of two kinds of goods in the shape of ``load orders``."""
    catalogue = Catalogue(spec)
    numbers = range(spec.start, spec.start + min(spec.products, 100))
    cards = [c for i in numbers if not (c := catalogue.card(i)).deleted]
    lines = []
    for place, quantity, price in ((int(key), 2, 250), (int(key) + 1, 1, 100)):
        card = cards[place % len(cards)]
        offer, _variant, _prices, _stock = next(catalogue.offers(card))
        lines.append(
            {"offer": offer, "article": card.article, "name": card.name, "kind": "product", "quantity": str(quantity)}
            | {"price": str(price), "discount": "0", "total": str(quantity * price)}
        )
    made = {
        "key": f"site-{key}",
        "number": key,
        "date": "2025-04-03T06:05:07+00:00",
        "currency": "RUB",
        "total": "600",
        "counterparty": {"key": f"c{key}", "name": f"Покупатель {key}", "email": f"buyer{key}@example.com"},
        "lines": lines,
    }
    return made | changes


def load_orders(hub: Hub, orders: Sequence[Mapping[str, Any]]) -> None:
    hub.cli("load", "orders", "-", stdin="".join(json.dumps(o, ensure_ascii=False) + "\n" for o in orders))


# --- raw calls -------------------------------------------------------------------------------------------------------------


class Caller:
    """Calls of the door by hand: whatever bytes, names and cookies a test wants to send."""

    def __init__(self, hub: Hub, door: Mapping[str, str]) -> None:
        self.address, self.path = urlsplit(hub.url), door["path"]
        pair = f"{door['login']}:{door['password']}".encode()
        self.auth: str | None = f"Basic {base64.b64encode(pair).decode()}"
        self.cookie, self.status = "", 0

    def say(self, query: str, body: Any = None, *, length: int | None = None, **headers: str) -> str:
        """One call on a connection of its own; ``body`` is bytes or an iterable of them with its ``length``."""
        connection = http.client.HTTPConnection(self.address.hostname or "", self.address.port, timeout=120)
        if self.auth:
            headers.setdefault("Authorization", self.auth)
        if self.cookie:
            headers.setdefault("Cookie", self.cookie)
        if length is not None:
            headers["Content-Length"] = str(length)
        try:
            connection.request("GET" if body is None else "POST", f"{self.path}?{query}", body=body, headers=headers)
            answer = connection.getresponse()
            self.status = answer.status
            return answer.read().decode("utf-8", "replace")
        finally:
            connection.close()

    def enter(self, type: str = "catalog") -> Caller:
        lines = self.say(f"type={type}&mode=checkauth").split("\n")
        assert lines[0] == "success", lines
        self.cookie = f"{lines[1]}={lines[2]}"
        return self

    def send(self, name: str, body: Any, type: str = "catalog", **more: Any) -> str:
        return self.say(f"type={type}&mode=file&filename={name}", body, **more)

    def load(self, name: str, type: str = "catalog") -> str:
        """mode=import until the answer is final."""
        while (answer := self.say(f"type={type}&mode=import&filename={name}")).startswith("progress"):
            continue
        return answer

    def offer(self, name: str, body: bytes, type: str = "catalog") -> str:
        """Send and import in a session of its own: the last answer of whichever call refused, else of the import."""
        self.enter(type).say(f"type={type}&mode=init")
        sent = self.send(name, body, type)
        return sent if sent.split("\n")[0] != "success" else self.load(name, type)
