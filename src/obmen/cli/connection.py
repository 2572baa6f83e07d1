"""connection list, add, set, apply, export, password, remove."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from obmen.cli.common import find_connection, on_terminal, passphrase_from, say, say_json, start, tell

if TYPE_CHECKING:
    from obmen.store.models import Connection

app = typer.Typer(help="Configured accounts of outside systems.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Name of the connection.")]
Pairs = Annotated[list[str] | None, typer.Option("--set", help="A setting, field=value; field= alone is empty. May be repeated.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PassphraseEnv = Annotated[str | None, typer.Option(help="Name of the environment variable that holds the passphrase.")]


def read_pairs(pairs: list[str] | None) -> dict[str, str]:
    values = {}
    for pair in pairs or ():
        field, sep, value = pair.partition("=")
        if not sep or not field.strip():
            raise typer.BadParameter(f"“{pair}” is not field=value", param_hint="--set")
        values[field.strip()] = value
    return values


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Connections with their connector, profile and address."""
    start()
    from obmen.store.models import Connection

    for row in Connection.objects.order_by("name"):
        shape = _shape(row)
        if as_json:
            say_json(shape)
        else:
            say(
                "  ".join(
                    str(shape[k]) for k in ("name", "connector", "profile", "path", "enabled") if shape[k] not in ("", None)
                )
            )


def _shape(row: Connection) -> dict[str, Any]:
    from obmen.store import connections, feeds

    return {
        "name": row.name,
        "connector": row.connector,
        "profile": row.profile,
        "enabled": row.enabled,
        "path": connections.door_path(row) if row.account_id else None,
        "login": row.account.username if row.account else None,
        "language": row.language,
        "time_zone": row.time_zone,
        "wake_up": connections.hook_path(row) or None,
        "feeds": {feed.name: feeds.path(feed) for feed in row.feeds.order_by("name")},
    }


def _made(row: Connection, password: str | None, as_json: bool) -> None:
    """The answer of add: for a system that calls us its address and account, whose password is shown this once."""
    from obmen.store import connections

    if password is None or row.account is None:
        say_json({"name": row.name}) if as_json else say(f"made {row.name}")
        return
    answer = {"name": row.name, "path": connections.door_path(row), "login": row.account.username, "password": password}
    if as_json:
        say_json(answer)
        return
    for field, value in answer.items():
        say(f"{field:9} {value}")
    tell("The password is not shown again; “obmen connection password” makes a new one.")


@app.command()
def add(
    key: Annotated[str, typer.Argument(help="Connector, see “obmen connector list”.", metavar="KEY")],
    name: Name,
    profile: Annotated[str, typer.Option(help="Named defaults of the connector.")] = "",
    settings: Pairs = None,
    language: Annotated[str, typer.Option(help="Language of answers: uk, ru, en.")] = "ru",
    time_zone: Annotated[str, typer.Option(help="Time zone of the other side.")] = "Europe/Kyiv",
    as_json: AsJson = False,
) -> None:
    """Make a connection."""
    start()
    from obmen.store import connections

    values = read_pairs(settings)
    row, password = connections.create(
        key, name, profile=profile, settings=values, language=language, time_zone=time_zone, who="cli"
    )
    _made(row, password, as_json)


@app.command("set")
def set_(
    name: Name,
    pairs: Annotated[list[str], typer.Argument(help="field=value …", metavar="FIELD=VALUE…")],
    default: Annotated[list[str] | None, typer.Option(help="Field that goes back to the profile's default.")] = None,
) -> None:
    """Change settings; what is not named stays."""
    start()
    from obmen.store import connections

    values: dict[str, Any] = read_pairs(pairs) | dict.fromkeys(default or ())
    for field, (old, new) in connections.update(find_connection(name), values, who="cli").items():
        say(f"{field}: {old!r} → {new!r}")


@app.command()
def export(
    name: Name,
    passphrase_env: PassphraseEnv = None,
    with_secrets: Annotated[bool, typer.Option("--with-secrets", help="Ask for a passphrase and put secrets in by it.")] = False,
) -> None:
    """Print a connection as TOML; without secrets, or with secrets that a passphrase encrypts."""
    start()
    from obmen.store import connections

    typer.echo(connections.export_toml(find_connection(name), passphrase_from(passphrase_env, with_secrets)), nl=False)


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="What “obmen connection export” printed.", metavar="FILE.toml")],
    passphrase_env: PassphraseEnv = None,
    ask: Annotated[bool, typer.Option("--with-secrets", help="Ask for the passphrase of the file's secrets.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a connection what the file says; again: no change."""
    start()
    from obmen.store import connections

    row, made, password = connections.apply_toml(file, passphrase_from(passphrase_env, ask), who="cli")
    if made:
        _made(row, password, as_json)
    elif as_json:
        say_json({"name": row.name})
    else:
        say(f"{row.name} is as the file says")


@app.command()
def password(name: Name) -> None:
    """Give the machine account a new password and print it; the old one ends."""
    start()
    from obmen.store import connections

    say(connections.new_password(find_connection(name), who="cli"))


@app.command()
def remove(name: Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Remove a connection with its account, links and runs. The books stay."""
    start()
    from obmen.store import connections

    row = find_connection(name)
    if not yes:
        if not on_terminal():
            raise typer.BadParameter("give --yes where nobody can be asked")
        typer.confirm(f"Remove {row.name} with its links and history of runs?", abort=True, err=True)
    connections.remove(row, who="cli")
    say(f"removed {name}")
