"""Settings of a connector: one frozen dataclass makes the form, the JSON and the TOML, so that they cannot disagree.

A field is declared with ``setting(default, label=…, help=…, …)``. ``load`` makes an instance from plain data and says every
problem at once, each with the field's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from decimal import Decimal, InvalidOperation
from typing import Any

from obmen.core.contract import NeedsOwner
from obmen.core.words import gettext_noop as _


@dataclass(frozen=True, slots=True)
class Shape:
    """What the object of a json setting holds: one list of rows and single texts. A form shows them beside the JSON itself."""

    rows: str  # key of the list
    columns: tuple[tuple[str, str, str], ...]  # (key, label, subject whose values are offered or "")
    texts: tuple[tuple[str, str], ...] = ()  # (key, label)


@dataclass(frozen=True, slots=True)
class About:
    """What a form needs to know of one setting."""

    label: str
    help: str = ""
    tab: str = "main"
    kind: str = "text"  # text | long | bool | int | decimal | choice | choices | list | json | secret | mapping | reference
    choices: tuple[tuple[str, str], ...] = ()  # (value, label)
    minimum: int | None = None
    maximum: int | None = None
    subject: str = ""  # of a reference: whose values are offered; the value is a key of the books
    shape: Shape | None = None  # of a json: what it holds
    when: str = ""  # a setting that has to be on for this one to be of use
    identifies: bool = False  # says whom we talk to: after a change the check has to pass again (secrets always do)
    place: bool = False  # the address to which the secrets are sent: for another one they are asked for again
    reparse: bool = False  # a change makes every received record be looked at again
    where: tuple[str, ...] = ()  # menus of the other system, one after another, by which a person finds what to enter


def setting(default: Any, label: str, help: str = "", **about: Any) -> Any:
    """A dataclass field with all that a form, a file and the docs need. ``label`` and ``help`` are gettext_noop sentences."""
    kind = about.pop("kind", None) or _kind_of(default, about)
    meta = {"about": About(label=label, help=help, kind=kind, **about)}
    if isinstance(default, list | dict):
        return field(default_factory=lambda: type(default)(default), metadata=meta)
    return field(default=default, metadata=meta)


def _kind_of(default: Any, about: Mapping[str, Any]) -> str:
    if isinstance(default, bool):
        return "bool"
    if isinstance(default, int):
        return "int"
    if isinstance(default, Decimal):
        return "decimal"
    if isinstance(default, tuple):
        return "choices" if about.get("choices") else "list"
    if isinstance(default, dict):
        return "mapping"
    return "choice" if about.get("choices") else "text"


def describe(cls: type) -> dict[str, About]:
    return {f.name: f.metadata["about"] for f in fields(cls)}


def default_of(f: Field[Any]) -> Any:
    return f.default_factory() if f.default_factory is not MISSING else f.default


def load(cls: type, data: Mapping[str, Any]) -> Any:
    """An instance of ``cls`` from plain values (from a form, JSON, TOML or ``--set field=value``).

    Raises NeedsOwner that names every unknown field and every bad value; nothing is guessed.
    """
    known = {f.name: f for f in fields(cls)}
    problems = [f"{name}: {_('there is no such setting')}" for name in data if name not in known]
    values: dict[str, Any] = {}
    for name, f in known.items():
        if name not in data:
            continue
        try:
            values[name] = _convert(f.metadata["about"], data[name])
        except ValueError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise NeedsOwner(_("The settings are not right: {problems}"), problems="; ".join(problems))
    return cls(**values)


TRUE, FALSE = {"1", "true", "yes", "on", "да", "так"}, {"0", "false", "no", "off", "", "нет", "ні"}


def _convert(about: About, value: Any) -> Any:
    kind = about.kind
    if kind == "bool":
        text = str(value).strip().lower()
        if text in TRUE:
            return True
        if text in FALSE:
            return False
        raise ValueError(f"{value!r} is neither yes nor no")
    if kind == "int":
        try:
            number = int(str(value).strip())
        except ValueError:
            raise ValueError(f"{value!r} is not a whole number") from None
        if about.minimum is not None and number < about.minimum:
            raise ValueError(f"{number} is less than {about.minimum}")
        if about.maximum is not None and number > about.maximum:
            raise ValueError(f"{number} is more than {about.maximum}")
        return number
    if kind == "decimal":
        try:
            return Decimal(str(value).strip())
        except InvalidOperation:
            raise ValueError(f"{value!r} is not a number") from None
    if kind == "choice":
        if str(value) not in {v for v, _label in about.choices}:
            raise ValueError(f"{value!r} is not one of {', '.join(v for v, _label in about.choices)}")
        return str(value)
    if kind in ("choices", "list"):
        items: Sequence[Any] = value.replace("\n", ",").split(",") if isinstance(value, str) else value
        out = tuple(str(v).strip() for v in items if str(v).strip())
        if kind == "choices":
            wrong = [v for v in out if v not in {c for c, _label in about.choices}]
            if wrong:
                raise ValueError(f"{', '.join(wrong)}: not one of {', '.join(c for c, _label in about.choices)}")
        return out
    if kind == "mapping":
        if isinstance(value, str):
            pairs = (line.partition("=") for line in value.replace(",", "\n").splitlines() if line.strip())
            value = {k.strip(): v.strip() for k, _eq, v in pairs}
        if not isinstance(value, Mapping):
            raise ValueError(f"{value!r} is not a table of value = value")
        return {str(k): str(v) for k, v in value.items()}
    return str(value)
