"""Hubs as real processes, measured from outside: one data folder and one database each."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONNECTION = "bench"
PASSWORD = "bench-password"
PATIENCE = 3600.0  # seconds for one process: a run that is retried without end must not hang the bench
POSTGRESQL = "postgresql://postgres@127.0.0.1:5432/postgres"


class WrongResult(Exception):
    """The books are not what the files say: the times are worth nothing."""


class Unavailable(Exception):
    """What a case needs is not on this machine."""


@dataclass(frozen=True)
class Measure:
    """One whole process: wall seconds, processor seconds, peak resident memory of the largest process in it (MiB)."""

    wall: float
    cpu: float
    rss: float
    out: str = ""


def environment(**values: str) -> dict[str, str]:
    """Nothing of the caller's hub; bytecode is kept as an installed package keeps it (it is written in the warm-up round)."""
    dropped = ("OBMEN_", "DJANGO_SETTINGS_MODULE", "PYTHONDONTWRITEBYTECODE")
    return {k: v for k, v in os.environ.items() if not k.startswith(dropped)} | values


def measure(command: Sequence[str], env: dict[str, str] | None = None) -> Measure:
    """Run a process to its end. Raises RuntimeError with what it said when it fails or does not end within PATIENCE."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=out, stderr=err, env=env or environment())
        end = threading.Timer(PATIENCE, process.kill)
        end.start()
        _pid, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        end.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            said = (out.read() + err.read()).decode(errors="replace")[-2000:]
            raise RuntimeError(f"{Path(command[0]).name} {' '.join(command[1:4])} … ended with {process.returncode}:\n{said}")
        largest = used.ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)
        return Measure(wall, used.ru_utime + used.ru_stime, largest, out.read().decode())


def obmen(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "obmen.cli", *arguments]


class Hub:
    """A data folder made by ``Databases``. ``load`` is the measured command."""

    def __init__(self, home: Path, url: str, door: dict[str, str]) -> None:
        self.home, self.url, self.door = home, url, door
        self.env = environment(OBMEN_HOME=str(home), **({"OBMEN_DATABASE_URL": url} if url else {}))

    @property
    def sqlite(self) -> Path:
        return self.home / "obmen.sqlite3"

    def load(self, folder: Path) -> tuple[Measure, dict[str, int]]:
        """``obmen load commerceml``: the whole process, and the counts it prints."""
        done = measure(obmen("load", "commerceml", str(folder), "--connection", CONNECTION), self.env)
        if not done.out.startswith("done: "):
            raise WrongResult(f"the load of {folder.name} ended with: {done.out.strip()}")
        return done, {name: int(count) for name, count in re.findall(r"(\w+) (\d+)", done.out)}

    def start_load(self, folder: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            obmen("load", "commerceml", str(folder), "--connection", CONNECTION),
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def dump(self, kind: str) -> Iterator[dict[str, Any]]:
        with subprocess.Popen(obmen("dump", kind), env=self.env, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for line in process.stdout:
                yield json.loads(line)
        if process.returncode:
            raise RuntimeError(f"obmen dump {kind} ended with {process.returncode}")

    def serve(self) -> Server:
        return Server(self)


class Server:
    """``obmen serve`` on a free port, as a context manager; without workers unless ``work``."""

    def __init__(self, hub: Hub, work: bool = False) -> None:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = int(s.getsockname()[1])
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by __exit__)
        command = obmen("serve", *([] if work else ["--no-worker"]), "--port", str(self.port))
        self.process = subprocess.Popen(command, env=hub.env, stdout=self.log, stderr=self.log)

    def __enter__(self) -> Server:
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.05)
        self.log.seek(0)
        said = self.log.read().decode(errors="replace")[-2000:]
        self.__exit__()
        raise RuntimeError(f"the server does not accept calls:\n{said}")

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()

    def peak(self) -> float:
        """Highest resident memory so far, MiB. Raises Unavailable where there is no /proc."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except FileNotFoundError:
            raise Unavailable("peak memory of a running process is known on Linux only") from None
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found
        return int(found[1]) / 1024


class Databases:
    """New hubs of one kind of database: set up once, then copied, so that no migration is measured. ``tag`` tells apart two that
    live at a time."""

    def __init__(self, kind: str, folder: Path, tag: str = "") -> None:
        self.kind, self.folder = kind, folder
        self.made = 0
        self.names: list[str] = []
        self.template = self._new_home("template")
        self.name = f"obmen_bench_{os.getpid()}{tag}"
        url = ""
        if kind == "postgresql":
            self.admin = os.environ.get("OBMEN_BENCH_POSTGRESQL", POSTGRESQL)
            url = self._create(f"{self.name}_template", "template1")
        hub = Hub(self.template, url, {})
        measure(obmen("init", "--admin-password", PASSWORD), hub.env)
        added = measure(obmen("connection", "add", "commerceml_door", CONNECTION, "--json"), hub.env)
        self.door: dict[str, str] = json.loads(added.out)

    def _new_home(self, name: str) -> Path:
        home = self.folder / f"{self.kind}-{name}"
        shutil.rmtree(home, ignore_errors=True)
        return home

    def _create(self, name: str, template: str) -> str:
        try:
            import psycopg
        except ImportError:
            raise Unavailable("psycopg is not installed") from None
        try:
            with psycopg.connect(self.admin, autocommit=True, connect_timeout=5) as con:
                con.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        except psycopg.OperationalError as error:
            raise Unavailable(f"no PostgreSQL: {str(error).strip().splitlines()[0]} (OBMEN_BENCH_POSTGRESQL names it)") from None
        self.names.append(name)
        return self.admin.rpartition("/")[0] + "/" + name

    def hub(self) -> Hub:
        """A new, empty hub with the connection in it; the one before is dropped."""
        self._drop_last()
        self.made += 1
        home = self._new_home(str(self.made))
        shutil.copytree(self.template, home)
        url = self._create(f"{self.name}_{self.made}", f"{self.name}_template") if self.kind == "postgresql" else ""
        return Hub(home, url, self.door)

    def _drop_last(self) -> None:
        if self.made:
            shutil.rmtree(self.folder / f"{self.kind}-{self.made}", ignore_errors=True)
            self._drop(self.names[1:])

    def _drop(self, names: list[str]) -> None:
        if not names:
            return
        import psycopg

        with psycopg.connect(self.admin, autocommit=True) as con:
            for name in names:
                con.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self.names = [name for name in self.names if name not in names]

    def close(self) -> None:
        self._drop_last()
        self._drop(list(self.names))
        shutil.rmtree(self.template, ignore_errors=True)
