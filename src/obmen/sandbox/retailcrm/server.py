"""The account on a real socket."""

from __future__ import annotations

import ssl

from obmen.sandbox import sockets
from obmen.sandbox.retailcrm import ui
from obmen.sandbox.retailcrm.call import Answer, Request
from obmen.sandbox.retailcrm.crm import RetailCRM

LONGEST = 64 * 1024 * 1024  # bytes of a body


class _Handler(sockets.Handler):
    do_PUT = do_DELETE = sockets.Handler.do_POST

    def serve(self) -> None:
        path, _question, query = self.path.partition("?")
        length = self.length(LONGEST)
        if length is None:
            return None
        kind, key = self.headers.get("Content-Type", ""), self.headers.get("X-API-KEY", "")
        request = Request(self.command, path, query, kind, key, self.rfile.read(length))
        crm: RetailCRM = self.server.stand
        if not path.startswith("/api"):
            return self._send(ui.answer(crm, request))
        answer, fault = crm.handle(request)
        if fault and fault.seconds:
            self.wait(fault.seconds)
        return self.drop() if answer is None else self._send(answer)

    def _send(self, answer: Answer) -> None:
        where = [("Location", answer.body.decode())] if answer.status in (302, 303) else []
        self.write(answer.status, answer.body, answer.content_type, where)


class Server(sockets.Running):
    """A running account. ``url``: "http://127.0.0.1:8085", without a slash and without /api."""

    def __init__(self, crm: RetailCRM, port: int = 0, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        super().__init__(_Handler, crm, port, host, tls)
        self.crm, self.url = crm, self.page


def serve(crm: RetailCRM | None = None, port: int = 0, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Server:
    """Starts it in a thread; port 0 takes a free one."""
    return Server(crm or RetailCRM(), port, host, tls)
