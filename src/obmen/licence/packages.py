"""Format packages of this hub: added, followed on disk, removed, and given to the registry; publishers: trusted or not.

Every process looks at most once a second whether a package or a publisher was added or removed, so that a new version is at work
everywhere without a restart. What is given to the registry is verified anew in each process: a row that somebody wrote into the
database by hand, or whose publisher is no longer trusted, is not run.
"""

from __future__ import annotations

import base64
import logging
import threading
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from django.db import connection as db
from django.db import transaction
from django.utils import timezone

from obmen import registry
from obmen.core.contract import Connector, ExchangeError, NeedsOwner
from obmen.core.words import gettext_noop as _
from obmen.core.words import plain_facts
from obmen.licence import loading, signing
from obmen.licence.package import MAX_FILE, BadPackage, Package, read, version
from obmen.store.journal import note
from obmen.store.models import Connection, FormatPackage, Publisher

log = logging.getLogger(__name__)
PAUSE = 1.0  # seconds between looks of one process


class NotTrusted(NeedsOwner):
    """Nobody has said that this publisher may run code here."""


# --- publishers ------------------------------------------------------------------------------------------------------------


def trust(line: str, who: str = "", fingerprint: str = "") -> tuple[Publisher, bool]:
    """Believe a publisher's signature from now on: (publisher, whether that is new). ``fingerprint``: as it was compared.

    Raises BadKey, NotTrusted (another fingerprint).
    """
    public, name = signing.read_public(line)
    found = signing.fingerprint(public)
    if fingerprint and "".join(fingerprint.split()).lower() != found:
        raise NotTrusted(
            _("The fingerprint of this key is {found}: it is not the key that you mean"), found=signing.spaced(found)
        )
    values = {"public": base64.b64encode(public).decode(), "name": name, "who": who}
    publisher, made = Publisher.objects.get_or_create(fingerprint=found, defaults=values)
    if made:
        note(None, "publisher.trusted", who, name=name, fingerprint=found)
        look_again()
    return publisher, made


@transaction.atomic
def distrust(publisher: Publisher, who: str = "") -> None:
    """Its packages stay where they are and are not run any more."""
    note(None, "publisher.distrusted", who, name=publisher.name, fingerprint=publisher.fingerprint)
    publisher.delete()
    transaction.on_commit(look_again)


# --- adding and removing ---------------------------------------------------------------------------------------------------


def examine(data: bytes) -> Package:
    """Everything that can be known without running anything, against what is installed here.

    Raises BadPackage, NotTrusted: unsigned, a stranger's, older than what is installed, another publisher's.
    """
    package = read(data)
    said = package.manifest
    if package.signer is None:
        raise NotTrusted(_("The package “{title}” is not signed; nothing of it is run"), title=said.title)
    if not Publisher.objects.filter(fingerprint=package.fingerprint).exists():
        raise NotTrusted(
            _("The package “{title}” is signed by a publisher who is not trusted here. Fingerprint of the key: {fingerprint}"),
            title=said.title,
            fingerprint=signing.spaced(package.fingerprint),
        )
    old = FormatPackage.objects.filter(key=said.key).defer("body").first()
    if old is not None:
        _judge_update(old, package)
    if said.kind == "connector" and said.key in registry.names():
        raise BadPackage(
            _("“{key}” is a connector of the hub itself, or another name of one: a package may not take it"), key=said.key
        )
    if old is None and said.kind == "profile" and said.key in registry.connectors():
        raise BadPackage(_("“{key}” is the key of a connector: a profile package needs a key of its own"), key=said.key)
    return package


def _judge_update(old: FormatPackage, package: Package) -> None:
    said = package.manifest
    if old.fingerprint != package.fingerprint:
        raise NotTrusted(
            _("“{key}” is installed from another publisher, {publisher}; remove it first if that is what you want"),
            key=said.key,
            publisher=old.publisher,
        )
    if (old.kind, old.connector) != (said.kind, said.connector or said.key):
        raise BadPackage(_("“{key}” is installed as another kind of package; remove it first"), key=said.key)
    if version(said.version) < version(old.version):
        raise BadPackage(
            _("The package is older ({version}) than the one that is installed ({installed})"),
            version=said.version,
            installed=old.version,
        )
    if version(said.version) == version(old.version) and old.digest != package.digest:
        raise BadPackage(
            _(
                "The package has the version that is installed, {version}, and other content: its publisher has to give it a new one"
            ),
            version=said.version,
        )


def add(data: bytes, who: str = "", path: str = "") -> tuple[FormatPackage, bool]:
    """Install a package or its new version: (row, whether anything changed). What was there stays when this one is refused.

    Raises BadPackage, NotTrusted.
    """
    package = examine(data)
    said, files = package.manifest, package.files()
    profiles = _tried(package, files)
    values = {
        "kind": said.kind,
        "connector": said.connector or said.key,
        "profiles": sorted(profiles),
        "version": said.version,
        "title": said.title.strip(),
        "publisher": said.publisher.strip(),
        "fingerprint": package.fingerprint,
        "news": dict(said.news),
        "body": data,
        "digest": package.digest,
        "licensed": said.licence,
        "licence_server": said.licence_server,
        "text": "",
        "facts": {},
    }
    with transaction.atomic():
        row = FormatPackage.objects.select_for_update().filter(key=said.key).first()
        if row is not None:
            _judge_update(row, package)  # again: somebody else may have been quicker
        same = row is not None and (row.digest, row.path) == (package.digest, path)
        if not same:
            before = row.version if row else ""
            row, _made = FormatPackage.objects.update_or_create(
                key=said.key, defaults={**values, "path": path, "seen": _stamp(path), "added": timezone.now(), "who": who}
            )
            note(None, "format.added", who, key=said.key, version=said.version, before=before, publisher=said.publisher)
    look_again()
    assert row is not None
    return row, not same


def _tried(package: Package, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Load it as the registry will, before it is kept. Returns its profiles. Raises BadPackage."""
    said = package.manifest
    if said.kind == "connector":
        cls = loading.load_connector(said, package.digest, files)
        others = {n for key, c in registry.connectors().items() if key != said.key for n in (c.key, *c.aliases)}
        if clash := sorted({cls.key, *cls.aliases} & others):
            raise BadPackage(_("“{name}” is the name of another connector"), name=clash[0])
        return dict(cls.profiles())
    base = registry.connectors().get(said.connector)
    if base is None or base.key not in registry.names():
        raise BadPackage(
            _("There is no connector “{connector}” in this hub that could have these profiles"), connector=said.connector
        )
    profiles = loading.read_profiles(files)
    own = set(FormatPackage.objects.filter(key=said.key).values_list("profiles", flat=True).first() or ())
    for name, profile in profiles.items():
        if name in base.profiles() and name not in own:
            raise BadPackage(_("“{connector}” has a profile “{profile}” already"), connector=said.connector, profile=name)
        loading.judge_profile(base, name, profile)
    return profiles


def add_from(path: Path, who: str = "", *, follow: bool = False) -> tuple[FormatPackage, bool]:
    """From a file on this machine; ``follow``: its newer versions are taken by themselves. Raises BadPackage, NotTrusted."""
    return add(_content(path), who, str(path.resolve()) if follow else "")


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE + 1)
    except OSError as error:
        raise BadPackage(_("{file} cannot be read: {reason}"), file=str(path), reason=error.strerror or "") from None


def _stamp(path: str) -> str:
    """Changes when the file does; "" when there is none."""
    try:
        about = Path(path).stat() if path else None
    except OSError:
        about = None
    return f"{about.st_size} {about.st_mtime_ns} {about.st_ino}" if about else ""


def follow_disk() -> int:
    """Take newer versions of packages that are kept on disk; the reason why one was not taken is noted. How many were taken."""
    taken = 0
    for row in FormatPackage.objects.exclude(path="").defer("body"):
        stamp = _stamp(row.path)
        if stamp == row.seen or not stamp:  # another machine may have the file; what was accepted is in the database
            continue
        mine = FormatPackage.objects.filter(pk=row.pk)
        try:
            data = _content(Path(row.path))
            if read(data).manifest.key != row.key:
                raise BadPackage(_("The file at {path} is another format"), path=row.path)
            _row, changed = add(data, "disk", row.path)
            taken += changed
            mine.update(seen=stamp, text="", facts={})
        except ExchangeError as error:
            log.warning("%s: %s", row.path, error)
            mine.update(seen=stamp, text=error.text, facts=plain_facts(error.facts))
    return taken


def needs_restart(row: FormatPackage) -> bool:
    """Whether servers have to be restarted: the usual addresses of doors are read once. Everything else is seen by itself."""
    cls = registry.connectors().get(row.connector)
    return row.kind == "connector" and cls is not None and bool(cls.addresses)


@transaction.atomic
def remove(row: FormatPackage, who: str = "") -> None:
    """Its connections stay with all that they remember, and do nothing until a package with the key is there again."""
    note(None, "format.removed", who, key=row.key, version=row.version)
    row.delete()
    transaction.on_commit(look_again)


def connections_of(row: FormatPackage) -> list[Connection]:
    """Connections that could not work without it, the oldest first."""
    found = Connection.objects.filter(connector=row.connector)
    if row.kind == "profile":
        found = found.filter(profile__in=row.profiles)
    return list(found.order_by("pk"))


def package_of(connection: Connection) -> FormatPackage | None:
    """The package that brings the connection's profile or connector, without its body; None for what comes with the hub."""
    rows = list(FormatPackage.objects.filter(connector=connection.connector).defer("body"))
    for row in rows:
        if row.kind == "profile" and connection.profile in row.profiles:
            return row
    return next((row for row in rows if row.kind == "connector"), None)


# --- for the registry ------------------------------------------------------------------------------------------------------

_lock = threading.RLock()
_shown = registry.Packages()
_state: Any = ()
_looked = 0.0
_troubles: dict[str, BadPackage | NotTrusted] = {}
_complained = ""


def look_again() -> None:
    """The next question looks at once."""
    global _looked
    _looked = 0.0


def troubles() -> dict[str, BadPackage | NotTrusted]:
    """{key: why this process does not run the package}."""
    current()
    return dict(_troubles)


def current() -> registry.Packages:
    """What the registry adds to its own; the same object until something changes. Never raises: what was known goes on."""
    global _looked
    if time.monotonic() - _looked < PAUSE:
        return _shown
    with _lock:
        if time.monotonic() - _looked < PAUSE:
            return _shown
        _looked = time.monotonic()
        try:
            _renew()
        except Exception as error:  # no tables yet, a transaction that has failed: the hub goes on with what it knows
            _complain(error)
        return _shown


def _complain(error: Exception) -> None:
    global _complained
    if str(error) != _complained:
        _complained = str(error)
        log.info("format packages could not be looked for: %s", error)


def _renew() -> None:
    global _shown, _state
    if db.vendor == "sqlite" and not db.in_atomic_block and not _file_is_there():
        return
    # On PostgreSQL a question to a missing table would spoil the transaction around it.
    with transaction.atomic() if db.in_atomic_block and not _state else nullcontext():
        trusted = {p.fingerprint for p in Publisher.objects.all()}
        rows = tuple(FormatPackage.objects.order_by("pk").values_list("key", "digest", "fingerprint"))
    state = (rows, frozenset(trusted))
    if state == _state:
        return
    _shown, _state = _loaded(trusted) if rows else registry.Packages(), state


def _file_is_there() -> bool:
    name = str(db.settings_dict["NAME"])  # asking SQLite would make an empty file
    return name.startswith(("file:", ":memory:")) or Path(name).exists()


def _loaded(trusted: set[str]) -> registry.Packages:
    connectors: dict[str, type[Connector]] = {}
    profiles: dict[str, dict[str, Mapping[str, Any]]] = {}
    _troubles.clear()
    for row in FormatPackage.objects.order_by("pk"):
        try:
            package = read(bytes(row.body))
            if package.fingerprint not in trusted or package.signer is None:
                raise NotTrusted(
                    _("The publisher {publisher} is not trusted here: the format is not run"), publisher=row.publisher
                )
            if package.manifest.kind == "connector":
                if row.key in registry.names():  # a newer hub may have brought its own
                    raise BadPackage(
                        _("“{key}” is a connector of the hub itself, or another name of one: a package may not take it"),
                        key=row.key,
                    )
                connectors[row.key] = loading.load_connector(package.manifest, package.digest, package.files())
            else:
                for name, said in loading.read_profiles(package.files()).items():
                    profiles.setdefault(row.connector, {}).setdefault(name, said)
        except (BadPackage, NotTrusted) as error:
            log.error("format package %s is left out: %s", row.key, error)
            _troubles[row.key] = error
    return registry.Packages(connectors, profiles)
