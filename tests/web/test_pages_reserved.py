"""What is reserved of an offer stands on its page and in the dump of stock."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

sys.path.insert(0, str(Path(__file__).resolve().parent))
import books

from obmen.cli.books import _stock
from obmen.core.records import Order, OrderLine
from obmen.store import models
from obmen.store.orders import save_order

SENTENCE = "Sold by orders and still counted in this stock"


@pytest.fixture
def client(db: Any, settings: Any) -> Client:
    settings.PASSWORD_HASHERS = books.FAST_HASH
    client = Client(headers={"accept-language": "en"})
    client.force_login(books.people().admin, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_the_card_of_an_offer_and_the_dump_say_what_is_reserved(client: Client) -> None:
    books.goods(books.connection("1C", account=None))
    stock = models.StockLevel.objects.select_related("offer").order_by("offer", "warehouse").first()
    assert stock is not None
    page = f"/store/offer/{stock.offer_id}/change/"
    assert SENTENCE not in client.get(page).content.decode()
    before = list(_stock(None))
    assert all(row.keys() == {"offer", "warehouse", "quantity"} for row in before)
    line = OrderLine(stock.offer.key, "Чай", Decimal("2.5"), Decimal(1), Decimal("2.5"))
    save_order(Order("1", "1", timezone.now(), lines=(line,)))
    shown = client.get(page).content.decode()
    assert SENTENCE in shown
    assert "reserved: 2" in shown
    assert list(_stock(None)) == [row | {"reserved": "2.5"} if row["offer"] == stock.offer.key else row for row in before]
