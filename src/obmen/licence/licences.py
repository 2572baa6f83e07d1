"""Licences of this hub: entered, checked, asked for before an exchange.

``ask`` is the one place: a run calls it before it does anything. Without a valid licence a run does nothing but a preview; what the
hub already has can still be looked at, exported and set up, and a system that calls us is still told what waits for it.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.utils import timezone

from obmen.core.contract import NeedsOwner
from obmen.core.words import gettext_noop as _
from obmen.licence import packages, statement
from obmen.licence.statement import BadLicence, Licence
from obmen.store.journal import note
from obmen.store.models import Connection, FormatPackage, Publisher

WARN = 14  # days before the end
AGAIN = timedelta(days=1)  # between questions to a publisher's server

GOOD = _("Valid until {until}, for any number of connections")
COUNTED = _("Valid until {until}, for this many connections at most: {count}. Used by: {names}")
NAMED = _("Valid until {until}, for these connections: {names}")
ENDS = _("The licence of “{format}” ends on {until}; ask its publisher, {publisher}, for a new key in time")
ENDED = _(
    "The licence of “{format}” ended on {until}: nothing new is exchanged until a new key is entered. Preview and export still work"
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a licence stands. ``tone``: success | warning | danger; ``text`` with ``facts`` says until when and for which
    connections, or exactly why not."""

    tone: str
    text: str
    facts: dict[str, Any]


def enter(row: FormatPackage, login: str, key: str, who: str = "") -> None:
    """Keep login and key, right or wrong: the check says which. An empty key keeps the one that is there."""
    kept = dict(row.licence)
    row.licence = {"login": login.strip(), "key": "".join(key.split()) or kept.get("key", "")}
    if row.licence != kept:
        row.refused, row.asked = "", None
        row.save(update_fields=["licence", "refused", "asked"])
        note(None, "licence.entered", who, key=row.key, login=login.strip())


def read(row: FormatPackage, today: date | None = None) -> Licence:
    """By the signature alone. Raises BadLicence with the exact reason; an ended licence is read, too."""
    publisher = Publisher.objects.filter(fingerprint=row.fingerprint).first()
    if publisher is None:
        raise BadLicence(_("The publisher {publisher} is not trusted here: the format is not run"), publisher=row.publisher)
    kept = row.licence
    found = statement.read(
        kept.get("key", ""), kept.get("login", ""), row.key, base64.b64decode(publisher.public), today or timezone.localdate()
    )
    if row.refused:
        raise BadLicence(_("The publisher's server refuses this licence: {reason}"), reason=row.refused)
    return found


def covered(row: FormatPackage, licence: Licence) -> list[Connection]:
    """The connections that it is for: the named ones, or the oldest so many."""
    every = packages.connections_of(row)
    if licence.terms.only:
        wanted = {name.casefold() for name in licence.terms.only}
        every = [c for c in every if {c.name.casefold(), c.slug} & wanted]
    return every[: licence.terms.connections or None]


def standing(row: FormatPackage, today: date | None = None) -> Standing | None:
    """For a page; None when the format needs no licence."""
    if not row.licensed:
        return None
    try:
        licence = read(row, today)
    except BadLicence as error:
        return Standing("danger", error.text, dict(error.facts))
    terms, facts = licence.terms, _facts(row, licence)
    if licence.ended:
        return Standing("danger", ENDED, facts)
    if licence.days < WARN:
        return Standing("warning", ENDS, facts)
    if terms.only:
        return Standing("success", NAMED, facts | {"names": ", ".join(terms.only)})
    if terms.connections:
        names = ", ".join(c.name for c in covered(row, licence)) or "–"
        return Standing("success", COUNTED, facts | {"count": terms.connections, "names": names})
    return Standing("success", GOOD, facts)


def _facts(row: FormatPackage, licence: Licence) -> dict[str, Any]:
    return {"format": row.title, "publisher": row.publisher, "until": licence.terms.until.isoformat()}


def ask(connection: Connection, today: date | None = None) -> Standing | None:
    """May this connection exchange? None: yes; a Standing: yes, with a warning that the owner has to see. Raises BadLicence.

    Once a day the publisher's server is asked as well, when there is one; one that does not answer changes nothing.
    """
    row = packages.package_of(connection)
    if row is None or not row.licensed:
        return None
    if row.licence_server and (row.asked is None or row.asked < timezone.now() - AGAIN):
        _ask_server(row)
    return _judge(row, connection, today)


def warning(connection: Connection, today: date | None = None) -> Standing | None:
    """What a page of the connection has to say of its licence, without asking anybody: that it ends soon, or why nothing is
    exchanged. None when there is nothing to say."""
    row = packages.package_of(connection)
    if row is None or not row.licensed:
        return None
    try:
        return _judge(row, connection, today)
    except BadLicence as error:
        return Standing("danger", error.text, dict(error.facts))


def warnings(today: date | None = None) -> list[tuple[FormatPackage, Standing]]:
    """Licences of formats that connections use and that end soon, or with which nothing is exchanged: for the first page."""
    rows = FormatPackage.objects.filter(licensed=True).defer("body").order_by("title", "id")
    found = [(row, standing(row, today)) for row in rows if packages.connections_of(row)]
    return [(row, said) for row, said in found if said is not None and said.tone != "success"]


def _judge(row: FormatPackage, connection: Connection, today: date | None) -> Standing | None:
    licence = read(row, today)
    if licence.ended:
        raise BadLicence(ENDED, **_facts(row, licence))
    if connection.pk not in {c.pk for c in covered(row, licence)}:
        if licence.terms.only:
            raise BadLicence(
                _("The licence of “{format}” is for other connections: {names}"),
                format=row.title,
                names=", ".join(licence.terms.only),
            )
        raise BadLicence(
            _("The licence of “{format}” is for fewer connections ({count}), and older ones use it: {names}"),
            format=row.title,
            count=licence.terms.connections,
            names=", ".join(c.name for c in covered(row, licence)),
        )
    return Standing("warning", ENDS, _facts(row, licence)) if licence.days < WARN else None


def check(row: FormatPackage, who: str = "") -> tuple[Standing | None, Standing | None]:
    """“Check licence”: (how it stands, what the publisher's server had to say; None when it was not asked)."""
    if not row.licensed:
        return None, None
    said = _ask_server(row) if row.licence_server and row.licence.get("key") else None
    found = standing(row)
    assert found is not None
    note(None, "licence.checked", who, key=row.key, found=found.text, server=said.text if said else "")
    return found, said


def _ask_server(row: FormatPackage) -> Standing:
    """Ask, and keep what follows from the answer. A new key in it counts only if the publisher signed it."""
    from obmen.licence import online  # an HTTP client, which most runs of an unlicensed connector never need

    row.asked = timezone.now()
    try:
        answer = online.ask(row.licence_server, row.key, row.version, row.licence.get("login", ""), row.licence.get("key", ""))
    except (NeedsOwner, online.NoAnswer) as error:
        return _unanswered(row, str(error))
    row.refused = "" if answer.valid else (answer.reason or "–")[:500]
    if answer.key:
        kept = row.licence
        row.licence = kept | {"key": answer.key}
        try:
            read(row)
        except BadLicence:
            row.licence = kept
    row.save(update_fields=["asked", "refused", "licence"])
    if answer.valid:
        return Standing("success", _("The publisher's server says that the licence is valid"), {})
    return Standing("danger", _("The publisher's server refuses this licence: {reason}"), {"reason": row.refused})


def _unanswered(row: FormatPackage, reason: str) -> Standing:
    row.save(update_fields=["asked"])
    return Standing(
        "warning",
        _(
            "The publisher's server did not answer ({reason}); the licence is judged by its signature, and by what the server last said"
        ),
        {"reason": reason[:200]},
    )
