"""Groups, products, offers with prices and stock; loading ICML as the service does it."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from lxml import etree

from obmen.sandbox.retailcrm.state import Account, Json, Refused, number, php_map, without_nulls

ZERO = Decimal(0)
UNIT = {"code": "pc", "name": "Штука", "sym": "шт."}


@dataclass(slots=True, eq=False)
class Product:
    id: int
    site: str
    external_id: str
    data: Json
    groups: tuple[int, ...] = ()
    offers: list[Offer] = field(default_factory=list)
    active: bool = True


@dataclass(slots=True, eq=False)
class Offer:
    id: int
    site: str
    external_id: str
    xml_id: str | None
    product: Product
    data: Json
    prices: dict[str, Decimal] = field(default_factory=dict)
    purchase_price: Decimal | None = None
    quantity: Decimal = ZERO
    stocks: dict[str, tuple[Decimal, Decimal | None]] = field(default_factory=dict)  # store → quantity, purchase price
    active: bool = True


@dataclass(slots=True)
class Loaded:
    """What one load of an ICML file did."""

    created: int = 0
    updated: int = 0
    deactivated: int = 0
    skipped: list[str] = field(default_factory=list)  # why an offer was left out, one sentence each


class BadIcml(Exception):
    """The file as a whole cannot be loaded; nothing has changed."""


class Catalogue:
    def __init__(self, account: Account) -> None:
        self.account = account
        self.groups: dict[int, Json] = {}
        self.products: dict[int, Product] = {}
        self.offers: dict[int, Offer] = {}
        self.version = 0  # grows with every change: lists that were worked out can tell whether they are still true
        self._group_ids: dict[tuple[str, str], int] = {}
        self._product_ids: dict[tuple[str, str], int] = {}
        self._external: dict[tuple[str, str], int] = {}
        self._xml: dict[tuple[str, str], int] = {}

    # --- offers -----------------------------------------------------------------------------------------------------------

    def find(self, ref: Mapping[str, Any], sites: Collection[str]) -> Offer | None:
        """By id, then externalId, then xmlId: the first one that is given and known."""
        if ref.get("id") not in (None, ""):
            found = self.offers.get(int(ref["id"])) if str(ref["id"]).isdigit() else None
            return found if found and found.site in sites else None
        for name, index in (("externalId", self._external), ("xmlId", self._xml)):
            value = ref.get(name)
            if value not in (None, ""):
                for site in sites:
                    offer = index.get((site, str(value)))
                    if offer is not None:
                        return self.offers[offer]
        return None

    def add(
        self, site: str, external_id: str, name: str, price: Decimal | int | str = 0, *, xml_id: str | None = None,
        product: str | None = None, **data: Any,
    ) -> Offer:  # fmt: skip
        """An offer made by hand, for tests: ``data`` holds what the API shows (article, vatRate, barcode, unit, …)."""
        return self._save(
            site, external_id, product or external_id, {"name": name, **data}, {"name": name}, xml_id, number(price)
        )

    def forget(self, offer: Offer) -> None:
        """The offer is gone, as after somebody removed it in the service: later calls do not find it."""
        del self.offers[offer.id]
        self._external.pop((offer.site, offer.external_id), None)
        if offer.xml_id and self._xml.get((offer.site, offer.xml_id)) == offer.id:
            del self._xml[offer.site, offer.xml_id]
        offer.product.offers.remove(offer)
        self.version += 1

    def _save(
        self, site: str, external_id: str, product_id: str, data: Json, card: Json, xml_id: str | None, price: Decimal | None
    ) -> Offer:
        known = self._product_ids.get((site, product_id))
        if known is None:
            product = Product(self.account.new_id("product"), site, product_id, card)
            self.products[product.id] = product
            self._product_ids[site, product_id] = product.id
        else:
            product = self.products[known]
            product.data = {**product.data, **card}
        number_ = self._external.get((site, external_id))
        if number_ is None:
            offer = Offer(self.account.new_id("offer"), site, external_id, xml_id, product, data)
            self.offers[offer.id] = offer
            self._external[site, external_id] = offer.id
            product.offers.append(offer)
        else:
            offer = self.offers[number_]
            offer.data = {**offer.data, **data}
            if offer.product is not product:
                offer.product.offers.remove(offer)
                product.offers.append(offer)
                offer.product = product
            if offer.xml_id and offer.xml_id != xml_id and self._xml.get((site, offer.xml_id)) == offer.id:
                del self._xml[site, offer.xml_id]
            offer.xml_id = xml_id
        if xml_id:
            self._xml.setdefault((site, xml_id), offer.id)
        if price is not None:
            offer.prices["base"] = price
        self.version += 1
        return offer

    # --- uploads ----------------------------------------------------------------------------------------------------------

    def upload_stocks(self, rows: list[Json], sites: Collection[str]) -> Json:
        """As ``store/inventories/upload`` answers. Unknown offers do not fail the call, an unknown store does."""
        errors: dict[str, str] = {}
        found: list[tuple[Offer, dict[str, tuple[Decimal, Decimal | None]]]] = []
        missing: list[Json] = []
        stores = self.account.references["stores"]
        for n, row in enumerate(rows):
            offer = self.find(row, sites)
            stocks = {}
            for m, stock in enumerate(row.get("stores") or []):
                code, path = str(stock.get("code")), f"[{n}].stores[{m}]"
                store = stores.get(code)
                available = number(stock.get("available", 0))
                if store is None:
                    errors[f"{path}.code"] = "This value is not valid."
                elif available is None:
                    errors[f"{path}.available"] = "This value is not valid."
                else:
                    if store["inventoryType"] == "available":
                        available = Decimal(1) if available > 0 else ZERO
                    stocks[store["code"]] = (available, number(stock["purchasePrice"]) if stock.get("purchasePrice") else None)
            if offer is None:
                missing.append(_named(row))
            else:
                found.append((offer, stocks))
        if errors:
            raise Refused(400, "Errors in the entity format", errors)
        for offer, stocks in found:
            offer.stocks |= stocks
            offer.quantity = sum((quantity for quantity, _price in offer.stocks.values()), ZERO)
            prices = [price for _quantity, price in offer.stocks.values() if price is not None]
            if prices:
                offer.purchase_price = prices[-1]
        self.version += 1
        return {"success": True, "processedOffersCount": len(found), "notFoundOffers": missing}

    def upload_prices(self, rows: list[Json], sites: Collection[str]) -> Json:
        """As ``store/prices/upload`` answers. A row may name its own site."""
        errors: dict[str, str] = {}
        found: list[tuple[Offer, dict[str, Decimal | None]]] = []
        missing: list[Json] = []
        for n, row in enumerate(rows):
            named = str(row.get("site") or "")
            if named and named not in sites:
                errors[f"[{n}].site"] = "This value is not valid."
                continue
            offer = self.find(row, [named] if named else sites)
            prices: dict[str, Decimal | None] = {}
            for m, price in enumerate(row.get("prices") or []):
                code, path = str(price.get("code")), f"[{n}].prices[{m}]"
                amount = number(price.get("price", ""))
                if code not in self.account.references["price-types"]:
                    errors[f"{path}.code"] = "This value is not valid."
                elif price.get("remove"):
                    prices[code] = None
                elif amount is None or amount < 0:
                    errors[f"{path}.price"] = "This value is not valid."
                else:
                    prices[code] = amount
            if offer is None:
                missing.append(_named(row))
            else:
                found.append((offer, prices))
        if errors:
            raise Refused(400, "Errors in the entity format", errors)
        for offer, prices in found:
            for code, amount in prices.items():
                if amount is None:
                    offer.prices.pop(code, None)
                else:
                    offer.prices[code] = amount
        self.version += 1
        return {"success": True, "processedOffersCount": len(found), "notFoundOffers": missing}

    # --- groups and products ----------------------------------------------------------------------------------------------

    def save_group(self, site: str, data: Mapping[str, Any], group: Json | None = None) -> Json:
        row = group or {"site": site, "id": self.account.new_id("group"), "active": True}
        parent = data.get("parentId") or self._group_ids.get((site, str(data.get("parentExternalId"))))
        row |= without_nulls({k: data.get(k) for k in ("name", "externalId", "active", "description")})
        if parent:
            row["parentId"] = int(parent)
        self.groups[row["id"]] = row
        if row.get("externalId"):
            row["externalId"] = str(row["externalId"])
            self._group_ids[site, row["externalId"]] = row["id"]
        self.version += 1
        return row

    def group(self, by: str, value: object, sites: Collection[str]) -> Json | None:
        if by == "id":
            return self.groups.get(int(str(value))) if str(value).isdigit() else None
        ids = (self._group_ids.get((site, str(value))) for site in sites)
        return next((self.groups[n] for n in ids if n is not None), None)

    def product(self, ref: Mapping[str, Any], sites: Collection[str]) -> Product | None:
        if ref.get("id"):
            return self.products.get(int(ref["id"])) if str(ref["id"]).isdigit() else None
        ids = (self._product_ids.get((site, str(ref.get("externalId")))) for site in sites)
        return next((self.products[n] for n in ids if n is not None), None)

    def save_product(self, site: str, data: Mapping[str, Any], product: Product | None = None) -> Product:
        if product is None:
            number_ = self.account.new_id("product")
            product = Product(number_, site, str(data.get("externalId") or number_), {"type": "product"})
            self.products[number_] = product
            self._product_ids[site, product.external_id] = number_
        names = ("name", "article", "url", "description", "manufacturer", "markable", "type")
        product.data |= without_nulls({k: data.get(k) for k in names})
        product.active = bool(data.get("active", product.active))
        found = [self.group(*_by(g), [site]) for g in data.get("groups") or []]
        if found:
            product.groups = tuple(g["id"] for g in found if g)
        self.version += 1
        return product

    # --- showing ----------------------------------------------------------------------------------------------------------

    def shown_product(self, product: Product, *, offers: bool = True) -> Json:
        prices = [offer.prices["base"] for offer in product.offers if "base" in offer.prices]
        groups = [self.groups[n] for n in product.groups if n in self.groups]
        card = {
            "minPrice": min(prices, default=0),
            "maxPrice": max(prices, default=0),
            "id": product.id,
            "type": "product",
            **product.data,
            "groups": [without_nulls({"id": g["id"], "externalId": g.get("externalId")}) for g in groups],
            "externalId": product.external_id,
            "active": product.active,
            "quantity": sum((offer.quantity for offer in product.offers), ZERO),
            "markable": product.data.get("markable", False),
        }
        if offers:
            card["offers"] = [self.shown_offer(offer) for offer in product.offers]
        return card

    def shown_offer(self, offer: Offer) -> Json:
        ordering = {code: row.get("ordering", 990) for code, row in self.account.references["price-types"].items()}
        return without_nulls(
            {
                "images": [],
                **offer.data,
                "id": offer.id,
                "externalId": offer.external_id,
                "xmlId": offer.xml_id,
                "site": offer.site,
                "price": offer.prices.get("base"),
                "prices": [{"priceType": c, "price": p, "ordering": ordering.get(c, 990)} for c, p in offer.prices.items()],
                "purchasePrice": offer.purchase_price,
                "properties": php_map(offer.data.get("properties", {})),
                "quantity": offer.quantity,
                "active": offer.active,
            }
        )

    def shown_inventory(self, offer: Offer, details: bool) -> Json:
        row = without_nulls(
            {
                "id": offer.id,
                "externalId": offer.external_id,
                "xmlId": offer.xml_id,
                "site": offer.site,
                "purchasePrice": offer.purchase_price,
                "quantity": offer.quantity,
            }
        )
        if details:
            stocks = offer.stocks.items()
            row["stores"] = [without_nulls({"store": s, "quantity": q, "purchasePrice": p}) for s, (q, p) in stocks]
        return row

    # --- ICML -------------------------------------------------------------------------------------------------------------

    def load_icml(self, xml: bytes | str, site: str) -> Loaded:
        """Creates and updates what the file says; offers of the site that it does not have become inactive.

        Raises BadIcml when the file cannot be read to its end; nothing has changed then.
        """
        raw = xml.encode() if isinstance(xml, str) else xml
        categories = _categories(raw)
        loaded = Loaded()
        parents = []
        for row in categories:
            known = self.group("externalId", row["externalId"], [site])
            group = self.save_group(site, {"name": row["name"], "externalId": row["externalId"]}, known)
            parents.append((group, row["parent"]))
        for group, parent in parents:
            above = self._group_ids.get((site, parent))
            if above:
                group["parentId"] = above
            else:
                group.pop("parentId", None)
        seen: set[int] = set()
        products: dict[int, bool] = {}
        for row in _offers(raw):
            reason = _refused(row, seen, self._external, site)
            if reason:
                loaded.skipped.append(reason)
                continue
            new = (site, row["id"]) not in self._external
            offer = self._save(site, row["id"], row["productId"], row["data"], row["product"], row["xmlId"], row["price"])
            offer.active = row["active"]
            offer.purchase_price = row["purchasePrice"] if row["purchasePrice"] is not None else offer.purchase_price
            if row["quantity"] is not None and not offer.stocks:
                offer.quantity = row["quantity"]
            groups = [self._group_ids.get((site, c)) for c in row["categories"]]
            offer.product.groups = tuple(g for g in groups if g)
            products[offer.product.id] = products.get(offer.product.id, False) or row["productActive"]
            seen.add(offer.id)
            loaded.created += new
            loaded.updated += not new
        for offer in self.offers.values():
            if offer.site == site and offer.id not in seen and offer.active:
                offer.active = False
                loaded.deactivated += 1
        for product in self.products.values():
            if product.site == site and product.offers:
                product.active = products.get(product.id, False)
        self.account.references["sites"][site]["catalogUpdatedAt"] = self.account.now()
        self.version += 1
        return loaded


def _by(ref: Mapping[str, Any]) -> tuple[str, Any]:
    return ("id", ref["id"]) if ref.get("id") else ("externalId", ref.get("externalId"))


def _named(row: Mapping[str, Any]) -> Json:
    return {k: row[k] for k in ("id", "externalId", "xmlId") if k in row}


def _refused(row: Json, seen: set[int], known: Mapping[tuple[str, str], int], site: str) -> str:
    if not row["id"]:
        return "An offer without an id"
    if known.get((site, row["id"])) in seen:
        return f"Offer {row['id']}: twice in the file"
    if not row["data"].get("name"):
        return f"Offer {row['id']}: no name"
    if row["price"] is None or row["price"] < 0:
        return f"Offer {row['id']}: no price"
    return ""


def _categories(raw: bytes) -> list[Json]:
    """The groups, after a look at the whole file: BadIcml when it cannot be read to its end."""
    found: list[Json] = []
    seen_shop = False
    try:
        for _event, element in _elements(raw, "category", "offer", "shop"):
            if element.tag == "category":
                name = (element.findtext("name") or element.text or "").strip()
                found.append({"externalId": element.get("id", ""), "parent": element.get("parentId", ""), "name": name})
            elif element.tag == "shop":
                seen_shop = True
            else:
                _free(element)
    except etree.XMLSyntaxError as error:
        raise BadIcml(f"The file is not XML: {error}") from None
    if not seen_shop:
        raise BadIcml("The file has no yml_catalog with a shop")
    return found


def _offers(raw: bytes) -> Iterator[Json]:
    for _event, element in _elements(raw, "offer"):
        yield _read_offer(element)
        _free(element)


def _elements(raw: bytes, *tags: str) -> Any:
    return etree.iterparse(io.BytesIO(raw), events=("end",), tag=tags, resolve_entities=False, no_network=True, huge_tree=True)


def _free(element: Any) -> None:
    """What was read need not stay in memory: neither the element nor those before it."""
    element.clear()
    while element.getprevious() is not None:
        del element.getparent()[0]


def _read_offer(element: Any) -> Json:
    texts = {child.tag: (child.text or "").strip() for child in element}
    properties = {p.get("code"): (p.text or "").strip() for p in element.findall("param") if p.get("code")}
    pictures = [p.text.strip() for p in element.findall("picture") if p.text and p.text.strip()]
    unit = element.find("unit")
    external = element.get("id", "")
    article = properties.pop("article", None)
    data: Json = {"name": texts.get("name", ""), "article": article, "images": pictures or None, "properties": properties or None}
    data["vatRate"] = texts.get("vatRate") or "none"
    data["barcode"] = texts.get("barcode") or None
    data["unit"] = dict(unit.attrib) if unit is not None else UNIT
    weight = number(texts.get("weight", ""))
    if weight is not None:
        data["weight"] = weight * 1000  # kilograms there, grams here
    sides = [number(side) for side in texts.get("dimensions", "").split("/")]
    if len(sides) == 3 and None not in sides:
        data |= {name: side * 10 for name, side in zip(("length", "width", "height"), sides, strict=True) if side is not None}
    card = {
        "name": texts.get("productName") or texts.get("name", ""),
        "url": texts.get("url") or None,
        "imageUrl": pictures[0] if pictures else None,
        "manufacturer": texts.get("vendor") or None,
        "description": texts.get("description") or None,
        "article": article,
        "type": element.get("type", "product"),
        "markable": texts.get("markable") == "Y",
    }
    return {
        "id": external,
        "productId": element.get("productId") or external,
        "xmlId": texts.get("xmlId") or None,
        "price": number(texts.get("price", "")),
        "purchasePrice": number(texts.get("purchasePrice", "")),
        "quantity": number(element.get("quantity", "")),
        "categories": [(c.text or "").strip() for c in element.findall("categoryId")],
        "active": texts.get("activity", "Y") != "N",
        "productActive": texts.get("productActivity", "Y") != "N",
        "data": without_nulls(data),
        "product": without_nulls(card),
    }
