"""What every test shares: a data folder of its own, the database of this session, a hub as a real process."""

from __future__ import annotations

import os
import tempfile
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

# CI repeats the same made-up cases; at home every run looks for new ones.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

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
