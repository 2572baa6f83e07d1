"""Made-up goods and orders, the same ones every time."""

from __future__ import annotations

from random import Random

from obmen.sandbox.rozetka.account import Rozetka

GOODS = ("Чайник", "Лампа", "Стіл", "Стілець", "Полиця", "Кухоль", "Килим", "Дзеркало", "Ваза", "Плед")
COLOURS = ("білий", "синій", "сірий", "червоний", "зелений")
NAMES = ("Анна", "Богдан", "Віра", "Гліб", "Дарина", "Єгор", "Жанна", "Захар")


def goods(seller: Rozetka, count: int) -> list[int]:
    """Adds so many goods that are on sale, price_offer_id "A-1" …; returns their item_ids."""
    chance, made = Random(count), []  # noqa: S311 (made-up goods)
    for n in range(1, count + 1):
        name = f"{GOODS[n % len(GOODS)]} {COLOURS[n % len(COLOURS)]} №{n}"
        item = seller.add_item(name, chance.randrange(10, 10_000), chance.randrange(5, 50), offer=f"A-{n}", article=f"A-{n}")
        made.append(item.item_id)
    return made


def orders(seller: Rozetka, count: int) -> list[int]:
    """Adds so many orders of people who buy several times; returns their numbers. Makes goods when there are none."""
    chance, made = Random(count), []  # noqa: S311 (made-up orders)
    if not seller.goods.items:
        goods(seller, 20)
    for _n in range(count):
        sold = [item for item in seller.goods.items.values() if item.on_sale and item.stock > 3]
        if not sold:
            break
        who = chance.randrange(max(1, count // 3))
        order = seller.buy(
            [(i.item_id, chance.randint(1, 3)) for i in chance.sample(sold, min(len(sold), chance.randint(1, 3)))],
            phone=f"38050{who:07}",
            first_name=NAMES[who % len(NAMES)],
            last_name=f"Покупець {who + 1}",
            email=f"buyer{who + 1}@example.com",
            service=chance.choice((1, 5)),
            payment=chance.choice((1, 2)),
        )
        made.append(order.id)
    return made
