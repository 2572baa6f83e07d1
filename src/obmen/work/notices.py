"""Telling people of trouble: once when it begins, again each day while it lasts, and once when it is over.

Each minute ``look`` compares what needs a person (work/watch.py) with what is known, and queues a notice for every channel that
wants it, in one transaction with the note that it was told; ``send`` sends what is due, all of one channel as one message.
Any number of clocks may do both: a trouble is told by whoever changes its row, a channel is sent by whoever has its lease.

A process that is killed between the sending and its note leaves the lease behind; when it ends, the same message is sent once
more. So one message may come twice, and none is lost.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import override

from obmen.core.contract import ExchangeError, TryLater
from obmen.core.schedule import end_of_quiet
from obmen.core.words import gettext_noop as _
from obmen.core.words import plain_facts
from obmen.store.models import FormatPackage, Notice, NoticeChannel, Trouble, TroubleKind
from obmen.store.words import say
from obmen.work import jobs, watch
from obmen.work.watch import Seen

log = logging.getLogger(__name__)

EVERY = 60.0  # seconds between looks
DAY = timedelta(days=1)
AGAIN = {TroubleKind.LICENCE: 3 * DAY}  # how soon one that lasts is told again, where it is not each day
CALM = timedelta(hours=1)  # one that comes back, or says something else, is not told sooner
LEASE = timedelta(minutes=3)  # longer than any sending: net/mail.py, work/channels.py
AT_ONCE = 50  # notices in one message
PAUSES = [timedelta(minutes=m) for m in (1, 2, 5, 15, 30, 60)]  # before the next try; the last one again and again …
TRIES = 28  # … until it is given up, after a day

OVER = {
    TroubleKind.RUN: _("“{connection}”: the exchange works again"),
    TroubleKind.SILENCE: _("“{connection}”: there are exchanges again"),
    TroubleKind.PARKED: _("“{connection}”: no longer many parked records"),
    TroubleKind.LICENCE: _("“{format}”: its licence is in order again"),
    TroubleKind.DISK: _("The disk of {machine} has room again"),
}
STILL = _("Not over yet: {what}")
TEST = _("This is a test: notices of the hub come here")
BROKEN = _("The notice could not be sent because of an unexpected error: {error}")

News = Notice.News
State = Notice.State


# --- finding out -----------------------------------------------------------------------------------------------------------


def look(now: datetime | None = None) -> int:
    """Remember what needs a person and what no longer does; queue the news. Returns how many notices were queued."""
    now = now or timezone.now()
    found = {seen.key: seen for seen in watch.troubles(now)}
    channels = list(NoticeChannel.objects.filter(enabled=True).defer("secrets").prefetch_related("connections"))
    known = {row.key: row for row in Trouble.objects.filter(Q(over=None) | Q(key__in=list(found)))}
    queued = sum(_told(known.get(key), seen, channels, now) for key, seen in found.items())
    gone = [row for key, row in known.items() if key not in found and row.over is None]
    return queued + sum(_over(row, channels, now) for row in gone)


def _told(row: Trouble | None, seen: Seen, channels: Iterable[NoticeChannel], now: datetime) -> int:
    """Bring its row up to date; tell of it when that is due."""
    facts = _facts(seen.facts)
    values: dict[str, Any] = {"run": seen.run, "text": seen.text, "facts": facts, "forgotten": seen.forgotten}
    with transaction.atomic():
        if row is None:
            values |= {"kind": seen.kind, "connection_id": seen.connection, "since": now}
            row, _made = Trouble.objects.get_or_create(key=seen.key, defaults=values)
        else:
            same = Trouble.objects.filter(pk=row.pk, told=row.told, over=row.over)
            soon = row.told + CALM if row.told else None
            if row.over is not None:
                values |= {"over": None, "since": now, "again": soon}
            elif row.text != seen.text and soon and row.again and soon < row.again:
                values["again"] = soon
            if not same.update(**values):
                return 0  # another clock was here: it sees to it
        row.refresh_from_db()
        if row.again is not None and row.again > now:
            return 0
        wanting = [c for c in channels if _wants(c, row)]
        if not wanting:
            return 0
        news = News.STILL if row.told and row.told >= row.since else News.TROUBLE
        mine = Trouble.objects.filter(pk=row.pk, told=row.told, again=row.again)
        if not mine.update(told=now, again=now + AGAIN.get(TroubleKind(row.kind), DAY)):
            return 0
        return _queue(row, news, row.text, wanting, now)


def _over(row: Trouble, channels: Iterable[NoticeChannel], now: datetime) -> int:
    """It is not seen any more. Those who were told of it hear that it is fine, if it is: what was switched off, or is only
    forgotten, ends without a word."""
    if row.kind == TroubleKind.DISK and row.key != watch.disk_key() and row.forgotten and row.forgotten > now:
        return 0
    with transaction.atomic():
        soon = row.told + CALM if row.told else None
        if not Trouble.objects.filter(pk=row.pk, over=None).update(over=now, again=soon):
            return 0
        if not row.told or row.told < row.since or not _is_fine(row, now):
            return 0
        heard = set(Notice.objects.filter(trouble=row, at__gte=row.since).values_list("channel_id", flat=True))
        return _queue(
            row, News.OVER, OVER[TroubleKind(row.kind)], [c for c in channels if c.pk in heard and "over" in c.wants], now
        )


def _is_fine(row: Trouble, now: datetime) -> bool:
    if row.forgotten is not None and row.forgotten <= now:
        return False
    if row.kind == TroubleKind.LICENCE:
        return FormatPackage.objects.filter(key=row.key.partition(":")[2]).exists()
    owner = row.connection
    if owner is None:
        return True
    if not watch.watched([owner], now):
        return False
    if row.kind == TroubleKind.SILENCE:  # perhaps its run fails by now, or more hours are allowed
        heard, before = watch.last_exchange(owner), row.facts.get("since")
        return heard is not None and (before is None or heard > datetime.fromisoformat(before))
    return True


def _wants(channel: NoticeChannel, row: Trouble) -> bool:
    if row.kind not in channel.wants:
        return False
    return row.connection_id is None or channel.everywhere or row.connection_id in {c.pk for c in channel.connections.all()}


def _queue(row: Trouble, news: str, text: str, channels: Iterable[NoticeChannel], now: datetime) -> int:
    made = Notice.objects.bulk_create(
        Notice(
            channel=channel,
            trouble=row,
            kind=row.kind,
            news=news,
            connection_id=row.connection_id,
            run=row.run,
            text=text,
            facts=row.facts,
            at=now,
            due=due(channel, row.kind, news, now),
        )
        for channel in channels
    )
    return len(made)


def due(channel: NoticeChannel, kind: str, news: str, now: datetime) -> datetime:
    """At once, or when the channel's quiet hours are over; trouble with an exchange may come through."""
    if channel.through and kind == TroubleKind.RUN and news != News.OVER:
        return now
    return end_of_quiet(now, ZoneInfo(channel.time_zone), channel.quiet_from, channel.quiet_to)


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """As they are kept; a detail is a sentence with facts of its own."""
    detail = facts.get("detail")
    kept = plain_facts({name: value for name, value in facts.items() if name != "detail"})
    if isinstance(detail, dict):
        kept["detail"] = {"text": str(detail["text"]), "facts": plain_facts(detail.get("facts") or {})}
    return kept


# --- words -----------------------------------------------------------------------------------------------------------------


def worded(notice: Notice | Trouble, zone: ZoneInfo) -> tuple[str, str]:
    """(what it is, what more is known or ""), in the active language; moments in this zone."""
    facts = dict(notice.facts)
    detail = facts.pop("detail", None) if getattr(notice, "news", "") != News.OVER else None
    if "since" in facts:
        facts["since"] = moment(datetime.fromisoformat(facts["since"]), zone)
    title = say(notice.text, facts)
    if getattr(notice, "news", "") == News.STILL:
        title = say(STILL, {"what": title})
    return title, say(detail["text"], detail["facts"]) if detail else ""


def moment(at: datetime, zone: ZoneInfo) -> str:
    return date_format(at.astimezone(zone), "j E, H:i")


def link(notice: Any) -> str:
    """Where to look, as a path of the hub's pages. Written out, since the clock runs without the pages."""
    if notice.kind == TroubleKind.RUN and notice.run:
        return f"/store/run/{notice.run}/change/"
    if notice.kind == TroubleKind.PARKED and notice.connection_id:
        return f"/store/parked/?connection__id__exact={notice.connection_id}"
    if notice.kind == TroubleKind.LICENCE:
        return "/store/formatpackage/"
    if notice.connection_id:
        return f"/store/connection/{notice.connection_id}/change/"
    return "/notices/"


def address(channel: NoticeChannel) -> str:
    """Of the hub, as people reach it; "" when nobody has said."""
    return str(channel.address or settings.OBMEN_PUBLIC_URL).rstrip("/")


def _said(channel: NoticeChannel, notices: Iterable[Notice]) -> list[Any]:
    from obmen.work.channels import Said

    zone, base = ZoneInfo(channel.time_zone), address(channel)
    news = []
    for notice in notices:
        title, detail = worded(notice, zone)
        owner = notice.connection
        news.append(
            Said(
                id=notice.pk or 0,
                title=title,
                detail=detail,
                link=f"{base}{link(notice)}" if base else "",
                at=notice.at.astimezone(zone),
                when=moment(notice.at, zone),
                kind=notice.kind or News.TEST,
                news=notice.news,
                connection={"name": owner.name, "slug": owner.slug} if owner else {},
                run=notice.run,
            )
        )
    return news


# --- sending ---------------------------------------------------------------------------------------------------------------


def send(now: datetime | None = None) -> int:
    """Send what is due, one channel after the other; returns how many notices were taken. A channel that another clock is
    sending by is left to it."""
    ready = Notice.objects.filter(state=State.WAITING, due__lte=now or timezone.now(), channel__enabled=True)
    return sum(_serve(pk, now) for pk in ready.order_by().values_list("channel_id", flat=True).distinct())


def _serve(channel_id: int, now: datetime | None) -> int:
    at, worker = now or timezone.now(), jobs.worker_name()
    channels = NoticeChannel.objects.filter(pk=channel_id)
    free = channels.filter(Q(lease_until=None) | Q(lease_until__lt=at), enabled=True)
    if not free.update(worker=worker, lease_until=at + LEASE):
        return 0
    try:
        channel = channels.get()
        waiting = Notice.objects.filter(channel=channel, state=State.WAITING, due__lte=at).select_related("connection")
        rows = list(waiting.defer("connection__secrets", "connection__settings").order_by("id")[:AT_ONCE])
        return len(rows) if rows and _deliver(channel, rows, at) else 0
    except ExchangeError as error:  # a key of its secrets is missing: the row cannot even be read
        log.warning("notices: %s", error)
        channels.update(text=error.text, facts=plain_facts(error.facts))
        return 0
    finally:
        channels.filter(worker=worker).update(worker="", lease_until=None)


def _deliver(channel: NoticeChannel, rows: list[Notice], at: datetime) -> bool:
    answer, error = _try(channel, rows)
    its = Notice.objects.filter(pk__in=[row.pk for row in rows])
    if error is None:
        its.update(state=State.SENT, sent=at, tries=F("tries") + 1, answer=answer, answer_facts={})
        return True
    log.warning("notices by %s: %s", channel.name, error)
    said = {"answer": error.text, "answer_facts": plain_facts(error.facts)}
    asked = error.after if isinstance(error, TryLater) else timedelta()
    for row in rows:
        tries = row.tries + 1
        if tries >= TRIES:
            Notice.objects.filter(pk=row.pk).update(state=State.FAILED, tries=tries, **said)
            continue
        pause = max(asked, PAUSES[min(tries, len(PAUSES)) - 1])
        Notice.objects.filter(pk=row.pk).update(tries=tries, due=at + pause, **said)
    return False


def _try(channel: NoticeChannel, rows: list[Notice]) -> tuple[str, ExchangeError | None]:
    """(what the other side answered, what went wrong)."""
    from obmen.work import channels  # an HTTP client, which most commands never need

    error: ExchangeError | None = None
    answer = ""
    try:
        with override(channel.language):
            answer = channels.deliver(channel, _said(channel, rows))[:500]
    except ExchangeError as raised:
        error = raised
    except Exception as raised:
        log.exception("notices by %s: unexpected error", channel.name)
        error = ExchangeError(BROKEN, error=type(raised).__name__)
    kept = NoticeChannel.objects.filter(pk=channel.pk)
    if error is None:
        kept.update(taken=timezone.now(), text="", facts={})
    else:
        kept.update(text=error.text, facts=plain_facts(error.facts))
    return answer, error


def test(channel: NoticeChannel) -> Notice:
    """Send a test now and once; the notice says what came of it. Raises NeedsOwner when a secret cannot be read."""
    notice = Notice(channel=channel, news=News.TEST, text=TEST, tries=1)
    answer, error = _try(channel, [notice])
    notice.state = State.SENT if error is None else State.FAILED
    notice.sent = timezone.now() if error is None else None
    notice.answer, notice.answer_facts = (answer, {}) if error is None else (error.text, plain_facts(error.facts))
    notice.save()
    return notice


def run(stop: threading.Event) -> None:
    """Look and send each minute until told to stop. Blocks; a slow mail server keeps nothing but notices waiting."""
    try:
        while not stop.wait(EVERY):
            try:
                look()
                send()
            except DatabaseError as error:
                log.warning("notices could not be looked for: %s", error)
                connection.close()
            except Exception:
                log.exception("notices: unexpected error")
            connection.close()
    finally:
        connection.close()
