"""A thing without its words is not finished: settings, variables, commands, options, errors, streams and dumps are documented,
and what the docs name exists."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import typer
from typer.main import get_command

from obmen import registry
from obmen.cli.books import DumpKind
from obmen.core import contract
from obmen.core.records import Kind, Subject
from obmen.sandbox import onec
from obmen.sandbox.prom import commands as prom
from obmen.sandbox.retailcrm import commands as retailcrm
from obmen.sandbox.rozetka import commands as rozetka
from obmen.sandbox.shop import commands as shop

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
VARIABLE = re.compile(r"\bOBMEN_[A-Z][A-Z_]*[A-Z]\b")
SANDBOXES = {
    "onec": onec.app,
    "prom": prom.app,
    "retailcrm": retailcrm.app,
    "rozetka": rozetka.app,
    "shop": shop.app,
}  # each has a page of its own in docs/sandbox
# Options that every command has, and those whose command's page is its own --help (docs/cli.md says so).
EVERYWHERE = {"--help", "-h"}


@cache
def text(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


@cache
def pages() -> dict[Path, str]:
    files = [*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md"]
    return {file: file.read_text("utf-8") for file in files}


def words(body: str) -> set[str]:
    """Everything that stands in code spans and blocks, cut at white space and punctuation of shapes."""
    spans = re.findall(r"```.*?```|`[^`]+`", body, re.DOTALL)
    return {word for span in spans for word in re.split(r"[\s`\[\](){}|,;:=…\"]+", span) if word}


def missing(wanted: Iterator[str] | list[str], body: str) -> list[str]:
    said = words(body)
    return [name for name in wanted if name not in said]


# --- what is missing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", sorted(registry.connectors()))
def test_every_setting_and_profile_of_a_connector_has_its_words(key: str) -> None:
    cls = registry.connector(key)
    page = text(f"connectors/{key.replace('_', '-')}.md")
    assert missing([*(f.name for f in fields(cls.settings)), *cls.profiles()], page) == []


def test_every_stream_has_its_words() -> None:
    streams = sorted({stream for cls in registry.connectors().values() for stream in cls.streams})
    assert missing(streams, text("glossary.md")) == []


def test_every_variable_that_the_code_reads_has_its_words() -> None:
    source = "\n".join(file.read_text("utf-8") for file in (ROOT / "src").rglob("*.py"))
    assert missing(sorted(set(VARIABLE.findall(source))), text("settings.md")) == []


def commands(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """(words of the call, command) of every command that does something."""
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
    for name, one in (below or {}).items():
        yield from commands(one, (*path, name))


def every_command() -> dict[tuple[str, ...], object]:
    cli = importlib.import_module("obmen.cli.main")  # obmen.cli says main() under that name
    found = dict(commands(get_command(cli.app)))
    return found | {("sandbox", name, *path): one for name, app in SANDBOXES.items() for path, one in commands(get_command(app))}


def options(command: object) -> list[str]:
    named = [p for p in command.params if p.param_type_name == "option"]  # type: ignore[attr-defined]
    return [name for p in named for name in (*p.opts, *p.secondary_opts) if name not in EVERYWHERE]


def test_every_command_has_its_words() -> None:
    body = text("cli.md")
    own = [path for path in every_command() if path[0] != "sandbox"]
    assert [path for path in own if f"`obmen {' '.join(path)}" not in body] == []
    for name in SANDBOXES:
        assert missing([path[-1] for path in every_command() if path[:2] == ("sandbox", name)], text(f"sandbox/{name}.md")) == []


def test_every_option_has_its_words() -> None:
    """In the paragraph of its command; those of the sandbox anywhere on its page."""
    lacking = []
    for path, command in every_command().items():
        if path[0] == "sandbox":
            lacking += missing(options(command), text(f"sandbox/{path[1]}.md"))
        else:
            call = f"`obmen {' '.join(path)}"
            paragraphs = [p for p in text("cli.md").split("\n\n") if call in p]
            lacking += [(path, name) for name in missing(options(command), "\n\n".join(paragraphs))]
    assert lacking == []


def exceptions(module: ModuleType) -> list[str]:
    found = inspect.getmembers(module, lambda v: inspect.isclass(v) and issubclass(v, Exception))
    return [name for name, cls in found if cls.__module__ == module.__name__]


def test_every_error_class_of_the_contract_has_its_words() -> None:
    names = exceptions(contract)
    assert {"NeedsOwner", "TryLater", "BadRecord", "MissingLink"} <= set(names)
    assert missing(names, text("connectors/writing-one.md")) == []


def test_every_dump_has_its_shape_described() -> None:
    headings = set(re.findall(r"^### (\S+)$", text("cli.md"), re.MULTILINE))
    assert {kind.value for kind in DumpKind} <= headings


def test_every_exit_code_has_its_words() -> None:
    from obmen.cli import common

    codes = {common.OK, common.BAD_DATA, common.USAGE, common.NEEDS_OWNER}
    assert codes <= {int(code) for code in re.findall(r"^\| (\d+) \|", text("cli.md"), re.MULTILINE)}


def test_every_decision_and_page_is_reachable_from_the_index() -> None:
    linked: set[Path] = set()
    waiting = [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        if page not in linked:
            linked.add(page)
            waiting += [target for target, _anchor in links(page) if target.suffix == ".md" and target.is_relative_to(DOCS)]
    assert sorted(p.relative_to(DOCS).as_posix() for p in set(DOCS.rglob("*.md")) - linked) == []


# --- what is said and does not exist ---------------------------------------------------------------------------------------


def links(page: Path) -> list[tuple[Path, str]]:
    """(file, anchor) of every link that stays in this tree."""
    said = re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
    inside = [link.partition("#") for link in said if not re.match(r"[a-z]+:", link)]
    return [((page.parent / name).resolve() if name else page, anchor) for name, _hash, anchor in inside]


def anchors(page: Path) -> set[str]:
    """As GitHub and its like make them of headings."""
    heads = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def test_no_link_leads_nowhere() -> None:
    broken = [
        f"{page.name}: {target.name}#{anchor}"
        for page in pages()
        for target, anchor in links(page)
        if not target.exists() or (anchor and anchor not in anchors(target))
    ]
    assert broken == []


def test_no_variable_is_described_that_nothing_reads() -> None:
    files = [file for top in ("src", "tests") for file in (ROOT / top).rglob("*.py")] + [ROOT / "Makefile"]
    read = set(VARIABLE.findall("\n".join(file.read_text("utf-8") for file in files)))
    said = {name for body in pages().values() for name in VARIABLE.findall(body)}
    assert sorted(said - read) == []


def test_no_command_is_described_that_does_not_exist() -> None:
    known = set(every_command())
    starts = {path[:n] for path in known for n in range(1, len(path) + 1)}
    unknown = []
    for page, body in pages().items():
        for call in re.findall(r"(?:`|bin/|^)obmen ((?:[a-z]+(?:-[a-z]+)* ?)+)", body, re.MULTILINE):
            path = tuple(call.split())
            longest = next((path[:n] for n in range(len(path), 0, -1) if path[:n] in starts), ())
            if not longest or (longest not in known and len(path) > len(longest)):
                unknown.append(f"{page.name}: obmen {call}")
    assert unknown == []


def test_no_make_target_is_described_that_does_not_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    said = {name for body in pages().values() for name in re.findall(r"(?:`|^)make ([a-z]+)", body, re.MULTILINE)}
    assert said - targets == set()


def test_no_file_of_the_source_is_named_that_does_not_exist() -> None:
    """The one page for newcomers must not lead them astray."""
    body = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    named = set(re.findall(r"`((?:[a-z_]+/)+[\w.]+\.(?:py|toml|md))`", body))
    places = (ROOT, ROOT / "src" / "obmen")
    assert sorted(name for name in named if not any((place / name).exists() for place in places)) == []


# --- and these tests can fail ----------------------------------------------------------------------------------------------


def test_a_word_counts_only_as_code() -> None:
    assert missing(["zip", "max_file", "--json"], "zip your files, `max_file` = 1, `run [--json]`") == ["zip"]


def test_a_new_option_is_noticed() -> None:
    app = typer.Typer(add_completion=False)

    @app.command()
    def some(brand_new: bool = typer.Option(False, "--brand-new")) -> None: ...

    found = options(get_command(app))
    assert missing(found, text("cli.md")) == ["--brand-new"]


def test_a_new_error_is_noticed() -> None:
    module = ModuleType("elsewhere")
    made = type("BrandNewError", (Exception,), {"__module__": "elsewhere"})
    module.BrandNewError = made  # type: ignore[attr-defined]
    assert missing(exceptions(module), text("connectors/writing-one.md")) == ["BrandNewError"]


def test_subjects_and_kinds_of_records_stand_in_the_glossary_as_words() -> None:
    """In words of people: price_kind is “price kind”. Parts that are never shown alone are left out."""
    inner = {"variant", "prices", "manager", "cancel_reason", "currency", "manufacturer", "reference", "payment_kind"}
    names = {str(v) for v in (*Kind, *Subject)} - inner
    body = text("glossary.md")
    assert sorted(name for name in names if f"| {name.replace('_', ' ')}" not in body) == []
