"""A mail server on a real socket that does as a test says: it takes letters, refuses, is slow, speaks TLS."""

from __future__ import annotations

import base64
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

Says = Callable[[str], str | None]  # a command → another answer than the usual one


@dataclass
class Mailbox:
    port: int
    letters: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)  # whether each letter came so


@contextmanager
def mail_peer(
    says: Says = lambda _word: None, *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[Mailbox]:
    """Serves until the block ends."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            plain = self.request
            plain.settimeout(20)
            self.safe = tls is not None
            self.open(tls.wrap_socket(plain, server_side=True) if tls else plain)
            self.to: list[str] = []
            self.say("220 mail.example.com ready")
            while line := self.file.readline().decode().rstrip("\r\n"):
                word = line.split(" ")[0].upper()
                other = says(word)
                if other is not None:
                    self.say(other)
                    if other.startswith("421"):
                        return
                    continue
                if not self.obey(word, line):
                    return

        def open(self, sock: Any) -> None:
            self.sock, self.file = sock, sock.makefile("rb")

        def say(self, text: str) -> None:
            self.sock.sendall(text.encode() + b"\r\n")

        def obey(self, word: str, line: str) -> bool:
            if word == "EHLO":
                offered = ["mail.example.com", "8BITMIME", "AUTH PLAIN"]
                offered += ["STARTTLS"] if starttls and not self.safe else []
                self.say("\r\n".join(f"250{'-' if i < len(offered) - 1 else ' '}{text}" for i, text in enumerate(offered)))
            elif word == "STARTTLS":
                assert starttls is not None
                self.say("220 go on")
                self.open(starttls.wrap_socket(self.sock, server_side=True))
                self.safe = True
            elif word == "AUTH":
                _none, login, password = base64.b64decode(line.split(" ")[2]).decode().split("\0")
                box.logins.append((login, password))
                self.say("235 welcome" if password == "right" else "535 5.7.8 wrong password")
            elif word == "MAIL":
                self.to = []
                self.say("250 ok")
            elif word == "RCPT":
                self.to.append(line.partition("<")[2].partition(">")[0])
                self.say("250 ok")
            elif word == "DATA":
                self.say("354 go on")
                body = b""
                while (piece := self.file.readline()) not in (b".\r\n", b""):
                    body += piece.removeprefix(b".")
                box.letters.append(message_from_bytes(body, policy=policy.default))  # type: ignore[arg-type]
                box.recipients.append(self.to)
                box.encrypted.append(self.safe)
                self.say("250 2.0.0 queued as A1")
            elif word == "QUIT":
                self.say("221 bye")
                return False
            else:
                self.say("250 ok")
            return True

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        box = Mailbox(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield box
        finally:
            server.shutdown()
            thread.join(5)
