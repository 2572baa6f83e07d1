"""The hub as a connector that calls out sees it (core/contract.py: Hub): mappings, messages, notes, and the books to read."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings as hub
from django.db.models import F
from django.utils import timezone

from obmen.core.contract import Mapped
from obmen.core.records import Kind, Subject
from obmen.core.words import gettext_noop as _
from obmen.core.words import plain_facts
from obmen.store import mappings, models, notes
from obmen.store.reading import Books

LINES = 1000  # different messages that one run keeps; what the records are parked for stands with them
EXAMPLES = 20  # lines of one message with different facts; the rest of them is one line with their count
REST = "rest"  # in the place of their facts
MORE = _("Further ones for the same reason, for example: {error}")
LINKED: Mapping[Kind, Any] = {Kind.OFFER: models.Offer, Kind.ORDER: models.Order, Kind.COUNTERPARTY: models.Counterparty}
STEP = 0.2  # seconds: how often a wait looks whether the run is to stop


class DjangoHub:
    """One run's, or one page action's, view of the hub. Not for sharing between threads, but for ``sleep`` and ``exchanged``.

    ``stop`` raises when the run is told to stop. Messages and counts of unmapped values are kept until ``flush``: a source may
    parse a page twice, and nothing is written while it waits for the network.
    """

    def __init__(
        self,
        connection: models.Connection,
        run: models.Run | None = None,
        stop: Callable[[], None] | None = None,
        preview: bool = False,
        picked: bool = False,
    ) -> None:
        self.connection, self.run, self.preview, self.picked = connection, run, preview, picked
        self.name, self.zone = connection.name, ZoneInfo(connection.time_zone)
        self.books = Books()
        self.folder = Path(hub.OBMEN_HOME)
        self.trust = Path(hub.OBMEN_CA_FILE) if hub.OBMEN_CA_FILE else None
        self.allow_private = bool(hub.OBMEN_ALLOW_PRIVATE)
        self._stop = stop
        self._said: dict[tuple[str, str, str], tuple[Mapping[str, object], int]] = {}
        self._met: set[tuple[str, str, str]] = set()  # messages that have a line of their own
        self._examples: Counter[tuple[str, str]] = Counter()  # how many of them have the same text
        self._unmapped: dict[tuple[str, str], tuple[str, int]] = {}
        self._lines: dict[tuple[str, str, str], int] = {}  # rows of what this run has said already
        self._calls: list[Any] = []
        self._tables: dict[tuple[str, str], Sequence[Mapped]] = {}  # a run asks for each table again for every stream

    def now(self) -> datetime:
        return timezone.now()

    def sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while True:
            if self._stop is not None:
                self._stop()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, STEP))

    # --- mappings ---

    @cached_property
    def _decided(self) -> dict[str, list[tuple[models.Mapping, Mapped]]]:
        """The rows of every subject as they were when the first was asked for: all that is asked of one hub fits together. An action that
        changes mappings asks a new hub for what comes after."""
        found: dict[str, list[tuple[models.Mapping, Mapped]]] = {}
        for row in mappings.decided(self.connection, "each"):
            found.setdefault(row.subject, []).append((row, mappings.mapped(row)))
        return found

    @cached_property
    def _incoming(self) -> dict[tuple[str, str], Mapped]:
        found: dict[tuple[str, str], Mapped] = {}
        for subject in self._decided:
            for row in self.rows(subject, "in"):
                found.setdefault((subject, row.theirs), row)
        return found

    @cached_property
    def _outgoing(self) -> dict[tuple[str, str], list[Mapped]]:
        found: dict[tuple[str, str], list[Mapped]] = {}
        for subject in self._decided:
            for row in self.rows(subject, "out"):
                if row.ours:
                    found.setdefault((subject, row.ours), []).append(row)
        return found

    def incoming(self, subject: Subject, theirs: str) -> Mapped | None:
        return self._incoming.get((subject, theirs))

    def outgoing(self, subject: Subject, ours: str) -> Sequence[Mapped]:
        return self._outgoing.get((subject, ours), ())

    def rows(self, subject: str, direction: str) -> Sequence[Mapped]:
        if (subject, direction) not in self._tables:
            table = self._decided.get(subject, ())
            self._tables[subject, direction] = [row for kept, row in table if mappings.goes(kept, direction)]
        return self._tables[subject, direction]

    def unmapped(self, subject: Subject, theirs: str, name: str = "") -> None:
        _name, count = self._unmapped.get((subject, theirs), ("", 0))
        self._unmapped[subject, theirs] = name or _name, count + 1

    # --- links ---

    def linked_keys(self, kind: Kind, theirs: Sequence[str]) -> Mapping[str, str]:
        ids = dict(
            models.Link.objects.filter(connection=self.connection, kind=kind, external_id__in=list(theirs)).values_list(
                "external_id", "record_id"
            )
        )
        keys = dict(LINKED[kind].objects.filter(pk__in=list(ids.values())).values_list("pk", "key"))
        return {external: keys[pk] for external, pk in ids.items() if pk in keys}

    # --- messages, calls ---

    def report(self, level: str, text: str, **facts: object) -> None:
        plain = plain_facts(facts)
        key = (level, text, repr(sorted(plain.items())))
        if key not in self._met:
            if self._examples[level, text] >= EXAMPLES:
                key = level, text, REST
            else:
                self._examples[level, text] += 1
                self._met.add(key)
        first, count = self._said.get(key, (plain, 0))
        self._said[key] = first, count + 1

    def exchanged(self, exchange: Any) -> None:
        self._calls.append(exchange)

    def flush(self) -> None:
        """Write down what was said since the last time; call it outside of transactions that may be rolled back."""
        said, self._said = self._said, {}
        unmapped, self._unmapped = self._unmapped, {}
        calls, self._calls = self._calls, []
        if self.run is not None and said:
            self._write_lines(said)
        if not self.preview:
            for (subject, theirs), (name, count) in unmapped.items():
                mappings.report(self.connection, subject, theirs, name, count)
        if calls:  # of nothing it would still begin a transaction, and wait on SQLite for whoever writes
            models.Message.objects.bulk_create(message(self.connection, self.run, call) for call in calls)

    def _write_lines(self, said: Mapping[tuple[str, str, str], tuple[Mapping[str, object], int]]) -> None:
        fresh = []
        for key, (facts, count) in said.items():
            if key in self._lines:
                models.RunLine.objects.filter(pk=self._lines[key]).update(count=F("count") + count)
            elif len(self._lines) + len(fresh) < LINES:
                of_all = key[2] == REST
                told = {
                    "text": MORE if of_all else key[1],
                    "facts": {"error": {"text": key[1], "facts": facts}} if of_all else facts,
                }
                fresh.append((key, models.RunLine(run=self.run, level=key[0], count=count, **told)))
        made = models.RunLine.objects.bulk_create(line for _key, line in fresh)
        self._lines.update((key, line.pk) for (key, _line), line in zip(fresh, made, strict=True))

    # --- notes ---

    def recall(self, name: str) -> Any:
        return notes.recall(self.connection, name)

    def remember(self, name: str, value: Any) -> None:
        notes.remember(self.connection, name, value)


def message(connection: models.Connection, run: models.Run | None, call: Any) -> models.Message:
    """One call of ours for the journal; ``call`` is an ``obmen.net`` Exchange, secrets already masked."""
    return models.Message(
        connection=connection,
        direction="out",
        session=f"run {run.pk}" if run else "",
        call=f"{call.method} {call.url}"[:500],
        status=call.status or 0,
        answer=(call.answer or call.error)[:500],
        bytes_in=call.bytes_in,
        bytes_out=call.bytes_out,
        milliseconds=call.milliseconds,
    )
