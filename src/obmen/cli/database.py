"""The data folder and the database: made once, brought up to date at each start."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from obmen.core.contract import NeedsOwner
from obmen.core.words import gettext_noop as _


def make_home() -> list[str]:
    """OBMEN_HOME (0700) with its keys (0600), before Django reads them. Returns the names of what was made."""
    from cryptography.fernet import Fernet

    from obmen.settings import parse_home

    home = parse_home(os.environ.get("OBMEN_HOME"))
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    made = []
    for name, content in (("secret_key", secrets.token_urlsafe(50)), ("keys", Fernet.generate_key().decode())):
        if not (name == "keys" and os.environ.get("OBMEN_KEYS")) and write_once(home / name, content + "\n"):
            made.append(name)
    return made


def write_once(file: Path, text: str) -> bool:
    """A file for our eyes only; False when it was there. Never seen half-written: two hubs may start at once."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
    try:
        os.link(draft, file)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def need_home() -> None:
    """Raises NeedsOwner when the hub was never set up: a web with a well-known secret key must not answer."""
    from django.conf import settings

    if not (settings.OBMEN_HOME / "secret_key").exists():
        raise NeedsOwner(_("The hub is not set up in {home}: run “obmen init”"), home=str(settings.OBMEN_HOME))


def upgrade() -> bool:
    """Bring the database up to date; False when it was. Of several processes that start at once one does it."""
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    from obmen.store import connections

    def pending() -> bool:
        executor = MigrationExecutor(connection)
        return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))

    if not pending():
        return False
    with _alone(connection):
        if not pending():
            return False
        call_command("migrate", verbosity=0, interactive=False)
        connections.make_roles()
    return True


@contextmanager
def _alone(connection: Any) -> Iterator[None]:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(hashtext('obmen upgrade'))")
            try:
                yield
            finally:
                cursor.execute("SELECT pg_advisory_unlock(hashtext('obmen upgrade'))")
        return
    from django.conf import settings

    settings.OBMEN_HOME.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(settings.OBMEN_HOME / "upgrade.lock", "w") as lock:
        _lock(lock)  # let go by the end of the file, or of the process
        yield


def _lock(file: IO[str]) -> None:
    try:
        import fcntl
    except ImportError:  # Windows: one hub on one machine, started by one person
        return
    fcntl.flock(file, fcntl.LOCK_EX)
