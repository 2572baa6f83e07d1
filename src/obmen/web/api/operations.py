"""How an operation is declared: its method and address, what its token needs, and every status that it may answer."""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc
from typing import Annotated, Any

from ninja import Path, Router

from obmen.web.api import problems
from obmen.web.api.access import Bearer
from obmen.web.api.paging import BIGGEST

# One for all: of two routers with one address, the second one's methods would never be found.
router = Router()

Id = Annotated[int, Path(ge=1, le=BIGGEST)]

ALWAYS = (401, 403, 422, 429, 500, 503)


def operation(
    router: Router,
    method: str,
    path: str,
    response: Any,
    *,
    scopes: tuple[str, ...] = (),
    permission: str = "",
    ok: int = 200,
    also: tuple[int, ...] = (),
    **described: Any,
) -> Callable[[Any], Any]:
    """``scopes``: one of these is enough. ``also``: statuses besides those that every operation, every body and every id has."""
    statuses = {*ALWAYS, *also}
    statuses |= {404} if "{" in path else set()
    statuses |= {400, 413} if method in ("POST", "PUT", "PATCH") else set()
    answers = {ok: response, **dict.fromkeys(sorted(statuses), problems.ProblemDetails)}
    extra = described.pop("openapi_extra", {})
    if scopes or permission:
        extra = extra | {"x-scopes": list(scopes), "x-permission": permission}

    def declare(view: Any) -> Any:
        needs = f"Scope: {' or '.join(f'`{s}`' for s in scopes)}." if scopes else ""
        told = "\n\n".join(part for part in (cleandoc(view.__doc__ or ""), needs) if part)
        bearer = Bearer(*scopes, permission=permission)
        declared = router.api_operation(
            [method],
            path,
            auth=bearer,
            response=answers,
            operation_id=view.__name__,
            summary=view.__name__.replace("_", " ").capitalize(),
            description=told,
            openapi_extra=extra or None,
            **described,
        )(view)
        asked = (m for m in view._ninja_operation.models if m.__ninja_param_source__ == "query")
        bearer.parameters = {field.alias or name for model in asked for name, field in model.model_fields.items()}
        return declared

    return declare
