"""Channels of notices as people set them up, and what counts as trouble for a connection. Every change is in the journal."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from obmen.net.redact import MASK
from obmen.store.journal import note
from obmen.store.models import Connection, Notice, NoticeChannel

SECRETS = {"email": "password", "telegram": "token", "webhook": "secret"}
FIELDS = (
    "name", "enabled", "settings", "wants", "everywhere", "language", "time_zone", "quiet_from", "quiet_to", "through", "address",
)  # fmt: skip


def new_secret() -> str:
    """For the signature of a webhook."""
    return secrets.token_urlsafe(32)


# What a channel's secrets are sent to: they are kept for this place alone. The address of a webhook is a secret itself.
TARGETS = {"email": ("host", "port"), "telegram": ("api",)}


def goes_elsewhere(channel: NoticeChannel, settings: Mapping[str, Any]) -> bool:
    """Whether with these settings its secrets would be sent to another place than the one for which they were entered."""
    names = TARGETS.get(channel.way, ())
    return any(str(channel.settings.get(n) or "").casefold() != str(settings.get(n) or "").casefold() for n in names)


@transaction.atomic
def save(
    channel: NoticeChannel, values: Mapping[str, Any], hidden: Mapping[str, str], chosen: Iterable[Connection], who: str
) -> NoticeChannel:
    """Make or change a channel. ``values``: FIELDS; ``hidden``: its secrets by name, one that is empty stays as it is, but is
    forgotten where it would be sent to another place from now on; ``chosen``: the connections, where it is not for all of them.

    What waits for a channel that is switched off is dropped: nobody wants to be told of last week's trouble when it is
    switched on again. What waits for one that works is tried at once, since something may have been set right.
    """
    new = channel.pk is None
    before = {name: getattr(channel, name) for name in FIELDS} if not new else {}
    kept = {} if not new and goes_elsewhere(channel, values.get("settings", channel.settings)) else channel.secrets
    for name, value in values.items():
        setattr(channel, name, value)
    entered = {name: value for name, value in hidden.items() if value}
    channel.secrets = {**kept, **entered}
    channel.text, channel.facts = "", {}
    names_before = [] if new else sorted(channel.connections.values_list("name", flat=True))
    # Not the lease: a clock may be sending by it.
    channel.save(update_fields=None if new else [*FIELDS, "secrets", "text", "facts"])
    channel.connections.set([] if channel.everywhere else chosen)
    waiting = Notice.objects.filter(channel=channel, state=Notice.State.WAITING)
    if not channel.enabled:
        waiting.update(state=Notice.State.DROPPED)
    elif not new:
        waiting.filter(tries__gt=0).update(due=timezone.now())
    if new:
        note(None, "notices.made", who, name=channel.name, way=channel.way)
        return channel
    changes = {name: [_told(old), _told(getattr(channel, name))] for name, old in before.items() if old != getattr(channel, name)}
    changes |= {name: [MASK, MASK] for name in entered}
    names = sorted(channel.connections.values_list("name", flat=True))
    if names != names_before:
        changes["connections"] = [_told(names_before), _told(names)]
    if changes:
        note(None, "notices.changed", who, name=channel.name, changes=changes)
    return channel


def remove(channel: NoticeChannel, who: str) -> None:
    """With all that it was told."""
    with transaction.atomic():
        note(None, "notices.removed", who, name=channel.name, way=channel.way)
        channel.delete()


def set_limits(connection: Connection, silent_after: int | None, parked_limit: int, who: str) -> bool:
    """What counts as trouble for a connection; False when it was so already."""
    before = {"silent_after": connection.silent_after, "parked_limit": connection.parked_limit}
    after = {"silent_after": silent_after, "parked_limit": parked_limit}
    if before == after:
        return False
    with transaction.atomic():
        Connection.objects.filter(pk=connection.pk).update(**after)
        changes = {name: [old, after[name]] for name, old in before.items() if old != after[name]}
        note(connection, "notices.limits", who, changes=changes)
    return True


def try_again(notice: Notice) -> bool:
    """One that was given up, or that waits for its next try, is tried with the next look; False when it was sent."""
    tried = Notice.objects.filter(pk=notice.pk, state__in=(Notice.State.FAILED, Notice.State.WAITING))
    return bool(tried.update(state=Notice.State.WAITING, due=timezone.now(), tries=0))


def _told(value: Any) -> Any:
    """As the journal shows it."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={_told(part)}" for name, part in value.items() if part not in ("", None, []))
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if value is None or isinstance(value, str | int | bool) else str(value)
