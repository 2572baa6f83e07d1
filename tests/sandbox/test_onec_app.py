"""The command, as a person and a script use it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from onec_site import Site, order, orders
from typer.testing import CliRunner

from obmen.sandbox.onec import app


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as one:
        yield one


def run(*args: object, code: int = 0) -> tuple[str, str]:
    done = CliRunner().invoke(app, [str(a) for a in args])
    assert done.exit_code == code, done.output
    return done.stdout, done.stderr


def test_generate_prints_the_manifest_that_it_writes(tmp_path: Path) -> None:
    out, _err = run("generate", tmp_path, "--products", 12, "--seed", 3, "--layout", "classic")
    assert json.loads(out) == json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    assert json.loads(out)["books"]["products"] == 12


def test_generate_refuses_an_unknown_layout(tmp_path: Path) -> None:
    _out, err = run("generate", tmp_path / "x", "--layout", "ut12", code=1)
    assert err.startswith("There is no layout ut12; choose one of ut11")
    assert not (tmp_path / "x").exists()


def test_a_whole_exchange_remembers_orders_and_reports_what_is_done_with_them(site: Site, tmp_path: Path) -> None:
    site.orders = [orders(order()), orders()]
    about = ("--url", site.url, "--user", "u", "--password", "p", "--state", tmp_path, "--json")
    first = json.loads(run("exchange", "generated", "--products", 5, "--pictures", 0, *about)[0])
    assert (first["ok"], first["orders"]["created"], first["reported"], first["confirmed"]) == (True, ["1001"], [], 1)
    assert [p["name"] for p in first["portions"]] == ["import0_1.xml", "offers0_1.xml"]
    run("act", "1001", "pay", "ship", "--state", tmp_path)
    run("line", "1001", 1, "--quantity", 5, "--state", tmp_path)
    stored = json.loads(run("orders", "--state", tmp_path)[0])
    assert (stored["state"], stored["lines"][0]["quantity"], stored["changed"]) == ("Закрыт", "5", True)
    second = json.loads(run("pull", *about)[0])
    assert (second["reported"], second["ok"]) == (["1001"], True)
    sent = next(body for name, body in site.files.items() if name.startswith("orders-"))
    assert "Номер отгрузки по 1С" in sent.decode("utf-8-sig")


def test_trace_prints_every_call_and_the_summary_is_one_line(site: Site, tmp_path: Path) -> None:
    run("generate", tmp_path, "--products", 3)
    out, err = run("push", tmp_path, "--url", site.url, "--trace")
    lines = err.splitlines()
    assert len(lines) == len(site.asked) == 8
    assert lines[0] == "  1 GET  /exchange/1c?type=catalog&mode=checkauth → 200 success"
    assert lines[2].startswith("  1 POST /exchange/1c?type=catalog&mode=file&filename=import0_1.xml [")
    assert out.startswith("8 calls in ")
    assert len(out.splitlines()) == 1


def test_a_pipe_sees_nothing_but_the_summary(site: Site) -> None:
    out, err = run("push", "generated", "--url", site.url, "--products", 3, "--profile", "moysklad")
    assert (len(out.splitlines()), err) == (1, "")


def test_a_refusal_ends_with_code_1_and_the_servers_words(site: Site) -> None:
    site.answers = lambda _asked: (401, "failure\nНеверный логин или пароль")
    _out, err = run("pull", "--url", site.url, code=1)
    assert "Неверный логин или пароль" in err
    _out, err = run("check", "--url", site.url, code=1)
    assert err == "The server did not let us in: Неверный логин или пароль. Check the address, the login and the password\n"


def test_check_says_success(site: Site) -> None:
    assert run("check", "--url", site.url)[0] == "success\n"


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("push", "generated", "--url", "https://"), "is not an address"),
        (("push", "generated", "--url", "x", "--profile", "ut8"), "There is no profile ut8; choose one of ut11"),
        (("push", "/nowhere/at/all", "--url", "x"), "There are no exchange files"),
        (("act", "5", "post", "--state", "{folder}"), "There is no order 5"),
        (("line", "5", "1", "--state", "{folder}"), "There is no order 5"),
    ],
)
def test_a_mistake_of_the_person_is_one_clear_line(args: tuple[str, ...], text: str, tmp_path: Path) -> None:
    _out, err = run(*(a.format(folder=tmp_path) for a in args), code=1)
    assert text in err
    assert len(err.splitlines()) == 1


def test_every_generated_catalogue_of_a_run_carries_the_time_of_the_run(site: Site) -> None:
    run("push", "generated", "--url", site.url, "--products", 2, "--pictures", 0)
    dates = {a.body.decode("utf-8-sig").partition('ДатаФормирования="')[2][:4] for a in site.asked if a.body}
    assert len(dates) == 1
    assert dates != {"2026-01"}
