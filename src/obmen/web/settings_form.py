"""A form made from a connector's settings dataclass (core/settings.py), so that the page can never disagree with it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from obmen.core.contract import NeedsOwner
from obmen.core.settings import About, describe, load
from obmen.web.words import say

CLEAR = "clear-"  # prefix of the checkbox that forgets a secret
TABS = {
    "main": _("Main"),
    "general": _("Main"),
    "goods": _("Goods"),
    "products": _("Goods"),
    "catalog": _("Goods"),
    "catalogue": _("Goods"),
    "offers": _("Offers"),
    "prices": _("Prices"),
    "stock": _("Stock"),
    "pictures": _("Pictures"),
    "orders": _("Orders"),
    "statuses": _("Order states"),
    "payments": _("Payments"),
    "delivery": _("Delivery"),
    "counterparties": _("Counterparties"),
    "protocol": _("Protocol"),
    "dialect": _("Dialect"),
    "limits": _("Limits"),
    "security": _("Security"),
    "access": _("Access"),
    "advanced": _("More"),
}


class PairsWidget(forms.Widget):
    """A table of two columns. Posts ``name-key`` and ``name-value`` repeatedly; rows without a key are left out."""

    template_name = "obmen/pairs.html"
    SPARE = 2

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        rows = list(value.items()) if isinstance(value, Mapping) else []
        context["widget"]["rows"] = rows + [("", "")] * self.SPARE
        return context

    def format_value(self, value: Any) -> Any:
        return value

    def value_from_datadict(self, data: Any, files: Any, name: str) -> dict[str, str]:
        if not isinstance(data, MultiValueDict):
            return dict(data.get(name) or {})
        pairs = zip(data.getlist(f"{name}-key"), data.getlist(f"{name}-value"), strict=False)
        return {key.strip(): value.strip() for key, value in pairs if key.strip()}

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return f"{name}-key" not in data


class PairsField(forms.Field):
    widget = PairsWidget

    def has_changed(self, initial: Any, data: Any) -> bool:
        return dict(initial or {}) != dict(data or {})


class LinesField(forms.CharField):
    """A list, one value a line."""

    widget = UnfoldAdminTextareaWidget

    def __init__(self, **kw: Any) -> None:
        super().__init__(**kw)
        self.widget.attrs["rows"] = 4

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> Any:
        return tuple(line.strip() for line in (value or "").splitlines() if line.strip())

    def validate(self, value: Any) -> None:
        """Nothing beyond what the settings class itself checks; CharField's limits are those of text."""

    run_validators = validate


def _field(about: About, value: Any) -> forms.Field:
    common: dict[str, Any] = {
        "label": gettext(about.label) if about.label else "",
        "help_text": gettext(about.help) if about.help else "",
        "required": False,
        "initial": value,
    }
    choices = [(v, gettext(label) if label else v) for v, label in about.choices]
    if about.kind == "bool":
        return forms.BooleanField(widget=UnfoldBooleanSwitchWidget, **common)
    if about.kind == "int":
        common["required"] = True
        return forms.IntegerField(
            min_value=about.minimum, max_value=about.maximum, widget=UnfoldAdminIntegerFieldWidget, **common
        )
    if about.kind == "decimal":
        common["required"] = True
        return forms.DecimalField(
            min_value=about.minimum, max_value=about.maximum, widget=UnfoldAdminTextInputWidget, localize=True, **common
        )
    if about.kind == "choice":
        return forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget, **common)
    if about.kind == "choices":
        common["initial"] = list(value or ())
        return forms.MultipleChoiceField(choices=choices, widget=UnfoldAdminCheckboxSelectMultipleWidget, **common)
    if about.kind == "list":
        return LinesField(**common)
    if about.kind == "mapping":
        return PairsField(**common)
    if about.kind == "secret":
        common["initial"] = ""
        widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}, render_value=False)
        if value:
            widget.attrs["placeholder"] = gettext("•••••••• is set; leave empty to keep it")
        return forms.CharField(widget=widget, strip=False, **common)
    if about.kind in ("long", "json"):
        widget = UnfoldAdminTextareaWidget(attrs={"rows": 6})
        if about.kind == "json":
            common["initial"] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
            widget.attrs["class"] += " o-mono"
        return forms.CharField(widget=widget, **common)
    return forms.CharField(widget=UnfoldAdminTextInputWidget, **common)


class SettingsForm(forms.Form):
    """``current`` is an instance of the settings class. After ``is_valid`` ``changes()`` holds what the person changed."""

    def __init__(self, data: Any = None, *, settings_class: type, current: Any) -> None:
        super().__init__(data, prefix="s")
        self.settings_class, self.current = settings_class, current
        self.about = describe(settings_class)
        for name, about in self.about.items():
            value = getattr(current, name)
            self.fields[name] = _field(about, value)
            if about.kind == "secret" and value:
                self.fields[CLEAR + name] = forms.BooleanField(label=gettext("forget it"), required=False)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        for name in self.about:
            if name in data:
                self._check(name, data[name])
        return data

    def _check(self, name: str, value: Any) -> None:
        """The settings class has the last word, one field at a time, so that the reason stands beside the field."""
        try:
            load(self.settings_class, {name: value})
        except NeedsOwner as error:
            reason = str(error.facts.get("problems", "")).removeprefix(f"{name}: ")
            self.add_error(name, reason or say(error.text, error.facts))

    def changes(self) -> dict[str, Any]:
        """{name: value} of what differs from ``current``; a secret only when a new one was typed or it is to be forgotten."""
        changed: dict[str, Any] = {}
        for name, about in self.about.items():
            value = self.cleaned_data[name]
            if about.kind == "secret":
                if self.cleaned_data.get(CLEAR + name):
                    changed[name] = ""
                elif value:
                    changed[name] = value
                continue
            new = getattr(load(self.settings_class, {name: value}), name)
            if new != getattr(self.current, name):
                changed[name] = _plain(new)
        return changed

    def tabs(self) -> list[dict[str, Any]]:
        """Fields by tab, in the order of the class; each tab knows how many errors it holds."""
        found: dict[str, list[dict[str, Any]]] = {}
        for name, about in self.about.items():
            row = {"field": self[name], "kind": about.kind, "wide": about.kind in ("long", "json", "mapping")}
            if CLEAR + name in self.fields:
                row["clear"] = self[CLEAR + name]
            found.setdefault(about.tab, []).append(row)
        return [
            {
                "key": tab,
                "title": str(TABS.get(tab) or gettext(tab).capitalize()),
                "rows": rows,
                "errors": sum(bool(r["field"].errors) for r in rows),
            }
            for tab, rows in found.items()
        ]

    def first_tab(self) -> str:
        tabs = self.tabs()
        return next((t["key"] for t in tabs if t["errors"]), tabs[0]["key"] if tabs else "")

    def visible(self) -> Iterator[forms.BoundField]:
        return (self[name] for name in self.about)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, tuple):
        return list(value)
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
