"""Made-up goods and orders, the same ones every time."""

from __future__ import annotations

from decimal import Decimal
from random import Random

from obmen.sandbox.retailcrm.crm import RetailCRM

GOODS = ("Чайник", "Лампа", "Стол", "Стул", "Полка", "Кружка", "Ковёр", "Зеркало", "Ваза", "Плед")
COLOURS = ("белый", "синий", "серый", "красный", "зелёный")
NAMES = ("Анна", "Борис", "Вера", "Глеб", "Дарья", "Егор", "Жанна", "Захар")
STATUSES = ("new", "client-confirmed", "assembling", "delivering", "complete", "cancel-other")


def offers(crm: RetailCRM, count: int = 50) -> list[str]:
    """Adds so many offers; returns their externalIds ("o-1", …; xmlId "00000001", …)."""
    chance = Random(count)  # noqa: S311 (made-up goods)
    made = []
    for n in range(1, count + 1):
        name = f"{GOODS[n % len(GOODS)]} {COLOURS[n % len(COLOURS)]} №{n}"
        made.append(f"o-{n}")
        crm.add_offer(made[-1], name, Decimal(chance.randrange(100, 100_000)) / 10, xml_id=f"{n:08}", article=f"A-{n}")
    return made


def orders(crm: RetailCRM, count: int) -> list[int]:
    """Adds so many orders of people who buy several times; returns their ids. Makes offers when there are none."""
    chance = Random(count)  # noqa: S311 (made-up orders)
    known = [o.external_id for o in crm.catalogue.offers.values() if o.site == crm.site] or offers(crm)
    made = []
    for _n in range(count):
        buyer = chance.randrange(max(1, count // 3))
        lines = [(offer, chance.randint(1, 4)) for offer in chance.sample(known, min(len(known), chance.randint(1, 3)))]
        order = crm.ui.create_order(
            lines,
            firstName=NAMES[buyer % len(NAMES)],
            lastName=f"Покупатель {buyer + 1}",
            phone=f"+7900{buyer:07}",
            status=chance.choice(STATUSES),
            delivery={"code": chance.choice(("courier", "self-delivery"))},
            payments=[{"type": chance.choice(("cash", "bank-card")), "status": chance.choice(("paid", "not-paid"))}],
        )
        made.append(int(order["id"]))
    return made
