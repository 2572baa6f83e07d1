"""Every call to the CRM, and what its answers mean. One ``Crm`` for a connection, safe for threads.

Facts: API v5 as vendor's clients speak it (api-client-php, Go and Python clients): form posts with JSON in fields, PHP's nested
queries, ``by=id`` wherever the CRM's own id is known, ten calls a second for a key, 503 above that, and 460 for an upload of
which a part was refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from obmen.connectors.retailcrm.settings import CrmSettings
from obmen.core.contract import BadRecord, Hub, NeedsOwner
from obmen.core.records import Reference, Subject
from obmen.core.words import gettext_noop as _
from obmen.net.answers import listed as listed
from obmen.net.answers import mapping as mapping
from obmen.net.client import Client, NotJson, Pace, Response, php_query, to_json
from obmen.net.pace import FileSlots

CALLS_A_SECOND = 10
KEPT = 2000  # bytes of a body that the journal shows: masking more of two hundred calls a minute costs their time
PAGE = 100  # the most that lists give
CHUNK = 50  # orders asked by id at once, and the most that an upload takes
NO_ONE = 2_147_483_647  # no journal has got so far: asked for what came after it, the CRM says nothing but its time

Json = dict[str, Any]

CHECK = _("Check the address of the CRM and the API key: {reason}")
NO_SERVER = _("The address of the CRM is not given: enter it on the tab “Constants”")
NO_KEY = _("The API key is not given: enter it on the tab “Constants”")
NO_HUB = _("The connection has to be saved before it can call the CRM")
NO_CRM_THERE = _("There is no CRM at this address (status {status}): check the address on the tab “Constants”")
MAY_NOT = _(
    "The API key may not do this: {path} ({reason}). Give the key more rights in the CRM, and the shop of this connection"
)
REFUSED = _("The CRM refuses {path}: {reason}")
GONE = _("The CRM does not know it any more: {path}")
NO_METHOD = _("The CRM has no method {path}: its version is too old, or the address is that of another system")
SCOPE_MISSING = _("The API key lacks the rights {scopes}: add them in the CRM, Administration → Integration → API access keys")
WRONG_SITE = _("The key does not open the shop “{site}”; it opens: {sites}. Correct the code of the shop")
MANY_SITES = _("The key opens several shops ({sites}): enter the code of one of them, and make a connection for each further one")
NO_ZONE = _("The CRM does not say its time zone: the zone of the connection is used")

READ_SCOPES = ("order_read", "reference_read", "customer_read")


class Refused(BadRecord):
    """The CRM does not take what was sent. ``message`` and ``errors`` (path, sentence) are its own words."""

    def __init__(self, path: str, status: int, message: str, errors: Sequence[tuple[str, str]]) -> None:
        reason = "; ".join([message, *(f"{where}: {what}" if where else what for where, what in errors)]).strip("; ")
        super().__init__(REFUSED, path=path, reason=reason or str(status))
        self.status, self.message, self.errors = status, message, errors
        self.reason = reason

    def says(self, words: str) -> bool:
        return words.lower() in self.reason.lower()


class NotFound(BadRecord):
    """404: there is no such thing (any more)."""


@lru_cache
def slots(folder: Path) -> FileSlots:
    """One plan of calls for all connections and processes of this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    return FileSlots(folder / "paces.sqlite3")


class Crm:
    """Raises NeedsOwner at the first call when address or key are missing, TryLater as the HTTP client does."""

    def __init__(self, s: CrmSettings, hub: Hub | None) -> None:
        if hub is None:
            raise NeedsOwner(NO_HUB)
        self.s, self.hub = s, hub

    @cached_property
    def client(self) -> Client:
        s, hub = self.s, self.hub
        if not s.address:
            raise NeedsOwner(NO_SERVER)
        if not s.key:
            raise NeedsOwner(NO_KEY)
        account = hashlib.blake2b(f"{s.address} {s.key}".encode(), digest_size=12).hexdigest()
        return Client(
            s.address,
            pace=Pace(account, CALLS_A_SECOND, slots=slots(hub.folder), sleep=hub.sleep),
            headers={"X-API-KEY": s.key},
            secrets=[s.key],
            trust=hub.trust,
            allow_private=hub.allow_private,
            journal=hub.exchanged,
            keep=KEPT,
            sleep=hub.sleep,
        )

    def close(self) -> None:
        if "client" in self.__dict__:
            self.client.close()

    # --- calls ---

    def get(self, path: str, **query: Any) -> Json:
        return self._answer(path, self.client.call("GET", path, query=php_query(query)))

    def post(self, path: str, safe: bool, partly: bool = False, **fields: Any) -> Json:
        """``safe``: sending it twice does no harm. Texts are fields, structures go as JSON in one. ``partly``: 460 comes back."""
        form = [(k, v if isinstance(v, str) else to_json(v)) for k, v in fields.items() if v is not None and v != ""]
        return self._answer(path, self.client.call("POST", path, safe=safe, form=form), partly)

    def _answer(self, path: str, response: Response, partly: bool = False) -> Json:
        path = path.removeprefix("/api/v5")
        try:
            data = response.json()
        except NotJson:
            if response.status >= 300:  # a web server that is no CRM has its own pages for what it does not know
                raise NeedsOwner(NO_CRM_THERE, status=response.status) from None
            raise
        if not isinstance(data, dict):
            raise NeedsOwner(NO_CRM_THERE, status=response.status)
        if response.ok and data.get("success") is not False:
            return data
        message, errors = str(data.get("errorMsg") or ""), error_list(data.get("errors"))
        if response.status == 460 and partly:
            return data
        if response.status in (401, 403):
            raise NeedsOwner(MAY_NOT, path=path, reason=message or response.status)
        if response.status == 404 and message in ("API method not found", "Account does not exist."):
            raise NeedsOwner(NO_METHOD, path=path)
        if response.status == 404:
            raise NotFound(GONE, path=path)
        if response.status == 405:
            raise NeedsOwner(NO_METHOD, path=path)
        raise Refused(path, response.status, message, errors)

    def all(self, path: str, key: str, **filters: Any) -> Iterator[Json]:
        """Every entry of a list, page by page."""
        page = 1
        while True:
            data = self.get(path, filter=filters, limit=PAGE, page=page)
            yield from listed(data.get(key))
            if page >= int(mapping(data.get("pagination")).get("totalPageCount") or 0):
                return
            page += 1

    # --- the account ---

    @cached_property
    def zone(self) -> ZoneInfo:
        """In which the account tells the time. Asked once; what it said last counts when the key may not ask."""
        try:
            said = mapping(mapping(self.get("/api/v5/settings").get("settings")).get("timezone")).get("value")
        except (NeedsOwner, BadRecord):
            said = self.hub.recall("zone")
        try:
            zone = ZoneInfo(str(said or ""))
        except (ZoneInfoNotFoundError, ValueError):
            self.hub.report("warning", NO_ZONE)
            return ZoneInfo(getattr(self.hub.zone, "key", "UTC"))
        if self.hub.recall("zone") != zone.key:
            self.hub.remember("zone", zone.key)
        return zone

    def check(self) -> str:
        """Who we are: host, shops, rights. Raises NeedsOwner with the manual's sentence for a wrong address or key."""
        try:
            data = self.get("/api/credentials")
        except (NeedsOwner, NotJson, BadRecord) as error:
            raise NeedsOwner(CHECK, reason=error.facts.get("reason") or str(error)) from error
        scopes = [str(scope) for scope in listed(data.get("scopes"))]
        if scopes and (lacking := [scope for scope in self.scopes() if scope not in scopes]):
            raise NeedsOwner(SCOPE_MISSING, scopes=", ".join(lacking))
        sites = [str(code) for code in listed(data.get("sitesAvailable"))] or [r.key for r in self.references(Subject.SITE)]
        if self.s.site and self.s.site not in sites:
            raise NeedsOwner(WRONG_SITE, site=self.s.site, sites=", ".join(sites))
        if not self.s.site and len(sites) > 1:
            raise NeedsOwner(MANY_SITES, sites=", ".join(sites))
        return " · ".join(filter(None, (self.client.host, ", ".join(sites), ", ".join(scopes))))

    def scopes(self) -> list[str]:
        """The rights that the settings make use of in any case; a stream that lacks one says so itself."""
        wanted = list(READ_SCOPES)
        if self.s.send_payments or self.s.send_own:
            wanted.append("order_write")
        if self.s.send_own:
            wanted.append("customer_write")
        if self.s.price_types:
            wanted.append("store_write")
        return wanted

    @property
    def site(self) -> str:
        """Of what we write; "" when the key knows only one."""
        return self.s.site.strip()

    # --- references ---

    def references(self, subject: Subject) -> Sequence[Reference]:
        """Active ones, in the order in which the CRM shows them. Attributes named like a column of the table are its first values."""
        match subject:
            case Subject.ORDER_STATE:
                return self._statuses()
            case Subject.MANAGER:
                users = self.all("/api/v5/users", "users", active=1, isManager=1)
                return [Reference(subject, str(user["id"]), full_name(user) or str(user["id"])) for user in users if "id" in user]
        if subject not in LISTS:
            raise NeedsOwner(_("The CRM has no list of these"))
        path, key = LISTS[subject]
        rows = [row for row in listed(self.get(f"/api/v5/reference/{path}").get(key)) if row.get("active", True)]
        if subject in (Subject.PAYMENT_KIND, Subject.DELIVERY) and self.site:
            rows = [row for row in rows if not row.get("sites") or self.site in listed(row["sites"])]
        rows.sort(key=lambda row: row.get("ordering") or 0)
        return [Reference(subject, str(row["code"]), str(row.get("name") or row["code"])) for row in rows if "code" in row]

    def _statuses(self) -> Sequence[Reference]:
        groups = mapping(self.get("/api/v5/reference/status-groups").get("statusGroups"))
        rows = [row for row in listed(self.get("/api/v5/reference/statuses").get("statuses")) if row.get("active", True)]

        def place(row: Json) -> tuple[int, int]:
            return mapping(groups.get(row.get("group", ""))).get("ordering") or 0, row.get("ordering") or 0

        found = []
        for row in sorted(rows, key=place):
            group = str(row.get("group") or "")
            name = str(mapping(groups.get(group)).get("name") or group)
            attributes = (("group", name), *((("cancel", "yes"),) if group == "cancel" else ()))
            found.append(Reference(Subject.ORDER_STATE, str(row["code"]), str(row.get("name") or row["code"]), attributes))
        return found


LISTS = {
    Subject.WAREHOUSE: ("stores", "stores"),
    Subject.PRICE_KIND: ("price-types", "priceTypes"),
    Subject.PAYMENT_KIND: ("payment-types", "paymentTypes"),
    Subject.DELIVERY: ("delivery-types", "deliveryTypes"),
    Subject.ORDER_KIND: ("order-types", "orderTypes"),
    Subject.ORDER_METHOD: ("order-methods", "orderMethods"),
    Subject.SITE: ("sites", "sites"),
    Subject.UNIT: ("units", "units"),
    Subject.CURRENCY: ("currencies", "currencies"),
    Subject.ORGANISATION: ("legal-entities", "legalEntities"),
}


def error_list(errors: Any) -> list[tuple[str, str]]:
    """``errors`` of an answer is a list of sentences, or a map of them by path; [(path, sentence)]."""
    if isinstance(errors, dict):
        return [("" if str(path).isdigit() else str(path), str(what)) for path, what in errors.items()]
    return [("", str(what)) for what in listed(errors)]


def full_name(person: Mapping[str, Any]) -> str:
    """«firstName lastName patronymic», as the module's list of managers shows it."""
    return " ".join(str(person[name]) for name in ("firstName", "lastName", "patronymic") if person.get(name))
