"""What the hub gives a door, over the database: sessions, received files, runs, the outbox (design law 5), the journal."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings as hub
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext, override

from obmen import registry
from obmen.core.contract import BadRecord, DoorSession, Job, Pending
from obmen.core.records import Kind, OrderLine, Payment, Reference, Shipment, Subject, plain
from obmen.core.records import Order as OrderRecord
from obmen.core.words import said_facts
from obmen.store import notes, outbox, tallies, timeline
from obmen.store.journal import note
from obmen.store.models import (
    Connection,
    DoorSessionRow,
    JournalEntry,
    Mapping,
    Message,
    Order,
    Outbox,
    Parked,
    Run,
)
from obmen.store.models import OrderLine as OrderLineRow
from obmen.store.models import Payment as PaymentRow
from obmen.store.models import Reference as ReferenceRow
from obmen.store.models import Shipment as ShipmentRow
from obmen.store.orders import PLAIN_FIELDS, counterparty_from, delivery_from, pairs

PAGE = 500
TOUCH = timedelta(minutes=1)  # how often a session's last call is written: thousands of pictures come in one session
POLL = (0.02, 0.3)  # seconds between looks at a run: at first, at most
STREAMS_OF = {"sale": ("orders-in",), "deactivate": ("sweep",)}  # of a run by the type of an import; goods for the rest
GOODS = ("products-in", "prices-in", "stock-in")

Ask = Callable[..., Run]  # work.jobs.ask; given in, since the store stands below the queue


class DjangoDoorHost:
    """One host serves one call of one connection. ``ask`` queues a run, as work.jobs.ask does."""

    def __init__(self, connection: Connection, settings: Any, ask: Ask) -> None:
        self.connection, self.settings, self._ask = connection, settings, ask
        self.name = connection.name
        self.zone = ZoneInfo(connection.time_zone)
        self.cookie = ""  # of the session that this call turned out to belong to

    @cached_property
    def streams(self) -> frozenset[str]:
        off = set(self.connection.streams.filter(enabled=False).values_list("stream", flat=True))
        return frozenset(registry.connector(self.connection.connector).streams) - off

    def now(self) -> datetime:
        return timezone.now()

    def say(self, text: str, **facts: object) -> str:
        with override(self.connection.language):
            said = gettext(text)
            return said.format(**said_facts(facts, gettext)) if facts else said

    # --- sessions ----------------------------------------------------------------------------------------------------------

    def open_session(self, user: str, data: dict[str, Any]) -> DoorSession:
        row = DoorSessionRow.objects.create(connection=self.connection, cookie=secrets.token_hex(16), user=user, data=data)
        Connection.objects.filter(pk=self.connection.pk).update(last_call=row.created)
        self.cookie = row.cookie
        return DoorSession(row.cookie, row.user, row.created, row.data)

    def session(self, cookie: str) -> DoorSession | None:
        row = live_session(cookie, self.settings.session_hours)
        if row is None or row.connection_id != self.connection.pk:
            return None
        now = timezone.now()
        if now - row.last_call > TOUCH:
            DoorSessionRow.objects.filter(pk=row.pk).update(last_call=now)
            Connection.objects.filter(pk=self.connection.pk).update(last_call=now)
        self.cookie = cookie
        return DoorSession(row.cookie, row.user, row.created, row.data)

    def save(self, session: DoorSession) -> None:
        DoorSessionRow.objects.filter(cookie=session.cookie).update(data=session.data, last_call=timezone.now())

    def folder(self, session: DoorSession) -> Path:
        folder = hub.OBMEN_HOME / "exchange" / self.connection.slug / session.cookie
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Path(folder)

    # --- runs --------------------------------------------------------------------------------------------------------------

    def ask_import(self, session: DoorSession, files: Sequence[Path], type: str, key: str) -> Job:
        """The same key gives the same run for as long as it is good: one that failed is tried anew when they ask again."""
        short = "door:" + hashlib.sha256(key.encode()).hexdigest()[:40]
        run = Run.objects.filter(connection=self.connection, unique_key=f"{self.connection.pk}:{short}").order_by("-id").first()
        if run is None or run.state in (Run.State.FAILED, Run.State.STOPPED, Run.State.NEEDS_OWNER, Run.State.POSTPONED):
            streams = STREAMS_OF.get(type) or tuple(s for s in GOODS if s in self.streams)
            args: dict[str, Any] = {"files": [str(f) for f in files], "type": type, "session": session.cookie}
            if files and type not in STREAMS_OF:
                args["folder"] = str(files[0].parent)  # documents name pictures from where they themselves stand
            if type == "deactivate":
                args["over"] = True
            run = self._ask(self.connection, streams, trigger="door", who=session.user, args=args, key=short)
        return self._job(run)

    def wait(self, job: Job, seconds: float) -> Job:
        end, pause = time.monotonic() + seconds, POLL[0]
        while not job.finished and (left := end - time.monotonic()) > 0:
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, POLL[1])
            job = self._job(Run.objects.get(pk=job.id))
        return job

    def _job(self, run: Run) -> Job:
        facts = dict(run.facts)
        if "msgid" in facts:  # the reason, in the reader's language too
            facts["error"] = self.say(facts["msgid"], **facts)
        text = self.say(run.text, **facts) if run.text else ""
        return Job(run.pk, run.state, run.percent, run.counts, text)

    # --- the outbox --------------------------------------------------------------------------------------------------------

    def pending_orders(self) -> Iterator[Pending]:
        """By keyset, so that confirmations and new changes beside it neither double nor skip an order, and no transaction is kept
        open while a slow client reads."""
        after: tuple[datetime, int] | None = None
        while True:
            rows = outbox.pending(self.connection, Kind.ORDER).order_by("since", "id")
            if after is not None:
                rows = rows.filter(since__gte=after[0]).exclude(since=after[0], id__lte=after[1])
            page = list(rows.values_list("since", "id", "record_id")[:PAGE])
            if not page:
                return
            after = page[-1][:2]
            orders = read_orders([record_id for _since, _id, record_id in page])
            yield from (orders[record_id] for _since, _id, record_id in page if record_id in orders)

    def offer(self, session: DoorSession, pending: Sequence[tuple[int, int]]) -> None:
        now = timezone.now()
        ours = Outbox.objects.filter(connection=self.connection, kind=Kind.ORDER)
        with transaction.atomic():
            row = DoorSessionRow.objects.select_for_update().get(cookie=session.cookie)
            session.data["offered"] = [*row.data.get("offered", ()), *(list(pair) for pair in pending)]
            row.data, row.last_call = session.data, now
            row.save(update_fields=["data", "last_call"])
            by_revision: dict[int, list[int]] = {}
            for record_id, revision in pending:
                by_revision.setdefault(revision, []).append(record_id)
            for revision, ids in by_revision.items():
                ours.filter(record_id__in=ids, revision=revision).update(
                    offered_revision=revision, offered_in=session.cookie, offered_at=now, offers=F("offers") + 1
                )
            timeline.note_again(timeline.What.OFFERED, self.connection, Kind.ORDER, pending, now)
            told = [str(record_id) for record_id, _revision in pending]
            Parked.objects.filter(connection=self.connection, direction="out", kind=Kind.ORDER, external_id__in=told).delete()

    def confirm(self, session: DoorSession) -> int:
        """Exactly the revisions that this session was offered; an order that was changed meanwhile stays."""
        count = 0
        with transaction.atomic():
            row = DoorSessionRow.objects.select_for_update().get(cookie=session.cookie)
            offered = {(int(record_id), int(revision)) for record_id, revision in row.data.pop("offered", ())}
            row.save(update_fields=["data"])
            ids = sorted(record_id for record_id, _revision in offered)
            for at in range(0, len(ids), PAGE):
                found = Outbox.objects.select_for_update().filter(
                    connection=self.connection, kind=Kind.ORDER, record_id__in=ids[at : at + PAGE]
                )
                told = [o for o in found if (o.record_id, o.revision) in offered]
                Outbox.objects.filter(pk__in=[o.pk for o in told]).delete()
                confirmed = [(o.record_id, o.revision) for o in told]
                outbox.note_told(self.connection, Kind.ORDER, confirmed)
                timeline.note(timeline.What.DELIVERED, self.connection, Kind.ORDER, confirmed, timezone.now(), who=session.user)
                JournalEntry.objects.bulk_create(
                    JournalEntry(
                        who=session.user,
                        connection=self.connection,
                        action="order.delivered",
                        record_kind=Kind.ORDER,
                        record_id=o.record_id,
                        facts={"revision": o.revision, "session": session.cookie[:8]},
                    )
                    for o in told
                )
                count += len(told)
            tallies.add(self.connection.pk, {tallies.ORDERS_OUT: count}, timezone.now())
        session.data.pop("offered", None)
        return count

    def park_order(self, record_id: int, error: BadRecord) -> None:
        now = timezone.now()
        revision = Order.objects.filter(pk=record_id).values_list("revision", flat=True).first() or 0
        refused = timeline.What.REFUSED
        timeline.note_again(refused, self.connection, Kind.ORDER, [(record_id, revision)], now, errors={record_id: error})
        values = {"text": error.text, "facts": plain(error.facts), "last_at": now}
        parked, made = Parked.objects.get_or_create(
            connection=self.connection,
            direction="out",
            kind=Kind.ORDER,
            external_id=str(record_id),
            defaults={**values, "first_at": now},
        )
        if not made:
            Parked.objects.filter(pk=parked.pk).update(**values, tries=F("tries") + 1)

    # --- words -------------------------------------------------------------------------------------------------------------

    @cached_property
    def _references(self) -> dict[str, list[Reference]]:
        found: dict[str, list[Reference]] = {}
        for row in ReferenceRow.objects.filter(
            subject__in=[Subject.ORDER_STATE, Subject.PAYMENT_KIND, Subject.DELIVERY], deleted=False
        ):
            attributes = tuple((str(k), str(v)) for k, v in row.attributes.items())
            found.setdefault(row.subject, []).append(Reference(Subject(row.subject), row.key, row.name, attributes))
        return found

    def references(self, subject: Subject) -> Sequence[Reference]:
        return self._references.get(subject, [])

    @cached_property
    def _mapped(self) -> dict[tuple[str, str], tuple[str, str]]:
        rows = Mapping.objects.filter(connection=self.connection, outbound=True).exclude(ours="").order_by("-pk")
        return {(row.subject, row.ours): (row.theirs, row.theirs_name) for row in rows}

    def theirs(self, subject: Subject, ours: str) -> str | None:
        return self._mapped.get((subject, ours), (None, None))[0]

    def theirs_name(self, subject: Subject, ours: str) -> str | None:
        return self._mapped.get((subject, ours), (None, None))[1]

    # --- notes -------------------------------------------------------------------------------------------------------------

    def recall(self, name: str) -> Any:
        return notes.recall(self.connection, name)

    def remember(self, name: str, value: Any) -> None:
        notes.remember(self.connection, name, value)

    def journal(self, action: str, **facts: object) -> None:
        note(self.connection, action, self.name, **facts)

    def note_message(self, **values: Any) -> None:
        """One call as a row of traffic, its texts already without secrets."""
        Message.objects.create(connection=self.connection, session=self.cookie, **values)


LINE = (
    "offer", "name", "quantity", "price", "total", "article", "kind", "unit", "discount", "vat_rate", "vat_amount", "ratio",
)  # fmt: skip
PAYMENT = ("key", "amount", "method", "method_key", "gateway", "number", "date", "paid", "refund", "currency")
SHIPMENT = ("key", "number", "date", "shipped", "tracking", "method", "amount")


def read_orders(ids: Sequence[int]) -> dict[int, Pending]:
    """Orders with their parts by row id. Through plain rows: model instances and prefetching cost three times as much as writing the
    whole XML. The head is read first, so that parts can only be newer than the revision that is offered, never older."""
    heads = list(
        Order.objects.filter(pk__in=ids).values_list("pk", "revision", "key", "buyer", "delivery", "requisites", *PLAIN_FIELDS)
    )
    lines: dict[int, list[OrderLine]] = {}
    rows: Any = OrderLineRow.objects.filter(order__in=ids).order_by("order", "position")
    for order, options, requisites, *values in rows.values_list("order", "options", "requisites", *LINE):
        line = OrderLine(**dict(zip(LINE, values, strict=True)), options=pairs(options), requisites=pairs(requisites))
        lines.setdefault(order, []).append(line)
    keys = {pk: key for pk, _revision, key, *_rest in heads}
    payments: dict[int, list[Payment]] = {}
    rows = PaymentRow.objects.filter(order__in=ids).order_by("order", "pk")
    for order, requisites, *values in rows.values_list("order", "requisites", *PAYMENT):
        if order in keys:
            payment = Payment(**dict(zip(PAYMENT, values, strict=True)), order=keys[order], requisites=pairs(requisites))
            payments.setdefault(order, []).append(payment)
    shipments: dict[int, list[Shipment]] = {}
    rows = ShipmentRow.objects.filter(order__in=ids).order_by("order", "pk")
    for order, requisites, *values in rows.values_list("order", "requisites", *SHIPMENT):
        if order in keys:
            shipment = Shipment(**dict(zip(SHIPMENT, values, strict=True)), order=keys[order], requisites=pairs(requisites))
            shipments.setdefault(order, []).append(shipment)
    return {
        pk: Pending(
            pk,
            revision,
            OrderRecord(
                key=key,
                **dict(zip(PLAIN_FIELDS, values, strict=True)),
                counterparty=counterparty_from(buyer) if buyer else None,
                lines=tuple(lines.get(pk, ())),
                delivery=delivery_from(delivery) if delivery else None,
                payments=tuple(payments.get(pk, ())),
                shipments=tuple(shipments.get(pk, ())),
                requisites=pairs(requisites),
            ),
        )
        for pk, revision, key, buyer, delivery, requisites, *values in heads
    }


def live_session(cookie: str, hours: int) -> DoorSessionRow | None:
    """The session of that cookie with its connection and account, or None when it is unknown or has been silent for too long."""
    if not cookie:
        return None
    rows = DoorSessionRow.objects.select_related("connection__account")
    return rows.filter(cookie=cookie, last_call__gte=timezone.now() - timedelta(hours=hours)).first()
