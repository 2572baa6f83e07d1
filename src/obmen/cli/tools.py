"""connector list, keys, parked."""

from __future__ import annotations

from typing import Annotated

import typer

from obmen.cli.common import find_connection, say, say_json, sentence, start, tell
from obmen.core.contract import NeedsOwner
from obmen.core.words import gettext_noop as _

connectors = typer.Typer(help="Kinds of outside systems.", no_args_is_help=True)
keys = typer.Typer(help="Keys with which secrets are encrypted.", no_args_is_help=True)
parked = typer.Typer(help="Records set aside.", no_args_is_help=True)


@connectors.command("list")
def list_connectors(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Connectors with their profiles, those of format packages included."""
    start(database=False)
    from obmen import registry

    for key, cls in sorted(registry.connectors().items()):
        profiles = sorted(cls.profiles())
        if as_json:
            say_json({"key": key, "title": cls.title, "aliases": cls.aliases, "profiles": profiles, "streams": cls.streams})
        else:
            say(f"{key}  {cls.title}" + (f"  [{', '.join(profiles)}]" if profiles else ""))


@keys.command("list")
def list_keys() -> None:
    """The keys' names (never the keys), the encrypting one first, and how many rows' secrets need each."""
    start()
    from collections import Counter

    from django.conf import settings

    from obmen.store import secrets

    used = Counter(value.split(":")[1] for value in _encrypted())
    for key in settings.OBMEN_KEYS:
        ident = secrets.key_id(key)
        say(f"{ident}  {used.pop(ident, 0)}")
    for ident, count in used.items():
        say(f"{ident}  {count}  missing")


@keys.command()
def rotate(
    drop: Annotated[bool, typer.Option("--drop", help="Forget the old keys once nothing needs them.")] = False,
) -> None:
    """Make a new key and encrypt every secret with it. Restart servers and workers afterwards: they hold the old keys."""
    start()
    import os

    from django.conf import settings
    from django.db import transaction

    from obmen.store import secrets

    if os.environ.get("OBMEN_KEYS"):
        raise NeedsOwner(_("The keys come from OBMEN_KEYS: put a new key in front of them there"))
    old = secrets.keys()
    file = settings.OBMEN_HOME / "keys"
    settings.OBMEN_KEYS = [secrets.new_key(), *old]
    _write(file, settings.OBMEN_KEYS)
    with transaction.atomic():
        count = 0
        for model, column in secrets.columns():
            for row in model._default_manager.select_for_update().exclude(**{column: {}}).order_by("pk"):
                row.save(update_fields=[column])
                count += 1
    if drop:
        _write(file, settings.OBMEN_KEYS[:1])
    say(f"{secrets.key_id(settings.OBMEN_KEYS[0])}  {count}")


def _encrypted() -> list[str]:
    """Every secret as it lies in the database."""
    from django.db.models import TextField
    from django.db.models.functions import Cast

    from obmen.store import secrets

    found: list[str] = []
    for model, column in secrets.columns():
        found += model._default_manager.exclude(**{column: {}}).values_list(Cast(column, TextField()), flat=True)
    return found


def _write(file, lines: list[str]) -> None:  # type: ignore[no-untyped-def]
    import os

    draft = file.with_name(".keys.new")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write("".join(f"{line}\n" for line in lines))
        out.flush()
        os.fsync(out.fileno())
    os.replace(draft, file)


@parked.command("list")
def list_parked(
    connection: Annotated[str, typer.Option(help="Only of this connection.")] = "",
) -> None:
    """What is set aside, and why. “obmen dump parked” prints everything of it."""
    start()
    from obmen.store.models import Parked

    rows = Parked.objects.select_related("connection").order_by("id")
    if connection:
        rows = rows.filter(connection=find_connection(connection))
    for row in rows.defer("payload").iterator():
        where = f" ({row.where})" if row.where else ""
        say(f"{row.pk}  {row.connection.name}: {row.kind} {row.external_id}{where}: {sentence(row.text, row.facts)}")


@parked.command()
def retry(
    ids: Annotated[list[int] | None, typer.Argument(help="Numbers from the list; none = all.")] = None,
    connection: Annotated[str, typer.Option(help="Only of this connection.")] = "",
) -> int:
    """Try parked records again, and wait for the end."""
    start()
    from obmen.cli.hub import exit_code, report, wait
    from obmen.core.records import digest
    from obmen.store.models import Connection, Parked
    from obmen.work import jobs

    rows = Parked.objects.all()
    if connection:
        rows = rows.filter(connection=find_connection(connection))
    if ids:
        rows = rows.filter(pk__in=ids)
    if not rows.exists():
        tell("nothing of that is parked")
    worst = 0
    for owner in Connection.objects.filter(pk__in=rows.values("connection")).order_by("name"):
        wanted = list(rows.filter(connection=owner).order_by("id").values_list("pk", flat=True))
        key = "retry-parked:" + digest(wanted).hex()
        asked = jobs.ask(owner, ["retry-parked"], trigger="retry", who="cli", args={"parked": wanted}, key=key)
        ended = wait(asked.pk)
        report(ended)
        worst = max(worst, exit_code(ended))
    return worst
