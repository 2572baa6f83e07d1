"""The ways by which notices go: e-mail, Telegram, webhook. Each takes one message with any number of notices."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from django.conf import settings
from django.utils.translation import gettext, ngettext

from obmen.core.contract import NeedsOwner
from obmen.core.words import gettext_noop as _
from obmen.net import mail
from obmen.net.client import Client, Response, Retry, Timeouts, to_json
from obmen.net.pace import FileSlots, Pace
from obmen.store.models import NoticeChannel

BOTS = "https://api.telegram.org"
LONGEST = 4096  # characters of a Telegram message


@dataclass(frozen=True, slots=True)
class Said:
    """A notice in the words of its channel's reader. ``at`` is aware, ``when`` the same in the reader's time and words; ``link``
    is "" where the hub does not know its own address."""

    id: int
    title: str
    detail: str
    link: str
    at: datetime
    when: str
    kind: str
    news: str
    connection: Mapping[str, str] = field(default_factory=dict)  # {"name", "slug"}
    run: int | None = None

    @property
    def text(self) -> str:
        return "\n".join(filter(None, (self.title, self.detail, self.when, self.link)))


def deliver(channel: NoticeChannel, news: Sequence[Said]) -> str:
    """Send all of it as one message, in the language that is active; what the other side answered.

    Raises NeedsOwner (something is set up wrong) or TryLater. The same message twice carries the same mark.
    """
    return {"email": _email, "telegram": _telegram, "webhook": _webhook}[channel.way](channel, news)


def _mark(news: Sequence[Said]) -> str:
    return hashlib.sha256(repr([n.id for n in news]).encode()).hexdigest()[:24]


def _trust() -> Path | None:
    return Path(settings.OBMEN_CA_FILE) if settings.OBMEN_CA_FILE else None


# --- e-mail ----------------------------------------------------------------------------------------------------------------


def mail_server(channel: NoticeChannel) -> tuple[mail.Server, bool]:
    """The channel's own server, else the hub's; and whether it may stand in a private network. Raises NeedsOwner."""
    own = channel.settings
    if own.get("host"):
        server = mail.Server(
            own["host"],
            own.get("sender", ""),
            own.get("security", "starttls"),
            int(own.get("port") or 0),
            own.get("login", ""),
            channel.secrets.get("password", ""),
        )
        return server, settings.OBMEN_ALLOW_PRIVATE
    if settings.OBMEN_EMAIL_URL:  # whoever sets the hub's variables may reach its network anyway
        return mail.read_url(settings.OBMEN_EMAIL_URL), True
    raise NeedsOwner(_("No mail server is known: enter one in the channel, or set OBMEN_EMAIL_URL"))


def _email(channel: NoticeChannel, news: Sequence[Said]) -> str:
    server, private = mail_server(channel)
    count = len(news)
    subject = news[0].title if count == 1 else ngettext("%(count)s notice", "%(count)s notices", count) % {"count": count}
    body = "\n\n".join(n.text for n in news)
    foot = gettext("Obmen tells this by the channel “%(name)s”.") % {"name": channel.name}
    return mail.send(
        server,
        channel.settings["to"],
        f"Obmen: {_line(subject)}"[:200],
        f"{body}\n\n-- \n{foot}\n",
        mark=f"obmen-{channel.pk}-{_mark(news)}",
        trust=_trust(),
        allow_private=private,
    )


def _line(text: str) -> str:
    return " ".join(text.split())


# --- by HTTP ---------------------------------------------------------------------------------------------------------------


def _post(channel: NoticeChannel, base: str, path: str, body: bytes, headers: Mapping[str, str]) -> Response:
    """One attempt: the queue of notices does the rest. A call that may have been taken is made again, since a notice that
    comes twice does less harm than one that never comes."""
    pace = Pace(f"notices {channel.pk}", 1, burst=5, slots=FileSlots(settings.OBMEN_HOME / "paces.sqlite3"))
    client = Client(
        base,
        pace=pace,
        timeouts=Timeouts(connect=10, silence=20, whole=40),
        retry=Retry(attempts=1),
        max_bytes=100_000,
        trust=_trust(),
        allow_private=settings.OBMEN_ALLOW_PRIVATE,
        secrets=channel.secrets.values(),
    )
    with client:
        return client.call("POST", path, safe=True, content=body, headers={"content-type": "application/json", **headers})


def _telegram(channel: NoticeChannel, news: Sequence[Said]) -> str:
    said = {"chat_id": channel.settings["chat"], "text": _fitting(news), "disable_web_page_preview": True}
    path = f"/bot{channel.secrets.get('token', '')}/sendMessage"
    response = _post(channel, channel.settings.get("api") or BOTS, path, to_json(said).encode(), {})
    answer = _object(response.body)
    if response.status == 200 and answer.get("ok") is True:
        result = answer.get("result")
        return f"message {result.get('message_id')}" if isinstance(result, dict) else "ok"
    reason = str(answer.get("description") or f"HTTP {response.status}")[:300]
    parameters = answer.get("parameters")
    if isinstance(parameters, dict) and parameters.get("migrate_to_chat_id"):
        raise NeedsOwner(_("The group has a new id in Telegram: enter {chat} as chat"), chat=parameters["migrate_to_chat_id"])
    if response.status in (401, 404):
        raise NeedsOwner(_("Telegram does not know this bot ({reason}): enter the token that @BotFather gives"), reason=reason)
    if response.status == 403 or "chat not found" in reason.lower():
        raise NeedsOwner(
            _("The bot may not write to this chat ({reason}): open it in Telegram and press Start, or add it to the group"),
            reason=reason,
        )
    raise NeedsOwner(_("Telegram does not take the message: {reason}"), reason=reason)


def _object(body: bytes) -> dict[str, Any]:
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _fitting(news: Sequence[Said]) -> str:
    """As many notices as fit into one message, and how many more there are: the log of the hub has all of them."""
    parts: list[str] = []
    left = LONGEST - 100
    for said in news:
        if len(said.text) + 2 > left:
            break
        parts.append(said.text)
        left -= len(said.text) + 2
    if not parts:
        parts.append(news[0].text[: LONGEST - 101] + "…")
    if more := len(news) - len(parts):
        parts.append(ngettext("… and %(count)s more", "… and %(count)s more", more) % {"count": more})
    return "\n\n".join(parts)


def _webhook(channel: NoticeChannel, news: Sequence[Said]) -> str:
    """See docs/user/notices.md for the shape and how the signature is checked."""
    address = channel.secrets.get("address", "")
    now = datetime.now().astimezone()
    body = to_json(
        {
            "mark": _mark(news),
            "sent": now.isoformat(timespec="seconds"),
            "channel": channel.name,
            "notices": [
                {
                    "id": n.id,
                    "kind": n.kind,
                    "news": n.news,
                    "title": n.title,
                    "detail": n.detail,
                    "link": n.link,
                    "at": n.at.isoformat(timespec="seconds"),
                    "connection": dict(n.connection) or None,
                    "run": n.run,
                }
                for n in news
            ],
        }
    ).encode()
    stamp = str(int(now.timestamp()))
    key = channel.secrets.get("secret", "").encode()
    signed = hmac.new(key, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    parts = urlsplit(address)
    headers = {"x-obmen-timestamp": stamp, "x-obmen-signature": f"sha256={signed}"}
    response = _post(channel, f"{parts.scheme}://{parts.netloc}", address, body, headers)
    if not 200 <= response.status < 300:
        raise NeedsOwner(
            _("{host} answered {status} and did not take the notice"), host=parts.hostname or "", status=response.status
        )
    return f"HTTP {response.status}"
