"""What every test shares: a data folder of its own, the database of this session, a hub as a real process."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

_home = tempfile.mkdtemp(prefix="obmen-test-")
os.environ["OBMEN_HOME"] = _home
os.environ.setdefault("OBMEN_TIME_ZONE", "Europe/Kyiv")
os.environ["OBMEN_LANGUAGE"] = "en"  # tests quote the sentences of the source; tests/test_translations.py is about the others
if "OBMEN_TEST_ON" in os.environ:  # make test runs the suite a second time with OBMEN_TEST_ON=postgresql
    from hub import postgresql_url

    os.environ["OBMEN_DATABASE_URL"] = postgresql_url()
else:
    os.environ.pop("OBMEN_DATABASE_URL", None)
Path(_home, "secret_key").write_text("only for tests")
Path(_home, "keys").write_text("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n")

# Not in pyproject.toml: pytest-django would read the settings before this file has said which database and data folder they mean.
os.environ["DJANGO_SETTINGS_MODULE"] = "obmen.settings"
from django.conf import settings as _settings  # noqa: E402

assert str(_settings.OBMEN_HOME) == str(Path(_home).resolve())

# CI repeats the same made-up cases; at home every run looks for new ones. No deadline: how long a case takes says how busy the
# machine is.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
hypothesis.settings.register_profile("home", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "home")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Workers inherit this environment, and pytest-django would read the settings there before this file gave them a home."""
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)


CORE = Path(__file__).resolve().parent / "core"
DATABASE = {"db", "transactional_db", "make_hub"}  # fixtures by which a test gets to a database


def _without_database(item: pytest.Item) -> bool:
    """A test of a connector that sees no database says the same on each of them; it has been run once."""
    if "connectors" not in item.path.parts or item.get_closest_marker("django_db"):
        return False
    return not DATABASE & set(getattr(item, "fixturenames", ()))


def _says_something_here(item: pytest.Item) -> bool:
    """On the database of this run."""
    only = item.get_closest_marker("only_on")
    if "OBMEN_TEST_ON" in os.environ:
        return (only is None or only.args[0] == "postgresql") and not _without_database(item)
    return only is None or only.args[0] == "sqlite"


def _is_tried_twice(item: pytest.Item) -> bool:
    """A browser, or processes that are killed, on a busy machine; never a law of the core (docs/decisions/0012-tried-twice.md)."""
    return bool({"page", "long"} & {mark.name for mark in item.iter_markers()}) and CORE not in item.path.parents


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files with long tests first: begun last, one of them would keep one core busy when all others are through."""
    wanted = [item for item in items if _says_something_here(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(wanted)])
    items[:] = wanted
    long = {item.path for item in items if item.get_closest_marker("long")}
    items.sort(key=lambda item: item.path not in long)
    for item in items:
        if _is_tried_twice(item) and not config.option.usepdb:  # the debugger and a second attempt exclude each other
            # Both attempts share one time-out: what ran out of it once would hang without an end.
            item.add_marker(pytest.mark.flaky(reruns=1, rerun_except="from pytest-timeout"))


SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """A file instead of SQLite's memory, so that threads, WAL and locks are those of the product."""
    from django.conf import settings

    db = settings.DATABASES["default"]
    mark = os.environ.get("PYTEST_XDIST_WORKER", "") + str(os.getpid())
    if db["ENGINE"].endswith("sqlite3"):
        db["TEST"]["NAME"] = f"{_home}/test-{mark}.sqlite3"
    else:
        db["TEST"]["NAME"] = f"test_obmen_{mark}"


@pytest.fixture
def samples() -> Path:
    """Real files of other people's systems; only where the folder exists."""
    folder = SHARED / "samples"
    if not folder.is_dir():
        pytest.skip("the folder of samples is not beside this checkout")
    return folder


@pytest.fixture
def xsd() -> Path:
    folder = SHARED / "facts" / "commerceml_xsd"
    if not folder.is_dir():
        pytest.skip("the official schemas are not beside this checkout")
    return folder


@pytest.fixture(autouse=True)
def _connectors_of_one_test() -> Iterator[None]:
    """A connector that a test made known ends with it, also when format packages were read anew meanwhile. Packages are looked for
    when a test says so, and not when a second has passed: queries are counted."""
    from obmen import registry
    from obmen.licence import packages

    packages._looked = time.monotonic() + 3600 if packages._shown == registry.Packages() else 0.0
    yield
    registry.forget()


@pytest.fixture
def make_hub(tmp_path: Path) -> Iterator[Callable[..., object]]:
    """``make_hub()`` → tests/hub.py Hub: ``obmen`` as real processes, on this session's kind of database."""
    from hub import Hub

    made: list[Hub] = []

    def make(**kw: object) -> Hub:
        made.append(Hub(tmp_path / f"hub{len(made)}", **kw))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for hub in made:
        hub.close()
