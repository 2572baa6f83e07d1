"""Every connector by key: the folders in obmen.connectors, then installed packages that offer the entry point.

A broken one is logged and left out; it never stops the hub.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules

import obmen.connectors
from obmen.core.contract import Connector, NeedsOwner
from obmen.core.words import gettext_noop as _

log = logging.getLogger(__name__)
GROUP = "obmen.connectors"


@cache
def connectors() -> dict[str, type[Connector]]:
    found: dict[str, type[Connector]] = {}
    for origin, cls in _candidates():
        if cls.key in found:
            log.error("connector %r from %s is left out: the key is taken", cls.key, origin)
            continue
        found[cls.key] = cls
    return found


def connector(key: str) -> type[Connector]:
    """By key or alias, in any spelling (``my-shop``). Raises NeedsOwner that lists what there is."""
    wanted = key.strip().lower().replace("-", "_")
    for cls in connectors().values():
        if wanted == cls.key or wanted in cls.aliases:
            return cls
    raise NeedsOwner(_("There is no connector “{key}”; there are: {known}"), key=key, known=", ".join(sorted(connectors())))


def _candidates() -> Iterator[tuple[str, type[Connector]]]:
    for module in iter_modules(obmen.connectors.__path__, "obmen.connectors."):
        yield from _classes(module.name)
    for point in entry_points(group=GROUP):
        yield from _classes(point.value.partition(":")[0])


def _classes(module_name: str) -> Iterator[tuple[str, type[Connector]]]:
    try:
        module = import_module(module_name)
    except Exception:
        log.exception("connector %s does not load", module_name)
        return
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Connector) and value.__module__ == module_name:
            yield module_name, value
