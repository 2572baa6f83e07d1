"""The second process that parses gives the same records, and losing it loses nothing."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from obmen.connectors.commerceml_door import api
from obmen.connectors.commerceml_door.ahead import Ahead
from obmen.connectors.commerceml_door.settings import DoorSettings
from obmen.core.contract import BadRecord, Page
from obmen.core.records import Kind, Product
from obmen.core.rows import NewOffer, NewProduct, new_offer, new_product
from obmen.formats.commerceml import cut, records
from obmen.sandbox.onec.generate import Spec, generate


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    generate(Spec(layout="classic", products=300, pictures=False), tmp_path)
    return sorted(tmp_path.glob("*.xml"))


@pytest.fixture
def child() -> Iterator[Ahead]:
    ahead = Ahead(DoorSettings())
    yield ahead
    ahead.close()


class Nothing:
    def seen(self, kind: Kind) -> bytes:
        return b""


def rows(files: list[Path], child: Ahead, s: DoorSettings) -> list[object]:
    """What the child makes of all records when it is asked for rows."""
    out: list[object] = []
    for file in files:
        plan = cut.plan(file)
        pieces = [piece for run in cut.cut(plan) for piece in run.fresh]
        assert child.submit(file, plan.encoding, plan.shape.kind, [(at, len(xml)) for at, xml, _digest in pieces], new=True)
        out += child.take() or []
    return out


def everything(files: list[Path]) -> list[object]:
    source = api.CommerceMLFiles(files, DoorSettings())
    out: list[object] = []
    for page in source.pages(None, Nothing()):
        out += source.parse(page.kind, page.items)
    return out


def test_the_child_gives_the_records_that_this_process_would_have_made(files: list[Path], child: Ahead) -> None:
    for file in files:
        plan = cut.plan(file)
        pieces = [piece for run in cut.cut(plan) for piece in run.fresh]
        assert child.submit(file, plan.encoding, plan.shape.kind, [(at, len(xml)) for at, xml, _digest in pieces])
        assert child.take() == records.parse(plan.shape.kind, [xml for _at, xml, _digest in pieces])


def test_a_bad_record_comes_back_as_one_with_its_reason(tmp_path: Path, child: Ahead) -> None:
    file = tmp_path / "goods.xml"
    raws = ["<Товар><Наименование>x</Наименование></Товар>".encode(), "<Товар><Ид>1</Ид>".encode()]
    file.write_bytes(b"".join(raws))
    child.submit(file, "utf-8", Kind.PRODUCT, [(0, len(raws[0])), (len(raws[0]), len(raws[1]))])
    first, second = child.take() or []
    here = records.parse(Kind.PRODUCT, raws)
    assert isinstance(first, BadRecord)
    assert isinstance(second, records.NotWhole)
    assert [str(first), str(second)] == [str(r) for r in here]


def test_rows_are_what_the_settings_make_of_the_records(files: list[Path]) -> None:
    s = DoorSettings(name_source="full_name", article_source="barcode", stock_mode="sum")
    child = Ahead(s)
    try:
        made = rows(files, child, s)
    finally:
        child.close()
    source = api.CommerceMLFiles(files, s)
    wanted: list[object] = []
    for page in source.pages(None, Nothing()):
        if page.kind in (Kind.PRODUCT, Kind.OFFER):
            wanted += [row_of(record) for record in source.parse(page.kind, page.items)]
    assert made == wanted
    products = [row for row in made if isinstance(row, NewProduct)]
    offers = [row for row in made if isinstance(row, NewOffer)]
    assert len(products) == 300
    assert all(row.article == row.barcode for row in products)
    assert len(offers) > 300
    assert all([warehouse for warehouse, _said in row.stock or ()] == [""] for row in offers)


def row_of(record: object) -> object:
    return new_product(record) if isinstance(record, Product) else new_offer(record)  # type: ignore[arg-type]


def test_what_is_no_plain_new_card_is_left_to_this_process(tmp_path: Path, child: Ahead) -> None:
    raws = [
        f"<Товар>{body}</Товар>".encode()
        for body in ("<Ид>1</Ид>", "<Ид>2</Ид><Наименование>" + "н" * 1001 + "</Наименование>", "<Код>3</Код>")
    ]
    file = tmp_path / "goods.xml"
    file.write_bytes(b"".join(raws))
    ranges = [(sum(map(len, raws[:i])), len(raw)) for i, raw in enumerate(raws)]
    child.submit(file, "utf-8", Kind.PRODUCT, ranges, new=True)
    good, too_long, without_id = child.take() or []
    assert (good.key, too_long, without_id) == ("1", None, None)


def test_a_source_reads_the_same_with_and_without_the_second_process(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    alone = everything(files)
    monkeypatch.setattr(api, "LARGE", 0)
    monkeypatch.setattr(api, "FULL", 1)
    monkeypatch.setattr(api.ahead, "worth_it", lambda: True)
    assert everything(files) == alone


def test_a_card_of_a_variant_makes_two_cards_and_therefore_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(Spec(layout="ut11", products=300, pictures=False), tmp_path)
    monkeypatch.setattr(api, "LARGE", 0)
    monkeypatch.setattr(api, "FULL", 1)
    monkeypatch.setattr(api.ahead, "worth_it", lambda: True)
    source = api.CommerceMLFiles(sorted(tmp_path.glob("*.xml")), DoorSettings())
    rows: dict[Kind, set[bool]] = {}
    for page in source.pages(None, Nothing()):
        rows.setdefault(page.kind, set()).update(item.row is not None for item in page.items)
        if page.kind is Kind.VARIANT:
            parsed = len(source._parsed)
            assert [record.key for record in source.parse(page.kind, page.items)] == [item.external_id for item in page.items]
            assert parsed == len(page.items), "the second process has read them"
    assert (rows[Kind.VARIANT], rows[Kind.PRODUCT], rows[Kind.OFFER]) == ({False}, {True}, {True})


def test_a_child_that_is_killed_leaves_the_work_to_this_process(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    alone = everything(files)
    monkeypatch.setattr(api, "LARGE", 0)
    monkeypatch.setattr(api, "FULL", 1)
    monkeypatch.setattr(api.ahead, "worth_it", lambda: True)
    source = api.CommerceMLFiles(files, DoorSettings())
    out: list[object] = []
    page: Page
    for number, page in enumerate(source.pages(None, Nothing())):
        if number == 3 and source._ahead is not None:
            source._ahead._child.kill()
        out += source.parse(page.kind, page.items)
    assert out == alone


class Unhurried(Ahead):
    """One whose answers are fetched only when told."""

    fetch: threading.Event

    def _read(self) -> None:
        self.fetch.wait()
        super()._read()


@pytest.mark.skipif(not hasattr(fcntl, "F_GETPIPE_SZ"), reason="the size of a pipe is asked of Linux")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_answer_that_a_signal_cuts_short_arrives_whole(
    files: list[Path], child: Ahead, monkeypatch: pytest.MonkeyPatch, unbuffered: str
) -> None:
    """A worker frozen and woken with its whole group: the child stands in the middle of a write, which then returns early."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    monkeypatch.setattr(Unhurried, "fetch", threading.Event(), raising=False)
    slow = Unhurried(DoorSettings())
    try:
        plan = cut.plan(files[0])
        pieces = [(at, len(xml)) for run in cut.cut(plan) for at, xml, _digest in run.fresh] * 20
        slow.submit(files[0], plan.encoding, plan.shape.kind, pieces)
        pipe = slow._child.stdout
        assert pipe is not None
        full, deadline = fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ), time.monotonic() + 60
        while (
            held := struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]
        ) < full and time.monotonic() < deadline:
            time.sleep(0.01)
        assert held == full, "the child stands in the middle of a write"
        for signum in (signal.SIGSTOP, signal.SIGCONT):
            os.kill(slow._child.pid, signum)
        slow.submit(files[0], plan.encoding, plan.shape.kind, pieces[:1])
        assert slow._child.stdin is not None
        slow._child.stdin.close()  # it answers what it was asked and ends, so that a lost rest is not waited for
        slow.fetch.set()
        child.submit(files[0], plan.encoding, plan.shape.kind, pieces)
        assert slow.take() == child.take()
        assert len(slow.take() or []) == 1
    finally:
        slow.fetch.set()
        slow.close()


def test_the_switch_off_by_the_environment_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBMEN_PARSERS", "0")
    assert api.ahead.worth_it() is False
