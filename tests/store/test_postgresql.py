from __future__ import annotations

import pytest
from django.db import connection


@pytest.mark.django_db
def test_postgresql_does_not_compile_the_hubs_queries() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("what PostgreSQL is told")
    with connection.cursor() as cursor:
        cursor.execute("SHOW jit")
        assert cursor.fetchone() == ("off",)
