"""Signing in: the password, then the code of the second factor. Until both are right nobody is signed in: what the password
proved stays in the session for some minutes, and no page but the next step believes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_lockout_response
from django import forms
from django.contrib import auth, messages
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_login_failed
from django.contrib.auth.tokens import default_token_generator
from django.contrib.auth.views import LoginView
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.http import urlsafe_base64_decode
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from obmen.store import journal, models, people, secrets
from obmen.web import site as hub

PENDING, NEW_KEY, CODES, SIGN_IN = "signing_in", "new_factor", "recovery_codes", "sign_in"  # in the session
PATIENCE = 600  # seconds between the password and the code
BACKEND = "django.contrib.auth.backends.ModelBackend"
SEEN_EVERY = 60.0  # seconds between two notes that a browser is still used


class CodeInput(UnfoldAdminTextInputWidget):
    """Empty again after a wrong code."""

    def format_value(self, value: Any) -> None:
        return None


class CodeForm(forms.Form):
    """A code of the authenticator, or a recovery code."""

    code = forms.CharField(
        label=_("code"),
        max_length=20,
        widget=CodeInput(attrs={"inputmode": "numeric", "autocomplete": "one-time-code", "autofocus": True, "dir": "ltr"}),
    )


def address_of(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))


class PasswordStep(LoginView):
    """The first page."""

    def form_valid(self, form: Any) -> HttpResponse:
        return begin(self.request, form.get_user(), self.get_success_url())


def begin(request: HttpRequest, user: User, to: str) -> HttpResponse:
    """The password was right: go in, or to the step that is missing."""
    step = "login_code" if people.has_factor(user) else "login_set_up" if people.must_have_factor(user) else ""
    if not step:
        return finish(request, user, to)
    request.session.cycle_key()
    request.session.pop(NEW_KEY, None)
    request.session[PENDING] = {"user": user.pk, "hash": user.get_session_auth_hash(), "at": time.time(), "next": to}
    return HttpResponseRedirect(reverse(f"admin:{step}"))


def finish(request: HttpRequest, user: User, to: str) -> HttpResponse:
    auth.login(request, user, backend=BACKEND)
    request.session.pop(PENDING, None)
    device = request.headers.get("User-Agent", "")
    row = people.signed_in(user, str(request.session.session_key), address_of(request), device)
    request.session[SIGN_IN] = row.pk
    return HttpResponseRedirect(to)


def signed_out(request: HttpRequest) -> None:
    """Before the session ends by the person's own wish."""
    models.SignIn.objects.filter(session_key=str(request.session.session_key)).delete()


def password_changed(request: HttpRequest, before: str) -> None:
    """A new password has renewed this session, whose key was ``before``, and ends all others."""
    key, name = str(request.session.session_key), request.user.get_username()
    models.SignIn.objects.filter(session_key=before).update(session_key=key)
    people.end_sign_ins(request.user, but=key)  # type: ignore[arg-type]
    journal.note(None, "person.password", name, person=name)


def pending(request: HttpRequest) -> tuple[User, str] | None:
    """Who has given a right password in this browser a short while ago, and where they wanted to go."""
    said = request.session.get(PENDING)
    if not said or not 0 <= time.time() - said["at"] <= PATIENCE:
        return None
    user = User.objects.filter(pk=said["user"], is_active=True, is_staff=True).first()
    if user is None or not constant_time_compare(said["hash"], user.get_session_auth_hash()):
        return None
    return user, said["next"]


def _again(request: HttpRequest) -> HttpResponse:
    messages.info(request, now_("Please sign in again: the second step was not done in time."))
    return HttpResponseRedirect(reverse("admin:login"))


def _page(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    return TemplateResponse(request, template, {**hub.site.each_context(request), **context})


@never_cache
def code(request: HttpRequest) -> HttpResponse:
    """The second page: a code. Wrong ones count towards the lock-out like wrong passwords."""
    found = pending(request)
    if found is None:
        return _again(request)
    user, to = found
    who = {"username": user.get_username()}
    if not AxesProxyHandler.is_allowed(request, who):
        return get_lockout_response(request, credentials=who)  # type: ignore[no-any-return]
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        answer = people.check_code(user, form.cleaned_data["code"])
        if answer.right:
            if answer.left is not None:
                messages.warning(request, _left(answer.left))
            return finish(request, user, to)
        if not answer.wait:
            user_login_failed.send(sender=__name__, credentials=who, request=request)
        form.add_error("code", refused(answer))
    return _page(request, "obmen/login_code.html", {"form": form, "title": now_("Second step"), "name": user.get_username()})


def refused(answer: people.Answer) -> str:
    if answer.wait:
        said = ngettext(
            "Too quick after a wrong code: try again in %(count)s second.",
            "Too quick after a wrong code: try again in %(count)s seconds.",
            answer.wait,
        )
        return said % {"count": answer.wait}
    return now_("This code is not right. Each code is good for one time and for half a minute: take the one that is shown now.")


def _left(left: int) -> str:
    said = ngettext(
        "You came in with a recovery code; %(count)s is left. Make new ones on “My account”.",
        "You came in with a recovery code; %(count)s are left. Make new ones on “My account”.",
        left,
    )
    return said % {"count": left}


@never_cache
def set_up(request: HttpRequest) -> HttpResponse:
    """The second page of those whose role asks for a second factor and who have none yet."""
    found = pending(request)
    if found is None:
        return _again(request)
    user, to = found
    if people.has_factor(user):  # set up meanwhile in another browser: whoever knows the password alone must not replace it
        return HttpResponseRedirect(reverse("admin:login_code"))
    context = scanned(request, user)
    if context["codes"]:
        response = finish(request, user, reverse("admin:account_codes"))
        show_codes(request, context["codes"], to)
        return response
    return _page(request, "obmen/login_set_up.html", {**context, "title": now_("Second factor"), "name": user.get_username()})


def scanned(request: HttpRequest, user: User) -> dict[str, Any]:
    """What a page needs to set up an authenticator; ``codes`` are there once the first code was right."""
    kept = request.session.get(NEW_KEY)
    key = secrets.decrypt(kept) if kept else people.new_key()
    if not kept:
        request.session[NEW_KEY] = secrets.encrypt(key)
    form, codes = CodeForm(request.POST or None), []
    if request.method == "POST" and form.is_valid():
        codes = people.set_up(user, key, form.cleaned_data["code"])
        if codes:
            del request.session[NEW_KEY]
        else:
            form.add_error("code", refused(people.Answer(False)))
    return {"form": form, "codes": codes, "typed": people.typed(key), "picture": _picture(people.address(user, key))}


def _picture(text: str) -> str:
    import segno

    return segno.make(text, error="m").svg_inline(scale=5, border=3, dark="#000", light="#fff")  # type: ignore[no-any-return]


def show_codes(request: HttpRequest, codes: list[str], to: str) -> None:
    """Puts them where the next page takes them out, once."""
    request.session[CODES] = {"codes": secrets.encrypt("\n".join(codes)), "next": to}


# --- an invitation ---------------------------------------------------------------------------------------------------------


@never_cache
def invited(request: HttpRequest, ident: str, token: str) -> HttpResponse:
    """Where the link of an invitation leads: a password of one's own, and in."""
    try:
        user = User.objects.filter(pk=int(urlsafe_base64_decode(ident)), is_active=True, is_staff=True).first()
    except (ValueError, OverflowError):
        user = None
    if user is None or not default_token_generator.check_token(user, token):
        return _page(request, "obmen/invited.html", {"title": now_("Invitation"), "form": None})
    form = SetPasswordForm(user, request.POST or None)
    for field in form.fields.values():
        field.widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"})
    if request.method == "POST" and form.is_valid():
        form.save()
        people.end_sign_ins(user)
        journal.note(None, "person.password", user.get_username(), person=user.get_username())
        return begin(request, user, reverse("admin:index"))
    return _page(request, "obmen/invited.html", {"title": now_("Invitation"), "form": form, "name": user.get_username()})


# --- who is still there ----------------------------------------------------------------------------------------------------

_noted: dict[int, float] = {}


class Seen:
    """Middleware: notes at most once a minute and process that a browser is still used."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        session = getattr(request, "session", None)
        row = session.get(SIGN_IN) if session is not None and session.accessed else None
        moment = time.monotonic()
        if row is not None and moment - _noted.get(row, float("-inf")) >= SEEN_EVERY:
            if len(_noted) > 10_000:
                _noted.clear()
            _noted[row] = moment
            _note(row, address_of(request))
        return response


def _note(row: int, remote: str) -> None:
    now = timezone.now()
    early = now - timedelta(seconds=SEEN_EVERY * 0.9)
    try:
        models.SignIn.objects.filter(pk=row, seen__lt=early).update(seen=now, address=remote[:64])
    except DatabaseError:  # a busy database is no reason to refuse a page
        return
