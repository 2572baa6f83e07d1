"""Orders as the service keeps them: what a write may say, what is worked out, and one journal entry for every changed field."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import Any

from obmen.sandbox.retailcrm.catalogue import UNIT, Catalogue, Offer
from obmen.sandbox.retailcrm.customers import ADDRESS, CONTRAGENT, CONTRAGENT_TYPES, CORPORATE, PERSON, Customer, Customers, snake
from obmen.sandbox.retailcrm.state import (
    CODE,
    INVALID,
    Account,
    Actor,
    Json,
    Reader,
    Refused,
    cents,
    not_found,
    php_map,
    without_nulls,
)

ZERO, ONE, HUNDRED = Decimal(0), Decimal(1), Decimal(100)

_SCALARS = {
    "number": "text",
    "externalId": "text",
    "orderType": "code:order-types",
    "orderMethod": "code:order-methods",
    "privilegeType": "text",
    "countryIso": "text",
    "createdAt": "moment",
    "status": "code:statuses",
    "statusComment": "text",
    "mark": "int",
    **dict.fromkeys(("lastName", "firstName", "patronymic", "phone", "additionalPhone", "email"), "text"),
    "call": "flag",
    "expired": "flag",
    "customerComment": "text",
    "managerComment": "text",
    "managerId": "user",
    "discountManualAmount": "number",
    "discountManualPercent": "number",
    "applyRound": "flag",
    "weight": "number",
    **dict.fromkeys(("length", "width", "height"), "int"),
    "shipmentStore": "code:stores",
    "shipmentDate": "date",
    "shipped": "flag",
    "clientId": "text",
    "source": "json",
    "marketplace": "json",
}
_REQUIRED = ("number", "status", "orderType", "orderMethod", "createdAt")  # cannot be cleared
_DELIVERY = {
    "code": "code:delivery-types",
    "cost": "number",
    "netCost": "number",
    "vatRate": "text",
    "date": "date",
    "time": "json",
    "data": "json",
    "integrationCode": "text",
}
_ITEM = {
    "externalId": "text",
    "productName": "text",
    "initialPrice": "number",
    "discountManualAmount": "number",
    "discountManualPercent": "number",
    "vatRate": "text",
    "quantity": "number",
    "status": "code:product-statuses",
    "purchasePrice": "number",
    "comment": "text",
    "createdAt": "moment",
    "markingCodes": "json",
}
_PAYMENT = {
    "externalId": "text",
    "type": "code:payment-types",
    "status": "code:payment-statuses",
    "amount": "number",
    "paidAt": "moment",
    "comment": "text",
}
_UNSUPPORTED = "This payment type is not supported for the type of delivery"

# Field of the journal → how its value is shown; the rest of the scalars are shown as they are.
_CODED = {"status", "site", "orderType", "orderMethod", "shipmentStore"}
_SILENT = {"externalId", "source", "marketplace", "applyRound", "privilegeType", "clientId"}
_NAMES = {"createdAt": "created_at", "countryIso": "country", "managerId": "manager"}


@dataclass(slots=True, eq=False)
class Order:
    id: int
    site: str
    data: Json
    made_by: Actor
    delivery: Json = field(default_factory=dict)
    address: Json = field(default_factory=dict)
    contragent: Json = field(default_factory=dict)
    custom: Json = field(default_factory=dict)
    items: list[Json] = field(default_factory=list)
    payments: dict[int, Json] = field(default_factory=dict)
    links: list[Json] = field(default_factory=list)
    packs: list[int] = field(default_factory=list)
    customer: int | None = None
    contact: int | None = None
    company: int | None = None
    sums: Json = field(default_factory=dict)


class Orders:
    def __init__(self, account: Account, catalogue: Catalogue, customers: Customers) -> None:
        self.account = account
        self.catalogue = catalogue
        self.customers = customers
        self.rows: dict[int, Order] = {}
        self.payments: dict[int, int] = {}  # payment → order
        self.packs: dict[int, Json] = {}
        self._external: dict[tuple[str, str], int] = {}

    # --- finding ----------------------------------------------------------------------------------------------------------

    def find(self, by: str, value: object, sites: Collection[str]) -> Order | None:
        if by == "id":
            found = self.rows.get(int(str(value))) if str(value).isdigit() else None
            return found if found and found.site in sites else None
        ids = (self._external.get((site, str(value))) for site in sites)
        return next((self.rows[n] for n in ids if n is not None), None)

    def get(self, by: str, value: object, sites: Collection[str]) -> Order:
        found = self.find(by, value, sites)
        if found is None:
            raise not_found()
        return found

    def newest_first(self) -> Iterable[Order]:
        return reversed(self.rows.values())

    # --- writing ----------------------------------------------------------------------------------------------------------

    def create(self, site: str, data: Mapping[str, Any], actor: Actor) -> Order:
        external = data.get("externalId")
        if external not in (None, "") and (site, str(external)) in self._external:
            raise Refused(400, "Order already exists.")
        by_api = actor.source == "api"
        order = Order(0, site, self._defaults(by_api), actor)
        self._read(order, data, creating=True)
        customer_is_new = self._who(order, data, creating=True, actor=actor)
        order.id = self.account.new_id("order")
        order.data.setdefault("number", f"{order.id}{'A' if by_api else 'C'}")
        self.rows[order.id] = order
        if order.data.get("externalId"):
            self._external[site, order.data["externalId"]] = order.id
        self.payments |= dict.fromkeys(order.payments, order.id)
        self._compute(order)
        for payment in order.payments.values():
            payment.setdefault("amount", order.sums["totalSumm"])
        self._compute(order)
        self._count(order, 1, order.sums["totalSumm"])
        self._note(order, actor, "status", None, {"code": order.data["status"]}, created=True)
        if customer_is_new and order.customer is not None:
            brief = self.customers.brief(self.customers.rows[order.customer])
            self._note(order, CODE, "customer", None, brief)
        return order

    def edit(self, order: Order, data: Mapping[str, Any], actor: Actor) -> None:
        external = data.get("externalId")
        taken = self._external.get((order.site, str(external)))
        if external not in (None, "") and taken not in (None, order.id):
            raise Refused(400, "Order already exists.")
        before = self._flat(order)
        old_status, old_total, old_external = order.data["status"], order.sums["totalSumm"], order.data.get("externalId")
        old_customer = order.customer
        who = order.customer, order.contact, order.company
        self._who(order, data, creating=False, actor=actor)
        try:
            self._read(order, {k: v for k, v in data.items() if k != "payments"}, creating=False)
        except Refused:
            order.customer, order.contact, order.company = who
            raise
        if old_external != order.data.get("externalId"):
            self._external.pop((order.site, str(old_external)), None)
            if order.data.get("externalId"):
                self._external[order.site, order.data["externalId"]] = order.id
        self._settle(order, actor, before, old_status)
        if old_customer != order.customer:
            self.customers.count(old_customer or 0, -1, -old_total)
            self._count(order, 1, order.sums["totalSumm"])
        else:
            self._count(order, 0, order.sums["totalSumm"] - old_total)

    def delete(self, order: Order, actor: Actor, combined_to: Order | None = None) -> None:
        more = {"combinedTo": self.brief(combined_to)} if combined_to else {}
        self._note(order, actor, "id", order.id, None, deleted=True, more=more)
        self._count(order, -1, -order.sums["totalSumm"])
        del self.rows[order.id]
        self._external.pop((order.site, order.data.get("externalId", "")), None)
        for payment in order.payments:
            self.payments.pop(payment, None)
        for pack in order.packs:
            self.packs.pop(pack, None)

    def combine(self, order: Order, result: Order, technique: str, actor: Actor) -> None:
        """``order`` goes away into ``result``. ours: result stays as it is; theirs: takes the fields and lines of the other;
        merge: gets the lines with offers that it lacks; summ: gets all of them, quantities of the same offer added."""
        before, old_status, old_total = self._flat(result), result.data["status"], result.sums["totalSumm"]
        if technique == "theirs":
            keep: Json = {k: result.data[k] for k in ("number", "createdAt", "externalId") if k in result.data}
            result.data = {**order.data, **keep} if "externalId" in keep else {**_without(order.data, "externalId"), **keep}
            result.items, result.delivery, result.address = order.items, order.delivery, order.address
        elif technique in ("merge", "summ"):
            mine = {item["offer"].id: item for item in result.items if item.get("offer")}
            for item in order.items:
                same = mine.get(item["offer"].id) if item.get("offer") else None
                if same is None:
                    result.items.append(item)
                elif technique == "summ":
                    same["quantity"] += item["quantity"]
        if technique != "ours":
            result.payments |= order.payments
            self.payments |= dict.fromkeys(order.payments, result.id)
            order.payments = {}
        self._settle(result, actor, before, old_status)
        self._count(result, 0, result.sums["totalSumm"] - old_total)
        self.delete(order, actor, combined_to=result)

    def fix_external_ids(self, rows: Iterable[Mapping[str, Any]], sites: Collection[str], actor: Actor) -> None:
        pairs = [(self.get("id", row.get("id"), sites), row.get("externalId")) for row in rows]
        for order, external in pairs:
            self.edit(order, {"externalId": external}, actor)

    def move_customer(self, old: int, new: int) -> None:
        """After two customers became one."""
        for order in self.rows.values():
            if order.customer == old:
                order.customer = new
                self._count(order, 1, order.sums["totalSumm"])
            if order.contact == old:
                order.contact = new

    def link(self, orders: list[Order], comment: str) -> None:
        for one in orders:
            for other in orders:
                if other is not one:
                    ref = without_nulls({k: other.data.get(k) for k in ("number", "externalId")})
                    one.links.append({"comment": comment, "order": {"id": other.id, **ref}, "createdAt": self.account.now()})

    # --- payments ---------------------------------------------------------------------------------------------------------

    def add_payment(self, order: Order, data: Mapping[str, Any], actor: Actor) -> Json:
        before, status = self._flat(order), order.data["status"]
        reader = Reader(self.account)
        payment = self._payment(order, data, reader, "")
        reader.check()
        self._check_payments(order, [payment])
        order.payments[payment["id"]] = payment
        self.payments[payment["id"]] = order.id
        self._settle(order, actor, before, status)
        return payment

    def edit_payment(self, order: Order, payment: Json, data: Mapping[str, Any], actor: Actor) -> None:
        before, status = self._flat(order), order.data["status"]
        reader = Reader(self.account)
        changed = dict(payment)
        reader.fields(_PAYMENT, data, changed)
        changed.setdefault("type", payment["type"])
        reader.check()
        self._check_payments(order, [changed])
        order.payments[payment["id"]] = changed
        self._settle(order, actor, before, status)

    def delete_payment(self, order: Order, payment: Json, actor: Actor) -> None:
        before, status = self._flat(order), order.data["status"]
        del order.payments[payment["id"]]
        del self.payments[payment["id"]]
        self._settle(order, actor, before, status)

    def payment(self, by: str, value: object, sites: Collection[str]) -> tuple[Order, Json]:
        if by == "id":
            owner = self.rows.get(self.payments.get(int(str(value)), 0)) if str(value).isdigit() else None
            if owner and owner.site in sites:
                return owner, owner.payments[int(str(value))]
        else:
            for owner_id in dict.fromkeys(self.payments.values()):
                owner = self.rows[owner_id]
                for payment in owner.payments.values():
                    if payment.get("externalId") == str(value) and owner.site in sites:
                        return owner, payment
        raise not_found("Payment not found")

    def _payment(self, order: Order, data: Mapping[str, Any], reader: Reader, path: str) -> Json:
        payment: Json = {}
        reader.fields(_PAYMENT, data, payment, path)
        if "type" not in payment:
            reader.wrong(path + "type", "This value should not be blank.")
        if "amount" not in payment and order.sums:
            paid = sum((p.get("amount", ZERO) for p in order.payments.values()), ZERO)
            payment["amount"] = max(order.sums["totalSumm"] - paid, ZERO)
        return {"id": self.account.new_id("payment"), **payment}

    def _check_payments(self, order: Order, payments: Iterable[Json]) -> None:
        """The type has to be allowed for the delivery, the status for the type."""
        delivery = self.account.code("delivery-types", order.delivery.get("code"))
        wrong = []
        for n, payment in enumerate(payments):
            kind = self.account.references["payment-types"][payment["type"]]
            status = payment.get("status")
            allowed = status is None or status in kind["paymentStatuses"]
            if not allowed or (delivery is not None and payment["type"] not in delivery["paymentTypes"]):
                wrong.append(f"payments[{n}].type: {_UNSUPPORTED}")
        if wrong:
            raise Refused(400, "Order is not loaded", wrong)

    # --- packs ------------------------------------------------------------------------------------------------------------

    def save_pack(self, data: Mapping[str, Any], actor: Actor, pack: Json | None = None) -> Json:
        reader = Reader(self.account)
        read: Json = dict(pack or {})
        schema = {"store": "code:stores", "quantity": "number", "purchasePrice": "number", "shipmentDate": "date"}
        reader.fields({**schema, "invoiceNumber": "text", "deliveryNoteNumber": "text"}, data, read)
        if pack is None:
            item = str(data.get("itemId") or "")
            owner = next((o for o in self.rows.values() if any(str(i["id"]) == item for i in o.items)), None)
            if owner is None:
                reader.wrong("itemId")
            for name in ("store", "quantity"):
                if name not in read:
                    reader.wrong(name, "This value should not be blank.")
            reader.check()
            assert owner is not None
            read = {"id": self.account.new_id("pack"), "itemId": int(item), "orderId": owner.id, **read}
            owner.packs.append(read["id"])
        reader.check()
        old = pack or {}
        names = [
            k for k in ("store", "purchasePrice", "quantity", "shipmentDate", "invoiceNumber", "deliveryNoteNumber") if k in read
        ]
        self.packs[read["id"]] = read
        if pack is None:
            self._note_pack(read, actor, "store", None, {"code": read["store"]}, created=True)
        else:
            for name in names:
                if old.get(name) != read[name]:
                    wrap = (lambda v: {"code": v} if v else None) if name == "store" else (lambda v: v)
                    self._note_pack(read, actor, name, wrap(old.get(name)), wrap(read[name]))
        return read

    def delete_pack(self, pack: Json, actor: Actor) -> None:
        del self.packs[pack["id"]]
        self.rows[pack["orderId"]].packs.remove(pack["id"])
        self._note_pack(pack, actor, "store", {"code": pack["store"]}, None, deleted=True)

    def shown_pack(self, pack: Json) -> Json:
        item = next(i for i in self.rows[pack["orderId"]].items if i["id"] == pack["itemId"])
        shown: Json = {k: v for k, v in pack.items() if k not in ("orderId", "itemId")}
        offer: Offer | None = item.get("offer")
        shown["item"] = {"id": item["id"], "order": {"id": pack["orderId"]}}
        if offer:
            shown["item"]["offer"] = without_nulls({"externalId": offer.external_id, "xmlId": offer.xml_id})
            shown["unit"] = offer.data.get("unit")
        return without_nulls(shown)

    def _note_pack(
        self, pack: Json, actor: Actor, name: str, old: Any, new: Any, *, created: bool = False, deleted: bool = False
    ) -> None:
        shown = self.shown_pack(pack)
        subject = {**shown, "store": {"code": pack["store"]}} if created else {"id": pack["id"], "item": shown["item"]}
        self.account.journals["packs"].add(
            at=self.account.now(), entity=pack["orderId"], source=actor.source, user=actor.user, key=actor.key, field=name,
            old=old, new=new, subject=self.account.dumps(subject) if created else subject, more={}, created=created, deleted=deleted,
        )  # fmt: skip

    # --- reading a write --------------------------------------------------------------------------------------------------

    def _defaults(self, by_api: bool) -> Json:
        mark = "defaultForApi" if by_api else "defaultForCrm"
        data: Json = {"createdAt": self.account.now(), "call": False, "expired": False, "shipped": False, "privilegeType": "none"}
        first = min((s for s in self.account.references["statuses"].values() if s["group"] == "new" and s["active"]),
                    key=lambda s: s.get("ordering", 990), default=None)  # fmt: skip
        if first is not None:
            data["status"] = first["code"]
        for name, book in (("orderType", "order-types"), ("orderMethod", "order-methods")):
            code = next((r["code"] for r in self.account.references[book].values() if r.get(mark) and r["active"]), None)
            if code:
                data[name] = code
        return data

    def _read(self, order: Order, data: Mapping[str, Any], *, creating: bool) -> None:
        """All or nothing: what is wrong is found before the order changes."""
        reader = Reader(self.account)
        scalars, delivery, address, contragent = (
            dict(order.data),
            dict(order.delivery),
            dict(order.address),
            dict(order.contragent),
        )
        reader.fields(_SCALARS, data, scalars)
        for name in _REQUIRED:
            if name in order.data:
                scalars.setdefault(name, order.data[name])
        if creating and "status" not in scalars:
            reader.wrong("status", "This value should not be blank.")
        if isinstance(data.get("contragent"), dict):
            reader.fields(CONTRAGENT, data["contragent"], contragent, "contragent.")
        contragent.setdefault("contragentType", "individual")
        if contragent["contragentType"] not in CONTRAGENT_TYPES:
            reader.wrong("contragent.contragentType")
        sent = data.get("delivery")
        if isinstance(sent, dict):
            self._read_delivery(reader, sent, delivery, address)
        items = self._items(order, data["items"], reader) if isinstance(data.get("items"), list) else order.items
        payments: dict[int, Json] = {}
        for n, row in enumerate(_rows(data.get("payments"))):
            payment = self._payment(order, row, reader, f"payments[{n}].")
            payments[payment["id"]] = payment
        reader.check()
        if payments:
            draft = Order(0, order.site, scalars, order.made_by, delivery=delivery)
            self._check_payments(draft, payments.values())
        order.data, order.delivery, order.address, order.contragent, order.items = scalars, delivery, address, contragent, items
        order.payments |= payments
        if isinstance(data.get("customFields"), dict):
            order.custom = {k: v for k, v in {**order.custom, **data["customFields"]}.items() if v not in (None, "")}

    def _read_delivery(self, reader: Reader, sent: Mapping[str, Any], delivery: Json, address: Json) -> None:
        old_code = delivery.get("code")
        reader.fields(_DELIVERY, sent, delivery, "delivery.")
        if "service" in sent:
            service = sent["service"]
            code = service.get("code") if isinstance(service, dict) else service
            if code:
                known = self.account.code("delivery-services", code)
                own = (
                    {"code": str(code), "name": service.get("name", str(code)), "active": True}
                    if isinstance(service, dict)
                    else None
                )
                if known is None and own is None:
                    reader.wrong("delivery.service.code")
                delivery["service"] = known or own
            else:
                delivery.pop("service", None)
        row = self.account.code("delivery-types", delivery.get("code"))
        if row is not None and delivery["code"] != old_code:
            if "cost" not in sent:
                delivery["cost"] = Decimal(str(row["defaultCost"]))
            if "netCost" not in sent:
                delivery["netCost"] = Decimal(str(row["defaultNetCost"]))
        if isinstance(sent.get("address"), dict):
            reader.fields(ADDRESS, sent["address"], address, "delivery.address.")

    def _items(self, order: Order, rows: list[Any], reader: Reader) -> list[Json]:
        """The whole new list of lines: matched by id, by externalIds, by the offer where that is one line only."""
        lacking: list[str] = []
        free = list(order.items)
        read: list[Json] = []
        offers: dict[int, int] = {}
        for n, row in enumerate(rows):
            if not isinstance(row, dict):
                reader.wrong(f"items[{n}]")
                continue
            offer, problem = self._offer(order.site, row, n)
            if problem:
                lacking.append(problem)
                continue
            if offer and not self.account.settings.split_lines and offer.id in offers:
                lacking.append(f"items[{n}]: {offer.data.get('name', offer.external_id)} is already in this order")
                continue
            if offer:
                offers[offer.id] = n
            known = _matching(free, row, offer)
            if known:
                free.remove(known)
            read.append(self._item(known, row, offer, reader, f"items[{n}]."))
        if lacking:
            raise Refused(400, "Order is not loaded", lacking)
        return read

    def _offer(self, site: str, row: Json, n: int) -> tuple[Offer | None, str]:
        ref = row.get("offer")
        if not isinstance(ref, dict):
            return None, ""
        offer = self.catalogue.find(ref, [site])
        if offer:
            return offer, ""
        given = next((k for k in ("id", "externalId", "xmlId") if ref.get(k) not in (None, "")), "")
        if not given:
            return None, ""
        if given != "id" and row.get("productName") and self.account.settings.free_lines:
            return None, ""
        return None, f"items[{n}].offer.{given}: Offer with {given} {ref[given]} not found."

    def _item(self, known: Json | None, row: Json, offer: Offer | None, reader: Reader, path: str) -> Json:
        item: Json = dict(known or {"quantity": ONE, "status": "new", "createdAt": self.account.now(), "markingCodes": []})
        reader.fields(_ITEM, row, item, path)
        item.setdefault("quantity", ONE)
        item.setdefault("status", "new")
        item.setdefault("createdAt", self.account.now())
        if isinstance(row.get("offer"), dict) and offer:
            item["offer"] = offer
        if "priceType" in row:
            reader.fields({"priceType": "code:price-types"}, row, item, path)
        if "externalIds" in row:
            pairs = [p for p in row["externalIds"] or [] if isinstance(p, dict)]
            item["externalIds"] = [{"code": str(p.get("code")), "value": str(p.get("value"))} for p in pairs]
        if "properties" in row:
            item["properties"] = [p for p in _rows(row["properties"]) if p.get("code")]
        if offer:
            item.setdefault("initialPrice", offer.prices.get(item.get("priceType", "base"), ZERO))
            item.setdefault("vatRate", offer.data.get("vatRate", "none"))
            if offer.purchase_price is not None:
                item.setdefault("purchasePrice", offer.purchase_price)
        item.setdefault("initialPrice", ZERO)
        item.setdefault("purchasePrice", ZERO)
        if item["quantity"] < 0:
            reader.wrong(path + "quantity")
        if "id" not in item:
            item = {"id": self.account.new_id("item"), **item}
        return item

    # --- who --------------------------------------------------------------------------------------------------------------

    def _who(self, order: Order, data: Mapping[str, Any], *, creating: bool, actor: Actor) -> bool:
        """Links customer, contact and company. Returns whether the service itself found or made the customer."""
        sent = data.get("customer")
        if isinstance(sent, dict) and sent:
            customer = self._customer(order.site, sent, str(sent.get("type") or ""), "customer")
            if customer.id != order.customer:
                order.contact = order.company = None
            order.customer = customer.id
            if customer.type == CORPORATE:
                main = next((row for row in customer.contacts.values() if row["isMain"]), None)
                order.contact = order.contact or (main["customer"] if main else None)
                company = next((row for row in customer.companies.values() if row["isMain"]), None)
                order.company = order.company or (company["id"] if company else None)
        elif creating:
            order.customer = self._guess(order, actor)
        if isinstance(data.get("contact"), dict) and data["contact"]:
            order.contact = self._customer(order.site, data["contact"], PERSON, "contact").id
        if "company" in data:
            ref = data["company"]
            owner = self.customers.rows.get(order.customer or 0)
            if not ref:
                order.company = None
            elif owner is None or owner.type != CORPORATE:
                raise Refused(400, "Errors in the entity format", {"company": INVALID})
            else:
                by = "id" if "id" in ref else "externalId"
                order.company = self.customers.child(owner, "company", by, ref[by])["id"]
        return creating and not sent

    def _customer(self, site: str, ref: Mapping[str, Any], kind: str, name: str) -> Customer:
        by = "id" if ref.get("id") not in (None, "") else "externalId"
        sites = (
            [str(ref["site"])] if ref.get("site") and by == "externalId" else ([site] if by == "externalId" else self._sites())
        )
        for one in [kind] if kind else [PERSON, CORPORATE]:
            found = self.customers.find(one, by, ref.get(by), sites)
            if found:
                return found
        raise Refused(400, "Order is not loaded", {f"{name}.{by}": f"Customer with {by}={ref.get(by)} not found."})

    def _sites(self) -> Collection[str]:
        return self.account.references["sites"]

    def _guess(self, order: Order, actor: Actor) -> int:
        """No customer was named: the one with this phone or e-mail, otherwise a new one."""
        data = order.data
        phones = [data[k] for k in ("phone", "additionalPhone") if data.get(k)]
        known = self.customers.same(order.site, phones, data.get("email", ""))
        if known:
            return known.id
        card: Json = without_nulls({k: data.get(k) for k in ("firstName", "lastName", "patronymic", "email", "managerId")})
        card["phones"] = [{"number": phone} for phone in phones]
        if order.address:
            card["address"] = {k: v for k, v in order.address.items() if k != "id"}
        return self.customers.create(PERSON, order.site, card, actor).id

    # --- working out ------------------------------------------------------------------------------------------------------

    def _compute(self, order: Order) -> None:
        """Discounts per line, sums, whether it is paid: as many decimals as needed, sums to the cent."""
        cancelled = {c for c, row in self.account.references["product-statuses"].items() if row["cancelStatus"]}
        goods = ZERO
        bought = ZERO
        lines = [item for item in order.items if item["status"] not in cancelled]
        base = sum((item["initialPrice"] * item["quantity"] for item in lines), ZERO)
        amount = order.data.get("discountManualAmount", ZERO)
        percent = order.data.get("discountManualPercent", ZERO)
        left = min(amount, base)
        for n, item in enumerate(order.items):
            price, quantity = item["initialPrice"], item["quantity"]
            whole = price * quantity
            own = item.get("discountManualAmount", ZERO) + price * item.get("discountManualPercent", ZERO) / HUNDRED
            own_line = min(cents(own * quantity), cents(whole))
            of_order = ZERO
            item["isCanceled"] = item["status"] in cancelled
            if not item["isCanceled"]:
                of_order = cents(whole * percent / HUNDRED)
                if amount and base:
                    last = item is lines[-1]
                    share = left if last else min(left, cents(amount * whole / base))
                    left -= share
                    of_order += share
            discount = min(own_line + of_order, cents(whole))
            item["discounts"] = [
                {"type": kind, "amount": value}
                for kind, value in (("manual_product", own_line), ("manual_order", discount - own_line))
                if value > 0
            ]
            item["discountTotal"] = _tidy(discount / quantity) if quantity else ZERO
            item["summ"] = cents(whole) - discount
            item["prices"] = _prices(item["summ"], quantity)
            item["ordering"] = n
            if not item["isCanceled"]:
                goods += item["summ"]
                bought += item.get("purchasePrice", ZERO) * quantity
        total = goods + order.delivery.get("cost", ZERO)
        complete = {c for c, row in self.account.references["payment-statuses"].items() if row.get("paymentComplete")}
        paid = [p for p in order.payments.values() if p.get("status") in complete]
        prepaid = sum((p.get("amount", ZERO) for p in paid), ZERO)
        order.sums = {"summ": goods, "totalSumm": total, "prepaySum": prepaid, "purchaseSumm": cents(bought)}
        if prepaid > 0 and prepaid >= total:
            moments = [p["paidAt"] for p in paid if "paidAt" in p]
            order.data.setdefault("fullPaidAt", max(moments, default=self.account.now()))
        else:
            order.data.pop("fullPaidAt", None)

    def _settle(self, order: Order, actor: Actor, before: dict[str, tuple[Any, Json]], old_status: str) -> None:
        """After any change: sums, what follows from a new status, the journal."""
        if order.data["status"] != old_status:
            order.data["statusUpdatedAt"] = self.account.now()
        self._compute(order)
        self._journal(order, actor, before)
        if order.data["status"] != old_status:
            self._follow(order)

    def _follow(self, order: Order) -> None:
        """Lines get the status that the book of product statuses binds to the order's new one."""
        books = self.account.references["product-statuses"]
        bound = next((c for c, row in books.items() if row.get("orderStatusForProductStatus") == order.data["status"]), None)
        if bound is None:
            return
        before = self._flat(order)
        for item in order.items:
            if not books.get(item["status"], {}).get("cancelStatus"):
                item["status"] = bound
        old_total = order.sums["totalSumm"]
        self._compute(order)
        self._count(order, 0, order.sums["totalSumm"] - old_total)
        self._journal(order, CODE, before)

    def _count(self, order: Order, orders: int, total: Decimal) -> None:
        if order.customer is not None:
            self.customers.count(order.customer, orders, total)

    # --- showing ----------------------------------------------------------------------------------------------------------

    def shown(self, order: Order) -> Json:
        settings = self.account.settings
        shown: Json = {
            "slug": order.id,
            "bonusesCreditTotal": 0,
            "bonusesChargeTotal": 0,
            "id": order.id,
            **order.data,
            **order.sums,
            "currency": settings.currency,
            "markDatetime": order.data["createdAt"],
            "statusUpdatedAt": order.data.get("statusUpdatedAt", order.data["createdAt"]),
            "contragent": order.contragent,
            "delivery": {"cost": 0, "netCost": 0, **order.delivery, "address": php_map(order.address)},
            "site": order.site,
            "items": [self._shown_item(item) for item in order.items],
            "fromApi": order.made_by.source == "api",
            "customFields": [] if settings.custom_fields_as_list else php_map(order.custom),
        }
        if settings.payments_as_list:
            shown["payments"] = list(order.payments.values())
        else:
            shown["payments"] = php_map({str(n): payment for n, payment in order.payments.items()})
        customer = self.customers.rows.get(order.customer or 0)
        if customer:
            shown["customer"] = self.customers.shown(customer)
            if customer.type == PERSON and order.contact is None:
                shown["contact"] = shown["customer"]
        contact = self.customers.rows.get(order.contact or 0)
        if contact:
            shown["contact"] = self.customers.shown(contact)
        if order.company is not None and customer and order.company in customer.companies:
            shown["company"] = self.customers.shown_child(customer, "company", customer.companies[order.company])
        if order.links:
            shown["links"] = order.links
        return shown

    def _shown_item(self, item: Json) -> Json:
        shown = {k: v for k, v in item.items() if k not in ("offer", "summ", "ordering")}
        shown |= {"bonusesChargeTotal": 0, "bonusesCreditTotal": 0}
        if "priceType" in item:
            shown["priceType"] = {"code": item["priceType"]}
        shown["properties"] = php_map({p["code"]: p for p in item.get("properties", [])})
        if not shown["isCanceled"]:
            del shown["isCanceled"]
        offer: Offer | None = item.get("offer")
        if offer is None:
            shown.setdefault("productName", "")
            shown["offer"] = {"displayName": shown["productName"]}
            return shown
        data = offer.data
        name = data.get("name", offer.external_id)
        shown["offer"] = without_nulls(
            {
                "displayName": name,
                "id": offer.id,
                "externalId": offer.external_id,
                "xmlId": offer.xml_id,
                "name": name,
                "article": data.get("article"),
                "vatRate": data.get("vatRate", "none"),
                "unit": data.get("unit", UNIT),
                "barcode": data.get("barcode"),
                "properties": data.get("properties") or None,
            }
        )
        return shown

    def brief(self, order: Order) -> Json:
        data = order.data
        return without_nulls(
            {
                "id": order.id,
                "externalId": data.get("externalId"),
                "managerId": data.get("managerId"),
                "site": order.site,
                "status": data["status"],
            }
        )

    # --- journal ----------------------------------------------------------------------------------------------------------

    def _flat(self, order: Order) -> dict[str, tuple[Any, Json]]:
        """Everything that the journal tells of, as ``{key: (value, what else the entry shows)}``; the field is the key's start."""
        flat: dict[str, tuple[Any, Json]] = {}

        def put(name: str, value: Any, more: Json | None = None) -> None:
            if value not in (None, ""):
                flat[name] = (value, more or {})

        for name, value in order.data.items():
            if name in _SILENT or name in ("statusUpdatedAt",):
                continue
            field_name = _NAMES.get(name, snake(name))
            put(field_name, {"code": value} if name in _CODED else {"id": value} if name == "managerId" else value)
        put("externalId", order.data.get("externalId"))
        delivery = order.delivery
        for name in ("cost", "netCost", "date", "time"):
            put("delivery_" + snake(name), delivery.get(name))
        put("delivery_type", {"code": delivery["code"]} if "code" in delivery else None)
        put("delivery_service", {"code": delivery["service"]["code"]} if "service" in delivery else None)
        for name, value in (delivery.get("data") or {}).items():
            put("integration_delivery_data." + snake(name), value)
        for name, value in order.address.items():
            put("delivery_address." + ("country" if name == "countryIso" else snake(name)), value)
        for name, value in order.contragent.items():
            put("contragent." + snake(name), value)
        for name, value in order.custom.items():
            put("custom_" + name, value)
        for name, ref in (("customer", order.customer), ("contact", order.contact)):
            person = self.customers.rows.get(ref or 0)
            put(name, self.customers.brief(person) if person else None)
        owner = self.customers.rows.get(order.customer or 0)
        if owner and order.company in owner.companies:
            put("company", {"id": order.company, "name": owner.companies[order.company]["name"]})
        for item in order.items:
            self._flat_item(put, item)
        for payment in order.payments.values():
            _flat_payment(put, payment)
        return flat

    def _flat_item(self, put: Any, item: Json) -> None:
        offer: Offer | None = item.get("offer")
        ref: Json = {"id": item["id"]}
        if offer:
            ref["offer"] = without_nulls({"id": offer.id, "externalId": offer.external_id, "xmlId": offer.xml_id})
        about = {"item": ref}
        row = {**ref, **{k: item[k] for k in ("initialPrice", "quantity", "status")}}
        put(f"order_product {item['id']}", ref, {"item": row})
        for name in (
            "quantity",
            "initialPrice",
            "discountTotal",
            "discountManualPercent",
            "vatRate",
            "productName",
            "comment",
            "summ",
        ):
            shown = {"discountManualPercent": "discount_percent"}.get(name, snake(name))
            put(f"order_product.{shown} {item['id']}", item.get(name), about)
        put(f"order_product.discount {item['id']}", item.get("discountManualAmount"), about)
        put(f"order_product.status {item['id']}", {"code": item["status"]}, about)
        if "priceType" in item:
            put(f"order_product.price_type {item['id']}", {"code": item["priceType"]}, about)

    def _journal(self, order: Order, actor: Actor, before: dict[str, tuple[Any, Json]]) -> None:
        after = self._flat(order)
        appeared = {k for k in after if k not in before and k.startswith(("order_product ", "payments "))}
        vanished = {k for k in before if k not in after and k.startswith(("order_product ", "payments "))}
        whole = {key.partition(" ")[2] for key in appeared | vanished}
        for key in sorted({*before, *after}):
            old, old_more = before.get(key, (None, {}))
            new, new_more = after.get(key, (None, {}))
            name, _space, number_ = key.partition(" ")
            if old == new or ("." in name and number_ in whole):
                continue
            if name in ("order_product", "payments") and old is not None and new is not None:
                continue
            self._note(order, actor, name, old, new, more=new_more or old_more)

    def _note(
        self, order: Order, actor: Actor, name: str, old: Any, new: Any, *, created: bool = False, deleted: bool = False,
        more: Json | None = None,
    ) -> None:  # fmt: skip
        self.account.journals["orders"].add(
            at=self.account.now(),
            entity=order.id,
            source=actor.source,
            user=actor.user,
            key=actor.key,
            field=name,
            old=old,
            new=new,
            subject=self.account.dumps(self.shown(order)) if created else self.brief(order),
            more=more or {},
            created=created,
            deleted=deleted,
        )


def _flat_payment(put: Any, payment: Json) -> None:
    ref = without_nulls({"id": payment["id"], "type": payment["type"]})
    about = {"payment": without_nulls({**ref, "externalId": payment.get("externalId")})}
    put(f"payments {payment['id']}", ref, {"payment": payment})
    for name in ("amount", "paidAt", "externalId", "comment"):
        put(f"payments.{snake(name)} {payment['id']}", payment.get(name), about)
    for name in ("status", "type"):
        put(f"payments.{name} {payment['id']}", {"code": payment[name]} if payment.get(name) else None, about)


def _matching(free: list[Json], row: Json, offer: Offer | None) -> Json | None:
    if row.get("id") not in (None, ""):
        return next((item for item in free if str(item["id"]) == str(row["id"])), None)
    wanted = {(str(p.get("code")), str(p.get("value"))) for p in row.get("externalIds") or [] if isinstance(p, dict)}
    if wanted:
        for item in free:
            if wanted & {(p["code"], p["value"]) for p in item.get("externalIds", [])}:
                return item
    if offer:
        same = [item for item in free if item.get("offer") is offer]
        if len(same) == 1:
            return same[0]
    return None


def _prices(total: Decimal, quantity: Decimal) -> list[Json]:
    """Prices after discounts, split by quantity so that they add up: 10.00 for 3 is 2 × 3.33 and 1 × 3.34."""
    if not quantity:
        return []
    price = cents(total / quantity) if total % quantity == 0 else (total / quantity).quantize(Decimal("0.01"), ROUND_DOWN)
    rest = total - price * quantity
    if not rest:
        return [{"price": price, "quantity": quantity}]
    more = rest * HUNDRED
    if quantity == quantity.to_integral_value() and more < quantity:
        return [{"price": price, "quantity": quantity - more}, {"price": price + Decimal("0.01"), "quantity": more}]
    return [{"price": cents(total / quantity), "quantity": quantity}]


def _tidy(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.000001")).normalize()


def _rows(value: Any) -> list[Json]:
    rows = value.values() if isinstance(value, dict) else value or []
    return [row for row in rows if isinstance(row, dict)]


def _without(data: Json, name: str) -> Json:
    return {k: v for k, v in data.items() if k != name}
