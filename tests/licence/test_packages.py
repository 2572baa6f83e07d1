"""Format packages in the database, and what the registry makes of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import publisher
import pytest

from obmen import registry
from obmen.core.contract import NeedsOwner
from obmen.licence import packages, signing
from obmen.licence.package import BadPackage, build
from obmen.licence.packages import NotTrusted
from obmen.store import connections, models
from obmen.web import guide

pytestmark = pytest.mark.django_db
NEW = publisher.FILES | {"words.py": 'HELLO = "version two"\n'}


@pytest.fixture
def trusted() -> models.Publisher:
    return packages.trust(publisher.LINE, "ann")[0]


def rows() -> list[tuple[str, str]]:
    return list(models.FormatPackage.objects.values_list("key", "version"))


def refused(data: bytes, said: str, kind: type[Exception] = BadPackage) -> None:
    """And nothing has changed."""
    before = list(models.FormatPackage.objects.values())
    with pytest.raises(kind, match=said):
        packages.add(data)
    assert list(models.FormatPackage.objects.values()) == before


def hello() -> str:
    connector = registry.connector("toyshop")
    return connector(connector.settings()).check()


def test_a_package_is_a_connector_like_any_other(trusted: Any, tmp_path: Path) -> None:
    row, changed = packages.add(publisher.made(tmp_path), "ann")
    assert (row.version, row.publisher, changed) == ("1.0", "Toy makers", True)
    assert registry.connectors()["toyshop"].title == "Toy shop"
    assert hello() == "version one"
    one, _password = connections.create("toyshop", "Toys", profile="big")
    assert connections.settings_of(one).portion == 100
    assert connections.check(one) == "version one"
    assert "<strong>them</strong>" in guide.html(registry.connector("toyshop"), "uk")
    assert packages.package_of(one) == row
    assert [(e.action, e.facts["key"]) for e in models.JournalEntry.objects.filter(action="format.added")] == [
        ("format.added", "toyshop")
    ]


def test_it_runs_under_a_name_of_its_own(trusted: Any, tmp_path: Path) -> None:
    packages.add(publisher.made(tmp_path))
    module = registry.connector("toyshop").__module__
    assert module.startswith("obmen_formats.toyshop_")
    assert "words" not in sys.modules
    assert sys.modules[f"{module}.words"].HELLO == "version one"


def test_the_same_again_changes_nothing(trusted: Any, tmp_path: Path) -> None:
    data = publisher.made(tmp_path)
    packages.add(data)
    cls = registry.connector("toyshop")
    assert packages.add(data)[1] is False
    assert registry.connector("toyshop") is cls
    assert models.JournalEntry.objects.filter(action="format.added").count() == 1


def test_a_new_version_takes_over_and_the_old_goes_on_where_it_is_at_work(trusted: Any, tmp_path: Path) -> None:
    packages.add(publisher.made(tmp_path / "1"))
    old = registry.connector("toyshop")
    packages.add(publisher.made(tmp_path / "2", NEW, version="1.1"))
    assert rows() == [("toyshop", "1.1")]
    assert hello() == "version two"
    assert old(old.settings()).check() == "version one"


def test_another_process_sees_a_new_version_by_itself(trusted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages.add(publisher.made(tmp_path / "1"))
    assert hello() == "version one"
    monkeypatch.setattr(packages, "look_again", lambda: None)  # as in a process that did not do it itself
    packages.add(publisher.made(tmp_path / "2", NEW, version="1.1"))
    assert hello() == "version one"
    monkeypatch.setattr(packages, "PAUSE", 0)  # the second has passed
    assert hello() == "version two"


def test_nothing_unsigned_or_of_a_stranger_is_run(tmp_path: Path) -> None:
    trap = {"__init__.py": "raise SystemExit('it was run')\n"}
    refused(build(publisher.folder(tmp_path / "u", trap)), "is not signed; nothing of it is run", NotTrusted)
    fingerprint = signing.spaced(signing.fingerprint(publisher.PUBLIC))
    refused(publisher.made(tmp_path / "s", trap), f"not trusted here. Fingerprint of the key: {fingerprint}", NotTrusted)


def test_a_publisher_is_believed_by_the_fingerprint_that_was_compared() -> None:
    with pytest.raises(NotTrusted, match="not the key that you mean"):
        packages.trust(publisher.LINE, fingerprint="ab" * 32)
    assert not models.Publisher.objects.exists()
    _row, made = packages.trust(publisher.LINE, fingerprint=signing.spaced(signing.fingerprint(publisher.PUBLIC)).upper())
    assert (made, packages.trust(publisher.LINE)[1]) == (True, False)


def test_a_package_stops_when_its_publisher_is_trusted_no_more(trusted: Any, tmp_path: Path) -> None:
    packages.add(publisher.made(tmp_path))
    assert "toyshop" in registry.connectors()
    packages.distrust(trusted)
    packages.look_again()
    assert "toyshop" not in registry.connectors()
    assert "Toy makers is not trusted" in str(packages.troubles()["toyshop"])
    packages.trust(publisher.LINE)
    assert "toyshop" in registry.connectors()


def test_a_row_that_was_altered_in_the_database_is_not_run(trusted: Any, tmp_path: Path) -> None:
    packages.add(publisher.made(tmp_path))
    other = build(publisher.folder(tmp_path / "evil", publisher.FILES | {"words.py": "import os\nHELLO = 'evil'\n"}))
    models.FormatPackage.objects.update(body=other, digest="00" * 32)
    packages.look_again()
    assert "toyshop" not in registry.connectors()


@pytest.mark.parametrize(
    ("changes", "files", "said"),
    [
        ({"version": "0.9"}, publisher.FILES, r"older \(0.9\) than the one that is installed \(1.0\)"),
        ({}, NEW, "has the version that is installed, 1.0, and other content"),
        ({"version": "2"}, publisher.FILES | {"words.py": "import no_such_module\n"}, "does not load: ModuleNotFoundError"),
        ({"version": "2"}, publisher.FILES | {"words.py": "HELLO = (\n"}, "does not load: SyntaxError"),
        ({"version": "2"}, publisher.FILES | {"words.py": ""}, "does not load: ImportError"),
        ({"version": "2"}, {"__init__.py": "x = 1\n"}, "has to hold one connector"),
        (
            {"version": "2"},
            publisher.FILES | {"__init__.py": publisher.INIT.replace('"toyshop"', '"other"')},
            "with the key “toyshop”",
        ),
        (
            {"version": "2"},
            publisher.FILES | {"__init__.py": publisher.INIT.replace('{"portion": 100}', '{"potion": 1}')},
            "The profile “big” is wrong",
        ),
        (
            {"version": "2"},
            publisher.FILES | {"__init__.py": publisher.INIT.replace("    def check", "    def chek")},
            "lacks check",
        ),
    ],
)
def test_a_refused_version_leaves_the_old_one_at_work(
    changes: dict[str, Any], files: dict[str, str], said: str, trusted: Any, tmp_path: Path
) -> None:
    packages.add(publisher.made(tmp_path / "1"))
    refused(publisher.made(tmp_path / "2", files, **changes), said)
    packages.look_again()
    assert hello() == "version one"


def test_a_restart_is_asked_for_only_where_one_is_needed(trusted: Any, tmp_path: Path) -> None:
    row, _changed = packages.add(publisher.made(tmp_path / "1"))
    assert packages.needs_restart(row) is False
    init = publisher.INIT.replace("calls_out = True", "addresses = ('toys/exchange.php',)")
    row, _changed = packages.add(publisher.made(tmp_path / "2", publisher.FILES | {"__init__.py": init}, version="2"))
    assert packages.needs_restart(row) is True


def test_another_publisher_cannot_replace_a_package(trusted: Any, tmp_path: Path) -> None:
    packages.add(publisher.made(tmp_path / "1"))
    other = signing.read_private(signing.new_private())
    packages.trust(signing.public_line(signing.public_of(other), "Others"))
    refused(publisher.made(tmp_path / "2", NEW, other, version="2"), "installed from another publisher, Toy makers", NotTrusted)


@pytest.mark.parametrize("name", ["commerceml_door", "crm"])
def test_a_built_in_connector_is_never_shadowed(name: str, trusted: Any, tmp_path: Path) -> None:
    """Neither by its key nor by another name of it."""
    own = registry.connector(name)
    files = publisher.FILES | {"__init__.py": publisher.INIT.replace('"toyshop"', repr(name))}
    refused(_keyed(tmp_path, files, name), "may not take it")
    aliased = publisher.INIT.replace("    calls_out = True", f"    calls_out = True\n    aliases = ({name!r},)")
    refused(
        publisher.made(tmp_path / "a", publisher.FILES | {"__init__.py": aliased}), f"“{name}” is the name of another connector"
    )
    assert registry.connector(name) is own


def _keyed(at: Path, files: dict[str, str], name: str) -> bytes:
    from obmen.licence import package

    made = publisher.folder(at / "keyed", files)
    text = (made / package.DECLARATION).read_text("utf-8")
    (made / package.DECLARATION).write_text(text.replace("key = 'toyshop'", f"key = '{name}'"), "utf-8")
    return package.sign(build(made), publisher.KEY)


def test_a_package_that_no_longer_loads_is_left_out_and_the_rest_goes_on(
    trusted: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was fine when it was added; this process lacks what it needs."""
    files = publisher.FILES | {"words.py": "import colorsys\nHELLO = 'x'\n"}
    packages.add(publisher.made(tmp_path, files))
    for name in [m for m in sys.modules if m.startswith("obmen_formats.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "colorsys", None)
    monkeypatch.setattr(packages, "_state", ())
    packages.look_again()
    assert "toyshop" not in registry.connectors()
    assert "commerceml_door" in registry.connectors()
    assert "format package toyshop is left out" in caplog.text
    assert "ModuleNotFoundError" in str(packages.troubles()["toyshop"])


def test_a_removed_package_takes_its_connector_along_and_leaves_the_connections(trusted: Any, tmp_path: Path) -> None:
    row, _changed = packages.add(publisher.made(tmp_path))
    one, _password = connections.create("toyshop", "Toys")
    assert packages.connections_of(row) == [one]
    packages.remove(row, "ann")
    packages.look_again()
    assert rows() == []
    with pytest.raises(NeedsOwner, match="no connector “toyshop”"):
        connections.settings_of(one)
    assert models.Connection.objects.filter(pk=one.pk).exists()


# --- profiles ---

PROFILE = """
title = "Corner shop"
note = "For small ones."
streams = ["products-in"]

[settings]
dialect = "ut11"
"""


def profiles(at: Path, text: str = PROFILE, name: str = "corner", **changes: Any) -> bytes:
    said = {"kind": "profile", "connector": "commerceml_door", **changes}
    return publisher.made(at, {f"profiles/{name}.toml": text}, **said)


def test_a_profile_package_adds_profiles_to_a_connector(trusted: Any, tmp_path: Path) -> None:
    own = registry.connector("commerceml_door")
    row, _changed = packages.add(profiles(tmp_path))
    extended = registry.connector("commerceml_door")
    assert extended.profiles()["corner"]["title"] == "Corner shop"
    assert set(own.profiles()) < set(extended.profiles())
    one, _password = connections.create("1c", "Corner", profile="corner")
    assert connections.settings_of(one).dialect == "ut11"
    assert list(one.streams.filter(enabled=True).values_list("stream", flat=True)) == ["products-in"]
    assert packages.connections_of(row) == [one]
    assert packages.package_of(one) == row
    packages.remove(row)
    packages.look_again()
    assert registry.connector("commerceml_door") is own


@pytest.mark.parametrize(
    ("text", "changes", "said"),
    [
        (PROFILE.replace("dialect", "dialekt"), {}, "The profile “corner” is wrong: .*dialekt"),
        (PROFILE.replace("products-in", "returns-in"), {}, "streams: returns-in"),
        ("limits = {}\n" + PROFILE, {}, "says what no profile says: limits"),
        ("title = ", {}, "is no TOML"),
        (PROFILE, {"name": "ut11"}, "has a profile “ut11” already"),
        (PROFILE, {"connector": "no_such"}, "no connector “no_such”"),
        ('title = "x"\n[[mappings]]\nsubject = "nothing"\ntheirs = "N"\n', {}, "mappings:"),
    ],
)
def test_a_wrong_profile_is_refused(text: str, changes: dict[str, Any], said: str, trusted: Any, tmp_path: Path) -> None:
    refused(profiles(tmp_path, text, **changes), said)
    packages.look_again()
    assert "corner" not in registry.connector("commerceml_door").profiles()


# --- on disk ---


def test_a_package_on_disk_is_renewed_by_itself(trusted: Any, tmp_path: Path) -> None:
    """F5."""
    file = tmp_path / "toy.obmen"
    file.write_bytes(publisher.made(tmp_path / "1"))
    row, _changed = packages.add_from(file, "ann", follow=True)
    assert (row.path, packages.follow_disk()) == (str(file), 0)
    file.write_bytes(publisher.made(tmp_path / "2", NEW, version="1.1"))
    assert packages.follow_disk() == 1
    assert (rows(), hello()) == ([("toyshop", "1.1")], "version two")
    assert packages.follow_disk() == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [("broken", "no format package"), ("older", "older"), ("unsigned", "is not signed"), ("other", "another format")],
)
def test_what_is_wrong_with_a_file_on_disk_is_said_and_the_old_one_stays(
    name: str, said: str, trusted: Any, tmp_path: Path
) -> None:
    file = tmp_path / "toy.obmen"
    file.write_bytes(publisher.made(tmp_path / "1"))
    packages.add_from(file, follow=True)
    other = tmp_path / "other"
    content = {
        "broken": lambda: b"half a file",
        "older": lambda: publisher.made(other, NEW, version="0.1"),
        "unsigned": lambda: build(publisher.folder(other, NEW, version="2")),
        "other": lambda: _keyed(other, publisher.FILES, "toyshop_two"),
    }[name]()
    file.write_bytes(content)
    assert packages.follow_disk() == 0
    row = models.FormatPackage.objects.get()
    assert said in row.text
    assert (row.version, hello()) == ("1.0", "version one")
    file.unlink()
    assert packages.follow_disk() == 0
    assert hello() == "version one"
