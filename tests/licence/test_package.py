"""The file of a format package: what is taken and what is refused, before anything of it is run."""

from __future__ import annotations

import base64
import io
import json
import random
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
import publisher

from obmen.licence import package, signing
from obmen.licence.package import BadPackage, build, read, sign


def entries(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {entry.filename: archive.read(entry) for entry in archive.infolist()}


def packed(content: dict[str, bytes] | list[tuple[str, bytes]], **about: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, body in content.items() if isinstance(content, dict) else content:
            entry = zipfile.ZipInfo(name)
            for key, value in about.items():
                setattr(entry, key, value)
            archive.writestr(entry, body)
    return out.getvalue()


def test_what_a_publisher_signed_comes_out_as_it_went_in(tmp_path: Path) -> None:
    data = publisher.made(tmp_path, news={"uk": "Нове", "en": "New"}, needs="0.1", licence=True)
    found = read(data)
    assert (found.signer, found.manifest.key, found.manifest.version) == (publisher.PUBLIC, "toyshop", "1.0")
    assert (found.manifest.news, found.manifest.licence) == ({"uk": "Нове", "en": "New"}, True)
    assert {name: body.decode() for name, body in found.files().items()} == publisher.FILES


def test_the_same_folder_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = publisher.folder(tmp_path / "a"), publisher.folder(tmp_path / "b")
    (two / "__pycache__").mkdir()
    (two / "__pycache__" / "words.pyc").write_bytes(b"left out")
    assert build(one) == build(two)
    assert sign(build(one), publisher.KEY) == sign(sign(build(two), signing.read_private(signing.new_private())), publisher.KEY)


def test_an_unsigned_package_has_no_signer(tmp_path: Path) -> None:
    assert read(build(publisher.folder(tmp_path))).signer is None


TAMPERED: dict[str, tuple[Callable[[dict[str, bytes]], dict[str, bytes]], str]] = {
    "a file": (lambda e: e | {"files/words.py": b'HELLO = "altered one"\n'}, "tampered"),
    "a file of the same length": (lambda e: e | {"files/words.py": e["files/words.py"].replace(b"one", b"two")}, "tampered"),
    "a longer file": (lambda e: e | {"files/words.py": e["files/words.py"] + b"import os"}, "tampered|more than is allowed"),
    "the manifest": (lambda e: e | {"manifest.json": e["manifest.json"].replace(b'"1.0"', b'"9.0"')}, "signature does not fit"),
    "one more file": (lambda e: e | {"files/more.py": b""}, "does not name: files/more.py"),
    "one file less": (lambda e: {n: b for n, b in e.items() if n != "files/words.py"}, "names: files/words.py"),
    "another's signature": (
        lambda e: (
            e
            | {
                "signature.json": e["signature.json"].replace(
                    json.loads(e["signature.json"])["key"].encode(),
                    json.loads(entries(sign(packed(e), signing.read_private(signing.new_private())))["signature.json"])[
                        "key"
                    ].encode(),
                )
            }
        ),
        "signature does not fit",
    ),
    "no signature in its place": (lambda e: e | {"signature.json": b"[]"}, "signature cannot be read"),
    "no manifest": (lambda e: {n: b for n, b in e.items() if n != "manifest.json"}, "has no manifest.json"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_a_tampered_package_is_refused(what: str, tmp_path: Path) -> None:
    change, said = TAMPERED[what]
    data = packed(change(entries(publisher.made(tmp_path))))
    with pytest.raises(BadPackage, match=said):
        read(data).files()


def test_a_signature_for_something_else_is_none(tmp_path: Path) -> None:
    """What was signed as a licence cannot be passed off as a package."""
    content = entries(publisher.made(tmp_path))
    said = json.loads(content["signature.json"])
    said["signature"] = base64.b64encode(signing.sign(publisher.KEY, "obmen-licence/1", content["manifest.json"])).decode()
    with pytest.raises(BadPackage, match="signature does not fit"):
        read(packed(content | {"signature.json": json.dumps(said).encode()}))


@pytest.mark.parametrize(
    "name",
    [
        "../evil.py",
        "files/../../evil.py",
        "/etc/passwd",
        "files//etc/passwd",
        "files/.hidden",
        "files/a\\b.py",
        "files/C:/x.py",
        "files/a b.py",
        "files/кот.py",
        "other/x.py",
        "files/",
        "evil.py",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    """Zip-slip, though nothing is ever unpacked to a disk."""
    with pytest.raises(BadPackage, match=r"name that is not allowed|no ordinary file"):
        read(packed(entries(publisher.made(tmp_path)) | {name: b"x"}))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("second", ["files/words.py", "files/WORDS.py"])
def test_two_files_with_one_name_are_refused(second: str, tmp_path: Path) -> None:
    content = [*entries(publisher.made(tmp_path)).items(), (second, b"evil")]
    with pytest.raises(BadPackage, match="two files with one name"):
        read(packed(content))


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadPackage, match="no ordinary file"):
        read(packed(entries(publisher.made(tmp_path)), create_system=3, external_attr=0o120777 << 16))
    made = publisher.folder(tmp_path / "linked")
    (made / "away.py").symlink_to("/etc/hostname")
    with pytest.raises(BadPackage, match=r"no ordinary file: away\.py"):
        build(made)


def test_a_bomb_is_refused_by_what_it_says_and_by_what_it_does(tmp_path: Path) -> None:
    content = entries(publisher.made(tmp_path))
    big = packed(content | {"files/big.txt": bytes(package.MAX_ENTRY + 1)}, compress_type=zipfile.ZIP_DEFLATED)
    assert len(big) < 100_000
    with pytest.raises(BadPackage, match=r"more than is allowed: files/big\.txt"):
        read(big)
    with pytest.raises(BadPackage, match="more than is allowed"):
        read(packed({f"files/{i}.txt": bytes(package.MAX_ENTRY) for i in range(5)}, compress_type=zipfile.ZIP_DEFLATED))
    with pytest.raises(BadPackage, match="more than 1000 files"):
        read(packed({f"files/{i}.txt": b"" for i in range(1001)}))
    with pytest.raises(BadPackage, match="larger than"):
        read(bytes(package.MAX_FILE + 1))
    # The archive's own word for a size is not believed: 200 bytes that unpack to a megabyte, in the place of the manifest.
    lies = bytearray(packed(content | {"manifest.json": bytes(2**20)}, compress_type=zipfile.ZIP_DEFLATED))
    listed = lies.index(b"PK\x01\x02")
    assert lies[22:26] == lies[listed + 24 : listed + 28] == (2**20).to_bytes(4, "little")
    lies[22:26] = lies[listed + 24 : listed + 28] = (200).to_bytes(4, "little")
    with pytest.raises(BadPackage, match="broken at manifest"):
        read(bytes(lies))


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x03\x04" + bytes(50), bytes(range(256)) * 20])
def test_what_is_no_package_is_refused(data: bytes) -> None:
    with pytest.raises(BadPackage, match="no format package"):
        read(data)


@pytest.mark.parametrize("cut", [10, 200, -1, -30])
def test_a_cut_package_is_refused(cut: int, tmp_path: Path) -> None:
    with pytest.raises(BadPackage):
        read(publisher.made(tmp_path)[:cut]).files()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"needs": "99.0"}, "needs Obmen 99.0 or newer; this is"),
        ({"version": "one"}, "version: numbers with dots"),
        ({"key": "My Shop"}, "key: small letters"),
        ({"kind": "virus"}, "kind"),
        ({"surprise": "x"}, "surprise"),
        ({"licence_server": "file:///etc/passwd"}, "licence_server"),
        ({"connector": "caller"}, "connector: named by a profile package"),
        ({"kind": "profile"}, "connector: named by a profile package"),
        ({"kind": "profile", "connector": "caller"}, "profiles/NAME.toml"),
        ({"news": {"de": "Neu"}}, "news: by language"),
        ({"title": " "}, "title, publisher"),
    ],
)
def test_a_wrong_declaration_is_told_to_its_publisher(changes: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(BadPackage, match=said):
        build(publisher.folder(tmp_path, **changes))


def test_a_file_of_a_newer_generation_says_so(tmp_path: Path) -> None:
    content = entries(publisher.made(tmp_path))
    newer = content["manifest.json"].replace(b"obmen-format/1", b"obmen-format/2").replace(b'"kind"', b'"sort"')
    with pytest.raises(BadPackage, match="made for a newer Obmen"):
        read(packed({"manifest.json": newer}))


def test_versions_are_compared_as_numbers() -> None:
    assert package.version("1.10") > package.version("1.9") > package.version("1.0") == package.version("1")


def test_a_key_is_what_it_says() -> None:
    assert signing.read_public(publisher.LINE) == (publisher.PUBLIC, "Toy makers")
    assert len(signing.fingerprint(publisher.PUBLIC)) == 64
    for wrong in ("", "ssh-ed25519 AAAA ann", "obmen-publisher AAAA", publisher.LINE.replace("obmen-publisher ", "")):
        with pytest.raises(signing.BadKey):
            signing.read_public(wrong)
    with pytest.raises(signing.BadKey):
        signing.read_private(publisher.LINE.encode())


def test_garbage_is_refused_and_never_anything_else(tmp_path: Path) -> None:
    """Every byte of a package damaged in some way: it is refused, or the damage was in what no reader looks at."""
    data = publisher.made(tmp_path)
    chance, refused = random.Random(7), 0
    for at in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[at] ^= chance.randrange(1, 256)
        try:
            assert read(bytes(damaged)).files() == {n: t.encode() for n, t in publisher.FILES.items()}
        except BadPackage:
            refused += 1
    assert refused > len(data) / 3 * 0.7
