"""Collect the sentences that people read, renew src/obmen/locale/*/LC_MESSAGES/django.po and compile the .mo beside each.

    python tools/translations.py            collect, renew, compile; says what is still to be translated
    python tools/translations.py --missing  print what is still to be translated, change nothing

Plain Python on purpose. makemessages does not know ``now_`` (gettext beside a gettext_lazy that is already called ``_``), needs the
gettext tools, and leaves out what the page theme and the sign-in guard say: they bring no Ukrainian and no Russian of their own.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import polib
from django.utils.translation.template import templatize

SOURCE = Path(__file__).resolve().parent.parent / "src" / "obmen"
LOCALE = SOURCE / "locale"
LANGUAGES = ("uk", "ru")
PLURAL_FORMS = (
    "nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<12 || n%100>14) ? 1 : 2);"  # both languages
)
# What Django itself says on our pages; most of it is translated by Django.
DJANGO = ("contrib/admin", "contrib/auth", "contrib/contenttypes", "contrib/sessions", "conf", "forms", "core", "db/models")

# How many leading arguments are text, and whether the first of them is a context.
MARKS = {
    "gettext": (1, False),
    "gettext_noop": (1, False),
    "gettext_lazy": (1, False),
    "ngettext": (2, False),
    "ngettext_lazy": (2, False),
    "pgettext": (2, True),
    "pgettext_lazy": (2, True),
    "npgettext": (3, True),
    "npgettext_lazy": (3, True),
}
CALL = re.compile(r"\b(n?p?gettext|_)\(")


@dataclass
class Sentence:
    text: str
    plural: str = ""
    context: str = ""
    places: list[str] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str]:
        return self.context, self.text


def ours() -> dict[tuple[str, str], Sentence]:
    """Every sentence of the package, in the order of files."""
    found: dict[tuple[str, str], Sentence] = {}
    for file in sorted(SOURCE.rglob("*")):
        if "locale" in file.relative_to(SOURCE).parts:
            continue
        _gather(found, _of_file(file), str(file.relative_to(SOURCE)))
    return found


@cache
def theirs() -> dict[tuple[str, str], Sentence]:
    """Sentences of the page theme and of the sign-in guard."""
    found: dict[tuple[str, str], Sentence] = {}
    for package in ("unfold", "axes"):
        folder = _folder(package)
        for file in sorted(folder.rglob("*")):
            if file.is_relative_to(folder / "contrib") and not file.is_relative_to(folder / "contrib" / "filters"):
                continue  # extras of the theme that are not installed here
            _gather(found, _of_file(file), f"{package}/{file.relative_to(folder)}")
    return found


@cache
def django_own() -> dict[tuple[str, str], Sentence]:
    found: dict[tuple[str, str], Sentence] = {}
    folder = _folder("django")
    for part in DJANGO:
        for file in sorted((folder / part).rglob("*")):
            if not {"management", "locale"} & set(file.parts):
                _gather(found, _of_file(file), f"django/{file.relative_to(folder)}")
    return found


def django_translated(language: str) -> set[tuple[str, str]]:
    """What Django's own catalogues already say in the language."""
    done: set[tuple[str, str]] = set()
    for part in DJANGO:  # other parts of Django translate more, but they are not installed here
        file = _folder("django") / part / "locale" / language / "LC_MESSAGES" / "django.po"
        if not file.exists():
            continue
        done |= {(e.msgctxt or "", e.msgid) for e in polib.pofile(str(file)) if e.translated()}
    return done


def collect(language: str) -> dict[tuple[str, str], Sentence]:
    """Everything that the catalogue of this language must hold: ours, and of others what Django does not translate."""
    wanted = ours()
    done = django_translated(language)
    for key, sentence in {**django_own(), **theirs()}.items():
        if key not in done and key not in wanted and re.search(r"[^\W\d_]{2}", sentence.text):
            wanted[key] = sentence
    return wanted


def catalogue(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / "django.po"


def renewed(language: str) -> polib.POFile:
    """The catalogue with new sentences added (empty), vanished ones dropped, and what was translated kept."""
    file = catalogue(language)
    old = {(e.msgctxt or "", e.msgid): e for e in polib.pofile(str(file))} if file.exists() else {}
    po = polib.POFile(wrapwidth=120)
    po.metadata = {
        "Project-Id-Version": "obmen",
        "Language": language,
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=UTF-8",
        "Content-Transfer-Encoding": "8bit",
        "Plural-Forms": PLURAL_FORMS,
    }
    for key, sentence in collect(language).items():
        entry = polib.POEntry(msgid=sentence.text, msgctxt=sentence.context or None)
        entry.occurrences = [(place, "") for place in sentence.places]
        before = old.get(key)
        if sentence.plural:
            entry.msgid_plural = sentence.plural
            forms = before.msgstr_plural if before else {}
            entry.msgstr_plural = {i: forms.get(i, "") for i in range(3)}
        else:
            entry.msgstr = before.msgstr if before else ""
        if before:
            entry.tcomment, entry.flags = before.tcomment, before.flags
        po.append(entry)
    return po


def missing(po: polib.POFile) -> list[polib.POEntry]:
    return [e for e in po if not e.translated() or "fuzzy" in e.flags]


def _folder(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None, package
    assert spec.submodule_search_locations, package
    return Path(spec.submodule_search_locations[0])


def _gather(found: dict[tuple[str, str], Sentence], sentences: Iterator[Sentence], place: str) -> None:
    for sentence in sentences:
        if not sentence.text:
            continue
        known = found.setdefault(sentence.key, sentence)
        known.plural = known.plural or sentence.plural
        if place not in known.places:
            known.places.append(place)


def _of_file(file: Path) -> Iterator[Sentence]:
    if file.suffix == ".py":
        yield from of_python(file.read_text("utf-8"))
    elif file.suffix in (".html", ".txt") and "templates" in file.parts:
        yield from of_template(file.read_text("utf-8"))
    elif file.suffix == ".toml" and file.parent.name == "profiles":
        profile = tomllib.loads(file.read_text("utf-8"))
        yield from (Sentence(profile[name]) for name in ("title", "note") if profile.get(name))
        yield from map(Sentence, profile.get("traps", ()))
        yield from map(Sentence, profile.get("where", ()))
        yield from (Sentence(answer["remedy"]) for answer in profile.get("answers", ()))


def of_python(source: str) -> Iterator[Sentence]:
    """Calls of a function that this file imported from a module of translations, under whatever name."""
    tree = ast.parse(source)
    names = {name: name for name in MARKS}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {(a.asname or a.name): a.name for a in node.names if a.name in MARKS}
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    for node in sorted(calls, key=lambda n: (n.lineno, n.col_offset)):
        called = (
            node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""
        )
        if called in names:
            yield from _of_call(names[called], node)


def of_template(source: str) -> Iterator[Sentence]:
    code = templatize(source)
    for match in CALL.finditer(code):
        name = "gettext" if match[1] == "_" else match[1]
        end = match.end()
        while (end := code.find(")", end) + 1) > 0:  # the first bracket that makes it whole: a text may hold brackets too
            try:
                call = ast.parse(code[match.start() : end], mode="eval").body
            except SyntaxError:
                continue
            if isinstance(call, ast.Call):
                yield from _of_call(name, call)
            break


def _of_call(name: str, call: ast.Call) -> Iterator[Sentence]:
    count, has_context = MARKS[name]
    texts = [a.value for a in call.args[:count] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    if len(texts) != count:
        return  # a name: its sentence was marked where it was written
    context = texts.pop(0) if has_context else ""
    yield Sentence(texts[0], texts[1] if len(texts) > 1 else "", context)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--missing", action="store_true", help="only print what is still to be translated")
    only_print = parser.parse_args().missing
    left = 0
    for language in LANGUAGES:
        po = renewed(language)
        if not only_print:
            catalogue(language).parent.mkdir(parents=True, exist_ok=True)
            po.save(str(catalogue(language)))
            po.save_as_mofile(str(catalogue(language).with_suffix(".mo")))
        gaps = missing(po)
        left += len(gaps)
        for entry in gaps if only_print else []:
            print(f"{language}: {entry.msgid!r}  ({', '.join(place for place, _ in entry.occurrences)})")
        print(f"{language}: {len(po)} sentences, {len(gaps)} to be translated")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
