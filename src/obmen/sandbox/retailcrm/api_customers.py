"""Methods of persons and companies, with their parts, notes and journals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from obmen.sandbox.retailcrm.api_orders import journal, uploaded
from obmen.sandbox.retailcrm.call import Call, Route
from obmen.sandbox.retailcrm.customers import CORPORATE, PERSON, Customer
from obmen.sandbox.retailcrm.filters import By, integers, tests
from obmen.sandbox.retailcrm.state import INVALID, Json, Refused, not_found, without_nulls


def _data(name: str) -> Callable[[Customer], Any]:
    return lambda customer: customer.data.get(name)


_FILTERS = {
    "ids": By("ints", lambda c: c.id),
    "externalIds": By("texts", _data("externalId")),
    "name": By("text", lambda c: [*(c.data.get(k, "") for k in ("lastName", "firstName", "patronymic", "nickName")), *c.phones]),
    "email": By("text", _data("email")),
    "sites": By("texts", lambda c: c.site),
    "managers": By("ints", _data("managerId")),
    "vip": By("flag", _data("vip")),
    "bad": By("flag", _data("bad")),
    "isContact": By("flag", _data("isContact")),
    "sex": By("equal", _data("sex")),
    "city": By("text", lambda c: [a.get("city", "") for a in (c.address, *c.addresses.values())]),
    "region": By("text", lambda c: [a.get("region", "") for a in (c.address, *c.addresses.values())]),
    "dateFrom": By("from", _data("createdAt")),
    "dateTo": By("to", _data("createdAt")),
    "minOrdersCount": By("min", lambda c: c.orders),
    "maxOrdersCount": By("max", lambda c: c.orders),
    "minTotalSumm": By("min", lambda c: c.total),
    "maxTotalSumm": By("max", lambda c: c.total),
    "discountCardNumber": By("equal", _data("discountCardNumber")),
    "browserId": By("equal", _data("browserId")),
    "tags": By("texts", lambda c: c.tags),
    "customFields": By("custom", lambda c: c.custom),
    "contragentName": By("text", lambda c: [k.get("legalName", "") for k in _contragents(c)]),
    "contragentInn": By("equal", lambda c: [k.get("INN", "") for k in _contragents(c)]),
    "contragentKpp": By("equal", lambda c: [k.get("KPP", "") for k in _contragents(c)]),
    "contragentTypes": By("texts", lambda c: [k.get("contragentType", "") for k in _contragents(c)]),
}
_CORPORATE_FILTERS = {
    **_FILTERS,
    "nickName": By("texts", _data("nickName")),
    "companyName": By("text", lambda c: [row.get("name", "") for row in c.companies.values()]),
    "addressName": By("text", lambda c: [row.get("name", "") for row in c.addresses.values()]),
    "contactIds": By("ints", lambda c: [row["customer"] for row in c.contacts.values()]),
}
_BEYOND = frozenset(
    [
        "online",
        "emailMarketingUnsubscribed",
        "countries",
        "contragentBik",
        "contragentCorrAccount",
        "contragentBankAccount",
        "notes",
        "minAverageSumm",
        "maxAverageSumm",
        "classSegment",
        "attachments",
        "minCostSumm",
        "maxCostSumm",
        "tasksCounts",
        "segment",
        "mgChannels",
        "managerGroups",
        "firstWebVisitFrom",
        "firstWebVisitTo",
        "lastWebVisitFrom",
        "lastWebVisitTo",
        "firstOrderFrom",
        "firstOrderTo",
        "lastOrderFrom",
        "lastOrderTo",
        "commentary",
        "sourceName",
        "mediumName",
        "campaignName",
        "keywordName",
        "adContentName",
        "mgCustomerId",
        "attachedTags",
        "subscriptions",
        "contactName",
    ]
)


def _contragents(customer: Customer) -> list[Json]:
    return [customer.contragent, *(company["contragent"] for company in customer.companies.values())]


class _Kind:
    """The same methods for persons and for companies; only names differ."""

    def __init__(self, kind: str, path: str, one: str, many: str) -> None:
        self.kind, self.path, self.one, self.many = kind, path, one, many
        self.spec = _FILTERS if kind == PERSON else _CORPORATE_FILTERS

    def listed(self, call: Call) -> Json:
        given = call.filter()
        passed = tests(call.account, self.spec, _BEYOND, given)
        sites, rows = set(call.allowed()), call.crm.customers.rows
        picked = (rows.get(n) for n in integers(given["ids"]) or []) if "ids" in given else iter(rows.values())
        kept = [c for c in picked if c and c.type == self.kind and c.site in sites and all(test(c) for test in passed)]
        return call.listed(self.many, sorted(kept, key=lambda c: -c.id), call.crm.customers.shown)

    def _found(self, call: Call) -> Customer:
        return call.crm.customers.get(self.kind, call.by(), call.params["externalId"], call.sites())

    def got(self, call: Call) -> Json:
        return {"success": True, self.one: call.crm.customers.shown(self._found(call))}

    def create(self, call: Call) -> tuple[int, Json]:
        data = call.json(self.one)
        made = call.crm.customers.create(self.kind, call.site(), data, call.actor)
        return 201, {"success": True, "id": made.id}

    def edit(self, call: Call) -> Json:
        data = call.json(self.one)
        customer = self._found(call)
        call.crm.customers.edit(customer, data, call.actor)
        return {"success": True, "id": customer.id}

    def upload(self, call: Call) -> Json:
        site, customers = call.site(), call.crm.customers

        def save(row: Json) -> Json:
            made = customers.create(self.kind, site, row, call.actor)
            return without_nulls({"id": made.id, "externalId": made.data.get("externalId")})

        return uploaded(call, (self.many, "Customers", "Customers"), save)

    def fix_external_ids(self, call: Call) -> Json:
        call.crm.customers.fix_external_ids(self.kind, call.json(self.many, list), call.sites(), call.actor)
        return {"success": True}

    def combine(self, call: Call) -> Json:
        refs, result = call.json("customers", list), call.json("resultCustomer").get("id")
        if not refs or not str(result).isdigit() or not all(str(r.get("id")).isdigit() for r in refs):
            raise Refused(400, "Errors in the input parameters", {"id": "ID must be an integer"})
        moved = call.crm.customers.combine(self.kind, [int(r["id"]) for r in refs], int(str(result)), call.allowed(), call.actor)
        for old, new in moved:
            call.crm.orders.move_customer(old, new)
        return {"success": True}

    # --- notes ------------------------------------------------------------------------------------------------------------

    def notes(self, call: Call) -> Json:
        spec = {
            "ids": By("ints", lambda n: n["id"]),
            "customerIds": By("ints", lambda n: n["customer"]["id"]),
            "customerExternalIds": By("texts", lambda n: n["customer"].get("externalId")),
            "managerIds": By("ints", lambda n: n.get("managerId")),
            "text": By("text", lambda n: n["text"]),
            "createdAtFrom": By("from", lambda n: n["createdAt"]),
            "createdAtTo": By("to", lambda n: n["createdAt"]),
        }
        passed = tests(call.account, spec, (), call.filter())
        notes = call.crm.customers.notes.values()
        rows = [n for n in notes if n["customer"]["type"] == self.kind and all(test(n) for test in passed)]
        return call.listed("notes", rows, lambda note: note)

    def note_create(self, call: Call) -> tuple[int, Json]:
        data, customers = call.json("note"), call.crm.customers
        ref = data.get("customer") if isinstance(data.get("customer"), dict) else {}
        by = next((k for k in ("id", "externalId") if ref.get(k) not in (None, "")), "")
        if not by:
            raise Refused(400, "Errors in the entity format", {"customer": "Set one of the following fields: id, externalId"})
        owner = customers.get(self.kind, by, ref[by], call.sites())
        if not data.get("text"):
            raise Refused(400, "Errors in the entity format", {"text": "This value should not be blank."})
        number = call.account.new_id("note")
        about = {**customers.brief(owner), "type": owner.type}
        customers.notes[number] = {"customer": about, "id": number, "text": str(data["text"]), "createdAt": call.account.now()}
        return 201, {"success": True, "id": number}

    def note_delete(self, call: Call) -> Json:
        number = call.params["id"]
        if not number.isdigit() or call.crm.customers.notes.pop(int(number), None) is None:
            raise not_found()
        return {"success": True}

    # --- parts of a company -----------------------------------------------------------------------------------------------

    def parts(self, name: str, many: str) -> Callable[[Call], Json]:
        spec = {
            "ids": By("ints", lambda r: r["id"]),
            "externalIds": By("texts", lambda r: r.get("externalId")),
            "name": By("text", lambda r: r.get("name")),
            "city": By("text", lambda r: r.get("city")),
            "region": By("text", lambda r: r.get("region")),
            "contactIds": By("ints", lambda r: r.get("customer")),
        }

        def listed(call: Call) -> Json:
            owner, customers = self._found(call), call.crm.customers
            rows = {"address": owner.addresses, "company": owner.companies, "contact": owner.contacts}[name].values()
            passed = tests(call.account, spec, {"contactExternalIds"}, call.filter())
            kept = [row for row in rows if all(test(row) for test in passed)]
            return call.listed(many, kept, lambda row: customers.shown_child(owner, name, row))

        return listed

    def part_create(self, name: str) -> Callable[[Call], tuple[int, Json]]:
        def create(call: Call) -> tuple[int, Json]:
            data = call.json(name)
            row = call.crm.customers.add_child(self._found(call), name, data, call.actor)
            return 201, {"success": True, "id": row["id"]}

        return create

    def part_edit(self, name: str) -> Callable[[Call], Json]:
        def edit(call: Call) -> Json:
            data, owner, customers = call.json(name), self._found(call), call.crm.customers
            row = customers.child(owner, name, call.by("entityBy"), call.params["entityExternalId"])
            customers.edit_child(owner, name, row, data, call.actor)
            return {"success": True, "id": row["id"]}

        return edit

    def routes(self) -> list[Route]:
        top, read, write = self.path, "customer_read", "customer_write"
        routes = [
            Route("GET", top, self.listed, read),
            Route("POST", f"{top}/create", self.create, write),
            Route("POST", f"{top}/upload", self.upload, write),
            Route("POST", f"{top}/fix-external-ids", self.fix_external_ids, write),
            Route("POST", f"{top}/combine", self.combine, write),
            Route("GET", f"{top}/history", journal(top.strip("/"), "customer", "customer"), read),
            Route("GET", f"{top}/notes", self.notes, read),
            Route("POST", f"{top}/notes/create", self.note_create, write),
            Route("POST", f"{top}/notes/{{id}}/delete", self.note_delete, write),
            Route("GET", f"{top}/{{externalId}}", self.got, read),
            Route("POST", f"{top}/{{externalId}}/edit", self.edit, write),
        ]
        if self.kind == CORPORATE:
            for name, many in (("address", "addresses"), ("company", "companies"), ("contact", "contacts")):
                below = f"{top}/{{externalId}}/{many}"
                routes.append(Route("GET", below, self.parts(name, many), read))
                routes.append(Route("POST", f"{below}/create", self.part_create(name), write))
                routes.append(Route("POST", f"{below}/{{entityExternalId}}/edit", self.part_edit(name), write))
        return routes


def subscriptions(call: Call) -> Json:
    customer = call.crm.customers.get(PERSON, call.by(), call.params["externalId"], call.sites())
    rows = call.json("subscriptions", list)
    if not all("subscribed" in row for row in rows):
        raise Refused(400, "Errors in the entity format", {"subscriptions": INVALID})
    if all(not row["subscribed"] for row in rows):
        customer.data["emailMarketingUnsubscribedAt"] = call.account.now()
    else:
        customer.data.pop("emailMarketingUnsubscribedAt", None)
    return {"success": True}


ROUTES = (
    *_Kind(PERSON, "/customers", "customer", "customers").routes(),
    Route("POST", "/customers/{externalId}/subscriptions", subscriptions, "customer_write"),
    *_Kind(CORPORATE, "/customers-corporate", "customerCorporate", "customersCorporate").routes(),
)
