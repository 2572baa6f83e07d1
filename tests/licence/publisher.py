"""A publisher for tests: a key, a folder of a small connector, packages of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from obmen.licence import package, signing

INIT = """
from dataclasses import dataclass

from obmen.core.contract import Connector
from obmen.core.settings import setting
from .words import HELLO


@dataclass(frozen=True)
class Settings:
    address: str = setting("", "Address", "As in the browser.")
    portion: int = setting(10, "Portion", "Goods in one call.", minimum=1)


class Toy(Connector):
    key, title, settings = "toyshop", "Toy shop", Settings
    streams = ("orders-in", "stock-out")
    calls_out = True

    @classmethod
    def profiles(cls):
        return {"big": {"title": "Big", "settings": {"portion": 100}, "streams": ["stock-out"]}}

    def check(self):
        return HELLO
"""
FILES: dict[str, str] = {"__init__.py": INIT, "words.py": 'HELLO = "version one"\n', "help/en.md": "# Toys\n\nAsk **them**.\n"}
PEM = signing.new_private()
KEY = signing.read_private(PEM)
PUBLIC = signing.public_of(KEY)
LINE = signing.public_line(PUBLIC, "Toy makers")


def declaration(**changes: Any) -> str:
    said = {"key": "toyshop", "kind": "connector", "version": "1.0", "title": "Toy shop", "publisher": "Toy makers", **changes}
    lines = [f"{k} = {str(v).lower() if isinstance(v, bool) else repr(v)}" for k, v in said.items() if not isinstance(v, dict)]
    for name, table in said.items():
        if isinstance(table, dict):
            lines += [f"[{name}]", *(f"{k} = {v!r}" for k, v in table.items())]
    return "\n".join(lines) + "\n"


def folder(at: Path, files: Mapping[str, str] = FILES, **changes: Any) -> Path:
    at.mkdir(parents=True, exist_ok=True)
    (at / package.DECLARATION).write_text(declaration(**changes), "utf-8")
    for name, text in files.items():
        (at / name).parent.mkdir(parents=True, exist_ok=True)
        (at / name).write_text(text, "utf-8")
    return at


def made(at: Path, files: Mapping[str, str] = FILES, key: Any = KEY, **changes: Any) -> bytes:
    """A signed package."""
    return package.sign(package.build(folder(at, files, **changes)), key)
