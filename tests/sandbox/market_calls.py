"""What tests of the stand-in marketplaces send, a clock that they turn, and a person at their pages."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from obmen.sandbox.stand import Answer, Request, Stand

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "markets"


class Clock:
    """Stands still until it is turned."""

    def __init__(self) -> None:
        self.time = datetime(2026, 9, 23, 9, 34, 56, 588791, UTC)

    def __call__(self) -> datetime:
        return self.time

    def turn(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class Calls:
    """Speaks to the service without a socket."""

    def __init__(self, stand: Stand, token: str, **headers: str) -> None:
        self.stand, self.token, self.headers = stand, token, headers
        self.answer = Answer(b"")

    def get(self, path: str, **query: Any) -> Any:
        return self.send("GET", path, query)

    def post(self, path: str, body: Any = None, **query: Any) -> Any:
        return self.send("POST", path, query, json.dumps(body).encode())

    def put(self, path: str, body: Any = None, **query: Any) -> Any:
        return self.send("PUT", path, query, json.dumps(body).encode())

    def send(self, method: str, path: str, query: dict[str, Any], body: bytes = b"", **more: str) -> Any:
        """The JSON of the answer, or the text where it is none; the status is in ``answer``."""
        headers = {**({"authorization": f"Bearer {self.token}"} if self.token else {}), **self.headers, **more}
        where = self.stand.prefix.rstrip("/") + path
        answer, _fault = self.stand.handle(Request(method, quote(where), urlencode(query), headers, body))
        assert answer is not None
        self.answer = answer
        return json.loads(answer.body) if "json" in answer.content_type and answer.body else answer.body.decode()


def page(address: str, form: dict[str, str] | None = None) -> tuple[int, str, str]:
    """(status, address where it ended, text)."""
    body = None if form is None else urlencode(form).encode()
    try:
        with urllib.request.urlopen(address, body, timeout=60) as answer:
            return answer.status, answer.url, answer.read().decode()
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, address, answer.read().decode()


def press(root: str, text: str, button: str, **typed: str) -> tuple[int, str, str]:
    """Fills in and sends the form that has this button, with what stands in it already."""
    (form,) = [f for f in re.findall(r"<form method=.*?</form>", text) if f">{button}<" in f][-1:]
    filled = dict(re.findall(r'<input (?:type="hidden" )?name="(\w+)" value="([^"]*)"', form))
    for name, choices in re.findall(r'<select name="(\w+)">(.*?)</select>', form):
        chosen = re.findall(r'value="([^"]*)" selected', choices)
        filled[name] = (chosen or re.findall(r'value="([^"]*)"', choices))[0]
    assert set(typed) <= set(filled)
    action = re.search(r'action="([^"]+)"', form)
    assert action
    return page(root + action[1], filled | typed)


def shape(value: Any) -> Any:
    """Names of what is in it, without the values: two records are alike when their shapes are."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def lacking(sample: Any, ours: Any, where: str = "") -> list[str]:
    """Names that the sample has and ours has not."""
    if isinstance(sample, dict):
        if not isinstance(ours, dict):
            return [] if ours is None else [where]
        return [
            gap
            for name, one in sample.items()
            for gap in ([f"{where}.{name}"] if name not in ours else lacking(one, ours[name], f"{where}.{name}"))
        ]
    if isinstance(sample, list) and sample and isinstance(ours, list) and ours:
        return lacking(sample[0], ours[0], f"{where}[]")
    return []


def feed(
    *offers: str, categories: str = '<category id="10">Іграшки</category><category id="11" parentId="10">Кубики</category>'
) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE yml_catalog SYSTEM "shops.dtd"><yml_catalog date="2026-09-23 12:30"><shop>'
        f"<name>S</name><categories>{categories}</categories><offers>{''.join(offers)}</offers></shop></yml_catalog>"
    ).encode()
