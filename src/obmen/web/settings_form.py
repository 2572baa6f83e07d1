"""A form made from a connector's settings dataclass (core/settings.py), so that the page can never disagree with it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterator, Mapping
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
from obmen.core.settings import About, Shape, describe, load
from obmen.web.values import GROUPS, Products, Values, books_of, of_books, tree
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


class ChosenWidget(UnfoldAdminTextInputWidget):
    """Typed or chosen from a list that can be searched; shows names, the field turns them into keys."""

    template_name = "obmen/combo.html"

    def __init__(self, values: Values, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs={"autocomplete": "off", "data-new": gettext("new value:"), **(attrs or {})})
        self.values = values

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        context["widget"]["options"] = self.values.labels.values()
        context["widget"]["searches"] = isinstance(self.values, Products)
        return context


class ChosenField(forms.CharField):
    """A key of the books. What is typed and not among the values is a new value, named like its key."""

    def __init__(self, values: Values, **kw: Any) -> None:
        super().__init__(widget=ChosenWidget(values), **kw)
        self.values = values

    def prepare_value(self, value: Any) -> Any:
        return self.values.label(value) if isinstance(value, str) else value

    def to_python(self, value: Any) -> str:
        text = str(value or "").strip()
        key = self.values.key(text) if text else ""
        if key is None and isinstance(self.values, Products):
            raise forms.ValidationError(gettext("There is no such product in the books: choose one from the list."))
        return text[:200] if key is None else key


class TreeWidget(forms.Widget):
    """Groups of goods as a tree of check boxes with a search; posts the chosen keys repeatedly."""

    template_name = "obmen/tree.html"
    use_fieldset = True

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        context["widget"]["leaves"] = tree(value or ())
        return context

    def format_value(self, value: Any) -> Any:
        return value

    def value_from_datadict(self, data: Any, files: Any, name: str) -> tuple[str, ...]:
        return tuple(data.getlist(name) if isinstance(data, MultiValueDict) else data.get(name) or ())

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False


class TreeField(forms.Field):
    widget = TreeWidget

    def to_python(self, value: Any) -> tuple[str, ...]:
        return tuple(value or ())


class TwoWords(str):
    """What came for a setting whose table and JSON were both changed."""


class ShapedWidget(forms.Widget):
    """A JSON object as a table of rows, single texts, and the JSON itself: whichever of them a person changes counts."""

    template_name = "obmen/shaped.html"
    use_fieldset = True
    SPARE = 2

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.values = {key: of_books(subject) for key, _label, subject in shape.columns if subject}

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        data = _trimmed(_object(value), self.shape)
        rows = data.get(self.shape.rows, [])
        columns = [
            {"key": key, "label": gettext(label), "options": list(self.values[key].labels.values()) if key in self.values else []}
            for key, label, _subject in self.shape.columns
        ]
        context["widget"] |= {
            "columns": columns,
            "rows": [[(c, self._shown(c["key"], row.get(c["key"], ""))) for c in columns] for row in rows + [{}] * self.SPARE],
            "texts": [(key, gettext(label), data.get(key, "")) for key, label in self.shape.texts],
            "json": value or "",
            "open": bool(value) and _object(value) != data,  # the table does not say all of it
        }
        return context

    def format_value(self, value: Any) -> Any:
        return value

    def _shown(self, key: str, value: Any) -> str:
        return self.values[key].label(str(value)) if key in self.values else str(value)

    def value_from_datadict(self, data: Any, files: Any, name: str) -> str:
        raw, before = (_lines(data.get(n) or "") for n in (name, f"{name}-was"))
        if f"{name}-was" not in data:
            return raw
        table, shown = self._table(data, name), _object(before)
        # What cannot be read was shown as an empty table, so only a filled one says something.
        changed = table != _trimmed(shown, self.shape) if shown is not None or not before else bool(table)
        if not changed:
            return raw
        text = json.dumps(table, ensure_ascii=False, indent=2) if table else ""
        return TwoWords(raw) if raw != before else text

    def _table(self, data: Any, name: str) -> dict[str, Any]:
        """The object that table and texts make; {} when nothing is filled in."""
        columns = {key: data.getlist(f"{name}-{key}") for key, _label, _subject in self.shape.columns}
        rows = []
        for values in zip(*columns.values(), strict=False):
            row = {key: self._key(key, value.strip()) for key, value in zip(columns, values, strict=True) if value.strip()}
            if row:
                rows.append(row)
        texts = {key: text for key, _label in self.shape.texts if (text := data.get(f"{name}-{key}", "").strip())}
        return ({self.shape.rows: rows} if rows else {}) | texts

    def _key(self, column: str, text: str) -> str:
        values = self.values.get(column)
        return (values.key(text) if values else None) or text

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return name not in data


class ShapedField(forms.CharField):
    def __init__(self, shape: Shape, **kw: Any) -> None:
        super().__init__(widget=ShapedWidget(shape), **kw)

    def clean(self, value: Any) -> Any:
        if isinstance(value, TwoWords):
            raise forms.ValidationError(gettext("The table and the JSON below it were both changed: change only one of them."))
        return super().clean(value)


def _object(text: Any) -> dict[str, Any] | None:
    try:
        data = json.loads(text or "{}")
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _trimmed(data: dict[str, Any] | None, shape: Shape) -> dict[str, Any]:
    """As the table would say it: texts only, without what is empty and without what has no column."""
    data = data or {}
    listed = data.get(shape.rows)
    keys = [key for key, _label, _subject in shape.columns]
    rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
    kept = [told for row in rows if (told := {k: str(row[k]) for k in keys if row.get(k)})]
    texts = {key: str(data[key]) for key, _label in shape.texts if data.get(key)}
    return ({shape.rows: kept} if kept else {}) | texts


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


def _of_several(subject: str, value: Any, common: dict[str, Any]) -> forms.Field:
    """Values of the books to be ticked: those that are chosen first, in their order, also when the books do not have them (any more)."""
    values, chosen = of_books(subject), list(value or ())
    choices = [(key, values.label(key)) for key in dict.fromkeys([*chosen, *values.labels])]
    common["initial"] = chosen
    return forms.MultipleChoiceField(choices=choices, widget=UnfoldAdminCheckboxSelectMultipleWidget, **common)


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
    if about.kind == "list" and about.subject == GROUPS:
        return TreeField(**common)
    if about.kind == "list" and about.subject:
        return _of_several(about.subject, value, common)
    if about.kind == "list":
        return LinesField(**common)
    if about.kind == "reference":
        return ChosenField(of_books(about.subject), **common)
    if about.kind == "mapping":
        return PairsField(**common)
    if about.kind == "secret":
        common["initial"] = ""
        widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}, render_value=False)
        if value:
            widget.attrs["placeholder"] = gettext("•••••••• is set; leave empty to keep it")
        return forms.CharField(widget=widget, strip=False, **common)
    if about.kind == "json" and about.shape is not None:
        readable = _object(value)
        common["initial"] = json.dumps(readable, ensure_ascii=False, indent=2) if value and readable else value
        return ShapedField(about.shape, **common)
    if about.kind in ("long", "json"):
        widget = UnfoldAdminTextareaWidget(attrs={"rows": 6})
        if about.kind == "json":
            common["initial"] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
            widget.attrs["class"] += " o-mono"
        return forms.CharField(widget=widget, **common)
    return forms.CharField(widget=UnfoldAdminTextInputWidget, **common)


class SettingsForm(forms.Form):
    """``current`` is an instance of the settings class. After ``is_valid`` ``changes()`` holds what the person changed.

    ``only`` these settings are shown and read, the others stay as they are; None: all of them.
    """

    def __init__(self, data: Any = None, *, settings_class: type, current: Any, only: Collection[str] | None = None) -> None:
        super().__init__(data, prefix="s")
        self.settings_class, self.current = settings_class, current
        self.about = {name: about for name, about in describe(settings_class).items() if only is None or name in only}
        with books_of(about.subject for about in self.about.values()):
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

    def new_values(self) -> list[tuple[str, str]]:
        """(subject, name) of what was typed and is not among the books' values yet."""
        return [
            (about.subject, self.cleaned_data[name])
            for name, about in self.about.items()
            if about.kind == "reference"
            and self.cleaned_data[name] not in ("", getattr(self.current, name))
            and self.cleaned_data[name] not in self.fields[name].values
        ]

    def rows(self) -> list[dict[str, Any]]:
        """Each setting as a template shows it. ``when`` names the settings of this form that switch it on and off."""
        found = []
        for name, about in self.about.items():
            row: dict[str, Any] = {"name": name, "field": self[name], "kind": about.kind}
            row["when"] = " ".join(self[n].html_name for n in about.when.split() if n in self.about)
            # Always there: a template that finds no such key would call dict.clear().
            row["clear"] = self[CLEAR + name] if CLEAR + name in self.fields else None
            found.append(row)
        return found

    def tabs(self) -> list[dict[str, Any]]:
        """Fields by tab, in the order of the class; each tab knows how many errors it holds."""
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self.rows():
            found.setdefault(self.about[row["name"]].tab, []).append(row)
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
