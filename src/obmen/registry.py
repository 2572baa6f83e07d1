"""Every connector by key: the folders in obmen.connectors, installed packages that offer the entry point, format packages.

A broken one is logged and left out; it never stops the hub.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import Any

import obmen.connectors
from obmen.core.contract import Connector, NeedsOwner
from obmen.core.words import gettext_noop as _

log = logging.getLogger(__name__)
GROUP = "obmen.connectors"


@dataclass(frozen=True, slots=True)
class Packages:
    """What format packages bring. ``profiles``: {key of a connector: {name: what it says}}."""

    connectors: Mapping[str, type[Connector]] = field(default_factory=dict)
    profiles: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)


_lock = threading.RLock()
_look: Callable[[], Packages] = Packages
_packages = Packages()
_known: dict[str, type[Connector]] | None = None


def use(look: Callable[[], Packages]) -> None:
    """Where format packages come from: asked each time, it gives the same object as long as nothing has changed."""
    global _look
    _look = look


def forget() -> None:
    """Look at everything anew: nothing that was put in by hand stays."""
    global _known, _packages
    with _lock:
        _known, _packages = None, Packages()


def connectors() -> dict[str, type[Connector]]:
    global _known, _packages
    packages = _look()
    with _lock:
        if _known is None:
            _known = dict(_built_in())
        if packages is not _packages:
            _known = _merged(_known, _packages, packages)
            _packages = packages
        return _known


def connector(key: str) -> type[Connector]:
    """By key or alias, in any spelling (``my-shop``). Raises NeedsOwner that lists what there is."""
    wanted = key.strip().lower().replace("-", "_")
    own = _own(wanted)
    if own is not None and wanted not in _look().profiles:
        return own
    for cls in connectors().values():
        if wanted == cls.key or wanted in cls.aliases:
            return cls
    raise NeedsOwner(_("There is no connector “{key}”; there are: {known}"), key=key, known=", ".join(sorted(connectors())))


@cache
def _built_in() -> dict[str, type[Connector]]:
    found: dict[str, type[Connector]] = {}
    for origin, cls in _candidates():
        if cls.key in found:
            log.error("connector %r from %s is left out: the key is taken", cls.key, origin)
            continue
        found[cls.key] = cls
    return found


def names() -> set[str]:
    """Keys and aliases of the connectors that are no format packages: those may not take them."""
    return {name for cls in _built_in().values() for name in (cls.key, *cls.aliases)}


def _merged(known: Mapping[str, type[Connector]], old: Packages, new: Packages) -> dict[str, type[Connector]]:
    """Another dict, since somebody may be reading this one."""
    merged = {key: cls for key, cls in known.items() if cls is not old.connectors.get(key)}
    for key in old.profiles.keys() | new.profiles.keys():
        base = _built_in().get(key)
        if base is not None and key in merged:
            merged[key] = _extended(base, new.profiles[key]) if key in new.profiles else base
    for key, cls in new.connectors.items():
        merged.setdefault(key, cls)
    return merged


def _extended(cls: type[Connector], profiles: Mapping[str, Mapping[str, Any]]) -> type[Connector]:
    """The same connector with further profiles."""

    def every(_cls: type[Connector]) -> Mapping[str, Mapping[str, Any]]:
        return {**profiles, **cls.profiles()}

    return type(cls.__name__, (cls,), {"profiles": classmethod(every), "__module__": cls.__module__, "__doc__": cls.__doc__})


@cache
def _own(key: str) -> type[Connector] | None:
    """One of ours by the name of its folder, without loading the others: what they need takes a load a fifth of a second."""
    if any(module.name == key for module in iter_modules(obmen.connectors.__path__)):
        for _origin, cls in _classes(f"obmen.connectors.{key}"):
            if cls.key == key:
                return cls
    return None


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
