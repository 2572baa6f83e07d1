"""Where calls may go, and with what: addresses, names that change their mind, certificates, redirects."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from net.peer import Asked, authority, peer
from obmen.core.contract import NeedsOwner, TryLater
from obmen.net.client import Client, Pace, Response, Retry
from obmen.net.guard import allowed
from obmen.net.pace import MemorySlots


def fast() -> Pace:
    return Pace("test", 10_000, slots=MemorySlots())


def client(url: str, **options: Any) -> Client:
    given: dict[str, Any] = {"pace": fast(), "allow_private": True, "sleep": lambda seconds: None} | options
    return Client(url, **given)


def fine(asked: Asked, handler: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, b"{}"


@pytest.mark.parametrize(
    ("address", "outside", "inside"),
    [
        ("93.184.216.34", True, True),
        ("2606:2800:220:1:248:1893:25c8:1946", True, True),
        ("10.0.0.1", False, True),
        ("172.16.5.4", False, True),
        ("192.168.1.10", False, True),
        ("100.64.0.1", False, True),
        ("127.0.0.1", False, True),
        ("127.8.8.8", False, True),
        ("::1", False, True),
        ("fd12:3456::1", False, True),
        ("::ffff:10.0.0.1", False, True),
        ("64:ff9b::7f00:1", False, True),
        ("2002:7f00:1::", False, True),
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("64:ff9b::a9fe:a9fe", False, False),
        ("fe80::1", False, False),
        ("fd00:ec2::254", False, False),
        ("100.100.100.200", False, False),
        ("168.63.129.16", False, False),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("224.0.0.1", False, False),
        ("ff02::1", False, False),
    ],
)
def test_which_addresses_may_be_called(address: str, outside: bool, inside: bool) -> None:
    assert (allowed(address, False), allowed(address, True)) == (outside, inside)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_no_spelling_of_our_own_machine_is_called(host: str) -> None:
    with peer(fine) as there, client(f"http://{host}:{there.port}", allow_private=False) as calling:
        with pytest.raises(NeedsOwner) as raised:
            calling.call("GET", "a")
        assert there.asked == []
    assert "OBMEN_ALLOW_PRIVATE=1" in str(raised.value)


def test_a_name_that_changes_its_mind_is_judged_by_where_it_leads_to() -> None:
    """The second look-up would lead inside: there is none, and a new connection is judged anew."""
    answers = [["203.0.113.7"], ["127.0.0.1"]]
    looked: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        looked.append(host)
        return answers.pop(0) if len(answers) > 1 else answers[0]

    with peer(fine) as there:
        address = f"http://rebind.example:{there.port}"
        with client(address, allow_private=False, resolver=resolver, retry=Retry(attempts=1)) as calling:
            for _n in range(3):
                with pytest.raises(NeedsOwner) as raised:
                    calling.call("GET", "a")
        assert there.asked == []
    assert raised.value.facts == {"host": "rebind.example", "address": "127.0.0.1"}
    assert looked == ["rebind.example"] * 3


def test_the_address_that_was_judged_is_the_one_that_is_called() -> None:
    """The name exists for our resolver only: who asked the machine's again would not find it."""
    looked: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        looked.append(host)
        return ["127.0.0.1"]

    with peer(fine) as there, client(f"http://only-here.invalid:{there.port}", resolver=resolver) as calling:
        assert [calling.call("GET", "a").status for _n in range(3)] == [200] * 3
    assert looked == ["only-here.invalid"]
    assert there.asked[0].headers["host"] == f"only-here.invalid:{there.port}"


def test_of_several_addresses_only_those_allowed_are_tried() -> None:
    with peer(fine) as there:
        address = f"http://mixed.example:{there.port}"
        with client(address, resolver=lambda host, port: ["169.254.169.254", "127.0.0.1"]) as calling:
            assert calling.call("GET", "a").status == 200


def test_a_host_that_does_not_exist_needs_its_owner() -> None:
    with client("https://does-not-exist.invalid") as calling, pytest.raises((NeedsOwner, TryLater)) as raised:
        calling.call("GET", "a")
    assert raised.value.facts["host"] == "does-not-exist.invalid"


# --- certificates --------------------------------------------------------------------------------------------------------


def test_a_certificate_of_our_own_authority_is_trusted_when_its_file_is_given(tmp_path: Path) -> None:
    trusted, tls = authority(tmp_path)
    with peer(fine, tls) as there, client(there.url, trust=trusted) as calling:
        assert calling.call("GET", "a").status == 200


@pytest.mark.parametrize("what", ["unknown authority", "another authority", "expired", "another host"])
def test_a_certificate_that_cannot_be_trusted_needs_the_owner(tmp_path: Path, what: str) -> None:
    trusted, tls = authority(
        tmp_path / "a", host="other.example" if what == "another host" else "localhost", days=-1 if what == "expired" else 30
    )
    if what == "another authority":
        trusted, _tls = authority(tmp_path / "b")
    with peer(fine, tls) as there, client(there.url, trust=None if what == "unknown authority" else trusted) as calling:
        with pytest.raises(NeedsOwner) as raised:
            calling.call("POST", "a")
        assert there.asked == []
    assert raised.value.facts["host"] == "localhost"
    assert "certificate" in str(raised.value)


def test_the_name_and_not_the_address_is_looked_for_in_the_certificate(tmp_path: Path) -> None:
    trusted, tls = authority(tmp_path, host="shop.example")
    with peer(fine, tls) as there:
        address = f"https://shop.example:{there.port}"
        with client(address, trust=trusted, resolver=lambda host, port: ["127.0.0.1"]) as calling:
            assert calling.call("GET", "a").status == 200


def test_https_where_nobody_speaks_it_needs_the_owner() -> None:
    with peer(fine) as there, client(there.url.replace("http:", "https:")) as calling, pytest.raises(NeedsOwner) as raised:
        calling.call("GET", "a")
    assert "does not speak TLS" in str(raised.value)


def test_a_file_of_authorities_that_cannot_be_read_needs_the_owner(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("no certificate")
    for file in (tmp_path / "bad.pem", tmp_path / "missing.pem"):
        with pytest.raises(NeedsOwner):
            client("https://example.com", trust=file)


def test_old_versions_of_tls_are_not_spoken(tmp_path: Path) -> None:
    trusted, tls = authority(tmp_path)
    tls.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    tls.maximum_version = ssl.TLSVersion.TLSv1_1
    tls.set_ciphers("ALL:@SECLEVEL=0")
    with peer(fine, tls) as there, client(there.url, trust=trusted) as calling:
        with pytest.raises((NeedsOwner, TryLater)):
            calling.call("GET", "a")
        assert there.asked == []


# --- redirects -----------------------------------------------------------------------------------------------------------


def to(location: str, status: int = 302) -> Any:
    def script(asked: Asked, handler: Any) -> tuple[int, dict[str, str], bytes]:
        if asked.path.startswith("/from"):
            return status, {"Location": location}, b""
        return 200, {}, b'{"here": true}'

    return script


def asked_for(url: str, redirects: int, method: str = "GET", **options: Any) -> Response:
    with client(url, **options) as calling:
        return calling.call(method, "from", redirects=redirects)


def test_a_redirect_is_followed_only_when_asked_for() -> None:
    with peer(to("/there?x=1")) as there:
        assert asked_for(there.url, 1).json() == {"here": True}
        with pytest.raises(NeedsOwner) as raised:
            asked_for(there.url, 0)
    assert raised.value.facts == {"host": "127.0.0.1", "to": f"{there.url}/there"}
    assert there.paths == ["GET /from", "GET /there?x=1", "GET /from"]


def test_what_was_posted_is_never_sent_on() -> None:
    with peer(to("/there", 307)) as there, pytest.raises(NeedsOwner):
        asked_for(there.url, 5, "POST")
    assert there.paths == ["POST /from"]


def test_redirects_in_a_circle_end() -> None:
    with peer(to("/from")) as there, pytest.raises(NeedsOwner):
        asked_for(there.url, 3)
    assert len(there.asked) == 4


def test_another_host_is_told_no_secrets() -> None:
    with peer(fine) as other, peer(to(f"{other.url}/there")) as there:
        headers = {"X-API-KEY": "k1", "Authorization": "Bearer k2"}
        with client(there.url, headers=headers) as calling:
            assert calling.call("GET", "from", redirects=1, headers={"X-Signature": "k3"}).status == 200
    assert {"x-api-key", "authorization", "x-signature"} <= there.asked[0].headers.keys()
    assert sorted(other.asked[0].headers) == ["accept", "accept-encoding", "connection", "host", "user-agent"]


def test_a_whole_address_of_another_host_is_called_without_our_headers() -> None:
    with peer(fine) as other, peer(fine) as there, client(there.url, headers={"X-API-KEY": "k1"}) as calling:
        assert calling.call("GET", f"{other.url}/picture.jpg").status == 200
        assert calling.call("GET", f"{there.url}/own").status == 200
    assert ["x-api-key" in asked.headers for asked in other.asked + there.asked] == [False, True]


def test_a_redirect_into_the_network_is_refused() -> None:
    """The first address is outside as far as the guard knows; the second one is our own machine."""
    with peer(fine) as inner, peer(to(f"http://inside.example:{inner.port}/there")) as there:
        hosts = {"outside.example": ["127.0.0.1"], "inside.example": ["169.254.169.254"]}
        address = f"http://outside.example:{there.port}"
        with client(address, resolver=lambda host, port: hosts[host]) as calling, pytest.raises(NeedsOwner) as raised:
            calling.call("GET", "from", redirects=3)
        assert (raised.value.facts["host"], inner.asked) == ("inside.example", [])


@pytest.mark.parametrize("location", ["http://127.0.0.1/x", "file:///etc/passwd", "ftp://example.com/x", "javascript:alert(1)"])
def test_a_redirect_never_leads_from_https_to_something_less(tmp_path: Path, location: str) -> None:
    trusted, tls = authority(tmp_path)
    with peer(to(location), tls) as there, pytest.raises(NeedsOwner) as raised:
        asked_for(there.url, 5, trust=trusted)
    assert raised.value.facts["to"] == location
    assert len(there.asked) == 1
