"""Their cards: the source of the stream ``products-in`` (seed 000, F14, F15, F26, F31).

A card is linked to the offer of the books that it is: by the link that is there, by the attribute in which the accounting system
keeps the site ID, by our own id that the price list gave it, by the match rules (core.contract.Listings; store/cards.py finds).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from obmen.core.contract import BadDocument, BadRecord, Bookmark, Item, Known, NeedsOwner, Page, Receiving
from obmen.core.records import Kind, Offer, Price, Product, Record, Stock, digest
from obmen.core.words import gettext_noop as _
from obmen.market.api import Card, Market
from obmen.market.drafts import ODD
from obmen.market.streams import PRODUCTS_IN

WHOLE_EVERY = timedelta(days=1)  # between two readings of all cards, where they can tell what changed
PAGE = 100  # cards asked for one by one
LOOKED_FOR = 500  # cards that no list showed, looked for one by one in a run: their lists are not to be trusted
FEW = 3  # so many may be gone at once whatever share of all they are
EXAMPLES = 3

BAD_CARD = _("A card cannot be read: {reason}. Load the cards again; if that does not help, report it with the card")
NO_ID = _("The card “{name}” has no id over there: it cannot be linked yet")
NO_CARD = _("There is no card {id} at {title}: look up its id there")
UNLINKED = _(
    "{count} of {total} cards are linked to no goods of the books, such as {examples}: look at what is set aside, and at the match rules"
)
GONE = _("The card {id} is gone over there: nothing is sent to it any more")
TOO_MANY_GONE = _(
    "{gone} of {linked} linked cards would be gone at {title}, and nothing would be sent to them any more. If that is right, raise the limit "
    "on the tab “Products”"
)
NOT_ON_SALE = _("{count} cards are not on sale there, such as {examples}")
MORE_MISSING = _(
    "{count} linked cards were not in the list of {title}; {looked} of them were looked for, the others are at the next run"
)
NOT_A_MOMENT = _("Cards cannot be read from a moment on: leave both fields empty to read all of them again")


class CardsIn:
    stream = PRODUCTS_IN
    kinds: Collection[Kind] = (Kind.OFFER,)

    def __init__(self, market: Market) -> None:
        self.market = market
        self.s, self.hub = market.s, market.hub
        s = self.s
        self.rules = Receiving(listings=s.listings)
        self._about = digest([s.site_id, s.offer_id, s.unknown_cards]).hex()

    # --- reading ---

    def pages(self, since: Bookmark | None, known: Known) -> Iterator[Page]:
        """``since``: {"market": their bookmark, "whole": when all cards were read last, "going": a reading of all is broken off,
        "about": settings by which cards find goods}."""
        note = dict(since or {})
        if note.get("about") != self._about:
            note = {"about": self._about}
        begun = self.hub.now()
        resumed = bool(note.get("going") and note.get("market"))
        last = note.get("whole")
        due = not last or begun - datetime.fromisoformat(last) >= WHOLE_EVERY
        whole = resumed or due or not note.get("market")
        start = note.get("market") if resumed or not whole else None
        linked = set(known.linked(Kind.OFFER))
        met: dict[str, str] = {}
        trouble: list[str] = []
        bookmark = start
        for page in self.market.cards(start):
            items = []
            for card in page.cards:
                if card.gone and card.id not in linked:
                    continue
                if card.gone:
                    self.hub.report("warning", GONE, id=card.id)
                    linked.discard(card.id)
                else:
                    met[card.id] = card.name
                    if card.problem:
                        trouble.append(f"{card.name or card.id}: {card.problem}")
                items.append(self.item(card))
            bookmark = page.bookmark
            going = {"about": self._about, "market": bookmark, "whole": last, "going": whole}
            yield Page(Kind.OFFER, items, going if bookmark else None, done=page.done, total=page.total)
        if whole and not resumed:
            yield from self._missing(sorted(linked - met.keys()), met, len(linked))
        self._tell(met, trouble, known)
        yield Page(
            Kind.OFFER,
            (),
            {"about": self._about, "market": bookmark, "whole": begun.isoformat() if whole else last, "going": False},
        )

    def _missing(self, ids: Sequence[str], met: dict[str, str], linked: int) -> Iterator[Page]:
        """Linked cards that their list did not show: each is asked for before it is believed to be gone. Raises NeedsOwner, with none
        of them lost, when too many of all ``linked`` are: they may just have given an empty answer."""
        if len(ids) > LOOKED_FOR:
            self.hub.report("warning", MORE_MISSING, count=len(ids), title=self.market.title, looked=LOOKED_FOR)
        cards: list[Card] = []
        for ident in ids[:LOOKED_FOR]:
            card = self.market.card(ident)
            if card is None or card.gone:
                card = Card(ident, gone=True)
            else:
                met[ident] = card.name
            cards.append(card)
        gone = sum(card.gone for card in cards)
        gone = gone * len(ids) // max(len(cards), 1)  # of those that were not looked for as many again
        if gone > FEW and gone * 100 > self.s.may_vanish * linked:
            yield Page(Kind.OFFER, (), {"about": self._about})  # all are read again
            raise NeedsOwner(TOO_MANY_GONE, gone=gone, linked=linked, title=self.market.title)
        for at in range(0, len(cards), PAGE):
            page = cards[at : at + PAGE]
            for card in page:
                if card.gone:
                    self.hub.report("warning", GONE, id=card.id)
            yield Page(Kind.OFFER, [self.item(card) for card in page])

    def _tell(self, met: dict[str, str], trouble: Sequence[str], known: Known) -> None:
        if trouble:
            self.hub.report("info", NOT_ON_SALE, count=len(trouble), examples="; ".join(trouble[:EXAMPLES]))
        if self.hub.preview:
            return
        linked = set(known.linked(Kind.OFFER))
        alone = [f"{name} ({ident})" if name else ident for ident, name in met.items() if ident not in linked]
        if alone:
            self.hub.report("warning", UNLINKED, count=len(alone), total=len(met), examples=", ".join(alone[:EXAMPLES]))

    def pages_of(self, ids: Sequence[str], known: Known) -> Iterator[Page]:
        linked = set(known.linked(Kind.OFFER))
        for at in range(0, len(ids), PAGE):
            items = []
            for ident in ids[at : at + PAGE]:
                card = self.market.card(ident)
                if card is None and ident not in linked:
                    raise BadDocument(NO_CARD, id=ident, title=self.market.title)
                if card is None:
                    self.hub.report("warning", GONE, id=ident)
                items.append(self.item(card or Card(ident, gone=True)))
            yield Page(Kind.OFFER, items, done=min(at + PAGE, len(ids)), total=len(ids))

    def item(self, card: Card) -> Item:
        payload = msgspec.to_builtins(card)
        said = {name: value for name, value in payload.items() if value not in ("", None, [], ())}
        return Item(card.id, said, digest([self._about, said]))

    # --- the bookmark ---

    def bookmark_words(self, bookmark: Bookmark | None) -> str:
        """When all cards were read last."""
        return str((bookmark or {}).get("whole") or "")

    def bookmark_from(self, words: str, moment: datetime | None) -> Bookmark:
        """Empty: all cards are read again. What stands there may stay."""
        if moment is not None:
            raise NeedsOwner(NOT_A_MOMENT)
        try:
            whole = datetime.fromisoformat(words).isoformat() if words else None
        except ValueError:
            raise NeedsOwner(NOT_A_MOMENT) from None
        return {"whole": whole} if whole else {}

    # --- what a card becomes ---

    def parse(self, kind: Kind, items: Sequence[Item]) -> Sequence[Record | BadRecord | None]:
        return [self._offer(item.payload) for item in items]

    def _offer(self, payload: Any) -> Offer | BadRecord:
        try:
            said = msgspec.json.decode(payload) if isinstance(payload, bytes) else payload
            card = msgspec.convert(said, Card, strict=False)
        except (msgspec.MsgspecError, ValueError, TypeError) as error:
            return BadRecord(BAD_CARD, reason=str(error))
        if not card.id.strip():
            return BadRecord(NO_ID, name=card.name)
        for amount in (card.price, card.quantity):
            if amount is not None and not amount.is_finite():
                return BadRecord(BAD_CARD, reason=str(amount))
        try:
            return offer_of(card, self.s)
        except ODD as error:
            return BadRecord(BAD_CARD, reason=f"{type(error).__name__} {error}".strip())

    def locate(self, item: Item) -> str:
        return f"{self.market.title}: {item.external_id}"


def offer_of(card: Card, s: Any) -> Offer:
    """The card as a record: what it says goes into its copy (facts as requisites, ``problem`` as ``extra``), ``card`` is the product
    that is made of it when there are no goods for it, with the group and category of the settings."""
    product = Product(
        card.id,
        name=card.name or card.code or card.id,
        article=card.article or None,
        code=card.code or None,
        barcode=card.barcode or None,
        description=card.description or None,
        manufacturer=card.vendor or None,
        groups=(s.new_group,) if s.new_group else None,
        category=s.new_category or None,
        pictures=card.pictures or None,
        requisites=tuple(card.properties) or None,
    )
    return Offer(
        card.id,
        card.id,
        name=card.name or None,
        article=card.article or None,
        barcode=card.barcode or None,
        requisites=tuple(card.facts) or None,
        deleted=card.gone or None,
        prices=None if card.price is None else (Price("", Decimal(card.price), card.currency or None),),
        stock=None if card.quantity is None else (Stock("", Decimal(card.quantity)),),
        extra=card.problem,
        card=product,
        known_as=card.code,
    )
