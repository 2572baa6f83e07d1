"""One request of the API as its method sees it, and the table that finds the method."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from obmen.sandbox.retailcrm.forms import Tree
from obmen.sandbox.retailcrm.state import Account, Actor, Json, Key, Refused, loads

if TYPE_CHECKING:
    from obmen.sandbox.retailcrm.crm import RetailCRM

LIMITS = (20, 50, 100)
WIDE_LIMITS = (20, 50, 100, 250)  # store/inventories and custom-fields
UPLOAD = 50  # entities in one orders/upload, customers/upload, customers-corporate/upload


@dataclass(frozen=True, slots=True)
class Request:
    """What came over the wire."""

    method: str
    path: str
    query: str = ""
    content_type: str = ""
    key: str = ""  # of the header X-API-KEY
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    content_type: str = "application/json; charset=utf-8"
    whole: int | None = None  # the length that is promised, when it is more than what is sent


@dataclass(slots=True)
class Call:
    crm: RetailCRM
    key: Key
    query: Tree
    form: Tree
    raw: bytes = b""
    params: dict[str, str] = field(default_factory=dict)
    partial: bool = False  # the fault "partial" is on

    @property
    def account(self) -> Account:
        return self.crm.account

    @property
    def actor(self) -> Actor:
        return Actor("api", key=self.key.value)

    def arg(self, name: str, default: str = "") -> str:
        value: Any = self.form.get(name, self.query.get(name, default))
        return value if isinstance(value, str) else default

    def json(self, name: str, kind: type = dict) -> Any:
        """The structure in a form field. Raises Refused when it is missing or is none."""
        if not self.arg(name):
            raise Refused(400, f"Parameter '{name}' is missing")
        try:
            value = loads(self.arg(name))
        except ValueError:
            raise Refused(400, "Errors in the entity format") from None
        if kind is list and isinstance(value, dict):
            value = list(value.values())
        rows = value if isinstance(value, list) else []
        if not isinstance(value, kind) or not all(isinstance(row, dict) for row in rows):
            raise Refused(400, "Errors in the entity format", {name: "This value is not valid."})
        return value

    # --- sites ------------------------------------------------------------------------------------------------------------

    def allowed(self) -> list[str]:
        """The sites of the key."""
        return [code for code in self.account.references["sites"] if self.key.sites is None or code in self.key.sites]

    def sites(self) -> list[str]:
        """Where to look: the named site, or all that the key may see."""
        named = self.arg("site")
        return [self._site(named)] if named else self.allowed()

    def site(self) -> str:
        """Where to write."""
        named = self.arg("site")
        if named:
            return self._site(named)
        allowed = self.allowed()
        if len(allowed) != 1:
            raise Refused(400, "Errors in the input parameters", {"site": "This value should not be blank."})
        return allowed[0]

    def _site(self, code: str) -> str:
        if code not in self.account.references["sites"]:
            raise Refused(400, "Errors in the input parameters", {"site": "This value is not valid."})
        if code not in self.allowed():
            raise Refused(403, "Access denied.")
        return code

    # --- lists ------------------------------------------------------------------------------------------------------------

    def by(self, name: str = "by") -> str:
        value = self.arg(name, "externalId")
        if value not in ("id", "externalId"):
            raise Refused(400, "Errors in the input parameters", {name: "This value is not valid."})
        return value

    def filter(self) -> Tree:
        """The official Python client sends ``filter=None`` when there is none."""
        given = self.query.get("filter")
        return given if isinstance(given, dict) else {}

    def page(self, limits: Collection[int] = LIMITS) -> tuple[int, int]:
        limit, page = self.query.get("limit", "20"), self.query.get("page", "1")
        if not (isinstance(limit, str) and limit.isdigit() and int(limit) in limits):
            raise Refused(400, "Errors in the pagination parameters")
        if not (isinstance(page, str) and page.isdigit() and int(page) > 0):
            raise Refused(400, "Errors in the pagination parameters")
        return int(limit), int(page)

    def listed(self, name: str, rows: Sequence[Any], show: Callable[[Any], Any], limits: Collection[int] = LIMITS) -> Json:
        limit, page = self.page(limits)
        pagination = {
            "limit": limit,
            "totalCount": len(rows),
            "currentPage": page,
            "totalPageCount": -(-len(rows) // limit),
        }
        part = rows[(page - 1) * limit : page * limit]
        return {"success": True, "pagination": pagination, name: [show(row) for row in part]}


Method = Callable[[Call], "Json | tuple[int, Json] | Answer"]


@dataclass(frozen=True, slots=True)
class Route:
    verb: str
    path: str  # "/orders/{externalId}/edit", without /api/v5
    method: Method
    scope: str = ""


class Routes:
    """Exact paths by a dictionary, the others by patterns in the order in which they were named."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.all = tuple(routes)
        self._exact: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[re.Pattern[str], Route]] = []
        for route in self.all:
            if "{" in route.path:
                pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(route.path))
                self._patterns.append((re.compile(pattern), route))
            else:
                self._exact.setdefault(route.path, {})[route.verb] = route

    def find(self, verb: str, path: str) -> tuple[Route, dict[str, str]]:
        exact = self._exact.get(path)
        if exact and verb in exact:
            return exact[verb], {}
        known = bool(exact)
        if not exact:
            for pattern, route in self._patterns:
                match = pattern.fullmatch(path)
                if match and route.verb == verb:
                    return route, match.groupdict()
                known = known or bool(match)
        raise Refused(405, "Method Not Allowed") if known else Refused(404, "API method not found")
