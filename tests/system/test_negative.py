"""Broken, hostile and merely odd input at the door, over HTTP: refused or survived, nothing lost, and the next load is good.

One hub serves all tests of this module; each ends with a good load of goods of its own, and the books are counted at the end.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import re
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from hub import Hub
from system.partner import Caller, books, until, without

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

ROOT = "КоммерческаяИнформация"
HEAD = '<?xml version="1.0" encoding="{encoding}"?>\n<КоммерческаяИнформация ВерсияСхемы="2.07" ДатаФормирования="2026-03-01T10:00:00">'
GOODS = "<Классификатор><Ид>c</Ид><Наименование>К</Наименование></Классификатор><Каталог><Ид>c</Ид><Наименование>К</Наименование><Товары>\n"
END = f"</Товары></Каталог></{ROOT}>\n"


def card(key: str, name: str = "", more: str = "") -> str:
    return f"<Товар><Ид>{key}</Ид><Наименование>{name or f'Товар {key}'}</Наименование>{more}</Товар>\n"


def document(*cards: str, encoding: str = "UTF-8", before: str = "") -> str:
    return HEAD.format(encoding=encoding) + before + GOODS + "".join(cards) + END


@dataclass
class Site:
    """A served hub with one door, and what its books have to hold when all is over."""

    hub: Hub
    door: dict[str, str]
    products: dict[str, str] = field(default_factory=dict)
    number: int = 0

    def begin(self) -> tuple[Caller, list[str]]:
        """A caller, and the keys of the goods of one test."""
        self.number += 1
        return Caller(self.hub, self.door), [f"t{self.number}-{i}" for i in range(3)]

    def well(self, caller: Caller, keys: list[str], known: int = 0) -> None:
        """A good load goes through; so many of its goods were taken before."""
        answer = caller.offer("import.xml", document(*map(card, keys)).encode())
        assert answer == "success\n" + summary(new=len(keys) - known, unchanged=known)
        self.products |= {key: f"Товар {key}" for key in keys}


def summary(new: int = 0, changed: int = 0, unchanged: int = 0, parked: int = 0) -> str:
    return f"New: {new}, changed: {changed}, found: 0, unchanged: {unchanged}, left out: 0, set aside: {parked}"


def python(hub: Hub, code: str) -> None:
    """Do in the hub's own words what a person does in its pages."""
    start = "import django; django.setup(); from obmen.store.models import *; from django.contrib.auth.models import *\n"
    env = hub.env | {"DJANGO_SETTINGS_MODULE": "obmen.settings"}
    done = subprocess.run([sys.executable, "-c", start + code], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


LIMITS = {"max_entries": 50, "max_unpacked": 20, "max_ratio": 100, "max_file": 150, "pictures": "off"}


def add_door(hub: Hub, name: str, **settings: object) -> dict[str, str]:
    pairs = [x for k, v in {**LIMITS, **settings}.items() for x in ("--set", f"{k}={v}")]
    made = hub.cli("connection", "add", "commerceml_door", name, "--profile", "generic", "--language", "en", *pairs, "--json")
    return dict(json.loads(made.stdout))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    hub = Hub(tmp_path_factory.mktemp("negative") / "hub")
    try:
        hub.env["OBMEN_LANGUAGE"] = "en"
        hub.init()
        made = Site(hub, add_door(hub, "Door"))
        hub.serve()
        yield made
        after = books(hub, ("products", "parked", "groups"))
        assert {p["key"]: p["name"] for p in after["products"]} == made.products
        assert without(after["parked"], "id", "payload", "facts") == []
        assert "Traceback" not in (hub.home / "process.log").read_text(errors="replace")
    finally:
        hub.close()


# --- files that are not what they should be -----------------------------------------------------------------------------------


def bomb() -> str:
    names = "abcdefghij"
    entities = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in pairwise(names))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">{entities}]><{ROOT}><Каталог><Ид>&j;</Ид></Каталог></{ROOT}>'


def deep(levels: int) -> str:
    begin = "".join(f"<Группы><Группа><Ид>g{i}</Ид><Наименование>g</Наименование>" for i in range(levels))
    tree = f"<Классификатор><Ид>c</Ид><Наименование>К</Наименование>{begin}{'</Группа></Группы>' * levels}</Классификатор>"
    return HEAD.format(encoding="UTF-8") + tree + f"</{ROOT}>"


OLD = f'<?xml version="1.0"?><{ROOT}><Каталог Идентификатор="1" Наименование="x"><Товар Идентификатор="1"/></Каталог></{ROOT}>'
WHOLE = document(*(card(f"bad-{i}") for i in range(3)))

REFUSED: dict[str, tuple[bytes, str]] = {
    "cut off in the middle of a record": (WHOLE.encode()[:-180], "its end is missing"),
    "cut off in the middle of a letter": (WHOLE.encode()[: WHOLE.encode().index("Товары".encode()) + 1], "its end is missing|broken off|breaks off"),
    "UTF-8 that says windows-1251": (WHOLE.replace('"UTF-8"', '"windows-1251"').encode(), "the document is|the bytes are not|damaged"),
    "windows-1251 that says UTF-8": (WHOLE.encode("cp1251"), "the bytes are not utf-8"),
    "an encoding that nobody knows": (WHOLE.replace('"UTF-8"', '"EBCDIC-CP-BE"').encode(), "the encoding “EBCDIC-CP-BE” is not known"),
    "a DOCTYPE": (WHOLE.replace("\n<", "\n<!DOCTYPE x>\n<", 1).encode(), "a DOCTYPE is not taken"),
    "a DOCTYPE behind comments": (WHOLE.replace("\n<", "\n<!-- a --> <!-- b -->\n<!doctype x>\n<", 1).encode(), "a DOCTYPE is not taken"),
    "an entity bomb": (bomb().encode(), "a DOCTYPE is not taken"),
    "an entity bomb in UTF-16": (bomb().encode("utf-16"), "a DOCTYPE is not taken"),
    "a file of the hub's machine as an entity": (
        f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><{ROOT}><Каталог><Ид>&e;</Ид></Каталог></{ROOT}>'.encode(),
        "a DOCTYPE is not taken",
    ),
    "ten thousand nested groups": (deep(10_000).encode(), "nested too deeply"),
    "CommerceML 1 of 1C 7.7": (OLD.encode(), "CommerceML 1 of 1C 7.7"),
    "Bitrix's English names": (b"<?xml version='1.0'?><CommerceInformation><Catalog/></CommerceInformation>", "English element names"),
    "another document": (b"<?xml version='1.0'?><yml_catalog><shop/></yml_catalog>", "the document is <yml_catalog>"),
    "an HTML page": (b"<html><body>Fatal error</body></html>", "the document is <html>|is cut off"),
    "no XML at all": (b"Warning: mysql_connect()", "this is not an XML document"),
    "an empty file": (b"", "empty|not found"),
    "white space": (b" \r\n\t ", "empty|its end is missing"),
    "a lone declaration": (b'<?xml version="1.0" encoding="UTF-8"?>', "breaks off|its end is missing"),
    "two roots": ((WHOLE + f"<{ROOT}></{ROOT}>").encode(), "damaged"),
    "zeros": (b"\0" * 5000, "not an XML document|empty|its end is missing"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_is_refused_with_its_reason_before_anything_is_taken(what: str, site: Site) -> None:
    caller, keys = site.begin()
    body, reason = REFUSED[what]
    if what == "two roots":
        body = body.replace(b"bad-", f"{keys[0][:-2]}-".encode())
    answer = caller.offer("import.xml", body)
    assert answer.startswith("failure\n"), answer
    assert re.search(reason, answer), answer
    assert "Traceback" not in answer
    # A second root is a fault behind the last record: what stood before it is settled (it is not cut off).
    site.well(caller, keys, known=3 if what == "two roots" else 0)


READ: dict[str, Callable[[str], bytes]] = {
    "windows-1251": lambda xml: xml.replace('"UTF-8"', '"windows-1251"').encode("cp1251"),
    "UTF-16 with a mark": lambda xml: xml.replace('"UTF-8"', '"UTF-16"').encode("utf-16"),
    "UTF-16 without a mark": lambda xml: xml.replace('"UTF-8"', '"UTF-16"').encode("utf-16-le"),
    "UTF-8 with a mark": lambda xml: xml.encode("utf-8-sig"),
    "padding before the declaration": lambda xml: b"\r\n  " + xml.encode(),
    "padding behind the end": lambda xml: xml.encode() + b"\r\n \t\r\n<!-- 1C -->\r\n",
    "koi8-r": lambda xml: xml.replace('"UTF-8"', '"koi8-r"').encode("koi8-r"),
    "no declaration": lambda xml: xml.partition("\n")[2].encode(),
    "a namespace with a prefix": lambda xml: re.sub(
        r"<(/?)(?=[А-Я])", r"<\1c:", xml.replace(" ВерсияСхемы", ' xmlns:c="urn:1C.ru:commerceml_2" ВерсияСхемы')
    ).encode(),
}


@pytest.mark.parametrize("what", READ)
def test_an_unusual_file_is_read_like_the_usual_one(what: str, site: Site) -> None:
    caller, keys = site.begin()
    answer = caller.offer("import.xml", READ[what](document(*map(card, keys))))
    assert answer == "success\n" + summary(new=3)
    assert caller.offer("import.xml", document(*map(card, keys)).encode()) in (
        "success\n" + summary(unchanged=3),
        "success\n" + summary(),
    )
    site.products |= {key: f"Товар {key}" for key in keys}


def test_a_file_without_records_is_a_success_that_changes_nothing(site: Site) -> None:
    caller, keys = site.begin()
    assert caller.offer("import.xml", document().encode()) == "success\n" + summary()
    assert caller.offer("import.xml", f"<?xml version='1.0'?><{ROOT}/>".encode()) == "success\n" + summary()
    site.well(caller, keys)


def test_control_characters_are_damage_that_is_named_or_forgiven_but_never_stored(site: Site) -> None:
    caller, keys = site.begin()
    answer = caller.offer("import.xml", document(card(keys[0], "Ча\x0bйник")).encode())
    assert answer.startswith("failure\n")
    assert "import.xml:3" in answer
    answer = caller.offer("import.xml", document(card(keys[0], "Ча&#11;йник")).encode())
    assert answer.startswith("failure\n")
    site.well(caller, keys)


@pytest.mark.parametrize(
    "name", ["billion_laughs.xml", "xxe.xml", "control_char.xml", "latin_C_in_statusy.xml", "truncated_import0_1.xml"]
)
def test_the_recorded_bad_files_are_refused(name: str, site: Site, samples: Path) -> None:
    caller, keys = site.begin()
    answer = caller.offer("import.xml", (samples / "commerceml/_synthetic/negative" / name).read_bytes())
    assert answer.startswith("failure\n"), answer
    site.well(caller, keys)


def test_the_recorded_archive_that_climbs_out_is_refused(site: Site, samples: Path) -> None:
    caller, keys = site.begin()
    answer = caller.offer("v8_1.zip", (samples / "commerceml/_synthetic/negative/zip_slip.zip").read_bytes())
    assert answer.startswith("failure\n"), answer
    assert "../../evil.php" in answer
    assert list(site.hub.home.rglob("evil*")) == []
    site.well(caller, keys)


# --- archives -------------------------------------------------------------------------------------------------------------------


def archive(*files: tuple[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packing) as packed:
        for name, data in files:
            packed.writestr(name, data)
    return out.getvalue()


def lying_archive() -> bytes:
    """An entry that says 10 bytes in the directory and holds two megabytes."""
    data = archive(("import.xml", b"<" * 2_000_000))
    size = (2_000_000).to_bytes(4, "little")
    return data.replace(size, (10).to_bytes(4, "little"))


ARCHIVES: dict[str, tuple[bytes, str]] = {
    "a bomb by ratio": (archive(("import.xml", b" " * (15 << 20))), "packed too tightly"),
    "a bomb by size": (archive(*((f"{i}.txt", bytes(range(256)) * 4096 * 3) for i in range(9)), packing=zipfile.ZIP_STORED), "more than 20 MB"),
    "a bomb by count": (archive(*((f"{i}.txt", b"") for i in range(51))), "51 files, 50 are allowed"),
    "an entry that climbs out": (archive(("../../../evil.xml", b"<x/>")), "../../../evil.xml"),
    "an entry with an absolute path": (archive(("/tmp/evil.xml ", b"<x/>"), ("/etc/evil.xml", b"<x/>")), "/etc/evil.xml"),
    "an entry with a Windows path": (archive(("..\\..\\evil.xml", b"<x/>")), "evil.xml"),
    "a hidden entry": (archive((".ssh/authorized_keys.txt", b"x")), "authorized_keys"),
    "an entry longer than it says": (lying_archive(), "longer than the archive says|no readable ZIP"),
    "half an archive": (archive(("import.xml", WHOLE.encode() * 50))[:-100], "no readable ZIP|not found"),
    "an archive that is none": (b"PK\x03\x04" + b"rubbish" * 100, "no readable ZIP|not found"),
}  # fmt: skip


@pytest.mark.parametrize("what", ARCHIVES)
def test_a_hostile_archive_is_refused(what: str, site: Site) -> None:
    caller, keys = site.begin()
    body, reason = ARCHIVES[what]
    caller.enter().say("type=catalog&mode=init")
    assert caller.send("goods.zip", body) == "success"
    answer = caller.load("import.xml")
    assert answer.startswith("failure\n"), answer
    assert re.search(reason, answer), answer
    outside = [*site.hub.home.rglob("*evil*"), *site.hub.home.parent.glob("*evil*"), *Path("/etc").glob("evil*")]
    assert outside == []
    site.well(caller, keys)


def test_a_good_archive_is_taken_file_by_file_or_as_one(site: Site) -> None:
    caller, keys = site.begin()
    files = archive(("import.xml", document(*map(card, keys)).encode()), ("folder/offers.xml", document().encode()))
    caller.enter()
    assert caller.send("v8.zip", files) == "success"
    assert caller.load("v8.zip") == "success\n" + summary()
    assert caller.load("import.xml") == "success\n" + summary(new=3)
    assert caller.load("offers.xml") == "success\n" + summary()
    site.well(caller, keys, known=3)


# --- names ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../import.xml", "..%2f..%2fimport.xml", "import_files/../../x.xml", "/etc/cron.d/x.xml", "C:%5Cwindows%5Cx.xml", "%5C%5Chost%5Cx.xml",
        "..\\..\\x.xml", ".htaccess", "a/.hidden/x.xml", "x.xml%00.jpg", "x%0a.xml", "%00", "", "x" * 300 + ".xml", "con|aux.xml",
        "shell.php", "import.xml.php", "x.phtml", "%ff%fe.xml.exe", "import_files/ab/../../../x.jpg", "....//x.xml", "~/x.xml/..",
    ],
)  # fmt: skip
def test_a_name_that_no_honest_node_sends_is_refused(name: str, site: Site) -> None:
    caller, keys = site.begin()
    caller.enter()
    before = {p for p in site.hub.home.rglob("*") if p.is_file() and "exchange" in p.parts}
    answer = caller.say(f"type=catalog&mode=file&filename={name.replace(chr(92), '%5C').replace('|', '%7C')}", b"<x/>")
    assert (answer.split("\n")[0], caller.status) == ("failure", 200), answer
    after = {p for p in site.hub.home.rglob("*") if p.is_file() and "exchange" in p.parts}
    assert after - before == set()
    answer = caller.say(f"type=catalog&mode=import&filename={name.replace(chr(92), '%5C').replace('|', '%7C')}")
    assert (answer.split("\n")[0], caller.status) == ("failure", 200), answer
    site.well(caller, keys)


# --- size -----------------------------------------------------------------------------------------------------------------------


def memory(hub: Hub) -> dict[str, int]:
    """Peak of each process of the hub since the last reset, in MB."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
            group = int((status.parent / "stat").read_text().rpartition(")")[2].split()[2])
        except OSError:
            continue
        peak = re.search(r"VmHWM:\s+(\d+) kB", text)
        if hub.server and group == hub.server.pid and peak:
            found[status.parent.name] = int(peak.group(1)) // 1024
            (status.parent / "clear_refs").write_text("5")
    return found


def test_a_name_of_a_hundred_megabytes_is_refused_in_bounded_memory(site: Site) -> None:
    caller, keys = site.begin()
    memory(site.hub)
    start = (HEAD.format(encoding="UTF-8") + GOODS + "<Товар><Ид>huge</Ид><Наименование>").encode()
    end = f"</Наименование></Товар>\n{END}".encode()
    block, count = b"x" * (1 << 20), 100

    def pieces() -> Iterator[bytes]:
        yield start
        for _i in range(count):
            yield block
        yield end

    caller.enter()
    assert caller.send("import.xml", pieces(), length=len(start) + count * len(block) + len(end)) == "success"
    answer = caller.load("import.xml")
    assert answer.startswith("failure\n"), answer
    assert "is longer than 32 MB" in answer
    peaks = memory(site.hub)
    assert len(peaks) == 2
    assert max(peaks.values()) < 350, peaks
    site.well(caller, keys)


def test_a_file_over_the_limit_is_refused_and_not_kept(site: Site) -> None:
    caller, keys = site.begin()
    caller.enter()
    block = b"x" * (1 << 20)
    answer = caller.send("import.xml", (block for _i in range(151)), length=151 << 20)
    assert answer.split("\n")[0] == "failure"
    assert "150 MB" in answer
    assert [p for p in (site.hub.home / "exchange").rglob("*") if p.is_file() and p.stat().st_size > 110 << 20] == []
    site.well(caller, keys)


def test_huge_headers_and_addresses_end_one_call_and_no_more(site: Site) -> None:
    caller, keys = site.begin()
    caller.say("type=catalog&mode=checkauth", **{"X-Long": "x" * 600_000})
    assert caller.status in (400, 431)
    caller.say("type=catalog&mode=checkauth&filename=" + "x" * 600_000)
    assert caller.status in (400, 414, 431)
    site.well(caller, keys)


# --- sessions and pieces ----------------------------------------------------------------------------------------------------------


def test_a_wrong_or_missing_cookie_ends_nothing_but_the_call(site: Site) -> None:
    caller, keys = site.begin()
    caller.enter()
    good = caller.cookie
    for wrong in ("obmen=wrong", "obmen=", f"obmen={'x' * 5000}", "obmen=%00", "obmen=\xff"):
        caller.cookie = wrong
        answer = caller.send("import.xml", WHOLE.encode())
        assert answer == "failure\nThe session is not known or has ended. Begin with mode=checkauth."
    auth, caller.auth, caller.cookie = caller.auth, None, ""
    assert caller.send("import.xml", WHOLE.encode()) == "failure\nLogin or password is wrong"
    assert caller.status == 401
    caller.auth, caller.cookie = auth, good
    site.well(caller, keys)


def pieces_of(body: bytes, count: int) -> list[bytes]:
    size = len(body) // count + 1
    return [body[i : i + size] for i in range(0, len(body), size)]


def test_a_repeated_piece_is_taken_once(site: Site) -> None:
    caller, keys = site.begin()
    caller.enter()
    for piece in pieces_of(document(*map(card, keys)).encode(), 5):
        assert caller.send("import.xml", piece) == "success"
        assert caller.send("import.xml", piece) == "success"
    assert caller.load("import.xml") == "success\n" + summary(new=3)
    site.well(caller, keys, known=3)


def test_pieces_of_two_sessions_never_mix(site: Site) -> None:
    first, keys = site.begin()
    second, more = site.begin()
    first.enter()
    second.enter()
    one, two = (pieces_of(document(*map(card, k)).encode(), 6) for k in (keys, more))
    for left, right in zip(one, two, strict=True):
        assert first.send("import.xml", left) == second.send("import.xml", right) == "success"
    assert second.load("import.xml") == "success\n" + summary(new=3)
    assert first.load("import.xml") == "success\n" + summary(new=3)
    site.well(first, keys, known=3)
    site.well(second, more, known=3)


def test_a_file_sent_again_replaces_the_first(site: Site) -> None:
    caller, keys = site.begin()
    caller.enter()
    body = document(*map(card, keys)).encode()
    half = body[: len(body) // 2]
    for sent in (half, body, body):
        assert caller.send("import.xml", sent) == "success"
    assert caller.load("import.xml") == "success\n" + summary(new=3)
    assert caller.load("import.xml") == "success\n" + summary(new=3), "the same question gets the same answer"
    site.well(caller, keys, known=3)


def test_a_call_that_breaks_off_in_its_body_leaves_the_pieces_before_it(site: Site) -> None:
    caller, keys = site.begin()
    caller.enter()
    one, two, three = pieces_of(document(*map(card, keys)).encode(), 3)
    assert caller.send("import.xml", one) == "success"

    def broken() -> Iterator[bytes]:
        yield two[:20]
        raise ConnectionError

    with pytest.raises(ConnectionError):
        caller.send("import.xml", broken(), length=len(two))
    for piece in (two, three):
        assert caller.send("import.xml", piece) == "success"
    assert caller.load("import.xml") == "success\n" + summary(new=3)
    site.well(caller, keys, known=3)


def test_success_twice_and_without_orders_is_a_success(site: Site) -> None:
    caller, keys = site.begin()
    caller.enter("sale")
    for _time in range(2):
        assert caller.say("type=sale&mode=success") == "success"
    site.well(caller, keys)


# --- damage in the middle -----------------------------------------------------------------------------------------------------------


def test_what_stands_before_damage_is_settled_and_the_corrected_file_completes_the_books(site: Site) -> None:
    caller, [start, *_rest] = site.begin()
    keys = [f"{start}-{i}" for i in range(1700)]
    good = document(*map(card, keys)).encode()
    broken = good.replace(f"Товар {keys[1200]}</Наименование>".encode(), f"Товар {keys[1200]}</Наименованье>".encode())
    answer = caller.offer("import.xml", broken)
    line = good[: good.index(f"<Ид>{keys[1200]}<".encode())].count(b"\n") + 1
    assert answer.startswith("failure\n"), answer
    assert f"import.xml:{line}: " in answer
    assert "settled before that: new 1200, changed 0, unchanged 0, set aside 0" in answer
    answer = caller.offer("import.xml", good)
    assert answer == "success\n" + summary(new=500, unchanged=1200)
    site.products |= {key: f"Товар {key}" for key in keys}


def test_a_wrong_byte_in_the_middle_is_damage_too(site: Site) -> None:
    caller, [start, *_rest] = site.begin()
    keys = [f"{start}-{i}" for i in range(600)]
    good = document(*map(card, keys)).encode()
    at = good.index(f"Товар {keys[550]}<".encode())
    answer = caller.offer("import.xml", good[:at] + b"\xff" + good[at + 1 :])
    assert answer.startswith("failure\n"), answer
    assert re.search(r"import\.xml:\d+: the (bytes are not utf-8|document is damaged)", answer), answer
    settled = re.search(r"new (\d+)", answer)
    assert settled
    assert caller.offer("import.xml", good) == "success\n" + summary(new=600 - int(settled[1]), unchanged=int(settled[1]))
    site.products |= {key: f"Товар {key}" for key in keys}


# --- values that the books cannot hold -------------------------------------------------------------------------------------------------

LONG = "ы" * 5000
LONG_ID = "k" * 1000


def classifier(inside: str) -> bytes:
    return (
        HEAD.format(encoding="UTF-8")
        + f"<Классификатор><Ид>c</Ид><Наименование>К</Наименование>{inside}</Классификатор></{ROOT}>"
    ).encode()


def offers(*rows: tuple[str, str]) -> bytes:
    body = "".join(f"<Предложение><Ид>{key}</Ид><Наименование>x</Наименование>{more}</Предложение>" for key, more in rows)
    package = f"<ПакетПредложений><Ид>p</Ид><ИдКаталога>c</ИдКаталога><Предложения>{body}</Предложения></ПакетПредложений>"
    return (HEAD.format(encoding="UTF-8") + package + f"</{ROOT}>").encode()


def price(value: str, kind: str = "retail", currency: str = "RUB") -> str:
    row = f"<ИдТипаЦены>{kind}</ИдТипаЦены><ЦенаЗаЕдиницу>{value}</ЦенаЗаЕдиницу><Валюта>{currency}</Валюта>"
    return f"<Цены><Цена>{row}</Цена></Цены>"


def quantity(value: str) -> str:
    return f"<Количество>{value}</Количество>"


def pair(tag: str, key: str, name: str) -> str:
    return f"<{tag}><Ид>{key}</Ид><Наименование>{name}</Наименование></{tag}>"


NOT_FOR_CARDS = {
    "article": f"<Артикул>{LONG}</Артикул>",
    "barcode": f"<Штрихкод>{LONG}</Штрихкод>",
    "code": f"<Код>{LONG}</Код>",
    "unit": f"<БазоваяЕдиница>{LONG}</БазоваяЕдиница>",
}
NOT_FOR_OFFERS = {
    "a price that is no number": price("NaN"),
    "an endless price": price("Infinity"),
    "a price of a million digits": price("1e999999"),
    "a price of forty digits": price("9" * 40),
    "a price of a long kind": price("5", LONG_ID),
    "a price in a long currency": price("5", currency=LONG),
    "a quantity of forty digits": quantity("9" * 40),
    "a quantity in words": quantity("много"),
    "a long warehouse": f'<Склад ИдСклада="{LONG_ID}" КоличествоНаСкладе="5"/>',
}


def test_one_value_that_no_column_holds_sets_one_record_aside(site: Site) -> None:
    caller, [good, bad, other] = site.begin()
    door = add_door(site.hub, "Values")
    odd = Caller(site.hub, door)
    for at, more in enumerate(NOT_FOR_CARDS.values()):
        body = document(card(f"{good}-{at}"), card(f"{bad}-{at}", "x", more), card(f"{other}-{at}"))
        assert odd.offer("import.xml", body.encode()) == "success\n" + summary(new=2, parked=1)
    body = document(card(f"{good}-n"), card(f"{bad}-n", LONG), card("k" * 1000))
    assert odd.offer("import.xml", body.encode()) == "success\n" + summary(new=1, parked=2)
    names = [f"{key}-{at}" for at in range(len(NOT_FOR_CARDS)) for key in (good, other)] + [f"{good}-n"]
    site.products |= {name: f"Товар {name}" for name in names}
    for at, (what, more) in enumerate(NOT_FOR_OFFERS.items()):
        here = f"{good}-{at % 4}"
        answer = odd.offer("offers.xml", offers((here, price(str(at + 1)) + quantity("7")), (f"{other}-{at % 4}", more)))
        assert answer.startswith("success\n"), (what, answer)
        assert answer.endswith("set aside: 1"), (what, answer)
    for inside in (
        f"<Группы>{pair('Группа', LONG_ID, 'g')}{pair('Группа', 'g1', LONG)}</Группы>",
        f"<Свойства>{pair('Свойство', LONG_ID, 'g')}{pair('Свойство', 'p1', LONG)}</Свойства>",
        f"<ТипыЦен>{pair('ТипЦены', LONG_ID, 'g')}{pair('ТипЦены', 't1', LONG)}</ТипыЦен>",
    ):
        assert odd.offer("import.xml", classifier(inside)) == "success\n" + summary(parked=2)
    after = books(site.hub, ("prices", "stock", "parked"))
    last = {f"{good}-{at % 4}": str(at + 1) for at in range(len(NOT_FOR_OFFERS))}
    assert {p["offer"]: p["value"] for p in after["prices"]} == last
    assert {s["offer"]: s["quantity"] for s in after["stock"]} == dict.fromkeys(last, "7")
    assert Counter(p["kind"] for p in after["parked"]) == {"product": 6, "offer": 4, "group": 2, "property": 2, "reference": 2}
    site.hub.cli("connection", "remove", "Values", "--yes")
    site.well(caller, [good, bad, other])


# --- commands ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    ["", "type=catalog", "mode=init", "type=catalog&mode=drop", "type=shell&mode=init", "type=catalog&mode=success", "type=%00&mode=%ff",
     "type=catalog&mode=checkauth/../../admin", "type[]=catalog&mode[]=init", "&&&===&", "mode=" + "x" * 5000],
)  # fmt: skip
def test_an_unknown_command_is_refused_in_bitrix_words(query: str, site: Site) -> None:
    caller, keys = site.begin()
    caller.enter()
    assert (caller.say(query), caller.status) == ("failure\nUnknown command type.", 200)
    site.well(caller, keys)


def test_zero_bytes_in_parameters_and_credentials_reach_no_database(site: Site) -> None:
    caller, keys = site.begin()
    caller.enter()
    assert caller.say("type=catalog&mode=init&version=%00&cmlVersion=%00").startswith("zip=")
    assert caller.say("type=%00&mode=%00") == "failure\nUnknown command type."
    good, caller.cookie = caller.auth, ""
    caller.auth = f"Basic {base64.b64encode(bytes([0]) + b'door:x').decode()}"
    assert (caller.say("type=catalog&mode=checkauth"), caller.status) == ("failure\nLogin or password is wrong", 401)
    caller.auth = good
    site.well(caller, keys)


def test_a_body_without_a_length_is_taken(site: Site) -> None:
    caller, keys = site.begin()
    caller.enter()
    body = document(*map(card, keys)).encode()
    assert caller.send("import.xml", iter([body[:50], body[50:]])) == "success"
    assert caller.load("import.xml") == "success\n" + summary(new=3)
    site.well(caller, keys, known=3)


def test_a_second_question_mark_in_the_address_counts_as_an_ampersand(site: Site) -> None:
    caller, keys = site.begin()
    assert caller.say("site=s1?type=catalog&mode=checkauth").startswith("success\n")
    site.well(caller, keys)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"])
def test_other_methods_do_no_harm(method: str, site: Site) -> None:
    caller, keys = site.begin()
    caller.enter()
    line = http.client.HTTPConnection(caller.address.hostname or "", caller.address.port, timeout=30)
    line.request(
        method, f"{caller.path}?type=catalog&mode=drop", headers={"Authorization": caller.auth or "", "Cookie": caller.cookie}
    )
    assert line.getresponse().status in (200, 405, 501)
    line.close()
    site.well(caller, keys)


# --- who may ------------------------------------------------------------------------------------------------------------------------


def test_wrong_passwords_lock_the_login_until_the_wait_is_over(site: Site) -> None:
    door = add_door(site.hub, "Locked")
    wrong, right = Caller(site.hub, {**door, "password": "wrong"}), Caller(site.hub, door)
    answers = [wrong.say("type=catalog&mode=checkauth") for _time in range(8)]
    assert answers[0] == "failure\nLogin or password is wrong"
    assert answers[-1] == "failure\nToo many wrong passwords. Try again in 1 min"
    assert right.say("type=catalog&mode=checkauth") == "failure\nToo many wrong passwords. Try again in 1 min"
    assert right.status == 401
    back = "import datetime; from axes.models import AccessAttempt\n"
    python(site.hub, back + "for a in AccessAttempt.objects.all(): a.attempt_time -= datetime.timedelta(minutes=2); a.save()")
    right.enter()
    caller, keys = site.begin()
    site.well(caller, keys)


@pytest.mark.parametrize(
    ("code", "answer", "status"),
    [
        ("c.account.groups.clear()", "failure\nThis login may not exchange: it lacks the permission “Import CommerceML”", 401),
        ("c.account.is_active = False; c.account.save()", "failure\nLogin or password is wrong", 401),
        ("c.enabled = False; c.save()", "failure\nThis connection is switched off", 200),
        ("c.settings['allow_list'] = ['203.0.113.0/24']; c.save()", "failure\nCalls from 127.0.0.1 are not allowed", 403),
    ],
    ids=["permission", "account", "connection", "allow list"],
)
def test_whoever_may_not_is_refused_also_in_mid_session(code: str, answer: str, status: int, site: Site) -> None:
    site.number += 1
    name = f"Refused {site.number}"
    door = add_door(site.hub, name)
    caller = Caller(site.hub, door).enter()
    python(site.hub, f"c = Connection.objects.get(name={name!r}); {code}")
    assert caller.send("import.xml", WHOLE.encode()).startswith(("failure\nLogin or password is wrong", answer))
    caller.cookie = ""
    assert caller.say("type=catalog&mode=checkauth").startswith(answer)
    assert caller.status == status
    good, keys = site.begin()
    site.well(good, keys)


def test_a_node_does_not_reach_another_nodes_files(site: Site) -> None:
    caller, keys = site.begin()
    other = Caller(site.hub, add_door(site.hub, "Other")).enter()
    caller.enter()
    assert caller.send("import.xml", document(*map(card, keys)).encode()) == "success"
    assert other.load("import.xml").startswith("failure\nThe file import.xml was not found")
    other.cookie = caller.cookie
    assert other.load("import.xml").startswith("failure\n")
    assert caller.load("import.xml") == "success\n" + summary(new=3)
    site.well(caller, keys, known=3)
    until(lambda: all(run["state"] == "done" or run["state"] == "failed" for run in site.hub.dump("runs")))
