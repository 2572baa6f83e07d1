"""user: people who cannot get in any more."""

from __future__ import annotations

from typing import Annotated

import typer

from obmen.cli.common import start, tell
from obmen.core.contract import NeedsOwner
from obmen.core.words import gettext_noop as _

app = typer.Typer(help="People who sign in to the pages.", no_args_is_help=True)


@app.callback()
def user() -> None:
    """People who sign in to the pages."""  # a callback keeps the command's own name while it is the only one


@app.command("reset-second-factor")
def reset_second_factor(name: Annotated[str, typer.Argument(help="Login of the person.", metavar="LOGIN")]) -> None:
    """Take somebody's second factor off: they sign in with the password alone, or set up a new one where their role asks for it."""
    start()
    from django.contrib.auth.models import User

    from obmen.store import people

    person = User.objects.filter(username=name).first()
    if person is None:
        raise NeedsOwner(_("There is no user “{name}”"), name=name)
    if people.take_off(person, "cli"):
        tell(f"{name} has no second factor any more")
    else:
        tell(f"{name} has no second factor")
