"""What every stand-in over HTTP has in common: HTTP/1.1 on a real socket, a thread for each connection, connections that a fault
drops."""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Handler(BaseHTTPRequestHandler, ABC):
    """One connection. Its stand-in is ``self.server.stand``; other methods than GET and POST are the subclass's affair."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave together: on a kept connection two small packets would cost 40 ms
    disable_nagle_algorithm = True
    server: Sockets

    def do_GET(self) -> None:
        self.serve()

    def do_POST(self) -> None:
        self.serve()

    @abstractmethod
    def serve(self) -> None:
        """Answer the request, or drop the connection."""

    def length(self, longest: int) -> int | None:
        """Bytes of the body; None when it does not say, or is longer than that: then it has been refused with 411."""
        said = self.headers.get("Content-Length", "0")
        if said.isdigit() and int(said) <= longest and "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return int(said)
        self.close_connection = True
        self.write(411, b"", "text/plain")
        return None

    def write(
        self, status: int, body: bytes, content_type: str, headers: Iterable[tuple[str, str]] = (), whole: int | None = None
    ) -> None:
        """An answer; with ``whole`` one that promises so many bytes and breaks off after ``body``."""
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body) if whole is None else whole))
        self.end_headers()
        self.wfile.write(body)
        if whole is not None:
            self.wfile.flush()
            self.drop()

    def wait(self, seconds: float) -> None:
        """As a slow server; at once when it is stopped."""
        self.server.closing.wait(seconds)

    def drop(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):  # the client was faster
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        """Every request is in the stand-in's own log; nothing is written to the terminal."""


class Sockets(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[Handler], stand: Any) -> None:
        self.stand, self.closing = stand, threading.Event()
        super().__init__(address, handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away in the middle are part of the game; anything else must be seen."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError | ssl.SSLError):
            super().handle_error(request, client_address)


class Running:
    """A server in a thread of its own. ``page``: "http://127.0.0.1:8085", without a slash. Raises OSError when the port is taken."""

    def __init__(self, handler: type[Handler], stand: Any, port: int, host: str, tls: ssl.SSLContext | None = None) -> None:
        self._sockets = Sockets((host, port), handler, stand)
        if tls:
            self._sockets.socket = tls.wrap_socket(self._sockets.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._sockets.server_address[1]
        self.page = f"{'https' if tls else 'http'}://{host}:{self.port}"
        self._thread = threading.Thread(target=self._sockets.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._sockets.closing.set()
        self._sockets.shutdown()
        self._sockets.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()
