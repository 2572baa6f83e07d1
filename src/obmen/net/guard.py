"""Where our calls may go: decided on the address that is really connected to, so no name that changes its mind helps."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpcore2

from obmen.core.contract import NeedsOwner
from obmen.core.words import gettext_noop as _

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]

# Where clouds answer anybody with the machine's credentials. The others of them are link-local and refused as such.
METADATA = frozenset(ipaddress.ip_address(a) for a in ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"))
NAT64 = ipaddress.ip_network("64:ff9b::/96")


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host, as the machine's resolver orders them. Raises socket.gaierror, UnicodeError."""
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def allowed(text: str, allow_private: bool) -> bool:
    """Whether we may connect to this address.

    Never to metadata services, link-local, multicast and unspecified addresses; to private and loopback ones if asked for.
    """
    address = _meant(ipaddress.ip_address(text))
    if address in METADATA or address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    return address.is_global or (allow_private and not (address.is_reserved and not address.is_private))


def _meant(address: Address) -> Address:
    """The IPv4 address that an IPv6 one carries, or the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        return inner or address
    return address


class Guard(httpcore2.NetworkBackend):
    """Opens the sockets of a pool: looks a host up once, connects to an address that was judged, watches the call's deadline."""

    def __init__(self, allow_private: bool, resolver: Resolver = resolve) -> None:
        self._allow_private, self._resolver = allow_private, resolver
        self._deadline = threading.local()  # a call stays in its thread, and so do the reads and writes of its connection

    def begin(self, seconds: float) -> None:
        """The call that this thread starts now may take so long altogether, however slowly bytes drip in."""
        self._deadline.ends = time.monotonic() + seconds

    def left(self, timeout: float | None, late: type[Exception]) -> float | None:
        ends: float | None = getattr(self._deadline, "ends", None)
        if ends is None:
            return timeout
        left = ends - time.monotonic()
        if left <= 0:
            raise late("deadline")
        return left if timeout is None else min(timeout, left)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        try:
            addresses = self._resolver(host, port)
        except (socket.gaierror, UnicodeError) as error:
            if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
                raise httpcore2.ConnectError(error) from error
            raise NeedsOwner(
                _("There is no host named {host}: check the address in the connection's settings"), host=host
            ) from error
        good = [a for a in addresses if allowed(a, self._allow_private)]
        if not good:
            raise NeedsOwner(
                _(
                    "{host} is {address}, an address inside a network: calls there are refused. If that is where the system "
                    "really stands, allow private addresses by OBMEN_ALLOW_PRIVATE=1"
                ),
                host=host,
                address=", ".join(addresses),
            )
        trouble: Exception | None = None
        for address in good:
            try:
                wait = self.left(timeout, httpcore2.ConnectTimeout)
                stream = httpcore2.SyncBackend().connect_tcp(address, port, wait, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                trouble = error
            else:
                return _Stream(stream, self, host)
        assert trouble is not None
        raise trouble

    def connect_unix_socket(self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None) -> Any:
        raise NeedsOwner(_("Only addresses that start with https:// or http:// can be called"))


class _Stream(httpcore2.NetworkStream):
    """A socket whose every wait ends with the call's deadline."""

    def __init__(self, inner: httpcore2.NetworkStream, guard: Guard, host: str) -> None:
        self._inner, self._guard, self._host = inner, guard, host

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._guard.left(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._guard.left(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        try:
            wait = self._guard.left(timeout, httpcore2.ConnectTimeout)
            return _Stream(self._inner.start_tls(ssl_context, server_hostname, wait), self._guard, self._host)
        except httpcore2.ConnectError as error:
            if isinstance(error.__cause__, ssl.SSLCertVerificationError):
                raise NeedsOwner(
                    _(
                        "The certificate of {host} is not to be trusted: {reason}. Have it renewed, or give the file of the "
                        "authority that signed it in OBMEN_CA_FILE"
                    ),
                    host=self._host,
                    reason=error.__cause__.verify_message,
                ) from error
            if isinstance(error.__cause__, ssl.SSLError) and not isinstance(error.__cause__, ssl.SSLEOFError):
                raise NeedsOwner(
                    _("{host} does not speak TLS as we do ({reason}): check the address and its port, https:// or http://"),
                    host=self._host,
                    reason=error.__cause__.reason or str(error.__cause__),
                ) from error
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
