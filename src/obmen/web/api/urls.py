"""Addresses of the API, its description and its page; every answer of an error is a problem in JSON."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, re_path
from ninja import NinjaAPI, Swagger
from ninja.errors import HttpError, ValidationError
from ninja.renderers import JSONRenderer

from obmen import __version__
from obmen.store import tokens
from obmen.web.api import books, deciding, exchange, notices, parked, problems, set_up, tables  # noqa: F401  each adds its own to the router
from obmen.web.api.access import known
from obmen.web.api.operations import router
from obmen.web.api.problems import Problem
from obmen.web.api.wrongs import worded
from obmen.web.site import site

log = logging.getLogger(__name__)

DESCRIPTION = """What the pages of the hub do, for programs: the same permissions, the same words, the same journal.

Every call carries a token that a person made on the page “API tokens”: `Authorization: Bearer obmen_…`. It may what its person may,
within its scopes. Lists are turned by `cursor`; amounts are texts of digits; moments are UTC; messages come in the language of
`Accept-Language` (uk, ru, en). Errors are `application/problem+json` (RFC 9457) with a `code` that stays.

The manual: docs/api.md."""


class Renderer(JSONRenderer):
    json_dumps_params = {"ensure_ascii": False}  # half the bytes of a Cyrillic text


class Api(NinjaAPI):
    described: Any = None

    def get_openapi_schema(self, **asked: Any) -> Any:
        """With the media type of errors, and with scopes where OpenAPI 3.1 wants them; made once in a process."""
        if self.described is None:
            self.described = self._describe(**asked)
        return self.described

    def _describe(self, **asked: Any) -> Any:
        schema = super().get_openapi_schema(**asked)
        for methods in schema["paths"].values():
            for one in methods.values():
                one["responses"] = {str(status): answer for status, answer in one["responses"].items()}
                one["security"] = [{"Bearer": one.get("x-scopes", [])}]
                for status, answer in one["responses"].items():
                    content = answer.get("content", {})
                    if status >= "400" and "application/json" in content:
                        content[problems.MEDIA] = content.pop("application/json")
        return schema


def _seen(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The description is for those who may use it: people who are signed in, and tokens."""

    def guarded(request: HttpRequest, **kw: Any) -> HttpResponse:
        if site.has_permission(request):
            return view(request, **kw)
        scheme, _space, secret = request.headers.get("Authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer":
            if "text/html" in request.headers.get("Accept", ""):
                return redirect_to_login(request.get_full_path(), "/login/")
            raise Problem("no_token")
        known(request, secret.strip())
        return view(request, **kw)

    return guarded


api = Api(
    renderer=Renderer(),
    title="Obmen",
    version="1",
    description=DESCRIPTION,
    urls_namespace="api",
    docs_decorator=_seen,
    # No validator of other people: it would be sent the address of this hub.
    docs=Swagger(settings={"validatorUrl": None, "docExpansion": "list", "tagsSorter": "alpha", "displayRequestDuration": True}),
    openapi_extra={
        "info": {"x-hub-version": __version__},
        "x-scopes": dict(tokens.SCOPES),
    },
)
api.add_router("/v1", router)


@api.exception_handler(Problem)
def _problem(request: HttpRequest, error: Problem) -> HttpResponse:
    return error.response()


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    wrong = [(".".join(_place(one["loc"])), worded(one)) for one in error.errors]
    return Problem("invalid", errors=wrong).response()


def _place(loc: tuple[Any, ...]) -> list[str]:
    """("body", "change", "state") → body.state: the name of the parameter says nothing to the caller."""
    parts = [str(part) for part in loc]
    return [parts[0], *parts[2:]] if parts[0] == "body" and len(parts) > 2 else parts


@api.exception_handler(HttpError)
def _unreadable(request: HttpRequest, error: HttpError) -> HttpResponse:
    return Problem("unreadable").response()


@api.exception_handler(RequestDataTooBig)
def _too_big(request: HttpRequest, error: Exception) -> HttpResponse:
    return Problem("too_big").response()


@api.exception_handler(Http404)
def _not_found(request: HttpRequest, error: Exception) -> HttpResponse:
    return Problem("not_found").response()


@api.exception_handler(DatabaseError)
def _busy(request: HttpRequest, error: DatabaseError) -> HttpResponse:
    log.exception("the API could not use the database at %s %s", request.method, request.path)
    return Problem("busy", after=5).response()


@api.exception_handler(Exception)
def _failed(request: HttpRequest, error: Exception) -> HttpResponse:
    log.exception("the API failed at %s %s", request.method, request.path)
    return Problem("hub_error").response()


def _answered(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """What ninja answers before an operation is found becomes a problem, too, and nothing is kept on the way."""

    def whole(request: HttpRequest, **kw: Any) -> HttpResponse:
        try:
            response = view(request, **kw)
        except Problem as problem:
            response = problem.response()
        if response.status_code == 405 and response.headers.get("Content-Type") != problems.MEDIA:
            allow = response["Allow"]
            response = Problem("wrong_method").response()
            response["Allow"] = allow
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    whole.csrf_exempt = True  # type: ignore[attr-defined]  # no cookie opens anything here
    return whole


def _nothing(request: HttpRequest) -> HttpResponse:
    return Problem("no_address").response()


_nothing.csrf_exempt = True  # type: ignore[attr-defined]

_patterns, _app, _namespace = api.urls
_patterns = sorted(_patterns, key=lambda one: "<" in str(one.pattern))  # /parked/map is no parked record called “map”
urlpatterns: list[URLPattern] = [
    path(str(one.pattern), _nothing if one.name == "api-root" else _answered(one.callback), name=one.name) for one in _patterns
]
urlpatterns.append(re_path(r"^.", _nothing))
