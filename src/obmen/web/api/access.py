"""Who calls the API, and whether they may: the token, its scopes, and what its person may on the pages."""

from __future__ import annotations

import time
from threading import Lock

from django.conf import settings as hub
from django.contrib.auth.models import Permission, User
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as now_
from ninja.security import HttpBearer

from obmen.store import journal, models, tokens
from obmen.web.api.problems import Problem
from obmen.web.doors import Lockout

GUESSER = "API token"  # under this name wrong tokens are counted beside wrong passwords


class Bearer(HttpBearer):
    """Lets a call through with one of ``scopes`` and with ``permission``. Session cookies mean nothing here, so no site that a
    person looks at can call in their name."""

    def __init__(self, *scopes: str, permission: str = "") -> None:
        super().__init__()
        self.scopes, self.permission = scopes, permission
        self.parameters: set[str] = set()  # that the operation knows

    def __call__(self, request: HttpRequest) -> models.ApiToken:
        scheme, _space, secret = request.headers.get("Authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise Problem("no_token")
        return self.authenticate(request, secret.strip())

    def authenticate(self, request: HttpRequest, token: str) -> models.ApiToken:
        found = known(request, token)
        if (wait := pace.wait(found.pk)) > 0:
            raise Problem("too_fast", after=wait)
        request.user = found.user
        if self.scopes and not set(self.scopes) & set(found.scopes):
            raise Problem("missing_scope", now_("It needs: %(scopes)s.") % {"scopes": " | ".join(self.scopes)})
        require(request, self.permission)
        if unknown := sorted(set(request.GET) - self.parameters):  # a filter that is spelt wrong must not mean "everything"
            raise Problem("invalid", errors=[(f"query.{name}", now_("There is no such parameter.")) for name in unknown])
        return found


def known(request: HttpRequest, secret: str) -> models.ApiToken:
    """The token, noted as used. Raises Problem; wrong ones are counted by address, and a right one is let through all the same: nobody
    can lock a neighbour out."""
    now, address = timezone.now(), str(request.META.get("REMOTE_ADDR", ""))
    token = tokens.find(secret)
    if token is None or not tokens.works(token, now):
        lockout = Lockout(GUESSER, address)
        until = lockout.until()
        if until is not None and (left := (until - now).total_seconds()) > 0:
            raise Problem("too_many_wrong", after=left)
        lockout.failed()
        if lockout.until() is not None and until is None:
            journal.note(None, "token.locked_out", "", address=address)
        raise Problem("wrong_token")
    tokens.used(token, address, now)
    _read_rights(token.user)
    return token


def require(request: HttpRequest, permission: str) -> None:
    if permission and not request.user.has_perm(permission):
        raise Problem("missing_permission", now_("The permission is: %(name)s.") % {"name": _named(permission)})


def may(request: HttpRequest, scope: str, permission: str) -> bool:
    """Whether a call that is let through may do this as well."""
    return scope in request.auth.scopes and request.user.has_perm(permission)  # type: ignore[attr-defined]


def who(request: HttpRequest) -> str:
    """For the journal: the person, and with which token."""
    token: models.ApiToken = request.auth  # type: ignore[attr-defined]
    return f"{token.user.get_username()[:80]} (API: {token.name[:50]})"


def _named(permission: str) -> str:
    row = Permission.objects.filter(content_type__app_label="store", codename=permission.partition(".")[2]).first()
    return f"{now_(row.name)} ({permission})" if row else permission


def _read_rights(user: User) -> None:
    """One query for all rights of a call, where Django asks for the person's and the roles' apart."""
    if user.is_superuser:
        return
    rows = Permission.objects.filter(Q(user=user) | Q(group__user=user)).values_list("content_type__app_label", "codename")
    user._perm_cache = {f"{app}.{name}" for app, name in rows.order_by()}  # type: ignore[attr-defined]


class Pace:
    """So many calls a minute for each token, and as many at once. Counted in each web process by itself: a row that every call writes
    would stand in line with a catalogue load on SQLite."""

    KEPT = 10_000  # tokens remembered

    def __init__(self) -> None:
        self._left: dict[int, tuple[float, float]] = {}  # token: (calls left, when that was so)
        self._lock = Lock()

    def wait(self, token: int) -> float:
        """Take one call; seconds until there is one when there is none. 0: go ahead."""
        most = hub.OBMEN_API_RATE
        if most <= 0:
            return 0.0
        now = time.monotonic()
        with self._lock:
            left, at = self._left.get(token, (float(most), now))
            left = min(float(most), left + (now - at) * most / 60)
            if left < 1:
                self._left[token] = (left, now)
                return (1 - left) * 60 / most
            if len(self._left) >= self.KEPT:
                self._left.clear()
            self._left[token] = (left - 1, now)
        return 0.0

    def forget(self) -> None:
        with self._lock:
            self._left.clear()


pace = Pace()
