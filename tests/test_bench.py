"""The bench at a tiny size: every case runs, the books are right, the report has its shape. No time is judged here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hub import postgresql_url

BENCH = Path(__file__).resolve().parent.parent / "bench"

pytestmark = pytest.mark.long

SIZES = ("--products", "200", "--rounds", "1", "--orders", "20", "--megabytes", "2", "--peer-products", "100")


def bench(out: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCH / "run.py"), "--out", str(out), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | env, timeout=840)


def report(out: Path, *arguments: str, **env: str) -> dict[str, Any]:
    file = out / "report.json"
    done = bench(out, "--json", str(file), *arguments, **env)
    assert done.returncode == 0, done.stderr
    return json.loads(file.read_text("utf-8"))


def rows(said: dict[str, Any]) -> dict[str, dict[str, Any]]:
    assert all(set(row) == {"case", "figure", "unit", "goal", "ok", "note"} for row in said["rows"])
    return {row["case"]: row for row in said["rows"]}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


def test_loads_are_measured_on_both_databases_and_leave_the_books_of_the_manifest(out: Path) -> None:
    said = report(out, *SIZES, "--only", "first,same,changed,postgresql,memory", OBMEN_BENCH_POSTGRESQL=postgresql_url())
    found = rows(said)
    assert list(found) == [
        "first load, SQLite",
        "the same files again, SQLite",
        "1 % changed, SQLite",
        "first, PostgreSQL",
        "same, PostgreSQL",
        "changed, PostgreSQL",
        *(f"peak memory: {case}, {kind}" for kind in ("SQLite", "PostgreSQL") for case in ("first", "same", "changed")),
    ]
    assert all(row["figure"] > 0 and row["ok"] in (True, False) for row in found.values())
    assert set(said["measures"]["sqlite"]) == {"first", "same", "parse", "copy", "changed"}
    assert set(said["measures"]["postgresql"]) == {"first", "same", "changed"}
    assert (said["rounds"], said["measures"]["products"]) == (1, 200)


def test_no_hub_and_no_database_is_left_behind(out: Path) -> None:
    import psycopg

    report(out, *SIZES, "--only", "postgresql", OBMEN_BENCH_POSTGRESQL=postgresql_url())
    assert list(out.glob("work-*")) == []
    with psycopg.connect(postgresql_url()) as con:
        mine = con.execute("SELECT datname FROM pg_database WHERE datname LIKE 'obmen_bench_%'").fetchall()
    running = {name for (name,) in mine if Path(f"/proc/{name.split('_')[2]}").exists()}
    assert {name for (name,) in mine} == running


def test_without_postgresql_its_rows_say_so(out: Path) -> None:
    said = report(out, *SIZES, "--only", "postgresql", OBMEN_BENCH_POSTGRESQL="postgresql://nobody@127.0.0.1:1/none")
    for row in rows(said).values():
        assert (row["figure"], row["ok"]) == (None, None)
        assert row["note"].startswith("not measured: no PostgreSQL")


def test_pages_orders_and_files_are_measured_at_a_served_hub(out: Path) -> None:
    said = report(out, *SIZES, "--only", "web,query,upload", OBMEN_BENCH_POSTGRESQL="postgresql://nobody@127.0.0.1:1/none")
    found = rows(said)
    assert list(found) == [
        "web while a load runs: p99, SQLite",
        "web while a load runs: failed requests, SQLite",
        "web while a load runs, PostgreSQL",
        "query with 20 orders",
        "query: growth of the server's peak memory",
        "upload through the door",
    ]
    assert found["web while a load runs: failed requests, SQLite"]["figure"] == 0
    assert said["measures"]["web sqlite"]["pages"] > 0
    assert found["query with 20 orders"]["figure"] > 0
    assert found["upload through the door"]["figure"] > 0


def test_a_peer_that_cannot_be_installed_is_a_row_that_says_so(out: Path) -> None:
    nothing = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(out), "PIP_CONFIG_FILE": os.devnull}
    found = rows(report(out, *SIZES, "--only", "django-cml", **nothing))
    assert [(name, row["figure"], row["ok"]) for name, row in found.items()] == [
        ("django-cml, first", None, None),
        ("django-cml, again", None, None),
    ]
    assert all("django-cml 0.4.0 cannot be installed" in row["note"] for row in found.values())


def test_books_that_are_not_those_of_the_manifest_end_the_run(out: Path) -> None:
    from obmen.sandbox.onec.generate import Spec, generate

    for name, change in (("data", 0.0), ("changed", 0.1)):
        generate(Spec(layout="unf", products=50, change=change), out / name)
    manifest = out / "data" / "manifest.json"
    said = json.loads(manifest.read_text("utf-8"))
    said["books"]["quantity"] += 1
    manifest.write_text(json.dumps(said), "utf-8")
    done = bench(out, "--rounds", "1", "--only", "first", "--data", str(out / "data"), "--changed", str(out / "changed"))
    right = said["books"]["quantity"] - 1
    assert done.returncode == 1
    assert f"WRONG RESULT: first load, sqlite: quantity {right} instead of {right + 1}" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--only", "frist"), "--only: there is no frist"),
        (("--data", "somewhere"), "--data and --changed go together"),
        (("--rounds", "0"), "at least one round"),
    ],
)
def test_a_wrong_call_is_refused(out: Path, arguments: tuple[str, ...], text: str) -> None:
    done = bench(out, *arguments)
    assert (done.returncode, text in done.stderr) == (2, True)


def test_a_crms_limit_is_measured(out: Path) -> None:
    sizes = ("--orders", "20", "--crm-products", "30", "--rounds", "1", "--products", "200")
    found = rows(report(out, *sizes, "--only", "crm", "--crm-on", "sqlite"))
    assert list(found) == [
        "orders loaded from a CRM, SQLite: share of its limit used",
        "orders changed from a CRM, SQLite: share of its limit used",
        "orders from a CRM, SQLite: growth of peak memory",
        "stock to a CRM, SQLite: share of its limit used",
        "stock to a CRM, SQLite: peak memory",
    ]
    assert all(row["figure"] > 0 and row["ok"] in (True, False) for row in found.values())


def test_our_client_and_our_door_end_with_equal_books(out: Path) -> None:
    sizes = ("--orders", "20", "--crm-products", "30", "--rounds", "1", "--products", "200")
    found = rows(report(out, *sizes, "--only", "shops", "--crm-on", "sqlite"))
    assert list(found) == [
        "goods from our client to our door, SQLite",
        "goods to our door again, nothing changed, SQLite",
        "our client, SQLite: peak memory",
        "orders from our door, SQLite",
    ]
    assert all(row["figure"] > 0 and row["ok"] in (True, False) for row in found.values())


def test_whole_feeds_are_measured(out: Path) -> None:
    found = rows(report(out, "--rounds", "1", "--products", "200", "--only", "feeds"))
    assert list(found) == ["YML, Prom: a whole feed", "YML, Prom: peak memory", "ICML: a whole feed", "ICML: peak memory"]
    assert all(row["figure"] > 0 and row["ok"] in (True, False) for row in found.values())
