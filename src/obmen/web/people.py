"""People, roles and permissions: Django's own, in the site's frame, limited to what means something here; whose orders a person
sees, their second factor and where they are signed in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.contrib.auth.tokens import default_token_generator
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.choices import BaseChoiceIterator
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminEmailInputWidget,
    UnfoldAdminTextInputWidget,
)

from obmen.store import journal, models, people, visibility
from obmen.store.connections import INTEGRATIONS, OPERATORS, OWNERS, VIEWERS
from obmen.web import account, sign_in
from obmen.web.asking import who
from obmen.web.labels import role
from obmen.web.site import site

# What a person can be allowed, by the pages that ask for it. Inner tables of the exchange have no page, so no permission.
MODELS = (
    models.Connection,
    models.StreamSetting,
    models.Mapping,
    models.MatchRule,
    models.Run,
    models.Parked,
    models.JournalEntry,
    models.Message,
    models.NoticeChannel,
    models.Notice,
    models.FormatPackage,
    models.Product,
    models.Offer,
    models.Group,
    models.Property,
    models.Reference,
    models.Order,
    models.Counterparty,
    User,
    Group,
)
# Only the exchange writes these; "may change" would be a promise that no page keeps.
READ_ONLY = {"run", "parked", "journalentry", "message", "notice", "product", "offer", "group", "property", "counterparty"}
DEEDS = {"view": _("see"), "add": _("add"), "change": _("change"), "delete": _("remove")}
EXCHANGE = "import_commerceml"  # what a login of another system needs, and all that it needs


def permissions() -> QuerySet[Permission]:
    """Everything that can be granted on the pages of groups and users."""
    wanted = Q()
    for model in MODELS:
        inner = model._meta.app_label == "store" and model._meta.model_name in READ_ONLY
        known = Q(content_type__app_label=model._meta.app_label, content_type__model=model._meta.model_name)
        if inner:
            known &= ~Q(codename__in=[f"{deed}_{model._meta.model_name}" for deed in ("add", "change", "delete")])
        wanted |= known
    return (
        Permission.objects.filter(wanted)
        .exclude(codename="add_order")
        .exclude(codename="delete_order")
        .select_related("content_type")
    )


class Grouped(BaseChoiceIterator):
    """[(what, [(id, deed), …]), …] for checkboxes with headings, read when the first of them is shown: Django reads choices of another
    class each time a form copies its field. A copy of the field has a list of its own, so none outlives its page."""

    def __iter__(self) -> Iterator[tuple[str, list[tuple[int, str]]]]:
        return iter(self._read)

    @cached_property
    def _read(self) -> list[tuple[str, list[tuple[int, str]]]]:
        found: dict[Any, list[tuple[int, str]]] = {EXCHANGE: [], **{model: [] for model in MODELS}}
        for permission in permissions().order_by("pk"):
            if permission.codename == EXCHANGE:  # under a heading of its own: it must not be overlooked among those of people
                found[EXCHANGE].append((permission.pk, gettext(permission.name)))
                continue
            model = permission.content_type.model_class()
            deed, _sep, of = permission.codename.partition("_")
            usual = deed in DEEDS and of == model._meta.model_name
            found[model].append((permission.pk, str(DEEDS[deed]) if usual else gettext(permission.name)))
        return [
            (role(INTEGRATIONS) if heading == EXCHANGE else capfirst(str(heading._meta.verbose_name_plural)), rows)
            for heading, rows in found.items()
        ]


class PermissionsWidget(forms.CheckboxSelectMultiple):
    template_name = "obmen/permissions.html"


class PermissionsField(forms.ModelMultipleChoiceField):
    """Checkboxes under headings. What is granted beyond the list (by the command line) stays granted."""

    widget = PermissionsWidget

    def __init__(self, **kw: Any) -> None:
        super().__init__(queryset=permissions(), required=False, **kw)

    # The parent's property would put every permission under no heading.
    choices = property(lambda self: Grouped(), forms.ChoiceField.choices.fset)


class KeepsOthers:
    """A form mixin: permissions that the page does not show are not taken away by saving it."""

    permission_field = "permissions"

    def clean(self) -> Any:
        data = super().clean()  # type: ignore[misc]
        chosen = data.get(self.permission_field) if data else None
        instance = getattr(self, "instance", None)
        if chosen is not None and instance is not None and instance.pk:
            kept = getattr(instance, self.permission_field).exclude(pk__in=permissions().values("pk"))
            data[self.permission_field] = Permission.objects.filter(
                Q(pk__in=[p.pk for p in chosen]) | Q(pk__in=[p.pk for p in kept])
            )
        return data


COMPANIES_SHOWN = 200
ROLES = {  # what a shop owner has to know to choose one
    OWNERS: _("everything: connections, passwords, people"),
    OPERATORS: _("the daily work: start exchanges, repair what is parked, edit orders and mappings"),
    VIEWERS: _("only looks"),
}


class Companies(forms.Form):
    """Whose orders somebody sees: those that orders name, and others by their name."""

    companies = forms.MultipleChoiceField(
        label=_("Companies"),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("Sees the orders of these companies only, with their payments and buyers. None ticked: sees every order."),
    )
    more_companies = forms.CharField(
        label=_("Other companies"),
        required=False,
        max_length=1000,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("That no order names yet, as orders will name them; several with a semicolon between them."),
    )

    def offer_companies(self, chosen: Iterable[str] = ()) -> None:
        named = models.Order.objects.exclude(company="").order_by("company").values_list("company", flat=True).distinct()
        known = sorted({*named[:COMPANIES_SHOWN], *chosen})
        field = cast(forms.MultipleChoiceField, self.fields["companies"])
        field.choices = [(c, c) for c in known]
        field.initial = list(chosen)

    def wanted_companies(self) -> list[str]:
        return [*self.cleaned_data["companies"], *self.cleaned_data["more_companies"].split(";")]


class UserForm(KeepsOthers, Companies, UserChangeForm):
    permission_field = "user_permissions"

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        if self.instance.pk and "companies" in self.fields:
            row = models.Person.objects.filter(user=self.instance).first()
            self.offer_companies(row.companies if row else ())


class InviteForm(Companies):
    """One form for a new person; the password they choose themselves."""

    username = forms.CharField(label=_("login"), max_length=150, widget=UnfoldAdminTextInputWidget)
    first_name = forms.CharField(label=_("first name"), max_length=150, required=False, widget=UnfoldAdminTextInputWidget)
    last_name = forms.CharField(label=_("last name"), max_length=150, required=False, widget=UnfoldAdminTextInputWidget)
    email = forms.EmailField(label=_("e-mail"), required=False, widget=UnfoldAdminEmailInputWidget)
    role = forms.ChoiceField(label=_("role"), widget=forms.RadioSelect)

    field_order = ("username", "first_name", "last_name", "email", "role", "companies", "more_companies")

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.offer_companies()
        known = dict(Group.objects.exclude(name=INTEGRATIONS).values_list("name", "pk"))
        order = [*(r for r in ROLES if r in known), *sorted(known.keys() - ROLES.keys())]
        field = cast(forms.ChoiceField, self.fields["role"])
        field.choices = [(known[r], f"{role(r)} – {ROLES[r]}" if r in ROLES else r) for r in order]
        self.fields["username"].help_text = gettext("What this person signs in with: a short name or an e-mail.")

    def clean_username(self) -> str:
        name = User.normalize_username(self.cleaned_data["username"].strip())
        User.username_validator(name)
        if User.objects.filter(username__iexact=name).exists():
            raise forms.ValidationError(gettext("There is already a person with this login."))
        return name


def _facts(user: User) -> dict[str, str]:
    """What the journal compares before and after."""
    row = models.Person.objects.filter(user=user).first()
    fields = ("username", "first_name", "last_name", "email", "is_active", "is_staff", "is_superuser")
    return {
        **{name: str(getattr(user, name)) for name in fields},
        "groups": ", ".join(user.groups.order_by("name").values_list("name", flat=True)),
        "user_permissions": ", ".join(user.user_permissions.order_by("codename").values_list("codename", flat=True)),
        "companies": ", ".join(row.companies if row else ()),
    }


def _changes(before: dict[str, str], after: dict[str, str]) -> dict[str, list[str]]:
    return {name: [before[name], after[name]] for name in before if before[name] != after[name]}


def _apart(before: Iterable[str], after: Iterable[str]) -> list[str]:
    """What was taken away and what was given, of two lists."""
    old, new = set(before), set(after)
    return [", ".join(sorted(old - new)), ", ".join(sorted(new - old))]


class ForAllSeeing:
    """Whoever sees some companies only has no say in who sees what."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) and not visibility.is_limited(request.user)  # type: ignore[misc]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and not visibility.is_limited(request.user)  # type: ignore[misc]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not visibility.is_limited(request.user)  # type: ignore[misc]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not visibility.is_limited(request.user)  # type: ignore[misc]


class MembersField(forms.ModelMultipleChoiceField):
    """Employees, and whoever is a member already."""

    def label_from_instance(self, user: User) -> str:  # type: ignore[override]
        name = user.get_full_name()
        return f"{name} ({user.username})" if name else user.username


class GroupForm(KeepsOthers, forms.ModelForm):
    """Name, members and permissions of a group."""

    chosen = MembersField(
        label=_("Members"),
        queryset=User.objects.none(),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("Employees with access to the admin panel."),
    )

    offered: ClassVar[QuerySet[User] | None] = None  # whom the one who asks may choose among; None: nobody

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        if self.offered is None:
            self.fields.pop("chosen", None)
            return
        members = Q(groups=self.instance.pk) if self.instance.pk else Q(pk=None)
        wanted = self.offered.filter(Q(is_staff=True, is_active=True) | members).distinct().order_by("username")
        field = cast(MembersField, self.fields["chosen"])
        field.queryset = wanted
        field.initial = [u.pk for u in self.instance.user_set.all()] if self.instance.pk else []


class WithoutJoins:
    """What goes along with a person or a role is told without the rows that join them to roles and permissions: they have no names."""

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        found, counts, needed, protected = super().get_deleted_objects(objs, request)  # type: ignore[misc]
        joins = [field.through._meta for field in (User.groups, User.user_permissions, Group.permissions)]
        heads = tuple(f"{capfirst(join.verbose_name)}: " for join in joins)

        def named(rows: Any) -> list[Any]:
            kept = [named(row) if isinstance(row, list) else row for row in rows]
            return [row for row in kept if row != [] and not str(row).startswith(heads)]

        several = {join.verbose_name_plural for join in joins}
        return named(found), {name: n for name, n in counts.items() if name not in several}, needed, protected


class UserAdmin(WithoutJoins, ForAllSeeing, BaseUserAdmin, ModelAdmin):
    form = UserForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    compressed_fields = True
    list_display = ("username", "full_name", "roles", "companies", "factor", "open_browsers", "is_active", "last_login")
    list_filter = ("is_staff", "is_active", "groups")
    filter_horizontal = ()
    list_before_template = "obmen/people.html"
    change_form_outer_after_template = "obmen/person.html"
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Person"), {"fields": ("first_name", "last_name", "email")}),
        (_("Access"), {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        (_("Orders"), {"fields": ("companies", "more_companies")}),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": (
                    "username",
                    "first_name",
                    "last_name",
                    "email",
                    "usable_password",
                    "password1",
                    "password2",
                    "is_staff",
                    "groups",
                ),
            },
        ),
    )
    readonly_fields = ("last_login", "date_joined")

    def get_queryset(self, request: HttpRequest) -> Any:
        live = Session.objects.filter(expire_date__gt=timezone.now()).values("session_key")
        browsers = models.SignIn.objects.filter(user_id=OuterRef("pk"), session_key__in=live).order_by().values("user_id")
        return (
            super()
            .get_queryset(request)
            .select_related("person")
            .prefetch_related("groups")
            .annotate(
                has_factor=Exists(models.SecondFactor.objects.filter(user_id=OuterRef("pk"))),
                browsers=Coalesce(Subquery(browsers.annotate(n=Count("pk")).values("n")), 0),
            )
        )

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kw: Any) -> Any:
        if db_field.name == "user_permissions":
            return PermissionsField(label=db_field.verbose_name.capitalize(), help_text=_("Besides those of the groups."))
        field = super().formfield_for_manytomany(db_field, request, **kw)
        if db_field.name == "groups" and field is not None:
            field.label_from_instance = lambda group: role(group.name)
        return field

    @display(description=_("Person"))
    def full_name(self, user: User) -> str:
        return user.get_full_name() or "–"

    @display(description=_("groups"))
    def roles(self, user: User) -> str:
        return ", ".join(role(g.name) for g in user.groups.all()) or "–"

    @display(description=_("companies"))
    def companies(self, user: User) -> str:
        if user.is_superuser or not hasattr(user, "person") or not user.person.companies:
            return gettext("all") if user.is_staff else "–"
        return ", ".join(user.person.companies)

    @display(description=_("second factor"), label={"on": "success", "off": "warning"})
    def factor(self, user: Any) -> Any:
        if not user.is_staff:
            return None
        return ("on", gettext("on")) if user.has_factor else ("off", gettext("off"))

    @display(description=_("signed in"), ordering="browsers")
    def open_browsers(self, user: Any) -> str:
        said = ngettext("%(count)s browser", "%(count)s browsers", user.browsers)
        return said % {"count": user.browsers} if user.browsers else "–"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kw: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kw)
        fields = form.base_fields
        if "is_staff" in fields:
            fields["is_staff"].label = _("access to the admin panel")
            fields["is_staff"].help_text = _("May sign in to these pages. A machine account has no use for it.")
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        sets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return sets
        return [(title, {**more, "fields": tuple(f for f in more["fields"] if f != "more_companies")}) for title, more in sets]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Only a superuser makes superusers and grants single permissions: an owner must not lift themselves above the roles."""
        fields = super().get_readonly_fields(request, obj)
        return fields if request.user.is_superuser else (*fields, "is_superuser", "user_permissions")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (request.user.is_superuser or not (obj and obj.is_superuser))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and obj.pk == request.user.pk:
            return False  # nobody saws off the branch they sit on
        return super().has_delete_permission(request, obj) and (request.user.is_superuser or not (obj and obj.is_superuser))

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        user = self.get_object(request, id)
        if user is not None and not self.has_change_permission(request, user):
            raise PermissionDenied
        before = str(request.session.session_key)
        response = super().user_change_password(request, id, form_url)
        if request.method == "POST" and response.status_code == 302 and user is not None:
            if user.pk == request.user.pk:
                sign_in.password_changed(request, before)
            else:
                people.end_sign_ins(user)
                journal.note(None, "person.password", who(request), person=user.get_username())
        return response

    # --- the journal ---

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        form.before = _facts(User.objects.get(pk=obj.pk)) if change else None
        super().save_model(request, obj, form, change)
        if change and not (obj.is_active and obj.is_staff):
            people.end_sign_ins(obj)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        name = form.instance.get_username()
        if form.before is None:
            groups = ", ".join(form.instance.groups.values_list("name", flat=True))
            journal.note(None, "person.added", who(request), person=name, groups=groups)
            return
        if changes := _changes(form.before, _facts(form.instance)):
            journal.note(None, "person.changed", who(request), person=name, changes=changes)
        if "companies" in form.cleaned_data:
            people.set_companies(form.instance, form.wanted_companies(), who(request))

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        people.end_sign_ins(obj)
        journal.note(None, "person.removed", who(request), person=obj.get_username())
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for user in queryset:
            self.delete_model(request, user)

    # --- own pages ---

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("invite/", view(never_cache(self.invite)), name="auth_user_invite"),
            path("second-factor/", view(require_POST(self.ask_of_roles)), name="auth_user_factor_rules"),
            path("<int:pk>/invite/", view(require_POST(never_cache(self.invite_again))), name="auth_user_invite_again"),
            path("<int:pk>/second-factor/", view(self.reset_factor), name="auth_user_factor"),
            path("<int:pk>/sign-out/", view(require_POST(self.sign_out)), name="auth_user_sign_out"),
            *super().get_urls(),
        ]

    def _page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        request.current_app = self.admin_site.name  # type: ignore[attr-defined]
        frame = {**self.admin_site.each_context(request), "opts": self.opts, "model_admin": self, "has_permission": True}
        return TemplateResponse(request, template, {**frame, **context})

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        rules = set(models.RoleRule.objects.filter(second_factor=True).values_list("role_id", flat=True))
        roles = [
            {"pk": g.pk, "title": role(g.name), "asked": g.pk in rules}
            for g in Group.objects.exclude(name=INTEGRATIONS).order_by("name")
        ]
        context = {
            "title": gettext("People"),
            "factor_roles": roles,
            "anybody_asked": bool(rules),
            "may_add": self.has_add_permission(request),
        }
        context["may_rule"] = request.user.has_perm("auth.change_group") and self.has_change_permission(request)
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kw: Any) -> Any:
        user = kw.get("obj")
        if user is not None:
            factor = models.SecondFactor.objects.filter(user=user).first() if user.has_factor else None
            context |= {
                "person": user,
                "person_factor": factor,
                "person_must": factor is None and people.must_have_factor(user),
                "sign_ins": account.shown(people.sign_ins(user), str(request.session.session_key)),
                "may_manage": self.has_change_permission(request, user),
            }
        return super().render_change_form(request, context, *args, **kw)

    def _managed(self, request: HttpRequest, pk: int) -> User:
        user = self.get_object(request, str(pk))
        if user is None:
            raise Http404
        if not self.has_change_permission(request, user):
            raise PermissionDenied
        return user  # type: ignore[no-any-return]

    def _to(self, user: User) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:auth_user_change", args=[user.pk]))

    def _link(self, request: HttpRequest, user: User) -> HttpResponse:
        """The page with the link, which is shown this once."""
        ident, token = urlsafe_base64_encode(force_bytes(user.pk)), default_token_generator.make_token(user)
        address = request.build_absolute_uri(reverse("admin:invited", args=[ident, token]))
        journal.note(None, "person.invited", who(request), person=user.get_username())
        context = {"title": gettext("Invitation"), "person": user, "address": address}
        return self._page(request, "obmen/invitation.html", context)

    def invite(self, request: HttpRequest) -> HttpResponse:
        """A new person with a role, in one form; they choose their password themselves, behind a link."""
        if not (self.has_add_permission(request) and request.user.has_perm("auth.change_user")):
            raise PermissionDenied
        form = InviteForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            said = form.cleaned_data
            names = {name: said[name] for name in ("first_name", "last_name", "email")}
            with transaction.atomic():
                user = User.objects.create_user(said["username"], is_staff=True, **names)
                user.groups.add(said["role"])
                groups = ", ".join(user.groups.values_list("name", flat=True))
                journal.note(None, "person.added", who(request), person=user.get_username(), groups=groups)
                people.set_companies(user, form.wanted_companies(), who(request))
            return self._link(request, user)
        return self._page(request, "obmen/invite.html", {"title": gettext("Invite a person"), "form": form})

    def invite_again(self, request: HttpRequest, pk: int) -> HttpResponse:
        user = self._managed(request, pk)
        if not (user.is_active and user.is_staff):
            messages.error(request, gettext("This person may not sign in to these pages: allow it first."))
            return self._to(user)
        return self._link(request, user)

    def ask_of_roles(self, request: HttpRequest) -> HttpResponse:
        if not (request.user.has_perm("auth.change_group") and self.has_change_permission(request)):
            raise PermissionDenied
        wanted = {int(pk) for pk in request.POST.getlist("role") if pk.isascii() and pk.isdigit()}
        people.ask_of_roles(wanted, who(request))
        messages.success(request, gettext("Saved. People with these roles set up a second factor at their next sign-in."))
        return HttpResponseRedirect(reverse("admin:auth_user_changelist"))

    def reset_factor(self, request: HttpRequest, pk: int) -> HttpResponse:
        user = self._managed(request, pk)
        if request.method == "POST":
            if people.take_off(user, who(request)):
                people.end_sign_ins(user, but=str(request.session.session_key))
                messages.success(request, gettext("The second factor is taken off."))
            return self._to(user)
        context = {
            "title": gettext("Take the second factor off"),
            "question": gettext("Take the second factor of %(name)s off?") % {"name": user.get_username()},
            "consequence": gettext(
                "For whoever has lost the phone and the recovery codes. Be sure that it is this person who asks: from then on their "
                "password alone signs in, until they set up a new second factor. They are signed out everywhere."
            ),
            "button": gettext("Take it off"),
            "danger": True,
            "back": reverse("admin:auth_user_change", args=[user.pk]),
        }
        return self._page(request, "obmen/ask.html", context)

    def sign_out(self, request: HttpRequest, pk: int) -> HttpResponse:
        user = self._managed(request, pk)
        count = people.end_sign_ins(user, but=str(request.session.session_key))
        journal.note(None, "person.signed_out", who(request), person=user.get_username())
        said = ngettext("%(count)s browser is signed out.", "%(count)s browsers are signed out.", count)
        messages.success(request, said % {"count": count})
        return self._to(user)


def _role_facts(group: Group) -> dict[str, list[str]]:
    return {
        "name": [group.name],
        "permissions": list(group.permissions.values_list("codename", flat=True)),
        "members": list(group.user_set.values_list("username", flat=True)),
    }


class GroupAdmin(WithoutJoins, ForAllSeeing, BaseGroupAdmin, ModelAdmin):
    form = GroupForm
    compressed_fields = False
    list_display = ("title", "members")
    filter_horizontal = ()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("name", "chosen", "permissions") if self._may_choose(request, obj) else ("name", "permissions")

    def _may_choose(self, request: HttpRequest, group: Group | None) -> bool:
        """Membership is a matter of both pages: of groups and of users."""
        may = self.has_change_permission(request, group) if group else self.has_add_permission(request)
        return may and request.user.has_perm("auth.change_user")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kw: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kw)  # a class made for this request
        if self._may_choose(request, obj):
            # Superusers are changed by superusers only, here as on their own page.
            form.offered = User.objects.all() if request.user.is_superuser else User.objects.filter(is_superuser=False)
        return form

    def save_model(self, request: HttpRequest, obj: Group, form: Any, change: bool) -> None:
        form.before = _role_facts(Group.objects.get(pk=obj.pk)) if change else {}
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if "chosen" in form.cleaned_data:
            shown, wanted = form.fields["chosen"].queryset, form.cleaned_data["chosen"]
            kept = form.instance.user_set.exclude(pk__in=shown.values("pk"))
            form.instance.user_set.set([*kept, *wanted])
        after = _role_facts(form.instance)
        apart = {name: _apart(form.before.get(name, ()), values) for name, values in after.items()}
        changes = {name: pair for name, pair in apart.items() if pair != ["", ""]}
        if changes:
            journal.note(None, "role.changed" if change else "role.added", who(request), role=form.instance.name, changes=changes)

    def delete_model(self, request: HttpRequest, obj: Group) -> None:
        journal.note(None, "role.removed", who(request), role=obj.name)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for group in queryset:
            self.delete_model(request, group)

    @display(description=_("name"), ordering="name")
    def title(self, group: Group) -> str:
        return role(group.name)

    @display(description=_("members"))
    def members(self, group: Group) -> int:
        return group.user_set.count()

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kw: Any) -> Any:
        if db_field.name == "permissions":
            return PermissionsField(label=db_field.verbose_name.capitalize())
        return super().formfield_for_manytomany(db_field, request, **kw)


site.register(User, UserAdmin)
site.register(Group, GroupAdmin)
