"""Connections as they are set up, over the API: added, renamed, copied, removed; logins, match rules, defaults, the settings as a file."""

from __future__ import annotations

from typing import Annotated, Any

from django.conf import settings as hub
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language
from django.utils.translation import gettext as now_
from ninja import Query, Status

from obmen.core.contract import ExchangeError
from obmen.core.records import Subject
from obmen.registry import connectors
from obmen.store import accounts, defaults, feeds, journal, mappings, models
from obmen.store import connections as setup
from obmen.store import notices as limits
from obmen.web import rules, settings_file
from obmen.web.api import shapes
from obmen.web.api.access import may, require, who
from obmen.web.api.books import found
from obmen.web.api.operations import Id, operation, router
from obmen.web.api.paging import Text
from obmen.web.api.problems import Problem, confirmed, storable, told
from obmen.web.asking import ask_retry
from obmen.web.connections import address, removal
from obmen.web.defaults import words
from obmen.web.labels import ATTRIBUTES
from obmen.web.values import make
from obmen.web.words import say


def one(request: HttpRequest, pk: int) -> models.Connection:
    row: models.Connection = found(request, models.Connection.objects.select_related("account"), pk)
    return row


# --- added, renamed, copied, removed ---------------------------------------------------------------------------------------


@operation(
    router,
    "GET",
    "/connectors",
    list[shapes.Kind],
    scopes=("settings.read", "connections.write"),
    permission="store.view_connection",
    tags=["connections"],
)
def list_connectors(request: HttpRequest) -> Any:
    """What can be connected: kinds of systems, and the profiles of each."""
    return [
        {
            "connector": key,
            "title": now_(str(kind.title)),
            "calls_out": kind.calls_out,
            "profiles": [
                {"key": name, "name": now_(str(profile["title"])) if profile.get("title") else name}
                for name, profile in kind.profiles().items()
            ],
        }
        for key, kind in connectors().items()
    ]


@operation(
    router,
    "POST",
    "/connections",
    shapes.Credentials,
    scopes=("connections.write",),
    permission="store.add_connection",
    ok=201,
    also=(409,),
    tags=["connections"],
)
def add_connection(request: HttpRequest, response: HttpResponse, new: shapes.ConnectionNew) -> Any:
    """Add a connection. One that we call is switched off: check it, then switch it on. Of a name there is one: a call that is repeated
    after a lost answer adds nothing twice (409 `name_taken`); a password whose answer was lost is made anew with `…/password`."""
    storable(new.settings)
    employee = _employee(new.login)
    _asked(new)
    try:
        made, password = accounts.begin(
            new.connector,
            new.name,
            profile=new.profile,
            settings=new.settings,
            language=new.language or (get_language() or hub.LANGUAGE_CODE)[:2],
            time_zone=new.time_zone or hub.TIME_ZONE,
            employee=employee,
            who=who(request),
        )
    except ExchangeError as error:
        raise told(error) from None
    return _made(request, response, made, password)


def _asked(new: shapes.ConnectionNew) -> None:
    """What a profile cannot do without (``asks``) has to be said, as on the page."""
    kind = connectors().get(new.connector)
    asks = kind.profiles().get(new.profile, {}).get("asks", ()) if kind and not kind.calls_out else ()
    if missing := [name for name in asks if not new.settings.get(name)]:
        raise Problem("invalid", errors=[(f"body.settings.{name}", now_("This has to be filled in.")) for name in missing])


def _employee(login: str | None) -> User | None:
    if login is None:
        return None
    person = accounts.employees().filter(username=login).first()
    if person is None:
        known = ", ".join(accounts.employees().values_list("username", flat=True)[:50]) or "–"
        said = now_("No employee with “Import CommerceML” has this login; there are: %(names)s.") % {"names": known}
        raise Problem("invalid", errors=[("body.login", said)])
    return person


def _made(request: HttpRequest, response: HttpResponse, row: models.Connection, password: str | None) -> Status[Any]:
    response["Location"] = f"/api/v1/connections/{row.pk}"
    return Status(201, _credentials(request, one(request, row.pk), password))


def _credentials(request: HttpRequest, row: models.Connection, password: str | None) -> dict[str, Any]:
    door = address(request, row)
    return {
        "connection": shapes.named(row),
        "address": door["address"],
        "login": door.get("login", ""),
        "password": password,
    }


@operation(
    router,
    "PATCH",
    "/connections/{connection}",
    shapes.Connection,
    scopes=("connections.write",),
    permission="store.change_connection",
    also=(409,),
    tags=["connections"],
)
def change_connection(request: HttpRequest, connection: Id, change: shapes.ConnectionChange) -> Any:
    """Its name, the language of answers to its system, its time zone; what is not named stays. Its name in addresses stays, too."""
    said = {name: value for name, value in change.dict().items() if value is not None}
    try:
        setup.change_about(one(request, connection), said, who(request))
    except ExchangeError as error:
        raise told(error) from None
    return shapes.connection(one(request, connection))


@operation(
    router,
    "DELETE",
    "/connections/{connection}",
    None,
    scopes=("connections.write",),
    permission="store.delete_connection",
    ok=204,
    also=(409,),
    tags=["connections"],
)
def remove_connection(
    request: HttpRequest,
    connection: Id,
    confirm: Annotated[
        Text | None, Query(description="The connection's name: without it the answer is 409 and says what goes")
    ] = None,
) -> Any:
    """Remove a connection with its settings, mappings, links, parked records, runs and login. The books stay."""
    row = one(request, connection)
    confirmed(confirm == row.name, *removal(row))
    try:
        setup.remove(row, who(request))
    except ExchangeError as error:
        raise told(error) from None
    return Status(204, None)


@operation(
    router,
    "POST",
    "/connections/{connection}/copy",
    shapes.Credentials,
    scopes=("connections.write",),
    permission="store.add_connection",
    ok=201,
    also=(409,),
    tags=["connections"],
)
def copy_connection(request: HttpRequest, response: HttpResponse, connection: Id, of: shapes.ConnectionCopy) -> Any:
    """Another connection that is set up in the same way, and switched off; without secrets, links, bookmarks and history. Of a name there
    is one, so a repeated call copies nothing twice."""
    require(request, "store.change_connection")
    try:
        made, password = setup.duplicate(one(request, connection), of.name, who(request))
    except ExchangeError as error:
        raise told(error) from None
    return _made(request, response, made, password)


# --- logins and secret addresses -------------------------------------------------------------------------------------------


@operation(
    router,
    "POST",
    "/connections/{connection}/password",
    shapes.Credentials,
    scopes=("connections.write",),
    permission="store.change_connection",
    also=(409,),
    tags=["connections"],
)
def make_password(request: HttpRequest, connection: Id, make_: shapes.Confirm) -> Any:
    """A new password of the connection's own login; the old one ends at once."""
    row = one(request, connection)
    confirmed(
        make_.confirm,
        now_("Make a new password for this connection?"),
        now_("The old one stops working at once: enter the new one in the outside system straight away."),
    )
    try:
        return _credentials(request, row, setup.new_password(row, who(request)))
    except ExchangeError as error:
        raise told(error) from None


@operation(
    router,
    "PUT",
    "/connections/{connection}/login",
    shapes.Credentials,
    scopes=("connections.write",),
    permission="store.change_connection",
    tags=["connections"],
)
def set_login(request: HttpRequest, connection: Id, login: shapes.Login) -> Any:
    """With whose login its system calls: an employee's, or one of its own with a new password."""
    row, employee = one(request, connection), _employee(login.login)
    try:
        password = accounts.use(row, employee, who(request))
    except ExchangeError as error:
        raise told(error) from None
    return _credentials(request, one(request, connection), password)


@operation(
    router,
    "POST",
    "/connections/{connection}/hook",
    shapes.Address,
    scopes=("connections.write",),
    permission="store.change_connection",
    also=(409,),
    tags=["connections"],
)
def make_hook(request: HttpRequest, connection: Id, make_: shapes.Confirm) -> Any:
    """A new wake-up address, by which the other system says that there is something to fetch; the old one ends at once."""
    row = one(request, connection)
    kind = connectors().get(row.connector)
    if kind is None or not kind.wakes:
        raise Problem("refused", now_("This system is not woken: give its streams a schedule."))
    confirmed(
        make_.confirm,
        now_("Make a new wake-up address?"),
        now_("The old one stops working at once: enter the new one over there."),
    )
    setup.new_hook(row, who(request))
    return {"address": request.build_absolute_uri(setup.hook_path(row))}


@operation(
    router,
    "GET",
    "/connections/{connection}/feeds",
    list[shapes.Feed],
    scopes=("settings.read",),
    permission="store.view_connection",
    tags=["connections"],
)
def list_feeds(request: HttpRequest, connection: Id) -> Any:
    """The files that the other system fetches from us. Their addresses are secret: `POST …/address` makes a new one."""
    plain = ("name", "made", "fetched", "size")
    return [
        {"id": row.pk, **{name: getattr(row, name) for name in plain}, "message": say(row.text, row.facts)}
        for row in one(request, connection).feeds.order_by("name")
    ]


@operation(
    router,
    "POST",
    "/connections/{connection}/feeds/{feed}/address",
    shapes.Address,
    scopes=("connections.write",),
    permission="store.change_connection",
    also=(409,),
    tags=["connections"],
)
def make_feed_address(request: HttpRequest, connection: Id, feed: Id, make_: shapes.Confirm) -> Any:
    """A new address of a file; the old one ends at once."""
    row = one(request, connection).feeds.select_related("connection").filter(pk=feed).first()
    if row is None:
        raise Problem("not_found")
    confirmed(
        make_.confirm,
        now_("Make a new address of “%(name)s”?") % {"name": row.name},
        now_("The old one stops working at once: enter the new one over there."),
    )
    return {"address": request.build_absolute_uri(feeds.path(feeds.new_token(row, who(request))))}


# --- match rules, defaults -------------------------------------------------------------------------------------------------


@operation(
    router,
    "GET",
    "/connections/{connection}/rules",
    list[shapes.Rule],
    scopes=("settings.read",),
    permission="store.view_connection",
    tags=["settings"],
)
def list_rules(request: HttpRequest, connection: Id) -> Any:
    """By what an existing card is found, the first priority first."""
    rows = one(request, connection).match_rules.order_by("kind", "priority", "id")
    return [{"kind": row.kind, "attribute": row.attribute, "priority": row.priority} for row in rows]


@operation(
    router,
    "PUT",
    "/connections/{connection}/rules",
    list[shapes.Rule],
    scopes=("settings.write",),
    permission="store.change_matchrule",
    tags=["settings"],
)
def set_rules(request: HttpRequest, connection: Id, change: shapes.Rules) -> Any:
    """The match rules as a whole: what is not named goes."""
    row = one(request, connection)
    wanted: dict[str, list[tuple[str, int]]] = {
        kind: [] for kind in models.MatchRule.objects.filter(connection=row).values_list("kind", flat=True)
    }
    for at, rule in enumerate(change.rules):
        said = wanted.setdefault(rule.kind, [])
        if rule.attribute not in ATTRIBUTES:
            known = now_("There is no such attribute; there are: %(names)s.") % {"names": ", ".join(ATTRIBUTES)}
            raise Problem("invalid", errors=[(f"body.rules.{at}.attribute", known)])
        if rule.attribute in dict(said):
            twice = now_("This attribute stands in the table twice: remove one of the two rows.")
            raise Problem("invalid", errors=[(f"body.rules.{at}.attribute", twice)])
        said.append((rule.attribute, rule.priority))
    rules.set_all(row, {kind: sorted(said, key=lambda pair: pair[1]) for kind, said in wanted.items()}, who(request))
    return list_rules(request, connection)


@operation(
    router,
    "GET",
    "/connections/{connection}/defaults",
    list[shapes.Default],
    scopes=("settings.read",),
    permission="store.view_connection",
    tags=["settings"],
)
def list_defaults(request: HttpRequest, connection: Id) -> Any:
    """Where the connection is not as its format proposes."""
    return _defaults(one(request, connection))


def _defaults(row: models.Connection) -> list[dict[str, Any]]:
    try:
        every = [(it, words(row, it)) for it in defaults.differences(row)]
    except ExchangeError as error:
        raise told(error) from None
    return [
        {"id": it.id, "what": said["what"], "now": said["old"], "proposed": said["new"], "yours": it.yours, "lacking": it.lacking}
        for it, said in every
    ]


@operation(
    router,
    "POST",
    "/connections/{connection}/defaults",
    shapes.Mapped,
    scopes=("settings.write",),
    permission="store.change_connection",
    tags=["settings"],
)
def take_defaults(request: HttpRequest, connection: Id, take: shapes.Take) -> Any:
    """Take over what the format proposes, by the ids that GET gives. Again changes nothing."""
    row = one(request, connection)
    try:
        taken = defaults.apply(row, take.take, who(request))
    except ExchangeError as error:
        raise told(error) from None
    subjects = sorted({it.name for it in taken if it.area == "mapping"})
    return {"changed": [it.id for it in taken], "retried": retried(request, row, subjects)}


def retried(request: HttpRequest, row: models.Connection, subjects: list[str]) -> list[int]:
    """Runs that try again what waited for values of these subjects, when the person of the token may start them."""
    if not may(request, "exchange.run", "store.retry_parked"):
        return []
    freed = [pk for subject in subjects for pk in mappings.freed(row, subject)]
    return [run.pk for run in ask_retry(models.Parked.objects.filter(pk__in=freed), who(request))] if freed else []


# --- the settings as a file ------------------------------------------------------------------------------------------------


@operation(
    router,
    "POST",
    "/connections/{connection}/export",
    shapes.File,
    scopes=("settings.write",),
    permission="store.change_connection",
    tags=["settings"],
)
def export_settings(request: HttpRequest, connection: Id, export: shapes.Export) -> Any:
    """Everything that is needed to set the same connection up elsewhere, as TOML. Secrets only with a passphrase, and encrypted by it."""
    row = one(request, connection)
    text = setup.export_toml(row, export.passphrase or None)
    journal.note(row, "connection.exported", who(request), with_secrets=bool(export.passphrase))
    return {"name": f"{row.slug}.toml", "text": text}


@operation(
    router,
    "POST",
    "/connections/{connection}/restore",
    shapes.Restored,
    scopes=("settings.write",),
    permission="store.change_connection",
    tags=["settings"],
)
def restore_settings(request: HttpRequest, connection: Id, restore: shapes.Restore) -> Any:
    """Make the connection what a file says. Without `apply` nothing is changed: the answer says what would be."""
    row = one(request, connection)
    try:
        changes = settings_file.apply(row, restore.text, restore.passphrase or None, who(request), keep=restore.apply)
    except ExchangeError as error:
        raise told(error) from None
    return {"applied": restore.apply, "changes": changes}


# --- what counts as trouble, values of the books ---------------------------------------------------------------------------


@operation(
    router,
    "GET",
    "/connections/{connection}/limits",
    shapes.Limits,
    scopes=("settings.read",),
    permission="store.view_connection",
    tags=["notices"],
)
def get_limits(request: HttpRequest, connection: Id) -> Any:
    """What counts as trouble."""
    return one(request, connection)


@operation(
    router,
    "PATCH",
    "/connections/{connection}/limits",
    shapes.Limits,
    scopes=("settings.write",),
    permission="store.change_connection",
    tags=["notices"],
)
def change_limits(request: HttpRequest, connection: Id, change: shapes.LimitsChange) -> Any:
    """What counts as trouble; what is not named stays. `silent_after` null: the hub decides by the schedule."""
    row = one(request, connection)
    said = change.dict(exclude_unset=True)
    parked = row.parked_limit if said.get("parked_limit") is None else said["parked_limit"]
    limits.set_limits(row, said.get("silent_after", row.silent_after), parked, who(request))
    return one(request, connection)


@operation(
    router,
    "POST",
    "/references",
    shapes.Reference,
    scopes=("settings.write",),
    permission="store.add_reference",
    ok=201,
    tags=["references"],
)
def add_reference(request: HttpRequest, new: shapes.ReferenceNew) -> Any:
    """A value of the books, for mappings and orders. Its name becomes its key; one that is there already is the answer."""
    if new.subject not in set(Subject):
        said = now_("There is no such subject; there are: %(names)s.") % {"names": ", ".join(Subject)}
        raise Problem("invalid", errors=[("body.subject", said)])
    with transaction.atomic():
        key = make(new.subject, new.name, None, who(request))
    return Status(201, models.Reference.objects.get(subject=new.subject, key=key))
