"""The hub's own admin site: every page hangs on it, so that every page asks who is there."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as now_
from django.views.decorators.cache import never_cache
from unfold.sites import UnfoldAdminSite


class ObmenSite(UnfoldAdminSite):
    index_template = "obmen/overview.html"
    # At the root path Django's catch-all would answer every unknown address, also those that an accounting system calls,
    # by sending the caller to the sign-in page.
    final_catch_all_view = False

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """As Django's, with a second step for those who have one."""
        from obmen.web.sign_in import PasswordStep  # models, which are not ready when this module is read

        if request.method == "GET" and self.has_permission(request):
            return HttpResponseRedirect(reverse("admin:index", current_app=self.name))
        context = {
            **self.each_context(request),
            "title": now_("Sign in"),
            "app_path": request.get_full_path(),
            "username": request.user.get_username(),
            **(extra_context or {}),
        }
        if REDIRECT_FIELD_NAME not in request.GET and REDIRECT_FIELD_NAME not in request.POST:
            context[REDIRECT_FIELD_NAME] = reverse("admin:index", current_app=self.name)
        request.current_app = self.name  # type: ignore[attr-defined]
        step = PasswordStep.as_view(
            extra_context=context, authentication_form=self.login_form, template_name="admin/login.html", next_page="admin:index"
        )
        return step(request)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        from obmen.web import sign_in

        sign_in.signed_out(request)
        return super().logout(request, extra_context)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        from obmen.web import sign_in

        before = request.session.session_key
        response = super().password_change(request, extra_context)
        if request.method == "POST" and response.status_code == 302:
            sign_in.password_changed(request, str(before))
        return response

    def extra_urls(self) -> list[URLPattern]:
        from obmen.web import account, manual, notices, overview, pictures, run_charts, seek, sign_in, values

        return [
            *run_charts.urls(),
            *seek.urls(),
            *overview.urls(self.admin_view),
            *manual.urls(),
            *notices.urls(),
            *account.urls(),
            path("login/code/", sign_in.code, name="login_code"),
            path("login/set-up/", sign_in.set_up, name="login_set_up"),
            path("invitation/<str:ident>/<str:token>/", sign_in.invited, name="invited"),
            path("products-named/", self.admin_view(values.products_named), name="products_named"),
            path("pictures/<int:picture_id>/", self.admin_view(pictures.picture), name="picture"),
        ]


site = ObmenSite(name="admin")
