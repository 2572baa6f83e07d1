"""Methods around the account: keys, settings, reference books, users, custom fields, integration modules, files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from obmen.sandbox.retailcrm import reference
from obmen.sandbox.retailcrm.call import WIDE_LIMITS, Answer, Call, Route
from obmen.sandbox.retailcrm.filters import By, tests
from obmen.sandbox.retailcrm.forms import values
from obmen.sandbox.retailcrm.state import INVALID, Json, Reader, Refused, not_found, php_map

SCOPES = (
    *("order_read", "order_write", "customer_read", "customer_write", "reference_read", "reference_write", "store_read"),
    *("store_write", "user_read", "integration_read", "integration_write", "custom_fields_read", "custom_fields_write"),
    *("file_read", "file_write", "settings_read"),
)


def settings(call: Call) -> Json:
    account = call.account
    changed = account.shown(account.started)

    def value(text: str) -> Json:
        return {"value": text, "updated_at": changed}

    days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
    work = {"start_time": "09:00", "end_time": "18:00", "lunch_start_time": "13:00", "lunch_end_time": "14:00"}
    site = next(iter(account.references["sites"]), "")
    channel = {"site": site, "order_type": "eshop-individual", "order_method": "messenger"}
    found = {
        "default_currency": value(account.settings.currency),
        "system_language": value(account.settings.language),
        "timezone": value(account.settings.zone.key),
        "work_times": [{"day_type": day, **work} for day in days],
        "non_working_days": [],
        "mg": {"order_creation": {"default": channel, "channels": []}},
    }
    return {"success": True, "settings": found}


def statistic_update(call: Call) -> Json:
    return {"success": True}


def features(call: Call) -> Json:
    return {"success": True, "features": [{"code": str(c), "available": False} for c in values(call.query.get("features"))]}


# --- reference books -----------------------------------------------------------------------------------------------------------


def book(kind: str) -> Callable[[Call], Json]:
    def shown(call: Call) -> Json:
        rows: Any = reference.shown(call.account.references, kind)
        if kind == "sites":
            rows = {code: row for code, row in rows.items() if code in call.allowed()}
        return {"success": True, reference.BOOKS[kind].answer: rows if reference.BOOKS[kind].listed else php_map(rows)}

    return shown


def book_edit(kind: str) -> Callable[[Call], tuple[int, Json]]:
    """Makes the row when its code is new; books kept by number are made by ``create`` only."""
    described = reference.BOOKS[kind]
    by_id = kind in reference.BY_ID

    def edit(call: Call) -> tuple[int, Json]:
        rows = call.account.references[kind]
        data, code = call.json(described.name), call.params.get("code", "")
        old = rows.get(code)
        if by_id and call.params and old is None:
            raise not_found()
        reader = Reader(call.account)
        row: Json = dict(old) if old else _new(call, kind, code)
        reader.fields(described.schema, data, row)
        if not by_id and kind != "legal-entities" and not row.get("name"):
            reader.wrong("name", "This value should not be blank.")
        if kind in ("payment-types", "delivery-types", "payment-statuses"):
            _relations(call, kind, row, data, reader)
        reader.check()
        key = str(row["id"]) if by_id else code
        rows[key] = row
        if kind in ("payment-types", "payment-statuses"):
            _other_side(call, kind, code, row)
        number = {"id": row["id"]} if by_id and not old else {}
        return (200 if old else 201), {"success": True, **number}

    return edit


def _new(call: Call, kind: str, code: str) -> Json:
    row: Json = {} if kind in reference.BY_ID else {"code": code}
    if kind in (*reference.BY_ID, "price-types", "sites"):
        name = {"couriers": "courier", "currencies": "currency", "price-types": "price-type", "sites": "site"}[kind]
        taken = [r["id"] for r in call.account.references[kind].values()]
        row["id"] = max(call.account.new_id(name), max(taken, default=0) + 1)
    for name, what in reference.BOOKS[kind].schema.items():
        if what == "flag":
            row[name] = name == "active"
    more: Json = {
        "product-statuses": {"createdAt": call.account.now()},
        "stores": {"type": "store-type-warehouse", "inventoryType": "integer", "address": {"countryIso": "RU"}, "phone": {}},
        "price-types": {"geo": [], "groups": []},
        "payment-types": {"paymentStatuses": []},
        "delivery-types": {"paymentTypes": [], "deliveryServices": [], "defaultCost": 0, "defaultNetCost": 0, "currency": "RUB"},
        "currencies": {"isBase": False},
        "sites": {"url": "", "ymlUrl": "", "countryIso": "RU", "currency": "RUB", "isCatalogMainSite": True, "isDemo": False},
    }
    ordering = {"ordering": 990} if "ordering" in reference.BOOKS[kind].schema else {}
    return {**row, **ordering, **more.get(kind, {})}


def _relations(call: Call, kind: str, row: Json, data: Json, reader: Reader) -> None:
    """Lists of codes of another book have to name what is there."""
    pointing = {"paymentTypes": "payment-types", "paymentStatuses": "payment-statuses", "deliveryTypes": "delivery-types"}
    for name, other in pointing.items():
        if name in data:
            codes = [str(c) for c in values(data[name] if isinstance(data[name], dict) else dict(enumerate(data[name] or [])))]
            if any(c not in call.account.references[other] for c in codes):
                reader.wrong(name)
            row[name] = codes


def _other_side(call: Call, kind: str, code: str, row: Json) -> None:
    """A relation is kept once: deliveries name payment types, payment types name their statuses."""
    name, other, kept = {
        "payment-types": ("deliveryTypes", "delivery-types", "paymentTypes"),
        "payment-statuses": ("paymentTypes", "payment-types", "paymentStatuses"),
    }[kind]
    if name not in row:
        return
    wanted = row.pop(name)
    for key, their in call.account.references[other].items():
        their[kept] = [c for c in their[kept] if c != code] + ([code] if key in wanted else [])


def countries(call: Call) -> Json:
    return {"success": True, "countriesIso": ["RU", "BY", "KZ", "UA"]}


# --- users ---------------------------------------------------------------------------------------------------------------------

_USER_FILTERS = {
    "email": By("equal", lambda u: u["email"]),
    "status": By("equal", lambda u: u["status"]),
    "online": By("flag", lambda u: u["online"]),
    "active": By("flag", lambda u: u["active"]),
    "isManager": By("flag", lambda u: u["isManager"]),
    "isAdmin": By("flag", lambda u: u["isAdmin"]),
    "groups": By("texts", lambda u: [g["code"] for g in u["groups"]]),
    "createdAtFrom": By("from", lambda u: u["createdAt"]),
    "createdAtTo": By("to", lambda u: u["createdAt"]),
}


def users(call: Call) -> Json:
    passed = tests(call.account, _USER_FILTERS, {"isPosManager"}, call.filter())
    rows = [u for u in call.account.users.values() if all(test(u) for test in passed)]
    return call.listed("users", rows, lambda user: user)


def _user(call: Call) -> Json:
    number = call.params["id"]
    user = call.account.users.get(int(number)) if number.isdigit() else None
    if user is None:
        raise not_found()
    return user


def user(call: Call) -> Json:
    return {"success": True, "user": _user(call)}


def user_status(call: Call) -> Json:
    if call.arg("status") not in ("free", "busy", "dinner", "break"):
        raise Refused(400, "Errors in the input parameters", {"status": INVALID})
    _user(call)["status"] = call.arg("status")
    return {"success": True}


def user_groups(call: Call) -> Json:
    return call.listed("groups", call.account.groups, lambda group: group)


# --- custom fields -------------------------------------------------------------------------------------------------------------

_FIELD = {
    **dict.fromkeys(("name", "type", "displayArea", "viewMode", "viewModeMobile", "dictionary", "default"), "text"),
    **dict.fromkeys(("required", "inFilter", "inList", "inGroupActions"), "flag"),
    "ordering": "int",
}
_FIELD_TYPES = (
    "boolean",
    "date",
    "datetime",
    "dictionary",
    "multiselect_dictionary",
    "email",
    "integer",
    "numeric",
    "string",
    "text",
)
_FIELD_FILTERS = {
    "name": By("text", lambda f: f["name"]),
    "code": By("text", lambda f: f["code"]),
    "type": By("texts", lambda f: f["type"]),
    "viewMode": By("texts", lambda f: f.get("viewMode")),
    "displayArea": By("texts", lambda f: f.get("displayArea")),
    "entity": By("equal", lambda f: f["entity"]),
    "inFilter": By("flag", lambda f: f["inFilter"]),
}


def custom_fields(call: Call) -> Json:
    passed = tests(call.account, _FIELD_FILTERS, (), call.filter())
    rows = [f for f in call.account.custom_fields.values() if all(test(f) for test in passed)]
    return call.listed("customFields", rows, lambda row: row, WIDE_LIMITS)


def custom_field(call: Call) -> Json:
    row = call.account.custom_fields.get((call.params["entity"], call.params["code"]))
    if row is None:
        raise not_found()
    return {"success": True, "customField": row}


def custom_field_save(call: Call) -> tuple[int, Json]:
    entity, data = call.params["entity"], call.json("customField")
    creating = "code" not in call.params
    code = str(call.params.get("code") or data.get("code") or "")
    rows = call.account.custom_fields
    if not creating and (entity, code) not in rows:
        raise not_found()
    reader = Reader(call.account)
    row: Json = dict(rows.get((entity, code), {"code": code, "entity": entity, "ordering": 50, "viewMode": "editable"}))
    row = {**dict.fromkeys(("required", "inFilter", "inList", "inGroupActions"), False), **row}
    reader.fields(_FIELD, data, row)
    if entity not in ("order", "customer", "customer_corporate", "company"):
        reader.wrong("entity")
    if creating and (entity, code) in rows:
        reader.wrong("code", "This value is already used.")
    if not code or not row.get("name"):
        reader.wrong("name" if code else "code", "This value should not be blank.")
    if row.get("type") not in _FIELD_TYPES:
        reader.wrong("type")
    reader.check()
    rows[entity, code] = row
    return (201 if creating else 200), {"success": True, "code": code}


def dictionaries(call: Call) -> Json:
    fields = {"name": By("text", lambda d: d["name"]), "code": By("text", lambda d: d["code"])}
    passed = tests(call.account, fields, (), call.filter())
    rows = [d for d in call.account.dictionaries.values() if all(test(d) for test in passed)]
    return call.listed("customDictionaries", rows, lambda row: row, WIDE_LIMITS)


def dictionary(call: Call) -> Json:
    row = call.account.dictionaries.get(call.params["code"])
    if row is None:
        raise not_found()
    return {"success": True, "customDictionary": row}


def dictionary_save(call: Call) -> tuple[int, Json]:
    data = call.json("customDictionary")
    creating = "code" not in call.params
    code = str(call.params.get("code") or data.get("code") or "")
    rows = call.account.dictionaries
    if not creating and code not in rows:
        raise not_found()
    if not code or not data.get("name", rows.get(code, {}).get("name")) or (creating and code in rows):
        raise Refused(400, "Errors in the entity format", {"code": INVALID})
    elements = [
        {"name": e.get("name"), "code": e.get("code"), "ordering": e.get("ordering", 50)} for e in data.get("elements") or []
    ]
    rows[code] = {"name": data.get("name") or rows[code]["name"], "code": code, "elements": elements}
    return (201 if creating else 200), {"success": True, "code": code}


# --- integration modules and files ----------------------------------------------------------------------------------------------


def module(call: Call) -> Json:
    row = call.account.modules.get(call.params["code"])
    if row is None:
        raise not_found()
    return {"success": True, "integrationModule": row}


def module_edit(call: Call) -> Json:
    data, code = call.json("integrationModule"), call.params["code"]
    old = call.account.modules.get(code, {"active": False, "freeze": False, "native": False, "integrations": {}})
    row = {**old, **data, "code": code}
    lacking = {
        name: "This value should not be blank." for name in ("integrationCode", "clientId", "baseUrl") if not row.get(name)
    }
    if lacking:
        raise Refused(400, "Errors in the entity format", lacking)
    call.account.modules[code] = row
    return {"success": True, "info": []}


_FILE_FILTERS = {
    "ids": By("ints", lambda f: f["id"]),
    "filename": By("text", lambda f: f["filename"]),
    "orderIds": By("ints", lambda f: [a["order"]["id"] for a in f["attachment"] if "order" in a]),
    "customerIds": By("ints", lambda f: [a["customer"]["id"] for a in f["attachment"] if "customer" in a]),
}


def _file_shown(row: Json) -> Json:
    return {k: v for k, v in row.items() if k != "content"}


def files(call: Call) -> Json:
    passed = tests(call.account, _FILE_FILTERS, {"type", "sites", "isAttached"}, call.filter())
    return call.listed("files", [f for f in call.account.files.values() if all(test(f) for test in passed)], _file_shown)


def _file(call: Call) -> Json:
    number = call.params["id"]
    row = call.account.files.get(int(number)) if number.isdigit() else None
    if row is None:
        raise not_found()
    return row


def file_upload(call: Call) -> Json:
    if not call.raw:
        raise Refused(400, "File is empty")
    number, now = call.account.new_id("file"), call.account.now()
    name = f"API upload {now.astimezone(call.account.settings.zone):%d-%m-%Y %H:%M:%S}"
    row = {"id": number, "filename": name, "type": "application/octet-stream", "createdAt": now, "size": len(call.raw)}
    call.account.files[number] = {**row, "attachment": [], "content": call.raw}
    return {"success": True, "file": {"id": number}}


def file_got(call: Call) -> Json:
    return {"success": True, "file": _file_shown(_file(call))}


def file_download(call: Call) -> Answer:
    return Answer(200, _file(call)["content"], "application/octet-stream")


def file_edit(call: Call) -> Json:
    row, data = _file(call), call.json("file")
    attached = []
    for one in data.get("attachment") or []:
        for kind, rows in (("order", call.crm.orders.rows), ("customer", call.crm.customers.rows)):
            if kind in one:
                number = int(one[kind].get("id", 0))
                if number not in rows:
                    raise Refused(400, "Errors in the entity format", {"attachment": INVALID})
                attached.append({kind: {"id": number}})
    row["filename"] = data.get("filename") or row["filename"]
    if "attachment" in data:
        row["attachment"] = attached
    return {"success": True, "file": {"id": row["id"]}}


def file_delete(call: Call) -> Json:
    del call.account.files[_file(call)["id"]]
    return {"success": True}


def _book_routes() -> list[Route]:
    routes = [Route("GET", f"/reference/{kind}", book(kind), "reference_read") for kind in reference.BOOKS]
    for kind, described in reference.BOOKS.items():
        if described.name:
            routes.append(Route("POST", f"/reference/{kind}/{{code}}/edit", book_edit(kind), "reference_write"))
        if kind in reference.BY_ID:
            routes.append(Route("POST", f"/reference/{kind}/create", book_edit(kind), "reference_write"))
    return routes


ROUTES = (
    Route("GET", "/settings", settings),
    Route("GET", "/statistic/update", statistic_update),
    Route("GET", "/features/check", features),
    *_book_routes(),
    Route("GET", "/reference/countries", countries, "reference_read"),
    Route("GET", "/users", users, "user_read"),
    Route("GET", "/users/{id}", user, "user_read"),
    Route("POST", "/users/{id}/status", user_status, "user_read"),
    Route("GET", "/user-groups", user_groups, "user_read"),
    Route("GET", "/custom-fields", custom_fields, "custom_fields_read"),
    Route("GET", "/custom-fields/dictionaries", dictionaries, "custom_fields_read"),
    Route("POST", "/custom-fields/dictionaries/create", dictionary_save, "custom_fields_write"),
    Route("GET", "/custom-fields/dictionaries/{code}", dictionary, "custom_fields_read"),
    Route("POST", "/custom-fields/dictionaries/{code}/edit", dictionary_save, "custom_fields_write"),
    Route("POST", "/custom-fields/{entity}/create", custom_field_save, "custom_fields_write"),
    Route("GET", "/custom-fields/{entity}/{code}", custom_field, "custom_fields_read"),
    Route("POST", "/custom-fields/{entity}/{code}/edit", custom_field_save, "custom_fields_write"),
    Route("GET", "/integration-modules/{code}", module, "integration_read"),
    Route("POST", "/integration-modules/{code}/edit", module_edit, "integration_write"),
    Route("GET", "/files", files, "file_read"),
    Route("POST", "/files/upload", file_upload, "file_write"),
    Route("GET", "/files/{id}", file_got, "file_read"),
    Route("GET", "/files/{id}/download", file_download, "file_read"),
    Route("POST", "/files/{id}/edit", file_edit, "file_write"),
    Route("POST", "/files/{id}/delete", file_delete, "file_write"),
)
