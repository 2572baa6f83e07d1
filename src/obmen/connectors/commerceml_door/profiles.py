"""Profiles: named defaults and signs of recognition of the systems that call, as TOML files beside this module."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

GENERIC = "generic"


@cache
def all_profiles() -> Mapping[str, Mapping[str, Any]]:
    """{profile: {"title", "note", "settings": {…}, "recognise": {…}}}, the generic one first."""
    found: dict[str, Mapping[str, Any]] = {}
    folder = files(__package__) / "profiles"
    for file in sorted(folder.iterdir(), key=lambda f: (f.name != f"{GENERIC}.toml", f.name)):
        if file.name.endswith(".toml"):
            found[file.name.removesuffix(".toml")] = {"settings": {}, "recognise": {}, **tomllib.loads(file.read_text("utf-8"))}
    return found


def recognise(*, user_agent: str = "", version: str = "", cml: str = "", filename: str = "", document: str = "") -> str:
    """The profile that fits best what a caller has shown, or "" while nothing tells it apart.

    ``version`` and ``cml`` are the parameters ``version=`` and ``cmlVersion=``, ``document`` the beginning of a received file.
    What a caller says on purpose (a version, a mark in a document) weighs more than the shape of file names, and that more
    than the platform's name, which all configurations of 1C share.
    """
    best, weight = "", 1  # a User-Agent alone decides nothing but the platform of old configurations
    for key, profile in all_profiles().items():
        signs = profile["recognise"]
        score = 4 * any(mark in document for mark in signs.get("document", ()))
        score += 4 * (bool(version) and version in signs.get("version", ()))
        score += 3 * any(re.search(pattern, filename) for pattern in signs.get("files", ()))
        score += 2 * (bool(cml) and bool(signs.get("cml")))
        agents = [agent for agent in signs.get("user_agent", ()) if user_agent.startswith(agent)]
        if agents:
            score += 1 if agents[0] == "1C+Enterprise/8.3" else 3
        if score > weight:
            best, weight = key, score
    return best
