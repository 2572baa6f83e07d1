"""The second process that parses gives the same records, and losing it loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from obmen.connectors.commerceml_door import api
from obmen.connectors.commerceml_door.settings import DoorSettings
from obmen.core.contract import BadRecord, Page
from obmen.core.records import Kind
from obmen.formats.commerceml import cut, records
from obmen.formats.commerceml.ahead import Ahead
from obmen.sandbox.onec.generate import Spec, generate


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    generate(Spec(layout="classic", products=300, pictures=False), tmp_path)
    return sorted(tmp_path.glob("*.xml"))


@pytest.fixture
def child() -> Iterator[Ahead]:
    ahead = Ahead()
    yield ahead
    ahead.close()


class Nothing:
    def seen(self, kind: Kind) -> bytes:
        return b""


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


def test_a_source_reads_the_same_with_and_without_the_second_process(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    alone = everything(files)
    monkeypatch.setattr(api, "LARGE", 0)
    monkeypatch.setattr(api, "FULL", 1)
    monkeypatch.setattr(api.ahead, "worth_it", lambda: True)
    assert everything(files) == alone


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


def test_the_switch_off_by_the_environment_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBMEN_PARSERS", "0")
    assert api.ahead.worth_it() is False
