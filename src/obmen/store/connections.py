"""Connections: made, changed, carried to another hub as TOML, removed. The pages, the command line and the doors use these.

Settings are stored as differences from the profile's defaults, so that a better default reaches everyone who never changed it.
Secrets are stored in their own encrypted column, and shown, journalled and exported nowhere unless a passphrase is given.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import string
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings as hub
from django.contrib.auth.models import Group as Role
from django.contrib.auth.models import Permission, User
from django.db import transaction

from obmen import registry
from obmen.core import schedule as schedules
from obmen.core.contract import Connector, ExchangeError, NeedsOwner
from obmen.core.records import Kind, plain
from obmen.core.settings import describe, load
from obmen.core.words import gettext_noop as _
from obmen.store import outbox
from obmen.store.models import Connection, JournalEntry, Link, MatchRule, StreamSetting, Sweep, SweepSeen

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

MASK = "•••"
INTEGRATIONS = "Integrations"
OWNERS, OPERATORS, VIEWERS = "Owners", "Exchange operators", "Viewers"
# What finds an existing card, besides the id. Goods have no rule by default: articles and barcodes repeat in real catalogues, and
# a rule that finds a card twice sets the record aside.
MATCH = {Kind.COUNTERPARTY: ("inn", "phone", "email")}
PASSWORD = string.ascii_letters + string.digits  # nothing that a form, a URL or a Basic header could spoil
FORMAT = "obmen-connection/1"


class NameTaken(ExchangeError):
    """There is a connection of that name."""


# --- settings --------------------------------------------------------------------------------------------------------------


def profile_values(connector: type[Connector], profile: str) -> dict[str, Any]:
    """The profile's defaults; {} for none. Raises NeedsOwner that lists the profiles."""
    known = connector.profiles()
    if profile and profile not in known:
        raise NeedsOwner(
            _("“{connector}” has no profile “{profile}”; there are: {known}"),
            connector=connector.key,
            profile=profile,
            known=", ".join(sorted(known)) or "–",
        )
    return dict(known[profile].get("settings", {})) if profile else {}


def settings_of(connection: Connection) -> Any:
    """An instance of the connector's settings class: profile ← what differs ← secrets. Raises NeedsOwner."""
    connector = registry.connector(connection.connector)
    values = profile_values(connector, connection.profile)
    return load(connector.settings, values | connection.settings | connection.secrets)


def connector_of(connection: Connection) -> Connector:
    """The connector, ready to work with this connection's settings. Raises NeedsOwner."""
    return registry.connector(connection.connector)(settings_of(connection))


def door_path(connection: Connection) -> str:
    """What the user of the outside system types after the host."""
    return f"/exchange/{connection.slug}/"


def secret_fields(connector: type[Connector]) -> set[str]:
    return {name for name, about in describe(connector.settings).items() if about.kind == "secret"}


def _split(connector: type[Connector], profile: str, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Checked values → (what differs from the profile, secrets), both in plain form."""
    base = profile_values(connector, profile)
    wanted = load(connector.settings, base | dict(values))
    defaults = load(connector.settings, base)
    hidden = secret_fields(connector)
    differs = {
        f.name: plain(getattr(wanted, f.name))
        for f in fields(connector.settings)
        if f.name not in hidden and f.name in values and getattr(wanted, f.name) != getattr(defaults, f.name)
    }
    return differs, {name: getattr(wanted, name) for name in hidden if name in values and getattr(wanted, name)}


@transaction.atomic
def update(connection: Connection, values: Mapping[str, Any], who: str = "") -> dict[str, list[Any]]:
    """Change settings by field; what is not named stays. ``None`` goes back to the profile's default, "" clears a secret.

    Returns and journals {field: [old, new]}, secrets masked. Raises NeedsOwner that names every wrong field, changing nothing.
    """
    connection = Connection.objects.select_for_update(of=("self",)).get(pk=connection.pk)
    connector = registry.connector(connection.connector)
    before = connection.settings | connection.secrets
    merged = {name: value for name, value in (before | dict(values)).items() if value is not None}
    connection.settings, connection.secrets = _split(connector, connection.profile, merged)
    unknown = {name: "" for name in values if name not in describe(connector.settings)}
    if unknown:
        load(connector.settings, unknown)  # says which
    after = connection.settings | connection.secrets
    hidden = secret_fields(connector)
    changes = {
        name: [_masked(name, before, hidden), _masked(name, after, hidden)]
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    }
    if changes:
        connection.save(update_fields=["settings", "secrets"])
        note(connection, "connection.changed", who, changes=changes)
    return changes


def _masked(name: str, values: Mapping[str, Any], hidden: set[str]) -> Any:
    value = values.get(name)
    return MASK if value and name in hidden else value


def note(connection: Connection | None, action: str, who: str, **facts: Any) -> None:
    """A line in the journal. Facts must hold no secrets."""
    facts = {name: _plain(value) for name, value in facts.items()}
    JournalEntry.objects.create(connection=connection, action=action, who=who, facts=facts)


def _plain(value: Any) -> Any:
    """JSON-safe; ``plain`` knows the types of records, a time of day is none of them."""
    return json.loads(json.dumps(plain(value), default=str))


# --- making and removing ---------------------------------------------------------------------------------------------------


@transaction.atomic
def create(
    connector_key: str,
    name: str,
    *,
    profile: str = "",
    settings: Mapping[str, Any] | None = None,
    language: str = "ru",
    time_zone: str = "Europe/Kyiv",
    who: str = "",
) -> tuple[Connection, str | None]:
    """A connection with its streams and match rules, and for a system that calls us a machine account.

    Returns the account's password, which is stored only as a hash and can never be shown again; None where there is no
    account. Raises NameTaken, or NeedsOwner: unknown connector or profile, wrong setting.
    """
    connector = registry.connector(connector_key)
    name = name.strip()
    _check(name, language, time_zone)
    if Connection.objects.filter(name=name).exists():
        raise NameTaken(_("There is a connection “{name}” already"), name=name)
    differs, hidden = _split(connector, profile, settings or {})
    connection = Connection.objects.create(
        connector=connector.key,
        name=name,
        slug=free_slug(name),
        profile=profile,
        settings=differs,
        secrets=hidden,
        language=language,
        time_zone=time_zone,
    )
    described = connector.profiles().get(profile, {})
    on = described.get("streams", connector.streams)
    StreamSetting.objects.bulk_create(
        StreamSetting(connection=connection, stream=stream, enabled=stream in on) for stream in connector.streams
    )
    MatchRule.objects.bulk_create(
        MatchRule(connection=connection, kind=kind, attribute=attribute, priority=i)
        for kind, attributes in described.get("match", MATCH).items()
        for i, attribute in enumerate(attributes, 1)
    )
    password = _make_account(connection) if connector_of(connection).doors() else None
    if "orders-out" in on:
        outbox.fill(connection, Kind.ORDER)
    note(connection, "connection.made", who, name=name, connector=connector.key, profile=profile)
    return connection, password


def _check(name: str, language: str, time_zone: str) -> None:
    if not name:
        raise NeedsOwner(_("A connection needs a name"))
    if language not in dict(hub.LANGUAGES):
        raise NeedsOwner(
            _("There is no language “{language}”; there are: {known}"), language=language, known=", ".join(dict(hub.LANGUAGES))
        )
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise NeedsOwner(_("There is no time zone “{zone}”; write it as Europe/Kyiv"), zone=time_zone) from None


def _make_account(connection: Connection) -> str:
    password = new_secret()
    login, number = connection.slug[:100], 1
    while User.objects.filter(username=login).exists():
        number += 1
        login = f"{connection.slug[:100]}-{number}"
    account = User.objects.create_user(login, password=password)
    account.groups.add(integrations())
    connection.account = account
    connection.save(update_fields=["account"])
    return password


@transaction.atomic
def new_password(connection: Connection, who: str = "") -> str:
    """A new password of the machine account, shown this once; the old one ends. Raises NeedsOwner when there is no account."""
    if connection.account is None:
        raise NeedsOwner(_("“{name}” has no machine account"), name=connection.name)
    password = new_secret()
    connection.account.set_password(password)
    connection.account.save(update_fields=["password"])
    note(connection, "connection.password", who)
    return password


def new_secret() -> str:
    return "".join(secrets.choice(PASSWORD) for _i in range(20))


@transaction.atomic
def remove(connection: Connection, who: str = "") -> None:
    """The connection, its account and everything that it remembers. The books and the journal stay."""
    note(None, "connection.removed", who, name=connection.name, connector=connection.connector)
    SweepSeen.objects.filter(sweep__in=Sweep.objects.filter(connection=connection).values("pk")).delete()
    Link.objects.filter(connection=connection).delete()
    if connection.account:
        connection.account.delete()
    connection.delete()


LETTERS = str.maketrans(
    dict(
        zip(
            "абвгґдезиіїйклмнопрстуфцыэё",
            [
                "a",
                "b",
                "v",
                "h",
                "g",
                "d",
                "e",
                "z",
                "y",
                "i",
                "i",
                "i",
                "k",
                "l",
                "m",
                "n",
                "o",
                "p",
                "r",
                "s",
                "t",
                "u",
                "f",
                "ts",
                "y",
                "e",
                "e",
            ],
        )
    )
    | {"є": "ie", "ж": "zh", "х": "kh", "ч": "ch", "ш": "sh", "щ": "shch", "ю": "iu", "я": "ia", "ь": "", "ъ": "", "ʼ": ""}
)


def free_slug(name: str) -> str:
    """An address name in Latin letters that no connection has: "1С: Управління" → "1s-upravlinnia"."""
    # Cyrillic С in "1С" looks like the Latin letter that everyone types.
    latin = re.sub(r"^1с\b", "1c", name.lower()).translate(LETTERS)
    base = re.sub(r"[^a-z0-9]+", "-", latin).strip("-")[:60] or "connection"
    taken = set(Connection.objects.filter(slug__startswith=base).values_list("slug", flat=True))
    number, slug = 1, base
    while slug in taken:
        number += 1
        slug = f"{base}-{number}"
    return slug


@transaction.atomic
def set_stream(
    connection: Connection,
    stream: str,
    *,
    enabled: bool,
    schedule: str = "",
    quiet_from: time | None = None,
    quiet_to: time | None = None,
    who: str = "",
) -> StreamSetting:
    """Switch a stream and plan it anew. Raises BadSchedule. Orders that wait are put into the outbox when it begins to send."""
    if schedule.strip():
        schedules.parse(schedule)
    row, _made = StreamSetting.objects.get_or_create(connection=connection, stream=stream, defaults={"enabled": False})
    values = {"enabled": enabled, "schedule": schedule.strip(), "quiet_from": quiet_from, "quiet_to": quiet_to}
    changes = {name: [getattr(row, name), value] for name, value in values.items() if getattr(row, name) != value}
    if changes:
        for name, value in values.items():
            setattr(row, name, value)
        row.next_run = None
        row.save()
        if stream == "orders-out" and "enabled" in changes and enabled:
            outbox.fill(connection, Kind.ORDER)
        note(connection, "stream.changed", who, stream=stream, changes=changes)
    return row


# --- roles -----------------------------------------------------------------------------------------------------------------


def integrations() -> Role:
    """The role of machine accounts: one permission."""
    role, made = Role.objects.get_or_create(name=INTEGRATIONS)
    if made:
        role.permissions.set(Permission.objects.filter(content_type__app_label="store", codename="import_commerceml"))
    return role


def make_roles() -> None:
    """The roles that a new hub has. Again: owners get what is new, the others stay as their owner left them."""
    integrations()
    Role.objects.get_or_create(name=OWNERS)[0].permissions.set(Permission.objects.exclude(codename="import_commerceml"))
    see = Permission.objects.filter(content_type__app_label="store", codename__startswith="view_")
    do = ["start_run", "retry_parked", "change_order", "change_mapping", "add_mapping", "change_streamsetting"]
    operate = Permission.objects.filter(content_type__app_label="store", codename__in=do)
    for name, permissions in ((OPERATORS, see | operate), (VIEWERS, see)):
        role, made = Role.objects.get_or_create(name=name)
        if made:
            role.permissions.set(permissions)


# --- TOML ------------------------------------------------------------------------------------------------------------------

COLUMNS = ("connector", "name", "profile", "language", "time_zone", "enabled")


def export_toml(connection: Connection, passphrase: str | None = None) -> str:
    """Everything needed to set the same connection up elsewhere. Secrets only with a passphrase, and then encrypted by it."""
    out = [f"format = {_toml(FORMAT)}", *(f"{name} = {_toml(getattr(connection, name))}" for name in COLUMNS)]
    out += _table("[settings]", connection.settings)
    if passphrase and connection.secrets:
        salt = secrets.token_bytes(16)
        token = _passphrase_key(passphrase, salt).encrypt(json.dumps(connection.secrets).encode()).decode()
        out += _table("[secrets]", {"salt": salt.hex(), "token": token})
    for row in connection.streams.order_by("stream"):
        values = {"stream": row.stream, "enabled": row.enabled, "schedule": row.schedule}
        quiet = {k: v.strftime("%H:%M") for k, v in (("quiet_from", row.quiet_from), ("quiet_to", row.quiet_to)) if v}
        out += _table("[[streams]]", values | quiet)
    for rule in connection.match_rules.order_by("kind", "priority", "id"):
        out += _table("[[match_rules]]", {"kind": rule.kind, "attribute": rule.attribute, "priority": rule.priority})
    for row in connection.mappings.order_by("subject", "theirs"):
        out += _table("[[mappings]]", {name: getattr(row, name) for name in MAPPING})
    return "\n".join(out) + "\n"


MAPPING = ("subject", "theirs", "theirs_name", "ours", "inbound", "outbound")


def _table(head: str, values: Mapping[str, Any]) -> list[str]:
    return ["", head, *(f"{_key(name)} = {_toml(value)}" for name, value in values.items() if value is not None)]


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(str(k))} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, Iterable) and not isinstance(value, str):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    # JSON's escapes are TOML's, but TOML also wants DEL escaped.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _passphrase_key(passphrase: str, salt: bytes) -> Fernet:
    from cryptography.fernet import Fernet

    key = hashlib.scrypt(passphrase.encode(), salt=salt, n=2**15, r=8, p=1, maxmem=2**26, dklen=32)
    return Fernet(base64.urlsafe_b64encode(key))


@transaction.atomic
def apply_toml(path: Path, passphrase: str | None = None, who: str = "") -> tuple[Connection, bool, str | None]:
    """Make the hub's connection of that name what the file says; again = no change.

    Returns (connection, made, password of a new machine account). Secrets that the file does not hold stay as they are.
    Raises NeedsOwner: no such file, no TOML, not ours, wrong passphrase, wrong setting; then nothing is changed.
    """
    data = _read(path)
    hidden = _secrets_from(data.get("secrets"), passphrase)
    values = dict(data.get("settings", {})) | hidden
    connection = Connection.objects.filter(name=data["name"]).first()
    made, password = connection is None, None
    if connection is None:
        connection, password = create(
            data["connector"],
            data["name"],
            profile=data.get("profile", ""),
            settings=values,
            language=data.get("language", "ru"),
            time_zone=data.get("time_zone", "Europe/Kyiv"),
            who=who,
        )
    else:
        if connection.connector != registry.connector(data["connector"]).key:
            raise NeedsOwner(
                _("“{name}” is a connection of {connector}, the file is of {other}"),
                name=connection.name,
                connector=connection.connector,
                other=data["connector"],
            )
        _apply_columns(connection, data, who)
        kept = [*connection.settings, *(name for name in connection.secrets if name in values)]
        update(connection, dict.fromkeys(kept) | values, who)
    if not data.get("enabled", True):
        Connection.objects.filter(pk=connection.pk).update(enabled=False)
    _apply_rows(connection, data, who)
    connection.refresh_from_db()
    return connection, made, password


def _read(path: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise NeedsOwner(_("{file} cannot be read: {reason}"), file=path.name, reason=error.strerror) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise NeedsOwner(_("{file} is no TOML: {reason}"), file=path.name, reason=str(error)) from None
    if data.get("format") != FORMAT or not data.get("name") or not data.get("connector"):
        raise NeedsOwner(_("{file} holds no connection: it has to say format, connector and name"), file=path.name)
    return data


def _secrets_from(said: Mapping[str, str] | None, passphrase: str | None) -> dict[str, str]:
    if not said:
        return {}
    if not passphrase:
        raise NeedsOwner(_("The file holds encrypted secrets: give its passphrase"))
    from cryptography.fernet import InvalidToken

    try:
        key = _passphrase_key(passphrase, bytes.fromhex(said["salt"]))
        return dict(json.loads(key.decrypt(said["token"].encode())))
    except (InvalidToken, KeyError, ValueError):
        raise NeedsOwner(_("The passphrase does not fit the secrets in the file")) from None


def _apply_columns(connection: Connection, data: Mapping[str, Any], who: str) -> None:
    wanted = {name: data[name] for name in ("profile", "language", "time_zone", "enabled") if name in data}
    profile_values(registry.connector(connection.connector), wanted.get("profile", ""))
    _check(connection.name, wanted.get("language", connection.language), wanted.get("time_zone", connection.time_zone))
    changes = {name: [getattr(connection, name), value] for name, value in wanted.items() if getattr(connection, name) != value}
    if changes:
        for name, value in wanted.items():
            setattr(connection, name, value)
        connection.save(update_fields=list(wanted))
        note(connection, "connection.changed", who, changes=changes)


def _apply_rows(connection: Connection, data: Mapping[str, Any], who: str) -> None:
    for said in data.get("streams", ()):
        quiet = {k: time.fromisoformat(said[k]) for k in ("quiet_from", "quiet_to") if k in said}
        plan = said.get("schedule", "")
        set_stream(connection, said["stream"], enabled=said.get("enabled", True), schedule=plan, **quiet, who=who)
    if "match_rules" in data:
        wanted = {(r["kind"], r["attribute"]): r.get("priority", 1) for r in data["match_rules"]}
        for rule in connection.match_rules.all():
            if (rule.kind, rule.attribute) not in wanted:
                rule.delete()
        for (kind, attribute), priority in wanted.items():
            MatchRule.objects.update_or_create(
                connection=connection, kind=kind, attribute=attribute, defaults={"priority": priority}
            )
    for said in data.get("mappings", ()):
        values = {name: said[name] for name in MAPPING[2:] if name in said}
        connection.mappings.update_or_create(subject=said["subject"], theirs=said["theirs"], defaults=values)
