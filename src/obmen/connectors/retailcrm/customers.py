"""Customers that changed in the CRM without an order: the stream ``customers-in``. Companies come with their orders."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, tzinfo

from obmen.connectors.retailcrm import convert
from obmen.connectors.retailcrm.ahead import Ahead
from obmen.connectors.retailcrm.api import CHUNK, PAGE, Crm, Json, listed
from obmen.connectors.retailcrm.orders import DEPTH, Journal, bookmark_from, bookmark_words, by_id, receiving
from obmen.connectors.retailcrm.settings import CUSTOMERS_IN
from obmen.core.contract import BadDocument, BadRecord, Bookmark, Item, Known, Page
from obmen.core.records import Kind, Record, digest
from obmen.core.words import gettext_noop as _

NO_SUCH_CUSTOMER = _("There is no customer with the id {id} in the CRM: it is the number in the address of the card")


class CustomersIn:
    stream = CUSTOMERS_IN
    kinds: Collection[Kind] = (Kind.COUNTERPARTY,)

    def __init__(self, crm: Crm) -> None:
        self.crm, self.s = crm, crm.s
        self.rules = receiving(crm)
        self.journal = Journal(crm, "/api/v5/customers/history", "customer")

    def pages(self, since: Bookmark | None, known: Known) -> Iterator[Page]:
        zone = self.crm.zone
        if since is None or not (since.get("since_id") or since.get("from")):
            since = {"from": self.journal.now().isoformat()}
            yield Page(Kind.COUNTERPARTY, (), since)
        with Ahead(self._fetched(since, zone), DEPTH) as ahead:
            yield from ahead

    def _fetched(self, since: Bookmark, zone: tzinfo) -> Iterator[Page]:
        """Deleted customers stay in the books: their orders are there."""
        done = 0
        for window in self.journal.windows(since, zone):
            done += window.entries
            ids = list(window.ids)
            chunks = [ids[at : at + CHUNK] for at in range(0, len(ids), CHUNK)] or [[]]
            for n, chunk in enumerate(chunks, 1):
                bookmark = by_id(window) if n == len(chunks) else None
                items = [self._item(card) for card in self._cards(chunk)]
                yield Page(Kind.COUNTERPARTY, items, bookmark, done=done, total=done + window.left)

    def _cards(self, ids: Sequence[int]) -> list[Json]:
        if not ids:  # without ids it would be a question for all of them
            return []
        found = self.crm.get("/api/v5/customers", filter={"ids": list(ids)}, limit=PAGE)
        return [card for card in listed(found.get("customers")) if isinstance(card, dict) and card.get("id") in ids]

    def _item(self, card: Json) -> Item:
        used = convert.used({"customer": {**card, "type": "customer"}, "delivery": {"address": card.get("address")}}, self.s)
        party = convert.party(used)
        return Item(f"customer:{card['id']}", party, digest([self.rules.fingerprint.hex(), party]))

    def pages_of(self, ids: Sequence[str], known: Known) -> Iterator[Page]:
        numbers = [said.removeprefix("customer:") for said in ids]
        for at in range(0, len(numbers), CHUNK):
            chunk = numbers[at : at + CHUNK]
            cards = {str(card["id"]): card for card in self._cards([int(n) for n in chunk if n.isdigit()])}
            for number in chunk:
                if number not in cards:
                    raise BadDocument(NO_SUCH_CUSTOMER, id=number)
            yield Page(Kind.COUNTERPARTY, [self._item(card) for card in cards.values()], anyway=True)

    def bookmark_words(self, bookmark: Bookmark | None) -> str:
        return bookmark_words(bookmark)

    def bookmark_from(self, words: str, moment: datetime | None) -> Bookmark:
        return bookmark_from(lambda: self.journal, words, moment)

    def parse(self, kind: Kind, items: Sequence[Item]) -> Sequence[Record | BadRecord | None]:
        return [self._one(item) for item in items]

    def _one(self, item: Item) -> Record | BadRecord:
        return convert.counterparty(convert.payload(item.payload), self.s) or BadRecord(convert.NOT_A_CUSTOMER)

    def locate(self, item: Item) -> str:
        return f"{self.s.address}/customers/{convert.payload(item.payload).get('customer', {}).get('id', item.external_id)}"
