"""Customers: persons and companies, their addresses, contacts and legal entities, and the journals of both."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from obmen.sandbox.retailcrm.state import CODE, Account, Actor, Json, Reader, Refused, cents, not_found, php_map, without_nulls

PERSON, CORPORATE = "customer", "customer_corporate"

_SCALARS = {
    "externalId": "text",
    "firstName": "text",
    "lastName": "text",
    "patronymic": "text",
    "email": "text",
    "sex": "text",
    "birthday": "date",
    "createdAt": "moment",
    "managerId": "user",
    "vip": "flag",
    "bad": "flag",
    "isContact": "flag",
    "personalDiscount": "number",
    "cumulativeDiscount": "number",
    "discountCardNumber": "text",
    "browserId": "text",
    "nickName": "text",
    "source": "json",
    "emailMarketingUnsubscribedAt": "moment",
}
ADDRESS = {
    **dict.fromkeys(("externalId", "name", "index", "countryIso", "region", "city", "cityType", "street", "streetType"), "text"),
    **dict.fromkeys(("building", "flat", "house", "housing", "metro", "notes", "text", "intercomCode"), "text"),
    **dict.fromkeys(("regionId", "cityId", "streetId", "floor", "block"), "int"),
}
CONTRAGENT = {
    **dict.fromkeys(("contragentType", "legalName", "legalAddress", "INN", "OKPO", "KPP", "OGRN", "OGRNIP"), "text"),
    **dict.fromkeys(("certificateNumber", "BIK", "bank", "bankAddress", "corrAccount", "bankAccount"), "text"),
    "certificateDate": "date",
}
CONTRAGENT_TYPES = ("individual", "legal-entity", "enterpreneur")  # the vendor's spelling


@lru_cache(1000)
def snake(name: str) -> str:
    """``legalName`` → ``legal_name``, ``INN`` → ``i_n_n``: how the journal spells fields."""
    return re.sub(r"(?=[A-Z])", "_", name).lower().lstrip("_")


@dataclass(slots=True, eq=False)
class Customer:
    id: int
    type: str
    site: str
    data: Json = field(default_factory=dict)
    phones: list[str] = field(default_factory=list)
    address: Json = field(default_factory=dict)
    contragent: Json = field(default_factory=dict)
    custom: Json = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    orders: int = 0
    total: Decimal = Decimal(0)
    made_by: Actor = CODE
    combined_to: int | None = None
    companies: dict[int, Json] = field(default_factory=dict)
    addresses: dict[int, Json] = field(default_factory=dict)
    contacts: dict[int, Json] = field(default_factory=dict)  # {"id", "isMain", "customer": id, "companies": {link: company}}


def digits(phone: str) -> str:
    """What makes two phones the same: the last ten digits."""
    return re.sub(r"\D", "", phone)[-10:]


class Customers:
    def __init__(self, account: Account) -> None:
        self.account = account
        self.rows: dict[int, Customer] = {}
        self._external: dict[tuple[str, str, str], int] = {}
        self._phones: dict[tuple[str, str], int] = {}
        self._emails: dict[tuple[str, str], int] = {}
        self.notes: dict[int, Json] = {}

    # --- finding ----------------------------------------------------------------------------------------------------------

    def find(self, kind: str, by: str, value: object, sites: Collection[str]) -> Customer | None:
        if by == "id":
            found = self.rows.get(int(str(value))) if str(value).isdigit() else None
            return found if found and found.type == kind and found.site in sites else None
        ids = (self._external.get((kind, site, str(value))) for site in sites)
        return next((self.rows[n] for n in ids if n is not None), None)

    def get(self, kind: str, by: str, value: object, sites: Collection[str]) -> Customer:
        found = self.find(kind, by, value, sites)
        if found is None:
            raise not_found()
        return found

    def same(self, site: str, phones: Iterable[str], email: str) -> Customer | None:
        """The person that the service takes for the same one: by phone, then by e-mail."""
        ids = [self._phones.get((site, digits(phone))) for phone in phones if digits(phone)]
        ids.append(self._emails.get((site, email.casefold())) if email else None)
        return next((self.rows[n] for n in ids if n is not None), None)

    def _index(self, customer: Customer) -> None:
        external = customer.data.get("externalId")
        if external:
            self._external[customer.type, customer.site, external] = customer.id
        if customer.type == PERSON:
            for phone in customer.phones:
                self._phones.setdefault((customer.site, digits(phone)), customer.id)
            if customer.data.get("email"):
                self._emails.setdefault((customer.site, customer.data["email"].casefold()), customer.id)

    def _unindex(self, customer: Customer) -> None:
        for index in (self._external, self._phones, self._emails):
            table: dict[Any, int] = index
            keys = {
                (customer.type, customer.site, customer.data.get("externalId")),
                *((customer.site, digits(phone)) for phone in customer.phones),
                (customer.site, customer.data.get("email", "").casefold()),
            }
            for key in keys:
                if table.get(key) == customer.id:
                    del table[key]

    # --- writing ----------------------------------------------------------------------------------------------------------

    def create(self, kind: str, site: str, data: Mapping[str, Any], actor: Actor) -> Customer:
        external = data.get("externalId")
        if external not in (None, "") and (kind, site, str(external)) in self._external:
            raise Refused(400, f"Customer with externalId={external} already exists.")
        customer = Customer(self.account.new_id("customer"), kind, site, made_by=actor)
        customer.data["createdAt"] = self.account.now()
        if kind == PERSON:
            customer.contragent["contragentType"] = "individual"
        self._read(customer, data)
        self.rows[customer.id] = customer
        if kind == CORPORATE:
            self._children(customer, data)
        self._index(customer)
        self._note(customer, actor, "id", None, customer.id, created=True)
        return customer

    def edit(self, customer: Customer, data: Mapping[str, Any], actor: Actor) -> None:
        if customer.combined_to is not None:
            raise Refused(400, "Customer is combined", combinedTo={"id": customer.combined_to})
        external = data.get("externalId")
        taken = self._external.get((customer.type, customer.site, str(external)))
        if external not in (None, "") and taken not in (None, customer.id):
            raise Refused(400, f"Customer with externalId={external} already exists.")
        before = self._flat(customer)
        self._unindex(customer)
        try:
            self._read(customer, data)
        finally:
            self._index(customer)
        self._journal(customer, actor, before)

    def _read(self, customer: Customer, data: Mapping[str, Any]) -> None:
        """All or nothing: what is wrong is found before anything changes."""
        reader = Reader(self.account)
        scalars, address, contragent = dict(customer.data), dict(customer.address), dict(customer.contragent)
        reader.fields(_SCALARS, data, scalars)
        scalars.setdefault("createdAt", self.account.now())
        if isinstance(data.get("address"), dict):
            reader.fields(ADDRESS, data["address"], address, "address.")
        if isinstance(data.get("contragent"), dict):
            reader.fields(CONTRAGENT, data["contragent"], contragent, "contragent.")
            if contragent.get("contragentType", "individual") not in CONTRAGENT_TYPES:
                reader.wrong("contragent.contragentType")
        phones = customer.phones
        if "phones" in data:
            rows = data["phones"] if isinstance(data["phones"], list) else []
            phones = [str(p.get("number") if isinstance(p, dict) else p) for p in rows]
        reader.check()
        customer.data, customer.address, customer.contragent, customer.phones = scalars, address, contragent, phones
        if address and "id" not in address:
            address["id"] = self.account.new_id("address")
        if isinstance(data.get("customFields"), dict):
            customer.custom = without_nulls({**customer.custom, **data["customFields"]})
        tags = [t.get("name") if isinstance(t, dict) else t for t in data.get("addTags") or data.get("tags") or []]
        gone = {t.get("name") if isinstance(t, dict) else t for t in data.get("removeTags") or []}
        customer.tags = [t for t in dict.fromkeys([*customer.tags, *map(str, tags)]) if t not in gone]

    def _children(self, customer: Customer, data: Mapping[str, Any]) -> None:
        for kind, name in (("addresses", "address"), ("companies", "company"), ("customerContacts", "contact")):
            for row in data.get(kind) or []:
                self.add_child(customer, name, row.get("company", row) if name == "company" else row, None)

    def fix_external_ids(self, kind: str, rows: Iterable[Mapping[str, Any]], sites: Collection[str], actor: Actor) -> None:
        for row in rows:
            customer = self.get(kind, "id", row.get("id"), sites)
            self.edit(customer, {"externalId": row.get("externalId")}, actor)

    def combine(
        self, kind: str, customers: Iterable[int], result: int, sites: Collection[str], actor: Actor
    ) -> list[tuple[int, int]]:
        """The others go away into the result. Returns (old id, new id) of each: their orders have to move."""
        target = self.get(kind, "id", result, sites)
        moved = []
        for number in customers:
            other = self.get(kind, "id", number, sites)
            if other is target:
                continue
            self._unindex(other)
            other.combined_to = target.id
            for phone in other.phones:
                if digits(phone) not in map(digits, target.phones):
                    target.phones.append(phone)
            self._note(other, actor, "id", other.id, None, deleted=True, more={"combinedTo": self.brief(target)})
            del self.rows[other.id]
            moved.append((other.id, target.id))
        self._index(target)
        return moved

    def delete(self, customer: Customer, actor: Actor) -> None:
        self._unindex(customer)
        del self.rows[customer.id]
        self._note(customer, actor, "id", customer.id, None, deleted=True)

    def count(self, number: int, orders: int, total: Decimal) -> None:
        """An order of this customer appeared, went away, or changed its sum."""
        customer = self.rows.get(number)
        if customer is not None:
            customer.orders += orders
            customer.total += total

    # --- parts of a company -----------------------------------------------------------------------------------------------

    def child(self, customer: Customer, kind: str, by: str, value: object) -> Json:
        rows = self._parts(customer, kind)
        if kind == "contact":  # addressed by the person's id
            people = {row["customer"]: row for row in rows.values()}
            person = self.find(PERSON, by, value, self.account.references["sites"])
            found = people.get(person.id) if person else None
        elif by == "id":
            found = rows.get(int(str(value))) if str(value).isdigit() else None
        else:
            found = next((row for row in rows.values() if row.get("externalId") == str(value)), None)
        if found is None:
            raise not_found()
        return found

    def _parts(self, customer: Customer, kind: str) -> dict[int, Json]:
        return {"address": customer.addresses, "company": customer.companies, "contact": customer.contacts}[kind]

    def add_child(self, customer: Customer, kind: str, data: Mapping[str, Any], actor: Actor | None) -> Json:
        """A new address, company or contact. ``actor`` None: it comes with a new customer and is no change of its own."""
        rows = self._parts(customer, kind)
        row: Json = {"id": self.account.new_id(kind), "isMain": not rows}
        if kind == "company":
            row |= {
                "active": True,
                "createdAt": self.account.now(),
                "contragent": {"contragentType": "legal-entity"},
                "customFields": {},
            }
        self._read_child(customer, kind, row, data)
        rows[row["id"]] = row
        self._settle_main(rows, row)
        if actor:
            self._note_child(customer, kind, row, actor)
        return row

    def edit_child(self, customer: Customer, kind: str, row: Json, data: Mapping[str, Any], actor: Actor) -> None:
        was_main = row["isMain"]
        self._read_child(customer, kind, row, data)
        self._settle_main(self._parts(customer, kind), row)
        if row["isMain"] and not was_main:
            self._note(customer, actor, "main_" + kind, None, self._child_ref(kind, row))

    def _settle_main(self, rows: dict[int, Json], row: Json) -> None:
        if row["isMain"]:
            for other in rows.values():
                other["isMain"] = other is row

    def _read_child(self, customer: Customer, kind: str, row: Json, data: Mapping[str, Any]) -> None:
        reader = Reader(self.account)
        read = dict(row)
        if kind == "contact":
            person = data.get("customer") or {}
            by = "id" if "id" in person else "externalId"
            if person or "customer" not in row:
                sites = [person["site"]] if "site" in person else self.account.references["sites"]
                found = self.find(PERSON, by, person.get(by), sites)
                if found is None:
                    raise Refused(400, "Errors in the entity format", {"customer": "This value is not valid."})
                read["customer"] = found.id
            if "companies" in data or "companies" not in row:
                chosen = [self.child(customer, "company", *_which(c.get("company") or {})) for c in data.get("companies") or []]
                read["companies"] = {self.account.new_id("contact_company"): company["id"] for company in chosen}
        elif kind == "address":
            reader.fields(ADDRESS, data, read)
        else:
            reader.fields(
                {"externalId": "text", "name": "text", "brand": "text", "active": "flag", "createdAt": "moment"}, data, read
            )
            if isinstance(data.get("contragent"), dict):
                read["contragent"] = dict(read["contragent"])
                reader.fields(CONTRAGENT, data["contragent"], read["contragent"], "contragent.")
            if isinstance(data.get("customFields"), dict):
                read["customFields"] = without_nulls({**read["customFields"], **data["customFields"]})
            if isinstance(data.get("address"), dict):
                address = dict(read.get("address") or {"id": self.account.new_id("address")})
                reader.fields(ADDRESS, data["address"], address, "address.")
                read["address"] = address
            if not read.get("name"):
                reader.wrong("name", "This value should not be blank.")
        if "isMain" in data:
            read["isMain"] = bool(data["isMain"]) or row["isMain"]
        reader.check()
        row.clear()
        row.update(read)

    # --- showing ----------------------------------------------------------------------------------------------------------

    def shown(self, customer: Customer) -> Json:
        """The whole card."""
        data = customer.data
        fields = self.account.settings
        average = cents(customer.total / customer.orders) if customer.orders else Decimal(0)
        card: Json = {
            "type": customer.type,
            "id": customer.id,
            "vip": False,
            "bad": False,
            "site": customer.site,
            "tags": [{"name": tag, "color": "#3e89b6", "attached": False} for tag in customer.tags],
            "marginSumm": customer.total,
            "totalSumm": customer.total,
            "averageSumm": average,
            "ordersCount": customer.orders,
            "costSumm": 0,
            "customFields": [] if fields.custom_fields_as_list else php_map(customer.custom),
            "personalDiscount": 0,
            "segments": [],
            **data,
        }
        if customer.type == PERSON:
            card = {"isContact": False, "cumulativeDiscount": 0, **card, "contragent": customer.contragent}
            card["phones"] = [{"number": phone} for phone in customer.phones]
            if customer.address:
                card["address"] = customer.address
            if data.get("sex"):
                card["presumableSex"] = data["sex"]
            return card
        for kind, name in (("address", "mainAddress"), ("company", "mainCompany"), ("contact", "mainCustomerContact")):
            main = next((row for row in self._parts(customer, kind).values() if row["isMain"]), None)
            if main is not None:
                card[name] = self._contact_ref(customer, main) if kind == "contact" else self._child_ref(kind, main)
        return card

    def brief(self, customer: Customer) -> Json:
        return without_nulls({"id": customer.id, "externalId": customer.data.get("externalId"), "site": customer.site})

    def shown_child(self, customer: Customer, kind: str, row: Json) -> Json:
        if kind == "address":
            return row
        owner = self.brief(customer)
        if kind == "contact":
            person = self.rows[row["customer"]]
            links = [{"id": n, "company": self._child_ref("company", customer.companies[c])} for n, c in row["companies"].items()]
            return {"isMain": row["isMain"], "id": row["id"], "customer": self.brief(person), "companies": links}
        sums = {"marginSumm": 0, "totalSumm": 0, "averageSumm": 0, "ordersCount": 0, "costSumm": 0}
        return {**row, **sums, "customer": {**owner, "type": customer.type}, "customFields": php_map(row["customFields"])}

    def _child_ref(self, kind: str, row: Json) -> Json:
        if kind == "contact":
            return {"id": row["id"]}
        return without_nulls({"id": row["id"], "externalId": row.get("externalId"), "name": row.get("name")})

    def _contact_ref(self, customer: Customer, row: Json) -> Json:
        links = [{"id": n, "company": self._child_ref("company", customer.companies[c])} for n, c in row["companies"].items()]
        person = self.rows.get(row["customer"])
        return {"id": row["id"], "customer": {"id": person.id} if person else {}, "companies": links}

    # --- journal ----------------------------------------------------------------------------------------------------------

    def _flat(self, customer: Customer) -> dict[str, Any]:
        flat: dict[str, Any] = {snake(k): v for k, v in customer.data.items() if k not in ("managerId", "source")}
        if "managerId" in customer.data:
            flat["manager"] = {"id": customer.data["managerId"]}
        flat |= {"address." + snake(k): v for k, v in customer.address.items() if k != "id"}
        flat |= {"contragent." + snake(k): v for k, v in customer.contragent.items()}
        flat |= {"custom_" + k: v for k, v in customer.custom.items()}
        return flat | {f"phones {phone}": phone for phone in customer.phones}

    def _journal(self, customer: Customer, actor: Actor, before: dict[str, Any]) -> None:
        after = self._flat(customer)
        for name in sorted({*before, *after}):
            old, new = before.get(name), after.get(name)
            if old != new:
                address = {"address": {"id": customer.address["id"], "isMain": True}} if name.startswith("address.") else {}
                self._note(customer, actor, name.partition(" ")[0], old, new, more=address)

    def _note_child(self, customer: Customer, kind: str, row: Json, actor: Actor) -> None:
        ref = self._child_ref(kind, row)
        shown = self.shown_child(customer, kind, row)
        more = {"address": {"address": shown}, "company": {"company": shown}, "contact": {"customerContact": ref}}[kind]
        self._note(customer, actor, kind, None, ref, more=more)
        if row["isMain"]:
            self._note(customer, actor, "main_" + kind, None, ref)
        for link, company in row.get("companies", {}).items():
            about = {"company": self._child_ref("company", customer.companies[company]), "customerContact": ref}
            value = {"id": link, "customer_contact": ref}
            self._note(customer, actor, "contact.contact_company", None, value, more=about)

    def _note(
        self, customer: Customer, actor: Actor, name: str, old: Any, new: Any, *, created: bool = False, deleted: bool = False,
        more: Json | None = None,
    ) -> None:  # fmt: skip
        subject: Any = {**self.brief(customer), "type": customer.type} if deleted else self.brief(customer)
        self.account.journals["customers" if customer.type == PERSON else "customers-corporate"].add(
            at=self.account.now(),
            entity=customer.id,
            source=actor.source,
            user=actor.user,
            key=actor.key,
            field=name,
            old=old,
            new=new,
            subject=self.account.dumps(self.shown(customer)) if created else subject,
            more=more or {},
            created=created,
            deleted=deleted,
        )


def _which(ref: Mapping[str, Any]) -> tuple[str, Any]:
    return ("id", ref["id"]) if "id" in ref else ("externalId", ref.get("externalId"))
