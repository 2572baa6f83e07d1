"""Match rules on a tab of the connection's own: by what goods and counterparties are found, each with its priority (seed 000, F26)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.db import transaction
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from obmen.core.records import Kind
from obmen.store import journal, models
from obmen.web.labels import ATTRIBUTES

SEARCHED = {  # what is looked for: (title, attributes that can be compared)
    Kind.PRODUCT: (_("Search for goods"), ("article", "code", "barcode", "name")),
    Kind.COUNTERPARTY: (_("Search for counterparties"), ("phone", "email", "inn", "okpo", "name")),
}
SPARE = 1


class RuleForm(forms.Form):
    attribute = forms.ChoiceField(label=_("attribute"), required=False, widget=UnfoldAdminSelectWidget)
    priority = forms.IntegerField(
        label=_("priority"), required=False, min_value=1, max_value=1000, widget=UnfoldAdminIntegerFieldWidget
    )

    def __init__(self, *args: Any, attributes: Iterable[str], **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.fields["attribute"].choices = [("", "–"), *((a, ATTRIBUTES.get(a, a)) for a in attributes)]


class Rules(forms.BaseFormSet):
    """The rows of one kind; a row without an attribute is taken away."""

    def clean(self) -> None:
        met: set[str] = set()
        for form in self.forms:
            attribute = form.cleaned_data.get("attribute") if form.is_valid() else ""
            if attribute and attribute in met:
                form.add_error("attribute", now_("This attribute stands in the table twice: remove one of the two rows."))
            if attribute and attribute in met:
                raise forms.ValidationError(now_("Each attribute stands in the table once."))
            met.add(attribute or "")

    def wanted(self) -> list[tuple[str, int]]:
        """(attribute, priority) in the order of the priorities; one without a priority comes last."""
        said = [form.cleaned_data for form in self.forms]
        last = max([d.get("priority") or 0 for d in said], default=0) + 1
        return sorted(((d["attribute"], d.get("priority") or last) for d in said if d.get("attribute")), key=lambda pair: pair[1])


def tables(connection: models.Connection, kinds: Iterable[Kind], data: Any = None) -> list[dict[str, Any]]:
    """One table for each kind that the connection's sources bring."""
    rules: dict[str, list[models.MatchRule]] = {}
    for rule in connection.match_rules.all():
        rules.setdefault(rule.kind, []).append(rule)
    out = []
    for kind, (title, attributes) in SEARCHED.items():
        if kind not in kinds:
            continue
        initial = [{"attribute": r.attribute, "priority": r.priority} for r in rules.get(kind, [])]
        known = list(dict.fromkeys([*attributes, *(row["attribute"] for row in initial)]))
        made = forms.formset_factory(RuleForm, formset=Rules, extra=SPARE, max_num=50)
        # What was typed is compared with nothing: a form that is as it was shown would count as empty.
        shown = initial if data is None else None
        formset = made(data, initial=shown, prefix=f"rules-{kind}", form_kwargs={"attributes": known})
        out.append({"kind": kind, "title": title, "formset": formset})
    return out


def save(connection: models.Connection, found: Iterable[dict[str, Any]], who: str) -> bool:
    """Write what is valid; whether anything changed."""
    return set_all(connection, {table["kind"]: table["formset"].wanted() for table in found}, who)


@transaction.atomic
def set_all(connection: models.Connection, wanted: Mapping[str, Sequence[tuple[str, int]]], who: str) -> bool:
    """{kind: [(attribute, priority)]}: the rules of these kinds become these; whether anything changed."""
    changed, before = False, said(connection)
    for kind, pairs in wanted.items():
        rows = connection.match_rules.filter(kind=kind)
        if list(pairs) != [(r.attribute, r.priority) for r in rows]:
            changed = True
            rows.delete()
            models.MatchRule.objects.bulk_create(
                models.MatchRule(connection=connection, kind=kind, attribute=a, priority=p) for a, p in pairs
            )
    if changed:
        note(connection, before, who)
    return changed


def said(connection: models.Connection) -> dict[str, str]:
    """The rules in one line for each kind, as the journal tells them."""
    out: dict[str, str] = {}
    for rule in connection.match_rules.order_by("kind", "priority", "id"):
        out[rule.kind] = f"{out[rule.kind]}, {rule.attribute}" if rule.kind in out else rule.attribute
    return out


def note(connection: models.Connection, before: dict[str, str], who: str) -> None:
    """That the rules are others than ``before``, with old and new."""
    after = said(connection)
    kinds = [kind for kind in sorted({*before, *after}) if before.get(kind, "") != after.get(kind, "")]
    changes = {kind: [before.get(kind, ""), after.get(kind, "")] for kind in kinds}
    journal.note(connection, "rules.changed", who, changes=changes)
