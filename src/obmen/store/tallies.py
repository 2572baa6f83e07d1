"""How much was exchanged in each hour, for the charts. Counted in the transaction of what it counts, so that it is exact, and kept
longer than the runs themselves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import connection as db

from obmen.core.engine import CREATED, PARKED, UPDATED
from obmen.core.records import Kind
from obmen.store.models import Tally

if TYPE_CHECKING:
    from obmen.core.engine import Settlement

ORDERS_IN, ORDERS_OUT, GOODS_IN, GOODS_OUT = "orders_in", "orders_out", "goods_in", "goods_out"
SET_ASIDE, FAILED = "parked", "failed"
GOODS = frozenset({Kind.PRODUCT, Kind.VARIANT, Kind.OFFER, Kind.PRICES, Kind.STOCK})


def of(settlement: Settlement, counts: Mapping[str, int]) -> dict[str, int]:
    """What a settled page counts for. Of orders that come in only new ones are orders taken; a change of one is none."""
    made, changed = counts.get(CREATED, 0), counts.get(UPDATED, 0)
    out = settlement.stream.endswith("-out")
    found = {SET_ASIDE: counts.get(PARKED, 0)}
    if settlement.kind is Kind.ORDER:
        found[ORDERS_OUT if out else ORDERS_IN] = made + changed if out else made
    elif settlement.kind in GOODS:
        found[GOODS_OUT if out else GOODS_IN] = made + changed
    return found


def add(connection_id: int, counts: Mapping[str, int], now: datetime) -> None:
    """As the last statement of a transaction: the row of this hour stays locked until its end."""
    hour = db.ops.adapt_datetimefield_value(now.replace(minute=0, second=0, microsecond=0))
    rows = [(connection_id, hour, name, count) for name, count in sorted(counts.items()) if count]
    if rows:
        table = Tally._meta.db_table
        with db.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {table} (connection_id, hour, name, count) VALUES (%s, %s, %s, %s)"  # noqa: S608
                f" ON CONFLICT (hour, connection_id, name) DO UPDATE SET count = {table}.count + excluded.count",
                rows,
            )
