"""The table of docs/connectors/marketplaces.md is whole and true: every id stands there, every test that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "connectors" / "marketplaces.md").read_text("utf-8")
ROW = re.compile(r"^\| (F\d+) \| (.+) \| (.+) \|$", re.MULTILINE)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def test_every_id_stands_in_the_table_once() -> None:
    assert [id for id, _what, _where in ROW.findall(PAGE)] == [f"F{n}" for n in range(1, 33)]


def test_every_row_names_a_test_and_every_test_exists() -> None:
    named = {id: NAMED.findall(where) for id, _what, where in ROW.findall(PAGE)}
    assert [id for id, tests in named.items() if not tests] == []
    text = {file: (ROOT / file).read_text("utf-8") for tests in named.values() for file, _name in tests}
    assert [
        f"{id}: {file}::{name}" for id, tests in named.items() for file, name in tests if f"def {name}(" not in text[file]
    ] == []
