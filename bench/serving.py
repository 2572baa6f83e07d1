"""The hub as a server: pages while a load runs, orders out of the door, files into it."""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from catalogues import Catalogue
from hubs import PASSWORD, Hub, Server, WrongResult, measure, obmen

FLOORS = Path(__file__).with_name("floors.py")
PAGES = ("/", "/store/product/", "/store/offer/", "/store/order/", "/store/run/")
PAUSE = 0.02  # seconds between two pages of the person who looks on
READY = 300.0  # seconds in which the pages must have been seen once


class Caller:
    """One kept-alive connection with cookies."""

    def __init__(self, port: int) -> None:
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self.cookies: dict[str, str] = {}

    def call(
        self, method: str, path: str, body: bytes | memoryview = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        self.http.request(method, path, body, {**({"Cookie": cookie} if cookie else {}), **(headers or {})})
        answer = self.http.getresponse()
        said = answer.read()
        for header in answer.headers.get_all("Set-Cookie") or ():
            name, _sep, value = header.partition(";")[0].partition("=")
            self.cookies[name.strip()] = value.strip()
        return answer.status, said

    def sign_in(self) -> None:
        _status, page = self.call("GET", "/login/")
        token = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        if token is None:
            raise WrongResult("the page of /login/ holds no form")
        form = urlencode(
            {"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": token[1].decode(), "next": "/"}
        ).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Referer": f"http://127.0.0.1:{self.http.port}/login/"}
        status, _page = self.call("POST", "/login/", form, headers)
        if status != 302:
            raise WrongResult(f"signing in was answered with {status}")


@dataclass
class Watch:
    """What a person saw: seconds of each page, and the calls that failed."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def quantile(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def look_on(server: Server, ready: threading.Event, end: threading.Event, watch: Watch) -> None:
    """Sets ``ready`` when the pages have been seen once: what is measured comes after it."""
    caller = Caller(server.port)
    caller.sign_in()
    for page in PAGES:  # the first sight compiles templates
        caller.call("GET", page)
    ready.set()
    number = 0
    while not end.is_set():
        page = PAGES[number % len(PAGES)]
        number += 1
        started = time.perf_counter()
        try:
            status, _body = caller.call("GET", page)
        except (OSError, http.client.HTTPException) as error:
            watch.failures.append(f"{page}: {error!r}")
            caller.http.close()
        else:
            watch.seconds.append(time.perf_counter() - started)
            if status != 200:
                watch.failures.append(f"{page}: {status}")
        end.wait(PAUSE)


def web(hub: Hub, catalogues: list[Catalogue]) -> Watch:
    """Pages while the catalogues are loaded one after the other by another process."""
    watch, ready, end = Watch(), threading.Event(), threading.Event()
    with hub.serve() as server:
        person = threading.Thread(target=look_on, args=(server, ready, end, watch))
        person.start()
        try:
            if not ready.wait(READY):
                raise RuntimeError("the pages cannot be seen")
            for catalogue in catalogues:
                load = hub.start_load(catalogue.folder)
                _out, said = load.communicate()
                if load.returncode:
                    raise RuntimeError(f"the load beside the web ended with {load.returncode}: {said.decode()[-1000:]}")
        finally:
            end.set()
            person.join()
    if not watch.seconds:
        raise WrongResult("no page was answered while the load ran")
    return watch


# --- orders out ------------------------------------------------------------------------------------------------------------


def order(number: int) -> dict[str, object]:
    """Order ``number`` of a shop, in the shape of ``obmen load orders``: the same for the same number."""
    lines = [
        {
            "offer": f"00000000-0000-4000-a000-{(number * 7 + i) % 99991:012d}",
            "article": f"A-{(number * 7 + i) % 99991:06d}",
            "name": f"Кроссовки беговые универсальные {i + 1} (белый, {36 + (number + i) % 10})",
            "kind": "product",
            "quantity": str(1 + (number + i) % 3),
            "price": f"{100 + (number * 13 + i * 31) % 9000}.50",
        }
        for i in range(2 + number % 4)
    ]
    lines.append({"offer": "ORDER_DELIVERY", "name": "Доставка", "kind": "delivery", "quantity": "1", "price": "300"})
    return {
        "key": f"bench-{number}",
        "number": str(number),
        "date": f"2026-10-{1 + number % 28:02d}T{number % 24:02d}:{number % 60:02d}:00+00:00",
        "state": "new",
        "currency": "RUB",
        "counterparty": {
            "key": f"buyer-{number % 5000}",
            "name": f"Покупатель {number % 5000}",
            "last_name": "Покупатель",
            "first_name": f"Номер {number % 5000}",
            "phone": f"+7000{number % 10_000_000:07d}",
            "email": f"buyer{number % 5000}@example.com",
            "address": {"text": f"Город, улица Садовая, {number % 200}", "parts": {"Город": "Город", "Улица": "Садовая"}},
        },
        "delivery": {"method": "Курьер", "price": "300", "address": f"Город, улица Садовая, {number % 200}"},
        "payments": [{"key": f"payment-{number}", "amount": "300", "method": "Карта", "paid": number % 2 == 0}],
        "lines": lines,
        "comment": "Позвонить за час до приезда",
        "requisites": {"Канал": "сайт", "Способ связи": "телефон"},
    }


def put_orders(hub: Hub, file: Path, start: int, end: int) -> None:
    with open(file, "w", encoding="utf-8") as out:
        for number in range(start, end):
            out.write(json.dumps(order(number), ensure_ascii=False) + "\n")
    done = measure(obmen("load", "orders", str(file)), hub.env)
    if not done.out.startswith(f"taken {end - start}, changed {end - start}, wrong 0"):
        raise WrongResult(f"loading orders: {done.out.strip()}")


class Node(Caller):
    """1C at the door: one session of exchange."""

    def __init__(self, server: Server, hub: Hub, kind: str) -> None:
        super().__init__(server.port)
        self.path, self.kind = hub.door["path"], kind
        login = base64.b64encode(f"{hub.door['login']}:{hub.door['password']}".encode()).decode()
        _status, said = self.call("GET", self.address("checkauth"), headers={"Authorization": f"Basic {login}"})
        words = said.decode().split("\n")
        if words[0] != "success":
            raise WrongResult(f"the door's checkauth says {said[:200]!r}")
        self.cookies[words[1].strip()] = words[2].strip()
        self.sessid = next((word.strip() for word in words if word.startswith("sessid=")), "")
        _status, said = self.call("GET", self.address("init"))
        self.limits = dict(line.split("=", 1) for line in said.decode().split() if "=" in line)

    def address(self, mode: str, **more: str) -> str:
        session = f"&{self.sessid}" if getattr(self, "sessid", "") else ""
        return f"{self.path}?type={self.kind}&mode={mode}{''.join(f'&{k}={v}' for k, v in more.items())}{session}"

    def query(self, target: Path) -> tuple[float, int]:
        """Seconds from the question to the last byte of the answer, and its orders; the answer goes into ``target``."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        orders, tail = 0, b""
        started = time.perf_counter()
        self.http.request("GET", self.address("query"), headers={"Cookie": cookie})
        answer = self.http.getresponse()
        blocks = []
        while block := answer.read(1 << 18):
            blocks.append(block)
        seconds = time.perf_counter() - started
        encoding = "utf-8" if b"windows-1251" not in blocks[0][:200] else "cp1251"
        mark = "</Документ>".encode(encoding)
        with open(target, "wb") as out:
            for block in blocks:
                out.write(block)
                seen = tail + block
                orders += seen.count(mark)
                tail = seen[-len(mark) + 1 :]
        return seconds, orders


@dataclass
class Query:
    ratios: list[float]
    answers: list[float]
    floors: list[float]
    megabytes: float
    before: float  # peak memory of the server after a tenth of the orders, MiB
    after: float


def query(hub: Hub, folder: Path, count: int, rounds: int) -> Query:
    """Ask for all orders; before that for a tenth of them, so that the memory of the larger answer can be told."""
    answer, copy = folder / "orders.xml", folder / "orders-floor.xml"
    put_orders(hub, folder / "orders.jsonl", 0, count // 10)
    result = Query([], [], [], 0.0, 0.0, 0.0)
    with hub.serve() as server:

        def ask(expected: int) -> float:
            seconds, orders = Node(server, hub, "sale").query(answer)
            if orders != expected:
                raise WrongResult(f"query sent {orders} of {expected} orders")
            return seconds

        ask(count // 10)
        result.before = server.peak()
        put_orders(hub, folder / "orders.jsonl", count // 10, count)
        for number in range(rounds + 1):
            seconds = ask(count)
            written = json.loads(measure([sys.executable, str(FLOORS), "write", str(answer), str(copy)]).out)
            size = answer.stat().st_size
            if abs(written["bytes"] - size) > size / 50:
                raise WrongResult(f"the floor wrote {written['bytes']} bytes of {size}")
            if number:  # the first round warms up
                result.answers.append(seconds)
                result.floors.append(written["seconds"])
                result.ratios.append(seconds / written["seconds"])
        result.megabytes, result.after = answer.stat().st_size / 1e6, server.peak()
    return result


# --- files in --------------------------------------------------------------------------------------------------------------


@dataclass
class Upload:
    ratios: list[float]  # speed through the door / speed of the raw copy
    door: list[float]
    raw: list[float]
    pieces: int


def upload(hub: Hub, folder: Path, size: int, rounds: int) -> Upload:
    """A file of ``size`` bytes in pieces of the door's own limit, against the same pieces from a socket into a file."""
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<КоммерческаяИнформация ВерсияСхемы="2.08">\n'.encode()
    data = head + b"".join(b"<!-- %061d -->\n" % i for i in range(size // 71 + 1))
    data = data[:size]
    result = Upload([], [], [], 0)
    with hub.serve() as server:
        for number in range(rounds + 1):
            node = Node(server, hub, "catalog")
            limit = int(node.limits.get("file_limit", 0)) or size
            pieces = [memoryview(data)[at : at + limit] for at in range(0, size, limit)]
            started = time.perf_counter()
            for piece in pieces:
                headers = {"Content-Type": "application/octet-stream", "Content-Length": str(len(piece))}
                _status, said = node.call("POST", node.address("file", filename="import.xml"), piece, headers)
                if not said.startswith(b"success"):
                    raise WrongResult(f"the door answers a file with {said[:200]!r}")
            door = time.perf_counter() - started
            raw = _raw_copy(folder / "raw.xml", pieces)
            kept = max((f.stat().st_size for f in hub.home.rglob("import.xml")), default=0)
            if kept != size:
                raise WrongResult(f"the door kept {kept} of {size} bytes")
            if number:
                result.door.append(door)
                result.raw.append(raw)
                result.ratios.append(raw / door)
            result.pieces = len(pieces)
    return result


def _raw_copy(target: Path, pieces: list[memoryview]) -> float:
    with subprocess.Popen([sys.executable, str(FLOORS), "sink", str(target)], stdout=subprocess.PIPE, text=True) as sink:
        assert sink.stdout is not None
        with socket.create_connection(("127.0.0.1", int(sink.stdout.readline()))) as line:
            started = time.perf_counter()
            for piece in pieces:
                line.sendall(len(piece).to_bytes(8, "big"))
                line.sendall(piece)
                if line.recv(1) != b".":
                    raise WrongResult("the raw copy broke off")
            return time.perf_counter() - started


def median(values: list[float]) -> float:
    return statistics.median(values)
