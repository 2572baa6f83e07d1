"""Notices over the API: who is told of trouble and how, and what became of each notice."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as now_
from ninja import Status

from obmen.core.contract import ExchangeError
from obmen.store import journal, models
from obmen.store import notices as channels
from obmen.store.visibility import is_limited
from obmen.web import notices as pages
from obmen.web.api import shapes
from obmen.web.api.access import who
from obmen.web.api.books import Row, filtered, found
from obmen.web.api.operations import Id, operation, router
from obmen.web.api.paging import USUAL, Cursor, Limit, page
from obmen.web.api.problems import Problem, confirmed, storable, told
from obmen.web.words import say
from obmen.work import notices

COMMON = ("name", "enabled", "wants", "language", "time_zone", "quiet_from", "quiet_to", "through", "address")


def _one(request: HttpRequest, pk: int) -> models.NoticeChannel:
    row: models.NoticeChannel = found(request, models.NoticeChannel.objects.prefetch_related("connections"), pk)
    return row


def _channel(row: models.NoticeChannel) -> dict[str, Any]:
    clock = {name: at.strftime("%H:%M") if (at := getattr(row, name)) else None for name in ("quiet_from", "quiet_to")}
    return {
        "id": row.pk,
        "way": row.way,
        **{name: getattr(row, name) for name in COMMON},
        **clock,
        "connections": None if row.everywhere else [shapes.named(c) for c in row.connections.all()],
        "settings": row.settings,
        "trouble": say(row.text, row.facts),
    }


@operation(
    router,
    "GET",
    "/notices/channels",
    list[shapes.Channel],
    scopes=("settings.read",),
    permission="store.view_noticechannel",
    tags=["notices"],
)
def list_channels(request: HttpRequest) -> Any:
    """By which ways people are told of trouble, and of what."""
    rows = models.NoticeChannel.objects.defer("secrets").prefetch_related("connections")
    return [_channel(row) for row in rows]


@operation(
    router,
    "GET",
    "/notices/channels/{channel}",
    shapes.Channel,
    scopes=("settings.read",),
    permission="store.view_noticechannel",
    tags=["notices"],
)
def get_channel(request: HttpRequest, channel: Id) -> Any:
    """One way of telling people."""
    return _channel(_one(request, channel))


@operation(
    router,
    "POST",
    "/notices/channels",
    shapes.ChannelMade,
    scopes=("settings.write",),
    permission="store.add_noticechannel",
    ok=201,
    tags=["notices"],
)
def add_channel(request: HttpRequest, new: shapes.ChannelNew) -> Any:
    """Add a way of telling people; send a test by it afterwards. Of a name there is one, so a repeated call adds nothing twice."""
    return Status(201, _saved(request, models.NoticeChannel(way=new.way), new))


@operation(
    router,
    "PATCH",
    "/notices/channels/{channel}",
    shapes.ChannelMade,
    scopes=("settings.write",),
    permission="store.change_noticechannel",
    tags=["notices"],
)
def change_channel(request: HttpRequest, channel: Id, change: shapes.ChannelChange) -> Any:
    """Change what is named; the rest stays, secrets too. What waits for a channel that is switched off is dropped."""
    return _saved(request, _one(request, channel), change)


def _saved(request: HttpRequest, row: models.NoticeChannel, said: shapes.ChannelChange) -> dict[str, Any]:
    """By the form of the page, which knows what each way needs."""
    kind = pages.FORMS[row.way]
    own = {*kind.where, kind.secret, *(("target", "secret_value") if row.way == "webhook" else ())}
    own -= {"secret"} if row.way == "webhook" else set()
    change = said.dict(exclude_unset=True)
    change.pop("way", None)
    place = change.pop("settings", None) or {}
    storable(place)
    if unknown := sorted(place.keys() - own):
        known = now_("There is no such setting; there are: %(names)s.") % {"names": ", ".join(sorted(own))}
        raise Problem("invalid", errors=[(f"body.settings.{name}", known) for name in unknown])
    data: dict[str, Any] = pages.initial(request, row)
    data.setdefault("name", "")
    if "connections" in change:
        chosen = change.pop("connections")
        data |= {"scope": "", "connections": []} if chosen is None else {"scope": "chosen", "connections": chosen}
    data |= {name: value for name, value in change.items() if value is not None or name.startswith("quiet_")}
    data |= {name: "\n".join(value) if isinstance(value, list) else value for name, value in place.items()}
    form = kind(row, {name: "" if value is None else value for name, value in data.items()})
    if not form.is_valid():
        wrong = [(_place(name, own), text) for name, texts in form.errors.items() for text in texts]
        raise Problem("invalid", errors=wrong)
    row = channels.save(row, form.values(), form.hidden(), form.cleaned_data["connections"], who(request))
    return _channel(_one(request, row.pk)) | {"secret": getattr(form, "made", "") or None}


def _place(name: str, own: set[str]) -> str:
    return "body" if name == "__all__" else f"body.settings.{name}" if name in own else f"body.{name}"


@operation(
    router,
    "DELETE",
    "/notices/channels/{channel}",
    None,
    scopes=("settings.write",),
    permission="store.delete_noticechannel",
    ok=204,
    also=(409,),
    tags=["notices"],
)
def remove_channel(request: HttpRequest, channel: Id, confirm: bool = False) -> Any:
    """Remove a way of telling people, with all that it was told. To stop it for a while, switch it off."""
    row = _one(request, channel)
    confirmed(confirm, *pages.removal(row))
    channels.remove(row, who(request))
    return Status(204, None)


@operation(
    router,
    "POST",
    "/notices/channels/{channel}/test",
    shapes.Tested,
    scopes=("settings.write",),
    permission="store.change_noticechannel",
    tags=["notices"],
)
def test_channel(request: HttpRequest, channel: Id) -> Any:
    """Send a test now and say what came of it. Calls out: it may take a minute."""
    row = _one(request, channel)
    try:
        sent = notices.test(row)
    except ExchangeError as error:
        raise told(error) from None
    journal.note(None, "notices.tested", who(request), name=row.name)
    return {"sent": sent.state == models.Notice.State.SENT, "answer": say(sent.answer, sent.answer_facts)}


@operation(
    router,
    "GET",
    "/notices",
    shapes.Page[shapes.Notice],
    scopes=("journal.read",),
    permission="store.view_notice",
    tags=["notices"],
)
def list_notices(
    request: HttpRequest, channel: Row = None, connection: Row = None, limit: Limit = USUAL, cursor: Cursor = None
) -> Any:
    """What was sent, the newest first, and what came of it."""
    rows = models.Notice.objects.select_related("channel", "connection").defer(
        "channel__secrets", "connection__secrets", "connection__settings"
    )
    items, following = page(filtered(rows, channel=channel, connection=connection), ("-id",), cursor, limit)
    if is_limited(request.user):
        pages.veiled(items)
    pages.dressed(items)
    return {"items": [_notice(row) for row in items], "next": following}


def _notice(row: Any) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in ("id", "at", "kind", "news", "title", "detail", "state", "sent", "tries")},
        "answer": row.answered,
        "channel": shapes.named(row.channel),
        "connection": shapes.named(row.connection),
    }


@operation(
    router,
    "POST",
    "/notices/{notice}/again",
    shapes.Changed,
    scopes=("settings.write",),
    permission="store.change_noticechannel",
    also=(409,),
    tags=["notices"],
)
def send_notice_again(request: HttpRequest, notice: Id) -> Any:
    """Try a notice that could not be sent again, within a minute."""
    row = found(request, models.Notice.objects.all(), notice)
    if not row.kind or not channels.try_again(row):
        raise Problem("already_over", now_("It was sent already, or is dropped."))
    return {"changed": [str(row.pk)]}
