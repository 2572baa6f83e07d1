"""One command, the whole hub: web in this process; clock, workers and tidying in a child process that is looked after.

A child, so that a page never waits for the interpreter lock of an import. It reads a pipe from its parent: a byte says "look at
the queue now", the end of the pipe says that the parent is gone, even by kill -9, and the child follows.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from obmen.core.contract import NeedsOwner
from obmen.core.words import gettext_noop as _
from obmen.work import jobs

log = logging.getLogger(__name__)
PARENT = "OBMEN_PARENT_FD"  # the child's end of the pipe
GRACE = 20.0  # seconds for a running page to settle
RECEIVE = 1 << 18  # bytes taken from a socket at once; waitress takes 8 KB, which makes an upload several times slower
THREADS = 16  # pages are quick, but a long poll of a door holds a thread
AHEAD = 1 << 20  # bytes of an answer that are made before the client has taken them
LARGEST_BODY = 64 * 2**30  # the door has limits of its own; waitress would stop at 1 GB
WORKERS = 2


def web(host: str, port: int, *, workers: int = WORKERS, ready: Callable[[str], None] = lambda url: None) -> None:
    """Web, and with ``workers`` > 0 the worker child too. Blocks until SIGTERM or SIGINT.

    The database is up to date before the port accepts. Raises NeedsOwner when the port is taken.
    """
    import waitress

    few_arenas()
    spool = settings.OBMEN_HOME / "tmp"
    for folder in (spool, settings.STATIC_ROOT):  # whitenoise warns when there is none
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    application = get_wsgi_application()  # the same as obmen.web.wsgi, which stands in the ring above

    tempfile.tempdir = str(spool)  # received bodies: /tmp is memory on many machines
    behind_proxy = {"trusted_proxy": "*", "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto"}}
    signal.signal(signal.SIGTERM, _leave)
    try:
        server = waitress.create_server(
            application,
            host=host,
            port=port,
            threads=THREADS,
            recv_bytes=RECEIVE,
            outbuf_high_watermark=AHEAD,
            max_request_body_size=LARGEST_BODY,
            channel_timeout=600,
            ident="Obmen",
            clear_untrusted_proxy_headers=True,
            **(behind_proxy if os.environ.get("OBMEN_BEHIND_PROXY") == "1" else {}),
        )
    except OSError as error:
        raise NeedsOwner(_("Port {port} is not free: {reason}"), port=port, reason=error.strerror or str(error)) from error
    child = Child(workers) if workers else None
    if settings.OBMEN_BROKER_URL:
        from obmen.work import carrier

        carrier.connect()
    if child:
        child.start()
    ready(f"http://{host}:{port}/")
    try:
        server.run()  # ends by itself on SystemExit and KeyboardInterrupt
    finally:
        if child:
            child.stop()


def few_arenas() -> None:
    """glibc gives each thread a heap of its own that never shrinks: sixteen threads would keep sixteen times the memory of the
    largest answer (measured with answers of 10 000 orders)."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").mallopt(M_ARENA_MAX, 2)


M_ARENA_MAX = -8  # malloc.h of glibc


def _leave(_signal: int, _frame: Any) -> None:
    raise SystemExit


class Child:
    """The worker process: started, rung, started again when it dies, ended."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe, self._pipe_lock = -1, threading.Lock()
        self._thread = threading.Thread(target=self._look_after, name="worker-keeper", daemon=True)

    def start(self) -> None:
        self._spawn()
        self._forget = jobs.add_messenger(self.ring)
        self._thread.start()

    def ring(self, _run_id: int) -> None:
        try:
            with self._pipe_lock:  # else a byte could go into whatever gets the old pipe's number
                os.write(self._pipe, b".")
        except OSError as error:  # full: it will look anyway; broken: a new child looks at once
            log.debug("the worker was not rung: %s", error)

    def stop(self) -> None:
        """End in good order; a worker that does not settle its page in time is killed, and its run rescued later."""
        self._stopping.set()
        self._forget()
        process = self._process
        if process and process.poll() is None:
            process.terminate()
            try:
                process.wait(GRACE + 5)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join(10)

    def _spawn(self) -> None:
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        command = [sys.executable, "-m", "obmen.cli", "work", "--workers", str(self.workers)]
        env = os.environ | {PARENT: str(reading), "OBMEN_LEAN": "1"}
        self._process = subprocess.Popen(command, pass_fds=[reading], env=env)
        os.close(reading)
        with self._pipe_lock:
            old, self._pipe = self._pipe, writing
            if old >= 0:
                os.close(old)

    def _look_after(self) -> None:
        pause = 0.5
        while not self._stopping.is_set():
            process = self._process
            assert process is not None
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                pause = 0.5  # it lives: a later death is a new misfortune
                continue
            if self._stopping.is_set():
                return
            log.error("the worker process ended with %s; it is started again", process.returncode)
            self._stopping.wait(pause)
            pause = min(pause * 2, 30)
            if not self._stopping.is_set():
                self._spawn()


def work(workers: int = WORKERS) -> None:
    """Clock, workers and tidying in this process. Blocks until SIGTERM, SIGINT, or the parent's end."""
    from obmen.work import clock, notices, tidy

    stop = threading.Event()

    def end(*_args: Any) -> None:
        if not stop.is_set():
            jobs.closing.set()
            stop.set()
            # A page that takes longer than this is given up: its transaction is rolled back and the run rescued.
            timer = threading.Timer(GRACE, os._exit, (1,))
            timer.daemon = True
            timer.start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    if fd := os.environ.pop(PARENT, ""):
        threading.Thread(target=_listen, args=(int(fd),), name="parent", daemon=True).start()
    if settings.OBMEN_BROKER_URL:
        from obmen.work import carrier

        carrier.work(workers)
        return
    helpers = [threading.Thread(target=task.run, args=(stop,), name=task.__name__) for task in (clock, tidy, notices)]
    for thread in helpers:
        thread.start()
    jobs.loop(stop, workers=workers)
    for thread in helpers:
        thread.join()


def _listen(fd: int) -> None:
    """The parent's pipe: a byte is a ring, the end is the end."""
    while os.read(fd, 4096):
        jobs.bell.ring()
    os.kill(os.getpid(), signal.SIGTERM)
