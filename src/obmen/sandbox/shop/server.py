"""The shop on a real socket."""

from __future__ import annotations

from obmen.sandbox import sockets
from obmen.sandbox.shop import ui
from obmen.sandbox.shop.base import Shop
from obmen.sandbox.shop.call import Answer, Request

LONGEST = 256 * 1024 * 1024  # bytes of a body


class _Handler(sockets.Handler):
    def serve(self) -> None:
        # http.server reads the request line as Latin-1, and 1C does not quote Cyrillic names
        target = self.path.encode("latin-1", "replace").decode("utf-8", "replace")
        path, _question, query = target.partition("?")
        length = self.length(LONGEST)
        if length is None:
            return None
        shop: Shop = self.server.stand
        headers = {name.lower(): value for name, value in self.headers.items()}
        if path != shop.address and not shop.also(path, query):
            return self._send(ui.answer(shop, Request(self.command, path, query, headers, self.rfile.read(length))))
        fault = shop.meet(Request(self.command, path, query, headers))
        if fault and fault.kind == "cut":
            shop.handle(Request(self.command, path, query, headers, self.rfile.read(length // 2)), fault)
            return self.drop()
        answer = shop.handle(Request(self.command, path, query, headers, self.rfile.read(length)), fault)
        if fault and fault.seconds:
            self.wait(fault.seconds)
        return self.drop() if answer is None else self._send(answer)

    def _send(self, answer: Answer) -> None:
        self.write(answer.status, answer.body, answer.content_type, answer.headers, answer.whole)


class Server(sockets.Running):
    """A running shop. ``url``: what is typed as the address of the exchange; ``page``: where a person looks."""

    def __init__(self, shop: Shop, port: int = 0, host: str = "127.0.0.1") -> None:
        super().__init__(_Handler, shop, port, host)
        self.shop, self.url = shop, self.page + shop.address


def serve(shop: Shop, port: int = 0, host: str = "127.0.0.1") -> Server:
    """Starts it in a thread; port 0 takes a free one."""
    return Server(shop, port, host)
