from __future__ import annotations

import pytest
from django.db import connection


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db
def test_postgresql_does_not_compile_the_hubs_queries() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW jit")
        assert cursor.fetchone() == ("off",)
