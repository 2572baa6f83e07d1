"""“My account”: who I am here, my second factor, and where I am signed in."""

from __future__ import annotations

import re
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as now_
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from obmen.store import models, people, secrets, visibility
from obmen.web import site as hub
from obmen.web.asking import who
from obmen.web.labels import role
from obmen.web.sign_in import CODES, CodeForm, refused, scanned, show_codes

BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))
MACHINES = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "Mac"),
    ("Linux", "Linux"),
)


def urls() -> list[URLPattern]:
    def page(address: str, view: Any, name: str) -> URLPattern:
        return path(f"account/{address}", hub.site.admin_view(never_cache(view)), name=name)

    return [
        page("", show, "account"),
        page("second-factor/", factor, "account_factor"),
        page("second-factor/codes/", codes, "account_codes"),
        page("second-factor/new-codes/", new_codes, "account_new_codes"),
        page("second-factor/off/", factor_off, "account_factor_off"),
        page("sign-ins/<int:pk>/end/", require_POST(end_one), "account_end"),
        page("sign-ins/end/", require_POST(end_others), "account_end_others"),
    ]


def device(said: str) -> str:
    """“Firefox, Windows” of what a browser calls itself."""
    named = [next((name for sign, name in known if re.search(rf"\b{sign}", said)), "") for known in (BROWSERS, MACHINES)]
    return ", ".join(n for n in named if n) or said[:60] or now_("unknown device")


def shown(rows: list[models.SignIn], current: str = "") -> list[dict[str, Any]]:
    """Rows for the table of sign-ins; ``current``: the key of the session that looks at it."""
    return [{"row": r, "device": device(r.device), "current": r.session_key == current} for r in rows]


def _page(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    request.current_app = hub.site.name  # type: ignore[attr-defined]
    frame = {**hub.site.each_context(request), "has_permission": True}
    return TemplateResponse(request, template, {**frame, **context})


def _back(part: str = "") -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:account") + part)


def show(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    row = models.SecondFactor.objects.filter(user_id=user.pk).first()
    context = {
        "title": now_("My account"),
        "person": user,
        "roles": [role(name) for name in user.groups.order_by("name").values_list("name", flat=True)],
        "companies": visibility.companies(user),
        "factor": row,
        "codes_left": len(row.codes) if row else 0,
        "must": people.must_have_factor(user),
        "sign_ins": shown(people.sign_ins(user), str(request.session.session_key)),
    }
    return _page(request, "obmen/account.html", context)


def factor(request: HttpRequest) -> HttpResponse:
    """A new authenticator. In place of one that is there only with a code of that one: see factor_off."""
    user: Any = request.user
    if people.has_factor(user):
        messages.info(request, now_("You have a second factor already. To take another one, switch this one off first."))
        return _back()
    context = scanned(request, user)
    if context["codes"]:
        show_codes(request, context["codes"], reverse("admin:account"))
        return HttpResponseRedirect(reverse("admin:account_codes"))
    return _page(request, "obmen/account_factor.html", {**context, "title": now_("Second factor")})


def codes(request: HttpRequest) -> HttpResponse:
    """Recovery codes, shown this once."""
    kept = request.session.pop(CODES, None)
    if not kept:
        messages.info(request, now_("Recovery codes are shown once. If you have lost them, make new ones."))
        return _back()
    context = {"codes": secrets.decrypt(kept["codes"]).split("\n"), "next": kept["next"], "title": now_("Recovery codes")}
    return _page(request, "obmen/account_codes.html", context)


def _with_code(request: HttpRequest, context: dict[str, Any]) -> HttpResponse | None:
    """None: a right code was given. Else the page that asks for one."""
    user: Any = request.user
    if not people.has_factor(user):
        return _back()
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        answer = people.check_code(user, form.cleaned_data["code"])
        if answer.right:
            return None
        form.add_error("code", refused(answer))
    return _page(request, "obmen/account_code.html", {**context, "form": form})


def new_codes(request: HttpRequest) -> HttpResponse:
    asked = _with_code(
        request,
        {
            "title": now_("New recovery codes"),
            "question": now_("Make ten new recovery codes?"),
            "consequence": now_("Those that you have now stop working at once."),
            "button": now_("Make new codes"),
        },
    )
    if asked is not None:
        return asked
    user: Any = request.user
    show_codes(request, people.new_codes(user), reverse("admin:account"))
    return HttpResponseRedirect(reverse("admin:account_codes"))


def factor_off(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    must = people.must_have_factor(user)
    asked = _with_code(
        request,
        {
            "title": now_("Switch the second factor off"),
            "question": now_("Switch your second factor off?"),
            "consequence": now_("Your role asks for one: you set up a new one at once, or at your next sign-in.")
            if must
            else now_("From then on the password alone is enough to sign in as you. Your recovery codes stop working."),
            "button": now_("Switch off"),
            "danger": True,
        },
    )
    if asked is not None:
        return asked
    people.take_off(user, who(request))
    messages.success(request, now_("Your second factor is switched off."))
    return HttpResponseRedirect(reverse("admin:account_factor")) if must else _back()


def end_one(request: HttpRequest, pk: int) -> HttpResponse:
    user: Any = request.user
    if not people.end_sign_ins(user, but=str(request.session.session_key), only=pk):
        raise Http404
    messages.success(request, now_("That browser is signed out."))
    return _back("#o-sign-ins")


def end_others(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    count = people.end_sign_ins(user, but=str(request.session.session_key))
    said = ngettext("%(count)s other browser is signed out.", "%(count)s other browsers are signed out.", count)
    messages.success(request, said % {"count": count})
    return _back("#o-sign-ins")
