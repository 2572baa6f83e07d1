"""House rules that no linter knows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "obmen"
OURS = ("src", "tests", "docs", "bench", "tools", "requirements", ".ci")
NOT_OURS = {"__pycache__", "out", "obmen.egg-info"}
TEXT = {".py", ".md", ".toml", ".html", ".css", ".js", ".svg", ".in", ".lock", ".po", ".txt", ".json", ".xml", ".jsonl", ""}
ME = Path(__file__)

MARKS = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
MACHINE = re.compile(
    r"(?<![\w.:/-])(?:/work/|/root/|/home/\w|/Users/\w|[A-Z]:\\\\?Users)|(?<!\.\./)\bshared/(?:facts|samples|tools|seeds)\b"
)
TEMPORARY = re.compile(r"(?<![\w.:/-])/tmp/\w")
ADDRESS = re.compile(r"https?://|--(?:extra-)?index-url|--find-links|--trusted-host")


def tree() -> Iterator[tuple[Path, str]]:
    """Every text file of the project, without what is made, and without this one, which has to say the forbidden words."""
    files = [p for top in OURS for p in (ROOT / top).rglob("*")] + list(ROOT.glob("*"))
    for path in sorted(set(files)):
        if path.is_file() and path != ME and path.suffix in TEXT and not NOT_OURS & set(path.relative_to(ROOT).parts):
            yield path, path.read_text("utf-8")


def found(pattern: re.Pattern[str], files: Iterator[tuple[Path, str]]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path, text in files
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def folders(ring: str) -> list[str]:
    return sorted(p.parent.name for p in (SOURCE / ring).glob("*/__init__.py"))


def naming(name: str) -> re.Pattern[str]:
    """The folder's name as a word, in the spellings of code, addresses and files; one that any text may say, as a module."""
    if name == "shop":
        return re.compile(r"(?<![A-Za-z])sandbox[./ ]shop(?![A-Za-z])")
    return re.compile(r"(?<![A-Za-z])" + name.replace("_", "[-_]") + r"(?![A-Za-z])")


def code(*without: Path) -> Iterator[tuple[Path, str]]:
    """The package without these places, and without the lists of sentences, which say where each of them stands."""
    for path, text in tree():
        if path.is_relative_to(SOURCE) and path.suffix != ".po" and not any(path.is_relative_to(place) for place in without):
            yield path, text


@pytest.mark.parametrize("name", folders("connectors"))
def test_an_outside_system_is_named_in_its_own_folder_only(name: str) -> None:
    """And by the stand-in of the same name, with its command and the demo."""
    places = (SOURCE / "connectors" / name, SOURCE / "sandbox" / name, SOURCE / "cli", SOURCE / "demo.py")
    assert found(naming(name), code(*places)) == []


@pytest.mark.parametrize("name", folders("sandbox"))
def test_a_sandbox_is_named_by_the_command_line_and_the_demo_only(name: str) -> None:
    """A connector may have the name among its aliases: what people type."""
    assert found(naming(name), code(SOURCE / "sandbox" / name, SOURCE / "cli", SOURCE / "demo.py", SOURCE / "connectors")) == []


def test_no_machine_of_ours_is_named() -> None:
    assert found(MACHINE, tree()) == []


def test_no_path_of_a_temporary_folder_is_written_down() -> None:
    """Tests say such paths where an attacker would."""
    assert found(TEMPORARY, ((path, text) for path, text in tree() if not path.is_relative_to(ROOT / "tests"))) == []


def test_packages_come_from_wherever_the_machine_takes_them() -> None:
    """An address of a package host in what installs would bind every user to it."""
    places = ("requirements", ".ci", "Makefile", "pyproject.toml")
    installing = ((p, t) for p, t in tree() if p.relative_to(ROOT).parts[0] in places)
    assert found(ADDRESS, installing) == []


def test_nothing_is_left_to_be_done_later() -> None:
    assert found(MARKS, tree()) == []


def test_every_locked_package_has_a_hash_and_every_wanted_one_is_locked() -> None:
    for lock in sorted((ROOT / "requirements").glob("*.lock")):
        text = lock.read_text("utf-8")
        entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
        assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == [], lock.name
        pinned = {re.split(r"[=\[]", entry)[0] for entry in entries}
        wanted = re.findall(r"^([A-Za-z0-9._-]+)", lock.with_suffix(".in").read_text("utf-8"), re.MULTILINE)
        assert {w.lower().replace("_", "-") for w in wanted if not w.startswith("-")} <= pinned, lock.name


def test_what_the_package_depends_on_is_what_gets_installed() -> None:
    """``make demo`` installs by the lock and the package without dependencies: the two must agree."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    wanted = re.findall(
        r'^  "([A-Za-z0-9-]+)', text[text.index("dependencies = [") : text.index("[project.optional")], re.MULTILINE
    )
    base = (ROOT / "requirements" / "base.lock").read_text("utf-8")
    assert [name for name in wanted if not re.search(rf"^{name.lower()}(\[|==)", base, re.MULTILINE)] == []


def test_no_migration_is_missing() -> None:
    from django.apps import apps
    from django.db.migrations.autodetector import MigrationAutodetector
    from django.db.migrations.loader import MigrationLoader
    from django.db.migrations.state import ProjectState
    from django.utils import translation

    with translation.override(None):  # migrations hold the English names
        loader = MigrationLoader(None)
        changes = MigrationAutodetector(loader.project_state(), ProjectState.from_apps(apps)).changes(graph=loader.graph)
        assert {app: [str(o) for m in its for o in m.operations] for app, its in changes.items() if app == "store"} == {}


def test_no_two_tests_have_one_name() -> None:
    """The second one of a module would silently replace the first."""
    twice = []
    for path, text in tree():
        if path.name.startswith("test_"):
            names = re.findall(r"^def (test_\w+)", text, re.MULTILINE)
            twice += [f"{path.name}: {name}" for name in sorted(set(names)) if names.count(name) > 1]
    assert twice == []


@pytest.mark.parametrize(
    ("pattern", "line", "noticed"),
    [
        (naming("prom"), "from obmen.connectors.prom import api", True),
        (naming("prom"), 'key == "prom"', True),
        (naming("prom"), "the prompt promises", False),
        (naming("my_shop"), "docs/my-shop.md", True),
        (naming("onec"), "class OneConnection", False),
        (MACHINE, 'open("/root/x")', True),
        (MACHINE, "at /home/ann/obmen", True),
        (MACHINE, "see shared/facts/x.md", True),
        (MACHINE, "https://example.com/home/", False),
        (MACHINE, "a framework/work/jobs.py", False),
        (TEMPORARY, 'Path("/tmp/out")', True),
        (ADDRESS, "--index-url x", True),
        (MARKS, "# TODO: later", True),
        (MARKS, "todo = bundles(folder)", False),
    ],
)
def test_the_rules_notice_what_they_are_for(pattern: re.Pattern[str], line: str, noticed: bool) -> None:
    assert bool(pattern.search(line)) is noticed
