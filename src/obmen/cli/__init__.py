"""The command line: ``obmen …``. Stable: other tools build on its calls, shapes and exit codes (docs/cli.md).

Every module here imports only what the terminal needs; Django and the rest are imported inside the commands, so that a command
starts in a fraction of a second and ``dump`` never loads the pages.
"""

from obmen.cli.main import main

__all__ = ["main"]
