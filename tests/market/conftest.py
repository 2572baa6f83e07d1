"""A hub with a connection to the kit's market. The kit is imported late: Django is not ready yet when this file is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Any:
    from market.kit import KitConnector, KitMarket, Shop
    from obmen import registry

    made = Shop()
    monkeypatch.setattr(KitMarket, "shop", made, raising=False)
    monkeypatch.setitem(registry.connectors(), "kit", KitConnector)
    return made


@pytest.fixture
def make(shop: Any) -> Callable[..., Any]:
    from market.kit import Hub

    return lambda **settings: Hub(shop, **settings)


@pytest.fixture
def hub(make: Any) -> Any:
    """It knows the one product of the kit's orders, and has been read once."""
    from market.kit import card, link

    made = make()
    link(made, "c1", card())
    made.begin()
    return made
