"""init, serve, work, run, pause, resume, check, demo."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obmen.cli.common import BAD_DATA, NEEDS_OWNER, OK, find_connection, on_terminal, say, say_json, sentence, start, tell
from obmen.core.contract import NeedsOwner
from obmen.core.words import gettext_noop as _

if TYPE_CHECKING:
    from obmen.store.models import Connection, Run

OFF = _(
    "“{streams}” of “{connection}” is switched off: switch it on (page of the connection, “Schedule”), or add --anyway to run it all "
    "the same this once"
)

ConnectionName = Annotated[str, typer.Argument(help="Name of the connection.", metavar="CONNECTION")]


def register(app: typer.Typer) -> None:
    for command in (init, serve, work, run, pause, resume, check, demo):
        app.command()(command)


def init(
    admin_password: Annotated[str, typer.Option(help="Password of the user “admin”.", envvar="OBMEN_ADMIN_PASSWORD")] = "",
) -> None:
    """Make the data folder, keys, database and the user “admin”. Again: changes nothing."""
    from obmen.cli import database

    for name in database.make_home():
        tell(f"made {name}")
    start(pages=True, database=False)
    if database.upgrade():
        tell("the database is up to date now")

    from django.contrib.auth.models import User
    from django.db import IntegrityError

    if User.objects.filter(username="admin").exists():
        return
    generated = ""
    if not admin_password and on_terminal():
        admin_password = typer.prompt("Password of “admin”", hide_input=True, confirmation_prompt=True, err=True)
    if not admin_password:
        from obmen.store.connections import new_secret

        admin_password = generated = new_secret()
    try:
        User.objects.create_superuser("admin", "", admin_password)
    except IntegrityError:  # another “init” was quicker
        return
    say(f"admin {generated}" if generated else "made the user admin")
    tell("next: “obmen serve”, then open the address that it prints and sign in as admin")


def serve(
    port: Annotated[int, typer.Option(help="Port to answer on.", min=1, max=65535)] = 8000,
    host: Annotated[str, typer.Option(help="Address to answer on; 0.0.0.0 for every network.")] = "127.0.0.1",
    workers: Annotated[int, typer.Option(help="Runs executed side by side.", min=1, max=64)] = 2,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Only the web; runs wait for “obmen work”.")] = False,
) -> None:
    """Web, workers and clock in one command. Ready when the port accepts; ends on SIGTERM or Ctrl-C."""
    start(pages=True, database=False)
    from obmen.cli import database

    database.need_home()
    database.upgrade()
    from obmen.work import serve as server

    server.web(host, port, workers=0 if no_worker else workers, ready=lambda url: tell(f"Obmen answers at {url}"))


def work(
    workers: Annotated[int, typer.Option(help="Runs executed side by side.", min=1, max=64)] = 2,
    carrier: Annotated[bool, typer.Option("--carrier", help="Insist on a broker (used by itself where one is set).")] = False,
) -> None:
    """Workers and clock without the web. Start as many as you like, on any machine that sees the database."""
    start()
    from django.conf import settings

    from obmen.work import serve as server

    if carrier and not settings.OBMEN_BROKER_URL:
        raise typer.BadParameter("--carrier needs OBMEN_BROKER_URL (amqp://… or redis://…)")
    server.work(workers)


def run(
    connection: ConnectionName,
    streams: Annotated[list[str] | None, typer.Argument(help="Streams; none = all that are switched on.")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Change nothing, here or there; say what would happen.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Just this record (their id), changed or not; repeatable.")
    ] = None,
    since: Annotated[str, typer.Option("--since", help="First set the bookmark: their id, or a date “2026-11-22 10:00”.")] = "",
    anyway: Annotated[bool, typer.Option("--anyway", help="Also streams that are switched off.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the finished run as one JSON object.")] = False,
) -> int:
    """Run streams of a connection now, here or by a worker that is quicker, and wait for the end."""
    start()
    from obmen.core.records import digest
    from obmen.store.models import StreamSetting
    from obmen.work import jobs

    owner = find_connection(connection)
    known = list(StreamSetting.objects.filter(connection=owner).order_by("stream").values_list("stream", "enabled"))
    wrong = sorted(set(streams or ()) - {name for name, _on in known})
    if wrong:
        raise typer.BadParameter(f"no such stream: {', '.join(wrong)}; there are: {', '.join(name for name, _on in known)}")
    off = [name for name, on in known if not on and name in (streams or ())]
    if off and not anyway:
        raise NeedsOwner(OFF, streams=", ".join(off), connection=owner.name)
    wanted = list(streams or [name for name, on in known if on])
    if since:
        _rewind(owner, wanted, since)
    args = ({"preview": True} if preview else {}) | ({"only": only} if only else {})
    key = ",".join(sorted(wanted)) + (f":{digest(args).hex()[:16]}" if args else "")
    asked = jobs.ask(owner, wanted, trigger="cli", who="cli", args=args, key=key)
    ended = wait(asked.pk)
    report(ended, as_json)
    return exit_code(ended)


def pause(
    connection: ConnectionName,
    until: Annotated[
        str, typer.Option("--until", help="When it ends by itself: “2026-11-22 10:00”, in the connection's zone.")
    ] = "",
    hours: Annotated[float, typer.Option("--hours", help="Without --until: for so long.", min=0.01, max=24 * 365)] = 1,
    reason: Annotated[str, typer.Option("--reason", help="Shown on its page and told to who calls meanwhile.")] = "",
) -> None:
    """Begin nothing by itself for a while and put callers off; nothing is lost, and it ends by itself."""
    start()
    from datetime import datetime, timedelta
    from zoneinfo import ZoneInfo

    from django.utils import timezone

    from obmen.store import connections

    owner = find_connection(connection)
    zone = ZoneInfo(owner.time_zone)
    try:
        end = datetime.fromisoformat(until) if until else timezone.now() + timedelta(hours=hours)
    except ValueError:
        raise typer.BadParameter(f"“{until}” is no date and time such as “2026-11-22 10:00”", param_hint="--until") from None
    connections.pause(owner, end if end.tzinfo else end.replace(tzinfo=zone), reason, "cli")
    assert owner.paused_until is not None
    say(f"{owner.name} is paused until {owner.paused_until.astimezone(zone):%Y-%m-%d %H:%M}")


def resume(connection: ConnectionName) -> None:
    """End a pause before its time; what waited begins at once."""
    start()
    from obmen.web import asking

    owner = find_connection(connection)
    say(f"{owner.name} goes on" if asking.resume(owner, "cli") else f"{owner.name} was not paused")


def _rewind(owner: Connection, streams: Sequence[str], since: str) -> None:
    """Set the bookmark of each stream that has one."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from obmen.store import bookmarks, connections

    moment = None
    with contextlib.suppress(ValueError):
        moment = datetime.fromisoformat(since)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(owner.time_zone))
    words = "" if moment and not since.isdigit() else since
    connector = connections.connector_of(owner, connections.hub_of(owner))
    set_, refused = 0, None
    for stream in streams:
        try:
            bookmarks.set_by_hand(owner, connector, stream, words, None if words else moment, "cli")
            set_ += 1
        except NeedsOwner as error:
            refused = error
    connector.close()
    if not set_ and refused:
        raise refused


def wait(run_id: int) -> Run:
    """Execute the run here, unless a worker has it, and show how far it is. One that would be tried again later is given up."""
    from obmen.store.models import Run
    from obmen.work import jobs
    from obmen.work import run as runs

    def here() -> None:
        from django.db import connection

        try:
            runs.execute_here(Run.objects.get(pk=run_id))
        finally:
            connection.close()

    thread = threading.Thread(target=here, daemon=True)
    thread.start()
    try:
        with progress() as show:
            while True:
                now = Run.objects.select_related("connection").get(pk=run_id)
                show(now.percent)
                if now.state not in (Run.State.WAITING, Run.State.RUNNING):
                    return now
                time.sleep(0.2)
    except KeyboardInterrupt:
        jobs.ask_stop(run_id)
        raise
    finally:
        thread.join(10)


class progress:
    """A bar on a terminal, nothing in a pipe."""

    def __enter__(self):  # type: ignore[no-untyped-def]
        if not on_terminal():
            self.bar = None
            return lambda percent: None
        from rich.console import Console
        from rich.progress import Progress

        self.bar = Progress(console=Console(stderr=True), transient=True)
        self.bar.start()
        task = self.bar.add_task("", total=100)
        return lambda percent: self.bar.update(task, completed=percent)

    def __exit__(self, *_error: object) -> None:
        if self.bar:
            self.bar.stop()


def report(ended: Run, as_json: bool = False) -> None:
    """What came of a run: one line, or the object that ``dump runs`` prints, then its warnings and errors on stderr."""
    from obmen.cli import shapes

    if as_json:
        say_json(shapes.run(ended))
    else:
        counts = ", ".join(f"{name} {count}" for name, count in ended.counts.items() if count)
        say(f"{ended.state}: {counts or 'nothing to do'}")
        if ended.text:
            tell(sentence(ended.text, ended.facts))
    for line in ended.lines.exclude(level="info").order_by("id"):
        tell(f"{line.level}: {sentence(line.text, line.facts)}")


def exit_code(ended: Run) -> int:
    return {"done": OK, "needs_owner": NEEDS_OWNER}.get(ended.state, BAD_DATA)


def check(connection: ConnectionName) -> None:
    """Ask the outside system who we are to it."""
    start()
    from obmen.store import connections

    say(connections.check(find_connection(connection)))


def demo(
    home: Annotated[Path | None, typer.Option(help="Folder for the demo, emptied first; .demo here when not named.")] = None,
    port: Annotated[int, typer.Option(help="Port of the page; the next free one when it is taken.", min=1, max=65535)] = 8600,
    language: Annotated[str, typer.Option(help="uk, ru or en; the terminal's when not named.")] = "",
    leave: Annotated[bool, typer.Option("--exit", help="End after the exchange instead of leaving the page open.")] = False,
) -> int:
    """A hub with a 1C, a CRM and a shop beside it that do a full exchange; checks the books and leaves its page open."""
    from obmen.demo import main

    return main(home=home, port=port, language=language, leave=leave)
