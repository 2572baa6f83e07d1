"""What a run would change, record by record: kept for the page that shows it, and compared with again when a person has decided.

A preview is the run without its writes (design law 9). Each record that would change gets a ``RunResult`` with its fields, old and
new, and a mark: the digest of what is new. The run that follows a decision compares by the same code, so that a record goes through
only if it still says what was accepted:

- what was skipped is parked, with who skipped it, since the bookmark of a history goes on past it; it is taken when it comes again,
  or when somebody tries it again. On its way out it stays in the outbox, for the next ordinary run;
- what has changed since the preview is parked or left in the same way, with that as the reason;
- what the preview did not show (it came later, or stood behind the last record that was kept) goes as in any run.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from django.db import connection as db
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from obmen.core.contract import BadRecord, NeedsOwner
from obmen.core.engine import (
    CREATED,
    MATCHED,
    PARKED,
    SKIPPED,
    UNCHANGED,
    UPDATED,
    WOULD_WRITE,
    WRITTEN,
    Link,
    ParkedItem,
    Result,
    Said,
    Settlement,
    Skipped,
    name_of,
)
from obmen.core.records import Kind, Offer, Order, Product, digest, plain
from obmen.core.rows import JSON_COLUMNS, NewOffer, NewProduct
from obmen.core.words import gettext_noop as _
from obmen.core.words import plain_facts
from obmen.store import bulk, cards, goods, models, orders, outbox, results, taking

if TYPE_CHECKING:
    from obmen.store.adapter import DjangoStore

KEPT = 10_000  # records of one preview; the counts go on
CUT = 2_000  # characters of a text that is kept to be shown
PARTS = 80  # fields of one payload
DELETED = "deleted"  # a card that gets its mark of deletion: told apart from other changes
BOOKS, COPY, SENT = "books", "copy", "sent"  # what the old values are

WAS_SKIPPED = _("{who} skipped it in the preview (run {run}). It is taken when it comes again, or when it is tried again here")
WAS_LEFT = _("{who} skipped it in the preview (run {run}). The next ordinary run sends it")
HAS_CHANGED = _(
    "It has changed since the preview (run {run}), so that it is not what was accepted. Look at it, then try it again here"
)
CHANGED_LEFT = _(
    "It has changed since the preview (run {run}), so that it is not what was accepted. The next ordinary run sends it as it is now"
)
GONE = _("The preview that this run was decided on is no longer kept: make a new one")


@dataclass(frozen=True, slots=True)
class Would:
    """What would become of one record. ``changes`` {field: [old, new]} in plain form; {} when nothing of ours changes."""

    said: Said
    outcome: str
    changes: Mapping[str, list[Any]] = field(default_factory=dict)

    @property
    def mark(self) -> str:
        return digest({name: new for name, (_old, new) in self.changes.items()}).hex() if self.changes else ""


def compare(store: DjangoStore, settlement: Settlement) -> tuple[Counter[str], list[Would]]:
    """What ``settle`` would count of ``settlement.said``, and each of them that would be news. Writes nothing; what cannot be settled
    after all is added to ``settlement.parked``."""
    said = [s for s in settlement.said if not store.is_imagined(s.record_id)]
    counts: Counter[str] = Counter({MATCHED: len(settlement.said) - len(said)}) if len(said) < len(settlement.said) else Counter()
    if not said:
        return counts, []
    found = list(_compared(store, replace(settlement, said=said), settlement.parked))
    for would in found:
        counts[UPDATED if would.outcome == DELETED else would.outcome] += 1
    return counts, [would for would in found if would.outcome != UNCHANGED]


def _compared(store: DjangoStore, settlement: Settlement, parked: list[ParkedItem]) -> Iterator[Would]:
    kind = settlement.kind
    if cards.are_flat(kind, [s.record for s in settlement.said]):
        return _flat(settlement.said)
    if kind in (Kind.PRODUCT, Kind.OFFER, Kind.PRICES, Kind.STOCK):
        return _goods(store, settlement)
    if kind is Kind.VARIANT:
        return _variants(store, settlement)
    if kind is Kind.ORDER:
        return _orders(store, settlement, parked)
    if kind is Kind.COUNTERPARTY:
        return _counterparties(settlement)
    return _small(store, settlement.said)


def _changed(s: Said, changes: Mapping[str, list[Any]]) -> Would:
    outcome = UPDATED if changes else UNCHANGED
    if changes.get("deleted", [None, None])[1] is True:
        outcome = DELETED
    if s.link is None:
        return Would(s, MATCHED, {**changes, "their id": [None, s.item.external_id]})
    return Would(s, outcome, changes)


def _new(s: Said, values: Mapping[str, Any]) -> Would:
    return Would(s, CREATED, {name: [None, value] for name, value in values.items() if value not in (None, "", [], (), False)})


# --- goods -----------------------------------------------------------------------------------------------------------------


def _goods(store: DjangoStore, settlement: Settlement) -> Iterator[Would]:
    with db.cursor() as cursor:
        plan, _books = store._plan_goods(cursor, settlement, create_references=False)
    yield from _of_plan(plan)


def _of_plan(plan: goods.Plan) -> Iterator[Would]:
    changes = {change.id: change.differences for change in plan.changed}
    for made in plan.created:
        yield _new(made.said, _row(made.said.record))
    for ident, s in (*plan.linked, *plan.seen):
        yield _changed(s, changes.get(ident, {}))


def _row(record: Any) -> dict[str, Any]:
    """What a new card says, under the names that its later changes have."""
    row: NewProduct | NewOffer = goods.row_of(record)
    values = {n: bulk.from_json(v) if n in JSON_COLUMNS else v for n, v in row._asdict().items() if n not in ("group", "product")}
    prices, stock = values.pop("prices", None), values.pop("stock", None)
    values |= {f"price {kind}": value for kind, _least, value, _currency in prices or ()}
    return values | {f"stock {warehouse}".strip(): quantity for warehouse, quantity in stock or ()}


def _flat(said: Sequence[Said]) -> Iterator[Would]:
    """Cards of a marketplace change nothing of ours: they are linked, or made."""
    for s in said:
        about = {"name": s.record.name, "article": s.record.article, "barcode": s.record.barcode}
        if s.record_id is None:
            yield _new(s, about)
        else:
            yield _changed(s, {})


def _variants(store: DjangoStore, settlement: Settlement) -> Iterator[Would]:
    """A variant's card speaks of a product and of an offer (store/adapter.py: split_variants)."""
    from obmen.store.adapter import split_variants

    products, offers = split_variants(settlement.said)
    links = store.links_by_external(Kind.PRODUCT, [p.key for p in products])
    of_products = [_as(s, p, links.get(p.key)) for p, s in products.items()]
    known = store.links_by_external(Kind.OFFER, [o.key for o in offers])
    of_offers = [_as(s, o, known.get(o.key)) for o, s in offers.items()]
    source = {o.key: s for o, s in offers.items()}
    carries = {s.item.external_id: p.key for p, s in products.items()}
    with db.cursor() as cursor:
        groups = store.group_ids({goods.main_group(p) for p in products} - {""})
        plan = goods.compare_products(cursor, of_products, settlement.rules, groups)
        own = {would.said.item.external_id: would for would in _of_plan(plan)}
        ids = {p.key: links[p.key].record_id if p.key in links else 0 for p in products}
        offer_plan = goods.compare_offers(cursor, of_offers, settlement.rules, goods.Books(ids, {}, {}, {}), whole=False)
    for would in _of_plan(offer_plan):
        s = source[would.said.item.external_id]
        changes = dict(would.changes)
        about = own.get(carries.get(s.item.external_id, ""))
        if about is not None:
            changes |= {f"product.{name}": pair for name, pair in about.changes.items()}
        if would.outcome == UNCHANGED and changes:
            yield Would(s, UPDATED, changes)
        else:
            yield Would(s, would.outcome, changes)


def _as(s: Said, record: Product | Offer, link: Link | None) -> Said:
    item = replace(s.item, external_id=record.key)
    return Said(item, record, link, link.record_id if link else None)


# --- groups, properties, references ----------------------------------------------------------------------------------------


def _small(store: DjangoStore, said: Sequence[Said]) -> Iterator[Would]:
    for s in said:
        row, values = store.small_row(s)
        if row is None:
            yield _new(s, values)
        else:
            yield _changed(s, {n: [getattr(row, n), v] for n, v in values.items() if getattr(row, n) != v})


# --- people and orders -----------------------------------------------------------------------------------------------------


def _counterparties(settlement: Settlement) -> Iterator[Would]:
    owners = taking.owners_of(settlement.rules.fields)
    rows = models.Counterparty.objects.in_bulk([s.record_id for s in settlement.said if s.record_id is not None])
    for s in settlement.said:
        row = rows.get(s.record_id or 0)
        if row is None:
            yield _new(s, orders.counterparty_values(s.record))
        else:
            yield _changed(s, taking.card_changes(s, row, owners))


def _orders(store: DjangoStore, settlement: Settlement, parked: list[ParkedItem]) -> Iterator[Would]:
    from obmen.store.adapter import CLOSED

    closed = store._closed_orders(settlement)
    whole = [s for s in settlement.said if isinstance(s.record, Order) and s.record_id not in closed]
    looked = taking.look_at_orders(whole, store.connection, keep_ours=settlement.rules.conflict == "ours")
    for s, (before, after) in zip(whole, looked, strict=True):
        if before is None:
            yield _new(s, {name: value for name, value in plain(after).items() if name not in ("key", "known_as")})
        else:
            yield _changed(s, orders.compare(before, after))
    for s in settlement.said:
        if s.record_id in closed:
            number, state = closed[s.record_id]
            yield _refused(s, BadRecord(CLOSED, number=number, state=state), parked)
        elif not isinstance(s.record, Order):
            try:
                before, after = store.on_order.look(s.record)
            except BadRecord as error:
                yield _refused(s, error, parked)
                continue
            changes = orders.compare(before, after)
            yield Would(s, UPDATED if changes else UNCHANGED, changes)


def _refused(s: Said, error: BadRecord, parked: list[ParkedItem]) -> Would:
    parked.append(ParkedItem(s.item.external_id, s.item.payload, str(s.item.where), error))
    return Would(s, PARKED)


# --- what is kept of a preview ---------------------------------------------------------------------------------------------


class Keeper:
    """Writes down what a preview finds, as far as there is room; one for each run."""

    def __init__(self, store: DjangoStore) -> None:
        self.store, self.room, self.more = store, KEPT, 0
        self.fields: Counter[str] = Counter()  # in how many of them each field differs

    def begin_again(self, stream: str) -> None:
        """The stream is read once more: what was found in it is found again."""
        if self.store.run is not None:
            gone = self.store.run.results.filter(stream=stream).delete()[0]
            self.room += gone

    def take(self, rows: Sequence[models.RunResult]) -> None:
        kept = rows[: self.room]
        self.fields.update(name for row in kept for name in row.changes or ())
        self.more += len(rows) - len(kept)
        self.room -= len(kept)
        models.RunResult.objects.bulk_create(kept)

    def read(self, settlement: Settlement, found: Sequence[Would]) -> None:
        run = self.store.run
        if run is None:
            return
        if self.room <= 0:
            self.more += len(found) + len(settlement.parked)
            return
        rows = [self._row(settlement, would) for would in found if would.outcome != PARKED]
        for p in settlement.parked:
            error = p.error
            head = {"run": run, "direction": "in", "stream": settlement.stream, "kind": settlement.kind, "outcome": PARKED}
            ident = p.external_id[:300]
            rows.append(models.RunResult(**head, external_id=ident, name=ident, text=error.text, facts=plain_facts(error.facts)))
        self.take(rows)

    def _row(self, settlement: Settlement, would: Would) -> models.RunResult:
        s = would.said
        return models.RunResult(
            run=self.store.run,
            direction="in",
            stream=settlement.stream,
            kind=settlement.kind,
            record_id=s.record_id,
            external_id=s.item.external_id[:300],
            name=_name(s.record)[:500],
            outcome=would.outcome,
            text=results.FOUND if s.why else "",
            facts={"why": s.why} if s.why else {},
            changes=shortened(would.changes),
            compared="" if would.outcome == CREATED else BOOKS,
            mark=would.mark,
        )

    def sent(self, settlement: Settlement) -> None:
        """Of a push: what would go out, beside what they have where that is known."""
        run = self.store.run
        if run is None or not settlement.results:
            return
        told = settlement.results[: max(0, self.room)]
        self.more += len(settlement.results) - len(told)
        before = _before(self.store, settlement.kind, [r for r in told if r.outcome == WOULD_WRITE])
        rows = []
        for result in told:
            row = results.row(run, settlement.stream, settlement.kind, result)
            if result.outcome == WOULD_WRITE:
                changes, row.compared = before[result.record_id]
                row.changes, row.mark = shortened(changes), digest(result.said).hex()
            rows.append(row)
        self.take(rows)


def _name(record: Any) -> str:
    if isinstance(record, NewProduct | NewOffer):
        return (record.name or record.article or record.key).replace("\0", "")
    return (getattr(record, "name", "") or name_of(record)).replace("\0", "")


def shortened(changes: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    return {name.replace("\0", ""): [_short(old), _short(new)] for name, (old, new) in changes.items()}


def _short(value: Any) -> Any:
    value = plain(value)
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")[:CUT] + ("…" if len(value) > CUT else "")
    if isinstance(value, list | dict):
        text = json.dumps(value, ensure_ascii=False, default=str).replace("\\u0000", "\ufffd")
        return json.loads(text) if len(text) <= 4 * CUT else text[:CUT] + "…"
    return value


def _before(store: DjangoStore, kind: Kind, told: Sequence[Result]) -> dict[int, tuple[dict[str, list[Any]], str]]:
    """{record id: (changes, with what they were compared)}: an order with their copy of it, anything else with what was sent last,
    where that was kept and is known to be the last."""
    ids = [r.record_id for r in told]
    found: dict[int, tuple[dict[str, list[Any]], str]] = {}
    if kind is Kind.ORDER:
        copies, ours = taking.copies(store.connection, kind, ids), outbox.records(kind, ids)
        for pk, copy in copies.items():
            changes = orders.compare(orders.normal(replace(copy, key=ours[pk].key)), ours[pk]) if pk in ours else {}
            if changes:
                found[pk] = changes, COPY
    last = _last_sent(store, kind, [pk for pk in ids if pk not in found])
    for r in told:
        if r.record_id not in found:
            old, new = last.get(r.record_id), flat(r.said)
            if old is None:
                found[r.record_id] = {name: [None, value] for name, value in new.items()}, ""
            else:
                names = dict.fromkeys([*old, *new])
                found[r.record_id] = {n: [old.get(n), new.get(n)] for n in names if old.get(n) != new.get(n)}, SENT
    return found


def _last_sent(store: DjangoStore, kind: Kind, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """What was sent last of these records, by the results of runs that kept it whole and have the digest that the link notes."""
    if not ids:
        return {}
    sent = {pk: link.sent for pk, link in store.links_by_record(kind, ids).items() if link.sent}
    rows = models.RunResult.objects.filter(
        direction="out", kind=kind, record_id__in=list(sent), outcome__in=WRITTEN, run__connection=store.connection
    )
    found: dict[int, dict[str, Any]] = {}
    for pk, said in rows.order_by("id").values_list("record_id", "said"):
        try:
            payload = json.loads(said)
        except ValueError:
            continue
        if digest(payload) == sent[pk]:
            found[pk] = flat(payload)
    return found


def flat(payload: Any) -> dict[str, Any]:
    """A payload as fields: {"prices 1 code": "retail", …}; one that is no object is one field, "text"."""
    found: dict[str, Any] = {}
    _flatten("", payload.decode("utf-8", "replace") if isinstance(payload, bytes) else plain(payload), found)
    return found


def _flatten(name: str, value: Any, found: dict[str, Any]) -> None:
    if len(found) >= PARTS:
        return
    if isinstance(value, str) and value[:1] in ("{", "["):
        with suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _flatten(f"{name} {key}".strip(), inner, found)
    elif isinstance(value, list) and any(isinstance(v, dict | list) or str(v)[:1] in ("{", "[") for v in value):
        for at, inner in enumerate(value, 1):
            _flatten(f"{name} {at}".strip() if len(value) > 1 else name, inner, found)
    else:
        found[name or "text"] = value


# --- what was decided ------------------------------------------------------------------------------------------------------


class Decided:
    """The decisions on one preview, for the run that carries them out. Raises NeedsOwner when they are not kept any more."""

    def __init__(self, preview_id: int) -> None:
        preview = models.Run.objects.filter(pk=preview_id).first()
        if preview is None or "decided" not in preview.facts:
            raise NeedsOwner(GONE)
        self.more = bool(preview.facts.get("more"))  # records that a person has seen as a number only
        self.facts = {"who": str(preview.facts["decided"]["who"]), "run": preview.pk}
        rows = preview.results.exclude(mark="").values_list("direction", "kind", "external_id", "record_id", "mark", "skipped")
        self._in = {(kind, ident): (mark, skipped) for way, kind, ident, _pk, mark, skipped in rows if way == "in"}
        self.holds_back = any(skipped for way, _kind, _ident, _pk, _mark, skipped in rows if way == "out")
        self._out = {(kind, pk): (mark, skipped) for way, kind, _ident, pk, mark, skipped in rows if way == "out"}

    def knows(self, kind: Kind, external_id: str) -> bool:
        return (str(kind), external_id[:300]) in self._in

    def apply(self, store: DjangoStore, settlement: Settlement) -> Settlement:
        """The page without what a person skipped and what is no longer as they saw it: both are parked."""
        kind = str(settlement.kind)
        asked = [s for s in settlement.said if (kind, s.item.external_id[:300]) in self._in]
        if not asked:
            return settlement
        _counts, found = compare(store, replace(settlement, said=asked, parked=[]))
        marks = {would.said.item.external_id: would.mark for would in found}
        errors: dict[str, BadRecord] = {}
        for s in asked:
            ident = s.item.external_id
            mark, skipped = self._in[kind, ident[:300]]
            if marks.get(ident) and skipped:
                errors[ident] = Skipped(WAS_SKIPPED, **self.facts)
            elif marks.get(ident) and marks[ident] != mark:
                errors[ident] = BadRecord(HAS_CHANGED, run=self.facts["run"])
        if not errors:
            return settlement
        held = [s for s in settlement.said if s.item.external_id in errors]
        parked = [ParkedItem(s.item.external_id, s.item.payload, str(s.item.where), errors[s.item.external_id]) for s in held]
        skipped_ = sum(isinstance(error, Skipped) for error in errors.values())
        counts = settlement.counts + Counter({SKIPPED: skipped_, PARKED: len(errors) - skipped_})
        said = [s for s in settlement.said if s.item.external_id not in errors]
        return replace(settlement, said=said, parked=[*settlement.parked, *parked], counts=counts)

    def left(self, kind: Kind, changes: Sequence[tuple[int, Any]]) -> dict[int, BadRecord]:
        errors: dict[int, BadRecord] = {}
        for pk, payload in changes:
            mark, skipped = self._out.get((str(kind), pk), ("", False))
            if skipped:
                errors[pk] = Skipped(WAS_LEFT, **self.facts)
            elif mark and mark != digest(payload).hex():
                errors[pk] = BadRecord(CHANGED_LEFT, run=self.facts["run"])
        return errors


def decide(preview: models.Run, who: str, run_id: int | None = None) -> dict[str, Any]:
    """Close the decisions on a preview, inside a transaction: from now on they stay as they are. Returns what was decided, also by an
    earlier call; ``run_id`` is the run that carries it out, once there is one."""
    run = models.Run.objects.select_for_update().get(pk=preview.pk)
    known = dict(run.facts.get("decided") or {})
    if not known:
        skipped = run.results.filter(skipped=True).count()
        known = {"who": who, "at": timezone.now().isoformat(), "skipped": skipped}
    if run_id is not None:
        known["run"] = run_id
    models.Run.objects.filter(pk=run.pk).update(facts={**run.facts, "decided": known})
    return known


def skip(preview: models.Run, rows: QuerySet[models.RunResult], skipped: bool) -> int:
    """Skip or accept these of a preview's records; returns how many that changed. 0 once the decisions are closed, and until the preview
    has ended: what it finds later would be accepted by nobody."""
    with transaction.atomic():
        run = models.Run.objects.select_for_update().get(pk=preview.pk)
        if "decided" in run.facts or run.state != run.State.DONE:
            return 0
        ids = rows.filter(run=run, skipped=not skipped).exclude(mark="").values("pk")
        return int(models.RunResult.objects.filter(pk__in=ids).update(skipped=skipped))
