"""Tokens of the API: with one a program does what its person may, within the scopes that were ticked for it.

A token is ``obmen_`` and 40 letters and digits. It is shown once and kept as SHA-256: with 238 bits of chance nobody guesses it, so the
slow hash that guards passwords would only make every call slow. A token gives never more than its person has at the moment of the
call, and dies with the person's account.
"""

from __future__ import annotations

import hashlib
import secrets
import string
from collections.abc import Collection
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from obmen.core.contract import NeedsOwner
from obmen.core.words import gettext_noop as _
from obmen.store.journal import note
from obmen.store.models import ApiToken

PREFIX = "obmen_"
LETTERS, LENGTH = string.ascii_letters + string.digits, 40
SHOWN = len(PREFIX) + 4  # the beginning by which a person tells tokens apart
NOTED_EACH = timedelta(minutes=1)  # "last used" is no exact moment: a row is not written with every call
MOST = 50  # live tokens of one person

SCOPES = {
    "exchange.read": _("See connections, runs, parked records and the overview"),
    "exchange.run": _("Start and stop runs, decide on previews, check connections, retry parked records"),
    "orders.read": _("See orders and counterparties"),
    "orders.write": _("Change orders"),
    "goods.read": _("See products, offers, prices and stock"),
    "settings.read": _("See settings, schedules, bookmarks, mappings and notices"),
    "settings.write": _("Change settings, schedules, bookmarks, mappings and notices, switch and pause connections"),
    "connections.write": _("Add, rename, copy and remove connections, change their logins and secret addresses"),
    "journal.read": _("See the journal and the traffic"),
}


def digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def machines() -> QuerySet[User]:
    """Machine accounts, whom somebody else gives a token: they cannot sign in to make one."""
    return User.objects.filter(is_active=True, is_staff=False, is_superuser=False).order_by("username")


@transaction.atomic
def make(user: User, name: str, scopes: Collection[str], *, days: int | None, who: str) -> tuple[ApiToken, str]:
    """A new token of ``user`` and its secret, which is shown this once. ``days``: how long it works; None: until it is revoked.

    Raises NeedsOwner: no name, a name that a live token has, no or unknown scopes, too many tokens.
    """
    name = " ".join(name.split())
    if not name:
        raise NeedsOwner(_("A token needs a name that says who uses it"))
    unknown = sorted(set(scopes) - SCOPES.keys())
    if unknown or not scopes:
        raise NeedsOwner(_("Choose what the token may do; there are: {known}"), known=", ".join(SCOPES))
    alive = list(living().filter(user=user).values_list("name", flat=True))
    if name in alive:
        raise NeedsOwner(_("There is a token “{name}” already: revoke it first, or take another name"), name=name)
    if len(alive) >= MOST:
        raise NeedsOwner(_("{count} tokens are enough for one account: revoke those that nobody uses"), count=MOST)
    secret = PREFIX + "".join(secrets.choice(LETTERS) for _i in range(LENGTH))
    token = ApiToken.objects.create(
        user=user,
        name=name[:100],
        shown=secret[:SHOWN],
        digest=digest(secret),
        scopes=[scope for scope in SCOPES if scope in scopes],
        made_by=who,
        for_machine=not user.is_staff,
        expires=timezone.now() + timedelta(days=days) if days else None,
    )
    note(
        None, "token.made", who, name=token.name, login=user.get_username(), scopes=", ".join(token.scopes), expires=token.expires
    )
    return token, secret


@transaction.atomic
def revoke(token: ApiToken, who: str) -> bool:
    """The token ends at once; False when it had been revoked before."""
    ended = ApiToken.objects.filter(pk=token.pk, revoked=None).update(revoked=timezone.now(), revoked_by=who)
    if ended:
        note(None, "token.revoked", who, name=token.name, login=token.user.get_username())
    return bool(ended)


def living(now: datetime | None = None) -> QuerySet[ApiToken]:
    """Tokens that are neither revoked nor over. Whether their person still may is ``works``."""
    return ApiToken.objects.filter(Q(expires=None) | Q(expires__gt=now or timezone.now()), revoked=None)


def find(secret: str) -> ApiToken | None:
    """The token with this secret, in one query, also a dead one: ``works`` says whether it may be used."""
    if not secret.startswith(PREFIX) or len(secret) != len(PREFIX) + LENGTH:
        return None
    return ApiToken.objects.select_related("user").filter(digest=digest(secret)).first()


def works(token: ApiToken, now: datetime) -> bool:
    """Of a person who may no longer sign in to the pages nothing works; a machine account never could."""
    person = token.user
    alive = token.revoked is None and (token.expires is None or token.expires > now)
    return alive and person.is_active and (token.for_machine or person.is_staff)


def used(token: ApiToken, address: str, now: datetime) -> None:
    """Note that it was used, once a minute; of many processes that see the minute pass one writes."""
    if token.last_used is not None and now - token.last_used < NOTED_EACH:
        return
    stale = Q(last_used=None) | Q(last_used__lte=now - NOTED_EACH)
    ApiToken.objects.filter(stale, pk=token.pk).update(last_used=now, last_address=address[:64])
