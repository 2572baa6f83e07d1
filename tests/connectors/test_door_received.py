"""Names, pieces and archives of received files."""

from __future__ import annotations

import io
import itertools
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obmen.connectors.commerceml_door.received import BadName, ZipLimits, is_complete, receive, safe_name, unpack
from obmen.core.contract import BadDocument

XML = "<?xml version='1.0'?><КоммерческаяИнформация><Каталог/></КоммерческаяИнформация>".encode()
MANY = 1 << 30


def send(folder: Path, name: str, *pieces: bytes) -> list[str]:
    return [receive(folder, name, io.BytesIO(p), len(p), MANY).outcome for p in pieces]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("import0_1.xml", "import0_1.xml"),
        ("import_files\\ab\\1.jpg", "import_files/ab/1.jpg"),
        ("/tmp/import_files/ab/1.jpg", "import_files/ab/1.jpg"),
        ("upload/1c/webdata/import.xml", "import.xml"),
        ("webdata\\000000001\\goods\\1\\import_files\\ab\\1.jpg", "import_files/ab/1.jpg"),
        ("C:\\1c\\webdata\\import.xml", "import.xml"),
        ("./import.xml", "import.xml"),
        ("Картинка (1).jpg", "Картинка (1).jpg"),
    ],
)
def test_names_of_honest_clients_become_relative_paths(said: str, kept: str) -> None:
    assert safe_name(said) == kept


@pytest.mark.parametrize(
    "said",
    [
        "", "..", "../a.xml", "a/../b.xml", "/etc/passwd", "/tmp//etc/../x", "a\0.xml", "a\nb.xml", ".htaccess", "a/.ssh/id",
        "x" * 256, "C:\\a.xml", "a//../b",
    ],
)  # fmt: skip
def test_other_names_are_refused(said: str) -> None:
    with pytest.raises(BadName):
        safe_name(said)


@given(st.text(max_size=300))
def test_no_name_ever_leaves_the_folder(said: str) -> None:
    try:
        name = safe_name(said)
    except BadName:
        return
    assert Path("/base", name).resolve().is_relative_to("/base")
    assert not name.startswith("/")


def test_pieces_are_appended_in_the_order_in_which_they_come(tmp_path: Path) -> None:
    assert send(tmp_path, "import.xml", XML[:30], XML[30:60], XML[60:]) == ["new", "appended", "appended"]
    assert (tmp_path / "import.xml").read_bytes() == XML


def test_the_same_piece_sent_twice_counts_once(tmp_path: Path) -> None:
    assert send(tmp_path, "import.xml", XML[:30], XML[30:60], XML[30:60], XML[60:], XML[60:]) == [
        "new", "appended", "repeated", "appended", "repeated",
    ]  # fmt: skip
    assert (tmp_path / "import.xml").read_bytes() == XML


def test_a_file_that_is_sent_again_from_its_start_replaces_what_was_there(tmp_path: Path) -> None:
    send(tmp_path, "import.xml", XML[:30], XML[30:60])
    assert send(tmp_path, "import.xml", XML[:30], XML[30:]) == ["again", "appended"]
    assert send(tmp_path, "import.xml", XML) == ["again"]
    assert (tmp_path / "import.xml").read_bytes() == XML


def test_a_byte_order_mark_begins_a_file_too(tmp_path: Path) -> None:
    marked = b"\xef\xbb\xbf" + XML
    assert send(tmp_path, "import.xml", marked[:40], marked[40:], marked) == ["new", "appended", "again"]
    assert (tmp_path / "import.xml").read_bytes() == marked


def test_an_archive_may_have_a_signature_at_the_start_of_any_piece(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("a.xml", XML)
        packed.writestr("b.xml", XML)
    body = out.getvalue()
    second = body.index(b"PK\x03\x04", 4)  # a piece that begins exactly at the second entry
    assert send(tmp_path, "v8.zip", body[:second], body[second:]) == ["new", "appended"]
    assert (tmp_path / "v8.zip").read_bytes() == body
    assert send(tmp_path, "v8.zip", body[:second], body[second:]) == ["again", "appended"]
    assert (tmp_path / "v8.zip").read_bytes() == body
    send(tmp_path, "w.zip", body[:second])
    assert send(tmp_path, "w.zip", body[:second]) == ["repeated"]


def test_pieces_of_one_byte_value_are_never_taken_for_repeats(tmp_path: Path) -> None:
    assert send(tmp_path, "a.bmp", b"BM12", b"\0" * 20, b"\0" * 20) == ["new", "appended", "appended"]
    assert (tmp_path / "a.bmp").stat().st_size == 44


def test_what_a_killed_call_left_behind_is_dropped(tmp_path: Path) -> None:
    send(tmp_path, "import.xml", XML[:30])
    with open(tmp_path / "import.xml", "ab") as file:
        file.write(b"a piece that was never answered " * 20)
    assert send(tmp_path, "import.xml", XML[30:]) == ["appended"]
    assert (tmp_path / "import.xml").read_bytes() == XML


@given(st.lists(st.integers(1, len(XML) - 1), max_size=6, unique=True), st.data())
def test_any_cutting_with_any_piece_repeated_gives_the_same_file(cuts: list[int], data: st.DataObject) -> None:
    import tempfile

    marks = [0, *sorted(cuts), len(XML)]
    pieces = [XML[a:b] for a, b in itertools.pairwise(marks) if len(set(XML[a:b])) > 1 or b == len(XML)]
    if b"".join(pieces) != XML:
        return
    again = data.draw(st.integers(0, len(pieces) - 1))
    with tempfile.TemporaryDirectory() as folder:
        send(Path(folder), "import.xml", *pieces[: again + 1], *pieces[again:])
        assert (Path(folder) / "import.xml").read_bytes() == XML


def test_whether_a_file_has_its_end(tmp_path: Path) -> None:
    cases = {
        "whole.xml": (XML + b"\n\n", True),
        "cut.xml": (XML[:-3], False),
        "whole.jpg": (b"\xff\xd8\xff..\xff\xd9", True),
        "cut.jpg": (b"\xff\xd8\xff..", False),
        "cut.zip": (b"PK\x03\x04....", False),
    }
    for name, (body, whole) in cases.items():
        (tmp_path / name).write_bytes(body)
        assert is_complete(tmp_path / name) is whole, name


def test_names_in_an_archive_are_read_in_cp866(tmp_path: Path) -> None:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as packed:
        packed.writestr("XXXXXXXX.xml", XML)
    raw = body.getvalue().replace(b"XXXXXXXX.xml", "Каталог1.xml".encode("cp866"))
    (tmp_path / "v8.zip").write_bytes(raw)
    assert list(unpack(tmp_path / "v8.zip", tmp_path, ZipLimits(10, MANY, 100))) == ["Каталог1.xml"]
    assert (tmp_path / "Каталог1.xml").read_bytes() == XML


def test_an_archive_that_lies_about_a_size_is_stopped(tmp_path: Path) -> None:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.xml", XML * 100)
    size = (len(XML) * 100).to_bytes(4, "little")
    (tmp_path / "v8.zip").write_bytes(body.getvalue().replace(size, (10).to_bytes(4, "little")))
    with pytest.raises(BadDocument):
        list(unpack(tmp_path / "v8.zip", tmp_path, ZipLimits(10, MANY, 100)))
    assert [p.name for p in tmp_path.iterdir()] == ["v8.zip"]


def test_unpacking_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as packed:
        for i in range(3):
            packed.writestr(f"{i}.xml", XML)
    (tmp_path / "v8.zip").write_bytes(body.getvalue())
    steps = unpack(tmp_path / "v8.zip", tmp_path, ZipLimits(10, MANY, 100))
    next(steps)
    steps.close()
    before = (tmp_path / "0.xml").stat().st_ino
    assert list(unpack(tmp_path / "v8.zip", tmp_path, ZipLimits(10, MANY, 100))) == ["0.xml", "1.xml", "2.xml"]
    assert (tmp_path / "0.xml").stat().st_ino == before
