"""Sending e-mail: one letter by SMTP to a server that the guard lets us connect to."""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP as LINES
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx2

from obmen.core.contract import NeedsOwner, TryLater
from obmen.core.words import gettext_noop as _
from obmen.net.guard import Resolver, allowed, resolve

SILENCE = 20.0  # seconds for each answer of the server …
WHOLE = 60.0  # … and for everything, however slowly it drips
PORTS = {"tls": 465, "starttls": 587, "none": 25}
SCHEMES = {"smtps": "tls", "smtp": "starttls", "smtp+plain": "none"}


@dataclass(frozen=True, slots=True)
class Server:
    """``security``: tls (from the first byte) | starttls | none, which takes no login. ``sender``: whom letters are from."""

    host: str
    sender: str
    security: str = "starttls"
    port: int = 0  # 0: the usual one
    login: str = ""
    password: str = field(default="", repr=False)


def read_url(url: str) -> Server:
    """``smtp://login:password@host:587?from=hub@example.com``; smtps:// is TLS from the first byte, smtp+plain:// has none.
    Raises NeedsOwner."""
    parts = urlsplit(url.strip())
    try:
        port = parts.port or 0
    except ValueError:
        port = -1
    sender = parse_qs(parts.query).get("from", [""])[0] or unquote(parts.username or "")
    if parts.scheme not in SCHEMES or not parts.hostname or port < 0 or "@" not in sender:
        raise NeedsOwner(_("The address of the mail server should look like smtp://login:password@host:587?from=hub@example.com"))
    login, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Server(parts.hostname, sender, SCHEMES[parts.scheme], port, login, password)


def send(
    server: Server,
    to: Sequence[str],
    subject: str,
    body: str,
    *,
    mark: str,
    trust: Path | None = None,
    allow_private: bool = False,
    resolver: Resolver = resolve,
) -> str:
    """Send one letter of plain text; what the server said to it. ``mark`` tells letters apart: the same twice is one letter,
    which many mail programs show once.

    Raises TryLater (not reachable, busy) and NeedsOwner (login, certificate, an address that it does not take, a network that
    must not be called).
    """
    if server.security == "none" and server.login:
        raise NeedsOwner(_("A password is not sent to {host} without encryption: choose TLS or STARTTLS"), host=server.host)
    letter = EmailMessage(policy=LINES)
    domain = server.sender.rpartition("@")[2]
    try:
        letter["From"], letter["To"], letter["Subject"] = server.sender, ", ".join(to), subject
        letter["Date"], letter["Message-ID"] = formatdate(), f"<{mark}@{domain}>"
    except ValueError as error:  # a line end in an address
        raise NeedsOwner(_("The letter cannot be written: {reason}"), reason=str(error)) from error
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(body)
    smtp = _Smtp(server.security == "tls", allow_private, resolver, trust)
    # Each wait has its limit, but a server that says one byte at a time would never meet it.
    watchdog = threading.Timer(WHOLE, smtp.cut)
    watchdog.daemon = True
    watchdog.start()
    try:
        return _sent(smtp, server, letter, to)
    except (smtplib.SMTPException, OSError, ssl.SSLError) as error:
        raise _understood(error, server) from error
    finally:
        watchdog.cancel()
        smtp.close()


def _sent(smtp: _Smtp, server: Server, letter: EmailMessage, to: Sequence[str]) -> str:
    smtp.connect(server.host, server.port or PORTS[server.security])
    if server.security == "starttls":
        smtp.starttls(context=smtp.context)
    smtp.ehlo_or_helo_if_needed()
    if server.login:
        smtp.login(server.login, server.password)
    refused = smtp.send_message(letter, server.sender, list(to))
    answer = smtp.said
    smtp.said_goodbye()
    if refused:
        names = "; ".join(f"{address}: {code} {_text(reason)}" for address, (code, reason) in refused.items())
        answer = f"{answer} ({names})"
    return answer


class _Smtp(smtplib.SMTP):
    """Connects to an address that was judged, and remembers what the server said to the letter."""

    def __init__(self, tls: bool, allow_private: bool, resolver: Resolver, trust: Path | None) -> None:
        self._tls, self._allow_private, self._resolver = tls, allow_private, resolver
        self.said, self.context = "", _context(trust)
        super().__init__(local_hostname=socket.gethostname(), timeout=SILENCE)  # by itself it would ask the network for it

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:  # smtplib's own hook for subclasses
        self._host = host  # the name that the certificate has to be for
        try:
            addresses = self._resolver(host, port)
        except (socket.gaierror, UnicodeError) as error:
            raise NeedsOwner(_("There is no mail server named {host}: check its address"), host=host) from error
        good = [a for a in addresses if allowed(a, self._allow_private)]
        if not good:
            raise NeedsOwner(
                _(
                    "The mail server {host} is {address}, an address inside a network: calls there are refused. Allow private "
                    "addresses by OBMEN_ALLOW_PRIVATE=1, or give the server in OBMEN_EMAIL_URL"
                ),
                host=host,
                address=", ".join(addresses),
            )
        plain = _connected(good, port, timeout)
        return self.context.wrap_socket(plain, server_hostname=host) if self._tls else plain

    def data(self, msg: Any) -> tuple[int, bytes]:
        code, answer = super().data(msg)
        self.said = f"{code} {_text(answer)}"
        return code, answer

    def said_goodbye(self) -> None:
        """The letter is taken: what happens to the conversation afterwards changes nothing."""
        try:
            self.quit()
        except (smtplib.SMTPException, OSError):
            self.close()

    def cut(self) -> None:
        if self.sock is not None:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return


def _connected(addresses: Iterable[str], port: int, timeout: float) -> socket.socket:
    trouble: OSError | None = None
    for address in addresses:
        try:
            return socket.create_connection((address, port), timeout)
        except OSError as error:
            trouble = error
    assert trouble is not None
    raise trouble


def _context(trust: Path | None) -> ssl.SSLContext:
    context = httpx2.create_ssl_context(trust_env=False)
    if trust is not None:
        context.load_verify_locations(trust)
    return context


def _text(answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return " ".join(text.split())[:300]


def _understood(error: Exception, server: Server) -> Exception:
    host = server.host
    if isinstance(error, ssl.SSLCertVerificationError):
        return NeedsOwner(
            _(
                "The certificate of {host} is not to be trusted: {reason}. Have it renewed, or give the file of the "
                "authority that signed it in OBMEN_CA_FILE"
            ),
            host=host,
            reason=error.verify_message,
        )
    if isinstance(error, ssl.SSLError):
        return NeedsOwner(
            _("The mail server {host} does not speak TLS as we do: check its port and what kind of encryption it wants"),
            host=host,
        )
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return NeedsOwner(
            _("The mail server {host} cannot do what was asked ({reason}): choose another kind of encryption, or no login"),
            host=host,
            reason=str(error),
        )
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _reason in error.recipients.values()]
        said = "; ".join(f"{address}: {code} {_text(reason)}" for address, (code, reason) in error.recipients.items())
        if any(code < 500 for code in codes):
            return TryLater(_("The mail server {host} takes no letter now: {said}"), host=host, said=said)
        return NeedsOwner(_("The mail server {host} does not take the addresses: {said}"), host=host, said=said)
    if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= 0:
        said = f"{error.smtp_code} {_text(error.smtp_error)}"
        if error.smtp_code < 500:
            return TryLater(_("The mail server {host} takes no letter now: {said}"), host=host, said=said)
        if isinstance(error, smtplib.SMTPAuthenticationError):
            return NeedsOwner(_("The mail server {host} does not take login and password: {said}"), host=host, said=said)
        return NeedsOwner(_("The mail server {host} does not take the letter: {said}"), host=host, said=said)
    return TryLater(_("The mail server {host} cannot be reached now: {why}"), host=host, why=_text(str(error)) or "–")
