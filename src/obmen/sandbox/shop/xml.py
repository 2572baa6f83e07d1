"""Writes XML element by element, in the order in which a shop writes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from xml.sax.saxutils import escape, quoteattr


class Raw(str):
    """Markup already; other texts are escaped."""

    __slots__ = ()


def el(name: str, *inside: object, attributes: Mapping[str, str] | None = None, whole: bool = False) -> Raw:
    """An element. None among ``inside`` is left out; without any content it is ``<name/>``, ``whole``: ``<name></name>``."""
    given = "".join(f" {key}={quoteattr(value)}" for key, value in (attributes or {}).items())
    content = "".join(one if isinstance(one, Raw) else escape(str(one)) for one in inside if one is not None)
    return Raw(f"<{name}{given}>{content}</{name}>" if content or whole else f"<{name}{given}/>")


def many(elements: Iterable[Raw]) -> Raw:
    return Raw("".join(elements))


def requisites(pairs: Iterable[tuple[str, object]]) -> Raw:
    rows = (el("ЗначениеРеквизита", el("Наименование", name), el("Значение", value)) for name, value in pairs)
    return el("ЗначенияРеквизитов", many(rows))


def money(value: Decimal) -> str:
    return f"{value:.2f}"


def plain(value: Decimal) -> str:
    """Without a fraction that says nothing: 2, 1.5."""
    return f"{value.normalize():f}"


def boolean(value: bool) -> str:
    return "true" if value else "false"


PIECE = {"Код": "796", "НаименованиеПолное": "Штука", "МеждународноеСокращение": "PCE"}
