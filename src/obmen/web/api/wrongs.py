"""What is wrong with a value of a call, in the reader's language: the library that checks calls says it in English only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from obmen.core.words import gettext_noop as _
from obmen.store.words import say

# Sentences by the library's own names of errors; facts in braces are those that it gives with the error.
WRONG = {
    "missing": _("It is missing: the call needs it."),
    "extra_forbidden": _("There is no such field: look at /api/docs for those that there are."),
    "string_type": _("Give a text in quotation marks."),
    "int_type": _("Give a whole number."),
    "int_parsing": _("Give a whole number."),
    "int_from_float": _("Give a whole number."),
    "int_parsing_size": _("The number is too large."),
    "float_type": _("Give a number."),
    "float_parsing": _("Give a number."),
    "finite_number": _("Give a finite number."),
    "decimal_type": _("Give a number, best as a text of digits such as “12.50”."),
    "decimal_parsing": _("Give a number, best as a text of digits such as “12.50”."),
    "bool_type": _("Give true or false."),
    "bool_parsing": _("Give true or false."),
    "list_type": _("Give a list."),
    "dict_type": _("Give an object."),
    "model_type": _("Give an object."),
    "model_attributes_type": _("Give an object."),
    "json_invalid": _("Give JSON."),
    "none_required": _("Give null."),
    "datetime_type": _("Give a moment such as “2026-11-22T10:00:00Z”."),
    "datetime_parsing": _("Give a moment such as “2026-11-22T10:00:00Z”."),
    "datetime_from_date_parsing": _("Give a moment such as “2026-11-22T10:00:00Z”."),
    "datetime_object_invalid": _("Give a moment such as “2026-11-22T10:00:00Z”."),
    "timezone_aware": _("Say the time zone too: “2026-11-22T10:00:00Z”."),
    "date_type": _("Give a date such as “2026-11-22”."),
    "date_parsing": _("Give a date such as “2026-11-22”."),
    "date_from_datetime_parsing": _("Give a date such as “2026-11-22”."),
    "time_type": _("Give a time such as “10:00”."),
    "time_parsing": _("Give a time such as “10:00”."),
    "literal_error": _("Give one of {expected}."),
    "enum": _("Give one of {expected}."),
    "greater_than_equal": _("It is too small: {ge} is the least."),
    "greater_than": _("It has to be more than {gt}."),
    "less_than_equal": _("It is too large: {le} is the most."),
    "less_than": _("It has to be less than {lt}."),
    "string_too_short": _("The text is too short; characters at least: {min_length}."),
    "string_too_long": _("The text is too long; characters at most: {max_length}."),
    "too_short": _("There are too few in the list; at least: {min_length}."),
    "too_long": _("There are too many in the list; at most: {max_length}."),
    "string_pattern_mismatch": _("The text has not the form that is described at /api/docs."),
}


def worded(error: Mapping[str, Any]) -> str:
    """The sentence for one error; what a check of ours has said is ours already, and what is not known here stays as it is."""
    if error["type"] == "value_error":
        return say(str(error.get("ctx", {}).get("error") or error["msg"]))
    sentence = WRONG.get(str(error["type"]))
    if sentence is None:
        return str(error["msg"])
    facts = {name: str(value) for name, value in error.get("ctx", {}).items()}
    facts["expected"] = facts.get("expected", "").replace(" or ", ", ").replace("'", "")
    return say(sentence, facts)
