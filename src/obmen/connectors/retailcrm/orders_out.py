"""The sink of the stream ``orders-out``: edits of orders that came from the CRM, and orders that were made here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from obmen.connectors.retailcrm import convert, outgoing
from obmen.connectors.retailcrm.api import CHUNK, PAGE, Crm, Json, NotFound, Refused, listed, mapping
from obmen.connectors.retailcrm.orders import item_of, receiving
from obmen.connectors.retailcrm.settings import ORDERS_OUT
from obmen.core.contract import BadRecord, Change, Links, MissingLink, Outcome
from obmen.core.names import Names
from obmen.core.records import Counterparty, Kind, Order
from obmen.core.words import gettext_noop as _

TWICE = "already in this order"
EXISTS = "already exists"

GONE = _("Order {number} is no longer in the CRM: the change is not sent")
SUMS_DIFFER = _("Order {number}: the CRM makes {total} of it, here it is {ours}. Look at discounts over there")
NOT_IN_CRM = _("Order {number}: the CRM does not know “{name}”, its line there has only a name. Load the catalogue in the CRM")
FOLDED = _("Order {number}: lines of the same goods were joined, the CRM does not allow one in several lines")
SAME_PERSON_TWICE = _("Order {number}: {count} customers of the CRM have this e-mail or phone: join them there, then try again")
NOT_LOADED = _("The CRM did not take the order: {reason}")


class OrdersOut:
    stream = ORDERS_OUT
    kind = Kind.ORDER
    batch = CHUNK
    creates = True
    compares = True

    def __init__(self, crm: Crm) -> None:
        self.crm, self.s, self.hub = crm, crm.s, crm.hub
        self.rules = receiving(crm)
        self.names = Names(crm.hub)

    @property
    def writer(self) -> outgoing.Writer:
        return outgoing.Writer(self.s, self.hub, self.crm.zone, self.names)

    def external_id(self, record: Any) -> str | None:
        return None

    def render(self, record_id: int, record: Any, links: Links) -> Json | None:
        theirs = links.their_copy(Kind.ORDER, record_id)
        if theirs is not None:
            return self.writer.edit(record, theirs)
        try:
            links.external_id(Kind.ORDER, record_id)
        except MissingLink:
            return self._made_here(record, links)
        return None  # linked, but they have never said it whole: their next word will be the first to compare with

    def _made_here(self, order: Order, links: Links) -> Json | None:
        if not self.writer.wanted(order):
            return None
        payload = self.writer.create(order)
        if order.counterparty is not None:
            try:
                links.record_id(Kind.COUNTERPARTY, order.counterparty.key)
            except MissingLink:
                return payload
            payload["known_buyer"] = order.counterparty.key
        return payload

    def write(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        fresh = [c for c in changes if c.external_id is None]
        if self.s.archive and len(fresh) > 1:
            yield from self._upload(fresh)
        else:
            for change in fresh:
                yield self._outcome(change, lambda change=change: self._create(change))
        for change in changes:
            if change.external_id is not None:
                yield self._outcome(change, lambda change=change: self._edit(change))

    def _outcome(self, change: Change, write: Any) -> Outcome:
        """A refusal concerns this order alone."""
        try:
            outcome: Outcome = write()
        except BadRecord as error:
            return Outcome(change.key, error=error)
        return outcome

    # --- edits ---

    def _edit(self, change: Change) -> Outcome:
        payload, number = change.payload, change.external_id
        fields: Json = dict(payload["edit"])
        try:
            if payload["cancel"] or "items" in fields:
                fields = self._with_their_lines(fields, str(number), payload["cancel"])
            answer = self._post_edit(str(number), fields, payload["number"])
        except NotFound:
            raise BadRecord(GONE, number=payload["number"]) from None
        return self._done(change, answer, payload)

    def _post_edit(self, number: str, fields: Json, said: str) -> Json:
        """The order as it is afterwards."""
        path = f"/api/v5/orders/{number}/edit"
        try:
            data = self.crm.post(path, safe=True, by="id", site=self.crm.site, order=fields)
        except Refused as error:
            if not error.says(TWICE) or "items" not in fields:
                raise
            joined = outgoing.folded(fields["items"])
            if len(joined) == len(fields["items"]):
                raise
            self.hub.report("warning", FOLDED, number=said)
            data = self.crm.post(path, safe=True, by="id", site=self.crm.site, order=fields | {"items": joined})
        return mapping(data.get("order"))

    def _with_their_lines(self, fields: Json, number: str, cancel: bool) -> Json:
        """A list of lines is the whole list: lines that are cancelled over there, which the books do not keep, stay in it. What
        is cancelled and comes again is new again; cancelling fails every line."""
        lines = [i for i in listed(self._one(number).get("items")) if isinstance(i, dict) and i.get("id")]
        if cancel:
            return fields | {"items": [{"id": line["id"], "status": outgoing.FAILURE} for line in lines]}
        off = {line["id"] for line in lines if line.get("isCanceled")}
        here = {line["id"] for line in lines}
        items = []
        for item in fields["items"]:
            if item.get("id") in off:
                item = item | {"status": outgoing.NEW}
            if "id" in item and item["id"] not in here:
                item = {name: value for name, value in item.items() if name != "id"}
            items.append(item)
        sent = {item.get("id") for item in items}
        return fields | {"items": [*items, *({"id": line} for line in sorted(off) if line not in sent)]}

    def _one(self, number: str) -> Json:
        return mapping(self.crm.get(f"/api/v5/orders/{number}", by="id").get("order"))

    def _done(self, change: Change, answer: Json, payload: Json) -> Outcome:
        """What they have now. When somebody else has changed the order since their last word, nothing is said of it here: it
        comes by the history, and is compared with the word that the books still have."""
        raw = convert.used(answer, self.s)
        goods = convert.look_up([raw], self.s, self.hub)
        order = convert.order(raw, self.s, self.hub, self.crm.zone, goods, self.names, written=True)
        number = str(raw.get("id") or change.external_id)
        if not isinstance(order, Order):
            return Outcome(change.key, number)
        self._look(raw, order, payload)
        if not outgoing.untouched(payload.get("known", {}), order):
            return Outcome(change.key, number)
        return Outcome(change.key, number, seen=item_of(raw, self.rules).digest, copy=order)

    def _look(self, raw: Json, order: Order, payload: Json) -> None:
        items = mapping(payload.get("edit") or payload.get("create")).get("items")
        if not items:
            return
        if payload["total"] and order.total != convert.number(payload["total"]) and not order.cancelled:
            self.hub.report("warning", SUMS_DIFFER, number=payload["number"], total=str(order.total), ours=payload["total"])
        asked = {item["productName"] for item in items if item.get("offer")}
        for item in raw["items"]:
            if item.get("productName") in asked and not (item["offer"].get("externalId") or item["offer"].get("xmlId")):
                self.hub.report("warning", NOT_IN_CRM, number=payload["number"], name=item["productName"])

    # --- orders that were made here ---

    def _create(self, change: Change) -> Outcome:
        payload = change.payload
        if change.unsure and (found := self._by_our_key(payload)):
            return self._done(change, self._again(found, payload), payload)
        fields = self._with_buyer(payload)
        try:
            answer = self._post_create(fields, payload["number"])
        except Refused as error:
            found = self._by_our_key(payload) if error.says(EXISTS) else None
            if found is None:
                raise
            answer = self._again(found, payload)
        return self._done(change, answer, payload)

    def _again(self, found: Json, payload: Json) -> Json:
        """An order whose answer got lost has been made as it was then; here it may have been changed since."""
        fields = {n: v for n, v in payload["create"].items() if n not in ("externalId", "number", "createdAt")}
        return self._post_edit(str(found["id"]), fields, payload["number"])

    def _post_create(self, fields: Json, said: str) -> Json:
        try:
            data = self.crm.post("/api/v5/orders/create", safe=False, site=self.crm.site, order=fields)
        except Refused as error:
            joined = outgoing.folded(fields["items"])
            if not error.says(TWICE) or len(joined) == len(fields["items"]):
                raise
            self.hub.report("warning", FOLDED, number=said)
            data = self.crm.post("/api/v5/orders/create", safe=False, site=self.crm.site, order=fields | {"items": joined})
        return mapping(data.get("order")) or self._one(str(data["id"]))

    def _by_our_key(self, payload: Json) -> Json | None:
        return self._by_our_keys([payload["create"]["externalId"]]).get(payload["create"]["externalId"])

    def _by_our_keys(self, external: Sequence[str]) -> Mapping[str, Json]:
        """Orders that carry our keys."""
        sites = [self.crm.site] if self.crm.site else None
        data = self.crm.get("/api/v5/orders", filter={"externalIds": list(external), "sites": sites}, limit=PAGE)
        return {str(o["externalId"]): o for o in listed(data.get("orders")) if o.get("externalId") in external}

    def _upload(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        """As an archive. What the CRM has already is linked, what it refuses is told, the rest of the call is taken."""
        waiting = {c.payload["create"]["externalId"]: c for c in changes}
        unsure = [external for external, c in waiting.items() if c.unsure]
        for external, found in self._by_our_keys(unsure).items() if unsure else ():
            yield self._known(waiting.pop(external), found)
        rows: list[Json] = []
        for external, change in list(waiting.items()):
            try:
                rows.append(self._with_buyer(change.payload))
            except BadRecord as error:
                yield Outcome(waiting.pop(external).key, error=error)
        if not rows:
            return
        data = self.crm.post("/api/v5/orders/upload", safe=False, partly=True, site=self.crm.site, orders=rows)
        failed = [str(mapping(row).get("externalId") or "") for row in listed(data.get("failedOrders"))]
        errors = [str(error) for error in listed(data.get("errors"))]
        have = self._by_our_keys(list(waiting))  # also what an earlier call had loaded: it is linked
        for external, change in waiting.items():
            if external in have and external in failed:
                yield self._known(change, have[external])
            elif external in have:
                yield self._done(change, have[external], change.payload)
            else:
                place = failed.index(external) if external in failed else -1
                own = errors[place] if len(errors) == len(failed) and place >= 0 else "; ".join(errors)
                yield Outcome(change.key, error=BadRecord(NOT_LOADED, reason=own or str(data.get("errorMsg") or "")))

    def _known(self, change: Change, found: Json) -> Outcome:
        """Of an archive, what an earlier call had made: as it is now, for it may have been changed here since."""
        return self._outcome(change, lambda: self._done(change, self._again(found, change.payload), change.payload))

    # --- their customers ---

    def _with_buyer(self, payload: Json) -> Json:
        fields: Json = payload["create"]
        if payload["buyer"] is None:
            return fields
        buyer = msgspec.convert(payload["buyer"], Counterparty, strict=False)
        kind, _colon, number = str(payload.get("known_buyer") or "").partition(":")
        if kind == "customer" and number:
            return fields | {"customer": {"id": int(number)}}
        if buyer.kind != "person" and self.s.corporate:
            return fields | self._company(buyer)
        return fields | {"customer": {"id": self._person(buyer, payload["number"])}}

    def _person(self, buyer: Counterparty, number: str) -> int:
        """Found by our key, then by e-mail or phone, else made."""
        external = convert.OWN + buyer.key
        for card in self._cards("customers", {"externalIds": [external]}):
            return int(card["id"])
        asked: list[Json] = [{"email": buyer.email}] if buyer.email else []
        asked += [{"name": convert.phone(buyer.phone)[-10:]}] if convert.phone(buyer.phone) else []
        for question in asked:
            same = {int(c["id"]) for c in self._cards("customers", question) if outgoing.same_person(c, buyer)}
            if len(same) > 1:
                raise BadRecord(SAME_PERSON_TWICE, number=number, count=len(same))
            if same:
                return same.pop()
        said = outgoing.person(buyer)
        made: Json = {name: value for name, value in said.items() if value and name != "phone"} | {"externalId": external}
        if buyer.phone:
            made["phones"] = [{"number": buyer.phone}]
        if buyer.address and buyer.address.text:
            made["address"] = {"text": buyer.address.text}
        return int(self.crm.post("/api/v5/customers/create", safe=False, site=self.crm.site, customer=made)["id"])

    def _company(self, buyer: Counterparty) -> Json:
        """A corporate customer with this legal entity: found by our key or tax number, else made."""
        external = convert.OWN + buyer.key
        questions: list[Json] = [{"externalIds": [external]}, *([{"contragentInn": buyer.inn}] if buyer.inn else [])]
        owner = next((card for question in questions for card in self._cards("customers-corporate", question)), None)
        company: Json = {
            "name": buyer.name or buyer.full_name,
            "externalId": external,
            "contragent": {name: value for name, value in outgoing.contragent(buyer).items() if value},
        }
        if owner is None:
            new = {"nickName": buyer.name or buyer.full_name, "externalId": external, "companies": [company]}
            made = self.crm.post("/api/v5/customers-corporate/create", safe=False, site=self.crm.site, customerCorporate=new)
            owner = {"id": made["id"]}
        path = f"/api/v5/customers-corporate/{owner['id']}/companies"
        parts = listed(self.crm.get(path, by="id", limit=PAGE).get("companies"))
        fitting = (
            row
            for row in parts
            if row.get("externalId") == external or (buyer.inn and mapping(row.get("contragent")).get("INN") == buyer.inn)
        )
        found = next(fitting, None) or self.crm.post(f"{path}/create", safe=False, by="id", site=self.crm.site, company=company)
        return {"customer": {"type": convert.CORPORATE, "id": owner["id"]}, "company": {"id": found["id"]}}

    def _cards(self, kind: str, question: Json) -> list[Json]:
        sites = [self.crm.site] if self.crm.site else None
        key = "customersCorporate" if kind == "customers-corporate" else "customers"
        return listed(self.crm.get(f"/api/v5/{kind}", filter=question | {"sites": sites}, limit=PAGE).get(key))
