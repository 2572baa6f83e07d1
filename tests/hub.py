"""A hub as real processes, for tests that must see the product from outside."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any, ClassVar

import pytest


def postgresql_url() -> str:
    """The server for tests: OBMEN_TEST_DATABASE_URL, else the usual port of this machine. Skips loudly when there is none."""
    url = os.environ.get("OBMEN_TEST_DATABASE_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
    try:
        import psycopg

        psycopg.connect(url, connect_timeout=20).close()
    except Exception as error:
        if os.environ.get("CI"):
            raise
        pytest.exit(f"PostgreSQL is not there ({error}); set OBMEN_TEST_DATABASE_URL", 0)
    return url


def free_port() -> int:
    """A port at which nobody listens, from below those that the system gives away by itself: it is still free when the process
    that is to have it asks for it, seconds later."""
    while True:
        port = random.SystemRandom().randrange(15_000, 32_000)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


# PYTHONDONTWRITEBYTECODE would make each of hundreds of processes compile hundreds of files.
DROPPED = {"DJANGO_SETTINGS_MODULE", "PYTHONDONTWRITEBYTECODE"}


class Hub:
    """One data folder with its own database, the command line, and the server as a killable process group."""

    def __init__(self, home: Path, *, database: str | None = None) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("OBMEN_") and k not in DROPPED}
        self.env |= {"OBMEN_HOME": str(home), "OBMEN_LOG": "WARNING", "PYTHONUNBUFFERED": "1"}
        self.pg_name = ""
        kind = database or os.environ.get("OBMEN_TEST_ON", "sqlite")
        if kind == "postgresql":
            import psycopg

            self.admin = postgresql_url()
            self.pg_name = f"obmen_{uuid.uuid4().hex[:12]}"
            with psycopg.connect(self.admin, autocommit=True) as con:
                con.execute(f'CREATE DATABASE "{self.pg_name}"')
            self.env["OBMEN_DATABASE_URL"] = self.admin.rpartition("/")[0] + "/" + self.pg_name
        self.server: subprocess.Popen[bytes] | None = None
        self.others: list[subprocess.Popen[bytes]] = []
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.door: dict[str, str] = {}

    def cli(
        self, *args: str, ok: bool = True, stdin: str | None = None, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "obmen.cli", *args], env=self.env, capture_output=True, text=True, input=stdin, timeout=timeout
        )
        if ok and done.returncode:
            raise AssertionError(f"obmen {' '.join(args)} → {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    made: ClassVar[dict[str, Path]] = {}  # data folders set up once in this session, by kind of database

    def init(self, password: str = "admin-password") -> Hub:
        """Set up. On SQLite a copy of what the command made the first time, because each test needs one and it takes seconds."""
        kind = "" if "OBMEN_DATABASE_URL" in self.env or list(self.home.iterdir()) else password
        if kind in self.made:
            shutil.copytree(self.made[kind], self.home, dirs_exist_ok=True)
            return self
        self.cli("init", "--admin-password", password)
        if kind:
            self.made[kind] = Path(tempfile.mkdtemp(prefix="obmen-made-")) / "home"
            shutil.copytree(self.home, self.made[kind])
        return self

    def add_door(self, name: str = "1C", profile: str = "ut11", **settings: object) -> dict[str, str]:
        pairs = [x for k, v in settings.items() for x in ("--set", f"{k}={v}")]
        out = self.cli("connection", "add", "commerceml_door", name, "--profile", profile, *pairs, "--json")
        self.door = json.loads(out.stdout)
        return self.door

    def dump(self, kind: str, *args: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.cli("dump", kind, *args).stdout.splitlines()]

    def serve(self, *args: str, wait: float = 120) -> Hub:
        self.server = self._start("serve", "--port", str(self.port), *args)
        end = time.monotonic() + wait
        while time.monotonic() < end:
            if self.server.poll() is not None:
                raise AssertionError(f"the server stopped with {self.server.returncode}:\n{self.log()}")
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.05)
        raise AssertionError(f"the server does not accept calls after {wait} s:\n{self.log()}")

    def work(self, *args: str) -> subprocess.Popen[bytes]:
        self.others.append(self._start("work", *args))
        return self.others[-1]

    def _start(self, *args: str) -> subprocess.Popen[bytes]:
        with open(self.home / "process.log", "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "obmen.cli", *args], env=self.env, stdout=log, stderr=log, start_new_session=True
            )

    def log(self) -> str:
        file = self.home / "process.log"
        return file.read_text(errors="replace")[-4000:] if file.exists() else ""

    def kill(self, process: subprocess.Popen[bytes] | None = None, how: signal.Signals = signal.SIGKILL) -> None:
        """End the whole process group at once; the default is what a power cut does."""
        process = process or self.server
        if process and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, how)
            process.wait(90)

    def close(self) -> None:
        for process in [self.server, *self.others]:
            self.kill(process)
        if self.pg_name:
            import psycopg

            with psycopg.connect(self.admin, autocommit=True) as con:
                con.execute(f'DROP DATABASE IF EXISTS "{self.pg_name}" WITH (FORCE)')
