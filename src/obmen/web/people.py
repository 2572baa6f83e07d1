"""Users, groups and permissions: Django's own, in the site's frame, limited to what means something here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from obmen.store import models
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
READ_ONLY = {"run", "parked", "journalentry", "message", "product", "offer", "group", "property", "counterparty"}
DEEDS = {"view": _("see"), "add": _("add"), "change": _("change"), "delete": _("remove")}


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


class Grouped:
    """[(what, [(id, deed), …]), …] for checkboxes with headings, read anew each time a page shows it."""

    def __iter__(self) -> Iterator[tuple[str, list[tuple[int, str]]]]:
        found: dict[Any, list[tuple[int, str]]] = {model: [] for model in MODELS}
        for permission in permissions().order_by("pk"):
            model = permission.content_type.model_class()
            deed, _sep, of = permission.codename.partition("_")
            usual = deed in DEEDS and of == model._meta.model_name
            found[model].append((permission.pk, str(DEEDS[deed]) if usual else gettext(permission.name)))
        for model, rows in found.items():
            yield capfirst(str(model._meta.verbose_name_plural)), rows


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


class UserForm(KeepsOthers, UserChangeForm):
    permission_field = "user_permissions"


class GroupForm(KeepsOthers, forms.ModelForm):
    """Name and permissions of a group."""


class UserAdmin(BaseUserAdmin, ModelAdmin):
    form = UserForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    compressed_fields = True
    list_display = ("username", "full_name", "email", "roles", "may_enter", "is_active", "last_login")
    list_filter = ("is_staff", "is_active", "groups")
    filter_horizontal = ()
    list_before_template = ""
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Person"), {"fields": ("first_name", "last_name", "email")}),
        (_("Access"), {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
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
        return super().get_queryset(request).prefetch_related("groups")

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

    @display(description=_("access to the admin panel"), boolean=True)
    def may_enter(self, user: User) -> bool:
        return user.is_staff

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kw: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kw)
        fields = form.base_fields
        if "is_staff" in fields:
            fields["is_staff"].label = _("access to the admin panel")
            fields["is_staff"].help_text = _("May sign in to these pages. A machine account has no use for it.")
        return form

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
        return super().user_change_password(request, id, form_url)


class GroupAdmin(BaseGroupAdmin, ModelAdmin):
    form = GroupForm
    compressed_fields = False
    list_display = ("title", "members")
    filter_horizontal = ()

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
