"""What is wrong with a value of a call is said in our own sentences, never in those of the library that found it."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from ninja import Schema
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from obmen.web.api.wrongs import worded


class Inner(Schema):
    model_config = {"extra": "forbid"}

    name: str


def refuse(_value: Any) -> Any:
    raise ValueError("Say the time zone too: “2026-11-22T10:00:00Z”.")


@pytest.mark.parametrize(
    ("wanted", "given", "said"),
    [
        (Inner, {}, "It is missing: the call needs it."),
        (Inner, {"name": "x", "more": 1}, "There is no such field: look at /api/docs for those that there are."),
        (Inner, "x", "Give an object."),
        (str, 1, "Give a text in quotation marks."),
        (int, "x", "Give a whole number."),
        (int, 1.5, "Give a whole number."),
        (int, [], "Give a whole number."),
        (int, "1" * 5000, "The number is too large."),
        (float, "x", "Give a number."),
        (Decimal, "x", "Give a number, best as a text of digits such as “12.50”."),
        (bool, "maybe", "Give true or false."),
        (list[int], 1, "Give a list."),
        (dict[str, int], 1, "Give an object."),
        (None, 1, "Give null."),
        (datetime, "soon", "Give a moment such as “2026-11-22T10:00:00Z”."),
        (datetime, [], "Give a moment such as “2026-11-22T10:00:00Z”."),
        (date, "soon", "Give a date such as “2026-11-22”."),
        (time, "soon", "Give a time such as “10:00”."),
        (Literal["accept", "skip", "leave"], "x", "Give one of accept, skip, leave."),
        (Annotated[int, Field(ge=1)], 0, "It is too small: 1 is the least."),
        (Annotated[int, Field(gt=1)], 1, "It has to be more than 1."),
        (Annotated[int, Field(le=5)], 6, "It is too large: 5 is the most."),
        (Annotated[int, Field(lt=5)], 5, "It has to be less than 5."),
        (Annotated[str, Field(min_length=2)], "x", "The text is too short; characters at least: 2."),
        (Annotated[str, Field(max_length=2)], "xyz", "The text is too long; characters at most: 2."),
        (Annotated[list[int], Field(min_length=2)], [1], "There are too few in the list; at least: 2."),
        (Annotated[list[int], Field(max_length=1)], [1, 2], "There are too many in the list; at most: 1."),
        (Annotated[str, Field(pattern="^a$")], "b", "The text has not the form that is described at /api/docs."),
        (Annotated[str, AfterValidator(refuse)], "b", "Say the time zone too: “2026-11-22T10:00:00Z”."),
    ],
)
def test_each_sort_of_wrong_value_has_its_sentence(wanted: Any, given: Any, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(wanted).validate_python(given)
    assert {worded(dict(error)) for error in caught.value.errors()} == {said}
