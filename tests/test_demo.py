"""``obmen demo``: the first thing that a newcomer sees has to work, to check itself, and to leave nothing behind."""

from __future__ import annotations

import http.cookiejar
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from hub import free_port
from obmen import demo
from obmen.cli.shapes import read_order
from obmen.core.contract import ExchangeError, NeedsOwner

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def start(folder: Path, *args: str) -> subprocess.Popen[str]:
    """The command in a folder of its own, in a pipe, with a foreign hub in the environment that must stay untouched."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("OBMEN_")}
    env |= {"LANG": "C.UTF-8", "OBMEN_HOME": str(folder / "mine"), "OBMEN_DATABASE_URL": "postgresql://nobody@192.0.2.1/none"}
    env.pop("LC_ALL", None)
    command = [sys.executable, "-m", "obmen.cli", "demo", *args]
    return subprocess.Popen(command, cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def accepts(port: int) -> bool:
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def sign_in(url: str, login: str, password: str) -> str:
    """The page behind the sign-in form."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    with browser.open(url, timeout=60) as form:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form.read().decode())
        where = form.url
    assert token is not None
    fields = {"csrfmiddlewaretoken": token[1], "username": login, "password": password, "next": "/"}
    with browser.open(where, urllib.parse.urlencode(fields).encode(), timeout=60) as page:
        return str(page.read().decode())


@pytest.mark.long
def test_the_demo_exchanges_shows_its_page_and_leaves_when_told(tmp_path: Path) -> None:
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        process = start(tmp_path, "--port", str(port))
        assert process.stdout is not None
        said: list[str] = []
        try:
            for line in process.stdout:
                said.append(line.rstrip())
                if "Ctrl+C" in line:
                    break
            else:
                assert process.stderr is not None
                pytest.fail(process.stderr.read())
            text = "\n".join(said)
            found = dict(re.findall(r"^ +(page|login|password) +(\S+)$", text, re.MULTILINE))
            assert [line.partition(".")[0] for line in said if line[:1].isdigit()] == [str(n) for n in range(1, 11)]
            assert "ROZETKA-2026-0004518 went as Z5" in text
            assert int(found["page"].rstrip("/").rpartition(":")[2]) > port
            assert "1C UT 11" in sign_in(found["page"], found["login"], found["password"])

            second = start(tmp_path, "--exit")
            assert (second.communicate(timeout=300)[1].startswith("A demo is running in"), second.returncode) == (True, 3)
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(300)
    assert code == 0
    assert not accepts(int(found["page"].rstrip("/").rpartition(":")[2]))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".demo"]
    assert "Traceback" not in (tmp_path / ".demo" / "server.log").read_text()


@pytest.mark.long
def test_a_demo_that_has_to_end_ends_by_itself_and_a_further_one_begins_anew(tmp_path: Path) -> None:
    home = tmp_path / "elsewhere"
    with demo.fresh(home) as folder:
        (folder / "home").mkdir()
        (folder / "left-over").write_text("of the last demo")
    process = start(tmp_path, "--exit", "--home", str(home), "--port", str(free_port()))
    out, err = process.communicate(timeout=840)
    assert (process.returncode, err) == (0, "")
    assert "password" not in out
    assert out.rstrip().endswith("leaves its page open.")
    assert not (home / "left-over").exists()


def test_a_folder_with_other_things_in_it_is_never_emptied(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("mine")
    with pytest.raises(NeedsOwner, match="holds something else than a demo"), demo.fresh(tmp_path):
        raise AssertionError("it was taken")
    assert (tmp_path / "letters.txt").read_text() == "mine"


def test_a_link_inside_a_demo_is_removed_without_what_it_leads_to(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter").write_text("mine")
    with demo.fresh(tmp_path / "demo") as folder:
        (folder / "link").symlink_to(mine)
    with demo.fresh(tmp_path / "demo") as folder:
        assert [path.name for path in folder.iterdir()] == [demo.MARK]
    assert (mine / "letter").read_text() == "mine"


def test_a_result_that_is_not_what_it_has_to_be_ends_with_1_and_says_both(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(demo.Demo, "play", lambda self, port: self.same("orders in 1C", 4, 5))
    assert demo.main(home=tmp_path / "d", leave=True, language="en") == 1
    log = tmp_path / "d" / "server.log"
    said = f"Not as it has to be: orders in 1C. Found 4, expected 5. The server's log is {log}\n"
    assert capsys.readouterr().err == said


def test_a_command_that_fails_ends_with_1_and_what_it_said(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(demo.Demo, "play", lambda self, port: self.obmen("dump", "products"))
    assert demo.main(home=tmp_path / "d", leave=True, language="en") == 1
    assert capsys.readouterr().err == "“obmen dump products” did not work: There is no database yet: run “obmen init”\n"


def test_a_server_that_does_not_start_is_said_with_its_reason(tmp_path: Path) -> None:
    with demo.Demo(tmp_path, demo.Voice("en")) as it, pytest.raises(ExchangeError, match="The hub is not set up in"):
        it.serve(free_port())


def test_a_port_that_listens_or_calls_is_not_free() -> None:
    with socket.socket() as listening, socket.socket() as calling:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        calling.connect(listening.getsockname())
        ports = [listening.getsockname()[1], calling.getsockname()[1]]
        assert [demo._is_free(port) for port in ports] == [False, False]
    assert demo._is_free(free_port())


@pytest.mark.parametrize(
    ("wanted", "env", "found"),
    [
        ("", {}, "en"),
        ("", {"LANG": "uk_UA.UTF-8"}, "uk"),
        ("", {"LANG": "uk_UA.UTF-8", "LC_MESSAGES": "ru_RU.UTF-8"}, "ru"),
        ("", {"LANG": "uk_UA.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ("", {"LANG": "fr_FR.UTF-8"}, "en"),
        ("ru", {"LANG": "uk_UA.UTF-8"}, "ru"),
    ],
)
def test_it_speaks_the_language_of_the_terminal_unless_told(wanted: str, env: dict[str, str], found: str) -> None:
    assert demo.language_of(wanted, env) == found


def test_a_language_that_it_does_not_speak_is_refused(tmp_path, capsys) -> None:
    assert demo.main(home=tmp_path / "d", language="fr") == 3
    assert capsys.readouterr().err == "There is no language “fr”; there are: uk, ru, en\n"
    assert not (tmp_path / "d").exists()


def test_its_orders_add_up_are_in_hryvnia_and_name_nobody_real() -> None:
    orders = [read_order(order, ZoneInfo("Europe/Kyiv")) for order in demo.sample_orders(NOW)]
    assert [order.number for order in orders] == ["1001", "1002", "1003", "1004", demo.LONG, demo.NAMELESS]
    assert {order.currency for order in orders} == {"UAH"}
    for order in orders:
        delivery = (order.delivery and order.delivery.price) or Decimal(0)
        assert order.total == sum((line.total for line in order.lines), delivery), order.number
        assert order.counterparty is not None
        assert re.fullmatch(r"([\w-]+@example\.com)?", order.counterparty.email)
        assert re.fullmatch(r"(\+38000000000\d)?", order.counterparty.phone)
    paid = next(order for order in orders if order.paid)
    assert [payment.amount for payment in paid.payments] == [paid.total]
