"""Users, groups and permissions: Django's own, in the site's frame, limited to what means something here."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from obmen.web.site import site

APPS = ("store", "auth")
UNUSED = ("permission",)  # nobody edits the list of permissions itself


def permissions() -> Any:
    """What can be granted: of the books, of the exchange and of people; not of the framework's inner tables."""
    found = Permission.objects.filter(content_type__app_label__in=APPS).exclude(content_type__model__in=UNUSED)
    return found.select_related("content_type").order_by("content_type__app_label", "content_type__model", "codename")


class UserAdmin(BaseUserAdmin, ModelAdmin):
    form = UserChangeForm
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

    @display(description=_("person"))
    def full_name(self, user: User) -> str:
        return user.get_full_name() or "–"

    @display(description=_("groups"))
    def roles(self, user: User) -> str:
        return ", ".join(g.name for g in user.groups.all()) or "–"

    @display(description=_("access to the admin panel"), boolean=True)
    def may_enter(self, user: User) -> bool:
        return user.is_staff

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kw: Any) -> Any:
        form = super().get_form(request, obj, change, **kw)
        fields = form.base_fields
        if "is_staff" in fields:
            fields["is_staff"].label = _("access to the admin panel")
            fields["is_staff"].help_text = _("May sign in to these pages. A machine account has no use for it.")
        if "user_permissions" in fields:
            fields["user_permissions"].queryset = permissions()
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
    list_display = ("name", "members")
    filter_horizontal = ()

    @display(description=_("members"))
    def members(self, group: Group) -> int:
        return group.user_set.count()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kw: Any) -> Any:
        form = super().get_form(request, obj, change, **kw)
        if "permissions" in form.base_fields:
            form.base_fields["permissions"].queryset = permissions()
        return form


site.register(User, UserAdmin)
site.register(Group, GroupAdmin)
