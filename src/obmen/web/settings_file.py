"""The settings of a connection as a file: saved, and restored after a look at what that would change."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.translation import gettext as now_
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from obmen.core.contract import ExchangeError
from obmen.core.settings import describe
from obmen.registry import connectors
from obmen.store import connections as setup
from obmen.store import journal, models
from obmen.web.asking import who
from obmen.web.labels import ATTRIBUTES, KINDS, SUBJECTS, field, stream
from obmen.web.words import say

LIMIT = 5 * 1024 * 1024  # bytes; a file of ten thousand mappings has one


class SettingsFile:
    """Views of ConnectionAdmin; ``tab``, ``_found`` and ``_back`` are that class's."""

    def file_urls(self, view: Any) -> list[URLPattern]:
        return [
            path("<int:pk>/export/", view(require_POST(self.export)), name="store_connection_export"),
            path("<int:pk>/restore/", view(require_POST(never_cache(self.restore))), name="store_connection_restore"),
        ]

    def export(self, request: HttpRequest, pk: int) -> HttpResponse:
        connection = self._found(request, pk, "change")
        text = setup.export_toml(connection, request.POST.get("passphrase") or None)
        journal.note(connection, "connection.exported", who(request), with_secrets=bool(request.POST.get("passphrase")))
        response = HttpResponse(text, content_type="application/toml; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{connection.slug}.toml"'
        response["Cache-Control"] = "no-store"
        return response

    def restore(self, request: HttpRequest, pk: int) -> HttpResponse:
        """First what would change, then, confirmed, the change itself: both by the same code, the first is taken back."""
        connection = self._found(request, pk, "change")
        if connection.connector not in connectors():
            messages.error(request, now_("The connector “%(key)s” is not installed.") % {"key": connection.connector})
            return self._back(connection)
        file = request.FILES.get("file")
        try:
            text = file.read(LIMIT).decode("utf-8") if file else request.POST.get("text", "")
        except UnicodeDecodeError:
            text = ""
        passphrase = request.POST.get("passphrase") or None
        confirmed = bool(request.POST.get("confirmed"))
        try:
            changes = apply(connection, text, passphrase, who(request), keep=confirmed)
        except ExchangeError as error:
            messages.error(request, f"{now_('The settings could not be restored.')} {say(error.text, error.facts)}")
            return self._to_file(connection)
        if confirmed:
            messages.success(request, now_("The settings are restored."))
            connection.refresh_from_db()
            if changes and connectors()[connection.connector].open_tabs and connection.checked is None:
                self.checked(request, connection)
                connection.refresh_from_db()
            return self._to_file(connection)
        return self.tab(
            request,
            connection,
            "settings",
            "obmen/restore.html",
            changes=changes,
            text=text,
            passphrase=passphrase or "",
            back=self.file_page(connection),
        )

    def _to_file(self, connection: models.Connection) -> HttpResponse:
        return HttpResponseRedirect(self.file_page(connection))


class _TakeBack(Exception):
    """Ends the transaction of a restoration that was only to be looked at."""


def apply(connection: models.Connection, text: str, passphrase: str | None, name: str, keep: bool) -> list[dict[str, str]]:
    """Make the connection what the file says and return what changed; without ``keep`` all of it is taken back. Raises NeedsOwner."""
    found: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "settings.toml"
        file.write_text(text, "utf-8")
        before = snapshot(connection)
        try:
            with transaction.atomic():
                setup.apply_toml(file, passphrase, name, onto=connection)
                after = snapshot(models.Connection.objects.get(pk=connection.pk))
                found = differences(before, after)
                if not keep:
                    raise _TakeBack
        except _TakeBack:
            pass
    return found


def differences(before: dict[str, tuple[Any, str]], after: dict[str, tuple[Any, str]]) -> list[dict[str, str]]:
    nothing = (None, "")
    return [
        {"what": what, "old": before.get(what, nothing)[1], "new": after.get(what, nothing)[1]}
        for what in dict.fromkeys([*before, *after])
        if before.get(what, nothing)[0] != after.get(what, nothing)[0]
    ]


def snapshot(connection: models.Connection) -> dict[str, tuple[Any, str]]:
    """{what, in words: (value, as it may be shown)} of everything that the file can change."""
    found: dict[str, tuple[Any, str]] = {}
    for column in ("profile", "language", "time_zone", "enabled"):
        found[field(column)] = _both(getattr(connection, column))
    about = describe(connectors()[connection.connector].settings)
    current = setup.settings_of(connection)
    for name, one in about.items():
        value = getattr(current, name)
        label = now_(one.label) if one.label else name
        found[label] = (value, setup.MASK if value else "") if one.kind == "secret" else _both(value)
    for row in connection.streams.order_by("stream"):
        quiet = f", {row.quiet_from:%H:%M}–{row.quiet_to:%H:%M}" if row.quiet_from and row.quiet_to else ""
        found[f"{now_('Schedule')}: {stream(row.stream)}"] = _both(
            f"{now_('yes') if row.enabled else now_('no')}{', ' if row.schedule else ''}{row.schedule}{quiet}"
        )
    rules: dict[str, list[str]] = {}
    for rule in connection.match_rules.order_by("kind", "priority", "id"):
        rules.setdefault(rule.kind, []).append(str(ATTRIBUTES.get(rule.attribute, rule.attribute)))
    for kind, attributes in rules.items():
        found[f"{now_('Match rules')}: {KINDS.get(kind, kind)}"] = _both(", ".join(attributes))
    for m in connection.mappings.order_by("subject", "position", "theirs", "pk"):
        ways = "".join(sign for sign, on in (("→", m.inbound), ("←", m.outbound)) if on)
        what = f"{SUBJECTS.get(m.subject, m.subject)}: {m.theirs_name or m.theirs} {ways}"
        said = ", ".join([m.ours, *(str(v) for v in m.attributes.values() if v)])
        while what in found:  # a table that is asked by our values may say one value of theirs several times
            what += " "
        found[what] = ((m.ours, m.attributes, m.taken, m.reported), said if m.taken else f"{said} ({now_('leave out')})")
    return found


def _both(value: Any) -> tuple[Any, str]:
    if isinstance(value, bool):
        return value, now_("yes") if value else now_("no")
    if isinstance(value, tuple | list):
        return value, ", ".join(map(str, value))
    if isinstance(value, dict):
        return value, ", ".join(f"{k} = {v}" for k, v in value.items())
    return value, str(value)
