"""Calls a stand-in RetailCRM over HTTP, as a client with little patience would."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, urlencode

Answer = tuple[int, Any]


class Calls:
    def __init__(self, url: str, key: str = "sandbox-key") -> None:
        self.url, self.key = url, key

    def get(self, path: str, query: str = "") -> Answer:
        return self.send(path + (f"?{quote(query, safe='[]=&')}" if query else ""))

    def post(self, path: str, **form: Any) -> Answer:
        fields = {k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in form.items()}
        return self.send(path, urlencode(fields).encode(), "application/x-www-form-urlencoded")

    def send(self, path: str, body: bytes | None = None, content_type: str = "", **headers: str) -> Answer:
        """(status, answer): parsed when it is JSON, otherwise its bytes."""
        address = self.url + (path if path.startswith("/api/") else "/api/v5" + path)
        request = urllib.request.Request(address, body, {"X-API-KEY": self.key, "Content-Type": content_type, **headers})
        if not self.key:
            request.remove_header("X-api-key")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return _read(answer)
        except urllib.error.HTTPError as answer:
            with answer:
                return _read(answer)


def _read(answer: Any) -> Answer:
    raw = answer.read()
    return answer.status, json.loads(raw) if "json" in answer.headers["Content-Type"] else raw
