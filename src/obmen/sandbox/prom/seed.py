"""Made-up goods and orders, the same ones every time."""

from __future__ import annotations

from decimal import Decimal
from random import Random

from obmen.sandbox.prom.account import Prom

GOODS = ("Чайник", "Лампа", "Стіл", "Стілець", "Полиця", "Кухоль", "Килим", "Дзеркало", "Ваза", "Плед")
COLOURS = ("білий", "синій", "сірий", "червоний", "зелений")
NAMES = ("Анна", "Богдан", "Віра", "Гліб", "Дарина", "Єгор", "Жанна", "Захар")


def goods(shop: Prom, count: int) -> list[int]:
    """Adds so many cards, external_id "A-1" …; returns their ids."""
    chance, made = Random(count), []  # noqa: S311 (made-up goods)
    group = shop.add_group("Товари для дому")
    for n in range(1, count + 1):
        name = f"{GOODS[n % len(GOODS)]} {COLOURS[n % len(COLOURS)]} №{n}"
        price = Decimal(chance.randrange(100, 100_000)) / 10
        made.append(shop.add_product(name, price, chance.randrange(5, 50), external_id=f"A-{n}", sku=f"A-{n}", group=group).id)
    return made


def orders(shop: Prom, count: int) -> list[int]:
    """Adds so many orders of people who buy several times; returns their numbers. Makes goods when there are none."""
    chance, made = Random(count), []  # noqa: S311 (made-up orders)
    if not shop.products:
        goods(shop, 20)
    for _n in range(count):
        sold = [p for p in shop.products.values() if p.presence == "available" and (p.quantity is None or p.quantity > 3)]
        if not sold:
            break
        who = chance.randrange(max(1, count // 3))
        order = shop.buy(
            [(p.id, chance.randint(1, 3)) for p in chance.sample(sold, min(len(sold), chance.randint(1, 3)))],
            phone=f"+38050{who:07}",
            first_name=NAMES[who % len(NAMES)],
            last_name=f"Покупець {who + 1}",
            email=f"buyer{who + 1}@example.com",
            delivery=chance.choice((11111, 11112)),
            payment=chance.choice((22222, 22223)),
        )
        made.append(order.id)
    return made
