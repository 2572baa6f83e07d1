"""Methods of orders, payments, packs and their journals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from obmen.sandbox.retailcrm.call import UPLOAD, Call, Route
from obmen.sandbox.retailcrm.filters import By, integers, tests
from obmen.sandbox.retailcrm.forms import values
from obmen.sandbox.retailcrm.history import Entry
from obmen.sandbox.retailcrm.orders import Order
from obmen.sandbox.retailcrm.state import INVALID, Account, Json, Refused, loads, not_found, without_nulls

DEEP = 10_000  # rows of a journal that pages may skip before sinceId has to be used instead


def _data(name: str) -> Callable[[Order], Any]:
    return lambda order: order.data.get(name)


def _payments(name: str) -> Callable[[Order], Any]:
    return lambda order: [p[name] for p in order.payments.values() if name in p]


def _filters(account: Account, call: Call) -> dict[str, By]:
    groups = {code: row["group"] for code, row in account.references["statuses"].items()}
    people = call.crm.customers.rows

    def who(order: Order) -> list[str]:
        person = people.get(order.customer or 0)
        names = [order.data.get(k, "") for k in ("lastName", "firstName", "patronymic", "phone", "email")]
        return [*names, str(person.data.get("externalId", "")) if person else ""]

    def customer(name: str) -> Callable[[Order], Any]:
        return lambda order: people[order.customer].data.get(name) if order.customer in people else None

    def company(order: Order) -> str:
        owner = people.get(order.customer or 0)
        return owner.companies[order.company].get("name", "") if owner and order.company in owner.companies else ""

    return {
        "ids": By("ints", lambda o: o.id),
        "externalIds": By("texts", _data("externalId")),
        "numbers": By("texts", _data("number")),
        "customer": By("text", who),
        "customerId": By("equal", lambda o: o.customer),
        "customerExternalId": By("equal", customer("externalId")),
        "customerType": By("equal", lambda o: people[o.customer].type if o.customer in people else None),
        "companyName": By("text", company),
        "email": By("text", _data("email")),
        "vip": By("flag", customer("vip")),
        "bad": By("flag", customer("bad")),
        "sites": By("texts", lambda o: o.site),
        "orderTypes": By("texts", _data("orderType")),
        "orderMethods": By("texts", _data("orderMethod")),
        "extendedStatus": By("texts", lambda o: [o.data["status"], groups.get(o.data["status"], "")]),
        "managers": By("ints", _data("managerId")),
        "shipmentStores": By("texts", _data("shipmentStore")),
        "shipped": By("flag", _data("shipped")),
        "call": By("flag", _data("call")),
        "expired": By("flag", _data("expired")),
        "countries": By("texts", _data("countryIso")),
        "managerComment": By("text", _data("managerComment")),
        "customerComment": By("text", _data("customerComment")),
        "city": By("text", lambda o: o.address.get("city")),
        "region": By("text", lambda o: o.address.get("region")),
        "index": By("text", lambda o: o.address.get("index")),
        "metro": By("text", lambda o: o.address.get("metro")),
        "deliveryTypes": By("texts", lambda o: o.delivery.get("code")),
        "deliveryServices": By("texts", lambda o: o.delivery.get("service", {}).get("code")),
        "paymentTypes": By("texts", _payments("type")),
        "paymentStatuses": By("texts", _payments("status")),
        "minPrice": By("min", lambda o: o.sums["totalSumm"]),
        "maxPrice": By("max", lambda o: o.sums["totalSumm"]),
        "minPrepaySumm": By("min", lambda o: o.sums["prepaySum"]),
        "maxPrepaySumm": By("max", lambda o: o.sums["prepaySum"]),
        "minPurchaseSumm": By("min", lambda o: o.sums["purchaseSumm"]),
        "maxPurchaseSumm": By("max", lambda o: o.sums["purchaseSumm"]),
        "minDeliveryCost": By("min", lambda o: o.delivery.get("cost", Decimal(0))),
        "maxDeliveryCost": By("max", lambda o: o.delivery.get("cost", Decimal(0))),
        "product": By("text", lambda o: [i["offer"].data.get("name", "") if "offer" in i else i["productName"] for i in o.items]),
        "contragentName": By("text", lambda o: o.contragent.get("legalName")),
        "contragentTypes": By("texts", lambda o: o.contragent.get("contragentType")),
        "contragentInn": By("equal", lambda o: o.contragent.get("INN")),
        "contragentKpp": By("equal", lambda o: o.contragent.get("KPP")),
        "createdAtFrom": By("from", _data("createdAt")),
        "createdAtTo": By("to", _data("createdAt")),
        "statusUpdatedAtFrom": By("from", lambda o: o.data.get("statusUpdatedAt", o.data["createdAt"])),
        "statusUpdatedAtTo": By("to", lambda o: o.data.get("statusUpdatedAt", o.data["createdAt"])),
        "fullPaidAtFrom": By("from", _data("fullPaidAt")),
        "fullPaidAtTo": By("to", _data("fullPaidAt")),
        "shipmentDateFrom": By("from", _data("shipmentDate")),
        "shipmentDateTo": By("to", _data("shipmentDate")),
        "deliveryDateFrom": By("from", lambda o: o.delivery.get("date")),
        "deliveryDateTo": By("to", lambda o: o.delivery.get("date")),
        "trackNumber": By("equal", lambda o: (o.delivery.get("data") or {}).get("trackNumber")),
        "customFields": By("custom", lambda o: o.custom),
    }


_BEYOND = frozenset(
    [
        "deliveryTimeFrom",
        "deliveryTimeTo",
        "online",
        "deliveryStates",
        "minDeliveryNetCost",
        "maxDeliveryNetCost",
        "minMarginSumm",
        "maxMarginSumm",
        "minCostSumm",
        "maxCostSumm",
        "deliveryExternalId",
        "contragentBik",
        "contragentCorrAccount",
        "contragentBankAccount",
        "attachments",
        "receiptFiscalDocumentAttribute",
        "receiptStatus",
        "receiptOperation",
        "receiptOrderStatus",
        "tasksCounts",
        "couriers",
        "managerGroups",
        "mgChannels",
        "paidAtFrom",
        "paidAtTo",
        "firstWebVisitFrom",
        "firstWebVisitTo",
        "lastWebVisitFrom",
        "lastWebVisitTo",
        "firstOrderFrom",
        "firstOrderTo",
        "lastOrderFrom",
        "lastOrderTo",
        "dpdParcelDateFrom",
        "dpdParcelDateTo",
        "sourceName",
        "mediumName",
        "campaignName",
        "keywordName",
        "adContentName",
    ]
)


def listed(call: Call) -> Json:
    orders = call.crm.orders
    given = call.filter()
    passed = tests(call.account, _filters(call.account, call), _BEYOND, given)
    sites = set(call.allowed())
    if "ids" in given:
        found = (orders.rows.get(n) for n in sorted(set(integers(given["ids"]) or []), reverse=True))
        rows = [o for o in found if o]
    elif "externalIds" in given:
        wanted = (orders.find("externalId", v, [site]) for v in values(given["externalIds"]) for site in sites)
        rows = sorted({o.id: o for o in wanted if o}.values(), key=lambda o: -o.id)
    else:
        rows = list(orders.newest_first())
    kept = [o for o in rows if o.site in sites and all(test(o) for test in passed)]
    return call.listed("orders", kept, orders.shown)


def got(call: Call) -> Json:
    orders = call.crm.orders
    return {"success": True, "order": orders.shown(orders.get(call.by(), call.params["externalId"], call.sites()))}


def create(call: Call) -> tuple[int, Json]:
    orders = call.crm.orders
    order = orders.create(call.site(), call.json("order"), call.actor)
    return 201, {"success": True, "id": order.id, "order": orders.shown(order)}


def edit(call: Call) -> Json:
    orders = call.crm.orders
    data = call.json("order")
    order = orders.get(call.by(), call.params["externalId"], call.sites())
    orders.edit(order, data, call.actor)
    return {"success": True, "id": order.id, "order": orders.shown(order)}


def uploaded(call: Call, names: tuple[str, str, str], save: Callable[[Json], Json]) -> Json:
    """Rows one by one; some refused ones make the whole answer a 460, the others are saved all the same."""
    field_name, plural, title = names
    rows = call.json(field_name, list)
    if not 0 < len(rows) <= UPLOAD:
        raise Refused(400, "Errors in the entity format", {field_name: f"This collection should contain 1 to {UPLOAD} elements."})
    good: list[Json] = []
    bad: list[Json] = []
    errors: list[str] = []
    for n, row in enumerate(rows):
        try:
            if call.partial and n % 2:
                raise Refused(400, "Internal error")
            good.append(save(row))
        except Refused as refused:
            bad.append({"externalId": str(row["externalId"])} if row.get("externalId") else {})
            detail = refused.errors
            texts = [f"{k}: {v}" for k, v in detail.items()] if isinstance(detail, Mapping) else list(detail or ())
            errors += texts or [refused.message[0].lower() + refused.message[1:].rstrip(".")]
    done = {f"uploaded{plural}": good}
    if bad:
        raise Refused(460, f"{title} are loaded with errors", errors, **done, **{f"failed{plural}": bad})
    return {"success": True, **done}


def upload(call: Call) -> tuple[int, Json]:
    orders, site = call.crm.orders, call.site()
    made: list[Order] = []

    def save(row: Json) -> Json:
        made.append(orders.create(site, row, call.actor))
        return without_nulls({"id": made[-1].id, "externalId": made[-1].data.get("externalId")})

    answer = uploaded(call, ("orders", "Orders", "Orders"), save)
    return 201, {**answer, "orders": [orders.shown(order) for order in made]}


def fix_external_ids(call: Call) -> Json:
    call.crm.orders.fix_external_ids(call.json("orders", list), call.sites(), call.actor)
    return {"success": True}


def statuses(call: Call) -> Json:
    orders = call.crm.orders
    ids, external = values(call.query.get("ids")), values(call.query.get("externalIds"))
    if len(ids) + len(external) > 500:
        raise Refused(400, "Errors in the input parameters", {"ids": "This collection should contain 500 elements or less."})
    if integers(call.query.get("ids")) is None:
        raise Refused(400, "Errors in the input parameters", {"id": "ID must be an integer"})
    sites = call.allowed()
    found = [orders.find("id", n, sites) for n in ids] + [orders.find("externalId", n, sites) for n in external]
    group = {code: row["group"] for code, row in call.account.references["statuses"].items()}
    rows = [
        without_nulls(
            {"id": o.id, "externalId": o.data.get("externalId"), "status": o.data["status"], "group": group[o.data["status"]]}
        )
        for o in {o.id: o for o in found if o}.values()
    ]
    return {"success": True, "orders": rows}


def combine(call: Call) -> Json:
    orders, technique = call.crm.orders, call.arg("technique", "ours")
    if technique not in ("ours", "theirs", "merge", "summ"):
        raise Refused(400, "Errors in the input parameters", {"technique": INVALID})
    order, result = (orders.get("id", call.json(name).get("id"), call.allowed()) for name in ("order", "resultOrder"))
    if order is result:
        raise Refused(400, "Errors in the entity format", {"resultOrder": INVALID})
    orders.combine(order, result, technique, call.actor)
    return {"success": True, "errors": []}


def links_create(call: Call) -> tuple[int, Json]:
    link = call.json("link")
    refs = link.get("orders") or []
    if len(refs) < 2:
        message = "This collection should contain 2 elements or more."
        raise Refused(400, "Errors in the entity format", {"orders": message})
    orders = [
        call.crm.orders.get("id" if "id" in r else "externalId", r.get("id", r.get("externalId")), call.sites()) for r in refs
    ]
    call.crm.orders.link(orders, str(link.get("comment") or ""))
    return 201, {"success": True}


# --- payments ------------------------------------------------------------------------------------------------------------------


def _order_of_payment(call: Call, payment: Json) -> Order:
    ref = payment.get("order")
    given = ref if isinstance(ref, dict) else {}
    by = next((k for k in ("id", "externalId", "number") if given.get(k) not in (None, "")), "")
    if not by:
        raise Refused(400, "Errors in the entity format", {"order": "Set one of the following fields: id, externalId, number"})
    if by == "number":
        sites = call.sites()
        rows = call.crm.orders.newest_first()
        found = next((o for o in rows if o.data["number"] == str(given[by]) and o.site in sites), None)
        if found is None:
            raise not_found()
        return found
    return call.crm.orders.get(by, given[by], call.sites())


def payment_create(call: Call) -> tuple[int, Json]:
    data = call.json("payment")
    payment = call.crm.orders.add_payment(_order_of_payment(call, data), data, call.actor)
    call.crm.paid_by[payment["id"]] = call.key.value
    return 201, {"success": True, "id": payment["id"]}


def payment_edit(call: Call) -> Json:
    data = call.json("payment")
    order, payment = call.crm.orders.payment(call.by(), call.params["id"], call.sites())
    call.crm.orders.edit_payment(order, payment, data, call.actor)
    return {"success": True, "id": payment["id"]}


def payment_delete(call: Call) -> Json:
    order, payment = call.crm.orders.payment("id", call.params["id"], call.allowed())
    call.crm.orders.delete_payment(order, payment, call.actor)
    return {"success": True}


# --- packs ---------------------------------------------------------------------------------------------------------------------

_PACK_FILTERS = {
    "ids": By("ints", lambda p: p["id"]),
    "stores": By("texts", lambda p: p["store"]),
    "itemId": By("equal", lambda p: p["itemId"]),
    "orderId": By("equal", lambda p: p["orderId"]),
    "invoiceNumber": By("equal", lambda p: p.get("invoiceNumber")),
    "deliveryNoteNumber": By("equal", lambda p: p.get("deliveryNoteNumber")),
    "shipmentDateFrom": By("from", lambda p: p.get("shipmentDate")),
    "shipmentDateTo": By("to", lambda p: p.get("shipmentDate")),
}


def packs(call: Call) -> Json:
    passed = tests(call.account, _PACK_FILTERS, {"offerXmlId", "offerExternalId", "orderExternalId"}, call.filter())
    rows = [p for p in call.crm.orders.packs.values() if all(test(p) for test in passed)]
    return call.listed("packs", rows, call.crm.orders.shown_pack)


def _pack(call: Call) -> Json:
    number = call.params["id"]
    pack = call.crm.orders.packs.get(int(number)) if number.isdigit() else None
    if pack is None:
        raise not_found(f"Pack with id {number} not found")
    return pack


def pack_got(call: Call) -> Json:
    return {"success": True, "pack": call.crm.orders.shown_pack(_pack(call))}


def pack_create(call: Call) -> tuple[int, Json]:
    return 201, {"success": True, "id": call.crm.orders.save_pack(call.json("pack"), call.actor)["id"]}


def pack_edit(call: Call) -> Json:
    return {"success": True, "id": call.crm.orders.save_pack(call.json("pack"), call.actor, _pack(call))["id"]}


def pack_delete(call: Call) -> Json:
    call.crm.orders.delete_pack(_pack(call), call.actor)
    return {"success": True}


# --- journals ------------------------------------------------------------------------------------------------------------------


def journal(name: str, subject: str, entity: str) -> Callable[[Call], Json]:
    """``orders/history`` and its like. ``entity``: how the filter names whose entries are wanted (orderId, customerId)."""

    def history(call: Call) -> Json:
        account, given = call.account, dict(call.filter())
        errors: dict[str, str] = {}
        numbers: dict[str, int | None] = {}
        for key in ("sinceId", entity + "Id"):
            value = given.pop(key, None)
            numbers[key] = int(value) if isinstance(value, str) and value.isdigit() else None
            if value is not None and numbers[key] is None:
                errors[f"children[{key}]"] = INVALID
        moments = {}
        for key in ("startDate", "endDate"):
            value = given.pop(key, None)
            try:
                moments[key] = account.moment(value) if value is not None else None
            except ValueError:
                errors[f"children[{key}]"] = INVALID
        external = given.pop(entity + "ExternalId", None)
        errors |= {f"children[{key}]": "This form should not contain extra fields." for key in given}
        if errors:
            raise Refused(400, "Errors in the input parameters", errors)
        whose = numbers[entity + "Id"]
        if external is not None:
            whose = _by_external_id(call, name, str(external))
        limit, page = call.page()
        if limit * (page - 1) >= DEEP:
            raise Refused(400, "Use the shift of the `filter[sinceId]` instead of `page` parameter")
        rows = account.journals[name].after(numbers["sinceId"] or 0, whose, moments["startDate"], moments["endDate"])
        answer = call.listed("history", rows, lambda entry: _shown(call, entry, subject))
        return {"success": True, "generatedAt": account.now(), "history": answer["history"], "pagination": answer["pagination"]}

    return history


def _by_external_id(call: Call, name: str, value: str) -> int:
    found: Any
    if name in ("orders", "packs"):
        found = call.crm.orders.find("externalId", value, call.allowed())
    else:
        found = call.crm.customers.find(
            "customer" if name == "customers" else "customer_corporate", "externalId", value, call.allowed()
        )
    return found.id if found else -1


def _shown(call: Call, entry: Entry, subject: str) -> Json:
    shown: Json = {"id": entry.id, "createdAt": entry.at}
    if entry.created:
        shown["created"] = True
    if entry.deleted:
        shown["deleted"] = True
    shown["source"] = entry.source
    if entry.user is not None:
        shown["user"] = {"id": entry.user}
    shown["field"] = entry.field
    if entry.source == "api":
        shown["apiKey"] = {"current": entry.key == call.key.value}
    shown |= {"oldValue": entry.old, "newValue": entry.new}
    shown[subject] = loads(entry.subject.decode()) if isinstance(entry.subject, bytes) else entry.subject
    return {**shown, **entry.more}


ROUTES = (
    Route("GET", "/orders", listed, "order_read"),
    Route("POST", "/orders/create", create, "order_write"),
    Route("POST", "/orders/upload", upload, "order_write"),
    Route("POST", "/orders/fix-external-ids", fix_external_ids, "order_write"),
    Route("GET", "/orders/history", journal("orders", "order", "order"), "order_read"),
    Route("GET", "/orders/statuses", statuses, "order_read"),
    Route("POST", "/orders/combine", combine, "order_write"),
    Route("POST", "/orders/links/create", links_create, "order_write"),
    Route("POST", "/orders/payments/create", payment_create, "order_write"),
    Route("POST", "/orders/payments/{id}/edit", payment_edit, "order_write"),
    Route("POST", "/orders/payments/{id}/delete", payment_delete, "order_write"),
    Route("GET", "/orders/packs", packs, "order_read"),
    Route("POST", "/orders/packs/create", pack_create, "order_write"),
    Route("GET", "/orders/packs/history", journal("packs", "pack", "order"), "order_read"),
    Route("GET", "/orders/packs/{id}", pack_got, "order_read"),
    Route("POST", "/orders/packs/{id}/edit", pack_edit, "order_write"),
    Route("POST", "/orders/packs/{id}/delete", pack_delete, "order_write"),
    Route("GET", "/orders/{externalId}", got, "order_read"),
    Route("POST", "/orders/{externalId}/edit", edit, "order_write"),
)
