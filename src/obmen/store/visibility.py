"""Who sees whose: the one place that decides which records of limited people's companies a page, a search or an export shows.

A person may be limited to some companies (``models.Person``): then only orders of these companies exist for them, with what
hangs on those orders. Goods, references and connections belong to everybody. What cannot be told for sure is not shown.
Superusers and machine accounts are never limited.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import BigIntegerField, Func, OuterRef, Q, QuerySet, Subquery
from django.db.models.lookups import IsNull

from obmen.core.records import Kind
from obmen.store import models

# Records that belong to the company of an order; all other kinds are goods and lists, which every company shares.
PRIVATE = (Kind.ORDER, Kind.PAYMENT, Kind.SHIPMENT, Kind.COUNTERPARTY)


def companies(user: Any) -> tuple[str, ...]:
    """The companies that this person is limited to; () = sees every company. Asked once for each user object."""
    if user.is_superuser or not user.pk:
        return ()
    known: tuple[str, ...] | None = getattr(user, "_companies", None)
    if known is None:
        said = models.Person.objects.filter(user_id=user.pk).values_list("companies", flat=True).first()
        known = user._companies = tuple(said or ())
    return known


def is_limited(user: Any) -> bool:
    return bool(companies(user))


def orders_for(user: Any, rows: QuerySet[models.Order] | None = None) -> QuerySet[models.Order]:
    rows = models.Order.objects.all() if rows is None else rows
    mine = companies(user)
    return rows.filter(company__in=mine) if mine else rows


def payments_for(user: Any, rows: QuerySet[models.Payment] | None = None) -> QuerySet[models.Payment]:
    rows = models.Payment.objects.all() if rows is None else rows
    mine = companies(user)
    return rows.filter(order__company__in=mine) if mine else rows


def shipments_for(user: Any, rows: QuerySet[models.Shipment] | None = None) -> QuerySet[models.Shipment]:
    rows = models.Shipment.objects.all() if rows is None else rows
    mine = companies(user)
    return rows.filter(order__company__in=mine) if mine else rows


def counterparties_for(user: Any, rows: QuerySet[models.Counterparty] | None = None) -> QuerySet[models.Counterparty]:
    """Those of the orders that this person sees."""
    rows = models.Counterparty.objects.all() if rows is None else rows
    mine = companies(user)
    if not mine:
        return rows
    theirs = models.Order.objects.filter(company__in=mine, counterparty__isnull=False).order_by()
    return rows.filter(pk__in=theirs.values("counterparty_id"))


class IdOf(Func):
    """The id of a record that a text says just as the hub writes ids; NULL for every other text."""

    output_field = BigIntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, list[Any]]:
        text, params = compiler.compile(self.source_expressions[0])
        number = f"CAST({text} AS INTEGER)"
        return f"CASE WHEN CAST({number} AS TEXT) = {text} THEN {number} END", [*params] * 3

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, list[Any]]:
        text, params = compiler.compile(self.source_expressions[0])
        # Cast only where it can be: anything else would end the query with an error. 18 digits always fit.
        return f"CASE WHEN {text} ~ '^[1-9][0-9]{{0,17}}$' THEN {text}::bigint END", [*params] * 2


def _is_mine(kind: Kind, record: Any, mine: tuple[str, ...]) -> IsNull:
    """Whether the record of a private kind with the id ``record`` is one of these companies: looked up one by one by the id, since all
    ids that a person sees are tens of thousands. Not by EXISTS, for which PostgreSQL would collect them in each query all the same."""
    orders: Any = models.Order.objects
    if kind == Kind.COUNTERPARTY:
        found = orders.filter(counterparty=record, company__in=mine)
    elif kind == Kind.ORDER:
        found = orders.filter(pk=record, company__in=mine)
    else:
        model: Any = models.Payment if kind == Kind.PAYMENT else models.Shipment
        found = model.objects.filter(pk=record, order__company__in=mine)
    return IsNull(Subquery(found.order_by().values("pk")[:1]), False)


def _is_of(mine: tuple[str, ...], field: str, record: Any) -> Q:
    """Rows of a private kind, which stands in ``field``, about a record of these companies."""
    found = Q()
    for kind in PRIVATE:
        found |= Q(**{field: kind}) & Q(_is_mine(kind, record, mine))  # in this order: SQLite looks only where the kind fits
    return found


def _of_records(user: Any, field: str = "record_kind") -> Q:
    """Rows that name a record by its kind and id: every good, and what this person sees of the private kinds."""
    return ~Q(**{f"{field}__in": ["", *PRIVATE]}) | _is_of(companies(user), field, OuterRef("record_id"))


def results_for(user: Any, rows: QuerySet[models.RunResult]) -> QuerySet[models.RunResult]:
    return rows.filter(_of_records(user, "kind")) if is_limited(user) else rows


def outbox_for(user: Any, rows: QuerySet[models.Outbox]) -> QuerySet[models.Outbox]:
    return rows.filter(_of_records(user, "kind")) if is_limited(user) else rows


def journal_for(user: Any, rows: QuerySet[models.JournalEntry]) -> QuerySet[models.JournalEntry]:
    """Lines about records that this person sees, and what they did themselves to settings."""
    if not is_limited(user):
        return rows
    return rows.filter(_of_records(user) | Q(record_kind="", who=user.get_username()))


def parked_for(user: Any, rows: QuerySet[models.Parked] | None = None) -> QuerySet[models.Parked]:
    """Goods, and of the private kinds what is known to be an order (payment, buyer …) of the person's companies: by our id
    when it was to be sent, by its link when it came. What came for the first time says its company only once it is taken."""
    rows = models.Parked.objects.all() if rows is None else rows
    if not is_limited(user):
        return rows
    mine = companies(user)
    linked = models.Link.objects.filter(
        _is_of(mine, "kind", OuterRef("record_id")),
        connection_id=OuterRef("connection_id"),
        kind=OuterRef("kind"),
        external_id=OuterRef("external_id"),
    )
    sent = Q(direction="out") & _is_of(mine, "kind", IdOf(OuterRef("external_id")))
    came = Q(direction="in") & Q(IsNull(Subquery(linked.values("pk")[:1]), False))
    return rows.filter(~Q(kind__in=PRIVATE) | Q(kind__in=PRIVATE) & (sent | came))


def messages_for(user: Any, rows: QuerySet[Any]) -> QuerySet[Any]:
    """A call of another system, and what a run said, tell of orders of every company: those who see some only do not see it."""
    return rows.none() if is_limited(user) else rows


RULES: dict[type, Callable[[Any, Any], QuerySet[Any]]] = {
    models.Order: orders_for,
    models.Payment: payments_for,
    models.Shipment: shipments_for,
    models.Counterparty: counterparties_for,
    models.Parked: parked_for,
    models.JournalEntry: journal_for,
    models.Message: messages_for,
    models.RunLine: messages_for,
    models.RunResult: results_for,
    models.Outbox: outbox_for,
}


def seen_by(user: Any, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Of these rows, of whatever model, what this person may see: every list, search, card and export asks here."""
    rule = RULES.get(rows.model)
    return rule(user, rows) if rule else rows
