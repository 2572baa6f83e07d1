"""notices list, test, send."""

from __future__ import annotations

from typing import Annotated

import typer

from obmen.cli.common import BAD_DATA, explain, say, say_json, sentence, start, tell
from obmen.core.contract import ExchangeError, NeedsOwner
from obmen.core.words import gettext_noop as _

app = typer.Typer(help="Channels by which people are told of trouble.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Channels with their way, whether they work, and how many notices wait."""
    start()
    from django.db.models import Count, Q

    from obmen.store.models import NoticeChannel

    for row in NoticeChannel.objects.defer("secrets").annotate(waiting=Count("notices", filter=Q(notices__state="waiting"))):
        shape = {"name": row.name, "way": row.way, "enabled": row.enabled, "waiting": row.waiting, "wants": row.wants}
        trouble = explain(ExchangeError(row.text, **row.facts)) if row.text else ""
        if as_json:
            say_json({**shape, "trouble": trouble})
        else:
            state = "off" if not row.enabled else trouble or ("works" if row.taken else "not tried yet")
            say(f"{row.name}  {row.way}  {state}  waiting: {row.waiting}")


@app.command()
def test(name: Annotated[str, typer.Argument(help="Name of the channel.")]) -> int:
    """Send a test by a channel now and print what the other side answered."""
    start()
    from obmen.store.models import Notice, NoticeChannel
    from obmen.work import notices

    channel = NoticeChannel.objects.filter(name=name).first()
    if channel is None:
        known = ", ".join(NoticeChannel.objects.values_list("name", flat=True)) or "–"
        raise NeedsOwner(_("There is no notice channel “{name}”; there are: {known}"), name=name, known=known)
    sent = notices.test(channel)
    if sent.state == Notice.State.SENT:
        say(sentence(sent.answer))
        return 0
    tell(explain(ExchangeError(sent.answer, **sent.answer_facts)))
    return BAD_DATA


@app.command()
def send() -> None:
    """Look for trouble and send what is due now, as servers and workers do each minute."""
    start()
    from obmen.work import notices

    say(f"queued {notices.look()}, sent {notices.send()}")
