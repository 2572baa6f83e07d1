"""Sentences of the hub in the reader's language: a msgid with {named} facts, translated first and filled in afterwards."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext

from obmen.core.words import said_facts


class _Lenient(string.Formatter):
    """Leaves ``{name}`` standing when the fact is missing, and never follows attributes or indexes of a fact."""

    def get_field(self, field_name: str, args: Any, kwargs: Mapping[str, Any]) -> tuple[Any, str]:
        name = str(field_name)
        return kwargs.get(name, "{" + name + "}"), name

    def format_field(self, value: Any, format_spec: str) -> str:
        return str(value)


_formatter = _Lenient()


def say(text: str, facts: Mapping[str, Any] | None = None) -> str:
    """The sentence in the active language. A fact that is missing or a brace that is no fact never breaks a page."""
    if not text:
        return ""
    sentence = gettext(text)
    try:
        return _formatter.vformat(sentence, (), {k: _fact(v) for k, v in said_facts(facts or {}, gettext).items()})
    except ValueError:  # a lone brace in a sentence that is no template
        return sentence


def without_facts(text: str) -> str:
    """The sentence with an ellipsis in each place of a fact: what many messages have in common."""
    names = {name for _, name, _, _ in _formatter.parse(gettext(text)) if name} if text else set()
    return say(text, dict.fromkeys(names, "…"))


def _fact(value: Any) -> Any:
    """A fact may itself be a sentence: {"text": …, "facts": {…}}."""
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        return say(value["text"], value.get("facts") or {})
    return value
