"""What a licence lets a connection do, and what it says of itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import publisher
import pytest
from django.utils import timezone

from obmen.licence import licences, packages, signing, statement
from obmen.licence.statement import BadLicence, Terms
from obmen.store import connections, models
from obmen.work import jobs, run

pytestmark = pytest.mark.django_db


def day(left: int) -> date:
    return timezone.localdate() + timedelta(days=left)


def key(left: int = 100, private: Any = publisher.KEY, **terms: Any) -> str:
    return statement.issue(private, Terms(**{"format": "toyshop", "login": "ann", "until": day(left)} | terms))


@pytest.fixture
def row(tmp_path: Path) -> models.FormatPackage:
    packages.trust(publisher.LINE)
    return packages.add(publisher.made(tmp_path, licence=True))[0]


@pytest.fixture
def shop(row: Any) -> models.Connection:
    return connections.create("toyshop", "Toys")[0]


def standing(row: models.FormatPackage, key: str, login: str = "ann") -> tuple[str, str]:
    licences.enter(row, login, key)
    found = licences.standing(row)
    assert found is not None
    return found.tone, found.text.format(**found.facts)


def test_it_says_until_when_and_for_which_connections(row: Any, shop: models.Connection) -> None:
    """F7."""
    assert standing(row, key()) == ("success", f"Valid until {day(100)}, for any number of connections")
    assert standing(row, key(connections=2)) == (
        "success",
        f"Valid until {day(100)}, for this many connections at most: 2. Used by: Toys",
    )
    assert standing(row, key(only=("toys", "Boats"))) == (
        "success",
        f"Valid until {day(100)}, for these connections: toys, Boats",
    )


@pytest.mark.parametrize(("left", "tone"), [(14, "success"), (13, "warning"), (0, "warning"), (-1, "danger")])
def test_it_warns_fourteen_days_before_its_end(left: int, tone: str, row: Any) -> None:
    found, said = standing(row, key(left))
    assert found == tone
    assert str(day(left)) in said


def test_the_exact_reason_is_said(row: Any) -> None:
    assert standing(row, "nonsense") == ("danger", "This is no licence key: copy it whole, from the first letter to the last")
    assert standing(row, key(), "bob") == ("danger", "The key was not issued for the login “bob”")
    other = key(private=signing.read_private(signing.new_private()))
    assert standing(row, other) == ("danger", "The key was not issued by the publisher of this format, or was altered")


def test_the_key_is_kept_as_a_secret_and_an_empty_one_keeps_it(row: Any, shop: models.Connection) -> None:
    from django.db import connection

    licences.enter(row, "ann", key(), "boss")
    licences.enter(row, "ann", "")
    assert licences.ask(shop) is None
    with connection.cursor() as cursor:
        cursor.execute("SELECT licence FROM store_formatpackage")
        assert cursor.fetchone()[0].startswith("v1:")
    notes = models.JournalEntry.objects.filter(action="licence.entered")
    assert [(n.who, n.facts) for n in notes] == [("boss", {"key": "toyshop", "login": "ann"})]


def test_what_needs_no_licence_is_never_asked(tmp_path: Path) -> None:
    packages.trust(publisher.LINE)
    row, _changed = packages.add(publisher.made(tmp_path))
    one, _password = connections.create("toyshop", "Toys")
    door, _password = connections.create("commerceml_door", "1C")
    assert (licences.ask(one), licences.ask(door), licences.standing(row)) == (None, None, None)


def test_the_oldest_connections_use_a_counted_licence(row: Any, shop: models.Connection) -> None:
    second, _password = connections.create("toyshop", "More toys")
    licences.enter(row, "ann", key(connections=1))
    assert licences.ask(shop) is None
    with pytest.raises(BadLicence, match=r"is for fewer connections \(1\), and older ones use it: Toys"):
        licences.ask(second)
    licences.enter(row, "ann", key(only=("More Toys",)))
    assert licences.ask(second) is None
    with pytest.raises(BadLicence, match="is for other connections: More Toys"):
        licences.ask(shop)


def test_a_new_version_keeps_the_licence(row: Any, shop: models.Connection, tmp_path: Path) -> None:
    licences.enter(row, "ann", key())
    packages.add(publisher.made(tmp_path / "2", licence=True, version="2.0"))
    assert licences.ask(shop) is None


# --- a run ---


def ran(shop: models.Connection, **args: Any) -> models.Run:
    asked = jobs.ask(shop, ["stock-out"], trigger="person", args=args, key=json.dumps(args))
    return run.execute_here(asked)


@pytest.mark.django_db(transaction=True)
def test_without_a_licence_nothing_is_exchanged_but_a_preview_works(row: Any, shop: models.Connection) -> None:
    stopped = ran(shop)
    assert (stopped.state, stopped.facts["msgid"]) == ("needs_owner", "Enter the login and the key that came with the format")
    licences.enter(row, "ann", key(-1))
    stopped = ran(shop)
    assert (stopped.state, stopped.facts["msgid"]) == ("needs_owner", licences.ENDED)
    assert ran(shop, preview=True).state == "done"
    assert connections.export_toml(shop)
    licences.enter(row, "ann", key(5))
    done = ran(shop)
    assert (done.state, list(done.lines.values_list("level", "text"))) == ("done", [("warning", licences.ENDS)])
    licences.enter(row, "ann", key())
    done = ran(shop)
    assert (done.state, done.lines.count()) == ("done", 0)


# --- online ---


class Server:
    """A publisher's licence server: gives ``answer``, keeps what it was asked."""

    def __init__(self) -> None:
        self.answer: tuple[int, bytes] = (200, b'{"valid": true}')
        self.asked: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                status, body = outer.answer
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: Any) -> None: ...

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/licence"
        Thread(target=self.http.serve_forever, daemon=True).start()

    def says(self, **answer: Any) -> None:
        self.answer = (200, json.dumps(answer).encode())

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server(settings: Any) -> Iterator[Server]:
    settings.OBMEN_ALLOW_PRIVATE = True
    made = Server()
    yield made
    made.stop()


@pytest.fixture
def online(server: Server, tmp_path: Path) -> models.FormatPackage:
    packages.trust(publisher.LINE)
    return packages.add(publisher.made(tmp_path, licence=True, licence_server=server.url))[0]


@pytest.fixture
def asked_shop(online: Any) -> models.Connection:
    return connections.create("toyshop", "Toys")[0]


def fresh(row: models.FormatPackage) -> models.FormatPackage:
    return models.FormatPackage.objects.get(pk=row.pk)


def test_the_publishers_server_is_asked_too(online: Any, server: Server) -> None:
    licences.enter(online, "ann", key())
    found, said = licences.check(online, "boss")
    assert (found.tone, said.tone) == ("success", "success")
    assert server.asked == [{"format": "toyshop", "version": "1.0", "login": "ann", "key": fresh(online).licence["key"]}]


def test_a_licence_that_the_server_refuses_is_refused_until_it_says_otherwise(
    online: Any, server: Server, asked_shop: models.Connection
) -> None:
    licences.enter(online, "ann", key())
    server.says(valid=False, reason="not paid")
    found, said = licences.check(online)
    assert (found.tone, found.facts, said.facts) == ("danger", {"reason": "not paid"}, {"reason": "not paid"})
    with pytest.raises(BadLicence, match="refuses this licence: not paid"):
        licences.ask(asked_shop)
    server.says(valid=True)
    assert licences.check(fresh(online))[0].tone == "success"
    assert licences.ask(asked_shop) is None


@pytest.mark.parametrize(
    "answer", [(500, b"oops"), (404, b"{}"), (200, b"<html>maintenance</html>"), (200, b'{"valid": "no"}'), None]
)
def test_a_dead_server_never_stops_a_valid_licence(
    answer: tuple[int, bytes] | None, online: Any, server: Server, asked_shop: models.Connection
) -> None:
    licences.enter(online, "ann", key())
    if answer is None:
        server.stop()
    else:
        server.answer = answer
    found, said = licences.check(online)
    assert (found.tone, said.tone) == ("success", "warning")
    assert "did not answer" in said.text
    models.FormatPackage.objects.update(asked=None)
    assert licences.ask(asked_shop) is None
    assert fresh(online).asked is not None


def test_a_run_asks_the_server_once_a_day(online: Any, server: Server, asked_shop: models.Connection) -> None:
    licences.enter(online, "ann", key())
    licences.ask(asked_shop)
    licences.ask(asked_shop)
    assert len(server.asked) == 1
    models.FormatPackage.objects.update(asked=timezone.now() - timedelta(hours=25))
    server.says(valid=False, reason="stolen")
    with pytest.raises(BadLicence, match="stolen"):
        licences.ask(asked_shop)


@pytest.mark.parametrize(
    ("private", "kept"), [(publisher.KEY, "new"), (signing.read_private(signing.new_private()), "old")], ids=["signed", "forged"]
)
def test_a_new_key_from_the_server_counts_only_if_the_publisher_signed_it(
    private: Any, kept: str, online: Any, server: Server, asked_shop: models.Connection
) -> None:
    old, new = key(-3), key(300, private)
    licences.enter(online, "ann", old)
    server.says(valid=True, key=new)
    found, _said = licences.check(online)
    assert fresh(online).licence["key"] == {"old": old, "new": new}[kept]
    assert found.tone == {"old": "danger", "new": "success"}[kept]


def test_an_address_that_may_not_be_called_is_no_answer(online: Any, server: Server, settings: Any) -> None:
    settings.OBMEN_ALLOW_PRIVATE = False
    licences.enter(online, "ann", key())
    found, said = licences.check(online)
    assert (found.tone, said.tone, server.asked) == ("success", "warning", [])


def test_pages_are_told_of_licences_that_end_or_have_ended_and_of_no_others(row: Any, shop: models.Connection) -> None:
    def said() -> list[str]:
        found = [licences.warning(shop), *(standing for _row, standing in licences.warnings())]
        return [s.text.format(**s.facts) for s in found if s is not None]

    licences.enter(row, "ann", key(100))
    assert said() == []
    licences.enter(row, "ann", key(5))
    assert said() == [licences.ENDS.format(format="Toy shop", until=day(5), publisher="Toy makers")] * 2
    licences.enter(row, "ann", key(-1))
    assert said() == [licences.ENDED.format(format="Toy shop", until=day(-1))] * 2
    assert licences.warning(connections.create("commerceml_door", "1C")[0]) is None
    shop.delete()
    assert licences.warnings() == [], "nobody uses it"


def test_a_connection_that_the_licence_does_not_cover_says_so_on_its_own_page(row: Any, shop: models.Connection) -> None:
    licences.enter(row, "ann", key(connections=1))
    second, _password = connections.create("toyshop", "Boats")
    found = licences.warning(second)
    assert licences.warning(shop) is None
    assert found is not None
    assert (found.tone, found.facts["names"]) == ("danger", "Toys")
