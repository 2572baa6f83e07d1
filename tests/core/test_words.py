"""Facts of sentences, as they are kept."""

from __future__ import annotations

from decimal import Decimal

from obmen.core.words import plain_facts


def test_facts_hold_nothing_that_a_database_refuses() -> None:
    """PostgreSQL takes no NUL; a shop's answer may hold one."""
    assert plain_facts({"said": "a\0b", "sum": Decimal("1.50"), "n": 3, "none": None}) == {
        "said": "a\ufffdb",
        "sum": "1.50",
        "n": 3,
        "none": None,
    }
