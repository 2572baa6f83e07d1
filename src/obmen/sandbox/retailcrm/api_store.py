"""Methods of the catalogue: stock, prices, products, offers, groups."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from obmen.sandbox.retailcrm.call import LIMITS, WIDE_LIMITS, Call, Route
from obmen.sandbox.retailcrm.catalogue import Offer, Product
from obmen.sandbox.retailcrm.filters import By, integers, tests
from obmen.sandbox.retailcrm.state import INVALID, Json, Refused, not_found

BATCH = 250  # offers in one upload of stock or prices
PRODUCTS = 50  # products in one batch


def _offer_data(name: str) -> Callable[[Offer], Any]:
    return lambda offer: offer.data.get(name)


_SITE = By("texts", lambda row: row.site)
_INVENTORIES = {
    "ids": By("ints", lambda o: o.id),
    "productExternalId": By("equal", lambda o: o.product.external_id),
    "productArticle": By("texts", lambda o: o.product.data.get("article")),
    "offerExternalId": By("texts", lambda o: o.external_id),
    "offerXmlId": By("texts", lambda o: o.xml_id),
    "offerArticle": By("texts", _offer_data("article")),
    "productActive": By("flag", lambda o: o.product.active),
    "offerActive": By("flag", lambda o: o.active),
    "sites": _SITE,
}
_OFFERS = {
    "ids": By("ints", lambda o: o.id),
    "name": By("text", _offer_data("name")),
    "externalIds": By("texts", lambda o: o.external_id),
    "xmlIds": By("texts", lambda o: o.xml_id),
    "sites": _SITE,
    "active": By("flag", lambda o: o.active),
    "groups": By("ints", lambda o: o.product.groups),
    "minPrice": By("min", lambda o: o.prices.get("base", 0)),
    "maxPrice": By("max", lambda o: o.prices.get("base", 0)),
    "minQuantity": By("min", lambda o: o.quantity),
    "maxQuantity": By("max", lambda o: o.quantity),
}
_PRODUCTS = {
    "ids": By("ints", lambda p: p.id),
    "name": By("text", lambda p: p.data.get("name")),
    "externalId": By("equal", lambda p: p.external_id),
    "xmlId": By("equal", lambda p: [o.xml_id or "" for o in p.offers]),
    "offerExternalId": By("equal", lambda p: [o.external_id for o in p.offers]),
    "offerXmlId": By("equal", lambda p: [o.xml_id or "" for o in p.offers]),
    "offerIds": By("ints", lambda p: [o.id for o in p.offers]),
    "active": By("flag", lambda p: p.active),
    "groups": By("ints", lambda p: p.groups),
    "sites": _SITE,
    "url": By("equal", lambda p: p.data.get("url")),
    "urlLike": By("text", lambda p: p.data.get("url")),
    "manufacturer": By("text", lambda p: p.data.get("manufacturer")),
}
_GROUPS = {
    "ids": By("ints", lambda g: g["id"]),
    "parentGroupId": By("equal", lambda g: g.get("parentId")),
    "active": By("flag", lambda g: g["active"]),
    "sites": By("texts", lambda g: g["site"]),
}
_BEYOND = frozenset(
    [
        "catalogs",
        "properties",
        "priceType",
        "minPurchasePrice",
        "maxPurchasePrice",
        "popular",
        "stock",
        "novelty",
        "recommended",
        "classSegment",
        "groupExternalId",
        "sinceUpdatedAt",
        "minLevel",
        "maxLevel",
        "minPrice",
        "maxPrice",
        "minQuantity",
        "maxQuantity",
    ]
)


def _rows(call: Call, kind: str, every: Mapping[int, Any], spec: Mapping[str, By], given: Json) -> Sequence[Any]:
    """Rows that pass, by ascending id. The answer is kept while the catalogue stays as it is: pages of a large one are cheap."""
    since = given.pop("sinceId", None) if kind in ("offers", "products") else None
    key = (kind, str(given), tuple(call.allowed()), call.crm.catalogue.version)
    known = call.crm.lists.get(kind)
    if known is None or known[0] != key:
        passed = tests(call.account, spec, _BEYOND, given)
        allowed = set(call.allowed())
        picked = [every[n] for n in sorted(integers(given["ids"]) or []) if n in every] if "ids" in given else every.values()
        known = call.crm.lists[kind] = (key, [r for r in picked if _site(r) in allowed and all(test(r) for test in passed)])
    rows: Sequence[Any] = known[1]
    if since is None:
        return rows
    if not str(since).isdigit():
        raise Refused(400, "Errors in the input parameters", {"children[sinceId]": INVALID})
    return rows[bisect_right(rows, int(since), key=lambda row: row.id) :]


def _site(row: Any) -> str:
    return str(row["site"]) if isinstance(row, dict) else str(row.site)


def inventories(call: Call) -> Json:
    given = dict(call.filter())
    details = given.pop("details", "0") == "1"
    catalogue = call.crm.catalogue
    rows = _rows(call, "inventories", catalogue.offers, _INVENTORIES, given)
    return call.listed("offers", rows, lambda offer: catalogue.shown_inventory(offer, details), WIDE_LIMITS)


def _batch(call: Call, name: str, most: int) -> list[Json]:
    rows: list[Json] = call.json(name, list)
    if not 0 < len(rows) <= most:
        raise Refused(400, f"Parameter `{name}` must contain {most} or less records")
    return rows


def _sites(call: Call) -> list[str]:
    return [call.site()] if call.arg("site") or len(call.allowed()) == 1 else call.allowed()


def inventories_upload(call: Call) -> Json:
    return call.crm.catalogue.upload_stocks(_batch(call, "offers", BATCH), _sites(call))


def prices_upload(call: Call) -> Json:
    return call.crm.catalogue.upload_prices(_batch(call, "prices", BATCH), _sites(call))


def products(call: Call) -> Json:
    catalogue = call.crm.catalogue
    rows = _rows(call, "products", catalogue.products, _PRODUCTS, dict(call.filter()))
    return call.listed("products", rows, catalogue.shown_product, LIMITS)


def offers(call: Call) -> Json:
    catalogue = call.crm.catalogue

    def shown(offer: Offer) -> Json:
        return {**catalogue.shown_offer(offer), "product": catalogue.shown_product(offer.product, offers=False)}

    return call.listed("offers", _rows(call, "offers", catalogue.offers, _OFFERS, dict(call.filter())), shown, LIMITS)


def products_create(call: Call) -> tuple[int, Json]:
    rows = _batch(call, "products", PRODUCTS)
    sites = {row["id"]: code for code, row in call.account.references["sites"].items()}
    errors: dict[str, str] = {}
    chosen = []
    for n, row in enumerate(rows):
        site = sites.get(int(row["catalogId"])) if str(row.get("catalogId", "")).isdigit() else None
        if site is None or site not in call.allowed():
            errors[f"[{n}].catalogId"] = INVALID
        if not row.get("name"):
            errors[f"[{n}].name"] = "This value should not be blank."
        chosen.append(site or "")
    if errors:
        raise Refused(400, "Errors in the entity format", errors)
    made = [call.crm.catalogue.save_product(site, row).id for site, row in zip(chosen, rows, strict=True)]
    return 201, {"success": True, "processedProductsCount": len(made), "addedProducts": made}


def products_edit(call: Call) -> Json:
    catalogue, missing, done = call.crm.catalogue, [], 0
    for row in _batch(call, "products", PRODUCTS):
        named = str(row.get("site") or "")
        product: Product | None = catalogue.product(row, [named] if named else call.allowed())
        if product is None or product.site not in call.allowed():
            missing.append({k: row[k] for k in ("id", "externalId") if k in row})
        else:
            catalogue.save_product(product.site, row, product)
            done += 1
    return {"success": True, "processedProductsCount": done, "notFoundProducts": missing}


def groups(call: Call) -> Json:
    return call.listed(
        "productGroup", _rows(call, "groups", call.crm.catalogue.groups, _GROUPS, dict(call.filter())), lambda g: g
    )


def group_create(call: Call) -> tuple[int, Json]:
    data = call.json("productGroup")
    site = str(data.get("site") or call.site())
    if site not in call.allowed() or not data.get("name"):
        raise Refused(400, "Errors in the entity format", {"name" if site in call.allowed() else "site": INVALID})
    return 201, {"success": True, "id": call.crm.catalogue.save_group(site, data)["id"]}


def group_edit(call: Call) -> Json:
    data = call.json("productGroup")
    group = call.crm.catalogue.group(call.by(), call.params["externalId"], call.sites())
    if group is None:
        raise not_found()
    call.crm.catalogue.save_group(group["site"], data, group)
    return {"success": True, "id": group["id"]}


def properties(call: Call) -> Json:
    """What the offers' properties are called; the sandbox learns them from ICML."""
    found: dict[str, Json] = {}
    for offer in call.crm.catalogue.offers.values():
        for code in offer.data.get("properties", {}):
            row = found.setdefault(
                code, {"sites": [], "groups": [], "code": code, "name": code, "isNumeric": False, "visible": True}
            )
            if offer.site not in row["sites"]:
                row["sites"].append(offer.site)
    return call.listed("properties", list(found.values()), lambda row: {**row, "variative": True})


ROUTES = (
    Route("GET", "/store/inventories", inventories, "store_read"),
    Route("POST", "/store/inventories/upload", inventories_upload, "store_write"),
    Route("POST", "/store/prices/upload", prices_upload, "store_write"),
    Route("GET", "/store/products", products, "store_read"),
    Route("POST", "/store/products/batch/create", products_create, "store_write"),
    Route("POST", "/store/products/batch/edit", products_edit, "store_write"),
    Route("GET", "/store/products/properties", properties, "store_read"),
    Route("GET", "/store/offers", offers, "store_read"),
    Route("GET", "/store/product-groups", groups, "store_read"),
    Route("POST", "/store/product-groups/create", group_create, "store_write"),
    Route("POST", "/store/product-groups/{externalId}/edit", group_edit, "store_write"),
)
