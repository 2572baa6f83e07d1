"""A program that calls the API with a token, for tests."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.test import Client

from obmen.store import tokens

EVERYTHING = tuple(tokens.SCOPES)


class Caller:
    """A program with a token; ``get("/orders")`` asks /api/v1/orders."""

    def __init__(self, user: User, *scopes: str, days: int | None = None) -> None:
        self.token, self.secret = tokens.make(
            user, f"for {user.username} {scopes}"[:90], scopes or EVERYTHING, days=days, who="test"
        )
        self.client = Client(headers={"authorization": f"Bearer {self.secret}", "accept-language": "en"})

    def __getattr__(self, method: str) -> Any:
        def call(address: str, data: Any = None, status: int = 200, **kw: Any) -> Any:
            body = {"data": data} if method == "get" else {"data": data, "content_type": "application/json"}
            answer = getattr(self.client, method)(f"/api/v1{address}", **(body if data is not None else {}), **kw)
            assert answer.status_code == status, (answer.status_code, answer.content)
            return answer

        return call

    def every(self, address: str, **asked: Any) -> list[Any]:
        """All items of a list, page by page."""
        items, cursor = [], None
        while True:
            page = self.get(address, asked | ({"cursor": cursor} if cursor else {})).json()
            items += page["items"]
            cursor = page["next"]
            if cursor is None:
                return items
