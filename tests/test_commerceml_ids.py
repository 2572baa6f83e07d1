"""The table of docs/connectors/commerceml.md is whole and true: every id stands there, every test that it names exists."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "connectors" / "commerceml.md"
LENGTHS = {"CS-A": 20, "CS-B": 8, "CS-C": 3, "GM-": 17, "OL-": 13, "IC-": 20}
IDS = [f"{prefix}{n}" for prefix, count in LENGTHS.items() for n in range(1, count + 1)]
ON_PURPOSE = {"CS-B8"}  # not built; the row says why
ROW = re.compile(r"^\| ((?:CS-[ABC]|GM-|OL-|IC-)\d+) \| (.+) \| (.+) \|$", re.MULTILINE)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
HEADINGS = ("Door", "Client: connection and goods", "Client: orders", "Interop cases")


def rows(text: str) -> list[tuple[str, str, str]]:
    return ROW.findall(text)


@cache
def names_in(file: str) -> frozenset[str]:
    path = ROOT / file
    return frozenset(re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)) if path.exists() else frozenset()


def untrue(text: str) -> list[str]:
    return [
        f"{id}: {file}::{name}"
        for id, _what, where in rows(text)
        for file, name in NAMED.findall(where)
        if name not in names_in(file)
    ]


def unproved(text: str) -> list[str]:
    return [id for id, _what, where in rows(text) if not NAMED.search(where) and id not in ON_PURPOSE]


def missing(text: str) -> list[str]:
    said = {id for id, _what, _where in rows(text)}
    return [id for id in IDS if id not in said]


def test_every_id_stands_in_the_table() -> None:
    assert missing(PAGE.read_text("utf-8")) == []


def test_no_id_stands_there_that_does_not_exist() -> None:
    assert {id for id, _what, _where in rows(PAGE.read_text("utf-8"))} <= set(IDS)


def test_every_row_names_a_test_and_every_test_exists() -> None:
    text = PAGE.read_text("utf-8")
    assert (unproved(text), untrue(text)) == ([], [])


def test_every_line_of_the_tables_is_a_row() -> None:
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("|")]
    heads = {"| id | what | where |", "|---|---|---|"}
    assert [line for line in lines if line not in heads and not ROW.fullmatch(line)] == []


def test_an_id_stands_once_in_a_section() -> None:
    parts = re.split(r"^## (.+)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert tuple(found) == HEADINGS
    for heading, text in found.items():
        ids = [id for id, _what, _where in rows(text)]
        assert len(ids) == len(set(ids)), heading


# --- and these tests can fail ----------------------------------------------------------------------------------------------

GOOD = "`tests/test_commerceml_ids.py::test_every_id_stands_in_the_table`"


@pytest.mark.parametrize(
    ("where", "bad"),
    [
        (GOOD, ([], [])),
        ("by hand", (["OL-1"], [])),
        (GOOD.replace("stands", "lies"), ([], ["OL-1: tests/test_commerceml_ids.py::test_every_id_lies_in_the_table"])),
        (f"{GOOD}, `tests/no_such.py::test_x`", ([], ["OL-1: tests/no_such.py::test_x"])),
    ],
)
def test_a_test_that_is_not_there_is_noticed(where: str, bad: tuple[list[str], list[str]]) -> None:
    text = f"| OL-1 | the list of integrations | {where} |"
    assert (unproved(text), untrue(text)) == bad


def test_an_id_without_a_row_is_noticed() -> None:
    assert "OL-1" in missing("| OL-10 | export | x |")
    assert "OL-1" not in missing(f"| OL-1 | a list | {GOOD} |")
