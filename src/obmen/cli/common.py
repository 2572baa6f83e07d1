"""What the commands share: starting Django, finding a connection, saying things, exit codes."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from obmen.core.contract import ExchangeError, NeedsOwner
from obmen.core.words import gettext_noop as _

if TYPE_CHECKING:
    from obmen.store.models import Connection

OK, BAD_DATA, USAGE, NEEDS_OWNER = 0, 1, 2, 3


class NoDatabase(NeedsOwner):
    """The hub was not set up."""


def start(*, pages: bool = False, database: bool = True) -> None:
    """Set Django up; without ``pages`` the admin site and its theme are not imported. Raises NoDatabase."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "obmen.settings")
    if pages:
        os.environ.pop("OBMEN_LEAN", None)
    else:
        os.environ["OBMEN_LEAN"] = "1"
    # Modules and classes are no garbage: looking for some among them costs a sixth of the start, and again at every full
    # collection of a load.
    gc.disable()
    try:
        import django

        django.setup()
        gc.freeze()
    finally:
        gc.enable()
    if database and not _has_tables():
        raise NoDatabase(_("There is no database yet: run “obmen init”"))


def _has_tables() -> bool:
    from django.conf import settings
    from django.db import connection

    # Asking SQLite would make an empty file.
    if connection.vendor == "sqlite" and not os.path.exists(settings.DATABASES["default"]["NAME"]):
        return False
    return "store_connection" in connection.introspection.table_names()


def on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def say(text: str) -> None:
    """One line of result."""
    typer.echo(text)


def tell(text: str) -> None:
    """One line for the person at the terminal; stays out of the result."""
    typer.echo(text, err=True)


def say_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))


def sentence(text: str, facts: Mapping[str, Any] | None = None, language: str = "en") -> str:
    """A msgid with its facts, which may be sentences themselves ({"text", "facts"}), in a language; a text whose facts do not fit is
    shown as it is."""
    from django.conf import settings

    if settings.configured and language != "en":
        from django.utils import translation

        with translation.override(language):
            text = translation.gettext(text) if text else ""
    inner = {
        name: sentence(value["text"], value.get("facts"), language)
        for name, value in (facts or {}).items()
        if isinstance(value, Mapping) and isinstance(value.get("text"), str)
    }
    try:
        return text.format(**{**facts, **inner}) if facts else text
    except (KeyError, IndexError, ValueError):
        return text


def explain(error: ExchangeError) -> str:
    return sentence(error.text, error.facts, os.environ.get("OBMEN_LANGUAGE", "en"))


def find_connection(name: str) -> Connection:
    """By name or address name. Raises NeedsOwner that lists what there is."""
    from django.db.models import Q

    from obmen.store.models import Connection

    found = Connection.objects.filter(Q(name=name) | Q(slug=name)).first()
    if found is None:
        known = ", ".join(Connection.objects.values_list("name", flat=True)) or "–"
        raise NeedsOwner(_("There is no connection “{name}”; there are: {known}"), name=name, known=known)
    return found


def passphrase_from(env: str | None, ask: bool) -> str | None:
    """From the variable of that name, or asked for on a terminal; never from the command line, where others can read it."""
    if env is not None:
        if not os.environ.get(env):
            raise typer.BadParameter(f"the variable {env} is empty")
        return os.environ[env]
    if ask and on_terminal():
        return str(typer.prompt("Passphrase", hide_input=True, err=True))
    return None
