"""What a person asks for who looks at a run: its preview, the run that carries out what was decided on a preview, one run over the
limit of changes, a received file once more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.db import transaction

from obmen.core.contract import NeedsOwner
from obmen.core.records import digest
from obmen.core.words import gettext_noop as _
from obmen.store import journal, models, previews
from obmen.work import jobs

BROKEN_OFF = (models.Run.State.FAILED, models.Run.State.NEEDS_OWNER, models.Run.State.STOPPED)
PLAIN = frozenset({"only", "preview", "goods", "since", "each", "files", "type", "folder", "session", "over_guard", "decided"})
NO_FILES = _("The received files of this run are no longer kept: the outside system has to send them again")
NOT_DONE = _("Only a preview that has come to its end can be carried out: wait for it, or make it again")
NOT_STOPPED = _("This run was not stopped by its limit of changes")
NEWER = _("Run {run} has done these streams since, or is doing them now: what this one would bring is older. Look at that one")
NOT_THIS = _("A run of this kind has no preview")
NO_FILE = _("No received file of this call is kept any more: the outside system has to send it again")


def can_preview(run: models.Run) -> bool:
    """Whether the same work can be looked at: its files, if it is one of files, are still here."""
    return not run.args.keys() - PLAIN and "sweep" not in run.streams.split(",") and files_are_here(run.args)


def files_are_here(args: Mapping[str, Any]) -> bool:
    return all(Path(file).exists() for file in args.get("files", ()))


def ask_preview(run: models.Run, who: str) -> models.Run:
    """Look at what the run would do now. Raises NeedsOwner."""
    if not files_are_here(run.args):
        raise NeedsOwner(NO_FILES)
    if not can_preview(run):
        raise NeedsOwner(NOT_THIS)
    args = {name: value for name, value in run.args.items() if name not in ("decided", "over_guard", "session")}
    return _ask(run, args | {"preview": True}, who)


def ask_decided(preview: models.Run, who: str) -> models.Run:
    """Do what the preview showed, without what was skipped. Asking again gives the same run, or, where that one broke off, one that
    does the rest. Raises NeedsOwner."""
    if not preview.args.get("preview") or preview.state != models.Run.State.DONE:
        raise NeedsOwner(NOT_DONE)
    if not files_are_here(preview.args):
        raise NeedsOwner(NO_FILES)
    with transaction.atomic():
        decided = previews.decide(preview, who)
        if "run" in decided and (known := models.Run.objects.filter(pk=decided["run"]).exclude(state__in=BROKEN_OFF).first()):
            return known
        args = {name: value for name, value in preview.args.items() if name != "preview"}
        run = _ask(preview, args | {"decided": preview.pk, "each": True}, who)
        previews.decide(preview, who, run.pk)
        skipped, total = decided["skipped"], preview.results.exclude(mark="").count()
        journal.note(preview.connection, "run.decided", who, run=run.pk, accepted=total - skipped, skipped=skipped)
    return run


def broken_off(preview: models.Run) -> bool:
    """Whether the run that was to carry it out ended before its end, so that asking again does the rest."""
    run = (preview.facts.get("decided") or {}).get("run")
    return bool(run) and models.Run.objects.filter(pk=run, state__in=BROKEN_OFF).exists()


def ask_allowed(run: models.Run, who: str) -> models.Run:
    """The same run once more, this time over its limit of changes. Raises NeedsOwner."""
    if run.state != models.Run.State.NEEDS_OWNER or "guard" not in run.facts:
        raise NeedsOwner(NOT_STOPPED)
    if not files_are_here(run.args):
        raise NeedsOwner(NO_FILES)
    if newer := _done_since(run):
        raise NeedsOwner(NEWER, run=newer)
    journal.note(run.connection, "run.allowed", who, run=run.pk)
    # Under the key of its own: a system that asks how its load is getting on hears of this one.
    key = run.unique_key.partition(":")[2]
    return _ask(run, {**run.args, "over_guard": True}, who, key=key)


def _done_since(run: models.Run) -> int | None:
    """A later run of one of its streams that has ended well or is at work: files of an older load must not be laid over its goods."""
    states = (models.Run.State.DONE, models.Run.State.RUNNING)
    later = models.Run.objects.filter(connection=run.connection, pk__gt=run.pk, state__in=states, args__preview__isnull=True)
    streams = set(run.streams.split(","))
    return next((pk for pk, its in later.order_by("pk").values_list("pk", "streams") if streams & set(its.split(","))), None)


def received_files(message: models.Message) -> list[Path]:
    """What is still kept of the load that a call belonged to; [] when nothing is."""
    if not message.session:
        return []
    runs = models.Run.objects.filter(connection=message.connection, args__session=message.session).order_by("-id")
    name = next((word.partition("=")[2] for word in message.call.split("&") if word.startswith("filename=")), "")
    for run in runs[:50]:
        files = [Path(file) for file in run.args.get("files", ())]
        if files and all(file.exists() for file in files) and (not name or any(f.name == Path(name).name for f in files)):
            return files
    return []


def ask_replay(message: models.Message, who: str) -> models.Run:
    """Look at what a received load would do now. Raises NeedsOwner."""
    files = received_files(message)
    if not files:
        raise NeedsOwner(NO_FILE)
    names = [str(file) for file in files]
    run = models.Run.objects.filter(connection=message.connection, args__session=message.session, args__files=names).latest("id")
    return ask_preview(run, who)


def _ask(like: models.Run, args: Mapping[str, Any], who: str, key: str | None = None) -> models.Run:
    if key is None:
        key = f"{like.streams[:60]}:{digest(dict(args)).hex()[:24]}"
    return jobs.ask(like.connection, like.streams.split(","), trigger="person", who=who, args=args, key=key)
