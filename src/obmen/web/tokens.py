"""Pages of API tokens: a person's own, and for owners everybody's; made, shown once, revoked."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import SimpleListFilter
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from obmen.core.contract import ExchangeError
from obmen.store import models, tokens, visibility
from obmen.web.asking import who
from obmen.web.lists import ListAdmin
from obmen.web.site import site
from obmen.web.words import say

EVERYBODYS = "auth.change_user"  # who manages people manages their tokens
DAYS = (("30", _("30 days")), ("90", _("90 days")), ("365", _("a year")), ("", _("until it is revoked")))
# What a scope is good for: with none of these permissions it gives nothing.
NEEDED = {
    "exchange.read": ("view_connection", "view_run", "view_parked"),
    "exchange.run": ("start_run", "retry_parked"),
    "orders.read": ("view_order", "view_counterparty"),
    "orders.write": ("change_order",),
    "goods.read": ("view_product", "view_offer"),
    "settings.read": ("view_connection", "view_mapping"),
    "settings.write": ("change_connection", "change_streamsetting", "change_mapping"),
    "connections.write": ("add_connection", "change_connection", "delete_connection"),
    "journal.read": ("view_journalentry",),
}


def manages_all(user: Any) -> bool:
    """Whether the tokens of others are theirs to see, make and end. Machine accounts see every company: not for who sees some only."""
    return user.has_perm(EVERYBODYS) and not visibility.is_limited(user)


class AccountField(forms.ModelChoiceField):
    def label_from_instance(self, user: User) -> str:
        return str(user.get_username())


class TokenForm(forms.Form):
    """``account`` is there for owners only."""

    name = forms.CharField(
        label=_("name"),
        max_length=100,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Which program uses it, for example “Reports in a spreadsheet”."),
    )
    account = AccountField(
        label=_("account"),
        queryset=User.objects.none(),
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text=_("The token may what this account may. A machine account is a user without access to the admin panel."),
    )
    scopes = forms.MultipleChoiceField(
        label=_("What it may do"),
        choices=(),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Tick something.")},
    )
    days = forms.ChoiceField(label=_("Works for"), choices=DAYS, required=False, initial="90", widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, user: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.user = user
        self.fields["scopes"].choices = [(scope, now_(words)) for scope, words in tokens.SCOPES.items()]
        if manages_all(user):
            self.fields["account"].queryset = tokens.machines()
            self.fields["account"].empty_label = now_("my own: %(login)s") % {"login": user.get_username()}
        else:
            del self.fields["account"]

    @property
    def scope_rows(self) -> list[dict[str, Any]]:
        """For the template: each scope, whether it is ticked, and whether it would give this person anything."""
        ticked = set(self["scopes"].value() or ())
        return [
            {
                "scope": scope,
                "words": now_(words),
                "ticked": scope in ticked,
                "empty": not any(self.user.has_perm(f"store.{p}") for p in NEEDED[scope]),
            }
            for scope, words in tokens.SCOPES.items()
        ]


class WorksFilter(SimpleListFilter):
    title = _("state")
    parameter_name = "works"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("1", _("works")), ("0", _("over or revoked"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        alive = Q(revoked=None) & (Q(expires=None) | Q(expires__gt=timezone.now()))
        return {"1": queryset.filter(alive), "0": queryset.exclude(alive)}.get(self.value() or "", queryset)


class TokenAdmin(ListAdmin):
    card_template = "obmen/token.html"
    list_display = ("name", "account", "beginning", "state", "may", "last_used", "expires")
    list_filter = (WorksFilter,)
    look_up = ("shown",)
    look_in = ("name", "user__username")
    search_help_text = _("name, account or beginning of the token")
    list_select_related = ("user",)
    sortable_by = ()
    ordering = ("-id",)
    list_before_template = "obmen/tokens_about.html"

    # Everybody who is signed in has tokens of their own to see; the model has no permissions.
    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.admin_site.has_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_module_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request)
        return rows if manages_all(request.user) else rows.filter(user=request.user.pk)

    def one(self, request: HttpRequest, object_id: str, permission: str = "view") -> Any:
        return self.get_object(request, object_id)

    @display(description=_("account"))
    def account(self, t: models.ApiToken) -> str:
        return str(t.user.get_username())

    @display(description=_("token"))
    def beginning(self, t: models.ApiToken) -> str:
        return format_html('<code class="o-nowrap">{}…</code>', t.shown)

    @display(description=_("state"), label={"works": "success", "dead": "danger", "over": "warning"})
    def state(self, t: models.ApiToken) -> tuple[str, str]:
        if t.revoked:
            return "dead", now_("revoked")
        if t.expires and t.expires <= timezone.now():
            return "over", now_("over")
        if not tokens.works(t, timezone.now()):
            return "dead", now_("its person may not sign in")
        return "works", now_("works")

    @display(description=_("may"))
    def may(self, t: models.ApiToken) -> str:
        return ", ".join(t.scopes)

    def get_urls(self) -> list[URLPattern]:
        revoke = path("<int:pk>/revoke/", self.admin_site.admin_view(self.revoke), name="store_apitoken_revoke")
        return [revoke, *super().get_urls()]

    def card(self, request: HttpRequest, record: models.ApiToken) -> dict[str, Any]:
        kind, words = self.state(record)
        return {
            "state": {"tone": {"works": "success", "dead": "danger", "over": "warning"}[kind], "words": words},
            "scopes": [{"scope": s, "words": now_(tokens.SCOPES.get(s, s))} for s in record.scopes],
            "may_revoke": record.revoked is None and self._may_end(request, record),
        }

    @staticmethod
    def _may_end(request: HttpRequest, token: models.ApiToken) -> bool:
        """A superuser's are ended by superusers only, as their account is changed by them only."""
        own = token.user_id == request.user.pk
        return own or (manages_all(request.user) and (request.user.is_superuser or not token.user.is_superuser))

    @method_decorator(never_cache)
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = TokenForm(request.POST or None, user=request.user)
        if request.method == "POST" and form.is_valid():
            said = form.cleaned_data
            try:
                token, secret = tokens.make(
                    said.get("account") or request.user,
                    said["name"],
                    said["scopes"],
                    days=int(said["days"]) if said["days"] else None,
                    who=who(request),
                )
            except ExchangeError as error:
                form.add_error(None, say(error.text, error.facts))
            else:
                # In the answer itself and kept nowhere: only its digest is stored.
                context = {
                    "title": now_("The token is made"),
                    "record": token,
                    "secret": secret,
                    "address": self._address(request),
                }
                return self.page(request, "obmen/token_made.html", context)
        context = {"title": now_("Make an API token"), "form": form}
        return self.page(request, "obmen/token_add.html", context)

    @staticmethod
    def _address(request: HttpRequest) -> str:
        return request.build_absolute_uri("/api/v1/me")

    def revoke(self, request: HttpRequest, pk: int) -> HttpResponse:
        token = self.one(request, str(pk))
        if token is None:
            raise Http404
        if not self._may_end(request, token):
            raise PermissionDenied
        back = reverse("admin:store_apitoken_change", args=[pk])
        if request.method == "POST":
            if tokens.revoke(token, who(request)):
                messages.success(request, now_("The token “%(name)s” is revoked.") % {"name": token.name})
            else:
                messages.info(request, now_("This token had been revoked before."))
            return HttpResponseRedirect(reverse("admin:store_apitoken_changelist"))
        return self.page(
            request,
            "obmen/ask.html",
            {
                "title": token.name,
                "question": now_("Revoke the token “%(name)s”?") % {"name": token.name},
                "consequence": now_(
                    "The program that uses it is refused at once. A revoked token never works again: make a new one."
                ),
                "button": now_("Revoke"),
                "danger": True,
                "back": back,
            },
        )


site.register(models.ApiToken, TokenAdmin)
