"""Large feeds written by several processes: byte for byte the document of one, its counts and messages, and nothing left behind."""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from django.core.files.storage import default_storage
from django.db import connection as db

from obmen.core.contract import InParts
from obmen.core.records import Subject
from obmen.formats.yml import writer as yml_writer
from obmen.store import connections, models, reading
from obmen.store.hub import DjangoHub
from obmen.work import exchange, jobs, parts
from obmen.work import run as runs
from obmen.work.feed_file import FeedFile

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 2, 8, 30, tzinfo=UTC)
PROM = {"price_kind": "base", "offer_id": "code", "sold_out": "left_out", "shop_name": "Крамниця"}
CRM = {"selling_price": "base", "product_id": "code", "shop_name": "Крамниця"}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts from the first good on, of four offers each, by two processes on any machine."""
    monkeypatch.setattr(parts, "LEAST", 1)
    monkeypatch.setattr(parts, "PAGES", 1)
    monkeypatch.setattr(parts, "processes", lambda: 2)
    monkeypatch.setattr(reading, "PAGE", 4)


def books(count: int = 24) -> None:
    """Goods of which some have no price, are sold out, marked for deletion, or called or coded like ones far before them."""
    group = models.Group.objects.create(key="g1", name="Посуд")
    base, house = (
        models.Reference.objects.create(subject=subject, key=key, name=key)
        for subject, key in ((Subject.PRICE_KIND, "base"), (Subject.WAREHOUSE, "main"))
    )
    for n in range(count):
        code = "C2" if n in (13, 14, 21) else f"C{n}"
        name = "Чашка 3" if n == 17 else f"Чашка {n}"
        product = models.Product.objects.create(
            key=f"p{n}",
            name=name,
            code=code,
            group=group,
            groups=["g1"],
            manufacturer="Завод",
            description=f"Опис {n} & <b>",
            pictures=[f"https://cdn.example/{n}.jpg"],
        )
        variants = ("", "#red", "#blue") if n == 11 else ("",)
        for variant in variants:
            said = [["Колір", variant[1:]]] if variant else []
            offer = models.Offer.objects.create(
                key=f"p{n}{variant}", product=product, characteristics=said, deleted=n == 9, article=f"A-{3 if n == 17 else n}"
            )
            if n not in (5, 15):
                models.Price.objects.create(offer=offer, kind=base, value=Decimal(100 + n), currency="UAH", min_quantity=0)
            models.StockLevel.objects.create(offer=offer, warehouse=house, quantity=0 if n in (6, 18) else n + 1)


class Heard(DjangoHub):
    def __init__(self, connection: models.Connection) -> None:
        super().__init__(connection)
        self.heard: list[tuple[str, Mapping[str, object]]] = []

    def report(self, level: str, text: str, **facts: object) -> None:
        self.heard.append((text, dict(facts)))


def a_feed(key: str, **settings: Any) -> tuple[Heard, Any]:
    connection, _password = connections.create(key, f"{key} {models.Connection.objects.count()}", settings=settings)
    hub = Heard(connection)
    return hub, connections.connector_of(connection, hub).feeds()[0]


def by_one(key: str, **settings: Any) -> tuple[bytes, dict[str, int], list[Any]]:
    hub, feed = a_feed(key, **settings)
    file = io.BytesIO()
    counts = dict(feed.write(file, hub.books, NOW))
    return file.getvalue(), counts, hub.heard


def by_parts(folder: Path, key: str, **settings: Any) -> tuple[bytes, dict[str, int], list[Any]]:
    hub, feed = a_feed(key, **settings)
    pieces = folder / "pieces"
    pieces.mkdir()
    with FeedFile(folder / "plain", folder / "packed", feed.dated) as file:
        counts = dict(parts.write(cast(InParts, feed), feed.stream, feed.name, NOW, hub, file, pieces))
    plain = (folder / "plain").read_bytes()
    assert gzip.decompress((folder / "packed").read_bytes()) == plain
    assert file.size == len(plain)
    return plain, counts, hub.heard


@pytest.mark.long
@pytest.mark.parametrize(
    ("key", "settings"),
    [
        ("prom", PROM),
        ("prom", PROM | {"sold_out": "not_available"}),
        ("retailcrm", CRM),
        ("retailcrm", CRM | {"characteristics": True}),
    ],
    ids=["prom", "prom-all", "crm", "crm-characteristics"],
)
def test_a_document_in_parts_is_that_of_one_process_with_its_counts_and_messages(
    tmp_path: Path, key: str, settings: dict[str, Any]
) -> None:
    books()
    alone = by_one(key, **settings)
    assert alone[1]["left_out"] > 0, "nothing was refused: this would show nothing"
    assert by_parts(tmp_path, key, **settings) == alone


def test_ids_that_may_stand_in_it_once_are_looked_for_in_all_parts_by_a_strict_dialect(tmp_path: Path) -> None:
    books()
    alone = by_one("rozetka", price_kind="base", offer_id="code", shop_name="Крамниця")
    assert yml_writer.ID_TWICE in {text for text, _facts in alone[2]}
    assert by_parts(tmp_path, "rozetka", price_kind="base", offer_id="code", shop_name="Крамниця") == alone


def test_a_process_that_ends_early_leaves_the_whole_to_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    books()
    alone = by_one("prom", **PROM)
    monkeypatch.setattr(parts, "START", "raise SystemExit")
    hub, feed = a_feed("prom", **PROM)
    made = exchange._written_at(feed, tmp_path, hub, NOW)
    assert (made.plain.read_bytes(), made.counts, hub.heard) == alone
    assert gzip.decompress(made.packed.read_bytes()) == alone[0]
    assert "written by one process: a process has ended" in caplog.text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new.xml", "new.xml.gz"]


def test_a_feed_that_is_not_made_for_parts_is_written_by_one_process() -> None:
    class Plain:
        stream, name, path = "catalogue-out", "cards.xml", ""

    assert not parts.worth_it(cast(Any, Plain()), reading.Books())


@pytest.mark.long
def test_a_feed_of_which_only_the_moment_differs_is_not_served_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    books(6)
    connection, _password = connections.create("prom", "Prom", settings=PROM)

    def go() -> Mapping[str, int]:
        return cast(Mapping[str, int], runs.execute_here(jobs.ask(connection, ("catalogue-out",), trigger="person")).counts)

    assert go() == {"published": 1}
    first = models.Feed.objects.get()
    assert first.counts == {"categories": 1, "offers": 5, "left_out": 1, "sold_out": 0}
    monkeypatch.setattr(parts, "processes", lambda: 1)
    assert go() == {"unchanged": 1}, "in parts and by one process it has the same digest"
    models.Price.objects.filter(offer__key="p1").update(value=7)
    assert go() == {"published": 1}
    assert not default_storage.exists(first.file)


KILLED = """
import django; django.setup()
import sys
from pathlib import Path
from obmen.store import models, connections, reading
from obmen.store.hub import DjangoHub
from obmen.work import exchange, parts
from django.db import connection as db
from datetime import UTC, datetime
db.settings_dict["NAME"] = sys.argv[1]
parts.LEAST, parts.PAGES, reading.PAGE, parts.processes = 1, 1, 4, lambda: 2
parts._Crew.take = lambda *_: (print(*[c.pid for c in _[0]._children], flush=True), __import__("time").sleep(600))
hub = DjangoHub(models.Connection.objects.get())
feed = connections.connector_of(hub.connection, hub).feeds()[0]
exchange._written_at(feed, Path(sys.argv[2]), hub, datetime(2026, 11, 2, tzinfo=UTC))
"""


def until(true: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.1)


def is_there(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes in /proc")
def test_the_processes_end_and_take_their_files_with_them_when_the_worker_is_killed(tmp_path: Path) -> None:
    books()
    connections.create("prom", "Prom", settings=PROM)
    folder = tmp_path / "feed"
    folder.mkdir()
    command = [sys.executable, "-c", KILLED, str(db.settings_dict["NAME"]), str(folder)]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert worker.stdout is not None
    children = [int(pid) for pid in worker.stdout.readline().split()]
    assert len(children) == 2
    until(lambda: list(folder.glob("*/*.said")))
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    until(lambda: not any(map(is_there, children)))
    assert not folder.exists()
