"""A peer in a process of its own that says when each call arrived: ``python counting_peer.py`` prints its port.

``GET /seen`` answers with the moments of all other calls, one a line.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time


def main() -> None:
    """One thread and no parsing to speak of, so that a moment is the call's and not our own delay."""
    seen: list[float] = []
    listening = socket.create_server(("127.0.0.1", 0), backlog=100)
    selector = selectors.DefaultSelector()
    selector.register(listening, selectors.EVENT_READ)
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    while True:
        for key, _events in selector.select():
            ready = key.fileobj
            assert isinstance(ready, socket.socket)
            if ready is listening:
                accepted, _address = listening.accept()
                selector.register(accepted, selectors.EVENT_READ)
                continue
            at = time.monotonic()
            try:
                data = ready.recv(65536)
            except OSError:
                data = b""
            if not data:
                selector.unregister(ready)
                ready.close()
                continue
            if data.startswith(b"GET /seen"):
                body = "\n".join(map(repr, seen)).encode()
            else:
                seen.append(at)
                body = b"{}"
            ready.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


if __name__ == "__main__":
    main()
