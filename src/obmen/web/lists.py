"""What every list of the hub shares: pages that stay fast at 300 000 rows, cards that only look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ORDER_VAR
from django.core.exceptions import FieldError, PermissionDenied
from django.core.paginator import Paginator
from django.db.models import IntegerField, Model, Q, QuerySet
from django.db.models.sql.query import Query
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.functional import cached_property
from django.utils.translation import gettext as now_
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

from obmen.store import visibility
from obmen.web import search  # noqa: F401  registers the lookup "holds"
from obmen.web.asking import as_id

CAP = 10_000  # rows that can be turned to
CAP_FOUND = 1_000  # of a search, which reads the table until it has found so many


def whole(found: QuerySet[Any], ids: Any) -> QuerySet[Any]:
    """The rows with these ids as ``found`` has them, in its order, without looking again why they were found."""
    plain = found.model._default_manager.filter(pk__in=ids).order_by(*found.query.order_by)
    plain.query.select_related = found.query.select_related
    plain.query.deferred_loading = found.query.deferred_loading
    return plain


class CappedPaginator(Paginator):
    """Reads the ids of at most ``cap`` + 1 rows once, and serves the count and the page from them.

    COUNT(*) and the page would each run the same search over the whole table; nobody turns to page 101.
    """

    template_name = "obmen/pagination.html"

    @cached_property
    def cap(self) -> int:
        return CAP_FOUND if self.object_list.query.where else CAP

    @cached_property
    def ids(self) -> list[Any]:
        return list(self.object_list.values_list("pk", flat=True)[: self.cap + 1])

    @cached_property
    def more(self) -> bool:
        return len(self.ids) > self.cap

    @cached_property
    def count(self) -> int:
        return min(len(self.ids), self.cap)

    def rows(self, ids: Sequence[Any]) -> QuerySet[Any]:
        return whole(self.object_list, ids)

    def page(self, number: Any) -> Any:
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        return self._get_page(self.rows(self.ids[first : first + self.per_page]), number, self)


class FastChangeList(ChangeList):
    def get_filters(self, request: HttpRequest) -> Any:
        """Raises IncorrectLookupParameters, which the list answers, where an id is larger than a column holds: SQLite's driver would
        break off while the query is running."""
        for name, values in self.filter_params.items():
            if _whole_numbers(self.model, name) and any(_too_large(one) for value in values for one in value.split(",")):
                raise IncorrectLookupParameters
        return super().get_filters(request)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = self.result_list if self.multi_page else self.paginator.page(1).object_list
        self.result_list = list(rows)
        self.model_admin.dress(self.result_list)
        if visibility.is_limited(request.user):
            self.model_admin.veil(self.result_list)


def _whole_numbers(model: type[Model], lookup: str) -> bool:
    """Whether a parameter of an address is compared with whole numbers: “connection”, “id__in”; False for what is no field."""
    try:
        _joins, _field, targets, _transforms = Query(model).names_to_path(lookup.split("__"), model._meta)
    except FieldError:
        return False
    return isinstance(targets[-1], IntegerField)


def _too_large(text: str) -> bool:
    try:
        return not -(2**63) <= int(text) < 2**63
    except ValueError:
        return False


class ListAdmin(ModelAdmin):
    """A list and a read-only card from an own template; what may be changed is said by each subclass."""

    card_template: str = ""
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    paginator = CappedPaginator
    list_filter_submit = True
    indexed: Sequence[str] = ()  # tried first, alone: an article that is found by its beginning is what was meant
    look_up: Sequence[str] = ()  # by beginning …
    look_in: Sequence[str] = ()  # … and by any part, every word of it
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return visibility.seen_by(request.user, super().get_queryset(request))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return FastChangeList

    def get_search_fields(self, request: HttpRequest) -> Sequence[str]:
        return (*self.indexed, *self.look_up, *self.look_in)

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip().replace("\0", "")
        if not term:
            return queryset, False
        if self.indexed and " " not in term:
            by_index = queryset.filter(self._any(self.indexed, "begins", term))
            if by_index.order_by().exists():
                return by_index, False
        found = queryset.filter(self.looked_for(term))
        if not request.GET.get(ORDER_VAR):
            return found, False
        # The texts are read in the order in which they lie; in the order of a column each row would be looked up apart.
        return queryset.filter(pk__in=found.order_by().values("pk")), False

    def looked_for(self, term: str) -> Q:
        """In ``look_up`` and ``look_in``."""
        found = self._any(self.look_up, "begins", term)
        for field in self.look_in:
            every_word = Q()
            for word in term.split()[:6]:
                every_word &= Q(**{f"{field}__holds": word})
            found |= every_word
        return found

    @staticmethod
    def _any(fields: Sequence[str], lookup: str, term: str) -> Q:
        found = Q()
        for field in fields:
            found |= Q(**{f"{field}__{lookup}": term})
        return found

    def dress(self, rows: list[Any]) -> None:
        """Give the rows of one page what their columns show, in a few queries instead of one for each row."""

    def veil(self, rows: Sequence[Any]) -> None:
        """Take out of rows that everybody sees what may tell of a company that this person does not see."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """What is done with ticked rows; refused where something else than ids was sent in their place."""
        if all(as_id(ticked) for ticked in request.POST.getlist(ACTION_CHECKBOX_NAME)):
            return super().response_action(request, queryset)
        messages.error(request, now_("The hub cannot tell which rows were meant: tick them in the list again."))
        return HttpResponseRedirect(request.get_full_path())

    def page(self, request: HttpRequest, template: str, context: dict[str, Any], **kw: Any) -> TemplateResponse:
        """One of our own pages inside the site's frame."""
        request.current_app = self.admin_site.name  # type: ignore[attr-defined]
        frame = {**self.admin_site.each_context(request), "opts": self.opts, "model_admin": self, "has_permission": True}
        return TemplateResponse(request, template, {**frame, **context}, **kw)

    def one(self, request: HttpRequest, object_id: str, permission: str = "view") -> Any:
        """The record, or None when there is none; refused without the permission (store.<permission>_<model>)."""
        if not request.user.has_perm(f"store.{permission}_{self.opts.model_name}"):
            raise PermissionDenied
        record = self.get_object(request, object_id)
        if record is not None and visibility.is_limited(request.user):
            self.veil([record])
        return record

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.card_template:
            return super().change_view(request, object_id, form_url, extra_context)
        record = self.one(request, object_id)
        if record is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        context = {"original": record, "record": record, "title": str(record), **self.card(request, record)}
        return self.page(request, self.card_template, context)

    def card(self, request: HttpRequest, record: Any) -> dict[str, Any]:
        """What the card's template needs besides the record."""
        return {}


def names_of(model: type[Model], ids: Sequence[Any], field: str = "name") -> dict[Any, str]:
    """{id: name} of the given rows, in one query."""
    return dict(model._default_manager.filter(pk__in=[i for i in ids if i]).values_list("pk", field))
