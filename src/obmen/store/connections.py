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
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import fields
from datetime import datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings as hub
from django.contrib.auth.models import Group as Role
from django.contrib.auth.models import Permission, User
from django.db import transaction
from django.utils import timezone

from obmen import registry
from obmen.core import schedule as schedules
from obmen.core.contract import Connector, ExchangeError, Hub, NeedsOwner, Table
from obmen.core.records import Kind, plain
from obmen.core.settings import describe, load
from obmen.core.words import gettext_noop as _
from obmen.store import defaults, mappings, outbox
from obmen.store.journal import note
from obmen.store.models import Connection, Link, MatchRule, Run, StreamSetting, Sweep, SweepSeen
from obmen.store.models import Mapping as MappingRow

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

    from obmen.store.hub import DjangoHub

MASK = "•••"
INTEGRATIONS = "Integrations"
OWNERS, OPERATORS, VIEWERS = "Owners", "Exchange operators", "Viewers"
# What finds an existing card, besides the id. Goods have no rule by default: articles and barcodes repeat in real catalogues, and
# a rule that finds a card twice sets the record aside.
MATCH = {Kind.COUNTERPARTY: ("inn", "phone", "email")}
PASSWORD = string.ascii_letters + string.digits  # nothing that a form, a URL or a Basic header could spoil
FORMAT = "obmen-connection/1"

SECRET_AGAIN = _("The address is another one now, and “{field}” was entered for the one before: enter it again, or empty it")


class NameTaken(ExchangeError):
    """There is a connection of that name."""


class Running(ExchangeError):
    """A run of the connection is going on, which would write over what is asked for."""


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


def connector_of(connection: Connection, hub: Hub | None = None) -> Connector:
    """The connector, ready to work with this connection's settings; ``hub`` where it is to call out. Raises NeedsOwner."""
    return registry.connector(connection.connector)(settings_of(connection), hub)


def hub_of(connection: Connection) -> DjangoHub:
    """The hub as one action of a page or a command sees it."""
    from obmen.store.hub import DjangoHub

    return DjangoHub(connection)


def check(connection: Connection) -> str:
    """As whom we are connected; the passed check is noted, a failed one takes it back. Raises NeedsOwner, TryLater."""
    hub = hub_of(connection)
    connector = connector_of(connection, hub)
    try:
        said = connector.check()
    except NeedsOwner:
        Connection.objects.filter(pk=connection.pk).update(checked=None, check_text="")
        raise
    finally:
        connector.close()
        hub.flush()
    Connection.objects.filter(pk=connection.pk).update(checked=timezone.now(), check_text=said)
    return said


def new_hook(connection: Connection, who: str = "") -> str:
    """A new secret for the wake-up address; the old address ends at once."""
    connection.hook = secrets.token_urlsafe(24)
    connection.save(update_fields=["hook"])
    note(connection, "connection.hook", who)
    return connection.hook


def hook_path(connection: Connection) -> str:
    """What stands behind the host in the wake-up address; "" when there is none."""
    return f"/hooks/{connection.slug}/{connection.hook}/" if connection.hook else ""


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
def update(connection: Connection, values: Mapping[str, Any], who: str = "", was: str | None = None) -> dict[str, list[Any]]:
    """Change settings by field; what is not named stays. ``None`` goes back to the profile's default, "" clears a secret.

    Returns and journals {field: [old, new]}, secrets masked. Raises NeedsOwner that names every wrong field, changing nothing; also
    when secrets would be sent to another place than the one for which they were entered, and are not entered anew. ``was``: the
    profile before, where another one has been chosen just now, for a profile may say the place.
    """
    connection = Connection.objects.select_for_update(of=("self",)).get(pk=connection.pk)
    connector = registry.connector(connection.connector)
    before = connection.settings | connection.secrets
    merged = {name: value for name, value in (before | dict(values)).items() if value is not None}
    connection.settings, connection.secrets = _split(connector, connection.profile, merged)
    unknown = {name: "" for name in values if name not in describe(connector.settings)}
    if unknown:
        load(connector.settings, unknown)  # says which
    places = (
        _places(connector, p, v) for p, v in ((connection.profile if was is None else was, before), (connection.profile, merged))
    )
    asked = _asked_again(connector, *places, kept=before.keys() - values.keys())
    if asked:
        raise NeedsOwner(SECRET_AGAIN, field={"text": asked[0]})
    after = connection.settings | connection.secrets
    hidden = secret_fields(connector)
    changes = {
        name: [_masked(name, before, hidden), _masked(name, after, hidden)]
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    }
    if changes:
        if hidden & changes.keys() or any(describe(connector.settings)[name].identifies for name in changes):
            connection.checked, connection.check_text = None, ""
        connection.save(update_fields=["settings", "secrets", "checked", "check_text"])
        note(connection, "connection.changed", who, changes=changes)
    return changes


def _asked_again(connector: type[Connector], old: Sequence[Any], new: Sequence[Any], kept: Collection[str]) -> list[str]:
    """Labels of the kept secrets that may not go to the places that are named now."""
    if all(was is None or was == now for was, now in zip(old, new)):
        return []
    return [about.label for name, about in describe(connector.settings).items() if about.kind == "secret" and name in kept]


def _places(connector: type[Connector], profile: str, values: Mapping[str, Any]) -> list[Any]:
    """Where its secrets go with these settings."""
    base = profile_values(connector, profile) if profile in connector.profiles() else {}
    settings = load(connector.settings, base | dict(values))
    return [_place(getattr(settings, name)) for name, about in describe(connector.settings).items() if about.place]


def _place(address: str) -> tuple[str, str | None, int | None] | None:
    """(scheme, host, port): a path may be spelt anew. None for none; what is no address is a place of its own."""
    address = address.strip()
    if not address:
        return None
    try:
        url = urlsplit(address if "://" in address else f"https://{address}")
        return url.scheme.lower(), url.hostname, url.port or {"http": 80, "https": 443}.get(url.scheme.lower())
    except ValueError:
        return "", address, None


def _masked(name: str, values: Mapping[str, Any], hidden: set[str]) -> Any:
    value = values.get(name)
    return MASK if value and name in hidden else value


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
    _free_name(name)
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
        hook=secrets.token_urlsafe(24) if connector.wakes else "",
    )
    described = defaults.proposed(connector, profile)
    on = described.get("streams", connector.streams)
    StreamSetting.objects.bulk_create(
        StreamSetting(connection=connection, stream=stream, enabled=stream in on) for stream in connector.streams
    )
    MatchRule.objects.bulk_create(
        MatchRule(connection=connection, kind=kind, attribute=attribute, priority=i)
        for kind, attributes in described.get("match", MATCH).items()
        for i, attribute in enumerate(attributes, 1)
    )
    password = make_account(connection) if connector_of(connection).doors() else None
    defaults.apply(connection, None, who)
    if outbox.TELLS_ORDERS & set(on):
        outbox.fill(connection, Kind.ORDER)
    note(connection, "connection.made", who, name=name, connector=connector.key, profile=profile)
    return connection, password


ABOUT = ("name", "language", "time_zone")


@transaction.atomic
def change_about(connection: Connection, values: Mapping[str, str], who: str = "") -> dict[str, list[str]]:
    """What every connection has, whatever its connector: ABOUT by name; what is not named stays. Returns and journals {field: [old,
    new]}. The name in addresses stays. Raises NameTaken, NeedsOwner."""
    connection = Connection.objects.select_for_update(of=("self",)).get(pk=connection.pk)
    wanted = {field: values[field].strip() if field == "name" else values[field] for field in ABOUT if field in values}
    said = {field: getattr(connection, field) for field in ABOUT} | wanted
    _check(said["name"], said["language"], said["time_zone"])
    _free_name(said["name"], but=connection)
    changes = {
        field: [getattr(connection, field), value] for field, value in wanted.items() if getattr(connection, field) != value
    }
    if changes:
        for field, value in wanted.items():
            setattr(connection, field, value)
        connection.save(update_fields=list(wanted))
        note(connection, "connection.changed", who, changes=changes)
    return changes


def _free_name(name: str, but: Connection | None = None) -> None:
    others = Connection.objects.filter(name=name)
    if (others if but is None else others.exclude(pk=but.pk)).exists():
        raise NameTaken(_("There is a connection “{name}” already"), name=name)


@transaction.atomic
def duplicate(connection: Connection, name: str, who: str = "") -> tuple[Connection, str | None]:
    """Another connection that is set up in the same way, and switched off: settings, streams, match rules, and mappings that
    somebody has decided on. No secrets, links, bookmarks or history. Returns it and a new account's password, as ``create``."""
    made, password = create(
        connection.connector,
        name,
        profile=connection.profile,
        settings=connection.settings,
        language=connection.language,
        time_zone=connection.time_zone,
        who=who,
    )
    made.enabled = False
    for field in WATCHED:
        setattr(made, field, getattr(connection, field))
    made.save(update_fields=["enabled", *WATCHED])
    kept = {row.stream: row for row in connection.streams.all()}
    for row in made.streams.filter(stream__in=kept):
        for field in STREAM:
            setattr(row, field, getattr(kept[row.stream], field))
        row.save()
    made.match_rules.all().delete()
    MatchRule.objects.bulk_create(
        MatchRule(connection=made, kind=rule.kind, attribute=rule.attribute, priority=rule.priority)
        for rule in connection.match_rules.all()
    )
    made.mappings.all().delete()
    MappingRow.objects.bulk_create(
        MappingRow(connection=made, position=row.position, **{field: getattr(row, field) for field in MAPPING})
        for row in connection.mappings.filter(reported=False)
    )
    made.outbox.all().delete()
    if outbox.TELLS_ORDERS & set(made.streams.filter(enabled=True).values_list("stream", flat=True)):
        outbox.fill(made, Kind.ORDER)
    note(made, "connection.copied", who, source=connection.name)
    return made, password


WATCHED = ("silent_after", "parked_limit")
STREAM = ("enabled", "schedule", "quiet_from", "quiet_to", "guard")


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


def make_account(connection: Connection) -> str:
    """A machine account of the connection's own; its password."""
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


def has_own_account(connection: Connection) -> bool:
    """Whether the login is a machine account that the hub made for this connection, not an employee's."""
    account = connection.account
    if account is None or account.is_staff or account.is_superuser:
        return False
    return re.fullmatch(rf"{re.escape(connection.slug[:100])}(-\d+)?", account.get_username()) is not None


@transaction.atomic
def new_password(connection: Connection, who: str = "") -> str:
    """A new password of the machine account, shown this once; the old one ends. Raises NeedsOwner when there is no account."""
    if connection.account is None:
        raise NeedsOwner(_("“{name}” has no machine account"), name=connection.name)
    if not has_own_account(connection):
        raise NeedsOwner(
            _("“{login}” is an employee: the password is changed on their own page"), login=connection.account.get_username()
        )
    password = new_secret()
    connection.account.set_password(password)
    connection.account.save(update_fields=["password"])
    note(connection, "connection.password", who)
    return password


def new_secret() -> str:
    return "".join(secrets.choice(PASSWORD) for _i in range(20))


STOP_FIRST = _("A run of this connection is going on: stop it first.")
MARK_RUNNING = _("A run of this connection is going on and would write its own bookmark: stop it first.")


def refuse_while_running(connection: Connection, text: str) -> None:
    """Raises Running with ``text``, which says what to do."""
    if Run.objects.filter(connection=connection, state=Run.State.RUNNING).exists():
        raise Running(text)


@transaction.atomic
def remove(connection: Connection, who: str = "") -> None:
    """The connection, its account and everything that it remembers. The books and the journal stay. Raises Running."""
    refuse_while_running(connection, STOP_FIRST)
    note(None, "connection.removed", who, name=connection.name, connector=connection.connector)
    SweepSeen.objects.filter(sweep__in=Sweep.objects.filter(connection=connection).values("pk")).delete()
    Link.objects.filter(connection=connection).delete()
    account = connection.account if has_own_account(connection) else None
    connection.delete()
    if account:  # an employee stays
        account.delete()


def load_table(connection: Connection, table: Table, who: str = "", *, clear: bool = False) -> Counter[str]:
    """Their values as they are now, into a mapping table; ``clear``: of which nothing stays. Counts new, kept and gone. Calls out. Their
    list is fetched before anything is cleared: a system that does not answer costs nobody a table. Raises ExchangeError."""
    hub = hub_of(connection)
    try:
        with closing(connector_of(connection, hub)) as connector:
            theirs = connector.references(table.subject)
    finally:
        hub.flush()
    with transaction.atomic():
        if clear:
            mappings.start_over(connection, table.subject, table.direction, who)
        return mappings.refresh(connection, table.subject, theirs, who, table.direction)


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
        if stream in outbox.TELLS_ORDERS and "enabled" in changes and enabled:
            outbox.fill(connection, Kind.ORDER)
        note(connection, "stream.changed", who, stream=stream, changes=changes)
    return row


@transaction.atomic
def set_guard(connection: Connection, stream: str, percent: int | None, who: str = "") -> None:
    """How large a share of the goods, orders or customers that a connection has told us one run of the stream may change (core/engine.py:
    Guard); None: all of them. Raises NeedsOwner for what is no share."""
    if percent is not None and not 1 <= percent <= 100:
        raise NeedsOwner(_("A share is a number from 1 to 100, not {percent}"), percent=percent)
    row = StreamSetting.objects.select_for_update().get(connection=connection, stream=stream)
    if row.guard != percent:
        StreamSetting.objects.filter(pk=row.pk).update(guard=percent)
        note(connection, "stream.changed", who, stream=stream, changes={"guard": [row.guard, percent]})


@transaction.atomic
def switch(connection: Connection, on: bool, who: str = "") -> bool:
    """Whether anything is exchanged at all; False when it was so already."""
    changed = Connection.objects.filter(pk=connection.pk, enabled=not on).update(enabled=on)
    if changed:
        note(connection, "connection.switched_on" if on else "connection.switched_off", who)
    return bool(changed)


@transaction.atomic
def pause(connection: Connection, until: datetime, text: str = "", who: str = "") -> None:
    """Nothing begins by itself and calls are put off until then; what a person starts still runs, and the outbox goes on
    collecting. Raises NeedsOwner for a moment that is over."""
    if until <= timezone.now():
        raise NeedsOwner(_("The pause has to end later than now"))
    connection.paused_until, connection.paused_text = until, " ".join(text.split())[:200]
    connection.save(update_fields=["paused_until", "paused_text"])
    local = until.astimezone(ZoneInfo(connection.time_zone)).strftime("%d.%m.%Y %H:%M")
    note(connection, "connection.paused", who, until=local, **({"reason": connection.paused_text} if text.strip() else {}))


@transaction.atomic
def resume(connection: Connection, who: str = "") -> bool:
    """End a pause; what waited for it may begin. False when there was none."""
    ended = Connection.objects.filter(pk=connection.pk, paused_until__gt=timezone.now()).update(paused_until=None, paused_text="")
    if ended:
        note(connection, "connection.resumed", who)
    return bool(ended)


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
        values = {"stream": row.stream, "enabled": row.enabled, "schedule": row.schedule, "guard": row.guard or 0}
        quiet = {k: v.strftime("%H:%M") for k, v in (("quiet_from", row.quiet_from), ("quiet_to", row.quiet_to)) if v}
        out += _table("[[streams]]", values | quiet)
    for rule in connection.match_rules.order_by("kind", "priority", "id"):
        out += _table("[[match_rules]]", {"kind": rule.kind, "attribute": rule.attribute, "priority": rule.priority})
    for row in connection.mappings.filter(reported=False).order_by("subject", "position", "theirs", "pk"):
        out += _table("[[mappings]]", {name: getattr(row, name) for name in MAPPING if getattr(row, name) != {}})
    return "\n".join(out) + "\n"


MAPPING = ("subject", "theirs", "theirs_name", "ours", "inbound", "outbound", "taken", "attributes")


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
def apply_toml(
    path: Path, passphrase: str | None = None, who: str = "", onto: Connection | None = None
) -> tuple[Connection, bool, str | None]:
    """Make the hub's connection of that name (or ``onto``, whatever its name) what the file says; again = no change.

    Returns (connection, made, password of a new machine account). Secrets that the file does not hold stay as they are.
    Raises NeedsOwner: no such file, no TOML, not ours, wrong passphrase, wrong setting; then nothing is changed.
    """
    data = _read(path)
    hidden = _secrets_from(data.get("secrets"), passphrase)
    values = dict(data.get("settings", {})) | hidden
    connection = Connection.objects.filter(pk=onto.pk).first() if onto else Connection.objects.filter(name=data["name"]).first()
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
        was = connection.profile
        _apply_columns(connection, data, who)
        kept = [*connection.settings, *(name for name in connection.secrets if name in values)]
        update(connection, dict.fromkeys(kept) | values, who, was)
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
        if "guard" in said:
            set_guard(connection, said["stream"], said["guard"] or None, who)
    if "match_rules" in data:
        wanted = {(r["kind"], r["attribute"]): r.get("priority", 1) for r in data["match_rules"]}
        for rule in connection.match_rules.all():
            if (rule.kind, rule.attribute) not in wanted:
                rule.delete()
        for (kind, attribute), priority in wanted.items():
            MatchRule.objects.update_or_create(
                connection=connection, kind=kind, attribute=attribute, defaults={"priority": priority}
            )
    if "mappings" in data:
        _apply_mappings(connection, data["mappings"], who)


def _apply_mappings(connection: Connection, said: Sequence[Mapping[str, Any]], who: str) -> None:
    """Each table that the file speaks of becomes what it says; values that traffic has reported meanwhile stay to be decided."""
    each = {t.subject for t in registry.connector(connection.connector).tables if t.direction == "each"}
    tables: dict[tuple[str, str], list[mappings.MappingRow]] = {}
    for row in said:
        inbound, outbound = bool(row.get("inbound", True)), bool(row.get("outbound", True))
        direction = "both" if inbound and outbound else "in" if inbound else "out"
        taken = bool(row.get("taken", True))
        if row["subject"] in each:
            direction, taken = "each", taken and inbound
        tables.setdefault((row["subject"], direction), []).append(
            mappings.MappingRow(
                row["theirs"], row.get("theirs_name", ""), row.get("ours", ""), row.get("attributes", {}), taken, sent=outbound
            )
        )
    for (subject, direction), rows in tables.items():
        mappings.save(connection, subject, direction, rows, who)
