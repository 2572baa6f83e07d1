"""The first hour of a connection: from the choice of a system to its first exchange, step by step.

Nothing is kept of a "wizard": how far a connection is follows from the books, so that anybody can go on at any time and anywhere.
A step that a connection does not have is not shown. The pages are in first_hour_pages.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from obmen.core.contract import Connector, ExchangeError, Table
from obmen.core.records import Kind
from obmen.registry import connectors
from obmen.store import connections as setup
from obmen.store import models, notes
from obmen.web.connector_tabs import Working, is_on

NOTE = "first-hour"

TITLES = {
    "system": _("System"),
    "access": _("Access"),
    "check": _("Check"),
    "defaults": _("Defaults"),
    "mapping": _("Mapping"),
    "preview": _("Preview"),
    "on": _("Switch on"),
}
MAY_WAIT = ("defaults", "mapping", "preview")

FAMILIES = {
    "accounting": (_("Accounting systems"), _("1C, BAS, MoySklad: where goods, prices and stock are kept. They call this hub.")),
    "shop": (_("Online shops"), _("The hub brings them goods and takes their orders.")),
    "marketplace": (_("Marketplaces"), _("The hub takes orders from your shop there and keeps prices and stock right.")),
    "crm": (_("CRM"), _("The hub brings orders and customers from there and keeps the catalogue, prices and stock right.")),
    "": (_("Other systems"), ""),
}


# --- choosing a system -----------------------------------------------------------------------------------------------------


def systems() -> list[dict[str, Any]]:
    """What can be connected, by family: [{"title", "about", "cards": [{"value", "title", "about", "by"}]}]."""
    found: dict[str, list[dict[str, Any]]] = {family: [] for family in FAMILIES}
    for key, kind in connectors().items():
        for name, profile in kind.profiles().items() or [("", {})]:
            family = str(profile.get("family", kind.family))
            about = profile.get("note") or kind.about
            found[family if family in FAMILIES else ""].append(
                {
                    "value": f"{key}:{name}" if name else key,
                    "title": now_(str(profile.get("title") or kind.title)),
                    "about": now_(str(about)) if about else "",
                    "by": "" if name == "" else now_(str(kind.title)),
                    "last": name == "generic",
                }
            )
    return [
        {
            "key": family,
            "title": title,
            "about": about,
            "cards": sorted(found[family], key=lambda card: (card["last"], card["title"].casefold())),
        }
        for family, (title, about) in FAMILIES.items()
        if found[family]
    ]


def titled(found: list[dict[str, Any]], value: str) -> str:
    """What the card of this value is called; "" when there is none."""
    return next((card["title"] for family in found for card in family["cards"] if card["value"] == value), "")


def welcome(request: HttpRequest) -> dict[str, Any]:
    """What obmen/welcome.html shows on the first page of a hub without connections."""
    return {"systems": systems(), "may_add": request.user.has_perm("store.add_connection")}


# --- how far it is ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    key: str
    title: str
    number: int
    state: str  # done | later | now | ahead
    url: str = ""  # "" as long as it cannot be opened


def page_url(connection: models.Connection, step: str = "", **query: str) -> str:
    asked = {"step": step, **query} if step else query
    return reverse("admin:store_connection_first_hour", args=[connection.pk]) + (f"?{urlencode(asked)}" if asked else "")


def unfinished(connection: models.Connection) -> bool:
    """A system that calls us has never called; one that we call is off and has never exchanged anything."""
    kind = connectors().get(connection.connector)
    if kind is None or connection.last_call is not None:
        return False
    if kind.calls_out:
        return not connection.enabled and not connection.runs.exclude(args__has_key="preview").exists()
    return not has_run(connection)


def has_run(connection: models.Connection) -> bool:
    """Known without a query of a connection that came ``with_run``."""
    known = vars(connection).get("ran")
    return connection.runs.exists() if known is None else bool(known)


def with_run(connections: QuerySet[models.Connection]) -> QuerySet[models.Connection]:
    return connections.annotate(ran=Exists(models.Run.objects.filter(connection=OuterRef("pk"))))


def reminder(connection: models.Connection) -> dict[str, Any] | None:
    """What obmen/first_hour_note.html says on the pages of a connection whose set-up is not finished."""
    if not unfinished(connection):
        return None
    way = Way(connection)
    here = way.here()
    return {"number": here.number, "count": len(way.steps), "title": here.title, "url": page_url(connection)}


def beginning() -> dict[str, Any]:
    """What obmen/first_hour_steps.html shows before a system is chosen: every step that there may be."""
    steps = [Step(key, str(title), n, "now" if n == 1 else "ahead") for n, (key, title) in enumerate(TITLES.items(), 1)]
    return {"steps": steps, "step": steps[0]}


def way_of(connection: models.Connection, step: str) -> dict[str, Any]:
    """The same on another page that belongs to a step of an unfinished connection; {} when it is finished."""
    if not unfinished(connection):
        return {}
    way = Way(connection)
    here = next(one for one in way.steps if one.key == step)
    return {"setup": None, "steps": way.steps, "step": here, "onward": page_url(connection, "check"), "where": way.where}


class Way:
    """The steps of one connection, and which of them are done."""

    def __init__(self, connection: models.Connection) -> None:
        self.connection = connection
        self.kind: type[Connector] = connectors()[connection.connector]
        self.calls_out = self.kind.calls_out
        self.note: dict[str, Any] = notes.recall(connection, NOTE) or {}

    @property
    def where(self) -> list[str]:
        """The menus over there that lead to where our address is asked for."""
        return [now_(menu) for menu in self.kind.profiles().get(self.connection.profile, {}).get("where", ())]

    def remember(self, **said: Any) -> None:
        self.note |= said
        notes.remember(self.connection, NOTE, self.note)

    def put_off(self, step: str) -> None:
        self.remember(later=sorted({*self.note.get("later", ()), step}), **self._begins() if step == "defaults" else {})

    def does(self) -> list[str]:
        """The streams that its settings leave it with, as they were when it was looked at last."""
        return [name for name in self.kind.streams if name in self.note.get("streams", self.kind.streams)]

    def chosen(self) -> set[str]:
        """The streams that a person wants: those of the newest preview, as long as nothing is exchanged; else those that are on."""
        if self.preview is not None and not self.connection.enabled:
            return set(self.preview.streams.split(","))
        return set(self.connection.streams.filter(enabled=True).values_list("stream", flat=True))

    def took_defaults(self) -> None:
        self.remember(read=timezone.now().isoformat(), **self._begins())

    def _begins(self) -> dict[str, Any]:
        """What the connection does by its settings, and which of it begins where a person says: known once the connector can be asked,
        too dear for every look at a page."""
        streams, orders = what_it_does(self.connection)
        return {"streams": streams, "orders": orders}

    @cached_property
    def current(self) -> Any:
        """The connection's settings. Raises NeedsOwner."""
        return setup.settings_of(self.connection)

    @cached_property
    def tables(self) -> list[Table]:
        try:
            current = self.current
        except ExchangeError:
            return []
        return [table for table in self.kind.tables if is_on(table.when, current)]

    @cached_property
    def counts(self) -> dict[str, tuple[int, int, int]]:
        """{table: (mapped, rows that are taken, rows that nobody has decided on)}, of all tables by one query."""
        says_something = ~Q(ours="") | ~Q(attributes={})
        rows = (
            self.connection.mappings.exclude(taken=False, reported=False)
            .values_list("subject", "inbound", "outbound", "reported")
            .annotate(count=Count("id"), said=Count("id", filter=says_something))
            .order_by()
        )
        found: dict[str, list[int]] = {table_id(table): [0, 0, 0] for table in self.tables}
        for subject, inbound, outbound, reported, count, said in rows:
            for table in self.tables:
                if table.subject == subject and {"in": inbound, "out": outbound}.get(table.direction, True):
                    sums = found[table_id(table)]
                    sums[0] += said
                    sums[1] += count
                    sums[2] += count - said if reported else 0
        return {name: (sums[0], sums[1], sums[2]) for name, sums in found.items()}

    @cached_property
    def values_to_map(self) -> int:
        """Of a system that calls us: values that came and nobody has mapped."""
        return self.connection.mappings.filter(ours="", reported=True).count()

    @cached_property
    def preview(self) -> models.Run | None:
        """The newest preview."""
        return self.connection.runs.filter(args__preview=True).order_by("-id").first()

    @cached_property
    def done(self) -> dict[str, bool]:
        """The steps that this connection has, in their order."""
        one = self.connection
        if not self.calls_out:
            called = one.last_call is not None or has_run(one)
            mapping = {"mapping": not self.values_to_map} if called and self.values_to_map else {}
            return {"system": True, "access": one.enabled, "check": called, **mapping, "on": "on" in self.note}
        mapping = {"mapping": not any(missing for _mapped, _rows, missing in self.counts.values())} if self.tables else {}
        return {
            "system": True,
            "access": bool(one.secrets) or one.checked is not None,
            "check": one.checked is not None,
            "defaults": "read" in self.note,
            **mapping,
            "preview": self.preview is not None and self.preview.state == models.Run.State.DONE,
            "on": one.enabled,
        }

    @cached_property
    def steps(self) -> list[Step]:
        """The first that is not done is "now"; those before it, and itself, can be opened."""
        found, open_ = [], True
        later = set(self.note.get("later", ()))
        for number, (key, done) in enumerate(self.done.items(), 1):
            state = "done" if done else "later" if key in later else "now" if open_ else "ahead"
            if not open_:
                state = "ahead"
            url = page_url(self.connection, key) if open_ and key != "system" else ""
            found.append(Step(key, str(TITLES[key]), number, state, url))
            open_ = open_ and state != "now"
        return found

    def here(self, wanted: str = "") -> Step:
        """The step that was asked for, where it can be opened; else the one that is next."""
        for step in self.steps:
            if step.url and step.key == wanted:
                return step
        return next((step for step in self.steps if step.state == "now"), self.steps[-1])


def table_id(table: Table) -> str:
    return f"{table.subject}-{table.direction}"


def what_it_does(connection: models.Connection) -> tuple[list[str], list[str]]:
    """(streams that it has as it is set now, those of them that bring orders and begin where a person says)."""
    with Working(connection) as working:
        orders = [name for name in working.picking if Kind.ORDER in working.kinds_in.get(name, ())]
        return working.every, orders
