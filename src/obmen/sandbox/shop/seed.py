"""Made-up goods and orders, the same ones every time."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from uuid import UUID

from obmen.sandbox.shop.base import Shop
from obmen.sandbox.shop.state import Buyer

GOODS = ("Чайник", "Лампа", "Стол", "Стул", "Полка", "Кружка", "Ковёр", "Зеркало", "Ваза", "Плед")
COLOURS = ("белый", "синий", "серый", "красный", "зелёный")
NAMES = ("Анна", "Борис", "Вера", "Глеб", "Дарья", "Егор", "Жанна", "Захар")
KIND, GROUP = "c0ffee00-0000-4000-8000-000000000001", "c0ffee00-0000-4000-8000-000000000002"


def goods(shop: Shop, count: int) -> list[str]:
    """Adds so many products without variants, as if they had been loaded; returns their ids."""
    chance = Random(count)  # noqa: S311 (made-up goods)
    made = []
    with shop.lock:
        shop.goods.kinds.setdefault(KIND, ("Розничная", shop.settings.currency))
        shop.goods.groups.setdefault(GROUP, ("Товары для дома", ""))
        for n in range(1, count + 1):
            product = shop.goods.new(str(UUID(int=0xABCD << 96 | n)))
            product.name, product.article = f"{GOODS[n % len(GOODS)]} {COLOURS[n % len(COLOURS)]} №{n}", f"A-{n}"
            product.unit, product.groups = "шт", (GROUP,)
            offer = product.offer("")
            offer.prices[KIND], offer.quantity = Decimal(chance.randrange(100, 100_000)) / 10, Decimal(chance.randrange(0, 50))
            made.append(product.id)
    return made


def orders(shop: Shop, count: int) -> list[int]:
    """Adds so many orders of people who buy several times; returns their numbers. Makes goods when there are none."""
    chance = Random(count)  # noqa: S311 (made-up orders)
    if not shop.goods.products:
        goods(shop, 20)
    sold = [f"{p.id}#{v}" if v else p.id for p in shop.goods.products.values() for v in p.offers]
    made = []
    for _n in range(count):
        who = chance.randrange(max(1, count // 3))
        buyer = Buyer(
            NAMES[who % len(NAMES)], f"Покупатель {who + 1}", f"+7900{who:07}", f"buyer{who + 1}@example.com", user=who + 1
        )
        items = [(offer, chance.randint(1, 4)) for offer in chance.sample(sold, min(len(sold), chance.randint(1, 3)))]
        order = shop.buy(
            items,
            buyer=buyer,
            delivery=chance.choice(list(shop.deliveries)),
            shipping=chance.choice((0, 300)),
            payment=chance.choice(list(shop.payment_kinds)),
            status=chance.choice(list(shop.states)),
        )
        made.append(order.id)
    return made
