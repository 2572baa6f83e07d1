"""Importing a package from memory, under a name of its own.

A package is imported as ``obmen_formats.KEY_DIGEST``: its name cannot be that of anything else, a new version is another module
beside the old one (whose running exchanges go on with it), and what is run is what was verified: nothing lies on a disk
where it could be changed in between.
"""

from __future__ import annotations

import io
import sys
import threading
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.resources.abc import Traversable, TraversableResources
from types import ModuleType
from typing import IO, Any

from obmen.core.contract import Connector, ExchangeError
from obmen.core.records import Subject
from obmen.core.settings import load
from obmen.core.words import gettext_noop as _
from obmen.licence.package import BadPackage, Manifest, profile_name

ROOT = "obmen_formats"
SAYS = {"title", "note", "traps", "settings", "streams", "match", "mappings", "asks", "address"}  # what a profile may say
ROW = {"subject", "theirs", "theirs_name", "ours", "inbound", "outbound", "taken", "attributes"}

_files: dict[str, Mapping[str, bytes]] = {}  # module name of a package: what it holds
_lock = threading.RLock()


def load_connector(manifest: Manifest, digest: str, files: Mapping[str, bytes]) -> type[Connector]:
    """Import the package (once in this process) and return its connector. Raises BadPackage; nothing of a failed import stays."""
    name = f"{ROOT}.{manifest.key}_{digest[:16]}"
    with _lock:
        _files[name] = files
        try:
            module = import_module(name)
            return _connector(module, manifest)
        except BadPackage:
            forget(name)
            raise
        except Exception as error:
            forget(name)
            raise BadPackage(_("The package does not load: {error}"), error=f"{type(error).__name__}: {error}"[:300]) from error


def forget(name: str) -> None:
    _files.pop(name, None)
    for module in [m for m in sys.modules if m == name or m.startswith(f"{name}.")]:
        del sys.modules[module]


def _connector(module: ModuleType, manifest: Manifest) -> type[Connector]:
    found = [
        v for v in vars(module).values() if isinstance(v, type) and issubclass(v, Connector) and v.__module__ == module.__name__
    ]
    if [cls.key for cls in found] != [manifest.key]:
        raise BadPackage(_("The package's __init__.py has to hold one connector, with the key “{key}”"), key=manifest.key)
    cls = found[0]
    if cls.__abstractmethods__:
        raise BadPackage(
            _("The package does not load: {error}"), error=f"{cls.__name__} lacks {', '.join(sorted(cls.__abstractmethods__))}"
        )
    load(cls.settings, {})
    for name, profile in cls.profiles().items():
        judge_profile(cls, name, profile)
    judge_profile(cls, "", cls.defaults())
    if cls.defaults().get("settings"):
        raise BadPackage(_("Defaults of settings stand where the settings are declared, or in a profile, not in defaults()"))
    return cls


# --- profiles --------------------------------------------------------------------------------------------------------------


def read_profiles(files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """{name: what it says}. Raises BadPackage."""
    found = {}
    for file, content in files.items():
        if name := profile_name(file):
            try:
                found[name] = tomllib.loads(content.decode("utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise BadPackage(_("{file} is no TOML: {reason}"), file=file, reason=str(error)) from None
            if unknown := sorted(found[name].keys() - SAYS):
                raise BadPackage(_("{file} says what no profile says: {name}"), file=file, name=unknown[0])
    return found


def judge_profile(connector: type[Connector], name: str, said: Mapping[str, Any]) -> None:
    """Raises BadPackage when a profile names settings, streams or mappings that the connector does not have."""

    def wrong(reason: str) -> BadPackage:
        return BadPackage(_("The profile “{profile}” is wrong: {reason}"), profile=name, reason=reason)

    try:
        load(connector.settings, dict(said.get("settings", {})))
    except ExchangeError as error:
        raise wrong(str(error)) from None
    if unknown := sorted(set(said.get("streams", ())) - set(connector.streams)):
        raise wrong(f"streams: {unknown[0]}")
    for row in said.get("mappings", ()):
        if not isinstance(row, Mapping) or row.keys() - ROW or not row.get("theirs") or row.get("subject") not in set(Subject):
            raise wrong(f"mappings: {row!r}"[:200])


# --- the import machinery --------------------------------------------------------------------------------------------------


class _Finder(MetaPathFinder):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname == ROOT:
            return ModuleSpec(ROOT, _Loader("", b"", {}), is_package=True)
        top, _sep, below = fullname.removeprefix(f"{ROOT}.").partition(".")
        name = f"{ROOT}.{top}"
        files = _files.get(name) if fullname.startswith(f"{ROOT}.") else None
        if files is None:
            return None
        inside = below.replace(".", "/")
        for file, is_package in ((f"{inside}/__init__.py".lstrip("/"), True), (f"{inside}.py", False)):
            if file in files:
                loader = _Loader(inside if is_package else inside.rpartition("/")[0], files[file], files)
                spec = ModuleSpec(fullname, loader, origin=f"<{name}/{file}>", is_package=is_package)
                spec.has_location = False
                return spec
        return None


class _Loader(Loader):
    def __init__(self, folder: str, source: bytes, files: Mapping[str, bytes]) -> None:
        self._folder, self._source, self._files = folder, source, files

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        origin = module.__spec__.origin if module.__spec__ else None
        exec(compile(self._source, origin or ROOT, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 its publisher is trusted

    def get_source(self, fullname: str) -> str:
        """So that a traceback shows lines."""
        return self._source.decode("utf-8", "replace")

    def get_resource_reader(self, fullname: str) -> TraversableResources:
        return _Resources(_Place(self._folder, self._files))


class _Resources(TraversableResources):
    def __init__(self, place: Traversable) -> None:
        self._place = place

    def files(self) -> Traversable:
        return self._place


class _Place(Traversable):
    """A file or folder of a package, for ``importlib.resources.files``."""

    def __init__(self, path: str, files: Mapping[str, bytes]) -> None:
        self._path, self._files = path, files

    @property
    def name(self) -> str:
        return self._path.rpartition("/")[2]

    def is_file(self) -> bool:
        return self._path in self._files

    def is_dir(self) -> bool:
        return not self._path or any(name.startswith(f"{self._path}/") for name in self._files)

    def iterdir(self) -> Iterator[Traversable]:
        start = f"{self._path}/" if self._path else ""
        children = {name[len(start) :].partition("/")[0] for name in self._files if name.startswith(start)}
        return iter([_Place(start + child, self._files) for child in sorted(children)])

    def joinpath(self, *descendants: Any) -> Traversable:
        parts = [part for one in descendants for part in str(one).split("/") if part and part != "."]
        return _Place("/".join([*([self._path] if self._path else []), *parts]), self._files)

    def __truediv__(self, child: Any) -> Traversable:
        return self.joinpath(child)

    def open(self, mode: str = "r", *args: Any, **kw: Any) -> IO[Any]:
        if not self.is_file():
            raise FileNotFoundError(self._path)
        raw = io.BytesIO(self._files[self._path])
        return raw if "b" in mode else io.TextIOWrapper(raw, *args, **kw)

    def read_bytes(self) -> bytes:
        with self.open("rb") as file:
            return bytes(file.read())

    def read_text(self, encoding: str | None = None) -> str:
        return self.read_bytes().decode(encoding or "utf-8")


sys.meta_path.append(_Finder())
