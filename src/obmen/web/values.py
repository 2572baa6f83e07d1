"""What may be chosen: keys with the words that people know them by, both ways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext

from obmen.core.records import Subject
from obmen.store import journal, mappings, models
from obmen.web import search  # noqa: F401  registers the look-ups "holds" and "begins"

GROUPS, PRODUCTS, COMPANIES = "group", "product", "company"  # subjects of settings that are no References


class Values:
    """Pairs of (key, name). A name that two keys share is shown with its key, so that each can be chosen."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        found = {key: name or key for key, name in pairs}
        names = Counter(name.casefold() for name in found.values())
        self.labels = {key: name if names[name.casefold()] == 1 else f"{name} [{key}]" for key, name in found.items()}
        self._keys = {label.casefold(): key for key, label in self.labels.items()}

    def __contains__(self, key: str) -> bool:
        return key in self.labels

    def label(self, key: str) -> str:
        return self.labels.get(key, key)

    def key(self, text: str) -> str | None:
        """The key of what a person chose or typed; None when there is no such value."""
        text = text.strip()
        return self._keys.get(text.casefold(), text if text in self.labels else None)


class Products(Values):
    """Products of the books: too many for a list, so the page asks while a person types."""

    FOUND = 20

    def __init__(self) -> None:
        super().__init__(())

    def __contains__(self, key: str) -> bool:
        return models.Product.objects.filter(key=key).exists()

    @staticmethod
    def _label(product: models.Product) -> str:
        return f"{product.name} [{product.article or product.code or product.key}]"

    def label(self, key: str) -> str:
        product = models.Product.objects.filter(key=key).first()
        return self._label(product) if product else key

    def key(self, text: str) -> str | None:
        text = text.strip()
        name = text.rpartition(" [")[0] if text.endswith("]") else text
        found = [p for p in models.Product.objects.filter(name=name)[:100] if text in (p.name, self._label(p))]
        if len(found) == 1:
            return found[0].key
        return text if text in self else None

    def search(self, text: str) -> list[str]:
        wanted = models.Product.objects.filter(deleted=False)
        for word in text.split()[:6]:
            wanted = wanted.filter(Q(name__holds=word) | Q(article__begins=word) | Q(code__begins=word))
        return [self._label(p) for p in wanted.order_by("pk")[: self.FOUND]]


_read: ContextVar[Mapping[str, Values]] = ContextVar("values of the books that are read already")


@contextmanager
def books_of(subjects: Iterable[object]) -> Iterator[None]:
    """``of_books`` in here knows these subjects by one query instead of one for each field of a form. What an outer one knows
    is not asked for again."""
    known = _read.get({})
    wanted = {str(s) for s in subjects if s in set(Subject)} - known.keys()
    pairs: dict[str, list[tuple[str, str]]] = {subject: [] for subject in wanted}
    if wanted:
        rows = models.Reference.objects.filter(subject__in=wanted, deleted=False)
        for subject, key, name in rows.values_list("subject", "key", "name"):
            pairs[subject].append((key, name))
    token = _read.set({**known, **{subject: Values(found) for subject, found in pairs.items()}})
    try:
        yield
    finally:
        _read.reset(token)


def read_already(subject: str) -> Values | None:
    return _read.get({}).get(str(subject))


def of_books(subject: str) -> Values:
    """The books' values of a subject."""
    known = read_already(subject)
    if known is not None:
        return known
    if subject == PRODUCTS:
        return Products()
    if subject == COMPANIES:  # the suppliers whom orders name
        named = models.Order.objects.exclude(company="").order_by("company").values_list("company", flat=True).distinct()
        return Values((name, name) for name in named)
    if subject == GROUPS:
        return Values(models.Group.objects.filter(deleted=False).order_by("name").values_list("key", "name"))
    return Values(mappings.own_values(subject)) if subject in set(Subject) else Values(())


def of_choices(choices: Iterable[tuple[str, str]]) -> Values:
    return Values((value, gettext(label) if label else value) for value, label in choices)


def make(subject: str, name: str, connection: models.Connection | None, who: str) -> str:
    """A value of the books that a person typed; its key. The name is the key: nobody else has given it an id."""
    key = name.strip()[:200]
    last = models.Reference.objects.filter(subject=subject).order_by("-position").values_list("position", flat=True).first()
    row, made = models.Reference.objects.get_or_create(
        subject=subject, key=key, defaults={"name": name.strip()[:500], "position": (last or 0) + 1}
    )
    if row.deleted:
        models.Reference.objects.filter(pk=row.pk).update(deleted=False)
    if made or row.deleted:
        journal.note(connection, "reference.added", who, subject=subject, name=row.name)
    return key


@dataclass(slots=True)
class Leaf:
    """A group of goods in the tree that groups are chosen from."""

    key: str
    name: str
    depth: int
    chosen: bool
    known: bool = True
    pk: int = 0

    @property
    def indent(self) -> str:
        """For a list that knows no tree."""
        return "\N{NO-BREAK SPACE}" * 3 * self.depth


def tree(chosen: Iterable[str]) -> list[Leaf]:
    """Every group, parents first, each below its parent; chosen keys that are no groups (any more) stand at the top."""
    wanted = list(chosen)
    rows = list(models.Group.objects.filter(deleted=False).values("pk", "key", "name", "parent_id").order_by("name"))
    below: dict[int | None, list[dict[str, object]]] = {}
    ids = {row["pk"] for row in rows}
    for row in rows:
        below.setdefault(row["parent_id"] if row["parent_id"] in ids else None, []).append(row)
    known = {row["key"] for row in rows}
    out = [Leaf(key, key, 0, True, False) for key in wanted if key not in known]
    waiting = [(row, 0) for row in reversed(below.get(None, []))]
    while waiting:
        row, depth = waiting.pop()
        out.append(Leaf(str(row["key"]), str(row["name"]), depth, row["key"] in wanted, pk=int(row["pk"])))  # type: ignore[call-overload]
        waiting += [(child, depth + 1) for child in reversed(below.get(row["pk"], []))]  # type: ignore[call-overload]
    return out


def below(leaves: Iterable[Leaf], key: str) -> list[int]:
    """Ids of the groups with this key and of all below them, of a whole ``tree``."""
    out, top = [], -1
    for leaf in leaves:
        if top < 0 or leaf.depth <= top:
            top = leaf.depth if leaf.key == key else -1
        if top >= 0:
            out.append(leaf.pk)
    return out


def products_named(request: HttpRequest) -> JsonResponse:
    """What a field for a product offers while a person types."""
    if not request.user.has_perm("store.view_product"):
        raise PermissionDenied
    return JsonResponse({"found": Products().search(request.GET.get("q", ""))})
