"""All commands under one name, and what every error becomes: one sentence and an exit code, no traceback."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import typer

from obmen.cli import books, connection, formats, hub, notices, tools, users
from obmen.cli.common import BAD_DATA, NEEDS_OWNER, OK, explain, tell
from obmen.core.contract import ExchangeError, NeedsOwner

app = typer.Typer(
    help="Obmen: the accounting system and every sales channel telling the same story.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (hub, books):
    module.register(app)
app.add_typer(connection.app, name="connection")
app.add_typer(tools.connectors, name="connector")
app.add_typer(formats.app, name="format")
app.add_typer(tools.keys, name="keys")
app.add_typer(tools.parked, name="parked")
app.add_typer(notices.app, name="notices")
app.add_typer(users.app, name="user")
sandbox = typer.Typer(help="Stand-ins for outside systems.", no_args_is_help=True)
app.add_typer(sandbox, name="sandbox")


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 a problem with data, 2 wrong call, 3 a person has to set something right."""
    if sys.argv[1:2] == ["sandbox"]:
        from obmen.sandbox import onec
        from obmen.sandbox.prom import commands as prom
        from obmen.sandbox.retailcrm import commands as crm
        from obmen.sandbox.rozetka import commands as rozetka
        from obmen.sandbox.shop import commands as shop

        sandbox.add_typer(onec.app, name="onec")
        sandbox.command("prom")(prom.run)
        sandbox.command("retailcrm")(crm.run)
        sandbox.command("rozetka")(rozetka.run)
        sandbox.command("shop")(shop.run)
    sys.exit(run(sys.argv[1:]))


def run(args: list[str]) -> int:
    from django.core.exceptions import ImproperlyConfigured
    from django.db import DatabaseError

    try:
        result: Any = app(args=args, prog_name="obmen", standalone_mode=False)
        return result if isinstance(result, int) else OK
    except typer.Exit as end:
        return end.exit_code
    except (typer.Abort, KeyboardInterrupt):
        tell("Stopped.")
        return 130
    except ExchangeError as error:
        tell(explain(error))
        return NEEDS_OWNER if isinstance(error, NeedsOwner) else BAD_DATA
    except DatabaseError as error:
        tell(f"The database: {str(error).strip()}")
        return NEEDS_OWNER
    except ImproperlyConfigured as error:
        tell(f"The configuration: {error}")
        return NEEDS_OWNER
    except Exception as error:
        usage = getattr(error, "show", None)  # click's own errors, by whichever name typer carries it
        if usage is not None:
            usage()
            return int(getattr(error, "exit_code", 2))
        logging.getLogger(__name__).debug("unexpected", exc_info=True)
        if os.environ.get("OBMEN_DEBUG") == "1":
            raise
        tell(f"{type(error).__name__}: {error}  (OBMEN_DEBUG=1 shows where)")
        return BAD_DATA
