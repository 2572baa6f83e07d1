"""What several pages do: say who asks, and ask for runs."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import ngettext

from obmen.core.contract import Connector, NeedsOwner
from obmen.core.records import Kind
from obmen.core.words import gettext_noop as _
from obmen.registry import connectors
from obmen.store import bookmarks, connections, mappings, models, outbox
from obmen.work import jobs

FILES_ARE_GONE = _("This run worked on files of one call: the outside system has to send them again.")


def who(request: HttpRequest) -> str:
    return str(request.user.get_username())


def as_id(text: str) -> bool:
    """Whether this can be the id of a row: digits as int() reads them, and no more than a column holds."""
    return text.isascii() and text.isdigit() and len(text) <= 18


def ask_retry(parked: Iterable[models.Parked], name: str, *, new: bool = False) -> list[models.Run]:
    """One run for each connection; the same records asked for twice are one run, other records another. ``new``: they become new
    cards, whatever they could be."""
    return ask_retry_of(((row.connection_id, row.pk) for row in parked), name, new=new)


def ask_retry_of(parked: Iterable[tuple[int, int]], name: str, *, new: bool = False) -> list[models.Run]:
    """``ask_retry`` of records by the ids of their connections and their own: tens of thousands are no objects then."""
    by_connection: dict[int, list[int]] = defaultdict(list)
    for connection_id, pk in parked:
        by_connection[connection_id].append(pk)
    runs = []
    for connection in models.Connection.objects.filter(pk__in=by_connection):
        ids = sorted(by_connection[connection.pk])
        every = len(ids) > 1 and len(ids) == connection.parked.count()
        args = {"parked": None if every and not new else ids} | ({"new": True} if new else {})
        key = f"retry-parked:{'new ' if new else ''}{'all' if every and not new else mark(ids)}"
        runs.append(jobs.ask(connection, ["retry-parked"], trigger="retry", who=name, args=args, key=key))
    return runs


def retry_freed(request: HttpRequest, connection: models.Connection, subjects: Iterable[str]) -> None:
    """Try again what waited for values of these subjects which have been decided on, and say so."""
    parked = [pk for subject in subjects for pk in mappings.freed(connection, subject)]
    if not parked:
        return
    ask_retry(models.Parked.objects.filter(pk__in=parked).only("pk", "connection_id"), who(request))
    said = ngettext(
        "%(count)s record that waited for this is being retried.",
        "%(count)s records that waited for this are being retried.",
        len(parked),
    )
    messages.info(request, said % {"count": len(parked)})


def send_soon(waiting: Iterable[models.Connection], name: str) -> list[models.Run]:
    """Runs that send what waits for these connections; a system that calls us gets it with its next call."""
    streams_of_orders = {outbox.STREAM_OF[Kind.ORDER], outbox.STREAM_OF[Kind.PAYMENT], outbox.STATUSES_OUT}
    runs = []
    for connection in waiting:
        kind = connectors().get(connection.connector)
        streams = streams_of_orders & set(connection.streams.filter(enabled=True).values_list("stream", flat=True))
        if streams and kind is not None and kind.calls_out:
            runs.append(jobs.ask(connection, sorted(streams), trigger="person", who=name))
    return runs


def ask_by_hand(
    connection: models.Connection,
    connector: Connector | None,
    streams: Sequence[str],
    name: str,
    *,
    since: datetime | None = None,
    go_on: bool = False,
    **args: Any,
) -> models.Run:
    """A run as a person or a program wants it; asking for the same while it waits gives the same run. ``args`` are those of the run:
    preview, only, goods, each. ``since``: read from this moment; ``go_on``: and set the bookmarks there, so that every later run goes
    on from it. Raises NeedsOwner for a stream whose bookmark cannot be set; then none is."""
    if since is not None and go_on and not args.get("preview") and connector is not None:
        with transaction.atomic():
            for stream in streams:
                bookmarks.set_by_hand(connection, connector, stream, "", since, name)
    elif since is not None:
        args["since"] = since.isoformat()
    key = f"{','.join(sorted(streams))}:{mark(sorted(args.items()))}" if args else None
    return jobs.ask(connection, streams, trigger="person", who=name, args=args, key=key)


def resume(connection: models.Connection, name: str) -> bool:
    """End a pause: what waited begins now. False when there was none."""
    ended = connections.resume(connection, name)
    for run_id in models.Run.objects.filter(connection=connection, state="waiting").values_list("pk", flat=True) if ended else ():
        jobs.announce(run_id)
    return ended


def repeatable(run: models.Run) -> bool:
    """Files of a call are gone afterwards, parked records have their own button; all else can simply be done again."""
    return not run.args.keys() - {"only", "preview", "goods", "since", "each", "decided"}


def ask_again(run: models.Run, name: str) -> models.Run:
    """The same run once more; asking again while it waits gives that one. Raises NeedsOwner when its files are gone."""
    if not repeatable(run):
        raise NeedsOwner(FILES_ARE_GONE)
    key = f"{run.streams}:{mark(sorted(run.args.items()))}" if run.args else None
    return jobs.ask(run.connection, run.streams.split(","), trigger="person", who=name, args=run.args, key=key)


def mark(things: object) -> str:
    """Tells runs apart that do different work on the same streams."""
    return hashlib.sha256(repr(things).encode()).hexdigest()[:16]
