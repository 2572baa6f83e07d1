"""Small words for our templates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django import template
from django.template.defaultfilters import capfirst
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from obmen.web import labels, words
from obmen.web.state import paused_words

register = template.Library()

NARROW = "\u202f"  # thousands never break at the end of a line


@register.filter
def amount(value: Any) -> str:
    """1234567.5000 → «1 234 567,5» in the reader's language; money keeps two places when it has a fraction."""
    if value is None or value == "":
        return ""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    text = format(number.normalize(), "f")
    whole, _point, fraction = text.partition(".")
    sign, whole = ("−", whole[1:]) if whole.startswith("-") else ("", whole)
    groups = f"{int(whole):,}".replace(",", NARROW)
    return sign + groups + (formats.get_format("DECIMAL_SEPARATOR") + fraction if fraction else "")


@register.filter
def money(value: Any) -> str:
    """Like amount, with two places at the least."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return amount(value)
    return amount(number) if number != number.quantize(Decimal("0.01")) else _two_places(number)


def _two_places(number: Decimal) -> str:
    text = amount(number.quantize(Decimal(1), rounding="ROUND_DOWN"))
    if number < 0 and not text.startswith("−"):
        text = "−" + text
    return text + formats.get_format("DECIMAL_SEPARATOR") + f"{abs(number) % 1:.2f}"[2:]


@register.filter
def say(record: Any) -> str:
    """The sentence of anything that has ``text`` (or ``action``) and ``facts``."""
    return words.say(getattr(record, "text", None) or getattr(record, "action", "") or "", getattr(record, "facts", None))


@register.filter
def deed(entry: Any) -> str:
    return labels.deed(entry.action, entry.facts)


@register.filter
def size(count: Any) -> str:
    from django.template.defaultfilters import filesizeformat

    return filesizeformat(count or 0)


@register.filter
def count_label(name: str) -> str:
    return str(labels.COUNTS.get(name, name))


@register.filter
def kind_label(kind: str) -> str:
    return str(labels.KINDS.get(kind, kind))


@register.filter
def stream_label(stream: str) -> str:
    return labels.stream(stream)


@register.filter
def streams_label(streams: str) -> str:
    return ", ".join(labels.stream(s) for s in streams.split(",") if s)


@register.filter
def subject_label(subject: str) -> str:
    return str(labels.SUBJECTS.get(subject, subject))


@register.filter
def trigger_label(trigger: str) -> str:
    return str(labels.TRIGGERS.get(trigger, trigger))


@register.filter
def tone(state: str) -> str:
    return labels.TONES.get(state, "")


@register.filter
def field_label(name: str) -> str:
    return labels.field(name)


@register.filter
def named(field: Any, name: str = "") -> str:
    """A form's field whose label stands elsewhere (the head of its column): with its name for those who do not see that."""
    return str(field.as_widget(attrs={"aria-label": capfirst(name or field.label)}))


@register.filter
def lookup(mapping: Mapping[Any, Any], key: Any) -> Any:
    return mapping.get(key, "")


@register.filter
def shown(value: Any) -> str:
    """A value of history: empty as a dash, lists and objects as short JSON."""
    if value in (None, "", [], {}):
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list | dict):
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= 300 else text[:300] + "…"
    return str(value)


@register.filter
def paused(connection: Any) -> str:
    return paused_words(connection)


@register.filter
def ago(moment: Any) -> str:
    """How long ago, in the largest unit: "5 min ago"; a date when it was long ago."""
    if not moment:
        return ""
    minutes = int((timezone.now() - moment).total_seconds() // 60)
    if minutes < 1:
        return _("just now")
    if minutes < 60:
        return ngettext("%(count)s min ago", "%(count)s min ago", minutes) % {"count": minutes}
    if minutes < 48 * 60:
        return ngettext("%(count)s h ago", "%(count)s h ago", minutes // 60) % {"count": minutes // 60}
    if minutes < 14 * 24 * 60:
        days = minutes // (24 * 60)
        return ngettext("%(count)s day ago", "%(count)s days ago", days) % {"count": days}
    return formats.date_format(timezone.localtime(moment), "j.m.Y")


@register.filter
def moment(when: Any) -> str:
    """A time of today as 14:05, any other with its day."""
    if not when:
        return ""
    local = timezone.localtime(when)
    return formats.date_format(local, "H:i" if local.date() == timezone.localdate() else "j.m H:i")


@register.filter
def lasted(run: Any) -> str:
    if not run.started or not run.ended:
        return ""
    seconds = (run.ended - run.started).total_seconds()
    if seconds < 60:
        return _("%(seconds)s s") % {"seconds": formats.localize(round(seconds, 1))}
    minutes = int(seconds // 60)
    return ngettext("%(count)s min", "%(count)s min", minutes) % {"count": minutes}
