"""With whose login a system calls us: a machine account that the hub made, or an employee whom people set up for it by hand."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from obmen import registry
from obmen.core.contract import NeedsOwner
from obmen.core.words import gettext_noop as _
from obmen.store import connections, journal
from obmen.store.models import Connection

PERMISSION = "store.import_commerceml"
BACKEND = "django.contrib.auth.backends.ModelBackend"


def employees() -> QuerySet[User]:
    """Whom a connection may take: access to the panel, and “Import CommerceML” given on purpose. Not superusers: what may do
    everything must not lie about as the password of another system."""
    return (
        User.objects.with_perm(PERMISSION, include_superusers=False, backend=BACKEND)
        .filter(is_staff=True, is_superuser=False)
        .order_by("username")
    )


@transaction.atomic
def begin(
    connector: str, name: str, *, employee: User | None = None, who: str = "", **said: Any
) -> tuple[Connection, str | None]:
    """A new connection as people and programs begin it: one that we call is switched off until its set-up is finished, and one that
    calls us may do so with an employee's login. ``said``: as ``connections.create``, whose errors it raises. Returns it and the
    password of its own login, where it has got one."""
    connection, password = connections.create(connector, name, who=who, **said)
    if employee is not None:
        use(connection, employee, who)
        password = None
    if registry.connector(connection.connector).calls_out:
        Connection.objects.filter(pk=connection.pk).update(enabled=False)
        connection.enabled = False
    return connection, password


@transaction.atomic
def use(connection: Connection, employee: User | None, who: str = "") -> str | None:
    """From now on the system calls with this employee's login; None: with a machine account, whose password is returned once.

    A machine account that served the connection before ends. Raises NeedsOwner: not one of ``employees``; nobody calls by it.
    """
    if not connections.connector_of(connection).doors():
        raise NeedsOwner(_("“{name}” is called by us, so it needs no login here"), name=connection.name)
    if employee is not None and not employees().filter(pk=employee.pk).exists():
        raise NeedsOwner(
            _(
                "“{login}” cannot be used: give the employee access to the admin panel and the permission “Import CommerceML” first"
            ),
            login=employee.get_username(),
        )
    before = connection.account if connections.has_own_account(connection) else None
    if employee is None and before is not None:
        return connections.new_password(connection, who)
    password = None
    if employee is None:
        password = connections.make_account(connection)
    else:
        connection.account = employee
        connection.save(update_fields=["account"])
    if before is not None:
        before.delete()
    assert connection.account is not None
    journal.note(connection, "connection.login", who, login=connection.account.get_username())
    return password
