"""People: whose orders they see, their second factor, and the browsers in which they are signed in."""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import Group as Role
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from obmen.store import journal
from obmen.store.connections import OWNERS
from obmen.store.models import Person, RoleRule, SecondFactor, SignIn

STEP = 30  # seconds for which an authenticator shows one code
ISSUER = "Obmen"
CODES = 10  # recovery codes of one person
LONGEST_WAIT = 900  # seconds


# --- whose orders they see -------------------------------------------------------------------------------------------------


@transaction.atomic
def set_companies(user: User, companies: Iterable[str], who: str) -> None:
    """From now on they see these companies' orders only; none: every company's."""
    wanted = sorted({c.strip() for c in companies if c.strip()})
    row, _made = Person.objects.select_for_update().get_or_create(user=user)
    if row.companies != wanted:
        changes = {"companies": [", ".join(row.companies), ", ".join(wanted)]}
        row.companies = wanted
        row.save(update_fields=["companies"])
        journal.note(None, "person.changed", who, person=user.get_username(), changes=changes)


# --- the second factor -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a code. ``wait``: seconds until the next one is looked at; ``left``: recovery codes, when one was used up."""

    right: bool
    wait: int = 0
    left: int | None = None


def new_key() -> str:
    """The secret of an authenticator, 160 bits in hexadecimal."""
    return secrets.token_hex(20)


def typed(key: str) -> str:
    """The secret as people type it who cannot scan: base32 in groups of four."""
    text = base64.b32encode(bytes.fromhex(key)).decode()
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


def address(user: User, key: str) -> str:
    """What the picture to scan says."""
    asked = {"secret": typed(key).replace(" ", ""), "issuer": ISSUER}
    return f"otpauth://totp/{quote(f'{ISSUER}:{user.get_username()}')}?{urlencode(asked)}"


def code_at(key: str, moment: datetime) -> str:
    """What an authenticator with this secret shows at this moment."""
    from django_otp.oath import hotp

    return f"{hotp(bytes.fromhex(key), int(moment.timestamp()) // STEP):06d}"


def _step_of(key: str, code: str, now: datetime, after: int = -1) -> int | None:
    """Which step a code belongs to. The step before and after are taken too: clocks differ."""
    found = None
    for shift in (-1, 0, 1):
        moment = now + timedelta(seconds=shift * STEP)
        step = int(moment.timestamp()) // STEP
        if hmac.compare_digest(code_at(key, moment), code) and step > after:
            found = step
    return found


def _plain(code: str) -> str:
    return "".join(c for c in code if c.isascii() and c.isdigit())[:20]


def _digest(code: str) -> str:
    return salted_hmac("obmen.recovery-code", _plain(code), algorithm="sha256").hexdigest()


def _new_codes() -> list[str]:
    made = [f"{secrets.randbelow(10**10):010d}" for _n in range(CODES)]
    return [f"{code[:5]} {code[5:]}" for code in made]


def has_factor(user: User) -> bool:
    return SecondFactor.objects.filter(user_id=user.pk).exists()


def must_have_factor(user: User) -> bool:
    """Whether a role of theirs asks for it; superusers are owners."""
    asked = RoleRule.objects.filter(second_factor=True)
    if user.is_superuser and asked.filter(role__name=OWNERS).exists():
        return True
    return asked.filter(role__user=user).exists()


@transaction.atomic
def set_up(user: User, key: str, code: str, now: datetime | None = None) -> list[str]:
    """Their authenticator from now on, in place of one before. Returns the recovery codes, which nothing shows again; an empty
    list: the code was wrong, and nothing has changed."""
    step = _step_of(key, _plain(code), now or timezone.now())
    if step is None:
        return []
    codes = _new_codes()
    values = {"secret": {"key": key}, "last_step": step, "codes": [_digest(c) for c in codes], "failures": 0, "failed": None}
    SecondFactor.objects.update_or_create(user=user, defaults={**values, "since": timezone.now()})
    journal.note(None, "factor.on", user.get_username(), person=user.get_username())
    return codes


@transaction.atomic
def check_code(user: User, code: str, now: datetime | None = None) -> Answer:
    """A code of the authenticator or a recovery code; each is taken once. After a wrong one the next is looked at a second
    later, then two, four, eight … fifteen minutes at most, whoever asks from wherever."""
    now, code = now or timezone.now(), _plain(code)
    row = SecondFactor.objects.select_for_update().filter(user_id=user.pk).first()
    if row is None:
        return Answer(False)
    if row.failed is not None:
        free = row.failed + timedelta(seconds=min(2 ** min(row.failures - 1, 20), LONGEST_WAIT))
        if now < free:
            return Answer(False, wait=max(1, round((free - now).total_seconds())))
    step = _step_of(row.secret["key"], code, now, after=row.last_step)
    digest = _digest(code)
    recovery = step is None and any(hmac.compare_digest(digest, kept) for kept in row.codes)
    if step is None and not recovery:
        row.failures, row.failed = row.failures + 1, now
        row.save(update_fields=["failures", "failed"])
        return Answer(False)
    row.failures, row.failed = 0, None
    if recovery:
        row.codes = [kept for kept in row.codes if kept != digest]
        journal.note(None, "factor.recovered", user.get_username(), person=user.get_username(), left=len(row.codes))
    else:
        assert step is not None
        row.last_step = step
    row.save(update_fields=["failures", "failed", "codes", "last_step"])
    return Answer(True, left=len(row.codes) if recovery else None)


@transaction.atomic
def new_codes(user: User) -> list[str]:
    """Ten fresh recovery codes; those before are worth nothing any more. An empty list: there is no second factor."""
    codes = _new_codes()
    changed = SecondFactor.objects.filter(user_id=user.pk).update(codes=[_digest(c) for c in codes])
    if not changed:
        return []
    journal.note(None, "factor.codes", user.get_username(), person=user.get_username())
    return codes


@transaction.atomic
def take_off(user: User, who: str) -> bool:
    """The password alone is enough again. False: there was no second factor."""
    gone, _of = SecondFactor.objects.filter(user_id=user.pk).delete()
    if gone:
        journal.note(None, "factor.off", who, person=user.get_username())
    return bool(gone)


@transaction.atomic
def ask_of_roles(roles: Collection[int], who: str) -> None:
    """People with these roles (ids) cannot sign in without a second factor any more; the others can."""
    for role in Role.objects.order_by("name"):
        wanted = role.pk in roles
        rule, _made = RoleRule.objects.select_for_update().get_or_create(role=role)
        if rule.second_factor != wanted:
            changes = {"second_factor": [rule.second_factor, wanted]}
            rule.second_factor = wanted
            rule.save(update_fields=["second_factor"])
            journal.note(None, "role.changed", who, role=role.name, changes=changes)


# --- where they are signed in ----------------------------------------------------------------------------------------------


def signed_in(user: User, session_key: str, remote: str, device: str) -> SignIn:
    values = {"user": user, "address": remote[:64], "device": device[:300]}
    return SignIn.objects.update_or_create(session_key=session_key, defaults=values)[0]


def _adopt(user: User) -> None:
    """Rows for sessions that began before the hub kept rows of them: they say neither device nor address."""
    from django.contrib.sessions.models import Session

    live = Session.objects.filter(expire_date__gt=timezone.now())
    found = []
    for session in live.exclude(session_key__in=SignIn.objects.values("session_key")):
        data = session.get_decoded()
        if (data.get(SESSION_KEY), data.get(HASH_SESSION_KEY)) == (str(user.pk), user.get_session_auth_hash()):
            began = session.expire_date - timedelta(seconds=settings.SESSION_COOKIE_AGE)
            found.append(SignIn(user=user, session_key=session.session_key, since=began, seen=began))
    SignIn.objects.bulk_create(found, ignore_conflicts=True)


def sign_ins(user: User) -> list[SignIn]:
    """Browsers in which they are signed in now, the newest use first."""
    from django.contrib.sessions.models import Session

    _adopt(user)
    live = Session.objects.filter(expire_date__gt=timezone.now()).values("session_key")
    return list(SignIn.objects.filter(user_id=user.pk, session_key__in=live))


@transaction.atomic
def end_sign_ins(user: User, *, but: str = "", only: int | None = None) -> int:
    """Signs them out at once. ``but``: the key of the session that stays; ``only``: the id of the one that ends."""
    from django.contrib.sessions.models import Session

    _adopt(user)
    rows = SignIn.objects.filter(user_id=user.pk).exclude(session_key=but)
    if only is not None:
        rows = rows.filter(pk=only)
    keys = list(rows.values_list("session_key", flat=True))
    Session.objects.filter(session_key__in=keys).delete()
    SignIn.objects.filter(session_key__in=keys).delete()
    return len(keys)


def forget_old_sign_ins(now: datetime) -> int:
    """Rows whose session has expired by itself."""
    return SignIn.objects.filter(seen__lt=now - timedelta(seconds=settings.SESSION_COOKIE_AGE)).delete()[0]
